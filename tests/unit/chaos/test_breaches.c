/* A whole cell, at rest and green; then each rule of the judge that the other tests do not break is
 * broken in its capture, its accounts or its processes, and is named. */
#include <criterion/criterion.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "chaos/cell.h"
#include "frames.h"

enum { MS = FRAME_MS, ZERO = FRAME_ZERO, BATCH = 64 /* one worker's */ };

static struct drill drill;
static struct drill_cell spec;
static struct cell cell;
static struct traffic_client clients[2];

/* Three nodes, one shard, nothing done to them: node 1 owns it, the tunnel is up at 1 ms. */
static void setup(void)
{
    memset(&cell, 0, sizeof cell);
    memset(clients, 0, sizeof clients);
    drill = (struct drill){.nodes = 3, .shards = 1, .clients = 2, .directions = 3};
    spec = (struct drill_cell){.drill = &drill, .id = "c", .exchange = DRILL_AT_REST};
    cell.spec = &spec;
    cell.drill = &drill;
    cell.lab = (struct chaos_lab){.pump.epoll_fd = -1, .home_ns = -1, .nodes = 3};
    cell.zero_ns = ZERO;
    cell.up_ns = ZERO + MS;
    cell.reached = cell.finished = true;
    cell.owner = cell.owner_before = 1;
    cell.workers = 1;
    cell.tenures[0] = (struct oracle_tenure){1, 1, 0};
    cell.n_tenures = 1;
    cell.traffic = (struct traffic){.lab = &cell.lab, .clients = clients, .tick.fd = -1};
    cell.traffic.plan.clients = 2;
    frame_esp(&cell.sniff.capture, 2, 1, 7, 1);
    for (unsigned i = 0; i < 20; i++)
        for (unsigned k = 0; k < 2 * TRAFFIC_DIRECTIONS; k++) {
            struct numbers *n = &clients[k / TRAFFIC_DIRECTIONS].numbers[k % TRAFFIC_DIRECTIONS];

            (void)numbers_send(n, ZERO + i * MS);
            numbers_arrive(n, i, ZERO + i * MS);
        }
}

static void teardown(void)
{
    capture_deinit(&cell.sniff.capture);
    for (unsigned i = 0; i < 2; i++)
        for (unsigned way = 0; way < TRAFFIC_DIRECTIONS; way++)
            numbers_deinit(&clients[i].numbers[way]);
}

TestSuite(breach, .init = setup, .fini = teardown);

static void judge(void)
{
    cell.report = (struct oracle_report){0};
    cell.inconclusive = false;
    cell_judge(&cell);
}

static void expect_green(void)
{
    judge();
    cr_assert_eq(cell.report.n, 0, "%s", cell.report.text[0]);
    cr_assert_not(cell.inconclusive, "%s", cell.why);
}

static void expect_violation(const char *part)
{
    judge();
    cr_assert_eq(cell.report.n, 1, "%u violations, the first: %s", cell.report.n,
                 cell.report.text[0]);
    cr_assert(strstr(cell.report.text[0], part), "'%s' lacks '%s'", cell.report.text[0], part);
}

static void expect_why(const char *part)
{
    judge();
    cr_assert_eq(cell.report.n, 0, "%s", cell.report.text[0]);
    cr_assert(cell.inconclusive && strstr(cell.why, part), "'%s' lacks '%s'", cell.why, part);
}

/* Node 1 was taken over by node 2, from 10 ms on. */
static struct cell_takeover *takeover(void)
{
    drill.fault = DRILL_PAUSE;
    cell.takeovers[0] = (struct cell_takeover){.kill_ns = ZERO + 10 * MS,
                                               .dead_ns = ZERO + 10 * MS,
                                               .acting_ns = ZERO + 11 * MS,
                                               .from = 1,
                                               .to = 2,
                                               .shards = 2};
    cell.n_takeovers = 1;
    cell.tenures[cell.n_tenures++] = (struct oracle_tenure){1, 2, ZERO + 11 * MS};
    frame_esp(&cell.sniff.capture, 11, 2, 7, 100);
    return &cell.takeovers[0];
}

Test(breach, nothing_is_wrong_with_the_cell_itself)
{
    expect_green();
    (void)takeover();
    expect_green();
}

