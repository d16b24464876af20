#include "replication/image.h"

#include <stdlib.h>

#include "replication/fsm_parts.h"

struct image {
    struct fsm *fsm;
    struct fsm_sa *next_sa; /* where the walk goes on; NULL: it is past the last */
    struct fsm_lease *next_lease;
    struct image_batch *batch;        /* what image_take() gives next; NULL: nothing yet */
    struct image_batch *later;        /* leases that were kept while SAs are still to come */
    struct repl_document **documents; /* references; the first `given` are a batch's now */
    size_t n_documents, given;
    struct audit_entry **audit; /* references; NULL: a batch has them */
    size_t n_audit;
};

static void *grow(void *p, size_t *cap, size_t item)
{
    *cap = *cap == 0 ? 64 : 2 * *cap;
    p = realloc(p, *cap * item);
    HF_ASSERT(p != NULL);
    return p;
}

/* 16,384 references at most: a tenth of a millisecond, or two. */
static void keep_configuration(struct image *image)
{
    const struct fsm_documents *all = &image->fsm->documents;

    image->documents = all->n == 0 ? NULL : repl_alloc_zero(all->n, sizeof(struct repl_document *));
    for (; image->n_documents < all->n; image->n_documents++)
        image->documents[image->n_documents] = document_share(all->list[image->n_documents]);
    if (image->fsm->audit.n == 0)
        return;
    image->audit = repl_alloc_zero(image->fsm->audit.n, sizeof(struct audit_entry *));
    for (size_t i = 0; i < image->fsm->audit.n; i++, image->n_audit++)
        image->audit[i] =
            audit_entry_share((struct audit_entry *)(uintptr_t)fsm_audit_kept(image->fsm, i));
}

static void drop_configuration(struct image *image)
{
    for (size_t i = image->given; i < image->n_documents; i++)
        document_drop(image->documents[i]);
    for (size_t i = 0; i < image->n_audit && image->audit != NULL; i++)
        audit_entry_drop(image->audit[i]);
    free(image->documents);
    free(image->audit);
}

struct image *image_begin(struct fsm *fsm)
{
    struct image *image = repl_alloc_zero(1, sizeof *image);

    HF_ASSERT(fsm->image == NULL);
    *image = (struct image){.fsm = fsm, .next_sa = fsm->all_sas, .next_lease = fsm->all_leases};
    fsm->image = image;
    fsm->images++;
    keep_configuration(image);
    return image;
}

void image_end(struct image *image)
{
    if (image == NULL)
        return;
    HF_ASSERT(image->fsm->image == image);
    image->fsm->image = NULL;
    image_batch_free(image->batch);
    image_batch_free(image->later);
    drop_configuration(image);
    free(image);
}

static struct image_batch *batch_of(struct image_batch **at)
{
    if (*at == NULL)
        *at = repl_alloc_zero(1, sizeof **at);
    return *at;
}

void image_keep_sa(struct image *image, struct fsm_sa *sa)
{
    struct image_batch *b = batch_of(&image->batch);

    sa->image = image->fsm->images;
    if (b->n_sas == b->cap_sas)
        b->sas = grow(b->sas, &b->cap_sas, sizeof *b->sas);
    b->sas[b->n_sas++] = (struct image_sa){.id = sa->id,
                                           .version = sa->version,
                                           .touched = sa->touched,
                                           .shard = sa->shard,
                                           .state = fsm_state_share(sa->state),
                                           .state_len = sa->state_len,
                                           .first_claim = b->n_claims,
                                           .n_claims = sa->n_claims};
    b->state_bytes += sa->state_len;
    for (size_t i = 0; i < sa->n_claims; i++) {
        const struct fsm_claim *c = sa->claims[i];

        if (b->n_claims == b->cap_claims)
            b->claims = grow(b->claims, &b->cap_claims, sizeof *b->claims);
        b->claims[b->n_claims++] = (struct image_claim){
            .spi_in = c->spi_in, .spi_out = c->spi_out, .esn = c->esn, .claim = c->claim};
    }
}

