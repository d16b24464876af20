/* Who may speak as a service address, what a healthy gateway does not begin, what a path explains:
 * each planted breach is named. */
#include <criterion/criterion.h>

#include <string.h>

#include "base/bytes.h"
#include "chaos/lab.h"
#include "chaos/oracle.h"
#include "frames.h"

enum { MS = FRAME_MS, ZERO = FRAME_ZERO, SLACK = 20 * FRAME_MS, BATCH = 3 };

static struct capture cap;
static struct oracle_report report;

/* Shard 1: node 1, from 100 ms on node 2, from 200 ms on node 1 again. Shard 2: node 3. */
static const struct oracle_tenure tenures[] = {
    {1, 1, 0}, {2, 3, 0}, {1, 2, ZERO + 100 * MS}, {1, 1, ZERO + 200 * MS}};

static void setup(void)
{
    cap = (struct capture){0};
    report = (struct oracle_report){0};
}

static void teardown(void)
{
    capture_deinit(&cap);
}

TestSuite(speakers, .init = setup, .fini = teardown);

/* What the drill knows of stopped nodes that went on: `n` of them. */
static void judge_with(struct oracle_hand *list, size_t n, bool held_up)
{
    const struct oracle_hands hands = {SLACK, BATCH, list, n, held_up};

    report = (struct oracle_report){0};
    oracle_one_speaker(&cap, ZERO, tenures, 4, &hands, &report);
}

static void judge(void)
{
    judge_with(NULL, 0, false);
}

/* Node 1 was stopped and goes on at 150 ms. */
static void judge_going_on(void)
{
    struct oracle_hand one = {1, ZERO + 150 * MS, ZERO + 170 * MS, BATCH};

    judge_with(&one, 1, false);
}

static void expect_named(const char *part)
{
    cr_assert_eq(report.n, 1, "%u violations, the first: %s", report.n, report.text[0]);
    cr_assert(strstr(report.text[0], part), "'%s' lacks '%s'", report.text[0], part);
}

static void arp(unsigned ms, uint8_t node, uint32_t sender)
{
    uint8_t frame[60] = {0};

    put_be16(frame + 12, 0x0806);
    put_be32(frame + 14 + 14, sender);
    cr_assert(capture_add(&cap, ZERO + (uint64_t)ms * MS, node, true, span_of(frame, sizeof frame),
                          sizeof frame));
}

Test(speakers, owners_in_their_turn_are_green)
{
    uint8_t esp[16] = {1};

    frame_esp(&cap, 1, 1, 7, 1);
    frame_esp(&cap, 100, 2, 7, 100);
    frame_esp(&cap, 110, 1, 7, 2); /* was in hand */
    frame_ike(&cap, 150, 2, IKE_HDR_CREATE_CHILD, true, 2, 8);
    arp(205, 1, LAB_VIP);
    frame_esp(&cap, 220, 1, 7, 200);
    frame_add(&cap, 150, 3, true, LAB_VIP + 1, LAB_CLIENT, 4500, span_of(esp, sizeof esp));
    frame_add(&cap, 150, 3, true, LAB_OUTSIDE_NET + 3, LAB_CLIENT, 9, span_of(esp, sizeof esp));
    judge();
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
}

Test(speakers, a_zombie_may_empty_its_hands_and_no_more)
{
    for (unsigned i = 0; i < BATCH; i++)
        frame_esp(&cap, 150 + i, 1, 7, 10 + i);
    judge_going_on();
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    frame_esp(&cap, 160, 1, 7, 20);
    judge_going_on();
    expect_named(
        "one-speaker: node 1 sent ESP as shard 1's service address at 160.000 ms, which is "
        "node 2's since 100.000 ms");
}

Test(speakers, a_zombie_empties_its_hands_at_once_or_is_named)
{
    frame_esp(&cap, 170, 1, 7, 10);
    judge_going_on();
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    frame_esp(&cap, 171, 1, 7, 11);
    judge_going_on();
    expect_named("node 1 sent ESP as shard 1's service address at 171.000 ms");
    capture_deinit(&cap);
    frame_esp(&cap, 149, 1, 7, 12); /* it was stopped */
    judge_going_on();
    expect_named("node 1 sent ESP as shard 1's service address at 149.000 ms");
}

Test(speakers, who_was_not_stopped_has_nothing_in_hand)
{
    struct oracle_hand other = {3, ZERO + 150 * MS, ZERO + 170 * MS, BATCH};

    frame_esp(&cap, 155, 1, 7, 10);
    judge();
    expect_named("node 1 sent ESP as shard 1's service address at 155.000 ms");
    judge_with(&other, 1, false);
    expect_named("node 1 sent ESP as shard 1's service address at 155.000 ms");
}

