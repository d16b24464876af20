/* A cluster's beginning (raft_found.c): each rule by a small scenario that is red without it (25 to 27). */
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

/* All directories are new. */
static void fresh_cluster(uint64_t seed, unsigned n, uint32_t unwrapped)
{
    memset(&c, 0, sizeof c);
    c.unwrapped = unwrapped;
    c.fresh = true;
    cluster_init(&c, seed, n);
}

static struct cluster_node *fresh_led(uint64_t seed, uint32_t unwrapped)
{
    fresh_cluster(seed, 3, unwrapped);
    struct cluster_node *leader = cluster_await_leader(&c, 5000);
    DEMAND(leader != NULL);
    return leader;
}

/* A founder's directory made anew under its old id while its cluster goes on, and the leader ends with
 * it: what was committed stays. Beginning together they are trusted (DEMAND: muted no more). */
static void made_anew(uint32_t unwrapped)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct cluster_node *leader = fresh_led(seed, unwrapped);
        cluster_run(&c, 300);
        for (uint32_t id = 1; id <= 3; id++)
            DEMAND(raft_driver_status(cluster_node(&c, id)->driver).muted == REPL_TRUSTED);
        uint32_t wiped = leader->id % 3 + 1, cut = wiped % 3 + 1;
        cluster_crash(&c, cut); /* it lacks what the other two commit now */
        cluster_submit(&c, leader, 4);
        cluster_run(&c, 100);
        cluster_crash(&c, wiped);
        cluster_crash(&c, leader->id);
        sim_storage_wipe(cluster_node(&c, wiped)->storage);
        cluster_start(&c, wiped);
        cluster_start(&c, cut);
        cluster_run(&c, 3000); /* the two together must not begin anew */
        DEMAND(cluster_leader(&c) == NULL);
        cluster_start(&c, leader->id);
        cluster_demand_life(&c, 5000);
        cluster_run(&c, 1000);
        DEMAND(raft_driver_status(cluster_node(&c, wiped)->driver).muted == REPL_TRUSTED);
        cluster_deinit(&c);
    }
}

Test(raft_found, a_directory_made_anew_counts_for_nothing)
{
    green_then_red(made_anew, 25);
}

/* A founder that was never there while the others began, and one of those made anew: the two must
 * not begin a second time what the third holds. (So the others do not begin without it.) */
static void one_founder_never_came(uint32_t unwrapped)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        fresh_cluster(seed, 3, unwrapped);
        uint32_t late = (uint32_t)(seed % 3 + 1);
        cluster_crash(&c, late);
        struct cluster_node *leader = cluster_await_leader(&c, 3000);
        if (leader != NULL) {
            uint32_t wiped = 6 - leader->id - late;
            cluster_submit(&c, leader, 4);
            cluster_run(&c, 100);
            cluster_crash(&c, wiped);
            cluster_crash(&c, leader->id);
            sim_storage_wipe(cluster_node(&c, wiped)->storage);
            cluster_start(&c, wiped);
            cluster_start(&c, late);
            cluster_run(&c, 3000);
        }
        cluster_demand_life(&c, 5000);
        cluster_deinit(&c);
    }
}

/* Two of three made anew beside the one that holds everything: they are no cluster of their own. */
static void two_made_anew(uint32_t unwrapped)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct cluster_node *leader = fresh_led(seed, unwrapped);
        cluster_submit(&c, leader, 4);
        cluster_run(&c, 300);
        uint64_t before = c.n_committed;
        for (uint32_t id = 1; id <= 3; id++) {
            cluster_crash(&c, id); /* all at once: nobody leads when they come back */
            if (id != leader->id)
                sim_storage_wipe(cluster_node(&c, id)->storage);
        }
        for (uint32_t id = 1; id <= 3; id++)
            cluster_start(&c, id);
        cluster_run(&c, 3000);
        DEMAND(c.n_committed == before);
        for (uint32_t id = 1; id <= 3; id++)
            DEMAND((raft_driver_status(cluster_node(&c, id)->driver).muted == REPL_TRUSTED) ==
                   (id == leader->id));
        cluster_deinit(&c);
    }
}

