/* TEMPORARY_FAILURE, RFC 7296 2.25: not asked again at once, asked again after a while, and a peer that says
 * nothing else for several minutes is out of step: the IKE SA is closed. And an answer whose public value is
 * none (RFC 6989 2.5). */
#include <criterion/criterion.h>
#include <stdio.h>

#include "ike/message.h"
#include "ike_pair/pair.h"

enum { MINUTE_MS = 60000, TICK_MS = 100, SOONEST_MS = 5000 };

static struct pair *p;

static void setup(void)
{
    p = pair_new(77);
    p->held[GATEWAY] = true;
    p->side[GATEWAY].policy.dpd_ms = p->side[CLIENT].policy.dpd_ms = 0;
}

static void teardown(void)
{
    pair_free(p);
}

TestSuite(refusals, .init = setup, .fini = teardown);

static uint64_t last_asked_ms;

/* What the gateway sent gets to the client, but CREATE_CHILD_SA is refused there with this notify; 0: served.
 * Returns how many were refused. */
static size_t client_answers(uint16_t notify)
{
    size_t refused = 0;

    while (pair_flying_from(p, GATEWAY) > 0) {
        struct span bytes = {0};
        struct ike_sa *sa = pair_sa(p, CLIENT, IKE_SA_ESTABLISHED);
        struct wire_header h;

        for (size_t i = p->n_flying; i-- > 0;)
            if (p->flying[i].from == GATEWAY)
                bytes = span_of(p->flying[i].bytes, p->flying[i].len);
        cr_assert_eq(wire_header_decode(bytes, &h), WIRE_OK);
        if (notify == 0 || h.exchange != WIRE_EX_CREATE_CHILD_SA || wire_is_response(&h)) {
            cr_assert(pair_deliver(p, GATEWAY));
            continue;
        }
        if (h.message_id != sa->expected_request_id) { /* a copy, of an owner that took over */
            cr_assert(pair_lose(p, GATEWAY));
            continue;
        }
        cr_assert(last_asked_ms == 0 || p->now_ms - last_asked_ms >= SOONEST_MS,
                  "asked again after %lu ms", (unsigned long)(p->now_ms - last_asked_ms));
        last_asked_ms = p->now_ms;
        cr_assert(
            ike_answer_notify(&p->side[CLIENT].policy, sa, bytes, &h, notify, (struct span){0}));
        cr_assert(pair_lose(p, GATEWAY));
        pair_fly_answer(p, CLIENT, sa);
        refused++;
    }
    return refused;
}

/* Time passes, with the client refusing. */
static size_t refuse_for(uint64_t ms)
{
    size_t refused = 0;

    for (uint64_t t = 0; t < ms; t += TICK_MS) {
        pair_pass(p, TICK_MS);
        refused += client_answers(WIRE_N_TEMPORARY_FAILURE);
    }
    return refused;
}

static void ask(uint32_t want)
{
    last_asked_ms = 0;
    cr_assert_eq(pair_command(p, GATEWAY, want), IKE_STEPPED);
}

static const uint32_t wants[] = {IKE_WANT_REKEY_CHILD, IKE_WANT_REKEY_IKE, IKE_WANT_CHILD};

Test(refusals, for_several_minutes_the_ike_sa_is_closed)
{
    size_t asked = 0;

    for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
        if (i > 0) {
            teardown();
            setup();
        }
        p->takeover_always = i == 1; /* the minutes count on another node */
        ask(wants[i]);
        asked += refuse_for(4 * MINUTE_MS + 50000);
        cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED), "not yet: want %zu", i);
        asked += refuse_for(MINUTE_MS);
        cr_assert_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED), "want %zu", i);
        cr_assert_null(pair_sa(p, CLIENT, IKE_SA_ESTABLISHED), "told by a Delete");
    }
    printf("compared %zu refusals\n", asked);
}

/* A success in between, or a long silence: counted from the start again. */
Test(refusals, that_end_close_nothing)
{
    for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
        if (i > 0) {
            teardown();
            setup();
        }
        ask(wants[i]);
        (void)refuse_for(4 * MINUTE_MS);
        for (uint64_t t = 0; t < 20000; t += TICK_MS) {
            pair_pass(p, TICK_MS);
            (void)client_answers(0);
        }
        cr_assert_null(pair_disagreement(p));
        ask(wants[i]);
        (void)refuse_for(4 * MINUTE_MS);
        cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED), "want %zu", i);
    }
}

