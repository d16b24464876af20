/* Security Association payload, RFC 7296 3.3: proposals of transforms with attributes. */
#ifndef HF_WIRE_SA_H
#define HF_WIRE_SA_H

#include "wire/payload.h"

enum wire_protocol {
    WIRE_PROTO_NONE = 0,
    WIRE_PROTO_IKE = 1,
    WIRE_PROTO_AH = 2,
    WIRE_PROTO_ESP = 3
};

enum wire_transform_type {
    WIRE_TR_ENCR = 1,
    WIRE_TR_PRF = 2,
    WIRE_TR_INTEG = 3,
    WIRE_TR_KE = 4,
    WIRE_TR_ESN = 5,
    WIRE_TR_ADDKE1 = 6, /* RFC 9370 4: up to seven additional key exchanges, 6..12 */
    WIRE_TR_ADDKE2 = 7,
    WIRE_TR_ADDKE3 = 8,
    WIRE_TR_ADDKE4 = 9,
    WIRE_TR_ADDKE5 = 10,
    WIRE_TR_ADDKE6 = 11,
    WIRE_TR_ADDKE7 = 12
};

enum { WIRE_ATTR_KEY_LENGTH = 14 };
enum { WIRE_MAX_PROPOSALS = 32, WIRE_MAX_TRANSFORMS = 256, WIRE_MAX_SPI_BYTES = 8 };

struct wire_transform {
    uint8_t type; /* any value */
    uint16_t id;
    uint16_t key_bits;      /* Key Length attribute; 0 = none */
    bool unknown_attribute; /* not to be chosen (RFC 7296 3.3.6) */
};

struct wire_proposal {
    uint8_t number, protocol;
    struct span spi; /* 0, 4 or 8 bytes */
    size_t first, n; /* its transforms: sa.transforms[first .. first + n) */
};

struct wire_sa {
    struct wire_proposal proposals[WIRE_MAX_PROPOSALS];
    size_t n_proposals;
    struct wire_transform transforms[WIRE_MAX_TRANSFORMS];
    size_t n_transforms;
};

/* Proposal numbers are taken as they come: whether they must begin at 1 is the reader's policy. */
enum wire_result wire_sa_decode(struct span body, struct wire_sa *out) HF_MUST_USE;
void wire_put_sa(struct wire_builder *b, const struct wire_sa *sa);

/* For building: appends a proposal, then transforms to the last proposal. Asserts the bounds. */
void wire_sa_add_proposal(struct wire_sa *sa, uint8_t number, uint8_t protocol, struct span spi);
void wire_sa_add_transform(struct wire_sa *sa, uint8_t type, uint16_t id, uint16_t key_bits);

#endif
