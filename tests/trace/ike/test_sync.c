/* Synchronization of message IDs, RFC 6311: a peer that is a cluster failed over and asks where the windows
 * stand. The asking end is made by hand here: ours never asks. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "ike/message.h"
#include "ike_pair/pair.h"

enum { NONCE = 0x5eed5eed };

static struct pair *p;

static void setup(void)
{
    p = pair_new(63);
    p->side[GATEWAY].policy.dpd_ms = p->side[CLIENT].policy.dpd_ms = 0;
    for (int w = CLIENT; w <= GATEWAY; w++)
        pair_sa(p, (enum pair_who)w, IKE_SA_ESTABLISHED)->sync_agreed = true;
}

static void teardown(void)
{
    pair_free(p);
}

TestSuite(sync, .init = setup, .fini = teardown);

static enum pair_who other(enum pair_who who)
{
    return who == CLIENT ? GATEWAY : CLIENT;
}

/* The member of `who`'s cluster that took over seals a request with message ID 0; its SA's next IV is past
 * it. notify false: without SYNC. */
static struct ike_message ask(enum pair_who who, uint32_t m1, uint32_t p1, bool notify)
{
    struct ike_sa *real = pair_sa(p, who, IKE_SA_ESTABLISHED);
    struct ike_sa member = *real;
    uint8_t data[12];
    struct ike_draft d;

    put_be32(data, NONCE);
    put_be32(data + 4, m1);
    put_be32(data + 8, p1);
    ike_draft_begin(&d);
    if (notify)
        wire_put_notify_plain(&d.b, WIRE_N_IKEV2_MESSAGE_ID_SYNC, span_of(data, sizeof data));
    ike_pending_clear(&member);
    member.next_request_id = 0;
    cr_assert(ike_seal_request(&p->side[who].policy, &member, IKE_EX_DPD, p->now_ms, &d));
    real->iv_next = member.iv_next;
    return member.pending.request;
}

static enum ike_outcome give(enum pair_who to, const struct ike_message *m)
{
    return pair_inject(p, to, span_of(m->bytes, m->len));
}

/* The answer of `from` with message ID 0 that flies: P2 and M2, which the asking end takes up as its
 * windows (RFC 6311 5.1). What it had asked before is forgotten. */
static void take_up(enum pair_who from, uint32_t want_p2, uint32_t want_m2)
{
    struct ike_sa *sa = pair_sa(p, other(from), IKE_SA_ESTABLISHED);
    static struct ike_received rx;
    const struct wire_notify *n = NULL;
    enum ike_reason reason;

    for (size_t i = 0; i < p->n_flying && n == NULL; i++) {
        const struct pair_flying *f = &p->flying[i];
        struct ike_sa member = *sa;
        struct wire_header h;

        if (f->from != from || wire_header_decode(span_of(f->bytes, f->len), &h) != WIRE_OK ||
            !wire_is_response(&h) || h.message_id != 0)
            continue;
        member.pending.exchange = IKE_EX_DPD;
        member.pending.message_id = 0;
        cr_assert_eq(ike_message_receive(&p->side[other(from)].policy, &member,
                                         span_of(f->bytes, f->len), &rx, &reason),
                     IKE_RX_RESPONSE);
        n = wire_body_notify(&rx.body, WIRE_N_IKEV2_MESSAGE_ID_SYNC);
        pair_lose_index(p, i);
    }
    cr_assert_not_null(n, "an answer with SYNC");
    cr_assert_eq(get_be32(n->data.data), NONCE, "the nonce comes back");
    cr_assert_eq(get_be32(n->data.data + 4), want_p2);
    cr_assert_eq(get_be32(n->data.data + 8), want_m2);
    sa->expected_request_id = want_p2 > sa->expected_request_id ? want_p2 : sa->expected_request_id;
    sa->next_request_id = want_m2 > sa->next_request_id ? want_m2 : sa->next_request_id;
}

/* Everything works both ways. */
static void goes_on(void)
{
    p->held[CLIENT] = p->held[GATEWAY] = false;
    pair_run(p);
    for (int w = CLIENT; w <= GATEWAY; w++) {
        cr_assert_eq(pair_command(p, (enum pair_who)w, IKE_WANT_REKEY_CHILD), IKE_STEPPED);
        pair_run(p);
        cr_assert_null(pair_disagreement(p));
        cr_assert_eq(pair_command(p, (enum pair_who)w, IKE_WANT_DPD), IKE_STEPPED);
        pair_run(p);
        cr_assert_null(pair_disagreement(p));
    }
}

