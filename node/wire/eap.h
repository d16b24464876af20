/* EAP payload, RFC 7296 3.16: one EAP message of RFC 3748 4. What the method says is the method's;
 * here only the frame is judged.
 *
 *   Request, Response: [code][identifier][length][type][data...]      Success, Failure: the first four bytes
 */
#ifndef HF_WIRE_EAP_H
#define HF_WIRE_EAP_H

#include "wire/payload.h"

enum wire_eap_code {
    WIRE_EAP_REQUEST = 1,
    WIRE_EAP_RESPONSE = 2,
    WIRE_EAP_SUCCESS = 3,
    WIRE_EAP_FAILURE = 4
};

struct wire_eap {
    uint8_t code, identifier;
    uint8_t type;        /* of the method; 0 for Success and Failure, which have none */
    struct span data;    /* behind the type; may be empty */
    struct span message; /* the whole EAP message, as RADIUS carries it on (RFC 3579 3.1) */
};

/* Refuses codes other than the four, a length field that is not the body's (RFC 7296 3.16: four
 * less than the payload's), a Request or Response without a type or with type 0, and a Success or
 * Failure that is not four bytes (RFC 3748 4.2). */
enum wire_result wire_eap_decode(struct span body, struct wire_eap *out) HF_MUST_USE;
/* Appends an EAP message as it is; its length field is the sender's. */
void wire_put_eap(struct wire_builder *b, struct span message);

#endif
