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
