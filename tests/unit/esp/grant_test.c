/* Reservations and gates: what a grant gives, and that nothing is given without one. */
#include <criterion/criterion.h>
#include <signal.h>

#include "esp/gate.h"
#include "esp/reservation.h"
#include "esp/tally.h"

enum { LAST = 0x7fffffff };

static uint64_t taken(struct esp_reservation *r, uint64_t epoch)
{
    uint64_t seq = 0;

    cr_assert_eq(esp_reservation_take(r, epoch, UINT32_MAX, &seq), ESP_TAKEN);
    return seq;
}

Test(reservation, nothing_without_grant_lease_or_its_epoch)
{
    struct esp_reservation r;
    uint64_t seq = 99;

    esp_reservation_init(&r);
    cr_assert_eq(esp_reservation_take(&r, 0, LAST, &seq), ESP_TAKE_NO_GRANT);
    cr_assert_eq(esp_reservation_take(&r, 7, LAST, &seq), ESP_TAKE_NO_GRANT);
    esp_reservation_extend(&r, 1000); /* an extension is no grant */
    cr_assert_eq(esp_reservation_take(&r, 7, LAST, &seq), ESP_TAKE_NO_GRANT);
    esp_reservation_grant(&r, 7, 1000, 1010);
    cr_assert_eq(esp_reservation_take(&r, 0, LAST, &seq), ESP_TAKE_NO_GRANT);
    cr_assert_eq(esp_reservation_take(&r, 6, LAST, &seq), ESP_TAKE_NO_GRANT);
    cr_assert_eq(esp_reservation_take(&r, 8, LAST, &seq), ESP_TAKE_NO_GRANT);
    cr_assert_eq(seq, 99, "written on failure");
    cr_assert_eq(taken(&r, 7), 1000);
}

Test(reservation, numbers_rise_by_one_to_the_end_and_go_on_after_an_extension)
{
    struct esp_reservation r;
    uint64_t seq;

    esp_reservation_init(&r);
    esp_reservation_grant(&r, 3, 0, 4);
    for (uint64_t i = 1; i < 4; i++)
        cr_assert_eq(taken(&r, 3), i, "RFC 4303 3.3.3: the first is 1");
    cr_assert_eq(esp_reservation_take(&r, 3, LAST, &seq), ESP_TAKE_EMPTY);
    cr_assert_eq(esp_reservation_take(&r, 3, LAST, &seq), ESP_TAKE_EMPTY);
    esp_reservation_extend(&r, 6);
    cr_assert_eq(taken(&r, 3), 4);
    esp_reservation_extend(&r, 2); /* never lowers */
    cr_assert_eq(taken(&r, 3), 5);
    cr_assert_eq(esp_reservation_take(&r, 3, LAST, &seq), ESP_TAKE_EMPTY);
}

Test(reservation, an_empty_grant_gives_nothing)
{
    struct esp_reservation r;
    uint64_t seq;

    esp_reservation_init(&r);
    esp_reservation_grant(&r, 3, 0, 0);
    cr_assert_eq(esp_reservation_take(&r, 3, LAST, &seq), ESP_TAKE_EMPTY);
    esp_reservation_grant(&r, 4, 500, 500);
    cr_assert_eq(esp_reservation_take(&r, 4, LAST, &seq), ESP_TAKE_EMPTY);
}

Test(reservation, a_new_epoch_begins_at_its_own_first_and_the_old_one_is_over)
{
    struct esp_reservation r;
    uint64_t seq;

    esp_reservation_init(&r);
    esp_reservation_grant(&r, 3, 0, 100);
    (void)taken(&r, 3);
    esp_reservation_grant(&r, 9, 65636, 65636 + 65536);
    cr_assert_eq(esp_reservation_take(&r, 3, LAST, &seq), ESP_TAKE_NO_GRANT);
    cr_assert_eq(taken(&r, 9), 65636);
    cr_assert_eq(esp_reservation_take(&r, 3, LAST, &seq), ESP_TAKE_NO_GRANT);
}

Test(reservation, no_number_beyond_the_last)
{
    struct esp_reservation r;
    uint64_t seq;

    esp_reservation_init(&r);
    esp_reservation_grant(&r, 1, UINT64_C(0xfffffffe), UINT64_C(0x100000010));
    cr_assert_eq(taken(&r, 1), 0xfffffffe);
    cr_assert_eq(taken(&r, 1), 0xffffffff);
    cr_assert_eq(esp_reservation_take(&r, 1, UINT32_MAX, &seq), ESP_TAKE_EXHAUSTED); /* I1c */
    cr_assert_eq(esp_reservation_take(&r, 1, UINT32_MAX, &seq), ESP_TAKE_EXHAUSTED);
    cr_assert_eq(esp_reservation_take(&r, 1, UINT64_MAX - 1, &seq), ESP_TAKEN,
                 "with ESN it goes on");
    cr_assert_eq(seq, UINT64_C(0x100000000));
}

