/* Applied records, in log order, the same on every node; then, for our own, the effects that waited
 * for it. */
#include "conductor/internal.h"
#include "ike/keys.h"

#include <stdlib.h>

/* The state bytes of a record become the SA's state; `out` is the decoded value. What nobody can read
 * (the version is one that all members know: it is damaged) nobody can go on with: its traffic stops
 * here, and its owner ends it. The state before it must not live on under the new version. */
static bool take_state(struct conductor *c, struct conductor_sa *sa, struct span state,
                       struct ike_sa *out)
{
    c->scratch_used = true;
    if (!ike_sa_decode(state, out)) {
        count(&c->counters, COUNTER_decode_failed);
        log_line(c->log, LOG_ERROR, "conductor",
                 "sa=%016llx applied state does not decode: the SA ends",
                 (unsigned long long)sa->id);
        children_remove_all(c, sa);
        sa_unreadable(c, sa);
        return false;
    }
    out->local_part = sa->local_part;
    sa_set_state(c, sa, state, out);
    return true;
}

static void apply_create(struct conductor *c, const struct repl_event *ev, uint64_t id,
                         uint32_t shard, struct span state)
{
    struct conductor_sa *sa = sa_find(c, id);

    if (sa == NULL)
        sa = sa_add(c, id, shard);
    sa_make_replicated(c, sa);
    sa_set_version(c, sa, ev->sa_version);
    for (size_t i = 0; i < ev->n_children; i++)
        children_add_claim(c, sa, &ev->children[i], ev->kind == REPL_EV_APPLIED);
    if (ev->kind == REPL_EV_APPLIED)
        children_unproven(sa);
    if (!take_state(c, sa, state, &c->before))
        return;
    if (ev->kind == REPL_EV_APPLIED)
        sessions_created(c, sa, &c->before);
    children_sync(c, sa, &c->before);
    if (ev->kind == REPL_EV_APPLIED)
        crowd_note(&c->crowd_sas, c->ops.now_ms(c->ops.self));
    count(&c->counters, COUNTER_sas_created);
}

static struct span bytes_of(const ProtobufCBinaryData *b)
{
    return span_of(b->data, b->len);
}

static void apply_successor(struct conductor *c, const struct repl_event *ev,
                            struct conductor_sa *old, const Holdfast__SaCreate *create)
{
    struct conductor_sa *sa = sa_find(c, create->sa_id);

    HF_ASSERT(sa == NULL || sa->half_open);
    if (sa != NULL)
        sa_remove(c, sa); /* somebody's half-open SA with this very SPI: the log wins */
    sa = sa_add(c, create->sa_id, old->shard);
    sa_set_version(c, sa, ev->successor_version);
    sa->local_part = old->local_part;
    if (!take_state(c, sa, bytes_of(&create->state), &c->before))
        return;
    sessions_followed(c, old, sa, &c->before);
    children_move(c, old, sa, &c->before);
    for (size_t i = 0; i < ev->n_children; i++)
        children_add_claim(c, sa, &ev->children[i], ev->kind == REPL_EV_APPLIED);
    children_sync(c, sa, &c->before);
    if (ev->kind == REPL_EV_APPLIED)
        crowd_note(&c->crowd_sas, c->ops.now_ms(c->ops.self));
    count(&c->counters, COUNTER_rekeys_ike);
}

static void apply_step(struct conductor *c, const struct repl_event *ev)
{
    const Holdfast__SaStep *step = ev->record->sa_step;
    struct conductor_sa *sa = sa_find(c, step->sa_id);
    struct session_was was;
    bool readable;

    if (sa == NULL || sa->half_open) { /* accepted by the state machine, so it must be here */
        log_line(c->log, LOG_ERROR, "conductor", "sa=%016llx stepped but not in the table",
                 (unsigned long long)step->sa_id);
        return;
    }
    sa_set_version(c, sa, ev->sa_version);
    was = sessions_was(sa);
    if (step->successor != NULL)
        apply_successor(c, ev, sa, step->successor);
    else
        for (size_t i = 0; i < ev->n_children; i++)
            children_add_claim(c, sa, &ev->children[i], ev->kind == REPL_EV_APPLIED);
    readable = take_state(c, sa, bytes_of(&step->state), &c->before);
    if (step->successor == NULL)
        sessions_stepped(c, sa, &was, readable ? &c->before : NULL, ev->cluster_ms);
    if (readable)
        children_sync(c, sa, &c->before);
}

