/* What the log says becomes state, events and ownership; and what a snapshot says. */
#include <stdlib.h>

#include "base/secret.h"
#include "replication/replica_parts.h"

struct repl_child_state *replica_children_of(const struct fsm *fsm, const struct fsm_sa *sa)
{
    struct repl_child_state *out = NULL;

    if (sa->n_claims > 0)
        out = repl_alloc_zero(sa->n_claims, sizeof *out);
    for (size_t i = 0; i < sa->n_claims; i++)
        out[i] = (struct repl_child_state){.spi_in = sa->claims[i]->spi_in,
                                           .spi_out = sa->claims[i]->spi_out,
                                           .esn = sa->claims[i]->esn,
                                           .claim = fsm_claim_now(fsm, sa->claims[i])};
    return out;
}

static enum repl_counter counter_of(enum repl_verdict v)
{
    return (enum repl_counter)((int)REPL_COUNT_ACCEPTED + (int)v);
}

/* Which SA a record is about; 0 = none. */
static uint64_t sa_of(const Holdfast__Record *r)
{
    switch (r->body_case) {
    case HOLDFAST__RECORD__BODY_SA_CREATE:
        return r->sa_create->sa_id;
    case HOLDFAST__RECORD__BODY_SA_STEP:
        return r->sa_step->sa_id;
    case HOLDFAST__RECORD__BODY_SA_DELETE:
        return r->sa_delete->sa_id;
    default:
        return 0;
    }
}

static void emit_applied(struct replica *r, Holdfast__Record *record, size_t sealed_len,
                         const struct fsm_outcome *outcome, struct repl_item_result *items)
{
    bool ours = record->node == r->options.node && record->boot == r->options.boot;
    struct repl_event event = {.kind = REPL_EV_APPLIED,
                               .index = r->fsm.applied_index,
                               .cluster_ms = r->fsm.cluster_ms,
                               .verdict = outcome->verdict,
                               .record = record,
                               .record_bytes = sealed_len,
                               .shard = record->shard,
                               .epoch = record_epoch(record->epoch),
                               .sa_id = sa_of(record),
                               .sa_version = outcome->sa_version,
                               .successor_version = outcome->successor_version,
                               .document_version = outcome->document_version,
                               .document_item = outcome->item,
                               .audit = outcome->audit};
    struct outbox_item item;

    if (ours && outbox_settle(r->outbox, record->request, &item)) {
        event.mine = true;
        event.request = record->request;
        event.effects = item.effects;
        free(item.bytes);
    }
    if (outcome->sa != NULL) {
        event.children = replica_children_of(&r->fsm, outcome->sa);
        event.n_children = outcome->sa->n_claims;
    }
    if (items != NULL && record->body_case == HOLDFAST__RECORD__BODY_EXTEND) {
        event.items = items;
        event.n_items = record->extend->n_items;
    }
    replica_emit(r, event);
}

static void emit_config(struct replica *r)
{
    const struct fsm_config *c = &r->fsm.config;
    Holdfast__Record *record = repl_alloc_zero(1, sizeof *record);
    Holdfast__ClusterConfig *body = repl_alloc_zero(1, sizeof *body);

    /* Built as unpack would build it, so that one free releases it. */
    holdfast__record__init(record);
    holdfast__cluster_config__init(body);
    record->body_case = HOLDFAST__RECORD__BODY_CONFIG;
    record->config = body;
    body->version = c->version;
    body->election_ms = c->election_ms;
    body->heartbeat_ms = c->heartbeat_ms;
    body->lease_ms = c->lease_ms;
    body->lease_heartbeat_ms = c->lease_heartbeat_ms;
    body->cookie_secret.data = repl_copy(c->cookie_secret, 32);
    body->cookie_secret.len = 32;
    if (c->has_previous) {
        body->cookie_secret_previous.data = repl_copy(c->cookie_secret_previous, 32);
        body->cookie_secret_previous.len = 32;
    }
    body->cookie_secret_id = c->cookie_secret_id;
    replica_emit(r, (struct repl_event){.kind = REPL_EV_CONFIG,
                                        .index = r->fsm.applied_index,
                                        .cluster_ms = r->fsm.cluster_ms,
                                        .record = record});
}

void replica_take_config(struct replica *r)
{
    r->config_ns = r->now_ns;
    ownership_timing(&r->ownership, r->fsm.config.lease_ms * 1000000ull,
                     r->fsm.config.lease_heartbeat_ms * 1000000ull);
    emit_config(r);
}

