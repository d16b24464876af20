#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

/* A packet: magic 8, direction 1, unused 1, client 2, unused 4, number 8, time 8. */
enum { PORT_NUMBERS = 7007, AT_DIRECTION = 8, AT_CLIENT = 10, AT_NUMBER = 16, AT_TIME = 24 };

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static uint64_t stamp_of(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;

            memcpy(&t, CMSG_DATA(c), sizeof t);
            return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
        }
    }
    return pump_wall_ns();
}

static void arrived(void *arg, uint32_t events)
{
    struct traffic_end *end = arg;
    struct traffic *t = end->owner;
    uint8_t packet[TRAFFIC_MAX_BYTES];
    char control[128];
    struct iovec iov = {packet, sizeof packet};

    (void)events;
    for (;;) {
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        ssize_t n = recvmsg(end->watch.fd, &m, MSG_DONTWAIT);
        unsigned client;

        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n < TRAFFIC_MIN_BYTES || memcmp(packet, TRAFFIC_MAGIC, 8) != 0 ||
            packet[AT_DIRECTION] != end->receives)
            continue; /* an ICMP error on the socket, or not ours */
        client = get_be16(packet + AT_CLIENT);
        if (client < t->plan.clients)
            numbers_arrive(&t->clients[client].numbers[end->receives], get_be64(packet + AT_NUMBER),
                           stamp_of(&m));
    }
}

/* By IPv4, or by IPv6: whatever the client has; of both in turn. */
static unsigned family_of(const struct traffic_client *c, uint64_t number)
{
    if (c->inner[TRAFFIC_V4] && c->inner[TRAFFIC_V6])
        return number & 1 ? TRAFFIC_V6 : TRAFFIC_V4;
    return c->inner[TRAFFIC_V4] ? TRAFFIC_V4 : TRAFFIC_V6;
}

static socklen_t address(unsigned family, uint32_t host_order, union any_address *to)
{
    memset(to, 0, sizeof *to);
    if (family == TRAFFIC_V4) {
        to->v4.sin_family = AF_INET;
        to->v4.sin_port = htons(PORT_NUMBERS);
        to->v4.sin_addr.s_addr = htonl(host_order);
        return sizeof to->v4;
    }
    to->v6.sin6_family = AF_INET6;
    to->v6.sin6_port = htons(PORT_NUMBERS);
    to->v6.sin6_addr.s6_addr[0] = 0xfd; /* the twin of an IPv4 address: lab.h */
    to->v6.sin6_addr.s6_addr[1] = 0x77;
    put_be32(to->v6.sin6_addr.s6_addr + 12, host_order);
    return sizeof to->v6;
}

static void send_one(struct traffic *t, unsigned client, enum traffic_direction d)
{
    struct traffic_client *c = &t->clients[client];
    uint8_t packet[TRAFFIC_MAX_BYTES] = TRAFFIC_MAGIC;
    uint64_t now = pump_wall_ns(), number = numbers_send(&c->numbers[d], now);
    unsigned family = family_of(c, number);
    union any_address to;
    socklen_t len = address(family, d == TRAFFIC_IN ? LAB_SERVER : c->inner[family], &to);
    int fd = d == TRAFFIC_IN ? c->ends[family].watch.fd : t->server[family].watch.fd;

    packet[AT_DIRECTION] = (uint8_t)d;
    put_be16(packet + AT_CLIENT, (uint16_t)client);
    put_be64(packet + AT_NUMBER, number);
    put_be64(packet + AT_TIME, now);
    if (sendto(fd, packet, t->plan.bytes, MSG_DONTWAIT, &to.any, len) != (ssize_t)t->plan.bytes)
        t->send_failed++;
}

static void send_slice(struct traffic *t)
{
    for (unsigned i = (unsigned)(t->turn++ % t->slices); i < t->plan.clients; i += t->slices) {
        for (unsigned d = 0; d < TRAFFIC_DIRECTIONS; d++) {
            if (t->half ? d == t->alone : t->plan.directions[d])
                send_one(t, i, (enum traffic_direction)d);
        }
    }
}

