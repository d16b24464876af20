/* What a node answers to PAST, state by state: one that is stuck asks who went on. And what it does from the
 * answer on, until the state comes that it awaits. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/raft_frame.h"
#include "replication/replica_parts.h"
#include "unit/repl/cluster.h"
#include "unit/repl/members_rig.h"

struct answer {
    const char *of;
    uint64_t applied, session, former, locked, blind, awaits;
    bool diverged, muted, has, left;
    enum seal_what answer;
};

enum { KEY = 7, OTHER = 8, ASKED_AT = 100 };

static const struct answer answers[] = {
    {.of = "it went on", .applied = 100, .session = OTHER, .answer = SEAL_GONE},
    {.of = "the former key is named",
     .applied = 100,
     .session = OTHER,
     .former = KEY,
     .answer = SEAL_GONE},
    {.of = "it has the key", .applied = 100, .session = OTHER, .has = true},
    {.of = "it is not there yet", .applied = 99, .session = OTHER},
    {.of = "its state is wrong", .applied = 100, .session = OTHER, .diverged = true},
    {.of = "it has no key at all", .applied = 100},
    {.of = "it lacks that key, there", .applied = 100, .session = KEY, .answer = SEAL_LACK},
    {.of = "it lacks that key, but is not there yet", .applied = 99, .session = KEY},
    {.of = "it is locked", .applied = 9, .session = KEY, .locked = KEY, .answer = SEAL_LACK},
    {.of = "it is locked for another",
     .applied = 200,
     .session = OTHER,
     .locked = OTHER,
     .answer = SEAL_LACK},
    {.of = "it is blind", .applied = 200, .session = OTHER, .blind = KEY, .answer = SEAL_LACK},
    {.of = "it awaits a state",
     .applied = 200,
     .session = KEY,
     .awaits = 9,
     .diverged = true,
     .answer = SEAL_LACK},
    {.of = "has it, for one that has left",
     .applied = 100,
     .session = KEY,
     .has = true,
     .left = true},
    {.of = "has it and lacks another, for one that has left",
     .applied = 200,
     .session = OTHER,
     .has = true,
     .left = true,
     .blind = OTHER,
     .answer = SEAL_LACK},
    {.of = "has it and lacks another",
     .applied = 200,
     .session = OTHER,
     .has = true,
     .blind = OTHER},
    {.of = "locked, under distrust", .session = KEY, .locked = KEY, .muted = true},
    {.of = "lacks it, under distrust", .applied = 100, .session = KEY, .muted = true},
    {.of = "went on, under distrust",
     .applied = 100,
     .session = OTHER,
     .muted = true,
     .answer = SEAL_GONE},
};

Test(repl_lost, what_a_node_says_of_a_key_that_another_lacks)
{
    const struct seal_message past = {
        .what = SEAL_PAST, .kind = SEAL_SESSION, .id = KEY, .index = ASKED_AT};
    size_t n = sizeof answers / sizeof *answers;

    for (size_t i = 0; i < n; i++) {
        const struct answer *a = &answers[i];
        struct seal_ring ring = {.keys = {{.id = a->has ? KEY : 0, .kind = SEAL_SESSION}}};
        struct replica *r = repl_alloc_zero(1, sizeof *r);

        r->options.ring = &ring;
        r->fsm.applied_index = a->applied;
        r->fsm.session_key = a->session;
        r->fsm.former_key = a->former;
        r->locked.want = a->locked;
        r->blind = a->blind;
        r->awaits_above = a->awaits;
        r->diverged = a->diverged;
        r->raft.muted = a->muted ? REPL_DISTRUST_SUFFIX : REPL_TRUSTED;
        cr_assert_eq(replica_answer_past(r, &past, !a->left), a->answer, "%s", a->of);
        free(r);
    }
    (void)printf("compared %zu answers\n", n);
}

/* --- between the answer and the state --- */

enum { DOCUMENTS = 600, A_RECORD = 200 };

