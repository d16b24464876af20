/* Configuration payload: virtual addresses and DNS servers of both families. RFC 7296 2.19, 3.15.
 * Other attributes are ignored; a netmask is neither asked for nor sent (an address is a host's). */
#ifndef HF_IKE_CONFIG_PAYLOAD_H
#define HF_IKE_CONFIG_PAYLOAD_H

#include "ike/policy.h"
#include "wire/cp.h"

struct ike_cp_request {
    bool wants[ADDR_SLOTS], wants_dns[ADDR_SLOTS];
    struct ip_addr wish[ADDR_SLOTS]; /* the address asked for, or family 0 */
};

struct ike_cp_reply {
    struct ip_addr ip[ADDR_SLOTS]; /* family 0: none came */
    struct ip_addr dns[IKE_MAX_DNS];
    uint8_t n_dns;
};

/* False: not a CFG_REQUEST, or an attribute of a wrong length. */
bool ike_cp_read_request(const struct wire_cp *cp, struct ike_cp_request *out) HF_MUST_USE;
/* False: not a CFG_REPLY, or an attribute of a wrong length. */
bool ike_cp_read_reply(const struct wire_cp *cp, struct ike_cp_reply *out) HF_MUST_USE;
/* What the policy asks for: address and DNS of one family or both. */
void ike_cp_put_request(struct wire_builder *b, const struct ike_policy *policy);
/* The addresses (one at least), and (when asked for) the policy's DNS servers. */
void ike_cp_put_reply(struct wire_builder *b, const struct ike_policy *policy,
                      const struct ike_cp_request *request, const struct ip_addr ip[ADDR_SLOTS]);

#endif
