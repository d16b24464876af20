/* What an owner's records do: SAs, claims and leases. Each body is first judged whole, then done.
 */
#include <stdlib.h>

#include "base/number.h"
#include "replication/fsm_parts.h"

/* The SA, when it is of that shard and has that version now. */
static enum repl_verdict find_sa(struct fsm *fsm, uint32_t shard, uint64_t id, uint64_t version,
                                 struct fsm_sa **out)
{
    struct fsm_sa *sa = map_get(&fsm->sas, fsm_sa_key(id));

    if (sa == NULL || sa->shard != shard)
        return REPL_REFUSED_UNKNOWN;
    if (fsm_sa_version(fsm, sa) != version)
        return REPL_REFUSED_VERSION;
    *out = sa;
    return REPL_ACCEPTED;
}

/* Are these inbound SPIs free in the whole cluster (I9), and different from each other? */
static bool claims_free(const struct fsm *fsm, Holdfast__ChildClaim *const *claims, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (fsm_claim(fsm, claims[i]->spi_in) != NULL)
            return false;
        for (size_t k = 0; k < i; k++)
            if (claims[k]->spi_in == claims[i]->spi_in)
                return false;
    }
    return true;
}

static bool ends_with(const Holdfast__SaCreate *c, const struct fsm_sa *sa)
{
    for (size_t i = 0; i < c->n_ends; i++)
        if (sa != NULL && c->ends[i]->sa_id == sa->id)
            return true;
    return false;
}

/* For this very identity, by no SA. */
static bool held_idle(const struct fsm_lease *l, uint32_t shard, const Holdfast__SaCreate *c)
{
    return l->sa == NULL && l->shard == shard &&
           span_equal(span_of(l->identity, l->identity_len), record_span(c->identity));
}

/* An SA of this very identity, that the record names, has it and gives it away. */
static bool given(const struct fsm_lease *l, const Holdfast__SaCreate *c)
{
    return c->gives != NULL && l->sa != NULL && l->sa->id == c->gives->sa_id &&
           span_equal(span_of(l->identity, l->identity_len), record_span(c->identity));
}

/* May this identity have the addresses? It may when nobody has one, its own identity holds it idle,
 * or the SA that has it ends in this record, or gives it away.
 */
static bool leases_free(const struct fsm *fsm, uint32_t shard, const Holdfast__SaCreate *c)
{
    for (size_t i = 0; i < c->n_addresses; i++) {
        const struct fsm_lease *l = fsm_lease(fsm, record_span(c->addresses[i]));

        if (l != NULL && !ends_with(c, l->sa) && !held_idle(l, shard, c) && !given(l, c))
            return false;
    }
    return true;
}

static struct fsm_lease *lease_new(uint32_t shard, ProtobufCBinaryData address,
                                   ProtobufCBinaryData identity, struct fsm_sa *sa)
{
    struct fsm_lease *l = repl_alloc_zero(1, sizeof *l);

    memcpy(l->address, address.data, address.len);
    l->address_len = (uint8_t)address.len;
    l->shard = shard;
    l->identity = repl_copy(identity.data, identity.len);
    l->identity_len = identity.len;
    l->sa = sa;
    return l;
}

/* Gives the addresses to the SA: judged by leases_free() before. One that the SA has already (it
 * moved with an IKE rekey) stays. */
static void leases_bind(struct fsm *fsm, struct fsm_sa *sa, const Holdfast__SaCreate *c)
{
    for (size_t i = 0; i < c->n_addresses; i++) {
        struct fsm_lease *l = map_get(&fsm->leases, fsm_lease_key(record_span(c->addresses[i])));

        if (l == NULL) {
            fsm_lease_add(fsm, lease_new(sa->shard, c->addresses[i], c->identity, sa));
        } else if (l->sa != sa) {
            fsm_keep_lease(fsm, l);
            if (l->sa != NULL)
                *fsm_lease_slot(l->sa, l->address_len) = NULL;
            l->sa = sa;
            *fsm_lease_slot(sa, l->address_len) = l;
            fsm_lease_changed(fsm, l);
        }
    }
}

