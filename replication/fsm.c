/* Judging a record: who, twice?, fence; then the bodies of leader and members. */
#include "replication/fsm.h"

#include <stdlib.h>

#include "replication/fsm_parts.h"

void fsm_begin_entry(struct fsm *fsm, uint64_t index, uint64_t stamp_ms)
{
    HF_ASSERT(index > fsm->applied_index);
    fsm->applied_index = index;
    if (stamp_ms <= fsm->cluster_ms)
        return;

    uint64_t advance = stamp_ms - fsm->cluster_ms;

    fsm->cluster_ms += advance < FSM_MAX_ADVANCE_MS ? advance : FSM_MAX_ADVANCE_MS;
    fsm_expire_tokens(fsm);
}

/* --- requests: each (boot, request) is judged once --- */

static bool is_judged(const struct fsm_member *m, uint64_t request)
{
    if (request < m->floor)
        return true;
    if (request - m->floor >= FSM_WINDOW)
        return false;

    uint64_t bit = request % FSM_WINDOW;

    return (m->judged[bit / 64] >> (bit % 64) & 1) != 0;
}

/* Marks it; a submitter never runs further ahead of its oldest unsettled request than the window.
 */
static enum repl_verdict judge_request(struct fsm_member *m, uint64_t request)
{
    if (is_judged(m, request))
        return REPL_REFUSED_DUPLICATE;
    if (request - m->floor >= FSM_WINDOW)
        return REPL_REFUSED_MALFORMED;
    m->judged[request % FSM_WINDOW / 64] |= 1ull << (request % 64);
    for (;;) {
        uint64_t bit = m->floor % FSM_WINDOW;
        uint64_t mask = 1ull << (bit % 64);

        if ((m->judged[bit / 64] & mask) == 0)
            return REPL_ACCEPTED;
        m->judged[bit / 64] &= ~mask;
        m->floor++;
    }
}

bool fsm_judged(const struct fsm *fsm, uint32_t node, uint64_t boot, uint64_t request)
{
    const struct fsm_member *m = fsm_member(fsm, node);

    return m != NULL && m->boot == boot && is_judged(m, request);
}

/* --- what members and the leader submit --- */

struct fsm_member *fsm_find_member(struct fsm *fsm, uint32_t node)
{
    for (size_t i = 0; i < fsm->n_members; i++)
        if (fsm->members[i]->node == node)
            return fsm->members[i];
    return NULL;
}

static struct fsm_shard *find_shard(struct fsm *fsm, uint32_t shard)
{
    for (size_t i = 0; i < fsm->n_shards; i++)
        if (fsm->shards[i].shard == shard)
            return &fsm->shards[i];
    return NULL;
}

/* The epoch is (incarnation, index of this entry). A handover was fenced already; its version makes
 * sure that it was not taken back. */
static enum repl_verdict apply_assign(struct fsm *fsm, const Holdfast__Assign *body,
                                      struct fsm_outcome *out)
{
    const struct fsm_member *owner = fsm_member(fsm, body->owner_node);
    struct fsm_shard *s = find_shard(fsm, body->shard);
    struct repl_epoch now = s == NULL ? (struct repl_epoch){0, 0} : s->epoch;

    if (!repl_epoch_equal(now, record_epoch(body->replaces)))
        return REPL_REFUSED_EPOCH;
    if (owner == NULL || owner->left || owner->boot != body->owner_boot)
        return REPL_REFUSED_UNKNOWN;
    if (body->handover && (s == NULL || body->version != s->assignments + s->aborts))
        return REPL_REFUSED_VERSION;
    if (s == NULL) {
        if (fsm->n_shards == REPL_MAX_SHARDS)
            return REPL_REFUSED_MALFORMED;
        s = &fsm->shards[fsm->n_shards++];
        s->shard = body->shard;
    }
    out->replaced = now;
    s->epoch = (struct repl_epoch){.incarnation = fsm->incarnation, .index = fsm->applied_index};
    s->owner_node = body->owner_node;
    s->owner_boot = body->owner_boot;
    s->assignments++;
    s->moving_to = 0;
    s->moving_until_ms = 0;
    out->assigned = s;
    return REPL_ACCEPTED;
}