/* Nobody stopped it, but leases were missed: this machine gave it no turn. */
Test(speakers, a_thread_that_was_held_up_empties_its_hands_at_once)
{
    for (unsigned i = 0; i < BATCH; i++)
        frame_esp(&cap, 155 + i, 1, 7, 10 + i);
    judge_with(NULL, 0, true);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    frame_esp(&cap, 160, 1, 7, 20);
    judge_with(NULL, 0, true);
    expect_named("node 1 sent ESP as shard 1's service address at 160.000 ms");
    capture_deinit(&cap);
    frame_esp(&cap, 155, 1, 7, 10);
    frame_esp(&cap, 176, 1, 7, 11);
    judge_with(NULL, 0, true);
    expect_named("node 1 sent ESP as shard 1's service address at 176.000 ms");
}

Test(speakers, a_predecessor_has_no_more_than_a_batch_on_its_way)
{
    for (unsigned i = 0; i < BATCH; i++)
        frame_esp(&cap, 101, 1, 7, 10 + i);
    judge();
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    frame_esp(&cap, 102, 1, 7, 20);
    judge();
    expect_named("node 1 sent ESP as shard 1's service address at 102.000 ms");
}

/* It was stopped before another owner came and went. */
Test(speakers, so_may_one_that_was_the_owner_before_the_last)
{
    static const struct oracle_tenure three[] = {
        {1, 1, 0}, {1, 2, ZERO + 100 * MS}, {1, 3, ZERO + 200 * MS}};
    struct oracle_hand one = {1, ZERO + 210 * MS, ZERO + 230 * MS, BATCH};
    const struct oracle_hands hands = {SLACK, BATCH, &one, 1, false};

    for (unsigned i = 0; i < BATCH; i++)
        frame_esp(&cap, 210 + i, 1, 7, 10 + i);
    oracle_one_speaker(&cap, ZERO, three, 3, &hands, &report);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    cr_assert_eq(one.left, 0);
    one.left = BATCH;
    frame_esp(&cap, 219, 1, 7, 20);
    oracle_one_speaker(&cap, ZERO, three, 3, &hands, &report);
    expect_named("one-speaker: node 1 sent ESP as shard 1's service address at 219.000 ms");
}

Test(speakers, a_zombie_that_begins_or_answers_is_named)
{
    frame_ike(&cap, 150, 1, IKE_HDR_INFORMATIONAL, false, 2, 8);
    judge_going_on();
    expect_named("one-speaker: node 1 sent IKE as shard 1's service address at 150.000 ms");
    capture_deinit(&cap);
    arp(150, 1, LAB_VIP);
    judge_going_on();
    expect_named("one-speaker: node 1 sent ARP");
}

Test(speakers, a_node_that_never_owned_it_is_named_at_once)
{
    frame_esp(&cap, 50, 3, 7, 1);
    judge();
    expect_named("one-speaker: node 3 sent ESP as shard 1's service address at 50.000 ms, which is "
                 "node 1's since");
    capture_deinit(&cap);
    frame_esp(&cap, 101, 3, 7, 1); /* no predecessor: nothing of it can have been in hand */
    judge();
    expect_named("node 3 sent ESP");
}

Test(speakers, without_known_tenures_nothing_is_judged)
{
    const struct oracle_hands hands = {SLACK, BATCH, NULL, 0, false};

    frame_esp(&cap, 50, 3, 7, 1);
    oracle_one_speaker(&cap, ZERO, NULL, 0, &hands, &report);
    cr_assert_eq(report.n, 0);
}

Test(speakers, a_request_of_the_gateway_while_the_client_is_heard_is_named)
{
    frame_ike(&cap, 10, 1, IKE_HDR_INFORMATIONAL, false, 1, 1);
    frame_ike(&cap, 60, 1, IKE_HDR_INFORMATIONAL, true, 5, 1);  /* an answer */
    frame_ike(&cap, 60, 0, IKE_HDR_INFORMATIONAL, false, 5, 1); /* the client's */
    frame_ike(&cap, 60, 1, IKE_HDR_CREATE_CHILD, false, 6, 1);  /* another exchange */
    oracle_begins_nothing(&cap, ZERO, IKE_HDR_INFORMATIONAL, ZERO + 50 * MS, ZERO + 90 * MS,
                          &report);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    frame_ike(&cap, 70, 2, IKE_HDR_INFORMATIONAL, false, 2, 1);
    oracle_begins_nothing(&cap, ZERO, IKE_HDR_INFORMATIONAL, ZERO + 50 * MS, ZERO + 90 * MS,
                          &report);
    expect_named("begins-nothing: node 2 sent a request of exchange type 37 (message 2) at 70.000");
}

