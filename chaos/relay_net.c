#include "relay_net.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/bytes.h"

/* A frame travels with its virtio header: checksums that "hardware" is to compute, and bundles of
 * segments, pass as they are. */
enum { NATT_PORT = 4500 };
enum { RELAY_FRAME = 65536 + (int)sizeof(struct virtio_net_hdr), RELAY_BUFFER = 16 << 20 };

struct relay_frame {
    struct relay_frame *next;
    uint64_t due_ns; /* CLOCK_MONOTONIC */
    enum relay_way way;
    size_t len;
    uint8_t bytes[];
};

static void put_out(struct relay *r, enum relay_way way, const uint8_t *bytes, size_t len)
{
    /* What came in at one half leaves by the other. */
    int fd = r->halves[way == RELAY_IN ? RELAY_OUT : RELAY_IN].watch.fd;

    if (send(fd, bytes, len, MSG_DONTWAIT) != (ssize_t)len)
        r->send_failed++;
}

static void arm(struct relay *r)
{
    struct itimerspec its = {0};

    if (r->waiting) {
        its.it_value.tv_sec = (time_t)(r->waiting->due_ns / 1000000000u);
        its.it_value.tv_nsec = (long)(r->waiting->due_ns % 1000000000u);
    }
    (void)timerfd_settime(r->timer.fd, TFD_TIMER_ABSTIME, &its, NULL);
}

static struct relay_frame *copy_of(enum relay_way way, const uint8_t *bytes, size_t len)
{
    struct relay_frame *f = malloc(sizeof *f + len);

    if (!f)
        return NULL;
    *f = (struct relay_frame){.way = way, .len = len};
    memcpy(f->bytes, bytes, len);
    return f;
}

/* Behind those that are due no later: equal delays keep the order. */
static void wait_for_it(struct relay *r, enum relay_way way, const uint8_t *bytes, size_t len,
                        uint64_t due_ns)
{
    struct relay_frame **at = &r->waiting, *f;

    f = r->n_waiting < RELAY_MAX_WAITING ? copy_of(way, bytes, len) : NULL;
    if (!f) {
        r->overflow++;
        return;
    }
    f->due_ns = due_ns;
    while (*at && (*at)->due_ns <= due_ns)
        at = &(*at)->next;
    f->next = *at;
    *at = f;
    r->n_waiting++;
    if (r->waiting == f)
        arm(r);
}

static void forward(struct relay *r, enum relay_way way, const uint8_t *bytes, size_t len)
{
    const size_t head = sizeof(struct virtio_net_hdr);
    struct relay_packet packet;
    struct relay_fate fate;

    if (len < head)
        return;
    relay_classify(way, span_of(bytes + head, len - head), &packet);
    relay_decide(&r->core, &packet, &fate);
    if (fate.held_by != RELAY_NO_CATCH && !r->held[fate.held_by] &&
        !(r->held[fate.held_by] = copy_of(way, bytes, len)))
        r->overflow++;
    for (unsigned i = 0; i < fate.copies; i++) {
        if (fate.after_ns[i] == 0)
            put_out(r, way, bytes, len);
        else
            wait_for_it(r, way, bytes, len, pump_mono_ns() + fate.after_ns[i]);
    }
}

/* False: for a mapping that is gone. The checksum is dropped with the port that it covered: zero means
 * none (RFC 768), and none is left to the "hardware". */
static bool translate(struct relay *r, enum relay_way way, uint8_t *bytes, size_t len)
{
    struct virtio_net_hdr hdr;
    uint8_t *ip = bytes + sizeof hdr + ETH_HLEN, *udp = ip + 20, *port;

    if (!r->nat_port || len < sizeof hdr + ETH_HLEN + 28 || get_be16(ip - 2) != ETH_P_IP ||
        ip[0] != 0x45 || ip[9] != IPPROTO_UDP)
        return true;
    port = way == RELAY_IN ? udp : udp + 2;
    if (way == RELAY_OUT && get_be16(port) == NATT_PORT) {
        r->nat_dropped++;
        return false;
    }
    if (get_be16(port) != (way == RELAY_IN ? NATT_PORT : r->nat_port))
        return true;
    put_be16(port, way == RELAY_IN ? r->nat_port : NATT_PORT);
    put_be16(udp + 6, 0);
    memcpy(&hdr, bytes, sizeof hdr);
    hdr.flags = 0;
    memcpy(bytes, &hdr, sizeof hdr);
    return true;
}

