#include "ike/message.h"

#include "wire/sk.h"

uint8_t ike_exchange_wire(enum ike_exchange e)
{
    switch (e) {
    case IKE_EX_INIT:
        return WIRE_EX_IKE_SA_INIT;
    case IKE_EX_AUTH:
        return WIRE_EX_IKE_AUTH;
    case IKE_EX_CHILD_CREATE:
    case IKE_EX_CHILD_REKEY:
    case IKE_EX_CHILD_REKEY_PFS:
    case IKE_EX_IKE_REKEY:
        return WIRE_EX_CREATE_CHILD_SA;
    default:
        return WIRE_EX_INFORMATIONAL;
    }
}

static const struct suite_aead *aead_of(const struct ike_policy *policy, const struct ike_sa *sa)
{
    return suite_find_aead(policy->suites, sa->encr_id, sa->encr_bits, sa->integ_id);
}

/* A context for one message. False: the cipher failed; nothing is held. */
static bool key_context(struct suite_aead_context *c, const struct suite_aead *aead,
                        const struct secret *key, const struct secret *integ)
{
    HF_ASSERT(key->len == aead->key_bytes + aead->salt_bytes && integ->len == aead->integ_bytes);
    return aead->context_init(c, aead, key->bytes, integ->bytes);
}

enum ike_reason ike_reason_of_wire(enum wire_result result)
{
    switch (result) {
    case WIRE_OK:
        return IKE_REASON_NONE;
    case WIRE_TRUNCATED:
        return IKE_REASON_TRUNCATED;
    case WIRE_VERSION:
        return IKE_REASON_WRONG_VERSION;
    case WIRE_CRITICAL:
        return IKE_REASON_UNSUPPORTED_CRITICAL;
    default:
        return IKE_REASON_MALFORMED;
    }
}

/* Does the header belong to this SA at all? */
static enum ike_reason check_header(const struct ike_sa *sa, const struct wire_header *h)
{
    bool from_initiator = (h->flags & WIRE_FLAG_INITIATOR) != 0;

    if (h->spi_i != ike_spi_i(sa) || h->spi_r != ike_spi_r(sa))
        return IKE_REASON_WRONG_SPI;
    if (from_initiator != (sa->role == IKE_RESPONDER))
        return IKE_REASON_MALFORMED; /* RFC 7296 3.1: set by the original initiator only */
    if (h->exchange < WIRE_EX_IKE_AUTH || h->exchange > WIRE_EX_INFORMATIONAL)
        return IKE_REASON_UNEXPECTED_EXCHANGE;
    return IKE_REASON_NONE;
}

/* Is it the request that last_response answers, byte for byte? */
static bool is_repeated(const struct ike_policy *policy, const struct ike_sa *sa,
                        struct span datagram)
{
    uint8_t digest[sizeof sa->last_request_digest];

    return policy->suites->sha256->compute(&datagram, 1, digest) &&
           secret_equal_bytes(digest, sa->last_request_digest, sizeof digest);
}

/* Windows of 1 (RFC 7296 2.3). IKE_RX_REQUEST and _RESPONSE mean: go on and open it. */
static enum ike_rx check_window(const struct ike_policy *policy, const struct ike_sa *sa,
                                const struct wire_header *h, struct span datagram,
                                enum ike_reason *reason)
{
    bool last = sa->last_response.len > 0 && h->message_id + 1 == sa->expected_request_id;

    if (wire_is_response(h)) {
        const struct ike_pending *pending = &sa->pending;

        if (pending->exchange != IKE_EX_NONE && pending->message_id == h->message_id &&
            ike_exchange_wire(pending->exchange) == h->exchange)
            return IKE_RX_RESPONSE;
        *reason = IKE_REASON_UNEXPECTED_RESPONSE;
        return IKE_RX_DROP;
    }
    if (h->message_id == sa->expected_request_id)
        return IKE_RX_REQUEST;
    if (last && is_repeated(policy, sa, datagram))
        return IKE_RX_RETRANSMIT; /* also of ID 0: the peer's first request may be a repeated one */
    if (h->message_id == 0 && sa->sync_agreed && h->exchange == WIRE_EX_INFORMATIONAL)
        return IKE_RX_SYNC;
    if (h->message_id > sa->expected_request_id) {
        *reason = IKE_REASON_FUTURE_MESSAGE_ID;
        return IKE_RX_DROP;
    }
    *reason = last ? IKE_REASON_REPLAY_DIFFERS : IKE_REASON_OLD_MESSAGE_ID;
    return IKE_RX_DROP;
}

