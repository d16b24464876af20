/* The outer framing of the Encrypted payload, RFC 7296 3.14, RFC 5282 3: explicit IV, ciphertext,
 * ICV. Opens and seals nothing.
 *
 *   [generic header][IV][ciphertext = payloads | padding | pad length][ICV]
 */
#ifndef HF_WIRE_SK_H
#define HF_WIRE_SK_H

#include "wire/payload.h"

struct wire_sk {
    struct span iv, ciphertext, icv;
};

/* Splits an SK payload's body. Ciphertext has at least the pad length byte. */
enum wire_result wire_sk_split(struct span body, size_t iv_bytes, size_t icv_bytes,
                               struct wire_sk *out) HF_MUST_USE;
/* The payloads inside a decrypted SK body: removes padding (any values, RFC 7296 3.14) and its
 * length byte. */
enum wire_result wire_sk_unpad(struct span plaintext, struct span *payloads) HF_MUST_USE;

/* Where seal() must write: iv, room for text_bytes of ciphertext (payloads, then one zero pad
 * length byte) and the ICV. */
struct wire_sk_room {
    uint8_t *iv, *ciphertext, *icv; /* NULL on overflow */
    size_t
        aad_bytes; /* from the start of the message to the IV: the associated data (RFC 5282 5.1) */
};

/* Appends a whole SK payload with final lengths to a message builder; `inner_first` is the first
 * payload inside. Call wire_builder_finish() before sealing: the AAD covers the length field. */
struct wire_sk_room wire_put_sk(struct wire_builder *b, uint8_t inner_first, size_t iv_bytes,
                                size_t text_bytes, size_t icv_bytes);
/* The end of an SK or SKF payload that began at `start`: rooms for IV, ciphertext and ICV, then its
 * length. */
struct wire_sk_room wire_sk_room_end(struct wire_builder *b, size_t start, size_t iv_bytes,
                                     size_t text_bytes, size_t icv_bytes);

#endif
