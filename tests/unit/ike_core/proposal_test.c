/* Offers, choices and answers (RFC 7296 3.3). */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "ike/proposal.h"

#include "harness.h"

static const uint8_t SPI4[4] = {1, 2, 3, 4}, SPI8[8] = {9, 8, 7, 6, 5, 4, 3, 2};

/* A proposal in one line: protocol, SPI bytes, then (type, id, bits) triples until type 0. */
static void add(struct wire_sa *sa, uint8_t number, uint8_t protocol, size_t spi_bytes,
                const uint16_t (*t)[3])
{
    wire_sa_add_proposal(sa, number, protocol, span_of(spi_bytes == 4 ? SPI4 : SPI8, spi_bytes));
    for (; (*t)[0] != 0; t++)
        wire_sa_add_transform(sa, (uint8_t)(*t)[0], (*t)[1], (*t)[2]);
}

#define T(...)                                                                                     \
    (const uint16_t[][3])                                                                          \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            0, 0, 0                                                                                \
        }                                                                                          \
    }
#define GCM256                                                                                     \
    {                                                                                              \
        WIRE_TR_ENCR, 20, 256                                                                      \
    }
#define GCM128                                                                                     \
    {                                                                                              \
        WIRE_TR_ENCR, 20, 128                                                                      \
    }
#define CBC256                                                                                     \
    {                                                                                              \
        WIRE_TR_ENCR, 12, 256                                                                      \
    }
#define PRF256                                                                                     \
    {                                                                                              \
        WIRE_TR_PRF, 5, 0                                                                          \
    }
#define X25519                                                                                     \
    {                                                                                              \
        WIRE_TR_KE, 31, 0                                                                          \
    }
#define OTHER                                                                                      \
    {                                                                                              \
        WIRE_TR_KE, OTHER_GROUP, 0                                                                 \
    }
#define KE_NONE                                                                                    \
    {                                                                                              \
        WIRE_TR_KE, 0, 0                                                                           \
    }
#define INTEG_NONE                                                                                 \
    {                                                                                              \
        WIRE_TR_INTEG, 0, 0                                                                        \
    }
#define INTEG_SHA                                                                                  \
    {                                                                                              \
        WIRE_TR_INTEG, 12, 0                                                                       \
    }
#define NO_ESN                                                                                     \
    {                                                                                              \
        WIRE_TR_ESN, 0, 0                                                                          \
    }
#define ESN                                                                                        \
    {                                                                                              \
        WIRE_TR_ESN, 1, 0                                                                          \
    }

Test(proposal, ike_choices)
{
    struct lab *l = lab_new();
    const struct {
        const uint16_t (*t)[3];
        size_t spi_bytes;
        uint8_t protocol;
        uint16_t bits; /* 0 = none chosen */
    } table[] = {
        {T(GCM256, PRF256, X25519), 0, WIRE_PROTO_IKE, 256},
        {T(GCM128, GCM256, PRF256, X25519), 0, WIRE_PROTO_IKE, 256}, /* our order decides */
        {T(GCM128, PRF256, OTHER, X25519), 0, WIRE_PROTO_IKE, 128},
        {T(GCM256, PRF256, X25519, INTEG_NONE), 0, WIRE_PROTO_IKE, 256},
        {T(GCM256, PRF256, X25519, INTEG_SHA), 0, WIRE_PROTO_IKE, 0},
        {T(CBC256, PRF256, X25519, INTEG_SHA), 0, WIRE_PROTO_IKE, 0},
        {T(GCM256, X25519), 0, WIRE_PROTO_IKE, 0},
        {T(GCM256, PRF256), 0, WIRE_PROTO_IKE, 0},
        {T(PRF256, X25519), 0, WIRE_PROTO_IKE, 0},
        {T(GCM256, PRF256, OTHER), 0, WIRE_PROTO_IKE, 0}, /* in the table, not in the policy */
        {T(GCM256, PRF256, X25519, ESN), 0, WIRE_PROTO_IKE, 0},
        {T(GCM256, PRF256, X25519, {6, 1, 0}), 0, WIRE_PROTO_IKE, 0}, /* a type that is not known */
        {T(GCM256, PRF256, X25519), 8, WIRE_PROTO_IKE, 0},
        {T(GCM256, PRF256, X25519), 0, WIRE_PROTO_ESP, 0},
        {T({WIRE_TR_ENCR, 20, 0}, PRF256, X25519), 0, WIRE_PROTO_IKE, 0}, /* no key length */
        {T({WIRE_TR_ENCR, 20, 192}, PRF256, X25519), 0, WIRE_PROTO_IKE, 0},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wire_sa sa = {0};
        struct ike_choice choice = {0};
        bool found;

        add(&sa, 42, table[i].protocol, table[i].spi_bytes, table[i].t);
        found = ike_proposal_choose_ike(&l->gateway, &sa, 0, &choice);
        cr_assert_eq(found, table[i].bits != 0, "row %zu", i);
        cr_assert_eq(choice.row.encr_bits, table[i].bits, "row %zu", i);
        cr_assert_eq(choice.number, found ? 42 : 0, "the peer's number is echoed");
    }
    free(l);
}

