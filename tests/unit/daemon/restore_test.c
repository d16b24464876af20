/* A saved state comes back, however large, and what is no saved state is refused as what it is: the daemon's
 * own file over a real node alone. The admin server is the test's own. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hex.h"
#include "daemon/internal.h"
#include "io/clock.h"
#include "replication/record.h"
#include "replication/recover.h"
#include "replication/repl_admin.h"
#include "unit/repl/alone.h"

enum { DOCUMENTS = 250, A_CHANGE = 10, TURN_MS = 50 };

struct api_request {
    int nothing;
};

static struct daemon d;
static struct config own = {.node_id = 1};
static const struct log quiet = {LOG_ERROR, -1};
static struct api_request request;
static const struct api_asker asker = {.role = "admin", .principal = "CN=alice"};
static json_t *answer;
static struct api_problem problem;
static struct repl_options options;
static char parent[] = "/tmp/hf-restore-XXXXXX", data[64], other[64], path[96];
static uint8_t large[DOCUMENT_MAX_BYTES];
static bool has_none;    /* the node makes no backup */
static uint8_t *largest; /* ... or this one, of RECOVER_MAX_BACKUP_BYTES; NULL = its own */
static sem_t done;
static enum repl_verdict verdict;

bool __real_repl_backup_take(struct repl *repl, struct repl_backup *out);
bool __wrap_repl_backup_take(struct repl *repl, struct repl_backup *out);

bool __wrap_repl_backup_take(struct repl *repl, struct repl_backup *out)
{
    bool made = __real_repl_backup_take(repl, out);

    if (made && has_none) {
        free(out->bytes);
        *out = (struct repl_backup){.bytes = NULL};
    }
    if (made && largest != NULL) {
        free(out->bytes);
        out->len = RECOVER_MAX_BACKUP_BYTES;
        out->bytes = largest;
        largest = NULL;
    }
    return made;
}

void api_request_answer(struct api_request *asked, json_t *body)
{
    cr_assert_eq(asked, &request);
    answer = body;
}

void api_request_refuse(struct api_request *asked, const struct api_problem *p)
{
    cr_assert_eq(asked, &request);
    problem = *p;
}

void daemon_repl_options(const struct config *config, const struct log *log, struct repl_options *o)
{
    (void)config;
    (void)log;
    *o = options;
}

uint64_t io_boottime_ms(void)
{
    return 1;
}

static void start(void)
{
    struct repl_error error;
    struct repl_status st;

    d.repl = repl_start(&options, &error);
    cr_assert_not_null(d.repl, "%s", error.text);
    do
        repl_status(d.repl, &st);
    while ((st.speaks < RECORD_SPEAKS_DOCUMENTS || st.leader == 0) && poll(NULL, 0, 1) == 0);
}

static void begin(void)
{
    struct repl_error error;

    cr_assert_not_null(mkdtemp(parent));
    (void)snprintf(data, sizeof data, "%s/data", parent);
    (void)snprintf(other, sizeof other, "%s/other", parent);
    (void)snprintf(path, sizeof path, "%s/backup", data); /* beside configuration.key */
    cr_assert_eq(sem_init(&done, 0, 0), 0);
    options = alone_options(data);
    cr_assert(repl_init(&options, &error), "%s", error.text);
    d.config = &own;
    d.log = &quiet;
    recover_fill(&d.backend);
    cr_assert_eq(uv_loop_init(&d.loop), 0);
}

static void end(void)
{
    char command[128];

    cr_assert_eq(uv_loop_close(&d.loop), 0, "something is under way yet");
    (void)snprintf(command, sizeof command, "rm -rf '%s'", parent);
    cr_assert_eq(system(command), 0);
}

TestSuite(restore, .init = begin, .fini = end, .timeout = 120);

static void on_done(void *self, const struct repl_admin_result *result)
{
    (void)self;
    verdict = result->verdict;
    cr_assert_eq(sem_post(&done), 0);
}

static void put_large(int from)
{
    static const struct repl_admin alice = {.role = "admin", .principal = "CN=alice"};
    struct repl_document_change c[A_CHANGE];
    char names[A_CHANGE][8];

    for (int i = 0; i < A_CHANGE; i++) {
        (void)snprintf(names[i], sizeof names[i], "d%02d", from + i);
        c[i] = (struct repl_document_change){.kind = "pool",
                                             .name = names[i],
                                             .expect = REPL_EXPECT_ABSENT,
                                             .bytes = span_of(large, sizeof large)};
    }
    cr_assert_eq(repl_change_documents(d.repl, &alice, c, A_CHANGE, on_done, NULL, NULL), REPL_OK);
    while (sem_wait(&done) != 0)
        ;
    cr_assert_eq(verdict, REPL_ACCEPTED);
}

/* One turn of the control loop: milliseconds of this thread that it took, however busy the machine is. */
static double turn(void)
{
    struct timespec before, after;

    cr_assert_eq(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before), 0);
    admin_notes_tick(&d); /* who asks is in the log before */
    recover_tick(&d);
    (void)uv_run(&d.loop, UV_RUN_NOWAIT);
    cr_assert_eq(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after), 0);
    return (double)(after.tv_sec - before.tv_sec) * 1e3 +
           (double)(after.tv_nsec - before.tv_nsec) / 1e6;
}

/* Until it is answered; the longest turn, in milliseconds. */
static double ask(void)
{
    double longest = 0;

    d.backend.back_up(&d, &request, &asker);
    while (answer == NULL && problem.status == 0) {
        double ms = turn();

        longest = ms > longest ? ms : longest;
        (void)poll(NULL, 0, 1);
    }
    cr_assert_null(d.backup);
    return longest;
}

