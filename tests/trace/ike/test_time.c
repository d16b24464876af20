/* Timers: the schedule of retransmissions, takeover, NAT keepalives, address changes, spread of
 * soft limits. */
#include <criterion/criterion.h>

#include "ike/lifetime.h"
#include "ike/timer.h"
#include "ike_pair/pair.h"

static struct pair *p;

static void setup(void)
{
    p = pair_new(8);
}

static void teardown(void)
{
    pair_free(p);
}

TestSuite(timing, .init = setup, .fini = teardown);

Test(timing, retransmissions_keep_their_schedule)
{
    static const uint64_t at[] = {1000, 2800, 6040, 11872, 22369};
    uint64_t sent = p->now_ms;
    const struct ike_policy *policy = &p->side[GATEWAY].policy;

    p->side[CLIENT].policy.dpd_ms = 0; /* anything from the peer would be life */
    p->held[GATEWAY] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    for (size_t i = 0; i < 5; i++) {
        cr_assert_eq(ike_retransmit_ms(policy, sent, (uint32_t)i + 1), sent + at[i]);
        pair_pass(p, sent + at[i] - p->now_ms - 1);
        cr_assert_eq(pair_flying_from(p, GATEWAY), i + 1);
        pair_pass(p, 1);
        cr_assert_eq(pair_flying_from(p, GATEWAY), i + 2);
    }
    for (size_t i = 1; i < p->n_flying; i++)
        cr_assert_arr_eq(p->flying[i].bytes, p->flying[0].bytes, p->flying[0].len);
    pair_pass(p, 18894);
    cr_assert_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
}

Test(timing, takeover_joins_the_schedule)
{
    uint64_t sent = p->now_ms;

    p->held[GATEWAY] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    pair_pass(p, 4000); /* sent, +1000, +2800 */
    cr_assert_eq(pair_flying_from(p, GATEWAY), 3);
    pair_takeover(p, GATEWAY);
    cr_assert_eq(pair_flying_from(p, GATEWAY), 4);
    pair_pass(p, sent + 6040 - p->now_ms - 1);
    cr_assert_eq(pair_flying_from(p, GATEWAY), 4);
    pair_pass(p, 1);
    cr_assert_eq(pair_flying_from(p, GATEWAY), 5);
}

/* An outage of ours longer than the whole schedule is not the peer's death. */
Test(timing, takeover_after_the_schedule_starts_it_over)
{
    p->held[GATEWAY] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    p->now_ms += 100000; /* nobody served the SA */
    pair_takeover(p, GATEWAY);
    cr_assert_eq(p->said[p->n_said - 1].outcome, IKE_STEPPED);
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
    p->held[GATEWAY] = false;
    pair_run(p);
    cr_assert_null(pair_disagreement(p));
    cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_PEER_DEAD), 0);
}

Test(timing, a_node_that_was_away_sends_once)
{
    p->held[GATEWAY] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    p->now_ms += 12000; /* four are overdue */
    pair_pass(p, 0);
    cr_assert_eq(pair_flying_from(p, GATEWAY), 2);
}

Test(timing, a_node_that_was_away_for_the_whole_schedule_starts_it_over)
{
    p->held[GATEWAY] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    p->now_ms += 100000;
    pair_pass(p, 0);
    cr_assert_eq(pair_flying_from(p, GATEWAY), 2);
    pair_pass(p, 40000);
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
    p->held[GATEWAY] = false;
    pair_run(p);
    cr_assert_null(pair_disagreement(p));
}

Test(timing, takeover_begins_nothing_by_itself)
{
    size_t sent = p->n_sent;

    for (int i = 0; i < 50; i++)
        pair_takeover(p, GATEWAY);
    pair_pass(p, 20000);
    cr_assert_eq(p->n_sent, sent);
}

Test(timing, keepalives_only_behind_a_nat)
{
    p->side[CLIENT].policy.dpd_ms = p->side[GATEWAY].policy.dpd_ms = 0;
    pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->nat_remote = true;
    pair_pass(p, 100000);
    cr_assert_eq(p->keepalives, 0);
    pair_sa(p, CLIENT, IKE_SA_ESTABLISHED)->nat_local = true;
    pair_pass(p, 100000);
    cr_assert_geq(p->keepalives, 4);
    cr_assert_leq(p->keepalives, 6);
    p->keepalives = 0;
    p->side[CLIENT].policy.retransmit_first_ms = 60000;
    p->held[GATEWAY] = true; /* an exchange is open: the mapping is kept all the same */
    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD);
    pair_pass(p, 30000);
    cr_assert_geq(p->keepalives, 1);
}

