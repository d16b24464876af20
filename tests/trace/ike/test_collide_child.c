/* CHILD SAs: every case of the design's table (ike.md, "Collisions"). RFC 7296 1.4.1, 2.8, 2.8.1, 2.25.1. */
#include <criterion/criterion.h>

#include "collide.h"

#define COLLISION_SUITE collide_child

enum {
    REKEY = IKE_WANT_REKEY_CHILD_PFS,
    REKEY_PLAIN = IKE_WANT_REKEY_CHILD_NOPFS,
    DELETE = IKE_WANT_DELETE_CHILD,
    REKEY_IKE = IKE_WANT_REKEY_IKE,
    DELETE_IKE = IKE_WANT_DELETE_IKE,
    CREATE = IKE_WANT_CHILD
};

/* ---- one side rekeys ---- */

COLLISION(the_client_rekeys, .children = 1, .child = CLIENTS, .ike = OLD, .messages = 4)
{
    begins(t, CLIENT, REKEY);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1); /* Delete of the old one */
    arrives(t, GATEWAY, ANSWER, 1);
}

COLLISION(the_gateway_rekeys, .children = 1, .child = GATEWAYS, .ike = OLD, .messages = 4)
{
    begins(t, GATEWAY, REKEY_PLAIN);
    arrives(t, GATEWAY, REQUEST, 0);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, GATEWAY, REQUEST, 1);
    arrives(t, CLIENT, ANSWER, 1);
}

COLLISION(ke_invalid_and_retried, .children = 1, .child = CLIENTS, .ike = OLD, .messages = 6)
{
    begins(t, CLIENT, REKEY);
    wants_group(t, GATEWAY, 0, GROUP_B);
    arrives(t, GATEWAY, ANSWER, 0);
    saw(t, CLIENT, IKE_REASON_INVALID_KE);
    arrives(t, CLIENT, REQUEST, 1); /* the same rekey with the other group */
    arrives(t, GATEWAY, ANSWER, 1);
    arrives(t, CLIENT, REQUEST, 2);
    arrives(t, GATEWAY, ANSWER, 2);
}

/* The old SA's soft limit comes when it has a successor already: it must not be rekeyed again. */
COLLISION(soft_limit_while_a_delete_is_awaited, .children = 1, .child = CLIENTS, .ike = OLD,
          .messages = 4)
{
    begins(t, CLIENT, REKEY);
    arrives(t, CLIENT, REQUEST, 0);
    reaches(t, GATEWAY, IKE_EV_CHILD_SOFT); /* it awaits the Delete */
    arrives(t, GATEWAY, ANSWER, 0);
    reaches(t, CLIENT, IKE_EV_CHILD_SOFT); /* its Delete is out */
    arrives(t, CLIENT, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 1);
}

/* Gone at once; the gateway's own Delete crosses the one that it awaits. */
COLLISION(hard_limit_while_a_delete_is_awaited, .may_lose = true, .children = 1, .child = CLIENTS,
          .ike = OLD, .messages = 6)
{
    begins(t, CLIENT, REKEY);
    arrives(t, CLIENT, REQUEST, 0);
    reaches(t, GATEWAY, IKE_EV_CHILD_HARD);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, GATEWAY, REQUEST, 0); /* Delete against Delete */
    arrives(t, CLIENT, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 1);
}

COLLISION(hard_limit_while_our_delete_is_out, .may_lose = true, .children = 1, .child = CLIENTS,
          .ike = OLD, .messages = 4)
{
    begins(t, CLIENT, REKEY);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    reaches(t, CLIENT, IKE_EV_CHILD_HARD);
    arrives(t, CLIENT, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 1);
}

/* The gateway deletes the new SA before the old one's Delete has come: both are gone then. */
COLLISION(the_new_one_is_deleted_early, .may_lose = true, .children = 0, .child = NOBODY,
          .ike = OLD, .messages = 6)
{
    begins(t, CLIENT, REKEY);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    confirm(t, GATEWAY);
    begins_with(t, GATEWAY, DELETE, newest_child(t, GATEWAY));
    arrives(t, GATEWAY, REQUEST, 0);
    arrives(t, CLIENT, REQUEST, 1);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, GATEWAY, ANSWER, 1);
}

