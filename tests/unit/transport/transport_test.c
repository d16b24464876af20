/* Frames between honest nodes: order, size, links that come and go, the seam for a secure layer. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "bench.h"
#include "replication/crc32c.h"
#include "replication/replica.h"

static void both_ways(bool v6)
{
    enum { FRAMES = 20000 };
    struct bench b;

    bench_init(&b, v6);
    bench_start(&b, 1, 11, 0, NULL);
    bench_start(&b, 2, 22, 0, NULL);
    bench_join(&b, 1, 2);
    bench_swap_numbers(&b, FRAMES);
    cr_assert(bench_counters(&b, 1).bad_frame == 0 && b.side[1].down == 0 && b.side[2].down == 0);
    bench_deinit(&b);
}

Test(transport, frames_arrive_in_order_both_ways, .timeout = 60)
{
    both_ways(false);
}

Test(transport, and_over_ipv6, .timeout = 60)
{
    both_ways(true);
}

Test(transport, the_largest_frame_arrives_and_a_larger_one_is_not_sent, .timeout = 60)
{
    enum { BYTES = REPL_MAX_FRAME_BYTES - 1 };
    struct bench b;
    uint8_t *big = malloc(BYTES + 1);
    struct span part;

    cr_assert(big != NULL);
    for (size_t i = 0; i < BYTES; i++)
        big[i] = (uint8_t)(i * 7 + i / 4096);
    bench_init(&b, false);
    b.silence_ms = 8000; /* checksums under sanitizers take their time */
    bench_start(&b, 1, 11, 0, NULL);
    bench_start(&b, 2, 22, 0, NULL);
    bench_join(&b, 1, 2);
    part = span_of(big, BYTES);
    cr_assert(bench_send_number(&b, 1, 2, 0, 0));
    cr_assert(b.side[1].i->send(b.side[1].i->self, 2, REPL_CHANNEL_RAFT, &part, 1));
    part = span_of(big, BYTES + 1);
    cr_assert(!b.side[1].i->send(b.side[1].i->self, 2, REPL_CHANNEL_RAFT, &part, 1));
    cr_assert(bench_send_number(&b, 1, 2, 1, 0));
    BENCH_UNTIL(&b, b.side[2].frames == 3);
    cr_assert(b.side[2].digest_of_large == crc32c(0, big, BYTES) && b.side[2].next == 2);
    cr_assert(b.side[2].bytes == BYTES + 16 && bench_counters(&b, 2).silent == 0);
    bench_deinit(&b);
    free(big);
}

/* The node that stays is connected again soon after the other returned, in both directions,
 * whatever the backoff had grown to. */
Test(transport, a_node_that_returns_is_reachable_at_once, .timeout = 60)
{
    struct bench b;
    uint16_t port, other;
    uint64_t worst = 0;

    bench_init(&b, false);
    bench_start(&b, 1, 11, 0, NULL);
    bench_start(&b, 2, 22, 0, NULL);
    bench_join(&b, 1, 2);
    port = tcp_transport_port(b.side[1].t);
    other = tcp_transport_port(b.side[2].t);
    for (uint64_t round = 1; round <= 10; round++) {
        uint64_t dials = bench_counters(&b, 1).dials;
        uint64_t began;

        bench_stop(&b, 2);
        BENCH_UNTIL(&b, b.side[1].down == round);
        cr_assert(!bench_send_number(&b, 1, 2, 0, 0), "sent to a node that is gone");
        BENCH_UNTIL(&b, bench_counters(&b, 1).dials >= dials + round); /* the backoff grows */
        bench_start(&b, 2, 22 + round, other, NULL);
        began = uv_now(&b.loop);
        bench_peer(&b, 2, 1, port);
        BENCH_UNTIL(&b, b.side[1].up == round + 1 && b.side[2].up == 1);
        uv_update_time(&b.loop);
        if (uv_now(&b.loop) - began > worst)
            worst = uv_now(&b.loop) - began;
    }
    printf("transport: 10 returns of a node, both directions connected within %llu ms at worst\n",
           (unsigned long long)worst);
    cr_assert(worst < 500, "%llu ms", (unsigned long long)worst);
    cr_assert(strstr(b.side[1].last_note, "node 2") != NULL);
    bench_deinit(&b);
}

