#include "unit/api/rig.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/openmetrics.h"

static json_t *fake_cluster(void *self, struct api_problem *problem)
{
    struct rig *rig = self;

    rig->reads++;
    if (rig->no_cluster) {
        api_problem_set(problem, 503, "starting", "this node has not caught up yet");
        return NULL;
    }
    return json_pack("{s:i, s:i}", "node", 1, "leader", 2);
}

static char *fake_metrics(void *self, size_t *bytes)
{
    struct openmetrics m;

    (void)self;
    openmetrics_begin(&m);
    openmetrics_family(&m, &(struct openmetrics_family){"holdfast_fake", "Of the test's.", NULL,
                                                        OPENMETRICS_GAUGE});
    openmetrics_count(&m, NULL, 0, 1);
    return openmetrics_end(&m, bytes);
}

static json_t *fake_sas(void *self, const struct api_page *page, struct api_problem *problem)
{
    struct rig *rig = self;

    (void)problem;
    rig->page = *page;
    return json_pack("{s:[]}", "sas");
}

static bool fake_ready(void *self, struct api_problem *problem)
{
    struct rig *rig = self;

    if (rig->no_cluster) {
        api_problem_set(problem, 503, "not-ready", "no majority is reached");
    }
    return !rig->no_cluster;
}

static bool fake_leads(void *self, struct api_problem *problem)
{
    struct rig *rig = self;

    if (rig->follows) {
        api_problem_set(problem, 503, "not-leader", "node 2 leads");
    }
    return !rig->follows;
}

static uint64_t fake_index(void *self)
{
    (void)self;
    return 41;
}

static void on_later(uv_timer_t *timer)
{
    struct rig *rig = timer->data;

    while (rig->n_held > 0) {
        api_request_answer(rig->held[--rig->n_held], json_pack("{s:b}", "late", 1));
    }
}

void rig_decide(struct rig *rig, struct api_request *request)
{
    struct api_problem problem;

    switch (rig->how) {
    case RIG_NOW:
        api_request_answer(request, NULL);
        break;
    case RIG_REFUSE:
        api_problem_set(&problem, rig->refuse_status != 0 ? rig->refuse_status : 409,
                        rig->refuse_status != 0 ? rig->refuse_name : "no-leader",
                        "no leader is known");
        api_request_refuse(request, &problem);
        break;
    case RIG_LATER:
    case RIG_HOLD:
        cr_assert_lt(rig->n_held, 64);
        rig->held[rig->n_held++] = request;
        if (rig->how == RIG_LATER) {
            cr_assert_eq(uv_timer_start(&rig->later, on_later, rig->delay_ms, 0), 0);
        }
        break;
    }
}

static void fake_transfer(void *self, struct api_request *request, uint32_t node,
                          const struct api_asker *who)
{
    struct rig *rig = self;

    rig->asker = *who;
    rig->transfers++;
    rig->node = node;
    rig_decide(rig, request);
}

static void fake_rekey(void *self, struct api_request *request, const struct api_rekey *args,
                       const struct api_asker *who)
{
    struct rig *rig = self;

    rig->asker = *who;
    rig->rekeys++;
    rig->rekey = *args;
    rig_decide(rig, request);
}

static void fake_move(void *self, struct api_request *request, const struct api_move *args,
                      const struct api_asker *who)
{
    struct rig *rig = self;

    rig->asker = *who;
    rig->moves++;
    rig->move = *args;
    rig_decide(rig, request);
}

static void fake_drain(void *self, struct api_request *request, const struct api_drain *args,
                       const struct api_asker *who)
{
    struct rig *rig = self;

    rig->asker = *who;
    rig->drains++;
    rig->drain = *args;
    rig_decide(rig, request);
}

static void fake_arm(void *self, struct api_request *request, const struct api_arm *args,
                     const struct api_asker *who)
{
    struct rig *rig = self;

    rig->asker = *who;
    rig->arms++;
    rig->arm = *args;
    rig_decide(rig, request);
}

static void fake_token(void *self, struct api_request *request, const struct api_token *args,
                       const struct api_asker *who)
{
    struct rig *rig = self;

    rig->asker = *who;
    rig->tokens++;
    rig->token = *args;
    rig_decide(rig, request);
}

static void fake_join(void *self, struct api_request *request, const char *token,
                      const struct api_asker *who)
{
    struct rig *rig = self;

    rig->asker = *who;
    rig->joins++;
    (void)snprintf(rig->joined_by, sizeof rig->joined_by, "%s", token);
    rig_decide(rig, request);
}