/* The client deletes the SA that it just made, while its Delete of the old one is out. */
COLLISION(the_new_one_is_deleted_early_by_its_maker, .may_lose = true, .children = 0,
          .child = NOBODY, .ike = OLD, .messages = 6)
{
    begins(t, CLIENT, REKEY);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    begins_with(t, CLIENT, DELETE, newest_child(t, CLIENT)); /* waits for the window */
    arrives(t, CLIENT, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 1);
    waits(t, 0);
    arrives(t, CLIENT, REQUEST, 2);
    arrives(t, GATEWAY, ANSWER, 2);
}

/* RFC 7296 2.25: CHILD_SA_NOT_FOUND: removed in silence, made from scratch. */
COLLISION(the_peer_lost_it, .may_lose = true, .children = 1, .child = GATEWAYS, .ike = OLD,
          .messages = 4)
{
    loses(t, CLIENT);
    begins(t, GATEWAY, REKEY);
    arrives(t, GATEWAY, REQUEST, 0);
    saw(t, CLIENT, IKE_REASON_CHILD_NOT_FOUND);
    arrives(t, CLIENT, ANSWER, 0);
    saw(t, GATEWAY, IKE_REASON_CHILD_NOT_FOUND);
}

/* The gateway deletes the old SA itself, and that overtakes its answer. */
COLLISION(a_stray_delete_before_the_response, .may_lose = true, .children = 1, .child = CLIENTS,
          .ike = OLD, .messages = 4)
{
    begins(t, CLIENT, REKEY);
    arrives(t, CLIENT, REQUEST, 0);
    begins(t, GATEWAY, DELETE);
    arrives(t, GATEWAY, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0); /* nothing is left to delete */
    arrives(t, CLIENT, ANSWER, 0);
}

/* The client's Delete never comes: the gateway deletes the old one when the client must have given up. */
static void patient_client(struct trace *t)
{
    t->p->side[CLIENT].policy.retransmit_tries = 8;
}

COLLISION(the_delete_times_out, .children = 1, .child = CLIENTS, .ike = OLD, .messages = 6,
          .repeats = 15, .prepare = patient_client)
{
    uint64_t whole = 45000;

    begins(t, CLIENT, REKEY);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    is_lost(t, CLIENT, REQUEST, 1);
    waits(t, whole);
    arrives(t, GATEWAY, REQUEST, 0); /* the gateway's own Delete: both delete it */
}

/* ---- both rekey ---- */

/* Both requests are answered; the answers fly. */
static void both_ask(struct trace *t, uint32_t want)
{
    begins(t, CLIENT, want);
    begins(t, GATEWAY, want);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, REQUEST, 0);
}

COLLISION(both_rekey_at_once, .by_nonces = true, .children = 1, .child = WINNERS, .ike = OLD,
          .messages = 8)
{
    both_ask(t, REKEY);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1); /* one deletes the old SA, the other the redundant one */
    arrives(t, GATEWAY, REQUEST, 1);
}

COLLISION(both_rekey_at_once_without_pfs, .by_nonces = true, .children = 1, .child = WINNERS,
          .ike = OLD, .messages = 8)
{
    both_ask(t, REKEY_PLAIN);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, GATEWAY, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1);
}

/* The gateway's Delete, of the old or of the redundant SA as the nonces say, overtakes its answer. */
COLLISION(a_response_delayed_past_the_delete, .by_nonces = true, .children = 1, .child = WINNERS,
          .ike = OLD, .messages = 8)
{
    both_ask(t, REKEY);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, GATEWAY, REQUEST, 1);
    arrives(t, CLIENT, ANSWER, 1);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 1);
}

/* The gateway deletes both, the old SA and the client's new one, before its answer gets there. */
COLLISION(a_response_after_both_are_deleted, .may_lose = true, .by_nonces = true, .children = 1,
          .child = WINNERS, .ike = OLD, .messages = 8, .repeats = 16, .prepare = patient_client)
{
    both_ask(t, REKEY);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, GATEWAY, REQUEST, 1);
    arrives(t, CLIENT, ANSWER, 1);
    waits(t, 45000); /* it gave up waiting for the client's Delete */
    arrives(t, GATEWAY, REQUEST, 2);
    arrives(t, CLIENT, ANSWER, 2);
    arrives(t, GATEWAY, ANSWER, 0);
}