Test(refusals, far_apart_close_nothing)
{
    for (int i = 0; i < 4; i++) {
        ask(IKE_WANT_REKEY_CHILD);
        cr_assert_eq(client_answers(WIRE_N_TEMPORARY_FAILURE), 1);
        pair_pass(p, TICK_MS);
        p->held[CLIENT] = true; /* the client rekeys it meanwhile */
        cr_assert_eq(pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD), IKE_STEPPED);
        p->held[CLIENT] = p->held[GATEWAY] = false;
        pair_run(p);
        cr_assert_null(pair_disagreement(p));
        pair_pass(p, 3 * MINUTE_MS);
        p->held[GATEWAY] = true;
    }
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
}

/* What an operator reads: the peer's word, and a reason that means the same. */
Test(refusals, are_told_by_their_names)
{
    static const struct {
        uint16_t notify;
        enum ike_reason reason;
    } rows[] = {{WIRE_N_TEMPORARY_FAILURE, IKE_REASON_TEMPORARY_FAILURE},
                {WIRE_N_NO_ADDITIONAL_SAS, IKE_REASON_TOO_MANY_CHILDREN},
                {WIRE_N_NO_PROPOSAL_CHOSEN, IKE_REASON_NO_PROPOSAL},
                {WIRE_N_TS_UNACCEPTABLE, IKE_REASON_TS_UNACCEPTABLE},
                {8191, IKE_REASON_NO_PROPOSAL}}; /* not registered: failed all the same (3.10.1) */

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t j = 0; j < sizeof wants / sizeof wants[0]; j++) {
            const struct pair_said *said;

            teardown();
            setup();
            ask(wants[j]);
            cr_assert_eq(client_answers(rows[i].notify), 1);
            pair_run(p);
            said = &p->said[0];
            for (size_t k = 0; k < p->n_said; k++)
                if (p->said[k].who == GATEWAY && p->said[k].event == IKE_EV_DATAGRAM)
                    said = &p->said[k];
            cr_assert_eq(said->peer_error, rows[i].notify, "row %zu want %zu", i, j);
            cr_assert_eq(said->reason, rows[i].reason, "row %zu want %zu: %s", i, j,
                         ike_reason_name(said->reason));
        }
}

/* The answer to our request is well formed, but its KE value is all zero. */
Test(refusals, an_answer_with_a_value_that_is_none_ends_the_ike_sa)
{
    static const uint32_t with_ke[] = {IKE_WANT_REKEY_CHILD_PFS, IKE_WANT_REKEY_IKE};
    static const uint8_t zero[32];

    for (size_t i = 0; i < 2; i++) {
        struct ike_draft d;
        struct wire_sa chosen = {0};
        struct wire_header h;
        struct ike_sa *c, *g;
        struct span request;
        bool ike = with_ke[i] == IKE_WANT_REKEY_IKE;
        const struct ike_child *child;
        struct wire_ts_list ts = {.n = 1};

        if (i > 0) {
            teardown();
            setup();
        }
        ask(with_ke[i]);
        c = pair_sa(p, CLIENT, IKE_SA_ESTABLISHED);
        child = &c->children[0];
        request = span_of(p->flying[0].bytes, p->flying[0].len);
        cr_assert_eq(wire_header_decode(request, &h), WIRE_OK);
        wire_sa_add_proposal(&chosen, 1, ike ? WIRE_PROTO_IKE : WIRE_PROTO_ESP,
                             span_of("12345678", ike ? 8 : 4));
        wire_sa_add_transform(&chosen, WIRE_TR_ENCR, child->encr_id, child->encr_bits);
        if (ike)
            wire_sa_add_transform(&chosen, WIRE_TR_PRF, c->prf_id, 0);
        else
            wire_sa_add_transform(&chosen, WIRE_TR_ESN, child->esn, 0);
        wire_sa_add_transform(&chosen, WIRE_TR_KE, 31, 0);
        ike_draft_begin(&d);
        wire_put_sa(&d.b, &chosen);
        wire_put_nonce(&d.b, span_of("0123456789abcdef", 16));
        wire_put_ke(&d.b, 31, span_of(zero, sizeof zero));
        ts.items[0] = (struct wire_ts){
            .port_high = 65535, .low = child->remote_ts[0].low, .high = child->remote_ts[0].high};
        wire_put_ts(&d.b, WIRE_PL_TSI, &ts);
        ts.items[0].low = child->local_ts[0].low;
        ts.items[0].high = child->local_ts[0].high;
        wire_put_ts(&d.b, WIRE_PL_TSR, &ts);
        cr_assert(ike_seal_response(&p->side[CLIENT].policy, c, request, &h, &d));
        cr_assert_eq(pair_inject(p, GATEWAY, span_of(c->last_response.bytes, c->last_response.len)),
                     IKE_STEPPED);
        g = pair_sa(p, GATEWAY, IKE_SA_DELETING);
        cr_assert_not_null(g, "want %zu", i);
        cr_assert_eq(g->pending.exchange, IKE_EX_IKE_DELETE);
    }
}
