/* Operators' changes: packed, submitted, and who waits for them is told. */
#include "replication/repl_admin.h"

#include <stdlib.h>

#include "replication/record.h"
#include "replication/repl_thread.h"

static char *text_of(const char *s)
{
    return (char *)(uintptr_t)(s == NULL ? "" : s);
}

static bool too_old(struct repl *repl)
{
    bool old;

    uv_mutex_lock(&repl->lock);
    old = repl->status.speaks < RECORD_SPEAKS_DOCUMENTS;
    uv_mutex_unlock(&repl->lock);
    return old;
}

static enum repl_result submit(struct repl *repl, const struct repl_admin *admin,
                               const char *outcome, struct Holdfast__Record *record,
                               repl_admin_done *done, void *self, uint64_t *request)
{
    Holdfast__Admin m = record_admin(admin, outcome);
    struct admin_wait *wait = NULL;
    enum repl_result result;
    uint64_t given = 0;

    if (too_old(repl))
        return REPL_OLD_MEMBER;
    if (done != NULL) {
        wait = repl_alloc_zero(1, sizeof *wait);
        *wait = (struct admin_wait){.done = done, .self = self};
    }
    record->admin = &m;
    result = repl_submit_waited(repl, record, NULL, wait, &given);
    record->admin = NULL;
    if (result != REPL_OK)
        free(wait);
    else if (request != NULL)
        *request = given;
    return result;
}

enum repl_result repl_submit_admin(struct repl *repl, const struct repl_admin *admin,
                                   struct Holdfast__Record *record, repl_admin_done *done,
                                   void *self, uint64_t *request)
{
    return submit(repl, admin, "", record, done, self, request);
}

enum repl_result repl_note_audit(struct repl *repl, const struct repl_admin *admin,
                                 const char *outcome, repl_admin_done *done, void *self,
                                 uint64_t *request)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Audit body = HOLDFAST__AUDIT__INIT;

    record.body_case = HOLDFAST__RECORD__BODY_AUDIT;
    record.audit = &body;
    return submit(repl, admin, outcome, &record, done, self, request);
}

static Holdfast__DocumentChange change_of(const struct repl_document_change *c)
{
    Holdfast__DocumentChange m = HOLDFAST__DOCUMENT_CHANGE__INIT;

    m.kind = text_of(c->kind);
    m.name = text_of(c->name);
    m.expect = c->expect == REPL_EXPECT_ABSENT    ? HOLDFAST__DOCUMENT_CHANGE__EXPECT__ABSENT
               : c->expect == REPL_EXPECT_VERSION ? HOLDFAST__DOCUMENT_CHANGE__EXPECT__VERSION
                                                  : HOLDFAST__DOCUMENT_CHANGE__EXPECT__ANY;
    m.version = c->expect == REPL_EXPECT_VERSION ? c->version : 0;
    m.remove = c->remove;
    if (!c->remove)
        m.bytes =
            (ProtobufCBinaryData){.len = c->bytes.len, .data = (uint8_t *)(uintptr_t)c->bytes.data};
    return m;
}

enum repl_result repl_change_documents(struct repl *repl, const struct repl_admin *admin,
                                       const struct repl_document_change *changes, size_t n,
                                       repl_admin_done *done, void *self, uint64_t *request)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__Documents body = HOLDFAST__DOCUMENTS__INIT;
    Holdfast__DocumentChange *items, **list;
    enum repl_result result;

    if (n == 0 || n > DOCUMENT_MAX_CHANGES)
        return REPL_INVALID;
    items = repl_alloc_zero(n, sizeof *items);
    list = repl_alloc_zero(n, sizeof(void *));
    for (size_t i = 0; i < n; i++) {
        items[i] = change_of(&changes[i]);
        list[i] = &items[i];
    }
    body.n_changes = n;
    body.changes = list;
    record.body_case = HOLDFAST__RECORD__BODY_DOCUMENTS;
    record.documents = &body;
    result = submit(repl, admin, "", &record, done, self, request);
    free(list);
    free(items);
    return result;
}

/* --- who waits --- */

static struct admin_wait *take_wait(struct repl *repl, uint64_t request)
{
    struct admin_wait **at, *w = NULL;

    uv_mutex_lock(&repl->lock);
    for (at = &repl->waits; *at != NULL && (*at)->request != request;)
        at = &(*at)->next;
    if (*at != NULL) {
        w = *at;
        *at = w->next;
    }
    uv_mutex_unlock(&repl->lock);
    return w;
}

bool repl_settle_admin(struct repl *repl, struct repl_event *event)
{
    bool unsettled = event->kind == REPL_EV_UNSETTLED;
    struct admin_wait *w = NULL;

    if (event->audit != 0 || event->kind == REPL_EV_RESET || event->kind == REPL_EV_RESTORE_END)
        repl->view_stale = true;
    if (unsettled ||
        (event->kind == REPL_EV_APPLIED && event->mine && event->record->admin != NULL))
        w = take_wait(repl, event->request);
    if (w == NULL)
        return false;

    struct repl_admin_result result = {.settled = unsettled ? REPL_UNSETTLED : REPL_SETTLED,
                                       .verdict = event->verdict,
                                       .request = event->request,
                                       .index = event->index,
                                       .cluster_ms = event->cluster_ms,
                                       .audit = event->audit,
                                       .speaks = event->speaks};

    if (event->verdict == REPL_ACCEPTED) {
        result.version = event->document_version;
    } else {
        result.item = event->document_item;
        result.item_version = event->document_version;
    }
    repl_publish_view(repl); /* whoever is told finds it there */
    w->done(w->self, &result);
    free(w);
    event->mine = false; /* nobody else's */
    event->effects = NULL;
    return unsettled;
}

void repl_stop_waits(struct repl *repl)
{
    while (repl->waits != NULL) {
        struct admin_wait *w = repl->waits;
        struct repl_admin_result result = {.settled = REPL_STOPPED, .request = w->request};

        repl->waits = w->next;
        w->done(w->self, &result);
        free(w);
    }
}
