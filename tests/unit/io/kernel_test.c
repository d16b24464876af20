/* UDP, TUN and netlink against the kernel, each in a namespace of its own. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/arp.h"
#include "io/netlink.h"
#include "io/tun.h"
#include "io/udp.h"
#include "ns.h"

enum { VIP = 0x0a4d0164, OTHER = 0x0a4d0132 };

static struct endpoint at(uint32_t ip, uint16_t port)
{
    return (struct endpoint){.ip = addr_v4(ip), .port = port};
}

static int must_bind(struct endpoint e)
{
    struct io_error error;
    int fd = udp_open(&e, &error);

    cr_assert(fd >= 0, "%s", error.text);
    return fd;
}

static void wait_readable(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};

    cr_assert(poll(&p, 1, 5000) == 1, "nothing came");
}

Test(udp, binds_before_the_address_is_there_and_tells_both_ends)
{
    struct io_error error;
    struct endpoint e = at(VIP, UDP_NAT_PORT), peer, local;
    struct span parts[2] = {span_of("ab", 2), span_of("cde", 3)};
    uint8_t buf[64];
    size_t len;
    int fd, client;

    ns_own();
    cr_assert(udp_port_free(&e, &error), "%s", error.text);
    fd = must_bind(e);
    client = must_bind(at(OTHER, 9999));
    cr_assert(udp_recv(fd, buf, sizeof buf, &len, &peer, &local) == UDP_AGAIN);
    ns_run(0, "ip addr add 10.77.1.100/32 dev lo");
    ns_run(0, "ip addr add 10.77.1.50/32 dev lo");
    e = at(VIP, UDP_NAT_PORT);
    cr_assert(udp_send(client, &(struct ip_addr){.family = ADDR_NONE}, &e, parts, 2) == UDP_OK);
    wait_readable(fd);
    cr_assert(udp_recv(fd, buf, sizeof buf, &len, &peer, &local) == UDP_OK);
    cr_assert(len == 5 && memcmp(buf, "abcde", 5) == 0);
    e = at(OTHER, 9999);
    cr_assert(endpoint_equal(&peer, &e));
    e = at(VIP, UDP_NAT_PORT);
    cr_assert(endpoint_equal(&local, &e));
    /* And back, from the service address. */
    cr_assert(udp_send(fd, &local.ip, &peer, parts, 1) == UDP_OK);
    wait_readable(client);
    cr_assert(udp_recv(client, buf, 1, &len, &peer, &local) == UDP_TRUNCATED);
    cr_assert(udp_recv(client, buf, sizeof buf, &len, &peer, &local) == UDP_AGAIN);
    cr_assert(udp_dropped(fd) == 0);
    (void)close(fd);
    (void)close(client);
}

Test(udp, a_port_in_use_and_a_second_daemon_are_named)
{
    struct io_error error;
    struct endpoint e = at(VIP, UDP_IKE_PORT);
    int first, second;

    ns_own();
    first = must_bind(e);
    second = must_bind(e); /* a second worker: shared */
    cr_assert(!udp_port_free(&e, &error));
    cr_assert(error.code == EADDRINUSE && strstr(error.text, "10.77.1.100 port 500") != NULL, "%s",
              error.text);
    (void)close(first);
    (void)close(second);
    cr_assert(udp_port_free(&e, &error));
    /* Another program's socket, on all addresses. */
    first = socket(AF_INET, SOCK_DGRAM, 0);
    cr_assert(bind(first,
                   (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET,
                                                            .sin_port = htons(500)},
                   sizeof(struct sockaddr_in)) == 0);
    cr_assert(udp_open(&e, &error) < 0 && strstr(error.text, "another program has the port"), "%s",
              error.text);
    (void)close(first);
}

static void open_tun(struct tun *t, bool multi_queue)
{
    struct io_error error;

    cr_assert(tun_open(t, "hf0", multi_queue, &error), "%s", error.text);
}

struct seen {
    struct netlink_prefix wanted;
    bool found;
};

static void see(void *self, const struct netlink_prefix *dst)
{
    struct seen *s = self;

    s->found = s->found || (dst->length == s->wanted.length && addr_equal(&dst->ip, &s->wanted.ip));
}

static bool blackhole(struct netlink *n, const struct netlink_prefix *dst)
{
    struct seen s = {.wanted = *dst};
    struct io_error error;

    cr_assert(netlink_blackhole_each(n, dst->ip.family, see, &s, &error), "%s", error.text);
    return s.found;
}

static bool exists(struct netlink *n, const char *name)
{
    struct netlink_link link;
    struct io_error error;

    return netlink_link_get(n, name, &link, &error);
}

