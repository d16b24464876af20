#include "wire/redirect.h"

#include "wire/dns_name.h"
#include "wire/nonce.h"
#include "wire/sa.h"

static enum wire_result read_gateway(struct wire_reader *r, struct wire_gateway *out)
{
    struct wire_gateway g = {0};
    struct span identity;

    g.type = wire_read_u8(r);
    identity = wire_read_span(r, wire_read_u8(r));
    if (r->truncated)
        return WIRE_TRUNCATED;
    if (g.type == WIRE_GATEWAY_FQDN) {
        g.fqdn = identity;
        if (!wire_dns_name_holds(identity))
            return WIRE_MALFORMED;
    } else if (g.type == WIRE_GATEWAY_IPV4 || g.type == WIRE_GATEWAY_IPV6) {
        g.ip.family = g.type == WIRE_GATEWAY_IPV4 ? ADDR_V4 : ADDR_V6;
        if (identity.len != addr_len(&g.ip))
            return WIRE_MALFORMED;
        memcpy(g.ip.bytes, identity.data, identity.len);
    } else {
        return WIRE_MALFORMED;
    }
    *out = g;
    return WIRE_OK;
}

enum wire_result wire_redirect_decode(struct span data, struct wire_redirect *out)
{
    struct wire_reader r = wire_reader_of(data);
    struct wire_redirect redirect = {0};
    enum wire_result result = read_gateway(&r, &redirect.gateway);

    if (result == WIRE_OK && wire_reader_left(&r) > 0)
        result = wire_nonce_decode(wire_read_rest(&r), &redirect.nonce);
    if (result == WIRE_OK)
        *out = redirect;
    return result;
}

enum wire_result wire_redirected_from_decode(struct span data, struct wire_gateway *out)
{
    struct wire_reader r = wire_reader_of(data);
    struct wire_gateway gateway;
    enum wire_result result = read_gateway(&r, &gateway);

    if (result == WIRE_OK && wire_reader_left(&r) > 0)
        result = WIRE_MALFORMED;
    if (result == WIRE_OK)
        *out = gateway;
    return result;
}

static void put_gateway(struct wire_builder *b, uint16_t type, const struct wire_gateway *g,
                        struct span nonce)
{
    size_t start = wire_payload_begin(b, WIRE_PL_NOTIFY);
    struct span identity =
        g->type == WIRE_GATEWAY_FQDN ? g->fqdn : span_of(g->ip.bytes, addr_len(&g->ip));

    HF_ASSERT(identity.len > 0 && identity.len <= UINT8_MAX);
    HF_ASSERT(g->type != WIRE_GATEWAY_IPV4 || g->ip.family == ADDR_V4);
    HF_ASSERT(g->type != WIRE_GATEWAY_IPV6 || g->ip.family == ADDR_V6);
    wire_write_u8(&b->w, WIRE_PROTO_NONE);
    wire_write_u8(&b->w, 0);
    wire_write_u16(&b->w, type);
    wire_write_u8(&b->w, g->type);
    wire_write_u8(&b->w, (uint8_t)identity.len);
    wire_write_span(&b->w, identity);
    wire_write_span(&b->w, nonce);
    wire_payload_end(b, start);
}

void wire_put_redirect(struct wire_builder *b, const struct wire_redirect *redirect)
{
    put_gateway(b, WIRE_N_REDIRECT, &redirect->gateway, redirect->nonce);
}

void wire_put_redirected_from(struct wire_builder *b, const struct wire_gateway *gateway)
{
    put_gateway(b, WIRE_N_REDIRECTED_FROM, gateway, span_of(NULL, 0));
}