/* What nodes say as they apply an assignment, ms after ZERO; the owner at once that it may act, too. */
static void says(unsigned node, unsigned ms, unsigned owner, unsigned assignment)
{
    static char logs[LAB_MAX_NODES + 1][512];
    size_t at = cell.nodes[node].proc.log ? strlen(logs[node]) : 0;

    (void)snprintf(logs[node] + at, sizeof logs[node] - at,
                   "1970-01-01T00:00:00.%03uZ info repl shard 1: epoch %u, owner node %u, "
                   "assignment %u\n",
                   ms + ZERO / MS, 10 * assignment, owner, assignment);
    at = strlen(logs[node]);
    if (owner == node)
        (void)snprintf(logs[node] + at, sizeof logs[node] - at,
                       "1970-01-01T00:00:00.%03uZ info repl shard 1: lease held\n", ms + ZERO / MS);
    cell.nodes[node].proc.log = logs[node];
}

Test(breach, an_assignment_that_the_fault_does_not_explain)
{
    says(3, 0, 1, 1);
    cell.unasked = 2;
    expect_green(); /* told as unasked_moves; judged where the drill says that there is none */
    cr_assert_eq(cell.n_told_tenures, 1);
    drill.expect = DRILL_EXP_NOBODY_ELSE;
    expect_violation("nobody-else: 2 assignments that the fault does not explain");
}

/* Nobody asked for node 2: only the nodes themselves know who owned it when. */
Test(breach, two_speakers_are_named_where_a_shard_moved_unasked_too)
{
    cell.unasked = 1;
    says(1, 0, 1, 1);
    says(2, 20, 2, 2);
    says(3, 0, 1, 1);
    frame_esp(&cell.sniff.capture, 20, 1, 7, 2); /* was in hand */
    frame_esp(&cell.sniff.capture, 25, 2, 7, 100);
    for (unsigned i = 0; i < BATCH; i++) /* was held up, and empties its hands */
        frame_esp(&cell.sniff.capture, 60, 1, 7, 200 + i);
    expect_green();
    frame_esp(&cell.sniff.capture, 61, 1, 7, 1000);
    expect_violation("one-speaker: node 1 sent ESP as shard 1's service address at 61.000 ms, "
                     "which is node 2's since 25.000 ms");
}

Test(breach, without_all_assignments_nothing_is_concluded_of_an_unasked_one)
{
    cell.unasked = 1;
    expect_why("1 assignments that the fault does not explain, and the nodes' logs lack one");
    says(3, 20, 2, 2);
    expect_why("the nodes' logs lack one");
    cell.nodes[2].older = /* what a process said before the last two of that node */
        "1970-01-01T00:00:00.005Z info repl shard 1: epoch 10, owner node 1, assignment 1\n";
    expect_green();
    cell.assignments[1] = 3; /* as the nodes counted before the drill */
    expect_why("the nodes' logs lack one");
}

/* A drill of ours stopped node 1 until 60 ms: only then, and at once, its hands are emptied. */
Test(breach, a_zombie_that_goes_on)
{
    struct cell_takeover *t = takeover();

    t->stopped_ns = ZERO + 10 * MS;
    t->continued_ns = t->goes_on_from_ns = ZERO + 60 * MS;
    t->goes_on_to_ns = ZERO + 61 * MS;
    for (unsigned i = 0; i < BATCH; i++)
        frame_esp(&cell.sniff.capture, 81, 1, 7, 200 + i);
    expect_green();
    frame_esp(&cell.sniff.capture, 80, 1, 7, 1000);
    expect_violation("one-speaker: node 1 sent ESP as shard 1's service address at 81.000 ms");
    cell.workers = 2;
    expect_green();
    frame_esp(&cell.sniff.capture, 82, 1, 7, 1001);
    expect_violation("one-speaker: node 1 sent ESP as shard 1's service address at 82.000 ms");
}

Test(breach, where_nobody_knows_who_owned_what_nothing_is_concluded)
{
    cell.n_tenures = 0;
    expect_why("nobody knows who owned what: who spoke was not judged");
    says(1, 0, 1, 1); /* then the nodes know */
    cell.made[1] = 1;
    expect_green();
}

/* No majority from 25 ms to 40 ms, the last lease over; both ends sent number 20 meanwhile, and it was kept
 * until there was one again. */
static void minority(void)
{
    (void)takeover();
    cell.minority_from_ns = ZERO + 25 * MS;
    cell.minority_to_ns = ZERO + 40 * MS;
    for (unsigned way = 0; way < TRAFFIC_DIRECTIONS; way++) {
        (void)numbers_send(&clients[0].numbers[way], ZERO + 26 * MS);
        numbers_arrive(&clients[0].numbers[way], 20, ZERO + 50 * MS);
    }
}

