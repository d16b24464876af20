/* Who may try to come in before it has proven anything: each peer's address by itself, all strangers
 * together. Node 1 listens on 127.0.0.1 and has peer 2 at 127.0.0.2: so what comes from 127.0.0.1 is a
 * stranger's. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "cluster_pki/cluster_pki.h"
#include "replication/tcp_conn.h"
#include "replication/tls_layer.h"

enum { STRANGER = 0x7f000001, PEER = 0x7f000002, FLOOD = 100, WAITING = 8 };

static struct bench b;

static void begin_with(const struct tcp_layer *layer)
{
    const struct tcp_peer two = {.node = 2, .address = {.ip = addr_v4(PEER), .port = 1}};

    bench_init(&b, false);
    bench_start(&b, 1, 11, 0, layer);
    tcp_transport_set_peers(b.side[1].t, &two, 1);
}

static int connect_from(uint32_t source)
{
    struct endpoint from = {.ip = addr_v4(source)},
                    to = {.ip = addr_v4(STRANGER), .port = tcp_transport_port(b.side[1].t)};
    struct sockaddr_storage addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    tcp_sockaddr(&from, &addr);
    cr_assert(fd >= 0 && bind(fd, (const struct sockaddr *)&addr, sizeof addr) == 0);
    tcp_sockaddr(&to, &addr);
    cr_assert(connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0);
    cr_assert(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

/* So many connections that say nothing. */
static void flood(uint32_t source, int *fd, int n)
{
    uint64_t accepted = bench_counters(&b, 1).accepts;

    for (int i = 0; i < n; i++) {
        fd[i] = connect_from(source);
        (void)uv_run(&b.loop, UV_RUN_NOWAIT);
    }
    BENCH_UNTIL(&b, bench_counters(&b, 1).accepts == accepted + (uint64_t)n);
    (void)uv_run(&b.loop, UV_RUN_NOWAIT);
}

static void close_all(const int *fd, int n)
{
    for (int i = 0; i < n; i++)
        (void)close(fd[i]);
}

static void say(int fd)
{
    uint8_t header[TCP_FRAME_HEADER + 1];
    struct span part = span_of("word", 4);
    size_t total;

    raw_hello(fd, 2, 1, BENCH_CLUSTER, 7);
    cr_assert(tcp_frame_header(REPL_CHANNEL_FORWARD, &part, 1, header, &total));
    raw_send(fd, header, sizeof header);
    raw_send(fd, "word", 4);
}

/* Strangers use up what they have; a peer's attempts are its own. And the other way round. */
Test(transport_door, strangers_take_no_attempt_from_a_peer)
{
    int fd[FLOOD], peer;
    uint64_t limited;

    begin_with(NULL);
    flood(STRANGER, fd, FLOOD);
    limited = bench_counters(&b, 1).limited;
    cr_assert(limited >= FLOOD / 2, "%d were limited", (int)limited);
    peer = connect_from(PEER);
    say(peer);
    BENCH_UNTIL(&b, b.side[1].frames == 1 || raw_closed(peer));
    cr_assert(b.side[1].frames == 1, "the peer was not let in");
    (void)close(peer);
    close_all(fd, FLOOD);
    bench_deinit(&b);
}

/* One who waits is not put out by those who come after it at another door. */
Test(transport_door, strangers_put_no_waiting_peer_out)
{
    int fd[2 * WAITING], peer;

    begin_with(NULL);
    peer = connect_from(PEER);
    BENCH_UNTIL(&b, bench_counters(&b, 1).accepts == 1);
    flood(STRANGER, fd, 2 * WAITING);
    cr_assert(!raw_closed(peer), "the peer was put out");
    say(peer);
    BENCH_UNTIL(&b, b.side[1].frames == 1);
    (void)close(peer);
    close_all(fd, 2 * WAITING);
    bench_deinit(&b);
}

/* Who is refused comes again at once: one line in ten seconds is enough. */
Test(transport_door, refusals_are_told_once_in_a_while)
{
    enum { TIMES = 20 };
    struct tls_layer *layer;
    struct cluster_pki pki;
    struct tls_identity *identity;

    cluster_pki_init(&pki, "lab");
    identity = cluster_pki_identity(&pki, 1);
    layer = tls_layer_create(identity, 0);
    tls_identity_release(identity);
    begin_with(tls_layer_interface(layer));
    for (uint64_t i = 0; i < TIMES; i++) {
        int fd = connect_from(STRANGER);

        raw_send(fd, "noise, noise", 12);
        BENCH_UNTIL(&b, raw_closed(fd));
        (void)close(fd);
    }
    cr_assert(bench_counters(&b, 1).bad_layer == TIMES);
    cr_assert(bench_counters(&b, 1).notes_suppressed == TIMES - 1, "%d were not told",
              (int)bench_counters(&b, 1).notes_suppressed);
    bench_deinit(&b);
    tls_layer_destroy(layer);
    cluster_pki_deinit(&pki);
}
