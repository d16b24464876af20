/* The world's one loop, what it holds at every step, and what must be so when all has healed. */
#include "sim/sim_world.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "policy/policy.h"
#include "sim/sim_run.h"

enum {
    CHECK_EVERY_MS = 100,
    OWNER_WITHIN_MS = 10000,  /* L1, after the healing began */
    HANDOVER_MS = 100,        /* ... and a handover that is under way then: it takes some ms */
    SERVED_WITHIN_MS = 75000, /* L1 of a client, after the healing began, however long that is */
    KEYS_WITHIN_MS = 15000,   /* an erased key in no memory, on whoever came back */
    SETTLED_WITHIN_MS =
        30000, /* L2, L3: an instant at which all agree and no exchange is under way */
    DELETE_WITHIN_MS =
        85000, /* ... an old IKE SA's, whose Delete is awaited since the healing began (ike/timer.c) */
    AGREED_WITHIN_MS = 5000, /* ... or at which all agree, at least */
    LIVELOCK = 100000        /* passes in one ms */
};

static struct sim_result *result_now; /* of the run that is under way: one at a time */

void sim_say(const struct sim_world *w, const char *format, ...)
{
    va_list args;

    if (!w->verbose)
        return;
    (void)fprintf(stderr, "%9.3f ", (double)w->now_ms / 1000.0);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

void sim_violation(struct sim_world *w, const char *format, ...)
{
    char text[200];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sim_say(w, "VIOLATION %s", text);
    if (w->stats.counts[SIM_COUNT_violations]++ == 0)
        (void)snprintf(result_now->first, sizeof result_now->first, "at %.3f s: %s",
                       (double)w->now_ms / 1000.0, text);
}

/* What the watch has found since it was asked last. */
static void take_violations(struct sim_world *w)
{
    const struct sim_watch_violation *kept;
    uint64_t n = sim_watch_violations(w->watch, &kept);

    for (; w->watch_told < n; w->watch_told++)
        if (w->watch_told < SIM_WATCH_KEPT)
            sim_violation(w, "%s: %s", sim_watch_rule_name(kept[w->watch_told].rule),
                          kept[w->watch_told].text);
        else
            w->stats.counts[SIM_COUNT_violations]++;
}

void sim_fold(struct sim_world *w, uint64_t value)
{
    w->trace = sim_mix(w->trace ^ value);
}

/* --- making it --- */

static void make_policy(struct sim_world *w)
{
    struct ike_policy *p = &w->policy;

    test_policy_init(p);
    p->local_id = test_policy_identity(2, "gw");
    p->psks = w->psks;
    p->n_psks = w->plan.n_clients;
    p->dpd_ms = 10000;
    p->unanswered_ms = 40000;
    p->linger_ms = 5000;
    p->retransmit_tries = 4;
    p->pfs = (enum ike_pfs)sim_between(&w->random, IKE_PFS_NEVER, IKE_PFS_ALWAYS);
    p->child_life.hard_ms = sim_between(&w->random, 40, 300) * 1000;
    p->ike_life.hard_ms = sim_between(&w->random, 90, 900) * 1000;
    p->esp[0].esn = p->esp[1].esn = w->plan.esn;
}

static void make(struct sim_world *w)
{
    for (uint32_t i = 0; i < SIM_SHARDS; i++)
        w->shard_ids[i] = i + 1;
    w->network = sim_network_create(sim_next(&w->random), &w->now_ms);
    sim_network_set_delay(w->network, 0, 1);
    sim_outside_init(w);
    make_policy(w);
    sim_forged_in(w);
    sim_meetings_gateway(w);
    while (w->n_nodes < w->plan.n_nodes)
        sim_node_init(w, ++w->n_nodes);
    for (uint32_t i = 0; i < w->plan.n_clients; i++)
        sim_client_init(w, i);
    for (uint32_t i = 0; i < w->n_nodes; i++)
        w->nodes[i].down_until_ms = w->now_ms + sim_between(&w->random, 1, 300);
    sim_found_late(w);
    sim_keys_found(w);
}

/* --- what holds at every step --- */

static void check_owners(struct sim_world *w)
{
    for (uint32_t shard = 1; shard <= w->plan.n_shards; shard++) {
        unsigned acting = 0;

        for (uint32_t i = 0; i < w->n_nodes; i++)
            acting += sim_node_acting(&w->nodes[i], shard);
        w->stats.counts[SIM_COUNT_owners_checked]++;
        if (acting > 1)
            sim_violation(w, "I5: %u nodes act for shard %u", acting, shard);
    }
}

static void tell_digest(struct sim_world *w, const struct sim_node *n)
{
    struct digest d = fsm_digest(replica_fsm(n->replica));
    uint8_t bytes[REPL_DIGEST_BYTES];

    put_be64(bytes, d.a);
    put_be64(bytes + 8, d.b);
    sim_watch_digest(w->watch, n->id, replica_fsm(n->replica)->applied_index, bytes);
    sim_watch_half_open(w->watch, n->id, conductor_count_half_open(n->conductor),
                        sim_node_most_half_open(n));
}

static void check_digests(struct sim_world *w)
{
    w->next_check_ms = w->now_ms + CHECK_EVERY_MS;
    sim_keys_look(w);
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        struct sim_node *n = &w->nodes[i];
        const struct fsm *f;
        struct repl_status st;

        if (!n->up)
            continue;
        f = replica_fsm(n->replica);
        replica_status(n->replica, sim_node_ns(n), &st);
        /* Before entry 1 a node has as much as its file says; without sessions, nobody's state. */
        if (f->applied_index == 0 || st.sessionless)
            continue;
        w->stats.counts[SIM_COUNT_digests_compared]++;
        tell_digest(w, n);
        sim_recovery_recorded(n);
        if (!sim_check_digest(&w->check, sim_watch_place(w->watch, n->id, f->applied_index),
                              fsm_digest(f)))
            sim_violation(w, "I11: node %u has another digest at index %" PRIu64, n->id,
                          f->applied_index);
    }
}

