/* What an operator is told of a move or a drain is what the log says of it, as soon as it says so: the daemon's
 * own file over doubles of the log and the admin server. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "fuzz/admin/members_doubles.h"
#include "replication/record.h"

static struct daemon d;
static unsigned moves;

uint64_t conductor_wish_move(struct conductor *c, uint32_t shard, uint32_t node,
                             const struct repl_admin *by)
{
    (void)c;
    HF_ASSERT(shard == 1 && node != 0 && by != NULL);
    (void)snprintf(doubles.asked_by, sizeof doubles.asked_by, "%s", by->principal);
    moves++;
    return doubles.busy ? 0 : ++doubles.wishes;
}

/* Three voters that are well; this is node 1, which owns the shard. */
static void begin(void)
{
    struct repl_status *st = &doubles.status;

    memset(&doubles, 0, sizeof doubles);
    memset(&d, 0, sizeof d);
    moves = 0;
    doubles.now_ms = 1000;
    *st = (struct repl_status){.node = 1, .leader = 1, .speaks = RECORD_SPEAKS, .quorum = true};
    st->n_nodes = 3;
    for (size_t i = 0; i < 3; i++)
        st->nodes[i] = (struct repl_node_status){.node = (uint32_t)i + 1,
                                                 .connected = true,
                                                 .heard = true,
                                                 .healthy = true,
                                                 .role = REPL_VOTER};
    st->n_shards = 1;
    st->shards[0] = (struct repl_shard_status){.shard = 1, .owner_node = 1, .home = 1};
    admin_moves_fill(&d.backend);
}

static void drain(uint32_t node, bool drained)
{
    d.backend.drain_node(&d, doubles_request(),
                         &(struct api_drain){.node = node, .drained = drained}, &doubles_asker);
}

static void move(uint32_t to)
{
    d.backend.move_shard(&d, doubles_request(), &(struct api_move){.shard = 1, .to = to},
                         &doubles_asker);
}

/* Time without a verdict, or with one. */
static void pass(uint64_t ms)
{
    doubles.now_ms += ms;
    admin_moves_tick(&d);
}

/* The log's word of the newest wish, as the conductor tells it. */
static void judged(enum repl_verdict verdict)
{
    admin_moves_settled(&d, doubles.wishes, true, verdict);
    admin_moves_tick(&d);
}

/* The i-th of a move and a drain. */
static void wish(int i)
{
    if (i == 0)
        move(3);
    else
        drain(3, true);
}

static void follows(int i)
{
    if (i == 0)
        doubles.status.shards[0].owner_node = doubles.status.shards[0].home = 3;
    else
        doubles.status.nodes[2].drained = true;
}

static void cr_assert_refused(unsigned status, const char *name)
{
    cr_assert(doubles.refused == 1 && doubles.answered == 0, "%u refused, %u answered",
              doubles.refused, doubles.answered);
    cr_assert_eq(doubles.problem.status, status, "%u %s", doubles.problem.status,
                 doubles.problem.detail);
    cr_assert_str_eq(doubles.problem.name, name);
}

Test(moves, who_is_no_member_is_neither_drained_nor_given_anything)
{
    static const enum repl_role roles[] = {REPL_EXPECTED, REPL_LEAVING, REPL_LEFT, REPL_OUTSIDE};
    size_t n = sizeof roles / sizeof *roles;

    for (size_t i = 0; i < 3 * n; i++) {
        begin();
        doubles.status.nodes[2].role = roles[i % n];
        if (i < 2 * n)
            drain(3, i < n);
        else
            move(3);
        admin_moves_tick(&d);
        cr_assert_refused(404, "unknown-node");
        cr_assert(doubles.drains == 0 && moves == 0, "the log was given it");
    }
    printf("compared %zu wishes\n", 3 * n);
}

Test(moves, whose_node_leaves_meanwhile_is_told_so)
{
    for (int i = 0; i < 2; i++) {
        begin();
        if (i == 0)
            drain(3, true);
        else
            move(3);
        doubles.status.nodes[2].role = REPL_LEAVING;
        admin_moves_tick(&d);
        cr_assert_refused(404, "unknown-node");
        cr_assert_null(d.waits[0].request);
    }
    printf("compared 2 wishes\n");
}

Test(moves, a_member_is_drained)
{
    begin();
    drain(3, true);
    cr_assert(doubles.drains == 1 && doubles.drained && doubles.drain_removal == 0);
    cr_assert_eq(doubles.drain_until_ms, 0);
    cr_assert_str_eq(doubles.asked_by, "admin email:a 10.9.9.9 r-1");
    judged(REPL_ACCEPTED);
    cr_assert_eq(doubles.answered, 0, "it is not yet");
    doubles.status.nodes[2].drained = true;
    admin_moves_tick(&d);
    cr_assert(doubles.answered == 1 && doubles.refused == 0);
}

