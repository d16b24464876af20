/* Good files, the examples that we ship, files and keys on the disk. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/config.h"
#include "unit/config/sample.h"

static char folder[64];

static void make_folder(void)
{
    strcpy(folder, "/tmp/hf-config-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

static void put(const char *name, const char *text, mode_t mode)
{
    char path[128];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "w");
    cr_assert_not_null(f);
    cr_assert(fputs(text, f) >= 0);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(chmod(path, mode), 0);
}

static struct config *load(const char *name, struct config_report *report)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return config_load(path, report);
}

static void expect_only(struct config_report *report, const char *tail)
{
    const char *text;

    cr_assert_eq(report->n_mistakes, 1);
    text = report->mistakes[0].text;
    cr_assert_eq(strncmp(text, folder, strlen(folder)), 0);
    cr_assert(strlen(text) >= strlen(tail) && strcmp(text + strlen(text) - strlen(tail), tail) == 0,
              "%s", text);
    config_report_deinit(report);
}

TestSuite(config, .init = make_folder, .fini = remove_folder);

Test(config, keys_come_from_their_files)
{
    struct config_report report;
    struct config *c;

    put("n.yaml", SAMPLE, 0644);
    put("client.psk", "correct horse\n", 0600);
    put("other.psk", "0123456789012345678901234567890123456789012345678901234567890123", 0640);
    c = load("n.yaml", &report);
    cr_assert_not_null(c, "%s", report.n_mistakes > 0 ? report.mistakes[0].text : "");
    cr_assert_eq(c->n_psks, 2);
    cr_assert(span_equal(secret_span(&c->secrets[0].psk), span_of("correct horse", 13)));
    cr_assert_eq(c->secrets[1].psk.len, 64);
    cr_assert_eq(c->secrets[0].remote.len, strlen("client@holdfast.test"));
    cr_assert_eq(config_self(c)->address.port, 7400);
    cr_assert_eq(config_find_node(c, 3)->id, 3);
    cr_assert_null(config_find_node(c, 4));
    cr_assert_eq(c->timing.election_ms, 300);
    cr_assert_str_eq(c->tun_interface, "hf7");
    cr_assert_eq(c->drills, CONFIG_DRILLS_ENABLED);
    cr_assert_eq(c->log_level, CONFIG_LOG_DEBUG);
    cr_assert_eq(c->shards[0].prefer, 2);
    config_free(c);
    config_report_deinit(&report);
}

struct bad_key {
    const char *text; /* NULL: no such file */
    mode_t mode;
    const char *tail;
};

#define MAKE_IT ": make it with (umask 077; openssl rand -hex 24 >"

static const struct bad_key bad_keys[] = {
    {NULL, 0, "/other.psk: No such file or directory" MAKE_IT},
    {"", 0600, "/other.psk is empty" MAKE_IT},
    {"\n", 0600, "/other.psk is empty" MAKE_IT},
    {"one\ntwo\n", 0600, "/other.psk has more than one line" MAKE_IT},
    {"01234567890123456789012345678901234567890123456789012345678901234", 0600,
     "/other.psk holds more than 64 bytes" MAKE_IT},
    {"good", 0644, "/other.psk may be read by everyone (mode 0644): chmod 600 it"},
    {"good", 0604, "/other.psk may be read by everyone (mode 0604): chmod 600 it"},
    {"good", 0602, "/other.psk may be written by everyone (mode 0602): chmod 600 it"},
    {"good", 0601, "/other.psk may be opened by everyone (mode 0601): chmod 600 it"},
    {"good", 0660, "/other.psk may be written by its group (mode 0660): chmod 600 it"},
    {"good", 0620, "/other.psk may be written by its group (mode 0620): chmod 600 it"},
};

Test(config, a_key_that_cannot_be_used_is_named_with_its_file)
{
    for (size_t i = 0; i < sizeof bad_keys / sizeof bad_keys[0]; i++) {
        struct config_report report;
        char path[128], tail[256];

        (void)snprintf(path, sizeof path, "%s/other.psk", folder);
        (void)unlink(path);
        put("n.yaml", SAMPLE, 0644);
        put("client.psk", "correct horse\n", 0600);
        if (bad_keys[i].text != NULL) {
            put("other.psk", bad_keys[i].text, bad_keys[i].mode);
        }
        if (strstr(bad_keys[i].tail, "openssl") != NULL)
            (void)snprintf(tail, sizeof tail, "%s%s)", bad_keys[i].tail, path);
        else
            (void)snprintf(tail, sizeof tail, "%s", bad_keys[i].tail);
        cr_assert_null(load("n.yaml", &report));
        expect_only(&report, tail);
    }
}

