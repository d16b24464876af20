#include "wire/signature.h"

#include "wire/auth.h"
#include "wire/der.h"

/* Object identifiers, without tag and length. */
static const uint8_t rsa_arc[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01}; /* PKCS #1 */
static const uint8_t ecdsa_arc[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03}; /* RFC 5758 3.2 */
static const uint8_t sha2_arc[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02};
static const uint8_t ed25519_oid[] = {0x2b, 0x65, 0x70}; /* RFC 8410 3 */

enum { PKCS1_MGF1 = 8, PKCS1_PSS = 10, PKCS1_SHA1 = 5 };

/* The last part of each hash's identifiers, and the length of its value. */
static const struct {
    uint8_t hash, bytes;
    uint8_t rsa, ecdsa, sha2; /* behind the arcs above; 0 = not spoken */
} hashes[] = {
    {WIRE_HASH_SHA1, 20, PKCS1_SHA1, 0, 0},
    {WIRE_HASH_SHA256, 32, 11, 2, 1},
    {WIRE_HASH_SHA384, 48, 12, 3, 2},
    {WIRE_HASH_SHA512, 64, 13, 4, 3},
};

enum { N_HASHES = sizeof hashes / sizeof hashes[0] };

/* Is it arc.last, with *last being the one byte behind the arc? */
static bool oid_in(struct span oid, const uint8_t *arc, size_t arc_bytes, uint8_t *last)
{
    if (oid.len != arc_bytes + 1 || memcmp(oid.data, arc, arc_bytes) != 0)
        return false;
    *last = oid.data[arc_bytes];
    return true;
}

/* Parameters that say nothing: NULL, or none. */
static bool empty_parameters(struct wire_reader *r)
{
    struct span nothing;

    if (der_next_is(r, DER_NULL) && (!der_take(r, DER_NULL, &nothing) || nothing.len != 0))
        return false;
    return wire_reader_left(r) == 0;
}

/* A hash's AlgorithmIdentifier that fills `in`: its row, or N_HASHES. */
static size_t sha2_row(struct span in)
{
    struct wire_reader r = wire_reader_of(in);
    struct span inside, oid;
    uint8_t last;

    if (!der_take(&r, DER_SEQUENCE, &inside) || wire_reader_left(&r) != 0)
        return N_HASHES;
    r = wire_reader_of(inside);
    if (!der_take(&r, DER_OID, &oid) || !oid_in(oid, sha2_arc, sizeof sha2_arc, &last) ||
        !empty_parameters(&r))
        return N_HASHES;
    for (size_t i = 0; i < N_HASHES; i++)
        if (hashes[i].sha2 != 0 && hashes[i].sha2 == last)
            return i;
    return N_HASHES;
}

/* MGF1's AlgorithmIdentifier: its parameters are a hash's (RFC 4055 2.1). */
static size_t mgf1_row(struct span in)
{
    struct wire_reader r = wire_reader_of(in);
    struct span inside, oid;
    uint8_t last;

    if (!der_take(&r, DER_SEQUENCE, &inside) || wire_reader_left(&r) != 0)
        return N_HASHES;
    r = wire_reader_of(inside);
    if (!der_take(&r, DER_OID, &oid) || !oid_in(oid, rsa_arc, sizeof rsa_arc, &last) ||
        last != PKCS1_MGF1)
        return N_HASHES;
    return sha2_row(wire_read_rest(&r));
}

/* RSASSA-PSS-params (RFC 4055 3.1). The defaults are SHA-1's, so hash, mask and salt stand there;
 * one hash for all, a salt of its length, trailerField 1 or absent. The hash, or 0. */
