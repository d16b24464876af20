/* openapi.yaml and the server hold each other to it: every operation gives every answer that the
 * document has for it, of the type, headers and schema that it says; every route is in it and none
 * else; and the matrix of roles and operations, all of it. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <strings.h>

#include "api/internal.h"
#include "unit/api/rest_rig.h"
#include "unit/api/schema.h"

/* What is answered at all is answered however busy the machine is; who waits for no answer (504) waits a moment. */
enum { RATE = 1, BURST = 8, PATIENCE_MS = 60000, ANSWER_MS = 250 };

static struct rest rest;
static char reply[RIG_REPLY_BYTES];
static json_t *document;
static unsigned compared;

static void start(void)
{
    rest_init(&rest);
    rest.rig.options.rate = RATE;
    rest.rig.options.burst = BURST;
    rest.rig.options.answer_ms = PATIENCE_MS;
    strcpy(rest.rig.backup, "00");
}

static void end(void)
{
    json_decref(document);
    rig_deinit(&rest.rig);
}

TestSuite(api_contract, .init = start, .fini = end, .timeout = 120);

struct operation {
    const char *path, *method; /* as in the document; "get" */
    const json_t *node;
    enum api_role role;
    char at[96]; /* with something for {id} */
};

static const struct {
    const char *path, *body;
} bodies[] = {
    {"/v1/cluster/leader", "{\"node\":2}"},
    {"/v1/cluster/tokens", "{\"node\":4,\"address\":\"10.0.0.4:7400\",\"valid_s\":60}"},
    {"/v1/cluster/join", "{\"token\":\"00ff\"}"},
    {"/v1/cluster/recover", "{\"lost\":\"2,3\"}"},
    {"/v1/sas/{id}/rekey", "{\"kind\":\"ike\"}"},
    {"/v1/shards/{id}/handover", "{\"to\":2}"},
    {"/v1/nodes/{id}/drain", "{\"drained\":true}"},
    {"/v1/tokens", "{\"name\":\"ci\",\"role\":\"viewer\",\"valid_s\":60}"},
    {"/v1/profiles", "{\"kind\":\"swanctl\",\"identity\":\"alice@example.org\"}"},
    {"/v1/drills/arm", "{\"point\":\"child-rekey:gateway:sent\",\"mode\":\"process\"}"},
};

static const char *body_of(const struct operation *op)
{
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        if (strcmp(bodies[i].path, op->path) == 0) {
            return bodies[i].body;
        }
    }
    return "{}";
}

static bool posts(const struct operation *op)
{
    return strcmp(op->method, "post") == 0;
}

static bool writes(const struct operation *op)
{
    return strcmp(op->method, "get") != 0;
}

static const char *verb(const struct operation *op)
{
    return posts(op) ? "POST" : writes(op) ? "DELETE" : "GET";
}

/* What it needs to be done. */
static const char *headers_of(const struct operation *op)
{
    return writes(op) && !posts(op) ? "If-Match: *\r\n" : "";
}

static const char *sent(const struct operation *op)
{
    return posts(op) ? body_of(op) : "";
}

/* The path with `id` in its place. */
static void place(struct operation *op, const char *id)
{
    const char *brace = strchr(op->path, '{');

    if (brace == NULL) {
        (void)snprintf(op->at, sizeof op->at, "%s", op->path);
    } else {
        (void)snprintf(op->at, sizeof op->at, "%.*s%s%s", (int)(brace - op->path), op->path, id,
                       strchr(brace, '}') + 1);
    }
}

static void each_operation(void (*visit)(struct operation *op))
{
    const char *path, *method;
    json_t *item, *node;

    json_object_foreach(json_object_get(document, "paths"), path, item)
    {
        json_object_foreach(item, method, node)
        {
            struct operation op = {.path = path, .method = method, .node = node};
            const char *role = json_string_value(json_object_get(node, "x-role"));

            op.role = role == NULL ? API_ROLE_NONE : api_role_of(role);
            cr_assert(role == NULL || op.role != API_ROLE_NONE, "%s: role %s", path, role);
            place(&op, strstr(path, "/sas/") != NULL || strstr(path, "/attempts/") != NULL
                           ? "0123456789abcdef"
                       : strstr(path, "problems") != NULL ? "no-leader"
                       : strstr(path, "/tokens/") != NULL ? "0123456789ab"
                                                          : "2");
            visit(&op);
        }
    }
}

