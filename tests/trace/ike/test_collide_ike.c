/* The IKE SA, and CHILD SAs against it: every case of the design's table (ike.md, "Collisions").
 * RFC 7296 2.8.2, 2.25.1, 2.25.2. */
#include <criterion/criterion.h>

#include "collide.h"

#define COLLISION_SUITE collide_ike

enum {
    REKEY = IKE_WANT_REKEY_CHILD_PFS,
    DELETE = IKE_WANT_DELETE_CHILD,
    REKEY_IKE = IKE_WANT_REKEY_IKE,
    DELETE_IKE = IKE_WANT_DELETE_IKE,
    CREATE = IKE_WANT_CHILD
};

COLLISION(the_client_rekeys, .children = 1, .child = OLD, .ike = CLIENTS, .messages = 4)
{
    begins(t, CLIENT, REKEY_IKE);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 1);
}

COLLISION(the_gateway_rekeys, .children = 1, .child = OLD, .ike = GATEWAYS, .messages = 4)
{
    begins(t, GATEWAY, REKEY_IKE);
    arrives(t, GATEWAY, REQUEST, 0);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, GATEWAY, REQUEST, 1);
    arrives(t, CLIENT, ANSWER, 1);
}

/* ---- both rekey the IKE SA ---- */

static void both_ask(struct trace *t)
{
    begins(t, CLIENT, REKEY_IKE);
    begins(t, GATEWAY, REKEY_IKE);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, REQUEST, 0);
}

/* Children and address are with the winner, once: the judge finds one IKE SA, one CHILD SA, the old. */
COLLISION(both_rekey_at_once, .by_nonces = true, .children = 1, .child = OLD, .ike = WINNERS,
          .messages = 8)
{
    both_ask(t);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, t->winner, REQUEST, 1); /* Delete of the old IKE SA */
}

COLLISION(both_rekey_and_the_other_answer_comes_first, .by_nonces = true, .children = 1,
          .child = OLD, .ike = WINNERS, .messages = 8)
{
    both_ask(t);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, GATEWAY, ANSWER, 0);
}

/* Each begins with the group that the other likes less. */
static void other_groups(struct trace *t)
{
    struct ike_policy *c = &t->p->side[CLIENT].policy, *g = &t->p->side[GATEWAY].policy;

    c->ike[0].ke_id = c->ike[1].ke_id = GROUP_B; /* at the client only B stands */
    g->ike[0].ke_id = g->ike[1].ke_id = GROUP_B;
    c->ike[1].ke_id = g->ike[1].ke_id = GROUP_A;
}

COLLISION(ke_invalid_on_both_sides, .by_nonces = true, .children = 1, .child = OLD, .ike = WINNERS,
          .messages = 12, .prepare = other_groups)
{
    both_ask(t);
    saw(t, CLIENT, IKE_REASON_INVALID_KE);
    saw(t, GATEWAY, IKE_REASON_INVALID_KE);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1); /* both again with the other group */
    arrives(t, GATEWAY, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 1);
    arrives(t, CLIENT, ANSWER, 1);
}

COLLISION(a_retry_delayed_past_the_delete, .by_nonces = true, .children = 1, .child = OLD,
          .ike = CLIENTS, .messages = 10, .prepare = other_groups)
{
    both_ask(t);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 1);
    arrives(t, GATEWAY, REQUEST, 1); /* the gateway's second try: the client is closing */
    saw(t, CLIENT, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, CLIENT, REQUEST, 2);
}

/* The gateway's Delete of the old IKE SA, when it has one to send, overtakes its answer. */
COLLISION(a_response_delayed_behind_the_delete, .by_nonces = true, .children = 1, .child = OLD,
          .ike = WINNERS, .messages = 7, .if_client_wins = 8)
{
    both_ask(t);
    arrives(t, CLIENT, ANSWER, 0);
    if (t->winner == GATEWAY)
        arrives(t, GATEWAY, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 0);
}

/* RFC 7296 2.8.2: the client finishes and never learns of the gateway's attempt. */
COLLISION(a_request_is_dropped_and_the_collision_unseen, .by_nonces = true, .children = 1,
          .child = OLD, .ike = CLIENTS, .messages = 5)
{
    begins(t, CLIENT, REKEY_IKE);
    begins(t, GATEWAY, REKEY_IKE);
    is_lost(t, GATEWAY, REQUEST, 0);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1); /* Delete of the old one */
    arrives(t, GATEWAY, ANSWER, 1);
}

COLLISION(a_request_delayed_past_the_delete, .by_nonces = true, .children = 1, .child = OLD,
          .ike = CLIENTS, .messages = 6)
{
    begins(t, CLIENT, REKEY_IKE);
    begins(t, GATEWAY, REKEY_IKE);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, GATEWAY, REQUEST, 0);
    saw(t, CLIENT, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1);
}

