/* ike_step on an established pair, four ways, by the first byte:
 *
 *   'r'  the rest is a datagram as it comes: nothing may change
 *   'x'  a good, sealed request of the client is bent by the rest (xor): nothing may change unless
 *        it came out as it was
 *   'a'  the gateway begins an exchange, the next byte says which; the rest is sealed as the
 *        inside of the client's answer, and of those to what the gateway sends next
 *   else the rest is sealed as the inside of a request, with an exchange type and a first payload
 *        of the fuzzer's choice; with a high one, message ID 0 (RFC 6311)
 *
 * What is sealed is authenticated, so it may do anything but break an invariant. After each, time
 * goes on for a while, and the states must still encode (the harness checks each step: determinism,
 * IKE_LOCAL changes nothing, no message ID with two texts, no IV twice).
 */
#include <stdlib.h>

#include "ike_pair/pair.h"
#include "ike/message.h"
#include "wire/header.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pair *fresh, *p;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fresh = pair_new(1);
    p = pair_new(1);
    for (int w = CLIENT; w <= GATEWAY; w++)
        fresh->side[w].sas[0].sync_agreed = true;
    return 0;
}

/* Back to the beginning; the big arrays need not be cleared. */
static void reset(void)
{
    for (int w = CLIENT; w <= GATEWAY; w++) {
        for (size_t i = 0; i < PAIR_MAX_SAS; i++)
            p->side[w].sas[i].state = IKE_SA_NONE;
        p->side[w].sas[0] = fresh->side[w].sas[0];
    }
    p->now_ms = fresh->now_ms;
    p->rng = fresh->rng;
    p->n_flying = p->n_said = p->n_sent = 0;
}

static size_t encoded(const struct ike_sa *sa, uint8_t *out)
{
    size_t len = 0;

    if (!ike_sa_encode(sa, out, IKE_SA_ENCODED_MAX, &len))
        pair_violation(p, "a state that does not encode");
    return len;
}

/* Gives the bytes to the gateway's SA, whatever their SPIs say. */
static void must_change_nothing(struct span bytes)
{
    static uint8_t before[IKE_SA_ENCODED_MAX], after[IKE_SA_ENCODED_MAX];
    struct ike_event ev = {.kind = IKE_EV_DATAGRAM,
                           .natt = true,
                           .local = p->side[GATEWAY].at,
                           .remote = p->side[CLIENT].at,
                           .datagram = bytes};
    struct ike_sa *sa = &p->side[GATEWAY].sas[0];
    size_t len = encoded(sa, before);

    if (pair_event(p, GATEWAY, sa, &ev) != IKE_IGNORED)
        pair_violation(p, "a datagram without a valid ICV was not ignored");
    if (encoded(sa, after) != len || memcmp(before, after, len) != 0 || p->n_flying != 0)
        pair_violation(p, "a datagram without a valid ICV changed something");
}

/* The first payload's type, then raw bytes: generic headers are the fuzzer's. */
static void fill(struct ike_draft *d, const uint8_t *data, size_t size)
{
    ike_draft_begin(d);
    if (size == 0)
        return;
    d->b.first = data[0];
    wire_write_span(&d->b.w, span_of(data + 1, size - 1));
}

static bool seal(struct ike_sa *client, uint8_t choice, const uint8_t *data, size_t size)
{
    static const enum ike_exchange kinds[] = {IKE_EX_CHILD_REKEY, IKE_EX_DPD, IKE_EX_AUTH};
    struct ike_draft d;

    fill(&d, data, size);
    if (choice >= 128)
        client->next_request_id = 0;
    return ike_seal_request(&p->side[CLIENT].policy, client, kinds[choice % 3], p->now_ms, &d);
}

static void bend(const uint8_t *data, size_t size)
{
    struct ike_sa client = p->side[CLIENT].sas[0];
    struct ike_message m;
    bool changed = false;

    if (!seal(&client, 1, NULL, 0))
        return;
    m = client.pending.request;
    for (size_t i = 0; i < size; i++) {
        m.bytes[i % m.len] ^= data[i];
        changed = memcmp(m.bytes, client.pending.request.bytes, m.len) != 0;
    }
    /* Reserved header bits may change: they are covered by the ICV all the same. */
    if (changed)
        must_change_nothing(span_of(m.bytes, m.len));
}

static void authentic(uint8_t choice, const uint8_t *data, size_t size)
{
    struct ike_sa client = p->side[CLIENT].sas[0];

    if (!seal(&client, choice, data, size))
        return;
    if (choice >= 128 && (choice & 8) != 0) /* something of the gateway's is out */
        (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD_NOPFS);
    (void)pair_inject(p, GATEWAY,
                      span_of(client.pending.request.bytes, client.pending.request.len));
    p->n_flying = 0; /* the answers are for the copy */
    if ((choice & 4) != 0)
        (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD_NOPFS);
    pair_pass(p, 100000);
}

/* The client's answer to the gateway's request in flight: the fuzzer's bytes. False: none is in
 * flight, or they do not fit. */
static bool answer(const uint8_t *data, size_t size)
{
    struct ike_sa *client = &p->side[CLIENT].sas[0];
    struct pair_flying request;
    struct wire_header header;
    struct ike_draft d;

    if (p->n_flying == 0 || p->flying[0].from != GATEWAY)
        return false;
    request = p->flying[0];
    p->n_flying = 0;
    fill(&d, data, size);
    if (wire_header_decode(span_of(request.bytes, request.len), &header) != WIRE_OK ||
        client->state != IKE_SA_ESTABLISHED || header.spi_i != client->local_spi ||
        !ike_seal_response(&p->side[CLIENT].policy, client, span_of(request.bytes, request.len),
                           &header, &d))
        return false;
    (void)pair_inject(p, GATEWAY, span_of(client->last_response.bytes, client->last_response.len));
    return true;
}

/* choice % 5: what the gateway begins; + 8: it takes over before the answer; + 16: a CHILD SA meets
 * its hard limit before it. */
static void answered(uint8_t choice, const uint8_t *data, size_t size)
{
    static const uint32_t wants[] = {IKE_WANT_REKEY_CHILD_NOPFS, IKE_WANT_REKEY_CHILD_PFS,
                                     IKE_WANT_REKEY_IKE, IKE_WANT_DPD, IKE_WANT_DELETE_CHILD};
    uint32_t spi = p->side[GATEWAY].sas[0].children[0].spi_in;

    (void)pair_command(p, GATEWAY, wants[(choice & 7) % 5]);
    if ((choice & 8) != 0)
        pair_takeover(p, GATEWAY);
    if ((choice & 16) != 0)
        (void)pair_esp(p, GATEWAY, IKE_EV_CHILD_HARD, spi);
    for (int i = 0; i < 4 && answer(data, size); i++)
        continue;
    pair_pass(p, 100000); /* the client's own code goes on, with what it has not noticed */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    reset();
    if (data[0] == 'r')
        must_change_nothing(span_of(data + 1, size - 1));
    else if (data[0] == 'x')
        bend(data + 1, size - 1);
    else if (data[0] == 'a')
        answered(size > 1 ? data[1] : 0, data + (size > 1 ? 2 : 1), size > 1 ? size - 2 : 0);
    else
        authentic(data[0], data + 1, size - 1);
    return 0;
}
