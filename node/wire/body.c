#include "wire/body.h"

/* A payload that may come once: false when it is there already (RFC 7296's INVALID_SYNTAX). */
static bool first_time(bool *has)
{
    if (*has)
        return false;
    *has = true;
    return true;
}

static enum wire_result add_notify(struct span body, struct wire_body *out)
{
    enum wire_result result;

    if (out->n_notifies == WIRE_MAX_PAYLOADS)
        return WIRE_TOO_MANY;
    result = wire_notify_decode(body, &out->notifies[out->n_notifies]);
    if (result == WIRE_OK)
        out->n_notifies++;
    return result;
}

static enum wire_result add_delete(struct span body, struct wire_body *out)
{
    enum wire_result result;

    if (out->n_deletes == WIRE_MAX_DELETES)
        return WIRE_TOO_MANY;
    result = wire_delete_decode(body, &out->deletes[out->n_deletes]);
    if (result == WIRE_OK)
        out->n_deletes++;
    return result;
}

static enum wire_result add_cert(struct span body, struct wire_body *out)
{
    enum wire_result result;

    if (out->n_certs == WIRE_MAX_CERTS)
        return WIRE_TOO_MANY;
    result = wire_cert_decode(body, &out->certs[out->n_certs]);
    if (result == WIRE_OK)
        out->n_certs++;
    return result;
}

static enum wire_result add_certreq(struct span body, struct wire_body *out)
{
    enum wire_result result;

    if (out->n_certreqs == WIRE_MAX_CERTREQS)
        return WIRE_TOO_MANY;
    result = wire_certreq_decode(body, &out->certreqs[out->n_certreqs]);
    if (result == WIRE_OK)
        out->n_certreqs++;
    return result;
}

static enum wire_result add_payload(const struct wire_payload *p, struct wire_body *out)
{
    switch (p->type) {
    case WIRE_PL_SA:
        return first_time(&out->has_sa) ? wire_sa_decode(p->body, &out->sa) : WIRE_MALFORMED;
    case WIRE_PL_KE:
        return first_time(&out->has_ke) ? wire_ke_decode(p->body, &out->ke) : WIRE_MALFORMED;
    case WIRE_PL_IDI:
        return first_time(&out->has_idi) ? wire_id_decode(p->body, &out->idi) : WIRE_MALFORMED;
    case WIRE_PL_IDR:
        return first_time(&out->has_idr) ? wire_id_decode(p->body, &out->idr) : WIRE_MALFORMED;
    case WIRE_PL_AUTH:
        return first_time(&out->has_auth) ? wire_auth_decode(p->body, &out->auth) : WIRE_MALFORMED;
    case WIRE_PL_NONCE:
        return first_time(&out->has_nonce) ? wire_nonce_decode(p->body, &out->nonce)
                                           : WIRE_MALFORMED;
    case WIRE_PL_TSI:
        return first_time(&out->has_tsi) ? wire_ts_decode(p->body, &out->tsi) : WIRE_MALFORMED;
    case WIRE_PL_TSR:
        return first_time(&out->has_tsr) ? wire_ts_decode(p->body, &out->tsr) : WIRE_MALFORMED;
    case WIRE_PL_CP:
        return first_time(&out->has_cp) ? wire_cp_decode(p->body, &out->cp) : WIRE_MALFORMED;
    case WIRE_PL_EAP:
        return first_time(&out->has_eap) ? wire_eap_decode(p->body, &out->eap) : WIRE_MALFORMED;
    case WIRE_PL_NOTIFY:
        return add_notify(p->body, out);
    case WIRE_PL_DELETE:
        return add_delete(p->body, out);
    case WIRE_PL_CERT:
        return add_cert(p->body, out);
    case WIRE_PL_CERTREQ:
        return add_certreq(p->body, out);
    case WIRE_PL_VENDOR:
        if (out->n_vendor_ids < WIRE_MAX_VENDOR_IDS)
            out->vendor_ids[out->n_vendor_ids++] = p->body;
        return WIRE_OK;
    case WIRE_PL_SK:
    case WIRE_PL_SKF:
        return WIRE_MALFORMED;
    default:
        return WIRE_OK;
    }
}

enum wire_result wire_body_decode(uint8_t first, struct span payloads, struct wire_body *out)
{
    struct wire_chain chain;
    uint8_t unsupported = 0;
    enum wire_result result;

    memset(out, 0, sizeof *out);
    result = wire_chain_decode(first, payloads, &chain, &unsupported);
    if (result == WIRE_OK)
        for (size_t i = 0; i < chain.n && result == WIRE_OK; i++)
            result = add_payload(&chain.items[i], out);
    if (result != WIRE_OK) {
        memset(out, 0, sizeof *out);
        out->unsupported = unsupported;
    }
    return result;
}

const struct wire_notify *wire_body_notify(const struct wire_body *body, uint16_t type)
{
    for (size_t i = 0; i < body->n_notifies; i++)
        if (body->notifies[i].type == type)
            return &body->notifies[i];
    return NULL;
}

const struct wire_notify *wire_body_error(const struct wire_body *body)
{
    for (size_t i = 0; i < body->n_notifies; i++)
        if (wire_notify_is_error(body->notifies[i].type))
            return &body->notifies[i];
    return NULL;
}
