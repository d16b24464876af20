/* Key Exchange payload, RFC 7296 3.4. */
#ifndef HF_WIRE_KE_H
#define HF_WIRE_KE_H

#include "wire/payload.h"

struct wire_ke {
    uint16_t group;    /* transform type 4 */
    struct span value; /* not empty; its right length is the group's business */
};

enum wire_result wire_ke_decode(struct span body, struct wire_ke *out) HF_MUST_USE;
void wire_put_ke(struct wire_builder *b, uint16_t group, struct span value);

#endif
