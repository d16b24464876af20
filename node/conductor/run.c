/* One step of one IKE SA: the engine is asked, its needs are met, its outcome is carried out. */
#include "conductor/internal.h"

#include <stdlib.h>

struct conductor_work *work_new(struct span datagram)
{
    struct conductor_work *w = calloc(1, sizeof *w + datagram.len);

    HF_ASSERT(w != NULL);
    w->datagram_len = datagram.len;
    if (datagram.len > 0)
        memcpy(w->datagram, datagram.data, datagram.len);
    w->event.datagram = span_of(w->datagram, datagram.len);
    return w;
}

static void job_free(struct conductor_work *w)
{
    if (w->job != NULL)
        secret_wipe_bytes(w->job, sizeof *w->job);
    free(w->job);
    w->job = NULL;
}

void work_free(struct conductor_work *w)
{
    job_free(w);
    secret_wipe_bytes(w, sizeof *w);
    free(w);
}

struct conductor_work *work_repeat(const struct conductor_work *w)
{
    struct conductor_work *copy = work_new(span_of(w->datagram, w->datagram_len));

    copy->sa_id = w->sa_id;
    copy->tries = w->tries + 1;
    copy->event.kind = w->event.kind;
    copy->event.local = w->event.local;
    copy->event.remote = w->event.remote;
    copy->event.natt = w->event.natt;
    copy->event.shard = w->event.shard;
    return copy;
}

void work_first(struct conductor_sa *sa, struct conductor_work *w)
{
    w->next = sa->queue;
    if (sa->queue == NULL)
        sa->queue_tail = &w->next;
    sa->queue = w;
    sa->n_queued++;
}

struct step_facts run_facts(struct conductor *c, uint64_t sa_id, uint32_t shard)
{
    const struct conductor_shard *s = shard_find(c, shard);

    return (struct step_facts){.node = c->options.node,
                               .log_index = c->applied_index,
                               .owner = s != NULL && s->mine,
                               .leader = c->ops.leader(c->ops.self),
                               .sa = sa_id};
}

void run_effects(struct conductor *c, const struct ike_sa *after, const struct ike_message *plain,
                 const struct ike_effect *effects, uint8_t n)
{
    static const uint8_t keepalive = 0xff;

    for (uint8_t i = 0; i < n; i++) {
        const struct ike_effect *e = &effects[i];
        struct span bytes = {0};

        if (!c->ops.may_act(c->ops.self, after->shard)) {
            count(&c->counters, COUNTER_no_lease);
            continue;
        }
        switch (e->kind) {
        case IKE_SEND_RESPONSE:
            bytes = span_of(after->last_response.bytes, after->last_response.len);
            break;
        case IKE_SEND_REQUEST:
            bytes = span_of(after->pending.request.bytes, after->pending.request.len);
            break;
        case IKE_SEND_PLAIN:
            HF_ASSERT(plain != NULL);
            bytes = span_of(plain->bytes, plain->len);
            break;
        case IKE_SEND_KEEPALIVE: /* one byte, without the non-ESP marker */
            c->ops.send(c->ops.self, after->shard, false, &e->from, &e->to, span_of(&keepalive, 1));
            continue;
        }
        HF_ASSERT(bytes.len > 0);
        count(&c->counters, COUNTER_ike_out);
        c->ops.send(c->ops.self, after->shard, e->natt, &e->from, &e->to, bytes);
    }
}

/* Who authenticates anew, without a word of INITIAL_CONTACT, asks for the address that it has by its old
 * SA, from where that one's peer is: it gets it from that SA, which keeps its CHILD SAs until it is
 * deleted. All of one SA; another device of the same identity elsewhere takes nothing from it. */
static bool take_over(struct conductor *c, uint32_t shard, struct conductor_work *w, unsigned slot)
{
    const struct ip_addr *wish = &c->transition.address_wish[slot];
    const struct conductor_sa *holder;

    if (!addr_is_set(wish) || c->transition.address_contact)
        return false;
    holder =
        identity_holder(c, shard, &c->transition.address_for, &w->event.remote.ip, wish, &c->giver);
    secret_wipe_bytes(&c->giver, sizeof c->giver);
    if (holder == NULL || (w->giver != 0 && w->giver != holder->id))
        return false;
    w->giver = holder->id;
    w->event.address.ip[slot] = *wish;
    return true;
}

