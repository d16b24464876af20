#include "lab.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/assert.h"

enum { NETLAB_MS = 10000, BATCH_BYTES = 8192 };

static bool write_file(struct chaos_lab *lab, const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        (void)close(fd);
    return ok || lab_fail(lab, "%s: %s", path, strerror(errno));
}

bool lab_enter(struct chaos_lab *lab, enum lab_place place)
{
    if (setns(lab->ns[place], CLONE_NEWNET) != 0)
        return lab_fail(lab, "setns: %s", strerror(errno));
    return true;
}

void lab_leave(struct chaos_lab *lab)
{
    HF_ASSERT(setns(lab->home_ns, CLONE_NEWNET) == 0);
}

static const char *place_name(unsigned place)
{
    static const char *const names[LAB_PLACES] = {"switch", "client", "server", "n1",
                                                  "n2",     "n3",     "n4",     "n5"};

    return names[place];
}

/* IPv6 is off where nobody needs it: neighbour discovery and duplicate address detection would only
 * add noise and seconds. Where it is on there are no routers to ask and no detection; an interface
 * that goes down keeps its addresses, as with IPv4. */
static bool set_ipv6(struct chaos_lab *lab)
{
    static const char *const off[] = {"disable_ipv6", NULL};
    static const char *const quiet[] = {"accept_ra", "autoconf", "router_solicitations",
                                        "accept_dad", NULL};
    char path[96];

    for (unsigned i = 0; i < 2; i++) {
        const char *which = i ? "default" : "all";

        for (const char *const *name = lab->v6 ? quiet : off; *name; name++) {
            (void)snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", which, *name);
            if (!write_file(lab, path, lab->v6 ? "0" : "1"))
                return false;
        }
        (void)snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/keep_addr_on_down", which);
        if (lab->v6 && !write_file(lab, path, "1"))
            return false;
    }
    return true;
}

/* One namespace, findable by `ip netns` inside the cell's mount namespace. */
static bool make_namespace(struct chaos_lab *lab, unsigned place)
{
    char path[96];
    int fd;

    (void)snprintf(path, sizeof path, "/run/netns/%s%s", lab->prefix, place_name(place));
    if (unshare(CLONE_NEWNET) != 0)
        return lab_fail(lab, "unshare(CLONE_NEWNET): %s", strerror(errno));
    fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0400);
    if (fd < 0 || close(fd) != 0 || mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) != 0)
        return lab_fail(lab, "%s: %s", path, strerror(errno));
    lab->ns[place] = open(path, O_RDONLY | O_CLOEXEC);
    if (lab->ns[place] < 0)
        return lab_fail(lab, "%s: %s", path, strerror(errno));
    return set_ipv6(lab);
}

const char *lab_address(uint32_t a, bool v6, char text[LAB_ADDRESS_TEXT])
{
    if (v6)
        (void)snprintf(text, LAB_ADDRESS_TEXT, "fd77::%x:%x", a >> 16, a & 0xffff);
    else
        (void)snprintf(text, LAB_ADDRESS_TEXT, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255,
                       a & 255);
    return text;
}

/* Fresh /proc, /run and, where the machine has none, /dev/net/tun. All private to this mount
 * namespace. */
static bool mount_private(struct chaos_lab *lab)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return lab_fail(lab, "private mounts: %s", strerror(errno));
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
        return lab_fail(lab, "/proc: %s", strerror(errno));
    if (mount("hfd", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=256m") != 0)
        return lab_fail(lab, "/run: %s", strerror(errno));
    if (mkdir("/run/netns", 0700) != 0 || mkdir("/run/dev", 0755) != 0)
        return lab_fail(lab, "/run: %s", strerror(errno));
    (void)snprintf(lab->dir, sizeof lab->dir, "/run/%.20s", lab->prefix);
    if (mkdir(lab->dir, 0700) != 0)
        return lab_fail(lab, "%s: %s", lab->dir, strerror(errno));
    return true;
}

static bool have_tun(struct chaos_lab *lab)
{
    static const struct {
        const char *path;
        unsigned major, minor;
    } nodes[] = {{"/dev/null", 1, 3},
                 {"/dev/zero", 1, 5},
                 {"/dev/random", 1, 8},
                 {"/dev/urandom", 1, 9},
                 {"/dev/net/tun", 10, 200}};

    if (access("/dev/net/tun", F_OK) == 0)
        return true;
    if (mount("hfd-dev", "/dev", "tmpfs", MS_NOSUID, "mode=0755,size=1m") != 0 ||
        mkdir("/dev/net", 0755) != 0)
        return lab_fail(lab, "/dev: %s", strerror(errno));
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        if (mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) != 0)
            return lab_fail(lab, "%s: %s", nodes[i].path, strerror(errno));
    }
    return true;
}

void lab_node_mac(unsigned node, uint8_t mac[6])
{
    const uint8_t m[6] = {0x02, 0x68, 0x66, 0x01, 0x00, (uint8_t)node};

    memcpy(mac, m, 6);
}

