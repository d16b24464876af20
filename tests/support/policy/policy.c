#include "policy/policy.h"

#include <string.h>

#include "base/assert.h"
#include "crypto/tables.h"

void test_policy_init(struct ike_policy *p)
{
    static const struct ike_lifetime life = {.hard_ms = 24 * 3600 * 1000ull,
                                             .rekey_at_percent = 70,
                                             .rekey_at_responder_percent = 80,
                                             .jitter_percent = 5};

    *p = (struct ike_policy){.suites = &suite_default,
                             .n_ike = 1,
                             .n_esp = 2,
                             .n_local_ts = 1,
                             .ike_life = life,
                             .child_life = life,
                             .pfs = IKE_PFS_ALWAYS,
                             .retransmit_first_ms = 1000,
                             .retransmit_factor_milli = 1800,
                             .retransmit_tries = 5,
                             .unanswered_ms = IKE_UNANSWERED_MS,
                             .dpd_ms = 30000,
                             .half_open_ms = 30000,
                             .linger_ms = 60000,
                             .force_encap = true};
    p->child_life.hard_ms = 4 * 3600 * 1000ull;
    p->ike[0] = (struct ike_proposal_row){POLICY_AES_GCM_16, 256,   POLICY_PRF_SHA256,
                                          POLICY_X25519,     false, 0};
    p->esp[0] = (struct ike_proposal_row){POLICY_AES_GCM_16, 256, 0, POLICY_X25519, false, 0};
    p->esp[1] = (struct ike_proposal_row){POLICY_AES_GCM_16, 256, 0, 0, false, 0};
    p->local_ts[0] = (struct ike_ts){
        .port_high = 65535, .low = addr_v4(0x0a4d0200), .high = addr_v4(0x0a4d02ff)};
}

struct ike_identity test_policy_identity(uint8_t type, const char *text)
{
    size_t len = strlen(text);
    struct ike_identity id = {.type = type, .len = (uint8_t)len};

    HF_ASSERT(len > 0 && len <= IKE_MAX_ID_BYTES);
    memcpy(id.bytes, text, len);
    return id;
}
