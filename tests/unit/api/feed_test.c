/* The ring of events and its cursors: bounds, where a watcher goes on, what is told as a gap, who is shown what, and
 * that nodes that applied the same make the same bytes of it. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "api/feed.h"

enum { RING = 8, SOME = 32768 };

static char out[SOME + 1];

static void put(struct api_feed *f, uint64_t index, const char *type)
{
    api_feed_at(f, 5, index);
    api_feed_put(f, API_ROLE_VIEWER, type, json_pack("{s:I}", "cluster_ms", (json_int_t)index));
}

static struct api_feed *feed_of(uint64_t first, uint64_t last)
{
    struct api_feed *f = api_feed_create(RING, 0);

    for (uint64_t i = first; i <= last; i++) {
        put(f, i, "x");
    }
    api_feed_flush(f);
    return f;
}

/* All there is for that cursor. */
static enum api_feed_read read_all(struct api_feed *f, struct api_cursor *c, enum api_role role)
{
    size_t n = 0, all = 0;
    enum api_feed_read read;

    do {
        read = api_feed_read(f, c, role, out + all, SOME - all, &n);
        all += n;
    } while (read == API_FEED_READ && n > 0);
    out[all] = '\0';
    return read;
}

static unsigned count_in(const char *text, const char *what)
{
    unsigned n = 0;

    for (const char *p = text; (p = strstr(p, what)) != NULL; p += strlen(what)) {
        n++;
    }
    return n;
}

Test(api_feed, an_id_has_one_text)
{
    static const char *const good[] = {"0.0.0", "5.41.3",
                                       "18446744073709551615.18446744073709551615.4294967295"};
    static const char *const bad[] = {"",
                                      "5",
                                      "5.41",
                                      "5.41.",
                                      "5..3",
                                      ".41.3",
                                      "5.41.3.",
                                      "5.41.3 ",
                                      " 5.41.3",
                                      "05.41.3",
                                      "5.00.3",
                                      "-5.41.3",
                                      "5.41.+3",
                                      "0x5.41.3",
                                      "5.41.4294967296",
                                      "18446744073709551616.1.1",
                                      "5.41.3\n"};
    struct api_event_id id;
    char text[API_EVENT_ID_BYTES];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert(api_event_id_parse(good[i], &id), "%s", good[i]);
        cr_expect_str_eq(api_event_id_text(&id, text), good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        id = (struct api_event_id){1, 2, 3};
        cr_expect(!api_event_id_parse(bad[i], &id), "%s", bad[i]);
        cr_expect(id.incarnation == 1 && id.index == 2 && id.n == 3, "written on failure");
    }
}

Test(api_feed, a_watcher_goes_on_at_each_place)
{
    struct api_feed *f = feed_of(10, 14);

    for (uint64_t index = 9; index <= 15; index++) {
        struct api_event_id after = {5, index, index == 9 ? UINT32_MAX : 1}; /* all of 9 */
        struct api_cursor c;
        char first[64];

        cr_assert_eq(api_feed_behind(f, &after, &c), API_FEED_STARTS);
        cr_assert_eq(read_all(f, &c, API_ROLE_VIEWER), API_FEED_READ);
        cr_expect_eq(count_in(out, "event: x\n"), index < 14 ? 14 - index : 0);
        (void)snprintf(first, sizeof first, "id: 5.%u.1\nevent: x\ndata: {\"cluster_ms\":%u}\n\n",
                       (unsigned)index + 1, (unsigned)index + 1);
        cr_expect(index >= 14 || strncmp(out, first, strlen(first)) == 0, "%s", out);
    }
    api_feed_destroy(f);
}

