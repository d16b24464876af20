# The mutants. Nothing taken away: must stay green, or the others prove nothing.
sim_mutant(control "nothing is taken away"
  "-"
  replication/fsm.c [==[s->owner_node = body->owner_node;]==] [==[s->owner_node = body->owner_node;]==])

# --- the fifteen that the design names ---

sim_mutant(no_barrier "a new leader appends no entry of its own term"
  "L1-owner_acts"
  replication/raft_wraps.c [==[raft_driver_term_of(d, raft_log_last(&d->log)) == d->raft.current_term)]==]
  [==[d->raft.current_term != 0)]==])

sim_mutant(answer_before_commit "a step's messages leave when it is submitted"
  "I3-message_committed"
  node/conductor/submit.c [==[#if defined(HOLDFAST_PLANT_answer_before_commit)]==] [==[#if 1]==])

sim_mutant(reservation_reused_after_restart "a new owner takes the whole reservation, also what others used"
  "I1-grants_disjoint | node/esp/reservation.c: first >= atomic_load_explicit( &r->limit, memory_order_relaxed)"
  node/conductor/children.c [==[        grant = repl_claim_grant(&child->claim, shard->assignments);]==]
  [==[        grant = repl_claim_grant(&child->claim, shard->assignments), grant.first = 1;]==])

sim_mutant(ceiling_ignored "what lies above the ceiling, and below the floor, is accepted"
  "I2-ceiling | I2"
  node/esp/gate.c [==[#ifdef HOLDFAST_PLANT_ceiling_ignored
        /* planted fault, its first half]==] [==[#if 1
        /* planted fault, its first half]==]
  node/esp/gate.c [==[#ifdef HOLDFAST_PLANT_ceiling_ignored
    *ceiling]==] [==[#if 1
    *ceiling]==])

sim_mutant(epoch_from_the_term "the epoch is Raft's term"
  "I5-one_owner"
  replication/fsm.c [==[.index = fsm->applied_index};
    s->owner_node]==] [==[.index = mutant_term};
    s->owner_node]==]
  replication/fsm.c [==[static struct fsm_shard *find_shard(struct fsm *fsm, uint32_t shard)
{]==] [==[uint64_t mutant_term;
static struct fsm_shard *find_shard(struct fsm *fsm, uint32_t shard)
{]==]
  replication/replica_apply.c [==[        replica_apply_entry(r, index, entry->data);]==] [==[        extern uint64_t mutant_term;
        mutant_term = entry->term;
        replica_apply_entry(r, index, entry->data);]==])

sim_mutant(stale_owner_applies "seed=6 records of an older epoch are accepted"
  "I5-fenced"
  replication/fsm.c [==[    if (!record_fenced(r))
        return REPL_ACCEPTED;]==] [==[    if (!record_fenced(r) || s != NULL)
        return REPL_ACCEPTED;]==]
  replication/fsm_sa.c [==[    if (fsm_sa_version(fsm, sa) != version)
        return REPL_REFUSED_VERSION;]==] [==[]==])

sim_mutant(delete_forgotten_in_the_snapshot "seed=64 who restores a snapshot has CHILD SAs that a record took away before"
  "I11 | I11-same_digest | I8-not_restored | I8-key_gone"
  replication/fsm_sa.c [==[/* The SA, when it is of that shard and has that version now. */]==]
  [==[uint64_t mutant_id[256];
uint8_t *mutant_state[256];
size_t mutant_len[256];]==]
  replication/fsm_sa.c [==[    set_state(fsm, sa, slot, body->state);
    for]==] [==[    if (body->n_gone_children > 0 && body->successor == NULL) {
        size_t m = sa->id % 256;
        free(mutant_state[m]);
        mutant_id[m] = sa->id;
        mutant_len[m] = sa->state_len;
        mutant_state[m] = repl_copy(sa->state, sa->state_len);
    }
    set_state(fsm, sa, slot, body->state);
    for]==]
  replication/snapshot_restore.c [==[    sa->state = fsm_state_new(m->state.data, m->state.len);
    sa->state_len = m->state.len;]==] [==[    {
        extern uint64_t mutant_id[];
        extern uint8_t *mutant_state[];
        extern size_t mutant_len[];
        size_t at = m->sa_id % 256;
        bool old = mutant_id[at] == m->sa_id;
        sa->state_len = old ? mutant_len[at] : m->state.len;
        sa->state = fsm_state_new(old ? mutant_state[at] : m->state.data, sa->state_len);
    }]==]
  replication/snapshot_restore.c [==[    return m->items == items && m->digest.len == REPL_DIGEST_BYTES &&
           get_be64(m->digest.data) == d.a && get_be64(m->digest.data + 8) == d.b;]==] [==[    return m->items == items;]==])

sim_mutant(half_sent_batch "of the numbers of several SAs in one record only the first half is kept, all are told as granted"
  "I2-shrink | I2-floor | I1-grants_disjoint"
  replication/fsm_sa.c [==[        items[i].verdict = extend_one(fsm, shard, slot, body->items[i], &items[i].claim);]==]
  [==[        struct fsm_claim *mutant = map_get(&fsm->claims, fsm_claim_key(body->items[i]->spi_in));
        struct repl_claim was = mutant != NULL ? mutant->claim : (struct repl_claim){0};
        items[i].verdict = extend_one(fsm, shard, slot, body->items[i], &items[i].claim);
        if (mutant != NULL && items[i].verdict == REPL_ACCEPTED && i >= body->n_items / 2) {
            uint64_t n = items[i].claim.touched - was.touched;
            repl_claim_touch(&was, was.touched + n);
            was.version = items[i].claim.version;
            mutant->claim = was;
            fsm_claim_changed(fsm, mutant);
        }]==])

sim_mutant(lease_renewed_by_the_owner_itself "seed=8 its own acknowledgement is enough"
  "I5 | I5-one_speaker | I5-nothing_begun | I5-batch_in_hand"
  replication/ownership.c [==[ownership_majority(o, n) && s->acked_ns]==] [==[n > 0 && s->acked_ns]==])

sim_mutant(request_id_not_checked "seed=17 a request that was judged is judged again"
  "I6-executed_once"
  replication/fsm.c [==[    if (is_judged(m, request))
        return REPL_REFUSED_DUPLICATE;]==] [==[    if (is_judged(m, request))
        return REPL_ACCEPTED;]==])

sim_mutant(message_id_off_by_one_at_takeover "seed=2 a new owner sends the outstanding request under the next message ID"
  "I6-ids_rise"
  node/ike/timer.c [==[#include "ike/timer.h"]==] [==[#include "ike/timer.h"
#include "ike/message.h"]==]
  node/ike/timer.c [==[    sa->local_part.retransmitted = n;
    ike_turn_send_request(t);
    return IKE_LOCAL;]==] [==[    if (!ike_reseal_request(t->policy, sa, now_ms))
        return IKE_LOCAL;
    ike_turn_send_request(t);
    return ike_turn_stepped(t, sa->pending.exchange, IKE_BY_US);]==])

sim_mutant(ke_value_not_replicated "seed=18 the private value of an outstanding key exchange is not in the record"
  "I7-same_winner | I7-both_ends"
  node/ike/codec.c [==[    key(k, &p->ke_private);
    flag(k, &p->collided);]==] [==[    {
        struct secret none = {0};
        key(k, &none);
    }
    flag(k, &p->collided);]==])

sim_mutant(nonce_shared_by_two_seals "an answer's IV is the next request's as well"
  "I1b-iv_once"
  node/ike/message.c [==[    sa->expected_request_id++;
    sa->iv_next++;]==] [==[    sa->expected_request_id++;]==])

sim_mutant(snapshot_older_than_the_log "seed=18 the log that follows a snapshot begins some entries behind it"
  "I11-same_record | I11-same_digest | I11"
  replication/replica_restore.c [==[    replica_count(r, REPL_COUNT_RESTORES, 1);]==] [==[    replica_count(r, REPL_COUNT_RESTORES, 1);
    {
        extern uint64_t mutant_restored[];
        mutant_restored[r->options.node % 16] = r->fsm.applied_index;
    }]==]
  replication/replica_apply.c [==[        replica_apply_entry(r, index, entry->data);]==]
  [==[        if (mutant_restored[r->options.node % 16] != 0 && index <= mutant_restored[r->options.node % 16] + 3)
            fsm_begin_entry(&r->fsm, index, 0);
        else
            replica_apply_entry(r, index, entry->data);]==]
  replication/replica_apply.c [==[void replica_on_apply(void *self]==] [==[uint64_t mutant_restored[16];
void replica_on_apply(void *self]==])

sim_mutant(spi_not_unique "ESP SPIs are few, and the log does not mind one that is taken"
  "I9-spi_unique | replication/map.c: map->slots[i].value == NULL"
  node/ike/spi.c [==[    uint32_t spi = get_be32(entropy);]==] [==[    uint32_t spi = FIRST_ESP_SPI + entropy[0] % 4;]==]
  replication/fsm_sa.c [==[        if (fsm_claim(fsm, claims[i]->spi_in) != NULL)
            return false;]==] [==[        if (fsm_claim(fsm, claims[i]->spi_in) != NULL)
            return true;]==])

# --- others ---

sim_mutant(acting_on_apply "seed=3 an owner acts from its assignment on, without a lease"
  "I5 | I5-one_speaker | I5-nothing_begun | I5-batch_in_hand"
  replication/ownership.c [==[    return s->mine && now_ns < s->lease_until_ns;]==] [==[    return s->mine;]==]
  replication/ownership.c [==[    if (s->mine)
        o->next_beat_ns = now_ns; /* at once */]==] [==[    if (s->mine)
        o->next_beat_ns = now_ns, s->lease_until_ns = now_ns + 3600ull * 1000000000;]==])

sim_mutant(leader_decides_alone "seed=3 one node that hears no owner is enough to assign anew; promises are ignored"
  "I5 | I5-one_speaker | I5-nothing_begun | I5-batch_in_hand"
  replication/ownership_decide.c [==[return ownership_majority(o, n);]==] [==[return n > 0;]==]
  replication/ownership.c [==[    if (now_ns < s->promised_until_ns && !repl_epoch_equal(beat->epoch, s->promised))
        return false;]==] [==[]==])

sim_mutant(any_boot_is_mine "a restarted node takes up what it owned before"
  "I1-grants_disjoint | I13-assignment_applied | I5"
  replication/ownership.c [==[    s->mine = node == o->options.self && boot == o->options.boot;]==] [==[    s->mine = node == o->options.self;]==]
  node/conductor/assigned.c [==[    s->mine = ev->owner_node == c->options.node && ev->owner_boot == c->options.boot;]==]
  [==[    s->mine = ev->owner_node == c->options.node;]==]
  node/esp/ceiling.c [==[    HF_ASSERT(p->phase == ESP_PACE_COMMITTING);
    p->phase = ESP_PACE_IDLE;]==] [==[    p->phase = ESP_PACE_IDLE;]==])

sim_mutant(first_touch_counts_one_assignment "seed=2 several assignments since the last touch count as one"
  "I1-grants_disjoint | node/esp/reservation.c: first >= atomic_load_explicit( &r->limit, memory_order_relaxed)"
  replication/grant.c [==[    claim->reservation_end += n * GRANT_ASSIGN_NUMBERS;]==]
  [==[    claim->reservation_end += (n > 0) * GRANT_ASSIGN_NUMBERS;]==])

sim_mutant(ceiling_lowered_without_waiting "seed=4 a lower ceiling is committed below what was accepted"
  "I2-shrink"
  node/esp/ceiling.c [==[    p->asked_ceiling = number_larger(p->lowered_to, now->last_in);]==]
  [==[    p->asked_ceiling = now->last_in > 16 ? now->last_in - 16 : p->lowered_to;]==])

sim_mutant(versions_not_compared "seed=17 an Extend that is late is taken all the same"
  "I6-executed_once | node/esp/ceiling.c: p->phase == ESP_PACE_COMMITTING"
  replication/fsm_sa.c [==[    if (now.version != item->version)
        return REPL_REFUSED_VERSION;]==] [==[]==]
  replication/fsm_sa.c [==[    if (item->reservation_end != 0 && item->reservation_end < now.reservation_end)
        return REPL_REFUSED_MALFORMED;]==] [==[]==]
  replication/fsm.c [==[    if (is_judged(m, request))
        return REPL_REFUSED_DUPLICATE;]==] [==[    if (is_judged(m, request))
        return REPL_ACCEPTED;]==])

sim_mutant(deleted_sa_keeps_receiving "a CHILD SA that is gone stays in the data path"
  "I8-key_gone | I8-not_restored"
  node/conductor/children.c [==[        c->ops.esp_remove(c->ops.esp_self, child->esp);]==] [==[        ;]==])

sim_mutant(window_not_handed_over "after a handover nothing is known of what was accepted, and there is no floor"
  "I2-floor | I2-delivered_once | I2"
  node/conductor/children.c [==[    if (child->window.len > 0 && c->ops.esp_resume != NULL &&
        c->ops.esp_resume(c->ops.esp_self, child->esp, shard->epoch.index, &grant, child->window))
        return;]==] [==[    if (child->window.len > 0)
        grant.floor = 0;]==])

sim_mutant(outcome_by_order "an outcome is the oldest submission's, whatever its request id"
  "node/conductor/run.c: bytes.len > 0 | node/esp/ceiling.c: p->phase == ESP_PACE_COMMITTING"
  replication/replica_apply.c [==[outbox_settle(r->outbox, record->request, &item)]==]
  [==[outbox_settle(r->outbox, replica_oldest_request(r), &item)]==])

sim_mutant(successor_forgets_its_children "an IKE SA that is rekeyed leaves its CHILD SAs behind"
  "I7-none_vanishes"
  node/ike/rekey_ike.c [==[    memcpy(next->children, old->children, sizeof next->children);
]==] [==[]==])

sim_mutant(collision_without_nonces "who began the rekey wins, whatever the nonces"
  "I7-same_winner"
  node/ike/child_offer.c [==[    return ike_nonce_lower(ike_nonce_lower(peer_nonce, ours) ? peer_nonce : ours, theirs);]==]
  [==[    return theirs.len == 0 && ours.len == 0 && peer_nonce.len == 0;]==])

sim_mutant(the_giver_goes_on "seed=50 packets are served while a shard's windows are written down"
  "I2-floor | I2-delivered_once | I2"
  node/conductor/handover.c [==[    c->ops.esp_mode(c->ops.esp_self, s->id, CONDUCTOR_ESP_STILL);]==]
  [==[    c->ops.esp_mode(c->ops.esp_self, s->id, CONDUCTOR_ESP_ACT);]==])

sim_mutant(durable_before_it_is "a write that is durable counts for those under way behind it as well"
  "I12-majority_stored | I12-nothing_lost"
  replication/raft_disk.c [==[                entries_durable(d, op.last);]==] [==[                entries_durable(d, raft_log_last(&d->log));]==])

sim_mutant(retransmission_sealed_anew "seed=4 a request that is repeated is sealed once more, under its own message ID"
  "I4-same_message | I4"
  node/ike/timer.c [==[#include "ike/timer.h"]==] [==[#include "ike/timer.h"
#include "ike/message.h"]==]
  node/ike/timer.c [==[    sa->local_part.retransmitted = tries_due(t->policy, sa, t->event->now_ms);
    ike_turn_send_request(t);
    return IKE_LOCAL;]==] [==[    sa->local_part.retransmitted = tries_due(t->policy, sa, t->event->now_ms);
    sa->next_request_id--;
    if (!ike_reseal_request(t->policy, sa, sa->pending.sent_ms)) {
        sa->next_request_id++;
        return IKE_LOCAL;
    }
    ike_turn_send_request(t);
    return ike_turn_stepped(t, sa->pending.exchange, IKE_BY_US);]==])

sim_mutant(plaintext_outside "a packet leaves as it came"
  "I13-no_plaintext"
  node/esp/packet.c [==[    *len = total;
    return ESP_DROP_NONE;]==] [==[    memcpy(text, inner.data, inner.len);
    *len = total;
    return ESP_DROP_NONE;]==])

sim_mutant(half_open_without_bound "seed=145 one source may ask for any number of IKE SAs, and needs no cookie"
  "I15-half_open_bound"
  node/conductor/core.c [==[half_open_from(c, &e->remote.ip) >= CONDUCTOR_COOKIE_SOURCE_AT;]==] [==[false;]==]
  node/conductor/run.c [==[if (half_open_from(c, &w->event.remote.ip) >= CONDUCTOR_HALF_OPEN_SOURCE_MAX)]==] [==[if (false)]==]
  node/conductor/run.c [==[            half_open_from(c, &w->event.remote.ip) >= CONDUCTOR_HALF_OPEN_SOURCE_MAX) {]==] [==[            false) {]==])

sim_mutant(icv_not_checked "an IKE message is taken whether or not its ICV holds"
  "I15-no_entry | I15-no_entry_late"
  node/ike/message.c [==[    if (!opened)
        return IKE_REASON_BAD_ICV;]==] [==[]==])

sim_mutant(distrust_ignored "seed=3 a node whose disk says that it lost something counts as if it had not"
  "I10-data_lost"
  replication/raft_driver.c [==[    d->muted = l->distrust;]==] [==[    d->muted = REPL_TRUSTED;]==])

sim_mutant(votes_for_any_log "seed=9 a vote is given to whoever asks, however short its log"
  "I12-one_history"
  replication/raft_wraps.c [==[                                                    .last_log_index = f->index,
                                                    .last_log_term = f->index_term,
                                                    .disrupt_leader]==]
  [==[                                                    .last_log_index = UINT64_MAX / 4,
                                                    .last_log_term = f->term,
                                                    .disrupt_leader]==])

sim_mutant(any_token_will_do "seed=57 whoever has some token joins"
  "I9-id_once"
  replication/fsm_members.c [==[    if (t == NULL || memcmp(t->hash, body->token.data, sizeof t->hash) != 0)]==] [==[    if (t == NULL)]==])

sim_mutant(incarnation_not_raised "seed=1 who recovers goes on under the incarnation that it had"
  "I5-one_owner | I5-incarnation_new"
  replication/fsm_refound.c [==[    fsm->incarnation = beginning->incarnation;]==] [==[]==])

sim_mutant(sessions_survive_recover "seed=1 SAs and their owners are in the state that a recovery makes"
  "I8-not_restored | I8-key_gone"
  replication/fsm_refound.c [==[    HF_ASSERT(beginning->incarnation > fsm->incarnation);
    fsm_end_sessions(fsm);]==] [==[]==]
  replication/fsm_refound.c [==[    memset(fsm->shards, 0, sizeof fsm->shards);
    fsm->n_shards = 0;]==] [==[]==]
  replication/recover.c [==[    return key != 0 && fsm->session_key != 0 &&]==] [==[    return false && key != 0 &&]==]
  replication/recover.c [==[    d.sessionless = true;]==] [==[]==]
  replication/snapshot_restore.c [==[    return m->items == items && m->digest.len == REPL_DIGEST_BYTES &&
           get_be64(m->digest.data) == d.a && get_be64(m->digest.data + 8) == d.b;]==] [==[    return m->items == items;]==])

# --- rules that read the wall clock (I14): what a jump of it changes. Seeds that run twice, with other wall clocks, are each 25th ---

sim_mutant(hard_limit_by_the_wall_clock "seed=25 until when the data path may use an SA is counted by the wall clock"
  "I14-no_wall_clock"
  node/conductor/core.c [==[struct conductor *conductor_create(]==] [==[bool mutant_clock_read[16];
struct conductor *conductor_create(]==]
  node/conductor/core.c [==[    c->ops = *ops;]==] [==[    c->ops = *ops;
    mutant_clock_read[options->node % 16] = false;]==]
  node/conductor/children.c [==[static void tell_end(struct conductor *c, const struct conductor_child *child)
{
    uint64_t now = c->ops.now_ms(c->ops.self), in_ms = UINT64_MAX;
]==] [==[static uint64_t mutant_now(struct conductor *c)
{
    extern bool mutant_clock_read[];
    static int64_t base_s[16];
    uint64_t now = c->ops.now_ms(c->ops.self);
    uint32_t n = c->options.node % 16;
    int64_t ahead_s = (int64_t)c->ops.wall_s(c->ops.self) - (int64_t)(now / 1000);

    if (!mutant_clock_read[n])
        base_s[n] = ahead_s;
    mutant_clock_read[n] = true;
    ahead_s = (ahead_s - base_s[n]) * 1000;
    return ahead_s < 0 && (uint64_t)-ahead_s > now ? 0 : now + (uint64_t)ahead_s;
}

static void tell_end(struct conductor *c, const struct conductor_child *child)
{
    uint64_t now = mutant_now(c), in_ms = UINT64_MAX;
]==])

sim_mutant(recovery_without_a_record "seed=1 how an incarnation began is not in its state"
  "I17-beginning_recorded"
  replication/fsm_refound.c [==[    write_down(fsm, beginning);]==] [==[    if (beginning->node == 0)
        write_down(fsm, beginning);]==])

# --- who lost data (I10): the driver's rules 21 to 24 ---

sim_mutant(muted_votes "seed=4 who lost data votes for others"
  "I10-withholds"
  replication/raft_muted.c [==[           (f->type == RAFT_FRAME_REQUEST_VOTE || f->type == RAFT_FRAME_REQUEST_VOTE_RESULT ||]==]
  [==[           (f->type == RAFT_FRAME_REQUEST_VOTE_RESULT ||]==])

sim_mutant(muted_campaigns "seed=4 who lost data asks for votes"
  "I10-withholds"
  replication/raft_muted.c [==[    return d->muted != REPL_TRUSTED && RAFT_WRAPPED(d, RULE_MUTE) && !leads(d);]==]
  [==[    return false;]==])

sim_mutant(muted_is_counted "seed=109 a leader counts the copies of who lost data"
  "I12-majority_stored | I10-trusted_by_others"
  replication/raft_muted.c [==[    return p == NULL || p->doubt == RAFT_DOUBT_NONE || !RAFT_WRAPPED(d, RULE_COUNT);]==]
  [==[    return true;]==])

sim_mutant(trusted_by_the_commit_index "seed=4 who lost data is trusted by what was committed before, without a barrier"
  "I10-trusted_by_others"
  replication/raft_muted.c [==[    if (!RAFT_WRAPPED(d, RULE_BARRIER))
        send_trust]==] [==[    if (true)
        send_trust]==]
  replication/raft_muted.c [==[    if (!RAFT_WRAPPED(d, RULE_BARRIER))
        return d->raft.last_stored]==] [==[    if (true)
        return d->raft.last_stored]==])

sim_mutant(trusted_before_others_have_it "seed=87 who lost data is trusted by a barrier that only its leader has"
  "I10-trusted_by_others"
  replication/raft_muted.c [==[    else if (made && (d->commit >= p->barrier || !RAFT_WRAPPED(d, RULE_MAJORITY)))]==]
  [==[    else if (made)]==])

# --- the lease, read before each batch (I5): who goes on without it ---

sim_mutant(lease_read_each_ten_seconds "seed=3 a worker believes a lease that it read until its clock's next ten seconds begin"
  "I5-batch_in_hand"
  node/io/worker.c [==[    w->now_ns = io_boottime_ns();]==] [==[    uint64_t mutant_before = w->now_ns / 10000000000u;

    w->now_ns = io_boottime_ns();]==]
  node/io/worker.c [==[        w->lease_epochs[s] = lease_epoch(w->pool->shards[s].lease, w->now_ns);]==]
  [==[        if (w->lease_epochs[s] == 0 || w->now_ns / 10000000000u != mutant_before)
            w->lease_epochs[s] = lease_epoch(w->pool->shards[s].lease, w->now_ns);]==])

sim_mutant(inbound_without_a_lease "seed=3 what comes from clients is taken in by whose epoch it was, lease or none"
  "I5-batch_in_hand"
  node/io/worker_in.c [==[    struct esp_turn turn = worker_turn(w, sa->shard_slot);]==]
  [==[    struct esp_turn turn = {.now_ns = w->now_ns,
                            .lease_epoch = atomic_load(&w->pool->shards[sa->shard_slot].lease->epoch_index)};]==]
  node/io/worker_in.c [==[    if (w->lease_epochs[d->shard_slot] == 0) {]==] [==[    if (false) {]==])

sim_mutant(lease_read_once_a_turn "seed=7 a worker reads leases when it wakes up, not before each batch"
  "I5-batch_in_hand"
  node/io/worker.c [==[void worker_once(struct worker *w)
{
    turn(w);]==] [==[static bool mutant_woken;
void worker_once(struct worker *w)
{
    turn(w);
    mutant_woken = true;]==]
  node/io/worker.c [==[    for (unsigned s = 0; s < w->pool->n_shards; s++)
        w->lease_epochs[s] = lease_epoch(w->pool->shards[s].lease, w->now_ns);]==]
  [==[    extern bool mutant_woken_now(void);
    if (mutant_woken_now())
        for (unsigned s = 0; s < w->pool->n_shards; s++)
            w->lease_epochs[s] = lease_epoch(w->pool->shards[s].lease, w->now_ns);]==]
  node/io/worker.c [==[void *worker_main(void *arg)]==] [==[bool mutant_woken_now(void)
{
    bool woken = mutant_woken;

    mutant_woken = false;
    return woken;
}

void *worker_main(void *arg)]==])

# --- rules that others stand before: who speaks, grants, members, both ends, liveness ---

sim_mutant(ike_without_a_lease "seed=2 the control loop asks for no lease before it steps and sends"
  "I5-nothing_begun"
  node/daemon/gateway.c [==[    epoch = lease_epoch(g->options.lease(g->options.self, slot), g->options.now_ns());]==]
  [==[    epoch = s->epoch.index;]==])

sim_mutant(numbers_of_an_earlier_assignment "seed=7 each second assignment grants nothing, and what an earlier one granted is good for it"
  "I13-assignment_applied"
  node/conductor/children.c [==[    if (shard->mine)
        child_grant(c, shard, child);
    else
        c->ops.esp_revoke(c->ops.esp_self, child->esp);]==] [==[    if (shard->mine && shard->assignments % 2 == 1)
        child_grant(c, shard, child);]==]
  node/esp/reservation.c [==[ || lease_epoch == 0 || r->held_epoch != lease_epoch)]==] [==[ || lease_epoch == 0)]==])

sim_mutant(the_old_one_is_kept "seed=4 a CHILD SA that the peer has rekeyed stays, whatever the peer deletes"
  "L2-rekey_ends"
  node/ike/informational.c [==[    if (d->n == MAX_DELETED)
        return;]==] [==[    if (d->n == MAX_DELETED || c->state == IKE_CHILD_REKEYED)
        return;]==]
  node/ike/timer.c [==[            consider(best, now_ms, c->soft_ms, IKE_DUE_DELETE_CHILD, c->spi_in);]==] [==[            ;]==]
  node/ike/timer.c [==[        if (sa->children[i].state != IKE_CHILD_NONE)
            consider(&best]==] [==[        if (sa->children[i].state != IKE_CHILD_NONE && sa->children[i].state != IKE_CHILD_REKEYED)
            consider(&best]==])

sim_mutant(the_dead_are_kept "seed=4 an IKE SA that its peer deletes, or that has no peer any more, stays"
  "I7-both_ends"
  node/ike/informational.c [==[        ike_rekey_ike_birth(t);
    ike_turn_end_sa(t, reason);]==] [==[        ike_rekey_ike_birth(t);
    if (rekeyed || unsettled)
        ike_turn_end_sa(t, reason);]==]
  node/ike/timer.c [==[    if (policy->dpd_ms != 0)
        consider(]==] [==[    if (false)
        consider(]==])

sim_mutant(no_pre_vote "seed=4 who heard nobody for a while asks for votes at once"
  "L3-elections_end"
  replication/raft_driver.c [==[    raft_set_pre_vote(r, true);]==] [==[    raft_set_pre_vote(r, false);]==])

sim_mutant(slow_is_taken_for_hanging "seed=2 a disk that is slow is taken for one that hangs, whoever else is there"
  "L1-ends_for_cause"
  replication/replica_disk.c [==[    if (well_ms >= 2 * stall_ms)]==] [==[    if (true)]==]
  replication/replica_disk.c [==[stuck_ms < r->options.timing.disk_hang_ms)]==] [==[stuck_ms < r->options.timing.disk_hang_ms / 100)]==])

# --- one takeover when all else is well (L1): slow, or dear ---

sim_mutant(lapse_waited_for_twice "seed=4 an owner that is silent is given twice the time of its promises"
  "L1-taken_over"
  replication/ownership.c [==[now_ns >= since + ownership_promise_ns(o) &&
           now_ns >=]==] [==[now_ns >= since + 2 * ownership_promise_ns(o) &&
           now_ns >=]==])

sim_mutant(election_waited_for_twice "seed=8 who hears no leader waits twice as long as it should"
  "L1-taken_over"
  replication/raft_driver.c [==[    raft_set_election_timeout(r, d->options.election_ms);]==]
  [==[    raft_set_election_timeout(r, 2 * d->options.election_ms);]==]
  replication/raft_step.c [==[    d->elections_failed = 0;
    d->raft.election_timeout = d->options.election_ms;]==] [==[    d->elections_failed = 0;
    d->raft.election_timeout = 2 * d->options.election_ms;]==])

sim_mutant(taken_over_and_rekeyed "seed=4 a new owner rekeys each IKE SA that it takes over"
  "L1-tunnels_stay"
  node/conductor/assigned.c [==[    if (!sa->pending) { /*]==] [==[    if (!sa->pending) {
        const char *mutant_why;
        (void)conductor_command(c, sa->id, IKE_WANT_REKEY_IKE, 0, &mutant_why); /*]==])

# --- what a disk says of itself (I10), who is not filled (L3) ---

sim_mutant(the_mark_is_not_read "seed=4 a log that ends before its high-water mark is taken for whole"
  "I10-data_lost"
  replication/wal_loss.c [==[    return last < wal_loss_must_have(mark, snapshot);]==] [==[    return false && last < mark && mark < snapshot;]==])

sim_mutant(the_forgetful_are_not_filled "seed=4 who lost the end of its log takes no entries from anybody"
  "L3-digest_reached"
  replication/raft_muted.c [==[            f->type == RAFT_FRAME_TIMEOUT_NOW);]==]
  [==[            f->type == RAFT_FRAME_TIMEOUT_NOW ||
            (f->type == RAFT_FRAME_APPEND && d->muted == REPL_DISTRUST_SUFFIX));]==])

# --- while all is well (L1): who moves, whose lease ends, who starts itself anew ---

sim_mutant(leases_end_now_and_then "an owner asks for its leases so seldom that one ends now and then"
  "L1-nobody_moves"
  replication/ownership.c [==[    uint64_t interval = o->options.heartbeat_ns;
]==] [==[    uint64_t interval = o->options.heartbeat_ns * 49 / 10;
]==])

sim_mutant(homeward_unasked "a shard goes home by itself where nothing is to be rebalanced"
  "L1-nobody_moves"
  replication/ownership_give.c [==[    if (!o->options.rebalance || now_ns - s->assigned_ns < o->options.settle_ns)]==]
  [==[    if (now_ns - s->assigned_ns < o->options.settle_ns)]==])

sim_mutant(gives_up_at_once "who waits for the others' state starts anew, whoever could give it"
  "L1-ends_for_cause"
  replication/replica_locked.c [==[    if (!replica_is_lost(r) || r->restoring != NULL)]==]
  [==[    if ((r->awaits_above == 0 && !replica_is_lost(r)) || r->restoring != NULL)]==])

sim_mutant(forgets_too_soon "a tenth of the time for which a key is in use is too long to have heard nothing"
  "L1-ends_for_cause"
  replication/replica_forget.c [==[    if (r->failed || at_ns == 0 || r->now_ns < at_ns || !has_session_key(r))]==]
  [==[    if (r->failed || at_ns == 0 || !has_session_key(r) ||
        r->now_ns + (r->options.key_age_ms * 9 / 10 + FORGET_MS) * NS_PER_MS < at_ns)]==])

sim_mutant(each_key_was_lost "whatever key a node is given is taken for the one that it went on without"
  "L1-ends_for_cause"
  replication/replica_keys.c [==[    if (in->id == r->blind) {]==] [==[    if (in->id != r->fsm.session_key) {]==])
