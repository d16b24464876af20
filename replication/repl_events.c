/* Events on their way to the conductor: gathered on the replication thread while the core takes a
 * step, then queued with one lock and one wake-up. */
#include <stdlib.h>
#include <unistd.h>

#include "replication/map.h"
#include "replication/repl_thread.h"

int repl_event_fd(const struct repl *repl)
{
    return repl->event_fd;
}

/* On the replication thread. */
void repl_push_event(void *self, struct repl_event *event)
{
    struct repl *repl = self;
    struct event_node *node;

    if (repl_settle_admin(repl, event)) {
        repl_event_free(event);
        return;
    }
    node = repl_alloc_zero(1, sizeof *node);
    node->event = event;
    node->bytes = sizeof *event + event->bytes_len + event->record_bytes +
                  event->n_children * sizeof *event->children +
                  event->n_items * sizeof *event->items +
                  (event->document == NULL ? 0 : event->document->len);
    if (repl->last_held == NULL)
        repl->first_held = node;
    else
        repl->last_held->next = node;
    repl->last_held = node;
    repl->n_held++;
    repl->held_bytes += node->bytes;
    if (repl->n_held >= EVENTS_HELD || repl->held_bytes >= EVENTS_HELD_BYTES)
        repl_flush_events(repl);
}

/* One lock and one wake-up for all of them. A conductor that takes nothing any more stops this
 * thread: then this node's heartbeats end, and others take over. */
void repl_flush_events(struct repl *repl)
{
    uint64_t one = 1;

    if (repl->n_held == 0)
        return;
    HF_ASSERT(
        !repl->flushing); /* nothing below may let the core take a step: events would be lost */
    repl->flushing = true;
    if (repl->view_stale && repl->core != NULL)
        repl_publish_view(repl);
    if (repl->core != NULL)
        repl_publish(repl); /* who has heard of it finds it in the status, too, all of it */
    uv_mutex_lock(&repl->event_lock);
    while (repl->thread_running && !repl->dropping &&
           (repl->n_events >= EVENTS_MAX || repl->event_bytes >= repl->event_bytes_max))
        uv_cond_wait(&repl->event_room, &repl->event_lock);
    if (repl->last_event == NULL)
        repl->first_event = repl->first_held;
    else
        repl->last_event->next = repl->first_held;
    repl->last_event = repl->last_held;
    repl->event_bytes += repl->held_bytes;
    if (repl->n_events == 0)
        HF_ASSERT(write(repl->event_fd, &one, sizeof one) == sizeof one);
    repl->n_events += repl->n_held;
    uv_mutex_unlock(&repl->event_lock);
    repl->first_held = repl->last_held = NULL;
    repl->n_held = repl->held_bytes = 0;
    repl->flushing = false;
}

struct repl_event *repl_next_event(struct repl *repl)
{
    struct repl_event *event = NULL;
    struct event_node *node;
    uint64_t count;

    uv_mutex_lock(&repl->event_lock);
    node = repl->first_event;
    if (node == NULL) {
        (void)!read(repl->event_fd, &count, sizeof count);
    } else {
        repl->first_event = node->next;
        if (node->next == NULL)
            repl->last_event = NULL;
        repl->n_events--;
        repl->event_bytes -= node->bytes;
        if (repl->n_events == EVENTS_MAX / 2 || repl->event_bytes < repl->event_bytes_max / 2)
            uv_cond_signal(&repl->event_room);
        event = node->event;
    }
    uv_mutex_unlock(&repl->event_lock);
    free(node);
    return event;
}

/* Of the conductor's and of this thread's own; on this thread. */
size_t repl_events_waiting(void *self)
{
    struct repl *repl = self;
    size_t n;

    uv_mutex_lock(&repl->event_lock);
    n = repl->n_events + repl->n_held;
    uv_mutex_unlock(&repl->event_lock);
    return n;
}
