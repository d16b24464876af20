/* Two ends of a CHILD SA back to back: sealing, opening, limits, events, takeover, handover,
 * waiting. */
#include <criterion/criterion.h>

#include "crypto/tables.h"
#include "pair.h"

static struct esp_sa gateway, client;
static uint8_t plain[2048], sealed[4096], opened[4096];

static const struct pair_options usual = {.spi = 0x2001, .virtual_ip = 0x0a630005};

static struct esp_turn at(uint64_t ms)
{
    return (struct esp_turn){.now_ns = ms * 1000000, .lease_epoch = PAIR_EPOCH};
}

static void grant(struct esp_sa *sa, uint64_t epoch, uint64_t first, uint64_t end, uint64_t floor,
                  uint64_t ceiling)
{
    struct esp_sa_grant g = {epoch, first, end, floor, ceiling};

    esp_sa_grant(sa, &g);
}

static void set_up(const struct pair_options *o)
{
    struct esp_sa_params g = pair_params(o, true), c = pair_params(o, false);

    cr_assert(esp_sa_init(&gateway, &g) && esp_sa_init(&client, &c));
    grant(&gateway, PAIR_EPOCH, 0, 1 << 20, 0, 1 << 20);
    grant(&client, PAIR_EPOCH, 0, 1 << 30, 0, UINT32_MAX);
    /* Marks far away: the events in these tests are the others'. */
    esp_sa_set_marks(&gateway, UINT64_MAX - 1, UINT64_MAX - 1);
    esp_sa_set_marks(&client, UINT64_MAX - 1, UINT64_MAX - 1);
}

static void tear_down(void)
{
    esp_sa_deinit(&gateway);
    esp_sa_deinit(&client);
}

/* The client's packet with its next number. */
static struct span from_client(const struct pair_options *o, uint32_t number)
{
    struct esp_turn t = at(1);
    struct span p = pair_up(plain, 100, o, number);
    struct esp_inner inner;
    struct esp_out_result r;

    cr_assert(esp_inner_decode(p, &inner));
    cr_assert_eq(esp_outbound(&client, &t, &inner, p, sealed, sizeof sealed, &r), ESP_DROP_NONE);
    return span_of(sealed, r.len);
}

static enum esp_drop to_gateway(struct span packet, uint64_t ms, struct esp_in_result *r)
{
    struct esp_turn t = at(ms);
    enum esp_drop d = esp_inbound(&gateway, &t, packet, &pair_client, opened, sizeof opened, r);

    if (r->events != 0)
        esp_sa_raised_in(&gateway, r->events, t.now_ns);
    return d;
}

static enum esp_drop gateway_sends(const struct pair_options *o, uint32_t number,
                                   struct esp_out_result *r)
{
    struct esp_turn t = at(1);
    struct span p = pair_down(plain, 200, o, number);
    struct esp_inner inner;
    enum esp_drop d;

    cr_assert(esp_inner_decode(p, &inner));
    d = esp_outbound(&gateway, &t, &inner, p, sealed, sizeof sealed, r);
    if (r->events != 0)
        esp_sa_raised_out(&gateway, r->events);
    return d;
}

static uint64_t dropped(struct esp_sa *sa, enum esp_drop why)
{
    struct esp_sa_view v;

    esp_sa_read(sa, &v);
    return v.drops_in[why] + v.drops_out[why];
}

