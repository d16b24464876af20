/* The guard: set, verified exactly, found missing part by part. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/guard.h"
#include "ns.h"

static struct ip_addr addresses[3];
static struct ip_addr nodes[2];
static struct netlink_prefix pools[2];

static struct guard_config configure(void)
{
    addresses[0] = addr_v4(0x0a4d0164);
    addresses[1] = addr_v4(0x0a4d0264);
    addresses[2] =
        (struct ip_addr){.family = ADDR_V6, .bytes = {0x20, 0x01, 0x0d, 0xb8, [15] = 0x64}};
    pools[0] = (struct netlink_prefix){addr_v4(0x0a630000), 24};
    pools[1] = (struct netlink_prefix){
        {.family = ADDR_V6, .bytes = {0x20, 0x01, 0x0d, 0xb8, 0, 0x99}}, 64};
    nodes[0] = addr_v4(0x0a4d0201);
    nodes[1] = addr_v4(0x0a4d0202);
    return (struct guard_config){.outside = "out0",
                                 .inside = "in0",
                                 .tun = "hf0",
                                 .addresses = addresses,
                                 .n_addresses = 3,
                                 .pools = pools,
                                 .n_pools = 2,
                                 .nodes = nodes,
                                 .n_nodes = 2,
                                 .replication = {nodes[0], 7400}};
}

static void two_interfaces(void)
{
    ns_own();
    ns_run(0, "ip link add out0 type veth peer name in0");
    ns_run(0, "ip link set out0 up");
    ns_run(0, "ip link set in0 up");
}

static void green(const struct guard_config *c)
{
    struct io_error error;

    cr_assert(guard_verify(c, &error), "%s", error.text);
}

static void red(const struct guard_config *c, const char *says)
{
    struct io_error error;

    cr_assert(!guard_verify(c, &error), "not noticed: %s", says);
    cr_assert(strstr(error.text, says) != NULL, "wanted '%s' in: %s", says, error.text);
    cr_assert(strstr(error.text, "--guard") != NULL);
}

static void install(const struct guard_config *c)
{
    struct io_error error;

    cr_assert(guard_install(c, &error), "%s", error.text);
}

Test(guard, stands_after_install_and_not_before_nor_after_removal)
{
    struct guard_config c = configure();
    struct io_error error;

    two_interfaces();
    red(&c, "table inet holdfast_guard");
    install(&c);
    green(&c);
    install(&c); /* again: replaced in one go */
    green(&c);
    cr_assert(guard_remove(&error), "%s", error.text);
    red(&c, "table inet holdfast_guard");
    cr_assert(guard_remove(&error), "%s", error.text);
}

/* Every rule of every chain deleted in turn: each time the daemon would refuse, and say which. */
Test(guard, each_missing_rule_is_named, .timeout = 120)
{
    struct guard_config c = configure();
    static char text[20000];
    int deleted = 0;

    two_interfaces();
    install(&c);
    for (int want = 0;; want++) {
        char chain[64] = "", rule[256] = "";
        int at = 0, handle = -1;
        char *save = NULL;

        cr_assert(ns_output(0, text, sizeof text, "nft -a -s list table inet holdfast_guard"));
        for (char *line = strtok_r(text, "\n", &save); line != NULL;
             line = strtok_r(NULL, "\n", &save)) {
            char *mark = strstr(line, " # handle ");

            if (sscanf(line, " chain %63s", chain) == 1 || mark == NULL ||
                (strstr(line, "accept #") == NULL && strstr(line, "drop #") == NULL))
                continue;
            if (at++ != want)
                continue;
            handle = atoi(mark + 10);
            *mark = '\0';
            (void)snprintf(rule, sizeof rule, "%s", line + strspn(line, " \t"));
            break;
        }
        if (handle < 0)
            break;
        ns_run(0, "nft delete rule inet holdfast_guard %s handle %d", chain, handle);
        red(&c, rule);
        install(&c);
        deleted++;
    }
    green(&c);
    printf("guard: %d rules deleted one by one, each named\n", deleted);
    cr_assert(deleted == 27, "%d", deleted);
}

/* What a service is: another user than root, with one capability that goes along to nft. */
static void with_net_admin_alone(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2] = {{.effective = 1u << CAP_NET_ADMIN,
                                              .permitted = 1u << CAP_NET_ADMIN,
                                              .inheritable = 1u << CAP_NET_ADMIN}};

    if (prctl(PR_SET_KEEPCAPS, 1) != 0 || setresgid(65534, 65534, 65534) != 0 ||
        setresuid(65534, 65534, 65534) != 0 || syscall(SYS_capset, &head, caps) != 0 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0) != 0)
        _exit(9);
}

