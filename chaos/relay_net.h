/* The relay's shell: it stands in the client's cable and moves whole frames between its two halves
 * as relay.h decides, on the cell's loop.
 *
 *   client ── cli [relay] rel ── outc ── outside bridge
 */
#ifndef HF_CHAOS_RELAY_NET_H
#define HF_CHAOS_RELAY_NET_H

#include "lab.h"
#include "relay.h"

enum { RELAY_MAX_WAITING = 8192 }; /* frames; more are dropped and counted as overflow */

struct relay_frame;

struct relay_half {
    struct pump_watch watch; /* packet socket */
    struct relay *owner;
    enum relay_way way; /* of what comes in here */
};

struct relay {
    struct relay_core core;
    struct chaos_lab *lab; /* NULL: there is none */
    struct relay_half halves[RELAY_WAYS];
    struct pump_watch timer;
    struct relay_frame *waiting;                 /* by due time */
    struct relay_frame *held[RELAY_MAX_CATCHES]; /* the first copy of what a catch holds */
    unsigned n_waiting;
    uint64_t overflow, send_failed;
    /* A NAT with another mapping than before: the client's port 4500 is seen as this one (IPv4 only);
     * 0 = there is none. What is sent to the port that it had is dropped, and counted. */
    uint16_t nat_port;
    uint64_t nat_dropped;
};

/* Begins to move frames, unchanged until core.impairs is set. The lab was built with a relay. */
bool relay_start(struct relay *r, struct chaos_lab *lab, const struct relay_settings *settings,
                 uint64_t seed);

/* Ends a catch; what it holds goes on its way now (one copy). */
void relay_release(struct relay *r, int index);

/* ESP packets of that way that the rules dropped. */
uint64_t relay_dropped_esp(const struct relay *r, enum relay_way way);

void relay_stop(struct relay *r);

#endif
