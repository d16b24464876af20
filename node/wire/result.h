/* What every decoder in wire/ answers. A bad datagram is a result, never an assertion; decoders
 * neither log nor reply. */
#ifndef HF_WIRE_RESULT_H
#define HF_WIRE_RESULT_H

#include "base/assert.h"

enum wire_result {
    WIRE_OK,
    WIRE_TRUNCATED, /* a length field points beyond the bytes that are there */
    WIRE_MALFORMED, /* RFC 7296's INVALID_SYNTAX: lengths or values that contradict one another */
    WIRE_TOO_MANY,  /* well formed, but more of something than the fixed arrays hold */
    WIRE_VERSION,   /* another major version of IKE (RFC 7296 2.5) */
    WIRE_CRITICAL   /* an unknown payload with the critical bit (RFC 7296 2.5) */
};

#endif
