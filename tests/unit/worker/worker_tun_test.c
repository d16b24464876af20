/* The worker with a real TUN: in a network namespace of its own, which goes with the test's
 * process. A UDP socket in it talks to the client's virtual address through the interface, as a
 * server behind the gateway would. */
#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/route.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

static struct rig rig;
static struct esp_sa client;

/* The virtual address is the client's; 10.77.2.10 is the server, an address of the interface itself
 * here. */
static const struct pair_options usual = {.spi = 0x2001, .virtual_ip = 0x0a630005};

enum { LONG_MS = 3600 * 1000, SOON_MS = 10000 };

static void up(int s, const char *name, uint32_t address)
{
    struct ifreq r = {0};
    struct sockaddr_in *a = (struct sockaddr_in *)(void *)&r.ifr_addr;

    (void)snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    if (address != 0) {
        a->sin_family = AF_INET;
        a->sin_addr.s_addr = htonl(address);
        cr_assert_eq(ioctl(s, SIOCSIFADDR, &r), 0, "address: %d", errno);
        a->sin_addr.s_addr = htonl(0xffffffff);
        cr_assert_eq(ioctl(s, SIOCSIFNETMASK, &r), 0);
    }
    cr_assert_eq(ioctl(s, SIOCGIFFLAGS, &r), 0);
    r.ifr_flags = (short)(r.ifr_flags | IFF_UP);
    cr_assert_eq(ioctl(s, SIOCSIFFLAGS, &r), 0);
}

static void route(int s, const char *name, uint32_t to)
{
    struct rtentry r = {0};
    struct sockaddr_in *a;

    a = (struct sockaddr_in *)(void *)&r.rt_dst;
    a->sin_family = AF_INET;
    a->sin_addr.s_addr = htonl(to);
    a = (struct sockaddr_in *)(void *)&r.rt_genmask;
    a->sin_family = AF_INET;
    a->sin_addr.s_addr = htonl(0xffffffff);
    r.rt_flags = RTF_UP | RTF_HOST;
    r.rt_dev = (char *)(uintptr_t)name;
    cr_assert_eq(ioctl(s, SIOCADDRT, &r), 0, "route: %d", errno);
}

static int open_tun(const char *name)
{
    struct ifreq r = {0};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return -1;
    (void)snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    r.ifr_flags = IFF_TUN | IFF_NO_PI;
    cr_assert_eq(ioctl(fd, TUNSETIFF, &r), 0, "TUNSETIFF: %d", errno);
    return fd;
}

Test(tun, packets_cross_a_real_interface, .timeout = 60)
{
    struct sockaddr_in here = {
        .sin_family = AF_INET, .sin_port = htons(2000), .sin_addr.s_addr = htonl(0x0a4d020a)};
    struct sockaddr_in there = {
        .sin_family = AF_INET, .sin_port = htons(1000), .sin_addr.s_addr = htonl(0x0a630005)};
    int tun, control, server;

    if (unshare(CLONE_NEWNET) != 0)
        cr_skip_test("no privilege for a network namespace");
    tun = open_tun("hfc-tun");
    if (tun < 0)
        cr_skip_test("no /dev/net/tun");
    control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    up(control, "lo", 0);
    up(control, "hfc-tun", 0x0a4d020a);
    route(control, "hfc-tun", 0x0a630005);
    rig_init(&rig, 1, &tun);
    (void)rig_sa(&rig, &usual, &client, 1 << 20, 1 << 20);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(server, (struct sockaddr *)&here, sizeof here), 0);
    for (uint32_t i = 1; i <= 100; i++) {
        struct pollfd p = {.fd = server, .events = POLLIN};
        struct sockaddr_in from = {0};
        socklen_t len = sizeof from;
        uint8_t b[512];
        uint64_t seq;
        ssize_t n;

        /* client -> server: the kernel takes it as UDP from the virtual address (checksum 0: none)
         */
        rig_up(&rig, &client, &usual, i);
        cr_assert_gt(poll(&p, 1, SOON_MS), 0, "packet %u did not arrive", i);
        n = recvfrom(server, b, sizeof b, 0, (struct sockaddr *)&from, &len);
        cr_assert_eq(n, 72);
        cr_assert_eq(get_be32(b), i);
        cr_assert(from.sin_addr.s_addr == there.sin_addr.s_addr && from.sin_port == there.sin_port);
        /* server -> client: what the kernel routed into the interface arrives sealed; it is not
         * pair_packet's layout */
        put_be32(b, i);
        cr_assert_eq(sendto(server, b, 72, 0, (struct sockaddr *)&there, sizeof there), 72);
        (void)rig_received(&rig, &client, &seq, SOON_MS);
        cr_assert_eq(seq, i);
    }
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_TUN_ERRORS), 0);
    esp_sa_deinit(&client);
    (void)close(server);
    (void)close(control);
    rig_deinit(&rig);
}
