/* A disk that hangs: no write fails, none comes back. Its leader gives its office away; its process
 * ends only where nobody takes that, and only where the end lets others go on. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "replication/raft_frame.h"
#include "unit/repl/cluster.h"

enum { TAKEOVER_MS = 1000, AROUND_MS = 50, STAMP_MS = 1000, OFFICE_MS = 100, SAS = 5 };
/* No node hears that it is to campaign: transfers of leadership come to nothing. */
enum { NONE_TAKES_OFFICE = 1 << RAFT_FRAME_TIMEOUT_NOW };

static bool waits(const struct rig *rig, uint64_t node)
{
    return sim_storage_stuck_ms(rig->nodes[node - 1].storage) != 0;
}

static bool one_has_failed(const struct rig *rig, uint64_t unused)
{
    (void)unused;
    for (size_t i = 0; i < rig->n; i++)
        if (rig->nodes[i].failed)
            return true;
    return false;
}

static bool leads_no_more(const struct rig *rig, uint64_t node)
{
    uint32_t leader = rig_leader(rig);

    return leader != 0 && leader != node;
}

/* Another leads, well before the process would have ended. */
static void await_successor(struct rig *rig, uint32_t node)
{
    uint64_t hung_ms = rig->now_ms;

    rig_hang_disk(rig, node);
    cr_assert(rig_run(rig, STAMP_MS, waits, node), "it writes nothing");
    cr_assert(rig_run(rig, RIG_STALL_MS + OFFICE_MS, leads_no_more, node), "it stays in office");
    cr_assert_geq(rig->now_ms - hung_ms, RIG_STALL_MS);
    printf("node %u leads %lu ms after node %u's disk began to hang\n", (unsigned)rig_leader(rig),
           (unsigned long)(rig->now_ms - hung_ms), (unsigned)node);
}

/* Its process ends, and that is all that the others need to go on. */
static void await_end(struct rig *rig, uint32_t node)
{
    uint64_t hung_ms = rig->now_ms;

    rig->lost_frames = NONE_TAKES_OFFICE;

    rig_hang_disk(rig, node);
    cr_assert(rig_run(rig, STAMP_MS, waits, node), "it writes nothing");
    cr_assert(rig_run(rig, RIG_HANG_MS + AROUND_MS, rig_has_failed, node), "it goes on for ever");
    cr_assert_geq(rig->now_ms - hung_ms, RIG_HANG_MS);
    cr_assert_eq(rig_node(rig, node)->disk_told, 0, "it says that it waits, and ends");
    rig_kill(rig, node);
}

static bool owned_by_another(const struct rig *rig, uint64_t node)
{
    uint32_t owner = rig_owner(rig, 1);

    return owner != 0 && owner != node;
}

/* After a hang that nobody ended for: an owner, the same SAs, and new ones. */
static void goes_on(struct rig *rig)
{
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1), "nobody owns");
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    cr_assert_eq(replica_fsm(rig_node(rig, 1)->replica)->sas.n_used, SAS);
    cluster_create_sas(rig, rig_owner(rig, 1), 100, SAS);
    cr_assert(rig_run(rig, 2000, rig_settled, rig_owner(rig, 1)));
    cr_assert_eq(rig_node(rig, rig_owner(rig, 1))->settled_refused, 0);
    cr_assert_not(one_has_failed(rig, 0));
    cluster_finish(rig);
}

/* Raft's heartbeats need no disk, so a leader without one would stay in office and commit nothing. */
Test(repl_core, a_leader_whose_disk_hangs_gives_its_office_away)
{
    struct rig *rig = cluster_running(3, 9981);

    cluster_lead(rig, 1);
    cluster_create_sas(rig, 1, 1, SAS);
    cr_assert(rig_run(rig, 500, rig_settled, 1));
    await_successor(rig, 1);
    cr_assert(rig_run(rig, TAKEOVER_MS, owned_by_another, 1), "nobody took over");
    cluster_create_sas(rig, rig_owner(rig, 1), 50, SAS);
    cr_assert(rig_run(rig, 500, rig_settled, rig_owner(rig, 1)), "the records wait");
    cr_assert_not(rig_run(rig, 2ull * RIG_HANG_MS, one_has_failed, 0), "a node ended");
    cr_assert_neq(rig_leader(rig), 1, "it leads again, without a disk");
    rig_mend_disk(rig, 1);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    cr_assert_eq(replica_fsm(rig_node(rig, 1)->replica)->sas.n_used, 2 * SAS);
    cluster_finish(rig);
}

