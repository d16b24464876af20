/* Input that means harm: too large, too slow, too many, not HTTP. Afterwards the server must serve
 * as before. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/api/rig.h"

static struct rig rig;
static char reply[RIG_REPLY_BYTES];
static char big[4 << 20];

static void start(void)
{
    rig_init(&rig);
}

static void end(void)
{
    rig_deinit(&rig);
}

TestSuite(api_hostile, .init = start, .fini = end);

static void still_serves(struct rig *r)
{
    (void)rig_ask(r, "GET", "/v1/sas", "", reply);
    cr_assert_not_null(strstr(reply, "{\"sas\":[]}"), "%s", reply);
}

/* The server learns of a closing when its loop turns: until then a connection more may be refused,
 * without an answer. Bounded by the client's 10 s per answer and by the count; what must not happen
 * is that room never comes back. */
static void await_room(struct rig *r)
{
    for (unsigned tries = 0; tries < 100000 && rig_ask(r, "GET", "/v1/sas", "", reply) == 0;
         tries++) {
    }
}

/* One connection: sends, then reads to its end. */
static void throw_at(struct rig *r, const void *bytes, size_t n)
{
    int fd = rig_connect(r);

    rig_send(fd, bytes, n);
    (void)shutdown(fd, SHUT_WR);
    (void)rig_read_all(fd, reply);
    (void)close(fd);
}

static void declare_too_much(struct rig *r)
{
    static const char *const lengths[] = {"65537", "1000000", "99999999999999999999", "4294967296"};
    char head[256];

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        int n =
            snprintf(head, sizeof head,
                     "POST /v1/cluster/leader HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\n{",
                     lengths[i]);

        throw_at(r, head, (size_t)n);
        cr_assert(strncmp(reply, "HTTP/1.1 413 ", 13) == 0 ||
                      strncmp(reply, "HTTP/1.1 400 ", 13) == 0,
                  "%s: %s", lengths[i], reply);
    }
    cr_assert_eq(r->transfers, 0);
    still_serves(r);
}

Test(api_hostile, a_declared_length_beyond_the_bound)
{
    rig_run(&rig, declare_too_much);
}

/* A chunked body of `bytes` in pieces of 4 KiB. */
static size_t chunked(size_t bytes)
{
    size_t n = (size_t)sprintf(big, "POST /v1/cluster/leader HTTP/1.1\r\nHost: x\r\nConnection: "
                                    "close\r\nTransfer-Encoding: chunked\r\n\r\n");

    for (size_t sent = 0; sent < bytes; sent += 4096) {
        n += (size_t)sprintf(big + n, "1000\r\n");
        memset(big + n, ' ', 4096);
        n += 4096;
        n += (size_t)sprintf(big + n, "\r\n");
    }
    return n + (size_t)sprintf(big + n, "0\r\n\r\n");
}

static void send_too_much(struct rig *r)
{
    int fd;

    throw_at(r, big, chunked(64 << 10)); /* just fits: blanks only, so no JSON */
    cr_assert_eq(strncmp(reply, "HTTP/1.1 400 ", 13), 0, "%.200s", reply);
    fd = rig_connect(r);
    rig_send(fd, big, chunked(100 << 10));
    (void)rig_read_all(fd, reply);
    (void)close(fd);
    cr_assert_eq(strncmp(reply, "HTTP/1.1 413 ", 13), 0, "%.200s", reply);
    fd = rig_connect(r);
    rig_send(fd, big,
             chunked(3 << 20)); /* beyond all patience: the connection ends without an answer */
    cr_assert_eq(rig_read_all(fd, reply), 0, "%.200s", reply);
    (void)close(fd);
    cr_assert_eq(r->transfers, 0);
    still_serves(r);
}

Test(api_hostile, a_chunked_body_beyond_the_bound)
{
    rig_run(&rig, send_too_much);
}

