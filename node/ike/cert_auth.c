#include "ike/cert_auth.h"

#include "wire/signature.h"

HF_STATIC_ASSERT((int)WIRE_SCHEME_EDDSA < (int)SUITE_SCHEME_ECDSA_RAW);
HF_STATIC_ASSERT((int)WIRE_MAX_CERTS <= (int)SUITE_MAX_CERTS);

enum { ID_HEADER_BYTES = 4 };

bool ike_certs_spoken(const struct ike_policy *policy)
{
    return policy->credentials != NULL && policy->suites->auth != NULL;
}

void ike_cert_put_hashes(const struct ike_policy *policy, struct wire_builder *b)
{
    static const uint8_t hashes[] = {0, WIRE_HASH_SHA256, 0, WIRE_HASH_SHA384,
                                     0, WIRE_HASH_SHA512, 0, WIRE_HASH_IDENTITY};

    if (ike_certs_spoken(policy))
        wire_put_notify_plain(b, WIRE_N_SIGNATURE_HASH_ALGORITHMS, span_of(hashes, sizeof hashes));
}

void ike_cert_put_request(const struct ike_policy *policy, struct wire_builder *b)
{
    const struct ike_credentials *c = policy->credentials;

    if (ike_certs_spoken(policy) && c->n_cas > 0)
        wire_put_certreq(b, WIRE_CERT_X509, span_of(c->cas, c->n_cas * sizeof c->cas[0]));
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool ike_same_identity(const struct ike_identity *a, uint8_t type, struct span data)
{
    if (a->type != type || a->len != data.len)
        return false;
    for (size_t i = 0; i < data.len; i++)
        if (type == WIRE_ID_FQDN ? lower(a->bytes[i]) != lower(data.data[i])
                                 : a->bytes[i] != data.data[i])
            return false;
    return true;
}

/* ---- which certificate, and how ---- */

/* The hashes that the peer announced: they stand in its IKE_SA_INIT message, which is kept. */
static uint16_t announced(const struct ike_sa *sa)
{
    const struct ike_message *m =
        sa->role == IKE_INITIATOR ? &sa->handshake.init_response : &sa->handshake.init_request;
    const struct wire_notify *n;
    struct wire_header h;
    struct wire_body body;

    if (wire_header_decode(span_of(m->bytes, m->len), &h) != WIRE_OK ||
        wire_body_decode(h.next_payload,
                         span_of(m->bytes + WIRE_HEADER_BYTES, m->len - WIRE_HEADER_BYTES),
                         &body) != WIRE_OK)
        return 0;
    n = wire_body_notify(&body, WIRE_N_SIGNATURE_HASH_ALGORITHMS);
    return n != NULL ? wire_hashes_decode(n->data) : 0;
}

/* RFC 7427: the scheme follows from the key, the hash is the first that both can, not weaker than
 * the curve. */
static const struct suite_signature *signature_for(const struct ike_policy *policy,
                                                   const struct ike_own_certificate *own,
                                                   uint16_t hashes)
{
    uint8_t scheme = WIRE_SCHEME_ECDSA, least = WIRE_HASH_SHA256, most = WIRE_HASH_SHA512;

    switch (own->kind) {
    case SUITE_KEY_RSA:
        scheme = own->pss ? WIRE_SCHEME_RSA_PSS : WIRE_SCHEME_RSA_PKCS1;
        break;
    case SUITE_KEY_ED25519:
        scheme = WIRE_SCHEME_EDDSA;
        least = most = WIRE_HASH_IDENTITY;
        break;
    case SUITE_KEY_P384:
        least = WIRE_HASH_SHA384;
        break;
    case SUITE_KEY_P521:
        least = WIRE_HASH_SHA512;
        break;
    default:
        break;
    }
    for (uint8_t hash = least; hash <= most; hash++) {
        const struct suite_signature *how = suite_find_signature(policy->suites, scheme, hash);

        if (how != NULL && (hashes & 1u << hash) != 0)
            return how;
    }
    return NULL;
}

/* What a peer without RFC 7427 can verify. */
static bool fixed_for(const struct ike_policy *policy, const struct ike_own_certificate *own,
                      struct ike_signing *out)
{
    uint8_t scheme = SUITE_SCHEME_ECDSA_RAW, hash;

    switch (own->kind) {
    case SUITE_KEY_P256:
        out->method = WIRE_AUTH_ECDSA_256;
        hash = WIRE_HASH_SHA256;
        break;
    case SUITE_KEY_P384:
        out->method = WIRE_AUTH_ECDSA_384;
        hash = WIRE_HASH_SHA384;
        break;
    case SUITE_KEY_P521:
        out->method = WIRE_AUTH_ECDSA_521;
        hash = WIRE_HASH_SHA512;
        break;
    case SUITE_KEY_RSA:
        if (!policy->credentials->legacy_rsa_sha1)
            return false;
        out->method = WIRE_AUTH_RSA;
        scheme = WIRE_SCHEME_RSA_PKCS1;
        hash = WIRE_HASH_SHA1;
        break;
    default:
        return false;
    }
    out->how = suite_find_signature(policy->suites, scheme, hash);
    return out->how != NULL;
}

static bool has_name(const struct ike_own_certificate *own, const struct wire_id *asked)
{
    for (uint8_t i = 0; i < own->n_names; i++)
        if (ike_same_identity(&own->names[i], asked->type, asked->data))
            return true;
    return false;
}

/* Does a CERTREQ name a CA that this one leads to? */
static bool requested(const struct ike_own_certificate *own, const struct wire_body *requests)
{
    for (size_t i = 0; i < requests->n_certreqs; i++) {
        const struct wire_certreq *r = &requests->certreqs[i];

        if (r->encoding != WIRE_CERT_X509)
            continue;
        for (size_t at = 0; at < r->hashes.len; at += WIRE_CA_HASH_BYTES)
            for (uint8_t k = 0; k < own->n_cas; k++)
                if (memcmp(r->hashes.data + at, own->cas[k], WIRE_CA_HASH_BYTES) == 0)
                    return true;
    }
    return false;
}

bool ike_cert_choose(const struct ike_policy *policy, const struct ike_sa *sa,
                     const struct wire_id *asked, const struct wire_body *requests,
                     struct ike_signing *out)
{
    uint16_t hashes = announced(sa);
    unsigned best = 0;

    for (uint8_t i = 0; i < policy->credentials->n_own; i++) {
        const struct ike_own_certificate *own = &policy->credentials->own[i];
        struct ike_signing s = {.own = own, .method = WIRE_AUTH_SIGNATURE};
        unsigned score = 1; /* the name counts for more than the CA; the first of equals */

        s.how = signature_for(policy, own, hashes);
        if (s.how == NULL && !fixed_for(policy, own, &s))
            continue;
        score += asked != NULL && has_name(own, asked) ? 4 : 0;
        score += requests != NULL && requested(own, requests) ? 2 : 0;
        if (score > best) {
            best = score;
            *out = s;
        }
    }
    return best > 0;
}

const struct ike_identity *ike_cert_identity(const struct ike_signing *s,
                                             const struct wire_id *asked)
{
    for (uint8_t i = 0; asked != NULL && i < s->own->n_names; i++)
        if (ike_same_identity(&s->own->names[i], asked->type, asked->data))
            return &s->own->names[i];
    return &s->own->identity;
}

/* ---- AUTH values ---- */

/* RFC 7296 2.15: RealMessage | Nonce of the other | prf(SK_p, RestOfIDPayload). */
static bool signed_octets(const struct ike_policy *policy, const struct ike_sa *sa,
                          bool by_initiator, const struct secret *sk_p, struct span id_body,
                          uint8_t out[IKE_SIGNED_MAX_BYTES], uint16_t *len)
{
    const struct ike_handshake *h = &sa->handshake;
    const struct ike_message *m = by_initiator ? &h->init_request : &h->init_response;
    const uint8_t *nonce = by_initiator ? h->nonce_r : h->nonce_i;
    uint16_t nonce_len = by_initiator ? h->nonce_r_len : h->nonce_i_len;
    const struct suite_prf *prf = suite_find_prf(policy->suites, sa->prf_id);
    size_t n = (size_t)m->len + nonce_len;

    if (prf == NULL || n + prf->out_bytes > IKE_SIGNED_MAX_BYTES)
        return false;
    memcpy(out, m->bytes, m->len);
    memcpy(out + m->len, nonce, nonce_len);
    if (!prf->compute(secret_span(sk_p), &id_body, 1, out + n))
        return false;
    *len = (uint16_t)(n + prf->out_bytes);
    return true;
}

bool ike_cert_sign(const struct ike_policy *policy, const struct ike_sa *sa,
                   const struct ike_signing *s, const struct ike_identity *id,
                   struct ike_transition *out)
{
    uint8_t body[ID_HEADER_BYTES + IKE_MAX_ID_BYTES] = {id->type};
    struct ike_sign_job *job = &out->job.sign;

    memcpy(body + ID_HEADER_BYTES, id->bytes, id->len);
    memset(job, 0, sizeof *job);
    out->job.kind = IKE_JOB_SIGN;
    job->auth = policy->suites->auth;
    job->key = s->own->key;
    job->how = s->how;
    return signed_octets(policy, sa, sa->role == IKE_INITIATOR, &sa->keys.sk_p_out,
                         span_of(body, ID_HEADER_BYTES + (size_t)id->len), job->data,
                         &job->data_len);
}

void ike_cert_put_chain(struct wire_builder *b, const struct ike_own_certificate *own)
{
    for (uint8_t i = 0; i < own->n_chain; i++)
        wire_put_cert(b, WIRE_CERT_X509, own->chain[i]);
}

void ike_cert_put_auth(struct wire_builder *b, const struct ike_signing *s,
                       const struct ike_sign_result *value)
{
    const struct wire_signature sig = {
        .scheme = s->how->scheme, .hash = s->how->hash, .value = span_of(value->value, value->len)};

    if (s->method == WIRE_AUTH_SIGNATURE)
        wire_put_auth_signature(b, &sig);
    else
        wire_put_auth(b, s->method, sig.value);
}

/* The row of the peer's AUTH, or NULL; *value: its signature. SHA-1 comes in no RFC 7427 signature
 * (RFC 8247 4.2), and in method 1 only where the policy names it. */
static const struct suite_signature *how_of(const struct ike_policy *policy,
                                            const struct wire_auth *auth, struct span *value)
{
    struct wire_signature s;

    *value = auth->data;
    switch (auth->method) {
    case WIRE_AUTH_SIGNATURE:
        if (wire_signature_decode(auth->data, &s) != WIRE_OK || s.hash == WIRE_HASH_SHA1)
            return NULL;
        *value = s.value;
        return suite_find_signature(policy->suites, s.scheme, s.hash);
    case WIRE_AUTH_ECDSA_256:
        return suite_find_signature(policy->suites, SUITE_SCHEME_ECDSA_RAW, WIRE_HASH_SHA256);
    case WIRE_AUTH_ECDSA_384:
        return suite_find_signature(policy->suites, SUITE_SCHEME_ECDSA_RAW, WIRE_HASH_SHA384);
    case WIRE_AUTH_ECDSA_521:
        return suite_find_signature(policy->suites, SUITE_SCHEME_ECDSA_RAW, WIRE_HASH_SHA512);
    case WIRE_AUTH_RSA:
        return policy->credentials->legacy_rsa_sha1
                   ? suite_find_signature(policy->suites, WIRE_SCHEME_RSA_PKCS1, WIRE_HASH_SHA1)
                   : NULL;
    default:
        return NULL;
    }
}

/* Appends to job->bytes; all parts came in one message, so they fit. */
static bool append(struct ike_proof_job *job, size_t *used, struct span part, uint16_t *len)
{
    if (part.len > sizeof job->bytes - *used)
        return false;
    memcpy(job->bytes + *used, part.data, part.len);
    *used += part.len;
    *len = (uint16_t)part.len;
    return true;
}

bool ike_cert_proof(const struct ike_policy *policy, const struct ike_sa *sa,
                    const struct ike_event *event, const struct wire_body *body,
                    const struct wire_id *id, struct ike_transition *out)
{
    struct ike_proof_job *job = &out->job.proof;
    struct span signature;
    size_t used = 0;

    /* Before anything is authenticated: the length of the identity (ike.md, attacks). */
    if (!ike_certs_spoken(policy) || policy->credentials->trust == NULL ||
        id->data.len > IKE_MAX_ID_BYTES)
        return false;
    memset(job, 0, sizeof *job);
    out->job.kind = IKE_JOB_PROOF;
    job->auth = policy->suites->auth;
    job->trust = policy->credentials->trust;
    job->how = how_of(policy, &body->auth, &signature);
    job->wall_s = event->wall_s;
    job->gateway = sa->role == IKE_INITIATOR;
    job->id_type = id->type;
    if (job->how == NULL || !append(job, &used, id->data, &job->id_len) ||
        !append(job, &used, signature, &job->signature_len))
        return false;
    for (size_t i = 0; i < body->n_certs; i++) {
        if (body->certs[i].encoding != WIRE_CERT_X509)
            continue;
        if (!append(job, &used, body->certs[i].data, &job->cert_len[job->n_certs]))
            return false;
        job->n_certs++;
    }
    return job->n_certs > 0 &&
           signed_octets(policy, sa, sa->role == IKE_RESPONDER, &sa->keys.sk_p_in, id->body,
                         job->data, &job->data_len);
}
