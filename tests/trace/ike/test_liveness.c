/* P15 over a link that loses three packets of ten: a peer whose ESP arrives is never taken for
 * dead; an idle one no more often than the schedule of retransmissions alone makes inevitable. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "ike_pair/pair.h"

enum { LOSS = 30, PAIRS = 24, DPD_MS = 10000 };

static struct pair *lossy(uint64_t seed)
{
    struct pair *p = pair_new(seed);

    p->loss_percent = LOSS;
    p->side[CLIENT].policy.dpd_ms = 0;
    p->side[GATEWAY].policy.dpd_ms = DPD_MS;
    for (int w = CLIENT; w <= GATEWAY; w++)
        p->side[w].policy.ike_life.hard_ms = p->side[w].policy.child_life.hard_ms = 0;
    return p;
}

static unsigned asked(const struct pair *p)
{
    unsigned n = 0;

    for (size_t i = 0; i < p->n_said; i++)
        n += p->said[i].who == GATEWAY && p->said[i].exchange == IKE_EX_DPD &&
             p->said[i].begun == IKE_BY_US && p->said[i].event == IKE_EV_TIMER &&
             p->said[i].outcome == IKE_STEPPED;
    return n;
}

/* Each exchange fails when none of its six tries comes back: (1 - 0.7 * 0.7)^6. */
Test(liveness, an_idle_peer_dies_no_more_often_than_the_schedule_says)
{
    double each = pow(1 - 0.7 * 0.7, 6), expected;
    unsigned exchanges = 0, deaths = 0;

    for (uint64_t seed = 1; seed <= PAIRS; seed++) {
        struct pair *p = lossy(seed);

        for (int i = 0; i < 30 && pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED) != NULL; i++)
            pair_pass(p, 60000);
        exchanges += asked(p);
        deaths += pair_count_reason(p, GATEWAY, IKE_REASON_PEER_DEAD) > 0;
        pair_free(p);
    }
    expected = exchanges * each;
    cr_assert_gt(exchanges, 500);
    cr_assert_leq(deaths, expected + 4 * sqrt(expected), "%u deaths in %u exchanges, %.1f expected",
                  deaths, exchanges, expected);
    cr_assert_gt(deaths, 0, "nothing is lost here");
    printf("compared %u exchanges over a bad link: %u deaths, %.1f expected\n", exchanges, deaths,
           expected);
}

Test(liveness, a_peer_whose_esp_arrives_never_dies)
{
    unsigned rekeys = 0, exchanges = 0;

    for (uint64_t seed = 1; seed <= PAIRS; seed++) {
        struct pair *p = lossy(seed);

        for (unsigned s = 0; s < 600; s++) {
            struct ike_sa *sa = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);

            cr_assert_not_null(sa, "seed %lu: dead after %u s", (unsigned long)seed, s);
            if (s % 30 == 0) {
                rekeys += pair_command(p, GATEWAY,
                                       s % 60 == 0 ? IKE_WANT_REKEY_CHILD : IKE_WANT_REKEY_IKE) ==
                          IKE_STEPPED;
                sa = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
            }
            if (sa != NULL)
                sa->local_part.last_inbound_ms = p->now_ms;
            pair_pass(p, 1000);
        }
        cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_PEER_DEAD), 0, "seed %lu",
                     (unsigned long)seed);
        exchanges += asked(p);
        pair_free(p);
    }
    cr_assert_gt(rekeys, 200);
    cr_assert_eq(exchanges, 0, "asked for life while it was there");
    printf("compared %u rekeys over a bad link with traffic, 0 deaths\n", rekeys);
}