/* A lease names its SA, so whoever restores must have that first. */
void image_keep_lease(struct image *image, struct fsm_lease *lease)
{
    struct image_batch *b = batch_of(image->next_sa != NULL ? &image->later : &image->batch);
    struct image_lease *to;

    lease->image = image->fsm->images;
    if (b->n_leases == b->cap_leases)
        b->leases = grow(b->leases, &b->cap_leases, sizeof *b->leases);
    to = &b->leases[b->n_leases++];
    *to = (struct image_lease){.address_len = lease->address_len,
                               .shard = lease->shard,
                               .sa_id = lease->sa == NULL ? 0 : lease->sa->id,
                               .identity = repl_copy(lease->identity, lease->identity_len),
                               .identity_len = lease->identity_len};
    memcpy(to->address, lease->address, sizeof to->address);
}

void image_pass_sa(struct image *image, const struct fsm_sa *sa)
{
    if (image != NULL && image->next_sa == sa)
        image->next_sa = sa->next;
}

void image_pass_lease(struct image *image, const struct fsm_lease *lease)
{
    if (image != NULL && image->next_lease == lease)
        image->next_lease = lease->next;
}

/* In batches of their own; the entries, 1,024 at most, behind the last of the documents. True: they were all given before. */
static bool give_configuration(struct image *image, size_t items, size_t bytes)
{
    size_t left = image->n_documents - image->given;
    struct image_batch *b;

    if (left == 0 && image->audit == NULL)
        return true;
    b = batch_of(&image->batch);
    if (b->documents != NULL || b->audit != NULL)
        return false; /* it waits to be taken */
    left = left < items ? left : items;
    b->documents = repl_alloc_zero(left + 1, sizeof(struct repl_document *));
    for (; b->n_documents < left && b->state_bytes < bytes; b->n_documents++) {
        b->documents[b->n_documents] = image->documents[image->given++];
        b->state_bytes += b->documents[b->n_documents]->len;
    }
    if (image->given == image->n_documents) {
        b->audit = image->audit;
        b->n_audit = image->n_audit;
        image->audit = NULL;
    }
    return false;
}

bool image_walk(struct image *image, size_t items, size_t bytes)
{
    uint64_t now = image->fsm->images;

    if (!give_configuration(image, items, bytes))
        return false;
    for (; items > 0 && image->next_sa != NULL &&
           (image->batch == NULL || image->batch->state_bytes < bytes);
         items--) {
        struct fsm_sa *sa = image->next_sa;

        if (sa->image != now)
            image_keep_sa(image, sa);
        image->next_sa = sa->next;
    }
    if (image->next_sa != NULL)
        return false;
    /* The leases kept meanwhile go in a batch behind all SAs, which are in the one before. */
    if (image->later != NULL && image->batch != NULL)
        return false;
    if (image->later != NULL) {
        image->batch = image->later;
        image->later = NULL;
    }
    for (; items > 0 && image->next_lease != NULL; items--) {
        struct fsm_lease *lease = image->next_lease;

        if (lease->image != now)
            image_keep_lease(image, lease);
        image->next_lease = lease->next;
    }
    return image->next_lease == NULL;
}

struct image_batch *image_take(struct image *image)
{
    struct image_batch *batch = image->batch;

    image->batch = NULL;
    return batch;
}

void image_batch_free(struct image_batch *b)
{
    if (b == NULL)
        return;
    for (size_t i = 0; i < b->n_sas; i++)
        fsm_state_drop(b->sas[i].state, b->sas[i].state_len);
    for (size_t i = 0; i < b->n_leases; i++)
        free(b->leases[i].identity);
    for (size_t i = 0; i < b->n_documents; i++)
        document_drop(b->documents[i]);
    for (size_t i = 0; i < b->n_audit; i++)
        audit_entry_drop(b->audit[i]);
    free(b->documents);
    free(b->audit);
    free(b->sas);
    free(b->claims);
    free(b->leases);
    free(b);
}
