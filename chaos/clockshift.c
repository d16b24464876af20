/* Preloaded into a daemon of a drill that moves its wall clock: what it reads as the time of day is
 * what the machine says plus the seconds in the file HFD_CLOCK_SHIFT (a 64-bit integer, mapped, so the
 * drill changes it while the daemon runs). Other clocks are not touched. CLOCK_REALTIME belongs to
 * the whole machine, no namespace has one of its own; so this is as near as a lab comes to a clock
 * that jumps, and the daemon is the one that is shipped.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *shift;

__attribute__((constructor)) static void map_shift(void)
{
    const char *path = getenv("HFD_CLOCK_SHIFT");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, fd, 0);

    if (p != MAP_FAILED)
        shift = p;
    if (fd >= 0)
        (void)close(fd);
}

static time_t shifted(time_t s)
{
    return s + (time_t)(shift ? *shift : 0);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long r = syscall(SYS_clock_gettime, clock, now);

    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec = shifted(now->tv_sec);
    return (int)r;
}

time_t time(time_t *to)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (to)
        *to = now.tv_sec;
    return now.tv_sec;
}

/* The kernel stamps packets by the clock that was not moved. */
ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t n = (ssize_t)syscall(SYS_recvmsg, fd, message, flags);

    if (n < 0)
        return n;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        struct timespec came;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&came, CMSG_DATA(c), sizeof came);
        came.tv_sec = shifted(came.tv_sec);
        memcpy(CMSG_DATA(c), &came, sizeof came);
    }
    return n;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec t = {0};
    int r = clock_gettime(CLOCK_REALTIME, &t);

    (void)zone;
    now->tv_sec = t.tv_sec;
    now->tv_usec = t.tv_nsec / 1000;
    return r;
}
