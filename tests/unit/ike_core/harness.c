#include "harness.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "crypto/tables.h"

unsigned prf_calls;

static bool counting_prf(struct span key, const struct span *parts, size_t n_parts, uint8_t *out)
{
    prf_calls++;
    return suite_default.prfs[0]->compute(key, parts, n_parts, out);
}

static struct suite_ke other_ke;
static struct suite_prf count_prf;
static const struct suite_ke *kes[2];
static const struct suite_prf *prfs[1];

struct span message_span(const struct ike_message *m)
{
    return span_of(m->bytes, m->len);
}

struct ike_identity identity(uint8_t type, const char *name)
{
    struct ike_identity id = {.type = type, .len = (uint8_t)strlen(name)};

    memcpy(id.bytes, name, id.len);
    return id;
}

struct ike_ts subnet(uint32_t address, unsigned bits)
{
    uint32_t mask = bits == 0 ? 0 : ~(uint32_t)0 << (32 - bits);

    return (struct ike_ts){.port_high = 65535,
                           .low = addr_v4(address & mask),
                           .high = addr_v4((address & mask) | ~mask)};
}

static void common_policy(struct lab *l, struct ike_policy *p)
{
    p->suites = &l->suites;
    p->ike[0] =
        (struct ike_proposal_row){.encr_id = 20, .encr_bits = 256, .prf_id = 5, .ke_id = 31};
    p->ike[1] =
        (struct ike_proposal_row){.encr_id = 20, .encr_bits = 128, .prf_id = 5, .ke_id = 31};
    p->n_ike = 2;
    p->esp[0] = (struct ike_proposal_row){.encr_id = 20, .encr_bits = 256};
    p->esp[1] = (struct ike_proposal_row){.encr_id = 20, .encr_bits = 128};
    p->n_esp = 2;
    p->ike_life = p->child_life = (struct ike_lifetime){
        .hard_ms = 3600000, .rekey_at_percent = 70, .rekey_at_responder_percent = 80};
    p->retransmit_first_ms = 1000;
    p->retransmit_factor_milli = 1800;
    p->retransmit_tries = 5;
    p->half_open_ms = 30000;
    p->linger_ms = 60000;
}

struct lab *lab_new(void)
{
    struct lab *l = calloc(1, sizeof *l);

    cr_assert_not_null(l);
    other_ke = *suite_default.kes[0];
    other_ke.transform_id = OTHER_GROUP;
    kes[0] = suite_default.kes[0];
    kes[1] = &other_ke;
    count_prf = *suite_default.prfs[0];
    count_prf.compute = counting_prf;
    prfs[0] = &count_prf;
    l->suites = suite_default;
    l->suites.kes = kes;
    l->suites.n_kes = 2;
    l->suites.prfs = prfs;
    l->suites.n_prfs = 1;
    common_policy(l, &l->client);
    common_policy(l, &l->gateway);
    l->client.local_id = identity(WIRE_ID_RFC822, "client@holdfast.test");
    l->client.request_address = true;
    l->client_psks[0].remote = identity(WIRE_ID_FQDN, "gw.holdfast.test");
    secret_set(&l->client_psks[0].psk, "a shared key", 12);
    l->client.psks = l->client_psks;
    l->client.n_psks = 1;
    l->gateway.local_id = identity(WIRE_ID_FQDN, "gw.holdfast.test");
    l->gateway_psks[0].remote = identity(WIRE_ID_RFC822, "someone@holdfast.test");
    secret_set(&l->gateway_psks[0].psk, "another key", 11);
    l->gateway_psks[1].remote = l->client.local_id;
    secret_set(&l->gateway_psks[1].psk, "a shared key", 12);
    l->gateway.psks = l->gateway_psks;
    l->gateway.n_psks = 2;
    l->gateway.force_encap = true;
    l->gateway.local_ts[0] = subnet(0x0a4d0200, 24);
    l->gateway.n_local_ts = 1;
    l->gateway.dns[0] = addr_v4(0x0a4d020a);
    l->gateway.n_dns = 1;
    l->client_at = (struct endpoint){.ip = addr_v4(0x0a4d0132), .port = 500};
    l->gateway_at = (struct endpoint){.ip = addr_v4(0x0a4d0164), .port = 500};
    l->pool = addr_v4(0x0a630007);
    l->now_ms = 1000000;
    memset(l->cookie_secret, 0x11, 32);
    memset(l->cookie_previous, 0x22, 32);
    l->cookie_id = 9;
    return l;
}

struct ike_event lab_event(struct lab *l, enum ike_event_kind kind, bool at_client,
                           struct span datagram)
{
    struct ike_event ev = {.kind = kind,
                           .now_ms = l->now_ms,
                           .local = at_client ? l->client_at : l->gateway_at,
                           .remote = at_client ? l->gateway_at : l->client_at,
                           .datagram = datagram,
                           .shard = 3,
                           .cookie_required = l->cookie_required,
                           .cookie_secret = l->cookie_secret,
                           .cookie_secret_previous = l->cookie_previous,
                           .cookie_secret_id = l->cookie_id};

    l->seed++;
    for (size_t i = 0; i < sizeof ev.entropy; i++)
        ev.entropy[i] = (uint8_t)(l->seed * 29u + i * 7u + 1u);
    ev.natt = l->gateway_at.port == 4500;
    ev.has_pool[SLOT_V4] = !l->no_pool4;
    ev.has_pool[SLOT_V6] = addr_is_set(&l->pool6);
    return ev;
}

