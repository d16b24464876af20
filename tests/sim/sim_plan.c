/* What the seed decides before anything happens. */
#include "sim/sim_run.h"
#include "sim/sim_world.h"

enum { HEAL_MS = 75000, LONG_HEAL_EACH = 4, MEMBERS_PERMILLE = 220 };

static uint32_t pick(struct sim_world *w, const uint32_t *of, size_t n)
{
    return of[sim_between(&w->random, 0, n - 1)];
}

/* From a stream of their own: seeds without them are what they would be. */
static void draw_members(struct sim_world *w)
{
    static const uint32_t founders[] = {1, 1, 3, 3, 5};

    w->plan.members = sim_chance(&w->members, MEMBERS_PERMILLE);
    if (w->plan.members)
        w->plan.n_nodes = founders[sim_between(&w->members, 0, 4)];
}

void sim_plan_draw(struct sim_world *w, const struct sim_options *o)
{
    static const uint32_t nodes[] = {1, 3, 3, 3, 3, 5};
    struct sim_plan *p = &w->plan;

    *p = (struct sim_plan){.n_nodes = pick(w, nodes, 6),
                           .n_shards = (uint32_t)sim_between(&w->random, 1, SIM_SHARDS),
                           .n_clients = (uint32_t)sim_between(&w->random, 1, 3),
                           .run_ms = sim_between(&w->random, 250, 490) * 1000,
                           .heal_ms = HEAL_MS,
                           .faults_from_ms = 8000,
                           .fault_every_ms = pick(w, (const uint32_t[]){400, 1000, 2500, 6000}, 4),
                           .command_every_ms = pick(w, (const uint32_t[]){500, 2000, 8000}, 3),
                           .packet_every_ms = pick(w, (const uint32_t[]){20, 60, 200}, 3),
                           .snapshot_entries = pick(w, (const uint32_t[]){200, 1000, 100000}, 3),
                           .rebalance = sim_chance(&w->random, 300),
                           .esn = sim_chance(&w->random, 300),
                           .sealed = sim_chance(&w->random, 500),
                           .recovery = (enum conductor_recovery)sim_between(
                               &w->random, CONDUCTOR_RECOVER_REKEY, CONDUCTOR_RECOVER_BOUNDED)};
    if (o->heal_ms != 0 && w->seed % LONG_HEAL_EACH != 0)
        p->heal_ms = o->heal_ms;
    draw_members(w);
    for (uint32_t i = 0; i < SIM_NODES; i++)
        p->drift_ppm[i] = (int32_t)sim_between(&w->random, 0, 400) - 200;
    if (o->run_ms != 0)
        p->run_ms = o->run_ms > p->heal_ms + 10000 ? o->run_ms : p->heal_ms + 10000;
    if (o->quiet) {
        p->members = false;
        p->n_nodes = 3;
        p->n_shards = p->n_clients = 1;
        p->fault_every_ms = 0;
    }
    sim_recovery_draw(w, o->quiet);
    sim_meetings_draw(w, o->quiet);
    sim_stops_draw(w, o->quiet);
    w->now_ms = 1000;
    w->next_fault_ms = p->fault_every_ms == 0 ? UINT64_MAX : p->faults_from_ms;
    w->next_command_ms = o->quiet ? UINT64_MAX : p->faults_from_ms;
    w->next_check_ms = w->now_ms;
    w->change.next_ms = p->members ? p->faults_from_ms : UINT64_MAX;
}
