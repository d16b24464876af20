/* The oracle over synthetic captures: a clean one is green, and each kind of violation is found and
 * names the pair. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "chaos/oracle.h"
#include "chaos/traffic.h"
#include "frames.h"

enum { MS = FRAME_MS, ZERO = FRAME_ZERO };

static struct capture cap;
static struct oracle_report report;

static void setup(void)
{
    cap = (struct capture){0};
    report = (struct oracle_report){0};
}

static void teardown(void)
{
    capture_deinit(&cap);
}

TestSuite(oracle, .init = setup, .fini = teardown);

static void add(unsigned ms, uint8_t port, bool left, uint32_t src, uint32_t dst, uint16_t udp_port,
                struct span payload)
{
    frame_add(&cap, ms, port, left, src, dst, udp_port, payload);
}

static void esp(unsigned ms, uint8_t node, uint32_t spi, uint32_t seq)
{
    frame_esp(&cap, ms, node, spi, seq);
}

static void ike(unsigned ms, uint8_t port, uint8_t exchange, bool response, uint32_t message_id,
                uint8_t last_byte)
{
    frame_ike(&cap, ms, port, exchange, response, message_id, last_byte);
}

static void expect_named(const char *part)
{
    cr_assert_eq(report.n, 1, "%u violations", report.n);
    cr_assert(strstr(report.text[0], part), "'%s' lacks '%s'", report.text[0], part);
}

Test(oracle, a_clean_capture_is_green)
{
    struct oracle_message about = {0x1111, 0x2222, 2, true, false};
    struct oracle_copies copies;

    esp(1, 1, 0xaaaa0001, 1);
    esp(2, 1, 0xaaaa0001, 2);
    esp(3, 2, 0xaaaa0001, 65538);
    esp(4, 2, 0xbbbb0001, 1); /* another SA may use the number */
    ike(5, 0, IKE_HDR_CREATE_CHILD, false, 2, 7);
    ike(6, 1, IKE_HDR_CREATE_CHILD, true, 2, 8);
    ike(7, 0, IKE_HDR_CREATE_CHILD, false, 2, 7);
    ike(8, 2, IKE_HDR_CREATE_CHILD, true, 2, 8);
    ike(9, 2, IKE_HDR_CREATE_CHILD, false, 2,
        9); /* the gateway's own request 2 is another message */
    capture_sort(&cap);
    oracle_unique_numbers(&cap, ZERO, &report);
    oracle_no_plaintext(&cap, ZERO, &report);
    oracle_no_renegotiation(&cap, ZERO, ZERO, UINT64_MAX, &report);
    oracle_identical_copies(&cap, ZERO, &about, &copies, &report);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    cr_assert_eq(copies.compared, 2);
    cr_assert_eq(copies.of_gateway, 1);
    cr_assert_eq(copies.of_message, 1);
    cr_assert_eq(copies.across, 1);
    cr_assert_eq(copies.sent_of_message, 2);
}

Test(oracle, a_second_copy_from_the_same_node_is_not_across)
{
    struct oracle_message about = {0x1111, 0x2222, 2, true, false};
    struct oracle_copies copies;

    ike(6, 2, IKE_HDR_CREATE_CHILD, true, 2, 8);
    ike(8, 2, IKE_HDR_CREATE_CHILD, true, 2, 8);
    ike(9, 1, IKE_HDR_CREATE_CHILD, true, 3, 8); /* another message */
    ike(9, 2, IKE_HDR_CREATE_CHILD, true, 3, 8);
    oracle_identical_copies(&cap, ZERO, &about, &copies, &report);
    cr_assert_eq(copies.of_message, 1);
    cr_assert_eq(copies.across, 0);
    ike(10, 3, IKE_HDR_CREATE_CHILD, true, 2, 8);
    oracle_identical_copies(&cap, ZERO, &about, &copies, &report);
    cr_assert_eq(copies.of_message, 2);
    cr_assert_eq(copies.across, 1);
}

