/* Sealing with the ring's keys. */
#include "replication/seal_ring.h"

#include "base/bytes.h"
#include "base/secret.h"

enum { SUBKEY_SALT_BYTES = 4, PRF_BYTES = 32 };

static void lock(struct seal_ring *r)
{
    if (r->means.lock != NULL)
        r->means.lock(r->means.lock_self);
}

static void unlock(struct seal_ring *r)
{
    if (r->means.unlock != NULL)
        r->means.unlock(r->means.lock_self);
}

bool seal_means_of(const struct suite_table *table, struct seal_means *means)
{
    *means = (struct seal_means){.aead = suite_find_aead(table, 20, 256, 0),
                                 .prf = suite_find_prf(table, 5)};
    return means->aead != NULL && means->prf != NULL;
}

/* --- keys from keys --- */

static void prf(const struct seal_means *m, struct span key, struct span a, struct span b,
                uint8_t out[PRF_BYTES])
{
    struct span parts[2] = {a, b};
    bool ok = m->prf->compute(key, parts, 2, out);

    HF_ASSERT(ok && m->prf->out_bytes == PRF_BYTES);
}

static struct span text(const char *s)
{
    return span_of(s, strlen(s));
}

/* HKDF (RFC 5869 2.2, 2.3) of 64 bytes: two blocks, of which the caller takes what it needs. */
static void derive(const struct seal_means *m, const uint8_t key[SEAL_KEY_BYTES], struct span label,
                   struct span context, uint8_t out[2 * PRF_BYTES])
{
    uint8_t extracted[PRF_BYTES], info[64];
    size_t n = label.len;

    HF_ASSERT(n + context.len + 1 <= sizeof info);
    memcpy(info, label.data, n);
    memcpy(info + n, context.data, context.len);
    n += context.len;
    prf(m, text("holdfast sealing 1"), span_of(key, SEAL_KEY_BYTES), span_of(NULL, 0), extracted);
    info[n] = 1;
    prf(m, span_of(extracted, sizeof extracted), span_of(info, n + 1), span_of(NULL, 0), out);
    info[n] = 2;
    prf(m, span_of(extracted, sizeof extracted), span_of(out, PRF_BYTES), span_of(info, n + 1),
        out + PRF_BYTES);
    secret_wipe_bytes(extracted, sizeof extracted);
}

uint64_t seal_key_id(const struct seal_means *means, enum seal_kind kind,
                     const uint8_t bytes[SEAL_KEY_BYTES])
{
    uint8_t out[2 * PRF_BYTES];
    uint8_t of = (uint8_t)kind;
    uint64_t id;

    derive(means, bytes, text("key id"), span_of(&of, 1), out);
    id = get_be64(out);
    secret_wipe_bytes(out, sizeof out);
    return id == 0 ? 1 : id;
}

/* --- the ring --- */

static struct seal_key *find(struct seal_ring *r, uint64_t id)
{
    for (size_t i = 0; id != 0 && i < SEAL_RING_KEYS; i++)
        if (r->keys[i].id == id)
            return &r->keys[i];
    return NULL;
}

static void drop_subkey(struct seal_ring *r, struct seal_subkey *s)
{
    if (s->key != 0)
        r->means.aead->context_deinit(&s->context);
    secret_wipe_bytes(s, sizeof *s);
}

static void erase(struct seal_ring *r, struct seal_key *key)
{
    uint64_t id = key->id;

    for (size_t i = 0; i < SEAL_RING_SUBKEYS; i++)
        if (r->subkeys[i].key == id)
            drop_subkey(r, &r->subkeys[i]);
    for (size_t i = 0; i < SEAL_KINDS; i++)
        if (r->current[i] == id)
            r->current[i] = 0;
    secret_wipe_bytes(key, sizeof *key);
}

void seal_ring_deinit(struct seal_ring *r)
{
    for (size_t i = 0; i < SEAL_RING_KEYS; i++)
        if (r->keys[i].id != 0)
            erase(r, &r->keys[i]);
    secret_wipe_bytes(r, sizeof *r);
}

