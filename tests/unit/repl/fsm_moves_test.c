/* Records of handovers and of operators' wishes. */
#include "unit/repl/fsm_rig.h"

TestSuite(repl_fsm_moves, .init = begin, .fini = end);

Test(repl_fsm_moves, windows_go_ahead_of_their_handover_only)
{
    struct digest before;

    cr_assert_eq(judge(make_windows(&m, 1, "w")), REPL_ACCEPTED);
    before = fsm_content_digest(&fsm);
    cr_assert_eq(judge(make_windows(&m, 1, "more")), REPL_ACCEPTED);
    cr_assert(digest_equal(fsm_content_digest(&fsm), before), "they change no state");
    cr_assert_eq(judge(make_windows(&m, 0, "w")), REPL_REFUSED_VERSION);
    cr_assert_eq(judge(make_abort(&m, 1)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_windows(&m, 1, "w")), REPL_REFUSED_VERSION, "it was taken back");
    cr_assert_eq(judge(make_windows(&m, 2, "")), REPL_REFUSED_MALFORMED, "none");
    cr_assert_eq(judge(make_handover(&m, 2, 22, 2)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_windows(&m, 3, "w")), REPL_REFUSED_EPOCH, "not the owner any more");
}

/* Wishes of operators: by any member, kept until fulfilled, and no assignment by themselves. */
Test(repl_fsm_moves, moves_and_drains_are_wishes)
{
    struct maker n = {.node = 2, .boot = 22, .request = 1, .shard = 1};
    struct maker nowhere = {.node = 2, .boot = 22, .request = 9, .shard = 7};
    const struct fsm_shard *s = fsm_shard(&fsm, 1);

    cr_assert_eq(judge(make_move(&n, 2)), REPL_ACCEPTED);
    cr_assert(s->home == 2 && s->moving_to == 2 && s->owner_node == 1);
    cr_assert_eq(s->moving_until_ms, fsm.cluster_ms + FSM_MOVE_MS);
    cr_assert_eq(judge(make_move(&n, 9)), REPL_REFUSED_UNKNOWN, "no such node");
    cr_assert_eq(judge(make_move(&nowhere, 2)), REPL_REFUSED_UNKNOWN, "no such shard");
    cr_assert_eq(judge(make_handover(&m, 2, 22, 1)), REPL_ACCEPTED);
    cr_assert(s->home == 2 && s->moving_to == 0, "fulfilled: the home stays");
    cr_assert_eq(judge(make_move(&n, 2)), REPL_ACCEPTED);
    cr_assert_eq(s->moving_to, 0, "it is there");
    cr_assert_eq(judge(make_move(&n, 0)), REPL_ACCEPTED);
    cr_assert_eq(s->home, 0, "as configured again");
    cr_assert_eq(judge(make_drain(&n, 1, true)), REPL_ACCEPTED);
    cr_assert(fsm_member(&fsm, 1)->drained && !fsm_member(&fsm, 2)->drained);
    cr_assert_eq(judge(make_boot(1, 12, 11)), REPL_ACCEPTED);
    cr_assert(fsm_member(&fsm, 1)->drained, "a restart is no undrain");
    cr_assert_eq(judge(make_drain(&n, 1, false)), REPL_ACCEPTED);
    cr_assert_not(fsm_member(&fsm, 1)->drained);
    cr_assert_eq(judge(make_drain(&n, 9, true)), REPL_REFUSED_UNKNOWN);
    cr_assert_eq(judge(make_drain(&n, 0, true)), REPL_REFUSED_MALFORMED);
    n.boot = 21;
    cr_assert_eq(judge(make_move(&n, 1)), REPL_REFUSED_EPOCH, "by a start that is over");
}