Test(oracle, who_sent_it_and_when_is_told)
{
    struct oracle_message about = {0x1111, 0x2222, 2, true, false};
    uint64_t first = 7;

    ike(4, 0, IKE_HDR_CREATE_CHILD, false, 2, 8); /* the client's request */
    ike(5, 1, IKE_HDR_CREATE_CHILD, true, 1, 8);  /* another message */
    ike(6, 2, IKE_HDR_CREATE_CHILD, true, 2, 8);  /* another node */
    cr_assert_eq(oracle_sent_by(&cap, &about, 1, 0, UINT64_MAX, &first), 0);
    cr_assert_eq(first, 0);
    ike(9, 1, IKE_HDR_CREATE_CHILD, true, 2, 8);
    ike(8, 1, IKE_HDR_CREATE_CHILD, true, 2, 8); /* read later, sent earlier */
    cr_assert_eq(oracle_sent_by(&cap, &about, 1, 0, UINT64_MAX, &first), 2);
    cr_assert_eq(first, (uint64_t)ZERO + 8 * MS);
    cr_assert_eq(oracle_sent_by(&cap, &about, 1, 0, ZERO + 9 * MS, &first), 1);
    cr_assert_eq(oracle_sent_by(&cap, &about, 1, 0, ZERO + 8 * MS, &first), 0);
    cr_assert_eq(oracle_sent_by(&cap, &about, 1, ZERO + 9 * MS, UINT64_MAX, &first), 1);
    cr_assert_eq(first, (uint64_t)ZERO + 9 * MS);
}

Test(oracle, a_number_used_by_two_nodes_is_named)
{
    esp(1, 1, 0xaaaa0001, 77);
    esp(9, 3, 0xaaaa0001, 77);
    capture_sort(&cap);
    oracle_unique_numbers(&cap, ZERO, &report);
    expect_named("SPI aaaa0001 sequence 77 left twice: node 1 at 1.000 ms and node 3 at 9.000 ms");
}

Test(oracle, a_number_used_twice_by_one_node_is_named)
{
    esp(1, 2, 0xaaaa0001, 5);
    esp(2, 2, 0xaaaa0001, 5);
    capture_sort(&cap);
    oracle_unique_numbers(&cap, ZERO, &report);
    expect_named("node 2 at 1.000 ms and node 2 at 2.000 ms");
}

Test(oracle, what_only_passed_the_clients_port_is_no_second_use)
{
    uint8_t p[64] = {0};

    esp(1, 1, 0xaaaa0001, 5);
    put_be32(p, 0xaaaa0001);
    put_be32(p + 4, 5);
    add(1, CAPTURE_CLIENT_PORT, false, LAB_VIP, LAB_CLIENT, 4500, span_of(p, sizeof p));
    capture_sort(&cap);
    oracle_unique_numbers(&cap, ZERO, &report);
    cr_assert_eq(report.n, 0);
}

Test(oracle, copies_that_differ_are_named_with_the_byte)
{
    struct oracle_copies copies;

    ike(1, 1, IKE_HDR_CREATE_CHILD, true, 4, 1);
    ike(8, 2, IKE_HDR_CREATE_CHILD, true, 4, 2);
    capture_sort(&cap);
    oracle_identical_copies(&cap, ZERO, NULL, &copies, &report);
    expect_named("response 4 of the gateway: port 1 at 1.000 ms (68 bytes) and port 2 at 8.000 ms "
                 "(68 bytes) differ from byte 67 on");
}

Test(oracle, an_init_after_the_tunnel_was_up_is_named)
{
    struct oracle_report before = {0};

    ike(1, 0, IKE_HDR_INIT, false, 0, 1);
    ike(2, 0, IKE_HDR_AUTH, false, 1, 1);
    oracle_no_renegotiation(&cap, ZERO, ZERO + 3 * MS, UINT64_MAX, &before);
    cr_assert_eq(before.n, 0);
    ike(9, 0, IKE_HDR_AUTH, false, 1, 1);
    oracle_no_renegotiation(&cap, ZERO, ZERO + 3 * MS, ZERO + 8 * MS, &before);
    cr_assert_eq(before.n, 0);
    oracle_no_renegotiation(&cap, ZERO, ZERO + 3 * MS, ZERO + 9 * MS, &report);
    expect_named("the client sent IKE_AUTH (message 1) at 9.000 ms");
}

Test(oracle, inner_addresses_outside_are_plaintext)
{
    uint8_t p[40] = {0};

    add(4, 2, true, LAB_SERVER, LAB_POOL + 1, 80, span_of(p, sizeof p));
    oracle_no_plaintext(&cap, ZERO, &report);
    expect_named("port 2 sent 0a4d020a -> 0a630001 in clear at 4.000 ms");
}

Test(oracle, a_numbered_packet_in_clear_is_plaintext_whatever_its_addresses)
{
    uint8_t p[40] = TRAFFIC_MAGIC;

    add(4, 1, true, LAB_VIP, LAB_CLIENT, 4500, span_of(p, sizeof p));
    oracle_no_plaintext(&cap, ZERO, &report);
    expect_named("in clear");
}

