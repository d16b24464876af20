/* A majority is lost for good: one node goes on alone, under a new incarnation, without sessions. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/fsm_parts.h"
#include "replication/recover.h"
#include "replication/recover_survey.h"
#include "unit/repl/cluster.h"

enum { SAS = 80, SNAPSHOT = 64 };

/* Three nodes, sealed, with SAs, a snapshot if wanted; then all are off. *last: the epoch they had. */
static struct rig *lost(uint64_t seed, uint64_t snapshot_entries, struct repl_epoch *last)
{
    struct rig *rig = rig_create(3, 1, seed);

    rig_seal(rig);
    rig->snapshot_entries = snapshot_entries;
    rig->trailing = 4;
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    for (uint64_t i = 0; i < SAS; i++) { /* one by one: entries, not one entry */
        cluster_create_sas(rig, rig_owner(rig, 1), 1 + i, 1);
        cr_assert(rig_run(rig, 5000, rig_settled, rig_owner(rig, 1)));
    }
    (void)rig_run(rig, 1000, NULL, 0); /* snapshots, too */
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    *last = fsm_shard(replica_fsm(rig_node(rig, 1)->replica), 1)->epoch;
    for (uint32_t i = 1; i <= 3; i++)
        rig_kill(rig, i);
    return rig;
}

static const struct fsm *state(struct rig *rig, uint32_t node)
{
    return replica_fsm(rig_node(rig, node)->replica);
}

static struct repl_epoch epoch(struct rig *rig, uint32_t node)
{
    return fsm_shard(state(rig, node), 1)->epoch;
}

static bool above(struct repl_epoch a, struct repl_epoch b)
{
    return a.incarnation != b.incarnation ? a.incarnation > b.incarnation : a.index > b.index;
}

static uint8_t verdict(struct rig *rig, uint32_t node, Holdfast__Record *record)
{
    uint64_t request = rig_submit(rig, node, record);

    cr_assert(request != 0 && rig_run(rig, 5000, rig_settled, node));
    return rig_node(rig, node)->verdict[request];
}

/* From the log alone, and from a snapshot with the log behind it; the keys of sessions are gone. */
Test(repl_recover, a_survivor_goes_on_alone_and_all_sessions_end)
{
    for (int snapshots = 0; snapshots < 2; snapshots++) {
        struct repl_epoch old;
        struct rig *rig = lost(11, snapshots ? SNAPSHOT : 1000000, &old);
        struct maker m;
        struct repl_loaded before, after;

        sim_storage_load(rig_node(rig, 1)->storage, &before);
        cr_assert_eq(before.snapshot.index > 0, snapshots > 0);
        cr_assert(rig_recover(rig, 1, 0x123456));
        sim_storage_load(rig_node(rig, 1)->storage, &after);
        cr_assert(after.n_entries == 0 && after.snapshot.configuration.n_servers == 1);
        rig_start(rig, 1);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1), "the survivor owns nothing");
        cr_assert_eq(replica_incarnation(rig_node(rig, 1)->replica),
                     recover_incarnation(1, 0x123456));
        cr_assert(above(epoch(rig, 1), old));
        cr_assert_eq(state(rig, 1)->sas.n_used + state(rig, 1)->claims.n_used +
                         state(rig, 1)->leases.n_used,
                     0);
        cr_assert(fsm_member(state(rig, 1), 2)->left && fsm_member(state(rig, 1), 3)->left &&
                  !fsm_member(state(rig, 1), 1)->left && state(rig, 1)->config.version > 0);
        m = rig_maker(rig, 1, 1);
        m.incarnation = old.incarnation;
        m.epoch_index = old.index;
        cr_assert_eq(verdict(rig, 1, make_create(&m, 999, "old", 70000, 0x0a63ff00, "client")),
                     1 + REPL_REFUSED_EPOCH, "an owner of before wrote");
        m = rig_maker(rig, 1, 1);
        cr_assert_eq(verdict(rig, 1, make_extend(&m, 4097, 1, 1 << 20, 0)),
                     1 + REPL_REFUSED_UNKNOWN, "a number of before was extended");
        cluster_create_sas(rig, 1, 1, SAS); /* the same ids, SPIs and addresses */
        cr_assert(rig_run(rig, 5000, rig_settled, 1));
        cr_assert_eq(state(rig, 1)->sas.n_used, SAS);
        cluster_finish(rig);
    }
    (void)printf("compared %d SAs that ended\n", 2 * SAS);
}

