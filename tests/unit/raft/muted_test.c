/* A node that lost what it acknowledged (I10): each rule by a small scenario that is red without it
 * (the library with a switch per rule; 21 to 24 and 28 are raft_muted.c's, 29 raft_change.c's), and
 * seeds in which disks forget. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "unit/raft/child.h"
#include "unit/raft/cluster.h"
#include "unit/raft/rig.h"

static struct rig r;
static struct cluster c;

static struct raft_driver_status status(void)
{
    return raft_driver_status(r.driver);
}

/* Node 2 of 3 with entries up to 4 of term 2, of which 4 is lost before it starts again. */
static void forgetful(uint32_t unwrapped)
{
    rig_init(&r, 2, 3, unwrapped);
    rig_append(&r, 1, 2, 1, 1, 2, "ccc");
    rig_disk(&r);
    DEMAND(status().last_stored == 4);
    rig_stop(&r);
    r.now_ms += 10;
    r.n_sent = 0;
    DEMAND(sim_storage_lose(r.storage, 1, true, true) == 1);
    DEMAND(rig_start(&r) == RAFT_DRIVER_OK);
}

static void no_vote_and_no_campaign(uint32_t unwrapped)
{
    forgetful(unwrapped);
    DEMAND(status().muted == REPL_DISTRUST_SUFFIX);
    rig_feed(&r, 3,
             (struct raft_frame){
                 .type = RAFT_FRAME_REQUEST_VOTE, .term = 9, .index = 3, .index_term = 2});
    rig_feed(&r, 3,
             (struct raft_frame){.type = RAFT_FRAME_REQUEST_VOTE,
                                 .term = 9,
                                 .pre_vote = true,
                                 .index = 3,
                                 .index_term = 2});
    rig_disk(&r);
    DEMAND(rig_last(&r, RAFT_FRAME_REQUEST_VOTE_RESULT, 3) == NULL);
    rig_run(&r, 3000);
    DEMAND(status().state == RAFT_DRIVER_FOLLOWER);
    DEMAND(rig_last(&r, RAFT_FRAME_REQUEST_VOTE, 1) == NULL);
    /* nor by a leader's wish */
    rig_append(&r, 1, 9, 2, 2, 0, "");
    rig_feed(&r, 1,
             (struct raft_frame){
                 .type = RAFT_FRAME_TIMEOUT_NOW, .term = 9, .index = 3, .index_term = 2});
    rig_disk(&r);
    DEMAND(status().state == RAFT_DRIVER_FOLLOWER && status().leader == 1);
    rig_deinit(&r);
}

Test(raft_muted, neither_votes_nor_campaigns)
{
    green_then_red(no_vote_and_no_campaign, 21);
}

static enum raft_driver_result trust(uint64_t term, uint64_t boot, uint64_t index)
{
    enum raft_driver_result result = rig_feed(&r, 1,
                                              (struct raft_frame){.type = RAFT_FRAME_TRUST,
                                                                  .term = term,
                                                                  .index_term = term,
                                                                  .peer_boot = boot,
                                                                  .index = index});
    rig_disk(&r);
    return result;
}