/* Authenticates the SK payload with these keys and decrypts it into `plain`. *text: payloads and
 * padding; *inner: the type of the first payload. */
static enum ike_reason open_sk(const struct suite_aead *aead, const struct secret *key,
                               const struct secret *integ, uint8_t first, struct span datagram,
                               uint8_t *plain, struct span *text, uint8_t *inner)
{
    struct wire_chain chain;
    struct wire_sk sk;
    struct span outer =
        span_of(datagram.data + WIRE_HEADER_BYTES, datagram.len - WIRE_HEADER_BYTES);
    struct suite_covered covered = {0};
    struct suite_aead_context context;
    uint8_t unsupported;
    enum wire_result result = wire_chain_decode(first, outer, &chain, &unsupported);
    bool opened;

    if (result != WIRE_OK)
        return ike_reason_of_wire(result);
    if (chain.n != 1 || chain.items[0].type != WIRE_PL_SK)
        return IKE_REASON_MALFORMED;
    result = wire_sk_split(chain.items[0].body, aead->iv_bytes, aead->icv_bytes, &sk);
    if (result != WIRE_OK)
        return ike_reason_of_wire(result);
    /* SK comes last (RFC 7296 3.14), so what lies before its IV is the associated data (RFC
     * 5282 5.1). */
    covered.before =
        span_of(datagram.data, datagram.len - sk.iv.len - sk.ciphertext.len - sk.icv.len);
    if (!key_context(&context, aead, key, integ))
        return IKE_REASON_BAD_ICV;
    opened = aead->context_open(&context, sk.iv.data, &covered, sk.ciphertext, sk.icv.data, plain);
    aead->context_deinit(&context);
    if (!opened)
        return IKE_REASON_BAD_ICV;
    *text = span_of(plain, sk.ciphertext.len);
    *inner = chain.items[0].next;
    return IKE_REASON_NONE;
}

/* Opens the peer's message, then decodes what was inside. */
static enum ike_reason open_message(const struct ike_policy *policy, const struct ike_sa *sa,
                                    struct span datagram, struct ike_received *rx)
{
    const struct suite_aead *aead = aead_of(policy, sa);
    struct span text, payloads;
    enum ike_reason reason;
    uint8_t first;

    if (aead == NULL || sa->keys.sk_e_in.len == 0)
        return IKE_REASON_UNEXPECTED_EXCHANGE;
    reason = open_sk(aead, &sa->keys.sk_e_in, &sa->keys.sk_a_in, rx->header.next_payload, datagram,
                     rx->plain, &text, &first);
    if (reason != IKE_REASON_NONE)
        return reason;
    rx->body_result = wire_sk_unpad(text, &payloads);
    if (rx->body_result == WIRE_OK)
        rx->body_result = wire_body_decode(first, payloads, &rx->body);
    else
        memset(&rx->body, 0, sizeof rx->body);
    return IKE_REASON_NONE;
}

/* Message ID 0 may be a request in the window or a synchronization: what is inside tells (RFC
 * 6311 5.1). */
static enum ike_rx kind_of_request(const struct ike_sa *sa, enum ike_rx kind,
                                   const struct ike_received *rx, enum ike_reason *reason)
{
    bool asks = rx->body_result == WIRE_OK &&
                wire_body_notify(&rx->body, WIRE_N_IKEV2_MESSAGE_ID_SYNC) != NULL;

    if (kind == IKE_RX_SYNC && !asks)
        *reason = IKE_REASON_OLD_MESSAGE_ID;
    if (sa->sync_agreed && asks && rx->header.message_id == 0 &&
        rx->header.exchange == WIRE_EX_INFORMATIONAL)
        return IKE_RX_SYNC;
    return kind;
}

enum ike_rx ike_message_receive(const struct ike_policy *policy, const struct ike_sa *sa,
                                struct span datagram, struct ike_received *rx,
                                enum ike_reason *reason)
{
    struct wire_header h;
    enum ike_rx kind;

    *reason = datagram.len > IKE_MAX_MESSAGE_BYTES
                  ? IKE_REASON_OVERSIZED
                  : ike_reason_of_wire(wire_header_decode(datagram, &h));
    if (*reason == IKE_REASON_NONE)
        *reason = check_header(sa, &h);
    if (*reason != IKE_REASON_NONE)
        return IKE_RX_DROP;
    kind = check_window(policy, sa, &h, datagram, reason);
    if (kind == IKE_RX_RETRANSMIT || kind == IKE_RX_DROP)
        return kind;
    rx->header = h;
    *reason = open_message(policy, sa, datagram, rx);
    if (*reason == IKE_REASON_NONE && kind != IKE_RX_RESPONSE)
        kind = kind_of_request(sa, kind, rx, reason);
    if (*reason == IKE_REASON_NONE)
        return kind;
    memset(rx, 0, sizeof *rx); /* nothing of what did not verify is left */
    return IKE_RX_DROP;
}

