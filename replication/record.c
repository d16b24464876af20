#include "replication/record.h"

#include "base/secret.h"
#include "replication/audit.h"
#include "replication/documents.h"

#include <stdlib.h>
#include <string.h>

static bool valid_address(ProtobufCBinaryData a)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    /* An IPv4-mapped address would be a second name of an IPv4 lease. */
    return a.len == 4 || (a.len == 16 && memcmp(a.data, mapped, sizeof mapped) != 0);
}

static bool valid_claim(const Holdfast__ChildClaim *c)
{
    return c->spi_in >= RECORD_MIN_SPI && c->spi_out >= RECORD_MIN_SPI;
}

static bool valid_ends(const Holdfast__SaCreate *c)
{
    if (c->n_ends > RECORD_MAX_ENDS)
        return false;
    for (size_t i = 0; i < c->n_ends; i++) {
        if (c->ends[i]->sa_id == 0 || c->ends[i]->sa_id == c->sa_id)
            return false;
        for (size_t k = 0; k < i; k++)
            if (c->ends[k]->sa_id == c->ends[i]->sa_id)
                return false;
    }
    return true;
}

/* Not with `ends`: what is ended holds nothing any more. */
static bool valid_gives(const Holdfast__SaCreate *c)
{
    const Holdfast__SaGive *g = c->gives;

    return g == NULL ||
           (g->sa_id != 0 && g->sa_id != c->sa_id && c->n_ends == 0 && c->n_addresses > 0 &&
            g->state.len > 0 && g->state.len <= RECORD_MAX_STATE_BYTES);
}

/* One of each family at most. */
static bool valid_addresses(const Holdfast__SaCreate *c)
{
    if (c->n_addresses > RECORD_MAX_ADDRESSES)
        return false;
    for (size_t i = 0; i < c->n_addresses; i++)
        if (!valid_address(c->addresses[i]) ||
            (i > 0 && c->addresses[i].len == c->addresses[0].len))
            return false;
    return true;
}

static bool valid_create(const Holdfast__SaCreate *c, bool successor)
{
    if (c->sa_id == 0 || c->state.len == 0 || c->state.len > RECORD_MAX_STATE_BYTES)
        return false;
    if (c->n_children > RECORD_MAX_CHILDREN || c->identity.len > RECORD_MAX_IDENTITY_BYTES)
        return false;
    if (!valid_addresses(c))
        return false;
    /* A successor takes the children of the SA that it replaces, and ends none. */
    if (successor ? c->n_children != 0 || c->n_ends != 0 || c->gives != NULL
                  : !valid_ends(c) || !valid_gives(c))
        return false;
    for (size_t i = 0; i < c->n_children; i++)
        if (!valid_claim(c->children[i]))
            return false;
    return true;
}

static bool valid_step(const Holdfast__SaStep *s)
{
    if (s->sa_id == 0 || s->state.len == 0 || s->state.len > RECORD_MAX_STATE_BYTES)
        return false;
    if (s->n_new_children > RECORD_MAX_CHILDREN || s->n_gone_children > RECORD_MAX_CHILDREN)
        return false;
    if (s->address_back && s->successor != NULL) /* the successor has it */
        return false;
    for (size_t i = 0; i < s->n_new_children; i++)
        if (!valid_claim(s->new_children[i]))
            return false;
    for (size_t i = 0; i < s->n_gone_children; i++)
        if (s->gone_children[i] < RECORD_MIN_SPI)
            return false;
    return s->successor == NULL ||
           (valid_create(s->successor, true) && s->successor->sa_id != s->sa_id);
}

static bool valid_extend(const Holdfast__Extend *e)
{
    if (e->n_items == 0 || e->n_items > RECORD_MAX_ITEMS)
        return false;
    for (size_t i = 0; i < e->n_items; i++)
        if (e->items[i]->spi_in < RECORD_MIN_SPI)
            return false;
    return true;
}

static bool valid_assign(const Holdfast__Assign *a)
{
    if (a->shard == 0 || a->owner_node == 0 || a->owner_boot == 0)
        return false;
    return a->windows.len <= (a->handover ? RECORD_MAX_WINDOWS_BYTES : 0);
}

