/* The values of configuration attributes: their registry with lengths, readers, and what builds them. */
#include "wire/cp.h"
#include "wire/dns_name.h"

enum { V4_BYTES = 4, V6_BYTES = 16, V4_BITS = 32, V6_BITS = 128, V4_SUBNET_BYTES = 8 };
enum { UNBOUNDED = UINT16_MAX, TRUST_ANCHOR_HEADER_BYTES = 4 };

/* Lengths that a value may have: min, min + step, ... up to max; and 0. */
struct attribute_row {
    uint16_t type;
    const char *name;
    uint16_t min, max, step;
};

/* clang-format off: one attribute a line. RFC 7296 3.15.1, IANA "Configuration Payload Attribute Types" */
static const struct attribute_row table[] = {
    {WIRE_CP_IP4_ADDRESS, "INTERNAL_IP4_ADDRESS", V4_BYTES, V4_BYTES, 1},
    {WIRE_CP_IP4_NETMASK, "INTERNAL_IP4_NETMASK", V4_BYTES, V4_BYTES, 1},
    {WIRE_CP_IP4_DNS, "INTERNAL_IP4_DNS", V4_BYTES, V4_BYTES, 1},
    {WIRE_CP_IP4_NBNS, "INTERNAL_IP4_NBNS", V4_BYTES, V4_BYTES, 1},
    {WIRE_CP_IP4_DHCP, "INTERNAL_IP4_DHCP", V4_BYTES, V4_BYTES, 1},
    {WIRE_CP_APPLICATION_VERSION, "APPLICATION_VERSION", 0, UNBOUNDED, 1},
    {WIRE_CP_IP6_ADDRESS, "INTERNAL_IP6_ADDRESS", V6_BYTES, WIRE_CP_PREFIX_BYTES,
     1}, /* see wire/cp.h */
    {WIRE_CP_IP6_DNS, "INTERNAL_IP6_DNS", V6_BYTES, V6_BYTES, 1},
    {WIRE_CP_IP6_DHCP, "INTERNAL_IP6_DHCP", V6_BYTES, V6_BYTES, 1},
    {WIRE_CP_IP4_SUBNET, "INTERNAL_IP4_SUBNET", V4_SUBNET_BYTES, V4_SUBNET_BYTES, 1},
    {WIRE_CP_SUPPORTED_ATTRIBUTES, "SUPPORTED_ATTRIBUTES", 0, UNBOUNDED, 2},
    {WIRE_CP_IP6_SUBNET, "INTERNAL_IP6_SUBNET", WIRE_CP_PREFIX_BYTES, WIRE_CP_PREFIX_BYTES, 1},
    {16, "MIP6_HOME_PREFIX", 0, UNBOUNDED, 1},
    {17, "INTERNAL_IP6_LINK", 0, UNBOUNDED, 1},
    {18, "INTERNAL_IP6_PREFIX", 0, UNBOUNDED, 1},
    {19, "HOME_AGENT_ADDRESS", 0, UNBOUNDED, 1},
    {20, "P_CSCF_IP4_ADDRESS", 0, UNBOUNDED, 1},
    {21, "P_CSCF_IP6_ADDRESS", 0, UNBOUNDED, 1},
    {22, "FTT_KAT", 0, UNBOUNDED, 1},
    {23, "EXTERNAL_SOURCE_IP4_NAT_INFO", 0, UNBOUNDED, 1},
    {24, "TIMEOUT_PERIOD_FOR_LIVENESS_CHECK", 0, UNBOUNDED, 1},
    {WIRE_CP_DNS_DOMAIN, "INTERNAL_DNS_DOMAIN", 0, UNBOUNDED, 1},
    {WIRE_CP_DNSSEC_TA, "INTERNAL_DNSSEC_TA", TRUST_ANCHOR_HEADER_BYTES + 1, UNBOUNDED, 1},
    {27, "ENCDNS_IP4", 0, UNBOUNDED, 1},
    {28, "ENCDNS_IP6", 0, UNBOUNDED, 1},
    {29, "ENCDNS_DIGEST_INFO", 0, UNBOUNDED, 1},
};
/* clang-format on */

static const struct attribute_row *find(uint16_t type)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].type == type)
            return &table[i];
    return NULL;
}

const char *wire_cp_attribute_name(uint16_t type)
{
    const struct attribute_row *row = find(type);

    return row != NULL ? row->name : "unknown";
}

bool wire_cp_size_fits(uint16_t type, size_t len)
{
    const struct attribute_row *row = find(type);

    return row == NULL || len == 0 ||
           (len >= row->min && len <= row->max && (len - row->min) % row->step == 0);
}

static struct ip_addr address_of(uint8_t family, const uint8_t *bytes)
{
    struct ip_addr ip = {.family = family};