static void ignored(enum pair_who to, const struct ike_message *m, enum ike_reason reason)
{
    static uint8_t before[IKE_SA_ENCODED_MAX], after[IKE_SA_ENCODED_MAX];
    struct ike_sa *sa = pair_sa(p, to, IKE_SA_ESTABLISHED);
    size_t len, len2, flying = p->n_flying;

    cr_assert(ike_sa_encode(sa, before, sizeof before, &len));
    cr_assert_eq(give(to, m), IKE_IGNORED);
    cr_assert_eq(p->said[p->n_said - 1].reason, reason, "%s",
                 ike_reason_name(p->said[p->n_said - 1].reason));
    cr_assert(ike_sa_encode(sa, after, sizeof after, &len2));
    cr_assert(len == len2 && memcmp(before, after, len) == 0, "not one bit changed");
    cr_assert_eq(p->n_flying, flying, "in silence");
}

Test(sync, is_agreed_on_in_ike_auth)
{
    teardown();
    p = pair_new_unconnected(64);
    pair_connect(p);
    pair_run(p);
    for (int w = CLIENT; w <= GATEWAY; w++)
        cr_assert(pair_sa(p, (enum pair_who)w, IKE_SA_ESTABLISHED)->sync_agreed);
    cr_assert_eq(pair_command(p, CLIENT, IKE_WANT_REKEY_IKE), IKE_STEPPED);
    pair_run(p);
    for (int w = CLIENT; w <= GATEWAY; w++)
        cr_assert(pair_sa(p, (enum pair_who)w, IKE_SA_ESTABLISHED)->sync_agreed,
                  "also in a successor");
}

Test(sync, windows_move_to_where_the_peer_says)
{
    struct ike_sa *c = pair_sa(p, CLIENT, IKE_SA_ESTABLISHED);
    uint32_t next = c->next_request_id, expected = c->expected_request_id;
    struct ike_message m;

    p->held[GATEWAY] = true;
    m = ask(CLIENT, next + 5, expected + 3, true); /* by as much as it may have missed */
    cr_assert_eq(give(GATEWAY, &m), IKE_STEPPED);
    take_up(GATEWAY, expected + 3, next + 5);
    goes_on();
}

/* What the peer claims to expect is below what we used: ours counts. */
Test(sync, of_a_member_that_lags_behind)
{
    struct ike_sa *c = pair_sa(p, CLIENT, IKE_SA_ESTABLISHED);
    uint32_t next, expected;
    struct ike_message m;

    for (int i = 0; i < 3; i++) {
        (void)pair_command(p, GATEWAY, IKE_WANT_DPD);
        pair_run(p);
    }
    next = c->next_request_id;
    expected = c->expected_request_id;
    p->held[GATEWAY] = true;
    m = ask(CLIENT, next, expected - 2, true);
    cr_assert_eq(give(GATEWAY, &m), IKE_STEPPED);
    take_up(GATEWAY, expected, next);
    goes_on();
}

Test(sync, an_old_one_is_dropped_in_silence)
{
    struct ike_sa *c = pair_sa(p, CLIENT, IKE_SA_ESTABLISHED), *g;
    uint32_t next, expected;
    struct ike_message first, again, low, empty, far;

    for (int i = 0; i < 3; i++) {
        (void)pair_command(p, CLIENT, IKE_WANT_DPD);
        pair_run(p);
    }
    next = c->next_request_id;
    expected = c->expected_request_id;
    p->held[GATEWAY] = true;
    low = ask(CLIENT, next - 1, expected, true);
    empty = ask(CLIENT, 0, 0, false);
    far = ask(CLIENT, UINT32_MAX - 7, expected, true);
    ignored(GATEWAY, &low, IKE_REASON_OLD_MESSAGE_ID);
    ignored(GATEWAY, &empty, IKE_REASON_OLD_MESSAGE_ID); /* ID 0 is nobody's but SYNC's */
    ignored(GATEWAY, &far, IKE_REASON_OLD_MESSAGE_ID);
    first = ask(CLIENT, next + 1, expected, true);
    again = ask(CLIENT, next + 1, expected, true);
    cr_assert_eq(give(GATEWAY, &first), IKE_STEPPED);
    take_up(GATEWAY, expected, next + 1);
    ignored(GATEWAY, &first, IKE_REASON_OLD_MESSAGE_ID); /* a replay */
    ignored(GATEWAY, &again, IKE_REASON_OLD_MESSAGE_ID); /* the same M1 */
    g = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
    g->sync_agreed = false;
    again = ask(CLIENT, next + 9, expected, true);
    ignored(GATEWAY, &again, IKE_REASON_OLD_MESSAGE_ID); /* not agreed on */
    goes_on();
}

/* A peer that never asked us anything: its first request has ID 0 as well. */
Test(sync, before_the_peers_first_request)
{
    struct ike_sa *g = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
    uint32_t next, expected = g->expected_request_id;
    struct ike_message m;

    cr_assert_eq(g->next_request_id, 0);
    m = ask(GATEWAY, 0, expected, false);
    cr_assert_eq(give(CLIENT, &m), IKE_STEPPED); /* a request as any other */
    g->next_request_id = 1;
    pair_lose(p, CLIENT);
    next = g->next_request_id;
    p->held[CLIENT] = true;
    m = ask(GATEWAY, next, expected, true);
    cr_assert_eq(give(CLIENT, &m), IKE_STEPPED);
    take_up(CLIENT, expected, next);
    goes_on();
}

