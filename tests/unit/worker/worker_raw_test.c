/* ESP itself (protocol 50) in the workers, beside UDP: raw sockets on a loopback of the test's own. */
#include <criterion/criterion.h>
#include <linux/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/esp_socket.h"
#include "rig.h"

enum { GATEWAY = 0x7f000001, CLIENT = 0x7f000002, SOON_MS = 10000, LONG_MS = 3600 * 1000 };

static struct rig rig;
static struct esp_sa client;
static int raw; /* the client's */
static const struct pair_options usual = {.spi = 0x2001, .virtual_ip = 0x0a630005};

static void own_loopback(void)
{
    struct ifreq r = {.ifr_name = "lo"};
    int s;

    cr_assert_eq(unshare(CLONE_NEWNET), 0, "run it as root");
    s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(ioctl(s, SIOCGIFFLAGS, &r), 0);
    r.ifr_flags = (short)(r.ifr_flags | IFF_UP);
    cr_assert_eq(ioctl(s, SIOCSIFFLAGS, &r), 0);
    (void)close(s);
}

static struct esp_sa *begin(unsigned n_workers)
{
    const struct ip_addr at = addr_v4(CLIENT);
    struct io_error error;

    own_loopback();
    rig_init_raw(&rig, n_workers);
    raw = esp_socket_open(&at, 1, 0, &error);
    cr_assert_geq(raw, 0, "%s", error.text);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    return rig_sa_raw(&rig, &usual, &client, &at, 1000, 1000);
}

static void end(void)
{
    rig_deinit(&rig);
    (void)close(raw);
    esp_sa_deinit(&client);
}

static struct span sealed(uint8_t *out, size_t cap, uint32_t number)
{
    struct esp_turn t = {.now_ns = 1, .lease_epoch = PAIR_EPOCH};
    uint8_t plain[128];
    struct span p = pair_up(plain, 100, &usual, number);
    struct esp_out_result result;
    struct esp_inner inner;

    cr_assert(esp_inner_decode(p, &inner));
    cr_assert_eq(esp_outbound(&client, &t, &inner, p, out, cap, &result), ESP_DROP_NONE);
    return span_of(out, result.len);
}

static void send_raw(struct span packet)
{
    const struct ip_addr to = addr_v4(GATEWAY);

    cr_assert_eq(esp_socket_send(raw, &to, packet), UDP_OK);
}

static uint32_t received(int ms)
{
    struct pollfd p = {.fd = raw, .events = POLLIN};
    struct esp_turn t = {.now_ns = 1, .lease_epoch = PAIR_EPOCH};
    const struct ip_addr gateway = addr_v4(GATEWAY);
    uint8_t b[4096], plain[4096];
    struct esp_in_result result;
    struct endpoint from;
    struct span esp;

    if (poll(&p, 1, ms) <= 0)
        return UINT32_MAX;
    cr_assert_eq(esp_socket_recv(raw, b, sizeof b, &esp, &from), UDP_OK);
    cr_assert(addr_equal(&from.ip, &gateway), "from the service address");
    cr_assert_eq(esp_inbound(&client, &t, esp, &from, plain, sizeof plain, &result), ESP_DROP_NONE);
    return pair_number(span_of(plain, result.len));
}

static bool udp_is_silent(void)
{
    struct pollfd p = {.fd = rig.client, .events = POLLIN};

    return poll(&p, 1, 0) == 0;
}

Test(worker_raw, both_ways_and_nothing_in_udp)
{
    uint8_t b[256];

    (void)begin(1);
    for (uint32_t i = 1; i <= 200; i++) {
        send_raw(sealed(b, sizeof b, i));
        cr_assert_eq(rig_delivered(&rig, SOON_MS), i);
        rig_down(&rig, &usual, i, 0);
        cr_assert_eq(received(SOON_MS), i);
    }
    cr_assert(udp_is_silent());
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_RAW_PACKETS), 200);
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_RAW_ERRORS), 0);
    printf("compared 400 packets\n");
    end();
}

/* RFC 7296 2.23: what comes in UDP is taken too, and answered as the SA says. No path moves by it. */
Test(worker_raw, udp_is_taken_as_well_and_moves_nothing)
{
    uint8_t b[256];
    struct worker_event e;

    (void)begin(1);
    rig_send(&rig, sealed(b, sizeof b, 1));
    cr_assert_eq(rig_delivered(&rig, SOON_MS), 1);
    rig_down(&rig, &usual, 2, 0);
    cr_assert_eq(received(SOON_MS), 2);
    rig_wait_passed(&rig, worker_pool_pass(rig.pool));
    while (worker_pool_events(rig.pool, &e, 1) == 1)
        cr_assert_eq(e.events & ESP_EVENT_PEER_MOVED, 0);
    end();
}

/* Several workers: the SPI says whose it is before anybody reads it. */
Test(worker_raw, each_packet_comes_to_its_worker)
{
    uint8_t b[256];

    (void)begin(3);
    for (uint32_t i = 1; i <= 100; i++) {
        send_raw(sealed(b, sizeof b, i));
        cr_assert_eq(rig_delivered(&rig, SOON_MS), i);
    }
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_RAW_PACKETS), 100, "read once each");
    cr_assert_eq(worker_pool_counter(rig.pool, WORKER_HANDED_OVER), 0);
    end();
}

/* No lease: nothing is taken, nothing leaves. An unknown SPI is counted and not answered. */
Test(worker_raw, without_a_lease_it_is_silent)
{
    uint8_t b[256];
    struct span packet;

    (void)begin(1);
    packet = sealed(b, sizeof b, 1);
    put_be32(b, 0x7777);
    send_raw(packet);
    rig_wait_counter(&rig, WORKER_RAW_UNKNOWN_SPI, 1);
    rig_no_lease(&rig);
    send_raw(sealed(b, sizeof b, 2));
    rig_wait_counter(&rig, WORKER_IN_NO_LEASE, 1);
    rig_down(&rig, &usual, 3, 0);
    rig_wait_counter(&rig, WORKER_OUT_NO_LEASE, 1);
    rig_wait_passed(&rig, worker_pool_pass(rig.pool));
    cr_assert_eq(received(0), UINT32_MAX, "it spoke");
    cr_assert_eq(rig_delivered(&rig, 0), UINT32_MAX);
    rig_lease(&rig, PAIR_EPOCH, LONG_MS);
    send_raw(sealed(b, sizeof b, 4));
    cr_assert_eq(rig_delivered(&rig, SOON_MS), 4);
    end();
}
