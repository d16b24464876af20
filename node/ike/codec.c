/* struct ike_sa as canonical bytes: version, then every replicated field in the order of state.h.
 * One walk serves both ways, so that they cannot differ. What is absent takes a byte or two: an
 * established SA at rest is 1 to 2 KiB.
 *
 * Canonical means: fields that are not in use (a slot without a child, bytes beyond a length) are
 * zero in memory; the engine keeps it so, decode makes it so, and decode refuses bytes that encode
 * would not write.
 */
#include "ike/step.h"
#include "wire/cursor.h"

/* Exactly one of w and r. A walk never writes to the state when it encodes. */
struct walk {
    struct wire_writer *w;
    struct wire_reader *r;
    uint8_t version; /* of the bytes */
    bool bad;        /* a value out of range */
};

static void u8(struct walk *k, uint8_t *v)
{
    if (k->w != NULL)
        wire_write_u8(k->w, *v);
    else
        *v = wire_read_u8(k->r);
}

static void u16(struct walk *k, uint16_t *v)
{
    if (k->w != NULL)
        wire_write_u16(k->w, *v);
    else
        *v = wire_read_u16(k->r);
}

static void u32(struct walk *k, uint32_t *v)
{
    if (k->w != NULL)
        wire_write_u32(k->w, *v);
    else
        *v = wire_read_u32(k->r);
}

static void u64(struct walk *k, uint64_t *v)
{
    if (k->w != NULL)
        wire_write_u64(k->w, *v);
    else
        *v = wire_read_u64(k->r);
}

/* A field that version 1 did not have: read from its bytes it is `former`. */
static void since_2_u64(struct walk *k, uint64_t *v, uint64_t former)
{
    if (k->version >= 2)
        u64(k, v);
    else if (k->r != NULL)
        *v = former;
}

/* A byte that may not exceed max: lengths of arrays and values of enums. Out of range it reads as
 * 0. */
static uint8_t bounded(struct walk *k, unsigned value, unsigned max)
{
    uint8_t v = (uint8_t)value;

    HF_ASSERT(k->r != NULL || value <= max);
    u8(k, &v);
    if (v > max) {
        k->bad = true;
        v = 0;
    }
    return v;
}

static void flag(struct walk *k, bool *v)
{
    bool read = bounded(k, *v ? 1 : 0, 1) != 0;

    if (k->r != NULL)
        *v = read;
}

/* An enum whose last value is max. */
#define ENUM(k, field, max)                                                                        \
    do {                                                                                           \
        uint8_t enum_value = bounded(k, (unsigned)(field), (unsigned)(max));                       \
        if ((k)->r != NULL)                                                                        \
            (field) = enum_value;                                                                  \
    } while (0)

/* A count of an array in use. */
static void count(struct walk *k, uint8_t *n, size_t max)
{
    uint8_t v = bounded(k, *n, (unsigned)max);

    if (k->r != NULL)
        *n = v;
}

static void bytes(struct walk *k, uint8_t *p, size_t len)
{
    struct span in;

    if (k->w != NULL) {
        wire_write_span(k->w, span_of(p, len));
        return;
    }
    in = wire_read_span(k->r, len);
    if (in.len > 0)
        memcpy(p, in.data, in.len);
}

static void bytes16(struct walk *k, uint8_t *p, uint16_t *len, size_t max)
{
    HF_ASSERT(k->r != NULL || *len <= max);
    u16(k, len);
    if (*len > max) {
        k->bad = true;
        *len = 0;
    }
    bytes(k, p, *len);
}

static void message(struct walk *k, struct ike_message *m)
{
    bytes16(k, m->bytes, &m->len, sizeof m->bytes);
}

static void key(struct walk *k, struct secret *s)
{
    count(k, &s->len, SECRET_MAX_BYTES);
    bytes(k, s->bytes, s->len);
}

static void address(struct walk *k, struct ip_addr *a)
{
    HF_ASSERT(k->r != NULL || a->family == ADDR_NONE || addr_len(a) > 0);
    u8(k, &a->family);
    if (a->family != ADDR_NONE && addr_len(a) == 0) {
        k->bad = true;
        a->family = ADDR_NONE;
    }
    bytes(k, a->bytes, addr_len(a));
}

static void endpoint(struct walk *k, struct endpoint *e)
{
    address(k, &e->ip);
    u16(k, &e->port);
}

static void keys(struct walk *k, struct ike_keys *s)
{
    key(k, &s->sk_d);
    key(k, &s->sk_a_in);
    key(k, &s->sk_a_out);
    key(k, &s->sk_e_in);
    key(k, &s->sk_e_out);
    key(k, &s->sk_p_in);
    key(k, &s->sk_p_out);
}

