/* What the engine makes of a datagram that is nobody's, at once or after it waited behind a step of the
 * same SA: the linker puts this around its step (-Wl,--wrap=ike_step). */
#include "conductor/internal.h"
#include "sim/sim_world.h"

static struct sim_world *here;
static bool direct; /* inside the call that brought it */

enum ike_outcome __real_ike_step(const struct ike_policy *policy, const struct ike_sa *before,
                                 const struct ike_event *event, struct ike_transition *t);
enum ike_outcome __wrap_ike_step(const struct ike_policy *policy, const struct ike_sa *before,
                                 const struct ike_event *event, struct ike_transition *t);
/* gateway.c is compiled over this name (sim_gateway_names.h). */
void sim_sys_conductor_handle_datagram(struct conductor *c, uint32_t shard,
                                       const struct endpoint *local, const struct endpoint *remote,
                                       bool natt, struct span datagram);

void sim_forged_in(struct sim_world *w)
{
    here = w;
}

void sim_sys_conductor_handle_datagram(struct conductor *c, uint32_t shard,
                                       const struct endpoint *local, const struct endpoint *remote,
                                       bool natt, struct span datagram)
{
    const struct sim_node *n = sim_kernel_self();

    direct = sim_outside_is_forged(n->world, datagram);
    if (direct)
        sim_watch_forged(n->world->watch, n->id, true);
    conductor_handle_datagram(c, shard, local, remote, natt, datagram);
    if (direct)
        sim_watch_forged(n->world->watch, n->id, false);
    direct = false;
}

/* Everything but what stays in memory (conductor/run.c). */
static bool for_the_log(enum ike_outcome outcome, const struct ike_sa *before,
                        const struct ike_sa *after)
{
    return outcome == IKE_STEPPED && before != NULL &&
           (before->state != IKE_SA_HALF_OPEN ||
            (after->state != IKE_SA_HALF_OPEN && after->state != IKE_SA_NONE));
}

enum ike_outcome __wrap_ike_step(const struct ike_policy *policy, const struct ike_sa *before,
                                 const struct ike_event *event, struct ike_transition *t)
{
    enum ike_outcome outcome;

    /* Inside that call another one's turn may come, of a message that waited: what it submits is its own. */
    if (direct) {
        const struct sim_node *n = sim_kernel_self();

        sim_watch_forged(here->watch, n->id,
                         event->kind == IKE_EV_DATAGRAM &&
                             sim_outside_is_forged(here, event->datagram));
    }
    outcome = __real_ike_step(policy, before, event, t);
    if (here != NULL && policy == &here->policy && event->kind == IKE_EV_DATAGRAM && !direct &&
        sim_outside_is_forged(here, event->datagram)) {
        const struct sim_node *n = sim_kernel_self();

        sim_watch_forged_late(here->watch, n->id, for_the_log(outcome, before, &t->after));
    }
    return outcome;
}