void ike_draft_begin(struct ike_draft *d)
{
    d->b = wire_builder_chain(d->room, sizeof d->room);
}

/* Encrypts what stands in the SK payload's room, under the SA's next number. */
static bool encipher(const struct suite_aead *aead, const struct ike_sa *sa, const uint8_t *message,
                     const struct wire_sk_room *room, size_t text_bytes)
{
    const struct suite_covered covered = {.before = span_of(message, room->aad_bytes)};
    struct suite_aead_context context;
    bool ok;

    if (!key_context(&context, aead, &sa->keys.sk_e_out, &sa->keys.sk_a_out))
        return false;
    ok = aead->context_seal(&context, sa->iv_next, &covered, span_of(room->ciphertext, text_bytes),
                            room->iv, room->ciphertext, room->icv);
    aead->context_deinit(&context);
    return ok;
}

/* Padding bytes before the pad length byte: none but what the block asks for (RFC 7296 3.14). */
static size_t padding(const struct suite_aead *aead, size_t text_bytes)
{
    size_t over = (text_bytes + 1) % aead->block_bytes;

    return over == 0 ? 0 : aead->block_bytes - over;
}

static bool seal(const struct ike_policy *policy, const struct ike_sa *sa, uint8_t exchange,
                 bool response, uint32_t message_id, const struct ike_draft *d,
                 struct ike_message *out)
{
    const struct suite_aead *aead = aead_of(policy, sa);
    struct wire_builder inner = d->b;
    const struct wire_header h = {
        .spi_i = ike_spi_i(sa),
        .spi_r = ike_spi_r(sa),
        .major = WIRE_MAJOR_VERSION,
        .exchange = exchange,
        .flags = (uint8_t)((sa->role == IKE_INITIATOR ? WIRE_FLAG_INITIATOR : 0) |
                           (response ? WIRE_FLAG_RESPONSE : 0)),
        .message_id = message_id};
    uint8_t bytes[IKE_MAX_MESSAGE_BYTES];
    struct wire_builder b;
    struct wire_sk_room room;
    struct span text, whole;
    size_t pad;

    /* A 64-bit counter does not run out; if a damaged state says so, no IV is used twice. Message IDs
     * never wrap (RFC 7296 2.2, I6): with the last one the SA falls silent and ends as dead. */
    if (aead == NULL || sa->iv_next == UINT64_MAX || message_id == UINT32_MAX ||
        !wire_builder_finish(&inner, &text))
        return false;
    pad = padding(aead, text.len);
    b = wire_builder_message(bytes, sizeof bytes, &h);
    room = wire_put_sk(&b, inner.first, aead->iv_bytes, text.len + pad, aead->icv_bytes);
    if (!wire_builder_finish(&b, &whole))
        return false;
    if (text.len > 0)
        memcpy(room.ciphertext, text.data, text.len);
    memset(room.ciphertext + text.len, 0, pad);
    room.ciphertext[text.len + pad] = (uint8_t)pad;
    if (!encipher(aead, sa, bytes, &room, text.len + pad + 1))
        return false;
    memcpy(out->bytes, whole.data, whole.len);
    memset(out->bytes + whole.len, 0,
           sizeof out->bytes - whole.len); /* equal states, equal bytes */
    out->len = (uint16_t)whole.len;
    return true;
}

bool ike_seal_response(const struct ike_policy *policy, struct ike_sa *sa, struct span request,
                       const struct wire_header *request_header, const struct ike_draft *d)
{
    uint8_t digest[sizeof sa->last_request_digest];

    HF_ASSERT(request_header->message_id == sa->expected_request_id);
    if (!policy->suites->sha256->compute(&request, 1, digest) ||
        !seal(policy, sa, request_header->exchange, true, request_header->message_id, d,
              &sa->last_response))
        return false;
    memcpy(sa->last_request_digest, digest, sizeof digest);
    sa->expected_request_id++;
    sa->iv_next++;
    return true;
}

bool ike_seal_request(const struct ike_policy *policy, struct ike_sa *sa,
                      enum ike_exchange exchange, uint64_t now_ms, const struct ike_draft *d)
{
    HF_ASSERT(sa->pending.exchange == IKE_EX_NONE && exchange != IKE_EX_NONE);
    if (!seal(policy, sa, ike_exchange_wire(exchange), false, sa->next_request_id, d,
              &sa->pending.request))
        return false;
    sa->pending.exchange = exchange;
    sa->pending.message_id = sa->next_request_id++;
    sa->pending.sent_ms = sa->pending.asked_ms = now_ms;
    sa->iv_next++;
    return true;
}

