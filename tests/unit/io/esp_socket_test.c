/* Raw ESP sockets on a loopback of their own: which worker gets what, both families. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/esp_socket.h"
#include "ns.h"

enum { WORKERS = 3, PACKETS = 60 };

static const uint8_t gateway6[16] = {0xfd, [15] = 1}, client6[16] = {0xfd, [15] = 2};

static struct ip_addr gateway_of(bool v6)
{
    return v6 ? addr_v6(gateway6) : addr_v4(0x7f000001);
}

static struct ip_addr client_of(bool v6)
{
    return v6 ? addr_v6(client6) : addr_v4(0x7f000002);
}

static int open_one(const struct ip_addr *ip, unsigned n, unsigned i)
{
    struct io_error error;
    int fd = esp_socket_open(ip, n, i, &error);

    cr_assert_geq(fd, 0, "%s", error.text);
    return fd;
}

/* `expected` packets are waited for (a busy loopback delivers late); how many there are. */
static unsigned take(int fd, unsigned index, const struct ip_addr *from, unsigned expected)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    struct endpoint peer;
    uint8_t buf[2048];
    struct span esp;
    unsigned n = 0;

    while (n >= expected || poll(&ready, 1, 10000) == 1) {
        if (esp_socket_recv(fd, buf, sizeof buf, &esp, &peer) != UDP_OK) {
            cr_assert(errno == EAGAIN);
            if (n >= expected)
                break;
            continue;
        }
        cr_assert_eq(esp.len, 24, "the IP header is taken off");
        cr_assert_eq(get_be32(esp.data) % WORKERS, index, "another worker's SPI");
        cr_assert_eq(esp.data[23], 0x5a);
        cr_assert(addr_equal(&peer.ip, from) && peer.port == 0);
        n++;
    }
    return n;
}

/* Each packet comes to one worker, by its SPI; a socket of another address gets nothing. */
Test(esp_socket, packets_go_to_the_worker_of_their_spi)
{
    unsigned compared = 0;

    ns_own();
    ns_run(0, "ip -6 addr add fd00::1/128 dev lo nodad");
    ns_run(0, "ip -6 addr add fd00::2/128 dev lo nodad");
    for (int v6 = 0; v6 < 2; v6++) {
        struct ip_addr gateway = gateway_of(v6 != 0), client = client_of(v6 != 0);
        int worker[WORKERS], sender = open_one(&client, 1, 0);
        uint8_t packet[24] = {[23] = 0x5a};

        for (unsigned i = 0; i < WORKERS; i++)
            worker[i] = open_one(&gateway, WORKERS, i);
        for (uint32_t i = 0; i < PACKETS; i++) {
            put_be32(packet, 0x80000100u + i);
            cr_assert_eq(esp_socket_send(sender, &gateway, span_of(packet, sizeof packet)), UDP_OK);
        }
        for (unsigned i = 0; i < WORKERS; i++) {
            unsigned n = take(worker[i], i, &client, PACKETS / WORKERS);

            cr_assert_eq(n, PACKETS / WORKERS, "worker %u got %u", i, n);
            compared += n;
            (void)close(worker[i]);
        }
        cr_assert_eq(take(sender, 0, &gateway, 0), 0);
        (void)close(sender);
    }
    printf("compared %u packets\n", compared);
    cr_assert_eq(compared, 2 * PACKETS);
}

/* Before the TUN there is no such address here: bound all the same. */
Test(esp_socket, the_address_may_come_later)
{
    static const uint8_t later[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 0x10};
    struct ip_addr v4 = addr_v4(0xc000020a), v6 = addr_v6(later);

    ns_own();
    (void)close(open_one(&v4, 1, 0));
    (void)close(open_one(&v6, 1, 0));
}
