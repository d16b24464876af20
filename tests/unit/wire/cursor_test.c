/* The cursor never leaves its bytes, and says so when it was asked to. */
#include <criterion/criterion.h>

#include "wire/cursor.h"

Test(cursor, reads_in_network_order)
{
    const uint8_t in[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
    struct wire_reader r = wire_reader_of(span_of(in, sizeof in));
    struct span s;

    cr_assert_eq(wire_read_u8(&r), 0x01);
    cr_assert_eq(wire_read_u16(&r), 0x0203);
    cr_assert_eq(wire_read_u32(&r), 0x04050607);
    cr_assert_eq(wire_read_u64(&r), 0x08090a0b0c0d0e0f);
    cr_assert_eq(wire_reader_left(&r), 2);
    s = wire_read_span(&r, 1);
    cr_assert(s.len == 1 && s.data == in + 15);
    s = wire_read_rest(&r);
    cr_assert(s.len == 1 && s.data == in + 16);
    cr_assert_eq(wire_reader_left(&r), 0);
    cr_assert_not(r.truncated);
}

Test(cursor, reading_beyond_the_end_sticks)
{
    const uint8_t in[] = {0xff, 0xff, 0xff};
    struct wire_reader r = wire_reader_of(span_of(in, sizeof in));

    cr_assert_eq(wire_read_u32(&r), 0);
    cr_assert(r.truncated);
    cr_assert_eq(wire_reader_left(&r), 0);
    cr_assert_eq(wire_read_u8(&r), 0, "what would have fitted is refused too");
    cr_assert_eq(wire_read_span(&r, 0).len, 0);
    cr_assert_eq(wire_read_span(&r, SIZE_MAX).len, 0);
    cr_assert(r.truncated);
}

Test(cursor, empty_input)
{
    struct wire_reader r = wire_reader_of(span_of(NULL, 0));

    cr_assert_eq(wire_read_rest(&r).len, 0);
    cr_assert_not(r.truncated);
    cr_assert_eq(wire_read_u64(&r), 0);
    cr_assert(r.truncated);
}

Test(cursor, writes_and_patches)
{
    uint8_t room[18];
    const uint8_t want[] = {1, 0xaa, 0xbb, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xcc, 0, 0};
    struct wire_writer w = wire_writer_of(room, sizeof room);

    wire_write_u8(&w, 1);
    wire_write_u16(&w, 0x0203);
    wire_write_u32(&w, 0x04050607);
    wire_write_u64(&w, 0x08090a0b0c0d0e0f);
    wire_write_span(&w, span_of("\xcc", 1));
    memset(room + 16, 0xee, 2);
    cr_assert_eq(wire_write_room(&w, 2), room + 16);
    wire_patch_u16(&w, 1, 0xaabb);
    cr_assert(span_equal(wire_written(&w), span_of(want, sizeof want)));
    cr_assert_not(w.overflow);
}

Test(cursor, writing_beyond_the_room_sticks)
{
    uint8_t room[6] = {0};
    struct wire_writer w = wire_writer_of(room, 4);

    memset(room + 4, 0x5a, 2);
    wire_write_u16(&w, 0x1111);
    wire_write_u32(&w, 0x22222222);
    cr_assert(w.overflow);
    wire_write_u8(&w, 3);
    wire_patch_u32(&w, 4, 7); /* beyond what was written: nothing happens after an overflow */
    cr_assert_eq(w.len, 2);
    cr_assert_eq(wire_written(&w).len, 0);
    cr_assert_null(wire_write_room(&w, SIZE_MAX));
    cr_assert(room[2] == 0 && room[4] == 0x5a && room[5] == 0x5a);
}