Test(proposal, our_rows_go_before_the_peers_order)
{
    struct lab *l = lab_new();
    struct wire_sa sa = {0};
    struct ike_choice choice;

    add(&sa, 1, WIRE_PROTO_IKE, 8, T(CBC256, PRF256, X25519, INTEG_SHA));
    add(&sa, 2, WIRE_PROTO_IKE, 8, T(GCM128, PRF256, X25519));
    add(&sa, 3, WIRE_PROTO_IKE, 8, T(GCM256, PRF256, X25519));
    cr_assert(ike_proposal_choose_ike(&l->gateway, &sa, 8, &choice));
    cr_assert(choice.number == 3 && choice.row.encr_bits == 256);
    cr_assert_eq(ike_spi64(choice.spi), get_be64(SPI8));
    free(l);
}

Test(proposal, unknown_attribute_is_as_if_not_there)
{
    struct lab *l = lab_new();
    struct wire_sa sa = {0};
    struct ike_choice choice;

    add(&sa, 1, WIRE_PROTO_IKE, 0, T(GCM256, GCM128, PRF256, X25519));
    sa.transforms[0].unknown_attribute = true;
    cr_assert(ike_proposal_choose_ike(&l->gateway, &sa, 0, &choice));
    cr_assert_eq(choice.row.encr_bits, 128);
    free(l);
}

Test(proposal, rows_without_an_algorithm_do_not_count)
{
    struct lab *l = lab_new();
    struct wire_sa sa = {0}, offer;
    struct ike_choice choice;

    l->gateway.ike[0].prf_id = 7; /* not in the table */
    l->gateway.esp[0].encr_bits = 192;
    add(&sa, 1, WIRE_PROTO_IKE, 0, T(GCM256, GCM128, PRF256, {WIRE_TR_PRF, 7, 0}, X25519));
    cr_assert(ike_proposal_choose_ike(&l->gateway, &sa, 0, &choice));
    cr_assert_eq(choice.row.encr_bits, 128);
    ike_proposal_offer_ike(&l->gateway, span_of(NULL, 0), &offer);
    cr_assert(offer.n_proposals == 1 && offer.proposals[0].number == 1);
    ike_proposal_offer_esp(&l->gateway, span_of(SPI4, 4), 0, &offer);
    cr_assert_eq(offer.n_proposals, 1);
    l->gateway.n_ike = 1;
    cr_assert_eq(ike_proposal_first_ke(&l->gateway), 0);
    free(l);
}

