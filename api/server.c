/* libmicrohttpd driven by libuv.
 *
 *   listener readable ─> accept, check the peer ─> MHD_add_connection ┐
 *   MHD's epoll fd readable, MHD's timeout ────────────────────────────┴─> MHD_run ─> take_request
 * ─> route ─> handler backend answers ─> api_server_wake ─> MHD_resume_connection ─> `soon` ─>
 * MHD_run once a second (sweep): connections that never finish a request, waits that lasted too
 * long
 */
#include "api/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/internal.h"

enum { SWEEP_MS = 100, HANDLES = 4 };

/* One accepted connection; MHD holds the descriptor. */
struct peer {
    struct api_server *server;
    int fd;
    uint64_t since_ms; /* accepted, or its last request answered */
    bool busy; /* it has been asked something whole: it waits for the backend or its answer is on
                  the way */
    struct peer *next, **link;
};

struct api_server {
    uv_loop_t *loop;
    const struct api_backend *backend;
    struct MHD_Daemon *daemon;
    int listener;
    char path[108];
    ino_t inode;
    uid_t owner;
    unsigned request_ms, answer_ms;
    uv_poll_t listening, epoll;
    uv_timer_t due, sweep; /* due: MHD's own timeout, or at once after a wake */
    struct api_call *waiting;
    struct peer *peers;
    bool running; /* inside MHD_run */
    unsigned open_handles;
    void (*closed)(void *arg);
    void *closed_arg;
};

static void run(struct api_server *s);

static void on_due(uv_timer_t *timer)
{
    run(timer->data);
}

static void run(struct api_server *s)
{
    MHD_UNSIGNED_LONG_LONG timeout = 0;

    s->running = true;
    (void)MHD_run(s->daemon);
    s->running = false;
    if (MHD_get_timeout(s->daemon, &timeout) == MHD_YES) {
        HF_ASSERT(uv_timer_start(&s->due, on_due, timeout, 0) == 0);
    } else {
        (void)uv_timer_stop(&s->due);
    }
}

void api_server_wake(struct api_server *s, struct api_call *call)
{
    HF_ASSERT(call->waiting);
    call->waiting = false;
    *call->link = call->next;
    if (call->next != NULL) {
        call->next->link = call->link;
    }
    MHD_resume_connection(call->connection);
    HF_ASSERT(uv_timer_start(&s->due, on_due, 0, 0) == 0);
}

/* Suspends the connection until api_server_wake. */
static void wait_for_backend(struct api_server *s, struct api_call *call)
{
    call->waiting = true;
    call->deadline_ms = uv_now(s->loop) + s->answer_ms;
    call->next = s->waiting;
    call->link = &s->waiting;
    if (s->waiting != NULL) {
        s->waiting->link = &call->next;
    }
    s->waiting = call;
    MHD_suspend_connection(call->connection);
}

static struct peer *peer_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info != NULL ? info->socket_context : NULL;
}

static bool declares_too_much(struct MHD_Connection *connection)
{
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");

    return length != NULL && (strlen(length) > 9 || atol(length) > API_MAX_BODY);
}

static void too_large(struct api_call *call)
{
    api_problem_set(&call->early, MHD_HTTP_CONTENT_TOO_LARGE, "too-large",
                    "the body is larger than %d bytes", API_MAX_BODY);
}

/* The headers are there. Refuses at once what need not be read. */
static enum MHD_Result begin(struct api_server *s, struct MHD_Connection *connection,
                             const char *path, const char *method, void **state)
{
    struct api_call *call = api_call_create(s, connection);

    if (call == NULL) {
        return MHD_NO;
    }
    *state = call;
    call->route = api_route_find(call, method, path);
    if (declares_too_much(connection)) {
        too_large(call);
        api_call_problem(call, &call->early);
        return api_call_queue(call);
    }
    return MHD_YES;
}

/* A piece of the body. What is too much is dropped up to a second bound. */
static enum MHD_Result take_body(struct api_call *call, const char *data, size_t n)
{
    char *grown;

