#include "traffic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

enum {
    PORT_NUMBERS = 7007,
    PORT_UPLOAD = 7008,
    UPLOAD_BYTES_PER_S = 100000,
    UPLOAD_CHUNK = 1000,
    UPLOAD_BURST = 8000
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

        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n < TRAFFIC_MIN_BYTES || memcmp(packet, TRAFFIC_MAGIC, 8) != 0 ||
            packet[8] != end->receives)
            continue; /* an ICMP error on the socket, or not ours */
        numbers_arrive(&end->owner->numbers[end->receives], get_be64(packet + 16), stamp_of(&m));
    }
}

static void send_one(struct traffic *t, enum traffic_direction d)
{
    uint8_t packet[TRAFFIC_MAX_BYTES] = TRAFFIC_MAGIC;
    uint64_t now = pump_wall_ns();
    uint64_t number = numbers_send(&t->numbers[d], now);
    int fd = t->ends[d == TRAFFIC_IN ? 0 : 1].watch.fd;

    packet[8] = (uint8_t)d;
    put_be64(packet + 16, number);
    put_be64(packet + 24, now);
    if (send(fd, packet, t->bytes, MSG_DONTWAIT) != (ssize_t)t->bytes)
        t->send_failed++;
}

static void upload_some(struct traffic *t)
{
    static const uint8_t chunk[UPLOAD_CHUNK] = {0};

    while (t->upload_credit >= UPLOAD_CHUNK) {
        ssize_t n = send(t->uploader.fd, chunk, sizeof chunk, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n <= 0)
            return;
        t->uploaded += (uint64_t)n;
        t->upload_credit -= (uint64_t)n;
    }
}

static void ticked(void *arg, uint32_t events)
{
    struct traffic *t = arg;
    uint64_t times = 0;

    (void)events;
    if (read(t->tick.fd, &times, sizeof times) != (ssize_t)sizeof times || !t->sending)
        return;
    for (uint64_t i = 0; i < times; i++) {
        for (unsigned d = 0; d < TRAFFIC_DIRECTIONS; d++) {
            if (t->half ? d == t->alone : t->directions[d])
                send_one(t, d);
        }
    }
    if (t->upload && !t->half) {
        t->upload_credit += times * UPLOAD_BYTES_PER_S / t->pps;
        if (t->upload_credit > UPLOAD_BURST)
            t->upload_credit = UPLOAD_BURST;
        upload_some(t);
    }
}

static void upload_arrived(void *arg, uint32_t events)
{
    struct traffic *t = arg;
    uint8_t sink[16384];
    ssize_t n;
    bool any = false;
    int on = 1;

    (void)events;
    while ((n = recv(t->downloader.fd, sink, sizeof sink, MSG_DONTWAIT)) > 0) {
        t->upload_received += (uint64_t)n;
        any = true;
    }
    /* No delayed acknowledgements: the sender's retransmission time then follows the path, not this
     * machine's load. */
    (void)setsockopt(t->downloader.fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    if (any)
        numbers_arrive(&t->upload_progress, t->upload_received, pump_wall_ns());
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)) {
        pump_remove(&t->lab->pump, &t->downloader);
        (void)close(t->downloader.fd);
        t->downloader.fd = -1;
    }
}

static void upload_accepted(void *arg, uint32_t events)
{
    struct traffic *t = arg;
    int fd = accept4(t->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)events;
    if (fd < 0)
        return;
    if (t->downloader.fd >= 0) {
        (void)close(fd);
        return;
    }
    t->downloader = (struct pump_watch){fd, upload_arrived, t};
    if (!pump_add(&t->lab->pump, &t->downloader, EPOLLIN))
        (void)lab_fail(t->lab, "epoll_ctl: %s", strerror(errno));
}

static struct sockaddr_in address(uint32_t host_order, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host_order)};
}

