/* CURVE25519 (RFC 7748) as IKEv2 uses it (RFC 8031). */
#include "crypto/openssl.h"

enum { X25519_BYTES = 32 };

static EVP_PKEY *private_of(const uint8_t *bytes)
{
    return EVP_PKEY_new_raw_private_key_ex(NULL, "X25519", NULL, bytes, X25519_BYTES);
}

/* The private value is the entropy as it is: the library clamps it where it is used (RFC 7748 5).
 */
static bool generate(const struct suite_ke *row, const uint8_t *entropy, struct secret *private_key,
                     uint8_t *public_value)
{
    EVP_PKEY *key = private_of(entropy);
    uint8_t public_bytes[X25519_BYTES];
    size_t n = sizeof public_bytes;
    bool ok =
        key != NULL && EVP_PKEY_get_raw_public_key(key, public_bytes, &n) == 1 && n == X25519_BYTES;

    (void)row;
    if (ok) {
        secret_set(private_key, entropy, X25519_BYTES);
        memcpy(public_value, public_bytes, X25519_BYTES);
    }
    EVP_PKEY_free(key);
    return ok;
}

/* All-zero output: the peer sent a point of small order. RFC 8031 2.4 with RFC 7748 6.1: refuse it.
 * In constant time. */
static bool all_zero(const uint8_t *bytes, size_t n)
{
    uint8_t any = 0;

    for (size_t i = 0; i < n; i++)
        any = (uint8_t)(any | bytes[i]);
    return any == 0;
}

static bool derive(const struct suite_ke *row, const struct secret *private_key,
                   struct span peer_public, struct secret_long *shared)
{
    EVP_PKEY *own = NULL, *peer = NULL;
    EVP_PKEY_CTX *ctx = NULL;
    uint8_t out[X25519_BYTES];
    size_t n = sizeof out;
    bool ok = false;

    (void)row;
    if (private_key->len != X25519_BYTES || peer_public.len != X25519_BYTES)
        return false;
    own = private_of(private_key->bytes);
    peer = EVP_PKEY_new_raw_public_key_ex(NULL, "X25519", NULL, peer_public.data, X25519_BYTES);
    if (own == NULL || peer == NULL)
        goto done;
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    if (ctx == NULL || EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_derive_set_peer(ctx, peer) != 1)
        goto done;
    if (EVP_PKEY_derive(ctx, out, &n) != 1 || n != X25519_BYTES || all_zero(out, n))
        goto done;
    secret_long_set(shared, out, n);
    ok = true;
done:
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(peer);
    EVP_PKEY_free(own);
    secret_wipe_bytes(out, sizeof out);
    return ok;
}

const struct suite_ke crypto_x25519 = {
    .transform_id = 31,
    .public_bytes = X25519_BYTES,
    .secret_bytes = X25519_BYTES,
    .entropy_bytes = X25519_BYTES,
    .shared_bytes = X25519_BYTES,
    .name = "CURVE25519",
    .generate = generate,
    .derive = derive,
};
