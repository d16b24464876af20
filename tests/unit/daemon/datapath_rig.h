/* One CHILD SA on three gateway nodes: datapath.c and the ESP data path of each, over one
 * replicated state. Virtual time; worker pool and conductor are played by the rig.
 *
 *   rig_send, rig_receive ── esp events ──> datapath ── Extend ──> fsm ──> limits
 */
#ifndef HF_TEST_DAEMON_DATAPATH_RIG_H
#define HF_TEST_DAEMON_DATAPATH_RIG_H

#include "conductor/core.h"
#include "daemon/datapath.h"
#include "replication/fsm.h"
#include "unit/esp/pair.h"
#include "unit/repl/make.h"

enum { RIG_NODES = 3, RIG_EVENTS = 64 };
/* What befalls the next Extend that asks for nothing: the outbox has no room, the log says no. */
enum rig_refusal { RIG_NO_REFUSAL, RIG_NOT_TAKEN, RIG_REFUSED };

struct rig_node {
    struct datapath *datapath;
    struct conductor_ops ops; /* the data path's rows */
    enum worker_mode mode;    /* as its workers were told */
    uint32_t waiting;         /* packets in its workers */
    bool stuck;               /* its workers do not pass */
    void *child;
    struct esp_sa sa;
    struct worker_event events[RIG_EVENTS];
    size_t n_events;
    Holdfast__Record *extend; /* under way, or NULL */
    unsigned extends, told;   /* records; of them without anything asked for */
    unsigned refusals;        /* that befell it */
    unsigned soft, hard;      /* news for the engine */
    unsigned recoveries;      /* asked for */
};

extern struct rig_node rig_nodes[RIG_NODES];
extern struct fsm rig_fsm;
extern unsigned rig_owner;
extern enum rig_refusal rig_refusal; /* once; then none again */
extern bool rig_hold_recoveries;     /* conductor_recover() says: not now */

/* Nobody owns it yet; limits as in `o`. */
void rig_begin(const struct pair_options *o);
void rig_end(void);
/* The owner before is dead. */
void rig_assign(unsigned node);
/* The owner hands over, all that it began settled: false, the windows were refused (a bit of them
 * is turned over where `spoil`) and there is a floor. */
bool rig_hand_over(unsigned node, bool spoil);
/* The record under way is applied, until there is none; due pacers run. */
void rig_settle(void);
/* A millisecond passes, one packet leaves or arrives, what follows from it is settled. */
enum esp_drop rig_send(void);
enum esp_drop rig_receive(void);
/* As rig_receive(); what waits for the ceiling counts as taken: it is when the ceiling has risen. */
enum esp_drop rig_receive_ahead(void);
/* How many of these go through until the hard limit says no, at most `most`; asserts that nothing
 * else refuses one. */
unsigned rig_until_hard(enum esp_drop (*packet)(void), unsigned most);
void rig_pass_ms(uint64_t ms);
/* The applied state of the CHILD SA as esp_update gets it. */
void rig_update(bool rekeying);
/* The client's numbers go on from here. */
void rig_client_from(uint64_t number);

#endif
