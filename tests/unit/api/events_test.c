/* GET /v1/events over root's socket and over TLS: what a stream begins with, how it goes on, how it ends, and that
 * a thousand of them cost what they may. */
#include <criterion/criterion.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "unit/api/rest_rig.h"

enum { CROWD = 1000, MOST_EACH = 48 << 10, PATIENCE_MS = 20000 };

static struct rig rig;
static char reply[RIG_REPLY_BYTES];

static void start(void)
{
    rig_init(&rig);
}

static void end(void)
{
    rig_deinit(&rig);
}

TestSuite(api_events, .init = start, .fini = end, .timeout = 120);

/* On the loop that the feed belongs to in production: here it stands still meanwhile. */
static void put(struct rig *r, uint64_t index, const char *type)
{
    rig_freeze(r);
    api_feed_at(r->feed, 7, index);
    api_feed_put(r->feed, API_ROLE_VIEWER, type, json_pack("{s:I}", "at", (json_int_t)index));
    api_feed_flush(r->feed);
    rig_thaw(r);
}

/* One that watches; at most 10 s for each read. */
static int watch(struct rig *r, const char *query, const char *headers)
{
    char request[512];
    int fd = rig_connect(r);
    int n = snprintf(request, sizeof request, "GET /v1/events%s HTTP/1.1\r\nHost: x\r\n%s\r\n",
                     query, headers);

    rig_send(fd, request, (size_t)n);
    return fd;
}

/* Reads on until `what` is there. */
static void await(int fd, const char *what)
{
    size_t n = strlen(reply);

    while (strstr(reply, what) == NULL) {
        ssize_t got = recv(fd, reply + n, RIG_REPLY_BYTES - 1 - n, 0);

        cr_assert_gt(got, 0, "no '%s' in %s", what, reply);
        n += (size_t)got;
        reply[n] = '\0';
    }
}

static int watch_from(struct rig *r, const char *query, const char *headers, const char *first)
{
    int fd = watch(r, query, headers);

    reply[0] = '\0';
    await(fd, first);
    return fd;
}

static unsigned count_in(const char *text, const char *what)
{
    unsigned n = 0;

    for (const char *p = text; (p = strstr(p, what)) != NULL; p += strlen(what)) {
        n++;
    }
    return n;
}

static void follow(struct rig *r)
{
    int fd = watch_from(r, "", "", "\r\n\r\nretry: 3000\nid: 7.41.0\n\n");

    cr_expect_not_null(strstr(reply, "HTTP/1.1 200 OK\r\n"));
    cr_expect_not_null(strstr(reply, "\r\nContent-Type: text/event-stream\r\n"));
    cr_expect_not_null(strstr(reply, "\r\nCache-Control: no-store\r\n"));
    cr_expect_null(strstr(reply, "Transfer-Encoding"), "%s", reply);
    for (uint64_t i = 50; i < 60; i++) {
        char event[64];

        put(r, i, "x");
        (void)snprintf(event, sizeof event, "id: 7.%u.1\nevent: x\ndata: {\"at\":%u}\n\n",
                       (unsigned)i, (unsigned)i);
        await(fd, event);
    }
    cr_expect_eq(count_in(reply, "event: x\n"), 10);
    (void)close(fd);
}

Test(api_events, come_as_they_happen)
{
    rig_run(&rig, follow);
}

/* For longer than a connection may be idle; what is said then tells how far the node has come meanwhile. */
static void be_silent(struct rig *r)
{
    int fd = watch_from(r, "", "", "id: 7.41.0\n\n");
    struct pollfd p = {.fd = fd, .events = POLLIN};

    cr_assert_eq(poll(&p, 1, 2500), 0, "what is said before?");
    rig_freeze(r);
    api_feed_at(r->feed, 7, 45); /* of which no event comes */
    api_feed_flush(r->feed);
    rig_thaw(r);
    await(fd, "\n\n:\nid: 7.45.0\n\n");
    put(r, 46, "x");
    await(fd, "id: 7.46.1\nevent: x\n");
    (void)close(fd);
}

