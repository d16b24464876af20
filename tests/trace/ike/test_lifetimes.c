/* Lifetimes as operators were promised them (design/practices.md): whose terms hold, when a rekey
 * begins, what the hard limit does, how long old and new stand side by side. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "ike/connection.h"
#include "ike/lifetime.h"
#include "ike_pair/pair.h"

static struct pair *p;
static struct ike_connection connections[2];

enum { HOUR = 3600 * 1000, MINUTE = 60 * 1000, SECOND = 1000 };

static void setup(void)
{
    p = pair_new_unconnected(11);
    p->side[CLIENT].policy.dpd_ms = p->side[GATEWAY].policy.dpd_ms = 0;
}

static void teardown(void)
{
    pair_free(p);
}

TestSuite(lifetimes, .init = setup, .fini = teardown);

static struct ike_sa *gateway(void)
{
    struct ike_sa *sa = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);

    cr_assert_not_null(sa);
    return sa;
}

/* The client leaves every rekey to the gateway. */
static void client_waits(void)
{
    p->side[CLIENT].policy.ike_life.hard_ms = 0;
    p->side[CLIENT].policy.child_life.hard_ms = 0;
}

/* Two connections: clients of holdfast.test, whose CHILD SAs for 10.77.2.0/25 have terms of their
 * own, and those of another domain. */
static void connect_with_connections(void)
{
    struct ike_connection *c = &connections[0];
    const struct ike_lifetime life = {.hard_ms = 8 * HOUR,
                                      .rekey_at_percent = 70,
                                      .rekey_at_responder_percent = 80,
                                      .jitter_percent = 5};

    memset(connections, 0, sizeof connections);
    c[1].id = 7;
    c[1].peers[0] = (struct ike_pattern){.type = 2, .suffix = true, .len = 14};
    memcpy(c[1].peers[0].bytes, "@holdfast.test", 14);
    c[1].n_peers = 1;
    c[1].ike_life = life;
    c[1].child = (struct ike_child_terms){.life = life, .pfs = IKE_PFS_ALWAYS};
    c[1].child.life.hard_ms = HOUR;
    c[1].child.life.hard_bytes = 1 << 20;
    c[1].overrides[0].local_ts[0] = (struct ike_ts){
        .port_high = 65535, .low = addr_v4(0x0a4d0200), .high = addr_v4(0x0a4d027f)};
    c[1].overrides[0].n_local_ts = 1;
    c[1].overrides[0].terms = c[1].child;
    c[1].overrides[0].terms.pfs = IKE_PFS_NEVER;
    c[1].overrides[0].terms.life.hard_ms = 10 * MINUTE;
    c[1].n_overrides = 1;
    c[0] = c[1];
    c[0].id = 6;
    c[0].peers[0].bytes[1] = 'H'; /* a letter's size does not count, so another domain: */
    c[0].peers[0].bytes[2] = 'x';
    c[0].ike_life.hard_ms = c[0].child.life.hard_ms = 5 * MINUTE;
    p->side[GATEWAY].policy.connections = connections;
    p->side[GATEWAY].policy.n_connections = 2;
    client_waits();
    pair_connect(p);
}

/* The gateway's CHILD SA for 10.77.2.0 to 10.77.2.`last`. */
static struct ike_child *installed(uint8_t last)
{
    struct ike_sa *g = gateway();

    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (g->children[i].state == IKE_CHILD_INSTALLED &&
            g->children[i].local_ts[0].high.bytes[3] == last)
            return &g->children[i];
    cr_assert_fail("no CHILD SA for that");
    return NULL;
}

/* A second CHILD SA, for the half of the network. */
static uint32_t narrow_child(void)
{
    struct ike_ts whole = p->side[GATEWAY].policy.local_ts[0];

    p->side[GATEWAY].policy.local_ts[0].high = addr_v4(0x0a4d027f);
    (void)pair_command(p, CLIENT, IKE_WANT_CHILD);
    pair_run(p);
    p->side[GATEWAY].policy.local_ts[0] = whole;
    (void)pair_command(p, CLIENT, IKE_WANT_DPD); /* so it has it */
    pair_run(p);
    return installed(0x7f)->spi_in;
}

