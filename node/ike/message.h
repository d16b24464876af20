/* The message layer: header, SK payload, message IDs, kept bytes. RFC 7296 2.1-2.3, 3.1, 3.14;
 * RFC 5282.
 *
 *   datagram ─> ike_message_receive ─┬─ IKE_RX_REQUEST, _RESPONSE: authenticated, in window
 *                                    ├─ IKE_RX_RETRANSMIT: send last_response again as it is
 *                                    └─ IKE_RX_DROP: why
 *   payloads ─> ike_draft ─┬─ ike_seal_response ─> after->last_response
 *                          └─ ike_seal_request ──> after->pending.request
 *
 * Every sealed message takes the number iv_next and advances it: no IV of a key is used twice (I1b). Nothing
 * here decides what a message means, and nothing here writes to the SA but the two seal functions
 * and ike_pending_clear().
 */
#ifndef HF_IKE_MESSAGE_H
#define HF_IKE_MESSAGE_H

#include "ike/step.h"
#include "wire/body.h"

enum ike_rx { IKE_RX_REQUEST, IKE_RX_RESPONSE, IKE_RX_RETRANSMIT, IKE_RX_SYNC, IKE_RX_DROP };

/* A message that was authenticated and opened. Its spans point into `plain`: do not copy by value.
 */
struct ike_received {
    struct wire_header header;
    /* WIRE_OK, or why the inside could not be decoded though the ICV held: answer a request
     * INVALID_SYNTAX, or UNSUPPORTED_CRITICAL_PAYLOAD with body.unsupported
     * (ike_answer_bad_body()). */
    enum wire_result body_result;
    struct wire_body body;
    uint8_t plain[IKE_MAX_MESSAGE_BYTES];
};

/* Judges one datagram against an SA whose keys exist. Requests: the peer's flag, SPIs of this SA,
 * message ID equal to expected_request_id (then opened), or one below with the very same bytes
 * (RETRANSMIT; SHA-256 of the whole datagram), anything else is dropped with its reason. Responses:
 * our pending request's ID and exchange type. SYNC: an INFORMATIONAL request with message ID 0 and
 * IKEV2_MESSAGE_ID_SYNC, where both ends speak that (RFC 6311 5.1): beside the window.
 * *rx holds a message only for REQUEST, RESPONSE and SYNC;
 * *reason always. Unprotected messages are dropped (IKE_SA_INIT has its own way: init.c). */
enum ike_rx ike_message_receive(const struct ike_policy *policy, const struct ike_sa *sa,
                                struct span datagram, struct ike_received *rx,
                                enum ike_reason *reason) HF_MUST_USE;

/* Plaintext under construction: wire_put_*(&draft.b, ...). */
struct ike_draft {
    struct wire_builder b;
    uint8_t room[IKE_MAX_MESSAGE_BYTES];
};

void ike_draft_begin(struct ike_draft *d);

/* Seals the draft as the answer to `rx` and executes the request's place in the window: writes
 * sa->last_response, last_request_digest (of `request`, the whole datagram), expected_request_id +
 * 1, iv_next + 1. False: it does not fit in IKE_MAX_MESSAGE_BYTES, or the cipher failed; sa is
 * unchanged. */
bool ike_seal_response(const struct ike_policy *policy, struct ike_sa *sa, struct span request,
                       const struct wire_header *request_header,
                       const struct ike_draft *d) HF_MUST_USE;

/* Seals the draft as our next request: writes sa->pending.{exchange, message_id, sent_ms,
 * asked_ms, request}, next_request_id + 1, iv_next + 1; the other fields of pending are the caller's,
 * before or after.
 * No request may be outstanding (asserted). False as above. The wire exchange type follows from
 * `exchange`. */
bool ike_seal_request(const struct ike_policy *policy, struct ike_sa *sa,
                      enum ike_exchange exchange, uint64_t now_ms,
                      const struct ike_draft *d) HF_MUST_USE;

/* Seals the answer to a SYNC as ike_seal_response() does, but beside the window: message ID 0, which
 * no request can repeat; expected_request_id is the caller's. */
bool ike_seal_sync(const struct ike_policy *policy, struct ike_sa *sa,
                   const struct ike_draft *d) HF_MUST_USE;

/* Seals what our outstanding request says once more, as our next request: another message ID, so
 * other bytes (I4), iv_next + 1. False: sa is unchanged. */
bool ike_reseal_request(const struct ike_policy *policy, struct ike_sa *sa,
                        uint64_t now_ms) HF_MUST_USE;

/* The outstanding request is answered (or given up): wipes sa->pending. */
void ike_pending_clear(struct ike_sa *sa);

/* A response of one Notify without SPI, e.g. NO_PROPOSAL_CHOSEN; data may be empty. Seals it into
 * sa (ike_seal_response). */
bool ike_answer_notify(const struct ike_policy *policy, struct ike_sa *sa, struct span request,
                       const struct wire_header *request_header, uint16_t type,
                       struct span data) HF_MUST_USE;

/* The same for a request whose rx->body_result is not WIRE_OK (RFC 7296 2.5, 2.21). */
bool ike_answer_bad_body(const struct ike_policy *policy, struct ike_sa *sa, struct span request,
                         const struct ike_received *rx) HF_MUST_USE;

/* An unprotected answer of one Notify to `request` into out->plain: INVALID_IKE_SPI,
 * INVALID_MAJOR_VERSION, COOKIE, INVALID_KE_PAYLOAD, NO_PROPOSAL_CHOSEN outside an SA. Same message
 * ID, SPIs and exchange type, no SPI of ours made up. */
void ike_plain_notify(struct ike_message *plain, const struct wire_header *request, uint16_t type,
                      struct span data);

/* Keeps bytes as a message. False: longer than IKE_MAX_MESSAGE_BYTES. */
bool ike_message_keep(struct ike_message *m, struct span bytes) HF_MUST_USE;

/* Why a datagram that did not decode is dropped. */
enum ike_reason ike_reason_of_wire(enum wire_result result);

/* Adds a send to out->effects (asserts the bound). */
void ike_effect_add(struct ike_transition *out, enum ike_effect_kind kind,
                    const struct endpoint *from, const struct endpoint *to, bool natt);

/* SPIs of the IKE header as the SA's role orders them. */
static inline uint64_t ike_spi_i(const struct ike_sa *sa)
{
    return sa->role == IKE_INITIATOR ? sa->local_spi : sa->remote_spi;
}

static inline uint64_t ike_spi_r(const struct ike_sa *sa)
{
    return sa->role == IKE_INITIATOR ? sa->remote_spi : sa->local_spi;
}

/* The exchange type on the wire (RFC 7296 3.1). */
uint8_t ike_exchange_wire(enum ike_exchange e);

#endif
