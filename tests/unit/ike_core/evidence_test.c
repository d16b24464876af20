/* What comes with a refusal, for who must mend it: what was offered, what is allowed, which check. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "ike/ts.h"

#include "harness.h"

static const struct ike_evidence *refused(struct lab *l, enum ike_reason reason)
{
    lab_auth_sent(l);
    cr_assert_eq(lab_to_gateway(l, message_span(&l->c.pending.request)), IKE_STEPPED);
    cr_assert_eq(l->out.reason, reason, "%s", ike_reason_name(l->out.reason));
    return &l->out.evidence;
}

static bool has(const struct ike_evidence_transforms *list, uint8_t type, uint16_t id,
                uint16_t key_bits)
{
    for (uint8_t i = 0; i < list->n; i++)
        if (list->items[i].type == type && list->items[i].id == id &&
            list->items[i].key_bits == key_bits)
            return true;
    return false;
}

/* The peer may still refuse it. */
Test(evidence, of_a_success_is_whom_we_showed)
{
    struct lab *l = lab_new();
    const struct ike_evidence *e = &l->out.evidence;

    lab_auth_sent(l);
    cr_assert_eq(lab_to_gateway(l, message_span(&l->c.pending.request)), IKE_STEPPED);
    cr_assert_eq(l->out.reason, IKE_REASON_NONE);
    cr_assert_eq(e->about, IKE_EVIDENCE_GATEWAY);
    cr_assert_eq(memcmp(&e->gateway.shown, &l->gateway.local_id, sizeof e->gateway.shown), 0);
    cr_assert_not(e->gateway.by_certificate);
    free(l);
}

Test(evidence, whom_the_peer_asked_for)
{
    static uint8_t long_name[IKE_MAX_ID_BYTES + 1];
    const struct ike_identity us = identity(WIRE_ID_FQDN, "gw.holdfast.test");
    struct wire_id asked = {.type = WIRE_ID_FQDN, .data = span_of("vpn.test", 8)};
    struct ike_evidence e;

    ike_evidence_gateway(&e, &asked, &us, true);
    cr_assert(e.gateway.asked.type == WIRE_ID_FQDN && e.gateway.asked.len == 8);
    cr_assert_eq(memcmp(e.gateway.asked.bytes, "vpn.test", 8), 0);
    cr_assert(e.gateway.by_certificate);
    ike_evidence_gateway(&e, NULL, &us, false);
    cr_assert_eq(e.gateway.asked.type, 0);
    asked.data = span_of(long_name, sizeof long_name);
    ike_evidence_gateway(&e, &asked, &us, false);
    cr_assert_eq(e.gateway.asked.type, 0, "none that could be kept");
}

Test(evidence, proposals_of_an_ike_sa_offered_and_allowed)
{
    struct lab *l = lab_new();
    const struct ike_evidence *e = &l->out.evidence;

    l->client.n_ike = 1; /* 256 bits */
    lab_begin(l);
    l->gateway.ike[0] = l->gateway.ike[1]; /* 128 */
    l->gateway.n_ike = 1;
    cr_assert_eq(lab_to_gateway(l, message_span(&l->c.pending.request)), IKE_LOCAL);
    cr_assert_eq(l->out.reason, IKE_REASON_NO_PROPOSAL);
    cr_assert_eq(e->about, IKE_EVIDENCE_PROPOSALS);
    cr_assert_eq(e->proposals.protocol, WIRE_PROTO_IKE);
    cr_assert(has(&e->proposals.offered, WIRE_TR_ENCR, 20, 256) &&
              !has(&e->proposals.offered, WIRE_TR_ENCR, 20, 128));
    cr_assert(has(&e->proposals.allowed, WIRE_TR_ENCR, 20, 128) &&
              !has(&e->proposals.allowed, WIRE_TR_ENCR, 20, 256));
    cr_assert(has(&e->proposals.offered, WIRE_TR_PRF, 5, 0) ||
              has(&e->proposals.offered, WIRE_TR_PRF, 6, 0));
    cr_assert_eq(e->proposals.offered.items[0].proposal, 1);
    cr_assert_eq(e->proposals.allowed.items[0].proposal, 0);
    free(l);
}

