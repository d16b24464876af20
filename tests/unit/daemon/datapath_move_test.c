/* The rows of the data path that a handover uses: when its workers are at rest, and what an exact
 * window needs before it is taken. */
#include <criterion/criterion.h>

#include "datapath_rig.h"
#include "esp/window.h"

static const struct pair_options plain = {.spi = 0x1000};

enum { SHARD = 1, OTHER = 9 };

/* A row that nobody fills would be a part of the data path that is left out in silence. */
Test(datapath_move, every_row_is_filled)
{
    struct conductor_ops ops = {0};
    uintptr_t rows[(sizeof ops - offsetof(struct conductor_ops, esp_self)) / sizeof(uintptr_t)];

    rig_begin(&plain);
    datapath_fill(rig_nodes[0].datapath, &ops);
    memcpy(rows, (const char *)&ops + offsetof(struct conductor_ops, esp_self), sizeof rows);
    cr_assert_eq(ops.esp_self, rig_nodes[0].datapath);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_neq(rows[i], 0, "row %zu behind esp_self is not filled", i);
    rig_end();
}

Test(datapath_move, passed_when_all_went_by_and_aside_when_nothing_waits_either)
{
    static const struct {
        enum conductor_esp_mode mode;
        enum worker_mode told;
        bool waits;
    } modes[] = {{CONDUCTOR_ESP_ACT, WORKER_ACT, false},
                 {CONDUCTOR_ESP_ASIDE, WORKER_ASIDE, true},
                 {CONDUCTOR_ESP_STILL, WORKER_STILL, false}};
    struct rig_node *n = &rig_nodes[1];

    rig_begin(&plain);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        n->ops.esp_mode(n->ops.esp_self, SHARD, modes[i].mode);
        cr_assert_eq(n->mode, modes[i].told);
        cr_assert(n->ops.esp_passed(n->ops.esp_self, SHARD));
        n->waiting = 1;
        cr_assert_eq(n->ops.esp_passed(n->ops.esp_self, SHARD), !modes[i].waits);
        n->waiting = 0;
        n->stuck = true;
        cr_assert_not(n->ops.esp_passed(n->ops.esp_self, SHARD));
        n->stuck = false;
    }
    n->ops.esp_mode(n->ops.esp_self, OTHER, CONDUCTOR_ESP_ACT);
    cr_assert_eq(n->mode, WORKER_STILL, "a shard that is none of ours");
    cr_assert_not(n->ops.esp_passed(n->ops.esp_self, OTHER));
    rig_end();
}

/* An exact window is written while no worker reads it: else it is refused, and a floor follows. */
Test(datapath_move, an_exact_window_needs_workers_at_rest)
{
    uint8_t window[ESP_WINDOW_MAX_BYTES];
    struct rig_node *n = &rig_nodes[0];
    struct repl_grant g = {.first = 1, .end = 2048, .ceiling = 64};
    struct span exact;

    rig_begin(&plain);
    exact = span_of(window, n->ops.esp_export(n->ops.esp_self, n->child, window));
    n = &rig_nodes[1];
    cr_assert_eq(n->mode, WORKER_ASIDE, "of nobody, or not ours, from the start");
    n->ops.esp_mode(n->ops.esp_self, SHARD, CONDUCTOR_ESP_ACT);
    cr_assert_not(n->ops.esp_resume(n->ops.esp_self, n->child, 2, &g, exact), "they act");
    n->ops.esp_mode(n->ops.esp_self, SHARD, CONDUCTOR_ESP_ASIDE);
    n->stuck = true;
    cr_assert_not(n->ops.esp_resume(n->ops.esp_self, n->child, 2, &g, exact), "not passed");
    n->stuck = false;
    n->waiting = 1;
    cr_assert_not(n->ops.esp_resume(n->ops.esp_self, n->child, 2, &g, exact), "one waits");
    n->waiting = 0;
    cr_assert(n->ops.esp_resume(n->ops.esp_self, n->child, 2, &g, exact));
    n->ops.esp_revoke(n->ops.esp_self, n->child);
    rig_end();
}