uint64_t seal_ring_add(struct seal_ring *r, enum seal_kind kind,
                       const uint8_t bytes[SEAL_KEY_BYTES])
{
    uint64_t id = seal_key_id(&r->means, kind, bytes);
    struct seal_key *key;
    size_t i = 0;

    lock(r);
    key = find(r, id);
    while (key == NULL && i < SEAL_RING_KEYS && r->keys[i].id != 0)
        i++;
    if (key == NULL && i < SEAL_RING_KEYS) {
        key = &r->keys[i];
        *key = (struct seal_key){.id = id, .kind = kind};
        memcpy(key->bytes, bytes, SEAL_KEY_BYTES);
    }
    unlock(r);
    return key == NULL ? 0 : id;
}

bool seal_ring_use(struct seal_ring *r, enum seal_kind kind, uint64_t id)
{
    bool found;

    lock(r);
    found = find(r, id) != NULL;
    if (found)
        r->current[kind] = id;
    unlock(r);
    return found;
}

void seal_ring_use_none(struct seal_ring *r, enum seal_kind kind)
{
    lock(r);
    r->current[kind] = 0;
    unlock(r);
}

bool seal_ring_has(struct seal_ring *r, uint64_t id)
{
    bool found;

    lock(r);
    found = find(r, id) != NULL;
    unlock(r);
    return found;
}

uint64_t seal_ring_current(struct seal_ring *r, enum seal_kind kind)
{
    uint64_t id;

    lock(r);
    id = r->current[kind];
    unlock(r);
    return id;
}

bool seal_ring_get(struct seal_ring *r, enum seal_kind kind, uint64_t id,
                   uint8_t bytes[SEAL_KEY_BYTES])
{
    struct seal_key *key;

    lock(r);
    key = find(r, id != 0 ? id : r->current[kind]);
    if (key != NULL && key->kind != kind)
        key = NULL;
    if (key != NULL)
        memcpy(bytes, key->bytes, SEAL_KEY_BYTES);
    unlock(r);
    return key != NULL;
}

void seal_ring_erase(struct seal_ring *r, uint64_t id)
{
    struct seal_key *key;

    lock(r);
    key = find(r, id);
    if (key != NULL)
        erase(r, key);
    unlock(r);
}

/* --- subkeys --- */

/* The keyed context of (key, node, boot): made at its first use, in the place that was used longest
 * ago. NULL: no such key. */
static struct seal_subkey *subkey(struct seal_ring *r, uint64_t id, uint32_t node, uint64_t boot)
{
    const struct seal_key *key = find(r, id);
    struct seal_subkey *place = &r->subkeys[0];
    uint8_t context[12], out[2 * PRF_BYTES];
    bool ok;

    if (key == NULL)
        return NULL;
    r->uses++;
    for (size_t i = 0; i < SEAL_RING_SUBKEYS; i++) {
        struct seal_subkey *s = &r->subkeys[i];

        if (s->key == id && s->node == node && s->boot == boot) {
            s->used = r->uses;
            return s;
        }
        if (s->used < place->used)
            place = s;
    }
    drop_subkey(r, place);
    put_be32(context, node);
    put_be64(context + 4, boot);
    derive(&r->means, key->bytes, text("subkey"), span_of(context, sizeof context), out);
    ok = r->means.aead->context_init(&place->context, r->means.aead, out, NULL);
    HF_ASSERT(ok && r->means.aead->key_bytes + r->means.aead->salt_bytes ==
                        SEAL_KEY_BYTES + SUBKEY_SALT_BYTES);
    secret_wipe_bytes(out, sizeof out);
    place->key = id;
    place->node = node;
    place->boot = boot;
    place->used = r->uses;
    return place;
}

/* --- sealing --- */

struct cover {
    uint8_t bytes[1 + SEAL_HEADER_BYTES];
};

static struct suite_covered cover(struct cover *c, enum seal_purpose purpose, const uint8_t *header)
{
    c->bytes[0] = (uint8_t)purpose;
    memcpy(c->bytes + 1, header, SEAL_HEADER_BYTES);
    return (struct suite_covered){.before = span_of(c->bytes, sizeof c->bytes),
                                  .behind = span_of(NULL, 0)};
}