Test(transport, peers_come_and_go_and_kept_ones_stay_connected)
{
    struct bench b;
    struct tcp_peer p[2];

    bench_init(&b, false);
    bench_start(&b, 1, 11, 0, NULL);
    bench_start(&b, 2, 22, 0, NULL);
    bench_start(&b, 3, 33, 0, NULL);
    bench_join(&b, 1, 2);
    p[0] = (struct tcp_peer){2, {addr_v4(0x7f000001), tcp_transport_port(b.side[2].t)}};
    p[1] = (struct tcp_peer){3, {addr_v4(0x7f000001), tcp_transport_port(b.side[3].t)}};
    tcp_transport_set_peers(b.side[1].t, p, 2);
    bench_peer(&b, 3, 1, tcp_transport_port(b.side[1].t));
    BENCH_UNTIL(&b, b.side[1].up == 2 && b.side[3].up == 1);
    cr_assert(b.side[1].down == 0);
    tcp_transport_set_peers(b.side[1].t, &p[1], 1);
    cr_assert(b.side[1].down == 1 && !b.side[1].i->connected(b.side[1].i->self, 2));
    BENCH_UNTIL(&b, b.side[2].down == 1);
    cr_assert(bench_send_number(&b, 1, 3, 0, 10));
    BENCH_UNTIL(&b, b.side[3].frames == 1);
    /* Node 2 dials on, but is no peer any more. */
    BENCH_UNTIL(&b, bench_counters(&b, 1).wrong_node > 0);
    bench_deinit(&b);
}

/* As when a node that was away hears who is a member by now: those that go are still closing when the others
 * come. */
Test(transport, all_peers_are_others_at_once)
{
    struct bench b;
    struct tcp_peer p[REPL_MAX_NODES - 1];

    bench_init(&b, false);
    bench_start(&b, 1, 11, 0, NULL);
    bench_start(&b, 2, 22, 0, NULL);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i + 1 < REPL_MAX_NODES; i++)
            p[i] = (struct tcp_peer){(round == 0 ? 100 : 2) + i, {addr_v4(0x7f000001), 1}};
        p[0].address.port = tcp_transport_port(b.side[2].t);
        tcp_transport_set_peers(b.side[1].t, p, REPL_MAX_NODES - 1);
    }
    bench_peer(&b, 2, 1, tcp_transport_port(b.side[1].t));
    BENCH_UNTIL(&b, b.side[1].up == 1 && b.side[2].up == 1);
    bench_deinit(&b);
}

Test(transport, a_port_in_use_and_a_foreign_address_are_named)
{
    struct bench b;
    struct tcp_error error;
    struct tcp_transport_options o = {
        .node = 2,
        .listener = {.frame = (void (*)(void *, uint32_t, enum repl_channel, struct span))abort}};

    bench_init(&b, false);
    bench_start(&b, 1, 11, 0, NULL);
    o.listen = (struct endpoint){addr_v4(0x7f000001), tcp_transport_port(b.side[1].t)};
    cr_assert(tcp_transport_create(&b.loop, &o, &error) == NULL);
    cr_assert(strstr(error.text, "127.0.0.1:") && strstr(error.text, "address already in use"),
              "%s", error.text);
    o.listen = (struct endpoint){addr_v4(0xc0000201), 7400};
    cr_assert(tcp_transport_create(&b.loop, &o, &error) == NULL);
    cr_assert(strstr(error.text, "192.0.2.1:7400") && strstr(error.text, "not on this machine"),
              "%s", error.text);
    bench_deinit(&b);
}

/* A layer that needs a handshake (each side says one byte first) and turns every byte: what TLS
 * does, but for security (tls_transport_test.c has the real one). */
struct turned {
    bool greeted;
};

static void *turned_open(void *self, bool dialled, uint32_t expected, struct tcp_sink wire)
{
    static const uint8_t hand = 0x5a;

    (void)self;
    (void)dialled;
    (void)expected;
    wire.write(wire.self, span_of(&hand, 1));
    return calloc(1, sizeof(struct turned));
}

static bool turned_receive(void *session, struct span in, struct tcp_sink plain,
                           struct tcp_sink wire)
{
    struct turned *s = session;
    uint8_t *out;
    size_t n = in.len;

    (void)wire;
    if (!s->greeted && n > 0) {
        if (in.data[0] != 0x5a)
            return false;
        s->greeted = true;
        in.data++;
        n--;
    }
    out = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        out[i] = in.data[i] ^ 0xa5;
    plain.write(plain.self, span_of(out, n));
    free(out);
    return true;
}

static bool turned_send(void *session, struct span plain, struct tcp_sink wire)
{
    const struct turned *s = session;
    uint8_t *out = malloc(plain.len + 1);

    for (size_t i = 0; i < plain.len; i++)
        out[i] = plain.data[i] ^ 0xa5;
    wire.write(wire.self, span_of(out, plain.len));
    free(out);
    return s->greeted;
}

