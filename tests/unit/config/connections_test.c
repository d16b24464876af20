/* Profiles and connections: what each begins as, what it may not say, what the engine gets. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "config/config.h"
#include "crypto/tables.h"
#include "ike/connection.h"

#define HEAD                                                                                       \
    "node: { id: 1, data: /var/lib/holdfast }\n"                                                   \
    "interfaces: { outside: out0, inside: in0 }\n"                                                 \
    "shards: [{ id: 1, outside: 192.0.2.10, inside: 10.20.0.10, pool: 10.99.0.0/24 }]\n"           \
    "gateway: { identity: gw.example.org, networks: [10.20.0.0/16] }\n"                            \
    "auth: { psk: [{ identity: client@example.org, secret_file: client.psk }] }\n"

enum { HOUR = 3600 * 1000, MINUTE = 60 * 1000 };

static struct config *parse(const char *rest, char *first, size_t cap)
{
    struct config_report report;
    struct config *c;
    char text[8192];

    (void)snprintf(text, sizeof text, "%s%s", HEAD, rest);
    c = config_parse("c.yaml", span_of(text, strlen(text)), false, &report);
    first[0] = '\0';
    if (report.n_mistakes > 0)
        (void)snprintf(first, cap, "%s", report.mistakes[0].text);
    config_report_deinit(&report);
    return c;
}

static struct config *good(const char *rest)
{
    char first[512];
    struct config *c = parse(rest, first, sizeof first);

    cr_assert_not_null(c, "%s", first);
    return c;
}

/* P1, P2: the numbers that operators were promised; what is said overrides, wherever it stands. */
Test(config_connections, profiles)
{
    static const struct {
        const char *text;
        uint64_t ike_ms, child_ms;
        enum ike_pfs pfs;
    } table[] = {
        {"", 24 * HOUR, 4 * HOUR, IKE_PFS_ALWAYS},
        {"profile: standard\n", 24 * HOUR, 4 * HOUR, IKE_PFS_ALWAYS},
        {"profile: high-security\n", 8 * HOUR, HOUR, IKE_PFS_ALWAYS},
        {"profile: site-to-site\n", 24 * HOUR, 8 * HOUR, IKE_PFS_ALWAYS},
        {"child: { lifetime: { hard: 12h } }\nprofile: site-to-site\n", 24 * HOUR, 12 * HOUR,
         IKE_PFS_ALWAYS},
        {"profile: high-security\nike: { lifetime: { hard: 1h } }\n", HOUR, HOUR, IKE_PFS_ALWAYS},
        {"child: { pfs: never }\n", 24 * HOUR, 4 * HOUR, IKE_PFS_NEVER},
    };
    unsigned rows = 0;

    for (; rows < sizeof table / sizeof table[0]; rows++) {
        struct config *c = good(table[rows].text);

        cr_assert_eq(c->ike_life.hard_ms, table[rows].ike_ms, "row %u", rows);
        cr_assert_eq(c->child.life.hard_ms, table[rows].child_ms, "row %u", rows);
        cr_assert_eq(c->child.pfs, table[rows].pfs, "row %u", rows);
        cr_assert_eq(c->ike_life.rekey_at_percent, 70);
        cr_assert_eq(c->ike_life.rekey_at_responder_percent, 80);
        cr_assert(c->child.spread && !c->child.align);
        config_free(c);
    }
    printf("compared %u profiles\n", rows);
}

#define CONNECTIONS                                                                                \
    "connections:\n"                                                                               \
    "  - children:\n"                                                                              \
    "      - { networks: [10.20.8.0/24], name: voice, lifetime: { hard: 1h } }\n"                  \
    "    match: [\"*@branch.example.org\", 192.0.2.7]\n"                                           \
    "    child: { lifetime: { hard: 10h, bytes: { soft: 700MiB, hard: 1GiB } }, overlap: 90s }\n"  \
    "    profile: site-to-site\n"                                                                  \
    "    name: branches\n"                                                                         \
    "  - { name: rest, match: [\"*\"], child: { pfs: { every: 4 } } }\n"                           \
    "child: { lifetime: { hard: 2h }, align: true }\n"                                             \
    "replay_recovery: { bounded: 50 }\n"

