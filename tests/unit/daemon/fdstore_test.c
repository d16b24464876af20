/* The descriptors that a start is given: who may inherit them. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/fdstore.h"
#include "aside.h"

enum { FIRST = 3, AWAY = 40 };

/* A memfd with `text` in it, under the number `fd`, inherited by whatever is run. */
static void put(int fd, const char *text)
{
    int made = memfd_create(text, 0);

    NEED(made >= 0);
    NEED((write(made, text, strlen(text))) == (ssize_t)strlen(text));
    if (made != fd) {
        NEED(dup2(made, fd) == fd);
        (void)close(made);
    }
}

static bool holds(int fd, const char *text)
{
    char bytes[32] = "";

    return pread(fd, bytes, sizeof bytes - 1, 0) == (ssize_t)strlen(text) &&
           strcmp(bytes, text) == 0;
}

static bool inherited(int fd)
{
    int flags = fcntl(fd, F_GETFD);

    return flags >= 0 && (flags & FD_CLOEXEC) == 0;
}

static void tell(const char *n, const char *names, long pid)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%ld", pid);
    NEED(setenv("LISTEN_FDS", n, 1) == 0);
    NEED(setenv("LISTEN_FDNAMES", names, 1) == 0);
    NEED(setenv("LISTEN_PID", text, 1) == 0);
}

ASIDE(fdstore, what_came_is_inherited_by_nobody)
{
    put(FIRST, "one");
    put(FIRST + 1, "keys");
    put(FIRST + 2, "keys"); /* once more: a former start's */
    tell("3", "one:keys:keys", (long)getpid());
    NEED(fdstore_take("keys") == FIRST + 1);
    for (int fd = FIRST; fd < FIRST + 3; fd++)
        NEED(!inherited(fd));
    NEED(fdstore_take("other") == 0);
}

ASIDE(fdstore, what_is_anothers_is_left_alone)
{
    put(FIRST, "keys");
    tell("1", "keys", (long)getpid() + 1);
    NEED(fdstore_take("keys") == 0);
    NEED(inherited(FIRST));
    (void)close(FIRST + 4);
    tell("9", "a:b:c:d:keys", (long)getpid());
    NEED(fdstore_take("keys") == 0); /* no such descriptor is there */
}

/* As after execve(): the number that was named, whatever is under the first one, and not under two. */
ASIDE(fdstore, what_is_handed_on_has_one_number)
{
    static const int from[] = {AWAY, FIRST};
    size_t compared = 0;

    for (size_t i = 0; i < sizeof from / sizeof *from; i++, compared++) {
        put(FIRST, "another");
        put(from[i], "keys");
        fdstore_hand_on("keys", from[i]);
        NEED(holds(FIRST, "keys") && inherited(FIRST));
        NEED(fcntl(AWAY, F_GETFD) == -1);
        NEED(fdstore_take("keys") == FIRST);
        NEED(!inherited(FIRST));
    }
    (void)printf("compared %zu\n", compared);
    (void)fflush(stdout);
}

ASIDE(fdstore, nothing_is_handed_on)
{
    static const int none[] = {0, AWAY};
    size_t compared = 0;

    for (size_t i = 0; i < sizeof none / sizeof *none; i++, compared++) {
        put(FIRST, "another");
        tell("1", "keys", (long)getpid());
        fdstore_hand_on("keys", none[i]);
        NEED(fdstore_take("keys") == 0);
        NEED(holds(FIRST, "another"));
    }
    (void)printf("compared %zu\n", compared);
    (void)fflush(stdout);
}
