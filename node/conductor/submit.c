/* From a transition to a record: what changed, what is claimed, what is given back. */
#include "base/number.h"
#include "conductor/internal.h"

#include <stdlib.h>

/* Is there room for one more in the window of *since_ms? One that is over begins anew. */
static bool window_open(const struct conductor *c, uint64_t now, uint64_t *since_ms, unsigned *used,
                        unsigned most)
{
    if (now - *since_ms >= c->options.auth.window_ms) {
        *since_ms = now;
        *used = 0;
    }
    return *used < most;
}

static struct conductor_source *source_new(struct conductor *c, const struct ip_addr *ip,
                                           uint64_t now)
{
    struct conductor_source *s, *next;

    /* uthash's deletion is beyond the analyzer. NOLINTBEGIN(clang-analyzer-unix.Malloc) */
    if (HASH_COUNT(c->sources) >= 1024) {
        HASH_ITER(hh, c->sources, s, next)
        {
            if (now - s->window_ms >= c->options.auth.window_ms && s->proofs == 0) {
                HASH_DELETE(hh, c->sources, s);
                free(s);
            }
        }
        if (HASH_COUNT(c->sources) >= 1024)
            return NULL;
    }
    /* NOLINTEND(clang-analyzer-unix.Malloc) */
    s = calloc(1, sizeof *s);
    HF_ASSERT(s != NULL);
    s->ip = *ip;
    s->window_ms = now;
    HASH_ADD(hh, c->sources, ip, sizeof s->ip, s);
    return s;
}

/* Peers that fail to authenticate cost log entries: so many per source and window, and so many
 * in all (I15). What a source may not do does not count for all; who succeeds is neither counted
 * nor held back. Judged in all before the source is kept: then nobody fills the table up. */
bool source_allowed(struct conductor *c, const struct ip_addr *ip)
{
    const struct ip_addr source = source_of(ip);
    uint64_t now = c->ops.now_ms(c->ops.self);
    struct conductor_source *s = NULL;

    if (!window_open(c, now, &c->all_window_ms, &c->all_used, c->options.auth.in_all))
        return false;
    HASH_FIND(hh, c->sources, &source, sizeof source, s);
    if (s == NULL)
        s = source_new(c, &source, now);
    if (s == NULL || !window_open(c, now, &s->window_ms, &s->used, c->options.auth.per_source))
        return false;
    s->used++;
    c->all_used++;
    return true;
}

/* A peer's certificate and signature cost us more than they cost the peer: each that is being judged
 * counts as a failure to come, until it has become one or not. */
bool source_proof_begin(struct conductor *c, const struct ip_addr *ip)
{
    const struct ip_addr source = source_of(ip);
    uint64_t now = c->ops.now_ms(c->ops.self);
    struct conductor_source *s = NULL;

    if (c->all_proofs >= c->options.auth.in_all ||
        !window_open(c, now, &c->all_window_ms, &c->all_used,
                     c->options.auth.in_all - c->all_proofs))
        return false;
    HASH_FIND(hh, c->sources, &source, sizeof source, s);
    if (s == NULL)
        s = source_new(c, &source, now);
    if (s == NULL || s->proofs >= c->options.auth.per_source ||
        !window_open(c, now, &s->window_ms, &s->used, c->options.auth.per_source - s->proofs))
        return false;
    s->proofs++;
    c->all_proofs++;
    return true;
}

void source_proof_end(struct conductor *c, const struct ip_addr *ip)
{
    const struct ip_addr source = source_of(ip);
    struct conductor_source *s = NULL;

    HASH_FIND(hh, c->sources, &source, sizeof source, s);
    HF_ASSERT(s != NULL && s->proofs > 0 && c->all_proofs > 0);
    s->proofs--;
    c->all_proofs--;
}

static bool has_child(const struct ike_sa *sa, uint32_t spi_in)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE && sa->children[i].spi_in == spi_in)
            return true;
    return false;
}

