#include "link.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ns.h"

bool link_may_answer(void *self, uint32_t shard)
{
    const struct link *l = self;

    return l->may && shard == 7;
}

/* What an interface sends that is up is lost, without an error, until the kernel has activated its
 * queue: on a loaded machine that comes late. */
static void await_queue(const char *name)
{
    char command[64], text[512];

    (void)snprintf(command, sizeof command, "ip -o link show %s", name);
    do
        cr_assert(ns_output(0, text, sizeof text, command));
    while (strstr(text, " qdisc noop ") != NULL || strstr(text, " state UP ") == NULL);
}

void link_open(struct link *l, const struct arp_address *addresses, size_t n, uint16_t protocol)
{
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol)};
    struct io_error error;

    ns_own();
    ns_run(0, "ip link add name out0 address 02:00:00:00:01:01 type veth peer name far0 address "
              "02:00:00:00:0c:01");
    ns_run(0, "ip link set out0 up");
    ns_run(0, "ip link set far0 up");
    await_queue("out0");
    await_queue("far0");
    memset(l, 0, sizeof *l);
    cr_assert(uv_loop_init(&l->loop) == 0);
    l->may = true;
    l->arp = arp_open(&l->loop, addresses, n, link_may_answer, l, &error);
    cr_assert(l->arp != NULL, "%s", error.text);
    l->far = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(protocol));
    at.sll_ifindex = (int)if_nametoindex("far0");
    cr_assert(bind(l->far, (const struct sockaddr *)&at, sizeof at) == 0);
}

void link_close(struct link *l)
{
    arp_close(l->arp, NULL, NULL);
    (void)uv_run(&l->loop, UV_RUN_DEFAULT);
    cr_assert(uv_loop_close(&l->loop) == 0);
    (void)close(l->far);
}

size_t link_take(const struct link *l, bool awaited, uint8_t *frame, size_t size)
{
    struct pollfd far = {.fd = l->far, .events = POLLIN};
    struct sockaddr_ll from;
    ssize_t n;

    do {
        socklen_t len = sizeof from;

        from = (struct sockaddr_ll){0};
        if (awaited && poll(&far, 1, 10000) != 1)
            return 0;
        n = recvfrom(l->far, frame, size, 0, (struct sockaddr *)&from, &len);
        if (n <= 0)
            return 0;
    } while (from.sll_pkttype == PACKET_OUTGOING);
    return (size_t)n;
}

struct arp_counters link_counters(const struct link *l)
{
    struct arp_counters c;

    arp_get_counters(l->arp, &c);
    return c;
}