Test(lifetimes, terms_are_the_connections_and_its_childs_own)
{
    const struct ike_child *wide, *half;
    uint64_t before;

    connect_with_connections();
    cr_assert_eq(gateway()->connection, 7, "the first that is for the peer, not the first");
    cr_assert_eq(gateway()->hard_ms - gateway()->created_ms, 8 * HOUR);
    wide = pair_sender(p, GATEWAY);
    cr_assert_eq(wide->hard_ms - wide->created_ms, HOUR);
    cr_assert_eq(wide->hard_bytes, 1 << 20);
    cr_assert(wide->soft_bytes >= (1 << 20) * 0.75 && wide->soft_bytes <= (1 << 20) * 0.8);
    half = pair_child(p, GATEWAY, narrow_child());
    cr_assert_eq(half->hard_ms - half->created_ms, 10 * MINUTE);
    /* An IKE rekey, by either side, keeps the connection. */
    for (int who = CLIENT; who <= GATEWAY; who++) {
        before = gateway()->local_spi;
        (void)pair_command(p, (enum pair_who)who, IKE_WANT_REKEY_IKE);
        pair_run(p);
        cr_assert_neq(gateway()->local_spi, before);
        cr_assert_eq(gateway()->connection, 7);
        cr_assert_eq(gateway()->hard_ms - gateway()->created_ms, 8 * HOUR);
    }
    /* One that the policy does not know any more falls back to the default's. */
    p->side[GATEWAY].policy.n_connections = 1;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_IKE);
    pair_run(p);
    cr_assert_eq(gateway()->connection, 7);
    cr_assert_eq(gateway()->hard_ms - gateway()->created_ms, 24 * HOUR);
}

/* P8: KE as configured, per connection and per CHILD SA. */
Test(lifetimes, pfs_is_the_connections_and_its_childs_own)
{
    uint32_t half;

    connect_with_connections();
    half = narrow_child();
    p->side[GATEWAY].policy.pfs = IKE_PFS_NEVER; /* the default's: not theirs */
    (void)pair_command_child(p, GATEWAY, IKE_WANT_REKEY_CHILD, half);
    pair_run(p);
    cr_assert_not_null(pair_find_said(p, GATEWAY, IKE_EX_CHILD_REKEY, IKE_BY_US, false));
    cr_assert_null(pair_find_said(p, GATEWAY, IKE_EX_CHILD_REKEY_PFS, IKE_BY_US, false));
    (void)pair_command_child(p, GATEWAY, IKE_WANT_REKEY_CHILD, pair_sender(p, GATEWAY)->spi_in);
    pair_run(p);
    for (int i = 0; i < 3; i++) {
        struct ike_sa *g = gateway();

        for (int k = 0; k < IKE_MAX_CHILDREN; k++) {
            const struct ike_child *c = &g->children[k];

            if (c->state != IKE_CHILD_INSTALLED)
                continue;
            (void)pair_command_child(p, GATEWAY, IKE_WANT_REKEY_CHILD, c->spi_in);
            pair_run(p);
            break;
        }
    }
    for (int k = 0; k < IKE_MAX_CHILDREN; k++) {
        const struct ike_child *c = &gateway()->children[k];

        if (c->state == IKE_CHILD_INSTALLED && c->begun == IKE_BY_US)
            cr_assert_eq(c->ke_id, c->local_ts[0].high.bytes[3] == 0x7f ? 0 : 31);
    }
    cr_assert_not_null(pair_find_said(p, GATEWAY, IKE_EX_CHILD_REKEY_PFS, IKE_BY_US, false));
}

