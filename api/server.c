/* libmicrohttpd driven by libuv, on a thread of its own.
 *
 *   listener readable ─> accept, check the peer (peer.c) ─> MHD_add_connection ┐
 *   MHD's epoll fd readable, MHD's timeout ───────────────────────────────────┴─> MHD_run
 *     ─> api_exchange_take ─> who, role, limits ─> cross.c ─> control loop ─> api_exchange_back
 *     ─> MHD_resume_connection ─> `due` ─> MHD_run ─> the answer
 * ten times a second (sweep): connections that never finish a request, waits that lasted too long, watchers
 */
#include "api/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/http.h"

enum { SWEEP_MS = 100, DEFAULT_CONNECTIONS = 32, NICE = 5 };

static void run(struct api_server *s);

static void on_due(uv_timer_t *timer)
{
    run(timer->data);
}

static void run(struct api_server *s)
{
    MHD_UNSIGNED_LONG_LONG timeout = 0;

    (void)MHD_run(s->daemon);
    if (MHD_get_timeout(s->daemon, &timeout) == MHD_YES) {
        HF_ASSERT(uv_timer_start(&s->due, on_due, timeout, 0) == 0);
    } else {
        (void)uv_timer_stop(&s->due);
    }
}

void api_server_turn(struct api_server *s)
{
    HF_ASSERT(uv_timer_start(&s->due, on_due, 0, 0) == 0);
}

static void on_sweep(uv_timer_t *timer)
{
    struct api_server *s = timer->data;
    uint64_t now = uv_now(&s->loop);

    api_exchanges_sweep(s, now);
    api_peers_sweep(s, now);
    api_watches_sweep(s, now);
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
    struct api_server *s = poll->data;

    (void)status;
    (void)events;
    api_peers_accept(s);
    run(s);
}

static void on_epoll(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

/* The control loop has refused all that was under way: those answers go out first. */
static void end(struct api_server *s)
{
    (void)uv_poll_stop(&s->epoll);
    (void)uv_poll_stop(&s->listening);
    api_cross_drain(s->cross);
    api_watches_end(s);
    (void)MHD_run(s->daemon); /* takes the resumed connections back */
    MHD_stop_daemon(s->daemon);
    for (size_t i = 0; i < API_SHARED_CALLS; i++) {
        api_call_release(s->shared[i]);
    }
    api_keep_clear(&s->keep);
    uv_close((uv_handle_t *)&s->listening, NULL);
    uv_close((uv_handle_t *)&s->epoll, NULL);
    uv_close((uv_handle_t *)&s->due, NULL);
    uv_close((uv_handle_t *)&s->sweep, NULL);
    uv_close((uv_handle_t *)&s->told, NULL);
    api_cross_close_http(s->cross);
}

static void on_told(uv_async_t *async)
{
    struct api_server *s = async->data;
    struct api_tls *fresh = atomic_exchange(&s->fresh, NULL);

    if (fresh != NULL) {
        api_tls_release(s->tls);
        s->tls = fresh;
    }
    if (s->stop) {
        end(s);
    }
}

/* No signal is for this thread, and it stands back where the machine is busy. */
static void thread_main(void *arg)
{
    struct api_server *s = arg;

    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    (void)uv_run(&s->loop, UV_RUN_DEFAULT);
    HF_ASSERT(uv_loop_close(&s->loop) == 0);
}

/* Paths here need no %-escapes; undoing them would let %00 cut a path short. They stay as they are
 * and fit no route. */
static size_t leave_escaped(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg;
    (void)connection;
    return strlen(text);
}

static struct MHD_Daemon *start_daemon(struct api_server *s, const struct api_server_options *o)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET;
    struct MHD_OptionItem tls[] = {{MHD_OPTION_END, 0, NULL},
                                   {MHD_OPTION_END, 0, NULL},
                                   {MHD_OPTION_END, 0, NULL},
                                   {MHD_OPTION_END, 0, NULL}};
    char *certificate = NULL, *key = NULL;
    struct MHD_Daemon *daemon;

    if (o->tls != NULL) {
        certificate = strndup((const char *)o->tls->certificate.data, o->tls->certificate.len);
        key = strndup((const char *)o->tls->key.data, o->tls->key.len);
        HF_ASSERT(certificate != NULL && key != NULL);
        flags |= MHD_USE_TLS;
        tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, certificate};
        tls[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, key};
        tls[2] = (struct MHD_OptionItem){
            MHD_OPTION_HTTPS_PRIORITIES, 0,
            (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:%SERVER_PRECEDENCE"};
    }
    daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, api_exchange_take, s, MHD_OPTION_CONNECTION_LIMIT, s->connections,
        MHD_OPTION_CONNECTION_TIMEOUT, o->idle_s != 0 ? o->idle_s : 10u,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)API_CONNECTION_MEMORY,
        MHD_OPTION_NOTIFY_COMPLETED, api_exchange_ended, s, MHD_OPTION_NOTIFY_CONNECTION,
        api_peer_changed, s, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (key != NULL) {
        gnutls_memset(key, 0, strlen(key));
    }
    free(key);
    free(certificate);
    return daemon;
}

