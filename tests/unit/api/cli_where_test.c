/* Where a node is asked: options before the environment before the profile, and nothing of a later one
 * goes to a place that an earlier one names. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/cli/cli.h"

static char home[] = "/tmp/cli-where-XXXXXX";
static char why[CLI_WHY_BYTES];

static void begin(void)
{
    static const char *const names[] = {"HOLDFAST_SOCKET", "HOLDFAST_SERVER", "HOLDFAST_CA",
                                        "HOLDFAST_CERT",   "HOLDFAST_KEY",    "HOLDFAST_TOKEN_FILE",
                                        "HOLDFAST_PROFILE"};
    char path[128];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)unsetenv(names[i]);
    }
    cr_assert_not_null(mkdtemp(home));
    (void)setenv("XDG_CONFIG_HOME", home, 1);
    (void)snprintf(path, sizeof path, "%s/holdfast", home);
    cr_assert_eq(mkdir(path, 0700), 0);
}

static void end(void)
{
    char command[160];

    (void)snprintf(command, sizeof command, "rm -r %s", home);
    cr_assert_eq(system(command), 0);
}

TestSuite(cli_where, .init = begin, .fini = end);

static void write_profiles(const char *text, mode_t mode)
{
    char path[128];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/holdfast/cli.yaml", home);
    f = fopen(path, "w");
    cr_assert_not_null(f);
    (void)fputs(text, f);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(chmod(path, mode), 0);
}

/* "socket servers ca cert key token", a dash for none; or "! why". */
static const char *find(const char *const common[CLI_COMMONS])
{
    static char out[2048];
    struct cli cli = {0};
    struct cli_where where;
    size_t n = 0;

    memcpy(cli.common, common, sizeof cli.common);
    out[0] = '\0';
    if (!cli_where_find(&where, &cli, why)) {
        (void)snprintf(out, sizeof out, "! %s", why);
    } else {
        for (size_t i = 0; i < CLI_PLACES; i++) {
            n += (size_t)snprintf(out + n, sizeof out - n, "%s%s", i > 0 ? " " : "",
                                  where.at[i] != NULL ? where.at[i] : "-");
        }
    }
    cli_where_free(&where);
    return out;
}

#define FIND(...) find((const char *const[CLI_COMMONS]){__VA_ARGS__})

Test(cli_where, roots_socket_unless_something_is_named)
{
    cr_expect_str_eq(FIND([CLI_OUTPUT] = NULL), CLI_SOCKET " - - - - -");
    cr_expect_str_eq(FIND([CLI_SOCKET_PATH] = "/a"), "/a - - - - -");
    (void)setenv("HOLDFAST_SOCKET", "/b", 1);
    cr_expect_str_eq(FIND([CLI_OUTPUT] = NULL), "/b - - - - -");
    cr_expect_str_eq(FIND([CLI_SOCKET_PATH] = "/a"), "/a - - - - -");
    write_profiles("nonsense: [", 0600); /* not looked at */
    cr_expect_str_eq(FIND([CLI_OUTPUT] = NULL), "/b - - - - -");
}

Test(cli_where, nothing_of_a_later_source_goes_to_an_earlier_place)
{
    write_profiles("default: p\nprofiles:\n  p: {servers: [p:1], ca: /p/ca, token_file: tok}\n",
                   0644);
    cr_expect_not_null(strstr(FIND([CLI_OUTPUT] = NULL), "- p:1 /p/ca - - /tmp/cli-where-"));
    cr_expect_not_null(strstr(FIND([CLI_OUTPUT] = NULL), "/holdfast/tok"));
    cr_expect_str_eq(FIND([CLI_TOKEN_FILE] = "/o/tok"), "- p:1 /p/ca - - /o/tok");
    cr_expect_str_eq(FIND([CLI_SERVER] = "o:1", [CLI_CA] = "/o/ca"), "- o:1 /o/ca - - -");
    (void)setenv("HOLDFAST_TOKEN_FILE", "/e/tok", 1);
    cr_expect_str_eq(FIND([CLI_OUTPUT] = NULL), "- p:1 /p/ca - - /e/tok");
    (void)setenv("HOLDFAST_SERVER", "e:1", 1);
    (void)setenv("HOLDFAST_CA", "/e/ca", 1);
    cr_expect_str_eq(FIND([CLI_OUTPUT] = NULL), "- e:1 /e/ca - - /e/tok");
    cr_expect_str_eq(FIND([CLI_SERVER] = "o:1", [CLI_CA] = "/o/ca"), "- o:1 /o/ca - - -");
    cr_expect_not_null(strstr(FIND([CLI_PROFILE] = "p"), "- p:1 /p/ca - - /tmp/"));
    cr_expect_str_eq(FIND([CLI_SERVER] = "o:1"), "! by which CA is the server's certificate? --ca "
                                                 "FILE, HOLDFAST_CA, or `ca` in the profile");
}