static void take_assignment(struct replica *r, bool handover, const struct fsm_outcome *outcome)
{
    const struct fsm_shard *s = outcome->assigned;

    ownership_assigned(&r->ownership, s->shard, outcome->replaced, s->epoch, s->owner_node,
                       s->owner_boot, handover, r->now_ns);
    if (r->able)
        replica_await(r, r->fsm.applied_index, s->owner_node);
    replica_publish_leases(r); /* the old epoch's lease is gone before anyone hears of the new */
    replica_log(r, REPL_LOG_INFO, "shard %u: epoch %llu, owner node %u, assignment %llu%s",
                (unsigned)s->shard, (unsigned long long)s->epoch.index, (unsigned)s->owner_node,
                (unsigned long long)s->assignments, handover ? " (handover)" : "");
    replica_emit(r, (struct repl_event){.kind = REPL_EV_ASSIGNED,
                                        .index = r->fsm.applied_index,
                                        .cluster_ms = r->fsm.cluster_ms,
                                        .mine = s->owner_node == r->options.node &&
                                                s->owner_boot == r->options.boot,
                                        .shard = s->shard,
                                        .epoch = s->epoch,
                                        .owner_node = s->owner_node,
                                        .owner_boot = s->owner_boot,
                                        .assignments = s->assignments,
                                        .shard_version = s->assignments + s->aborts,
                                        .handover = handover});
}

void replica_take_boot(struct replica *r, uint32_t node, uint64_t boot)
{
    ownership_booted(&r->ownership, node, boot);
    replica_list(r); /* its address; and after our own we know all that the log says */
    if (node == r->options.node && boot != 0 && boot != r->options.boot && r->ownership.confirmed) {
        /* Somebody else started under our id: two machines with one identity. */
        r->ownership.confirmed = false;
        replica_fail(r, "another daemon runs under this node's id");
    }
}

/* What a record means for ownership: read before its event is emitted, for the event takes it over.
 */
struct follow_up {
    Holdfast__Record__BodyCase body;
    uint32_t shard;
    bool handover;
    uint32_t booted; /* node, 0 = none */
    uint64_t boot;
    bool members; /* somebody joined or left */
    uint32_t node;
};

static struct follow_up follow_up_of(const Holdfast__Record *record)
{
    struct follow_up f = {.body = record->body_case};

    if (f.body == HOLDFAST__RECORD__BODY_ASSIGN) {
        f.shard = record->assign->shard;
        f.handover = record->assign->handover;
    }
    if (f.body == HOLDFAST__RECORD__BODY_MEMBER &&
        record->member->change == HOLDFAST__MEMBER__CHANGE__BOOT) {
        f.booted = record->member->node;
        f.boot = record->member->boot;
    } else if (f.body == HOLDFAST__RECORD__BODY_MEMBER) {
        f.members = true;
        f.node = record->member->node;
    }
    return f;
}

static void follow(struct replica *r, struct follow_up f, const struct fsm_outcome *outcome)
{
    if (outcome->assigned != NULL)
        take_assignment(r, f.handover, outcome);
    else if (f.body == HOLDFAST__RECORD__BODY_ASSIGN && !f.handover)
        ownership_refused(&r->ownership, f.shard, r->now_ns);
    if (f.body == HOLDFAST__RECORD__BODY_CONFIG)
        r->configuring = false;
    if (outcome->configured)
        replica_take_config(r);
    if (f.booted != 0 && outcome->verdict == REPL_ACCEPTED)
        replica_take_boot(r, f.booted, f.boot);
    if (f.members && outcome->verdict == REPL_ACCEPTED) {
        replica_log(r, REPL_LOG_INFO, "node %u %s", (unsigned)f.node,
                    fsm_member(&r->fsm, f.node)->left ? "leaves the cluster" : "joins the cluster");
        if (fsm_member(&r->fsm, f.node)->left)
            replica_left(r);
        replica_list(r);
    }
}

/* Of a session whose key is given up, or was when this one came, or that came behind the change to
 * another: left out, on every node. But the first record of a log is the configuration's: what cannot
 * open that would leave out all there is, and begin as if nothing had ever been. */
static bool left_out(struct replica *r, struct span sealed)
{
    struct seal_clear clear;

    if (r->options.ring == NULL || seal_key_of(sealed) == 0)
        return false;
    clear = seal_clear_of(sealed);
    if (clear.key == seal_ring_current(r->options.ring, SEAL_CONFIGURATION) ||
        (clear.key == r->fsm.session_key && r->blind == 0))
        return false;
    if (!r->opened) {
        replica_log(r, REPL_LOG_ERROR,
                    "the log is sealed with the key %016llx, the one here is %016llx",
                    (unsigned long long)clear.key,
                    (unsigned long long)seal_ring_current(r->options.ring, SEAL_CONFIGURATION));
        replica_fail(r, "configuration.key is not the one that this log is sealed with: put the "
                        "cluster's own back");
        return true;
    }
    if (clear.key == r->fsm.session_key)
        fsm_skip(&r->fsm, clear.node, clear.boot, clear.request);
    return true;
}

/* Nobody is told of what a blind node applies, but its own memory of the keys. */
static void apply_blind(struct replica *r, Holdfast__Record *record,
                        const struct fsm_outcome *outcome)
{
    if (outcome->rekeyed)
        replica_session_applied(r, record->session_key);
    if (outcome->erased)
        replica_key_erased(r, record->key_erased->id);
    record_free(record);
}