/* More than is told in a turn. */
static void put_documents(struct rig *rig)
{
    uint32_t on = rig_owner(rig, 1);
    char name[16];

    for (int i = 0; i < DOCUMENTS;) {
        struct maker m = rig_maker(rig, on, 1);
        Holdfast__Record *r = make_documents(&m);

        for (int k = 0; k < A_RECORD; k++, i++) {
            (void)snprintf(name, sizeof name, "d%d", i);
            make_change_of(r, "connection", name, HOLDFAST__DOCUMENT_CHANGE__EXPECT__ANY, 0, "x");
        }
        cr_assert_neq(rig_submit(rig, on, r), 0);
    }
    cr_assert(rig_run(rig, 10000, rig_settled, on));
}

/* Node 3 is away. */
static bool is_past(const struct rig *rig, uint64_t key)
{
    for (int i = 0; i < 2; i++)
        if (fsm_names_key(&rig->nodes[i].replica->fsm, key))
            return false;
    return true;
}

static bool awaits(const struct rig *rig, uint64_t node)
{
    return rig->nodes[node - 1].replica->awaits_above != 0;
}

static bool node_3_is_not_at(const struct rig *rig, uint64_t index)
{
    return rig->nodes[2].replica->fsm.applied_index != index;
}

/* A snapshot was installed that names a key which is not here; before the conductor has heard of all of
 * it, the others go on with another key. The end of the telling let it apply what it has not the state for. */
Test(repl_lost, who_awaits_a_state_applies_nothing_before_it)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = rig_create(3, 1, 3000 + seed);
        struct replica *r;
        struct maker m;
        uint64_t key, at;

        rig_seal(rig);
        rig->trailing = 1000; /* so that what it lacks comes as entries */
        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
        (void)rig_run(rig, 1000, NULL, 0);
        put_documents(rig);
        cr_assert(rig_run(rig, 10000, rig_agrees, 0));
        r = rig_node(rig, 3)->replica;
        cr_assert(r->fsm.documents.n == DOCUMENTS && rig_owner(rig, 1) == 1);
        key = r->fsm.session_key;
        cr_assert_neq(key, 0);
        for (uint32_t i = 1; i <= 2; i++) {
            sim_network_partition(rig->network, 3, i);
            sim_network_partition(rig->network, i, 3);
        }
        seal_ring_erase(&rig_node(rig, 3)->ring, key);
        replica_reset(r);
        cr_assert(r->telling, "there is nothing to be told any more");
        (void)rig_run(rig, 500, NULL, 0);
        cr_assert_eq(r->locked.want, key);
        m = rig_maker(rig, 1, 1);
        cr_assert_neq(rig_submit(rig, 1, make_rotate(&m)), 0);
        cr_assert(rig_run(rig, 20000, is_past, key));
        put_documents(rig);
        sim_network_heal(rig->network);
        cr_assert(rig_run(rig, 10000, awaits, 3));
        at = r->fsm.applied_index;
        cr_assert(rig_run(rig, 10000, node_3_is_not_at, at));
        cr_assert_eq(r->counters[REPL_COUNT_REINSTALLS], 1, "seed %d: it applied entry %d",
                     (int)seed, (int)r->fsm.applied_index);
        cr_assert_eq(rig_node(rig, 3)->resets, 2);
        cluster_finish(rig);
    }
    (void)printf("compared 4 clusters\n");
}

/* One is gone for good, so nobody knows at once that a key is lost: it is waited for three seconds. Where two
 * keys were lost one after the other, it has been away for long at the second, and nobody waits again. */
Test(repl_lost, who_is_away_is_waited_for_once)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = rig_create(3, 1, 3200 + seed);
        struct maker m;
        uint64_t began;

        rig_seal(rig);
        rig->trailing = 1000;
        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
        for (uint32_t i = 1; i <= 2; i++) /* both losses stay in the log */
            sim_storage_full(rig_node(rig, i)->storage, true);
        for (uint64_t id = 1; id <= 2; id++) {
            m = rig_maker(rig, rig_owner(rig, 1), 1);
            cluster_settle(rig, rig_owner(rig, 1),
                           make_create(&m, id, "state", 4097, 0x0a630000 + (uint32_t)id, "client"));
            if (id == 1)
                rig_kill(rig, 3);
            cluster_power_off(rig, 2);
            began = rig->now_ms;
            rig_start(rig, 1);
            rig_start(rig, 2);
            cr_assert(rig_run(rig, 20000, rig_has_owner, 1));
            cr_assert_geq(rig->now_ms - began, LOST_WAIT_MS, "seed %d: it was not waited for",
                          (int)seed);
        }
        cr_assert_lt(rig->now_ms - began, LOST_WAIT_MS + 2000, "seed %d: waited for twice: %d ms",
                     (int)seed, (int)(rig->now_ms - began));
        cluster_finish(rig);
    }
    (void)printf("compared 4 clusters\n");
}

