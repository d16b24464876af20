/* What comes from outside is made safe before libraft's core sees it. Each defect of libraft 0.22.1
 * has its function here; RAFT_WRAPPED(d, n) is always true but in the test library
 * that shows what happens without. */
#include "replication/raft_internal.h"

#include <stdio.h>

/* The core refused it, so it differs from the log at one index at least that is committed. */
static void contradicted_at(struct raft_driver *d, uint32_t from, const struct raft_message *m,
                            const struct raft_payload *p)
{
    uint64_t index = m->append_entries.prev_log_index, term = m->append_entries.prev_log_term;

    for (size_t i = 0; p != NULL && i < p->n; i++) {
        uint64_t ours = raft_driver_term_of(d, index);

        if (ours != 0 && ours != term) /* 0: it is trimmed, so the core did not look at it */
            break;
        index = p->first + i;
        term = p->entries[i].term;
    }
    raft_contradicted(d, from, "log", index, term);
}

static int receive(struct raft_driver *d, uint32_t from, struct raft_message *message,
                   const struct raft_payload *payload)
{
    char address[16];
    struct raft_event event = {.type = RAFT_RECEIVE};
    (void)snprintf(address, sizeof address, "%u", from);
    message->server_id = from;
    message->server_address = address;
    event.receive.message = message;
    int rv = raft_core_step(d, &event, payload);
    if (rv == RAFT_NOMEM)
        raft_fail(d, "out of memory");
    else if (rv != 0 && message->type == RAFT_APPEND_ENTRIES)
        contradicted_at(d, from, message, payload);
    else if (rv != 0)
        raft_fail(d, "the core refused what a peer sent");
    return rv;
}

/* Defect 1: of a received batch the core takes the first entry's index for that of its CHANGE, and
 * of two CHANGEs forgets the former. So every CHANGE comes first in a message of its own. Returns
 * how many of the n entries go into this message. */
static size_t split_before_change(struct raft_driver *d, const struct repl_entry *entries, size_t n)
{
    if (!RAFT_WRAPPED(d, 1))
        return n;
    for (size_t i = 1; i < n; i++)
        if (entries[i].kind == REPL_ENTRY_CHANGE) {
            d->counters.wrapped[1]++;
            return i;
        }
    return n;
}

/* Defect 1, second half: a CHANGE is about to follow one that we do not yet know to be committed.
 * It is (leaders allow one at a time): the core must be told, or a rollback of the second would
 * fall back to a configuration before the first. */
static void commit_change_before(struct raft_driver *d, uint64_t index,
                                 const struct repl_entry *change)
{
    uint64_t pending = d->raft.configuration_uncommitted_index;
    if (!RAFT_WRAPPED(d, 1) || pending == 0 || pending >= index ||
        raft_driver_term_of(d, index) == change->term)
        return;
    const struct raft_log_entry *entry = raft_log_get(&d->log, pending);
    struct raft_event event = {.type = RAFT_CONFIGURATION};
    struct repl_configuration c;
    HF_ASSERT(entry != NULL && entry->kind == REPL_ENTRY_CHANGE);
    struct span data = span_of(entry->data, entry->len);
    bool valid = raft_configuration_take(&data, &c);
    HF_ASSERT(valid);
    if (!raft_core_configuration(&c, &event.configuration.conf)) {
        raft_fail(d, "out of memory");
        return;
    }
    event.configuration.index = pending;
    d->counters.wrapped[1]++;
    raft_core_step(d, &event, NULL);
}

/* Defect 3: an AppendEntries whose prev lies below our compacted log is rejected for ever. All that
 * lies there is committed, so the leader has the same: it is rebased to our snapshot. */
static void rebase(struct raft_driver *d, struct raft_frame *f, const struct repl_entry **entries,
                   size_t *n)
{
    uint64_t snapshot = d->raft.trail.snapshot.index;
    uint64_t offset = d->raft.trail.offset;
    if (!RAFT_WRAPPED(d, 3) || f->index >= snapshot || f->index > offset || offset == 0)
        return;
    size_t skip = snapshot - f->index < *n ? (size_t)(snapshot - f->index) : *n;
    *entries += skip;
    *n -= skip;
    f->index = snapshot;
    f->index_term = d->raft.trail.snapshot.term;
    d->counters.wrapped[3]++;
}

