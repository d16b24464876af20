/* The replicated configuration: documents, changed by compare-and-set, all of a record's or none. */
#include <stdlib.h>

#include "replication/fsm_parts.h"

/* By what names its contents for ever and tells nothing of them. */
static void name_item(struct digest_item *i, const struct fsm *fsm, uint64_t kind,
                      const struct repl_document *d)
{
    digest_item_init(i, fsm->incarnation, kind);
    digest_item_span(i, span_of(d->kind, strlen(d->kind)));
    digest_item_span(i, span_of(d->name, strlen(d->name)));
    digest_item_u64(i, d->version);
}

static struct digest digest_of(const struct fsm *fsm, const struct repl_document *d)
{
    struct digest_item i;

    name_item(&i, fsm, FSM_ITEM_STATIC + 7, d);
    digest_item_span(&i, span_of(d->bytes, d->len));
    return digest_item_final(&i);
}

static struct digest name_digest(const struct fsm *fsm, const struct repl_document *d)
{
    struct digest_item i;

    name_item(&i, fsm, FSM_ITEM_STATIC + 9, d);
    return digest_item_final(&i);
}

static void digest_in(struct fsm *fsm, struct repl_document *d)
{
    d->digest = digest_of(fsm, d);
    digest_add(&fsm->documents.sum, d->digest);
    digest_add(&fsm->documents.names, name_digest(fsm, d));
}

static struct repl_document *find(const struct fsm *fsm, const char *kind, const char *name,
                                  size_t *at)
{
    bool found;

    *at = document_find(fsm->documents.list, fsm->documents.n, kind, name, &found);
    return found ? fsm->documents.list[*at] : NULL;
}

const struct repl_document *fsm_document(const struct fsm *fsm, const char *kind, const char *name)
{
    size_t at;

    return find(fsm, kind, name, &at);
}

/* The place stays: another comes in, or the list closes. */
static void take_out(struct fsm *fsm, struct repl_document *d)
{
    digest_sub(&fsm->documents.sum, d->digest);
    digest_sub(&fsm->documents.names, name_digest(fsm, d));
    fsm->documents.bytes -= document_size(d->kind, d->name, d->len);
    document_drop(d);
}

static void grow(struct fsm_documents *all)
{
    if (all->n < all->cap)
        return;
    all->cap = all->cap == 0 ? 64 : 2 * all->cap;
    all->list = realloc(all->list, all->cap * sizeof(struct repl_document *));
    HF_ASSERT(all->list != NULL);
}

void fsm_document_put(struct fsm *fsm, struct repl_document *d)
{
    struct fsm_documents *all = &fsm->documents;
    size_t at;
    struct repl_document *old = find(fsm, d->kind, d->name, &at);

    if (old != NULL) {
        take_out(fsm, old);
    } else {
        grow(all);
        memmove(&all->list[at + 1], &all->list[at],
                (all->n++ - at) * sizeof(struct repl_document *));
    }
    all->list[at] = d;
    all->bytes += document_size(d->kind, d->name, d->len);
    digest_in(fsm, d);
}

static void take_away(struct fsm *fsm, const char *kind, const char *name)
{
    struct fsm_documents *all = &fsm->documents;
    size_t at;
    struct repl_document *old = find(fsm, kind, name, &at);

    take_out(fsm, old);
    memmove(&all->list[at], &all->list[at + 1], (--all->n - at) * sizeof(struct repl_document *));
}

/* Each by the state before the record. */
static enum repl_verdict judge(const Holdfast__DocumentChange *c, const struct repl_document *now)
{
    if (c->expect == HOLDFAST__DOCUMENT_CHANGE__EXPECT__ABSENT && now != NULL)
        return REPL_REFUSED_VERSION;
    if (c->expect == HOLDFAST__DOCUMENT_CHANGE__EXPECT__VERSION &&
        (now == NULL || now->version != c->version))
        return REPL_REFUSED_VERSION;
    return c->remove && now == NULL ? REPL_REFUSED_UNKNOWN : REPL_ACCEPTED;
}

enum repl_verdict fsm_apply_documents(struct fsm *fsm, uint64_t slot,
                                      const Holdfast__Documents *body, struct fsm_outcome *out)
{
    size_t n = fsm->documents.n, bytes = fsm->documents.bytes, at;

    for (size_t i = 0; i < body->n_changes; i++) {
        const Holdfast__DocumentChange *c = body->changes[i];
        const struct repl_document *now = find(fsm, c->kind, c->name, &at);
        enum repl_verdict v = judge(c, now);

        if (v != REPL_ACCEPTED) {
            out->item = i;
            out->document_version = now == NULL ? 0 : now->version;
            return v;
        }
        n = n - (now != NULL) + !c->remove;
        bytes -= now == NULL ? 0 : document_size(c->kind, c->name, now->len);
        bytes += c->remove ? 0 : document_size(c->kind, c->name, c->bytes.len);
    }
    if (n > DOCUMENTS_MAX || bytes > DOCUMENTS_MAX_BYTES)
        return REPL_REFUSED_FULL;
    for (size_t i = 0; i < body->n_changes; i++) {
        const Holdfast__DocumentChange *c = body->changes[i];

        if (c->remove)
            take_away(fsm, c->kind, c->name);
        else
            fsm_document_put(fsm, document_new(c->kind, c->name, slot, record_span(c->bytes)));
    }
    out->document_version = slot;
    return REPL_ACCEPTED;
}

void fsm_documents_rekey(struct fsm *fsm)
{
    struct fsm_documents *all = &fsm->documents;

    all->sum = all->names = (struct digest){0, 0};
    for (size_t i = 0; i < all->n; i++)
        digest_in(fsm, all->list[i]);
}

void fsm_documents_deinit(struct fsm *fsm)
{
    for (size_t i = 0; i < fsm->documents.n; i++)
        document_drop(fsm->documents.list[i]);
    free(fsm->documents.list);
    fsm->documents = (struct fsm_documents){0};
}
