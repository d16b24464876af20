#include "replication/loop_watch.h"

#include <time.h>

#include "base/assert.h"
#include "base/registers.h"

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;

    HF_ASSERT(clock_gettime(clock, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void raise_to(_Atomic uint64_t *at, uint64_t value)
{
    if (value > atomic_load_explicit(at, memory_order_relaxed))
        atomic_store_explicit(at, value, memory_order_relaxed); /* one writer; a take may lose it */
}

/* The loop is about to wait: what passed since the last time, but for the waiting, was a turn. */
static void on_prepare(uv_prepare_t *handle)
{
    struct loop_watch *w = handle->data;
    uint64_t now = read_clock(CLOCK_MONOTONIC);
    uint64_t cpu = read_clock(CLOCK_THREAD_CPUTIME_ID);
    uint64_t idle = uv_metrics_idle_time(handle->loop);

    if (w->last_ns != 0 && now - w->last_ns > idle - w->idle_ns) {
        uint64_t turn = now - w->last_ns - (idle - w->idle_ns);

        raise_to(&w->longest_ns, turn);
        raise_to(&w->ever_ns, turn);
        raise_to(&w->longest_cpu_ns, cpu - w->cpu_ns);
    }
    atomic_store_explicit(&w->turned_ns, read_clock(CLOCK_BOOTTIME), memory_order_relaxed);
    w->last_ns = now;
    w->cpu_ns = cpu;
    w->idle_ns = idle;
    registers_clear();
}

void loop_watch_start(struct loop_watch *w, uv_loop_t *loop)
{
    *w = (struct loop_watch){.turned_ns = read_clock(CLOCK_BOOTTIME)};
    HF_ASSERT(uv_loop_configure(loop, UV_METRICS_IDLE_TIME) == 0);
    HF_ASSERT(uv_prepare_init(loop, &w->prepare) == 0);
    w->prepare.data = w;
    HF_ASSERT(uv_prepare_start(&w->prepare, on_prepare) == 0);
    uv_unref((uv_handle_t *)&w->prepare); /* it keeps no loop alive */
}

void loop_watch_close(struct loop_watch *w, uv_close_cb closed)
{
    if (!uv_is_closing((uv_handle_t *)&w->prepare))
        uv_close((uv_handle_t *)&w->prepare, closed);
}

uint64_t loop_watch_turned_ns(const struct loop_watch *w)
{
    return atomic_load_explicit(&w->turned_ns, memory_order_relaxed);
}

struct loop_turns loop_watch_take(struct loop_watch *w)
{
    return (struct loop_turns){
        .longest_ns = atomic_exchange_explicit(&w->longest_ns, 0, memory_order_relaxed),
        .longest_cpu_ns = atomic_exchange_explicit(&w->longest_cpu_ns, 0, memory_order_relaxed),
        .ever_ns = atomic_load_explicit(&w->ever_ns, memory_order_relaxed)};
}
