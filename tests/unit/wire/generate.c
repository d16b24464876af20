#include "generate.h"

#include <sys/mman.h>

struct span model_bytes(struct model *m, struct sim_random *r, size_t min, size_t max)
{
    size_t len = (size_t)sim_between(r, min, max);
    uint8_t *at = m->pool + m->used;

    HF_ASSERT(len <= sizeof m->pool - m->used);
    for (size_t i = 0; i < len; i++)
        at[i] = (uint8_t)sim_next(r);
    m->used += len;
    return span_of(at, len);
}

/* Mostly small values, now and then anything: lengths and numbers at both ends of their range. */
static uint16_t number16(struct sim_random *r)
{
    return sim_chance(r, 700) ? (uint16_t)sim_between(r, 0, 40) : (uint16_t)sim_next(r);
}

static void make_sa(struct model *m, struct sim_random *r)
{
    static const size_t spi_sizes[] = {0, 4, 8};
    size_t n = (size_t)sim_between(r, 1, 6);

    for (size_t i = 0; i < n; i++) {
        size_t spi = spi_sizes[sim_between(r, 0, 2)];
        size_t transforms = (size_t)sim_between(r, 1, 12);

        wire_sa_add_proposal(&m->body.sa, (uint8_t)sim_next(r), (uint8_t)sim_between(r, 0, 5),
                             model_bytes(m, r, spi, spi));
        for (size_t j = 0; j < transforms; j++)
            wire_sa_add_transform(&m->body.sa, (uint8_t)sim_between(r, 1, WIRE_TR_ADDKE7),
                                  number16(r), sim_chance(r, 500) ? 0 : number16(r));
    }
}

static struct ip_addr random_addr(struct sim_random *r, uint8_t family)
{
    struct ip_addr a = {.family = family};

    for (size_t i = 0; i < addr_len(&a); i++)
        a.bytes[i] = (uint8_t)sim_next(r);
    return a;
}

static void make_ts(struct wire_ts_list *list, struct sim_random *r)
{
    list->n = (size_t)sim_between(r, 1, WIRE_MAX_TS);
    for (size_t i = 0; i < list->n; i++) {
        struct wire_ts *ts = &list->items[i];
        uint8_t family = sim_chance(r, 500) ? ADDR_V4 : ADDR_V6;
        struct ip_addr a = random_addr(r, family), b = random_addr(r, family);
        bool right_way = memcmp(a.bytes, b.bytes, 16) <= 0;

        ts->protocol = (uint8_t)sim_next(r);
        ts->port_low = number16(r);
        ts->port_high = (uint16_t)sim_between(r, ts->port_low, 65535);
        if (sim_chance(r, 100)) { /* OPAQUE */
            ts->port_low = 65535;
            ts->port_high = 0;
        }
        ts->low = right_way ? a : b;
        ts->high = right_way ? b : a;
    }
}

/* A length that a type may have, tried until one fits. */
static size_t size_for(struct sim_random *r, uint16_t type, bool (*fits)(uint16_t, size_t))
{
    for (;;) {
        size_t len = (size_t)sim_between(r, 0, 140);

        if (fits(type, len))
            return len;
    }
}

static void make_notify(struct model *m, struct sim_random *r)
{
    static const size_t spi_sizes[] = {0, 4, 8};
    struct wire_notify *n = &m->body.notifies[m->body.n_notifies++];
    size_t rows = 0, spi = spi_sizes[sim_between(r, 0, 2)];
    size_t len;

    while (wire_notify_row(rows) != NULL)
        rows++;
    n->type = sim_chance(r, 900) ? wire_notify_row(sim_between(r, 0, rows - 1))->type
                                 : (uint16_t)sim_next(r);
    n->protocol = (uint8_t)sim_between(r, 0, 3);
    n->spi = model_bytes(m, r, spi, spi);
    len = size_for(r, n->type, wire_notify_size_fits);
    n->data = model_bytes(m, r, len, len);
}

