/* Work that leaves the step because it is slow or randomises itself: key exchange, signing, judging a
 * peer's certificate and signature. The step says IKE_NEED_JOB and leaves the work in out->job; it
 * is run by ike_job_run(), off the loop or at once, which puts the answer into the event; then the
 * very same step is made again.
 *
 *   ike_step ─> IKE_NEED_JOB, out->job ─> ike_job_run(job, event) ─> ike_step with event->ke | sign | proof
 *
 * One step may need several, one after the other; each answer stays in the event. Jobs are plain
 * values without pointers into themselves: they may be copied, and are wiped by who holds them.
 */
#ifndef HF_IKE_JOB_H
#define HF_IKE_JOB_H

#include "base/secret.h"
#include "crypto/suite.h"
#include "ike/limits.h"

struct ike_event;

enum ike_job_kind { IKE_JOB_KE, IKE_JOB_SIGN, IKE_JOB_PROOF };

struct ike_ke_job {
    const struct suite_ke *ke;
    bool generate; /* private_key from `entropy`, then the public value */
    bool derive;   /* shared from private_key and peer_public */
    uint8_t entropy[SUITE_KE_ENTROPY_MAX_BYTES];
    struct secret private_key; /* when generate is false */
    uint8_t peer_public[SUITE_KE_MAX_BYTES];
    size_t peer_public_len;
};

/* Our AUTH value over `data` with a key of the policy's credentials. */
struct ike_sign_job {
    const struct suite_auth *auth;
    const void *key;
    const struct suite_signature *how;
    uint16_t data_len;
    uint8_t data[IKE_SIGNED_MAX_BYTES];
};

/* The peer's: everything but `data` came in one message. */
struct ike_proof_job {
    const struct suite_auth *auth;
    const void *trust;
    const struct suite_signature *how;
    uint64_t wall_s;
    bool gateway;
    uint8_t id_type, n_certs;
    uint16_t id_len, signature_len, data_len, cert_len[SUITE_MAX_CERTS];
    uint8_t bytes[IKE_MAX_MESSAGE_BYTES]; /* id, signature, certificates */
    uint8_t data[IKE_SIGNED_MAX_BYTES];
};

struct ike_job {
    enum ike_job_kind kind;
    union {
        struct ike_ke_job ke;
        struct ike_sign_job sign;
        struct ike_proof_job proof;
    };
};

/* Answers; done = there is one. */
struct ike_ke_result {
    bool done, ok;
    struct secret private_key;
    uint8_t public_value[SUITE_KE_MAX_BYTES];
    struct secret_long shared;
};

struct ike_sign_result {
    bool done, ok;
    uint16_t len;
    uint8_t value[IKE_MAX_SIGNATURE_BYTES];
};

struct ike_proof_result {
    bool done;
    enum suite_verdict verdict;
    struct suite_certificate about; /* the signer's, where the verdict is not good; else zeros */
};

/* Runs the job (no state, any thread; certificates allocate inside the library) and writes its
 * answer into the event. */
void ike_job_run(const struct ike_job *job, struct ike_event *event);

#endif
