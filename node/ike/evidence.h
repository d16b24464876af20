/* What a refusal was about: what the peer offered beside what would have been taken, and which check
 * its credentials failed. Comes with the transition's `reason`, so that who keeps failed attempts can
 * explain them. Data of fixed size; no secret, and nothing that a peer could make longer.
 *
 *   ike_step ─> reason (one word) + evidence (offered | allowed) ─> conductor/attempts.h keeps both
 *
 * Only what this end refuses as responder has evidence; where the peer refuses, its Notify is all that
 * is known (peer_error), but for IKE_AUTH: whom we showed comes with our answer, and who keeps it can say
 * what a peer refuses that then says AUTHENTICATION_FAILED.
 */
#ifndef HF_IKE_EVIDENCE_H
#define HF_IKE_EVIDENCE_H

#include "ike/job.h"
#include "ike/policy.h"

struct wire_body;
struct wire_id;
struct wire_sa;
struct wire_ts_list;

enum { IKE_EVIDENCE_TRANSFORMS = 48, IKE_EVIDENCE_HASH_BYTES = 32 };

enum ike_evidence_about {
    IKE_EVIDENCE_NONE,
    IKE_EVIDENCE_PROPOSALS,
    IKE_EVIDENCE_GROUP,
    IKE_EVIDENCE_SELECTORS,
    IKE_EVIDENCE_CREDENTIALS,
    IKE_EVIDENCE_ADDRESSES,
    IKE_EVIDENCE_PAYLOAD,
    IKE_EVIDENCE_GATEWAY,
    IKE_EVIDENCE_COUNT
};

/* RFC 7296 3.3.2. */
struct ike_evidence_transform {
    uint8_t proposal; /* of the offer, from 1; 0 = of what is allowed */
    uint8_t type;
    uint16_t id, key_bits;
};

/* Different ones alone, in the order in which they came; `more`: others did not fit. */
struct ike_evidence_transforms {
    struct ike_evidence_transform items[IKE_EVIDENCE_TRANSFORMS];
    uint8_t n;
    bool more;
};

struct ike_evidence_selectors {
    struct ike_ts items[IKE_MAX_TS];
    uint8_t n;
    bool more;
};

/* Which check the peer's AUTH did not pass. */
enum ike_check {
    IKE_CHECK_NONE,
    IKE_CHECK_NO_AUTH,          /* it sent none: it wants EAP (RFC 7296 2.16) */
    IKE_CHECK_UNKNOWN_IDENTITY, /* by shared key, and there is none for who it says it is */
    IKE_CHECK_WRONG_KEY,        /* by shared key, and another one than ours */
    IKE_CHECK_NO_TRUST,         /* by certificate, and no CA is configured */
    IKE_CHECK_NO_CERTIFICATE,   /* by certificate, and it sent none */
    IKE_CHECK_METHOD,           /* signed in a way that is not spoken or not allowed */
    IKE_CHECK_CERTIFICATE,      /* it was judged: the verdict says how (crypto/suite.h) */
    IKE_CHECK_COUNT
};

struct ike_evidence {
    enum ike_evidence_about about;
    union {
        struct {
            uint8_t protocol; /* WIRE_PROTO_IKE or _ESP */
            struct ike_evidence_transforms offered, allowed;
        } proposals;
        struct {
            uint16_t sent, wanted; /* sent: 0 = no KE payload came */
        } group;
        /* local: networks behind us (TSr); remote: the peer's side (TSi). */
        struct {
            struct ike_evidence_selectors offered_local, offered_remote;
            struct ike_evidence_selectors allowed_local, allowed_remote;
        } selectors;
        struct {
            enum ike_check check;
            uint8_t method;                          /* of AUTH, RFC 7296 3.8; 0 = none came */
            uint8_t n_certificates;                  /* that came */
            uint8_t sha256[IKE_EVIDENCE_HASH_BYTES]; /* of the first one, where there is one */
            struct suite_certificate about;          /* ... where it was judged and did not pass */
        } credentials;
        struct {
            bool wanted[ADDR_SLOTS], has_pool[ADDR_SLOTS];
        } addresses;
        uint8_t payload; /* the critical one that is not known (RFC 7296 2.5) */
        struct {
            struct ike_identity asked, shown; /* IDr of the peer's, type 0 = none came; and ours */
            bool by_certificate;              /* what proves us */
        } gateway;
    };
};

/* Each writes *e whole. */
void ike_evidence_none(struct ike_evidence *e);
void ike_evidence_proposals(struct ike_evidence *e, const struct ike_policy *policy,
                            uint8_t protocol, const struct wire_sa *offer);
void ike_evidence_group(struct ike_evidence *e, uint16_t sent, uint16_t wanted);
void ike_evidence_selectors(struct ike_evidence *e, const struct wire_body *body,
                            const struct ike_ts *local, size_t n_local, const struct ike_ts *remote,
                            size_t n_remote);
/* psk_found: there is a shared key for that identity. */
void ike_evidence_credentials(struct ike_evidence *e, const struct ike_policy *policy,
                              const struct wire_body *body, bool psk_found,
                              const struct ike_proof_result *proof);
void ike_evidence_addresses(struct ike_evidence *e, const bool wanted[ADDR_SLOTS],
                            const bool has_pool[ADDR_SLOTS]);
void ike_evidence_payload(struct ike_evidence *e, uint8_t type);
/* asked: NULL = no IDr came. */
void ike_evidence_gateway(struct ike_evidence *e, const struct wire_id *asked,
                          const struct ike_identity *shown, bool by_certificate);

#endif
