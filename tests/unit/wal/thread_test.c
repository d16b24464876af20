/* The log on its threads and on the kernel's files: order of completions, group commit, rolls, a
 * process that is killed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faultfs.h"
#include "replication/wal.h"

struct bench {
    uv_loop_t loop;
    char parent[64], dir[80];
    struct wal *wal;
    struct repl_storage_done done[20000];
    size_t n, want;
    uint64_t stop_at; /* stops the loop when this many completions came */
    int fatal;
    char fatal_text[512];
    uint8_t read[64]; /* the newest READ's data */
};

static void on_done(void *self, const struct repl_storage_done *d)
{
    struct bench *b = self;

    cr_assert(b->n < sizeof b->done / sizeof b->done[0]);
    b->done[b->n++] = *d;
    if (d->op == REPL_STORAGE_READ && d->data.len > 0 && d->data.len <= sizeof b->read)
        memcpy(b->read, d->data.data, d->data.len);
    if (b->n == b->want)
        uv_stop(&b->loop);
}

static void on_fatal(void *self, const char *text)
{
    struct bench *b = self;

    b->fatal++;
    (void)snprintf(b->fatal_text, sizeof b->fatal_text, "%s", text);
}

static void must_open(struct bench *b, const struct wal_fs *fs, uint64_t segment_bytes)
{
    struct wal_options o = {.directory = b->dir,
                            .node = 1,
                            .fs = fs,
                            .segment_bytes = segment_bytes,
                            .fatal = on_fatal,
                            .fatal_self = b};
    struct wal_error error;

    b->wal = wal_open(&b->loop, &o, &error);
    cr_assert(b->wal != NULL, "%s", error.text);
    wal_set_done(b->wal, on_done, b);
}

static struct bench *setup(void)
{
    struct bench *b = calloc(1, sizeof *b);
    struct wal_error error;

    cr_assert(uv_loop_init(&b->loop) == 0);
    (void)strcpy(b->parent, "/tmp/hf-wal-XXXXXX");
    cr_assert(mkdtemp(b->parent) != NULL);
    (void)snprintf(b->dir, sizeof b->dir, "%s/data", b->parent);
    cr_assert(wal_init_directory(NULL, b->dir, 1, &error), "%s", error.text);
    return b;
}

static void close_wal(struct bench *b)
{
    wal_close(b->wal, NULL, NULL);
    (void)uv_run(&b->loop, UV_RUN_DEFAULT);
    b->wal = NULL;
}

static void remove_one(void *arg, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/%s", (const char *)arg, name);
    (void)unlink(path);
}

static void teardown(struct bench *b)
{
    cr_assert(uv_loop_close(&b->loop) == 0);
    (void)wal_fs_kernel()->list(NULL, b->dir, remove_one, b->dir);
    cr_assert(rmdir(b->dir) == 0 && rmdir(b->parent) == 0);
    free(b);
}

static void wait_for(struct bench *b, size_t n)
{
    b->want = n;
    if (b->n < n)
        (void)uv_run(&b->loop, UV_RUN_DEFAULT);
    cr_assert(b->n == n);
}

static struct repl_entry entry(uint64_t term, const void *data, size_t n)
{
    return (struct repl_entry){.term = term, .kind = REPL_ENTRY_COMMAND, .data = span_of(data, n)};
}

