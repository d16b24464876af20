#include "io/arp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "io/netlink.h"

enum { ARP_FRAME_BYTES = 42, ARP_REQUEST = 1, ARP_REPLY = 2, ARP_LINKS = 2 * 64, ARP_ROUNDS = 5 };

/* After a move, in ms from it: a neighbour whose queue was full, or which joined late, hears it
 * again. */
static const uint64_t rounds_ms[ARP_ROUNDS] = {0, 100, 500, 1000, 2000};

struct arp_link {
    struct arp *arp;
    char name[IFNAMSIZ];
    int fd, ifindex;
    uint8_t mac[6];
    uv_poll_t poll;
};

struct arp_series { /* of one shard */
    struct arp *arp;
    uint32_t shard;
    unsigned round;
    bool running;
    uv_timer_t timer;
};

struct arp {
    uv_loop_t *loop;
    struct arp_address addresses[ARP_MAX_ADDRESSES];
    struct arp_link *links_of[ARP_MAX_ADDRESSES];
    size_t n_addresses;
    struct arp_link links[ARP_LINKS];
    size_t n_links;
    struct arp_series series[ARP_MAX_ADDRESSES];
    size_t n_series;
    bool (*may_answer)(void *self, uint32_t shard);
    void *self;
    struct arp_counters counters;
    unsigned closing;
    void (*closed)(void *arg);
    void *arg;
};

/* Ethernet, then ARP for IPv4 over Ethernet (RFC 826). Target hardware address zero in requests. */
static void frame_make(uint8_t out[ARP_FRAME_BYTES], uint16_t operation, const uint8_t to[6],
                       const uint8_t own[6], const uint8_t own_ip[4], const uint8_t target_mac[6],
                       const uint8_t target_ip[4])
{
    static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};

    memcpy(out, to, 6);
    memcpy(out + 6, own, 6);
    put_be16(out + 12, ETHERTYPE_ARP);
    memcpy(out + 14, head, sizeof head);
    put_be16(out + 20, operation);
    memcpy(out + 22, own, 6);
    memcpy(out + 28, own_ip, 4);
    memcpy(out + 32, target_mac, 6);
    memcpy(out + 38, target_ip, 4);
}

static bool transmit(struct arp *a, const struct arp_link *link, const uint8_t *frame)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_ifindex = link->ifindex,
                             .sll_halen = 6,
                             .sll_protocol = htons(ETHERTYPE_ARP)};

    memcpy(to.sll_addr, frame, 6);
    if (sendto(link->fd, frame, ARP_FRAME_BYTES, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to) ==
        ARP_FRAME_BYTES)
        return true;
    a->counters.send_failed++;
    return false;
}

/* Age of a received frame by its kernel stamp: one that queued while we were stopped says nothing
 * about now. The wall clock only silences; whether we may answer is the lease's question. */
static bool too_old(int fd)
{
    struct timeval stamp;
    struct timespec now;
    int64_t age_ms;

    if (ioctl(fd, SIOCGSTAMP, &stamp) != 0 || clock_gettime(CLOCK_REALTIME, &now) != 0)
        return true;
    age_ms = ((int64_t)now.tv_sec - stamp.tv_sec) * 1000 +
             ((int64_t)now.tv_nsec / 1000 - stamp.tv_usec) / 1000;
    return age_ms > ARP_MAX_AGE_MS || age_ms < -ARP_MAX_AGE_MS;
}

static void answer(struct arp *a, struct arp_link *link, const uint8_t *frame, size_t len)
{
    static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};
    uint8_t reply[ARP_FRAME_BYTES];

    if (len < ARP_FRAME_BYTES || get_be16(frame + 12) != ETHERTYPE_ARP ||
        memcmp(frame + 14, head, sizeof head) != 0 || get_be16(frame + 20) != ARP_REQUEST) {
        a->counters.malformed++;
        return;
    }
    for (size_t i = 0; i < a->n_addresses; i++) {
        if (a->links_of[i] != link || memcmp(a->addresses[i].ip.bytes, frame + 38, 4) != 0)
            continue;
        /* Our own announcement, or another node's: sender and target are the same address. */
        if (memcmp(frame + 28, frame + 38, 4) == 0)
            return;
        a->counters.requests++;
        if (too_old(link->fd)) {
            a->counters.aged++;
            return;
        }
        if (!a->may_answer(a->self, a->addresses[i].shard)) {
            a->counters.silent++;
            return;
        }
        frame_make(reply, ARP_REPLY, frame + 22, link->mac, frame + 38, frame + 22, frame + 28);
        if (transmit(a, link, reply))
            a->counters.answered++;
        return;
    }
}

static void readable(uv_poll_t *handle, int status, int events)
{
    struct arp_link *link = handle->data;
    uint8_t frame[128];

    (void)status;
    (void)events;
    for (int i = 0; i < 64; i++) {
        ssize_t n = recv(link->fd, frame, sizeof frame, MSG_DONTWAIT);

        if (n < 0)
            return;
        answer(link->arp, link, frame, (size_t)n);
    }
}

/* ARP requests only; which address is asked for is looked at above (there may be 128). */
static bool filter(int fd)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_ARP, 0, 3),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 20),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARP_REQUEST, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 128),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

