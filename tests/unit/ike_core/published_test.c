/* Key derivation against published answers of NIST for the IKEv2 KDF of SP 800-135: its CAVP's with
 * HMAC-SHA-1 (whose lengths fit AES-256-GCM: 132 bytes of DKM are SK_d, SK_ei, SK_er, SK_pi, SK_pr), and its
 * ACVP server's with HMAC-SHA-256 and nonces of 256 bytes.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "crypto/tables.h"
#include "ike/keys.h"
#include "vectors/vectors.h"

struct bytes {
    uint8_t data[256];
    size_t len;
};

static struct bytes hex(const char *text)
{
    struct bytes b = {.len = strlen(text) / 2};

    for (size_t i = 0; i < b.len; i++) {
        unsigned v;

        cr_assert_eq(sscanf(text + 2 * i, "%2x", &v), 1);
        b.data[i] = (uint8_t)v;
    }
    return b;
}

#define NI "32b50d5f4a3763f3"
#define NR "9206a04b26564cb1"
#define SPI_I "34c9e7c188868785"
#define SPI_R "3ff77d760d2b2199"
#define G_IR "4b2c1f971981a8ad8d0abeafabf38cf75fc8349c148142465ed9c8b516b8be52"
#define G_IR_NEW "863f3c9d06efd39d2b907b97f8699e5dd5251ef64a2a176f36ee40c87d4f9330"
#define SKEYSEED "a9a7b222b59f8f48645f28a1db5b5f5d7479cba7"
#define DKM                                                                                        \
    "a14293677cc80ff8f9cc0eee30d895da9d8f405666e30ef0dfcb63c634a46002a2a63080e514a062768b76606f9f" \
    "a5"                                                                                           \
    "e992204fc5a670bde3f10d6b027113936a5c55b648a194ae587b0088d52204b702c979fa280870d2ed41efa9c549" \
    "fd"                                                                                           \
    "11198af1670b143d384bd275c5f594cf266b05ebadca855e4249520a441a81157435a7a56cc4"
#define DKM_CHILD                                                                                  \
    "8059e3ee8810e6c3a91bc8bcd2a7a41151b8d0e6ae239c7b38093ad85ef4c5811a8e7b5d1cdabd9560b2d5e092d1" \
    "f2"                                                                                           \
    "4e2d4b85eccdf0ad0dc9abd94b51ee71814ca6dbc8bb51b630"
#define DKM_CHILD_DH                                                                               \
    "bb43244c1860ad65ee1e211ffe8bb3661750c8f89cb9f547df7f4fa61d37301628190e38c66232eab4b3ab14c400" \
    "a5"                                                                                           \
    "197dd3730ed4820a8a10394d51e1c0400052f63ebd36b0e7ef"
#define SKEYSEED_REKEY "63e81194946ebd05df7df5ebf5d8750056bf1f1d"

static struct bytes ni, nr, dkm;
static struct ike_key_inputs in;
static const struct suite_aead *gcm;
static const struct suite_prf *sha1;

static struct secret secret_hex(const char *text)
{
    struct bytes b = hex(text);
    struct secret s;

    secret_set(&s, b.data, b.len);
    return s;
}

static void setup(void)
{
    struct bytes i = hex(SPI_I), r = hex(SPI_R);

    ni = hex(NI);
    nr = hex(NR);
    dkm = hex(DKM);
    gcm = suite_find_aead(&suite_default, 20, 256, 0);
    sha1 = suite_find_prf(&suite_default, 2);
    in = (struct ike_key_inputs){.nonce_i = span_of(ni.data, ni.len),
                                 .nonce_r = span_of(nr.data, nr.len),
                                 .spi_i = get_be64(i.data),
                                 .spi_r = get_be64(r.data),
                                 .role = IKE_INITIATOR};
}

static void same(const struct secret *s, const uint8_t *want, size_t len)
{
    cr_assert(span_equal(secret_span(s), span_of(want, len)));
}

Test(published, skeyseed_and_keys, .init = setup)
{
    struct secret shared = secret_hex(G_IR);
    struct bytes seed = hex(SPI_I SPI_R), skeyseed = hex(SKEYSEED);
    const struct span parts[] = {in.nonce_i, in.nonce_r, span_of(seed.data, seed.len)};
    struct ike_keys k;
    uint8_t out[132];

    cr_assert_eq(dkm.len, sizeof out);
    cr_assert(ike_prf_plus(sha1, span_of(skeyseed.data, skeyseed.len), parts, 3, out, 132));
    cr_assert_eq(memcmp(out, dkm.data, 132), 0);
    cr_assert(ike_keys_derive(sha1, gcm, secret_span(&shared), &in, &k));
    same(&k.sk_d, dkm.data, 20);
    same(&k.sk_e_out, dkm.data + 20, 36);
    same(&k.sk_e_in, dkm.data + 56, 36);
    same(&k.sk_p_out, dkm.data + 92, 20);
    same(&k.sk_p_in, dkm.data + 112, 20);
}

Test(published, child_sa, .init = setup)
{
    struct secret shared = secret_hex(G_IR_NEW), sk_d;
    struct ike_child_keys k;
    struct bytes plain = hex(DKM_CHILD), pfs = hex(DKM_CHILD_DH);

    secret_set(&sk_d, dkm.data, 20);
    cr_assert(ike_child_keys_derive(sha1, &sk_d, gcm, span_of(NULL, 0), &in, &k));
    same(&k.key_out, plain.data, 36);
    same(&k.key_in, plain.data + 36, 36);
    cr_assert(ike_child_keys_derive(sha1, &sk_d, gcm, secret_span(&shared), &in, &k));
    same(&k.key_out, pfs.data, 36);
    same(&k.key_in, pfs.data + 36, 36);
}

Test(published, rekeyed_ike_sa, .init = setup)
{
    struct secret shared = secret_hex(G_IR_NEW), sk_d;
    struct bytes skeyseed = hex(SKEYSEED_REKEY), seed = hex(SPI_I SPI_R);
    const struct span parts[] = {in.nonce_i, in.nonce_r, span_of(seed.data, seed.len)};
    struct ike_keys k;
    uint8_t out[132];

    secret_set(&sk_d, dkm.data, 20);
    cr_assert(ike_keys_rekey(sha1, &sk_d, sha1, gcm, secret_span(&shared), &in, &k));
    cr_assert(ike_prf_plus(sha1, span_of(skeyseed.data, skeyseed.len), parts, 3, out, 132));
    same(&k.sk_d, out, 20);
    same(&k.sk_e_out, out + 20, 36);
    same(&k.sk_p_in, out + 112, 20);
}

static uint64_t number(const struct vector_case *c, const char *name)
{
    return get_be64(vector_get(c, name).data);
}

Test(published, sha256_with_the_longest_nonces, .init = setup)
{
    static struct vector_case c;
    const struct suite_prf *prf = suite_find_prf(&suite_default, 5);
    struct ike_key_inputs with;
    struct ike_child_keys k;
    struct ike_keys first, next;
    struct secret gir_new;
    struct span keymat, spis[3], plain, pfs, rekey;
    uint8_t out[168], both[16];

    cr_assert_eq(vectors_read("ikev2_kdf.txt", &c, 1), 1);
    keymat = vector_get(&c, "dkm");
    plain = vector_get(&c, "child");
    pfs = vector_get(&c, "childdh");
    rekey = vector_get(&c, "rekey");
    cr_assert(keymat.len == sizeof out && plain.len == 72 && pfs.len == 72 && rekey.len == 32);
    with = (struct ike_key_inputs){.nonce_i = vector_get(&c, "ni"),
                                   .nonce_r = vector_get(&c, "nr"),
                                   .spi_i = number(&c, "spii"),
                                   .spi_r = number(&c, "spir"),
                                   .role = IKE_INITIATOR};
    cr_assert_eq(with.nonce_i.len, IKE_NONCE_MAX_BYTES);
    cr_assert(ike_keys_derive(prf, gcm, vector_get(&c, "gir"), &with, &first));
    same(&first.sk_d, keymat.data, 32);
    same(&first.sk_e_out, keymat.data + 32, 36);
    same(&first.sk_e_in, keymat.data + 68, 36);
    same(&first.sk_p_out, keymat.data + 104, 32);
    same(&first.sk_p_in, keymat.data + 136, 32);
    cr_assert(ike_child_keys_derive(prf, &first.sk_d, gcm, span_of(NULL, 0), &with, &k));
    same(&k.key_out, plain.data, 36);
    same(&k.key_in, plain.data + 36, 36);
    secret_set(&gir_new, vector_get(&c, "girnew").data, vector_get(&c, "girnew").len);
    cr_assert(ike_child_keys_derive(prf, &first.sk_d, gcm, secret_span(&gir_new), &with, &k));
    same(&k.key_out, pfs.data, 36);
    same(&k.key_in, pfs.data + 36, 36);
    cr_assert(ike_keys_rekey(prf, &first.sk_d, prf, gcm, secret_span(&gir_new), &with, &next));
    memcpy(both, vector_get(&c, "spii").data, 8);
    memcpy(both + 8, vector_get(&c, "spir").data, 8);
    spis[0] = with.nonce_i;
    spis[1] = with.nonce_r;
    spis[2] = span_of(both, sizeof both);
    cr_assert(ike_prf_plus(prf, rekey, spis, 3, out, sizeof out));
    same(&next.sk_d, out, 32);
    same(&next.sk_p_in, out + 136, 32);
}