/* Root's and one's own; whoever else owns it may change the key. */
Test(config, a_key_of_another_user_is_refused)
{
    static const struct {
        uid_t owner, reader;
        bool good;
    } rows[] = {{0, 0, true}, {1234, 0, false}, {1234, 1234, true}, {1235, 1234, false}};

    cr_assert_eq(chmod(folder, 0755), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char path[128], expected[128];
        int status;
        pid_t pid;

        put("n.yaml", SAMPLE, 0644);
        put("client.psk", "correct horse\n", 0600);
        put("other.psk", "battery staple\n", 0600);
        (void)snprintf(path, sizeof path, "%s/client.psk", folder);
        cr_assert_eq(chown(path, rows[i].reader, 0), 0, "this test needs root");
        (void)snprintf(path, sizeof path, "%s/other.psk", folder);
        cr_assert_eq(chown(path, rows[i].owner, rows[i].reader), 0);
        cr_assert_eq(chmod(path, 0640), 0); /* its group may read it: the owner is what matters */
        (void)snprintf(expected, sizeof expected,
                       "/other.psk belongs to user %u, who may change it: chown root it",
                       rows[i].owner);
        pid = fork();
        if (pid == 0) {
            struct config_report report;
            struct config *c;

            if (setresgid(rows[i].reader, rows[i].reader, rows[i].reader) != 0 ||
                setresuid(rows[i].reader, rows[i].reader, rows[i].reader) != 0)
                _exit(9);
            c = load("n.yaml", &report);
            if ((c != NULL) != rows[i].good)
                _exit(1);
            if (c == NULL &&
                (report.n_mistakes != 1 || strstr(report.mistakes[0].text, expected) == NULL))
                _exit(2);
            config_free(c);
            config_report_deinit(&report);
            _exit(0);
        }
        cr_assert(waitpid(pid, &status, 0) == pid && status == 0, "row %zu: %x", i, status);
    }
}

Test(config, neither_a_folder_nor_a_pipe_is_a_key)
{
    struct config_report report;
    char path[128];

    put("n.yaml", SAMPLE, 0644);
    put("client.psk", "correct horse\n", 0600);
    (void)snprintf(path, sizeof path, "%s/other.psk", folder);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_assert_null(load("n.yaml", &report));
    expect_only(&report, "/other.psk is not a regular file");
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_null(load("n.yaml", &report));
    expect_only(&report, "/other.psk is not a regular file");
}

Test(config, a_file_that_is_not_there_or_not_a_file)
{
    struct config_report report;

    cr_assert_null(load("absent.yaml", &report));
    expect_only(&report, "/absent.yaml: No such file or directory: begin with an example of "
                         "deploy/config (single.yaml, node1.yaml)");
    cr_assert_null(load(".", &report));
    expect_only(&report, "/.: is not a regular file");
}

/* The examples are good as they stand, once their keys exist. */
Test(config, the_examples_are_good)
{
    static const char *const names[] = {"single.yaml", "node1.yaml", "node2.yaml", "node3.yaml"};
    char command[256];

    (void)snprintf(command, sizeof command, "cp %s/deploy/config/*.yaml '%s'", HOLDFAST_SOURCE_DIR,
                   folder);
    cr_assert_eq(system(command), 0);
    put("client.psk", "a key of an example\n", 0600);
    for (size_t i = 0; i < 4; i++) {
        struct config_report report;
        struct config *c = load(names[i], &report);

        cr_assert_not_null(c, "%s", report.n_mistakes > 0 ? report.mistakes[0].text : "");
        cr_assert_eq(c->node_id, i == 0 ? 1 : i);
        cr_assert_eq(c->n_nodes, i == 0 ? 1 : 3);
        config_free(c);
        config_report_deinit(&report);
    }
}

