/* Records made ready, events released, and what the replica shows of itself. */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "replication/replica_parts.h"

uint8_t *replica_pack(struct Holdfast__Record *record, uint32_t node, uint64_t boot,
                      uint64_t request, const struct seal *seal, size_t *n)
{
    size_t plain_len = 0;

    record->node = node;
    record->boot = boot;
    record->request = request;
    if (!record_valid(record))
        return NULL;

    uint8_t *plain = record_pack(record, &plain_len);

    if (plain == NULL)
        return NULL;

    uint8_t *sealed = repl_alloc_zero(1, plain_len + seal->overhead + 1);
    bool ok = seal->seal(seal->self, SEAL_RECORD, record_seal_kind(record), request,
                         span_of(plain, plain_len), sealed, n);

    secret_wipe_bytes(plain, plain_len);
    free(plain);
    if (!ok) {
        free(sealed);
        return NULL;
    }
    return sealed;
}

void repl_event_free(struct repl_event *event)
{
    if (event == NULL)
        return;
    if (event->record != NULL)
        record_free(event->record);
    if (event->bytes != NULL)
        secret_wipe_bytes(event->bytes, event->bytes_len);
    free(event->bytes);
    document_drop(event->document);
    free(event->children);
    free(event->items);
    free(event);
}

const char *repl_counter_name(enum repl_counter counter)
{
    static const char *const names[REPL_COUNTERS] = {
        [REPL_COUNT_APPLIED] = "records_applied",
        [REPL_COUNT_ACCEPTED] = "records_accepted",
        [REPL_COUNT_REFUSED_EPOCH] = "records_refused_epoch",
        [REPL_COUNT_REFUSED_VERSION] = "records_refused_version",
        [REPL_COUNT_REFUSED_EXISTS] = "records_refused_exists",
        [REPL_COUNT_REFUSED_UNKNOWN] = "records_refused_unknown",
        [REPL_COUNT_REFUSED_MALFORMED] = "records_refused_malformed",
        [REPL_COUNT_REFUSED_DUPLICATE] = "records_refused_duplicate",
        [REPL_COUNT_REFUSED_FULL] = "records_refused_full",
        [REPL_COUNT_ENTRIES] = "entries_submitted",
        [REPL_COUNT_FORWARDED] = "records_forwarded",
        [REPL_COUNT_RESUBMITTED] = "records_resubmitted",
        [REPL_COUNT_ASSIGNED] = "assignments_decided",
        [REPL_COUNT_HEARTBEATS] = "heartbeats_sent",
        [REPL_COUNT_ACKS] = "promises_given",
        [REPL_COUNT_ACKS_REFUSED] = "promises_refused",
        [REPL_COUNT_LEASES_LOST] = "leases_lost",
        [REPL_COUNT_SNAPSHOTS] = "snapshots_taken",
        [REPL_COUNT_RESTORES] = "snapshots_restored",
        [REPL_COUNT_FRAMES_MALFORMED] = "frames_malformed",
        [REPL_COUNT_FRAMES_FOREIGN] = "frames_foreign",
        [REPL_COUNT_DIGEST_MISMATCH] = "digest_mismatches",
        [REPL_COUNT_KEYS_ERASED] = "keys_erased",
        [REPL_COUNT_REINSTALLS] = "states_reinstalled",
        [REPL_COUNT_DOUBTED] = "nodes_doubted",
    };

    return (size_t)counter < REPL_COUNTERS ? names[counter] : "?";
}

const char *repl_role_name(enum repl_role role)
{
    static const char *const names[] = {"voter",   "learner", "joining", "expected",
                                        "leaving", "left",    "outside"};

    return (size_t)role < sizeof names / sizeof *names ? names[role] : "?";
}

bool repl_is_member(enum repl_role role)
{
    return role == REPL_VOTER || role == REPL_LEARNER || role == REPL_JOINING;
}

size_t repl_linked_members(const struct repl_status *st, uint32_t nodes[REPL_MAX_NODES])
{
    size_t n = 0;

    for (size_t i = 0; i < st->n_nodes; i++)
        if (st->nodes[i].connected && st->nodes[i].node != st->node &&
            repl_is_member(st->nodes[i].role))
            nodes[n++] = st->nodes[i].node;
    return n;
}

static uint8_t role_in(const struct repl_configuration *c, uint32_t node)
{
    for (size_t i = 0; i < c->n_servers; i++)
        if (c->servers[i].node == node)
            return c->servers[i].role;
    return RAFT_DRIVER_NO_MEMBER;
}

