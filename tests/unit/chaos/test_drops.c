/* What a node says that it dropped, by reason, as the verdict of a loss tells it. */
#include <criterion/criterion.h>
#include <string.h>

#include "chaos/node.h"

static struct node_view views[3];
static char told[200];

static void take(struct node_view *v, const char *counters)
{
    json_t *j = json_loads(counters, 0, NULL);

    cr_assert_not_null(j);
    *v = (struct node_view){.answered = true};
    node_take_counters(j, v);
    json_decref(j);
}

static void expect_told(size_t size, const char *text)
{
    node_tell_drops(views, 3, told, size);
    cr_assert_str_eq(told, text);
}

Test(drops, each_reason_of_each_node_has_its_name_and_count)
{
    take(&views[0],
         "{\"esp_drop_in_below-floor\": 5, \"esp_drop_out_no-numbers\": 2, "
         "\"esp_drop_in_replayed\": 0, \"esp_in-packets\": 100, \"replay_recoveries\": 1}");
    take(&views[1], "{\"esp_drop_in_icv\": 0, \"esp_waited\": 4, \"stray_kept\": 3}");
    take(&views[2], "{\"esp_in-unknown-spi\": 7, \"esp_raw-unknown-spi\": 1, "
                    "\"esp_udp-errors\": 1, \"stray_dropped_old\": 3}");
    expect_told(sizeof told, "node 1: esp_drop_in_below-floor 5, esp_drop_out_no-numbers 2; "
                             "node 3: esp_in-unknown-spi 7, esp_udp-errors 1, stray_dropped_old 3");
    views[1] = (struct node_view){0};
    views[2].n_drops = 0;
    expect_told(sizeof told, "node 1: esp_drop_in_below-floor 5, esp_drop_out_no-numbers 2; "
                             "node 2 does not answer");
}

Test(drops, where_nobody_counts_any_it_says_so)
{
    for (unsigned i = 0; i < 3; i++)
        take(&views[i], "{\"esp_drop_in_icv\": 0, \"esp_in-packets\": 9}");
    expect_told(sizeof told, "nothing");
}

Test(drops, what_finds_no_room_is_left_out_and_said_to_be)
{
    for (unsigned i = 0; i < 3; i++)
        take(&views[i], "{\"esp_drop_in_icv\": 1, \"esp_drop_in_old\": 22}");
    expect_told(49, "node 1: esp_drop_in_icv 1, esp_drop_in_old 22...");
    expect_told(48, "node 1: esp_drop_in_icv 1...");
    expect_told(4, "...");
}

/* More reasons than are kept, and longer names than fit: the first ones, within bounds. */
Test(drops, a_node_that_counts_more_than_is_kept)
{
    char name[120];
    json_t *j = json_object();

    for (unsigned i = 0; i < NODE_MAX_DROPS + 9; i++) {
        (void)snprintf(name, sizeof name, "esp_drop_%02u_%080u", i, 0u);
        (void)json_object_set_new(j, name, json_integer(1));
    }
    views[0] = (struct node_view){.answered = true};
    node_take_counters(j, &views[0]);
    json_decref(j);
    cr_assert_eq(views[0].n_drops, NODE_MAX_DROPS);
    cr_assert_eq(strlen(views[0].drops[NODE_MAX_DROPS - 1].reason), NODE_DROP_NAME - 1);
}
