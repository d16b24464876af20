#include "wire/cert.h"

enum wire_result wire_cert_decode(struct span body, struct wire_cert *out)
{
    struct wire_reader r = wire_reader_of(body);
    uint8_t encoding = wire_read_u8(&r);
    struct span data = wire_read_rest(&r);

    if (r.truncated)
        return WIRE_TRUNCATED;
    if (data.len == 0)
        return WIRE_MALFORMED;
    *out = (struct wire_cert){.encoding = encoding, .data = data};
    return WIRE_OK;
}

enum wire_result wire_certreq_decode(struct span body, struct wire_certreq *out)
{
    struct wire_reader r = wire_reader_of(body);
    uint8_t encoding = wire_read_u8(&r);
    struct span hashes = wire_read_rest(&r);

    if (r.truncated)
        return WIRE_TRUNCATED;
    if (encoding == WIRE_CERT_X509 && hashes.len % WIRE_CA_HASH_BYTES != 0)
        return WIRE_MALFORMED;
    *out = (struct wire_certreq){.encoding = encoding, .hashes = hashes};
    return WIRE_OK;
}

static void put(struct wire_builder *b, uint8_t type, uint8_t encoding, struct span data)
{
    size_t start = wire_payload_begin(b, type);

    wire_write_u8(&b->w, encoding);
    wire_write_span(&b->w, data);
    wire_payload_end(b, start);
}

void wire_put_cert(struct wire_builder *b, uint8_t encoding, struct span data)
{
    put(b, WIRE_PL_CERT, encoding, data);
}

void wire_put_certreq(struct wire_builder *b, uint8_t encoding, struct span hashes)
{
    put(b, WIRE_PL_CERTREQ, encoding, hashes);
}