#define SHORTEST                                                                                   \
    "node: { id: 1, data: /var/lib/holdfast }\n"                                                   \
    "interfaces: { outside: eth0, inside: eth1 }\n"                                                \
    "shards: [{ id: 1, outside: 192.0.2.10, inside: 10.20.0.10, pool: 10.99.0.0/24 }]\n"           \
    "gateway: { identity: gw.example.org, networks: [10.20.0.0/16], dns: [10.20.0.53] }\n"         \
    "auth: { psk: [{ identity: client@example.org, secret_file: client.psk }] }\n"

/* single.yaml writes the defaults out: leaving them out must give the same. */
Test(config, the_example_states_the_true_defaults)
{
    struct config_report report;
    struct config *a, *b;

    put("client.psk", "key", 0600);
    put("short.yaml", SHORTEST, 0644);
    a = load("short.yaml", &report);
    cr_assert_not_null(a, "%s", report.n_mistakes > 0 ? report.mistakes[0].text : "");
    config_report_deinit(&report);
    b = config_load(HOLDFAST_SOURCE_DIR "/deploy/config/single.yaml", &report);
    cr_assert_null(b); /* its key is not in the tree */
    config_report_deinit(&report);
    {
        char text[8192];
        FILE *f = fopen(HOLDFAST_SOURCE_DIR "/deploy/config/single.yaml", "r");
        size_t n = fread(text, 1, sizeof text, f);

        (void)fclose(f);
        cr_assert_lt(n, sizeof text);
        b = config_parse("x.yaml", span_of(text, n), false, &report);
        cr_assert_not_null(b, "%s", report.n_mistakes > 0 ? report.mistakes[0].text : "");
        config_report_deinit(&report);
    }
    /* All but the name of the file, the keys and the pointers. */
    memset(a->path, 0, sizeof a->path);
    memset(b->path, 0, sizeof b->path);
    cr_assert_eq(memcmp(a, b, offsetof(struct config, psks)), 0);
    cr_assert_eq(
        memcmp(a->admin_socket, b->admin_socket, sizeof *a - offsetof(struct config, admin_socket)),
        0);
    config_free(a);
    config_free(b);
}

static void summary_of(const char *text, char *printed, size_t size)
{
    struct config_report report;
    struct config *c = config_parse("n.yaml", span_of(text, strlen(text)), false, &report);
    FILE *out = fmemopen(printed, size, "w");

    cr_assert_not_null(c);
    config_print_summary(c, out);
    (void)fclose(out);
    config_free(c);
    config_report_deinit(&report);
}

Test(config, the_summary_says_what_is_unsafe)
{
    char printed[4096] = "";

    summary_of(SAMPLE, printed, sizeof printed);
    cr_assert_not_null(strstr(printed, "n.yaml: good\n"));
    cr_assert_not_null(strstr(
        printed, "3 nodes, 1 may fail: 1=10.77.2.1:7400 2=10.77.2.2:7400 3=10.77.2.3:7400\n"));
    cr_assert_not_null(strstr(printed, "UNSAFE    insecure_lab: "));
    cr_assert_not_null(strstr(printed, "drills are enabled"));
    cr_assert_not_null(strstr(printed, "aes256gcm16-x25519-esn"));
    summary_of(SHORTEST, printed, sizeof printed);
    cr_assert_null(strstr(printed, "insecure_lab"));
    cr_assert_null(strstr(printed, "drills are enabled"));
}

static void summary_holds(const struct config *c, const char *line)
{
    char printed[4096] = "";
    FILE *out = fmemopen(printed, sizeof printed, "w");

    config_print_summary(c, out);
    (void)fclose(out);
    cr_assert_not_null(strstr(printed, line), "no '%s' in:\n%s", line, printed);
}

