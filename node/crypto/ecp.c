/* ECP groups 19, 20, 21 (RFC 5903). The public value is x | y, the shared secret x alone.
 *
 * The private value comes from as many random bits as the order has and 64 more, reduced modulo
 * order - 1, plus 1 (FIPS 186-5 A.2.1): deterministic in its entropy, and no bias that matters.
 */
#include "base/bytes.h"
#include "crypto/openssl.h"

enum { POINT_MAX_BYTES = 1 + 2 * 66, UNCOMPRESSED = 4 };

static const EC_GROUP *group_of(const struct suite_ke *row)
{
    const struct crypto_fetched *f = crypto_fetched();

    return f == NULL ? NULL : f->ecp[row - crypto_ecps];
}

static bool private_of(const struct suite_ke *row, const EC_GROUP *group, const uint8_t *entropy,
                       BIGNUM *private, BN_CTX *ctx)
{
    BIGNUM *wide = BN_bin2bn(entropy, row->entropy_bytes, NULL);
    BIGNUM *most = BN_dup(EC_GROUP_get0_order(group));
    bool ok;

    if (wide != NULL)
        BN_set_flags(wide, BN_FLG_CONSTTIME);
    ok = wide != NULL && most != NULL && BN_sub_word(most, 1) == 1 &&
         BN_mod(private, wide, most, ctx) == 1 && BN_add_word(private, 1) == 1;
    BN_clear_free(wide);
    BN_free(most);
    return ok;
}

static bool generate(const struct suite_ke *row, const uint8_t *entropy, struct secret *private_key,
                     uint8_t *public_value)
{
    const EC_GROUP *group = group_of(row);
    BN_CTX *ctx = BN_CTX_secure_new();
    BIGNUM *private = BN_secure_new();
    EC_POINT *point = group != NULL ? EC_POINT_new(group) : NULL;
    uint8_t bytes[POINT_MAX_BYTES], secret_bytes[SECRET_MAX_BYTES];
    bool ok = false;

    if (ctx == NULL || private == NULL || point == NULL ||
        !private_of(row, group, entropy, private, ctx) ||
        EC_POINT_mul(group, point, private, NULL, NULL, ctx) != 1 ||
        EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, bytes, sizeof bytes, ctx) !=
            (size_t)row->public_bytes + 1 ||
        BN_bn2binpad(private, secret_bytes, row->secret_bytes) != row->secret_bytes)
        goto out;
    secret_set(private_key, secret_bytes, row->secret_bytes);
    memcpy(public_value, bytes + 1, row->public_bytes);
    ok = true;
out:
    secret_wipe_bytes(secret_bytes, sizeof secret_bytes);
    EC_POINT_free(point);
    BN_clear_free(private);
    BN_CTX_free(ctx);
    return ok;
}

/* The peer's point. RFC 6989 2.3: it MUST be on the curve, coordinates below p; with cofactor 1
 * nothing else of small order can be written as x | y. */
static EC_POINT *peer_point(const struct suite_ke *row, const EC_GROUP *group, struct span value,
                            BN_CTX *ctx)
{
    EC_POINT *point = EC_POINT_new(group);
    uint8_t bytes[POINT_MAX_BYTES];

    bytes[0] = UNCOMPRESSED;
    memcpy(bytes + 1, value.data, row->public_bytes);
    if (point == NULL ||
        EC_POINT_oct2point(group, point, bytes, (size_t)row->public_bytes + 1, ctx) != 1 ||
        EC_POINT_is_on_curve(group, point, ctx) != 1 ||
        EC_POINT_is_at_infinity(group, point) == 1) {
        EC_POINT_free(point);
        return NULL;
    }
    return point;
}

static bool derive(const struct suite_ke *row, const struct secret *private_key,
                   struct span peer_public, struct secret_long *shared)
{
    const EC_GROUP *group = group_of(row);
    BN_CTX *ctx = BN_CTX_secure_new();
    BIGNUM *private = NULL, *x = BN_secure_new();
    EC_POINT *peer = NULL, *product = NULL;
    uint8_t out[SECRET_MAX_BYTES];
    bool ok = false;

    if (group == NULL || ctx == NULL || x == NULL || private_key->len != row->secret_bytes ||
        peer_public.len != row->public_bytes)
        goto out;
    private = BN_secure_new();
    product = EC_POINT_new(group);
    peer = peer_point(row, group, peer_public, ctx);
    if (private == NULL || product == NULL || peer == NULL ||
        BN_bin2bn(private_key->bytes, row->secret_bytes, private) == NULL ||
        EC_POINT_mul(group, product, NULL, peer, private, ctx) != 1 ||
        EC_POINT_is_at_infinity(group, product) == 1 ||
        EC_POINT_get_affine_coordinates(group, product, x, NULL, ctx) != 1 ||
        BN_bn2binpad(x, out, row->shared_bytes) != row->shared_bytes)
        goto out;
    secret_long_set(shared, out, row->shared_bytes);
    ok = true;
out:
    secret_wipe_bytes(out, sizeof out);
    EC_POINT_clear_free(product);
    EC_POINT_free(peer);
    BN_clear_free(x);
    BN_clear_free(private);
    BN_CTX_free(ctx);
    return ok;
}

#define ECP(id, bytes, text)                                                                       \
    {                                                                                              \
        .transform_id = (id), .public_bytes = 2 * (bytes), .secret_bytes = (bytes),                \
        .entropy_bytes = (bytes) + 8, .shared_bytes = (bytes), .name = (text),                     \
        .generate = generate, .derive = derive                                                     \
    }

const struct suite_ke crypto_ecps[CRYPTO_ECP_ROWS] = {
    ECP(19, 32, "ECP_256"),
    ECP(20, 48, "ECP_384"),
    ECP(21, 66, "ECP_521"),
};
HF_STATIC_ASSERT(66 + 8 <= SUITE_KE_ENTROPY_MAX_BYTES && 66 <= SECRET_MAX_BYTES);
