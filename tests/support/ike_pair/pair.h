/* Two engines back to back under virtual time: a client and a gateway, both ours, over a link that
 * loses, delays, repeats and reorders on demand.
 *
 *   pair_command(CLIENT, want) ─> ike_step ─> link ─> ike_step ─> link ─> ...
 *   pair_run: whatever flies, and timers that are due now      pair_pass: so many ms more
 *
 * Every step goes through the whole of what a cluster does with it: the state is encoded, decoded
 * and stepped from that (as another node would), the step is made twice and must give the same
 * bytes, IKE_LOCAL must change nothing that is replicated, and each (SPIs, sender, direction,
 * message ID) must for ever carry the same bytes and each key use an IV once. A violation ends the
 * program with a message: so any script is also a test of takeover at every step.
 */
#ifndef HF_TESTS_IKE_PAIR_H
#define HF_TESTS_IKE_PAIR_H

#include "ike/step.h"

enum pair_who { CLIENT, GATEWAY };

enum { PAIR_MAX_SAS = 48, PAIR_MAX_FLYING = 64, PAIR_MAX_STEPS = 4096, PAIR_MAX_SENT = 4096 };

/* A datagram on its way. */
struct pair_flying {
    enum pair_who from;
    uint64_t arrives_ms;
    bool natt;
    struct endpoint src, dst;
    size_t len;
    uint8_t bytes[IKE_MAX_MESSAGE_BYTES + 64];
};

/* What a step said of itself. */
struct pair_said {
    enum pair_who who;
    enum ike_event_kind event;
    enum ike_outcome outcome;
    enum ike_reason reason;
    uint16_t peer_error;
    enum ike_exchange exchange;
    enum ike_begun begun;
    bool completes, peer_step;
    uint64_t sa, now_ms;
};

/* Everything that ever left, once: (SPIs, from, response, message ID) -> bytes. */
struct pair_sent {
    uint8_t key[22];
    uint8_t digest[32];
    uint8_t iv[8];
    bool protected;
    uint32_t times;
};

struct pair_side {
    struct ike_policy policy;
    struct ike_psk_entry psk;
    struct endpoint at;
    struct ike_sa sas[PAIR_MAX_SAS]; /* state IKE_SA_NONE = free */
    bool force_nonce; /* the next nonces begin with nonce_first: to choose who loses a collision */
    uint8_t nonce_first;
    bool choose_nonces; /* the same by what a nonce is for: our requests, our answers */
    uint8_t ask_first, answer_first;
};

/* How far a step had come when its node died: its record was not committed (the step never was), it was
 * but nothing left, all left. */
enum pair_point { PAIR_STEPPED, PAIR_COMMITTED, PAIR_SENT };

/* The node that makes the replicated step number `at` dies at it, another takes over at once. */
struct pair_kill {
    bool planned, done;
    bool now; /* set with a lost step: whoever made the event may make it again, and clear this */
    size_t at;
    enum pair_point point;
};

/* A NAT before the client: outside, its port 500 is first_port and 4500 the one above. Another
 * first_port = the NAT has forgotten its mapping: what comes for the old ports is dropped. */
struct pair_nat {
    struct ip_addr outside; /* family 0 = no NAT */
    uint16_t first_port;
    uint64_t unmapped; /* dropped from outside */
};

struct pair {
    struct pair_side side[2];
    uint64_t now_ms, rng;
    uint64_t wall_s; /* for certificates */
    bool cookies;    /* the gateway asks for one */
    uint32_t latency_ms, loss_percent, duplicate_percent, jitter_ms;
    bool held[2];         /* what this side sends stays in flight until pair_deliver() */
    bool takeover_always; /* after each step local_part is lost and TAKEOVER comes */
    struct pair_kill kill;
    const char *(*always)(
        struct pair *p); /* holds after each event; what it says else is a violation */
    size_t n_steps;      /* replicated ones of both sides, takeovers apart */
    bool check_codec;    /* states pass through encode and decode (on by default) */
    struct pair_nat nat;
    struct pair_flying flying[PAIR_MAX_FLYING];
    size_t n_flying;
    struct pair_said said[PAIR_MAX_STEPS];
    size_t n_said;
    struct pair_sent sent[PAIR_MAX_SENT];
    size_t n_sent;
    uint64_t keepalives, no_sa;
};

/* Free with pair_free(). An established IKE SA each (client = initiator) with one CHILD SA,
 * without any exchange. */