static bool valid_config(const Holdfast__ClusterConfig *c)
{
    if (c->version == 0 || c->election_ms == 0 || c->heartbeat_ms == 0)
        return false;
    if (c->lease_ms == 0 || c->lease_ms > RECORD_MAX_LEASE_MS || c->lease_heartbeat_ms == 0 ||
        c->lease_heartbeat_ms >= c->lease_ms)
        return false;
    return c->cookie_secret.len == 32 &&
           (c->cookie_secret_previous.len == 0 || c->cookie_secret_previous.len == 32);
}

static bool valid_member(const Holdfast__Member *m)
{
    if (m->node == 0 || m->address == NULL || strlen(m->address) > RECORD_MAX_ADDRESS_TEXT)
        return false;
    if (m->change == HOLDFAST__MEMBER__CHANGE__BOOT)
        return m->boot != 0 && m->boot != m->replaces_boot;
    if (m->change == HOLDFAST__MEMBER__CHANGE__JOIN)
        return m->token.len == RECORD_TOKEN_BYTES;
    return m->change == HOLDFAST__MEMBER__CHANGE__LEAVE;
}

static bool valid_token(const Holdfast__JoinToken *t)
{
    return t->node != 0 && t->address != NULL && t->address[0] != '\0' &&
           strlen(t->address) <= RECORD_MAX_ADDRESS_TEXT && t->hash.len == RECORD_TOKEN_BYTES &&
           t->valid_ms > 0 && t->valid_ms <= RECORD_MAX_TOKEN_MS;
}

/* An SA's state is opaque here but for its first byte, the version of its encoding. */
static uint32_t state_format(const ProtobufCBinaryData *state)
{
    return state->len > 0 && state->data[0] == 2 ? RECORD_SPEAKS_CODEC_2 : 1;
}

static uint32_t create_format(const Holdfast__SaCreate *create)
{
    uint32_t format = state_format(&create->state);

    return format == 1 && create->gives != NULL ? state_format(&create->gives->state) : format;
}

static uint32_t step_format(const Holdfast__SaStep *step)
{
    uint32_t format = state_format(&step->state);

    return format == 1 && step->successor != NULL ? create_format(step->successor) : format;
}

static uint32_t member_format(const Holdfast__Member *m)
{
    if (m->change == HOLDFAST__MEMBER__CHANGE__BOOT)
        return 1;
    return m->change == HOLDFAST__MEMBER__CHANGE__LEAVE && m->until_ms != 0 ? RECORD_SPEAKS_UNTIL
                                                                            : 2;
}

static uint32_t drain_format(const Holdfast__Drain *d)
{
    if (d->removal != 0)
        return RECORD_SPEAKS_REMOVAL;
    return d->until_ms != 0 ? RECORD_SPEAKS_UNTIL : 1;
}

static uint32_t body_format(const Holdfast__Record *r)
{
    if (r->body_case == HOLDFAST__RECORD__BODY_SA_CREATE)
        return create_format(r->sa_create);
    if (r->body_case == HOLDFAST__RECORD__BODY_SA_STEP)
        return step_format(r->sa_step);
    if (r->body_case == HOLDFAST__RECORD__BODY_MEMBER)
        return member_format(r->member);
    if (r->body_case == HOLDFAST__RECORD__BODY_DRAIN)
        return drain_format(r->drain);
    if (r->body_case == HOLDFAST__RECORD__BODY_SESSION_KEY)
        return r->session_key->replaces != 0 && !r->session_key->lost ? RECORD_SPEAKS_ROTATION : 1;
    if (r->body_case == HOLDFAST__RECORD__BODY_ROTATE_KEYS ||
        r->body_case == HOLDFAST__RECORD__BODY_KEY_ERASED)
        return RECORD_SPEAKS_ROTATION;
    return r->body_case == HOLDFAST__RECORD__BODY_JOIN_TOKEN ? 2 : 1;
}

