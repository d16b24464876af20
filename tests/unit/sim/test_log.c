/* The log: each rule with a history that it accepts and one breach. */
#include <criterion/criterion.h>

#include "rig.h"

RULE(one_owner)
{
    struct rig *r = rig_serving();
    struct repl_event other = rig_event(r, REPL_EV_ASSIGNED);

    rig_assign(r, 2);
    rig_fine(r, SIM_WATCH_one_owner);
    other.index = r->index;
    other.epoch = (struct repl_epoch){1, r->index};
    other.owner_node = 3;
    other.owner_boot = r->nodes[3].boot;
    rig_tell(r, 3, &other);
    rig_broken(r, SIM_WATCH_one_owner, SIM_WATCH_RULES);
    rig_free(r);
}

/* The epoch is the assignment's index, and nothing else that counts up. */
Test(sim_watch_rules, an_epoch_that_is_a_term)
{
    struct rig *r = rig_serving();
    struct repl_event event = rig_event(r, REPL_EV_ASSIGNED);

    event.index = r->index + 5;
    event.epoch = (struct repl_epoch){1, r->index + 4};
    event.owner_node = 2;
    rig_tell(r, 1, &event);
    rig_broken(r, SIM_WATCH_one_owner, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(ids_rise)
{
    struct rig *r = rig_serving();

    r->sa.pending.exchange = IKE_EX_DPD;
    r->sa.pending.message_id = r->sa.next_request_id++;
    rig_step(r, 0);
    r->sa.expected_request_id++;
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_ids_rise);
    r->sa.pending.message_id = r->sa.next_request_id += 2;
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_ids_rise, SIM_WATCH_RULES);
    r->sa.expected_request_id--;
    rig_step(r, 0);
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_ids_rise), 2);
    rig_free(r);
}

Test(sim_watch_rules, ids_rise_at_a_client)
{
    struct rig *r = rig_serving();

    r->peer.pending.exchange = IKE_EX_DPD;
    r->peer.pending.message_id = r->peer.next_request_id++;
    sim_watch_client_sa(r->watch, 0, r->peer.local_spi, &r->peer);
    rig_fine(r, SIM_WATCH_ids_rise);
    r->peer.expected_request_id += 2;
    sim_watch_client_sa(r->watch, 0, r->peer.local_spi, &r->peer);
    rig_broken(r, SIM_WATCH_ids_rise, SIM_WATCH_RULES);
    rig_free(r);
}

/* The window is 1: what was asked must have been answered before anything else is asked. */
Test(sim_watch_rules, ids_of_what_was_answered)
{
    struct rig *r = rig_serving();

    r->sa.pending.exchange = IKE_EX_CHILD_REKEY;
    r->sa.pending.message_id = r->sa.next_request_id++;
    rig_step(r, 0);
    r->peer.expected_request_id++; /* the client answers, with another group */
    sim_watch_client_sa(r->watch, 0, r->peer.local_spi, &r->peer);
    r->sa.pending.message_id = r->sa.next_request_id++;
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_ids_rise);
    r->sa.pending.message_id = r->sa.next_request_id++;
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_ids_rise, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(fenced)
{
    struct rig *r = rig_serving();

    r->sa.wanted = 1;
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_fenced);
    r->stale = r->epoch;
    rig_assign(r, 2);
    rig_step(r, 0); /* of the epoch before */
    rig_broken(r, SIM_WATCH_fenced, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(executed_once)
{
    struct rig *r = rig_serving();

    rig_delete(r, 4711);
    rig_fine(r, SIM_WATCH_executed_once);
    r->request--; /* the same one, at another place */
    rig_delete(r, 4711);
    rig_broken(r, SIM_WATCH_executed_once, SIM_WATCH_RULES);
    rig_free(r);
}

static void boots(struct rig *r, uint32_t node, uint64_t boot)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Member member = HOLDFAST__MEMBER__INIT;
    struct repl_event facts = rig_event(r, REPL_EV_APPLIED);

    member.node = node;
    member.boot = boot;
    member.change = HOLDFAST__MEMBER__CHANGE__BOOT;
    record.body_case = HOLDFAST__RECORD__BODY_MEMBER;
    record.member = &member;
    rig_record(r, 1, &record, &facts);
}

