/* Two ends of one CHILD SA for tests: the gateway's and the client's, keys crossed, one virtual
 * address. */
#ifndef HF_TESTS_ESP_PAIR_H
#define HF_TESTS_ESP_PAIR_H

#include "esp/db.h"
#include "esp/inbound.h"
#include "esp/outbound.h"

enum { PAIR_EPOCH = 7 };

struct pair_options {
    uint32_t spi;        /* gateway's inbound SPI; the client's is spi + 0x10000000 */
    uint32_t virtual_ip; /* host order */
    uint16_t key_bits;   /* 128 or 256 */
    bool esn;
    uint64_t soft_packets, hard_packets, soft_bytes, hard_bytes;
};

/* The parameters of either end: gateway networks 10.77.2.0/24. */
struct esp_sa_params pair_params(const struct pair_options *o, bool gateway);

/* A UDP packet in IPv4, `len` bytes in all (>= 28), ports 1000 and 2000, payload filled from the
 * number. The bytes used. */
struct span pair_packet(uint8_t *buf, size_t len, uint32_t from, uint32_t to, uint32_t number);

/* from the client's virtual address to a server behind the gateway, and back */
struct span pair_up(uint8_t *buf, size_t len, const struct pair_options *o, uint32_t number);
struct span pair_down(uint8_t *buf, size_t len, const struct pair_options *o, uint32_t number);

/* The number that pair_packet put in, or UINT32_MAX when it is no such packet. */
uint32_t pair_number(struct span packet);

extern const struct endpoint pair_client, pair_gateway, pair_elsewhere;

#endif
