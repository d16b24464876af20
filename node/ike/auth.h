/* What both roles of IKE_AUTH share. RFC 7296 1.2, 2.15. Internal to ike/. */
#ifndef HF_IKE_AUTH_H
#define HF_IKE_AUTH_H

#include "ike/exchange.h"
#include "ike/proposal.h"

/* Selectors agreed for the first CHILD SA. */
struct ike_auth_selectors {
    struct ike_ts local[IKE_MAX_TS], remote[IKE_MAX_TS];
    uint8_t n_local, n_remote;
};

/* Puts the first CHILD SA into sa: keys from the handshake's nonces (RFC 7296 2.17), lifetime,
 * selectors. spi_in is ours. */
bool ike_auth_install_child(const struct ike_policy *policy, struct ike_sa *sa,
                            const struct ike_event *event, const struct ike_choice *choice,
                            const struct ike_auth_selectors *ts, uint32_t spi_in) HF_MUST_USE;

/* The SA is established: lifetime begins, what only the handshake needed is wiped. */
void ike_auth_establish(const struct ike_policy *policy, struct ike_sa *sa,
                        const struct ike_event *event);

/* The SA is over: keys and handshake are wiped; last_response answers retransmissions until
 * linger_until_ms. */
void ike_auth_end(const struct ike_policy *policy, struct ike_sa *sa,
                  const struct ike_event *event);

/* Initiator, keys in place: fills sa->pending with the IKE_AUTH request. IKE_STEPPED: done;
 * IKE_NEED_JOB: our signature comes first; IKE_IGNORED: it cannot be built. */
enum ike_outcome ike_auth_write_request(const struct ike_policy *policy, struct ike_sa *sa,
                                        const struct ike_event *event,
                                        struct ike_transition *out) HF_MUST_USE;

#endif