/* --- time --- */

static uint64_t next_due(const struct sim_world *w)
{
    uint64_t next = sim_network_next(w->network), at = sim_outside_due(w);

    next = at < next ? at : next;
    at = sim_faults_due(w);
    next = at < next ? at : next;
    at = sim_recovery_due(w);
    next = at < next ? at : next;
    at = sim_stops_due(w);
    next = at < next ? at : next;
    at = sim_flap_due(w);
    next = at < next ? at : next;
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        at = sim_node_due(&w->nodes[i]);
        next = at < next ? at : next;
    }
    for (uint32_t i = 0; i < w->plan.n_clients; i++) {
        at = sim_client_due(&w->clients[i]);
        next = at < next ? at : next;
    }
    return next < w->next_check_ms ? next : w->next_check_ms;
}

/* Everything that is due now, once around. */
static void pass(struct sim_world *w)
{
    while (sim_network_run(w->network))
        w->stats.counts[SIM_COUNT_frames]++;
    while (sim_outside_run(w))
        ;
    for (uint32_t i = 0; i < w->n_nodes; i++)
        if (sim_node_due(&w->nodes[i]) <= w->now_ms)
            sim_node_run(&w->nodes[i]);
    for (uint32_t i = 0; i < w->plan.n_clients; i++)
        if (sim_client_due(&w->clients[i]) <= w->now_ms)
            sim_client_run(&w->clients[i]);
    if (sim_recovery_due(w) <= w->now_ms)
        sim_recovery_run(w);
    if (sim_stops_due(w) <= w->now_ms)
        sim_stops_run(w);
    if (sim_flap_due(w) <= w->now_ms)
        sim_flap_run(w);
    if (sim_faults_due(w) <= w->now_ms)
        sim_faults_run(w);
    check_owners(w);
    take_violations(w);
    if (w->next_check_ms <= w->now_ms)
        check_digests(w);
    w->stats.counts[SIM_COUNT_steps]++;
}

