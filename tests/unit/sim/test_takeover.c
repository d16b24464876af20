/* One takeover while all else is well: by when, and what clients have afterwards (L1). */
#include <criterion/criterion.h>

#include "rig.h"

/* Node 1 serves and dies at 100 ms. */
static struct rig *owner_dies(void)
{
    struct rig *r = rig_serving();

    rig_leave(r, 1, 1);
    r->now_ms = 100;
    sim_watch_owner_dies(r->watch, 1);
    return r;
}

/* Node 2 may act so long after it, and sends; 0 = it never does. */
static struct rig *followed(uint64_t acts_ms, uint64_t sends_ms)
{
    struct rig *r = owner_dies();
    struct repl_event lease;

    r->now_ms = 100 + acts_ms;
    rig_assign(r, 2);
    lease = rig_event(r, REPL_EV_LEASE);
    lease.held = true;
    rig_tell(r, 2, &lease);
    r->now_ms = 100 + sends_ms;
    if (sends_ms != 0)
        rig_leave(r, 2, 1024);
    r->now_ms = 1000;
    return r;
}

static void judged(struct rig *r, uint64_t sends_ms)
{
    const struct sim_watch_takeover t = {.shard = RIG_SHARD, .acts_ms = 50, .sends_ms = sends_ms};

    sim_watch_taken_over(r->watch, &t);
}

RULE(taken_over)
{
    struct rig *r = followed(50, 60);

    judged(r, 60);
    rig_fine(r, SIM_WATCH_taken_over);
    rig_free(r);
    r = followed(51, 60); /* too late */
    judged(r, 60);
    rig_broken(r, SIM_WATCH_taken_over, SIM_WATCH_RULES);
    rig_free(r);
    r = followed(50, 61);
    judged(r, 60);
    rig_broken(r, SIM_WATCH_taken_over, SIM_WATCH_RULES);
    rig_free(r);
    r = owner_dies(); /* nobody follows */
    r->now_ms = 1000;
    judged(r, 0);
    rig_broken(r, SIM_WATCH_taken_over, SIM_WATCH_RULES);
    rig_free(r);
}

/* Who acts need not send where nobody is served; where somebody is, acting is not enough. */
Test(sim_watch_rules, an_owner_that_follows_and_says_nothing)
{
    struct rig *r = followed(50, 0);

    judged(r, 0);
    rig_fine(r, SIM_WATCH_taken_over);
    judged(r, 60);
    rig_broken(r, SIM_WATCH_taken_over, SIM_WATCH_RULES);
    rig_free(r);
}

/* What the former one does under its own epoch is nobody's following it. */
Test(sim_watch_rules, the_former_owner_is_no_follower)
{
    struct rig *r = owner_dies();

    r->now_ms = 110;
    rig_leave(r, 1, 2);
    judged(r, 0);
    rig_broken(r, SIM_WATCH_taken_over, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(tunnels_stay)
{
    const struct sim_watch_tunnel had = {.ike = {1, 2}, .child = {3, 4}};
    const struct sim_watch_tunnel changed[] = {{.ike = {5, 2}, .child = {3, 4}},
                                               {.ike = {1, 5}, .child = {3, 4}},
                                               {.ike = {1, 2}, .child = {5, 4}},
                                               {.ike = {1, 2}, .child = {3, 5}},
                                               {.ike = {0, 0}}};
    struct rig *r = owner_dies();

    sim_watch_goes_on(r->watch, 0, &had, &had, true, true);
    sim_watch_goes_on(r->watch, 0, &had, &changed[2], true, false); /* it may have been rekeyed */
    sim_watch_goes_on(r->watch, 0, &had, &changed[0], false, false);
    rig_fine(r, SIM_WATCH_tunnels_stay);
    rig_free(r);
    for (size_t i = 0; i < sizeof changed / sizeof changed[0]; i++) {
        r = owner_dies();
        sim_watch_goes_on(r->watch, 0, &had, &changed[i], true, true);
        rig_broken(r, SIM_WATCH_tunnels_stay, SIM_WATCH_RULES);
        rig_free(r);
    }
}
