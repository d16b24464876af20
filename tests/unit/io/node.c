#include "node.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/arp.h"
#include "io/clock.h"
#include "io/guard.h"
#include "io/tun.h"
#include "io/udp.h"
#include "ns.h"

enum {
    VIP = 0x0a4d0164,
    INSIDE = 0x0a4d0264,
    POOL = 0x0a630000,
    CLIENT = 0x0a4d0132,
    SERVER = 0x0a4d020a
};

struct message {
    uint64_t type, sent_ns; /* 'A' activate, 'H' renew the lease */
};

/* ---- the daemon */

struct daemon {
    int id, udp, control;
    struct tun tun;
    struct arp *arp;
    bool active;
    uint64_t lease_ns;
};

static bool may_act(void *self, uint32_t shard)
{
    const struct daemon *d = self;

    (void)shard;
    return d->active && io_boottime_ns() < d->lease_ns;
}

static void on_udp(uv_poll_t *poll, int status, int events)
{
    struct daemon *d = poll->data;
    struct endpoint peer, local;
    uint8_t buf[2048];
    size_t len;

    (void)status;
    (void)events;
    while (udp_recv(d->udp, buf, sizeof buf - 1, &len, &peer, &local) == UDP_OK) {
        struct span answer = span_of(buf, len + 1);

        buf[len] = (uint8_t)d->id;
        if (may_act(d, 1))
            (void)!udp_send(d->udp, &local.ip, &peer, &answer, 1);
    }
}

/* Echoes a datagram that came through the tunnel's route, its last byte telling which node did it.
 */
static void on_tun(uv_poll_t *poll, int status, int events)
{
    struct daemon *d = poll->data;
    uint8_t p[2048], a[4];
    ssize_t n;

    (void)status;
    (void)events;
    while ((n = read(d->tun.fd, p, sizeof p)) > 0) {
        if (n < 29 || p[0] != 0x45 || p[9] != 17 || !may_act(d, 1))
            continue;
        memcpy(a, p + 12, 4);
        memcpy(p + 12, p + 16, 4);
        memcpy(p + 16, a, 4);
        memcpy(a, p + 20, 2);
        memcpy(p + 20, p + 22, 2);
        memcpy(p + 22, a, 2);
        p[26] = p[27] = 0;
        p[n - 1] = (uint8_t)d->id;
        (void)!write(d->tun.fd, p, (size_t)n);
    }
}

static void on_control(uv_poll_t *poll, int status, int events)
{
    struct daemon *d = poll->data;
    struct message m;

    (void)status;
    (void)events;
    while (recv(d->control, &m, sizeof m, MSG_DONTWAIT) == (ssize_t)sizeof m) {
        if (m.sent_ns + NODE_LEASE_MS * 1000000ull > d->lease_ns)
            d->lease_ns = m.sent_ns + NODE_LEASE_MS * 1000000ull;
        if (m.type == 'A') {
            d->active = true;
            arp_announce(d->arp, 1);
        }
    }
}

static void watch(uv_loop_t *loop, uv_poll_t *poll, int fd, uv_poll_cb cb, struct daemon *d)
{
    if (uv_poll_init(loop, poll, fd) != 0 || uv_poll_start(poll, UV_READABLE, cb) != 0)
        _exit(20);
    poll->data = d;
}

static struct guard_config guard_of(const struct ip_addr vips[2], const struct netlink_prefix *pool)
{
    return (struct guard_config){.outside = "out0",
                                 .inside = "in0",
                                 .tun = "hf0",
                                 .addresses = vips,
                                 .n_addresses = 2,
                                 .pools = pool,
                                 .n_pools = 1};
}

_Noreturn static void run_daemon(int id, int control, bool guarded)
{
    struct ip_addr vips[2] = {addr_v4(VIP), addr_v4(INSIDE)};
    struct netlink_prefix pool = {addr_v4(POOL), 24};
    struct arp_address arp[2] = {{vips[0], "out0", 1}, {vips[1], "in0", 1}};
    struct guard_config guard = guard_of(vips, &pool);
    struct daemon d = {.id = id, .control = control};
    struct io_error error = {.text = ""};
    struct netlink *n = netlink_open(&error);
    uv_loop_t loop;
    uv_poll_t polls[3];
    bool ok = n != NULL && uv_loop_init(&loop) == 0 && (!guarded || guard_verify(&guard, &error));

    /* The order matters: sockets, then the TUN, so that it vanishes first. */
    d.udp = ok ? udp_open(&(struct endpoint){vips[0], UDP_NAT_PORT}, &error) : -1;
    d.arp = ok ? arp_open(&loop, arp, 2, may_act, &d, &error) : NULL;
    ok = d.udp >= 0 && d.arp != NULL && tun_open(&d.tun, "hf0", false, &error) &&
         netlink_link_set_mtu(n, "hf0", TUN_MTU, &error) &&
         netlink_link_set_up(n, "hf0", true, &error);
    for (int i = 0; ok && i < 2; i++)
        ok = netlink_addr_add(n, "hf0", &(struct netlink_prefix){vips[i], 32}, &error);
    if (!ok || !netlink_route_add(n, &pool, "hf0", &error)) {
        (void)fprintf(stderr, "node %d: %s\n", id, error.text);
        _exit(21);
    }
    watch(&loop, &polls[0], d.udp, on_udp, &d);
    watch(&loop, &polls[1], d.tun.fd, on_tun, &d);
    watch(&loop, &polls[2], control, on_control, &d);
    if (send(control, "r", 1, 0) != 1)
        _exit(22);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    _exit(23);
}

