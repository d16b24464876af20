/* Ways of signing: every row with its key, every row with every other key, and the forgeries. */
#include <criterion/criterion.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <stdio.h>

#include "certs/certs.h"
#include "crypto/tables.h"

enum { FQDN = 2, PKCS1 = 1, PSS = 2, ECDSA = 3, EDDSA = 4, RAW = 5 };

static const char message[] = "octets of RFC 7296 2.15";
static const char *const kinds[] = {"rsa2048", "p256", "p384", "p521", "ed25519"};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static struct pki_pair ca, end[N_KINDS];
static struct crypto_trust *trust;

static void make_all(void)
{
    const struct pki_request c = certs_ca_request("CN=test CA"),
                             r = certs_client_request("host.example.org");

    ca = certs_make("p256", &c, NULL);
    for (size_t i = 0; i < N_KINDS; i++)
        end[i] = certs_make(kinds[i], &r, &ca);
    trust = certs_trust(&ca.cert, 1);
}

static enum suite_verdict judge(X509 *cert, const struct suite_signature *how, struct span data,
                                struct span signature)
{
    const struct suite_claim claim = {.certs = {certs_der(cert)},
                                      .n_certs = 1,
                                      .id_type = FQDN,
                                      .id = span_of("host.example.org", 16),
                                      .wall_s = CERTS_NOW,
                                      .how = how,
                                      .data = data,
                                      .signature = signature};

    return crypto_auth.verify(trust, &claim);
}

/* Which keys a row is for: as the table of the design has it. */
static bool fits(size_t kind, const struct suite_signature *how)
{
    static const uint8_t least[] = {0, 2, 3, 4};

    switch (how->scheme) {
    case PKCS1:
    case PSS:
        return kind == 0;
    case ECDSA:
        return kind >= 1 && kind <= 3 && how->hash >= least[kind];
    case RAW:
        return kind >= 1 && kind <= 3 && how->hash == least[kind];
    default:
        return kind == 4;
    }
}

Test(sign, every_row_with_every_key)
{
    const struct span data = span_of(message, sizeof message);
    size_t n = 0;

    make_all();
    for (size_t i = 0; i < crypto_auth.n_rows; i++)
        for (size_t k = 0; k < N_KINDS; k++) {
            const struct suite_signature *how = &crypto_auth.rows[i];
            uint8_t value[1024];
            size_t len = 0;
            bool can = crypto_auth.sign(end[k].key, how, data, value, sizeof value, &len);

            cr_assert_eq(can, fits(k, how), "%s with %s", how->name, kinds[k]);
            if (!can) {
                cr_assert_eq(judge(end[k].cert, how, data, span_of(value, 64)), SUITE_WRONG_KEY);
                continue;
            }
            cr_assert_eq(judge(end[k].cert, how, data, span_of(value, len)), SUITE_GOOD, "%s",
                         how->name);
            cr_assert_eq(
                judge(end[k].cert, how, span_of(message, sizeof message - 1), span_of(value, len)),
                SUITE_BAD_SIGNATURE, "%s: other data", how->name);
            cr_assert_eq(judge(end[k].cert, how, data, span_of(value, len - 1)),
                         SUITE_BAD_SIGNATURE, "%s: cut short", how->name);
            value[len / 2] ^= 1;
            cr_assert_eq(judge(end[k].cert, how, data, span_of(value, len)), SUITE_BAD_SIGNATURE);
            n += 4;
        }
    printf("compared %zu\n", n);
}

/* An r of zero, and one that is no number of the curve. */
Test(sign, raw_ecdsa_without_r)
{
    const struct suite_signature *how = suite_find_signature(&suite_default, RAW, 2);
    uint8_t zero[64] = {0}, ones[64];

    make_all();
    memset(ones, 0xff, sizeof ones);
    cr_assert_eq(judge(end[1].cert, how, span_of(message, 4), span_of(zero, 64)),
                 SUITE_BAD_SIGNATURE);
    cr_assert_eq(judge(end[1].cert, how, span_of(message, 4), span_of(ones, 64)),
                 SUITE_BAD_SIGNATURE);
    cr_assert_eq(judge(end[1].cert, how, span_of(message, 4), span_of(zero, 0)),
                 SUITE_BAD_SIGNATURE);
}

