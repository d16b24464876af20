/* What the files of the data path's control side share; nobody else includes it. */
#ifndef HF_DAEMON_DATAPATH_INTERNAL_H
#define HF_DAEMON_DATAPATH_INTERNAL_H

#include "conductor/heap.h"
#include "daemon/datapath.h"
#include "esp/ceiling.h"
#include "esp/tally.h"

enum { EXTEND_BATCH = 512 };

/* One CHILD SA; the conductor's handle. */
struct datapath_child {
    struct esp_sa *sa;
    uint64_t ike_sa;
    uint32_t spi_in;
    uint32_t shard;
    bool granted;  /* under an assignment of ours */
    bool rekeying; /* by the applied state: no recovery need be asked for */
    uint64_t granted_ms, granted_packets;
    bool recovered; /* the conductor has taken a recovery on, under this grant */
    uint64_t
        below_since_ms; /* first verified packet at or below the floor under this grant; 0 = none */
    struct esp_pacer pacer;
    bool follows; /* pacer has the rates of the SA that it replaces, for its first grant */
    /* esp_tally_slack: packets, and bytes, that may be untold; 0 = nothing to tell */
    uint64_t slack, slack_bytes;
    uint64_t told_in, told_out; /* packets for the SA's limits, as told last */
    uint64_t told_in_bytes, told_out_bytes;
    uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes; /* 0 = no limit */
    bool past_soft;  /* by what counts at the grant; not passed on yet */
    bool near_soft;  /* passed on under this grant, ahead of the limit */
    bool telling;    /* in an Extend that asks for nothing */
    uint64_t ticket; /* LOWERING: workers still to pass; 0 = none */
    struct heap_node due;
    struct drops_node drops;
    struct endpoint remote;
    bool outbound;
};

struct datapath {
    struct datapath_options options;
    struct conductor *conductor;
    struct heap heap;
    struct conductor_extend batch[EXTEND_BATCH];
    struct datapath_child *batch_children[EXTEND_BATCH];
    size_t n_batch;
    uint32_t batch_shard;
    struct drops_account drops;
    struct datapath_shard {
        enum worker_mode mode;
        uint64_t ticket;       /* of the mode */
    } shards[REPL_MAX_SHARDS]; /* by slot */
};

static inline uint64_t datapath_now_ms(const struct datapath *d)
{
    return d->options.now_ns() / 1000000;
}

/* datapath_move.c: NULL: no such shard here; *slot is then n_shards. */
struct datapath_shard *datapath_shard_of(struct datapath *d, uint32_t shard, uint32_t *slot);

/* datapath_grant.c: what the pacer is told. */
struct esp_pace_now datapath_pace_now(const struct datapath *d, const struct esp_sa_view *v);

/* datapath_grant.c, datapath_move.c: rows of conductor_ops, `self` is the data path. */
void datapath_first(void *self, void *esp, uint64_t *numbers, uint64_t *ceiling);
void datapath_grant(void *self, void *esp, uint64_t epoch, const struct repl_grant *grant);
bool datapath_grant_exact(struct datapath *d, struct datapath_child *child, uint64_t epoch,
                          const struct repl_grant *grant, struct span window);
void datapath_revoke(void *self, void *esp);
void datapath_mode(void *self, uint32_t shard, enum conductor_esp_mode mode);
bool datapath_passed(void *self, uint32_t shard);
size_t datapath_export(void *self, void *esp, uint8_t *out);
bool datapath_resume(void *self, void *esp, uint64_t epoch, const struct repl_grant *grant,
                     struct span window);

#endif