static bool link_open(struct arp *a, struct arp_link *link, const char *name,
                      struct io_error *error)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_ARP)};
    struct netlink *netlink = netlink_open(error);
    struct netlink_link info;
    bool found = netlink != NULL && netlink_link_get(netlink, name, &info, error);

    if (netlink != NULL)
        netlink_close(netlink);
    if (!found)
        return false;
    link->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0)
        return io_fail(error, errno,
                       "cannot listen for ARP on %s: %s (run as root, or grant CAP_NET_RAW)", name,
                       strerror(errno));
    address.sll_ifindex = info.ifindex;
    if (!filter(link->fd) || bind(link->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int code = errno;

        (void)close(link->fd);
        return io_fail(error, code, "cannot listen for ARP on %s: %s", name, strerror(code));
    }
    (void)too_old(link->fd); /* the first question turns the stamps on */
    link->arp = a;
    link->ifindex = info.ifindex;
    memcpy(link->mac, info.mac, sizeof link->mac);
    strncpy(link->name, name, sizeof link->name - 1);
    link->poll.data = link;
    HF_ASSERT(uv_poll_init(a->loop, &link->poll, link->fd) == 0);
    HF_ASSERT(uv_poll_start(&link->poll, UV_READABLE, readable) == 0);
    a->n_links++;
    return true;
}

static struct arp_link *link_for(struct arp *a, const char *name, struct io_error *error)
{
    for (size_t i = 0; i < a->n_links; i++)
        if (strcmp(a->links[i].name, name) == 0)
            return &a->links[i];
    HF_ASSERT(a->n_links < ARP_LINKS);
    return link_open(a, &a->links[a->n_links], name, error) ? &a->links[a->n_links - 1] : NULL;
}

static struct arp_series *series_for(struct arp *a, uint32_t shard)
{
    struct arp_series *s;

    for (size_t i = 0; i < a->n_series; i++)
        if (a->series[i].shard == shard)
            return &a->series[i];
    s = &a->series[a->n_series++];
    s->arp = a;
    s->shard = shard;
    s->timer.data = s;
    HF_ASSERT(uv_timer_init(a->loop, &s->timer) == 0);
    return s;
}

struct arp *arp_open(uv_loop_t *loop, const struct arp_address *addresses, size_t n,
                     bool (*may_answer)(void *self, uint32_t shard), void *self,
                     struct io_error *error)
{
    struct arp *a = calloc(1, sizeof *a);

    HF_ASSERT(a != NULL && n <= ARP_MAX_ADDRESSES);
    a->loop = loop;
    a->may_answer = may_answer;
    a->self = self;
    for (size_t i = 0; i < n; i++) {
        a->addresses[i] = addresses[i];
        a->links_of[i] = link_for(a, addresses[i].interface, error);
        if (a->links_of[i] == NULL) {
            arp_close(a, NULL, NULL);
            return NULL;
        }
        a->n_addresses++;
        (void)series_for(a, addresses[i].shard);
    }
    return a;
}

static void announce_round(uv_timer_t *handle)
{
    static const uint8_t everyone[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, nobody[6] = {0};
    struct arp_series *s = handle->data;
    struct arp *a = s->arp;
    uint8_t frame[ARP_FRAME_BYTES];

    for (size_t i = 0; i < a->n_addresses; i++) {
        const struct arp_link *link = a->links_of[i];

        if (a->addresses[i].shard != s->shard || !a->may_answer(a->self, s->shard))
            continue;
        frame_make(frame, ARP_REQUEST, everyone, link->mac, a->addresses[i].ip.bytes, nobody,
                   a->addresses[i].ip.bytes);
        if (transmit(a, link, frame))
            a->counters.announced++;
    }
    if (++s->round < ARP_ROUNDS)
        (void)uv_timer_start(&s->timer, announce_round,
                             rounds_ms[s->round] - rounds_ms[s->round - 1], 0);
}

void arp_announce(struct arp *a, uint32_t shard)
{
    for (size_t i = 0; i < a->n_series; i++) {
        if (a->series[i].shard != shard)
            continue;
        a->series[i].round = 0;
        announce_round(&a->series[i].timer); /* the first at once, not a loop turn later */
    }
}

void arp_get_counters(const struct arp *a, struct arp_counters *out)
{
    *out = a->counters;
}

static void one_closed(uv_handle_t *handle)
{
    struct arp *a = handle->type == UV_TIMER ? ((struct arp_series *)handle->data)->arp
                                             : ((struct arp_link *)handle->data)->arp;

    if (--a->closing > 0)
        return;
    if (a->closed != NULL)
        a->closed(a->arg);
    free(a);
}

void arp_close(struct arp *a, void (*closed)(void *arg), void *arg)
{
    a->closed = closed;
    a->arg = arg;
    a->closing = (unsigned)(a->n_links + a->n_series);
    if (a->closing == 0) {
        if (closed != NULL)
            closed(arg);
        free(a);
        return;
    }
    for (size_t i = 0; i < a->n_links; i++) {
        (void)uv_poll_stop(&a->links[i].poll);
        (void)close(a->links[i].fd);
        uv_close((uv_handle_t *)&a->links[i].poll, one_closed);
    }
    for (size_t i = 0; i < a->n_series; i++)
        uv_close((uv_handle_t *)&a->series[i].timer, one_closed);
}
