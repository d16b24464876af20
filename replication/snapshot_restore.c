/* A snapshot's bytes to state: every item is judged as if it came from a stranger. */
#include <stdlib.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "proto/snapshot.pb-c.h"
#include "replication/fsm_parts.h"
#include "replication/seal_ring.h"
#include "replication/snapshot.h"
#include "replication/snapshot_parts.h"

void snapshot_scratch_drop(struct snapshot_scratch *s)
{
    if (s->bytes != NULL)
        secret_wipe_bytes(s->bytes, s->cap);
    free(s->bytes);
    *s = (struct snapshot_scratch){0};
}

uint8_t *snapshot_scratch_of(struct snapshot_scratch *s, size_t n)
{
    if (n > s->cap) {
        snapshot_scratch_drop(s);
        s->cap = n < 4096 ? 4096 : n * 2;
        s->bytes = repl_alloc_zero(1, s->cap);
    }
    return s->bytes;
}

static bool in_config(struct fsm *fsm, const Holdfast__ClusterConfig *c)
{
    Holdfast__Record r = HOLDFAST__RECORD__INIT;
    uint64_t version = c->version;

    r.node = 1;
    r.body_case = HOLDFAST__RECORD__BODY_CONFIG;
    r.config = (Holdfast__ClusterConfig *)(uintptr_t)c;
    if (fsm->config.version != 0 || !record_valid(&r))
        return false;
    fsm->config.version = version;
    fsm->config.election_ms = c->election_ms;
    fsm->config.heartbeat_ms = c->heartbeat_ms;
    fsm->config.lease_ms = c->lease_ms;
    fsm->config.lease_heartbeat_ms = c->lease_heartbeat_ms;
    memcpy(fsm->config.cookie_secret, c->cookie_secret.data, 32);
    fsm->config.has_previous = c->cookie_secret_previous.len == 32;
    if (fsm->config.has_previous)
        memcpy(fsm->config.cookie_secret_previous, c->cookie_secret_previous.data, 32);
    fsm->config.cookie_secret_id = c->cookie_secret_id;
    return true;
}

static bool in_shard(struct fsm *fsm, const Holdfast__SnapshotShard *m)
{
    if (m->shard == 0 || fsm->n_shards == REPL_MAX_SHARDS || fsm_shard(fsm, m->shard) != NULL)
        return false;
    fsm->shards[fsm->n_shards++] = (struct fsm_shard){.shard = m->shard,
                                                      .epoch = record_epoch(m->epoch),
                                                      .owner_node = m->owner_node,
                                                      .owner_boot = m->owner_boot,
                                                      .assignments = m->assignments,
                                                      .aborts = m->aborts,
                                                      .home = m->home,
                                                      .moving_to = m->moving_to,
                                                      .moving_until_ms = m->moving_until_ms};
    return true;
}

static bool in_member(struct fsm *fsm, const Holdfast__SnapshotMember *m)
{
    if (m->node == 0 || m->floor == 0 || fsm->n_members == FSM_MAX_MEMBERS ||
        fsm_member(fsm, m->node) != NULL || m->judged.len > FSM_WINDOW / 8 ||
        strlen(m->address) > RECORD_MAX_ADDRESS_TEXT)
        return false;

    struct fsm_member *member = repl_alloc_zero(1, sizeof *member);

    member->node = m->node;
    member->boot = m->boot;
    member->left = m->left;
    member->drained = m->drained;
    member->speaks = m->speaks;
    member->removal = m->removal;
    memcpy(member->address, m->address, strlen(m->address));
    member->floor = m->floor;
    for (uint64_t i = 0; i < m->judged.len * 8; i++)
        if ((m->judged.data[i / 8] >> (i % 8) & 1) != 0) {
            uint64_t bit = (m->floor + i) % FSM_WINDOW;

            member->judged[bit / 64] |= 1ull << (bit % 64);
        }
    fsm->members[fsm->n_members++] = member;
    return true;
}