Test(config, the_summary_says_what_pfs_and_encapsulation_do)
{
    struct config_report report;
    struct config *c = config_parse("n.yaml", span_of(SAMPLE, strlen(SAMPLE)), false, &report);

    cr_assert_not_null(c);
    c->child.pfs = IKE_PFS_ALWAYS;
    summary_holds(c, "  pfs       in every rekey that we begin; a client's is served as it asks\n");
    c->child.pfs = IKE_PFS_EVERY;
    c->child.pfs_every = 3;
    summary_holds(c, "  pfs       in one of 3 rekeys, if we begin it; a client's is served as it "
                     "asks\n");
    c->child.pfs = IKE_PFS_NEVER;
    summary_holds(c, "  pfs       in no rekey that we begin; a client's is served as it asks\n");
    c->force_encapsulation = true;
    summary_holds(c, "  in UDP    always\n");
    c->force_encapsulation = false;
    summary_holds(c,
                  "  in UDP    behind a NAT; with none between, ESP goes as it is (protocol 50)\n");
    config_free(c);
    config_report_deinit(&report);
}

static const char *ip_text(const struct ip_addr *ip, char buf[64])
{
    return inet_ntop(ip->family == ADDR_V6 ? AF_INET6 : AF_INET, ip->bytes, buf, 64);
}

/* One address or one of each family, in any order. */
Test(config, a_shard_of_both_families)
{
    static const char text[] =
        "node: { id: 1, data: /var/lib/holdfast }\n"
        "interfaces: { outside: out0, inside: in0 }\n"
        "shards:\n"
        "  - { id: 1, outside: ['2001:db8::10', 192.0.2.10], inside: [10.20.0.10, fd00:20::10],\n"
        "      pool: [10.99.0.0/24, fd00:99::/112] }\n"
        "gateway: { identity: gw.example.org, networks: [10.20.0.0/16, fd00:20::/64],\n"
        "           dns: [10.20.0.53, fd00:20::53] }\n"
        "auth: { psk: [{ identity: client@example.org, secret_file: client.psk }] }\n";
    struct config_report report;
    struct config *c = config_parse("n.yaml", span_of(text, sizeof text - 1), false, &report);
    struct ip_addr first, last;
    char a[64];

    cr_assert_not_null(c, "%s", report.n_mistakes > 0 ? report.mistakes[0].text : "");
    cr_assert_str_eq(ip_text(&c->shards[0].outside[SLOT_V4], a), "192.0.2.10");
    cr_assert_str_eq(ip_text(&c->shards[0].outside[SLOT_V6], a), "2001:db8::10");
    cr_assert_str_eq(ip_text(&c->shards[0].inside[SLOT_V6], a), "fd00:20::10");
    pool_range(&c->shards[0].pool[SLOT_V4], &first, &last);
    cr_assert_str_eq(ip_text(&first, a), "10.99.0.1");
    cr_assert_str_eq(ip_text(&last, a), "10.99.0.254");
    pool_range(&c->shards[0].pool[SLOT_V6], &first, &last);
    cr_assert_str_eq(ip_text(&first, a), "fd00:99::1", "not the routers' anycast address");
    cr_assert_str_eq(ip_text(&last, a), "fd00:99::ffff");
    cr_assert(c->n_networks == 2 && c->n_dns == 2 && c->dns[1].family == ADDR_V6);
    summary_holds(c, "outside 192.0.2.10 2001:db8::10, inside 10.20.0.10 fd00:20::10, pool "
                     "10.99.0.0/24 fd00:99::/112\n");
    config_free(c);
    config_report_deinit(&report);
}

Test(config, prefixes)
{
    struct ip_prefix net = {.ip = addr_v4(0x0a630080), .bits = 25},
                     inner = {.ip = addr_v4(0x0a6300c0), .bits = 26};
    struct ip_prefix other = {.ip = addr_v4(0x0a630000), .bits = 25},
                     all = {.ip = addr_v4(0), .bits = 0};
    struct ip_addr first = prefix_first(&net), last = prefix_last(&net), low = addr_v4(0x0a63007f);

    cr_assert_eq(get_be32(first.bytes), 0x0a630080u);
    cr_assert_eq(get_be32(last.bytes), 0x0a6300ffu);
    cr_assert(prefix_contains(&net, &last));
    cr_assert(!prefix_contains(&net, &low));
    cr_assert(prefix_overlaps(&net, &inner) && prefix_overlaps(&inner, &net));
    cr_assert(!prefix_overlaps(&net, &other));
    cr_assert(prefix_overlaps(&all, &net));
    last = prefix_last(&all);
    cr_assert_eq(get_be32(last.bytes), 0xffffffffu);
}
