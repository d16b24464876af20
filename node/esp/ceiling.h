/* When to ask for more numbers, and when to give some back: the control loop's arithmetic, one
 * struct per CHILD SA it owns.
 *
 *   outbound:  next ... mark ... reservation end   end - next >= max(64, one second of the rate)
 *   inbound:   last ... mark ... ceiling           ceiling - last <= max(8, rate x 20 ms)
 *
 * Pure: virtual time in, wishes out. The caller commits the wishes (many SAs in one Extend record),
 * tells the outcome, and sets the SA's limits and marks. Shrinking is three steps, in this order
 * (node/esp/README.md): the local ceiling is lowered, every worker passes, the record is committed.
 *
 *   PACE_NOTHING ── wait until again_ms or a LOW_* event of the SA
 *   PACE_EXTEND  ── commit {reservation_end, ceiling} (0 = unchanged) ── esp_pace_done(applied)
 *   PACE_LOWER   ── esp_sa_set_ceiling(sa, ceiling); worker_pool_pass();
 *                   when passed: esp_pace_passed() ──> PACE_EXTEND
 */
#ifndef HF_ESP_CEILING_H
#define HF_ESP_CEILING_H

#include "base/assert.h"
#include "base/span.h"

enum {
    ESP_PACE_MIN_NUMBERS = 64,
    ESP_PACE_MAX_NUMBERS = 1 << 20,
    ESP_PACE_MIN_CEILING = 8,
    ESP_PACE_CEILING_MS = 20,
    ESP_PACE_SAMPLE_MS = 10,  /* rates are measured over at least this */
    ESP_PACE_SETTLE_MS = 200, /* how long a ceiling may lie too high before it is shrunk; a rate
                                 falls by half in this time */
    ESP_PACE_REFUSED_MS = 50  /* after a refusal, ask again */
};

/* A rate in numbers per second: rises at once, falls by half each ESP_PACE_SETTLE_MS. */
struct esp_pace_rate {
    uint64_t at_ms, at_number, per_second;
};

enum esp_pace_phase { ESP_PACE_IDLE, ESP_PACE_COMMITTING, ESP_PACE_LOWERING };

struct esp_pacer {
    struct esp_pace_rate in, out;
    enum esp_pace_phase phase;
    uint64_t reservation_end, ceiling; /* committed, as far as known here */
    uint64_t asked_end, asked_ceiling; /* COMMITTING; 0 = unchanged */
    uint64_t lowered_to;               /* LOWERING */
    uint64_t gate; /* the SA's own ceiling; below the committed one after a shrink that failed */
    uint64_t served, asking_for; /* verified_in for which the ceiling was raised, is being raised */
    uint64_t high_since_ms;      /* the ceiling lies too high since then; 0 = it does not */
    uint64_t not_before_ms;
    uint64_t last_number; /* of the SA: an outbound reservation never passes it (I1c) */
};

/* What the SA's counters say now (esp_sa_read). */
struct esp_pace_now {
    uint64_t now_ms;
    uint64_t next_out;    /* number that the next packet would get */
    uint64_t packets_in;  /* accepted: the inbound rate (numbers may jump, packets do not) */
    uint64_t last_in;     /* highest accepted */
    uint64_t verified_in; /* highest verified, accepted or not */
};

enum esp_pace_kind { ESP_PACE_NOTHING, ESP_PACE_EXTEND, ESP_PACE_LOWER };

struct esp_pace_wish {
    enum esp_pace_kind kind;
    uint64_t reservation_end;   /* EXTEND; 0 = unchanged */
    uint64_t ceiling;           /* EXTEND (0 = unchanged), LOWER */
    uint64_t mark_in, mark_out; /* for esp_sa_set_marks; always set */
    uint64_t again_ms;          /* ask again then at the latest; UINT64_MAX = only on an event */
};

/* At a new grant. `last_number`: 2^32 - 1, or UINT64_MAX with ESN. */
void esp_pace_init(struct esp_pacer *p, const struct esp_pace_now *now, uint64_t reservation_end,
                   uint64_t ceiling, uint64_t last_number);

/* The SA follows another one, whose traffic it takes over: its rates are taken for its own until it
 * has some. After esp_pace_init(). */
void esp_pace_follow(struct esp_pacer *p, const struct esp_pacer *old);

/* What is due. While a commit or a lowering is under way: NOTHING. */
struct esp_pace_wish esp_pace_step(struct esp_pacer *p, const struct esp_pace_now *now);

/* Every worker has passed since the LOWER wish's ceiling was stored. The wish that follows is
 * EXTEND with the ceiling to commit: max(lowered, last accepted), so nothing accepted meanwhile
 * lies above it. */
struct esp_pace_wish esp_pace_passed(struct esp_pacer *p, const struct esp_pace_now *now);

/* The fate of the EXTEND wish. applied: the caller also stores the new limits in the SA. Refused,
 * or never submitted: committed_end and committed_ceiling are what the state says now, and the SA's
 * own ceiling stays as it is (after a shrink that is the lower one; a later LOWER wish lifts it).
 * Unknown fates are no fates: wait for the log. */
void esp_pace_done(struct esp_pacer *p, bool applied, uint64_t now_ms, uint64_t committed_end,
                   uint64_t committed_ceiling);

/* What the two bounds are at this rate: for tests and for the admin interface. */
uint64_t esp_pace_numbers(uint64_t per_second);
uint64_t esp_pace_headroom(uint64_t per_second);

#endif