/* The former key is kept over the end of the daemon, and must not be: what it sealed is over. */
Test(repl_recover, sessions_get_a_new_key_and_the_former_is_erased)
{
    struct rig *rig = rig_create(3, 1, 12);
    uint64_t former;

    rig_seal(rig);
    rig->stays_on = true;
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    former = state(rig, 2)->session_key;
    for (uint32_t i = 1; i <= 3; i++)
        rig_kill(rig, i);
    cr_assert(rig_recover(rig, 2, 1));
    cr_assert(former != 0 && rig_node(rig, 2)->memory[0].id == former);
    rig_start(rig, 2);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cr_assert(state(rig, 2)->session_key != 0 && state(rig, 2)->session_key != former);
    cr_assert_not(seal_ring_has(&rig_node(rig, 2)->ring, former));
    for (size_t i = 0; i < SEAL_RING_KEYS; i++)
        cr_assert_neq(rig_node(rig, 2)->memory[i].id, former);
    cluster_finish(rig);
}

/* One alone has no majority; two have one among themselves: that is why they must never be started
 * again. Whatever they do, the new cluster takes nothing from them. */
static void come_back(bool walls)
{
    struct repl_epoch old;
    struct rig *rig = lost(13, 1000000, &old);
    struct raft_driver_status before, after;
    struct maker m;

    rig->no_walls = !walls;
    cr_assert(rig_recover(rig, 1, 5));
    rig_start(rig, 1);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    rig_start(rig, 2);
    (void)rig_run(rig, 3000, NULL, 0);
    cr_assert_eq(raft_driver_status(replica_driver(rig_node(rig, 2)->replica)).leader, 0);
    cr_assert_eq(rig_owner(rig, 1), 1);
    before = raft_driver_status(replica_driver(rig_node(rig, 1)->replica));
    rig_start(rig, 3);
    (void)rig_run(rig, 5000, NULL, 0);
    after = raft_driver_status(replica_driver(rig_node(rig, 1)->replica));
    cr_assert(after.leader == 1 && after.term == before.term, "the returned moved the new cluster");
    cr_assert(!rig_node(rig, 1)->failed && fsm_member(state(rig, 1), 2)->left &&
              fsm_member(state(rig, 1), 3)->left);
    cr_assert(above(epoch(rig, 1), epoch(rig, 2)));
    m = rig_maker(rig, 1, 1);
    cr_assert_eq(verdict(rig, 1, make_token(&m, 2, 1, 60000)), 1 + REPL_REFUSED_EXISTS,
                 "an id was used again");
    cr_assert_eq(raft_driver_counters(replica_driver(rig_node(rig, 1)->replica))->foreign > 0,
                 !walls);
    rig_destroy(rig);
}

Test(repl_recover, nodes_that_come_back_are_not_heard)
{
    come_back(true);
}

/* Nor where they have a link, and nobody asks who has left: their frames name another incarnation. */
Test(repl_recover, nodes_that_come_back_are_refused_by_their_frames_alone)
{
    come_back(false);
}

/* What of these words of `from` node 1 took for somebody's: each of them is malformed, and told as such. */
static uint64_t heard(struct rig *rig, uint32_t from)
{
    static const enum repl_channel channels[] = {REPL_CHANNEL_RAFT, REPL_CHANNEL_OWNERSHIP,
                                                 REPL_CHANNEL_FORWARD, REPL_CHANNEL_KEYS};
    static const uint8_t words[] = {0xff, 0xff, 0xff};
    struct replica *r = rig_node(rig, 1)->replica;
    struct repl_status before, after;

    replica_status(r, rig->now_ms * 1000000, &before);
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        replica_frame(r, rig->now_ms * 1000000, from, channels[i], span_of(words, sizeof words));
    replica_status(r, rig->now_ms * 1000000, &after);
    return after.counters[REPL_COUNT_FRAMES_MALFORMED] -
           before.counters[REPL_COUNT_FRAMES_MALFORMED];
}

Test(repl_recover, who_has_left_is_not_heard)
{
    struct repl_epoch old;
    struct rig *rig = cluster_running(3, 15);

    cr_assert_eq(heard(rig, 2), 4, "a member is");
    cr_assert_eq(heard(rig, 7), 0);
    rig_destroy(rig);
    rig = lost(16, 1000000, &old);
    cr_assert(rig_recover(rig, 1, 16));
    rig_start(rig, 1);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cr_assert_eq(heard(rig, 2), 0);
    cr_assert_eq(heard(rig, 3), 0);
    rig_destroy(rig);
}

