/* Records of members: who starts, who joins and by which token, who leaves, what all of them speak. */
#include "unit/repl/fsm_rig.h"

TestSuite(repl_fsm_members, .init = begin, .fini = end);

Test(repl_fsm_members, boot_replaces_the_boot_it_names)
{
    cr_assert_eq(judge(make_boot(1, 12, 0)), REPL_REFUSED_VERSION, "not the first start");
    cr_assert_eq(judge(make_boot(1, 12, 11)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_boot(1, 11, 0)), REPL_REFUSED_VERSION, "a delayed duplicate");
    cr_assert_eq(fsm_member(&fsm, 1)->boot, 12);

    Holdfast__Record *forged = make_boot(2, 99, 22);

    forged->node = 1;
    cr_assert_eq(judge(forged), REPL_REFUSED_MALFORMED, "nobody boots for another");
}

Test(repl_fsm_members, a_node_that_left_never_returns)
{
    cr_assert_eq(judge(make_leave(&m, 2)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_boot(2, 23, 22)), REPL_REFUSED_EXISTS);
    cr_assert_eq(judge(make_assign(1, m.epoch_index, 2, 22)), REPL_REFUSED_UNKNOWN);

    cr_assert_eq(judge(make_token(&m, 2, 1, 1000)), REPL_REFUSED_EXISTS);
    cr_assert_eq(judge(make_join(&m, 2, 1)), REPL_REFUSED_EXISTS);
    cr_assert_eq(judge(make_leave(&m, 2)), REPL_REFUSED_UNKNOWN, "once");
    cr_assert_eq(judge(make_leave(&m, 1)), REPL_REFUSED_UNKNOWN, "the last one");
}

Test(repl_fsm_members, nobody_leaves_with_a_shard)
{
    cr_assert_eq(judge(make_leave(&m, 1)), REPL_REFUSED_EXISTS);
    cr_assert_not(fsm_member(&fsm, 1)->left);
    cr_assert_eq(judge(make_handover(&m, 2, 22, 1)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_leave(&m, 1)), REPL_ACCEPTED);
}

/* However late it comes: what was answered to whoever wished for it stays true. */
Test(repl_fsm_members, a_leave_counts_until_it_says)
{
    uint64_t now = fsm.cluster_ms;

    fsm_begin_entry(&fsm, ++log_index, now + 1000);
    cr_assert_eq(judge(make_leave_until(&m, 2, now + 1000)), REPL_REFUSED_VERSION);
    cr_assert_eq(judge(make_leave_until(&m, 2, 1)), REPL_REFUSED_VERSION);
    cr_assert_not(fsm_member(&fsm, 2)->left);
    cr_assert_eq(judge(make_drain_until(&m, 2, true, now + 1000)), REPL_REFUSED_VERSION);
    cr_assert_not(fsm_member(&fsm, 2)->drained);
    cr_assert_eq(judge(make_drain_until(&m, 2, true, now + 1001)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_leave_until(&m, 2, now + 1001)), REPL_ACCEPTED);
    cr_assert(fsm_member(&fsm, 2)->left);
}

/* A member that does not know of the end would take it at any time. */
Test(repl_fsm_members, an_older_member_is_given_no_leave_with_an_end)
{
    Holdfast__Record *old = make_boot(3, 33, 0);

    fsm_found(&fsm, 3);
    old->member->speaks = RECORD_SPEAKS_UNTIL - 1;
    cr_assert_eq(judge(old), REPL_ACCEPTED);
    cr_assert_eq(fsm_spoken(&fsm), RECORD_SPEAKS_UNTIL - 1);
    cr_assert_eq(judge(make_leave_until(&m, 2, UINT64_MAX)), REPL_REFUSED_MALFORMED);
    cr_assert_eq(judge(make_drain_until(&m, 2, true, UINT64_MAX)), REPL_REFUSED_MALFORMED);
    cr_assert_eq(judge(make_drain(&m, 2, true)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_leave(&m, 2)), REPL_ACCEPTED);
}

Test(repl_fsm_members, a_token_lets_its_node_join_once_and_for_a_while)
{
    cr_assert_eq(judge(make_join(&m, 4, 7)), REPL_REFUSED_UNKNOWN, "no token");
    cr_assert_eq(judge(make_token(&m, 4, 6, 1000)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_token(&m, 4, 7, 1000)), REPL_ACCEPTED, "the later one counts");
    cr_assert_eq(fsm.n_tokens, 1);
    cr_assert_eq(judge(make_join(&m, 4, 6)), REPL_REFUSED_UNKNOWN, "another token");
    cr_assert_eq(judge(make_join(&m, 5, 7)), REPL_REFUSED_UNKNOWN, "another node's token");
    cr_assert_eq(judge(make_boot(4, 44, 0)), REPL_REFUSED_UNKNOWN, "it waits, and starts as if in");
    cr_assert_eq(judge(make_join(&m, 4, 7)), REPL_ACCEPTED);
    cr_assert_str_eq(fsm_member(&fsm, 4)->address, "10.0.0.9:7400");
    cr_assert_eq(judge(make_join(&m, 4, 7)), REPL_REFUSED_EXISTS, "twice");
    cr_assert_eq(judge(make_boot(4, 44, 0)), REPL_ACCEPTED);

    cr_assert_eq(judge(make_token(&m, 5, 8, 1000)), REPL_ACCEPTED);
    fsm_begin_entry(&fsm, ++log_index, fsm.cluster_ms + 999);
    cr_assert_eq(fsm.n_tokens, 1);
    fsm_begin_entry(&fsm, ++log_index, fsm.cluster_ms + 1);
    cr_assert_eq(fsm.n_tokens, 0);
    cr_assert_eq(judge(make_join(&m, 5, 8)), REPL_REFUSED_UNKNOWN, "expired");
}

Test(repl_fsm_members, a_cluster_has_room_for_five)
{
    cr_assert_eq(judge(make_token(&m, 4, 1, 1000)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_token(&m, 5, 1, 1000)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_token(&m, 6, 1, 1000)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_token(&m, 7, 1, 1000)), REPL_REFUSED_UNKNOWN, "two are there");
}

/* Records that one member does not know are refused, on every node alike. */
Test(repl_fsm_members, the_cluster_speaks_what_its_oldest_member_knows)
{
    Holdfast__Record *old = make_boot(3, 33, 0);

    cr_assert_eq(fsm_spoken(&fsm), RECORD_SPEAKS);
    fsm_found(&fsm, 3);
    cr_assert_eq(fsm_spoken(&fsm), 1, "it has said nothing yet");
    old->member->speaks = 0;
    cr_assert_eq(judge(old), REPL_ACCEPTED);
    cr_assert_eq(fsm_spoken(&fsm), 1);
    cr_assert_eq(judge(make_token(&m, 4, 1, 1000)), REPL_REFUSED_MALFORMED);
    cr_assert_eq(judge(make_leave(&m, 2)), REPL_REFUSED_MALFORMED);
    cr_assert_eq(judge(make_boot(3, 34, 33)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_token(&m, 4, 1, 1000)), REPL_ACCEPTED);
    old = make_boot(3, 35, 34);
    old->member->speaks = 1;
    cr_assert_eq(judge(old), REPL_REFUSED_VERSION, "the way back is closed");

    old = make_join(&m, 4, 1);
    old->member->speaks = 1;
    cr_assert_eq(judge(old), REPL_REFUSED_VERSION, "an older program than the cluster's");
    cr_assert_eq(judge(make_join(&m, 4, 1)), REPL_ACCEPTED);
}
