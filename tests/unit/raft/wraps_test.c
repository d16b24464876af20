/* Each defect of libraft that the driver wraps: a small scenario that passes with the wrap and
 * fails without it (by a wrong outcome, by one of our assertions, or by the crash that it is).
 * Every scenario runs in a process of its own, with the library that has a switch per wrap. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "replication/raft_test_heap.h"
#include "unit/raft/child.h"
#include "unit/raft/cluster.h"
#include "unit/raft/rig.h"

/* No change of voters before the new ones have shown that they can commit it (raft_change.c): what two
 * scenarios need comes about only without. */
enum { NO_PROOF = 1 << 28 };

static void red_unwrapped(scenario run, unsigned defect)
{
    int with = in_child(run, 0, 60), without = in_child(run, 1U << (defect - 1), 60);
    cr_assert(WIFEXITED(with) && WEXITSTATUS(with) == 0,
              "defect %u: fails although it is wrapped: status %x", defect, with);
    cr_assert(!(WIFEXITED(without) && WEXITSTATUS(without) == 0),
              "defect %u: nothing is seen of it without its wrap", defect);
}

/* A demotion of ourselves stands behind two commands in one message; then a new leader takes it
 * back. */
static void change_inside_a_batch(uint32_t unwrapped)
{
    struct rig r;
    rig_init(&r, 2, 3, unwrapped);
    rig_append(&r, 1, 2, 1, 1, 1, "ccs");
    rig_disk(&r);
    DEMAND(raft_driver_status(r.driver).role == RAFT_DRIVER_SPARE);
    rig_append(&r, 3, 3, 3, 2, 1, "c");
    rig_disk(&r);
    DEMAND(raft_driver_status(r.driver).role == RAFT_DRIVER_VOTER);
    /* two CHANGEs in one message, the second taken back: the first stands */
    rig_append(&r, 3, 3, 4, 3, 1, "scv");
    rig_disk(&r);
    DEMAND(raft_driver_status(r.driver).role == RAFT_DRIVER_VOTER);
    rig_append(&r, 1, 4, 6, 3, 1, "c");
    rig_disk(&r);
    DEMAND(raft_driver_status(r.driver).role == RAFT_DRIVER_SPARE);
    rig_deinit(&r);
}

Test(raft_wraps, defect_1_change_inside_a_batch)
{
    red_unwrapped(change_inside_a_batch, 1);
}

static void part(struct cluster *c, uint32_t a, uint32_t b)
{
    sim_network_partition(c->network, a, b);
    sim_network_partition(c->network, b, a);
}

/* A leader, and 100 ms in which its barrier is committed, where there is one. */
static struct cluster_node *leader_of(struct cluster *c)
{
    while (cluster_leader(c) == NULL && c->now_ms < 5000)
        cluster_run(c, 10);
    DEMAND(cluster_leader(c) != NULL);
    cluster_run(c, 100);
    return cluster_leader(c);
}

/* Ongaro's case of 2015: four voters; the leader adds a fifth voter, which only the fifth hears; a
 * second leader, of the next term, removes the first with the vote of one other; the first comes
 * back with the fifth and the last. Two configurations at one index. */
