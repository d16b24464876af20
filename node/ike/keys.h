/* Key derivation, RFC 7296 2.13-2.15, 2.17, 2.18. Lengths follow from the rows; with a combined mode
 * the integrity keys are empty (RFC 5282 7.1). Intermediates are wiped.
 *
 *   SKEYSEED = prf(Ni | Nr, g^ir), after a rekey prf(SK_d old, g^ir | Ni | Nr)
 *   SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr =
 *                                                   prf+(SKEYSEED, Ni | Nr | SPIi | SPIr)
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
bool ike_keys_derive(const struct suite_prf *prf, const struct suite_aead *aead, struct span shared,
                     const struct ike_key_inputs *in, struct ike_keys *out) HF_MUST_USE;

/* Has each key the length that these rows give it? */
bool ike_keys_fit(const struct suite_prf *prf, const struct suite_aead *aead,
                  const struct ike_keys *keys);

/* Keys of an IKE SA that succeeds another: SKEYSEED by the old SA's PRF and SK_d, the rest by the
 * new one's (RFC 7296 2.18). */
bool ike_keys_rekey(const struct suite_prf *old_prf, const struct secret *old_sk_d,
                    const struct suite_prf *prf, const struct suite_aead *aead, struct span shared,
                    const struct ike_key_inputs *in, struct ike_keys *out) HF_MUST_USE;

/* Keys of a CHILD SA each way: cipher key then salt, integrity key. */
struct ike_child_keys {
    struct secret key_in, key_out, integ_in, integ_out;
};

/* shared empty = no PFS. */
bool ike_child_keys_derive(const struct suite_prf *prf, const struct secret *sk_d,
                           const struct suite_aead *aead, struct span shared,
                           const struct ike_key_inputs *in, struct ike_child_keys *out) HF_MUST_USE;

/* A new CHILD SA's slot gets what was agreed (row, esn and group) and its keys from the SA's SK_d.
 * False: the table has no such row, or an algorithm failed; the slot is untouched. */
bool ike_child_take_suite(const struct ike_policy *policy, const struct ike_sa *sa,
                          const struct ike_proposal_row *row, struct span shared,
                          const struct ike_key_inputs *in, struct ike_child *child) HF_MUST_USE;

/* The AUTH value for a shared key (RFC 7296 2.15): prf(prf(psk, "Key Pad for IKEv2"), message |
 * nonce | prf(sk_p, id_body)). message: the signer's IKE_SA_INIT message as sent; nonce: the other
 * side's; id_body: the signer's ID payload body. */
bool ike_auth_psk_value(const struct suite_prf *prf, const struct secret *psk, struct span message,
                        struct span nonce, const struct secret *sk_p, struct span id_body,
                        uint8_t out[SUITE_PRF_MAX_BYTES]) HF_MUST_USE;

#endif
