/* Limits by bytes and by time: exact at the hard one, in both directions, over owners. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "esp/tally.h"
#include "sa_rig.h"

enum { UP = 100, DOWN = 200 }; /* bytes of an inner packet: the rig's */

static const struct pair_options limited = {
    .spi = 0x2001, .virtual_ip = 0x0a630005, .soft_bytes = 500, .hard_bytes = 850};

/* 850 bytes: eight packets of 100 come in, four of 200 leave; not one byte more. */
Test(esp_bytes, hard_limit_is_exact)
{
    struct esp_in_result in;
    struct esp_out_result out;
    struct esp_sa_view v;

    set_up(&limited);
    for (uint32_t i = 1; i <= 8; i++) {
        cr_assert_eq(to_gateway(from_client(&limited, i), 1, &in), ESP_DROP_NONE, "%u", i);
        cr_assert_eq((in.events & ESP_EVENT_SOFT_IN) != 0, i == 5, "soft after packet %u", i);
    }
    for (uint32_t i = 1; i <= 4; i++) {
        cr_assert_eq(gateway_sends(&limited, i, &out), ESP_DROP_NONE, "%u", i);
        cr_assert_eq((out.events & ESP_EVENT_SOFT_OUT) != 0, i == 3, "soft after packet %u", i);
    }
    cr_assert_eq(to_gateway(from_client(&limited, 9), 1, &in), ESP_DROP_HARD_LIMIT);
    cr_assert_eq(in.events, ESP_EVENT_HARD_IN);
    cr_assert_eq(gateway_sends(&limited, 5, &out), ESP_DROP_HARD_LIMIT);
    cr_assert_eq(out.events, ESP_EVENT_HARD_OUT);
    esp_sa_read(&gateway, &v);
    cr_assert_eq(v.in_bytes, 800);
    cr_assert_eq(v.out_bytes, 800);
    cr_assert_eq(v.next_out, 5, "a refused packet uses no number");
    printf("compared %u packets\n", 14);
    tear_down();
}

/* What earlier owners carried counts; this node's own once. */
Test(esp_bytes, what_was_counted_before_counts)
{
    static const struct {
        uint64_t in, out;
        unsigned left_in, left_out;
    } table[] = {{0, 0, 6, 2},
                 {200, 400, 6, 2},
                 {500, 450, 3, 2},
                 {751, 651, 0, 0},
                 {UINT64_MAX, UINT64_MAX, 0, 0}};
    unsigned rows = 0;

    for (; rows < sizeof table / sizeof table[0]; rows++) {
        struct esp_turn t = {.now_ns = 1, .lease_epoch = PAIR_EPOCH + 1};
        struct esp_in_result in;
        struct esp_out_result out;
        unsigned n = 0;

        set_up(&limited);
        for (uint32_t k = 1; k <= 2; k++) {
            cr_assert_eq(to_gateway(from_client(&limited, k), 1, &in), ESP_DROP_NONE);
            cr_assert_eq(gateway_sends(&limited, k, &out), ESP_DROP_NONE);
        }
        esp_sa_grant(&gateway, &(struct esp_sa_grant){.epoch = PAIR_EPOCH + 1,
                                                      .first = 1 << 20,
                                                      .end = 1 << 21,
                                                      .floor = 2,
                                                      .ceiling = 1 << 20,
                                                      .counted_in_bytes = table[rows].in,
                                                      .counted_out_bytes = table[rows].out});
        while (n < 10 && esp_inbound(&gateway, &t, from_client(&limited, 3 + n), &pair_client,
                                     opened, sizeof opened, &in) == ESP_DROP_NONE)
            n++;
        cr_assert_eq(n, table[rows].left_in, "row %u: %u more came in", rows, n);
        for (n = 0; n < 10; n++) {
            struct esp_inner inner;
            struct span p = pair_down(plain, DOWN, &limited, n);

            cr_assert(esp_inner_decode(p, &inner));
            if (esp_outbound(&gateway, &t, &inner, p, sealed, sizeof sealed, &out) != ESP_DROP_NONE)
                break;
        }
        cr_assert_eq(n, table[rows].left_out, "row %u: %u more left", rows, n);
        tear_down();
    }
    printf("compared %u rows\n", rows);
}

/* P5: whatever became of its removal, nothing passes after the end. */
Test(esp_bytes, nothing_passes_after_the_end_of_its_time)
{
    struct esp_in_result in;
    struct esp_out_result out;
    struct esp_sa_view v;

    set_up(&usual);
    cr_assert_eq(to_gateway(from_client(&usual, 1), 1, &in), ESP_DROP_NONE);
    cr_assert_eq(gateway_sends(&usual, 1, &out), ESP_DROP_NONE);
    esp_sa_set_end(&gateway, at(10).now_ns);
    cr_assert_eq(to_gateway(from_client(&usual, 2), 9, &in), ESP_DROP_NONE);
    cr_assert_eq(to_gateway(from_client(&usual, 3), 10, &in), ESP_DROP_HARD_LIMIT);
    cr_assert_eq(in.events, ESP_EVENT_HARD_IN, "its removal is asked for");
    esp_sa_set_end(&gateway, at(1).now_ns); /* the rig sends at 1 ms */
    cr_assert_eq(gateway_sends(&usual, 2, &out), ESP_DROP_HARD_LIMIT);
    cr_assert_eq(out.events, ESP_EVENT_HARD_OUT);
    esp_sa_set_end(&gateway, UINT64_MAX);
    cr_assert_eq(gateway_sends(&usual, 2, &out), ESP_DROP_NONE);
    esp_sa_read(&gateway, &v);
    cr_assert(v.in_packets == 2 && v.out_packets == 2);
    tear_down();
}

Test(esp_bytes, slack_and_the_rate_that_asks_for_a_rekey_early)
{
    static const struct {
        uint64_t hard, counted, per_second;
        bool near;
    } table[] = {{0, 100, 1000, false},
                 {1000, 499, 1000000, false},
                 {1000, 500, 1000000, true},
                 {9000, 5999, 1000, false},
                 {9000, 6000, 1000, true},
                 {9000, 6000, 999, false},
                 {9000, 9000, 0, true},
                 {1ull << 45, 1ull << 44, 0, false},
                 {1ull << 45, 1ull << 44, UINT64_MAX, true}};
    unsigned rows = 0;

    for (; rows < sizeof table / sizeof table[0]; rows++)
        cr_assert_eq(
            esp_tally_soft_near(table[rows].hard, table[rows].counted, table[rows].per_second),
            table[rows].near, "row %u", rows);
    cr_assert_eq(esp_tally_slack_bytes(0, 0), 0);
    cr_assert_eq(esp_tally_slack_bytes(700, 1000), 75);
    cr_assert_eq(esp_tally_slack_bytes(999, 1000), 3, "few records");
    cr_assert_eq(esp_tally_slack_bytes(700ull << 30, 1000ull << 30), (1000ull << 30) / 64);
    cr_assert_eq(esp_tally_slack_bytes(700ull << 20, 1000ull << 20), 1 << 26);
    cr_assert_eq(esp_tally_packets_of(1), 1);
    cr_assert_eq(esp_tally_packets_of(20000), 9);
    cr_assert_eq(esp_tally_packets_of(1 << 20), 64);
    cr_assert_eq(esp_tally_packets_of(1 << 26), 1 << 10);
    printf("compared %u rates\n", rows);
}