static void two_changes_at_one_index(uint32_t unwrapped)
{
    struct cluster c = {.unwrapped = unwrapped | NO_PROOF};
    cluster_init(&c, 11, 4);
    struct cluster_node *first = leader_of(&c);
    uint32_t fifth = cluster_add_node(&c)->id;
    DEMAND(raft_driver_add(first->driver, c.now_ms, fifth) == RAFT_DRIVER_OK);
    cluster_run(&c, 100);
    DEMAND(first->last_change == RAFT_DRIVER_OK && first->changed == 1);
    for (uint32_t i = 1; i <= 4; i++)
        if (i != first->id) {
            part(&c, first->id, i);
            part(&c, fifth, i);
        }
    DEMAND(raft_driver_assign(first->driver, c.now_ms, fifth, RAFT_DRIVER_VOTER) == RAFT_DRIVER_OK);
    struct cluster_node *second = NULL;
    for (unsigned i = 0; i < 300 && second == NULL; i++) {
        cluster_run(&c, 10);
        struct cluster_node *n = cluster_leader(&c);
        second = n != NULL && n != first ? n : NULL;
    }
    DEMAND(second != NULL);
    cluster_run(&c, 100); /* its barrier, where there is one, is committed */
    uint32_t last = 0;
    for (uint32_t i = 4; i >= 1 && last == 0; i--)
        if (i != first->id && i != second->id)
            last = i;
    for (uint32_t i = 1; i <= 4; i++)
        if (i != last && i != first->id)
            part(&c, last, i);
    DEMAND(raft_driver_remove(second->driver, c.now_ms, first->id) == RAFT_DRIVER_OK);
    cluster_run(&c, 100);
    DEMAND(second->changed == 1 && second->last_change == RAFT_DRIVER_OK);
    sim_network_heal(c.network);
    for (uint32_t i = 1; i <= 4; i++)
        if (i != last && i != first->id) {
            part(&c, last, i);
            part(&c, first->id, i);
            part(&c, fifth, i);
        }
    cluster_run(&c, 3000); /* a second entry at the index is a breach */
    cluster_demand_life(&c, 10000);
    cluster_deinit(&c);
}

Test(raft_wraps, defect_2_two_changes_at_one_index)
{
    red_unwrapped(two_changes_at_one_index, 2);
}

/* Forty entries, a snapshot, four of them kept: a new leader begins at the twentieth. */
static void append_below_the_compacted_log(uint32_t unwrapped)
{
    struct rig r;
    rig_init(&r, 2, 3, unwrapped);
    rig_append(&r, 1, 2, 1, 1, 1, "ccccccccccccccccccccccccccccccccccccccc");
    rig_disk(&r);
    rig_append(&r, 1, 2, 40, 2, 40, "");
    DEMAND(r.applied == 40);
    DEMAND(raft_driver_snapshot_take(r.driver, r.now_ms, 40, span_of("image", 5)) ==
           RAFT_DRIVER_OK);
    rig_disk(&r);
    DEMAND(r.taken == 40 && r.taken_result == RAFT_DRIVER_OK &&
           raft_driver_term_of(r.driver, 36) == 0);
    rig_append(&r, 1, 2, 20, 2, 45, "ccccccccccccccccccccccccc");
    rig_disk(&r);
    DEMAND(r.applied == 45);
    const struct rig_sent *answer = rig_last(&r, RAFT_FRAME_APPEND_RESULT, 1);
    DEMAND(answer->frame.rejected == 0 && answer->frame.index == 45);
    rig_append(&r, 1, 2, 0, 0, 45, "vcccc"); /* all of it is old: still an acceptance */
    answer = rig_last(&r, RAFT_FRAME_APPEND_RESULT, 1);
    DEMAND(answer->frame.rejected == 0 && answer->frame.index == 40);
    rig_deinit(&r);
}

Test(raft_wraps, defect_3_append_below_the_compacted_log)
{
    red_unwrapped(append_below_the_compacted_log, 3);
}

/* cluster_step() finds a timer that stays in the past. */
static void timer_after_demotion(uint32_t unwrapped)
{
    struct cluster c = {.unwrapped = unwrapped};
    cluster_init(&c, 3, 3);
    struct cluster_node *leader = cluster_await_leader(&c, 3000);
    DEMAND(leader != NULL);
    uint32_t other = leader->id % 3 + 1;
    DEMAND(raft_driver_assign(leader->driver, c.now_ms, other, RAFT_DRIVER_SPARE) ==
           RAFT_DRIVER_OK);
    cluster_run(&c, 500);
    DEMAND(leader->changed == 1 && leader->last_change == RAFT_DRIVER_OK);
    DEMAND(raft_driver_next_timeout(leader->driver) > c.now_ms);
    cluster_deinit(&c);
}

Test(raft_wraps, defect_4_timer_in_the_past)
{
    red_unwrapped(timer_after_demotion, 4);
}