Test(reservation, the_same_epoch_twice_is_a_mistake, .signal = SIGABRT)
{
    struct esp_reservation r;

    esp_reservation_init(&r);
    esp_reservation_grant(&r, 3, 0, 100);
    esp_reservation_grant(&r, 3, 200, 300);
}

Test(reservation, a_block_under_the_old_end_is_a_mistake, .signal = SIGABRT)
{
    struct esp_reservation r;

    esp_reservation_init(&r);
    esp_reservation_grant(&r, 3, 0, 100);
    esp_reservation_extend(&r, 200);
    esp_reservation_grant(&r, 4, 199, 300);
}

/* --- gates --- */

static enum esp_gate_verdict pass(struct esp_gate *g, uint64_t epoch, uint64_t seq)
{
    enum esp_gate_verdict v;
    bool fresh;

    if (!esp_gate_refresh(g, epoch, &fresh))
        return ESP_GATE_NO_GRANT;
    v = esp_gate_look(g, seq);
    return v == ESP_GATE_ACCEPT ? esp_gate_mark(g, seq) : v;
}

Test(gate, nothing_without_grant_lease_or_its_epoch)
{
    struct esp_gate g;

    esp_gate_init(&g);
    cr_assert_eq(pass(&g, 0, 1), ESP_GATE_NO_GRANT);
    cr_assert_eq(pass(&g, 5, 1), ESP_GATE_NO_GRANT);
    esp_gate_set_ceiling(&g, 100);
    cr_assert_eq(pass(&g, 5, 1), ESP_GATE_NO_GRANT);
    esp_gate_grant(&g, 5, 0, 8);
    cr_assert_eq(pass(&g, 0, 1), ESP_GATE_NO_GRANT);
    cr_assert_eq(pass(&g, 4, 1), ESP_GATE_NO_GRANT);
    cr_assert_eq(pass(&g, 6, 1), ESP_GATE_NO_GRANT);
    cr_assert_eq(pass(&g, 5, 1), ESP_GATE_ACCEPT);
}

Test(gate, accepts_once_up_to_the_ceiling)
{
    struct esp_gate g;

    esp_gate_init(&g);
    esp_gate_grant(&g, 5, 0, 8);
    cr_assert_eq(pass(&g, 5, 8), ESP_GATE_ACCEPT);
    cr_assert_eq(pass(&g, 5, 8), ESP_GATE_SEEN);
    cr_assert_eq(pass(&g, 5, 9), ESP_GATE_ABOVE_CEILING);
    cr_assert_eq(pass(&g, 5, 9), ESP_GATE_ABOVE_CEILING, "it was not marked");
    cr_assert_eq(pass(&g, 5, 3), ESP_GATE_ACCEPT);
    esp_gate_set_ceiling(&g, 12);
    cr_assert_eq(pass(&g, 5, 9), ESP_GATE_ACCEPT);
    cr_assert_eq(pass(&g, 5, 9), ESP_GATE_SEEN);
    esp_gate_set_ceiling(&g, 10); /* the first act of a shrink */
    cr_assert_eq(pass(&g, 5, 11), ESP_GATE_ABOVE_CEILING);
    cr_assert_eq(pass(&g, 5, 10), ESP_GATE_ACCEPT);
    cr_assert_eq(pass(&g, 5, 0), ESP_GATE_OLD);
}

Test(gate, a_takeover_accepts_only_above_the_old_ceiling)
{
    struct esp_gate g;

    esp_gate_init(&g);
    esp_gate_grant(&g, 9, 108, 116);
    cr_assert_eq(pass(&g, 9, 108), ESP_GATE_BELOW_FLOOR);
    cr_assert_eq(pass(&g, 9, 108), ESP_GATE_SEEN, "a copy does not count twice");
    cr_assert_eq(pass(&g, 9, 107), ESP_GATE_BELOW_FLOOR);
    cr_assert_eq(pass(&g, 9, 1), ESP_GATE_BELOW_FLOOR);
    cr_assert_eq(pass(&g, 9, 109), ESP_GATE_ACCEPT);
    cr_assert_eq(pass(&g, 9, 106), ESP_GATE_BELOW_FLOOR);
    cr_assert_eq(pass(&g, 9, 117), ESP_GATE_ABOVE_CEILING);
    /* far below, left of the window: still the floor's business */
    esp_gate_grant(&g, 10, 100000, 100008);
    cr_assert_eq(pass(&g, 10, 5), ESP_GATE_BELOW_FLOOR);
    cr_assert_eq(pass(&g, 10, 5), ESP_GATE_BELOW_FLOOR);
}

