#include "wire/header.h"

enum { KNOWN_FLAGS = WIRE_FLAG_INITIATOR | WIRE_FLAG_VERSION | WIRE_FLAG_RESPONSE };

enum wire_result wire_header_decode(struct span datagram, struct wire_header *out)
{
    struct wire_reader r = wire_reader_of(datagram);
    struct wire_header h;
    uint8_t version;

    h.spi_i = wire_read_u64(&r);
    h.spi_r = wire_read_u64(&r);
    h.next_payload = wire_read_u8(&r);
    version = wire_read_u8(&r);
    h.major = (uint8_t)(version >> 4);
    h.minor = version & 0x0f; /* ignored by the receiver (RFC 7296 3.1) */
    h.exchange = wire_read_u8(&r);
    h.flags = wire_read_u8(&r) & KNOWN_FLAGS;
    h.message_id = wire_read_u32(&r);
    h.length = wire_read_u32(&r);
    if (r.truncated)
        return WIRE_TRUNCATED;
    if (h.major != WIRE_MAJOR_VERSION) {
        *out = h;
        return WIRE_VERSION;
    }
    if (h.length > datagram.len)
        return WIRE_TRUNCATED;
    if (h.length != datagram.len)
        return WIRE_MALFORMED;
    *out = h;
    return WIRE_OK;
}