Test(breach, a_minority_that_speaks)
{
    minority();
    expect_green();
    frame_esp(&cell.sniff.capture, 24, 2, 7, 9000); /* before, and after */
    frame_esp(&cell.sniff.capture, 41, 2, 7, 9001);
    expect_green();
    frame_esp(&cell.sniff.capture, 28, 2, 7, 9002);
    frame_esp(&cell.sniff.capture, 30, 2, 7, 9003);
    expect_violation("minority-silent: node 2 spoke as a service address at 28.000 ms, 2 times in "
                     "all; the last lease had ended by 25.000 ms");
}

Test(breach, a_minority_that_lets_through_what_the_client_sends)
{
    struct numbers *n = &clients[0].numbers[TRAFFIC_IN];

    minority();
    expect_green();
    (void)numbers_send(n, ZERO + 20 * MS);
    numbers_arrive(n, 21, ZERO + 30 * MS); /* behind the gateway nothing is late */
    expect_violation("minority-delivers: client to server: number 21 arrived at 30.000 ms, 1 in "
                     "all; the last lease had ended by 25.000 ms");
}

Test(breach, a_minority_that_lets_through_what_the_server_sends)
{
    struct numbers *n = &clients[0].numbers[TRAFFIC_OUT];

    minority();
    for (unsigned i = 0; i < BATCH; i++) { /* sent before: the client's own program is slow */
        (void)numbers_send(n, ZERO + 20 * MS);
        numbers_arrive(n, 21 + i, ZERO + 26 * MS);
    }
    expect_green();
    (void)numbers_send(n, ZERO + 20 * MS);
    numbers_arrive(n, 21 + BATCH, ZERO + 30 * MS);
    expect_violation("minority-delivers: server to client: number 85 arrived at 30.000 ms, 1 in");
    n->arrivals[n->n_arrivals - 1].ns = ZERO + 50 * MS;
    expect_green();
    n->arrivals[20].ns = ZERO + 31 * MS; /* sent when nobody might let it through */
    expect_violation("minority-delivers: server to client: number 20 arrived at 31.000 ms, 1 in");
}

Test(breach, a_minority_that_nobody_sent_anything_shows_nothing)
{
    minority();
    clients[0].numbers[TRAFFIC_OUT].n_sent--;
    expect_why("server to client: nothing was sent while no majority was there");
    drill.directions = 1;
    expect_green();
}

/* All nodes lost their power at 25 ms; number 20 was sent each way, and lost. */
static void lost_power(void)
{
    (void)takeover();
    cell.ended_ns = ZERO + 25 * MS;
    for (unsigned way = 0; way < TRAFFIC_DIRECTIONS; way++) {
        (void)numbers_send(&clients[0].numbers[way], ZERO + 26 * MS);
        (void)numbers_send(&clients[0].numbers[way], ZERO + 34 * MS);
        numbers_arrive(&clients[0].numbers[way], 21, ZERO + 35 * MS);
    }
    frame_ike(&cell.sniff.capture, 30, 0, IKE_HDR_INIT, false, 0, 1);
    frame_ike(&cell.sniff.capture, 32, 2, IKE_HDR_AUTH, true, 1, 1);
    cell.again_ns = ZERO + 33 * MS;
}

Test(breach, what_has_ended_with_the_nodes_power_comes_back)
{
    struct numbers_arrival *a;

    lost_power();
    expect_green();
    a = &clients[0].numbers[TRAFFIC_OUT].arrivals[19];
    *a = (struct numbers_arrival){20, ZERO + 31 * MS};
    expect_violation("ended-delivers: server to client: number 20, sent at 26.000 ms, arrived at");
    *a = (struct numbers_arrival){19, ZERO + 19 * MS};
    expect_green();
    frame_esp(&cell.sniff.capture, 28, 2, 7, 9002);
    expect_violation("ended-silent: node 2 sent ESP of SPI 00000007, number 9002, at 28.000 ms");
}

static void expect_first(const char *text)
{
    judge();
    cr_assert(strstr(cell.report.text[0], text), "%s", cell.report.text[0]);
}

Test(breach, a_client_that_begins_anew_before_power_was_lost)
{
    lost_power();
    cell.again_ns = 0;
    cell.ended_ns = ZERO + 31 * MS; /* it began before that */
    frame_ike(&cell.sniff.capture, 32, 2, IKE_HDR_AUTH, true, 1, 1);
    expect_first("no-renegotiation: the client sent IKE_SA_INIT (message 0) at 30.000 ms");
}