static void fake_recover(void *self, struct api_request *request, const struct api_recover *args,
                         const struct api_asker *who)
{
    struct rig *rig = self;

    rig->asker = *who;
    rig->recoveries++;
    (void)snprintf(rig->lost, sizeof rig->lost, "%s", args->lost);
    (void)snprintf(rig->who, sizeof rig->who, "%s", args->who == NULL ? "" : args->who);
    (void)snprintf(rig->why, sizeof rig->why, "%s", args->why == NULL ? "" : args->why);
    rig->highest_id = args->highest_id;
    rig_decide(rig, request);
}

static void fake_backup(void *self, struct api_request *request, const struct api_asker *who)
{
    struct rig *rig = self;

    rig->asker = *who;
    rig->backups++;
    if (rig->how != RIG_NOW) {
        rig_decide(rig, request);
    } else {
        api_request_answer(request,
                           json_pack("{s:s,s:I,s:I}", "backup", rig->backup, "index",
                                     (json_int_t)4711, "incarnation", (json_int_t)1099511627776));
    }
}

static void fake_remove(void *self, struct api_request *request, uint32_t node,
                        const struct api_asker *who)
{
    struct rig *rig = self;

    rig->asker = *who;
    rig->removes++;
    rig->removed = node;
    rig_decide(rig, request);
}

static void fake_reload(void *self, struct api_request *request, const struct api_asker *who)
{
    struct rig *rig = self;

    rig->asker = *who;
    rig->reloads++;
    rig_decide(rig, request);
}

static void fake_rotate(void *self, struct api_request *request, const struct api_asker *who)
{
    struct rig *rig = self;

    rig->asker = *who;
    rig->rotations++;
    rig_decide(rig, request);
}

/* Every id of the form of one is a token. */
static json_t *one_bearer(const struct rig *rig, const char *id)
{
    char version[17];

    (void)snprintf(version, sizeof version, "%016llx", (unsigned long long)rig->bearer_version);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:b}", "id", id, "version", version, "name",
                     "ci", "role", "viewer", "made_by", "root", "created_s", 1000, "expires_s",
                     4600, "expired", 0);
}

static json_t *fake_bearers(void *self, const struct api_page *page, struct api_problem *problem)
{
    struct rig *rig = self;

    (void)problem;
    rig->page = *page;
    if (page->after != 0) {
        return json_pack("{s:[o]}", "tokens", one_bearer(rig, "123456789abc"));
    }
    return json_pack("{s:[o],s:s}", "tokens", one_bearer(rig, "0123456789ab"), "next",
                     "00000123456789ab");
}

static json_t *fake_bearer(void *self, const char *id, uint64_t *version,
                           struct api_problem *problem)
{
    struct rig *rig = self;

    if (strlen(id) != 12) {
        api_problem_set(problem, 404, "unknown-token", "there is none");
        return NULL;
    }
    *version = rig->bearer_version;
    return one_bearer(rig, id);
}

static void fake_add_bearer(void *self, struct api_request *request,
                            const struct api_new_bearer *args, const struct api_asker *who)
{
    struct rig *rig = self;
    char text[API_BEARER_TEXT_BYTES];
    json_t *body;

    rig->bearers_made++;
    rig->bearer = *args;
    rig->asker = *who;
    if (rig->how != RIG_NOW) {
        rig_decide(rig, request);
        return;
    }
    (void)snprintf(text, sizeof text, "hf_0123456789ab_%064d", 7);
    body = one_bearer(rig, "0123456789ab");
    json_object_set_new(body, "token", json_string(text));
    api_request_answer(request, body);
}

static void fake_remove_bearer(void *self, struct api_request *request, const char *id,
                               uint64_t version, const struct api_asker *who)
{
    struct rig *rig = self;

    rig->bearers_removed++;
    rig->asker = *who;
    cr_assert_eq(version, rig->bearer_version);
    if (rig->how != RIG_NOW) {
        rig_decide(rig, request);
    } else {
        api_request_answer(request, json_pack("{s:s,s:b}", "id", id, "removed", 1));
    }
}

