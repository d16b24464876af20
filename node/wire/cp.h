/* Configuration payload, RFC 7296 3.15, with the attributes of RFC 8598 (split DNS).
 *
 *   [type: REQUEST, REPLY, SET, ACK][3 reserved] then attributes: [R | type][length][value]
 *
 * Attributes whose value has a fixed form are judged by length when they are decoded (an empty one is
 * a question and always right), so no reader meets an IPv6 subnet of 16 bytes where 17 are due. What
 * a value says is read by wire_cp_read_*().
 */
#ifndef HF_WIRE_CP_H
#define HF_WIRE_CP_H

#include "base/addr.h"
#include "wire/payload.h"

enum wire_cp_type { WIRE_CFG_REQUEST = 1, WIRE_CFG_REPLY = 2, WIRE_CFG_SET = 3, WIRE_CFG_ACK = 4 };

enum wire_cp_attribute {
    WIRE_CP_IP4_ADDRESS = 1,
    WIRE_CP_IP4_NETMASK = 2,
    WIRE_CP_IP4_DNS = 3,
    WIRE_CP_IP4_NBNS = 4,
    WIRE_CP_IP4_DHCP = 6,
    WIRE_CP_APPLICATION_VERSION = 7,
    /* Address and prefix length: 17 bytes; without it, as some clients send it, 16 are a /128. */
    WIRE_CP_IP6_ADDRESS = 8,
    WIRE_CP_IP6_DNS = 10,
    WIRE_CP_IP6_DHCP = 12,
    WIRE_CP_IP4_SUBNET = 13, /* address and mask: 8 bytes */
    WIRE_CP_SUPPORTED_ATTRIBUTES = 14,
    WIRE_CP_IP6_SUBNET = 15, /* address and prefix length: 17 bytes */
    WIRE_CP_DNS_DOMAIN = 25, /* RFC 8598 */
    WIRE_CP_DNSSEC_TA = 26   /* RFC 8598 */
};

enum { WIRE_MAX_CP_ATTRIBUTES = 32, WIRE_CP_PREFIX_BYTES = 17 };

struct wire_cp_attr {
    uint16_t type; /* the reserved top bit is dropped */
    struct span value;
};

struct wire_cp {
    uint8_t type; /* any value: what may be answered is the engine's question (RFC 7296 3.15) */
    struct wire_cp_attr attrs[WIRE_MAX_CP_ATTRIBUTES];
    size_t n;
};

/* WIRE_MALFORMED: an attribute of RFC 7296 or RFC 8598 with a length that it cannot have. */
enum wire_result wire_cp_decode(struct span body, struct wire_cp *out) HF_MUST_USE;
void wire_put_cp(struct wire_builder *b, const struct wire_cp *cp);

/* The registered name of an attribute type, or "unknown". */
const char *wire_cp_attribute_name(uint16_t type);
/* May the value of this attribute have this length? 0 always; types not known here may have any. */
bool wire_cp_size_fits(uint16_t type, size_t len);

struct wire_cp_prefix {
    struct ip_addr ip;
    uint8_t bits; /* 0..32 or 0..128 */
};

/* One trust anchor of RFC 8598 4.2: the digest of a zone's DNSKEY. */
struct wire_cp_trust_anchor {
    uint16_t key_tag;
    uint8_t algorithm, digest_type;
    struct span digest; /* not empty */
};

/* An attribute that is one address: ADDRESS, NETMASK, DNS, NBNS, DHCP of IPv4; DNS, DHCP of IPv6.
 * False: another type, or no value. */
bool wire_cp_read_address(const struct wire_cp_attr *attr, struct ip_addr *out) HF_MUST_USE;
/* IP6_ADDRESS, IP6_SUBNET, IP4_SUBNET. False: another type, no value, more bits than the address has,
 * or a mask with holes. */
bool wire_cp_read_prefix(const struct wire_cp_attr *attr, struct wire_cp_prefix *out) HF_MUST_USE;
/* DNS_DOMAIN: a name that wire_dns_name_holds(). False: another type, no value, or no such name. */
bool wire_cp_read_domain(const struct wire_cp_attr *attr, struct span *out) HF_MUST_USE;
bool wire_cp_read_trust_anchor(const struct wire_cp_attr *attr,
                               struct wire_cp_trust_anchor *out) HF_MUST_USE;

/* Append an attribute (asserts that there is room). The value of _address is borrowed from `ip`, that
 * of _prefix written to the caller's `room`; both must live until the payload is put. */
void wire_cp_add(struct wire_cp *cp, uint16_t type, struct span value);
void wire_cp_add_address(struct wire_cp *cp, uint16_t type, const struct ip_addr *ip);
void wire_cp_add_prefix(struct wire_cp *cp, uint16_t type, const struct wire_cp_prefix *prefix,
                        uint8_t room[WIRE_CP_PREFIX_BYTES]);

#endif
