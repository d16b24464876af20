/* Inner packets against the traffic selectors of a CHILD SA, both ways
 * (RFC 4301 5, RFC 7296 3.13.1).
 *
 * Pure. A selector is an address range, a protocol and a port range. ICMP's type and code stand in
 * for the port (RFC 4301 4.4.1.1). Where ports are narrowed every fragment is refused: only the
 * first one shows its ports (RFC 4301 7).
 */
#ifndef HF_ESP_SELECTORS_H
#define HF_ESP_SELECTORS_H

#include "base/addr.h"
#include "base/assert.h"

enum { ESP_MAX_SELECTORS = 4, ESP_PROTOCOL_ANY = 0 };

struct esp_selector {
    uint8_t protocol; /* 0 = any */
    /* 0..65535 = any; 65535..0 = OPAQUE: only packets that show no port */
    uint16_t port_low, port_high;
    struct ip_addr low, high; /* one family, low <= high */
};

struct esp_selectors {
    struct esp_selector local[ESP_MAX_SELECTORS], remote[ESP_MAX_SELECTORS];
    uint8_t n_local, n_remote;
};

/* What an inner packet says about itself. */
struct esp_inner {
    struct ip_addr src, dst;
    uint8_t protocol; /* upper layer; IPv6: behind the extension headers */
    bool fragment;    /* any fragment, the first one too */
    bool has_ports;   /* the two below are set; ICMP: both type << 8 | code */
    uint16_t src_port, dst_port;
    size_t
        len; /* bytes of the IP packet; what lies behind is traffic-flow padding (RFC 4303 2.7) */
};

/* False: no whole IPv4 or IPv6 packet. Never reads outside of `packet`. */
bool esp_inner_decode(struct span packet, struct esp_inner *inner) HF_MUST_USE;

/* Sent by the peer: source against remote, destination against local. */
bool esp_selectors_inbound(const struct esp_selectors *s,
                           const struct esp_inner *inner) HF_MUST_USE;

/* To be sent to the peer: source against local, destination against remote. */
bool esp_selectors_outbound(const struct esp_selectors *s,
                            const struct esp_inner *inner) HF_MUST_USE;

/* How narrow the selectors are that hold this packet, to be sent to the peer; 0: none do. What names
 * fewer addresses outranks what names fewer ports, and that what names a protocol: the order in which
 * a policy would be written, were there one (RFC 4301 4.4.1 orders its entries by hand). */
uint32_t esp_selectors_rank(const struct esp_selectors *s,
                            const struct esp_inner *inner) HF_MUST_USE;

/* The longest prefix that holds the whole range, in bits (32 or 128 for one address): the SA
 * database's key. */
uint8_t esp_selector_prefix(const struct esp_selector *s);

#endif
