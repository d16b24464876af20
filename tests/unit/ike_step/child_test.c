/* CHILD SA slots: who sends, who inherits, what was wanted. */
#include <criterion/criterion.h>

#include "ike/child.h"
#include "ike/create_child.h"

static struct ike_sa sa;

/* A child with SPI n and the selectors of network `net`. */
static struct ike_child *child(uint32_t n, uint32_t net)
{
    struct ike_child *c = ike_child_free_slot(&sa);

    cr_assert_not_null(c);
    c->state = IKE_CHILD_INSTALLED;
    c->spi_in = n;
    c->spi_out = n + 1000;
    c->n_local_ts = c->n_remote_ts = 1;
    c->local_ts[0].low = c->local_ts[0].high = addr_v4(net);
    return c;
}

static void setup(void)
{
    memset(&sa, 0, sizeof sa);
}

TestSuite(child, .init = setup);

Test(child, found_by_either_spi_and_never_by_zero)
{
    child(1, 7);
    cr_assert_eq(ike_child_find(&sa, 1)->spi_out, 1001);
    cr_assert_eq(ike_child_find_out(&sa, 1001)->spi_in, 1);
    cr_assert_null(ike_child_find(&sa, 0));
    cr_assert_null(ike_child_find_out(&sa, 0));
    cr_assert_null(ike_child_find(&sa, 1001));
}

Test(child, slots_are_bounded_and_come_back_empty)
{
    struct ike_child zero = {0};

    for (uint32_t i = 1; i <= IKE_MAX_CHILDREN; i++)
        child(i, i);
    cr_assert_null(ike_child_free_slot(&sa));
    ike_child_remove(&sa, ike_child_find(&sa, 3));
    cr_assert_arr_eq(ike_child_free_slot(&sa), &zero, sizeof zero);
}

/* So there is always room to owe the Delete of every CHILD SA that stands. */
Test(child, an_owed_delete_keeps_its_slot_from_being_used)
{
    for (uint32_t i = 1; i <= IKE_MAX_CHILDREN; i++)
        child(i, i);
    for (uint32_t i = 1; i <= IKE_MAX_CHILDREN; i++) {
        ike_child_owe_delete(&sa, ike_child_find(&sa, i));
        cr_assert_null(ike_child_find(&sa, i));
        cr_assert_null(ike_child_free_slot(&sa));
        cr_assert_eq(sa.owed_deletes[sa.n_owed_deletes - 1], i);
    }
    cr_assert_eq(sa.n_owed_deletes, IKE_MAX_CHILDREN);
    ike_child_owed_done(&sa);
    cr_assert_not_null(ike_child_free_slot(&sa));
}

Test(child, one_sender_per_selectors)
{
    struct ike_child *a = child(1, 7), *b = child(2, 7), *other = child(3, 8);

    ike_child_take_outbound(&sa, a);
    ike_child_take_outbound(&sa, other);
    ike_child_take_outbound(&sa, b);
    cr_assert(!a->outbound && b->outbound && other->outbound);
}

Test(child, heirs_in_order)
{
    struct ike_child *same = child(1, 7), *old = child(2, 9), *mid = child(3, 7),
                     *next = child(4, 9);

    old->state = IKE_CHILD_REKEYED;
    old->successor_spi_in = 3;
    mid->successor_spi_in = 4;
    mid->outbound = true;
    ike_child_remove(&sa, mid);
    cr_assert(next->outbound && !old->outbound && !same->outbound, "the successor first");
    cr_assert_eq(old->successor_spi_in, 4, "and the chain closes");
    cr_assert_eq(old->state, IKE_CHILD_REKEYED);
    ike_child_remove(&sa, next);
    cr_assert(old->outbound && !same->outbound, "then the one it came from");
    cr_assert_eq(old->state, IKE_CHILD_INSTALLED, "whose rekey is undone");
    ike_child_remove(&sa, old);
    cr_assert(!same->outbound, "other selectors inherit nothing");
    ike_child_take_outbound(&sa, same);
    child(5, 7);
    ike_child_remove(&sa, same);
    cr_assert(ike_child_find(&sa, 5)->outbound, "the same selectors do");
}

Test(child, wishes_follow_their_sa)
{
    struct ike_child *a = child(1, 7), *b = child(2, 7);

    sa.wanted = IKE_WANT_DELETE_CHILD | IKE_WANT_REKEY_CHILD | IKE_WANT_DPD;
    sa.wanted_child_spi_in = 1;
    ike_child_succeed(&sa, a, b, 99);
    cr_assert_eq(a->state, IKE_CHILD_REKEYED);
    cr_assert_eq(a->soft_ms, 99);
    cr_assert_eq(sa.wanted, IKE_WANT_DELETE_CHILD | IKE_WANT_DPD);
    cr_assert_eq(sa.wanted_child_spi_in, 2);
    ike_child_remove(&sa, b);
    cr_assert_eq(sa.wanted, IKE_WANT_DPD);
    cr_assert_eq(sa.wanted_child_spi_in, 0);
}

Test(child, caught_up_moves_only_what_waits)
{
    struct ike_child *old = child(1, 7), *next = child(2, 7), *else_ = child(3, 8);

    old->outbound = else_->outbound = true;
    next->unconfirmed = true;
    old->successor_spi_in = 2;
    old->state = IKE_CHILD_REKEYING; /* a collision: not decided yet */
    ike_child_peer_caught_up(&sa);
    cr_assert(old->outbound && !next->outbound && !next->unconfirmed);
    old->state = IKE_CHILD_REKEYED;
    ike_child_peer_caught_up(&sa);
    cr_assert(!old->outbound && next->outbound && else_->outbound);
}

static struct span s(const char *text)
{
    return span_of(text, strlen(text));
}

/* RFC 7296 2.8.1: octet by octet, the one that ends first is the lower. */
Test(child, lowest_nonce)
{
    struct ike_pending p = {0};

    cr_assert(ike_nonce_lower(s("a"), s("b")));
    cr_assert(ike_nonce_lower(s("ab"), s("b")));
    cr_assert(ike_nonce_lower(s("a"), s("ab")));
    cr_assert(!ike_nonce_lower(s("ab"), s("ab")));
    cr_assert(!ike_nonce_lower(s("\xff"), s("a")), "octets are unsigned");
    memset(p.nonce, 'm', sizeof p.nonce);
    ike_collision_note(&p, s("zz"), s("n"));
    cr_assert(p.collided && p.peer_lowest_nonce_len == 1);
    cr_assert(ike_collision_ours_loses(&p, s("zz")), "m is the lowest of z n m z");
    cr_assert(ike_collision_ours_loses(&p, s("a")));
    ike_collision_note(&p, s("b"), s("n"));
    cr_assert(!ike_collision_ours_loses(&p, s("zz")));
    cr_assert(ike_collision_ours_loses(&p, s("a")));
}
