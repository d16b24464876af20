/* A conductor that takes no events: what waits for it is bounded by what it weighs, and the
 * thread's silence lets others take over. */
#include <criterion/criterion.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/repl_thread.h"
#include "unit/repl/alone.h"
#include "unit/repl/make.h"

enum { LIMIT = 1 << 20, RECORDS = 300, STATE_BYTES = 30000, ITEMS = 2000, ONE_MORE = 200000 };

static char parent[] = "/tmp/hf-queue-XXXXXX", directory[64];
static struct repl *repl;

static void begin(void)
{
    struct repl_options options = alone_options(directory);
    struct repl_error error;

    cr_assert_not_null(mkdtemp(parent));
    (void)snprintf(directory, sizeof directory, "%s/data", parent);
    cr_assert(repl_init(&options, &error), "%s", error.text);
    repl = repl_start(&options, &error);
    cr_assert_not_null(repl, "%s", error.text);
    uv_mutex_lock(&repl->event_lock);
    repl->event_bytes_max = LIMIT;
    uv_mutex_unlock(&repl->event_lock);
}

static void end(void)
{
    char command[128];

    repl_stop(repl);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", parent);
    cr_assert_eq(system(command), 0);
}

TestSuite(repl_thread_queue, .init = begin, .fini = end, .timeout = 120);

static uint64_t await_lease(void)
{
    for (;;) {
        struct pollfd p = {.fd = repl_event_fd(repl), .events = POLLIN};
        struct repl_event *e = repl_next_event(repl);
        uint64_t epoch = 0;

        conductor_stamp(repl);
        if (e == NULL) {
            (void)poll(&p, 1, 20);
            continue;
        }
        if (e->kind == REPL_EV_LEASE && e->held)
            epoch = e->epoch.index;
        repl_event_free(e);
        if (epoch != 0)
            return epoch;
    }
}

static bool lease_runs(void)
{
    return atomic_load(&repl_lease(repl, 1)->until_ns) > repl_boottime_ns();
}

static size_t waiting(size_t *applied)
{
    size_t bytes = 0;

    *applied = 0;
    uv_mutex_lock(&repl->event_lock);
    for (const struct event_node *n = repl->first_event; n != NULL; n = n->next) {
        const struct repl_event *e = n->event;

        if (e->kind != REPL_EV_APPLIED)
            continue;
        *applied += e->mine;
        bytes += holdfast__record__get_packed_size(e->record) + e->n_items * sizeof *e->items;
    }
    uv_mutex_unlock(&repl->event_lock);
    return bytes;
}

/* The thread waits for room, and so long that its lease ran out. */
static bool stands(void)
{
    bool full;

    uv_mutex_lock(&repl->event_lock);
    full = repl->event_bytes >= repl->event_bytes_max;
    uv_mutex_unlock(&repl->event_lock);
    return full && !lease_runs();
}

/* Until the thread stands or all is applied and waits: what waits, in bytes. */
static size_t fill(Holdfast__Record *(*make)(struct maker *m, uint64_t i), size_t n,
                   size_t *n_waiting)
{
    struct maker m = {.node = 1, .boot = 1, .request = 1, .shard = 1, .epoch_index = await_lease()};
    size_t applied = 0, bytes = 0, submitted = 0;

    do {
        uint64_t request = 0;

        conductor_stamp(repl);
        if (submitted < n) {
            Holdfast__Record *r = make(&m, submitted + 1);

            submitted += repl_submit(repl, r, NULL, &request) == REPL_OK;
            record_free(r);
        }
        bytes = waiting(&applied);
    } while (!stands() && applied < n);
    bytes = waiting(&applied); /* this thread may have been away between the two looks */
    *n_waiting = applied;
    return bytes;
}

static void drain(size_t n)
{
    size_t applied = 0;

    while (applied < n) {
        struct pollfd p = {.fd = repl_event_fd(repl), .events = POLLIN};
        struct repl_event *e = repl_next_event(repl);

        conductor_stamp(repl);
        if (e == NULL) {
            (void)poll(&p, 1, 20);
            continue;
        }
        applied += e->kind == REPL_EV_APPLIED && e->mine;
        repl_event_free(e);
    }
}

static Holdfast__Record *big_sa(struct maker *m, uint64_t i)
{
    static char state[STATE_BYTES + 1];

    memset(state, 's', STATE_BYTES);
    return make_create(m, i, state, (uint32_t)(1000 + i), 0, "");
}

/* Of SAs that do not exist: judged item by item all the same. */
static Holdfast__Record *many_items(struct maker *m, uint64_t i)
{
    Holdfast__Record *r = make_extend(m, 1001, 0, i, 0);

    for (uint32_t k = 1; k < ITEMS; k++)
        make_item(r, 1001 + k, 0, i, 0);
    return r;
}

Test(repl_thread_queue, what_waits_is_bounded_by_the_bytes_of_its_records)
{
    size_t n, bytes = fill(big_sa, RECORDS, &n);

    printf("compared: %zu bytes of %zu records wait\n", bytes, n);
    cr_assert_leq(bytes, LIMIT + ONE_MORE, "%zu bytes wait", bytes);
    cr_assert_geq(bytes, LIMIT / 2);
    drain(n + 10); /* and it goes on when they are taken */
}

Test(repl_thread_queue, what_waits_is_bounded_by_the_bytes_of_its_items)
{
    size_t n, bytes = fill(many_items, 100, &n);

    cr_assert_leq(bytes, LIMIT + ONE_MORE, "%zu bytes wait", bytes);
    cr_assert_geq(bytes, LIMIT / 2);
}
