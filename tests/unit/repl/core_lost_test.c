/* Nodes that lack a key without which they cannot go on: which of them have a sound state to wait for,
 * when the sessions are lost to all, and that all are one state then. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "replication/replica_parts.h"
#include "unit/repl/cluster.h"

/* --- a sealed cluster, and what is seen of it at every instant --- */

static size_t compared, mismatched, sessionless, restarts;

/* For rig_run(): nobody's state is what two nodes may compare. */
static bool look(const struct rig *rig, uint64_t unused)
{
    struct repl_status a, b;

    (void)unused;
    for (uint32_t i = 1; i <= rig->n; i++) {
        if (!rig->nodes[i - 1].up || rig->nodes[i - 1].failed)
            continue;
        replica_status(rig->nodes[i - 1].replica, rig->now_ms * 1000000, &a);
        sessionless += a.sessionless;
        mismatched += a.counters[REPL_COUNT_DIGEST_MISMATCH] != 0;
        for (uint32_t k = i + 1; k <= rig->n && !a.sessionless; k++) {
            if (!rig->nodes[k - 1].up || rig->nodes[k - 1].failed)
                continue;
            replica_status(rig->nodes[k - 1].replica, rig->now_ms * 1000000, &b);
            if (b.sessionless || a.applied_index != b.applied_index || a.applied_index == 0)
                continue;
            compared++;
            mismatched += !digest_equal(fsm_digest(replica_fsm(rig->nodes[i - 1].replica)),
                                        fsm_digest(replica_fsm(rig->nodes[k - 1].replica)));
        }
    }
    return false;
}

static bool agrees(const struct rig *rig, uint64_t arg)
{
    (void)look(rig, 0);
    return rig_agrees(rig, arg);
}

static bool owned(const struct rig *rig, uint64_t arg)
{
    (void)look(rig, 0);
    return rig_has_owner(rig, arg);
}

static void run(struct rig *rig, uint64_t ms)
{
    (void)rig_run(rig, ms, look, 0);
}

static const struct fsm *fsm_of(const struct rig *rig, uint32_t node)
{
    return replica_fsm(rig->nodes[node - 1].replica);
}

/* All have booted: before, nothing rotates. */
static bool spoken(const struct rig *rig, uint64_t unused)
{
    (void)unused;
    for (uint32_t i = 1; i <= rig->n; i++)
        if (rig->nodes[i - 1].up && (fsm_of(rig, i)->n_members != rig->n ||
                                     fsm_spoken(fsm_of(rig, i)) < RECORD_SPEAKS_ROTATION))
            return false;
    return true;
}

/* As their service managers have it do. */
static void start_the_failed(struct rig *rig)
{
    bool stays_on = rig->stays_on;

    rig->stays_on = true;
    for (uint32_t i = 1; i <= rig->n; i++)
        if (rig->nodes[i - 1].up && rig_has_failed(rig, i)) {
            rig_kill(rig, i);
            rig_start(rig, i);
            restarts++;
        }
    rig->stays_on = stays_on;
}

/* False: not within so many ms. */
static bool comes(struct rig *rig, uint64_t ms, rig_pred pred, uint64_t arg)
{
    for (uint64_t end = rig->now_ms + ms; rig->now_ms < end;) {
        if (rig_run(rig, 200, pred, arg))
            return true;
        start_the_failed(rig);
    }
    return false;
}

static void submit(struct rig *rig, Holdfast__Record *(*make)(struct maker *m, uint64_t id),
                   uint64_t id)
{
    uint32_t on;
    struct maker m;

    cr_assert(comes(rig, 10000, owned, 1), "nobody owns");
    on = rig_owner(rig, 1);
    m = rig_maker(rig, on, 1);
    cr_assert_neq(rig_submit(rig, on, make(&m, id)), 0);
    cr_assert(rig_run(rig, 10000, rig_settled, on));
}

static Holdfast__Record *create(struct maker *m, uint64_t id)
{
    return make_create(m, id, "state", (uint32_t)(4096 + id), (uint32_t)(0x0a630000 + id),
                       "client");
}

static Holdfast__Record *wish(struct maker *m, uint64_t id)
{
    (void)id;
    return make_rotate(m);
}

static struct rig *sealed(size_t n, uint64_t seed)
{
    struct rig *rig = rig_create(n, 1, seed);

