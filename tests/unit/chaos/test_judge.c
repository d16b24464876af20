/* The judge over hand-made cells: what a cell must have shown, and what it may not lack. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "chaos/cell.h"
#include "chaos/verdict.h"
#include "frames.h"

static struct drill drill;
static struct drill_cell spec;
static struct cell cell;

static void request(unsigned ms, bool by_client, uint32_t message_id)
{
    frame_ike(&cell.sniff.capture, ms, by_client ? CAPTURE_CLIENT_PORT : 2, IKE_HDR_CREATE_CHILD,
              false, message_id, 8);
}

/* The client began a CHILD rekey; node 1 died at `point`, 10 ms after zero; node 2 acted at 20 ms.
 */
static void made(enum drill_point point)
{
    struct capture sample = {0};

    drill =
        (struct drill){.fault = DRILL_KILL, .expect = DRILL_EXP_EXCHANGE, .nodes = 3, .shards = 1};
    spec = (struct drill_cell){.drill = &drill,
                               .id = "c",
                               .exchange = DRILL_CHILD_REKEY,
                               .role = DRILL_CLIENT,
                               .point = point};
    capture_deinit(&cell.sniff.capture);
    memset(&cell, 0, sizeof cell);
    cell.spec = &spec;
    cell.drill = &drill;
    cell.lab.pump.epoll_fd = -1;
    cell.lab.home_ns = -1;
    cell.zero_ns = FRAME_ZERO;
    cell.reached = cell.finished = true;
    cell.owner_before = 1;
    cell.have_about = true;
    cell.asked[DRILL_CLIENT] = 1;
    cell.about = (struct oracle_message){0x1111, 0x2222, 2, true, false};
    cell.takeovers[0] = (struct cell_takeover){.kill_ns = FRAME_ZERO + 10 * FRAME_MS,
                                               .dead_ns = FRAME_ZERO + 10 * FRAME_MS,
                                               .acting_ns = FRAME_ZERO + 20 * FRAME_MS,
                                               .from = 1,
                                               .to = 2};
    cell.n_takeovers = 1;
    cell.workers = 1;
    cell.tenures[0] = (struct oracle_tenure){1, 1, 0};
    cell.tenures[1] = (struct oracle_tenure){1, 2, FRAME_ZERO + 20 * FRAME_MS};
    cell.n_tenures = 2;
    request(8, true, 2);
    frame_ike(&sample, 0, 1, IKE_HDR_CREATE_CHILD, true, 2, 8);
    cell.step.message = span_fnv1a64(capture_message(&sample, &sample.frames[0]));
    capture_deinit(&sample);
}

static void answer(unsigned ms, uint8_t node)
{
    frame_ike(&cell.sniff.capture, ms, node, IKE_HDR_CREATE_CHILD, true, 2, 8);
}

static void teardown(void)
{
    capture_deinit(&cell.sniff.capture);
}

TestSuite(judge, .fini = teardown);

static void expect_green(void)
{
    cell_judge(&cell);
    cr_assert_eq(cell.report.n, 0, "%s", cell.report.text[0]);
    cr_assert_not(cell.inconclusive, "%s", cell.why);
}

static void expect_violation(const char *part)
{
    cell_judge(&cell);
    cr_assert_eq(cell.report.n, 1, "%u violations, the first: %s", cell.report.n,
                 cell.report.text[0]);
    cr_assert(strstr(cell.report.text[0], part), "'%s' lacks '%s'", cell.report.text[0], part);
}

static void expect_why(const char *part)
{
    cell_judge(&cell);
    cr_assert_eq(cell.report.n, 0, "%s", cell.report.text[0]);
    cr_assert(cell.inconclusive && strstr(cell.why, part), "'%s' lacks '%s'", cell.why, part);
}

Test(judge, two_copies_of_the_new_owner_are_enough_before_the_send)
{
    for (unsigned p = DRILL_STEPPED; p <= DRILL_COMMITTED; p++) {
        made((enum drill_point)p);
        answer(21, 2);
        answer(22, 2);
        expect_green();
    }
}

Test(judge, one_copy_of_each_owner_is_enough_after_the_send)
{
    for (unsigned p = DRILL_SENT; p <= DRILL_PEER; p++) {
        made((enum drill_point)p);
        answer(9, 1);
        answer(22, 2);
        expect_green();
    }
}