static bool is_locked(const struct rig *rig, uint64_t node)
{
    const struct replica *r = rig->nodes[node - 1].replica;

    return r->locked.want != 0 || r->blind != 0 || r->failed;
}

/* Two that run lack the key from one moment on, and just before it the third one's process ended. It starts again
 * and has it: that it was listed for long does not mean that it was away for long. */
Test(repl_lost, who_was_here_just_now_is_waited_for)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = rig_create(3, 1, 3250 + seed);
        struct maker m;
        uint64_t key;

        rig_seal(rig);
        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
        m = rig_maker(rig, 1, 1);
        cluster_settle(rig, 1, make_create(&m, 1, "state", 4097, 0x0a630001, "client"));
        (void)rig_run(rig, LOST_WAIT_MS, NULL, 0);
        cr_assert(rig_run(rig, 10000, rig_agrees, 0));
        key = rig_node(rig, 1)->replica->fsm.session_key;
        rig->stays_on = true;
        rig_kill(rig, 3);
        for (uint32_t i = 1; i <= 2; i++)
            seal_ring_erase(&rig_node(rig, i)->ring, key);
        (void)rig_run(rig, 3 * ANSWER_MS, NULL, 0);
        cr_assert(is_locked(rig, 1) && is_locked(rig, 2));
        rig_start(rig, 3);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
        cr_assert(rig_run(rig, 10000, rig_agrees, 0));
        cr_assert_not_null(fsm_sa(&rig_node(rig, 1)->replica->fsm, 1), "its session ended");
        cluster_finish(rig);
    }
    (void)printf("compared 4 clusters\n");
}

/* A majority is the only voter by itself, and it lacks the key; who joined is about to be linked, and has it. */
Test(repl_lost, the_only_voter_waits_for_a_learner)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = rig_create(1, 1, 3300 + seed);
        uint32_t learner;
        struct maker m;

        rig_seal(rig);
        rig->trailing = 1000;
        rig_start(rig, 1);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
        learner = join(rig);
        m = rig_maker(rig, 1, 1);
        cluster_settle(rig, 1, make_create(&m, 1, "state", 4097, 0x0a630001, "client"));
        cr_assert(rig_run(rig, 10000, rig_agrees, 0));
        cluster_power_off(rig, 1);
        rig_start(rig, 1);
        cr_assert(rig_run(rig, 20000, rig_has_owner, 1));
        cr_assert(rig_run(rig, 10000, rig_agrees, 0));
        cr_assert_not_null(fsm_sa(&rig_node(rig, 1)->replica->fsm, 1), "its session ended");
        cr_assert_not(rig_has_failed(rig, learner));
        cluster_finish(rig);
    }
    (void)printf("compared 4 clusters\n");
}

static bool leads(const struct rig *rig, uint64_t node)
{
    return rig_leader(rig) == node;
}

static bool leads_still(const struct rig *rig, uint32_t node)
{
    return raft_driver_status(replica_driver(rig->nodes[node - 1].replica)).state ==
           RAFT_DRIVER_LEADER;
}

/* By which another one has left. */
static bool has_a_snapshot(const struct rig *rig, uint64_t node)
{
    const struct replica *r = rig->nodes[node - 1].replica;

    return r->leave_index != 0 && raft_driver_status(r->driver).snapshot_index >= r->leave_index;
}

static bool voters_are(const struct rig *rig, uint64_t n)
{
    return rig_leader(rig) != 0 &&
           raft_driver_configuration(replica_driver(rig->nodes[rig_leader(rig) - 1].replica))
                   ->n_servers == n;
}

/* A word of the key that it lacks; or it knows that it needs none. */
static bool heard(const struct rig *rig, uint64_t node)
{
    const struct replica *r = rig->nodes[node - 1].replica;

    return r->forgotten || r->blind != 0 || r->need.n_words > 0;
}

