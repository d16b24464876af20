/* CHILD SAs when the slots run out in the middle of a collision. RFC 7296 1.3, 2.8.1, 2.25. */
#include <criterion/criterion.h>

#include "collide.h"

#define COLLISION_SUITE collide_full

enum { REKEY = IKE_WANT_REKEY_CHILD_PFS, CREATE = IKE_WANT_CHILD };

/* Both requests are answered; the answers fly. */
static void both_ask(struct trace *t, uint32_t want)
{
    begins(t, CLIENT, want);
    begins(t, GATEWAY, want);
    arrives(t, CLIENT, REQUEST, 0);
    arrives(t, GATEWAY, REQUEST, 0);
}

/* n CHILD SAs at each end. */
static void with_children(struct trace *t, size_t n)
{
    while (pair_count_children(t->p, CLIENT) < n) {
        (void)pair_command(t->p, CLIENT, CREATE);
        settles(t);
    }
    confirm(t, GATEWAY);
}

static void full(struct trace *t)
{
    with_children(t, IKE_MAX_CHILDREN - 1);
}

static void almost_full(struct trace *t)
{
    with_children(t, IKE_MAX_CHILDREN - 2);
}

/* The last slot is kept for what the own request is to make: else the winner could not make its own SA,
 * would go on with the loser's, and the loser, who goes by the nonces, would delete that very one. Both
 * wait, and the first to try again has it. */
COLLISION(both_rekey_without_a_spare_slot, .by_nonces = true, .children = IKE_MAX_CHILDREN - 1,
          .child = EITHERS, .ike = OLD, .messages = 8, .prepare = full)
{
    both_ask(t, REKEY);
    saw(t, CLIENT, IKE_REASON_TEMPORARY_FAILURE);
    saw(t, GATEWAY, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
}

COLLISION(each_rekeys_another_without_a_spare_slot, .children = IKE_MAX_CHILDREN - 1,
          .child = EITHERS, .ike = OLD, .messages = 12, .prepare = full)
{
    begins(t, CLIENT, REKEY);
    begins_with(t, GATEWAY, REKEY, newest_child(t, GATEWAY));
    arrives(t, CLIENT, REQUEST, 0);
    saw(t, GATEWAY, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, GATEWAY, REQUEST, 0);
    saw(t, CLIENT, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
}

/* One more fits, two do not: with both, none of all could be rekeyed any more. The first to try again has
 * it, the other's wish is spent. */
COLLISION(both_create_the_last_one, .children = IKE_MAX_CHILDREN - 1, .child = ANYONES, .ike = OLD,
          .messages = 6, .prepare = almost_full)
{
    begins(t, CLIENT, CREATE);
    begins(t, GATEWAY, CREATE);
    arrives(t, CLIENT, REQUEST, 0);
    saw(t, GATEWAY, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, GATEWAY, REQUEST, 0);
    saw(t, CLIENT, IKE_REASON_TEMPORARY_FAILURE);
    arrives(t, GATEWAY, ANSWER, 0);
    arrives(t, CLIENT, ANSWER, 0);
}
