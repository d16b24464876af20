/* A CHILD SA is rekeyed by either side, with and without PFS. RFC 7296 1.3.3, 2.8. */
#include <criterion/criterion.h>

#include "ike_pair/pair.h"

static struct pair *p;

static void setup(void)
{
    p = pair_new(1);
}

static void teardown(void)
{
    pair_free(p);
}

TestSuite(rekey_child, .init = setup, .fini = teardown);

static void agree(void)
{
    const char *wrong = pair_disagreement(p);

    cr_assert_null(wrong, "%s", wrong);
}

/* The whole of a gateway-begun rekey, and what each step says of itself. */
static void gateway_begins(uint32_t want, enum ike_exchange exchange)
{
    uint32_t old_c = pair_sender(p, CLIENT)->spi_in, old_g = pair_sender(p, GATEWAY)->spi_in;
    const struct pair_said *said;
    const struct ike_child *now;

    cr_assert_eq(pair_command(p, GATEWAY, want), IKE_STEPPED);
    said = &p->said[p->n_said - 1];
    cr_assert(said->exchange == exchange && said->begun == IKE_BY_US && !said->completes &&
              !said->peer_step);
    cr_assert_eq(pair_child(p, GATEWAY, old_g)->state, IKE_CHILD_REKEYING);

    cr_assert(pair_deliver(p, GATEWAY)); /* the request */
    said = &p->said[p->n_said - 1];
    cr_assert(said->who == CLIENT && said->exchange == exchange && said->begun == IKE_BY_PEER &&
              said->completes && !said->peer_step);
    cr_assert_eq(pair_child(p, CLIENT, old_c)->state, IKE_CHILD_REKEYED);
    cr_assert_eq(pair_sender(p, CLIENT)->spi_in, old_c, "the responder still sends on the old one");
    cr_assert_eq(pair_count_children(p, CLIENT), 2);

    cr_assert(pair_deliver(p, CLIENT)); /* the answer */
    said = &p->said[p->n_said - 1];
    cr_assert(said->who == GATEWAY && said->exchange == exchange && said->begun == IKE_BY_US &&
              said->completes && said->peer_step);
    cr_assert_eq(pair_child(p, GATEWAY, old_g)->state, IKE_CHILD_DELETING);
    now = pair_sender(p, GATEWAY);
    cr_assert_neq(now->spi_in, old_g, "the initiator sends on the new one at once");
    cr_assert_eq(now->ke_id, exchange == IKE_EX_CHILD_REKEY_PFS ? 31 : 0);
    cr_assert_eq(now->rekey_count, 1);

    cr_assert(pair_deliver(p, GATEWAY)); /* Delete of the old one */
    said = &p->said[p->n_said - 1];
    cr_assert(said->exchange == exchange && said->begun == IKE_BY_PEER && said->peer_step &&
              !said->completes);
    cr_assert_null(pair_child(p, CLIENT, old_c));
    cr_assert_eq(pair_sender(p, CLIENT)->spi_out, now->spi_in);

    cr_assert(pair_deliver(p, CLIENT)); /* its answer */
    said = &p->said[p->n_said - 1];
    cr_assert(said->exchange == IKE_EX_CHILD_DELETE && said->begun == IKE_BY_US &&
              said->completes && said->peer_step);
    cr_assert_null(pair_child(p, GATEWAY, old_g));
    cr_assert_eq(p->n_flying, 0);
    cr_assert_eq(pair_count_children(p, CLIENT), 1);
    agree();
}

Test(rekey_child, gateway_with_pfs_by_policy)
{
    gateway_begins(IKE_WANT_REKEY_CHILD, IKE_EX_CHILD_REKEY_PFS);
}

Test(rekey_child, gateway_without_pfs)
{
    gateway_begins(IKE_WANT_REKEY_CHILD_NOPFS, IKE_EX_CHILD_REKEY);
}

Test(rekey_child, gateway_many_times)
{
    gateway_begins(IKE_WANT_REKEY_CHILD_PFS, IKE_EX_CHILD_REKEY_PFS);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD_NOPFS), IKE_STEPPED);
        pair_run(p);
        cr_assert_eq(pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD), IKE_STEPPED);
        pair_run(p);
        agree();
    }
    cr_assert_eq(pair_sender(p, GATEWAY)->rekey_count, 41);
    cr_assert_eq(pair_count_children(p, GATEWAY), 1);
}

