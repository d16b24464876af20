/* A snapshot of the state, made while it goes on changing: so many SAs a turn are kept (image.h),
 * encoded off the loop, and written beside the log.
 *
 *   image_walk ─batch─> job: encode ─piece─> raft_driver_snapshot_write ─> ... ─> snapshot_taken
 *      ^────────────── once it came back, and the disk follows ──────────────┘
 */
#include <stdlib.h>

#include "base/secret.h"
#include "replication/replica_parts.h"

static void drop_piece(struct snapshot_piece *piece)
{
    if (piece->bytes != NULL)
        secret_wipe_bytes(piece->bytes, piece->cap);
    free(piece->bytes);
    *piece = (struct snapshot_piece){0};
}

/* False: overtaken meanwhile. */
static bool write_piece(struct replica *r, const struct replica_taking *t,
                        const struct snapshot_piece *piece)
{
    return raft_driver_snapshot_write(r->driver, t->index, span_of(piece->bytes, piece->len));
}

static void free_taking(struct replica_taking *t)
{
    snapshot_encoder_deinit(&t->encoder);
    free(t);
}

/* The image ends at once; what a job works on goes when that comes back. */
void replica_drop_snapshot(struct replica *r)
{
    struct replica_taking *t = r->taking;

    if (t == NULL)
        return;
    r->taking = NULL;
    image_end(t->image);
    t->image = NULL;
    t->lost = true;
    if (!t->busy)
        free_taking(t);
}

static void too_large(struct replica *r)
{
    uint64_t index = r->taking->index;

    replica_log(r, REPL_LOG_ERROR, "the state is too large for a snapshot, or there is no key");
    r->not_before_index = r->fsm.applied_index + r->options.snapshot_entries;
    replica_drop_snapshot(r);
    raft_driver_snapshot_drop(r->driver, index);
}

static void finish(struct replica *r)
{
    struct replica_taking *t = r->taking;
    struct snapshot_piece piece = {0};
    uint64_t index = t->index;

    image_end(t->image);
    t->image = NULL;
    t->ended = true;
    if (!snapshot_encode_end(&t->encoder, &piece))
        too_large(r);
    else if (write_piece(r, t, &piece))
        raft_driver_snapshot_end(r->driver, index);
    drop_piece(&piece);
}

/* As far as this turn of the loop allows. */
static void go_on(struct replica *r)
{
    struct replica_taking *t;

    while ((t = r->taking) != NULL && !t->busy && !t->ended &&
           raft_driver_snapshot_unwritten(r->driver) < TAKE_UNWRITTEN_BYTES) {
        struct replica_job *job;
        struct image_batch *batch;

        if (!t->walked)
            t->walked = image_walk(t->image, TAKE_ITEMS, TAKE_BYTES);
        batch = image_take(t->image);
        if (batch == NULL && t->walked)
            finish(r);
        if (batch == NULL)
            continue;
        job = replica_job_new(REPLICA_JOB_ENCODE);
        job->taking = t;
        job->batch = batch;
        t->busy = true;
        replica_job_start(r, job);
    }
}

/* False: it was given up meanwhile, and is gone now. */
bool replica_taking_back(struct replica_taking *t)
{
    bool lost = t->lost;

    t->busy = false;
    if (lost)
        free_taking(t);
    return !lost;
}

void replica_taken_batch(struct replica *r, struct replica_job *job)
{
    struct replica_taking *t = job->taking;

    if (!replica_taking_back(t))
        return;
    if (!job->ok)
        too_large(r);
    else if (!write_piece(r, t, &job->piece))
        replica_drop_snapshot(r); /* snapshot_taken() tells */
}

void replica_on_snapshot_taken(void *self, uint64_t index, enum raft_driver_result result)
{
    struct replica *r = self;

    if (r->taking != NULL && r->taking->index == index)
        replica_drop_snapshot(r);
    if (result == RAFT_DRIVER_OK)
        replica_count(r, REPL_COUNT_SNAPSHOTS, 1);
    if (result == RAFT_DRIVER_FULL)
        r->no_room_ns = r->now_ns;
    replica_log(r, REPL_LOG_DEBUG, "snapshot at index %llu: %s", (unsigned long long)index,
                result == RAFT_DRIVER_OK     ? "stored"
                : result == RAFT_DRIVER_FULL ? "no room on the disk"
                                             : "overtaken");
}

static bool waits_for_room(const struct replica *r)
{
    uint64_t ms = r->snapshot_wanted ? GIVE_AGAIN_MS : TAKE_AGAIN_MS;

    return r->no_room_ns != 0 && r->now_ns - r->no_room_ns < ms * 1000000ull;
}

static bool is_due(const struct replica *r)
{
    struct raft_driver_status s = raft_driver_status(r->driver);

    if (r->tied_ns != 0 || r->sessionless || s.installing || s.snapshotting ||
        s.applied_index <= s.snapshot_index || r->fsm.applied_index < r->not_before_index ||
        waits_for_room(r))
        return false;
    if (r->snapshot_wanted || s.snapshot_index < r->switched_index)
        return true; /* the latter: the key of what is on the disk is to be erased (seal.md) */
    if (s.applied_index - s.snapshot_index < r->options.snapshot_entries &&
        s.log_bytes < r->options.snapshot_bytes)
        return false;
    /* Bytes alone must not mean a snapshot per entry: what trails stays in memory by design. */
    return s.applied_index - s.snapshot_index >= 64 || s.log_bytes >= 2 * r->options.snapshot_bytes;
}

/* Half of it would be sealed with another key than it says; or nobody can tell whether what it holds is
 * the cluster's state (digest.md), however far it came. */
static bool is_void(const struct replica *r)
{
    const struct replica_taking *t = r->taking;

    return t != NULL && (r->tied_ns != 0 || (!t->ended && t->index < r->switched_index));
}

void replica_maybe_snapshot(struct replica *r)
{
    struct snapshot_piece head = {0};
    struct replica_taking *t;
    bool ok;

    if (is_void(r)) {
        uint64_t index = r->taking->index;

        replica_drop_snapshot(r);
        raft_driver_snapshot_drop(r->driver, index);
    }
    if (r->taking == NULL && replica_session_ready(r) && is_due(r) && r->fsm.image == NULL &&
        raft_driver_snapshot_begin(r->driver, r->now_ns / 1000000, r->fsm.applied_index) ==
            RAFT_DRIVER_OK) {
        r->snapshot_wanted = false;
        r->taking = t = repl_alloc_zero(1, sizeof *t);
        t->index = r->fsm.applied_index;
        t->image = image_begin(&r->fsm);
        ok = snapshot_encode_head(&t->encoder, &r->fsm, r->options.seal, &head);
        if (!ok)
            too_large(r);
        else if (!write_piece(r, t, &head))
            replica_drop_snapshot(r);
        drop_piece(&head);
    }
    go_on(r);
}
