#include "daemon/admin_notes.h"

#include <stdio.h>
#include <string.h>

#include "daemon/internal.h"
#include "io/clock.h"

static void on_done(void *self, const struct repl_admin_result *result)
{
    struct admin_note *n = self;

    n->result = *result;
    atomic_store_explicit(&n->done, true, memory_order_release);
}

static struct repl_admin admin_of(const struct api_asker *asker, const struct admin_order *o)
{
    struct repl_admin admin = admin_by(asker);

    admin.operation = o->operation;
    admin.target = o->target;
    admin.before = o->before;
    admin.after = o->after;
    return admin;
}

static struct admin_note *free_note(struct daemon *d)
{
    for (size_t i = 0; i < NOTES_AT_ONCE; i++)
        if (!d->notes[i].used)
            return &d->notes[i];
    return NULL;
}

static bool is_root(const struct api_asker *who)
{
    return strcmp(who->role, "root") == 0;
}

/* Its entry comes with the next majority, or not at all if this node ends before: the node's own log says it in any case. */
static void do_without(struct daemon *d, struct api_request *request, const struct repl_admin *by,
                       const struct admin_order *o)
{
    log_line(d->log, LOG_WARN, "audit", "%s of %s by %s without a majority: its entry comes later",
             o->operation, o->target, by->principal);
    (void)!repl_note_audit(d->repl, by, "ordered, no majority", NULL, NULL, NULL);
    o->deed(d, request, &o->args);
}

static void submit(struct daemon *d, struct api_request *request, const struct repl_admin *by,
                   const struct admin_order *o)
{
    struct admin_note *n = free_note(d);
    enum repl_result result;

    if (n == NULL) {
        admin_refuse(request, 503, "busy", "too much is under way: try again");
        return;
    }
    *n = (struct admin_note){.used = true,
                             .until_ms = io_boottime_ms() + NOTE_WAIT_MS,
                             .request = request,
                             .deed = o->deed,
                             .args = o->args};
    result = repl_note_audit(d->repl, by, "ordered", on_done, n, NULL);
    if (result == REPL_OK)
        return;
    n->used = false;
    if (result == REPL_OLD_MEMBER)
        o->deed(d, request, &o->args);
    else
        admin_refuse(request, 503, "busy", "replication takes nothing now: try again");
}

void admin_note_first(struct daemon *d, struct api_request *request, const struct api_asker *who,
                      const struct admin_order *o)
{
    struct api_asker asker = admin_asker(who);
    struct repl_admin by = admin_of(&asker, o);
    struct repl_status st;

    repl_status(d->repl, &st);
    if (st.quorum && st.leader != 0)
        submit(d, request, &by, o);
    else if (o->mends && is_root(who))
        do_without(d, request, &by, o);
    else
        admin_refuse(request, 503, "no-quorum",
                     "no majority of the members is reached, so it cannot be written down who "
                     "asked: nothing was done");
}

void admin_note_signal(struct daemon *d)
{
    char target[32];
    struct api_asker asker = {.role = "root", .principal = "SIGHUP", .address = "local"};
    struct admin_order o = {.operation = "node.reload", .target = target};
    struct repl_admin by;

    (void)snprintf(target, sizeof target, "nodes/%u", (unsigned)d->config->node_id);
    by = admin_of(&asker, &o);
    (void)!repl_note_audit(d->repl, &by, "ordered", NULL, NULL, NULL);
}

/* --- what became of it --- */

static void refuse_stopping(struct api_request *request)
{
    admin_refuse(request, 503, "stopping", "this node is stopping, nothing was done: ask again");
}

static void settle(struct daemon *d, const struct admin_note *n)
{
    if (n->request == NULL)
        return;
    if (n->result.settled == REPL_STOPPED)
        refuse_stopping(n->request);
    else if (n->result.settled != REPL_SETTLED || n->result.verdict != REPL_ACCEPTED)
        admin_refuse(n->request, 503, "busy",
                     "whether it is written down is not known here, so nothing was done: ask "
                     "again");
    else
        n->deed(d, n->request, &n->args);
}

/* The place stays until the log has settled it: done() knows nothing of time. */
static void give_up(struct admin_note *n)
{
    admin_refuse(n->request, 504, "timeout",
                 "the log did not take in time who asked (is there a majority?): nothing was done, "
                 "nor will it be. Ask again");
    n->request = NULL;
}

void admin_notes_tick(struct daemon *d)
{
    for (size_t i = 0; i < NOTES_AT_ONCE; i++) {
        struct admin_note *n = &d->notes[i], settled;

        if (!n->used)
            continue;
        if (atomic_load_explicit(&n->done, memory_order_acquire)) {
            settled = *n;
            n->used = false;
            settle(d, &settled);
        } else if (n->request != NULL && io_boottime_ms() >= n->until_ms) {
            give_up(n);
        }
    }
}

void admin_notes_stop(struct daemon *d)
{
    for (size_t i = 0; i < NOTES_AT_ONCE; i++) {
        struct admin_note *n = &d->notes[i];

        if (n->used && n->request != NULL)
            refuse_stopping(n->request);
        n->request = NULL;
    }
}
