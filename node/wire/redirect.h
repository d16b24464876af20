/* The data of the Notifies of RFC 5685: where a client is sent, and where it came from.
 *
 *   REDIRECT         [gateway type][gateway length][gateway][nonce: in IKE_SA_INIT only]
 *   REDIRECTED_FROM  [gateway type][gateway length][gateway]
 */
#ifndef HF_WIRE_REDIRECT_H
#define HF_WIRE_REDIRECT_H

#include "base/addr.h"
#include "wire/notify.h"

enum wire_gateway_type { WIRE_GATEWAY_IPV4 = 1, WIRE_GATEWAY_IPV6 = 2, WIRE_GATEWAY_FQDN = 3 };

struct wire_gateway {
    uint8_t type;
    struct ip_addr ip; /* types IPV4 and IPV6 */
    struct span fqdn;  /* type FQDN: 1 to 254 bytes that wire_dns_name_holds() */
};

struct wire_redirect {
    struct wire_gateway gateway;
    struct span nonce; /* Ni of the IKE_SA_INIT that is answered; empty in other exchanges */
};

/* The data of a REDIRECT. Refuses gateway types that are not known, an address of a wrong length, a
 * name that is none, and a nonce that is none (RFC 7296 3.9: 16 to 256 bytes). */
enum wire_result wire_redirect_decode(struct span data, struct wire_redirect *out) HF_MUST_USE;
/* The data of a REDIRECTED_FROM: nothing may follow the gateway. */
enum wire_result wire_redirected_from_decode(struct span data,
                                             struct wire_gateway *out) HF_MUST_USE;
/* Append the whole Notify payload. */
void wire_put_redirect(struct wire_builder *b, const struct wire_redirect *redirect);
void wire_put_redirected_from(struct wire_builder *b, const struct wire_gateway *gateway);

#endif
