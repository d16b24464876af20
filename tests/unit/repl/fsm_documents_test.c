/* Documents: changed by compare-and-set, all of a record's or none; of the digest and of snapshots. */
#include <stdio.h>
#include <stdlib.h>

#include "replication/snapshot.h"
#include "unit/repl/fsm_rig.h"

TestSuite(repl_fsm_documents, .init = begin, .fini = end);

#define ANY HOLDFAST__DOCUMENT_CHANGE__EXPECT__ANY
#define ABSENT HOLDFAST__DOCUMENT_CHANGE__EXPECT__ABSENT
#define VERSION HOLDFAST__DOCUMENT_CHANGE__EXPECT__VERSION

static struct fsm_outcome outcome_of(Holdfast__Record *r)
{
    struct fsm_outcome out;

    log_index++;
    fsm_begin_entry(&fsm, log_index, log_index * 10);
    fsm_apply(&fsm, r, 3, NULL, &out);
    record_free(r);
    return out;
}

static struct fsm_outcome change(const char *name, Holdfast__DocumentChange__Expect expect,
                                 uint64_t version, const char *bytes)
{
    Holdfast__Record *r = make_documents(&m);

    make_change_of(r, "connection", name, expect, version, bytes);
    return outcome_of(r);
}

static bool holds(const char *name, const char *bytes)
{
    const struct repl_document *d = fsm_document(&fsm, "connection", name);

    if (bytes == NULL || d == NULL)
        return bytes == NULL && d == NULL;
    return d->len == strlen(bytes) && memcmp(d->bytes, bytes, d->len) == 0;
}

Test(repl_fsm_documents, a_version_is_the_place_of_the_last_change)
{
    struct fsm_outcome out = change("a", ABSENT, 0, "one");
    uint64_t first = log_index * RECORD_MAX_PER_ENTRY + 3;

    cr_assert_eq(out.verdict, REPL_ACCEPTED);
    cr_assert_eq(out.document_version, first);
    cr_assert_eq(fsm_document(&fsm, "connection", "a")->version, first);
    cr_assert_null(fsm_document(&fsm, "connections", "a"));
    cr_assert_eq(change("a", ABSENT, 0, "two").verdict, REPL_REFUSED_VERSION);
    cr_assert_eq(change("a", VERSION, first + 1, "two").verdict, REPL_REFUSED_VERSION);
    cr_assert(holds("a", "one"));
    cr_assert_eq(change("a", VERSION, first, "two").verdict, REPL_ACCEPTED);
    cr_assert_eq(change("a", VERSION, first, "three").verdict, REPL_REFUSED_VERSION, "twice");
    cr_assert_eq(change("a", ANY, 0, "two").verdict, REPL_ACCEPTED);
    cr_assert_eq(fsm_document(&fsm, "connection", "a")->version,
                 log_index * RECORD_MAX_PER_ENTRY + 3, "the same bytes are a change, too");
    cr_assert_eq(change("a", ANY, 0, NULL).verdict, REPL_ACCEPTED);
    cr_assert_eq(change("a", ANY, 0, NULL).verdict, REPL_REFUSED_UNKNOWN);
    cr_assert_eq(change("b", VERSION, first, "x").verdict, REPL_REFUSED_VERSION, "not there");
    cr_assert_eq(fsm.documents.n, 0);
    cr_assert_eq(fsm.documents.bytes, 0);
}

Test(repl_fsm_documents, all_of_a_record_or_none)
{
    uint64_t version = change("b", ANY, 0, "b").document_version;
    struct digest before = fsm_content_digest(&fsm);
    Holdfast__Record *r = make_documents(&m);
    struct fsm_outcome out;

    make_change_of(r, "connection", "a", ABSENT, 0, "new");
    make_change_of(r, "connection", "b", VERSION, version + 1, NULL);
    make_change_of(r, "connection", "c", VERSION, 7, "new");
    out = outcome_of(r);
    cr_assert_eq(out.verdict, REPL_REFUSED_VERSION);
    cr_assert_eq(out.item, 1, "the first that does not fit");
    cr_assert_eq(out.document_version, version, "and what is there");
    cr_assert(digest_equal(before, fsm_content_digest(&fsm)), "something was left behind");

    r = make_documents(&m);
    cr_assert_eq(record_seal_kind(r), SEAL_CONFIGURATION);
    make_change_of(r, "connection", "c", ABSENT, 0, "c");
    make_change_of(r, "connection", "b", VERSION, version, NULL);
    make_change_of(r, "connection", "a", ABSENT, 0, "a");
    make_change_of(r, "user", "a", ANY, 0, "");
    out = outcome_of(r);
    cr_assert_eq(out.verdict, REPL_ACCEPTED);
    cr_assert(holds("a", "a") && holds("b", NULL) && holds("c", "c"));
    cr_assert_eq(fsm_document(&fsm, "connection", "c")->version,
                 fsm_document(&fsm, "user", "a")->version);
    cr_assert_eq(fsm_document(&fsm, "user", "a")->len, 0);
}

