/* Key derivation, RFC 7296 2.13-2.15, 2.17, 2.18 with AEAD ciphers (RFC 5282: no SK_a).
 * Intermediates are wiped.
 *
 *   SKEYSEED = prf(Ni | Nr, g^ir), after a rekey prf(SK_d old, g^ir | Ni | Nr)
 *   SK_d | SK_ei | SK_er | SK_pi | SK_pr = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr)
 *   KEYMAT = prf+(SK_d, [g^ir |] Ni | Nr)
 *
 * All return false when an algorithm fails; the outputs are then unwritten.
 */
#ifndef HF_IKE_KEYS_H
#define HF_IKE_KEYS_H

#include "ike/state.h"

struct ike_key_inputs {
    struct span nonce_i, nonce_r; /* of the initiator and responder of this exchange */
    uint64_t spi_i, spi_r;        /* of the new IKE SA (unused for KEYMAT) */
    enum ike_role role;           /* ours in this exchange: which direction is "in" */
};

/* prf+(key, seed): up to 255 blocks (RFC 7296 2.13). */
bool ike_prf_plus(const struct suite_prf *prf, struct span key, const struct span *seed,
                  size_t n_seed, uint8_t *out, size_t len) HF_MUST_USE;

/* Keys of a new IKE SA from IKE_SA_INIT. */
bool ike_keys_derive(const struct suite_prf *prf, const struct suite_aead *aead,
                     const struct secret *shared, const struct ike_key_inputs *in,
                     struct ike_keys *out) HF_MUST_USE;

/* Keys of an IKE SA that succeeds another: SKEYSEED by the old SA's PRF and SK_d, the rest by the
 * new one's (RFC 7296 2.18). */
bool ike_keys_rekey(const struct suite_prf *old_prf, const struct secret *old_sk_d,
                    const struct suite_prf *prf, const struct suite_aead *aead,
                    const struct secret *shared, const struct ike_key_inputs *in,
                    struct ike_keys *out) HF_MUST_USE;

/* Keys of a CHILD SA: cipher key then salt each way. shared NULL = no PFS. */
bool ike_child_keys_derive(const struct suite_prf *prf, const struct secret *sk_d,
                           const struct suite_aead *aead, const struct secret *shared,
                           const struct ike_key_inputs *in, struct secret *key_in,
                           struct secret *key_out) HF_MUST_USE;

/* The AUTH value for a shared key (RFC 7296 2.15): prf(prf(psk, "Key Pad for IKEv2"), message |
 * nonce | prf(sk_p, id_body)). message: the signer's IKE_SA_INIT message as sent; nonce: the other
 * side's; id_body: the signer's ID payload body. */
bool ike_auth_psk_value(const struct suite_prf *prf, const struct secret *psk, struct span message,
                        struct span nonce, const struct secret *sk_p, struct span id_body,
                        uint8_t out[SUITE_PRF_MAX_BYTES]) HF_MUST_USE;

#endif
