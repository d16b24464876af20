/* /v1/events: what happens in the cluster, as it happens. Here it is only found where a watcher begins; the HTTP
 * thread goes on by itself (api/watch.c). */
#include "api/internal.h"

static enum api_feed_start begin(struct api_feed *feed, const struct api_query *q,
                                 struct api_cursor *cursor)
{
    return q->oldest      ? api_feed_oldest(feed, cursor)
           : q->has_after ? api_feed_behind(feed, &q->after, cursor)
                          : api_feed_now(feed, cursor);
}

void api_get_events(struct api_call *call, const struct api_backend *backend)
{
    enum api_feed_start start = backend->events != NULL
                                    ? begin(backend->events, &call->query, &call->cursor)
                                    : API_FEED_NOTHING;
    struct api_problem problem;

    if (start == API_FEED_NOTHING) {
        api_problem_set(&problem, MHD_HTTP_SERVICE_UNAVAILABLE, "not-ready",
                        "this node has applied nothing of the log yet: ask another one");
        api_call_problem(call, &problem);
        return;
    }
    call->watches = true;
    call->media = "text/event-stream";
    call->gap = start == API_FEED_GAP;
    api_call_answer(call, MHD_HTTP_OK, NULL);
}
