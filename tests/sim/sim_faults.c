/* What goes wrong, drawn from the seed; and the healing. */
#include "replication/fsm.h"
#include "sim/sim_world.h"

enum { PORTION = 1000, UNDRAIN_MS = 1000 };

struct kind {
    unsigned weight;
    void (*begin)(struct sim_world *w);
};

static uint64_t between(struct sim_world *w, uint64_t low, uint64_t high)
{
    return sim_between(&w->faults, low, high);
}

static void noted(struct sim_world *w, enum sim_fault fault, uint32_t who)
{
    w->stats.faults[fault]++;
    sim_say(w, "fault: %s %u", sim_fault_name(fault), who);
}

struct sim_node *sim_some_node(struct sim_world *w)
{
    struct sim_node *n = &w->nodes[between(w, 0, w->n_nodes - 1)];

    return n->up && !n->paused ? n : NULL;
}

struct sim_client *sim_some_client(struct sim_world *w)
{
    return &w->clients[between(w, 0, w->plan.n_clients - 1)];
}

/* --- processes --- */

void sim_faults_down(struct sim_node *n, uint64_t low_ms, uint64_t high_ms)
{
    struct sim_world *w = n->world;

    sim_node_kill(n);
    sim_storage_mend(n->storage);
    if (n->disk_hung || n->disk_slow)
        sim_storage_set_delay(n->storage, 0, 2);
    n->disk_hung = n->disk_slow = false;
    n->down_until_ms = w->now_ms + between(w, low_ms, high_ms);
}

/* Its machine lost its power: another clock, and what was kept in its memory is gone. */
static void boots(struct sim_node *n)
{
    sim_node_set_clock(n, between(n->world, 1, 100) * 1000000000, n->ppm);
    sim_keys_power_lost(n);
}

static void crash(struct sim_world *w)
{
    struct sim_node *n = sim_some_node(w);

    if (n == NULL)
        return;
    noted(w, SIM_FAULT_node_crash, n->id);
    sim_faults_down(n, 200, 8000);
    boots(n);
}

/* kill -9: what was written the kernel may well have stored. */
static void kill_process(struct sim_world *w)
{
    struct sim_node *n = sim_some_node(w);

    if (n == NULL)
        return;
    noted(w, SIM_FAULT_node_kill, n->id);
    sim_faults_down(n, 50, 3000);
}

/* The processes, or the power: of those that are down, too. */
static void all_crash(struct sim_world *w)
{
    bool power = sim_chance(&w->faults, PORTION / 2);

    noted(w, power ? SIM_FAULT_all_power : SIM_FAULT_all_killed, 0);
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        struct sim_node *n = &w->nodes[i];

        if (n->up)
            sim_faults_down(n, 100, 3000);
        if (power && !n->gone)
            boots(n);
    }
}

static void pause_node(struct sim_world *w)
{
    struct sim_node *n = sim_some_node(w);

    if (n == NULL)
        return;
    noted(w, SIM_FAULT_node_pause, n->id);
    n->paused = true;
    n->paused_until_ms = w->now_ms + between(w, 20, 3000);
    sim_network_stop(w->network, n->id, true);
}

static void resume(struct sim_node *n)
{
    n->paused = false;
    sim_network_stop(n->world->network, n->id, false);
    sim_say(n->world, "node %u goes on", n->id);
}

static void hang_worker(struct sim_world *w)
{
    struct sim_node *n = sim_some_node(w);

    if (n == NULL)
        return;
    noted(w, SIM_FAULT_worker_hung, n->id);
    n->hung = true;
    n->hung_until_ms = w->now_ms + between(w, 20, 2500);
}

static void stick_control(struct sim_world *w)
{
    struct sim_node *n = sim_some_node(w);

    if (n == NULL)
        return;
    noted(w, SIM_FAULT_control_stuck, n->id);
    n->stuck = true;
    n->stuck_until_ms = w->now_ms + between(w, 20, 2500);
}

static void transfer(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        struct sim_node *n = &w->nodes[i];
        uint32_t to = (uint32_t)between(w, 1, w->n_nodes);

        if (!sim_node_leads(n) || to == n->id ||
            replica_transfer(n->replica, sim_node_ns(n), to) != REPL_OK)
            continue;
        noted(w, SIM_FAULT_leader_transfer, to);
        return;
    }
}

/* --- disks --- */

static void slow_disk(struct sim_world *w)
{
    struct sim_node *n = sim_some_node(w);

    if (n == NULL || n->disk_hung)
        return;
    noted(w, SIM_FAULT_disk_slow, n->id);
    n->disk_slow = true;
    sim_storage_set_delay(n->storage, 5, (uint32_t)between(w, 20, 300));
    n->disk_until_ms = w->now_ms + between(w, 500, 8000);
}