static bool turned_ready(void *session)
{
    return ((const struct turned *)session)->greeted;
}

static bool turned_recheck(void *session)
{
    (void)session;
    return true;
}

static const char *turned_why(void *session)
{
    (void)session;
    return "it is not turned";
}

static uint32_t claims_one(void *session)
{
    (void)session;
    return 1;
}

static uint32_t claims_two(void *session)
{
    (void)session;
    return 2;
}

Test(transport, a_layer_stands_between_socket_and_frames)
{
    struct tcp_layer at_1 = {.open = turned_open,
                             .receive = turned_receive,
                             .send = turned_send,
                             .ready = turned_ready,
                             .peer_node = claims_two,
                             .recheck = turned_recheck,
                             .why = turned_why,
                             .close = free};
    struct tcp_layer at_2 = at_1;
    struct bench b;
    int fd;

    at_2.peer_node = claims_one;
    bench_init(&b, false);
    bench_start(&b, 1, 11, 0, &at_1);
    bench_start(&b, 2, 22, 0, &at_2);
    bench_join(&b, 1, 2);
    for (uint64_t i = 0; i < 100; i++)
        cr_assert(bench_send_number(&b, 1, 2, i, 5000));
    BENCH_UNTIL(&b, b.side[2].frames == 100);
    cr_assert(!b.side[2].out_of_order);
    /* Plaintext does not pass. */
    fd = raw_connect(&b, 1);
    raw_hello(fd, 2, 1, BENCH_CLUSTER, 5);
    BENCH_UNTIL(&b, raw_closed(fd));
    cr_assert(bench_counters(&b, 1).bad_layer == 1 && bench_counters(&b, 1).bad_hello == 0);
    bench_stop(&b, 2);
    /* A certificate of another node does not pass. */
    at_1.peer_node = claims_one;
    bench_start(&b, 2, 23, 0, &at_2);
    bench_peer(&b, 2, 1, tcp_transport_port(b.side[1].t));
    BENCH_UNTIL(&b, bench_counters(&b, 1).wrong_node > 0);
    cr_assert(b.side[2].frames == 0);
    bench_deinit(&b);
    (void)close(fd);
}

static bool told(const struct bench *b, uint32_t node, const char *words)
{
    return strstr(b->side[node].last_note, words) != NULL;
}

/* Who went on without the other is told so on both sides, however often they try; who knows of no
 * incarnation yet (a node about to join) is heard, and keeps its link when it has learnt it. */
Test(transport, another_incarnation_is_refused_and_both_sides_say_so)
{
    struct bench b;
    uint64_t refused;

    bench_init(&b, false);
    bench_start(&b, 1, 11, 0, NULL);
    bench_start(&b, 2, 22, 0, NULL);
    tcp_transport_set_incarnation(b.side[1].t, 77);
    bench_peer(&b, 1, 2, tcp_transport_port(b.side[2].t));
    bench_peer(&b, 2, 1, tcp_transport_port(b.side[1].t));
    BENCH_UNTIL(&b, bench_counters(&b, 1).wrong_incarnation > 3 &&
                        bench_counters(&b, 2).wrong_incarnation > 3);
    cr_assert(told(&b, 1, "node 2 is of incarnation 1 of this cluster, this node of 77"), "%s",
              b.side[1].last_note);
    cr_assert(told(&b, 2, "node 1 is of incarnation 77 of this cluster, this node of 1"), "%s",
              b.side[2].last_note);
    cr_assert(b.side[1].up == 0 && b.side[2].up == 0);
    cr_assert(b.side[1].stranger == 2 && b.side[1].stranger_incarnation == 1);
    cr_assert(b.side[2].stranger == 1 && b.side[2].stranger_incarnation == 77);
    bench_stop(&b, 2);
    bench_start(&b, 2, 23, 0, NULL);
    tcp_transport_set_incarnation(b.side[2].t, 0);
    bench_join(&b, 1, 2);
    BENCH_UNTIL(&b, b.side[1].up > 0 && b.side[2].up > 0);
    tcp_transport_set_incarnation(b.side[2].t, 77);
    bench_swap_numbers(&b, 50);
    /* It dials before it knows: what it has learnt meanwhile is said all the same. */
    bench_stop(&b, 2);
    bench_start(&b, 2, 24, 0, NULL);
    tcp_transport_set_incarnation(b.side[2].t, 0);
    bench_peer(&b, 1, 2, tcp_transport_port(b.side[2].t));
    bench_peer(&b, 2, 1, tcp_transport_port(b.side[1].t));
    tcp_transport_set_incarnation(b.side[2].t, 78);
    refused = bench_counters(&b, 1).wrong_incarnation;
    BENCH_UNTIL(&b, told(&b, 2, "node 1 is of incarnation 77 of this cluster, this node of 78"));
    BENCH_UNTIL(&b, bench_counters(&b, 1).wrong_incarnation > refused);
    cr_assert(b.side[2].up == 0 && b.side[2].frames == 0);
    bench_deinit(&b);
}

