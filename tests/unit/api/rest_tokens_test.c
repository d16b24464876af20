/* Tokens and the audit over TLS: what the backend is told of who asked, versions, filters, and refusals that become entries. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "unit/api/rest_rig.h"

static struct rest rest;
static char reply[RIG_REPLY_BYTES];

static void start(void)
{
    rest_init(&rest);
}

static void end(void)
{
    rig_deinit(&rest.rig);
}

TestSuite(api_tokens, .init = start, .fini = end, .timeout = 60);

static const struct rest_who *as(enum api_role role)
{
    static struct rest_who who;

    who = (struct rest_who){.bearer = rest.bearer[role]};
    return &who;
}

static void ask(enum api_role role, const char *method, const char *path, const char *headers,
                const char *body, unsigned status)
{
    unsigned got = rest_ask(&rest, as(role), method, path, headers, body, reply);

    cr_assert_eq(got, status, "%s %s: %u, not %u: %s", method, path, got, status, reply);
}

static void make(struct rig *r)
{
    struct rest_who who = {.certificate = &rest.clients[API_ROLE_ADMIN], .from = 0x7f000309};

    cr_assert_eq(rest_ask(&rest, &who, "POST", "/v1/tokens", "X-Request-Id: r-7\r\n",
                          "{\"name\":\"ci.1@x\",\"role\":\"drill\",\"valid_s\":31536000}", reply),
                 200, "%s", reply);
    cr_assert(r->bearers_made == 1 && r->bearer.role == API_ROLE_DRILL);
    cr_assert_eq(r->bearer.valid_s, 31536000);
    cr_assert_str_eq(r->bearer.name, "ci.1@x");
    cr_assert_str_eq(r->asker.role, "admin");
    cr_assert_str_eq(r->asker.principal, "email:admin@example.org");
    cr_assert_str_eq(r->asker.address, "127.0.3.9");
    cr_assert_str_eq(r->asker.request_id, "r-7");
}

Test(api_tokens, the_backend_is_told_who_asked)
{
    rest_run(&rest, make);
}

static void misshape(struct rig *r)
{
    static const struct {
        const char *body, *part;
    } bad[] = {
        {"{\"name\":\"\",\"role\":\"admin\",\"valid_s\":60}", "#/name"},
        {"{\"name\":\"a b\",\"role\":\"admin\",\"valid_s\":60}", "#/name"},
        {"{\"name\":\"a/b\",\"role\":\"admin\",\"valid_s\":60}", "#/name"},
        {"{\"name\":\"1234567890123456789012345678901234567890123456789\",\"role\":\"admin\","
         "\"valid_s\":60}",
         "#/name"},
        {"{\"name\":\"a\",\"role\":\"root\",\"valid_s\":60}", "#/role"},
        {"{\"name\":\"a\",\"role\":\"\",\"valid_s\":60}", "#/role"},
        {"{\"name\":\"a\",\"role\":\"admin\",\"valid_s\":0}", "#/valid_s"},
        {"{\"name\":\"a\",\"role\":\"admin\",\"valid_s\":31536001}", "#/valid_s"},
        {"{\"name\":\"a\",\"role\":\"admin\"}", "#/valid_s"},
        {"{\"name\":\"a\",\"role\":\"admin\",\"valid_s\":60,\"expires\":1}", "#/expires"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ask(API_ROLE_ADMIN, "POST", "/v1/tokens", "", bad[i].body, 400);
        cr_assert_not_null(strstr(reply, bad[i].part), "%s: %s", bad[i].body, reply);
    }
    cr_assert_eq(r->bearers_made, 0);
}

Test(api_tokens, without_an_end_or_a_role_none_is_made)
{
    rest_run(&rest, misshape);
}

static void replace(struct rig *r)
{
    static const char path[] = "/v1/tokens/0123456789ab";
    static const char tag[] = "If-Match: \"0000000000000029\"\r\n";

    ask(API_ROLE_ADMIN, "GET", path, "", "", 200);
    cr_assert_not_null(strstr(reply, "ETag: \"0000000000000029\"\r\n"), "%s", reply);
    ask(API_ROLE_ADMIN, "GET", path, "If-None-Match: \"0000000000000029\"\r\n", "", 304);
    r->bearer_version = 42;
    ask(API_ROLE_ADMIN, "DELETE", path, tag, "", 412);
    ask(API_ROLE_ADMIN, "DELETE", path, "", "", 428);
    cr_assert_eq(r->bearers_removed, 0);
    r->bearer_version = 41;
    ask(API_ROLE_ADMIN, "DELETE", path, tag, "", 200);
    ask(API_ROLE_ADMIN, "DELETE", path, "If-Match: *\r\n", "", 200);
    cr_assert_eq(r->bearers_removed, 2);
    ask(API_ROLE_ADMIN, "DELETE", path, "If-Match: *\r\nIdempotency-Key: d1\r\n", "", 200);
    ask(API_ROLE_ADMIN, "DELETE", path, "If-Match: *\r\nIdempotency-Key: d1\r\n", "", 200);
    cr_assert_not_null(strstr(reply, "Idempotency-Replayed: true"), "%s", reply);
    cr_assert_eq(r->bearers_removed, 3);
    ask(API_ROLE_ADMIN, "PUT", path, "", "", 405);
    cr_assert_not_null(strstr(reply, "Allow: GET, HEAD, DELETE\r\n"), "%s", reply);
    ask(API_ROLE_ADMIN, "PUT", "/v1/tokens", "", "", 405);
    cr_assert_not_null(strstr(reply, "Allow: GET, HEAD, POST\r\n"), "%s", reply);
}

Test(api_tokens, a_removal_names_its_version)
{
    rest_run(&rest, replace);
}

static void read_audit(const char *query, unsigned status, uint64_t after, bool oldest,
                       const char *principal, const char *operation)
{
    char path[512];
    const struct rig *r = &rest.rig;

    (void)snprintf(path, sizeof path, "/v1/audit%s", query);
    ask(API_ROLE_OPERATOR, "GET", path, "", "", status);
    if (status == 200) {
        cr_assert_eq(r->audit.after, after, "%s", query);
        cr_assert_eq(r->audit.oldest_first, oldest, "%s", query);
        cr_assert_str_eq(r->audit_principal, principal, "%s", query);
        cr_assert_str_eq(r->audit_operation, operation, "%s", query);
    }
}

static void filter(struct rig *r)
{
    read_audit("", 200, 0, false, "", "");
    cr_assert_eq(r->audit.limit, 200);
    read_audit("?limit=7&order=oldest&cursor=0000000000000010", 200, 16, true, "", "");
    cr_assert_eq(r->audit.limit, 7);
    read_audit("?order=newest&principal=email:a@example.org&operation=token.add", 200, 0, false,
               "email:a@example.org", "token.add");
    read_audit("?principal=cn:J%C3%B6rg%20M%26%25", 200, 0, false, "cn:J\303\266rg M&%", "");
    read_audit("?principal=a+b%2b", 200, 0, false, "a b+", ""); /* as forms have it */
    read_audit("?order=first", 400, 0, false, "", "");
    read_audit("?order=newest&order=oldest", 400, 0, false, "", "");
    read_audit("?principal=a&principal=b", 400, 0, false, "", "");
    read_audit("?principal=", 400, 0, false, "", "");
    read_audit("?principal=%00", 400, 0, false, "", "");
    read_audit("?principal=a%0a", 400, 0, false, "", "");
    read_audit("?principal=a%4", 400, 0, false, "", "");
    read_audit("?principal=a%", 400, 0, false, "", "");
    read_audit("?principal=a%zz", 400, 0, false, "", "");
    read_audit("?operation=12345678901234567890123456789012345678901234567890123456789012345", 400,
               0, false, "", "");
    ask(API_ROLE_ADMIN, "GET", "/v1/tokens?order=oldest", "", "", 400);
    ask(API_ROLE_OPERATOR, "GET", "/v1/audit/2", "", "", 200);
    ask(API_ROLE_OPERATOR, "GET", "/v1/audit/3", "", "", 404);
    ask(API_ROLE_OPERATOR, "GET", "/v1/audit/02", "", "", 404);
    ask(API_ROLE_OPERATOR, "GET", "/v1/audit/18446744073709551617", "", "", 404);
    ask(API_ROLE_OPERATOR, "GET", "/v1/audit/-1", "", "", 404);
}