Test(proposal, esp_choices)
{
    struct lab *l = lab_new();
    const struct {
        const uint16_t (*t)[3];
        bool policy_esn;
        enum ike_child_ke ke;
        bool found, esn;
        uint16_t ke_id;
    } table[] = {
        {T(GCM256, NO_ESN), false, IKE_CHILD_KE_NONE, true, false, 0},
        {T(GCM256, ESN, NO_ESN), false, IKE_CHILD_KE_NONE, true, false, 0},
        {T(GCM256, ESN, NO_ESN), true, IKE_CHILD_KE_NONE, true, true, 0},
        {T(GCM256, NO_ESN), true, IKE_CHILD_KE_NONE, true, false, 0},
        {T(GCM256, ESN), true, IKE_CHILD_KE_NONE, true, true, 0},
        {T(GCM256, ESN), false, IKE_CHILD_KE_NONE, false, false, 0},
        {T(GCM256), false, IKE_CHILD_KE_NONE, false, false, 0}, /* ESN is not optional (3.3.3) */
        {T(GCM256, X25519, NO_ESN), false, IKE_CHILD_KE_NONE, false, false, 0},
        {T(GCM256, X25519, KE_NONE, NO_ESN), false, IKE_CHILD_KE_NONE, true, false, 0},
        {T(GCM256, X25519, KE_NONE, NO_ESN), false, IKE_CHILD_KE_OPTIONAL, true, false, 31},
        {T(GCM256, X25519, NO_ESN), false, IKE_CHILD_KE_OPTIONAL, true, false, 31},
        {T(GCM256, NO_ESN), false, IKE_CHILD_KE_OPTIONAL, true, false, 0},
        {T(GCM256, OTHER, NO_ESN), false, IKE_CHILD_KE_OPTIONAL, false, false, 0},
        {T(GCM256, OTHER, X25519, NO_ESN), false, IKE_CHILD_KE_REQUIRED, true, false, 31},
        {T(GCM256, NO_ESN), false, IKE_CHILD_KE_REQUIRED, false, false, 0},
        {T(GCM256, KE_NONE, NO_ESN), false, IKE_CHILD_KE_REQUIRED, false, false, 0},
        {T(GCM256, PRF256, NO_ESN), false, IKE_CHILD_KE_NONE, false, false, 0},
        {T(CBC256, INTEG_SHA, NO_ESN), false, IKE_CHILD_KE_NONE, false, false, 0},
        {T(GCM256, INTEG_NONE, NO_ESN), false, IKE_CHILD_KE_NONE, true, false, 0},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wire_sa sa = {0};
        struct ike_choice choice = {0};

        l->gateway.esp[0].esn = table[i].policy_esn;
        add(&sa, 3, WIRE_PROTO_ESP, 4, table[i].t);
        cr_assert_eq(ike_proposal_choose_esp(&l->gateway, &sa, table[i].ke, 31, &choice),
                     table[i].found, "row %zu", i);
        cr_assert(choice.row.esn == table[i].esn && choice.row.ke_id == table[i].ke_id, "row %zu",
                  i);
    }
    free(l);
}

Test(proposal, rows_that_name_their_group)
{
    /* As the configuration makes them: PFS rows first, then the same without a group. */
    struct lab *l = lab_new();
    struct wire_sa sa = {0}, offer;
    struct ike_choice choice;

    l->gateway.esp[0] =
        (struct ike_proposal_row){.encr_id = 20, .encr_bits = 256, .ke_id = OTHER_GROUP};
    l->gateway.esp[1] = (struct ike_proposal_row){.encr_id = 20, .encr_bits = 256};
    add(&sa, 1, WIRE_PROTO_ESP, 4, T(GCM256, X25519, OTHER, NO_ESN));
    cr_assert(ike_proposal_choose_esp(&l->gateway, &sa, IKE_CHILD_KE_OPTIONAL, 31, &choice));
    cr_assert_eq(choice.row.ke_id, OTHER_GROUP);
    cr_assert_eq(ike_proposal_child_ke(&l->gateway, 31), OTHER_GROUP);
    cr_assert(ike_proposal_child_ke_allowed(&l->gateway, 31, OTHER_GROUP));
    cr_assert(ike_proposal_child_ke_allowed(&l->gateway, 31, 31)); /* by the row without a group */
    cr_assert_not(ike_proposal_child_ke_allowed(&l->gateway, 31, 14));
    ike_proposal_offer_esp(&l->gateway, span_of(SPI4, 4), 0, &offer);
    cr_assert(offer.n_proposals == 1 && offer.n_transforms == 2, "one proposal, no group");
    ike_proposal_offer_esp(&l->gateway, span_of(SPI4, 4), OTHER_GROUP, &offer);
    cr_assert(offer.n_proposals == 1 && offer.n_transforms == 3);
    cr_assert(offer.transforms[1].type == WIRE_TR_KE && offer.transforms[1].id == OTHER_GROUP);
    free(l);
}

