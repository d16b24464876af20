/* Who owned what when, out of the nodes' logs. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaos/lab.h"
#include "chaos/oracle_tenures.h"
#include "frames.h"

enum { MS = FRAME_MS, ZERO = FRAME_ZERO };

static struct oracle_tellings told;
static struct oracle_report report;
static struct capture cap;
static struct oracle_tenure *tenures;
static size_t n_tenures;
static const char *why;

static void setup(void)
{
    told = (struct oracle_tellings){0};
    report = (struct oracle_report){0};
    cap = (struct capture){0};
    tenures = NULL;
}

static void teardown(void)
{
    free(tenures);
    oracle_tellings_deinit(&told);
    capture_deinit(&cap);
}

TestSuite(tenures, .init = setup, .fini = teardown);

static void take(unsigned node, const char *log)
{
    oracle_take_tellings(&told, node, log, ZERO, &report);
}

static void put_together(const uint64_t *made, unsigned shards)
{
    free(tenures);
    tenures = oracle_told_tenures(&told, &cap, made, shards, &n_tenures, &why);
}

static void expect_tenure(size_t at, unsigned shard, unsigned node, uint64_t ns)
{
    const struct oracle_tenure *t = &tenures[at];

    cr_assert(t->shard == shard && t->node == node && t->from_ns == ns,
              "tenure %zu is shard %u's of node %u from %llu", at, t->shard, t->node,
              (unsigned long long)t->from_ns);
}

/* Each from the first frame of its owner on; node 3 never spoke, node 1 again after it. */
Test(tenures, are_those_of_the_log_in_the_order_of_their_numbers)
{
    const uint64_t made[] = {0, 4, 1};

    take(1, "1970-01-01T00:00:00.010Z info repl shard 1: epoch 5, owner node 1, assignment 1\n"
            "1970-01-01T00:00:00.030Z info repl shard 1: epoch 9, owner node 2, assignment 2 "
            "(handover)\n"
            "1970-01-01T00:00:00.011Z info owner shard=1 epoch=1.5 owner=1 (this node)\n"
            "1970-01-01T00:00:00.012Z info repl shard 1: assigning to node 2\n");
    take(2, "1970-01-01T00:00:00.050Z info repl shard 1: epoch 11, owner node 3, assignment 3\n"
            "1970-01-01T00:00:00.012Z info repl shard 2: epoch 6, owner node 2, assignment 1\n"
            "1970-01-01T00:00:00.070Z info repl shard 1: epoch 12, owner node 1, assignment 4\n"
            /* after a restart, from its log */
            "1970-01-01T00:00:00.090Z info repl shard 1: epoch 9, owner node 2, assignment 2\n");
    frame_esp(&cap, 7, 1, 7, 1);
    frame_esp(&cap, 24, 1, 7, 2);
    frame_esp(&cap, 27, 2, 7, 50);
    frame_esp(&cap, 71, 1, 7, 90);
    put_together(made, 2);
    cr_assert(tenures != NULL, "%s", why);
    cr_assert_eq(n_tenures, 5);
    cr_assert_eq(report.n, 0);
    expect_tenure(0, 1, 1, ZERO + 7 * MS);
    expect_tenure(1, 1, 2, ZERO + 27 * MS);
    expect_tenure(2, 1, 3, 50 * MS);
    expect_tenure(3, 1, 1, ZERO + 71 * MS);
    expect_tenure(4, 2, 2, 12 * MS);
}

Test(tenures, a_clock_that_jumped_is_brought_back)
{
    const uint64_t made[] = {0, 2};

    take(1, "1970-01-01T01:00:00.010Z info repl shard 1: epoch 5, owner node 1, assignment 1\n");
    take(2, "1969-12-31T23:00:00.020Z info repl shard 1: epoch 6, owner node 2, assignment 2\n");
    put_together(made, 1);
    cr_assert(tenures != NULL, "%s", why);
    expect_tenure(0, 1, 1, 10 * MS);
    expect_tenure(1, 1, 2, 20 * MS);
}

Test(tenures, are_not_known_where_one_is_missing)
{
    const uint64_t made[] = {0, 1}, three[] = {0, 3};

    put_together(made, 1);
    cr_assert(tenures == NULL);
    take(1, "1970-01-01T00:00:00.010Z info repl shard 1: epoch 5, owner node 1, assignment 1\n");
    put_together(made, 1);
    cr_assert(tenures != NULL && n_tenures == 1);
    put_together(three, 1); /* the nodes count more */
    cr_assert(tenures == NULL);
    take(1, "1970-01-01T00:00:00.030Z info repl shard 1: epoch 9, owner node 2, assignment 3");
    put_together(made, 1);
    cr_assert(tenures == NULL);
    cr_assert_str_eq(why, "the nodes' logs lack one");
}

