/* Operators' changes through the door of other threads: done(), the view, the audit's file, a restart. A node alone, real files. */
#include <criterion/criterion.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "replication/mirror.h"
#include "replication/record.h"
#include "replication/repl_admin.h"
#include "unit/repl/alone.h"

enum { WAIT_MS = 60000, READERS = 3 };

static char root[] = "/tmp/hf-admin-XXXXXX";
static char directory[64];
static struct repl *repl;
static const struct repl_admin alice = {.role = "admin", .principal = "CN=alice"};

/* What done() said; asked for by a test that takes the events meanwhile. */
struct answer {
    pthread_mutex_t lock;
    bool there;
    struct repl_admin_result result;
};

static void on_done(void *self, const struct repl_admin_result *result)
{
    struct answer *a = self;

    (void)pthread_mutex_lock(&a->lock);
    a->there = true;
    a->result = *result;
    (void)pthread_mutex_unlock(&a->lock);
}

static void take_events(void)
{
    struct pollfd p = {.fd = repl_event_fd(repl), .events = POLLIN};
    struct repl_event *e;

    (void)poll(&p, 1, 5);
    while ((e = repl_next_event(repl)) != NULL) {
        cr_assert(e->kind != REPL_EV_APPLIED || !e->mine, "who waits is told, nobody else");
        repl_event_free(e);
    }
}

static struct repl_admin_result wait_for(struct answer *a)
{
    uint64_t end = repl_boottime_ns() + WAIT_MS * 1000000ull;

    while (repl_boottime_ns() < end) {
        bool there;

        (void)pthread_mutex_lock(&a->lock);
        there = a->there;
        (void)pthread_mutex_unlock(&a->lock);
        if (there)
            return a->result;
        take_events();
    }
    cr_assert_fail("no answer within %d ms", (int)WAIT_MS);
    return a->result;
}

static void start(void)
{
    struct repl_options o = alone_options(directory);
    uint64_t end = repl_boottime_ns() + WAIT_MS * 1000000ull;
    struct repl_status st;
    struct repl_error error;

    if (access(directory, F_OK) != 0)
        cr_assert(repl_init(&o, &error), "%s", error.text);
    repl = repl_start(&o, &error);
    cr_assert_not_null(repl, "%s", error.text);
    do {
        take_events();
        repl_status(repl, &st);
        cr_assert_lt(repl_boottime_ns(), end);
    } while (st.speaks < RECORD_SPEAKS_DOCUMENTS || st.leader == 0);
}

static void begin(void)
{
    cr_assert_not_null(mkdtemp(root));
    (void)snprintf(directory, sizeof directory, "%s/1", root);
    start();
}

static void end(void)
{
    char command[128];

    repl_stop(repl);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

TestSuite(repl_admin, .init = begin, .fini = end);

static struct repl_admin_result change(const struct repl_document_change *c, size_t n)
{
    struct answer a = {.lock = PTHREAD_MUTEX_INITIALIZER};
    uint64_t request = 0;

    cr_assert_eq(repl_change_documents(repl, &alice, c, n, on_done, &a, &request), REPL_OK);

    struct repl_admin_result result = wait_for(&a);

    cr_assert_eq(result.settled, REPL_SETTLED);
    cr_assert_eq(result.request, request);
    return result;
}

static struct repl_document_change put(const char *name, enum repl_expect expect, uint64_t version,
                                       const char *bytes)
{
    return (struct repl_document_change){.kind = "pool",
                                         .name = name,
                                         .expect = expect,
                                         .version = version,
                                         .bytes = span_of((const uint8_t *)bytes, strlen(bytes))};
}

Test(repl_admin, a_change_is_in_the_view_when_it_is_done)
{
    struct repl_document_change two[] = {put("b", REPL_EXPECT_ABSENT, 0, "10.0.0.0/24"),
                                         put("a", REPL_EXPECT_ABSENT, 0, "10.0.1.0/24")};
    struct repl_admin_result r = change(two, 2);
    struct repl_view *v = repl_view_take(repl), *older = v;
    const struct repl_document *d = repl_view_document(v, "pool", "a");

    cr_assert_eq(r.verdict, REPL_ACCEPTED);
    cr_assert_not_null(d);
    cr_assert_eq(d->version, r.version);
    cr_assert_eq(d->len, 11);
    cr_assert_geq(v->index, r.index);
    cr_assert_eq(v->n_documents, 2);
    cr_assert_eq(repl_view_behind(v, "pool", ""), 0);
    cr_assert_eq(repl_view_behind(v, "pool", "a"), 1);
    cr_assert_eq(repl_view_behind(v, "pool", "b"), 2);
    cr_assert_str_eq(repl_view_audit(v, r.audit)->texts[AUDIT_PRINCIPAL], "CN=alice");
    cr_assert_null(repl_view_audit(v, r.audit + 1));

    two[0] = put("c", REPL_EXPECT_ABSENT, 0, "x");
    two[1] = put("a", REPL_EXPECT_VERSION, r.version + 1, "x");
    r = change(two, 2);
    cr_assert_eq(r.verdict, REPL_REFUSED_VERSION);
    cr_assert_eq(r.item, 1);
    cr_assert_eq(r.item_version, d->version);
    two[0] = put("a", REPL_EXPECT_VERSION, d->version, "10.0.2.0/24");
    cr_assert_eq(change(two, 1).verdict, REPL_ACCEPTED);
    v = repl_view_take(repl);
    cr_assert_neq(repl_view_document(v, "pool", "a")->version, d->version);
    cr_assert_arr_eq(d->bytes, "10.0.1.0/24", 11, "the older view is as it was");
    repl_view_release(v);
    repl_view_release(older);
}

Test(repl_admin, what_is_misshaped_is_not_taken)
{
    struct repl_document_change c = put("a", REPL_EXPECT_ANY, 0, "x");
    struct repl_admin bad = {.principal = "a\nb\x01"};

    cr_assert_eq(repl_change_documents(repl, &bad, &c, 1, NULL, NULL, NULL), REPL_INVALID);
    cr_assert_eq(repl_change_documents(repl, &alice, &c, 0, NULL, NULL, NULL), REPL_INVALID);
    c.kind = "Pool";
    cr_assert_eq(repl_change_documents(repl, &alice, &c, 1, NULL, NULL, NULL), REPL_INVALID);
    cr_assert_eq(repl_note_audit(repl, &alice, "forbidden", NULL, NULL, NULL), REPL_INVALID,
                 "of what?");
}

Test(repl_admin, other_records_and_notes_have_their_entries)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Drain drain = HOLDFAST__DRAIN__INIT;
    struct answer a = {.lock = PTHREAD_MUTEX_INITIALIZER}, b = a;
    struct repl_admin bob = {.principal = "bob", .operation = "x.y", .request_id = "r-1"};
    struct repl_view *v;

    drain.node = 1;
    drain.drained = true;
    record.body_case = HOLDFAST__RECORD__BODY_DRAIN;
    record.drain = &drain;
    cr_assert_eq(repl_submit_admin(repl, &alice, &record, on_done, &a, NULL), REPL_OK);
    cr_assert_eq(wait_for(&a).verdict, REPL_ACCEPTED);
    cr_assert_eq(repl_note_audit(repl, &bob, "forbidden", on_done, &b, NULL), REPL_OK);
    cr_assert_eq(wait_for(&b).audit, a.result.audit + 1);
    v = repl_view_take(repl);
    cr_assert_str_eq(repl_view_audit(v, a.result.audit)->texts[AUDIT_OPERATION], "node.drain");
    cr_assert_eq(repl_view_audit_of(v, "r-1")->sequence, b.result.audit);
    cr_assert_null(repl_view_audit_of(v, ""));
    repl_view_release(v);
}