Test(breach, a_client_that_begins_anew_twice_where_power_was_lost)
{
    lost_power();
    frame_ike(&cell.sniff.capture, 34, 0, IKE_HDR_INIT, false, 0, 1);
    expect_first("no-renegotiation: the client sent IKE_SA_INIT (message 0) at 34.000 ms");
}

Test(breach, where_nothing_was_sent_between_the_tunnels_nothing_is_shown)
{
    lost_power();
    clients[0].numbers[TRAFFIC_IN].sent_ns[20] = ZERO + 24 * MS;
    expect_why("client to server: nothing was sent between the tunnels");
    drill.directions = 2;
    expect_green();
    cell.ended_ns = ZERO + MS;
    judge();
    cr_assert(strstr(cell.why, "no node had sent anything before all lost their power"), "%s",
              cell.why);
}

Test(breach, an_end_of_its_own_is_excused_by_its_fault_and_status_alone)
{
    cell.nodes[2].proc.ended = true;
    cell.nodes[2].proc.status = NODE_EXIT_DISK << 8;
    expect_violation("node 2 ended by itself (status 0x4a00)");
    cell.broke = 1u << 2;
    expect_green();
    cell.nodes[2].proc.status = NODE_EXIT_FAILED << 8; /* the disk is no excuse for another end */
    expect_violation("node 2 ended by itself (status 0x4b00)");
    cell.nodes[2].proc.status = NODE_EXIT_REFUSED << 8;
    expect_violation("node 2 ended by itself (status 0x100)");
    cell.refused = 1u << 2;
    expect_green();
    cell.nodes[2].proc.status = SIGSEGV;
    expect_violation("node 2 ended by itself (status 0xb)");
}

Test(breach, assignments_beyond_the_drills_are_counted_by_shard)
{
    struct node_view v[2] = {{.answered = true}, {0}}; /* the second does not answer */

    drill.shards = 2;
    cell.assignments[1] = cell.assignments[2] = 3;
    cell.moves[1] = 2;
    v[0].shards[0].assignments = 5; /* both the drill's */
    v[0].shards[1].assignments = 3;
    cell_count_unasked(&cell, v, 2);
    cr_assert_eq(cell.unasked, 0);
    v[0].shards[0].assignments = 4; /* asked for, not made: other checks tell */
    v[0].shards[1].assignments = 4; /* that shard nobody asked for */
    cell_count_unasked(&cell, v, 2);
    cr_assert_eq(cell.unasked, 1);
    v[0].shards[0].assignments = 8;
    v[0].answered = false;
    cell_count_unasked(&cell, v, 2);
    cr_assert_eq(cell.unasked, 1);
}

/* A node that has just come back, or is cut off, has not applied what the others did meanwhile: its
 * word alone let one-speaker be judged by a tenure that was over. */
Test(breach, the_node_that_applied_most_knows_who_was_assigned)
{
    struct node_view v[3] = {{.answered = true}, {.answered = true}, {.answered = true}};

    cell.assignments[1] = 1;
    cell.moves[1] = 1;
    v[0].shards[0].assignments = 1;
    v[1].shards[0].assignments = 3;
    v[2].shards[0].assignments = 2;
    cell_count_unasked(&cell, v, 3);
    cr_assert_eq(cell.unasked, 1);
}

Test(breach, an_address_of_two_clients)
{
    uint32_t(*inner)[TRAFFIC_FAMILIES] = cell.client.inner;

    drill.clients = 3;
    inner[0][TRAFFIC_V4] = LAB_POOL + 1;
    inner[1][TRAFFIC_V4] = LAB_POOL + 2;
    inner[1][TRAFFIC_V6] = LAB_POOL + 1; /* the twin is another address; none is no address */
    cell_judge_addresses(&cell);
    cr_assert_eq(cell.report.n, 0, "%s", cell.report.text[0]);
    inner[2][TRAFFIC_V4] = LAB_POOL + 1;
    cell_judge_addresses(&cell);
    inner[2][TRAFFIC_V4] = LAB_POOL + 3;
    inner[2][TRAFFIC_V6] = LAB_POOL + 1;
    cell_judge_addresses(&cell);
    cr_assert_eq(cell.report.n, 2);
    cr_assert_str_eq(cell.report.text[0], "addresses: clients 1 and 3 both have 10.99.0.1");
    cr_assert_str_eq(cell.report.text[1], "addresses: clients 2 and 3 both have fd77::a63:1");
}

