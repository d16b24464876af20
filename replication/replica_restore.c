/* What a snapshot says becomes the state: at the start from memory, after an install from the disk,
 * piece by piece, decoded off the loop; then the conductor is told, so many SAs a turn. Until it has
 * been told of all of them nothing is applied, so that its mirror is one state of the log.
 *
 *   read ─> job: decode ─> ... ─> swap, leases, requests ─> RESET, RESTORED… ─> RESTORE_END
 *   ^────────┘              old state: job: free            as the conductor takes them
 */
#include <stdlib.h>

#include "base/secret.h"
#include "replication/replica_parts.h"

/* --- telling --- */

/* Of several founders the one with the lowest id makes the key of the configuration at --init: made anew
 * under its old id it has another one than its cluster. */
static const char cannot[] =
    "the snapshot cannot be restored: is configuration.key the one of this cluster? Where the data "
    "directory was made anew, move that file away and start again: the others give it theirs";

static void tell_sa(struct replica *r, const struct fsm_sa *sa)
{
    replica_emit(r, (struct repl_event){.kind = REPL_EV_RESTORED_SA,
                                        .shard = sa->shard,
                                        .sa_id = sa->id,
                                        .sa_version = fsm_sa_version(&r->fsm, sa),
                                        .bytes = repl_copy(sa->state, sa->state_len),
                                        .bytes_len = sa->state_len,
                                        .children = replica_children_of(&r->fsm, sa),
                                        .n_children = sa->n_claims});
}

static void tell_lease(struct replica *r, const struct fsm_lease *l)
{
    replica_emit(r, (struct repl_event){.kind = REPL_EV_RESTORED_LEASE,
                                        .shard = l->shard,
                                        .sa_id = l->sa == NULL ? 0 : l->sa->id,
                                        .bytes = repl_copy(l->address, l->address_len),
                                        .bytes_len = l->address_len});
}

/* The first that does not wait for a conductor that is slower. */
static bool room(const struct replica *r)
{
    return r->callbacks.events_waiting == NULL ||
           r->callbacks.events_waiting(r->callbacks.self) < TELL_WAITING;
}

void replica_tell(struct replica *r)
{
    size_t left = TELL_SAS;

    if (!r->telling || !room(r))
        return;
    for (; left > 0 && r->tell_document < r->fsm.documents.n; left--)
        replica_emit(r, (struct repl_event){
                            .kind = REPL_EV_RESTORED_DOCUMENT,
                            .document = document_share(r->fsm.documents.list[r->tell_document++])});
    for (; left > 0 && r->tell_sa != NULL; left--) {
        tell_sa(r, r->tell_sa);
        r->tell_sa = r->tell_sa->next;
    }
    for (; left > 0 && r->tell_lease != NULL; left--) {
        tell_lease(r, r->tell_lease);
        r->tell_lease = r->tell_lease->next;
    }
    if (r->tell_document < r->fsm.documents.n || r->tell_sa != NULL || r->tell_lease != NULL)
        return;
    HF_ASSERT(replica_sees(r) && !r->diverged); /* nothing else holds the log back */
    r->telling = false;
    replica_emit(r, (struct repl_event){.kind = REPL_EV_RESTORE_END,
                                        .index = r->fsm.applied_index,
                                        .cluster_ms = r->fsm.cluster_ms});
    raft_driver_hold(r->driver, r->now_ns / 1000000, false);
}

static void begin_telling(struct replica *r)
{
    replica_emit(r, (struct repl_event){.kind = REPL_EV_RESET,
                                        .index = r->fsm.applied_index,
                                        .cluster_ms = r->fsm.cluster_ms});
    if (r->fsm.config.version > 0)
        replica_take_config(r);
    for (size_t i = 0; i < r->fsm.n_shards; i++) {
        const struct fsm_shard *s = &r->fsm.shards[i];

        replica_emit(r, (struct repl_event){.kind = REPL_EV_RESTORED_SHARD,
                                            .shard = s->shard,
                                            .epoch = s->epoch,
                                            .owner_node = s->owner_node,
                                            .owner_boot = s->owner_boot,
                                            .assignments = s->assignments,
                                            .shard_version = s->assignments + s->aborts});
    }
    r->telling = true;
    r->tell_document = 0;
    r->tell_sa = r->fsm.all_sas;
    r->tell_lease = r->fsm.all_leases;
    raft_driver_hold(r->driver, r->now_ns / 1000000, true);
    replica_tell(r);
}