static bool is_ill(const struct sim_node *n)
{
    if (n->gone || n->left || n->lost)
        return false; /* the cluster goes on without it */
    return !n->up || n->paused || n->stuck || n->hung || n->disk_slow || n->disk_hung ||
           n->disk_full || !n->outside_up || !n->inside_up || sim_kernel_is_cut(&n->kernel);
}

static bool in_trouble(const struct sim_world *w)
{
    bool any = w->partition_until_ms != 0;

    for (uint32_t i = 0; i < w->n_nodes && !any; i++)
        any = is_ill(&w->nodes[i]);
    for (uint32_t i = 0; i < w->plan.n_clients && !any; i++)
        any = w->clients[i].path_until_ms != 0 || w->clients[i].mute_until_ms > w->now_ms;
    return any;
}

void sim_until(struct sim_world *w, uint64_t end_ms)
{
    unsigned passes = 0;

    for (;;) {
        uint64_t next = next_due(w);

        if (next > end_ms || (w->first && w->stats.counts[SIM_COUNT_violations] > 0))
            break;
        passes = next > w->now_ms ? 0 : passes + 1;
        HF_ASSERT(passes < LIVELOCK);
        next = next > w->now_ms ? next : w->now_ms;
        w->stats.counts[SIM_COUNT_troubled_ms] += in_trouble(w) ? next - w->now_ms : 0;
        w->now_ms = next;
        pass(w);
    }
    w->now_ms = end_ms;
}

/* --- when all has healed --- */

/* In the last five seconds; NULL = nothing. */
static const char *lacks(const struct sim_client *c)
{
    enum { LATELY_MS = 5000 };
    uint64_t since_ms = c->world->now_ms - LATELY_MS;

    return !c->established              ? "tunnel"
           : c->last_up_ms < since_ms   ? "traffic towards the server"
           : c->last_down_ms < since_ms ? "traffic from the server"
                                        : NULL;
}

static bool served(const struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.n_clients; i++)
        if (lacks(&w->clients[i]) != NULL)
            return false;
    return true;
}

/* A client whose gateway gave its SA up asks 36 s for a Delete that nobody answers, before it dials. */
static void check_served(struct sim_world *w, uint64_t healing_ms)
{
    while (!served(w) && w->now_ms < healing_ms + SERVED_WITHIN_MS)
        sim_until(w, w->now_ms + 100);
    for (uint32_t i = 0; i < w->plan.n_clients; i++)
        if (lacks(&w->clients[i]) != NULL)
            sim_violation(w, "L1: client %u has no %s", i, lacks(&w->clients[i]));
}

/* For who reads the trace of a seed that failed. */
static void describe(const struct sim_world *w)
{
    for (uint32_t i = 0; i < w->n_nodes && w->verbose; i++) {
        const struct sim_node *n = &w->nodes[i];
        struct repl_status st;

        if (!n->up) {
            sim_say(w, "node %u is %s", n->id,
                    n->gone   ? "not there"
                    : n->lost ? "lost for good"
                              : "down");
            continue;
        }
        replica_status(n->replica, sim_node_ns(n), &st);
        sim_say(w,
                "node %u: leader %u term %" PRIu64 " last %" PRIu64 " commit %" PRIu64
                " applied %" PRIu64 " quorum %d outstanding %" PRIu64 " lacks a key %d",
                n->id, st.leader, st.term, st.last_index, st.commit_index, st.applied_index,
                st.quorum, st.outstanding, st.lacks_key);
        for (size_t k = 0; k < st.n_shards; k++)
            sim_say(w, "  shard %u: owner %u epoch %" PRIu64 " mine %d lease %" PRId64 " ms",
                    st.shards[k].shard, st.shards[k].owner_node, st.shards[k].epoch.index,
                    st.shards[k].mine,
                    ((int64_t)st.shards[k].lease_until_ns - (int64_t)sim_node_ns(n)) / 1000000);
        for (size_t k = 0; k < st.n_nodes; k++)
            sim_say(w, "  sees node %u: connected %d healthy %d reluctant %d drained %d",
                    st.nodes[k].node, st.nodes[k].connected, st.nodes[k].healthy,
                    st.nodes[k].reluctant, st.nodes[k].drained);
    }
}

