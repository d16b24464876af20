/* Between the conductor and the ESP workers: the conductor's esp_* operations, and the pacing of
 * reservations and ceilings.
 *
 *   applied state ─> datapath_ops (install, update, remove, grant, limits) ─> worker pool
 *   worker events, time ─> pacer per CHILD SA ─> wishes ─> one Extend record for all ─>
 * conductor_extend
 *
 * Runs on the control loop. Replay recovery: if verified packets at or below the floor still arrive
 * 100 ms after a takeover and nothing is accepted, the conductor is asked for it, until it has taken
 * it on (conductor_recover).
 */
#ifndef HF_DAEMON_DATAPATH_H
#define HF_DAEMON_DATAPATH_H

#include "conductor/core.h"
#include "daemon/drops.h"
#include "io/worker.h"

struct datapath;

struct datapath_options {
    struct worker_pool *pool;
    const struct suite_table *suites;
    const uint32_t *shard_ids; /* by shard slot, borrowed */
    uint32_t n_shards;
    const struct log *log;
    uint64_t (*now_ns)(void); /* CLOCK_BOOTTIME */
};

struct datapath *datapath_create(const struct datapath_options *options);
void datapath_destroy(struct datapath *d);
/* Whom to tell; before anything else. */
void datapath_bind(struct datapath *d, struct conductor *c);

void *datapath_install(struct datapath *d, const struct conductor_esp_child *child);
void datapath_update(struct datapath *d, void *esp, const struct conductor_esp_child *child);
void datapath_remove(struct datapath *d, void *esp);
/* For what replaces it, by its rates: numbers out, and a ceiling (conductor_ops.esp_first). */
void datapath_first(struct datapath *d, void *esp, uint64_t *numbers, uint64_t *ceiling);
void datapath_grant(struct datapath *d, void *esp, uint64_t epoch, const struct repl_grant *grant);
/* The exact state of one, no worker using it (esp/window.h); `out`: ESP_WINDOW_MAX_BYTES. */
size_t datapath_export(void *esp, uint8_t *out);
/* A grant that goes on from such a state. False: it is not one of this SA's; nothing was done. */
bool datapath_resume(struct datapath *d, void *esp, uint64_t epoch, const struct repl_grant *grant,
                     struct span window);
uint32_t datapath_shard(const void *esp);
void datapath_limits(struct datapath *d, void *esp, uint64_t reservation_end, uint64_t ceiling);
void datapath_refused(struct datapath *d, void *esp, uint64_t reservation_end, uint64_t ceiling);
void datapath_revoke(struct datapath *d, void *esp);
/* No packet in either direction once so many ms have passed; UINT64_MAX = no limit. */
void datapath_end(struct datapath *d, void *esp, uint64_t in_ms);
/* Are there packets above its ceiling? (conductor_ops.esp_waiting) */
bool datapath_waiting(void *esp);
void datapath_idle(struct datapath *d, void *esp, uint64_t *in_ms, uint64_t *out_ms);

/* Worker events: news for the engine, and pacers that are due. */
void datapath_drain_events(struct datapath *d);
/* Every pacer that is due by now: wishes are gathered and submitted per shard. */
void datapath_pace(struct datapath *d);
/* CLOCK_BOOTTIME ms of the next due pacer; UINT64_MAX = none. */
uint64_t datapath_next_ms(const struct datapath *d);

/* For the admin interface. */
void datapath_view(void *esp, struct esp_sa_view *view);

/* Goes on with the account of dropped packets (drops.h): to be called at each tick. */
void datapath_count_drops(struct datapath *d);
/* Since the start, over all CHILD SAs that there are and were; at most a few seconds old. */
void datapath_drops(struct datapath *d, struct datapath_drops *drops);

#endif