/* A peer that has only our second group gets a CHILD SA by it: the KE payload is of the first. */
Test(proposal, a_child_is_offered_with_every_group)
{
    struct lab *l = lab_new();
    struct wire_sa offer;
    struct ike_choice choice;

    l->gateway.esp[0] = (struct ike_proposal_row){.encr_id = 20, .encr_bits = 256, .ke_id = 31};
    l->gateway.esp[1] = l->gateway.esp[0];
    l->gateway.esp[1].ke_id = OTHER_GROUP;
    l->gateway.esp[2] = (struct ike_proposal_row){.encr_id = 20, .encr_bits = 256};
    l->gateway.n_esp = 3;
    ike_proposal_offer_esp(&l->gateway, span_of(SPI4, 4), 31, &offer);
    cr_assert(offer.n_proposals == 1 && offer.n_transforms == 4, "one proposal, two groups");
    cr_assert(offer.transforms[1].type == WIRE_TR_KE && offer.transforms[1].id == 31);
    cr_assert(offer.transforms[2].type == WIRE_TR_KE && offer.transforms[2].id == OTHER_GROUP);
    l->client.esp[0] = l->gateway.esp[1];
    l->client.n_esp = 1;
    cr_assert(ike_proposal_choose_esp(&l->client, &offer, IKE_CHILD_KE_OPTIONAL, 31, &choice));
    cr_assert_eq(choice.row.ke_id, OTHER_GROUP);
    ike_proposal_offer_esp(&l->gateway, span_of(SPI4, 4), 0, &offer);
    cr_assert(offer.n_proposals == 1 && offer.n_transforms == 2, "none asked for: none offered");
    free(l);
}

Test(proposal, reserved_spis_are_refused)
{
    struct lab *l = lab_new();
    struct wire_sa sa = {0};
    struct ike_choice choice;
    const uint8_t low[4] = {0, 0, 0, 255};

    add(&sa, 1, WIRE_PROTO_ESP, 4, T(GCM256, NO_ESN));
    sa.proposals[0].spi = span_of(low, 4);
    cr_assert_not(ike_proposal_choose_esp(&l->gateway, &sa, IKE_CHILD_KE_NONE, 0, &choice));
    free(l);
}

Test(proposal, answers_name_one_transform_of_each_type_offered)
{
    struct lab *l = lab_new();
    struct wire_sa sa = {0}, answer;
    struct ike_choice choice, agreed;

    add(&sa, 200, WIRE_PROTO_ESP, 4, T(GCM256, GCM128, INTEG_NONE, X25519, KE_NONE, ESN, NO_ESN));
    cr_assert(ike_proposal_choose_esp(&l->gateway, &sa, IKE_CHILD_KE_NONE, 0, &choice));
    ike_proposal_answer(WIRE_PROTO_ESP, &choice, span_of(SPI4, 4), &answer);
    cr_assert(answer.n_proposals == 1 && answer.proposals[0].number == 200);
    cr_assert_eq(answer.n_transforms, 4); /* ENCR, INTEG NONE, KE NONE, ESN */
    cr_assert(ike_proposal_accept_esp(&l->client, &answer, 0, &agreed));
    cr_assert(agreed.row.encr_bits == 256 && agreed.row.ke_id == 0 && !agreed.row.esn);
    free(l);
}

Test(proposal, offers_are_accepted_by_their_maker_only_one_at_a_time)
{
    struct lab *l = lab_new();
    struct wire_sa offer, answer = {0};
    struct ike_choice choice;

    ike_proposal_offer_ike(&l->client, span_of(SPI8, 8), &offer);
    cr_assert(offer.n_proposals == 1 && offer.n_transforms == 4, "two ciphers in one proposal");
    cr_assert_not(ike_proposal_accept_ike(&l->client, &offer, 8, 31, &choice), "two ciphers");
    add(&answer, 1, WIRE_PROTO_IKE, 8, T(GCM256, PRF256, X25519));
    add(&answer, 2, WIRE_PROTO_IKE, 8, T(GCM128, PRF256, X25519));
    cr_assert_not(ike_proposal_accept_ike(&l->client, &answer, 8, 31, &choice), "two proposals");
    answer = (struct wire_sa){0};
    add(&answer, 2, WIRE_PROTO_IKE, 8, T(GCM128, PRF256, X25519));
    cr_assert(ike_proposal_accept_ike(&l->client, &answer, 8, 31, &choice));
    cr_assert_not(ike_proposal_accept_ike(&l->client, &answer, 8, OTHER_GROUP, &choice),
                  "not the group that we sent");
    cr_assert_not(ike_proposal_accept_ike(&l->client, &answer, 0, 31, &choice));
    answer = (struct wire_sa){0};
    add(&answer, 2, WIRE_PROTO_IKE, 8, T(GCM128, GCM256, PRF256, X25519));
    cr_assert_not(ike_proposal_accept_ike(&l->client, &answer, 8, 31, &choice), "two ciphers");
    answer = (struct wire_sa){0};
    add(&answer, 1, WIRE_PROTO_ESP, 4, T(GCM128, X25519, NO_ESN));
    cr_assert_not(ike_proposal_accept_esp(&l->client, &answer, 0, &choice),
                  "a key exchange that we did not offer");
    cr_assert(ike_proposal_accept_esp(&l->client, &answer, 31, &choice));
    answer = (struct wire_sa){0};
    add(&answer, 1, WIRE_PROTO_ESP, 4, T(GCM128, NO_ESN));
    cr_assert_not(ike_proposal_accept_esp(&l->client, &answer, 31, &choice), "PFS taken away");
    answer = (struct wire_sa){0};
    add(&answer, 1, WIRE_PROTO_ESP, 4, T(GCM128, ESN));
    cr_assert_not(ike_proposal_accept_esp(&l->client, &answer, 0, &choice), "ESN not offered");
    free(l);
}

