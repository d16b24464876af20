/* When to extend and when to shrink, under virtual time: single cases, then a whole control loop
 * with a commit delay against a traffic pattern, checking the two bounds of the design at every
 * millisecond. */
#include <criterion/criterion.h>

#include "esp/ceiling.h"

static struct esp_pace_now at(uint64_t ms, uint64_t next_out, uint64_t last_in)
{
    return (struct esp_pace_now){.now_ms = ms,
                                 .next_out = next_out,
                                 .packets_in = last_in,
                                 .last_in = last_in,
                                 .verified_in = last_in};
}

static struct esp_pacer begun(uint64_t end, uint64_t ceiling)
{
    struct esp_pacer p;
    struct esp_pace_now now = at(1000, 1, 0);

    esp_pace_init(&p, &now, end, ceiling, UINT32_MAX);
    return p;
}

Test(pace, bounds_by_rate)
{
    cr_assert_eq(esp_pace_numbers(0), 64);
    cr_assert_eq(esp_pace_numbers(64), 64);
    cr_assert_eq(esp_pace_numbers(5000), 5000);
    cr_assert_eq(esp_pace_numbers(UINT64_MAX), 1 << 20);
    cr_assert_eq(esp_pace_headroom(0), 8);
    cr_assert_eq(esp_pace_headroom(400), 8);
    cr_assert_eq(esp_pace_headroom(10000), 200);
    cr_assert_gt(esp_pace_headroom(UINT64_MAX), 0);
}

Test(pace, a_fresh_sa_asks_for_a_reservation_at_once_and_is_content_with_8_inbound)
{
    struct esp_pacer p = begun(1, 8);
    struct esp_pace_now now = at(1000, 1, 0);
    struct esp_pace_wish w = esp_pace_step(&p, &now);

    cr_assert_eq(w.kind, ESP_PACE_EXTEND);
    cr_assert_eq(w.reservation_end, 129);
    cr_assert_eq(w.ceiling, 0, "unchanged");
    w = esp_pace_step(&p, &now);
    cr_assert_eq(w.kind, ESP_PACE_NOTHING, "one at a time");
    cr_assert_eq(w.again_ms, UINT64_MAX);
    esp_pace_done(&p, true, 1001, 0, 0);
    w = esp_pace_step(&p, &now);
    cr_assert_eq(w.kind, ESP_PACE_NOTHING);
    cr_assert_eq(w.mark_out, 129 - 64);
    cr_assert_eq(w.mark_in, 4);
    cr_assert_eq(w.again_ms, UINT64_MAX, "an idle SA costs nothing");
}

Test(pace, extends_at_the_marks)
{
    struct esp_pacer p = begun(129, 8);
    struct esp_pace_now now = at(61000, 64, 3);
    struct esp_pace_wish w = esp_pace_step(&p, &now);

    cr_assert_eq(w.kind, ESP_PACE_NOTHING);
    now = at(61001, 65, 3);
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_EXTEND && w.reservation_end == 65 + 128 && w.ceiling == 0);
    esp_pace_done(&p, true, 61002, 0, 0);
    now = at(61003, 66, 4);
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_EXTEND && w.reservation_end == 0 && w.ceiling == 12);
    esp_pace_done(&p, true, 61004, 0, 0);
    now = at(61005, 200, 12);
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_EXTEND && w.reservation_end >= 200 + 128 && w.ceiling >= 20,
              "both in one record");
}

