/* Members come and go in a running cluster: 1 -> 3 -> 5 -> 3, with writes and takeovers at each
 * step, leaders that die in each phase, learners that never catch up, programs of two versions. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "replication/recover_survey.h"
#include "replication/replica_parts.h"
#include "unit/repl/members_rig.h"

Test(repl_members, one_three_five_three)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rig *rig = cluster_running(1, 8000 + seed);

        next_sa = 1;
        write_some(rig);
        (void)join(rig);
        (void)rig_run(rig, 2000, NULL, 0);
        cr_assert_eq(voters_as(rig, rig_leader(rig)), 1, "a second voter alone helps nobody");
        (void)join(rig);
        cr_assert(rig_run(rig, 10000, has_voters, 3));
        write_some(rig);
        take_over(rig);
        (void)join(rig);
        (void)join(rig);
        cr_assert(rig_run(rig, 10000, has_voters, 5));
        write_some(rig);
        take_over(rig);
        leave(rig, 1);
        cr_assert(rig_run(rig, 10000, has_voters, 4));
        stop_removed(rig, 1);
        write_some(rig);
        leave(rig, 4);
        cr_assert(rig_run(rig, 10000, has_voters, 3));
        stop_removed(rig, 4);
        take_over(rig);
        cr_assert_eq(replica_fsm(rig_node(rig, owner(rig))->replica)->sas.n_used, next_sa - 1);
        cluster_finish(rig);
    }
}

/* Who began the cluster is gone, the log reaches back to him alone, and nobody has the sessions' keys: the
 * majority that may say so is the present one. */
Test(repl_members, all_start_anew_when_their_founder_has_left)
{
    static const uint32_t stay[] = {2, 3, 5};

    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rig *rig = rig_create(1, 1, 8700 + seed);

        next_sa = 1;
        rig_seal(rig);
        rig_start(rig, 1);
        write_some(rig);
        for (size_t i = 0; i < 4; i++)
            (void)join(rig);
        cr_assert(rig_run(rig, 20000, has_voters, 5));
        write_some(rig);
        leave(rig, 1);
        cr_assert(rig_run(rig, 10000, has_voters, 4));
        stop_removed(rig, 1);
        leave(rig, 4);
        cr_assert(rig_run(rig, 10000, has_voters, 3));
        stop_removed(rig, 4);
        for (size_t i = 0; i < 3; i++)
            rig_kill(rig, stay[i]);
        for (size_t i = 0; i < 3; i++)
            rig_start(rig, stay[i]);
        cr_assert(rig_run(rig, 30000, rig_has_owner, 1), "the cluster stays dead");
        write_some(rig);
        cluster_finish(rig);
    }
}

/* Its operator wrote down the present ones, but what it kept names none but others that are gone. */
static void knows_the_past(struct rig_node *n)
{
    for (n->n_peers = 0; n->n_peers + 1 < REPL_MAX_NODES; n->n_peers++)
        n->peers[n->n_peers] = (struct repl_node_address){.node = 40 + (uint32_t)n->n_peers};
    n->n_asks = 0;
    for (uint32_t node = 6; node <= 10; node++)
        if (node != n->id)
            n->asks[n->n_asks++] = node;
}

/* Five have taken the place of five others, one after the other, and no log was trimmed meanwhile: at a
 * start it begins with founders of whom nobody is there. All are down. */
static struct rig *all_replaced(uint64_t seed)
{
    struct rig *rig = rig_create(5, 1, seed);

    next_sa = 1;
    rig->choosy = true;
    for (uint32_t node = 1; node <= 5; node++)
        rig_start(rig, node);
    write_some(rig);
    for (uint32_t node = 1; node <= 5; node++) {
        leave(rig, node);
        cr_assert(rig_run(rig, 10000, has_voters, 4));
        stop_removed(rig, node);
        (void)join(rig);
        cr_assert(rig_run(rig, 10000, has_voters, 5), "node %u's place", node);
    }
    write_some(rig);
    for (uint32_t node = 6; node <= 10; node++)
        rig_kill(rig, node);
    return rig;
}