    if (call->body_bytes + n > API_MAX_BODY) {
        call->discarded += n;
        too_large(call);
        return call->discarded > API_MAX_DISCARD ? MHD_NO : MHD_YES;
    }
    grown = realloc(call->body, call->body_bytes + n);
    if (grown == NULL) {
        return MHD_NO;
    }
    memcpy(grown + call->body_bytes, data, n);
    call->body = grown;
    call->body_bytes += n;
    return MHD_YES;
}

static enum MHD_Result take_request(void *arg, struct MHD_Connection *connection, const char *path,
                                    const char *method, const char *version, const char *data,
                                    size_t *data_bytes, void **state)
{
    struct api_server *s = arg;
    struct api_call *call = *state;
    struct peer *peer = peer_of(connection);

    (void)version;
    if (call == NULL) {
        return begin(s, connection, path, method, state);
    }
    if (*data_bytes > 0) {
        enum MHD_Result result = call->queued ? MHD_YES : take_body(call, data, *data_bytes);

        *data_bytes = 0;
        return result;
    }
    if (call->queued) {
        return MHD_YES;
    }
    if (call->status == 0 && call->early.status != 0) {
        api_call_problem(call, &call->early);
    } else if (call->status == 0) {
        call->route->handle(call, s->backend);
    }
    if (peer != NULL) {
        peer->busy = true;
    }
    if (call->status == 0) {
        HF_ASSERT(call->request != NULL);
        wait_for_backend(s, call);
        return MHD_YES;
    }
    return api_call_queue(call);
}

static void request_ended(void *arg, struct MHD_Connection *connection, void **state,
                          enum MHD_RequestTerminationCode why)
{
    struct api_server *s = arg;
    struct api_call *call = *state;
    struct peer *peer = peer_of(connection);

    (void)why;
    if (call == NULL) {
        return;
    }
    if (peer != NULL) {
        peer->since_ms = uv_now(s->loop);
        peer->busy = false;
    }
    api_call_destroy(call);
    *state = NULL;
}

static void connection_changed(void *arg, struct MHD_Connection *connection, void **context,
                               enum MHD_ConnectionNotificationCode what)
{
    struct api_server *s = arg;
    struct peer *peer = *context;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

        peer = calloc(1, sizeof *peer);
        if (peer == NULL || info == NULL) {
            free(peer);
            return; /* without a record it has MHD's time limit only */
        }
        *peer = (struct peer){.server = s,
                              .fd = info->connect_fd,
                              .since_ms = uv_now(s->loop),
                              .next = s->peers,
                              .link = &s->peers};
        if (s->peers != NULL) {
            s->peers->link = &peer->next;
        }
        s->peers = peer;
        *context = peer;
    } else if (peer != NULL) {
        *peer->link = peer->next;
        if (peer->next != NULL) {
            peer->next->link = peer->link;
        }
        free(peer);
        *context = NULL;
    }
}

/* MHD misses an end that arrives together with the last bytes, and would keep the place until its
 * time limit. */
