/* The program `holdfast` about tokens, the audit and events, against the real admin server with the rig's backend. */
#include <criterion/criterion.h>
#include <poll.h>
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

TestSuite(cli_tokens, .init = start, .fini = end);

static void look_at_tokens(struct rig *r)
{
    expect("token add ci", 2,
           "holdfast: which role? `holdfast token add NAME --role viewer|operator|admin|drill`\n");
    expect("token add ci --role viewer --hours 0", 2,
           "holdfast: a token is valid for 1 to 8760 hours\n");
    expect("token add ci --role viewer --hours 8761", 2,
           "holdfast: a token is valid for 1 to 8760 hours\n");
    expect_part("token add ci --role viewer --hours 9x", 2, "'9x' is no number");
    expect_part("token add ci --role boss", 2,
                "it must be one of viewer|operator|admin|drill, not 'boss'");
    cr_expect_eq(r->bearers_made, 0);
    expect_part("token add ci --role operator --hours 2", 0,
                "hf_0123456789ab_"
                "0000000000000000000000000000000000000000000000000000000000000007\n"
                "that is all of it, shown this once");
    cr_expect_not_null(strstr(cli_said(), "from 'ci', as viewer, until 1970-01-01 01:16 UTC"), "%s",
                       cli_said());
    cr_expect(r->bearers_made == 1 && r->bearer.valid_s == 7200);
    cr_expect_eq(r->bearer.role, API_ROLE_OPERATOR);
    cr_expect_str_eq(r->asker.role, "root");
    cr_expect_str_eq(r->asker.principal, "root");
    cr_expect_str_eq(r->asker.address, "local");
    expect_part("token add 'a b' --role admin", 1, "'name' must have 1 to 48 letters");
    expect("token list", 0,
           "ID            NAME  ROLE    UNTIL                 MADE BY\n"
           "0123456789ab  ci    viewer  1970-01-01 01:16 UTC  root\n"
           "123456789abc  ci    viewer  1970-01-01 01:16 UTC  root\n");
    expect_part("token list -o json", 0, "\"made_by\": \"root\"");
    expect("token remove 0123456789ab", 0,
           "token 0123456789ab is removed: no node takes it any more\n");
    cr_expect_eq(r->bearers_removed, 1);
    expect_part("token remove 0123456789AB", 2, "is no token: an id is 12 hexadecimal digits");
    expect_part("token remove ../../reload", 2, "is no token");
    cr_expect_eq(r->bearers_removed, 1);
}

Test(cli_tokens, are_made_and_listed_and_end)
{
    rig_run(&rig, look_at_tokens);
}

static void look_at_audit(struct rig *r)
{
    expect_part("audit list", 0,
                "ENTRY  WHEN (UTC)           WHO   ROLE  WHAT       OF WHAT              OUTCOME\n"
                "2      2026-11-29 03:00:00  root  root  token.add  tokens/0123456789ab  accepted\n"
                "head: entry 2, 000000");
    cr_expect(r->audit.limit == 50 && !r->audit.oldest_first);
    expect_part(
        "audit list --limit 7 --oldest --principal 'cn:J\303\266rg M&%+' --operation token.add", 0,
        "ENTRY");
    cr_expect(r->audit.limit == 7 && r->audit.oldest_first);
    cr_expect_str_eq(r->audit_principal, "cn:J\303\266rg M&%+");
    cr_expect_str_eq(r->audit_operation, "token.add");
    expect_part("audit list --limit 201", 2, "--limit takes 1 to 200");
    expect_part("audit list -o json", 0, "\"hash\"");
}

Test(cli_tokens, and_what_was_done_is_in_the_audit)
{
    rig_run(&rig, look_at_audit);
}

static void put_event(struct rig *r, uint64_t index)
{
    rig_freeze(r);
    api_feed_at(r->feed, 7, index);
    api_feed_put(r->feed, API_ROLE_VIEWER, "shard.owner",
                 json_pack("{s:i,s:i,s:{s:i}}", "shard", 1, "node", 3, "epoch", "index", 9));
    api_feed_flush(r->feed);
    rig_thaw(r);
}

/* Lines come as events do; who reads no more ends it. */
static void follow_events(struct rig *r)
{
    char command[256], line[256] = "";
    uint64_t index = 100;
    struct pollfd p = {.events = POLLIN};
    FILE *pipe;

    (void)snprintf(command, sizeof command, "%s --socket %s events --follow 2>&1 | head -n 2",
                   CLI_PROGRAM, r->socket);
    pipe = popen(command, "r");
    cr_assert_not_null(pipe);
    p.fd = fileno(pipe);
    do {
        put_event(r, index++); /* one at least comes after it began to follow */
    } while (poll(&p, 1, 20) == 0);
    cr_expect_not_null(fgets(line, sizeof line, pipe));
    cr_expect_not_null(strstr(line, ".1          shard.owner      shard=1 node=3 epoch={"), "%s",
                       line);
    do {
        put_event(r, index++);
    } while (poll(&p, 1, 20) == 0 || fgets(line, sizeof line, pipe) != NULL);
    (void)pclose(pipe);
}

static void look_at_events(struct rig *r)
{
    expect("events", 0, "");
    put_event(r, 50);
    put_event(r, 51);
    expect("events", 0,
           "7.50.1           shard.owner      shard=1 node=3 epoch={\"index\":9}\n"
           "7.51.1           shard.owner      shard=1 node=3 epoch={\"index\":9}\n");
    expect("events --after 7.50.1 -o json", 0,
           "{\"id\":\"7.51.1\",\"event\":\"shard.owner\",\"data\":{\"shard\":1,\"node\":3,"
           "\"epoch\":{\"index\":9}}}\n");
    expect_part("events --after 7.50.1 -o yaml", 0, "event: shard.owner\n");
    expect("events --after 7.3.1", 0,
           "7.51.1           gap              after=7.3.1 reason=older\n");
    expect("events --after 7.51.1", 0, "");
    expect("events --after ../cluster", 2,
           "holdfast: --after takes an id such as 5.4711.1, or oldest\n");
    expect_part("events --after 7.51", 1, "'7.51' is no id of an event");
    expect_part("events --after 7.51 --follow -o json", 1, "urn:holdfast:problem:bad-event-id");
    follow_events(r);
}

Test(cli_tokens, events_are_listed_and_followed)
{
    rig_run(&rig, look_at_events);
}
