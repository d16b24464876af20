/* Every way to fail has a text that says what it means and what to do; what was offered is told beside what is
 * allowed, and nothing that a peer sent steers a terminal. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "conductor/explain.h"
#include "wire/sa.h"

/* No failures. A reason that is neither here nor in the table is red. */
static bool is_none(enum ike_reason reason)
{
    return reason == IKE_REASON_NONE || reason == IKE_REASON_NOTHING_TO_DO ||
           reason == IKE_REASON_DELETED_BY_PEER || reason == IKE_REASON_DELETED_BY_US;
}

static void good(const struct explanation *e, const char *name)
{
    cr_assert_not_null(e, "%s has no text", name);
    cr_assert_gt(strlen(e->meaning), 20, "%s", name);
    cr_assert_gt(strlen(e->fix), 20, "%s", name);
    cr_assert_str_neq(e->meaning, e->fix, "%s", name);
}

static const struct explanation
    *seen[IKE_REASON_COUNT + ATTEMPT_LIMITS + IKE_CHECK_COUNT + SUITE_VERDICTS];
static size_t n_seen;

/* A text that two share explains one of them badly. */
static void alone(const struct explanation *e, const char *name)
{
    good(e, name);
    for (size_t i = 0; i < n_seen; i++)
        cr_assert_str_neq(seen[i]->meaning, e->meaning, "%s", name);
    seen[n_seen++] = e;
}

Test(explain, every_reason_bound_check_and_verdict_has_a_text)
{
    for (int i = 0; i < IKE_REASON_COUNT; i++) {
        enum ike_reason reason = (enum ike_reason)i;

        if (is_none(reason))
            cr_assert_null(explain_reason(reason), "%s", ike_reason_name(reason));
        else
            alone(explain_reason(reason), ike_reason_name(reason));
    }
    for (int i = ATTEMPT_LIMIT_NONE + 1; i < ATTEMPT_LIMITS; i++)
        alone(explain_limit((enum attempt_limit)i), attempt_limit_name((enum attempt_limit)i));
    for (int i = IKE_CHECK_NONE + 1; i < IKE_CHECK_COUNT; i++)
        alone(explain_check((enum ike_check)i), "a check");
    for (int i = SUITE_GOOD + 1; i < SUITE_VERDICTS; i++)
        alone(explain_verdict((enum suite_verdict)i), suite_verdict_name((enum suite_verdict)i));
    cr_assert_null(explain_reason(IKE_REASON_COUNT));
    cr_assert_null(explain_limit(ATTEMPT_LIMITS));
    cr_assert_null(explain_check(IKE_CHECK_COUNT));
    cr_assert_null(explain_verdict(SUITE_VERDICTS));
    cr_assert_null(explain_verdict(SUITE_GOOD));
    printf("compared %zu texts\n", n_seen);
}

Test(explain, the_most_particular_text_is_taken)
{
    struct attempt a = {.reason = IKE_REASON_AUTH_FAILED};

    cr_assert_eq(explain_attempt(&a), explain_reason(IKE_REASON_AUTH_FAILED));
    a.evidence.about = IKE_EVIDENCE_CREDENTIALS;
    a.evidence.credentials.check = IKE_CHECK_UNKNOWN_IDENTITY;
    cr_assert_eq(explain_attempt(&a), explain_check(IKE_CHECK_UNKNOWN_IDENTITY));
    a.evidence.credentials.check = IKE_CHECK_CERTIFICATE;
    a.judged = true;
    a.verdict = SUITE_EXPIRED;
    cr_assert_eq(explain_attempt(&a), explain_verdict(SUITE_EXPIRED));
    a.limit = ATTEMPT_LIMIT_AUTHENTICATIONS;
    cr_assert_eq(explain_attempt(&a), explain_limit(ATTEMPT_LIMIT_AUTHENTICATIONS));
    a = (struct attempt){.reason = IKE_REASON_POOL_EXHAUSTED};
    a.evidence.about = IKE_EVIDENCE_ADDRESSES;
    a.evidence.addresses.wanted[SLOT_V6] = a.evidence.addresses.has_pool[SLOT_V4] = true;
    cr_assert_neq(explain_attempt(&a), explain_reason(IKE_REASON_POOL_EXHAUSTED), "no such pool");
    a.evidence.addresses.has_pool[SLOT_V6] = true;
    cr_assert_eq(explain_attempt(&a), explain_reason(IKE_REASON_POOL_EXHAUSTED));
    a = (struct attempt){.reason = IKE_REASON_REFUSED_BY_PEER};
    cr_assert_eq(explain_attempt(&a), explain_reason(IKE_REASON_REFUSED_BY_PEER));
    a = (struct attempt){.reason = IKE_REASON_NO_PROPOSAL, .peer_error = 14};
    cr_assert_neq(explain_attempt(&a), explain_reason(IKE_REASON_NO_PROPOSAL), "its own refusal");
}