Test(wal_thread, completions_come_in_order_and_what_they_say_is_there, .timeout = 300)
{
    struct bench *b = setup();
    struct repl_snapshot_meta meta = {.index = 3, .term = 1, .configuration = {.index = 1}};
    struct repl_entry two[2] = {entry(1, "first", 5), entry(1, "second", 6)};
    const struct repl_storage *s;
    const struct repl_loaded *l;

    must_open(b, NULL, 0);
    s = wal_storage(b->wal);
    cr_assert(wal_loaded(b->wal)->n_entries == 0 && wal_loaded(b->wal)->first_index == 1);
    wal_load_done(b->wal);
    s->read(s->self, 1, 3, 1, 0, REPL_READ_UNIT);
    wait_for(b, 1);
    cr_assert(b->done[0].op == REPL_STORAGE_READ && b->done[0].status == REPL_STORAGE_GONE);
    b->n = 0;
    s->draft_begin(s->self, REPL_DRAFT_OWN, &meta);
    s->draft_write(s->self, REPL_DRAFT_OWN, span_of("st", 2));
    s->draft_write(s->self, REPL_DRAFT_OWN, span_of("ate", 3));
    s->draft_close(s->self, REPL_DRAFT_OWN);
    wait_for(b, 3);
    cr_assert(b->done[0].op == REPL_STORAGE_DRAFT && b->done[0].offset == 2 && !b->done[0].closed);
    cr_assert(b->done[2].op == REPL_STORAGE_DRAFT && b->done[2].offset == 5 && b->done[2].closed &&
              b->done[2].index == 3);
    b->n = 0;
    s->vote(s->self, 7, 2);
    s->append(s->self, 1, two, 2);
    s->append(s->self, 3, two, 2);
    s->truncate(s->self, 4);
    s->append(s->self, 4, two, 1);
    s->snapshot(s->self, &meta);
    s->trim(s->self, 2);
    s->append(s->self, 5, two, 2);
    cr_assert(b->n == 0, "a completion came from inside a call");
    wait_for(b, 7);
    cr_assert(b->done[0].op == REPL_STORAGE_VOTE && b->done[0].index == 7);
    cr_assert(b->done[1].op == REPL_STORAGE_APPEND && b->done[1].index == 2);
    cr_assert(b->done[2].op == REPL_STORAGE_APPEND && b->done[2].index == 4);
    cr_assert(b->done[3].op == REPL_STORAGE_TRUNCATE && b->done[3].index == 4);
    cr_assert(b->done[4].op == REPL_STORAGE_APPEND && b->done[4].index == 4);
    cr_assert(b->done[5].op == REPL_STORAGE_SNAPSHOT && b->done[5].index == 3);
    cr_assert(b->done[6].op == REPL_STORAGE_APPEND && b->done[6].index == 6);
    cr_assert(wal_pending_ns(b->wal) == 0);
    s->read(s->self, 1, 3, 1, 0, REPL_READ_UNIT);
    wait_for(b, 8);
    cr_assert(b->done[7].op == REPL_STORAGE_READ && b->done[7].total == 5 &&
              b->done[7].reader == 1 && memcmp(b->read, "state", 5) == 0);
    close_wal(b);

    must_open(b, NULL, 0);
    l = wal_loaded(b->wal);
    cr_assert(l->term == 7 && l->voted_for == 2 && l->snapshot.index == 3 && l->high_water == 6);
    cr_assert(l->first_index == 1 && l->n_entries == 6);
    cr_assert(span_equal(l->entries[3].data, span_of("first", 5)));
    cr_assert(span_equal(l->entries[5].data, span_of("second", 6)));
    s = wal_storage(b->wal);
    meta.index = 20;
    b->n = 0;
    s->read(s->self, 1, 3, 1, 0, REPL_READ_UNIT); /* keeps the old one open */
    s->draft_begin(s->self, REPL_DRAFT_RECEIVED, &meta);
    s->draft_write(s->self, REPL_DRAFT_RECEIVED, span_of("given up", 8));
    s->draft_drop(s->self, REPL_DRAFT_RECEIVED);
    s->draft_begin(s->self, REPL_DRAFT_RECEIVED, &meta);
    s->draft_write(s->self, REPL_DRAFT_RECEIVED, span_of("other", 5));
    s->draft_close(s->self, REPL_DRAFT_RECEIVED);
    wait_for(b, 3); /* what was dropped tells nothing */
    cr_assert(b->done[0].op == REPL_STORAGE_READ && b->done[1].offset == 5 && b->done[2].closed);
    s->install(s->self, &meta);
    s->append(s->self, 21, two, 1);
    wait_for(b, 5);
    cr_assert(b->done[3].op == REPL_STORAGE_INSTALL && b->done[3].index == 20);
    s->read(s->self, 1, 3, 1, 0, REPL_READ_UNIT);
    s->read(s->self, 2, 3, 1, 0, REPL_READ_UNIT);
    wait_for(b, 7);
    cr_assert(b->done[5].status == REPL_STORAGE_OK && b->done[5].total == 5,
              "a reader lost its snapshot to a newer one");
    cr_assert(b->done[6].status == REPL_STORAGE_GONE);
    close_wal(b);

    must_open(b, NULL, 0);
    l = wal_loaded(b->wal);
    cr_assert(l->snapshot.index == 20 && l->first_index == 21 && l->n_entries == 1 &&
              l->high_water == 21);
    cr_assert(span_equal(l->snapshot_data, span_of("other", 5)));
    cr_assert(wal_load_note(b->wal)[0] == '\0');
    close_wal(b);
    teardown(b);
}

