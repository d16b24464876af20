/* What a bad path does to the client's packets, decided packet by packet. Pure: no clock, no
 * socket, no chance. The same seed and the same packets of a class and way give the same fates,
 * whatever the other classes do meanwhile.
 *
 *   frame ─ relay_classify ─> catch? (hold or drop the n-th message of an exchange)
 *                              └─ no ─> first rule that fits: loss, copies, delay
 */
#ifndef HF_CHAOS_RELAY_H
#define HF_CHAOS_RELAY_H

#include "capture.h"

enum {
    RELAY_MAX_RULES = 8,
    RELAY_MAX_CATCHES = 4,
    RELAY_MAX_SHARE = 90, /* percent */
    RELAY_MAX_MS = 1000,
    RELAY_MESSAGES = 32,  /* different messages that a catch tells apart */
    RELAY_REORDER_MS = 15 /* so long is a packet held that others are to overtake */
};

enum relay_way { RELAY_IN, RELAY_OUT, RELAY_WAYS }; /* client to gateway, gateway to client */
enum relay_class {
    RELAY_INIT, /* IKE by its outer header's exchange type */
    RELAY_AUTH,
    RELAY_CREATE_CHILD,
    RELAY_INFORMATIONAL,
    RELAY_ESP,
    RELAY_OTHER, /* never touched: ARP, neighbour discovery, keepalives */
    RELAY_CLASSES
};
enum { RELAY_ALL_WAYS = 3, RELAY_ALL_CLASSES = (1 << RELAY_OTHER) - 1 };

struct relay_rule {
    unsigned ways, classes;            /* bits */
    unsigned loss, duplicate, reorder; /* percent */
    unsigned delay_ms, jitter_ms;      /* jitter: up to so much more; it reorders, too */
};

struct relay_settings {
    struct relay_rule rules[RELAY_MAX_RULES];
    unsigned n_rules;
};

/* What the relay knows of a frame. */
struct relay_packet {
    enum relay_way way;
    enum relay_class class;
    uint64_t spi_i, spi_r; /* IKE: which message */
    uint32_t message_id;
    bool response;
};

enum relay_deed { RELAY_HOLD, RELAY_DROP };

/* The nth different message of the class, way and kind since the catch was set: it and each copy of
 * it is held or dropped, until the catch is released. */
struct relay_catch {
    bool active;
    enum relay_deed deed;
    enum relay_way way;
    enum relay_class class;
    bool response;
    unsigned nth; /* from 1 */
    struct relay_packet seen[RELAY_MESSAGES];
    unsigned n_seen;
    unsigned caught; /* transmissions */
};

struct relay_count {
    uint64_t seen, dropped, duplicated, reordered, caught;
};

struct relay_core {
    struct relay_settings settings;
    uint64_t seed;
    bool impairs; /* the rules are in force; catches always are */
    struct relay_catch catches[RELAY_MAX_CATCHES];
    struct relay_count counts[RELAY_WAYS][RELAY_CLASSES];
};

enum { RELAY_NO_CATCH = -1 };

struct relay_fate {
    unsigned copies;      /* to be sent: 0, 1 or 2 */
    uint64_t after_ns[2]; /* each so long after its arrival */
    int held_by;          /* a catch keeps it (then copies is 0), or RELAY_NO_CATCH */
};

void relay_core_init(struct relay_core *core, const struct relay_settings *settings, uint64_t seed);

/* Ethernet frame that goes that way, to what the rules look at. */
void relay_classify(enum relay_way way, struct span frame, struct relay_packet *packet);

/* Decides and counts. */
void relay_decide(struct relay_core *core, const struct relay_packet *packet,
                  struct relay_fate *fate);

/* Sets a catch; its index. At most RELAY_MAX_CATCHES are active. */
int relay_catch_set(struct relay_core *core, enum relay_deed deed, enum relay_way way,
                    enum relay_class class, bool response, unsigned nth);
void relay_catch_clear(struct relay_core *core, int index);

#endif
