/* What watchers are shown (api/feed.h), made of what replication and the conductor tell, in the order in which they tell
 * it: on every node the same.
 *
 *   repl_event ─> events_take ─┬─> conductor ─> events_session ─┬─> feed, with the place in the log as the id
 *                              └────────────────────────────────┘
 *
 * Never a secret: identities and addresses as GET /v1/sas shows them to the same role, of documents their names alone.
 */
#ifndef HF_DAEMON_EVENTS_H
#define HF_DAEMON_EVENTS_H

#include "api/feed.h"
#include "conductor/sessions.h"
#include "replication/replica.h"

struct events {
    struct api_feed *feed; /* owned */
    uint32_t node;
    uint64_t (*ask)(
        void *self); /* the cluster's incarnation; 0 = not known yet: then nothing is shown */
    void *self;
    uint64_t incarnation, index, cluster_ms; /* of what is being applied */
};

void events_init(struct events *e, uint32_t node, uint64_t (*ask)(void *self), void *self);
void events_deinit(struct events *e);
/* Each event of replication once, before the conductor has it. */
void events_take(struct events *e, const struct repl_event *ev);
/* A conductor_session_fn. */
void events_session(void *events, const struct conductor_session *session);

#endif