static bool in_token(struct fsm *fsm, const Holdfast__SnapshotToken *m)
{
    struct fsm_token *t = &fsm->tokens[fsm->n_tokens];

    if (m->node == 0 || fsm->n_tokens == REPL_MAX_MEMBERS || m->hash.len != sizeof t->hash ||
        strlen(m->address) > RECORD_MAX_ADDRESS_TEXT)
        return false;
    fsm->n_tokens++;
    *t = (struct fsm_token){.node = m->node, .expires_ms = m->expires_ms};
    memcpy(t->address, m->address, strlen(m->address));
    memcpy(t->hash, m->hash.data, sizeof t->hash);
    return true;
}

static bool in_beginning(struct fsm *fsm, const Holdfast__SnapshotBeginning *m)
{
    struct repl_beginning *b = &fsm->beginnings[fsm->n_beginnings];

    if (fsm->n_beginnings == REPL_MAX_BEGINNINGS || m->node == 0 || m->incarnation == 0 ||
        (m->how != REPL_RECOVERED && m->how != REPL_RESTORED) || m->n_given_up > REPL_MAX_NODES ||
        strlen(m->who) >= REPL_WHO_BYTES || strlen(m->why) >= REPL_WHY_BYTES ||
        m->highest_id < fsm->used_ids)
        return false;
    fsm->n_beginnings++;
    *b = (struct repl_beginning){
        .how = (enum repl_how)m->how,
        .former = m->former,
        .incarnation = m->incarnation,
        .node = m->node,
        .index = m->index,
        .cluster_ms = m->cluster_ms,
        .n_given_up = m->n_given_up,
        .word = {.wall_s = m->wall_s, .highest_id = m->highest_id},
    };
    for (size_t i = 0; i < m->n_given_up; i++)
        b->given_up[i] = m->given_up[i];
    memcpy(b->word.who, m->who, strlen(m->who));
    memcpy(b->word.why, m->why, strlen(m->why));
    fsm->used_ids = m->highest_id;
    return true;
}

/* In the one order that they can have. */
static bool in_document(struct fsm *fsm, const Holdfast__SnapshotDocument *m)
{
    const struct fsm_documents *all = &fsm->documents;

    if (!document_kind_valid(m->kind) || !document_name_valid(m->name) || m->version == 0 ||
        m->bytes.len > DOCUMENT_MAX_BYTES || all->n == DOCUMENTS_MAX ||
        all->bytes + document_size(m->kind, m->name, m->bytes.len) > DOCUMENTS_MAX_BYTES ||
        (all->n > 0 && document_compare(all->list[all->n - 1], m->kind, m->name) >= 0))
        return false;
    fsm_document_put(fsm, document_new(m->kind, m->name, m->version, record_span(m->bytes)));
    return true;
}

/* The head as of before the kept entries, which lead it on; what they must lead to is kept in the decoder. */
static bool in_audit(struct snapshot_decoder *d, const Holdfast__SnapshotAudit *m)
{
    struct fsm_audit *a = &d->fsm->audit;

    if (d->audit.count != 0 || m->count == 0 || m->hash.len != sizeof d->audit.hash ||
        m->kept == 0 || m->kept > m->count || m->kept > AUDIT_KEEP ||
        m->refused > AUDIT_REFUSED_A_MINUTE)
        return false;
    d->audit.count = m->count;
    memcpy(d->audit.hash, m->hash.data, sizeof d->audit.hash);
    a->head.count = m->count - m->kept;
    a->refused_since_ms = m->refused_since_ms;
    a->refused = m->refused;
    a->unaudited = m->unaudited;
    return true;
}