static bool has_snapshot(const struct rig *rig, uint64_t node)
{
    const struct raft_driver *d = replica_driver(rig->nodes[node - 1].replica);

    return raft_driver_status(d).snapshot_index > 0 && rig_settled(rig, node);
}

/* Not either by one that cannot read its state, for the key of sessions is lost: who has left stands in it
 * in front of the sessions. (tests/sim 1927: it gave its vote to a node of the former incarnation, and then
 * ended at each start, for that one's log contradicts what is committed here.) */
Test(repl_recover, who_has_left_is_not_heard_while_the_state_cannot_be_read)
{
    struct repl_epoch old;
    struct rig *rig = lost(17, 1000000, &old);
    struct replica *r;

    cr_assert(rig_recover(rig, 1, 17));
    rig->snapshot_entries = SNAPSHOT;
    rig_start(rig, 1);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    for (uint64_t i = 0; i < SAS; i++) {
        cluster_create_sas(rig, 1, 1 + i, 1);
        cr_assert(rig_run(rig, 5000, rig_settled, 1));
    }
    (void)rig_run(rig, 1000, NULL, 0);
    cr_assert(has_snapshot(rig, 1));
    rig_kill(rig, 1);
    rig_start(rig, 1);
    r = rig_node(rig, 1)->replica;
    cr_assert_eq(state(rig, 1)->n_members, 0, "it can read its state: the test shows nothing");
    cr_assert_eq(replica_incarnation(r), recover_incarnation(1, 17));
    cr_assert_eq(heard(rig, 2), 0);
    cr_assert_eq(heard(rig, 3), 0);
    rig_destroy(rig);
}

Test(repl_recover, each_time_a_higher_incarnation)
{
    struct repl_epoch old;
    struct rig *rig = lost(14, SNAPSHOT, &old);

    for (uint64_t i = 0; i < 4; i++) {
        struct repl_epoch now;

        cr_assert(rig_recover(rig, 3, 1000 - i));
        rig_start(rig, 3);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        now = epoch(rig, 3);
        cr_assert(above(now, old) && now.incarnation != old.incarnation);
        old = now;
        cluster_create_sas(rig, 3, 1, 3);
        cr_assert(rig_run(rig, 5000, rig_settled, 3));
        rig_kill(rig, 3);
    }
    rig_destroy(rig);
}

Test(repl_recover, two_survivors_apart_from_each_other_never_meet)
{
    struct repl_epoch old;
    struct rig *rig = lost(15, 1000000, &old);

    cr_assert(rig_recover(rig, 1, 5));
    cr_assert(rig_recover(rig, 2, 6));
    rig_start(rig, 1);
    rig_start(rig, 2);
    (void)rig_run(rig, 5000, NULL, 0);
    for (uint32_t i = 1; i <= 2; i++) {
        cr_assert_eq(raft_driver_status(replica_driver(rig_node(rig, i)->replica)).leader, i);
        cr_assert(fsm_member(state(rig, i), 3 - i)->left && !rig_node(rig, i)->failed);
        cr_assert(above(epoch(rig, i), old));
    }
    cr_assert_neq(replica_incarnation(rig_node(rig, 1)->replica),
                  replica_incarnation(rig_node(rig, 2)->replica));
    rig_destroy(rig);
}

static bool three_voters(const struct rig *rig, uint64_t node)
{
    struct repl_status st;
    size_t voters = 0;

    replica_status(rig->nodes[node - 1].replica, rig->now_ms * 1000000, &st);
    for (size_t i = 0; i < st.n_nodes; i++)
        voters += st.nodes[i].role == REPL_VOTER;
    return voters == 3;
}

