/* All runs of a trace, and the judge of each. */
#include "collide.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/tables.h"
#include "ike/child.h"
#include "ike/message.h"

enum { QUIET_MS = 300000, N_ORDERS = 24, KE_BYTES = 32 };

/* ---- quick suites: the real ciphers, key exchanges that cost nothing ---- */

static bool quick_generate(const struct suite_ke *row, const uint8_t *entropy,
                           struct secret *private_key, uint8_t *public_value)
{
    (void)row;
    secret_set(private_key, entropy, KE_BYTES);
    memcpy(public_value, entropy, KE_BYTES);
    return true;
}

/* Both ends see the same two values: their sum is a shared one. */
static bool quick_derive(const struct suite_ke *row, const struct secret *private_key,
                         struct span peer, struct secret_long *shared)
{
    uint8_t sum[KE_BYTES];

    (void)row;
    if (peer.len != KE_BYTES)
        return false;
    for (size_t i = 0; i < KE_BYTES; i++)
        sum[i] = private_key->bytes[i] ^ peer.data[i];
    secret_long_set(shared, sum, KE_BYTES);
    return true;
}

#define QUICK_KE(id)                                                                               \
    {                                                                                              \
        .transform_id = (id), .public_bytes = KE_BYTES, .secret_bytes = KE_BYTES,                  \
        .entropy_bytes = KE_BYTES, .shared_bytes = KE_BYTES, .name = "quick",                      \
        .generate = quick_generate, .derive = quick_derive                                         \
    }

static const struct suite_ke group_a = QUICK_KE(GROUP_A), group_b = QUICK_KE(GROUP_B);
static const struct suite_ke *const groups[] = {&group_a, &group_b};
static struct suite_table quick;

static void use_quick_suites(struct pair *p)
{
    quick = suite_default;
    quick.kes = groups;
    quick.n_kes = sizeof groups / sizeof groups[0];
    for (int w = CLIENT; w <= GATEWAY; w++) {
        struct ike_policy *policy = &p->side[w].policy;

        policy->suites = &quick;
        policy->ike[1] = policy->ike[0];
        policy->esp[1] = policy->esp[0];
        policy->n_ike = policy->n_esp = 2;
        policy->ike[0].ke_id = GROUP_A;
        policy->ike[1].ke_id = GROUP_B;
        policy->esp[0].ke_id = GROUP_A;
        policy->esp[1].ke_id = GROUP_B;
        policy->dpd_ms = 0;
        pair_sa(p, (enum pair_who)w, IKE_SA_ESTABLISHED)->ke_id = GROUP_A;
    }
}

/* ---- the judge ---- */

/* One run of one trace, for messages. */
struct run {
    const struct collision *c;
    struct trace t;
    char what[160];
};

#define JUDGE(r, holds, ...)                                                                       \
    do {                                                                                           \
        if (!(holds)) {                                                                            \
            fprintf(stderr, "%s: ", (r)->what);                                                    \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            cr_assert_fail("%s", (r)->what);                                                       \
        }                                                                                          \
    } while (0)

static const char *origin_name(enum origin o)
{
    static const char *const names[] = {"nobody", "old",    "client", "gateway",
                                        "winner", "either", "any"};

    return names[o];
}

/* The winner of the nonces, when that is who is meant; what was found, when either would do. */
static enum origin meant(const struct trace *t, enum origin o, enum origin found)
{
    if (o == ANYONES && found != NOBODY)
        return found;
    if (o == EITHERS && (found == CLIENTS || found == GATEWAYS))
        return found;
    if (o != WINNERS)
        return o;
    return t->winner == CLIENT ? CLIENTS : GATEWAYS;
}

static void judge_origins(struct run *r)
{
    struct trace *t = &r->t;
    const struct ike_sa *sa = pair_sa(t->p, GATEWAY, IKE_SA_ESTABLISHED);
    const struct ike_child *sends = pair_sender(t->p, GATEWAY);
    enum origin ike = sa == NULL                                               ? NOBODY
                      : ike_spi_i(sa) == t->spi_i && ike_spi_r(sa) == t->spi_r ? OLD
                      : sa->role == IKE_RESPONDER                              ? CLIENTS
                                                                               : GATEWAYS;
    enum origin child = sends == NULL                           ? NOBODY
                        : sends->spi_in == t->child_in[GATEWAY] ? OLD
                        : sends->begun == IKE_BY_PEER           ? CLIENTS
                                                                : GATEWAYS;

    JUDGE(r, ike == meant(t, r->c->ike, ike), "the IKE SA is the %s's, not the %s's",
          origin_name(ike), origin_name(meant(t, r->c->ike, ike)));
    JUDGE(r, child == meant(t, r->c->child, child), "the CHILD SA is the %s's, not the %s's",
          origin_name(child), origin_name(meant(t, r->c->child, child)));
}

