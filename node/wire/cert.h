/* Certificate payloads: CERT (RFC 7296 3.6) and CERTREQ (3.7). Only X.509 certificates (encoding 4)
 * are used; of the others the encoding is told and nothing is fetched from anywhere. */
#ifndef HF_WIRE_CERT_H
#define HF_WIRE_CERT_H

#include "wire/payload.h"

enum { WIRE_CERT_X509 = 4, WIRE_CA_HASH_BYTES = 20 };

struct wire_cert {
    uint8_t encoding;
    struct span data; /* X.509: one DER certificate, not empty */
};

struct wire_certreq {
    uint8_t encoding;
    struct span
        hashes; /* X.509: SHA-1 of each CA's SubjectPublicKeyInfo, WIRE_CA_HASH_BYTES each; may
                           be empty */
};

enum wire_result wire_cert_decode(struct span body, struct wire_cert *out) HF_MUST_USE;
/* For X.509 the hashes are whole ones, else malformed. */
enum wire_result wire_certreq_decode(struct span body, struct wire_certreq *out) HF_MUST_USE;

void wire_put_cert(struct wire_builder *b, uint8_t encoding, struct span data);
void wire_put_certreq(struct wire_builder *b, uint8_t encoding, struct span hashes);

#endif
