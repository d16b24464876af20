/* DER elements of definite length, as far as an AlgorithmIdentifier needs them (X.690 8.1.3, 10.1):
 * one tag byte, the shortest length of at most three bytes. */
#ifndef HF_WIRE_DER_H
#define HF_WIRE_DER_H

#include "wire/cursor.h"

enum {
    DER_INTEGER = 0x02,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
    DER_CONTEXT = 0xa0 /* [n] EXPLICIT is DER_CONTEXT + n */
};

/* The next element's content. False: another tag, a length that is not the shortest, or cut off;
 * *r is then of no use. */
bool der_take(struct wire_reader *r, uint8_t tag, struct span *content) HF_MUST_USE;

/* Is there a next element, with this tag? Takes nothing. */
bool der_next_is(const struct wire_reader *r, uint8_t tag);

#endif