static struct ike_identity domain(const char *name)
{
    struct ike_identity id = {.type = 2, .len = (uint8_t)strlen(name)};

    memcpy(id.bytes, name, id.len);
    return id;
}

/* What a client refuses of a gateway: its name before its certificate. */
Test(explain, what_a_client_did_not_believe)
{
    struct attempt a = {.reason = IKE_REASON_REFUSED_BY_PEER,
                        .evidence.about = IKE_EVIDENCE_GATEWAY};
    const struct explanation *name, *certificate;

    a.evidence.gateway.shown = domain("gw.test");
    cr_assert_eq(explain_attempt(&a), explain_reason(IKE_REASON_REFUSED_BY_PEER), "by shared key");
    a.evidence.gateway.by_certificate = true;
    certificate = explain_attempt(&a);
    cr_assert_not_null(strstr(certificate->fix, "trust the CA"));
    a.evidence.gateway.asked = domain("GW.test");
    cr_assert_eq(explain_attempt(&a), certificate, "the same name");
    a.evidence.gateway.asked = domain("vpn.test");
    name = explain_attempt(&a);
    cr_assert_not_null(strstr(name->fix, "remote ID"));
    a.evidence.gateway.by_certificate = false;
    cr_assert_eq(explain_attempt(&a), name);
}

/* ---- evidence ---- */

static char told[4096];

static void put(void *self, const char *what, enum explain_side side, const char *text)
{
    static const char sides[] = {
        [EXPLAIN_OFFERED] = '+', [EXPLAIN_ALLOWED] = '=', [EXPLAIN_DIFFERS] = '!'};
    size_t n = strlen(told);

    (void)self;
    cr_assert_eq(text == NULL, side == EXPLAIN_DIFFERS);
    (void)snprintf(told + n, sizeof told - n, "%s%c%s;", what, sides[side],
                   text != NULL ? text : "");
}

static const char *tell(const struct attempt *a)
{
    told[0] = '\0';
    explain_evidence(a, put, NULL);
    return told;
}

static void add(struct ike_evidence_transforms *list, uint8_t type, uint16_t id, uint16_t bits)
{
    list->items[list->n++] =
        (struct ike_evidence_transform){.type = type, .id = id, .key_bits = bits};
}

Test(explain, what_windows_offers_beside_what_is_allowed)
{
    struct attempt a = {.reason = IKE_REASON_WEAK_GROUP};
    struct ike_evidence *e = &a.evidence;

    e->about = IKE_EVIDENCE_PROPOSALS;
    e->proposals.protocol = WIRE_PROTO_IKE;
    add(&e->proposals.offered, WIRE_TR_ENCR, 12, 256);
    add(&e->proposals.offered, WIRE_TR_ENCR, 3, 0);
    add(&e->proposals.offered, WIRE_TR_INTEG, 12, 0);
    add(&e->proposals.offered, WIRE_TR_PRF, 5, 0);
    add(&e->proposals.offered, WIRE_TR_KE, 2, 0);
    add(&e->proposals.allowed, WIRE_TR_ENCR, 12, 256);
    add(&e->proposals.allowed, WIRE_TR_INTEG, 12, 0);
    add(&e->proposals.allowed, WIRE_TR_PRF, 5, 0);
    add(&e->proposals.allowed, WIRE_TR_KE, 14, 0);
    cr_assert_str_eq(tell(&a), "encryption+aes256;encryption+3des;encryption=aes256;PRF+prfsha256;"
                               "PRF=prfsha256;integrity+sha256;integrity=sha256;group+modp1024;"
                               "group=modp2048;group!;");
    e->proposals.allowed.items[3].id = 2;
    cr_assert_not_null(strstr(tell(&a), "group=modp1024;combination!;"), "%s", told);
    e->proposals.allowed.items[1].id = 14; /* sha512, and the client knows sha256 */
    cr_assert_not_null(strstr(tell(&a), "integrity!;"));
    e->proposals.offered.items[2].id = 0; /* none: it goes with a combined mode */
    cr_assert_null(strstr(tell(&a), "integrity!;"));
    add(&e->proposals.offered, WIRE_TR_ENCR, 999, 77);
    cr_assert_not_null(strstr(tell(&a), "encryption+encryption 999/77;"));
}