static enum repl_verdict apply_abort(struct fsm *fsm, uint32_t shard,
                                     const Holdfast__HandoverAbort *body)
{
    struct fsm_shard *s = find_shard(fsm, shard);

    if (body->version != s->assignments + s->aborts)
        return REPL_REFUSED_VERSION;
    s->aborts++;
    return REPL_ACCEPTED;
}

static enum repl_verdict judge_windows(const struct fsm *fsm, uint32_t shard,
                                       const Holdfast__HandoverWindows *body)
{
    const struct fsm_shard *s = fsm_shard(fsm, shard);

    return body->version == s->assignments + s->aborts ? REPL_ACCEPTED : REPL_REFUSED_VERSION;
}

static enum repl_verdict apply_move(struct fsm *fsm, uint32_t shard, const Holdfast__Move *body)
{
    struct fsm_shard *s = find_shard(fsm, shard);
    const struct fsm_member *to = fsm_member(fsm, body->node);

    if (s == NULL || (body->node != 0 && (to == NULL || to->left)))
        return REPL_REFUSED_UNKNOWN;
    s->home = body->node;
    s->moving_to = body->node == s->owner_node ? 0 : body->node;
    s->moving_until_ms = s->moving_to == 0 ? 0 : fsm->cluster_ms + FSM_MOVE_MS;
    return REPL_ACCEPTED;
}

static enum repl_verdict apply_drain(struct fsm *fsm, const Holdfast__Drain *body)
{
    struct fsm_member *m = fsm_find_member(fsm, body->node);

    if (fsm_is_late(fsm, body->until_ms)) /* it may have been taken back meanwhile */
        return REPL_REFUSED_VERSION;
    if (m == NULL || m->left)
        return REPL_REFUSED_UNKNOWN;
    /* What an operator wished for since stays, as does what one had drained before. */
    if (body->removal != 0 && !body->drained && body->removal != m->removal)
        return REPL_REFUSED_VERSION;
    if (body->removal == 0 || body->drained != m->drained)
        m->removal = body->drained ? body->removal : 0;
    m->drained = body->drained;
    return REPL_ACCEPTED;
}

/* Timing is set once, by version 1: changing it later needs the rule that keeps promise >= lease
 * for old and new, which does not exist yet. */
static enum repl_verdict apply_config(struct fsm *fsm, const Holdfast__ClusterConfig *body)
{
    struct fsm_config *c = &fsm->config;

    if (body->version != c->version + 1)
        return REPL_REFUSED_VERSION;
    if (c->version > 0 &&
        (body->election_ms != c->election_ms || body->heartbeat_ms != c->heartbeat_ms ||
         body->lease_ms != c->lease_ms || body->lease_heartbeat_ms != c->lease_heartbeat_ms))
        return REPL_REFUSED_MALFORMED;
    *c = (struct fsm_config){.version = body->version,
                             .election_ms = body->election_ms,
                             .heartbeat_ms = body->heartbeat_ms,
                             .lease_ms = body->lease_ms,
                             .lease_heartbeat_ms = body->lease_heartbeat_ms,
                             .has_previous = body->cookie_secret_previous.len == 32,
                             .cookie_secret_id = body->cookie_secret_id};
    memcpy(c->cookie_secret, body->cookie_secret.data, 32);
    if (c->has_previous)
        memcpy(c->cookie_secret_previous, body->cookie_secret_previous.data, 32);
    return REPL_ACCEPTED;
}

/* With a key that nobody has any more all that was sealed with it is gone: the same on every node. */
static enum repl_verdict apply_session_key(struct fsm *fsm, const Holdfast__SessionKey *body)
{
    bool rotates = !body->lost && body->replaces != 0;

