/* The IKE SA is rekeyed by either side: successor, children and address in one transition. RFC
 * 7296 1.3.2, 2.18. */
#include <criterion/criterion.h>

#include "ike_pair/pair.h"

static struct pair *p;

static void setup(void)
{
    p = pair_new(2);
}

static void teardown(void)
{
    pair_free(p);
}

TestSuite(rekey_ike, .init = setup, .fini = teardown);

static void agree(void)
{
    const char *wrong = pair_disagreement(p);

    cr_assert_null(wrong, "%s", wrong);
}

static void begun_by(enum pair_who who)
{
    enum pair_who other = who == CLIENT ? GATEWAY : CLIENT;
    struct ike_sa *old = pair_sa(p, who, IKE_SA_ESTABLISHED);
    uint64_t old_spi = old->local_spi, peer_spi = old->remote_spi;
    struct ip_addr address = old->virtual_ip[SLOT_V4];
    uint32_t child = pair_sender(p, other)->spi_in;
    const struct pair_said *said;
    struct ike_sa *sa;

    cr_assert_eq(pair_command(p, who, IKE_WANT_REKEY_IKE), IKE_STEPPED);
    said = &p->said[p->n_said - 1];
    cr_assert(said->exchange == IKE_EX_IKE_REKEY && said->begun == IKE_BY_US && !said->completes &&
              !said->peer_step);
    cr_assert(pair_deliver(p, who));
    said = &p->said[p->n_said - 1];
    cr_assert(said->exchange == IKE_EX_IKE_REKEY && said->begun == IKE_BY_PEER && said->completes &&
              !said->peer_step);
    sa = pair_sa(p, other, IKE_SA_REKEYED);
    cr_assert_not_null(sa);
    cr_assert_eq(sa->local_spi, peer_spi);
    cr_assert_eq(sa->virtual_ip[SLOT_V4].family, ADDR_NONE, "the address has moved");
    cr_assert_eq(sa->children[0].state, IKE_CHILD_NONE, "the children have moved");
    sa = pair_sa(p, other, IKE_SA_ESTABLISHED);
    cr_assert_eq(sa->role, IKE_RESPONDER);
    cr_assert_eq(sa->expected_request_id, 0);
    cr_assert_eq(sa->children[0].spi_in, child);
    cr_assert(addr_equal(&sa->virtual_ip[SLOT_V4], &address));

    cr_assert(pair_deliver(p, other));
    said = &p->said[p->n_said - 1];
    cr_assert(said->exchange == IKE_EX_IKE_REKEY && said->begun == IKE_BY_US && said->completes &&
              said->peer_step);
    cr_assert_eq(pair_sa(p, who, IKE_SA_DELETING)->local_spi, old_spi);
    cr_assert_eq(pair_sa(p, who, IKE_SA_ESTABLISHED)->role, IKE_INITIATOR);
    agree();

    cr_assert(pair_deliver(p, who)); /* Delete of the old one */
    said = &p->said[p->n_said - 1];
    cr_assert(said->exchange == IKE_EX_IKE_REKEY && said->begun == IKE_BY_PEER && said->peer_step);
    cr_assert_not_null(pair_sa(p, other, IKE_SA_ENDED));
    cr_assert(pair_deliver(p, other));
    said = &p->said[p->n_said - 1];
    cr_assert(said->exchange == IKE_EX_IKE_DELETE && said->begun == IKE_BY_US && said->completes);
    cr_assert_not_null(pair_sa(p, who, IKE_SA_ENDED));
    agree();
}

Test(rekey_ike, by_the_gateway)
{
    begun_by(GATEWAY);
}

Test(rekey_ike, by_the_client)
{
    begun_by(CLIENT);
}

Test(rekey_ike, roles_turn_and_everything_still_works)
{
    begun_by(GATEWAY);
    begun_by(CLIENT);
    begun_by(GATEWAY);
    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD);
    pair_run(p);
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD_NOPFS);
    pair_run(p);
    (void)pair_command(p, GATEWAY, IKE_WANT_DPD);
    pair_run(p);
    agree();
    cr_assert_eq(pair_count_children(p, GATEWAY), 1);
    pair_pass(p, 61000);
    cr_assert_eq(pair_count_sas(p, GATEWAY, IKE_SA_ENDED), 0, "ended ones are gone after a while");
}

Test(rekey_ike, ended_sa_still_answers_the_repeated_delete)
{
    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_IKE);
    cr_assert(pair_deliver(p, CLIENT));
    cr_assert(pair_deliver(p, GATEWAY));
    cr_assert(pair_deliver(p, CLIENT)); /* Delete */
    cr_assert(pair_lose(p, GATEWAY));   /* its answer */
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ENDED));
    cr_assert_eq(pair_sa(p, GATEWAY, IKE_SA_ENDED)->keys.sk_e_in.len, 0,
                 "and has no keys any more");
    pair_takeover(p, GATEWAY);
    pair_pass(p, 1500);
    cr_assert_not_null(pair_sa(p, CLIENT, IKE_SA_ENDED));
    cr_assert_null(pair_sa(p, CLIENT, IKE_SA_DELETING));
    agree();
}

Test(rekey_ike, lost_answer_is_repeated_by_another_node)
{
    uint64_t spi;

    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_IKE);
    cr_assert(pair_deliver(p, CLIENT));
    spi = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->local_spi;
    cr_assert(pair_lose(p, GATEWAY));
    pair_takeover(p, GATEWAY);
    pair_pass(p, 3000);
    cr_assert_eq(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->local_spi, spi);
    agree();
}

Test(rekey_ike, by_time_over_two_days)
{
    pair_pass(p, 48 * 3600 * 1000ull);
    agree();
    cr_assert_eq(pair_count_children(p, CLIENT), 1);
    cr_assert_eq(pair_count_reason(p, CLIENT, IKE_REASON_HARD_LIFETIME), 0);
    cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_HARD_LIFETIME), 0);
    cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_PEER_DEAD), 0);
}

Test(rekey_ike, queued_commands_move_to_the_successor)
{
    p->held[GATEWAY] = p->held[CLIENT] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_IKE);
    cr_assert_eq(pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD_NOPFS), IKE_STEPPED, "waits");
    p->held[GATEWAY] = p->held[CLIENT] = false;
    pair_run(p);
    pair_run(p);
    cr_assert_eq(pair_sender(p, GATEWAY)->rekey_count, 1);
    cr_assert_eq(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->wanted, 0);
    agree();
}

/* The peer never sends the Delete that it owes: the old SA ends by itself after a while. */
Test(rekey_ike, owed_delete_that_never_comes)
{
    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_IKE);
    cr_assert(pair_deliver(p, CLIENT));
    cr_assert(pair_deliver(p, GATEWAY));
    cr_assert(pair_lose(p, CLIENT)); /* the Delete, and the client forgets about it */
    pair_sa(p, CLIENT, IKE_SA_DELETING)->state = IKE_SA_NONE;
    pair_pass(p, 41000);
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_REKEYED));
    pair_pass(p, 90000);
    cr_assert_null(pair_sa(p, GATEWAY, IKE_SA_REKEYED));
    cr_assert_null(pair_sa(p, GATEWAY, IKE_SA_DELETING), "given up");
    agree();
}
