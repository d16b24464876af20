/* All nodes lost their power at 10 ms, and so the keys of all SAs; the client had a tunnel again at 40 ms. */
#include <criterion/criterion.h>

#include <string.h>

#include "chaos/oracle.h"
#include "frames.h"

enum { MS = FRAME_MS, ZERO = FRAME_ZERO, ENDED = ZERO + 10 * MS, ANEW = ZERO + 40 * MS };

static struct capture cap;
static struct numbers sent;
static struct oracle_report report;

static void setup(void)
{
    cap = (struct capture){0};
    sent = (struct numbers){0};
    report = (struct oracle_report){0};
    frame_esp(&cap, 1, 1, 7, 1);
    frame_esp(&cap, 9, 2, 7, 70000);
    frame_esp(&cap, 9, 2, 8, 1);
    frame_ike(&cap, 5, 2, IKE_HDR_CREATE_CHILD, true, 2, 1);
    frame_ike(&cap, 30, CAPTURE_CLIENT_PORT, IKE_HDR_INFORMATIONAL, false, 3, 1); /* its DPD */
    frame_ike(&cap, 40, 3, IKE_HDR_INIT, true, 0, 1);
    frame_esp(&cap, 45, 3, 9, 1);    /* under an SA that was made since */
    for (unsigned i = 0; i < 5; i++) /* at 0, 10, ... 40 ms */
        (void)numbers_send(&sent, ZERO + 10 * i * MS);
    numbers_arrive(&sent, 0, ZERO + 20 * MS); /* sent before: the client took its time */
    numbers_arrive(&sent, 4, ZERO + 41 * MS);
}

static void teardown(void)
{
    capture_deinit(&cap);
    numbers_deinit(&sent);
}

TestSuite(ended, .init = setup, .fini = teardown);

static void expect_named(const char *text)
{
    cr_assert_eq(report.n, 1, "%u violations, the first: %s", report.n, report.text[0]);
    cr_assert(strstr(report.text[0], text) == report.text[0], "%s", report.text[0]);
}

static void silent(size_t sas)
{
    capture_sort(&cap);
    cr_assert_eq(oracle_ended_silent(&cap, ZERO, ENDED, &report), sas);
}

Test(ended, what_was_sent_before_and_what_was_made_since_is_right)
{
    silent(3);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
}

/* Whatever its number, and whoever sends it. */
Test(ended, a_packet_of_an_sa_that_has_ended_is_named)
{
    frame_esp(&cap, 31, 3, 7, 200000);
    frame_esp(&cap, 33, 1, 7, 200001);
    silent(3);
    expect_named(
        "ended-silent: node 3 sent ESP of SPI 00000007, number 200000, at 31.000 ms, 2 times "
        "in all; each SA of before had ended at 10.000 ms");
}

Test(ended, a_message_of_an_ike_sa_that_has_ended_is_named)
{
    frame_ike(&cap, 31, 1, IKE_HDR_INFORMATIONAL, true, 3, 1);
    silent(3);
    expect_named("ended-silent: node 1 sent IKE of SPI 00001111, message 3, at 31.000 ms, 1 times");
}

Test(ended, nothing_arrives_before_there_is_a_tunnel_again)
{
    cr_assert_eq(oracle_ended_delivers_nothing(&sent, "in", ZERO, ENDED, ANEW, &report), 2);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    numbers_arrive(&sent, 2, ZERO + 21 * MS);
    (void)oracle_ended_delivers_nothing(&sent, "in", ZERO, ENDED, ANEW, &report);
    expect_named("ended-delivers: in: number 2, sent at 20.000 ms, arrived at 21.000 ms, 1 in all; "
                 "each SA of before had ended at 10.000 ms");
}

Test(ended, a_tunnel_is_anew_when_a_node_answers_its_auth)
{
    cr_assert_eq(oracle_began_anew(&cap, ENDED), UINT64_MAX);
    frame_ike(&cap, 3, 1, IKE_HDR_AUTH, true, 1, 1);                     /* before */
    frame_ike(&cap, 37, CAPTURE_CLIENT_PORT, IKE_HDR_AUTH, false, 1, 1); /* it is asked */
    frame_ike(&cap, 42, 3, IKE_HDR_AUTH, true, 1, 1);
    frame_ike(&cap, 44, 3, IKE_HDR_AUTH, true, 1, 1);
    capture_sort(&cap);
    cr_assert_eq(oracle_began_anew(&cap, ENDED), ZERO + 42 * MS);
}
