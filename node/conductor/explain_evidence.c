/* What was offered beside what would have been taken, piece by piece. */
#include <stdio.h>
#include <time.h>

#include "base/hex.h"
#include "conductor/explain.h"
#include "ike/cert_auth.h"
#include "wire/auth.h"
#include "wire/id.h"
#include "wire/sa.h"

enum { TEXT_CHARS = 2 * LOG_ENDPOINT_CHARS + 64, DATE_CHARS = 32 };

/* ---- names ---- */

static const struct {
    uint8_t type;
    uint16_t id, key_bits;
    const char *word;
} words[] = {
    {WIRE_TR_ENCR, 20, 256, "aes256gcm16"},
    {WIRE_TR_ENCR, 20, 192, "aes192gcm16"},
    {WIRE_TR_ENCR, 20, 128, "aes128gcm16"},
    {WIRE_TR_ENCR, 28, 0, "chacha20poly1305"},
    {WIRE_TR_ENCR, 12, 256, "aes256"},
    {WIRE_TR_ENCR, 12, 192, "aes192"},
    {WIRE_TR_ENCR, 12, 128, "aes128"},
    {WIRE_TR_ENCR, 13, 256, "aes256ctr"},
    {WIRE_TR_ENCR, 13, 128, "aes128ctr"},
    {WIRE_TR_ENCR, 2, 0, "des"},
    {WIRE_TR_ENCR, 3, 0, "3des"},
    {WIRE_TR_INTEG, 0, 0, "none"},
    {WIRE_TR_INTEG, 1, 0, "md5"},
    {WIRE_TR_INTEG, 2, 0, "sha1"},
    {WIRE_TR_INTEG, 5, 0, "aesxcbc"},
    {WIRE_TR_INTEG, 12, 0, "sha256"},
    {WIRE_TR_INTEG, 13, 0, "sha384"},
    {WIRE_TR_INTEG, 14, 0, "sha512"},
    {WIRE_TR_PRF, 1, 0, "prfmd5"},
    {WIRE_TR_PRF, 2, 0, "prfsha1"},
    {WIRE_TR_PRF, 4, 0, "prfaesxcbc"},
    {WIRE_TR_PRF, 5, 0, "prfsha256"},
    {WIRE_TR_PRF, 6, 0, "prfsha384"},
    {WIRE_TR_PRF, 7, 0, "prfsha512"},
    {WIRE_TR_KE, 0, 0, "none"},
    {WIRE_TR_KE, 1, 0, "modp768"},
    {WIRE_TR_KE, 2, 0, "modp1024"},
    {WIRE_TR_KE, 5, 0, "modp1536"},
    {WIRE_TR_KE, 14, 0, "modp2048"},
    {WIRE_TR_KE, 15, 0, "modp3072"},
    {WIRE_TR_KE, 16, 0, "modp4096"},
    {WIRE_TR_KE, 19, 0, "ecp256"},
    {WIRE_TR_KE, 20, 0, "ecp384"},
    {WIRE_TR_KE, 21, 0, "ecp521"},
    {WIRE_TR_KE, 31, 0, "x25519"},
    {WIRE_TR_KE, 32, 0, "x448"},
    {WIRE_TR_ESN, 0, 0, "noesn"},
    {WIRE_TR_ESN, 1, 0, "esn"},
};

static const char *kind_of(uint8_t type)
{
    switch (type) {
    case WIRE_TR_ENCR:
        return "encryption";
    case WIRE_TR_PRF:
        return "PRF";
    case WIRE_TR_INTEG:
        return "integrity";
    case WIRE_TR_KE:
        return "group";
    case WIRE_TR_ESN:
        return "sequence numbers";
    default:
        return "transform";
    }
}

const char *explain_transform(uint8_t type, uint16_t id, uint16_t key_bits,
                              char out[EXPLAIN_TRANSFORM_CHARS])
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (words[i].type == type && words[i].id == id && words[i].key_bits == key_bits)
            return words[i].word;
    if (key_bits != 0)
        (void)snprintf(out, EXPLAIN_TRANSFORM_CHARS, "%s %u/%u", kind_of(type), (unsigned)id,
                       (unsigned)key_bits);
    else
        (void)snprintf(out, EXPLAIN_TRANSFORM_CHARS, "%s %u", kind_of(type), (unsigned)id);
    return out;
}

