/* CERT, CERTREQ, and AUTH by RFC 7427: round trips, the RFC's own bytes, and what is refused. */
#include <criterion/criterion.h>

#include "wire/body.h"
#include "wire/der.h"
#include "wire/signature.h"

static struct span bytes_of(struct wire_builder *b)
{
    struct span out;

    cr_assert(wire_builder_finish(b, &out));
    return out;
}

Test(cert, round_trip)
{
    static const uint8_t hashes[2 * WIRE_CA_HASH_BYTES] = {1, 2, 3};
    uint8_t room[512];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_body body;

    wire_put_cert(&b, WIRE_CERT_X509, span_of("end", 3));
    wire_put_cert(&b, WIRE_CERT_X509, span_of("issuer", 6));
    wire_put_cert(&b, 12, span_of("a hash and a url", 16));
    wire_put_certreq(&b, WIRE_CERT_X509, span_of(hashes, sizeof hashes));
    wire_put_certreq(&b, WIRE_CERT_X509, span_of(NULL, 0));
    cr_assert_eq(wire_body_decode(b.first, bytes_of(&b), &body), WIRE_OK);
    cr_assert(body.n_certs == 3 && body.n_certreqs == 2);
    cr_assert(span_equal(body.certs[0].data, span_of("end", 3)) && body.certs[0].encoding == 4);
    cr_assert(span_equal(body.certs[1].data, span_of("issuer", 6)));
    cr_assert(body.certs[2].encoding == 12, "hash and URL: told, never followed");
    cr_assert(span_equal(body.certreqs[0].hashes, span_of(hashes, sizeof hashes)));
    cr_assert_eq(body.certreqs[1].hashes.len, 0);
}

Test(cert, refused)
{
    static const uint8_t odd[22] = {4};
    uint8_t room[512];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_body body;
    struct wire_cert cert;
    struct wire_certreq req;

    cr_assert_eq(wire_cert_decode(span_of("", 0), &cert), WIRE_TRUNCATED);
    cr_assert_eq(wire_cert_decode(span_of("\4", 1), &cert), WIRE_MALFORMED, "no certificate");
    cr_assert_eq(wire_certreq_decode(span_of("", 0), &req), WIRE_TRUNCATED);
    cr_assert_eq(wire_certreq_decode(span_of(odd, sizeof odd), &req), WIRE_MALFORMED);
    cr_assert_eq(wire_certreq_decode(span_of(odd, 21), &req), WIRE_OK);
    for (int i = 0; i <= WIRE_MAX_CERTS; i++)
        wire_put_cert(&b, WIRE_CERT_X509, span_of("x", 1));
    cr_assert_eq(wire_body_decode(b.first, bytes_of(&b), &body), WIRE_TOO_MANY);
}

/* RFC 7427 A.1.2, A.3.2, A.4.3 (which is RFC 4055's form with the NULLs), RFC 8420 A. */
static const uint8_t rsa_sha256[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                     0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00};
static const uint8_t ecdsa_sha256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                       0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
static const uint8_t ed25519[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};
static const uint8_t pss_sha256[] = {
    0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30,
    0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
    0x02, 0x01, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
    0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
    0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x20};

static enum wire_result decode(const uint8_t *algorithm, size_t n, struct wire_signature *out)
{
    uint8_t data[128] = {(uint8_t)n};

    if (n > 0)
        memcpy(data + 1, algorithm, n);
    memcpy(data + 1 + n, "value", 5);
    return wire_signature_decode(span_of(data, n + 6), out);
}

static void expect_encoded(uint8_t scheme, uint8_t hash, const uint8_t *algorithm, size_t n)
{
    const struct wire_signature in = {scheme, hash, span_of("value", 5)};
    uint8_t room[256];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_signature s;
    struct wire_body body;

    wire_put_auth_signature(&b, &in);
    cr_assert_eq(wire_body_decode(b.first, bytes_of(&b), &body), WIRE_OK);
    cr_assert(body.auth.method == WIRE_AUTH_SIGNATURE && body.auth.data.data[0] == n);
    cr_assert(span_equal(span_of(body.auth.data.data + 1, n), span_of(algorithm, n)));
    cr_assert_eq(wire_signature_decode(body.auth.data, &s), WIRE_OK);
    cr_assert(s.scheme == scheme && s.hash == hash && span_equal(s.value, in.value));
}

Test(signature, as_in_the_rfc)
{
    expect_encoded(WIRE_SCHEME_RSA_PKCS1, WIRE_HASH_SHA256, rsa_sha256, sizeof rsa_sha256);
    expect_encoded(WIRE_SCHEME_ECDSA, WIRE_HASH_SHA256, ecdsa_sha256, sizeof ecdsa_sha256);
    expect_encoded(WIRE_SCHEME_EDDSA, WIRE_HASH_IDENTITY, ed25519, sizeof ed25519);
    expect_encoded(WIRE_SCHEME_RSA_PSS, WIRE_HASH_SHA256, pss_sha256, sizeof pss_sha256);
}

