#include "ike/config_payload.h"

enum { V4_BYTES = 4, V6_BYTES = 16, V6_WITH_PREFIX_BYTES = 17, HOST_PREFIX = 128 };

/* RFC 7296 3.15.1: the attributes that we read, by family. */
static const uint16_t address_of[ADDR_SLOTS] = {WIRE_CP_IP4_ADDRESS, WIRE_CP_IP6_ADDRESS};
static const uint16_t dns_of[ADDR_SLOTS] = {WIRE_CP_IP4_DNS, WIRE_CP_IP6_DNS};

/* Whose address or DNS server it is; ADDR_SLOTS: neither. */
static unsigned slot_of(const uint16_t types[ADDR_SLOTS], const struct wire_cp_attr *a)
{
    unsigned slot = 0;

    while (slot < ADDR_SLOTS && types[slot] != a->type)
        slot++;
    return slot;
}

/* Empty, or an address; INTERNAL_IP6_ADDRESS has a prefix length behind it, which some clients leave
 * out. */
static bool length_holds(const struct wire_cp_attr *a)
{
    size_t n = a->value.len;

    switch (a->type) {
    case WIRE_CP_IP4_ADDRESS:
    case WIRE_CP_IP4_DNS:
        return n == 0 || n == V4_BYTES;
    case WIRE_CP_IP6_ADDRESS:
        return n == 0 || n == V6_BYTES ||
               (n == V6_WITH_PREFIX_BYTES && a->value.data[V6_BYTES] <= HOST_PREFIX);
    case WIRE_CP_IP6_DNS:
        return n == 0 || n == V6_BYTES;
    default:
        return true;
    }
}

static bool lengths_hold(const struct wire_cp *cp)
{
    for (size_t i = 0; i < cp->n; i++)
        if (!length_holds(&cp->attrs[i]))
            return false;
    return true;
}

/* Family 0: empty, or all zero, which says no more. */
static struct ip_addr address_in(unsigned slot, struct span value)
{
    struct ip_addr ip = {.family = addr_family_of(slot)};
    static const uint8_t zero[V6_BYTES];

    if (value.len == 0 || memcmp(value.data, zero, addr_len(&ip)) == 0)
        return (struct ip_addr){0};
    memcpy(ip.bytes, value.data, addr_len(&ip));
    return ip;
}

bool ike_cp_read_request(const struct wire_cp *cp, struct ike_cp_request *out)
{
    struct ike_cp_request request = {0};

    if (cp->type != WIRE_CFG_REQUEST || !lengths_hold(cp))
        return false;
    for (size_t i = 0; i < cp->n; i++) {
        const struct wire_cp_attr *a = &cp->attrs[i];
        unsigned address = slot_of(address_of, a), dns = slot_of(dns_of, a);

        if (address < ADDR_SLOTS && !request.wants[address]) {
            request.wants[address] = true;
            request.wish[address] = address_in(address, a->value);
        } else if (dns < ADDR_SLOTS) {
            request.wants_dns[dns] = true;
        }
    }
    *out = request;
    return true;
}

bool ike_cp_read_reply(const struct wire_cp *cp, struct ike_cp_reply *out)
{
    struct ike_cp_reply reply = {0};

    if (cp->type != WIRE_CFG_REPLY || !lengths_hold(cp))
        return false;
    for (size_t i = 0; i < cp->n; i++) {
        const struct wire_cp_attr *a = &cp->attrs[i];
        unsigned address = slot_of(address_of, a), dns = slot_of(dns_of, a);

        if (address < ADDR_SLOTS && !addr_is_set(&reply.ip[address]))
            reply.ip[address] = address_in(address, a->value);
        if (dns < ADDR_SLOTS && reply.n_dns < IKE_MAX_DNS) {
            reply.dns[reply.n_dns] = address_in(dns, a->value);
            reply.n_dns += addr_is_set(&reply.dns[reply.n_dns]);
        }
    }
    *out = reply;
    return true;
}

/* An IPv6 address with the prefix length of a host (RFC 7296 3.15.1), in `out`. */
static struct span v6_value(const struct ip_addr *ip, uint8_t out[V6_WITH_PREFIX_BYTES])
{
    memcpy(out, ip->bytes, V6_BYTES);
    out[V6_BYTES] = HOST_PREFIX;
    return span_of(out, V6_WITH_PREFIX_BYTES);
}

void ike_cp_put_request(struct wire_builder *b, const struct ike_policy *policy)
{
    const bool wants[ADDR_SLOTS] = {policy->request_address, policy->request_address6};
    struct wire_cp cp = {.type = WIRE_CFG_REQUEST};
    uint8_t v6[V6_WITH_PREFIX_BYTES];

    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
        const struct ip_addr *wish = &policy->wish[slot];

        if (!wants[slot])
            continue;
        cp.attrs[cp.n].type = address_of[slot];
        if (wish->family == ADDR_V4)
            cp.attrs[cp.n].value = span_of(wish->bytes, V4_BYTES);
        else if (wish->family == ADDR_V6)
            cp.attrs[cp.n].value = v6_value(wish, v6);
        cp.n++;
        cp.attrs[cp.n++].type = dns_of[slot];
    }
    wire_put_cp(b, &cp);
}

void ike_cp_put_reply(struct wire_builder *b, const struct ike_policy *policy,
                      const struct ike_cp_request *request, const struct ip_addr ip[ADDR_SLOTS])
{
    struct wire_cp cp = {.type = WIRE_CFG_REPLY};
    uint8_t v6[V6_WITH_PREFIX_BYTES];

    if (addr_is_set(&ip[SLOT_V4]))
        cp.attrs[cp.n++] = (struct wire_cp_attr){.type = WIRE_CP_IP4_ADDRESS,
                                                 .value = span_of(ip[SLOT_V4].bytes, V4_BYTES)};
    if (addr_is_set(&ip[SLOT_V6]))
        cp.attrs[cp.n++] =
            (struct wire_cp_attr){.type = WIRE_CP_IP6_ADDRESS, .value = v6_value(&ip[SLOT_V6], v6)};
    HF_ASSERT(cp.n > 0);
    for (size_t i = 0; i < policy->n_dns; i++) {
        const struct ip_addr *dns = &policy->dns[i];
        unsigned slot = addr_slot(dns->family);

        if (request->wants_dns[slot])
            cp.attrs[cp.n++] = (struct wire_cp_attr){.type = dns_of[slot],
                                                     .value = span_of(dns->bytes, addr_len(dns))};
    }
    wire_put_cp(b, &cp);
}
