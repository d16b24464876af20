/* A node that nobody tells any more that keys have ended: it was removed, or cut off for long. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "replication/replica_parts.h"
#include "unit/repl/cluster.h"

enum { AGE_MS = 20000, AFTER_MS = 60000 };

static struct rig *running(size_t n, uint64_t key_age_ms, uint64_t seed)
{
    struct rig *rig = rig_create(n, 1, seed);

    rig_seal(rig);
    rig->stays_on = true;
    rig->key_age_ms = key_age_ms;
    for (uint32_t i = 1; i <= n; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cluster_create_sas(rig, rig_owner(rig, 1), 1, 20);
    cr_assert(rig_run(rig, 5000, rig_settled, rig_owner(rig, 1)));
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    return rig;
}

/* Keys of sessions in the ring, in the memory that outlives the process, and SAs in the state. */
static size_t kept(const struct rig *rig, uint32_t node)
{
    struct rig_node *n = (struct rig_node *)(uintptr_t)&rig->nodes[node - 1];
    uint64_t ids[SEAL_RING_KEYS];
    size_t count = seal_ring_list(&n->ring, SEAL_SESSION, ids, SEAL_RING_KEYS);

    for (size_t i = 0; i < SEAL_RING_KEYS; i++)
        count += n->memory[i].id != 0;
    return count +
           (n->up && !n->failed ? replica_fsm(n->replica)->sas.n_used + n->mirror.n_used : 0);
}

static bool keeps_nothing(const struct rig *rig, uint64_t node)
{
    return kept(rig, (uint32_t)node) == 0;
}

static size_t servers_as(const struct rig *rig, uint32_t node)
{
    return raft_driver_configuration(replica_driver(rig->nodes[node - 1].replica))->n_servers;
}

static bool has_servers(const struct rig *rig, uint64_t n)
{
    return rig_leader(rig) != 0 && servers_as(rig, rig_leader(rig)) == n;
}

/* The owner of shard 1 is not the one that leaves. */
static void leave(struct rig *rig, uint32_t node)
{
    uint32_t via = rig_owner(rig, 1);
    struct maker m = rig_maker(rig, via, 1);

    cr_assert_neq(via, node);
    cr_assert_neq(rig_submit(rig, via, make_leave(&m, node)), 0);
    cr_assert(rig_run(rig, 5000, rig_settled, via));
}

Test(repl_forget, who_left_keeps_neither_keys_nor_sessions)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rig *rig = running(3, 0, 9200 + seed);
        uint32_t leaves = rig_owner(rig, 1) == 3 ? 2 : 3;

        cluster_lead(rig, 5 - leaves);
        cr_assert_gt(kept(rig, leaves), 20, "nothing is there to be wiped");
        leave(rig, leaves);
        cr_assert(rig_run(rig, 5000, keeps_nothing, leaves));
        cr_assert(rig_run(rig, 5000, has_servers, 2));
        (void)rig_run(rig, 3000, NULL, 0);
        cr_assert_eq(kept(rig, leaves), 0, "it was given something again");
        cr_assert_not(rig_node(rig, leaves)->failed);
        cr_assert(fsm_member(replica_fsm(rig_node(rig, leaves)->replica), leaves)->left);
        rig_kill(rig, leaves);
        cr_assert_eq(replica_fsm(rig_node(rig, 1)->replica)->sas.n_used, 20);
        cluster_finish(rig);
    }
}

/* It was away and has much to catch up with, on a disk that is slow: who takes it out waits for it. */
Test(repl_forget, who_lags_hears_that_it_left)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rig *rig = running(3, 0, 9250 + seed);
        uint32_t leaves = rig_owner(rig, 1) == 3 ? 2 : 3;

        cluster_lead(rig, 5 - leaves);
        rig_kill(rig, leaves);
        for (uint64_t i = 0; i < 20; i++) {
            cluster_create_sas(rig, rig_owner(rig, 1), 100 + 20 * i, 20);
            cr_assert(rig_run(rig, 5000, rig_settled, rig_owner(rig, 1)));
        }
        rig_start(rig, leaves);
        sim_storage_set_delay(rig_node(rig, leaves)->storage, 100, 100);
        (void)rig_run(rig, 20, NULL, 0); /* it is linked */
        leave(rig, leaves);
        cr_assert(rig_run(rig, 5000, has_servers, 2));
        cr_assert(rig_run(rig, 5000, keeps_nothing, leaves), "seed %d", (int)seed);
        rig_kill(rig, leaves);
        cluster_finish(rig);
    }
    printf("compared 5 clusters\n");
}

