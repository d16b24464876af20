/* Bounded reading and writing of network-order bytes. The only place in wire/ that indexes memory.
 *
 * Both are sticky: after the first access out of bounds every read gives zeros or an empty span,
 * every write does nothing, and the flag stays set. So a decoder reads all fields and asks once.
 * They never touch memory outside [data, data + len or cap).
 */
#ifndef HF_WIRE_CURSOR_H
#define HF_WIRE_CURSOR_H

#include "base/assert.h"
#include "base/bytes.h"
#include "base/span.h"

struct wire_reader {
    struct span in;
    size_t at;
    bool truncated; /* something was asked for that is not there */
};

struct wire_writer {
    uint8_t *data; /* the caller's room */
    size_t cap, len;
    bool overflow; /* something did not fit */
};

struct wire_reader wire_reader_of(struct span in);
size_t wire_reader_left(const struct wire_reader *r);
uint8_t wire_read_u8(struct wire_reader *r);
uint16_t wire_read_u16(struct wire_reader *r);
uint32_t wire_read_u32(struct wire_reader *r);
uint64_t wire_read_u64(struct wire_reader *r);
/* The next len bytes, borrowed from the input; empty when they are not there. */
struct span wire_read_span(struct wire_reader *r, size_t len);
/* Everything that is left. */
struct span wire_read_rest(struct wire_reader *r);

struct wire_writer wire_writer_of(uint8_t *data, size_t cap);
void wire_write_u8(struct wire_writer *w, uint8_t v);
void wire_write_u16(struct wire_writer *w, uint16_t v);
void wire_write_u32(struct wire_writer *w, uint32_t v);
void wire_write_u64(struct wire_writer *w, uint64_t v);
void wire_write_span(struct wire_writer *w, struct span bytes);
/* n bytes of zero; returns where they stand, or NULL on overflow. */
uint8_t *wire_write_room(struct wire_writer *w, size_t n);
/* Overwrites what is already written (asserted to lie below len unless overflow is set, when it
 * does nothing). */
void wire_patch_u8(struct wire_writer *w, size_t at, uint8_t v);
void wire_patch_u16(struct wire_writer *w, size_t at, uint16_t v);
void wire_patch_u32(struct wire_writer *w, size_t at, uint32_t v);
/* What has been written; empty on overflow. */
struct span wire_written(const struct wire_writer *w);

#endif
