/* Packet sockets on the outside bridge's ports, in the switch's namespace: they see what a node
 * sent even when the node is dead a moment later, and they put packets onto one port for a replay.
 */
#ifndef HF_CHAOS_SNIFF_H
#define HF_CHAOS_SNIFF_H

#include "capture.h"
#include "lab.h"

struct sniff_port {
    struct pump_watch watch;
    struct sniff *owner;
    uint8_t port;
    int ifindex;
};

struct sniff {
    struct chaos_lab *lab;
    struct capture capture;
    struct sniff_port ports[CAPTURE_MAX_PORTS];
    unsigned n_ports;
    void (*seen)(void *arg,
                 const struct capture_frame *f); /* each frame as it comes; may be NULL */
    void *arg;
};

/* Begins on the client's port and every node's. */
bool sniff_start(struct sniff *s, struct chaos_lab *lab);

/* Sends an Ethernet frame out of the port, towards the machine behind it. */
bool sniff_inject(struct sniff *s, unsigned port, struct span frame);

/* Frames that the kernel could not give us: a capture with holes proves nothing. */
uint64_t sniff_dropped(struct sniff *s);

void sniff_stop(struct sniff *s);

#endif
