/* Configuration payload: a virtual IPv4 address and DNS servers. RFC 7296 2.19, 3.15. Other
 * attributes are ignored. */
#ifndef HF_IKE_CONFIG_PAYLOAD_H
#define HF_IKE_CONFIG_PAYLOAD_H

#include "ike/policy.h"
#include "wire/cp.h"

struct ike_cp_request {
    bool wants_v4, wants_dns4;
    struct ip_addr wish; /* the address asked for, or family 0 */
};

struct ike_cp_reply {
    struct ip_addr ip; /* family 0: none came */
    struct ip_addr dns[IKE_MAX_DNS];
    uint8_t n_dns;
};

/* False: not a CFG_REQUEST, or an attribute of a wrong length. */
bool ike_cp_read_request(const struct wire_cp *cp, struct ike_cp_request *out) HF_MUST_USE;
/* False: not a CFG_REPLY, or an attribute of a wrong length. */
bool ike_cp_read_reply(const struct wire_cp *cp, struct ike_cp_reply *out) HF_MUST_USE;
void ike_cp_put_request(struct wire_builder *b);
/* The address, and (when asked for) the policy's DNS servers. */
void ike_cp_put_reply(struct wire_builder *b, const struct ike_policy *policy,
                      const struct ike_cp_request *request, const struct ip_addr *ip);

#endif