static size_t put(char *text, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static size_t put(char *text, size_t at, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text + at, BATCH_BYTES - at, format, args);
    va_end(args);
    HF_ASSERT(n >= 0 && (size_t)n < BATCH_BYTES - at);
    return at + (size_t)n;
}

static bool ip_batch(struct chaos_lab *lab, enum lab_place place, const char *commands)
{
    static const char *const argv[] = {"ip", "-batch", "-", NULL};

    return proc_run(
        lab, &(struct chaos_spawn){.place = place, .argv = argv, .input = commands, .step_fd = -1},
        NETLAB_MS, false, NULL);
}

/* A cable from a bridge into a namespace where its far end already has its name. */
static size_t cable(const struct chaos_lab *lab, char *text, size_t at, const char *bridge,
                    const char *port, const char *far_end, unsigned mac, const char *ns)
{
    at = put(text, at,
             "link add %s type veth peer name %s address 02:68:66:%02x:00:%02x netns %s%s\n", port,
             far_end, mac >> 8, mac & 255, lab->prefix, ns);
    return put(text, at, "link set %s master %s up\n", port, bridge);
}

static size_t client_cable(const struct chaos_lab *lab, char *text, size_t at)
{
    if (!lab->relay)
        return cable(lab, text, at, "outside", "outc", "eth0", 0x0132, "client");
    at = put(text, at,
             "link add cli type veth peer name eth0 address 02:68:66:01:00:32 netns "
             "%sclient\nlink set cli up\n",
             lab->prefix);
    return put(text, at,
               "link add outc type veth peer name rel\n"
               "link set rel up\nlink set outc master outside up\n");
}

const char *lab_client_port(const struct chaos_lab *lab)
{
    return lab->relay ? "cli" : "outc";
}

/* The switch: three bridges, and every cable. */
static bool build_switch(struct chaos_lab *lab)
{
    static const char *const bridges[] = {"outside", "inside", "raft"};
    char text[BATCH_BYTES], port[16], far_end[16], ns[8];
    size_t at = 0;

    for (unsigned i = 0; i < 3; i++)
        at = put(text, at, "link add %s type bridge mcast_snooping 0\n", bridges[i]);
    at = client_cable(lab, text, at);
    at = cable(lab, text, at, "inside", "ins", "eth0", 0x020a, "server");
    for (unsigned n = 1; n <= lab->nodes; n++) {
        static const char *const cables[] = {"out", "in", "raft"};

        (void)snprintf(ns, sizeof ns, "n%u", n);
        for (unsigned i = 0; i < 3; i++) {
            (void)snprintf(port, sizeof port, "%s%u", cables[i], n);
            (void)snprintf(far_end, sizeof far_end, "%s0", cables[i]);
            at = cable(lab, text, at, bridges[i], port, far_end, (i + 1) << 8 | n, ns);
        }
    }
    for (unsigned i = 0; i < 3; i++)
        at = put(text, at, "link set %s up\n", bridges[i]);
    return ip_batch(lab, LAB_SWITCH, text);
}

static size_t interface(const struct chaos_lab *lab, char *text, size_t at, const char *name,
                        uint32_t address)
{
    char a[LAB_ADDRESS_TEXT];

    at = put(text, at, "addr add %s/24 dev %s\n", lab_address(address, false, a), name);
    if (lab->v6)
        at = put(text, at, "addr add %s/120 dev %s nodad\n", lab_address(address, true, a), name);
    return put(text, at, "link set %s up\n", name);
}

static bool build_ends(struct chaos_lab *lab)
{
    char text[BATCH_BYTES], pool[LAB_ADDRESS_TEXT], via[LAB_ADDRESS_TEXT];
    size_t at;

    (void)interface(lab, text, put(text, 0, "link set lo up\n"), "eth0", LAB_CLIENT);
    if (!ip_batch(lab, LAB_CLIENT_NS, text))
        return false;
    at = interface(lab, text, put(text, 0, "link set lo up\n"), "eth0", LAB_SERVER);
    for (unsigned v6 = 0; v6 <= lab->v6; v6++) {
        for (unsigned s = 0; s < lab->shards; s++)
            at = put(text, at, "route add %s/%d via %s\n",
                     lab_address(LAB_POOL + s * LAB_POOL_SIZE, v6, pool), v6 ? 118 : 22,
                     lab_address(LAB_INSIDE_VIP + s, v6, via));
    }
    if (!ip_batch(lab, LAB_SERVER_NS, text))
        return false;
    for (unsigned n = 1; n <= lab->nodes; n++) {
        at = interface(lab, text, put(text, 0, "link set lo up\n"), "out0", LAB_OUTSIDE_NET + n);
        at = interface(lab, text, at, "in0", LAB_INSIDE_NET + n);
        (void)interface(lab, text, at, "raft0", LAB_RAFT_NET + n);
        if (!ip_batch(lab, LAB_NODE + n - 1, text))
            return false;
    }
    return true;
}

