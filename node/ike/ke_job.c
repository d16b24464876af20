/* Key-exchange work leaves the step as a job and comes back as event->ke. */
#include "ike/entropy.h"
#include "ike/exchange.h"

HF_STATIC_ASSERT(SUITE_KE_MAX_BYTES <= sizeof((struct ike_ke_job *)0)->peer_public);

bool ike_ke_job_make(struct ike_transition *out, const struct suite_ke *ke,
                     const struct ike_event *event, bool generate, const struct secret *private_key,
                     const struct span *peer_public)
{
    struct ike_ke_job *job = &out->ke_job;

    HF_ASSERT(generate || private_key != NULL);
    if (peer_public != NULL && peer_public->len != ke->public_bytes)
        return false;
    memset(job, 0, sizeof *job);
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

void ike_ke_job_run(const struct ike_ke_job *job, struct ike_ke_result *result)
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
