#include "io/arp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "io/arp_frame.h"
#include "io/nd_frame.h"

HF_STATIC_ASSERT((int)ND_FILTER_MAX >= (int)ARP_FILTER_MAX);

enum { MAX_PORTS = 4 * ADDR_SLOTS, SERIES = 5, BATCH = 64 };

static const uint64_t series_ms[SERIES] = {0, 100, 500, 1000, 2000};

/* An interface and a family. */
struct port {
    struct arp *arp;
    char name[IFNAMSIZ];
    uint8_t family;
    int fd, ifindex;
    int groups; /* IPv6: a socket that only holds memberships; else -1 */
    uint8_t mac[6];
    uv_poll_t poll;
};

struct address {
    struct ip_addr ip;
    uint32_t shard;
    struct port *port;
    unsigned step; /* of the series; SERIES = none is running */
    uint64_t began_ms;
};

struct arp {
    uv_loop_t *loop;
    struct port ports[MAX_PORTS];
    size_t n_ports;
    struct address addresses[ARP_MAX_ADDRESSES];
    size_t n_addresses;
    uv_timer_t timer;
    bool (*may_answer)(void *self, uint32_t shard);
    void *self;
    struct arp_counters counters;
    unsigned handles;
    void (*closed)(void *arg);
    void *closed_arg;
};

static bool read_mac(struct port *p)
{
    struct ifreq request;

    memset(&request, 0, sizeof request);
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", p->name);
    if (ioctl(p->fd, SIOCGIFHWADDR, &request) < 0)
        return false;
    memcpy(p->mac, request.ifr_hwaddr.sa_data, 6);
    return true;
}

static uint16_t ethertype(const struct port *p)
{
    return htons(p->family == ADDR_V6 ? ETH_P_IPV6 : ETH_P_ARP);
}

static void transmit(struct arp *a, const struct port *p, const uint8_t *frame, size_t len)
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = ethertype(p),
                             .sll_ifindex = p->ifindex,
                             .sll_halen = 6};

    memcpy(to.sll_addr, frame, 6);
    if (sendto(p->fd, frame, len, MSG_DONTWAIT, (const struct sockaddr *)&to, sizeof to) < 0)
        a->counters.send_failed++;
}

/* Frames that waited while this process could not run must not be answered as if they had just
 * come. The wall clock serves only to tell their age: what makes an answer right is may_answer(),
 * and a jump of the clock merely costs an answer. */
static bool is_aged(struct msghdr *msg)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        struct timespec came, now;
        int64_t age_ms;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&came, CMSG_DATA(c), sizeof came);
        HF_ASSERT(clock_gettime(CLOCK_REALTIME, &now) == 0);
        age_ms = (now.tv_sec - came.tv_sec) * 1000 + (now.tv_nsec - came.tv_nsec) / 1000000;
        return age_ms < 0 || age_ms > ARP_MAX_AGE_MS;
    }
    return true;
}

/* Who asks for one of our addresses, or says that it has it. */
struct question {
    struct ip_addr target;
    bool foreign; /* an announcement of another node */
    struct arp_request arp;
    struct nd_message nd;
};

static bool read_question(const struct port *p, struct span frame, struct question *q)
{
    if (p->family == ADDR_V6) {
        if (!nd_decode(frame, &q->nd))
            return false;
        q->target = q->nd.target;
        q->foreign = q->nd.advertisement;
        return true;
    }
    if (!arp_request_decode(frame, &q->arp))
        return false;
    q->target = addr_v4(q->arp.target_ip);
    q->foreign = q->arp.sender_ip == q->arp.target_ip;
    return true;
}

static void reply(struct arp *a, const struct port *p, const struct question *q)
{
    uint8_t v4[ARP_FRAME_BYTES], v6[ND_FRAME_BYTES];

    if (p->family == ADDR_V6) {
        nd_advertisement_encode(&q->target, p->mac, &q->nd, v6);
        transmit(a, p, v6, sizeof v6);
    } else {
        arp_reply_encode(&q->arp, p->mac, v4);
        transmit(a, p, v4, sizeof v4);
    }
    a->counters.answered++;
}