/* The encoded message of a PKCS #1 v1.5 signature by `key`, which is then raised to its private
 * power without any padding of the library's: what a forger with the key could write. */
static bool sign_raw(EVP_PKEY *key, const uint8_t *em, size_t n, uint8_t *out)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    size_t len = n;
    bool ok = EVP_PKEY_sign_init(ctx) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) > 0 &&
              EVP_PKEY_sign(ctx, out, &len, em, n) == 1 && len == n;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static const uint8_t sha256_info[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                      0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
/* The same without the NULL: 2 bytes shorter. */
static const uint8_t absent_info[] = {0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48,
                                      0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x04, 0x20};

enum bend { EM_GOOD, EM_TYPE_2, EM_SHORT_PADDING, EM_BEHIND, EM_ABSENT_NULL, EM_NOT_FF, EM_BENDS };

static void encode(enum bend bend, uint8_t em[256])
{
    const uint8_t *info = bend == EM_ABSENT_NULL ? absent_info : sha256_info;
    size_t info_len = bend == EM_ABSENT_NULL ? sizeof absent_info : sizeof sha256_info;
    size_t garbage = bend == EM_SHORT_PADDING || bend == EM_BEHIND ? 100 : 0;
    uint8_t *digest = em + 256 - garbage - 32;

    memset(em, 0xff, 256);
    em[0] = 0;
    em[1] = bend == EM_TYPE_2 ? 2 : 1;
    cr_assert(suite_default.sha256->compute(
        &(struct span){(const uint8_t *)message, sizeof message}, 1, digest));
    memcpy(digest - info_len, info, info_len);
    digest[-(ptrdiff_t)info_len - 1] = 0;
    if (garbage > 0)
        memset(em + 256 - garbage, bend == EM_BEHIND ? 0 : 0x5a, garbage);
    if (bend == EM_NOT_FF)
        em[10] = 0xfe;
}

Test(sign, pkcs1_is_compared_whole)
{
    const struct suite_signature *how = suite_find_signature(&suite_default, PKCS1, 2);
    uint8_t em[256], value[256];

    make_all();
    for (enum bend bend = EM_GOOD; bend < EM_BENDS; bend++) {
        encode(bend, em);
        cr_assert(sign_raw(end[0].key, em, sizeof em, value));
        cr_expect_eq(judge(end[0].cert, how, span_of(message, sizeof message), span_of(value, 256)),
                     bend == EM_GOOD ? SUITE_GOOD : SUITE_BAD_SIGNATURE, "bend %d", (int)bend);
    }
    printf("compared %d\n", (int)EM_BENDS);
}

/* e = 3, without the key: the cube root of 00 01 FF.. 00 DigestInfo, digest and room for garbage.
 * Fits under any modulus of 2048 bits. */
Test(sign, cube_root_is_no_signature)
{
    const struct suite_signature *how = suite_find_signature(&suite_default, PKCS1, 2);
    const struct pki_request r = certs_client_request("host.example.org");
    BIGNUM *low = BN_new(), *high = BN_new(), *mid = BN_new(), *cube = BN_new(), *want;
    BN_CTX *ctx = BN_CTX_new();
    uint8_t em[256] = {0, 1}, back[256], value[256];
    struct pki_pair three;
    size_t kept;

    make_all();
    three = certs_make("rsa2048e3", &r, &ca);
    memset(em + 2, 0xff, 8);
    memcpy(em + 11, sha256_info, sizeof sha256_info);
    cr_assert(suite_default.sha256->compute(
        &(struct span){(const uint8_t *)message, sizeof message}, 1, em + 11 + sizeof sha256_info));
    kept = 11 + sizeof sha256_info + 32;
    memset(em + kept, 0xff,
           sizeof em - kept); /* the largest: its root, rounded down, keeps the front */
    want = BN_bin2bn(em, sizeof em, NULL);
    BN_zero(low);
    BN_one(high);
    BN_lshift(high, high, 700);
    while (BN_sub(mid, high, low) && !BN_is_one(mid) && !BN_is_zero(mid)) {
        BN_add(mid, low, high);
        BN_rshift1(mid, mid);
        BN_sqr(cube, mid, ctx);
        BN_mul(cube, cube, mid, ctx);
        if (BN_cmp(cube, want) <= 0)
            BN_copy(low, mid);
        else
            BN_copy(high, mid);
    }
    BN_sqr(cube, low, ctx);
    BN_mul(cube, cube, low, ctx);
    cr_assert_eq(BN_bn2binpad(cube, back, sizeof back), 256);
    cr_assert_eq(memcmp(back, em, kept), 0, "the forgery has the front of a good signature");
    cr_assert_eq(BN_bn2binpad(low, value, sizeof value), 256);
    cr_assert_eq(judge(three.cert, how, span_of(message, sizeof message), span_of(value, 256)),
                 SUITE_BAD_SIGNATURE);
    BN_free(low);
    BN_free(high);
    BN_free(mid);
    BN_free(cube);
    BN_free(want);
    BN_CTX_free(ctx);
    /* ... while what that key really signs is good. */
    encode(EM_GOOD, em);
    cr_assert(sign_raw(three.key, em, sizeof em, value));
    cr_assert_eq(judge(three.cert, how, span_of(message, sizeof message), span_of(value, 256)),
                 SUITE_GOOD);
}

/* PSS by another hash, and with another salt, than the row says. */
static bool sign_pss(EVP_PKEY *key, const EVP_MD *md, const EVP_MD *mgf1, int salt, uint8_t *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *p = NULL;
    size_t len = 256;
    bool ok = EVP_DigestSignInit(ctx, &p, md, NULL, key) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) > 0 &&
              EVP_PKEY_CTX_set_rsa_mgf1_md(p, mgf1) > 0 &&
              EVP_PKEY_CTX_set_rsa_pss_saltlen(p, salt) > 0 &&
              EVP_DigestSign(ctx, out, &len, (const uint8_t *)message, sizeof message) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

Test(sign, pss_parameters)
{
    const struct suite_signature *how = suite_find_signature(&suite_default, PSS, 2);
    const struct {
        const EVP_MD *md, *mgf1;
        int salt;
        enum suite_verdict verdict;
    } cases[] = {
        {EVP_sha256(), EVP_sha256(), 32, SUITE_GOOD},
        {EVP_sha256(), EVP_sha256(), 20, SUITE_BAD_SIGNATURE},
        {EVP_sha256(), EVP_sha256(), 0, SUITE_BAD_SIGNATURE},
        {EVP_sha256(), EVP_sha256(), 64, SUITE_BAD_SIGNATURE},
        {EVP_sha256(), EVP_sha1(), 32, SUITE_BAD_SIGNATURE},
        {EVP_sha256(), EVP_sha512(), 32, SUITE_BAD_SIGNATURE},
        {EVP_sha384(), EVP_sha384(), 48, SUITE_BAD_SIGNATURE},
        {EVP_sha1(), EVP_sha1(), 20, SUITE_BAD_SIGNATURE},
    };
    uint8_t value[256];

    make_all();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert(sign_pss(end[0].key, cases[i].md, cases[i].mgf1, cases[i].salt, value));
        cr_expect_eq(judge(end[0].cert, how, span_of(message, sizeof message), span_of(value, 256)),
                     cases[i].verdict, "case %zu", i);
    }
    printf("compared %zu\n", sizeof cases / sizeof cases[0]);
}

Test(sign, small_rsa_keys)
{
    const struct suite_signature *how = suite_find_signature(&suite_default, PKCS1, 2);
    const struct pki_request r = certs_client_request("host.example.org");
    uint8_t value[256];
    size_t len = 0;
    struct pki_pair small;

    make_all();
    small = certs_make("rsa1024", &r, &ca);
    cr_assert(crypto_auth.sign(small.key, how, span_of(message, 4), value, sizeof value, &len));
    cr_assert_eq(judge(small.cert, how, span_of(message, 4), span_of(value, len)), SUITE_WEAK_KEY);
}