/* Defect 9: commit_index goes back to the last entry of a message that ends below it. Such a
 * message tells nothing about the commit index: it carries none. */
static uint64_t commit_told(struct raft_driver *d, const struct raft_frame *f, size_t n,
                            uint64_t prev)
{
    if (!RAFT_WRAPPED(d, 9) || prev + n >= d->raft.commit_index ||
        f->commit <= d->raft.commit_index)
        return f->commit;
    d->counters.wrapped[9]++;
    return 0;
}

static bool append_part(struct raft_driver *d, uint32_t from, const struct raft_frame *f,
                        uint64_t prev, uint64_t prev_term, const struct repl_entry *entries,
                        size_t n)
{
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES};
    struct raft_append_entries *args = &message.append_entries;
    struct raft_payload payload = {.first = prev + 1, .entries = entries, .n = n};
    struct raft_entry *array = NULL;
    void *batch = NULL; /* the core's from here on: it frees it, or raft_store_entries does */
    if (n > 0 && !raft_core_entries(entries, n, &array, &batch)) {
        raft_fail(d, "out of memory");
        return false;
    }
    args->term = f->term;
    args->prev_log_index = prev;
    args->prev_log_term = prev_term;
    args->leader_commit = commit_told(d, f, n, prev);
    args->entries = array;
    args->n_entries = (unsigned)n;
    int rv = receive(d, from, &message, &payload);
    raft_free(array);
    return rv == 0;
}

/* The core writes a leader's state as if it were a follower's when a second leader of its term
 * speaks. */
static bool second_leader(struct raft_driver *d, const struct raft_frame *f)
{
    return d->raft.state == RAFT_LEADER && f->term == d->raft.current_term;
}

static void heard_leader(struct raft_driver *d, uint64_t term)
{
    d->leader_term = term;
    d->leader_heard_ms = d->now_ms;
    raft_calm_elections(d);
}

enum raft_driver_result raft_receive_append(struct raft_driver *d, uint32_t from,
                                            const struct raft_frame *frame)
{
    struct raft_frame f = *frame;
    struct span run = f.entries;
    const struct repl_entry *entries = d->scratch;
    size_t n = f.n_entries;
    if (second_leader(d, frame))
        return RAFT_DRIVER_MALFORMED;
    for (size_t i = 0; i < n; i++)
        d->scratch[i] = raft_frame_next_entry(&run);
    if (d->stale)
        n = 0; /* refused anyway */
    else
        heard_leader(d, f.term);
    raft_found_begun(d); /* who leads has begun */
    rebase(d, &f, &entries, &n);
    if (n > 0 && entries[0].term < f.index_term)
        return RAFT_DRIVER_MALFORMED;
    uint64_t prev = f.index, prev_term = f.index_term;
    do {
        size_t part = split_before_change(d, entries, n);
        if (part > 0 && entries[0].kind == REPL_ENTRY_CHANGE && !d->installing &&
            raft_driver_term_of(d, prev) == prev_term)
            commit_change_before(d, prev + 1, &entries[0]);
        if (!append_part(d, from, &f, prev, prev_term, entries, part))
            break;
        entries += part;
        n -= part;
        prev += part;
        prev_term = part > 0 ? entries[-1].term : prev_term;
        /* the rest follows only if this part is in the log */
    } while (n > 0 && !d->failed && d->raft.current_term == f.term &&
             d->raft.state == RAFT_FOLLOWER && raft_driver_term_of(d, prev) == prev_term);
    return RAFT_DRIVER_OK;
}