static void handle_frame(struct port *p, struct span frame, bool aged)
{
    struct arp *a = p->arp;
    struct question q;

    if (!read_question(p, frame, &q)) {
        a->counters.malformed++;
        return;
    }
    for (size_t i = 0; i < a->n_addresses; i++) {
        const struct address *mine = &a->addresses[i];

        if (mine->port != p || !addr_equal(&mine->ip, &q.target))
            continue;
        if (q.foreign) {
            a->counters.foreign++;
            return;
        }
        a->counters.requests++;
        if (aged)
            a->counters.aged++;
        else if (!a->may_answer(a->self, mine->shard))
            a->counters.silent++;
        else
            reply(a, p, &q);
        return;
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct port *p = poll->data;

    (void)status;
    (void)events;
    for (int i = 0; i < BATCH; i++) {
        _Alignas(struct cmsghdr) char control[64];
        struct sockaddr_ll from;
        uint8_t buf[512];
        struct iovec iov = {buf, sizeof buf};
        struct msghdr msg = {.msg_name = &from,
                             .msg_namelen = sizeof from,
                             .msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
        ssize_t n = recvmsg(p->fd, &msg, MSG_DONTWAIT);

        if (n < 0)
            return;
        if (from.sll_pkttype != PACKET_OUTGOING)
            handle_frame(p, span_of(buf, (size_t)n), is_aged(&msg));
    }
}

static void announce_one(struct arp *a, struct address *address)
{
    uint8_t v4[ARP_FRAME_BYTES], v6[ND_FRAME_BYTES];
    struct port *p = address->port;

    (void)read_mac(p);
    if (p->family == ADDR_V6) {
        nd_advertisement_encode(&address->ip, p->mac, NULL, v6);
        transmit(a, p, v6, sizeof v6);
    } else {
        arp_announcement_encode(get_be32(address->ip.bytes), p->mac, v4);
        transmit(a, p, v4, sizeof v4);
    }
    a->counters.announced++;
}

static void on_timer(uv_timer_t *timer);

/* Sends what is due of every series and sleeps until the next. Who may not answer any more
 * announces nothing either. */
static void run_series(struct arp *a)
{
    uint64_t now, next = UINT64_MAX;

    uv_update_time(a->loop);
    now = uv_now(a->loop);
    for (size_t i = 0; i < a->n_addresses; i++) {
        struct address *address = &a->addresses[i];

        while (address->step < SERIES && now >= address->began_ms + series_ms[address->step]) {
            if (a->may_answer(a->self, address->shard))
                announce_one(a, address);
            address->step++;
        }
        if (address->step < SERIES && address->began_ms + series_ms[address->step] < next)
            next = address->began_ms + series_ms[address->step];
    }
    if (next != UINT64_MAX)
        (void)uv_timer_start(&a->timer, on_timer, next - now, 0);
}

static void on_timer(uv_timer_t *timer)
{
    run_series(timer->data);
}

void arp_announce(struct arp *a, uint32_t shard)
{
    uv_update_time(a->loop);
    for (size_t i = 0; i < a->n_addresses; i++) {
        if (a->addresses[i].shard != shard)
            continue;
        a->addresses[i].step = 0;
        a->addresses[i].began_ms = uv_now(a->loop);
    }
    run_series(a);
}

static bool open_socket(struct port *p, struct io_error *error)
{
    int one = 1, code;

    /* Protocol 0: nothing comes before the filter is set and the interface is bound. */
    p->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0) {
        code = errno;
        return io_fail(error, code,
                       "cannot open a packet socket on %s to answer for addresses: %s (run as "
                       "root, or grant CAP_NET_RAW)",
                       p->name, strerror(code));
    }
    p->ifindex = (int)if_nametoindex(p->name);
    if (p->ifindex == 0 || !read_mac(p))
        return io_fail(error, ENODEV, "there is no network interface %s", p->name);
    if (setsockopt(p->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) < 0)
        return io_fail(error, errno, "the packet socket on %s has no time stamps: %s", p->name,
                       strerror(errno));
    (void)setsockopt(p->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
    return true;
}

/* The port's addresses, as its filter takes them. */
static size_t filter_of(const struct port *p, struct sock_filter code[ND_FILTER_MAX])
{
    struct ip_addr ips[ARP_MAX_ADDRESSES];
    uint32_t v4[ARP_MAX_ADDRESSES];
    size_t n = 0;

    for (size_t i = 0; i < p->arp->n_addresses; i++) {
        const struct address *a = &p->arp->addresses[i];

        if (a->port != p)
            continue;
        ips[n] = a->ip;
        v4[n++] = get_be32(a->ip.bytes);
    }
    return p->family == ADDR_V6 ? nd_filter(ips, n, code) : arp_filter(v4, n, code);
}

/* RFC 4861 7.2.1: who has an address listens to its solicited-node group; the kernel tells switches
 * and routers by MLD. Addresses may share a group. */
static bool join_groups(struct port *p, struct io_error *error)
{
    p->groups = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (size_t i = 0; p->groups >= 0 && i < p->arp->n_addresses; i++) {
        const struct address *a = &p->arp->addresses[i];
        struct ipv6_mreq m = {.ipv6mr_interface = (unsigned)p->ifindex};
        struct ip_addr group = nd_group(&a->ip);

        memcpy(&m.ipv6mr_multiaddr, group.bytes, 16);
        if (a->port == p &&
            setsockopt(p->groups, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m, sizeof m) < 0 &&
            errno != EADDRINUSE)
            return io_fail(
                error, errno,
                "cannot listen for IPv6 neighbours on %s: %s (is IPv6 disabled there? see "
                "net.ipv6.conf.%s.disable_ipv6)",
                p->name, strerror(errno), p->name);
    }
    return p->groups >= 0 ||
           io_fail(error, errno, "cannot open an IPv6 socket: %s", strerror(errno));
}

static bool start_socket(struct port *p, struct io_error *error)
{
    struct sock_filter code[ND_FILTER_MAX];
    struct sock_fprog program = {.filter = code};
    struct sockaddr_ll at = {
        .sll_family = AF_PACKET, .sll_protocol = ethertype(p), .sll_ifindex = p->ifindex};

    program.len = (unsigned short)filter_of(p, code);
    if (setsockopt(p->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ||
        bind(p->fd, (const struct sockaddr *)&at, sizeof at) < 0)
        return io_fail(error, errno, "cannot listen for %s on %s: %s",
                       p->family == ADDR_V6 ? "IPv6 neighbours" : "ARP", p->name, strerror(errno));
    return p->family != ADDR_V6 || join_groups(p, error);
}

static struct port *port_of(struct arp *a, const char *name, uint8_t family, struct io_error *error)
{
    struct port *p;

    for (size_t i = 0; i < a->n_ports; i++)
        if (strcmp(a->ports[i].name, name) == 0 && a->ports[i].family == family)
            return &a->ports[i];
    HF_ASSERT(a->n_ports < MAX_PORTS);
    p = &a->ports[a->n_ports++];
    p->arp = a;
    p->family = family;
    p->fd = p->groups = -1;
    (void)snprintf(p->name, sizeof p->name, "%s", name);
    return open_socket(p, error) ? p : NULL;
}

static void release(struct arp *a)
{
    for (size_t i = 0; i < a->n_ports; i++) {
        if (a->ports[i].fd >= 0)
            (void)close(a->ports[i].fd);
        if (a->ports[i].groups >= 0)
            (void)close(a->ports[i].groups);
    }
    free(a);
}

struct arp *arp_open(uv_loop_t *loop, const struct arp_address *addresses, size_t n,
                     bool (*may_answer)(void *self, uint32_t shard), void *self,
                     struct io_error *error)
{
    struct arp *a = calloc(1, sizeof *a);
    bool ok = true;

    HF_ASSERT(a != NULL && n <= ARP_MAX_ADDRESSES);
    a->loop = loop;
    a->may_answer = may_answer;
    a->self = self;
    for (size_t i = 0; ok && i < n; i++) {
        struct address *to = &a->addresses[a->n_addresses];

        HF_ASSERT(addr_is_set(&addresses[i].ip));
        *to = (struct address){
            .ip = addresses[i].ip,
            .shard = addresses[i].shard,
            .port = port_of(a, addresses[i].interface, addresses[i].ip.family, error),
            .step = SERIES};
        ok = to->port != NULL;
        a->n_addresses++;
    }
    for (size_t i = 0; ok && i < a->n_ports; i++)
        ok = start_socket(&a->ports[i], error);
    if (!ok) {
        release(a);
        return NULL;
    }
    for (size_t i = 0; i < a->n_ports; i++) {
        HF_ASSERT(uv_poll_init(loop, &a->ports[i].poll, a->ports[i].fd) == 0);
        a->ports[i].poll.data = &a->ports[i];
        (void)uv_poll_start(&a->ports[i].poll, UV_READABLE, on_readable);
    }
    (void)uv_timer_init(loop, &a->timer);
    a->timer.data = a;
    a->handles = (unsigned)a->n_ports + 1;
    return a;
}

void arp_get_counters(const struct arp *a, struct arp_counters *out)
{
    *out = a->counters;
}

static void handle_closed(struct arp *a)
{
    void (*closed)(void *arg) = a->closed;
    void *arg = a->closed_arg;

    if (--a->handles > 0)
        return;
    release(a);
    if (closed != NULL)
        closed(arg);
}

static void on_poll_closed(uv_handle_t *handle)
{
    handle_closed(((struct port *)handle->data)->arp);
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

void arp_close(struct arp *a, void (*closed)(void *arg), void *arg)
{
    a->closed = closed;
    a->closed_arg = arg;
    for (size_t i = 0; i < a->n_ports; i++)
        uv_close((uv_handle_t *)&a->ports[i].poll, on_poll_closed);
    uv_close((uv_handle_t *)&a->timer, on_timer_closed);
}
