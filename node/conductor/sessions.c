#include "conductor/sessions.h"

#include "conductor/internal.h"

/* The owner's view of cluster time may be ahead of the entry's stamp by so much. */
enum { STAMP_MS = 1000 };

void conductor_tell_sessions(struct conductor *c, conductor_session_fn *tell, void *self)
{
    c->tell_session = tell;
    c->tell_session_self = self;
}

static void tell(struct conductor *c, const struct conductor_session *session)
{
    if (c->tell_session != NULL)
        c->tell_session(c->tell_session_self, session);
}

/* By number, behind those that are 0: in which slots they stand is each node's own history. */
static void put_in_order(uint32_t spis[IKE_MAX_CHILDREN], uint32_t spi_in)
{
    int at = 0;

    for (; at + 1 < IKE_MAX_CHILDREN && spis[at + 1] < spi_in; at++)
        spis[at] = spis[at + 1];
    spis[at] = spi_in;
}

struct session_was sessions_was(const struct conductor_sa *sa)
{
    struct session_was was = {.up = sa->up,
                              .deleting = sa->deleting,
                              .pending = sa->pending,
                              .expected_request_id = sa->expected_request_id,
                              .hard_ms = sa->hard_ms};

    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].spi_in != 0)
            put_in_order(was.spis, sa->children[i].spi_in);
    return was;
}

void sessions_note(struct conductor_sa *sa, const struct ike_sa *decoded)
{
    /* One that has a successor goes on in that one, whatever is left to be done with it. */
    sa->deleting = decoded->state == IKE_SA_DELETING;
    sa->up = (sa->deleting || decoded->state == IKE_SA_ESTABLISHED) && decoded->successor_spi == 0;
    sa->expected_request_id = decoded->expected_request_id;
    sa->hard_ms = decoded->hard_ms;
}

/* The CHILD SA whose place this one takes; 0 = none. */
static uint32_t replaced_by(const struct ike_sa *sa, uint32_t spi_in)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE && sa->children[i].successor_spi_in == spi_in)
            return sa->children[i].spi_in;
    return 0;
}

static bool was_there(const struct session_was *was, uint32_t spi_in)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (was->spis[i] == spi_in)
            return true;
    return false;
}

static bool is_there(const struct ike_sa *sa, uint32_t spi_in)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE && sa->children[i].spi_in == spi_in)
            return true;
    return false;
}

static void tell_children(struct conductor *c, struct conductor_session s,
                          const struct session_was *was)
{
    for (int i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *child = &s.sa->children[i];

        if (child->state == IKE_CHILD_NONE || was_there(was, child->spi_in))
            continue;
        s.spi_in = child->spi_in;
        s.replaces = replaced_by(s.sa, child->spi_in);
        s.kind = s.replaces != 0 ? CONDUCTOR_CHILD_REKEYED : CONDUCTOR_CHILD_UP;
        tell(c, &s);
    }
    s.kind = CONDUCTOR_CHILD_ENDED;
    s.replaces = 0;
    for (int i = 0; i < IKE_MAX_CHILDREN; i++) {
        s.spi_in = was->spis[i];
        if (s.spi_in != 0 && !is_there(s.sa, s.spi_in))
            tell(c, &s);
    }
}

/* The log has no word for it: it follows from the two states and the time. */
static const char *reason_of(const struct session_was *was, const struct ike_sa *after,
                             uint64_t cluster_ms)
{
    enum ike_reason reason = IKE_REASON_DELETED_BY_US;

    if (after->expected_request_id != was->expected_request_id)
        reason = IKE_REASON_DELETED_BY_PEER;
    else if (cluster_ms + STAMP_MS >= was->hard_ms)
        reason = IKE_REASON_HARD_LIFETIME;
    else if (was->pending && !was->deleting)
        reason = IKE_REASON_PEER_DEAD;
    return ike_reason_name(reason);
}

static struct conductor_session about(const struct conductor_sa *sa, const struct ike_sa *decoded)
{
    return (struct conductor_session){.sa_id = sa->id, .shard = sa->shard, .sa = decoded};
}

void sessions_created(struct conductor *c, const struct conductor_sa *sa,
                      const struct ike_sa *decoded)
{
    struct conductor_session s = about(sa, decoded);
    struct session_was nothing = {0};

    if (!sa->up) /* an authentication that failed */
        return;
    s.kind = CONDUCTOR_SESSION_UP;
    tell(c, &s);
    tell_children(c, s, &nothing);
}

void sessions_followed(struct conductor *c, const struct conductor_sa *old,
                       const struct conductor_sa *sa, const struct ike_sa *decoded)
{
    struct conductor_session s = about(old->up ? old : sa, decoded);

    s.kind = old->up ? CONDUCTOR_SESSION_REKEYED : CONDUCTOR_SESSION_UP;
    s.successor = old->up ? sa->id : 0;
    tell(c, &s);
}

void sessions_stepped(struct conductor *c, const struct conductor_sa *sa,
                      const struct session_was *was, const struct ike_sa *decoded,
                      uint64_t cluster_ms)
{
    struct conductor_session s = about(sa, decoded);

    if (was->up && (decoded == NULL || decoded->state == IKE_SA_ENDED)) {
        s.kind = CONDUCTOR_SESSION_ENDED;
        s.reason = decoded == NULL ? "unreadable" : reason_of(was, decoded, cluster_ms);
        tell(c, &s);
    } else if (decoded != NULL && sa->up) {
        s.kind = CONDUCTOR_SESSION_UP;
        if (!was->up)
            tell(c, &s);
        tell_children(c, s, was);
    }
}

void sessions_removed(struct conductor *c, const struct conductor_sa *sa, const char *reason)
{
    struct conductor_session s = about(sa, NULL);

    if (!sa->up || c->tell_session == NULL)
        return;
    s.kind = CONDUCTOR_SESSION_ENDED;
    s.reason = reason;
    s.sa = sa_decode(c, sa, &c->before) ? &c->before : NULL;
    tell(c, &s);
}