Test(api_events, silence_is_no_end)
{
    rig.options.idle_s = 1;
    rig.options.silence_ms = 3000;
    rig_run(&rig, be_silent);
}

static void go_on(struct rig *r)
{
    static const struct {
        const char *query, *headers, *first;
        unsigned events;
    } cases[] = {{"?follow=false", "", "id: 7.60.1\n\n", 0},
                 {"?after=7.50.1&follow=false", "", "retry: 3000\nid: 7.50.1\n\nid: 7.51.1\n", 10},
                 {"?follow=false", "Last-Event-ID: 7.58.1\r\n", "id: 7.58.1\n\nid: 7.59.1\n", 2},
                 {"?after=7.50.1&follow=false", "Last-Event-ID: 7.58.1\r\n",
                  "id: 7.58.1\n\nid: 7.59.1\n", 2},
                 {"?after=oldest&follow=false", "", "id: 7.40.4294967295\n\nid: 7.50.1\n", 11},
                 {"?after=7.99.3&follow=false", "", "id: 7.99.3\n\n", 0},
                 {"?after=7.12.1&follow=false", "",
                  "id: 7.60.1\nevent: gap\ndata: {\"after\":\"7.12.1\",\"reason\":\"older\"}\n\n",
                  0},
                 {"?after=6.55.1&follow=false", "",
                  "event: gap\ndata: {\"after\":\"6.55.1\",\"reason\":\"incarnation\"}\n\n", 0}};

    for (uint64_t i = 50; i <= 60; i++) {
        put(r, i, "x");
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = watch(r, cases[i].query, cases[i].headers);

        (void)rig_read_all(fd, reply);
        cr_expect_not_null(strstr(reply, cases[i].first), "%s %s: %s", cases[i].query,
                           cases[i].headers, reply);
        cr_expect_eq(count_in(reply, "event: x\n"), cases[i].events, "%s %s: %s", cases[i].query,
                     cases[i].headers, reply);
        (void)close(fd);
    }
}

Test(api_events, go_on_behind_the_last_that_was_seen)
{
    rig_run(&rig, go_on);
}

static void ask_wrongly(struct rig *r)
{
    static const struct {
        const char *query, *headers, *problem;
    } cases[] = {{"", "Last-Event-ID: 41\r\n", "bad-event-id"},
                 {"", "Last-Event-ID: oldest\r\n", "bad-event-id"},
                 {"", "Last-Event-ID: 7.41.0 \"\r\n", "bad-event-id"},
                 {"?after=7.41", "", "bad-event-id"},
                 {"?after=", "", "bad-event-id"},
                 {"?after=7.41.0&after=7.41.0", "", "bad-query"},
                 {"?after=oldest&after=oldest", "", "bad-query"},
                 {"?follow=no", "", "bad-query"},
                 {"?follow=false&follow=false", "", "bad-query"},
                 {"?limit=3", "", "bad-query"}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = watch(r, cases[i].query, cases[i].headers);
        char type[64];

        reply[0] = '\0';
        (void)snprintf(type, sizeof type, "urn:holdfast:problem:%s\"", cases[i].problem);
        await(fd, type);
        cr_expect_not_null(strstr(reply, "HTTP/1.1 400 "), "%s", reply);
        (void)close(fd);
    }
}

Test(api_events, an_id_that_is_none_is_refused)
{
    rig_run(&rig, ask_wrongly);
}

static void see_snapshot(struct rig *r)
{
    int fd = watch_from(r, "", "", "id: 7.41.0\n\n");

    rig_freeze(r);
    api_feed_reset(r->feed, 7, 90);
    api_feed_flush(r->feed);
    rig_thaw(r);
    await(fd, "id: 7.90.4294967295\nevent: gap\ndata: {\"after\":\"7.41.0\",\"reason\":"
              "\"snapshot\"}\n\n");
    put(r, 91, "x");
    await(fd, "id: 7.91.1\nevent: x\n");
    (void)close(fd);
}

