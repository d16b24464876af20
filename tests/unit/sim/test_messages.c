/* IKE messages: each rule with a history that it accepts and one breach. */
#include <criterion/criterion.h>

#include "rig.h"

/* The answer is the SA's now, and in the log. */
static void commit_answer(struct rig *r, const struct ike_message *m)
{
    r->sa.last_response = *m;
    r->sa.expected_request_id++;
    r->sa.iv_next++;
    rig_step(r, 0);
}

RULE(iv_once)
{
    struct rig *r = rig_serving();
    struct ike_message m = rig_message(r, true, 1, 9, 1);

    commit_answer(r, &m);
    rig_send(r, 1, &m);
    rig_send(r, 1, &m); /* a copy */
    m = rig_message(r, true, 2, 10, 2);
    commit_answer(r, &m);
    rig_send(r, 1, &m);
    rig_fine(r, SIM_WATCH_iv_once);
    m = rig_message(r, true, 3, 10, 3);
    commit_answer(r, &m);
    rig_send(r, 1, &m);
    rig_broken(r, SIM_WATCH_iv_once, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, iv_numbers_go_back)
{
    struct rig *r = rig_serving();

    r->sa.iv_next = 5;
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_iv_once);
    r->sa.iv_next = 4;
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_iv_once, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(message_committed)
{
    struct rig *r = rig_serving();
    struct ike_message m = rig_message(r, true, 1, 9, 1);

    commit_answer(r, &m);
    rig_send(r, 1, &m);
    rig_fine(r, SIM_WATCH_message_committed);
    m = rig_message(r, true, 2, 10, 2);
    rig_send(r, 1, &m); /* answered before it is in the log */
    rig_broken(r, SIM_WATCH_message_committed, SIM_WATCH_RULES);
    rig_free(r);
}

/* It is in the log, but this node has not applied it. */
Test(sim_watch_rules, message_committed_elsewhere)
{
    struct rig *r = rig_serving();
    struct ike_message m = rig_message(r, false, 0, 9, 1);

    r->sa.pending.exchange = IKE_EX_DPD;
    r->sa.pending.message_id = 0;
    r->sa.pending.request = m;
    r->sa.next_request_id++;
    r->index++;
    r->request++;
    rig_step_at(r, 2, 0);
    rig_fine(r, SIM_WATCH_same_record);
    rig_send(r, 1, &m);
    rig_broken(r, SIM_WATCH_message_committed, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(same_message)
{
    struct rig *r = rig_serving();
    struct ike_message m = rig_message(r, true, 1, 9, 1), other = rig_message(r, true, 1, 10, 2);

    commit_answer(r, &m);
    rig_send(r, 1, &m);
    sim_watch_client_sent(r->watch, 0, span_of(m.bytes, m.len));
    rig_fine(r, SIM_WATCH_same_message);
    sim_watch_client_sent(r->watch, 0, span_of(other.bytes, other.len));
    rig_broken(r, SIM_WATCH_same_message, SIM_WATCH_RULES);
    rig_free(r);
}

/* RFC 6311's exchange has message ID 0 and does not count; nor does who has chosen no SPI yet. */
Test(sim_watch_rules, messages_of_id_0)
{
    struct rig *r = rig_serving();
    struct ike_message m = rig_message(r, true, 0, 9, 1), other = rig_message(r, true, 0, 10, 2);

    sim_watch_client_sent(r->watch, 0, span_of(m.bytes, m.len));
    sim_watch_client_sent(r->watch, 0, span_of(other.bytes, other.len));
    memset(m.bytes + 8, 0, 8);
    other = m;
    m.bytes[16] = other.bytes[16] = 33; /* SA: IKE_SA_INIT */
    m.bytes[18] = other.bytes[18] = 34;
    other.bytes[40]++;
    sim_watch_client_sent(r->watch, 0, span_of(m.bytes, m.len));
    sim_watch_client_sent(r->watch, 0, span_of(other.bytes, other.len));
    rig_fine(r, SIM_WATCH_iv_once);
    rig_free(r);
}

Test(sim_watch_rules, a_kept_answer_changes)
{
    struct rig *r = rig_serving();
    struct ike_message m = rig_message(r, true, 1, 9, 1);

    commit_answer(r, &m);
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_same_message);
    r->sa.last_response.bytes[50]++;
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_same_message, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, an_outstanding_request_changes)
{
    struct rig *r = rig_serving();

    r->sa.pending.exchange = IKE_EX_DPD;
    r->sa.pending.message_id = 0;
    r->sa.pending.request = rig_message(r, false, 0, 9, 1);
    r->sa.next_request_id++;
    rig_step(r, 0);
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_same_message);
    r->sa.pending.request.bytes[50]++;
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_same_message, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(nothing_begun)
{
    struct rig *r = rig_serving();
    struct ike_message m = rig_message(r, true, 1, 9, 1);

    commit_answer(r, &m);
    rig_send(r, 1, &m);
    rig_fine(r, SIM_WATCH_nothing_begun);
    r->nodes[1].leased = false; /* its lease ran out */
    rig_send(r, 1, &m);
    rig_broken(r, SIM_WATCH_nothing_begun, SIM_WATCH_RULES);
    r->nodes[1].leased = true;
    rig_send(r, 2, &m); /* another's shard */
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_nothing_begun), 2);
    rig_free(r);
}