static void add_claims(struct fsm *fsm, struct fsm_sa *sa, uint64_t slot,
                       Holdfast__ChildClaim *const *claims, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct fsm_claim *c = repl_alloc_zero(1, sizeof *c);

        c->spi_in = claims[i]->spi_in;
        c->spi_out = claims[i]->spi_out;
        c->esn = claims[i]->esn;
        c->claim = (struct repl_claim){.reservation_end = claims[i]->reservation_end,
                                       .ceiling = claims[i]->ceiling,
                                       .touched = fsm_assignments(fsm, sa->shard),
                                       .version = slot,
                                       .told = fsm_assignments(fsm, sa->shard)};
        fsm_claim_add(fsm, sa, c);
    }
}

static struct fsm_sa *sa_new(const struct fsm *fsm, uint32_t shard, uint64_t slot,
                             const Holdfast__SaCreate *body)
{
    struct fsm_sa *sa = repl_alloc_zero(1, sizeof *sa);

    sa->id = body->sa_id;
    sa->shard = shard;
    sa->version = slot;
    sa->touched = fsm_assignments(fsm, shard);
    sa->state = fsm_state_new(body->state.data, body->state.len);
    sa->state_len = body->state.len;
    return sa;
}

/* The state's bytes become the SA's; its version moves. */
static void set_state(struct fsm *fsm, struct fsm_sa *sa, uint64_t slot, ProtobufCBinaryData state)
{
    fsm_keep_sa(fsm, sa);
    fsm_state_drop(sa->state, sa->state_len);
    sa->state = fsm_state_new(state.data, state.len);
    sa->state_len = state.len;
    sa->version = slot;
    sa->touched = fsm_assignments(fsm, sa->shard);
    fsm_sa_changed(fsm, sa);
}

enum repl_verdict fsm_apply_create(struct fsm *fsm, uint32_t shard, uint64_t slot,
                                   const Holdfast__SaCreate *body, struct fsm_outcome *out)
{
    struct fsm_sa *ends[RECORD_MAX_ENDS], *giver = NULL;
    enum repl_verdict v;

    for (size_t i = 0; i < body->n_ends; i++) {
        v = find_sa(fsm, shard, body->ends[i]->sa_id, body->ends[i]->version, &ends[i]);
        if (v != REPL_ACCEPTED)
            return v;
    }
    if (body->gives != NULL) {
        v = find_sa(fsm, shard, body->gives->sa_id, body->gives->version, &giver);
        if (v != REPL_ACCEPTED)
            return v;
    }
    if (fsm_sa(fsm, body->sa_id) != NULL || !claims_free(fsm, body->children, body->n_children))
        return REPL_REFUSED_EXISTS;
    if (!leases_free(fsm, shard, body))
        return REPL_REFUSED_EXISTS;

    struct fsm_sa *sa = sa_new(fsm, shard, slot, body);

    for (size_t i = 0; i < body->n_ends; i++)
        fsm_sa_remove(fsm, ends[i]);
    if (giver != NULL)
        set_state(fsm, giver, slot, body->gives->state);
    fsm_sa_add(fsm, sa);
    add_claims(fsm, sa, slot, body->children, body->n_children);
    leases_bind(fsm, sa, body);
    out->sa = sa;
    out->sa_version = slot;
    return REPL_ACCEPTED;
}

/* The addresses of an IKE rekey's successor. Those of the old SA move by themselves; naming one is
 * allowed, naming another one of its family is not; a family that the old SA has none of may come new.
 */
