#include "ike/nat.h"

bool ike_nat_marked(const struct endpoint *local)
{
    return local->port == IKE_NATT_PORT;
}

bool ike_nat_carries_esp(const struct ike_policy *policy, const struct ike_sa *sa)
{
    return sa->encap || !(sa->nat_local || sa->nat_remote || policy->force_encap);
}

void ike_nat_float(struct ike_sa *sa)
{
    sa->encap = true;
    sa->local.port = IKE_NATT_PORT;
    sa->remote.port = IKE_NATT_PORT;
}

void ike_nat_adopt(struct ike_sa *sa, const struct ike_event *event)
{
    sa->local = event->local;
    sa->remote = event->remote;
}

bool ike_nat_follow(struct ike_sa *sa, const struct ike_event *event)
{
    if (!sa->nat_remote || sa->nat_local || !sa->encap || event->remote.ip.family == ADDR_NONE ||
        endpoint_equal(&sa->remote, &event->remote))
        return false;
    /* From port 500 to 4500 and back is no mapping that a NAT changes: ESP would lose its way. */
    if (event->kind == IKE_EV_DATAGRAM && !event->natt)
        return false;
    sa->remote = event->remote;
    return true;
}

uint64_t ike_nat_keepalive_ms(const struct ike_policy *policy, const struct ike_sa *sa)
{
    if (!sa->nat_local || !sa->encap || policy->keepalive_ms == 0 ||
        (sa->state != IKE_SA_ESTABLISHED && sa->state != IKE_SA_REKEYED &&
         sa->state != IKE_SA_DELETING))
        return UINT64_MAX;
    return sa->local_part.last_outbound_ms + policy->keepalive_ms;
}
