#include "ike/keys.h"

enum { PRF_PLUS_MAX_BLOCKS = 255, KEYMAT_MAX_BYTES = 7 * SECRET_MAX_BYTES, MAX_SEED_PARTS = 4 };

bool ike_prf_plus(const struct suite_prf *prf, struct span key, const struct span *seed,
                  size_t n_seed, uint8_t *out, size_t len)
{
    uint8_t block[SUITE_PRF_MAX_BYTES];
    struct span parts[MAX_SEED_PARTS + 2];
    size_t done = 0;
    bool ok = true;

    HF_ASSERT(n_seed <= MAX_SEED_PARTS && len <= (size_t)PRF_PLUS_MAX_BLOCKS * prf->out_bytes);
    HF_ASSERT(prf->out_bytes <= sizeof block);
    for (unsigned i = 1; done < len; i++) {
        const uint8_t counter = (uint8_t)i;
        size_t n = 0, take;

        if (i > 1)
            parts[n++] = span_of(block, prf->out_bytes);
        for (size_t j = 0; j < n_seed; j++)
            parts[n++] = seed[j];
        parts[n++] = span_of(&counter, 1);
        ok = prf->compute(key, parts, n, block);
        if (!ok)
            break;
        take = len - done < prf->out_bytes ? len - done : prf->out_bytes;
        memcpy(out + done, block, take);
        done += take;
    }
    secret_wipe_bytes(block, sizeof block);
    if (!ok)
        secret_wipe_bytes(out, len);
    return ok;
}

/* Cuts `len` bytes of keymat into a secret and returns what follows. */
static const uint8_t *cut(const uint8_t *keymat, size_t len, struct secret *out)
{
    secret_set(out, keymat, len);
    return keymat + len;
}

/* SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr from SKEYSEED (RFC 7296 2.14). */
static bool expand(const struct suite_prf *prf, const struct suite_aead *aead,
                   const uint8_t *skeyseed, size_t skeyseed_len, const struct ike_key_inputs *in,
                   struct ike_keys *out)
{
    const size_t cipher = (size_t)aead->key_bytes + aead->salt_bytes, integ = aead->integ_bytes;
    const size_t total = 3 * (size_t)prf->key_bytes + 2 * (cipher + integ);
    const bool initiator = in->role == IKE_INITIATOR;
    uint8_t spis[16] = {0}, keymat[KEYMAT_MAX_BYTES];
    const struct span seed[] = {in->nonce_i, in->nonce_r, span_of(spis, sizeof spis)};
    const uint8_t *at = keymat;

    HF_ASSERT(total <= sizeof keymat && cipher <= SECRET_MAX_BYTES && integ <= SECRET_MAX_BYTES);
    put_be64(spis, in->spi_i);
    put_be64(spis + 8, in->spi_r);
    if (!ike_prf_plus(prf, span_of(skeyseed, skeyseed_len), seed, 3, keymat, total))
        return false;
    at = cut(at, prf->key_bytes, &out->sk_d);
    at = cut(at, integ, initiator ? &out->sk_a_out : &out->sk_a_in);
    at = cut(at, integ, initiator ? &out->sk_a_in : &out->sk_a_out);
    at = cut(at, cipher, initiator ? &out->sk_e_out : &out->sk_e_in);
    at = cut(at, cipher, initiator ? &out->sk_e_in : &out->sk_e_out);
    at = cut(at, prf->key_bytes, initiator ? &out->sk_p_out : &out->sk_p_in);
    (void)cut(at, prf->key_bytes, initiator ? &out->sk_p_in : &out->sk_p_out);
    secret_wipe_bytes(keymat, sizeof keymat);
    return true;
}

bool ike_keys_fit(const struct suite_prf *prf, const struct suite_aead *aead,
                  const struct ike_keys *keys)
{
    const size_t cipher = (size_t)aead->key_bytes + aead->salt_bytes, integ = aead->integ_bytes;

    return keys->sk_d.len == prf->key_bytes && keys->sk_p_in.len == prf->key_bytes &&
           keys->sk_p_out.len == prf->key_bytes && keys->sk_a_in.len == integ &&
           keys->sk_a_out.len == integ && keys->sk_e_in.len == cipher &&
           keys->sk_e_out.len == cipher;
}

bool ike_keys_derive(const struct suite_prf *prf, const struct suite_aead *aead, struct span shared,
                     const struct ike_key_inputs *in, struct ike_keys *out)
{
    uint8_t key[2 * IKE_NONCE_MAX_BYTES], skeyseed[SUITE_PRF_MAX_BYTES];
    size_t key_len = in->nonce_i.len + in->nonce_r.len;
    bool ok;

    /* SKEYSEED = prf(Ni | Nr, g^ir): whole nonces, our PRFs take keys of any length (RFC
     * 7296 2.14). */
    HF_ASSERT(key_len <= sizeof key);
    memcpy(key, in->nonce_i.data, in->nonce_i.len);
    memcpy(key + in->nonce_i.len, in->nonce_r.data, in->nonce_r.len);
    ok = prf->compute(span_of(key, key_len), &shared, 1, skeyseed) &&
         expand(prf, aead, skeyseed, prf->out_bytes, in, out);
    secret_wipe_bytes(skeyseed, sizeof skeyseed);
    return ok;
}