Test(speakers, a_loss_that_the_path_does_not_explain_is_named)
{
    struct numbers_summary s = {
        .sent = 100, .lost = 7, .lost_from_ns = ZERO + 3 * MS, .lost_to_ns = ZERO + 5 * MS};

    oracle_loss_explained(&s, ZERO, "client to server", 7, "nothing", &report);
    cr_assert_eq(report.n, 0);
    oracle_loss_explained(&s, ZERO, "client to server", 6, "node 2: esp_drop_in_old 9", &report);
    expect_named(
        "loss: client to server: 7 of 100 numbers are missing, sent from 3.000 to 5.000 ms; "
        "the path dropped 6 packets; the nodes count: node 2: esp_drop_in_old 9");
}

Test(speakers, a_cluster_time_that_follows_a_wall_clock_is_named)
{
    oracle_cluster_time(1, 60000, 65000, 5100, &report);
    oracle_cluster_time(1, 60000, 66100, 5100, &report);
    oracle_cluster_time(1, 60000, 62550, 5100, &report);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    oracle_cluster_time(2, 60000, 66101, 5100, &report); /* forward, five seconds an entry */
    expect_named("cluster-time: by node 2 it went from 60000 to 66101 ms while 5100 ms passed");
    report = (struct oracle_report){0};
    oracle_cluster_time(3, 60000, 62549, 5100, &report); /* backward: it waits for the wall clock */
    expect_named("cluster-time: by node 3 it went from 60000 to 62549 ms while 5100 ms passed");
    report = (struct oracle_report){0};
    oracle_cluster_time(3, 60000, 59999, 0, &report);
    expect_named("cluster-time: by node 3 it went from 60000 to 59999 ms");
}

/* The twins of the lab's addresses, and nobody else's. */
Test(speakers, ipv6_frames_are_known_by_their_twins)
{
    uint8_t frame[14 + 40 + 8 + 16] = {0};
    struct capture_frame f;

    put_be16(frame + 12, 0x86dd);
    put_be16(frame + 14 + 4, 24);
    frame[14 + 6] = 17;
    frame[14 + 8] = frame[14 + 24] = 0xfd;
    frame[14 + 9] = frame[14 + 25] = 0x77;
    put_be32(frame + 14 + 20, LAB_VIP);
    put_be32(frame + 14 + 36, LAB_CLIENT);
    put_be16(frame + 54, 4500);
    put_be16(frame + 56, 4500);
    put_be32(frame + 62, 0xabcd);
    put_be32(frame + 66, 9);
    cr_assert(capture_decode(span_of(frame, sizeof frame), &f));
    cr_assert(f.v6 && f.kind == CAPTURE_ESP && f.src == LAB_VIP && f.dst == LAB_CLIENT);
    cr_assert(f.spi == 0xabcd && f.seq == 9);
    frame[14 + 6] = 58;
    frame[54] = 136; /* an advertisement for shard 2's address, by a node's own */
    put_be32(frame + 14 + 20, LAB_OUTSIDE_NET + 1);
    memset(frame + 62, 0, 16);
    frame[62] = 0xfd;
    frame[63] = 0x77;
    put_be32(frame + 74, LAB_VIP + 1);
    cr_assert(capture_decode(span_of(frame, sizeof frame), &f));
    cr_assert(f.kind == CAPTURE_ARP && f.src == LAB_VIP + 1);
    frame[14 + 6] = 50;
    frame[14 + 9] = 0x78; /* not of the lab */
    cr_assert(capture_decode(span_of(frame, sizeof frame), &f));
    cr_assert(f.kind == CAPTURE_ESP && f.src == 0);
    for (size_t cut = 14; cut < sizeof frame; cut++)
        (void)capture_decode(span_of(frame, cut), &f);
}

Test(speakers, a_service_address_is_one_shards)
{
    cr_assert_eq(lab_shard_of_vip(LAB_VIP), 1);
    cr_assert_eq(lab_shard_of_vip(LAB_VIP + LAB_MAX_SHARDS - 1), LAB_MAX_SHARDS);
    cr_assert_eq(lab_shard_of_vip(LAB_VIP + LAB_MAX_SHARDS), 0);
    cr_assert_eq(lab_shard_of_vip(LAB_VIP - 1), 0);
}
