#include "daemon/fdstore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/notify.h"

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
    char text[128];

    (void)snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s", name);
    return notify_send(text, fd);
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
