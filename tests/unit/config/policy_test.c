/* The engine's policy says what the configuration says. */
#include <criterion/criterion.h>

#include <stdio.h>

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
    cr_assert_eq(p.unanswered_ms, 5 * 60 * 1000);
    cr_assert_eq(p.dpd_ms, 10000);
    cr_assert_eq(p.keepalive_ms, 15000);
    cr_assert_eq(p.half_open_ms, 20000);
    cr_assert_eq(p.linger_ms, 45000);
    cr_assert(!p.force_encap);
    cr_assert(!p.request_address);
    config_free(c);
}

/* "aes128gcm16, aes256gcm16-x25519-esn": a named group goes before none, which means the IKE SA's own;
 * where none is named the IKE SA's own goes before those of the IKE proposals. */
Test(config_policy, esp_rows_with_and_without_a_group)
{
    static const struct ike_proposal_row expected[] = {
        {.encr_id = 20, .encr_bits = 128},
        {.encr_id = 20, .encr_bits = 128, .ke_id = 31},
        {.encr_id = 20, .encr_bits = 256, .ke_id = 31, .esn = true},
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

/* The sample with its line of proposals in another form; NULL: it is refused. */
static struct config *with_proposals(const char *proposals)
{
    static char text[8192];
    struct config_report report;
    const char *at = strstr(SAMPLE, "  proposals:"), *end;
    struct config *c;

    cr_assert_not_null(at);
    end = strchr(at, '\n');
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - SAMPLE), SAMPLE, proposals,
                   *proposals == '\0' ? end + 1 : end);
    c = config_parse("t.yaml", span_of(text, strlen(text)), false, &report);
    config_report_deinit(&report);
    return c;
}

static bool is_row(const struct ike_proposal_row *r, uint16_t encr, uint16_t bits, uint16_t integ,
                   uint16_t prf, uint16_t ke)
{
    return r->encr_id == encr && r->encr_bits == bits && r->integ_id == integ && r->prf_id == prf &&
           r->ke_id == ke;
}

/* Each combination is a row: the cipher's order counts most, then integrity, PRF, group. */
Test(config_policy, several_words_of_a_kind_give_each_combination)
{
    struct config *c = with_proposals("  proposals: { ike: [aes256-aes128-sha256-sha512-modp2048-"
                                      "ecp384], esp: [chacha20poly1305-ecp384-modp2048] }");
    const char *missing = NULL;
    struct ike_policy p;

    cr_assert_not_null(c);
    cr_assert(config_policy(c, &suite_default, &p, &missing));
    cr_assert_eq(p.n_ike, 2 * 2 * 2 * 2); /* the PRFs of the same hashes, since none is named */
    cr_assert(is_row(&p.ike[0], 12, 256, 12, 5, 14));
    cr_assert(is_row(&p.ike[1], 12, 256, 12, 5, 20));
    cr_assert(is_row(&p.ike[2], 12, 256, 12, 7, 14));
    cr_assert(is_row(&p.ike[4], 12, 256, 14, 5, 14));
    cr_assert(is_row(&p.ike[15], 12, 128, 14, 7, 20));
    cr_assert_eq(p.n_esp, 3);
    cr_assert(is_row(&p.esp[0], 28, 0, 0, 0, 20) && is_row(&p.esp[1], 28, 0, 0, 0, 14) &&
              is_row(&p.esp[2], 28, 0, 0, 0, 0));
    config_free(c);
}