static void apply_extend(struct conductor *c, const struct repl_event *ev)
{
    for (size_t i = 0; i < ev->n_items; i++) {
        struct conductor_child *child = child_find(c, ev->items[i].spi_in);
        const struct conductor_shard *shard;

        if (child == NULL || ev->items[i].verdict != REPL_ACCEPTED)
            continue;
        child->claim = ev->items[i].claim;
        shard = shard_find(c, child->sa->shard);
        if (shard == NULL || !shard->mine || child->esp == NULL)
            continue;
        child->extending = NULL;
        c->ops.esp_limits(c->ops.esp_self, child->esp, child->claim.reservation_end,
                          child->claim.ceiling);
    }
}

/* What is still marked was not accepted: its pacer learns what the state says. Of a request whose
 * fate is unknown the state here says nothing (a shrunk ceiling must not rise): RESET follows. */
static void settle_extend(struct conductor *c, const struct conductor_op *op, bool judged)
{
    for (size_t i = 0; i < op->n_extends; i++) {
        struct conductor_child *child = child_find(c, op->extends[i]);
        const struct conductor_shard *shard;
        struct repl_claim now;

        if (child == NULL || child->extending != op)
            continue;
        child->extending = NULL;
        shard = shard_find(c, child->sa->shard);
        now = child->claim;
        if (shard != NULL)
            repl_claim_touch(&now, shard->assignments);
        if (child->esp != NULL && judged)
            c->ops.esp_refused(c->ops.esp_self, child->esp, now.reservation_end, now.ceiling);
    }
}

/* What the record sends first, as a number that a drill can compare with the wire; 0: nothing. */
static uint64_t message_of(const struct ike_sa *after, const struct conductor_op *op)
{
    for (size_t i = 0; i < op->n_effects; i++) {
        if (op->effects[i].kind == IKE_SEND_RESPONSE)
            return span_fnv1a64(span_of(after->last_response.bytes, after->last_response.len));
        if (op->effects[i].kind == IKE_SEND_REQUEST)
            return span_fnv1a64(span_of(after->pending.request.bytes, after->pending.request.len));
    }
    return 0;
}

/* The record of our own step is applied: swap is done, now the sends that waited for it. */
void perform(struct conductor *c, struct conductor_sa *sa, const struct conductor_op *op)
{
    struct step_facts facts = run_facts(c, sa->id, sa->shard);

    if (!sa_decode(c, sa, &c->before))
        return;
    sa->local_part = op->local_part;
    c->before.local_part = op->local_part;
    sa_rearm(c, sa, &c->before);
    if (c->steppoint.armed)
        facts.message = message_of(&c->before, op);
    if (!op->peer_step)
        steppoint_reached(&c->steppoint, op->exchange, op->begun, POINT_COMMITTED, &facts);
    run_effects(c, &c->before, NULL, op->effects, op->n_effects);
    if (!op->peer_step)
        steppoint_reached(&c->steppoint, op->exchange, op->begun, POINT_SENT, &facts);
    exchanges_count(&c->counters, &op->note, c->ops.now_ms(c->ops.self));
    if (op->reason == IKE_REASON_HARD_LIFETIME)
        count(&c->counters, COUNTER_hard_expirations);
    if (op->completes && op->reason == IKE_REASON_NONE &&
        (op->exchange == IKE_EX_CHILD_REKEY || op->exchange == IKE_EX_CHILD_REKEY_PFS))
        count(&c->counters, COUNTER_rekeys_child);
}

/* The log refused an authentication: somebody has its address or SPI, so this node's view is behind
 * or lacks something. The peer must not be left without an answer: its request is stepped again,
 * with another address and another SPI. */