static void hang_disk(struct sim_world *w)
{
    struct sim_node *n = sim_some_node(w);

    if (n == NULL || n->disk_hung)
        return;
    noted(w, SIM_FAULT_disk_hung, n->id);
    n->disk_hung = true;
    sim_storage_set_delay(n->storage, SIM_NEVER_MS, SIM_NEVER_MS);
    n->disk_until_ms = w->now_ms + between(w, 300, 9000);
}

/* First snapshots find no room, then the log finds none. Half of the nodes saw it come, as the daemon looks at
 * what is free (node/daemon/moves.c); the others know it by a snapshot that does not fit. */
static void fill(struct sim_node *n)
{
    struct sim_world *w = n->world;

    noted(w, SIM_FAULT_disk_full, n->id);
    n->disk_full = true;
    n->sees_it_full = sim_chance(&w->faults, PORTION / 2);
    sim_storage_full(n->storage, true);
    n->no_room_ms = w->now_ms + between(w, 1, 6000);
    n->disk_until_ms = w->now_ms + between(w, 500, 8000);
}

/* Of one node, or of all at once: then nobody takes what another one would give away. */
static void fill_disk(struct sim_world *w)
{
    bool all = sim_chance(&w->faults, PORTION / 4);
    struct sim_node *n = sim_some_node(w);

    for (uint32_t i = 0; all && i < w->n_nodes; i++)
        if (w->nodes[i].up && !w->nodes[i].paused)
            fill(&w->nodes[i]);
    if (!all && n != NULL)
        fill(n);
}

static void mend_disk(struct sim_node *n)
{
    if (n->disk_hung)
        sim_storage_hasten(n->storage);
    if (n->disk_hung || n->disk_slow)
        sim_storage_set_delay(n->storage, 0, 2);
    n->disk_hung = n->disk_slow = n->disk_full = n->sees_it_full = false;
    n->no_room_ms = 0;
    sim_storage_full(n->storage, false);
}

static void fail_disk(struct sim_world *w)
{
    struct sim_node *n = sim_some_node(w);

    if (n == NULL)
        return;
    noted(w, SIM_FAULT_disk_error, n->id);
    sim_storage_fail(n->storage);
}

/* To the others it is as one whose log does not read: it never starts again. That such a start is refused is
 * unit/wal's and the lab's. */
static void lose_node(struct sim_world *w)
{
    struct sim_node *n = sim_some_node(w);

    /* one that has not begun is made anew, and waited for: nothing is lost with it */
    if (n == NULL || sim_found_waits(n) || !sim_members_may_lose(w, n->id))
        return;
    noted(w, SIM_FAULT_node_lost, n->id);
    sim_faults_down(n, 0, 0);
    n->lost = true;
    w->n_lost++;
}

/* A disk that loses what it had stored: one at a time, and a majority without it is left. */
static void lie(struct sim_world *w)
{
    struct sim_node *n = sim_some_node(w);
    enum sim_fault fault;

    if (n == NULL || sim_lies_any(w) || !sim_members_may_lose(w, n->id))
        return;
    sim_faults_down(n, 50, 5000);
    if (sim_lies_begin(n, &fault))
        noted(w, fault, n->id);
}

/* --- networks --- */

static void until(struct sim_world *w, uint64_t low_ms, uint64_t high_ms)
{
    uint64_t at = w->now_ms + between(w, low_ms, high_ms);

    w->partition_until_ms = at > w->partition_until_ms ? at : w->partition_until_ms;
}

static void cut_off(struct sim_world *w)
{
    uint32_t a = (uint32_t)between(w, 1, w->n_nodes);

    if (w->n_nodes == 1)
        return;
    noted(w, SIM_FAULT_partition_full, a);
    for (uint32_t b = 1; b <= w->n_nodes; b++)
        if (b != a) {
            sim_network_partition(w->network, a, b);
            sim_network_partition(w->network, b, a);
        }
    until(w, 100, 8000);
}

static void cut_one_way(struct sim_world *w)
{
    uint32_t a = (uint32_t)between(w, 1, w->n_nodes);
    bool in = sim_chance(&w->faults, 500);

    if (w->n_nodes == 1)
        return;
    noted(w, SIM_FAULT_partition_one_way, a);
    for (uint32_t b = 1; b <= w->n_nodes; b++)
        if (b != a)
            sim_network_partition(w->network, in ? b : a, in ? a : b);
    until(w, 100, 8000);
}

static void cut_pair(struct sim_world *w, bool broken)
{
    uint32_t a = (uint32_t)between(w, 1, w->n_nodes);
    uint32_t b = (uint32_t)between(w, 1, w->n_nodes);

    if (a == b)
        return;
    if (broken) {
        noted(w, SIM_FAULT_connection_broken, a);
        sim_network_break(w->network, a, b, (uint32_t)between(w, 0, 500));
        return;
    }
    noted(w, SIM_FAULT_partition_partial, a);
    sim_network_partition(w->network, a, b);
    sim_network_partition(w->network, b, a);
    until(w, 100, 8000);
}

