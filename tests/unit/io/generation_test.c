/* A new generation of the machine: what the kernel says of it, and who else might. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/generation.h"
#include "ns.h"

/* As Linux writes it (lib/kobject_uevent.c, drivers/virt/vmgenid.c); the last zero is a part of it. */
static const char change[] = "change@/devices/platform/VMGENCTR:00\0ACTION=change\0"
                             "DEVPATH=/devices/platform/VMGENCTR:00\0SUBSYSTEM=platform\0"
                             "NEW_VMGENID=1\0MODALIAS=acpi:VMGENCTR:\0SEQNUM=4711";

static bool is_new(const char *text, size_t len)
{
    return generation_is_new((const uint8_t *)text, len);
}

#define IS_NEW(text) is_new(text, sizeof(text))

Test(generation, a_datagram)
{
    cr_assert(IS_NEW(change));
    cr_assert(IS_NEW("change@/x\0NEW_VMGENID=1"));
    cr_assert_not(IS_NEW("add@/x\0NEW_VMGENID=1"));
    cr_assert_not(IS_NEW("change@/x\0NEW_VMGENID=0"));
    cr_assert_not(IS_NEW("change@/x\0NEW_VMGENID=11"));
    cr_assert_not(IS_NEW("change@/x\0SYNTH_ARG_NEW_VMGENID=1")); /* root's, by /sys/.../uevent */
    cr_assert_not(IS_NEW("change@/NEW_VMGENID=1\0ACTION=change"));
    cr_assert_not(IS_NEW("libudev"));
    for (size_t n = 0; n < sizeof change;
         n++) { /* cut anywhere: read no further, and only whole words */
        char *cut = malloc(n > 0 ? n : 1);
        const char *at;

        cr_assert_not_null(cut);
        memcpy(cut, change, n);
        at = memmem(change, sizeof change, "NEW_VMGENID=1", sizeof "NEW_VMGENID=1");
        cr_assert_not_null(at);
        cr_assert_eq(is_new(cut, n), n >= (size_t)(at - change) + sizeof "NEW_VMGENID=1", "%zu", n);
        free(cut);
    }
}

struct sent {
    struct sockaddr_nl from;
    struct ucred who;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
    struct msghdr m;
};

/* As recvmsg() gives the kernel's own. */
static struct msghdr *kernels(struct sent *s)
{
    struct cmsghdr *c;

    *s = (struct sent){.from = {.nl_family = AF_NETLINK, .nl_groups = 1}};
    s->m = (struct msghdr){.msg_name = &s->from,
                           .msg_namelen = sizeof s->from,
                           .msg_control = s->control,
                           .msg_controllen = sizeof s->control};
    c = CMSG_FIRSTHDR(&s->m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_CREDENTIALS;
    c->cmsg_len = CMSG_LEN(sizeof s->who);
    return &s->m;
}

static bool with(struct sent *s, struct ucred who)
{
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&s->m)), &who, sizeof who);
    return generation_from_kernel(&s->m);
}

Test(generation, only_the_kernels_own)
{
    struct sent s;

    cr_assert(generation_from_kernel(kernels(&s)));
    cr_assert_not(with(&s, (struct ucred){.pid = 1}));
    cr_assert_not(with(&s, (struct ucred){.uid = 1000}));
    (void)kernels(&s);
    s.from.nl_pid = 77; /* another program's socket */
    cr_assert_not(generation_from_kernel(&s.m));
    (void)kernels(&s);
    s.from.nl_groups = 2; /* udev's */
    cr_assert_not(generation_from_kernel(&s.m));
    s.from.nl_groups = 0; /* to this socket alone */
    cr_assert_not(generation_from_kernel(&s.m));
    (void)kernels(&s);
    s.m.msg_controllen = 0; /* nobody says who */
    cr_assert_not(generation_from_kernel(&s.m));
    (void)kernels(&s);
    s.m.msg_namelen = 0;
    cr_assert_not(generation_from_kernel(&s.m));
}

/* --- the thread --- */

static int changed_fd, missed_fd, ended_fd;

static void add_one(int fd)
{
    cr_assert_eq(eventfd_write(fd, 1), 0);
}

static void on_changed(void *self)
{
    cr_assert_eq(self, &changed_fd);
    add_one(changed_fd);
}

static void on_missed(void *self)
{
    (void)self;
    add_one(missed_fd);
}

static void on_ended(void *self, int code)
{
    cr_assert_eq(self, &changed_fd);
    cr_assert_eq(eventfd_write(ended_fd, (eventfd_t)code), 0);
}

/* Waits; and how often, since the last time. */
static uint64_t count(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    eventfd_t n = 0;

    cr_assert_eq(poll(&p, 1, 10000), 1, "nothing was told");
    cr_assert_eq(eventfd_read(fd, &n), 0);
    return n;
}

static struct generation_watch *start(int fd, bool (*from)(const struct msghdr *))
{
    const struct generation_listener l = {
        .changed = on_changed, .missed = on_missed, .ended = on_ended, .self = &changed_fd};
    struct io_error error;
    struct generation_watch *w;