/* When the first rekey of that kind began, in percent of `life` from `created`, times 100. */
static uint64_t began(enum pair_who who, enum ike_exchange a, uint64_t created, uint64_t life)
{
    for (size_t i = 0; i < p->n_said; i++)
        if (p->said[i].who == who && p->said[i].exchange == a && p->said[i].begun == IKE_BY_US)
            return (p->said[i].now_ms - created) * 10000 / life;
    return 0;
}

/* P4, P6: we begin between 65 and 70 percent of what we made, between 75 and 80 of what the peer
 * made; without jitter at the very millisecond. */
Test(lifetimes, rekeys_begin_where_they_are_due)
{
    struct ike_lifetime *life = &p->side[GATEWAY].policy.child_life;
    uint64_t created, at;
    unsigned looked = 0;

    client_waits();
    p->side[GATEWAY].policy.ike_life.hard_ms = 0;
    pair_connect(p);
    created = pair_sender(p, GATEWAY)->created_ms;
    pair_pass(p, life->hard_ms);
    at = began(GATEWAY, IKE_EX_CHILD_REKEY_PFS, created, life->hard_ms);
    cr_assert(at >= 7500 && at <= 8000, "theirs: at %lu", (unsigned long)at);
    created = pair_sender(p, GATEWAY)->created_ms;
    p->n_said = 0;
    pair_pass(p, life->hard_ms);
    at = began(GATEWAY, IKE_EX_CHILD_REKEY_PFS, created, life->hard_ms);
    cr_assert(at >= 6500 && at <= 7000, "ours: at %lu", (unsigned long)at);
    life->jitter_percent = 0;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    pair_run(p);
    for (uint32_t percent = 60; percent <= 75; percent += 5, looked++) {
        life->rekey_at_percent = percent;
        (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
        pair_run(p);
        created = pair_sender(p, GATEWAY)->created_ms;
        p->n_said = 0;
        pair_pass(p, created + life->hard_ms / 100 * percent - 1 - p->now_ms);
        cr_assert_eq(began(GATEWAY, IKE_EX_CHILD_REKEY_PFS, created, life->hard_ms), 0);
        pair_pass(p, 1);
        at = began(GATEWAY, IKE_EX_CHILD_REKEY_PFS, created, life->hard_ms);
        cr_assert_eq(at, percent * 100);
        pair_run(p);
    }
    printf("compared %u settings\n", looked + 2);
}

/* Time passes with the peer's ESP coming in, and nothing of what the gateway sends in IKE arriving. */
static void pass_with_ike_blocked(uint64_t until_ms)
{
    while (p->now_ms < until_ms) {
        struct ike_sa *sa = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
        uint64_t left = until_ms - p->now_ms;

        if (sa != NULL)
            sa->local_part.last_inbound_ms = p->now_ms;
        pair_pass(p, left < 2 * SECOND ? left : 2 * SECOND);
        while (pair_lose(p, GATEWAY))
            ;
    }
}

/* P5: the rekey is blocked for as long as it lasts; at the hard limit, and not before, the SA is
 * gone. P15: the peer whose ESP comes is never taken for dead meanwhile. */
Test(lifetimes, hard_limit_of_a_child_whose_rekey_is_blocked)
{
    uint64_t hard;
    uint32_t spi;

    client_waits();
    p->side[GATEWAY].policy.child_life.hard_ms = 20 * MINUTE;
    p->side[GATEWAY].policy.dpd_ms = 30 * SECOND;
    pair_connect(p);
    spi = pair_sender(p, GATEWAY)->spi_in;
    hard = pair_sender(p, GATEWAY)->hard_ms;
    p->held[GATEWAY] = true;
    pass_with_ike_blocked(hard - 1);
    cr_assert_not_null(pair_find_said(p, GATEWAY, IKE_EX_CHILD_REKEY_PFS, IKE_BY_US, false));
    cr_assert_not_null(pair_child(p, GATEWAY, spi), "gone before its time");
    pass_with_ike_blocked(hard);
    cr_assert_null(pair_child(p, GATEWAY, spi), "still there at its hard limit");
    cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_HARD_LIFETIME), 1);
    cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_PEER_DEAD), 0);
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
}

