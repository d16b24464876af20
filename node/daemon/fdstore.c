#include "daemon/fdstore.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3, MAX_FDS = 64 };

static long number(const char *variable)
{
    const char *text = getenv(variable);

    return text == NULL ? 0 : strtol(text, NULL, 10);
}

int fdstore_take(const char *name)
{
    const char *names = getenv("LISTEN_FDNAMES");
    long n = number("LISTEN_FDS");

    if (n <= 0 || n > MAX_FDS || number("LISTEN_PID") != (long)getpid())
        return 0;
    for (int fd = FIRST_FD; fd < FIRST_FD + n; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    for (int fd = FIRST_FD; fd < FIRST_FD + n && names != NULL; fd++) {
        size_t len = strcspn(names, ":");

        if (len == strlen(name) && memcmp(names, name, len) == 0 && fcntl(fd, F_GETFD) >= 0)
            return fd;
        names = names[len] == ':' ? names + len + 1 : NULL;
    }
    return 0;
}

bool fdstore_put(const char *name, int fd)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {0};
    char text[128];
    struct iovec part = {.iov_base = text};
    struct msghdr message = {.msg_name = &to,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    int s;
    bool sent;

    if (path == NULL || strlen(path) < 2 || strlen(path) >= sizeof to.sun_path)
        return false;
    memcpy(to.sun_path, path, strlen(path));
    if (path[0] == '@') /* the abstract namespace */
        to.sun_path[0] = '\0';
    message.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    part.iov_len = (size_t)snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s", name);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s < 0)
        return false;
    sent = sendmsg(s, &message, MSG_NOSIGNAL) == (ssize_t)part.iov_len;
    (void)close(s);
    return sent;
}

void fdstore_hand_on(const char *name, int fd)
{
    bool moved = fd == FIRST_FD;
    char pid[16];

    (void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
    if (fd != 0 && fd != FIRST_FD) {
        moved = dup2(fd, FIRST_FD) == FIRST_FD;
        (void)close(fd);
    }
    if (!moved || fcntl(FIRST_FD, F_SETFD, 0) != 0 || setenv("LISTEN_FDS", "1", 1) != 0 ||
        setenv("LISTEN_FDNAMES", name, 1) != 0 || setenv("LISTEN_PID", pid, 1) != 0)
        (void)unsetenv("LISTEN_FDS"); /* nothing: what had that number is something else by now */
}