/* The gateway's request comes when the client has finished without it: RFC 7296 2.25.1. */
COLLISION(a_request_delayed_past_the_delete, .by_nonces = true, .children = 1, .child = CLIENTS,
          .ike = OLD, .messages = 6)
{
    begins(t, CLIENT, REKEY);
    begins(t, GATEWAY, REKEY);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1);
    arrives(t, GATEWAY, REQUEST, 0); /* the client deletes what is to be rekeyed */
    saw(t, CLIENT, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, GATEWAY, ANSWER, 1);
}

COLLISION(a_request_delayed_past_the_answer_to_the_delete, .by_nonces = true, .children = 1,
          .child = CLIENTS, .ike = OLD, .messages = 6)
{
    begins(t, CLIENT, REKEY);
    begins(t, GATEWAY, REKEY);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 1);
    arrives(t, GATEWAY, REQUEST, 0); /* nobody knows it any more */
    saw(t, CLIENT, IKE_REASON_CHILD_NOT_FOUND);
    arrives(t, CLIENT, ANSWER, 0);
    saw(t, GATEWAY, IKE_REASON_CHILD_NOT_FOUND);
}

COLLISION(ke_invalid_on_both_sides, .by_nonces = true, .children = 1, .child = WINNERS, .ike = OLD,
          .messages = 12)
{
    begins(t, CLIENT, REKEY);
    begins(t, GATEWAY, REKEY);
    wants_group(t, GATEWAY, 0, GROUP_B);
    wants_group(t, CLIENT, 0, GROUP_B);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1); /* both again with the other group: now they collide */
    arrives(t, GATEWAY, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 1);
    arrives(t, CLIENT, ANSWER, 1);
}

COLLISION(a_retry_delayed_past_the_delete, .by_nonces = true, .children = 1, .child = CLIENTS,
          .ike = OLD, .messages = 10)
{
    begins(t, CLIENT, REKEY);
    begins(t, GATEWAY, REKEY);
    wants_group(t, GATEWAY, 0, GROUP_B);
    wants_group(t, CLIENT, 0, GROUP_B);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 1);
    arrives(t, GATEWAY, REQUEST, 1); /* the gateway's second try: the client deletes already */
    saw(t, CLIENT, IKE_REASON_TEMPORARY_FAILURE);
}

COLLISION(a_retry_delayed_past_the_answer_to_the_delete, .by_nonces = true, .children = 1,
          .child = CLIENTS, .ike = OLD, .messages = 10)
{
    begins(t, CLIENT, REKEY);
    begins(t, GATEWAY, REKEY);
    wants_group(t, GATEWAY, 0, GROUP_B);
    wants_group(t, CLIENT, 0, GROUP_B);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 1);
    arrives(t, CLIENT, REQUEST, 2); /* Delete of the old one */
    arrives(t, GATEWAY, ANSWER, 2);
    arrives(t, GATEWAY, REQUEST, 1); /* the gateway's second try */
    saw(t, CLIENT, IKE_REASON_CHILD_NOT_FOUND);
}

/* Who lost deletes not only its own new SA but the old one as well, which is not its to delete. */
COLLISION(the_loser_sends_a_stray_delete, .by_nonces = true, .children = 1, .child = WINNERS,
          .ike = OLD, .messages = 10)
{
    enum pair_who loser = t->winner == CLIENT ? GATEWAY : CLIENT;

    both_ask(t, REKEY);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
    begins(t, loser, DELETE); /* waits for its Delete of the redundant SA */
    arrives(t, loser, REQUEST, 1);
    arrives(t, t->winner, ANSWER, 1);
    waits(t, 0);
    arrives(t, loser, REQUEST, 2);
    arrives(t, t->winner, REQUEST, 1);
}

/* ---- rekey against Delete ---- */

COLLISION(rekey_against_delete, .may_lose = true, .children = 0, .child = NOBODY, .ike = OLD,
          .messages = 4)
{
    begins(t, GATEWAY, DELETE);
    begins(t, CLIENT, REKEY);
    arrives(t, CLIENT, REQUEST, 0);
    saw(t, GATEWAY, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, GATEWAY, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    saw(t, CLIENT, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, CLIENT, ANSWER, 0);
}

COLLISION(delete_overtakes_the_rekey, .may_lose = true, .children = 0, .child = NOBODY, .ike = OLD,
          .messages = 4)
{
    begins(t, CLIENT, REKEY);
    begins(t, GATEWAY, DELETE);
    arrives(t, GATEWAY, REQUEST, 0);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 0);
    saw(t, GATEWAY, IKE_REASON_CHILD_NOT_FOUND);
}

