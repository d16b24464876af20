/* On a real disk: the first of three nodes becomes the cluster by an order, by hand, from a backup. */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster_pki/cluster_pki.h"
#include "replication/replica.h"
#include "unit/repl/alone.h"
#include "unit/repl/loopback.h"

enum { WAIT_MS = 60000, N = 3 };

static char root[] = "/tmp/hf-recover-XXXXXX";
static char data[64], other[64];
static struct repl_options options;

static void make_all(void)
{
    static struct cluster_pki pki;
    struct endpoint where[N];

    cr_assert_not_null(mkdtemp(root));
    (void)snprintf(data, sizeof data, "%s/data", root);
    (void)snprintf(other, sizeof other, "%s/other", root);
    loopback_endpoints(where, N);
    cluster_pki_init(&pki, "lab");
    options = (struct repl_options){.node = 1,
                                    .data_dir = data,
                                    .n_nodes = N,
                                    .shards = {{.shard = 1, .prefer = 1}},
                                    .n_shards = 1,
                                    .timing = {.election_ms = 150,
                                               .heartbeat_ms = 30,
                                               .lease_ms = 150,
                                               .lease_heartbeat_ms = 30},
                                    .tls = cluster_pki_identity(&pki, 1)};
    for (uint32_t i = 0; i < N; i++)
        options.nodes[i] = (struct repl_node_address){i + 1, where[i]};
}

static void remove_all(void)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

TestSuite(repl_thread_recover, .init = make_all, .fini = remove_all);

static struct repl *started(void)
{
    struct repl_error error;
    struct repl *repl = repl_start(&options, &error);

    cr_assert(repl != NULL, "%s", error.text);
    return repl;
}

/* Until it may act for the shard; *st is what it says of itself then. */
static void await_lease(struct repl *repl, struct repl_status *st)
{
    uint64_t end = repl_boottime_ns() + WAIT_MS * 1000000ull;
    bool held = false;

    while (!held && repl_boottime_ns() < end) {
        struct repl_event *e = repl_next_event(repl);
        struct pollfd p = {.fd = repl_event_fd(repl), .events = POLLIN};

        conductor_stamp(repl);
        if (e == NULL)
            (void)poll(&p, 1, 20);
        held = e != NULL && e->kind == REPL_EV_LEASE && e->held;
        repl_event_free(e);
    }
    cr_assert(held, "no lease");
    repl_status(repl, st);
}

static bool has_order(void)
{
    char path[96];

    (void)snprintf(path, sizeof path, "%s/recover", data);
    return access(path, F_OK) == 0;
}

/* Alone it serves nothing; the order makes it the cluster at its next start, once. */
static const struct repl_word word = {
    .wall_s = 1764000000, .highest_id = 9, .who = "alice", .why = "fire"};

/* An order is followed by a start that knows nothing of who gave it but what stands in the directory. */
static void is_written_down(struct repl *repl, const struct repl_status *st)
{
    struct repl_beginning b[REPL_MAX_BEGINNINGS];

    cr_assert_eq(repl_beginnings(repl, b), 1);
    cr_assert(b[0].how == REPL_RECOVERED && b[0].former == 1 &&
              b[0].incarnation == st->incarnation && b[0].node == 1 && b[0].n_given_up == 2 &&
              b[0].given_up[0] == 2 && b[0].given_up[1] == 3);
    cr_assert_eq(memcmp(&b[0].word, &word, sizeof word), 0);
}

Test(repl_thread_recover, an_order_is_followed_at_the_next_start)
{
    struct repl_error error;
    struct repl_recovery r;
    struct repl_status st;
    struct repl *repl;
    uint64_t first;

    cr_assert(repl_init(&options, &error), "%s", error.text);
    cr_assert(repl_recover_look(&options, &r, &error), "%s", error.text);
    cr_assert(r.former == 1 && r.incarnation == 0 && r.n_lost == 2 && r.lost[0] == 2 &&
              r.lost[1] == 3);
    repl = started();
    cr_assert_not(repl_recover_look(&options, &r, &error), "beside a daemon that runs");
    repl_status(repl, &st);
    cr_assert(st.incarnation == 1 && st.leader == 0 && !has_order());
    cr_assert(repl_order_recovery(repl, &word, &error), "%s", error.text);
    repl_stop(repl);
    cr_assert(has_order());
    repl = started();
    cr_assert_not(has_order());
    await_lease(repl, &st);
    first = st.incarnation;
    cr_assert(first > 1 && st.leader == 1 && st.n_gone == 2 && st.n_nodes == 1);
    is_written_down(repl, &st);
    repl_stop(repl);
    repl = started();
    await_lease(repl, &st);
    cr_assert_eq(st.incarnation, first);
    repl_stop(repl);
    cr_assert(repl_recover(&options, &r, &error), "%s", error.text); /* by hand, and once more */
    cr_assert(r.former == first && r.incarnation > first && r.n_lost == 0);
    repl = started();
    await_lease(repl, &st);
    cr_assert_eq(st.incarnation, r.incarnation);
    repl_stop(repl);
}

