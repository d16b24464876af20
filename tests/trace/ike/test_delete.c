/* Delete of CHILD SAs and IKE SAs by either side, liveness, hard limits. RFC 7296 1.4, 2.4. */
#include <criterion/criterion.h>

#include "ike_pair/pair.h"

static struct pair *p;

static void setup(void)
{
    p = pair_new(7);
}

static void teardown(void)
{
    pair_free(p);
}

TestSuite(ending, .init = setup, .fini = teardown);

static void nothing_left(void)
{
    for (int w = CLIENT; w <= GATEWAY; w++) {
        cr_assert_eq(pair_count_children(p, (enum pair_who)w), 0);
        for (int s = IKE_SA_HALF_OPEN; s <= IKE_SA_ENDED; s++)
            cr_assert_eq(pair_count_sas(p, (enum pair_who)w, (enum ike_sa_state)s), 0);
    }
}

Test(ending, of_a_child_by_either_side)
{
    for (int w = CLIENT; w <= GATEWAY; w++) {
        (void)pair_command(p, (enum pair_who)w, IKE_WANT_DELETE_CHILD);
        pair_run(p);
        cr_assert_eq(pair_count_children(p, CLIENT), 0);
        cr_assert_eq(pair_count_children(p, GATEWAY), 0);
        (void)pair_command(p, (enum pair_who)w, IKE_WANT_CHILD);
        pair_run(p);
        cr_assert_null(pair_disagreement(p));
        cr_assert_eq(pair_count_children(p, GATEWAY), 1);
        cr_assert_not_null(pair_sender(p, GATEWAY));
        (void)pair_command(p, (enum pair_who)w, IKE_WANT_DPD); /* so that the other end knows */
        pair_run(p);
    }
}

Test(ending, of_the_ike_sa_by_either_side)
{
    struct ike_sa *sa;

    (void)pair_command(p, GATEWAY, IKE_WANT_DELETE_IKE);
    pair_run(p);
    sa = pair_sa(p, GATEWAY, IKE_SA_ENDED);
    cr_assert_not_null(sa);
    cr_assert(sa->virtual_ip[SLOT_V4].family == ADDR_NONE && sa->keys.sk_d.len == 0);
    pair_pass(p, 60001);
    nothing_left();
}

Test(ending, no_new_work_for_an_sa_that_ends)
{
    struct ike_event ev = {.kind = IKE_EV_COMMAND, .want = IKE_WANT_REKEY_IKE};

    p->held[GATEWAY] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_DELETE_IKE);
    cr_assert_eq(pair_event(p, GATEWAY, pair_sa(p, GATEWAY, IKE_SA_DELETING), &ev), IKE_IGNORED);
}

/* Another CHILD SA with the same selectors takes the traffic over. */
Test(ending, of_one_of_two_children)
{
    uint32_t first = pair_sender(p, GATEWAY)->spi_in, second;

    (void)pair_command(p, CLIENT, IKE_WANT_CHILD);
    pair_run(p);
    cr_assert_null(pair_disagreement(p));
    cr_assert_eq(pair_sender(p, GATEWAY)->spi_in, first, "the peer's new one does not take over");
    second = pair_sender(p, CLIENT)->spi_out;
    cr_assert_neq(second, first);
    (void)pair_command_child(p, GATEWAY, IKE_WANT_DELETE_CHILD, first);
    pair_run(p);
    cr_assert_eq(pair_sender(p, GATEWAY)->spi_in, second);
    cr_assert_eq(pair_count_children(p, CLIENT), 1);
}

Test(ending, dead_peer_is_found_by_liveness_check)
{
    const uint64_t schedule = 1000 + 1800 + 3240 + 5832 + 10497 + 18894;
    uint64_t began = p->now_ms;

    p->held[CLIENT] = true;
    pair_pass(p, 30000);
    cr_assert_eq(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->pending.exchange, IKE_EX_DPD);
    pair_pass(p, schedule - 1000);
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
    pair_pass(p, 1000);
    cr_assert_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
    cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_PEER_DEAD), 1);
    cr_assert_leq(p->now_ms - began, 30000 + schedule);
    pair_pass(p, 200000);
    nothing_left();
}

/* What the conductor does before each step, from what the data path knows: ESP of the peer
 * verified. */
static void esp_verified(void)
{
    pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->local_part.last_inbound_ms = p->now_ms;
}