enum raft_driver_result raft_receive_install(struct raft_driver *d, uint32_t from,
                                             const struct raft_frame *frame)
{
    if (second_leader(d, frame))
        return RAFT_DRIVER_MALFORMED;
    /* One is being restored: the log begins behind it, and its leader will see that. */
    if (d->stale || d->restoring || (d->paused && !d->repairing))
        return RAFT_DRIVER_OK;
    /* Defect 6: a further InstallSnapshot while one is being installed leaks: it goes no further.
     */
    if (RAFT_WRAPPED(d, 6) && d->raft.snapshot.installing) {
        d->counters.wrapped[6]++;
        return RAFT_DRIVER_OK;
    }
    uint64_t term = raft_driver_term_of(d, frame->index);
    if (frame->index <= d->commit && term != 0 && term != frame->index_term) {
        raft_contradicted(d, from, "snapshot", frame->index, frame->index_term);
        return RAFT_DRIVER_OK;
    }
    raft_install_piece(d, from, frame);
    return RAFT_DRIVER_OK;
}

static bool offer(struct raft_driver *d, const struct raft_incoming *in)
{
    struct raft_message message = {.type = RAFT_INSTALL_SNAPSHOT};
    struct raft_install_snapshot *args = &message.install_snapshot;
    args->term = in->term;
    args->last_index = in->meta.index;
    args->last_term = in->meta.term;
    args->conf_index = in->meta.configuration.index;
    args->data.base =
        raft_calloc(1, 8); /* the core only hands it back; the bytes are on the disk */
    args->data.len = 8;
    if (args->data.base == NULL || !raft_core_configuration(&in->meta.configuration, &args->conf)) {
        raft_free(args->data.base);
        raft_fail(d, "out of memory");
        return false;
    }
    d->stale = in->term < d->raft.current_term;
    if (!d->stale)
        heard_leader(d, in->term);
    receive(d, in->from, &message, NULL);
    d->stale = false;
    return d->installing;
}

/* Time has passed since its first piece: what the core must not hear is looked at anew. */
void raft_offer_install(struct raft_driver *d)
{
    struct raft_incoming in = d->incoming;
    bool leads = d->raft.state == RAFT_LEADER && in.term == d->raft.current_term;
    bool busy = d->restoring || (d->paused && !d->repairing) ||
                (RAFT_WRAPPED(d, 6) && d->raft.snapshot.installing);
    d->counters.wrapped[6] += busy && d->raft.snapshot.installing;
    if (leads || busy || !raft_history_installs(d, in.incarnation) ||
        !offer(d, &in)) /* it has what the snapshot holds, or a newer term */
        d->storage.draft_drop(d->storage.self, REPL_DRAFT_RECEIVED);
    d->incoming = (struct raft_incoming){0};
}

/* Defect 10: the core reads a candidate's state of whatever state it is in when a vote's result
 * comes late: only candidates get them. */
static bool stray_vote_result(struct raft_driver *d, const struct raft_frame *f)
{
    if (!RAFT_WRAPPED(d, 10) || f->type != RAFT_FRAME_REQUEST_VOTE_RESULT ||
        d->raft.state == RAFT_CANDIDATE)
        return false;
    d->counters.wrapped[10]++;
    return true;
}

/* Defect 12 (found by tests/unit/raft): a node refuses its vote while its own log's newest
 * configuration does not make it a voter, and then for ever believes in its last leader. But it may
 * only not have received its promotion yet, or hold a removal that was never committed: where its
 * vote is needed, nobody leads again. Raft's rule is that the candidate's configuration counts
 * votes, and that everyone answers by log, term, and whether it heard a leader within an election
 * timeout. So for the time of the step we are a voter. (A node whose log is empty never lends its
 * vote: it may have lost everything.)
 *
 * Defect 16 (found by tests/sim): a follower believes in its leader until its own timer ends, which is
 * drawn from one to two election timeouts, and refuses votes until then. Where one node alone has the
 * newest entry it has to ask once more: a takeover took up to two elections. Raft's rule (section
 * 4.2.3) is to refuse within the minimum election timeout. So for the time of the step we have no
 * leader when it is silent; afterwards we have it again, for the core answers it when entries that it
 * sent are stored. (Never while a snapshot is being installed.) */
struct lent {
    bool vote, leader;
    struct raft_server self;
    struct raft_configuration configuration;
    raft_id leader_id;
    raft_term term;
};

