/* The state machine's objects: adding, removing, finding, and their digests. */
#include "replication/fsm.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "replication/fsm_parts.h"

/* An IPv4 address as its IPv4-mapped IPv6 one (RFC 4291 2.5.5.2), which record.c refuses by itself.
 */
struct map_key fsm_lease_key(struct span address)
{
    if (address.len == 4)
        return (struct map_key){.hi = 0, .lo = 0xffffull << 32 | get_be32(address.data)};
    HF_ASSERT(address.len == 16);
    return (struct map_key){.hi = get_be64(address.data), .lo = get_be64(address.data + 8)};
}

uint64_t fsm_assignments(const struct fsm *fsm, uint32_t shard)
{
    const struct fsm_shard *s = fsm_shard(fsm, shard);

    return s == NULL ? 0 : s->assignments;
}

/* --- digests: canonical, so what an assignment will grant is taken out before hashing --- */

static struct digest sa_digest(const struct fsm *fsm, const struct fsm_sa *sa)
{
    struct digest_item d;

    digest_item_init(&d, fsm->incarnation, FSM_ITEM_SA);
    digest_item_u64(&d, sa->id);
    digest_item_u64(&d, sa->shard);
    digest_item_u64(&d, sa->version - sa->touched);
    digest_item_span(&d, span_of(sa->state, sa->state_len));
    return digest_item_final(&d);
}

static struct digest claim_digest(const struct fsm *fsm, const struct fsm_claim *c)
{
    struct digest_item d;

    digest_item_init(&d, fsm->incarnation, FSM_ITEM_CLAIM);
    digest_item_u64(&d, c->spi_in);
    digest_item_u64(&d, c->spi_out);
    digest_item_u64(&d, c->esn);
    digest_item_u64(&d, c->sa->id);
    digest_item_u64(&d, c->claim.reservation_end - c->claim.touched * GRANT_ASSIGN_NUMBERS);
    digest_item_u64(&d, c->claim.ceiling - c->claim.touched * GRANT_ASSIGN_CEILING);
    digest_item_u64(&d, c->claim.version - c->claim.touched);
    digest_item_u64(&d, c->claim.packets_in);
    digest_item_u64(&d, c->claim.packets_out);
    digest_item_u64(&d, c->claim.told);
    digest_item_u64(&d, c->claim.bytes_in);
    digest_item_u64(&d, c->claim.bytes_out);
    return digest_item_final(&d);
}

static struct digest lease_digest(const struct fsm *fsm, const struct fsm_lease *l)
{
    struct digest_item d;

    digest_item_init(&d, fsm->incarnation, FSM_ITEM_LEASE);
    digest_item_span(&d, span_of(l->address, l->address_len));
    digest_item_span(&d, span_of(l->identity, l->identity_len));
    digest_item_u64(&d, l->shard);
    digest_item_u64(&d, l->sa == NULL ? 0 : l->sa->id);
    return digest_item_final(&d);
}

static bool lease_sound(const struct fsm *fsm, const struct fsm_lease *l)
{
    return l == NULL || digest_equal(l->digest, lease_digest(fsm, l));
}

bool fsm_sa_sound(const struct fsm *fsm, const struct fsm_sa *sa)
{
    bool sound = digest_equal(sa->digest, sa_digest(fsm, sa));

    for (size_t i = 0; i < sa->n_claims && sound; i++)
        sound = digest_equal(sa->claims[i]->digest, claim_digest(fsm, sa->claims[i]));
    for (size_t i = 0; i < RECORD_MAX_ADDRESSES && sound; i++)
        sound = lease_sound(fsm, sa->leases[i]);
    return sound;
}

static void redigest(struct fsm *fsm, struct digest *part, struct digest now)
{
    digest_sub(&fsm->sum, *part);
    digest_add(&fsm->sum, now);
    *part = now;
}

void fsm_sa_changed(struct fsm *fsm, struct fsm_sa *sa)
{
    redigest(fsm, &sa->digest, sa_digest(fsm, sa));
}

void fsm_claim_changed(struct fsm *fsm, struct fsm_claim *claim)
{
    redigest(fsm, &claim->digest, claim_digest(fsm, claim));
}

void fsm_lease_changed(struct fsm *fsm, struct fsm_lease *lease)
{
    redigest(fsm, &lease->digest, lease_digest(fsm, lease));
}