Test(lifetimes, hard_limit_of_an_ike_sa_whose_rekey_is_blocked)
{
    uint64_t hard;

    client_waits();
    p->side[GATEWAY].policy.ike_life.hard_ms = 20 * MINUTE;
    p->side[GATEWAY].policy.child_life.hard_ms = 0;
    pair_connect(p);
    hard = gateway()->hard_ms;
    p->held[GATEWAY] = true;
    pass_with_ike_blocked(hard - 1);
    cr_assert_not_null(pair_find_said(p, GATEWAY, IKE_EX_IKE_REKEY, IKE_BY_US, false));
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED), "gone before its time");
    pass_with_ike_blocked(hard);
    cr_assert_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED), "still there at its hard limit");
    cr_assert_eq(pair_count_children(p, GATEWAY), 0);
    cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_HARD_LIFETIME), 1);
}

/* P15: an answer that takes three minutes, the peer's ESP coming in: no liveness check beside the
 * open exchange, no death; then the rekey is completed. */
Test(lifetimes, a_slow_rekey_is_not_death)
{
    uint32_t spi;

    client_waits();
    p->side[GATEWAY].policy.dpd_ms = 10 * SECOND;
    pair_connect(p);
    spi = pair_sender(p, GATEWAY)->spi_in;
    p->held[GATEWAY] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    pass_with_ike_blocked(p->now_ms + 3 * MINUTE);
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED), "taken for dead");
    cr_assert_null(pair_find_said(p, GATEWAY, IKE_EX_DPD, IKE_BY_US, false),
                   "a liveness check beside an open exchange");
    p->held[GATEWAY] = false;
    pair_pass(p, 30 * SECOND);
    cr_assert_null(pair_child(p, GATEWAY, spi));
    cr_assert_not_null(pair_sender(p, GATEWAY));
    cr_assert_null(pair_disagreement(p));
    /* The same without any life: dead, when the schedule has run out. */
    p->held[GATEWAY] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    pair_pass(p, 42 * SECOND);
    cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_PEER_DEAD), 1);
}

/* P14: 1, 1.8, 3.24 s ... and no interval longer than the cap. */
Test(lifetimes, retransmissions_have_a_cap)
{
    static const uint64_t at[] = {1000, 2800, 5800, 8800, 11800};
    struct ike_policy *policy = &p->side[GATEWAY].policy;
    uint64_t sent;

    pair_connect(p);
    policy->retransmit_cap_ms = 3000;
    policy->retransmit_tries = 5;
    sent = p->now_ms;
    p->held[GATEWAY] = true;
    (void)pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD);
    for (size_t i = 0; i < 5; i++) {
        pair_pass(p, sent + at[i] - p->now_ms - 1);
        cr_assert_eq(pair_flying_from(p, GATEWAY), i + 1, "retransmission %zu", i + 1);
        pair_pass(p, 1);
        cr_assert_eq(pair_flying_from(p, GATEWAY), i + 2, "retransmission %zu", i + 1);
    }
    pair_pass(p, 2999);
    cr_assert_not_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED));
    pair_pass(p, 1);
    cr_assert_null(pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED), "%zu tries", sizeof at / sizeof at[0]);
}

/* P20: the peer has rekeyed and never deletes: the old one is there until the overlap is over, and
 * then it is we who delete it. */
