/* Who asked to join goes with the token, to members that know how to write it down, and comes into the record as it was said: the
 * daemon's own file over doubles of the log, the links and the admin server. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/tables.h"
#include "fuzz/admin/members_doubles.h"
#include "replication/record.h"

enum { JOIN = 1, JOIN_BY = 5 };

static struct daemon d;
static struct config config;
static const struct log quiet = {LOG_ERROR, -1};

/* Node 1 of one other, node 2: as a member, or outside. */
static void begin(enum repl_role role)
{
    struct repl_status *st = &doubles.status;

    memset(&doubles, 0, sizeof doubles);
    memset(&d, 0, sizeof d);
    config.node_id = 1;
    d.config = &config;
    d.log = &quiet;
    doubles.now_ms = 1000;
    *st = (struct repl_status){.node = 1, .leader = 2, .speaks = RECORD_SPEAKS, .quorum = true};
    st->n_nodes = 2;
    st->nodes[0] = (struct repl_node_status){.node = 1, .role = role, .connected = true};
    st->nodes[1] = (struct repl_node_status){.node = 2, .role = REPL_VOTER, .connected = true};
    admin_members_fill(&d.backend);
}

Test(join_by, members_of_before_are_asked_as_they_know_it)
{
    unsigned by, plain;

    begin(REPL_OUTSIDE);
    d.backend.join(&d, doubles_request(), "000102030405060708090a0b0c0d0e0f", &doubles_asker);
    for (int i = 0; i < 8; i++) {
        doubles.now_ms += 500;
        admin_members_tick(&d);
        if (i < 3)
            cr_assert_eq(doubles.kinds[JOIN], 0, "who knows better was not waited for");
    }
    by = doubles.kinds[JOIN_BY];
    plain = doubles.kinds[JOIN];
    cr_assert(by >= 6 && plain >= 2 && by + plain == 9, "%u and %u", by, plain);
    doubles.status.nodes[0].role = REPL_VOTER;
    admin_members_tick(&d);
    cr_assert(doubles.answered == 1 && doubles.refused == 0);
}

/* A frame of node 2, whose token waits. */
static void hear(uint8_t kind, const char *asker, size_t n)
{
    uint8_t frame[600] = {kind}, *token = frame + 1;
    struct span part = span_of(token, DAEMON_TOKEN_BYTES);
    size_t at = 1 + DAEMON_TOKEN_BYTES;

    begin(REPL_VOTER);
    doubles.status.nodes[1].role = REPL_EXPECTED;
    memset(token, 7, DAEMON_TOKEN_BYTES);
    doubles.status.n_tokens = 1;
    doubles.status.tokens[0].node = 2;
    cr_assert(suite_default.sha256->compute(&part, 1, doubles.status.tokens[0].hash));
    put_be32(frame + at, RECORD_SPEAKS);
    memcpy(frame + at + 4, asker, n);
    admin_members_frame(&d, 2, span_of(frame, at + 4 + n));
}

Test(join_by, what_the_new_node_says_is_in_the_record)
{
    static const char said[] = "root\0root\0local\0r-7";

    hear(JOIN_BY, said, sizeof said);
    cr_assert_eq(doubles.joins, 1);
    cr_assert_str_eq(doubles.asked_by, "root root local r-7");
    hear(JOIN, "", 0);
    cr_assert_eq(doubles.joins, 1, "a node of before joins, too");
    cr_assert_str_eq(doubles.asked_by, "");
}

Test(join_by, what_the_log_would_refuse_is_not_heeded)
{
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {
        {"", 0},
        {"root\0root\0local", 15},                     /* no request id */
        {"root\0root\0local\0r", 17},                  /* no end */
        {"root\0root\0local\0r\0", 19},                /* more */
        {"root\0ro\x01t\0local\0r", 18},               /* cannot be shown */
        {"root\0\xff\0local\0r", 15},                  /* no UTF-8 */
        {"longer than a role is\0root\0local\0r", 35}, /* too long */
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hear(JOIN_BY, bad[i].bytes, bad[i].n);
        cr_assert_eq(doubles.joins, 0, "row %zu", i);
    }
    hear(JOIN, "root", 5);
    cr_assert_eq(doubles.joins, 0, "what it says is not in that kind");
}