Test(pace, a_verified_packet_above_the_ceiling_is_served_once)
{
    struct esp_pacer p = begun(200, 8);
    struct esp_pace_now now = at(1000, 1, 0);
    struct esp_pace_wish w;

    now.verified_in = 50; /* it waits; it is not accepted */
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_EXTEND && w.ceiling == 58);
    esp_pace_done(&p, true, 1001, 0, 0);
    /* it was never released (its queue was full): the ceiling comes down again and stays down */
    now.now_ms = 1300;
    w = esp_pace_step(&p, &now);
    cr_assert_eq(w.kind, ESP_PACE_NOTHING);
    cr_assert_eq(w.again_ms, 1300 + ESP_PACE_SETTLE_MS);
    now.now_ms = 1500;
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_LOWER && w.ceiling == 8);
    w = esp_pace_passed(&p, &now);
    cr_assert(w.kind == ESP_PACE_EXTEND && w.ceiling == 8 && w.reservation_end == 0);
    esp_pace_done(&p, true, 1501, 0, 0);
    now.now_ms = 1600;
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_NOTHING && w.again_ms == UINT64_MAX, "no tug of war");
    now.verified_in = 51; /* a new one: served */
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_EXTEND && w.ceiling == 59);
}

Test(pace, a_shrink_commits_no_less_than_was_accepted_meanwhile)
{
    struct esp_pacer p = begun(200, 100);
    struct esp_pace_now now = at(1000, 1, 0);
    struct esp_pace_wish w = esp_pace_step(&p, &now);

    cr_assert_eq(w.kind, ESP_PACE_NOTHING);
    now.now_ms = 1200;
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_LOWER && w.ceiling == 8);
    cr_assert_eq(esp_pace_step(&p, &now).kind, ESP_PACE_NOTHING, "first every worker has to pass");
    now = at(1201, 1, 30); /* accepted before its worker saw the lower ceiling */
    w = esp_pace_passed(&p, &now);
    cr_assert(w.kind == ESP_PACE_EXTEND && w.ceiling == 30);
    esp_pace_done(&p, true, 1202, 0, 0);
    now.now_ms = 1203;
    w = esp_pace_step(&p, &now);
    cr_assert_eq(w.kind, ESP_PACE_EXTEND, "and only now it may rise");
    cr_assert_geq(w.ceiling, 38);
}

Test(pace, a_refusal_takes_the_committed_values_and_waits)
{
    struct esp_pacer p = begun(1, 8);
    struct esp_pace_now now = at(1000, 1, 0);
    struct esp_pace_wish w = esp_pace_step(&p, &now);

    cr_assert_eq(w.kind, ESP_PACE_EXTEND);
    esp_pace_done(&p, false, 1005, 40, 30);
    now.now_ms = 1006;
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_NOTHING && w.again_ms == 1005 + ESP_PACE_REFUSED_MS);
    now.now_ms = w.again_ms;
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_EXTEND && w.reservation_end == 129);
    esp_pace_done(&p, true, now.now_ms, 0, 0);
    cr_assert_eq(p.ceiling, 30);
}

/* The gate stays where the shrink lowered it; traffic that reaches it is let on at once, up to the
 * committed ceiling. */
Test(pace, after_a_refused_shrink_traffic_goes_on)
{
    struct esp_pacer p = begun(200, 100);
    struct esp_pace_now now = at(1000, 1, 0);
    struct esp_pace_wish w = esp_pace_step(&p, &now);

    cr_assert_eq(w.kind, ESP_PACE_NOTHING);
    now.now_ms = 1200;
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_LOWER && w.ceiling == 8);
    w = esp_pace_passed(&p, &now);
    cr_assert_eq(w.kind, ESP_PACE_EXTEND);
    esp_pace_done(&p, false, 1201, 200, 100); /* refused, or never submitted */
    now.now_ms = 1202;
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_NOTHING && w.mark_in <= 8, "a mark that can be reached");
    now = at(1203, 1, 8);
    now.verified_in = 12; /* four wait at the gate */
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_LOWER && w.ceiling == 20, "lifted, not above the committed one");
    now.last_in = now.packets_in = 12;
    w = esp_pace_passed(&p, &now);
    cr_assert(w.kind == ESP_PACE_EXTEND && w.ceiling == 20);
    esp_pace_done(&p, false, 1205, 200, 100);
    now = at(1206, 1, 95);
    now.verified_in = 300;
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_LOWER && w.ceiling == 100);
    w = esp_pace_passed(&p, &now);
    cr_assert(w.kind == ESP_PACE_EXTEND && w.ceiling == 100);
    esp_pace_done(&p, true, 1207, 0, 0);
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_EXTEND && w.ceiling >= 308, "and above it by commit only");
}

