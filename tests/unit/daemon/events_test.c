/* Three nodes over one log, the real engine and state machine: what each of them shows to watchers is the same to the
 * byte, and says what happened. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/events.h"
#include "unit/conductor/world.h"

enum { NODES = 3, SOME = 1 << 18 };

static struct world *w;
static struct events nodes[NODES];
static bool asleep[NODES]; /* it does not hear the log */
static char said[NODES][SOME];
static uint64_t incarnation;

static void (*hand_on)(void *self, const struct repl_event *ev, void *submitter, void *op);

static uint64_t ask(void *self)
{
    (void)self;
    return incarnation;
}

static void tell(void *self, const struct repl_event *ev, void *submitter, void *op)
{
    for (unsigned i = 0; i < NODES; i++)
        if (!asleep[i])
            events_take(&nodes[i], ev);
    hand_on(self, ev, submitter, op);
}

static void tune(struct ike_policy *gateway, struct ike_policy *client)
{
    (void)client;
    gateway->dpd_ms = 20000;
}

static void start(void)
{
    w = world_create(tune);
    incarnation = 1;
    hand_on = w->gateway_log.tell;
    w->gateway_log.tell = tell;
    for (unsigned i = 0; i < NODES; i++) {
        events_init(&nodes[i], i + 1, ask, NULL);
        conductor_tell_sessions(w->nodes[i].conductor, events_session, &nodes[i]);
    }
}

static void end(void)
{
    world_destroy(w);
    for (unsigned i = 0; i < NODES; i++)
        events_deinit(&nodes[i]);
}

TestSuite(events, .init = start, .fini = end, .timeout = 60);

/* All that a watcher of that role would have been shown by node i since its beginning. */
static const char *shown_by(unsigned i, enum api_role role)
{
    struct api_cursor c;
    size_t all = 0, n = 0;

    api_feed_flush(nodes[i].feed);
    cr_assert_eq(api_feed_oldest(nodes[i].feed, &c), API_FEED_STARTS);
    do {
        cr_assert_eq(api_feed_read(nodes[i].feed, &c, role, said[i] + all, SOME - 1 - all, &n),
                     API_FEED_READ);
        all += n;
    } while (n > 0);
    said[i][all] = '\0';
    return said[i];
}

static void expect_same(void)
{
    for (unsigned i = 1; i < NODES; i++)
        cr_assert_str_eq(shown_by(i, API_ROLE_NONE), shown_by(0, API_ROLE_NONE));
    cr_assert_gt(strlen(said[0]), 0);
}

static unsigned count_of(const char *text)
{
    const char *p = shown_by(0, API_ROLE_NONE);
    unsigned n = 0;

    for (; (p = strstr(p, text)) != NULL; p += strlen(text))
        n++;
    return n;
}

static void expect_count(const char *text, unsigned n)
{
    cr_expect_eq(count_of(text), n, "%u of '%s', not %u, in:\n%s", count_of(text), text, n,
                 said[0]);
}

Test(events, a_life_with_rekeys_is_told_by_all_nodes_alike)
{
    cr_assert(world_connect(w));
    expect_count("event: session.up\n", 1);
    expect_count("\"identity\":\"client\",\"peer\":\"10.77.1.50:", 1);
    expect_count("\"virtual_ip\":\"10.99.0.", 1);
    expect_count("event: child.up\n", 1);
    cr_assert(world_want(w, w->owner, IKE_WANT_REKEY_CHILD_NOPFS));
    world_run(w, 3000);
    expect_count("event: child.rekeyed\n", 1);
    expect_count("\"replaces\":\"", 1);
    expect_count("event: child.ended\n", 1);
    world_assign(w, 1); /* a takeover in the middle */
    cr_assert(world_want(w, w->owner, IKE_WANT_REKEY_IKE));
    world_run(w, 3000);
    expect_count("event: session.rekeyed\n", 1);
    expect_count("\"successor\":\"", 1);
    expect_count("event: session.ended\n", 0);
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_DELETE_IKE));
    world_run(w, 3000);
    expect_count("event: session.ended\n", 1);
    expect_count("\"reason\":\"deleted-by-peer\"", 1);
    expect_count("event: session.up\n", 1);
    expect_count("event: child.up\n", 1);
    expect_same();
}

Test(events, why_it_ended_is_told)
{
    cr_assert(world_connect(w));
    cr_assert(world_want(w, w->owner, IKE_WANT_DELETE_IKE));
    world_run(w, 3000);
    expect_count("\"reason\":\"deleted-by-us\"", 1);
    cr_assert(world_connect(w));
    w->drop_to_client = 1000;
    world_run(w, 300000);
    expect_count("\"reason\":\"peer-dead\"", 1);
    w->drop_to_client = 0;
    world_restart_client(w);
    cr_assert(world_connect(w));
    w->client_policy.initial_contact = true;
    world_restart_client(w);
    cr_assert(world_connect(w));
    expect_count("\"reason\":\"initial-contact\"", 1);
    expect_count("event: session.ended\n", 3);
    expect_same();
}

