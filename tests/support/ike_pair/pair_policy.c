/* Who the two ends are: addresses, identities, secrets; what differs from the tests' policy. */
#include "ike_pair/pair.h"
#include "policy/policy.h"

enum { FQDN = 2 };

void pair_policy_init(struct pair_side *s, enum pair_who who)
{
    static const char secret[] = "correct horse battery staple";
    struct ike_policy *p = &s->policy;
    struct ike_identity client = test_policy_identity(FQDN, "client@holdfast.test"),
                        gateway = test_policy_identity(FQDN, "gw.holdfast.test");

    s->at.ip = addr_v4(who == CLIENT ? 0x0a4d0132 : 0x0a4d0164); /* 10.77.1.50, 10.77.1.100 */
    s->at.port = 4500;
    s->psk.remote = who == CLIENT ? gateway : client;
    secret_set(&s->psk.psk, secret, sizeof secret - 1);
    test_policy_init(p);
    p->ike[1] = p->ike[0];
    p->ike[1].encr_bits = 128;
    p->n_ike = 2;
    p->esp[0] = p->esp[1]; /* no group: `pfs` decides */
    p->esp[1].encr_bits = 128;
    p->local_id = who == CLIENT ? client : gateway;
    p->psks = &s->psk;
    p->n_psks = 1;
    p->keepalive_ms = 20000;
    p->request_address = who == CLIENT;
}