static void authenticate_again(struct conductor *c, struct conductor_sa *sa,
                               struct conductor_op *op, enum repl_verdict verdict)
{
    char peer[LOG_ENDPOINT_CHARS], address[LOG_ENDPOINT_CHARS], address6[LOG_ENDPOINT_CHARS];

    count(&c->counters, COUNTER_auth_refused);
    log_limited(c->log, &c->limit_refused, c->ops.now_ms(c->ops.self), LOG_WARN, "ike",
                "sa=%016llx peer=%s address=%s address6=%s the log refused the authentication: %s",
                (unsigned long long)sa->id, log_endpoint(&op->again->event.remote, peer),
                log_address(&op->address[SLOT_V4], address),
                log_address(&op->address[SLOT_V6], address6), repl_verdict_name(verdict));
    for (unsigned slot = 0; slot < ADDR_SLOTS && verdict == REPL_REFUSED_EXISTS; slot++)
        if (addr_is_set(&op->address[slot]))
            pool_avoid(c, &op->address[slot]);
    if (op->again->tries >= CONDUCTOR_AUTH_TRIES)
        return; /* the peer asks again, and has that many tries anew */
    work_first(sa, op->again);
    op->again = NULL;
}

/* Our own submission is settled: release what waited for it, or forget it. */
static void settle(struct conductor *c, struct conductor_op *op, const struct repl_event *ev)
{
    bool judged = ev->kind == REPL_EV_APPLIED; /* else its fate is in the state that follows */
    struct conductor_sa *sa;

    if (op == NULL)
        return;
    settle_extend(c, op, judged);
    handover_settled(c, op, ev);
    if (op->wish != 0 && c->ops.wish_settled != NULL)
        c->ops.wish_settled(c->ops.self, op->wish, judged, ev->verdict);
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        if (op->picked[slot])
            pool_release(c, &op->address[slot], 0);
    sa = op->sa_id != 0 ? sa_find(c, op->sa_id) : NULL;
    if (sa != NULL && sa->inflight == op) {
        sa->inflight = NULL;
        if (judged && ev->verdict == REPL_ACCEPTED) {
            news_done(c, sa, op->news_spi_in, op->news);
            if (late_wait(c, sa, op)) {
                sa->inflight = op;
                return;
            }
            perform(c, sa, op);
        } else if (judged && op->again != NULL) {
            authenticate_again(c, sa, op, ev->verdict);
        }
        run_queue(c, sa);
    }
    op_free(c, op);
}

static void apply_delete(struct conductor *c, uint64_t id, const char *reason)
{
    struct conductor_sa *sa = sa_find(c, id);

    if (sa == NULL)
        return;
    sessions_removed(c, sa, reason);
    sa_remove(c, sa);
    count(&c->counters, COUNTER_sas_deleted);
}

/* Before the SA that they end for: it may have the address of one of them. */
static void apply_ends(struct conductor *c, const Holdfast__SaCreate *create)
{
    for (size_t i = 0; i < create->n_ends; i++) {
        log_line(c->log, LOG_INFO, "ike", "sa=%016llx ended by the INITIAL_CONTACT of sa=%016llx",
                 (unsigned long long)create->ends[i]->sa_id, (unsigned long long)create->sa_id);
        apply_delete(c, create->ends[i]->sa_id, "initial-contact");
        count(&c->counters, COUNTER_initial_contact_ended);
    }
}

/* Likewise before it: it takes the address from this one. */
static void apply_gives(struct conductor *c, const struct repl_event *ev,
                        const Holdfast__SaGive *give)
{
    struct conductor_sa *sa = give != NULL ? sa_find(c, give->sa_id) : NULL;

    if (sa == NULL)
        return;
    sa_set_version(c, sa, ev->sa_version);
    if (take_state(c, sa, bytes_of(&give->state), &c->before))
        children_sync(c, sa, &c->before);
    log_line(c->log, LOG_INFO, "ike", "sa=%016llx gave its address to the next of its identity",
             (unsigned long long)sa->id);
    count(&c->counters, COUNTER_reauthentications);
}