/* Two machines join under new ids: they learn the incarnation, and own under it. */
Test(repl_recover, it_becomes_a_cluster_of_three_again)
{
    struct repl_epoch old;
    struct rig *rig = lost(16, 1000000, &old);
    struct maker m;

    cr_assert(rig_recover(rig, 2, 7));
    rig_start(rig, 2);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    rig->asked = 2;
    for (uint8_t i = 4; i <= 5; i++) {
        cr_assert_eq(rig_add(rig), i);
        rig_start(rig, i);
        cr_assert_eq(replica_incarnation(rig_node(rig, i)->replica), 0, "it knows nothing yet");
        m = rig_maker(rig, 2, 1);
        cr_assert_eq(verdict(rig, 2, make_token(&m, i, i, 60000)), 1);
        cr_assert_eq(verdict(rig, 2, make_join(&m, i, i)), 1);
    }
    cr_assert(rig_run(rig, 20000, three_voters, 2), "the new nodes do not vote");
    rig_kill(rig, 2);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1), "nobody took over");
    cr_assert_eq(replica_incarnation(rig_node(rig, 4)->replica), recover_incarnation(1, 7));
    cr_assert_eq(epoch(rig, rig_owner(rig, 1)).incarnation, recover_incarnation(1, 7));
    rig_start(rig, 2);
    cluster_finish(rig);
}

/* --- what there is to begin with --- */

static void ring_of(struct rig *rig, struct rig_node *n, struct recover_options *o)
{
    static const uint32_t founders[] = {1, 2, 3};
    struct replica_options keys = {.seal = &seal_none};

    if (rig->sealed)
        rig_take_keys(n, &keys);
    *o = (struct recover_options){.node = n->id,
                                  .founders = founders,
                                  .n_founders = 3,
                                  .seal = keys.seal,
                                  .ring = keys.ring,
                                  .random = 9};
}

Test(repl_recover, what_cannot_be_recovered_from_says_why)
{
    struct repl_epoch old;
    struct rig *rig = lost(17, 1000000, &old);
    struct recover_losses losses;
    struct repl_loaded loaded, nothing = {0};
    struct recover_options o;
    const char *why = "";
    struct recovered r;

    sim_storage_load(rig_node(rig, 1)->storage, &loaded);
    ring_of(rig, rig_node(rig, 1), &o);
    cr_assert(recover_look(&loaded, &o, &losses, &why));
    cr_assert(losses.n_nodes == 2 && losses.nodes[0] == 2 && losses.nodes[1] == 3 &&
              losses.former == 1 && losses.index == loaded.first_index + loaded.n_entries - 1);
    o.node = 4;
    cr_assert_not(recover_make(&loaded, &o, &r, &why));
    cr_assert_str_eq(why,
                     "this node was never a member of the cluster: there is nothing to recover");
    o.node = 1;
    cr_assert_not(recover_make(&nothing, &o, &r, &why));
    rig_node(rig, 2)->kept.bytes[0] ^= 1; /* another cluster's key */
    rig_node(rig, 2)->kept.id = seal_key_id(&rig_node(rig, 1)->ring.means, SEAL_CONFIGURATION,
                                            rig_node(rig, 2)->kept.bytes);
    ring_of(rig, rig_node(rig, 2), &o);
    cr_assert_not(recover_make(&loaded, &o, &r, &why), "it opened what it has no key for");
    rig_destroy(rig);
}

/* A backup is taken while all goes well, and holds no session in any form. */
Test(repl_recover, a_backup_begins_a_new_incarnation_too)
{
    struct rig *rig = rig_create(3, 1, 18);
    struct seal_ring *ring = &rig_node(rig, 1)->ring;
    struct recover_options o = {.node = 1, .seal = &ring->seal, .ring = ring, .random = 9};
    const char *why = "";
    struct recovered r;
    struct fsm fsm;
    uint8_t *backup;
    size_t n = 0;

    rig_seal(rig);
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cluster_create_sas(rig, rig_owner(rig, 1), 1, SAS);
    cr_assert(rig_run(rig, 5000, rig_settled, rig_owner(rig, 1)));
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    backup = recover_backup(state(rig, 1), &ring->seal, &n);
    cr_assert(backup != NULL && n > 0);
    cr_assert_eq(state(rig, 1)->sas.n_used, SAS, "the backup changed what it was taken of");
    cr_assert(recover_restore(span_of(backup, n), &o, &r, &why), "%s", why);
    cr_assert(r.meta.index > state(rig, 1)->applied_index && r.term == 1 && r.losses.n_nodes == 2);
    cr_assert(snapshot_restore(span_of(r.bytes, r.len), &ring->seal, r.incarnation, &fsm));
    cr_assert(fsm.sas.n_used == 0 && fsm.n_shards == 0 && fsm.session_key == 0 &&
              fsm.config.version > 0 && fsm_member(&fsm, 2)->left && fsm.n_members == 3);
    fsm_deinit(&fsm);
    free(r.bytes);
    for (size_t i = 0; i < n; i++) { /* damage is never taken for a backup */
        backup[i] ^= 0x40;
        cr_assert_not(recover_restore(span_of(backup, n), &o, &r, &why), "byte %zu", i);
        backup[i] ^= 0x40;
        cr_assert_not(recover_restore(span_of(backup, i), &o, &r, &why), "cut at %zu", i);
    }
    (void)printf("compared %zu bytes of a backup, each damaged and cut there\n", n);
    free(backup);
    cluster_finish(rig);
}

