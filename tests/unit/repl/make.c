#include "unit/repl/make.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "replication/map.h"

static ProtobufCBinaryData data(const void *bytes, size_t n)
{
    return (ProtobufCBinaryData){.len = n, .data = repl_copy(bytes, n)};
}

static ProtobufCBinaryData text(const char *s)
{
    return data(s, strlen(s));
}

static ProtobufCBinaryData ipv4(uint32_t a)
{
    uint8_t b[4];

    put_be32(b, a);
    return a == 0 ? (ProtobufCBinaryData){0} : data(b, 4);
}

static char *string(const char *s)
{
    char *p = strdup(s);

    HF_ASSERT(p != NULL);
    return p;
}

static Holdfast__Epoch *epoch(uint64_t index, uint64_t incarnation)
{
    Holdfast__Epoch *e = repl_alloc_zero(1, sizeof *e);

    holdfast__epoch__init(e);
    e->incarnation = index == 0 ? 0 : incarnation == 0 ? 1 : incarnation;
    e->index = index;
    return e;
}

static Holdfast__Record *new_record(struct maker *m, Holdfast__Record__BodyCase body)
{
    Holdfast__Record *r = repl_alloc_zero(1, sizeof *r);

    holdfast__record__init(r);
    r->node = 1;
    r->body_case = body;
    if (m == NULL)
        return r;
    r->node = m->node;
    r->boot = m->boot;
    r->request = m->request++;
    r->shard = m->shard;
    r->epoch = epoch(m->epoch_index, m->incarnation);
    return r;
}

/* The body of type T, hung into the record. */
#define BODY(T, init, r, field)                                                                    \
    T *body = repl_alloc_zero(1, sizeof *body);                                                    \
    init(body);                                                                                    \
    (r)->field = body

Holdfast__Record *make_boot(uint32_t node, uint64_t boot, uint64_t replaces)
{
    Holdfast__Record *r = new_record(NULL, HOLDFAST__RECORD__BODY_MEMBER);
    BODY(Holdfast__Member, holdfast__member__init, r, member);

    r->node = node;
    r->boot = boot;
    body->node = node;
    body->boot = boot;
    body->replaces_boot = replaces;
    body->change = HOLDFAST__MEMBER__CHANGE__BOOT;
    body->address = string("10.0.0.1:7400");
    body->speaks = RECORD_SPEAKS;
    return r;
}

static ProtobufCBinaryData hash_of(uint8_t fill)
{
    uint8_t bytes[RECORD_TOKEN_BYTES];

    memset(bytes, fill, sizeof bytes);
    return data(bytes, sizeof bytes);
}

Holdfast__Record *make_token(struct maker *m, uint32_t node, uint8_t hash, uint64_t valid_ms)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_JOIN_TOKEN);
    BODY(Holdfast__JoinToken, holdfast__join_token__init, r, join_token);

    body->node = node;
    body->address = string("10.0.0.9:7400");
    body->hash = hash_of(hash);
    body->valid_ms = valid_ms;
    return r;
}

static Holdfast__Record *make_change(struct maker *m, uint32_t node,
                                     Holdfast__Member__Change change)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_MEMBER);
    BODY(Holdfast__Member, holdfast__member__init, r, member);

    body->node = node;
    body->change = change;
    body->address = string("");
    return r;
}

Holdfast__Record *make_join(struct maker *m, uint32_t node, uint8_t hash)
{
    Holdfast__Record *r = make_change(m, node, HOLDFAST__MEMBER__CHANGE__JOIN);

    r->member->token = hash_of(hash);
    r->member->speaks = RECORD_SPEAKS;
    return r;
}

Holdfast__Record *make_leave(struct maker *m, uint32_t node)
{
    return make_change(m, node, HOLDFAST__MEMBER__CHANGE__LEAVE);
}

Holdfast__Record *make_leave_until(struct maker *m, uint32_t node, uint64_t until_ms)
{
    Holdfast__Record *r = make_leave(m, node);

    r->member->until_ms = until_ms;
    return r;
}

Holdfast__Record *make_assign(uint32_t shard, uint64_t replaces_index, uint32_t node, uint64_t boot)
{
    Holdfast__Record *r = new_record(NULL, HOLDFAST__RECORD__BODY_ASSIGN);
    BODY(Holdfast__Assign, holdfast__assign__init, r, assign);

    body->shard = shard;
    body->replaces = epoch(replaces_index, 1);
    body->owner_node = node;
    body->owner_boot = boot;
    return r;
}

Holdfast__Record *make_handover(struct maker *m, uint32_t node, uint64_t boot, uint64_t version)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_ASSIGN);
    BODY(Holdfast__Assign, holdfast__assign__init, r, assign);

    body->shard = m->shard;
    body->replaces = epoch(m->epoch_index, m->incarnation);
    body->owner_node = node;
    body->owner_boot = boot;
    body->handover = true;
    body->version = version;
    return r;
}

Holdfast__Record *make_abort(struct maker *m, uint64_t version)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_HANDOVER_ABORT);
    BODY(Holdfast__HandoverAbort, holdfast__handover_abort__init, r, handover_abort);

    body->version = version;
    return r;
}