const char *explain_identity_type(const struct ike_identity *id)
{
    switch (id->type) {
    case WIRE_ID_IPV4:
        return "ipv4";
    case WIRE_ID_FQDN:
        return "fqdn";
    case WIRE_ID_RFC822:
        return "email";
    case WIRE_ID_IPV6:
        return "ipv6";
    case WIRE_ID_DER_DN:
        return "dn";
    case WIRE_ID_KEY_ID:
        return "keyid";
    default:
        return "-";
    }
}

const char *explain_identity(const struct ike_identity *id, char out[LOG_TEXT_CHARS])
{
    char address[LOG_ENDPOINT_CHARS];
    struct ip_addr ip = {.family = ADDR_NONE};

    if (id->type == WIRE_ID_IPV4 && id->len == 4)
        ip.family = ADDR_V4;
    if (id->type == WIRE_ID_IPV6 && id->len == sizeof ip.bytes)
        ip.family = ADDR_V6;
    if (ip.family == ADDR_NONE)
        return log_text(span_of(id->bytes, id->len), out);
    memcpy(ip.bytes, id->bytes, id->len);
    (void)snprintf(out, LOG_TEXT_CHARS, "%s", log_address(&ip, address));
    return out;
}

/* ---- pieces ---- */

struct teller {
    void (*put)(void *self, const char *what, enum explain_side side, const char *text);
    void *self;
};

static void tell(const struct teller *t, const char *what, enum explain_side side, const char *text)
{
    t->put(t->self, what, side, text);
}

static bool has(const struct ike_evidence_transforms *list, const struct ike_evidence_transform *x)
{
    for (uint8_t i = 0; i < list->n; i++)
        if (list->items[i].type == x->type && list->items[i].id == x->id &&
            list->items[i].key_bits == x->key_bits)
            return true;
    return false;
}

static bool has_type(const struct ike_evidence_transforms *list, uint8_t type)
{
    for (uint8_t i = 0; i < list->n; i++)
        if (list->items[i].type == type)
            return true;
    return false;
}

/* Of this type is nothing in both. Integrity and, of ESP, a group may be missing on one side: combined modes have none of the
 * one, a CHILD SA without a key exchange none of the other; so may sequence numbers. */
static bool differs(const struct ike_evidence *e, uint8_t type)
{
    const struct ike_evidence_transforms *offered = &e->proposals.offered,
                                         *allowed = &e->proposals.allowed;
    bool optional = type == WIRE_TR_INTEG || type == WIRE_TR_ESN ||
                    (type == WIRE_TR_KE && e->proposals.protocol == WIRE_PROTO_ESP);

    if (optional && (!has_type(offered, type) || !has_type(allowed, type)))
        return false;
    for (uint8_t i = 0; i < offered->n; i++)
        if (offered->items[i].type == type &&
            (has(allowed, &offered->items[i]) ||
             (type == WIRE_TR_INTEG && offered->items[i].id == 0)))
            return false;
    return has_type(offered, type) || has_type(allowed, type);
}

static void tell_transforms(const struct teller *t, const struct ike_evidence_transforms *list,
                            uint8_t type, enum explain_side side)
{
    char text[EXPLAIN_TRANSFORM_CHARS];

    for (uint8_t i = 0; i < list->n; i++)
        if (list->items[i].type == type)
            tell(t, kind_of(type), side,
                 explain_transform(type, list->items[i].id, list->items[i].key_bits, text));
}

static void tell_proposals(const struct teller *t, const struct ike_evidence *e)
{
    bool any = false;

    for (int kind = WIRE_TR_ENCR; kind <= WIRE_TR_ESN; kind++) {
        uint8_t type = (uint8_t)kind;

        tell_transforms(t, &e->proposals.offered, type, EXPLAIN_OFFERED);
        tell_transforms(t, &e->proposals.allowed, type, EXPLAIN_ALLOWED);
        if (!differs(e, type))
            continue;
        tell(t, kind_of(type), EXPLAIN_DIFFERS, NULL);
        any = true;
    }
    if (e->proposals.offered.more || e->proposals.allowed.more)
        tell(t, "more", EXPLAIN_OFFERED, "there were more than are kept");
    if (!any) /* each kind by itself would do */
        tell(t, "combination", EXPLAIN_DIFFERS, NULL);
}

