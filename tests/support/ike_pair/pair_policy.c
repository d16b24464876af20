/* Who the two ends are: addresses, identities, secrets, lifetimes as the product's defaults. */
#include "ike_pair/pair.h"

#include "crypto/tables.h"

enum { FQDN = 2, AES_GCM_16 = 20, PRF_SHA256 = 5, X25519 = 31 };

static struct ike_identity fqdn(const char *name)
{
    struct ike_identity id = {.type = FQDN, .len = (uint8_t)strlen(name)};

    memcpy(id.bytes, name, id.len);
    return id;
}

void pair_policy_init(struct pair_side *s, enum pair_who who)
{
    static const char secret[] = "correct horse battery staple";
    struct ike_policy *p = &s->policy;
    struct ike_identity client = fqdn("client@holdfast.test"), gateway = fqdn("gw.holdfast.test");

    s->at.ip = addr_v4(who == CLIENT ? 0x0a4d0132 : 0x0a4d0164); /* 10.77.1.50, 10.77.1.100 */
    s->at.port = 4500;
    s->psk.remote = who == CLIENT ? gateway : client;
    secret_set(&s->psk.psk, secret, sizeof secret - 1);
    p->suites = &suite_default;
    p->ike[0] = (struct ike_proposal_row){AES_GCM_16, 256, PRF_SHA256, X25519, false, 0};
    p->ike[1] = (struct ike_proposal_row){AES_GCM_16, 128, PRF_SHA256, X25519, false, 0};
    p->n_ike = 2;
    p->esp[0] = (struct ike_proposal_row){AES_GCM_16, 256, 0, 0, false, 0};
    p->esp[1] = (struct ike_proposal_row){AES_GCM_16, 128, 0, 0, false, 0};
    p->n_esp = 2;
    p->local_id = who == CLIENT ? client : gateway;
    p->psks = &s->psk;
    p->n_psks = 1;
    p->local_ts[0] = (struct ike_ts){
        .port_high = 65535, .low = addr_v4(0x0a4d0200), .high = addr_v4(0x0a4d02ff)};
    p->n_local_ts = 1;
    p->ike_life = (struct ike_lifetime){.hard_ms = 24 * 3600 * 1000ull,
                                        .rekey_at_percent = 70,
                                        .rekey_at_responder_percent = 80,
                                        .jitter_percent = 5};
    p->child_life = p->ike_life;
    p->child_life.hard_ms = 4 * 3600 * 1000ull;
    p->pfs = IKE_PFS_ALWAYS;
    p->retransmit_first_ms = 1000;
    p->retransmit_factor_milli = 1800;
    p->retransmit_tries = 5;
    p->dpd_ms = 30000;
    p->keepalive_ms = 20000;
    p->half_open_ms = 30000;
    p->linger_ms = 60000;
    p->force_encap = true;
    p->request_address = who == CLIENT;
}