static void selectors(struct walk *k, struct ike_ts *ts, uint8_t *n)
{
    count(k, n, IKE_MAX_TS);
    for (size_t i = 0; i < *n; i++) {
        u8(k, &ts[i].protocol);
        u16(k, &ts[i].port_low);
        u16(k, &ts[i].port_high);
        address(k, &ts[i].low);
        address(k, &ts[i].high);
    }
}

static void child(struct walk *k, struct ike_child *c)
{
    ENUM(k, c->state, IKE_CHILD_DELETING);
    if (c->state == IKE_CHILD_NONE)
        return;
    ENUM(k, c->begun, IKE_BY_US);
    u32(k, &c->spi_in);
    u32(k, &c->spi_out);
    u16(k, &c->encr_id);
    u16(k, &c->encr_bits);
    u16(k, &c->integ_id);
    flag(k, &c->esn);
    flag(k, &c->outbound);
    u16(k, &c->ke_id);
    key(k, &c->key_in);
    key(k, &c->key_out);
    key(k, &c->integ_in);
    key(k, &c->integ_out);
    selectors(k, c->local_ts, &c->n_local_ts);
    selectors(k, c->remote_ts, &c->n_remote_ts);
    u64(k, &c->created_ms);
    u64(k, &c->soft_ms);
    u64(k, &c->hard_ms);
    u64(k, &c->soft_packets);
    u64(k, &c->hard_packets);
    u64(k, &c->soft_bytes);
    u64(k, &c->hard_bytes);
    u32(k, &c->rekey_count);
    u32(k, &c->successor_spi_in);
    flag(k, &c->soft_reached);
    flag(k, &c->unconfirmed);
    u64(k, &c->retry_ms);
}

static void pending(struct walk *k, struct ike_pending *p)
{
    ENUM(k, p->exchange, IKE_EX_INFORMATIONAL);
    if (p->exchange == IKE_EX_NONE)
        return;
    u32(k, &p->message_id);
    u64(k, &p->sent_ms);
    since_2_u64(k, &p->asked_ms, p->sent_ms);
    message(k, &p->request);
    u32(k, &p->child_spi_in);
    u32(k, &p->new_spi_in);
    u64(k, &p->new_ike_spi);
    bytes(k, p->nonce, sizeof p->nonce);
    u16(k, &p->ke_id);
    flag(k, &p->ke_retried);
    key(k, &p->ke_private);
    flag(k, &p->collided);
    count(k, &p->peer_lowest_nonce_len, sizeof p->peer_lowest_nonce);
    bytes(k, p->peer_lowest_nonce, p->peer_lowest_nonce_len);
    u32(k, &p->peer_new_spi_in);
    u64(k, &p->peer_new_ike_spi);
    count(k, &p->n_early_deletes, IKE_MAX_EARLY_DELETES);
    for (size_t i = 0; i < p->n_early_deletes; i++)
        u32(k, &p->early_deletes[i]);
}

static void candidate(struct walk *k, struct ike_candidate *c)
{
    u64(k, &c->local_spi);
    if (c->local_spi == 0)
        return;
    u64(k, &c->remote_spi);
    ENUM(k, c->role, IKE_RESPONDER);
    flag(k, &c->settled);
    u16(k, &c->encr_id);
    u16(k, &c->encr_bits);
    u16(k, &c->integ_id);
    u16(k, &c->prf_id);
    u16(k, &c->ke_id);
    keys(k, &c->keys);
}

static void handshake(struct walk *k, struct ike_handshake *h)
{
    message(k, &h->init_request);
    message(k, &h->init_response);
    bytes16(k, h->nonce_i, &h->nonce_i_len, sizeof h->nonce_i);
    bytes16(k, h->nonce_r, &h->nonce_r_len, sizeof h->nonce_r);
    u16(k, &h->ke_id);
    key(k, &h->ke_private);
    count(k, &h->cookie_len, sizeof h->cookie);
    bytes(k, h->cookie, h->cookie_len);
    u32(k, &h->child_spi_in);
    u8(k, &h->init_tries);
}

static void windows(struct walk *k, struct ike_sa *sa)
{
    u32(k, &sa->next_request_id);
    u32(k, &sa->expected_request_id);
    message(k, &sa->last_response);
    if (sa->last_response.len > 0)
        bytes(k, sa->last_request_digest, sizeof sa->last_request_digest);
    flag(k, &sa->sync_agreed);
    u32(k, &sa->sync_floor);
    pending(k, &sa->pending);
    candidate(k, &sa->candidate);
}

