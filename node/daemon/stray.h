/* Packets of a shard that this node does not act for at this instant: kept for a moment, or
 * forwarded to the node that owns it.
 *
 *   workers (shard aside), port 500, channel STRAY ──> whose is it now?
 *     ours, and we act ────> the conductor (IKE), the workers (ESP, inner packets)
 *     ours, being handed over, or its lease comes in a moment ─> kept
 *     of an epoch that this node has not applied ─────────────> kept
 *     another node's ──────> channel STRAY, at most STRAY_HOPS times in a packet's life
 *
 * So nothing is lost in a handover, nor in the seconds after one in which neighbours still send to
 * the old owner, nor behind routers that spread packets over all nodes. Bounded in number, time and
 * rate, each drop counted; a node that knows no leader or no majority forwards nothing, for its
 * idea of the owner may be old.
 */
#ifndef HF_DAEMON_STRAY_H
#define HF_DAEMON_STRAY_H

#include "daemon/stray_frame.h"

enum {
    STRAY_KEPT = 2048,     /* packets, all shards together */
    STRAY_KEEP_MS = 1000,  /* then they are dropped */
    STRAY_HOPS = 2,        /* one for a stale neighbour, one more for a handover on its way */
    STRAY_RATE_PER_MS = 64 /* forwarded at most; bursts of 16 ms */
};

/* What the daemon is to this file: tests have their own. */
struct stray_ops {
    void *self;
    uint64_t (*now_ms)(void *self); /* CLOCK_BOOTTIME */
    /* Who owns it, as applied here: false: no such shard. */
    bool (*owner)(void *self, uint32_t shard, uint32_t *node, uint64_t *epoch, bool *mine);
    bool (*acting)(void *self,
                   uint32_t shard); /* ours, with its lease, and not being handed over */
    bool (*sure)(void *self); /* a leader and a majority are known: `owner` is worth something */
    /* To whom it belongs on this node. False: not now (full). */
    bool (*deliver)(void *self, const struct stray_frame *packet);
    enum stray_sent {
        STRAY_SENT,
        STRAY_BUSY,
        STRAY_UNREACHABLE
    } (*forward)(void *self, uint32_t node, struct span head, struct span packet);
};

enum stray_counter {
    STRAY_COUNT_DELIVERED, /* kept or forwarded to us, then given to whom they belong */
    STRAY_COUNT_FORWARDED,
    STRAY_COUNT_KEPT,
    STRAY_COUNT_NO_ROOM,
    STRAY_COUNT_TOO_OLD,
    STRAY_COUNT_TOO_FAR,     /* hops */
    STRAY_COUNT_TOO_MANY,    /* the rate */
    STRAY_COUNT_NO_OWNER,    /* none is known, or not surely */
    STRAY_COUNT_UNREACHABLE, /* no connection to it */
    STRAY_COUNT_MALFORMED,
    STRAY_COUNTERS
};
const char *stray_counter_name(enum stray_counter counter);

struct strays;
struct strays *strays_create(const struct stray_ops *ops);
void strays_destroy(struct strays *s);

/* A packet that came to this node itself: hops and epoch as workers gave it (0). Copied. */
void strays_take(struct strays *s, const struct stray_frame *packet);
/* A frame of channel STRAY. */
void strays_receive(struct strays *s, struct span bytes);
/* Looks at what is kept: after anything that may have changed ownership. True: some is kept yet. */
bool strays_run(struct strays *s);
uint64_t strays_counter(const struct strays *s, enum stray_counter counter);

#endif