/* The answer to a replayed request goes to whoever replayed it: the NAT's mapping to the peer is
 * not kept by it, so the keepalive must leave all the same. */
Test(timing, a_replayed_request_from_elsewhere_postpones_no_keepalive)
{
    struct pair_flying request;

    p->side[CLIENT].policy.dpd_ms = p->side[GATEWAY].policy.dpd_ms = 0;
    pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->nat_remote = true;
    pair_sa(p, CLIENT, IKE_SA_ESTABLISHED)->nat_local = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_DPD);
    request = p->flying[0];
    pair_run(p);
    for (int i = 0; i < 10; i++) {
        pair_pass(p, 10000);
        p->flying[p->n_flying] = request;
        p->flying[p->n_flying].src.port = 41000;
        p->flying[p->n_flying++].arrives_ms = p->now_ms;
        cr_assert(pair_deliver(p, GATEWAY));
        cr_assert_eq(p->said[p->n_said - 1].outcome, IKE_LOCAL, "answered again");
    }
    cr_assert_geq(p->keepalives, 4);
    cr_assert_leq(p->keepalives, 6);
}

/* RFC 7296 2.4: only a fresh message is life. Whoever recorded a request and sends it again and again
 * does not keep a dead peer's SA. */
Test(timing, a_replayed_request_is_no_life)
{
    struct pair_flying request;
    uint64_t asked = 0;

    p->side[CLIENT].policy.dpd_ms = 0;
    (void)pair_command(p, CLIENT, IKE_WANT_DPD);
    request = p->flying[0];
    pair_run(p);
    p->n_said = 0;
    p->held[GATEWAY] = true; /* the client is dead */
    for (int i = 0; i < 6; i++) {
        pair_pass(p, 10000);
        p->flying[p->n_flying] = request;
        p->flying[p->n_flying++].arrives_ms = p->now_ms;
        cr_assert(pair_deliver(p, CLIENT));
        cr_assert_eq(p->said[p->n_said - 1].outcome, IKE_LOCAL, "answered again");
    }
    for (size_t i = 0; i < p->n_said && asked == 0; i++)
        if (p->said[i].exchange == IKE_EX_DPD && p->said[i].begun == IKE_BY_US)
            asked = p->said[i].now_ms;
    cr_assert_neq(asked, 0, "never asked for life");
    while (pair_flying_from(p, GATEWAY) > 0)
        cr_assert(pair_lose(p, GATEWAY));
    pair_pass(p, 42000);
    cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_PEER_DEAD), 1);
}

/* RFC 7296 2.23: a new address only after a packet that verified, and only of a peer behind a NAT.
 */
Test(timing, peer_moves_behind_its_nat)
{
    struct ike_sa *g = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
    struct endpoint moved = {.ip = addr_v4(0xc0000201), .port = 40001};
    struct ike_event ev = {.kind = IKE_EV_PEER_MOVED, .remote = moved};

    cr_assert_eq(pair_event(p, GATEWAY, g, &ev), IKE_IGNORED, "no NAT");
    g->nat_remote = true;
    cr_assert_eq(pair_event(p, GATEWAY, g, &ev), IKE_STEPPED);
    cr_assert(endpoint_equal(&g->remote, &moved));
    cr_assert_eq(pair_event(p, GATEWAY, g, &ev), IKE_IGNORED, "once");
    g->nat_local = true;
    ev.remote.port = 40002;
    cr_assert_eq(pair_event(p, GATEWAY, g, &ev), IKE_IGNORED, "we are behind one ourselves");
    g->nat_local = false;
    (void)pair_command(p, CLIENT, IKE_WANT_DPD); /* an IKE message shows the way as well */
    pair_run(p);
    cr_assert(endpoint_equal(&g->remote, &p->side[CLIENT].at));
}