Test(repl_fsm_documents, the_digest_comes_back_with_the_contents)
{
    struct digest empty = fsm_content_digest(&fsm), with_a;

    (void)change("a", ANY, 0, "a");
    with_a = fsm_content_digest(&fsm);
    cr_assert_not(digest_equal(empty, with_a));
    (void)change("b", ANY, 0, "b");
    cr_assert_not(digest_equal(with_a, fsm_content_digest(&fsm)));
    (void)change("b", ANY, 0, NULL);
    cr_assert(digest_equal(with_a, fsm_content_digest(&fsm)));
    (void)change("a", ANY, 0, "a");
    cr_assert_not(digest_equal(with_a, fsm_content_digest(&fsm)), "another version");
    (void)change("a", ANY, 0, NULL);
    cr_assert(digest_equal(empty, fsm_content_digest(&fsm)));
}

/* Every viewer reads it, with the key of the hash: a short secret could be guessed offline. */
Test(repl_fsm_documents, the_content_digest_tells_nothing_of_what_is_in_them)
{
    static const char *const texts[] = {"psk: swordfish", "psk: sesame", ""};
    struct digest content[3], all[3];

    for (size_t i = 0; i < 3; i++) {
        if (i > 0) {
            end();
            begin();
        }
        cr_assert_eq(change("a", ANY, 0, texts[i]).verdict, REPL_ACCEPTED);
        content[i] = fsm_content_digest(&fsm);
        all[i] = fsm_digest(&fsm);
    }
    cr_assert(digest_equal(content[0], content[1]) && digest_equal(content[0], content[2]));
    cr_assert_not(digest_equal(all[0], all[1]), "peers compare everything");
    cr_assert_not(digest_equal(all[0], all[2]), "peers compare everything");
}

Test(repl_fsm_documents, misshaped_ones_are_refused)
{
    static const struct {
        const char *kind, *name;
        Holdfast__DocumentChange__Expect expect;
        uint64_t version;
    } bad[] = {
        {"", "a", ANY, 0},
        {"Connection", "a", ANY, 0},
        {"a/b", "a", ANY, 0},
        {"connection", "", ANY, 0},
        {"connection", "a\nb", ANY, 0},
        {"connection", "\xff", ANY, 0},
        {"connection", "\xc0\xaf", ANY, 0},
        {"connection", "\xed\xa0\x80", ANY, 0},
        {"connection", "a", VERSION, 0},
        {"connection", "a", ANY, 1},
        {"connection", "a", 3, 0},
    };
    Holdfast__Record *r;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        r = make_documents(&m);
        make_change_of(r, bad[i].kind, bad[i].name, bad[i].expect, bad[i].version, "x");
        cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "row %zu", i);
    }
    cr_assert_eq(judge(make_documents(&m)), REPL_REFUSED_MALFORMED, "no change");
    r = make_documents(&m);
    make_change_of(r, "connection", "a", ANY, 0, "x");
    make_change_of(r, "connection", "a", ANY, 0, "y");
    cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "one of them twice");
    r = make_documents(&m);
    make_change_of(r, "connection", "a", ANY, 0, "x");
    holdfast__admin__free_unpacked(r->admin, NULL);
    r->admin = NULL;
    cr_assert_eq(judge(r), REPL_REFUSED_MALFORMED, "nobody wished for it");
    r = make_documents(&m);
    make_change_of(r, "connection", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x94\x91 /a", ANY, 0, "x");
    cr_assert_eq(judge(r), REPL_ACCEPTED, "any UTF-8");
    cr_assert_eq(fsm.documents.n, 1);
}

Test(repl_fsm_documents, there_is_an_end_to_their_room)
{
    static char large[DOCUMENT_MAX_BYTES + 2];
    char name[16];
    size_t n = 0;
    struct fsm_outcome out;

    memset(large, 'x', sizeof large - 1);
    cr_assert_eq(change("a", ANY, 0, large).verdict, REPL_REFUSED_MALFORMED);
    large[DOCUMENT_MAX_BYTES] = '\0';
    do {
        (void)snprintf(name, sizeof name, "n%zu", n++);
        out = change(name, ANY, 0, large);
    } while (out.verdict == REPL_ACCEPTED);
    cr_assert_eq(out.verdict, REPL_REFUSED_FULL);
    cr_assert_leq(fsm.documents.bytes, DOCUMENTS_MAX_BYTES);
    cr_assert_gt(fsm.documents.bytes + DOCUMENT_MAX_BYTES + 32, DOCUMENTS_MAX_BYTES);
    cr_assert_eq(change("n0", ANY, 0, "small").verdict, REPL_ACCEPTED, "one may shrink");
    cr_assert_eq(change(name, ANY, 0, large).verdict, REPL_ACCEPTED, "there is room again");
}

