/* Packets that came to the wrong node, or at the wrong moment: delivered, forwarded or kept; in
 * order, bounded, each drop counted by its reason. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "daemon/stray.h"

enum { SHARD = 7, OTHER = 8 };

static struct {
    uint64_t now_ms;
    uint32_t node;
    uint64_t epoch;
    bool known, mine, acting, sure, full;
    enum stray_sent sending;
    unsigned delivered, forwarded;
    uint8_t last; /* first byte of the newest packet that went on */
    struct stray_frame sent;
    uint32_t to;
} at;

static struct strays *strays;

static uint64_t now_ms(void *self)
{
    (void)self;
    return at.now_ms;
}

static bool owner(void *self, uint32_t shard, uint32_t *node, uint64_t *epoch, bool *mine)
{
    (void)self;
    *node = at.node;
    *epoch = at.epoch;
    *mine = shard == OTHER || at.mine;
    return at.known;
}

static bool acting(void *self, uint32_t shard)
{
    (void)self;
    return shard == OTHER || at.acting;
}

static bool sure(void *self)
{
    (void)self;
    return at.sure;
}

static bool deliver(void *self, const struct stray_frame *p)
{
    (void)self;
    if (at.full)
        return false;
    at.delivered++;
    at.last = p->packet.data[0];
    return true;
}

static enum stray_sent forward(void *self, uint32_t node, struct span head, struct span packet)
{
    uint8_t frame[STRAY_HEAD_BYTES + STRAY_PACKET_BYTES];

    (void)self;
    if (at.sending != STRAY_SENT)
        return at.sending;
    at.to = node;
    at.forwarded++;
    at.last = packet.data[0];
    memcpy(frame, head.data, head.len);
    memcpy(frame + head.len, packet.data, packet.len);
    cr_assert(stray_frame_decode(span_of(frame, head.len + packet.len), &at.sent));
    return STRAY_SENT;
}

static void begin(void)
{
    const struct stray_ops ops = {.now_ms = now_ms,
                                  .owner = owner,
                                  .acting = acting,
                                  .sure = sure,
                                  .deliver = deliver,
                                  .forward = forward};

    memset(&at, 0, sizeof at);
    at.now_ms = 100000;
    at.node = 2;
    at.epoch = 50;
    at.known = at.sure = true;
    strays = strays_create(&ops);
}

static void end(void)
{
    strays_destroy(strays);
}

TestSuite(stray, .init = begin, .fini = end);

static uint64_t count_of(enum stray_counter c)
{
    return strays_counter(strays, c);
}

static struct stray_frame packet(uint32_t shard, uint8_t *byte)
{
    return (struct stray_frame){.kind = STRAY_ESP,
                                .shard = shard,
                                .from = {addr_v4(0x0a4d0132), 4500},
                                .to = {addr_v4(0x0a4d0164), 4500},
                                .packet = span_of(byte, 1)};
}

static void come(uint32_t shard, uint8_t byte, uint8_t hops, uint64_t epoch)
{
    struct stray_frame f = packet(shard, &byte);

    f.hops = hops;
    f.epoch = epoch;
    strays_take(strays, &f);
}

