/* Addresses as plain values, comparable byte by byte once made by addr_v4/addr_v6 (unused bytes are
 * zero). */
#ifndef HF_BASE_ADDR_H
#define HF_BASE_ADDR_H

#include "base/bytes.h"
#include "base/span.h"

enum { ADDR_NONE = 0, ADDR_V4 = 4, ADDR_V6 = 6 };

/* Where there may be one of each family, an array has both: [SLOT_V4], [SLOT_V6]; family ADDR_NONE
 * where there is none. */
enum { SLOT_V4, SLOT_V6, ADDR_SLOTS };

/* An IP address: 4 or 16 bytes in network order. */
struct ip_addr {
    uint8_t family; /* ADDR_NONE, ADDR_V4, ADDR_V6 */
    uint8_t bytes[16];
};

/* A transport endpoint. */
struct endpoint {
    struct ip_addr ip;
    uint16_t port; /* host order */
};

static inline struct ip_addr addr_v4(uint32_t host_order)
{
    struct ip_addr a = {.family = ADDR_V4};

    put_be32(a.bytes, host_order);
    return a;
}

/* 16 bytes in network order. */
static inline struct ip_addr addr_v6(const uint8_t bytes[16])
{
    struct ip_addr a = {.family = ADDR_V6};

    memcpy(a.bytes, bytes, 16);
    return a;
}

/* The slot of a family that is not ADDR_NONE. */
static inline unsigned addr_slot(uint8_t family)
{
    return family == ADDR_V6 ? SLOT_V6 : SLOT_V4;
}

static inline uint8_t addr_family_of(unsigned slot)
{
    return slot == SLOT_V6 ? ADDR_V6 : ADDR_V4;
}

static inline bool addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, 16) == 0;
}

static inline bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && addr_equal(&a->ip, &b->ip);
}

static inline bool addr_is_set(const struct ip_addr *a)
{
    return a->family != ADDR_NONE;
}

/* Bytes of the address on the wire: 4, 16, or 0. */
static inline size_t addr_len(const struct ip_addr *a)
{
    return a->family == ADDR_V4 ? 4 : a->family == ADDR_V6 ? 16 : 0;
}

#endif