static void make_delete(struct model *m, struct sim_random *r)
{
    struct wire_delete *d = &m->body.deletes[m->body.n_deletes++];

    d->protocol = (uint8_t)sim_between(r, WIRE_PROTO_IKE, WIRE_PROTO_ESP);
    d->n_spis = d->protocol == WIRE_PROTO_IKE ? 0 : (size_t)sim_between(r, 1, 40);
    d->spis = model_bytes(m, r, 4 * d->n_spis, 4 * d->n_spis);
}

static void make_cp(struct model *m, struct sim_random *r)
{
    struct wire_cp *cp = &m->body.cp;
    size_t n = (size_t)sim_between(r, 0, WIRE_MAX_CP_ATTRIBUTES);

    cp->type = (uint8_t)sim_between(r, WIRE_CFG_REQUEST, WIRE_CFG_ACK);
    for (size_t i = 0; i < n; i++) {
        uint16_t type = sim_chance(r, 800) ? (uint16_t)sim_between(r, 1, 30)
                                           : (uint16_t)sim_between(r, 0, 0x7fff);
        size_t len = size_for(r, type, wire_cp_size_fits);

        wire_cp_add(cp, type, model_bytes(m, r, len, len));
    }
}

static void make_id(struct model *m, struct sim_random *r, struct wire_id *id)
{
    static const uint8_t types[] = {WIRE_ID_IPV4,   WIRE_ID_FQDN,   WIRE_ID_RFC822, WIRE_ID_IPV6,
                                    WIRE_ID_DER_DN, WIRE_ID_DER_GN, WIRE_ID_KEY_ID, 250};
    size_t len;

    id->type = types[sim_between(r, 0, sizeof types - 1)];
    len = id->type == WIRE_ID_IPV4   ? 4
          : id->type == WIRE_ID_IPV6 ? 16
                                     : (size_t)sim_between(r, 1, 300);
    id->body = model_bytes(m, r, 4 + len, 4 + len);
    memset((uint8_t *)id->body.data, 0, 4); /* reserved bytes are sent as zero */
    *(uint8_t *)id->body.data = id->type;
    id->data = span_of(id->body.data + 4, len);
}

static void make_eap(struct model *m, struct sim_random *r)
{
    struct wire_eap *eap = &m->body.eap;
    uint8_t code = (uint8_t)sim_between(r, WIRE_EAP_REQUEST, WIRE_EAP_FAILURE);
    bool has_type = code <= WIRE_EAP_RESPONSE;
    size_t len = has_type ? 5 + (size_t)sim_between(r, 0, 1500) : 4;
    uint8_t *at;

    eap->message = model_bytes(m, r, len, len);
    at = (uint8_t *)eap->message.data;
    at[0] = eap->code = code;
    eap->identifier = at[1];
    put_be16(at + 2, (uint16_t)len);
    if (has_type) {
        at[4] = eap->type = (uint8_t)sim_between(r, 1, 255);
        eap->data = span_of(at + 5, len - 5);
    }
}

static uint8_t encoding(struct sim_random *r)
{
    return sim_chance(r, 700) ? WIRE_CERT_X509 : (uint8_t)sim_between(r, 5, 15);
}

static void make_cert(struct model *m, struct sim_random *r)
{
    m->body.certs[m->body.n_certs++] =
        (struct wire_cert){.encoding = encoding(r), .data = model_bytes(m, r, 1, 1200)};
}

static void make_certreq(struct model *m, struct sim_random *r)
{
    size_t bytes = WIRE_CA_HASH_BYTES * (size_t)sim_between(r, 0, 6);

    m->body.certreqs[m->body.n_certreqs++] =
        (struct wire_certreq){.encoding = encoding(r), .hashes = model_bytes(m, r, bytes, bytes)};
}