static struct repl_backup backup_of(struct repl *repl)
{
    struct repl_backup b;

    repl_backup_ask(repl);
    while (!repl_backup_take(repl, &b))
        (void)poll(NULL, 0, 1);
    return b;
}

Test(repl_thread_recover, a_backup_makes_a_directory_anew)
{
    struct repl_error error;
    struct repl_recovery r;
    struct repl_status st;
    struct repl *repl;
    struct repl_backup b;
    uint8_t *backup;
    size_t n;

    cr_assert(repl_init(&options, &error), "%s", error.text);
    cr_assert(repl_recover(&options, &r, &error), "%s", error.text);
    repl = started();
    await_lease(repl, &st);
    b = backup_of(repl);
    backup = b.bytes;
    n = b.len;
    cr_assert(backup != NULL && n > 16);
    cr_assert(b.incarnation == st.incarnation && b.index >= st.applied_index);
    repl_stop(repl);
    cr_assert_not(repl_restore(&options, data, span_of(backup, n), &r, &error),
                  "over what is there");
    options.data_dir = other;
    backup[n - 1] ^= 1;
    cr_assert_not(repl_restore(&options, data, span_of(backup, n), &r, &error), "a damaged one");
    backup[n - 1] ^= 1;
    cr_assert_not(repl_restore(&options, root, span_of(backup, n), &r, &error), "without the key");
    cr_assert_neq(access(other, F_OK), 0, "a refused one left a directory");
    cr_assert(repl_restore(&options, data, span_of(backup, n), &r, &error), "%s", error.text);
    cr_assert(r.former == st.incarnation && r.incarnation > st.incarnation);
    cr_assert_eq(r.index, b.index, "it is of another entry than was said");
    repl = started();
    await_lease(repl, &st);
    cr_assert(st.incarnation == r.incarnation && st.n_nodes == 1 && st.n_gone == 2);
    repl_stop(repl);
    free(backup);
}

/* One of several founders, alone with a new disk: it has a key of its own and has applied nothing. What it
 * would save took the place of a good file. */
Test(repl_thread_recover, a_node_without_a_state_makes_no_backup)
{
    struct repl_error error;
    struct repl *repl;

    cr_assert(repl_init(&options, &error), "%s", error.text);
    repl = started();
    cr_assert_null(backup_of(repl).bytes, "an empty state was saved");
    repl_stop(repl);
}

/* Each --init of a lone founder begins another cluster; three that found together have no word between
 * them, and begin the first. */
Test(repl_thread_recover, a_lone_founder_draws_its_incarnation)
{
    struct repl_error error;
    struct repl_recovery r;
    struct repl_status st;
    struct repl *repl;
    uint64_t first;

    options.n_nodes = 1;
    cr_assert(repl_init(&options, &error), "%s", error.text);
    cr_assert_not(repl_init(&options, &error), "over what is there");
    repl = started();
    await_lease(repl, &st);
    first = st.incarnation;
    cr_assert(first > 1 && first < 1ull << 42 && st.leader == 1 && st.shards[0].mine);
    cr_assert_eq(st.shards[0].epoch.incarnation, first);
    repl_stop(repl);
    repl = started();
    await_lease(repl, &st);
    cr_assert_eq(st.incarnation, first, "it is drawn once");
    repl_stop(repl);
    options.data_dir = other;
    cr_assert(repl_init(&options, &error), "%s", error.text);
    repl = started();
    await_lease(repl, &st);
    cr_assert(st.incarnation != first && st.incarnation > 1, "the second cluster is the first");
    repl_stop(repl);
    cr_assert(repl_recover(&options, &r, &error), "%s", error.text);
    cr_assert(r.former == st.incarnation && r.incarnation >> 42 == 1);
}

/* The file names the founder alone, for ever: another list is refused as it always was. */
Test(repl_thread_recover, another_list_than_the_founders_is_refused)
{
    struct repl_error error;

    options.n_nodes = 1;
    cr_assert(repl_init(&options, &error), "%s", error.text);
    options.n_nodes = 2;
    cr_assert_null(repl_start(&options, &error));
    cr_assert(strstr(error.text, "node list") != NULL, "%s", error.text);
}