static bool in_audit_entry(struct snapshot_decoder *d, const Holdfast__SnapshotAuditEntry *m)
{
    struct fsm_audit *a = &d->fsm->audit;
    struct audit_draft draft = {.index = m->index,
                                .cluster_ms = m->cluster_ms,
                                .wall_ms = m->wall_ms,
                                .node = m->node,
                                .unaudited = m->unaudited};

    if (m->sequence != a->head.count + 1 || m->sequence > d->audit.count ||
        m->previous.len != sizeof a->head.hash || m->n_texts != AUDIT_TEXTS)
        return false;
    for (size_t i = 0; i < AUDIT_TEXTS; i++) {
        draft.texts[i] = m->texts[i];
        if (!audit_text_valid((enum audit_text)i, m->texts[i]))
            return false;
    }
    if (a->n == 0)
        memcpy(a->head.hash, m->previous.data, sizeof a->head.hash);
    else if (memcmp(a->head.hash, m->previous.data, sizeof a->head.hash) != 0)
        return false;
    fsm_audit_add(d->fsm, &draft);
    return true;
}

static bool audit_is_whole(const struct snapshot_decoder *d)
{
    const struct audit_head *head = &d->fsm->audit.head;

    return head->count == d->audit.count &&
           memcmp(head->hash, d->audit.hash, sizeof head->hash) == 0;
}

static bool in_sa(struct fsm *fsm, const Holdfast__SnapshotSa *m)
{
    uint64_t assignments = fsm_assignments(fsm, m->shard);

    if (m->sa_id == 0 || fsm_sa(fsm, m->sa_id) != NULL || m->state.len == 0 ||
        m->state.len > RECORD_MAX_STATE_BYTES || m->n_claims > RECORD_MAX_CHILDREN ||
        fsm_shard(fsm, m->shard) == NULL || m->touched > assignments)
        return false;
    for (size_t i = 0; i < m->n_claims; i++)
        if (m->claims[i]->spi_in < RECORD_MIN_SPI || m->claims[i]->touched > assignments ||
            m->claims[i]->told > assignments)
            return false;

    struct fsm_sa *sa = repl_alloc_zero(1, sizeof *sa);

    sa->id = m->sa_id;
    sa->shard = m->shard;
    sa->version = m->version;
    sa->touched = m->touched;
    sa->state = fsm_state_new(m->state.data, m->state.len);
    sa->state_len = m->state.len;
    fsm_sa_add(fsm, sa);
    for (size_t i = 0; i < m->n_claims; i++) {
        const Holdfast__SnapshotClaim *from = m->claims[i];

        if (fsm_claim(fsm, from->spi_in) != NULL)
            return false;

        struct fsm_claim *c = repl_alloc_zero(1, sizeof *c);

        c->spi_in = from->spi_in;
        c->spi_out = from->spi_out;
        c->esn = from->esn;
        c->claim = (struct repl_claim){.reservation_end = from->reservation_end,
                                       .ceiling = from->ceiling,
                                       .touched = from->touched,
                                       .version = from->version,
                                       .packets_in = from->packets_in,
                                       .packets_out = from->packets_out,
                                       .told = from->told,
                                       .bytes_in = from->bytes_in,
                                       .bytes_out = from->bytes_out};
        fsm_claim_add(fsm, sa, c);
    }
    return true;
}

static bool in_lease(struct fsm *fsm, const Holdfast__SnapshotLease *m)
{
    struct fsm_sa *sa = m->sa_id == 0 ? NULL : map_get(&fsm->sas, fsm_sa_key(m->sa_id));

    if ((m->address.len != 4 && m->address.len != 16) ||
        m->identity.len > RECORD_MAX_IDENTITY_BYTES ||
        map_get(&fsm->leases, fsm_lease_key(record_span(m->address))) != NULL)
        return false;
    if (m->sa_id != 0 &&
        (sa == NULL || sa->shard != m->shard || *fsm_lease_slot(sa, m->address.len) != NULL))
        return false;

    struct fsm_lease *l = repl_alloc_zero(1, sizeof *l);

    memcpy(l->address, m->address.data, m->address.len);
    l->address_len = (uint8_t)m->address.len;
    l->shard = m->shard;
    l->identity = repl_copy(m->identity.data, m->identity.len);
    l->identity_len = m->identity.len;
    l->sa = sa;
    fsm_lease_add(fsm, l);
    return true;
}