Test(api_feed, several_events_of_one_record_are_told_apart)
{
    struct api_feed *f = api_feed_create(RING, 0);
    struct api_cursor c;

    for (int i = 0; i < 3; i++) {
        put(f, 10, "x");
    }
    api_feed_flush(f);
    for (uint32_t n = 0; n <= 3; n++) {
        cr_assert_eq(api_feed_behind(f, &(struct api_event_id){5, 10, n}, &c), API_FEED_STARTS);
        (void)read_all(f, &c, API_ROLE_VIEWER);
        cr_expect_eq(count_in(out, "id: 5.10."), 3 - n);
    }
    put(f, 10, "x"); /* the rest of that record comes later */
    api_feed_flush(f);
    (void)read_all(f, &c, API_ROLE_VIEWER);
    cr_expect_eq(strncmp(out, "id: 5.10.4\n", 11), 0, "%s", out);
    api_feed_destroy(f);
}

/* Who comes from a node that is ahead of this one waits, and is sent nothing twice. */
Test(api_feed, who_is_ahead_of_this_node_waits_for_it)
{
    struct api_feed *f = feed_of(10, 11);
    struct api_event_id after = {5, 13, 1}, place;
    struct api_cursor c;

    cr_assert_eq(api_feed_behind(f, &after, &c), API_FEED_STARTS);
    for (uint64_t i = 12; i <= 15; i++) {
        place = api_feed_place(f, &c);
        cr_expect_geq(place.index, 13, "it would go back to what it has seen");
        put(f, i, "x");
        api_feed_flush(f);
        (void)read_all(f, &c, API_ROLE_VIEWER);
        cr_expect_eq(count_in(out, "event: x\n"), i > 13 ? 1 : 0);
    }
    api_feed_destroy(f);
}

Test(api_feed, what_is_gone_is_a_gap)
{
    struct api_feed *f = feed_of(10, 29); /* 22 to 29 are kept */
    struct api_cursor c;

    cr_expect_eq(api_feed_behind(f, &(struct api_event_id){5, 20, 1}, &c), API_FEED_GAP);
    cr_expect_eq(api_feed_behind(f, &(struct api_event_id){5, 21, 0}, &c), API_FEED_GAP);
    (void)read_all(f, &c, API_ROLE_VIEWER);
    cr_expect_str_eq(out, "", "after a gap it goes on from now");
    cr_expect_eq(api_feed_behind(f, &(struct api_event_id){5, 21, 1}, &c), API_FEED_STARTS);
    (void)read_all(f, &c, API_ROLE_VIEWER);
    cr_expect_eq(count_in(out, "event: x\n"), RING);
    cr_expect_eq(api_feed_behind(f, &(struct api_event_id){4, 25, 1}, &c), API_FEED_GAP);
    cr_expect_eq(api_feed_behind(f, &(struct api_event_id){6, 25, 1}, &c), API_FEED_GAP);
    cr_expect_eq(api_feed_oldest(f, &c), API_FEED_STARTS);
    (void)read_all(f, &c, API_ROLE_VIEWER);
    cr_expect_eq(count_in(out, "event: x\n"), RING);
    cr_expect_eq(api_feed_place(f, &c).index, 29);
    api_feed_destroy(f);
}

Test(api_feed, who_does_not_read_falls_out)
{
    struct api_feed *f = feed_of(10, 10);
    struct api_cursor c;
    size_t n;

    cr_assert_eq(api_feed_now(f, &c), API_FEED_STARTS);
    for (uint64_t i = 11; i <= 10 + RING; i++) {
        put(f, i, "x");
    }
    api_feed_flush(f);
    cr_expect_eq(read_all(f, &c, API_ROLE_VIEWER), API_FEED_READ, "all of the ring is in time");
    cr_expect_eq(count_in(out, "event: x\n"), RING);
    for (uint64_t i = 30; i <= 30 + RING; i++) {
        put(f, i, "x");
    }
    api_feed_flush(f);
    cr_expect_eq(api_feed_read(f, &c, API_ROLE_VIEWER, out, SOME, &n), API_FEED_BEHIND);
    api_feed_destroy(f);
}