static void make_payload(struct model *m, struct sim_random *r, uint8_t type)
{
    struct wire_body *b = &m->body;

    switch (type) {
    case WIRE_PL_SA:
        return make_sa(m, r);
    case WIRE_PL_KE:
        b->ke = (struct wire_ke){.group = number16(r), .value = model_bytes(m, r, 1, 1568)};
        return;
    case WIRE_PL_IDI:
        return make_id(m, r, &b->idi);
    case WIRE_PL_IDR:
        return make_id(m, r, &b->idr);
    case WIRE_PL_CERT:
        return make_cert(m, r);
    case WIRE_PL_CERTREQ:
        return make_certreq(m, r);
    case WIRE_PL_AUTH:
        b->auth =
            (struct wire_auth){.method = (uint8_t)sim_next(r), .data = model_bytes(m, r, 1, 520)};
        return;
    case WIRE_PL_NONCE:
        b->nonce = model_bytes(m, r, WIRE_NONCE_MIN_BYTES, WIRE_NONCE_MAX_BYTES);
        return;
    case WIRE_PL_NOTIFY:
        return make_notify(m, r);
    case WIRE_PL_DELETE:
        return make_delete(m, r);
    case WIRE_PL_VENDOR:
        b->vendor_ids[b->n_vendor_ids++] = model_bytes(m, r, 0, 40);
        return;
    case WIRE_PL_TSI:
        return make_ts(&b->tsi, r);
    case WIRE_PL_TSR:
        return make_ts(&b->tsr, r);
    case WIRE_PL_CP:
        return make_cp(m, r);
    default:
        return make_eap(m, r);
    }
}

/* The flag that says that a payload which comes once is there; NULL for those that may come often. */
static bool *flag_of(struct wire_body *b, uint8_t type)
{
    switch (type) {
    case WIRE_PL_SA:
        return &b->has_sa;
    case WIRE_PL_KE:
        return &b->has_ke;
    case WIRE_PL_IDI:
        return &b->has_idi;
    case WIRE_PL_IDR:
        return &b->has_idr;
    case WIRE_PL_AUTH:
        return &b->has_auth;
    case WIRE_PL_NONCE:
        return &b->has_nonce;
    case WIRE_PL_TSI:
        return &b->has_tsi;
    case WIRE_PL_TSR:
        return &b->has_tsr;
    case WIRE_PL_CP:
        return &b->has_cp;
    case WIRE_PL_EAP:
        return &b->has_eap;
    default:
        return NULL;
    }
}

/* Are there as many of this type as a message may have? */
static bool is_full(const struct wire_body *b, uint8_t type)
{
    return (type == WIRE_PL_DELETE && b->n_deletes == WIRE_MAX_DELETES) ||
           (type == WIRE_PL_CERT && b->n_certs == WIRE_MAX_CERTS) ||
           (type == WIRE_PL_CERTREQ && b->n_certreqs == WIRE_MAX_CERTREQS) ||
           (type == WIRE_PL_VENDOR && b->n_vendor_ids == WIRE_MAX_VENDOR_IDS);
}

static void add(struct model *m, struct sim_random *r, uint8_t type)
{
    bool *has = flag_of(&m->body, type);

    if ((has != NULL && *has) || is_full(&m->body, type))
        return;
    if (has != NULL)
        *has = true;
    make_payload(m, r, type);
    m->order[m->n++] = type;
}

void model_make(struct model *m, struct sim_random *r, size_t max_payloads)
{
    static const uint8_t types[] = {WIRE_PL_SA,     WIRE_PL_KE,    WIRE_PL_IDI,     WIRE_PL_IDR,
                                    WIRE_PL_AUTH,   WIRE_PL_NONCE, WIRE_PL_NOTIFY,  WIRE_PL_DELETE,
                                    WIRE_PL_VENDOR, WIRE_PL_TSI,   WIRE_PL_TSR,     WIRE_PL_CP,
                                    WIRE_PL_EAP,    WIRE_PL_CERT,  WIRE_PL_CERTREQ, WIRE_PL_NOTIFY,
                                    WIRE_PL_NOTIFY};
    size_t tries = (size_t)sim_between(r, 0, max_payloads);

    memset(m, 0, sizeof *m);
    for (size_t i = 0; i < tries; i++)
        add(m, r, types[sim_between(r, 0, sizeof types - 1)]);
}

