#include "wire/delete.h"

enum { ESP_SPI_BYTES = 4 };

enum wire_result wire_delete_decode(struct span body, struct wire_delete *out)
{
    struct wire_reader r = wire_reader_of(body);
    struct wire_delete d;
    uint8_t spi_bytes;
    bool right;

    d.protocol = wire_read_u8(&r);
    spi_bytes = wire_read_u8(&r);
    d.n_spis = wire_read_u16(&r);
    d.spis = wire_read_span(&r, (size_t)spi_bytes * d.n_spis);
    if (r.truncated)
        return WIRE_TRUNCATED;
    if (d.protocol == WIRE_PROTO_IKE)
        right = spi_bytes == 0 && d.n_spis == 0;
    else
        right = (d.protocol == WIRE_PROTO_ESP || d.protocol == WIRE_PROTO_AH) &&
                spi_bytes == ESP_SPI_BYTES && d.n_spis > 0;
    if (!right || wire_reader_left(&r) != 0)
        return WIRE_MALFORMED;
    *out = d;
    return WIRE_OK;
}

uint32_t wire_delete_spi(const struct wire_delete *d, size_t i)
{
    HF_ASSERT(i < d->n_spis && d->spis.len == d->n_spis * ESP_SPI_BYTES);
    return get_be32(d->spis.data + i * ESP_SPI_BYTES);
}

static void put_delete(struct wire_builder *b, uint8_t protocol, uint8_t spi_bytes,
                       const uint32_t *spis, size_t n)
{
    size_t start = wire_payload_begin(b, WIRE_PL_DELETE);

    HF_ASSERT(n <= UINT16_MAX);
    wire_write_u8(&b->w, protocol);
    wire_write_u8(&b->w, spi_bytes);
    wire_write_u16(&b->w, (uint16_t)n);
    for (size_t i = 0; i < n; i++)
        wire_write_u32(&b->w, spis[i]);
    wire_payload_end(b, start);
}

void wire_put_delete_ike(struct wire_builder *b)
{
    put_delete(b, WIRE_PROTO_IKE, 0, NULL, 0);
}

void wire_put_delete_spis(struct wire_builder *b, uint8_t protocol, const uint32_t *spis, size_t n)
{
    HF_ASSERT((protocol == WIRE_PROTO_AH || protocol == WIRE_PROTO_ESP) && n > 0);
    put_delete(b, protocol, ESP_SPI_BYTES, spis, n);
}

void wire_put_delete_esp(struct wire_builder *b, const uint32_t *spis, size_t n)
{
    wire_put_delete_spis(b, WIRE_PROTO_ESP, spis, n);
}
