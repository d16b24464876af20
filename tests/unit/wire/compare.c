/* Are two decoded messages the same in every field? */
#include "generate.h"

static bool sa_equal(const struct wire_sa *a, const struct wire_sa *b)
{
    if (a->n_proposals != b->n_proposals || a->n_transforms != b->n_transforms)
        return false;
    for (size_t i = 0; i < a->n_proposals; i++) {
        const struct wire_proposal *p = &a->proposals[i], *q = &b->proposals[i];

        if (p->number != q->number || p->protocol != q->protocol || p->first != q->first ||
            p->n != q->n || !span_equal(p->spi, q->spi))
            return false;
    }
    for (size_t i = 0; i < a->n_transforms; i++) {
        const struct wire_transform *t = &a->transforms[i], *u = &b->transforms[i];

        if (t->type != u->type || t->id != u->id || t->key_bits != u->key_bits ||
            t->unknown_attribute != u->unknown_attribute)
            return false;
    }
    return true;
}

static bool ts_equal(const struct wire_ts_list *a, const struct wire_ts_list *b)
{
    if (a->n != b->n || a->skipped != b->skipped)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct wire_ts *p = &a->items[i], *q = &b->items[i];

        if (p->protocol != q->protocol || p->port_low != q->port_low ||
            p->port_high != q->port_high || !addr_equal(&p->low, &q->low) ||
            !addr_equal(&p->high, &q->high))
            return false;
    }
    return true;
}

static bool cp_equal(const struct wire_cp *a, const struct wire_cp *b)
{
    if (a->type != b->type || a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->attrs[i].type != b->attrs[i].type ||
            !span_equal(a->attrs[i].value, b->attrs[i].value))
            return false;
    return true;
}

static bool id_equal(const struct wire_id *a, const struct wire_id *b)
{
    return a->type == b->type && span_equal(a->data, b->data) && span_equal(a->body, b->body);
}

static bool many_equal(const struct wire_body *a, const struct wire_body *b)
{
    if (a->n_notifies != b->n_notifies || a->n_deletes != b->n_deletes ||
        a->n_vendor_ids != b->n_vendor_ids)
        return false;
    for (size_t i = 0; i < a->n_notifies; i++) {
        const struct wire_notify *m = &a->notifies[i], *n = &b->notifies[i];

        if (m->protocol != n->protocol || m->type != n->type || !span_equal(m->spi, n->spi) ||
            !span_equal(m->data, n->data))
            return false;
    }
    for (size_t i = 0; i < a->n_deletes; i++)
        if (a->deletes[i].protocol != b->deletes[i].protocol ||
            a->deletes[i].n_spis != b->deletes[i].n_spis ||
            !span_equal(a->deletes[i].spis, b->deletes[i].spis))
            return false;
    for (size_t i = 0; i < a->n_vendor_ids; i++)
        if (!span_equal(a->vendor_ids[i], b->vendor_ids[i]))
            return false;
    return true;
}

static bool certs_equal(const struct wire_body *a, const struct wire_body *b)
{
    if (a->n_certs != b->n_certs || a->n_certreqs != b->n_certreqs)
        return false;
    for (size_t i = 0; i < a->n_certs; i++)
        if (a->certs[i].encoding != b->certs[i].encoding ||
            !span_equal(a->certs[i].data, b->certs[i].data))
            return false;
    for (size_t i = 0; i < a->n_certreqs; i++)
        if (a->certreqs[i].encoding != b->certreqs[i].encoding ||
            !span_equal(a->certreqs[i].hashes, b->certreqs[i].hashes))
            return false;
    return true;
}

static bool eap_equal(const struct wire_eap *a, const struct wire_eap *b)
{
    return a->code == b->code && a->identifier == b->identifier && a->type == b->type &&
           span_equal(a->data, b->data) && span_equal(a->message, b->message);
}

bool model_equal(const struct wire_body *a, const struct wire_body *b)
{
    return a->has_sa == b->has_sa && a->has_ke == b->has_ke && a->has_idi == b->has_idi &&
           a->has_idr == b->has_idr && a->has_auth == b->has_auth && a->has_nonce == b->has_nonce &&
           a->has_tsi == b->has_tsi && a->has_tsr == b->has_tsr && a->has_cp == b->has_cp &&
           a->has_eap == b->has_eap && sa_equal(&a->sa, &b->sa) && a->ke.group == b->ke.group &&
           span_equal(a->ke.value, b->ke.value) && id_equal(&a->idi, &b->idi) &&
           id_equal(&a->idr, &b->idr) && a->auth.method == b->auth.method &&
           span_equal(a->auth.data, b->auth.data) && span_equal(a->nonce, b->nonce) &&
           ts_equal(&a->tsi, &b->tsi) && ts_equal(&a->tsr, &b->tsr) && cp_equal(&a->cp, &b->cp) &&
           eap_equal(&a->eap, &b->eap) && many_equal(a, b) && certs_equal(a, b);
}
