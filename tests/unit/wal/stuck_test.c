/* Is the disk slow or does it hang: what wal_stuck_ns() says while an fdatasync does not return. */
#include <criterion/criterion.h>

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replication/wal.h"

enum { MS = 1000000, SEEN_NS = 20 * MS, SNAPSHOT_BYTES = 4 << 20 };

/* Each fdatasync says that it began, and waits to be let through, while the gate is shut. */
static struct {
    int began[2], gate[2];
    _Atomic bool shut;
    _Atomic bool only_draft; /* only a snapshot's file waits */
    _Atomic int mark;        /* the high-water file's: the helper's own, always open */
    _Atomic int draft;
} door;

static int noted(void *self, const char *path, int flags, mode_t mode)
{
    int fd = wal_fs_kernel()->open(self, path, flags, mode);

    if (strstr(path, "high-water") != NULL)
        atomic_store(&door.mark, fd);
    if (strstr(path, "snapshot-") != NULL)
        atomic_store(&door.draft, fd);
    return fd;
}

static int gated(void *self, int fd)
{
    char byte = 0;

    if (atomic_load(&door.shut) && fd != atomic_load(&door.mark) &&
        (!atomic_load(&door.only_draft) || fd == atomic_load(&door.draft))) {
        HF_ASSERT(write(door.began[1], &byte, 1) == 1);
        HF_ASSERT(read(door.gate[0], &byte, 1) == 1);
    }
    return wal_fs_kernel()->fdatasync(self, fd);
}

static void await_sync(void)
{
    char byte;

    cr_assert_eq(read(door.began[0], &byte, 1), 1);
}

static void let_through(void)
{
    cr_assert_eq(write(door.gate[1], "", 1), 1);
}

static void watch_until_stuck(struct wal *wal)
{
    while (wal_stuck_ns(wal) < SEEN_NS)
        ;
}

static size_t n_done;
static uv_loop_t loop;

static void on_done(void *self, const struct repl_storage_done *done)
{
    (void)self;
    cr_assert_eq(done->status, REPL_STORAGE_OK);
    n_done++;
    uv_stop(&loop);
}

static char parent[] = "/tmp/hf-stuck-XXXXXX", directory[64];
static struct wal *wal;
static struct wal_fs fs;

static void begin(void)
{
    struct wal_options o = {.directory = directory, .node = 1, .fs = &fs};
    struct wal_error error;

    cr_assert_not_null(mkdtemp(parent));
    (void)snprintf(directory, sizeof directory, "%s/data", parent);
    cr_assert(pipe(door.began) == 0 && pipe(door.gate) == 0 && uv_loop_init(&loop) == 0);
    fs = *wal_fs_kernel();
    fs.open = noted;
    fs.fdatasync = gated;
    cr_assert(wal_init_directory(NULL, directory, 1, &error), "%s", error.text);
    wal = wal_open(&loop, &o, &error);
    cr_assert_not_null(wal, "%s", error.text);
    wal_set_done(wal, on_done, NULL);
}

static void end(void)
{
    char command[128];

    wal_close(wal, NULL, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", parent);
    cr_assert_eq(system(command), 0);
}

TestSuite(wal_stuck, .init = begin, .fini = end, .timeout = 120);

static void append(uint64_t index)
{
    const struct repl_storage *s = wal_storage(wal);
    struct repl_entry e = {.term = 1, .kind = REPL_ENTRY_COMMAND, .data = span_of("x", 1)};

    s->append(s->self, index, &e, 1);
}

static void await_done(size_t n)
{
    while (n_done < n)
        (void)uv_run(&loop, UV_RUN_DEFAULT);
}

Test(wal_stuck, a_write_that_does_not_come_back_shows_and_one_that_does_clears_it)
{
    append(1);
    await_done(1);
    cr_assert_eq(wal_stuck_ns(wal), 0);
    atomic_store(&door.shut, true);
    append(2);
    await_sync();
    watch_until_stuck(wal);
    cr_assert_geq(wal_pending_ns(wal), SEEN_NS);
    atomic_store(&door.shut, false);
    let_through();
    await_done(2);
    cr_assert_eq(wal_stuck_ns(wal), 0);
    cr_assert_eq(wal_stuck_ns(wal), 0);
}

/* A snapshot is written beside the log: while its file waits for the disk, the log goes on, and the
 * disk does not hang. */
Test(wal_stuck, the_log_does_not_wait_for_a_snapshot)
{
    const struct repl_storage *s = wal_storage(wal);
    struct repl_snapshot_meta meta = {.index = 1, .term = 1, .configuration = {.index = 1}};
    uint8_t *bytes = calloc(1, SNAPSHOT_BYTES);
    uint64_t index = 1;

    append(index++);
    await_done(1);
    atomic_store(&door.only_draft, true);
    atomic_store(&door.shut, true);
    s->draft_begin(s->self, REPL_DRAFT_OWN, &meta);
    s->draft_write(s->self, REPL_DRAFT_OWN, span_of(bytes, SNAPSHOT_BYTES));
    await_sync();
    for (; index <= 100; index++) {
        append(index);
        await_done(index);
        cr_assert(wal_stuck_ns(wal) == 0 && wal_pending_ns(wal) == 0);
    }
    atomic_store(&door.shut, false);
    let_through();
    s->draft_close(s->self, REPL_DRAFT_OWN);
    await_done(index + 1); /* the write, and the close */
    printf("compared %d appends beside a snapshot that waits\n", (int)index - 1);
    free(bytes);
}

/* The program was stopped, or had no processor: that says nothing of the disk. */
Test(wal_stuck, a_pause_between_two_looks_counts_for_little)
{
    atomic_store(&door.shut, true);
    append(1);
    await_sync();
    (void)wal_stuck_ns(wal);
    (void)wal_stuck_ns(wal);
    (void)poll(NULL, 0, 4 * WAL_LOOK_MAX_MS);
    cr_assert_lt(wal_stuck_ns(wal), 2ull * WAL_LOOK_MAX_MS * MS);
    atomic_store(&door.shut, false);
    let_through();
    await_done(1);
}
