/* Which failed attempts are asked for, over TLS, and by whom. */
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

TestSuite(api_attempts, .init = start, .fini = end, .timeout = 60);

static void ask(enum api_role role, const char *path, unsigned status)
{
    struct rest_who who = {.bearer = rest.bearer[role]};
    unsigned got = rest_ask(&rest, &who, "GET", path, "", "", reply);

    cr_assert_eq(got, status, "%s: %u, not %u: %s", path, got, status, reply);
}

static void wanted(const char *query, unsigned status, uint64_t below, uint32_t limit,
                   const char *peer, const char *identity)
{
    char path[512];
    const struct rig *r = &rest.rig;

    (void)snprintf(path, sizeof path, "/v1/attempts%s", query);
    ask(API_ROLE_VIEWER, path, status);
    if (status == 200) {
        cr_assert_eq(r->attempts.below, below, "%s", query);
        cr_assert_eq(r->attempts.limit, limit, "%s", query);
        cr_assert_str_eq(r->attempts_peer, peer, "%s", query);
        cr_assert_str_eq(r->attempts_identity, identity, "%s", query);
    }
}

static void filter(struct rig *r)
{
    (void)r;
    wanted("", 200, 0, 200, "", "");
    wanted("?limit=7&cursor=0001a3f20000002a", 200, 0x0001a3f20000002a, 7, "", "");
    wanted("?peer=192.0.2.7", 200, 0, 200, "192.0.2.7", "");
    wanted("?peer=2001%3adb8::7&identity=a%5Cx1b%20b", 200, 0, 200, "2001:db8::7", "a\\x1b b");
    wanted("?peer=192.0.2.7:500", 400, 0, 0, "", "");
    wanted("?peer=gw.example.org", 400, 0, 0, "", "");
    wanted("?peer=", 400, 0, 0, "", "");
    wanted("?peer=192.0.2.7&peer=192.0.2.7", 400, 0, 0, "", "");
    wanted("?peer=1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa", 400, 0, 0, "", "");
    wanted("?identity=a&identity=b", 400, 0, 0, "", "");
    wanted("?identity=a%0a", 400, 0, 0, "", "");
    wanted("?identity=", 400, 0, 0, "", "");
    wanted("?principal=root", 400, 0, 0, "", "");
    wanted("?cursor=1", 400, 0, 0, "", "");
    ask(API_ROLE_VIEWER, "/v1/sas?peer=192.0.2.7", 400);
}

Test(api_attempts, which_ones)
{
    rest_run(&rest, filter);
}

static void look_at_one(struct rig *r)
{
    (void)r;
    ask(API_ROLE_VIEWER, "/v1/attempts/0001A3F20000002a", 200);
    cr_assert_not_null(strstr(reply, "\"id\":\"0001a3f20000002a\""), "%s", reply);
    ask(API_ROLE_VIEWER, "/v1/attempts/0000000000000001", 404);
    cr_assert_not_null(strstr(reply, "urn:holdfast:problem:unknown-attempt"), "%s", reply);
    ask(API_ROLE_VIEWER, "/v1/attempts/0000000000000000", 404);
    ask(API_ROLE_VIEWER, "/v1/attempts/12", 404);
    ask(API_ROLE_VIEWER, "/v1/attempts/0001a3f20000002g", 404);
}

Test(api_attempts, one_by_its_id)
{
    rest_run(&rest, look_at_one);
}