/* The list is bounded, however much is offered, and says so. */
Test(evidence, of_many_transforms_the_first_are_kept)
{
    static struct wire_sa offer;
    struct lab *l = lab_new();
    static struct ike_evidence e;

    memset(&offer, 0, sizeof offer);
    wire_sa_add_proposal(&offer, 1, WIRE_PROTO_IKE, (struct span){0});
    for (uint16_t i = 0; i < 2 * IKE_EVIDENCE_TRANSFORMS; i++)
        wire_sa_add_transform(&offer, WIRE_TR_ENCR, (uint16_t)(100 + i), 0);
    ike_evidence_proposals(&e, &l->gateway, WIRE_PROTO_IKE, &offer);
    cr_assert_eq(e.proposals.offered.n, IKE_EVIDENCE_TRANSFORMS);
    cr_assert(e.proposals.offered.more && !e.proposals.allowed.more);
    memset(&offer, 0, sizeof offer);
    for (uint8_t k = 0; k < 8; k++) {
        wire_sa_add_proposal(&offer, (uint8_t)(k + 1), WIRE_PROTO_IKE, (struct span){0});
        for (uint16_t i = 0; i < 16; i++)
            wire_sa_add_transform(&offer, WIRE_TR_ENCR, (uint16_t)(100 + i), 0);
    }
    ike_evidence_proposals(&e, &l->gateway, WIRE_PROTO_IKE, &offer);
    cr_assert_eq(e.proposals.offered.n, 16, "the same one is kept once");
    cr_assert_not(e.proposals.offered.more);
    free(l);
}

Test(evidence, the_group_that_came_and_the_one_that_is_wanted)
{
    struct lab *l = lab_new();

    l->client.ike[0].ke_id = OTHER_GROUP;
    lab_begin(l);
    cr_assert_eq(lab_to_gateway(l, message_span(&l->c.pending.request)), IKE_LOCAL);
    cr_assert_eq(l->out.reason, IKE_REASON_INVALID_KE);
    cr_assert_eq(l->out.evidence.about, IKE_EVIDENCE_GROUP);
    cr_assert_eq(l->out.evidence.group.sent, OTHER_GROUP);
    cr_assert_eq(l->out.evidence.group.wanted, 31);
    free(l);
}

/* The answers are alike (psk.h); what the operator is told is not. */
Test(evidence, a_wrong_key_and_an_unknown_identity)
{
    struct lab *wrong = lab_new(), *unknown = lab_new();
    const struct ike_evidence *e;

    secret_set(&wrong->gateway_psks[1].psk, "a shared kez", 12);
    e = refused(wrong, IKE_REASON_AUTH_FAILED);
    cr_assert_eq(e->about, IKE_EVIDENCE_CREDENTIALS);
    cr_assert_eq(e->credentials.check, IKE_CHECK_WRONG_KEY);
    cr_assert_eq(e->credentials.method, WIRE_AUTH_PSK);
    unknown->client.local_id = identity(WIRE_ID_RFC822, "nobodx@holdfast.test");
    e = refused(unknown, IKE_REASON_AUTH_FAILED);
    cr_assert_eq(e->credentials.check, IKE_CHECK_UNKNOWN_IDENTITY);
    cr_assert_eq(unknown->out.after.remote_id.len, strlen("nobodx@holdfast.test"),
                 "and who it said it is");
    free(wrong);
    free(unknown);
}

/* The checks that no handshake of ours fails: by the message alone. */
Test(evidence, each_way_to_fail_a_check_has_its_name)
{
    static struct wire_body body;
    static const uint8_t der[] = {0x30, 0x03, 0x02, 0x01, 0x05};
    struct lab *l = lab_new();
    struct ike_credentials none = {.trust = NULL}, some = {.trust = "a CA"};
    struct suite_auth auth = {0};
    const struct ike_proof_result none_judged = {0},
                                  judged = {.done = true,
                                            .verdict = SUITE_EXPIRED,
                                            .about = {.subject = "CN=alice", .until_s = 7}};
    struct ike_evidence e;
    uint8_t zero[IKE_EVIDENCE_HASH_BYTES] = {0};

    memset(&body, 0, sizeof body);
    ike_evidence_credentials(&e, &l->gateway, &body, false, &none_judged);
    cr_assert_eq(e.credentials.check, IKE_CHECK_NO_AUTH);
    cr_assert_eq(e.credentials.method, 0);
    body.has_auth = true;
    body.auth.method = WIRE_AUTH_SIGNATURE;
    ike_evidence_credentials(&e, &l->gateway, &body, false, &none_judged);
    cr_assert_eq(e.credentials.check, IKE_CHECK_NO_TRUST, "no certificates at all");
    l->suites.auth = &auth;
    l->gateway.credentials = &none;
    ike_evidence_credentials(&e, &l->gateway, &body, false, &none_judged);
    cr_assert_eq(e.credentials.check, IKE_CHECK_NO_TRUST);
    l->gateway.credentials = &some;
    ike_evidence_credentials(&e, &l->gateway, &body, false, &none_judged);
    cr_assert_eq(e.credentials.check, IKE_CHECK_NO_CERTIFICATE);
    cr_assert_eq(memcmp(e.credentials.sha256, zero, sizeof zero), 0);
    body.certs[0].data = span_of(der, sizeof der);
    body.n_certs = 1;
    ike_evidence_credentials(&e, &l->gateway, &body, false, &none_judged);
    cr_assert_eq(e.credentials.check, IKE_CHECK_METHOD);
    cr_assert_eq(e.credentials.n_certificates, 1);
    cr_assert_neq(memcmp(e.credentials.sha256, zero, sizeof zero), 0, "which one it was");
    ike_evidence_credentials(&e, &l->gateway, &body, false, &judged);
    cr_assert_eq(e.credentials.check, IKE_CHECK_CERTIFICATE);
    cr_assert_str_eq(e.credentials.about.subject, "CN=alice");
    cr_assert_eq(e.credentials.about.until_s, 7);
    free(l);
}

