/* A hostile network, and a hostile peer that has the keys, against one inbound SA: whatever comes
 * in whatever order, each number is delivered once, inside of (floor, ceiling], and nothing is
 * delivered that does not decode.
 *
 * Input: one byte of options, then records of an opcode and its bytes:
 *   0 len data        a datagram as it is
 *   1 hi lo len data  sealed by the peer under number hi lo, data = the clear text
 *   2 bit             the last sealed one with a bit flipped (of the first 256), then as it was
 *   3 hi lo           the ceiling is now this
 *   4                 a takeover: next epoch, floor = ceiling, ceiling + 8
 *   5 hi lo           what waited under this number is released
 */
#include <stddef.h>

#include "crypto/tables.h"
#include "esp/inbound.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NUMBERS = 1 << 16 };

static struct esp_sa sa;
static struct esp_cipher peer;
static uint8_t delivered[NUMBERS]; /* by any owner */
static uint8_t last[512], out[1024];
static size_t last_len;
static uint64_t epoch, floor_now, ceiling_now, highest;
static bool esn;

static void set_up(uint8_t options)
{
    struct esp_sa_params p = {.spi_in = 0x1000,
                              .spi_out = 0x2000,
                              .aead =
                                  suite_find_aead(&suite_default, 20, options & 1 ? 128 : 256, 0)};
    struct esp_sa_grant g = {.epoch = 1, .end = 100, .ceiling = options & 4 ? 60000 : 8};

    esn = (options & 2) != 0;
    p.esn = esn;
    p.key_in.len = p.key_out.len = (uint8_t)(p.aead->key_bytes + 4);
    p.selectors.n_local = p.selectors.n_remote = 1;
    p.selectors.local[0] = p.selectors.remote[0] = (struct esp_selector){
        0, 0, UINT16_MAX, addr_v4(0), addr_v4(options & 8 ? 0x7fffffff : UINT32_MAX)};
    p.remote = (struct endpoint){addr_v4(1), 4500};
    HF_ASSERT(esp_sa_init(&sa, &p));
    HF_ASSERT(esp_cipher_init(&peer, p.aead, &p.key_in, &p.integ_in, 0x1000, esn));
    esp_sa_grant(&sa, &g);
    epoch = 1;
    floor_now = highest = 0;
    ceiling_now = g.ceiling;
    memset(delivered, 0, sizeof delivered);
    last_len = 0;
}

static void judge(enum esp_drop d, const struct esp_in_result *r, size_t input)
{
    struct esp_inner in;

    if (d == ESP_DROP_WAIT)
        HF_ASSERT(r->seq > ceiling_now && r->len <= input);
    if (d != ESP_DROP_NONE)
        return;
    HF_ASSERT(r->seq > floor_now && r->seq <= ceiling_now && r->seq < NUMBERS);
    HF_ASSERT(!delivered[r->seq]); /* I2, through takeovers too */
    delivered[r->seq] = 1;
    highest = r->seq > highest ? r->seq : highest;
    HF_ASSERT(r->len <= input && esp_inner_decode(span_of(out, r->len), &in) && in.len == r->len);
    HF_ASSERT(esp_selectors_inbound(&sa.selectors, &in));
}

static void send_packet(const uint8_t *packet, size_t len)
{
    struct esp_turn t = {.now_ns = 1, .lease_epoch = epoch};
    struct endpoint from = {addr_v4(2), 4500};
    struct esp_in_result r;

    if (len >= 4 && get_be32(packet) != 0x1000)
        return; /* another SPI is another SA's */
    judge(esp_inbound(&sa, &t, span_of(packet, len), &from, out, sizeof out, &r), &r, len);
}

/* The peer has the keys: any clear text, trailer and padding of its choice. */
static void seal(uint64_t seq, const uint8_t *clear, size_t n)
{
    uint8_t aad[12];
    struct suite_covered covered = {.before = span_of(aad, esn ? 12 : 8)};

    put_be32(last, 0x1000);
    put_be32(last + 4, (uint32_t)seq);
    put_be32(aad, 0x1000);
    put_be64(aad + 4, seq);
    if (!esn)
        put_be32(aad + 4, (uint32_t)seq);
    HF_ASSERT(peer.aead->context_seal(&peer.context, seq, &covered, span_of(clear, n), last + 8,
                                      last + 16, last + 16 + n));
    last_len = 32 + n;
}

static void release(uint64_t seq)
{
    struct esp_turn t = {.now_ns = 1, .lease_epoch = epoch};
    struct esp_in_result r;
    enum esp_drop d;

    /* as the worker does it: the content was judged when it came */
    memset(out, 0, 20);
    out[0] = 0x45;
    out[3] = 20;
    d = esp_inbound_release(&sa, &t, seq, span_of(out, 20), &r);
    judge(d, &r, 20);
}

static void take_over(void)
{
    struct esp_sa_grant g;

    epoch++;
    /* A lowered ceiling is committed as no less than what was accepted. */
    ceiling_now = highest > ceiling_now ? highest : ceiling_now;
    g = (struct esp_sa_grant){.epoch = epoch,
                              .first = epoch * 1000,
                              .end = epoch * 1000 + 10,
                              .floor = ceiling_now,
                              .ceiling = ceiling_now + 8};
    floor_now = g.floor;
    ceiling_now = g.ceiling;
    esp_sa_grant(&sa, &g);
}

/* One record; the bytes that it took, 0 = the input is at its end. */
static size_t record(const uint8_t *p, size_t n)
{
    size_t len;

    switch (p[0] % 6) {
    case 0:
        if (n < 2 || n < 2u + p[1])
            return 0;
        send_packet(p + 2, p[1]);
        return 2u + p[1];
    case 1:
        if (n < 4 || n < 4u + p[3])
            return 0;
        len = p[3];
        seal(get_be16(p + 1), p + 4, len);
        send_packet(last, last_len);
        return 4 + len;
    case 2:
        if (n < 2)
            return 0;
        if (last_len > 0) {
            uint8_t copy[512];

            memcpy(copy, last, last_len);
            copy[p[1] / 8] = (uint8_t)(copy[p[1] / 8] ^ 1u << (p[1] % 8));
            send_packet(copy, last_len);
            send_packet(last, last_len);
        }
        return 2;
    case 3:
        if (n < 3)
            return 0;
        ceiling_now = floor_now > get_be16(p + 1) ? floor_now : get_be16(p + 1);
        esp_sa_set_ceiling(&sa, ceiling_now);
        return 3;
    case 4:
        if (ceiling_now + 8 < NUMBERS && highest + 8 < NUMBERS)
            take_over();
        return 1;
    default:
        if (n < 3)
            return 0;
        release(get_be16(p + 1));
        return 3;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t at = 1;

    if (size == 0)
        return 0;
    set_up(data[0]);
    while (at < size) {
        size_t n = record(data + at, size - at);

        if (n == 0)
            break;
        at += n;
    }
    esp_cipher_deinit(&peer);
    esp_sa_deinit(&sa);
    return 0;
}