/* A disk whose fdatasync waits while the gate is closed. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t turned;
    bool closed;
};

static int gated_fdatasync(void *self, int fd)
{
    struct gate *g = self;

    (void)pthread_mutex_lock(&g->mutex);
    while (g->closed)
        (void)pthread_cond_wait(&g->turned, &g->mutex);
    (void)pthread_mutex_unlock(&g->mutex);
    return wal_fs_kernel()->fdatasync(NULL, fd);
}

static void gate_turn(struct gate *g, bool closed)
{
    (void)pthread_mutex_lock(&g->mutex);
    g->closed = closed;
    (void)pthread_cond_broadcast(&g->turned);
    (void)pthread_mutex_unlock(&g->mutex);
}

/* While a sync is under way a hundred appends come: at most one of them was in it, the rest shares
 * the next one, or the next two where a segment ended between them. */
Test(wal_thread, one_sync_for_all_that_waits_and_rolls_do_not_wait, .timeout = 300)
{
    enum { ROUNDS = 80, AT_ONCE = 100, APPENDS = ROUNDS * AT_ONCE, BYTES = 512 };
    struct gate gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    struct wal_fs fs = *wal_fs_kernel();
    struct bench *b = setup();
    struct wal_counters c;
    uint8_t data[BYTES];
    const struct repl_storage *s;

    fs.self = &gate;
    fs.fdatasync = gated_fdatasync;
    memset(data, 0xab, sizeof data);
    must_open(b, &fs, 256 << 10);
    s = wal_storage(b->wal);
    for (uint64_t i = 1; i <= APPENDS; i++) {
        struct repl_entry e = entry(1, data, sizeof data);

        gate_turn(&gate, true);
        s->append(s->self, i, &e, 1);
        if (i % AT_ONCE == 0) {
            gate_turn(&gate, false);
            wait_for(b, i);
        }
    }
    wal_get_counters(b->wal, &c);
    printf("wal thread: %llu appends, %llu fdatasyncs, %llu segments, %llu rolls waited\n",
           (unsigned long long)c.appends, (unsigned long long)c.syncs, (unsigned long long)c.rolls,
           (unsigned long long)c.rolls_waited);
    cr_assert(c.appends == APPENDS && c.syncs <= 2 * ROUNDS + c.rolls && c.rolls >= 10);
    cr_assert(c.bytes >= (uint64_t)APPENDS * BYTES);
    close_wal(b);
    must_open(b, NULL, 256 << 10);
    cr_assert(wal_loaded(b->wal)->n_entries == APPENDS);
    close_wal(b);
    teardown(b);
}

/* Appends one after the other and tells each completion's index through a pipe, until it is killed.
 */
_Noreturn static void appender(struct bench *b, int fd)
{
    const struct repl_storage *s;
    uint8_t data[300];
    size_t told = 0;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    memset(data, 0x5a, sizeof data);
    must_open(b, NULL, 64 << 10);
    s = wal_storage(b->wal);
    for (uint64_t i = wal_loaded(b->wal)->n_entries + 1;; i++) {
        struct repl_entry e = entry(i, data, (size_t)(i % sizeof data));

        s->append(s->self, i, &e, 1);
        (void)uv_run(&b->loop, UV_RUN_NOWAIT);
        for (; told < b->n; told++)
            if (write(fd, &b->done[told].index, sizeof b->done[0].index) != 8)
                _exit(1);
        if (b->n > sizeof b->done / sizeof b->done[0] - 1000)
            b->n = told = 0;
    }
}