uint32_t record_format(const Holdfast__Record *r)
{
    uint32_t body = body_format(r);

    if (r->admin != NULL || r->body_case == HOLDFAST__RECORD__BODY_DOCUMENTS)
        return body > RECORD_SPEAKS_DOCUMENTS ? body : RECORD_SPEAKS_DOCUMENTS;
    return body;
}

static bool valid_audit(const Holdfast__Audit *a)
{
    const char *texts[] = {a->who, a->what, a->before, a->after};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i] != NULL && strlen(texts[i]) > RECORD_MAX_TEXT_BYTES)
            return false;
    return true;
}

static bool valid_change(const Holdfast__DocumentChange *c)
{
    if (!document_kind_valid(c->kind) || !document_name_valid(c->name) ||
        c->bytes.len > DOCUMENT_MAX_BYTES || (c->remove && c->bytes.len > 0))
        return false;
    switch (c->expect) {
    case HOLDFAST__DOCUMENT_CHANGE__EXPECT__VERSION:
        return c->version != 0;
    case HOLDFAST__DOCUMENT_CHANGE__EXPECT__ANY:
    case HOLDFAST__DOCUMENT_CHANGE__EXPECT__ABSENT:
        return c->version == 0;
    case _HOLDFAST__DOCUMENT_CHANGE__EXPECT_IS_INT_SIZE:
    default:
        return false;
    }
}

/* Each is judged by the state before the record: so none may come twice. */
static bool valid_documents(const Holdfast__Documents *d)
{
    if (d->n_changes == 0 || d->n_changes > DOCUMENT_MAX_CHANGES)
        return false;
    for (size_t i = 0; i < d->n_changes; i++) {
        if (!valid_change(d->changes[i]))
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(d->changes[k]->name, d->changes[i]->name) == 0 &&
                strcmp(d->changes[k]->kind, d->changes[i]->kind) == 0)
                return false;
    }
    return true;
}

bool record_is_admin(const Holdfast__Record *r)
{
    switch (r->body_case) {
    case HOLDFAST__RECORD__BODY_MOVE:
    case HOLDFAST__RECORD__BODY_DRAIN:
    case HOLDFAST__RECORD__BODY_ROTATE_KEYS:
    case HOLDFAST__RECORD__BODY_JOIN_TOKEN:
    case HOLDFAST__RECORD__BODY_DOCUMENTS:
        return true;
    case HOLDFAST__RECORD__BODY_MEMBER:
        return r->member->change != HOLDFAST__MEMBER__CHANGE__BOOT;
    case HOLDFAST__RECORD__BODY_AUDIT:
        return r->admin != NULL;
    default:
        return false;
    }
}

/* No change of the configuration without who wished for it; and no entry that does not say what was done. */
static bool valid_admin(const Holdfast__Record *r)
{
    const Holdfast__Admin *a = r->admin;
    bool audit = r->body_case == HOLDFAST__RECORD__BODY_AUDIT;

    if (a == NULL)
        return r->body_case != HOLDFAST__RECORD__BODY_DOCUMENTS;
    if (!record_is_admin(r) || (a->outcome[0] != '\0') != audit ||
        (audit && a->operation[0] == '\0'))
        return false;
    return audit_text_valid(AUDIT_ROLE, a->role) &&
           audit_text_valid(AUDIT_PRINCIPAL, a->principal) &&
           audit_text_valid(AUDIT_ADDRESS, a->address) &&
           audit_text_valid(AUDIT_REQUEST_ID, a->request_id) &&
           audit_text_valid(AUDIT_OPERATION, a->operation) &&
           audit_text_valid(AUDIT_TARGET, a->target) && audit_text_valid(AUDIT_BEFORE, a->before) &&
           audit_text_valid(AUDIT_AFTER, a->after) && audit_text_valid(AUDIT_OUTCOME, a->outcome);
}

bool record_fenced(const Holdfast__Record *r)
{
    switch (r->body_case) {
    case HOLDFAST__RECORD__BODY_SA_CREATE:
    case HOLDFAST__RECORD__BODY_SA_STEP:
    case HOLDFAST__RECORD__BODY_EXTEND:
    case HOLDFAST__RECORD__BODY_SA_DELETE:
    case HOLDFAST__RECORD__BODY_POOL_LEASE:
    case HOLDFAST__RECORD__BODY_HANDOVER_ABORT:
    case HOLDFAST__RECORD__BODY_HANDOVER_WINDOWS:
        return true;
    case HOLDFAST__RECORD__BODY_ASSIGN:
        return r->assign->handover;
    default:
        return false;
    }
}