/* The file has all of it, as long as the node runs or when it starts anew. */
Test(repl_admin, a_restart_keeps_documents_audit_and_file)
{
    struct repl_document_change c = put("a", REPL_EXPECT_ANY, 0, "x");
    uint64_t end = repl_boottime_ns() + WAIT_MS * 1000000ull, findings = 1;
    struct audit_verifier verifier;
    char path[128];
    struct repl_view *v;
    uint64_t version = 0;

    for (size_t i = 0; i < 50; i++)
        version = change(&c, 1).version;
    repl_stop(repl);
    start();
    c = put("b", REPL_EXPECT_ANY, 0, "x");
    (void)change(&c, 1);
    v = repl_view_take(repl);
    cr_assert_eq(repl_view_document(v, "pool", "a")->version, version);
    cr_assert_eq(v->head.count, 51);
    (void)snprintf(path, sizeof path, "%s/audit.jsonl", directory);
    while (findings != 0) {
        cr_assert_lt(repl_boottime_ns(), end);
        take_events();
        cr_assert(mirror_verify(path, &v->head, NULL, NULL, &verifier, &findings));
    }
    cr_assert_eq(verifier.lines, 51);
    repl_view_release(v);
}

Test(repl_admin, who_waits_at_the_end_is_told)
{
    struct repl_document_change c = put("a", REPL_EXPECT_ANY, 0, "x");
    static struct answer a[100];
    size_t settled = 0;

    for (size_t i = 0; i < 100; i++) {
        (void)pthread_mutex_init(&a[i].lock, NULL);
        cr_assert_eq(repl_change_documents(repl, &alice, &c, 1, on_done, &a[i], NULL), REPL_OK);
    }
    repl_stop(repl);
    for (size_t i = 0; i < 100; i++) {
        cr_assert(a[i].there, "%zu", i);
        settled += a[i].result.settled == REPL_SETTLED;
    }
    cr_log_info("%zu of 100 were judged", settled);
    start();
}

/* --- readers beside a writer --- */

static _Atomic bool over;

static void *read_views(void *self)
{
    uint64_t *seen = self;

    while (!over) {
        struct repl_view *v = repl_view_take(repl);
        const struct repl_document *x = repl_view_document(v, "pool", "x");
        const struct repl_document *y = repl_view_document(v, "pool", "y");

        cr_assert_eq(x == NULL, y == NULL);
        if (x != NULL) {
            cr_assert_eq(x->version, y->version, "half of a change is seen");
            cr_assert_geq(x->version, *seen, "it goes back");
            *seen = x->version;
        }
        repl_view_release(v);
    }
    return NULL;
}

Test(repl_admin, readers_see_whole_changes_that_never_go_back)
{
    struct repl_document_change two[] = {put("x", REPL_EXPECT_ANY, 0, "1"),
                                         put("y", REPL_EXPECT_ANY, 0, "2")};
    uint64_t seen[READERS] = {0};
    pthread_t threads[READERS];
    uint64_t version = 0;

    for (size_t i = 0; i < READERS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, read_views, &seen[i]), 0);
    for (size_t i = 0; i < 100; i++)
        version = change(two, 2).version;
    over = true;
    for (size_t i = 0; i < READERS; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_leq(seen[i], version);
    }
}