/* A CHILD SA made with its IKE SA has no group, and that is nothing to mend. */
Test(explain, what_a_child_sa_may_lack_does_not_differ)
{
    struct attempt a = {.reason = IKE_REASON_NO_PROPOSAL};
    struct ike_evidence *e = &a.evidence;

    e->about = IKE_EVIDENCE_PROPOSALS;
    e->proposals.protocol = WIRE_PROTO_ESP;
    add(&e->proposals.offered, WIRE_TR_ENCR, 12, 128);
    add(&e->proposals.allowed, WIRE_TR_ENCR, 20, 256);
    add(&e->proposals.allowed, WIRE_TR_KE, 31, 0);
    add(&e->proposals.allowed, WIRE_TR_ESN, 0, 0);
    cr_assert_str_eq(tell(&a), "encryption+aes128;encryption=aes256gcm16;encryption!;group=x25519;"
                               "sequence numbers=noesn;");
}

static struct ike_ts range(uint32_t low, uint32_t high)
{
    return (struct ike_ts){.port_high = UINT16_MAX, .low = addr_v4(low), .high = addr_v4(high)};
}

Test(explain, selectors_are_told_by_side)
{
    struct attempt a = {.reason = IKE_REASON_TS_UNACCEPTABLE};
    struct ike_evidence *e = &a.evidence;

    e->about = IKE_EVIDENCE_SELECTORS;
    e->selectors.offered_local.items[e->selectors.offered_local.n++] =
        range(0xc0a80000, 0xc0a800ff);
    e->selectors.allowed_local.items[e->selectors.allowed_local.n++] =
        range(0x0a140000, 0x0a14ffff);
    e->selectors.offered_remote.items[e->selectors.offered_remote.n++] =
        range(0x0a630001, 0x0a630001);
    e->selectors.allowed_remote.items[e->selectors.allowed_remote.n++] =
        range(0x0a630000, 0x0a6300ff);
    cr_assert_str_eq(tell(&a), "networks behind the gateway+192.168.0.0-192.168.0.255;"
                               "networks behind the gateway=10.20.0.0-10.20.255.255;"
                               "networks behind the gateway!;"
                               "the client's addresses+10.99.0.1-10.99.0.1;"
                               "the client's addresses=10.99.0.0-10.99.0.255;");
    e->selectors.offered_remote.items[0].protocol = 17;
    e->selectors.offered_remote.items[0].port_low = 53;
    e->selectors.offered_remote.items[0].port_high = 53;
    cr_assert_not_null(strstr(tell(&a), "+10.99.0.1-10.99.0.1 protocol 17 ports 53-53;"));
    e->selectors.offered_local.more = true;
    cr_assert_null(strstr(tell(&a), "networks behind the gateway!"), "who knows");
}

/* The longest there are, all at once: nothing is cut short of its bounds. */
Test(explain, the_longest_selector_fits)
{
    struct attempt a = {.reason = IKE_REASON_TS_UNACCEPTABLE};
    struct ike_evidence *e = &a.evidence;
    struct ike_ts ts = {.protocol = 255, .port_low = 65535, .port_high = 0};
    uint8_t bytes[16];

    memset(bytes, 0xfd, sizeof bytes);
    ts.low = ts.high = addr_v6(bytes);
    e->about = IKE_EVIDENCE_SELECTORS;
    for (int i = 0; i < IKE_MAX_TS; i++)
        e->selectors.offered_local.items[e->selectors.offered_local.n++] = ts;
    cr_assert_not_null(strstr(tell(&a), "fdfd protocol 255 ports 65535-0;"));
}

