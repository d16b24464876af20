/* Delete payload, RFC 7296 3.11: IKE without SPIs, ESP and AH with 4-byte SPIs (the sender's
 * inbound ones). */
#ifndef HF_WIRE_DELETE_H
#define HF_WIRE_DELETE_H

#include "wire/payload.h"
#include "wire/sa.h"

struct wire_delete {
    uint8_t protocol; /* WIRE_PROTO_IKE, _AH or _ESP */
    size_t n_spis;    /* 0 for IKE */
    struct span spis; /* n_spis * 4 bytes */
};

enum wire_result wire_delete_decode(struct span body, struct wire_delete *out) HF_MUST_USE;
/* The i-th SPI (i < n_spis, asserted). */
uint32_t wire_delete_spi(const struct wire_delete *d, size_t i);
void wire_put_delete_ike(struct wire_builder *b);
/* protocol: WIRE_PROTO_AH or WIRE_PROTO_ESP; n > 0 SPIs (asserted). */
void wire_put_delete_spis(struct wire_builder *b, uint8_t protocol, const uint32_t *spis, size_t n);
void wire_put_delete_esp(struct wire_builder *b, const uint32_t *spis, size_t n);

#endif
