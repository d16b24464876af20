/* What happens in the cluster, for those who watch (GET /v1/events): one bounded ring a node, a cursor a watcher.
 *
 *   control loop: put ─> staged ─ flush (a lock that is never waited for) ─> ring ─> read by cursor: HTTP threads
 *
 * An event that follows from a record of the log has the id INCARNATION.INDEX.N: its place in the log, and the
 * how manieth event of that place it is. All nodes apply the same records in the same order and make the same
 * events of them, so an id means the same on each, and what one node has sent up to it another one goes on from.
 * An event of this node's own has no id: it is shown to who watches at that moment, and to nobody later.
 */
#ifndef HF_API_FEED_H
#define HF_API_FEED_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/backend.h"

enum {
    API_FEED_EVENTS = 4096,
    API_FEED_BYTES = 2 << 20,
    API_EVENT_BYTES = 2048, /* most of one event, as it is sent */
    API_EVENT_ID_BYTES = 20 + 1 + 20 + 1 + 10 + 1
};

/* Ordered by its members, the first one first. n counts from 1; 0: before the first event of that index. */
struct api_event_id {
    uint64_t incarnation, index;
    uint32_t n;
};

/* Digits, two dots, no zero before another digit: each id has one text. False: it is none. */
bool api_event_id_parse(const char *text, struct api_event_id *id);
/* Returns out. */
const char *api_event_id_text(const struct api_event_id *id, char out[API_EVENT_ID_BYTES]);
/* Below 0, 0, above 0. */
int api_event_id_compare(const struct api_event_id *a, const struct api_event_id *b);

struct api_feed;
/* So many events and bytes of them at most, 0 = the above. */
struct api_feed *api_feed_create(size_t events, size_t bytes);
void api_feed_destroy(struct api_feed *feed);

/* --- on the control loop --- */

/* A record of that place in the log is applied: what is put from now on follows from it. */
void api_feed_at(struct api_feed *feed, uint64_t incarnation, uint64_t index);
/* The state is a snapshot's as of that place: what led there this node never saw. Whoever watches is told. */
void api_feed_reset(struct api_feed *feed, uint64_t incarnation, uint64_t index);
/* An event that only roles which may do what `needed` may are shown; `type` as [a-z.]+, `data` is taken over (NULL:
 * nothing happens). One that is too long goes without its data. */
void api_feed_put(struct api_feed *feed, enum api_role needed, const char *type, json_t *data);
/* One of this node's own. */
void api_feed_put_own(struct api_feed *feed, enum api_role needed, const char *type, json_t *data);
/* Shows it to the watchers, or in a later call: it waits for nobody, but when as much is staged as the ring holds. */
void api_feed_flush(struct api_feed *feed);

/* --- on any thread --- */

struct api_cursor {
    uint64_t next;             /* of all events ever: the next one to look at */
    uint64_t live;             /* this node's own before it are not for it */
    uint64_t resets;           /* of the feed, that it knows */
    struct api_event_id after; /* others up to it are not for it (any more) */
};

enum api_feed_start {
    API_FEED_STARTS,
    API_FEED_GAP, /* what came next is not here (any more), or of another incarnation; it begins now */
    API_FEED_NOTHING /* this node has applied nothing yet */
};
/* Behind that event, which may be one that this node has not seen yet. */
enum api_feed_start api_feed_behind(struct api_feed *feed, const struct api_event_id *after,
                                    struct api_cursor *cursor);
/* From now on. */
enum api_feed_start api_feed_now(struct api_feed *feed, struct api_cursor *cursor);
/* With the oldest that is here. */
enum api_feed_start api_feed_oldest(struct api_feed *feed, struct api_cursor *cursor);

enum api_feed_read {
    API_FEED_READ,   /* *n bytes of whole events; 0: there is none */
    API_FEED_RESETS, /* a snapshot came: begin anew by api_feed_now() */
    API_FEED_BEHIND  /* what came next is not here any more */
};
/* For a reader of that role (NONE: root's, who is shown all); cap >= API_EVENT_BYTES. */
enum api_feed_read api_feed_read(struct api_feed *feed, struct api_cursor *cursor,
                                 enum api_role role, char *out, size_t cap, size_t *n);
/* Where a reader of that cursor stands that has read all: from here it goes on, on any node. */
struct api_event_id api_feed_place(struct api_feed *feed, const struct api_cursor *cursor);
/* Is there anything that this cursor has not looked at? */
struct api_feed_end {
    uint64_t end, resets;
};
struct api_feed_end api_feed_end(struct api_feed *feed);
static inline bool api_feed_news(const struct api_feed_end *end, const struct api_cursor *cursor)
{
    return cursor->next < end->end || cursor->resets != end->resets;
}

#endif
