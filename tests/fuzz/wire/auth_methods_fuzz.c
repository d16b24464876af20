/* The data of SUPPORTED_AUTH_METHODS. */
#include "fuzz.h"

#include "wire/auth_methods.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[WIRE_MAX_MESSAGE_BYTES];
    const struct span in = span_of(data, size);
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    static struct wire_auth_methods methods, again;
    struct wire_notify n;

    if (size > FUZZ_MAX_BYTES || wire_auth_methods_decode(in, &methods) != WIRE_OK)
        return 0;
    HF_ASSERT(methods.n <= WIRE_MAX_AUTH_METHODS);
    wire_put_auth_methods(&b, &methods);
    HF_ASSERT(wire_notify_decode(built_body(&b), &n) == WIRE_OK);
    HF_ASSERT(wire_auth_methods_decode(n.data, &again) == WIRE_OK && again.n == methods.n);
    for (size_t i = 0; i < methods.n; i++) {
        inside(in, methods.items[i].algorithm);
        HF_ASSERT(methods.items[i].method == again.items[i].method &&
                  methods.items[i].cert_link == again.items[i].cert_link &&
                  span_equal(methods.items[i].algorithm, again.items[i].algorithm));
    }
    return 0;
}