/* All of a snapshot in one piece; its disk takes it, and the core's own install begins. */
static void feed_install(struct rig *r, uint64_t index)
{
    struct repl_storage_done done;
    struct repl_configuration c = {.index = 1, .n_servers = 3, .servers = {{1, 1}, {2, 1}, {3, 1}}};
    rig_feed(r, 1,
             (struct raft_frame){.type = RAFT_FRAME_INSTALL,
                                 .term = 2,
                                 .index = index,
                                 .index_term = 2,
                                 .configuration = c,
                                 .total = 14,
                                 .data = span_of("a longer image", 14)});
    while (sim_storage_next(r->storage) != UINT64_MAX &&
           !raft_driver_status(r->driver).installing) {
        uint64_t due = sim_storage_next(r->storage);

        r->now_ms = due > r->now_ms ? due : r->now_ms;
        if (sim_storage_pop(r->storage, &done))
            raft_driver_storage_done(r->driver, r->now_ms, &done);
    }
}

/* A local snapshot is on its way to the disk when an install begins. */
static void snapshot_behind_an_install(uint32_t unwrapped)
{
    struct rig r;
    rig_init(&r, 2, 3, unwrapped);
    rig_append(&r, 1, 2, 1, 1, 1, "ccccccccc");
    rig_disk(&r);
    rig_append(&r, 1, 2, 10, 2, 10, "");
    DEMAND(raft_driver_snapshot_take(r.driver, r.now_ms, 10, span_of("image", 5)) ==
           RAFT_DRIVER_OK);
    feed_install(&r, 50);
    rig_disk(&r);
    DEMAND(r.restored == 50 && r.taken == 10 && r.taken_result == RAFT_DRIVER_LOST);
    rig_append(&r, 1, 2, 50, 2, 51, "c");
    rig_disk(&r);
    DEMAND(r.applied == 51);
    rig_deinit(&r);
}

Test(raft_wraps, defect_5_snapshot_behind_an_install)
{
    red_unwrapped(snapshot_behind_an_install, 5);
}

/* The core's allocations are counted. */
static void install_upon_install(uint32_t unwrapped)
{
    struct rig r;
    raft_test_heap();
    rig_init(&r, 2, 3, unwrapped);
    feed_install(&r, 50);
    feed_install(&r, 50);
    feed_install(&r, 60);
    rig_disk(&r);
    DEMAND(r.restored == 50);
    rig_deinit(&r);
    DEMAND(raft_test_heap_live() == 0);
}

Test(raft_wraps, defect_6_install_upon_install)
{
    red_unwrapped(install_upon_install, 6);
}

/* A stand-by that has everything becomes a voter in an idle cluster. */
static void promotion_of_who_is_up_to_date(uint32_t unwrapped)
{
    struct cluster c = {.unwrapped = unwrapped};
    cluster_init(&c, 5, 3);
    struct cluster_node *leader = cluster_await_leader(&c, 3000);
    DEMAND(leader != NULL);
    uint32_t fourth = cluster_add_node(&c)->id;
    DEMAND(raft_driver_add(leader->driver, c.now_ms, fourth) == RAFT_DRIVER_OK);
    cluster_run(&c, 100);
    DEMAND(raft_driver_assign(leader->driver, c.now_ms, fourth, RAFT_DRIVER_STANDBY) ==
           RAFT_DRIVER_OK);
    cluster_run(&c, 200);
    DEMAND(raft_driver_match(leader->driver, fourth) ==
           raft_driver_status(leader->driver).last_index);
    DEMAND(raft_driver_assign(leader->driver, c.now_ms, fourth, RAFT_DRIVER_VOTER) ==
           RAFT_DRIVER_OK);
    cluster_run(&c, 300);
    DEMAND(leader->changed == 3 && leader->last_change == RAFT_DRIVER_OK);
    cluster_deinit(&c);
}

Test(raft_wraps, defect_7_promotion_of_who_is_up_to_date)
{
    red_unwrapped(promotion_of_who_is_up_to_date, 7);
}

static void promotion_off_the_leader(uint32_t unwrapped)
{
    struct cluster c = {.unwrapped = unwrapped};
    cluster_init(&c, 5, 3);
    struct cluster_node *leader = cluster_await_leader(&c, 3000);
    DEMAND(leader != NULL);
    DEMAND(raft_driver_assign(leader->driver, c.now_ms, 77, RAFT_DRIVER_VOTER) ==
           RAFT_DRIVER_INVALID);
    struct cluster_node *other = cluster_node(&c, leader->id % 3 + 1);
    DEMAND(raft_driver_assign(other->driver, c.now_ms, leader->id, RAFT_DRIVER_VOTER) ==
           RAFT_DRIVER_NOT_LEADER);
    cluster_run(&c, 500);
    cluster_deinit(&c);
}