Test(timing, address_does_not_change_on_a_forged_packet)
{
    struct ike_sa *g = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
    struct endpoint before;

    g->nat_remote = true;
    before = g->remote;
    p->held[CLIENT] = true;
    (void)pair_command(p, CLIENT, IKE_WANT_DPD);
    p->flying[0].src.port = 1;
    p->flying[0].bytes[p->flying[0].len - 1] ^= 1;
    cr_assert(pair_deliver(p, CLIENT));
    cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_BAD_ICV);
    cr_assert(endpoint_equal(&g->remote, &before));
}

/* The answer to a retransmission goes to where it came from. */
Test(timing, retransmission_from_a_new_port_is_answered_there)
{
    p->held[CLIENT] = p->held[GATEWAY] = true;
    (void)pair_command(p, CLIENT, IKE_WANT_DPD);
    pair_duplicate(p, CLIENT);
    cr_assert(pair_deliver(p, CLIENT));
    p->flying[0].src.port = 41000;
    cr_assert(pair_deliver(p, CLIENT));
    cr_assert_eq(p->n_flying, 2);
    cr_assert_eq(p->flying[1].dst.port, 41000);
    cr_assert_arr_eq(p->flying[1].bytes, p->flying[0].bytes, p->flying[0].len);
}

Test(timing, soft_limits_differ_by_role_and_are_spread)
{
    const struct ike_lifetime *life = &p->side[GATEWAY].policy.ike_life;
    uint64_t lowest = UINT64_MAX, highest = 0;
    uint8_t entropy[8] = {0};
    const struct ike_start five = {5, entropy, false};

    cr_assert_eq(ike_lifetime_soft_ms(life, IKE_BY_US, &five), 5 + life->hard_ms / 100 * 70);
    cr_assert_eq(ike_lifetime_soft_ms(life, IKE_BY_PEER, &five), 5 + life->hard_ms / 100 * 80);
    for (int i = 0; i < 1000; i++) {
        uint64_t soft;

        for (size_t j = 0; j < 8; j++)
            entropy[j] = (uint8_t)(i * 7919 >> (j & 3) * 3);
        soft = ike_lifetime_soft_ms(life, IKE_BY_US, &(struct ike_start){0, entropy, false});
        lowest = soft < lowest ? soft : lowest;
        highest = soft > highest ? soft : highest;
    }
    cr_assert_geq(lowest, life->hard_ms / 100 * 65);
    cr_assert_leq(highest, life->hard_ms / 100 * 70);
    cr_assert_geq(highest - lowest, life->hard_ms / 100 * 4);
}

Test(timing, limits_that_are_off_or_beyond_the_cipher)
{
    struct ike_child_terms terms = {.life = p->side[GATEWAY].policy.child_life};
    struct ike_child c = {.begun = IKE_BY_US};
    uint8_t entropy[8] = {0};

    terms.life.hard_ms = 0;
    terms.life.hard_packets = 1ull << 40;
    terms.life.soft_packets = 1ull << 41;
    ike_lifetime_start_child(&terms, &c, &(struct ike_start){1, entropy, false});
    cr_assert_eq(c.hard_ms, UINT64_MAX);
    cr_assert_eq(c.soft_ms, UINT64_MAX);
    cr_assert_eq(c.hard_packets, (1ull << 32) - (1 << 20), "never beyond what 32 bits can count");
    cr_assert_lt(c.soft_packets, c.hard_packets);
    c.esn = true;
    ike_lifetime_start_child(&terms, &c, &(struct ike_start){1, entropy, false});
    cr_assert_eq(c.hard_packets, 1ull << 40);
}

/* No wake in the past that does nothing, over every state that a long quiet life goes through. */
Test(timing, wakes_always_find_work)
{
    p->side[CLIENT].policy.child_life.hard_ms = 600000;
    p->side[GATEWAY].policy.child_life.hard_ms = 500000;
    p->side[CLIENT].policy.ike_life.hard_ms = 1800000;
    p->side[GATEWAY].policy.ike_life.hard_ms = 2000000;
    p->loss_percent = 10;
    pair_pass(p, 6 * 3600 * 1000ull);
    p->loss_percent = 0;
    pair_pass(p, 120000);
    cr_assert_eq(pair_count_children(p, CLIENT), pair_count_children(p, GATEWAY));
}