static void asks_again(struct rig *r, enum repl_verdict verdict)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Audit audit = HOLDFAST__AUDIT__INIT;
    struct repl_event facts = rig_event(r, REPL_EV_APPLIED);

    facts.verdict = verdict;
    record.body_case = HOLDFAST__RECORD__BODY_AUDIT;
    record.audit = &audit;
    r->request = 70;
    rig_record(r, 1, &record, &facts);
}

/* Copies of what a start asked that is over are refused, each of them; of one that is not known yet,
 * the second could be accepted. */
Test(sim_watch_rules, requests_of_another_start)
{
    struct rig *r = rig_serving();
    uint64_t boot = r->nodes[1].boot;

    boots(r, 1, boot);
    asks_again(r, REPL_ACCEPTED);
    boots(r, 1, boot + 1);
    asks_again(r, REPL_REFUSED_EPOCH);
    asks_again(r, REPL_REFUSED_EPOCH);
    rig_fine(r, SIM_WATCH_executed_once);
    asks_again(r, REPL_ACCEPTED);
    rig_broken(r, SIM_WATCH_executed_once, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, requests_of_one_that_left)
{
    struct rig *r = rig_serving();
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Member member = HOLDFAST__MEMBER__INIT;
    struct repl_event event = rig_event(r, REPL_EV_APPLIED);

    boots(r, 1, r->nodes[1].boot);
    asks_again(r, REPL_ACCEPTED);
    member.node = 1;
    member.change = HOLDFAST__MEMBER__CHANGE__LEAVE;
    record.body_case = HOLDFAST__RECORD__BODY_MEMBER;
    record.member = &member;
    event.record = &record;
    event.index = ++r->index;
    sim_watch_event(r->watch, 2, &event);
    asks_again(r, REPL_REFUSED_EPOCH);
    rig_fine(r, SIM_WATCH_executed_once);
    asks_again(r, REPL_ACCEPTED);
    rig_broken(r, SIM_WATCH_executed_once, SIM_WATCH_left_is_out);
    rig_free(r);
}

Test(sim_watch_rules, requests_of_a_start_not_known_yet)
{
    struct rig *r = rig_serving();

    asks_again(r, REPL_REFUSED_EPOCH);
    rig_fine(r, SIM_WATCH_executed_once);
    asks_again(r, REPL_REFUSED_EPOCH);
    rig_broken(r, SIM_WATCH_executed_once, SIM_WATCH_RULES);
    rig_free(r);
}

static void rekey_child(struct ike_sa *sa, uint32_t successor)
{
    struct ike_child *old = &sa->children[0], *next = &sa->children[1];

    *next = *old;
    next->spi_in = successor;
    next->spi_out = successor + 1;
    next->key_in.bytes[0]++;
    next->key_out.bytes[0]++;
    next->outbound = true;
    old->state = IKE_CHILD_REKEYED;
    old->successor_spi_in = successor;
    old->outbound = false;
}

RULE(one_successor)
{
    struct rig *r = rig_serving();

    rekey_child(&r->sa, 0x1002);
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_one_successor);
    r->sa.children[0].successor_spi_in = 0x1003; /* nobody */
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_one_successor, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, two_children_send)
{
    struct rig *r = rig_serving();

    rekey_child(&r->sa, 0x1002);
    r->sa.children[0].outbound = true;
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_one_successor, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, an_ike_sa_has_another_successor)
{
    struct rig *r = rig_serving();

    r->sa.successor_spi = 5;
    rig_step(r, 0);
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_one_successor);
    r->sa.successor_spi = 6;
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_one_successor, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(none_vanishes)
{
    struct rig *r = rig_serving();

    rekey_child(&r->sa, 0x1002);
    rig_step(r, 0);
    r->sa.children[0] = (struct ike_child){0};
    rig_step(r, RIG_SPI);
    rig_fine(r, SIM_WATCH_none_vanishes);
    r->sa.children[1] = (struct ike_child){0};
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_none_vanishes, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(not_restored)
{
    static uint8_t bytes[IKE_SA_ENCODED_MAX];
    struct rig *r = rig_serving();
    struct repl_event event = rig_event(r, REPL_EV_RESTORED_SA);
    struct repl_event reset = rig_event(r, REPL_EV_RESET);

    cr_assert(ike_sa_encode(&r->sa, bytes, sizeof bytes, &event.bytes_len));
    event.bytes = bytes;
    rig_delete(r, r->sa.local_spi);
    rig_tell(r, 2, &reset); /* a snapshot of before */
    rig_tell(r, 2, &event);
    rig_fine(r, SIM_WATCH_not_restored);
    reset.index = r->index; /* a snapshot of after its Delete */
    rig_tell(r, 2, &reset);
    rig_tell(r, 2, &event);
    rig_broken(r, SIM_WATCH_not_restored, SIM_WATCH_RULES);
    rig_free(r);
}

/* Its conductor never took the record, and who starts anew has it from a snapshot. */
Test(sim_watch_rules, what_a_node_applied_before_it_ended_is_known)
{
    static uint8_t bytes[IKE_SA_ENCODED_MAX];
    struct rig *r = rig_serving();
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__SaCreate create = HOLDFAST__SA_CREATE__INIT;
    Holdfast__Epoch epoch = HOLDFAST__EPOCH__INIT;
    struct repl_event event = rig_event(r, REPL_EV_APPLIED);
    struct ike_sa other = r->sa;

    other.local_spi++;
    other.children[0].spi_in++;
    memset(other.virtual_ip, 0, sizeof other.virtual_ip);
    cr_assert(ike_sa_encode(&other, bytes, sizeof bytes, &create.state.len));
    create.state.data = bytes;
    create.sa_id = other.local_spi;
    record.body_case = HOLDFAST__RECORD__BODY_SA_CREATE;
    record.sa_create = &create;
    epoch.incarnation = 1;
    record.epoch = &epoch;
    event.record = &record;
    event.index = ++r->index;
    sim_watch_missed(r->watch, 1, &event);
    r->sa = other;
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_same_record);
    r->sa.local_spi++; /* of which nobody told */
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_not_restored, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, a_snapshot_takes_away_what_is_gone)
{
    struct rig *r = rig_serving();
    const struct conductor_ops *ops = &r->nodes[2].ops;
    const struct conductor_esp_child e = {
        .sa_id = r->sa.local_spi, .shard = RIG_SHARD, .child = &r->sa.children[0]};
    struct repl_event event = rig_event(r, REPL_EV_RESTORE_END);
    struct repl_event reset = rig_event(r, REPL_EV_RESET);

    cr_assert_not_null(ops->esp_install(ops->esp_self, &e));
    rig_delete(r, r->sa.local_spi);
    rig_tell(r, 2, &reset); /* of before */
    rig_tell(r, 2, &event);
    rig_fine(r, SIM_WATCH_not_restored);
    reset.index = r->index;
    rig_tell(r, 2, &reset);
    rig_tell(r, 2, &event); /* and it is still installed */
    rig_broken(r, SIM_WATCH_not_restored, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, a_key_that_is_gone_is_installed)
{
    struct rig *r = rig_serving();
    const struct conductor_ops *ops = &r->nodes[2].ops;
    const struct ike_child child = r->sa.children[0];
    const struct conductor_esp_child e = {
        .sa_id = r->sa.local_spi, .shard = RIG_SHARD, .child = &child};
    struct repl_event reset = rig_event(r, REPL_EV_RESET);
    void *esp;

    memset(&r->sa.children[0], 0, sizeof child);
    rig_step(r, RIG_SPI);
    rig_tell(r, 2, &reset);
    esp = ops->esp_install(ops->esp_self, &e); /* by a snapshot of before */
    rig_fine(r, SIM_WATCH_not_restored);
    ops->esp_remove(ops->esp_self, esp);
    reset.index = r->index;
    rig_tell(r, 2, &reset);
    cr_assert_not_null(ops->esp_install(ops->esp_self, &e));
    rig_broken(r, SIM_WATCH_not_restored, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(spi_unique)
{
    struct rig *r = rig_serving();
    struct ike_sa other = r->sa;

    other.local_spi++;
    other.children[0].spi_in++;
    memset(other.virtual_ip, 0, sizeof other.virtual_ip);
    rig_create(r, &other);
    rig_fine(r, SIM_WATCH_spi_unique);
    other.local_spi++;
    rig_create(r, &other);
    rig_broken(r, SIM_WATCH_spi_unique, SIM_WATCH_RULES);
    rig_create(r, &other); /* an IKE SPI that is there */
    cr_assert_eq(sim_watch_broken(r->watch, SIM_WATCH_spi_unique), 2);
    rig_free(r);
}

RULE(address_unique)
{
    struct rig *r = rig_serving();
    struct ike_sa other = r->sa;

    other.local_spi++;
    other.children[0].spi_in++;
    other.virtual_ip[SLOT_V4] = addr_v4(0x0a630002);
    rig_create(r, &other);
    rig_delete(r, other.local_spi);
    other.local_spi++;
    rig_create(r, &other); /* free again */
    rig_fine(r, SIM_WATCH_address_unique);
    r->sa.virtual_ip[SLOT_V4] = addr_v4(0x0a630002);
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_address_unique, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(same_record)
{
    struct rig *r = rig_serving();

    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_same_record);
    r->index++;
    r->request++;
    rig_step_at(r, 2, 0); /* nodes 2 and 3 */
    rig_fine(r, SIM_WATCH_same_record);
    r->index--;
    r->request--;
    r->sa.wanted = 1;
    rig_step_at(r, 1, 0); /* node 1 has another one there, and then nodes 2 and 3 have two */
    rig_broken(r, SIM_WATCH_same_record, SIM_WATCH_executed_once);
    rig_free(r);
}

RULE(same_digest)
{
    struct rig *r = rig_serving();
    uint8_t digest[REPL_DIGEST_BYTES] = {1, 2, 3};

    sim_watch_digest(r->watch, 1, 9, digest);
    sim_watch_digest(r->watch, 2, 9, digest);
    rig_fine(r, SIM_WATCH_same_digest);
    digest[15]++;
    sim_watch_digest(r->watch, 3, 9, digest);
    rig_broken(r, SIM_WATCH_same_digest, SIM_WATCH_RULES);
    rig_free(r);
}

RULE(majority_stored)
{
    struct rig *r = rig_serving();

    sim_watch_durable(r->watch, 1, 1);
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_majority_stored);
    sim_watch_durable(r->watch, 2, r->index);
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_majority_stored, SIM_WATCH_RULES);
    rig_free(r);
}

/* Node 2 had acknowledged the next record, and no more: what it stores later counts for nothing. */
Test(sim_watch_rules, a_copy_of_who_lost_data)
{
    struct rig *r = rig_serving();

    sim_watch_durable(r->watch, 3, 1);
    sim_watch_durable(r->watch, 2, r->index + 1);
    sim_watch_stopped(r->watch, 2);
    sim_watch_started(r->watch, 2, 202, true);
    sim_watch_durable(r->watch, 2, 1000);
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_majority_stored);
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_majority_stored, SIM_WATCH_RULES);
    rig_free(r);
}

