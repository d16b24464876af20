/* Sealing keys go to members and come from members: not to and from those who only have a token, nor
 * those who were removed, whatever a node that has just started does not know yet. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "crypto/tables.h"
#include "replication/seal_message.h"
#include "unit/repl/cluster.h"
#include "unit/repl/outsider.h"

/* A daemon on the network that says what the test wants, and counts the keys that it is given. */
struct spy {
    struct repl_transport_listener listener;
    struct repl_transport transport;
    uint64_t answers, given[2]; /* by seal_kind - 1 */
};

static void spy_hears(void *self, uint32_t from, enum repl_channel channel, struct span bytes)
{
    struct spy *spy = self;
    struct seal_message in;

    (void)from;
    if (channel != REPL_CHANNEL_KEYS || !seal_message_decode(bytes, &in))
        return;
    spy->answers++;
    if (in.what == SEAL_GIVE)
        spy->given[in.kind == SEAL_SESSION]++;
}

static void spy_link(void *self, uint32_t node, bool up)
{
    (void)self;
    (void)node;
    (void)up;
}

static void spy_starts(struct rig *rig, struct spy *spy, uint32_t as)
{
    *spy = (struct spy){.listener = {.self = spy, .frame = spy_hears, .link = spy_link},
                        .transport = sim_network_transport(rig->network, as)};
    sim_network_attach(rig->network, as, &spy->listener);
}

static void spy_ends(struct rig *rig, uint32_t as)
{
    sim_network_detach(rig->network, as);
    (void)rig_run(rig, 100, NULL, 0);
}

static void spy_says(struct rig *rig, struct spy *spy, uint32_t to, struct seal_message message)
{
    uint8_t bytes[SEAL_MESSAGE_BYTES];
    struct span part = span_of(bytes, seal_message_encode(&message, bytes));

    cr_assert(spy->transport.send(spy->transport.self, to, REPL_CHANNEL_KEYS, &part, 1));
    (void)rig_run(rig, 100, NULL, 0);
}

/* Whatever one can ask for: the keys in use, and that one by its id. */
static void spy_asks_all(struct rig *rig, struct spy *spy, uint32_t to, uint64_t session)
{
    spy_says(rig, spy, to, (struct seal_message){.what = SEAL_WANT, .kind = SEAL_CONFIGURATION});
    spy_says(rig, spy, to, (struct seal_message){.what = SEAL_WANT, .kind = SEAL_SESSION});
    spy_says(rig, spy, to,
             (struct seal_message){.what = SEAL_WANT, .kind = SEAL_SESSION, .id = session});
}

static uint64_t id_of_key(uint8_t fill, uint8_t key[SEAL_KEY_BYTES])
{
    struct seal_means means;

    memset(key, fill, SEAL_KEY_BYTES);
    HF_ASSERT(seal_means_of(&suite_default, &means));
    return seal_key_id(&means, SEAL_SESSION, key);
}

static bool has_snapshot(const struct rig *rig, uint64_t node)
{
    return raft_driver_status(replica_driver(rig->nodes[node - 1].replica)).snapshot_index > 0;
}

/* Three members with a snapshot each, keys in the memory of machines that stay on, and a token for a
 * fourth node, which is known to all: all were started anew with it in their lists. */
static struct rig *with_token(uint64_t seed, uint32_t speaks, uint64_t *session)
{
    struct rig *rig = rig_create(3, 1, seed);
    struct maker m;
    uint32_t id;

    rig_seal(rig);
    rig->snapshot_entries = 64;
    rig->trailing = 8;
    rig->stays_on = true;
    rig_node(rig, 2)->speaks = speaks;
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    m = rig_maker(rig, 1, 1);
    id = rig_add(rig);
    cr_assert_neq(rig_submit(rig, 1, make_token(&m, id, (uint8_t)id, 600000)), 0);
    cr_assert(rig_run(rig, 5000, rig_settled, 1));
    for (uint64_t k = 0; k < 100; k++) {
        cluster_create_sas(rig, rig_owner(rig, 1), 1 + k, 1);
        (void)rig_run(rig, 50, NULL, 0);
    }
    for (uint32_t i = 1; i <= 3; i++) {
        cr_assert(rig_run(rig, 20000, has_snapshot, i));
        cr_assert_eq(rig_node(rig, i)->n_peers, 4, "node %u does not know the fourth", i);
    }
    *session = replica_fsm(rig_node(rig, 1)->replica)->session_key;
    cr_assert_neq(*session, 0);
    for (uint32_t i = 1; i <= 3; i++)
        rig_kill(rig, i);
    return rig;
}