/* One of each family that is asked for. Held by SA 0 until the step is applied; one that is taken over stays with the SA that has it. */
static void pick_address(struct conductor *c, uint32_t shard, struct conductor_work *w)
{
    const struct ike_transition *t = &c->transition;
    struct ike_address_result *result = &w->event.address;

    result->done = true;
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
        struct ip_addr *ip = &result->ip[slot];

        if (!t->address_wanted[slot])
            continue;
        if (t->address_contact)
            *ip = identity_address(c, shard, &t->address_for, slot);
        if (addr_is_set(ip) || take_over(c, shard, w, slot))
            continue;
        *ip = pool_pick(c, shard, slot, &t->address_wish[slot], &t->address_for);
        w->picked[slot] = addr_is_set(ip);
        if (w->picked[slot])
            pool_hold(c, ip, 0);
        else
            count(&c->counters, COUNTER_pool_exhausted);
    }
}

static void forget_pick(struct conductor *c, struct conductor_work *w)
{
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
        if (w->picked[slot])
            pool_release(c, &w->event.address.ip[slot], 0);
        w->picked[slot] = false;
    }
    w->event.address = (struct ike_address_result){0};
    w->giver = 0;
}

/* Which bound would the half-open SA of this first message break? Judged before its key exchange,
 * which costs more than the SA. */
static enum attempt_limit too_many(struct conductor *c, const struct conductor_work *w)
{
    if (half_open_from(c, &w->event.remote.ip) >= CONDUCTOR_HALF_OPEN_SOURCE_MAX)
        return ATTEMPT_LIMIT_HALF_OPEN_SOURCE;
    if (c->n_half_open + c->n_jobs_free >= CONDUCTOR_HALF_OPEN_MAX)
        return ATTEMPT_LIMIT_HALF_OPEN_ALL;
    return c->n_jobs_free >= CONDUCTOR_JOBS_MAX ? ATTEMPT_LIMIT_KEY_EXCHANGES : ATTEMPT_LIMIT_NONE;
}

/* May this job begin? Counted with its source from here on. */
static bool may_begin(struct conductor *c, struct conductor_sa *sa, struct conductor_work *w)
{
    const struct ike_job *job = &c->transition.job;

    if (sa == NULL) {
        enum attempt_limit limit = too_many(c, w);

        if (limit != ATTEMPT_LIMIT_NONE) {
            count(&c->counters, COUNTER_half_open_refused);
            failed_limit(c, NULL, w, limit);
            return false;
        }
        c->n_jobs_free++;
        half_open_count(c, &w->event.remote.ip);
        return true;
    }
    /* By where the IKE_SA_INIT came from; who we asked ourselves is not held back. */
    if (job->kind == IKE_JOB_PROOF && sa->half_open && c->before.role == IKE_RESPONDER) {
        if (!source_proof_begin(c, &sa->key.ip)) {
            count(&c->counters, COUNTER_rate_limited);
            failed_limit(c, sa, w, ATTEMPT_LIMIT_AUTHENTICATIONS);
            return false;
        }
        w->judged_for = sa->key.ip;
    }
    sa->job_work = w;
    return true;
}

static void start_job(struct conductor *c, struct conductor_sa *sa, struct conductor_work *w)
{
    if (!may_begin(c, sa, w)) {
        work_free(w);
        if (sa != NULL)
            run_queue(c, sa);
        return;
    }
    w->job = malloc(sizeof *w->job);
    HF_ASSERT(w->job != NULL);
    memcpy(w->job, &c->transition.job, sizeof *w->job);
    w->policy = c->policy;
    secret_wipe_bytes(&c->transition.job, sizeof c->transition.job);
    c->ops.run_job(c->ops.self, c, w);
}

void conductor_job_run(struct conductor_work *w)
{
    ike_job_run(w->job, &w->event);
}

static void forget_answers(struct ike_event *e)
{
    secret_wipe_bytes(&e->ke, sizeof e->ke);
    memset(&e->sign, 0, sizeof e->sign);
    memset(&e->proof, 0, sizeof e->proof);
}

/* Takes the work back from the pool; false: nobody waits for it any more. */
static bool job_back(struct conductor *c, struct conductor_work *w)
{
    struct conductor_sa *sa;

    job_free(w);
    if (w->policy != c->policy) /* what another policy trusted is not what this one does */
        forget_answers(&w->event);
    if (w->judged_for.family != ADDR_NONE)
        source_proof_end(c, &w->judged_for);
    w->judged_for = (struct ip_addr){0};
    if (w->sa_id == 0) {
        HF_ASSERT(c->n_jobs_free > 0);
        c->n_jobs_free--;
        half_open_uncount(c, &w->event.remote.ip);
        return true;
    }
    sa = sa_find(c, w->sa_id);
    if (sa == NULL || sa->job_work != w)
        return false;
    sa->job_work = NULL;
    return true;
}

void conductor_job_cancel(struct conductor *c, struct conductor_work *w)
{
    (void)job_back(c, w);
    work_free(w);
}

void conductor_job_done(struct conductor *c, struct conductor_work *w)
{
    bool proof = w->job->kind == IKE_JOB_PROOF;
    bool back = job_back(c, w);

    if (proof && w->event.proof.done)
        c->counters.verdict[w->event.proof.verdict]++;
    if (back)
        run_work(c, w);
    else
        work_free(w);
}

