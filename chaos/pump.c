#include "pump.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

enum { PUMP_POLL_MS = 20, PUMP_BATCH = 32 };

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;

    HF_ASSERT(clock_gettime(clock, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t pump_mono_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

uint64_t pump_wall_ns(void)
{
    return now_ns(CLOCK_REALTIME);
}

bool pump_init(struct pump *p)
{
    *p = (struct pump){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    return p->epoll_fd >= 0;
}

bool pump_add(struct pump *p, struct pump_watch *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};

    return epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, w->fd, &e) == 0;
}

bool pump_change(struct pump *p, struct pump_watch *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};

    return epoll_ctl(p->epoll_fd, EPOLL_CTL_MOD, w->fd, &e) == 0;
}

void pump_remove(struct pump *p, struct pump_watch *w)
{
    if (w->fd < 0)
        return;
    (void)epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    p->removed++;
}

void pump_turn(struct pump *p, int timeout_ms)
{
    struct epoll_event events[PUMP_BATCH];
    int n = epoll_wait(p->epoll_fd, events, PUMP_BATCH, timeout_ms);
    uint64_t removed = p->removed;

    HF_ASSERT(n >= 0 || errno == EINTR);
    for (int i = 0; i < n; i++) {
        struct pump_watch *w = events[i].data.ptr;

        w->ready(w->arg, events[i].events);
        if (p->removed != removed) /* level-triggered: the rest comes again */
            return;
    }
}

bool pump_until(struct pump *p, bool (*done)(void *arg), void *arg, uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now = pump_mono_ns();
        uint64_t left_ms;

        if (done && done(arg))
            return true;
        if (now >= deadline_ns)
            return false;
        left_ms = (deadline_ns - now + 999999u) / 1000000u;
        pump_turn(p, left_ms < PUMP_POLL_MS ? (int)left_ms : PUMP_POLL_MS);
    }
}

void pump_deinit(struct pump *p)
{
    if (p->epoll_fd >= 0)
        (void)close(p->epoll_fd);
    p->epoll_fd = -1;
}
