/* A client behind a NAT from its first datagram on, and CHILD SAs that nothing would carry. RFC
 * 7296 2.23, RFC 3948. */
#include <criterion/criterion.h>

#include "ike_pair/pair.h"

static struct pair *p;

static void teardown(void)
{
    pair_free(p);
}

TestSuite(nat, .fini = teardown);

static void agree(void)
{
    const char *wrong = pair_disagreement(p);

    cr_assert_null(wrong, "%s", wrong);
}

static void rekeys_of_all_kinds_by_both(void)
{
    static const uint32_t wants[] = {IKE_WANT_REKEY_CHILD_NOPFS, IKE_WANT_REKEY_CHILD_PFS,
                                     IKE_WANT_REKEY_IKE};

    for (int who = CLIENT; who <= GATEWAY; who++)
        for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
            cr_assert_eq(pair_command(p, (enum pair_who)who, wants[i]), IKE_STEPPED);
            pair_run(p);
            agree();
        }
}

/* The gateway's SA sends to this port of the NAT. */
static bool goes_to(uint16_t port)
{
    struct endpoint at = {.ip = p->nat.outside, .port = port};

    return endpoint_equal(&pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->remote, &at);
}

/* Nothing is forced: the NAT is found, both float, the mapping is kept and, once it is lost, found
 * again. */
Test(nat, from_port_500_to_a_new_mapping)
{
    const struct ike_sa *c, *g;
    uint64_t dropped;

    p = pair_new_unconnected(31);
    p->side[CLIENT].policy.force_encap = p->side[GATEWAY].policy.force_encap = false;
    p->side[CLIENT].policy.dpd_ms = 40000;
    p->nat = (struct pair_nat){.outside = addr_v4(0xc0000201), .first_port = 40000};
    pair_connect(p);
    agree();
    c = pair_sa(p, CLIENT, IKE_SA_ESTABLISHED);
    g = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
    cr_assert(c->nat_local && !c->nat_remote && !g->nat_local && g->nat_remote);
    cr_assert(c->encap && g->encap);
    cr_assert(c->local.port == 4500 && c->remote.port == 4500 && g->local.port == 4500);
    cr_assert(goes_to(40001), "floated: another port of the NAT");
    cr_assert_eq(pair_count_children(p, GATEWAY), 1);

    pair_pass(p, 19000);
    cr_assert_eq(p->keepalives, 0);
    pair_pass(p, 2000);
    cr_assert_eq(p->keepalives, 1, "of the client alone");

    p->nat.first_port = 50000;
    pair_pass(p, 15000); /* the gateway asks for life where nobody is any more */
    cr_assert_gt(p->nat.unmapped, 0);
    cr_assert(goes_to(40001));
    pair_pass(p, 10000); /* the client asks, from its new port */
    cr_assert(goes_to(50001));
    pair_pass(p, 10000); /* and the gateway's own question gets through, too */
    agree();
    cr_assert_eq(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->pending.exchange, IKE_EX_NONE);

    dropped = p->nat.unmapped;
    rekeys_of_all_kinds_by_both();
    cr_assert_eq(p->nat.unmapped, dropped);
    cr_assert(goes_to(50001), "the new IKE SA goes there as well");
}

/* Nobody forces and nothing is between: port 500 stays, ESP goes as it is, no keepalives, no path
 * that moves. */
Test(nat, where_nothing_is_between_esp_goes_as_it_is)
{
    const struct ike_sa *sa[2];

    p = pair_new_unconnected(34);
    p->side[CLIENT].policy.force_encap = p->side[GATEWAY].policy.force_encap = false;
    pair_connect(p);
    agree();
    for (int who = CLIENT; who <= GATEWAY; who++) {
        sa[who] = pair_sa(p, (enum pair_who)who, IKE_SA_ESTABLISHED);
        cr_assert(!sa[who]->encap && sa[who]->local.port == 500 && sa[who]->remote.port == 500);
        cr_assert_eq(pair_count_children(p, (enum pair_who)who), 1);
    }
    cr_assert_eq(pair_command(p, CLIENT, IKE_WANT_CHILD), IKE_STEPPED);
    pair_run(p);
    rekeys_of_all_kinds_by_both();
    cr_assert_eq(pair_count_children(p, GATEWAY), 2);
    pair_pass(p, 60000);
    agree();
    cr_assert_eq(p->keepalives, 0);
    cr_assert_not(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->encap, "an IKE rekey keeps it");
}

/* ---- no UDP encapsulation: no CHILD SA, at whichever end it is seen ---- */

static void no_more_than_one_child(enum pair_who refuses)
{
    cr_assert_geq(pair_count_reason(p, refuses, IKE_REASON_NO_UDP_ENCAPSULATION), 1);
    cr_assert_eq(pair_count_children(p, CLIENT), 1);
    cr_assert_eq(pair_count_children(p, GATEWAY), 1);
    agree();
}

Test(nat, a_child_without_encapsulation_is_refused)
{
    static const uint32_t wants[] = {IKE_WANT_CHILD, IKE_WANT_REKEY_CHILD_NOPFS,
                                     IKE_WANT_REKEY_CHILD_PFS};

    for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
        p = pair_new(32);
        pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->encap = false;
        (void)pair_command(p, CLIENT, wants[i]);
        pair_run(p);
        no_more_than_one_child(GATEWAY);
        cr_assert_geq(pair_count_reason(p, CLIENT, IKE_REASON_NO_PROPOSAL), 1, "it was told");
        if (i + 1 < sizeof wants / sizeof wants[0])
            pair_free(p);
    }
}

Test(nat, a_child_without_encapsulation_is_not_asked_for)
{
    size_t sent;

    p = pair_new(33);
    pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->encap = false;
    sent = p->n_sent;
    (void)pair_command(p, GATEWAY, IKE_WANT_CHILD);
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    pair_run(p);
    no_more_than_one_child(GATEWAY);
    cr_assert_eq(p->n_sent, sent);
}