bool record_internal(const Holdfast__Record *r)
{
    switch (r->body_case) {
    case HOLDFAST__RECORD__BODY_BARRIER:
    case HOLDFAST__RECORD__BODY_CONFIG:
    case HOLDFAST__RECORD__BODY_SESSION_KEY:
    case HOLDFAST__RECORD__BODY_KEY_ERASED:
        return true;
    case HOLDFAST__RECORD__BODY_MEMBER:
        return r->member->change == HOLDFAST__MEMBER__CHANGE__BOOT;
    case HOLDFAST__RECORD__BODY_ASSIGN:
        return !r->assign->handover;
    default:
        return false;
    }
}

enum seal_kind record_seal_kind(const Holdfast__Record *r)
{
    switch (r->body_case) {
    case HOLDFAST__RECORD__BODY_SA_CREATE:
    case HOLDFAST__RECORD__BODY_SA_STEP:
    case HOLDFAST__RECORD__BODY_SA_DELETE:
    case HOLDFAST__RECORD__BODY_EXTEND:
    case HOLDFAST__RECORD__BODY_POOL_LEASE:
        return SEAL_SESSION;
    /* As those in the handover's own entry: no change of the sessions' key comes between the two. */
    case HOLDFAST__RECORD__BODY_HANDOVER_WINDOWS:
    default:
        return SEAL_CONFIGURATION;
    }
}

static bool valid_body(const Holdfast__Record *r)
{
    switch (r->body_case) {
    case HOLDFAST__RECORD__BODY_CONFIG:
        return valid_config(r->config);
    case HOLDFAST__RECORD__BODY_BARRIER:
    case HOLDFAST__RECORD__BODY_HANDOVER_ABORT:
    case HOLDFAST__RECORD__BODY_ROTATE_KEYS:
        return true;
    case HOLDFAST__RECORD__BODY_KEY_ERASED:
        return r->key_erased->id != 0;
    case HOLDFAST__RECORD__BODY_SESSION_KEY:
        return r->session_key->id != 0 && r->session_key->id != r->session_key->replaces &&
               (!r->session_key->lost || r->session_key->replaces != 0);
    case HOLDFAST__RECORD__BODY_ASSIGN:
        return valid_assign(r->assign) && (!r->assign->handover || r->assign->shard == r->shard);
    case HOLDFAST__RECORD__BODY_SA_CREATE:
        return valid_create(r->sa_create, false);
    case HOLDFAST__RECORD__BODY_SA_STEP:
        return valid_step(r->sa_step);
    case HOLDFAST__RECORD__BODY_EXTEND:
        return valid_extend(r->extend);
    case HOLDFAST__RECORD__BODY_SA_DELETE:
        return r->sa_delete->sa_id != 0;
    case HOLDFAST__RECORD__BODY_POOL_LEASE:
        return valid_address(r->pool_lease->address) &&
               r->pool_lease->identity.len <= RECORD_MAX_IDENTITY_BYTES;
    case HOLDFAST__RECORD__BODY_MEMBER:
        return valid_member(r->member);
    case HOLDFAST__RECORD__BODY_AUDIT:
        return valid_audit(r->audit);
    case HOLDFAST__RECORD__BODY_HANDOVER_WINDOWS:
        return r->handover_windows->windows.len > 0 &&
               r->handover_windows->windows.len <= RECORD_MAX_WINDOWS_BYTES;
    case HOLDFAST__RECORD__BODY_MOVE:
        return r->shard != 0;
    case HOLDFAST__RECORD__BODY_DRAIN:
        return r->drain->node != 0 && (r->drain->removal == 0 || r->drain->until_ms != 0);
    case HOLDFAST__RECORD__BODY_JOIN_TOKEN:
        return valid_token(r->join_token);
    case HOLDFAST__RECORD__BODY_DOCUMENTS:
        return valid_documents(r->documents);
    case HOLDFAST__RECORD__BODY__NOT_SET:
    default:
        return false;
    }
}