Test(breach, a_node_that_speaks_while_it_is_stopped)
{
    struct cell_takeover *t = takeover();

    t->stopped_ns = ZERO + 10 * MS;
    t->continued_ns = t->goes_on_from_ns = t->goes_on_to_ns = ZERO + 200 * MS;
    frame_esp(&cell.sniff.capture, 25, 1, 7, 2); /* was under way */
    frame_esp(&cell.sniff.capture, 210, 1, 7, 3);
    expect_green();
    frame_esp(&cell.sniff.capture, 150, 1, 7, 4);
    judge();
    cr_assert_eq(cell.report.n, 2);
    cr_assert(strstr(cell.report.text[0],
                     "dead-is-silent: node 1 sent ESP as the service address at 150.000 ms"));
    cr_assert(strstr(cell.report.text[1], "one-speaker: node 1 sent ESP"));
}

Test(breach, a_node_that_speaks_although_it_was_killed)
{
    struct cell_takeover *t = takeover();

    t->goes_on_from_ns = t->goes_on_to_ns = ZERO + 60 * MS; /* as if it had been stopped alone */
    frame_esp(&cell.sniff.capture, 60, 1, 7, 2);            /* of a worker's hands */
    expect_green();
    cell.killed = 1u << 1;
    expect_violation("dead-is-silent: node 1 sent ESP as the service address at 60.000 ms");
    t->return_ns = ZERO + 50 * MS;
    expect_green();
}

Test(breach, a_speaker_that_does_not_own_the_shard)
{
    frame_esp(&cell.sniff.capture, 50, 3, 7, 5);
    expect_violation("one-speaker: node 3 sent ESP as shard 1's service address at 50.000 ms");
}

Test(breach, a_number_of_the_second_client_that_came_twice)
{
    numbers_arrive(&clients[1].numbers[TRAFFIC_OUT], 4, ZERO + 90 * MS);
    numbers_arrive(&clients[1].numbers[TRAFFIC_OUT], 19, ZERO + 91 * MS);
    expect_violation("delivered-once: server to client of client 2: 2 numbers came twice, first "
                     "number 4 at 4.000 ms and at 90.000 ms");
}

Test(breach, a_number_that_is_missing_without_a_fault_or_where_none_may)
{
    (void)numbers_send(&clients[0].numbers[TRAFFIC_IN], ZERO + 3 * MS);
    (void)numbers_send(&clients[0].numbers[TRAFFIC_IN], ZERO + 4 * MS);
    numbers_arrive(&clients[0].numbers[TRAFFIC_IN], 21, ZERO + 5 * MS);
    expect_violation("loss: client to server: 1 of 42 numbers are missing");
    cr_assert(strstr(cell.report.text[0],
                     "the path dropped 0 packets; the nodes count: node 1 does "
                     "not answer; node 2 does not answer; node 3"),
              "%s", cell.report.text[0]);
    cell.relay.core.counts[RELAY_IN][RELAY_ESP].dropped = 1;
    expect_green();
    cell.relay.core.counts[RELAY_IN][RELAY_ESP].dropped = 0;
    (void)takeover();
    expect_green();
    drill.expect = DRILL_EXP_NOTHING_LOST;
    expect_violation("loss: client to server: 1 of 42 numbers are missing");
}

Test(breach, a_gap_that_is_longer_than_allowed)
{
    struct cell_takeover *t = takeover();

    t->flowing_ns = ZERO + 200 * MS;
    numbers_arrive(&clients[1].numbers[TRAFFIC_IN], 18,
                   0); /* a second copy would be another rule */
    clients[1].numbers[TRAFFIC_IN].n_arrivals--;
    drill.gap_ms = 200;
    expect_green();
    drill.gap_ms = 150;
    judge();
    cr_assert_eq(cell.report.n, 2); /* each way */
    cr_assert(strstr(cell.report.text[0], "gap: client to server: 181.0 ms without a packet, "
                                          "allowed are 150 ms"),
              "%s", cell.report.text[0]);
    drill.directions = 1;
    expect_violation("gap: client to server");
}