static void cut_partly(struct sim_world *w)
{
    cut_pair(w, false);
}

static void break_connection(struct sim_world *w)
{
    cut_pair(w, true);
}

static void link_down(struct sim_world *w)
{
    struct sim_node *n = sim_some_node(w);
    bool outside = sim_chance(&w->faults, 500);

    if (n == NULL)
        return;
    noted(w, outside ? SIM_FAULT_outside_down : SIM_FAULT_inside_down, n->id);
    *(outside ? &n->outside_up : &n->inside_up) = false;
    n->link_until_ms = w->now_ms + between(w, 100, 5000);
    n->kernel.now_ns = sim_node_ns(n);
    (void)sim_kernel_enter(&n->kernel);
    sim_node_stamp(n); /* netlink tells at once */
}

static void bad_path(struct sim_world *w)
{
    struct sim_client *c = sim_some_client(w);

    noted(w, SIM_FAULT_bad_path, c->index);
    c->loss = (unsigned)between(w, 0, 300);
    c->duplicate = (unsigned)between(w, 0, 200);
    c->reorder = (unsigned)between(w, 0, 300);
    c->path_until_ms = w->now_ms + between(w, 500, 20000);
}

static void good_path(struct sim_client *c)
{
    c->loss = c->duplicate = c->reorder = 0;
}

static void attack(struct sim_world *w)
{
    uint64_t n = between(w, 1, 20);

    for (uint64_t i = 0; i < n; i++)
        if (sim_chance(&w->faults, 700))
            sim_outside_replay(w);
        else
            sim_outside_forge(w);
}

/* --- clients and clocks --- */

static void restart_client(struct sim_world *w)
{
    struct sim_client *c = sim_some_client(w);

    if (!c->running)
        return;
    noted(w, SIM_FAULT_client_restart, c->index);
    sim_client_stop(c);
    c->down_until_ms = w->now_ms + between(w, 10, 5000);
}

static void rebind(struct sim_world *w)
{
    struct sim_client *c = sim_some_client(w);

    if (!c->natted)
        return;
    noted(w, SIM_FAULT_nat_rebinding, c->index);
    sim_outside_nat(c);
}

/* 4000 ppm each way: the promise is longer than the lease by 2 %. */
static void drift(struct sim_world *w)
{
    struct sim_node *n = &w->nodes[between(w, 0, w->n_nodes - 1)];

    noted(w, SIM_FAULT_clock_drift, n->id);
    sim_node_set_clock(n, sim_node_ns(n), (int32_t)between(w, 0, 8000) - 4000);
}

static void jump(struct sim_world *w)
{
    struct sim_node *n = &w->nodes[between(w, 0, w->n_nodes - 1)];

    noted(w, SIM_FAULT_wall_jump, n->id);
    n->wall_s += ((int64_t)between(w, 0, 7200) - 3600) * (w->other_walls ? -1 : 1);
}

static const struct kind kinds[] = {
    {70, crash},       {70, kill_process},  {10, all_crash},  {90, pause_node},
    {50, hang_worker}, {50, stick_control}, {70, transfer},   {50, slow_disk},
    {40, hang_disk},   {40, fill_disk},     {30, fail_disk},  {8, lose_node},
    {70, cut_off},     {50, cut_one_way},   {50, cut_partly}, {60, break_connection},
    {60, link_down},   {80, bad_path},      {60, attack},     {30, restart_client},
    {40, rebind},      {30, drift},         {20, jump},       {32, lie}};

static void begin_some(struct sim_world *w)
{
    const size_t n = sizeof kinds / sizeof kinds[0];
    uint64_t all = 0, at;

    for (size_t i = 0; i < n; i++)
        all += kinds[i].weight;
    at = between(w, 0, all - 1);
    for (size_t i = 0; i < n; i++) {
        if (at < kinds[i].weight) {
            kinds[i].begin(w);
            return;
        }
        at -= kinds[i].weight;
    }
}

/* --- time passes --- */

/* Asked for again until the log has it: who took the wish may have died with it. */
static void undrain(struct sim_node *n)
{
    struct sim_world *w = n->world;

    n->drained_until_ms = w->healed ? w->now_ms + UNDRAIN_MS : 0;
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        struct sim_node *by = &w->nodes[i];
        const struct fsm_member *m = by->up ? fsm_member(replica_fsm(by->replica), n->id) : NULL;

        if (m == NULL || !m->drained || m->left || !sim_members_has(w, n->id))
            continue;
        n->drained_until_ms = w->now_ms + UNDRAIN_MS;
        if (by->paused)
            continue;
        by->kernel.now_ns = sim_node_ns(by);
        (void)sim_kernel_enter(&by->kernel);
        if (conductor_wish_drain(by->conductor, n->id, false, 0, 0, NULL))
            sim_say(w, "node %u is asked to undrain node %u", by->id, n->id);
    }
}

