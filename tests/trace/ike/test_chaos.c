/* Seeded storms: both sides do everything at any time over a link that loses, repeats and reorders,
 * nodes die; then quiet. Every step is checked by the harness; in the end both ends must agree, and
 * nothing may be left half done. RFC 7296 2.25 as a property. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "ike_pair/pair.h"

enum { EVENTS = 60, QUIET_MS = 400000 };

/* HOLDFAST_STORMS=N: more of them than a test run has time for. HOLDFAST_STORM=SEED: only that one.
 */
static uint64_t storms(void)
{
    const char *n = getenv("HOLDFAST_STORMS");

    return n == NULL ? 150 : strtoull(n, NULL, 10);
}

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void one_event(struct pair *p, uint64_t *s, bool may_delete)
{
    static const uint32_t wants[] = {
        IKE_WANT_REKEY_IKE,         IKE_WANT_REKEY_CHILD, IKE_WANT_REKEY_CHILD_PFS,
        IKE_WANT_REKEY_CHILD_NOPFS, IKE_WANT_DPD,         IKE_WANT_REKEY_CHILD,
        IKE_WANT_REKEY_IKE,         IKE_WANT_CHILD,       IKE_WANT_DELETE_CHILD};
    enum pair_who who = next(s) % 2 == 0 ? CLIENT : GATEWAY;
    const struct ike_child *c = pair_sender(p, who);
    uint32_t want = wants[next(s) % (may_delete ? 9 : 7)];

    if (pair_sa(p, who, IKE_SA_ESTABLISHED) == NULL)
        return;
    switch (next(s) % 8) {
    case 0:
        pair_takeover(p, who);
        break;
    case 1:
        if (c != NULL)
            (void)pair_esp(p, who, IKE_EV_CHILD_SOFT, c->spi_in);
        break;
    case 2:
        c = pair_sender(p, who == CLIENT ? GATEWAY : CLIENT); /* only what the other end sends on */
        if (c != NULL && pair_child(p, who, c->spi_out) != NULL)
            (void)pair_esp(p, who, IKE_EV_CHILD_INBOUND, c->spi_out);
        break;
    default:
        (void)pair_command(p, who, want);
        break;
    }
}

static void storm(uint64_t seed, bool may_delete)
{
    const char *only = getenv("HOLDFAST_STORM");
    struct pair *p = only == NULL || strtoull(only, NULL, 10) == seed ? pair_new(seed) : NULL;
    uint64_t s = seed * 77 + 5;
    const char *wrong;

    if (p == NULL)
        return;
    p->loss_percent = (uint32_t)(seed % 4) * 10;
    for (int w = CLIENT; w <= GATEWAY;
         w++) { /* patient enough that nobody is rightly taken for dead */
        p->side[w].policy.retransmit_factor_milli = 1200;
        p->side[w].policy.retransmit_tries = 18;
    }
    p->duplicate_percent = 10;
    p->jitter_ms = seed % 2 == 0 ? 5 : 3000;
    p->takeover_always = seed % 5 == 0;
    for (int i = 0; i < EVENTS; i++) {
        one_event(p, &s, may_delete);
        pair_pass(p, next(&s) % 4 == 0 ? next(&s) % 8000 : next(&s) % 40);
    }
    p->loss_percent = p->duplicate_percent = p->jitter_ms = 0;
    p->takeover_always = false;
    pair_pass(p, QUIET_MS);
    wrong = pair_disagreement(p);
    cr_assert_null(wrong, "seed %llu: %s", (unsigned long long)seed, wrong);
    if (!may_delete) {
        cr_assert_eq(pair_count_children(p, CLIENT), 1, "seed %llu", (unsigned long long)seed);
        cr_assert_not_null(pair_sender(p, GATEWAY));
    }
    for (int w = CLIENT; w <= GATEWAY; w++) {
        struct ike_sa *sa = pair_sa(p, (enum pair_who)w, IKE_SA_ESTABLISHED);

        cr_assert_eq(pair_count_sas(p, (enum pair_who)w, IKE_SA_REKEYED), 0);
        cr_assert_eq(pair_count_sas(p, (enum pair_who)w, IKE_SA_DELETING), 0);
        cr_assert_eq(sa->wanted, 0);
        for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
            cr_assert(sa->children[i].state == IKE_CHILD_NONE ||
                      sa->children[i].state == IKE_CHILD_INSTALLED);
    }
    pair_free(p);
}

Test(chaos, storms_of_rekeys_end_in_agreement, .timeout = 3000)
{
    for (uint64_t seed = 1; seed <= storms(); seed++)
        storm(seed, false);
}

Test(chaos, storms_with_deletes_end_in_agreement, .timeout = 3000)
{
    for (uint64_t seed = 1000001; seed <= 1000000 + storms(); seed++)
        storm(seed, true);
}