Test(raft_wraps, defect_8_promotion_off_the_leader_or_of_nobody)
{
    red_unwrapped(promotion_off_the_leader, 8);
}

/* A new leader looks for where the logs part, below what is committed. */
static void commit_index_goes_back(uint32_t unwrapped)
{
    struct rig r;
    rig_init(&r, 2, 3, unwrapped);
    rig_append(&r, 1, 2, 1, 1, 8, "ccccccccc");
    rig_disk(&r);
    DEMAND(raft_driver_status(r.driver).commit_index == 8 && r.applied == 8);
    rig_append(&r, 3, 3, 5, 2, 10, "");
    DEMAND(raft_driver_status(r.driver).commit_index >= 8);
    rig_append(&r, 3, 3, 10, 2, 10, "");
    DEMAND(raft_driver_status(r.driver).commit_index == 10 && r.applied == 10);
    rig_deinit(&r);
}

Test(raft_wraps, defect_9_commit_index_goes_back)
{
    red_unwrapped(commit_index_goes_back, 9);
}

/* An answer to a pre-vote names a term that nobody has: it must raise nobody's. */
static void late_vote_result(uint32_t unwrapped)
{
    struct rig r;
    rig_init(&r, 2, 3, unwrapped);
    rig_feed(
        &r, 1,
        (struct raft_frame){
            .type = RAFT_FRAME_REQUEST_VOTE_RESULT, .term = 5, .granted = true, .pre_vote = true});
    rig_disk(&r);
    DEMAND(raft_driver_status(r.driver).term == 1);
    rig_deinit(&r);
}

Test(raft_wraps, defect_10_late_vote_result)
{
    red_unwrapped(late_vote_result, 10);
}

static void answer(struct rig *r, uint32_t from, uint64_t last)
{
    rig_feed(r, from,
             (struct raft_frame){.type = RAFT_FRAME_APPEND_RESULT,
                                 .term = raft_driver_status(r->driver).term,
                                 .index = last});
}

/* Follower 2 refused once, then took everything, then was silent: its old refusal comes again. */
static void a_frame_comes_twice(uint32_t unwrapped)
{
    struct rig r;
    rig_init(&r, 1, 3, unwrapped);
    rig_append(&r, 3, 2, 1, 1, 1, "cccc");
    rig_disk(&r);
    rig_elect(&r);
    uint64_t last = raft_driver_status(r.driver).last_index,
             term = raft_driver_status(r.driver).term;
    DEMAND(last == 6);
    struct raft_frame refusal = {.type = RAFT_FRAME_APPEND_RESULT,
                                 .term = term,
                                 .rejected = 5,
                                 .index = 0,
                                 .sequence = ++r.sequence};
    rig_feed(&r, 2, refusal);
    answer(&r, 2, 5);                   /* all but the newest is on its disk */
    for (unsigned i = 0; i < 40; i++) { /* only 3 answers: 2 falls back from pipeline to probing */
        rig_run(&r, 10);
        answer(&r, 3, 6);
    }
    DEMAND(raft_driver_status(r.driver).state == RAFT_DRIVER_LEADER);
    rig_feed(&r, 2, refusal);
    r.n_sent = 0;
    for (unsigned i = 0; i < 20; i++) {
        rig_run(&r, 10);
        answer(&r, 3, 6);
        const struct rig_sent *s = rig_last(&r, RAFT_FRAME_APPEND, 2);
        if (s != NULL)
            answer(&r, 2, s->frame.index + s->frame.n_entries);
    }
    DEMAND(raft_driver_match(r.driver, 2) == 6);
    rig_deinit(&r);
}

Test(raft_wraps, defect_11_a_frame_comes_twice)
{
    red_unwrapped(a_frame_comes_twice, 11);
}