bool ike_seal_sync(const struct ike_policy *policy, struct ike_sa *sa, const struct ike_draft *d)
{
    if (!seal(policy, sa, WIRE_EX_INFORMATIONAL, true, 0, d, &sa->last_response))
        return false;
    memset(sa->last_request_digest, 0, sizeof sa->last_request_digest);
    sa->iv_next++;
    return true;
}

bool ike_reseal_request(const struct ike_policy *policy, struct ike_sa *sa, uint64_t now_ms)
{
    const struct suite_aead *aead = aead_of(policy, sa);
    const struct span sent = span_of(sa->pending.request.bytes, sa->pending.request.len);
    struct ike_draft d;
    struct wire_header h;
    struct span text, payloads;
    uint8_t plain[IKE_MAX_MESSAGE_BYTES], first;
    bool ok;

    ike_draft_begin(&d);
    ok = aead != NULL && wire_header_decode(sent, &h) == WIRE_OK &&
         open_sk(aead, &sa->keys.sk_e_out, &sa->keys.sk_a_out, h.next_payload, sent, plain, &text,
                 &first) == IKE_REASON_NONE &&
         wire_sk_unpad(text, &payloads) == WIRE_OK;
    if (ok) {
        d.b.first = first;
        wire_write_span(&d.b.w, payloads);
        ok = seal(policy, sa, h.exchange, false, sa->next_request_id, &d, &sa->pending.request);
    }
    secret_wipe_bytes(plain, sizeof plain);
    if (!ok)
        return false;
    sa->pending.message_id = sa->next_request_id++;
    sa->pending.sent_ms = now_ms;
    sa->iv_next++;
    return true;
}

void ike_pending_clear(struct ike_sa *sa)
{
    secret_wipe_bytes(&sa->pending, sizeof sa->pending);
}

bool ike_answer_notify(const struct ike_policy *policy, struct ike_sa *sa, struct span request,
                       const struct wire_header *request_header, uint16_t type, struct span data)
{
    struct ike_draft d;

    ike_draft_begin(&d);
    wire_put_notify_plain(&d.b, type, data);
    return ike_seal_response(policy, sa, request, request_header, &d);
}

bool ike_answer_bad_body(const struct ike_policy *policy, struct ike_sa *sa, struct span request,
                         const struct ike_received *rx)
{
    HF_ASSERT(rx->body_result != WIRE_OK);
    if (rx->body_result == WIRE_CRITICAL)
        return ike_answer_notify(policy, sa, request, &rx->header,
                                 WIRE_N_UNSUPPORTED_CRITICAL_PAYLOAD,
                                 span_of(&rx->body.unsupported, 1));
    return ike_answer_notify(policy, sa, request, &rx->header, WIRE_N_INVALID_SYNTAX,
                             span_of(NULL, 0));
}

void ike_plain_notify(struct ike_message *plain, const struct wire_header *request, uint16_t type,
                      struct span data)
{
    struct wire_header h = *request;
    struct wire_builder b;
    struct span whole = {0};
    bool fits;

    h.major = WIRE_MAJOR_VERSION;
    h.minor = 0;
    h.flags = (request->flags & WIRE_FLAG_INITIATOR) != 0
                  ? WIRE_FLAG_RESPONSE
                  : WIRE_FLAG_RESPONSE | WIRE_FLAG_INITIATOR;
    b = wire_builder_message(plain->bytes, sizeof plain->bytes, &h);
    wire_put_notify_plain(&b, type, data);
    fits = wire_builder_finish(&b, &whole);
    HF_ASSERT(fits);
    plain->len = (uint16_t)whole.len;
}

void ike_effect_add(struct ike_transition *out, enum ike_effect_kind kind,
                    const struct endpoint *from, const struct endpoint *to, bool natt)
{
    HF_ASSERT(out->n_effects < IKE_MAX_EFFECTS);
    out->effects[out->n_effects++] =
        (struct ike_effect){.kind = kind, .from = *from, .to = *to, .natt = natt};
}

bool ike_message_keep(struct ike_message *m, struct span bytes)
{
    if (bytes.len > sizeof m->bytes)
        return false;
    memset(m, 0, sizeof *m);
    if (bytes.len > 0)
        memcpy(m->bytes, bytes.data, bytes.len);
    m->len = (uint16_t)bytes.len;
    return true;
}
