#include "daemon/recover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/hex.h"
#include "base/operator.h"
#include "daemon/admin_notes.h"
#include "daemon/daemon.h"
#include "daemon/internal.h"
#include "io/clock.h"
#include "replication/recover.h"
#include "replication/recover_survey.h"

enum {
    STOP_AFTER_MS = 200, /* the answer is on its way */
    NAME_BYTES = API_NAME_BYTES + REPL_WHO_BYTES + 4
};

void recover_list(const uint32_t *nodes, size_t n, char out[RECOVER_TYPED_BYTES])
{
    uint32_t sorted[REPL_MAX_NODES];
    size_t at = 0;

    HF_ASSERT(n <= REPL_MAX_NODES);
    for (size_t i = 0; i < n; i++) {
        size_t k = i;

        for (; k > 0 && sorted[k - 1] > nodes[i]; k--)
            sorted[k] = sorted[k - 1];
        sorted[k] = nodes[i];
    }
    (void)snprintf(out, RECOVER_TYPED_BYTES, "none");
    for (size_t i = 0; i < n; i++) {
        int w = snprintf(out + at, RECOVER_TYPED_BYTES - at, "%s%u", i == 0 ? "" : ",", sorted[i]);

        HF_ASSERT(w > 0 && (size_t)w < RECOVER_TYPED_BYTES - at);
        at += (size_t)w;
    }
}

/* Cut to what is kept; what is no plain text would spoil a terminal, or a JSON text. */
static void take_text(char *out, size_t n, const char *text)
{
    size_t i = 0;

    for (; text != NULL && text[i] != '\0' && i + 1 < n; i++)
        out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    out[i] = '\0';
}

/* By the wall clock: only people read it. */
static struct repl_word word_of(const char *who, const char *why, uint32_t highest_id)
{
    struct repl_word word = {.wall_s = (uint64_t)time(NULL), .highest_id = highest_id};

    take_text(word.who, sizeof word.who, who);
    take_text(word.why, sizeof word.why, why);
    return word;
}

static struct repl_word own_word(const struct daemon_words *words)
{
    char who[REPL_WHO_BYTES];

    operator_name(who, sizeof who);
    return word_of(who, words->why, words->highest_id);
}

json_t *recover_json(struct repl *repl)
{
    struct repl_beginning all[REPL_MAX_BEGINNINGS];
    size_t n = repl_beginnings(repl, all);
    json_t *out = json_array();

    for (size_t i = 0; i < n; i++) {
        const struct repl_beginning *b = &all[i];
        char given_up[RECOVER_TYPED_BYTES];

        recover_list(b->given_up, b->n_given_up, given_up);
        (void)json_array_append_new(
            out, json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:s,s:I,s:I,s:s,s:s}", "how",
                           b->how == REPL_RESTORED ? "restore" : "recover", "former",
                           (json_int_t)b->former, "incarnation", (json_int_t)b->incarnation, "node",
                           (json_int_t)b->node, "index", (json_int_t)b->index, "cluster_ms",
                           (json_int_t)b->cluster_ms, "given_up", given_up, "wall_s",
                           (json_int_t)b->word.wall_s, "highest_id", (json_int_t)b->word.highest_id,
                           "who", b->word.who, "why", b->word.why));
    }
    return out;
}

uint32_t recover_used_ids(struct repl *repl)
{
    struct repl_beginning all[REPL_MAX_BEGINNINGS];
    size_t n = repl_beginnings(repl, all);

    return n == 0 ? 0 : all[n - 1].word.highest_id;
}

/* --- without a running daemon --- */

static void warn(const struct repl_recovery *r, const char *lost)
{
    (void)printf(
        "This node alone becomes the cluster, under a new incarnation. That ends, for "
        "good:\n"
        "  - all tunnels: clients connect anew;\n"
        "  - what was agreed behind entry %llu, the newest that this node has;\n"
        "  - the nodes %s as members: ids up to %u are never used again (if a node with a "
        "higher one may have been there: --highest-id).\n"
        "Those nodes must be off, and must never be started again with their present data: "
        "two of them could serve beside this one.\n",
        (unsigned long long)r->index, lost, r->highest_id);
}

bool daemon_recover(const struct config *config, const struct daemon_words *words,
                    struct daemon_error *error)
{
    struct log quiet = {LOG_ERROR, STDERR_FILENO};
    char wanted[RECOVER_TYPED_BYTES];
    struct repl_options o;
    struct repl_recovery r;
    struct repl_error e;