static uint8_t pss_hash(struct wire_reader *r)
{
    struct span sequence, hash, mask, salt, trailer, number;
    struct wire_reader in, n;
    size_t row;

    if (!der_take(r, DER_SEQUENCE, &sequence) || wire_reader_left(r) != 0)
        return 0;
    in = wire_reader_of(sequence);
    if (!der_take(&in, DER_CONTEXT + 0, &hash) || !der_take(&in, DER_CONTEXT + 1, &mask) ||
        !der_take(&in, DER_CONTEXT + 2, &salt))
        return 0;
    row = sha2_row(hash);
    n = wire_reader_of(salt);
    if (row == N_HASHES || mgf1_row(mask) != row || !der_take(&n, DER_INTEGER, &number) ||
        wire_reader_left(&n) != 0 || number.len != 1 || number.data[0] != hashes[row].bytes)
        return 0;
    if (wire_reader_left(&in) > 0) {
        if (!der_take(&in, DER_CONTEXT + 3, &trailer) || wire_reader_left(&in) != 0)
            return 0;
        n = wire_reader_of(trailer);
        if (!der_take(&n, DER_INTEGER, &number) || wire_reader_left(&n) != 0 || number.len != 1 ||
            number.data[0] != 1)
            return 0;
    }
    return hashes[row].hash;
}

static void set(struct wire_signature *s, uint8_t scheme, uint8_t hash)
{
    s->scheme = hash != 0 ? scheme : WIRE_SCHEME_UNKNOWN;
    s->hash = hash;
}

static void read_rsa(uint8_t last, struct wire_reader *r, struct wire_signature *out)
{
    if (last == PKCS1_PSS) {
        set(out, WIRE_SCHEME_RSA_PSS, pss_hash(r));
        return;
    }
    for (size_t i = 0; i < N_HASHES; i++)
        if (hashes[i].rsa == last && empty_parameters(r))
            set(out, WIRE_SCHEME_RSA_PKCS1, hashes[i].hash);
}

/* The inside of the AlgorithmIdentifier. */
static enum wire_result read_algorithm(struct span inside, struct wire_signature *out)
{
    struct wire_reader r = wire_reader_of(inside);
    struct span oid;
    uint8_t last;

    if (!der_take(&r, DER_OID, &oid) || oid.len == 0)
        return WIRE_MALFORMED;
    if (oid_in(oid, rsa_arc, sizeof rsa_arc, &last)) {
        read_rsa(last, &r, out);
    } else if (oid_in(oid, ecdsa_arc, sizeof ecdsa_arc, &last) && wire_reader_left(&r) == 0) {
        for (size_t i = 0; i < N_HASHES; i++)
            if (hashes[i].ecdsa != 0 && hashes[i].ecdsa == last)
                set(out, WIRE_SCHEME_ECDSA, hashes[i].hash);
    } else if (span_equal(oid, span_of(ed25519_oid, sizeof ed25519_oid)) &&
               wire_reader_left(&r) == 0) {
        set(out, WIRE_SCHEME_EDDSA, WIRE_HASH_IDENTITY);
    }
    return WIRE_OK;
}

enum wire_result wire_signature_decode(struct span data, struct wire_signature *out)
{
    struct wire_reader r = wire_reader_of(data), in;
    struct wire_signature s = {.scheme = WIRE_SCHEME_UNKNOWN};
    struct span algorithm, inside;
    enum wire_result result;

    algorithm = wire_read_span(&r, wire_read_u8(&r));
    s.value = wire_read_rest(&r);
    if (r.truncated)
        return WIRE_TRUNCATED;
    in = wire_reader_of(algorithm);
    if (s.value.len == 0 || !der_take(&in, DER_SEQUENCE, &inside) || wire_reader_left(&in) != 0)
        return WIRE_MALFORMED;
    result = read_algorithm(inside, &s);
    if (result == WIRE_OK)
        *out = s;
    return result;
}

/* An OID of arc.last. */
static void write_oid(struct wire_writer *w, const uint8_t *arc, size_t arc_bytes, uint8_t last)
{
    wire_write_u8(w, DER_OID);
    wire_write_u8(w, (uint8_t)(arc_bytes + 1));
    wire_write_span(w, span_of(arc, arc_bytes));
    wire_write_u8(w, last);
}