static void digest_statics(const struct fsm *fsm, struct digest_item *d)
{
    const struct fsm_config *c = &fsm->config;

    digest_item_u64(d, c->version);
    digest_item_u64(d, c->election_ms);
    digest_item_u64(d, c->heartbeat_ms);
    digest_item_u64(d, c->lease_ms);
    digest_item_u64(d, c->lease_heartbeat_ms);
    digest_item_span(d, span_of(c->cookie_secret, sizeof c->cookie_secret));
    digest_item_span(d, span_of(c->cookie_secret_previous, sizeof c->cookie_secret_previous));
    digest_item_u64(d, c->has_previous);
    digest_item_u64(d, c->cookie_secret_id);
    digest_item_u64(d, fsm->session_key);
    /* Nothing of this is there while a member is older than it: then its digest is as before. */
    if ((fsm->former_key | fsm->switch_index | fsm->key_ms | fsm->rotate_wish) == 0)
        return;
    digest_item_u64(d, fsm->former_key);
    digest_item_u64(d, fsm->switch_index);
    digest_item_u64(d, fsm->key_ms);
    digest_item_u64(d, fsm->rotate_wish);
}

static struct digest shard_digest(const struct fsm *fsm, const struct fsm_shard *s)
{
    struct digest_item d;

    digest_item_init(&d, fsm->incarnation, FSM_ITEM_STATIC + 1);
    digest_item_u64(&d, s->shard);
    digest_item_u64(&d, s->epoch.incarnation);
    digest_item_u64(&d, s->epoch.index);
    digest_item_u64(&d, s->owner_node);
    digest_item_u64(&d, s->owner_boot);
    digest_item_u64(&d, s->assignments);
    digest_item_u64(&d, s->aborts);
    digest_item_u64(&d, s->home);
    digest_item_u64(&d, s->moving_to);
    digest_item_u64(&d, s->moving_until_ms);
    return digest_item_final(&d);
}

static struct digest member_digest(const struct fsm *fsm, const struct fsm_member *m)
{
    struct digest_item d;

    digest_item_init(&d, fsm->incarnation, FSM_ITEM_STATIC + 2);
    digest_item_u64(&d, m->node);
    digest_item_u64(&d, m->boot);
    digest_item_u64(&d, m->left);
    digest_item_u64(&d, m->drained);
    digest_item_u64(&d, m->speaks);
    digest_item_span(&d, span_of(m->address, strlen(m->address)));
    if (m->removal != 0) /* none while a member is older: then its digest is as before */
        digest_item_u64(&d, m->removal);
    return digest_item_final(&d);
}

static struct digest token_digest(const struct fsm *fsm, const struct fsm_token *t)
{
    struct digest_item d;

    digest_item_init(&d, fsm->incarnation, FSM_ITEM_STATIC + 5);
    digest_item_u64(&d, t->node);
    digest_item_u64(&d, t->expires_ms);
    digest_item_span(&d, span_of(t->hash, sizeof t->hash));
    digest_item_span(&d, span_of(t->address, strlen(t->address)));
    return digest_item_final(&d);
}

static struct digest beginning_digest(const struct fsm *fsm, const struct repl_beginning *b)
{
    struct digest_item d;

    digest_item_init(&d, fsm->incarnation, FSM_ITEM_STATIC + 6);
    digest_item_u64(&d, b->how);
    digest_item_u64(&d, b->former);
    digest_item_u64(&d, b->incarnation);
    digest_item_u64(&d, b->node);
    digest_item_u64(&d, b->index);
    digest_item_u64(&d, b->cluster_ms);
    for (size_t i = 0; i < b->n_given_up; i++)
        digest_item_u64(&d, b->given_up[i]);
    digest_item_u64(&d, b->word.wall_s);
    digest_item_u64(&d, b->word.highest_id);
    digest_item_span(&d, span_of(b->word.who, sizeof b->word.who));
    digest_item_span(&d, span_of(b->word.why, sizeof b->word.why));
    return digest_item_final(&d);
}

/* Which of the member's requests were judged. */
static struct digest account_digest(const struct fsm *fsm, const struct fsm_member *m)
{
    struct digest_item d;

    digest_item_init(&d, fsm->incarnation, FSM_ITEM_STATIC + 4);
    digest_item_u64(&d, m->node);
    digest_item_u64(&d, m->floor);
    for (size_t i = 0; i < FSM_WINDOW / 64; i++)
        if (m->judged[i] != 0) {
            digest_item_u64(&d, i);
            digest_item_u64(&d, m->judged[i]);
        }
    return digest_item_final(&d);
}

/* All of the content but the documents. */
static struct digest digest_bare(const struct fsm *fsm)
{
    struct digest sum = fsm->sum;
    struct digest_item d;

