/* The audit for the REST API: the entries that the state keeps, as their lines in the file; and what was refused before it came to
 * the log, which goes into it as a note of its own. */
#include <stdio.h>
#include <time.h>

#include "base/hex.h"
#include "daemon/admin_tokens.h"
#include "daemon/internal.h"
#include "io/clock.h"
#include "replication/text.h"

enum { MINUTE_MS = 60000, TARGET_BYTES = 256, WORDS_BYTES = 64 };

/* What the line says, member by member. */
static json_t *entry_json(const struct audit_entry *e)
{
    char line[AUDIT_MAX_LINE];
    json_t *out = json_loadb(line, audit_line(e, line), 0, NULL);

    HF_ASSERT(out != NULL); /* its texts are UTF-8, so it is JSON */
    return out;
}

static bool wanted(const struct api_audit_query *q, const struct audit_entry *e)
{
    return (q->principal[0] == '\0' || strcmp(q->principal, e->texts[AUDIT_PRINCIPAL]) == 0) &&
           (q->operation[0] == '\0' || strcmp(q->operation, e->texts[AUDIT_OPERATION]) == 0);
}

/* The entry number i in the order that is asked for. */
static const struct audit_entry *nth(const struct repl_view *view, const struct api_audit_query *q,
                                     size_t i)
{
    return view->audit[q->oldest_first ? i : view->n_audit - 1 - i];
}

static bool is_behind(const struct api_audit_query *q, const struct audit_entry *e)
{
    return q->after == 0 || (q->oldest_first ? e->sequence > q->after : e->sequence < q->after);
}

static json_t *get_audit(void *self, const struct api_audit_query *q, struct api_problem *problem)
{
    struct daemon *d = self;
    struct repl_view *view = repl_view_take(d->repl);
    json_t *list = json_array(), *out;
    char hash[2 * SHA256_BYTES + 1];
    uint64_t last = 0;

    (void)problem;
    hex_put(view->head.hash, SHA256_BYTES, hash);
    out = json_pack(
        "{s:{s:I,s:s},s:I,s:o}", "head", "sequence", (json_int_t)view->head.count, "hash", hash,
        "first", (json_int_t)(view->n_audit > 0 ? view->audit[0]->sequence : 0), "entries", list);
    for (size_t i = 0; i < view->n_audit; i++) {
        const struct audit_entry *e = nth(view, q, i);

        if (!is_behind(q, e) || !wanted(q, e))
            continue;
        if (q->limit != 0 && json_array_size(list) == q->limit) {
            json_object_set_new(out, "next", json_sprintf("%016llx", (unsigned long long)last));
            break;
        }
        json_array_append_new(list, entry_json(e));
        last = e->sequence;
    }
    repl_view_release(view);
    return out;
}

static json_t *get_entry(void *self, uint64_t sequence, struct api_problem *problem)
{
    struct daemon *d = self;
    struct repl_view *view = repl_view_take(d->repl);
    const struct audit_entry *e = repl_view_audit(view, sequence);
    json_t *out = e != NULL ? entry_json(e) : NULL;

    if (e == NULL)
        api_problem_set(problem, 404, "unknown-entry",
                        "entry %llu is not kept here, or not there yet: %llu to %llu are",
                        (unsigned long long)sequence,
                        (unsigned long long)(view->n_audit > 0 ? view->audit[0]->sequence : 0),
                        (unsigned long long)view->head.count);
    repl_view_release(view);
    return out;
}

/* Whoever may do nothing may not push all else out of what is kept. */
static bool has_room(struct admin_tokens *n)
{
    uint64_t now = io_boottime_ms();

    if (n->notes_since_ms == 0 || now - n->notes_since_ms >= MINUTE_MS) {
        n->notes_since_ms = now;
        n->notes = 0;
    }
    return n->notes < NOTES_A_MINUTE;
}

static void note_refusal(void *self, const struct api_asker *who, const char *operation,
                         const char *path, const char *name)
{
    struct daemon *d = self;
    struct admin_tokens *n = &d->tokens;
    char target[TARGET_BYTES], after[WORDS_BYTES] = "";
    struct repl_admin admin = {.role = who->role,
                               .principal = who->principal,
                               .address = who->address,
                               .request_id = who->request_id,
                               .operation = operation,
                               .target = target,
                               .after = after,
                               .wall_ms = (uint64_t)time(NULL) * 1000};

    (void)snprintf(target, sizeof target, "%s", path);
    text_clean(target); /* it is what the client sent */
    if (n->unnoted > 0)
        (void)snprintf(after, sizeof after, "without an entry before it %u", n->unnoted);
    if (!has_room(n) || repl_note_audit(d->repl, &admin, name, NULL, NULL, NULL) != REPL_OK) {
        n->unnoted++;
        return;
    }
    n->notes++;
    n->unnoted = 0;
}

void admin_audit_fill(struct api_backend *b)
{
    b->audit = get_audit;
    b->audit_entry = get_entry;
    b->note_refusal = note_refusal;
}