/* 15 bytes: RFC 7427 A writes the NULL. */
static void write_sha2(struct wire_writer *w, uint8_t last)
{
    wire_write_u16(w, DER_SEQUENCE << 8 | 13);
    write_oid(w, sha2_arc, sizeof sha2_arc, last);
    wire_write_u16(w, DER_NULL << 8);
}

/* RFC 7427 A.4: 67 bytes. */
static void write_pss(struct wire_writer *w, size_t row)
{
    wire_write_u16(w, DER_SEQUENCE << 8 | 65);
    write_oid(w, rsa_arc, sizeof rsa_arc, PKCS1_PSS);
    wire_write_u16(w, DER_SEQUENCE << 8 | 52);
    wire_write_u16(w, (DER_CONTEXT + 0) << 8 | 15);
    write_sha2(w, hashes[row].sha2);
    wire_write_u16(w, (DER_CONTEXT + 1) << 8 | 28);
    wire_write_u16(w, DER_SEQUENCE << 8 | 26);
    write_oid(w, rsa_arc, sizeof rsa_arc, PKCS1_MGF1);
    write_sha2(w, hashes[row].sha2);
    wire_write_u16(w, (DER_CONTEXT + 2) << 8 | 3);
    wire_write_u16(w, DER_INTEGER << 8 | 1);
    wire_write_u8(w, hashes[row].bytes);
}

static void write_algorithm(struct wire_writer *w, const struct wire_signature *s)
{
    size_t row = 0;

    if (s->scheme == WIRE_SCHEME_EDDSA) {
        HF_ASSERT(s->hash == WIRE_HASH_IDENTITY);
        wire_write_u16(w, DER_SEQUENCE << 8 | 5);
        write_oid(w, ed25519_oid, sizeof ed25519_oid - 1, ed25519_oid[2]);
        return;
    }
    while (row < N_HASHES && hashes[row].hash != s->hash)
        row++;
    HF_ASSERT(row < N_HASHES);
    if (s->scheme == WIRE_SCHEME_RSA_PSS) {
        HF_ASSERT(hashes[row].sha2 != 0);
        write_pss(w, row);
    } else if (s->scheme == WIRE_SCHEME_ECDSA) {
        HF_ASSERT(hashes[row].ecdsa != 0);
        wire_write_u16(w, DER_SEQUENCE << 8 | 10);
        write_oid(w, ecdsa_arc, sizeof ecdsa_arc, hashes[row].ecdsa);
    } else {
        HF_ASSERT(s->scheme == WIRE_SCHEME_RSA_PKCS1);
        wire_write_u16(w, DER_SEQUENCE << 8 | 13);
        write_oid(w, rsa_arc, sizeof rsa_arc, hashes[row].rsa);
        wire_write_u16(w, DER_NULL << 8);
    }
}

void wire_put_auth_signature(struct wire_builder *b, const struct wire_signature *s)
{
    uint8_t room[WIRE_ALGORITHM_MAX_BYTES];
    struct wire_writer w = wire_writer_of(room, sizeof room);
    size_t start;

    write_algorithm(&w, s);
    HF_ASSERT(!w.overflow);
    start = wire_payload_begin(b, WIRE_PL_AUTH);
    wire_write_u8(&b->w, WIRE_AUTH_SIGNATURE);
    (void)wire_write_room(&b->w, 3);
    wire_write_u8(&b->w, (uint8_t)w.len);
    wire_write_span(&b->w, wire_written(&w));
    wire_write_span(&b->w, s->value);
    wire_payload_end(b, start);
}

uint16_t wire_hashes_decode(struct span data)
{
    struct wire_reader r = wire_reader_of(data);
    uint16_t known = 0;

    while (wire_reader_left(&r) >= 2) {
        uint16_t hash = wire_read_u16(&r);

        if (hash < 16)
            known |= (uint16_t)(1u << hash);
    }
    return known;
}