static bool is_configured(struct rig *rig, uint32_t node, uint32_t as)
{
    struct repl_configuration c = replica_newest_configuration(rig_node(rig, as)->replica);

    for (size_t i = 0; i < c.n_servers; i++)
        if (c.servers[i].node == node)
            return true;
    return false;
}

static uint64_t keys_given(struct rig *rig, uint32_t to, uint32_t by, uint64_t session)
{
    struct spy spy;

    spy_starts(rig, &spy, to);
    spy_asks_all(rig, &spy, by, session);
    spy_ends(rig, to);
    return spy.given[0] + spy.given[1];
}

/* No majority is there, so it never hears what became of the token. */
Test(repl_admit, a_token_gets_no_key_from_one_that_starts_anew)
{
    uint64_t session;
    struct rig *rig = with_token(9100, 0, &session);
    struct seal_message give = {.what = SEAL_GIVE, .kind = SEAL_SESSION};
    struct seal_message past = {.what = SEAL_PAST, .kind = SEAL_SESSION, .index = 1};
    struct spy spy;

    rig_start(rig, 1);
    rig_start(rig, 4);
    (void)rig_run(rig, 5000, NULL, 0);
    cr_assert_eq(rig_node(rig, 4)->kept.id, 0, "it has the configuration's key");
    rig_kill(rig, 4);
    spy_starts(rig, &spy, 4);
    spy_asks_all(rig, &spy, 1, session);
    cr_assert_eq(spy.given[0], 0, "it is given the configuration's key");
    cr_assert_eq(spy.given[1], 0, "it is given the sessions' key");
    give.id = id_of_key(9, give.key);
    past.id = give.id;
    spy_says(rig, &spy, 1, give);
    cr_assert_not(seal_ring_has(&rig_node(rig, 1)->ring, give.id), "a stranger's key is taken");
    spy_says(rig, &spy, 1, past);
    cr_assert_eq(spy.answers, 0, "it hears what became of a key");
    spy_ends(rig, 4);
    /* The same words of a member are heard. */
    spy_starts(rig, &spy, 2);
    spy_asks_all(rig, &spy, 1, session);
    cr_assert_eq(spy.given[0], 1);
    cr_assert_geq(spy.given[1], 1);
    spy.answers = 0;
    spy_says(rig, &spy, 1, past);
    cr_assert_eq(spy.answers, 1);
    spy_says(rig, &spy, 1, give);
    cr_assert(seal_ring_has(&rig_node(rig, 1)->ring, give.id));
    spy_ends(rig, 2);
    rig_destroy(rig);
}

/* One that has just started hears whoever says that he leads, and a configuration is not sealed: one that
 * nobody but that leader made gets him no key, neither as it comes nor when it was on the disk at a start. */
Test(repl_admit, a_token_gets_no_key_by_an_entry_of_its_own)
{
    uint64_t session;
    struct rig *rig = with_token(9108, 0, &session);

    rig_start(rig, 1);
    (void)rig_run(rig, 1000, NULL, 0);
    outsider_appends_itself(rig, 4, 1, true);
    cr_assert(is_configured(rig, 4, 1), "nothing is tried");
    cr_assert_eq(keys_given(rig, 4, 1, session), 0, "it is given a key");
    rig_kill(rig, 1);
    rig_start(rig, 1);
    cr_assert(is_configured(rig, 4, 1), "nothing is tried");
    cr_assert_eq(keys_given(rig, 4, 1, session), 0, "it is given a key after a start");
    cr_assert_geq(keys_given(rig, 2, 1, session), 2, "a member is given none");
    rig_destroy(rig);
}

/* What leaves is a member in a state that is older than that: whom the newest configuration does not name any
 * more is given none, whatever nobody has applied yet. */