void conductor_set_policy(struct conductor *c, const struct ike_policy *policy)
{
    c->policy = policy;
}

/* An SA that nothing but memory knows: made by IKE_SA_INIT, changed by its retries, ended by time.
 */
static void keep_half_open(struct conductor *c, struct conductor_sa *sa, struct conductor_work *w)
{
    const struct ike_sa *after = &c->transition.after;
    struct span encoded;

    if (after->state != IKE_SA_HALF_OPEN) {
        if (sa != NULL) {
            count(&c->counters, COUNTER_half_open_expired);
            sa_remove(c, sa);
        }
        return;
    }
    if (sa == NULL) {
        if (c->n_half_open >= CONDUCTOR_HALF_OPEN_MAX || sa_find(c, after->local_spi) != NULL ||
            sa_find_half_open(c, after->remote_spi, &w->event.remote) != NULL ||
            half_open_from(c, &w->event.remote.ip) >= CONDUCTOR_HALF_OPEN_SOURCE_MAX) {
            count(&c->counters, COUNTER_half_open_refused);
            c->transition.n_effects = 0;
            return;
        }
        sa = sa_add(c, after->local_spi, after->shard);
        sa_add_half_open(c, sa, after->remote_spi, &w->event.remote);
        count(&c->counters, COUNTER_half_open_made);
    }
    encoded = sa_encode(c, 0, after);
    sa->local_part = after->local_part;
    sa_set_state(c, sa, encoded, after);
    if (c->ops.copy_half_open != NULL)
        c->ops.copy_half_open(c->ops.self, encoded);
}

static bool has_child(const struct ike_sa *sa, uint32_t spi_in)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE && sa->children[i].spi_in == spi_in)
            return true;
    return false;
}

/* The step ends a CHILD SA for which verified packets wait that came before this message: their
 * ceiling is under way in a record of its own, so the message waits for it. Not for long: the peer
 * wants its answer. */
static bool packets_first(struct conductor *c, const struct conductor_sa *sa,
                          const struct conductor_work *w)
{
    const struct ike_transition *t = &c->transition;

    if (sa->half_open || w->event.kind != IKE_EV_DATAGRAM || c->ops.esp_waiting == NULL ||
        w->waits == CONDUCTOR_WAITS_MAX)
        return false;
    for (int i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *gone = &c->before.children[i];
        const struct conductor_child *child;

        if (gone->state == IKE_CHILD_NONE || has_child(&t->after, gone->spi_in) ||
            (t->has_successor && has_child(&t->successor, gone->spi_in)))
            continue;
        child = child_find(c, gone->spi_in);
        if (child != NULL && child->esp != NULL && c->ops.esp_waiting(c->ops.esp_self, child->esp))
            return true;
    }
    return false;
}

/* First in its SA's queue again; the SA's timer takes it up. */
static void put_off(struct conductor *c, struct conductor_sa *sa, struct conductor_work *w)
{
    w->waits++;
    forget_pick(c, w);
    work_first(sa, w);
    sa_again(c, sa, CONDUCTOR_AGAIN_MS);
}

static void carry_out(struct conductor *c, struct conductor_sa *sa, struct conductor_work *w,
                      enum ike_outcome outcome)
{
    struct ike_transition *t = &c->transition;
    bool memory_only =
        sa == NULL ||
        (sa->half_open && (t->after.state == IKE_SA_HALF_OPEN || t->after.state == IKE_SA_NONE));

    if (memory_only) {
        struct exchanges_note told =
            exchanges_note(sa != NULL ? &c->before : NULL, t, w->event.now_ms);
        uint32_t shard = w->event.shard;

        HF_ASSERT(sa != NULL || t->after.state == IKE_SA_HALF_OPEN ||
                  t->after.state == IKE_SA_NONE);
        if (sa != NULL)
            shard = sa->shard;
        keep_half_open(c, sa, w);
        exchanges_count(&c->counters, &told, c->ops.now_ms(c->ops.self));
        t->after.shard = shard;
        run_effects(c, &t->after, &t->plain, t->effects, t->n_effects);
    } else if (outcome == IKE_LOCAL) {
        sa->local_part = t->after.local_part;
        sa_rearm(c, sa, &t->after);
        exchanges_count_repeats(&c->counters, t);
        run_effects(c, &t->after, &t->plain, t->effects, t->n_effects);
    } else if (submit_step(c, sa, w)) {
        memset(w->picked, 0, sizeof w->picked); /* the operation holds the picks now */
    } else {
        /* Not taken: as if the event never came. A timer must come again by itself. */
        sa_again(c, sa, CONDUCTOR_REFUSED_MS);
    }
}