Test(oracle, a_dead_node_that_speaks_is_named)
{
    esp(1, 1, 0xaaaa0001, 1);
    esp(5, 2, 0xaaaa0001, 2);
    oracle_dead_is_silent(&cap, ZERO, 1, ZERO + 2 * MS, ZERO + 9 * MS, &report);
    cr_assert_eq(report.n, 0);
    esp(6, 1, 0xaaaa0001, 3);
    esp(12, 1, 0xaaaa0001, 4); /* it had returned */
    oracle_dead_is_silent(&cap, ZERO, 1, ZERO + 2 * MS, ZERO + 9 * MS, &report);
    expect_named("node 1 sent ESP as the service address at 6.000 ms, it died before 2.000 ms");
}

Test(oracle, a_number_delivered_twice_is_named)
{
    struct numbers n = {0};

    for (int i = 0; i < 3; i++)
        (void)numbers_send(&n, ZERO);
    numbers_arrive(&n, 0, ZERO + 1 * MS);
    numbers_arrive(&n, 1, ZERO + 2 * MS);
    numbers_arrive(&n, 1, ZERO + 7 * MS);
    oracle_delivered_once(&n, "client to server", ZERO, &report);
    expect_named("first number 1 at 2.000 ms and at 7.000 ms");
    numbers_deinit(&n);
}

Test(oracle, requests_are_counted_once_each)
{
    ike(1, 0, IKE_HDR_CREATE_CHILD, false, 2, 1);
    ike(2, 0, IKE_HDR_CREATE_CHILD, false, 2, 1); /* its retransmission */
    ike(3, 1, IKE_HDR_CREATE_CHILD, false, 0, 1); /* the other side's */
    cr_assert_eq(oracle_count_requests(&cap, ZERO, ZERO + 9 * MS, true, IKE_HDR_CREATE_CHILD), 1);
    ike(4, 0, IKE_HDR_CREATE_CHILD, false, 3, 1);
    cr_assert_eq(oracle_count_requests(&cap, ZERO, ZERO + 9 * MS, true, IKE_HDR_CREATE_CHILD), 2);
    cr_assert_eq(oracle_count_requests(&cap, ZERO, ZERO + 9 * MS, false, IKE_HDR_CREATE_CHILD), 1);
    /* the retransmission of an earlier one does not count */
    cr_assert_eq(
        oracle_count_requests(&cap, ZERO + 2 * MS, ZERO + 9 * MS, true, IKE_HDR_CREATE_CHILD), 1);
}

Test(oracle, bytes_that_the_record_did_not_say_are_named)
{
    struct oracle_message about = {0x1111, 0x2222, 4, true, false};
    uint64_t hash;

    ike(1, 1, IKE_HDR_CREATE_CHILD, true, 4, 1);
    ike(2, 1, IKE_HDR_CREATE_CHILD, true, 5, 2); /* another message */
    ike(8, 2, IKE_HDR_CREATE_CHILD, true, 4, 1);
    hash = span_fnv1a64(capture_message(&cap, &cap.frames[0]));
    cr_assert_eq(oracle_of_record(&cap, ZERO, &about, hash, &report), 2);
    cr_assert_eq(report.n, 0);
    ike(9, 3, IKE_HDR_CREATE_CHILD, true, 4, 3);
    cr_assert_eq(oracle_of_record(&cap, ZERO, &about, hash, &report), 3);
    expect_named("same-bytes: response 4 left node 3 at 9.000 ms with other bytes than its record");
}

Test(oracle, truncated_frames_are_refused_or_left_undecoded)
{
    uint8_t frame[128], ike_bytes[32] = {0};
    size_t len;

    put_be64(ike_bytes + 4, 1);
    len = frame_make(frame, LAB_CLIENT, LAB_VIP, 4500, span_of(ike_bytes, sizeof ike_bytes));
    for (size_t cut = 0; cut <= len; cut++) {
        uint8_t *exact =
            malloc(cut ? cut : 1); /* so that the sanitizer sees a read beyond the end */

        memcpy(exact, frame, cut);
        (void)capture_add(&cap, 1, 1, true, span_of(exact, cut), cut);
        free(exact);
    }
    cr_assert_eq(cap.frames[cap.n_frames - 1].kind, CAPTURE_IKE);
    cr_assert_eq(cap.frames[0].kind, CAPTURE_IP_OTHER);
}
