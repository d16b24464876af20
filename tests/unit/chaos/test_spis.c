/* What an interrupted rekey must have left, over hand-made views: each way to be wrong is named. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "chaos/spis.h"

static struct cell_spis before, committed, after;
static struct oracle_report report;
static uint64_t recoveries;
static const struct swan_child newest = {.number = 2, .spi_in = 0xc2, .spi_out = 0xa2};

static void hold(struct cell_spis *spis, const char *text)
{
    (void)snprintf(spis->text[spis->n++], CELL_SPI_TEXT, "%s", text);
    spis->known = true;
}

/* The client began a CHILD rekey: its record is in the log, then the old CHILD SA was deleted. */
static void setup(void)
{
    report = (struct oracle_report){0};
    recoveries = 0;
    before = committed = after = (struct cell_spis){0};
    hold(&before, "ike:0000000000000001");
    hold(&before, "esp:000000a1/000000c1");
    committed = before;
    hold(&committed, "esp:000000a2/000000c2");
    hold(&after, "ike:0000000000000001");
    hold(&after, "esp:000000a2/000000c2");
}

TestSuite(spis, .init = setup);

static void judge(bool ike, bool decided, const struct swan_child *child)
{
    struct spis_case c = {.before = &before,
                          .committed = &committed,
                          .after = &after,
                          .ike = ike,
                          .decided = decided,
                          .newest = child,
                          .node = 3,
                          .recoveries = recoveries};

    spis_judge(&c, &report);
}

static void expect_named(const char *part)
{
    cr_assert_eq(report.n, 1, "%u violations: %s; %s", report.n, report.text[0], report.text[1]);
    cr_assert(strstr(report.text[0], part), "'%s' lacks '%s'", report.text[0], part);
}

/* The same with the gateway's request outstanding: its record knows only its own half. */
static void gateway_began(void)
{
    committed = before;
    committed.pending_spi_in = 0xa2;
}

Test(spis, what_the_record_said_is_green)
{
    judge(false, true, &newest);
    gateway_began();
    judge(false, true, &newest);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
}

Test(spis, an_ike_sa_of_the_record_is_green)
{
    before.n = committed.n = after.n = 0;
    hold(&before, "ike:0000000000000001");
    hold(&before, "esp:000000a2/000000c2");
    hold(&after, "ike:0000000000000002");
    hold(&after, "esp:000000a2/000000c2");
    committed = before;
    hold(&committed, "ike:0000000000000002");
    judge(true, true, &newest);
    committed = before;
    (void)snprintf(committed.pending_ike_spi, sizeof committed.pending_ike_spi, "0000000000000002");
    judge(true, true, &newest);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    (void)snprintf(committed.pending_ike_spi, sizeof committed.pending_ike_spi, "0000000000000003");
    judge(true, true, &newest);
    expect_named(
        "same-spis: ike:0000000000000002 lives after the exchange but is not of the committed");
}

Test(spis, one_more_than_the_record_said_is_named)
{
    hold(&after, "esp:000000a3/000000c3");
    judge(false, true, &newest);
    expect_named(
        "same-spis: esp:000000a3/000000c3 lives after the exchange but is not of the committed");
}

Test(spis, an_undecided_exchange_may_make_any_spi)
{
    committed = before;
    judge(false, false, &newest);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
}

Test(spis, what_was_rekeyed_and_lives_on_is_named)
{
    hold(&after, "esp:000000a1/000000c1");
    judge(false, true, &newest);
    expect_named("same-spis: esp:000000a1/000000c1 was rekeyed and lives on");
}

Test(spis, what_was_not_rekeyed_and_is_gone_is_named)
{
    before = (struct cell_spis){0};
    hold(&before, "ike:0000000000000009");
    hold(&before, "esp:000000a1/000000c1");
    judge(false, true, &newest);
    expect_named("same-spis: ike:0000000000000009 was not rekeyed and is gone");
}

Test(spis, another_spi_than_the_allocated_one_is_named)
{
    gateway_began();
    committed.pending_spi_in = 0xa7;
    judge(false, true, &newest);
    expect_named(
        "same-spis: esp:000000a2/000000c2 lives after the exchange but is not of the committed");
}

