/* What a node that is written to for long keeps on its disk: bounded by the configuration, not by how
 * much was ever written, nor by how many entries trail a snapshot. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/replica.h"
#include "unit/repl/alone.h"
#include "unit/repl/make.h"

enum { WINDOW = 250, TEXT = 4000, WRITTEN = 64 << 20, SEGMENTS = 5 };

static char parent[] = "/tmp/hf-bound-XXXXXX", directory[64];
static struct repl *repl;
static uint64_t epoch, settled;

static void begin(void)
{
    struct repl_options options = {.node = 1,
                                   .data_dir = directory,
                                   .n_nodes = 1,
                                   .nodes = {{.node = 1}},
                                   .shards = {{.shard = 1, .prefer = 1}},
                                   .n_shards = 1,
                                   .timing = {.election_ms = 500,
                                              .heartbeat_ms = 100,
                                              .lease_ms = 5000,
                                              .lease_heartbeat_ms = 100},
                                   .snapshot_bytes = 2 << 20};
    struct repl_error error;

    cr_assert_not_null(mkdtemp(parent));
    (void)snprintf(directory, sizeof directory, "%s/data", parent);
    cr_assert(repl_init(&options, &error), "%s", error.text);
    repl = repl_start(&options, &error);
    cr_assert_not_null(repl, "%s", error.text);
}

static void end(void)
{
    char command[128];

    repl_stop(repl);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", parent);
    cr_assert_eq(system(command), 0);
}

TestSuite(repl_thread_bound, .init = begin, .fini = end, .timeout = 240);

/* Takes what there is, or waits for more. */
static void turn(void)
{
    struct pollfd p = {.fd = repl_event_fd(repl), .events = POLLIN};
    struct repl_event *e;

    conductor_stamp(repl);
    (void)poll(&p, 1, 20);
    while ((e = repl_next_event(repl)) != NULL) {
        if (e->kind == REPL_EV_LEASE && e->held)
            epoch = e->epoch.index;
        settled += e->kind == REPL_EV_APPLIED && e->mine;
        repl_event_free(e);
    }
}

struct found {
    size_t segments, snapshots, drafts;
};

static struct found look(void)
{
    struct found f = {0};
    DIR *d = opendir(directory);
    const struct dirent *e;

    cr_assert_not_null(d);
    while ((e = readdir(d)) != NULL) {
        bool draft = strstr(e->d_name, ".tmp") != NULL;

        f.segments += strncmp(e->d_name, "log-", 4) == 0;
        f.drafts += draft;
        f.snapshots += !draft && strncmp(e->d_name, "snapshot-", 9) == 0;
    }
    (void)closedir(d);
    return f;
}

static uint64_t snapshots_taken(void)
{
    struct repl_status s;

    repl_status(repl, &s);
    return s.counters[REPL_COUNT_SNAPSHOTS];
}

Test(repl_thread_bound, the_disk_holds_no_more_however_much_was_written)
{
    static char text[TEXT + 1];
    uint64_t submitted = 0, looks = 0;
    size_t most = 0;

    memset(text, 'x', TEXT);
    while (epoch == 0)
        turn();

    struct maker m = {.node = 1, .boot = 1, .request = 1, .shard = 1, .epoch_index = epoch};

    while (settled * TEXT < WRITTEN) {
        struct found f;

        while (submitted - settled < WINDOW) {
            Holdfast__Record *r = make_audit(&m, text);
            uint64_t request;
            bool taken = repl_submit(repl, r, NULL, &request) == REPL_OK;

            record_free(r);
            submitted += taken;
            if (!taken)
                break;
        }
        turn();
        f = look();
        looks++;
        most = f.segments > most ? f.segments : most;
        cr_assert_leq(f.segments, SEGMENTS, "%zu segments of 8 MiB after %lu MiB", f.segments,
                      (unsigned long)(settled * TEXT >> 20));
        cr_assert(f.snapshots <= 2 && f.drafts <= 2);
    }
    while (settled < submitted)
        turn();
    printf("compared %lu looks: %d MiB written, %zu segments at most, %lu snapshots\n",
           (unsigned long)looks, WRITTEN >> 20, most, (unsigned long)snapshots_taken());
    cr_assert_geq(snapshots_taken(), 5);
}