Holdfast__Record *make_windows(struct maker *m, uint64_t version, const char *windows)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_HANDOVER_WINDOWS);
    BODY(Holdfast__HandoverWindows, holdfast__handover_windows__init, r, handover_windows);

    body->version = version;
    body->windows = text(windows);
    return r;
}

Holdfast__Record *make_move(struct maker *m, uint32_t node)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_MOVE);
    BODY(Holdfast__Move, holdfast__move__init, r, move);

    body->node = node;
    return r;
}

Holdfast__Record *make_drain(struct maker *m, uint32_t node, bool drained)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_DRAIN);
    BODY(Holdfast__Drain, holdfast__drain__init, r, drain);

    body->node = node;
    body->drained = drained;
    return r;
}

Holdfast__Record *make_drain_until(struct maker *m, uint32_t node, bool drained, uint64_t until_ms)
{
    Holdfast__Record *r = make_drain(m, node, drained);

    r->drain->until_ms = until_ms;
    return r;
}

Holdfast__Record *make_removal_drain(struct maker *m, uint32_t node, bool drained,
                                     uint64_t until_ms, uint64_t removal)
{
    Holdfast__Record *r = make_drain_until(m, node, drained, until_ms);

    r->drain->removal = removal;
    return r;
}

Holdfast__Record *make_config(uint64_t version, uint32_t lease_ms)
{
    static const uint8_t secret[32] = {1, 2, 3};
    Holdfast__Record *r = new_record(NULL, HOLDFAST__RECORD__BODY_CONFIG);
    BODY(Holdfast__ClusterConfig, holdfast__cluster_config__init, r, config);

    body->version = version;
    body->election_ms = 150;
    body->heartbeat_ms = 30;
    body->lease_ms = lease_ms;
    body->lease_heartbeat_ms = 30;
    body->cookie_secret = data(secret, sizeof secret);
    return r;
}

static Holdfast__ChildClaim **one_claim(uint32_t spi_in)
{
    Holdfast__ChildClaim **list = repl_alloc_zero(1, sizeof(Holdfast__ChildClaim *));
    Holdfast__ChildClaim *c = repl_alloc_zero(1, sizeof *c);

    holdfast__child_claim__init(c);
    c->spi_in = spi_in;
    c->spi_out = spi_in + 1;
    c->reservation_end = 64;
    c->ceiling = 8;
    list[0] = c;
    return list;
}

/* None for 0, as one IPv4 address. */
static ProtobufCBinaryData *addresses_of(uint32_t a, size_t *n)
{
    ProtobufCBinaryData one = ipv4(a);

    *n = one.len > 0 ? 1 : 0;
    return *n > 0 ? repl_copy(&one, sizeof one) : NULL;
}

Holdfast__Record *make_create(struct maker *m, uint64_t sa_id, const char *state, uint32_t spi_in,
                              uint32_t address, const char *identity)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_SA_CREATE);
    BODY(Holdfast__SaCreate, holdfast__sa_create__init, r, sa_create);

    body->sa_id = sa_id;
    body->state = text(state);
    if (spi_in != 0) {
        body->n_children = 1;
        body->children = one_claim(spi_in);
    }
    body->addresses = addresses_of(address, &body->n_addresses);
    body->identity = text(identity);
    return r;
}

void make_address6(Holdfast__SaCreate *create, uint8_t last)
{
    uint8_t b[16] = {0xfd, 0, 0, 0x99, [15] = last};

    create->addresses =
        realloc(create->addresses, (create->n_addresses + 1) * sizeof *create->addresses);
    HF_ASSERT(create->addresses != NULL);
    create->addresses[create->n_addresses++] = data(b, sizeof b);
}

Holdfast__Record *make_step(struct maker *m, uint64_t sa_id, uint64_t version, const char *state,
                            uint32_t new_spi, uint32_t gone_spi)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_SA_STEP);
    BODY(Holdfast__SaStep, holdfast__sa_step__init, r, sa_step);

    body->sa_id = sa_id;
    body->version = version;
    body->state = text(state);
    if (new_spi != 0) {
        body->n_new_children = 1;
        body->new_children = one_claim(new_spi);
    }
    if (gone_spi != 0) {
        body->n_gone_children = 1;
        body->gone_children = repl_copy(&gone_spi, sizeof gone_spi);
    }
    return r;
}

void make_successor(Holdfast__Record *step, uint64_t sa_id, const char *state, uint32_t address)
{
    Holdfast__SaCreate *next = repl_alloc_zero(1, sizeof *next);

    holdfast__sa_create__init(next);
    next->sa_id = sa_id;
    next->state = text(state);
    next->addresses = addresses_of(address, &next->n_addresses);
    step->sa_step->successor = next;
}

void make_end(Holdfast__Record *create, uint64_t sa_id, uint64_t version)
{
    Holdfast__SaCreate *body = create->sa_create;
    Holdfast__SaDelete *end = repl_alloc_zero(1, sizeof *end);

    holdfast__sa_delete__init(end);
    end->sa_id = sa_id;
    end->version = version;
    body->ends = realloc(body->ends, (body->n_ends + 1) * sizeof(Holdfast__SaDelete *));
    HF_ASSERT(body->ends != NULL);
    body->ends[body->n_ends++] = end;
}

