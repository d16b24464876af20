#include "replication/snapshot.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "proto/snapshot.pb-c.h"
#include "replication/fsm_parts.h"

enum { SNAPSHOT_FORMAT = 1, LENGTH_BYTES = 4, ITEM_MAX_BYTES = 1 << 20 };

/* Where one item stands in plain; wiped whenever it is given up. */
struct scratch {
    uint8_t *bytes;
    size_t cap;
};

static void scratch_drop(struct scratch *s)
{
    if (s->bytes != NULL)
        secret_wipe_bytes(s->bytes, s->cap);
    free(s->bytes);
    *s = (struct scratch){0};
}

static uint8_t *scratch_of(struct scratch *s, size_t n)
{
    if (n > s->cap) {
        scratch_drop(s);
        s->cap = n < 4096 ? 4096 : n * 2;
        s->bytes = repl_alloc_zero(1, s->cap);
    }
    return s->bytes;
}

/* --- encode --- */

struct out {
    const struct seal *seal;
    uint8_t *bytes;
    size_t len, cap;
    struct scratch plain;
    uint64_t items;
    bool failed;
};

static void out_reserve(struct out *o, size_t more)
{
    if (o->bytes != NULL && o->cap - o->len >= more)
        return;
    while (o->cap - o->len < more)
        o->cap = o->cap == 0 ? 1 << 16 : o->cap * 2;
    HF_ASSERT(o->cap > 0);
    o->bytes = realloc(o->bytes, o->cap);
    HF_ASSERT(o->bytes != NULL);
}

static void out_item(struct out *o, const Holdfast__SnapshotItem *item)
{
    size_t n = holdfast__snapshot_item__get_packed_size(item);
    size_t sealed = 0;

    if (o->failed || n > ITEM_MAX_BYTES || o->len + n > REPL_MAX_SNAPSHOT_BYTES - (1 << 16)) {
        o->failed = true;
        return;
    }
    (void)holdfast__snapshot_item__pack(item, scratch_of(&o->plain, n));
    out_reserve(o, LENGTH_BYTES + n + o->seal->overhead);
    if (!o->seal->seal(o->seal->self, SEAL_SNAPSHOT, span_of(o->plain.bytes, n),
                       o->bytes + o->len + LENGTH_BYTES, &sealed)) {
        o->failed = true;
        return;
    }
    put_be32(o->bytes + o->len, (uint32_t)sealed);
    o->len += LENGTH_BYTES + sealed;
    o->items++;
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
    m.address = (char *)(uintptr_t)member->address;
    m.floor = member->floor;
    m.judged = data_of(judged, n);
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_MEMBER;
    item.member = &m;
    out_item(o, &item);
}

static void out_sa(struct out *o, const struct fsm_sa *sa)
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotSa m = HOLDFAST__SNAPSHOT_SA__INIT;
    Holdfast__SnapshotClaim claims[RECORD_MAX_CHILDREN];
    Holdfast__SnapshotClaim *list[RECORD_MAX_CHILDREN];

    for (size_t i = 0; i < sa->n_claims; i++) {
        const struct fsm_claim *c = sa->claims[i];

        claims[i] = (Holdfast__SnapshotClaim)HOLDFAST__SNAPSHOT_CLAIM__INIT;
        claims[i].spi_in = c->spi_in;
        claims[i].spi_out = c->spi_out;
        claims[i].esn = c->esn;
        claims[i].reservation_end = c->claim.reservation_end;
        claims[i].ceiling = c->claim.ceiling;
        claims[i].touched = c->claim.touched;
        claims[i].version = c->claim.version;
        claims[i].packets_in = c->claim.packets_in;
        claims[i].packets_out = c->claim.packets_out;
        claims[i].told = c->claim.told;
        claims[i].bytes_in = c->claim.bytes_in;
        claims[i].bytes_out = c->claim.bytes_out;
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

static void out_lease(struct out *o, const struct fsm_lease *l)
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotLease m = HOLDFAST__SNAPSHOT_LEASE__INIT;

    m.address = data_of(l->address, l->address_len);
    m.identity = data_of(l->identity, l->identity_len);
    m.shard = l->shard;
    m.sa_id = l->sa == NULL ? 0 : l->sa->id;
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_LEASE;
    item.lease = &m;
    out_item(o, &item);
}

