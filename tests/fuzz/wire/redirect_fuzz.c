/* The data of REDIRECT and REDIRECTED_FROM. */
#include "fuzz.h"

#include "wire/dns_name.h"
#include "wire/redirect.h"

static void check_gateway(struct span in, const struct wire_gateway *g)
{
    inside(in, g->fqdn);
    if (g->type == WIRE_GATEWAY_FQDN)
        HF_ASSERT(wire_dns_name_holds(g->fqdn) && g->ip.family == ADDR_NONE);
    else
        HF_ASSERT(addr_len(&g->ip) == (g->type == WIRE_GATEWAY_IPV4 ? 4u : 16u) &&
                  g->fqdn.len == 0);
}

static struct span notify_data(struct wire_builder *b)
{
    struct wire_notify n;

    HF_ASSERT(wire_notify_decode(built_body(b), &n) == WIRE_OK);
    return n.data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct wire_redirect redirect;
    struct wire_gateway from;

    if (wire_redirect_decode(in, &redirect) == WIRE_OK) {
        check_gateway(in, &redirect.gateway);
        inside(in, redirect.nonce);
        wire_put_redirect(&b, &redirect);
        HF_ASSERT(span_equal(notify_data(&b), in));
    }
    if (wire_redirected_from_decode(in, &from) == WIRE_OK) {
        check_gateway(in, &from);
        b = wire_builder_chain(room, sizeof room);
        wire_put_redirected_from(&b, &from);
        HF_ASSERT(span_equal(notify_data(&b), in));
    }
    return 0;
}
