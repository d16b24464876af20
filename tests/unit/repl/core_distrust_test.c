/* A node whose disk may have lost what it acknowledged (I10), as the replica sees it: raft_muted.c's
 * rules are held by unit/raft; here is what they mean for promises, leases and ownership, for a node
 * that is alone, and what people are told. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "replication/raft_frame.h"
#include "unit/repl/cluster.h"

enum { SAS = 5, QUIET_MS = 3000, LEASE_MS = 200, SOON_MS = 3000 };
enum { NONE_IS_TRUSTED = 1 << RAFT_FRAME_TRUST };

/* All that can be found when it starts; REPL_DISTRUST_PEER only its leader finds. */
static const enum repl_distrust at_start[] = {REPL_DISTRUST_SUFFIX, REPL_DISTRUST_VOTE,
                                              REPL_DISTRUST_BOOT, REPL_DISTRUST_OPERATOR,
                                              REPL_DISTRUST_NEW};
enum { AT_START = sizeof at_start / sizeof *at_start };

static struct repl_status status(const struct rig *rig, uint64_t node)
{
    struct repl_status s;

    replica_status(rig->nodes[node - 1].replica, rig->now_ms * 1000000, &s);
    return s;
}

static enum repl_distrust distrust(const struct rig *rig, uint64_t node, uint32_t as)
{
    return status(rig, as).nodes[node - 1].distrust;
}

static bool is_muted(const struct rig *rig, uint64_t node)
{
    return distrust(rig, node, (uint32_t)node) != REPL_TRUSTED;
}

/* By its own word and by everybody's, and chosen from again. */
static bool counts(const struct rig *rig, uint64_t node)
{
    for (uint32_t as = 1; as <= rig->n; as++)
        if (rig->nodes[as - 1].up &&
            (distrust(rig, node, as) != REPL_TRUSTED || !status(rig, as).nodes[node - 1].healthy))
            return false;
    return true;
}

static uint64_t counter(const struct rig *rig, uint32_t node, enum repl_counter which)
{
    return status(rig, node).counters[which];
}

/* Up to date, its start known to the log: but for the distrust it could promise and own. */
static bool has_begun(const struct rig *rig, uint64_t node)
{
    const struct rig_node *n = &rig->nodes[node - 1];
    const struct fsm_member *m = fsm_member(replica_fsm(n->replica), (uint32_t)node);

    return m != NULL && m->boot == n->boot && rig_agrees(rig, 0);
}

static bool owner_is(const struct rig *rig, uint64_t node)
{
    return rig_owner(rig, 1) == node;
}

/* What speaks against that node's disk at its next start; it is down. */
static void plant(struct rig *rig, uint32_t node, enum repl_distrust why)
{
    struct sim_storage *disk = rig_node(rig, node)->storage;
    struct repl_storage s = sim_storage_interface(disk);

    switch (why) {
    case REPL_DISTRUST_SUFFIX:
        cr_assert_eq(sim_storage_lose(disk, 2, false, true), 2);
        break;
    case REPL_DISTRUST_PEER:
        cr_assert_eq(sim_storage_lose(disk, 2, false, false), 2);
        break;
    case REPL_DISTRUST_VOTE:
        sim_storage_older_vote(disk, 1);
        break;
    case REPL_DISTRUST_NEW:
        sim_storage_wipe(disk);
        break;
    default:
        s.distrust(s.self, why);
        sim_storage_flush(disk);
    }
}

/* Three nodes of which 1 owns, `leader` leads, and 3 is down with that against its disk. A term was
 * voted in before, so that an older vote is one. */
static struct rig *without_third(uint64_t seed, uint32_t leader, enum repl_distrust why)
{
    struct rig *rig = cluster_running(3, seed);

    cluster_lead(rig, 3 - leader);
    cluster_lead(rig, leader);
    cr_assert(rig_run(rig, SOON_MS, owner_is, 1));
    cluster_create_sas(rig, 1, 1, SAS);
    cr_assert(rig_run(rig, SOON_MS, rig_settled, 1) && rig_run(rig, SOON_MS, rig_agrees, 0));
    rig_kill(rig, 3);
    if (why != REPL_TRUSTED)
        plant(rig, 3, why);
    return rig;
}

static bool has_wrong_state(const struct rig *rig, uint64_t node)
{
    return status(rig, node).nodes[node - 1].agreement == REPL_DIFFERS;
}

static bool may_back_up(const struct rig *rig, uint64_t node)
{
    return replica_may_back_up(rig->nodes[node - 1].replica);
}