Test(pace, a_refused_extension_is_asked_for_again)
{
    struct esp_pacer p = begun(200, 8);
    struct esp_pace_now now = at(1000, 1, 8);
    struct esp_pace_wish w;

    now.verified_in = 50;
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_EXTEND && w.ceiling == 58);
    esp_pace_done(&p, false, 1001, 200, 8);
    now.now_ms = 1001 + ESP_PACE_REFUSED_MS;
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_EXTEND && w.ceiling == 58, "what waits is not forgotten");
}

Test(pace, no_reservation_beyond_the_last_number)
{
    struct esp_pacer p;
    struct esp_pace_now now = at(1000, UINT32_MAX - 10, 0);
    struct esp_pace_wish w;

    esp_pace_init(&p, &now, UINT32_MAX - 9, 8, UINT32_MAX);
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_EXTEND && w.reservation_end == UINT64_C(1) << 32); /* I1c */
    esp_pace_done(&p, true, 1001, 0, 0);
    now.next_out = UINT32_MAX;
    w = esp_pace_step(&p, &now);
    cr_assert(w.kind == ESP_PACE_NOTHING && w.mark_out == UINT64_MAX, "nothing more to ask for");
    esp_pace_init(&p, &now, UINT64_MAX, 8, UINT64_MAX);
    now.next_out = UINT64_MAX - 1;
    cr_assert_eq(esp_pace_step(&p, &now).kind, ESP_PACE_NOTHING);
}

Test(pace, a_jump_of_the_peers_numbers_is_no_rate)
{
    struct esp_pacer p = begun(200, 8);
    struct esp_pace_now now = at(1000, 1, 4);
    struct esp_pace_wish w;

    w = esp_pace_step(&p, &now);
    esp_pace_done(&p, true, 1001, 0, 0);
    (void)w;
    now = at(1020, 1, 65540); /* the peer went over a reservation block: one packet */
    now.packets_in = 5;
    w = esp_pace_step(&p, &now);
    cr_assert_eq(w.kind, ESP_PACE_EXTEND);
    cr_assert_leq(w.ceiling, 65540 + 8);
}

/* --- a control loop in miniature --- */

struct world {
    struct esp_pacer p;
    uint64_t now_ms;
    uint64_t next, limit;               /* outbound: what the worker has */
    uint64_t sent_in, last_in, ceiling; /* inbound: the peer's last, accepted, the worker's */
    uint64_t packets_in, verified;
    uint64_t mark_in, mark_out, again_ms;
    bool committing, lowering;
    uint64_t due_ms;
    struct esp_pace_wish wish;
    uint64_t commits, shrinks, stalls_out, waits_in;
    uint64_t committed_ceiling, committed_end;
    uint64_t chance; /* state of a generator, 0 = every commit is accepted */
};

/* One in four is refused or never submitted. */
static bool refused(struct world *w)
{
    if (w->chance == 0)
        return false;
    w->chance = w->chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return w->chance >> 62 == 0;
}

static struct esp_pace_now world_now(const struct world *w)
{
    return (struct esp_pace_now){w->now_ms, w->next, w->packets_in, w->last_in, w->verified};
}

static void obey(struct world *w, struct esp_pace_wish wish)
{
    w->mark_in = wish.mark_in;
    w->mark_out = wish.mark_out;
    w->again_ms = wish.again_ms;
    if (wish.kind == ESP_PACE_EXTEND) {
        cr_assert(!w->committing && !w->lowering);
        w->committing = true;
        w->due_ms = w->now_ms + 2; /* commit latency */
        w->wish = wish;
        w->commits++;
    } else if (wish.kind == ESP_PACE_LOWER) {
        cr_assert(!w->committing && !w->lowering);
        cr_assert_leq(wish.ceiling, w->committed_ceiling);
        w->ceiling = wish.ceiling;
        w->lowering = true;
        w->due_ms = w->now_ms + 1;
        w->shrinks++;
    }
}

