/* Authentication by certificate: what is asked for, which certificate of ours is shown, both AUTH
 * values. RFC 7296 2.15, 3.6-3.8; RFC 7427; RFC 4754; RFC 8420. Internal to ike/.
 *
 *   peer's AUTH ─> ike_cert_proof (a job) ─> event->proof
 *   ours        ─> ike_cert_choose ─> ike_cert_sign (a job) ─> event->sign ─> ike_cert_put
 *
 * Ways of signing: method 14 with what the peer announced in IKE_SA_INIT; else, with an ECDSA key, the
 * fixed methods 9 to 11; RSA without RFC 7427 is method 1 with SHA-1, only where the policy names it.
 */
#ifndef HF_IKE_CERT_AUTH_H
#define HF_IKE_CERT_AUTH_H

#include "ike/exchange.h"

/* How we sign: the certificate, the row, and the AUTH method that carries it. */
struct ike_signing {
    const struct ike_own_certificate *own;
    const struct suite_signature *how;
    uint8_t method;
};

/* Are certificates spoken at all under this policy? */
bool ike_certs_spoken(const struct ike_policy *policy);

/* IKE_SA_INIT: SIGNATURE_HASH_ALGORITHMS (RFC 7427 4). */
void ike_cert_put_hashes(const struct ike_policy *policy, struct wire_builder *b);
/* CERTREQ with our CAs, if there are any (RFC 7296 3.7). */
void ike_cert_put_request(const struct ike_policy *policy, struct wire_builder *b);

/* Which certificate, and how. asked: the IDr that the initiator named, NULL = none or not ours to
 * heed; requests: the message that had the peer's CERTREQs, NULL = none. False: nothing that we have
 * is anything that the peer could verify. */
bool ike_cert_choose(const struct ike_policy *policy, const struct ike_sa *sa,
                     const struct wire_id *asked, const struct wire_body *requests,
                     struct ike_signing *out) HF_MUST_USE;
/* What our ID payload says with it: the name that was asked for if the certificate has it. */
const struct ike_identity *ike_cert_identity(const struct ike_signing *s,
                                             const struct wire_id *asked);

/* Fills out->job with our signature. False: the PRF failed. */
bool ike_cert_sign(const struct ike_policy *policy, const struct ike_sa *sa,
                   const struct ike_signing *s, const struct ike_identity *id,
                   struct ike_transition *out) HF_MUST_USE;
/* CERT payloads and AUTH of event->sign. Always with certificates, asked or not: Apple's clients
 * ask for none. */
void ike_cert_put_chain(struct wire_builder *b, const struct ike_own_certificate *own);
void ike_cert_put_auth(struct wire_builder *b, const struct ike_signing *s,
                       const struct ike_sign_result *value);

/* Fills out->job with the peer's claim to be `id`. False: it cannot hold (a way of signing that is
 * not spoken or not allowed, no certificate, an identity that is too long). */
bool ike_cert_proof(const struct ike_policy *policy, const struct ike_sa *sa,
                    const struct ike_event *event, const struct wire_body *body,
                    const struct wire_id *id, struct ike_transition *out) HF_MUST_USE;

/* Are these the same name? Domain names know no upper case. */
bool ike_same_identity(const struct ike_identity *a, uint8_t type, struct span data);

#endif
