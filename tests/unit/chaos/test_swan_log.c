/* strongSwan's log lines, as charon 5.9.8 writes them. */
#include <criterion/criterion.h>

#include <string.h>

#include "chaos/swan_log.h"

static struct swan_log log_;

static void say(const char *line)
{
    char text[512] = "Nov 23 18:13:33 04";

    strncat(text, line, sizeof text - strlen(text) - 1);
    swan_log_line(&log_, text);
}

static void connect_client(void)
{
    log_ = (struct swan_log){0};
    say("[JOB] spawning 16 worker threads");
    say("[IKE] <home|1> IKE_SA home[1] established between "
        "10.77.1.50[client@holdfast.test]...10.77.1.100[gw.holdfast.test]");
    say("[IKE] <home|1> CHILD_SA net{1} established with SPIs 4beb4aba_i ea182c91_o and TS "
        "10.99.0.1/32 === 10.77.2.0/24");
}

static void rekey_child(void)
{
    say("[ENC] <home|1> generating CREATE_CHILD_SA request 2 [ N(REKEY_SA) SA No KE TSi TSr ]");
    say("[IKE] <home|1> inbound CHILD_SA net{2} established with SPIs 73ea78ab_i 0373be61_o and TS "
        "10.99.0.1/32 === 10.77.2.0/24");
    say("[IKE] <home|1> outbound CHILD_SA net{2} established with SPIs 73ea78ab_i 0373be61_o and "
        "TS 10.99.0.1/32 === 10.77.2.0/24");
    say("[IKE] <home|1> closing CHILD_SA net{1} with SPIs 4beb4aba_i (0 bytes) ea182c91_o (0 "
        "bytes) and TS 10.99.0.1/32 === "
        "10.77.2.0/24");
}

Test(swan_log, a_rekey_is_no_complaint)
{
    connect_client();
    rekey_child();
    say("[IKE] <home|1> IKE_SA home[2] rekeyed between "
        "10.77.1.50[client@holdfast.test]...10.77.1.100[gw.holdfast.test]");
    say("[IKE] <home|1> deleting IKE_SA home[1] between "
        "10.77.1.50[client@holdfast.test]...10.77.1.100[gw.holdfast.test]");
    cr_assert(log_.ready);
    cr_assert_eq(log_.n_complaints, 0);
    cr_assert_eq(log_.ike_up, 1);
    cr_assert_eq(log_.child_up, 1);
    cr_assert_eq(log_.child_rekeyed, 1);
    cr_assert_eq(log_.child_closed, 1);
    cr_assert_eq(log_.ke_requests, 1);
    cr_assert_eq(log_.ike_rekeyed, 1);
    cr_assert_eq(log_.ike_deleted, 1);
    cr_assert_eq(log_.n_children, 2);
    cr_assert(log_.children[0].closed && !log_.children[1].closed);
    cr_assert_eq(log_.children[1].spi_in, 0x73ea78ab);
    cr_assert_eq(log_.children[1].spi_out, 0x0373be61);
}

Test(swan_log, dpd_is_an_empty_exchange)
{
    connect_client();
    say("[ENC] <home|1> parsed INFORMATIONAL response 3 [ ]"); /* of something else */
    cr_assert_eq(log_.dpd_answered, 0);
    say("[IKE] <home|2> sending DPD request");
    say("[ENC] <home|2> generating INFORMATIONAL request 3 [ ]");
    say("[ENC] <home|2> parsed INFORMATIONAL response 3 [ ]");
    cr_assert_eq(log_.dpd_answered, 1);
    say("[ENC] <home|2> parsed INFORMATIONAL request 0 [ ]");
    cr_assert_eq(log_.dpd_received, 1);
}

static void complains(const char *line, const char *why)
{
    connect_client();
    say(line);
    cr_assert_eq(log_.n_complaints, 1, "%s", line);
    cr_assert(strstr(log_.complaints[0], why) == log_.complaints[0], "'%s'", log_.complaints[0]);
}