Test(rekey_child, client_began_and_every_step_is_named)
{
    const enum ike_exchange ex = IKE_EX_CHILD_REKEY_PFS;

    cr_assert_eq(pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD_PFS), IKE_STEPPED);
    pair_run(p);
    cr_assert_not_null(pair_find_said(p, GATEWAY, ex, IKE_BY_PEER, false), "the answer");
    cr_assert_not_null(pair_find_said(p, GATEWAY, ex, IKE_BY_PEER, true),
                       "the Delete that ends it");
    cr_assert_null(pair_find_said(p, GATEWAY, IKE_EX_CHILD_DELETE, IKE_BY_PEER, false));
    agree();
}

Test(rekey_child, pfs_by_policy_every_third)
{
    p->side[GATEWAY].policy.pfs = IKE_PFS_EVERY;
    p->side[GATEWAY].policy.pfs_every = 3;
    for (int i = 1; i <= 6; i++) {
        (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
        pair_run(p);
        cr_assert_eq(pair_sender(p, GATEWAY)->ke_id, i % 3 == 0 ? 31 : 0, "rekey %d", i);
    }
    p->side[GATEWAY].policy.pfs = IKE_PFS_NEVER;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    pair_run(p);
    cr_assert_eq(pair_sender(p, GATEWAY)->ke_id, 0);
}

/* As responder we send on the new SA at the first sign that the peer has it. */
Test(rekey_child, outbound_moves_at_the_first_packet_on_the_new_sa)
{
    uint32_t old = pair_sender(p, GATEWAY)->spi_in, new_in;

    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD);
    cr_assert(pair_deliver(p, CLIENT));
    cr_assert_eq(pair_sender(p, GATEWAY)->spi_in, old);
    new_in = pair_child(p, GATEWAY, old)->successor_spi_in;
    cr_assert_eq(pair_esp(p, GATEWAY, IKE_EV_CHILD_INBOUND, old), IKE_LOCAL,
                 "the old one says nothing");
    cr_assert_eq(pair_sender(p, GATEWAY)->spi_in, old);
    cr_assert_eq(pair_esp(p, GATEWAY, IKE_EV_CHILD_INBOUND, new_in), IKE_STEPPED);
    cr_assert_eq(pair_sender(p, GATEWAY)->spi_in, new_in);
    cr_assert_eq(pair_child(p, GATEWAY, old)->state, IKE_CHILD_REKEYED, "still receives");
    cr_assert_eq(pair_esp(p, GATEWAY, IKE_EV_CHILD_INBOUND, new_in), IKE_LOCAL, "once");
    pair_run(p);
    agree();
}

Test(rekey_child, outbound_moves_at_the_peers_next_request)
{
    uint32_t old = pair_sender(p, GATEWAY)->spi_in;
    struct ike_event dpd = {.kind = IKE_EV_COMMAND, .want = IKE_WANT_DPD};
    struct ike_sa *c = pair_sa(p, CLIENT, IKE_SA_ESTABLISHED);

    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD);
    cr_assert(pair_deliver(p, CLIENT));
    cr_assert(pair_deliver(p, GATEWAY));
    cr_assert(pair_lose(p, CLIENT)); /* its Delete is lost; it would come again */
    cr_assert_eq(pair_sender(p, GATEWAY)->spi_in, old);
    (void)pair_event(p, CLIENT, c, &dpd); /* waits: the window is taken */
    cr_assert_neq(c->wanted & IKE_WANT_DPD, 0);
    pair_pass(p, 5000);
    cr_assert_neq(pair_sender(p, GATEWAY)->spi_in, old);
    cr_assert_eq(c->wanted, 0);
    agree();
}

/* An answer that was lost is given again, byte for byte, by whichever node serves the SA by then.
 */
Test(rekey_child, lost_answer_is_repeated_by_another_node)
{
    uint32_t spi;

    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD);
    cr_assert(pair_deliver(p, CLIENT));
    spi = pair_child(p, GATEWAY, pair_sender(p, GATEWAY)->successor_spi_in)->spi_in;
    cr_assert(pair_lose(p, GATEWAY));
    pair_takeover(p, GATEWAY);
    pair_pass(p, 3000);
    cr_assert_eq(pair_sender(p, GATEWAY)->spi_in, spi, "the very SA of the first answer");
    agree();
}

