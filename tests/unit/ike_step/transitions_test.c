/* The table as a whole: every event in every state, names, and what must never change anything. */
#include <criterion/criterion.h>

#include "ike/timer.h"
#include "ike/transitions.h"
#include "ike_pair/pair.h"

enum { EVENTS = IKE_EV_TAKEOVER + 1, STATES = IKE_SA_ENDED + 1 };

/* Which events can do anything at all in a state; '.' = ignored. NONE HALF_OPEN ESTABLISHED REKEYED
 * DELETING ENDED */
static const char *const table[EVENTS] = {
    [IKE_EV_DATAGRAM] = "xxxxxx",      [IKE_EV_TIMER] = ".xxxxx",
    [IKE_EV_COMMAND] = "..x...",       [IKE_EV_INITIATE] = "x.....",
    [IKE_EV_CHILD_SOFT] = "..x...",    [IKE_EV_CHILD_HARD] = "..xxx.",
    [IKE_EV_CHILD_INBOUND] = "..xxx.", [IKE_EV_PEER_MOVED] = "..xxx.",
    [IKE_EV_TAKEOVER] = ".xxxxx",
};

Test(transitions, table_is_as_drawn)
{
    ike_handler *ignored = ike_transition_for(IKE_EV_TIMER, IKE_SA_NONE);

    for (int e = 0; e < EVENTS; e++)
        for (int s = 0; s < STATES; s++) {
            ike_handler *h = ike_transition_for((enum ike_event_kind)e, (enum ike_sa_state)s);

            cr_assert_not_null(h);
            cr_assert_eq(h != ignored, table[e][s] == 'x', "event %d state %d", e, s);
        }
    cr_assert_eq(ike_transition_for((enum ike_event_kind)99, IKE_SA_ESTABLISHED), ignored);
    cr_assert_eq(ike_transition_for(IKE_EV_TIMER, (enum ike_sa_state)99), ignored);
}

/* Every event with nothing in it, in every state of an SA that has been established: no crash,
 * nothing but what the harness allows. */
Test(transitions, empty_events_in_every_state)
{
    for (int s = IKE_SA_ESTABLISHED; s <= IKE_SA_ENDED; s++)
        for (int e = 0; e < EVENTS; e++) {
            struct pair *p = pair_new(20);
            struct ike_event ev = {.kind = (enum ike_event_kind)e};
            struct ike_sa *sa = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
            enum ike_outcome o;

            sa->state = (enum ike_sa_state)s;
            sa->linger_until_ms = UINT64_MAX;
            if (s == IKE_SA_REKEYED)
                sa->soft_ms = UINT64_MAX;
            o = pair_event(p, GATEWAY, sa, &ev);
            if (e == IKE_EV_TAKEOVER)
                cr_assert_eq(o, table[e][s] == 'x' ? IKE_LOCAL : IKE_IGNORED);
            else
                cr_assert_eq(o, IKE_IGNORED, "event %d state %d outcome %d", e, s, o);
            pair_free(p);
        }
}

Test(transitions, names_are_those_that_drills_use)
{
    static const char *const exchanges[] = {"none",         "ike-init",     "ike-auth",
                                            "child-create", "child-rekey",  "child-rekey-pfs",
                                            "ike-rekey",    "child-delete", "ike-delete",
                                            "dpd",          "informational"};

    for (int i = 0; i <= IKE_EX_INFORMATIONAL; i++)
        cr_assert_str_eq(ike_exchange_name((enum ike_exchange)i), exchanges[i]);
    for (int i = 0; i < IKE_REASON_COUNT; i++)
        for (int j = 0; j < i; j++)
            cr_assert_str_neq(ike_reason_name((enum ike_reason)i),
                              ike_reason_name((enum ike_reason)j));
    cr_assert_str_eq(ike_reason_name(IKE_REASON_COUNT), "unknown");
    cr_assert_str_eq(ike_sa_state_name(IKE_SA_REKEYED), "rekeyed");
    cr_assert_str_eq(ike_sa_state_name((enum ike_sa_state)77), "unknown");
    cr_assert_str_eq(ike_child_state_name(IKE_CHILD_DELETING), "deleting");
}

