/* Domain names in presentation form, as RFC 8598 3.1 (INTERNAL_DNS_DOMAIN) and RFC 5685 10 (gateway
 * identity) carry them: ASCII, not terminated by a zero byte. */
#ifndef HF_WIRE_DNS_NAME_H
#define HF_WIRE_DNS_NAME_H

#include "base/span.h"

enum { WIRE_DNS_NAME_MAX_BYTES = 253, WIRE_DNS_LABEL_MAX_BYTES = 63 };

/* Labels of letters, digits, hyphens and underscores, 1 to 63 bytes each, joined by single dots; 253
 * bytes in all (RFC 1035 2.3.4); one dot may end it, "." alone is the root. So such a name can go
 * into a resolver's file or a log as it is. */
bool wire_dns_name_holds(struct span name);

#endif