/* It has left and is still a voter, and knows no key: nobody waits for its word, whether what cannot be opened
 * stands behind its LEAVE or in front of it, and whether its process goes on or starts anew. */
Test(repl_lost, who_has_left_is_not_asked)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct rig *rig = rig_create(2, 1, 3400 + seed);
        struct maker m;

        rig_seal(rig);
        rig->trailing = 1000;
        rig_start(rig, 1);
        rig_start(rig, 2);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
        cr_assert_eq(rig_owner(rig, 1), 1);
        cr_assert(rig_run(rig, 10000, speaks_all, 1));
        cluster_lead(rig, 2); /* so it is taken out by the next leader, one promise later */
        m = rig_maker(rig, 1, 1);
        if (seed % 2 == 0)
            cluster_settle(rig, 1, make_create(&m, 1, "state", 4097, 0x0a630001, "client"));
        cluster_settle(rig, 1, make_leave(&m, 2));
        cr_assert(rig_run(rig, 10000, leads, 1));
        if (seed % 2 != 0)
            cluster_settle(rig, 1, make_create(&m, 1, "state", 4097, 0x0a630001, "client"));
        cr_assert_eq(raft_driver_configuration(replica_driver(rig->nodes[0].replica))->n_servers, 2,
                     "it was taken out already");
        cluster_power_off(rig, seed <= 4 ? 2 : 1);
        if (seed == 3 || seed == 4) { /* it leads, and may not know yet that it has left */
            rig_start(rig, 2);
            (void)rig_run(rig, 1000, NULL, 0);
        }
        rig_start(rig, 1);
        if (seed <= 2)
            rig_start(rig, 2);
        cr_assert(seed > 4 || rig_run(rig, 10000, heard, 2), "seed %d: it is told nothing",
                  (int)seed);
        cr_assert(rig_run(rig, 20000, rig_has_owner, 1), "seed %d: nobody goes on", (int)seed);
        rig_kill(rig, 2);
        cluster_finish(rig);
    }
    (void)printf("compared 8 clusters\n");
}

/* It has left, and has what it knows for as long as it leads: it is asked before the only other one that could
 * have the key takes it for lost, though its snapshot names it as one that has left. */
Test(repl_lost, a_leader_that_left_gives_the_key)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = rig_create(2, 1, 3600 + seed);
        struct maker m;

        rig_seal(rig);
        rig->trailing = 1000;
        rig_start(rig, 1);
        rig_start(rig, 2);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
        cr_assert(rig_run(rig, 10000, speaks_all, 1));
        cluster_lead(rig, 2);
        m = rig_maker(rig, 1, 1);
        cluster_settle(rig, 1, make_create(&m, 1, "state", 4097, 0x0a630001, "client"));
        for (int i = 0; i < 64; i++) /* no snapshot is made for fewer */
            cluster_settle(rig, 1, make_audit(&m, "nothing of a session"));
        rig->lost_frames = 1u << RAFT_FRAME_TIMEOUT_NOW; /* so it leads on */
        cluster_settle(rig, 1, make_leave(&m, 2));
        rig->snapshot_entries = 64;
        rig->stays_on = true;
        rig_kill(rig, 1);
        rig_start(rig, 1);
        cr_assert(rig_run(rig, 1000, has_a_snapshot, 1));
        cluster_power_off(rig, 1);
        rig_start(rig, 1);
        cr_assert(rig_run(rig, 1000, is_locked, 1));
        cr_assert(leads_still(rig, 2), "it has wiped the key");
        (void)rig_run(rig, 200, NULL, 0);
        rig->lost_frames = 0;
        cr_assert_not(rig_has_failed(rig, 1), "seed %d: %s", (int)seed, rig_node(rig, 1)->why);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
        cr_assert_not_null(fsm_sa(&rig_node(rig, 1)->replica->fsm, 1), "its session ended");
        cr_assert(rig_run(rig, 10000, voters_are, 1));
        rig_kill(rig, 2);
        cluster_finish(rig);
    }
    (void)printf("compared 4 clusters\n");
}

/* All lost their power, and one is under distrust for as long as it takes: it says nothing of a key that it
 * lacks, and is not waited for at each. But one that has only just come up may have it. */