Test(repl_admit, who_is_in_no_configuration_gets_no_key_from_one_that_starts_anew)
{
    static const struct repl_configuration without = {.n_servers = 2, .servers = {{1, 1}, {2, 1}}};
    uint64_t session;
    struct rig *rig = with_token(9111, 0, &session);

    rig_start(rig, 1);
    (void)rig_run(rig, 1000, NULL, 0);
    outsider_appends(rig, 2, 1, without, false);
    cr_assert_not(is_configured(rig, 3, 1), "nothing is tried");
    cr_assert_eq(keys_given(rig, 3, 1, session), 0, "it is given a key");
    rig_destroy(rig);
}

/* Who joined is known by the log's end, or by a snapshot that cannot be read to its end, before any of it is
 * applied: of two of three that start anew one may have lost its file. */
Test(repl_admit, who_joined_gets_keys_from_one_that_has_not_applied_it)
{
    for (int in_snapshot = 0; in_snapshot < 2; in_snapshot++) {
        uint64_t session;
        struct rig *rig = with_token(9112, 0, &session);
        struct maker m;

        rig->snapshot_entries = in_snapshot ? 64 : 1000000;
        for (uint32_t i = 1; i <= 4; i++)
            rig_start(rig, i);
        cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
        m = rig_maker(rig, rig_owner(rig, 1), 1);
        cr_assert_neq(rig_submit(rig, m.node, make_join(&m, 4, 4)), 0);
        (void)rig_run(rig, 5000, NULL, 0);
        for (uint64_t k = 0; k < 100 && in_snapshot; k++) {
            cluster_create_sas(rig, rig_owner(rig, 1), 1000 + k, 1);
            (void)rig_run(rig, 50, NULL, 0);
        }
        for (uint32_t i = 1; i <= 4; i++)
            rig_kill(rig, i);
        session = rig_node(rig, 1)->memory[0].id;
        if (in_snapshot)
            memset(rig_node(rig, 1)->memory, 0, sizeof rig_node(rig, 1)->memory);
        rig_start(rig, 1);
        cr_assert_eq(replica_is_stuck(rig_node(rig, 1)->replica), in_snapshot);
        cr_assert(is_configured(rig, 4, 1));
        cr_assert_null(fsm_member(replica_fsm(rig_node(rig, 1)->replica), 4), "it is applied");
        cr_assert_geq(keys_given(rig, 4, 1, session), in_snapshot ? 1 : 2);
        rig_destroy(rig);
    }
}

/* Nor from one that was cut off, and hears it by a member's word. */
Test(repl_admit, a_token_gets_no_key_from_one_that_hears_it)
{
    uint64_t session;
    struct rig *rig = with_token(9109, 0, &session);
    struct repl_node_address word = {.node = 4};

    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    session = replica_fsm(rig_node(rig, 1)->replica)->session_key;
    rig_kill(rig, 2);
    rig_kill(rig, 3);
    (void)rig_run(rig, 2000, NULL, 0);
    replica_introduce(rig_node(rig, 1)->replica, rig->now_ms * 1000000, 2, &word, 1);
    outsider_appends_itself(rig, 4, 1, true);
    cr_assert(is_configured(rig, 4, 1), "nothing is tried");
    cr_assert_eq(keys_given(rig, 4, 1, session), 0, "it is given a key");
    cr_assert_geq(keys_given(rig, 2, 1, session), 2, "a member is given none");
    rig_destroy(rig);
}

static void says_gone(struct rig *rig, uint32_t from, uint32_t to)
{
    struct seal_message gone = {.what = SEAL_GONE, .kind = SEAL_SESSION};
    struct spy spy;

    gone.id = rig_node(rig, to)->replica->need.key;
    spy_starts(rig, &spy, from);
    spy_says(rig, &spy, to, gone);
    spy_ends(rig, from);
}

/* One that waits for a key believes members alone that they went on without it: its own state is given up
 * for theirs then. */
