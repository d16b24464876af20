/* Equal applied index means equal state (I11), watched while the cluster runs.
 *
 *   report {index, digest; newest kept index, digest} ─> witness: votes at each index
 *   outvoted here ─> own nothing, apply nothing, ask ─> leader's snapshot ─> restored ─> as before
 *              leading ─> leadership to a node of the majority first
 *   an SA in memory that is not what its digest says ─> the same, without a vote
 *   tied          ─> nobody can tell: who does not lead owns nothing; whoever differs says so; no
 *                    snapshot is made, and only one from before the difference is given away
 */
#include "base/bytes.h"
#include "proto/nodes.pb-c.h"
#include "replication/replica_parts.h"

enum { STEP_DOWN_AGAIN_MS = 1000, SCRUB_SAS = 32, TIE_LOG_BYTES = 32 << 10 };

static bool is_voter(const struct repl_configuration *c, uint32_t node, size_t *voters)
{
    bool found = false;

    *voters = 0;
    for (size_t i = 0; i < c->n_servers; i++) {
        *voters += c->servers[i].role == RAFT_DRIVER_VOTER;
        found = found || (c->servers[i].role == RAFT_DRIVER_VOTER && c->servers[i].node == node);
    }
    return found;
}

static void say(struct replica *r, uint32_t node, uint64_t index, struct digest digest)
{
    size_t voters;
    bool votes = is_voter(raft_driver_configuration(r->driver), node, &voters);

    witness_say(&r->witness, node, votes, voters, index, digest);
}

#ifdef HOLDFAST_PLANT_state_bit
/* Planted fault, for a lab that must see it made good: once, beyond entry 64, node 3's state is wrong. */
static void plant(struct replica *r)
{
    static bool done;

    if (!done && r->options.node == 3 && r->fsm.applied_index > 64 && r->fsm.n_shards > 0)
        r->fsm.shards[0].aborts++;
    done = done || r->fsm.applied_index > 64;
}
#endif

void replica_witness_applied(struct replica *r)
{
#ifdef HOLDFAST_PLANT_state_bit
    plant(r);
#endif
    if (r->fsm.applied_index % WITNESS_EVERY != 0)
        return;
    r->kept_index = r->fsm.applied_index;
    r->kept_digest = fsm_digest(&r->fsm);
    say(r, r->options.node, r->kept_index, r->kept_digest);
}

static bool read_digest(ProtobufCBinaryData bytes, struct digest *out)
{
    if (bytes.len != REPL_DIGEST_BYTES)
        return false;
    *out = (struct digest){get_be64(bytes.data), get_be64(bytes.data + 8)};
    return true;
}

void replica_witness_heard(struct replica *r, uint32_t from, const struct Holdfast__NodeReport *in)
{
    struct replica_node *row = replica_node(r, from);
    struct digest now, kept, ours;

    if (row != NULL) {
        row->repair_above = in->awaits_state ? in->applied_index : 0;
        row->lacks_erased = in->awaits_state && in->awaits_above != 0;
        if (row->lacks_erased && in->awaits_above > row->repair_above)
            row->repair_above = in->awaits_above;
    }
    replica_snapshot_heard(r, from, in->snapshot_index);
    if (read_digest(in->digest, &now)) {
        say(r, from, in->applied_index, now);
        if (in->applied_index == r->fsm.applied_index && !r->sessionless) {
            ours = fsm_digest(&r->fsm);
            say(r, r->options.node, r->fsm.applied_index, ours);
            if (!digest_equal(ours, now))
                replica_count(r, REPL_COUNT_DIGEST_MISMATCH, 1);
        }
    }
    if (read_digest(in->kept_digest, &kept))
        say(r, from, in->kept_index, kept);
}

enum repl_agreement replica_agreement(const struct replica *r, uint32_t node)
{
    if (node == r->options.node && r->diverged)
        return REPL_DIFFERS;
    for (size_t i = 0; i < r->n_nodes; i++)
        if (r->nodes[i].node == node && r->nodes[i].repair_above != 0)
            return REPL_DIFFERS; /* by its own word */
    switch (witness_verdict(&r->witness, node)) {
    case WITNESS_AGREES:
        return REPL_AGREES;
    case WITNESS_OUTVOTED:
        return REPL_DIFFERS;
    case WITNESS_TIED:
        return REPL_TIED;
    case WITNESS_UNKNOWN:
    default:
        return REPL_AGREEMENT_UNKNOWN;
    }
}