/* --- the new state --- */

/* Requests of ours that the snapshot has judged: how, nobody can tell any more. */
static void settle_judged(struct replica *r)
{
    struct outbox_item *item;
    struct outbox_item gone;

    for (uint64_t at = 0; (item = outbox_each(r->outbox, &at)) != NULL;)
        if (fsm_judged(&r->fsm, r->options.node, r->options.boot, item->request) &&
            outbox_settle(r->outbox, item->request, &gone)) {
            free(gone.bytes);
            replica_emit(r, (struct repl_event){.kind = REPL_EV_UNSETTLED,
                                                .request = gone.request,
                                                .effects = gone.effects,
                                                .mine = true});
        }
}

/* Freeing all of a large state takes longer than a turn of the loop may. */
static void free_state(struct replica *r)
{
    struct replica_job *job;

    if (r->fsm.all_sas == NULL && r->fsm.all_leases == NULL && r->fsm.documents.n == 0) {
        fsm_deinit(&r->fsm);
        return;
    }
    job = replica_job_new(REPLICA_JOB_FREE);
    job->garbage = repl_alloc_zero(1, sizeof *job->garbage);
    *job->garbage = r->fsm;
    replica_job_start(r, job);
}

void replica_reset(struct replica *r)
{
    r->sessionless = false;
    r->forgotten = false;
    for (size_t i = 0; i < r->fsm.n_shards; i++) {
        const struct fsm_shard *s = &r->fsm.shards[i];

        ownership_restored(&r->ownership, s->shard, s->epoch, s->owner_node, s->owner_boot,
                           r->now_ns);
    }
    /* The right to act ends before anybody learns that a verdict is unknown: whoever forgets a
     * request then cannot act on what it believed before (a shrunk ceiling must not rise). */
    replica_publish_leases(r);
    settle_judged(r);
    for (size_t i = 0; i < r->fsm.n_members; i++)
        replica_take_boot(r, r->fsm.members[i]->node, r->fsm.members[i]->boot);
    replica_clock_applied(r, r->fsm.cluster_ms);
    replica_witness_restored(r);
    begin_telling(r);
}

/* What is read of a snapshot that cannot be read to its end counts for one thing: who has left is not to be
 * heard meanwhile. After a recovery those are all members of before, with a log of their own at the same
 * indexes; one of them that came back would be given this node's vote. */
static void note_unread(struct replica *r, const struct fsm *fsm)
{
    r->n_unread_left = 0;
    for (size_t i = 0; i < fsm->n_members; i++)
        if (fsm->members[i]->left)
            r->unread_left[r->n_unread_left++] = fsm->members[i]->node;
        else
            replica_note_unread_member(r, fsm->members[i]->node);
    replica_list(r);
}

static void take_over(struct replica *r, struct fsm *fsm)
{
    free_state(r);
    r->fsm = *fsm;
    r->n_unread_left = 0;
    r->opened = true;
    replica_count(r, REPL_COUNT_RESTORES, 1);
    if (r->blind != 0 && r->blind != r->fsm.session_key)
        r->blind = 0; /* of a later state: all that was left out is behind it */
    replica_session_use(r);
    if (r->blind != 0)
        raft_driver_hold(r->driver, r->now_ns / 1000000, false);
    else
        replica_reset(r);
}

static void read_on(struct replica *r)
{
    const struct replica_restoring *s = r->restoring;

    r->storage.read(r->storage.self, RAFT_DRIVER_READER, s->meta.index, s->meta.term, s->at,
                    RESTORE_BYTES);
}

