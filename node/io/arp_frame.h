/* ARP frames (RFC 826, 5227) and the filter that lets only requests for our addresses through.
 * Pure. */
#ifndef HF_IO_ARP_FRAME_H
#define HF_IO_ARP_FRAME_H

#include <linux/filter.h>

#include "base/addr.h"
#include "base/assert.h"

enum { ARP_FRAME_BYTES = 60, ARP_FILTER_MAX = 128 + 16 };

struct arp_request {
    uint8_t sender_mac[6];
    uint32_t sender_ip, target_ip; /* host order; sender 0 = a probe */
};

/* A request off the wire, Ethernet header included. False: anything else. */
HF_MUST_USE bool arp_request_decode(struct span frame, struct arp_request *out);

/* The answer to `r`: r->target_ip is at `mac`. */
void arp_reply_encode(const struct arp_request *r, const uint8_t mac[6],
                      uint8_t out[ARP_FRAME_BYTES]);

/* A gratuitous ARP in the form of a request: broadcast, sender = target = ip. */
void arp_announcement_encode(uint32_t ip, const uint8_t mac[6], uint8_t out[ARP_FRAME_BYTES]);

/* A classic BPF program that passes ARP requests for these n <= 128 addresses (host order). Returns
 * its length. */
size_t arp_filter(const uint32_t *ips, size_t n, struct sock_filter out[ARP_FILTER_MAX]);

#endif