/* --- what is written down (I17) --- */

static struct recover_options option_of(uint32_t node, const char *why, uint32_t highest_id)
{
    struct recover_options o = {
        .node = node, .seal = &seal_none, .random = 9, .word = {.highest_id = highest_id}};

    (void)snprintf(o.word.why, sizeof o.word.why, "%s", why);
    return o;
}

/* A state with members 1 and 2, begun anew by node 1. */
static struct fsm begun(const char *why, uint32_t highest_id, struct recovered *r)
{
    struct recover_options o = option_of(1, why, highest_id);
    const char *said = "";
    uint8_t *backup;
    struct fsm fsm;
    size_t n;

    fsm_init(&fsm, 1);
    fsm_found(&fsm, 1);
    fsm_found(&fsm, 2);
    fsm_begin_entry(&fsm, 5, 1000);
    backup = recover_backup(&fsm, &seal_none, &n);
    fsm_deinit(&fsm);
    cr_assert(recover_restore(span_of(backup, n), &o, r, &said), "%s", said);
    free(backup);
    cr_assert(snapshot_restore(span_of(r->bytes, r->len), &seal_none, r->incarnation, &fsm));
    return fsm;
}

Test(repl_recover, who_and_why_are_in_the_state_that_is_made)
{
    struct recovered r, other;
    struct fsm fsm = begun("fire", 0, &r), second = begun("water", 0, &other);
    const struct repl_beginning *b = &fsm.beginnings[0];
    struct digest one = fsm_content_digest(&fsm), two = fsm_content_digest(&second);

    cr_assert_eq(fsm.n_beginnings, 1);
    cr_assert(b->how == REPL_RESTORED && b->former == 1 && b->incarnation == r.incarnation &&
              b->node == 1 && b->index == 5 && b->n_given_up == 1 && b->given_up[0] == 2);
    cr_assert_str_eq(b->word.why, "fire");
    cr_assert(one.a != two.a && one.b != two.b, "two accounts of one beginning have one digest");
    cr_assert_eq(fsm_spoken(&fsm), RECORD_SPEAKS, "a program that cannot read it may go on");
    fsm_deinit(&fsm);
    fsm_deinit(&second);
    free(r.bytes);
    free(other.bytes);
}

/* A survivor that lags, or a backup, does not know of all ids that there were: the operator does (I9). */
Test(repl_recover, ids_that_were_lost_sight_of_are_not_given_again)
{
    struct recovered r;
    struct fsm fsm = begun("", 7, &r);
    uint8_t hash[RECORD_TOKEN_BYTES] = {1};
    Holdfast__JoinToken token = HOLDFAST__JOIN_TOKEN__INIT;

    token.address = (char *)(uintptr_t) "10.0.0.4:7400";
    token.hash = (ProtobufCBinaryData){.data = hash, .len = sizeof hash};
    token.valid_ms = 1000;
    for (token.node = 1; token.node <= 7; token.node++)
        cr_assert_eq(fsm_apply_token(&fsm, &token), REPL_REFUSED_EXISTS, "node %u", token.node);
    cr_assert_eq(fsm_apply_token(&fsm, &token), REPL_ACCEPTED);
    cr_assert_eq(fsm_highest_id(&fsm), 8, "what a token permits is used");
    fsm_deinit(&fsm);
    free(r.bytes);
}

/* The newest ones are kept, and each recovery knows what the one before it did. */
Test(repl_recover, the_newest_beginnings_are_kept)
{
    struct recovered r;
    struct fsm fsm = begun("0", 50, &r);

    for (uint32_t i = 1; i <= REPL_MAX_BEGINNINGS + 3; i++) {
        struct repl_beginning b = {.how = REPL_RECOVERED,
                                   .incarnation = fsm.incarnation + 1,
                                   .former = fsm.incarnation,
                                   .node = 1};

        (void)snprintf(b.word.why, sizeof b.word.why, "%u", i);
        fsm_refound(&fsm, &b);
    }
    cr_assert_eq(fsm.n_beginnings, REPL_MAX_BEGINNINGS);
    cr_assert_str_eq(fsm.beginnings[0].word.why, "4");
    cr_assert_str_eq(fsm.beginnings[REPL_MAX_BEGINNINGS - 1].word.why, "19");
    cr_assert(fsm.used_ids == 50 && fsm.beginnings[REPL_MAX_BEGINNINGS - 1].word.highest_id == 50);
    fsm_deinit(&fsm);
    free(r.bytes);
}

