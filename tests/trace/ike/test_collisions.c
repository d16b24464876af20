/* Both sides at once: RFC 7296 2.8.1, 2.8.2, 2.25. Who loses is chosen by the first octet of the
 * nonces. */
#include <criterion/criterion.h>

#include "ike_pair/pair.h"

static struct pair *p;

static void setup(void)
{
    p = pair_new(6);
    p->held[CLIENT] = p->held[GATEWAY] = true;
}

static void teardown(void)
{
    pair_free(p);
}

TestSuite(collisions, .init = setup, .fini = teardown);

static void agree(size_t children)
{
    const char *wrong = pair_disagreement(p);

    cr_assert_null(wrong, "%s", wrong);
    cr_assert_eq(pair_count_children(p, CLIENT), children);
    cr_assert_eq(pair_count_children(p, GATEWAY), children);
}

static void let_go(void)
{
    p->held[CLIENT] = p->held[GATEWAY] = false;
    pair_run(p);
}

/* All nonces that `who` makes from now on begin with this octet. */
static void nonces(enum pair_who who, uint8_t first)
{
    p->side[who].force_nonce = true;
    p->side[who].nonce_first = first;
}

/* The four nonces: client's request, gateway's answer to it, gateway's request, client's answer to
 * that. */
struct order {
    uint8_t c_ask, g_answer, g_ask, c_answer;
    enum pair_who loser; /* whose exchange holds the lowest one */
};

static const struct order orders[] = {
    {1, 2, 3, 4, CLIENT},  {2, 1, 3, 4, CLIENT},  {3, 1, 2, 4, CLIENT},  {1, 4, 2, 3, CLIENT},
    {3, 4, 1, 2, GATEWAY}, {3, 4, 2, 1, GATEWAY}, {2, 4, 3, 1, GATEWAY}, {4, 2, 1, 3, GATEWAY},
};

enum { N_ORDERS = sizeof orders / sizeof orders[0] };

/* Both requests leave, both are answered; the answers are still in flight. */
static void both_ask(const struct order *o, uint32_t want)
{
    nonces(CLIENT, o->c_ask);
    cr_assert_eq(pair_command(p, CLIENT, want), IKE_STEPPED);
    nonces(GATEWAY, o->g_ask);
    cr_assert_eq(pair_command(p, GATEWAY, want), IKE_STEPPED);
    nonces(GATEWAY, o->g_answer);
    cr_assert(pair_deliver(p, CLIENT));
    nonces(CLIENT, o->c_answer);
    cr_assert(pair_deliver(p, GATEWAY));
}

Test(collisions, both_rekey_a_child)
{
    for (int i = 0; i < N_ORDERS; i++) {
        const struct order *o = &orders[i];
        enum pair_who winner = o->loser == CLIENT ? GATEWAY : CLIENT;
        uint32_t old_g = pair_sender(p, GATEWAY)->spi_in, winners;

        both_ask(o, IKE_WANT_REKEY_CHILD_NOPFS);
        cr_assert_eq(pair_count_children(p, GATEWAY), 2, "both receive on both");
        winners = pair_sa(p, winner, IKE_SA_ESTABLISHED)->pending.new_spi_in;
        let_go();
        agree(1);
        cr_assert_eq(pair_sender(p, winner)->spi_in, winners, "order %d", i);
        cr_assert_eq(pair_sender(p, winner)->begun, IKE_BY_US);
        cr_assert_null(pair_child(p, GATEWAY, old_g));
        p->held[CLIENT] = p->held[GATEWAY] = true;
    }
}

/* The same with a takeover of both ends between all steps, and with copies of everything. */
Test(collisions, both_rekey_a_child_and_nodes_die)
{
    p->takeover_always = true;
    for (int i = 0; i < N_ORDERS; i++) {
        both_ask(&orders[i], IKE_WANT_REKEY_CHILD_PFS);
        let_go();
        agree(1);
        p->held[CLIENT] = p->held[GATEWAY] = true;
    }
}

