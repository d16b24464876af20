/* Two ends of a CHILD SA back to back: sealing, opening, selectors, takeover, handover. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "sa_rig.h"

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
    struct esp_sa_grant next = {.epoch = PAIR_EPOCH, .first = 100, .end = 200, .ceiling = 60};
    struct esp_window window;

    set_up(&usual);
    for (uint32_t i = 0; i < 60; i++) {
        struct span p = from_client(&usual, i);

        memcpy(copies[i], p.data, p.len);
        lens[i] = p.len;
    }
    for (int i = 0; i < 40; i += 2)
        cr_assert_eq(to_gateway(span_of(copies[i], lens[i]), 1, &in), ESP_DROP_NONE);
    esp_sa_window(&gateway, &window);
    esp_sa_deinit(&gateway);
    cr_assert(esp_sa_init(&gateway, &g));
    esp_sa_grant_exact(&gateway, &next, &window.replay);
    for (int i = 0; i < 60; i++)
        cr_assert_eq(to_gateway(span_of(copies[i], lens[i]), 2, &in),
                     i < 40 && i % 2 == 0 ? ESP_DROP_REPLAYED : ESP_DROP_NONE, "number %d", i + 1);
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

/* P15: a peer that sends nothing but dummies (RFC 4303 2.6), or what its selectors do not have, lives
 * (RFC 7296 2.4) and has the SA (2.8); one whose packets are replayed need not. */
Test(sa, whatever_is_fresh_and_verified_is_life)
{
    static const struct {
        uint8_t next_header;
        size_t len;
        uint64_t seq, at_ms, life_ms;
    } table[] = {{ESP_NEXT_NONE, 20, 1, 5, 5},
                 {ESP_NEXT_NONE, 20, 1, 6, 5}, /* replayed */
                 {6, 100, 2, 7, 7},
                 {ESP_NEXT_IPV4, 99, 3, 9, 9}};
    struct esp_in_result r;
    struct esp_sa_view v;
    uint8_t b[100];
    unsigned rows = 0;

    (void)pair_up(b, sizeof b, &usual, 5);
    set_up(&usual);
    for (; rows < sizeof table / sizeof table[0]; rows++) {
        struct span p = odd(table[rows].next_header, b, table[rows].len, table[rows].seq);

        cr_assert_neq(to_gateway(p, table[rows].at_ms, &r), ESP_DROP_NONE);
        cr_assert_eq((r.events & ESP_EVENT_FIRST_INBOUND) != 0, rows == 0, "row %u", rows);
        esp_sa_read(&gateway, &v);
        cr_assert_eq(v.last_in_ns, table[rows].life_ms * 1000000, "row %u", rows);
    }
    tear_down();
    printf("compared %u packets\n", rows);
}

/* RFC 7296 2.8: what is verified shows that the peer has the SA, wanted or not; what is not, nothing. */
Test(sa, the_first_verified_packet_proves_that_the_peer_has_it)
{
    struct esp_sa_params p = pair_params(&usual, true);
    struct esp_in_result r;
    struct span packet;
    uint8_t forged[256];

    set_up(&usual);
    packet = from_client(&usual, 1);
    esp_sa_deinit(&gateway);
    p.unproven = true;
    cr_assert(esp_sa_init(&gateway, &p));
    grant(&gateway, PAIR_EPOCH, 1, 100, 0, 100);
    cr_assert_leq(packet.len, sizeof forged);
    memcpy(forged, packet.data, packet.len);
    forged[packet.len - 1] ^= 1;
    cr_assert_neq(to_gateway(span_of(forged, packet.len), 1, &r), ESP_DROP_NONE);
    cr_assert(atomic_load(&gateway.unproven), "by a forged one");
    cr_assert_eq(to_gateway(packet, 1, &r), ESP_DROP_NONE);
    cr_assert_not(atomic_load(&gateway.unproven));
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
