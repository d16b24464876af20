/* Neighbour discovery's frames for IPv6 (RFC 4861 4.3, 4.4) and the filter that lets only those of
 * our addresses through. Pure; what arp_frame.h is for IPv4.
 */
#ifndef HF_IO_ND_FRAME_H
#define HF_IO_ND_FRAME_H

#include <linux/filter.h>

#include "base/addr.h"
#include "base/assert.h"

enum { ND_FRAME_BYTES = 86, ND_FILTER_MAX = 128 + 16 };

/* A neighbour solicitation or advertisement off the wire. */
struct nd_message {
    bool advertisement;
    uint8_t mac[6];        /* solicitation: to where an answer goes; advertisement: of the target */
    struct ip_addr source; /* ::, as a solicitation's, is a probe for a duplicate (RFC 4862 5.4) */
    struct ip_addr target;
};

/* Ethernet header included. False: anything else, and what RFC 4861 7.1.1 and 7.1.2 bid to discard
 * (hop limit, checksum, code, lengths, a probe with a link-layer address). */
HF_MUST_USE bool nd_decode(struct span frame, struct nd_message *out);

/* `target` is at `mac`, whatever was known before (override). The answer to `asked`: to who asked,
 * solicited; a probe's goes to all nodes (RFC 4862 5.4.3, RFC 4861 7.2.4). NULL: unsolicited, to all. */
void nd_advertisement_encode(const struct ip_addr *target, const uint8_t mac[6],
                             const struct nd_message *asked, uint8_t out[ND_FRAME_BYTES]);

/* The solicited-node multicast address (RFC 4291 2.7.1), which who has the address listens to. */
struct ip_addr nd_group(const struct ip_addr *target);

/* A classic BPF program that passes solicitations and advertisements of these n <= 128 addresses (by
 * their last four bytes: nd_decode() tells the rest). Returns its length. */
size_t nd_filter(const struct ip_addr *ips, size_t n, struct sock_filter out[ND_FILTER_MAX]);

#endif