/* The owner is another, and well: its records wait as long as a stall. What was acknowledged does not
 * depend on the disk that hangs: its machine loses power meanwhile. */
Test(repl_core, records_wait_no_longer_than_a_stall_for_a_leader_whose_disk_hangs)
{
    struct rig *rig = cluster_running(3, 9990);
    uint64_t hung_ms = rig->now_ms;

    cluster_lead(rig, 2);
    rig_hang_disk(rig, 2);
    cr_assert(rig_run(rig, STAMP_MS, waits, 2));
    hung_ms = rig->now_ms;
    cluster_create_sas(rig, 1, 1, SAS);
    cr_assert(rig_run(rig, RIG_STALL_MS + OFFICE_MS, rig_settled, 1), "they wait for ever");
    printf("records waited %lu ms\n", (unsigned long)(rig->now_ms - hung_ms));
    cr_assert_eq(rig_node(rig, 1)->settled_accepted, SAS);
    cr_assert_eq(rig_owner(rig, 1), 1);
    rig_kill(rig, 2);
    rig_start(rig, 2);
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    cr_assert_eq(replica_fsm(rig_node(rig, 2)->replica)->sas.n_used, SAS);
    cluster_finish(rig);
}

static bool others_lead(const struct rig *rig, uint64_t above)
{
    return rig_leader(rig) > above;
}

/* Of those that have all of the log, one whose disk hangs, too, would never have its own vote; it is
 * not even known to hang before it was asked to lead, for it had nothing to write. */
Test(repl_core, office_goes_to_a_node_whose_disk_works)
{
    struct rig *rig = cluster_running(5, 9995);

    cluster_lead(rig, 1);
    rig_hang_disk(rig, 1);
    cr_assert(rig_run(rig, STAMP_MS, waits, 1));
    (void)rig_run(rig, AROUND_MS, NULL, 0);
    rig_hang_disk(rig, 2);
    cr_assert(rig_run(rig, 3ull * RIG_STALL_MS, others_lead, 2), "no other leads");
    cr_assert_not(one_has_failed(rig, 0));
    rig_mend_disk(rig, 1);
    rig_mend_disk(rig, 2);
    cluster_finish(rig);
}

/* One of the two others has stored everything, and is not there any more: alone the second could not
 * even be elected. */
Test(repl_core, a_leader_whose_disk_hangs_stays_where_too_few_are_there)
{
    struct rig *rig = cluster_running(3, 9996);

    cluster_lead(rig, 1);
    rig_hang_disk(rig, 1);
    cr_assert(rig_run(rig, STAMP_MS, waits, 1));
    (void)rig_run(rig, AROUND_MS, NULL, 0);
    rig_kill(rig, 3);
    cr_assert_not(rig_run(rig, 2ull * RIG_HANG_MS, leads_no_more, 1), "to whom?");
    cr_assert_not(one_has_failed(rig, 0));
    cr_assert_eq(rig_leader(rig), 1);
    rig_mend_disk(rig, 1);
    cr_assert(rig_run(rig, TAKEOVER_MS, rig_has_owner, 1));
    rig_start(rig, 3);
    cluster_finish(rig);
}

/* All disks hung for longer than a process may, and come back but for the leader's: its office goes
 * on, there is time for that. */
Test(repl_core, a_leader_gives_its_office_away_before_it_ends)
{
    struct rig *rig = cluster_running(3, 9997);

    cluster_lead(rig, 1);
    for (uint32_t n = 1; n <= 3; n++)
        rig_hang_disk(rig, n);
    cr_assert_not(rig_run(rig, 2ull * RIG_HANG_MS, one_has_failed, 0));
    for (uint32_t n = 2; n <= 3; n++)
        rig_mend_disk(rig, n);
    cr_assert(rig_run(rig, RIG_STALL_MS + TAKEOVER_MS, leads_no_more, 1));
    cr_assert_not(rig_run(rig, 2ull * RIG_HANG_MS, one_has_failed, 0), "a node ended");
    rig_mend_disk(rig, 1);
    cluster_finish(rig);
}

/* A disk that is late for good, if never for as long as to count as hung: no node to lead either. */
Test(repl_core, a_leader_whose_disk_is_slow_gives_its_office_away)
{
    struct rig *rig = cluster_running(3, 9998);

    cluster_lead(rig, 3);
    sim_storage_set_delay(rig_node(rig, 3)->storage, RIG_STALL_MS * 3 / 2, RIG_STALL_MS * 2);
    cr_assert(rig_run(rig, 4ull * RIG_STALL_MS, leads_no_more, 3), "it stays in office");
    cr_assert_not(rig_run(rig, 2ull * RIG_HANG_MS, one_has_failed, 0));
    cr_assert_neq(rig_leader(rig), 3);
    rig_mend_disk(rig, 3);
    cluster_finish(rig);
}

