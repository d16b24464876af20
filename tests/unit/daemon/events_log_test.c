/* What watchers are shown, over the real log: nodes that die and start anew, leaders that change, states that come by
 * snapshot. A watcher that moves from node to node by the last id that it has sees each event once and all of them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/events.h"
#include "unit/repl/cluster.h"

enum { NODES = 3, SOME = 1 << 20, BLOCK = 4096 };

static struct events seen[NODES + 1]; /* of node i, in its present start */
static char said[NODES + 1][SOME], watched[SOME];
static struct api_cursor cursor;
static uint32_t watched_at;
static struct api_event_id last;
static unsigned changes, moves;

static uint64_t incarnation_of(void *self)
{
    return replica_fsm(((struct rig_node *)self)->replica)->incarnation;
}

static void hear(void *self, struct rig_node *n, const struct repl_event *e)
{
    (void)self;
    if (n->replica != NULL) /* else it is about to be: nothing is applied yet */
        events_take(&seen[n->id], e);
    api_feed_flush(seen[n->id].feed);
}

static void begin_node(struct rig *rig, uint32_t id)
{
    events_deinit(&seen[id]);
    events_init(&seen[id], id, incarnation_of, rig_node(rig, id));
    rig_start(rig, id);
}

static struct rig *begin(uint64_t seed, uint64_t snapshot_entries)
{
    struct rig *rig = rig_create(NODES, 1, seed);

    rig->snapshot_entries = snapshot_entries;
    rig->trailing = 10;
    rig->hear = hear;
    for (uint32_t i = 1; i <= NODES; i++)
        begin_node(rig, i);
    cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
    return rig;
}

static void finish(struct rig *rig)
{
    rig->hear = NULL;
    cluster_finish(rig);
    for (uint32_t i = 1; i <= NODES; i++)
        events_deinit(&seen[i]);
}

/* All that has an id of what node i keeps: its own is left out. */
static const char *log_of(uint32_t i)
{
    struct api_cursor c;
    size_t all = 0, n = 0;

    cr_assert_eq(api_feed_oldest(seen[i].feed, &c), API_FEED_STARTS);
    do {
        cr_assert_eq(
            api_feed_read(seen[i].feed, &c, API_ROLE_NONE, said[i] + all, SOME - 1 - all, &n),
            API_FEED_READ);
        all += n;
    } while (n > 0);
    said[i][all] = '\0';
    return said[i];
}

/* A change that makes two events, asked of that node. */
static void change(struct rig *rig, uint32_t node)
{
    struct maker m;
    Holdfast__Record *r;
    char name[24];

    if (fsm_shard(replica_fsm(rig_node(rig, node)->replica), 1) == NULL)
        return; /* it has just begun */
    m = rig_maker(rig, node, 1);
    r = make_documents(&m);
    (void)snprintf(name, sizeof name, "n%u", changes++ % 40);
    make_change_of(r, "connection", name, HOLDFAST__DOCUMENT_CHANGE__EXPECT__ANY, 0, "x");
    (void)rig_submit(rig, node, r);
}

/* The watcher takes what its node has; then it knows where it stands. */
static void watch(void)
{
    size_t n = 0;

    if (watched_at == 0)
        return;
    do {
        char block[BLOCK];

        cr_assert_eq(api_feed_read(seen[watched_at].feed, &cursor, API_ROLE_NONE, block, BLOCK, &n),
                     API_FEED_READ);
        cr_assert_lt(strlen(watched) + n + 1, SOME);
        strncat(watched, block, n);
    } while (n > 0);
    last = api_feed_place(seen[watched_at].feed, &cursor);
}

/* Wherever there is a node that has applied anything. */
static void move(struct rig *rig, uint32_t to)
{
    watched_at = 0;
    for (uint32_t i = 0; i < NODES && watched_at == 0; i++, to = to % NODES + 1) {
        if (!rig_node(rig, to)->up)
            continue;
        switch (api_feed_behind(seen[to].feed, &last, &cursor)) {
        case API_FEED_STARTS:
            watched_at = to;
            moves++;
            break;
        case API_FEED_GAP:
            cr_assert_fail("node %u has a gap behind %lu.%u", to, (unsigned long)last.index,
                           last.n);
            break;
        case API_FEED_NOTHING:
            break;
        }
    }
}

/* Leaves out what was each node's own, which has no id. */
static void keep_numbered(char *text)
{
    char *to = text;

    for (char *at = text, *end; (end = strstr(at, "\n\n")) != NULL; at = end + 2) {
        size_t n = (size_t)(end + 2 - at);

        if (strncmp(at, "id: ", 4) == 0) {
            memmove(to, at, n);
            to += n;
        }
    }
    *to = '\0';
}

Test(events_log, a_watcher_that_loses_its_node_goes_on_at_another, .timeout = 120)
{
    struct rig *rig = begin(9911, 0);
    const char *all;

    cr_assert_eq(api_feed_oldest(seen[1].feed, &cursor), API_FEED_STARTS);
    watched_at = 1;
    for (unsigned round = 0; round < 40; round++) {
        uint32_t leader = rig_leader(rig), dies = 0;

        for (uint32_t i = 1; i <= NODES; i++)
            change(rig, i);
        (void)rig_run(rig, round % 3 * 7, NULL, 0);
        watch();
        if (round % 4 == 3 && leader != 0) { /* in the middle of what is under way */
            dies = leader;
            if (watched_at == dies)
                watched_at = 0;
            rig_kill(rig, dies);
        }
        move(rig, 1 + (uint32_t)(round % NODES));
        cr_assert(rig_run(rig, 5000, rig_has_owner, 1));
        watch();
        if (dies != 0)
            begin_node(rig, dies);
    }
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    move(rig, 2);
    watch();
    keep_numbered(watched);
    all = log_of(1);
    cr_assert_str_eq(log_of(2), all);
    cr_assert_str_eq(log_of(3), all);
    cr_assert_str_eq(watched, all, "a gap, or something twice");
    cr_assert_gt(strlen(all), 10000);
    cr_assert_gt(moves, 30);
    printf("compared %zu bytes of events, %u moves\n", strlen(all), moves);
    finish(rig);
}

/* Each node has the end of the same story, from where its state came. */
Test(events_log, who_got_a_snapshot_has_the_end_of_the_same_story, .timeout = 120)
{
    struct rig *rig = begin(9912, 100);
    struct api_event_id before;
    struct api_cursor c;
    size_t least;

    cr_assert_eq(api_feed_now(seen[3].feed, &c), API_FEED_STARTS);
    before = api_feed_place(seen[3].feed, &c);
    rig_kill(rig, 3);
    for (unsigned i = 0; i < 300; i++) {
        change(rig, 1 + i % 2);
        (void)rig_run(rig, 20, NULL, 0);
    }
    begin_node(rig, 3);
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    cr_assert_geq(rig_node(rig, 3)->resets, 1, "no snapshot was installed");
    for (unsigned i = 0; i < 20; i++) {
        change(rig, 1 + i % 3);
        (void)rig_run(rig, 20, NULL, 0);
    }
    cr_assert(rig_run(rig, 20000, rig_agrees, 0));
    cr_assert_eq(api_feed_behind(seen[3].feed, &before, &c), API_FEED_GAP);
    least = strlen(log_of(3));
    cr_assert_gt(least, 500);
    for (uint32_t i = 1; i <= 2; i++) {
        cr_assert_gt(strlen(log_of(i)), least);
        cr_assert_str_eq(said[i] + strlen(said[i]) - least, said[3]);
    }
    finish(rig);
}