static bool ring_seal(void *self, enum seal_purpose purpose, enum seal_kind kind, uint64_t request,
                      struct span plain, uint8_t *out, size_t *n)
{
    struct seal_ring *r = self;
    uint8_t *text_at = out + SEAL_HEADER_BYTES + SEAL_COUNTER_BYTES;
    struct seal_subkey *s;
    struct suite_covered covered;
    struct cover c;
    bool ok = false;

    lock(r);
    s = subkey(r, r->current[kind], r->node, r->boot);
    if (s != NULL) {
        out[0] = SEAL_VERSION;
        put_be64(out + 1, s->key);
        put_be32(out + 9, r->node);
        put_be64(out + 13, r->boot);
        put_be64(out + 21, request);
        covered = cover(&c, purpose, out);
        HF_ASSERT(r->counter < UINT64_MAX);
        ok = r->means.aead->context_seal(&s->context, ++r->counter, &covered, plain,
                                         out + SEAL_HEADER_BYTES, text_at, text_at + plain.len);
    }
    unlock(r);
    if (ok)
        *n = plain.len + SEAL_OVERHEAD_BYTES;
    return ok;
}

uint64_t seal_key_of(struct span sealed)
{
    if (sealed.len < SEAL_OVERHEAD_BYTES || sealed.data[0] != SEAL_VERSION)
        return 0;
    return get_be64(sealed.data + 1);
}

struct seal_clear seal_clear_of(struct span sealed)
{
    HF_ASSERT(seal_key_of(sealed) != 0);
    return (struct seal_clear){.key = get_be64(sealed.data + 1),
                               .node = get_be32(sealed.data + 9),
                               .boot = get_be64(sealed.data + 13),
                               .request = get_be64(sealed.data + 21)};
}

size_t seal_ring_list(struct seal_ring *r, enum seal_kind kind, uint64_t *ids, size_t max)
{
    size_t n = 0;

    lock(r);
    for (size_t i = 0; i < SEAL_RING_KEYS && n < max; i++)
        if (r->keys[i].id != 0 && r->keys[i].kind == kind)
            ids[n++] = r->keys[i].id;
    unlock(r);
    return n;
}

static bool ring_open(void *self, enum seal_purpose purpose, struct span sealed, uint8_t *out,
                      size_t *n)
{
    struct seal_ring *r = self;
    uint64_t id = seal_key_of(sealed);
    struct seal_subkey *s;
    struct suite_covered covered;
    struct cover c;
    struct span in;
    bool ok = false;

    if (id == 0)
        return false;
    in = span_of(sealed.data + SEAL_HEADER_BYTES + SEAL_COUNTER_BYTES,
                 sealed.len - SEAL_OVERHEAD_BYTES);
    lock(r);
    s = subkey(r, id, get_be32(sealed.data + 9), get_be64(sealed.data + 13));
    covered = cover(&c, purpose, sealed.data);
    if (s != NULL)
        ok = r->means.aead->context_open(&s->context, sealed.data + SEAL_HEADER_BYTES, &covered, in,
                                         in.data + in.len, out);
    unlock(r);
    if (ok)
        *n = in.len;
    else if (in.len > 0)
        secret_wipe_bytes(out, in.len);
    return ok;
}

static bool ring_has(void *self, uint64_t key)
{
    return seal_ring_has(self, key);
}

void seal_ring_init(struct seal_ring *r, const struct seal_means *means, uint32_t node,
                    uint64_t boot)
{
    HF_ASSERT(means->aead != NULL && means->prf != NULL && node != 0 && boot != 0);
    HF_ASSERT(means->aead->iv_bytes == SEAL_COUNTER_BYTES &&
              means->aead->icv_bytes == SEAL_TAG_BYTES);
    *r = (struct seal_ring){.means = *means, .node = node, .boot = boot};
    r->seal = (struct seal){.name = "aes-256-gcm",
                            .self = r,
                            .overhead = SEAL_OVERHEAD_BYTES,
                            .seal = ring_seal,
                            .open = ring_open,
                            .has = ring_has};
}