    rig_seal(rig);
    rig->trailing = 1000; /* the log has all, so no install comes by itself */
    for (uint32_t i = 1; i <= n; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 10000, owned, 1));
    cr_assert(rig_run(rig, 10000, spoken, 0));
    for (uint64_t id = 1; id <= 5; id++)
        submit(rig, create, id);
    cr_assert(rig_run(rig, 10000, agrees, 0));
    compared = mismatched = sessionless = restarts = 0;
    return rig;
}

static uint64_t session_key(const struct rig *rig)
{
    return fsm_of(rig, rig_owner(rig, 1))->session_key;
}

static bool changed(const struct rig *rig, uint64_t former)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        if (rig->nodes[i - 1].up && fsm_of(rig, i)->session_key == former)
            return false;
    return true;
}

static bool erased(const struct rig *rig, uint64_t former)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        if (rig->nodes[i - 1].up && fsm_of(rig, i)->former_key != 0)
            return false;
    return changed(rig, former);
}

/* Another key, while some are away; both keys have sealed something then. */
static void rotate(struct rig *rig)
{
    uint64_t former;

    submit(rig, create, 51);
    former = session_key(rig);
    submit(rig, wish, 0);
    cr_assert(rig_run(rig, 20000, erased, former), "not erased");
    for (uint64_t id = 52; id <= 54; id++)
        submit(rig, create, id);
    cr_assert(rig_run(rig, 10000, agrees, 0));
}

static void all_sessions(const struct rig *rig, uint64_t seed)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        for (uint64_t id = 1; id <= 54; id = id == 5 ? 51 : id + 1)
            cr_assert(!rig->nodes[i - 1].up || fsm_sa(fsm_of(rig, i), id) != NULL,
                      "seed %d: node %u lost SA %d", (int)seed, i, (int)id);
}

/* It has a snapshot, and waits for the key to read it with. */
static bool lacks_its_key(const struct rig *rig, uint64_t node)
{
    const struct replica *r = rig->nodes[node - 1].replica;

    (void)look(rig, 0);
    return r->locked.want != 0 && r->locked.entry == NULL && !r->locked.unused;
}

static void cut(struct rig *rig, uint32_t a, uint32_t b)
{
    sim_network_partition(rig->network, a, b);
    sim_network_partition(rig->network, b, a);
}

static void finish(struct rig *rig)
{
    cr_assert(comes(rig, 40000, agrees, 0), "states differ in the end");
    cr_assert_eq(mismatched, 0, "two states at one index");
    cr_assert_eq(rig->two_owners, 0);
    cr_assert(rig_mirrors(rig));
    rig_destroy(rig);
}

static void off(struct rig *rig, uint32_t node, bool stays_on)
{
    rig->stays_on = stays_on;
    rig_kill(rig, node);
    rig->stays_on = false;
}

/* --- to lack a key is not to need it --- */

/* Nodes that just begin lack the former key, too, and have no use for it. */
Test(repl_lost, who_only_begins_does_not_say_that_a_key_is_lost)
{
    size_t looked = 0;

    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct rig *rig = sealed(3, 2000 + seed);
        uint32_t away = (uint32_t)(seed % 3) + 1;

        off(rig, away, false);
        rotate(rig);
        for (uint32_t i = 1; i <= 3; i++)
            if (i != away)
                off(rig, i, true);
        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        cr_assert(comes(rig, 20000, agrees, 0), "seed %d", (int)seed);
        run(rig, 2000);
        cr_assert_eq(sessionless, 0, "seed %d: taken for lost", (int)seed);
        all_sessions(rig, seed);
        looked += compared;
        finish(rig);
    }
    cr_assert_gt(looked, 0);
    (void)printf("compared %zu states\n", looked);
}