/* Its results say that they do not count, until it has the barrier that was made for this start. */
static void trusted_by_the_barrier(uint32_t unwrapped)
{
    forgetful(unwrapped);
    uint64_t boot = 4711 + r.now_ms;
    rig_append(&r, 1, 5, 2, 2, 2, "");
    trust(5, boot, 3); /* what it has there is not the barrier */
    DEMAND(status().last_stored == 3 && status().muted != REPL_TRUSTED);
    rig_append(&r, 1, 5, 2, 2, 2, "c");
    rig_disk(&r);
    const struct rig_sent *result = rig_last(&r, RAFT_FRAME_APPEND_RESULT, 1);
    DEMAND(result != NULL && result->frame.muted && result->frame.index == 3);
    trust(5, boot, 4); /* not stored here */
    DEMAND(status().muted != REPL_TRUSTED);
    rig_append(&r, 1, 5, 3, 5, 3, "b");
    rig_disk(&r);
    trust(5, boot - 1, 4); /* for another start */
    DEMAND(status().muted != REPL_TRUSTED);
    DEMAND(sim_storage_distrust(r.storage) == REPL_DISTRUST_SUFFIX);
    trust(5, boot, 4);
    DEMAND(status().muted == REPL_TRUSTED && sim_storage_distrust(r.storage) == REPL_TRUSTED);
    /* its vote of this term counts as given to that leader */
    rig_run(&r, 1);
    rig_feed(&r, 3,
             (struct raft_frame){.type = RAFT_FRAME_REQUEST_VOTE,
                                 .term = 5,
                                 .disrupt = true,
                                 .index = 9,
                                 .index_term = 5});
    rig_disk(&r);
    const struct rig_sent *vote = rig_last(&r, RAFT_FRAME_REQUEST_VOTE_RESULT, 3);
    DEMAND(vote != NULL && !vote->frame.granted);
    rig_append(&r, 1, 5, 4, 5, 4, "c");
    rig_disk(&r);
    result = rig_last(&r, RAFT_FRAME_APPEND_RESULT, 1);
    DEMAND(!result->frame.muted && result->frame.index == 5);
    rig_deinit(&r);
}

Test(raft_muted, trusted_again_once_it_has_the_barrier_of_this_start)
{
    green_then_red(trusted_by_the_barrier, 23);
}

/* Started again before that it is still muted, though its log is as long as it ever was. */
Test(raft_muted, a_restart_lifts_nothing)
{
    forgetful(0);
    rig_append(&r, 1, 5, 2, 2, 2, "ccccc");
    rig_disk(&r);
    rig_stop(&r);
    r.now_ms += 10;
    cr_assert_eq(rig_start(&r), RAFT_DRIVER_OK);
    cr_assert_eq(status().muted, REPL_DISTRUST_SUFFIX);
    rig_deinit(&r);
}

/* A vote older than the log: whom it voted for since is forgotten. */
Test(raft_muted, a_vote_older_than_the_log_is_a_lost_one)
{
    rig_init(&r, 2, 3, 0);
    rig_append(&r, 1, 2, 1, 1, 2, "ccc");
    rig_disk(&r);
    rig_stop(&r);
    r.now_ms += 10;
    sim_storage_older_vote(r.storage, 1);
    cr_assert_eq(rig_start(&r), RAFT_DRIVER_OK);
    cr_assert(status().muted == REPL_DISTRUST_VOTE && status().term == 2);
    rig_disk(&r);
    cr_assert_eq(sim_storage_distrust(r.storage), REPL_DISTRUST_VOTE);
    rig_deinit(&r);
}

/* Nobody could lift it. */
Test(raft_muted, the_only_voter_does_not_start)
{
    rig_init(&r, 1, 1, 0);
    rig_run(&r, 500);
    rig_stop(&r);
    r.now_ms += 10;
    sim_storage_lose(r.storage, 0, true, true);
    cr_assert_eq(rig_start(&r), RAFT_DRIVER_INVALID);
    rig_deinit(&r);
}

static void result_of(uint32_t node, uint64_t boot, uint64_t rejected, uint64_t index, bool muted)
{
    rig_feed(&r, node,
             (struct raft_frame){.type = RAFT_FRAME_APPEND_RESULT,
                                 .boot = boot,
                                 .term = status().term,
                                 .rejected = rejected,
                                 .index = index,
                                 .muted = muted});
    rig_disk(&r);
}

static uint64_t put(unsigned n)
{
    struct span entries[8];
    uint64_t first = 0, term = 0;
    for (unsigned i = 0; i < n; i++)
        entries[i] = span_of("entry", 5);
    DEMAND(raft_driver_submit(r.driver, r.now_ms, entries, n, &first, &term) == RAFT_DRIVER_OK);
    rig_disk(&r);
    return first + n - 1;
}