static void both_ways(const struct pair_options *o)
{
    struct esp_sa_view v;

    set_up(o);
    for (uint32_t i = 1; i <= 300; i++) {
        struct esp_in_result in;
        struct esp_out_result out;
        struct esp_turn t = at(i);

        cr_assert_eq(to_gateway(from_client(o, i), i, &in), ESP_DROP_NONE);
        cr_assert_eq(in.seq, i);
        cr_assert_eq(pair_number(span_of(opened, in.len)), i);
        cr_assert_eq(in.events, i == 1 ? ESP_EVENT_FIRST_INBOUND : 0);
        cr_assert_eq(gateway_sends(o, i, &out), ESP_DROP_NONE);
        cr_assert_eq(out.seq, i);
        cr_assert_eq(esp_inbound(&client, &t, span_of(sealed, out.len), &pair_gateway, opened,
                                 sizeof opened, &in),
                     ESP_DROP_NONE);
        cr_assert_eq(pair_number(span_of(opened, in.len)), i);
        cr_assert_eq(esp_inbound(&client, &t, span_of(sealed, out.len), &pair_gateway, opened,
                                 sizeof opened, &in),
                     ESP_DROP_REPLAYED);
    }
    esp_sa_read(&gateway, &v);
    cr_assert(v.in_packets == 300 && v.in_bytes == 30000 && v.last_seq == 300 &&
              v.last_in_ns == 300 * 1000000);
    cr_assert(v.out_packets == 300 && v.out_bytes == 60000 && v.next_out == 301 &&
              v.verified_seq == 300);
    cr_assert(v.epoch == PAIR_EPOCH && v.limit == 1 << 20 && v.ceiling == 1 << 20 && v.outbound);
    cr_assert_eq(dropped(&client, ESP_DROP_REPLAYED), 300);
    tear_down();
}

Test(sa, back_to_back_in_every_suite)
{
    both_ways(&(struct pair_options){.spi = 0x2001, .virtual_ip = 0x0a630005, .key_bits = 128});
    both_ways(&(struct pair_options){.spi = 0x2002, .virtual_ip = 0x0a630005, .key_bits = 256});
    both_ways(&(struct pair_options){
        .spi = 0x2003, .virtual_ip = 0x0a630005, .key_bits = 128, .esn = true});
    both_ways(&(struct pair_options){
        .spi = 0x2004, .virtual_ip = 0x0a630005, .key_bits = 256, .esn = true});
}

Test(sa, esn_crosses_the_low_half_through_takeovers)
{
    const struct pair_options o = {.spi = 0x2001, .virtual_ip = 0x0a630005, .esn = true};
    const uint64_t edge = UINT64_C(1) << 32;
    struct esp_in_result r;

    set_up(&o);
    grant(&client, PAIR_EPOCH + 1, edge - 50, edge + 1000, 0, 8);
    grant(&gateway, PAIR_EPOCH + 1, 1 << 20, 1 << 21, edge - 51, edge + 1000);
    for (uint32_t i = 0; i < 100; i++) {
        struct esp_turn t = {.now_ns = 5, .lease_epoch = PAIR_EPOCH + 1};
        struct esp_out_result out;
        struct esp_inner inner;
        struct span p = pair_up(plain, 100, &o, i);

        cr_assert(esp_inner_decode(p, &inner));
        cr_assert_eq(esp_outbound(&client, &t, &inner, p, sealed, sizeof sealed, &out),
                     ESP_DROP_NONE);
        cr_assert_eq(out.seq, edge - 50 + i);
        cr_assert_eq(esp_inbound(&gateway, &t, span_of(sealed, out.len), &pair_client, opened,
                                 sizeof opened, &r),
                     ESP_DROP_NONE, "number %u", i);
        cr_assert_eq(r.seq, edge - 50 + i);
    }
    tear_down();
}

Test(sa, without_esn_no_number_beyond_32_bits)
{
    struct esp_out_result out;
    struct esp_turn t = {.now_ns = 5, .lease_epoch = PAIR_EPOCH + 1};
    struct esp_inner inner;
    struct span p = pair_down(plain, 100, &usual, 1);

    set_up(&usual);
    grant(&gateway, PAIR_EPOCH + 1, UINT32_MAX - 1, UINT64_C(1) << 33, 1 << 20, 1 << 21);
    esp_sa_set_marks(&gateway, UINT64_MAX - 1, UINT64_MAX - 1);
    cr_assert(esp_inner_decode(p, &inner));
    cr_assert_eq(esp_outbound(&gateway, &t, &inner, p, sealed, sizeof sealed, &out), ESP_DROP_NONE);
    cr_assert_eq(out.events, ESP_EVENT_SOFT_OUT, "a rekey is due long before");
    cr_assert_eq(esp_outbound(&gateway, &t, &inner, p, sealed, sizeof sealed, &out), ESP_DROP_NONE);
    cr_assert_eq(out.seq, UINT32_MAX);
    cr_assert_eq(esp_outbound(&gateway, &t, &inner, p, sealed, sizeof sealed, &out),
                 ESP_DROP_EXHAUSTED);
    cr_assert_eq(out.events, ESP_EVENT_HARD_OUT);
    cr_assert_eq(dropped(&gateway, ESP_DROP_EXHAUSTED), 1);
    tear_down();
}