/* Two that lack it, but the word of one counts for nothing (I10): a third may have it. */
Test(repl_lost, who_is_under_distrust_does_not_say_that_a_key_is_lost)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct rig *rig = sealed(3, 2100 + seed);
        uint32_t has = (uint32_t)(seed % 3) + 1;
        uint32_t muted = has % 3 + 1;

        rotate(rig); /* so that there is a snapshot, which cannot be read */
        for (uint32_t i = 1; i <= 3; i++)
            off(rig, i, i == has);
        (void)sim_storage_lose(rig_node(rig, muted)->storage, 0, true, true);
        for (uint32_t i = 1; i <= 3; i++)
            if (i != has)
                rig_start(rig, i);
        run(rig, 8000);
        for (uint32_t i = 1; i <= 3; i++)
            cr_assert(i == has || lacks_its_key(rig, i));
        cr_assert_eq(sessionless, 0, "seed %d: taken for lost", (int)seed);
        rig_start(rig, has);
        cr_assert(comes(rig, 20000, owned, 1));
        all_sessions(rig, seed);
        finish(rig);
    }
    (void)printf("compared 3 clusters\n");
}

/* Who said so and is gone does not count with those that came later. */
Test(repl_lost, words_grow_old)
{
    struct rig *rig = sealed(5, 2200);

    for (uint64_t id = 51; id <= 54; id++)
        submit(rig, create, id);
    for (uint32_t i = 1; i <= 5; i++)
        off(rig, i, i > 3);
    rig_start(rig, 1);
    rig_start(rig, 2);
    run(rig, 2000);
    off(rig, 2, false);
    run(rig, 1000);
    rig_start(rig, 3);
    run(rig, 8000);
    cr_assert_eq(sessionless, 0, "two of five");
    rig_start(rig, 4);
    rig_start(rig, 5);
    cr_assert(comes(rig, 20000, owned, 1));
    all_sessions(rig, 0);
    finish(rig);
    (void)printf("compared 1 cluster\n");
}

/* --- one that went on has a state to give --- */

/* Two of five need the erased key, and one of the others leads neither of them: a leader without a state
 * to show gives its office to the one that has one, not to the other that has none. */
Test(repl_lost, a_stuck_leader_makes_room_for_one_that_went_on)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct rig *rig = sealed(5, 2300 + seed);

        off(rig, 4, false);
        off(rig, 5, false);
        rotate(rig);
        off(rig, 2, false);
        off(rig, 3, false);
        cut(rig, 1, 5);
        rig_start(rig, 4);
        rig_start(rig, 5);
        /* As soon as one of them can lead, it has to. */
        for (uint64_t end = rig->now_ms + 1500; rig->now_ms < end;) {
            run(rig, 20);
            if (rig_leader(rig) == 1)
                (void)!replica_transfer(rig_node(rig, 1)->replica, rig->now_ms * 1000000, 4);
        }
        sim_network_heal(rig->network);
        cr_assert(comes(rig, 20000, owned, 1), "seed %d: nobody goes on", (int)seed);
        cr_assert(comes(rig, 20000, agrees, 0));
        cr_assert_eq(sessionless, 0, "seed %d", (int)seed);
        all_sessions(rig, seed);
        finish(rig);
    }
    (void)printf("compared 6 clusters\n");
}

/* It has a snapshot behind the change, so it needs the former key no more, though no majority has one yet
 * and the state names that key; and it has no other state to give than this one. */
Test(repl_lost, who_names_the_former_key_and_needs_it_no_more_went_on)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = sealed(3, 2400 + seed);
        uint64_t former = session_key(rig);

        off(rig, 3, false);
        submit(rig, create, 51);
        sim_storage_full(rig_node(rig, 2)->storage, true);
        submit(rig, wish, 0);
        cr_assert(rig_run(rig, 10000, changed, former));
        for (uint64_t id = 52; id <= 54; id++)
            submit(rig, create, id);
        run(rig, 1000);
        cr_assert_eq(fsm_of(rig, 1)->former_key, former);
        off(rig, 1, false);
        rig_start(rig, 1);
        run(rig, 2000);
        cr_assert_eq(fsm_of(rig, 1)->former_key, former);
        cr_assert_not(seal_ring_has(&rig_node(rig, 1)->ring, former));
        off(rig, 2, false);
        rig_start(rig, 3);
        cr_assert(comes(rig, 20000, owned, 1), "seed %d: node 3 waits for ever", (int)seed);
        cr_assert(comes(rig, 20000, agrees, 0));
        cr_assert_eq(sessionless, 0);
        all_sessions(rig, seed);
        finish(rig);
    }
    (void)printf("compared 4 clusters\n");
}

/* Nodes 1 and 2 need a former key, node 3, which leads, the next one; node 4 has all, but node 3 does not
 * hear it. Who awaits the state of one that it hears does not tell node 3 that all is lost; but neither
 * does it hold up the cluster for ever. */
