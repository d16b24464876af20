/* Every algorithm through every kind of exchange, the state encoded and decoded at each step: from
 * nothing to a tunnel, then rekeys of the CHILD SA with and without KE and of the IKE SA by both
 * ends. And what several groups are for: INVALID_KE_PAYLOAD in IKE_SA_INIT and CREATE_CHILD_SA. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/bytes.h"
#include "ike_pair/pair.h"

enum { ECP_384 = 20, MODP_2048 = 14, MODP_1024 = 2, X25519 = 31 };

static void agree(struct pair *p, const char *what)
{
    const char *wrong = pair_disagreement(p);

    cr_assert_null(wrong, "%s: %s", what, wrong);
}

/* Both ends know only these: the rows of each, IKE then ESP. */
static void speak(struct pair *p, const struct ike_proposal_row *ike, size_t n_ike,
                  const struct ike_proposal_row *esp, size_t n_esp)
{
    for (int who = CLIENT; who <= GATEWAY; who++) {
        struct ike_policy *policy = &p->side[who].policy;

        memcpy(policy->ike, ike, n_ike * sizeof *ike);
        memcpy(policy->esp, esp, n_esp * sizeof *esp);
        policy->n_ike = (uint16_t)n_ike;
        policy->n_esp = (uint16_t)n_esp;
    }
}

static bool same_row(const struct ike_proposal_row *want, uint16_t encr, uint16_t bits,
                     uint16_t integ)
{
    return want->encr_id == encr && want->encr_bits == bits && want->integ_id == integ;
}

static void all_exchanges(const struct ike_proposal_row *ike, const struct ike_proposal_row *esp)
{
    static const uint32_t wants[] = {IKE_WANT_REKEY_CHILD_NOPFS, IKE_WANT_REKEY_CHILD_PFS,
                                     IKE_WANT_REKEY_IKE, IKE_WANT_DPD};
    struct pair *p = pair_new_unconnected(3);
    char what[64];

    (void)snprintf(what, sizeof what, "IKE %u/%u/%u/%u/%u, ESP %u/%u", ike->encr_id, ike->encr_bits,
                   ike->integ_id, ike->prf_id, ike->ke_id, esp->encr_id, esp->integ_id);
    speak(p, ike, 1, esp, 1);
    p->takeover_always = true;
    pair_connect(p);
    agree(p, what);
    for (int who = CLIENT; who <= GATEWAY; who++)
        for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
            const struct ike_child *c;
            const struct ike_sa *sa;

            cr_assert_eq(pair_command(p, (enum pair_who)who, wants[i]), IKE_STEPPED, "%s", what);
            pair_run(p);
            agree(p, what);
            c = pair_sender(p, GATEWAY);
            sa = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
            cr_assert(same_row(esp, c->encr_id, c->encr_bits, c->integ_id), "%s", what);
            cr_assert(same_row(ike, sa->encr_id, sa->encr_bits, sa->integ_id), "%s", what);
            cr_assert(sa->prf_id == ike->prf_id && sa->ke_id == ike->ke_id && c->esn == esp->esn);
            cr_assert_eq(c->ke_id, wants[i] == IKE_WANT_REKEY_CHILD_NOPFS ? 0 : ike->ke_id, "%s",
                         what);
        }
    cr_assert_eq(pair_command(p, CLIENT, IKE_WANT_DELETE_IKE), IKE_STEPPED);
    pair_run(p);
    cr_assert_eq(pair_count_children(p, GATEWAY), 0);
    pair_free(p);
}

Test(suites, every_cipher_prf_and_group_through_every_exchange)
{
    static const uint16_t prfs[] = {5, 6, 7, 2};
    const struct suite_table *t;
    struct pair *probe = pair_new(1);
    size_t compared = 0;

    t = probe->side[CLIENT].policy.suites;
    for (size_t i = 0; i < t->n_aeads; i++, compared++) {
        const struct suite_aead *a = t->aeads[i];
        const struct ike_proposal_row ike = {.encr_id = a->transform_id,
                                             .encr_bits = a->key_bits,
                                             .integ_id = a->integ_id,
                                             .prf_id = prfs[i % 4],
                                             .ke_id = t->kes[i % t->n_kes]->transform_id};
        struct ike_proposal_row esp = ike;

        esp.prf_id = esp.ke_id = 0;
        esp.esn = i % 2 == 0;
        all_exchanges(&ike, &esp);
    }
    for (size_t k = 0; k < t->n_kes; k++)
        cr_assert_gt(t->n_aeads, k, "each group had its turn");
    pair_free(probe);
    fprintf(stderr, "compared %zu suites\n", compared);
}