Test(api_events, a_snapshot_is_told)
{
    rig_run(&rig, see_snapshot);
}

/* It takes nothing for as long as it takes: the ring goes on without it. */
static void be_slow(struct rig *r)
{
    int small = 4096, fd = watch_from(r, "", "", "id: 7.41.0\n\n");
    size_t n = 0;
    ssize_t got;

    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    for (uint64_t i = 50; i < 50 + 4 * API_FEED_EVENTS; i++) {
        put(r, i, "some.longer.name.so.that.it.is.soon.more.than.the.kernel.keeps");
    }
    while ((got = recv(fd, reply + n, RIG_REPLY_BYTES - 1 - n, 0)) > 0) {
        n += (size_t)got;
    }
    reply[n] = '\0';
    cr_expect_eq(got, 0, "it was not ended");
    cr_expect_lt(count_in(reply, "event: some"), 4 * API_FEED_EVENTS);
    (void)close(fd);
}

Test(api_events, who_does_not_read_is_ended)
{
    rig_run(&rig, be_slow);
}

/* What this process has allocated: server and test together. */
static size_t allocated(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

static void crowd_in(struct rig *r)
{
    static int fds[CROWD];
    size_t before = allocated(), each;

    for (unsigned i = 0; i < CROWD; i++) {
        fds[i] = watch_from(r, "", "", "id: 7.4");
    }
    each = (allocated() - before) / CROWD;
    cr_log_info("a watcher: %zu bytes", each);
    /* A sanitizer's heap says nothing of itself. */
    cr_expect(allocated() == 0 || (each > 0 && each < MOST_EACH), "%zu bytes each", each);
    for (uint64_t i = 50; i < 60; i++) {
        put(r, i, "x");
    }
    for (unsigned i = 0; i < CROWD; i++) {
        reply[0] = '\0';
        await(fds[i], "id: 7.59.1\nevent: x\n");
        cr_expect_eq(count_in(reply, "event: x\n"), 10);
        (void)close(fds[i]);
    }
}

Test(api_events, a_thousand_watch_at_once)
{
    struct rlimit files = {4 * CROWD, 4 * CROWD};

    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
    rig.options.connections = 1024;
    rig_run(&rig, crowd_in);
}

static void fill(struct rig *r)
{
    int fds[7], refused;

    for (unsigned i = 0; i < 7; i++) {
        fds[i] = watch_from(r, "", "", "id: 7.41.0\n\n");
    }
    refused = watch_from(r, "", "", "too-many-watchers\"");
    cr_expect_not_null(strstr(reply, "HTTP/1.1 429 "));
    cr_expect_not_null(strstr(reply, "\r\nRetry-After: 5\r\n"));
    (void)close(refused);
    (void)rig_ask(r, "GET", "/v1/cluster", "", reply);
    cr_expect_not_null(strstr(reply, "HTTP/1.1 200 "), "no connection is left for questions");
    (void)close(fds[0]); /* which is seen, so that another one may come */
    do {
        /* A refusal keeps the connection unless it is asked not to: it would have no end. */
        fds[0] = watch(r, "?follow=false", "Connection: close\r\n");
        (void)rig_read_all(fds[0], reply);
        (void)close(fds[0]);
    } while (strstr(reply, "HTTP/1.1 429 ") != NULL);
    for (unsigned i = 1; i < 7; i++) {
        (void)close(fds[i]);
    }
}

Test(api_events, some_connections_stay_for_questions)
{
    rig.options.connections = 8;
    rig_run(&rig, fill);
}

/* --- over TLS --- */

static struct rest rest;

static void start_rest(void)
{
    rest_init(&rest);
}

static void end_rest(void)
{
    rig_deinit(&rest.rig);
}

TestSuite(api_events_tls, .init = start_rest, .fini = end_rest, .timeout = 120);

static struct rest_connection *watch_as(const struct rest_who *who, const char *headers)
{
    struct rest_connection *c = rest_connect(&rest, who, 0);

    cr_assert_not_null(c);
    cr_assert(rest_request(c, "GET", "/v1/events?after=oldest", headers, "", reply), "%s", reply);
    return c;
}

static void show_each(struct rig *r)
{
    rig_freeze(r);
    api_feed_put(r->feed, API_ROLE_VIEWER, "for.viewers", json_object());
    api_feed_put(r->feed, API_ROLE_OPERATOR, "for.operators", json_object());
    api_feed_put(r->feed, API_ROLE_ADMIN, "for.admins", json_object());
    api_feed_flush(r->feed);
    rig_thaw(r);
    for (int role = API_ROLE_VIEWER; role < API_ROLES; role++) {
        struct rest_who who = {.certificate = &rest.clients[role]};
        bool more = role == API_ROLE_OPERATOR || role == API_ROLE_ADMIN;
        struct rest_connection *c = watch_as(&who, "");

        cr_assert_eq(rest_status(reply), 200, "%s", reply);
        while (strstr(reply, "event: for.viewers\n") == NULL) {
            cr_assert(rest_more(c, reply), "%s", reply);
        }
        cr_expect_eq(strstr(reply, "event: for.operators\n") != NULL, more, "%s", reply);
        cr_expect_eq(strstr(reply, "event: for.admins\n") != NULL, role == API_ROLE_ADMIN, "%s",
                     reply);
        rest_disconnect(c);
    }
}

Test(api_events_tls, each_role_is_shown_its_own)
{
    rest_run(&rest, show_each);
}

static void crowd_of_one(struct rig *r)
{
    struct rest_who who = {.certificate = &rest.clients[API_ROLE_VIEWER]},
                    other = {.certificate = &rest.clients[API_ROLE_ADMIN]};
    struct rest_connection *c[8];
    unsigned n = 0;

    (void)r;
    do {
        c[n] = watch_as(&who, "");
    } while (rest_status(reply) == 200 && ++n < 8);
    cr_expect_eq(n, 4, "one name has %u of 7", n);
    cr_expect_eq(rest_status(reply), 429);
    rest_disconnect(c[n]);
    c[n] = watch_as(&other, "");
    cr_expect_eq(rest_status(reply), 200, "%s", reply);
    for (unsigned i = 0; i <= n; i++) {
        rest_disconnect(c[i]);
    }
}

Test(api_events_tls, one_name_has_no_more_than_half_of_the_places)
{
    rest.rig.options.connections = 8;
    rest_run(&rest, crowd_of_one);
}

/* Reads to the stream's end. False: there was none in time. */
static bool ends(struct rest_connection *c)
{
    struct pollfd p = {.fd = rest_fd(c), .events = POLLIN | POLLRDHUP};

    while (poll(&p, 1, PATIENCE_MS) > 0) {
        char some[4096];

        if ((p.revents & (POLLRDHUP | POLLHUP)) != 0 || recv(p.fd, some, sizeof some, 0) <= 0) {
            return true;
        }
    }
    return false;
}

static void take_away(struct rig *r)
{
    char headers[256];
    struct rest_who nobody = {0}, who = {.certificate = &rest.clients[API_ROLE_VIEWER]};
    struct rest_connection *kept, *token;

    (void)r;
    (void)snprintf(headers, sizeof headers, "Authorization: %s\r\n", rest.bearer[API_ROLE_VIEWER]);
    token = watch_as(&nobody, headers);
    cr_assert_eq(rest_status(reply), 200, "%s", reply);
    kept = watch_as(&who, "");
    rest.cut_off = true;
    cr_expect(ends(token), "a token that does not count any more is still shown events");
    put(r, 50, "x");
    cr_expect(poll(&(struct pollfd){.fd = rest_fd(kept), .events = POLLIN}, 1, PATIENCE_MS) > 0);
    rest_disconnect(token);
    rest_disconnect(kept);
}

Test(api_events_tls, a_token_that_counts_no_more_ends_its_stream)
{
    rest_run(&rest, take_away);
}
