#include "esp/ceiling.h"

#include "base/number.h"

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

uint64_t esp_pace_numbers(uint64_t per_second)
{
    return number_smaller(number_larger(per_second, ESP_PACE_MIN_NUMBERS), ESP_PACE_MAX_NUMBERS);
}

uint64_t esp_pace_headroom(uint64_t per_second)
{
    uint64_t bounded = number_smaller(per_second, UINT64_C(1) << 32);

    return number_larger(bounded * ESP_PACE_CEILING_MS / 1000, ESP_PACE_MIN_CEILING);
}

static void rate_init(struct esp_pace_rate *r, uint64_t now_ms, uint64_t number)
{
    r->at_ms = now_ms;
    r->at_number = number;
    r->per_second = 0;
}

/* Halves per ESP_PACE_SETTLE_MS, linear between. */
static uint64_t decayed(uint64_t rate, uint64_t ms)
{
    uint64_t halvings = ms / ESP_PACE_SETTLE_MS;

    if (halvings >= 64)
        return 0;
    rate >>= halvings;
    return rate - rate * (ms % ESP_PACE_SETTLE_MS) / (2 * ESP_PACE_SETTLE_MS);
}

static void rate_sample(struct esp_pace_rate *r, uint64_t now_ms, uint64_t number)
{
    uint64_t ms, seen;

    if (now_ms < r->at_ms + ESP_PACE_SAMPLE_MS)
        return;
    ms = now_ms - r->at_ms;
    seen = number_smaller(number > r->at_number ? number - r->at_number : 0, UINT64_C(1) << 40);
    r->per_second = number_larger(seen * 1000 / ms,
                                  decayed(number_smaller(r->per_second, UINT64_C(1) << 40), ms));
    r->at_ms = now_ms;
    r->at_number = number;
}

void esp_pace_init(struct esp_pacer *p, const struct esp_pace_now *now, uint64_t reservation_end,
                   uint64_t ceiling, uint64_t last_number)
{
    memset(p, 0, sizeof *p);
    rate_init(&p->in, now->now_ms, now->packets_in);
    rate_init(&p->out, now->now_ms, now->next_out);
    p->phase = ESP_PACE_IDLE;
    p->reservation_end = reservation_end;
    p->ceiling = ceiling;
    p->gate = ceiling;
    p->served = now->last_in;
    p->last_number = last_number;
}

void esp_pace_follow(struct esp_pacer *p, const struct esp_pacer *old)
{
    p->in.per_second = old->in.per_second;
    p->out.per_second = old->out.per_second;
}

/* The largest end that keeps I1c: numbers [.., end) with end - 1 <= last number. */
static uint64_t largest_end(const struct esp_pacer *p)
{
    return add(p->last_number, 1);
}

static uint64_t mark_out(const struct esp_pacer *p)
{
    uint64_t ahead = esp_pace_numbers(p->out.per_second);

    if (p->reservation_end >= largest_end(p))
        return UINT64_MAX; /* there is nothing more to ask for */
    return p->reservation_end > ahead ? p->reservation_end - ahead : 1;
}

static uint64_t mark_in(const struct esp_pacer *p)
{
    uint64_t half = esp_pace_headroom(p->in.per_second) / 2;

    return p->gate > half ? p->gate - half : 1;
}

static struct esp_pace_wish wish(const struct esp_pacer *p, const struct esp_pace_now *now,
                                 enum esp_pace_kind kind)
{
    struct esp_pace_wish w = {
        .kind = kind, .mark_in = mark_in(p), .mark_out = mark_out(p), .again_ms = UINT64_MAX};

    if (kind == ESP_PACE_EXTEND) {
        w.reservation_end = p->asked_end;
        w.ceiling = p->asked_ceiling;
    } else if (kind == ESP_PACE_LOWER) {
        w.ceiling = p->lowered_to;
    } else if (p->phase != ESP_PACE_IDLE) {
        w.again_ms = UINT64_MAX; /* esp_pace_done or esp_pace_passed comes */
    } else if (now->now_ms < p->not_before_ms) {
        w.again_ms = p->not_before_ms;
    } else if (p->high_since_ms != 0) {
        w.again_ms = p->high_since_ms + ESP_PACE_SETTLE_MS;
    } else if (p->ceiling > add(now->last_in, ESP_PACE_MIN_CEILING)) {
        w.again_ms = now->now_ms + ESP_PACE_SETTLE_MS / 2; /* its rate may fall */
    }
    return w;
}

