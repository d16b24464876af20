#include "traffic.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT_UPLOAD = 7008, UPLOAD_BYTES_PER_S = 100000, UPLOAD_CHUNK = 1000, UPLOAD_BURST = 8000 };

void traffic_upload_some(struct traffic *t, uint64_t ticks)
{
    static const uint8_t chunk[UPLOAD_CHUNK] = {0};

    t->upload_credit += ticks * UPLOAD_BYTES_PER_S / (t->plan.pps * t->slices);
    if (t->upload_credit > UPLOAD_BURST)
        t->upload_credit = UPLOAD_BURST;
    while (t->upload_credit >= UPLOAD_CHUNK) {
        ssize_t n = send(t->uploader.fd, chunk, sizeof chunk, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n <= 0)
            return;
        t->uploaded += (uint64_t)n;
        t->upload_credit -= (uint64_t)n;
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

bool traffic_open_upload(struct traffic *t)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(PORT_UPLOAD),
                             .sin_addr.s_addr = htonl(LAB_SERVER)};
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(t->clients[0].inner[TRAFFIC_V4])};
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
        listen(t->listener.fd, 1) != 0 ||
        bind(t->uploader.fd, (struct sockaddr *)&from, sizeof from) != 0 ||
        !pump_add(&t->lab->pump, &t->listener, EPOLLIN))
        return lab_fail(t->lab, "upload: %s", strerror(errno));
    if (connect(t->uploader.fd, (struct sockaddr *)&at, sizeof at) != 0 && errno != EINPROGRESS)
        return lab_fail(t->lab, "upload: connect: %s", strerror(errno));
    return true;
}
