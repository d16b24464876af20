/* What a step, a datagram or a bound stopped: counted, kept (attempts.h), told in one rate-limited line that
 * bears the id under which it is kept. */
#include <stdio.h>

#include "conductor/internal.h"
#include "wire/notify.h"

enum { ID_CHARS = 32 };

/* " attempt=0001a3f20000002a", or nothing where it is not kept. Returns out. */
static const char *id_text(uint64_t id, char out[ID_CHARS])
{
    out[0] = '\0';
    if (id != 0)
        (void)snprintf(out, ID_CHARS, " attempt=%016llx", (unsigned long long)id);
    return out;
}

static uint64_t keep(struct conductor *c, struct attempt *a)
{
    a->last_ms = c->ops.now_ms(c->ops.self);
    a->last_wall_s = c->ops.wall_s != NULL ? c->ops.wall_s(c->ops.self) : 0;
    return attempts_note(c->attempts, a);
}

/* Not failures: nothing was due; an end that one of the two wanted. */
static bool is_attempt(enum ike_reason reason)
{
    return reason != IKE_REASON_DELETED_BY_PEER && reason != IKE_REASON_DELETED_BY_US;
}

/* Everything but the cause. A timer has no datagram, so the peer is the SA's. */
static struct attempt of_step(struct conductor *c, const struct conductor_sa *sa,
                              const struct conductor_work *w, enum ike_outcome outcome)
{
    const struct ike_transition *t = &c->transition;
    bool message = w->event.kind == IKE_EV_DATAGRAM || sa == NULL;
    const struct ike_sa *state = outcome == IKE_IGNORED ? &c->before : &t->after;
    struct attempt a = {.sa_id = w->sa_id,
                        .shard = sa != NULL ? sa->shard : w->event.shard,
                        .local = message ? w->event.local : c->before.local,
                        .remote = message ? w->event.remote : c->before.remote,
                        .exchange = t->exchange,
                        .begun = t->begun,
                        .proven = outcome == IKE_STEPPED};

    if (sa != NULL)
        a.identity = state->remote_id;
    if (sa != NULL && sa->half_open)
        a.source = sa->key.ip;
    return a;
}

/* What the peer refuses by a message of its own is our answer in IKE_AUTH. */
static void refused_answer(const struct conductor *c, struct attempt *a)
{
    a->exchange = IKE_EX_AUTH;
    (void)attempts_shown(c->attempts, a->sa_id, &a->evidence);
}

void failed_step(struct conductor *c, const struct conductor_sa *sa, const struct conductor_work *w,
                 enum ike_outcome outcome)
{
    enum ike_reason reason = c->transition.reason;
    bool judged = w->event.proof.done && w->event.proof.verdict != SUITE_GOOD;
    char peer[LOG_ENDPOINT_CHARS], id[ID_CHARS];
    struct attempt a;

    if (reason == IKE_REASON_NONE && outcome == IKE_STEPPED &&
        c->transition.evidence.about == IKE_EVIDENCE_GATEWAY)
        attempts_showed(c->attempts, w->sa_id, &c->transition.evidence);
    if (reason == IKE_REASON_NONE || reason == IKE_REASON_NOTHING_TO_DO)
        return;
    c->counters.reason[reason]++;
    a = of_step(c, sa, w, outcome);
    a.reason = reason;
    a.peer_error = c->transition.peer_error;
    a.judged = judged;
    a.verdict = judged ? w->event.proof.verdict : SUITE_GOOD;
    a.evidence = c->transition.evidence;
    if (reason == IKE_REASON_REFUSED_BY_PEER)
        refused_answer(c, &a);
    log_limited(c->log, &c->limits[reason], c->ops.now_ms(c->ops.self), LOG_INFO, "ike",
                "sa=%016llx peer=%s %s%s%s%s%s%s", (unsigned long long)w->sa_id,
                log_endpoint(&a.remote, peer), ike_reason_name(reason),
                a.peer_error != 0 ? " said=" : "",
                a.peer_error != 0 ? wire_notify_name(a.peer_error) : "",
                judged ? " certificate=" : "", judged ? suite_verdict_name(a.verdict) : "",
                id_text(is_attempt(reason) ? keep(c, &a) : 0, id));
}

void failed_datagram(struct conductor *c, enum ike_reason reason, uint32_t shard,
                     const struct endpoint *local, const struct endpoint *remote)
{
    char peer[LOG_ENDPOINT_CHARS], id[ID_CHARS];
    struct attempt a = {.shard = shard, .local = *local, .remote = *remote, .reason = reason};

    c->counters.reason[reason]++;
    log_limited(c->log, &c->limits[reason], c->ops.now_ms(c->ops.self), LOG_INFO, "ike",
                "peer=%s %s%s", log_endpoint(remote, peer), ike_reason_name(reason),
                id_text(keep(c, &a), id));
}

void failed_limit(struct conductor *c, const struct conductor_sa *sa,
                  const struct conductor_work *w, enum attempt_limit limit)
{
    char peer[LOG_ENDPOINT_CHARS], id[ID_CHARS];
    struct attempt a = of_step(c, sa, w, IKE_LOCAL);

    a.limit = limit;
    a.proven = limit == ATTEMPT_LIMIT_AUTHENTICATIONS;
    log_limited(c->log, &c->limits_met[limit], c->ops.now_ms(c->ops.self), LOG_INFO, "ike",
                "sa=%016llx peer=%s %s%s", (unsigned long long)w->sa_id,
                log_endpoint(&a.remote, peer), attempt_limit_name(limit), id_text(keep(c, &a), id));
}

struct attempts *conductor_attempts(struct conductor *c)
{
    return c->attempts;
}
