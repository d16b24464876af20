/* Neighbour discovery: its frames and filter, and on a real link whose kernel asks. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/arp.h"
#include "io/entropy.h"
#include "io/nd_frame.h"
#include "link.h"
#include "ns.h"

static const uint8_t vip[16] = {0x20, 0x01, 0x0d, 0xb8, [13] = 0xab, [14] = 0xcd, [15] = 0x10};
static const uint8_t second[16] = {0x20, 0x01, 0x0d, 0xb8, [13] = 0xab, [14] = 0xcd, [15] = 0x11};
static const uint8_t asker[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 0x32};
static const uint8_t own_mac[6] = {2, 0, 0, 0, 1, 1};
static const uint8_t asker_mac[6] = {2, 0, 0, 0, 12, 1};

/* The sum of RFC 4443 2.3, written a second time. */
static void seal(uint8_t *f, size_t icmp)
{
    uint64_t sum = 58 + icmp;

    f[56] = f[57] = 0;
    for (size_t i = 22; i < 54 + icmp; i++)
        sum += i % 2 == 0 ? (uint64_t)f[i] << 8 : f[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    put_be16(f + 56, (uint16_t)~sum);
}

/* A solicitation; source NULL: a probe for a duplicate. Returns its length. */
static size_t solicit(uint8_t f[ND_FRAME_BYTES], const uint8_t *source, const uint8_t target[16])
{
    struct ip_addr to = addr_v6(target), group = nd_group(&to);
    size_t icmp = source != NULL ? 32 : 24;

    memset(f, 0, ND_FRAME_BYTES);
    memcpy(f, (const uint8_t[6]){0x33, 0x33, 0xff, target[13], target[14], target[15]}, 6);
    memcpy(f + 6, asker_mac, 6);
    put_be16(f + 12, ETH_P_IPV6);
    f[14] = 0x60;
    put_be16(f + 18, (uint16_t)icmp);
    f[20] = 58;
    f[21] = 255;
    if (source != NULL)
        memcpy(f + 22, source, 16);
    memcpy(f + 38, group.bytes, 16);
    f[54] = 135;
    memcpy(f + 62, target, 16);
    f[78] = 1;
    f[79] = 1;
    memcpy(f + 80, asker_mac, 6);
    seal(f, icmp);
    return 54 + icmp;
}

Test(nd_frame, an_answer_is_solicited_overrides_and_goes_to_who_asked)
{
    uint8_t f[ND_FRAME_BYTES];
    const struct ip_addr target = addr_v6(vip);
    struct nd_message asked, m;
    size_t n = solicit(f, asker, vip);

    cr_assert(nd_decode(span_of(f, n), &asked));
    cr_assert(!asked.advertisement && addr_equal(&asked.target, &target) &&
              memcmp(asked.mac, asker_mac, 6) == 0);
    nd_advertisement_encode(&target, own_mac, &asked, f);
    cr_assert(nd_decode(span_of(f, sizeof f), &m), "our own frame, checksum included");
    cr_assert(m.advertisement && addr_equal(&m.target, &target) && memcmp(m.mac, own_mac, 6) == 0);
    cr_assert(memcmp(f, asker_mac, 6) == 0 && memcmp(f + 38, asker, 16) == 0);
    cr_assert_eq(f[58], 0xe0, "router, solicited, override");
}

/* RFC 4861 7.2.4, 7.2.6: to all nodes, not solicited, override. */
Test(nd_frame, a_probe_and_a_move_are_answered_to_all)
{
    static const uint8_t all[6] = {0x33, 0x33, 0, 0, 0, 1};
    const struct ip_addr target = addr_v6(vip);
    uint8_t f[ND_FRAME_BYTES], g[ND_FRAME_BYTES];
    struct nd_message asked;

    cr_assert(nd_decode(span_of(f, solicit(f, NULL, vip)), &asked));
    nd_advertisement_encode(&target, own_mac, &asked, f);
    nd_advertisement_encode(&target, own_mac, NULL, g);
    cr_assert_eq(memcmp(f, g, sizeof f), 0);
    cr_assert(memcmp(f, all, 6) == 0 && f[38] == 0xff && f[39] == 2 && f[53] == 1);
    cr_assert_eq(f[58], 0xa0);
}

/* RFC 4861 7.1.1: each reason to discard, with a checksum that holds. */
Test(nd_frame, what_must_be_discarded_is)
{
    static const struct {
        size_t at;
        uint8_t value;
        const char *what;
    } rows[] = {{13, 0, "another protocol"},
                {14, 0x40, "another version"},
                {20, 17, "not ICMPv6"},
                {21, 254, "came over a router"},
                {54, 134, "another message"},
                {55, 1, "a code"},
                {62, 0xff, "multicast target"},
                {22, 0xff, "multicast source"},
                {79, 0, "an option of no length"},
                {79, 2, "an option too long"},
                {80, 3, "a group as the sender"},
                {19, 40, "longer than it is"},
                {19, 16, "shorter than its target"}};
    uint8_t good[ND_FRAME_BYTES], f[ND_FRAME_BYTES];
    size_t n = solicit(good, asker, vip), cells = 0;
    struct nd_message m;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++, cells++) {
        memcpy(f, good, sizeof f);
        f[rows[i].at] = rows[i].value;
        if (rows[i].at != 19)
            seal(f, 32);
        cr_assert_not(nd_decode(span_of(f, n), &m), "%s", rows[i].what);
    }
    for (size_t i = 54; i < n; i++, cells++) {
        memcpy(f, good, sizeof f);
        f[i] ^= 4;
        cr_assert_not(nd_decode(span_of(f, n), &m), "byte %zu under a wrong checksum", i);
    }
    for (size_t i = 0; i < n; i++, cells++)
        cr_assert_not(nd_decode(span_of(good, i), &m), "%zu bytes", i);
    n = solicit(f, NULL, vip); /* a probe with a link-layer address */
    put_be16(f + 18, 32);
    seal(f, 32);
    cr_assert_not(nd_decode(span_of(f, n + 8), &m));
    n = solicit(f, NULL, vip); /* a probe to one node alone */
    memcpy(f + 38, vip, 16);
    seal(f, 24);
    cr_assert_not(nd_decode(span_of(f, n), &m));
    printf("compared %zu frames\n", cells + 2);
}

