/* Routes, arguments, answers now and later, and requests that outlive their client or the server.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/api/rig.h"

static struct rig rig;
static char reply[RIG_REPLY_BYTES];

static void start(void)
{
    rig_init(&rig);
}

static void end(void)
{
    rig_deinit(&rig);
}

TestSuite(api, .init = start, .fini = end);

static void expect(const char *method, const char *path, const char *body, unsigned status,
                   const char *part)
{
    char line[32];

    (void)rig_ask(&rig, method, path, body, reply);
    (void)snprintf(line, sizeof line, "HTTP/1.1 %u ", status);
    cr_assert_eq(strncmp(reply, line, strlen(line)), 0, "%s %s %s: %s", method, path, body, reply);
    cr_assert_not_null(strstr(reply, part), "%s %s %s: no '%s' in %s", method, path, body, part,
                       reply);
    cr_assert_not_null(strstr(reply, status < 400 ? "Content-Type: application/json\r\n"
                                                  : "Content-Type: application/problem+json\r\n"));
}

static void read_things(struct rig *r)
{
    (void)r;
    expect("GET", "/v1/cluster", "", 200, "{\"node\":1,\"leader\":2}\n");
    expect("GET", "/v1/sas", "", 200, "{\"sas\":[]}\n");
    expect("HEAD", "/v1/sas", "", 200, "Content-Length: 11\r\n");
    cr_assert_null(strstr(reply, "sas"));
    expect("GET", "/", "", 404, "\"type\":\"urn:holdfast:problem:no-such-path\"");
    expect("GET", "/v1/cluster/", "", 404, "no-such-path");
    expect("GET", "/v1/sas/0123456789abcdef", "", 404,
           "there is nothing at /v1/sas/0123456789abcdef");
    expect("POST", "/v1/cluster", "{}", 405, "Allow: GET, HEAD\r\n");
    expect("GET", "/v1/cluster/leader", "", 405, "Allow: POST\r\n");
    expect("DELETE", "/v1/sas", "", 405, "DELETE is not allowed here, only GET, HEAD");
}

Test(api, reads_and_what_is_not_there)
{
    rig_run(&rig, read_things);
}

static void read_refused(struct rig *r)
{
    (void)r;
    expect("GET", "/v1/cluster", "", 503,
           "{\"type\":\"urn:holdfast:problem:starting\",\"title\":\"Service "
           "Unavailable\",\"status\":503,"
           "\"detail\":\"this node has not caught up yet\",\"docs\":\"/v1/problems/starting\"}\n");
}

Test(api, a_read_that_the_backend_refuses)
{
    rig.no_cluster = true;
    rig_run(&rig, read_refused);
}

static void write_things(struct rig *r)
{
    expect("POST", "/v1/cluster/leader", "{\"node\":2}", 200, "\r\n\r\n{}\n");
    cr_assert_eq(r->transfers, 1);
    cr_assert_eq(r->node, 2);
    expect("POST", "/v1/sas/0123456789abcdef/rekey",
           "{\"kind\":\"child\",\"child\":\"c0ffee01\",\"pfs\":false}", 200, "{}");
    cr_assert_eq(r->rekey.sa_id, 0x0123456789abcdefull);
    cr_assert_eq(r->rekey.kind, API_REKEY_CHILD);
    cr_assert_eq(r->rekey.child_spi_in, 0xc0ffee01u);
    cr_assert_eq(r->rekey.pfs, API_PFS_NO);
    expect("POST", "/v1/shards/7/handover", "{\"to\":3}", 200, "{}");
    cr_assert(r->moves == 1 && r->move.shard == 7 && r->move.to == 3);
    expect("POST", "/v1/nodes/2/drain", "{\"drained\":true}", 200, "{}");
    cr_assert(r->drains == 1 && r->drain.node == 2 && r->drain.drained);
    expect("POST", "/v1/nodes/3/remove", "{}", 200, "{}");
    cr_assert(r->removes == 1 && r->removed == 3);
    expect("POST", "/v1/cluster/tokens",
           "{\"node\":4,\"address\":\"10.0.0.4:7400\",\"valid_s\":60}", 200, "{}");
    cr_assert(r->tokens == 1 && r->token.node == 4 && r->token.valid_s == 60);
    cr_assert_str_eq(r->token.address, "10.0.0.4:7400");
    expect("POST", "/v1/cluster/keys", "{}", 200, "{}");
    cr_assert_eq(r->rotations, 1);
    expect("POST", "/v1/cluster/join", "{\"token\":\"00ff\"}", 200, "{}");
    cr_assert_str_eq(r->joined_by, "00ff");
    expect("POST", "/v1/cluster/recover", "{\"lost\":\"2,3\"}", 200, "{}");
    cr_assert(r->recoveries == 1 && strcmp(r->lost, "2,3") == 0);
    expect("POST", "/v1/nodes/65535/drain", "{\"drained\":false}", 200, "{}");
    cr_assert(r->drains == 2 && r->drain.node == 65535 && !r->drain.drained);
    expect("POST", "/v1/sas/0123456789abcdef/rekey", "{\"kind\":\"ike\"}", 200, "{}");
    cr_assert_eq(r->rekey.kind, API_REKEY_IKE);
    cr_assert_eq(r->rekey.pfs, API_PFS_POLICY);
    cr_assert_eq(r->rekey.child_spi_in, 0);
    expect("POST", "/v1/drills/arm",
           "{\"point\":\"child-rekey-pfs:gateway:submitted\",\"mode\":\"machine\"}", 200, "{}");
    cr_assert_str_eq(r->arm.point, "child-rekey-pfs:gateway:submitted");
    cr_assert_eq(r->arm.mode, API_ARM_MACHINE);
    cr_assert_eq(r->rekeys, 2);
    cr_assert_eq(r->arms, 1);
    expect("POST", "/v1/reload", "{}", 200, "{}");
    cr_assert_eq(r->reloads, 1);
}

Test(api, writes_answered_at_once)
{
    rig_run(&rig, write_things);
}

struct bad {
    const char *path, *body, *part;
};

static const struct bad bads[] = {
    {"/v1/cluster/leader", "", "the body is not JSON: line 1, column 0"},
    {"/v1/cluster/leader", "{", "malformed-json"},
    {"/v1/cluster/leader", "[1]", "the body must be one JSON object"},
    {"/v1/cluster/leader", "{\"node\":1} x", "malformed-json"},
    {"/v1/cluster/leader", "{\"node\":1,\"node\":2}", "duplicate object key"},
    {"/v1/cluster/leader", "{\"node\":\"\\u0000\"}", "malformed-json"},
    {"/v1/cluster/leader", "{\"node\":\"\xff\"}", "malformed-json"},
    {"/v1/cluster/leader", "{}", "the member 'node' is missing"},
    {"/v1/cluster/leader", "{\"node\":0}", "'node' must be a whole number from 1 to 65535"},
    {"/v1/cluster/leader", "{\"node\":70000}", "'node' must be a whole number"},
    {"/v1/cluster/leader", "{\"node\":1.5}", "'node' must be a whole number"},
    {"/v1/cluster/leader", "{\"node\":99999999999999999999}", "malformed-json"},
    {"/v1/cluster/leader", "{\"node\":\"2\"}", "'node' must be a whole number"},
    {"/v1/cluster/leader", "{\"node\":2,\"nod\":1}", "the member 'nod' is not known here"},
    {"/v1/shards/1/handover", "{}", "the member 'to' is missing"},
    {"/v1/shards/1/handover", "{\"to\":0}", "'to'"},
    {"/v1/nodes/1/remove", "{\"force\":true}", "'force'"},
    {"/v1/cluster/join", "{}", "'token'"},
    {"/v1/cluster/recover", "{}", "'lost'"},
    {"/v1/cluster/recover", "{\"lost\":\"2\",\"force\":true}", "'force'"},
    {"/v1/cluster/recover", "{\"lost\":\"2\",\"highest_id\":0}", "'highest_id'"},
    {"/v1/cluster/recover", "{\"lost\":\"2\",\"why\":1}", "'why'"},
    {"/v1/cluster/tokens", "{\"node\":0,\"address\":\"a\",\"valid_s\":1}", "'node'"},
    {"/v1/cluster/tokens", "{\"node\":4,\"valid_s\":1}", "'address'"},
    {"/v1/nodes/1/drain", "{}", "'drained' must be true or false"},
    {"/v1/nodes/1/drain", "{\"drained\":1}", "'drained'"},
    {"/v1/sas/0123456789abcdef/rekey", "{}", "the member 'kind' is missing"},
    {"/v1/sas/0123456789abcdef/rekey", "{\"kind\":1}", "'kind' must be a string"},
    {"/v1/sas/0123456789abcdef/rekey", "{\"kind\":\"esp\"}",
     "'kind' must be \\\"child\\\" or \\\"ike\\\""},
    {"/v1/sas/0123456789abcdef/rekey", "{\"kind\":\"child\",\"child\":\"xyz\"}",
     "8 hexadecimal digits"},
    {"/v1/sas/0123456789abcdef/rekey", "{\"kind\":\"child\",\"child\":\"00000000\"}",
     "8 hexadecimal digits"},
    {"/v1/sas/0123456789abcdef/rekey", "{\"kind\":\"child\",\"pfs\":1}",
     "'pfs' must be true or false"},
    {"/v1/sas/0123456789abcdef/rekey", "{\"kind\":\"ike\",\"pfs\":true}",
     "an IKE rekey always has a key exchange"},
    {"/v1/drills/arm", "{\"point\":\"x\"}", "the member 'mode' is missing"},
    {"/v1/drills/arm", "{\"point\":\"\",\"mode\":\"process\"}",
     "'point' must be exchange:role:point"},
    {"/v1/drills/arm", "{\"point\":\"a b\",\"mode\":\"process\"}",
     "'point' must be exchange:role:point"},
    {"/v1/drills/arm", "{\"point\":\"x\",\"mode\":\"gently\"}",
     "'mode' must be \\\"process\\\" or \\\"machine\\\""},
};

static void write_badly(struct rig *r)
{
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        expect("POST", bads[i].path, bads[i].body, 400, bads[i].part);
    }
    expect("POST", "/v1/sas/xyz/rekey", "{\"kind\":\"ike\"}", 404,
           "'xyz' is no SA: an id is 16 hexadecimal digits");
    expect("POST", "/v1/sas//rekey", "{\"kind\":\"ike\"}", 404, "no-such-path");
    expect("POST", "/v1/shards/0/handover", "{\"to\":1}", 404, "'0' is no shard");
    expect("POST", "/v1/shards/65536/handover", "{\"to\":1}", 404, "'65536' is no shard");
    expect("POST", "/v1/nodes/1x/drain", "{\"drained\":true}", 404, "'1x' is no node");
    cr_assert_eq(r->transfers + r->rekeys + r->arms + r->moves + r->drains, 0);
}

Test(api, what_is_malformed_never_reaches_the_backend)
{
    rig_run(&rig, write_badly);
}

static void write_refused(struct rig *r)
{
    (void)r;
    expect("POST", "/v1/cluster/leader", "{\"node\":2}", 409, "no leader is known");
}

Test(api, a_write_that_the_backend_refuses)
{
    rig.how = RIG_REFUSE;
    rig_run(&rig, write_refused);
}

static void write_late(struct rig *r)
{
    (void)r;
    expect("POST", "/v1/cluster/leader", "{\"node\":2}", 200, "{\"late\":true}");
}

Test(api, a_write_whose_outcome_comes_later)
{
    rig.how = RIG_LATER;
    rig.delay_ms = 30;
    rig_run(&rig, write_late);
}

static void write_held(struct rig *r)
{
    expect("POST", "/v1/cluster/leader", "{\"node\":2}", 504, "no outcome within 250 ms");
    cr_assert_eq(r->n_held, 1); /* answered at the end, without effect */
    expect("GET", "/v1/cluster", "", 200, "leader");
}

