/* What an operator orders is written down before it is done: the daemon's own file over a log of the test's, which settles when the
 * test says so, and an admin server that keeps what it is told. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "daemon/internal.h"
#include "io/clock.h"

static struct daemon d;
static struct config config;
static const struct log quiet = {LOG_ERROR, -1};

/* --- the log --- */

static struct repl_status status;
static uint64_t boot_ms;
static enum repl_result taken;
static unsigned noted;
static char entry[512]; /* the newest: who, what, outcome */
static repl_admin_done *done;
static void *done_self;

void repl_status(struct repl *repl, struct repl_status *out)
{
    (void)repl;
    *out = status;
}

uint64_t io_boottime_ms(void)
{
    return boot_ms;
}

enum repl_result repl_note_audit(struct repl *repl, const struct repl_admin *a, const char *outcome,
                                 repl_admin_done *on_done, void *self, uint64_t *request)
{
    (void)repl;
    (void)request;
    cr_assert(audit_text_valid(AUDIT_PRINCIPAL, a->principal) && a->operation != NULL);
    if (taken != REPL_OK)
        return taken;
    noted++;
    (void)snprintf(entry, sizeof entry, "%s %s %s %s|%s %s|%s|%s|%s", a->role, a->principal,
                   a->address, a->request_id == NULL ? "" : a->request_id, a->operation, a->target,
                   a->before == NULL ? "" : a->before, a->after == NULL ? "" : a->after, outcome);
    done = on_done;
    done_self = self;
    return REPL_OK;
}

static void settles(enum repl_settled settled, enum repl_verdict verdict)
{
    struct repl_admin_result result = {.settled = settled, .verdict = verdict};

    done(done_self, &result);
}

/* --- the admin server --- */

struct api_request {
    unsigned answered, refused;
    struct api_problem problem;
};

void api_request_answer(struct api_request *request, json_t *body)
{
    request->answered++;
    json_decref(body);
}

void api_request_refuse(struct api_request *request, const struct api_problem *problem)
{
    request->refused++;
    request->problem = *problem;
}

/* --- orders --- */

static unsigned deeds;

static void deed(struct daemon *self, struct api_request *request,
                 const union admin_deed_args *args)
{
    cr_assert_eq(self, &d);
    cr_assert_eq(args->node, 7);
    deeds++;
    api_request_answer(request, NULL);
}

static const struct api_asker alice = {
    .role = "admin", .principal = "email:alice", .address = "192.0.2.7", .request_id = "r-1"};
static const struct api_asker root = {
    .role = "root", .principal = "root", .address = "local", .request_id = "r-2"};

static void order(struct api_request *request, const struct api_asker *who, bool mends)
{
    const struct admin_order o = {.operation = "leader.transfer",
                                  .target = "cluster/leader",
                                  .before = "node 1",
                                  .after = "node 7",
                                  .deed = deed,
                                  .args = {.node = 7},
                                  .mends = mends};

    *request = (struct api_request){0};
    admin_note_first(&d, request, who, &o);
}

static void begin(void)
{
    memset(&d, 0, sizeof d);
    config.node_id = 3;
    d.config = &config;
    d.log = &quiet;
    status = (struct repl_status){.node = 3, .leader = 1, .quorum = true};
    boot_ms = 1000;
    taken = REPL_OK;
    noted = deeds = 0;
    entry[0] = '\0';
}

TestSuite(notes, .init = begin);

static void cr_assert_refused(const struct api_request *r, unsigned code, const char *name)
{
    cr_assert(r->answered == 0 && r->refused == 1, "%u answered, %u refused", r->answered,
              r->refused);
    cr_assert_eq(r->problem.status, code, "%s", r->problem.detail);
    cr_assert_str_eq(r->problem.name, name);
    cr_assert_eq(deeds, 0, "it was done");
}

Test(notes, it_is_done_when_it_is_written_down_and_not_before)
{
    struct api_request r;

    order(&r, &alice, false);
    cr_assert_str_eq(entry, "admin email:alice 192.0.2.7 r-1|leader.transfer cluster/leader|node 1|"
                            "node 7|ordered");
    admin_notes_tick(&d);
    cr_assert(deeds == 0 && r.answered + r.refused == 0, "before its entry");
    settles(REPL_SETTLED, REPL_ACCEPTED);
    cr_assert_eq(deeds, 0, "on the log's thread");
    admin_notes_tick(&d);
    cr_assert(deeds == 1 && r.answered == 1 && r.refused == 0);
    admin_notes_tick(&d);
    cr_assert_eq(deeds, 1);
}

