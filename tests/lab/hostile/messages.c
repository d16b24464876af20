#include "hostile/messages.h"

#include <string.h>

#include "base/bytes.h"

enum {
    HEADER_BYTES = 28,
    EX_INIT = 34,
    EX_AUTH = 35,
    EX_CREATE_CHILD = 36,
    EX_INFORMATIONAL = 37,
    P_NONE = 0,
    P_SA = 33,
    P_KE = 34,
    P_NONCE = 40,
    P_NOTIFY = 41,
    P_SK = 46,
    P_UNKNOWN = 200,
    FLAG_INITIATOR = 0x08,
    FLAG_RESPONSE = 0x20,
    VERSION_2 = 0x20,
    N_COOKIE = 16390,
    GROUP_14 = 14,
    GROUP_X25519 = 31
};

static uint64_t rnd(struct hostile_job *j)
{
    j->random ^= j->random << 13;
    j->random ^= j->random >> 7;
    j->random ^= j->random << 17;
    return j->random;
}

static void fill(struct hostile_job *j, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(rnd(j) >> 32);
}

static size_t header(uint8_t *out, uint64_t spi_i, uint64_t spi_r, uint8_t next, uint8_t exchange,
                     uint8_t flags, uint32_t id, size_t body)
{
    put_be64(out, spi_i);
    put_be64(out + 8, spi_r);
    out[16] = next;
    out[17] = VERSION_2;
    out[18] = exchange;
    out[19] = flags;
    put_be32(out + 20, id);
    put_be32(out + 24, (uint32_t)(HEADER_BYTES + body));
    return HEADER_BYTES + body;
}

static uint8_t *payload(uint8_t *at, uint8_t next, size_t body)
{
    at[0] = next;
    at[1] = 0;
    put_be16(at + 2, (uint16_t)(4 + body));
    return at + 4;
}

/* --- IKE_SA_INIT and its spoilt forms --- */

struct init {
    uint16_t encr, group, ke_group;
    bool zero_ke, critical;
};

/* One proposal: cipher with 256 bits, PRF-HMAC-SHA-256, group. */
static uint8_t *put_sa(uint8_t *at, const struct init *o)
{
    static const uint8_t prf[] = {3, 0, 0, 8, 2, 0, 0, 5};

    at = payload(at, P_KE, 8 + 12 + 8 + 8);
    memcpy(at, (const uint8_t[]){0, 0, 0, 36, 1, 1, 0, 3}, 8);
    memcpy(at + 8, (const uint8_t[]){3, 0, 0, 12, 1, 0, 0, 0, 0x80, 14, 1, 0}, 12);
    put_be16(at + 14, o->encr);
    memcpy(at + 20, prf, sizeof prf);
    memcpy(at + 28, (const uint8_t[]){0, 0, 0, 8, 4, 0, 0, 0}, 8);
    put_be16(at + 34, o->group);
    return at + 36;
}

static size_t put_init(struct hostile_job *j, uint8_t *out, const struct init *o)
{
    size_t ke = o->ke_group == GROUP_14 ? 256 : 32;
    uint8_t *at = put_sa(out + HEADER_BYTES, o);

    at = payload(at, P_NONCE, 4 + ke);
    put_be16(at, o->ke_group);
    put_be16(at + 2, 0);
    memset(at + 4, 0, ke);
    if (!o->zero_ke)
        fill(j, at + 4, ke);
    at += 4 + ke;
    at = payload(at, o->critical ? P_UNKNOWN : P_NONE, 32);
    fill(j, at, 32);
    at += 32;
    if (o->critical) {
        at = payload(at, P_NONE, 8);
        at[-3] = 0x80;
        fill(j, at, 8);
        at += 8;
    }
    return header(out, rnd(j), 0, P_SA, EX_INIT, FLAG_INITIATOR, 0,
                  (size_t)(at - out) - HEADER_BYTES);
}

static const struct init good = {20, GROUP_X25519, GROUP_X25519, false, false};

static size_t init_good(struct hostile_job *j, uint8_t *out)
{
    return put_init(j, out, &good);
}

size_t hostile_init(struct hostile_job *j, uint8_t out[HOSTILE_INIT_BYTES])
{
    return put_init(j, out, &good);
}

