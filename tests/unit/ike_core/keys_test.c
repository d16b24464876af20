/* Key derivation against answers that another program computed (make_vectors.py). */
#include <criterion/criterion.h>

#include "crypto/tables.h"
#include "ike/keys.h"

#include "vectors.h"

#define SAME(secret, want)                                                                         \
    cr_assert(span_equal(secret_span(&(secret)), span_of(want, sizeof(want))), #secret " !="       \
                                                                                       " " #want)

static const struct suite_prf *prf(void)
{
    return suite_find_prf(&suite_default, 5);
}

static const struct suite_aead *gcm(uint16_t bits)
{
    return suite_find_aead(&suite_default, 20, bits, 0);
}

static struct secret secret_of(const uint8_t *bytes, size_t len)
{
    struct secret s;

    secret_set(&s, bytes, len);
    return s;
}

static struct ike_key_inputs inputs(enum ike_role role)
{
    return (struct ike_key_inputs){.nonce_i = span_of(NI, sizeof NI),
                                   .nonce_r = span_of(NR, sizeof NR),
                                   .spi_i = get_be64(SPI_I),
                                   .spi_r = get_be64(SPI_R),
                                   .role = role};
}

Test(keys, of_a_new_ike_sa)
{
    struct secret shared = secret_of(SHARED, sizeof SHARED);
    struct ike_key_inputs in = inputs(IKE_INITIATOR);
    struct ike_keys k;

    cr_assert(ike_keys_derive(prf(), gcm(256), secret_span(&shared), &in, &k));
    SAME(k.sk_d, SK_D_256);
    SAME(k.sk_e_out, SK_EI_256);
    SAME(k.sk_e_in, SK_ER_256);
    SAME(k.sk_p_out, SK_PI_256);
    SAME(k.sk_p_in, SK_PR_256);
    in.role = IKE_RESPONDER;
    cr_assert(ike_keys_derive(prf(), gcm(256), secret_span(&shared), &in, &k));
    SAME(k.sk_e_in, SK_EI_256);
    SAME(k.sk_e_out, SK_ER_256);
    SAME(k.sk_p_in, SK_PI_256);
    SAME(k.sk_p_out, SK_PR_256);
    cr_assert(ike_keys_derive(prf(), gcm(128), secret_span(&shared), &in, &k));
    SAME(k.sk_d, SK_D_128);
    SAME(k.sk_e_in, SK_EI_128);
    SAME(k.sk_e_out, SK_ER_128);
    SAME(k.sk_p_in, SK_PI_128);
    SAME(k.sk_p_out, SK_PR_128);
}

Test(keys, of_a_rekeyed_ike_sa)
{
    struct secret shared = secret_of(SHARED_NEW, sizeof SHARED_NEW);
    struct secret sk_d = secret_of(SK_D_256, sizeof SK_D_256);
    struct ike_key_inputs in = inputs(IKE_INITIATOR);
    struct ike_keys k;

    in.spi_i = get_be64(SPI_R); /* as in the script: other SPIs than before */
    in.spi_r = get_be64(SPI_I);
    cr_assert(ike_keys_rekey(prf(), &sk_d, prf(), gcm(256), secret_span(&shared), &in, &k));
    SAME(k.sk_d, REKEYED_D);
    SAME(k.sk_e_out, REKEYED_EI);
    SAME(k.sk_e_in, REKEYED_ER);
    SAME(k.sk_p_out, REKEYED_PI);
    SAME(k.sk_p_in, REKEYED_PR);
}

Test(keys, of_child_sas)
{
    struct secret shared = secret_of(SHARED_NEW, sizeof SHARED_NEW);
    struct secret sk_d = secret_of(SK_D_256, sizeof SK_D_256);
    struct ike_child_keys k;
    struct ike_key_inputs in = inputs(IKE_INITIATOR);

    cr_assert(ike_child_keys_derive(prf(), &sk_d, gcm(256), span_of(NULL, 0), &in, &k));
    SAME(k.key_out, CHILD_I2R);
    SAME(k.key_in, CHILD_R2I);
    cr_assert(ike_child_keys_derive(prf(), &sk_d, gcm(256), secret_span(&shared), &in, &k));
    SAME(k.key_out, CHILD_PFS_I2R);
    SAME(k.key_in, CHILD_PFS_R2I);
    in.role = IKE_RESPONDER;
    cr_assert(ike_child_keys_derive(prf(), &sk_d, gcm(128), span_of(NULL, 0), &in, &k));
    SAME(k.key_in, CHILD_128_I2R);
    SAME(k.key_out, CHILD_128_R2I);
}

Test(keys, auth_value_of_a_shared_key)
{
    struct secret psk = secret_of(PSK, sizeof PSK), sk_p = secret_of(SK_PI_256, sizeof SK_PI_256);
    uint8_t out[SUITE_PRF_MAX_BYTES];

    cr_assert(ike_auth_psk_value(prf(), &psk, span_of(INIT_MESSAGE, sizeof INIT_MESSAGE),
                                 span_of(NR, sizeof NR), &sk_p, span_of(ID_BODY, sizeof ID_BODY),
                                 out));
    cr_assert_eq(memcmp(out, AUTH, sizeof AUTH), 0);
}

Test(keys, prf_plus_up_to_its_limit)
{
    static uint8_t out[255 * 32], shorter[255 * 32];
    const struct span seed = span_of(NI, sizeof NI);

    cr_assert(ike_prf_plus(prf(), span_of(NR, sizeof NR), &seed, 1, out, sizeof out));
    for (size_t n = 1; n < 200; n += 13) {
        memset(shorter, 0xee, sizeof shorter);
        cr_assert(ike_prf_plus(prf(), span_of(NR, sizeof NR), &seed, 1, shorter, n));
        cr_assert_eq(memcmp(out, shorter, n), 0);
        cr_assert_eq(shorter[n], 0xee, "writes exactly %zu", n);
    }
}
