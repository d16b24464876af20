/* `holdfast doctor` and `holdfast profile` against the real admin server with the rig's backend. */
#include <criterion/criterion.h>

#include "unit/api/cli_run.h"

static struct rig rig;

static void start(void)
{
    rig_init(&rig);
    cli_run_at(&rig);
}

static void end(void)
{
    rig_deinit(&rig);
}

TestSuite(cli_doctor, .init = start, .fini = end);

#define ENDS "node 1 looked for 29 things, of the last 300 s where it counts\n"
#define NOTE                                                                                       \
    "note node-drained: node 2\n"                                                                  \
    "  seen   an operator drained it\n"                                                            \
    "  means  It votes.\n"                                                                         \
    "  do     Undrain it.\n\n"

static void ask(struct rig *r)
{
    r->findings = 0;
    expect("doctor", 0, "0 findings, 0 of them notes; " ENDS);
    r->findings = 1; /* a note is no alarm */
    expect("doctor", 0, NOTE "1 findings, 1 of them notes; " ENDS);
    r->findings = 2;
    expect("doctor", 1,
           "warning mtu: node 1, interface out0\n"
           "  seen   its MTU is 1300 bytes\n"
           "  means  Large ones hang.\n"
           "  do     Raise it.\n\n" NOTE "2 findings, 1 of them notes; " ENDS);
    expect_part("doctor -o json", 1, "\"id\": \"mtu\"");
    expect_part("doctor -o yaml", 1, "id: mtu");
    expect_part("doctor now", 2, "");
}

Test(cli_doctor, says_what_it_found_and_ends_by_it)
{
    rig_run(&rig, ask);
}

static void profiles(struct rig *r)
{
    expect("profile swanctl --identity alice@example.org", 0, "first\nsecond\tline\n");
    cr_expect_str_eq(r->profile, "swanctl|alice@example.org|");
    expect("profile apple --identity a --address vpn.example.org", 0, "first\nsecond\tline\n");
    cr_expect_str_eq(r->profile, "apple|a|vpn.example.org");
    expect_part("profile apple --identity a -o json", 0, "\"media_type\": \"text/plain\"");
    expect_part("profile apple", 2, "say whose it is");
    expect_part("profile pear --identity a", 2, "swanctl");
    expect_part("profile", 2, "");
}

Test(cli_doctor, profiles_are_printed_as_they_are)
{
    rig_run(&rig, profiles);
}