static bool is_answer(const uint8_t *answer, size_t n, uint8_t first)
{
    return n > HEADER_BYTES + 8 && answer[18] == EX_INIT && (answer[19] & FLAG_RESPONSE) != 0 &&
           answer[16] == first;
}

const uint8_t *hostile_cookie(const uint8_t *answer, size_t n, size_t *len)
{
    const uint8_t *notify = answer + HEADER_BYTES;

    if (!is_answer(answer, n, P_NOTIFY) || get_be16(notify + 6) != N_COOKIE ||
        get_be16(notify + 2) < 9 || (size_t)HEADER_BYTES + get_be16(notify + 2) > n)
        return NULL;
    *len = (size_t)get_be16(notify + 2) - 8;
    return notify + 8;
}

size_t hostile_put_cookie(uint8_t *request, size_t n, const uint8_t *cookie, size_t len)
{
    uint8_t *at = request + HEADER_BYTES;

    if (8 + len > HOSTILE_COOKIE_MAX)
        return n;
    memmove(at + 8 + len, at, n - HEADER_BYTES);
    at = payload(at, request[16], 4 + len);
    put_be16(at, 0); /* no protocol, no SPI */
    put_be16(at + 2, N_COOKIE);
    memcpy(at + 4, cookie, len);
    request[16] = P_NOTIFY;
    put_be32(request + 24, (uint32_t)(n + 8 + len));
    return n + 8 + len;
}

bool hostile_is_accepted(const uint8_t *answer, size_t n)
{
    return is_answer(answer, n, P_SA);
}

static size_t init_no_proposal(struct hostile_job *j, uint8_t *out)
{
    return put_init(j, out,
                    &(struct init){23, GROUP_14, GROUP_X25519, false, false}); /* Camellia */
}

static size_t init_weak_group(struct hostile_job *j, uint8_t *out)
{
    return put_init(j, out, &(struct init){20, 2, GROUP_X25519, false, false}); /* modp1024 */
}

static size_t init_other_group(struct hostile_job *j, uint8_t *out)
{
    return put_init(j, out, &(struct init){20, GROUP_X25519, GROUP_14, false, false});
}

static size_t init_zero_ke(struct hostile_job *j, uint8_t *out)
{
    return put_init(j, out, &(struct init){20, GROUP_X25519, GROUP_X25519, true, false});
}

static size_t init_critical(struct hostile_job *j, uint8_t *out)
{
    return put_init(j, out, &(struct init){20, GROUP_X25519, GROUP_X25519, false, true});
}

/* Shorter than a header. */
static size_t truncated_header(struct hostile_job *j, uint8_t *out)
{
    (void)put_init(j, out, &good);
    return 1 + j->index % (HEADER_BYTES - 1);
}

/* A whole header that is right about the length; the payloads end in the middle. */
static size_t truncated_body(struct hostile_job *j, uint8_t *out)
{
    size_t n = put_init(j, out, &good), cut = HEADER_BYTES + 5 + j->index % (n - HEADER_BYTES - 6);

    put_be32(out + 24, (uint32_t)cut);
    return cut;
}

/* The header speaks of more, or less, than came. */
static size_t wrong_length(struct hostile_job *j, uint8_t *out)
{
    size_t n = put_init(j, out, &good);

    put_be32(out + 24,
             j->index % 2 ? (uint32_t)n - 9 : (uint32_t)n + 1 + (uint32_t)(rnd(j) % 70000));
    return n;
}

/* A payload shorter than its own header. */
static size_t bad_payload(struct hostile_job *j, uint8_t *out)
{
    size_t n = put_init(j, out, &good);

    put_be16(out + HEADER_BYTES + 2, (uint16_t)(j->index % 4));
    return n;
}

/* A proposal that ends behind its payload. */
static size_t bad_proposal(struct hostile_job *j, uint8_t *out)
{
    size_t n = put_init(j, out, &good);

    put_be16(out + HEADER_BYTES + 6, (uint16_t)(37 + rnd(j) % 60000));
    return n;
}

/* No nonce: the chain ends early. */
static size_t init_incomplete(struct hostile_job *j, uint8_t *out)
{
    uint8_t *at = put_sa(out + HEADER_BYTES, &good);

    out[HEADER_BYTES] = P_NONE;
    return header(out, rnd(j), 0, P_SA, EX_INIT, FLAG_INITIATOR, 0,
                  (size_t)(at - out) - HEADER_BYTES);
}