Test(sa, fails_closed_without_grant_or_lease)
{
    struct esp_sa_params g = pair_params(&usual, true), c = pair_params(&usual, false);
    struct esp_in_result in;
    struct esp_out_result out;
    struct span packet;

    set_up(&usual);
    packet = from_client(&usual, 1);
    esp_sa_deinit(&gateway);
    cr_assert(esp_sa_init(&gateway, &g));
    cr_assert_eq(to_gateway(packet, 1, &in), ESP_DROP_NO_LEASE, "a fresh SA has no grant");
    cr_assert_eq(gateway_sends(&usual, 1, &out), ESP_DROP_NO_LEASE);
    grant(&gateway, PAIR_EPOCH - 1, 0, 100, 0, 100);
    packet = from_client(&usual, 2);
    cr_assert_eq(to_gateway(packet, 1, &in), ESP_DROP_NO_LEASE,
                 "a grant of another epoch than the lease's");
    cr_assert_eq(gateway_sends(&usual, 1, &out), ESP_DROP_NO_LEASE);
    cr_assert_eq(dropped(&gateway, ESP_DROP_NO_LEASE), 4);
    (void)c;
    tear_down();
}

Test(sa, takeover_refuses_what_the_old_owner_may_have_taken)
{
    static uint8_t copies[60][256];
    size_t lens[60];
    struct esp_in_result in;
    struct esp_out_result out;
    struct esp_sa_params g = pair_params(&usual, true);
    struct esp_sa_view v;

    set_up(&usual);
    for (uint32_t i = 0; i < 60; i++) {
        struct span p = from_client(&usual, i);

        memcpy(copies[i], p.data, p.len);
        lens[i] = p.len;
    }
    for (int i = 0; i < 40; i++)
        cr_assert_eq(to_gateway(span_of(copies[i], lens[i]), 1, &in), ESP_DROP_NONE);
    cr_assert_eq(gateway_sends(&usual, 1, &out), ESP_DROP_NONE);
    /* the machine dies; another node has the SA without numbers, and gets the next epoch: ceiling
     * was 48, reservation end 65 */
    esp_sa_deinit(&gateway);
    cr_assert(esp_sa_init(&gateway, &g));
    grant(&gateway, PAIR_EPOCH, 65, 65 + 65536, 48, 56);
    for (int i = 0; i < 48; i++)
        cr_assert_eq(to_gateway(span_of(copies[i], lens[i]), 2, &in), ESP_DROP_BELOW_FLOOR,
                     "number %d", i + 1);
    cr_assert_eq(in.events, 0, "told once");
    for (int i = 0; i < 48; i++)
        cr_assert_eq(to_gateway(span_of(copies[i], lens[i]), 3, &in), ESP_DROP_REPLAYED,
                     "each counts once");
    esp_sa_read(&gateway, &v);
    cr_assert(v.drops_in[ESP_DROP_BELOW_FLOOR] == 48 && v.below_floor_ns == 2000000 &&
              v.last_in_ns == 0);
    cr_assert(v.last_seq == 48 && v.next_out == 65);
    cr_assert_eq(to_gateway(span_of(copies[48], lens[48]), 4, &in), ESP_DROP_NONE);
    cr_assert(in.events & ESP_EVENT_FIRST_INBOUND);
    cr_assert_eq(to_gateway(span_of(copies[56], lens[56]), 4, &in), ESP_DROP_WAIT,
                 "above the new ceiling");
    cr_assert_eq(gateway_sends(&usual, 1, &out), ESP_DROP_NONE);
    cr_assert_eq(out.seq, 65);
    copies[10][20] ^= 1; /* not verified: no replay recovery */
    esp_sa_deinit(&gateway);
    cr_assert(esp_sa_init(&gateway, &g));
    grant(&gateway, PAIR_EPOCH, 65, 65 + 65536, 48, 56);
    cr_assert_eq(to_gateway(span_of(copies[10], lens[10]), 2, &in), ESP_DROP_ICV);
    cr_assert_eq(dropped(&gateway, ESP_DROP_BELOW_FLOOR), 0);
    tear_down();
}

