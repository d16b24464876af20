#include "rig.h"

#include "io/esp_socket.h"
#include "replication/lease.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LOOPBACK = 0x7f000001, BUFFER = 4 << 20 };

uint64_t rig_now_ns(void)
{
    struct timespec t;

    cr_assert_eq(clock_gettime(CLOCK_BOOTTIME, &t), 0);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int udp_socket(uint16_t *port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, size = BUFFER;

    cr_assert_geq(fd, 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on), 0);
    cr_assert_eq(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static int raw_socket(unsigned n_workers, unsigned index)
{
    const struct ip_addr at = addr_v4(LOOPBACK);
    struct io_error error;
    int fd = esp_socket_open(&at, n_workers, index, &error);

    cr_assert_geq(fd, 0, "%s", error.text);
    return fd;
}

static void init(struct rig *r, unsigned n_workers, const int *tun_fds, bool raw)
{
    struct worker_shard shard;
    struct worker_options options;
    uint16_t port = 0;
    int size = BUFFER;

    memset(r, 0, sizeof *r);
    r->n_workers = n_workers;
    for (unsigned i = 0; i < n_workers; i++) {
        int pair[2] = {-1, -1};

        if (tun_fds == NULL) {
            cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
                         0);
            (void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
            (void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
        }
        r->tun[i] = pair[0];
        r->tun_worker[i] = tun_fds == NULL ? pair[1] : tun_fds[i];
        r->udp[i] = udp_socket(&port);
        r->esp[i] = raw ? raw_socket(n_workers, i) : -1;
    }
    r->gateway_at = (struct endpoint){addr_v4(LOOPBACK), port};
    port = 0;
    r->client = udp_socket(&port);
    r->client_at = (struct endpoint){addr_v4(LOOPBACK), port};
    shard = (struct worker_shard){
        .shard = 1, .lease = &r->lease, .outside = {r->gateway_at.ip}, .udp_fds = {r->udp}};
    if (raw)
        shard.esp_fds[SLOT_V4] = r->esp;
    r->raw = raw;
    options = (struct worker_options){.n_workers = n_workers,
                                      .tun_fds = r->tun_worker,
                                      .shards = &shard,
                                      .n_shards = 1,
                                      .sa_capacity = 1000,
                                      .silenced = &r->silenced};
    r->pool = worker_pool_create(&options);
    cr_assert_not_null(r->pool);
    cr_assert(worker_pool_start(r->pool));
}

void rig_init(struct rig *r, unsigned n_workers, const int *tun_fds)
{
    init(r, n_workers, tun_fds, false);
}

void rig_init_raw(struct rig *r, unsigned n_workers)
{
    init(r, n_workers, NULL, true);
}

void rig_deinit(struct rig *r)
{
    worker_pool_stop(r->pool);
    worker_pool_destroy(r->pool);
    for (unsigned i = 0; i < r->n_workers; i++) {
        (void)close(r->udp[i]);
        if (r->raw)
            (void)close(r->esp[i]);
        (void)close(r->tun_worker[i]);
        if (r->tun[i] >= 0)
            (void)close(r->tun[i]);
    }
    (void)close(r->client);
}

void rig_lease(struct rig *r, uint64_t epoch, uint64_t for_ms)
{
    lease_publish(&r->lease, epoch, rig_now_ns() + for_ms * 1000000);
}

void rig_no_lease(struct rig *r)
{
    lease_publish(&r->lease, atomic_load(&r->lease.epoch_index), 0);
}

static struct esp_sa *make(struct rig *r, struct esp_sa_params g, const struct pair_options *o,
                           struct esp_sa *client, uint64_t end, uint64_t ceiling)
{
    struct esp_sa_params c = pair_params(o, false);
    struct esp_sa_grant mine = {.epoch = PAIR_EPOCH, .end = end, .ceiling = ceiling},
                        theirs = {.epoch = PAIR_EPOCH, .end = 1 << 30, .ceiling = UINT32_MAX};
    struct esp_sa *sa;

    sa = worker_sa_install(r->pool, &g);
    cr_assert_not_null(sa);
    esp_sa_set_marks(sa, UINT64_MAX - 1, UINT64_MAX - 1);
    esp_sa_grant(sa, &mine);
    cr_assert(esp_sa_init(client, &c));
    esp_sa_grant(client, &theirs);
    return sa;
}

struct esp_sa *rig_sa(struct rig *r, const struct pair_options *o, struct esp_sa *client,
                      uint64_t end, uint64_t ceiling)
{
    struct esp_sa_params g = pair_params(o, true);

    g.remote = r->client_at;
    return make(r, g, o, client, end, ceiling);
}

struct esp_sa *rig_sa_raw(struct rig *r, const struct pair_options *o, struct esp_sa *client,
                          const struct ip_addr *client_at, uint64_t end, uint64_t ceiling)
{
    struct esp_sa_params g = pair_params(o, true);

    g.raw = true;
    g.remote = (struct endpoint){.ip = *client_at, .port = 500};
    return make(r, g, o, client, end, ceiling);
}

void rig_send(struct rig *r, struct span bytes)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(r->gateway_at.port),
                            .sin_addr.s_addr = htonl(LOOPBACK)};

    cr_assert_eq(sendto(r->client, bytes.data, bytes.len, 0, (struct sockaddr *)&a, sizeof a),
                 (ssize_t)bytes.len);
}

void rig_up(struct rig *r, struct esp_sa *client, const struct pair_options *o, uint32_t number)
{
    struct esp_turn t = {.now_ns = 1, .lease_epoch = PAIR_EPOCH};
    uint8_t plain[128], sealed[256];
    struct span p = pair_up(plain, 100, o, number);
    struct esp_inner inner;
    struct esp_out_result result;

    cr_assert(esp_inner_decode(p, &inner));
    cr_assert_eq(esp_outbound(client, &t, &inner, p, sealed, sizeof sealed, &result),
                 ESP_DROP_NONE);
    rig_send(r, span_of(sealed, result.len));
}

void rig_down(struct rig *r, const struct pair_options *o, uint32_t number, unsigned queue)
{
    struct pollfd w = {.fd = r->tun[queue], .events = POLLOUT};
    uint8_t plain[128];
    struct span p = pair_down(plain, 120, o, number);

    cr_assert_gt(poll(&w, 1, RIG_DEADLINE_MS), 0);
    cr_assert_eq(write(r->tun[queue], p.data, p.len), (ssize_t)p.len);
}

uint32_t rig_delivered(struct rig *r, int ms)
{
    struct pollfd p[RIG_WORKERS_MAX];
    uint8_t b[4096];

    for (unsigned i = 0; i < r->n_workers; i++)
        p[i] = (struct pollfd){.fd = r->tun[i], .events = POLLIN};
    if (poll(p, r->n_workers, ms) <= 0)
        return UINT32_MAX;
    for (unsigned i = 0; i < r->n_workers; i++)
        if (p[i].revents & POLLIN) {
            ssize_t n = read(r->tun[i], b, sizeof b);

            cr_assert_gt(n, 0);
            return pair_number(span_of(b, (size_t)n));
        }
    return UINT32_MAX;
}

uint32_t rig_received(struct rig *r, struct esp_sa *client, uint64_t *seq, int ms)
{
    struct pollfd p = {.fd = r->client, .events = POLLIN};
    struct esp_turn t = {.now_ns = 1, .lease_epoch = PAIR_EPOCH};
    struct esp_in_result result;
    uint8_t b[4096], plain[4096];
    ssize_t n;

    if (poll(&p, 1, ms) <= 0)
        return UINT32_MAX;
    n = recv(r->client, b, sizeof b, 0);
    cr_assert_gt(n, 0);
    cr_assert_eq(
        esp_inbound(client, &t, span_of(b, (size_t)n), &pair_gateway, plain, sizeof plain, &result),
        ESP_DROP_NONE);
    *seq = result.seq;
    return pair_number(span_of(plain, result.len));
}

static void wait_a_little(struct rig *r)
{
    struct pollfd p = {.fd = worker_pool_event_fd(r->pool), .events = POLLIN};

    (void)poll(&p, 1, 2);
}

void rig_wait_counter(struct rig *r, enum worker_counter which, uint64_t least)
{
    uint64_t end = rig_now_ns() + (uint64_t)RIG_DEADLINE_MS * 1000000;

    while (worker_pool_counter(r->pool, which) < least) {
        cr_assert_lt(rig_now_ns(), end, "%s stays at %lu, not %lu", worker_counter_name(which),
                     worker_pool_counter(r->pool, which), least);
        wait_a_little(r);
    }
}

void rig_wait_passed(struct rig *r, uint64_t ticket)
{
    uint64_t end = rig_now_ns() + (uint64_t)RIG_DEADLINE_MS * 1000000;

    while (!worker_pool_passed(r->pool, ticket)) {
        cr_assert_lt(rig_now_ns(), end, "workers do not pass");
        wait_a_little(r);
    }
}

struct worker_event rig_wait_event(struct rig *r, uint32_t spi, uint32_t bit)
{
    uint64_t end = rig_now_ns() + (uint64_t)RIG_DEADLINE_MS * 1000000;
    struct worker_event e;

    for (;;) {
        worker_pool_event_clear(r->pool);
        while (worker_pool_events(r->pool, &e, 1) == 1)
            if (e.spi_in == spi && (e.events & bit) != 0)
                return e;
        cr_assert_lt(rig_now_ns(), end, "event %x of %x does not come", bit, spi);
        wait_a_little(r);
    }
}