/* Whatever keeps the others from taking its office. */
Test(repl_core, a_leader_whose_disk_hangs_ends_and_another_leads_and_owns)
{
    struct rig *rig = cluster_running(3, 9900);

    cluster_lead(rig, 1);
    cluster_create_sas(rig, 1, 1, SAS);
    cr_assert(rig_run(rig, 500, rig_settled, 1));
    await_end(rig, 1);
    cr_assert(rig_run(rig, TAKEOVER_MS, rig_has_owner, 1), "nobody took over");
    cr_assert_neq(rig_owner(rig, 1), 1);
    cr_assert_neq(rig_leader(rig), 1);
    cluster_create_sas(rig, rig_owner(rig, 1), 100, SAS);
    cr_assert(rig_run(rig, 1000, rig_settled, rig_owner(rig, 1)));
    rig_start(rig, 1); /* with a new disk in it, or a better day */
    cluster_finish(rig);
}

/* The owner is well; its records wait for a leader that stores nothing. */
Test(repl_core, an_owners_records_go_on_when_the_leaders_disk_hangs)
{
    struct rig *rig = cluster_running(3, 9910);

    cluster_lead(rig, 2);
    await_end(rig, 2);
    cluster_create_sas(rig, 1, 1, SAS);
    cr_assert(rig_run(rig, TAKEOVER_MS, rig_settled, 1), "the records wait for ever");
    cr_assert_eq(rig_node(rig, 1)->settled_accepted, SAS);
    cr_assert_eq(rig_owner(rig, 1), 1);
    rig_start(rig, 2);
    cluster_finish(rig);
}

/* One disk under all three: each end would make it worse. It comes back for one node after the
 * other, for the leader last: by then the others must not count as those who could go on. */
Test(repl_core, a_disk_that_hangs_under_all_ends_nobody)
{
    struct rig *rig = cluster_running(3, 9930);

    cluster_lead(rig, 1);
    cluster_create_sas(rig, 1, 1, SAS);
    cr_assert(rig_run(rig, 500, rig_agrees, 0) && rig_run(rig, 500, rig_settled, 1));
    for (uint32_t n = 1; n <= 3; n++)
        rig_hang_disk(rig, n);
    cr_assert_not(rig_run(rig, 2ull * RIG_HANG_MS, one_has_failed, 0), "a node ended");
    cr_assert_eq(rig_node(rig, 1)->disk_told, 1, "told %lu times",
                 (unsigned long)rig_node(rig, 1)->disk_told);
    cr_assert_eq(rig_leader(rig), 1);
    for (uint32_t n = 3; n >= 1; n--) {
        rig_mend_disk(rig, n);
        (void)rig_run(rig, RIG_STALL_MS / 3, NULL, 0);
    }
    goes_on(rig);
}

/* The other two are well again for good while the leader's disk still hangs: now its end helps. */
Test(repl_core, a_leader_ends_once_the_others_are_well_again)
{
    struct rig *rig = cluster_running(3, 9940);

    cluster_lead(rig, 1);
    rig->lost_frames = NONE_TAKES_OFFICE;
    for (uint32_t n = 1; n <= 3; n++) {
        rig_hang_disk(rig, n);
        rig_node(rig, n)->sick = n > 1;
    }
    cr_assert_not(rig_run(rig, 2ull * RIG_HANG_MS, one_has_failed, 0));
    for (uint32_t n = 2; n <= 3; n++) {
        rig_mend_disk(rig, n);
        rig_node(rig, n)->sick = false;
    }
    cr_assert(rig_run(rig, 3ull * RIG_STALL_MS, rig_has_failed, 1), "it goes on for ever");
    rig_kill(rig, 1);
    cr_assert(rig_run(rig, TAKEOVER_MS, rig_has_owner, 1), "nobody took over");
    rig_start(rig, 1);
    cluster_finish(rig);
}

/* Who started anew, or may not own for another reason, can vote and store all the same: only who
 * leads without a disk keeps them from it, since the entry that confirms a new start would have to
 * come from it. So it gives its office away, or, where that comes to nothing, it ends. */