static enum repl_verdict judge_inherited(const struct fsm *fsm, uint32_t shard,
                                         const struct fsm_sa *sa, const Holdfast__SaCreate *next)
{
    for (size_t i = 0; i < next->n_addresses; i++) {
        struct span address = record_span(next->addresses[i]);
        const struct fsm_lease *had = sa->leases[address.len == 16];
        const struct fsm_lease *l = fsm_lease(fsm, address);

        if (had != NULL) {
            if (!span_equal(address, span_of(had->address, had->address_len)))
                return REPL_REFUSED_MALFORMED;
        } else if (l != NULL && !held_idle(l, shard, next)) {
            return REPL_REFUSED_EXISTS;
        }
    }
    return REPL_ACCEPTED;
}

/* Judges what a step adds and takes away. gone[] receives the claims that go. */
static enum repl_verdict judge_step(struct fsm *fsm, uint32_t shard, const struct fsm_sa *sa,
                                    const Holdfast__SaStep *body, struct fsm_claim **gone)
{
    for (size_t i = 0; i < body->n_gone_children; i++) {
        gone[i] = map_get(&fsm->claims, fsm_claim_key(body->gone_children[i]));
        if (gone[i] == NULL || gone[i]->sa != sa)
            return REPL_REFUSED_UNKNOWN;
        for (size_t k = 0; k < i; k++)
            if (gone[k] == gone[i])
                return REPL_REFUSED_MALFORMED;
    }
    if (!claims_free(fsm, body->new_children, body->n_new_children))
        return REPL_REFUSED_EXISTS;
    if (sa->n_claims - body->n_gone_children + body->n_new_children > RECORD_MAX_CHILDREN)
        return REPL_REFUSED_MALFORMED;

    const Holdfast__SaCreate *next = body->successor;

    if (next == NULL)
        return REPL_ACCEPTED;
    if (fsm_sa(fsm, next->sa_id) != NULL)
        return REPL_REFUSED_EXISTS;
    return judge_inherited(fsm, shard, sa, next);
}

/* An IKE rekey: the new SA takes the old one's children and its addresses, in this one record (I7).
 */
static struct fsm_sa *succeed(struct fsm *fsm, struct fsm_sa *old, uint64_t slot,
                              const Holdfast__SaCreate *body)
{
    struct fsm_sa *sa = sa_new(fsm, old->shard, slot, body);

    fsm_sa_add(fsm, sa);
    fsm_keep_sa(fsm, old);
    for (size_t i = 0; i < old->n_claims; i++) {
        sa->claims[i] = old->claims[i];
        sa->claims[i]->sa = sa;
        fsm_claim_changed(fsm, sa->claims[i]);
    }
    sa->n_claims = old->n_claims;
    old->n_claims = 0;
    for (size_t i = 0; i < RECORD_MAX_ADDRESSES; i++) {
        if (old->leases[i] == NULL)
            continue;
        fsm_keep_lease(fsm, old->leases[i]);
        sa->leases[i] = old->leases[i];
        sa->leases[i]->sa = sa;
        old->leases[i] = NULL;
        fsm_lease_changed(fsm, sa->leases[i]);
    }
    leases_bind(fsm, sa, body);
    return sa;
}

enum repl_verdict fsm_apply_step(struct fsm *fsm, uint32_t shard, uint64_t slot,
                                 const Holdfast__SaStep *body, struct fsm_outcome *out)
{
    struct fsm_claim *gone[RECORD_MAX_CHILDREN];
    struct fsm_sa *sa = NULL;
    enum repl_verdict v = find_sa(fsm, shard, body->sa_id, body->version, &sa);

    if (v == REPL_ACCEPTED)
        v = judge_step(fsm, shard, sa, body, gone);
    if (v != REPL_ACCEPTED)
        return v;
    set_state(fsm, sa, slot, body->state);
    for (size_t i = 0; i < body->n_gone_children; i++)
        fsm_claim_remove(fsm, gone[i]);
    add_claims(fsm, sa, slot, body->new_children, body->n_new_children);
    /* An ended SA lingers to answer its peer; its addresses are free for the next one at once, here
     * as in every mirror that is made from the SAs' states. */
    for (size_t i = 0; body->address_back && i < RECORD_MAX_ADDRESSES; i++)
        if (sa->leases[i] != NULL)
            fsm_lease_remove(fsm, sa->leases[i]);
    out->sa = sa;
    out->sa_version = slot;
    if (body->successor != NULL) {
        out->sa = succeed(fsm, sa, slot, body->successor);
        out->successor_version = slot;
    }
    return REPL_ACCEPTED;
}