Test(api_tokens, which_entries_of_the_audit)
{
    rest_run(&rest, filter);
}

/* The note goes its own way: until the control loop has done something that was asked for after it. */
static void barrier(void)
{
    ask(API_ROLE_ADMIN, "GET", "/v1/tokens", "", "", 200);
}

static void be_refused(struct rig *r)
{
    struct rest_who stranger = {.certificate = &rest.stranger}, nobody = {0};

    ask(API_ROLE_VIEWER, "POST", "/v1/nodes/7/drain", "X-Request-Id: r-9\r\n", "{\"drained\":true}",
        403);
    barrier();
    cr_assert_eq(r->notes, 1);
    cr_assert_str_eq(r->noted, "POST /v1/nodes/{id}/drain|/v1/nodes/7/drain|forbidden");
    cr_assert_str_eq(r->asker.role, "viewer");
    cr_assert_str_eq(r->asker.principal, "token:viewer");
    cr_assert_str_eq(r->asker.request_id, "r-9");
    ask(API_ROLE_ADMIN, "POST", "/v1/drills/arm", "", "{}", 403);
    ask(API_ROLE_OPERATOR, "DELETE", "/v1/tokens/0123456789ab", "", "", 403);
    barrier();
    cr_assert_eq(r->notes, 3);
    /* What changes nothing, and strangers, who could make as many as they like. */
    ask(API_ROLE_VIEWER, "GET", "/v1/audit", "", "", 403);
    cr_assert_eq(rest_ask(&rest, &stranger, "POST", "/v1/reload", "", "{}", reply), 403);
    cr_assert_eq(rest_ask(&rest, &nobody, "POST", "/v1/reload", "", "{}", reply), 401);
    ask(API_ROLE_ADMIN, "POST", "/v1/reload", "", "{\"x\":1}", 400);
    barrier();
    cr_assert_eq(r->notes, 3);
    cr_assert(r->drains == 0 && r->arms == 0 && r->reloads == 0 && r->bearers_removed == 0);
}

Test(api_tokens, a_change_refused_to_somebody_known_is_noted)
{
    rest_run(&rest, be_refused);
}

static void be_cut_off(struct rig *r)
{
    struct rest_who admin = {.certificate = &rest.clients[API_ROLE_ADMIN]}, nobody = {0};

    ask(API_ROLE_ADMIN, "GET", "/v1/cluster", "", "", 200);
    rest.cut_off = true;
    ask(API_ROLE_ADMIN, "GET", "/v1/cluster", "", "", 503);
    cr_assert_not_null(strstr(reply, "no-quorum"), "%s", reply);
    ask(API_ROLE_ADMIN, "POST", "/v1/reload", "", "{}", 503);
    cr_assert_eq(r->reloads, 0);
    cr_assert_eq(rest_ask(&rest, &admin, "GET", "/v1/cluster", "", "", reply), 200);
    cr_assert_eq(rest_ask(&rest, &nobody, "GET", "/livez", "", "", reply), 200);
    rest.cut_off = false;
    ask(API_ROLE_ADMIN, "GET", "/v1/cluster", "", "", 200);
}

Test(api_tokens, a_node_that_is_cut_off_takes_no_token)
{
    rest_run(&rest, be_cut_off);
}