/* Who was let in since it knew of no incarnation yet, as one does that lacks its key, and turns out to be of
 * another one, is no longer linked with, and told as any other. */
Test(transport, who_turns_out_to_be_of_another_incarnation_is_cut_off)
{
    struct bench b;

    for (uint32_t learns = 1; learns <= 2; learns++) { /* who dialled, and who was dialled */
        bench_init(&b, false);
        bench_start(&b, 1, 11, 0, NULL);
        bench_start(&b, 2, 22, 0, NULL);
        tcp_transport_set_incarnation(b.side[3 - learns].t, 77);
        tcp_transport_set_incarnation(b.side[learns].t, 0);
        bench_join(&b, 1, 2);
        BENCH_UNTIL(&b, b.side[1].up > 0 && b.side[2].up > 0);
        tcp_transport_set_incarnation(b.side[learns].t, 78);
        BENCH_UNTIL(&b,
                    bench_counters(&b, 1).links_down > 0 && bench_counters(&b, 2).links_down > 0);
        BENCH_UNTIL(&b, bench_counters(&b, 1).wrong_incarnation > 3 &&
                            bench_counters(&b, 2).wrong_incarnation > 3);
        cr_assert(b.side[1].up == 1 && b.side[2].up == 1, "they are linked again");
        cr_assert(b.side[learns].stranger == 3 - learns &&
                  b.side[learns].stranger_incarnation == 77);
        bench_deinit(&b);
    }
}

/* What version 2 refused unread; now nobody learns more of it than that it was no hello. */
Test(transport, a_program_of_the_version_before_is_linked_with_both_ways)
{
    struct bench b;

    bench_init(&b, false);
    b.speaks = 2;
    bench_start(&b, 1, 11, 0, NULL);
    b.speaks = 0;
    bench_start(&b, 2, 22, 0, NULL);
    bench_join(&b, 1, 2);
    BENCH_UNTIL(&b, b.side[1].up > 0 && b.side[2].up > 0);
    cr_assert_gt(bench_counters(&b, 1).bad_hello, 0, "it was greeted as a newer one first");
    cr_assert(bench_counters(&b, 1).wrong_version + bench_counters(&b, 2).wrong_version == 0);
    bench_swap_numbers(&b, 50);
    bench_stop(&b, 1); /* it is upgraded */
    bench_start(&b, 1, 12, 0, NULL);
    bench_join(&b, 1, 2);
    BENCH_UNTIL(&b, b.side[1].up > 0 && b.side[2].up > 1);
    cr_assert_eq(bench_counters(&b, 1).bad_hello, 0);
    bench_deinit(&b);
}

static uint32_t speaks(struct bench *b, uint32_t node, uint32_t to)
{
    const struct repl_transport *i = b->side[node].i;

    return i->speaks(i->self, to);
}

static uint32_t hears(struct bench *b, uint32_t node, uint32_t from)
{
    const struct repl_transport *i = b->side[node].i;

    return i->hears(i->self, from);
}

/* A link speaks what both ends know: that is what may be sent over it, and how what comes by it is read. */
Test(transport, a_link_says_which_version_it_speaks)
{
    static const uint32_t former[] = {2, 3, 0};
    static const uint32_t expected[] = {2, 3, TCP_VERSION};

    for (size_t i = 0; i < 3; i++) {
        struct bench b;

        bench_init(&b, false);
        b.speaks = former[i];
        bench_start(&b, 1, 11, 0, NULL);
        b.speaks = 0;
        bench_start(&b, 2, 22, 0, NULL);
        bench_join(&b, 1, 2);
        BENCH_UNTIL(&b, b.side[1].up > 0 && b.side[2].up > 0);
        cr_assert_eq(speaks(&b, 1, 2), expected[i]);
        cr_assert_eq(speaks(&b, 2, 1), expected[i]);
        cr_assert_eq(hears(&b, 1, 2), expected[i]);
        cr_assert_eq(hears(&b, 2, 1), expected[i]);
        bench_stop(&b, 1); /* it is upgraded */
        bench_start(&b, 1, 12, 0, NULL);
        bench_join(&b, 1, 2);
        BENCH_UNTIL(&b, b.side[1].up > 0 && b.side[2].up > 1);
        BENCH_UNTIL(&b, speaks(&b, 1, 2) == TCP_VERSION && speaks(&b, 2, 1) == TCP_VERSION);
        BENCH_UNTIL(&b, hears(&b, 1, 2) == TCP_VERSION && hears(&b, 2, 1) == TCP_VERSION);
        bench_deinit(&b);
    }
}

