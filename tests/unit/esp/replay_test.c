/* The anti-replay window: its table of cases, ESN recovery, the exact window, and a random walk
 * against a plain set. */
#include <criterion/criterion.h>

#include "esp/replay.h"

enum { W = ESP_REPLAY_WINDOW };

struct step {
    uint64_t seq;
    enum esp_seen want;
};

static void run(struct esp_replay *w, const struct step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t top = w->top;

        cr_assert_eq(esp_replay_look(w, steps[i].seq), steps[i].want, "look, step %zu (%lu)", i,
                     steps[i].seq);
        cr_assert_eq(w->top, top, "look changed the window");
        cr_assert_eq(esp_replay_mark(w, steps[i].seq), steps[i].want, "mark, step %zu (%lu)", i,
                     steps[i].seq);
        cr_assert_eq(w->top,
                     steps[i].want == ESP_SEEN_NEW && steps[i].seq > top ? steps[i].seq : top);
    }
}

#define RUN(w, ...)                                                                                \
    do {                                                                                           \
        static const struct step steps_[] = {__VA_ARGS__};                                         \
        run((w), steps_, sizeof steps_ / sizeof steps_[0]);                                        \
    } while (0)

Test(replay, table_of_cases)
{
    struct esp_replay w;

    esp_replay_init(&w, 0);
    RUN(&w, {0, ESP_SEEN_OLD}, {1, ESP_SEEN_NEW}, {1, ESP_SEEN_BEFORE}, {9, ESP_SEEN_NEW},
        {8, ESP_SEEN_NEW}, {7, ESP_SEEN_NEW}, {7, ESP_SEEN_BEFORE}, {2, ESP_SEEN_NEW},
        {9, ESP_SEEN_BEFORE}, {0, ESP_SEEN_OLD});
    /* the left edge, to the number */
    RUN(&w, {W + 9, ESP_SEEN_NEW}, {9, ESP_SEEN_OLD}, {10, ESP_SEEN_NEW}, {10, ESP_SEEN_BEFORE},
        {11, ESP_SEEN_NEW}, {8, ESP_SEEN_OLD}, {W + 9, ESP_SEEN_BEFORE}, {W + 8, ESP_SEEN_NEW},
        {W + 10, ESP_SEEN_NEW}, {10, ESP_SEEN_OLD}, {11, ESP_SEEN_BEFORE}, {12, ESP_SEEN_NEW});
    /* jumps by a word less one, a word, the ring less one, the ring, and far */
    RUN(&w, {W + 10 + 63, ESP_SEEN_NEW}, {W + 10 + 127, ESP_SEEN_NEW}, {W + 10 + 64, ESP_SEEN_NEW},
        {W + 10 + 126, ESP_SEEN_NEW});
    esp_replay_init(&w, 0);
    RUN(&w, {100, ESP_SEEN_NEW}, {100 + ESP_REPLAY_BITS - 1, ESP_SEEN_NEW},
        {100 + ESP_REPLAY_BITS - 2, ESP_SEEN_NEW}, {100, ESP_SEEN_OLD},
        {100 + 2 * ESP_REPLAY_BITS - 1, ESP_SEEN_NEW}, {100 + ESP_REPLAY_BITS - 1, ESP_SEEN_OLD},
        {100 + 2 * ESP_REPLAY_BITS - W, ESP_SEEN_NEW}, {UINT64_C(1) << 40, ESP_SEEN_NEW},
        {(UINT64_C(1) << 40) - W + 1, ESP_SEEN_NEW}, {(UINT64_C(1) << 40) - W, ESP_SEEN_OLD},
        {(UINT64_C(1) << 40) - 1, ESP_SEEN_NEW}, {UINT64_MAX, ESP_SEEN_NEW},
        {UINT64_MAX, ESP_SEEN_BEFORE}, {UINT64_MAX - W + 1, ESP_SEEN_NEW},
        {UINT64_MAX - W, ESP_SEEN_OLD});
}

Test(replay, every_number_backwards_and_forwards_once)
{
    struct esp_replay w;

    esp_replay_init(&w, 0);
    for (uint64_t i = 1; i <= 3 * W; i++)
        cr_assert_eq(esp_replay_mark(&w, i), ESP_SEEN_NEW);
    for (uint64_t i = 2 * W + 1; i <= 3 * W; i++)
        cr_assert_eq(esp_replay_look(&w, i), ESP_SEEN_BEFORE);
    cr_assert_eq(esp_replay_look(&w, 2 * W), ESP_SEEN_OLD);
    esp_replay_init(&w, 0);
    cr_assert_eq(esp_replay_mark(&w, 5 * W), ESP_SEEN_NEW);
    for (uint64_t i = 5 * W - 1; i > 4 * W; i--)
        cr_assert_eq(esp_replay_mark(&w, i), ESP_SEEN_NEW, "%lu", i);
    for (uint64_t i = 5 * W; i > 4 * W; i--)
        cr_assert_eq(esp_replay_mark(&w, i), ESP_SEEN_BEFORE, "%lu", i);
}

