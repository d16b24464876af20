#include "ike/child.h"

const struct ike_child *ike_child_peek(const struct ike_sa *sa, uint32_t spi_in)
{
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *c = &sa->children[i];

        if (c->state != IKE_CHILD_NONE && c->spi_in == spi_in)
            return c;
    }
    return NULL;
}

struct ike_child *ike_child_find(struct ike_sa *sa, uint32_t spi_in)
{
    const struct ike_child *c = ike_child_peek(sa, spi_in);

    return c == NULL ? NULL : &sa->children[c - sa->children];
}

struct ike_child *ike_child_find_out(struct ike_sa *sa, uint32_t spi_out)
{
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        struct ike_child *c = &sa->children[i];

        if (c->state != IKE_CHILD_NONE && c->spi_out == spi_out)
            return c;
    }
    return NULL;
}

struct ike_child *ike_child_free_slot(struct ike_sa *sa)
{
    struct ike_child *free = NULL;
    size_t used = sa->n_owed_deletes;

    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        if (sa->children[i].state != IKE_CHILD_NONE)
            used++;
        else if (free == NULL)
            free = &sa->children[i];
    }
    if (free == NULL || used >= IKE_MAX_CHILDREN)
        return NULL;
    memset(free, 0, sizeof *free);
    return free;
}

/* Our request is out that is to make one. */
static bool awaits_child(const struct ike_pending *p)
{
    return p->exchange == IKE_EX_CHILD_CREATE || p->exchange == IKE_EX_CHILD_REKEY ||
           p->exchange == IKE_EX_CHILD_REKEY_PFS;
}

/* A rekey needs one slot, until the old CHILD SA goes. What replaces none needs a second one that
 * stays to spare, or none of them could be rekeyed. What our request that is out is to make needs
 * one more, or the peer's answer would find none; a rekey that is out may use the spare one. */
enum ike_child_room ike_child_room(const struct ike_sa *sa, bool rekey)
{
    size_t used = sa->n_owed_deletes, need = rekey ? 1 : 2, kept = 0;

    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        used += sa->children[i].state != IKE_CHILD_NONE;
    if (awaits_child(&sa->pending))
        kept = rekey || sa->pending.exchange == IKE_EX_CHILD_CREATE ? 1 : 0;
    if (used + need > IKE_MAX_CHILDREN)
        return IKE_CHILD_ROOM_NONE;
    return used + need + kept > IKE_MAX_CHILDREN ? IKE_CHILD_ROOM_LATER : IKE_CHILD_ROOM;
}

static bool same_list(const struct ike_ts *a, uint8_t n_a, const struct ike_ts *b, uint8_t n_b)
{
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (a[i].protocol != b[i].protocol || a[i].port_low != b[i].port_low ||
            a[i].port_high != b[i].port_high || !addr_equal(&a[i].low, &b[i].low) ||
            !addr_equal(&a[i].high, &b[i].high))
            return false;
    return true;
}

bool ike_child_same_selectors(const struct ike_child *a, const struct ike_child *b)
{
    return same_list(a->local_ts, a->n_local_ts, b->local_ts, b->n_local_ts) &&
           same_list(a->remote_ts, a->n_remote_ts, b->remote_ts, b->n_remote_ts);
}

void ike_child_take_outbound(struct ike_sa *sa, struct ike_child *child)
{
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        struct ike_child *c = &sa->children[i];

        if (c->state != IKE_CHILD_NONE &&
            (c->successor_spi_in == child->spi_in || ike_child_same_selectors(c, child)))
            c->outbound = false;
    }
    child->outbound = true;
}

void ike_child_peer_caught_up(struct ike_sa *sa)
{
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        struct ike_child *old = &sa->children[i], *next;

        old->unconfirmed = false;
        if (old->state != IKE_CHILD_REKEYED || !old->outbound)
            continue;
        next = ike_child_find(sa, old->successor_spi_in);
        if (next != NULL)
            ike_child_take_outbound(sa, next);
    }
}

