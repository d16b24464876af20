/* What the sniffers saw on the outside bridge, as values: no keys, no decryption. ESP and IKE
 * headers are decoded, the bytes of IKE messages and of the client's packets are kept whole (to
 * compare copies, to replay), of everything else only the headers. Pure: no clock, no socket.
 * Addresses and ports in host order.
 *
 *   port of the bridge   0 = the client's, 1..5 = the nodes'
 *   left                 true: the machine behind that port sent it (a dead node's last packets
 *                        are in it too)
 */
#ifndef HF_CHAOS_CAPTURE_H
#define HF_CHAOS_CAPTURE_H

#include "base/span.h"

enum { CAPTURE_CLIENT_PORT = 0, CAPTURE_MAX_PORTS = 6, CAPTURE_HEADER_BYTES = 64 };

enum capture_kind {
    CAPTURE_ESP,       /* UDP-encapsulated or protocol 50 */
    CAPTURE_IKE,       /* port 500, or 4500 behind the non-ESP marker (RFC 3948 2.2) */
    CAPTURE_KEEPALIVE, /* one 0xFF byte (RFC 3948 2.3) */
    CAPTURE_ARP,       /* or a neighbour advertisement */
    CAPTURE_IP_OTHER   /* anything else over IP */
};

/* RFC 7296 3.1 exchange types and flag bits. */
enum {
    IKE_HDR_INIT = 34,
    IKE_HDR_AUTH = 35,
    IKE_HDR_CREATE_CHILD = 36,
    IKE_HDR_INFORMATIONAL = 37
};
enum { IKE_HDR_FLAG_RESPONSE = 0x20, IKE_HDR_FLAG_INITIATOR = 0x08 };

struct capture_frame {
    uint64_t ns; /* kernel time stamp, CLOCK_REALTIME */
    uint8_t port;
    bool left;
    enum capture_kind kind;
    bool v6;
    uint32_t src, dst; /* ARP: sender's and target's protocol address. IPv6: of the lab's addresses
                          the last four bytes (lab.h), of others 0; advertisement: src is the target */
    uint16_t src_port, dst_port;
    uint8_t src_mac[6];
    uint32_t spi, seq;     /* ESP */
    uint64_t spi_i, spi_r; /* IKE */
    uint8_t exchange, flags;
    uint32_t message_id;
    uint32_t message_at, message_len; /* IKE message inside the kept bytes */
    size_t bytes_at;                  /* in capture.bytes */
    uint32_t bytes_len, wire_len;     /* kept, and as it was on the wire */
};

struct capture {
    struct capture_frame *frames;
    size_t n_frames, cap_frames;
    uint8_t *bytes;
    size_t n_bytes, cap_bytes;
    bool out_of_memory; /* frames were lost: nothing may be concluded */
};

/* Decodes one Ethernet frame: addresses, ports, ESP and IKE headers; the rest is 0. False: it is
 * neither ARP nor IP (spanning tree ...). */
bool capture_decode(struct span frame, struct capture_frame *f);

/* Decodes one Ethernet frame and appends it. False: capture_decode() does not know it and it was
 * left out, or memory ran out. `wire_len` may be larger than frame.len. */
bool capture_add(struct capture *c, uint64_t ns, uint8_t port, bool left, struct span frame,
                 size_t wire_len);

/* The kept bytes of a frame, and of the IKE message in it; valid until the next capture_add(). */
struct span capture_bytes(const struct capture *c, const struct capture_frame *f);
struct span capture_message(const struct capture *c, const struct capture_frame *f);

/* By time; frames of one time stay in the order of their arrival here. */
void capture_sort(struct capture *c);

/* Room for a pointer to every frame, heap; NULL: no memory. For judges that sort their own way. */
const struct capture_frame **capture_list(const struct capture *c);

void capture_deinit(struct capture *c);

#endif
