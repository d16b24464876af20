/* holdfast cluster init: what it leaves, and that a refusal leaves nothing. With the real holdfastd, which
 * stands beside the program. */
#include <sys/stat.h>

#include "unit/api/pki_rig.h"

static void write_config(const char *more)
{
    FILE *f;

    start();
    f = fopen("node.yaml", "w");
    cr_assert_not_null(f);
    (void)fprintf(f,
                  "node: { id: 1, data: %s/data }\n"
                  "interfaces: { outside: out0, inside: in0, tun: hf0 }\n"
                  "shards:\n"
                  "  - { id: 1, outside: 10.78.1.100, inside: 10.78.2.100, pool: 10.99.0.0/24 }\n"
                  "gateway: { identity: gw.example.org, networks: [10.78.2.0/24] }\n"
                  "auth: { psk: [ { identity: c@example.org, secret_file: c.psk } ] }\n%s",
                  folder, more);
    (void)fclose(f);
    cr_assert_eq(shell("umask 077; echo 0123456789abcdef0123456789abcdef >c.psk"), 0);
}

static void alone(void)
{
    write_config("");
}

TestSuite(cluster_init, .init = alone, .fini = end);

static int init(const char *words)
{
    char command[512];

    (void)snprintf(command, sizeof command, "%s cluster init %s --config node.yaml 2>&1",
                   CLI_PROGRAM, words);
    return shell(command);
}

static void fails(const char *words, int status, const char *part)
{
    static char before[4096];
    int got;

    cr_assert_eq(shell("find . -type f | sort | xargs sha256sum"), 0);
    strcpy(before, output);
    got = init(words);
    cr_expect_eq(got, status, "%s ended with %d: %s", words, got, output);
    cr_expect_not_null(strstr(output, part), "%s said: %s", words, output);
    cr_assert_eq(shell("find . -type f | sort | xargs sha256sum"), 0);
    cr_expect_str_eq(output, before, "%s left something behind", words);
}

Test(cluster_init, founds_a_cluster_of_one)
{
    struct stat st;

    cr_assert_eq(init("vpn-1 1 10.0.0.1:7400"), 0, "%s", output);
    cr_assert_not_null(strstr(output, "holdfast cluster token"), "what comes next: %s", output);
    cr_assert_eq(stat("cluster/ca.key", &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    cr_assert_eq(stat("cluster/node-1.key", &st), 0);
    cr_assert_eq(stat("data/identity", &st), 0);
    cr_assert_neq(stat("node.yaml.new", &st), 0);
    cr_assert_eq(shell("$(dirname " CLI_PROGRAM ")/holdfastd --config node.yaml --check"), 0, "%s",
                 output);
    fails("vpn-1 1 10.0.0.1:7400", 1, "other nodes join it");
    fails("vpn-1 2 10.0.0.1:7400 --dir /nowhere/else", 1, "has a `cluster` section");
}

Test(cluster_init, a_refusal_leaves_nothing)
{
    fails("vpn-1 1 10.0.0.1", 1, "is not an address and a port");
    fails("vpn-1 2 10.0.0.1:7400", 1, "this is node 1");
    fails("VPN 1 10.0.0.1:7400", 2, "a cluster's name");
    fails("vpn-1 one 10.0.0.1:7400", 2, "a node's id");
    fails("vpn-1 1", 2, "this command needs 'NAME NODE ADDRESS'");
    fails("vpn-1 1 10.0.0.1:7400 --dir here", 1, "from the root on");
    cr_assert_eq(shell("mkdir data; echo something >data/file; : >data/lock"), 0);
    fails("vpn-1 1 10.0.0.1:7400", 1, "not empty: --init refused");
    cr_assert_eq(shell("rm node.yaml; echo x >other"), 0);
    fails("vpn-1 1 10.0.0.1:7400", 1, "all but `cluster`");
}

Test(cluster_init, a_lone_node_keeps_its_data)
{
    cr_assert_eq(shell("$(dirname " CLI_PROGRAM ")/holdfastd --config node.yaml --init"), 0, "%s",
                 output);
    fails("vpn-1 1 10.0.0.1:7400", 1, "already a data directory");
    cr_assert_eq(init("vpn-1 1 10.0.0.1:7400 --keep-data -o json"), 0, "%s", output);
    cr_assert_not_null(strstr(output, "\"cluster\": \"vpn-1\""), "%s", output);
}
