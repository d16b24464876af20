#include "pair.h"

#include "crypto/tables.h"

const struct endpoint pair_client = {{ADDR_V4, {10, 77, 1, 50}}, 4500};
const struct endpoint pair_gateway = {{ADDR_V4, {10, 77, 1, 100}}, 4500};
const struct endpoint pair_elsewhere = {{ADDR_V4, {10, 77, 1, 51}}, 31000};

enum { HEADER = 28, SERVER = 0x0a4d020a };

static void key(struct secret *s, size_t len, uint8_t seed)
{
    uint8_t bytes[SECRET_MAX_BYTES];

    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(seed + i * 7);
    secret_set(s, bytes, len);
}

static struct esp_selector range(uint32_t low, uint32_t high)
{
    return (struct esp_selector){
        .port_high = UINT16_MAX, .low = addr_v4(low), .high = addr_v4(high)};
}

struct esp_sa_params pair_params(const struct pair_options *o, bool gateway)
{
    const struct suite_aead *aead =
        suite_find_aead(&suite_default, 20, o->key_bits == 0 ? 256 : o->key_bits, 0);
    struct esp_selector behind = range(0x0a4d0200, 0x0a4d02ff),
                        client = range(o->virtual_ip, o->virtual_ip);
    uint32_t other = o->spi + 0x10000000;
    struct esp_sa_params p = {
        .spi_in = gateway ? o->spi : other,
        .spi_out = gateway ? other : o->spi,
        .ike_sa = 0x1122334455667788,
        .aead = aead,
        .esn = o->esn,
        .remote = gateway ? pair_client : pair_gateway,
        .outbound = true,
        .soft_packets = gateway ? o->soft_packets : 0,
        .hard_packets = gateway ? o->hard_packets : 0,
        .soft_bytes = gateway ? o->soft_bytes : 0,
        .hard_bytes = gateway ? o->hard_bytes : 0,
    };
    size_t len = (size_t)aead->key_bytes + aead->salt_bytes;

    key(gateway ? &p.key_in : &p.key_out, len, (uint8_t)(1 + o->spi));
    key(gateway ? &p.key_out : &p.key_in, len, (uint8_t)(100 + o->spi));
    p.selectors.n_local = p.selectors.n_remote = 1;
    p.selectors.local[0] = gateway ? behind : client;
    p.selectors.remote[0] = gateway ? client : behind;
    return p;
}

static uint16_t header_checksum(const uint8_t *header)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < 20; i += 2)
        sum += get_be16(header + i);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~(sum + (sum >> 16));
}

struct span pair_packet(uint8_t *buf, size_t len, uint32_t from, uint32_t to, uint32_t number)
{
    HF_ASSERT(len >= HEADER + 4);
    memset(buf, 0, len);
    buf[0] = 0x45;
    put_be16(buf + 2, (uint16_t)len);
    buf[8] = 64;
    buf[9] = 17;
    put_be32(buf + 12, from);
    put_be32(buf + 16, to);
    put_be16(buf + 10, header_checksum(buf));
    put_be16(buf + 20, 1000);
    put_be16(buf + 22, 2000);
    put_be16(buf + 24, (uint16_t)(len - 20));
    put_be32(buf + HEADER, number);
    for (size_t i = HEADER + 4; i < len; i++)
        buf[i] = (uint8_t)(number + i);
    return span_of(buf, len);
}

struct span pair_up(uint8_t *buf, size_t len, const struct pair_options *o, uint32_t number)
{
    return pair_packet(buf, len, o->virtual_ip, SERVER, number);
}

struct span pair_down(uint8_t *buf, size_t len, const struct pair_options *o, uint32_t number)
{
    return pair_packet(buf, len, SERVER, o->virtual_ip, number);
}

uint32_t pair_number(struct span packet)
{
    uint32_t number;

    if (packet.len < HEADER + 4 || get_be16(packet.data + 2) != packet.len ||
        get_be16(packet.data + 22) != 2000)
        return UINT32_MAX;
    number = get_be32(packet.data + HEADER);
    for (size_t i = HEADER + 4; i < packet.len; i++)
        if (packet.data[i] != (uint8_t)(number + i))
            return UINT32_MAX;
    return number;
}