/* Until its own start is applied a node may stand anywhere in its log, without a majority for ever: then
 * whom the end of the log does not name has left since. */
static enum repl_role role_of(const struct replica *r, size_t i,
                              const struct repl_configuration *newest)
{
    const struct fsm_member *m = fsm_member(&r->fsm, r->nodes[i].node);
    uint8_t role = r->nodes[i].role;
    bool left = m != NULL && m->left;

    if (!r->ownership.confirmed && newest->n_servers > 0 && newest->index > r->fsm.applied_index) {
        uint8_t by_then = role_in(newest, r->nodes[i].node);

        left = by_then == RAFT_DRIVER_NO_MEMBER && (m != NULL || role != RAFT_DRIVER_NO_MEMBER);
        role = by_then;
    }
    if (left)
        return role == RAFT_DRIVER_NO_MEMBER ? REPL_LEFT : REPL_LEAVING;
    if (role == RAFT_DRIVER_VOTER)
        return REPL_VOTER;
    if (role != RAFT_DRIVER_NO_MEMBER)
        return REPL_LEARNER;
    if (m != NULL)
        return REPL_JOINING;
    for (size_t k = 0; k < r->fsm.n_tokens; k++)
        if (r->fsm.tokens[k].node == r->nodes[i].node)
            return REPL_EXPECTED;
    return REPL_OUTSIDE;
}

static void members_status(const struct replica *r, struct repl_status *out)
{
    out->speaks = fsm_spoken(&r->fsm);
    for (size_t i = 0; i < r->fsm.n_members; i++)
        if (r->fsm.members[i]->left)
            out->gone[out->n_gone++] = r->fsm.members[i]->node;
    for (size_t i = 0; i < r->fsm.n_tokens; i++) {
        const struct fsm_token *t = &r->fsm.tokens[i];

        out->tokens[i] = (struct repl_token_status){.node = t->node, .expires_ms = t->expires_ms};
        memcpy(out->tokens[i].hash, t->hash, sizeof t->hash);
    }
    out->n_tokens = r->fsm.n_tokens;
}

static bool heard(const struct replica *r, size_t i)
{
    uint64_t at = r->ownership.peers[i].heard_ns;

    return at != 0 && (at >= r->now_ns || r->now_ns - at <= SOUND_MS * 1000000ull);
}

static void node_status(const struct replica *r, size_t i, const struct repl_configuration *newest,
                        struct repl_node_status *out)
{
    uint32_t node = r->nodes[i].node;
    bool self = node == r->options.node;
    const struct fsm_member *m = fsm_member(&r->fsm, node);

    *out = (struct repl_node_status){
        .node = node,
        .address = r->nodes[i].address,
        .connected = self || r->transport.connected(r->transport.self, node),
        .heard = self || heard(r, i),
        .leader = node == r->raft.leader,
        .healthy = ownership_candidate(&r->ownership, i, r->now_ns),
        .drained = r->ownership.peers[i].drained,
        .reluctant = r->ownership.peers[i].reluctant,
        .role = role_of(r, i, newest),
        .votes = role_in(newest, node) == RAFT_DRIVER_VOTER,
        .boot = m == NULL ? 0 : m->boot,
        .applied_index = self ? r->fsm.applied_index : r->ownership.peers[i].applied_index,
        .agreement = replica_agreement(r, node),
        .distrust = self ? r->raft.muted : r->nodes[i].distrust,
    };
}

static void shard_status(struct replica *r, size_t i, struct repl_shard_status *out)
{
    const struct ownership_shard *o = ownership_shard(&r->ownership, r->options.shards[i].shard);
    const struct fsm_shard *s = fsm_shard(&r->fsm, o->shard);

    *out = (struct repl_shard_status){.shard = o->shard,
                                      .prefer = o->prefer,
                                      .home = o->home,
                                      .moving_to = o->moving_to,
                                      .epoch = o->epoch,
                                      .owner_node = o->owner_node,
                                      .owner_boot = o->owner_boot,
                                      .assignments = s == NULL ? 0 : s->assignments,
                                      .mine = o->mine,
                                      .lease_until_ns = o->mine ? o->lease_until_ns : 0};
}

