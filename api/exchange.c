/* One HTTP request, step by step, on the HTTP thread:
 *
 *   headers: rate, route, length, type, query ─> body ─> who? ─> may he? ─> the same again? ─>
 *   carried out (control loop), or shared with who asked the same just now ─> answer
 *
 * Each step that refuses is the last one; nobody has a role by default.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <gnutls/crypto.h>

#include "api/http.h"

enum { HEALTH_MS = 2000 };

enum step { STEP_ON, STEP_WAIT, STEP_DONE };

/* --- waiting for a call --- */

/* Who asks whether this node lives gets no answer later than this. */
static unsigned patience_ms(const struct api_exchange *ex)
{
    unsigned most = ex->server->answer_ms;

    return ex->call->route->role == API_ROLE_NONE && most > HEALTH_MS ? HEALTH_MS : most;
}

static void wait_for(struct api_exchange *ex, struct api_call *call)
{
    struct api_server *s = ex->server;

    ex->next_waiter = call->waiters;
    call->waiters = ex;
    ex->waiting = true;
    ex->deadline_ms = uv_now(&s->loop) + patience_ms(ex);
    ex->next = s->waiting;
    ex->link = &s->waiting;
    if (s->waiting != NULL) {
        s->waiting->link = &ex->next;
    }
    s->waiting = ex;
    MHD_suspend_connection(ex->connection);
}

static struct api_call *waited_for(const struct api_exchange *ex)
{
    return ex->asked != NULL ? ex->asked : ex->call;
}

static void wake(struct api_exchange *ex)
{
    struct api_exchange **at = &waited_for(ex)->waiters;

    while (*at != ex) {
        at = &(*at)->next_waiter;
    }
    *at = ex->next_waiter;
    *ex->link = ex->next;
    if (ex->next != NULL) {
        ex->next->link = ex->link;
    }
    ex->waiting = false;
    MHD_resume_connection(ex->connection);
    api_server_turn(ex->server);
}

void api_exchange_back(void *server, struct api_call *call)
{
    struct api_server *s = server;

    call->away = false;
    call->carried = call->route != &api_lookup && call->route != &api_note;
    s->away--;
    if (call->route->role != API_ROLE_NONE && strcmp(call->route->method, "GET") != 0) {
        s->written++; /* what was read before is old now */
    }
    api_keep_settle(&s->keep, call);
    while (call->waiters != NULL) {
        wake(call->waiters);
    }
    if (call->watch != NULL) {
        api_watch_judged(call);
    }
    api_call_release(call);
}

bool api_exchange_send_off(struct api_server *s, struct api_call *call)
{
    struct api_problem p;

    if (s->away >= API_MOST_AWAY) {
        api_problem_set(&p, 503, "busy", "too much is under way: try again");
    } else {
        call->away = true;
        api_call_hold(call);
        s->away++;
        if (api_cross_send(s->cross, call)) {
            return true;
        }
        call->away = false;
        api_call_release(call);
        s->away--;
        api_problem_set(&p, 503, "closing", "this node is stopping: ask another one");
    }
    api_call_problem(call, &p);
    return false;
}

void api_exchanges_sweep(struct api_server *s, uint64_t now_ms)
{
    for (struct api_exchange *ex = s->waiting, *next; ex != NULL; ex = next) {
        struct api_call *late;
        struct api_problem p;

        next = ex->next;
        if (now_ms < ex->deadline_ms) {
            continue;
        }
        late = api_call_create();
        if (late == NULL) {
            continue; /* in the next sweep */
        }
        if (ex->call->route->role == API_ROLE_NONE) {
            api_problem_set(&p, MHD_HTTP_SERVICE_UNAVAILABLE, "stuck",
                            "this node's control loop has not turned for %u ms", patience_ms(ex));
        } else {
            api_problem_set(
                &p, MHD_HTTP_GATEWAY_TIMEOUT, "outcome-unknown",
                "no outcome within %u ms: it may still take effect; look before you try again",
                s->answer_ms);
        }
        late->route = ex->call->route;
        api_call_problem(late, &p);
        wake(ex);
        api_call_release(ex->asked);
        ex->asked = NULL;
        api_call_release(ex->call); /* its outcome, if one comes, is kept for its key alone */
        ex->call = late;
    }
}