/* An attempt that broke off before the greeting may have met a program of version 2, and the next one
 * speaks to it as such. The peer's own greeting says better: the link does not stay one of before. */
Test(transport, a_broken_attempt_does_not_make_a_former_link)
{
    struct bench b;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t len = sizeof addr;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), fd = -1;

    cr_assert(bind(server, (struct sockaddr *)&addr, sizeof addr) == 0 && listen(server, 5) == 0);
    cr_assert(getsockname(server, (struct sockaddr *)&addr, &len) == 0);
    bench_init(&b, false);
    bench_start(&b, 1, 11, 0, NULL);
    bench_peer(&b, 1, 2, ntohs(addr.sin_port));
    BENCH_UNTIL(&b, (fd = accept(server, NULL, NULL)) >= 0);
    (void)close(fd); /* it connected, and was not greeted */
    (void)close(server);
    BENCH_UNTIL(&b, bench_counters(&b, 1).dials_failed > 0);
    bench_start(&b, 2, 22, ntohs(addr.sin_port), NULL);
    bench_peer(&b, 2, 1, tcp_transport_port(b.side[1].t));
    BENCH_UNTIL(&b, b.side[1].up > 0 && b.side[2].up > 0);
    BENCH_UNTIL(&b, speaks(&b, 1, 2) == TCP_VERSION && speaks(&b, 2, 1) == TCP_VERSION);
    bench_deinit(&b);
}

/* As a later program will greet: other versions, more fields. */
static void later_hello(int fd, uint32_t version, uint16_t oldest, size_t more)
{
    struct tcp_hello h = {.version = version,
                          .from = 2,
                          .to = 1,
                          .cluster = BENCH_CLUSTER,
                          .boot = 5,
                          .incarnation = BENCH_INCARNATION,
                          .oldest = oldest};
    uint8_t hello[TCP_HELLO_MAX] = {0};
    size_t n = tcp_hello_encode(&h, hello);

    memset(hello + n - 4, 0x5a, more);
    n += more;
    put_be16(hello + 46, (uint16_t)n);
    put_be32(hello + n - 4, crc32c(0, hello, n - 4));
    raw_send(fd, hello, n);
}

/* The node's answer, whole. */
static struct tcp_hello answer_of(struct bench *b, int fd)
{
    uint8_t bytes[TCP_HELLO_BYTES];
    struct tcp_hello h = {0};

    BENCH_UNTIL(b, recv(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_PEEK) == sizeof bytes);
    cr_assert_eq(tcp_hello_decode(span_of(bytes, sizeof bytes), &h), TCP_DONE);
    return h;
}

Test(transport, a_later_program_is_linked_with_where_it_takes_our_version)
{
    struct bench b;
    struct tcp_hello h;
    int fd[2];

    bench_init(&b, false);
    bench_start(&b, 1, 11, 0, NULL);
    bench_peer(&b, 1, 2, 9); /* nobody listens there */
    fd[0] = raw_connect(&b, 1);
    later_hello(fd[0], 9, 3, 20);
    h = answer_of(&b, fd[0]);
    cr_assert(h.version == TCP_VERSION && h.oldest == TCP_OLDEST && h.to == 2);
    cr_assert_eq(bench_counters(&b, 1).wrong_version, 0);
    fd[1] = raw_connect(&b, 1);
    later_hello(fd[1], 9, 8, TCP_HELLO_MAX - TCP_HELLO_BYTES);
    h = answer_of(&b, fd[1]);
    cr_assert(h.version == TCP_VERSION && h.oldest == TCP_OLDEST, "it, too, learns why");
    BENCH_UNTIL(&b, raw_closed(fd[1]));
    cr_assert_eq(bench_counters(&b, 1).wrong_version, 1);
    cr_assert(told(&b, 1, "node 2 speaks versions 8 to 9 of the links, this node 2 to 4"), "%s",
              b.side[1].last_note);
    (void)close(fd[0]);
    (void)close(fd[1]);
    bench_deinit(&b);
}
