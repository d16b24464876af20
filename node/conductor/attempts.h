/* What failed, and why: the last attempts of IKE that this node refused, dropped or gave up, each by
 * an id that its log line bears. For operators (explain.h says what each means); nothing of it is
 * replicated, and nothing is decided by it.
 *
 *   run.c, core.c ── reason, evidence, peer ──> attempts_note() ──> id ──> log line
 *                                                    └─> conductor_attempts() ──> GET /v1/attempts
 *
 * Bounded, since a peer can make as many as it likes: ATTEMPTS_MAX in all, ATTEMPTS_OF_SOURCE of one
 * source (an IPv6 /64), ATTEMPTS_UNPROVEN by datagrams whose sender proved nothing, of those so many
 * new ones a second, and none older than ATTEMPTS_AGE_MS. The same once more within ATTEMPTS_SAME_MS
 * is counted, not kept again. No secret is in it; what a peer said is of fixed size, as bytes: who shows
 * it escapes it.
 */
#ifndef HF_CONDUCTOR_ATTEMPTS_H
#define HF_CONDUCTOR_ATTEMPTS_H

#include "ike/step.h"

enum {
    ATTEMPTS_MAX = 256,
    ATTEMPTS_OF_SOURCE = 16,
    ATTEMPTS_UNPROVEN = 128,
    ATTEMPTS_UNPROVEN_A_SECOND = 16,
    ATTEMPTS_SHOWN = 64,
    ATTEMPTS_SAME_MS = 60000,
    ATTEMPTS_AGE_MS = 86400000
};

/* A bound of this node that an attempt met; the engine had no objection. */
enum attempt_limit {
    ATTEMPT_LIMIT_NONE,
    ATTEMPT_LIMIT_HALF_OPEN_SOURCE,
    ATTEMPT_LIMIT_HALF_OPEN_ALL,
    ATTEMPT_LIMIT_KEY_EXCHANGES,
    ATTEMPT_LIMIT_AUTHENTICATIONS,
    ATTEMPT_LIMITS
};

struct attempt {
    uint64_t id;                        /* node | start | number: attempts_node_of() */
    uint64_t first_ms, last_ms;         /* cluster time */
    uint64_t first_wall_s, last_wall_s; /* since 1970; 0 = not known */
    uint32_t times;
    uint64_t sa_id; /* of the first; 0 = there was no SA yet */
    uint32_t shard;
    struct endpoint local, remote; /* remote: of the last; local family 0 = not known */
    struct ip_addr source; /* whom it counts for; family 0: remote. The source of an IKE_AUTH is
                                      anything, of the IKE_SA_INIT before it it is where our answer went */
    enum ike_exchange exchange; /* IKE_EX_NONE: of none that is known */
    enum ike_begun begun;
    enum ike_reason reason;   /* NONE: `limit` says it */
    enum attempt_limit limit; /* NONE: `reason` says it */
    uint16_t peer_error;      /* the error Notify that the peer answered with; 0 = none */
    bool proven;              /* a message of its with a valid ICV led to it */
    bool judged;              /* `verdict` is there */
    enum suite_verdict verdict;
    struct ike_identity identity; /* who it says it is, proven or not; type 0 = it did not say */
    struct ike_evidence evidence;
};

struct attempts;

/* boot: of this start, so that an id of another one is not taken for one of this. */
struct attempts *attempts_create(uint32_t node, uint64_t boot);
void attempts_destroy(struct attempts *a);

/* Keeps it, or counts it with the one that says the same. Of *what, id, times and first_* are not looked
 * at; last_ms is the time now. Returns the id, 0 = not kept (too many of unproven senders). */
uint64_t attempts_note(struct attempts *a, const struct attempt *what);

/* By id, or the newest below an id (UINT64_MAX: the newest of all). NULL: there is none, or it is too old.
 * Valid until the next attempts_note(). */
const struct attempt *attempts_find(struct attempts *a, uint64_t id, uint64_t now_ms);
const struct attempt *attempts_below(struct attempts *a, uint64_t id, uint64_t now_ms);

/* Whom this gateway showed itself as to a peer that may refuse it (IKE_EVIDENCE_GATEWAY), of the last
 * ATTEMPTS_SHOWN SAs; of an SA whose was forgotten *shown is not written, and it returns false. */
void attempts_showed(struct attempts *a, uint64_t sa_id, const struct ike_evidence *shown);
bool attempts_shown(const struct attempts *a, uint64_t sa_id, struct ike_evidence *shown);

/* So many that were not kept at all, since the start. */
uint64_t attempts_unkept(const struct attempts *a);

/* Which node gave that id. */
static inline uint32_t attempts_node_of(uint64_t id)
{
    return (uint32_t)(id >> 48);
}

/* The peer was asked to begin anew in another way (cookie, group): no failure, if it does. */
bool attempt_asks_again(const struct attempt *attempt);

const char *attempt_limit_name(enum attempt_limit limit);
/* The name of what stopped it: a limit's or a reason's. */
const char *attempt_cause(const struct attempt *attempt);

#endif
