/* Limits and marks of one SA: what waits, what is told to the control loop, and how often. */
#include <criterion/criterion.h>

#include "sa_rig.h"

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

/* An earlier owner's packets count; this node's own count once, also when it owned it before. */
Test(sa, packet_limits_count_what_was_counted_before)
{
    static const struct {
        uint64_t in, out;           /* counted at the second grant */
        unsigned left_in, left_out; /* of 8, after 2 packets each way under the first one */
    } table[] = {{0, 0, 6, 6}, {2, 2, 6, 6}, {3, 5, 5, 3}, {7, 8, 1, 0}, {9, UINT64_MAX, 0, 0}};
    const struct pair_options o = {
        .spi = 0x2001, .virtual_ip = 0x0a630005, .soft_packets = 5, .hard_packets = 8};
    unsigned rows = 0;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++, rows++) {
        struct esp_turn t = {.now_ns = 1, .lease_epoch = PAIR_EPOCH + 1};
        struct esp_in_result in;
        struct esp_out_result out;
        struct esp_sa_view v;
        unsigned n = 0;

        set_up(&o);
        for (uint32_t k = 1; k <= 2; k++) {
            cr_assert_eq(to_gateway(from_client(&o, k), 1, &in), ESP_DROP_NONE);
            cr_assert_eq(gateway_sends(&o, k, &out), ESP_DROP_NONE);
        }
        esp_sa_grant(&gateway, &(struct esp_sa_grant){.epoch = PAIR_EPOCH + 1,
                                                      .first = 1 << 20,
                                                      .end = 1 << 21,
                                                      .floor = 2,
                                                      .ceiling = 1 << 20,
                                                      .counted_in = table[i].in,
                                                      .counted_out = table[i].out});
        esp_sa_read(&gateway, &v);
        cr_assert_eq(v.counted_in, table[i].in > 2 ? table[i].in : 2);
        cr_assert_geq(v.counted_out, table[i].out > 8 ? 8 : table[i].out);
        while (n < 10 && esp_inbound(&gateway, &t, from_client(&o, 3 + n), &pair_client, opened,
                                     sizeof opened, &in) == ESP_DROP_NONE)
            n++;
        cr_assert_eq(n, table[i].left_in, "row %zu: %u more came in", i, n);
        cr_assert(in.events & ESP_EVENT_HARD_IN);
        for (n = 0; n < 10; n++) {
            struct esp_inner inner;
            struct span p = pair_down(plain, 100, &o, n);

            cr_assert(esp_inner_decode(p, &inner));
            if (esp_outbound(&gateway, &t, &inner, p, sealed, sizeof sealed, &out) != ESP_DROP_NONE)
                break;
        }
        cr_assert_eq(n, table[i].left_out, "row %zu: %u more left", i, n);
        cr_assert(out.events & ESP_EVENT_HARD_OUT);
        tear_down();
    }
    cr_assert_eq(rows, 5);
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
