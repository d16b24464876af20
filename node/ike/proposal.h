/* Proposals: what we offer, what we choose, whether what was chosen was offered. RFC 7296 2.7, 3.3;
 * RFC 5282 8.
 *
 * The policy's rows decide, earlier ones first; a row counts only when the suite table has its
 * algorithms. Combined modes come without integrity or with NONE, other ciphers with one (RFC 7296
 * 3.3.3, RFC 5282 8). The number of the peer's proposal is echoed, whatever it is (macOS 14 rekeys with a
 * number other than 1).
 */
#ifndef HF_IKE_PROPOSAL_H
#define HF_IKE_PROPOSAL_H

#include "ike/policy.h"
#include "ike/step.h"
#include "wire/sa.h"

struct ike_choice {
    uint8_t number;              /* of the proposal */
    struct span spi;             /* the peer's SPI: empty, 4 or 8 bytes */
    struct ike_proposal_row row; /* what was agreed: ke_id 0 = none; esn as agreed */
    bool integ_none, ke_none;    /* the offer named these as NONE, so the answer does (3.3) */
};

/* May a CHILD SA come with a key exchange? */
enum ike_child_ke {
    IKE_CHILD_KE_NONE,     /* IKE_AUTH (RFC 7296 1.2), or no PFS: choose only what needs none */
    IKE_CHILD_KE_OPTIONAL, /* with a group when the offer has one that we allow, else without */
    IKE_CHILD_KE_REQUIRED
};

/* Responder: picks from the offer. spi_bytes: 0 in IKE_SA_INIT, 8 in an IKE rekey. False:
 * NO_PROPOSAL_CHOSEN. Whether a KE payload of choice.row.ke_id came with it is the caller's
 * question (else INVALID_KE_PAYLOAD with that group). */
bool ike_proposal_choose_ike(const struct ike_policy *policy, const struct wire_sa *offer,
                             size_t spi_bytes, struct ike_choice *out) HF_MUST_USE;

/* The same for ESP (SPI of 4 bytes, not below 256). The group of a row whose ke_id is 0 is
 * default_ke (the IKE SA's). */
bool ike_proposal_choose_esp(const struct ike_policy *policy, const struct wire_sa *offer,
                             enum ike_child_ke ke, uint16_t default_ke,
                             struct ike_choice *out) HF_MUST_USE;

/* Why the offer has nothing for us, once choosing has failed: IKE_REASON_WEAK_GROUP or
 * _WEAK_ALGORITHM when it would do but for that, else IKE_REASON_NO_PROPOSAL. */
enum ike_reason ike_proposal_refusal(const struct ike_policy *policy, uint8_t protocol,
                                     const struct wire_sa *offer);

/* Initiator: the usable rows, numbered from 1, as few proposals as say the same: one names several
 * transforms of a kind where all their combinations are rows (proposal_offer.c). spi_local empty in
 * IKE_SA_INIT, 8 bytes in a rekey, borrowed. */
void ike_proposal_offer_ike(const struct ike_policy *policy, struct span spi_local,
                            struct wire_sa *out);

/* Initiator: the rows for ESP. ke_id 0: without a transform of type 4. Else all of them with this group
 * (that of the KE payload sent with it), then those that name another one: a peer without the first
 * asks for it by INVALID_KE_PAYLOAD (RFC 7296 1.3). */
void ike_proposal_offer_esp(const struct ike_policy *policy, struct span spi_local, uint16_t ke_id,
                            struct wire_sa *out);

/* The group that our KE payload should use: the first usable row's; of a CHILD SA's row that names
 * none it is default_ke (the IKE SA's). 0 = none. */
uint16_t ike_proposal_first_ke(const struct ike_policy *policy);
uint16_t ike_proposal_child_ke(const struct ike_policy *policy, uint16_t default_ke);
/* Is this group in a row for IKE (so that an INVALID_KE_PAYLOAD that names it may be followed)? */
bool ike_proposal_ike_ke_allowed(const struct ike_policy *policy, uint16_t ke_id);
bool ike_proposal_child_ke_allowed(const struct ike_policy *policy, uint16_t default_ke,
                                   uint16_t ke_id);

/* Initiator: the answer holds one proposal, one transform of each kind, all of them offered by us.
 * ke_id: as we sent it, 0 = none. */
bool ike_proposal_accept_ike(const struct ike_policy *policy, const struct wire_sa *answer,
                             size_t spi_bytes, uint16_t ke_id, struct ike_choice *out) HF_MUST_USE;
bool ike_proposal_accept_esp(const struct ike_policy *policy, const struct wire_sa *answer,
                             uint16_t ke_id, struct ike_choice *out) HF_MUST_USE;

/* Responder: the answering SA payload: the chosen proposal with our SPI (empty in IKE_SA_INIT),
 * borrowed. */
void ike_proposal_answer(uint8_t protocol, const struct ike_choice *choice, struct span spi_local,
                         struct wire_sa *out);

/* Does the table have the row's algorithms? */
bool ike_proposal_ike_usable(const struct ike_policy *policy, const struct ike_proposal_row *row);
bool ike_proposal_esp_usable(const struct ike_policy *policy, const struct ike_proposal_row *row);

/* SPI of 4 or 8 bytes as a number (asserts the length). */
uint32_t ike_spi32(struct span spi);
uint64_t ike_spi64(struct span spi);

#endif
