/* A snapshot as bytes: head, batches of an image, end. */
#include "replication/snapshot.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "proto/snapshot.pb-c.h"
#include "replication/fsm_parts.h"
#include "replication/snapshot_parts.h"

struct out {
    struct snapshot_encoder *e;
    struct snapshot_piece *piece;
};

static void reserve(struct snapshot_piece *p, size_t more)
{
    if (p->bytes != NULL && p->cap - p->len >= more)
        return;
    while (p->cap - p->len < more)
        p->cap = p->cap == 0 ? 1 << 16 : p->cap * 2;
    HF_ASSERT(p->cap > 0);
    p->bytes = realloc(p->bytes, p->cap);
    HF_ASSERT(p->bytes != NULL);
}

/* SAs and leases end with their session; the rest outlives it. */
static enum seal_kind kind_of(const Holdfast__SnapshotItem *item)
{
    return item->item_case == HOLDFAST__SNAPSHOT_ITEM__ITEM_SA ||
                   item->item_case == HOLDFAST__SNAPSHOT_ITEM__ITEM_LEASE
               ? SEAL_SESSION
               : SEAL_CONFIGURATION;
}

static void out_item(struct out *o, const Holdfast__SnapshotItem *item)
{
    struct snapshot_encoder *e = o->e;
    struct snapshot_piece *p = o->piece;
    size_t n = holdfast__snapshot_item__get_packed_size(item);
    size_t sealed = 0;

    if (e->failed || n > SNAPSHOT_ITEM_MAX_BYTES ||
        e->bytes + n > REPL_MAX_SNAPSHOT_BYTES - (1 << 16)) {
        e->failed = true;
        return;
    }
    (void)holdfast__snapshot_item__pack(item, snapshot_scratch_of(&e->plain, n));
    reserve(p, SNAPSHOT_LENGTH_BYTES + n + e->seal->overhead);
    if (!e->seal->seal(e->seal->self, SEAL_SNAPSHOT, kind_of(item), 0, span_of(e->plain.bytes, n),
                       p->bytes + p->len + SNAPSHOT_LENGTH_BYTES, &sealed)) {
        e->failed = true;
        return;
    }
    put_be32(p->bytes + p->len, (uint32_t)sealed);
    p->len += SNAPSHOT_LENGTH_BYTES + sealed;
    e->bytes += SNAPSHOT_LENGTH_BYTES + sealed;
    e->items++;
}

static ProtobufCBinaryData data_of(const void *bytes, size_t n)
{
    return (ProtobufCBinaryData){.len = n, .data = (uint8_t *)(uintptr_t)bytes};
}

static void out_head(struct out *o, const struct fsm *fsm)
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotHeader header = HOLDFAST__SNAPSHOT_HEADER__INIT;
    Holdfast__ClusterConfig config = HOLDFAST__CLUSTER_CONFIG__INIT;
    const struct fsm_config *c = &fsm->config;

    header.format = SNAPSHOT_FORMAT;
    header.incarnation = fsm->incarnation;
    header.applied_index = fsm->applied_index;
    header.cluster_ms = fsm->cluster_ms;
    header.session_key = fsm->session_key;
    header.former_key = fsm->former_key;
    header.switch_index = fsm->switch_index;
    header.key_ms = fsm->key_ms;
    header.rotate_wish = fsm->rotate_wish;
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_HEADER;
    item.header = &header;
    out_item(o, &item);
    if (c->version == 0)
        return;
    config.version = c->version;
    config.election_ms = c->election_ms;
    config.heartbeat_ms = c->heartbeat_ms;
    config.lease_ms = c->lease_ms;
    config.lease_heartbeat_ms = c->lease_heartbeat_ms;
    config.cookie_secret = data_of(c->cookie_secret, 32);
    config.cookie_secret_previous = data_of(c->cookie_secret_previous, c->has_previous ? 32 : 0);
    config.cookie_secret_id = c->cookie_secret_id;
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_CONFIG;
    item.config = &config;
    out_item(o, &item);
}

static void out_shard(struct out *o, const struct fsm_shard *s)
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotShard m = HOLDFAST__SNAPSHOT_SHARD__INIT;
    Holdfast__Epoch epoch = HOLDFAST__EPOCH__INIT;

    epoch.incarnation = s->epoch.incarnation;
    epoch.index = s->epoch.index;
    m.shard = s->shard;
    m.epoch = &epoch;
    m.owner_node = s->owner_node;
    m.owner_boot = s->owner_boot;
    m.assignments = s->assignments;
    m.aborts = s->aborts;
    m.home = s->home;
    m.moving_to = s->moving_to;
    m.moving_until_ms = s->moving_until_ms;
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_SHARD;
    item.shard = &m;
    out_item(o, &item);
}