Test(tenures, two_owners_of_one_epoch_are_named)
{
    const char *one =
        "1970-01-01T00:00:00.010Z info repl shard 1: epoch 5, owner node 1, assignment 1\n";

    take(1, one);
    take(2, one);
    cr_assert_eq(report.n, 0);
    take(3, "1970-01-01T00:00:00.010Z info repl shard 1: epoch 5, owner node 3, assignment 1\n");
    cr_assert_eq(report.n, 1);
    cr_assert_str_eq(report.text[0], "one-owner: shard 1's assignment 1 is epoch 5 of node 1 for "
                                     "node 1, epoch 5 of node 3 for node 3");
}

/* Node 1's lease of shard 1 is over from 20 ms to 80 ms, by two processes; shard 2's never was. */
static unsigned judge_leases(bool held_up)
{
    const char *const logs[] = {
        NULL,
        "1970-01-01T00:00:00.010Z info repl shard 1: lease held\n"
        "1970-01-01T00:00:00.010Z info repl shard 2: lease held\n"
        "1970-01-01T00:00:00.042Z info repl shard 1: lease lost, it ended 18 ms ago\n",
        "1970-01-01T01:00:00.085Z info repl shard 1: lease held\n"};
    struct oracle_hand one = {1, ZERO + 50 * MS, ZERO + 52 * MS, 2};
    const struct oracle_hands hands = {5 * MS, 2, &one, held_up ? 0 : 1, held_up};

    report = (struct oracle_report){0};
    return oracle_lease_over(&cap, ZERO, 1, logs, 3, &hands, &report);
}

Test(tenures, without_a_lease_a_node_says_nothing_whoever_owns)
{
    frame_esp(&cap, 15, 1, 7, 1);
    frame_esp(&cap, 25, 1, 7, 2); /* at once */
    frame_esp(&cap, 50, 1, 7, 3); /* in hand when it was stopped */
    frame_esp(&cap, 52, 1, 7, 4);
    frame_esp(&cap, 40, 2, 7, 5); /* another node */
    frame_esp(&cap, 75, 1, 7, 6); /* on its way to be told */
    cr_assert_eq(judge_leases(false), 1);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    frame_esp(&cap, 26, 1, 7, 7);
    frame_esp(&cap, 53, 1, 7, 8);
    (void)judge_leases(false);
    cr_assert_eq(report.n, 1);
    cr_assert_str_eq(report.text[0], "lease-over: node 1 sent ESP as shard 1's service address at "
                                     "26.000 ms, 2 times in all; by its log its lease was over "
                                     "since 20.000 ms");
    capture_deinit(&cap);
    frame_ike(&cap, 51, 1, IKE_HDR_INFORMATIONAL, false, 2, 8); /* no hand holds such a message */
    (void)judge_leases(false);
    cr_assert_eq(report.n, 1);
    cr_assert(strstr(report.text[0], "sent IKE as shard 1's"), "%s", report.text[0]);
}

Test(tenures, a_lease_that_is_over_where_threads_were_held_up)
{
    frame_esp(&cap, 40, 1, 7, 1);
    frame_esp(&cap, 45, 1, 7, 2);
    (void)judge_leases(true);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    frame_esp(&cap, 46, 1, 7, 3);
    (void)judge_leases(true);
    cr_assert_eq(report.n, 1);
}

Test(tenures, a_lease_that_never_comes_back_is_over_for_good)
{
    const char *log = "1970-01-01T00:00:00.012Z info repl shard 2: lease lost, it ended 0 ms ago\n";
    const struct oracle_hands hands = {5 * MS, 2, NULL, 0, false};
    uint8_t esp[16] = {1};

    frame_add(&cap, 12, 3, true, LAB_VIP + 1, LAB_CLIENT, 4500, span_of(esp, sizeof esp));
    cr_assert_eq(oracle_lease_over(&cap, ZERO, 3, &log, 1, &hands, &report), 1);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    frame_add(&cap, 900, 3, true, LAB_VIP + 1, LAB_CLIENT, 4500, span_of(esp, sizeof esp));
    (void)oracle_lease_over(&cap, ZERO, 3, &log, 1, &hands, &report);
    cr_assert_eq(report.n, 1);
    cr_assert(strstr(report.text[0], "lease-over: node 3 sent ESP as shard 2's service address at "
                                     "900.000 ms"));
}

