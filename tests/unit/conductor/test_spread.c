/* P6: SAs that were made together are not rekeyed together. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "conductor/crowd.h"
#include "ike/lifetime.h"
#include "world.h"

enum { SAS = 10000, SECOND_MS = 1000, WINDOW_MS = 60 * SECOND_MS, HOUR_MS = 3600 * SECOND_MS };
enum { DAY_WINDOWS = 24 * 60 };

static uint64_t rng = 0x9e3779b97f4a7c15u;

static uint64_t roll(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng * 0x2545f4914f6cdd1du;
}

/* The engine's own number: when an SA that starts now will be rekeyed. */
static uint64_t next_rekey(const struct ike_child_terms *terms, enum ike_begun begun,
                           struct crowd *crowd, uint64_t now, size_t n)
{
    struct ike_child c = {.begun = begun, .encr_id = 20};
    uint8_t entropy[8];
    struct ike_start start = {now, entropy, crowd_now(crowd, now, n, terms->life.hard_ms / 3 * 2)};

    put_be64(entropy, roll());
    ike_lifetime_start_child(terms, &c, &start);
    crowd_note(crowd, now);
    return c.soft_ms;
}

/* The same for IKE SAs; `judged` is the life by which a crowd is one. */
static uint64_t next_ike_rekey(const struct ike_policy *policy, enum ike_begun begun,
                               struct crowd *crowd, uint64_t judged, uint64_t now, size_t n)
{
    static struct ike_sa sa;
    uint8_t entropy[8];
    struct ike_start start = {now, entropy, crowd_now(crowd, now, n, judged / 3 * 2)};

    put_be64(entropy, roll());
    ike_lifetime_start_sa(policy, &sa, begun, &start);
    crowd_note(crowd, now);
    return sa.soft_ms;
}

/* The most rekeys of a window, and the mean from the first that has any. */
static void read_windows(const unsigned *windows, size_t n, uint64_t *most, uint64_t *mean)
{
    uint64_t total = 0;
    size_t first = n;

    *most = 0;
    for (size_t i = 0; i < n; i++) {
        if (windows[i] > 0 && first == n)
            first = i;
        *most = windows[i] > *most ? windows[i] : *most;
        total += windows[i];
    }
    *mean = total / (n - first);
}

/* All made within half a minute, then a day of rekeys: none of its minutes has more than twice the
 * mean. With `spread` off the same numbers show what that is good for. */
static void day_of(bool spread, enum ike_begun begun, uint64_t *most, uint64_t *mean)
{
    const struct ike_child_terms terms = {.life = {.hard_ms = 4 * HOUR_MS,
                                                   .rekey_at_percent = 70,
                                                   .rekey_at_responder_percent = 80,
                                                   .jitter_percent = 5},
                                          .spread = spread};
    static uint64_t due[SAS];
    static unsigned windows[DAY_WINDOWS];
    struct crowd crowd = {0};
    uint64_t made = 1000 * (uint64_t)HOUR_MS;

    memset(windows, 0, sizeof windows);
    for (size_t i = 0; i < SAS; i++)
        due[i] = next_rekey(&terms, begun, &crowd, made + i * 3, i);
    made += WINDOW_MS;
    /* In time's order: in steps of a second, which is how the crowd counts. */
    for (uint64_t now = made; now < made + (uint64_t)DAY_WINDOWS * WINDOW_MS; now += SECOND_MS)
        for (size_t i = 0; i < SAS; i++)
            if (due[i] < now + SECOND_MS) {
                windows[(now - made) / WINDOW_MS]++;
                due[i] = next_rekey(&terms, IKE_BY_US, &crowd, due[i] > now ? due[i] : now, SAS);
            }
    read_windows(windows, DAY_WINDOWS, most, mean);
}

