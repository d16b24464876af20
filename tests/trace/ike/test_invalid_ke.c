/* INVALID_KE_PAYLOAD in CREATE_CHILD_SA: the other group is tried, once for each rekey. RFC
 * 7296 1.3, 2.7, 3.4. */
#include <criterion/criterion.h>

#include "crypto/tables.h"
#include "ike/message.h"
#include "ike_pair/pair.h"

enum { X25519 = 31, OTHER = 19 }; /* OTHER: X25519 under another number */

static struct pair *p;
static struct suite_ke other_ke;
static const struct suite_ke *kes[2];
static struct suite_table suites;

/* The peer knows only one group, we know both and begin with the other one. */
static void setup(void)
{
    p = pair_new(41);
    other_ke = *suite_default.kes[0];
    other_ke.transform_id = OTHER;
    kes[0] = suite_default.kes[0];
    kes[1] = &other_ke;
    suites = suite_default;
    suites.kes = kes;
    suites.n_kes = 2;
    for (int w = CLIENT; w <= GATEWAY; w++) {
        struct ike_policy *policy = &p->side[w].policy;

        policy->suites = &suites;
        policy->ike[1] = policy->ike[0];
        policy->esp[1] = policy->esp[0];
        policy->ike[1].ke_id = policy->esp[1].ke_id = OTHER;
        policy->esp[0].ke_id = X25519;
        policy->dpd_ms = 0;
    }
    p->side[CLIENT].policy.ike[0] = p->side[CLIENT].policy.ike[1];
    p->side[CLIENT].policy.esp[0] = p->side[CLIENT].policy.esp[1];
    p->side[CLIENT].policy.n_ike = p->side[CLIENT].policy.n_esp = 1;
    p->held[GATEWAY] = true;
}

static void teardown(void)
{
    pair_free(p);
}

TestSuite(invalid_ke, .init = setup, .fini = teardown);

static const struct ike_pending *pending(void)
{
    return &pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->pending;
}

/* The client refuses what the gateway has in flight and names a group, whatever its own policy says. */
static void refuse_naming(uint16_t group)
{
    struct pair_flying request = p->flying[0];
    struct ike_sa *c = pair_sa(p, CLIENT, IKE_SA_ESTABLISHED);
    struct wire_header header;
    uint8_t bytes[2];

    cr_assert(pair_lose(p, GATEWAY));
    put_be16(bytes, group);
    cr_assert_eq(wire_header_decode(span_of(request.bytes, request.len), &header), WIRE_OK);
    cr_assert(ike_answer_notify(&p->side[CLIENT].policy, c, span_of(request.bytes, request.len),
                                &header, WIRE_N_INVALID_KE_PAYLOAD, span_of(bytes, 2)));
    cr_assert_eq(pair_inject(p, GATEWAY, span_of(c->last_response.bytes, c->last_response.len)),
                 IKE_STEPPED);
}

Test(invalid_ke, of_a_child_is_followed)
{
    uint32_t old = pair_sender(p, GATEWAY)->spi_in;

    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD_PFS);
    cr_assert_eq(pending()->ke_id, X25519);
    refuse_naming(OTHER);
    cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_INVALID_KE);
    cr_assert_not(p->said[p->n_said - 1].completes, "it goes on");
    cr_assert(pending()->exchange == IKE_EX_CHILD_REKEY_PFS && pending()->ke_id == OTHER);
    p->held[GATEWAY] = false;
    pair_run(p);
    cr_assert_null(pair_disagreement(p));
    cr_assert_null(pair_child(p, GATEWAY, old));
    cr_assert_eq(pair_sender(p, GATEWAY)->ke_id, OTHER);
}

/* The peer is our own responder, which knows only the group that our KE payload is not of. */
Test(invalid_ke, a_child_is_rekeyed_with_the_only_group_of_the_peer)
{
    uint32_t old = pair_sender(p, GATEWAY)->spi_in;

    p->held[GATEWAY] = false;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD_PFS);
    cr_assert_eq(pending()->ke_id, X25519);
    pair_run(p);
    cr_assert_geq(pair_count_reason(p, CLIENT, IKE_REASON_INVALID_KE), 1);
    cr_assert_null(pair_disagreement(p));
    cr_assert_null(pair_child(p, GATEWAY, old));
    cr_assert_eq(pair_sender(p, GATEWAY)->ke_id, OTHER);
}