/* ---- the world around it */

static void install_guard(pid_t holder)
{
    struct ip_addr vips[2] = {addr_v4(VIP), addr_v4(INSIDE)};
    struct netlink_prefix pool = {addr_v4(POOL), 24};
    struct guard_config guard = guard_of(vips, &pool);
    struct io_error error;
    int status;
    pid_t pid = ns_fork(holder);

    if (pid == 0) {
        bool ok = guard_install(&guard, &error);

        if (!ok)
            (void)fprintf(stderr, "%s\n", error.text);
        _exit(ok ? 0 : 1);
    }
    cr_assert(waitpid(pid, &status, 0) == pid && status == 0, "the guard was not installed");
}

static void cable(pid_t holder, const char *bridge, const char *port, const char *inner,
                  const char *mac, const char *address)
{
    ns_run(0, "ip link add name %s type veth peer name %s address %s netns %d", port, inner, mac,
           (int)holder);
    ns_run(0, "ip link set %s master %s", port, bridge);
    ns_run(0, "ip link set %s up", port);
    ns_run(holder, "ip addr add %s dev %s", address, inner);
    ns_run(holder, "ip link set %s up", inner);
}

/* A socket that lives in another namespace than its owner. */
static int socket_in(pid_t holder, uint32_t ip)
{
    char path[64];
    struct io_error error;
    int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), other, fd;

    (void)snprintf(path, sizeof path, "/proc/%d/ns/net", (int)holder);
    other = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert(own >= 0 && other >= 0 && setns(other, CLONE_NEWNET) == 0);
    fd = udp_open(&(struct endpoint){addr_v4(ip), 4500}, &error);
    cr_assert(setns(own, CLONE_NEWNET) == 0 && fd >= 0, "%s", error.text);
    (void)close(own);
    (void)close(other);
    return fd;
}

static bool start(struct world *w, int id, bool guarded)
{
    struct node *n = &w->node[id];
    int pair[2];
    char byte;

    cr_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    if (n->control > 0)
        (void)close(n->control);
    n->acting = false;
    n->daemon = ns_fork(n->holder);
    if (n->daemon == 0) {
        (void)close(pair[0]);
        run_daemon(id, pair[1], guarded);
    }
    (void)close(pair[1]);
    n->control = pair[0];
    return recv(n->control, &byte, 1, 0) == 1;
}

void node_start(struct world *w, int id, bool guarded)
{
    cr_assert(start(w, id, guarded), "node %d did not start", id);
}

bool node_try(struct world *w, int id)
{
    return start(w, id, true);
}

void node_activate(struct world *w, int id)
{
    struct message m = {'A', io_boottime_ns()};

    w->node[id].acting = true;
    cr_assert(send(w->node[id].control, &m, sizeof m, 0) == (ssize_t)sizeof m);
}

void node_kill(struct world *w, int id, int signal_number)
{
    int status;

    w->node[id].acting = false;
    cr_assert(kill(w->node[id].daemon, signal_number) == 0);
    if (signal_number == SIGKILL)
        cr_assert(waitpid(w->node[id].daemon, &status, 0) == w->node[id].daemon);
}

