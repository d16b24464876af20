/* Documents and the audit, as other threads see them; and the audit's file, which is written from the same. */
#include <stdio.h>
#include <stdlib.h>

#include "replication/fsm.h"
#include "replication/repl_thread.h"

enum { MIRROR_AGAIN_MS = 30000 };

static struct repl_view *share(struct repl_view *v)
{
    (void)atomic_fetch_add_explicit(&v->references, 1, memory_order_relaxed);
    return v;
}

void repl_view_release(struct repl_view *v)
{
    if (v == NULL || atomic_fetch_sub_explicit(&v->references, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < v->n_documents; i++)
        document_drop(v->documents[i]);
    for (size_t i = 0; i < v->n_audit; i++)
        audit_entry_drop(v->audit[i]);
    free(v->documents);
    free(v->audit);
    free(v);
}

struct repl_view *repl_view_take(struct repl *repl)
{
    struct repl_view *v;

    uv_mutex_lock(&repl->lock);
    v = share(repl->view);
    uv_mutex_unlock(&repl->lock);
    return v;
}

/* References, no copies: at 16,384 documents a fraction of a millisecond. */
static struct repl_view *view_of(const struct fsm *fsm)
{
    struct repl_view *v = repl_alloc_zero(1, sizeof *v);

    atomic_init(&v->references, 1);
    v->incarnation = fsm->incarnation;
    v->index = fsm->applied_index;
    v->cluster_ms = fsm->cluster_ms;
    v->document_bytes = fsm->documents.bytes;
    v->head = fsm->audit.head;
    v->documents = repl_alloc_zero(fsm->documents.n + 1, sizeof(struct repl_document *));
    for (size_t i = 0; i < fsm->documents.n; i++)
        v->documents[v->n_documents++] = document_share(fsm->documents.list[i]);
    v->audit = repl_alloc_zero(fsm->audit.n + 1, sizeof(struct audit_entry *));
    for (size_t i = 0; i < fsm->audit.n; i++)
        v->audit[v->n_audit++] =
            audit_entry_share((struct audit_entry *)(uintptr_t)fsm_audit_kept(fsm, i));
    return v;
}

void repl_publish_view(struct repl *repl)
{
    struct repl_view *v = view_of(replica_fsm(repl->core)), *old;

    repl->view_stale = false;
    uv_mutex_lock(&repl->lock);
    old = repl->view;
    repl->view = v;
    uv_mutex_unlock(&repl->lock);
    repl_view_release(old);
    repl_mirror_audit(repl);
}

const struct repl_document *repl_view_document(const struct repl_view *v, const char *kind,
                                               const char *name)
{
    bool found;
    size_t at = document_find(v->documents, v->n_documents, kind, name, &found);

    return found ? v->documents[at] : NULL;
}

size_t repl_view_behind(const struct repl_view *v, const char *kind, const char *name)
{
    bool found;
    size_t at = document_find(v->documents, v->n_documents, kind, name, &found);

    return at + found;
}

const struct audit_entry *repl_view_audit(const struct repl_view *v, uint64_t sequence)
{
    uint64_t first = v->n_audit == 0 ? 0 : v->audit[0]->sequence;

    return v->n_audit > 0 && sequence >= first && sequence - first < v->n_audit
               ? v->audit[sequence - first]
               : NULL;
}

const struct audit_entry *repl_view_audit_of(const struct repl_view *v, const char *request_id)
{
    for (size_t i = v->n_audit; i-- > 0 && request_id[0] != '\0';)
        if (strcmp(v->audit[i]->texts[AUDIT_REQUEST_ID], request_id) == 0)
            return v->audit[i];
    return NULL;
}

/* --- the file, off the loop --- */

static void mirror_work(uv_work_t *work)
{
    struct repl *repl = work->data;

    mirror_append(&repl->mirror, repl->mirroring->audit, repl->mirroring->n_audit,
                  &repl->mirror_outcome);
}

static void tell(struct repl *repl)
{
    const struct mirror_outcome *o = &repl->mirror_outcome;
    char text[2 * MIRROR_PATH_BYTES];

    if (repl->log == NULL)
        return;
    if (o->set_aside) {
        (void)snprintf(text, sizeof text,
                       "%s is not the audit of this cluster's state: it was kept as %s, and begun "
                       "anew; `holdfast audit verify` says what is wrong with it",
                       repl->mirror.path, o->why);
        repl->log(repl->log_self, REPL_LOG_ERROR, text);
    }
    if (o->ok && o->missing_from != 0) {
        (void)snprintf(text, sizeof text,
                       "%s lacks entries %llu to %llu: this node was away meanwhile, another "
                       "node's file has them",
                       repl->mirror.path, (unsigned long long)o->missing_from,
                       (unsigned long long)o->missing_to);
        repl->log(repl->log_self, REPL_LOG_WARN, text);
    }
    if (!o->ok) {
        (void)snprintf(text, sizeof text, "%s %s: it is tried again", repl->mirror.path, o->why);
        repl->log(repl->log_self, REPL_LOG_ERROR, text);
    }
}

static void mirror_after(uv_work_t *work, int status)
{
    struct repl *repl = work->data;
    struct repl_view *done = repl->mirroring;

    (void)status;
    repl->mirroring = NULL;
    repl->jobs--;
    tell(repl);
    if (repl->mirror_outcome.ok)
        repl->mirrored = done->head.count;
    repl->mirror_again_ns =
        repl->mirror_outcome.ok ? 0 : repl_boottime_ns() + MIRROR_AGAIN_MS * 1000000ull;
    repl_view_release(done);
    if (repl->closing)
        repl_part_closed(repl);
    else if (repl->mirror_outcome.ok)
        repl_mirror_audit(repl);
}

/* One writing at a time; what came meanwhile is written next. On the thread, which alone changes `view`. */
void repl_mirror_audit(struct repl *repl)
{
    if (repl->mirroring != NULL || repl->closing || repl->view->head.count == repl->mirrored ||
        repl->view->n_audit == 0 || repl_boottime_ns() < repl->mirror_again_ns)
        return;
    repl->mirroring = share(repl->view);
    repl->mirror_work.data = repl;
    repl->jobs++;
    HF_ASSERT(uv_queue_work(&repl->loop, &repl->mirror_work, mirror_work, mirror_after) == 0);
}