    digest_item_init(&d, fsm->incarnation, FSM_ITEM_STATIC);
    digest_statics(fsm, &d);
    digest_add(&sum, digest_item_final(&d));
    for (size_t i = 0; i < fsm->n_shards; i++)
        digest_add(&sum, shard_digest(fsm, &fsm->shards[i]));
    for (size_t i = 0; i < fsm->n_members; i++)
        digest_add(&sum, member_digest(fsm, fsm->members[i]));
    for (size_t i = 0; i < fsm->n_tokens; i++)
        digest_add(&sum, token_digest(fsm, &fsm->tokens[i]));
    /* used_ids is the newest one's highest_id. */
    for (size_t i = 0; i < fsm->n_beginnings; i++)
        digest_add(&sum, beginning_digest(fsm, &fsm->beginnings[i]));
    return sum;
}

struct digest fsm_content_digest(const struct fsm *fsm)
{
    struct digest sum = digest_bare(fsm);

    digest_add(&sum, fsm->documents.names);
    return sum;
}

/* The same sum in every program of one spoken version: peers compare it. */
struct digest fsm_digest(const struct fsm *fsm)
{
    struct digest sum = digest_bare(fsm);
    struct digest_item d;

    digest_add(&sum, fsm->documents.sum);
    digest_item_init(&d, fsm->incarnation, FSM_ITEM_STATIC + 3);
    digest_item_u64(&d, fsm->applied_index);
    digest_item_u64(&d, fsm->cluster_ms);
    digest_add(&sum, digest_item_final(&d));
    for (size_t i = 0; i < fsm->n_members; i++)
        digest_add(&sum, account_digest(fsm, fsm->members[i]));
    digest_add(&sum, fsm_audit_digest(fsm));
    return sum;
}

/* --- the states' bytes --- */

struct counted {
    _Atomic size_t references; /* an image's batch and a state that is freed drop them anywhere */
    uint8_t bytes[];
};

static struct counted *counted_of(uint8_t *state)
{
    return (struct counted *)(void *)(state - offsetof(struct counted, bytes));
}

uint8_t *fsm_state_new(const void *bytes, size_t n)
{
    struct counted *c = malloc(sizeof *c + n);

    HF_ASSERT(c != NULL && n > 0);
    atomic_init(&c->references, 1);
    memcpy(c->bytes, bytes, n);
    return c->bytes;
}

uint8_t *fsm_state_share(uint8_t *state)
{
    (void)atomic_fetch_add_explicit(&counted_of(state)->references, 1, memory_order_relaxed);
    return state;
}

void fsm_state_drop(uint8_t *state, size_t n)
{
    struct counted *c = counted_of(state);

    if (atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) > 1)
        return;
    secret_wipe_bytes(c->bytes, n);
    free(c);
}

/* --- lists of all --- */

#define LINK(first, last, item)                                                                    \
    do {                                                                                           \
        (item)->prev = (last);                                                                     \
        (item)->next = NULL;                                                                       \
        *((last) != NULL ? &(last)->next : &(first)) = (item);                                     \
        (last) = (item);                                                                           \
    } while (0)
#define UNLINK(first, last, item)                                                                  \
    do {                                                                                           \
        *((item)->prev != NULL ? &(item)->prev->next : &(first)) = (item)->next;                   \
        *((item)->next != NULL ? &(item)->next->prev : &(last)) = (item)->prev;                    \
    } while (0)

/* --- objects --- */

void fsm_lease_add(struct fsm *fsm, struct fsm_lease *lease)
{
    map_put(&fsm->leases, fsm_lease_key(span_of(lease->address, lease->address_len)), lease);
    if (lease->sa != NULL)
        *fsm_lease_slot(lease->sa, lease->address_len) = lease;
    lease->image = fsm->images; /* it came after the image's instant */
    LINK(fsm->all_leases, fsm->last_lease, lease);
    lease->digest = (struct digest){0, 0};
    fsm_lease_changed(fsm, lease);
}

void fsm_lease_remove(struct fsm *fsm, struct fsm_lease *lease)
{
    fsm_keep_lease(fsm, lease);
    image_pass_lease(fsm->image, lease);
    UNLINK(fsm->all_leases, fsm->last_lease, lease);
    (void)map_take(&fsm->leases, fsm_lease_key(span_of(lease->address, lease->address_len)));
    if (lease->sa != NULL)
        *fsm_lease_slot(lease->sa, lease->address_len) = NULL;
    digest_sub(&fsm->sum, lease->digest);
    free(lease->identity);
    free(lease);
}

void fsm_claim_add(struct fsm *fsm, struct fsm_sa *sa, struct fsm_claim *claim)
{
    HF_ASSERT(sa->n_claims < RECORD_MAX_CHILDREN);
    fsm_keep_sa(fsm, sa);
    claim->sa = sa;
    sa->claims[sa->n_claims++] = claim;
    map_put(&fsm->claims, fsm_claim_key(claim->spi_in), claim);
    claim->digest = (struct digest){0, 0};
    fsm_claim_changed(fsm, claim);
}