Test(rekey_child, own_request_goes_on_after_takeover)
{
    uint64_t wake;

    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    cr_assert(pair_lose(p, GATEWAY));
    pair_takeover(p, GATEWAY);
    cr_assert_eq(pair_flying_from(p, GATEWAY), 1, "sent again at once");
    wake = ike_next_wake_ms(&p->side[GATEWAY].policy, pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
    cr_assert_eq(wake, p->now_ms + 1000, "on the schedule of the first sending");
    pair_run(p);
    agree();
    for (size_t i = 0; i < p->n_sent; i++)
        cr_assert_leq(p->sent[i].times, 2);
}

Test(rekey_child, duplicates_and_late_copies_change_nothing)
{
    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD);
    for (int i = 0; i < 4; i++) {
        enum pair_who from = pair_flying_from(p, CLIENT) > 0 ? CLIENT : GATEWAY;

        pair_duplicate(p, from);
        cr_assert(pair_deliver(p, from));
    }
    pair_run(p);
    agree();
    cr_assert_eq(pair_count_children(p, GATEWAY), 1);
}

Test(rekey_child, soft_limits_of_time_and_packets_begin_one)
{
    const struct ike_child *g = pair_sender(p, GATEWAY);
    uint32_t old = g->spi_in;

    cr_assert_eq(pair_esp(p, GATEWAY, IKE_EV_CHILD_SOFT, old), IKE_STEPPED);
    cr_assert_eq(pair_esp(p, GATEWAY, IKE_EV_CHILD_SOFT, old), IKE_IGNORED, "once");
    pair_run(p);
    cr_assert_null(pair_child(p, GATEWAY, old));
    old = pair_sender(p, CLIENT)->spi_in;
    pair_pass(p, 4 * 3600 * 1000ull);
    cr_assert_null(pair_child(p, CLIENT, old), "and by time");
    cr_assert_eq(pair_count_children(p, CLIENT), 1);
    cr_assert_eq(pair_count_reason(p, CLIENT, IKE_REASON_HARD_LIFETIME), 0);
    agree();
}

Test(rekey_child, selectors_of_the_old_one_are_kept)
{
    struct ike_ts remote = pair_sender(p, GATEWAY)->remote_ts[0];

    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD);
    pair_run(p);
    cr_assert_arr_eq(&pair_sender(p, GATEWAY)->remote_ts[0], &remote, sizeof remote);
}

/* The peer has no row in common any more: the old SA goes on, tried again later, ended by its hard
 * limit. */
Test(rekey_child, no_proposal_keeps_the_old_one_until_its_hard_limit)
{
    uint32_t old = pair_sender(p, GATEWAY)->spi_in;

    p->side[CLIENT].policy.esp[0].encr_bits = 128;
    p->side[CLIENT].policy.n_esp = 1;
    p->side[GATEWAY].policy.n_esp = 1;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    pair_run(p);
    cr_assert_eq(pair_child(p, GATEWAY, old)->state, IKE_CHILD_INSTALLED);
    cr_assert_geq(pair_child(p, GATEWAY, old)->retry_ms, p->now_ms + 4900, "not at once");
    pair_pass(p, 60000);
    cr_assert_geq(pair_count_reason(p, GATEWAY, IKE_REASON_NO_PROPOSAL), 4);
    pair_pass(p, 4 * 3600 * 1000ull);
    cr_assert_null(pair_child(p, GATEWAY, old));
}

/* We do not delete what the peer may not have yet; then the Delete crosses the peer's own of the
 * old one. */
Test(rekey_child, new_one_is_deleted_as_soon_as_the_peer_has_it)
{
    uint32_t old = pair_sender(p, GATEWAY)->spi_in, new_in;

    p->held[CLIENT] = p->held[GATEWAY] = true;
    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD);
    cr_assert(pair_deliver(p, CLIENT));
    new_in = pair_child(p, GATEWAY, old)->successor_spi_in;
    cr_assert_eq(pair_command_child(p, GATEWAY, IKE_WANT_DELETE_CHILD, new_in), IKE_STEPPED);
    cr_assert_eq(pair_flying_from(p, GATEWAY), 1, "only the answer: the Delete waits");
    cr_assert(pair_deliver(p, GATEWAY));
    cr_assert_eq(pair_esp(p, GATEWAY, IKE_EV_CHILD_INBOUND, new_in), IKE_STEPPED);
    pair_run(p);
    cr_assert_eq(pair_flying_from(p, GATEWAY), 1, "now it leaves");
    cr_assert_eq(pair_child(p, GATEWAY, new_in)->state, IKE_CHILD_DELETING);
    p->held[CLIENT] = p->held[GATEWAY] = false;
    pair_run(p);
    agree();
    cr_assert_eq(pair_count_children(p, GATEWAY), 0);
}