Test(spread, no_minute_has_more_than_twice_the_mean)
{
    uint64_t most, mean, crowd, crowd_mean;

    for (int begun = 0; begun < 2; begun++) {
        day_of(true, begun == 0 ? IKE_BY_PEER : IKE_BY_US, &most, &mean);
        cr_assert_leq(most, 2 * mean, "%lu rekeys in one minute, %lu in the mean",
                      (unsigned long)most, (unsigned long)mean);
        printf("compared %d minutes of %d SAs: most %lu, mean %lu\n", DAY_WINDOWS, SAS,
               (unsigned long)most, (unsigned long)mean);
    }
    day_of(false, IKE_BY_US, &crowd, &crowd_mean);
    printf("without spread: most %lu, mean %lu\n", (unsigned long)crowd, (unsigned long)crowd_mean);
    cr_assert_gt(crowd, 5 * crowd_mean, "the jitter alone would do");
}

/* IKE SAs of a morning: 10,000 clients come within 100 minutes, which is no crowd for CHILD SAs of
 * four hours and one for IKE SAs of a day. */
static void days_of_ike(uint64_t judged, uint64_t *most, uint64_t *mean)
{
    enum { STEP_MS = 10 * SECOND_MS, COME_MS = 600, DAYS = 4, WINDOWS = DAYS * DAY_WINDOWS };
    const struct ike_policy policy = {.ike_life = {.hard_ms = 24ull * HOUR_MS,
                                                   .rekey_at_percent = 70,
                                                   .rekey_at_responder_percent = 80,
                                                   .jitter_percent = 5},
                                      .spread = true};
    static uint64_t due[SAS];
    static unsigned windows[WINDOWS];
    struct crowd crowd = {0};
    uint64_t made = 1000 * (uint64_t)HOUR_MS;

    memset(windows, 0, sizeof windows);
    for (size_t i = 0; i < SAS; i++)
        due[i] = next_ike_rekey(&policy, IKE_BY_PEER, &crowd, judged, made + i * COME_MS, i);
    made += (uint64_t)SAS * COME_MS;
    for (uint64_t now = made; now < made + (uint64_t)WINDOWS * WINDOW_MS; now += STEP_MS)
        for (size_t i = 0; i < SAS; i++)
            if (due[i] < now + STEP_MS) {
                windows[(now - made) / WINDOW_MS]++;
                due[i] = next_ike_rekey(&policy, IKE_BY_US, &crowd, judged,
                                        due[i] > now ? due[i] : now, SAS);
            }
    read_windows(windows, WINDOWS, most, mean);
}

/* Ten a minute in the mean: chance alone gives twice that now and then, so three times is the bound. */
Test(spread, ike_sas_of_a_morning)
{
    uint64_t most, mean;

    days_of_ike(24ull * HOUR_MS, &most, &mean);
    cr_assert_leq(most, 3 * mean, "%lu rekeys in one minute, %lu in the mean", (unsigned long)most,
                  (unsigned long)mean);
    printf("compared %d days of %d IKE SAs: most %lu, mean %lu\n", 4, SAS, (unsigned long)most,
           (unsigned long)mean);
    days_of_ike(4ull * HOUR_MS, &most, &mean);
    printf("judged by the life of CHILD SAs: most %lu, mean %lu\n", (unsigned long)most,
           (unsigned long)mean);
    cr_assert_gt(most, 4 * mean, "it would do to count CHILD SAs");
}

/* Within the jitter the density is even as well: a crowd of any size has no peak of its own. */
Test(spread, jitter_has_no_peak)
{
    const struct ike_lifetime life = {.hard_ms = 4 * HOUR_MS,
                                      .rekey_at_percent = 70,
                                      .rekey_at_responder_percent = 80,
                                      .jitter_percent = 5};
    static unsigned windows[16];
    unsigned most = 0, used = 0;

    for (size_t i = 0; i < SAS; i++) {
        uint8_t entropy[8];
        uint64_t soft;

        put_be64(entropy, roll());
        soft = ike_lifetime_soft_ms(&life, IKE_BY_US, &(struct ike_start){0, entropy, false});
        windows[(soft - life.hard_ms / 100 * 65) / WINDOW_MS]++;
    }
    for (size_t i = 0; i < 16; i++) {
        used += windows[i] > 0;
        most = windows[i] > most ? windows[i] : most;
    }
    cr_assert_geq(used, 12);
    cr_assert_leq(most, 2 * SAS / 12);
}