Test(proposal, a_cipher_comes_with_its_integrity)
{
    struct lab *l = lab_new();
    const struct {
        const uint16_t (*t)[3];
        uint16_t encr; /* 0 = none chosen */
    } table[] = {
        {T(CBC256, PRF256, X25519, INTEG_SHA), 12},
        {T(CBC256, PRF256, X25519), 0},
        {T(CBC256, PRF256, X25519, INTEG_NONE), 0},
        {T(CBC256, PRF256, X25519, {WIRE_TR_INTEG, 13, 0}), 0},
        {T(CBC256, PRF256, X25519, {WIRE_TR_INTEG, 13, 0}, INTEG_SHA), 12},
        {T(GCM256, CBC256, PRF256, X25519, INTEG_SHA), 12}, /* a combined mode takes none */
        {T(CBC256, GCM256, PRF256, X25519, INTEG_SHA, INTEG_NONE), 20},
        {T({WIRE_TR_ENCR, 12, 128}, PRF256, X25519, INTEG_SHA), 0},
    };

    l->gateway.ike[1] = (struct ike_proposal_row){
        .encr_id = 12, .encr_bits = 256, .integ_id = 12, .prf_id = 5, .ke_id = 31};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wire_sa sa = {0}, answer;
        struct ike_choice choice = {0}, agreed;

        add(&sa, 3, WIRE_PROTO_IKE, 0, table[i].t);
        cr_assert_eq(ike_proposal_choose_ike(&l->gateway, &sa, 0, &choice), table[i].encr != 0,
                     "row %zu", i);
        cr_assert_eq(choice.row.encr_id, table[i].encr, "row %zu", i);
        if (table[i].encr == 0)
            continue;
        cr_assert_eq(choice.row.integ_id, table[i].encr == 12 ? 12 : 0, "row %zu", i);
        ike_proposal_answer(WIRE_PROTO_IKE, &choice, span_of(NULL, 0), &answer);
        cr_assert(ike_proposal_accept_ike(&l->gateway, &answer, 0, 31, &agreed), "row %zu", i);
        cr_assert(agreed.row.encr_id == table[i].encr &&
                  agreed.row.integ_id == choice.row.integ_id);
    }
    free(l);
}

/* Every combination of an offer is a row, and every row is in the offer. */
static void offer_is_the_rows(const struct ike_policy *policy, size_t proposals)
{
    struct wire_sa offer;
    size_t combinations = 0;

    ike_proposal_offer_ike(policy, span_of(NULL, 0), &offer);
    cr_assert_eq(offer.n_proposals, proposals, "%zu proposals", offer.n_proposals);
    for (size_t i = 0; i < offer.n_proposals; i++) {
        const struct wire_proposal *p = &offer.proposals[i];
        size_t n[5] = {0}, product = 1;

        for (size_t k = 0; k < p->n; k++)
            n[offer.transforms[p->first + k].type]++;
        for (size_t type = 1; type <= 4; type++)
            product *= n[type] == 0 ? 1 : n[type];
        combinations += product;
        cr_assert_eq(p->number, i + 1);
    }
    cr_assert_eq(combinations, policy->n_ike);
    for (size_t r = 0; r < policy->n_ike; r++) {
        struct ike_policy one = *policy;
        struct ike_choice choice;

        one.ike[0] = policy->ike[r];
        one.n_ike = 1;
        cr_assert(ike_proposal_choose_ike(&one, &offer, 0, &choice), "row %zu", r);
    }
}