/* The only voter promotes a second, which does not hear of it before the first is restarted. */
static void promoted_unawares(uint32_t unwrapped)
{
    struct cluster c = {.unwrapped = unwrapped | NO_PROOF};
    cluster_init(&c, 5, 1);
    struct cluster_node *leader = cluster_await_leader(&c, 3000);
    DEMAND(leader != NULL);
    uint32_t second = cluster_add_node(&c)->id;
    DEMAND(raft_driver_add(leader->driver, c.now_ms, second) == RAFT_DRIVER_OK);
    cluster_run(&c, 100);
    DEMAND(raft_driver_assign(leader->driver, c.now_ms, second, RAFT_DRIVER_STANDBY) ==
           RAFT_DRIVER_OK);
    cluster_run(&c, 200);
    DEMAND(raft_driver_match(leader->driver, second) ==
           raft_driver_status(leader->driver).last_index);
    sim_network_partition(c.network, 1, second);
    DEMAND(raft_driver_assign(leader->driver, c.now_ms, second, RAFT_DRIVER_VOTER) ==
           RAFT_DRIVER_OK);
    cluster_run(&c, 20);
    DEMAND(sim_storage_has(cluster_node(&c, 1)->storage,
                           raft_driver_status(leader->driver).last_index, 2));
    cluster_crash(&c, 1);
    cluster_demand_life(&c, 10000);
    cluster_deinit(&c);
}

Test(raft_wraps, defect_12_promoted_unawares)
{
    red_unwrapped(promoted_unawares, 12);
}

/* The only voter loses an entry that its stand-by has, and leads again. */
static void one_term_led_twice(uint32_t unwrapped)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct cluster c = {.unwrapped = unwrapped};
        cluster_init(&c, seed, 1);
        struct cluster_node *leader = cluster_await_leader(&c, 3000);
        DEMAND(leader != NULL);
        uint32_t second = cluster_add_node(&c)->id;
        DEMAND(raft_driver_add(leader->driver, c.now_ms, second) == RAFT_DRIVER_OK);
        cluster_run(&c, 100);
        DEMAND(raft_driver_assign(leader->driver, c.now_ms, second, RAFT_DRIVER_STANDBY) ==
               RAFT_DRIVER_OK);
        cluster_run(&c, 200);
        sim_storage_set_delay(leader->storage, 1000, 1000);
        DEMAND(cluster_submit(&c, leader, 4) == RAFT_DRIVER_OK);
        cluster_run(&c, 100);
        DEMAND(cluster_node(&c, second)->driver != NULL);
        cluster_crash(&c, 1);
        sim_storage_set_delay(leader->storage, 0, 1);
        cluster_start(&c, 1);
        cluster_demand_life(&c, 5000);
        DEMAND(cluster_submit(&c, cluster_node(&c, 1), 8) == RAFT_DRIVER_OK);
        cluster_demand_life(&c, 5000);
        cluster_deinit(&c);
    }
}

Test(raft_wraps, defect_13_one_term_led_twice)
{
    red_unwrapped(one_term_led_twice, 13);
}

/* Who has the longest log has a lower term than who has the others' votes: a refusal must tell it
 * ours. */
static void refusal_tells_the_term(uint32_t unwrapped)
{
    struct rig r;
    rig_init(&r, 2, 3, unwrapped);
    rig_feed(&r, 1, (struct raft_frame){.type = RAFT_FRAME_REQUEST_VOTE, .term = 7});
    rig_disk(&r);
    DEMAND(raft_driver_status(r.driver).term == 7);
    rig_feed(&r, 3,
             (struct raft_frame){.type = RAFT_FRAME_REQUEST_VOTE,
                                 .term = 6,
                                 .pre_vote = true,
                                 .index = 9,
                                 .index_term = 5});
    rig_disk(&r);
    const struct rig_sent *refusal = rig_last(&r, RAFT_FRAME_REQUEST_VOTE_RESULT, 3);
    DEMAND(refusal != NULL && !refusal->frame.granted && refusal->frame.pre_vote &&
           refusal->frame.term == 7);
    rig_deinit(&r);
}

Test(raft_wraps, defect_14_refusal_tells_the_term)
{
    red_unwrapped(refusal_tells_the_term, 14);
}

/* At rest heartbeats to the followers fall apart, so their answers come between a leader's timeouts:
 * they are reachable all the same, and what is submitted then does not wait for the next one. */