/* The protobuf structs of one submission, all in the caller's frame. */
struct draft {
    Holdfast__Record record;
    Holdfast__Epoch epoch;
    Holdfast__SaCreate create;
    Holdfast__SaStep step;
    Holdfast__SaDelete delete;
    Holdfast__ChildClaim claims[IKE_MAX_CHILDREN];
    Holdfast__ChildClaim *claim_ptrs[IKE_MAX_CHILDREN];
    size_t n_claims;
    uint32_t gone[IKE_MAX_CHILDREN];
    size_t n_gone;
    uint8_t identity[1 + IKE_MAX_ID_BYTES];
    ProtobufCBinaryData addresses[ADDR_SLOTS];
    Holdfast__SaDelete ends[RECORD_MAX_ENDS];
    Holdfast__SaDelete *end_ptrs[RECORD_MAX_ENDS];
    Holdfast__SaGive gives;
};

/* node, boot and request are filled in by the replica. */
static void draft_begin(struct conductor *c, struct draft *d, uint32_t shard)
{
    const struct conductor_shard *s = shard_find(c, shard);

    holdfast__record__init(&d->record);
    holdfast__epoch__init(&d->epoch);
    if (s != NULL) {
        d->epoch.incarnation = s->epoch.incarnation;
        d->epoch.index = s->epoch.index;
    }
    d->record.shard = shard;
    d->record.epoch = &d->epoch;
    d->n_claims = d->n_gone = 0;
}

/* The first numbers of a CHILD SA: by the traffic of the one that it replaces. */
static void first_numbers(struct conductor *c, const struct ike_sa *after, uint32_t spi_in,
                          Holdfast__ChildClaim *claim)
{
    uint64_t numbers = 0, ceiling = 0;

    for (int i = 0; i < IKE_MAX_CHILDREN && c->ops.esp_first != NULL; i++) {
        const struct ike_child *old = &after->children[i];
        const struct conductor_child *known;

        if (old->state == IKE_CHILD_NONE || old->successor_spi_in != spi_in)
            continue;
        known = child_find(c, old->spi_in);
        if (known != NULL && known->esp != NULL)
            c->ops.esp_first(c->ops.esp_self, known->esp, &numbers, &ceiling);
    }
    claim->reservation_end = 1 + number_larger(numbers, CONDUCTOR_FIRST_RESERVATION);
    claim->ceiling = number_larger(ceiling, CONDUCTOR_FIRST_CEILING);
}

static void draft_claims(struct conductor *c, struct draft *d, const struct ike_sa *before,
                         const struct ike_sa *after)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *child = &after->children[i];
        Holdfast__ChildClaim *claim;

        if (child->state == IKE_CHILD_NONE || (before != NULL && has_child(before, child->spi_in)))
            continue;
        claim = &d->claims[d->n_claims];
        holdfast__child_claim__init(claim);
        claim->spi_in = child->spi_in;
        claim->spi_out = child->spi_out;
        first_numbers(c, after, child->spi_in, claim);
        claim->esn = child->esn;
        d->claim_ptrs[d->n_claims++] = claim;
    }
}

static void draft_create(struct draft *d, const struct ike_sa *sa, struct span state)
{
    const struct ike_identity key = identity_key(&sa->remote_id);

    holdfast__sa_create__init(&d->create);
    d->create.sa_id = sa->local_spi;
    d->create.state =
        (ProtobufCBinaryData){.len = state.len, .data = (uint8_t *)(uintptr_t)state.data};
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        if (addr_is_set(&sa->virtual_ip[slot]))
            d->addresses[d->create.n_addresses++] =
                (ProtobufCBinaryData){.len = addr_len(&sa->virtual_ip[slot]),
                                      .data = (uint8_t *)(uintptr_t)sa->virtual_ip[slot].bytes};
    d->create.addresses = d->addresses;
    d->identity[0] = key.type;
    memcpy(d->identity + 1, key.bytes, key.len);
    d->create.identity = (ProtobufCBinaryData){.len = 1u + key.len, .data = d->identity};
}

static bool has_address(const struct ike_sa *sa)
{
    return addr_is_set(&sa->virtual_ip[SLOT_V4]) || addr_is_set(&sa->virtual_ip[SLOT_V6]);
}

