/* Who acts for a shard, by what two looks at all nodes saw. */
#include <criterion/criterion.h>

#include "chaos/cell.h"

static struct cell cell;

static void expect_acting(const struct node_view *first, const struct node_view *second,
                          uint32_t acting, size_t told)
{
    cr_assert_eq(cell_judge_actors(&cell, 0, first, second, 3), acting);
    cr_assert_eq(cell.report.n, told, "%s", cell.report.text[0]);
}

/* Looked at one after the other: who acts in both looks acted all the while between them. */
Test(actors, two_nodes_that_act_at_once)
{
    struct node_view first[3] = {0}, second[3] = {0};

    first[0].shards[0] = second[0].shards[0] = (struct node_shard){.epoch = 7, .acting = true};
    expect_acting(first, second, 1, 0);
    first[2].shards[0] = (struct node_shard){.epoch = 9, .acting = true};
    second[0].shards[0].acting = false; /* it moved between the looks at the one and at the other */
    second[2].shards[0] = first[2].shards[0];
    expect_acting(first, second, 2, 0);
    second[0].shards[0] = (struct node_shard){.epoch = 11, .acting = true}; /* and came back */
    second[2].shards[0].acting = false;
    expect_acting(first, second, 2, 0);
    second[2].shards[0].acting = true; /* node 1 by another assignment: not all the while */
    expect_acting(first, second, 2, 0);
    second[0].shards[0].epoch = 7;
    expect_acting(first, second, 2, 1);
    cr_assert_str_eq(cell.report.text[0], "one-owner: nodes 1 and 3 both act for shard 1");
}
