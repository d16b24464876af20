#include "wire/vendor.h"

void wire_put_vendor(struct wire_builder *b, struct span id)
{
    size_t start = wire_payload_begin(b, WIRE_PL_VENDOR);

    wire_write_span(&b->w, id);
    wire_payload_end(b, start);
}
