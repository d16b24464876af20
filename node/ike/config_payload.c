#include "ike/config_payload.h"

enum { V4_BYTES = 4 };

static struct ip_addr v4_of(struct span value)
{
    return value.len == V4_BYTES && get_be32(value.data) != 0 ? addr_v4(get_be32(value.data))
                                                              : (struct ip_addr){0};
}

/* Attributes that we read are empty or an IPv4 address (RFC 7296 3.15.1). */
static bool lengths_hold(const struct wire_cp *cp)
{
    for (size_t i = 0; i < cp->n; i++) {
        const struct wire_cp_attr *a = &cp->attrs[i];
        bool ours = a->type == WIRE_CP_IP4_ADDRESS || a->type == WIRE_CP_IP4_DNS;

        if (ours && a->value.len != 0 && a->value.len != V4_BYTES)
            return false;
    }
    return true;
}

bool ike_cp_read_request(const struct wire_cp *cp, struct ike_cp_request *out)
{
    struct ike_cp_request request = {0};

    if (cp->type != WIRE_CFG_REQUEST || !lengths_hold(cp))
        return false;
    for (size_t i = 0; i < cp->n; i++) {
        const struct wire_cp_attr *a = &cp->attrs[i];

        if (a->type == WIRE_CP_IP4_ADDRESS && !request.wants_v4) {
            request.wants_v4 = true;
            request.wish = v4_of(a->value);
        } else if (a->type == WIRE_CP_IP4_DNS) {
            request.wants_dns4 = true;
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
        struct ip_addr ip = v4_of(a->value);

        if (ip.family == ADDR_NONE)
            continue;
        if (a->type == WIRE_CP_IP4_ADDRESS && reply.ip.family == ADDR_NONE)
            reply.ip = ip;
        else if (a->type == WIRE_CP_IP4_DNS && reply.n_dns < IKE_MAX_DNS)
            reply.dns[reply.n_dns++] = ip;
    }
    *out = reply;
    return true;
}

void ike_cp_put_request(struct wire_builder *b)
{
    const struct wire_cp cp = {.type = WIRE_CFG_REQUEST,
                               .attrs = {{.type = WIRE_CP_IP4_ADDRESS}, {.type = WIRE_CP_IP4_DNS}},
                               .n = 2};

    wire_put_cp(b, &cp);
}

void ike_cp_put_reply(struct wire_builder *b, const struct ike_policy *policy,
                      const struct ike_cp_request *request, const struct ip_addr *ip)
{
    struct wire_cp cp = {.type = WIRE_CFG_REPLY};

    HF_ASSERT(ip->family == ADDR_V4);
    cp.attrs[cp.n++] =
        (struct wire_cp_attr){.type = WIRE_CP_IP4_ADDRESS, .value = span_of(ip->bytes, V4_BYTES)};
    for (size_t i = 0; request->wants_dns4 && i < policy->n_dns; i++)
        if (policy->dns[i].family == ADDR_V4)
            cp.attrs[cp.n++] = (struct wire_cp_attr){
                .type = WIRE_CP_IP4_DNS, .value = span_of(policy->dns[i].bytes, V4_BYTES)};
    wire_put_cp(b, &cp);
}