Test(replay, a_window_that_begins_at_a_floor)
{
    struct esp_replay w;

    esp_replay_init(&w, 70000);
    RUN(&w, {70000, ESP_SEEN_NEW}, {70000, ESP_SEEN_BEFORE}, {69999, ESP_SEEN_NEW},
        {70000 - W, ESP_SEEN_OLD}, {70001, ESP_SEEN_NEW});
}

Test(replay, range)
{
    cr_assert_eq(esp_seq_range(5, 5, 13), ESP_RANGE_BELOW);
    cr_assert_eq(esp_seq_range(6, 5, 13), ESP_RANGE_INSIDE);
    cr_assert_eq(esp_seq_range(13, 5, 13), ESP_RANGE_INSIDE);
    cr_assert_eq(esp_seq_range(14, 5, 13), ESP_RANGE_ABOVE);
    cr_assert_eq(esp_seq_range(0, 0, 0), ESP_RANGE_BELOW);
    cr_assert_eq(esp_seq_range(1, 0, 0), ESP_RANGE_ABOVE);
    cr_assert_eq(esp_seq_range(UINT64_MAX, 0, UINT64_MAX), ESP_RANGE_INSIDE);
}

/* --- ESN: RFC 4303 A2.2 --- */

static void recovers(uint64_t top, uint32_t low, bool found, uint64_t want)
{
    struct esp_replay w;
    uint64_t seq = 0;

    esp_replay_init(&w, top);
    cr_assert_eq(esp_replay_recover(&w, true, low, &seq), found, "top %lx low %x", top, low);
    if (found)
        cr_assert_eq(seq, want, "top %lx low %x: %lx, not %lx", top, low, seq, want);
}

Test(replay, esn_high_half)
{
    const uint64_t g = UINT64_C(1) << 32;

    /* case A: the window lies within one subspace */
    recovers(5 * g + 100000, 100001, true, 5 * g + 100001);
    recovers(5 * g + 100000, 100000 - W + 1, true, 5 * g + 100000 - W + 1);
    recovers(5 * g + 100000, 100000 - W, true,
             6 * g + 100000 - W); /* left of it: the next subspace */
    recovers(5 * g + 0xffffffff, 0, true, 6 * g);
    recovers(5 * g + 0xffffffff, 0xffffffff, true, 5 * g + 0xffffffff);
    recovers(5 * g + W - 1, 0, true, 5 * g);
    /* case B: it reaches back into the subspace before */
    recovers(5 * g + 10, 11, true, 5 * g + 11);
    recovers(5 * g + 10, 0xffffffff, true, 4 * g + 0xffffffff);
    recovers(5 * g + 10, (uint32_t)(10 - (W - 1)), true, 5 * g + 10 - (W - 1));
    recovers(5 * g + 10, (uint32_t)(10 - W), true, 5 * g + (uint32_t)(10 - W));
    /* no subspace before the first, none after the last */
    recovers(10, 0xffffffff, false, 0);
    recovers(0, 1, true, 1);
    recovers(UINT64_MAX, 5, false, 0);
}

Test(replay, without_esn_the_high_half_is_zero)
{
    struct esp_replay w;
    uint64_t seq;

    esp_replay_init(&w, 0xffffffff);
    cr_assert(esp_replay_recover(&w, false, 3, &seq));
    cr_assert_eq(seq, 3);
}

Test(replay, esn_agrees_with_a_sender_that_loses_and_reorders)
{
    struct esp_replay w;
    uint64_t state = 12345, sent = (UINT64_C(3) << 32) - 4000;

    esp_replay_init(&w, sent);
    for (int i = 0; i < 200000; i++) {
        uint64_t seq, got;

        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        sent += 1 + (state >> 60);
        seq = sent - (state >> 33) % W; /* within the window of the newest */
        if (seq + W <= w.top || seq == 0)
            continue;
        cr_assert(esp_replay_recover(&w, true, (uint32_t)seq, &got));
        cr_assert_eq(got, seq);
        (void)!esp_replay_mark(&w, seq);
    }
    cr_assert_gt(sent >> 32, 2);
}

/* --- against a plain set --- */

enum { SPAN = 1 << 16 };

static bool set[SPAN];