Test(wal_thread, killed_while_it_writes_ten_times, .timeout = 300)
{
    struct bench *b = setup();
    uint64_t told = 0;

    for (int round = 0; round < 10; round++) {
        const struct repl_loaded *l;
        uint64_t before = told;
        int fds[2], status;
        pid_t pid;

        cr_assert(pipe(fds) == 0);
        pid = fork();
        cr_assert(pid >= 0);
        if (pid == 0) {
            cr_assert(uv_loop_fork(&b->loop) == 0);
            appender(b, fds[1]);
        }
        (void)close(fds[1]);
        while (told < before + 50 + (uint64_t)round * 20)
            cr_assert(read(fds[0], &told, sizeof told) == sizeof told);
        cr_assert(kill(pid, SIGKILL) == 0);
        while (read(fds[0], &told, sizeof told) == sizeof told)
            ;
        cr_assert(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
        (void)close(fds[0]);

        must_open(b, NULL, 64 << 10);
        l = wal_loaded(b->wal);
        cr_assert(l->first_index + l->n_entries > told, "told %llu, found %zu",
                  (unsigned long long)told, l->n_entries);
        cr_assert(l->high_water >= told && l->high_water < l->first_index + l->n_entries);
        for (size_t i = 0; i < l->n_entries; i++)
            cr_assert(l->entries[i].term == i + 1 && l->entries[i].data.len == (i + 1) % 300);
        told = l->n_entries;
        close_wal(b);
    }
    printf("wal thread: killed 10 times while writing, %llu entries, none lost\n",
           (unsigned long long)told);
    teardown(b);
}

Test(wal_thread, a_failed_write_is_fatal_and_nothing_is_told_as_durable_after_it, .timeout = 300)
{
    struct bench *b = setup();
    struct faultfs *f = faultfs_create();
    struct wal_error error;
    struct repl_entry e = entry(1, "x", 1);
    const struct repl_storage *s;
    size_t failed = 0;

    cr_assert(wal_init_directory(faultfs_fs(f), b->dir, 1, &error));
    must_open(b, faultfs_fs(f), 4096);
    s = wal_storage(b->wal);
    s->append(s->self, 1, &e, 1);
    wait_for(b, 1);
    cr_assert(b->done[0].status == REPL_STORAGE_OK && b->fatal == 0);
    /* The vote's file is the next thing that is written here but for the helper's segment. */
    faultfs_fail_at(f, 1, EIO);
    for (uint64_t i = 0; i < 20; i++)
        s->vote(s->self, i + 1, 1);
    wait_for(b, 21);
    for (size_t i = 1; i < 21; i++) {
        failed += b->done[i].status == REPL_STORAGE_FAILED;
        cr_assert(failed == 0 || b->done[i].status == REPL_STORAGE_FAILED,
                  "told OK after a failure");
    }
    cr_assert(b->fatal >= 1 && strstr(b->fatal_text, "Input/output error") != NULL, "%d %s",
              b->fatal, b->fatal_text);
    close_wal(b);
    faultfs_destroy(f);
    teardown(b);
}

/* Without a callback of one's own the process ends with a code of its own and says why. */
Test(wal_thread, by_default_the_process_ends, .timeout = 300)
{
    struct bench *b = setup();
    struct faultfs *f = faultfs_create();
    struct wal_options o = {.directory = b->dir, .node = 1, .fs = faultfs_fs(f)};
    struct wal_error error;
    char text[512] = "";
    int fds[2], status;
    size_t n = 0;
    pid_t pid;

    cr_assert(wal_init_directory(faultfs_fs(f), b->dir, 1, &error) && pipe(fds) == 0);
    pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(fds[1], STDERR_FILENO);
        cr_assert(uv_loop_fork(&b->loop) == 0);
        faultfs_fail_at(f, 1, ENOSPC);
        b->wal = wal_open(&b->loop, &o, &error);
        (void)uv_run(&b->loop, UV_RUN_DEFAULT);
        _exit(0);
    }
    (void)close(fds[1]);
    for (ssize_t r; (r = read(fds[0], text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)r;
    cr_assert(waitpid(pid, &status, 0) == pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == WAL_EXIT_DISK, "status %x: %s", status,
              text);
    cr_assert(strstr(text, "storage failed") && strstr(text, "No space left"), "%s", text);
    (void)close(fds[0]);
    faultfs_destroy(f);
    teardown(b);
}
