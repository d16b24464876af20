#include "bench.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "replication/crc32c.h"
#include "replication/tcp_conn.h"

static void on_frame(void *self, uint32_t from, enum repl_channel channel, struct span bytes)
{
    struct side *s = self;

    (void)from;
    s->frames++;
    s->bytes += bytes.len;
    if (bytes.len > REPL_MAX_FRAME_BYTES / 2) {
        s->digest_of_large = crc32c(0, bytes.data, bytes.len);
    } else if (channel == REPL_CHANNEL_RAFT && bytes.len >= 8) {
        s->out_of_order = s->out_of_order || get_be64(bytes.data) != s->next;
        s->next++;
    }
}

static void on_link(void *self, uint32_t node, bool up)
{
    struct side *s = self;

    (void)node;
    *(up ? &s->up : &s->down) += 1;
}

static void on_stranger(void *self, uint32_t node, uint64_t incarnation)
{
    struct side *s = self;

    s->stranger = node;
    s->stranger_incarnation = incarnation;
}

static void on_note(void *self, const char *text)
{
    struct side *s = self;

    (void)snprintf(s->last_note, sizeof s->last_note, "%s", text);
}

static void on_limit(uv_timer_t *timer)
{
    struct bench *b = timer->data;

    b->late = true;
}

void bench_init(struct bench *b, bool v6)
{
    memset(b, 0, sizeof *b);
    (void)signal(SIGPIPE, SIG_IGN);
    b->v6 = v6;
    b->silence_ms = 400;
    cr_assert(uv_loop_init(&b->loop) == 0 && uv_timer_init(&b->loop, &b->limit) == 0);
    b->limit.data = b;
}

static struct endpoint local(const struct bench *b, uint16_t port)
{
    struct endpoint e = {.ip = addr_v4(0x7f000001), .port = port};

    if (b->v6) {
        e.ip = (struct ip_addr){.family = ADDR_V6};
        e.ip.bytes[15] = 1;
    }
    return e;
}

void bench_start(struct bench *b, uint32_t node, uint64_t boot, uint16_t port,
                 const struct tcp_layer *layer)
{
    struct side *s = &b->side[node];
    struct tcp_transport_options o = {
        .node = node,
        .boot = boot,
        .cluster = BENCH_CLUSTER,
        .incarnation = BENCH_INCARNATION,
        .listen = local(b, port),
        .layer = layer,
        .timing = {.silence_ms = b->silence_ms, .ping_ms = 80},
        .listener = {.self = s, .frame = on_frame, .link = on_link, .stranger = on_stranger},
        .note = on_note,
        .note_self = s};
    struct tcp_error error;

    *s = (struct side){.bench = b, .node = node};
    s->t = tcp_transport_create(&b->loop, &o, &error);
    cr_assert(s->t != NULL, "%s", error.text);
    s->i = tcp_transport_interface(s->t);
}

static void on_stopped(void *arg)
{
    *(bool *)arg = true;
}

void bench_stop(struct bench *b, uint32_t node)
{
    bool stopped = false;

    tcp_transport_close(b->side[node].t, on_stopped, &stopped);
    b->side[node].t = NULL;
    BENCH_UNTIL(b, stopped);
}

void bench_deinit(struct bench *b)
{
    for (uint32_t node = 1; node < 4; node++)
        if (b->side[node].t != NULL)
            bench_stop(b, node);
    uv_close((uv_handle_t *)&b->limit, NULL);
    (void)uv_run(&b->loop, UV_RUN_DEFAULT);
    cr_assert(uv_loop_close(&b->loop) == 0, "a handle is left open");
}

void bench_peer(struct bench *b, uint32_t node, uint32_t peer, uint16_t port)
{
    struct tcp_peer p = {.node = peer, .address = local(b, port)};

    tcp_transport_set_peers(b->side[node].t, &p, 1);
}

void bench_join(struct bench *b, uint32_t x, uint32_t y)
{
    bench_peer(b, x, y, tcp_transport_port(b->side[y].t));
    bench_peer(b, y, x, tcp_transport_port(b->side[x].t));
    BENCH_UNTIL(b, b->side[x].i->connected(b->side[x].i->self, y) &&
                       b->side[y].i->connected(b->side[y].i->self, x));
}

void bench_begin_wait(struct bench *b)
{
    b->late = false;
    (void)uv_timer_start(&b->limit, on_limit, BENCH_WAIT_MS, 0);
}

void bench_end_wait(struct bench *b, const char *what, int line)
{
    (void)uv_timer_stop(&b->limit);
    cr_assert(!b->late, "line %d: in vain waited for: %s", line, what);
}

bool bench_send_number(struct bench *b, uint32_t from, uint32_t to, uint64_t number, size_t padding)
{
    static uint8_t zeros[1 << 20];
    const struct repl_transport *i = b->side[from].i;
    uint8_t n[8] = {0};
    struct span parts[2] = {span_of(n, 8), span_of(zeros, padding)};

    put_be64(n, number);
    return i->send(i->self, to, REPL_CHANNEL_RAFT, parts, 2);
}

void bench_swap_numbers(struct bench *b, uint64_t frames)
{
    uint64_t sent[2] = {0};

    bench_begin_wait(b);
    while ((b->side[1].frames < frames || b->side[2].frames < frames) && !b->late) {
        for (int k = 0; k < 64; k++) {
            if (sent[0] < frames && bench_send_number(b, 1, 2, sent[0], sent[0] % 3000))
                sent[0]++;
            if (sent[1] < frames && bench_send_number(b, 2, 1, sent[1], sent[1] % 70))
                sent[1]++;
        }
        (void)uv_run(&b->loop, UV_RUN_NOWAIT);
    }
    bench_end_wait(b, "all frames", __LINE__);
    cr_assert(!b->side[1].out_of_order && !b->side[2].out_of_order);
}

struct tcp_counters bench_counters(struct bench *b, uint32_t node)
{
    struct tcp_counters c;

    tcp_transport_get_counters(b->side[node].t, &c);
    return c;
}

int raw_connect(struct bench *b, uint32_t node)
{
    struct endpoint e = local(b, tcp_transport_port(b->side[node].t));
    struct sockaddr_storage addr;
    int fd = socket(b->v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);

    tcp_sockaddr(&e, &addr);
    cr_assert(fd >= 0 && connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0);
    cr_assert(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

void raw_send(int fd, const void *bytes, size_t n)
{
    cr_assert(send(fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
}

void raw_hello(int fd, uint32_t from, uint32_t to, uint64_t cluster, uint64_t boot)
{
    uint8_t hello[TCP_HELLO_BYTES];

    tcp_hello_encode(&(struct tcp_hello){.version = TCP_VERSION,
                                         .from = from,
                                         .to = to,
                                         .cluster = cluster,
                                         .boot = boot,
                                         .incarnation = BENCH_INCARNATION},
                     hello);
    raw_send(fd, hello, sizeof hello);
}

bool raw_closed(int fd)
{
    uint8_t buf[256];
    ssize_t r;

    while ((r = recv(fd, buf, sizeof buf, MSG_DONTWAIT)) > 0)
        ;
    return r == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}