static void tell_group(const struct teller *t, const struct ike_evidence *e)
{
    char text[EXPLAIN_TRANSFORM_CHARS];

    tell(t, kind_of(WIRE_TR_KE), EXPLAIN_OFFERED,
         explain_transform(WIRE_TR_KE, e->group.sent, 0, text));
    tell(t, kind_of(WIRE_TR_KE), EXPLAIN_ALLOWED,
         explain_transform(WIRE_TR_KE, e->group.wanted, 0, text));
    tell(t, kind_of(WIRE_TR_KE), EXPLAIN_DIFFERS, NULL);
}

/* "10.0.0.0-10.0.0.255", with " protocol 17" and " ports 53-53" where it is not all. */
static const char *selector_text(const struct ike_ts *ts, char out[TEXT_CHARS])
{
    char low[LOG_ENDPOINT_CHARS], high[LOG_ENDPOINT_CHARS];
    int n = snprintf(out, TEXT_CHARS, "%s-%s", log_address(&ts->low, low),
                     log_address(&ts->high, high));

    HF_ASSERT(n > 0 && n < TEXT_CHARS);
    if (ts->protocol != 0)
        n += snprintf(out + n, (size_t)(TEXT_CHARS - n), " protocol %u", (unsigned)ts->protocol);
    if (ts->port_low != 0 || ts->port_high != UINT16_MAX)
        (void)snprintf(out + n, (size_t)(TEXT_CHARS - n), " ports %u-%u", (unsigned)ts->port_low,
                       (unsigned)ts->port_high);
    return out;
}

static bool overlap(const struct ike_ts *a, const struct ike_ts *b)
{
    return a->low.family == b->low.family &&
           memcmp(a->low.bytes, b->high.bytes, sizeof a->low.bytes) <= 0 &&
           memcmp(b->low.bytes, a->high.bytes, sizeof a->low.bytes) <= 0 &&
           (a->protocol == 0 || b->protocol == 0 || a->protocol == b->protocol) &&
           a->port_low <= b->port_high && b->port_low <= a->port_high;
}

static void tell_selectors(const struct teller *t, const char *what,
                           const struct ike_evidence_selectors *offered,
                           const struct ike_evidence_selectors *allowed)
{
    char text[TEXT_CHARS];
    bool meet = offered->more;

    for (uint8_t i = 0; i < offered->n; i++)
        tell(t, what, EXPLAIN_OFFERED, selector_text(&offered->items[i], text));
    if (offered->more)
        tell(t, what, EXPLAIN_OFFERED, "and more");
    for (uint8_t k = 0; k < allowed->n; k++)
        tell(t, what, EXPLAIN_ALLOWED, selector_text(&allowed->items[k], text));
    for (uint8_t i = 0; i < offered->n; i++)
        for (uint8_t k = 0; k < allowed->n; k++)
            meet = meet || overlap(&offered->items[i], &allowed->items[k]);
    if (!meet)
        tell(t, what, EXPLAIN_DIFFERS, NULL);
}

static const char *method_name(uint8_t method)
{
    switch (method) {
    case 0:
        return "none";
    case WIRE_AUTH_RSA:
        return "RSA with SHA-1";
    case WIRE_AUTH_PSK:
        return "shared key";
    case WIRE_AUTH_ECDSA_256:
    case WIRE_AUTH_ECDSA_384:
    case WIRE_AUTH_ECDSA_521:
        return "ECDSA";
    case WIRE_AUTH_SIGNATURE:
        return "signature (RFC 7427)";
    default:
        return "another method";
    }
}

/* "2026-11-28 20:15 UTC" */
static const char *date_text(uint64_t wall_s, char out[DATE_CHARS])
{
    time_t at = (time_t)wall_s;
    struct tm tm;

    if (gmtime_r(&at, &tm) == NULL || strftime(out, DATE_CHARS, "%Y-%m-%d %H:%M UTC", &tm) == 0)
        (void)snprintf(out, DATE_CHARS, "at no time");
    return out;
}

/* Which one it was, by its own words; and the time when its dates did not hold. */
static void tell_certificate(const struct teller *t, const struct attempt *a)
{
    const struct suite_certificate *about = &a->evidence.credentials.about;
    char text[2 * DATE_CHARS + 4], from[DATE_CHARS], until[DATE_CHARS];

    if (about->subject[0] == '\0' && about->issuer[0] == '\0')
        return;
    tell(t, "certificate, subject", EXPLAIN_OFFERED, about->subject);
    tell(t, "certificate, issuer", EXPLAIN_OFFERED, about->issuer);
    (void)snprintf(text, sizeof text, "%s to %s", date_text(about->from_s, from),
                   date_text(about->until_s, until));
    tell(t, "certificate, valid", EXPLAIN_OFFERED, text);
    if ((a->verdict == SUITE_EXPIRED || a->verdict == SUITE_NOT_YET_VALID) && a->last_wall_s != 0) {
        (void)snprintf(text, sizeof text, "what holds at %s", date_text(a->last_wall_s, from));
        tell(t, "certificate, valid", EXPLAIN_ALLOWED, text);
    }
}