/* It leads until another one can; then it has nothing, either. */
Test(repl_forget, a_leader_that_left)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rig *rig = running(3, 0, 9300 + seed);
        uint32_t leaves = rig_owner(rig, 1) == 3 ? 2 : 3;

        cluster_lead(rig, leaves);
        leave(rig, leaves);
        cr_assert(rig_run(rig, 10000, has_servers, 2));
        cr_assert(rig_run(rig, 10000, keeps_nothing, leaves));
        rig_kill(rig, leaves);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        cluster_finish(rig);
    }
}

/* Its vote and its disk are needed until the configuration is without it. */
Test(repl_forget, one_of_two_leaves)
{
    struct rig *rig = running(2, 0, 9400);

    cr_assert_eq(rig_owner(rig, 1), 1);
    leave(rig, 2);
    cr_assert(rig_run(rig, 10000, keeps_nothing, 2));
    cr_assert(rig_run(rig, 10000, has_servers, 1));
    rig_kill(rig, 2);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cluster_finish(rig);
}

/* The new leader takes it out one promise later: until then the owner's lease needs its word. */
Test(repl_forget, the_leader_of_two_leaves_and_the_owner_keeps_its_lease)
{
    size_t compared = 0;

    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rig *rig = running(2, 0, 9450 + seed);

        cluster_lead(rig, 2);
        cr_assert_eq(rig_owner(rig, 1), 1);
        leave(rig, 2);
        for (; !(has_servers(rig, 1) && keeps_nothing(rig, 2)) && compared < 50000; compared++) {
            (void)rig_run(rig, 1, NULL, 0);
            cr_assert_eq(rig_owner(rig, 1), 1, "seed %d, after %zu ms", (int)seed, compared);
        }
        cr_assert(has_servers(rig, 1) && keeps_nothing(rig, 2));
        rig_kill(rig, 2);
        cluster_finish(rig);
    }
    printf("compared %zu ms\n", compared);
}

static bool cannot_act(const struct rig *rig, uint64_t node)
{
    return rig_owner(rig, 1) != node && rig_leader(rig) != node;
}

static void cut_off(struct rig *rig, uint32_t node)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        if (i != node) {
            sim_network_partition(rig->network, node, i);
            sim_network_partition(rig->network, i, node);
        }
    cr_assert(rig_run(rig, 5000, cannot_act, node));
}

/* --- of nodes that lack a key (replica_locked.c) --- */

static const struct fsm *fsm_of(const struct rig *rig, uint32_t node)
{
    return replica_fsm(rig->nodes[node - 1].replica);
}

static bool changed(const struct rig *rig, uint64_t former)
{
    uint32_t leader = rig_leader(rig);

    return leader != 0 && fsm_of(rig, leader)->session_key != former;
}

/* Before, no key is replaced. */
static bool all_speak(const struct rig *rig, uint64_t unused)
{
    (void)unused;
    return fsm_of(rig, 1)->n_members == rig->n &&
           fsm_spoken(fsm_of(rig, 1)) >= RECORD_SPEAKS_ROTATION;
}

static bool erased(const struct rig *rig, uint64_t former)
{
    return changed(rig, former) && fsm_of(rig, rig_leader(rig))->former_key == 0;
}

static void off(struct rig *rig, uint32_t node, bool stays_on)
{
    rig->stays_on = stays_on;
    rig_kill(rig, node);
    rig->stays_on = true;
}

/* Node `away` has the first key in memory, and was not there when the others took the second. That is
 * lost with them: when they are up again, `away` and 1 first, no majority can go on. */
