#include "replication/tcp_frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "replication/crc32c.h"

static const uint8_t magic[8] = {'H', 'F', 'H', 'E', 'L', 'L', 'O', 0};

enum { SMALL_BUFFER = 64 << 10 };

enum { AT_VERSION = 8, AT_OLDEST = 44, AT_LENGTH = 46 };

size_t tcp_hello_encode(const struct tcp_hello *h, uint8_t out[TCP_HELLO_BYTES])
{
    size_t n = h->version <= 2 ? TCP_HELLO_FORMER : TCP_HELLO_BYTES;

    memcpy(out, magic, sizeof magic);
    put_be32(out + AT_VERSION, h->version);
    put_be32(out + 12, h->from);
    put_be32(out + 16, h->to);
    put_be64(out + 20, h->cluster);
    put_be64(out + 28, h->boot);
    put_be64(out + 36, h->incarnation);
    if (n > TCP_HELLO_FORMER) {
        put_be16(out + AT_OLDEST, h->oldest == 0 ? TCP_OLDEST : h->oldest);
        put_be16(out + AT_LENGTH, (uint16_t)n);
    }
    put_be32(out + n - 4, crc32c(0, out, n - 4));
    return n;
}

size_t tcp_hello_length(const uint8_t in[TCP_HELLO_FORMER])
{
    uint32_t version = get_be32(in + AT_VERSION);
    size_t n = version == 2 ? TCP_HELLO_FORMER : get_be16(in + AT_LENGTH);

    if (memcmp(in, magic, sizeof magic) != 0 || version < 2 || n > TCP_HELLO_MAX ||
        (version > 2 && n < TCP_HELLO_BYTES))
        return 0;
    return n;
}

enum tcp_decoded tcp_hello_decode(struct span in, struct tcp_hello *h)
{
    const uint8_t *p = in.data;
    uint32_t version, oldest;

    if (in.len < TCP_HELLO_FORMER || tcp_hello_length(p) != in.len ||
        get_be32(p + in.len - 4) != crc32c(0, p, in.len - 4))
        return TCP_BAD_HELLO;
    version = get_be32(p + AT_VERSION);
    oldest = version == 2 ? 2 : get_be16(p + AT_OLDEST);
    if (oldest == 0 || oldest > version)
        return TCP_BAD_HELLO;
    *h = (struct tcp_hello){.version = version,
                            .from = get_be32(p + 12),
                            .to = get_be32(p + 16),
                            .cluster = get_be64(p + 20),
                            .boot = get_be64(p + 28),
                            .incarnation = get_be64(p + 36),
                            .oldest = (uint16_t)oldest};
    return TCP_DONE;
}

bool tcp_frame_header(uint8_t channel, const struct span *parts, size_t n_parts,
                      uint8_t out[TCP_FRAME_HEADER + 1], size_t *total)
{
    uint32_t crc = crc32c(0, &channel, 1);
    size_t len = 1;

    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].len > REPL_MAX_FRAME_BYTES - len)
            return false;
        len += parts[i].len;
        crc = crc32c(crc, parts[i].data, parts[i].len);
    }
    put_be32(out, (uint32_t)len);
    put_be32(out + 4, crc);
    out[TCP_FRAME_HEADER] = channel;
    *total = TCP_FRAME_HEADER + len;
    return true;
}

/* Frames may carry keys: none is left behind, neither when it was consumed nor when its room moves.
 */
static void drop(uint8_t *buf, size_t used)
{
    if (used > 0)
        secret_wipe_bytes(buf, used);
    free(buf);
}

void tcp_reader_deinit(struct tcp_reader *r)
{
    drop(r->buf, r->len);
    *r = (struct tcp_reader){0};
}

/* Takes bytes until the buffer holds `want`. The buffer doubles as bytes come, up to what is
 * wanted: a claimed length costs nothing. */
static bool gather(struct tcp_reader *r, struct span *in, size_t want)
{
    size_t n = want - r->len;

    if (n > in->len)
        n = in->len;
    if (r->len + n > r->cap) {
        size_t cap = r->cap == 0 ? 4096 : r->cap;
        uint8_t *buf;

        while (cap < r->len + n)
            cap *= 2;
        cap = cap < want || want < 4096 ? cap : want;
        buf = malloc(cap);
        HF_ASSERT(buf != NULL);
        if (r->len > 0)
            memcpy(buf, r->buf, r->len);
        drop(r->buf, r->len);
        r->buf = buf;
        r->cap = cap;
    }
    if (n > 0)
        memcpy(r->buf + r->len, in->data, n);
    r->len += n;
    in->data += n;
    in->len -= n;
    return r->len == want;
}

/* The last frame was consumed: a large buffer is not kept. */
static void begin(struct tcp_reader *r)
{
    secret_wipe_bytes(r->buf, r->len);
    r->len = 0;
    if (r->cap > SMALL_BUFFER) {
        free(r->buf);
        r->buf = NULL;
        r->cap = 0;
    }
}

static enum tcp_decoded next_frame(struct tcp_reader *r, struct span *in, uint8_t *channel,
                                   struct span *payload)
{
    size_t len;

    /* A frame that was handed out stays in the buffer until now. */
    if (r->len > TCP_FRAME_HEADER && r->len == TCP_FRAME_HEADER + get_be32(r->buf))
        begin(r);
    if (r->len < TCP_FRAME_HEADER && !gather(r, in, TCP_FRAME_HEADER))
        return TCP_MORE;
    len = get_be32(r->buf);
    if (len == 0 || len > REPL_MAX_FRAME_BYTES)
        return TCP_BAD_LENGTH;
    if (!gather(r, in, TCP_FRAME_HEADER + len))
        return TCP_MORE;
    if (crc32c(0, r->buf + TCP_FRAME_HEADER, len) != get_be32(r->buf + 4))
        return TCP_BAD_CHECKSUM;
    *channel = r->buf[TCP_FRAME_HEADER];
    *payload = span_of(r->buf + TCP_FRAME_HEADER + 1, len - 1);
    return TCP_DONE;
}

enum tcp_decoded tcp_reader_next(struct tcp_reader *r, struct span *in, struct tcp_hello *hello,
                                 uint8_t *channel, struct span *payload)
{
    enum tcp_decoded d;
    size_t n;

    if (r->greeted)
        return next_frame(r, in, channel, payload);
    if (r->len < TCP_HELLO_FORMER && !gather(r, in, TCP_HELLO_FORMER))
        return TCP_MORE;
    n = tcp_hello_length(r->buf);
    if (n == 0)
        return TCP_BAD_HELLO;
    if (r->len < n && !gather(r, in, n))
        return TCP_MORE;
    d = tcp_hello_decode(span_of(r->buf, n), hello);
    if (d == TCP_DONE) {
        r->greeted = true;
        begin(r);
    }
    return d;
}
