/* Every value that C11 lets each read of a lease see, one after the other, in one thread and on any machine.
 *
 * Each store to a cell is kept in the order of its modification, with what whoever acquires it has then seen of every
 * cell. A read sees any store that is not older than the newest of that cell that it has seen: stale values are what
 * other machines than this one show. The publisher reads its own, so its stores are the same always and the reader may
 * come when all of them are there: the older ones are still to be seen. (A relaxed store behind a release one tells
 * nothing, as C++20 has it: C11 promises more, so what holds here holds there.)
 */
#include "variant.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "replication/replica.h"

static uint64_t model_load(const void *cell, memory_order order);
static void model_store(const void *cell, uint64_t value, memory_order order);

#undef atomic_load_explicit
#undef atomic_store_explicit
#define atomic_load_explicit(cell, order) model_load((cell), (order))
#define atomic_store_explicit(cell, value, order) model_store((cell), (value), (order))
#include "replication/lease.h"

enum { EPOCH, UNTIL, GRANT, CELLS, STORES_MAX = 32, LOADS_MAX = 8 };

struct view {
    size_t seen[CELLS]; /* the newest store that happened before now */
};

static struct {
    struct {
        uint64_t value;
        struct view view; /* of who acquires it */
    } stores[CELLS][STORES_MAX];
    size_t n_stores[CELLS];
    struct view publisher, reader;
    bool publishes;
    /* What each of the reader's loads takes, counted up to try all of it. */
    size_t taken[LOADS_MAX], choices[LOADS_MAX], n_loads, n_taken;
} model;

static struct repl_lease lease; /* its addresses alone matter */
static char grant;              /* what is written before an epoch is published */

static size_t cell_of(const void *cell)
{
    if (cell == &lease.epoch_index)
        return EPOCH;
    if (cell == &lease.until_ns)
        return UNTIL;
    HF_ASSERT(cell == &grant);
    return GRANT;
}

static void see(struct view *view, const struct view *more)
{
    for (size_t i = 0; i < CELLS; i++)
        if (view->seen[i] < more->seen[i])
            view->seen[i] = more->seen[i];
}

static uint64_t model_load(const void *cell, memory_order order)
{
    size_t c = cell_of(cell), at = model.n_stores[c] - 1, i = model.n_loads;
    struct view *view = model.publishes ? &model.publisher : &model.reader;

    if (!model.publishes) {
        HF_ASSERT(i < LOADS_MAX);
        if (i == model.n_taken)
            model.taken[model.n_taken++] = 0;
        model.choices[i] = model.n_stores[c] - view->seen[c];
        at = view->seen[c] + model.taken[i];
        model.n_loads++;
    }
    view->seen[c] = at;
    if (order != memory_order_relaxed)
        see(view, &model.stores[c][at].view);
    return model.stores[c][at].value;
}

static void model_store(const void *cell, uint64_t value, memory_order order)
{
    size_t c = cell_of(cell), at = model.n_stores[c]++;

    HF_ASSERT(model.publishes && at < STORES_MAX);
    model.publisher.seen[c] = at;
    model.stores[c][at].value = value;
    if (order != memory_order_relaxed)
        model.stores[c][at].view = model.publisher;
    else
        model.stores[c][at].view.seen[c] = at;
}

/* False: all was tried. */
static bool next_choices(void)
{
    while (model.n_taken > 0) {
        if (++model.taken[model.n_taken - 1] < model.choices[model.n_taken - 1])
            return true;
        model.n_taken--;
    }
    return false;
}

/* Leases that are had, renewed, given up, lost and had again under the next epoch: each kind before each other. */
static const struct {
    uint64_t epoch, until_ns;
} history[] = {{10, 100}, {10, 200}, {20, 0},   {20, 150}, {30, 400}, {30, 0},
               {40, 120}, {50, 0},   {60, 500}, {70, 110}, {70, 300}, {80, 90}};

enum { PUBLISHED = sizeof history / sizeof history[0] };

static void publish_all(void)
{
    memset(&model, 0, sizeof model);
    for (size_t i = 0; i < CELLS; i++)
        model.n_stores[i] = 1; /* the zeros before the first */
    model.publishes = true;
    for (size_t i = 0; i < PUBLISHED; i++) {
        model_store(&grant, history[i].epoch, memory_order_relaxed);
        lease_publish(&lease, history[i].epoch, history[i].until_ns);
    }
    model.publishes = false;
}

/* May one act at now_ns under this epoch, by any time that was published of it? */
static bool is_right(uint64_t epoch, uint64_t now_ns)
{
    for (size_t i = 0; i < PUBLISHED; i++)
        if (history[i].epoch == epoch && now_ns < history[i].until_ns)
            return true;
    return false;
}

struct lease_trial LEASE_PASTE(lease_order_, VARIANT)(void)
{
    static const uint64_t times_ns[] = {0, 95, 105, 115, 130, 180, 250, 350, 450, 600};
    struct lease_trial trial = {0};

    publish_all();
    for (size_t i = 0; i < sizeof times_ns / sizeof times_ns[0]; i++)
        do {
            uint64_t epoch;

            model.n_loads = 0;
            model.reader = (struct view){0};
            epoch = lease_epoch(&lease, times_ns[i]);
            trial.looks++;
            if (epoch == 0)
                continue;
            trial.acts++;
            if (!is_right(epoch, times_ns[i]) ||
                model.stores[GRANT][model.reader.seen[GRANT]].value < epoch)
                trial.breaches++;
        } while (next_choices());
    return trial;
}