Test(cli_where, contradictions_are_refused)
{
    cr_expect_not_null(strstr(FIND([CLI_SERVER] = "a:1", [CLI_SOCKET_PATH] = "/a"), "two places"));
    cr_expect_not_null(strstr(FIND([CLI_CA] = "/a"), "none is named here"));
    cr_expect_not_null(strstr(FIND([CLI_SERVER] = "a:1", [CLI_CA] = "/c", [CLI_CERT] = "/d"),
                              "--cert and --key belong together"));
    cr_expect_not_null(strstr(FIND([CLI_SERVER] = "a", [CLI_CA] = "/c"), "'a' is no server"));
    cr_expect_not_null(strstr(FIND([CLI_SERVER] = "a:1,", [CLI_CA] = "/c"), "'' is no server"));
    cr_expect_not_null(strstr(
        FIND([CLI_SERVER] = "a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1,a:1", [CLI_CA] = "/c"), "at most 8"));
    cr_expect_not_null(strstr(FIND([CLI_PROFILE] = "nobody"), "there is no profile 'nobody'"));
    cr_expect_not_null(strstr(FIND([CLI_PROFILE] = "p", [CLI_SERVER] = "a:1"), "names a place"));
    (void)setenv("HOLDFAST_PROFILE", "p", 1);
    (void)setenv("HOLDFAST_SERVER", "a:1", 1);
    cr_expect_not_null(strstr(FIND([CLI_OUTPUT] = NULL), "HOLDFAST_PROFILE names a place"));
}

Test(cli_where, servers)
{
    static const char *const good[] = {"a:1", "gw1.example.org:65535", "[::1]:8443",
                                       "10.0.0.1:443"};
    static const char *const bad[] = {"",         "a",     ":1",      "a:",      "a:0",
                                      "a:65536",  "a b:1", "a\r\n:1", "[::1:1",  "[x]:1",
                                      "::1:8443", "-a:1",  "a:+1",    "a:000001"};
    struct cli_server s;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_expect(cli_server_parse(good[i], strlen(good[i]), &s), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_not(cli_server_parse(bad[i], strlen(bad[i]), &s), "%s", bad[i]);
    }
}

Test(cli_where, a_profile_is_read_strictly)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"defualt: p\n", "cli.yaml:1:1: unknown key 'defualt': did you mean 'default'?"},
        {"profiles:\n  p:\n    server: a:1\n",
         "cli.yaml:3:5: unknown key 'server': did you mean 'servers'?"},
        {"profiles:\n  p: {servers: a:1, ca: /c, token: x}\n",
         "cli.yaml:2:29: unknown key 'token'"},
        {"profiles:\n  p: {ca: /c}\n", "cli.yaml:2:3: a profile has `servers` or `socket`"},
        {"profiles:\n  p: {servers: a:1, socket: /s}\n", "`servers` or `socket`, and not both"},
        {"profiles:\n  p: {socket: /a, socket: /b}\n", "cli.yaml:2:19: 'socket' stands here twice"},
        {"profiles:\n  p: {socket: /a}\n  p: {socket: /b}\n",
         "cli.yaml:3:3: the profile 'p' stands here twice"},
        {"profiles: {}\nprofiles: {}\n", "cli.yaml:2:1: 'profiles' stands here twice"},
        {"profiles:\n  p: {servers: []}\n", "the list is empty"},
        {"profiles:\n  p: {servers: [[a]]}\n", "here must be HOST:PORT"},
        {"profiles:\n  p: &x {socket: /a}\n", "anchors and tags are not taken"},
        {"profiles:\n  p: {socket: !x /a}\n", "here must be a path"},
        {"profiles:\n  p: *x\n", "cli.yaml:2:"},
        {"default: q\nprofiles: {}\n", "`default` names 'q', and there is no such profile"},
        {"- a\n", "cli.yaml:1:1: here must be `profiles:`"},
        {"profiles: [\n", "cli.yaml:"},
        {"profiles: {}\n---\nprofiles: {}\n", "a second document"},
        {"%YAML 1.2\n---\nprofiles: {}\n", "cli.yaml:1:1: YAML directives are not supported"},
        {"profiles: {}\n# \xff\n", "cli.yaml:2:3: the byte 0xff is not UTF-8"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *said;

        write_profiles(rows[i].text, 0600);
        said = FIND([CLI_OUTPUT] = NULL);
        cr_expect(said[0] == '!' && strstr(said, rows[i].said) != NULL, "%s\nsaid: %s\nwanted: %s",
                  rows[i].text, said, rows[i].said);
    }
    write_profiles("", 0600);
    cr_expect_str_eq(FIND([CLI_OUTPUT] = NULL), CLI_SOCKET " - - - - -");
    write_profiles("default: p\nprofiles: {p: {socket: /a}}\n", 0622);
    cr_expect_not_null(strstr(FIND([CLI_OUTPUT] = NULL), "others may change it: chmod 644"));
}

Test(cli_where, secrets_are_for_their_owner)
{
    char path[128];
    size_t n = 0;
    char *text;

    write_profiles("secret\n", 0640);
    (void)snprintf(path, sizeof path, "%s/holdfast/cli.yaml", home);
    cr_expect_null(cli_guarded_read(path, true, 100, &n, why));
    cr_expect_not_null(strstr(why, "others may read it: chmod 600"), "%s", why);
    cr_assert_eq(chmod(path, 0600), 0);
    text = cli_guarded_read(path, true, 7, &n, why);
    cr_assert_not_null(text, "%s", why);
    cr_expect(n == 7 && strcmp(text, "secret\n") == 0);
    free(text);
    cr_expect_null(cli_guarded_read(path, true, 6, &n, why));
    cr_expect_not_null(strstr(why, "it is too long"), "%s", why);
    cr_expect_null(cli_guarded_read(home, true, 100, &n, why));
    cr_expect_null(cli_guarded_read("/no/such/file", true, 100, &n, why));
    if (geteuid() == 0) {
        cr_assert_eq(chown(path, 65534, 65534), 0);
        cr_expect_null(cli_guarded_read(path, true, 100, &n, why));
        cr_expect_not_null(strstr(why, "it belongs to another user"), "%s", why);
    }
}