Test(api, a_write_without_outcome_is_said_to_be_unknown)
{
    rig.how = RIG_HOLD;
    rig.options.answer_ms = 250;
    rig_run(&rig, write_held);
}

static const char post[] =
    "POST /v1/cluster/leader HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{\"node\":2}";

/* Waits until the backend has had n writes. */
static void await_transfers(struct rig *r, unsigned n)
{
    while (r->transfers < n) {
        (void)rig_ask(r, "GET", "/v1/sas", "", reply);
    }
}

static void leave_early(struct rig *r)
{
    for (unsigned i = 0; i < 8; i++) {
        int fd = rig_connect(r);

        rig_send(fd, post, sizeof post - 1);
        await_transfers(r, i + 1);
        (void)close(fd);
    }
    expect("GET", "/v1/cluster", "", 200, "leader");
}

Test(api, clients_that_leave_while_they_wait)
{
    rig.how = RIG_HOLD;
    rig_run(&rig, leave_early);
}

static int left_open[4];

static void keep_waiting(struct rig *r)
{
    for (unsigned i = 0; i < 4; i++) {
        left_open[i] = rig_connect(r);
        rig_send(left_open[i], post, sizeof post - 1);
        await_transfers(r, i + 1);
    }
    for (unsigned i = 0; i < 4; i++) {
        (void)close(left_open[i]);
    }
}