Test(guard, needs_no_more_than_net_admin_and_leaves_no_probe)
{
    struct guard_config c = configure();
    struct io_error error = {.text = ""};
    static char text[20000];
    int status;
    pid_t pid;

    two_interfaces();
    pid = ns_fork(0);
    if (pid == 0) {
        with_net_admin_alone();
        if (!guard_install(&c, &error) || !guard_verify(&c, &error)) {
            (void)fprintf(stderr, "%s\n", error.text);
            _exit(1);
        }
        _exit(0);
    }
    cr_assert(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0,
              "status %x", status);
    green(&c);
    /* One that a killed daemon left: it holds nothing back, and the next look takes it away. */
    ns_run(0, "nft add table inet holdfast_probe { flags dormant ; }");
    ns_run(0, "nft add chain inet holdfast_probe x { type filter hook input priority 0 ; }");
    ns_run(0, "nft add rule inet holdfast_probe x drop");
    green(&c);
    cr_assert(ns_output(0, text, sizeof text, "nft list tables"));
    cr_assert(strcmp(text, "table inet holdfast_guard\n") == 0, "%s", text);
}

Test(guard, what_else_can_be_missing_is_named)
{
    struct guard_config c = configure();

    two_interfaces();
    install(&c);
    ns_run(0, "nft delete element inet holdfast_guard vip4 { 10.77.1.100 }");
    red(&c, "10.77.2.100");
    install(&c);
    ns_run(0, "nft add element inet holdfast_guard node4 { 10.77.2.9 }");
    red(&c, "10.77.2.9");
    install(&c);
    ns_run(0, "nft add element inet holdfast_guard pool4 { 10.98.0.0/24 }");
    red(&c, "rule too many");
    install(&c);
    ns_run(0, "nft insert rule inet holdfast_guard guard_input accept");
    red(&c, "rule too many: accept");
    install(&c);
    ns_run(0, "ip route del blackhole 10.99.0.0/24 metric 4278198272");
    red(&c, "blackhole route of pool number 1");
    install(&c);
    ns_run(0, "ip -6 route del blackhole 2001:db8:99::/64 metric 2147483647");
    red(&c, "blackhole route of pool number 2");
    install(&c);
    write_file("/proc/sys/net/ipv4/conf/all/arp_ignore", "0");
    red(&c, "ipv4/conf/all/arp_ignore");
    write_file("/proc/sys/net/ipv4/conf/all/arp_announce", "0");
    write_file("/proc/sys/net/ipv4/conf/out0/send_redirects", "1");
    write_file("/proc/sys/net/ipv4/conf/in0/forwarding", "0");
    red(&c, "arp_announce");
    red(&c, "out0/send_redirects");
    red(&c, "in0/forwarding");
    install(&c);
    green(&c);
}

/* A rule moved to another place of its chain: the same lines, another meaning. */
Test(guard, the_order_of_rules_matters)
{
    struct guard_config c = configure();
    static char text[20000];
    char *line;

    two_interfaces();
    install(&c);
    cr_assert(ns_output(0, text, sizeof text, "nft -a list chain inet holdfast_guard guard_input"));
    line = strstr(text, "ip daddr @vip4 drop # handle ");
    cr_assert(line != NULL);
    ns_run(0, "nft delete rule inet holdfast_guard guard_input handle %d",
           atoi(line + strlen("ip daddr @vip4 drop # handle ")));
    ns_run(0, "nft insert rule inet holdfast_guard guard_input ip daddr @vip4 drop");
    red(&c, "another order");
}

Test(guard, one_interface_for_both_sides)
{
    struct guard_config c = configure();

    two_interfaces();
    c.inside = "out0";
    install(&c);
    green(&c);
}

Test(guard, a_missing_interface_or_privilege_is_named)
{
    struct guard_config c = configure();
    struct io_error error;
    int status;
    pid_t pid;

    two_interfaces();
    c.inside = "nowhere0";
    cr_assert(!guard_install(&c, &error));
    cr_assert(strstr(error.text, "nowhere0") != NULL, "%s", error.text);
    c.inside = "in0";
    install(&c);
    pid = ns_fork(0);
    if (pid == 0) {
        bool refused;

        if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0)
            _exit(9);
        refused = !guard_install(&c, &error) && strstr(error.text, "CAP_NET_ADMIN") != NULL;
        _exit(refused && !guard_verify(&c, &error) && error.text[0] != '\0' ? 0 : 1);
    }
    cr_assert(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0,
              "status %x", status);
}