static struct rig *with_a_lost_copy(void)
{
    struct rig *r = rig_serving();

    sim_watch_durable(r->watch, 3, 1);
    sim_watch_durable(r->watch, 2, r->index + 1);
    sim_watch_stopped(r->watch, 2);
    sim_watch_started(r->watch, 2, 202, true);
    sim_watch_durable(r->watch, 2, 1);
    return r;
}

/* ... or stores no more: what it had acknowledged is on its way, not for long. */
Test(sim_watch_rules, an_acknowledgement_of_who_lost_data)
{
    struct rig *r = with_a_lost_copy();

    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_majority_stored);
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_majority_stored, SIM_WATCH_RULES);
    rig_free(r);
    r = with_a_lost_copy();
    r->now_ms += 6000;
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_majority_stored, SIM_WATCH_RULES);
    rig_free(r);
}

/* ... until no leader counts it any more: what is committed behind that has copies. */
Test(sim_watch_rules, an_acknowledgement_that_counts_no_more)
{
    struct rig *r = with_a_lost_copy();

    sim_watch_disregarded(r->watch, 1, 0); /* it lost nothing */
    sim_watch_disregarded(r->watch, 2, r->index + 1);
    sim_watch_disregarded(r->watch, 2, 0); /* said once */
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_majority_stored);
    rig_free(r);
    r = with_a_lost_copy();
    sim_watch_disregarded(r->watch, 2, r->index);
    sim_watch_stopped(r->watch, 2);
    sim_watch_started(r->watch, 2, 203, false); /* a start mends nothing */
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_majority_stored, SIM_WATCH_RULES);
    rig_free(r);
}