/* --- the body --- */

/* A piece of the body. What is too much is dropped up to a second bound. */
static enum MHD_Result take_body(struct api_exchange *ex, const char *data, size_t n)
{
    struct api_call *call = ex->call;
    char *grown;

    if (call->body_bytes + n > api_exchange_most_body(call)) {
        ex->discarded += n;
        api_exchange_too_large(call);
        return ex->discarded > API_MAX_DISCARD ? MHD_NO : MHD_YES;
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

/* --- who --- */

static enum step deny(struct api_exchange *ex, unsigned status, const char *name, const char *why)
{
    struct api_problem p;

    api_problem_set(&p, status, name, "%s", why);
    api_call_problem(ex->call, &p);
    return STEP_DONE;
}

static enum step look_up(struct api_exchange *ex, const char *header)
{
    struct api_call *asked = api_call_create();

    if (asked == NULL || ex->server->backend->bearers == NULL ||
        !api_bearer_parse(header, asked->bearer_id, ex->hash)) {
        api_call_release(asked);
        return deny(ex, 401, "unauthorized", "that is no token that is good here");
    }
    asked->route = &api_lookup;
    memcpy(ex->bearer, asked->bearer_id, sizeof ex->bearer);
    ex->asked = asked;
    ex->stage = API_LOOKING;
    if (!api_exchange_send_off(ex->server, asked)) {
        return deny(ex, 503, "closing", "this node is stopping, or busy: ask another one");
    }
    wait_for(ex, asked);
    return STEP_WAIT;
}

/* A bearer token, where one is shown, decides; else the certificate. */
static enum step find_out(struct api_exchange *ex)
{
    const char *header = api_exchange_header(ex, "Authorization");
    enum api_cert cert;

    if (api_exchange_local(ex)) {
        (void)snprintf(ex->who.name, sizeof ex->who.name, "root");
        ex->who.root = true;
        return STEP_ON;
    }
    if (ex->peer == NULL) {
        return deny(ex, 503, "busy", "this node is out of memory: ask another one");
    }
    cert = api_peer_judge(ex->peer, uv_now(&ex->server->loop));
    if (cert == API_CERT_BAD || (api_tls_required(ex->server->tls) && cert != API_CERT_KNOWN &&
                                 cert != API_CERT_STRANGER)) {
        return deny(ex, 401, "bad-certificate",
                    "the client's certificate is missing, not by a CA that counts here, expired, "
                    "revoked or not for clients");
    }
    if (ex->call->route->role == API_ROLE_NONE) {
        return STEP_ON;
    }
    if (header != NULL) {
        return look_up(ex, header);
    }
    if (cert == API_CERT_NONE) {
        return deny(ex, 401, "unauthorized", "show a client's certificate or a bearer token");
    }
    ex->who = ex->peer->who;
    return STEP_ON;
}

static enum step judge_bearer(struct api_exchange *ex)
{
    struct api_call *asked = ex->asked;

    if (asked == NULL) {
        return STEP_DONE; /* it took too long: ex->call says so */
    }
    ex->asked = NULL;
    if (asked->status == MHD_HTTP_OK && asked->found == API_BEARER_UNSURE) {
        api_call_release(asked);
        return deny(ex, 503, "no-quorum",
                    "this node is cut off from the others, so it cannot know whether that token "
                    "still counts: ask another one, or show a certificate");
    }
    if (asked->status == MHD_HTTP_OK && asked->found == API_BEARER_FOUND &&
        api_bearer_good(&asked->bearer, ex->hash, (int64_t)time(NULL))) {
        memcpy(ex->who.name, asked->bearer.name, sizeof ex->who.name);
        ex->who.role = asked->bearer.role;
        api_call_release(asked);
        return STEP_ON;
    }
    if (asked->status != MHD_HTTP_OK) {
        api_call_release(asked);
        return deny(ex, 503, "closing", "this node is stopping: ask another one");
    }
    api_call_release(asked);
    return deny(ex, 401, "unauthorized", "that is no token that is good here");
}

/* --- what --- */

static void say_who(const struct api_exchange *ex, struct api_asker *who)
{
    bool local = api_exchange_local(ex);

    (void)snprintf(who->role, sizeof who->role, "%s",
                   ex->who.root ? "root" : api_role_name(ex->who.role));
    (void)snprintf(who->principal, sizeof who->principal, "%s", ex->who.name);
    (void)snprintf(who->address, sizeof who->address, "%s",
                   local              ? "local"
                   : ex->peer != NULL ? ex->peer->from
                                      : "");
    (void)snprintf(who->request_id, sizeof who->request_id, "%s", ex->id);
}

/* A change that somebody known was refused goes into the audit; nobody waits for that. Strangers get no entry: they could make as
 * many as they like. */
static void note_refusal(struct api_exchange *ex, const char *name)
{
    struct api_call *note;

    if (strcmp(ex->call->route->method, "GET") == 0 || ex->who.name[0] == '\0' ||
        (note = api_call_create()) == NULL) {
        return;
    }
    note->route = &api_note;
    note->refused = ex->call->route;
    note->refused_as = name;
    note->body = strdup(ex->path);
    say_who(ex, &note->who);
    if (note->body != NULL) {
        (void)api_exchange_send_off(ex->server, note);
    }
    api_call_release(note);
}

static enum step allow(struct api_exchange *ex)
{
    enum api_role needed = ex->call->route->role;

    if (ex->who.root || needed == API_ROLE_NONE || api_role_may(ex->who.role, needed)) {
        return STEP_ON;
    }
    note_refusal(ex, ex->who.role == API_ROLE_NONE ? "no-role" : "forbidden");
    if (ex->who.role == API_ROLE_NONE) {
        return deny(ex, 403, "no-role", "nobody gave this name a role: see api.clients");
    }
    return deny(ex, 403, "forbidden",
                needed == API_ROLE_ADMIN      ? "this is for the role admin"
                : needed == API_ROLE_DRILL    ? "this is for the role drill"
                : needed == API_ROLE_OPERATOR ? "this is for the role operator"
                                              : "this is for the role viewer");
}

static bool fingerprint(const struct api_exchange *ex, uint8_t print[32])
{
    gnutls_hash_hd_t h;

    if (gnutls_hash_init(&h, GNUTLS_DIG_SHA256) != 0) {
        return false;
    }
    (void)gnutls_hash(h, ex->method, strlen(ex->method) + 1);
    (void)gnutls_hash(h, ex->path, strlen(ex->path) + 1);
    (void)gnutls_hash(h, ex->call->if_match, strlen(ex->call->if_match) + 1);
    if (ex->call->body_bytes > 0) {
        (void)gnutls_hash(h, ex->call->body, ex->call->body_bytes);
    }
    gnutls_hash_deinit(h, print);
    return true;
}

/* The same request again? */
static enum step repeat(struct api_exchange *ex)
{
    struct api_call *again = NULL;
    uint8_t print[32];

    if (ex->key[0] == '\0') {
        return STEP_ON;
    }
    if (!fingerprint(ex, print)) {
        return deny(ex, 503, "busy", "this node is out of memory: ask another one");
    }
    switch (api_keep_ask(&ex->server->keep, ex->who.name, ex->key, print, ex->call,
                         uv_now(&ex->server->loop), &again)) {
    case API_KEEP_NEW:
        return STEP_ON;
    case API_KEEP_AGAIN:
        api_call_hold(again);
        api_call_release(ex->call);
        ex->call = again;
        ex->replayed = true;
        return STEP_DONE;
    case API_KEEP_UNDER_WAY:
        return deny(ex, 409, "idempotency-in-progress",
                    "the request of that Idempotency-Key is still under way: ask again later");
    case API_KEEP_OTHER:
        return deny(ex, 422, "idempotency-mismatch",
                    "that Idempotency-Key was used for another request: take a new one");
    default:
        return deny(ex, 503, "busy", "too much is under way: try again");
    }
}

/* Another's answer to the same question serves as well when it is young, and no write came since. */
static bool share(struct api_exchange *ex)
{
    struct api_server *s = ex->server;
    uint64_t now = uv_now(&s->loop);
    size_t at = 0;

    if (api_exchange_local(ex) || (ex->call->route->flags & API_SHARED) == 0 ||
        ex->call->query.given) {
        return false;
    }
    for (size_t i = 0; i < API_SHARED_CALLS; i++) {
        if (s->shared[i] == NULL || s->shared_ms[i] < s->shared_ms[at]) {
            at = i;
        }
        if (s->shared[i] != NULL && s->shared[i]->route == ex->call->route) {
            at = i;
            break;
        }
    }
    if (s->shared[at] != NULL && s->shared[at]->route == ex->call->route &&
        now - s->shared_ms[at] < API_SHARED_MS && s->shared_after[at] == s->written) {
        api_call_hold(s->shared[at]);
        api_call_release(ex->call);
        ex->call = s->shared[at];
        return true;
    }
    api_call_release(s->shared[at]);
    api_call_hold(ex->call);
    s->shared[at] = ex->call;
    s->shared_ms[at] = now;
    s->shared_after[at] = s->written;
    return false;
}

static enum step carry_out(struct api_exchange *ex)
{
    struct api_call *call = ex->call;
    struct api_problem p;

    if (call->route->body_bytes > 0 && !api_body_parse(call, &p)) {
        api_call_problem(call, &p);
        api_keep_settle(&ex->server->keep, call);
        return STEP_DONE;
    }
    if ((call->route->flags & API_LOCAL) != 0) {
        call->route->handle(call, ex->server->backend);
        return STEP_DONE;
    }
    ex->stage = API_RUNNING;
    say_who(ex, &call->who);
    if (share(ex) ? ex->call->away : api_exchange_send_off(ex->server, call)) {
        wait_for(ex, ex->call);
        return STEP_WAIT;
    }
    api_keep_settle(&ex->server->keep, ex->call);
    return STEP_DONE;
}

static void check_not_modified(struct api_exchange *ex)
{
    const char *tag = api_exchange_header(ex, "If-None-Match");

    ex->not_modified = tag != NULL && ex->call->status == MHD_HTTP_OK &&
                       ex->call->etag[0] != '\0' && strcmp(tag, ex->call->etag) == 0;
}

/* From where it stands to its answer, or to what it waits for. */
static enum MHD_Result advance(struct api_exchange *ex)
{
    enum step step = STEP_ON;

    if (ex->stage == API_ARRIVED && ex->call->early.status != 0) {
        api_call_problem(ex->call, &ex->call->early);
        step = STEP_DONE;
    } else if (ex->stage == API_ARRIVED) {
        ex->stage = API_KNOWN;
        step = find_out(ex);
    } else if (ex->stage == API_LOOKING) {
        ex->stage = API_KNOWN;
        step = judge_bearer(ex);
    } else {
        step = STEP_DONE; /* it came back */
    }
    if (step == STEP_ON) {
        step = allow(ex);
    }
    if (step == STEP_ON) {
        step = repeat(ex);
    }
    if (step == STEP_ON) {
        step = carry_out(ex);
    }
    if (step == STEP_WAIT) {
        return MHD_YES;
    }
    check_not_modified(ex);
    return api_exchange_respond(ex);
}

enum MHD_Result api_exchange_take(void *server, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_bytes, void **state)
{
    struct api_exchange *ex = *state;

    (void)version;
    if (ex == NULL) {
        return api_exchange_begin(server, connection, path, method, state);
    }
    if (*data_bytes > 0) {
        enum MHD_Result result = ex->queued ? MHD_YES : take_body(ex, data, *data_bytes);

        *data_bytes = 0;
        return result;
    }
    if (ex->queued || ex->waiting) {
        return MHD_YES;
    }
    if (ex->peer != NULL) {
        ex->peer->busy = true;
    }
    return advance(ex);
}

void api_exchange_ended(void *server, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode why)
{
    struct api_server *s = server;
    struct api_exchange *ex = *state;

    (void)why;
    (void)connection;
    if (ex == NULL) {
        return;
    }
    HF_ASSERT(!ex->waiting);
    if (ex->peer != NULL) {
        ex->peer->since_ms = uv_now(&s->loop);
        ex->peer->busy = false;
    }
    api_call_release(ex->asked);
    api_call_release(ex->call);
    free(ex);
    *state = NULL;
}