/* The timer came too early (traffic moved the liveness check, a takeover began anew): the SA's real
 * time, but never at once again. */
static void nothing_due(struct conductor *c, struct conductor_sa *sa)
{
    c->before.local_part = sa->local_part;
    sa_rearm(c, sa, &c->before);
    if (sa->wake.at_ms <= c->ops.now_ms(c->ops.self))
        sa_again(c, sa, CONDUCTOR_AGAIN_MS);
}

static bool answered(const struct ike_job *job, const struct ike_event *e)
{
    return job->kind == IKE_JOB_KE     ? e->ke.done
           : job->kind == IKE_JOB_SIGN ? e->sign.done
                                       : e->proof.done;
}

/* Not this node's turn. The peer's message goes where its next one would, in the order in which it
 * came; timers, news and commands are the next owner's own. */
static void not_ours(struct conductor *c, struct conductor_sa *sa, struct conductor_work *w)
{
    count(&c->counters, COUNTER_not_owner);
    if (w->event.kind == IKE_EV_DATAGRAM && c->ops.ike_aside != NULL)
        c->ops.ike_aside(c->ops.self, sa->shard, &w->event.local, &w->event.remote,
                         w->event.datagram);
    work_free(w);
}

void run_drop_queue(struct conductor *c, struct conductor_sa *sa)
{
    struct conductor_work *w;

    while ((w = sa->queue) != NULL) {
        sa->queue = w->next;
        if (sa->queue == NULL)
            sa->queue_tail = &sa->queue;
        sa->n_queued--;
        w->next = NULL;
        not_ours(c, sa, w);
    }
}

void run_work(struct conductor *c, struct conductor_work *w)
{
    struct conductor_sa *sa = NULL;
    enum ike_outcome outcome;
    uint64_t sa_id = w->sa_id;

    c->scratch_used = true;
    if (w->sa_id != 0 && ((sa = sa_find(c, w->sa_id)) == NULL || !sa_decode(c, sa, &c->before))) {
        work_free(w);
        return;
    }
    if (sa != NULL && !sa->half_open && !may_step(c, sa->shard)) {
        secret_wipe_bytes(&c->before, sizeof c->before);
        not_ours(c, sa, w);
        if ((sa = sa_find(c, sa_id)) != NULL)
            run_queue(c, sa);
        return;
    }
    for (unsigned slot = 0; slot < ADDR_SLOTS && sa != NULL; slot++)
        w->event.has_pool[slot] = pool_exists(c, sa->shard, slot);
    if (!w->entropy_set) {
        c->ops.entropy(c->ops.self, w->event.entropy, sizeof w->event.entropy);
        w->event.now_ms = c->ops.now_ms(c->ops.self);
        w->event.wall_s = c->ops.wall_s != NULL ? c->ops.wall_s(c->ops.self) : 0;
        children_crowds(c, &w->event);
        w->entropy_set = true;
    }
    for (;;) {
        outcome = ike_step(c->policy, sa != NULL ? &c->before : NULL, &w->event, &c->transition);
        if (outcome != IKE_NEED_ADDRESS)
            break;
        HF_ASSERT(sa != NULL && !w->event.address.done);
        pick_address(c, sa->shard, w);
    }
    if (outcome == IKE_NEED_JOB) {
        HF_ASSERT(!answered(&c->transition.job, &w->event));
        forget_pick(c, w);
        start_job(c, sa, w);
        return;
    }
    if (outcome == IKE_STEPPED && sa != NULL && packets_first(c, sa, w)) {
        secret_wipe_bytes(&c->before, sizeof c->before);
        put_off(c, sa, w);
        return;
    }
    failed_step(c, sa, w, outcome);
    if (sa != NULL && w->news != 0 && (outcome == IKE_LOCAL || outcome == IKE_IGNORED))
        news_done(c, sa, w->event.child_spi_in, w->news); /* a step's: when it is applied */
    if (outcome != IKE_IGNORED)
        carry_out(c, sa, w, outcome);
    else if (w->event.kind == IKE_EV_TIMER && sa != NULL)
        nothing_due(c, sa);
    forget_pick(c, w);
    secret_wipe_bytes(&c->before, sizeof c->before);
    work_free(w);
    if (sa_id != 0 && (sa = sa_find(c, sa_id)) != NULL)
        run_queue(c, sa);
}

/* One event at a time per SA; the next one only when the step before it is settled. */
void run_queue(struct conductor *c, struct conductor_sa *sa)
{
    struct conductor_work *w = sa->queue;

    if (w == NULL || sa->inflight != NULL || sa->job_work != NULL || shard_moving(c, sa->shard))
        return;
    sa->queue = w->next;
    if (sa->queue == NULL)
        sa->queue_tail = &sa->queue;
    sa->n_queued--;
    w->next = NULL;
    run_work(c, w);
}
