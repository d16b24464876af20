/* Shared by the conductor's own files; nobody else includes it. */
#ifndef HF_CONDUCTOR_INTERNAL_H
#define HF_CONDUCTOR_INTERNAL_H

#include <uthash.h>
#include <utlist.h>

#include "conductor/attempts.h"
#include "conductor/core.h"
#include "conductor/crowd.h"
#include "conductor/exchanges.h"
#include "conductor/sessions.h"
#include "proto/records.pb-c.h"
#include "replication/record.h"

/* An event that waits or is being worked on. Owns its datagram. */
struct conductor_work {
    struct conductor_work *next;
    uint64_t sa_id; /* 0 = no SA yet */
    struct ike_event event;
    bool entropy_set;
    unsigned tries;          /* records of it that the log refused */
    unsigned waits;          /* times that it was put off for packets that came before it */
    uint8_t news;            /* the bits of its CHILD SA that it settles */
    bool picked[ADDR_SLOTS]; /* event.address is held for it by SA 0; else it is to be taken over */
    uint64_t giver;          /* ... from this SA, which goes on; 0 = from those that end */
    size_t datagram_len;
    struct ike_job *job;             /* under way; owned, wiped */
    const struct ike_policy *policy; /* ... under this one */
    struct ip_addr judged_for;       /* ... a proof, counted for this source; family 0 = none */
    uint8_t datagram[];
};

struct conductor_child {
    uint32_t spi_in; /* 0 = free slot; slots are ike_sa.children[]'s */
    uint32_t spi_out;
    void *esp;
    struct repl_claim claim;
    struct conductor_op *extending; /* the Extend under way, or NULL */
    struct span window;   /* of the handover that is being applied; borrowed, else empty */
    bool outbound;        /* traffic leaves by it, as applied last */
    bool unproven;        /* made with its IKE SA, by an answer: core.h, conductor_esp_child */
    uint8_t news;         /* told by the data path, not a step yet: 1 << conductor_esp_news */
    uint64_t hard_ms;     /* its hard limit, cluster time; UINT64_MAX = none */
    uint64_t fresh_epoch; /* made under this assignment of ours: nobody had its numbers; 0 = no */
    struct conductor_sa *sa;
    UT_hash_handle hh; /* by spi_in */
};

struct conductor_sa {
    uint64_t id;      /* local IKE SPI */
    uint64_t version; /* as of `touched` assignments of the shard: each later one raises it by 1 */
    uint64_t touched;
    uint32_t shard;
    bool half_open; /* in memory only, never replicated */
    bool pending;   /* a request of ours is outstanding (for takeover) */
    bool ended;
    bool sender_moved; /* by the state applied last one of its CHILD SAs sends no more */
    bool up,
        deleting; /* by that state: established, or our Delete of it is out; for sessions.c, as: */
    uint32_t expected_request_id;
    uint64_t hard_ms;
    uint8_t *state; /* encoded, as applied */
    size_t state_len;
    struct ike_local local_part;
    struct ip_addr address[ADDR_SLOTS]; /* leased */
    struct conductor_work *job_work;    /* a job is under way for it */
    struct conductor_op *inflight;      /* the uncommitted step, or NULL */
    struct conductor_work *queue, **queue_tail;
    unsigned n_queued;
    struct heap_node wake;
    struct conductor_child children[IKE_MAX_CHILDREN];
    struct conductor_identity *identity; /* authenticated; NULL = never was */
    struct conductor_sa *identity_prev, *identity_next;
    UT_hash_handle hh; /* by id */
    /* half-open only: by who sent it */
    struct half_open_key {
        uint64_t remote_spi;
        struct ip_addr ip;
        uint8_t pad;
        uint16_t port;
    } key;
    UT_hash_handle hh_key;
};