/* A backup takes the place of a former one, which may be the last good one. */
Test(repl_distrust, a_state_that_is_not_trusted_is_not_backed_up)
{
    struct rig *rig = without_third(7790, 1, REPL_DISTRUST_OPERATOR);

    cr_assert(may_back_up(rig, 1) && may_back_up(rig, 2), "they are sound");
    ((struct fsm *)(uintptr_t)replica_fsm(rig_node(rig, 2)->replica))->shards[0].aborts++;
    rig_start(rig, 3);
    cr_assert(is_muted(rig, 3) && !may_back_up(rig, 3), "its disk is not trusted");
    cr_assert(rig_run(rig, SOON_MS, has_wrong_state, 2));
    cr_assert_not(may_back_up(rig, 2), "it was outvoted");
    cr_assert(may_back_up(rig, 1));
    cr_assert(rig_run(rig, SOON_MS, counts, 2) && rig_run(rig, SOON_MS, counts, 3));
    cr_assert(may_back_up(rig, 2) && may_back_up(rig, 3), "for ever");
    cluster_finish(rig);
}

/* With it there is no majority: nobody leads, nobody's lease goes on. With another there is one, which
 * fills it; then it is a node like others. */
Test(repl_distrust, whatever_speaks_against_a_disk_its_node_makes_no_majority)
{
    size_t compared = 0;

    for (size_t i = 0; i <= AT_START; i++) {
        enum repl_distrust why = i == AT_START ? REPL_TRUSTED : at_start[i];
        struct rig *rig = without_third(7800 + i, 1, why);

        rig_kill(rig, 2);
        cr_assert_not(rig_run(rig, QUIET_MS, NULL, 0));
        cr_assert_eq(rig_owner(rig, 1), 0, "node 1 acts alone");
        rig_start(rig, 3);
        if (why == REPL_TRUSTED) { /* or what follows would prove nothing */
            cr_assert(rig_run(rig, SOON_MS, rig_has_owner, 1));
            cr_assert_eq(rig_node(rig, 3)->alarms, 0);
            rig_start(rig, 2);
            cluster_finish(rig);
            continue;
        }
        cr_assert_eq(distrust(rig, 3, 3), why, "%s", repl_distrust_name(why));
        cr_assert_eq(rig_node(rig, 3)->alarms, why != REPL_DISTRUST_NEW, "%lu alarms: %s",
                     (unsigned long)rig_node(rig, 3)->alarms, repl_distrust_name(why));
        cr_assert_not(rig_run(rig, QUIET_MS, rig_has_leader, 0), "%s", repl_distrust_name(why));
        cr_assert_eq(rig_owner(rig, 1), 0);
        cr_assert_eq(distrust(rig, 3, 1), why, "node 1 is not told");
        rig_start(rig, 2);
        cr_assert(rig_run(rig, SOON_MS, rig_has_owner, 1), "%s", repl_distrust_name(why));
        cr_assert(rig_run(rig, SOON_MS, counts, 3), "%s: for ever", repl_distrust_name(why));
        cr_assert_eq(rig_node(rig, 3)->trust_told, 1);
        cr_assert_eq(sim_storage_distrust(rig_node(rig, 3)->storage), REPL_TRUSTED);
        cr_assert_eq(replica_fsm(rig_node(rig, 3)->replica)->sas.n_used, SAS);
        rig_kill(rig, 3); /* nothing of it is left */
        rig_start(rig, 3);
        cr_assert_not(is_muted(rig, 3));
        cr_assert_eq(rig_node(rig, 3)->alarms, 0);
        cluster_finish(rig);
        compared++;
    }
    cr_assert_eq(compared, AT_START);
    printf("compared %zu kinds of evidence\n", compared);
}

/* It has all of the log and its start is in it, but nobody has said yet that a majority without it has
 * the barrier: whoever owns cannot live by its promises. */
