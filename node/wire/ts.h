/* Traffic Selector payloads TSi and TSr, RFC 7296 3.13. */
#ifndef HF_WIRE_TS_H
#define HF_WIRE_TS_H

#include "base/addr.h"
#include "wire/payload.h"

enum { WIRE_TS_IPV4 = 7, WIRE_TS_IPV6 = 8, WIRE_MAX_TS = 32 };

struct wire_ts {
    uint8_t protocol;             /* 0 = any */
    uint16_t port_low, port_high; /* 0..65535 = any; 65535..0 = OPAQUE */
    struct ip_addr low, high;     /* one family, low <= high (checked) */
};

struct wire_ts_list {
    struct wire_ts items[WIRE_MAX_TS];
    size_t n;
    bool skipped; /* there were selectors of a type that is not known here */
};

/* Refuses low > high, a low port above a high one (but for OPAQUE), a wrong length, a wrong count.
 */
enum wire_result wire_ts_decode(struct span body, struct wire_ts_list *out) HF_MUST_USE;
/* payload_type: WIRE_PL_TSI or WIRE_PL_TSR. */
void wire_put_ts(struct wire_builder *b, uint8_t payload_type, const struct wire_ts_list *list);

#endif
