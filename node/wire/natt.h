/* What shares UDP port 4500: RFC 3948 2.1-2.3 and RFC 7296 2.23. */
#ifndef HF_WIRE_NATT_H
#define HF_WIRE_NATT_H

#include "base/span.h"
#include "wire/result.h"

enum { WIRE_MARKER_BYTES = 4, WIRE_KEEPALIVE_BYTE = 0xff };

enum wire_natt {
    WIRE_NATT_IKE,       /* four zero bytes, then IKE: *inner is the IKE message */
    WIRE_NATT_ESP,       /* *inner is the whole datagram, SPI first */
    WIRE_NATT_KEEPALIVE, /* one byte 0xFF: ignore */
    WIRE_NATT_INVALID    /* too short for any of them */
};

enum wire_natt wire_natt_classify(struct span datagram, struct span *inner);

#endif