/* By bytes, too; and what is staged while a reader holds the lock is no more than the ring. */
Test(api_feed, it_holds_no_more_bytes_than_it_may)
{
    struct api_feed *f = api_feed_create(1000, 2 * API_EVENT_BYTES);
    struct api_cursor c;
    char longer[1200];

    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    for (uint64_t i = 1; i <= 5000; i++) { /* never flushed: it does so by itself */
        api_feed_at(f, 5, i);
        api_feed_put(f, API_ROLE_VIEWER, "x", json_pack("{s:s}", "long", longer));
    }
    api_feed_flush(f);
    cr_assert_eq(api_feed_oldest(f, &c), API_FEED_STARTS);
    (void)read_all(f, &c, API_ROLE_VIEWER);
    cr_expect_eq(count_in(out, "event: x\n"), 2 * API_EVENT_BYTES / (strlen(out) / 3), "%zu bytes",
                 strlen(out));
    cr_expect_leq(strlen(out), 2 * API_EVENT_BYTES);
    cr_expect_not_null(strstr(out, "id: 5.5000.1\n"));
    api_feed_destroy(f);
}

Test(api_feed, an_event_that_is_too_long_goes_without_its_data)
{
    struct api_feed *f = api_feed_create(0, 0);
    struct api_cursor c;
    static char longer[2 * API_EVENT_BYTES];

    memset(longer, 'a', sizeof longer - 1);
    api_feed_at(f, 5, 1);
    api_feed_put(f, API_ROLE_VIEWER, "x", json_pack("{s:s}", "long", longer));
    api_feed_put(f, API_ROLE_VIEWER, "x", NULL);
    api_feed_flush(f);
    cr_assert_eq(api_feed_oldest(f, &c), API_FEED_STARTS);
    (void)read_all(f, &c, API_ROLE_VIEWER);
    cr_expect_str_eq(out, "id: 5.1.1\nevent: x\ndata: {}\n\n");
    api_feed_destroy(f);
}

Test(api_feed, a_snapshot_is_a_gap_for_all_that_watch)
{
    struct api_feed *f = feed_of(10, 12);
    struct api_cursor c;
    size_t n;

    cr_assert_eq(api_feed_now(f, &c), API_FEED_STARTS);
    put(f, 13, "x"); /* not shown yet: the snapshot's state has it */
    api_feed_reset(f, 5, 40);
    api_feed_at(f, 5, 40);
    api_feed_put(f, API_ROLE_VIEWER, "x", json_object());
    api_feed_flush(f);
    cr_expect_eq(api_feed_read(f, &c, API_ROLE_VIEWER, out, SOME, &n), API_FEED_RESETS);
    cr_assert_eq(api_feed_now(f, &c), API_FEED_STARTS);
    put(f, 41, "x");
    api_feed_flush(f);
    cr_expect_eq(read_all(f, &c, API_ROLE_VIEWER), API_FEED_READ);
    cr_expect_eq(strncmp(out, "id: 5.41.1\n", 11), 0, "%s", out);
    cr_expect_eq(api_feed_behind(f, &(struct api_event_id){5, 39, 1}, &c), API_FEED_GAP);
    cr_expect_eq(api_feed_behind(f, &(struct api_event_id){5, 40, 1}, &c), API_FEED_GAP);
    cr_expect_eq(api_feed_behind(f, &(struct api_event_id){5, 41, 0}, &c), API_FEED_STARTS);
    api_feed_destroy(f);
}

Test(api_feed, who_has_applied_nothing_says_so)
{
    struct api_feed *f = api_feed_create(0, 0);
    struct api_cursor c;

    cr_expect_eq(api_feed_now(f, &c), API_FEED_NOTHING);
    cr_expect_eq(api_feed_oldest(f, &c), API_FEED_NOTHING);
    cr_expect_eq(api_feed_behind(f, &(struct api_event_id){0, 0, 0}, &c), API_FEED_NOTHING);
    api_feed_flush(f);
    cr_expect_eq(api_feed_now(f, &c), API_FEED_NOTHING);
    api_feed_destroy(f);
}

