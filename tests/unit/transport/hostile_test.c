/* Peers that lie, babble, stay silent, or do not read. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "bench.h"
#include "replication/crc32c.h"

/* Node 1 with a peer 2 whose address leads nowhere. */
static void one(struct bench *b)
{
    bench_init(b, false);
    bench_start(b, 1, 11, 0, NULL);
    bench_peer(b, 1, 2, 1);
}

static void frame(int fd, uint8_t channel, const void *bytes, size_t n)
{
    uint8_t header[TCP_FRAME_HEADER + 1];
    struct span part = span_of(bytes, n);
    size_t total;

    cr_assert(tcp_frame_header(channel, &part, 1, header, &total));
    raw_send(fd, header, sizeof header);
    if (n > 0)
        raw_send(fd, bytes, n);
}

Test(transport_hostile, hellos_that_are_refused_and_counted)
{
    struct bench b;
    struct tcp_counters c;
    uint8_t bad[TCP_HELLO_BYTES];
    int fd[8];

    one(&b);
    for (int i = 0; i < 8; i++)
        fd[i] = raw_connect(&b, 1);
    memset(bad, 'x', sizeof bad);
    raw_send(fd[0], bad, sizeof bad);
    (void)tcp_hello_encode(&(struct tcp_hello){9, 2, 1, BENCH_CLUSTER, 1, 1, 10}, bad);
    raw_send(fd[1], bad, sizeof bad);
    (void)tcp_hello_encode(&(struct tcp_hello){TCP_VERSION, 2, 1, BENCH_CLUSTER, 1, 1, 0}, bad);
    bad[20] ^= 1;
    raw_send(fd[2], bad, sizeof bad);
    raw_hello(fd[3], 2, 1, BENCH_CLUSTER + 1, 1);
    raw_hello(fd[4], 7, 1, BENCH_CLUSTER, 1);
    raw_hello(fd[5], 0, 1, BENCH_CLUSTER, 1);
    raw_hello(fd[6], 2, 3, BENCH_CLUSTER, 1);
    raw_hello(fd[7], 1, 1, BENCH_CLUSTER, 1);
    for (int i = 0; i < 8; i++) {
        BENCH_UNTIL(&b, raw_closed(fd[i]));
        (void)close(fd[i]);
    }
    c = bench_counters(&b, 1);
    cr_assert(c.bad_hello == 3 && c.wrong_cluster == 1 && c.wrong_node == 4);
    cr_assert(b.side[1].frames == 0 && strlen(b.side[1].last_note) > 0);
    bench_deinit(&b);
}

Test(transport_hostile, frames_that_drop_the_connection)
{
    struct bench b;
    uint8_t header[TCP_FRAME_HEADER + 1];
    size_t total;

    one(&b);
    for (int kind = 0; kind < 5; kind++) {
        int fd = raw_connect(&b, 1);

        raw_hello(fd, 2, 1, BENCH_CLUSTER, 1);
        frame(fd, REPL_CHANNEL_FORWARD, "good", 4);
        cr_assert(tcp_frame_header(REPL_CHANNEL_FORWARD, NULL, 0, header, &total));
        if (kind == 0)
            put_be32(header, 0);
        if (kind == 1)
            put_be32(header, (uint32_t)REPL_MAX_FRAME_BYTES + 1);
        if (kind == 2)
            header[5] ^= 4;
        if (kind <= 2)
            raw_send(fd, header, sizeof header);
        if (kind == 3)
            frame(fd, 77, "x", 1);
        if (kind == 4)
            frame(fd, TCP_CHANNEL_PING, "ping with a payload", 19);
        BENCH_UNTIL(&b, raw_closed(fd));
        (void)close(fd);
        cr_assert(bench_counters(&b, 1).bad_frame == (uint64_t)kind + 1);
    }
    cr_assert(b.side[1].frames == 5, "%d", (int)b.side[1].frames);
    bench_deinit(&b);
}

/* A claimed length takes no memory before the bytes come: the reader holds what came,
 * at most doubled. */
