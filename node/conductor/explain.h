/* What a failed attempt means and what to do about it, for operators: a text for every reason of the engine,
 * every bound, every check of credentials and every verdict on a certificate; and what was offered beside what
 * would have been taken. Functions of their arguments alone.
 *
 * A reason without a text is red in unit/conductor/test_explain.c.
 */
#ifndef HF_CONDUCTOR_EXPLAIN_H
#define HF_CONDUCTOR_EXPLAIN_H

#include "conductor/attempts.h"
#include "conductor/log.h"

struct explanation {
    const char *meaning; /* what happened */
    const char *fix;     /* what to change, and at which end */
};

/* NULL: there is none, as for IKE_REASON_NONE, what is no failure, and values that are none. */
const struct explanation *explain_reason(enum ike_reason reason);
const struct explanation *explain_limit(enum attempt_limit limit);
const struct explanation *explain_check(enum ike_check check);
const struct explanation *explain_verdict(enum suite_verdict verdict);

/* The most particular that is known of it; never NULL. */
const struct explanation *explain_attempt(const struct attempt *a);

enum explain_side {
    EXPLAIN_OFFERED,
    EXPLAIN_ALLOWED,
    EXPLAIN_DIFFERS /* of `what` nothing is in both; text NULL */
};

/* Calls put for each piece, all of one `what` together, EXPLAIN_DIFFERS last. `text` is printable ASCII, lives
 * during the call. */
void explain_evidence(const struct attempt *a,
                      void (*put)(void *self, const char *what, enum explain_side side,
                                  const char *text),
                      void *self);

/* Of IKE_EVIDENCE_GATEWAY: did the peer ask for somebody else? */
bool explain_other_gateway(const struct ike_evidence *e);

/* "fqdn", "email", ...; "-" where there is none. */
const char *explain_identity_type(const struct ike_identity *id);
/* Who it says it is: printable, cut to fit. Returns out. */
const char *explain_identity(const struct ike_identity *id, char out[LOG_TEXT_CHARS]);

/* A transform as the configuration writes it, where it has a word for it: "aes256gcm16", "modp1024", else "ENCR 99". */
enum { EXPLAIN_TRANSFORM_CHARS = 32 };
const char *explain_transform(uint8_t type, uint16_t id, uint16_t key_bits,
                              char out[EXPLAIN_TRANSFORM_CHARS]);

#endif