static struct rig *apart(uint64_t seed)
{
    struct rig *rig = sealed(5, 2500 + seed);

    off(rig, 1, false);
    off(rig, 2, false);
    rotate(rig);
    off(rig, 5, false);
    off(rig, 3, false);
    for (uint32_t i = 1; i <= 3; i++)
        cut(rig, i, 4);
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    run(rig, 1000); /* node 3 has the longest log: it leads */
    sim_network_heal(rig->network);
    cut(rig, 3, 4);
    return rig;
}

Test(repl_lost, who_hears_a_sound_one_does_not_say_that_all_is_lost)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct rig *rig = apart(seed);

        run(rig, 7000);
        cr_assert_eq(sessionless, 0, "seed %d: taken for lost", (int)seed);
        sim_network_heal(rig->network);
        cr_assert(comes(rig, 20000, owned, 1));
        cr_assert(comes(rig, 20000, agrees, 0));
        all_sessions(rig, seed);
        finish(rig);
    }
    (void)printf("compared 3 clusters\n");
}

Test(repl_lost, nor_does_it_wait_for_ever)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct rig *rig = apart(seed);

        cr_assert(comes(rig, 40000, owned, 1), "seed %d: nobody goes on", (int)seed);
        submit(rig, create, 1000);
        sim_network_heal(rig->network);
        rig_start(rig, 5);
        finish(rig);
    }
    (void)printf("compared 3 clusters\n");
}

static bool leads_blind(const struct rig *rig, uint64_t unused)
{
    struct repl_status s;

    (void)unused;
    (void)look(rig, 0);
    for (uint32_t i = 1; i <= rig->n; i++) {
        if (!rig->nodes[i - 1].up)
            continue;
        replica_status(rig->nodes[i - 1].replica, rig->now_ms * 1000000, &s);
        if (s.leader == i && s.sessionless)
            return true;
    }
    return false;
}

/* Two were about to agree that all is lost, and are cut off from each other: then comes the third, which
 * has it all and has just begun. */
Test(repl_lost, what_a_majority_said_once_is_not_decided_when_it_is_none_any_more)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct rig *rig = sealed(3, 2700 + seed);

        off(rig, 1, false);
        rotate(rig);
        off(rig, 2, false);
        off(rig, 3, true);
        rig_start(rig, 1);
        rig_start(rig, 2);
        cr_assert(rig_run(rig, 10000, leads_blind, 0));
        cut(rig, 1, 2);
        run(rig, 500);
        rig_start(rig, 3);
        run(rig, 3000);
        sim_network_heal(rig->network);
        cr_assert(comes(rig, 20000, owned, 1));
        cr_assert(comes(rig, 20000, agrees, 0));
        all_sessions(rig, seed);
        finish(rig);
    }
    (void)printf("compared 8 clusters\n");
}

/* What was said is as good as not said: before it is said again, nothing is decided. */
Test(repl_lost, the_loss_is_written_only_while_a_majority_says_so)
{
    struct rig *rig = sealed(3, 2750);
    struct replica *r;
    uint64_t former = session_key(rig);

    for (uint32_t i = 1; i <= 3; i++)
        off(rig, i, false);
    rig_start(rig, 1);
    rig_start(rig, 2);
    cr_assert(rig_run(rig, 10000, leads_blind, 0));
    r = rig_node(rig, rig_leader(rig))->replica;
    r->need.n_words = 0;
    r->asked_ns = rig->now_ms * 1000000;
    run(rig, 50);
    cr_assert_eq(r->fsm.session_key, former, "nobody said so");
    cr_assert(comes(rig, 10000, owned, 1));
    cr_assert_neq(r->fsm.session_key, former);
    rig_start(rig, 3);
    finish(rig);
    (void)printf("compared 1 cluster\n");
}

/* --- a majority cannot go on --- */