/* Node 2 acknowledged up to `last`, then starts anew and says that it does not count. */
static void the_leader_counts_the_others(uint32_t unwrapped)
{
    rig_init(&r, 1, 3, unwrapped);
    rig_elect(&r);
    result_of(2, 0, 0, status().last_index, false);
    uint64_t last = put(2), committed = status().commit_index;
    DEMAND(committed + 2 == last);
    result_of(2, 77, last, committed, true);
    DEMAND(raft_driver_match(r.driver, 2) == 0 && !raft_driver_counts(r.driver, 2));
    rig_disk(&r);
    uint64_t barrier = status().last_index;
    DEMAND(barrier == last + 1);
    result_of(2, 77, 0, barrier, true); /* filled, and does not count for it */
    DEMAND(status().commit_index == committed);
    DEMAND(raft_driver_transfer(r.driver, r.now_ms, 2) == RAFT_DRIVER_INVALID);
    result_of(3, 0, 0, last, false);
    DEMAND(status().commit_index == last);
    result_of(3, 0, 0, barrier, false);
    DEMAND(status().commit_index == barrier);
    result_of(2, 77, 0, barrier, true);
    const struct rig_sent *sent = rig_last(&r, RAFT_FRAME_TRUST, 2);
    DEMAND(sent != NULL && sent->frame.peer_boot == 77 && sent->frame.index == barrier);
    result_of(2, 77, 0, barrier, false);
    uint64_t more = put(1);
    result_of(2, 77, 0, more, false);
    DEMAND(status().commit_index == more && raft_driver_counts(r.driver, 2));
    rig_deinit(&r);
}

Test(raft_muted, the_leader_does_not_count_it)
{
    green_then_red(the_leader_counts_the_others, 22);
}

/* The copies of others are what shows that the leader is one. */
static void no_trust_before_others_have_it(uint32_t unwrapped)
{
    rig_init(&r, 1, 3, unwrapped);
    rig_elect(&r);
    result_of(2, 77, 0, status().last_index, true);
    result_of(2, 77, 0, status().last_index, true);
    DEMAND(rig_last(&r, RAFT_FRAME_TRUST, 2) == NULL);
    uint64_t barrier = status().last_index;
    result_of(3, 0, 0, barrier - 1, false); /* all but the barrier */
    result_of(2, 77, 0, barrier, true);
    DEMAND(rig_last(&r, RAFT_FRAME_TRUST, 2) == NULL);
    result_of(3, 0, 0, barrier, false);
    result_of(2, 77, 0, barrier, true);
    DEMAND(rig_last(&r, RAFT_FRAME_TRUST, 2) != NULL);
    rig_deinit(&r);
}

Test(raft_muted, no_trust_before_others_have_the_barrier)
{
    green_then_red(no_trust_before_others_have_it, 24);
    green_then_red(no_trust_before_others_have_it, 23);
}

/* With 3 muted, {1, 3} could commit nothing without 3, and nobody but the two could trust it. */
static void no_change_that_ends_in_silence(uint32_t unwrapped)
{
    rig_init(&r, 1, 3, unwrapped);
    rig_elect(&r);
    uint64_t last = status().last_index;
    result_of(2, 0, 0, last, false);
    DEMAND(status().commit_index == last);
    result_of(3, 77, 0, last, true);
    rig_disk(&r);
    result_of(2, 0, 0, status().last_index, false);
    DEMAND(status().commit_index == status().last_index && !status().changing);
    DEMAND(raft_driver_remove(r.driver, r.now_ms, 2) == RAFT_DRIVER_BUSY);
    DEMAND(raft_driver_assign(r.driver, r.now_ms, 2, RAFT_DRIVER_STANDBY) == RAFT_DRIVER_BUSY);
    DEMAND(!status().changing);
    result_of(3, 77, 0, status().last_index, false); /* filled, and trusted */
    DEMAND(raft_driver_remove(r.driver, r.now_ms, 2) == RAFT_DRIVER_OK);
    rig_disk(&r);
    result_of(3, 77, 0, status().last_index, false); /* the barrier, by the new voters */
    result_of(3, 77, 0, status().last_index, false); /* the change */
    DEMAND(status().commit_index == status().last_index && !status().changing);
    rig_deinit(&r);
}