void world_init(struct world *w, bool guarded)
{
    struct sockaddr_ll all = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};

    memset(w, 0, sizeof *w);
    ns_own();
    ns_run(0, "ip link add name swo type bridge");
    ns_run(0, "ip link add name swi type bridge");
    ns_run(0, "ip link set swo up");
    ns_run(0, "ip link set swi up");
    for (int id = 1; id <= 2; id++) {
        char port[24], mac[48], address[48];

        w->node[id] = (struct node){.id = id, .holder = ns_create()};
        for (int side = 1; side <= 2; side++) {
            (void)snprintf(port, sizeof port, "p%d%d", id, side);
            (void)snprintf(mac, sizeof mac, "02:00:00:00:%02x:%02x", id, side);
            (void)snprintf(address, sizeof address, "10.77.%d.%d/24", side, id);
            cable(w->node[id].holder, side == 1 ? "swo" : "swi", port, side == 1 ? "out0" : "in0",
                  mac, address);
        }
        if (guarded)
            install_guard(w->node[id].holder);
        else /* what a router has anyway */
            ns_run(w->node[id].holder, "sysctl -q -w net.ipv4.ip_forward=1");
    }
    w->client_ns = ns_create();
    w->server_ns = ns_create();
    cable(w->client_ns, "swo", "pc", "out0", "02:00:00:00:0c:01", "10.77.1.50/24");
    cable(w->server_ns, "swi", "ps", "in0", "02:00:00:00:0d:02", "10.77.2.10/24");
    ns_run(w->server_ns, "ip route add 10.99.0.0/24 via 10.77.2.100");
    w->client = socket_in(w->client_ns, CLIENT);
    w->server = socket_in(w->server_ns, SERVER);
    w->capture = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
    cr_assert(w->capture >= 0 && bind(w->capture, (struct sockaddr *)&all, sizeof all) == 0);
    node_start(w, 1, guarded);
    node_start(w, 2, guarded);
}

static void end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

void world_deinit(struct world *w)
{
    for (int id = 1; id <= 2; id++) {
        end(w->node[id].daemon);
        end(w->node[id].holder);
    }
    end(w->client_ns);
    end(w->server_ns);
}

static void classify(struct world *w, const uint8_t *f, size_t n)
{
    bool outside = f[11] == 1; /* the last byte of the nodes' addresses says which side */
    uint32_t source, destination;

    if (get_be16(f + 12) == ETH_P_ARP && n >= 42) {
        source = get_be32(f + 28);
        w->arp_for_vip += source == VIP || source == INSIDE;
    }
    if (get_be16(f + 12) != ETH_P_IP || n < 34)
        return;
    source = get_be32(f + 26);
    destination = get_be32(f + 30);
    w->ipv4++;
    w->icmp += f[23] == 1;
    w->plaintext_outside +=
        outside && ((source & 0xffffff00) == POOL || (destination & 0xffffff00) == POOL);
}

static void look_at_capture(struct world *w)
{
    uint8_t f[2048] = {0};
    struct sockaddr_ll from = {0};
    socklen_t len = sizeof from;
    ssize_t n;

    while ((n = recvfrom(w->capture, f, sizeof f, 0, (struct sockaddr *)&from, &len)) > 0) {
        len = sizeof from;
        /* Once, where it comes out of the node's cable: not again on the bridge and its other
         * ports. */
        if (n >= 14 && from.sll_pkttype != PACKET_OUTGOING && f[6] == 2 && f[10] == w->watched &&
            w->watched != 0)
            classify(w, f, (size_t)n);
    }
}

void world_watch(struct world *w, int id)
{
    w->watched = 0;
    look_at_capture(w);
    w->watched = id;
    w->arp_for_vip = w->icmp = w->plaintext_outside = w->ipv4 = 0;
}

static void collect(int fd, uint64_t answers[3])
{
    struct endpoint peer, local;
    uint8_t buf[2048];
    size_t len;

    for (;;) {
        enum udp_result r = udp_recv(fd, buf, sizeof buf, &len, &peer, &local);

        if (r == UDP_AGAIN)
            return;
        if (r == UDP_OK && len > 0 && buf[len - 1] >= 1 && buf[len - 1] <= 2)
            answers[buf[len - 1]]++;
    }
}

void world_turn(struct world *w)
{
    struct endpoint vip = {addr_v4(VIP), 4500}, inner = {addr_v4(POOL + 5), 4500};
    struct ip_addr none = {.family = ADDR_NONE};
    struct pollfd p[3] = {{w->client, POLLIN, 0}, {w->server, POLLIN, 0}, {w->capture, POLLIN, 0}};
    uint64_t end_ns = io_monotonic_ns() + 2000000;
    uint8_t number[9] = {0};
    struct span part = span_of(number, sizeof number);

    put_be64(number, w->sent++);
    /* A packet that cannot be sent (no neighbour yet) is a lost one. */
    (void)!udp_send(w->client, &none, &vip, &part, 1);
    (void)!udp_send(w->server, &none, &inner, &part, 1);
    for (int id = 1; id <= 2; id++) {
        struct message m = {'H', io_boottime_ns()};

        if (w->node[id].acting)
            (void)send(w->node[id].control, &m, sizeof m, MSG_DONTWAIT);
    }
    while (io_monotonic_ns() < end_ns) {
        (void)poll(p, 3, 1);
        collect(w->client, w->to_client);
        collect(w->server, w->to_server);
        look_at_capture(w);
    }
}