Test(tun, carries_packets_and_vanishes_with_its_descriptor)
{
    struct netlink_prefix vip = {addr_v4(VIP), 32}, pool = {addr_v4(0x0a630000), 24};
    struct io_error error;
    struct netlink *n;
    struct tun t, again;
    uint8_t packet[2048];
    ssize_t got;
    int fd, queue;

    ns_own();
    n = netlink_open(&error);
    open_tun(&t, true);
    cr_assert(t.ifindex > 0 && (fcntl(t.fd, F_GETFD) & FD_CLOEXEC) != 0);
    cr_assert(!tun_open(&again, "hf0", false, &error) && strstr(error.text, "hf0") != NULL, "%s",
              error.text);
    queue = tun_open_queue(&t, &error);
    cr_assert(queue >= 0, "%s", error.text);
    cr_assert(netlink_link_set_mtu(n, "hf0", TUN_MTU, &error) &&
                  netlink_link_set_up(n, "hf0", true, &error) &&
                  netlink_addr_add(n, "hf0", &vip, &error) &&
                  netlink_addr_add(n, "hf0", &vip, &error) &&
                  netlink_route_add(n, &pool, "hf0", &error),
              "%s", error.text);
    /* Another route to it may lead elsewhere: never taken for ours. */
    cr_assert(!netlink_route_add(n, &pool, "hf0", &error));
    cr_assert(error.code == EEXIST && strstr(error.text, "10.99.0.0/24") != NULL &&
                  strstr(error.text, "remove") != NULL,
              "%s", error.text);
    (void)close(queue);
    /* Out: a datagram to the pool comes to us as an IP packet. */
    fd = must_bind(at(VIP, 7777));
    cr_assert(udp_send(fd, &vip.ip, &(struct endpoint){addr_v4(0x0a630007), 5},
                       &(struct span){(const uint8_t *)"x", 1}, 1) == UDP_OK);
    do {
        wait_readable(t.fd);
        got = read(t.fd, packet, sizeof packet);
    } while (got > 0 && packet[0] >> 4 != 4); /* the kernel's own IPv6 chatter apart */
    cr_assert(got == 29 && packet[9] == 17 && get_be32(packet + 16) == 0x0a630007);
    /* In: the answer, with the addresses turned; no checksum (zero is allowed). */
    put_be32(packet + 12, 0x0a630007);
    put_be32(packet + 16, VIP);
    put_be16(packet + 20, 5);
    put_be16(packet + 22, 7777);
    put_be16(packet + 26, 0);
    cr_assert(write(t.fd, packet, 29) == 29);
    wait_readable(fd);
    (void)close(fd);
    cr_assert(exists(n, "hf0"));
    tun_close(&t);
    cr_assert(!exists(n, "hf0"), "a TUN of a closed descriptor is still there");
    netlink_close(n);
}

