#include "crypto/suite.h"

const struct suite_aead *suite_find_aead(const struct suite_table *t, uint16_t transform_id,
                                         uint16_t key_bits, uint16_t integ_id)
{
    for (size_t i = 0; i < t->n_aeads; i++) {
        const struct suite_aead *a = t->aeads[i];

        if (a->transform_id == transform_id && a->key_bits == key_bits && a->integ_id == integ_id)
            return a;
    }
    return NULL;
}

const struct suite_prf *suite_find_prf(const struct suite_table *t, uint16_t transform_id)
{
    for (size_t i = 0; i < t->n_prfs; i++)
        if (t->prfs[i]->transform_id == transform_id)
            return t->prfs[i];
    return NULL;
}

const struct suite_ke *suite_find_ke(const struct suite_table *t, uint16_t transform_id)
{
    for (size_t i = 0; i < t->n_kes; i++)
        if (t->kes[i]->transform_id == transform_id)
            return t->kes[i];
    return NULL;
}

const struct suite_signature *suite_find_signature(const struct suite_table *t, uint8_t scheme,
                                                   uint8_t hash)
{
    for (size_t i = 0; t->auth != NULL && i < t->auth->n_rows; i++)
        if (t->auth->rows[i].scheme == scheme && t->auth->rows[i].hash == hash)
            return &t->auth->rows[i];
    return NULL;
}

const char *suite_verdict_name(enum suite_verdict v)
{
    static const char *const names[SUITE_VERDICTS] = {
        [SUITE_GOOD] = "good",
        [SUITE_NO_CERTIFICATE] = "no-certificate",
        [SUITE_BAD_CERTIFICATE] = "bad-certificate",
        [SUITE_UNTRUSTED] = "untrusted",
        [SUITE_EXPIRED] = "expired",
        [SUITE_NOT_YET_VALID] = "not-valid-yet",
        [SUITE_REVOKED] = "revoked",
        [SUITE_BAD_CRL] = "bad-revocation-list",
        [SUITE_NAME_CONSTRAINT] = "name-constraint",
        [SUITE_WRONG_USAGE] = "wrong-usage",
        [SUITE_WRONG_NAME] = "wrong-name",
        [SUITE_NOT_ALLOWED] = "not-allowed",
        [SUITE_WEAK_KEY] = "weak-key",
        [SUITE_WRONG_KEY] = "wrong-key",
        [SUITE_BAD_SIGNATURE] = "bad-signature",
    };

    return (size_t)v < SUITE_VERDICTS ? names[v] : "unknown";
}