static unsigned ask_as(const struct operation *op, const struct rest_who *who, const char *headers,
                       const char *body)
{
    return rest_ask(&rest, who, verb(op), op->at, headers, body, reply);
}

/* As one who may. */
static unsigned ask(const struct operation *op, const char *headers, const char *body)
{
    struct rest_who who = {.bearer = op->role != API_ROLE_NONE ? rest.bearer[op->role] : NULL};

    return ask_as(op, &who, headers, body);
}

static unsigned ask_refused(const struct operation *op, unsigned status)
{
    unsigned got;

    rest.rig.how = RIG_REFUSE;
    rest.rig.refuse_status = status;
    rest.rig.refuse_name = "busy";
    got = ask(op, headers_of(op), sent(op));
    rest.rig.how = RIG_NOW;
    return got;
}

static unsigned ask_held(const struct operation *op)
{
    unsigned got;

    rest.rig.how = RIG_HOLD;
    got = ask(op, headers_of(op), sent(op));
    rest.rig.how = RIG_NOW;
    return got;
}

static bool streams(const struct operation *op)
{
    return strcmp(op->path, "/v1/events") == 0;
}

/* More than the address may. A stream is the last answer of its connection: others use up what it may. */
static unsigned ask_often(const struct operation *op)
{
    struct rest_who who = {.from = rest.next_from++};
    struct rest_connection *c = rest_connect(&rest, &who, 0), *last = NULL;
    unsigned got = 0;

    last = streams(op) ? rest_connect(&rest, &who, 0) : NULL;
    cr_assert(c != NULL && (last != NULL || !streams(op)));
    for (unsigned i = 0; i < 1000 && got != 429; i++) {
        cr_assert(rest_request(c, verb(op), last != NULL ? "/livez" : op->at,
                               "Content-Type: application/json\r\n", sent(op), reply));
        got = rest_status(reply);
    }
    if (last != NULL) {
        cr_assert(rest_request(last, verb(op), op->at, "", "", reply));
        got = rest_status(reply);
    }
    rest_disconnect(last);
    rest_disconnect(c);
    return got;
}

/* Until the answer is not one that was made before and serves several for a moment. */
static unsigned ask_anew(const struct operation *op)
{
    unsigned got = 200;

    for (unsigned tries = 0; tries < 10000 && got == 200; tries++) {
        got = ask(op, "", "");
    }
    return got;
}

static unsigned ask_frozen(const struct operation *op)
{
    unsigned got;

    rig_freeze(&rest.rig);
    got = ask_anew(op);
    rig_thaw(&rest.rig);
    return got;
}

static unsigned ask_unknown(struct operation *op)
{
    char kept[96];
    unsigned got;

    if (strchr(op->path, '{') == NULL) {
        return ask_refused(op, 404);
    }
    memcpy(kept, op->at, sizeof kept);
    place(op, "xyz");
    got = ask(op, headers_of(op), sent(op));
    memcpy(op->at, kept, sizeof kept);
    return got;
}

static unsigned ask_unready(struct operation *op)
{
    unsigned got;

    if (strcmp(op->path, "/livez") == 0) {
        return ask_frozen(op);
    }
    if (writes(op)) {
        return ask_refused(op, 503);
    }
    rest.rig.no_cluster = true;
    rest.rig.follows = true;
    if (op->role != API_ROLE_NONE) {
        strcat(op->at, "?consistency=leader");
    }
    got = ask_anew(op);
    op->at[strcspn(op->at, "?")] = '\0';
    rest.rig.no_cluster = rest.rig.follows = false;
    return got;
}

static unsigned ask_unauthorized(const struct operation *op)
{
    struct pki_request r = certs_client_request("admin@example.org");
    struct pki_pair other = certs_make("p256", &r, NULL); /* signed by itself, out of date */
    struct rest_who who = {.certificate = op->role == API_ROLE_NONE ? &other : NULL};

    return ask_as(op, &who, headers_of(op), sent(op));
}

static unsigned ask_forbidden(const struct operation *op)
{
    struct rest_who who = {.certificate = op->role == API_ROLE_VIEWER ? &rest.stranger
                                          : op->role == API_ROLE_DRILL
                                              ? &rest.clients[API_ROLE_ADMIN]
                                              : &rest.clients[API_ROLE_VIEWER]};

    return ask_as(op, &who, headers_of(op), sent(op));
}

static unsigned ask_badly(struct operation *op)
{
    unsigned got;

    if (posts(op)) {
        return ask(op, "", "{\"no_such\": ");
    }
    strcat(op->at, "?no_such=1");
    got = ask(op, "", "");
    op->at[strcspn(op->at, "?")] = '\0';
    return got;
}