bool record_valid(const Holdfast__Record *r)
{
    if (r->node == 0 || !valid_body(r) || !valid_admin(r))
        return false;
    if (record_fenced(r) && (r->shard == 0 || r->epoch == NULL || r->epoch->index == 0))
        return false;
    return record_internal(r) ? r->request == 0 : r->request != 0 && r->boot != 0;
}

uint8_t *record_pack(const Holdfast__Record *record, size_t *n)
{
    size_t size = holdfast__record__get_packed_size(record);

    if (size > REPL_MAX_RECORD_BYTES)
        return NULL;

    uint8_t *out = malloc(size == 0 ? 1 : size);

    HF_ASSERT(out != NULL);
    *n = holdfast__record__pack(record, out);
    return out;
}

Holdfast__Record *record_unpack(struct span bytes)
{
    return bytes.len > REPL_MAX_RECORD_BYTES
               ? NULL
               : holdfast__record__unpack(NULL, bytes.len, bytes.data);
}

void record_wipe(ProtobufCBinaryData *d)
{
    if (d->len > 0)
        secret_wipe_bytes(d->data, d->len);
}

/* SA states and cookie secrets are keys: nothing of them stays in freed memory. */
static void wipe_secrets(Holdfast__Record *r)
{
    if (r->body_case == HOLDFAST__RECORD__BODY_SA_CREATE) {
        record_wipe(&r->sa_create->state);
        if (r->sa_create->gives != NULL)
            record_wipe(&r->sa_create->gives->state);
    }
    if (r->body_case == HOLDFAST__RECORD__BODY_SA_STEP) {
        record_wipe(&r->sa_step->state);
        if (r->sa_step->successor != NULL)
            record_wipe(&r->sa_step->successor->state);
    }
    if (r->body_case == HOLDFAST__RECORD__BODY_CONFIG) {
        record_wipe(&r->config->cookie_secret);
        record_wipe(&r->config->cookie_secret_previous);
    }
    if (r->body_case == HOLDFAST__RECORD__BODY_DOCUMENTS)
        for (size_t i = 0; i < r->documents->n_changes; i++)
            record_wipe(&r->documents->changes[i]->bytes);
}

void record_free(Holdfast__Record *record)
{
    if (record == NULL)
        return;
    wipe_secrets(record);
    holdfast__record__free_unpacked(record, NULL);
}

uint8_t *entry_pack(uint32_t format, uint64_t cluster_ms, const struct span *records,
                    size_t n_records, size_t *n)
{
    Holdfast__Entry entry = HOLDFAST__ENTRY__INIT;
    ProtobufCBinaryData *list = NULL;

    HF_ASSERT(n_records <= RECORD_MAX_PER_ENTRY);
    if (n_records > 0) {
        list = malloc(n_records * sizeof *list);
        HF_ASSERT(list != NULL);
    }
    for (size_t i = 0; i < n_records; i++)
        list[i] = (ProtobufCBinaryData){.len = records[i].len,
                                        .data = (uint8_t *)(uintptr_t)records[i].data};
    entry.format = format;
    entry.cluster_ms = cluster_ms;
    entry.n_records = n_records;
    entry.records = list;

    uint8_t *out = malloc(holdfast__entry__get_packed_size(&entry));

    HF_ASSERT(out != NULL);
    *n = holdfast__entry__pack(&entry, out);
    free(list);
    return out;
}

Holdfast__Entry *entry_unpack(struct span bytes)
{
    Holdfast__Entry *entry = holdfast__entry__unpack(NULL, bytes.len, bytes.data);

    if (entry != NULL && (entry->format == 0 || (entry->format <= RECORD_SPEAKS &&
                                                 entry->n_records > RECORD_MAX_PER_ENTRY))) {
        entry_free(entry);
        entry = NULL;
    }
    return entry;
}

void entry_free(Holdfast__Entry *entry)
{
    holdfast__entry__free_unpacked(entry, NULL);
}