Test(explain, which_certificate_and_which_check)
{
    struct attempt a = {.reason = IKE_REASON_AUTH_FAILED, .judged = true, .verdict = SUITE_REVOKED};
    struct ike_evidence *e = &a.evidence;

    e->about = IKE_EVIDENCE_CREDENTIALS;
    e->credentials.method = 14;
    e->credentials.n_certificates = 2;
    memset(e->credentials.sha256, 0xab, sizeof e->credentials.sha256);
    cr_assert_str_eq(tell(&a), "proof+signature (RFC 7427);certificate, SHA-256+"
                               "abababababababababababababababababababababababababababababababab;"
                               "certificates that came+2;check+revoked;");
}

Test(explain, a_certificate_by_its_own_words)
{
    struct attempt a = {.reason = IKE_REASON_AUTH_FAILED,
                        .judged = true,
                        .verdict = SUITE_EXPIRED,
                        .last_wall_s = 1795921200};
    struct ike_evidence *e = &a.evidence;

    e->about = IKE_EVIDENCE_CREDENTIALS;
    e->credentials.method = 14;
    e->credentials.about = (struct suite_certificate){
        .subject = "CN=alice", .issuer = "CN=root", .from_s = 1577836800, .until_s = 1609459200};
    cr_assert_str_eq(tell(&a),
                     "proof+signature (RFC 7427);certificate, subject+CN=alice;certificate, "
                     "issuer+CN=root;certificate, valid+2020-01-01 00:00 UTC to 2021-01-01 00:00 "
                     "UTC;certificate, valid=what holds at 2026-11-29 03:00 UTC;check+expired;");
    a.verdict = SUITE_NOT_YET_VALID;
    cr_assert_not_null(strstr(tell(&a), "what holds at 2026-11-29 03:00 UTC"));
    a.verdict = SUITE_UNTRUSTED;
    cr_assert_null(strstr(tell(&a), "what holds"), "its dates are not in the way");
    cr_assert_not_null(strstr(told, "issuer+CN=root"));
}

Test(explain, the_rest)
{
    struct attempt a = {.reason = IKE_REASON_INVALID_KE};

    cr_assert_str_eq(tell(&a), "");
    ike_evidence_group(&a.evidence, 2, 14);
    cr_assert_str_eq(tell(&a), "group+modp1024;group=modp2048;group!;");
    ike_evidence_payload(&a.evidence, 200);
    cr_assert_str_eq(tell(&a), "critical payload+type 200;");
    ike_evidence_gateway(&a.evidence, NULL,
                         &(struct ike_identity){.type = 2, .len = 2, .bytes = "gw"}, true);
    cr_assert_str_eq(tell(&a), "the gateway's identity=gw;the gateway's proof=certificate;");
    a.evidence.gateway.asked = domain("vpn");
    cr_assert_str_eq(tell(&a), "the gateway's identity+vpn;the gateway's identity=gw;the gateway's "
                               "identity!;the gateway's proof=certificate;");
    ike_evidence_addresses(&a.evidence, (const bool[]){false, true}, (const bool[]){true, false});
    cr_assert_str_eq(tell(&a), "virtual address+IPv6;virtual address=IPv4;");
}

/* What a peer says of itself is anything at all. */
Test(explain, an_identity_is_printable)
{
    struct ike_identity id = {.type = 2, .len = 12};
    char text[LOG_TEXT_CHARS];

    memcpy(id.bytes, "a\x1b[2J\"\\\n\0b\xff ", 12);
    cr_assert_str_eq(explain_identity(&id, text), "a\\x1b[2J\\x22\\x5c\\x0a\\x00b\\xff\\x20");
    cr_assert_str_eq(explain_identity_type(&id), "fqdn");
    id = (struct ike_identity){.type = 1, .len = 4, .bytes = {192, 0, 2, 7}};
    cr_assert_str_eq(explain_identity(&id, text), "192.0.2.7");
    id.len = 3; /* no address */
    cr_assert_str_eq(explain_identity(&id, text), "\\xc0\\x00\\x02");
    memset(&id, 0xff, sizeof id);
    cr_assert_lt(strlen(explain_identity(&id, text)), sizeof text);
    cr_assert_str_eq(explain_identity_type(&id), "-");
}