/* Too high: further above the last accepted than the rate warrants. Remembers since when. */
static bool too_high(struct esp_pacer *p, const struct esp_pace_now *now)
{
    uint64_t headroom = esp_pace_headroom(p->in.per_second);

    if (p->ceiling <= add(now->last_in, headroom)) {
        p->high_since_ms = 0;
        return false;
    }
    if (p->high_since_ms == 0)
        p->high_since_ms = number_larger(now->now_ms, 1);
    return now->now_ms >= p->high_since_ms + ESP_PACE_SETTLE_MS;
}

/* What is to be extended, into asked_*. */
static bool ask(struct esp_pacer *p, const struct esp_pace_now *now)
{
    uint64_t headroom = esp_pace_headroom(p->in.per_second);
    bool waiting = now->verified_in > p->ceiling && now->verified_in > p->served;
    uint64_t end =
        number_smaller(add(now->next_out, 2 * esp_pace_numbers(p->out.per_second)), largest_end(p));
    uint64_t ceiling =
        number_smaller(add(waiting ? now->verified_in : now->last_in, headroom), p->last_number);

    p->asked_end = now->next_out >= mark_out(p) && end > p->reservation_end ? end : 0;
    p->asked_ceiling =
        (waiting || now->last_in >= mark_in(p)) && ceiling > p->ceiling ? ceiling : 0;
    p->asking_for = p->asked_ceiling != 0 ? now->verified_in : 0;
    return p->asked_end != 0 || p->asked_ceiling != 0;
}

static struct esp_pace_wish lower(struct esp_pacer *p, const struct esp_pace_now *now, uint64_t to)
{
    p->phase = ESP_PACE_LOWERING;
    p->high_since_ms = 0;
    p->lowered_to = p->gate = to;
    return wish(p, now, ESP_PACE_LOWER);
}

/* A shrink was refused: the SA's own ceiling is below the committed one still, and traffic reaches
 * it. It may rise up to the committed one at once; the same three steps then commit where it
 * stands. */
static bool held_back(const struct esp_pacer *p, const struct esp_pace_now *now)
{
    return p->gate < p->ceiling && (now->last_in >= mark_in(p) || now->verified_in > p->gate);
}

struct esp_pace_wish esp_pace_step(struct esp_pacer *p, const struct esp_pace_now *now)
{
    rate_sample(&p->in, now->now_ms, now->packets_in);
    rate_sample(&p->out, now->now_ms, now->next_out);
    if (p->phase != ESP_PACE_IDLE)
        return wish(p, now, ESP_PACE_NOTHING);
    if (held_back(p, now)) {
        uint64_t wanted = number_larger(now->last_in, now->verified_in);

        return lower(p, now,
                     number_smaller(add(wanted, esp_pace_headroom(p->in.per_second)), p->ceiling));
    }
    if (now->now_ms < p->not_before_ms)
        return wish(p, now, ESP_PACE_NOTHING);
    if (ask(p, now)) {
        p->phase = ESP_PACE_COMMITTING;
        p->high_since_ms = 0;
        return wish(p, now, ESP_PACE_EXTEND);
    }
    if (too_high(p, now))
        return lower(p, now, now->last_in + esp_pace_headroom(p->in.per_second));
    return wish(p, now, ESP_PACE_NOTHING);
}

struct esp_pace_wish esp_pace_passed(struct esp_pacer *p, const struct esp_pace_now *now)
{
    HF_ASSERT(p->phase == ESP_PACE_LOWERING);
    p->phase = ESP_PACE_COMMITTING;
    p->asked_end = p->asking_for = 0;
    p->asked_ceiling = number_larger(p->lowered_to, now->last_in);
    return wish(p, now, ESP_PACE_EXTEND);
}

void esp_pace_done(struct esp_pacer *p, bool applied, uint64_t now_ms, uint64_t committed_end,
                   uint64_t committed_ceiling)
{
    HF_ASSERT(p->phase == ESP_PACE_COMMITTING);
    p->phase = ESP_PACE_IDLE;
    if (applied) {
        if (p->asked_end != 0)
            p->reservation_end = p->asked_end;
        if (p->asked_ceiling != 0)
            p->ceiling = p->gate = p->asked_ceiling;
        p->served = number_larger(p->served, p->asking_for);
        p->not_before_ms = 0;
        return;
    }
    p->reservation_end = committed_end;
    p->ceiling = committed_ceiling;
    p->gate = number_smaller(p->gate, committed_ceiling);
    p->not_before_ms = now_ms + ESP_PACE_REFUSED_MS;
}
