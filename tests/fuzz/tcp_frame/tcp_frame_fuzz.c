/* The transport's hello and frame decoder over a stream cut into pieces: the first byte says how
 * long the pieces are. What it accepts must encode back to the same bytes, however the stream was
 * cut. */
#include <stdlib.h>

#include "replication/tcp_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The consumed bytes before `end` must be exactly this frame. */
static void check_frame(uint8_t channel, struct span payload, const uint8_t *end)
{
    uint8_t header[TCP_FRAME_HEADER + 1];
    size_t total;

    HF_ASSERT(tcp_frame_header(channel, &payload, 1, header, &total));
    HF_ASSERT(memcmp(end - total, header, sizeof header) == 0);
    HF_ASSERT(payload.len == 0 ||
              memcmp(end - total + sizeof header, payload.data, payload.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tcp_reader r = {0};
    size_t piece, at = 1, seen = 1;

    if (size < 1)
        return 0;
    piece = data[0] == 0 ? size : data[0];
    while (at < size) {
        size_t n = size - at < piece ? size - at : piece;
        struct span in = span_of(data + at, n);

        at += n;
        for (;;) {
            bool greeted = r.greeted;
            size_t before = in.len;
            struct tcp_hello hello;
            struct span payload;
            uint8_t channel;
            enum tcp_decoded d = tcp_reader_next(&r, &in, &hello, &channel, &payload);

            seen += before - in.len;
            HF_ASSERT(r.cap <= 4096 + 4 * seen);
            if (d == TCP_MORE)
                break;
            if (d != TCP_DONE)
                goto out;
            if (greeted) {
                check_frame(channel, payload, data + seen);
            } else {
                uint8_t again[TCP_HELLO_BYTES];

                size_t length = tcp_hello_encode(&hello, again);

                /* of a later version, or with what one added: skipped */
                HF_ASSERT(hello.oldest > 0 && hello.oldest <= hello.version);
                HF_ASSERT(seen - 1 <= TCP_HELLO_MAX && seen - 1 >= length);
                if (seen - 1 == length)
                    HF_ASSERT(memcmp(again, data + 1, length) == 0);
                else
                    HF_ASSERT(memcmp(again, data + 1, 46) == 0);
            }
        }
        HF_ASSERT(in.len == 0);
    }
out:
    tcp_reader_deinit(&r);
    return 0;
}