const char *repl_agreement_name(enum repl_agreement agreement)
{
    static const char *const names[] = {"unknown", "agrees", "differs", "tied"};

    return (size_t)agreement < sizeof names / sizeof *names ? names[agreement] : "?";
}

/* Reports come one after the other: before the last of them a difference is a tie for a moment. */
static bool tied(const struct replica *r)
{
    return r->tied_ns != 0 && r->now_ns - r->tied_ns > 2 * ownership_promise_ns(&r->ownership);
}

bool replica_state_trusted(const struct replica *r)
{
    return !r->diverged && !(tied(r) && r->raft.state != RAFT_DRIVER_LEADER);
}

/* A backup takes the place of a former one, which may be the last good one. */
bool replica_may_back_up(const struct replica *r)
{
    const struct fsm_member *member = fsm_member(&r->fsm, r->options.node);

    return r->fsm.applied_index > 0 && member != NULL && !member->left &&
           replica_state_trusted(r) && !replica_is_muted(r);
}

/* The log has no bound meanwhile: so it is told each time that it is twice as long. */
static void tell_growth(struct replica *r)
{
    uint64_t bytes = raft_driver_status(r->driver).log_bytes;

    if (r->tie_log_bytes == 0)
        r->tie_log_bytes = bytes > TIE_LOG_BYTES ? bytes : TIE_LOG_BYTES;
    if (bytes < 2 * r->tie_log_bytes)
        return;
    r->tie_log_bytes = bytes;
    replica_log(r, REPL_LOG_ERROR,
                "there is still no majority to tell whose state is right, and no snapshot is taken "
                "meanwhile: the log has grown to %llu KiB, and grows on until a third node speaks",
                (unsigned long long)bytes / 1024);
}

static void tell_unfilled(struct replica *r)
{
    uint32_t node = raft_driver_withheld(r->driver);

    if (node == 0 || r->tie_unfilled_told)
        return;
    r->tie_unfilled_told = true;
    replica_log(
        r, REPL_LOG_ERROR,
        "node %u cannot be filled: it needs our snapshot of index %llu, and only up to %llu "
        "a majority said that our state is right. Stop the node that is not to be believed, "
        "and start the other one anew: its state is the cluster's then",
        (unsigned)node, (unsigned long long)raft_driver_status(r->driver).snapshot_index,
        (unsigned long long)witness_agreed(&r->witness, r->options.node));
}

static void tell_tie(struct replica *r)
{
    if (!tied(r)) {
        r->tie_told = r->tie_unfilled_told = false;
        r->tie_log_bytes = 0;
        return;
    }
    if (!r->tie_told)
        replica_log(
            r, REPL_LOG_ERROR,
            "another node's state differs from ours at the same index, and there is no "
            "majority to tell who is right: whoever does not lead owns nothing, no snapshot "
            "is taken, and the log grows until a third node speaks");
    r->tie_told = true;
    tell_growth(r);
    tell_unfilled(r);
}

/* From its first moment on, for what was installed cannot be taken back: a snapshot of a state that may
 * be wrong is neither made nor given to anybody, or the third node would not decide but be told. */
static void tie(struct replica *r)
{
    bool now = witness_verdict(&r->witness, r->options.node) == WITNESS_TIED;

    if (!now)
        r->tied_ns = 0;
    else if (r->tied_ns == 0)
        r->tied_ns = r->now_ns;
    raft_driver_vouch(r->driver, r->now_ns / 1000000,
                      now ? witness_agreed(&r->witness, r->options.node) : UINT64_MAX);
    tell_tie(r);
}

void replica_mistrust(struct replica *r)
{
    uint64_t taking = r->taking == NULL ? 0 : r->taking->index;

    r->diverged = true;
    ownership_disown(&r->ownership);
    replica_publish_leases(r);
    replica_drop_snapshot(r);
    if (taking != 0)
        raft_driver_snapshot_drop(r->driver, taking);
    raft_driver_mistrust(r->driver, r->now_ns / 1000000);
}

static void diverge(struct replica *r, const char *how)
{
    replica_log(r, REPL_LOG_ERROR,
                "our state %s (found at index %llu): this node owns nothing until a snapshot of a "
                "sound one has taken its place",
                how, (unsigned long long)r->fsm.applied_index);
    replica_mistrust(r);
}

/* What falls over in memory changes no digest, which is kept and not counted anew, until a record
 * comes that way: so all of it is looked at, a few SAs with each beat. Alone there is nobody to ask
 * for a sound state but the own disk. */