/* What is left out comes from the profile, else from the file; of a child's, from its connection. */
Test(config_connections, what_the_engine_gets)
{
    struct config *c = good(CONNECTIONS);
    struct ike_sa sa = {.remote_id = {.type = 3, .len = 19, .bytes = "a@Branch.example.or"}};
    const struct ike_connection *k;
    const char *missing;
    struct ike_policy p;
    struct ike_ts voice = {.port_high = 65535};

    cr_assert(config_policy(c, &suite_default, &p, &missing));
    cr_assert_eq(p.n_connections, 2);
    k = &p.connections[0];
    cr_assert_eq(k->id, ike_connection_id(span_of("branches", 8)));
    cr_assert_eq(k->ike_life.hard_ms, 24 * HOUR);
    cr_assert_eq(k->child.life.hard_ms, 10 * HOUR);
    cr_assert_eq(k->child.life.soft_bytes, 700ull << 20);
    cr_assert_eq(k->child.life.hard_bytes, 1ull << 30);
    cr_assert_eq(k->child.overlap_ms, 90 * 1000);
    cr_assert_eq(k->child.align, false, "the profile's, not the file's");
    cr_assert_eq(k->n_overrides, 1);
    cr_assert_eq(k->overrides[0].terms.life.hard_ms, HOUR);
    cr_assert_eq(k->overrides[0].terms.life.hard_bytes, 1ull << 30, "the connection's");
    cr_assert_eq(k->overrides[0].terms.overlap_ms, 90 * 1000);
    k = &p.connections[1];
    cr_assert_eq(k->child.life.hard_ms, 2 * HOUR, "the file's");
    cr_assert(k->child.align);
    cr_assert(k->child.pfs == IKE_PFS_EVERY && k->child.pfs_every == 4);
    cr_assert(c->recovery == CONFIG_RECOVER_BOUNDED && c->recoveries_per_second == 50);
    /* Who gets which. */
    ike_connection_choose(&p, &sa);
    cr_assert_eq(sa.connection, p.connections[1].id, "not of that domain");
    memcpy(sa.remote_id.bytes, "a@Branch.example.org", 20);
    sa.remote_id.len = 20;
    ike_connection_choose(&p, &sa);
    cr_assert_eq(sa.connection, p.connections[0].id);
    voice.low = addr_v4(0x0a140805);
    voice.high = addr_v4(0x0a140806);
    cr_assert_eq(ike_connection_terms(&p, &sa, &voice, 1).life.hard_ms, HOUR);
    voice.high = addr_v4(0x0a140906);
    cr_assert_eq(ike_connection_terms(&p, &sa, &voice, 1).life.hard_ms, 10 * HOUR, "not inside");
    sa.remote_id = (struct ike_identity){.type = 1, .len = 4, .bytes = {192, 0, 2, 7}};
    ike_connection_choose(&p, &sa);
    cr_assert_eq(sa.connection, p.connections[0].id);
    config_free(c);
}

Test(config_connections, patterns)
{
    static const struct {
        const char *pattern, *identity;
        uint8_t type;
        bool matches;
    } table[] = {
        {"*", "anything", 11, true},
        {"*@example.org", "a@example.org", 3, true},
        {"*@example.org", "@example.org", 3, false},
        {"*@example.org", "a@example.org", 11, false},
        {"*@example.org", "a@b.example.org", 3, false},
        {"*@example.org", "a@EXAMPLE.org", 3, true},
        {"*.example.org", "gw.example.org", 2, true},
        {"*.example.org", "a.b.example.org", 2, true},
        {"*.example.org", "example.org", 2, false},
        {"*.example.org", "gw.example.org.evil.net", 2, false},
        {"gw.example.org", "gw.example.org", 2, true},
        {"gw.example.org", "xgw.example.org", 2, false},
        {"a@example.org", "a@example.org", 3, true},
        {"a@example.org", "b@example.org", 3, false},
    };
    unsigned rows = 0;

    for (; rows < sizeof table / sizeof table[0]; rows++) {
        struct ike_identity id = {.type = table[rows].type,
                                  .len = (uint8_t)strlen(table[rows].identity)};
        char text[256];
        struct config *c;

        memcpy(id.bytes, table[rows].identity, id.len);
        (void)snprintf(text, sizeof text, "connections: [{ name: x, match: [\"%s\"] }]\n",
                       table[rows].pattern);
        c = good(text);
        cr_assert_eq(ike_pattern_matches(&c->engine_connections[0].peers[0], &id),
                     table[rows].matches, "%s of %s", table[rows].identity, table[rows].pattern);
        config_free(c);
    }
    printf("compared %u patterns\n", rows);
}