Test(sa, handover_loses_nothing_and_repeats_nothing)
{
    static uint8_t copies[60][256];
    size_t lens[60];
    struct esp_in_result in;
    struct esp_sa_params g = pair_params(&usual, true);
    struct esp_sa_grant next = {PAIR_EPOCH, 100, 200, 0, 60};
    struct esp_replay window;

    set_up(&usual);
    for (uint32_t i = 0; i < 60; i++) {
        struct span p = from_client(&usual, i);

        memcpy(copies[i], p.data, p.len);
        lens[i] = p.len;
    }
    for (int i = 0; i < 40; i += 2)
        cr_assert_eq(to_gateway(span_of(copies[i], lens[i]), 1, &in), ESP_DROP_NONE);
    window = *esp_sa_window(&gateway);
    esp_sa_deinit(&gateway);
    cr_assert(esp_sa_init(&gateway, &g));
    esp_sa_grant_exact(&gateway, &next, &window);
    for (int i = 0; i < 60; i++)
        cr_assert_eq(to_gateway(span_of(copies[i], lens[i]), 2, &in),
                     i < 40 && i % 2 == 0 ? ESP_DROP_REPLAYED : ESP_DROP_NONE, "number %d", i + 1);
    tear_down();
}

Test(sa, above_the_ceiling_waits_and_is_judged_again)
{
    struct esp_in_result r;
    struct esp_turn t = at(9);
    uint8_t copy[256], inner[256];
    struct span p;
    struct esp_sa_view v;
    size_t len;

    set_up(&usual);
    esp_sa_set_ceiling(&gateway, 1);
    cr_assert_eq(to_gateway(from_client(&usual, 1), 1, &r), ESP_DROP_NONE);
    p = from_client(&usual, 2);
    memcpy(copy, p.data, p.len);
    len = p.len;
    cr_assert_eq(to_gateway(p, 2, &r), ESP_DROP_WAIT);
    cr_assert_eq(r.events, ESP_EVENT_LOW_CEILING);
    memcpy(inner, opened, r.len);
    p = span_of(inner, r.len);
    cr_assert_eq(pair_number(p), 2);
    cr_assert_eq(to_gateway(span_of(copy, len), 2, &r), ESP_DROP_WAIT, "not marked while it waits");
    cr_assert_eq(r.events, 0, "told once for this ceiling");
    esp_sa_read(&gateway, &v);
    cr_assert(v.last_seq == 1 && v.verified_seq == 2 && v.in_packets == 1);
    cr_assert_eq(esp_inbound_release(&gateway, &t, 2, p, &r), ESP_DROP_WAIT);
    esp_sa_set_ceiling(&gateway, 9);
    cr_assert_eq(esp_inbound_release(&gateway, &t, 2, p, &r), ESP_DROP_NONE);
    cr_assert_eq(esp_inbound_release(&gateway, &t, 2, p, &r), ESP_DROP_REPLAYED,
                 "its window is checked again");
    cr_assert_eq(to_gateway(span_of(copy, len), 3, &r), ESP_DROP_REPLAYED);
    t.lease_epoch = 0;
    cr_assert_eq(esp_inbound_release(&gateway, &t, 3, p, &r), ESP_DROP_NO_LEASE);
    copy[30] ^= 1;
    copy[7] = 200; /* far ahead, not verified: asks for nothing */
    cr_assert_eq(to_gateway(span_of(copy, len), 3, &r), ESP_DROP_ICV);
    esp_sa_read(&gateway, &v);
    cr_assert_eq(v.verified_seq, 2);
    tear_down();
}