/* As in a service's sandbox, where /proc/sys is read-only. */
Test(tun, forwards_and_makes_up_no_address_without_writing_to_proc)
{
    struct io_error error;
    struct tun t;

    ns_own();
    cr_assert(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    cr_assert(mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL) == 0 &&
              mount(NULL, "/proc/sys", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0);
    cr_assert(open("/proc/sys/net/ipv4/conf/lo/forwarding", O_WRONLY | O_CLOEXEC) < 0 &&
              errno == EROFS);
    cr_assert(tun_open(&t, "hf0", false, &error), "%s", error.text);
    cr_assert(read_setting("/proc/sys/net/ipv4/conf/hf0/forwarding") == '1');
    cr_assert(read_setting("/proc/sys/net/ipv6/conf/hf0/addr_gen_mode") == '1');
    tun_close(&t);
}

Test(tun, no_device_is_named)
{
    struct io_error error;
    struct tun t;

    ns_own();
    cr_assert(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    cr_assert(mount("none", "/dev/net", "tmpfs", 0, NULL) == 0);
    cr_assert(!tun_open(&t, "hf0", false, &error));
    cr_assert(error.code == ENOENT && strstr(error.text, "/dev/net/tun") &&
                  strstr(error.text, "module tun"),
              "%s", error.text);
}

static bool never(void *self, uint32_t shard)
{
    (void)self;
    (void)shard;
    return false;
}

Test(privilege, is_named_when_it_lacks)
{
    struct arp_address a = {addr_v4(VIP), "lo", 1};
    struct netlink_prefix pool = {addr_v4(0x0a630000), 24};
    struct endpoint e = at(VIP, UDP_IKE_PORT);
    struct io_error error = {.text = ""};
    int status;
    pid_t pid;

    ns_own();
    pid = ns_fork(0);
    if (pid == 0) {
        uv_loop_t loop;
        struct netlink *n;
        struct tun t;

        if (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0 ||
            uv_loop_init(&loop) != 0)
            _exit(9);
        if (udp_open(&e, &error) >= 0 || strstr(error.text, "no privilege") == NULL)
            _exit(1);
        if (tun_open(&t, "hf0", false, &error) || strstr(error.text, "CAP_NET_ADMIN") == NULL)
            _exit(2);
        if (arp_open(&loop, &a, 1, never, NULL, &error) != NULL ||
            strstr(error.text, "CAP_NET_RAW") == NULL)
            _exit(3);
        n = netlink_open(&error);
        if (n == NULL || netlink_blackhole_add(n, &pool, &error) ||
            strstr(error.text, "CAP_NET_ADMIN") == NULL)
            _exit(4);
        _exit(0);
    }
    cr_assert(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0,
              "status %x", status);
}

Test(netlink, links_addresses_and_routes)
{
    struct netlink_prefix a = {addr_v4(VIP), 32}, pool = {addr_v4(0x0a630000), 24};
    struct netlink_prefix six = {{.family = ADDR_V6, .bytes = {0x20, 1, 0xd, 0xb8, [15] = 1}}, 128};
    struct netlink_link link;
    struct io_error error;
    struct netlink *n;
    char text[2000];

    ns_own();
    ns_run(0, "ip link add out0 type veth peer name in0");
    n = netlink_open(&error);
    cr_assert(netlink_link_get(n, "out0", &link, &error), "%s", error.text);
    cr_assert(!link.up && !link.running && !link.loopback && strcmp(link.name, "out0") == 0);
    cr_assert(netlink_link_get(n, "lo", &link, &error) && link.loopback && link.up);
    cr_assert(!netlink_link_get(n, "nope0", &link, &error) && strstr(error.text, "nope0"));
    cr_assert(netlink_link_set_up(n, "out0", true, &error) &&
              netlink_link_set_up(n, "in0", true, &error));
    cr_assert(netlink_link_set_mtu(n, "out0", 1300, &error));
    cr_assert(netlink_link_get(n, "out0", &link, &error) && link.up && link.mtu == 1300);
    cr_assert(netlink_addr_add(n, "out0", &a, &error) && netlink_addr_add(n, "out0", &six, &error),
              "%s", error.text);
    cr_assert(ns_output(0, text, sizeof text, "ip addr show dev out0"));
    cr_assert(strstr(text, "10.77.1.100/32") && strstr(text, "2001:db8::1/128 scope global nodad"));
    cr_assert(netlink_addr_del(n, "out0", &a, &error) && netlink_addr_del(n, "out0", &a, &error),
              "%s", error.text);
    cr_assert(netlink_route_add(n, &pool, "out0", &error), "%s", error.text);
    cr_assert(!blackhole(n, &pool));
    cr_assert(netlink_blackhole_add(n, &pool, &error) && netlink_blackhole_add(n, &pool, &error),
              "%s", error.text);
    cr_assert(blackhole(n, &pool));
    cr_assert(ns_output(0, text, sizeof text, "ip route get 10.99.0.9") &&
              strstr(text, "dev out0"));
    cr_assert(netlink_route_del(n, &pool, "out0", &error) &&
                  netlink_route_del(n, &pool, "out0", &error),
              "%s", error.text);
    cr_assert(!ns_output(0, text, sizeof text, "ip route get 10.99.0.9"),
              "the blackhole does not hold");
    cr_assert(netlink_blackhole_del(n, &pool, &error) && netlink_blackhole_del(n, &pool, &error));
    cr_assert(!blackhole(n, &pool));
    cr_assert(netlink_all_links_down(n) == 0);
    cr_assert(netlink_link_get(n, "out0", &link, &error) && !link.up);
    cr_assert(netlink_link_get(n, "in0", &link, &error) && !link.up);
    cr_assert(netlink_link_get(n, "lo", &link, &error) && link.up);
    netlink_close(n);
}

/* Another's routes and addresses are found, whatever way they were written. */
Test(netlink, what_stands_already_is_found)
{
    static const struct {
        const char *add, *found; /* "" : not found */
    } rows[] = {
        {"ip route add 10.99.0.0/24 dev out0", "10.99.0.0/24"},
        {"ip route add 10.99.0.128/25 dev out0 metric 9", "10.99.0.128/25"},
        {"ip route add 10.99.0.7 via 10.77.1.9", "10.99.0.7/32"},
        {"ip addr add 10.99.0.65/26 dev out0", "10.99.0.64/26"},
        {"ip route add 10.98.255.0/24 dev out0", ""},
        {"ip route add 10.99.1.0/24 dev out0", ""},
        {"ip route add 10.99.0.0/23 dev out0", ""}, /* ours is longer: it wins */
        {"ip route add 10.99.0.0/24 dev out0 table 7", ""},
        {"ip route add blackhole 10.99.0.0/25 metric 9", ""}, /* nothing leaks by it */
    };
    struct netlink_prefix pool = {addr_v4(0x0a630000), 24}, found;
    struct netlink_prefix pool6 = {{.family = ADDR_V6, .bytes = {0x20, 0x01, 0x0d, 0xb8, 0, 0x99}},
                                   60};
    char name[16], text[64];
    struct io_error error;
    struct netlink *n;

    ns_own();
    n = netlink_open(&error);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ns_run(0, "ip link add out0 type veth peer name in0");
        ns_run(0, "ip link set out0 up");
        ns_run(0, "ip link set in0 up");
        ns_run(0, "ip addr add 10.77.1.1/24 dev out0");
        ns_run(0, "%s", rows[i].add);
        cr_assert(netlink_route_find(n, &pool, &found, name, &error), "%s", error.text);
        cr_assert(strcmp(found.ip.family == ADDR_NONE ? "" : netlink_prefix_text(&found, text),
                         rows[i].found) == 0,
                  "%s", rows[i].add);
        cr_assert(rows[i].found[0] == '\0' || strcmp(name, "out0") == 0, "%s", name);
        ns_run(0, "ip link del out0");
    }
    ns_run(0, "ip link add out0 type veth peer name in0");
    ns_run(0, "ip link set out0 up");
    ns_run(0, "ip -6 route add 2001:db8:99:f::/64 dev out0");
    cr_assert(netlink_route_find(n, &pool6, &found, name, &error), "%s", error.text);
    cr_assert_str_eq(netlink_prefix_text(&found, text), "2001:db8:99:f::/64");
    pool6.length = 61;
    cr_assert(netlink_route_find(n, &pool6, &found, name, &error), "%s", error.text);
    cr_assert(found.ip.family == ADDR_NONE);
    cr_assert(netlink_addr_find(n, &pool.ip, name, &error) && name[0] == '\0');
    ns_run(0, "ip addr add 10.99.0.0 peer 10.77.3.1 dev out0");
    cr_assert(netlink_addr_find(n, &pool.ip, name, &error) && strcmp(name, "out0") == 0);
    pool.ip = addr_v4(0x0a4d0301);
    cr_assert(netlink_addr_find(n, &pool.ip, name, &error) && name[0] == '\0', "a peer's");
    cr_assert(netlink_addr_find(n, &pool6.ip, name, &error) && name[0] == '\0');
    ns_run(0, "ip addr add 2001:db8:99::/64 dev in0 nodad");
    cr_assert(netlink_addr_find(n, &pool6.ip, name, &error) && strcmp(name, "in0") == 0);
    netlink_close(n);
}

struct news {
    struct netlink_link last[2];
    int n;
};

static void on_link(void *self, const struct netlink_link *link)
{
    struct news *news = self;

    news->last[strcmp(link->name, "in0") == 0] = *link;
    news->n++;
}

Test(netlink, news_of_links_come_on_the_loop, .timeout = 20)
{
    static const char *const names[2] = {"out0", "in0"};
    struct news news = {.n = 0};
    struct netlink_watch *w;
    struct io_error error;
    uv_loop_t loop;

    ns_own();
    ns_run(0, "ip link add out0 type veth peer name in0");
    cr_assert(uv_loop_init(&loop) == 0);
    w = netlink_watch_open(&loop, names, 2, on_link, &news, &error);
    cr_assert(w != NULL && news.n == 2 && !news.last[0].up && news.last[0].ifindex > 0);
    ns_run(0, "ip link set out0 up");
    while (!news.last[0].up)
        (void)uv_run(&loop, UV_RUN_ONCE);
    cr_assert(!news.last[0].running, "no carrier while the peer is down");
    ns_run(0, "ip link set in0 up");
    while (!news.last[0].running || !news.last[1].running)
        (void)uv_run(&loop, UV_RUN_ONCE);
    ns_run(0, "ip link del out0");
    while (news.last[0].ifindex != 0 || news.last[1].ifindex != 0)
        (void)uv_run(&loop, UV_RUN_ONCE);
    ns_run(0, "ip link add out0 type veth peer name in0");
    while (news.last[0].ifindex == 0 || news.last[1].ifindex == 0)
        (void)uv_run(&loop, UV_RUN_ONCE);
    netlink_watch_close(w);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert(uv_loop_close(&loop) == 0);
}