/* That first request again, byte for byte, for its answer was lost: it gets the same answer (RFC 7296
 * 2.1), though ID 0 of an INFORMATIONAL may be a synchronization, too. */
Test(sync, the_peers_first_request_is_repeated)
{
    static const uint32_t wants[] = {IKE_WANT_DPD, IKE_WANT_DELETE_CHILD};

    for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
        struct ike_sa *g;

        if (i > 0) {
            teardown();
            setup();
        }
        g = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
        cr_assert_eq(g->next_request_id, 0);
        p->held[CLIENT] = true;
        cr_assert_eq(pair_command(p, GATEWAY, wants[i]), IKE_STEPPED);
        pair_run(p);
        cr_assert(pair_lose(p, CLIENT));
        p->held[CLIENT] = false;
        pair_pass(p, 2000);
        cr_assert_eq(pair_count_reason(p, CLIENT, IKE_REASON_OLD_MESSAGE_ID), 0, "want %zu", i);
        cr_assert_eq(g->pending.exchange, IKE_EX_NONE, "want %zu: it has its answer", i);
        cr_assert_null(pair_disagreement(p));
    }
    printf("compared %zu requests\n", sizeof wants / sizeof wants[0]);
}

/* Our rekey is out, the member that took over knows nothing of it: it is asked again under a new ID. */
Test(sync, what_we_asked_is_asked_again)
{
    static const uint32_t wants[] = {IKE_WANT_REKEY_CHILD_PFS, IKE_WANT_REKEY_IKE, IKE_WANT_CHILD,
                                     IKE_WANT_DPD, IKE_WANT_DELETE_CHILD};

    for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
        struct ike_sa *c, *g;
        uint32_t next, expected;
        struct ike_message m;

        if (i > 0) {
            teardown();
            setup();
        }
        p->held[GATEWAY] = true;
        cr_assert_eq(pair_command(p, GATEWAY, wants[i]), IKE_STEPPED);
        cr_assert(pair_lose(p, GATEWAY)); /* gone with the old member */
        c = pair_sa(p, CLIENT, IKE_SA_ESTABLISHED);
        g = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
        next = c->next_request_id;
        expected = c->expected_request_id;
        cr_assert_eq(g->next_request_id, expected + 1);
        m = ask(CLIENT, next, expected, true);
        cr_assert_eq(give(GATEWAY, &m), IKE_STEPPED);
        take_up(GATEWAY, expected + 1, next);
        cr_assert_eq(g->pending.message_id, expected + 1);
        cr_assert_eq(pair_flying_from(p, GATEWAY), 1, "the same request, sealed anew");
        p->held[GATEWAY] = false;
        pair_run(p);
        cr_assert_null(pair_disagreement(p), "want %zu", i);
        cr_assert_eq(pair_count_reason(p, GATEWAY, IKE_REASON_PEER_DEAD), 0);
    }
    printf("compared %zu requests\n", sizeof wants / sizeof wants[0]);
}

/* The design's table: both ends are clusters, both failed over, both ask at once; each also with our own
 * takeover at every step. */
Test(sync, simultaneous_on_both_ends)
{
    size_t runs = 0;

    for (unsigned ahead = 0; ahead < 4; ahead++)
        for (unsigned first = 0; first < 2; first++, runs++) {
            enum pair_who one = first == 0 ? CLIENT : GATEWAY, two = other(one);
            struct ike_message m[2];
            uint32_t next[2], expected[2];

            if (runs > 0) {
                teardown();
                setup();
            }
            p->takeover_always = true;
            (void)pair_command(p, CLIENT, IKE_WANT_DPD);
            (void)pair_command(p, GATEWAY, IKE_WANT_DPD);
            pair_run(p);
            p->held[CLIENT] = p->held[GATEWAY] = true;
            for (int w = CLIENT; w <= GATEWAY; w++) {
                struct ike_sa *sa = pair_sa(p, (enum pair_who)w, IKE_SA_ESTABLISHED);

                next[w] = sa->next_request_id + (ahead & 1 ? 4 : 0);
                expected[w] = sa->expected_request_id + (ahead & 2 ? 6 : 0);
                m[w] = ask((enum pair_who)w, next[w], expected[w], true);
                sa->next_request_id = next[w]; /* what it may have used */
            }
            cr_assert_eq(give(two, &m[one]), IKE_STEPPED);
            cr_assert_eq(give(one, &m[two]), IKE_STEPPED);
            take_up(two, pair_sa(p, two, IKE_SA_ESTABLISHED)->next_request_id, next[one]);
            take_up(one, pair_sa(p, one, IKE_SA_ESTABLISHED)->next_request_id, next[two]);
            goes_on();
        }
    printf("compared %zu runs\n", runs);
}