Test(sa, out_of_numbers_waits_and_uses_none)
{
    struct esp_out_result r;

    set_up(&usual);
    grant(&gateway, PAIR_EPOCH + 1, 1 << 20, (1 << 20) + 1, 1 << 20, 1 << 20);
    for (int i = 0; i < 3; i++) {
        struct esp_turn t = {.now_ns = 1, .lease_epoch = PAIR_EPOCH + 1};
        struct esp_inner inner;
        struct span p = pair_down(plain, 100, &usual, 1);

        cr_assert(esp_inner_decode(p, &inner));
        cr_assert_eq(esp_outbound(&gateway, &t, &inner, p, sealed, sizeof sealed, &r),
                     i == 0 ? ESP_DROP_NONE : ESP_DROP_WAIT);
        cr_assert_eq(r.events, i == 1 ? ESP_EVENT_LOW_NUMBERS : 0, "told once for this limit");
        esp_sa_raised_out(&gateway, r.events);
    }
    esp_sa_extend(&gateway, (1 << 20) + 2);
    struct esp_turn t = {.now_ns = 1, .lease_epoch = PAIR_EPOCH + 1};
    struct esp_inner inner;
    struct span p = pair_down(plain, 100, &usual, 1);

    cr_assert(esp_inner_decode(p, &inner));
    cr_assert_eq(esp_outbound(&gateway, &t, &inner, p, sealed, sizeof sealed, &r), ESP_DROP_NONE);
    cr_assert_eq(r.seq, (1 << 20) + 1);
    tear_down();
}

Test(sa, marks_are_told_once_each)
{
    struct esp_in_result in;
    struct esp_out_result out;
    int told_in = 0, told_out = 0;

    set_up(&usual);
    esp_sa_set_marks(&gateway, 10, 20);
    for (uint32_t i = 1; i <= 30; i++) {
        cr_assert_eq(to_gateway(from_client(&usual, i), 1, &in), ESP_DROP_NONE);
        cr_assert_eq(gateway_sends(&usual, i, &out), ESP_DROP_NONE);
        told_in += (in.events & ESP_EVENT_LOW_CEILING) != 0;
        told_out += (out.events & ESP_EVENT_LOW_NUMBERS) != 0;
        cr_assert_eq(told_in, i >= 10 ? 1 : 0);
        cr_assert_eq(told_out, i >= 20 ? 1 : 0);
    }
    esp_sa_set_marks(&gateway, 31, 31);
    cr_assert_eq(to_gateway(from_client(&usual, 31), 1, &in), ESP_DROP_NONE);
    cr_assert_eq(gateway_sends(&usual, 31, &out), ESP_DROP_NONE);
    cr_assert(in.events & ESP_EVENT_LOW_CEILING && out.events & ESP_EVENT_LOW_NUMBERS);
    tear_down();
}

/* The control loop stores new limits between a worker's decision to tell and its telling: what was
 * decided by the old ones says nothing of the new ones. */
