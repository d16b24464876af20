/* Shared by the conductor's own files; nobody else includes it. */
#ifndef HF_CONDUCTOR_INTERNAL_H
#define HF_CONDUCTOR_INTERNAL_H

#include <uthash.h>
#include <utlist.h>

#include "conductor/core.h"
#include "proto/records.pb-c.h"

/* An event that waits or is being worked on. Owns its datagram. */
struct conductor_work {
    struct conductor_work *next;
    uint64_t sa_id; /* 0 = no SA yet */
    struct ike_event event;
    bool entropy_set;
    size_t datagram_len;
    struct ike_ke_job job;
    uint8_t datagram[];
};

struct conductor_child {
    uint32_t spi_in; /* 0 = free slot; slots are ike_sa.children[]'s */
    uint32_t spi_out;
    void *esp;
    struct repl_claim claim;
    struct conductor_op *extending; /* the Extend under way, or NULL */
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
    uint8_t *state; /* encoded, as applied */
    size_t state_len;
    struct ike_local local_part;
    struct ip_addr address;         /* leased */
    struct conductor_work *ke_work; /* a key exchange is under way for it */
    struct conductor_op *inflight;  /* the uncommitted step, or NULL */
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
    uint32_t *extends; /* CHILD SAs whose numbers it extends; NULL = none */
    size_t n_extends;
    struct ike_effect effects[IKE_MAX_EFFECTS];
    uint8_t n_effects;
    struct ike_local local_part;
    struct ip_addr address; /* picked for this step, family 0 = none */
    struct conductor_op *prev, *next;
};

struct conductor_source { /* rate of unestablished, replicated SAs per source address */
    struct ip_addr ip;
    uint64_t window_ms;
    unsigned used;
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
    uint64_t holder; /* SA id; 0 while picked for a step that is not applied yet */
    UT_hash_handle hh;
};

struct conductor {
    struct conductor_options options;
    struct conductor_ops ops;
    const struct ike_policy *policy;
    const struct log *log;
    struct conductor_sa *sas;       /* by id, half-open ones included */
    struct conductor_sa *half_open; /* by key */
    size_t n_half_open, n_sas, n_ke_free;
    struct conductor_child *children;  /* by spi_in */
    struct conductor_op *ops_inflight; /* list of all */
    struct conductor_source *sources;
    struct conductor_half_open_source *half_open_sources;
    struct conductor_identity *identities;
    uint64_t all_window_ms; /* of failed authentications, all sources together */
    unsigned all_used;
    struct conductor_address *addresses;
    struct heap heap;
    struct conductor_shard shards[REPL_MAX_SHARDS];
    uint64_t applied_index;
    uint8_t cookie_secret[32], cookie_secret_previous[32];
    uint8_t cookie_secret_id;
    bool cookie_ready, cookie_previous_ready;
    struct steppoint steppoint;
    struct counters counters;
    struct log_limit limits[IKE_REASON_COUNT];
    /* scratch, used by one step at a time */
    struct ike_sa before;
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
bool sa_decode(struct conductor *c, const struct conductor_sa *sa, struct ike_sa *out);
void sa_rearm(struct conductor *c, struct conductor_sa *sa, const struct ike_sa *decoded);
/* The SA's timer in so many ms; in the heap only where this node may act. */
void sa_again(struct conductor *c, struct conductor_sa *sa, uint64_t in_ms);
uint64_t sa_version(struct conductor *c, const struct conductor_sa *sa);
void sa_set_version(struct conductor *c, struct conductor_sa *sa, uint64_t version);
void sa_reset_all(struct conductor *c);
struct conductor_shard *shard_find(struct conductor *c, uint32_t id);

/* children.c: the ESP database as a function of applied states */
void children_sync(struct conductor *c, struct conductor_sa *sa, const struct ike_sa *decoded);
/* applied: by a record that was applied just now, not by a snapshot. */
void children_add_claim(struct conductor *c, struct conductor_sa *sa,
                        const struct repl_child_state *state, bool applied);
void children_move(struct conductor *c, struct conductor_sa *from, struct conductor_sa *to,
                   const struct ike_sa *to_decoded);
struct conductor_child *child_find(struct conductor *c, uint32_t spi_in);
void children_remove_all(struct conductor *c, struct conductor_sa *sa);
void children_assigned(struct conductor *c, const struct conductor_shard *shard);

/* pool.c */
struct ip_addr pool_pick(struct conductor *c, uint32_t shard, const struct ip_addr *wish);
void pool_hold(struct conductor *c, const struct ip_addr *ip, uint64_t holder);
void pool_release(struct conductor *c, const struct ip_addr *ip, uint64_t holder);

bool pool_holds(struct conductor *c, const struct ip_addr *ip, uint64_t holder);

/* identity.c: SAs by authenticated identity */
void identity_note(struct conductor *c, struct conductor_sa *sa, const struct ike_sa *decoded);
void identity_forget(struct conductor *c, struct conductor_sa *sa);
/* The others by identity_next; NULL = none. */
struct conductor_sa *identity_first(struct conductor *c, const struct ike_identity *id);
/* An address that one of them holds; family 0 = none. */
struct ip_addr identity_address(struct conductor *c, uint32_t shard, const struct ike_identity *id);

/* sources.c: half-open SAs, and key exchanges for new ones, by source */
unsigned half_open_from(struct conductor *c, const struct ip_addr *ip);
void half_open_count(struct conductor *c, const struct ip_addr *ip);
void half_open_uncount(struct conductor *c, const struct ip_addr *ip);

/* run.c: one step */
void run_work(struct conductor *c, struct conductor_work *work);
void run_queue(struct conductor *c, struct conductor_sa *sa);
void run_effects(struct conductor *c, const struct ike_sa *after, const struct ike_message *plain,
                 const struct ike_effect *effects, uint8_t n);
struct conductor_work *work_new(struct span datagram);
void work_free(struct conductor_work *w);
struct step_facts run_facts(struct conductor *c, uint64_t sa_id, uint32_t shard);

/* submit.c */
bool submit_step(struct conductor *c, struct conductor_sa *sa, struct conductor_work *work);
bool submit_delete(struct conductor *c, struct conductor_sa *sa);
bool source_allowed(struct conductor *c, const struct ip_addr *ip);
void op_free(struct conductor *c, struct conductor_op *op);

/* apply.c: conductor_handle_replication */

#endif