static const struct ike_proposal_row gcm = {.encr_id = 20, .encr_bits = 256, .prf_id = 5};

/* A row with this group. */
static struct ike_proposal_row with(uint16_t ke_id)
{
    struct ike_proposal_row row = gcm;

    row.ke_id = ke_id;
    return row;
}

/* The gateway's order decides; the client sent a KE of its own favourite: asked again with the
 * group that was named (RFC 7296 1.2). */
Test(suites, invalid_ke_in_ike_sa_init_names_the_group_of_our_order)
{
    static const uint16_t first[] = {MODP_2048, ECP_384};

    for (size_t i = 0; i < 2; i++) {
        struct pair *p = pair_new_unconnected(5);
        const struct ike_proposal_row rows[] = {with(X25519), with(first[i])},
                                      esp = {.encr_id = 20, .encr_bits = 256};

        speak(p, rows, 2, &esp, 1);
        p->side[CLIENT].policy.ike[0] = with(first[i]);
        p->side[CLIENT].policy.ike[1] = with(X25519);
        pair_connect(p);
        agree(p, "connected");
        cr_assert_geq(pair_count_reason(p, GATEWAY, IKE_REASON_INVALID_KE), 1);
        cr_assert_eq(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->ke_id, X25519);
        pair_free(p);
    }
}

/* In CREATE_CHILD_SA: the client's PFS group is none of the gateway's; then the one that it named. */
Test(suites, invalid_ke_in_create_child_sa_with_real_groups)
{
    struct pair *p = pair_new_unconnected(6);
    struct ike_policy *client = &p->side[CLIENT].policy, *gateway = &p->side[GATEWAY].policy;
    const struct ike_proposal_row ike[] = {with(X25519), with(ECP_384)};
    struct ike_proposal_row esp[3] = {with(MODP_2048), with(ECP_384), with(0)};

    for (size_t i = 0; i < 3; i++)
        esp[i].prf_id = 0;
    speak(p, ike, 2, esp, 3);
    gateway->esp[0].ke_id = ECP_384; /* the gateway: 384 or the IKE SA's; the client: 2048 first */
    gateway->esp[1].ke_id = X25519;
    pair_connect(p);
    agree(p, "connected");
    cr_assert_eq(pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD_PFS), IKE_STEPPED);
    pair_run(p);
    /* our offer names only the KE's group, so the gateway knows no better than NO_PROPOSAL_CHOSEN */
    cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_INVALID_KE) +
                     pair_count_reason(p, GATEWAY, IKE_REASON_NO_PROPOSAL),
                 1);
    client->esp[0].ke_id = ECP_384;
    pair_pass(p, 20000);
    agree(p, "rekeyed");
    cr_assert_eq(pair_sender(p, GATEWAY)->ke_id, ECP_384);
    pair_free(p);
}

/* What a peer may send for a value: each is refused before anything is derived from it. */
Test(suites, a_bad_public_value_makes_no_sa)
{
    static const struct {
        uint16_t group;
        uint8_t fill, last;
    } bad[] = {{X25519, 0, 0},    {ECP_384, 0, 0},   {ECP_384, 0xff, 0xff},
               {MODP_2048, 0, 0}, {MODP_2048, 0, 1}, {MODP_2048, 0xff, 0xff}};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct pair *p = pair_new_unconnected(7);
        const struct ike_proposal_row ike = with(bad[i].group),
                                      esp = {.encr_id = 20, .encr_bits = 256};
        struct pair_flying *f;
        size_t at, len;

        speak(p, &ike, 1, &esp, 1);
        p->held[CLIENT] = true;
        pair_connect(p);
        cr_assert_eq(p->n_flying, 1);
        f = &p->flying[0];
        /* header 28, SA payload, then KE: generic header 4, group 2, reserved 2, value */
        at = 28 + get_be16(f->bytes + 30);
        len = get_be16(f->bytes + at + 2);
        cr_assert_eq(get_be16(f->bytes + at + 4), bad[i].group);
        memset(f->bytes + at + 8, bad[i].fill, len - 8);
        f->bytes[at + len - 1] = bad[i].last;
        cr_assert(pair_deliver(p, CLIENT));
        cr_assert_eq(pair_count_sas(p, GATEWAY, IKE_SA_HALF_OPEN), 0, "value %zu", i);
        cr_assert_geq(pair_count_reason(p, GATEWAY, IKE_REASON_MALFORMED), 1, "value %zu", i);
        pair_free(p);
    }
}