/* A guard that could not be set has not made a router of the machine (I13). */
Test(guard, without_nft_nothing_forwards)
{
    static const char *const nft[] = {"/usr/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"};
    struct guard_config c = configure();
    struct io_error error;
    int hidden = 0;

    two_interfaces();
    cr_assert(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    for (size_t i = 0; i < sizeof nft / sizeof nft[0]; i++)
        hidden += mount("/dev/null", nft[i], NULL, MS_BIND, NULL) == 0;
    cr_assert(hidden > 0);
    write_file("/proc/sys/net/ipv4/conf/in0/forwarding", "0");
    write_file("/proc/sys/net/ipv6/conf/all/forwarding", "0");
    cr_assert(!guard_install(&c, &error));
    cr_assert(strstr(error.text, "nftables") != NULL, "%s", error.text);
    cr_assert(read_setting("/proc/sys/net/ipv4/conf/in0/forwarding") == '0');
    cr_assert(read_setting("/proc/sys/net/ipv6/conf/all/forwarding") == '0');
}

/* A pool that became larger: the route of the smaller one would go on to swallow its half. */
Test(guard, a_blackhole_of_a_former_pool_is_found_and_goes)
{
    struct guard_config c = configure();
    static char text[4000];

    two_interfaces();
    pools[0].length = 25;
    pools[1].length = 65;
    install(&c);
    pools[0].length = 24;
    pools[1].length = 64;
    install(&c);
    green(&c);
    /* Whoever put them there: metric and kind are the mark. */
    ns_run(0, "ip route add blackhole 10.99.0.0/25 metric 4278198272");
    red(&c, "blackhole route too many: 10.99.0.0/25");
    ns_run(0, "ip route add blackhole 10.99.0.0/26 metric 77");
    ns_run(0, "ip -6 route add blackhole 2001:db8:99::/65 metric 2147483647");
    ns_run(0, "ip -6 route add blackhole 2001:db8:99::/66 metric 77");
    red(&c, "blackhole route too many: 2001:db8:99::/65");
    install(&c);
    green(&c);
    cr_assert(ns_output(0, text, sizeof text, "ip route show type blackhole"));
    cr_assert(strstr(text, "10.99.0.0/26") != NULL && strstr(text, "10.99.0.0/24") != NULL &&
                  strstr(text, "10.99.0.0/25") == NULL,
              "%s", text);
    cr_assert(ns_output(0, text, sizeof text, "ip -6 route show type blackhole"));
    cr_assert(strstr(text, "2001:db8:99::/66") != NULL &&
                  strstr(text, "2001:db8:99::/64") != NULL &&
                  strstr(text, "2001:db8:99::/65") == NULL,
              "%s", text);
}

/* Removal takes every marked route away, whatever is configured by now. */
Test(guard, removal_leaves_an_operators_blackhole)
{
    struct guard_config c = configure();
    static char text[4000];
    struct io_error error;

    two_interfaces();
    install(&c);
    ns_run(0, "ip route add blackhole 10.98.0.0/24 metric 4278198272");
    ns_run(0, "ip route add blackhole 10.97.0.0/24 metric 77");
    cr_assert(guard_remove(&error), "%s", error.text);
    cr_assert(ns_output(0, text, sizeof text, "ip route show type blackhole"));
    cr_assert(strstr(text, "10.97.0.0/24") != NULL && strchr(text, '\n')[1] == '\0', "%s", text);
    cr_assert(ns_output(0, text, sizeof text, "ip -6 route show type blackhole"));
    cr_assert(text[0] == '\0', "%s", text);
}

/* Members come and go while the daemon runs: the set is theirs, the rules stay, and it verifies as if it
 * had been installed so. */
Test(guard, the_nodes_follow_the_members)
{
    struct ip_addr more[4] = {nodes[0],
                              addr_v4(0x0a4d0204),
                              {.family = ADDR_V6, .bytes = {0xfd, 0, [15] = 4}},
                              addr_v4(0x0a4d0204)};
    struct guard_config c = configure();
    struct io_error error;
    char text[8192];

    two_interfaces();
    more[0] = nodes[0];
    cr_assert(!guard_set_nodes(nodes, 2, &error), "there is no table yet");
    cr_assert(strstr(error.text, "--guard") != NULL, "%s", error.text);
    install(&c);
    cr_assert(guard_set_nodes(more, 4, &error), "%s", error.text);
    red(&c, "10.77.2.2");
    c.nodes = more;
    c.n_nodes = 3;
    green(&c);
    cr_assert(ns_output(0, text, sizeof text, "nft list set inet holdfast_guard node6"));
    cr_assert(strstr(text, "fd00::4") != NULL, "%s", text);
    cr_assert(guard_set_nodes(NULL, 0, &error), "%s", error.text);
    c.n_nodes = 0;
    green(&c);
    c = configure();
    cr_assert(guard_set_nodes(nodes, 2, &error), "%s", error.text);
    green(&c);
    ns_run(0, "nft delete table inet holdfast_guard");
    cr_assert(!guard_set_nodes(nodes, 2, &error), "the table is gone");
}