static void tell_credentials(const struct teller *t, const struct attempt *a)
{
    const struct ike_evidence *e = &a->evidence;
    char text[2 * IKE_EVIDENCE_HASH_BYTES + 1], n[32];

    tell(t, "proof", EXPLAIN_OFFERED, method_name(e->credentials.method));
    if (e->credentials.n_certificates > 0) {
        hex_put(e->credentials.sha256, IKE_EVIDENCE_HASH_BYTES, text);
        tell(t, "certificate, SHA-256", EXPLAIN_OFFERED, text);
        (void)snprintf(n, sizeof n, "%u", (unsigned)e->credentials.n_certificates);
        tell(t, "certificates that came", EXPLAIN_OFFERED, n);
    }
    tell_certificate(t, a);
    if (a->judged)
        tell(t, "check", EXPLAIN_OFFERED, suite_verdict_name(a->verdict));
}

static void tell_addresses(const struct teller *t, const struct ike_evidence *e)
{
    static const char *const families[ADDR_SLOTS] = {[SLOT_V4] = "IPv4", [SLOT_V6] = "IPv6"};

    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        if (e->addresses.wanted[slot])
            tell(t, "virtual address", EXPLAIN_OFFERED, families[slot]);
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        if (e->addresses.has_pool[slot])
            tell(t, "virtual address", EXPLAIN_ALLOWED, families[slot]);
}

bool explain_other_gateway(const struct ike_evidence *e)
{
    const struct ike_identity *asked = &e->gateway.asked;

    return asked->type != 0 &&
           !ike_same_identity(&e->gateway.shown, asked->type, span_of(asked->bytes, asked->len));
}

static void tell_gateway(const struct teller *t, const struct ike_evidence *e)
{
    static const char identity[] = "the gateway's identity";
    const struct ike_identity *asked = &e->gateway.asked;
    char text[LOG_TEXT_CHARS];

    if (asked->type != 0)
        tell(t, identity, EXPLAIN_OFFERED, explain_identity(asked, text));
    tell(t, identity, EXPLAIN_ALLOWED, explain_identity(&e->gateway.shown, text));
    if (explain_other_gateway(e))
        tell(t, identity, EXPLAIN_DIFFERS, NULL);
    tell(t, "the gateway's proof", EXPLAIN_ALLOWED,
         e->gateway.by_certificate ? "certificate" : "shared key");
}

void explain_evidence(const struct attempt *a,
                      void (*put)(void *self, const char *what, enum explain_side side,
                                  const char *text),
                      void *self)
{
    const struct teller t = {.put = put, .self = self};
    const struct ike_evidence *e = &a->evidence;
    char text[16];

    switch (e->about) {
    case IKE_EVIDENCE_PROPOSALS:
        tell_proposals(&t, e);
        break;
    case IKE_EVIDENCE_GROUP:
        tell_group(&t, e);
        break;
    case IKE_EVIDENCE_SELECTORS:
        tell_selectors(&t, "networks behind the gateway", &e->selectors.offered_local,
                       &e->selectors.allowed_local);
        tell_selectors(&t, "the client's addresses", &e->selectors.offered_remote,
                       &e->selectors.allowed_remote);
        break;
    case IKE_EVIDENCE_CREDENTIALS:
        tell_credentials(&t, a);
        break;
    case IKE_EVIDENCE_ADDRESSES:
        tell_addresses(&t, e);
        break;
    case IKE_EVIDENCE_PAYLOAD:
        (void)snprintf(text, sizeof text, "type %u", (unsigned)e->payload);
        tell(&t, "critical payload", EXPLAIN_OFFERED, text);
        break;
    case IKE_EVIDENCE_GATEWAY:
        tell_gateway(&t, e);
        break;
    case IKE_EVIDENCE_NONE:
    case IKE_EVIDENCE_COUNT:
    default:
        break;
    }
}
