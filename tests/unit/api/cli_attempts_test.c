/* The program `holdfast` about attempts that failed, against the real admin server with the rig's backend. */
#include <criterion/criterion.h>
#include <string.h>

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

TestSuite(cli_attempts, .init = start, .fini = end);

static void look_at_list(struct rig *r)
{
    expect("attempt list", 0,
           "ATTEMPT           LAST (UTC)           TIMES  CLIENT          IDENTITY"
           "               EXCHANGE  CAUSE\n"
           "0001a3f20000002a  2026-11-29 03:00:05  3      192.0.2.7:4500  alice\\x1"
           "b@example.org  ike-init  only-weak-groups-offered-modp2048-or-better-needed\n"
           "1 attempts, of node 1; there are more\n");
    cr_expect(r->attempts.limit == 50 && r->attempts.below == 0);
    cr_expect_str_eq(r->attempts_peer, "");
    cr_expect_str_eq(r->attempts_identity, "");
    expect_part("attempt list --limit 7 --peer 2001:db8::7 --identity 'a\\x1b b&c=d%'", 0,
                "ATTEMPT");
    cr_expect_eq(r->attempts.limit, 7);
    cr_expect_str_eq(r->attempts_peer, "2001:db8::7");
    cr_expect_str_eq(r->attempts_identity, "a\\x1b b&c=d%");
    expect_part("attempt list --peer 192.0.2.7:500", 1, "must be an IP address without a port");
    expect_part("attempt list --limit 201", 2, "--limit takes 1 to 200");
    expect_part("attempt list -o json", 0, "\"cause\": \"only-weak-groups");
    r->no_attempts = true;
    expect("attempt list", 0,
           "ATTEMPT  LAST (UTC)  TIMES  CLIENT  IDENTITY  EXCHANGE  CAUSE\n"
           "0 attempts, of node 1\n");
}

Test(cli_attempts, are_listed)
{
    rig_run(&rig, look_at_list);
}

static const char explained[] =
    "attempt 0001a3f20000002a: only-weak-groups-offered-modp2048-or-better-needed\n"
    "  when      3 times, from 2026-11-29 03:00:00 to 2026-11-29 03:00:05 UTC\n"
    "  client    192.0.2.7:4500 (an address that anybody may write)\n"
    "  identity  email alice\\x1b@example.org\n"
    "  exchange  ike-init, begun by the client, at 192.0.2.10:500\n"
    "  encryption\n"
    "    client   aes256, 3des\n"
    "    allowed  aes256\n"
    "  group: nothing is in both\n"
    "    client   modp1024\n"
    "    allowed  x25519\n"
    "what it means\n"
    "  All would fit but.\n"
    "what to do\n"
    "  Set it.\n";

static void explain_them(struct rig *r)
{
    expect("explain 0001a3f20000002a", 0, explained);
    expect("explain --last", 0, explained);
    cr_expect_eq(r->attempts.limit, 200);
    cr_expect_str_eq(r->attempts_peer, "");
    expect("explain --peer 192.0.2.7", 0, explained);
    cr_expect_str_eq(r->attempts_peer, "192.0.2.7");
    expect_part("explain --last -o json", 0, "\"differs\": true");
    expect_part("explain", 2, "say which attempt");
    expect_part("explain 0001a3f20000002a --last", 2, "say which attempt");
    expect_part("explain --peer 192.0.2.7 --last", 2, "say which attempt");
    expect_part("explain 12", 2, "is no attempt: 16 hexadecimal digits");
    expect_part("explain ../../../reload", 2, "is no attempt");
    expect_part("explain 0000000000000001", 1, "there is none (404)");
    expect_part("explain 0000000000000000", 1, "is no attempt: an id is 16 hexadecimal digits");
    r->no_attempts = true;
    expect_part("explain --last", 1, "node 1 keeps no failed attempt: each node keeps its own");
    expect_part("explain --peer 192.0.2.7", 1, "keeps no failed attempt of 192.0.2.7:");
}

/* An attempt that is repeated keeps its id; who was asked for another group connected after that. */
static void explain_the_last(struct rig *r)
{
    r->three_attempts = true;
    expect_part("explain --last", 0, "attempt 0001a3f20000002b: ");
    expect_part("explain --peer 192.0.2.7", 0, "attempt 0001a3f20000002b: ");
}

Test(cli_attempts, the_last_is_what_failed_last)
{
    rig_run(&rig, explain_the_last);
}

Test(cli_attempts, are_explained)
{
    rig_run(&rig, explain_them);
}
