/* ARP on a real link: what is answered, what is not, and when a move is announced. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/arp.h"
#include "io/arp_frame.h"
#include "io/clock.h"
#include "link.h"
#include "ns.h"

enum { VIP = 0x0a4d0164, SECOND = 0x0a4d0165, ASKER = 0x0a4d0132 };

static const uint8_t own_mac[6] = {2, 0, 0, 0, 1, 1};
static const uint8_t asker_mac[6] = {2, 0, 0, 0, 12, 1};

static void open_link(struct link *l)
{
    const struct arp_address addresses[2] = {{addr_v4(VIP), "out0", 7},
                                             {addr_v4(SECOND), "out0", 8}};

    link_open(l, addresses, 2, ETH_P_ARP);
}

static void ask(const struct link *l, uint32_t sender, uint32_t target)
{
    uint8_t f[ARP_FRAME_BYTES];

    arp_announcement_encode(target, asker_mac, f);
    put_be32(f + 28, sender);
    cr_assert(send(l->far, f, sizeof f, 0) == (ssize_t)sizeof f);
}

/* Asks until the question was not dropped for its age: on a busy machine this process may be the
 * late one. */
static void ask_in_time(const struct link *l, uint32_t sender, uint32_t target)
{
    struct arp_counters before, now;

    do {
        before = link_counters(l);
        ask(l, sender, target);
        do {
            (void)uv_run((uv_loop_t *)&l->loop, UV_RUN_ONCE);
            now = link_counters(l);
        } while (now.requests == before.requests);
    } while (now.aged > before.aged);
}

Test(arp, requests_and_probes_are_answered_while_it_may, .timeout = 30)
{
    struct link l;
    uint8_t f[ARP_FRAME_BYTES];

    open_link(&l);
    ask_in_time(&l, ASKER, VIP);
    cr_assert(link_take(&l, true, f, sizeof f) > 0 && get_be16(f + 20) == 2 &&
              memcmp(f, asker_mac, 6) == 0);
    cr_assert(memcmp(f + 22, own_mac, 6) == 0 && get_be32(f + 28) == VIP &&
              get_be32(f + 38) == ASKER);
    ask_in_time(&l, 0, VIP); /* someone wants this address for itself */
    cr_assert(link_take(&l, true, f, sizeof f) > 0 && get_be32(f + 28) == VIP &&
              get_be32(f + 38) == 0);
    l.may = false;
    ask_in_time(&l, ASKER, VIP);
    l.may = true;
    ask_in_time(&l, ASKER, SECOND); /* of a shard that may not */
    ask(&l, VIP, VIP);              /* another node announces our address: no answer to that */
    while (link_counters(&l).foreign < 1)
        (void)uv_run(&l.loop, UV_RUN_ONCE);
    cr_assert(link_take(&l, false, f, sizeof f) == 0, "an answer that may not be");
    cr_assert(link_counters(&l).answered == 2 && link_counters(&l).silent == 2);
    link_close(&l);
}

/* Frames that gathered while the process could not run: they are dropped though it may answer
 * again. */
Test(arp, aged_frames_are_dropped, .timeout = 30)
{
    struct link l;
    uint8_t f[ARP_FRAME_BYTES];
    uint64_t until;

    open_link(&l);
    for (int i = 0; i < 10; i++)
        ask(&l, ASKER, VIP);
    until = io_monotonic_ns() + (ARP_MAX_AGE_MS + 20) * 1000000ull;
    while (io_monotonic_ns() < until)
        (void)poll(NULL, 0, 5);
    while (link_counters(&l).requests < 10)
        (void)uv_run(&l.loop, UV_RUN_ONCE);
    cr_assert(link_counters(&l).aged == 10 && link_counters(&l).answered == 0 &&
              link_take(&l, false, f, sizeof f) == 0);
    link_close(&l);
}

/* At 0, 0.1, 0.5, 1 and 2 s; nothing at an instant at which it may not. */
Test(arp, a_move_is_announced_five_times, .timeout = 60)
{
    static const uint64_t due_ms[5] = {0, 100, 500, 1000, 2000};
    struct link l;
    uint8_t f[ARP_FRAME_BYTES];
    uint64_t began;

    open_link(&l);
    began = io_monotonic_ns();
    arp_announce(l.arp, 7);
    for (uint64_t i = 0; i < 5; i++) {
        while (link_counters(&l).announced < i + 1)
            (void)uv_run(&l.loop, UV_RUN_ONCE);
        cr_assert((io_monotonic_ns() - began) / 1000000 + 3 >= due_ms[i], "number %d came early",
                  (int)i);
        cr_assert(link_take(&l, true, f, sizeof f) > 0 && get_be16(f + 20) == 1 &&
                  get_be32(f + 28) == VIP && get_be32(f + 38) == VIP && f[0] == 0xff);
    }
    cr_assert(link_take(&l, false, f, sizeof f) == 0 && link_counters(&l).announced == 5);
    /* A new move begins the series anew; whoever lost the right on the way announces no more. */
    arp_announce(l.arp, 7);
    cr_assert(link_counters(&l).announced == 6);
    l.may = false;
    (void)uv_run(&l.loop, UV_RUN_ONCE);
    (void)uv_run(&l.loop, UV_RUN_ONCE);
    cr_assert(link_counters(&l).announced == 6);
    arp_announce(l.arp, 9); /* no such shard */
    cr_assert(link_counters(&l).announced == 6 && link_counters(&l).send_failed == 0);
    link_close(&l);
}

Test(arp, a_missing_interface_is_named)
{
    struct arp_address address = {addr_v4(VIP), "nowhere0", 7};
    struct io_error error;
    uv_loop_t loop;

    ns_own();
    cr_assert(uv_loop_init(&loop) == 0);
    cr_assert(arp_open(&loop, &address, 1, link_may_answer, NULL, &error) == NULL);
    cr_assert(strstr(error.text, "nowhere0") != NULL, "%s", error.text);
    cr_assert(uv_loop_close(&loop) == 0);
}