Test(invalid_ke, of_a_new_child_is_followed)
{
    p->held[GATEWAY] = false;
    p->side[GATEWAY].policy.pfs = IKE_PFS_ALWAYS;
    (void)pair_command(p, GATEWAY, IKE_WANT_CHILD);
    cr_assert(pending()->exchange == IKE_EX_CHILD_CREATE && pending()->ke_id == X25519);
    pair_run(p);
    cr_assert_geq(pair_count_reason(p, CLIENT, IKE_REASON_INVALID_KE), 1);
    cr_assert_null(pair_disagreement(p));
    cr_assert_eq(pair_sender(p, GATEWAY)->ke_id, OTHER, "the new one sends");
}

Test(invalid_ke, of_a_new_child_is_followed_once)
{
    p->side[GATEWAY].policy.pfs = IKE_PFS_ALWAYS;
    (void)pair_command(p, GATEWAY, IKE_WANT_CHILD);
    refuse_naming(OTHER);
    cr_assert(pending()->exchange == IKE_EX_CHILD_CREATE && pending()->ke_id == OTHER);
    refuse_naming(X25519);
    cr_assert_eq(pending()->exchange, IKE_EX_NONE);
    cr_assert_eq(pair_flying_from(p, GATEWAY), 0);
    cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_INVALID_KE);
}

Test(invalid_ke, of_a_child_is_followed_once)
{
    uint32_t old = pair_sender(p, GATEWAY)->spi_in;
    const struct ike_child *c;

    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD_PFS);
    refuse_naming(OTHER);
    refuse_naming(X25519);
    c = pair_child(p, GATEWAY, old);
    cr_assert_eq(pending()->exchange, IKE_EX_NONE, "a peer that changes its mind is not followed");
    cr_assert_eq(pair_flying_from(p, GATEWAY), 0);
    cr_assert(p->said[p->n_said - 1].completes);
    cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_INVALID_KE);
    cr_assert(c->state == IKE_CHILD_INSTALLED && c->soft_reached);
    cr_assert(c->retry_ms >= p->now_ms + 5000 && c->retry_ms < p->now_ms + 15000);
    pair_pass(p, 15000); /* the next attempt is a rekey of its own, with a retry of its own */
    cr_assert_eq(pending()->exchange, IKE_EX_CHILD_REKEY_PFS);
    while (pair_flying_from(p, GATEWAY) > 1) /* retransmissions */
        cr_assert(pair_lose(p, GATEWAY));
    refuse_naming(OTHER);
    cr_assert_eq(pending()->ke_id, OTHER);
}

Test(invalid_ke, that_names_no_group_of_ours_is_not_followed)
{
    static const uint16_t groups[] = {X25519, 14, 0};

    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD_PFS);
        refuse_naming(groups[i]);
        cr_assert_eq(pending()->exchange, IKE_EX_NONE, "group %u", groups[i]);
    }
}

Test(invalid_ke, of_the_ike_sa_is_followed)
{
    p->held[GATEWAY] = false;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_IKE);
    cr_assert_eq(pending()->ke_id, X25519);
    pair_run(p);
    cr_assert_geq(pair_count_reason(p, CLIENT, IKE_REASON_INVALID_KE), 1);
    cr_assert_null(pair_disagreement(p));
    cr_assert_eq(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->ke_id, OTHER);
}

Test(invalid_ke, of_the_ike_sa_is_followed_once)
{
    const struct ike_sa *g = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);

    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_IKE);
    refuse_naming(OTHER);
    cr_assert(pending()->exchange == IKE_EX_IKE_REKEY && pending()->ke_id == OTHER);
    refuse_naming(X25519);
    cr_assert_eq(pending()->exchange, IKE_EX_NONE);
    cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_INVALID_KE);
    cr_assert(g->retry_ms >= p->now_ms + 5000 && g->retry_ms < p->now_ms + 15000);
    cr_assert_eq(pair_flying_from(p, GATEWAY), 0);
}
