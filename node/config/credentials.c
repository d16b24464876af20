#include "config/credentials.h"

#include <stdlib.h>

HF_STATIC_ASSERT((int)IKE_MAX_CHAIN >= (int)CERT_MAX_CHAIN);
HF_STATIC_ASSERT((int)IKE_MAX_NAMES >= (int)CERT_MAX_NAMES);
HF_STATIC_ASSERT((int)IKE_MAX_CAS >= (int)CERT_MAX_CAS);
HF_STATIC_ASSERT((int)IKE_MAX_ID_BYTES >= (int)CERT_MAX_NAME);
HF_STATIC_ASSERT((int)IKE_CA_HASH_BYTES == (int)CERT_HASH_BYTES);

struct credentials {
    struct crypto_own *own[IKE_MAX_OWN];
    size_t n_own;
    struct crypto_trust *trust;
    struct ike_credentials view;
};

struct credentials *credentials_new(void)
{
    struct credentials *c = calloc(1, sizeof *c);

    HF_ASSERT(c != NULL);
    return c;
}

void credentials_free(struct credentials *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < c->n_own; i++)
        crypto_own_free(c->own[i]);
    crypto_trust_free(c->trust);
    free(c);
}

static void copy_name(struct ike_identity *to, const struct cert_name *from)
{
    memset(to, 0, sizeof *to);
    to->type = from->type;
    to->len = from->len;
    memcpy(to->bytes, from->bytes, from->len);
}

bool credentials_has_name(const struct crypto_own *own, const struct ike_identity *identity)
{
    const struct cert_name *names;
    size_t n = crypto_own_names(own, &names);

    for (size_t i = 0; i < n; i++)
        if (names[i].type == identity->type && names[i].len == identity->len &&
            strncasecmp((const char *)names[i].bytes, (const char *)identity->bytes,
                        identity->len) == 0)
            return true;
    return false;
}

void credentials_add_own(struct credentials *c, struct crypto_own *own,
                         const struct ike_identity *identity, bool pss)
{
    struct ike_own_certificate *v = &c->view.own[c->n_own];
    const struct cert_name *names;

    HF_ASSERT(c->n_own < IKE_MAX_OWN);
    c->own[c->n_own++] = own;
    c->view.n_own = (uint8_t)c->n_own;
    v->n_chain = (uint8_t)crypto_own_chain(own, v->chain);
    v->n_names = (uint8_t)crypto_own_names(own, &names);
    for (uint8_t i = 0; i < v->n_names; i++)
        copy_name(&v->names[i], &names[i]);
    if (identity != NULL)
        v->identity = *identity;
    else if (v->n_names > 0)
        v->identity = v->names[0];
    v->kind = crypto_own_kind(own);
    v->pss = pss;
    v->key = crypto_own_key(own);
}

void credentials_set_trust(struct credentials *c, struct crypto_trust *trust)
{
    HF_ASSERT(c->trust == NULL);
    c->trust = trust;
}

size_t credentials_largest_chain(const struct credentials *c)
{
    size_t most = 0;

    for (size_t i = 0; i < c->n_own; i++) {
        size_t n = 0;

        for (uint8_t k = 0; k < c->view.own[i].n_chain; k++)
            n += c->view.own[i].chain[k].len;
        most = n > most ? n : most;
    }
    return most;
}

struct ike_credentials *credentials_view(struct credentials *c)
{
    for (size_t i = 0; i < c->n_own; i++)
        c->view.own[i].n_cas = (uint8_t)crypto_own_cas(c->own[i], c->trust, c->view.own[i].cas);
    c->view.trust = c->trust;
    c->view.n_cas = c->trust != NULL ? (uint8_t)crypto_trust_cas(c->trust, c->view.cas) : 0;
    return &c->view;
}

const struct crypto_own *credentials_own(const struct credentials *c, size_t i)
{
    return i < c->n_own ? c->own[i] : NULL;
}

const struct crypto_trust *credentials_trust(const struct credentials *c)
{
    return c->trust;
}