/* Our own submission that waits for the log's verdict: what to do then. */
struct conductor_op {
    uint64_t sa_id;
    enum ike_exchange exchange;
    enum ike_begun begun;
    enum ike_reason reason;
    bool peer_step, completes;
    struct exchanges_note note;
    enum { HANDOVER_OP_NONE, HANDOVER_OP_ASSIGN, HANDOVER_OP_ABORT } handover;
    uint32_t shard; /* of a handover's */
    uint64_t wish;  /* an operator's, by its number; 0 = none */
    uint8_t news;   /* of CHILD SA news_spi_in that it settles */
    uint32_t news_spi_in;
    uint64_t late_ticket, late_until_ms; /* in the list `late` (late.c) */
    struct conductor_op *late_next;
    uint32_t *extends; /* CHILD SAs whose numbers it extends; NULL = none */
    size_t n_extends;
    struct ike_effect effects[IKE_MAX_EFFECTS];
    uint8_t n_effects;
    struct ike_local local_part;
    struct ip_addr address[ADDR_SLOTS]; /* of this step, family 0 = none */
    bool picked[ADDR_SLOTS];            /* ... held for it by SA 0, to be given back */
    struct conductor_work *again; /* an authentication, to be stepped anew when the log refuses it;
                                     owned; NULL = anything else */
    struct conductor_op *prev, *next;
};

struct conductor_source { /* rate of unestablished, replicated SAs per source address */
    struct ip_addr ip;
    uint64_t window_ms;
    unsigned used;
    unsigned proofs; /* being judged now */
    UT_hash_handle hh;
};

struct conductor_half_open_source {
    struct ip_addr ip;
    unsigned n;
    UT_hash_handle hh;
};

struct conductor_identity {
    struct ike_identity id;
    struct conductor_sa *sas;
    UT_hash_handle hh;
};

struct conductor_address {
    struct ip_addr ip;
    uint64_t holder;         /* SA id; 0 while picked for a step that is not applied yet */
    uint64_t avoid_until_ms; /* the log refused it, nobody here has it; 0 = it is held */
    UT_hash_handle hh;
};

/* One per shard: what this node gives, and the windows that it was told of. */
struct conductor_handover {
    enum { HANDOVER_NONE, HANDOVER_ASIDE, HANDOVER_STILL, HANDOVER_ASKED, HANDOVER_ABORTING } phase;
    uint32_t to_node;
    uint64_t to_boot;
    uint64_t began_ms, since_ms; /* of the phase */
    uint32_t *spis;              /* to be written down: owned; at: the next one */
    size_t n_spis, at;
    uint8_t *out; /* written and not submitted: room for those of spis; owned, NULL: of none */
    size_t out_len;
    bool went_ahead;         /* windows of this version were submitted */
    struct conductor_op *op; /* the request that hands it over; NULL: none, only windows */
    uint8_t *in;             /* applied, of the version; owned */
    size_t in_len;
    uint64_t in_version;
};

/* Where an assignment, or the right to act, has come to in the tables. */
struct conductor_pass {
    enum { PASS_NONE, PASS_CHILDREN, PASS_TIMERS, PASS_ACTING } what;
    uint32_t shard;
    struct conductor_child *child; /* the next */
    struct conductor_sa *sa;
};

struct conductor {
    struct conductor_options options;
    struct conductor_ops ops;
    const struct ike_policy *policy;
    const struct log *log;
    struct conductor_sa *sas;       /* by id, half-open ones included */
    struct conductor_sa *half_open; /* by key */
    size_t n_half_open, n_sas, n_jobs_free;
    struct conductor_child *children;  /* by spi_in */
    struct conductor_op *ops_inflight; /* list of all */
    uint64_t wishes;                   /* of operators, numbered so far */
    struct conductor_op *late;         /* applied; what they send waits for workers */
    struct conductor_source *sources;
    struct conductor_half_open_source *half_open_sources;
    struct conductor_identity *identities;
    uint64_t all_window_ms; /* of failed authentications, all sources together */
    unsigned all_used, all_proofs;
    struct conductor_address *addresses;
    struct heap heap;
    struct crowd crowd, crowd_sas; /* of CHILD SAs, of IKE SAs */
    uint64_t recovery_window_ms;   /* of replay recoveries, where they are bounded */
    unsigned recoveries_used;
    struct conductor_shard shards[REPL_MAX_SHARDS];
    struct conductor_handover handovers[REPL_MAX_SHARDS]; /* likewise */
    struct conductor_pass pass;
    uint64_t applied_index;
    uint32_t speaks; /* newest version of records that all members know, as events said */
    uint8_t cookie_secret[32], cookie_secret_previous[32];
    uint8_t cookie_secret_id;
    bool cookie_ready, cookie_previous_ready;
    struct steppoint steppoint;
    struct counters counters;
    struct log_limit limits[IKE_REASON_COUNT], limits_met[ATTEMPT_LIMITS], limit_refused;
    struct attempts *attempts; /* owned */
    conductor_session_fn *tell_session;
    void *tell_session_self;
    /* Scratch, used by one step at a time; keys stand in it. conductor_rest() wipes it. */
    bool scratch_used;
    struct ike_sa before, giver;
    struct ike_transition transition;
    uint8_t encoded[2][IKE_SA_ENCODED_MAX];
};