static struct rig *without_a_key(uint32_t away, uint64_t seed, uint64_t *first, bool leaves)
{
    struct rig *rig = running(3, 0, seed);
    uint32_t via;
    struct maker m;

    rig->trailing = 1000; /* the log has all, so no install comes by itself */
    cr_assert(rig_run(rig, 5000, all_speak, 0));
    *first = fsm_of(rig, 1)->session_key;
    off(rig, away, true);
    (void)rig_run(rig, 1000, NULL, 0);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    via = rig_owner(rig, 1);
    m = rig_maker(rig, via, 1);
    cr_assert_neq(rig_submit(rig, via, make_rotate(&m)), 0);
    cr_assert(rig_run(rig, 20000, changed, *first));
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cluster_create_sas(rig, rig_owner(rig, 1), 100, 3);
    cr_assert(rig_run(rig, 5000, rig_settled, rig_owner(rig, 1)));
    if (!leaves)
        cr_assert(rig_run(rig, 20000, erased, *first)); /* behind what the second one sealed */
    if (leaves) {
        via = rig_owner(rig, 1);
        m = rig_maker(rig, via, 1);
        cr_assert_neq(rig_submit(rig, via, make_leave(&m, away)), 0);
        cr_assert(rig_run(rig, 5000, rig_settled, via));
        cr_assert(has_servers(rig, 3), "it would hear nothing any more");
    }
    for (uint32_t i = 1; i <= 3; i++)
        if (i != away)
            off(rig, i, false);
    rig_start(rig, 1);
    rig_start(rig, away);
    if (!leaves)
        rig_start(rig, 2);
    return rig;
}

static bool left_blind(const struct rig *rig, uint64_t node)
{
    const struct fsm_member *m = fsm_member(fsm_of(rig, (uint32_t)node), (uint32_t)node);

    return m != NULL && m->left;
}

/* It applies its LEAVE without seeing anything, and hears nothing from then on. */
Test(repl_forget, who_left_while_it_lacks_a_key_keeps_nothing)
{
    size_t compared = 0;

    for (uint64_t seed = 1; seed <= 8; seed++) {
        uint64_t first;
        struct rig *rig = without_a_key(3, 9460 + seed, &first, true);

        cr_assert(kept(rig, 3) > 0, "nothing is there to be wiped");
        if (!rig_run(rig, 20000, left_blind, 3)) { /* 1 went on sooner, and it hears no more */
            rig_destroy(rig);
            continue;
        }
        compared++;
        cut_off(rig, 3);
        (void)rig_run(rig, 3000, NULL, 0);
        cr_assert_eq(kept(rig, 3), 0, "it keeps %zu keys and SAs", kept(rig, 3));
        rig_kill(rig, 3);
        rig_destroy(rig);
    }
    cr_assert_gt(compared, 0);
    printf("compared %zu clusters\n", compared);
}

static bool leads(const struct rig *rig, uint32_t node)
{
    return raft_driver_status(replica_driver(rig->nodes[node - 1].replica)).state ==
           RAFT_DRIVER_LEADER;
}

static size_t led_blind;

static bool look(const struct rig *rig, uint64_t node)
{
    led_blind += leads(rig, (uint32_t)node) && left_blind(rig, node);
    return false;
}

/* It leads, and can agree on no key any more: another one has to. */
Test(repl_forget, a_leader_that_left_while_it_lacks_a_key)
{
    led_blind = 0;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        uint64_t first;
        struct rig *rig = without_a_key(3, 9470 + seed, &first, true);

        for (uint64_t end = rig->now_ms + 4000; rig->now_ms < end;) {
            (void)rig_run(rig, 20, look, 3);
            if (leads(rig, 1) && !left_blind(rig, 3))
                (void)!replica_transfer(rig_node(rig, 1)->replica, rig->now_ms * 1000000, 3);
        }
        rig_start(rig, 2);
        cr_assert(rig_run(rig, 30000, rig_has_owner, 1), "the cluster stays dead");
        cr_assert(rig_run(rig, 10000, has_servers, 2));
        cr_assert(rig_run(rig, 5000, keeps_nothing, 3));
        rig_kill(rig, 3);
        cluster_finish(rig);
    }
    cr_assert_gt(led_blind, 0, "it never led");
    printf("compared 4 clusters\n");
}

