/* A service manager's file descriptor store, for laboratories: what it holds comes back at the next start
 * of a program, and is gone when it ends, as when a machine loses its power.
 *
 *   holdfast-keep hold SOCKET                the store; until it is killed
 *   holdfast-keep run SOCKET PROGRAM ARG...  becomes PROGRAM, with NOTIFY_SOCKET and LISTEN_FDS as systemd
 *                                            sets them
 *
 * Datagrams: "FDSTORE=1\nFDNAME=name" with a descriptor is kept (sd_notify(3)); "GIVE" with a socket is
 * answered on that with one datagram a descriptor, its name and itself, and then an empty one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { KEPT_MAX = 16, NAME_BYTES = 64, FIRST_FD = 3, ASIDE_FD = 100 };

struct kept {
    char name[NAME_BYTES];
    int fd;
};

static int fail(const char *what)
{
    (void)fprintf(stderr, "holdfast-keep: %s: %s\n", what, strerror(errno));
    return 1;
}

static bool address(const char *path, struct sockaddr_un *a)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a->sun_path)
        return false;
    memcpy(a->sun_path, path, strlen(path));
    return true;
}

/* fd < 0: none. */
static bool send_with(int s, const struct sockaddr_un *to, const char *text, int fd)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec part = {.iov_base = (void *)(size_t)text, .iov_len = strlen(text)};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    struct cmsghdr *c;

    if (to != NULL) {
        m.msg_name = (void *)(size_t)to;
        m.msg_namelen = sizeof *to;
    }
    if (fd >= 0) {
        m.msg_control = control;
        m.msg_controllen = sizeof control;
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    return sendmsg(s, &m, MSG_NOSIGNAL) >= 0;
}

/* The length, -1 = an error. *fd: what came with it, -1 = nothing. text is ended by a zero. */
static ssize_t receive(int s, char *text, size_t cap, int *fd)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof *fd)];
    struct iovec part = {.iov_base = text, .iov_len = cap - 1};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof control};
    ssize_t n = recvmsg(s, &m, MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);

    *fd = -1;
    if (c != NULL && c->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(c), sizeof *fd);
    if (n >= 0)
        text[n] = '\0';
    return n;
}

static void give(const struct kept *kept, size_t n, int to)
{
    for (size_t i = 0; i < n; i++)
        (void)send_with(to, NULL, kept[i].name, kept[i].fd);
    (void)send_with(to, NULL, "", -1);
}

/* A name that is there already is replaced. */
static size_t keep(struct kept *kept, size_t n, const char *name, int fd)
{
    size_t i = 0;

    while (i < n && strcmp(kept[i].name, name) != 0)
        i++;
    if (i == KEPT_MAX || strlen(name) >= NAME_BYTES) {
        (void)close(fd);
        return n;
    }
    if (i < n)
        (void)close(kept[i].fd);
    memcpy(kept[i].name, name, strlen(name) + 1);
    kept[i].fd = fd;
    return i < n ? n : n + 1;
}

static int hold(const char *path)
{
    static const char stores[] = "FDSTORE=1\nFDNAME=";
    struct kept kept[KEPT_MAX];
    struct sockaddr_un at;
    size_t n = 0;
    char text[256];
    int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int fd;

    (void)unlink(path);
    if (s < 0 || !address(path, &at) || bind(s, (struct sockaddr *)&at, sizeof at) != 0)
        return fail(path);
    while (receive(s, text, sizeof text, &fd) >= 0) {
        if (fd < 0)
            continue;
        if (strncmp(text, stores, sizeof stores - 1) == 0) {
            n = keep(kept, n, text + sizeof stores - 1, fd);
            continue;
        }
        if (strcmp(text, "GIVE") == 0)
            give(kept, n, fd);
        (void)close(fd);
    }
    return fail("recvmsg");
}

/* What is held, moved to 3, 4, ... without closing on exec; its names, joined by ':'. -1: an error. */
static int take_all(const char *path, char *names, size_t cap)
{
    struct sockaddr_un to;
    int pair[2], aside[KEPT_MAX], fd;
    int n = 0;
    char name[NAME_BYTES];

    names[0] = '\0';
    if (!address(path, &to) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !send_with(fd, &to, "GIVE", pair[1]))
        return -1;
    (void)close(fd);
    (void)close(pair[1]);
    while (receive(pair[0], name, sizeof name, &fd) > 0 && fd >= 0 && n < KEPT_MAX) {
        (void)snprintf(names + strlen(names), cap - strlen(names), "%s%s", n == 0 ? "" : ":", name);
        aside[n++] = fcntl(fd, F_DUPFD_CLOEXEC, ASIDE_FD);
        (void)close(fd);
    }
    (void)close(pair[0]);
    for (int i = 0; i < n; i++)
        if (dup2(aside[i], FIRST_FD + i) < 0)
            return -1;
    return n;
}

static int run(const char *path, char **argv)
{
    char names[KEPT_MAX * NAME_BYTES], text[32];
    int n = take_all(path, names, sizeof names);

    if (n < 0)
        return fail(path);
    (void)setenv("NOTIFY_SOCKET", path, 1);
    (void)snprintf(text, sizeof text, "%d", n);
    (void)setenv("LISTEN_FDS", text, 1);
    (void)snprintf(text, sizeof text, "%ld", (long)getpid());
    (void)setenv("LISTEN_PID", text, 1);
    (void)setenv("LISTEN_FDNAMES", names, 1);
    (void)execvp(argv[0], argv);
    return fail(argv[0]);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "hold") == 0)
        return hold(argv[2]);
    if (argc >= 4 && strcmp(argv[1], "run") == 0)
        return run(argv[2], argv + 3);
    (void)fprintf(stderr, "usage: holdfast-keep hold SOCKET | run SOCKET PROGRAM ARG...\n");
    return 2;
}
