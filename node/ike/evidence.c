#include "ike/evidence.h"

#include "ike/cert_auth.h"
#include "ike/proposal.h"
#include "wire/body.h"

void ike_evidence_none(struct ike_evidence *e)
{
    memset(e, 0, sizeof *e);
}

static void begin(struct ike_evidence *e, enum ike_evidence_about about)
{
    memset(e, 0, sizeof *e);
    e->about = about;
}

/* ---- proposals ---- */

static void add_transform(struct ike_evidence_transforms *list, uint8_t proposal, uint8_t type,
                          uint16_t id, uint16_t key_bits)
{
    for (uint8_t i = 0; i < list->n; i++) {
        const struct ike_evidence_transform *t = &list->items[i];

        if (t->type == type && t->id == id && t->key_bits == key_bits)
            return;
    }
    if (list->n == IKE_EVIDENCE_TRANSFORMS) {
        list->more = true;
        return;
    }
    list->items[list->n++] = (struct ike_evidence_transform){
        .proposal = proposal, .type = type, .id = id, .key_bits = key_bits};
}

static void add_offered(struct ike_evidence_transforms *list, uint8_t protocol,
                        const struct wire_sa *offer)
{
    for (size_t i = 0; i < offer->n_proposals; i++) {
        const struct wire_proposal *p = &offer->proposals[i];

        for (size_t k = 0; p->protocol == protocol && k < p->n; k++) {
            const struct wire_transform *t = &offer->transforms[p->first + k];

            add_transform(list, (uint8_t)(i + 1), t->type, t->id, t->key_bits);
        }
    }
}

static void add_allowed(struct ike_evidence_transforms *list, const struct ike_policy *policy,
                        uint8_t protocol)
{
    bool ike = protocol == WIRE_PROTO_IKE;
    const struct ike_proposal_row *rows = ike ? policy->ike : policy->esp;

    for (size_t i = 0; i < (ike ? policy->n_ike : policy->n_esp); i++) {
        const struct ike_proposal_row *r = &rows[i];

        if (!(ike ? ike_proposal_ike_usable(policy, r) : ike_proposal_esp_usable(policy, r)))
            continue;
        add_transform(list, 0, WIRE_TR_ENCR, r->encr_id, r->encr_bits);
        if (r->integ_id != 0)
            add_transform(list, 0, WIRE_TR_INTEG, r->integ_id, 0);
        if (ike)
            add_transform(list, 0, WIRE_TR_PRF, r->prf_id, 0);
        if (r->ke_id != 0)
            add_transform(list, 0, WIRE_TR_KE, r->ke_id, 0);
        if (!ike)
            add_transform(list, 0, WIRE_TR_ESN, 0, 0);
        if (!ike && r->esn)
            add_transform(list, 0, WIRE_TR_ESN, 1, 0);
    }
}

void ike_evidence_proposals(struct ike_evidence *e, const struct ike_policy *policy,
                            uint8_t protocol, const struct wire_sa *offer)
{
    begin(e, IKE_EVIDENCE_PROPOSALS);
    e->proposals.protocol = protocol;
    add_offered(&e->proposals.offered, protocol, offer);
    add_allowed(&e->proposals.allowed, policy, protocol);
}

void ike_evidence_group(struct ike_evidence *e, uint16_t sent, uint16_t wanted)
{
    begin(e, IKE_EVIDENCE_GROUP);
    e->group.sent = sent;
    e->group.wanted = wanted;
}

/* ---- traffic selectors ---- */

static void put_offered(struct ike_evidence_selectors *list, const struct wire_ts_list *offer)
{
    list->more = offer->skipped || offer->n > IKE_MAX_TS;
    for (size_t i = 0; i < offer->n && list->n < IKE_MAX_TS; i++) {
        const struct wire_ts *w = &offer->items[i];
        struct ike_ts *ts = &list->items[list->n++];

        ts->protocol = w->protocol;
        ts->port_low = w->port_low;
        ts->port_high = w->port_high;
        ts->low = w->low;
        ts->high = w->high;
    }
}

static void put_allowed(struct ike_evidence_selectors *list, const struct ike_ts *ts, size_t n)
{
    HF_ASSERT(n <= IKE_MAX_TS);
    memcpy(list->items, ts, n * sizeof ts[0]);
    list->n = (uint8_t)n;
}

void ike_evidence_selectors(struct ike_evidence *e, const struct wire_body *body,
                            const struct ike_ts *local, size_t n_local, const struct ike_ts *remote,
                            size_t n_remote)
{
    begin(e, IKE_EVIDENCE_SELECTORS);
    put_offered(&e->selectors.offered_local, &body->tsr);
    put_offered(&e->selectors.offered_remote, &body->tsi);
    put_allowed(&e->selectors.allowed_local, local, n_local);
    put_allowed(&e->selectors.allowed_remote, remote, n_remote);
}

/* ---- credentials, addresses, payloads ---- */

static enum ike_check check_of(const struct ike_policy *policy, const struct wire_body *body,
                               bool psk_found, bool judged)
{
    if (!body->has_auth)
        return IKE_CHECK_NO_AUTH;
    if (body->auth.method == WIRE_AUTH_PSK)
        return psk_found ? IKE_CHECK_WRONG_KEY : IKE_CHECK_UNKNOWN_IDENTITY;
    if (judged)
        return IKE_CHECK_CERTIFICATE;
    if (!ike_certs_spoken(policy) || policy->credentials->trust == NULL)
        return IKE_CHECK_NO_TRUST;
    return body->n_certs == 0 ? IKE_CHECK_NO_CERTIFICATE : IKE_CHECK_METHOD;
}

void ike_evidence_credentials(struct ike_evidence *e, const struct ike_policy *policy,
                              const struct wire_body *body, bool psk_found,
                              const struct ike_proof_result *proof)
{
    const struct span *first = body->n_certs > 0 ? &body->certs[0].data : NULL;

    begin(e, IKE_EVIDENCE_CREDENTIALS);
    e->credentials.check = check_of(policy, body, psk_found, proof->done);
    if (proof->done)
        e->credentials.about = proof->about;
    e->credentials.method = body->has_auth ? body->auth.method : 0;
    if (first != NULL && policy->suites->sha256->compute(first, 1, e->credentials.sha256))
        e->credentials.n_certificates = (uint8_t)body->n_certs;
}

void ike_evidence_addresses(struct ike_evidence *e, const bool wanted[ADDR_SLOTS],
                            const bool has_pool[ADDR_SLOTS])
{
    begin(e, IKE_EVIDENCE_ADDRESSES);
    memcpy(e->addresses.wanted, wanted, sizeof e->addresses.wanted);
    memcpy(e->addresses.has_pool, has_pool, sizeof e->addresses.has_pool);
}

void ike_evidence_payload(struct ike_evidence *e, uint8_t type)
{
    begin(e, IKE_EVIDENCE_PAYLOAD);
    e->payload = type;
}

void ike_evidence_gateway(struct ike_evidence *e, const struct wire_id *asked,
                          const struct ike_identity *shown, bool by_certificate)
{
    begin(e, IKE_EVIDENCE_GATEWAY);
    e->gateway.shown = *shown;
    e->gateway.by_certificate = by_certificate;
    if (asked == NULL || asked->data.len > IKE_MAX_ID_BYTES)
        return;
    e->gateway.asked.type = asked->type;
    e->gateway.asked.len = (uint8_t)asked->data.len;
    memcpy(e->gateway.asked.bytes, asked->data.data, asked->data.len);
}
