/* What an operator is told of a removal is true whenever the log settles what was written down for it:
 * the daemon's own file over doubles of the log, the links and the admin server. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "fuzz/admin/members_doubles.h"
#include "replication/record.h"

enum { BEGAN_MS = 500000 }; /* cluster time, as of the state */

static struct daemon d;

/* Three voters that are well; this is node 1, which owns the shard. */
static void begin(uint32_t speaks)
{
    static const struct log quiet = {LOG_ERROR, -1};
    struct repl_status *st = &doubles.status;

    memset(&doubles, 0, sizeof doubles);
    memset(&d, 0, sizeof d);
    d.log = &quiet;
    doubles.now_ms = 1000;
    *st = (struct repl_status){
        .node = 1, .leader = 1, .speaks = speaks, .quorum = true, .applied_ms = BEGAN_MS};
    st->n_nodes = 3;
    for (size_t i = 0; i < 3; i++)
        st->nodes[i] = (struct repl_node_status){
            .node = (uint32_t)i + 1, .connected = true, .heard = true, .role = REPL_VOTER};
    st->n_shards = 1;
    st->shards[0] = (struct repl_shard_status){.shard = 1, .owner_node = 1};
    admin_members_fill(&d.backend);
}

/* Both clocks go on, or only the daemon's: no entry is applied. */
static void pass(uint64_t ms, bool applied)
{
    for (uint64_t end = doubles.now_ms + ms; doubles.now_ms < end;) {
        doubles.now_ms += 100;
        doubles.status.applied_ms += applied ? 100 : 0;
        admin_members_tick(&d);
    }
}

static void ask(uint32_t node)
{
    d.backend.remove_node(&d, doubles_request(), node, &doubles_asker);
    admin_members_tick(&d);
}

static void leaves(size_t i)
{
    doubles.status.nodes[i].role = REPL_LEAVING;
    doubles.status.gone[doubles.status.n_gone++] = doubles.status.nodes[i].node;
}

static void is_out(void)
{
    doubles.status.n_nodes = 2;
}

static void cr_assert_refused(unsigned status, const char *name, const char *says)
{
    cr_assert_eq(doubles.refused, 1, "%u refusals", doubles.refused);
    cr_assert_eq(doubles.problem.status, status, "%u %s", doubles.problem.status,
                 doubles.problem.detail);
    cr_assert_str_eq(doubles.problem.name, name);
    cr_assert_not_null(strstr(doubles.problem.detail, says), "%s", doubles.problem.detail);
    cr_assert_null(d.member.request);
}

Test(remove, it_is_done)
{
    begin(RECORD_SPEAKS);
    ask(3);
    cr_assert(doubles.drains == 1 && doubles.drained);
    cr_assert_eq(doubles.leaves, 1);
    cr_assert_str_eq(doubles.asked_by, "admin email:a 10.9.9.9 r-1");
    leaves(2);
    pass(1000, true);
    cr_assert_eq(doubles.answered, 0, "the configuration has it");
    is_out();
    pass(100, true);
    cr_assert(doubles.answered == 1 && doubles.refused == 0);
    cr_assert_eq(doubles.leaves, 1);
}

/* Nobody knows when the log takes it: a leader that was cut off may have it. */
Test(remove, what_the_log_may_take_yet_is_not_refused)
{
    for (uint32_t speaks = RECORD_SPEAKS_UNTIL - 1; speaks <= RECORD_SPEAKS; speaks++) {
        begin(speaks);
        ask(3);
        cr_assert_gt(doubles.leaves, 0);
        pass(10000, false);
        cr_assert_refused(504, "outcome-unknown", "GET /v1/cluster");
        cr_assert_null(strstr(doubles.problem.detail, "not removed:"), "%s",
                       doubles.problem.detail);
        leaves(2); /* as it was said */
        is_out();
    }
    printf("compared 2 removals\n");
}

/* An older member knows no such wishes. */
Test(remove, without_an_end_it_is_never_known_to_be_refused)
{
    begin(RECORD_SPEAKS_UNTIL - 1);
    ask(3);
    cr_assert(doubles.leave_until_ms == 0 && doubles.drain_until_ms == 0);
    pass(10000, true);
    cr_assert_refused(504, "outcome-unknown", "GET /v1/cluster");
}

Test(remove, once_the_log_refuses_it_for_ever_it_is_refused)
{
    begin(RECORD_SPEAKS);
    ask(3);
    cr_assert_gt(doubles.leave_until_ms, BEGAN_MS);
    cr_assert_eq(doubles.drain_until_ms, doubles.leave_until_ms);
    uint64_t until = doubles.leave_until_ms, number = doubles.drain_removal;

    cr_assert_neq(number, 0, "an operator's");
    doubles.status.nodes[2].drained = true;
    pass(until - BEGAN_MS - 100, true);
    cr_assert(doubles.leaves > 1 && doubles.leave_until_ms == until, "each wish is of one removal");
    cr_assert_eq(doubles.refused, 0, "the log may take it yet");
    cr_assert_eq(doubles.drains, 1);
    unsigned wished = doubles.leaves;

    pass(300, true);
    cr_assert(doubles.drains == 2 && !doubles.drained, "it is as if it had not been asked for");
    cr_assert_gt(doubles.drain_until_ms, doubles.status.applied_ms,
                 "no sooner than it comes there");
    cr_assert_leq(doubles.drain_until_ms, until + 10000, "hours later nobody wants it any more");
    cr_assert_eq(doubles.drain_removal, number);
    cr_assert_eq(doubles.refused, 0, "it is drained yet");
    doubles.status.nodes[2].drained = false;
    pass(100, true);
    cr_assert_refused(504, "timeout", "not removed:");
    cr_assert_eq(doubles.leaves, wished);
}