void replica_scrub(struct replica *r)
{
    const struct fsm_sa *sa = r->scrub_id == 0 ? NULL : fsm_sa(&r->fsm, r->scrub_id);

    if (r->diverged || r->restoring != NULL || r->telling)
        return;
    sa = sa == NULL ? r->fsm.all_sas : sa->next;
    for (size_t n = 0; n < SCRUB_SAS && sa != NULL; n++, sa = sa->next) {
        if (!fsm_sa_sound(&r->fsm, sa)) {
            if (r->n_nodes == 1)
                replica_fail(r, "the state in memory is not what was applied");
            else
                diverge(r, "in memory is not what was applied");
            return;
        }
        r->scrub_id = sa->id;
    }
    if (sa == NULL)
        r->scrub_id = 0;
}

/* Of the majority, connected, and nearest to our log; when ours only lacks what it cannot open, one that
 * says that it went on. A learner may be all of that, and cannot lead: who votes, the newest configuration
 * says, for what is applied may have stood still long before. 0 = none. */
static uint32_t successor(const struct replica *r)
{
    struct repl_configuration newest = raft_driver_newest_configuration(r->driver);
    uint32_t best = 0;
    uint64_t most = 0;
    size_t voters;

    for (size_t i = 0; i < r->n_nodes; i++) {
        uint32_t node = r->nodes[i].node;
        uint64_t match = raft_driver_match(r->driver, node);

        if (node != r->options.node && is_voter(&newest, node, &voters) &&
            r->transport.connected(r->transport.self, node) &&
            (r->awaits_above != 0 ? replica_was_sound(r, node)
                                  : witness_verdict(&r->witness, node) == WITNESS_AGREES) &&
            match >= most) {
            best = node;
            most = match;
        }
    }
    return best;
}

static void step_down(struct replica *r)
{
    uint32_t to = successor(r);

    if (r->raft.state != RAFT_DRIVER_LEADER || to == 0 ||
        (r->stepped_down_ns != 0 &&
         r->now_ns - r->stepped_down_ns < STEP_DOWN_AGAIN_MS * 1000000ull))
        return;
    r->stepped_down_ns = r->now_ns;
    if (raft_driver_transfer(r->driver, r->now_ns / 1000000, to) == RAFT_DRIVER_OK)
        replica_log(r, REPL_LOG_WARN, "leadership goes to node %u, whose state is the majority's",
                    (unsigned)to);
}

/* May our state take that node's place? For one that only lacks what it cannot open it is enough that
 * nobody speaks against ours: it may be the one who is needed for a majority. */
static bool is_sound_for(const struct replica *r, const struct replica_node *node)
{
    enum witness_verdict verdict = witness_verdict(&r->witness, r->options.node);

    return verdict == WITNESS_AGREES || (node->lacks_erased && verdict == WITNESS_UNKNOWN);
}

/* As a leader of the majority: whoever was outvoted gets our state. What was made before the newest
 * change of keys it might not be able to read. */
static void repair(struct replica *r)
{
    for (size_t i = 0; i < r->n_nodes; i++) {
        uint32_t node = r->nodes[i].node;
        uint64_t above = r->nodes[i].repair_above;

        if (r->nodes[i].repair_above == 0 || node == r->options.node ||
            !is_sound_for(r, &r->nodes[i]) || !r->transport.connected(r->transport.self, node))
            continue;
        if (r->switched_index > above)
            above = r->switched_index - 1;
        if (raft_driver_repair(r->driver, r->now_ns / 1000000, node, above) == RAFT_DRIVER_INVALID)
            r->snapshot_wanted = r->snapshot_wanted || r->fsm.applied_index > above;
    }
}

void replica_witness_act(struct replica *r)
{
    r->snapshot_wanted = false;
    tie(r);
    if (!r->diverged && r->restoring == NULL && !r->telling &&
        witness_verdict(&r->witness, r->options.node) == WITNESS_OUTVOTED)
        diverge(r, "differs from the majority's");
    if (r->diverged)
        step_down(r);
    else if (r->able)
        repair(r);
}

void replica_witness_restored(struct replica *r)
{
    if (r->diverged) {
        replica_count(r, REPL_COUNT_REINSTALLS, 1);
        replica_log(r, REPL_LOG_INFO,
                    "a sound node's state was installed at index %llu in place of ours",
                    (unsigned long long)r->fsm.applied_index);
    }
    r->diverged = false;
    r->awaits_above = 0;
    r->kept_index = r->scrub_id = 0;
    witness_forget(&r->witness, r->options.node);
}