Test(repl_distrust, it_gives_no_promise)
{
    for (unsigned trusted = 0; trusted < 2; trusted++) {
        struct rig *rig = without_third(7820 + trusted, 2, REPL_DISTRUST_SUFFIX);
        uint64_t refused;

        rig->lost_frames = trusted ? 0 : NONE_IS_TRUSTED;
        rig_start(rig, 3);
        cr_assert(rig_run(rig, SOON_MS, has_begun, 3));
        refused = counter(rig, 3, REPL_COUNT_ACKS_REFUSED);
        (void)rig_run(rig, 1000, NULL, 0);
        cr_assert_eq(is_muted(rig, 3), !trusted);
        cr_assert_eq(counter(rig, 3, REPL_COUNT_ACKS) == 0, !trusted);
        cr_assert(trusted || counter(rig, 3, REPL_COUNT_ACKS_REFUSED) > refused, "none is asked");
        cr_assert(owner_is(rig, 1), "node 2 is a majority with it");
        sim_network_partition(rig->network, 1, 2);
        sim_network_partition(rig->network, 2, 1);
        (void)rig_run(rig, LEASE_MS, NULL, 0);
        cr_assert_eq(rig_owner(rig, 1), trusted ? 1 : 0);
        sim_network_heal(rig->network);
        rig->lost_frames = 0;
        cr_assert(rig_run(rig, SOON_MS, counts, 3));
        cr_assert(rig_run(rig, SOON_MS, rig_has_owner, 1));
        cluster_finish(rig);
    }
}

/* The only one that is well, and it was the owner. */
Test(repl_distrust, it_owns_nothing)
{
    for (unsigned trusted = 0; trusted < 2; trusted++) {
        struct rig *rig = cluster_running(3, 7830 + trusted);

        cluster_lead(rig, 2);
        cr_assert(rig_run(rig, SOON_MS, owner_is, 1));
        cr_assert(rig_run(rig, SOON_MS, rig_agrees, 0));
        rig_node(rig, 2)->sick = rig_node(rig, 3)->sick = true;
        (void)rig_run(rig, LEASE_MS, NULL, 0);
        rig_kill(rig, 1);
        plant(rig, 1, REPL_DISTRUST_SUFFIX);
        rig->lost_frames = trusted ? 0 : NONE_IS_TRUSTED;
        rig_start(rig, 1);
        cr_assert(rig_run(rig, SOON_MS, has_begun, 1));
        cr_assert_eq(rig_run(rig, QUIET_MS, rig_has_owner, 1), trusted);
        cr_assert_eq(status(rig, 2).nodes[0].healthy, trusted);
        rig->lost_frames = 0;
        cr_assert(rig_run(rig, SOON_MS, owner_is, 1));
        rig_node(rig, 2)->sick = rig_node(rig, 3)->sick = false;
        cluster_finish(rig);
    }
}

/* Nothing on its disk tells: it is its leader, who remembers what it acknowledged. */
Test(repl_distrust, the_leader_finds_out_who_was_rolled_back)
{
    struct rig *rig = without_third(7840, 2, REPL_DISTRUST_PEER);

    rig->lost_frames = NONE_IS_TRUSTED;
    rig_start(rig, 3);
    cr_assert_not(is_muted(rig, 3));
    cr_assert(rig_run(rig, SOON_MS, is_muted, 3));
    cr_assert_eq(distrust(rig, 3, 3), REPL_DISTRUST_PEER);
    cr_assert_eq(counter(rig, 2, REPL_COUNT_DOUBTED), 1);
    cr_assert(rig_node(rig, 2)->alarms == 1 && rig_node(rig, 3)->alarms == 1);
    cr_assert(rig_run(rig, SOON_MS, has_begun, 3));
    cr_assert_eq(distrust(rig, 3, 1), REPL_DISTRUST_PEER);
    cr_assert_eq(counter(rig, 3, REPL_COUNT_ACKS), 0);
    rig->lost_frames = 0;
    cr_assert(rig_run(rig, SOON_MS, counts, 3));
    cr_assert_eq(rig_node(rig, 3)->trust_told, 1);
    cluster_finish(rig);
}

/* A start does not lift what another start found. */
Test(repl_distrust, it_is_kept_until_others_lift_it)
{
    struct rig *rig = without_third(7850, 2, REPL_DISTRUST_OPERATOR);

    rig->lost_frames = NONE_IS_TRUSTED;
    for (int i = 0; i < 3; i++) {
        rig_start(rig, 3);
        (void)rig_run(rig, 500, NULL, 0);
        cr_assert_eq(distrust(rig, 3, 3), REPL_DISTRUST_OPERATOR);
        cr_assert_eq(rig_node(rig, 3)->alarms, 1);
        rig_kill(rig, 3);
    }
    rig->lost_frames = 0;
    rig_start(rig, 3);
    cr_assert(rig_run(rig, SOON_MS, counts, 3));
    cluster_finish(rig);
}

/* --- alone --- */

static struct rig *lone(uint64_t seed, bool unjoinable)
{
    struct rig *rig = rig_create(1, 1, seed);

