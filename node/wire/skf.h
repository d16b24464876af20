/* The outer framing of an Encrypted Fragment payload, RFC 7383 2.5. Opens, seals and gathers nothing.
 *
 *   [generic header][fragment number][total fragments][IV][ciphertext][ICV]
 */
#ifndef HF_WIRE_SKF_H
#define HF_WIRE_SKF_H

#include "wire/sk.h"

enum { WIRE_SKF_HEADER_BYTES = 4 };

struct wire_skf {
    uint16_t number, total; /* 1 <= number <= total */
    uint8_t inner_first;    /* type of the first payload inside; 0 but in fragment 1 */
    struct wire_sk sk;
};

/* `next` is the payload's next payload field. RFC 7383 2.5: number and total are not 0, number does
 * not exceed total; the first fragment alone names what is inside, the others say 0. */
enum wire_result wire_skf_split(uint8_t next, struct span body, size_t iv_bytes, size_t icv_bytes,
                                struct wire_skf *out) HF_MUST_USE;

/* Appends a whole SKF payload with final lengths to a message builder, as wire_put_sk() does. The
 * two counters are part of the associated data (RFC 7383 2.5), so aad_bytes covers them. */
struct wire_sk_room wire_put_skf(struct wire_builder *b, const struct wire_skf *fragment,
                                 size_t iv_bytes, size_t text_bytes, size_t icv_bytes);

#endif
