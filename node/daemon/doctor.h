/* What is wrong with this node and its cluster, what it costs and what to do: GET /v1/doctor, `holdfast doctor`.
 *
 *   struct daemon ─ doctor_facts.c ─> struct doctor_facts ─ doctor.c ─> findings ─> JSON, with doctor_text.c
 *
 * The rules are functions of the facts alone. A finding is of now, or of what was counted in the last DOCTOR_WINDOW_MS: what is
 * long over is found in the log, not here. Bounded: DOCTOR_MOST findings, what matters most first.
 *
 * A finding without a case in unit/daemon/doctor_test.c is red.
 */
#ifndef HF_DAEMON_DOCTOR_H
#define HF_DAEMON_DOCTOR_H

#include "replication/replica.h"

enum doctor_severity { DOCTOR_ERROR, DOCTOR_WARNING, DOCTOR_NOTE };

/* X(identifier, "name", severity): by severity, and what explains others first. */
#define DOCTOR_LIST(X)                                                                             \
    X(no_quorum, "no-quorum", DOCTOR_ERROR)                                                        \
    X(state_differs, "state-differs", DOCTOR_ERROR)                                                \
    X(node_distrusted, "node-distrusted", DOCTOR_ERROR)                                            \
    X(node_unreachable, "node-unreachable", DOCTOR_ERROR)                                          \
    X(node_unhealthy, "node-unhealthy", DOCTOR_ERROR)                                              \
    X(link_down, "link-down", DOCTOR_ERROR)                                                        \
    X(disk_full, "disk-full", DOCTOR_ERROR)                                                        \
    X(shard_unowned, "shard-unowned", DOCTOR_ERROR)                                                \
    X(shard_silent, "shard-silent", DOCTOR_ERROR)                                                  \
    X(certificate, "certificate", DOCTOR_ERROR)                                                    \
    X(keys_overdue, "keys-overdue", DOCTOR_ERROR)                                                  \
    X(pool_exhausted, "pool-exhausted", DOCTOR_ERROR)                                              \
    X(sends_refused, "sends-refused", DOCTOR_ERROR)                                                \
    X(inside_refused, "inside-refused", DOCTOR_ERROR)                                              \
    X(mtu, "mtu", DOCTOR_WARNING)                                                                  \
    X(no_spare, "no-spare", DOCTOR_WARNING)                                                        \
    X(node_behind, "node-behind", DOCTOR_WARNING)                                                  \
    X(node_reluctant, "node-reluctant", DOCTOR_WARNING)                                            \
    X(rollback_unheard, "rollback-unheard", DOCTOR_WARNING)                                        \
    X(port_4500_silent, "port-4500-silent", DOCTOR_WARNING)                                        \
    X(retransmissions, "retransmissions", DOCTOR_WARNING)                                          \
    X(clients_lost, "clients-lost", DOCTOR_WARNING)                                                \
    X(numbers_late, "numbers-late", DOCTOR_WARNING)                                                \
    X(leases_lost, "leases-lost", DOCTOR_WARNING)                                                  \
    X(replays, "replays", DOCTOR_WARNING)                                                          \
    X(hard_expired, "hard-expired", DOCTOR_WARNING)                                                \
    X(logins_fail, "logins-fail", DOCTOR_WARNING)                                                  \
    X(old_program, "old-program", DOCTOR_NOTE)                                                     \
    X(node_drained, "node-drained", DOCTOR_NOTE)

enum doctor_id {
#define X(id, name, severity) DOCTOR_##id,
    DOCTOR_LIST(X)
#undef X
        DOCTOR_COUNT
};

/* What is counted over the window. */
enum doctor_counted {
    DOCTOR_IKE_IN,
    DOCTOR_IKE_IN_NATT,   /* of them, to UDP 4500 */
    DOCTOR_REQUESTED,     /* by this node, each once */
    DOCTOR_RETRANSMITTED, /* sendings of those again */
    DOCTOR_HALF_OPEN_EXPIRED,
    DOCTOR_POOL_EXHAUSTED,
    DOCTOR_PEER_DEAD,
    DOCTOR_LOGINS_REFUSED,
    DOCTOR_HARD_EXPIRED,
    DOCTOR_ESP_IN, /* packets accepted */
    DOCTOR_ESP_REPLAYED,
    DOCTOR_NUMBERS_LATE, /* packets that waited for the log in vain */
    DOCTOR_UDP_ERRORS,   /* packets that the kernel did not send: ESP, in UDP or not */
    DOCTOR_TUN_ERRORS,
    DOCTOR_LEASES_LOST,
    DOCTOR_COUNTED
};

enum {
    DOCTOR_SAMPLE_MS = 30000,
    DOCTOR_SAMPLES = 10,
    DOCTOR_WINDOW_MS = DOCTOR_SAMPLES * DOCTOR_SAMPLE_MS,
    DOCTOR_MOST = 48,
    DOCTOR_SUBJECT_BYTES = 64,
    DOCTOR_EVIDENCE_BYTES = 320
};

struct doctor_facts {
    const struct repl_status *status; /* borrowed */
    bool acting[REPL_MAX_SHARDS];     /* for status->shards, in that order; of its own */
    bool outside_up, inside_up;
    const char *outside, *inside; /* names of interfaces */
    uint32_t outside_mtu;         /* 0 = not known */
    uint32_t mtu_needed;          /* of the outside, for what the TUN takes */
    bool disk_full;
    const char *data_dir;
    unsigned disk_percent;   /* the watermark */
    bool leaving;            /* it was told to stop */
    const char *certificate; /* what is wrong with it, "ends in 6 days"; NULL: nothing */
    bool keys_overdue;
    bool rollback_deaf; /* its events were heard and are not any more */
    uint64_t rollback_missed;
    uint64_t window_ms; /* that `since` is of; at most DOCTOR_WINDOW_MS and a sample */
    uint64_t since[DOCTOR_COUNTED];
};

struct doctor_finding {
    enum doctor_id id;
    char subject[DOCTOR_SUBJECT_BYTES];   /* "node 2", "shard 1", "interface out0" */
    char evidence[DOCTOR_EVIDENCE_BYTES]; /* what was seen, with numbers */
};

/* doctor.c: fills at most DOCTOR_MOST, by their order in DOCTOR_LIST. */
size_t doctor_find(const struct doctor_facts *facts, struct doctor_finding out[DOCTOR_MOST]);

/* doctor_text.c: static */
const char *doctor_name(enum doctor_id id);
enum doctor_severity doctor_severity_of(enum doctor_id id);
const char *doctor_severity_name(enum doctor_severity severity); /* "error", "warning", "note" */
const char *doctor_meaning(enum doctor_id id);                   /* what it costs */
const char *doctor_next(enum doctor_id id);                      /* what to do */

/* What was counted before, each DOCTOR_SAMPLE_MS. Zeroed: nothing yet. */
struct doctor_history {
    struct doctor_sample {
        uint64_t at_ms; /* CLOCK_BOOTTIME */
        uint64_t count[DOCTOR_COUNTED];
    } samples[DOCTOR_SAMPLES];
    unsigned n, next; /* kept; where the next one goes */
    uint64_t next_ms;
};

/* Keeps `count` where a sample is due. */
void doctor_keep(struct doctor_history *h, uint64_t now_ms, const uint64_t count[DOCTOR_COUNTED]);
/* What was counted since the oldest sample kept: nothing, where there is none. */
void doctor_since(const struct doctor_history *h, uint64_t now_ms,
                  const uint64_t count[DOCTOR_COUNTED], struct doctor_facts *facts);

#endif