static void start_handles(struct api_server *s)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    HF_ASSERT(info != NULL);
    HF_ASSERT(uv_poll_init(&s->loop, &s->listening, s->listener) == 0);
    HF_ASSERT(uv_poll_init(&s->loop, &s->epoll, info->epoll_fd) == 0);
    HF_ASSERT(uv_timer_init(&s->loop, &s->due) == 0 && uv_timer_init(&s->loop, &s->sweep) == 0);
    HF_ASSERT(uv_async_init(&s->loop, &s->told, on_told) == 0);
    s->listening.data = s->epoll.data = s->due.data = s->sweep.data = s->told.data = s;
    HF_ASSERT(uv_poll_start(&s->listening, UV_READABLE, on_listener) == 0);
    HF_ASSERT(uv_poll_start(&s->epoll, UV_READABLE, on_epoll) == 0);
    HF_ASSERT(uv_timer_start(&s->sweep, on_sweep, SWEEP_MS, SWEEP_MS) == 0);
    s->cross = api_cross_create(s->control, &s->loop, s->backend, api_exchange_back, s);
}

static void start_thread(struct api_server *s)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    HF_ASSERT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    HF_ASSERT(uv_thread_create(&s->thread, thread_main, s) == 0);
    HF_ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

/* Its listener, and for TCP its certificates. False: `error`, nothing is left. */
static bool open_listener(struct api_server *s, const struct api_server_options *o, char *error,
                          size_t error_bytes)
{
    struct stat st;

    if (o->socket_path != NULL) {
        s->listener = api_socket_listen(o->socket_path, error, error_bytes);
        if (s->listener < 0) {
            return false;
        }
        memcpy(s->path, o->socket_path, strlen(o->socket_path) + 1);
        s->inode = lstat(s->path, &st) == 0 ? st.st_ino : 0;
        return true;
    }
    s->tls = api_tls_create(o->tls, error, error_bytes);
    if (s->tls == NULL) {
        return false;
    }
    s->listener = api_tcp_listen(&o->listen, error, error_bytes);
    if (s->listener < 0) {
        api_tls_release(s->tls);
        return false;
    }
    return true;
}

static void close_listener(struct api_server *s)
{
    struct stat st;

    (void)close(s->listener);
    /* Only our own name: someone may have put another socket there since. */
    if (s->path[0] != '\0' && lstat(s->path, &st) == 0 && st.st_ino == s->inode) {
        (void)unlink(s->path);
    }
    api_tls_release(atomic_exchange(&s->fresh, NULL));
    api_tls_release(s->tls);
}

struct api_server *api_server_create(uv_loop_t *loop, const struct api_server_options *options,
                                     const struct api_backend *backend, char *error,
                                     size_t error_bytes)
{
    struct api_server *s = calloc(1, sizeof *s);

    HF_ASSERT(s != NULL && (options->socket_path != NULL || options->tls != NULL));
    s->control = loop;
    s->backend = backend;
    s->owner = options->owner;
    s->request_ms = options->request_ms != 0 ? options->request_ms : 30000;
    s->answer_ms = options->answer_ms != 0 ? options->answer_ms : 10000;
    s->silence_ms = options->silence_ms != 0 ? options->silence_ms : 15000;
    s->connections = options->connections != 0 ? options->connections : DEFAULT_CONNECTIONS;
    s->per_address = options->per_address;
    s->rate.rate = options->rate;
    s->rate.burst = options->burst != 0 ? options->burst : options->rate;
    s->salt = (uint32_t)uv_hrtime();
    if (!open_listener(s, options, error, error_bytes)) {
        free(s);
        return NULL;
    }
    json_object_seed(0); /* before a second thread makes its first object */
    s->daemon = start_daemon(s, options);
    if (s->daemon == NULL) {
        (void)snprintf(error, error_bytes, "%s %s: cannot start the HTTP server: %s",
                       s->path[0] != '\0' ? "admin socket" : "api", s->path, strerror(errno));
        close_listener(s);
        free(s);
        return NULL;
    }
    HF_ASSERT(uv_loop_init(&s->loop) == 0);
    start_handles(s);
    start_thread(s);
    return s;
}

uint16_t api_server_port(const struct api_server *s)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t len = sizeof a;

    if (getsockname(s->listener, &a.any, &len) != 0) {
        return 0;
    }
    return a.any.sa_family == AF_INET6 ? ntohs(a.v6.sin6_port) : ntohs(a.v4.sin_port);
}

bool api_server_set_tls(struct api_server *s, const struct api_tls_files *files, char *error,
                        size_t error_bytes)
{
    struct api_tls *tls = api_tls_create(files, error, error_bytes);

    if (tls == NULL) {
        return false;
    }
    api_tls_release(atomic_exchange(&s->fresh, tls)); /* one that was never taken */
    HF_ASSERT(uv_async_send(&s->told) == 0);
    return true;
}

void api_server_close(struct api_server *s, void (*closed)(void *arg), void *arg)
{
    api_cross_shut(s->cross);
    s->stop = true;
    HF_ASSERT(uv_async_send(&s->told) == 0);
    HF_ASSERT(uv_thread_join(&s->thread) == 0);
    close_listener(s);
    api_cross_close(s->cross, closed, arg);
    free(s);
}