/* Random bytes and random changes: nothing is read outside, nothing fails but by saying so. */
Test(nd_frame, noise)
{
    uint8_t f[ND_FRAME_BYTES], noise[4];
    unsigned whole = 0;
    struct nd_message m;

    for (unsigned i = 0; i < 20000; i++) {
        size_t n = solicit(f, asker, vip);

        io_entropy(noise, sizeof noise);
        f[noise[0] % n] = noise[1];
        if (noise[3] % 2 == 0)
            seal(f, 32);
        cr_assert_not(nd_decode(span_of(f, noise[2] % n), &m), "it is cut off");
        whole += nd_decode(span_of(f, n), &m);
    }
    cr_assert_gt(whole, 0);
}

static void open_link(struct link *l)
{
    const struct arp_address addresses[3] = {
        {addr_v6(vip), "out0", 7}, {addr_v6(second), "out0", 8}, {addr_v4(0x0a4d0164), "out0", 7}};

    link_open(l, addresses, 3, ETH_P_IPV6);
}

/* The next advertisement of our addresses that came out of the node; awaited: see link_take(). */
static bool answer(const struct link *l, bool awaited, struct nd_message *m)
{
    uint8_t f[512];
    size_t n;

    while ((n = link_take(l, awaited, f, sizeof f)) > 0)
        if (nd_decode(span_of(f, n), m) && m->advertisement && m->target.bytes[13] == 0xab)
            return true;
    return false;
}

static void ask(struct link *l, const uint8_t *source, const uint8_t target[16])
{
    struct arp_counters before, now;
    uint8_t f[ND_FRAME_BYTES];
    size_t n = solicit(f, source, target);

    do { /* until it was not dropped for its age: this process may be the late one */
        before = link_counters(l);
        cr_assert(send(l->far, f, n, 0) == (ssize_t)n);
        do {
            (void)uv_run(&l->loop, UV_RUN_ONCE);
            now = link_counters(l);
        } while (now.requests == before.requests);
    } while (now.aged > before.aged);
}

Test(nd, solicitations_and_probes_are_answered_while_it_may, .timeout = 30)
{
    uint8_t f[ND_FRAME_BYTES];
    struct nd_message m;
    struct link l;

    open_link(&l);
    ask(&l, asker, vip);
    cr_assert(answer(&l, true, &m) && memcmp(m.mac, own_mac, 6) == 0);
    ask(&l, NULL, vip);
    cr_assert(answer(&l, true, &m) && memcmp(m.target.bytes, vip, 16) == 0);
    l.may = false;
    ask(&l, asker, vip);
    l.may = true;
    ask(&l, asker, second); /* of a shard that may not */
    nd_advertisement_encode(
        &(struct ip_addr){ADDR_V6, {0x20, 0x01, 0x0d, 0xb8, [13] = 0xab, [14] = 0xcd, [15] = 0x10}},
        asker_mac, NULL, f);
    cr_assert(send(l.far, f, sizeof f, 0) == (ssize_t)sizeof f);
    while (link_counters(&l).foreign < 1)
        (void)uv_run(&l.loop, UV_RUN_ONCE);
    cr_assert(!answer(&l, false, &m), "an answer that may not be");
    cr_assert(link_counters(&l).answered == 2 && link_counters(&l).silent == 2);
    link_close(&l);
}

/* Both families of one shard are announced together. */
Test(nd, a_move_is_announced_five_times, .timeout = 60)
{
    struct nd_message m;
    struct link l;

    open_link(&l);
    arp_announce(l.arp, 7);
    while (link_counters(&l).announced < 10)
        (void)uv_run(&l.loop, UV_RUN_ONCE);
    for (int i = 0; i < 5; i++)
        cr_assert(answer(&l, true, &m) && memcmp(m.target.bytes, vip, 16) == 0, "number %d", i);
    cr_assert(!answer(&l, false, &m) && link_counters(&l).send_failed == 0);
    link_close(&l);
}

/* The group's memberships stand, so a switch that snoops MLD sends solicitations here. */
Test(nd, it_listens_to_the_groups_of_its_addresses)
{
    static char text[8192];
    struct link l;

    open_link(&l);
    cr_assert(ns_output(0, text, sizeof text, "ip -6 maddr show dev out0"));
    cr_assert_not_null(strstr(text, "ff02::1:ffab:cd10"), "%s", text);
    link_close(&l);
}