static void out_member(struct out *o, const struct fsm_member *member)
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotMember m = HOLDFAST__SNAPSHOT_MEMBER__INIT;
    uint8_t judged[FSM_WINDOW / 8] = {0};
    size_t n = 0;

    for (uint64_t i = 0; i < FSM_WINDOW; i++) {
        uint64_t bit = (member->floor + i) % FSM_WINDOW;

        if ((member->judged[bit / 64] >> (bit % 64) & 1) == 0)
            continue;
        judged[i / 8] = (uint8_t)(judged[i / 8] | 1u << (i % 8));
        n = i / 8 + 1;
    }
    m.node = member->node;
    m.boot = member->boot;
    m.left = member->left;
    m.drained = member->drained;
    m.speaks = member->speaks;
    m.removal = member->removal;
    m.address = (char *)(uintptr_t)member->address;
    m.floor = member->floor;
    m.judged = data_of(judged, n);
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_MEMBER;
    item.member = &m;
    out_item(o, &item);
}

static void out_token(struct out *o, const struct fsm_token *t)
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotToken m = HOLDFAST__SNAPSHOT_TOKEN__INIT;

    m.node = t->node;
    m.address = (char *)(uintptr_t)t->address;
    m.hash = data_of(t->hash, sizeof t->hash);
    m.expires_ms = t->expires_ms;
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_TOKEN;
    item.token = &m;
    out_item(o, &item);
}

static void out_beginning(struct out *o, const struct repl_beginning *b)
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotBeginning m = HOLDFAST__SNAPSHOT_BEGINNING__INIT;

    m.how = (uint32_t)b->how;
    m.former = b->former;
    m.incarnation = b->incarnation;
    m.node = b->node;
    m.index = b->index;
    m.cluster_ms = b->cluster_ms;
    m.given_up = (uint32_t *)(uintptr_t)b->given_up;
    m.n_given_up = b->n_given_up;
    m.wall_s = b->word.wall_s;
    m.highest_id = b->word.highest_id;
    m.who = (char *)(uintptr_t)b->word.who;
    m.why = (char *)(uintptr_t)b->word.why;
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_BEGINNING;
    item.beginning = &m;
    out_item(o, &item);
}

static Holdfast__SnapshotClaim claim_of(const struct image_claim *c)
{
    Holdfast__SnapshotClaim m = HOLDFAST__SNAPSHOT_CLAIM__INIT;

    m.spi_in = c->spi_in;
    m.spi_out = c->spi_out;
    m.esn = c->esn;
    m.reservation_end = c->claim.reservation_end;
    m.ceiling = c->claim.ceiling;
    m.touched = c->claim.touched;
    m.version = c->claim.version;
    m.packets_in = c->claim.packets_in;
    m.packets_out = c->claim.packets_out;
    m.told = c->claim.told;
    m.bytes_in = c->claim.bytes_in;
    m.bytes_out = c->claim.bytes_out;
    return m;
}

static void out_sa(struct out *o, const struct image_batch *batch, const struct image_sa *sa)
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotSa m = HOLDFAST__SNAPSHOT_SA__INIT;
    Holdfast__SnapshotClaim claims[RECORD_MAX_CHILDREN];
    Holdfast__SnapshotClaim *list[RECORD_MAX_CHILDREN];

    for (size_t i = 0; i < sa->n_claims; i++) {
        claims[i] = claim_of(&batch->claims[sa->first_claim + i]);
        list[i] = &claims[i];
    }
    m.sa_id = sa->id;
    m.shard = sa->shard;
    m.version = sa->version;
    m.touched = sa->touched;
    m.state = data_of(sa->state, sa->state_len);
    m.n_claims = sa->n_claims;
    m.claims = list;
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_SA;
    item.sa = &m;
    out_item(o, &item);
}

static void out_lease(struct out *o, const struct image_lease *l)
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotLease m = HOLDFAST__SNAPSHOT_LEASE__INIT;

    m.address = data_of(l->address, l->address_len);
    m.identity = data_of(l->identity, l->identity_len);
    m.shard = l->shard;
    m.sa_id = l->sa_id;
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_LEASE;
    item.lease = &m;
    out_item(o, &item);
}

static void out_document(struct out *o, const struct repl_document *d)
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotDocument m = HOLDFAST__SNAPSHOT_DOCUMENT__INIT;

    m.kind = (char *)(uintptr_t)d->kind;
    m.name = (char *)(uintptr_t)d->name;
    m.version = d->version;
    m.bytes = data_of(d->bytes, d->len);
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_DOCUMENT;
    item.document = &m;
    out_item(o, &item);
}