static void ticked(void *arg, uint32_t events)
{
    struct traffic *t = arg;
    uint64_t times = 0;

    (void)events;
    if (read(t->tick.fd, &times, sizeof times) != (ssize_t)sizeof times || !t->sending)
        return;
    for (uint64_t i = 0; i < times; i++)
        send_slice(t);
    if (t->plan.upload && !t->half)
        traffic_upload_some(t, times);
}

/* A socket on that address; errors of an earlier send are not told: they belong to nobody. */
static bool open_end(struct traffic *t, struct traffic_end *end, enum lab_place place,
                     unsigned family, uint32_t on_address)
{
    union any_address local;
    socklen_t len = address(family, on_address, &local);
    int on = 1, size = t->plan.clients > 1 && place == LAB_CLIENT_NS ? 1 << 18 : 4 << 20;

    if (!lab_enter(t->lab, place))
        return false;
    end->watch.fd = socket(local.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    lab_leave(t->lab);
    if (end->watch.fd < 0 ||
        setsockopt(end->watch.fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0 ||
        setsockopt(end->watch.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0 ||
        bind(end->watch.fd, &local.any, len) != 0) {
        char text[LAB_ADDRESS_TEXT];

        return lab_fail(t->lab, "traffic socket on %s: %s",
                        lab_address(on_address, family == TRAFFIC_V6, text), strerror(errno));
    }
    return pump_add(&t->lab->pump, &end->watch, EPOLLIN) ||
           lab_fail(t->lab, "epoll_ctl: %s", strerror(errno));
}

static void prepare_end(struct traffic *t, struct traffic_end *end, enum traffic_direction receives)
{
    *end = (struct traffic_end){.owner = t, .receives = receives};
    end->watch = (struct pump_watch){-1, arrived, end};
}

static bool open_client(struct traffic *t, unsigned i, const uint32_t inner[TRAFFIC_FAMILIES])
{
    struct traffic_client *c = &t->clients[i];

    if (!inner[TRAFFIC_V4] && !inner[TRAFFIC_V6])
        return lab_fail(t->lab, "traffic: client %u has no address inside", i + 1);
    for (unsigned family = 0; family < TRAFFIC_FAMILIES; family++) {
        c->inner[family] = inner[family];
        if (!inner[family])
            continue;
        if ((inner[family] & (uint32_t)LAB_POOL_MASK) != LAB_POOL)
            return lab_fail(t->lab, "traffic: client %u's address %#x is not of a pool", i + 1,
                            inner[family]);
        if (!open_end(t, &c->ends[family], LAB_CLIENT_NS, family, inner[family]))
            return false;
        if (t->server[family].watch.fd < 0 &&
            !open_end(t, &t->server[family], LAB_SERVER_NS, family, LAB_SERVER))
            return false;
    }
    return true;
}

/* The clients take turns, so that many of them do not send in one burst. */
static unsigned slices_for(const struct traffic_plan *plan)
{
    unsigned most = 1000 / plan->pps; /* no tick is shorter than a millisecond */

    if (most > plan->clients)
        most = plan->clients;
    return most ? most : 1;
}

bool traffic_open(struct traffic *t, struct chaos_lab *lab, const struct traffic_plan *plan,
                  const uint32_t (*inner)[TRAFFIC_FAMILIES])
{
    *t = (struct traffic){.lab = lab, .plan = *plan, .slices = slices_for(plan)};
    t->tick.fd = t->listener.fd = t->uploader.fd = t->downloader.fd = -1;
    for (unsigned family = 0; family < TRAFFIC_FAMILIES; family++)
        prepare_end(t, &t->server[family], TRAFFIC_IN);
    t->clients = calloc(plan->clients, sizeof *t->clients);
    if (!t->clients)
        return lab_fail(lab, "no memory for the traffic");
    for (unsigned i = 0; i < plan->clients * TRAFFIC_FAMILIES; i++)
        prepare_end(t, &t->clients[i / TRAFFIC_FAMILIES].ends[i % TRAFFIC_FAMILIES], TRAFFIC_OUT);
    for (unsigned i = 0; i < plan->clients; i++) {
        if (!open_client(t, i, inner[i]))
            return false;
    }
    if (plan->upload && !traffic_open_upload(t))
        return false;
    t->tick =
        (struct pump_watch){timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), ticked, t};
    if (t->tick.fd < 0 || !pump_add(&lab->pump, &t->tick, EPOLLIN))
        return lab_fail(lab, "timer: %s", strerror(errno));
    return true;
}

static void arm(struct traffic *t, uint64_t every_ns)
{
    struct timespec every = {(time_t)(every_ns / 1000000000u), (long)(every_ns % 1000000000u)};
    struct itimerspec its = {every, every};

    (void)timerfd_settime(t->tick.fd, 0, &its, NULL);
}

void traffic_only(struct traffic *t, enum traffic_direction alone)
{
    if (alone == TRAFFIC_IN && t->half && t->alone == TRAFFIC_OUT)
        t->in_mono_ns = pump_mono_ns();
    t->half = true;
    t->alone = alone;
}

void traffic_begin(struct traffic *t)
{
    if (!t->sending || (t->half && t->alone == TRAFFIC_OUT))
        t->in_mono_ns = pump_mono_ns();
    t->sending = true;
    t->half = false;
    arm(t, 1000000000u / (t->plan.pps * t->slices));
}

void traffic_pause(struct traffic *t)
{
    t->sending = false;
    arm(t, 0);
}

static void close_watch(struct traffic *t, struct pump_watch *w)
{
    if (w->fd < 0)
        return;
    pump_remove(&t->lab->pump, w);
    (void)close(w->fd);
    w->fd = -1;
}

void traffic_mark(struct traffic *t)
{
    for (unsigned i = 0; i < t->plan.clients; i++) {
        for (unsigned d = 0; d < TRAFFIC_DIRECTIONS; d++)
            t->clients[i].mark[d] = t->clients[i].numbers[d].n_arrivals;
    }
}

size_t traffic_since(const struct traffic *t, enum traffic_direction d)
{
    size_t least = SIZE_MAX;

    for (unsigned i = 0; i < t->plan.clients; i++) {
        const struct traffic_client *c = &t->clients[i];
        size_t n = c->numbers[d].n_arrivals - c->mark[d];

        if (n < least)
            least = n;
    }
    return least;
}

void traffic_judge(const struct traffic *t, enum traffic_direction d, uint64_t from_ns,
                   uint64_t to_ns, struct numbers_summary *out)
{
    *out = (struct numbers_summary){0};
    for (unsigned i = 0; t->lab && i < t->plan.clients; i++) {
        struct numbers_summary s;

        numbers_judge(&t->clients[i].numbers[d], from_ns, to_ns, &s);
        numbers_sum(out, &s);
    }
}

void traffic_close(struct traffic *t)
{
    if (!t->lab)
        return;
    for (unsigned family = 0; family < TRAFFIC_FAMILIES; family++) {
        close_watch(t, &t->server[family].watch);
        for (unsigned i = 0; t->clients && i < t->plan.clients; i++)
            close_watch(t, &t->clients[i].ends[family].watch);
    }
    close_watch(t, &t->tick);
    close_watch(t, &t->listener);
    close_watch(t, &t->uploader);
    close_watch(t, &t->downloader);
    for (unsigned i = 0; t->clients && i < t->plan.clients * TRAFFIC_DIRECTIONS; i++)
        numbers_deinit(&t->clients[i / TRAFFIC_DIRECTIONS].numbers[i % TRAFFIC_DIRECTIONS]);
    numbers_deinit(&t->upload_progress);
    free(t->clients);
    *t = (struct traffic){0};
}