/* Without the sessions there is no state to compare; that nothing else is missing the number says. */
static bool in_footer(const struct fsm *fsm, const Holdfast__SnapshotFooter *m, uint64_t items,
                      bool blind)
{
    struct digest d = fsm_digest(fsm);

    if (blind)
        return m->items == items;
    return m->items == items && m->digest.len == REPL_DIGEST_BYTES &&
           get_be64(m->digest.data) == d.a && get_be64(m->digest.data + 8) == d.b;
}

static bool in_item(struct snapshot_decoder *d, const Holdfast__SnapshotItem *item, bool blind)
{
    struct fsm *fsm = d->fsm;
    uint64_t items = d->items;

    switch (item->item_case) {
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_HEADER:
        if (items != 0 || item->header->format != SNAPSHOT_FORMAT ||
            item->header->incarnation == 0 ||
            (fsm->incarnation != 0 && item->header->incarnation != fsm->incarnation))
            return false;
        fsm->incarnation = item->header->incarnation;
        fsm->applied_index = item->header->applied_index;
        fsm->cluster_ms = item->header->cluster_ms;
        fsm->session_key = item->header->session_key;
        fsm->former_key = item->header->former_key;
        fsm->switch_index = item->header->switch_index;
        fsm->key_ms = item->header->key_ms;
        fsm->rotate_wish = item->header->rotate_wish;
        return true;
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_CONFIG:
        return in_config(fsm, item->config);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_SHARD:
        return in_shard(fsm, item->shard);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_MEMBER:
        return in_member(fsm, item->member);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_TOKEN:
        return in_token(fsm, item->token);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_BEGINNING:
        return in_beginning(fsm, item->beginning);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_SA:
        return in_sa(fsm, item->sa);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_LEASE:
        return in_lease(fsm, item->lease);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_FOOTER:
        d->complete = true;
        return audit_is_whole(d) && in_footer(fsm, item->footer, items, blind);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_DOCUMENT:
        return in_document(fsm, item->document);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_AUDIT:
        return in_audit(d, item->audit);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_AUDIT_ENTRY:
        return in_audit_entry(d, item->audit_entry);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM__NOT_SET:
    default:
        return false;
    }
}

/* Are items that this key sealed left out? 0: are any? */
static bool leaves_out(const struct snapshot_decoder *d, uint64_t key)
{
    if (d->items == 0)
        return false;
    if (d->sessionless)
        return key == 0 ? d->fsm->session_key != 0 : fsm_names_key(d->fsm, key);
    return d->blind != 0 && (key == 0 || key == d->blind);
}

/* SA states, cookie secrets and documents are keys, or may hold some: nothing of them stays in freed memory. */
static void free_item(Holdfast__SnapshotItem *item)
{
    if (item == NULL)
        return;
    if (item->item_case == HOLDFAST__SNAPSHOT_ITEM__ITEM_SA)
        record_wipe(&item->sa->state);
    if (item->item_case == HOLDFAST__SNAPSHOT_ITEM__ITEM_CONFIG) {
        record_wipe(&item->config->cookie_secret);
        record_wipe(&item->config->cookie_secret_previous);
    }
    if (item->item_case == HOLDFAST__SNAPSHOT_ITEM__ITEM_DOCUMENT)
        record_wipe(&item->document->bytes);
    holdfast__snapshot_item__free_unpacked(item, NULL);
}