/* Only one notices: the other finished its rekey before the first request came. RFC 7296 2.8.1. */
Test(collisions, rekey_request_that_comes_after_the_delete)
{
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD); /* late */
    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD);
    cr_assert(pair_deliver(p, CLIENT)); /* the client's request: a collision for the gateway */
    cr_assert(pair_flying_from(p, GATEWAY) == 2);
    /* the gateway's request is overtaken by its answer */
    pair_duplicate(p, GATEWAY);
    cr_assert(pair_lose(p, GATEWAY));
    cr_assert(pair_deliver(p, GATEWAY)); /* the answer */
    cr_assert_eq(pair_count_children(p, CLIENT), 2);
    cr_assert(pair_deliver(p, CLIENT)); /* Delete of the old one */
    cr_assert_eq(pair_count_children(p, GATEWAY), 1);
    cr_assert(pair_deliver(p, GATEWAY)); /* now the late request: it is being deleted */
    cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_TEMPORARY_FAILURE);
    let_go();
    agree(1);
}

Test(collisions, rekey_of_a_child_that_is_gone)
{
    uint32_t spi = pair_sender(p, GATEWAY)->spi_in;

    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    (void)pair_command_child(p, CLIENT, IKE_WANT_DELETE_CHILD, 0);
    cr_assert(pair_deliver(p, CLIENT)); /* Delete of what we rekey: answered as usual */
    cr_assert_null(pair_child(p, GATEWAY, spi));
    pair_duplicate(p, GATEWAY);
    cr_assert(pair_lose(p, GATEWAY));
    cr_assert(pair_deliver(p, GATEWAY)); /* the Delete's answer overtakes the request */
    cr_assert_eq(pair_count_children(p, CLIENT), 0);
    let_go();
    cr_assert_eq(pair_count_reason(p, CLIENT, IKE_REASON_CHILD_NOT_FOUND), 1);
    cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_CHILD_NOT_FOUND), 1);
    agree(0); /* it was deleted on purpose: nothing is made from scratch */
}

Test(collisions, peer_lost_the_child)
{
    struct ike_sa *c = pair_sa(p, CLIENT, IKE_SA_ESTABLISHED);

    memset(&c->children[0], 0, sizeof c->children[0]);
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    let_go();
    agree(1); /* removed in silence, made from scratch (RFC 7296 2.25) */
    cr_assert_eq(pair_sender(p, GATEWAY)->rekey_count, 0);
}

Test(collisions, rekey_against_delete_of_the_same_child)
{
    (void)pair_command_child(p, GATEWAY, IKE_WANT_DELETE_CHILD, 0);
    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD);
    cr_assert(pair_deliver(p, CLIENT)); /* rekey of one that we delete */
    cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_TEMPORARY_FAILURE);
    let_go();
    agree(0);
    pair_pass(p, 60000);
    agree(0);
}

Test(collisions, delete_against_delete_of_a_child)
{
    (void)pair_command_child(p, GATEWAY, IKE_WANT_DELETE_CHILD, 0);
    (void)pair_command_child(p, CLIENT, IKE_WANT_DELETE_CHILD, 0);
    cr_assert(pair_deliver(p, CLIENT));
    cr_assert(pair_deliver(p, GATEWAY));
    for (int w = CLIENT; w <= GATEWAY; w++) { /* RFC 7296 1.4.1: each goes at its own answer */
        cr_assert_eq(pair_count_children(p, (enum pair_who)w), 1);
        cr_assert_null(pair_sender(p, (enum pair_who)w), "but sends no more");
    }
    let_go();
    agree(0);
}

Test(collisions, both_rekey_the_ike_sa)
{
    for (int i = 0; i < N_ORDERS; i++) {
        const struct order *o = &orders[i];
        enum pair_who winner = o->loser == CLIENT ? GATEWAY : CLIENT;
        uint32_t child = pair_sender(p, GATEWAY)->spi_in;
        uint64_t winners;

        both_ask(o, IKE_WANT_REKEY_IKE);
        cr_assert_eq(pair_count_sas(p, GATEWAY, IKE_SA_ESTABLISHED), 1, "nothing is decided yet");
        cr_assert_eq(pair_count_children(p, GATEWAY), 1);
        winners = pair_sa(p, winner, IKE_SA_ESTABLISHED)->pending.new_ike_spi;
        let_go();
        pair_run(p);
        agree(1);
        cr_assert_eq(pair_sa(p, winner, IKE_SA_ESTABLISHED)->local_spi, winners, "order %d", i);
        cr_assert_eq(pair_sender(p, GATEWAY)->spi_in, child, "moved once");
        cr_assert_eq(pair_count_sas(p, GATEWAY, IKE_SA_ENDED), 2, "the old and the redundant one");
        cr_assert_eq(pair_count_sas(p, CLIENT, IKE_SA_ENDED), 2);
        cr_assert_eq(pair_count_sas(p, CLIENT, IKE_SA_REKEYED), 0);
        p->held[CLIENT] = p->held[GATEWAY] = false;
        pair_pass(p, 70000);
        p->held[CLIENT] = p->held[GATEWAY] = true;
    }
}

