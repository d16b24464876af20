/* The exact window as bytes: what goes in comes out, at every shape of a window, and nothing else
 * is taken for one. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "esp/gate.h"
#include "esp/window.h"

static uint64_t state = 88172645463325252u;

static uint64_t rnd(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* A window as traffic makes it: from a floor, with losses and late ones. */
static struct esp_window made(uint64_t floor, unsigned steps, unsigned loss, unsigned late)
{
    struct esp_window w = {
        .spi_in = 0x1000 + (uint32_t)rnd() % 1000, .floor = floor, .counted_in = rnd() >> 20};
    uint64_t next = floor + 1;

    w.counted_out = rnd() >> (rnd() % 64);
    w.counted_in_bytes = rnd() >> (rnd() % 64);
    w.counted_out_bytes = rnd() >> (rnd() % 64);
    esp_replay_init(&w.replay, floor);
    for (unsigned i = 0; i < steps; i++) {
        if (rnd() % 1000 >= loss)
            cr_assert_neq(esp_replay_mark(&w.replay, rnd() % 1000 < late && next > 40
                                                         ? next - rnd() % 40
                                                         : next),
                          (enum esp_seen)9);
        next += 1 + (rnd() % 5000 == 0 ? rnd() % 3000 : 0);
    }
    return w;
}

static void check_same(const struct esp_window *a, const struct esp_window *b)
{
    cr_assert_eq(a->spi_in, b->spi_in);
    cr_assert_eq(a->floor, b->floor);
    cr_assert_eq(a->counted_in, b->counted_in);
    cr_assert_eq(a->counted_out, b->counted_out);
    cr_assert_eq(a->counted_in_bytes, b->counted_in_bytes);
    cr_assert_eq(a->counted_out_bytes, b->counted_out_bytes);
    cr_assert_eq(a->replay.top, b->replay.top);
    for (uint64_t i = 0; i < ESP_REPLAY_WINDOW + 70 && i <= a->replay.top; i++)
        cr_assert_eq(esp_replay_look(&a->replay, a->replay.top - i),
                     esp_replay_look(&b->replay, b->replay.top - i));
}

Test(window, what_goes_in_comes_out)
{
    static const unsigned losses[] = {0, 1, 10, 100, 500, 1000}, lates[] = {0, 5, 300};
    unsigned compared = 0;
    uint8_t bytes[ESP_WINDOW_MAX_BYTES];

    for (unsigned round = 0; round < 200; round++)
        for (size_t k = 0; k < sizeof losses / sizeof losses[0]; k++)
            for (size_t m = 0; m < sizeof lates / sizeof lates[0]; m++) {
                uint64_t floor = round % 3 == 0 ? 0 : rnd() >> (8 + rnd() % 50);
                struct esp_window w = made(floor, (unsigned)(rnd() % 4000), losses[k], lates[m]);
                struct esp_window back;
                size_t n = esp_window_encode(&w, bytes), used = 0;

                cr_assert_leq(n, sizeof bytes);
                cr_assert(esp_window_decode(span_of(bytes, n), &back, &used));
                cr_assert_eq(used, n);
                check_same(&w, &back);
                for (size_t cut = 0; cut < n; cut++)
                    cr_assert_not(esp_window_decode(span_of(bytes, cut), &back, &used),
                                  "cut to %zu of %zu", cut, n);
                compared++;
            }
    printf("compared %u\n", compared);
}

Test(window, traffic_in_order_is_small)
{
    struct esp_window w = {.spi_in = 0x1000, .counted_in = 100000, .counted_out = 100000};
    uint8_t bytes[ESP_WINDOW_MAX_BYTES];

    esp_replay_init(&w.replay, 0);
    for (uint64_t i = 1; i <= 100000; i++)
        cr_assert_eq(esp_replay_mark(&w.replay, i), ESP_SEEN_NEW);
    cr_assert_leq(esp_window_encode(&w, bytes), 56);
}

Test(window, what_no_receiver_can_have_is_refused)
{
    struct esp_window w = made(0, 100, 0, 0), back;
    uint8_t bytes[ESP_WINDOW_MAX_BYTES];
    size_t n, used;

    w.replay.words[w.replay.top / 64 % ESP_REPLAY_WORDS] |= UINT64_C(1) << 63; /* above the top */
    cr_assert_neq(w.replay.top % 64, 63);
    n = esp_window_encode(&w, bytes);
    cr_assert_not(esp_window_decode(span_of(bytes, n), &back, &used));
    w = made(0, 100, 0, 0);
    w.replay.top = 5;
    w.floor = 5;
    n = esp_window_encode(&w, bytes);
    bytes[5] = 6; /* a floor of minus one */
    cr_assert_not(esp_window_decode(span_of(bytes, n), &back, &used));
    memset(bytes, 0xff, sizeof bytes);
    cr_assert_not(esp_window_decode(span_of(bytes, sizeof bytes), &back, &used));
}

/* After a takeover the owner refuses what lies at or below its floor: so must whom it hands over
 * to, though the window that it made since knows nothing of those numbers. */
Test(window, the_floor_of_a_takeover_goes_along)
{
    struct esp_gate a, b;
    struct esp_window w = {.spi_in = 256};
    bool fresh;

    esp_gate_init(&a);
    esp_gate_init(&b);
    esp_gate_grant(&a, 3, 100, 200);
    cr_assert(esp_gate_refresh(&a, 3, &fresh));
    cr_assert_eq(esp_gate_mark(&a, 150), ESP_GATE_ACCEPT);
    esp_gate_export(&a, &w.floor, &w.replay);
    esp_gate_grant_exact(&b, 4, w.floor, &w.replay, 208);
    cr_assert(esp_gate_refresh(&b, 4, &fresh) && !fresh);
    cr_assert_eq(esp_gate_mark(&b, 99), ESP_GATE_BELOW_FLOOR);
    cr_assert_eq(esp_gate_mark(&b, 150), ESP_GATE_SEEN);
    cr_assert_eq(esp_gate_mark(&b, 149), ESP_GATE_ACCEPT);
    cr_assert_eq(esp_gate_mark(&b, 208), ESP_GATE_ACCEPT);
    cr_assert_eq(esp_gate_mark(&b, 209), ESP_GATE_ABOVE_CEILING);
}

/* A grant that no packet came under yet: its floor counts, not the window of an earlier epoch. */
Test(window, a_grant_that_no_worker_took_up)
{
    struct esp_gate a;
    struct esp_window w;
    bool fresh;

    esp_gate_init(&a);
    esp_gate_grant(&a, 3, 0, 200);
    cr_assert(esp_gate_refresh(&a, 3, &fresh));
    cr_assert_eq(esp_gate_mark(&a, 7), ESP_GATE_ACCEPT);
    esp_gate_grant(&a, 9, 1000, 1008);
    esp_gate_export(&a, &w.floor, &w.replay);
    cr_assert(w.floor == 1000 && w.replay.top == 1000);
}
