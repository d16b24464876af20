/* What waits for the log: each submitted request with its sealed bytes and an opaque handle of its
 * effects. A request leaves by the log's judgement alone; until then it is submitted again, the
 * same bytes under the same id, after every loss that is known or feared. Pure; the buffers are the
 * caller's.
 *
 *   put ──> unsent ──send──> sent ──settle──> gone (effects released or dropped by the caller)
 *              ^──unsend (leader or connection changed, refused, too long ago)──┘
 */
#ifndef HF_REPL_OUTBOX_H
#define HF_REPL_OUTBOX_H

#include "replication/replica.h"

struct outbox_item {
    uint64_t request; /* 0 = free */
    uint8_t *bytes;   /* sealed; the caller's to free once the item is settled */
    size_t len;
    void *effects;
    uint64_t sent_ns; /* 0 = unsent */
    bool sent_before; /* it was sent, then unsent: sending it again is a resubmission */
};

/* All zero is empty. Requests are put in rising order without gaps, so the place is request % size.
 */
struct outbox {
    struct outbox_item items[REPL_MAX_OUTSTANDING];
    uint64_t oldest;      /* lowest unsettled request; == next when empty */
    uint64_t next;        /* to be put next; the first one is 1 */
    uint64_t unsent_from; /* no unsent request below it */
    size_t n, bytes;
};

void outbox_init(struct outbox *o);

/* Has it room for one more of `len` bytes? */
bool outbox_room(const struct outbox *o, size_t len);
/* request must be o->next and outbox_room() true (asserted). */
void outbox_put(struct outbox *o, uint64_t request, uint8_t *bytes, size_t len, void *effects);

/* The oldest unsent item, or NULL; outbox_sent() marks it. */
struct outbox_item *outbox_unsent(struct outbox *o);
void outbox_sent(struct outbox *o, struct outbox_item *item, uint64_t now_ns);

/* Everything sent, or only `request`, or what was sent before `before_ns`, is to be sent again. */
void outbox_unsend_all(struct outbox *o);
void outbox_unsend(struct outbox *o, uint64_t request);
size_t outbox_unsend_older(struct outbox *o, uint64_t before_ns);

/* The log judged it: false when it is not here (any more), else *out is the item, now gone. */
bool outbox_settle(struct outbox *o, uint64_t request, struct outbox_item *out);

/* Any item, lowest request first; *at starts at 0. NULL at the end. */
struct outbox_item *outbox_each(struct outbox *o, uint64_t *at);

#endif