Test(repl_recover, incarnations_count_and_differ)
{
    cr_assert_eq(recover_incarnation(1, 0), 1ull << 42);
    cr_assert_gt(recover_incarnation(1, UINT64_MAX), 1);
    cr_assert_lt(recover_incarnation(1, UINT64_MAX), 1ull << 53);
    cr_assert_gt(recover_incarnation(recover_incarnation(1, UINT64_MAX), 0),
                 recover_incarnation(1, UINT64_MAX));
    cr_assert_neq(recover_incarnation(1, 5), recover_incarnation(1, 6));
    cr_assert_eq(recover_incarnation(1023ull << 42, 0), 0);
    cr_assert_eq(recover_incarnation(0, 0), 0);
}

static struct recover_survey survey(struct rig *rig, uint32_t node)
{
    struct repl_status st;

    replica_status(rig_node(rig, node)->replica, rig->now_ms * 1000000, &st);
    cr_assert(st.leader == 0 && !st.quorum);
    return recover_survey(&st);
}

/* Who is on the way out votes until a configuration without him is in the log: two of four are no majority,
 * though three will stay. */
Test(repl_recover, who_leaves_still_counts_as_a_voter)
{
    struct repl_status st = {.node = 1, .n_nodes = 4};
    struct recover_survey s;

    for (uint32_t i = 0; i < 4; i++)
        st.nodes[i] = (struct repl_node_status){.node = i + 1,
                                                .connected = i < 2,
                                                .role = i < 3 ? REPL_VOTER : REPL_LEAVING,
                                                .votes = true};
    s = recover_survey(&st);
    cr_assert(s.member && s.voters == 4 && s.able == 2 && s.n_lost == 3);
    st.nodes[3].votes = false;
    s = recover_survey(&st);
    cr_assert(s.voters == 3 && s.able == 2 && s.n_lost == 3);
}

/* The power of all failed, and their disks are not trusted after that: nobody can vouch for anybody, so no
 * leader comes for ever, although all are there. `cluster recover` is the way out and must not take them for
 * a majority; with two of three whose disks count it must. */
Test(repl_recover, a_majority_under_distrust_is_none)
{
    for (uint32_t trusted = 0; trusted <= 1; trusted++) {
        struct repl_epoch last;
        struct rig *rig = lost(8600 + trusted, SNAPSHOT, &last);

        for (uint32_t i = 1 + trusted; i <= 3; i++) {
            struct repl_storage s = sim_storage_interface(rig_node(rig, i)->storage);

            s.distrust(s.self, REPL_DISTRUST_BOOT);
            sim_storage_flush(rig_node(rig, i)->storage);
        }
        for (uint32_t i = 1; i <= 3; i++)
            rig_start(rig, i);
        cr_assert_not(rig_run(rig, 10000, rig_has_leader, 0));
        for (uint32_t i = 1; i <= 3; i++) {
            struct recover_survey s = survey(rig, i);

            cr_assert(s.member && s.voters == 3 && s.n_lost == 2 && s.able == trusted,
                      "node %u: %zu voters, %zu of them able", i, s.voters, s.able);
        }
        for (uint32_t i = 1; i <= 3; i++)
            rig_kill(rig, i);
        cr_assert(rig_recover(rig, 1, 9 + trusted));
        rig_start(rig, 1);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        cr_assert(above(epoch(rig, 1), last));
        rig_destroy(rig);
    }
    /* two of three are trusted, and wait only for their election */
    struct rig *rig = cluster_running(3, 8610);
    struct repl_storage s;

    for (uint32_t i = 1; i <= 3; i++)
        rig_kill(rig, i);
    s = sim_storage_interface(rig_node(rig, 3)->storage);
    s.distrust(s.self, REPL_DISTRUST_BOOT);
    sim_storage_flush(rig_node(rig, 3)->storage);
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cluster_finish(rig);
}