static bool is_owned(const struct sim_world *w, uint32_t shard)
{
    bool owned = false;

    for (uint32_t i = 0; i < w->n_nodes; i++)
        owned |= sim_node_acting(&w->nodes[i], shard);
    return owned;
}

/* Between the two owners of a handover nobody acts: it is waited for. */
static void check_owned(struct sim_world *w)
{
    for (uint32_t shard = 1; shard <= w->plan.n_shards; shard++) {
        for (uint64_t end = w->now_ms + HANDOVER_MS; !is_owned(w, shard) && w->now_ms < end;)
            sim_until(w, w->now_ms + 1);
        if (is_owned(w, shard))
            continue;
        sim_violation(w, "L1: nobody acts for shard %u", shard);
        describe(w);
    }
}

/* Everybody has applied the same, and every conductor has heard of it. */
bool sim_agreed(const struct sim_world *w)
{
    const struct fsm *first = NULL;

    for (uint32_t i = 0; i < w->n_nodes; i++) {
        const struct fsm *f;

        if (!w->nodes[i].up || !sim_members_has(w, w->nodes[i].id))
            continue;
        f = replica_fsm(w->nodes[i].replica);
        first = first == NULL ? f : first;
        if (f->applied_index != first->applied_index || w->nodes[i].n_events > 0)
            return false;
    }
    return true;
}

/* Hidden records stay hidden for as long as a conductor is behind, no longer. */
static void check_gaps(struct sim_world *w)
{
    bool open;

    w->stats.counts[SIM_COUNT_gaps] = sim_watch_gaps(w->watch, &open);
    w->stats.counts[SIM_COUNT_gaps_open] = open;
    if (open)
        sim_violation(w, "watch: what a snapshot hid was told by nobody");
}

/* An instant at which nobody is behind and no exchange is under way: that the judge looks at. */
static void settle(struct sim_world *w)
{
    uint64_t end = w->now_ms + SETTLED_WITHIN_MS, deleted = w->healed_ms + DELETE_WITHIN_MS;

    end = end > deleted ? end : deleted;
    for (; !(sim_agreed(w) && sim_watch_quiet(w->watch)) && w->now_ms < end;)
        sim_until(w, w->now_ms + 1);
    /* Where it never was quiet, that is what is wrong. */
    for (end = w->now_ms + AGREED_WITHIN_MS; !sim_agreed(w) && w->now_ms < end;)
        sim_until(w, w->now_ms + 1);
    if (!sim_agreed(w))
        describe(w);
    check_digests(w);
    for (uint32_t i = 0; i < w->n_nodes; i++)
        if (w->nodes[i].lost || w->nodes[i].gone)
            sim_watch_gone(w->watch, w->nodes[i].id);
    for (uint32_t i = 0; i < w->n_nodes; i++)
        sim_node_stored(&w->nodes[i]);
    sim_watch_healed(w->watch);
    take_violations(w);
}

static void heal(struct sim_world *w)
{
    uint64_t began = w->now_ms;
    const struct sim_watch_healing healing = {.owner_ms = OWNER_WITHIN_MS,
                                              .elections = 1,
                                              .rebalance = w->plan.rebalance,
                                              .shards = w->shard_ids,
                                              .n_shards = w->plan.n_shards};

    sim_faults_heal(w);
    sim_stops_heal(w);
    sim_watch_heal(w->watch, &healing);
    sim_until(w, began + OWNER_WITHIN_MS);
    sim_watch_owners(w->watch);
    take_violations(w);
    check_owned(w);
    sim_flap_begin(w);
    sim_until(w, began + w->plan.heal_ms);
    check_served(w, began);
    check_owned(w);
    if (w->change.phase != SIM_CHANGE_NONE)
        sim_violation(w, "L1: a change of members (node %u) does not come to its end",
                      w->change.node);
    for (uint64_t end = w->now_ms + KEYS_WITHIN_MS; !sim_keys_gone(w, false) && w->now_ms < end;)
        sim_until(w, w->now_ms + 100);
    (void)sim_keys_gone(w, true);
    settle(w);
    check_gaps(w);
    sim_takeover(w);
    take_violations(w);
}