Test(sa, limits_that_change_while_an_event_is_told_lose_no_later_event)
{
    struct esp_turn t = at(1);
    struct esp_in_result in;
    struct esp_out_result out;
    struct esp_inner inner;
    struct span p;

    set_up(&usual);
    esp_sa_set_marks(&gateway, 4, 4);
    for (uint32_t i = 1; i <= 4; i++)
        cr_assert_eq(esp_inbound(&gateway, &t, from_client(&usual, i), &pair_client, opened,
                                 sizeof opened, &in),
                     ESP_DROP_NONE);
    cr_assert(in.events & ESP_EVENT_LOW_CEILING);
    esp_sa_set_marks(&gateway, 6, 6); /* here, before it is told */
    esp_sa_raised_in(&gateway, in.events, 1);
    cr_assert_eq(to_gateway(from_client(&usual, 5), 1, &in), ESP_DROP_NONE);
    cr_assert_eq(in.events, 0);
    cr_assert_eq(to_gateway(from_client(&usual, 6), 1, &in), ESP_DROP_NONE);
    cr_assert_eq(in.events, ESP_EVENT_LOW_CEILING, "the new mark is told");

    esp_sa_set_ceiling(&gateway, 6);
    cr_assert_eq(
        esp_inbound(&gateway, &t, from_client(&usual, 7), &pair_client, opened, sizeof opened, &in),
        ESP_DROP_WAIT);
    cr_assert_eq(in.events, ESP_EVENT_LOW_CEILING);
    esp_sa_set_ceiling(&gateway, 8);
    esp_sa_raised_in(&gateway, in.events, 1);
    cr_assert_eq(to_gateway(from_client(&usual, 8), 1, &in), ESP_DROP_NONE);
    cr_assert_eq(to_gateway(from_client(&usual, 9), 1, &in), ESP_DROP_WAIT);
    cr_assert_eq(in.events, ESP_EVENT_LOW_CEILING, "the new ceiling is told");

    p = pair_down(plain, 100, &usual, 1);
    cr_assert(esp_inner_decode(p, &inner));
    for (int i = 1; i <= 6; i++)
        cr_assert_eq(esp_outbound(&gateway, &t, &inner, p, sealed, sizeof sealed, &out),
                     ESP_DROP_NONE);
    cr_assert_eq(out.events, ESP_EVENT_LOW_NUMBERS);
    esp_sa_set_marks(&gateway, 6, 7);
    esp_sa_raised_out(&gateway, out.events);
    cr_assert_eq(gateway_sends(&usual, 1, &out), ESP_DROP_NONE);
    cr_assert_eq(out.events, ESP_EVENT_LOW_NUMBERS, "the new mark is told");
    tear_down();
}

Test(sa, a_limit_that_rises_while_its_end_is_told_loses_no_later_event)
{
    struct esp_turn t = {.now_ns = 1, .lease_epoch = PAIR_EPOCH + 1};
    struct esp_inner inner;
    struct esp_out_result out;
    struct span p = pair_down(plain, 100, &usual, 1);

    set_up(&usual);
    grant(&gateway, PAIR_EPOCH + 1, 1 << 20, 1 << 20, 1 << 20, 1 << 20);
    cr_assert(esp_inner_decode(p, &inner));
    cr_assert_eq(esp_outbound(&gateway, &t, &inner, p, sealed, sizeof sealed, &out), ESP_DROP_WAIT);
    esp_sa_extend(&gateway, (1 << 20) + 1);
    esp_sa_raised_out(&gateway, out.events);
    cr_assert_eq(esp_outbound(&gateway, &t, &inner, p, sealed, sizeof sealed, &out), ESP_DROP_NONE);
    cr_assert_eq(esp_outbound(&gateway, &t, &inner, p, sealed, sizeof sealed, &out), ESP_DROP_WAIT);
    cr_assert_eq(out.events, ESP_EVENT_LOW_NUMBERS);
    tear_down();
}

Test(sa, an_event_that_was_not_taken_is_told_again)
{
    struct esp_in_result r;
    struct esp_turn t = at(1);
    struct span p;

    set_up(&usual);
    p = from_client(&usual, 1);
    cr_assert_eq(esp_inbound(&gateway, &t, p, &pair_client, opened, sizeof opened, &r),
                 ESP_DROP_NONE);
    cr_assert(r.events & ESP_EVENT_FIRST_INBOUND); /* the queue was full: not esp_sa_raised_in() */
    p = from_client(&usual, 2);
    cr_assert_eq(esp_inbound(&gateway, &t, p, &pair_client, opened, sizeof opened, &r),
                 ESP_DROP_NONE);
    cr_assert(r.events & ESP_EVENT_FIRST_INBOUND);
    tear_down();
}