/* Whom the end of the log names finds room in the list. */
Test(repl_members, all_were_replaced_and_a_majority_comes_back)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct rig *rig = all_replaced(8750 + seed);

        for (uint32_t node = 8; node <= 10; node++)
            rig_start(rig, node);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1), "the cluster stays dead");
        write_some(rig);
        for (uint32_t node = 8; node <= 10; node++)
            rig_kill(rig, node);
        for (uint32_t node = 8; node <= 10; node++) {
            knows_the_past(rig_node(rig, node));
            rig_start(rig, node);
        }
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1), "what is past took all the room");
        write_some(rig);
        cluster_finish(rig);
    }
}

/* One that started anew without a majority has applied nothing of what its log holds: what it says of the
 * members, and whom a recovery would give up, are those of the log's end, not founders of long ago. */
Test(repl_members, a_survivor_names_the_present_members)
{
    struct rig *rig = all_replaced(8761);
    struct recover_survey s;
    struct repl_status st;

    rig_start(rig, 10);
    rig_start(rig, 9);
    (void)rig_run(rig, 500, NULL, 0);
    replica_status(rig_node(rig, 10)->replica, rig->now_ms * 1000000, &st);
    cr_assert(st.leader == 0 && st.applied_index < 10);
    for (size_t i = 0; i < st.n_nodes; i++)
        cr_assert_eq(st.nodes[i].role, st.nodes[i].node >= 6 ? REPL_VOTER : REPL_LEFT, "node %u",
                     st.nodes[i].node);
    s = recover_survey(&st);
    cr_assert(s.member && s.voters == 5 && s.able == 2 && s.n_lost == 4,
              "%zu voters, %zu of them able, %zu lost", s.voters, s.able, s.n_lost);
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_eq(s.lost[i], 6 + i);
    rig_destroy(rig);
}

static size_t listed(const struct rig_node *n, uint32_t from, uint32_t to)
{
    size_t count = 0;

    for (size_t i = 0; i < n->n_peers; i++)
        count += n->peers[i].node >= from && n->peers[i].node <= to;
    return count;
}

/* One that was away for so long that its log and its operator's file name nobody who is there any more, and
 * that is told of the present members, then of others: the last word finds room. */
Test(repl_members, a_members_word_finds_room)
{
    struct rig *rig = all_replaced(8760);
    struct rig_node *n = rig_node(rig, 10);

    for (n->n_asks = 0; n->n_asks + 1 < REPL_MAX_MEMBERS; n->n_asks++)
        n->asks[n->n_asks] = 30 + (uint32_t)n->n_asks;
    n->n_peers = 0;
    rig_start(rig, 10);
    for (uint32_t first = 40; first <= 50; first += 5) {
        struct repl_node_address word[REPL_MAX_MEMBERS] = {0};

        for (uint32_t i = 0; i < REPL_MAX_MEMBERS; i++)
            word[i].node = first + i;
        replica_introduce(n->replica, n->replica->now_ns, 9, word, REPL_MAX_MEMBERS);
        cr_assert_eq(listed(n, first, first + REPL_MAX_MEMBERS - 1), REPL_MAX_MEMBERS,
                     "%zu of those from %u on", listed(n, first, first + 4), first);
        cr_assert_eq(listed(n, 6, 10), 5, "who votes stays");
    }
    rig_kill(rig, 10);
    rig_destroy(rig);
}

static uint32_t leader_as(struct rig *rig, uint32_t node)
{
    struct repl_status st;

    replica_status(rig_node(rig, node)->replica, rig->now_ms * 1000000, &st);
    return st.leader;
}

/* As the daemon would (ask_who()): without a leader it asks those that it is connected with. */
static void hears_members(struct rig *rig, uint32_t node, uint32_t from)
{
    const struct rig_node *by = rig_node(rig, from);

    if (leader_as(rig, node) == 0)
        replica_introduce(rig_node(rig, node)->replica, rig->now_ms * 1000000, from, by->peers,
                          by->n_peers);
}

