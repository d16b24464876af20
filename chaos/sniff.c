#include "sniff.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

enum { SNIFF_BUFFER = 16 << 20, SNIFF_FRAME = 65536 };

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

static void port_ready(void *arg, uint32_t events)
{
    static uint8_t buffer[SNIFF_FRAME];
    struct sniff_port *p = arg;
    struct sniff *s = p->owner;
    char control[256];
    struct sockaddr_ll from;
    struct iovec iov = {buffer, sizeof buffer};

    (void)events;
    for (;;) {
        struct msghdr m = {.msg_name = &from,
                           .msg_namelen = sizeof from,
                           .msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        ssize_t n = recvmsg(p->watch.fd, &m, MSG_DONTWAIT | MSG_TRUNC);
        size_t kept;

        if (n < 0)
            return;
        kept = (size_t)n < sizeof buffer ? (size_t)n : sizeof buffer;
        if (capture_add(&s->capture, stamp_of(&m), p->port, from.sll_pkttype != PACKET_OUTGOING,
                        span_of(buffer, kept), (size_t)n) &&
            s->seen)
            s->seen(s->arg, &s->capture.frames[s->capture.n_frames - 1]);
    }
}

static bool open_port(struct sniff *s, const char *ifname, uint8_t port)
{
    struct sniff_port *p = &s->ports[s->n_ports];
    int size = SNIFF_BUFFER, on = 1;
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = 0};

    *p = (struct sniff_port){.owner = s, .port = port, .ifindex = (int)if_nametoindex(ifname)};
    p->watch = (struct pump_watch){-1, port_ready, p};
    if (p->ifindex == 0)
        return lab_fail(s->lab, "%s: %s", ifname, strerror(errno));
    p->watch.fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->watch.fd < 0)
        return lab_fail(s->lab, "packet socket: %s", strerror(errno));
    s->n_ports++;
    at.sll_ifindex = p->ifindex;
    put_be16((uint8_t *)&at.sll_protocol, ETH_P_ALL);
    if (setsockopt(p->watch.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0 ||
        setsockopt(p->watch.fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0 ||
        bind(p->watch.fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        !pump_add(&s->lab->pump, &p->watch, EPOLLIN))
        return lab_fail(s->lab, "packet socket on %s: %s", ifname, strerror(errno));
    return true;
}

bool sniff_start(struct sniff *s, struct chaos_lab *lab)
{
    bool ok;

    s->lab = lab;
    if (!lab_enter(lab, LAB_SWITCH))
        return false;
    ok = open_port(s, lab_client_port(lab), CAPTURE_CLIENT_PORT);
    for (unsigned n = 1; ok && n <= lab->nodes; n++) {
        char name[16];

        (void)snprintf(name, sizeof name, "out%u", n);
        ok = open_port(s, name, (uint8_t)n);
    }
    lab_leave(lab);
    return ok;
}

bool sniff_inject(struct sniff *s, unsigned port, struct span frame)
{
    for (unsigned i = 0; i < s->n_ports; i++) {
        struct sockaddr_ll to = {
            .sll_family = AF_PACKET, .sll_ifindex = s->ports[i].ifindex, .sll_halen = 6};

        if (s->ports[i].port != port)
            continue;
        return sendto(s->ports[i].watch.fd, frame.data, frame.len, 0, (struct sockaddr *)&to,
                      sizeof to) == (ssize_t)frame.len;
    }
    return false;
}

uint64_t sniff_dropped(struct sniff *s)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < s->n_ports; i++) {
        struct tpacket_stats stats = {0};
        socklen_t len = sizeof stats;

        if (getsockopt(s->ports[i].watch.fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) == 0)
            sum += stats.tp_drops;
    }
    return sum;
}

void sniff_stop(struct sniff *s)
{
    for (unsigned i = 0; i < s->n_ports; i++) {
        if (s->ports[i].watch.fd >= 0) {
            pump_remove(&s->lab->pump, &s->ports[i].watch);
            (void)close(s->ports[i].watch.fd);
            s->ports[i].watch.fd = -1;
        }
    }
    s->n_ports = 0;
}
