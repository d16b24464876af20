/* A NAT before the client that translates ports, as a router at home does. */
#include "ike_pair/pair.h"

static uint16_t outside_port(const struct pair_nat *nat, uint16_t inside)
{
    return (uint16_t)(nat->first_port + (inside == 500 ? 0 : 1));
}

bool pair_nat_translate(struct pair *p, enum pair_who from, struct endpoint *src,
                        struct endpoint *dst)
{
    struct pair_nat *nat = &p->nat;

    if (nat->outside.family == ADDR_NONE)
        return true;
    if (from == CLIENT) {
        src->ip = nat->outside;
        src->port = outside_port(nat, src->port);
        return true;
    }
    dst->port = dst->port == outside_port(nat, 500)    ? 500
                : dst->port == outside_port(nat, 4500) ? 4500
                                                       : 0;
    if (!addr_equal(&dst->ip, &nat->outside) || dst->port == 0) {
        nat->unmapped++;
        return false;
    }
    dst->ip = p->side[CLIENT].at.ip;
    return true;
}