static json_t *one_entry(uint64_t sequence)
{
    char hash[65];

    (void)snprintf(hash, sizeof hash, "%064d", 7);
    return json_pack("{s:I,s:i,s:i,s:I,s:i,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:s,s:s}",
                     "sequence", (json_int_t)sequence, "index", 9, "cluster_ms", 8, "wall_ms",
                     (json_int_t)1795921200000, "node", 1, "role", "root", "principal", "root",
                     "address", "local", "request_id", "r-1", "operation", "token.add", "target",
                     "tokens/0123456789ab", "before", "none", "after", "name ci", "changes", "",
                     "outcome", "accepted", "unaudited", 0, "previous", hash, "hash", hash);
}

static json_t *fake_audit(void *self, const struct api_audit_query *query,
                          struct api_problem *problem)
{
    struct rig *rig = self;
    char hash[65];

    (void)problem;
    rig->audit = *query;
    (void)snprintf(rig->audit_principal, sizeof rig->audit_principal, "%s", query->principal);
    (void)snprintf(rig->audit_operation, sizeof rig->audit_operation, "%s", query->operation);
    (void)snprintf(hash, sizeof hash, "%064d", 7);
    return json_pack("{s:{s:i,s:s},s:i,s:[o],s:s}", "head", "sequence", 2, "hash", hash, "first", 1,
                     "entries", one_entry(2), "next", "0000000000000002");
}

static json_t *fake_entry(void *self, uint64_t sequence, struct api_problem *problem)
{
    (void)self;
    if (sequence > 2) {
        api_problem_set(problem, 404, "unknown-entry", "there is none");
        return NULL;
    }
    return one_entry(sequence);
}

void rig_init(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    strcpy(rig->folder, "/tmp/hf-api-XXXXXX");
    cr_assert_not_null(mkdtemp(rig->folder));
    (void)snprintf(rig->socket, sizeof rig->socket, "%s/run/admin.sock", rig->folder);
    rig->bearer_version = 41;
    rig->options = (struct api_server_options){.socket_path = rig->socket, .owner = getuid()};
    rig->backend = (struct api_backend){.self = rig,
                                        .cluster = fake_cluster,
                                        .metrics = fake_metrics,
                                        .sas = fake_sas,
                                        .ready = fake_ready,
                                        .leads = fake_leads,
                                        .index = fake_index,
                                        .transfer_leader = fake_transfer,
                                        .rekey = fake_rekey,
                                        .move_shard = fake_move,
                                        .drain_node = fake_drain,
                                        .make_token = fake_token,
                                        .join = fake_join,
                                        .remove_node = fake_remove,
                                        .recover = fake_recover,
                                        .back_up = fake_backup,
                                        .rotate_keys = fake_rotate,
                                        .arm = fake_arm,
                                        .tokens = fake_bearers,
                                        .token = fake_bearer,
                                        .add_token = fake_add_bearer,
                                        .remove_token = fake_remove_bearer,
                                        .audit = fake_audit,
                                        .audit_entry = fake_entry,
                                        .attempts = rig_attempts,
                                        .attempt = rig_attempt,
                                        .doctor = rig_doctor,
                                        .profile = rig_profile,
                                        .note_refusal = rig_note,
                                        .reload = fake_reload};
    rig->feed = rig->backend.events = api_feed_create(0, 0);
    api_feed_at(rig->feed, 7, 41);
    api_feed_flush(rig->feed);
}

void rig_deinit(struct rig *rig)
{
    char command[128];

    api_feed_destroy(rig->feed);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", rig->folder);
    cr_assert_eq(system(command), 0);
}

static void answer_held(struct rig *rig)
{
    while (rig->n_held > 0) {
        api_request_answer(rig->held[--rig->n_held], json_pack("{s:i}", "too", 1));
    }
}

static void on_done(uv_async_t *async)
{
    struct rig *rig = async->data;

    if (!rig->close_while_held) {
        answer_held(rig);
    }
    api_server_close(rig->server, NULL, NULL);
    answer_held(rig);
    uv_close((uv_handle_t *)&rig->done, NULL);
    uv_close((uv_handle_t *)&rig->later, NULL);
    uv_close((uv_handle_t *)&rig->freeze, NULL);
}

static void on_freeze(uv_async_t *async)
{
    struct rig *rig = async->data;

    uv_sem_post(&rig->frozen);
    uv_sem_wait(&rig->thaw);
}

void rig_freeze(struct rig *rig)
{
    cr_assert_eq(uv_async_send(&rig->freeze), 0);
    uv_sem_wait(&rig->frozen);
}

void rig_thaw(struct rig *rig)
{
    uv_sem_post(&rig->thaw);
}