static void lend_vote(struct raft_driver *d, struct lent *lent)
{
    struct raft *r = &d->raft;
    if (!RAFT_WRAPPED(d, 12) || r->configuration.n == 0 ||
        raft_driver_status(d).role == RAFT_DRIVER_VOTER)
        return;
    lent->vote = true;
    lent->self =
        (struct raft_server){.id = d->options.node, .address = r->address, .role = RAFT_VOTER};
    lent->configuration = r->configuration;
    r->configuration = (struct raft_configuration){.servers = &lent->self, .n = 1};
    d->counters.wrapped[12]++;
}

static void forget_silent_leader(struct raft_driver *d, struct lent *lent)
{
    struct raft *r = &d->raft;
    if (!RAFT_WRAPPED(d, 16) || r->follower_state.current_leader.id == 0 ||
        r->snapshot.installing || d->now_ms - d->leader_heard_ms < d->options.election_ms)
        return;
    lent->leader = true;
    lent->leader_id = r->follower_state.current_leader.id;
    lent->term = r->current_term;
    r->follower_state.current_leader.id = 0;
    d->counters.wrapped[16]++;
}

static void lend(struct raft_driver *d, const struct raft_frame *f, struct lent *lent)
{
    *lent = (struct lent){0};
    if (f->type != RAFT_FRAME_REQUEST_VOTE || d->raft.state != RAFT_FOLLOWER)
        return;
    lend_vote(d, lent);
    forget_silent_leader(d, lent);
}

static void take_back(struct raft_driver *d, const struct lent *lent)
{
    /* a request for a vote makes nobody anything else */
    HF_ASSERT((!lent->vote && !lent->leader) || d->raft.state == RAFT_FOLLOWER);
    if (lent->vote)
        d->raft.configuration = lent->configuration;
    if (lent->leader && d->raft.current_term == lent->term)
        d->raft.follower_state.current_leader.id = lent->leader_id;
}

/* Defect 14 (found by tests/unit/raft): who refuses a pre-vote answers with the term asked for, not
 * its own. A candidate with the longest log but a lower term never learns the higher one, and
 * nobody else can win: no leader for ever. The refusal says our term. */
uint64_t raft_answer_term(struct raft_driver *d, uint64_t term, bool pre_vote, bool granted)
{
    if (!RAFT_WRAPPED(d, 14) || !pre_vote || granted || term >= d->raft.current_term)
        return term;
    d->counters.wrapped[14]++;
    return d->raft.current_term;
}

bool raft_only_voter(const struct raft_driver *d, const struct repl_configuration *c)
{
    bool self = false, other = false;
    for (unsigned i = 0; i < c->n_servers; i++)
        if (c->servers[i].role == RAFT_DRIVER_VOTER) {
            self = self || c->servers[i].node == d->options.node;
            other = other || c->servers[i].node != d->options.node;
        }
    return self && !other;
}

/* Defect 13 (found by tests/unit/raft): the only voter makes itself leader without a new term. So a
 * term can be led twice, by two nodes or by one before and after it lost unsynced entries, and
 * followers hold different entries of one term at one index. The term is raised, and stored, before
 * it comes to that: at start ... */
void raft_raise_term_at_start(struct raft_driver *d, uint64_t *term, uint32_t *voted_for)
{
    if (!RAFT_WRAPPED(d, 13) || *term == 0)
        return;
    struct repl_configuration c = raft_configuration_at(d, raft_log_last(&d->log));
    if (!raft_only_voter(d, &c))
        return;
    *term += 1;
    *voted_for = d->options.node;
    d->counters.wrapped[13]++;
    if (!raft_store_vote(d, *term, *voted_for))
        raft_fail(d, "out of memory");
}

/* ... and when a follower's timer ends. */
void raft_raise_term_at_timeout(struct raft_driver *d)
{
    struct raft *r = &d->raft;
    if (!RAFT_WRAPPED(d, 13) || r->state != RAFT_FOLLOWER || r->snapshot.installing ||
        r->last_stored < raft_log_last(&d->log))
        return;
    struct repl_configuration c = raft_from_core(&r->configuration, 0);
    if (!raft_only_voter(d, &c))
        return;
    r->current_term += 1;
    r->voted_for = d->options.node;
    r->follower_state.match = 0;
    d->counters.wrapped[13]++;
    if (!raft_store_vote(d, r->current_term, d->options.node))
        raft_fail(d, "out of memory");
}