static bool is_past_the_erasure(const struct rig *rig, uint64_t node)
{
    const struct replica *r = rig->nodes[node - 1].replica;

    return r->blind != 0 && r->fsm.former_key == 0 && r->fsm.session_key == r->blind;
}

/* What the log says of a former key holds for who lacks another one, too. */
Test(repl_forget, a_key_is_erased_where_another_one_is_lacking)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        uint64_t first;
        struct rig *rig = without_a_key(3, 9490 + seed, &first, false);

        cr_assert(seal_ring_has(&rig_node(rig, 3)->ring, first));
        cr_assert(rig_run(rig, 20000, is_past_the_erasure, 3));
        cr_assert_not(seal_ring_has(&rig_node(rig, 3)->ring, first), "it is still there");
        cr_assert(rig_run(rig, 30000, rig_has_owner, 1));
        cluster_finish(rig);
    }
    printf("compared 4 clusters\n");
}

static uint64_t mismatches(const struct rig *rig)
{
    uint64_t n = 0;

    for (size_t i = 0; i < rig->n; i++) {
        struct repl_status st;

        replica_status(rig->nodes[i].replica, rig->now_ms * 1000000, &st);
        n += st.counters[REPL_COUNT_DIGEST_MISMATCH];
    }
    return n;
}

/* Its state is that of no place of the log any more: it says no digest. */
Test(repl_forget, who_left_has_no_say_about_the_state)
{
    struct rig *rig = cluster_running(3, 9450); /* not sealed: nothing follows its LEAVE at once */
    uint32_t leaves = rig_owner(rig, 1) == 3 ? 2 : 3;

    cluster_create_sas(rig, rig_owner(rig, 1), 1, 20);
    cr_assert(rig_run(rig, 5000, rig_settled, rig_owner(rig, 1)));
    cluster_lead(rig, 5 - leaves);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    leave(rig, leaves);
    cr_assert(rig_run(rig, 5000, has_servers, 2));
    cr_assert_eq(kept(rig, leaves), 0);
    cr_assert_eq(mismatches(rig), 0);
    rig_kill(rig, leaves);
    cluster_finish(rig);
}

Test(repl_forget, who_cannot_hear_that_it_left_is_out_all_the_same)
{
    struct rig *rig = running(3, 0, 9480);
    uint32_t leaves = rig_owner(rig, 1) == 3 ? 2 : 3;

    cut_off(rig, leaves);
    leave(rig, leaves);
    cr_assert(rig_run(rig, 5000, has_servers, 2));
    rig_kill(rig, leaves);
    cluster_finish(rig);
}

Test(repl_forget, who_is_cut_off_for_long_keeps_nothing)
{
    struct rig *rig = running(3, AGE_MS, 9500);
    uint32_t off = rig_owner(rig, 1) == 3 ? 2 : 3;

    cut_off(rig, off);
    (void)rig_run(rig, AGE_MS + AFTER_MS - 8000, NULL, 0);
    cr_assert_not(rig_has_failed(rig, off), "too early");
    cr_assert_gt(kept(rig, off), 0);
    cr_assert(rig_run(rig, 10000, rig_has_failed, off));
    cr_assert_eq(kept(rig, off), 0);
    cr_assert(!rig_has_failed(rig, 1) && !rig_has_failed(rig, 5 - off));
    rig_kill(rig, off);
    rig_start(rig, off);
    (void)rig_run(rig, AGE_MS + AFTER_MS + 5000, NULL, 0);
    cr_assert_not(rig_has_failed(rig, off), "it has nothing to wipe, and waits");
    sim_network_heal(rig->network);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    cr_assert_eq(replica_fsm(rig_node(rig, off)->replica)->sas.n_used, 20);
    cluster_finish(rig);
}

/* It ends and starts again and again, as under a service manager, and hears of nobody: no start begins the
 * time anew. */
