/* MODP groups 14, 15, 16 (RFC 3526), and 2 (RFC 7296 B.2) for legacy peers. Generator 2; public and
 * shared values are padded with zeros in front to the prime's length (RFC 7296 2.14, 3.4).
 *
 * The private value has about twice the bits of the group's strength (RFC 3526 8): longer ones cost
 * time and gain nothing.
 */
#include "crypto/openssl.h"

enum { EXPONENT_MAX_BYTES = 60 };

static const BIGNUM *prime_of(const struct suite_ke *row)
{
    const struct crypto_fetched *f = crypto_fetched();

    return f == NULL ? NULL : f->modp[row - crypto_modps];
}

/* base ^ private mod p as row->public_bytes bytes. */
static bool power(const struct suite_ke *row, const BIGNUM *base, const struct span private_bytes,
                  uint8_t *out)
{
    const BIGNUM *p = prime_of(row);
    BN_CTX *ctx = BN_CTX_secure_new();
    BIGNUM *exponent = BN_secure_new(), *result = BN_secure_new();
    bool ok = p != NULL && ctx != NULL && exponent != NULL && result != NULL &&
              BN_bin2bn(private_bytes.data, (int)private_bytes.len, exponent) != NULL;

    if (ok)
        BN_set_flags(exponent, BN_FLG_CONSTTIME);
    /* An exponent of 0 or 1 gives a value that the peer must refuse; 2^-320 likely. */
    ok = ok && BN_num_bits(exponent) > 1 &&
         BN_mod_exp_mont_consttime(result, base, exponent, p, ctx, NULL) == 1 &&
         BN_bn2binpad(result, out, row->public_bytes) == row->public_bytes;
    BN_clear_free(result);
    BN_clear_free(exponent);
    BN_CTX_free(ctx);
    return ok;
}

static bool generate(const struct suite_ke *row, const uint8_t *entropy, struct secret *private_key,
                     uint8_t *public_value)
{
    BIGNUM *two = BN_new();
    bool ok = two != NULL && BN_set_word(two, 2) == 1 &&
              power(row, two, span_of(entropy, row->entropy_bytes), public_value);

    if (ok)
        secret_set(private_key, entropy, row->entropy_bytes);
    BN_free(two);
    return ok;
}

/* RFC 6989 2.1: 1 < value < p - 1. The primes are safe, so that leaves no small subgroup. */
static bool in_range(const struct suite_ke *row, const BIGNUM *value)
{
    BIGNUM *most = BN_dup(prime_of(row)); /* p - 1 */
    bool ok = most != NULL && BN_sub_word(most, 1) == 1 && !BN_is_zero(value) &&
              !BN_is_one(value) && BN_cmp(value, most) < 0;

    BN_free(most);
    return ok;
}

static bool derive(const struct suite_ke *row, const struct secret *private_key,
                   struct span peer_public, struct secret_long *shared)
{
    uint8_t out[SUITE_KE_MAX_BYTES];
    BIGNUM *peer;
    bool ok;

    if (prime_of(row) == NULL || private_key->len != row->secret_bytes ||
        peer_public.len != row->public_bytes)
        return false;
    peer = BN_bin2bn(peer_public.data, (int)peer_public.len, NULL);
    ok = peer != NULL && in_range(row, peer) && power(row, peer, secret_span(private_key), out);
    if (ok)
        secret_long_set(shared, out, row->shared_bytes);
    secret_wipe_bytes(out, sizeof out);
    BN_free(peer);
    return ok;
}

#define MODP(id, bytes, exponent, text)                                                            \
    {                                                                                              \
        .transform_id = (id), .public_bytes = (bytes), .secret_bytes = (exponent),                 \
        .entropy_bytes = (exponent), .shared_bytes = (bytes), .name = (text),                      \
        .generate = generate, .derive = derive                                                     \
    }

const struct suite_ke crypto_modps[CRYPTO_MODP_ROWS] = {
    MODP(14, 256, 40, "MODP_2048"),
    MODP(15, 384, 52, "MODP_3072"),
    MODP(16, 512, EXPONENT_MAX_BYTES, "MODP_4096"),
    MODP(2, 128, 40, "MODP_1024"),
};
HF_STATIC_ASSERT((int)EXPONENT_MAX_BYTES <= (int)SUITE_KE_ENTROPY_MAX_BYTES &&
                 (int)EXPONENT_MAX_BYTES <= (int)SECRET_MAX_BYTES);