Test(repl_admit, a_token_does_not_say_what_became_of_a_key)
{
    uint64_t session;
    struct rig *rig = with_token(9110, 0, &session);
    const struct replica *r;

    memset(rig_node(rig, 1)->memory, 0, sizeof rig_node(rig, 1)->memory);
    rig_start(rig, 1);
    (void)rig_run(rig, 200, NULL, 0);
    r = rig_node(rig, 1)->replica;
    cr_assert(replica_is_stuck(r) && !r->ownership.confirmed && r->need.key != 0);
    says_gone(rig, 4, 1);
    cr_assert_eq(r->awaits_above, 0, "it gives up its state by a stranger's word");
    cr_assert_eq(r->need.n_words, 0, "a stranger's word is kept");
    says_gone(rig, 2, 1);
    cr_assert_neq(r->awaits_above, 0);
    rig_destroy(rig);
}

/* Whom node 1 copies to what members keep to themselves: half-open SAs, with keys. */
static size_t linked_members(const struct rig *rig, bool *fourth)
{
    uint32_t nodes[REPL_MAX_NODES];
    struct repl_status st;
    size_t n;

    replica_status(rig->nodes[0].replica, rig->now_ms * 1000000, &st);
    n = repl_linked_members(&st, nodes);
    *fourth = false;
    for (size_t i = 0; i < n; i++)
        *fourth = *fourth || nodes[i] == 4;
    return n;
}

