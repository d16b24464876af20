/* ARP, and for IPv6 neighbour discovery, for the service addresses: answered by the owner's daemon and
 * by nobody else (the guard keeps the kernel silent).
 *
 *   AF_PACKET socket per interface and family, BPF filter: requests for our addresses only
 *     -> older than ARP_MAX_AGE_MS: dropped
 *     -> may_answer(shard) at this instant?  -> reply from the interface's own MAC
 *
 * Probes for a duplicate address (sender 0, source ::) are answered as well. After a move
 * arp_announce() sends gratuitous requests, or unsolicited advertisements, at 0, 0.1, 0.5, 1 and 2 s,
 * each only if may_answer() still holds. Every node listens to the solicited-node groups of its
 * addresses, owner or not (a switch that snoops MLD must know where they may be); only the owner
 * answers. The kernel's own neighbour discovery, for the interface's other addresses, goes on beside.
 */
#ifndef HF_IO_ARP_H
#define HF_IO_ARP_H

#include <uv.h>

#include "base/addr.h"
#include "io/error.h"

enum { ARP_MAX_ADDRESSES = 256, ARP_MAX_AGE_MS = 100 };

struct arp_address {
    struct ip_addr ip;
    const char *interface; /* where it is answered: outside or inside */
    uint32_t shard;
};

struct arp_counters {
    uint64_t requests, answered, silent /* may_answer said no */, aged, malformed, announced,
        send_failed;
    uint64_t foreign; /* another node announced an address of ours */
};

struct arp;

/* `may_answer` is asked for each frame: active for `shard` and its lease held at this instant.
 * Calls come on the loop. NULL with a text (no such interface, no CAP_NET_RAW). */
HF_MUST_USE struct arp *arp_open(uv_loop_t *loop, const struct arp_address *addresses, size_t n,
                                 bool (*may_answer)(void *self, uint32_t shard), void *self,
                                 struct io_error *error);

/* This node became the owner of `shard`: tell the neighbours. Starts the series anew when one is
 * running. */
void arp_announce(struct arp *a, uint32_t shard);

void arp_get_counters(const struct arp *a, struct arp_counters *out);

/* Handles close as the loop runs; `closed` (may be NULL) is called when `a` is gone. */
void arp_close(struct arp *a, void (*closed)(void *arg), void *arg);

#endif
