/* The same again: Idempotency-Key, answers that several share, preconditions, limits of rate. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "api/http.h"
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

TestSuite(api_again, .init = start, .fini = end, .timeout = 60);

static const struct rest_who *operator_(void)
{
    static struct rest_who who;

    who = (struct rest_who){.certificate = &rest.clients[API_ROLE_OPERATOR]};
    return &who;
}

static void post(const char *key, const char *body, unsigned status, const char *part)
{
    char headers[160];
    unsigned got;

    (void)snprintf(headers, sizeof headers, "Idempotency-Key: %s\r\n", key);
    got = rest_ask(&rest, operator_(), "POST", "/v1/cluster/leader", headers, body, reply);
    cr_assert_eq(got, status, "%s: %u, not %u: %s", key, got, status, reply);
    cr_assert_not_null(strstr(reply, part), "no '%s' in %s", part, reply);
}

static void repeat(struct rig *r)
{
    struct rest_who admin = {.certificate = &rest.clients[API_ROLE_ADMIN]};

    post("a1", "{\"node\":2}", 200, "{}");
    cr_assert_null(strstr(reply, "Idempotency-Replayed"));
    post("a1", "{\"node\":2}", 200, "Idempotency-Replayed: true\r\n");
    post("\"a1\"", "{\"node\":2}", 200, "Idempotency-Replayed: true\r\n");
    cr_assert_eq(r->transfers, 1);
    post("a1", "{\"node\":3}", 422, "idempotency-mismatch");
    post("a2", "{\"node\":2}", 200, "{}");
    cr_assert_eq(r->transfers, 2);
    /* Another's key is another key. */
    cr_assert_eq(rest_ask(&rest, &admin, "POST", "/v1/cluster/leader", "Idempotency-Key: a1\r\n",
                          "{\"node\":3}", reply),
                 200);
    cr_assert_eq(r->transfers, 3);
    post("a b", "{\"node\":2}", 400, "bad-idempotency-key");
    post("", "{\"node\":2}", 400, "bad-idempotency-key");
    r->how = RIG_REFUSE; /* what is refused is kept, too */
    post("a3", "{\"node\":2}", 409, "no-leader");
    r->how = RIG_NOW;
    post("a3", "{\"node\":2}", 409, "Idempotency-Replayed: true\r\n");
    r->how = RIG_REFUSE; /* but not what is refused for the moment */
    r->refuse_status = 503;
    r->refuse_name = "busy";
    post("a4", "{\"node\":2}", 503, "busy");
    r->how = RIG_NOW;
    post("a4", "{\"node\":2}", 200, "{}");
    for (unsigned i = 0; i < API_KEPT_ANSWERS; i++) { /* the oldest go */
        char key[16];

        (void)snprintf(key, sizeof key, "b%u", i);
        post(key, "{\"node\":2}", 200, "{}");
    }
    post("b255", "{\"node\":2}", 200, "Idempotency-Replayed: true\r\n");
    post("a2", "{\"node\":2}", 200, "{}");
    cr_assert_null(strstr(reply, "Idempotency-Replayed"));
}

Test(api_again, the_same_key_gets_the_same_answer_once_done)
{
    rest_run(&rest, repeat);
}

/* No outcome in time: the key still stands for it, and gets it when it comes. */
static void be_late(struct rig *r)
{
    post("late", "{\"node\":2}", 504, "outcome-unknown");
    post("late", "{\"node\":2}", 409, "idempotency-in-progress");
    r->how = RIG_LATER; /* this one, then all that are held, are answered */
    post("other", "{\"node\":2}", 200, "late");
    post("late", "{\"node\":2}", 200, "Idempotency-Replayed: true\r\n");
    cr_assert_eq(r->transfers, 2);
}

Test(api_again, an_outcome_that_came_late_is_kept)
{
    rest.rig.how = RIG_HOLD;
    rest.rig.options.answer_ms = 200;
    rest_run(&rest, be_late);
}

static unsigned read_cluster(const char *headers)
{
    return rest_ask(&rest, operator_(), "GET", "/v1/cluster", headers, "", reply);
}

/* The loop stands still while many ask: one answer is made for all of them. */
static void share(struct rig *r)
{
    struct rest_connection *c[32];
    char line[256] = "GET /v1/cluster HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    unsigned before, asked = 0;

    (void)line;
    for (size_t i = 0; i < 32; i++) {
        c[i] = rest_connect(&rest, operator_(), 0);
        cr_assert_not_null(c[i]);
    }
    before = r->reads;
    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < 32; i++, asked++) {
            cr_assert(rest_request(c[i], "GET", "/v1/cluster", "", "", reply));
            cr_assert_eq(rest_status(reply), 200);
        }
    }
    cr_assert_lt(r->reads - before, asked / 2, "%u reads for %u", r->reads - before, asked);
    /* What was read before a write is not shown after it. */
    before = r->reads;
    cr_assert_eq(read_cluster(""), 200);
    post("w", "{\"node\":2}", 200, "{}");
    cr_assert_eq(read_cluster(""), 200);
    cr_assert_gt(r->reads, before);
    for (size_t i = 0; i < 32; i++) {
        rest_disconnect(c[i]);
    }
}

Test(api_again, one_answer_serves_all_who_ask_at_once)
{
    rest_run(&rest, share);
}