Test(transport_hostile, a_claimed_length_costs_nothing)
{
    struct tcp_reader r = {.greeted = true};
    uint8_t bytes[TCP_FRAME_HEADER + 100] = {0};
    struct span in = span_of(bytes, sizeof bytes), payload;
    struct tcp_hello hello;
    uint8_t channel;

    put_be32(bytes, REPL_MAX_FRAME_BYTES);
    bytes[TCP_FRAME_HEADER] = REPL_CHANNEL_RAFT;
    cr_assert(tcp_reader_next(&r, &in, &hello, &channel, &payload) == TCP_MORE);
    cr_assert(r.len == sizeof bytes && r.cap <= 4096);
    tcp_reader_deinit(&r);
}

/* What is unpacked whole before it is judged must not be large. */
Test(transport_hostile, no_channel_makes_the_reader_hold_much)
{
    enum { PIECE = 1 << 20, BODY = REPL_MAX_FRAME_BYTES };
    uint8_t *frame = calloc(1, TCP_FRAME_HEADER + BODY + 1);
    size_t refused = 0;

    for (unsigned channel = 0; channel <= 255; channel++)
        for (size_t len = BODY; len <= BODY + 1; len++) {
            struct tcp_reader r = {.greeted = true};
            enum tcp_decoded d = TCP_MORE;
            struct tcp_hello hello;
            struct span payload;
            uint8_t told;

            if (len == BODY && channel > REPL_CHANNEL_RAFT + 1) /* 8 MiB each: a few will do */
                continue;
            frame[TCP_FRAME_HEADER] = (uint8_t)channel;
            put_be32(frame, (uint32_t)len);
            if (len == BODY)
                put_be32(frame + 4, crc32c(0, frame + TCP_FRAME_HEADER, len));
            for (size_t at = 0; at < TCP_FRAME_HEADER + len && d == TCP_MORE; at += PIECE) {
                size_t left = TCP_FRAME_HEADER + len - at;
                struct span in = span_of(frame + at, left < PIECE ? left : PIECE);

                d = tcp_reader_next(&r, &in, &hello, &told, &payload);
                cr_assert(r.cap <= TCP_FRAME_HEADER + len, "it holds %zu bytes", r.cap);
            }
            if (len > BODY) {
                cr_assert(d == TCP_BAD_LENGTH && r.cap <= 4096, "channel %u: %d", channel, d);
                refused++;
            } else {
                cr_assert(d == TCP_DONE && told == channel && payload.len == len - 1);
            }
            tcp_reader_deinit(&r);
        }
    printf("compared %zu channels\n", refused);
    cr_assert(refused == 256);
    free(frame);
}

