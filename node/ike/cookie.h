/* Stateless cookies against floods of IKE_SA_INIT from made-up addresses, RFC 7296 2.6:
 *
 *   cookie = secret's version (1 byte) | SHA-256(Ni | IPi | SPIi | secret)
 *
 * The secrets are shared by the cluster, so any node accepts what another handed out. The version
 * before the current one is still accepted while it is given.
 */
#ifndef HF_IKE_COOKIE_H
#define HF_IKE_COOKIE_H

#include "ike/step.h"

enum { IKE_COOKIE_SECRET_BYTES = 32, IKE_COOKIE_BYTES = 33 };

/* False: no secret in the event, or the hash failed. */
bool ike_cookie_make(const struct ike_policy *policy, const struct ike_event *event,
                     struct span nonce_i, uint64_t spi_i,
                     uint8_t out[IKE_COOKIE_BYTES]) HF_MUST_USE;

/* Is this the cookie that we would hand out (or would have with the secret before)? Constant time
 * in the contents. */
bool ike_cookie_holds(const struct ike_policy *policy, const struct ike_event *event,
                      struct span nonce_i, uint64_t spi_i, struct span cookie) HF_MUST_USE;

#endif
