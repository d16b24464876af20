/* Who watches the events (GET /v1/events), on the HTTP thread: a text/event-stream that the ring of feed.h is read
 * into, a cursor a watcher, and nothing that grows while it does not read.
 *
 *   sweep, ten times a second: news, a heartbeat, an end ─> resume ─> MHD asks for bytes (read_on)
 *     ─> events | gap | heartbeat | the end | none: suspend
 *
 * MHD looks at nothing of a connection that is suspended: that its peer has left, and whether it is still let in, is
 * seen here.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "api/http.h"

enum {
    BLOCK_BYTES = 2 * API_EVENT_BYTES, /* asked for at a time */
    HEAD_BYTES = 384,
    JUDGED_MS = 10000,  /* a role taken away ends the stream within this */
    LOOKED_MS = 1000,   /* ... a peer that left within this */
    SEND_BYTES = 32768, /* in the kernel, for each */
    RETRY_MS = 3000,
    BUSY_S = 5
};

struct api_watch {
    struct api_server *server;
    struct MHD_Connection *connection;
    struct api_peer *peer; /* NULL: there was no memory for one */
    struct api_principal who;
    char bearer[API_BEARER_ID_BYTES]; /* its token's id; empty: it has shown none */
    uint8_t hash[API_BEARER_HASH_BYTES];
    struct api_call *asked; /* held: whether that token still counts */
    struct api_cursor cursor;
    bool suspended, ends, over;
    char head[HEAD_BYTES]; /* goes before what is in the ring; zero-terminated */
    uint64_t said_ms, judged_ms, looked_ms;
    struct api_watch *next, **link;
};

static struct api_feed *feed_of(const struct api_watch *w)
{
    return w->server->backend->events;
}

/* --- what is no event of the ring --- */

static void say_where(struct api_watch *w, const char *before)
{
    char id[API_EVENT_ID_BYTES];

    (void)snprintf(w->head, sizeof w->head, "%sid: %s\n\n", before,
                   api_event_id_text(&w->cursor.after, id));
}

/* Its cursor stands behind what is missing already. */
static void say_gap(struct api_watch *w, const char *before, const struct api_event_id *after,
                    const char *reason)
{
    char asked[API_EVENT_ID_BYTES], id[API_EVENT_ID_BYTES];

    (void)snprintf(w->head, sizeof w->head,
                   "%sid: %s\nevent: gap\ndata: {\"after\":\"%s\",\"reason\":\"%s\"}\n\n", before,
                   api_event_id_text(&w->cursor.after, id), api_event_id_text(after, asked),
                   reason);
}

static void say_first(struct api_watch *w, const struct api_call *call)
{
    char retry[32];

    (void)snprintf(retry, sizeof retry, "retry: %u\n", (unsigned)RETRY_MS);
    if (!call->gap) {
        say_where(w, retry);
    } else {
        say_gap(w, retry, &call->query.after,
                call->query.after.incarnation == w->cursor.after.incarnation ? "older"
                                                                             : "incarnation");
    }
}

/* So that who sees no event for long knows where to go on, too: the ring may have gone on. */
static void say_alive(struct api_watch *w)
{
    w->cursor.after = api_feed_place(feed_of(w), &w->cursor);
    say_where(w, ":\n");
}

static void begin_anew(struct api_watch *w)
{
    struct api_event_id after = w->cursor.after;

    (void)api_feed_now(feed_of(w), &w->cursor);
    say_gap(w, "", &after, "snapshot");
}

/* --- reading --- */

static ssize_t take_head(struct api_watch *w, char *out)
{
    size_t n = strlen(w->head);

    memcpy(out, w->head, n);
    w->head[0] = '\0';
    return (ssize_t)n;
}

/* True: *n bytes are there, or 0 and nothing is to be said now. False: that was all. */
static bool read_ring(struct api_watch *w, char *out, size_t cap, size_t *n)
{
    switch (api_feed_read(feed_of(w), &w->cursor, w->who.root ? API_ROLE_NONE : w->who.role, out,
                          cap, n)) {
    case API_FEED_BEHIND: /* it reads too slowly; it may come again, and is told of the gap */
        return false;
    case API_FEED_RESETS:
        begin_anew(w);
        return true;
    default:
        return *n > 0 || !w->ends;
    }
}

/* For MHD; `out` has BLOCK_BYTES. */
static ssize_t read_on(void *watch, uint64_t position, char *out, size_t cap)
{
    struct api_watch *w = watch;
    uint64_t now = uv_now(&w->server->loop);
    ssize_t said;
    size_t n = 0;

    (void)position;
    HF_STATIC_ASSERT((int)HEAD_BYTES <= (int)API_EVENT_BYTES);
    if (cap < API_EVENT_BYTES) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (w->over || (w->head[0] == '\0' && !read_ring(w, out, cap, &n))) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (n == 0 && w->head[0] == '\0' && now - w->said_ms >= w->server->silence_ms) {
        say_alive(w);
    }
    said = n > 0 ? (ssize_t)n : take_head(w, out);
    if (said > 0) {
        w->said_ms = now;
    } else {
        w->suspended = true;
        MHD_suspend_connection(w->connection);
    }
    return said;
}

/* --- is it still let in, and there? --- */

static bool same_role(const struct api_watch *w, const char *name, enum api_role role)
{
    return w->who.role == role && strcmp(w->who.name, name) == 0;
}