static bool udp_end(struct traffic *t, unsigned i, enum lab_place place, uint32_t bind_to)
{
    struct traffic_end *end = &t->ends[i];
    struct sockaddr_in local = address(bind_to, PORT_NUMBERS);
    int on = 1, size = 4 << 20;

    *end = (struct traffic_end){.owner = t, .receives = i == 0 ? TRAFFIC_OUT : TRAFFIC_IN};
    end->watch = (struct pump_watch){-1, arrived, end};
    if (!lab_enter(t->lab, place))
        return false;
    end->watch.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    lab_leave(t->lab);
    if (end->watch.fd < 0 ||
        setsockopt(end->watch.fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0 ||
        setsockopt(end->watch.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0 ||
        bind(end->watch.fd, (struct sockaddr *)&local, sizeof local) != 0)
        return lab_fail(t->lab, "traffic socket: %s", strerror(errno));
    return pump_add(&t->lab->pump, &end->watch, EPOLLIN) ||
           lab_fail(t->lab, "epoll_ctl: %s", strerror(errno));
}

/* The server learns the client's inner address from nobody: the runner asks the client's own
 * socket. */
static bool connect_ends(struct traffic *t, uint32_t *inner)
{
    struct sockaddr_in server = address(LAB_SERVER, PORT_NUMBERS), client = {0};
    socklen_t len = sizeof client;

    if (connect(t->ends[0].watch.fd, (struct sockaddr *)&server, sizeof server) != 0 ||
        getsockname(t->ends[0].watch.fd, (struct sockaddr *)&client, &len) != 0)
        return lab_fail(t->lab, "traffic: client to server: %s", strerror(errno));
    *inner = ntohl(client.sin_addr.s_addr);
    if ((*inner & 0xffffff00) != LAB_POOL)
        return lab_fail(t->lab,
                        "traffic: the client's address %#x is not of the pool: no tunnel route",
                        *inner);
    if (connect(t->ends[1].watch.fd, (struct sockaddr *)&client, sizeof client) != 0)
        return lab_fail(t->lab, "traffic: server to client: %s", strerror(errno));
    return true;
}

static bool open_upload(struct traffic *t)
{
    struct sockaddr_in at = address(LAB_SERVER, PORT_UPLOAD);
    int on = 1;

    if (!lab_enter(t->lab, LAB_SERVER_NS))
        return false;
    t->listener = (struct pump_watch){
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), upload_accepted, t};
    lab_leave(t->lab);
    if (!lab_enter(t->lab, LAB_CLIENT_NS))
        return false;
    t->uploader = (struct pump_watch){
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), NULL, t};
    lab_leave(t->lab);
    if (t->listener.fd < 0 || t->uploader.fd < 0 ||
        setsockopt(t->listener.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(t->listener.fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(t->listener.fd, 1) != 0 || !pump_add(&t->lab->pump, &t->listener, EPOLLIN))
        return lab_fail(t->lab, "upload: %s", strerror(errno));
    if (connect(t->uploader.fd, (struct sockaddr *)&at, sizeof at) != 0 && errno != EINPROGRESS)
        return lab_fail(t->lab, "upload: connect: %s", strerror(errno));
    return true;
}

bool traffic_open(struct traffic *t, struct chaos_lab *lab, unsigned pps, unsigned bytes,
                  bool upload, uint32_t *inner)
{
    *t = (struct traffic){
        .lab = lab, .pps = pps, .bytes = bytes, .upload = upload, .directions = {true, true}};
    t->ends[0].watch.fd = t->ends[1].watch.fd = t->tick.fd = -1;
    t->listener.fd = t->uploader.fd = t->downloader.fd = -1;
    if (!udp_end(t, 0, LAB_CLIENT_NS, INADDR_ANY) || !udp_end(t, 1, LAB_SERVER_NS, LAB_SERVER) ||
        !connect_ends(t, inner))
        return false;
    if (upload && !open_upload(t))
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
    arm(t, 1000000000u / t->pps);
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

void traffic_close(struct traffic *t)
{
    if (!t->lab)
        return;
    close_watch(t, &t->ends[0].watch);
    close_watch(t, &t->ends[1].watch);
    close_watch(t, &t->tick);
    close_watch(t, &t->listener);
    close_watch(t, &t->uploader);
    close_watch(t, &t->downloader);
    for (unsigned d = 0; d < TRAFFIC_DIRECTIONS; d++)
        numbers_deinit(&t->numbers[d]);
    numbers_deinit(&t->upload_progress);
}