/* practices.md P16, P17; RFC 8247: the best first, and nothing that is weak. */
Test(config_policy, the_defaults_are_strong_and_all_spoken)
{
    struct config *c = with_proposals("");
    const char *missing = NULL;
    struct ike_policy p;

    cr_assert_not_null(c);
    cr_assert(config_policy(c, &suite_default, &p, &missing), "%s", missing);
    cr_assert_eq(p.n_ike, 3 * 3 * 7 + 4 * 3 * 3 * 7);
    cr_assert_eq(p.n_esp, (3 + 2 * 3) * (1 + 7));
    cr_assert(is_row(&p.ike[0], 20, 256, 0, 6, 31));
    for (size_t i = 0; i < p.n_ike; i++)
        cr_assert(p.ike[i].prf_id >= 5 && p.ike[i].prf_id <= 7 && p.ike[i].ke_id >= 14 &&
                  p.ike[i].integ_id != 2 && p.ike[i].encr_id >= 12);
    for (size_t i = 0; i < p.n_esp; i++)
        cr_assert(p.esp[i].integ_id != 2 && p.esp[i].encr_id >= 12);
    config_free(c);
}

Test(config_policy, legacy_algorithms_only_where_they_are_named)
{
    static const char sha1[] = "  proposals: { ike: [aes256-sha1-modp2048], esp: [aes256gcm16] }";
    const char *missing = NULL;
    struct ike_policy p;
    struct config *c;

    cr_assert_null(with_proposals(sha1));
    cr_assert_null(
        with_proposals("  proposals: { ike: [aes256-sha256-modp1024], esp: [aes256gcm16] }"));
    cr_assert_null(
        with_proposals("  proposals: { ike: [aes256gcm16-prfsha1-x25519], esp: [aes256gcm16] }"));
    cr_assert_null(with_proposals(
        "  proposals: { ike: [aes256-sha1-modp1024], esp: [aes256gcm16], legacy: [sha1] }"));
    c = with_proposals("  proposals: { ike: [aes256-sha1-modp1024], esp: [aes256-sha1], legacy: "
                       "[modp1024, sha1] }");
    cr_assert_not_null(c);
    cr_assert(config_policy(c, &suite_default, &p, &missing));
    cr_assert(p.n_ike == 1 && is_row(&p.ike[0], 12, 256, 2, 2, 2));
    config_free(c);
}

/* What is left out is the default; what is there is taken; none at all would let nobody in. */
Test(config_policy, failures_that_cost_entries_are_bounded_as_configured)
{
    static const struct {
        const char *failures;
        uint32_t per_source, in_all, within_ms; /* 0: refused */
    } rows[] = {
        {"{}", 32, 256, 10000},
        {"{ per_source: 5 }", 5, 256, 10000},
        {"{ per_source: 5, in_all: 40, within: 1h }", 5, 40, 3600000},
        {"{ per_source: 0 }", 0, 0, 0},
        {"{ in_all: 0 }", 0, 0, 0},
        {"{ within: 0s }", 0, 0, 0},
        {"{ within: 2h }", 0, 0, 0},
        {"{ most: 5 }", 0, 0, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config_report report;
        struct config *c;
        char text[4096];

        (void)snprintf(text, sizeof text, "%s", SAMPLE);
        char *at = strstr(text, "auth:\n");
        (void)snprintf(at, sizeof text - (size_t)(at - text), "auth:\n  failures: %s\n%s",
                       rows[i].failures, strstr(SAMPLE, "auth:\n") + 6);
        c = config_parse("t.yaml", span_of(text, strlen(text)), false, &report);
        if (rows[i].within_ms == 0) {
            cr_assert_null(c, "%s is taken", rows[i].failures);
            cr_assert_eq(report.n_mistakes, 1);
            cr_assert_not_null(strstr(report.mistakes[0].text, "t.yaml:29:"), "%s",
                               report.mistakes[0].text);
        } else {
            cr_assert_not_null(c, "%s is refused", rows[i].failures);
            cr_assert_eq(c->failures_per_source, rows[i].per_source);
            cr_assert_eq(c->failures_in_all, rows[i].in_all);
            cr_assert_eq(c->failures_within_ms, rows[i].within_ms);
            config_free(c);
        }
        config_report_deinit(&report);
    }
    (void)printf("compared %zu\n", sizeof rows / sizeof rows[0]);
}