/* Once it has joined it gets both, from members that are up. */
Test(repl_admit, who_joined_gets_the_keys)
{
    uint64_t session;
    struct rig *rig = with_token(9101, 0, &session);
    struct maker m;
    bool fourth;

    for (uint32_t i = 1; i <= 4; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
    (void)rig_run(rig, 2000, NULL, 0);
    cr_assert_eq(rig_node(rig, 4)->kept.id, 0);
    cr_assert_eq(linked_members(rig, &fourth), 2);
    cr_assert_not(fourth, "who has a token is no member");
    m = rig_maker(rig, 1, 1);
    cr_assert_neq(rig_submit(rig, 1, make_join(&m, 4, 4)), 0);
    cr_assert(rig_run(rig, 5000, rig_settled, 1));
    (void)rig_run(rig, 5000, NULL, 0);
    cr_assert_eq(rig_node(rig, 4)->kept.id, rig_node(rig, 1)->kept.id);
    cr_assert(seal_ring_has(&rig_node(rig, 4)->ring,
                            replica_fsm(rig_node(rig, 1)->replica)->session_key));
    cr_assert_eq(linked_members(rig, &fourth), 3);
    cr_assert(fourth);
    cluster_finish(rig);
}

/* A configuration's key that none of the nodes has. */
static struct seal_message strangers_key(void)
{
    struct seal_message give = {.what = SEAL_GIVE, .kind = SEAL_CONFIGURATION, .key = {7}};
    struct seal_means means;

    HF_ASSERT(seal_means_of(&suite_default, &means));
    give.id = seal_key_id(&means, give.kind, give.key);
    return give;
}

/* A key that a node takes is stored for good: one that lost its own takes none of who is no member. */
Test(repl_admit, a_token_gives_no_key_to_one_that_lost_its_own)
{
    uint64_t session;
    struct rig *rig = with_token(9102, 0, &session);
    struct seal_message give = strangers_key();
    struct spy spy;

    memset(&rig_node(rig, 3)->kept, 0, sizeof rig_node(rig, 3)->kept);
    rig_start(rig, 3);
    spy_starts(rig, &spy, 4);
    spy_says(rig, &spy, 3, give);
    cr_assert_eq(rig_node(rig, 3)->kept.id, 0, "it took a stranger's key");
    spy_ends(rig, 4);
    rig_start(rig, 1);
    (void)rig_run(rig, 1000, NULL, 0);
    cr_assert_eq(rig_node(rig, 3)->kept.id, rig_node(rig, 1)->kept.id);
    rig_destroy(rig);
}

/* Nor does a founder that never had one, and has no record yet that would tell which it must be. */
Test(repl_admit, a_token_gives_no_key_to_one_that_has_no_record_yet)
{
    struct rig *rig = rig_create(3, 1, 9107);
    struct seal_message give = strangers_key();
    struct spy spy;

    rig_seal(rig);
    (void)rig_add(rig);
    memset(&rig_node(rig, 3)->kept, 0, sizeof rig_node(rig, 3)->kept);
    rig_start(rig, 3);
    spy_starts(rig, &spy, 4);
    spy_says(rig, &spy, 3, give);
    cr_assert_eq(rig_node(rig, 3)->kept.id, 0, "it took a stranger's key");
    spy_ends(rig, 4);
    spy_starts(rig, &spy, 2);
    spy_says(rig, &spy, 3, give);
    cr_assert_eq(rig_node(rig, 3)->kept.id, give.id, "a member's is taken");
    spy_ends(rig, 2);
    rig_destroy(rig);
}

static bool knows_it_left(const struct rig *rig, uint64_t node)
{
    const struct fsm_member *m = fsm_member(replica_fsm(rig->nodes[0].replica), (uint32_t)node);

    return m != NULL && m->left;
}

static bool is_in_no_configuration(const struct rig *rig, uint64_t node)
{
    struct repl_configuration c =
        raft_driver_newest_configuration(replica_driver(rig->nodes[0].replica));

    for (size_t i = 0; i < c.n_servers; i++)
        if (c.servers[i].node == node)
            return false;
    return true;
}

/* The state that a node starts with may be older than the removal; its log is not. (An older member:
 * nothing rotates, and no snapshot is made for that.) */
Test(repl_admit, the_removed_gets_no_key_from_one_that_starts_anew)
{
    uint64_t session;
    struct rig *rig = with_token(9103, RECORD_SPEAKS_ROTATION - 1, &session);
    struct maker m;
    struct spy spy;

    rig->snapshot_entries = 1000000;
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
    if (rig_owner(rig, 1) == 3) {
        rig_kill(rig, 3);
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    }
    m = rig_maker(rig, rig_owner(rig, 1), 1);
    cr_assert_neq(rig_submit(rig, m.node, make_leave(&m, 3)), 0);
    cr_assert(rig_run(rig, 5000, knows_it_left, 3));
    cr_assert(rig_run(rig, 5000, is_in_no_configuration, 3));
    (void)rig_run(rig, 3000, NULL, 0);
    for (uint32_t i = 1; i <= 3; i++)
        if (rig_node(rig, i)->up)
            rig_kill(rig, i);
    session = rig_node(rig, 1)->memory[0].id;
    rig_start(rig, 1);
    cr_assert_not(knows_it_left(rig, 3), "its snapshot tells of it already: nothing is tried");
    spy_starts(rig, &spy, 3);
    spy_asks_all(rig, &spy, 1, session);
    cr_assert_eq(spy.given[0] + spy.given[1], 0, "the removed node is given a key");
    spy_ends(rig, 3);
    outsider_appends_itself(rig, 3, 1, false);
    cr_assert(is_configured(rig, 3, 1) && !knows_it_left(rig, 3), "nothing is tried");
    cr_assert_eq(keys_given(rig, 3, 1, session), 0, "it is given a key by an entry of its own");
    rig_destroy(rig);
}

/* A key may have been drawn behind a removal that this node has not applied: whom it is not for, only the
 * log says, up to the key's own record. */
Test(repl_admit, a_key_that_the_state_does_not_name_goes_to_nobody)
{
    struct rig *rig = rig_create(3, 1, 9104);
    struct seal_message give = {.what = SEAL_GIVE, .kind = SEAL_SESSION};
    struct spy spy;
    uint64_t session;

    rig_seal(rig);
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    session = replica_fsm(rig_node(rig, 2)->replica)->session_key;
    rig_kill(rig, 1);
    rig_kill(rig, 3);
    give.id = id_of_key(7, give.key);
    spy_starts(rig, &spy, 1); /* as its leader would, which has applied the removal of 3 */
    spy_says(rig, &spy, 2, give);
    cr_assert(seal_ring_has(&rig_node(rig, 2)->ring, give.id));
    spy_ends(rig, 1);
    spy_starts(rig, &spy, 3);
    spy_says(rig, &spy, 2,
             (struct seal_message){.what = SEAL_WANT, .kind = SEAL_SESSION, .id = give.id});
    cr_assert_eq(spy.given[1], 0, "it is given the key that was drawn without it");
    spy_says(rig, &spy, 2,
             (struct seal_message){.what = SEAL_WANT, .kind = SEAL_SESSION, .id = session});
    cr_assert_eq(spy.given[1], 1);
    spy_ends(rig, 3);
    rig_destroy(rig);
}

static bool has_another_key(const struct rig *rig, uint64_t former)
{
    return replica_fsm(rig->nodes[0].replica)->session_key != former;
}

/* One is linked by its token, one was removed and is linked yet: neither is given the next key, asked or
 * not. */
Test(repl_admit, another_key_goes_to_members_only)
{
    uint64_t session;
    struct rig *rig = with_token(9105, 0, &session);
    struct spy expected, removed;
    struct maker m;

    rig_start(rig, 1);
    rig_start(rig, 2);
    cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
    spy_starts(rig, &expected, 4);
    spy_starts(rig, &removed, 3);
    session = replica_fsm(rig_node(rig, 1)->replica)->session_key;
    m = rig_maker(rig, rig_owner(rig, 1), 1);
    cr_assert_neq(rig_submit(rig, m.node, make_leave(&m, 3)), 0);
    cr_assert(rig_run(rig, 20000, has_another_key, session));
    cr_assert_eq(expected.given[1] + removed.given[1], 0, "it was given what it did not ask for");
    spy_asks_all(rig, &expected, 1, replica_fsm(rig_node(rig, 1)->replica)->session_key);
    cr_assert_eq(expected.answers, 0, "%d answers", (int)expected.answers);
    spy_ends(rig, 4);
    spy_ends(rig, 3);
    rig_destroy(rig);
}

static uint64_t is_given(struct rig *rig, uint32_t to, uint32_t by, uint64_t session)
{
    struct spy spy;

    spy_starts(rig, &spy, to);
    spy_says(rig, &spy, by,
             (struct seal_message){.what = SEAL_WANT, .kind = SEAL_SESSION, .id = session});
    spy_ends(rig, to);
    return spy.given[1];
}

static bool node_2_has_it(const struct rig *rig, uint64_t key)
{
    return seal_ring_has(&((struct rig_node *)(uintptr_t)&rig->nodes[1])->ring, key);
}

/* Its state stands in front of the removal, and it is given the next key as a member. The end of its log is
 * without who was removed: only whom that names gets it. */
Test(repl_admit, who_stands_still_gives_keys_to_whom_its_log_names)
{
    struct rig *rig = rig_create(3, 1, 9106);
    uint64_t session;
    struct maker m;

    rig_seal(rig);
    for (uint32_t i = 1; i <= 3; i++)
        rig_start(rig, i);
    cr_assert(rig_run(rig, 10000, rig_has_owner, 1));
    cr_assert(rig_run(rig, 5000, rig_agrees, 0));
    (void)rig_run(rig, 1000, NULL, 0);
    cr_assert_eq(rig_owner(rig, 1), 1);
    cluster_lead(rig, 1);
    rig_node(rig, 2)->replica->halted =
        true; /* as at a record of a version that it does not know */
    session = replica_fsm(rig_node(rig, 1)->replica)->session_key;
    m = rig_maker(rig, 1, 1);
    cr_assert_neq(rig_submit(rig, 1, make_leave(&m, 3)), 0);
    cr_assert(rig_run(rig, 20000, has_another_key, session));
    session = replica_fsm(rig_node(rig, 1)->replica)->session_key;
    cr_assert(rig_run(rig, 5000, node_2_has_it, session));
    cr_assert(rig_run(rig, 5000, is_in_no_configuration, 3));
    (void)rig_run(rig, 100, NULL, 0);
    cr_assert_not(is_configured(rig, 3, 2), "it has not stored the change");
    cr_assert_not(replica_has_left(rig_node(rig, 2)->replica, 3), "it has applied the removal");
    rig_kill(rig, 3);
    cr_assert_eq(is_given(rig, 3, 2, session), 0, "the removed node has the next key");
    rig_kill(rig, 1);
    cr_assert_gt(is_given(rig, 1, 2, session), 0, "nobody is given anything");
    rig_destroy(rig);
}