void model_make_one(struct model *m, struct sim_random *r, uint8_t type)
{
    memset(m, 0, sizeof *m);
    add(m, r, type);
}

static void put_delete(struct wire_builder *b, const struct wire_delete *d)
{
    uint32_t spis[1024];

    if (d->protocol == WIRE_PROTO_IKE) {
        wire_put_delete_ike(b);
        return;
    }
    HF_ASSERT(d->n_spis <= sizeof spis / sizeof spis[0]);
    for (size_t i = 0; i < d->n_spis; i++)
        spis[i] = wire_delete_spi(d, i);
    wire_put_delete_spis(b, d->protocol, spis, d->n_spis);
}

struct span model_encode(const struct wire_body *body, const uint8_t *order, size_t n,
                         uint8_t *room, uint8_t *first)
{
    struct wire_builder b = wire_builder_chain(room, MODEL_MESSAGE_BYTES);
    size_t notifies = 0, deletes = 0, vendors = 0, certs = 0, certreqs = 0;
    struct span out = {0};
    bool fits;

    for (size_t i = 0; i < n; i++) {
        switch (order[i]) {
        case WIRE_PL_SA:
            wire_put_sa(&b, &body->sa);
            break;
        case WIRE_PL_KE:
            wire_put_ke(&b, body->ke.group, body->ke.value);
            break;
        case WIRE_PL_IDI:
            wire_put_id(&b, WIRE_PL_IDI, body->idi.type, body->idi.data);
            break;
        case WIRE_PL_IDR:
            wire_put_id(&b, WIRE_PL_IDR, body->idr.type, body->idr.data);
            break;
        case WIRE_PL_AUTH:
            wire_put_auth(&b, body->auth.method, body->auth.data);
            break;
        case WIRE_PL_NONCE:
            wire_put_nonce(&b, body->nonce);
            break;
        case WIRE_PL_NOTIFY:
            wire_put_notify(&b, &body->notifies[notifies++]);
            break;
        case WIRE_PL_DELETE:
            put_delete(&b, &body->deletes[deletes++]);
            break;
        case WIRE_PL_CERT:
            wire_put_cert(&b, body->certs[certs].encoding, body->certs[certs].data);
            certs++;
            break;
        case WIRE_PL_CERTREQ:
            wire_put_certreq(&b, body->certreqs[certreqs].encoding,
                             body->certreqs[certreqs].hashes);
            certreqs++;
            break;
        case WIRE_PL_VENDOR:
            wire_put_vendor(&b, body->vendor_ids[vendors++]);
            break;
        case WIRE_PL_TSI:
            wire_put_ts(&b, WIRE_PL_TSI, &body->tsi);
            break;
        case WIRE_PL_TSR:
            wire_put_ts(&b, WIRE_PL_TSR, &body->tsr);
            break;
        case WIRE_PL_CP:
            wire_put_cp(&b, &body->cp);
            break;
        default:
            wire_put_eap(&b, body->eap.message);
        }
    }
    fits = wire_builder_finish(&b, &out);
    HF_ASSERT(fits);
    *first = b.first;
    return out;
}

struct span guarded(struct span bytes)
{
    static const size_t room = MODEL_MESSAGE_BYTES + 1; /* 64 KiB: whole pages */
    static uint8_t *start;

    if (start == NULL) {
        start = mmap(NULL, 2 * room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        HF_ASSERT(start != MAP_FAILED && mprotect(start + room, room, PROT_NONE) == 0);
    }
    HF_ASSERT(bytes.len <= room);
    if (bytes.len > 0)
        memcpy(start + room - bytes.len, bytes.data, bytes.len);
    return span_of(start + room - bytes.len, bytes.len);
}
