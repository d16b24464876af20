/* A takeover comes: nothing that may go on at the time keeps the others from it. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "unit/repl/cluster.h"

static bool other_owns(const struct rig *rig, uint64_t dead)
{
    uint32_t owner = rig_owner(rig, 1);

    return owner != 0 && owner != dead;
}

static struct rig *started(uint64_t seed)
{
    struct rig *rig = cluster_running(3, seed);

    (void)rig_run(rig, 300, NULL, 0);
    return rig;
}

/* Another node than the owner leads. */
static struct rig *led_by_another(uint64_t seed, uint32_t *owner, uint32_t *leader)
{
    struct rig *rig = started(seed);

    *owner = rig_owner(rig, 1);
    if (rig_leader(rig) == *owner)
        (void)!replica_transfer(rig_node(rig, *owner)->replica, rig->now_ms * 1000000,
                                *owner % 3 + 1);
    (void)rig_run(rig, 300, NULL, 0);
    *leader = rig_leader(rig);
    cr_assert(*leader != 0 && *leader != *owner && rig_owner(rig, 1) == *owner);
    return rig;
}

/* Owner and leader die at once, on disks whose every write takes `least` to 2 × `least` ms. */
static uint64_t takeover_ms(uint64_t seed, unsigned least)
{
    struct rig *rig = started(seed);
    uint32_t owner = rig_owner(rig, 1);
    uint64_t killed_ms;

    for (uint32_t i = 1; i <= 3; i++)
        sim_storage_set_delay(rig_node(rig, i)->storage, least, 2 * least);
    sim_network_set_delay(rig->network, 0, 30);
    (void)rig_run(rig, sim_between(&rig->random, 0, 600), NULL, 0);
    if (rig_leader(rig) != 0)
        owner = rig_leader(rig);
    killed_ms = rig->now_ms;
    rig_kill(rig, owner);
    (void)rig_run(rig, 20000, other_owns, owner);
    killed_ms = rig->now_ms - killed_ms;
    rig_destroy(rig);
    return killed_ms;
}

/* A write of 150 ms and more is an election timeout: a vote takes two. */
Test(repl_core, disks_slower_than_an_election_still_give_a_leader)
{
    uint64_t worst = 0, sum = 0;

    for (uint64_t seed = 0; seed < 40; seed++) {
        uint64_t ms = takeover_ms(1000 + seed, 150);

        worst = ms > worst ? ms : worst;
        sum += ms;
    }
    (void)fprintf(stderr, "disks of 150 to 300 ms: takeover in %lu ms, %lu at worst, of 40\n",
                  (unsigned long)sum / 40, (unsigned long)worst);
    cr_assert_lt(worst, 8000);
    cr_assert_lt(sum / 40, 3000);
}

/* The leader gives its office to a node that goes: it does not keep the shard waiting for that. */
Test(repl_core, a_takeover_does_not_wait_for_a_transfer_to_the_dead)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint32_t owner, leader;
        struct rig *rig = led_by_another(2000 + seed, &owner, &leader);

        cr_assert_eq(replica_transfer(rig_node(rig, leader)->replica, rig->now_ms * 1000000, owner),
                     REPL_OK);
        rig_kill(rig, owner);
        cr_assert(rig_run(rig, 600, other_owns, owner), "seed %lu: nobody took over",
                  (unsigned long)seed);
        rig_destroy(rig);
    }
}

/* ... nor to one whose machine is off: nothing tells of that. */
Test(repl_core, a_takeover_waits_two_elections_at_most_for_a_transfer)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint32_t owner, leader;
        struct rig *rig = led_by_another(3000 + seed, &owner, &leader);

        rig_pause(rig, owner);
        cr_assert_eq(replica_transfer(rig_node(rig, leader)->replica, rig->now_ms * 1000000, owner),
                     REPL_OK);
        cr_assert(rig_run(rig, 700, other_owns, owner), "seed %lu: nobody took over",
                  (unsigned long)seed);
        rig_destroy(rig);
    }
}

/* As the status says it, too: nobody need ask. */
static bool says(const struct rig *rig, uint64_t quorum)
{
    for (size_t i = 0; i < rig->n; i++) {
        const struct rig_node *n = &rig->nodes[i];
        struct repl_status status;

        if (!n->up)
            continue;
        replica_status(n->replica, rig->now_ms * 1000000, &status);
        if (n->quorum != (quorum != 0) || status.quorum != n->quorum)
            return false;
    }
    return true;
}

Test(repl_core, a_majority_that_is_lost_or_back_is_an_event)
{
    struct rig *rig = rig_create(3, 1, 31);
    struct rig_node *n = rig_node(rig, 1);

    rig_start(rig, 1);
    (void)rig_run(rig, 1000, NULL, 0);
    cr_assert_eq(n->quorum_told, 0, "there is none at the start");
    rig_start(rig, 2);
    rig_start(rig, 3);
    cr_assert(rig_run(rig, 5000, says, true));
    cr_assert_eq(n->quorum_told % 2, 1, "each tells something new");
    rig_kill(rig, 2);
    rig_kill(rig, 3);
    cr_assert(rig_run(rig, 1000, says, false));
    cr_assert_eq(n->quorum_told % 2, 0);
    rig_start(rig, 2);
    cr_assert(rig_run(rig, 5000, says, true));
    rig_start(rig, 3);
    cluster_finish(rig);
}