static void apply_record(struct conductor *c, const struct repl_event *ev)
{
    const Holdfast__Record *r = ev->record;

    c->applied_index = ev->index;
    if (ev->verdict == REPL_ACCEPTED && r != NULL) {
        switch (r->body_case) {
        case HOLDFAST__RECORD__BODY_SA_CREATE:
            apply_ends(c, r->sa_create);
            apply_gives(c, ev, r->sa_create->gives);
            apply_create(c, ev, r->sa_create->sa_id, r->shard, bytes_of(&r->sa_create->state));
            break;
        case HOLDFAST__RECORD__BODY_SA_STEP:
            apply_step(c, ev);
            break;
        case HOLDFAST__RECORD__BODY_EXTEND:
            apply_extend(c, ev);
            break;
        case HOLDFAST__RECORD__BODY_SA_DELETE:
            apply_delete(c, r->sa_delete->sa_id, "removed");
            break;
        case HOLDFAST__RECORD__BODY_ASSIGN:
        case HOLDFAST__RECORD__BODY_HANDOVER_WINDOWS:
        case HOLDFAST__RECORD__BODY_HANDOVER_ABORT:
            handover_applied(c, r);
            break;
        default:
            break;
        }
    }
    if (ev->mine) {
        count(&c->counters, ev->verdict == REPL_ACCEPTED ? COUNTER_accepted : COUNTER_refused);
        settle(c, ev->effects, ev);
    }
}

static void restored_sa(struct conductor *c, const struct repl_event *ev)
{
    apply_create(c, ev, ev->sa_id, ev->shard, span_of(ev->bytes, ev->bytes_len));
}

static void restored_shard(struct conductor *c, const struct repl_event *ev)
{
    struct conductor_shard *s = shard_find(c, ev->shard);

    if (s == NULL)
        return;
    s->epoch = ev->epoch;
    s->owner_node = ev->owner_node;
    s->owner_boot = ev->owner_boot;
    s->assignments = ev->assignments;
    s->version = ev->shard_version;
    s->mine = false; /* after a snapshot a node holds no grant until a new assignment */
}

static void apply_config(struct conductor *c, const struct repl_event *ev)
{
    const Holdfast__ClusterConfig *config = ev->record != NULL ? ev->record->config : NULL;

    if (config == NULL)
        return;
    c->cookie_ready = config->cookie_secret.len == sizeof c->cookie_secret;
    if (c->cookie_ready)
        memcpy(c->cookie_secret, config->cookie_secret.data, sizeof c->cookie_secret);
    c->cookie_previous_ready =
        config->cookie_secret_previous.len == sizeof c->cookie_secret_previous;
    if (c->cookie_previous_ready)
        memcpy(c->cookie_secret_previous, config->cookie_secret_previous.data,
               sizeof c->cookie_secret_previous);
    c->cookie_secret_id = (uint8_t)config->cookie_secret_id;
}

static bool has_nothing_more(const struct ike_sa *sa)
{
    bool has = sa->pending.exchange != IKE_EX_NONE || sa->candidate.local_spi != 0 ||
               sa->n_owed_deletes > 0 || sa->successor_spi != 0 || sa->wanted != 0;

    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        has = has || sa->children[i].state != IKE_CHILD_NONE;
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        has = has || addr_is_set(&sa->virtual_ip[slot]);
    return !has;
}

/* An answered IKE_SA_INIT, as keep_half_open() of a peer has it, and nothing that comes later: the log
 * says all of that, so a copy that does is not taken at its word. It ends by time here, too. The lengths of
 * the keys are looked at here alone: what is in a record a step of this cluster has made, under a lease, and
 * a seal shows that nobody else did; a copy is one node's word, and that one may hold no shard. */
