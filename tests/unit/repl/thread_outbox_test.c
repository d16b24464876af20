/* What is let in at the door has room in the outbox, to the byte. The thread is held in a turn of its own,
 * so that nothing is settled meanwhile. */
#include <criterion/criterion.h>

#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/record.h"
#include "replication/repl_thread.h"
#include "unit/repl/alone.h"
#include "unit/repl/make.h"

/* The sealed ones are larger; so many of full size, and one that is smaller, fill the outbox. */
enum {
    MOST = REPL_MAX_RECORD_BYTES,
    FULL = 30,
    REST = REPL_MAX_OUTSTANDING_BYTES - FULL * (MOST + SEAL_OVERHEAD_BYTES),
    LAST = REST - (MOST + SEAL_OVERHEAD_BYTES) - SEAL_OVERHEAD_BYTES
};

static char parent[] = "/tmp/hf-outbox-XXXXXX", directory[64];
static struct repl *repl;
static sem_t there, go;
static bool publishes;
static char large[DOCUMENT_MAX_BYTES + 1];

/* A lone leader can give its office to nobody, and says so on its thread: there it is held. */
static void on_log(void *self, enum repl_log_level level, const char *text)
{
    (void)self;
    (void)level;
    if (strstr(text, "transfer of leadership") == NULL)
        return;
    if (publishes) /* as a link does that ends, or events that are many */
        repl_publish(repl);
    cr_assert_eq(sem_post(&there), 0);
    while (sem_wait(&go) != 0)
        ;
}

static void begin(void)
{
    struct repl_options options = alone_options(directory);
    struct repl_error error;
    struct repl_status st;

    cr_assert_not_null(mkdtemp(parent));
    (void)snprintf(directory, sizeof directory, "%s/data", parent);
    memset(large, 'x', DOCUMENT_MAX_BYTES);
    cr_assert(sem_init(&there, 0, 0) == 0 && sem_init(&go, 0, 0) == 0);
    options.log = on_log;
    cr_assert(repl_init(&options, &error), "%s", error.text);
    repl = repl_start(&options, &error);
    cr_assert_not_null(repl, "%s", error.text);
    for (repl_status(repl, &st); st.leader == 0; repl_status(repl, &st))
        (void)poll(NULL, 0, 1);
}

static void end(void)
{
    char command[128];

    repl_stop(repl);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", parent);
    cr_assert_eq(system(command), 0);
}

TestSuite(repl_thread_outbox, .init = begin, .fini = end, .timeout = 120);

static void ask_for_transfer(void)
{
    cr_assert_eq(repl_transfer_leader(repl, 1), REPL_OK);
}

static void await_held(void)
{
    while (sem_wait(&there) != 0)
        ;
}

static void let_go(void)
{
    cr_assert_eq(sem_post(&go), 0);
}

/* Documents that are `packed` bytes long as the next request of this node. */
static enum repl_result submit(size_t packed)
{
    struct maker m = {.node = 1, .boot = repl_boot(repl), .request = repl->next_request};
    Holdfast__Record *r = make_documents(&m);
    uint64_t request;
    enum repl_result result;
    size_t last, size;

    for (char name[] = "a"; name[0] <= 'p'; name[0]++)
        make_change_of(r, "connection", name, HOLDFAST__DOCUMENT_CHANGE__EXPECT__ANY, 0, large);
    last = r->documents->n_changes - 1;
    size = holdfast__record__get_packed_size(r);
    r->documents->changes[last]->bytes.len -= size - packed;
    cr_assert_eq(holdfast__record__get_packed_size(r), packed);
    result = repl_submit(repl, r, NULL, &request);
    record_free(r);
    return result;
}

static void submit_full(size_t n)
{
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(submit(MOST), REPL_OK, "record %zu", i);
}

/* Until the log has judged n of ours. */
static void await_settled(size_t n)
{
    while (n > 0) {
        struct pollfd p = {.fd = repl_event_fd(repl), .events = POLLIN};
        struct repl_event *e = repl_next_event(repl);

        if (e == NULL)
            (void)poll(&p, 1, 20);
        n -= e != NULL && e->kind == REPL_EV_APPLIED && e->mine;
        repl_event_free(e);
    }
}

Test(repl_thread_outbox, a_record_of_full_size_is_let_in_where_it_has_room)
{
    ask_for_transfer();
    await_held();
    submit_full(FULL);
    cr_assert_eq(submit(LAST), REPL_OK);
    cr_assert_eq(submit(MOST), REPL_OK);
    cr_assert_eq(repl->outstanding_bytes, REPL_MAX_OUTSTANDING_BYTES);
    let_go();
    await_settled(FULL + 2);
    ask_for_transfer();
    await_held();
    cr_expect_eq(repl->inbox_bytes, 0, "what was put counts twice");
    submit_full(FULL);
    let_go();
}

/* One byte less room than it needs once it is sealed: it was let in, and the process ended. */
Test(repl_thread_outbox, a_record_of_full_size_is_refused_where_it_has_no_room)
{
    ask_for_transfer();
    await_held();
    submit_full(FULL);
    cr_assert_eq(submit(LAST + 1), REPL_OK);
    cr_expect_eq(submit(MOST), REPL_BUSY);
    let_go();
    await_settled(FULL + 1);
}

/* The second transfer comes first in the list, with all that was submitted behind it. */
Test(repl_thread_outbox, what_waits_in_the_list_is_outstanding)
{
    ask_for_transfer();
    await_held();
    ask_for_transfer();
    submit_full(FULL + 1);
    cr_assert_eq(submit(MOST), REPL_BUSY);
    publishes = true;
    let_go();
    await_held();
    cr_expect_eq(submit(MOST), REPL_BUSY, "what stands in the list was forgotten");
    let_go();
    await_settled(FULL + 1);
}
