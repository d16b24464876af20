/* What gateway and client allow, before a test tunes it. */
#include "policy/policy.h"
#include "world.h"

enum { FQDN = 2 };

void world_policies(struct world *w)
{
    struct ike_policy *g = &w->gateway_policy, *c = &w->client_policy;

    test_policy_init(g);
    g->n_psks = 1;
    g->dpd_ms = 0; /* virtual days pass in which nobody asks */
    g->linger_ms = 5000;
    *c = *g;
    g->local_id = test_policy_identity(FQDN, "gw");
    c->local_id = test_policy_identity(FQDN, "client");
    c->request_address = true;
    w->gateway_psk.remote = c->local_id;
    w->client_psk.remote = g->local_id;
    secret_set(&w->gateway_psk.psk, "a shared secret", 15);
    secret_set(&w->client_psk.psk, "a shared secret", 15);
    g->psks = &w->gateway_psk;
    c->psks = &w->client_psk;
}