    memcpy(ip.bytes, bytes, addr_len(&ip));
    return ip;
}

bool wire_cp_read_address(const struct wire_cp_attr *attr, struct ip_addr *out)
{
    bool is_v6 = false;

    switch (attr->type) {
    case WIRE_CP_IP4_ADDRESS:
    case WIRE_CP_IP4_NETMASK:
    case WIRE_CP_IP4_DNS:
    case WIRE_CP_IP4_NBNS:
    case WIRE_CP_IP4_DHCP:
        break;
    case WIRE_CP_IP6_DNS:
    case WIRE_CP_IP6_DHCP:
        is_v6 = true;
        break;
    default:
        return false;
    }
    if (attr->value.len != (is_v6 ? V6_BYTES : V4_BYTES))
        return false;
    *out = address_of(is_v6 ? ADDR_V6 : ADDR_V4, attr->value.data);
    return true;
}

/* The ones of a mask that is all ones, then all zeros. */
static bool mask_bits(uint32_t mask, uint8_t *bits)
{
    uint32_t holes = ~mask;
    uint8_t n = 0;

    if ((holes & (holes + 1)) != 0)
        return false;
    for (; n < V4_BITS && (mask & (UINT32_C(0x80000000) >> n)) != 0; n++)
        ;
    *bits = n;
    return true;
}

static uint32_t mask_of(uint8_t bits)
{
    return bits == 0 ? 0 : UINT32_MAX << (V4_BITS - bits);
}

bool wire_cp_read_prefix(const struct wire_cp_attr *attr, struct wire_cp_prefix *out)
{
    struct wire_cp_prefix p = {0};

    if (attr->type == WIRE_CP_IP4_SUBNET) {
        if (attr->value.len != V4_SUBNET_BYTES ||
            !mask_bits(get_be32(attr->value.data + V4_BYTES), &p.bits))
            return false;
        p.ip = address_of(ADDR_V4, attr->value.data);
    } else if (attr->type == WIRE_CP_IP6_ADDRESS && attr->value.len == V6_BYTES) {
        p.ip = address_of(ADDR_V6, attr->value.data);
        p.bits = V6_BITS;
    } else if (attr->type == WIRE_CP_IP6_ADDRESS || attr->type == WIRE_CP_IP6_SUBNET) {
        if (attr->value.len != WIRE_CP_PREFIX_BYTES || attr->value.data[V6_BYTES] > V6_BITS)
            return false;
        p.ip = address_of(ADDR_V6, attr->value.data);
        p.bits = attr->value.data[V6_BYTES];
    } else {
        return false;
    }
    *out = p;
    return true;
}

bool wire_cp_read_domain(const struct wire_cp_attr *attr, struct span *out)
{
    if (attr->type != WIRE_CP_DNS_DOMAIN || !wire_dns_name_holds(attr->value))
        return false;
    *out = attr->value;
    return true;
}

bool wire_cp_read_trust_anchor(const struct wire_cp_attr *attr, struct wire_cp_trust_anchor *out)
{
    struct wire_reader r = wire_reader_of(attr->value);
    struct wire_cp_trust_anchor anchor;

    if (attr->type != WIRE_CP_DNSSEC_TA)
        return false;
    anchor.key_tag = wire_read_u16(&r);
    anchor.algorithm = wire_read_u8(&r);
    anchor.digest_type = wire_read_u8(&r);
    anchor.digest = wire_read_rest(&r);
    if (r.truncated || anchor.digest.len == 0)
        return false;
    *out = anchor;
    return true;
}

void wire_cp_add(struct wire_cp *cp, uint16_t type, struct span value)
{
    HF_ASSERT(cp->n < WIRE_MAX_CP_ATTRIBUTES && wire_cp_size_fits(type, value.len));
    cp->attrs[cp->n++] = (struct wire_cp_attr){.type = type, .value = value};
}

void wire_cp_add_address(struct wire_cp *cp, uint16_t type, const struct ip_addr *ip)
{
    wire_cp_add(cp, type, span_of(ip->bytes, addr_len(ip)));
}

void wire_cp_add_prefix(struct wire_cp *cp, uint16_t type, const struct wire_cp_prefix *prefix,
                        uint8_t room[WIRE_CP_PREFIX_BYTES])
{
    size_t len = addr_len(&prefix->ip);

    memcpy(room, prefix->ip.bytes, len);
    if (prefix->ip.family == ADDR_V4) {
        HF_ASSERT(prefix->bits <= V4_BITS);
        put_be32(room + len, mask_of(prefix->bits));
        len += V4_BYTES;
    } else {
        HF_ASSERT(prefix->ip.family == ADDR_V6 && prefix->bits <= V6_BITS);
        room[len++] = prefix->bits;
    }
    wire_cp_add(cp, type, span_of(room, len));
}
