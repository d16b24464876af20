/* A link of a test's own: out0 is the node's, with arp.c on it; far0, a packet socket, whoever asks. */
#ifndef HF_TESTS_IO_LINK_H
#define HF_TESTS_IO_LINK_H

#include "io/arp.h"

struct link {
    uv_loop_t loop;
    struct arp *arp;
    int far;  /* takes and sends frames of one protocol at the other end */
    bool may; /* shard 7 may be answered for; no other ever */
};

/* In a network namespace of its own. protocol: ETH_P_ARP or ETH_P_IPV6. */
void link_open(struct link *l, const struct arp_address *addresses, size_t n, uint16_t protocol);
/* arp_open()'s question, of a struct link. */
bool link_may_answer(void *self, uint32_t shard);
void link_close(struct link *l);
/* The next frame that came to the far end from the node: its length. 0: none is there; awaited: none came
 * for ten seconds (the kernel may be late to deliver what was sent). */
size_t link_take(const struct link *l, bool awaited, uint8_t *frame, size_t size);
struct arp_counters link_counters(const struct link *l);

#endif