/* Later still: the client has closed the old IKE SA, and is not there to refuse. */
COLLISION(a_request_delayed_past_the_answer_to_the_delete, .by_nonces = true, .children = 1,
          .child = OLD, .ike = CLIENTS, .messages = 5)
{
    begins(t, CLIENT, REKEY_IKE);
    begins(t, GATEWAY, REKEY_IKE);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, REQUEST, 1);
    arrives(t, GATEWAY, ANSWER, 1);
    arrives(t, GATEWAY, REQUEST, 0);
}

/* ---- Delete of the IKE SA ---- */

COLLISION(delete_against_rekey, .may_lose = true, .children = 0, .child = NOBODY, .ike = NOBODY,
          .messages = 4)
{
    begins(t, CLIENT, DELETE_IKE);
    begins(t, GATEWAY, REKEY_IKE);
    arrives(t, GATEWAY, REQUEST, 0);
    saw(t, CLIENT, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
}

COLLISION(delete_overtakes_the_rekey, .may_lose = true, .children = 0, .child = NOBODY,
          .ike = NOBODY, .messages = 3)
{
    begins(t, CLIENT, DELETE_IKE);
    begins(t, GATEWAY, REKEY_IKE);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, GATEWAY, REQUEST, 0); /* nobody is there any more */
}

COLLISION(delete_on_both_sides, .may_lose = true, .children = 0, .child = NOBODY, .ike = NOBODY,
          .messages = 4)
{
    begins(t, CLIENT, DELETE_IKE);
    begins(t, GATEWAY, DELETE_IKE);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, REQUEST, 0);
}

COLLISION(child_rekey_against_ike_delete, .may_lose = true, .children = 0, .child = NOBODY,
          .ike = NOBODY, .messages = 4)
{
    begins(t, CLIENT, DELETE_IKE);
    begins(t, GATEWAY, REKEY);
    arrives(t, GATEWAY, REQUEST, 0);
    saw(t, CLIENT, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, CLIENT, REQUEST, 0); /* the Delete wins */
}

COLLISION(child_delete_against_ike_delete, .may_lose = true, .children = 0, .child = NOBODY,
          .ike = NOBODY, .messages = 4)
{
    begins(t, CLIENT, DELETE_IKE);
    begins(t, GATEWAY, DELETE);
    arrives(t, GATEWAY, REQUEST, 0);
    arrives(t, CLIENT, REQUEST, 0);
}

/* ---- CHILD SAs while the IKE SA is rekeyed ---- */

/* Both get TEMPORARY_FAILURE, both try again later, in some order: both happen. */
COLLISION(child_rekey_against_ike_rekey, .children = 1, .child = CLIENTS, .ike = GATEWAYS,
          .messages = 12)
{
    begins(t, GATEWAY, REKEY_IKE);
    begins(t, CLIENT, REKEY);
    arrives(t, GATEWAY, REQUEST, 0);
    saw(t, CLIENT, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, CLIENT, REQUEST, 0);
    saw(t, GATEWAY, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, CLIENT, ANSWER, 0);
    arrives(t, GATEWAY, ANSWER, 0);
}

COLLISION(child_rekey_request_after_the_ike_rekey, .children = 1, .child = GATEWAYS, .ike = CLIENTS,
          .messages = 10)
{
    begins(t, CLIENT, REKEY_IKE);
    begins(t, GATEWAY, REKEY);
    arrives(t, CLIENT, REQUEST, 0); /* the gateway is rekeying a CHILD SA */
    saw(t, GATEWAY, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, GATEWAY, REQUEST, 0); /* the client rekeys nothing now: served */
    arrives(t, CLIENT, ANSWER, 0);
}

COLLISION(child_create_during_ike_rekey, .children = 2, .child = OLD, .ike = GATEWAYS,
          .messages = 10)
{
    begins(t, GATEWAY, REKEY_IKE);
    begins(t, CLIENT, CREATE);
    arrives(t, CLIENT, REQUEST, 0);
    saw(t, GATEWAY, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, GATEWAY, REQUEST, 0);
    saw(t, CLIENT, IKE_REASON_TEMPORARY_FAILURE);
}

/* A Delete is answered as usual, and the IKE rekey goes on. */
COLLISION(child_delete_against_ike_rekey, .may_lose = true, .children = 0, .child = NOBODY,
          .ike = GATEWAYS, .messages = 8)
{
    begins(t, GATEWAY, REKEY_IKE);
    begins(t, CLIENT, DELETE);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, REQUEST, 0); /* the client is deleting a CHILD SA */
    saw(t, CLIENT, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
}