bool lab_build(struct chaos_lab *lab, const char *prefix, const struct lab_plan *plan)
{
    HF_ASSERT(plan->nodes >= 1 && plan->nodes <= LAB_MAX_NODES);
    HF_ASSERT(plan->shards >= 1 && plan->shards <= LAB_MAX_SHARDS);
    *lab = (struct chaos_lab){.nodes = plan->nodes,
                              .shards = plan->shards,
                              .beside = plan->beside,
                              .v6 = plan->v6,
                              .relay = plan->relay,
                              .home_ns = -1,
                              .signals.fd = -1};
    (void)snprintf(lab->prefix, sizeof lab->prefix, "%s", prefix);
    for (unsigned i = 0; i < LAB_PLACES; i++)
        lab->ns[i] = -1;
    if (!pump_init(&lab->pump))
        return lab_fail(lab, "epoll: %s", strerror(errno));
    if (!mount_private(lab) || !have_tun(lab) || !lab_watch_children(lab))
        return false;
    lab->home_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (lab->home_ns < 0)
        return lab_fail(lab, "/proc/self/ns/net: %s", strerror(errno));
    for (unsigned i = 0; i < LAB_NODE + lab->nodes; i++) {
        if (!make_namespace(lab, i))
            return false;
    }
    lab_leave(lab);
    return build_switch(lab) && build_ends(lab);
}

bool lab_sysctl(struct chaos_lab *lab, enum lab_place place, const char *path, const char *value)
{
    bool ok;

    if (!lab_enter(lab, place))
        return false;
    ok = write_file(lab, path, value);
    lab_leave(lab);
    return ok;
}

bool lab_bridge_rules(struct chaos_lab *lab, const char *rules)
{
    static const char *const argv[] = {"nft", "-f", "-", NULL};

    return proc_run(
        lab,
        &(struct chaos_spawn){.place = LAB_SWITCH, .argv = argv, .input = rules, .step_fd = -1},
        NETLAB_MS, false, NULL);
}

bool lab_partition(struct chaos_lab *lab, unsigned node, bool mute, bool deaf)
{
    char text[512];
    int at = snprintf(text, sizeof text,
                      "table bridge cut\nflush table bridge cut\ntable bridge cut {\n chain f {\n"
                      "  type filter hook forward priority 0; policy accept;\n");

    if (mute)
        at += snprintf(text + at, sizeof text - (size_t)at, "  iifname raft%u drop\n", node);
    if (deaf)
        at += snprintf(text + at, sizeof text - (size_t)at, "  oifname raft%u drop\n", node);
    (void)snprintf(text + at, sizeof text - (size_t)at, " }\n}\n");
    return lab_bridge_rules(lab, text);
}

bool lab_cut_between(struct chaos_lab *lab, unsigned a, unsigned b)
{
    char text[512];

    (void)snprintf(text, sizeof text,
                   "table bridge cut\nflush table bridge cut\ntable bridge cut {\n chain f {\n"
                   "  type filter hook forward priority 0; policy accept;\n"
                   "  iifname raft%u oifname raft%u drop\n  iifname raft%u oifname raft%u drop\n"
                   " }\n}\n",
                   a, b, b, a);
    return lab_bridge_rules(lab, text);
}

static bool set_link(int fd, const char *name, bool up)
{
    struct ifreq r = {0};

    (void)snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    if (ioctl(fd, SIOCGIFFLAGS, &r) != 0)
        return false;
    r.ifr_flags = (short)(up ? r.ifr_flags | IFF_UP : r.ifr_flags & ~IFF_UP);
    return ioctl(fd, SIOCSIFFLAGS, &r) == 0;
}

/* No program is started for it: a machine's death takes no time. */
static bool set_links(struct chaos_lab *lab, enum lab_place place, const char *const *names,
                      bool up)
{
    bool ok;
    int fd;

    if (!lab_enter(lab, place))
        return false;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ok = fd >= 0;
    for (; ok && *names; names++)
        ok = set_link(fd, *names, up);
    if (!ok)
        (void)lab_fail(lab, "links of %s: %s", place_name(place), strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    lab_leave(lab);
    return ok;
}

bool lab_links(struct chaos_lab *lab, unsigned node, bool up)
{
    static const char *const names[] = {"out0", "in0", "raft0", NULL};

    return set_links(lab, LAB_NODE + node - 1, names, up);
}

bool lab_cable(struct chaos_lab *lab, unsigned node, const char *cable_name, bool plugged)
{
    char port[16];
    const char *const names[] = {port, NULL};

    (void)snprintf(port, sizeof port, "%s%u", cable_name, node);
    return set_links(lab, LAB_SWITCH, names, plugged);
}

void lab_deinit(struct chaos_lab *lab)
{
    for (unsigned i = 0; i < LAB_PLACES; i++) {
        if (lab->ns[i] >= 0)
            (void)close(lab->ns[i]);
        lab->ns[i] = -1;
    }
    if (lab->home_ns >= 0)
        (void)close(lab->home_ns);
    if (lab->signals.fd >= 0) {
        pump_remove(&lab->pump, &lab->signals);
        (void)close(lab->signals.fd);
    }
    pump_deinit(&lab->pump);
}