Test(gate, a_handover_goes_on_from_the_exact_window)
{
    struct esp_gate a, b;
    struct esp_replay w;
    uint8_t bitmap[ESP_REPLAY_BITMAP_BYTES];
    uint64_t top;

    esp_gate_init(&a);
    esp_gate_grant(&a, 3, 0, 50);
    cr_assert_eq(pass(&a, 3, 40), ESP_GATE_ACCEPT);
    cr_assert_eq(pass(&a, 3, 38), ESP_GATE_ACCEPT);
    esp_replay_export(&a.window, &top, bitmap);
    cr_assert(esp_replay_import(&w, top, span_of(bitmap, sizeof bitmap)));
    esp_gate_init(&b);
    esp_gate_grant_exact(&b, 4, 0, &w, 50);
    cr_assert_eq(pass(&b, 4, 40), ESP_GATE_SEEN);
    cr_assert_eq(pass(&b, 4, 38), ESP_GATE_SEEN);
    cr_assert_eq(pass(&b, 4, 39), ESP_GATE_ACCEPT, "nothing is lost");
    cr_assert_eq(pass(&b, 4, 41), ESP_GATE_ACCEPT);
    cr_assert_eq(pass(&b, 4, 51), ESP_GATE_ABOVE_CEILING);
}

Test(gate, a_grant_between_look_and_mark_marks_nothing)
{
    struct esp_gate g;
    bool fresh;

    esp_gate_init(&g);
    esp_gate_grant(&g, 3, 0, 50);
    cr_assert(esp_gate_refresh(&g, 3, &fresh) && fresh);
    cr_assert_eq(esp_gate_look(&g, 7), ESP_GATE_ACCEPT);
    esp_gate_grant(&g, 4, 100, 200);
    cr_assert_eq(esp_gate_mark(&g, 7), ESP_GATE_NO_GRANT);
    cr_assert_eq(esp_gate_mark(&g, 150), ESP_GATE_NO_GRANT);
    cr_assert(esp_gate_refresh(&g, 4, &fresh) && fresh);
    cr_assert(esp_gate_refresh(&g, 4, &fresh) && !fresh);
    cr_assert_eq(esp_gate_mark(&g, 150), ESP_GATE_ACCEPT);
}

Test(gate, the_same_epoch_twice_is_a_mistake, .signal = SIGABRT)
{
    struct esp_gate g;

    esp_gate_init(&g);
    esp_gate_grant(&g, 3, 0, 8);
    esp_gate_grant(&g, 3, 8, 16);
}

/* --- tally --- */

Test(tally, slack_follows_what_lies_between_the_limits)
{
    static const struct {
        uint64_t soft, hard, slack;
    } table[] = {{0, 0, 0},      {7, 0, 0},
                 {40, 50, 2},    {50, 50, 1},
                 {49, 50, 1},    {800, 1000, 50},
                 {990, 1000, 3}, {9999, 10000, 39},
                 {0, 1000, 250}, {1, UINT64_MAX, ESP_TALLY_SLACK_MAX},
                 {60, 50, 1}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        cr_assert_eq(esp_tally_slack(table[i].soft, table[i].hard), table[i].slack, "row %zu", i);
}

/* Told in time: what a successor adds covers it, whatever the limits. */
Test(tally, what_is_untold_stays_within_the_slack)
{
    for (uint64_t slack = 1; slack < 300; slack++)
        for (uint64_t told = 0; told < 3; told++) {
            uint64_t counted = told;

            cr_assert_gt(esp_tally_left(told, counted, slack), 0);
            while (esp_tally_left(told, counted, slack) > 0)
                counted++;
            cr_assert_leq(counted, esp_tally_at_grant(told, 1, slack));
            cr_assert_eq(esp_tally_left(told, counted + 1, slack), 0);
        }
    cr_assert_eq(esp_tally_at_grant(5, 3, 10), 35);
    cr_assert_eq(esp_tally_at_grant(5, 0, 10), 5);
    cr_assert_eq(esp_tally_at_grant(UINT64_MAX - 5, 1, 10), UINT64_MAX);
    cr_assert_eq(esp_tally_at_grant(1, UINT64_MAX, 10), UINT64_MAX);
    cr_assert_eq(esp_tally_left(UINT64_MAX - 1, 7, 10), UINT64_MAX - 7);
}
