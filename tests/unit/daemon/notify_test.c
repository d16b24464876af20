/* What a service manager hears: the test has its socket. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/notify.h"
#include "aside.h"

enum { US = 1000 };
static const uint64_t S = 1000000000u;

/* The manager's end; `abstract`: a name without a file. */
static int manager(bool abstract)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char path[64];
    socklen_t len;

    (void)snprintf(path, sizeof path, "%s/hf-notify-%ld", abstract ? "@" : "/tmp", (long)getpid());
    memcpy(at.sun_path, path, strlen(path));
    if (abstract)
        at.sun_path[0] = '\0';
    len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    NEED(fd >= 0 && bind(fd, (const struct sockaddr *)&at, len) == 0);
    NEED(setenv("NOTIFY_SOCKET", path, 1) == 0);
    return fd;
}

static void gone(void)
{
    (void)unlink(getenv("NOTIFY_SOCKET"));
}

/* The next thing that was said; "" when nothing was. */
static const char *heard(int fd)
{
    static char text[256];
    ssize_t n = recv(fd, text, sizeof text - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void watched(const char *us, long pid)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%ld", pid);
    NEED(setenv("WATCHDOG_USEC", us, 1) == 0 && setenv("WATCHDOG_PID", text, 1) == 0);
}

ASIDE(notify, without_a_manager_nothing_is_said)
{
    struct notify n;

    (void)unsetenv("NOTIFY_SOCKET");
    watched("1000000", (long)getpid());
    notify_init(&n);
    NEED(!notify_send("READY=1", -1));
    NEED(!notify_alive(&n, S, S));
    NEED(setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1) == 0);
    NEED(!notify_send("READY=1", -1));
}

ASIDE(notify, ready_and_stopping_by_a_file_or_an_abstract_name)
{
    for (int abstract = 0; abstract < 2; abstract++) {
        int fd = manager(abstract != 0);
        struct notify n;

        (void)unsetenv("WATCHDOG_USEC");
        notify_init(&n);
        notify_ready(&n);
        notify_stopping();
        notify_patience(7); /* nobody watches */
        gone();
        NEED(strcmp(heard(fd), "READY=1\nSTATUS=serving") == 0);
        NEED(strncmp(heard(fd), "STOPPING=1\n", 11) == 0);
        NEED(strcmp(heard(fd), "") == 0);
        (void)close(fd);
    }
}

ASIDE(notify, a_descriptor_goes_along)
{
    int fd = manager(false), keys = memfd_create("keys", MFD_CLOEXEC), got = -1;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof got)];
    char text[64];
    struct iovec part = {text, sizeof text};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};

    NEED(keys >= 0 && write(keys, "abc", 3) == 3);
    NEED(notify_send("FDSTORE=1\nFDNAME=keys", keys));
    gone();
    NEED(recvmsg(fd, &message, 0) == 21 && memcmp(text, "FDSTORE=1\nFDNAME=keys", 21) == 0);
    NEED(CMSG_FIRSTHDR(&message) != NULL);
    memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof got);
    NEED(pread(got, text, sizeof text, 0) == 3 && memcmp(text, "abc", 3) == 0);
}

ASIDE(notify, a_watchdog_of_another_process_or_without_sense_is_none)
{
    static const char *const bad[] = {
        "", "0", "-5", "5s", " 5", "99999999999999999999", "18446744073709551615"};
    struct notify n;
    size_t compared = 0;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++, compared++) {
        watched(bad[i], (long)getpid());
        notify_init(&n);
        NEED(n.watchdog_ns == 0);
    }
    watched("3000000", (long)getpid() + 1);
    notify_init(&n);
    NEED(n.watchdog_ns == 0);
    (void)unsetenv("WATCHDOG_PID");
    notify_init(&n);
    NEED(n.watchdog_ns == 3 * S);
    (void)printf("compared %zu\n", compared + 2);
    (void)fflush(stdout);
}

/* The loops' own health: who speaks is the control loop; the other loops' oldest turn says whether it may. */
ASIDE(notify, alive_is_said_for_loops_that_turn_and_for_no_others)
{
    static const struct {
        uint64_t now, turned; /* ms */
        bool says;
    } rows[] = {
        {100000, 100000, true},  {100010, 100010, false}, /* not each tick */
        {102499, 102499, false}, {102500, 102500, true},  /* a quarter of 10 s */
        {105000, 100000, true},                           /* hung for half of it: not longer */
        {107500, 100000, false}, {109999, 100000, false},
        {110000, 109990, true}, /* at once when it turns again */
        {112500, 112600, true}, /* turned since `now` was read */
    };
    int fd = manager(true);
    struct notify n;

    watched("10000000", (long)getpid());
    notify_init(&n);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NEED(notify_alive(&n, rows[i].now * 1000 * US, rows[i].turned * 1000 * US) == rows[i].says);
        NEED(strcmp(heard(fd), rows[i].says ? "WATCHDOG=1" : "") == 0);
    }
    (void)printf("compared %zu\n", sizeof rows / sizeof *rows);
    (void)fflush(stdout);
}

ASIDE(notify, patience_lasts_until_it_is_ready)
{
    int fd = manager(true);
    struct notify n;

    watched("15000000", (long)getpid());
    notify_patience(900);
    NEED(strcmp(heard(fd), "WATCHDOG_USEC=900000000") == 0);
    notify_init(&n);
    notify_ready(&n);
    NEED(strcmp(heard(fd), "READY=1\nSTATUS=serving\nWATCHDOG_USEC=15000000") == 0);
}

/* Its socket is full: a loop that serves does not wait for it. */
ASIDE(notify, a_manager_that_takes_nothing_stops_nobody)
{
    int fd = manager(true), sent = 0;

    while (notify_send("WATCHDOG=1", -1) && sent < 100000)
        sent++;
    NEED(sent > 0 && sent < 100000);
    (void)close(fd);
}