    if (body->replaces != fsm->session_key || body->answers != fsm->rotate_wish)
        return REPL_REFUSED_VERSION;
    /* One former key at a time: what the oldest sealed is out of use before a third one comes. */
    if (rotates && fsm->former_key != 0)
        return REPL_REFUSED_VERSION;
    if (body->lost)
        fsm_end_sessions(fsm);
    fsm->former_key = rotates ? fsm->session_key : 0;
    fsm->switch_index = rotates ? fsm->applied_index : 0;
    if (fsm_spoken(fsm) >=
        RECORD_SPEAKS_ROTATION) /* older members have no such part of the state */
        fsm->key_ms = fsm->cluster_ms;
    fsm->rotate_wish = 0;
    fsm->session_key = body->id;
    return REPL_ACCEPTED;
}

static enum repl_verdict apply_rotate(struct fsm *fsm)
{
    if (fsm->session_key == 0)
        return REPL_REFUSED_UNKNOWN;
    fsm->rotate_wish = fsm->applied_index;
    return REPL_ACCEPTED;
}

static enum repl_verdict apply_erased(struct fsm *fsm, const Holdfast__KeyErased *body)
{
    if (body->id != fsm->former_key)
        return REPL_REFUSED_VERSION;
    fsm->former_key = fsm->switch_index = 0;
    return REPL_ACCEPTED;
}

/* --- judgement --- */

const char *repl_verdict_name(enum repl_verdict verdict)
{
    static const char *const names[] = {"accepted",          "refused-epoch",   "refused-version",
                                        "refused-exists",    "refused-unknown", "refused-malformed",
                                        "refused-duplicate", "refused-full"};

    return (size_t)verdict < sizeof names / sizeof *names ? names[verdict] : "?";
}

/* Every record that an owner or an admin submits: of a member's present boot, and not judged
 * before. */
static enum repl_verdict judge_submitter(struct fsm *fsm, const Holdfast__Record *r)
{
    struct fsm_member *m = fsm_find_member(fsm, r->node);

    if (record_internal(r))
        return REPL_ACCEPTED;
    if (m == NULL || m->left || m->boot != r->boot)
        return REPL_REFUSED_EPOCH;
    return judge_request(m, r->request);
}

void fsm_skip(struct fsm *fsm, uint32_t node, uint64_t boot, uint64_t request)
{
    struct fsm_member *m = fsm_find_member(fsm, node);

    if (m != NULL && !m->left && m->boot == boot && request != 0)
        (void)judge_request(m, request);
}

static enum repl_verdict judge_fence(const struct fsm *fsm, const Holdfast__Record *r)
{
    const struct fsm_shard *s = fsm_shard(fsm, r->shard);

    if (!record_fenced(r))
        return REPL_ACCEPTED;
    if (s == NULL || !repl_epoch_equal(s->epoch, record_epoch(r->epoch)) ||
        s->owner_node != r->node || s->owner_boot != r->boot)
        return REPL_REFUSED_EPOCH;
    return REPL_ACCEPTED;
}