/* Records of nobody's SA, as the leader or an operator makes them. */
static void commit(Holdfast__Record *r)
{
    instant_log_commit(&w->gateway_log, w->now, r, NULL, NULL);
}

static void drain(uint32_t node, bool drained)
{
    Holdfast__Record r = HOLDFAST__RECORD__INIT;
    Holdfast__Drain body = HOLDFAST__DRAIN__INIT;

    r.node = 2;
    r.boot = w->nodes[1].boot;
    r.request = drained ? 1001 : 1002;
    r.body_case = HOLDFAST__RECORD__BODY_DRAIN;
    r.drain = &body;
    body.node = node;
    body.drained = drained;
    commit(&r);
}

static void config(uint64_t version, enum repl_verdict verdict)
{
    Holdfast__Record r = HOLDFAST__RECORD__INIT;
    Holdfast__ClusterConfig body = HOLDFAST__CLUSTER_CONFIG__INIT;

    r.node = 1;
    r.body_case = HOLDFAST__RECORD__BODY_CONFIG;
    r.config = &body;
    body.version = version;
    body.election_ms = 150;
    body.heartbeat_ms = 30;
    body.lease_ms = 160;
    body.lease_heartbeat_ms = 40;
    tell(w,
         &(struct repl_event){.kind = REPL_EV_APPLIED,
                              .index = ++w->gateway_log.index,
                              .verdict = verdict,
                              .record = &r},
         NULL, NULL);
}

Test(events, who_owns_and_what_operators_wish)
{
    instant_log_boot(&w->gateway_log, w->now, 1, 4711);
    expect_count("event: member.started\ndata: {\"node\":1,\"boot\":\"0000000000001267\"", 1);
    world_assign(w, 2);
    expect_count("event: shard.owner\ndata: {\"shard\":1,\"node\":3,", 1);
    drain(2, true);
    drain(2, false);
    expect_count("event: node.drained\ndata: {\"node\":2,\"removal\":false,", 1);
    expect_count("event: node.undrained\ndata: {\"node\":2,", 1);
    config(1, REPL_REFUSED_VERSION);
    config(1, REPL_ACCEPTED);
    config(2, REPL_ACCEPTED); /* another secret of cookies */
    expect_count("event: timing\ndata: {\"election_ms\":150,\"heartbeat_ms\":30,\"lease_ms\":160,"
                 "\"lease_heartbeat_ms\":40,",
                 1);
    expect_count("event: timing\n", 1);
    expect_same();
}

/* What has an id that is the same everywhere comes from the log; what is this node's own has none. */
Test(events, what_only_this_node_knows_has_no_id)
{
    struct api_cursor c;
    char out[4096] = "";
    size_t n = 0;

    world_assign(w, 1);
    api_feed_flush(nodes[0].feed);
    cr_assert_eq(api_feed_now(nodes[0].feed, &c), API_FEED_STARTS);
    events_take(&nodes[0], &(struct repl_event){.kind = REPL_EV_LEADER, .node = 2});
    events_take(&nodes[0], &(struct repl_event){.kind = REPL_EV_LEADER});
    events_take(&nodes[0], &(struct repl_event){.kind = REPL_EV_QUORUM, .held = false});
    api_feed_flush(nodes[0].feed);
    cr_assert_eq(api_feed_read(nodes[0].feed, &c, API_ROLE_VIEWER, out, sizeof out, &n),
                 API_FEED_READ);
    out[n] = '\0';
    cr_expect_str_eq(out, "event: leader\ndata: {\"node\":1,\"leader\":2}\n\n"
                          "event: leader\ndata: {\"node\":1,\"leader\":null}\n\n"
                          "event: quorum\ndata: {\"node\":1,\"held\":false}\n\n");
    expect_same();
}

