#include "wire/auth_methods.h"

#include "wire/sa.h"

enum { SHORT_BYTES = 2, LINKED_BYTES = 3 };

enum wire_result wire_auth_methods_decode(struct span data, struct wire_auth_methods *out)
{
    struct wire_reader r = wire_reader_of(data);
    struct wire_auth_methods methods = {0};

    while (wire_reader_left(&r) > 0) {
        struct wire_auth_announcement a = {0};
        uint8_t length = wire_read_u8(&r);
        struct wire_reader in;

        if (length < SHORT_BYTES)
            return WIRE_MALFORMED;
        in = wire_reader_of(wire_read_span(&r, (size_t)length - 1));
        if (r.truncated)
            return WIRE_TRUNCATED;
        a.method = wire_read_u8(&in);
        if (length >= LINKED_BYTES)
            a.cert_link = wire_read_u8(&in);
        a.algorithm = wire_read_rest(&in);
        if (methods.n == WIRE_MAX_AUTH_METHODS)
            return WIRE_TOO_MANY;
        methods.items[methods.n++] = a;
    }
    *out = methods;
    return WIRE_OK;
}

static size_t length_of(const struct wire_auth_announcement *a)
{
    if (a->algorithm.len > 0)
        return LINKED_BYTES + a->algorithm.len;
    return a->cert_link != 0 ? LINKED_BYTES : SHORT_BYTES;
}

void wire_put_auth_methods(struct wire_builder *b, const struct wire_auth_methods *methods)
{
    size_t start = wire_payload_begin(b, WIRE_PL_NOTIFY);

    wire_write_u8(&b->w, WIRE_PROTO_NONE);
    wire_write_u8(&b->w, 0);
    wire_write_u16(&b->w, WIRE_N_SUPPORTED_AUTH_METHODS);
    for (size_t i = 0; i < methods->n; i++) {
        const struct wire_auth_announcement *a = &methods->items[i];
        size_t length = length_of(a);

        HF_ASSERT(length <= UINT8_MAX);
        wire_write_u8(&b->w, (uint8_t)length);
        wire_write_u8(&b->w, a->method);
        if (length >= LINKED_BYTES)
            wire_write_u8(&b->w, a->cert_link);
        wire_write_span(&b->w, a->algorithm);
    }
    wire_payload_end(b, start);
}