void fsm_claim_remove(struct fsm *fsm, struct fsm_claim *claim)
{
    struct fsm_sa *sa = claim->sa;
    size_t i = 0;

    fsm_keep_sa(fsm, sa);
    while (sa->claims[i] != claim)
        i++;
    for (; i + 1 < sa->n_claims; i++)
        sa->claims[i] = sa->claims[i + 1];
    sa->n_claims--;
    (void)map_take(&fsm->claims, fsm_claim_key(claim->spi_in));
    digest_sub(&fsm->sum, claim->digest);
    free(claim);
}

void fsm_sa_add(struct fsm *fsm, struct fsm_sa *sa)
{
    map_put(&fsm->sas, fsm_sa_key(sa->id), sa);
    sa->image = fsm->images;
    LINK(fsm->all_sas, fsm->last_sa, sa);
    sa->digest = (struct digest){0, 0};
    fsm_sa_changed(fsm, sa);
}

void fsm_sa_remove(struct fsm *fsm, struct fsm_sa *sa)
{
    fsm_keep_sa(fsm, sa);
    image_pass_sa(fsm->image, sa);
    UNLINK(fsm->all_sas, fsm->last_sa, sa);
    while (sa->n_claims > 0)
        fsm_claim_remove(fsm, sa->claims[sa->n_claims - 1]);
    for (size_t i = 0; i < RECORD_MAX_ADDRESSES; i++)
        if (sa->leases[i] != NULL)
            fsm_lease_remove(fsm, sa->leases[i]);
    (void)map_take(&fsm->sas, fsm_sa_key(sa->id));
    digest_sub(&fsm->sum, sa->digest);
    fsm_state_drop(sa->state, sa->state_len);
    free(sa);
}

const struct fsm_shard *fsm_shard(const struct fsm *fsm, uint32_t shard)
{
    for (size_t i = 0; i < fsm->n_shards; i++)
        if (fsm->shards[i].shard == shard)
            return &fsm->shards[i];
    return NULL;
}

const struct fsm_member *fsm_member(const struct fsm *fsm, uint32_t node)
{
    for (size_t i = 0; i < fsm->n_members; i++)
        if (fsm->members[i]->node == node)
            return fsm->members[i];
    return NULL;
}

const struct fsm_sa *fsm_sa(const struct fsm *fsm, uint64_t id)
{
    return map_get(&fsm->sas, fsm_sa_key(id));
}

const struct fsm_claim *fsm_claim(const struct fsm *fsm, uint32_t spi_in)
{
    return map_get(&fsm->claims, fsm_claim_key(spi_in));
}

const struct fsm_lease *fsm_lease(const struct fsm *fsm, struct span address)
{
    return address.len == 4 || address.len == 16 ? map_get(&fsm->leases, fsm_lease_key(address))
                                                 : NULL;
}

uint64_t fsm_sa_version(const struct fsm *fsm, const struct fsm_sa *sa)
{
    return sa->version + (fsm_assignments(fsm, sa->shard) - sa->touched);
}

struct repl_claim fsm_claim_now(const struct fsm *fsm, const struct fsm_claim *claim)
{
    struct repl_claim now = claim->claim;

    repl_claim_touch(&now, fsm_assignments(fsm, claim->sa->shard));
    return now;
}

void fsm_init(struct fsm *fsm, uint64_t incarnation)
{
    *fsm = (struct fsm){.incarnation = incarnation};
}

void fsm_deinit(struct fsm *fsm)
{
    void *p;
    size_t at;

    HF_ASSERT(fsm->image == NULL);
    for (at = 0; (p = map_next(&fsm->sas, &at)) != NULL;) {
        struct fsm_sa *sa = p;

        fsm_state_drop(sa->state, sa->state_len);
        free(sa);
    }
    for (at = 0; (p = map_next(&fsm->claims, &at)) != NULL;)
        free(p);
    for (at = 0; (p = map_next(&fsm->leases, &at)) != NULL;) {
        free(((struct fsm_lease *)p)->identity);
        free(p);
    }
    for (size_t i = 0; i < fsm->n_members; i++)
        free(fsm->members[i]);
    fsm_documents_deinit(fsm);
    fsm_audit_deinit(fsm);
    map_deinit(&fsm->sas);
    map_deinit(&fsm->claims);
    map_deinit(&fsm->leases);
    secret_wipe_bytes(&fsm->config, sizeof fsm->config);
    *fsm = (struct fsm){0};
}