Test(sa, packet_limits)
{
    const struct pair_options o = {
        .spi = 0x2001, .virtual_ip = 0x0a630005, .soft_packets = 5, .hard_packets = 8};
    struct esp_in_result in;
    struct esp_out_result out;

    set_up(&o);
    for (uint32_t i = 1; i <= 8; i++) {
        cr_assert_eq(to_gateway(from_client(&o, i), 1, &in), ESP_DROP_NONE);
        cr_assert_eq((in.events & ESP_EVENT_SOFT_IN) != 0, i == 5);
        cr_assert_eq(gateway_sends(&o, i, &out), ESP_DROP_NONE);
        cr_assert_eq((out.events & ESP_EVENT_SOFT_OUT) != 0, i == 5);
    }
    cr_assert_eq(to_gateway(from_client(&o, 9), 1, &in), ESP_DROP_HARD_LIMIT);
    cr_assert_eq(in.events, ESP_EVENT_HARD_IN);
    cr_assert_eq(to_gateway(from_client(&o, 9), 1, &in), ESP_DROP_HARD_LIMIT);
    cr_assert_eq(in.events, 0);
    cr_assert_eq(gateway_sends(&o, 9, &out), ESP_DROP_HARD_LIMIT);
    cr_assert_eq(out.events, ESP_EVENT_HARD_OUT);
    cr_assert_eq(gateway_sends(&o, 9, &out), ESP_DROP_HARD_LIMIT);
    cr_assert_eq(out.events, 0);
    tear_down();
}

Test(sa, peer_moved_only_above_the_highest_and_verified)
{
    static uint8_t copies[4][256];
    size_t lens[4];
    struct esp_in_result r;
    struct esp_turn t = at(1000);
    struct endpoint now;

    set_up(&usual);
    for (uint32_t i = 0; i < 4; i++) {
        struct span p = from_client(&usual, i);

        memcpy(copies[i], p.data, p.len);
        lens[i] = p.len;
    }
    cr_assert_eq(to_gateway(span_of(copies[1], lens[1]), 1, &r), ESP_DROP_NONE);
    cr_assert_eq(esp_inbound(&gateway, &t, span_of(copies[0], lens[0]), &pair_elsewhere, opened,
                             sizeof opened, &r),
                 ESP_DROP_NONE);
    cr_assert_eq(r.events, 0,
                 "below the highest: an old packet sent again from elsewhere says nothing");
    cr_assert_eq(esp_inbound(&gateway, &t, span_of(copies[1], lens[1]), &pair_elsewhere, opened,
                             sizeof opened, &r),
                 ESP_DROP_REPLAYED);
    cr_assert_eq(r.events, 0);
    copies[3][30] ^= 1;
    cr_assert_eq(esp_inbound(&gateway, &t, span_of(copies[3], lens[3]), &pair_elsewhere, opened,
                             sizeof opened, &r),
                 ESP_DROP_ICV);
    cr_assert_eq(r.events, 0);
    cr_assert_eq(esp_inbound(&gateway, &t, span_of(copies[2], lens[2]), &pair_elsewhere, opened,
                             sizeof opened, &r),
                 ESP_DROP_NONE);
    cr_assert_eq(r.events, ESP_EVENT_PEER_MOVED);
    esp_sa_set_remote(&gateway, &pair_elsewhere);
    cr_assert(esp_sa_remote(&gateway, &now) && endpoint_equal(&now, &pair_elsewhere));
    tear_down();
}