static bool has_left(int fd)
{
    char c;

    return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void on_sweep(uv_timer_t *timer)
{
    struct api_server *s = timer->data;
    uint64_t now = uv_now(s->loop);

    for (struct api_call *c = s->waiting, *next; c != NULL; c = next) {
        next = c->next;
        if (now >= c->deadline_ms) {
            struct api_problem p;

            api_problem_set(
                &p, MHD_HTTP_GATEWAY_TIMEOUT, "outcome-unknown",
                "no outcome within %u ms: it may still take effect; look before you try again",
                s->answer_ms);
            api_call_detach(c);
            api_call_problem(c, &p);
        }
    }
    for (struct peer *p = s->peers; p != NULL; p = p->next) {
        if (!p->busy && (now - p->since_ms >= s->request_ms || has_left(p->fd))) {
            (void)shutdown(p->fd, SHUT_RDWR); /* MHD sees the end and closes it */
        }
    }
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
    struct api_server *s = poll->data;
    int fd;

    (void)status;
    (void)events;
    while ((fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        struct sockaddr address = {.sa_family = AF_UNIX};

        if (!api_socket_allowed(fd, s->owner)) {
            (void)close(fd);
            continue;
        }
        /* Closes the descriptor itself when it refuses (too many connections). */
        (void)MHD_add_connection(s->daemon, fd, &address, sizeof address);
    }
    run(s);
}

static void on_epoll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

/* Paths here need no %-escapes; undoing them would let %00 cut a path short. They stay as they are
 * and fit no route. */
static size_t leave_escaped(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
}

static struct MHD_Daemon *start_daemon(struct api_server *s, unsigned idle_s)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET;

    return MHD_start_daemon(flags, 0, NULL, NULL, take_request, s, MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)API_MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, idle_s,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)API_CONNECTION_MEMORY,
                            MHD_OPTION_NOTIFY_COMPLETED, request_ended, s,
                            MHD_OPTION_NOTIFY_CONNECTION, connection_changed, s,
                            MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

static void start_handles(struct api_server *s)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    HF_ASSERT(info != NULL);
    HF_ASSERT(uv_poll_init(s->loop, &s->listening, s->listener) == 0);
    HF_ASSERT(uv_poll_init(s->loop, &s->epoll, info->epoll_fd) == 0);
    HF_ASSERT(uv_timer_init(s->loop, &s->due) == 0 && uv_timer_init(s->loop, &s->sweep) == 0);
    s->listening.data = s->epoll.data = s->due.data = s->sweep.data = s;
    s->open_handles = HANDLES;
    HF_ASSERT(uv_poll_start(&s->listening, UV_READABLE, on_listener) == 0);
    HF_ASSERT(uv_poll_start(&s->epoll, UV_READABLE, on_epoll) == 0);
    HF_ASSERT(uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS) == 0);
}

struct api_server *api_server_create(uv_loop_t *loop, const struct api_server_options *options,
                                     const struct api_backend *backend, char *error,
                                     size_t error_bytes)
{
    struct api_server *s = calloc(1, sizeof *s);
    struct stat st;

    HF_ASSERT(s != NULL);
    s->loop = loop;
    s->backend = backend;
    s->owner = options->owner;
    s->request_ms = options->request_ms != 0 ? options->request_ms : 30000;
    s->answer_ms = options->answer_ms != 0 ? options->answer_ms : 10000;
    s->listener = api_socket_listen(options->socket_path, error, error_bytes);
    if (s->listener < 0) {
        free(s);
        return NULL;
    }
    memcpy(s->path, options->socket_path, strlen(options->socket_path) + 1);
    s->inode = lstat(s->path, &st) == 0 ? st.st_ino : 0;
    s->daemon = start_daemon(s, options->idle_s != 0 ? options->idle_s : 10);
    if (s->daemon == NULL) {
        (void)snprintf(error, error_bytes, "admin socket %s: cannot start the HTTP server: %s",
                       s->path, strerror(errno));
        (void)close(s->listener);
        (void)unlink(s->path);
        free(s);
        return NULL;
    }
    start_handles(s);
    return s;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct api_server *s = handle->data;

    if (--s->open_handles > 0) {
        return;
    }
    if (s->closed != NULL) {
        s->closed(s->closed_arg);
    }
    free(s);
}

void api_server_close(struct api_server *s, void (*closed)(void *arg), void *arg)
{
    struct stat st;

    HF_ASSERT(!s->running);
    s->closed = closed;
    s->closed_arg = arg;
    while (s->waiting != NULL) {
        struct api_problem p;

        api_problem_set(&p, MHD_HTTP_SERVICE_UNAVAILABLE, "closing",
                        "this node is stopping: the outcome is unknown");
        api_call_detach(s->waiting);
        api_call_problem(s->waiting, &p);
    }
    (void)uv_poll_stop(&s->epoll);
    (void)uv_poll_stop(&s->listening);
    (void)MHD_run(s->daemon); /* takes the resumed connections back */
    MHD_stop_daemon(s->daemon);
    (void)close(s->listener);
    /* Only our own name: someone may have put another socket there since. */
    if (lstat(s->path, &st) == 0 && st.st_ino == s->inode) {
        (void)unlink(s->path);
    }
    uv_close((uv_handle_t *)&s->listening, on_handle_closed);
    uv_close((uv_handle_t *)&s->epoll, on_handle_closed);
    uv_close((uv_handle_t *)&s->due, on_handle_closed);
    uv_close((uv_handle_t *)&s->sweep, on_handle_closed);
}