static enum ike_outcome dispatch(struct lab *l, const struct ike_policy *p,
                                 const struct ike_sa *before, const struct ike_event *ev)
{
    static struct ike_received rx;
    enum ike_reason reason;

    if (before == NULL)
        return ev->kind == IKE_EV_INITIATE ? ike_init_begin(p, ev, &l->out)
                                           : ike_init_handle_request(p, ev, &l->out);
    if (before->role == IKE_INITIATOR && before->pending.exchange == IKE_EX_INIT)
        return ike_init_handle_response(p, before, ev, &l->out);
    switch (ike_message_receive(p, before, ev->datagram, &rx, &reason)) {
    case IKE_RX_REQUEST:
        return ike_auth_handle_request(p, before, ev, &rx, &l->out);
    case IKE_RX_RESPONSE:
        return ike_auth_handle_response(p, before, ev, &rx, &l->out);
    default:
        l->out.reason = reason;
        return IKE_IGNORED;
    }
}

static bool answered(enum ike_job_kind kind, const struct ike_event *ev)
{
    return kind == IKE_JOB_KE ? ev->ke.done : kind == IKE_JOB_SIGN ? ev->sign.done : ev->proof.done;
}

enum ike_outcome lab_step(struct lab *l, const struct ike_policy *p, const struct ike_sa *before,
                          struct ike_event *ev)
{
    for (;;) {
        enum ike_outcome outcome = dispatch(l, p, before, ev);

        if (outcome == IKE_NEED_JOB) {
            cr_assert_not(answered(l->out.job.kind, ev), "asked twice");
            ike_job_run(&l->out.job, ev);
        } else if (outcome == IKE_NEED_ADDRESS) {
            cr_assert_not(ev->address.done, "asked twice");
            l->addresses_asked++;
            ev->address = (struct ike_address_result){.done = true, .ip = {l->pool, l->pool6}};
        } else {
            return outcome;
        }
    }
}

enum ike_outcome lab_to_client(struct lab *l, struct span datagram)
{
    struct ike_event ev = lab_event(l, IKE_EV_DATAGRAM, true, datagram);

    return lab_step(l, &l->client, l->c.state == IKE_SA_NONE ? NULL : &l->c, &ev);
}

enum ike_outcome lab_to_gateway(struct lab *l, struct span datagram)
{
    struct ike_event ev = lab_event(l, IKE_EV_DATAGRAM, false, datagram);

    return lab_step(l, &l->gateway, l->g.state == IKE_SA_NONE ? NULL : &l->g, &ev);
}

void lab_begin(struct lab *l)
{
    struct ike_event ev = lab_event(l, IKE_EV_INITIATE, true, span_of(NULL, 0));

    cr_assert_eq(lab_step(l, &l->client, NULL, &ev), IKE_LOCAL);
    cr_assert(l->out.n_effects == 1 && l->out.effects[0].kind == IKE_SEND_REQUEST);
    l->c = l->out.after;
}

void lab_half_open(struct lab *l)
{
    lab_begin(l);
    cr_assert_eq(lab_to_gateway(l, message_span(&l->c.pending.request)), IKE_LOCAL);
    cr_assert_eq(l->out.after.state, IKE_SA_HALF_OPEN);
    l->g = l->out.after;
}

void lab_auth_sent(struct lab *l)
{
    lab_half_open(l);
    cr_assert_eq(lab_to_client(l, message_span(&l->g.handshake.init_response)), IKE_STEPPED);
    l->c = l->out.after;
    cr_assert_eq(l->c.pending.exchange, IKE_EX_AUTH);
    l->client_at.port = l->c.local.port;
    l->gateway_at.port = l->c.remote.port;
}

void lab_established(struct lab *l)
{
    lab_auth_sent(l);
    cr_assert_eq(lab_to_gateway(l, message_span(&l->c.pending.request)), IKE_STEPPED);
    l->g = l->out.after;
    cr_assert_eq(l->g.state, IKE_SA_ESTABLISHED);
    cr_assert_eq(lab_to_client(l, message_span(&l->g.last_response)), IKE_STEPPED);
    l->c = l->out.after;
    cr_assert_eq(l->c.state, IKE_SA_ESTABLISHED);
}

bool holds_notify(struct lab *l, const struct ike_policy *p, const struct ike_sa *reader,
                  struct span message, uint16_t type)
{
    static struct ike_received rx;
    enum ike_reason reason;
    enum ike_rx kind = ike_message_receive(p, reader, message, &rx, &reason);

    (void)l;
    cr_assert(kind == IKE_RX_REQUEST || kind == IKE_RX_RESPONSE, "not readable: %d", (int)reason);
    return wire_body_notify(&rx.body, type) != NULL;
}

struct wire_notify plain_notify(struct span message)
{
    static struct wire_body body;
    struct wire_header h;

    cr_assert_eq(wire_header_decode(message, &h), WIRE_OK);
    cr_assert(wire_is_response(&h) && h.message_id == 0);
    cr_assert_eq(
        wire_body_decode(h.next_payload,
                         span_of(message.data + WIRE_HEADER_BYTES, message.len - WIRE_HEADER_BYTES),
                         &body),
        WIRE_OK);
    cr_assert_eq(body.n_notifies, 1);
    return body.notifies[0];
}