Test(repl_fsm_documents, there_is_an_end_to_their_number)
{
    struct fsm_outcome out = {.verdict = REPL_ACCEPTED};
    char name[16];

    for (size_t n = 0; n < DOCUMENTS_MAX; n += DOCUMENT_MAX_CHANGES) {
        Holdfast__Record *r = make_documents(&m);

        for (size_t i = 0; i < DOCUMENT_MAX_CHANGES; i++) {
            (void)snprintf(name, sizeof name, "n%zu", (n + i) * 7919 % DOCUMENTS_MAX);
            make_change_of(r, "user", name, ABSENT, 0, "");
        }
        out = outcome_of(r);
        cr_assert_eq(out.verdict, REPL_ACCEPTED);
    }
    cr_assert_eq(fsm.documents.n, DOCUMENTS_MAX);
    for (size_t i = 1; i < fsm.documents.n; i++)
        cr_assert_lt(strcmp(fsm.documents.list[i - 1]->name, fsm.documents.list[i]->name), 0);
    cr_assert_eq(change("a", ANY, 0, "x").verdict, REPL_REFUSED_FULL);
    cr_assert_eq(fsm.documents.n, DOCUMENTS_MAX);
}

/* --- snapshots --- */

static void restores_to_the_same(void)
{
    size_t n = 0;
    uint8_t *bytes = snapshot_encode(&fsm, &seal_none, &n);
    struct fsm copy;

    cr_assert_not_null(bytes);
    cr_assert(snapshot_restore(span_of(bytes, n), &seal_none, 1, &copy));
    cr_assert(digest_equal(fsm_digest(&fsm), fsm_digest(&copy)));
    cr_assert_eq(copy.documents.n, fsm.documents.n);
    cr_assert_eq(copy.documents.bytes, fsm.documents.bytes);
    cr_assert_eq(copy.audit.n, fsm.audit.n);
    for (size_t i = 0; i < fsm.audit.n; i++)
        cr_assert_arr_eq(fsm_audit_kept(&copy, i)->hash, fsm_audit_kept(&fsm, i)->hash,
                         SHA256_BYTES);
    fsm_deinit(&copy);
    free(bytes);
}

Test(repl_fsm_documents, snapshots_have_them_and_the_audit)
{
    char name[16];

    restores_to_the_same();
    for (size_t i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof name, "n%zu", i * 17 % 40);
        (void)change(name, i % 3 == 0 ? ABSENT : ANY, 0, i % 7 == 0 ? NULL : "bytes");
    }
    restores_to_the_same();
    for (size_t i = 0; i < AUDIT_KEEP + 5; i++)
        cr_assert_eq(judge(make_drain(&m, 2, i % 2 == 0)), REPL_ACCEPTED);
    cr_assert_eq(fsm.audit.n, AUDIT_KEEP);
    restores_to_the_same();
}

/* What is being kept is as it was at its instant, whatever changes meanwhile. */
Test(repl_fsm_documents, a_snapshot_being_taken_has_them_as_they_were)
{
    struct snapshot_piece piece = {0};
    struct snapshot_encoder e;
    struct digest then;
    struct image *image;
    struct fsm copy;
    bool all = false;

    for (size_t i = 0; i < 20; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "n%zu", i);
        (void)change(name, ANY, 0, "before");
    }
    then = fsm_digest(&fsm);
    image = image_begin(&fsm);
    cr_assert(snapshot_encode_head(&e, &fsm, &seal_none, &piece));
    for (size_t turn = 0; !all; turn++) {
        struct image_batch *batch;

        (void)change(turn % 2 == 0 ? "n3" : "n19", ANY, 0, turn % 3 == 0 ? NULL : "after");
        all = image_walk(image, 3, 1 << 20);
        batch = image_take(image);
        cr_assert(batch == NULL || snapshot_encode_batch(&e, batch, &piece));
        image_batch_free(batch);
        cr_assert_lt(turn, 100);
    }
    image_end(image);
    cr_assert(snapshot_encode_end(&e, &piece));
    snapshot_encoder_deinit(&e);
    cr_assert(snapshot_restore(span_of(piece.bytes, piece.len), &seal_none, 1, &copy));
    cr_assert(digest_equal(then, fsm_digest(&copy)));
    cr_assert_eq(copy.documents.n, 20);
    fsm_deinit(&copy);
    free(piece.bytes);
}

