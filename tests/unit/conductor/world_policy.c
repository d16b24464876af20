/* What gateway and client allow, before a test tunes it. */
#include "world.h"

#include "crypto/tables.h"

void world_policies(struct world *w)
{
    static const struct ike_proposal_row ike = {20, 256, 5, 31, false, 0},
                                         esp = {20, 256, 0, 31, false, 0},
                                         esp_plain = {20, 256, 0, 0, false, 0};
    struct ike_policy *g = &w->gateway_policy;

    *g = (struct ike_policy){.suites = &suite_default,
                             .n_ike = 1,
                             .n_esp = 2,
                             .n_psks = 1,
                             .n_local_ts = 1,
                             .ike_life = {.hard_ms = 86400000,
                                          .rekey_at_percent = 70,
                                          .rekey_at_responder_percent = 80,
                                          .jitter_percent = 5},
                             .child_life = {.hard_ms = 14400000,
                                            .rekey_at_percent = 70,
                                            .rekey_at_responder_percent = 80,
                                            .jitter_percent = 5},
                             .pfs = IKE_PFS_ALWAYS,
                             .retransmit_first_ms = 1000,
                             .retransmit_factor_milli = 1800,
                             .retransmit_tries = 5,
                             .half_open_ms = 30000,
                             .linger_ms = 5000,
                             .force_encap = true};
    g->ike[0] = ike;
    g->esp[0] = esp;
    g->esp[1] = esp_plain;
    g->local_id = (struct ike_identity){.type = 2, .len = 2, .bytes = "gw"};
    g->local_ts[0] = (struct ike_ts){0, 0, 65535, addr_v4(0x0a4d0200), addr_v4(0x0a4d02ff)};
    w->client_policy = *g;
    w->client_policy.local_id = (struct ike_identity){.type = 2, .len = 6, .bytes = "client"};
    w->client_policy.request_address = true;
    w->gateway_psk.remote = w->client_policy.local_id;
    w->client_psk.remote = g->local_id;
    secret_set(&w->gateway_psk.psk, "a shared secret", 15);
    secret_set(&w->client_psk.psk, "a shared secret", 15);
    g->psks = &w->gateway_psk;
    w->client_policy.psks = &w->client_psk;
}
