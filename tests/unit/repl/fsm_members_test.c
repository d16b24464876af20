/* Records of members: who starts, who joins and by which token, who leaves, what all of them speak. */
#include <stdlib.h>

#include "replication/snapshot.h"
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

static void undrains(uint64_t removal, enum repl_verdict verdict, bool drained)
{
    cr_assert_eq(judge(make_removal_drain(&m, 2, false, UINT64_MAX, removal)), verdict);
    cr_assert_eq(fsm_member(&fsm, 2)->drained, drained);
}

/* A removal that was given up, and an operator who drained the same node before, meanwhile or after. */
Test(repl_fsm_members, a_removal_takes_back_its_own_drain_alone)
{
    cr_assert_eq(judge(make_removal_drain(&m, 2, true, UINT64_MAX, 71)), REPL_ACCEPTED);
    undrains(72, REPL_REFUSED_VERSION, true);
    undrains(71, REPL_ACCEPTED, false);
    undrains(71, REPL_REFUSED_VERSION, false);

    cr_assert_eq(judge(make_drain(&m, 2, true)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_removal_drain(&m, 2, true, UINT64_MAX, 73)), REPL_ACCEPTED);
    undrains(73, REPL_REFUSED_VERSION, true);
    cr_assert_eq(judge(make_drain(&m, 2, false)), REPL_ACCEPTED);

    cr_assert_eq(judge(make_removal_drain(&m, 2, true, UINT64_MAX, 74)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_drain(&m, 2, true)), REPL_ACCEPTED);
    undrains(74, REPL_REFUSED_VERSION, true);
    cr_assert_eq(judge(make_drain(&m, 2, false)), REPL_ACCEPTED);
    cr_assert_not(fsm_member(&fsm, 2)->drained, "an operator's needs no number");
    cr_assert_eq(judge(make_removal_drain(&m, 2, true, 0, 75)), REPL_REFUSED_MALFORMED, "no end");
}

/* Whose drain it is is a part of the state: in its digest, and in a snapshot. */
Test(repl_fsm_members, whose_drain_it_is_is_in_the_state)
{
    struct digest drained;
    struct fsm copy;
    uint8_t *bytes;
    size_t n;

    cr_assert_eq(judge(make_drain(&m, 2, true)), REPL_ACCEPTED);
    drained = fsm_content_digest(&fsm);
    cr_assert_eq(judge(make_drain(&m, 2, false)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_removal_drain(&m, 2, true, UINT64_MAX, 71)), REPL_ACCEPTED);
    cr_assert_not(digest_equal(drained, fsm_content_digest(&fsm)));
    bytes = snapshot_encode(&fsm, &seal_none, &n);
    cr_assert_not_null(bytes);
    cr_assert(snapshot_restore(span_of(bytes, n), &seal_none, 1, &copy));
    cr_assert_eq(fsm_member(&copy, 2)->removal, 71);
    cr_assert(digest_equal(fsm_digest(&copy), fsm_digest(&fsm)));
    fsm_deinit(&copy);
    free(bytes);
    undrains(71, REPL_ACCEPTED, false);
}

/* A member that does not know of the end would take it at any time. */
Test(repl_fsm_members, an_older_member_is_given_no_leave_with_an_end)
{
    Holdfast__Record *old = make_boot(3, 33, 0);

    fsm_found(&fsm, 3);
    old->member->speaks = RECORD_SPEAKS_UNTIL - 1;
    cr_assert_eq(judge(old), REPL_ACCEPTED);
    cr_assert_eq(fsm_spoken(&fsm), RECORD_SPEAKS_UNTIL - 1);
    cr_assert_eq(judge(make_removal_drain(&m, 2, true, UINT64_MAX, 7)), REPL_REFUSED_MALFORMED);
    cr_assert_eq(judge(make_leave_until(&m, 2, UINT64_MAX)), REPL_REFUSED_MALFORMED);
    cr_assert_eq(judge(make_drain_until(&m, 2, true, UINT64_MAX)), REPL_REFUSED_MALFORMED);
    cr_assert_eq(judge(make_drain(&m, 2, true)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_leave(&m, 2)), REPL_ACCEPTED);
}

/* ... nor one that does not know of a removal's number: it would take back anybody's drain. */
Test(repl_fsm_members, an_older_member_is_given_no_take_back)
{
    Holdfast__Record *old = make_boot(3, 33, 0), *r;

    fsm_found(&fsm, 3);
    old->member->speaks = RECORD_SPEAKS_REMOVAL - 1;
    cr_assert_eq(judge(old), REPL_ACCEPTED);
    cr_assert_eq(judge(make_drain(&m, 2, true)), REPL_ACCEPTED);
    undrains(7, REPL_REFUSED_MALFORMED, true);
    r = make_removal_drain(&m, 2, false, UINT64_MAX, 7);
    make_admin(r, "CN=alice", "", "");
    cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "whoever wishes for it");
    cr_assert_eq(judge(make_drain_until(&m, 2, false, UINT64_MAX)), REPL_ACCEPTED);
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
