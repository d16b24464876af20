#include "io/arp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "io/arp_frame.h"

enum { MAX_INTERFACES = 4, SERIES = 5, BATCH = 64 };

static const uint64_t series_ms[SERIES] = {0, 100, 500, 1000, 2000};

struct port {
    struct arp *arp;
    char name[IFNAMSIZ];
    int fd, ifindex;
    uint8_t mac[6];
    uv_poll_t poll;
};

struct address {
    uint32_t ip, shard;
    struct port *port;
    unsigned step; /* of the series; SERIES = none is running */
    uint64_t began_ms;
};

struct arp {
    uv_loop_t *loop;
    struct port ports[MAX_INTERFACES];
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

static void transmit(struct arp *a, const struct port *p, const uint8_t frame[ARP_FRAME_BYTES])
{
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ARP),
                             .sll_ifindex = p->ifindex,
                             .sll_halen = 6};

    memcpy(to.sll_addr, frame, 6);
    if (sendto(p->fd, frame, ARP_FRAME_BYTES, MSG_DONTWAIT, (const struct sockaddr *)&to,
               sizeof to) < 0)
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

static void handle_frame(struct port *p, struct span frame, bool aged)
{
    struct arp *a = p->arp;
    uint8_t reply[ARP_FRAME_BYTES];
    struct arp_request r;

    if (!arp_request_decode(frame, &r)) {
        a->counters.malformed++;
        return;
    }
    for (size_t i = 0; i < a->n_addresses; i++) {
        const struct address *mine = &a->addresses[i];

        if (mine->port != p || mine->ip != r.target_ip)
            continue;
        if (r.sender_ip == r.target_ip) {
            a->counters.foreign++;
            return;
        }
        a->counters.requests++;
        if (aged) {
            a->counters.aged++;
        } else if (!a->may_answer(a->self, mine->shard)) {
            a->counters.silent++;
        } else {
            arp_reply_encode(&r, p->mac, reply);
            transmit(a, p, reply);
            a->counters.answered++;
        }
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
        uint8_t buf[256];
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
    uint8_t frame[ARP_FRAME_BYTES];

    (void)read_mac(address->port);
    arp_announcement_encode(address->ip, address->port->mac, frame);
    transmit(a, address->port, frame);
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
        return io_fail(
            error, code,
            "cannot open a packet socket on %s for ARP: %s (run as root, or grant CAP_NET_RAW)",
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

static bool start_socket(struct port *p, struct io_error *error)
{
    struct sock_filter code[ARP_FILTER_MAX];
    uint32_t ips[ARP_MAX_ADDRESSES];
    struct sock_fprog program = {.filter = code};
    struct sockaddr_ll at = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = p->ifindex};
    size_t n = 0;

    for (size_t i = 0; i < p->arp->n_addresses; i++)
        if (p->arp->addresses[i].port == p)
            ips[n++] = p->arp->addresses[i].ip;
    program.len = (unsigned short)arp_filter(ips, n, code);
    if (setsockopt(p->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ||
        bind(p->fd, (const struct sockaddr *)&at, sizeof at) < 0)
        return io_fail(error, errno, "cannot listen for ARP on %s: %s", p->name, strerror(errno));
    return true;
}

static struct port *port_of(struct arp *a, const char *name, struct io_error *error)
{
    struct port *p;

    for (size_t i = 0; i < a->n_ports; i++)
        if (strcmp(a->ports[i].name, name) == 0)
            return &a->ports[i];
    HF_ASSERT(a->n_ports < MAX_INTERFACES);
    p = &a->ports[a->n_ports++];
    p->arp = a;
    p->fd = -1;
    (void)snprintf(p->name, sizeof p->name, "%s", name);
    return open_socket(p, error) ? p : NULL;
}

static void release(struct arp *a)
{
    for (size_t i = 0; i < a->n_ports; i++)
        if (a->ports[i].fd >= 0)
            (void)close(a->ports[i].fd);
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

        HF_ASSERT(addresses[i].ip.family == ADDR_V4);
        *to = (struct address){.ip = get_be32(addresses[i].ip.bytes),
                               .shard = addresses[i].shard,
                               .port = port_of(a, addresses[i].interface, error),
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