Test(stray, frames_go_there_and_back_and_nothing_else_is_one)
{
    uint8_t bytes[STRAY_HEAD_BYTES + 3] = {0}, six[16] = {0x20, 1, 0xd, 0xb8};
    struct stray_frame f = {.kind = STRAY_IKE, .hops = 1, .shard = 65535, .epoch = 1ull << 40};
    struct stray_frame back;
    unsigned compared = 0;

    f.from = (struct endpoint){addr_v4(0xc0000201), 500};
    f.to.ip.family = ADDR_V6;
    memcpy(f.to.ip.bytes, six, 16);
    f.to.port = 4500;
    f.packet = span_of("abc", 3);
    stray_frame_encode(&f, bytes);
    memcpy(bytes + STRAY_HEAD_BYTES, "abc", 3);
    cr_assert(stray_frame_decode(span_of(bytes, sizeof bytes), &back));
    cr_assert(back.kind == f.kind && back.hops == 1 && back.shard == 65535 &&
              back.epoch == f.epoch && endpoint_equal(&back.from, &f.from) &&
              endpoint_equal(&back.to, &f.to) && span_equal(back.packet, f.packet));
    for (size_t cut = 0; cut <= STRAY_HEAD_BYTES; cut++, compared++)
        cr_assert_not(stray_frame_decode(span_of(bytes, cut), &back));
    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = {{0, 2}, {1, 3}, {2, 0}, {16, 5}, {36, 9}, {16, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++, compared++) {
        uint8_t old = bytes[bad[i].at];

        bytes[bad[i].at] = bad[i].value;
        cr_assert_not(stray_frame_decode(span_of(bytes, sizeof bytes), &back), "byte %zu",
                      bad[i].at);
        bytes[bad[i].at] = old;
    }
    printf("compared %u\n", compared);
}

Test(stray, to_the_owner_with_the_hop_and_the_epoch)
{
    come(SHARD, 1, 0, 0);
    cr_assert(at.forwarded == 1 && at.to == 2 && at.sent.hops == 1 && at.sent.epoch == 50);
    come(SHARD, 2, 1, 50);
    cr_assert(at.forwarded == 2 && at.sent.hops == 2, "caught by a handover on its way");
    come(SHARD, 3, 2, 50);
    cr_assert_eq(at.forwarded, 2, "never in a circle");
    cr_assert_eq(count_of(STRAY_COUNT_TOO_FAR), 1);
    at.sending = STRAY_UNREACHABLE;
    come(SHARD, 4, 0, 0);
    cr_assert_eq(count_of(STRAY_COUNT_UNREACHABLE), 1);
}

Test(stray, a_node_that_is_not_sure_forwards_nothing)
{
    at.sure = false;
    come(SHARD, 1, 0, 0);
    at.sure = true;
    at.node = 0;
    come(SHARD, 1, 0, 0);
    at.known = false;
    come(SHARD, 1, 0, 0);
    cr_assert_eq(at.forwarded, 0);
    cr_assert_eq(count_of(STRAY_COUNT_NO_OWNER), 3);
}

/* While it is handed over: kept, then given to whoever has it, in the order in which it came. */
Test(stray, kept_in_a_handover_and_then_on_its_way)
{
    at.mine = true;
    for (uint8_t i = 1; i <= 5; i++)
        come(SHARD, i, 0, 0);
    cr_assert_eq(at.delivered + at.forwarded, 0);
    cr_assert(strays_run(strays), "nothing has changed");
    come(OTHER, 99, 0, 0);
    cr_assert(at.delivered == 1 && at.last == 99, "another shard's does not wait");
    at.acting = true;
    come(SHARD, 6, 0, 0);
    cr_assert_eq(at.delivered, 1, "not past those that wait");
    at.full = true;
    cr_assert(strays_run(strays));
    at.full = false;
    cr_assert_not(strays_run(strays));
    cr_assert(at.delivered == 7 && at.last == 6);
    at.acting = false;
    come(SHARD, 7, 0, 0);
    at.mine = false;
    at.epoch = 51;
    cr_assert_not(strays_run(strays));
    cr_assert(at.forwarded == 1 && at.sent.epoch == 51 && at.last == 7);
}

/* The sender has applied an assignment that is not known here yet. */
Test(stray, kept_until_its_epoch_is_applied)
{
    come(SHARD, 1, 1, 51);
    cr_assert(at.forwarded == 0 && count_of(STRAY_COUNT_KEPT) == 1);
    at.epoch = 51;
    at.mine = at.acting = true;
    cr_assert_not(strays_run(strays));
    cr_assert_eq(at.delivered, 1);
}

Test(stray, bounded_in_number_time_and_rate)
{
    uint64_t sent;

    at.mine = true;
    for (unsigned i = 0; i < STRAY_KEPT + 10; i++)
        come(SHARD, 1, 0, 0);
    cr_assert_eq(count_of(STRAY_COUNT_NO_ROOM), 10);
    at.now_ms += STRAY_KEEP_MS;
    cr_assert_not(strays_run(strays));
    cr_assert_eq(count_of(STRAY_COUNT_TOO_OLD), STRAY_KEPT);
    at.mine = false;
    for (unsigned i = 0; i < 10000; i++)
        come(SHARD, 1, 0, 0);
    sent = at.forwarded;
    cr_assert_leq(sent, 16 * STRAY_RATE_PER_MS);
    cr_assert_eq(count_of(STRAY_COUNT_TOO_MANY), 10000 - sent);
    at.now_ms++;
    for (unsigned i = 0; i < 10000; i++)
        come(SHARD, 1, 0, 0);
    cr_assert_eq(at.forwarded - sent, STRAY_RATE_PER_MS);
    at.now_ms += 10;
    at.sending = STRAY_BUSY;
    come(SHARD, 1, 0, 0);
    cr_assert(strays_run(strays), "the channel takes nothing now: kept");
    at.sending = STRAY_SENT;
    cr_assert_not(strays_run(strays));
}

Test(stray, what_is_no_frame_is_counted)
{
    strays_receive(strays, span_of("abc", 3));
    cr_assert_eq(count_of(STRAY_COUNT_MALFORMED), 1);
    for (int i = 0; i < STRAY_COUNTERS; i++)
        cr_assert_str_neq(stray_counter_name((enum stray_counter)i), "?");
}
