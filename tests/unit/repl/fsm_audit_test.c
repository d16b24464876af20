/* The audit as a part of the state: each record of an operator has its entry in the same apply (I17). */
#include <stdio.h>
#include <stdlib.h>

#include "replication/fsm_parts.h"
#include "replication/repl_admin.h"
#include "unit/repl/fsm_rig.h"

TestSuite(repl_fsm_audit, .init = begin, .fini = end);

static const struct audit_entry *newest(void)
{
    cr_assert_gt(fsm.audit.n, 0);
    return fsm_audit_kept(&fsm, fsm.audit.n - 1);
}

static void said(const char *operation, const char *target, const char *before, const char *after,
                 const char *outcome)
{
    const struct audit_entry *e = newest();

    cr_assert_str_eq(e->texts[AUDIT_OPERATION], operation);
    cr_assert_str_eq(e->texts[AUDIT_TARGET], target);
    cr_assert_str_eq(e->texts[AUDIT_BEFORE], before);
    cr_assert_str_eq(e->texts[AUDIT_AFTER], after);
    cr_assert_str_eq(e->texts[AUDIT_OUTCOME], outcome);
    cr_assert_eq(e->index, log_index);
    cr_assert_eq(e->cluster_ms, fsm.cluster_ms);
    cr_assert_eq(e->node, 1);
}

/* Also where nobody said who it was: no door leads past it. */
Test(repl_fsm_audit, every_record_of_an_operator_has_its_entry)
{
    cr_assert_eq(fsm.audit.head.count, 0, "starts and assignments are nobody's");
    cr_assert_eq(judge(make_move(&m, 2)), REPL_ACCEPTED);
    said("shard.move", "shards/1", "home 0", "home 2", "accepted");
    cr_assert_eq(judge(make_drain(&m, 2, true)), REPL_ACCEPTED);
    said("node.drain", "nodes/2", "drained 0", "drained 1", "accepted");
    cr_assert_eq(judge(make_drain(&m, 2, false)), REPL_ACCEPTED);
    said("node.undrain", "nodes/2", "drained 1", "drained 0", "accepted");
    cr_assert_eq(judge(make_token(&m, 4, 7, 1000)), REPL_ACCEPTED);
    said("node.token", "nodes/4", "", "address 10.0.0.9:7400, valid for ms 1000", "accepted");
    cr_assert_eq(judge(make_join(&m, 4, 7)), REPL_ACCEPTED);
    said("node.join", "nodes/4", "members 2", "members 3", "accepted");
    cr_assert_eq(judge(make_boot(4, 44, 0)), REPL_ACCEPTED);
    cr_assert_eq(judge(make_session_key(5, 0, false, 0)), REPL_ACCEPTED);
    cr_assert_eq(fsm.audit.head.count, 5, "the cluster's own records have none");
    cr_assert_eq(judge(make_rotate(&m)), REPL_ACCEPTED);
    cr_assert_str_eq(newest()->texts[AUDIT_OPERATION], "keys.rotate");
    cr_assert_eq(judge(make_leave(&m, 2)), REPL_ACCEPTED);
    said("node.leave", "nodes/2", "members 3", "members 2", "accepted");
    cr_assert_eq(fsm.audit.head.count, 7);
}

Test(repl_fsm_audit, what_is_refused_has_one_too)
{
    struct digest before = fsm_content_digest(&fsm);

    cr_assert_eq(judge(make_move(&m, 9)), REPL_REFUSED_UNKNOWN);
    said("shard.move", "shards/1", "home 0", "home 9", "refused-unknown");
    cr_assert_eq(judge(make_leave(&m, 1)), REPL_REFUSED_EXISTS);
    said("node.leave", "nodes/1", "members 2", "members 1", "refused-exists");
    cr_assert(digest_equal(before, fsm_content_digest(&fsm)));
    m.request = 1;
    cr_assert_eq(judge(make_move(&m, 9)), REPL_REFUSED_DUPLICATE);
    cr_assert_eq(fsm.audit.head.count, 2, "it was judged before");
}