static void cut_off(struct rig *rig, uint32_t node)
{
    for (uint32_t other = 1; other <= rig->n; other++) {
        if (other == node)
            continue;
        sim_network_partition(rig->network, node, other);
        sim_network_partition(rig->network, other, node);
    }
}

/* Who joined while one that runs all the while was cut off leads then: of that leader its log says nothing,
 * and nobody but that leader tells it more of the log. A member's word is what it has. */
Test(repl_members, one_that_was_cut_off_finds_a_leader_that_came_meanwhile)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rig *rig = rig_create(3, 1, 8770 + seed);
        struct repl_node_address other = {.node = 40};
        const struct rig_node *lone = rig_node(rig, 1);

        next_sa = 1;
        rig->choosy = true;
        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        write_some(rig);
        cr_assert(rig_run(rig, 5000, rig_agrees, 0));
        cut_off(rig, 1);
        (void)rig_run(rig, 3000, NULL, 0);
        (void)join(rig);
        (void)join(rig);
        cr_assert(rig_run(rig, 20000, has_voters, 5));
        cluster_lead(rig, 5);
        cr_assert_eq(listed(lone, 5, 5), 0, "how would it know?");
        sim_network_heal(rig->network);
        replica_introduce(lone->replica, rig->now_ms * 1000000, 2, &other, 1);
        for (int i = 0; i < 20; i++) {
            hears_members(rig, 1, 2);
            (void)rig_run(rig, 500, NULL, 0);
        }
        cr_assert_eq(leader_as(rig, 1), 5, "seed %lu: it does not find node 5",
                     (unsigned long)seed);
        write_some(rig);
        cr_assert(rig_run(rig, 5000, rig_agrees, 0));
        cr_assert_eq(listed(lone, 40, 40), 0, "the log is heard: no word counts any more");
        replica_introduce(lone->replica, rig->now_ms * 1000000, 2, &other, 1);
        cr_assert_eq(listed(lone, 40, 40), 0);
        cluster_finish(rig);
    }
}

static bool has_another_key(const struct rig *rig, uint64_t former)
{
    uint64_t now = replica_fsm(rig->nodes[0].replica)->session_key;

    return now != 0 && now != former;
}

/* A removal changes the key of sessions; who leaves as the leader must not be the one who makes it. */
Test(repl_members, a_removed_leader_does_not_have_the_key_after_it)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rig *rig = rig_create(3, 1, 8750 + seed);
        uint64_t former;

        next_sa = 1;
        rig_seal(rig);
        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        write_some(rig);
        (void)rig_run(rig, 1000, NULL, 0);
        cluster_lead(rig, 2);
        (void)join(rig); /* a change just before keeps the leader in office for a promise longer */
        (void)join(rig);
        cr_assert(rig_run(rig, 20000, has_voters, 5));
        former = replica_fsm(rig_node(rig, 1)->replica)->session_key;
        cr_assert_eq(rig_leader(rig), 2);
        cr_assert(seal_ring_has(&rig_node(rig, 2)->ring, former));
        leave(rig, 2);
        cr_assert(rig_run(rig, 20000, has_another_key, former), "the key stays as it was");
        cr_assert(rig_run(rig, 20000, has_voters, 4));
        cr_assert_not(seal_ring_has(&rig_node(rig, 2)->ring,
                                    replica_fsm(rig_node(rig, 1)->replica)->session_key),
                      "seed %lu: the removed node has the new key", (unsigned long)seed);
        stop_removed(rig, 2);
        write_some(rig);
        cluster_finish(rig);
    }
}

/* No lease is lost while members come: the owner goes on through each change. */
Test(repl_members, the_owner_acts_all_the_while)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct rig *rig = cluster_running(3, 8100 + seed);
        uint64_t silent = 0;

        (void)join(rig);
        (void)join(rig);
        while (!has_voters(rig, 5)) {
            (void)rig_run(rig, 1, NULL, 0);
            silent += rig_owner(rig, 1) == 0;
            cr_assert_lt(rig->now_ms, 60000);
        }
        leave(rig, 5);
        for (int i = 0; i < 1000; i++) {
            (void)rig_run(rig, 1, NULL, 0);
            silent += rig_owner(rig, 1) == 0;
        }
        cr_assert(has_voters(rig, 4));
        cr_assert_eq(silent, 0, "seed %lu: nobody acted in %lu ms", (unsigned long)seed,
                     (unsigned long)silent);
        stop_removed(rig, 5);
        cluster_finish(rig);
    }
}