/* Traffic that verifies is life: no check while it comes, and no false death when only requests get
 * lost. */
Test(ending, traffic_counts_as_life)
{
    p->side[CLIENT].policy.dpd_ms = 0;
    for (int i = 0; i < 100; i++) {
        esp_verified();
        pair_pass(p, 1000);
    }
    cr_assert_eq(p->n_sent, 0);
    p->held[CLIENT] = true; /* answers do not come through, ESP does */
    (void)pair_command(p, GATEWAY, IKE_WANT_DPD);
    for (int i = 0; i < 100; i++) {
        esp_verified();
        pair_pass(p, 1000);
    }
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
    p->held[CLIENT] = false;
    pair_run(p);
    cr_assert_null(pair_disagreement(p));
    cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_PEER_DEAD), 0);
}

Test(ending, hard_limit_of_a_child_whatever_its_rekey_does)
{
    uint32_t spi = pair_sender(p, GATEWAY)->spi_in;

    p->held[GATEWAY] = p->held[CLIENT] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    cr_assert_eq(pair_esp(p, GATEWAY, IKE_EV_CHILD_HARD, spi), IKE_STEPPED);
    cr_assert_null(pair_child(p, GATEWAY, spi), "gone at once");
    cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_HARD_LIFETIME);
    p->held[GATEWAY] = p->held[CLIENT] = false;
    pair_run(p);
    cr_assert_null(pair_disagreement(p), "and the peer is told as soon as the window is free");
    cr_assert_eq(pair_count_children(p, CLIENT), 1, "the new one");
}

/* One CHILD SA, and n - 1 more of the gateway's; only the gateway's hard limit counts, the same for
 * all. */
static void children_that_end_together(size_t n, uint64_t hard_ms)
{
    for (size_t i = 1; i < n; i++) {
        (void)pair_command(p, GATEWAY, IKE_WANT_CHILD);
        pair_run(p);
    }
    cr_assert_eq(pair_count_children(p, GATEWAY), n);
    for (int w = CLIENT; w <= GATEWAY; w++)
        for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
            struct ike_child *c = &pair_sa(p, (enum pair_who)w, IKE_SA_ESTABLISHED)->children[i];

            if (c->state == IKE_CHILD_NONE)
                continue;
            c->soft_ms = UINT64_MAX;
            c->hard_ms = w == GATEWAY ? hard_ms : UINT64_MAX;
        }
}

/* The window is 1: the Deletes of those that end while it is taken are owed until it is free. */
Test(ending, hard_limits_of_three_children_at_once_are_all_told)
{
    children_that_end_together(3, p->now_ms + 50000);
    pair_pass(p, 51000);
    cr_assert_eq(pair_count_children(p, GATEWAY), 0);
    cr_assert_null(pair_disagreement(p));
    cr_assert_eq(pair_count_children(p, CLIENT), 0);
    cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_HARD_LIFETIME), 3);
}

Test(ending, hard_limits_of_all_children_while_the_window_is_taken)
{
    struct ike_sa *g = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);

    children_that_end_together(IKE_MAX_CHILDREN - 1, p->now_ms + 5000);
    p->held[GATEWAY] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_DPD);
    pair_pass(p, 6000);
    cr_assert_eq(pair_count_children(p, GATEWAY), 0, "gone at once");
    cr_assert_eq(pair_count_children(p, CLIENT), IKE_MAX_CHILDREN - 1);
    (void)pair_command(p, GATEWAY, IKE_WANT_CHILD);
    p->held[GATEWAY] = false;
    pair_takeover(p, GATEWAY);
    pair_run(p);
    cr_assert_null(pair_disagreement(p));
    cr_assert_eq(pair_count_children(p, CLIENT), 1, "the gateway's new one");
    cr_assert_eq(g->n_owed_deletes, 0);
}

Test(ending, hard_limit_of_a_child_while_a_rekey_of_another_waits)
{
    uint32_t first = pair_sender(p, GATEWAY)->spi_in, other;

    children_that_end_together(2, UINT64_MAX);
    other = pair_sender(p, GATEWAY)->spi_in;
    cr_assert_neq(first, other);
    p->held[GATEWAY] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_DPD);
    cr_assert_eq(pair_command_child(p, GATEWAY, IKE_WANT_REKEY_CHILD, other), IKE_STEPPED);
    cr_assert_eq(pair_esp(p, GATEWAY, IKE_EV_CHILD_HARD, first), IKE_STEPPED);
    p->held[GATEWAY] = false;
    pair_run(p);
    cr_assert_null(pair_disagreement(p));
    cr_assert_null(pair_child(p, GATEWAY, first));
    cr_assert_null(pair_child(p, GATEWAY, other), "rekeyed");
    cr_assert_eq(pair_count_children(p, CLIENT), 1);
}

