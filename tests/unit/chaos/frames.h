/* Synthetic frames of the outside bridge for the judges' tests: addresses of the lab, UDP 4500. */
#ifndef HF_TEST_CHAOS_FRAMES_H
#define HF_TEST_CHAOS_FRAMES_H

#include "chaos/capture.h"

enum { FRAME_MS = 1000000, FRAME_ZERO = 5 * FRAME_MS };

/* Ethernet, IPv4, UDP, then `payload`; returns its length. frame must have room for payload and 42.
 */
size_t frame_make(uint8_t *frame, uint32_t src, uint32_t dst, uint16_t port, struct span payload);

/* It passed the port `ms` after FRAME_ZERO. */
void frame_add(struct capture *cap, unsigned ms, uint8_t port, bool left, uint32_t src,
               uint32_t dst, uint16_t udp_port, struct span payload);

/* An ESP packet of the service address that left the node. */
void frame_esp(struct capture *cap, unsigned ms, uint8_t node, uint32_t spi, uint32_t seq);

/* A message of the IKE SA 0x1111/0x2222 that left the port; 68 bytes, the last one as given. */
void frame_ike(struct capture *cap, unsigned ms, uint8_t port, uint8_t exchange, bool response,
               uint32_t message_id, uint8_t last_byte);

#endif