/* ... of which only the limit says that nobody knows. */
Test(remove, a_drain_that_stays_is_told)
{
    begin(RECORD_SPEAKS);
    ask(3);
    doubles.status.nodes[2].drained = true;
    pass(10000, true);
    cr_assert_refused(504, "timeout", "not removed:");
    cr_assert_not_null(strstr(doubles.problem.detail, "undrain 3"), "%s", doubles.problem.detail);
}

Test(remove, what_an_operator_drained_stays_drained)
{
    begin(RECORD_SPEAKS);
    doubles.status.nodes[2].drained = true;
    ask(3);
    pass(10000, true);
    cr_assert_refused(504, "timeout", "not removed:");
    cr_assert(doubles.drained, "it was taken back");
}

/* Nobody knows whether the log has it: there is nothing to be taken back, now or hours later. */
Test(remove, what_was_not_seen_is_not_taken_back)
{
    begin(RECORD_SPEAKS);
    ask(3);
    pass(10000, false);
    cr_assert_refused(504, "outcome-unknown", "undrain 3");
    cr_assert(doubles.drains == 1 && doubles.drained, "%u drains", doubles.drains);

    begin(RECORD_SPEAKS);
    ask(3);
    pass(10000, true);
    cr_assert_refused(504, "timeout", "not removed:");
    cr_assert(doubles.drains == 1 && doubles.drained, "the log has refused it");
    cr_assert_null(strstr(doubles.problem.detail, "undrain 3"), "%s", doubles.problem.detail);
    printf("compared 2 removals\n");
}

/* They would take back whatever an operator has drained since. */
Test(remove, beside_older_members_nothing_is_taken_back)
{
    begin(RECORD_SPEAKS_REMOVAL - 1);
    ask(3);
    cr_assert_eq(doubles.drain_removal, 0);
    doubles.status.nodes[2].drained = true;
    pass(10000, true);
    cr_assert_refused(504, "timeout", "undrain 3");
    cr_assert(doubles.drains == 1 && doubles.drained, "%u drains", doubles.drains);
}

/* Its shards stay with it: nothing was written down but the drain. */
Test(remove, an_owner_that_cannot_hand_over)
{
    begin(RECORD_SPEAKS);
    doubles.status.shards[0].owner_node = 3;
    ask(3);
    doubles.status.nodes[2].drained = true;
    pass(10000, false);
    cr_assert_refused(504, "timeout", "not removed: its shards");
    cr_assert(doubles.leaves == 0 && !doubles.drained);
}

Test(remove, nothing_is_begun_that_the_log_does_not_take)
{
    begin(RECORD_SPEAKS);
    doubles.busy = true;
    ask(3);
    cr_assert_refused(503, "busy", "try again");
    cr_assert_eq(doubles.leaves, 0);
}

/* Asked again, whatever became of the first time, it says what is so. */
Test(remove, asked_again)
{
    begin(RECORD_SPEAKS);
    leaves(2);
    is_out();
    ask(3);
    cr_assert(doubles.answered == 1 && doubles.refused == 0, "%s", doubles.problem.detail);

    begin(RECORD_SPEAKS);
    leaves(2);
    ask(3);
    pass(1000, true);
    cr_assert(doubles.drains == 0 && doubles.leaves == 0, "it stands in the log already");
    is_out();
    pass(100, true);
    cr_assert(doubles.answered == 1 && doubles.refused == 0);

    begin(RECORD_SPEAKS);
    leaves(2);
    doubles.status.nodes[1].heard = false;
    ask(3);
    pass(10000, true);
    cr_assert_refused(504, "timeout", "written down, but it is not out yet");
    cr_assert_not_null(strstr(doubles.problem.detail, "node 2 is not heard"));
    printf("compared 3 removals\n");
}

Test(remove, beside_one_that_is_missing_nothing_is_written)
{
    begin(RECORD_SPEAKS);
    doubles.status.nodes[1].heard = false;
    ask(3);
    cr_assert_refused(409, "no-quorum", "node 2 is not heard");
    cr_assert(doubles.drains == 0 && doubles.leaves == 0);
}

/* The answer is this node's last word: another one knows how it ended. */
Test(remove, this_node_stops)
{
    begin(RECORD_SPEAKS);
    ask(3);
    admin_members_stop(&d);
    cr_assert_refused(503, "stopping", "may be removed yet");

    begin(RECORD_SPEAKS);
    doubles.status.shards[0].owner_node = 3;
    ask(3);
    admin_members_stop(&d);
    cr_assert_refused(503, "stopping", "ask another one");
    cr_assert_null(strstr(doubles.problem.detail, "may be removed"));
    printf("compared 2 ends\n");
}