static unsigned ask_again(const struct operation *op)
{
    char headers[128], tag[64];
    const char *at;

    cr_assert_eq(ask(op, "", ""), 200);
    at = strstr(reply, "ETag: ");
    cr_assert_not_null(at);
    (void)snprintf(tag, sizeof tag, "%.*s", (int)strcspn(at + 6, "\r"), at + 6);
    (void)snprintf(headers, sizeof headers, "If-None-Match: %s\r\n", tag);
    return ask(op, headers, "");
}

/* Makes the server answer so. */
static unsigned provoke(struct operation *op, unsigned status)
{
    switch (status) {
    case 200:
        return ask(op, headers_of(op), sent(op));
    case 304:
        return ask_again(op);
    case 400:
        return ask_badly(op);
    case 401:
        return ask_unauthorized(op);
    case 403:
        return ask_forbidden(op);
    case 404:
        return ask_unknown(op);
    case 413:
        return ask(op, "Content-Length: 70000\r\n", posts(op) ? "{" : "x");
    case 415:
        return ask(op, "Content-Type: text/plain\r\n", body_of(op));
    case 412:
        return ask(op, "If-Match: \"0\"\r\n", sent(op));
    case 428:
        return ask(op, "", sent(op));
    case 429:
        return ask_often(op);
    case 503:
        return ask_unready(op);
    case 504:
        return writes(op) ? ask_held(op) : ask_frozen(op);
    default:
        return ask_refused(op, status);
    }
}

static void check_headers(const struct operation *op, unsigned status, const json_t *response)
{
    const char *name;
    json_t *header;

    json_object_foreach(json_object_get(response, "headers"), name, header)
    {
        char line[64];

        if (strcmp(name, "Idempotency-Replayed") == 0) {
            continue; /* only then: rest_again_test.c */
        }
        (void)snprintf(line, sizeof line, "\r\n%s: ", name);
        cr_assert_not_null(strcasestr(reply, line), "%s %s %u: no %s in %s", op->method, op->path,
                           status, name, reply);
    }
}

static void check_content(const struct operation *op, unsigned status, const json_t *response)
{
    const char *type, *body = strstr(reply, "\r\n\r\n") + 4;
    json_t *content, *value;
    char line[96], why[256] = "";

    json_object_foreach(json_object_get(response, "content"), type, content)
    {
        (void)snprintf(line, sizeof line, "\r\nContent-Type: %s", type);
        cr_assert_not_null(strstr(reply, line), "%s %s %u: not %s: %s", op->method, op->path,
                           status, type, reply);
        value = strstr(type, "json") == NULL ? json_string(body) : json_loads(body, 0, NULL);
        cr_assert_not_null(value, "%s %s %u: %s", op->method, op->path, status, body);
        cr_assert(
            schema_holds(document, json_object_get(content, "schema"), value, why, sizeof why),
            "%s %s %u: %s: %s", op->method, op->path, status, why, body);
        json_decref(value);
    }
}

static void check_operation(struct operation *op)
{
    bool in_vain = rest.rig.options.answer_ms == ANSWER_MS;
    const char *code;
    json_t *item;

    json_object_foreach(json_object_get(op->node, "responses"), code, item)
    {
        unsigned wanted = (unsigned)strtoul(code, NULL, 10), got;
        const json_t *response = schema_follow(document, item);

        if ((wanted == 504) != in_vain) {
            continue;
        }
        got = provoke(op, wanted);
        cr_assert_eq(got, wanted, "%s %s: %u, not %u: %s", op->method, op->path, got, wanted,
                     reply);
        check_headers(op, wanted, response);
        check_content(op, wanted, response);
        compared++;
    }
}

static void read_document(void)
{
    struct rest_who who = {0};

    cr_assert_eq(rest_ask(&rest, &who, "GET", "/v1/openapi.json", "", "", reply), 200);
    document = json_loads(strstr(reply, "\r\n\r\n") + 4, 0, NULL);
    cr_assert_not_null(document);
}

static void drive_all(struct rig *r)
{
    (void)r;
    read_document();
    each_operation(check_operation);
}

Test(api_contract, every_operation_gives_every_answer_of_the_document)
{
    rest_run(&rest, drive_all);
    cr_assert_gt(compared, 215, "only %u answers", compared);
}

