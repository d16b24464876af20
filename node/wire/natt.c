#include "wire/natt.h"

#include "wire/cursor.h"

enum wire_natt wire_natt_classify(struct span datagram, struct span *inner)
{
    struct wire_reader r = wire_reader_of(datagram);

    if (datagram.len == 1 && wire_read_u8(&r) == WIRE_KEEPALIVE_BYTE)
        return WIRE_NATT_KEEPALIVE;
    r = wire_reader_of(datagram);
    if (datagram.len <= WIRE_MARKER_BYTES)
        return WIRE_NATT_INVALID;
    if (wire_read_u32(&r) != 0) { /* an SPI is never 0 (RFC 4303 2.1) */
        *inner = datagram;
        return WIRE_NATT_ESP;
    }
    *inner = wire_read_rest(&r);
    return WIRE_NATT_IKE;
}