/* Nobody pushes all else out of what is kept by asking for what is refused. */
Test(repl_fsm_audit, refused_ones_are_bounded_and_counted)
{
    for (unsigned i = 0; i < AUDIT_REFUSED_A_MINUTE + 40; i++)
        cr_assert_eq(judge(make_move(&m, 9)), REPL_REFUSED_UNKNOWN);
    cr_assert_eq(fsm.audit.head.count, AUDIT_REFUSED_A_MINUTE);
    cr_assert_eq(fsm.audit.unaudited, 40);
    cr_assert_eq(judge(make_move(&m, 2)), REPL_ACCEPTED);
    cr_assert_eq(newest()->unaudited, 40, "accepted ones always have theirs, which tells");
    cr_assert_eq(judge(make_move(&m, 9)), REPL_REFUSED_UNKNOWN);
    cr_assert_eq(fsm.audit.unaudited, 1);
    for (uint64_t left = AUDIT_MINUTE_MS; left > 0; left -= 5000)
        fsm_begin_entry(&fsm, ++log_index, fsm.cluster_ms + 5000);
    log_index = fsm.cluster_ms / 10 + 1;
    cr_assert_eq(judge(make_move(&m, 9)), REPL_REFUSED_UNKNOWN);
    cr_assert_eq(newest()->unaudited, 1);
    cr_assert_eq(fsm.audit.refused, 1);
}

Test(repl_fsm_audit, the_operator_says_who_and_what)
{
    Holdfast__Record *r = make_move(&m, 2);

    make_admin(r, "CN=alice", "shard.home", "");
    r->admin->wall_ms = 1700000000000;
    cr_assert_eq(judge(r), REPL_ACCEPTED);
    said("shard.home", "shards/1", "home 0", "home 2", "accepted");
    cr_assert_str_eq(newest()->texts[AUDIT_PRINCIPAL], "CN=alice");
    cr_assert_str_eq(newest()->texts[AUDIT_ROLE], "admin");
    cr_assert_eq(newest()->wall_ms, 1700000000000);

    r = make_audit(&m, "");
    make_admin(r, "CN=bob", "snapshots.get", "forbidden");
    cr_assert_eq(judge(r), REPL_ACCEPTED);
    cr_assert_str_eq(newest()->texts[AUDIT_OUTCOME], "forbidden");
    cr_assert_eq(judge(make_audit(&m, "x")), REPL_ACCEPTED);
    cr_assert_eq(fsm.audit.head.count, 2, "as before there was an audit: nothing");
}

static const struct repl_admin bob = {.role = "operator",
                                      .principal = "token:ci/0123456789ab",
                                      .address = "192.0.2.7",
                                      .request_id = "r-9",
                                      .wall_ms = 1700000000000};

/* The record, with who asked in it as a node writes it down. */
static Holdfast__Record *asked_by(Holdfast__Record *r)
{
    Holdfast__Admin a = record_admin(&bob, "");
    Holdfast__Record *out;
    uint8_t *bytes;
    size_t n;

    r->admin = &a;
    bytes = record_pack(r, &n);
    r->admin = NULL;
    record_free(r);
    cr_assert_not_null(bytes);
    out = record_unpack(span_of(bytes, n));
    free(bytes);
    cr_assert_not_null(out);
    return out;
}