static void draft_sa_step(struct conductor *c, struct draft *d, const struct conductor_sa *sa)
{
    const struct ike_transition *t = &c->transition;
    struct span after = sa_encode(c, 0, &t->after);

    holdfast__sa_step__init(&d->step);
    d->step.sa_id = sa->id;
    d->step.version = sa_version(c, sa);
    d->step.state =
        (ProtobufCBinaryData){.len = after.len, .data = (uint8_t *)(uintptr_t)after.data};
    draft_claims(c, d, &c->before, &t->after);
    if (t->has_successor) {
        draft_create(d, &t->successor, sa_encode(c, 1, &t->successor));
        draft_claims(c, d, &c->before, &t->successor);
        d->step.successor = &d->create;
    }
    for (int i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *child = &c->before.children[i];

        if (child->state != IKE_CHILD_NONE && !has_child(&t->after, child->spi_in) &&
            !(t->has_successor && has_child(&t->successor, child->spi_in)))
            d->gone[d->n_gone++] = child->spi_in;
    }
    /* Addresses come and go together: the end of an SA gives all of them back. */
    d->step.address_back = !t->has_successor && has_address(&c->before) && !has_address(&t->after);
    d->step.new_children = d->claim_ptrs;
    d->step.n_new_children = d->n_claims;
    d->step.gone_children = d->gone;
    d->step.n_gone_children = d->n_gone;
    d->record.body_case = HOLDFAST__RECORD__BODY_SA_STEP;
    d->record.sa_step = &d->step;
}

static void draft_sa_delete(struct conductor *c, struct draft *d, const struct conductor_sa *sa)
{
    holdfast__sa_delete__init(&d->delete);
    d->delete.sa_id = sa->id;
    d->delete.version = sa_version(c, sa);
    d->record.body_case = HOLDFAST__RECORD__BODY_SA_DELETE;
    d->record.sa_delete = &d->delete;
}

/* RFC 7296 2.4: the other SAs of this identity end, without a word to a peer that has forgotten
 * them; in this one record, so that no owner does the one without the other and the address is free
 * for it. With the versions as of now: whoever moved meanwhile refuses it all, the peer asks again.
 */
static void draft_ends(struct conductor *c, struct draft *d, uint32_t shard)
{
    const struct ike_sa *after = &c->transition.after;
    struct conductor_sa *ends[RECORD_MAX_ENDS];

    if (after->state != IKE_SA_ESTABLISHED || !after->peer_initial_contact)
        return;
    d->create.n_ends = identity_ends(c, shard, &after->remote_id, ends);
    for (size_t i = 0; i < d->create.n_ends; i++) {
        holdfast__sa_delete__init(&d->ends[i]);
        d->ends[i].sa_id = ends[i]->id;
        d->ends[i].version = sa_version(c, ends[i]);
        d->end_ptrs[i] = &d->ends[i];
    }
    d->create.ends = d->end_ptrs;
}

/* The SA that gives its address to this one goes on without it. Its version is as of now, like above. */
static void draft_gives(struct conductor *c, struct draft *d, uint64_t giver)
{
    struct conductor_sa *sa = giver != 0 ? sa_find(c, giver) : NULL;
    const struct ike_sa *after = &c->transition.after;
    struct span state;

    if (sa == NULL || d->create.n_addresses == 0 || !sa_decode(c, sa, &c->giver))
        return;
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        if (addr_equal(&c->giver.virtual_ip[slot], &after->virtual_ip[slot]))
            c->giver.virtual_ip[slot] = (struct ip_addr){0};
    state = sa_encode(c, 1, &c->giver);
    secret_wipe_bytes(&c->giver, sizeof c->giver);
    holdfast__sa_give__init(&d->gives);
    d->gives.sa_id = sa->id;
    d->gives.version = sa_version(c, sa);
    d->gives.state =
        (ProtobufCBinaryData){.len = state.len, .data = (uint8_t *)(uintptr_t)state.data};
    d->create.gives = &d->gives;
}