static void page(const char *path, unsigned status, uint64_t after, uint32_t limit)
{
    unsigned got = rest_ask(&rest, operator_(), "GET", path, "", "", reply);

    cr_assert_eq(got, status, "%s: %u: %s", path, got, reply);
    if (status == 200) {
        cr_assert_eq(rest.rig.page.after, after, "%s", path);
        cr_assert_eq(rest.rig.page.limit, limit, "%s", path);
    }
}

static void page_through(struct rig *r)
{
    (void)r;
    page("/v1/sas", 200, 0, API_MOST_PAGE); /* never the whole table */
    page("/v1/sas?limit=7", 200, 0, 7);
    page("/v1/sas?limit=7&cursor=00000000000000ff", 200, 255, 7);
    page("/v1/sas?cursor=00000000000000FF&consistency=stale", 200, 255, API_MOST_PAGE);
    page("/v1/sas?limit=0", 400, 0, 0);
    page("/v1/sas?limit=201", 400, 0, 0);
    page("/v1/sas?limit=7&limit=8", 400, 0, 0);
    page("/v1/sas?limit", 400, 0, 0);
    page("/v1/sas?limit=%37", 400, 0, 0);
    page("/v1/sas?cursor=ff", 400, 0, 0);
    page("/v1/sas?consistency=strong", 400, 0, 0);
    page("/v1/sas?consistency=leader&consistency=stale", 400, 0, 0);
    page("/v1/cluster?limit=7", 400, 0, 0);
    page("/v1/cluster?consistency=leader", 200, 255, API_MOST_PAGE);
    r->follows = true;
    page("/v1/cluster?consistency=leader", 503, 0, 0);
    cr_assert_not_null(strstr(reply, "not-leader"));
}

Test(api_again, pages_and_what_a_query_may_say)
{
    rest_run(&rest, page_through);
}

static void name_requests(struct rig *r)
{
    (void)r;
    cr_assert_eq(read_cluster("X-Request-Id: abc.DEF_1-2\r\n"), 200);
    cr_assert_not_null(strstr(reply, "X-Request-Id: abc.DEF_1-2\r\n"));
    cr_assert_eq(read_cluster("X-Request-Id: <script>\r\n"), 200);
    cr_assert_null(strstr(reply, "script"));
    cr_assert_not_null(strstr(reply, "X-Request-Id: "));
    /* A form that a browser would send along with its certificate. */
    cr_assert_eq(rest_ask(&rest, operator_(), "POST", "/v1/cluster/leader",
                          "Content-Type: text/plain\r\n", "{\"node\":2}", reply),
                 415);
    cr_assert_eq(rest_ask(&rest, operator_(), "POST", "/v1/cluster/leader", "",
                          "{\"node\":2,\"a/b~\":1}", reply),
                 400);
    cr_assert_not_null(strstr(reply, "\"errors\":[{\"pointer\":\"#/a~1b~0\""), "%s", reply);
    cr_assert_eq(rest_ask(&rest, operator_(), "HEAD", "/v1/sas", "", "", reply), 200);
    cr_assert_null(strstr(reply, "{\"sas\""));
    cr_assert_eq(rest_ask(&rest, operator_(), "GET", "/v1/cluster/leader", "", "", reply), 405);
    cr_assert_not_null(strstr(reply, "Allow: POST\r\n"));
    cr_assert_eq(r->transfers, 0);
}

Test(api_again, ids_types_pointers_methods)
{
    rest_run(&rest, name_requests);
}

static void match(const char *given, const char *tag, unsigned status)
{
    struct api_call *call = api_call_create();

    (void)snprintf(call->if_match, sizeof call->if_match, "%s", given);
    cr_assert_eq(api_call_matches(call, tag), status == 0, "'%s' '%s'", given, tag);
    cr_assert_eq(call->status, status, "'%s' '%s': %u", given, tag, call->status);
    api_call_release(call);
}

Test(api_again, changes_need_the_version_that_they_change)
{
    match("", "\"7\"", 428);
    match("\"6\"", "\"7\"", 412);
    match("W/\"7\"", "\"7\"", 412);
    match("\"7\"", "\"7\"", 0);
    match("*", "\"7\"", 0);
    match("*", "", 412);
    match("\"7\"", "", 412);
}

Test(api_again, rates_are_of_each_address_and_fill_up)
{
    static struct api_rate rate = {.rate = 10, .burst = 3};
    uint8_t a[API_ADDRESS_BYTES] = {1}, b[API_ADDRESS_BYTES] = {2};
    uint64_t wait_ms = 0;

    for (unsigned i = 0; i < 3; i++) {
        cr_assert(api_rate_take(&rate, a, 1000, &wait_ms));
    }
    cr_assert_not(api_rate_take(&rate, a, 1000, &wait_ms));
    cr_assert_eq(wait_ms, 100);
    cr_assert(api_rate_take(&rate, b, 1000, &wait_ms));
    cr_assert_not(api_rate_take(&rate, a, 1099, &wait_ms));
    cr_assert(api_rate_take(&rate, a, 1100, &wait_ms));
    cr_assert_not(api_rate_take(&rate, a, 1100, &wait_ms));
    for (unsigned i = 0; i < 100000; i++) { /* more than there is room for: still bounded */
        memcpy(b, &i, sizeof i);
        (void)api_rate_take(&rate, b, 2000 + i, &wait_ms);
    }
    cr_assert(api_rate_take(&rate, a, 200000, &wait_ms));
}