/* They lack different keys, one of them has been away since before the change; whoever leads. */
Test(repl_lost, with_two_of_three_that_lack_different_keys_the_cluster_goes_on)
{
    size_t lost = 0;

    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct rig *rig = sealed(3, 2600 + seed);
        uint32_t away = (uint32_t)(seed % 3) + 1;
        uint32_t other = away % 3 + 1;
        uint32_t third = other % 3 + 1;

        off(rig, away, false);
        rotate(rig);
        off(rig, other, false);
        off(rig, third, seed % 2 == 0);
        rig_start(rig, away);
        rig_start(rig, other);
        for (uint64_t end = rig->now_ms + 2500; seed > 4 && rig->now_ms < end;) {
            run(rig, 20); /* the one that has been away is to lead */
            if (rig_node(rig, other)->up && rig_leader(rig) != away)
                (void)!replica_transfer(rig_node(rig, other)->replica, rig->now_ms * 1000000, away);
        }
        cr_assert(comes(rig, 30000, owned, 1), "seed %d: nobody goes on", (int)seed);
        cr_assert_gt(sessionless, 0);
        cr_assert_eq(restarts, 0);
        lost += fsm_sa(fsm_of(rig, away), 1) == NULL;
        submit(rig, create, 1000);
        rig_start(rig, third);
        cr_assert(comes(rig, 20000, agrees, 0), "seed %d", (int)seed);
        for (uint32_t i = 1; i <= 3; i++)
            cr_assert(fsm_sa(fsm_of(rig, i), 1) == NULL && fsm_sa(fsm_of(rig, i), 1000) != NULL);
        finish(rig);
    }
    cr_assert_eq(lost, 8);
    (void)printf("compared 8 clusters\n");
}

static bool both_await(const struct rig *rig, uint64_t unused)
{
    (void)unused;
    (void)look(rig, 0);
    return replica_agreement(rig->nodes[0].replica, 1) == REPL_DIFFERS &&
           replica_agreement(rig->nodes[1].replica, 2) == REPL_DIFFERS;
}

/* The one that went on promised its state to two others and ended, for good: nobody has one to give. */
Test(repl_lost, who_was_promised_a_state_that_is_gone_begins_anew)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = sealed(5, 2800 + seed);

        off(rig, 1, false);
        off(rig, 2, false);
        rotate(rig);
        off(rig, 3, false);
        off(rig, 4, false);
        rig_start(rig, 1);
        rig_start(rig, 2);
        cr_assert(rig_run(rig, 5000, both_await, 0));
        off(rig, 5, false);
        rig_start(rig, 3);
        sim_storage_set_delay(rig_node(rig, 3)->storage, 50,
                              60); /* and a snapshot takes its time */
        for (uint64_t end = rig->now_ms + 2500; rig->now_ms < end;) {
            run(rig, 20); /* one of those that wait is to lead */
            (void)!replica_transfer(rig_node(rig, 3)->replica, rig->now_ms * 1000000, 1);
        }
        cr_assert(comes(rig, 9000, owned, 1), "seed %d: nobody goes on", (int)seed);
        submit(rig, create, 1000);
        rig_start(rig, 4);
        rig_start(rig, 5);
        cr_assert(comes(rig, 20000, agrees, 0));
        for (uint32_t i = 1; i <= 5; i++)
            cr_assert(fsm_sa(fsm_of(rig, i), 1) == NULL && fsm_sa(fsm_of(rig, i), 1000) != NULL);
        finish(rig);
    }
    (void)printf("compared 4 clusters\n");
}

/* Node 1 gets a snapshot in place of what it cannot open, and is cut off before the key of that comes. */
Test(repl_lost, what_it_awaited_came_and_is_past_too)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = sealed(3, 2900 + seed);
        uint64_t former;

        off(rig, 1, false);
        rotate(rig);
        rig_start(rig, 1);
        cr_assert(rig_run(rig, 5000, lacks_its_key, 1));
        cut(rig, 1, 2);
        cut(rig, 1, 3);
        run(rig, 1000);
        cr_assert(lacks_its_key(rig, 1));
        former = session_key(rig);
        submit(rig, wish, 0);
        for (uint64_t end = rig->now_ms + 10000;
             rig->now_ms < end &&
             (fsm_of(rig, 2)->session_key == former || fsm_of(rig, 2)->former_key != 0);)
            run(rig, 100);
        sim_network_heal(rig->network);
        cr_assert(comes(rig, 10000, agrees, 0), "seed %d: it waits for ever", (int)seed);
        all_sessions(rig, seed);
        finish(rig);
    }
    (void)printf("compared 4 clusters\n");
}