/* The CHILD SAs move to the new IKE SA, and with them the Deletes that are owed: they mean nothing
 * on the old one. */
Test(ending, owed_deletes_go_with_an_ike_rekey_of_either_side)
{
    for (int w = CLIENT; w <= GATEWAY; w++) {
        uint32_t first = pair_sender(p, GATEWAY)->spi_in;

        children_that_end_together(2, UINT64_MAX);
        p->held[CLIENT] = p->held[GATEWAY] = true;
        if (w == CLIENT) /* the gateway's window is taken, by what does not hinder the rekey */
            (void)pair_command(p, GATEWAY, IKE_WANT_DPD);
        (void)pair_command(p, (enum pair_who)w, IKE_WANT_REKEY_IKE);
        cr_assert_eq(pair_esp(p, GATEWAY, IKE_EV_CHILD_HARD, first), IKE_STEPPED);
        p->held[CLIENT] = p->held[GATEWAY] = false;
        if (w == CLIENT)
            p->held[GATEWAY] = true;
        pair_run(p);
        p->held[GATEWAY] = false;
        pair_run(p);
        cr_assert_null(pair_disagreement(p));
        cr_assert_null(pair_child(p, GATEWAY, first));
        cr_assert_eq(pair_count_children(p, CLIENT), 1);
        (void)pair_command(p, CLIENT, IKE_WANT_DPD); /* so that nothing is unconfirmed */
        pair_run(p);
    }
}

Test(ending, hard_limit_of_a_child_by_packets)
{
    uint32_t spi = pair_sender(p, CLIENT)->spi_in;

    cr_assert_eq(pair_sender(p, CLIENT)->hard_packets, (1ull << 32) - (1 << 20));
    cr_assert_lt(pair_sender(p, CLIENT)->soft_packets, pair_sender(p, CLIENT)->hard_packets);
    cr_assert_eq(pair_esp(p, CLIENT, IKE_EV_CHILD_HARD, spi), IKE_STEPPED);
    pair_run(p);
    cr_assert_eq(pair_count_children(p, GATEWAY), 0);
}

Test(ending, hard_limit_of_the_ike_sa_whatever_else_failed)
{
    uint64_t hard = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->hard_ms;
    struct ike_sa *sa;

    for (int w = CLIENT; w <= GATEWAY; w++) { /* rekeys of the IKE SA find no proposal for ever */
        p->side[w].policy.n_ike = 1;
        p->side[w].policy.child_life.hard_ms = 0;
    }
    p->side[CLIENT].policy.ike[0].encr_bits = 128;
    sa = pair_sa(p, CLIENT, IKE_SA_ESTABLISHED);
    sa->children[0].soft_ms = sa->children[0].hard_ms = UINT64_MAX;
    sa->hard_ms = UINT64_MAX; /* only the gateway's own limit counts */
    sa = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
    sa->children[0].soft_ms = sa->children[0].hard_ms = UINT64_MAX;
    pair_pass(p, hard - p->now_ms - 1);
    cr_assert_geq(pair_count_reason(p, GATEWAY, IKE_REASON_NO_PROPOSAL) +
                      pair_count_reason(p, CLIENT, IKE_REASON_NO_PROPOSAL),
                  100);
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
    pair_pass(p, 1);
    cr_assert_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
    pair_pass(p, 100);
    cr_assert_null(pair_sa(p, CLIENT, IKE_SA_ESTABLISHED));
    cr_assert_eq(pair_count_reason(p, CLIENT, IKE_REASON_DELETED_BY_PEER), 1, "it was told");
    pair_pass(p, 100000);
    nothing_left();
}

Test(ending, hard_limit_while_the_peer_is_silent)
{
    p->held[CLIENT] = true;
    p->side[GATEWAY].policy.retransmit_tries = 60;
    p->side[GATEWAY].policy.retransmit_factor_milli = 1000;
    pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->hard_ms = p->now_ms + 20000;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_IKE);
    pair_pass(p, 20000);
    cr_assert_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
    cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_HARD_LIFETIME), 1);
}