void api_watch_judged(struct api_call *call)
{
    struct api_watch *w = call->watch;

    call->watch = NULL;
    w->asked = NULL;
    w->over = w->over || call->status != MHD_HTTP_OK || call->found != API_BEARER_FOUND ||
              !api_bearer_good(&call->bearer, w->hash, (int64_t)time(NULL)) ||
              !same_role(w, call->bearer.name, call->bearer.role);
    api_call_release(call);
}

static void ask_for_token(struct api_watch *w)
{
    if (w->asked != NULL) {
        return;
    }
    w->asked = api_call_create();
    if (w->asked == NULL) {
        w->over = true;
        return;
    }
    w->asked->route = &api_lookup;
    w->asked->watch = w;
    memcpy(w->asked->bearer_id, w->bearer, sizeof w->bearer);
    if (!api_exchange_send_off(w->server, w->asked)) {
        api_watch_judged(w->asked);
    }
}

static void judge(struct api_watch *w, uint64_t now)
{
    if (w->who.root || now - w->judged_ms < JUDGED_MS) {
        return;
    }
    w->judged_ms = now;
    if (w->bearer[0] != '\0') {
        ask_for_token(w);
    } else if (api_peer_judge(w->peer, now) != API_CERT_KNOWN ||
               !same_role(w, w->peer->who.name, w->peer->who.role)) {
        w->over = true;
    }
}

static void look(struct api_watch *w, uint64_t now)
{
    struct pollfd p = {.events = POLLRDHUP};

    if (w->peer == NULL || now - w->looked_ms < LOOKED_MS) {
        return;
    }
    w->looked_ms = now;
    p.fd = w->peer->fd;
    w->over = w->over || (poll(&p, 1, 0) > 0 && p.revents != 0);
}

static bool resume(struct api_watch *w)
{
    if (!w->suspended) {
        return false;
    }
    w->suspended = false;
    MHD_resume_connection(w->connection);
    return true;
}

void api_watches_sweep(struct api_server *s, uint64_t now_ms)
{
    struct api_feed_end end;
    bool any = false;

    if (s->watches == NULL) {
        return;
    }
    end = api_feed_end(s->backend->events);
    for (struct api_watch *w = s->watches; w != NULL; w = w->next) {
        judge(w, now_ms);
        look(w, now_ms);
        if (w->over || api_feed_news(&end, &w->cursor) || now_ms - w->said_ms >= s->silence_ms) {
            any = resume(w) || any;
        }
    }
    if (any) {
        api_server_turn(s);
    }
}

void api_watches_end(struct api_server *s)
{
    for (struct api_watch *w = s->watches; w != NULL; w = w->next) {
        w->over = true;
        (void)resume(w);
    }
}

/* --- its life --- */

static void watch_free(void *watch)
{
    struct api_watch *w = watch;

    *w->link = w->next;
    if (w->next != NULL) {
        w->next->link = w->link;
    }
    if (w->asked != NULL) {
        w->asked->watch = NULL;
        api_call_release(w->asked);
    }
    free(w);
}

/* Some connections stay for questions; and of those over TLS nobody has more than half. */
static bool has_room(const struct api_exchange *ex)
{
    const struct api_server *s = ex->server;
    unsigned most = s->connections - s->connections / 64 - 1, all = 0, same = 0;

    for (const struct api_watch *w = s->watches; w != NULL; w = w->next) {
        all++;
        same += strcmp(w->who.name, ex->who.name) == 0;
    }
    return all < most && (ex->who.root || same < (most + 1) / 2);
}

static struct api_watch *watch_create(struct api_exchange *ex)
{
    struct api_server *s = ex->server;
    struct api_watch *w = calloc(1, sizeof *w);
    int bytes = SEND_BYTES;

    if (w == NULL) {
        return NULL;
    }
    *w = (struct api_watch){.server = s,
                            .connection = ex->connection,
                            .peer = ex->peer,
                            .who = ex->who,
                            .cursor = ex->call->cursor,
                            .ends = ex->call->query.ends,
                            .judged_ms = uv_now(&s->loop),
                            .next = s->watches,
                            .link = &s->watches};
    memcpy(w->bearer, ex->bearer, sizeof w->bearer);
    memcpy(w->hash, ex->hash, sizeof w->hash);
    say_first(w, ex->call);
    if (ex->peer != NULL) {
        (void)setsockopt(ex->peer->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
    if (s->watches != NULL) {
        s->watches->link = &w->next;
    }
    s->watches = w;
    return w;
}

bool api_watch_allow(struct api_exchange *ex)
{
    struct api_problem p;
    struct api_call *refused;

    if (has_room(ex)) {
        return true;
    }
    refused = api_call_create();
    if (refused == NULL) {
        return false;
    }
    refused->route = ex->call->route;
    api_problem_set(&p, MHD_HTTP_TOO_MANY_REQUESTS, "too-many-watchers",
                    "as many watch this node, or do so by this name, as may");
    api_call_problem(refused, &p);
    api_call_release(ex->call);
    ex->call = refused;
    ex->retry_after_s = BUSY_S;
    return true;
}

struct MHD_Response *api_watch_response(struct api_exchange *ex)
{
    struct api_watch *w = watch_create(ex);
    struct MHD_Response *response;

    if (w == NULL) {
        return NULL;
    }
    response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_on, w, watch_free);
    if (response == NULL) {
        watch_free(w);
        return NULL;
    }
    /* Without chunks: the bytes are the stream's, and its end the connection's. */
    HF_ASSERT(MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END) ==
              MHD_YES);
    HF_ASSERT(MHD_add_response_header(response, "X-Accel-Buffering", "no") == MHD_YES);
    return response;
}
