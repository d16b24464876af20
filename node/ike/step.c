#include "ike/step.h"

#include "ike/transitions.h"

enum ike_outcome ike_step(const struct ike_policy *policy, const struct ike_sa *before,
                          const struct ike_event *event, struct ike_transition *out)
{
    struct ike_turn t = ike_turn_begin(policy, before, event, out);

    return ike_transition_for(event->kind, before == NULL ? IKE_SA_NONE : before->state)(&t);
}