Test(repl_forget, who_starts_again_and_again_keeps_nothing)
{
    struct rig *rig = running(3, AGE_MS, 9550);
    uint32_t off = rig_owner(rig, 1) == 3 ? 2 : 3;
    uint64_t began_ms = rig->now_ms;
    unsigned starts = 0;

    cut_off(rig, off);
    while (!rig_has_failed(rig, off) && rig->now_ms < began_ms + AGE_MS + AFTER_MS - 2000) {
        cr_assert_gt(kept(rig, off), 0);
        rig_kill(rig, off);
        (void)rig_run(rig, 1000, NULL, 0);
        rig_start(rig, off);
        starts++;
        (void)rig_run(rig, 10000, rig_has_failed, off);
    }
    cr_assert_gt(starts, 3);
    cr_assert(rig_run(rig, 14000, rig_has_failed, off), "it has its keys for ever");
    cr_assert_eq(kept(rig, off), 0);
    rig_kill(rig, off);
    rig_start(rig, off);
    sim_network_heal(rig->network);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    cr_assert_eq(replica_fsm(rig_node(rig, off)->replica)->sas.n_used, 20);
    cluster_finish(rig);
}

/* Two are gone, no majority is left to change keys: the last one's go all the same, and all sessions end
 * when the others are back. */
Test(repl_forget, without_a_majority_for_long_all_sessions_end)
{
    struct rig *rig = running(3, AGE_MS, 9600);

    rig->stays_on = false;
    rig_kill(rig, 2);
    rig_kill(rig, 3);
    cr_assert(rig_run(rig, AGE_MS + AFTER_MS + 5000, rig_has_failed, 1));
    cr_assert_eq(kept(rig, 1), 0);
    rig_kill(rig, 1);
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 30000, rig_has_owner, 1), "the cluster stays dead");
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    cr_assert_eq(replica_fsm(rig_node(rig, 1)->replica)->sas.n_used, 0);
    cluster_create_sas(rig, rig_owner(rig, 1), 100, 5);
    cluster_finish(rig);
}

/* Who rotates nothing by age has no time after which a key is too old. */
Test(repl_forget, without_an_age_nothing_is_too_old)
{
    struct rig *rig = running(3, 0, 9700);
    uint32_t off = rig_owner(rig, 1) == 3 ? 2 : 3;

    cut_off(rig, off);
    (void)rig_run(rig, 10 * (AGE_MS + AFTER_MS), NULL, 0);
    cr_assert_not(rig_has_failed(rig, off));
    sim_network_heal(rig->network);
    cluster_finish(rig);
}

/* A quiet cluster is no cut: time is stamped by entries though nothing happens. */
Test(repl_forget, a_quiet_cluster_keeps_its_sessions)
{
    struct rig *rig = running(1, AGE_MS, 9800);

    (void)rig_run(rig, 3 * (AGE_MS + AFTER_MS), NULL, 0);
    cr_assert_not(rig_has_failed(rig, 1));
    cr_assert_eq(replica_fsm(rig_node(rig, 1)->replica)->sas.n_used, 20);
    cluster_finish(rig);
}

/* --- of one that left, and that no majority is without --- */

enum { SNAPSHOT_ENTRIES = 100, TRAILING = 10, EACH_MS = 70 };

/* Node 1 owns and leads. */
static struct rig *snapshotting(bool sealed, uint64_t seed)
{
    struct rig *rig = rig_create(3, 1, seed);

    if (sealed)
        rig_seal(rig);
    rig->stays_on = true;
    rig->snapshot_entries = SNAPSHOT_ENTRIES;
    rig->trailing = TRAILING;
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cluster_create_sas(rig, 1, 1, 20);
    cr_assert(rig_run(rig, 5000, all_speak, 0));
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    cluster_lead(rig, 1);
    cr_assert_eq(rig_owner(rig, 1), 1);
    return rig;
}

static struct raft_driver_status raft_of(const struct rig *rig, uint32_t node)
{
    return raft_driver_status(replica_driver(rig->nodes[node - 1].replica));
}

static bool keeps_something(const struct rig *rig, uint64_t node)
{
    return kept(rig, (uint32_t)node) != 0;
}