Test(sa, selectors_hold_both_ways)
{
    struct esp_turn t = at(1);
    struct esp_in_result in;
    struct esp_out_result out;
    struct esp_inner inner;
    struct span p;

    set_up(&usual);
    /* the client puts a stranger's source address inside; its own end would refuse, so make it
     * lenient */
    client.selectors.local[0].low = addr_v4(0);
    client.selectors.local[0].high = addr_v4(UINT32_MAX);
    p = pair_packet(plain, 100, 0x0a630006, 0x0a4d020a, 1);
    cr_assert(esp_inner_decode(p, &inner));
    cr_assert_eq(esp_outbound(&client, &t, &inner, p, sealed, sizeof sealed, &out), ESP_DROP_NONE);
    cr_assert_eq(to_gateway(span_of(sealed, out.len), 1, &in), ESP_DROP_SELECTORS);
    cr_assert_eq(to_gateway(span_of(sealed, out.len), 1, &in), ESP_DROP_REPLAYED,
                 "its number is used up");
    p = pair_packet(plain, 100, 0x0a4d0301, 0x0a630005, 1); /* not from behind the gateway */
    cr_assert(esp_inner_decode(p, &inner));
    cr_assert_eq(esp_outbound(&gateway, &t, &inner, p, sealed, sizeof sealed, &out),
                 ESP_DROP_SELECTORS);
    cr_assert_eq(dropped(&gateway, ESP_DROP_SELECTORS), 2);
    tear_down();
}

/* Sealed by the client's key with a trailer of our choice. */
static struct span odd(uint8_t next_header, const void *inner, size_t n, uint64_t seq)
{
    size_t len;

    cr_assert_eq(esp_packet_seal(&client.cipher_out, seq, next_header, span_of(inner, n), sealed,
                                 sizeof sealed, &len),
                 ESP_DROP_NONE);
    return span_of(sealed, len);
}

Test(sa, contents_that_are_no_packet)
{
    struct esp_in_result r;
    uint8_t b[100];
    struct span p = pair_up(b, 100, &usual, 5);

    set_up(&usual);
    cr_assert_eq(to_gateway(odd(ESP_NEXT_NONE, b, 20, 1), 1, &r), ESP_DROP_DUMMY);
    cr_assert_eq(to_gateway(odd(6, b, 100, 2), 1, &r), ESP_DROP_NEXT_HEADER);
    cr_assert_eq(to_gateway(odd(ESP_NEXT_IPV6, b, 100, 3), 1, &r), ESP_DROP_NEXT_HEADER);
    cr_assert_eq(to_gateway(odd(ESP_NEXT_IPV4, b, 99, 4), 1, &r), ESP_DROP_MALFORMED);
    cr_assert_eq(to_gateway(odd(ESP_NEXT_IPV4, b, 0, 5), 1, &r), ESP_DROP_MALFORMED);
    cr_assert_eq(to_gateway(span_of(sealed, ESP_MIN_BYTES - 1), 1, &r), ESP_DROP_MALFORMED);
    cr_assert_eq(to_gateway(odd(ESP_NEXT_IPV4, p.data, p.len, 6), 1, &r), ESP_DROP_NONE);
    cr_assert_eq(to_gateway(odd(ESP_NEXT_NONE, b, 20, 1), 1, &r), ESP_DROP_REPLAYED,
                 "its number is used up, too");
    tear_down();
}

Test(sa, bad_parameters_are_refused)
{
    struct esp_sa_params p = pair_params(&usual, true);

    p.spi_in = 255;
    cr_assert_not(esp_sa_init(&gateway, &p));
    p = pair_params(&usual, true);
    p.selectors.n_remote = 0;
    cr_assert_not(esp_sa_init(&gateway, &p));
    p.selectors.n_remote = ESP_MAX_SELECTORS + 1;
    cr_assert_not(esp_sa_init(&gateway, &p));
    p = pair_params(&usual, true);
    p.key_out.len--;
    cr_assert_not(esp_sa_init(&gateway, &p));
    p = pair_params(&usual, true);
    p.aead = NULL;
    cr_assert_not(esp_sa_init(&gateway, &p));
}

Test(sa, every_drop_has_a_name)
{
    for (int i = 0; i < ESP_DROP_COUNT; i++)
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(esp_drop_name((enum esp_drop)i), esp_drop_name((enum esp_drop)j));
}