Test(notes, without_a_majority_nothing_is_done)
{
    struct api_request r;

    status.quorum = false;
    order(&r, &alice, false);
    cr_assert_refused(&r, 503, "no-quorum");
    order(&r, &alice, true);
    cr_assert_refused(&r, 503, "no-quorum");
    order(&r, &root, false);
    cr_assert_refused(&r, 503, "no-quorum");
    status.quorum = true;
    status.leader = 0;
    order(&r, &alice, true);
    cr_assert_refused(&r, 503, "no-quorum");
    cr_assert_eq(noted, 0);
}

/* A certificate that ended on all nodes is why there is no majority: its renewal cannot wait for one. */
Test(notes, what_mends_is_done_for_root_at_once)
{
    struct api_request r;

    status.quorum = false;
    order(&r, &root, true);
    cr_assert(deeds == 1 && r.answered == 1 && r.refused == 0);
    cr_assert_eq(noted, 1);
    cr_assert_not_null(strstr(entry, "|ordered, no majority"), "%s", entry);
    taken = REPL_BUSY;
    order(&r, &root, true);
    cr_assert_eq(deeds, 2);
}

Test(notes, what_the_log_does_not_take_in_time_is_never_done)
{
    struct api_request r;

    order(&r, &alice, true);
    boot_ms += NOTE_WAIT_MS - 1;
    admin_notes_tick(&d);
    cr_assert_eq(r.refused, 0);
    boot_ms += 1;
    admin_notes_tick(&d);
    cr_assert_refused(&r, 504, "timeout");
    settles(REPL_SETTLED, REPL_ACCEPTED); /* later, all the same */
    admin_notes_tick(&d);
    cr_assert_refused(&r, 504, "timeout");
    cr_assert_not(d.notes[0].used, "its place is free again");
}

Test(notes, what_the_log_refuses_or_hides_is_not_done)
{
    struct api_request r;

    order(&r, &alice, false);
    settles(REPL_SETTLED, REPL_REFUSED_MALFORMED);
    admin_notes_tick(&d);
    cr_assert_refused(&r, 503, "busy");
    order(&r, &alice, false);
    settles(REPL_UNSETTLED, REPL_ACCEPTED);
    admin_notes_tick(&d);
    cr_assert_refused(&r, 503, "busy");
    order(&r, &alice, false);
    settles(REPL_STOPPED, REPL_ACCEPTED);
    admin_notes_tick(&d);
    cr_assert_refused(&r, 503, "stopping");
    taken = REPL_BUSY;
    order(&r, &alice, false);
    cr_assert_refused(&r, 503, "busy");
}

/* They have no audit, so nothing of theirs has an entry; a leader must be moved in an upgrade. */
Test(notes, beside_older_members_it_is_done)
{
    struct api_request r;

    taken = REPL_OLD_MEMBER;
    order(&r, &alice, false);
    cr_assert(deeds == 1 && r.answered == 1 && noted == 0);
    cr_assert_not(d.notes[0].used);
}

Test(notes, so_many_at_once_and_all_end_with_the_node)
{
    static struct api_request r[NOTES_AT_ONCE + 1];

    for (size_t i = 0; i <= NOTES_AT_ONCE; i++)
        order(&r[i], &alice, false);
    cr_assert_refused(&r[NOTES_AT_ONCE], 503, "busy");
    admin_notes_stop(&d);
    for (size_t i = 0; i < NOTES_AT_ONCE; i++)
        cr_assert_refused(&r[i], 503, "stopping");
    settles(REPL_STOPPED, REPL_ACCEPTED); /* from repl_stop() */
    cr_assert_eq(deeds, 0);
}

Test(notes, a_name_that_cannot_be_shown_is_cleaned)
{
    struct api_asker odd = alice;
    struct api_request r;

    strcpy(odd.principal, "cn:\x01\xff");
    order(&r, &odd, false);
    cr_assert_not_null(strstr(entry, "admin cn:?? "), "%s", entry);
    admin_notes_stop(&d);
}

Test(notes, a_signal_has_its_entry)
{
    admin_note_signal(&d);
    cr_assert_str_eq(entry, "root SIGHUP local |node.reload nodes/3|||ordered");
}