static void settle(struct world *w)
{
    struct esp_pace_now now = world_now(w);

    if (w->lowering && w->now_ms >= w->due_ms) {
        w->lowering = false;
        obey(w, esp_pace_passed(&w->p, &now));
    } else if (w->committing && w->now_ms >= w->due_ms) {
        w->committing = false;
        if (refused(w)) {
            esp_pace_done(&w->p, false, w->now_ms, w->committed_end, w->committed_ceiling);
            obey(w, esp_pace_step(&w->p, &now));
            return;
        }
        if (w->wish.reservation_end != 0) {
            cr_assert_gt(w->wish.reservation_end, w->limit);
            w->limit = w->committed_end = w->wish.reservation_end;
        }
        if (w->wish.ceiling != 0)
            w->ceiling = w->committed_ceiling = w->wish.ceiling;
        cr_assert_leq(w->last_in, w->committed_ceiling, "accepted above what is committed");
        esp_pace_done(&w->p, true, w->now_ms, 0, 0);
        obey(w, esp_pace_step(&w->p, &now));
    }
}

/* One millisecond with `out` packets to send and `in` packets from the peer. */
static void tick(struct world *w, uint64_t out, uint64_t in)
{
    struct esp_pace_now now;
    bool event = false;

    w->now_ms++;
    w->sent_in += in;
    for (uint64_t i = 0; i < out; i++) {
        if (w->next < w->limit)
            w->next++;
        else
            w->stalls_out++;
    }
    w->verified = w->sent_in;
    if (w->sent_in > w->ceiling)
        w->waits_in++;
    while (w->last_in < w->sent_in && w->last_in < w->ceiling) {
        w->last_in++;
        w->packets_in++;
    }
    cr_assert_leq(w->last_in, w->committed_ceiling);
    settle(w);
    event = w->next > w->mark_out || w->last_in >= w->mark_in || w->sent_in > w->ceiling;
    now = world_now(w);
    if (event || w->now_ms >= w->again_ms)
        obey(w, esp_pace_step(&w->p, &now));
}

static void world_init(struct world *w)
{
    struct esp_pace_now now;

    memset(w, 0, sizeof *w);
    w->now_ms = 5000;
    w->next = 1;
    w->limit = w->committed_end = 64;
    w->ceiling = w->committed_ceiling = 8;
    now = world_now(w);
    esp_pace_init(&w->p, &now, w->limit, w->ceiling, UINT32_MAX);
    obey(w, esp_pace_step(&w->p, &now));
}

Test(pace, steady_traffic_never_stalls_and_keeps_the_bounds)
{
    static const uint64_t per_ms[] = {1, 5, 20, 100};

    for (size_t k = 0; k < 4; k++) {
        struct world w;

        world_init(&w);
        for (int i = 0; i < 1000; i++) /* the rate is learnt */
            tick(&w, per_ms[k], per_ms[k]);
        w.stalls_out = w.waits_in = 0;
        for (int i = 0; i < 5000; i++) {
            uint64_t rate = per_ms[k] * 1000;

            tick(&w, per_ms[k], per_ms[k]);
            cr_assert_geq(w.limit - w.next, esp_pace_numbers(rate) * 8 / 10,
                          "less than a second of numbers at %lu/ms", per_ms[k]);
            cr_assert_leq(w.committed_ceiling - w.last_in,
                          esp_pace_headroom(rate) * 12 / 10 + per_ms[k],
                          "ceiling too far ahead at %lu/ms", per_ms[k]);
        }
        cr_assert_eq(w.stalls_out, 0);
        cr_assert_eq(w.waits_in, 0, "%lu packets/ms: the ceiling was reached %lu times", per_ms[k],
                     w.waits_in);
        cr_assert_eq(w.limit, w.committed_end);
    }
}

