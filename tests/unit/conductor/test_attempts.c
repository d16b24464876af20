/* Failed attempts: what is kept of them, and that nobody can make it too much. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "conductor/attempts.h"
#include "world.h"

enum { NODE = 3, BOOT = 0x1234abcd, START_MS = 1000000 };

static struct attempts *a;
static uint64_t now;

static void setup(void)
{
    a = attempts_create(NODE, BOOT);
    now = START_MS;
}

static void teardown(void)
{
    attempts_destroy(a);
}

TestSuite(attempts, .init = setup, .fini = teardown);

static struct attempt of(struct ip_addr source, bool proven, const char *identity)
{
    struct attempt what = {.last_ms = now,
                           .last_wall_s = now / 1000,
                           .remote = {.ip = source, .port = 500},
                           .exchange = IKE_EX_AUTH,
                           .reason = IKE_REASON_AUTH_FAILED,
                           .proven = proven,
                           .identity = {.type = 2, .len = (uint8_t)strlen(identity)}};

    memcpy(what.identity.bytes, identity, strlen(identity));
    return what;
}

static uint64_t note(struct ip_addr source, bool proven, unsigned who)
{
    char identity[16];
    struct attempt what;

    (void)snprintf(identity, sizeof identity, "c%u", who);
    what = of(source, proven, identity);
    return attempts_note(a, &what);
}

static unsigned kept(void)
{
    const struct attempt *at;
    unsigned n = 0;

    for (uint64_t id = UINT64_MAX; (at = attempts_below(a, id, now)) != NULL; id = at->id)
        n++;
    return n;
}

static struct ip_addr host(unsigned i)
{
    return addr_v4(0x0a000000 + i);
}

Test(attempts, an_id_says_which_node_and_start_and_finds_it_alone)
{
    uint64_t first = note(host(1), true, 1), second = note(host(1), true, 2);
    const struct attempt *at = attempts_find(a, first, now);

    cr_assert_eq(attempts_node_of(first), NODE);
    cr_assert_eq(first >> 32 & 0xffff, BOOT & 0xffff);
    cr_assert_gt(second, first);
    cr_assert_eq(at->id, first);
    cr_assert_eq(memcmp(at->identity.bytes, "c1", 2), 0);
    cr_assert(at->times == 1 && at->first_ms == now && at->first_wall_s == now / 1000);
    cr_assert_null(attempts_find(a, second + 1, now));
    cr_assert_null(attempts_find(a, first ^ (uint64_t)1 << 32, now), "of another start");
    cr_assert_null(attempts_find(a, 0, now));
    cr_assert_eq(attempts_below(a, UINT64_MAX, now)->id, second, "the newest first");
    cr_assert_eq(attempts_below(a, second, now)->id, first);
    cr_assert_null(attempts_below(a, first, now));
}

/* A client that asks again and again is one line, not a hundred; what differs is not lost in it. */
Test(attempts, the_same_again_is_counted)
{
    uint64_t id = note(host(1), true, 1), other;
    struct attempt what = of(host(1), true, "c1");

    for (unsigned i = 1; i < 10; i++) {
        now += 1000;
        what.last_ms = now;
        what.remote.port = (uint16_t)(4500 + i);
        cr_assert_eq(attempts_note(a, &what), id);
    }
    cr_assert_eq(kept(), 1);
    cr_assert_eq(attempts_find(a, id, now)->times, 10);
    cr_assert_eq(attempts_find(a, id, now)->first_ms, START_MS);
    cr_assert_eq(attempts_find(a, id, now)->last_ms, now);
    cr_assert_eq(attempts_find(a, id, now)->remote.port, 4509, "from where it came last");
    other = note(host(1), true, 2);
    cr_assert_neq(other, id, "another identity");
    cr_assert_neq(note(host(2), true, 1), id, "another source");
    what.reason = IKE_REASON_TS_UNACCEPTABLE;
    cr_assert_neq(attempts_note(a, &what), id, "another reason");
    what = of(host(1), true, "c1");
    ike_evidence_group(&what.evidence, 2, 14);
    cr_assert_neq(attempts_note(a, &what), id, "something else was offered");
    now = START_MS + ATTEMPTS_SAME_MS;
    cr_assert_neq(note(host(1), true, 1), id, "a minute later it is told anew");
}