/* The client removed it at its hard limit, and its Delete is lost; the gateway's rekey finds nothing. */
COLLISION(the_delete_is_lost_and_a_rekey_finds_nothing, .may_lose = true, .children = 1,
          .child = GATEWAYS, .ike = OLD, .messages = 6, .repeats = 1)
{
    reaches(t, CLIENT, IKE_EV_CHILD_HARD);
    is_lost(t, CLIENT, REQUEST, 0);
    begins(t, GATEWAY, REKEY);
    arrives(t, GATEWAY, REQUEST, 0);
    saw(t, CLIENT, IKE_REASON_CHILD_NOT_FOUND);
    arrives(t, CLIENT, ANSWER, 0);
    saw(t, GATEWAY, IKE_REASON_CHILD_NOT_FOUND);
}

/* The gateway deletes what its answer, still on the way, made: the client must not install it. */
COLLISION(a_delete_for_one_not_yet_known, .may_lose = true, .children = 1, .child = CLIENTS,
          .ike = OLD, .messages = 8)
{
    begins(t, CLIENT, REKEY);
    arrives(t, CLIENT, REQUEST, 0);
    confirm(t, GATEWAY); /* a peer that does not wait until the client has it */
    begins_with(t, GATEWAY, DELETE, newest_child(t, GATEWAY));
    arrives(t, GATEWAY, REQUEST, 0);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, GATEWAY, ANSWER, 0);
}

COLLISION(a_delete_for_a_created_one_not_yet_known, .may_lose = true, .children = 1, .child = OLD,
          .ike = OLD, .messages = 4)
{
    begins(t, CLIENT, CREATE);
    arrives(t, CLIENT, REQUEST, 0);
    confirm(t, GATEWAY);
    begins_with(t, GATEWAY, DELETE, newest_child(t, GATEWAY));
    arrives(t, GATEWAY, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
}

/* The gateway rekeys what its answer, still on the way, made: it is not found, the gateway drops it, and
 * the client must not install it when the answer comes. */
COLLISION(a_rekey_of_one_not_yet_known, .may_lose = true, .children = 1, .child = CLIENTS,
          .ike = OLD, .messages = 8)
{
    begins(t, CLIENT, REKEY);
    arrives(t, CLIENT, REQUEST, 0);
    confirm(t, GATEWAY);
    begins_with(t, GATEWAY, REKEY, newest_child(t, GATEWAY));
    arrives(t, GATEWAY, REQUEST, 0);
    saw(t, CLIENT, IKE_REASON_CHILD_NOT_FOUND);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, GATEWAY, ANSWER, 0);
}

/* No collision at all: two CHILD SAs, each end rekeys another. */
static void two_children(struct trace *t)
{
    (void)pair_command(t->p, CLIENT, CREATE);
    settles(t);
    confirm(t, GATEWAY);
}

COLLISION(each_rekeys_another, .children = 2, .child = GATEWAYS, .ike = OLD, .messages = 8,
          .prepare = two_children)
{
    begins(t, CLIENT, REKEY);
    begins_with(t, GATEWAY, REKEY, newest_child(t, GATEWAY));
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1);
    arrives(t, GATEWAY, REQUEST, 1);
}

/* Each end deletes another while the first is rekeyed. */
COLLISION(one_is_rekeyed_while_another_is_deleted, .children = 1, .child = CLIENTS, .ike = OLD,
          .messages = 6, .prepare = two_children)
{
    begins(t, CLIENT, REKEY);
    begins_with(t, GATEWAY, DELETE, newest_child(t, GATEWAY));
    arrives(t, GATEWAY, REQUEST, 0);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1);
}

COLLISION(delete_against_delete, .may_lose = true, .children = 0, .child = NOBODY, .ike = OLD,
          .messages = 4)
{
    begins(t, CLIENT, DELETE);
    begins(t, GATEWAY, DELETE);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, REQUEST, 0);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, GATEWAY, ANSWER, 0);
}
