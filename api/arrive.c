/* The headers of a request: what is refused before its body is read. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/http.h"

const char *api_exchange_header(const struct api_exchange *ex, const char *name)
{
    return MHD_lookup_connection_value(ex->connection, MHD_HEADER_KIND, name);
}

bool api_exchange_local(const struct api_exchange *ex)
{
    return ex->server->path[0] != '\0';
}

static bool early(struct api_exchange *ex)
{
    return ex->call->early.status != 0;
}

static void name_it(struct api_exchange *ex)
{
    const char *given = api_exchange_header(ex, "X-Request-Id");
    size_t n = given != NULL ? strspn(given, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                             "0123456789._-")
                             : 0;

    if (n >= 1 && n < sizeof ex->id && given[n] == '\0') {
        memcpy(ex->id, given, n + 1);
    } else {
        (void)snprintf(ex->id, sizeof ex->id, "%08x-%llx", ex->server->salt,
                       (unsigned long long)++ex->server->ids);
    }
}

static void check_rate(struct api_exchange *ex)
{
    uint64_t wait_ms = 0;

    if (!api_exchange_local(ex) && ex->peer != NULL &&
        !api_rate_take(&ex->server->rate, ex->peer->address, uv_now(&ex->server->loop), &wait_ms)) {
        ex->retry_after_s = (unsigned)(wait_ms / 1000 + 1);
        api_problem_set(&ex->call->early, MHD_HTTP_TOO_MANY_REQUESTS, "too-many-requests",
                        "this address asks too often: wait %u s", ex->retry_after_s);
    }
}

uint32_t api_exchange_most_body(const struct api_call *call)
{
    return call->route != NULL && call->route->body_bytes > 0 ? call->route->body_bytes
                                                              : (uint32_t)API_MAX_BODY;
}

void api_exchange_too_large(struct api_call *call)
{
    api_problem_set(&call->early, MHD_HTTP_CONTENT_TOO_LARGE, "too-large",
                    "the body is larger than %u bytes", api_exchange_most_body(call));
}

static bool declares_too_much(const struct api_exchange *ex)
{
    const char *length = api_exchange_header(ex, "Content-Length");

    return length != NULL &&
           (strlen(length) > 9 || atol(length) > (long)api_exchange_most_body(ex->call));
}

/* Over TLS the body's type must be said: a web page's form or its bare bytes, sent along with a
 * browser's certificate, would be taken for the operator's word otherwise. No browser reaches root's
 * socket, where `curl -d` may say what it always says. */
static void check_type(struct api_exchange *ex)
{
    const char *type = api_exchange_header(ex, "Content-Type");
    size_t n = type != NULL ? strcspn(type, "; ") : 0;

    if (early(ex) || ex->call->route->body_bytes == 0 || api_exchange_local(ex) ||
        (n == 16 && strncasecmp(type, "application/json", n) == 0)) {
        return;
    }
    api_problem_set(&ex->call->early, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "not-json",
                    "say 'Content-Type: application/json', and send that");
}

static enum MHD_Result take_argument(void *arg, enum MHD_ValueKind kind, const char *name,
                                     const char *value)
{
    struct api_exchange *ex = arg;

    (void)kind;
    return api_query_take(&ex->call->query, ex->call->route, name, value, &ex->call->early)
               ? MHD_YES
               : MHD_NO;
}

static void check_query(struct api_exchange *ex)
{
    if (!early(ex)) {
        (void)MHD_get_connection_values(ex->connection, MHD_GET_ARGUMENT_KIND, take_argument, ex);
    }
    if (!early(ex) && (ex->call->route->flags & API_PAGED) != 0 && !ex->call->query.has_limit &&
        (!api_exchange_local(ex) || ex->call->query.has_cursor)) {
        ex->call->query.page.limit = API_MOST_PAGE;
    }
}

static void check_last_event(struct api_exchange *ex)
{
    const char *id = api_exchange_header(ex, "Last-Event-ID");

    if (!early(ex) && id != NULL && (ex->call->route->flags & API_WATCHED) != 0) {
        (void)api_query_last_event(&ex->call->query, id, &ex->call->early);
    }
}

/* Quoted or not. */
static void check_key(struct api_exchange *ex)
{
    const char *key = api_exchange_header(ex, "Idempotency-Key");
    size_t n = key != NULL ? strlen(key) : 0;

    if (early(ex) || key == NULL || strcmp(ex->call->route->method, "GET") == 0 ||
        (ex->call->route->flags & API_REPEATABLE) != 0) {
        return;
    }
    if (n >= 2 && key[0] == '"' && key[n - 1] == '"') {
        key++;
        n -= 2;
    }
    if (n < 1 || n >= sizeof ex->key ||
        strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-") < n) {
        api_problem_set(&ex->call->early, 400, "bad-idempotency-key",
                        "Idempotency-Key must have 1 to 64 letters, digits or - . _ ~");
        return;
    }
    memcpy(ex->key, key, n);
}

static void check_match(struct api_exchange *ex)
{
    const char *tag = api_exchange_header(ex, "If-Match");

    if (tag == NULL || early(ex)) {
        return;
    }
    if (strlen(tag) >= sizeof ex->call->if_match) {
        api_problem_set(&ex->call->early, 412, "precondition-failed", "If-Match names no version");
        return;
    }
    memcpy(ex->call->if_match, tag, strlen(tag) + 1);
}

/* The headers are there. Refuses at once what need not be read. */
enum MHD_Result api_exchange_begin(struct api_server *s, struct MHD_Connection *connection,
                                   const char *path, const char *method, void **state)
{
    struct api_exchange *ex = calloc(1, sizeof *ex);
    const struct api_route *route;

    if (ex == NULL || (ex->call = api_call_create()) == NULL) {
        free(ex);
        return MHD_NO;
    }
    ex->server = s;
    ex->connection = connection;
    ex->peer = api_peer_of(connection);
    *state = ex;
    name_it(ex);
    (void)snprintf(ex->method, sizeof ex->method, "%s", method);
    (void)snprintf(ex->path, sizeof ex->path, "%s", path);
    check_rate(ex);
    if (early(ex)) {
        api_call_problem(ex->call, &ex->call->early);
        return api_exchange_respond(ex);
    }
    route = api_route_find(ex->call, method, path);
    ex->call->route = route;
    if (declares_too_much(ex)) {
        api_exchange_too_large(ex->call);
        api_call_problem(ex->call, &ex->call->early);
        return api_exchange_respond(ex);
    }
    check_type(ex);
    check_query(ex);
    check_last_event(ex);
    check_key(ex);
    check_match(ex);
    return MHD_YES;
}