struct pair *pair_new(uint64_t seed);
/* No SA yet: pair_connect() makes one by IKE_SA_INIT and IKE_AUTH. */
struct pair *pair_new_unconnected(uint64_t seed);
void pair_connect(struct pair *p);
void pair_free(struct pair *p);

/* One event at one SA. sa NULL = none matches. Returns what ike_step said last (never NEED_*). */
enum ike_outcome pair_event(struct pair *p, enum pair_who who, struct ike_sa *sa,
                            struct ike_event *event);
enum ike_outcome pair_command(struct pair *p, enum pair_who who, uint32_t want);
enum ike_outcome pair_command_child(struct pair *p, enum pair_who who, uint32_t want,
                                    uint32_t spi_in);
/* CHILD_SOFT, CHILD_HARD, CHILD_INBOUND for a CHILD SA. */
enum ike_outcome pair_esp(struct pair *p, enum pair_who who, enum ike_event_kind kind,
                          uint32_t spi_in);
/* The node that serves this side dies, another takes over. */
void pair_takeover(struct pair *p, enum pair_who who);

/* Delivers the oldest datagram that `from` sent (also a held one); false: none flies. */
bool pair_deliver(struct pair *p, enum pair_who from);
/* The same, losing it. */
bool pair_lose(struct pair *p, enum pair_who from);
/* The same with the datagram at this index of flying[]. */
void pair_deliver_index(struct pair *p, size_t index);
void pair_lose_index(struct pair *p, size_t index);
/* sa's last_response leaves, as if a step had sent it: for answers that a test made by hand. */
void pair_fly_answer(struct pair *p, enum pair_who who, const struct ike_sa *sa);
/* A copy of the oldest is put behind it. */
void pair_duplicate(struct pair *p, enum pair_who from);
size_t pair_flying_from(const struct pair *p, enum pair_who from);
/* Bytes of ours straight to `to`, as if they came from the other side. */
enum ike_outcome pair_inject(struct pair *p, enum pair_who to, struct span bytes);

/* Until nothing flies but what is held and no timer is due at this very moment. Virtual time
 * advances by latencies only. */
void pair_run(struct pair *p);
/* Lets ms pass: deliveries and timers as they come. */
void pair_pass(struct pair *p, uint64_t ms);

/* The IKE SA in this state, NULL when there is none; the CHILD SA that sends, of the established
 * IKE SA (0 = none). */
struct ike_sa *pair_sa(struct pair *p, enum pair_who who, enum ike_sa_state state);
const struct ike_child *pair_sender(struct pair *p, enum pair_who who);
const struct ike_child *pair_child(struct pair *p, enum pair_who who, uint32_t spi_in);
size_t pair_count_sas(const struct pair *p, enum pair_who who, enum ike_sa_state state);
size_t pair_count_children(struct pair *p, enum pair_who who);

/* Did a step say this? The last one that matches, or NULL. */
const struct pair_said *pair_find_said(const struct pair *p, enum pair_who who,
                                       enum ike_exchange exchange, enum ike_begun begun,
                                       bool peer_step);
size_t pair_count_reason(const struct pair *p, enum pair_who who, enum ike_reason reason);

/* Both ends agree: one established IKE SA each, same SPIs, mirrored keys; the same CHILD SAs with
 * mirrored SPIs and keys; the sender of one is received by the other; one sender for each
 * selectors. NULL, or what is wrong. */
const char *pair_disagreement(struct pair *p);

/* Ends the program with the message: a violated invariant is not a test's business to go on from.
 */
_Noreturn void pair_violation(const struct pair *p, const char *what);

/* Between the files of this folder. */
uint64_t pair_roll(struct pair *p);
struct ike_sa *pair_free_sa(struct pair *p, enum pair_who who);
/* pair_link.c: a message leaves; when the next of what is not held arrives (UINT64_MAX: none flies),
 * and where it stands in flying[]. */
void pair_fly(struct pair *p, enum pair_who from, const struct ike_effect *e,
              const struct ike_message *m);
uint64_t pair_next_arrival(const struct pair *p, size_t *index);
/* pair_policy.c; *s is all zero */
void pair_policy_init(struct pair_side *s, enum pair_who who);
/* pair_nat.c: what the NAT, if there is one, makes of a datagram; false: nothing. */
bool pair_nat_translate(struct pair *p, enum pair_who from, struct endpoint *src,
                        struct endpoint *dst);
/* pair_check.c */
void pair_note_sent(struct pair *p, enum pair_who from, const struct ike_message *m);

#endif