#define ITEM(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static void send_nonsense(struct rig *r)
{
    static const struct {
        const char *bytes;
        size_t n;
    } items[] = {
        ITEM("\0\0\0\0\r\n\r\n"),
        ITEM("GET\r\n\r\n"),
        ITEM("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ITEM("GET /v1/sas%00/x HTTP/1.1\r\nHost: x\r\n\r\n"),
        ITEM("GET /v1/%2e%2e/sas HTTP/9.9\r\n\r\n"),
        ITEM("POST /v1/drills/arm HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"),
        ITEM("POST /v1/drills/arm HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: "
             "6\r\n\r\n{}"),
        ITEM("POST /v1/drills/arm HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        ITEM("FROBNICATE /v1/sas HTTP/1.1\r\nHost: x\r\n\r\n"),
        ITEM(" \r\n\r\n \r\n"),
    };
    unsigned seed = 7;

    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        throw_at(r, items[i].bytes, items[i].n);
        cr_assert_null(strstr(reply, "HTTP/1.1 200"), "item %zu: %s", i, reply);
    }
    for (unsigned i = 0; i < 300; i++) {
        char noise[512];
        int fd;

        for (size_t k = 0; k < sizeof noise; k++) {
            seed = seed * 1103515245u + 12345u;
            noise[k] = (char)(seed >> 16);
        }
        fd = rig_connect(r);
        rig_send(fd, noise, sizeof noise);
        (void)close(fd);
    }
    await_room(r);
    still_serves(r);
}

Test(api_hostile, what_is_not_http)
{
    rig_run(&rig, send_nonsense);
}

static void send_long_headers(struct rig *r)
{
    size_t n;

    memset(big, 'a', 1 << 20);
    memcpy(big, "GET /", 5);
    throw_at(r, big, 1 << 20); /* an endless request line */
    cr_assert_null(strstr(reply, "HTTP/1.1 200"));
    n = (size_t)sprintf(big, "GET /v1/sas HTTP/1.1\r\nHost: x\r\n");
    while (n < 500000) {
        n += (size_t)sprintf(big + n, "X-%zu: y\r\n", n);
    }
    throw_at(r, big, n); /* endless headers */
    cr_assert_null(strstr(reply, "HTTP/1.1 200"));
    still_serves(r);
}

Test(api_hostile, headers_without_end)
{
    rig_run(&rig, send_long_headers);
}

static void nest_deeply(struct rig *r)
{
    size_t n = 60000;
    char head[128];
    int h = snprintf(head, sizeof head,
                     "POST /v1/cluster/leader HTTP/1.1\r\nHost: x\r\nConnection: "
                     "close\r\nContent-Length: %zu\r\n\r\n",
                     n);
    int fd = rig_connect(r);

    memset(big, '[', n);
    rig_send(fd, head, (size_t)h);
    rig_send(fd, big, n);
    (void)rig_read_all(fd, reply);
    (void)close(fd);
    cr_assert_not_null(strstr(reply, "malformed-json"), "%.300s", reply);
    still_serves(r);
}

Test(api_hostile, json_nested_without_end)
{
    rig_run(&rig, nest_deeply);
}

/* Says nothing more after half a header: MHD's time limit. */
static void fall_silent(struct rig *r)
{
    int fd = rig_connect(r), idle = rig_connect(r);

    rig_send(fd, "GET /v1/s", 9);
    (void)rig_read_all(fd, reply);
    (void)rig_read_all(idle, reply);
    (void)close(fd);
    (void)close(idle);
    still_serves(r);
}

Test(api_hostile, a_silent_client_is_let_go)
{
    rig.options.idle_s = 1;
    rig_run(&rig, fall_silent);
}

/* A byte now and then keeps MHD patient for ever; the server's own limit ends it. Waits 20 ms
 * between bytes by waiting for an end. */
static void drip(struct rig *r)
{
    struct timeval moment = {.tv_usec = 20000};
    int fd = rig_connect(r);
    unsigned sent = 0;
    char c;

    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment), 0);
    for (; sent < 2000; sent++) {
        rig_send(fd, "X", 1);
        if (recv(fd, &c, 1, 0) >= 0 || errno != EAGAIN) {
            break;
        }
    }
    cr_assert_lt(sent, 2000);
    cr_assert_gt(sent, 5);
    (void)close(fd);
    still_serves(r);
}

Test(api_hostile, a_client_that_drips_is_let_go)
{
    rig.options.request_ms = 400;
    rig_run(&rig, drip);
}

/* More connections than there is room for: the surplus is closed, the others work, and room comes
 * back. */
static void crowd(struct rig *r)
{
    int fds[48];
    unsigned served = 0, closed = 0;

    for (size_t i = 0; i < 48; i++) {
        fds[i] = rig_connect(r);
        rig_send(fds[i], "GET /v1/sas HTTP/1.1\r\nHost: x\r\n\r\n", 34);
    }
    for (size_t i = 0; i < 48; i++) {
        ssize_t got = recv(fds[i], reply, sizeof reply, 0);

        served += got > 0;
        closed += got <= 0;
    }
    cr_assert_eq(served, 32);
    cr_assert_eq(closed, 16);
    for (size_t i = 0; i < 48; i++) {
        (void)close(fds[i]);
    }
    /* The server learns of the closing when its loop turns. */
    for (unsigned tries = 0; tries < 1000 && rig_ask(r, "GET", "/v1/sas", "", reply) == 0;
         tries++) {
    }
    still_serves(r);
}

Test(api_hostile, more_connections_than_there_is_room_for)
{
    rig_run(&rig, crowd);
}
