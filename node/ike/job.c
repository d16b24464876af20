/* Work leaves the step as a job and comes back in the event (job.h). Key exchange here; signing and
 * the peer's proof are made in cert_auth.c. */
#include "ike/job.h"

#include "ike/entropy.h"
#include "ike/exchange.h"

HF_STATIC_ASSERT(SUITE_KE_MAX_BYTES <= sizeof((struct ike_ke_job *)0)->peer_public);

bool ike_ke_job_make(struct ike_transition *out, const struct suite_ke *ke,
                     const struct ike_event *event, bool generate, const struct secret *private_key,
                     const struct span *peer_public)
{
    struct ike_ke_job *job = &out->job.ke;

    HF_ASSERT(generate || private_key != NULL);
    if (peer_public != NULL && peer_public->len != ke->public_bytes)
        return false;
    memset(job, 0, sizeof *job);
    out->job.kind = IKE_JOB_KE;
    job->ke = ke;
    job->generate = generate;
    HF_ASSERT(ke->entropy_bytes <= sizeof job->entropy);
    if (generate)
        memcpy(job->entropy, event->entropy + IKE_ENTROPY_KE, ke->entropy_bytes);
    else
        job->private_key = *private_key;
    if (peer_public != NULL) {
        job->derive = true;
        HF_ASSERT(peer_public->len <= sizeof job->peer_public);
        memcpy(job->peer_public, peer_public->data, peer_public->len);
        job->peer_public_len = peer_public->len;
    }
    return true;
}

static void run_ke(const struct ike_ke_job *job, struct ike_ke_result *result)
{
    memset(result, 0, sizeof *result);
    result->done = true;
    result->ok = true;
    if (job->generate)
        result->ok =
            job->ke->generate(job->ke, job->entropy, &result->private_key, result->public_value);
    else
        result->private_key = job->private_key;
    if (result->ok && job->derive)
        result->ok =
            job->ke->derive(job->ke, &result->private_key,
                            span_of(job->peer_public, job->peer_public_len), &result->shared);
    if (!result->ok) {
        secret_wipe(&result->private_key);
        secret_wipe_bytes(&result->shared, sizeof result->shared);
    }
}

static void run_sign(const struct ike_sign_job *job, struct ike_sign_result *result)
{
    size_t len = 0;

    memset(result, 0, sizeof *result);
    result->done = true;
    result->ok = job->auth->sign(job->key, job->how, span_of(job->data, job->data_len),
                                 result->value, sizeof result->value, &len);
    result->len = result->ok ? (uint16_t)len : 0;
}

static void run_proof(const struct ike_proof_job *job, struct ike_proof_result *result)
{
    struct suite_claim claim = {.n_certs = job->n_certs,
                                .id_type = job->id_type,
                                .gateway = job->gateway,
                                .wall_s = job->wall_s,
                                .how = job->how,
                                .data = span_of(job->data, job->data_len)};
    const uint8_t *at = job->bytes;

    claim.id = span_of(at, job->id_len);
    at += job->id_len;
    claim.signature = span_of(at, job->signature_len);
    at += job->signature_len;
    for (uint8_t i = 0; i < job->n_certs; i++) {
        claim.certs[i] = span_of(at, job->cert_len[i]);
        at += job->cert_len[i];
    }
    HF_ASSERT(at <= job->bytes + sizeof job->bytes);
    memset(result, 0, sizeof *result);
    result->verdict = job->auth->verify(job->trust, &claim);
    if (result->verdict != SUITE_GOOD && job->auth->describe != NULL && claim.n_certs > 0)
        job->auth->describe(claim.certs[0], &result->about);
    result->done = true;
}

void ike_job_run(const struct ike_job *job, struct ike_event *event)
{
    switch (job->kind) {
    case IKE_JOB_KE:
        run_ke(&job->ke, &event->ke);
        break;
    case IKE_JOB_SIGN:
        run_sign(&job->sign, &event->sign);
        break;
    case IKE_JOB_PROOF:
        run_proof(&job->proof, &event->proof);
        break;
    }
}