static size_t oversized(struct hostile_job *j, uint8_t *out)
{
    size_t n = 5000 + j->index % 9000;

    fill(j, out, n);
    return header(out, rnd(j), 0, P_NOTIFY, EX_INIT, FLAG_INITIATOR, 0, n - HEADER_BYTES);
}

static size_t version_3(struct hostile_job *j, uint8_t *out)
{
    size_t n = put_init(j, out, &good);

    out[17] = 0x30;
    return n;
}

static size_t unknown_spi(struct hostile_job *j, uint8_t *out)
{
    fill(j, out + HEADER_BYTES, 64);
    return header(out, rnd(j), rnd(j) | 1, P_SK, EX_INFORMATIONAL, FLAG_INITIATOR, 2, 64);
}

static size_t auth_without_sa(struct hostile_job *j, uint8_t *out)
{
    fill(j, out + HEADER_BYTES, 64);
    return header(out, rnd(j), 0, P_SK, EX_AUTH, FLAG_INITIATOR, 1, 64);
}

static size_t noise(struct hostile_job *j, uint8_t *out)
{
    size_t n = 1 + rnd(j) % 600;

    fill(j, out, n);
    return n;
}

/* --- against the live IKE SA --- */

static size_t forged_of(struct hostile_job *j, uint8_t *out, uint8_t exchange, uint8_t flags,
                        uint32_t id)
{
    size_t body = 4 + 8 + 16 + 16 + j->index % 64;

    fill(j, out + HEADER_BYTES, body);
    (void)payload(out + HEADER_BYTES, P_NONE, body - 4);
    return header(out, j->spi_i, j->spi_r, P_SK, exchange, flags, id, body);
}

static size_t forged(struct hostile_job *j, uint8_t *out, uint8_t flags, uint32_t id)
{
    return forged_of(j, out, EX_INFORMATIONAL, flags, id);
}

static size_t forged_next(struct hostile_job *j, uint8_t *out)
{
    return forged(j, out, FLAG_INITIATOR, j->last_id + 1);
}

static size_t forged_future(struct hostile_job *j, uint8_t *out)
{
    return forged(j, out, FLAG_INITIATOR, j->last_id + 2 + (uint32_t)(rnd(j) % 100000));
}

/* Not INFORMATIONAL, where message ID 0 is not old but a synchronization. */
static size_t forged_old(struct hostile_job *j, uint8_t *out)
{
    return forged_of(j, out, EX_CREATE_CHILD, FLAG_INITIATOR, (uint32_t)(rnd(j) % j->last_id));
}

/* As from a cluster whose member failed (RFC 6311 5.1): strongSwan says that it speaks this. */
static size_t forged_sync(struct hostile_job *j, uint8_t *out)
{
    return forged(j, out, FLAG_INITIATOR, 0);
}

static size_t forged_same(struct hostile_job *j, uint8_t *out)
{
    return forged(j, out, FLAG_INITIATOR, j->last_id);
}

static size_t forged_response(struct hostile_job *j, uint8_t *out)
{
    return forged(j, out, FLAG_INITIATOR | FLAG_RESPONSE, (uint32_t)(rnd(j) % 8));
}

/* A protected exchange without protection: its payload is a bare Notify. */
static size_t unprotected(struct hostile_job *j, uint8_t *out)
{
    (void)payload(out + HEADER_BYTES, P_NONE, 4);
    put_be32(out + HEADER_BYTES + 4, 24); /* AUTHENTICATION_FAILED */
    return header(out, j->spi_i, j->spi_r, P_NOTIFY, EX_INFORMATIONAL, FLAG_INITIATOR,
                  j->last_id + 1, 8);
}

/* --- replays of what the client really sent --- */

static bool is_ike(const struct hostile_recorded *r)
{
    return r->length >= 4 + HEADER_BYTES && get_be32(r->bytes) == 0 && r->source_port == 4500;
}

static bool is_esp(const struct hostile_recorded *r)
{
    return r->length >= 28 && get_be32(r->bytes) != 0 && r->source_port == 4500;
}