static void draft_sa_create(struct conductor *c, struct draft *d, uint32_t shard, uint64_t giver)
{
    draft_create(d, &c->transition.after, sa_encode(c, 0, &c->transition.after));
    draft_claims(c, d, NULL, &c->transition.after);
    d->create.children = d->claim_ptrs;
    d->create.n_children = d->n_claims;
    draft_ends(c, d, shard);
    draft_gives(c, d, giver);
    d->record.body_case = HOLDFAST__RECORD__BODY_SA_CREATE;
    d->record.sa_create = &d->create;
}

struct conductor_op *op_add(struct conductor *c, uint64_t sa_id)
{
    struct conductor_op *op = calloc(1, sizeof *op);

    HF_ASSERT(op != NULL);
    op->sa_id = sa_id;
    DL_APPEND(c->ops_inflight, op);
    return op;
}

void op_free(struct conductor *c, struct conductor_op *op)
{
    DL_DELETE(c->ops_inflight, op);
    if (op->again != NULL)
        work_free(op->again);
    free(op->extends);
    free(op);
}

/* Gives the record to replication; an operation that was not taken is forgotten. */
static bool hand_over(struct conductor *c, Holdfast__Record *record, struct conductor_op *op)
{
    if (c->ops.submit(c->ops.self, record, op)) {
        count(&c->counters, COUNTER_submitted);
        return true;
    }
    count(&c->counters, COUNTER_submit_refused);
    op_free(c, op);
    return false;
}

bool submit_other(struct conductor *c, uint32_t shard, Holdfast__Record *record,
                  struct conductor_op *op)
{
    const struct conductor_shard *s = shard_find(c, shard);
    Holdfast__Epoch epoch = HOLDFAST__EPOCH__INIT;

    if (s != NULL) {
        epoch.incarnation = s->epoch.incarnation;
        epoch.index = s->epoch.index;
    }
    record->shard = shard;
    record->epoch = &epoch;
    return hand_over(c, record, op);
}

bool submit_step(struct conductor *c, struct conductor_sa *sa, struct conductor_work *w)
{
    struct ike_transition *t = &c->transition;
    struct step_facts facts = run_facts(c, sa->id, sa->shard);
    struct conductor_op *op;
    struct draft d;

    HF_ASSERT(sa->inflight == NULL);
    if (!may_step(c, sa->shard)) {
        count(&c->counters, COUNTER_not_owner);
        return false;
    }
    t->after.shard = sa->shard;
    t->successor.shard = sa->shard;
    /* By where the IKE_SA_INIT came from, which a cookie proves; an IKE_AUTH may claim any source.
     */
    if (sa->half_open && t->after.role == IKE_RESPONDER && t->after.state != IKE_SA_ESTABLISHED &&
        !source_allowed(c, &sa->key.ip)) {
        count(&c->counters, COUNTER_rate_limited);
        failed_limit(c, sa, w, ATTEMPT_LIMIT_AUTHENTICATIONS);
        return false;
    }
#if defined(HOLDFAST_PLANT_answer_before_commit)
    run_effects(c, &t->after, &t->plain, t->effects,
                t->n_effects); /* planted: sent before it is committed */
#endif
    steppoint_reached(&c->steppoint, t->exchange, t->begun,
                      t->peer_step ? POINT_PEER : POINT_STEPPED, &facts);
    draft_begin(c, &d, sa->shard);
    if (sa->half_open)
        draft_sa_create(c, &d, sa->shard, w->giver);
    else if (t->after.state == IKE_SA_NONE)
        draft_sa_delete(c, &d, sa);
    else
        draft_sa_step(c, &d, sa);
    op = op_add(c, sa->id);
    op->exchange = t->exchange;
    op->begun = t->begun;
    op->reason = t->reason;
    op->peer_step = t->peer_step;
    op->completes = t->completes;
    op->note = exchanges_note(&c->before, t, w->event.now_ms);
    op->n_effects = t->n_effects;
    memcpy(op->effects, t->effects, sizeof op->effects);
    op->news = w->news;
    op->news_spi_in = w->event.child_spi_in;
    op->local_part = t->after.local_part;
    if (sa->half_open && w->event.kind == IKE_EV_DATAGRAM)
        op->again = work_repeat(w);
    memcpy(op->address, w->event.address.ip, sizeof op->address);
    memcpy(op->picked, w->picked, sizeof op->picked);
    sa->inflight = op;
    if (!hand_over(c, &d.record, op)) {
        sa->inflight = NULL;
        return false;
    }
    if (!t->peer_step)
        steppoint_reached(&c->steppoint, t->exchange, t->begun, POINT_SUBMITTED, &facts);
    return true;
}

