/* The pure IKEv2 engine: ike_step(before, event) = (after, effects). It allocates nothing and calls
 * neither the network, the clock nor the random generator; time and entropy come with the event.
 * The same input gives the same output, bit for bit.
 *
 *   datagram ─┐             ┌─ IKE_STEPPED: submit `after` (and `successor`), commit, swap in,
 *   timer    ─┼─> ike_step ─┤               then perform the effects
 *   command  ─┘             ├─ IKE_LOCAL:   nothing replicated changed: swap in, effects now
 *                           ├─ IKE_IGNORED: drop, count `reason`; `after` is not written
 *                           └─ IKE_NEED_*:  do that work off the loop, call again with its answer
 *
 * IKE_NEED_* leaves no trace: the second call has the same `before` and the same event (time and
 * entropy included).
 */
#ifndef HF_IKE_STEP_H
#define HF_IKE_STEP_H

#include "ike/evidence.h"
#include "ike/job.h"
#include "ike/state.h"

enum ike_event_kind {
    IKE_EV_DATAGRAM,      /* one IKE message (non-ESP marker removed) */
    IKE_EV_TIMER,         /* now_ms has reached ike_next_wake_ms() */
    IKE_EV_COMMAND,       /* want: IKE_WANT_* (child_spi_in where it applies) */
    IKE_EV_INITIATE,      /* before == NULL: begin an IKE SA as initiator to `remote` */
    IKE_EV_CHILD_SOFT,    /* child_spi_in passed, or nears, a soft limit that the data path counts;
                             or it must be rekeyed for another reason of the data path's */
    IKE_EV_CHILD_HARD,    /* ... a hard one: the data path refuses already */
    IKE_EV_CHILD_INBOUND, /* first verified ESP packet arrived on child_spi_in: the peer has it (RFC
                             7296 2.8) */
    IKE_EV_PEER_MOVED,    /* verified ESP above the highest accepted came from `remote` (RFC
                             7296 2.23); only without MOBIKE */
    IKE_EV_TAKEOVER /* this node owns the SA from now on: send the outstanding request again, start
                       local_part afresh */
};

/* Answer to IKE_NEED_ADDRESS, by family (base/addr.h). done && family 0 = no such pool, or it is
 * exhausted, or none was asked for. */
struct ike_address_result {
    bool done;
    struct ip_addr ip[ADDR_SLOTS];
};

struct ike_event {
    enum ike_event_kind kind;
    uint64_t now_ms; /* cluster time */
    uint8_t entropy[IKE_ENTROPY_BYTES];
    struct endpoint local,
        remote;           /* DATAGRAM: where it arrived, where it came from; INITIATE: from, to */
    bool natt;            /* DATAGRAM: came in on port 4500 behind a non-ESP marker */
    struct span datagram; /* valid during the step */
    uint32_t want;
    uint32_t child_spi_in;
    bool crowded;     /* many CHILD SAs were made lately: this step's are rekeyed apart */
    bool crowded_sas; /* likewise IKE SAs, which live longer: the same number is a crowd sooner */
    uint32_t shard;   /* before == NULL: the shard that the address belongs to */
    bool cookie_required; /* before == NULL: under load, answer IKE_SA_INIT with a COOKIE unless it
                             has a good one */
    const uint8_t *cookie_secret; /* 32 bytes, shared by the cluster; cookie_secret_id its version
                                     byte. NULL: no cookies */
    const uint8_t *cookie_secret_previous; /* still accepted, or NULL */
    uint8_t cookie_secret_id;
    uint64_t wall_s; /* wall clock, seconds since 1970: for certificates' validity, never for safety
                        (I14) */
    struct ike_ke_result ke;
    struct ike_sign_result sign;
    struct ike_proof_result proof;
    bool has_pool[ADDR_SLOTS]; /* families of virtual addresses that the shard gives out */
    struct ike_address_result address;
};

enum ike_outcome { IKE_STEPPED, IKE_LOCAL, IKE_IGNORED, IKE_NEED_JOB, IKE_NEED_ADDRESS };

/* Why something was dropped, refused or ended: for one rate-limited log line and a counter each.
 * Names: ike_reason_name(). */
enum ike_reason {
    IKE_REASON_NONE,
    IKE_REASON_MALFORMED,
    IKE_REASON_TRUNCATED,
    IKE_REASON_OVERSIZED,
    IKE_REASON_WRONG_VERSION,
    IKE_REASON_WRONG_SPI,
    IKE_REASON_BAD_ICV,
    IKE_REASON_OLD_MESSAGE_ID,    /* replayed, below the window */
    IKE_REASON_FUTURE_MESSAGE_ID, /* misordered, above the window */
    IKE_REASON_REPLAY_DIFFERS,    /* the message ID of the last request, other bytes */
    IKE_REASON_UNEXPECTED_RESPONSE,
    IKE_REASON_UNEXPECTED_EXCHANGE,
    IKE_REASON_COOKIE_SENT,
    IKE_REASON_COOKIE_WRONG,
    IKE_REASON_INVALID_KE,
    IKE_REASON_NO_PROPOSAL,
    IKE_REASON_WEAK_GROUP,     /* no proposal of the peer's has a group that is strong enough */
    IKE_REASON_WEAK_ALGORITHM, /* likewise a cipher, PRF or integrity */
    IKE_REASON_NO_UDP_ENCAPSULATION, /* a CHILD SA whose ESP would not be inside UDP, though there is
                                        a NAT or the policy wants it */
    IKE_REASON_UNSUPPORTED_CRITICAL,
    IKE_REASON_AUTH_FAILED,
    IKE_REASON_NO_COMMON_SIGNATURE, /* no certificate of ours that the peer could verify */
    IKE_REASON_REFUSED_BY_PEER,     /* it does not believe who we are, and ended the SA (2.21.2) */
    IKE_REASON_TS_UNACCEPTABLE,
    IKE_REASON_POOL_EXHAUSTED,
    IKE_REASON_TOO_MANY_CHILDREN,
    IKE_REASON_TEMPORARY_FAILURE,
    IKE_REASON_CHILD_NOT_FOUND,
    IKE_REASON_PEER_DEAD,
    IKE_REASON_HARD_LIFETIME,
    IKE_REASON_DELETED_BY_PEER,
    IKE_REASON_DELETED_BY_US,
    IKE_REASON_HALF_OPEN_EXPIRED,
    IKE_REASON_NOTHING_TO_DO,
    IKE_REASON_COUNT
};