Test(api_feed, each_role_is_shown_its_own)
{
    static const struct {
        enum api_role role;
        const char *shown;
    } cases[] = {{API_ROLE_VIEWER, "v"},
                 {API_ROLE_DRILL, "v"},
                 {API_ROLE_OPERATOR, "vo"},
                 {API_ROLE_ADMIN, "voa"},
                 {API_ROLE_NONE, "voa"}};
    static const enum api_role needed[] = {API_ROLE_VIEWER, API_ROLE_OPERATOR, API_ROLE_ADMIN};
    struct api_feed *f = api_feed_create(0, 0);
    struct api_cursor c;

    api_feed_at(f, 5, 1);
    for (size_t i = 0; i < 3; i++) {
        char type[2] = {"voa"[i], '\0'};

        api_feed_put(f, needed[i], type, json_object());
    }
    api_feed_flush(f);
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        cr_assert_eq(api_feed_oldest(f, &c), API_FEED_STARTS);
        (void)read_all(f, &c, cases[k].role);
        for (size_t i = 0; i < 3; i++) {
            char line[] = {'e', 'v', 'e', 'n', 't', ':', ' ', "voa"[i], '\n', '\0'};

            cr_expect_eq(strstr(out, line) != NULL, strchr(cases[k].shown, "voa"[i]) != NULL,
                         "role %d, %s", (int)cases[k].role, line);
        }
        cr_expect_eq(api_feed_place(f, &c).n, 3, "what is not shown is behind it all the same");
    }
    api_feed_destroy(f);
}

/* This node's own: no id, for who watches now. */
Test(api_feed, its_own_events_are_for_the_moment)
{
    struct api_feed *f = feed_of(10, 10);
    struct api_cursor now, later;

    cr_assert_eq(api_feed_now(f, &now), API_FEED_STARTS);
    api_feed_put_own(f, API_ROLE_VIEWER, "own", json_object());
    put(f, 11, "x");
    api_feed_flush(f);
    (void)read_all(f, &now, API_ROLE_VIEWER);
    cr_expect_eq(strncmp(out, "event: own\ndata: {}\n\nid: 5.11.1\n", 32), 0, "%s", out);
    cr_assert_eq(api_feed_behind(f, &(struct api_event_id){5, 10, 0}, &later), API_FEED_STARTS);
    (void)read_all(f, &later, API_ROLE_VIEWER);
    cr_expect_null(strstr(out, "own"), "%s", out);
    cr_expect_eq(count_in(out, "event: x\n"), 2);
    api_feed_destroy(f);
}

/* One flushes after each, one seldom, and each has its own events between: what has an id is the same. */
Test(api_feed, nodes_that_applied_the_same_say_the_same)
{
    struct api_feed *a = api_feed_create(0, 0), *b = api_feed_create(0, 0);
    struct api_cursor ca, cb;
    char *first;

    for (uint64_t i = 1; i <= 60; i++) {
        for (uint64_t k = 0; k < i % 4; k++) {
            put(a, i, k == 0 ? "x" : "y");
            api_feed_flush(a);
            put(b, i, k == 0 ? "x" : "y");
        }
        if (i % 7 == 0) {
            api_feed_put_own(b, API_ROLE_VIEWER, "own", json_object());
            api_feed_flush(b);
        }
    }
    api_feed_flush(b);
    cr_assert_eq(api_feed_oldest(a, &ca), API_FEED_STARTS);
    cr_assert_eq(api_feed_oldest(b, &cb), API_FEED_STARTS);
    (void)read_all(a, &ca, API_ROLE_VIEWER);
    first = strdup(out);
    (void)read_all(b, &cb, API_ROLE_VIEWER);
    cr_expect_str_eq(out, first);
    cr_expect_eq(count_in(out, "event: "), 90);
    free(first);
    api_feed_destroy(a);
    api_feed_destroy(b);
}