static bool is_over(const struct sim_world *w, uint64_t *until_ms)
{
    if (*until_ms == 0 || *until_ms > w->now_ms)
        return false;
    *until_ms = 0;
    return true;
}

static void node_goes_on(struct sim_node *n)
{
    struct sim_world *w = n->world;

    if (n->up && n->failed)
        sim_faults_down(n, 100, 4000);
    if (!n->up && !n->lost && !n->gone && is_over(w, &n->down_until_ms) && sim_found_may(n))
        sim_node_start(n);
    if (is_over(w, &n->paused_until_ms) && n->up && n->paused)
        resume(n);
    if (is_over(w, &n->stuck_until_ms))
        n->stuck = false;
    if (is_over(w, &n->hung_until_ms))
        n->hung = false;
    if (is_over(w, &n->no_room_ms))
        sim_storage_no_room(n->storage);
    if (is_over(w, &n->disk_until_ms))
        mend_disk(n);
    if (is_over(w, &n->link_until_ms))
        n->outside_up = n->inside_up = true;
    if (n->drained_until_ms != 0 && n->drained_until_ms <= w->now_ms)
        undrain(n);
}

void sim_faults_run(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->n_nodes; i++)
        node_goes_on(&w->nodes[i]);
    for (uint32_t i = 0; i < w->plan.n_clients; i++)
        if (is_over(w, &w->clients[i].path_until_ms))
            good_path(&w->clients[i]);
    if (is_over(w, &w->partition_until_ms))
        sim_network_heal(w->network);
    if (sim_members_due(w) <= w->now_ms)
        sim_members_run(w);
    if (w->next_fault_ms <= w->now_ms && !w->healed) {
        begin_some(w);
        w->next_fault_ms =
            w->now_ms + between(w, w->plan.fault_every_ms / 4, w->plan.fault_every_ms * 7 / 4);
    }
    if (w->next_command_ms <= w->now_ms && !w->healed) {
        sim_commands_run(w);
        w->next_command_ms = w->now_ms + between(w, 1, w->plan.command_every_ms * 2);
    }
    sim_meetings_run(w);
}

static void sooner(uint64_t *next, uint64_t at_ms)
{
    if (at_ms != 0 && at_ms < *next)
        *next = at_ms;
}

uint64_t sim_faults_due(const struct sim_world *w)
{
    uint64_t next = w->healed ? UINT64_MAX : w->next_fault_ms;

    for (uint32_t i = 0; i < w->n_nodes; i++) {
        const struct sim_node *n = &w->nodes[i];

        if (n->up && n->failed)
            return w->now_ms;
        if (!n->up && !n->lost && !n->gone)
            sooner(&next, n->down_until_ms);
        sooner(&next, n->paused_until_ms);
        sooner(&next, n->stuck_until_ms);
        sooner(&next, n->hung_until_ms);
        sooner(&next, n->no_room_ms);
        sooner(&next, n->disk_until_ms);
        sooner(&next, n->link_until_ms);
        sooner(&next, n->drained_until_ms);
    }
    for (uint32_t i = 0; i < w->plan.n_clients; i++)
        sooner(&next, w->clients[i].path_until_ms);
    sooner(&next, w->partition_until_ms);
    sooner(&next, sim_members_due(w));
    sooner(&next, sim_meetings_due(w));
    return w->healed || w->next_command_ms > next ? next : w->next_command_ms;
}

/* From now on nothing goes wrong any more, and all that may run does. */
void sim_faults_heal(struct sim_world *w)
{
    sim_say(w, "healing begins");
    w->healed = true;
    w->healed_ms = w->now_ms;
    sim_network_heal(w->network);
    w->partition_until_ms = 0;
    sim_meetings_heal(w);
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        struct sim_node *n = &w->nodes[i];

        if (n->up && n->paused)
            resume(n);
        n->stuck = n->hung = false;
        n->outside_up = n->inside_up = true;
        if (n->disk_full)
            sim_watch_was_full(w->watch, n->id);
        mend_disk(n);
        n->paused_until_ms = n->stuck_until_ms = n->hung_until_ms = 0;
        n->disk_until_ms = n->link_until_ms = 0;
        n->drained_until_ms = w->now_ms;
        if (!n->up && !n->lost && !n->gone)
            n->down_until_ms = w->now_ms;
    }
    for (uint32_t i = 0; i < w->plan.n_clients; i++) {
        good_path(&w->clients[i]);
        w->clients[i].path_until_ms = 0;
        if (!w->clients[i].running)
            w->clients[i].down_until_ms = w->now_ms;
    }
}