bool submit_delete(struct conductor *c, struct conductor_sa *sa)
{
    struct conductor_op *op;
    struct draft d;

    if (sa->inflight != NULL || !may_step(c, sa->shard))
        return false;
    draft_begin(c, &d, sa->shard);
    draft_sa_delete(c, &d, sa);
    op = op_add(c, sa->id);
    sa->inflight = op;
    if (hand_over(c, &d.record, op))
        return true;
    sa->inflight = NULL;
    return false;
}

/* The items whose claim has no Extend under way, with the versions as of now; *shrinks: how many of them lower a ceiling. */
static size_t draft_extend(struct conductor *c, const struct conductor_shard *s,
                           struct conductor_extend *items, size_t n, Holdfast__Extend__Item *out,
                           Holdfast__Extend__Item **ptrs, size_t *shrinks)
{
    size_t taken = 0;

    *shrinks = 0;
    for (size_t i = 0; i < n; i++) {
        struct conductor_child *child = child_find(c, items[i].spi_in);
        struct repl_claim now;

        items[i].taken = child != NULL && child->extending == NULL && child->sa->shard == s->id;
        if (!items[i].taken)
            continue;
        now = child->claim;
        repl_claim_touch(&now, s->assignments);
        holdfast__extend__item__init(&out[taken]);
        out[taken].spi_in = items[i].spi_in;
        out[taken].version = now.version;
        out[taken].reservation_end = items[i].reservation_end;
        out[taken].ceiling = items[i].ceiling;
        out[taken].packets_in = items[i].packets_in;
        out[taken].packets_out = items[i].packets_out;
        out[taken].bytes_in = items[i].bytes_in;
        out[taken].bytes_out = items[i].bytes_out;
        ptrs[taken] = &out[taken];
        *shrinks += items[i].ceiling != 0 && items[i].ceiling < now.ceiling;
        taken++;
    }
    return taken;
}

bool conductor_extend(struct conductor *c, uint32_t shard, struct conductor_extend *items, size_t n)
{
    const struct conductor_shard *s = shard_find(c, shard);
    Holdfast__Extend extend;
    Holdfast__Extend__Item *all;
    struct conductor_op *op;
    struct draft d;
    bool taken = false;
    size_t shrinks;

    for (size_t i = 0; i < n; i++)
        items[i].taken = false;
    if (s == NULL || !s->mine || !c->ops.may_act(c->ops.self, shard) || n == 0 ||
        handover_still(c, shard))
        return false;
    draft_begin(c, &d, shard);
    holdfast__extend__init(&extend);
    all = calloc(n, sizeof *all);
    extend.items = calloc(n, sizeof(Holdfast__Extend__Item *));
    HF_ASSERT(all != NULL && extend.items != NULL);
    extend.n_items = draft_extend(c, s, items, n, all, extend.items, &shrinks);
    d.record.body_case = HOLDFAST__RECORD__BODY_EXTEND;
    d.record.extend = &extend;
    if (extend.n_items > 0) {
        op = op_add(c, 0);
        op->extends = calloc(extend.n_items, sizeof *op->extends);
        HF_ASSERT(op->extends != NULL);
        for (size_t i = 0; i < extend.n_items; i++)
            op->extends[op->n_extends++] = all[i].spi_in;
        taken = hand_over(c, &d.record, op);
        for (size_t i = 0; taken && i < extend.n_items; i++)
            child_find(c, all[i].spi_in)->extending = op;
        for (size_t i = 0; !taken && i < n; i++)
            items[i].taken = false;
        if (taken && shrinks < extend.n_items)
            count(&c->counters, COUNTER_extends);
        if (taken && shrinks > 0)
            count(&c->counters, COUNTER_shrinks);
    }
    free(all);
    free(extend.items);
    return taken;
}
