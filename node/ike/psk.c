#include "ike/psk.h"

#include "ike/keys.h"

enum { ID_HEADER_BYTES = 4 };

static bool is_identity(const struct ike_identity *id, uint8_t type, struct span data)
{
    return id->type == type && id->len == data.len && memcmp(id->bytes, data.data, data.len) == 0;
}

const struct ike_psk_entry *ike_psk_find(const struct ike_policy *policy, uint8_t type,
                                         struct span data)
{
    const struct ike_psk_entry *found = NULL;

    if (data.len == 0 || data.len > IKE_MAX_ID_BYTES)
        return NULL;
    for (uint32_t i = 0; i < policy->n_psks; i++)
        if (is_identity(&policy->psks[i].remote, type, data) && found == NULL)
            found = &policy->psks[i];
    return found;
}

const struct ike_psk_entry *ike_psk_expect(const struct ike_policy *policy,
                                           const struct ip_addr *remote)
{
    uint8_t type = remote->family == ADDR_V4 ? WIRE_ID_IPV4 : WIRE_ID_IPV6;
    const struct ike_psk_entry *entry =
        ike_psk_find(policy, type, span_of(remote->bytes, addr_len(remote)));

    if (entry != NULL)
        return entry;
    return policy->n_psks > 0 ? &policy->psks[0] : NULL;
}

/* The nonces and messages of RFC 7296 2.15 belong to the exchange: each side signs its own message
 * and the other's nonce. */
static bool value_of(const struct ike_policy *policy, const struct ike_sa *sa, bool by_initiator,
                     const struct secret *psk, const struct secret *sk_p, struct span id_body,
                     uint8_t out[SUITE_PRF_MAX_BYTES])
{
    const struct ike_handshake *h = &sa->handshake;
    const struct ike_message *m = by_initiator ? &h->init_request : &h->init_response;
    struct span nonce =
        by_initiator ? span_of(h->nonce_r, h->nonce_r_len) : span_of(h->nonce_i, h->nonce_i_len);
    const struct suite_prf *prf = suite_find_prf(policy->suites, sa->prf_id);

    return prf != NULL &&
           ike_auth_psk_value(prf, psk, span_of(m->bytes, m->len), nonce, sk_p, id_body, out);
}

bool ike_psk_sign(const struct ike_policy *policy, const struct ike_sa *sa,
                  const struct secret *psk, uint8_t out[SUITE_PRF_MAX_BYTES], size_t *len)
{
    const struct suite_prf *prf = suite_find_prf(policy->suites, sa->prf_id);
    uint8_t body[ID_HEADER_BYTES + IKE_MAX_ID_BYTES] = {policy->local_id.type};

    HF_ASSERT(policy->local_id.len <= IKE_MAX_ID_BYTES);
    memcpy(body + ID_HEADER_BYTES, policy->local_id.bytes, policy->local_id.len);
    if (prf == NULL ||
        !value_of(policy, sa, sa->role == IKE_INITIATOR, psk, &sa->keys.sk_p_out,
                  span_of(body, ID_HEADER_BYTES + (size_t)policy->local_id.len), out))
        return false;
    *len = prf->out_bytes;
    return true;
}

bool ike_psk_verify(const struct ike_policy *policy, const struct ike_sa *sa,
                    const struct ike_psk_entry *entry, const struct wire_id *id,
                    const struct wire_auth *auth)
{
    static const struct secret nobody = {.len = 32};
    const struct suite_prf *prf = suite_find_prf(policy->suites, sa->prf_id);
    uint8_t right[SUITE_PRF_MAX_BYTES];
    bool holds;

    if (prf == NULL || auth->method != WIRE_AUTH_PSK || auth->data.len != prf->out_bytes)
        return false;
    if (!value_of(policy, sa, sa->role == IKE_RESPONDER, entry != NULL ? &entry->psk : &nobody,
                  &sa->keys.sk_p_in, id->body, right))
        return false;
    holds = secret_equal_bytes(right, auth->data.data, prf->out_bytes);
    secret_wipe_bytes(right, sizeof right);
    return holds && entry != NULL;
}