Test(sim_watch_rules, a_majority_of_who_votes)
{
    static const uint32_t two[] = {1, 2};
    struct rig *r = rig_serving();

    sim_watch_durable(r->watch, 3, 1);
    sim_watch_voters(r->watch, r->index + 1, true, two, 2);
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_majority_stored);
    sim_watch_durable(r->watch, 2, 1);
    rig_step(r, 0);
    rig_broken(r, SIM_WATCH_majority_stored, SIM_WATCH_RULES);
    rig_free(r);
}

/* What stands before a change may be counted by it, what stands behind it is not counted by the one
 * before. */
Test(sim_watch_rules, a_majority_while_voters_change)
{
    static const uint32_t five[] = {1, 2, 3, 4, 5}, three[] = {1, 2, 3};
    struct rig *r = rig_serving();

    sim_watch_voters(r->watch, r->index + 2, false, five, 5);
    sim_watch_durable(r->watch, 2, 1);
    sim_watch_durable(r->watch, 3, 1);
    sim_watch_durable(r->watch, 4, 1000);
    sim_watch_durable(r->watch, 5, 1000);
    rig_step(r, 0); /* three of the five, and one of the three */
    rig_fine(r, SIM_WATCH_majority_stored);
    sim_watch_voters(r->watch, r->index + 1, true, five, 5);
    sim_watch_voters(r->watch, r->index + 3, true, three, 3);
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_majority_stored);
    sim_watch_durable(r->watch, 4, 1);
    sim_watch_durable(r->watch, 2, 1000);
    rig_step(r, 0); /* three of the five */
    rig_fine(r, SIM_WATCH_majority_stored);
    rig_step(r, 0); /* at the place of the new one: two of the three */
    rig_fine(r, SIM_WATCH_majority_stored);
    sim_watch_durable(r->watch, 2, 1);
    rig_step(r, 0); /* one of the three, though another has it */
    rig_broken(r, SIM_WATCH_majority_stored, SIM_WATCH_RULES);
    rig_free(r);
}

/* One that was overwritten counts no more. */
Test(sim_watch_rules, a_majority_by_what_became_of_a_change)
{
    static const uint32_t one[] = {1}, three[] = {1, 2, 3};
    struct rig *r = rig_serving();

    sim_watch_durable(r->watch, 2, 1);
    sim_watch_durable(r->watch, 3, 1);
    sim_watch_voters(r->watch, r->index + 1, false, one, 1);
    rig_step(r, 0);
    rig_fine(r, SIM_WATCH_majority_stored);
    sim_watch_voters(r->watch, r->index + 1, true, three, 3);
    rig_step(r, 0); /* the other one at that place is the committed one */
    rig_broken(r, SIM_WATCH_majority_stored, SIM_WATCH_RULES);
    rig_free(r);
}