Test(repl_core, a_leader_goes_for_others_that_cannot_own_yet)
{
    for (unsigned i = 0; i < 4; i++) {
        struct rig *rig = cluster_running(3, 9970 + i);
        bool sick = (i & 1) != 0, ends = (i & 2) != 0;

        cluster_lead(rig, 1);
        cluster_create_sas(rig, 1, 1, SAS);
        cr_assert(rig_run(rig, 500, rig_settled, 1));
        rig->lost_frames = ends ? NONE_TAKES_OFFICE : 0;
        rig_hang_disk(rig, 1);
        cr_assert(rig_run(rig, STAMP_MS, waits, 1));
        (void)rig_run(rig, RIG_STALL_MS / 2, NULL, 0);
        if (sick) {
            rig_node(rig, 3)->sick = true;
        } else {
            rig_kill(rig, 3);
            rig_start(rig, 3);
        }
        cr_assert(rig_run(rig, (ends ? RIG_HANG_MS : 0) + 2ull * RIG_STALL_MS,
                          ends ? rig_has_failed : leads_no_more, 1),
                  "it goes on for ever, %s", sick ? "one of the others sick" : "one started anew");
        if (ends)
            rig_kill(rig, 1);
        cr_assert(rig_run(rig, 2ull * TAKEOVER_MS, owned_by_another, 1), "nobody took over");
        rig_node(rig, 3)->sick = false;
        if (ends)
            rig_start(rig, 1);
        else
            rig_mend_disk(rig, 1);
        cluster_finish(rig);
    }
}

/* A follower's end helps nobody: the leader commits with the other one; its own lease ends. */
Test(repl_core, a_follower_whose_disk_hangs_waits)
{
    for (uint32_t hung = 1; hung <= 3; hung += 2) { /* 1 is the owner */
        struct rig *rig = cluster_running(3, 9950 + hung);

        cluster_lead(rig, 2);
        cluster_create_sas(rig, 1, 1, SAS);
        cr_assert(rig_run(rig, 500, rig_settled, 1));
        rig_hang_disk(rig, hung);
        cr_assert_not(rig_run(rig, 2ull * RIG_HANG_MS, one_has_failed, 0), "a node ended");
        cr_assert_eq(rig_node(rig, hung)->disk_told, 1);
        cr_assert(rig_has_owner(rig, 1));
        cr_assert_neq(rig_owner(rig, 1), hung);
        rig_mend_disk(rig, hung);
        goes_on(rig);
    }
}

Test(repl_core, a_lone_node_whose_disk_hangs_waits)
{
    struct rig *rig = cluster_running(1, 9960);

    cluster_create_sas(rig, 1, 1, SAS);
    cr_assert(rig_run(rig, 500, rig_settled, 1));
    rig_hang_disk(rig, 1);
    cr_assert_not(rig_run(rig, 2ull * RIG_HANG_MS, one_has_failed, 0), "it ended");
    cr_assert_eq(rig_node(rig, 1)->disk_told, 1);
    rig_mend_disk(rig, 1);
    goes_on(rig);
}

/* Three nodes under that limit; each write of their leader takes three to four and a half seconds.
 */
static struct rig *slow_leader(uint64_t hang_ms)
{
    struct rig *rig = rig_create(3, 1, 9920);

    rig->hang_ms = hang_ms;
    for (uint32_t n = 1; n <= 3; n++)
        rig_start(rig, n);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cluster_lead(rig, 3);
    sim_storage_set_delay(rig_node(rig, 3)->storage, 3000, 4500);
    return rig;
}

/* Slow is not hung: writes come back, if late. */
Test(repl_core, a_slow_disk_ends_nobody)
{
    struct rig *rig = slow_leader(RIG_HANG_MS);
    uint64_t completed = sim_storage_counters(rig_node(rig, 3)->storage)->completed;

    cr_assert_not(rig_run(rig, 4ull * RIG_HANG_MS, one_has_failed, 0), "a node ended");
    completed = sim_storage_counters(rig_node(rig, 3)->storage)->completed - completed;
    cr_assert_geq(completed, 3);
    printf("compared %lu slow writes\n", (unsigned long)completed);
    rig_mend_disk(rig, 3);
    cluster_finish(rig);
}

/* The same writes under a limit that they exceed: so the case above is one that could fail. */
Test(repl_core, a_disk_slower_than_the_limit_counts_as_hung)
{
    struct rig *rig = slow_leader(2500);

    rig->lost_frames = NONE_TAKES_OFFICE;
    cr_assert(rig_run(rig, 4ull * RIG_HANG_MS, rig_has_failed, 3), "it goes on for ever");
    rig_kill(rig, 3);
    sim_storage_set_delay(rig_node(rig, 3)->storage, 0, 1);
    rig_start(rig, 3);
    cluster_finish(rig);
}