static enum esp_seen reference(uint64_t top, uint64_t seq)
{
    if (seq == 0 || (seq <= top && top - seq >= W))
        return ESP_SEEN_OLD;
    return set[seq] ? ESP_SEEN_BEFORE : ESP_SEEN_NEW;
}

static void walk(uint64_t seed)
{
    struct esp_replay w;
    uint64_t state = seed * 2 + 1, top = 0, counts[3] = {0};

    memset(set, 0, sizeof set);
    esp_replay_init(&w, 0);
    for (int i = 0; i < 100000; i++) {
        uint64_t seq, r;
        enum esp_seen want;

        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        r = state >> 40;
        switch (r % 16) {
        case 0:
            seq =
                top + 1 +
                (r >> 13) % ((r >> 4) % 512 == 0 ? 3 * ESP_REPLAY_BITS : 8); /* ahead, seldom far */
            break;
        case 1:
            seq = (r >> 4) % (top + 2); /* anywhere below */
            break;
        default:
            seq = top - (r >> 4) % (W + 8 < top ? W + 8 : top + 1); /* about the window */
            break;
        }
        if (seq >= SPAN)
            break;
        want = reference(top, seq);
        cr_assert_eq(esp_replay_look(&w, seq), want, "seed %lu step %d seq %lu top %lu", seed, i,
                     seq, top);
        if (r % 3 == 0) /* its ICV did not hold: looked at, never marked */
            continue;
        cr_assert_eq(esp_replay_mark(&w, seq), want, "seed %lu step %d seq %lu top %lu", seed, i,
                     seq, top);
        counts[want]++;
        if (want == ESP_SEEN_NEW) {
            set[seq] = true;
            top = seq > top ? seq : top;
        }
        cr_assert_eq(w.top, top);
    }
    cr_assert(counts[0] > 100 && counts[1] > 100 && counts[2] > 100,
              "seed %lu did not reach all cases", seed);
}

Test(replay, random_walks_against_a_set)
{
    for (uint64_t seed = 1; seed <= 40; seed++)
        walk(seed);
}

/* --- the exact window --- */

Test(replay, export_import_is_exact)
{
    static const uint64_t tops[] = {
        0, 1, 5, 63, 64, 65, W - 1, W, W + 1, 5000, (UINT64_C(7) << 32) + 3};

    for (size_t t = 0; t < sizeof tops / sizeof tops[0]; t++) {
        struct esp_replay a, b;
        uint8_t bitmap[ESP_REPLAY_BITMAP_BYTES];
        uint64_t top, state = t;

        esp_replay_init(&a, 0);
        if (tops[t] > 0)
            cr_assert_eq(esp_replay_mark(&a, tops[t]), ESP_SEEN_NEW);
        for (int i = 0; i < 500 && tops[t] > 1; i++) {
            state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            (void)!esp_replay_mark(&a, tops[t] - (state >> 33) % (W < tops[t] ? W : tops[t]));
        }
        esp_replay_export(&a, &top, bitmap);
        cr_assert_eq(top, tops[t]);
        cr_assert(esp_replay_import(&b, top, span_of(bitmap, sizeof bitmap)));
        for (uint64_t i = 0; i < W + 5 && i < tops[t]; i++)
            cr_assert_eq(esp_replay_look(&a, tops[t] - i), esp_replay_look(&b, tops[t] - i),
                         "top %lu back %lu", top, i);
        cr_assert_eq(esp_replay_look(&b, tops[t] + 1), ESP_SEEN_NEW);
    }
}

Test(replay, import_refuses_what_is_no_window)
{
    uint8_t bitmap[ESP_REPLAY_BITMAP_BYTES + 1] = {0};
    struct esp_replay w;

    esp_replay_init(&w, 77);
    cr_assert_not(esp_replay_import(&w, 5, span_of(bitmap, ESP_REPLAY_BITMAP_BYTES + 1)));
    cr_assert_not(esp_replay_import(&w, 5, span_of(bitmap, ESP_REPLAY_BITMAP_BYTES - 1)));
    cr_assert_not(esp_replay_import(&w, 5, span_of(NULL, 0)));
    bitmap[0] = 1 << 5; /* top - 5 = 0: no number */
    cr_assert_not(esp_replay_import(&w, 5, span_of(bitmap, ESP_REPLAY_BITMAP_BYTES)));
    cr_assert_eq(w.top, 77, "written on failure");
    bitmap[0] = 1 << 4;
    cr_assert(esp_replay_import(&w, 5, span_of(bitmap, ESP_REPLAY_BITMAP_BYTES)));
    cr_assert_eq(esp_replay_look(&w, 1), ESP_SEEN_BEFORE);
}