    changed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    missed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w = generation_watch_start(fd, from, &l, &error);
    cr_assert_not_null(w, "%s", error.text);
    return w;
}

/* Those of this process count in this test; of nobody else there are any. */
static bool ours(const struct msghdr *m)
{
    struct msghdr *mine = (struct msghdr *)(uintptr_t)m;
    struct cmsghdr *c = CMSG_FIRSTHDR(mine);
    struct ucred who;

    if (c == NULL || c->cmsg_type != SCM_CREDENTIALS)
        return false;
    memcpy(&who, CMSG_DATA(c), sizeof who);
    return who.pid == getpid();
}

static void say(int fd, const void *bytes, size_t n)
{
    cr_assert_eq(send(fd, bytes, n, 0), (ssize_t)n, "%s", strerror(errno));
}

Test(generation, the_thread_tells_at_once_and_drops_what_is_no_news)
{
    static char big[GENERATION_DATAGRAM_BYTES + 1];
    struct generation_watch *w;
    int fds[2], on = 1;
    uint64_t n;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    cr_assert_eq(setsockopt(fds[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    w = start(fds[0], ours);
    memcpy(big, change,
           sizeof change); /* the word is in it, but it is longer than any of the kernel's */
    say(fds[1], big, sizeof big);
    say(fds[1], "", 0);
    say(fds[1], "change@", 7);
    say(fds[1], "add@/devices/x\0ACTION=add", 26);
    say(fds[1], change, sizeof change);
    n = count(changed_fd);
    cr_assert_eq(n, 1, "%llu", (unsigned long long)n);
    say(fds[1], change, sizeof change);
    cr_assert_eq(count(changed_fd), 1);
    cr_assert_eq(eventfd_read(missed_fd, &n), -1); /* nothing was lost */
    generation_watch_stop(w);
    cr_assert_eq(eventfd_read(ended_fd, &n), -1); /* nor did it end by itself */
    (void)close(fds[1]);
}

/* A descriptor that is ready and gives no datagram: no socket any more. Once, with the reason, and as nothing else. */
Test(generation, a_watch_that_ends_says_so)
{
    struct generation_watch *w = start(eventfd(1, EFD_CLOEXEC), ours);
    uint64_t n;

    cr_assert_eq(count(ended_fd), ENOTSOCK);
    generation_watch_stop(w);
    cr_assert_eq(eventfd_read(ended_fd, &n), -1);
    cr_assert_eq(eventfd_read(missed_fd, &n), -1);
    cr_assert_eq(eventfd_read(changed_fd, &n), -1);
}

Test(generation, another_senders_is_dropped)
{
    struct generation_watch *w;
    int fds[2];
    uint64_t n;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    w = start(fds[0], generation_from_kernel); /* a unix socket's are never the kernel's */
    say(fds[1], change, sizeof change);
    generation_watch_stop(w);
    cr_assert_eq(eventfd_read(changed_fd, &n), -1);
    (void)close(fds[1]);
}

/* --- against the kernel --- */

static ssize_t to(int fd, uint32_t port, const void *bytes, size_t n)
{
    struct sockaddr_nl at = {.nl_family = AF_NETLINK, .nl_pid = port};

    return sendto(fd, bytes, n, 0, (struct sockaddr *)&at, sizeof at);
}

static _Atomic unsigned believed, refused;

static bool judged(const struct msghdr *m)
{
    bool kernels_own = generation_from_kernel(m);

    (void)atomic_fetch_add(kernels_own ? &believed : &refused, 1);
    return kernels_own;
}

/* Root's own, by the kernel to all in the namespace (which it may since 4.18), or past it to this socket; and then what the
 * kernel itself says of a device that comes. */
Test(generation, what_root_forges_and_what_the_kernel_says)
{
    struct {
        struct nlmsghdr head;
        char text[sizeof change];
    } message = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof change),
                          .nlmsg_type = NLMSG_MIN_TYPE,
                          .nlmsg_flags = NLM_F_REQUEST}};
    struct sockaddr_nl name;
    socklen_t len = sizeof name;
    struct generation_watch *w;
    struct io_error error;
    int fd, other;
    uint64_t n;

    ns_need_root();
    ns_own();
    fd = generation_open(&error);
    cr_assert(fd >= 0, "%s", error.text);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    w = start(fd, judged);
    other = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
    cr_assert(other >= 0);
    memcpy(message.text, change, sizeof change);
    cr_assert(to(other, name.nl_pid, change, sizeof change) > 0, "%s", strerror(errno));
    cr_assert(to(other, 0, &message, message.head.nlmsg_len) > 0, "%s", strerror(errno));
    ns_run(0, "ip tuntap add dev seen mode tun");
    for (unsigned i = 0; i < 1000 && atomic_load(&believed) == 0; i++)
        (void)poll(NULL, 0, 10);
    generation_watch_stop(w);
    cr_assert_eq(atomic_load(&refused), 2, "%u", atomic_load(&refused));
    cr_assert(atomic_load(&believed) > 0);
    cr_assert_eq(eventfd_read(changed_fd, &n), -1);
    (void)close(other);
}