static void *client_thread(void *arg)
{
    struct rig *rig = arg;

    rig->client(rig);
    cr_assert_eq(uv_async_send(&rig->done), 0);
    return NULL;
}

void rig_run(struct rig *rig, void (*client)(struct rig *rig))
{
    char error[256] = "";
    unsigned before;
    pthread_t thread;

    /* libuv's first loop opens a pipe for signals and keeps it for the process. */
    cr_assert_eq(uv_loop_init(&rig->loop), 0);
    cr_assert_eq(uv_loop_close(&rig->loop), 0);
    before = rig_open_files();
    cr_assert_eq(uv_loop_init(&rig->loop), 0);
    rig->server = api_server_create(&rig->loop, &rig->options, &rig->backend, error, sizeof error);
    cr_assert_not_null(rig->server, "%s", error);
    rig->done.data = rig->later.data = rig->freeze.data = rig;
    cr_assert_eq(uv_sem_init(&rig->frozen, 0), 0);
    cr_assert_eq(uv_sem_init(&rig->thaw, 0), 0);
    cr_assert_eq(uv_async_init(&rig->loop, &rig->freeze, on_freeze), 0);
    rig->client = client;
    cr_assert_eq(uv_async_init(&rig->loop, &rig->done, on_done), 0);
    cr_assert_eq(uv_timer_init(&rig->loop, &rig->later), 0);
    cr_assert_eq(pthread_create(&thread, NULL, client_thread, rig), 0);
    cr_assert_eq(uv_run(&rig->loop, UV_RUN_DEFAULT), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(uv_loop_close(&rig->loop), 0);
    uv_sem_destroy(&rig->frozen);
    uv_sem_destroy(&rig->thaw);
    cr_assert_eq(access(rig->socket, F_OK), -1, "the socket stayed");
    cr_assert_eq(rig_open_files(), before, "files stayed open");
}

unsigned rig_open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    cr_assert_not_null(dir);
    while (readdir(dir) != NULL) {
        n++;
    }
    (void)closedir(dir);
    return n;
}

int rig_connect(struct rig *rig)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 10};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, rig->socket);
    cr_assert(fd >= 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* The peer may close at any time: that is for the reader to see. */
void rig_send(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;

    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

        if (sent <= 0) {
            cr_assert_neq(errno, EAGAIN, "the server took nothing for 10 s");
            return;
        }
        p += sent;
        n -= (size_t)sent;
    }
}

size_t rig_read_all(int fd, char *reply)
{
    size_t n = 0;
    ssize_t got;

    while (n + 1 < RIG_REPLY_BYTES &&
           (got = recv(fd, reply + n, RIG_REPLY_BYTES - 1 - n, 0)) != 0) {
        if (got < 0) {
            cr_assert_eq(errno, ECONNRESET, "no end within 10 s: %s", strerror(errno));
            break;
        }
        n += (size_t)got;
    }
    reply[n] = '\0';
    return n;
}

/* Complete answers in the first n bytes. */
static unsigned count_answers(const char *reply, size_t n)
{
    const char *at = reply;
    unsigned count = 0;

    for (;;) {
        const char *end = strstr(at, "\r\n\r\n"), *length = strstr(at, "Content-Length: ");

        if (end == NULL || length == NULL || length > end) {
            return count;
        }
        at = end + 4 + strtoul(length + 16, NULL, 10);
        if (at > reply + n) {
            return count;
        }
        count++;
    }
}

size_t rig_read_answers(int fd, char *reply, unsigned answers)
{
    size_t n = 0;

    reply[0] = '\0';
    while (count_answers(reply, n) < answers) {
        ssize_t got = recv(fd, reply + n, RIG_REPLY_BYTES - 1 - n, 0);

        cr_assert_gt(got, 0, "only %u answers: %s", count_answers(reply, n), reply);
        n += (size_t)got;
        reply[n] = '\0';
    }
    return n;
}

size_t rig_ask(struct rig *rig, const char *method, const char *path, const char *body, char *reply)
{
    int fd = rig_connect(rig);
    char request[4096];
    int n =
        snprintf(request, sizeof request,
                 "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                 method, path, strlen(body), body);
    size_t got;

    cr_assert(n > 0 && (size_t)n < sizeof request);
    rig_send(fd, request, (size_t)n);
    got = rig_read_all(fd, reply);
    (void)close(fd);
    return got;
}