static size_t save(const char *hex)
{
    size_t n = strlen(hex) / 2;
    FILE *file = fopen(path, "wbe");

    cr_assert_not_null(file);
    for (size_t i = 0; i < n; i++)
        (void)fputc(hex_value(hex[2 * i]) << 4 | hex_value(hex[2 * i + 1]), file);
    cr_assert_eq(fclose(file), 0);
    return n;
}

/* False: `says` is in the text. */
static bool restores(const char *says)
{
    struct daemon_words words = {.backup = path};
    struct daemon_error error = {.text = ""};
    bool ok = daemon_restore(NULL, &words, &error);

    cr_assert(ok || (says != NULL && strstr(error.text, says) != NULL), "%s", error.text);
    return ok;
}

/* The text of a file of so many zeros. */
static void is_refused(size_t n, const char *says)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    cr_assert(fd >= 0 && ftruncate(fd, (off_t)n) == 0 && close(fd) == 0);
    cr_assert_not(restores(says), "%zu zeros", n);
}

Test(restore, a_large_state_comes_back)
{
    struct repl_status st;
    struct repl_view *view;
    uint64_t turn_ns;
    size_t n;

    memset(large, 'x', sizeof large);
    start();
    for (int i = 0; i < DOCUMENTS; i += A_CHANGE)
        put_large(i);
    (void)repl_loop_turns(d.repl);
    (void)ask();
    turn_ns = repl_loop_turns(d.repl).longest_cpu_ns;
    cr_assert_lt(turn_ns, TURN_MS * 1000000ull, "replication stood still for %.1f ms",
                 (double)turn_ns / 1e6);
    cr_assert_eq(problem.status, 0, "%s", problem.detail);
    repl_status(d.repl, &st);
    cr_assert_eq(json_integer_value(json_object_get(answer, "incarnation")),
                 (json_int_t)st.incarnation);
    cr_assert(json_integer_value(json_object_get(answer, "index")) > 0 &&
              json_integer_value(json_object_get(answer, "index")) <= (json_int_t)st.applied_index);
    n = save(json_string_value(json_object_get(answer, "backup")));
    cr_assert_gt(n, DOCUMENTS * sizeof large);
    repl_stop(d.repl);
    options.data_dir = other;
    cr_assert(restores(NULL));
    start();
    view = repl_view_take(d.repl);
    cr_assert_eq(view->n_documents, DOCUMENTS);
    for (size_t i = 0; i < DOCUMENTS; i++)
        cr_assert(view->documents[i]->len == sizeof large &&
                  memcmp(view->documents[i]->bytes, large, sizeof large) == 0);
    repl_view_release(view);
    repl_stop(d.repl);
    json_decref(answer);
    (void)printf(
        "compared %d documents, a backup of %zu bytes: replication's longest turn took %.1f ms\n",
        (int)DOCUMENTS, n, (double)turn_ns / 1e6);
}

Test(restore, what_is_no_backup_is_refused_as_what_it_is)
{
    options.data_dir = other;
    cr_assert_not(restores("No such file or directory"));
    is_refused(0, "is no backup of");
    is_refused(1 << 20, "is no backup of");
    is_refused(RECOVER_MAX_BACKUP_BYTES, "is no backup of");
    is_refused(RECOVER_MAX_BACKUP_BYTES + 1, "is too large");
    (void)snprintf(path, sizeof path, "%s", data);
    cr_assert_not(restores("Is a directory"));
    (void)printf("compared 6 files\n");
}

Test(restore, a_node_without_a_state_says_so)
{
    start();
    has_none = true;
    (void)ask();
    cr_assert_eq(problem.status, 503);
    cr_assert_str_eq(problem.name, "no-state");
    repl_stop(d.repl);
}

static void makes_the_largest(void)
{
    largest = malloc(RECOVER_MAX_BACKUP_BYTES);
    cr_assert_not_null(largest);
    memset(largest, 0xa5, RECOVER_MAX_BACKUP_BYTES);
}

/* Leases last 150 ms, and this loop keeps them. */
Test(restore, the_largest_one_stops_no_loop)
{
    double longest;

    start();
    makes_the_largest();
    longest = ask();
    cr_assert_eq(problem.status, 0, "%s", problem.detail);
    cr_assert_eq(strlen(json_string_value(json_object_get(answer, "backup"))),
                 2 * RECOVER_MAX_BACKUP_BYTES);
    cr_assert_lt(longest, TURN_MS, "a turn of %.1f ms", longest);
    (void)printf("compared 1 backup of %d bytes: the longest turn took %.1f ms\n",
                 (int)RECOVER_MAX_BACKUP_BYTES, longest);
    json_decref(answer);
    repl_stop(d.repl);
}

Test(restore, a_node_that_stops_while_it_is_written_out_says_so)
{
    start();
    makes_the_largest();
    d.backend.back_up(&d, &request, &asker);
    while (!uv_loop_alive(&d.loop)) {
        admin_notes_tick(&d);
        recover_tick(&d);
        (void)poll(NULL, 0, 1);
    }
    recover_stop(&d);
    cr_assert_eq(problem.status, 503);
    cr_assert_str_eq(problem.name, "stopping");
    (void)uv_run(&d.loop, UV_RUN_DEFAULT);
    cr_assert_null(answer, "answered twice");
    repl_stop(d.repl);
}