Test(pace, after_traffic_the_ceiling_comes_down_to_8)
{
    struct world w;

    world_init(&w);
    for (int i = 0; i < 2000; i++)
        tick(&w, 50, 50);
    cr_assert_gt(w.committed_ceiling - w.last_in, 100);
    for (int i = 0; i < 5000; i++)
        tick(&w, 0, 0);
    cr_assert_leq(w.committed_ceiling - w.last_in, 8);
    cr_assert_gt(w.shrinks, 0);
    cr_assert_lt(w.shrinks, 30, "%lu shrinks", w.shrinks);
    w.commits = 0;
    for (int i = 0; i < 5000; i++)
        tick(&w, 0, 0);
    cr_assert_eq(w.commits, 0, "an idle SA commits nothing");
    cr_assert_eq(w.again_ms, UINT64_MAX);
}

Test(pace, a_ping_costs_few_commits)
{
    struct world w;

    world_init(&w);
    w.commits = 0;
    for (int i = 0; i < 100; i++) {
        tick(&w, 1, 1);
        for (int ms = 1; ms < 1000; ms++)
            tick(&w, 0, 0);
    }
    cr_assert_eq(w.last_in, 100);
    cr_assert_leq(w.commits, 30, "%lu commits for 100 pings", w.commits);
    cr_assert_eq(w.shrinks, 0);
    cr_assert_eq(w.stalls_out + w.waits_in, 0);
}

static void bursts(bool with_refusals)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct world w;
        uint64_t state = seed, out = 0, in = 0;

        world_init(&w);
        w.chance = with_refusals ? seed : 0;
        for (int i = 0; i < 20000; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            if ((state >> 33) % 100 == 0) {
                out = (state >> 40) % 4 == 0 ? (state >> 44) % 80 : 0;
                in = (state >> 42) % 4 == 0 ? (state >> 50) % 80 : 0;
            }
            tick(&w, out, in);
        }
        for (int i = 0; i < 6000; i++)
            tick(&w, 0, 0);
        cr_assert_eq(w.last_in, w.sent_in, "seed %lu: something still waits", seed);
        cr_assert_leq(w.committed_ceiling - w.last_in, 8, "seed %lu", seed);
        cr_assert_eq(w.limit, w.committed_end);
    }
}

Test(pace, bursts_of_any_shape_keep_every_bound)
{
    bursts(false);
}

Test(pace, bursts_of_any_shape_keep_every_bound_when_commits_are_refused)
{
    bursts(true);
}

/* After a rekey: the rates of the SA that it replaces hold until it has some of its own, so it is
 * neither held at the least ceiling nor shrunk to it. */
Test(pace, a_successor_begins_with_the_rates_of_its_predecessor)
{
    struct esp_pacer old = begun(100000, 1000), p;
    struct esp_pace_now now = at(1100, 5001, 5000);
    struct esp_pace_wish w;

    (void)esp_pace_step(&old, &now); /* 5,000 in 100 ms */
    cr_assert_eq(old.in.per_second, 50000);
    now = at(1100, 1, 0);
    esp_pace_init(&p, &now, 1 + 2 * esp_pace_numbers(50000), esp_pace_headroom(50000), UINT32_MAX);
    esp_pace_follow(&p, &old);
    w = esp_pace_step(&p, &now);
    cr_assert_eq(w.kind, ESP_PACE_NOTHING, "what it has is enough");
    cr_assert_eq(w.mark_in, esp_pace_headroom(50000) / 2);
    now = at(1101, 51, w.mark_in); /* its own first packets, in less than a sample takes */
    w = esp_pace_step(&p, &now);
    cr_assert_eq(w.kind, ESP_PACE_EXTEND);
    cr_assert_eq(w.ceiling, now.last_in + esp_pace_headroom(50000));
}
