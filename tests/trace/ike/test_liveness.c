/* P15 over a link that loses three packets of ten: a peer whose ESP arrives is never taken for
 * dead; an idle one no more often than the schedule of retransmissions alone makes inevitable. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "ike/timer.h"
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

/* Both ends have rekeyed the IKE SA at once, and of what the gateway sends nothing more arrives until it
 * has given up: the client waits for an answer on an SA that only it still has. ESP goes both ways. */
static struct pair *apart(uint8_t clients_nonce, uint8_t gateways_nonce)
{
    struct pair *p = pair_new(7);

    p->side[CLIENT].policy.dpd_ms = p->side[GATEWAY].policy.dpd_ms = 0;
    p->side[CLIENT].choose_nonces = p->side[GATEWAY].choose_nonces = true;
    p->side[CLIENT].ask_first = clients_nonce;
    p->side[CLIENT].answer_first = 0xc0;
    p->side[GATEWAY].ask_first = 0x40;
    p->side[GATEWAY].answer_first = gateways_nonce;
    p->held[CLIENT] = p->held[GATEWAY] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_IKE);
    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_IKE);
    cr_assert(pair_deliver(p, GATEWAY) && pair_deliver(p, CLIENT)); /* the requests */
    cr_assert(pair_lose(p, GATEWAY) && pair_deliver(p, CLIENT));    /* the answers */
    return p;
}

/* A second passes in which what the client hears of ESP verifies, and maybe its node dies. */
static void second_with_esp(struct pair *p, bool gateway_is_heard, bool node_dies)
{
    for (int w = CLIENT; w <= GATEWAY; w++) {
        struct ike_sa *sa = pair_sa(p, (enum pair_who)w, IKE_SA_ESTABLISHED);

        if (sa != NULL)
            sa->local_part.last_inbound_ms = p->now_ms;
    }
    if (node_dies)
        pair_takeover(p, CLIENT);
    pair_pass(p, 1000);
    while (pair_flying_from(p, CLIENT) > 0)
        cr_assert(pair_deliver(p, CLIENT));
    while (!gateway_is_heard && pair_flying_from(p, GATEWAY) > 0)
        cr_assert(pair_lose(p, GATEWAY));
}

/* RFC 7296 2.4: ESP puts a liveness check off, it does not answer a request. With and without deaths
 * of the node that asks: who goes on goes on counting. */
Test(liveness, esp_does_not_keep_an_unanswered_request_for_ever)
{
    static const unsigned often[] = {0, 60, 100}; /* s between two deaths; 0 = none */
    unsigned ends = 0;

    for (unsigned i = 0; i < 3; i++, ends++) {
        struct pair *p = apart(0x80, 0x20); /* the client's loses, and it cannot know */
        uint64_t began = p->now_ms, total = ike_retransmit_total_ms(&p->side[CLIENT].policy);
        unsigned every = often[i], s = 0;

        while (pair_sa(p, CLIENT, IKE_SA_ESTABLISHED) != NULL) {
            cr_assert_leq(p->now_ms, began + IKE_UNANSWERED_MS + 2 * total, "it asks for ever");
            second_with_esp(p, s > 150, every > 0 && s % every == every - 1);
            s++;
        }
        cr_assert_geq(p->now_ms, began + IKE_UNANSWERED_MS, "after %u s", s);
        cr_assert_eq(pair_count_reason(p, CLIENT, IKE_REASON_PEER_DEAD), 1);
        pair_free(p);
    }
    printf("compared %u requests that nobody answers\n", ends);
}

/* The client's nonce alone is below the gateway's exchange: whatever the answer would say, the SA that
 * the gateway made stands. Nothing that the gateway sends arrives for the whole schedule. */
Test(liveness, a_rekey_that_has_lost_gives_way_when_nobody_answers_it)
{
    static const unsigned often[] = {0, 60, 100};
    unsigned went_on = 0;

    for (unsigned i = 0; i < 3; i++, went_on++) {
        struct pair *p = apart(0x10, 0x20);
        uint64_t spi = pair_sa(p, CLIENT, IKE_SA_ESTABLISHED)->local_spi;
        unsigned every = often[i];
        struct ike_sa *ours, *theirs;

        for (unsigned s = 0; s < 600; s++) {
            second_with_esp(p, s > 150, every > 0 && s % every == every - 1);
            cr_assert_not_null(pair_sa(p, CLIENT, IKE_SA_ESTABLISHED), "dead after %u s", s);
        }
        p->held[CLIENT] = p->held[GATEWAY] = false;
        ours = pair_sa(p, CLIENT, IKE_SA_ESTABLISHED);
        theirs = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
        cr_assert_neq(ours->local_spi, spi, "still the old one");
        cr_assert(theirs != NULL && theirs->local_spi == ours->remote_spi &&
                  theirs->remote_spi == ours->local_spi);
        cr_assert_eq(ours->children[0].state, IKE_CHILD_INSTALLED);
        cr_assert_eq(ours->children[0].spi_in, theirs->children[0].spi_out);
        cr_assert_eq(pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD), IKE_STEPPED);
        pair_pass(p, 1000);
        cr_assert_eq(pair_count_reason(p, CLIENT, IKE_REASON_PEER_DEAD), 0);
        cr_assert(pair_sa(p, CLIENT, IKE_SA_ESTABLISHED)->pending.exchange == IKE_EX_NONE,
                  "no answer on the new one");
        pair_free(p);
    }
    printf("compared %u rekeys that had lost\n", went_on);
}

/* The same, but of the gateway nothing is heard at all. */
Test(liveness, a_rekey_that_has_lost_keeps_no_dead_peer)
{
    struct pair *p = apart(0x10, 0x20);
    uint64_t began = p->now_ms, total = ike_retransmit_total_ms(&p->side[CLIENT].policy);

    while (pair_sa(p, CLIENT, IKE_SA_ESTABLISHED) != NULL) {
        cr_assert_leq(p->now_ms, began + 2 * total, "it asks for ever");
        pair_pass(p, 1000);
        while (pair_lose(p, CLIENT) || pair_lose(p, GATEWAY)) {
        }
    }
    cr_assert_eq(pair_count_reason(p, CLIENT, IKE_REASON_PEER_DEAD), 1);
    pair_free(p);
}