Test(api_contract, every_operation_whose_outcome_is_late_says_so)
{
    rest.rig.options.answer_ms = ANSWER_MS;
    rest_run(&rest, drive_all);
    cr_assert_gt(compared, 18, "only %u answers", compared);
}

static unsigned documented;

static void find_route(struct operation *op)
{
    size_t n, found = 0;
    const struct api_route *routes = api_routes(&n);

    for (size_t i = 0; i < n; i++) {
        if (strcmp(routes[i].path, op->path) == 0 &&
            strcasecmp(routes[i].method, op->method) == 0) {
            found++;
            cr_assert_eq(routes[i].role, op->role, "%s %s: another role", op->method, op->path);
        }
    }
    cr_assert_eq(found, 1, "%s %s is no route", op->method, op->path);
    documented++;
}

static void look_at_routes(struct rig *r)
{
    size_t n;

    (void)r;
    read_document();
    each_operation(find_route);
    (void)api_routes(&n);
    cr_assert_eq(documented, n, "a route is not in the document");
}

Test(api_contract, the_document_has_every_route_and_none_else)
{
    rest_run(&rest, look_at_routes);
}

/* Written down once more, apart from the product's table. */
static bool should(enum api_role has, enum api_role needed)
{
    switch (needed) {
    case API_ROLE_NONE:
        return true;
    case API_ROLE_VIEWER:
        return has != API_ROLE_NONE;
    case API_ROLE_OPERATOR:
        return has == API_ROLE_OPERATOR || has == API_ROLE_ADMIN;
    default:
        return has == needed;
    }
}

static void check_role(struct operation *op, int role, const struct rest_who *who, const char *how)
{
    unsigned wanted = should((enum api_role)role, op->role)               ? 200
                      : role == API_ROLE_NONE && who->certificate == NULL ? 401
                                                                          : 403,
             got = ask_as(op, who, headers_of(op), sent(op));

    cr_assert_eq(got, wanted, "%s %s as %s by %s: %u, not %u: %s", op->method, op->path,
                 api_role_name((enum api_role)role), how, got, wanted, reply);
    compared++;
}

static void check_roles(struct operation *op)
{
    struct rest_who nobody = {0}, stranger = {.certificate = &rest.stranger};

    check_role(op, API_ROLE_NONE, &nobody, "nothing");
    check_role(op, API_ROLE_NONE, &stranger, "certificate");
    for (int role = API_ROLE_VIEWER; role < API_ROLES; role++) {
        struct rest_who certificate = {.certificate = &rest.clients[role]},
                        bearer = {.bearer = rest.bearer[role]};

        check_role(op, role, &certificate, "certificate");
        check_role(op, role, &bearer, "token");
    }
}

/* By both ways of showing it. */
static void check_asker(struct operation *op)
{
    char id[24];

    for (int by_token = 0; by_token < 2 && writes(op); by_token++) {
        struct rest_who who = {.certificate = by_token ? NULL : &rest.clients[op->role],
                               .bearer = by_token ? rest.bearer[op->role] : NULL,
                               .from = 0x7f000309};
        const struct api_asker *a = &rest.rig.asker;
        char headers[96], name[96];

        rest.rig.asker = (struct api_asker){.principal = "nobody"};
        (void)snprintf(id, sizeof id, "r-%u", compared);
        (void)snprintf(headers, sizeof headers, "%sX-Request-Id: %s\r\n", headers_of(op), id);
        (void)snprintf(name, sizeof name, by_token ? "token:%s" : "email:%s@example.org",
                       api_role_name(op->role));
        cr_assert_eq(ask_as(op, &who, headers, sent(op)), 200, "%s", reply);
        cr_assert_str_eq(a->principal, name, "%s", op->path);
        cr_assert_str_eq(a->role, api_role_name(op->role), "%s", op->path);
        cr_assert_str_eq(a->address, "127.0.3.9", "%s", op->path);
        cr_assert_str_eq(a->request_id, id, "%s", op->path);
        compared++;
    }
}

static void try_all_askers(struct rig *r)
{
    (void)r;
    read_document();
    each_operation(check_asker);
    cr_assert_geq(compared, 28);
}

Test(api_contract, every_change_says_who_asked)
{
    rest.rig.options.rate = 0;
    rest_run(&rest, try_all_askers);
}

static void try_all_roles(struct rig *r)
{
    size_t n;

    (void)r;
    read_document();
    each_operation(check_roles);
    (void)api_routes(&n);
    cr_assert_eq(compared, 10 * n);
}

Test(api_contract, every_role_at_every_operation)
{
    rest_run(&rest, try_all_roles);
}