/* So many entries, of no session; each leaves node 3's log within its bound. */
static void write_entries(struct rig *rig, size_t n, bool serves)
{
    struct maker m = rig_maker(rig, 1, 1);

    for (size_t i = 0; i < n; i++) {
        cr_assert_neq(rig_submit(rig, 1, make_audit(&m, "an entry")), 0);
        cr_assert(rig_run(rig, 5000, rig_settled, 1), "entry %zu is not committed", i);
        cr_assert_not(rig_run(rig, EACH_MS, keeps_something, 3), "entry %zu", i);
        cr_assert(!serves || rig_owner(rig, 1) == 1, "entry %zu: its lease ended", i);
        cr_assert_lt(raft_of(rig, 3).log_entries, 3 * SNAPSHOT_ENTRIES, "entry %zu", i);
    }
}

/* Node 2 is down, so nobody can take node 3 out: for as long as that lasts each entry stands in its log. Its
 * log has a bound all the same; the owner keeps its lease by its word; and what it stores is the state. */
Test(repl_forget, the_log_of_one_that_cannot_go_has_a_bound)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct rig *rig = snapshotting(seed != 3, 9850 + seed);

        rig_kill(rig, 2);
        leave(rig, 3);
        cr_assert(rig_run(rig, 5000, keeps_nothing, 3));
        write_entries(rig, 12 * SNAPSHOT_ENTRIES, true);
        cr_assert(has_servers(rig, 3), "it was taken out");
        cr_assert_gt(raft_of(rig, 3).snapshot_index, 8 * SNAPSHOT_ENTRIES);
        /* Started anew it never hears its LEAVE again: its snapshot says so. */
        rig_kill(rig, 3);
        rig_start(rig, 3);
        (void)rig_run(rig, 12000, NULL, 0); /* what was given to its former start is over */
        write_entries(rig, 6 * SNAPSHOT_ENTRIES, false);
        cr_assert_gt(raft_of(rig, 3).snapshot_index, 14 * SNAPSHOT_ENTRIES);
        rig_start(rig, 2);
        cr_assert(rig_run(rig, 20000, has_servers, 2));
        rig_kill(rig, 3);
        cluster_finish(rig);
    }
    printf("compared the log after %d entries\n", 3 * 12 * SNAPSHOT_ENTRIES);
}

static bool has_a_snapshot_of_the_next_key(const struct rig *rig, uint64_t former)
{
    const struct replica *r = rig->nodes[0].replica;

    return r->fsm.session_key != former && raft_of(rig, 1).snapshot_index >= r->switched_index;
}

/* It was cut off when it left, and what it lacks is in a snapshot that is sealed with a key which it is not
 * given. Of those that are left then it is one of a majority. */
Test(repl_forget, one_that_cannot_open_the_snapshot_by_which_it_left_promises_on)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rig *rig = snapshotting(true, 9870 + seed);
        uint64_t key = fsm_of(rig, 1)->session_key;
        struct maker m;

        cluster_lead(rig, 2);
        cut_off(rig, 3);
        m = rig_maker(rig, 1, 1);
        for (size_t i = 0; i < 2 * TRAILING; i++) {
            cr_assert_neq(rig_submit(rig, 1, make_audit(&m, "an entry")), 0);
            cr_assert(rig_run(rig, 5000, rig_settled, 1));
        }
        cluster_lead(rig, 1); /* so node 3 is taken out one promise later */
        m = rig_maker(rig, 1, 1);
        cr_assert_neq(rig_submit(rig, 1, make_leave(&m, 3)), 0);
        cr_assert(rig_run(rig, 100, has_a_snapshot_of_the_next_key, key));
        rig_kill(rig, 2);
        sim_network_heal(rig->network);
        cr_assert(rig_run(rig, 5000, keeps_nothing, 3), "seed %d", (int)seed);
        cr_assert(has_servers(rig, 3), "it was taken out");
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1), "seed %d: no promise", (int)seed);
        rig_start(rig, 2);
        cr_assert(rig_run(rig, 20000, has_servers, 2));
        rig_kill(rig, 3);
        cluster_finish(rig);
    }
    printf("compared 5 clusters\n");
}