static void half_ready(void *arg, uint32_t events)
{
    static uint8_t buffer[RELAY_FRAME];
    struct relay_half *h = arg;

    (void)events;
    for (;;) {
        struct sockaddr_ll from;
        socklen_t from_len = sizeof from;
        ssize_t n = recvfrom(h->watch.fd, buffer, sizeof buffer, MSG_DONTWAIT,
                             (struct sockaddr *)&from, &from_len);

        if (n < 0)
            return;
        if (from.sll_pkttype != PACKET_OUTGOING && translate(h->owner, h->way, buffer, (size_t)n))
            forward(h->owner, h->way, buffer, (size_t)n);
    }
}

static void timer_ready(void *arg, uint32_t events)
{
    struct relay *r = arg;
    uint64_t times, now = pump_mono_ns();

    (void)events;
    if (read(r->timer.fd, &times, sizeof times) != (ssize_t)sizeof times)
        return;
    while (r->waiting && r->waiting->due_ns <= now) {
        struct relay_frame *f = r->waiting;

        r->waiting = f->next;
        r->n_waiting--;
        put_out(r, f->way, f->bytes, f->len);
        free(f);
    }
    arm(r);
}

static bool open_half(struct relay *r, enum relay_way way, const char *ifname)
{
    struct relay_half *h = &r->halves[way];
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(ifname)};
    int size = RELAY_BUFFER, on = 1;

    *h = (struct relay_half){.owner = r, .way = way};
    h->watch = (struct pump_watch){-1, half_ready, h};
    h->watch.fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    put_be16((uint8_t *)&at.sll_protocol, ETH_P_ALL);
    if (h->watch.fd < 0 || at.sll_ifindex == 0 ||
        setsockopt(h->watch.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0 ||
        setsockopt(h->watch.fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) != 0 ||
        setsockopt(h->watch.fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0 ||
        bind(h->watch.fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        !pump_add(&r->lab->pump, &h->watch, EPOLLIN))
        return lab_fail(r->lab, "relay on %s: %s", ifname, strerror(errno));
    return true;
}

bool relay_start(struct relay *r, struct chaos_lab *lab, const struct relay_settings *settings,
                 uint64_t seed)
{
    bool ok;

    *r = (struct relay){.lab = lab, .timer.fd = -1};
    r->halves[RELAY_IN].watch.fd = r->halves[RELAY_OUT].watch.fd = -1;
    relay_core_init(&r->core, settings, seed);
    r->timer = (struct pump_watch){timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
                                   timer_ready, r};
    if (r->timer.fd < 0 || !pump_add(&lab->pump, &r->timer, EPOLLIN))
        return lab_fail(lab, "relay's timer: %s", strerror(errno));
    if (!lab_enter(lab, LAB_SWITCH))
        return false;
    ok = open_half(r, RELAY_IN, "cli") && open_half(r, RELAY_OUT, "rel");
    lab_leave(lab);
    return ok;
}

void relay_release(struct relay *r, int index)
{
    struct relay_frame *f = r->held[index];

    relay_catch_clear(&r->core, index);
    r->held[index] = NULL;
    if (f)
        put_out(r, f->way, f->bytes, f->len);
    free(f);
}

uint64_t relay_dropped_esp(const struct relay *r, enum relay_way way)
{
    return r->core.counts[way][RELAY_ESP].dropped;
}

static void close_watch(struct relay *r, struct pump_watch *w)
{
    if (w->fd < 0)
        return;
    pump_remove(&r->lab->pump, w);
    (void)close(w->fd);
    w->fd = -1;
}

void relay_stop(struct relay *r)
{
    if (!r->lab)
        return;
    for (unsigned i = 0; i < RELAY_MAX_CATCHES; i++)
        free(r->held[i]);
    while (r->waiting) {
        struct relay_frame *f = r->waiting;

        r->waiting = f->next;
        free(f);
    }
    close_watch(r, &r->halves[RELAY_IN].watch);
    close_watch(r, &r->halves[RELAY_OUT].watch);
    close_watch(r, &r->timer);
    *r = (struct relay){0};
}
