/* Work off the loop: encoding and decoding of snapshots, freeing of a whole state. A job owns what it
 * works on; its owner waits for it before it goes itself. */
#include <stdlib.h>

#include "base/secret.h"
#include "replication/replica_parts.h"

struct replica_job *replica_job_new(enum replica_job_kind kind)
{
    struct replica_job *job = repl_alloc_zero(1, sizeof *job);

    job->kind = kind;
    return job;
}

void replica_job_run(struct replica_job *job)
{
    switch (job->kind) {
    case REPLICA_JOB_ENCODE:
        job->ok = snapshot_encode_batch(&job->taking->encoder, job->batch, &job->piece);
        break;
    case REPLICA_JOB_DECODE:
        job->ok = snapshot_decode(&job->restoring->decoder, span_of(job->bytes, job->len));
        break;
    case REPLICA_JOB_FREE:
        fsm_deinit(job->garbage);
        free(job->garbage);
        job->garbage = NULL;
        break;
    }
}

static void free_job(struct replica_job *job)
{
    if (job->garbage != NULL) {
        fsm_deinit(job->garbage);
        free(job->garbage);
    }
    image_batch_free(job->batch);
    if (job->piece.bytes != NULL)
        secret_wipe_bytes(job->piece.bytes, job->piece.cap);
    free(job->piece.bytes);
    if (job->bytes != NULL)
        secret_wipe_bytes(job->bytes, job->len);
    free(job->bytes);
    free(job);
}

static void done(struct replica *r, struct replica_job *job)
{
    if (job->kind == REPLICA_JOB_ENCODE)
        replica_taken_batch(r, job);
    if (job->kind == REPLICA_JOB_DECODE)
        replica_restored_piece(r, job);
    free_job(job);
}

void replica_job_drop(struct replica_job *job)
{
    if (job->kind == REPLICA_JOB_ENCODE)
        replica_taking_back(job->taking);
    free_job(job);
}

void replica_job_start(struct replica *r, struct replica_job *job)
{
    if (r->callbacks.job != NULL) {
        r->callbacks.job(r->callbacks.self, job);
        return;
    }
    replica_job_run(job);
    done(r, job);
}

void replica_job_done(struct replica *r, uint64_t now_ns, struct replica_job *job)
{
    if (now_ns > r->now_ns)
        r->now_ns = now_ns;
    done(r, job);
    replica_pump(r);
}
