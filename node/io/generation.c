#include "io/generation.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct generation_watch {
    int fd, end_fd;
    pthread_t thread;
    bool (*from_kernel)(const struct msghdr *);
    struct generation_listener listener;
};

int generation_open(struct io_error *error)
{
    struct sockaddr_nl at = {.nl_family = AF_NETLINK, .nl_groups = GENERATION_GROUP};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
    int on = 1, bytes = GENERATION_BUFFER_BYTES;

    if (fd < 0) {
        io_error_set(error, errno, "cannot listen to the kernel's events about devices: %s",
                     strerror(errno));
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)&at, sizeof at) != 0) {
        io_error_set(error, errno, "cannot listen to the kernel's events about devices: %s",
                     strerror(errno));
        (void)close(fd);
        return -1;
    }
    return fd;
}

bool generation_from_kernel(const struct msghdr *message)
{
    const struct sockaddr_nl *from = message->msg_name;
    struct msghdr *m = (struct msghdr *)(uintptr_t)message; /* CMSG_NXTHDR reads, but says not so */
    struct ucred who;

    if (from == NULL || message->msg_namelen != sizeof *from || from->nl_family != AF_NETLINK ||
        from->nl_pid != 0 || from->nl_groups != GENERATION_GROUP)
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS ||
            c->cmsg_len != CMSG_LEN(sizeof who))
            continue;
        memcpy(&who, CMSG_DATA(c), sizeof who);
        return who.pid == 0 && who.uid == 0;
    }
    return false;
}

bool generation_is_new(const uint8_t *datagram, size_t len)
{
    static const char action[] = "change@", variable[] = "NEW_VMGENID=1";
    const uint8_t *at = datagram, *end = datagram + len;

    if (len < sizeof action || memcmp(datagram, action, sizeof action - 1) != 0)
        return false;
    while (at < end) {
        const uint8_t *zero = memchr(at, 0, (size_t)(end - at));

        if (zero == NULL)
            return false; /* cut off: not as the kernel writes them */
        if ((size_t)(zero - at) == sizeof variable - 1 &&
            memcmp(at, variable, sizeof variable) == 0)
            return true;
        at = zero + 1;
    }
    return false;
}

/* One datagram. Otherwise the errno with which the socket gives no more. */
static int take(struct generation_watch *w)
{
    uint8_t bytes[GENERATION_DATAGRAM_BYTES];
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
    struct sockaddr_nl from = {0};
    struct iovec part = {bytes, sizeof bytes};
    struct msghdr m = {.msg_name = &from,
                       .msg_namelen = sizeof from,
                       .msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    ssize_t n = recvmsg(w->fd, &m, MSG_DONTWAIT);

    if (n < 0 && errno == ENOBUFS) {
        w->listener.missed(w->listener.self);
        return 0;
    }
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : errno;
    if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && w->from_kernel(&m) &&
        generation_is_new(bytes, (size_t)n))
        w->listener.changed(w->listener.self);
    return 0;
}

static void *run(void *self)
{
    struct generation_watch *w = self;
    struct pollfd p[2] = {{w->fd, POLLIN, 0}, {w->end_fd, POLLIN, 0}};
    int code = 0;

    while (code == 0 && p[1].revents == 0) {
        if (poll(p, 2, -1) >= 0)
            code = p[0].revents != 0 ? take(w) : 0;
        else if (errno != EINTR)
            code = errno;
    }
    if (code != 0)
        w->listener.ended(w->listener.self, code);
    return NULL;
}

struct generation_watch *generation_watch_start(int fd, bool (*from_kernel)(const struct msghdr *),
                                                const struct generation_listener *listener,
                                                struct io_error *error)
{
    struct generation_watch *w = calloc(1, sizeof *w);
    sigset_t all, before;
    int failed;

    HF_ASSERT(w != NULL);
    *w = (struct generation_watch){.fd = fd,
                                   .end_fd = eventfd(0, EFD_CLOEXEC),
                                   .from_kernel = from_kernel,
                                   .listener = *listener};
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* the loop's thread takes them */
    failed = w->end_fd < 0 ? errno : pthread_create(&w->thread, NULL, run, w);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0)
        return w;
    io_error_set(error, failed, "cannot watch the machine's generation: %s", strerror(failed));
    if (w->end_fd >= 0)
        (void)close(w->end_fd);
    (void)close(fd);
    free(w);
    return NULL;
}

void generation_watch_stop(struct generation_watch *w)
{
    uint64_t one = 1;

    HF_ASSERT(write(w->end_fd, &one, sizeof one) == (ssize_t)sizeof one);
    HF_ASSERT(pthread_join(w->thread, NULL) == 0);
    (void)close(w->end_fd);
    (void)close(w->fd);
    free(w);
}