Test(judge, a_message_that_left_the_dead_before_its_point_is_named)
{
    static const char *const points[] = {"stepped", "submitted", "committed"};
    char text[80];

    for (unsigned p = DRILL_STEPPED; p <= DRILL_COMMITTED; p++) {
        made((enum drill_point)p);
        answer(9, 1);
        answer(22, 2);
        (void)snprintf(text, sizeof text,
                       "before-commit: node 1 sent response 2 at 9.000 ms, it died at %s",
                       points[p]);
        expect_violation(text);
    }
}

Test(judge, without_a_copy_of_the_dead_owner_nothing_is_shown_after_the_send)
{
    made(DRILL_SENT);
    answer(21, 2);
    answer(22, 2);
    expect_why("node 1 did not send the message that it died after");
    made(DRILL_PEER);
    answer(8, 1);
    answer(9, 1);
    expect_why("no copy of the gateway's message from another node");
}

Test(judge, without_a_second_copy_nothing_is_shown)
{
    made(DRILL_COMMITTED);
    answer(21, 2);
    expect_why("no second copy of the gateway's message was seen (sent 1 times)");
}

Test(judge, a_fault_that_was_not_injected_shows_nothing)
{
    made(DRILL_COMMITTED);
    cell.reached = false;
    answer(21, 2);
    answer(22, 2);
    expect_why("the fault was not injected");
}

Test(judge, a_replay_that_did_not_come_first_shows_nothing)
{
    made(DRILL_COMMITTED);
    drill.expect |= DRILL_EXP_REPLAY;
    answer(21, 2);
    answer(22, 2);
    cell.takeovers[0].replay_first = true;
    expect_why("takeover 1: 0 packets replayed, none to replay");
}

Test(judge, a_replay_that_the_new_owner_did_not_take_shows_nothing)
{
    made(DRILL_COMMITTED);
    drill.expect |= DRILL_EXP_REPLAY;
    answer(21, 2);
    answer(22, 2);
    cell.takeovers[0].replay_first = true;
    cell.takeovers[0].replayed = 180;
    cell.takeovers[0].tried = 180;
    expect_green();
    cell.takeovers[0].tried--;
    expect_why("takeover 1: of 180 replayed packets node 2 took 179");
}

/* Progress at these times (ms), then nothing. */
static void uploaded(const unsigned *ms, unsigned n)
{
    numbers_deinit(&cell.traffic.upload_progress);
    for (unsigned i = 0; i < n; i++)
        numbers_arrive(&cell.traffic.upload_progress, i, FRAME_ZERO + (uint64_t)ms[i] * FRAME_MS);
}

Test(judge, an_upload_that_stands_still_is_named_whichever_takeover)
{
    static const unsigned first[] = {5, 300, 1500, 5000, 5900},
                          second[] = {5, 300, 600, 5000, 6200}, fine[] = {5, 300, 1200, 5000, 5900};

    made(DRILL_COMMITTED);
    drill.expect |= DRILL_EXP_UPLOAD;
    drill.upload_ms = 1000;
    answer(21, 2);
    answer(22, 2);
    cell.takeovers[0].flowing_ns = FRAME_ZERO + 400ull * FRAME_MS;
    cell.follow_up_ns = FRAME_ZERO + 1600ull * FRAME_MS;
    cell.takeovers[1] = (struct cell_takeover){.kill_ns = FRAME_ZERO + 5010ull * FRAME_MS,
                                               .dead_ns = FRAME_ZERO + 5010ull * FRAME_MS,
                                               .acting_ns = FRAME_ZERO + 5200ull * FRAME_MS,
                                               .flowing_ns = FRAME_ZERO + 6300ull * FRAME_MS,
                                               .from = 2,
                                               .to = 3};
    cell.n_takeovers = 2;
    uploaded(fine, 5);
    expect_green();
    uploaded(first, 5);
    expect_violation("upload: it stood still for 1200.0 ms around takeover 1");
    cell.report.n = 0;
    uploaded(second, 5);
    expect_violation("upload: it stood still for 1200.0 ms around takeover 2");
    numbers_deinit(&cell.traffic.upload_progress);
}