/* Only sends are effects. The ESP database, pool leases and timers are functions of the applied
 * state (children[], virtual_ip, ike_next_wake_ms), so every node derives them alike and a new
 * owner needs nothing else. */
enum ike_effect_kind {
    IKE_SEND_RESPONSE, /* after->last_response, from after->local to after->remote (or `to` where it
                          differs) */
    IKE_SEND_REQUEST,  /* after->pending.request */
    IKE_SEND_PLAIN,    /* transition->plain: an unprotected message (IKE_SA_INIT, COOKIE,
                          INVALID_KE_PAYLOAD, INVALID_IKE_SPI) */
    IKE_SEND_KEEPALIVE /* one 0xFF byte (RFC 3948 2.3) */
};

struct ike_effect {
    enum ike_effect_kind kind;
    struct endpoint from, to;
    bool natt; /* put the non-ESP marker before it */
};

/* Big (about 50 KiB); the caller keeps one per loop. Written only as far as the outcome says. */
struct ike_transition {
    enum ike_reason reason;
    struct ike_evidence evidence; /* what a refusal of ours was about; of an IKE_AUTH that we
                                     answered whom we showed; else about == NONE */
    uint16_t peer_error;        /* the error Notify of the answer in hand, 0 = none: for the log */
    enum ike_exchange exchange; /* what the step belongs to, for step points, logs and metrics */
    enum ike_begun begun;
    bool
        completes; /* the exchange ended with this step (response processed, or request answered) */
    bool peer_step; /* this event is the peer's next message of an exchange already answered or
                       asked: step point "peer" */
    struct ike_sa after;
    bool has_successor; /* an IKE rekey: `successor` is a new IKE SA, created in the same record */
    struct ike_sa successor;
    struct ike_effect effects[IKE_MAX_EFFECTS];
    uint8_t n_effects;
    struct ike_message plain;
    struct ike_job job;                      /* IKE_NEED_JOB */
    struct ike_identity address_for;         /* IKE_NEED_ADDRESS: who asks */
    bool address_wanted[ADDR_SLOTS];         /* ... for which families */
    struct ip_addr address_wish[ADDR_SLOTS]; /* what it would like to have, or family 0 */
    bool address_contact; /* it has no other SA any more (INITIAL_CONTACT): it may get the addresses
                             of one, which ends with the record of this one */
};

/* before == NULL: a datagram that matches no SA (only IKE_SA_INIT makes one), or IKE_EV_INITIATE.
 * On IKE_STEPPED and IKE_LOCAL *out holds after and effects. Never writes *before. Sections: RFC
 * 7296 1.2-1.4, 2.1-2.9. */
enum ike_outcome ike_step(const struct ike_policy *policy, const struct ike_sa *before,
                          const struct ike_event *event, struct ike_transition *out) HF_MUST_USE;

/* Earliest cluster time at which IKE_EV_TIMER has something to do; UINT64_MAX = never. */
uint64_t ike_next_wake_ms(const struct ike_policy *policy, const struct ike_sa *sa);

const char *ike_exchange_name(enum ike_exchange e);
const char *ike_reason_name(enum ike_reason r);
const char *ike_sa_state_name(enum ike_sa_state s);
const char *ike_child_state_name(enum ike_child_state s);

/* Canonical encoding of the replicated part (local_part is left out): equal states give equal
 * bytes. Version byte first; what a former version has no field for is left out, and decodes to what
 * the former program went by. False: does not fit in cap (never for cap >= IKE_SA_ENCODED_MAX).
 *
 * | version | since then |
 * | 1 | |
 * | 2 | pending.asked_ms; from version 1 it is sent_ms | */
enum { IKE_SA_ENCODED_MAX = 49152, IKE_CODEC_OLDEST = 1, IKE_CODEC_NEWEST = 2 };
bool ike_sa_encode_as(const struct ike_sa *sa, uint8_t version, uint8_t *buf, size_t cap,
                      size_t *len) HF_MUST_USE;
/* As the newest. */
bool ike_sa_encode(const struct ike_sa *sa, uint8_t *buf, size_t cap, size_t *len) HF_MUST_USE;
/* False: malformed or of an unknown version; *sa is then all zero. local_part is zeroed. */
bool ike_sa_decode(struct span bytes, struct ike_sa *sa) HF_MUST_USE;

#endif