static void out_audit(struct out *o, const struct fsm_audit *a)
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotAudit m = HOLDFAST__SNAPSHOT_AUDIT__INIT;

    m.count = a->head.count;
    m.hash = data_of(a->head.hash, sizeof a->head.hash);
    m.kept = a->n;
    m.refused_since_ms = a->refused_since_ms;
    m.refused = a->refused;
    m.unaudited = a->unaudited;
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_AUDIT;
    item.audit = &m;
    out_item(o, &item);
}

static void out_audit_entry(struct out *o, const struct audit_entry *e)
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotAuditEntry m = HOLDFAST__SNAPSHOT_AUDIT_ENTRY__INIT;

    m.sequence = e->sequence;
    m.index = e->index;
    m.cluster_ms = e->cluster_ms;
    m.wall_ms = e->wall_ms;
    m.node = e->node;
    m.unaudited = e->unaudited;
    m.previous = data_of(e->previous, sizeof e->previous);
    m.n_texts = AUDIT_TEXTS;
    m.texts = (char **)(uintptr_t)e->texts;
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_AUDIT_ENTRY;
    item.audit_entry = &m;
    out_item(o, &item);
}

bool snapshot_encode_head(struct snapshot_encoder *e, const struct fsm *fsm,
                          const struct seal *seal, struct snapshot_piece *piece)
{
    struct out o = {.e = e, .piece = piece};

    *e = (struct snapshot_encoder){.seal = seal, .digest = fsm_digest(fsm)};
    out_head(&o, fsm);
    for (size_t i = 0; i < fsm->n_shards; i++)
        out_shard(&o, &fsm->shards[i]);
    for (size_t i = 0; i < fsm->n_members; i++)
        out_member(&o, fsm->members[i]);
    for (size_t i = 0; i < fsm->n_tokens; i++)
        out_token(&o, &fsm->tokens[i]);
    for (size_t i = 0; i < fsm->n_beginnings; i++)
        out_beginning(&o, &fsm->beginnings[i]);
    if (fsm->audit.head.count > 0)
        out_audit(&o, &fsm->audit);
    return !e->failed;
}

bool snapshot_encode_batch(struct snapshot_encoder *e, const struct image_batch *batch,
                           struct snapshot_piece *piece)
{
    struct out o = {.e = e, .piece = piece};

    for (size_t i = 0; i < batch->n_documents; i++)
        out_document(&o, batch->documents[i]);
    for (size_t i = 0; i < batch->n_audit; i++)
        out_audit_entry(&o, batch->audit[i]);
    for (size_t i = 0; i < batch->n_sas; i++)
        out_sa(&o, batch, &batch->sas[i]);
    for (size_t i = 0; i < batch->n_leases; i++)
        out_lease(&o, &batch->leases[i]);
    return !e->failed;
}

bool snapshot_encode_end(struct snapshot_encoder *e, struct snapshot_piece *piece)
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotFooter m = HOLDFAST__SNAPSHOT_FOOTER__INIT;
    struct out o = {.e = e, .piece = piece};
    uint8_t digest[REPL_DIGEST_BYTES];

    put_be64(digest, e->digest.a);
    put_be64(digest + 8, e->digest.b);
    m.items = e->items;
    m.digest = data_of(digest, sizeof digest);
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_FOOTER;
    item.footer = &m;
    out_item(&o, &item);
    return !e->failed;
}

void snapshot_encoder_deinit(struct snapshot_encoder *e)
{
    snapshot_scratch_drop(&e->plain);
}

uint8_t *snapshot_encode(const struct fsm *fsm, const struct seal *seal, size_t *n)
{
    struct image *image = image_begin((struct fsm *)(uintptr_t)fsm); /* marks only */
    struct snapshot_piece piece = {0};
    struct snapshot_encoder e;
    bool ok = snapshot_encode_head(&e, fsm, seal, &piece);

    for (bool all = false; ok && !all;) {
        struct image_batch *batch;

        all = image_walk(image, SIZE_MAX, SIZE_MAX);
        batch = image_take(image);
        ok = batch == NULL || snapshot_encode_batch(&e, batch, &piece);
        image_batch_free(batch);
    }
    image_end(image);
    ok = ok && snapshot_encode_end(&e, &piece);
    snapshot_encoder_deinit(&e);
    if (!ok) {
        free(piece.bytes);
        return NULL;
    }
    *n = piece.len;
    return piece.bytes;
}