/* table.c */
struct conductor_sa *sa_find(struct conductor *c, uint64_t id);
struct conductor_sa *sa_find_half_open(struct conductor *c, uint64_t remote_spi,
                                       const struct endpoint *remote);
struct conductor_sa *sa_add(struct conductor *c, uint64_t id, uint32_t shard);
void sa_add_half_open(struct conductor *c, struct conductor_sa *sa, uint64_t remote_spi,
                      const struct endpoint *remote);
void sa_make_replicated(struct conductor *c, struct conductor_sa *sa);
void sa_remove(struct conductor *c, struct conductor_sa *sa);
void sa_set_state(struct conductor *c, struct conductor_sa *sa, struct span encoded,
                  const struct ike_sa *decoded);
/* Its state is nothing from now on; the owner deletes it. */
void sa_unreadable(struct conductor *c, struct conductor_sa *sa);
/* Into the scratch buffer `which` (0 or 1), as all members know it. */
struct span sa_encode(struct conductor *c, int which, const struct ike_sa *sa);
bool sa_decode(struct conductor *c, const struct conductor_sa *sa, struct ike_sa *out);
/* The SA's time. Only where this node may act does it stand in the heap; elsewhere it is kept for a
 * takeover. */
void sa_set_wake(struct conductor *c, struct conductor_sa *sa, uint64_t at_ms);
void sa_rearm(struct conductor *c, struct conductor_sa *sa, const struct ike_sa *decoded);
/* The SA's timer in so many ms. */
void sa_again(struct conductor *c, struct conductor_sa *sa, uint64_t in_ms);
uint64_t sa_version(struct conductor *c, const struct conductor_sa *sa);
void sa_set_version(struct conductor *c, struct conductor_sa *sa, uint64_t version);
/* Forgets the shards, and so many SAs; true: all are gone. */
bool sa_reset_some(struct conductor *c, size_t n);
struct conductor_shard *shard_find(struct conductor *c, uint32_t id);

/* children.c: the ESP database as a function of applied states */
void children_sync(struct conductor *c, struct conductor_sa *sa, const struct ike_sa *decoded);
/* Whether SAs that this step makes start in a crowd (crowd.h). */
void children_crowds(const struct conductor *c, struct ike_event *event);
/* applied: by a record that was applied just now, not by a snapshot. */
void children_add_claim(struct conductor *c, struct conductor_sa *sa,
                        const struct repl_child_state *state, bool applied);
/* Its children came with the IKE SA itself, by an answer that its peer may not have yet. */
void children_unproven(struct conductor_sa *sa);
void children_move(struct conductor *c, struct conductor_sa *from, struct conductor_sa *to,
                   const struct ike_sa *to_decoded);
struct conductor_child *child_find(struct conductor *c, uint32_t spi_in);
void children_remove_all(struct conductor *c, struct conductor_sa *sa);
/* The shard has a new epoch: granted, or revoked. */
void child_assigned(struct conductor *c, const struct conductor_shard *shard,
                    struct conductor_child *child);

/* assigned.c: an assignment reaches every SA, `n` per call at most. True: it is done. */
bool assigned_some(struct conductor *c, const struct repl_event *ev, size_t n);
bool assigned_act_some(struct conductor *c, uint32_t shard, size_t n);
/* Are the shard's SAs being granted? */
bool assigned_granting(struct conductor *c, uint32_t shard);
/* About to leave their tables. */
void assigned_child_gone(struct conductor *c, const struct conductor_child *child);
void assigned_sa_gone(struct conductor *c, const struct conductor_sa *sa);

