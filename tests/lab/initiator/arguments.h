/* The test initiator's command line: what it connects from and to, as whom, with what policy. */
#ifndef HF_TEST_INITIATOR_ARGUMENTS_H
#define HF_TEST_INITIATOR_ARGUMENTS_H

#include "ike/policy.h"
#include "io/netlink.h"

struct initiator_arguments {
    struct endpoint local, remote;     /* port 500 */
    struct ike_psk_entry psk;          /* `remote` is the gateway's identity */
    struct ike_policy policy;          /* borrows `psk` */
    struct netlink_prefix networks[4]; /* routed into the tunnel */
    size_t n_networks;
    const char *tun;
};

/* Ends the program with a message when something is missing or wrong. */
void initiator_arguments(int argc, char **argv, struct initiator_arguments *out);
_Noreturn void initiator_fail(const char *text);

#endif