Test(moves, a_shard_is_moved)
{
    begin();
    move(3);
    cr_assert_eq(moves, 1);
    cr_assert_str_eq(doubles.asked_by, "email:a");
    judged(REPL_ACCEPTED);
    cr_assert_eq(doubles.answered, 0, "it is not yet");
    doubles.status.shards[0].owner_node = doubles.status.shards[0].home = 3;
    admin_moves_tick(&d);
    cr_assert(doubles.answered == 1 && doubles.refused == 0);
}

Test(moves, what_the_log_refuses_is_refused_at_once)
{
    static const struct {
        enum repl_verdict verdict;
        unsigned status;
        const char *name, *says;
    } all[] = {{REPL_REFUSED_UNKNOWN, 404, "unknown-node", "the log has refused it"},
               {REPL_REFUSED_EPOCH, 409, "refused", "refused-epoch"},
               {REPL_REFUSED_VERSION, 409, "refused", "refused-version"},
               {REPL_REFUSED_MALFORMED, 409, "refused", "refused-malformed"}};

    for (int i = 0; i < 8; i++) {
        begin();
        wish(i % 2);
        if (i >= 4)
            follows(i % 2); /* by another one's wish */
        judged(all[i / 2].verdict);
        cr_assert_refused(all[i / 2].status, all[i / 2].name);
        cr_assert_not_null(strstr(doubles.problem.detail, all[i / 2].says), "%s",
                           doubles.problem.detail);
        cr_assert_null(d.waits[0].request);
    }
    printf("compared 8 wishes\n");
}

/* It may be refused yet: what stands there came of something else. */
Test(moves, before_the_log_has_judged_it_nothing_is_said)
{
    for (int i = 0; i < 3; i++) {
        begin();
        if (i < 2) {
            follows(i);
            wish(i);
        } else {
            drain(3, false); /* it is not drained at all */
        }
        pass(7900);
        cr_assert(doubles.answered == 0 && doubles.refused == 0, "wish %d", i);
        pass(200);
        cr_assert_refused(504, "outcome-unknown");
        judged(REPL_ACCEPTED); /* too late: nobody waits */

        begin();
        if (i < 2) {
            follows(i);
            wish(i);
        } else {
            drain(3, false);
        }
        judged(REPL_ACCEPTED);
        cr_assert(doubles.answered == 1 && doubles.refused == 0, "wish %d", i);
    }
    printf("compared 6 wishes\n");
}

Test(moves, what_nobody_follows_in_time_is_told_as_such)
{
    for (int i = 0; i < 2; i++) {
        begin();
        wish(i);
        judged(REPL_ACCEPTED);
        pass(7900);
        cr_assert_eq(doubles.refused, 0);
        pass(200);
        cr_assert_refused(504, "timeout");
    }
    printf("compared 2 wishes\n");
}

/* A snapshot jumped over the verdict: the state alone tells. */
Test(moves, whose_verdict_is_hidden_is_answered_by_the_state)
{
    for (int i = 0; i < 2; i++) {
        begin();
        wish(i);
        admin_moves_settled(&d, doubles.wishes, false, REPL_ACCEPTED);
        pass(100);
        cr_assert(doubles.answered == 0 && doubles.refused == 0);
        follows(i);
        pass(100);
        cr_assert(doubles.answered == 1 && doubles.refused == 0);

        begin();
        wish(i);
        admin_moves_settled(&d, doubles.wishes, false, REPL_ACCEPTED);
        pass(8100);
        cr_assert_refused(504, "outcome-unknown");
    }
    printf("compared 4 wishes\n");
}

/* Several wait; one that was given up took its number with it. */
Test(moves, a_verdict_is_told_to_whom_it_belongs)
{
    begin();
    move(3);
    pass(8100);
    cr_assert_refused(504, "outcome-unknown");
    drain(2, true);
    admin_moves_settled(&d, 1, true, REPL_REFUSED_UNKNOWN);
    admin_moves_tick(&d);
    cr_assert_eq(doubles.refused, 1, "it is the former's");
    doubles.status.nodes[1].drained = true;
    judged(REPL_ACCEPTED);
    cr_assert(doubles.answered == 1 && doubles.refused == 1);
}

Test(moves, what_the_log_does_not_take_is_refused)
{
    for (int i = 0; i < 2; i++) {
        begin();
        doubles.busy = true;
        wish(i);
        cr_assert_refused(503, "busy");
        cr_assert_null(d.waits[0].request);
    }
    printf("compared 2 wishes\n");
}

/* Whoever may ask is asked for what he is called: the log refuses what cannot be shown. */
Test(moves, a_name_that_cannot_be_shown_stops_no_wish)
{
    struct api_asker odd = doubles_asker;

    begin();
    strcpy(odd.principal, "cn:a\x01\xff"
                          "b");
    d.backend.drain_node(&d, doubles_request(), &(struct api_drain){.node = 3, .drained = true},
                         &odd);
    cr_assert_str_eq(doubles.asked_by, "admin cn:a??b 10.9.9.9 r-1");
}