/* Nothing is left half done at a side: windows free, nothing wanted, owed or waiting, no slot taken by
 * what has gone, no IKE SA but the one. */
static void judge_side(struct run *r, enum pair_who who)
{
    struct pair *p = r->t.p;
    const struct ike_sa *sa = pair_sa(p, who, IKE_SA_ESTABLISHED);
    size_t sas = 0;

    for (int s = IKE_SA_HALF_OPEN; s <= IKE_SA_ENDED; s++)
        sas += pair_count_sas(p, who, (enum ike_sa_state)s);
    JUDGE(r, sas == (r->c->ike == NOBODY ? 0u : 1u), "%zu IKE SAs at %d", sas, who);
    JUDGE(r, pair_count_children(p, who) == r->c->children, "%zu CHILD SAs at %d, not %zu",
          pair_count_children(p, who), who, r->c->children);
    if (sa == NULL)
        return;
    JUDGE(r,
          sa->pending.exchange == IKE_EX_NONE && sa->wanted == 0 && sa->wanted_child_spi_in == 0 &&
              sa->n_owed_deletes == 0 && sa->candidate.local_spi == 0,
          "something is left to do at %d: pending %s, wanted %x, owed %d", who,
          ike_exchange_name(sa->pending.exchange), sa->wanted, sa->n_owed_deletes);
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        JUDGE(r,
              sa->children[i].state == IKE_CHILD_NONE ||
                  sa->children[i].state == IKE_CHILD_INSTALLED,
              "a CHILD SA is still %s at %d", ike_child_state_name(sa->children[i].state), who);
}

/* Nothing left but what the exchanges need, and nothing twice. */
static void judge_messages(struct run *r)
{
    const struct pair *p = r->t.p;
    size_t repeats = 0, want = r->c->messages;

    for (size_t i = 0; i < p->n_sent; i++)
        repeats += p->sent[i].times - 1;
    if (r->c->if_client_wins != 0 && r->t.winner == CLIENT)
        want = r->c->if_client_wins;
    JUDGE(r, p->n_sent == want, "%zu messages left, not %zu", p->n_sent, want);
    JUDGE(r, repeats == r->c->repeats, "%zu copies left, not %zu", repeats, r->c->repeats);
}

static void judge(struct run *r)
{
    struct pair *p = r->t.p;
    const struct ike_child *c = pair_sender(p, CLIENT), *g = pair_sender(p, GATEWAY);

    for (int w = CLIENT; w <= GATEWAY; w++)
        judge_side(r, (enum pair_who)w);
    if (r->c->ike != NOBODY) {
        const char *wrong = pair_disagreement(p);

        JUDGE(r, wrong == NULL, "%s", wrong);
        JUDGE(r, (c == NULL) == (g == NULL), "only one end sends");
        if (c != NULL && r->c->children == 1)
            JUDGE(r, c->spi_in == g->spi_out && c->spi_out == g->spi_in,
                  "the ends send on different CHILD SAs");
    }
    judge_origins(r);
    if (!r->t.killed)
        judge_messages(r);
    JUDGE(r, p->n_flying == 0, "%zu messages still fly", p->n_flying);
}

/* ---- what holds between all steps ---- */

static const struct collision *judged;

/* How many IKE SAs of a side have a CHILD SA with this inbound SPI. */
static size_t receivers(const struct pair *p, enum pair_who who, uint32_t spi_in)
{
    size_t n = 0;

    for (size_t i = 0; i < PAIR_MAX_SAS; i++)
        n += p->side[who].sas[i].state != IKE_SA_NONE &&
             ike_child_peek(&p->side[who].sas[i], spi_in) != NULL;
    return n;
}

/* CHILD SAs and the address are in one IKE SA, never in two or none; what one end sends by, the other
 * receives by: a rekey loses no packet (RFC 7296 2.8). */