Test(signature, every_row_round_trips)
{
    for (uint8_t scheme = WIRE_SCHEME_RSA_PKCS1; scheme <= WIRE_SCHEME_ECDSA; scheme++)
        for (uint8_t hash = WIRE_HASH_SHA256; hash <= WIRE_HASH_SHA512; hash++) {
            const struct wire_signature in = {scheme, hash, span_of("v", 1)};
            uint8_t room[256];
            struct wire_builder b = wire_builder_chain(room, sizeof room);
            struct wire_signature s;
            struct wire_body body;

            wire_put_auth_signature(&b, &in);
            cr_assert_eq(wire_body_decode(b.first, bytes_of(&b), &body), WIRE_OK);
            cr_assert_eq(wire_signature_decode(body.auth.data, &s), WIRE_OK);
            cr_assert(s.scheme == scheme && s.hash == hash);
        }
}

/* Each single byte of the PSS parameters changed: never taken for SHA-256's with its salt. */
Test(signature, pss_parameters_are_exact)
{
    struct wire_signature s;
    size_t n = 0;

    cr_assert_eq(decode(pss_sha256, sizeof pss_sha256, &s), WIRE_OK);
    cr_assert(s.scheme == WIRE_SCHEME_RSA_PSS && s.hash == WIRE_HASH_SHA256);
    for (size_t i = 0; i < sizeof pss_sha256; i++)
        for (unsigned bit = 0; bit < 8; bit++, n++) {
            uint8_t bent[sizeof pss_sha256];

            memcpy(bent, pss_sha256, sizeof bent);
            bent[i] ^= (uint8_t)(1u << bit);
            cr_assert(decode(bent, sizeof bent, &s) != WIRE_OK || s.scheme == WIRE_SCHEME_UNKNOWN ||
                          s.scheme == WIRE_SCHEME_RSA_PKCS1,
                      "byte %zu, bit %u", i, bit);
        }
    cr_log_info("compared %zu", n);
}

Test(signature, pss_odd_but_good)
{
    /* Without the NULLs (RFC 4055 2.1: both must be understood), and with trailerField 1. */
    static const uint8_t absent[] = {
        0x30, 0x3d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a,
        0x30, 0x30, 0xa0, 0x0d, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
        0x03, 0x04, 0x02, 0x01, 0xa1, 0x1a, 0x30, 0x18, 0x06, 0x09, 0x2a, 0x86, 0x48,
        0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48,
        0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0xa2, 0x03, 0x02, 0x01, 0x20};
    uint8_t trailer[sizeof pss_sha256 + 5];
    struct wire_signature s;

    cr_assert_eq(decode(absent, sizeof absent, &s), WIRE_OK);
    cr_assert(s.scheme == WIRE_SCHEME_RSA_PSS && s.hash == WIRE_HASH_SHA256);
    memcpy(trailer, pss_sha256, sizeof pss_sha256);
    trailer[1] = (uint8_t)(trailer[1] + 5);
    trailer[14] = (uint8_t)(trailer[14] + 5);
    memcpy(trailer + sizeof pss_sha256, "\xa3\x03\x02\x01\x01", 5);
    cr_assert_eq(decode(trailer, sizeof trailer, &s), WIRE_OK);
    cr_assert_eq(s.scheme, WIRE_SCHEME_RSA_PSS);
    trailer[sizeof trailer - 1] = 2;
    cr_assert_eq(decode(trailer, sizeof trailer, &s), WIRE_OK);
    cr_assert_eq(s.scheme, WIRE_SCHEME_UNKNOWN, "trailerField 2");
}

Test(signature, refused)
{
    static const uint8_t defaults[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                       0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x00};
    static const uint8_t long_form[] = {0x30, 0x81, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};
    static const uint8_t ecdsa_null[] = {0x30, 0x0c, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                         0xce, 0x3d, 0x04, 0x03, 0x02, 0x05, 0x00};
    uint8_t behind[sizeof ed25519 + 1];
    struct wire_signature s;

    cr_assert_eq(decode(defaults, sizeof defaults, &s), WIRE_OK);
    cr_assert_eq(s.scheme, WIRE_SCHEME_UNKNOWN, "PSS by default is SHA-1");
    cr_assert_eq(decode(ecdsa_null, sizeof ecdsa_null, &s), WIRE_OK);
    cr_assert_eq(s.scheme, WIRE_SCHEME_UNKNOWN, "RFC 5758: parameters are absent");
    cr_assert_eq(decode(long_form, sizeof long_form, &s), WIRE_MALFORMED,
                 "not the shortest length");
    memcpy(behind, ed25519, sizeof ed25519);
    behind[sizeof ed25519] = 0;
    cr_assert_eq(decode(behind, sizeof behind, &s), WIRE_MALFORMED, "a byte behind it");
    cr_assert_eq(wire_signature_decode(span_of("", 0), &s), WIRE_TRUNCATED);
    cr_assert_eq(wire_signature_decode(span_of("\7\x30", 2), &s), WIRE_TRUNCATED);
    cr_assert_eq(decode(NULL, 0, &s), WIRE_MALFORMED, "no algorithm");
}

Test(signature, hashes_announced)
{
    static const uint8_t list[] = {0, 2, 0, 5, 0xff, 0xff, 0, 17, 0, 4, 9};

    cr_assert_eq(wire_hashes_decode(span_of(list, sizeof list)), 1u << 2 | 1u << 5 | 1u << 4);
    cr_assert_eq(wire_hashes_decode(span_of(NULL, 0)), 0);
}