/* ... and a TimeoutNow cannot be meant for it. */
static bool stray_timeout_now(struct raft_driver *d, const struct raft_frame *f)
{
    struct repl_configuration c = raft_from_core(&d->raft.configuration, 0);
    if (!RAFT_WRAPPED(d, 13) || f->type != RAFT_FRAME_TIMEOUT_NOW || !raft_only_voter(d, &c))
        return false;
    d->counters.wrapped[13]++;
    return true;
}

enum raft_driver_result raft_receive_small(struct raft_driver *d, uint32_t from,
                                           const struct raft_frame *f)
{
    struct raft_message m = {0};
    if (stray_vote_result(d, f) || stray_timeout_now(d, f))
        return RAFT_DRIVER_OK;
    switch (f->type) {
    case RAFT_FRAME_APPEND_RESULT:
        raft_weigh_result(d, from, f);
        m.type = RAFT_APPEND_ENTRIES_RESULT;
        m.append_entries_result = (struct raft_append_entries_result){
            .version = 2, .term = f->term, .rejected = f->rejected, .last_log_index = f->index};
        break;
    case RAFT_FRAME_REQUEST_VOTE:
        m.type = RAFT_REQUEST_VOTE;
        m.request_vote = (struct raft_request_vote){.version = 2,
                                                    .term = f->term,
                                                    .candidate_id = from,
                                                    .last_log_index = f->index,
                                                    .last_log_term = f->index_term,
                                                    .disrupt_leader = f->disrupt,
                                                    .pre_vote = f->pre_vote};
        break;
    case RAFT_FRAME_REQUEST_VOTE_RESULT:
        m.type = RAFT_REQUEST_VOTE_RESULT;
        m.request_vote_result = (struct raft_request_vote_result){
            .version = 2, .term = f->term, .vote_granted = f->granted, .pre_vote = f->pre_vote};
        break;
    case RAFT_FRAME_TIMEOUT_NOW:
        m.type = RAFT_TIMEOUT_NOW;
        m.timeout_now = (struct raft_timeout_now){
            .term = f->term, .last_log_index = f->index, .last_log_term = f->index_term};
        break;
    case RAFT_FRAME_APPEND:
    case RAFT_FRAME_INSTALL:
    case RAFT_FRAME_INSTALL_ACK:
    case RAFT_FRAME_TRUST:
    case RAFT_FRAME_DISTRUST:
    case RAFT_FRAME_FOUND:
        return RAFT_DRIVER_MALFORMED;
    }
    struct lent lent;
    lend(d, f, &lent);
    receive(d, from, &m, NULL);
    take_back(d, &lent);
    return RAFT_DRIVER_OK;
}

struct raft_peer *raft_peer_of(struct raft_driver *d, uint32_t node)
{
    for (size_t i = 0; i < RAFT_MAX_PEERS; i++)
        if (d->peers[i].node == node)
            return &d->peers[i];
    struct raft_peer *p = &d->peers[d->next_peer];
    d->next_peer = (d->next_peer + 1) % RAFT_MAX_PEERS;
    *p = (struct raft_peer){.node = node};
    return p;
}

/* Defect 11: the core's bookkeeping of followers breaks for good when a frame comes twice or out of
 * order: such frames are dropped. */
bool raft_in_order(struct raft_driver *d, uint32_t from, const struct raft_frame *f)
{
    if (!RAFT_WRAPPED(d, 11))
        return true;
    struct raft_peer *p = raft_peer_of(d, from);
    if ((p->boot == f->boot && p->sequence != 0 && f->sequence <= p->sequence) ||
        (p->former_boot == f->boot && p->boot != f->boot && p->former_boot != 0)) {
        d->counters.wrapped[11]++;
        return false;
    }
    if (p->boot != f->boot)
        p->former_boot = p->boot;
    p->boot = f->boot;
    p->sequence = f->sequence;
    return true;
}

