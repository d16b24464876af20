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

enum { NETLAB_MS = 10000, BATCH_BYTES = 4096 };

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

/* One namespace, findable by `ip netns` inside the cell's mount namespace. IPv6 is off: neighbour
 * discovery and duplicate address detection would only add noise and seconds. */
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
    return write_file(lab, "/proc/sys/net/ipv6/conf/all/disable_ipv6", "1") &&
           write_file(lab, "/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
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

/* The switch: two bridges, and every cable with its far end already in the right namespace. */
static bool build_switch(struct chaos_lab *lab)
{
    char text[BATCH_BYTES];
    size_t at = put(text, 0,
                    "link add outside type bridge mcast_snooping 0\nlink add inside type bridge "
                    "mcast_snooping 0\n");

    at = put(text, at,
             "link add outc type veth peer name eth0 address 02:68:66:01:00:32 netns %sclient\n",
             lab->prefix);
    at = put(text, at,
             "link add ins type veth peer name eth0 address 02:68:66:02:00:0a netns %sserver\n",
             lab->prefix);
    at = put(text, at, "link set outc master outside up\nlink set ins master inside up\n");
    for (unsigned n = 1; n <= lab->nodes; n++) {
        at =
            put(text, at,
                "link add out%u type veth peer name out0 address 02:68:66:01:00:%02x netns %sn%u\n",
                n, n, lab->prefix, n);
        at = put(text, at,
                 "link add in%u type veth peer name in0 address 02:68:66:02:00:%02x netns %sn%u\n",
                 n, n, lab->prefix, n);
        at = put(text, at, "link set out%u master outside up\nlink set in%u master inside up\n", n,
                 n);
    }
    (void)put(text, at, "link set outside up\nlink set inside up\n");
    return ip_batch(lab, LAB_SWITCH, text);
}

static bool build_ends(struct chaos_lab *lab)
{
    char text[BATCH_BYTES];

    (void)put(text, 0, "link set lo up\naddr add 10.77.1.50/24 dev eth0\nlink set eth0 up\n");
    if (!ip_batch(lab, LAB_CLIENT_NS, text))
        return false;
    (void)put(text, 0,
              "link set lo up\naddr add 10.77.2.10/24 dev eth0\nlink set eth0 up\n"
              "route add 10.99.0.0/24 via 10.77.2.100\n");
    if (!ip_batch(lab, LAB_SERVER_NS, text))
        return false;
    for (unsigned n = 1; n <= lab->nodes; n++) {
        (void)put(
            text, 0,
            "link set lo up\naddr add 10.77.1.%u/24 dev out0\naddr add 10.77.2.%u/24 dev in0\n"
            "link set out0 up\nlink set in0 up\n",
            n, n);
        if (!ip_batch(lab, LAB_NODE + n - 1, text))
            return false;
    }
    return true;
}

bool lab_build(struct chaos_lab *lab, const char *prefix, unsigned nodes)
{
    HF_ASSERT(nodes >= 1 && nodes <= LAB_MAX_NODES);
    *lab = (struct chaos_lab){.nodes = nodes, .home_ns = -1, .signals.fd = -1};
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
    for (unsigned i = 0; i < LAB_NODE + nodes; i++) {
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
bool lab_links(struct chaos_lab *lab, unsigned node, bool up)
{
    bool ok;
    int fd;

    if (!lab_enter(lab, LAB_NODE + node - 1))
        return false;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ok = fd >= 0 && set_link(fd, "out0", up) && set_link(fd, "in0", up);
    if (!ok)
        (void)lab_fail(lab, "links of node %u: %s", node, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    lab_leave(lab);
    return ok;
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