/* A process that was killed told of no end; the next one has none of it, though it is the owner by the log. */
Test(tenures, a_process_has_no_lease_before_it_says_so)
{
    const char *const logs[] = {"1970-01-01T00:00:00.010Z info repl shard 1: lease held\n", NULL,
                                "no stamp\n1970-01-01T00:00:00.050Z info node anything\n"
                                "1970-01-01T00:00:00.080Z info repl shard 1: lease held\n"};
    const struct oracle_hands hands = {5 * MS, 2, NULL, 0, false};
    uint8_t esp[16] = {1};

    frame_esp(&cap, 12, 1, 7, 1);
    frame_esp(&cap, 40, 1, 7, 2);
    frame_esp(&cap, 49, 1, 7, 3); /* its predecessor's, on its way */
    frame_esp(&cap, 82, 1, 7, 4);
    cr_assert_eq(oracle_lease_over(&cap, ZERO, 1, logs, 3, &hands, &report), 0);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    frame_esp(&cap, 60, 1, 7, 5);
    frame_add(&cap, 90, 1, true, LAB_VIP + 1, LAB_CLIENT, 4500, span_of(esp, sizeof esp));
    (void)oracle_lease_over(&cap, ZERO, 1, logs, 3, &hands, &report);
    cr_assert_eq(report.n, 2);
    cr_assert_str_eq(report.text[0], "lease-over: node 1 sent ESP as shard 1's service address at "
                                     "60.000 ms, 1 times in all; by its log its lease was over "
                                     "since 45.000 ms");
    cr_assert(strstr(report.text[1], "as shard 2's service address at 90.000 ms"), "%s",
              report.text[1]);
}

/* An end longer ago than the clock is old is an end all the same, not a lease that is held. */
Test(tenures, an_end_is_never_taken_for_a_beginning)
{
    static const char *const ago[] = {"15", "20", "18446744073709", "18446744073709551615"};
    const struct oracle_hands hands = {5 * MS, 2, NULL, 0, false};
    char log[160];

    frame_esp(&cap, 100, 1, 7, 1);
    for (size_t i = 0; i < sizeof ago / sizeof *ago; i++) {
        const char *const logs[] = {log};

        (void)snprintf(log, sizeof log,
                       "1970-01-01T00:00:00.010Z info repl shard 1: lease held\n"
                       "1970-01-01T00:00:00.014Z info repl shard 1: lease lost, it ended %s ms "
                       "ago\n",
                       ago[i]);
        report = (struct oracle_report){0};
        cr_assert_eq(oracle_lease_over(&cap, ZERO, 1, logs, 1, &hands, &report), 1);
        cr_assert_eq(report.n, 1, "%s ms ago", ago[i]);
    }
}

/* Of no clock: years beyond what nanoseconds hold, and before 1970. */
Test(tenures, a_stamp_of_no_clock_is_none)
{
    static const char *const lines[] = {"9999-12-31T23:59:59.999Z x", "2262-04-11T23:47:16.000Z x",
                                        "1969-12-31T23:59:59.999Z x", "-999-01-01T00:00:00.000Z x",
                                        "1970-01-01T00:00:00.999 x",  "0000-00-00T00:00:00.000Z x"};
    uint64_t ns;

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        cr_assert_not(oracle_stamp_of(lines[i], ZERO, &ns), "%s", lines[i]);
    cr_assert(oracle_stamp_of("2026-11-27T18:52:06.123Z x", 1795801926000000000u, &ns));
    cr_assert_eq(ns, 1795801926123000000u);
}

Test(tenures, what_is_no_such_line_is_passed_over)
{
    take(1, NULL);
    take(1, "");
    take(1, "\n\nshard 1: epoch 5, owner node 1, assignment 1\n"
            "1970-01-01T00:00:00.010Z info repl shard 99: epoch 5, owner node 1, assignment 1\n"
            "1970-01-01T00:00:00.010Z info repl shard 1: epoch 5, owner node 1\n"
            "1970-01-01T00:00:00.010Z info repl something\n repl shard 1: epoch 5, owner node 1, "
            "assignment 1\n");
    cr_assert_eq(told.n, 0);
}
