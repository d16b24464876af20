/* Identification payloads IDi and IDr, RFC 7296 3.5. */
#ifndef HF_WIRE_ID_H
#define HF_WIRE_ID_H

#include "wire/payload.h"

enum wire_id_type {
    WIRE_ID_IPV4 = 1,
    WIRE_ID_FQDN = 2,
    WIRE_ID_RFC822 = 3,
    WIRE_ID_IPV6 = 5,
    WIRE_ID_DER_DN = 9,
    WIRE_ID_DER_GN = 10,
    WIRE_ID_KEY_ID = 11
};

struct wire_id {
    uint8_t type;
    struct span data; /* addresses have 4 or 16 bytes (checked); others 1 or more */
    struct span body; /* the whole body, RestOfIDPayload of RFC 7296 2.15: type, 3 reserved bytes as
                         received, data */
};

enum wire_result wire_id_decode(struct span body, struct wire_id *out) HF_MUST_USE;
/* payload_type: WIRE_PL_IDI or WIRE_PL_IDR. Reserved bytes are sent as zero. */
void wire_put_id(struct wire_builder *b, uint8_t payload_type, uint8_t id_type, struct span data);

#endif