Test(attempts, one_source_cannot_push_out_the_others)
{
    uint64_t victim = note(host(1), true, 0);
    unsigned compared = 0;

    for (unsigned i = 0; i < 4 * ATTEMPTS_MAX; i++, compared++)
        (void)note(host(2), true, i);
    cr_assert_not_null(attempts_find(a, victim, now));
    cr_assert_eq(kept(), 1 + ATTEMPTS_OF_SOURCE);
    cr_assert_eq(memcmp(attempts_below(a, UINT64_MAX, now)->identity.bytes, "c1023", 5), 0,
                 "of its own the newest stay");
    printf("compared %u\n", compared);
}

/* Nor by writing other addresses on its IKE_AUTH: it counts for where its handshake began. */
Test(attempts, one_source_that_lies_about_its_address_is_one)
{
    uint64_t victim = note(host(1), true, 0);

    for (unsigned i = 0; i < 2 * ATTEMPTS_MAX; i++) {
        struct attempt what = of(host(100 + i), true, "x");

        what.source = host(2);
        cr_assert_neq(attempts_note(a, &what), 0);
    }
    cr_assert_not_null(attempts_find(a, victim, now));
    cr_assert_eq(kept(), 1 + ATTEMPTS_OF_SOURCE);
}

/* A host of IPv6 has a /64. */
Test(attempts, a_network_of_ipv6_is_one_source)
{
    uint64_t victim = note(host(1), true, 0);

    for (unsigned i = 0; i < 2 * ATTEMPTS_MAX; i++) {
        struct ip_addr ip =
            addr_v6((const uint8_t[16]){0xfd, 2, [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i});

        (void)note(ip, true, 0);
    }
    cr_assert_not_null(attempts_find(a, victim, now));
    cr_assert_eq(kept(), 1 + ATTEMPTS_OF_SOURCE);
}

/* Anybody can send first messages from as many addresses as there are: they do not push out what
 * came of a valid ICV, and are no work for long. */
Test(attempts, who_proved_nothing_cannot_push_out_who_did)
{
    uint64_t proven[8];
    unsigned refused = 0;

    for (unsigned i = 0; i < 8; i++)
        proven[i] = note(host(i), true, i);
    for (unsigned i = 0; i < 100; i++)
        refused += note(host(1000 + i), false, 0) == 0;
    cr_assert_eq(refused, 100 - ATTEMPTS_UNPROVEN_A_SECOND);
    cr_assert_eq(attempts_unkept(a), refused);
    now += 1000;
    for (unsigned i = 0; i < 4 * ATTEMPTS_MAX; i++, now += 100)
        cr_assert_neq(note(host(5000 + i), false, 0), 0);
    cr_assert_eq(kept(), 8 + ATTEMPTS_UNPROVEN);
    for (unsigned i = 0; i < 8; i++)
        cr_assert_not_null(attempts_find(a, proven[i], now), "%u", i);
}

/* Its stray messages do not push out what came of its own IKE_AUTH. */
Test(attempts, of_one_source_what_proves_nothing_goes_first)
{
    uint64_t proven = note(host(1), true, 0), first = note(host(1), false, 1);

    for (unsigned i = 2; i < 2 * ATTEMPTS_OF_SOURCE; i++, now += 1000)
        cr_assert_neq(note(host(1), false, i), 0);
    cr_assert_eq(kept(), ATTEMPTS_OF_SOURCE);
    cr_assert_not_null(attempts_find(a, proven, now));
    cr_assert_null(attempts_find(a, first, now));
}

Test(attempts, are_bounded_in_all_and_the_oldest_goes_first)
{
    uint64_t first = note(host(1), true, 0), second = note(host(2), true, 0);

    for (unsigned i = 2; i < ATTEMPTS_MAX + 1; i++)
        (void)note(host(1 + i), true, 0);
    cr_assert_eq(kept(), ATTEMPTS_MAX);
    cr_assert_null(attempts_find(a, first, now));
    cr_assert_not_null(attempts_find(a, second, now));
}

Test(attempts, are_bounded_in_age)
{
    uint64_t id = note(host(1), true, 0);

    now += ATTEMPTS_AGE_MS;
    cr_assert_not_null(attempts_find(a, id, now));
    now++;
    cr_assert_null(attempts_below(a, UINT64_MAX, now));
    cr_assert_null(attempts_find(a, id, now));
    cr_assert_eq(kept(), 0);
}

/* Whom a gateway showed itself as is known for the newest SAs alone. */
Test(attempts, what_was_shown_is_bounded)
{
    struct ike_evidence shown = {.about = IKE_EVIDENCE_GATEWAY}, found;

    cr_assert_not(attempts_shown(a, 0, &found));
    for (unsigned i = 1; i <= ATTEMPTS_SHOWN + 1; i++) {
        shown.gateway.shown.len = (uint8_t)i;
        attempts_showed(a, i, &shown);
    }
    cr_assert_not(attempts_shown(a, 1, &found));
    cr_assert_not(attempts_shown(a, 0, &found));
    for (unsigned i = 2; i <= ATTEMPTS_SHOWN + 1; i++) {
        cr_assert(attempts_shown(a, i, &found));
        cr_assert_eq(found.gateway.shown.len, i);
    }
}

/* ---- the conductor's own ---- */

static struct conductor *owner(struct world *w)
{
    return w->nodes[w->owner].conductor;
}

static const struct attempt *newest(struct world *w)
{
    return attempts_below(conductor_attempts(owner(w)), UINT64_MAX, w->now);
}

static void wrong_key(struct ike_policy *g, struct ike_policy *c)
{
    static struct ike_psk_entry wrong;

    (void)g;
    wrong = c->psks[0];
    wrong.psk.bytes[0] ^= 1;
    c->psks = &wrong;
}

Test(conductor_attempts, a_wrong_key_is_kept_with_who_it_said_it_is)
{
    struct world *w = world_create(wrong_key);
    const struct attempt *at;

    cr_assert_not(world_connect(w));
    at = newest(w);
    cr_assert_not_null(at);
    cr_assert_eq(at->reason, IKE_REASON_AUTH_FAILED);
    cr_assert_eq(at->exchange, IKE_EX_AUTH);
    cr_assert(at->proven);
    cr_assert_eq(at->evidence.about, IKE_EVIDENCE_CREDENTIALS);
    cr_assert_eq(at->evidence.credentials.check, IKE_CHECK_WRONG_KEY);
    cr_assert_eq(at->identity.type, w->client_policy.local_id.type);
    cr_assert_eq(at->identity.len, w->client_policy.local_id.len);
    cr_assert_eq(memcmp(at->identity.bytes, w->client_policy.local_id.bytes, at->identity.len), 0);
    cr_assert_eq(at->first_wall_s, WORLD_WALL_S);
    cr_assert_eq(attempts_node_of(at->id), w->nodes[w->owner].id);
    world_destroy(w);
}

static void other_proposals(struct ike_policy *g, struct ike_policy *c)
{
    (void)g;
    for (uint16_t i = 0; i < c->n_ike; i++)
        c->ike[i] = (struct ike_proposal_row){
            .encr_id = 12, .encr_bits = 128, .integ_id = 12, .prf_id = 5, .ke_id = 19};
}

Test(conductor_attempts, proposals_that_do_not_meet_are_kept_side_by_side)
{
    struct world *w = world_create(other_proposals);
    const struct attempt *at;

    cr_assert_not(world_connect(w));
    at = newest(w);
    cr_assert_not_null(at);
    cr_assert_eq(at->reason, IKE_REASON_NO_PROPOSAL);
    cr_assert_not(at->proven, "an IKE_SA_INIT proves nothing");
    cr_assert_eq(at->evidence.about, IKE_EVIDENCE_PROPOSALS);
    cr_assert_gt(at->evidence.proposals.offered.n, 0);
    cr_assert_gt(at->evidence.proposals.allowed.n, 0);
    world_destroy(w);
}

/* The clients that connect leave nothing. */
Test(conductor_attempts, a_success_is_none)
{
    struct world *w = world_create(NULL);

    cr_assert(world_connect(w));
    cr_assert_null(newest(w));
    world_destroy(w);
}

static char *slurp(FILE *f, char *buf, size_t n)
{
    rewind(f);
    buf[fread(buf, 1, n - 1, f)] = '\0';
    return buf;
}

/* What an operator has is the log: the line leads to the attempt. */
Test(conductor_attempts, the_log_line_bears_the_id)
{
    struct world *w = world_create(wrong_key);
    FILE *f = tmpfile();
    char log[8192], id[40];

    cr_assert_not_null(f);
    w->log = (struct log){.level = LOG_INFO, .fd = fileno(f)};
    cr_assert_not(world_connect(w));
    (void)snprintf(id, sizeof id, " attempt=%016llx", (unsigned long long)newest(w)->id);
    slurp(f, log, sizeof log);
    cr_assert_not_null(strstr(log, id), "%s in %s", id, log);
    cr_assert_not_null(strstr(log, "authentication-failed"));
    world_destroy(w);
    (void)fclose(f);
}

static void first_requests(struct world *w, unsigned n)
{
    static const struct endpoint gateway = {{.family = ADDR_V4, .bytes = {10, 77, 1, 100}}, 500};
    struct endpoint from = {addr_v4(0x0a4d0132), 500};
    struct world_packet p;

    conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &gateway);
    p = w->packets[w->head];
    w->n_packets = 0;
    for (unsigned i = 0; i < n; i++) {
        put_be64(p.bytes, 0x1122334400000000u + i);
        conductor_handle_datagram(owner(w), WORLD_SHARD, &gateway, &from, false,
                                  span_of(p.bytes, p.len));
        w->n_packets = 0;
    }
}