/* One whole item, sealed. */
static bool read_item(struct snapshot_decoder *d, struct span sealed)
{
    uint8_t *plain = snapshot_scratch_of(&d->plain, sealed.len + 1);
    size_t n = 0;

    if (d->complete)
        return false;
    if (seal_key_of(sealed) != 0 && leaves_out(d, seal_key_of(sealed))) {
        d->items++;
        return true;
    }
    if (!d->seal->open(d->seal->self, SEAL_SNAPSHOT, sealed, plain, &n)) {
        /* Only sessions' items: the header was opened, and says which key they need. */
        if (d->items > 0 && d->fsm->session_key != 0 &&
            seal_key_of(sealed) == d->fsm->session_key && d->seal->has != NULL &&
            !d->seal->has(d->seal->self, d->fsm->session_key))
            d->lacking = d->fsm->session_key;
        return false;
    }

    Holdfast__SnapshotItem *item = holdfast__snapshot_item__unpack(NULL, n, plain);
    bool ok = item != NULL &&
              (d->items > 0 || item->item_case == HOLDFAST__SNAPSHOT_ITEM__ITEM_HEADER) &&
              in_item(d, item, leaves_out(d, 0));

    free_item(item);
    d->items++;
    return ok;
}

/* Takes from *in until partial[] holds `want`. */
static bool gather(struct snapshot_decoder *d, struct span *in, size_t want)
{
    size_t n = want - d->partial_len;

    n = n < in->len ? n : in->len;
    if (d->partial_len + n > d->partial_cap) {
        d->partial_cap = 2 * (d->partial_len + n);
        d->partial = realloc(d->partial, d->partial_cap);
        HF_ASSERT(d->partial != NULL);
    }
    if (n > 0)
        memcpy(d->partial + d->partial_len, in->data, n);
    d->partial_len += n;
    *in = span_of(in->data + n, in->len - n);
    return d->partial_len == want;
}

void snapshot_decoder_init(struct snapshot_decoder *d, const struct seal *seal,
                           uint64_t incarnation, struct fsm *fsm)
{
    *d = (struct snapshot_decoder){.seal = seal, .fsm = fsm};
    fsm_init(fsm, incarnation);
}

bool snapshot_decode(struct snapshot_decoder *d, struct span bytes)
{
    while (!d->failed && bytes.len > 0) {
        size_t sealed;

        if (d->partial_len < SNAPSHOT_LENGTH_BYTES && !gather(d, &bytes, SNAPSHOT_LENGTH_BYTES))
            break;
        sealed = get_be32(d->partial);
        if (sealed > SNAPSHOT_ITEM_MAX_BYTES + d->seal->overhead) {
            d->failed = true;
            break;
        }
        if (!gather(d, &bytes, SNAPSHOT_LENGTH_BYTES + sealed))
            break;
        d->failed = !read_item(d, span_of(d->partial + SNAPSHOT_LENGTH_BYTES, sealed));
        d->partial_len = 0;
    }
    return !d->failed;
}

uint64_t snapshot_key(struct span bytes)
{
    uint32_t sealed;

    if (bytes.len < SNAPSHOT_LENGTH_BYTES)
        return 0;
    sealed = get_be32(bytes.data);
    if (sealed > bytes.len - SNAPSHOT_LENGTH_BYTES)
        return 0;
    return seal_key_of(span_of(bytes.data + SNAPSHOT_LENGTH_BYTES, sealed));
}

bool snapshot_decoder_end(struct snapshot_decoder *d)
{
    bool ok = d->complete && !d->failed && d->partial_len == 0;

    snapshot_scratch_drop(&d->plain);
    if (d->partial != NULL)
        secret_wipe_bytes(d->partial, d->partial_cap);
    free(d->partial);
    if (!ok)
        fsm_deinit(d->fsm);
    *d = (struct snapshot_decoder){0};
    return ok;
}

bool snapshot_restore(struct span bytes, const struct seal *seal, uint64_t incarnation,
                      struct fsm *fsm)
{
    struct snapshot_decoder d;
    bool ok;

    snapshot_decoder_init(&d, seal, incarnation, fsm);
    ok = snapshot_decode(&d, bytes);
    return snapshot_decoder_end(&d) && ok;
}