    daemon_repl_options(config, &quiet, &o);
    o.word = own_word(words);
    if (!repl_recover_look(&o, &r, &e)) {
        (void)snprintf(error->text, sizeof error->text, "%s", e.text);
        return false;
    }
    recover_list(r.lost, r.n_lost, wanted);
    warn(&r, wanted);
    (void)fflush(stdout);
    if (r.n_lost == 0) {
        (void)snprintf(error->text, sizeof error->text,
                       "this node is the only member already: nothing to recover, just start it");
        return false;
    }
    if (!words->force || words->lost == NULL || strcmp(words->lost, wanted) != 0) {
        (void)snprintf(error->text, sizeof error->text,
                       "nothing was changed. If all of that is meant: --recover --lost %s --force",
                       wanted);
        return false;
    }
    if (!repl_recover(&o, &r, &e)) {
        (void)snprintf(error->text, sizeof error->text, "%s", e.text);
        return false;
    }
    (void)printf("done: incarnation %llu, it was %llu. Start holdfastd.\n",
                 (unsigned long long)r.incarnation, (unsigned long long)r.former);
    return true;
}

/* Room for all of it and for one byte more, which none may have. 0: errno says why. */
static size_t room_for(FILE *file)
{
    struct stat st;

    if (fstat(fileno(file), &st) != 0)
        return 0;
    return S_ISREG(st.st_mode) && st.st_size < RECOVER_MAX_BACKUP_BYTES
               ? (size_t)st.st_size + 1
               : RECOVER_MAX_BACKUP_BYTES + 1;
}

/* malloc'd; NULL: *error. */
static uint8_t *read_file(const char *path, size_t *n, struct daemon_error *error)
{
    FILE *file = fopen(path, "rbe");
    size_t room = file == NULL ? 0 : room_for(file);
    uint8_t *bytes = room == 0 ? NULL : malloc(room);
    bool ok;

    HF_ASSERT(room == 0 || bytes != NULL);
    *n = room == 0 ? 0 : fread(bytes, 1, room, file);
    ok = room != 0 && !ferror(file);
    if (!ok)
        (void)snprintf(error->text, sizeof error->text, "%s: %s", path, strerror(errno));
    else if (*n > RECOVER_MAX_BACKUP_BYTES)
        (void)snprintf(error->text, sizeof error->text,
                       "%s: is too large for a backup of `holdfast snapshot save`, which has at "
                       "most %d bytes",
                       path, (int)RECOVER_MAX_BACKUP_BYTES);
    if (file != NULL)
        (void)fclose(file);
    if (ok && *n <= RECOVER_MAX_BACKUP_BYTES)
        return bytes;
    free(bytes);
    return NULL;
}

static void say_restored(const struct repl_recovery *r)
{
    char lost[RECOVER_TYPED_BYTES];

    recover_list(r->lost, r->n_lost, lost);
    (void)printf("restored as of entry %llu: incarnation %llu, it was %llu; without tunnels, and "
                 "this node alone.\n"
                 "Before you start holdfastd: the former nodes (%s, this one's other disk, and all "
                 "that joined later) must be off, and must never be started again with their "
                 "present data: two of them could serve beside this one.\n",
                 (unsigned long long)r->index, (unsigned long long)r->incarnation,
                 (unsigned long long)r->former, lost);
}

bool daemon_restore(const struct config *config, const struct daemon_words *words,
                    struct daemon_error *error)
{
    struct log quiet = {LOG_ERROR, STDERR_FILENO};
    const char *path = words->backup, *slash = strrchr(path, '/');
    char key_dir[512];
    struct repl_options o;
    struct repl_recovery r;
    struct repl_error e;
    uint8_t *bytes;
    size_t n;
    bool ok;

    (void)snprintf(key_dir, sizeof key_dir, "%.*s", slash == NULL ? 1 : (int)(slash - path),
                   slash == NULL ? "." : path);
    bytes = read_file(path, &n, error);
    if (bytes == NULL)
        return false;
    daemon_repl_options(config, &quiet, &o);
    o.word = own_word(words);
    ok = repl_restore(&o, key_dir, span_of(bytes, n), &r, &e);
    free(bytes);
    if (ok)
        say_restored(&r);
    else
        (void)snprintf(error->text, sizeof error->text, "%s", e.text);
    return ok;
}

/* --- beside one --- */

/* While a majority may be alive this would make two clusters of one. */
static bool allowed(struct daemon *d, struct api_request *request, const char *typed)
{
    char wanted[RECOVER_TYPED_BYTES];
    struct repl_status st;
    struct recover_survey s;

    repl_status(d->repl, &st);
    s = recover_survey(&st);
    recover_list(s.lost, s.n_lost, wanted);
    if (!s.member || st.incarnation == 0)
        admin_refuse(request, 409, "not-a-member",
                     "this node is no member of the cluster: recover on one that is");
    else if (st.leader != 0 || st.quorum)
        admin_refuse(request, 409, "quorum",
                     "the cluster has a leader: it is alive. Remove or replace the dead nodes "
                     "instead: holdfast cluster replace");
    else if (s.able > s.voters / 2)
        admin_refuse(request, 409, "quorum",
                     "a majority is reached from here: it will have a leader in a moment");
    else if (strcmp(typed, wanted) != 0)
        admin_refuse(request, 422, "wrong-nodes",
                     "those are not the other members: see `holdfast cluster status`, and name all "
                     "of them, in order, as dead");
    else
        return true;
    return false;
}

