/* Who reaches a node's own addresses under the guard: nobody through the tunnel, by whichever node
 * it ends, and at the replication's port nobody but the nodes. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/guard.h"
#include "io/tun.h"
#include "io/udp.h"
#include "ns.h"

enum {
    VIP = 0x0a4d0164,
    OUTSIDE = 0x0a4d0101,
    NODE_1 = 0x0a4d0201,
    NODE_2 = 0x0a4d0202,
    SERVER = 0x0a4d020a,
    CLIENT = 0x0a4d0132,
    POOL = 0x0a630000,
    REPLICATION = 7400,
    SERVICE = 2222,
    REFUSED_MS = 300 /* a connection that is let through takes less than one */
};

/* Node 1 is this process's namespace. */
struct place {
    int home;
    pid_t client, inside; /* `inside` holds node 2 and the server */
    struct tun tun;
};

static void enter(pid_t holder)
{
    char path[64];
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%d/ns/net", (int)holder);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert(fd >= 0 && setns(fd, CLONE_NEWNET) == 0);
    (void)close(fd);
}

static void leave(const struct place *p)
{
    cr_assert(setns(p->home, CLONE_NEWNET) == 0);
}

static void place_init(struct place *p)
{
    struct netlink_prefix pool = {addr_v4(POOL), 24};
    struct netlink *n;
    struct io_error error;

    ns_own();
    p->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    p->client = ns_create();
    p->inside = ns_create();
    ns_run(0, "ip link add out0 type veth peer name eth0 netns %d", (int)p->client);
    ns_run(0, "ip link add in0 type veth peer name eth0 netns %d", (int)p->inside);
    ns_run(0, "ip addr add 10.77.1.1/24 dev out0");
    ns_run(0, "ip addr add 10.77.2.1/24 dev in0");
    ns_run(0, "ip link set out0 up");
    ns_run(0, "ip link set in0 up");
    ns_run(p->client, "ip addr add 10.77.1.50/24 dev eth0");
    ns_run(p->client, "ip link set eth0 up");
    ns_run(p->client, "ip route add 10.77.2.0/24 via 10.77.1.1");
    ns_run(p->inside, "ip addr add 10.77.2.2/24 dev eth0");
    ns_run(p->inside, "ip addr add 10.77.2.10/24 dev eth0");
    ns_run(p->inside, "ip link set eth0 up");
    ns_run(p->inside, "ip route add 10.99.0.0/24 via 10.77.2.1");
    n = netlink_open(&error);
    cr_assert(n != NULL && tun_open(&p->tun, "hf0", false, &error) &&
                  netlink_link_set_up(n, "hf0", true, &error) &&
                  netlink_route_add(n, &pool, "hf0", &error),
              "%s", error.text);
    netlink_close(n);
    write_file("/proc/sys/net/ipv4/conf/in0/forwarding", "1");
}

static void guard(bool cluster)
{
    struct ip_addr vips[2] = {addr_v4(VIP), addr_v4(0x0a4d0264)};
    struct netlink_prefix pool = {addr_v4(POOL), 24};
    struct ip_addr nodes[2] = {addr_v4(NODE_1), addr_v4(NODE_2)};
    struct guard_config c = {.outside = "out0",
                             .inside = "in0",
                             .tun = "hf0",
                             .addresses = vips,
                             .n_addresses = 2,
                             .pools = &pool,
                             .n_pools = 1};
    struct io_error error;

    if (cluster) {
        c.nodes = nodes;
        c.n_nodes = 2;
        c.replication = (struct endpoint){addr_v4(NODE_1), REPLICATION};
    }
    cr_assert(guard_install(&c, &error) && guard_verify(&c, &error), "%s", error.text);
}

static struct sockaddr_in sockaddr(uint32_t ip, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(ip), .sin_port = htons(port)};
}

static int listener(uint32_t ip, uint16_t port)
{
    struct sockaddr_in a = sockaddr(ip, port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 16) == 0);
    return fd;
}