Test(lifetimes, the_old_one_stays_for_the_overlap)
{
    static const uint32_t overlaps[] = {0, 5000, 90000};
    unsigned looked = 0;

    pair_connect(p);
    for (; looked < 3; looked++) {
        uint64_t until, total = 41263; /* of the schedule of retransmissions */
        uint32_t old;

        p->side[GATEWAY].policy.overlap_ms = overlaps[looked];
        p->side[CLIENT].policy.retransmit_first_ms = 500000; /* its Delete comes once */
        old = pair_sender(p, GATEWAY)->spi_in;
        (void)pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD);
        cr_assert(pair_deliver(p, CLIENT));
        until = p->now_ms + (overlaps[looked] == 0 ? total : overlaps[looked]);
        cr_assert_eq(pair_child(p, GATEWAY, old)->state, IKE_CHILD_REKEYED);
        cr_assert(pair_deliver(p, GATEWAY));
        cr_assert(pair_lose(p, CLIENT)); /* the Delete */
        pair_pass(p, until - p->now_ms - 1);
        cr_assert_eq(pair_child(p, GATEWAY, old)->state, IKE_CHILD_REKEYED, "overlap %u",
                     overlaps[looked]);
        pair_pass(p, 1);
        cr_assert_eq(pair_child(p, GATEWAY, old)->state, IKE_CHILD_DELETING, "overlap %u",
                     overlaps[looked]);
        p->side[CLIENT].policy.retransmit_first_ms = 1000;
        pair_pass(p, 60 * SECOND);
        cr_assert_null(pair_child(p, GATEWAY, old));
        cr_assert_not_null(pair_sender(p, GATEWAY), "both deleted the old one: nothing sends");
        cr_assert_null(pair_disagreement(p));
    }
    printf("compared %u overlaps\n", looked);
}

/* Starts of our rekeys in the window [from, to]. */
static unsigned starts(enum ike_exchange ex, uint64_t *first, uint64_t *last)
{
    unsigned n = 0;

    for (size_t i = 0; i < p->n_said; i++) {
        const struct pair_said *s = &p->said[i];

        if (s->who != GATEWAY || s->event != IKE_EV_TIMER || s->begun != IKE_BY_US ||
            s->exchange != ex)
            continue;
        if (n++ == 0)
            *first = s->now_ms;
        *last = s->now_ms;
    }
    return n;
}

/* P9: four CHILD SAs whose soft limits lie apart by up to a tenth of their life are rekeyed in one
 * go, the IKE SA whose time has come meanwhile after the last of them; one that stands alone is
 * not drawn in. Without `align` each has its own time. */
static void aligned(bool align)
{
    struct ike_sa *g;
    uint64_t first = 0, last = 0, first_ike = 0, last_ike = 0, due, life;
    unsigned k = 0;

    client_waits();
    p->side[GATEWAY].policy.align = align;
    pair_connect(p);
    for (int i = 0; i < 4; i++) {
        (void)pair_command(p, CLIENT, IKE_WANT_CHILD);
        pair_run(p);
    }
    g = gateway();
    life = p->side[GATEWAY].policy.child_life.hard_ms;
    due = p->now_ms + life / 2;
    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (g->children[i].state == IKE_CHILD_INSTALLED) {
            g->children[i].unconfirmed = false;
            g->children[i].soft_ms = due + (k == 4 ? life / 5 : k * (life / 40));
            k++;
        }
    cr_assert_eq(k, 5);
    g->soft_ms = due + 15; /* while the first rekey is under way */
    p->n_said = 0;
    pair_pass(p, life / 2 + life / 8);
    cr_assert_eq(starts(IKE_EX_CHILD_REKEY_PFS, &first, &last), 4);
    cr_assert_eq(starts(IKE_EX_IKE_REKEY, &first_ike, &last_ike), 1);
    cr_assert_eq(first, due);
    if (align) {
        cr_assert_leq(last, due + SECOND, "the last %lu ms later", (unsigned long)(last - due));
        cr_assert_gt(first_ike, last, "the IKE rekey is not in between");
    } else {
        cr_assert_eq(last, due + 3 * (life / 40));
        cr_assert_lt(first_ike, last);
    }
    p->n_said = 0;
    pair_pass(p, life / 10);
    cr_assert_eq(starts(IKE_EX_CHILD_REKEY_PFS, &first, &last), 1, "the one that stood alone");
    cr_assert_null(pair_disagreement(p));
}