static const char *always(struct pair *p)
{
    for (int w = CLIENT; w <= GATEWAY; w++) {
        size_t senders = 0, addresses = 0;

        for (size_t i = 0; i < PAIR_MAX_SAS; i++) {
            const struct ike_sa *sa = &p->side[w].sas[i];

            if (sa->state == IKE_SA_NONE)
                continue;
            addresses += sa->virtual_ip[SLOT_V4].family != ADDR_NONE;
            for (size_t j = 0; j < IKE_MAX_CHILDREN; j++) {
                const struct ike_child *c = &sa->children[j];

                if (c->state == IKE_CHILD_NONE)
                    continue;
                if (receivers(p, (enum pair_who)w, c->spi_in) != 1)
                    return "a CHILD SA is in two IKE SAs";
                senders += c->outbound;
                if (c->outbound && !judged->may_lose &&
                    receivers(p, collide_other((enum pair_who)w), c->spi_out) != 1)
                    return "an end sends where the other does not receive";
            }
        }
        if (addresses > 1 || (addresses == 0 && judged->ike != NOBODY))
            return "the address is not in one IKE SA";
        if (senders == 0 && !judged->may_lose)
            return "an end has nothing to send by";
    }
    return NULL;
}

/* ---- all runs of a trace ---- */

static struct order order_of(size_t n)
{
    uint8_t octets[4] = {1, 2, 3, 4}, out[4];
    size_t left = 4;

    for (size_t i = 0, f = 6; i < 4; i++) {
        size_t pick = n / f;

        out[i] = octets[pick];
        memmove(&octets[pick], &octets[pick + 1], left - pick - 1);
        left--;
        n %= f;
        f = i < 2 ? f / (3 - i) : 1;
    }
    return (struct order){out[0], out[1], out[2], out[3]};
}

static uint8_t lower(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

static void start(struct run *r, const struct collision *c, size_t order)
{
    struct trace *t = &r->t;

    *r = (struct run){.c = c, .t = {.p = pair_new(1000 + order), .order = order_of(order)}};
    t->winner = lower(t->order.c_ask, t->order.g_answer) < lower(t->order.g_ask, t->order.c_answer)
                    ? GATEWAY
                    : CLIENT;
    use_quick_suites(t->p);
    for (int w = CLIENT; w <= GATEWAY; w++) {
        struct pair_side *s = &t->p->side[w];

        s->choose_nonces = true;
        s->ask_first = w == CLIENT ? t->order.c_ask : t->order.g_ask;
        s->answer_first = w == CLIENT ? t->order.c_answer : t->order.g_answer;
        t->p->held[w] = true;
        t->child_in[w] = pair_sender(t->p, (enum pair_who)w)->spi_in;
    }
    collide_count_from_here(t);
    if (c->prepare != NULL)
        c->prepare(t);
}

/* Names the run, as a failure does: HOLDFAST_COLLISION='that name' runs only it, for a debugger. */
static bool chosen(struct run *r, const char *mode, size_t at)
{
    const struct order *o = &r->t.order;
    const char *only = getenv("HOLDFAST_COLLISION");

    snprintf(r->what, sizeof r->what, "%s, nonces %d%d%d%d, %s %zu", r->c->name, o->c_ask,
             o->g_answer, o->g_ask, o->c_answer, mode, at);
    return only == NULL || strcmp(only, r->what) == 0;
}

/* The trace, then everything that is late, then quiet. Returns how many replicated steps it took. */
static size_t run_one(struct run *r, const char *mode, size_t at)
{
    struct pair *p = r->t.p;
    size_t steps;

    judged = r->c;
    if (chosen(r, mode, at)) {
        p->always = always;
        r->c->script(&r->t);
        p->held[CLIENT] = p->held[GATEWAY] = false;
        pair_run(p);
        pair_pass(p, QUIET_MS);
        judge(r);
    }
    steps = p->n_steps;
    pair_free(p);
    return steps;
}

static size_t run_deaths(const struct collision *c, size_t order, size_t steps)
{
    static const char *const points[] = {"not committed at step", "committed at step",
                                         "sent at step"};
    struct run r;

    for (size_t at = 0; at < steps; at++)
        for (int point = PAIR_STEPPED; point <= PAIR_SENT; point++) {
            start(&r, c, order);
            r.t.killed = true;
            r.t.p->kill =
                (struct pair_kill){.planned = true, .at = at, .point = (enum pair_point)point};
            (void)run_one(&r, points[point], at);
        }
    return 3 * steps;
}

void collision_run(const struct collision *c)
{
    size_t orders = c->by_nonces ? N_ORDERS : 1, deaths = 0, steps;
    struct run r;

    for (size_t o = 0; o < orders; o++) {
        start(&r, c, o);
        steps = run_one(&r, "nobody dies", 0);
        deaths += run_deaths(c, o, steps);
        start(&r, c, o);
        r.t.p->takeover_always = r.t.killed = true;
        (void)run_one(&r, "both ends taken over after each step", 0);
    }
    printf("%s: compared %zu runs: %zu orders, %zu deaths, %zu taken over at each step\n", c->name,
           2 * orders + deaths, orders, deaths, orders);
}