void replica_restore_read(struct replica *r, const struct repl_storage_done *done)
{
    struct replica_restoring *s = r->restoring;
    struct replica_job *job;

    HF_ASSERT(s != NULL && done->offset == s->at);
    if (done->status != REPL_STORAGE_OK) {
        replica_fail(r, "the installed snapshot cannot be read");
        return;
    }
    s->total = done->total;
    job = replica_job_new(REPLICA_JOB_DECODE);
    job->restoring = s;
    job->bytes = repl_copy(done->data.data, done->data.len);
    job->len = done->data.len;
    replica_job_start(r, job);
}

void replica_restored_piece(struct replica *r, struct replica_job *job)
{
    struct replica_restoring *s = job->restoring;
    uint64_t index = s->meta.index;
    uint64_t lacking = s->decoder.lacking;
    struct fsm *fsm = s->fsm;
    uint64_t incarnation = fsm->incarnation;

    s->at += job->len;
    if (job->ok && s->at < s->total) {
        read_on(r);
        return;
    }
    r->storage.read_end(r->storage.self, RAFT_DRIVER_READER);
    r->restoring = NULL;
    if (incarnation != 0)
        raft_driver_is_of(r->driver, incarnation);
    if (lacking != 0)
        note_unread(r, fsm);
    if (!snapshot_decoder_end(&s->decoder)) {
        if (lacking == 0)
            replica_fail(r, cannot);
        else if (!replica_forget_unread(r))
            replica_lock_snapshot(r, lacking, &s->meta);
    } else if (fsm->applied_index != index) {
        fsm_deinit(fsm);
        replica_fail(r, "the installed snapshot is of another index");
    } else {
        take_over(r, fsm);
    }
    free(s);
    secret_wipe_bytes(fsm, sizeof *fsm); /* the secrets of cookies are in it */
    free(fsm);
}

void replica_restore_deinit(struct replica *r)
{
    if (r->restoring == NULL)
        return;
    if (snapshot_decoder_end(&r->restoring->decoder))
        fsm_deinit(r->restoring->fsm);
    free(r->restoring->fsm);
    free(r->restoring);
    r->restoring = NULL;
}

void replica_on_restore(void *self, const struct repl_snapshot_meta *meta, struct span data)
{
    struct replica *r = self;
    struct snapshot_decoder d;
    struct fsm fsm;
    uint64_t lacking;
    bool ok;

    replica_drop_snapshot(r);
    replica_locked_drop(r); /* what waited for a key is behind it */
    if (data.data == NULL) {
        HF_ASSERT(!r->telling);
        if (r->forgotten)
            replica_forget_restore(r);
        else
            replica_restore(r, meta);
        return;
    }
    /* The start: nobody waits for this loop yet. What this node's own disk says is its incarnation. */
    snapshot_decoder_init(&d, r->options.seal, 0, &fsm);
    ok = snapshot_decode(&d, data);
    lacking = d.lacking;
    if (fsm.incarnation != 0)
        raft_driver_is_of(r->driver, fsm.incarnation);
    if (lacking != 0)
        note_unread(r, &fsm);
    if (snapshot_decoder_end(&d) && ok && fsm.applied_index == meta->index)
        take_over(r, &fsm);
    else if (lacking == 0)
        replica_fail(r, cannot);
    else if (!replica_forget_unread(r))
        replica_lock_snapshot(r, lacking, meta);
    secret_wipe_bytes(&fsm, sizeof fsm);
}

void replica_restore(struct replica *r, const struct repl_snapshot_meta *meta)
{
    struct replica_restoring *s;

    HF_ASSERT(r->restoring == NULL);
    r->restoring = s = repl_alloc_zero(1, sizeof *s);
    s->meta = *meta;
    s->fsm = repl_alloc_zero(1, sizeof *s->fsm);
    snapshot_decoder_init(&s->decoder, r->options.seal, replica_incarnation(r), s->fsm);
    s->decoder.blind = r->blind;
    raft_driver_hold(r->driver, r->now_ns / 1000000, true);
    read_on(r);
}
