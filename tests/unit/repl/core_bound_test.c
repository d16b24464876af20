/* Until when a deleted SA's keys can be read, as the status says it: the figure, and that it is told when
 * it is not kept. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "replication/key_bound.h"
#include "unit/repl/cluster.h"

enum { AGE_MS = 3600000, CAME_MS = 1000000 };

/* How old the key in use is, and what of it is told. */
static const struct {
    uint64_t present_ms, session, former, age_ms, within_ms, former_ms;
    uint32_t speaks;
    bool overdue;
} table[] = {
    /* at rest, just due, under way, late by a ms */
    {10, 1, 0, AGE_MS, AGE_MS + 60000, 0, RECORD_SPEAKS, false},
    {AGE_MS, 1, 0, AGE_MS, AGE_MS + 60000, 0, RECORD_SPEAKS, false},
    {AGE_MS + 60000, 1, 0, AGE_MS, AGE_MS + 60000, 0, RECORD_SPEAKS, false},
    {AGE_MS + 60001, 1, 0, AGE_MS, AGE_MS + 60000, 0, RECORD_SPEAKS, true},
    /* a former one waits since the present one came */
    {60000, 2, 1, AGE_MS, AGE_MS + 60000, 60000, RECORD_SPEAKS, false},
    {60001, 2, 1, AGE_MS, AGE_MS + 60000, 60001, RECORD_SPEAKS, true},
    /* nothing promises it */
    {9 * AGE_MS, 1, 0, 0, 0, 0, RECORD_SPEAKS, false},
    {9 * AGE_MS, 1, 0, AGE_MS, 0, 0, RECORD_SPEAKS_ROTATION - 1, false},
    {0, 0, 0, AGE_MS, 0, 0, RECORD_SPEAKS, false},
};

Test(repl_bound, what_the_status_says_of_it)
{
    const size_t n = sizeof table / sizeof table[0];

    for (size_t i = 0; i < n; i++) {
        struct repl_status s = {.cluster_ms = CAME_MS + table[i].present_ms,
                                .speaks = table[i].speaks,
                                .key = {.session = table[i].session,
                                        .former = table[i].former,
                                        .came_ms = CAME_MS,
                                        .age_ms = table[i].age_ms}};
        struct repl_key_bound b;

        repl_key_bound(&s, &b);
        cr_expect_eq(b.present_ms, table[i].present_ms, "row %zu", i);
        cr_expect_eq(b.former_ms, table[i].former_ms, "row %zu", i);
        cr_expect_eq(b.within_ms, table[i].within_ms, "row %zu", i);
        cr_expect_eq(b.overdue, table[i].overdue, "row %zu", i);
    }
    (void)printf("compared %zu rows\n", n);
}

static struct repl_key_bound bound_of(const struct rig *rig, uint32_t node)
{
    struct repl_status s;
    struct repl_key_bound b;

    replica_status(rig->nodes[node - 1].replica, rig->now_ms * 1000000, &s);
    repl_key_bound(&s, &b);
    return b;
}

static bool is_overdue(const struct rig *rig, uint64_t wanted)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        if (bound_of(rig, i).overdue != (wanted != 0))
            return false;
    return true;
}

static bool one_is_overdue(const struct rig *rig, uint64_t unused)
{
    (void)unused;
    for (uint32_t i = 1; i <= rig->n; i++)
        if (bound_of(rig, i).overdue)
            return true;
    return false;
}

static bool none_waits(const struct rig *rig, uint64_t unused)
{
    (void)unused;
    for (uint32_t i = 1; i <= rig->n; i++)
        if (bound_of(rig, i).former_ms != 0)
            return false;
    return true;
}

static void disks(struct rig *rig, bool full)
{
    for (uint32_t i = 1; i <= rig->n; i++)
        sim_storage_full(rig_node(rig, i)->storage, full);
}

/* Through rotation after rotation it is kept; with disks that have no room the former key stays, and
 * that is told until they have some again. */
Test(repl_bound, it_is_kept_or_told)
{
    struct rig *rig = rig_create(3, 1, 410);

    rig_seal(rig);
    rig->key_age_ms = 5000;
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 8000, rig_has_owner, 1));
    cr_assert_not(rig_run(rig, 80000, one_is_overdue, 0));
    cr_assert_eq(bound_of(rig, 1).within_ms, 65000);
    cr_assert(rig_run(rig, 8000, none_waits, 0)); /* what waits from now on began after this */
    disks(rig, true);
    cr_assert_not(rig_run(rig, 60000, one_is_overdue, 0), "before the time is over");
    cr_assert(rig_run(rig, 12000, is_overdue, true));
    cr_assert_gt(bound_of(rig, 1).former_ms, 60000);
    disks(rig, false);
    cr_assert(rig_run(rig, 35000, is_overdue, false));
    cluster_finish(rig);
    (void)printf("compared 3 nodes\n");
}
