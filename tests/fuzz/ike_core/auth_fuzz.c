/* IKE_AUTH from a peer that holds the keys, by shared key or by certificate. First byte: 0 the gateway's side, 1 the client's, + 2:
 * on port 500, without UDP encapsulation; second: type of the first payload; then the inside of the
 * SK payload.
 */
#include "plain_suite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Puts the input into a message of the other end. */
static bool seal(const struct plain_ends *e, const uint8_t *data, size_t size, bool to_gateway,
                 struct ike_message *out)
{
    static struct ike_sa sa;
    static const struct wire_header answer_to = {.exchange = WIRE_EX_IKE_AUTH, .message_id = 1};
    struct ike_draft d;

    ike_draft_begin(&d);
    wire_write_span(&d.b.w, span_of(data + 2, size - 2));
    d.b.first = data[1];
    sa = to_gateway ? e->c : e->g;
    if (!to_gateway) {
        if (!ike_seal_response(&e->gateway, &sa, span_of(NULL, 0), &answer_to, &d))
            return false;
        *out = sa.last_response;
        return true;
    }
    ike_pending_clear(&sa);
    sa.next_request_id = 1;
    if (!ike_seal_request(&e->client, &sa, IKE_EX_AUTH, 1, &d))
        return false;
    *out = sa.pending.request;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct plain_ends *e = plain_ends();
    static struct ike_transition out;
    static struct ike_received rx;
    static struct ike_message m;
    enum ike_reason reason;
    enum ike_outcome outcome;
    struct ike_event ev;
    bool to_gateway;

    if (size < 2)
        return 0;
    to_gateway = data[0] % 2 == 0;
    if (!seal(e, data, size, to_gateway, &m))
        return 0;
    ev = plain_event(!to_gateway, span_of(m.bytes, m.len));
    ev.natt = (data[0] & 2) == 0;
    ev.local.port = ev.remote.port = ev.natt ? 4500 : 500;
    if (ike_message_receive(to_gateway ? &e->gateway : &e->client, to_gateway ? &e->g : &e->c,
                            ev.datagram, &rx, &reason) == IKE_RX_DROP)
        return 0;
    do {
        outcome = to_gateway ? ike_auth_handle_request(&e->gateway, &e->g, &ev, &rx, &out)
                             : ike_auth_handle_response(&e->client, &e->c, &ev, &rx, &out);
    } while (plain_serve(outcome, &out, &ev));
    plain_check(outcome, &out);
    /* Nobody gets in but by a shared key or a certificate that was judged good. */
    if (outcome == IKE_STEPPED && out.after.state == IKE_SA_ESTABLISHED)
        HF_ASSERT(ev.proof.done ? ev.proof.verdict == SUITE_GOOD
                                : rx.body.auth.method == WIRE_AUTH_PSK);
    return 0;
}