static size_t replay(struct hostile_job *j, uint8_t *out, bool ike, bool newest)
{
    unsigned n = 0;

    for (size_t i = 0; i < j->n_recorded; i++) {
        const struct hostile_recorded *r = &j->recorded[i];
        bool request = is_ike(r) && (r->bytes[4 + 19] & FLAG_RESPONSE) == 0;

        if (ike ? !request : !is_esp(r))
            continue;
        if (ike && (get_be32(r->bytes + 4 + 20) == j->last_id) != newest)
            continue;
        if (n++ < j->index)
            continue;
        memcpy(out, r->bytes, r->length);
        return r->length;
    }
    return 0;
}

static size_t replay_ike(struct hostile_job *j, uint8_t *out)
{
    return replay(j, out, true, false);
}

static size_t replay_ike_newest(struct hostile_job *j, uint8_t *out)
{
    return j->index == 0 ? replay(j, out, true, true) : 0;
}

static size_t replay_esp(struct hostile_job *j, uint8_t *out)
{
    return replay(j, out, false, false);
}

/* --- ESP --- */

static const struct hostile_recorded *newest_esp(const struct hostile_job *j)
{
    for (size_t i = j->n_recorded; i > 0; i--)
        if (is_esp(&j->recorded[i - 1]))
            return &j->recorded[i - 1];
    return NULL;
}

static size_t esp_short(struct hostile_job *j, uint8_t *out)
{
    size_t n = 2 + j->index % 5;

    fill(j, out, n);
    out[0] |= 1; /* no marker */
    return n;
}

static size_t esp_unknown_spi(struct hostile_job *j, uint8_t *out)
{
    size_t n = 40 + rnd(j) % 1200;

    fill(j, out, n);
    out[0] |= 1;
    return n;
}

/* The live SPI, numbers ahead of the window in any order, and an ICV that cannot hold. */
static size_t esp_forged(struct hostile_job *j, uint8_t *out)
{
    const struct hostile_recorded *r = newest_esp(j);

    if (r == NULL)
        return 0;
    memcpy(out, r->bytes, r->length);
    put_be32(out + 4, get_be32(r->bytes + 4) + 1 + (uint32_t)(rnd(j) % 100000));
    fill(j, out + r->length - 16, 16);
    return r->length;
}

/* The live SPI and nothing behind its number. */
static size_t esp_truncated(struct hostile_job *j, uint8_t *out)
{
    const struct hostile_recorded *r = newest_esp(j);

    if (r == NULL)
        return 0;
    memcpy(out, r->bytes, r->length);
    put_be32(out + 4, get_be32(r->bytes + 4) + 1 + j->index);
    return 8 + j->index % 24;
}

const struct hostile_class hostile_classes[] = {
    {"noise", false, false, false, noise},
    {"truncated-header", false, false, false, truncated_header},
    {"truncated-body", false, false, false, truncated_body},
    {"wrong-length", false, false, false, wrong_length},
    {"bad-payload", false, false, false, bad_payload},
    {"bad-proposal", false, false, false, bad_proposal},
    {"incomplete", false, false, false, init_incomplete},
    {"oversized", false, false, false, oversized},
    {"version-3", false, false, false, version_3},
    {"unknown-spi", false, false, false, unknown_spi},
    {"auth-without-sa", false, false, false, auth_without_sa},
    {"no-proposal", false, false, false, init_no_proposal},
    {"weak-group", false, false, false, init_weak_group},
    {"other-group", false, false, false, init_other_group},
    {"zero-ke", false, false, false, init_zero_ke},
    {"critical", false, false, false, init_critical},
    {"init", false, false, false, init_good},
    {"forged-next", false, false, true, forged_next},
    {"forged-future", false, false, true, forged_future},
    {"forged-old", false, false, true, forged_old},
    {"forged-sync", false, false, true, forged_sync},
    {"forged-same", false, false, true, forged_same},
    {"forged-response", false, false, true, forged_response},
    {"unprotected", false, false, true, unprotected},
    {"replay-ike", false, true, true, replay_ike},
    {"replay-ike-newest", false, true, true, replay_ike_newest},
    {"replay-esp", true, true, true, replay_esp},
    {"esp-short", true, false, false, esp_short},
    {"esp-unknown-spi", true, false, false, esp_unknown_spi},
    {"esp-forged", true, false, true, esp_forged},
    {"esp-truncated", true, false, true, esp_truncated},
    {NULL, false, false, false, NULL},
};