/* Who asked comes first: it is known, the rest is what he says. */
static void name_who(const struct api_asker *who, const char *said, char out[NAME_BYTES])
{
    bool more = said != NULL && said[0] != '\0' && strcmp(said, who->principal) != 0;

    (void)snprintf(out, NAME_BYTES, "%s%s%.47s", who->principal, more ? ": " : "",
                   more ? said : "");
}

static void recover(void *self, struct api_request *request, const struct api_recover *args,
                    const struct api_asker *who)
{
    struct daemon *d = self;
    char name[NAME_BYTES];
    struct repl_word word;
    struct repl_error e;

    name_who(who, args->who, name);
    word = word_of(name, args->why, args->highest_id);
    if (d->recover_at_ms != 0 || !allowed(d, request, args->lost)) {
        if (d->recover_at_ms != 0)
            admin_refuse(request, 409, "busy", "it was ordered already: this node starts anew");
        return;
    }
    if (!repl_order_recovery(d->repl, &word, &e)) {
        admin_refuse(request, 500, "not-ordered", e.text);
        return;
    }
    log_line(
        d->log, LOG_WARN, "cluster",
        "recovery ordered by %s: nodes %s are given up, this daemon starts anew as the cluster",
        name, args->lost);
    d->recover_at_ms = io_boottime_ms() + STOP_AFTER_MS;
    api_request_answer(request, json_pack("{s:b,s:s}", "ordered", 1, "lost", args->lost));
}

static void do_back_up(struct daemon *d, struct api_request *request,
                       const union admin_deed_args *args)
{
    (void)args;
    if (d->backup != NULL) {
        admin_refuse(request, 409, "busy", "another backup is being made: try again");
        return;
    }
    d->backup = request;
    repl_backup_ask(d->repl);
}

/* What is left is saved before a recovery, too, when there is no majority. */
static void back_up(void *self, struct api_request *request, const struct api_asker *who)
{
    struct daemon *d = self;
    char target[32];
    struct admin_order o = {
        .operation = "snapshot.save", .target = target, .deed = do_back_up, .mends = true};

    (void)snprintf(target, sizeof target, "nodes/%u", (unsigned)d->config->node_id);
    if (d->backup != NULL)
        do_back_up(d, request, &o.args); /* which refuses it */
    else
        admin_note_first(d, request, who, &o);
}

/* A backup becomes text off the loop: of the largest one (RECOVER_MAX_BACKUP_BYTES) that takes longer than a lease lasts. */
struct backup_text {
    uv_work_t work;
    struct daemon *daemon;
    struct repl_backup made; /* its bytes are sealed: no secret */
    json_t *body;
};

static void make_text(uv_work_t *w)
{
    struct backup_text *t = w->data;
    char *hex = malloc(2 * t->made.len + 1);

    HF_ASSERT(hex != NULL);
    hex_put(t->made.bytes, t->made.len, hex);
    t->body = json_pack("{s:s,s:I,s:I}", "backup", hex, "index", (json_int_t)t->made.index,
                        "incarnation", (json_int_t)t->made.incarnation);
    free(hex);
}

static void text_made(uv_work_t *w, int status)
{
    struct backup_text *t = w->data;
    struct daemon *d = t->daemon;

    (void)status; /* never cancelled */
    if (d->backup != NULL)
        api_request_answer(d->backup, t->body);
    else /* refused meanwhile: this node stops */
        json_decref(t->body);
    d->backup = NULL;
    free(t->made.bytes);
    free(t);
}

static void answer_backup(struct daemon *d)
{
    struct backup_text *t;
    struct repl_backup b;

    if (!repl_backup_take(d->repl, &b))
        return;
    if (b.bytes == NULL) {
        admin_refuse(d->backup, 503, "no-state",
                     "this node has no state of the cluster that is to be trusted, or cannot seal "
                     "it: ask another one");
        d->backup = NULL;
        return;
    }
    t = calloc(1, sizeof *t);
    HF_ASSERT(t != NULL);
    *t = (struct backup_text){.daemon = d, .made = b};
    t->work.data = t;
    HF_ASSERT(uv_queue_work(&d->loop, &t->work, make_text, text_made) == 0);
}

void recover_stop(struct daemon *d)
{
    if (d->backup != NULL)
        admin_refuse(d->backup, 503, "stopping", "this node is stopping: ask another one");
    d->backup = NULL;
}

void recover_tick(struct daemon *d)
{
    if (d->backup != NULL)
        answer_backup(d);
    if (d->recover_at_ms == 0 || io_boottime_ms() < d->recover_at_ms)
        return;
    d->again = true;
    uv_stop(&d->loop);
}

void recover_fill(struct api_backend *b)
{
    b->recover = recover;
    b->back_up = back_up;
}