Test(api, the_server_is_closed_while_requests_are_with_the_backend)
{
    rig.how = RIG_HOLD;
    rig.close_while_held = true;
    rig_run(&rig, keep_waiting);
}

/* Five requests in one write, the middle one waits: the answers come in order. */
static void pipeline(struct rig *r)
{
    static const char get[] = "GET /v1/sas HTTP/1.1\r\nHost: x\r\n\r\n";
    int fd = rig_connect(r);
    char all[1024];
    const char *late, *first, *last;

    (void)snprintf(all, sizeof all, "%s%s%s%s%s", get, get, post, get,
                   "GET /none HTTP/1.1\r\nHost: x\r\n\r\n");
    rig_send(fd, all, strlen(all));
    (void)rig_read_answers(fd, reply, 5);
    first = strstr(reply, "sas");
    late = strstr(reply, "late");
    last = strstr(reply, "no-such-path");
    cr_assert(first != NULL && late != NULL && last != NULL && first < late && late < last, "%s",
              reply);
    (void)close(fd);
}

Test(api, pipelined_requests_are_answered_in_order)
{
    rig.how = RIG_LATER;
    rig.delay_ms = 20;
    rig_run(&rig, pipeline);
}

/* What curl says when it is told nothing else: at root's socket it is no matter. */
static void post_a_form(struct rig *r)
{
    static const char form[] = "POST /v1/cluster/leader HTTP/1.1\r\nHost: x\r\nContent-Type: "
                               "application/x-www-form-urlencoded\r\nContent-Length: "
                               "10\r\n\r\n{\"node\":2}";
    int fd = rig_connect(r);

    rig_send(fd, form, sizeof form - 1);
    (void)rig_read_answers(fd, reply, 1);
    cr_assert_eq(strncmp(reply, "HTTP/1.1 200 ", 13), 0, "%s", reply);
    cr_assert_eq(r->transfers, 1);
    (void)close(fd);
}

Test(api, a_body_needs_no_type_at_roots_socket)
{
    rig_run(&rig, post_a_form);
}

static void ask_often(struct rig *r)
{
    int fd = rig_connect(r);

    for (unsigned i = 0; i < 200; i++) {
        rig_send(fd, post, sizeof post - 1);
        (void)rig_read_answers(fd, reply, 1);
    }
    cr_assert_eq(r->transfers, 200);
    (void)close(fd);
}

Test(api, many_requests_on_one_connection)
{
    rig_run(&rig, ask_often);
}