enum repl_verdict fsm_apply_delete(struct fsm *fsm, uint32_t shard, const Holdfast__SaDelete *body)
{
    struct fsm_sa *sa = NULL;
    enum repl_verdict v = find_sa(fsm, shard, body->sa_id, body->version, &sa);

    if (v == REPL_ACCEPTED)
        fsm_sa_remove(fsm, sa);
    return v;
}

/* Reservations only grow: what was reserved once may have been used (I1), and so do the packets
 * and bytes told. Ceilings move both ways; that nothing above a shrunk one was accepted is the owner's duty
 * (node/esp/README.md, the ESP packet). */
static enum repl_verdict extend_one(struct fsm *fsm, uint32_t shard, uint64_t slot,
                                    const Holdfast__Extend__Item *item, struct repl_claim *after)
{
    struct fsm_claim *c = map_get(&fsm->claims, fsm_claim_key(item->spi_in));

    if (c == NULL || c->sa->shard != shard)
        return REPL_REFUSED_UNKNOWN;

    struct repl_claim now = fsm_claim_now(fsm, c);

    *after = now;
    if (now.version != item->version)
        return REPL_REFUSED_VERSION;
    if (item->reservation_end != 0 && item->reservation_end < now.reservation_end)
        return REPL_REFUSED_MALFORMED;
    if (item->reservation_end != 0)
        now.reservation_end = item->reservation_end;
    if (item->ceiling != 0)
        now.ceiling = item->ceiling;
    now.packets_in = number_larger(now.packets_in, item->packets_in);
    now.packets_out = number_larger(now.packets_out, item->packets_out);
    now.bytes_in = number_larger(now.bytes_in, item->bytes_in);
    now.bytes_out = number_larger(now.bytes_out, item->bytes_out);
    now.told = now.touched;
    now.version = slot;
    fsm_keep_sa(fsm, c->sa);
    c->claim = now;
    fsm_claim_changed(fsm, c);
    *after = now;
    return REPL_ACCEPTED;
}

enum repl_verdict fsm_apply_extend(struct fsm *fsm, uint32_t shard, uint64_t slot,
                                   const Holdfast__Extend *body, struct repl_item_result *items)
{
    enum repl_verdict first_refusal = REPL_ACCEPTED;
    bool any = false;

    for (size_t i = 0; i < body->n_items; i++) {
        items[i] = (struct repl_item_result){.spi_in = body->items[i]->spi_in};
        items[i].verdict = extend_one(fsm, shard, slot, body->items[i], &items[i].claim);
        if (items[i].verdict == REPL_ACCEPTED)
            any = true;
        else if (first_refusal == REPL_ACCEPTED)
            first_refusal = items[i].verdict;
    }
    return any ? REPL_ACCEPTED : first_refusal;
}

enum repl_verdict fsm_apply_pool_lease(struct fsm *fsm, uint32_t shard,
                                       const Holdfast__PoolLease *body)
{
    struct fsm_lease *l = map_get(&fsm->leases, fsm_lease_key(record_span(body->address)));

    if (!body->release) {
        if (l != NULL)
            return REPL_REFUSED_EXISTS;
        fsm_lease_add(fsm, lease_new(shard, body->address, body->identity, NULL));
        return REPL_ACCEPTED;
    }
    if (l == NULL || l->shard != shard ||
        !span_equal(span_of(l->identity, l->identity_len), record_span(body->identity)))
        return REPL_REFUSED_UNKNOWN;
    if (l->sa != NULL) /* goes with its SA */
        return REPL_REFUSED_EXISTS;
    fsm_lease_remove(fsm, l);
    return REPL_ACCEPTED;
}