/* From a place with an address of its own to node 1's inside address. */
static bool connects(const struct place *p, pid_t holder, uint32_t from, uint16_t port)
{
    struct sockaddr_in a = sockaddr(from, 0), to = sockaddr(NODE_1, port);
    struct pollfd polled = {.events = POLLOUT};
    socklen_t len = sizeof(int);
    int code = 1;

    enter(holder);
    polled.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert(polled.fd >= 0 && bind(polled.fd, (struct sockaddr *)&a, sizeof a) == 0);
    cr_assert(connect(polled.fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS);
    leave(p);
    if (poll(&polled, 1, REFUSED_MS) == 1)
        cr_assert(getsockopt(polled.fd, SOL_SOCKET, SO_ERROR, &code, &len) == 0);
    (void)close(polled.fd);
    return code == 0;
}

static int udp_at(const struct place *p, pid_t holder, uint32_t ip)
{
    struct io_error error;
    int fd;

    if (holder != 0)
        enter(holder);
    fd = udp_open(&(struct endpoint){addr_v4(ip), SERVICE}, &error);
    leave(p);
    cr_assert(fd >= 0, "%s", error.text);
    return fd;
}

static bool heard(int fd, int wait_ms)
{
    struct pollfd p = {fd, POLLIN, 0};
    char byte;

    return poll(&p, 1, wait_ms) == 1 && recv(fd, &byte, 1, 0) == 1;
}

/* A datagram as a client's, decrypted. */
static void through_the_tunnel(const struct place *p, uint32_t to)
{
    uint8_t m[29] = {0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17};
    uint32_t sum = 0;

    put_be32(m + 12, POOL + 5);
    put_be32(m + 16, to);
    for (size_t i = 0; i < 20; i += 2)
        sum += get_be16(m + i);
    sum = (sum & 0xffff) + (sum >> 16);
    put_be16(m + 10, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
    put_be16(m + 20, 4000);
    put_be16(m + 22, SERVICE);
    put_be16(m + 24, 9); /* no checksum: allowed with IPv4 */
    cr_assert(write(p->tun.fd, m, sizeof m) == (ssize_t)sizeof m);
}

Test(reach, without_the_guard_a_client_reaches_every_node)
{
    struct place p;
    int fd, peer;

    place_init(&p);
    fd = udp_at(&p, 0, NODE_1);
    peer = udp_at(&p, p.inside, NODE_2);
    through_the_tunnel(&p, NODE_1);
    cr_assert(heard(fd, 5000));
    through_the_tunnel(&p, NODE_2);
    cr_assert(heard(peer, 5000));
    fd = listener(NODE_1, REPLICATION);
    cr_assert(connects(&p, p.client, CLIENT, REPLICATION));
    cr_assert(connects(&p, p.inside, SERVER, REPLICATION));
}

Test(reach, nothing_from_the_tunnel_is_for_a_node)
{
    struct place p;
    int own, outside, peer, server;

    place_init(&p);
    guard(true);
    own = udp_at(&p, 0, NODE_1);
    outside = udp_at(&p, 0, OUTSIDE);
    peer = udp_at(&p, p.inside, NODE_2);
    server = udp_at(&p, p.inside, SERVER);
    through_the_tunnel(&p, NODE_1);
    through_the_tunnel(&p, OUTSIDE);
    through_the_tunnel(&p, NODE_2);
    through_the_tunnel(&p, SERVER); /* what the tunnel is for; after it the others would be here */
    cr_assert(heard(server, 5000), "the guard lets nothing through at all");
    cr_assert(!heard(own, 0) && !heard(outside, 0) && !heard(peer, 0));
    /* The same without a cluster: the node has addresses, if no peers. */
    guard(false);
    through_the_tunnel(&p, NODE_1);
    through_the_tunnel(&p, SERVER);
    cr_assert(heard(server, 5000) && !heard(own, 0));
}

/* A client's packet that another node let out comes in by the inside interface. */
Test(reach, a_pool_address_is_not_served_on_any_way)
{
    struct place p;
    int own, from_pool, from_server;

    place_init(&p);
    guard(true);
    own = udp_at(&p, 0, NODE_1);
    ns_run(p.inside, "ip addr add 10.99.0.5/32 dev eth0");
    from_pool = udp_at(&p, p.inside, POOL + 5);
    from_server = udp_at(&p, p.inside, SERVER);
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in to = sockaddr(NODE_1, SERVICE);
        int fd = i == 0 ? from_pool : from_server;

        cr_assert(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) == 1);
    }
    cr_assert(heard(own, 5000), "the server's came");
    cr_assert(!heard(own, 0), "and the pool's, too");
}

Test(reach, replication_is_for_nodes_alone)
{
    struct place p;

    place_init(&p);
    guard(true);
    (void)listener(NODE_1, REPLICATION);
    (void)listener(NODE_1, SERVICE);
    cr_assert(connects(&p, p.inside, NODE_2, REPLICATION));
    cr_assert(!connects(&p, p.inside, SERVER, REPLICATION));
    cr_assert(!connects(&p, p.client, CLIENT, REPLICATION));
    cr_assert(connects(&p, p.inside, SERVER, SERVICE), "other services are the operator's");
}