Test(spread, crowd_counts_a_minute)
{
    struct crowd k = {0};
    unsigned rows = 0;

    cr_assert_not(crowd_now(&k, 0, 0, 0));
    for (int i = 0; i <= CROWD_FEW; i++, rows++) {
        cr_assert_not(crowd_now(&k, 5000, 100, HOUR_MS), "%d", i);
        crowd_note(&k, 5000);
    }
    cr_assert(crowd_now(&k, 5000, 100, HOUR_MS));
    cr_assert(crowd_now(&k, 64999, 100, HOUR_MS));
    cr_assert_not(crowd_now(&k, 65000, 100, HOUR_MS), "a minute later it is forgotten");
    cr_assert_not(crowd_now(&k, 5000, 1200, HOUR_MS),
                  "33 a minute of 1,200 an hour are not twice even");
    crowd_note(&k, 60000);
    cr_assert(crowd_now(&k, 60000, 100, HOUR_MS));
    crowd_note(&k, 64000);
    crowd_note(&k, 65000);
    cr_assert_not(crowd_now(&k, 65000, 100, HOUR_MS), "the oldest second is gone");
    crowd_note(&k, 3); /* time never goes back: counted where it stands */
    cr_assert_not(crowd_now(&k, 3, 100, HOUR_MS));
    for (int i = 0; i < 100; i++, rows++)
        crowd_note(&k, UINT64_C(1) << 50);
    cr_assert(crowd_now(&k, UINT64_C(1) << 50, 100, HOUR_MS));
    printf("compared %u starts\n", rows);
}

static void spreading(struct ike_policy *gateway, struct ike_policy *client)
{
    gateway->spread = true;
    client->dpd_ms = gateway->dpd_ms = 0;
}

struct ages {
    unsigned early, usual, early_sas;
};

static void look(void *self, const struct conductor_sa_view *v)
{
    struct ages *a = self;
    const struct ike_child *c = &v->sa->children[0];

    if (v->sa->state != IKE_SA_ESTABLISHED || c->state != IKE_CHILD_INSTALLED)
        return;
    a->early_sas +=
        v->sa->soft_ms - v->sa->created_ms < (v->sa->hard_ms - v->sa->created_ms) / 100 * 74;
    if (c->soft_ms - c->created_ms < (c->hard_ms - c->created_ms) / 100 * 74)
        a->early++;
    else
        a->usual++;
}

/* The conductor tells the engine: of 60 clients that come at once the first are rekeyed as usual,
 * the others somewhere in their life. */
Test(spread, clients_that_come_together)
{
    struct world *w = world_create(spreading);
    struct ages a = {0};

    w->many = true;
    for (unsigned i = 0; i < 60; i++) {
        struct endpoint from = {addr_v4(0x0a4d0232 + i), 500}, to = {addr_v4(0x0a4d0164), 500};

        conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &to);
        world_run(w, 50);
        w->n_sent = 0;
    }
    conductor_each_sa(w->nodes[0].conductor, look, &a);
    cr_assert_eq(a.early + a.usual, 60);
    cr_assert(a.usual >= CROWD_FEW && a.usual <= CROWD_FEW + 8, "%u as usual", a.usual);
    cr_assert_geq(a.early, 20);
    cr_assert(a.early_sas >= 20 && a.early_sas <= 60 - CROWD_FEW, "%u IKE SAs", a.early_sas);
    printf("compared %u clients, %u of them early\n", a.early + a.usual, a.early);
    world_destroy(w);
}