/* The new owner rekeyed the record's CHILD SA once more, because the client's numbers stood below its
 * floor: one SPI for each recovery, and never another IKE SA. */
Test(spis, a_replay_recovery_explains_one_child_each)
{
    static const struct swan_child third = {.spi_in = 0xc3, .spi_out = 0xa3};

    after.n = 0;
    hold(&after, "ike:0000000000000001");
    hold(&after, "esp:000000a3/000000c3");
    judge(false, true, &third);
    expect_named("esp:000000a3/000000c3 lives after the exchange but is not of the committed");
    report.n = 0;
    recoveries = 1;
    judge(false, true, &third);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    hold(&after, "esp:000000a4/000000c4");
    judge(false, true, &third);
    expect_named("esp:000000a4/000000c4 lives after the exchange but is not of the committed");
    report.n = 0;
    after.n--;
    hold(&after, "ike:0000000000000007");
    judge(false, true, &third);
    expect_named("ike:0000000000000007 lives after the exchange but is not of the committed");
}

Test(spis, a_replay_recovery_explains_the_child_that_an_ike_rekey_left_alone)
{
    static const struct swan_child third = {.spi_in = 0xc3, .spi_out = 0xa3};

    before.n = committed.n = after.n = 0;
    hold(&before, "ike:0000000000000001");
    hold(&before, "esp:000000a2/000000c2");
    committed = before;
    hold(&committed, "ike:0000000000000002");
    hold(&after, "ike:0000000000000002");
    hold(&after, "esp:000000a3/000000c3");
    recoveries = 1;
    judge(true, true, &third);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    recoveries = 0;
    judge(true, true, &third);
    cr_assert_eq(report.n, 2, "%u violations", report.n);
    cr_assert(strstr(report.text[1], "esp:000000a2/000000c2 was not rekeyed and is gone"));
}

Test(spis, a_child_of_the_client_that_the_node_lacks_is_named)
{
    static const struct swan_child other = {.spi_in = 0xc2, .spi_out = 0xa9};

    judge(false, true, &other);
    expect_named(
        "same-spis: the client's newest CHILD SA is esp:000000a9/000000c2, which node 3 does not");
    setup();
    judge(false, true, NULL);
    expect_named("same-spis: the client's newest CHILD SA is none, which node 3 does not have");
}

Test(spis, the_log_decides_what_survived)
{
    cr_assert(spis_record_survived(&before, &committed, true));
    cr_assert(spis_record_survived(&before, &after, true)); /* the old one may be gone by then */
    committed = before;
    cr_assert_not(spis_record_survived(&before, &committed, true));
    cr_assert_not(spis_record_survived(&before, &committed, false));
    committed.pending_spi_in = 0xa2;
    cr_assert(spis_record_survived(&before, &committed, false));
    committed = before;
    (void)snprintf(committed.pending_ike_spi, sizeof committed.pending_ike_spi, "0000000000000002");
    cr_assert(spis_record_survived(&before, &committed, false));
}

Test(spis, keys_that_were_kept_keep_their_sas)
{
    spis_judge_all_die(&before, &before, true, 0, &report);
    spis_judge_all_die(&before, &after, true, 1,
                       &report); /* a replay recovery rekeyed the CHILD SA */
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    spis_judge_all_die(&before, &after, true, 0, &report);
    expect_named("all-die: esp:000000a1/000000c1 of before is gone, though its keys were kept");
    setup();
    after.n = 0;
    spis_judge_all_die(&before, &after, true, 1, &report);
    expect_named("all-die: ike:0000000000000001 of before is gone, though its keys were kept");
}

Test(spis, keys_that_were_lost_end_their_sas)
{
    struct cell_spis none = {.known = true}, anew = none;

    hold(&anew, "ike:0000000000000002");
    hold(&anew, "esp:000000a2/000000c2");
    spis_judge_all_die(&before, &none, false, 0, &report);
    spis_judge_all_die(&before, &anew, false, 0, &report);
    cr_assert_eq(report.n, 0, "%s", report.text[0]);
    hold(&anew, "esp:000000a1/000000c1");
    spis_judge_all_die(&before, &anew, false, 9, &report);
    expect_named("all-die: esp:000000a1/000000c1 of before is there, though its keys were lost");
}
