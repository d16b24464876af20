/* The engine's policy says what the configuration says. */
#include <criterion/criterion.h>

#include "config/config.h"
#include "crypto/tables.h"
#include "unit/config/sample.h"

static struct config *sample(void)
{
    struct config_report report;
    struct config *c = config_parse("t.yaml", span_of(SAMPLE, strlen(SAMPLE)), false, &report);

    cr_assert_not_null(c);
    config_report_deinit(&report);
    return c;
}

Test(config_policy, carries_every_value)
{
    struct config *c = sample();
    const char *missing = NULL;
    struct ike_policy p;

    cr_assert(config_policy(c, &suite_default, &p, &missing));
    cr_assert_eq(p.suites, &suite_default);
    cr_assert_eq(p.n_ike, 1);
    cr_assert_eq(p.ike[0].encr_id, 20);
    cr_assert_eq(p.ike[0].encr_bits, 256);
    cr_assert_eq(p.ike[0].prf_id, 5);
    cr_assert_eq(p.ike[0].ke_id, 31);
    cr_assert_eq(p.local_id.type, 2);
    cr_assert_eq(p.n_psks, 2);
    cr_assert_eq(p.psks[0].remote.type, 3);
    cr_assert_eq(p.psks[1].remote.type, 1);
    cr_assert_eq(p.psks[1].remote.len, 4);
    cr_assert_eq(p.n_local_ts, 1);
    cr_assert_eq(p.local_ts[0].port_high, 65535);
    cr_assert_eq(get_be32(p.local_ts[0].low.bytes), 0x0a4d0200u);
    cr_assert_eq(get_be32(p.local_ts[0].high.bytes), 0x0a4d02ffu);
    cr_assert_eq(p.n_dns, 1);
    cr_assert_eq(p.ike_life.hard_ms, 2 * 3600 * 1000);
    cr_assert_eq(p.ike_life.rekey_at_percent, 60);
    cr_assert_eq(p.ike_life.rekey_at_responder_percent, 75);
    cr_assert_eq(p.ike_life.jitter_percent, 3);
    cr_assert_eq(p.child_life.hard_ms, 3600 * 1000);
    cr_assert_eq(p.child_life.rekey_at_percent, 70); /* default */
    cr_assert_eq(p.child_life.soft_packets, 1000);
    cr_assert_eq(p.child_life.hard_packets, 2000);
    cr_assert_eq(p.pfs, IKE_PFS_EVERY);
    cr_assert_eq(p.pfs_every, 3);
    cr_assert_eq(p.retransmit_first_ms, 500);
    cr_assert_eq(p.retransmit_factor_milli, 1500);
    cr_assert_eq(p.retransmit_tries, 4);
    cr_assert_eq(p.dpd_ms, 10000);
    cr_assert_eq(p.keepalive_ms, 15000);
    cr_assert_eq(p.half_open_ms, 20000);
    cr_assert_eq(p.linger_ms, 45000);
    cr_assert(!p.force_encap);
    cr_assert(!p.request_address);
    config_free(c);
}

/* "aes128gcm16, aes256gcm16-x25519-esn": with a group first, then without. */
Test(config_policy, esp_rows_with_and_without_a_group)
{
    static const struct ike_proposal_row expected[] = {
        {.encr_id = 20, .encr_bits = 128, .ke_id = 31},
        {.encr_id = 20, .encr_bits = 256, .ke_id = 31, .esn = true},
        {.encr_id = 20, .encr_bits = 128},
        {.encr_id = 20, .encr_bits = 256, .esn = true},
    };
    struct config *c = sample();
    const char *missing = NULL;
    struct ike_policy p;

    cr_assert(config_policy(c, &suite_default, &p, &missing));
    cr_assert_eq(p.n_esp, 4);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(p.esp[i].encr_id, expected[i].encr_id);
        cr_assert_eq(p.esp[i].encr_bits, expected[i].encr_bits);
        cr_assert_eq(p.esp[i].ke_id, expected[i].ke_id);
        cr_assert_eq(p.esp[i].esn, expected[i].esn);
    }
    c->child.pfs = IKE_PFS_NEVER;
    cr_assert(config_policy(c, &suite_default, &p, &missing));
    cr_assert_eq(p.n_esp, 2);
    cr_assert_eq(p.esp[0].ke_id, 0);
    config_free(c);
}

Test(config_policy, names_the_transform_that_the_suites_lack)
{
    struct suite_table none = suite_default;
    struct config *c = sample();
    const char *missing = NULL;
    struct ike_policy p;

    none.n_kes = 0;
    cr_assert(!config_policy(c, &none, &p, &missing));
    cr_assert_str_eq(missing, "x25519");
    none.n_prfs = 0;
    cr_assert(!config_policy(c, &none, &p, &missing));
    cr_assert_str_eq(missing, "prfsha256");
    none.n_aeads = 0;
    cr_assert(!config_policy(c, &none, &p, &missing));
    cr_assert_str_eq(missing, "aes256gcm16");
    config_free(c);
}