static void documents(bool remove)
{
    Holdfast__Record r = HOLDFAST__RECORD__INIT;
    Holdfast__Documents body = HOLDFAST__DOCUMENTS__INIT;
    Holdfast__DocumentChange change = HOLDFAST__DOCUMENT_CHANGE__INIT, *list = &change;
    Holdfast__Admin admin = HOLDFAST__ADMIN__INIT;
    char kind[] = "token", name[] = "0123456789ab", who[] = "email:alice@example.org",
         root[] = "root";
    uint8_t secret[] = "hf-secret";

    r.node = 1;
    r.boot = 998;
    r.request = remove ? 2 : 1;
    r.body_case = HOLDFAST__RECORD__BODY_DOCUMENTS;
    r.documents = &body;
    r.admin = &admin;
    admin.role = root;
    admin.principal = who;
    body.n_changes = 1;
    body.changes = &list;
    change.kind = kind;
    change.name = name;
    change.remove = remove;
    if (!remove) {
        change.bytes.data = secret;
        change.bytes.len = sizeof secret;
    }
    tell(w,
         &(struct repl_event){.kind = REPL_EV_APPLIED,
                              .index = ++w->gateway_log.index,
                              .record = &r,
                              .document_version = 65,
                              .audit = remove ? 8 : 7},
         NULL, NULL);
}

/* Names of tokens are for who may list them, the audit for who may read it; contents and names of people for nobody. */
Test(events, roles_are_shown_what_they_may_read_elsewhere)
{
    world_assign(w, 0);
    documents(false);
    documents(true);
    expect_count("event: document.changed\ndata: {\"kind\":\"token\",\"name\":\"0123456789ab\","
                 "\"version\":\"0000000000000041\"",
                 1);
    expect_count("event: document.removed\n", 1);
    expect_count("event: audit\ndata: {\"sequence\":7,", 1);
    expect_count("hf-secret", 0);
    expect_count("alice", 0);
    cr_expect_null(strstr(shown_by(0, API_ROLE_VIEWER), "document"));
    cr_expect_null(strstr(said[0], "audit"));
    cr_expect_not_null(strstr(said[0], "shard.owner"));
    cr_expect_null(strstr(shown_by(0, API_ROLE_OPERATOR), "document"));
    cr_expect_not_null(strstr(said[0], "audit"));
    cr_expect_not_null(strstr(shown_by(0, API_ROLE_ADMIN), "document.removed"));
    expect_same();
}

/* It was behind, and got a state in the place of the records: who watches is told, and from there on it says what the
 * others say. */
Test(events, a_node_that_got_a_snapshot_says_that_it_knows_nothing_before)
{
    struct api_cursor c;
    struct api_event_id before;
    char out[4096];
    size_t n;

    cr_assert(world_connect(w));
    api_feed_flush(nodes[2].feed);
    cr_assert_eq(api_feed_now(nodes[2].feed, &c), API_FEED_STARTS);
    before = api_feed_place(nodes[2].feed, &c);
    asleep[2] = w->nodes[2].deaf = true;
    cr_assert(world_want(w, w->owner, IKE_WANT_REKEY_CHILD_NOPFS));
    world_run(w, 3000);
    asleep[2] = w->nodes[2].deaf = false;
    events_take(&nodes[2], &(struct repl_event){.kind = REPL_EV_RESET,
                                                .index = w->gateway_log.fsm.applied_index,
                                                .cluster_ms = w->gateway_log.fsm.cluster_ms});
    world_restore(w, 2);
    api_feed_flush(nodes[2].feed);
    cr_expect_eq(api_feed_read(nodes[2].feed, &c, API_ROLE_NONE, out, sizeof out, &n),
                 API_FEED_RESETS);
    cr_expect_eq(api_feed_behind(nodes[2].feed, &before, &c), API_FEED_GAP);
    cr_expect_str_eq(shown_by(2, API_ROLE_NONE), "", "a snapshot is no event");
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_DELETE_IKE));
    world_run(w, 3000);
    cr_expect_not_null(strstr(shown_by(2, API_ROLE_NONE), "event: session.ended\n"));
    n = strlen(said[2]);
    cr_assert_gt(strlen(shown_by(0, API_ROLE_NONE)), n);
    cr_expect_str_eq(said[0] + strlen(said[0]) - n, said[2]);
}

/* The incarnation becomes known in the middle of an entry: the count of that one's events would be wrong. */
Test(events, nothing_is_shown_until_the_incarnation_is_known)
{
    struct api_cursor c;

    incarnation = 0;
    for (unsigned i = 0; i < NODES; i++)
        nodes[i].incarnation = 0;
    documents(false);
    incarnation = 1;
    w->gateway_log.index--; /* another record of the same entry */
    documents(true);
    api_feed_flush(nodes[0].feed);
    cr_expect_eq(api_feed_now(nodes[0].feed, &c), API_FEED_NOTHING);
    documents(true);
    cr_expect_not_null(strstr(shown_by(0, API_ROLE_NONE), "event: document.removed\n"));
    cr_expect_eq(strncmp(said[0], "id: 1.", 6), 0);
    cr_expect_null(strstr(said[0], "document.changed"));
}