static void an_entry_waits_for_no_heartbeat(uint32_t unwrapped)
{
    enum { WAY_MS = 1, WRITE_MS = 1 }; /* at most; a heartbeat comes every 30 ms */
    struct cluster c = {.unwrapped = unwrapped};
    cluster_init(&c, 3, 3);
    sim_network_set_delay(c.network, 0, WAY_MS);
    for (uint32_t i = 1; i <= 3; i++)
        sim_storage_set_delay(cluster_node(&c, i)->storage, 0, WRITE_MS);
    (void)leader_of(&c);
    for (uint64_t i = 0; i < 100; i++) {
        cluster_run(&c, 70 + i);
        struct cluster_node *leader = cluster_leader(&c);
        uint64_t from = c.now_ms, index = raft_driver_status(leader->driver).last_index + 1;
        DEMAND(cluster_submit(&c, leader, 8) == RAFT_DRIVER_OK);
        while (raft_driver_status(leader->driver).commit_index < index && c.now_ms - from < 1000)
            (void)cluster_step(&c, c.now_ms + 1);
        DEMAND(c.now_ms - from <= WAY_MS + WRITE_MS + WAY_MS);
    }
    cluster_deinit(&c);
}

Test(raft_wraps, defect_15_an_entry_waits_for_no_heartbeat)
{
    red_unwrapped(an_entry_waits_for_no_heartbeat, 15);
}

/* A follower hears from its leader last at 0; another asks whether it may campaign after so many ms. */
static bool may_campaign(struct rig *r, uint64_t after_ms)
{
    const uint64_t heard_ms = r->now_ms;
    rig_append(r, 1, 2, 1, 1, 1, "b");
    rig_disk(r);
    rig_run(r, heard_ms + after_ms - r->now_ms);
    DEMAND(raft_driver_status(r->driver).state == RAFT_DRIVER_FOLLOWER);
    rig_feed(r, 3,
             (struct raft_frame){.type = RAFT_FRAME_REQUEST_VOTE,
                                 .term = 3,
                                 .pre_vote = true,
                                 .index = 9,
                                 .index_term = 2});
    rig_disk(r);
    const struct rig_sent *answer = rig_last(r, RAFT_FRAME_REQUEST_VOTE_RESULT, 3);
    DEMAND(answer != NULL && answer->frame.pre_vote);
    return answer->frame.granted;
}

/* A leader that was heard within an election timeout is not given up, whoever asks; one that was not,
 * is, though the follower's own timer goes on. */
static void silent_leader_is_given_up(uint32_t unwrapped)
{
    struct rig r;
    rig_init(&r, 2, 3, unwrapped);
    DEMAND(!may_campaign(&r, 149));
    rig_deinit(&r);
    rig_init(&r, 2, 3, unwrapped);
    DEMAND(may_campaign(&r, 150));
    rig_deinit(&r);
}

Test(raft_wraps, defect_16_a_silent_leader_is_given_up)
{
    red_unwrapped(silent_leader_is_given_up, 16);
}

/* ... for the answer alone: what it sent and is stored later it is told of. */
Test(raft_wraps, a_silent_leader_is_answered_when_its_entries_are_stored)
{
    enum { SLOW_MS = 160, STORED = 2 };
    struct rig r;
    rig_init(&r, 2, 3, 0);
    sim_storage_set_delay(r.storage, SLOW_MS, SLOW_MS);
    rig_append(&r, 1, 1, 1, 1, 1, "c");
    rig_run(&r, 150);
    rig_feed(&r, 3,
             (struct raft_frame){.type = RAFT_FRAME_REQUEST_VOTE,
                                 .term = 2,
                                 .pre_vote = true,
                                 .index = 9,
                                 .index_term = 1});
    rig_disk(&r);
    const struct rig_sent *vote = rig_last(&r, RAFT_FRAME_REQUEST_VOTE_RESULT, 3);
    const struct rig_sent *answer = rig_last(&r, RAFT_FRAME_APPEND_RESULT, 1);
    cr_assert(vote != NULL && vote->frame.granted);
    cr_assert(answer != NULL && answer->frame.index == STORED);
    rig_deinit(&r);
}