Test(breach, a_request_of_the_gateway_while_it_hears_the_client)
{
    frame_ike(&cell.sniff.capture, 50, 1, IKE_HDR_INFORMATIONAL, false, 1, 1);
    expect_green();
    cell.quiet_from_ns = ZERO + 20 * MS;
    cell.quiet_to_ns = ZERO + 90 * MS;
    expect_violation("begins-nothing: node 1 sent a request of exchange type 37");
}

Test(breach, what_the_clients_log_complains_of)
{
    cell.client.log.n_complaints = 1;
    (void)snprintf(cell.client.log.complaints[0], SWAN_LOG_LINE, "gave up: %s",
                   "giving up after 5");
    expect_violation("client: gave up: giving up after 5");
}

/* Statuses as waitpid() gives them. */
Test(breach, a_node_that_ends_otherwise_than_it_was_told_to)
{
    struct chaos_proc *p = &cell.nodes[2].proc;
    char log[] = "panic: x";

    p->started = p->ended = true;
    p->status = SIGABRT;
    p->log = log;
    p->log_len = sizeof log - 1;
    expect_violation("node 2 ended by itself (status 0x6): ...panic: x");
    p->status = 0;
    expect_violation("node 2 ended by itself (status 0)");
    cell.ended = 1u << 2;
    expect_green();
    p->status = 1 << 8;
    expect_violation("node 2 ended by itself (status 0x100)");
    p->status = SIGKILL;
    expect_violation("node 2 ended by itself (status 0x9)");
    cell.killed = 1u << 2;
    expect_green();
    p->status = SIGSEGV;
    cell.nodes[2].earlier = *p; /* and has come back since */
    *p = (struct chaos_proc){0};
    expect_violation("node 2 ended by itself (status 0xb)");
    cell.nodes[2].earlier = (struct chaos_proc){0};
}

/* Of a rolling restart's third process the first is two behind. */
Test(breach, a_process_before_the_last_two_that_ended_otherwise)
{
    struct node_past past[] = {{0, 9}, {SIGABRT, 19}};
    char logs[] = "first on\npanic: x\n";

    cell.nodes[2].older = logs;
    cell.nodes[2].past = past;
    cell.nodes[2].n_past = 2;
    cell.ended = 1u << 2;
    expect_violation("node 2 ended by itself (status 0x6): ...panic: x\n");
    past[1].status = 0;
    expect_green();
    past[0].status = 1 << 8;
    expect_violation("node 2 ended by itself (status 0x100): ...first on\n");
}

Test(breach, a_new_handshake_once_the_tunnel_was_up)
{
    frame_ike(&cell.sniff.capture, 1, 0, IKE_HDR_INIT, false, 0, 1);
    expect_green();
    frame_ike(&cell.sniff.capture, 40, 0, IKE_HDR_INIT, false, 0, 2);
    expect_violation("no-renegotiation: the client sent IKE_SA_INIT (message 0) at 40.000 ms");
}

Test(breach, an_inner_address_on_the_outside_at_either_end)
{
    uint8_t p[40] = {0};

    frame_add(&cell.sniff.capture, 4, 1, true, LAB_OUTSIDE_NET + 1, LAB_POOL + 9, 80,
              span_of(p, sizeof p));
    expect_violation("no-plaintext: port 1 sent 0a4d0101 -> 0a630009 in clear");
    capture_deinit(&cell.sniff.capture);
    frame_add(&cell.sniff.capture, 4, 0, true, LAB_SERVER, LAB_CLIENT, 80, span_of(p, sizeof p));
    expect_violation("no-plaintext: port 0 sent 0a4d020a -> 0a4d0132 in clear");
}

Test(breach, a_number_that_left_twice_and_copies_that_differ)
{
    frame_esp(&cell.sniff.capture, 30, 1, 7, 1);
    expect_violation("unique-numbers: SPI 00000007 sequence 1 left twice");
    capture_deinit(&cell.sniff.capture);
    frame_ike(&cell.sniff.capture, 31, 1, IKE_HDR_INFORMATIONAL, true, 4, 1);
    frame_ike(&cell.sniff.capture, 32, 1, IKE_HDR_INFORMATIONAL, true, 4, 2);
    expect_violation("identical-copies: IKE SA 0000000000001111/0000000000002222 response 4");
}

Test(breach, a_capture_or_a_relay_with_holes_shows_nothing)
{
    cell.relay.overflow = 3;
    expect_why("the relay had no room for 3 frames");
    cell.relay.overflow = 0;
    cell.sniff.capture.out_of_memory = true;
    expect_why("the capture has holes");
}
