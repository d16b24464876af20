/* The IKE header, RFC 7296 3.1. Knows nothing of SAs: whether the SPIs and flags are right is the
 * engine's question. */
#ifndef HF_WIRE_HEADER_H
#define HF_WIRE_HEADER_H

#include "wire/cursor.h"
#include "wire/result.h"

enum { WIRE_HEADER_BYTES = 28, WIRE_MAJOR_VERSION = 2 };

enum wire_exchange {
    WIRE_EX_IKE_SA_INIT = 34,
    WIRE_EX_IKE_AUTH = 35,
    WIRE_EX_CREATE_CHILD_SA = 36,
    WIRE_EX_INFORMATIONAL = 37,
    WIRE_EX_IKE_SESSION_RESUME = 38, /* RFC 5723 */
    WIRE_EX_IKE_INTERMEDIATE = 43,   /* RFC 9242 */
    WIRE_EX_IKE_FOLLOWUP_KE = 44     /* RFC 9370 */
};

enum { WIRE_FLAG_INITIATOR = 0x08, WIRE_FLAG_VERSION = 0x10, WIRE_FLAG_RESPONSE = 0x20 };

struct wire_header {
    uint64_t spi_i, spi_r;
    uint8_t next_payload;
    uint8_t major, minor;
    uint8_t exchange; /* any value: unknown ones pass through */
    uint8_t flags;    /* reserved bits are dropped (MUST be ignored) */
    uint32_t message_id;
    uint32_t length; /* of the whole message, in bytes */
};

static inline bool wire_is_response(const struct wire_header *h)
{
    return (h->flags & WIRE_FLAG_RESPONSE) != 0;
}

/* The header of a datagram (non-ESP marker removed). The length field must be the datagram's.
 * WIRE_VERSION: *out is written, so that INVALID_MAJOR_VERSION can be answered; any other failure
 * leaves it alone. */
enum wire_result wire_header_decode(struct span datagram, struct wire_header *out) HF_MUST_USE;

#endif