    rig_seal(rig);
    rig->stays_on = true; /* else its sessions end by that */
    rig->unjoinable = unjoinable;
    rig_start(rig, 1);
    cr_assert(rig_run(rig, SOON_MS, rig_has_owner, 1));
    cluster_create_sas(rig, 1, 1, SAS);
    cr_assert(rig_run(rig, SOON_MS, rig_settled, 1));
    rig_kill(rig, 1);
    return rig;
}

static void start_again(struct rig *rig, size_t sas, uint64_t next)
{
    rig_start(rig, 1);
    cr_assert(rig_run(rig, SOON_MS, rig_has_owner, 1), "it owns nothing");
    cr_assert_not(is_muted(rig, 1));
    cr_assert_eq(replica_fsm(rig_node(rig, 1)->replica)->sas.n_used, sas);
    cluster_create_sas(rig, 1, next, SAS);
    cr_assert(rig_run(rig, SOON_MS, rig_settled, 1));
    rig_kill(rig, 1);
}

/* Its word stands against nobody's, but numbers that its sessions had reserved may be forgotten. */
Test(repl_distrust, one_that_is_alone_goes_on_and_its_sessions_end)
{
    size_t compared = 0;

    for (size_t i = 0; i < AT_START && at_start[i] != REPL_DISTRUST_NEW; i++) {
        struct rig *rig = lone(7860 + i, true);

        start_again(rig, SAS, 20); /* else nothing is lost */
        plant(rig, 1, at_start[i]);
        start_again(rig, 0, 40);
        start_again(rig, SAS, 60); /* it was that start's alone */
        rig_start(rig, 1);
        cluster_finish(rig);
        compared++;
    }
    cr_assert_eq(compared, AT_START - 1);
    printf("compared %zu kinds of evidence\n", compared);
}

/* Others may have joined, in what is lost, and go on without it. */
Test(repl_distrust, one_that_others_could_have_joined_does_not_start)
{
    size_t compared = 0;

    for (size_t i = 0; i < AT_START && at_start[i] != REPL_DISTRUST_NEW; i++) {
        struct rig *rig = lone(7870 + i, false);
        struct rig_node *n = rig_node(rig, 1);

        plant(rig, 1, at_start[i]);
        rig_start(rig, 1);
        cr_assert(n->failed, "%s", repl_distrust_name(at_start[i]));
        cr_assert_not_null(strstr(n->why, "cluster recover"), "%s", n->why);
        rig_destroy(rig);
        compared++;
    }
    cr_assert_eq(compared, AT_START - 1);
}

static bool is_voter(const struct rig *rig, uint64_t node)
{
    const struct repl_configuration *c =
        raft_driver_configuration(replica_driver(rig->nodes[node - 1].replica));

    return c->n_servers == 3 && c->servers[node - 1].role == RAFT_DRIVER_VOTER;
}

/* It founded the cluster alone, but two others have joined since: it waits for them. */
Test(repl_distrust, a_founder_that_others_joined_is_not_alone)
{
    struct rig *rig = cluster_running(1, 7880);

    for (uint32_t id = 2; id <= 3; id++) {
        struct maker m = rig_maker(rig, 1, 1);

        cr_assert_eq(rig_add(rig), id);
        rig_start(rig, id);
        (void)rig_run(rig, 100, NULL, 0);
        cr_assert_neq(rig_submit(rig, 1, make_token(&m, id, (uint8_t)id, 60000)), 0);
        cr_assert(rig_run(rig, SOON_MS, rig_settled, 1));
        m = rig_maker(rig, 1, 1);
        cr_assert_neq(rig_submit(rig, 1, make_join(&m, id, (uint8_t)id)), 0);
        cr_assert(rig_run(rig, SOON_MS, rig_settled, 1));
    }
    for (uint32_t id = 1; id <= 3; id++)
        cr_assert(rig_run(rig, 3 * SOON_MS, is_voter, id));
    cr_assert(rig_run(rig, SOON_MS, rig_agrees, 0));
    for (uint32_t id = 3; id >= 1; id--)
        rig_kill(rig, id);
    plant(rig, 1, REPL_DISTRUST_SUFFIX);
    rig->unjoinable = true; /* it would go on, if it took itself for alone */
    rig_start(rig, 1);
    cr_assert_not(rig_node(rig, 1)->failed, "%s", rig_node(rig, 1)->why);
    cr_assert_not(rig_run(rig, QUIET_MS, rig_has_leader, 0));
    rig_start(rig, 2);
    cr_assert_not(rig_run(rig, QUIET_MS, rig_has_leader, 0), "node 1 makes a majority");
    rig_start(rig, 3);
    cr_assert(rig_run(rig, SOON_MS, counts, 1));
    cluster_finish(rig);
}