/* other_trace: of the same run with other wall clocks; 0 = there was none. */
static void finish(struct sim_world *w, uint64_t other_trace)
{
    w->stats.counts[SIM_COUNT_simulated_ms] = w->now_ms;
    w->trace ^= sim_network_trace(w->network);
    if (other_trace != 0)
        sim_watch_same_run(w->watch, w->trace, other_trace);
    take_violations(w);
    for (uint32_t i = 0; i < w->plan.n_clients; i++)
        sim_client_deinit(&w->clients[i]);
    for (uint32_t i = 0; i < w->n_nodes; i++)
        sim_node_deinit(&w->nodes[i]);
    sim_network_destroy(w->network);
    sim_outside_deinit(w);
    sim_recovery_deinit(w);
    sim_check_deinit(&w->check);
    for (int i = 0; i < SIM_WATCH_CASES; i++)
        w->stats.cases[i] = sim_watch_reached(w->watch, (enum sim_watch_case)i);
    for (int i = 0; i < SIM_WATCH_RULES; i++)
        w->stats.judged[i] = sim_watch_judged(w->watch, (enum sim_watch_rule)i);
    sim_watch_destroy(w->watch);
}

static void run(const struct sim_options *o, bool other_walls, uint64_t other_trace,
                struct sim_result *result)
{
    struct sim_world *w = calloc(1, sizeof *w);

    HF_ASSERT(w != NULL);
    *result = (struct sim_result){.seed = o->seed};
    result_now = result;
    w->seed = o->seed;
    w->other_walls = other_walls;
    w->verbose = o->verbose;
    w->first = o->first && !other_walls;
    w->random.state = sim_mix(o->seed);
    w->faults.state = sim_mix(o->seed ^ 0x6661756c7473ULL);
    w->members.state = sim_mix(o->seed ^ 0x6d656d62657273ULL);
    w->log = (struct log){w->verbose ? LOG_INFO : LOG_ERROR,
                          w->verbose ? STDERR_FILENO : open("/dev/null", O_WRONLY | O_CLOEXEC)};
    sim_plan_draw(w, o);
    w->watch = sim_watch_create(&(struct sim_watch_options){.now_ms = &w->now_ms,
                                                            .nodes = w->plan.n_nodes,
                                                            .workers = 1,
                                                            .right = sim_node_right,
                                                            .self = w});
    make(w);
    sim_until(w, w->plan.run_ms - w->plan.heal_ms);
    w->stats.counts[SIM_COUNT_fault_ms] =
        w->now_ms > w->plan.faults_from_ms ? w->now_ms - w->plan.faults_from_ms : 0;
    heal(w);
    finish(w, other_trace);
    if (!w->verbose)
        (void)close(w->log.fd);
    result->trace = w->trace;
    result->violations = w->stats.counts[SIM_COUNT_violations];
    result->stats = w->stats;
    free(w);
}

/* Some seeds run twice, the first time with wall clocks that stand and jump otherwise (I14). */
void sim_run(const struct sim_options *o, struct sim_result *result)
{
    enum { OTHER_WALLS_EACH = 25 };
    uint64_t other_trace = 0;

    if (o->walls || o->seed % OTHER_WALLS_EACH == 0) {
        run(o, true, 0, result);
        if (result->violations > 0)
            return;
        other_trace = result->trace;
    }
    run(o, false, other_trace, result);
}