/* The leader died at 1 s, all was whole again at 4 s. A number each way every 5 ms, but none for so long from 2 s on. */
static void paused(unsigned in_ms, unsigned out_ms)
{
    static struct traffic_client client;
    const unsigned stall[] = {[TRAFFIC_IN] = in_ms, [TRAFFIC_OUT] = out_ms};

    made(DRILL_STEPPED);
    drill = (struct drill){.fault = DRILL_LEADER_KILL,
                           .nodes = 3,
                           .shards = 1,
                           .directions = 3,
                           .pause_in_ms = 1400,
                           .pause_out_ms = 250};
    spec.exchange = DRILL_AT_REST;
    cell.n_takeovers = 0;
    cell.n_tenures = 1;
    cell.fault_from_ns = FRAME_ZERO + 1000ull * FRAME_MS;
    cell.fault_to_ns = FRAME_ZERO + 4000ull * FRAME_MS;
    cell.traffic.lab = &cell.lab;
    cell.traffic.tick.fd = -1; /* no timer */
    cell.traffic.plan.clients = 1;
    cell.traffic.clients = &client;
    for (unsigned way = 0; way < TRAFFIC_DIRECTIONS; way++) {
        numbers_deinit(&client.numbers[way]);
        for (unsigned ms = 0; ms < 5000; ms += 5)
            if (ms <= 2000 || ms >= 2000 + stall[way])
                numbers_arrive(&client.numbers[way], ms, FRAME_ZERO + (uint64_t)ms * FRAME_MS);
    }
}

Test(judge, a_pause_without_a_takeover_is_named_beyond_its_limit)
{
    paused(1400, 250);
    expect_green();
    paused(5, 255);
    expect_violation("pause: server to client: 255.0 ms without a packet, allowed are 250 ms");
    paused(1405, 5);
    expect_violation("pause: client to server: 1405.0 ms without a packet, allowed are 1400 ms");
    paused(2990, 250); /* a second election is no excuse outward */
    cell.vote_split = true;
    expect_green();
    paused(5, 255);
    cell.vote_split = true;
    expect_violation("pause: server to client: 255.0 ms");
    paused(5, 5);
    numbers_deinit(&cell.traffic.clients->numbers[TRAFFIC_OUT]); /* nothing ever came */
    expect_violation("pause: server to client: 3000.0 ms");
    numbers_deinit(&cell.traffic.clients->numbers[TRAFFIC_IN]);
}

Test(judge, a_request_that_nobody_asked_for_is_named)
{
    made(DRILL_COMMITTED);
    answer(21, 2);
    answer(22, 2);
    cell.asked[DRILL_GATEWAY] = 2;
    request(30, false, 0);
    request(31, false, 0); /* its retransmission */
    request(32, false, 1);
    expect_green();
    request(33, false, 2);
    expect_violation("second-exchange: the gateway sent 3 different CREATE_CHILD_SA requests until "
                     "the end, 2 belong to it");
    made(DRILL_COMMITTED);
    answer(21, 2);
    answer(22, 2);
    request(40, true, 3);
    expect_violation("second-exchange: the client sent 2 different CREATE_CHILD_SA requests until "
                     "the end, 1 belong to it");
}

Test(judge, a_lifetime_may_ask_again_once_the_exchange_has_ended)
{
    made(DRILL_STEPPED);
    spec.role = DRILL_GATEWAY;
    cell.asked[DRILL_CLIENT] = 0;
    cell.asked[DRILL_GATEWAY] = 1;
    cell.about = (struct oracle_message){0x1111, 0x2222, 0, false, false};
    request(30, false, 0);
    request(31, false, 0);
    request(32, false, 1);
    expect_green();
}

Test(judge, a_rekey_that_the_asked_side_did_not_begin_is_named)
{
    const uint64_t asked_ns = FRAME_ZERO + 30ull * FRAME_MS;

    for (unsigned by_client = 0; by_client < 2; by_client++) {
        made(DRILL_STEPPED);
        spec.role = DRILL_GATEWAY;
        request(20, by_client, 5);
        request(31, by_client, 5);  /* a retransmission of what it sent before */
        request(32, !by_client, 6); /* the other side's */
        cr_assert_not(cell_judge_beginner(&cell, asked_ns, by_client, "CHILD"));
        cr_assert_eq(cell.report.n, 1);
        cr_assert(
            strstr(cell.report.text[0],
                   by_client
                       ? "check: CHILD rekey by the client: it sent no CREATE_CHILD_SA request"
                       : "check: CHILD rekey by the gateway: it sent no CREATE_CHILD_SA "
                         "request"),
            "%s", cell.report.text[0]);
        request(33, by_client, 7);
        cr_assert(cell_judge_beginner(&cell, asked_ns, by_client, "CHILD"));
        cr_assert_eq(cell.report.n, 1);
    }
}