/* None, or one of its slot's family. */
static void virtual_address(struct walk *k, struct ip_addr *a, uint8_t family)
{
    address(k, a);
    if (a->family != ADDR_NONE && a->family != family)
        k->bad = true;
}

static void peer(struct walk *k, struct ike_sa *sa)
{
    u8(k, &sa->remote_id.type);
    count(k, &sa->remote_id.len, sizeof sa->remote_id.bytes);
    bytes(k, sa->remote_id.bytes, sa->remote_id.len);
    virtual_address(k, &sa->virtual_ip[SLOT_V4], ADDR_V4);
    virtual_address(k, &sa->virtual_ip[SLOT_V6], ADDR_V6);
    count(k, &sa->n_dns, IKE_MAX_DNS);
    for (size_t i = 0; i < sa->n_dns; i++)
        address(k, &sa->dns[i]);
    flag(k, &sa->peer_initial_contact);
    u32(k, &sa->connection);
}

static void children(struct walk *k, struct ike_sa *sa)
{
    size_t used = 0;

    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        child(k, &sa->children[i]);
        used += sa->children[i].state != IKE_CHILD_NONE;
    }
    count(k, &sa->n_owed_deletes, IKE_MAX_CHILDREN - used);
    for (size_t i = 0; i < sa->n_owed_deletes; i++)
        u32(k, &sa->owed_deletes[i]);
}

static void sa_fields(struct walk *k, struct ike_sa *sa)
{
    u64(k, &sa->local_spi);
    u64(k, &sa->remote_spi);
    ENUM(k, sa->role, IKE_RESPONDER);
    ENUM(k, sa->state, IKE_SA_ENDED);
    u32(k, &sa->shard);
    endpoint(k, &sa->local);
    endpoint(k, &sa->remote);
    flag(k, &sa->nat_local);
    flag(k, &sa->nat_remote);
    flag(k, &sa->encap);
    u16(k, &sa->encr_id);
    u16(k, &sa->encr_bits);
    u16(k, &sa->integ_id);
    u16(k, &sa->prf_id);
    u16(k, &sa->ke_id);
    keys(k, &sa->keys);
    u64(k, &sa->iv_next);
    windows(k, sa);
    peer(k, sa);
    u64(k, &sa->created_ms);
    u64(k, &sa->soft_ms);
    u64(k, &sa->hard_ms);
    u64(k, &sa->retry_ms);
    u64(k, &sa->refused_since_ms);
    u64(k, &sa->refused_last_ms);
    u64(k, &sa->linger_until_ms);
    u64(k, &sa->successor_spi);
    u32(k, &sa->wanted);
    u32(k, &sa->wanted_child_spi_in);
    children(k, sa);
    handshake(k, &sa->handshake);
}

bool ike_sa_encode_as(const struct ike_sa *sa, uint8_t version, uint8_t *buf, size_t cap,
                      size_t *len)
{
    struct wire_writer w = wire_writer_of(buf, cap);
    struct walk k = {.w = &w, .version = version};

    HF_ASSERT(version >= IKE_CODEC_OLDEST && version <= IKE_CODEC_NEWEST);
    wire_write_u8(&w, version);
    sa_fields(&k, (struct ike_sa *)(uintptr_t)sa); /* only read: see struct walk */
    if (w.overflow)
        return false;
    *len = w.len;
    return true;
}

bool ike_sa_encode(const struct ike_sa *sa, uint8_t *buf, size_t cap, size_t *len)
{
    return ike_sa_encode_as(sa, IKE_CODEC_NEWEST, buf, cap, len);
}

bool ike_sa_decode(struct span in, struct ike_sa *sa)
{
    struct wire_reader r = wire_reader_of(in);
    struct walk k = {.r = &r, .version = wire_read_u8(&r)};

    secret_wipe_bytes(sa, sizeof *sa);
    if (k.version >= IKE_CODEC_OLDEST && k.version <= IKE_CODEC_NEWEST)
        sa_fields(&k, sa);
    else
        k.bad = true;
    if (!k.bad && !r.truncated && wire_reader_left(&r) == 0)
        return true;
    secret_wipe_bytes(sa, sizeof *sa);
    return false;
}

/* A field was added or changed? Walk it above as one that former versions lack, raise IKE_CODEC_NEWEST
 * and with it RECORD_SPEAKS (conductor/table.c), then correct the size here. */
HF_STATIC_ASSERT(sizeof(struct ike_child) == 696);
HF_STATIC_ASSERT(sizeof(struct ike_pending) == 4544);
HF_STATIC_ASSERT(sizeof(struct ike_candidate) == 504);
HF_STATIC_ASSERT(sizeof(struct ike_handshake) == 8856);
HF_STATIC_ASSERT(sizeof(struct ike_sa) == 24656);