Test(collisions, both_rekey_the_ike_sa_and_nodes_die)
{
    p->takeover_always = true;
    for (int i = 0; i < N_ORDERS; i++) {
        both_ask(&orders[i], IKE_WANT_REKEY_IKE);
        let_go();
        pair_pass(p, 100000);
        agree(1);
        cr_assert_eq(pair_count_sas(p, GATEWAY, IKE_SA_REKEYED), 0);
        p->held[CLIENT] = p->held[GATEWAY] = true;
    }
}

/* The client has both answers and lost; its own is lost on the way, again and again, and its patience
 * with the gateway's Delete ends before the gateway's with the answer. */
Test(collisions, ike_rekey_whose_answer_is_late_for_very_long)
{
    p->side[CLIENT].policy.retransmit_tries = 3; /* 12 s in all */
    p->side[GATEWAY].policy.retransmit_tries = 8;
    for (int i = 0; i < N_ORDERS; i++) {
        enum pair_who winner = orders[i].loser == CLIENT ? GATEWAY : CLIENT;
        uint64_t winners;

        both_ask(&orders[i], IKE_WANT_REKEY_IKE);
        winners = pair_sa(p, winner, IKE_SA_ESTABLISHED)->pending.new_ike_spi;
        cr_assert(pair_deliver(p, GATEWAY));
        cr_assert(pair_lose(p, CLIENT)); /* its answer */
        pair_pass(p, 15000);
        while (pair_flying_from(p, CLIENT) > 0)
            cr_assert(pair_deliver(p, CLIENT));
        let_go();
        pair_pass(p, 100000);
        agree(1);
        cr_assert_eq(pair_sa(p, winner, IKE_SA_ESTABLISHED)->local_spi, winners, "order %d", i);
        p->held[CLIENT] = p->held[GATEWAY] = true;
    }
}

/* The gateway's answer is lost, and so is whatever the client asks again: the gateway repeats it by itself
 * when the client's Delete should have come. */
Test(collisions, ike_rekey_whose_answer_is_repeated_unasked)
{
    p->side[CLIENT].policy.retransmit_tries = 8;
    p->side[GATEWAY].policy.retransmit_tries = 2; /* 6 s in all */
    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_IKE);
    cr_assert(pair_deliver(p, CLIENT));
    cr_assert(pair_lose(p, GATEWAY));
    pair_pass(p, 5500);
    cr_assert_eq(pair_flying_from(p, GATEWAY), 0);
    pair_pass(p, 1000);
    while (pair_flying_from(p, CLIENT) > 0)
        cr_assert(pair_lose(p, CLIENT));
    cr_assert(pair_deliver(p, GATEWAY), "the same answer");
    cr_assert_not_null(pair_sa(p, CLIENT, IKE_SA_DELETING), "the client has it");
    let_go();
    pair_pass(p, 100000);
    agree(1);
}

/* The special case of RFC 7296 2.8.2: the client finishes without noticing the gateway's request.
 */