/* ... but the muted one itself may go. */
Test(raft_muted, no_change_after_which_nobody_could_commit)
{
    green_then_red(no_change_that_ends_in_silence, 28);
    rig_init(&r, 1, 3, 0);
    rig_elect(&r);
    result_of(2, 0, 0, status().last_index, false);
    result_of(3, 77, 0, status().last_index, true);
    rig_disk(&r);
    result_of(2, 0, 0, status().last_index, false);
    cr_assert_eq(raft_driver_remove(r.driver, r.now_ms, 3), RAFT_DRIVER_OK);
    rig_deinit(&r);
}

static bool two_voters(void)
{
    return raft_driver_newest_configuration(r.driver).n_servers == 2;
}

/* 3 is silent: {1, 3} could never commit its own beginning. It may be so when the change is asked for,
 * or from then on; 3's link stands, or 3 is heard and its disk hangs. */
static void no_voters_that_cannot_commit(uint32_t unwrapped)
{
    rig_init(&r, 1, 3, unwrapped);
    rig_elect(&r);
    result_of(3, 0, 0, status().last_index, false);
    rig_run(&r, 140);
    result_of(2, 0, 0, status().last_index, false);
    rig_run(&r, 100); /* 3 was heard 240 ms ago, 2 just now */
    DEMAND(raft_driver_remove(r.driver, r.now_ms, 2) == RAFT_DRIVER_BUSY);
    DEMAND(raft_driver_assign(r.driver, r.now_ms, 2, RAFT_DRIVER_SPARE) == RAFT_DRIVER_BUSY);
    uint64_t last = status().last_index;
    result_of(3, 0, 0, last, false);
    DEMAND(raft_driver_remove(r.driver, r.now_ms, 2) == RAFT_DRIVER_OK);
    for (unsigned i = 0; i < 40; i++) { /* 3 lives, and stores nothing more */
        rig_run(&r, 50);
        result_of(2, 0, 0, status().last_index, false);
        result_of(3, 0, 0, last, false);
        DEMAND(!two_voters());
    }
    DEMAND(!status().changing && status().commit_index == status().last_index);
    DEMAND(raft_driver_remove(r.driver, r.now_ms, 3) == RAFT_DRIVER_OK); /* the way out */
    rig_disk(&r);
    result_of(2, 0, 0, status().last_index, false);
    DEMAND(two_voters());
    result_of(2, 0, 0, status().last_index, false);
    DEMAND(status().commit_index == status().last_index && !status().changing);
    rig_deinit(&r);
}

Test(raft_muted, no_change_to_voters_that_cannot_commit_it)
{
    green_then_red(no_voters_that_cannot_commit, 29);
}

/* What it refuses now it once had: it is told, and does not count from that moment on. */
Test(raft_muted, the_leader_in_office_finds_a_rolled_back_node)
{
    rig_init(&r, 1, 3, 0);
    rig_elect(&r);
    uint64_t last = put(3);
    result_of(2, 5, 0, last, false);
    cr_assert_eq(status().commit_index, last);
    result_of(2, 77, last, 1, false);
    const struct rig_sent *sent = rig_last(&r, RAFT_FRAME_DISTRUST, 2);
    cr_assert(sent != NULL && sent->frame.peer_boot == 77 && sent->frame.index == last);
    cr_assert_not(raft_driver_counts(r.driver, 2));
    cr_assert_eq(raft_driver_counters(r.driver)->doubted, 1);
    uint64_t more = put(1);
    result_of(2, 77, 0, more, false); /* it has not heard yet */
    cr_assert_eq(status().commit_index, last);
    result_of(3, 0, 0, more, false);
    cr_assert_eq(status().commit_index, more);
    rig_deinit(&r);
}