/* Defect 2: a new leader may commit a CHANGE before anything of its own term, and so two different
 * entries at one index. So a BARRIER of its own term comes first (the core appends one itself only
 * when something is uncommitted) ... */
void raft_commit_own_term(struct raft_driver *d)
{
    if (!RAFT_WRAPPED(d, 2) ||
        raft_driver_term_of(d, raft_log_last(&d->log)) == d->raft.current_term)
        return;
    struct repl_entry barrier = {.term = d->raft.current_term, .kind = REPL_ENTRY_BARRIER};
    d->counters.wrapped[2]++;
    if (raft_submit_entries(d, &barrier, 1) != 0)
        raft_fail(d, "a new leader could not append its barrier");
}

/* ... and no CHANGE begins before an entry of its own term is committed. */
bool raft_may_change(const struct raft_driver *d)
{
    return !RAFT_WRAPPED(d, 2) || d->own_term_applied == d->raft.current_term;
}

/* Defect 4: demotion to spare leaves raft_timeout() in the past, for ever: the caller's loop would
 * spin. When the core has just had its RAFT_TIMEOUT, half a heartbeat passes before the next. */
void raft_clamp_timeout(const struct raft_driver *d, uint64_t *timeout_ms)
{
    uint64_t pause = d->options.heartbeat_ms / 2 > 0 ? d->options.heartbeat_ms / 2 : 1;
    if (RAFT_WRAPPED(d, 4) && *timeout_ms <= d->timeout_step_ms)
        *timeout_ms = d->timeout_step_ms + pause;
}

/* Defect 15 (found by tests/unit/repl): at each timeout, which is at each heartbeat, a leader takes for
 * unreachable whom it has not heard since its timeout before, and ends the pipeline to it. Where the
 * heartbeats to two followers fall apart by a millisecond, the answer to one is still on its way at
 * the other's: what is appended next waits for the next heartbeat to it, at rest for both of them.
 * The core looks back as far as its election timer: that is put to an election timeout ago, or to
 * when it became leader. A leader without a majority ends as soon as ever. */
void raft_look_back(struct raft_driver *d)
{
    struct raft *r = &d->raft;
    uint64_t since = d->now_ms > r->election_timeout ? d->now_ms - r->election_timeout : 0;
    since = since > d->led_since_ms ? since : d->led_since_ms;
    if (!RAFT_WRAPPED(d, 15) || r->state != RAFT_LEADER || since >= r->election_timer_start)
        return;
    r->election_timer_start = since;
    d->counters.wrapped[15]++;
}

/* Defect 5: RAFT_SNAPSHOT after an install began corrupts the core's log: it is dropped. */
bool raft_snapshot_overtaken(struct raft_driver *d)
{
    if (!RAFT_WRAPPED(d, 5) || d->taking.index > d->raft.trail.snapshot.index)
        return false;
    d->counters.wrapped[5]++;
    return true;
}

/* Defect 7: catching up a node that has everything already never ends: no RAFT_CATCH_UP then. */
bool raft_catch_up_needed(struct raft_driver *d, uint32_t node)
{
    if (!RAFT_WRAPPED(d, 7) || raft_driver_match(d, node) < raft_log_last(&d->log))
        return true;
    d->counters.wrapped[7]++;
    return false;
}

/* Defect 8: RAFT_CATCH_UP off the leader, or for an id that it does not know, reads wild memory. */
bool raft_catch_up_refused(struct raft_driver *d, uint32_t node, enum raft_driver_result *result)
{
    if (!RAFT_WRAPPED(d, 8))
        return false;
    if (d->raft.state != RAFT_LEADER) {
        d->counters.wrapped[8]++;
        *result = RAFT_DRIVER_NOT_LEADER;
        return true;
    }
    for (unsigned i = 0; i < d->raft.configuration.n; i++)
        if (d->raft.configuration.servers[i].id == node)
            return false;
    d->counters.wrapped[8]++;
    *result = RAFT_DRIVER_INVALID;
    return true;
}