Test(swan_log, each_bad_line_is_a_complaint)
{
    complains("[IKE] <home|1> giving up after 4 retransmits", "gave up");
    complains("[IKE] <home|1> peer not responding, trying again (2/3)", "peer not responding");
    complains("[ENC] <home|1> parsed CREATE_CHILD_SA response 2 [ N(TEMP_FAIL) ]",
              "TEMPORARY_FAILURE");
    complains("[IKE] <home|1> deleting IKE_SA home[1] between 10.77.1.50[a]...10.77.1.100[b]",
              "an IKE SA was deleted");
    complains("[IKE] <home|1> closing CHILD_SA net{1} with SPIs 4beb4aba_i (0 bytes)",
              "a CHILD SA was deleted");
    complains("[IKE] <home|1> received TS_UNACCEPTABLE notify, no CHILD_SA built",
              "an exchange failed");
}

Test(swan_log, each_client_is_told_its_address)
{
    char connection[40], address[64];

    cr_assert(swan_log_address("Nov 23 18:13:33 04[IKE] <home-3|7> installing new virtual IP "
                               "10.99.0.2",
                               connection, sizeof connection, address, sizeof address));
    cr_assert_str_eq(connection, "home-3");
    cr_assert_str_eq(address, "10.99.0.2");
    cr_assert(swan_log_address("04[IKE] <home|1> installing new virtual IP fd77::a63:1", connection,
                               sizeof connection, address, sizeof address));
    cr_assert_str_eq(connection, "home");
    cr_assert_str_eq(address, "fd77::a63:1");
    cr_assert_not(swan_log_address("04[IKE] <home|1> removing virtual IP 10.99.0.2", connection,
                                   sizeof connection, address, sizeof address));
    cr_assert_not(swan_log_address("04[IKE] installing new virtual IP 10.99.0.2", connection,
                                   sizeof connection, address, sizeof address));
    cr_assert_not(swan_log_address("04[IKE] <home|1> installing new virtual IP ", connection,
                                   sizeof connection, address, sizeof address));
}

Test(swan_log, where_collisions_are_arranged_their_marks_are_no_complaints)
{
    connect_client();
    log_.collides = true;
    say("[IKE] <home|1> detected IKE_REKEY collision with IKE_REKEY");
    say("[ENC] <home|1> parsed CREATE_CHILD_SA response 2 [ N(TEMP_FAIL) ]");
    say("[IKE] <home|3> deleting IKE_SA home[3] between 10.77.1.50[%any]...10.77.1.100[%any]");
    cr_assert_eq(log_.n_complaints, 0, "%s", log_.complaints[0]);
    say("[IKE] <home|1> IKE_SA rekey collision won, waiting for delete for redundant IKE_SA "
        "home[3]");
    say("[IKE] <home|1> CHILD_SA rekey collision lost, deleting redundant child net{2}");
    say("[IKE] <home|1> CHILD_SA rekey collision lost, deleting redundant child net{5}");
    cr_assert_eq(log_.n_collisions, 1);
    cr_assert(log_.n_won == 1 && log_.n_lost == 2);
    say("[IKE] <home|1> giving up after 5 retransmits");
    cr_assert_eq(log_.n_complaints, 1);
    connect_client();
    say("[ENC] <home|1> parsed CREATE_CHILD_SA response 2 [ N(TEMP_FAIL) ]");
    say("[IKE] <home|3> deleting IKE_SA home[3] between 10.77.1.50[%any]...10.77.1.100[%any]");
    cr_assert_eq(log_.n_complaints, 2);
}

Test(swan_log, where_nobody_has_its_sas_any_more_it_may_give_up)
{
    connect_client();
    log_.may_give_up = true;
    say("[IKE] <home|1> giving up after 4 retransmits");
    say("[IKE] <home|1> restarting CHILD_SA net");
    say("[IKE] <home|2> peer not responding, trying again (2/0)");
    cr_assert_eq(log_.n_complaints, 0, "%s", log_.complaints[0]);
    say("[IKE] <home|2> received TS_UNACCEPTABLE notify, no CHILD_SA built");
    cr_assert_eq(log_.n_complaints, 1);
    log_.may_give_up = false;
    say("[IKE] <home|2> restarting CHILD_SA net");
    cr_assert_eq(log_.n_complaints, 2);
    cr_assert(strstr(log_.complaints[1], "began anew") == log_.complaints[1]);
}