static void out_footer(struct out *o, const struct fsm *fsm)
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotFooter m = HOLDFAST__SNAPSHOT_FOOTER__INIT;
    struct digest d = fsm_digest(fsm);
    uint8_t digest[REPL_DIGEST_BYTES];

    put_be64(digest, d.a);
    put_be64(digest + 8, d.b);
    m.items = o->items;
    m.digest = data_of(digest, sizeof digest);
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_FOOTER;
    item.footer = &m;
    out_item(o, &item);
}

uint8_t *snapshot_encode(const struct fsm *fsm, const struct seal *seal, size_t *n)
{
    struct out o = {.seal = seal};
    const void *p;
    size_t at;

    out_head(&o, fsm);
    for (size_t i = 0; i < fsm->n_shards; i++)
        out_shard(&o, &fsm->shards[i]);
    for (size_t i = 0; i < fsm->n_members; i++)
        out_member(&o, fsm->members[i]);
    for (at = 0; (p = map_next(&fsm->sas, &at)) != NULL;)
        out_sa(&o, p);
    for (at = 0; (p = map_next(&fsm->leases, &at)) != NULL;)
        out_lease(&o, p);
    out_footer(&o, fsm);
    scratch_drop(&o.plain);
    if (o.failed) {
        free(o.bytes);
        return NULL;
    }
    *n = o.len;
    return o.bytes;
}

/* --- restore: every item is judged as if it came from a stranger --- */

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
    sa->state = repl_copy(m->state.data, m->state.len);
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

static bool in_footer(const struct fsm *fsm, const Holdfast__SnapshotFooter *m, uint64_t items)
{
    struct digest d = fsm_digest(fsm);

    return m->items == items && m->digest.len == REPL_DIGEST_BYTES &&
           get_be64(m->digest.data) == d.a && get_be64(m->digest.data + 8) == d.b;
}

static bool in_item(struct fsm *fsm, const Holdfast__SnapshotItem *item, uint64_t items, bool *done)
{
    switch (item->item_case) {
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_HEADER:
        if (items != 0 || item->header->format != SNAPSHOT_FORMAT ||
            item->header->incarnation != fsm->incarnation)
            return false;
        fsm->applied_index = item->header->applied_index;
        fsm->cluster_ms = item->header->cluster_ms;
        return true;
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_CONFIG:
        return in_config(fsm, item->config);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_SHARD:
        return in_shard(fsm, item->shard);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_MEMBER:
        return in_member(fsm, item->member);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_SA:
        return in_sa(fsm, item->sa);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_LEASE:
        return in_lease(fsm, item->lease);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM_FOOTER:
        *done = true;
        return in_footer(fsm, item->footer, items);
    case HOLDFAST__SNAPSHOT_ITEM__ITEM__NOT_SET:
    default:
        return false;
    }
}

static bool read_items(struct span bytes, const struct seal *seal, struct scratch *scratch,
                       struct fsm *fsm)
{
    bool done = false;
    size_t at = 0;

    for (uint64_t items = 0; !done; items++) {
        size_t n = 0;

        if (bytes.len - at < LENGTH_BYTES)
            return false;

        size_t sealed = get_be32(bytes.data + at);

        at += LENGTH_BYTES;
        if (sealed > bytes.len - at || sealed > ITEM_MAX_BYTES + seal->overhead)
            return false;

        uint8_t *plain = scratch_of(scratch, sealed + 1);

        if (!seal->open(seal->self, SEAL_SNAPSHOT, span_of(bytes.data + at, sealed), plain, &n))
            return false;
        at += sealed;

        Holdfast__SnapshotItem *item = holdfast__snapshot_item__unpack(NULL, n, plain);
        bool ok = item != NULL &&
                  (items > 0 || item->item_case == HOLDFAST__SNAPSHOT_ITEM__ITEM_HEADER) &&
                  in_item(fsm, item, items, &done);

        if (item != NULL)
            holdfast__snapshot_item__free_unpacked(item, NULL);
        if (!ok)
            return false;
    }
    return at == bytes.len;
}

bool snapshot_restore(struct span bytes, const struct seal *seal, uint64_t incarnation,
                      struct fsm *fsm)
{
    struct scratch scratch = {0};

    fsm_init(fsm, incarnation);

    bool ok = read_items(bytes, seal, &scratch, fsm);

    scratch_drop(&scratch);
    if (!ok)
        fsm_deinit(fsm);
    return ok;
}