/* news.c: what the data path tells once */
/* False: not ours, or known already. */
bool news_raise(struct conductor *c, struct conductor_child *child, enum conductor_esp_news news);
bool news_wait(const struct conductor_sa *sa); /* does any? */
/* The SA's timer comes soon, and offers them again. */
void news_wake(struct conductor *c, struct conductor_sa *sa);
/* Offers what waits, hard limits first, until one is taken: true, the SA is busy with it. False:
 * nothing was, so the SA's timer has to do what else is due. */
bool news_offer(struct conductor *c, struct conductor_sa *sa);
/* The engine had its say, or the step is applied, of this very SA. */
void news_done(struct conductor *c, const struct conductor_sa *sa, uint32_t spi_in, uint8_t news);

/* handover.c */
bool shard_moving(struct conductor *c, uint32_t shard);
/* ... so far that its numbers may not change any more. */
bool handover_still(struct conductor *c, uint32_t shard);
/* May a step begin: ours to act, and not being handed over? */
bool may_step(struct conductor *c, uint32_t shard);
uint64_t handover_wake_ms(const struct conductor *c);
/* One of its requests has its verdict. */
void handover_settled(struct conductor *c, const struct conductor_op *op,
                      const struct repl_event *ev);
/* Somebody's record was accepted: windows are kept, versions follow. */
void handover_applied(struct conductor *c, const struct Holdfast__Record *record);
void handover_spread_windows(struct conductor *c, const struct conductor_shard *s);
void handover_forget_windows(struct conductor *c, const struct conductor_shard *s);
/* The shard has another epoch, or a snapshot came: the data path does what ownership says. */
void handover_over(struct conductor *c, struct conductor_shard *s);
void handover_deinit(struct conductor *c);

/* core.c */
/* An event for a known SA: now, or behind what it is doing. False: its queue is full. Takes w. */
bool sa_enqueue(struct conductor *c, struct conductor_sa *sa, struct conductor_work *w);

/* sessions.c: who is told of an SA; each after its state was taken, but `was`, which comes before */
struct session_was {
    bool up, deleting, pending;
    uint32_t expected_request_id;
    uint64_t hard_ms;
    uint32_t spis[IKE_MAX_CHILDREN]; /* 0 = none */
};
struct session_was sessions_was(const struct conductor_sa *sa);
/* Its state is that one from now on. */
void sessions_note(struct conductor_sa *sa, const struct ike_sa *decoded);
void sessions_created(struct conductor *c, const struct conductor_sa *sa,
                      const struct ike_sa *decoded);
/* `sa`, whose state that is, was born by a step of `old`, whose own state is still the one before. */
void sessions_followed(struct conductor *c, const struct conductor_sa *old,
                       const struct conductor_sa *sa, const struct ike_sa *decoded);
/* By a step without a successor. decoded NULL: nobody can read its state. */
void sessions_stepped(struct conductor *c, const struct conductor_sa *sa,
                      const struct session_was *was, const struct ike_sa *decoded,
                      uint64_t cluster_ms);
/* It is about to be removed. Uses the scratch. */
void sessions_removed(struct conductor *c, const struct conductor_sa *sa, const char *reason);

/* pool.c */
/* An address of that family for this identity, held by nobody: what it wishes, else where its own
 * place in the pool is (so it gets the same one each time, where it is free), else the next. Family 0:
 * there is none. */
struct ip_addr pool_pick(struct conductor *c, uint32_t shard, unsigned slot,
                         const struct ip_addr *wish, const struct ike_identity *identity);
/* Does the shard give out addresses of that family at all? */
bool pool_exists(const struct conductor *c, uint32_t shard, unsigned slot);
void pool_hold(struct conductor *c, const struct ip_addr *ip, uint64_t holder);
void pool_release(struct conductor *c, const struct ip_addr *ip, uint64_t holder);
/* The log refused it, so this node's view misses a holder: not picked for CONDUCTOR_AVOID_MS. */
void pool_avoid(struct conductor *c, const struct ip_addr *ip);

bool pool_holds(struct conductor *c, const struct ip_addr *ip, uint64_t holder);