Test(conductor_attempts, a_bound_that_was_met_is_told)
{
    struct world *w = world_create(NULL);
    const struct attempt *at;

    first_requests(w, CONDUCTOR_HALF_OPEN_SOURCE_MAX + 5);
    at = newest(w);
    cr_assert_not_null(at);
    cr_assert_eq(at->limit, ATTEMPT_LIMIT_HALF_OPEN_SOURCE);
    cr_assert_eq(at->times, 5);
    cr_assert_str_eq(attempt_cause(at), "too-many-half-open-from-this-source");
    world_run(w, 60000);
    at = newest(w);
    cr_assert_eq(at->reason, IKE_REASON_HALF_OPEN_EXPIRED, "%s", attempt_cause(at));
    cr_assert_eq(at->remote.ip.family, ADDR_V4, "a timer's peer is the SA's");
    world_destroy(w);
}

static void other_name(struct ike_policy *g, struct ike_policy *c)
{
    (void)c;
    g->local_id = (struct ike_identity){.type = 2, .len = 8, .bytes = "vpn.test"};
}

/* It is the client that refuses: its word comes in a message of its own, and is no ordinary Delete. */
Test(conductor_attempts, a_client_that_does_not_believe_us_is_kept_with_what_it_wanted)
{
    struct world *w = world_create(other_name);
    const struct attempt *at;

    cr_assert_not(world_connect(w));
    at = newest(w);
    cr_assert_not_null(at);
    cr_assert_eq(at->reason, IKE_REASON_REFUSED_BY_PEER, "%s", attempt_cause(at));
    cr_assert(at->proven);
    cr_assert_eq(at->exchange, IKE_EX_AUTH);
    cr_assert_eq(at->identity.len, w->client_policy.local_id.len);
    cr_assert_eq(at->evidence.about, IKE_EVIDENCE_GATEWAY);
    cr_assert_eq(memcmp(&at->evidence.gateway.asked, &w->client_policy.psks[0].remote,
                        sizeof at->evidence.gateway.asked),
                 0);
    cr_assert_eq(memcmp(at->evidence.gateway.shown.bytes, "vpn.test", 8), 0);
    world_destroy(w);
}

/* The flags of IKEv1 are others, so its first message looks as if it belonged to an SA. */
Test(conductor_attempts, who_speaks_ikev1_is_told_so)
{
    static const struct endpoint gateway = {{.family = ADDR_V4, .bytes = {10, 77, 1, 100}}, 500};
    const struct endpoint from = {addr_v4(0x0a4d0132), 500};
    uint8_t main_mode[28] = {1, 2, 3, 4, 5, 6, 7, 8, [16] = 1, 0x10, 2, 0, [27] = 28};
    struct world *w = world_create(NULL);

    conductor_handle_datagram(owner(w), WORLD_SHARD, &gateway, &from, false,
                              span_of(main_mode, sizeof main_mode));
    cr_assert_not_null(newest(w));
    cr_assert_eq(newest(w)->reason, IKE_REASON_WRONG_VERSION, "%s", attempt_cause(newest(w)));
    main_mode[17] = 0x20;
    conductor_handle_datagram(owner(w), WORLD_SHARD, &gateway, &from, false,
                              span_of(main_mode, sizeof main_mode));
    cr_assert_eq(newest(w)->reason, IKE_REASON_WRONG_SPI);
    cr_assert_eq(w->n_packets, 0, "neither is answered");
    world_destroy(w);
}
