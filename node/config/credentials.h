/* Our certificates, and whom we trust, as the engine borrows them (struct ike_credentials): owns
 * what crypto/cert.h made of the files. */
#ifndef HF_CONFIG_CREDENTIALS_H
#define HF_CONFIG_CREDENTIALS_H

#include "crypto/cert.h"
#include "ike/policy.h"

struct credentials;

struct credentials *credentials_new(void);
void credentials_free(struct credentials *c); /* NULL is allowed */

/* Takes `own` over. identity: what the ID payload says, NULL = the certificate's first name; the
 * caller has checked that the certificate has it. At most IKE_MAX_OWN (asserted). */
void credentials_add_own(struct credentials *c, struct crypto_own *own,
                         const struct ike_identity *identity, bool pss);
/* Takes `trust` over; at most once. Call before credentials_view(). */
void credentials_set_trust(struct credentials *c, struct crypto_trust *trust);

/* Bytes of the largest chain: it must fit in a message with all else. */
size_t credentials_largest_chain(const struct credentials *c);
bool credentials_has_name(const struct crypto_own *own, const struct ike_identity *identity);

/* The engine's view, filled from what was added; valid until the next call that changes it. The two
 * switches are the caller's to set. */
struct ike_credentials *credentials_view(struct credentials *c);
const struct crypto_own *credentials_own(const struct credentials *c, size_t i);
const struct crypto_trust *credentials_trust(const struct credentials *c);

#endif