Test(lifetimes, aligned_children_are_rekeyed_together)
{
    aligned(true);
}

Test(lifetimes, others_have_each_its_own_time)
{
    aligned(false);
}

/* P9: alignment is each CHILD SA's own, by its connection and by its selectors: it takes the one whose
 * rekey begins and the one that is drawn in, whatever the default says. */
Test(lifetimes, alignment_is_the_childs_own)
{
    unsigned looked = 0;

    connect_with_connections();
    for (unsigned row = 0; row < 8; row++, looked++) {
        struct ike_child *c[2];
        uint64_t due = p->now_ms + 10 * MINUTE, first = 0, last = 0;
        bool both = (row & 3) == 3;

        connections[1].child.align = (row & 1) != 0;
        connections[1].overrides[0].terms.align = (row & 2) != 0;
        p->side[GATEWAY].policy.align = (row & 4) == 0;
        (void)narrow_child();
        c[0] = installed(0xff);
        c[1] = installed(0x7f);
        for (unsigned k = 0; k < 2; k++) {
            c[k]->created_ms = p->now_ms;
            c[k]->soft_ms = due + k * 30 * SECOND;
            c[k]->hard_ms = due + 10 * MINUTE;
        }
        p->n_said = 0;
        pair_pass(p, 11 * MINUTE);
        cr_assert_eq(starts(IKE_EX_CHILD_REKEY_PFS, &first, &last), 1, "row %u", row);
        cr_assert_eq(first, due, "row %u", row);
        cr_assert_eq(starts(IKE_EX_CHILD_REKEY, &first, &last), 1, "row %u", row);
        cr_assert(both ? first < due + SECOND : first == due + 30 * SECOND, "row %u: %lu ms later",
                  row, (unsigned long)(first - due));
        /* The next row makes its own. */
        (void)pair_command_child(p, GATEWAY, IKE_WANT_DELETE_CHILD, installed(0x7f)->spi_in);
        pair_run(p);
    }
    printf("compared %u rows\n", looked);
}

/* The peer has rekeyed a CHILD SA and its Delete is on the way: our IKE rekey that falls due waits for
 * it, or the peer would refuse it with TEMPORARY_FAILURE (RFC 7296 2.25.2). */
Test(lifetimes, an_ike_rekey_waits_for_the_delete_of_a_child)
{
    struct ike_sa *g;
    uint32_t old;

    client_waits();
    pair_connect(p);
    old = pair_sender(p, GATEWAY)->spi_in;
    (void)pair_command(p, CLIENT, IKE_WANT_REKEY_CHILD);
    p->held[CLIENT] = true;
    pair_run(p);
    cr_assert(pair_deliver(p, CLIENT));
    pair_run(p);
    cr_assert_eq(pair_flying_from(p, CLIENT), 1, "its Delete");
    cr_assert_eq(pair_child(p, GATEWAY, old)->state, IKE_CHILD_REKEYED);
    g = gateway();
    g->soft_ms = p->now_ms;
    pair_pass(p, 500);
    cr_assert_null(pair_find_said(p, GATEWAY, IKE_EX_IKE_REKEY, IKE_BY_US, false));
    p->held[CLIENT] = false;
    pair_run(p);
    pair_pass(p, 500);
    cr_assert_not_null(pair_find_said(p, GATEWAY, IKE_EX_IKE_REKEY, IKE_BY_US, true));
    cr_assert_null(pair_disagreement(p));
}

/* P6 for limits by a count, which run at both ends alike: who did not begin the SA waits longer, and
 * not all wait for the same packet. */