/* ike_next_wake_ms and the timer's step read one list: due in the past, present and future. */
Test(transitions, due_list)
{
    struct pair *p = pair_new(21);
    struct ike_sa *sa = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
    const struct ike_policy *policy = &p->side[GATEWAY].policy;
    struct ike_due due = ike_timer_due(policy, sa, p->now_ms);

    cr_assert_eq(due.kind, IKE_DUE_DPD);
    cr_assert_eq(due.at_ms, p->now_ms + 30000);
    sa->children[0].soft_ms = p->now_ms + 5;
    due = ike_timer_due(policy, sa, p->now_ms);
    cr_assert(due.kind == IKE_DUE_REKEY_CHILD && due.at_ms == p->now_ms + 5);
    sa->children[0].retry_ms = p->now_ms + 9;
    cr_assert_eq(ike_next_wake_ms(policy, sa), p->now_ms + 9);
    sa->wanted = IKE_WANT_REKEY_IKE;
    due = ike_timer_due(policy, sa, p->now_ms);
    cr_assert(due.kind == IKE_DUE_REKEY_IKE && due.at_ms == p->now_ms);
    sa->children[0].hard_ms = p->now_ms;
    cr_assert_eq(ike_timer_due(policy, sa, p->now_ms).kind, IKE_DUE_CHILD_HARD);
    sa->hard_ms = p->now_ms - 1;
    cr_assert_eq(ike_timer_due(policy, sa, p->now_ms).kind, IKE_DUE_SA_HARD, "the hardest first");
    sa->state = IKE_SA_ENDED;
    sa->linger_until_ms = 77;
    cr_assert_eq(ike_next_wake_ms(policy, sa), 77);
    sa->state = IKE_SA_NONE;
    cr_assert_eq(ike_next_wake_ms(policy, sa), UINT64_MAX);
    pair_free(p);
}

/* An IKE rekey waits while the peer still owes the Delete of a CHILD SA: it would refuse. */
Test(transitions, ike_rekey_waits_for_a_half_done_child_rekey)
{
    struct pair *p = pair_new(22);
    struct ike_sa *sa = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);

    sa->children[0].state = IKE_CHILD_REKEYED;
    sa->children[0].soft_ms = p->now_ms + 1000;
    sa->wanted = IKE_WANT_REKEY_IKE;
    cr_assert_eq(ike_timer_due(&p->side[GATEWAY].policy, sa, p->now_ms).kind, IKE_DUE_DELETE_CHILD);
    pair_free(p);
}

Test(transitions, one_command_on_a_child_waits_at_a_time)
{
    struct pair *p = pair_new(23);

    p->held[GATEWAY] = true;
    cr_assert_eq(pair_command(p, GATEWAY, IKE_WANT_DPD), IKE_STEPPED);
    cr_assert_eq(pair_command(p, GATEWAY, IKE_WANT_REKEY_CHILD_PFS), IKE_STEPPED);
    cr_assert_eq(pair_command(p, GATEWAY, IKE_WANT_DELETE_CHILD), IKE_IGNORED);
    cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_TEMPORARY_FAILURE);
    cr_assert_eq(pair_command_child(p, GATEWAY, IKE_WANT_REKEY_CHILD, 12345), IKE_IGNORED);
    cr_assert_eq(p->said[p->n_said - 1].reason, IKE_REASON_CHILD_NOT_FOUND);
    cr_assert_eq(pair_command(p, GATEWAY, 0), IKE_IGNORED);
    cr_assert_eq(pair_command(p, GATEWAY, 1u << 31), IKE_IGNORED);
    p->held[GATEWAY] = false;
    pair_run(p);
    cr_assert_eq(pair_sender(p, GATEWAY)->ke_id, 31, "and is done in the end");
    pair_free(p);
}
