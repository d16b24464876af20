/* The bytes of the transport: hello and frames. Pure, bounded, fuzzed.
 *
 *   hello  magic (8) "HFHELLO\0", newest version that the sender speaks (4), from (4), to (4),
 *          cluster (8), boot (8), incarnation (8), oldest version that it takes (2), bytes of this hello
 *          (2), what later versions add, CRC32C of all before (4). Version 2 has neither of the two
 *          2-byte fields, and takes no other version than itself.
 *   frame  length of channel + payload (4), CRC32C of channel + payload (4), channel (1), payload
 *
 * A link speaks the lower of the two newest versions. Whoever adds a field appends it and raises the
 * version: who does not know it skips it by the hello's own length, so both can be understood, and a
 * refusal says which versions the two speak. Version 3 differs from 2 in its hello alone; with 4 Raft's
 * frames name the incarnation (raft_frame.h).
 *
 * Before the hello is complete nothing longer than it is buffered. A frame's buffer grows with the
 * bytes that came, not with the length that was claimed; one above REPL_MAX_FRAME_BYTES is refused
 * at once.
 */
#ifndef HF_REPL_TCP_FRAME_H
#define HF_REPL_TCP_FRAME_H

#include "base/assert.h"
#include "replication/transport.h"

enum {
    TCP_VERSION = REPL_LINK_NAMES_HISTORY,
    TCP_OLDEST = 2
}; /* spoken here, and taken from others */
enum {
    TCP_HELLO_BYTES = 52, /* as we write it */
    TCP_HELLO_FORMER = 48,
    TCP_HELLO_MAX = 512, /* as a later version may write it */
    TCP_FRAME_HEADER = 8,
    TCP_CHANNEL_PING = 0
};

struct tcp_hello {
    uint32_t version, from, to;
    uint64_t cluster, boot;
    uint64_t incarnation; /* of that cluster; 0 = the sender has nothing of its log yet */
    uint16_t oldest;      /* 1 .. version; 0 in a hello to be written = TCP_OLDEST */
};

enum tcp_decoded {
    TCP_MORE, /* needs more bytes */
    TCP_DONE,
    TCP_BAD_HELLO,  /* not a hello, or damaged */
    TCP_BAD_LENGTH, /* 0 or above REPL_MAX_FRAME_BYTES */
    TCP_BAD_CHECKSUM
};

/* In the form of h->version; how many bytes. */
size_t tcp_hello_encode(const struct tcp_hello *h, uint8_t out[TCP_HELLO_BYTES]);
/* How long a hello that begins so is in all; 0: it is none. */
size_t tcp_hello_length(const uint8_t in[TCP_HELLO_FORMER]);
/* `in`: all of it. Whether its versions suit is the link's to judge. */
HF_MUST_USE enum tcp_decoded tcp_hello_decode(struct span in, struct tcp_hello *h);

/* Fills the header of a frame whose body (channel, payload) is given in parts. False: too long. */
HF_MUST_USE bool tcp_frame_header(uint8_t channel, const struct span *parts, size_t n_parts,
                                  uint8_t out[TCP_FRAME_HEADER + 1], size_t *total);

/* Cuts a stream into one hello and then frames. */
struct tcp_reader {
    uint8_t *buf; /* owned */
    size_t len, cap;
    bool greeted;
};

void tcp_reader_deinit(struct tcp_reader *r);

/* Takes bytes off *in: until something is complete (DONE), all is taken (MORE), or an error, after
 * which the reader is of no use. DONE: the first time *hello is filled; later *channel and *payload
 * (valid until the next call). */
HF_MUST_USE enum tcp_decoded tcp_reader_next(struct tcp_reader *r, struct span *in,
                                             struct tcp_hello *hello, uint8_t *channel,
                                             struct span *payload);

#endif