Test(collisions, ike_rekey_that_only_one_notices)
{
    const struct pair_said *said;

    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_IKE);
    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_IKE);
    cr_assert(pair_lose(p, GATEWAY));   /* the gateway's request is lost for now */
    cr_assert(pair_deliver(p, CLIENT)); /* the client's request: answered, kept back */
    cr_assert_neq(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED)->candidate.local_spi, 0);
    cr_assert(pair_deliver(p, GATEWAY)); /* the answer: the client moves, and deletes the old one */
    cr_assert(pair_deliver(p, CLIENT));  /* Delete of the old: our own attempt is forgotten */
    said = &p->said[p->n_said - 1];
    cr_assert(said->exchange == IKE_EX_IKE_REKEY && said->begun == IKE_BY_PEER && said->peer_step);
    cr_assert_eq(pair_count_children(p, GATEWAY), 1, "the children are with the peer's SA");
    let_go();
    pair_pass(p, 70000);
    agree(1);
    cr_assert_eq(pair_sa(p, CLIENT, IKE_SA_ESTABLISHED)->role, IKE_INITIATOR);
}

/* The same, but the gateway's request arrives at a client that is already closing the old SA. */
Test(collisions, ike_rekey_request_that_comes_while_closing)
{
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_IKE);
    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_IKE);
    pair_duplicate(p, GATEWAY);
    cr_assert(pair_lose(p, GATEWAY)); /* now the request stands behind what comes */
    cr_assert(pair_deliver(p, CLIENT));
    pair_duplicate(p, GATEWAY);
    cr_assert(pair_lose(p, GATEWAY)); /* answer first */
    cr_assert(pair_deliver(p, GATEWAY));
    cr_assert(pair_deliver(p, GATEWAY));
    cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_TEMPORARY_FAILURE);
    let_go();
    pair_pass(p, 70000);
    agree(1);
}

Test(collisions, child_rekey_against_ike_rekey)
{
    uint32_t child = pair_sender(p, GATEWAY)->spi_in;

    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_IKE);
    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD);
    cr_assert(pair_deliver(p, GATEWAY)); /* IKE rekey at one that rekeys a CHILD */
    cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_TEMPORARY_FAILURE);
    cr_assert(pair_deliver(p, CLIENT)); /* CHILD rekey at one that rekeys the IKE SA */
    cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_TEMPORARY_FAILURE);
    let_go();
    agree(1);
    cr_assert_eq(pair_sender(p, GATEWAY)->spi_in, child, "neither happened");
    pair_pass(p, 40000);
    agree(1);
    cr_assert_neq(pair_sender(p, GATEWAY)->spi_in, child, "both were tried again");
    cr_assert_neq(pair_count_sas(p, GATEWAY, IKE_SA_ENDED), 0);
}

Test(collisions, child_create_and_child_delete_against_ike_rekey)
{
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_IKE);
    (void)pair_command(p, CLIENT, IKE_WANT_CHILD);
    cr_assert(pair_deliver(p, CLIENT));
    cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_TEMPORARY_FAILURE);
    let_go();
    pair_pass(p, 60000);
    agree(2);
    p->held[CLIENT] = p->held[GATEWAY] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_IKE);
    (void)pair_command_child(p, CLIENT, IKE_WANT_DELETE_CHILD, 0);
    cr_assert(pair_deliver(p, CLIENT)); /* a Delete is answered as usual */
    cr_assert_eq(pair_count_children(p, GATEWAY), 1);
    let_go();
    pair_pass(p, 60000);
    agree(1);
}

Test(collisions, ike_delete_wins_over_everything)
{
    static const uint32_t wants[] = {IKE_WANT_REKEY_IKE, IKE_WANT_REKEY_CHILD, IKE_WANT_CHILD,
                                     IKE_WANT_DELETE_IKE, IKE_WANT_DPD};

    for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
        struct pair *saved = p;

        p = pair_new(100 + i);
        p->held[CLIENT] = p->held[GATEWAY] = true;
        (void)pair_command(p, CLIENT, IKE_WANT_DELETE_IKE);
        (void)pair_command(p, GATEWAY, wants[i]);
        let_go();
        pair_pass(p, 200000);
        cr_assert_eq(pair_count_children(p, GATEWAY), 0);
        cr_assert_eq(pair_count_children(p, CLIENT), 0);
        for (int s = IKE_SA_HALF_OPEN; s <= IKE_SA_ENDED; s++)
            cr_assert_eq(pair_count_sas(p, GATEWAY, (enum ike_sa_state)s), 0, "want %zu", i);
        pair_free(p);
        p = saved;
    }
}
