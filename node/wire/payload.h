/* The generic payload chain, RFC 7296 3.2, and the builder that writes one.
 *
 *   header(next) ─> payload(next, C, len, body) ─> payload(...) ─> 0
 *
 * A payload's file holds its decode beside its encode: decode takes the body (what follows the
 * generic header) and gives spans of it; encode appends a whole payload to a builder and links it
 * to the one before.
 */
#ifndef HF_WIRE_PAYLOAD_H
#define HF_WIRE_PAYLOAD_H

#include "wire/cursor.h"
#include "wire/header.h"
#include "wire/result.h"

enum wire_payload_type {
    WIRE_PL_NONE = 0,
    WIRE_PL_SA = 33,
    WIRE_PL_KE = 34,
    WIRE_PL_IDI = 35,
    WIRE_PL_IDR = 36,
    WIRE_PL_CERT = 37,
    WIRE_PL_CERTREQ = 38,
    WIRE_PL_AUTH = 39,
    WIRE_PL_NONCE = 40,
    WIRE_PL_NOTIFY = 41,
    WIRE_PL_DELETE = 42,
    WIRE_PL_VENDOR = 43,
    WIRE_PL_TSI = 44,
    WIRE_PL_TSR = 45,
    WIRE_PL_SK = 46,
    WIRE_PL_CP = 47,
    WIRE_PL_EAP = 48,
    WIRE_PL_SKF = 53 /* RFC 7383 */
};

enum { WIRE_PAYLOAD_HEADER_BYTES = 4, WIRE_MAX_PAYLOADS = 64, WIRE_MAX_MESSAGE_BYTES = 65535 };

struct wire_payload {
    uint8_t type;
    bool critical;
    uint8_t next; /* for SK and SKF: the type of the first payload inside */
    struct span body;
};

struct wire_chain {
    struct wire_payload items[WIRE_MAX_PAYLOADS];
    size_t n;
};

/* Splits `bytes` into payloads, the first of type `first`. SK and SKF end the chain (RFC 7296 3.14,
 * RFC 7383 2.5) and must end the bytes as well. Unknown payloads are skipped (not in *out); an unknown one with the
 * critical bit gives WIRE_CRITICAL with its type in *unsupported. Spans live as long as `bytes`. */
enum wire_result wire_chain_decode(uint8_t first, struct span bytes, struct wire_chain *out,
                                   uint8_t *unsupported) HF_MUST_USE;

/* Is this a payload that is understood here: those of RFC 7296, and SKF? The critical bit is ignored
 * on what is understood, and refused on what is not (RFC 7296 2.5). */
bool wire_payload_is_known(uint8_t type);

/* Builds a message: header first, then payloads; or, with no header, the inside of an SK payload.
 */
struct wire_builder {
    struct wire_writer w;
    uint8_t first;  /* type of the first payload, WIRE_PL_NONE while there is none */
    size_t next_at; /* where the pending "next payload" byte stands */
    bool has_header, has_next_at;
};

/* Begins a message in `room`; h->next_payload and h->length are filled in as it grows. */
struct wire_builder wire_builder_message(uint8_t *room, size_t cap, const struct wire_header *h);
/* Begins a bare chain (the plaintext of an SK payload); builder.first is what SK's next payload
 * must say. */
struct wire_builder wire_builder_chain(uint8_t *room, size_t cap);
/* Appends one payload's generic header; the body follows by wire_write_* on b->w;
 * wire_payload_end() sets its length. */
size_t wire_payload_begin(struct wire_builder *b, uint8_t type);
void wire_payload_end(struct wire_builder *b, size_t start);
/* Sets the message length (when there is a header). False: it did not fit. *out is what was built.
 */
bool wire_builder_finish(struct wire_builder *b, struct span *out) HF_MUST_USE;

#endif
