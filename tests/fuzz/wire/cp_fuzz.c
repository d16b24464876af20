#include "fuzz.h"

#include "wire/dns_name.h"

/* What each reader gives lies inside the input, and only values that it may. */
static void read_value(struct span in, const struct wire_cp_attr *attr)
{
    struct wire_cp_trust_anchor anchor;
    struct wire_cp_prefix prefix;
    struct ip_addr ip;
    struct span name;

    if (wire_cp_read_address(attr, &ip))
        HF_ASSERT(addr_len(&ip) == attr->value.len);
    if (wire_cp_read_prefix(attr, &prefix))
        HF_ASSERT(prefix.bits <= 8 * addr_len(&prefix.ip));
    if (wire_cp_read_domain(attr, &name)) {
        inside(in, name);
        HF_ASSERT(wire_dns_name_holds(name));
    }
    if (wire_cp_read_trust_anchor(attr, &anchor)) {
        inside(in, anchor.digest);
        HF_ASSERT(anchor.digest.len > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    static struct wire_cp cp, again;

    if (size > FUZZ_MAX_BYTES || wire_cp_decode(in, &cp) != WIRE_OK)
        return 0;
    HF_ASSERT(cp.n <= WIRE_MAX_CP_ATTRIBUTES);
    wire_put_cp(&b, &cp);
    HF_ASSERT(wire_cp_decode(built_body(&b), &again) == WIRE_OK);
    HF_ASSERT(again.type == cp.type && again.n == cp.n);
    for (size_t i = 0; i < cp.n; i++) {
        inside(in, cp.attrs[i].value);
        HF_ASSERT(wire_cp_size_fits(cp.attrs[i].type, cp.attrs[i].value.len));
        read_value(in, &cp.attrs[i]);
        HF_ASSERT(again.attrs[i].type == cp.attrs[i].type && cp.attrs[i].type < 0x8000 &&
                  span_equal(again.attrs[i].value, cp.attrs[i].value));
    }
    return 0;
}