/* identity.c: SAs by authenticated identity */
/* The same for each way to write it. */
struct ike_identity identity_key(const struct ike_identity *id);
void identity_note(struct conductor *c, struct conductor_sa *sa, const struct ike_sa *decoded);
void identity_forget(struct conductor *c, struct conductor_sa *sa);
/* Those that a new SA of that identity ends in its record, oldest first; how many. */
size_t identity_ends(struct conductor *c, uint32_t shard, const struct ike_identity *id,
                     struct conductor_sa *ends[static RECORD_MAX_ENDS]);
/* An address of that family that one of these holds; family 0 = none. */
struct ip_addr identity_address(struct conductor *c, uint32_t shard, const struct ike_identity *id,
                                unsigned slot);

/* The SA of this identity that has that address and whose peer is at `peer`, decoded into *out; NULL =
 * none. */
struct conductor_sa *identity_holder(struct conductor *c, uint32_t shard,
                                     const struct ike_identity *id, const struct ip_addr *peer,
                                     const struct ip_addr *address, struct ike_sa *out);

/* sources.c: whom an address stands for; half-open SAs, and key exchanges for new ones, by source */
struct ip_addr source_of(const struct ip_addr *ip);
unsigned half_open_from(struct conductor *c, const struct ip_addr *ip);
void half_open_count(struct conductor *c, const struct ip_addr *ip);
void half_open_uncount(struct conductor *c, const struct ip_addr *ip);

/* failed.c: what stopped the step in c->transition, whose reason may be none; a datagram before any step; a bound, which its
 * caller has counted. Each is kept and told. */
void failed_step(struct conductor *c, const struct conductor_sa *sa, const struct conductor_work *w,
                 enum ike_outcome outcome);
void failed_datagram(struct conductor *c, enum ike_reason reason, uint32_t shard,
                     const struct endpoint *local, const struct endpoint *remote);
void failed_limit(struct conductor *c, const struct conductor_sa *sa,
                  const struct conductor_work *w, enum attempt_limit limit);

/* run.c: one step */
void run_work(struct conductor *c, struct conductor_work *work);
void run_queue(struct conductor *c, struct conductor_sa *sa);
/* The SA's shard is another node's: what waits goes there, or nowhere. */
void run_drop_queue(struct conductor *c, struct conductor_sa *sa);
void run_effects(struct conductor *c, const struct ike_sa *after, const struct ike_message *plain,
                 const struct ike_effect *effects, uint8_t n);
struct conductor_work *work_new(struct span datagram);
void work_free(struct conductor_work *w);
/* The same datagram once more, with nothing that the step made of it. */
struct conductor_work *work_repeat(const struct conductor_work *w);
/* Before everything that waits; the caller runs the queue. */
void work_first(struct conductor_sa *sa, struct conductor_work *w);
struct step_facts run_facts(struct conductor *c, uint64_t sa_id, uint32_t shard);

/* submit.c */
bool submit_step(struct conductor *c, struct conductor_sa *sa, struct conductor_work *work);
bool submit_delete(struct conductor *c, struct conductor_sa *sa);
bool source_allowed(struct conductor *c, const struct ip_addr *ip);
/* Before a peer's proof is judged, and after. False: this source, or all, may not cost more now. */
bool source_proof_begin(struct conductor *c, const struct ip_addr *ip);
void source_proof_end(struct conductor *c, const struct ip_addr *ip);
struct conductor_op *op_add(struct conductor *c, uint64_t sa_id);
void op_free(struct conductor *c, struct conductor_op *op);

/* --- apply.c, late.c --- */

void perform(struct conductor *c, struct conductor_sa *sa, const struct conductor_op *op);
/* True: what the applied step sends waits for workers; late_run() performs and frees it. */
bool late_wait(struct conductor *c, struct conductor_sa *sa, struct conductor_op *op);
void late_run(struct conductor *c);
/* UINT64_MAX: nothing waits. */
uint64_t late_wake_ms(const struct conductor *c);
/* A record with any other body, under the shard's epoch. False: not taken, `op` is gone. */
bool submit_other(struct conductor *c, uint32_t shard, struct Holdfast__Record *record,
                  struct conductor_op *op);

/* apply.c: conductor_handle_replication */

#endif