static void apply_record(struct replica *r, struct span sealed, size_t position)
{
    if (left_out(r, sealed))
        return;

    uint8_t *plain = repl_alloc_zero(1, sealed.len + 1);
    struct fsm_outcome outcome;
    struct repl_item_result *items = NULL;
    size_t n = 0;

    if (!r->options.seal->open(r->options.seal->self, SEAL_RECORD, sealed, plain, &n)) {
        free(plain);
        replica_fail(r, "a committed record cannot be opened");
        return;
    }

    r->opened = true;

    Holdfast__Record *record = record_unpack(span_of(plain, n));

    secret_wipe_bytes(plain, n);
    free(plain);
    replica_count(r, REPL_COUNT_APPLIED, 1);
    if (record == NULL) {
        replica_count(r, REPL_COUNT_REFUSED_MALFORMED, 1);
        return;
    }
    if (record->body_case == HOLDFAST__RECORD__BODY_EXTEND && record->extend->n_items > 0)
        items = repl_alloc_zero(record->extend->n_items, sizeof *items);
    fsm_apply(&r->fsm, record, position, items, &outcome);
    replica_count(r, counter_of(outcome.verdict), 1);
    if (outcome.verdict == REPL_REFUSED_DUPLICATE) {
        free(items);
        record_free(record);
        return;
    }
    if (items != NULL && items[0].spi_in == 0) { /* refused before its items were looked at */
        free(items);
        items = NULL;
    }

    if (r->blind != 0) {
        free(items);
        apply_blind(r, record, &outcome);
        return;
    }
    if (outcome.rekeyed)
        replica_session_applied(r, record->session_key);
    if (outcome.erased)
        replica_key_erased(r, record->key_erased->id);

    struct follow_up f = follow_up_of(record);

    emit_applied(r, record, sealed.len, &outcome, items);
    follow(r, f, &outcome);
}

/* The key that one of its records needs and that is not here; 0 = none. A key that the state does not
 * name is none: such a record is left out. */
static uint64_t lacks_key(struct replica *r, const Holdfast__Entry *e)
{
    uint64_t session = r->fsm.session_key;

    if (r->options.ring == NULL || e == NULL || session == 0 || r->blind != 0 ||
        seal_ring_has(r->options.ring, session))
        return 0;
    for (size_t i = 0; i < e->n_records; i++)
        if (seal_key_of(record_span(e->records[i])) == session)
            return session;
    return 0;
}

/* All of it is one state again, and the former SAs are nobody's. */
static void see_again(struct replica *r)
{
    r->reset_due = false;
    r->blind = 0;
    replica_left(r); /* perhaps somebody did meanwhile */
    replica_list(r);
    replica_reset(r);
    replica_state_again(r);
}

/* What this program does not know it neither applies nor passes over: its state stays as it is, it
 * owns nothing and leads nobody. It stores and votes: that needs no knowledge of what it stores. */
static void halt(struct replica *r, uint64_t index, uint32_t format)
{
    r->halted = true;
    r->able = false;
    ownership_leading(&r->ownership, false, r->now_ns);
    replica_log(r, REPL_LOG_ERROR,
                "entry %llu is of version %u, this program knows up to %u: it applies nothing any "
                "more and owns nothing until it is upgraded",
                (unsigned long long)index, (unsigned)format, (unsigned)r->options.speaks);
}

void replica_on_apply(void *self, uint64_t index, const struct repl_entry *entry)
{
    struct replica *r = self;

    if (r->halted)
        return;
    if (entry->kind != REPL_ENTRY_COMMAND) {
        fsm_begin_entry(&r->fsm, index, 0);
        if (r->blind == 0)
            replica_witness_applied(r);
    } else {
        replica_apply_entry(r, index, entry->data);
    }
}

void replica_apply_entry(struct replica *r, uint64_t index, struct span data)
{
    Holdfast__Entry *e = entry_unpack(data);
    uint64_t lacking;
    size_t n_tokens;

    if (e != NULL && e->format > r->options.speaks) {
        halt(r, index, e->format);
        entry_free(e);
        return;
    }
    lacking = lacks_key(r, e);
    if (lacking != 0) {
        entry_free(e);
        replica_lock_entry(r, lacking, index, data);
        return;
    }
    n_tokens = r->fsm.n_tokens;
    fsm_begin_entry(&r->fsm, index, e == NULL ? 0 : e->cluster_ms);
    if (e == NULL) {
        replica_count(r, REPL_COUNT_REFUSED_MALFORMED, 1);
        replica_witness_applied(r);
        return;
    }
    replica_clock_applied(r, e->cluster_ms);
    for (size_t i = 0; i < e->n_records && !r->failed; i++)
        apply_record(r, record_span(e->records[i]), i);
    entry_free(e);
    if (r->reset_due && !r->failed)
        see_again(r);
    if (r->fsm.n_tokens != n_tokens) /* some came, were used, or expired */
        replica_list(r);
    if (r->blind == 0)
        replica_witness_applied(r);
}
