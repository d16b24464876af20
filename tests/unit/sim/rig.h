/* A history told to the watch by hand: three nodes, one shard, one client with one CHILD SA; each test
 * tells one that holds, then one breach.
 *
 *   rig_create ─> rig_assign(1) ─> rig_serve(1): installed and granted at node 1
 */
#ifndef TEST_UNIT_SIM_RIG_H
#define TEST_UNIT_SIM_RIG_H

#include "proto/records.pb-c.h"
#include "sim/sim_watch.h"

enum {
    RIG_NODES = 3,
    RIG_SHARD = 7,
    RIG_OUT = 0x51,
    RIG_IN = 0x52, /* what its keys are made of */
    RIG_SPI = 0x1001,
    RIG_LEASE_NS = 1000
};

struct rig_node {
    struct rig *rig;
    uint32_t node;
    uint64_t boot;
    bool leased;    /* its lease runs, ... */
    uint64_t epoch; /* ... of the assignment that it was told last */
    struct conductor_ops ops;
    struct sim_watch_wrap *wrap;
    void *esp; /* the handle of the CHILD SA that was installed last */
};

struct rig {
    uint64_t now_ms, index, cluster_ms, request;
    struct sim_watch *watch;
    struct rig_node nodes[RIG_NODES + 1]; /* 1 .. */
    uint64_t epoch, assignments;
    uint64_t stale; /* records say that they are of this epoch; 0 = of the present one */
    uint32_t owner;
    bool handover;      /* assignments are what their former owner asked for */
    struct ike_sa sa;   /* the gateway's, as in the log now */
    struct ike_sa peer; /* client 0's */
    uint64_t out, in;   /* keys as the watch names them: the gateway's direction */
};

/* Nodes 1 .. 3 run and have stored all; the SA is made, nobody owns the shard. */
struct rig *rig_make(void);
void rig_free(struct rig *r);
/* Made, assigned to node 1, served there: [1, 1024) and (0, 8]. */
struct rig *rig_serving(void);

/* One record, at the next index, to nodes `from` .. RIG_NODES. */
void rig_record(struct rig *r, uint32_t from, Holdfast__Record *record,
                const struct repl_event *facts);
void rig_create(struct rig *r, const struct ike_sa *sa);
/* r->sa as it is now, after these are gone; 0 = none. */
void rig_step(struct rig *r, uint32_t gone);
void rig_step_at(struct rig *r, uint32_t from, uint32_t gone);
void rig_delete(struct rig *r, uint64_t sa_id);
void rig_extend(struct rig *r, uint64_t end, uint64_t ceiling);
void rig_assign(struct rig *r, uint32_t node);
/* Installs the first CHILD SA at the owner and gives it [first, end) and (floor, ceiling]. */
void rig_serve(struct rig *r, uint64_t first, uint64_t end, uint64_t floor, uint64_t ceiling);
struct repl_event rig_event(const struct rig *r, enum repl_event_kind kind);
void rig_tell(struct rig *r, uint32_t node, const struct repl_event *event);

struct sim_watch_right rig_right(const struct rig *r);
/* The node's worker begins a turn under that right; the three below begin one each. */
void rig_turn(struct rig *r, uint32_t node);
void rig_seal(struct rig *r, uint32_t node, uint64_t seq);
void rig_leave(struct rig *r, uint32_t node, uint64_t seq);
void rig_deliver(struct rig *r, uint32_t node, uint64_t seq);
/* A protected message of the SA: `iv` and `salt` make its content. */
struct ike_message rig_message(const struct rig *r, bool response, uint32_t id, uint64_t iv,
                               uint8_t salt);
void rig_send(struct rig *r, uint32_t node, const struct ike_message *m);

/* Nothing is broken, and the rule was judged. */
void rig_fine(struct rig *r, enum sim_watch_rule rule);
/* This rule is broken, and nothing else but what `also` names (SIM_WATCH_RULES = nothing). */
void rig_broken(struct rig *r, enum sim_watch_rule rule, enum sim_watch_rule also);

/* A rule's test: checks/sim-rules looks for one of each. */
#define RULE(name) Test(sim_watch_rules, name)

#endif