/* The leader dies so many ms after the join was written: in each phase of it. */
Test(repl_members, a_join_goes_on_when_the_leader_dies)
{
    size_t phases = 0;

    for (uint64_t after = 0; after < 1400; after += 35, phases++) {
        struct rig *rig = cluster_running(3, 8200 + after);
        uint32_t leader;

        next_sa = 1;
        (void)join(rig);
        (void)join(rig);
        (void)rig_run(rig, after, NULL, 0);
        cr_assert(rig_run(rig, 5000, rig_has_leader, 0));
        leader = rig_leader(rig);
        rig_kill(rig, leader);
        (void)rig_run(rig, 1 + after % 700, NULL, 0);
        rig_start(rig, leader);
        cr_assert(rig_run(rig, 20000, has_voters, 5), "killed %lu ms after", (unsigned long)after);
        write_some(rig);
        cluster_finish(rig);
    }
    (void)fprintf(stderr, "compared %zu phases\n", phases);
}

Test(repl_members, a_leave_goes_on_when_the_leader_dies_or_leaves)
{
    size_t phases = 0;

    for (uint64_t after = 0; after < 400; after += 25, phases++) {
        struct rig *rig = cluster_running(3, 8300 + after);
        uint32_t leader, gone = 2 + after / 25 % 2;

        next_sa = 1;
        (void)join(rig);
        (void)join(rig);
        cr_assert(rig_run(rig, 10000, has_voters, 5));
        cluster_lead(rig, phases % 2 == 0 ? gone : 4);
        leave(rig, gone); /* the leader itself, half of the times */
        (void)rig_run(rig, after, NULL, 0);
        leader = rig_leader(rig);
        if (leader != 0 && leader != gone) {
            rig_kill(rig, leader);
            (void)rig_run(rig, 600, NULL, 0);
            rig_start(rig, leader);
        }
        cr_assert(rig_run(rig, 20000, has_voters, 4), "%lu ms after", (unsigned long)after);
        stop_removed(rig, gone);
        write_some(rig);
        cluster_finish(rig);
    }
    (void)fprintf(stderr, "compared %zu phases\n", phases);
}

/* It harms nobody, and can be given up. */
Test(repl_members, a_learner_that_never_catches_up)
{
    struct rig *rig = cluster_running(3, 8400);
    uint32_t lost = join(rig);

    next_sa = 1;
    rig_kill(rig, lost);
    (void)join(rig);
    (void)rig_run(rig, 5000, NULL, 0);
    cr_assert_eq(voters_as(rig, rig_leader(rig)), 3);
    take_over(rig);
    leave(rig, lost);
    (void)rig_run(rig, 2000, NULL, 0);
    cr_assert_eq(voters_as(rig, rig_leader(rig)), 3, "a fourth waits for a fifth");
    cluster_finish(rig);
}

/* A dead node is replaced: removed, and a new one in its place under a new id. */
Test(repl_members, a_dead_node_is_replaced)
{
    struct rig *rig = cluster_running(3, 8500);

    next_sa = 1;
    rig_kill(rig, 1);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    write_some(rig);
    leave(rig, 1);
    cr_assert(rig_run(rig, 5000, has_voters, 2));
    cr_assert_eq(join(rig), 4);
    cr_assert(rig_run(rig, 10000, has_voters, 3));
    take_over(rig);
    cluster_finish(rig);
}

/* Node 3 has left, node 2 is dead: two voters, one of them dead, could commit nothing, so node 3 stays among the three.
 * The learner makes them a majority again: of those that stay two vote. */