Test(config_connections, mistakes)
{
    static const struct {
        const char *text, *want;
    } table[] = {
        {"profile: paranoid\n", "'profile': 'paranoid' is not one of standard, high-security, "
                                "site-to-site"},
        {"profile: high-security\nike: { lifetime: { hard: 9h } }\n",
         "the profile high-security allows at most 8h here"},
        {"profile: high-security\nchild: { lifetime: { hard: 61m } }\n",
         "the profile high-security allows at most 1h here"},
        {"profile: site-to-site\nchild: { pfs: { every: 2 } }\n",
         "the profile site-to-site is with PFS: pfs: always"},
        {"profile: site-to-site\nchild: { lifetime: { hard: 13h } }\n",
         "the profile site-to-site allows at most 12h here"},
        {"child: { lifetime: { bytes: { soft: 2GiB, hard: 1GiB } } }\n",
         "soft (2147483648 bytes) must be below hard (1073741824 bytes)"},
        {"child: { lifetime: { bytes: { hard: 1000 } } }\n",
         "'hard': '1000' is not an amount: a whole number and a unit, such as 700MiB"},
        {"child: { lifetime: { bytes: { hard: 33TiB } } }\n",
         "'hard': 33TiB is out of range: 1KiB to 32TiB"},
        {"child: { lifetime: { hard: 30s }, overlap: 31s }\n",
         "the overlap is longer than the lifetime"},
        {"connections: [{ name: a }]\n", "the key 'match' is missing"},
        {"connections: [{ match: [\"*\"] }]\n", "the key 'name' is missing"},
        {"connections: [{ name: default, match: [\"*\"] }]\n", "'default' cannot be a name"},
        {"connections: [{ name: a b, match: [\"*\"] }]\n", "'a b' cannot be a name"},
        {"connections: [{ name: a, match: [\"*\"] }, { name: a, match: [\"*\"] }]\n",
         "the name 'a' is used twice (first at line 6)"},
        {"connections: [{ name: a, match: [\"*org\"] }]\n", "'*org' is no pattern"},
        {"connections: [{ name: a, match: [\"a*b\"] }]\n", "'a*b' is no pattern"},
        {"connections: [{ name: a, match: [\"*@\"] }]\n", "'*@' has no domain after the *"},
        {"connections: [{ name: a, match: [\"*\"], child: { lifetime: { rekey_at: 50% } } }]\n",
         "'rekey_at': 50% is out of range: 60% to 75%"},
        {"connections: [{ name: a, match: [\"*\"], profile: high-security, ike: { lifetime: { "
         "hard: 9h } } }]\n",
         "the profile high-security allows at most 8h here"},
        {"connections: [{ name: a, match: [\"*\"], profile: high-security, children: [{ name: v, "
         "networks: [10.20.1.0/24], pfs: never }] }]\n",
         "the profile high-security is with PFS"},
        {"connections: [{ name: a, match: [\"*\"], children: [{ name: v, networks: "
         "[10.21.0.0/16] }] }]\n",
         "10.21.0.0/16 is in none of gateway.networks"},
        {"connections: [{ name: a, match: [\"*\"], lifetime: { hard: 1h } }]\n",
         "unknown key 'lifetime'"},
        {"replay_recovery: often\n", "'replay_recovery': 'often' is not one of rekey, wait"},
        {"replay_recovery: bounded\n", "'replay_recovery': write { bounded: N } with a number"},
        {"replay_recovery: { bounded: 0 }\n", "'bounded': 0 is out of range: 1 to 100000"},
    };
    unsigned rows = 0;

    for (; rows < sizeof table / sizeof table[0]; rows++) {
        char first[512];
        struct config *c = parse(table[rows].text, first, sizeof first);

        cr_assert_null(c, "row %u is taken", rows);
        cr_assert_not_null(strstr(first, table[rows].want), "row %u: %s", rows, first);
    }
    printf("compared %u mistakes\n", rows);
}

Test(config_connections, the_summary_names_each)
{
    char printed[4096] = "";
    struct config *c = good(CONNECTIONS);
    FILE *out = fmemopen(printed, sizeof printed, "w");

    config_print_summary(c, out);
    (void)fclose(out);
    cr_assert_not_null(
        strstr(printed, "  lifetime  branches: IKE SA 24h, CHILD SA 10h, voice 1h\n"), "%s",
        printed);
    cr_assert_not_null(strstr(printed, "  lifetime  rest: IKE SA 24h, CHILD SA 2h\n"));
    cr_assert_not_null(strstr(printed, "  lifetime  default: IKE SA 24h, CHILD SA 2h\n"));
    config_free(c);
}

/* Who matches no connection gets what the file says, all of it. */
Test(config_connections, the_default_gets_the_files_terms)
{
    struct config *c =
        good("child: { align: true, spread: false, overlap: 70s, pfs: { every: 5 } }\n"
             "ike: { retransmit: { cap: 9s } }\n");
    struct ike_sa nobody = {.connection = 0};
    struct ike_ts any = {.port_high = 65535};
    struct ike_child_terms terms;
    struct ike_policy p;
    const char *missing;

    any.low = any.high = addr_v4(0x0a140805);
    cr_assert(config_policy(c, &suite_default, &p, &missing));
    terms = ike_connection_terms(&p, &nobody, &any, 1);
    cr_assert(terms.align && !terms.spread);
    cr_assert_eq(terms.overlap_ms, 70 * 1000);
    cr_assert(terms.pfs == IKE_PFS_EVERY && terms.pfs_every == 5);
    cr_assert_eq(p.retransmit_cap_ms, 9 * 1000);
    config_free(c);
    c = good("");
    cr_assert(config_policy(c, &suite_default, &p, &missing));
    terms = ike_connection_terms(&p, &nobody, &any, 1);
    cr_assert(!terms.align && terms.spread && terms.overlap_ms == 0);
    cr_assert_eq(p.retransmit_cap_ms, 60 * 1000);
    config_free(c);
}