void ike_child_wanted_done(struct ike_sa *sa, uint32_t bits)
{
    sa->wanted &= ~bits;
    if ((sa->wanted & IKE_WANT_ON_CHILD) == 0)
        sa->wanted_child_spi_in = 0;
}

void ike_child_replace(struct ike_sa *sa, struct ike_child *old, const struct ike_child *next)
{
    old->successor_spi_in = next->spi_in;
    if (sa->wanted_child_spi_in != old->spi_in)
        return;
    ike_child_wanted_done(sa, IKE_WANT_CHILD_REKEYS);
    if (sa->wanted_child_spi_in != 0)
        sa->wanted_child_spi_in = next->spi_in;
}

void ike_child_succeed(struct ike_sa *sa, struct ike_child *old, const struct ike_child *next,
                       uint64_t until_ms)
{
    old->state = IKE_CHILD_REKEYED;
    old->soft_ms = until_ms;
    ike_child_replace(sa, old, next);
}

/* Who carries the traffic of `gone`: rank 3 its successor, 2 its predecessor, 1 the same selectors,
 * 0 not this one. */
static int heir_rank(const struct ike_child *gone, const struct ike_child *c)
{
    if (c == gone || c->state == IKE_CHILD_NONE || c->state == IKE_CHILD_DELETING)
        return 0;
    if (c->spi_in == gone->successor_spi_in)
        return 3;
    if (c->successor_spi_in == gone->spi_in)
        return 2;
    return ike_child_same_selectors(c, gone) ? 1 : 0;
}

void ike_child_hand_on(struct ike_sa *sa, struct ike_child *child)
{
    struct ike_child *heir = NULL;
    int best = 0;

    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        int rank = heir_rank(child, &sa->children[i]);

        if (rank > best) {
            best = rank;
            heir = &sa->children[i];
        }
    }
    if (child->outbound && heir != NULL)
        ike_child_take_outbound(sa, heir);
    child->outbound = false;
}

void ike_child_remove(struct ike_sa *sa, struct ike_child *child)
{
    ike_child_hand_on(sa, child);
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        struct ike_child *c = &sa->children[i];

        if (c != child && c->successor_spi_in == child->spi_in) {
            c->successor_spi_in = child->successor_spi_in; /* it was rekeyed itself */
            if (c->state == IKE_CHILD_REKEYED &&
                c->successor_spi_in == 0) /* the new one went first: the rekey is undone */
                c->state = IKE_CHILD_INSTALLED;
        }
    }
    if (sa->wanted_child_spi_in == child->spi_in)
        ike_child_wanted_done(sa, IKE_WANT_ON_CHILD);
    secret_wipe_bytes(child, sizeof *child);
}

void ike_child_owe_delete(struct ike_sa *sa, struct ike_child *child)
{
    HF_ASSERT(sa->n_owed_deletes < IKE_MAX_CHILDREN); /* ike_child_free_slot() sees to it */
    sa->owed_deletes[sa->n_owed_deletes++] = child->spi_in;
    ike_child_remove(sa, child);
}

void ike_child_owed_done(struct ike_sa *sa)
{
    memset(sa->owed_deletes, 0, sizeof sa->owed_deletes);
    sa->n_owed_deletes = 0;
}

void ike_child_note_early_delete(struct ike_pending *p, uint32_t spi_out)
{
    if (!awaits_child(p))
        return;
    if (p->n_early_deletes == IKE_MAX_EARLY_DELETES) {
        memmove(&p->early_deletes[0], &p->early_deletes[1],
                sizeof p->early_deletes - sizeof p->early_deletes[0]);
        p->n_early_deletes--;
    }
    p->early_deletes[p->n_early_deletes++] = spi_out;
}

bool ike_child_deleted_early(const struct ike_pending *p, uint32_t spi_out)
{
    for (size_t i = 0; i < p->n_early_deletes; i++)
        if (p->early_deletes[i] == spi_out)
            return true;
    return false;
}

void ike_child_remove_all(struct ike_sa *sa)
{
    secret_wipe_bytes(sa->children, sizeof sa->children);
    ike_child_owed_done(sa);
}