/* A keepalive is no message, and an answer without SK payload is nobody's. */
Test(sim_watch_rules, what_is_no_message)
{
    struct rig *r = rig_serving();
    struct ike_message m = {.len = 1, .bytes = {0xff}};

    rig_send(r, 1, &m);
    m = rig_message(r, true, 1, 9, 1);
    m.bytes[16] = 41; /* Notify: INVALID_IKE_SPI */
    rig_send(r, 1, &m);
    m.bytes[50]++;
    rig_send(r, 1, &m);
    rig_fine(r, SIM_WATCH_nothing_begun);
    rig_free(r);
}

RULE(no_plaintext)
{
    struct rig *r = rig_serving();
    struct ike_message m = rig_message(r, false, 3, 7, 0);
    uint8_t bytes[100] = {1, 0}, marked[4 + sizeof m.bytes] = {0};
    static const uint8_t keepalive = 0xff;

    memcpy(bytes + 20, SIM_WATCH_PLAIN, sizeof SIM_WATCH_PLAIN - 2);
    memcpy(marked + 4, m.bytes, m.len);
    sim_watch_outside(r->watch, 1, true, span_of(bytes, sizeof bytes));
    sim_watch_outside(r->watch, 1, true, span_of(marked, 4u + m.len));
    sim_watch_outside(r->watch, 1, true, span_of(&keepalive, 1));
    sim_watch_outside(r->watch, 1, false, span_of(m.bytes, m.len));
    rig_fine(r, SIM_WATCH_no_plaintext);
    memcpy(bytes + 100 - (sizeof SIM_WATCH_PLAIN - 1), SIM_WATCH_PLAIN, sizeof SIM_WATCH_PLAIN - 1);
    sim_watch_outside(r->watch, 1, true, span_of(bytes, sizeof bytes));
    rig_broken(r, SIM_WATCH_no_plaintext, SIM_WATCH_RULES);
    sim_watch_outside(r->watch, 1, false, span_of(bytes, 99)); /* not from this port */
    sim_watch_outside(r->watch, 1, true, span_of(bytes, 3));
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_no_plaintext), 3);
    rig_free(r);
}

RULE(no_entry_late)
{
    struct rig *r = rig_serving();

    sim_watch_forged_late(r->watch, 1, false);
    rig_fine(r, SIM_WATCH_no_entry_late);
    sim_watch_forged_late(r->watch, 1, true);
    rig_broken(r, SIM_WATCH_no_entry_late, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(no_entry)
{
    struct rig *r = rig_serving();
    const struct conductor_ops *ops = &r->nodes[1].ops;
    Holdfast__Record record = HOLDFAST__RECORD__INIT;

    cr_assert(ops->submit(ops->self, &record, NULL));
    sim_watch_forged(r->watch, 1, true);
    sim_watch_forged(r->watch, 1, false);
    cr_assert(ops->submit(ops->self, &record, NULL));
    rig_fine(r, SIM_WATCH_no_entry);
    sim_watch_forged(r->watch, 1, true);
    cr_assert(ops->submit(ops->self, &record, NULL));
    sim_watch_forged(r->watch, 1, false);
    rig_broken(r, SIM_WATCH_no_entry, SIM_WATCH_RULES);
    rig_free(r);
}