/* A key came in a frame: once the frame is consumed, its room holds nothing of it. */
Test(transport_hostile, a_consumed_frame_is_overwritten)
{
    enum { BODY = 101 };
    struct tcp_reader r = {.greeted = true};
    uint8_t bytes[TCP_FRAME_HEADER + BODY];
    struct span in = span_of(bytes, sizeof bytes), payload;
    struct tcp_hello hello;
    uint8_t channel;
    size_t held = 0, left = 0;

    memset(bytes, 0xa5, sizeof bytes);
    put_be32(bytes, BODY);
    put_be32(bytes + 4, crc32c(0, bytes + TCP_FRAME_HEADER, BODY));
    cr_assert(tcp_reader_next(&r, &in, &hello, &channel, &payload) == TCP_DONE);
    for (size_t i = 0; i < payload.len; i++)
        held += payload.data[i] == 0xa5;
    cr_assert(held == BODY - 1);
    cr_assert(tcp_reader_next(&r, &in, &hello, &channel, &payload) == TCP_MORE);
    cr_assert(r.len == 0 && r.cap >= sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        left += r.buf[i] == 0xa5;
    cr_assert(left == 0, "%zu bytes are left", left);
    printf("compared %zu bytes\n", held);
    tcp_reader_deinit(&r);
}

/* Nor may it be sent: the peer would drop the connection, and every frame behind it. */
Test(transport_hostile, a_frame_that_the_peer_would_refuse_is_not_made)
{
    uint8_t header[TCP_FRAME_HEADER + 1];
    struct span part = span_of("", REPL_MAX_FRAME_BYTES); /* its bytes are not looked at */
    size_t total;

    cr_assert(!tcp_frame_header(REPL_CHANNEL_FORWARD, &part, 1, header, &total));
}

Test(transport_hostile, silence_is_noticed, .timeout = 20)
{
    struct bench b;
    int silent, ungreeted;

    one(&b);
    silent = raw_connect(&b, 1);
    ungreeted = raw_connect(&b, 1);
    raw_hello(silent, 2, 1, BENCH_CLUSTER, 1);
    raw_send(ungreeted, "HFHEL", 5);
    BENCH_UNTIL(&b, raw_closed(silent) && raw_closed(ungreeted));
    cr_assert(bench_counters(&b, 1).silent == 2);
    (void)close(silent);
    (void)close(ungreeted);
    bench_deinit(&b);
}

Test(transport_hostile, ungreeted_connections_are_few)
{
    enum { MANY = 200, ALLOWED = 16 };
    struct bench b;
    int fd[MANY], open_now;

    one(&b);
    for (int i = 0; i < MANY; i++) {
        fd[i] = raw_connect(&b, 1);
        (void)uv_run(&b.loop, UV_RUN_NOWAIT);
    }
    BENCH_UNTIL(&b, bench_counters(&b, 1).accepts == MANY);
    (void)uv_run(&b.loop, UV_RUN_NOWAIT);
    open_now = 0;
    for (int i = 0; i < MANY; i++)
        open_now += !raw_closed(fd[i]);
    cr_assert(open_now <= ALLOWED, "%d", open_now);
    for (int i = 0; i < MANY; i++)
        (void)close(fd[i]);
    bench_deinit(&b);
}

/* The same node connects again: frames of the older connection never come after those of the newer.
 */
Test(transport_hostile, a_newer_connection_replaces_the_older)
{
    struct bench b;
    int a, c;

    one(&b);
    a = raw_connect(&b, 1);
    raw_hello(a, 2, 1, BENCH_CLUSTER, 1);
    frame(a, REPL_CHANNEL_FORWARD, "old", 3);
    BENCH_UNTIL(&b, b.side[1].frames == 1);
    c = raw_connect(&b, 1);
    raw_hello(c, 2, 1, BENCH_CLUSTER, 2);
    frame(c, REPL_CHANNEL_FORWARD, "new", 3);
    BENCH_UNTIL(&b, b.side[1].frames == 2 && raw_closed(a));
    cr_assert(bench_counters(&b, 1).replaced == 1);
    (void)close(a);
    (void)close(c);
    bench_deinit(&b);
}

/* Accepts node 1's dial and greets as node 2, then never reads: the queue fills and send() says so.
 */
Test(transport_hostile, a_peer_that_does_not_read_fills_a_bounded_queue, .timeout = 30)
{
    struct bench b;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t len = sizeof addr;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), fd = -1, small = 4096;
    uint64_t sent = 0;
    struct tcp_counters c;

    (void)setsockopt(server, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    cr_assert(bind(server, (struct sockaddr *)&addr, sizeof addr) == 0 && listen(server, 5) == 0);
    cr_assert(getsockname(server, (struct sockaddr *)&addr, &len) == 0);
    bench_init(&b, false);
    bench_start(&b, 1, 11, 0, NULL);
    bench_peer(&b, 1, 2, ntohs(addr.sin_port));
    BENCH_UNTIL(&b, (fd = accept(server, NULL, NULL)) >= 0);
    raw_hello(fd, 2, 1, BENCH_CLUSTER, 1);
    BENCH_UNTIL(&b, b.side[1].up == 1);
    while (sent < 100000 && bench_send_number(&b, 1, 2, sent, 1000))
        sent++;
    c = bench_counters(&b, 1);
    cr_assert(sent * 1008 <= TCP_QUEUE_BYTES + (8 << 20) && sent * 1008 >= TCP_QUEUE_BYTES / 2,
              "%llu frames", (unsigned long long)sent);
    cr_assert(c.frames_refused == 1);
    /* And the kernel's timeout ends it: unread data is not acknowledged for ever. */
    BENCH_UNTIL(&b, b.side[1].down == 1);
    (void)close(fd);
    (void)close(server);
    bench_deinit(&b);
}