Test(lifetimes, counted_limits_differ_between_the_ends_and_are_spread)
{
    static const struct {
        uint64_t soft, hard, us, peer; /* the latest of either */
    } table[] = {{700000, 1000000, 700000, 800000},
                 {40, 400, 40, 45},
                 {900000, 1000000, 900000, 950000},
                 {1ull << 44, 1ull << 45, 1ull << 44, (1ull << 44) / 7 * 8}};
    unsigned looked = 0;

    for (size_t row = 0; row < sizeof table / sizeof table[0]; row++) {
        struct ike_child_terms terms = {.life = p->side[GATEWAY].policy.child_life};
        uint64_t least[2] = {UINT64_MAX, UINT64_MAX}, most[2] = {0, 0};

        terms.life.soft_bytes = terms.life.soft_packets = table[row].soft;
        terms.life.hard_bytes = terms.life.hard_packets = table[row].hard;
        for (unsigned i = 0; i < 2000; i++, looked++) {
            uint8_t entropy[8] = {0, 0, (uint8_t)(i >> 8), (uint8_t)i, (uint8_t)(i * 37)};
            struct ike_child c = {
                .begun = i % 2 == 0 ? IKE_BY_US : IKE_BY_PEER, .encr_id = 20, .esn = true};

            ike_lifetime_start_child(&terms, &c, &(struct ike_start){1, entropy, i % 3 == 0});
            cr_assert_eq(c.soft_bytes, c.soft_packets);
            least[i % 2] = c.soft_bytes < least[i % 2] ? c.soft_bytes : least[i % 2];
            most[i % 2] = c.soft_bytes > most[i % 2] ? c.soft_bytes : most[i % 2];
        }
        cr_assert_leq(most[0], table[row].us, "row %zu", row);
        cr_assert(most[1] <= table[row].peer + 1 && most[1] > most[0], "row %zu: %lu", row,
                  (unsigned long)most[1]);
        for (int who = 0; who < 2; who++)
            cr_assert(most[who] - least[who] >= table[row].soft / 25 &&
                          most[who] - least[who] <= table[row].soft / 20,
                      "row %zu: spread over %lu", row, (unsigned long)(most[who] - least[who]));
    }
    printf("compared %u limits\n", looked);
}

/* P3: bytes by the cipher; the configuration can only ask for less. */
Test(lifetimes, bytes_are_bounded_by_the_cipher)
{
    static const struct {
        uint16_t encr;
        uint64_t configured_soft, configured_hard, soft_least, hard;
    } table[] = {
        {20, 0, 0, (1ull << 45) / 100 * 65, 1ull << 45}, /* AES-GCM */
        {12, 0, 0, (1ull << 45) / 100 * 65, 1ull << 45}, /* AES-CBC */
        {28, 0, 0, 0, 0},                                /* ChaCha20-Poly1305: packets alone */
        {28, 700, 1000, 700, 1000},
        {20, 700, 1000, 700, 1000},
        {20, 0, 1000, 650, 1000},
        {12, 1ull << 50, 1ull << 51, (1ull << 45) / 100 * 65, 1ull << 45},
    };
    uint8_t entropy[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    unsigned rows = 0;

    for (; rows < sizeof table / sizeof table[0]; rows++) {
        struct ike_child_terms terms = {.life = p->side[GATEWAY].policy.child_life};
        struct ike_child c = {.begun = IKE_BY_US, .encr_id = table[rows].encr};

        terms.life.soft_bytes = table[rows].configured_soft;
        terms.life.hard_bytes = table[rows].configured_hard;
        ike_lifetime_start_child(&terms, &c, &(struct ike_start){1, entropy, true});
        cr_assert_eq(c.hard_bytes, table[rows].hard, "row %u", rows);
        cr_assert(c.soft_bytes >= table[rows].soft_least &&
                      c.soft_bytes <= c.hard_bytes / 100 * 70 + 70,
                  "row %u: soft %lu", rows, (unsigned long)c.soft_bytes);
    }
    printf("compared %u ciphers and limits\n", rows);
}
