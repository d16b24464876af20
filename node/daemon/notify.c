#include "daemon/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { NS_PER_US = 1000, PARTS = 4 };

bool notify_send(const char *text, int fd)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_name = &to, .msg_iov = &part, .msg_iovlen = 1};
    struct cmsghdr *c;
    int s;
    bool sent;

    if (path == NULL || strlen(path) < 2 || strlen(path) >= sizeof to.sun_path)
        return false;
    memcpy(to.sun_path, path, strlen(path));
    if (path[0] == '@') /* the abstract namespace */
        to.sun_path[0] = '\0';
    message.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s < 0)
        return false;
    /* A manager that takes nothing must not stop a loop that serves: what does not fit is not said. */
    sent = sendmsg(s, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)part.iov_len;
    (void)close(s);
    return sent;
}

/* Digits alone; 0 when it is not there or no number. */
static uint64_t number(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    uint64_t value;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    value = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0 ? value : 0;
}

static uint64_t watchdog_us(void)
{
    const char *pid = getenv("WATCHDOG_PID");
    uint64_t us = number("WATCHDOG_USEC");

    if (pid != NULL && number("WATCHDOG_PID") != (uint64_t)getpid())
        return 0;
    return us <= UINT64_MAX / NS_PER_US ? us : 0;
}

void notify_init(struct notify *n)
{
    *n = (struct notify){.watchdog_ns = watchdog_us() * NS_PER_US};
}

void notify_ready(const struct notify *n)
{
    char text[96];

    if (n->watchdog_ns == 0)
        (void)notify_send("READY=1\nSTATUS=serving", -1);
    else {
        (void)snprintf(text, sizeof text, "READY=1\nSTATUS=serving\nWATCHDOG_USEC=%" PRIu64,
                       n->watchdog_ns / NS_PER_US);
        (void)notify_send(text, -1);
    }
}

void notify_stopping(void)
{
    (void)notify_send("STOPPING=1\nSTATUS=handing over, then stopping", -1);
}

bool notify_alive(struct notify *n, uint64_t now_ns, uint64_t oldest_turn_ns)
{
    if (n->watchdog_ns == 0 || now_ns < n->next_ns)
        return false;
    if (oldest_turn_ns < now_ns && now_ns - oldest_turn_ns > n->watchdog_ns / 2)
        return false;
    n->next_ns = now_ns + n->watchdog_ns / PARTS;
    return notify_send("WATCHDOG=1", -1);
}

void notify_patience(unsigned s)
{
    char text[64];

    (void)snprintf(text, sizeof text, "WATCHDOG_USEC=%" PRIu64, (uint64_t)s * 1000000u);
    if (watchdog_us() != 0)
        (void)notify_send(text, -1);
}