static enum repl_verdict apply_body(struct fsm *fsm, const Holdfast__Record *r, uint64_t slot,
                                    struct repl_item_result *items, struct fsm_outcome *out)
{
    switch (r->body_case) {
    case HOLDFAST__RECORD__BODY_CONFIG:
        return apply_config(fsm, r->config);
    case HOLDFAST__RECORD__BODY_ASSIGN:
        return apply_assign(fsm, r->assign, out);
    case HOLDFAST__RECORD__BODY_SA_CREATE:
        return fsm_apply_create(fsm, r->shard, slot, r->sa_create, out);
    case HOLDFAST__RECORD__BODY_SA_STEP:
        return fsm_apply_step(fsm, r->shard, slot, r->sa_step, out);
    case HOLDFAST__RECORD__BODY_EXTEND:
        return fsm_apply_extend(fsm, r->shard, slot, r->extend, items);
    case HOLDFAST__RECORD__BODY_SA_DELETE:
        return fsm_apply_delete(fsm, r->shard, r->sa_delete);
    case HOLDFAST__RECORD__BODY_POOL_LEASE:
        return fsm_apply_pool_lease(fsm, r->shard, r->pool_lease);
    case HOLDFAST__RECORD__BODY_MEMBER:
        return fsm_apply_member(fsm, r);
    case HOLDFAST__RECORD__BODY_HANDOVER_ABORT:
        return apply_abort(fsm, r->shard, r->handover_abort);
    case HOLDFAST__RECORD__BODY_HANDOVER_WINDOWS:
        return judge_windows(fsm, r->shard, r->handover_windows);
    case HOLDFAST__RECORD__BODY_MOVE:
        return apply_move(fsm, r->shard, r->move);
    case HOLDFAST__RECORD__BODY_DRAIN:
        return apply_drain(fsm, r->drain);
    case HOLDFAST__RECORD__BODY_SESSION_KEY:
        return apply_session_key(fsm, r->session_key);
    case HOLDFAST__RECORD__BODY_ROTATE_KEYS:
        return apply_rotate(fsm);
    case HOLDFAST__RECORD__BODY_KEY_ERASED:
        return apply_erased(fsm, r->key_erased);
    case HOLDFAST__RECORD__BODY_JOIN_TOKEN:
        return fsm_apply_token(fsm, r->join_token);
    case HOLDFAST__RECORD__BODY_DOCUMENTS:
        return fsm_apply_documents(fsm, slot, r->documents, out);
    case HOLDFAST__RECORD__BODY_BARRIER:
    case HOLDFAST__RECORD__BODY_AUDIT: /* in the log is all that is wanted of them */
        return REPL_ACCEPTED;
    case HOLDFAST__RECORD__BODY__NOT_SET:
    default:
        return REPL_REFUSED_MALFORMED;
    }
}

/* An operator's record and its entry in the audit are one: what is refused here has one, too. (What was judged before, or is of a
 * start that is over, is nobody's request.) */
static void judge_and_apply(struct fsm *fsm, const Holdfast__Record *r, uint64_t slot,
                            struct repl_item_result *items, struct fsm_outcome *out)
{
    struct fsm_note note;

    fsm_audit_begin(fsm, r, &note);
    out->verdict = judge_fence(fsm, r);
    if (out->verdict == REPL_ACCEPTED)
        out->verdict = apply_body(fsm, r, slot, items, out);
    fsm_audit_end(fsm, r, &note, out);
}

void fsm_apply(struct fsm *fsm, const Holdfast__Record *r, size_t position,
               struct repl_item_result *items, struct fsm_outcome *out)
{
    uint64_t slot = fsm->applied_index * RECORD_MAX_PER_ENTRY + position;

    HF_ASSERT(position < RECORD_MAX_PER_ENTRY);
    *out = (struct fsm_outcome){.verdict = REPL_REFUSED_MALFORMED};
    /* What not every member knows is what it is to those that do not: malformed. */
    if (!record_valid(r) || record_format(r) > fsm_spoken(fsm)) {
        /* Its request is settled all the same, so that it is not submitted for ever. */
        if (!record_internal(r) && r->request != 0 && r->boot != 0 &&
            judge_submitter(fsm, r) == REPL_REFUSED_DUPLICATE)
            out->verdict = REPL_REFUSED_DUPLICATE;
        return;
    }
    out->verdict = judge_submitter(fsm, r);
    if (out->verdict == REPL_ACCEPTED)
        judge_and_apply(fsm, r, slot, items, out);
    out->configured =
        out->verdict == REPL_ACCEPTED && r->body_case == HOLDFAST__RECORD__BODY_CONFIG;
    out->rekeyed =
        out->verdict == REPL_ACCEPTED && r->body_case == HOLDFAST__RECORD__BODY_SESSION_KEY;
    out->erased =
        out->verdict == REPL_ACCEPTED && r->body_case == HOLDFAST__RECORD__BODY_KEY_ERASED;
}