void make_give(Holdfast__Record *create, uint64_t sa_id, uint64_t version, const char *state)
{
    Holdfast__SaGive *give = repl_alloc_zero(1, sizeof *give);

    holdfast__sa_give__init(give);
    give->sa_id = sa_id;
    give->version = version;
    give->state = text(state);
    create->sa_create->gives = give;
}

void make_item(Holdfast__Record *extend, uint32_t spi_in, uint64_t version, uint64_t end,
               uint64_t ceiling)
{
    Holdfast__Extend *body = extend->extend;
    Holdfast__Extend__Item *item = repl_alloc_zero(1, sizeof *item);

    holdfast__extend__item__init(item);
    item->spi_in = spi_in;
    item->version = version;
    item->reservation_end = end;
    item->ceiling = ceiling;
    body->items = realloc(body->items, (body->n_items + 1) * sizeof(Holdfast__Extend__Item *));
    HF_ASSERT(body->items != NULL);
    body->items[body->n_items++] = item;
}

Holdfast__Record *make_extend(struct maker *m, uint32_t spi_in, uint64_t version, uint64_t end,
                              uint64_t ceiling)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_EXTEND);
    BODY(Holdfast__Extend, holdfast__extend__init, r, extend);

    (void)body;
    make_item(r, spi_in, version, end, ceiling);
    return r;
}

Holdfast__Record *make_delete(struct maker *m, uint64_t sa_id, uint64_t version)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_SA_DELETE);
    BODY(Holdfast__SaDelete, holdfast__sa_delete__init, r, sa_delete);

    body->sa_id = sa_id;
    body->version = version;
    return r;
}

Holdfast__Record *make_lease(struct maker *m, uint32_t address, const char *identity, bool release)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_POOL_LEASE);
    BODY(Holdfast__PoolLease, holdfast__pool_lease__init, r, pool_lease);

    body->address = ipv4(address);
    body->identity = text(identity);
    body->release = release;
    return r;
}

Holdfast__Record *make_audit(struct maker *m, const char *what)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_AUDIT);
    BODY(Holdfast__Audit, holdfast__audit__init, r, audit);

    body->what = string(what);
    return r;
}

Holdfast__Record *make_rotate(struct maker *m)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_ROTATE_KEYS);
    BODY(Holdfast__RotateKeys, holdfast__rotate_keys__init, r, rotate_keys);

    (void)body;
    return r;
}

Holdfast__Record *make_session_key(uint64_t id, uint64_t replaces, bool lost, uint64_t answers)
{
    Holdfast__Record *r = new_record(NULL, HOLDFAST__RECORD__BODY_SESSION_KEY);
    BODY(Holdfast__SessionKey, holdfast__session_key__init, r, session_key);

    body->id = id;
    body->replaces = replaces;
    body->lost = lost;
    body->answers = answers;
    return r;
}

Holdfast__Record *make_erased(uint64_t id)
{
    Holdfast__Record *r = new_record(NULL, HOLDFAST__RECORD__BODY_KEY_ERASED);
    BODY(Holdfast__KeyErased, holdfast__key_erased__init, r, key_erased);

    body->id = id;
    return r;
}

static void set(char **field, const char *value)
{
    if (*field != protobuf_c_empty_string)
        free(*field);
    *field = string(value);
}

void make_admin(Holdfast__Record *r, const char *principal, const char *operation,
                const char *outcome)
{
    if (r->admin == NULL) {
        r->admin = repl_alloc_zero(1, sizeof *r->admin);
        holdfast__admin__init(r->admin);
    }
    set(&r->admin->role, "admin");
    set(&r->admin->principal, principal);
    set(&r->admin->operation, operation);
    set(&r->admin->outcome, outcome);
}

Holdfast__Record *make_documents(struct maker *m)
{
    Holdfast__Record *r = new_record(m, HOLDFAST__RECORD__BODY_DOCUMENTS);
    BODY(Holdfast__Documents, holdfast__documents__init, r, documents);

    (void)body;
    make_admin(r, "alice", "", "");
    return r;
}

void make_change_of(Holdfast__Record *r, const char *kind, const char *name,
                    Holdfast__DocumentChange__Expect expect, uint64_t version, const char *bytes)
{
    Holdfast__Documents *d = r->documents;
    Holdfast__DocumentChange *c = repl_alloc_zero(1, sizeof *c);

    holdfast__document_change__init(c);
    c->kind = string(kind);
    c->name = string(name);
    c->expect = expect;
    c->version = version;
    c->remove = bytes == NULL;
    c->bytes = bytes == NULL ? (ProtobufCBinaryData){0} : text(bytes);
    d->changes = realloc(d->changes, (d->n_changes + 1) * sizeof(void *));
    HF_ASSERT(d->changes != NULL);
    d->changes[d->n_changes++] = c;
}
