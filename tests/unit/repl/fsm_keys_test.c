/* Records that change the key of sessions: compare-and-set, one former key at a time. */
#include "replication/seal.h"
#include "replication/snapshot.h"
#include "unit/repl/fsm_rig.h"

#include <stdlib.h>

TestSuite(repl_fsm_keys, .init = begin, .fini = end);

Test(repl_fsm_keys, a_key_takes_the_place_of_the_one_that_it_names)
{
    cr_assert_eq(judge(make_session_key(7, 6, false, 0)), REPL_REFUSED_VERSION,
                 "there is none yet");
    cr_assert_eq(judge(make_session_key(7, 0, false, 0)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_session_key(8, 0, false, 0)), REPL_REFUSED_VERSION, "another leader's");
    cr_assert_eq(judge(make_session_key(9, 8, true, 0)), REPL_REFUSED_VERSION);
    cr_assert_eq(fsm.session_key, 7);
    cr_assert_eq(judge(make_session_key(8, 7, false, 0)), REPL_ACCEPTED);
    cr_assert(fsm.session_key == 8 && fsm.former_key == 7);
    cr_assert_eq(fsm.switch_index, log_index);
    cr_assert_eq(fsm.key_ms, fsm.cluster_ms);
    cr_assert(fsm_names_key(&fsm, 7) && fsm_names_key(&fsm, 8) && !fsm_names_key(&fsm, 0));
    cr_assert_eq(judge(make_session_key(9, 8, false, 0)), REPL_REFUSED_VERSION, "7 is not erased");
    cr_assert_eq(judge(make_erased(8)), REPL_REFUSED_VERSION, "it is in use");
    cr_assert_eq(judge(make_erased(7)), REPL_ACCEPTED);
    cr_assert(fsm.former_key == 0 && fsm.switch_index == 0 && !fsm_names_key(&fsm, 7));
    cr_assert_eq(judge(make_erased(7)), REPL_REFUSED_VERSION, "once");
    cr_assert_eq(judge(make_session_key(9, 8, false, 0)), REPL_ACCEPTED);
}

Test(repl_fsm_keys, a_key_answers_the_newest_wish)
{
    uint64_t wish;

    cr_assert_eq(judge(make_rotate(&m)), REPL_REFUSED_UNKNOWN, "there is none to replace");
    cr_assert_eq(judge(make_session_key(7, 0, false, 0)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_rotate(&m)), REPL_ACCEPTED);
    wish = log_index;
    cr_assert_eq(fsm.rotate_wish, wish);
    cr_assert_eq(judge(make_session_key(8, 7, false, 0)), REPL_REFUSED_VERSION,
                 "drawn before the wish: who was removed by then may have it");
    cr_assert_eq(judge(make_leave(&m, 2)), REPL_ACCEPTED);
    cr_assert_eq(fsm.rotate_wish, log_index, "a removal is one");
    cr_assert_eq(judge(make_session_key(8, 7, false, wish)), REPL_REFUSED_VERSION);
    cr_assert_eq(judge(make_session_key(8, 7, false, fsm.rotate_wish)), REPL_ACCEPTED);
    cr_assert_eq(fsm.rotate_wish, 0);
}

Test(repl_fsm_keys, with_a_lost_key_all_sessions_end)
{
    cr_assert_eq(judge(make_session_key(7, 0, false, 0)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_create(&m, 5, "state", 5000, 0x0a630001, "client")), REPL_ACCEPTED);
    cr_assert_eq(judge(make_session_key(8, 7, false, 0)), REPL_ACCEPTED);
    cr_assert_not_null(fsm_sa(&fsm, 5), "rotation ends none");
    cr_assert_eq(judge(make_session_key(9, 8, true, 0)), REPL_ACCEPTED, "whatever is not erased");
    cr_assert_null(fsm_sa(&fsm, 5));
    cr_assert(fsm.all_leases == NULL && fsm.claims.n_used == 0);
    cr_assert(fsm.session_key == 9 && fsm.former_key == 0 && fsm.switch_index == 0);
    cr_assert_eq(judge(make_create(&m, 6, "state", 5001, 0x0a630001, "client")), REPL_ACCEPTED);
}

/* A member of an older version knows nothing of it. */
Test(repl_fsm_keys, nothing_changes_while_a_member_does_not_know_how)
{
    Holdfast__Record *old = make_boot(3, 33, 0);
    struct digest before;

    fsm_found(&fsm, 3);
    old->member->speaks = 2;
    cr_assert_eq(judge(old), REPL_ACCEPTED);
    cr_assert_eq(judge(make_session_key(7, 0, false, 0)), REPL_ACCEPTED,
                 "the first is of version 1");
    cr_assert_eq(judge(make_session_key(8, 7, false, 0)), REPL_REFUSED_MALFORMED);
    cr_assert_eq(judge(make_rotate(&m)), REPL_REFUSED_MALFORMED);
    cr_assert_eq(judge(make_leave(&m, 2)), REPL_ACCEPTED);
    cr_assert_eq(fsm.former_key | fsm.switch_index | fsm.key_ms | fsm.rotate_wish, 0,
                 "no part of the state that it does not have");
    before = fsm_content_digest(&fsm);
    fsm.key_ms = 1;
    cr_assert_not(digest_equal(before, fsm_content_digest(&fsm)));
    fsm.key_ms = 0;
}

Test(repl_fsm_keys, a_snapshot_says_all_of_it)
{
    struct fsm back;
    uint8_t *bytes;
    size_t n = 0;

    cr_assert_eq(judge(make_session_key(7, 0, false, 0)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_session_key(8, 7, false, 0)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_rotate(&m)), REPL_ACCEPTED);
    bytes = snapshot_encode(&fsm, &seal_none, &n);
    cr_assert_not_null(bytes);
    cr_assert(snapshot_restore(span_of(bytes, n), &seal_none, 1, &back));
    cr_assert(back.former_key == 7 && back.switch_index == fsm.switch_index &&
              back.key_ms == fsm.key_ms && back.rotate_wish == log_index);
    free(bytes);
    fsm_deinit(&back);
}
