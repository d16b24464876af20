/* COOKIE (RFC 7296 2.6): made and checked without any state, followed by the initiator. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "ike/cookie.h"

#include "harness.h"

static struct ike_message request_of(struct lab *l)
{
    lab_begin(l);
    return l->c.pending.request;
}

static enum ike_outcome fresh(struct lab *l, struct span datagram)
{
    struct ike_event ev = lab_event(l, IKE_EV_DATAGRAM, false, datagram);

    return lab_step(l, &l->gateway, NULL, &ev);
}

/* The challenge went out and nothing is kept. */
static struct wire_notify answered(struct lab *l)
{
    static const struct ike_sa nothing;

    cr_assert(l->out.n_effects == 1 && l->out.effects[0].kind == IKE_SEND_PLAIN);
    cr_assert_eq(memcmp(&l->out.after, &nothing, sizeof nothing), 0);
    return plain_notify(message_span(&l->out.plain));
}

Test(cookie, challenge_and_answer)
{
    struct lab *l = lab_new();
    struct ike_message first = request_of(l);
    struct wire_notify n;

    l->cookie_required = true;
    cr_assert_eq(fresh(l, message_span(&first)), IKE_LOCAL);
    cr_assert_eq(l->out.reason, IKE_REASON_COOKIE_SENT);
    n = answered(l);
    cr_assert(n.type == WIRE_N_COOKIE && n.data.len == IKE_COOKIE_BYTES && n.data.data[0] == 9);
    cr_assert_leq(l->out.plain.len, first.len, "no amplification before the cookie");
    /* The client repeats its request with the cookie first (RFC 7296 2.6), nonce and KE unchanged.
     */
    {
        struct ike_message challenge = l->out.plain;

        cr_assert_eq(lab_to_client(l, message_span(&challenge)), IKE_LOCAL);
        l->c = l->out.after;
        cr_assert_eq(l->c.pending.request.bytes[16], WIRE_PL_NOTIFY);
        cr_assert_eq(l->c.pending.request.len, first.len + 8 + IKE_COOKIE_BYTES);
        cr_assert_eq(memcmp(l->c.pending.request.bytes + 28 + 8 + IKE_COOKIE_BYTES,
                            first.bytes + 28, first.len - 28u),
                     0);
        cr_assert(l->c.pending.message_id == 0 && l->c.handshake.init_tries == 2);
    }
    cr_assert_eq(fresh(l, message_span(&l->c.pending.request)), IKE_LOCAL);
    cr_assert_eq(l->out.after.state, IKE_SA_HALF_OPEN);
    /* One turn of the secret later it is still good, two turns later it is not. */
    memcpy(l->cookie_previous, l->cookie_secret, 32);
    memset(l->cookie_secret, 0x33, 32);
    l->cookie_id = 10;
    cr_assert_eq(fresh(l, message_span(&l->c.pending.request)), IKE_LOCAL);
    cr_assert_eq(l->out.after.state, IKE_SA_HALF_OPEN);
    memcpy(l->cookie_previous, l->cookie_secret, 32);
    l->cookie_id = 11;
    cr_assert_eq(fresh(l, message_span(&l->c.pending.request)), IKE_LOCAL);
    cr_assert_eq(l->out.reason, IKE_REASON_COOKIE_WRONG);
    cr_assert_eq(answered(l).data.data[0], 11);
    free(l);
}

Test(cookie, cookie_of_another)
{
    struct lab *l = lab_new();
    struct ike_message challenge;
    struct ike_event ev;

    (void)request_of(l);
    l->cookie_required = true;
    cr_assert_eq(fresh(l, message_span(&l->c.pending.request)), IKE_LOCAL);
    challenge = l->out.plain;
    cr_assert_eq(lab_to_client(l, message_span(&challenge)), IKE_LOCAL);
    l->c = l->out.after;
    /* From another address, or with a changed byte in the cookie, the SPI or the nonce: challenged
     * anew. */
    ev = lab_event(l, IKE_EV_DATAGRAM, false, message_span(&l->c.pending.request));
    ev.remote.ip.bytes[3] ^= 1;
    cr_assert_eq(lab_step(l, &l->gateway, NULL, &ev), IKE_LOCAL);
    cr_assert(l->out.reason == IKE_REASON_COOKIE_WRONG && l->out.after.state == IKE_SA_NONE);
    for (size_t at = 28 + 8; at < 28 + 8 + IKE_COOKIE_BYTES; at++) {
        struct ike_message spoilt = l->c.pending.request;

        spoilt.bytes[at] ^= 0x40;
        cr_assert_eq(fresh(l, message_span(&spoilt)), IKE_LOCAL);
        cr_assert(l->out.reason == IKE_REASON_COOKIE_WRONG && l->out.after.state == IKE_SA_NONE,
                  "byte %zu", at);
    }
    {
        struct ike_message spoilt = l->c.pending.request;

        spoilt.bytes[3] ^= 1;
        cr_assert_eq(fresh(l, message_span(&spoilt)), IKE_LOCAL);
        cr_assert(l->out.reason == IKE_REASON_COOKIE_WRONG && l->out.after.state == IKE_SA_NONE);
    }
    /* Under load without a secret: nothing at all. */
    ev = lab_event(l, IKE_EV_DATAGRAM, false, message_span(&l->c.pending.request));
    ev.cookie_secret = NULL;
    cr_assert_eq(lab_step(l, &l->gateway, NULL, &ev), IKE_IGNORED);
    cr_assert_eq(l->out.n_effects, 0);
    free(l);
}

Test(cookie, cookies_are_followed_only_so_often)
{
    struct lab *l = lab_new();
    unsigned followed = 0;

    (void)request_of(l);
    l->cookie_required = true;
    cr_assert_eq(fresh(l, message_span(&l->c.pending.request)), IKE_LOCAL);
    for (unsigned i = 0; i < 10; i++) {
        struct ike_message challenge = l->out.plain;
        enum ike_outcome outcome = lab_to_client(l, message_span(&challenge));

        if (outcome == IKE_IGNORED)
            break;
        followed++;
        l->c = l->out.after;
        l->out.plain = challenge;
    }
    cr_assert_eq(followed, 3);
    free(l);
}
