#include "crypto/suite.h"

const struct suite_aead *suite_find_aead(const struct suite_table *t, uint16_t transform_id,
                                         uint16_t key_bits)
{
    for (size_t i = 0; i < t->n_aeads; i++)
        if (t->aeads[i]->transform_id == transform_id && t->aeads[i]->key_bits == key_bits)
            return t->aeads[i];
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