Test(evidence, proposals_of_a_child_sa)
{
    struct lab *l = lab_new();
    const struct ike_evidence *e;

    l->client.n_esp = 1;
    l->gateway.esp[0] = l->gateway.esp[1];
    l->gateway.n_esp = 1;
    e = refused(l, IKE_REASON_NO_PROPOSAL);
    cr_assert_eq(e->about, IKE_EVIDENCE_PROPOSALS);
    cr_assert_eq(e->proposals.protocol, WIRE_PROTO_ESP);
    cr_assert(e->proposals.offered.n > 0 && e->proposals.allowed.n > 0);
    cr_assert_neq(memcmp(&e->proposals.offered.items[0].id, &e->proposals.allowed.items[0].id, 4),
                  0);
    free(l);
}

Test(evidence, selectors_of_both_sides)
{
    struct lab *l = lab_new();
    const struct ike_evidence *e;
    struct ike_ts asked = subnet(0xc0a80000, 24), host;

    l->client.request_address = false;
    l->client.local_ts[0] = asked;
    l->client.n_local_ts = 1;
    e = refused(l, IKE_REASON_TS_UNACCEPTABLE);
    host = ike_ts_host(&l->g.remote.ip);
    cr_assert_eq(e->about, IKE_EVIDENCE_SELECTORS);
    cr_assert_eq(e->selectors.offered_remote.n, 1);
    cr_assert(addr_equal(&e->selectors.offered_remote.items[0].low, &asked.low) &&
              addr_equal(&e->selectors.offered_remote.items[0].high, &asked.high));
    cr_assert_eq(e->selectors.allowed_remote.n, 1);
    cr_assert(addr_equal(&e->selectors.allowed_remote.items[0].low, &host.low),
              "where it comes from, as it asked for no address");
    cr_assert_eq(e->selectors.allowed_local.n, l->gateway.n_local_ts);
    cr_assert_gt(e->selectors.offered_local.n, 0);
    free(l);
}

/* It may have any address that it would have got. */
Test(evidence, selectors_of_who_asked_for_an_address)
{
    struct lab *l = lab_new();
    const struct ike_evidence *e;
    struct ike_ts any = ike_ts_any(ADDR_V4);

    l->gateway.local_ts[0] = subnet(0xc0a80000, 24);
    l->gateway.n_local_ts = 1;
    l->gateway.local_ts[0].protocol = 17;
    l->gateway.local_ts[0].low.family = l->gateway.local_ts[0].high.family = ADDR_V6;
    e = refused(l, IKE_REASON_TS_UNACCEPTABLE);
    cr_assert_eq(l->addresses_asked, 0);
    cr_assert_eq(e->selectors.allowed_remote.n, 1);
    cr_assert_eq(memcmp(&e->selectors.allowed_remote.items[0], &any, sizeof any), 0);
    free(l);
}

Test(evidence, addresses_that_were_asked_for_and_are_given_out)
{
    struct lab *l = lab_new();
    const struct ike_evidence *e;

    l->no_pool4 = true;
    e = refused(l, IKE_REASON_POOL_EXHAUSTED);
    cr_assert_eq(e->about, IKE_EVIDENCE_ADDRESSES);
    cr_assert(e->addresses.wanted[SLOT_V4] && !e->addresses.has_pool[SLOT_V4]);
    free(l);
    l = lab_new();
    l->pool = (struct ip_addr){0};
    e = refused(l, IKE_REASON_POOL_EXHAUSTED);
    cr_assert(e->addresses.wanted[SLOT_V4] && e->addresses.has_pool[SLOT_V4]);
    free(l);
}