/* The leader hears of a majority; another node hears of the leader. */
static bool has_quorum(const struct replica *r)
{
    uint64_t promise = ownership_promise_ns(&r->ownership);
    size_t n = 0;

    for (size_t i = 0; i < r->n_nodes; i++) {
        const struct ownership_peer *p = &r->ownership.peers[i];
        bool near = r->nodes[i].node == r->options.node ||
                    (p->heard_ns != 0 && r->now_ns - p->heard_ns <= promise);

        if (near && r->nodes[i].node == r->raft.leader && r->raft.leader != r->options.node)
            return true;
        n += near && p->voter;
    }
    return r->able && ownership_majority(&r->ownership, n);
}

void replica_tell_quorum(struct replica *r)
{
    bool now = has_quorum(r);

    if (now == r->quorum_told)
        return;
    r->quorum_told = now;
    replica_emit(r, (struct repl_event){.kind = REPL_EV_QUORUM, .held = now});
}

void replica_status(const struct replica *r, uint64_t now_ns, struct repl_status *out)
{
    struct raft_driver_status raft = raft_driver_status(r->driver);
    struct digest d = fsm_content_digest(&r->fsm);
    const struct repl_configuration newest = replica_newest_configuration(r);

    (void)now_ns;
    *out = (struct repl_status){.node = r->options.node,
                                .leader = raft.leader,
                                .boot = r->options.boot,
                                .incarnation = replica_incarnation(r),
                                .term = raft.term,
                                .last_index = raft.last_index,
                                .commit_index = raft.commit_index,
                                .applied_index = r->fsm.applied_index,
                                .snapshot_index = raft.snapshot_index,
                                .cluster_ms = replica_cluster_ms(r),
                                .applied_ms = r->fsm.cluster_ms,
                                .quorum = has_quorum(r),
                                .lacks_key = r->waiting != NULL || !replica_sees(r),
                                .sessionless = r->sessionless,
                                .timing = r->options.timing,
                                .key = {.session = r->fsm.session_key,
                                        .former = r->fsm.former_key,
                                        .came_ms = r->fsm.key_ms,
                                        .age_ms = r->options.key_age_ms,
                                        .wished = r->fsm.rotate_wish != 0},
                                .n_nodes = r->n_nodes,
                                .n_shards = r->options.n_shards,
                                .outstanding = r->outbox->n};
    put_be64(out->digest, d.a);
    put_be64(out->digest + 8, d.b);
    for (size_t i = 0; i < r->n_nodes; i++)
        node_status(r, i, &newest, &out->nodes[i]);
    members_status(r, out);
    replica_waits(r, out->waits);
    for (size_t i = 0; i < r->options.n_shards; i++)
        shard_status((struct replica *)(uintptr_t)r, i, &out->shards[i]);
    memcpy(out->counters, r->counters, sizeof out->counters);
}

bool replica_fits(const struct repl_loaded *loaded, const struct replica_options *options,
                  const char **why)
{
    const struct repl_configuration *stored = &loaded->snapshot.configuration;
    struct replica_options own = *options;
    size_t found = 0;

    *why = "";
    replica_founders(&own);
    if (loaded->snapshot.index == 0 && loaded->n_entries == 0 && !options->joined) {
        *why = "the data directory holds no configuration: run --init once";
        return false;
    }
    if (loaded->snapshot.index == 0)
        return true; /* entry 1 is judged when it is committed */
    if (stored->index != 1 || options->joined)
        return true; /* members came or went: the log knows who */
    for (size_t i = 0; i < stored->n_servers; i++)
        for (size_t k = 0; k < own.n_founders; k++)
            found += stored->servers[i].node == own.founders[k];
    if (found == own.n_founders && found == stored->n_servers)
        return true;
    *why = "the node list of the configuration differs from the one in the log";
    return false;
}

uint64_t replica_clock_read(const struct replica_clock *clock, _Atomic uint64_t *given_ms,
                            uint64_t now_ns)
{
    int64_t offset = atomic_load_explicit(&clock->offset_ms, memory_order_relaxed);
    uint64_t newest = atomic_load_explicit(&clock->newest_ms, memory_order_relaxed);
    int64_t now = (int64_t)(now_ns / 1000000) + offset;
    uint64_t ms = now < 0 ? 0 : (uint64_t)now;
    uint64_t given = atomic_load_explicit(given_ms, memory_order_relaxed);

    if (newest == 0)
        return given; /* nothing is stamped yet: there is no cluster time */
    if (ms > newest + REPL_MAX_ADVANCE_MS)
        ms = newest + REPL_MAX_ADVANCE_MS;
    while (ms > given && !atomic_compare_exchange_weak_explicit(
                             given_ms, &given, ms, memory_order_relaxed, memory_order_relaxed))
        ;
    return ms > given ? ms : given;
}