Test(repl_members, a_learner_takes_the_place_of_one_that_has_left)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct rig *rig = cluster_running(3, 8510 + seed);

        next_sa = 1;
        cr_assert_eq(join(rig), 4);
        write_some(rig);
        cr_assert(rig_run(rig, 5000, rig_agrees, 0));
        cluster_lead(rig, 1);
        rig_kill(rig, 2);
        cr_assert_eq(voters_as(rig, 1), 3, "of an even number nobody would have more");
        leave(rig, 3);
        cr_assert(rig_run(rig, 10000, has_voters, 3), "seed %d: it stays among the voters",
                  (int)seed);
        stop_removed(rig, 3);
        write_some(rig);
        rig_start(rig, 2);
        cluster_finish(rig);
    }
    printf("compared 4 clusters\n");
}

/* It comes back with what it had, not knowing that it was removed. */
Test(repl_members, the_removed_is_not_heard)
{
    struct rig *rig = cluster_running(3, 8600);

    next_sa = 1;
    rig_kill(rig, 1);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    leave(rig, 1);
    cr_assert(rig_run(rig, 5000, has_voters, 2));
    rig_start(rig, 1);
    write_some(rig);
    (void)rig_run(rig, 5000, NULL, 0);
    cr_assert_neq(owner(rig), 1);
    cr_assert_not(rig_node(rig, 1)->failed);
    cr_assert(has_left(rig, 1));
    cr_assert_eq(voters_as(rig, rig_leader(rig)), 2);
    rig_kill(rig, 1);
    cluster_finish(rig);
}

/* Who has only a token is not heard by Raft, nor does it start as if it were in. */
Test(repl_members, who_waits_with_a_token_is_outside)
{
    struct rig *rig = cluster_running(3, 8700);
    struct maker m = rig_maker(rig, 1, 1);
    uint32_t id = rig_add(rig);

    submit(rig, 1, make_token(&m, id, 1, 60000), 1);
    rig_start(rig, id);
    (void)rig_run(rig, 3000, NULL, 0);
    cr_assert_null(fsm_member(replica_fsm(rig_node(rig, 1)->replica), id));
    submit(rig, 1, make_join(&m, id, 2), 1 + REPL_REFUSED_UNKNOWN);
    cr_assert_eq(replica_fsm(rig_node(rig, id)->replica)->applied_index, 0);
    rig_kill(rig, id);
    cluster_finish(rig);
}

/* One node runs the program before this one: the cluster writes nothing that it does not know, until
 * it is upgraded. Then that program no longer applies what was written since, and owns nothing. */
Test(repl_members, a_rolling_upgrade_and_one_back_too_late)
{
    struct rig *rig = rig_create(3, 1, 8800);
    struct maker m;

    next_sa = 1;
    rig_node(rig, 3)->speaks = 1;
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    m = rig_maker(rig, 1, 1);
    submit(rig, 1, make_token(&m, 4, 1, 60000), 1 + REPL_REFUSED_MALFORMED);
    write_some(rig);
    rig_kill(rig, 3);
    rig_node(rig, 3)->speaks = 0;
    rig_start(rig, 3);
    cr_assert(rig_run(rig, 5000, speaks_all, 1));
    m = rig_maker(rig, 1, 1);
    submit(rig, 1, make_token(&m, 4, 1, 60000), 1);
    write_some(rig);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));

    rig_kill(rig, 3);
    rig_node(rig, 3)->speaks = 1;
    rig_start(rig, 3);
    write_some(rig);
    (void)rig_run(rig, 2000, NULL, 0);
    cr_assert_gt(rig_node(rig, 3)->halt_told, 0, "it says so");
    cr_assert_lt(replica_fsm(rig_node(rig, 3)->replica)->applied_index,
                 replica_fsm(rig_node(rig, 1)->replica)->applied_index);
    cr_assert_eq(fsm_spoken(replica_fsm(rig_node(rig, 1)->replica)), RECORD_SPEAKS,
                 "it never got in");
    cr_assert_eq(rig_node(rig, 3)->assigned_mine, 0);
    rig_kill(rig, 3);
    rig_node(rig, 3)->speaks = 0;
    rig_start(rig, 3);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    cr_assert_eq(rig_node(rig, 3)->halt_told, 0);
    take_over(rig);
    cluster_finish(rig);
}