Test(raft_found, nobody_begins_before_every_founder_was_there)
{
    green_then_red(one_founder_never_came, 25);
}

Test(raft_found, two_directories_made_anew_are_no_cluster)
{
    green_then_red(two_made_anew, 25);
}

static void found_frame(uint32_t from, uint64_t boot, bool agreed)
{
    rig_feed(&r, from,
             (struct raft_frame){
                 .type = RAFT_FRAME_FOUND, .term = 1, .peer_boot = boot, .agreed = agreed});
    rig_disk(&r);
}

/* What a peer said to an earlier start, so perhaps to an earlier directory, is no answer to this. */
static void answers_to_this_start(uint32_t unwrapped)
{
    uint64_t boot;

    rig_init(&r, 1, 3, unwrapped);
    rig_stop(&r);
    struct repl_storage storage = sim_storage_interface(r.storage);
    storage.distrust(storage.self, REPL_DISTRUST_NEW);
    sim_storage_flush(r.storage);
    r.now_ms += 10;
    boot = 4711 + r.now_ms;
    DEMAND(rig_start(&r) == RAFT_DRIVER_OK && status().muted == REPL_DISTRUST_NEW);
    found_frame(2, boot - 10, false);
    found_frame(3, boot - 10, true);
    DEMAND(status().muted == REPL_DISTRUST_NEW && status().awaits == 2);
    const struct rig_sent *answer = rig_last(&r, RAFT_FRAME_FOUND, 3);
    DEMAND(answer != NULL && answer->frame.peer_boot != 0 && !answer->frame.agreed &&
           !answer->frame.begun);
    found_frame(3, boot, true);
    DEMAND(status().muted == REPL_DISTRUST_NEW && status().awaits == 2);
    found_frame(2, boot, false);
    DEMAND(status().muted == REPL_DISTRUST_AGREED && status().awaits == 0);
    answer = rig_last(&r, RAFT_FRAME_FOUND, 2);
    DEMAND(answer->frame.agreed && !answer->frame.begun);
    found_frame(2, boot, true);
    DEMAND(status().muted == REPL_TRUSTED && sim_storage_distrust(r.storage) == REPL_TRUSTED);
    DEMAND(rig_last(&r, RAFT_FRAME_FOUND, 2)->frame.begun);
    rig_deinit(&r);
}

Test(raft_found, founders_answer_this_very_start)
{
    green_then_red(answers_to_this_start, 26);
}

/* Founders that end and come back at any moment of the beginning: it comes to an end. */
static void broken_beginnings(uint32_t unwrapped)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        fresh_cluster(seed, seed % 4 == 0 ? 5 : 3, unwrapped);
        for (unsigned i = 0; i < c.n_nodes; i++)
            sim_storage_set_delay(c.nodes[i].storage, 0, 20);
        sim_network_set_delay(c.network, 0, 20);
        for (unsigned i = 0; i < 12; i++) {
            uint32_t id = (uint32_t)sim_between(&c.random, 1, c.n_nodes);
            cluster_run(&c, sim_between(&c.random, 0, 40));
            if (cluster_node(&c, id)->driver != NULL)
                cluster_crash(&c, id);
            else
                cluster_start(&c, id);
        }
        cluster_demand_life(&c, 5000);
        cluster_run(&c, 1000);
        for (uint32_t id = 1; id <= c.n_nodes; id++)
            DEMAND(raft_driver_status(cluster_node(&c, id)->driver).muted == REPL_TRUSTED);
        cluster_deinit(&c);
    }
}

Test(raft_found, a_beginning_that_is_broken_off_goes_on, .timeout = 60)
{
    green_then_red(broken_beginnings, 27);
}
