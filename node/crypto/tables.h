/* The algorithms that this build speaks, as one table over OpenSSL 3 EVP. What the daemon hands to
 * the pure folders; they see crypto/suite.h only.
 *
 * Every algorithm is fetched once per process (the first call of anything in the table, or
 * crypto_ready()), never per packet. All functions of the table may be called from any thread; one
 * suite_aead_context belongs to one user at a time.
 */
#ifndef HF_CRYPTO_TABLES_H
#define HF_CRYPTO_TABLES_H

#include "crypto/suite.h"

extern const struct suite_table suite_default;

/* Fetches all algorithms now. False: the library lacks one (a broken or restricted OpenSSL
 * configuration); then every function of the table fails too. For the start of the daemon, so that
 * this is an error there and not at the first handshake. */
bool crypto_ready(void) HF_MUST_USE;

#endif