Test(proposal, offers_say_the_rows_and_nothing_else)
{
    static const uint16_t bits[] = {256, 128}, groups[] = {31, OTHER_GROUP};
    struct lab *l = lab_new();
    struct ike_policy *p = &l->gateway;

    p->n_ike = 0;
    for (size_t e = 0; e < 2; e++)
        for (size_t k = 0; k < 2; k++)
            p->ike[p->n_ike++] = (struct ike_proposal_row){
                .encr_id = 20, .encr_bits = bits[e], .prf_id = 5, .ke_id = groups[k]};
    offer_is_the_rows(p, 1);
    for (size_t e = 0; e < 2; e++)
        for (uint16_t integ = 12; integ <= 14; integ++)
            p->ike[p->n_ike++] = (struct ike_proposal_row){
                .encr_id = 12, .encr_bits = bits[e], .integ_id = integ, .prf_id = 5, .ke_id = 31};
    offer_is_the_rows(p, 2);
    /* 256 with one group, 128 with the other: the combinations between are nobody's */
    p->ike[0] =
        (struct ike_proposal_row){.encr_id = 20, .encr_bits = 256, .prf_id = 5, .ke_id = 31};
    p->ike[1] = (struct ike_proposal_row){
        .encr_id = 20, .encr_bits = 128, .prf_id = 5, .ke_id = OTHER_GROUP};
    p->n_ike = 2;
    offer_is_the_rows(p, 2);
    free(l);
}

Test(proposal, a_refusal_tells_of_weak_groups_and_algorithms)
{
    struct lab *l = lab_new();
    const struct {
        uint8_t protocol;
        const uint16_t (*t)[3];
        enum ike_reason reason;
    } table[] = {
        {WIRE_PROTO_IKE, T(GCM256, PRF256, {WIRE_TR_KE, 2, 0}), IKE_REASON_WEAK_GROUP},
        {WIRE_PROTO_IKE, T(GCM256, PRF256, {WIRE_TR_KE, 30, 0}), IKE_REASON_NO_PROPOSAL},
        {WIRE_PROTO_IKE, T(GCM256, {WIRE_TR_PRF, 2, 0}, X25519), IKE_REASON_WEAK_ALGORITHM},
        {WIRE_PROTO_IKE,
         T({WIRE_TR_ENCR, 3, 0}, {WIRE_TR_PRF, 2, 0}, {WIRE_TR_INTEG, 2, 0}, {WIRE_TR_KE, 2, 0}),
         IKE_REASON_WEAK_ALGORITHM},
        {WIRE_PROTO_IKE, T({WIRE_TR_ENCR, 23, 256}, PRF256, {WIRE_TR_INTEG, 2, 0}, X25519),
         IKE_REASON_NO_PROPOSAL},
        {WIRE_PROTO_ESP, T({WIRE_TR_ENCR, 3, 0}, {WIRE_TR_INTEG, 2, 0}, NO_ESN),
         IKE_REASON_WEAK_ALGORITHM},
        {WIRE_PROTO_ESP, T({WIRE_TR_ENCR, 23, 256}, INTEG_SHA, NO_ESN), IKE_REASON_NO_PROPOSAL},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wire_sa sa = {0};

        add(&sa, 1, table[i].protocol, table[i].protocol == WIRE_PROTO_ESP ? 4 : 0, table[i].t);
        cr_assert_eq(ike_proposal_refusal(&l->gateway, table[i].protocol, &sa), table[i].reason,
                     "row %zu", i);
        /* the group alone counts for more than the worst of the proposals */
        if (table[i].protocol == WIRE_PROTO_IKE) {
            add(&sa, 2, WIRE_PROTO_IKE, 0, T(GCM256, PRF256, {WIRE_TR_KE, 2, 0}));
            cr_assert_eq(ike_proposal_refusal(&l->gateway, WIRE_PROTO_IKE, &sa),
                         IKE_REASON_WEAK_GROUP, "row %zu", i);
        }
    }
    free(l);
}
