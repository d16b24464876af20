/* What both ends begin and end, as their own accepted submissions say: exchanges by kind, and which
 * of them were under way at once. */
#include "conductor/internal.h"
#include "sim/sim_world.h"

static struct sim_client *client_of(struct sim_world *w, const struct conductor_op *op)
{
    for (uint8_t i = 0; i < op->n_effects; i++) {
        struct sim_client *c = sim_client_at(w, &op->effects[i].to);

        if (c != NULL)
            return c;
    }
    for (uint32_t i = 0; i < w->plan.n_clients; i++)
        if (op->sa_id != 0 && w->clients[i].peer_spi == op->sa_id)
            return &w->clients[i];
    return NULL;
}

void sim_exchange_said(const struct sim_world *w, const char *who, uint32_t which,
                       struct span message)
{
    enum { HEADER = 28 };

    if (w->verbose && message.len >= HEADER)
        sim_say(w, "%s %u sends %016llx %016llx exchange %u flags %02x id %u, %zu bytes", who,
                which, (unsigned long long)get_be64(message.data),
                (unsigned long long)get_be64(message.data + 8), message.data[18], message.data[19],
                get_be32(message.data + 20), message.len);
}

void sim_exchange_applied(struct sim_world *w, struct sim_client *c, bool gateway,
                          const struct conductor_op *op)
{
    uint8_t *open, other;

    if (op == NULL || op->begun != IKE_BY_US || op->exchange == IKE_EX_NONE ||
        (c == NULL && (c = client_of(w, op)) == NULL))
        return;
    open = gateway ? &c->open_gateway : &c->open_client;
    other = gateway ? c->open_client : c->open_gateway;
    if (op->completes) {
        w->stats.exchanges[gateway][op->exchange]++;
        w->stats.counts[SIM_COUNT_rekeys_child] +=
            op->exchange == IKE_EX_CHILD_REKEY || op->exchange == IKE_EX_CHILD_REKEY_PFS;
        w->stats.counts[SIM_COUNT_rekeys_ike] += op->exchange == IKE_EX_IKE_REKEY;
        w->stats.counts[SIM_COUNT_tunnels] += op->exchange == IKE_EX_AUTH;
        *open = IKE_EX_NONE;
        return;
    }
    if (*open == (uint8_t)op->exchange)
        return;
    *open = (uint8_t)op->exchange;
    if (other != IKE_EX_NONE)
        w->stats.collisions[gateway ? other : *open][gateway ? *open : other]++;
}