bool ike_keys_rekey(const struct suite_prf *old_prf, const struct secret *old_sk_d,
                    const struct suite_prf *prf, const struct suite_aead *aead, struct span shared,
                    const struct ike_key_inputs *in, struct ike_keys *out)
{
    uint8_t skeyseed[SUITE_PRF_MAX_BYTES];
    const struct span parts[] = {shared, in->nonce_i, in->nonce_r};
    bool ok = old_prf->compute(secret_span(old_sk_d), parts, 3, skeyseed) &&
              expand(prf, aead, skeyseed, old_prf->out_bytes, in, out);

    secret_wipe_bytes(skeyseed, sizeof skeyseed);
    return ok;
}

bool ike_child_keys_derive(const struct suite_prf *prf, const struct secret *sk_d,
                           const struct suite_aead *aead, struct span shared,
                           const struct ike_key_inputs *in, struct ike_child_keys *out)
{
    const size_t cipher = (size_t)aead->key_bytes + aead->salt_bytes, integ = aead->integ_bytes;
    const bool we_began = in->role == IKE_INITIATOR;
    uint8_t keymat[4 * SECRET_MAX_BYTES];
    const uint8_t *at = keymat;
    struct span seed[3];
    size_t n = 0;

    HF_ASSERT(cipher <= SECRET_MAX_BYTES && integ <= SECRET_MAX_BYTES);
    if (shared.len > 0)
        seed[n++] = shared;
    seed[n++] = in->nonce_i;
    seed[n++] = in->nonce_r;
    if (!ike_prf_plus(prf, secret_span(sk_d), seed, n, keymat, 2 * (cipher + integ)))
        return false;
    /* First the keys from the exchange's initiator to its responder; of each way the encryption key
     * first, then the integrity key (RFC 7296 2.17). */
    at = cut(at, cipher, we_began ? &out->key_out : &out->key_in);
    at = cut(at, integ, we_began ? &out->integ_out : &out->integ_in);
    at = cut(at, cipher, we_began ? &out->key_in : &out->key_out);
    (void)cut(at, integ, we_began ? &out->integ_in : &out->integ_out);
    secret_wipe_bytes(keymat, sizeof keymat);
    return true;
}

bool ike_child_take_suite(const struct ike_policy *policy, const struct ike_sa *sa,
                          const struct ike_proposal_row *row, struct span shared,
                          const struct ike_key_inputs *in, struct ike_child *child)
{
    const struct suite_prf *prf = suite_find_prf(policy->suites, sa->prf_id);
    const struct suite_aead *aead =
        suite_find_aead(policy->suites, row->encr_id, row->encr_bits, row->integ_id);
    struct ike_child_keys keys;

    if (prf == NULL || aead == NULL ||
        !ike_child_keys_derive(prf, &sa->keys.sk_d, aead, shared, in, &keys))
        return false;
    child->encr_id = row->encr_id;
    child->encr_bits = row->encr_bits;
    child->integ_id = row->integ_id;
    child->esn = row->esn;
    child->ke_id = row->ke_id;
    child->key_in = keys.key_in;
    child->key_out = keys.key_out;
    child->integ_in = keys.integ_in;
    child->integ_out = keys.integ_out;
    secret_wipe_bytes(&keys, sizeof keys);
    return true;
}

bool ike_auth_psk_value(const struct suite_prf *prf, const struct secret *psk, struct span message,
                        struct span nonce, const struct secret *sk_p, struct span id_body,
                        uint8_t out[SUITE_PRF_MAX_BYTES])
{
    static const char pad[] = "Key Pad for IKEv2"; /* 17 bytes, no terminator (RFC 7296 2.15) */
    const struct span pad_part = span_of(pad, sizeof pad - 1);
    uint8_t key[SUITE_PRF_MAX_BYTES], maced_id[SUITE_PRF_MAX_BYTES];
    const struct span parts[] = {message, nonce, span_of(maced_id, prf->out_bytes)};
    bool ok = prf->compute(secret_span(sk_p), &id_body, 1, maced_id) &&
              prf->compute(secret_span(psk), &pad_part, 1, key) &&
              prf->compute(span_of(key, prf->out_bytes), parts, 3, out);

    secret_wipe_bytes(key, sizeof key);
    return ok;
}
