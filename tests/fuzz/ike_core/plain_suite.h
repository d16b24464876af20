/* Algorithms for fuzzing: nothing is hidden, every tag and every AUTH value is zeros, signatures
 * too, so that inputs get behind the cryptography. A wrong tag or value is still refused.
 */
#ifndef TEST_FUZZ_PLAIN_SUITE_H
#define TEST_FUZZ_PLAIN_SUITE_H

#include "ike/exchange.h"

extern const struct suite_table plain_suite;

struct plain_ends {
    struct ike_policy client, gateway;
    struct ike_sa c, g;   /* the client's IKE_AUTH request is out; the gateway is half-open */
    struct ike_sa c_init; /* the client's IKE_SA_INIT request is out */
};

/* The same two ends in every run; built at the first call. */
const struct plain_ends *plain_ends(void);

struct ike_event plain_event(bool at_client, struct span datagram);

/* Serves IKE_NEED_JOB and IKE_NEED_ADDRESS. False: the outcome was final before. */
bool plain_serve(enum ike_outcome outcome, const struct ike_transition *out, struct ike_event *ev);

/* What must hold of any transition of a handshake, whatever came in. */
void plain_check(enum ike_outcome outcome, const struct ike_transition *out);

#endif