static bool is_answered(struct conductor *c, const struct ike_sa *sa)
{
    const struct suite_prf *prf = suite_find_prf(c->policy->suites, sa->prf_id);
    const struct suite_aead *aead =
        suite_find_aead(c->policy->suites, sa->encr_id, sa->encr_bits, sa->integ_id);

    return sa->state == IKE_SA_HALF_OPEN && sa->role == IKE_RESPONDER && sa->local_spi != 0 &&
           sa->remote_spi != 0 && shard_find(c, sa->shard) != NULL && addr_is_set(&sa->local.ip) &&
           addr_is_set(&sa->remote.ip) && sa->handshake.init_request.len > 0 &&
           sa->handshake.init_response.len > 0 && sa->handshake.nonce_i_len > 0 &&
           sa->handshake.nonce_r_len > 0 && sa->handshake.ke_private.len == 0 && prf != NULL &&
           aead != NULL && ike_keys_fit(prf, aead, &sa->keys) &&
           suite_find_ke(c->policy->suites, sa->ke_id) != NULL &&
           sa->created_ms <= c->ops.now_ms(c->ops.self) + c->policy->half_open_ms &&
           has_nothing_more(sa);
}

static void take_half_open(struct conductor *c, struct span encoded)
{
    struct conductor_sa *sa;

    c->scratch_used = true;
    if (!ike_sa_decode(encoded, &c->before) || !is_answered(c, &c->before) ||
        c->n_half_open >= CONDUCTOR_HALF_OPEN_MAX) {
        count(&c->counters, COUNTER_half_open_refused);
        return;
    }
    if (sa_find(c, c->before.local_spi) != NULL ||
        sa_find_half_open(c, c->before.remote_spi, &c->before.remote) != NULL)
        return;
    sa = sa_add(c, c->before.local_spi, c->before.shard);
    sa_add_half_open(c, sa, c->before.remote_spi, &c->before.remote);
    sa_set_state(c, sa, encoded, &c->before);
}

bool conductor_replication_some(struct conductor *c, const struct repl_event *ev)
{
    if (ev->kind == REPL_EV_RESET)
        return sa_reset_some(c, CONDUCTOR_FORGET_MAX);
    if (ev->kind == REPL_EV_ASSIGNED)
        return assigned_some(c, ev, CONDUCTOR_ASSIGNED_MAX);
    if (ev->kind == REPL_EV_LEASE && ev->held)
        return assigned_act_some(c, ev->shard, CONDUCTOR_ASSIGNED_MAX);
    conductor_handle_replication(c, ev);
    return true;
}

void conductor_handle_replication(struct conductor *c, const struct repl_event *ev)
{
    if (ev->speaks > c->speaks)
        c->speaks = ev->speaks;
    switch (ev->kind) {
    case REPL_EV_APPLIED:
        apply_record(c, ev);
        break;
    case REPL_EV_ASSIGNED:
        while (!assigned_some(c, ev, SIZE_MAX))
            ;
        break;
    case REPL_EV_UNSETTLED:
        settle(c, ev->effects, ev);
        break;
    case REPL_EV_RESTORED_LEASE:    /* an SA's address comes with its state */
    case REPL_EV_RESTORED_DOCUMENT: /* who reads them holds a view (repl_admin.h) */
        break;
    case REPL_EV_RESET:
        while (!sa_reset_some(c, SIZE_MAX))
            ;
        break;
    case REPL_EV_RESTORED_SA:
        restored_sa(c, ev);
        break;
    case REPL_EV_RESTORED_SHARD:
        restored_shard(c, ev);
        break;
    case REPL_EV_RESTORE_END:
        c->applied_index = ev->index;
        break;
    case REPL_EV_LEASE:
        while (ev->held && !assigned_act_some(c, ev->shard, SIZE_MAX))
            ;
        break;
    case REPL_EV_CONFIG:
        apply_config(c, ev);
        break;
    case REPL_EV_FRAME:
        if (ev->channel == REPL_CHANNEL_HALF_OPEN)
            take_half_open(c, span_of(ev->bytes, ev->bytes_len));
        break;
    case REPL_EV_GIVE:
        (void)conductor_give(c, ev->shard, ev->owner_node, ev->owner_boot, ev->reason);
        break;
    case REPL_EV_LEADER:
    case REPL_EV_QUORUM:
        break;
    }
}