Test(repl_fsm_documents, an_image_given_up_leaves_nothing_behind)
{
    struct image *image;

    (void)change("a", ANY, 0, "x");
    (void)change("b", ANY, 0, "x");
    image = image_begin(&fsm);
    cr_assert_not(image_walk(image, 1, 1 << 20));
    image_end(image);
    cr_assert_eq(fsm_document(&fsm, "connection", "a")->references, 1);
    cr_assert_eq(fsm_document(&fsm, "connection", "b")->references, 1);
    cr_assert_eq(fsm_audit_kept(&fsm, 0)->references, 1);
}

/* A byte of a snapshot that is another is found, wherever it stands. */
Test(repl_fsm_documents, a_spoilt_snapshot_is_refused)
{
    uint8_t *bytes;
    size_t n = 0;
    struct fsm copy;

    (void)change("a", ANY, 0, "one");
    (void)change("b", ANY, 0, "two");
    bytes = snapshot_encode(&fsm, &seal_none, &n);
    cr_assert_not_null(bytes);
    for (size_t i = 0; i < n; i++) {
        bytes[i] ^= 1;
        if (snapshot_restore(span_of(bytes, n), &seal_none, 1, &copy)) {
            cr_assert_fail("byte %zu of %zu", i, n);
            fsm_deinit(&copy);
        }
        bytes[i] ^= 1;
    }
    free(bytes);
}

/* --- older members, other incarnations --- */

Test(repl_fsm_documents, none_while_a_member_does_not_know_them)
{
    Holdfast__Record *old = make_boot(3, 33, 0);
    struct digest before;
    struct fsm_outcome out;

    fsm_found(&fsm, 3);
    old->member->speaks = RECORD_SPEAKS_DOCUMENTS - 1;
    cr_assert_eq(judge(old), REPL_ACCEPTED);
    before = fsm_content_digest(&fsm);
    out = change("a", ANY, 0, "x");
    cr_assert_eq(out.verdict, REPL_REFUSED_MALFORMED);
    cr_assert_eq(out.audit, 0);
    cr_assert(digest_equal(before, fsm_content_digest(&fsm)));
    cr_assert_eq(judge(make_drain(&m, 2, true)), REPL_ACCEPTED, "as ever");
    cr_assert_eq(fsm.audit.head.count, 0, "an older state has no audit");
    cr_assert_eq(judge(make_boot(3, 34, 33)), REPL_ACCEPTED);
    cr_assert_eq(change("a", ANY, 0, "x").verdict, REPL_ACCEPTED);
    cr_assert_eq(fsm.audit.head.count, 1);
}

Test(repl_fsm_documents, a_cluster_that_begins_anew_keeps_them)
{
    struct repl_beginning b = {.how = REPL_RECOVERED,
                               .former = 1,
                               .incarnation = 9,
                               .node = 1,
                               .given_up = {2},
                               .n_given_up = 1,
                               .word = {.who = "root\xff", .why = "two burnt"}};
    const struct audit_entry *e;
    uint64_t version = change("a", ANY, 0, "x").document_version;
    struct fsm copy;
    size_t n = 0;
    uint8_t *bytes;

    fsm_refound(&fsm, &b);
    cr_assert(holds("a", "x"));
    cr_assert_eq(fsm_document(&fsm, "connection", "a")->version, version);
    e = fsm_audit_kept(&fsm, fsm.audit.n - 1);
    cr_assert_str_eq(e->texts[AUDIT_OPERATION], "cluster.recover");
    cr_assert_str_eq(e->texts[AUDIT_PRINCIPAL], "root?");
    cr_assert_str_eq(e->texts[AUDIT_AFTER], "incarnation 9, without nodes 2: two burnt");
    bytes = snapshot_encode(&fsm, &seal_none, &n);
    cr_assert(snapshot_restore(span_of(bytes, n), &seal_none, 9, &copy),
              "the digests are those of the new incarnation");
    fsm_deinit(&copy);
    free(bytes);
    fsm_forget(&fsm);
    cr_assert(holds("a", "x"), "they are no session's");
}

/* Snapshots that a program wrote which knew version 4 of records at most (2026-11-27). */
Test(repl_fsm_documents, older_snapshots_still_load)
{
    static const char *const names[] = {"with-sessions", "begun-anew"};
    static uint8_t bytes[1 << 16];

    for (size_t i = 0; i < 2; i++) {
        char path[512];
        struct fsm old;
        size_t n;
        FILE *f;

        (void)snprintf(path, sizeof path, "%s/tests/unit/repl/older/%s", HOLDFAST_SOURCE_DIR,
                       names[i]);
        f = fopen(path, "rb");
        cr_assert_not_null(f, "%s", path);
        n = fread(bytes, 1, sizeof bytes, f);
        (void)fclose(f);
        cr_assert(snapshot_restore(span_of(bytes, n), &seal_none, 1, &old), "%s", names[i]);
        cr_assert_eq(old.documents.n, 0);
        cr_assert_eq(old.audit.head.count, 0);
        fsm_deinit(&old);
    }
}