static uint64_t lose_beside_the_distrusted(uint64_t seed, bool has_it)
{
    struct rig *rig = rig_create(3, 1, seed);
    struct repl_storage s;
    struct maker m;
    uint64_t began, lasted;

    rig_seal(rig);
    rig->trailing = 1000;
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
    m = rig_maker(rig, rig_owner(rig, 1), 1);
    cluster_settle(rig, rig_owner(rig, 1), make_create(&m, 1, "state", 4097, 0x0a630001, "client"));
    cr_assert(rig_run(rig, 10000, rig_agrees, 0));
    rig->lost_frames = 1u << RAFT_FRAME_TRUST;
    rig->stays_on = has_it;
    rig_kill(rig, 3);
    cluster_power_off(rig, 2);
    s = sim_storage_interface(rig_node(rig, 3)->storage);
    s.distrust(s.self, REPL_DISTRUST_OPERATOR);
    sim_storage_flush(rig_node(rig, 3)->storage);
    began = rig->now_ms;
    for (uint32_t i = 1; i <= 2; i++)
        rig_start(rig, i);
    if (has_it)
        (void)rig_run(rig, 2 * ANSWER_MS, NULL, 0);
    rig_start(rig, 3);
    cr_assert(rig_run(rig, 20000, rig_has_owner, 1));
    lasted = rig->now_ms - began;
    cr_assert_eq(fsm_sa(&rig_node(rig, 1)->replica->fsm, 1) != NULL, has_it);
    cr_assert(!rig_has_failed(rig, 1) && !rig_has_failed(rig, 2), "seed %d", (int)seed);
    rig->lost_frames = 0;
    cluster_finish(rig);
    return lasted;
}

Test(repl_lost, one_under_distrust_is_waited_for_as_long_as_an_answer_takes)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        uint64_t ms = lose_beside_the_distrusted(3700 + seed, false);

        cr_assert(ms >= ANSWER_MS && ms < LOST_WAIT_MS, "seed %d: %d ms", (int)seed, (int)ms);
        (void)lose_beside_the_distrusted(3800 + seed, true);
    }
    (void)printf("compared 12 clusters\n");
}

static bool no_former_key(const struct rig *rig, uint64_t node)
{
    return rig->nodes[node - 1].replica->fsm.former_key == 0;
}

static bool key_is_not(const struct rig *rig, uint64_t key)
{
    return rig->nodes[0].replica->fsm.session_key != key;
}

/* Node 2 is down, so node 3, which left, cannot be taken out: without it there is no majority. Service goes on by
 * its vote, and so do the keys: the next one, the end of the former, and what follows from node 1's power. */
Test(repl_lost, keys_go_on_beside_one_that_left_and_cannot_go)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = rig_create(3, 1, 3500 + seed);
        struct maker m;
        uint64_t key;

        rig_seal(rig);
        rig->trailing = 1000;
        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
        cr_assert_eq(rig_owner(rig, 1), 1);
        cr_assert(rig_run(rig, 10000, speaks_all, 1));
        cluster_lead(rig, 1);
        m = rig_maker(rig, 1, 1);
        cluster_settle(rig, 1, make_create(&m, 1, "state", 4097, 0x0a630001, "client"));
        rig_kill(rig, 2);
        key = rig_node(rig, 1)->replica->fsm.session_key;
        cluster_settle(rig, 1, make_leave(&m, 3));
        cr_assert(rig_run(rig, 20000, key_is_not, key), "seed %d: no next key", (int)seed);
        cr_assert(rig_run(rig, 20000, no_former_key, 1), "seed %d: the former one stays",
                  (int)seed);
        cr_assert_eq(rig_owner(rig, 1), 1);
        cluster_power_off(rig, 1);
        rig_start(rig, 1);
        cr_assert(rig_run(rig, 20000, rig_has_owner, 1), "seed %d: nobody goes on", (int)seed);
        rig_start(rig, 2);
        cr_assert(rig_run(rig, 20000, voters_are, 2));
        rig_kill(rig, 3);
        cr_assert(rig_run(rig, 20000, rig_agrees, 0));
        cluster_finish(rig);
    }
    (void)printf("compared 4 clusters\n");
}
