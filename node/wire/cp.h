/* Configuration payload, RFC 7296 3.15. */
#ifndef HF_WIRE_CP_H
#define HF_WIRE_CP_H

#include "wire/payload.h"

enum wire_cp_type { WIRE_CFG_REQUEST = 1, WIRE_CFG_REPLY = 2, WIRE_CFG_SET = 3, WIRE_CFG_ACK = 4 };

enum wire_cp_attribute {
    WIRE_CP_IP4_ADDRESS = 1,
    WIRE_CP_IP4_NETMASK = 2,
    WIRE_CP_IP4_DNS = 3,
    WIRE_CP_IP6_ADDRESS = 8,
    WIRE_CP_IP6_DNS = 10
};

enum { WIRE_MAX_CP_ATTRIBUTES = 32 };

struct wire_cp_attr {
    uint16_t type; /* the reserved top bit is dropped */
    struct span value;
};

struct wire_cp {
    uint8_t type;
    struct wire_cp_attr attrs[WIRE_MAX_CP_ATTRIBUTES];
    size_t n;
};

enum wire_result wire_cp_decode(struct span body, struct wire_cp *out) HF_MUST_USE;
void wire_put_cp(struct wire_builder *b, const struct wire_cp *cp);

#endif