/* The same with all that belongs to it: found out, filled, trusted again; whoever led. */
Test(raft_muted, a_rolled_back_node_is_filled_and_counts_again)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        memset(&c, 0, sizeof c);
        cluster_init(&c, seed, 3);
        c.snapshot_every = seed % 2 == 0 ? 20 : 0;
        struct cluster_node *leader = cluster_await_leader(&c, 5000);
        for (unsigned i = 0; i < 10; i++) {
            cluster_submit(&c, leader, 4);
            cluster_run(&c, 10);
        }
        struct cluster_node *n = cluster_node(&c, leader->id % 3 + 1);
        cluster_crash(&c, n->id);
        size_t lost = sim_storage_lose(n->storage, 6, seed % 3 == 0, false);
        cluster_start(&c, n->id);
        if (lost > 0 && cluster_leader(&c) == leader) {
            for (uint64_t until = c.now_ms + 3000;
                 raft_driver_counters(n->driver)->muted == 0 && cluster_step(&c, until);)
                ;
            cr_assert_eq(raft_driver_counters(n->driver)->muted, 1, "seed %lu",
                         (unsigned long)seed);
        }
        cluster_demand_life(&c, 5000);
        cluster_run(&c, 1000);
        cr_assert_eq(raft_driver_status(n->driver).muted, REPL_TRUSTED);
        cr_assert_eq(raft_driver_counters(n->driver)->trusted,
                     raft_driver_counters(n->driver)->muted);
        cluster_deinit(&c);
    }
}

/* Two of three: nothing is decided, and nobody is trusted by the other. */
Test(raft_muted, without_a_majority_of_others_it_stays_muted)
{
    memset(&c, 0, sizeof c);
    cluster_init(&c, 5, 3);
    struct cluster_node *leader = cluster_await_leader(&c, 5000);
    cluster_submit(&c, leader, 4);
    cluster_run(&c, 100);
    uint32_t a = leader->id % 3 + 1, b = a % 3 + 1;
    cluster_crash(&c, a);
    cluster_crash(&c, b);
    sim_storage_lose(cluster_node(&c, a)->storage, 1, false, true);
    cluster_start(&c, a);
    cluster_submit(&c, leader, 4);
    uint64_t before = c.n_committed;
    cluster_run(&c, 5000);
    cr_assert_eq(c.n_committed, before);
    cr_assert_neq(raft_driver_status(cluster_node(&c, a)->driver).muted, REPL_TRUSTED);
    cluster_start(&c, b);
    cluster_demand_life(&c, 5000);
    cluster_run(&c, 1000);
    cr_assert_eq(raft_driver_status(cluster_node(&c, a)->driver).muted, REPL_TRUSTED);
    cluster_deinit(&c);
}

Test(raft_muted, three_hundred_seeds_in_which_disks_forget, .timeout = 240)
{
    cr_assert(chaos_lies(1, 300, 0));
    printf("compared 300 runs\n");
}

static void seeds_of_lies(uint32_t unwrapped)
{
    DEMAND(chaos_lies(1, 1500, unwrapped)); /* ends at the first breach */
}

Test(raft_muted, the_seeds_notice_what_is_taken_away, .timeout = 240)
{
    for (unsigned rule = 21; rule <= 23; rule += 2) {
        int status = in_child(seeds_of_lies, 1U << (rule - 1), 0);
        cr_assert(!(WIFEXITED(status) && WEXITSTATUS(status) == 0), "rule %u is not missed", rule);
    }
}