Test(repl_fsm_audit, who_asked_is_in_the_entry_of_every_kind)
{
    static const char *const operations[] = {"shard.move", "node.drain", "node.token",
                                             "node.join",  "node.leave", "keys.rotate"};

    cr_assert_eq(judge(make_session_key(5, 0, false, 0)), REPL_ACCEPTED);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        Holdfast__Record *r = i == 0   ? make_move(&m, 2)
                              : i == 1 ? make_drain(&m, 2, true)
                              : i == 2 ? make_token(&m, 4, 7, 1000)
                              : i == 3 ? make_join(&m, 4, 7)
                              : i == 4 ? make_leave(&m, 2)
                                       : make_rotate(&m);

        cr_assert_eq(judge(asked_by(r)), REPL_ACCEPTED, "%s", operations[i]);
        cr_assert_str_eq(newest()->texts[AUDIT_OPERATION], operations[i]);
        cr_assert_str_eq(newest()->texts[AUDIT_ROLE], bob.role);
        cr_assert_str_eq(newest()->texts[AUDIT_PRINCIPAL], bob.principal);
        cr_assert_str_eq(newest()->texts[AUDIT_ADDRESS], bob.address);
        cr_assert_str_eq(newest()->texts[AUDIT_REQUEST_ID], bob.request_id);
        cr_assert_eq(newest()->wall_ms, bob.wall_ms);
    }
    cr_assert_eq(judge(asked_by(make_leave(&m, 2))), REPL_REFUSED_UNKNOWN);
    cr_assert_str_eq(newest()->texts[AUDIT_PRINCIPAL], bob.principal, "refused, and by whom");
    printf("compared %zu kinds\n", sizeof operations / sizeof *operations);
}

Test(repl_fsm_audit, what_cannot_be_shown_is_refused)
{
    static const struct {
        const char *principal, *operation, *outcome;
        bool audit;
    } bad[] = {
        {"a\x01", "x", "", false}, {"\xc3", "x", "", false}, {"a\x7f", "x", "", false},
        {"a", "x", "done", false}, {"a", "", "done", true},  {"a", "x", "", true},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Holdfast__Record *r = bad[i].audit ? make_audit(&m, "") : make_move(&m, 2);

        make_admin(r, bad[i].principal, bad[i].operation, bad[i].outcome);
        cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "row %zu", i);
    }

    Holdfast__Record *r = make_delete(&m, 7, 1);

    make_admin(r, "a", "x", "");
    cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "no operator's record");
    cr_assert_eq(fsm.audit.head.count, 0);
}

/* The head is the state's: whoever lacks an entry has another digest. */
Test(repl_fsm_audit, the_head_is_in_the_digest)
{
    struct digest content = fsm_content_digest(&fsm), all = fsm_digest(&fsm);
    struct audit_head head = fsm.audit.head;
    struct audit_draft d = {.index = 1, .texts = {[AUDIT_OPERATION] = "x"}};

    fsm_audit_add(&fsm, &d);
    cr_assert_not(digest_equal(all, fsm_digest(&fsm)));
    cr_assert(digest_equal(content, fsm_content_digest(&fsm)), "history, not content");
    all = fsm_digest(&fsm);
    fsm.audit.head.hash[31] ^= 1;
    cr_assert_not(digest_equal(all, fsm_digest(&fsm)));
    cr_assert_eq(head.count, 0);
}

Test(repl_fsm_audit, the_oldest_go_by_number_and_by_bytes)
{
    static char value[AUDIT_MAX_VALUE + 1];
    struct audit_draft d = {.index = 1, .texts = {[AUDIT_OPERATION] = "x"}};
    size_t n;

    for (n = 0; n < AUDIT_KEEP + 3; n++)
        fsm_audit_add(&fsm, &d);
    cr_assert_eq(fsm.audit.n, AUDIT_KEEP);
    cr_assert_eq(fsm_audit_kept(&fsm, 0)->sequence, 4);
    memset(value, 'v', sizeof value - 1);
    d.texts[AUDIT_BEFORE] = d.texts[AUDIT_AFTER] = value;
    for (; n < 2 * AUDIT_KEEP + 3; n++)
        fsm_audit_add(&fsm, &d);
    cr_assert_leq(fsm.audit.bytes, AUDIT_KEEP_BYTES);
    cr_assert_lt(fsm.audit.n, AUDIT_KEEP);
    cr_assert_eq(newest()->sequence, n);
    for (size_t i = 1; i < fsm.audit.n; i++)
        cr_assert_arr_eq(fsm_audit_kept(&fsm, i)->previous, fsm_audit_kept(&fsm, i - 1)->hash,
                         SHA256_BYTES);
}