Test(judge, a_cell_that_stops_without_a_word_shows_nothing)
{
    made(DRILL_COMMITTED);
    answer(21, 2);
    answer(22, 2);
    cell.finished = false;
    expect_why("the script did not come to its end");
}

Test(judge, bytes_of_another_record_are_named)
{
    for (unsigned p = DRILL_COMMITTED; p <= DRILL_SENT; p++) {
        made((enum drill_point)p);
        answer(p == DRILL_SENT ? 9 : 21, p == DRILL_SENT ? 1 : 2);
        answer(22, 2);
        cell.step.message++;
        cell_judge(&cell);
        cr_assert_eq(cell.report.n, 2, "%u", cell.report.n); /* each copy */
        cr_assert(strstr(cell.report.text[0], "same-bytes: response 2 left node "));
    }
    made(DRILL_COMMITTED);
    answer(21, 2);
    answer(22, 2);
    cell.step.message = 0;
    expect_why("the node that died did not tell what its record sends");
}

static json_t *verdicts(const char *a, const char *b)
{
    return json_pack("[{s:s}, {s:s}]", "verdict", a, "verdict", b);
}

static void expect_verdict(json_t *cells, size_t planned, enum verdict v)
{
    cr_assert_eq(verdict_of_cells(cells, planned), v, "%s, expected %s",
                 verdict_word(verdict_of_cells(cells, planned)), verdict_word(v));
    json_decref(cells);
}

Test(verdict, the_worst_cell_and_the_missing_ones_decide)
{
    expect_verdict(verdicts("pass", "pass"), 2, VERDICT_PASS);
    expect_verdict(verdicts("pass", "inconclusive"), 2, VERDICT_INCONCLUSIVE);
    expect_verdict(verdicts("aborted", "inconclusive"), 2, VERDICT_ABORTED);
    expect_verdict(verdicts("fail", "aborted"), 2, VERDICT_FAIL);
    expect_verdict(verdicts("pass", "odd"), 2, VERDICT_ABORTED);
    expect_verdict(verdicts("pass", "pass"), 3, VERDICT_ABORTED); /* stopped before the third */
    expect_verdict(verdicts("pass", "fail"), 3, VERDICT_FAIL);
    expect_verdict(json_array(), 60, VERDICT_ABORTED);
    expect_verdict(json_array(), 0, VERDICT_ABORTED);
}

Test(leader, is_as_wanted_or_not)
{
    cr_assert(drill_leader_fits(DRILL_LEADER_ANY, true) &&
              drill_leader_fits(DRILL_LEADER_ANY, false));
    cr_assert(drill_leader_fits(DRILL_LEADER_OWNER, true));
    cr_assert(drill_leader_fits(DRILL_LEADER_OTHER, false));
    cr_assert_not(drill_leader_fits(DRILL_LEADER_OWNER, false));
    cr_assert_not(drill_leader_fits(DRILL_LEADER_OTHER, true));
}

/* A takeover that was faster than the runner was told of the death. */
Test(judge, a_frame_from_before_the_takeover_was_expected_is_the_takeover_too)
{
    struct cell_takeover *t;

    made(DRILL_SENT);
    cell.n_takeovers = 0;
    cell.n_tenures = 0;
    cell.owners[1] = 1;
    frame_esp(&cell.sniff.capture, 9, 2, 7, 1); /* before the death: it explains nothing */
    frame_esp(&cell.sniff.capture, 14, 1, 7, 2);
    frame_esp(&cell.sniff.capture, 15, 3, 7, 3);
    t = cell_begin_takeover(&cell, 1, FRAME_ZERO + 10 * FRAME_MS);
    cr_assert_eq(t->shards, 1u << 1);
    cr_assert_eq(cell.moving, 0);
    cr_assert_eq(cell.acting_port, 3);
    cr_assert_eq(cell.acting_ns, (uint64_t)FRAME_ZERO + 15 * FRAME_MS);
    cr_assert_eq(cell.n_tenures, 1);
    cr_assert(cell.tenures[0].node == 3 && cell.owners[1] == 3 && cell.moves[1] == 1);
}
