/* recover.h on a data directory: at the operator's word, or by the order that a running daemon left. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/registers.h"
#include "base/secret.h"
#include "replication/fsm.h"
#include "replication/repl_thread.h"
#include "replication/wal_recover.h"

enum { MAGIC_BYTES = 8, BACKUP_HEADER = MAGIC_BYTES + 8 };

static const char magic[MAGIC_BYTES + 1] = "HFBACKUP";

struct work {
    struct repl_keys keys;
    struct wal_core core;
    bool opened; /* core is */
    uint32_t founders[REPL_MAX_MEMBERS];
    struct recover_options options;
};

static bool refuse(struct repl_error *error, const struct repl_options *o, const char *text)
{
    (void)snprintf(error->text, sizeof error->text, "%s: %s", o->data_dir, text);
    return false;
}

static uint64_t draw(void)
{
    uint64_t random;

    HF_ASSERT(getrandom(&random, sizeof random, 0) == sizeof random);
    return random;
}

/* The sessions' keys are not asked for: sessions end. */
static bool open_keys(struct work *w, const struct repl_options *o, struct repl_error *error)
{
    struct repl_options own = *o;
    struct repl_configuration genesis;

    own.kept_keys_fd = 0;
    own.keep_keys_fd = NULL;
    if (!repl_keys_open(&w->keys, &own, draw() | 1, error))
        return false;
    repl_genesis(o, &genesis);
    for (size_t i = 0; i < genesis.n_servers; i++)
        w->founders[i] = genesis.servers[i].node;
    w->options = (struct recover_options){.node = o->node,
                                          .founders = w->founders,
                                          .n_founders = genesis.n_servers,
                                          .seal = &w->keys.ring->seal,
                                          .ring = w->keys.ring,
                                          .random = draw(),
                                          .word = o->word};
    return seal_ring_current(w->keys.ring, SEAL_CONFIGURATION) != 0 ||
           refuse(error, o,
                  "there is no configuration.key here, and without it nothing can be read");
}

static void close_all(struct work *w)
{
    if (w->opened)
        wal_core_close(&w->core);
    repl_keys_close(&w->keys);
}

static bool open_all(struct work *w, const struct repl_options *o, struct repl_error *error)
{
    struct wal_options wal = {.directory = o->data_dir, .node = o->node, .fs = o->fs};
    struct wal_error reason = {.text = ""};

    *w = (struct work){.opened = false};
    if (!wal_core_open(&w->core, &wal, &reason)) {
        (void)snprintf(error->text, sizeof error->text, "%s", reason.text);
        return false;
    }
    w->opened = true;
    if (open_keys(w, o, error))
        return true;
    close_all(w);
    return false;
}

static void report_of(const struct recover_losses *losses, uint64_t incarnation,
                      struct repl_recovery *out)
{
    *out = (struct repl_recovery){.former = losses->former,
                                  .incarnation = incarnation,
                                  .index = losses->index,
                                  .cluster_ms = losses->cluster_ms,
                                  .n_lost = losses->n_nodes,
                                  .highest_id = losses->highest_id};
    memcpy(out->lost, losses->nodes, sizeof out->lost);
}

bool repl_recover_look(const struct repl_options *o, struct repl_recovery *out,
                       struct repl_error *error)
{
    struct recover_losses losses;
    const char *why = "";
    struct work w;
    bool ok;

    if (!open_all(&w, o, error))
        return false;
    ok = recover_look(&w.core.loaded, &w.options, &losses, &why) || refuse(error, o, why);
    if (ok)
        report_of(&losses, 0, out);
    close_all(&w);
    return ok;
}

/* `ordered`: the incarnation that is to begin; 0: any. One that has begun is done. */
static bool replace(struct work *w, const struct repl_options *o, uint64_t ordered,
                    struct repl_recovery *out, struct repl_error *error)
{
    struct wal_error reason = {.text = ""};
    struct recover_losses losses;
    struct recovered r;
    const char *why = "";
    bool ok;

    if (!recover_look(&w->core.loaded, &w->options, &losses, &why))
        return refuse(error, o, why);
    report_of(&losses, ordered, out);
    if (ordered != 0 && losses.former == ordered) {
        /* A crash may have come before the last step of it. */
        ok = wal_core_distrust(&w->core, REPL_TRUSTED, &reason);
        if (!ok)
            (void)snprintf(error->text, sizeof error->text, "%s", reason.text);
        return ok;
    }
    if (ordered != 0)
        w->options.random = ordered;
    if (!recover_make(&w->core.loaded, &w->options, &r, &why))
        return refuse(error, o, why);
    ok = (ordered == 0 || r.incarnation == ordered) ||
         refuse(error, o,
                "the order to recover is of another state than this: remove the file "
                "`recover` and start again");
    if (ok && !wal_core_replace(&w->core, &r.meta, span_of(r.bytes, r.len), &reason)) {
        (void)snprintf(error->text, sizeof error->text, "%s", reason.text);
        ok = false;
    }
    report_of(&r.losses, r.incarnation, out);
    free(r.bytes);
    return ok;
}

bool repl_recover(const struct repl_options *o, struct repl_recovery *out, struct repl_error *error)
{
    struct work w;
    bool ok;

    if (!open_all(&w, o, error))
        return false;
    ok = replace(&w, o, 0, out, error);
    close_all(&w);
    return ok;
}

bool repl_recover_ordered(const struct repl_options *o, struct repl_recovery *out,
                          struct repl_error *error)
{
    struct wal_error reason = {.text = ""};
    uint64_t ordered = 0;
    struct work w;
    bool ok;

    *out = (struct repl_recovery){.incarnation = 0};
    if (!wal_order_exists(o->fs, o->data_dir))
        return true;
    if (!open_all(&w, o, error))
        return false;
    ok = wal_order_load(&w.core.dir, &ordered, &w.options.word, &reason);
    if (!ok)
        (void)snprintf(error->text, sizeof error->text, "%s", reason.text);
    ok = ok && replace(&w, o, ordered, out, error);
    if (ok && !wal_order_drop(&w.core.dir, &reason)) {
        (void)snprintf(error->text, sizeof error->text, "%s", reason.text);
        ok = false;
    }
    close_all(&w);
    return ok;
}

/* --- a running node --- */

bool repl_order_recovery(struct repl *repl, const struct repl_word *word, struct repl_error *error)
{
    struct wal_error reason = {.text = ""};
    struct repl_status st;
    uint64_t incarnation;

    repl_status(repl, &st);
    incarnation = recover_incarnation(st.incarnation, draw());
    if (incarnation == 0) {
        (void)snprintf(error->text, sizeof error->text, "%s",
                       st.incarnation == 0 ? "this node has nothing of a cluster"
                                           : "this cluster was recovered too often");
        return false;
    }
    if (wal_order(repl->wal, incarnation, word, &reason))
        return true;
    (void)snprintf(error->text, sizeof error->text, "%s", reason.text);
    return false;
}

/* On the thread: seldom are there others than before. */
void repl_keep_beginnings(struct repl *repl)
{
    const struct fsm *fsm = replica_fsm(repl->core);
    size_t n = fsm->n_beginnings;

    if (n == repl->n_beginnings &&
        (n == 0 || fsm->beginnings[n - 1].incarnation == repl->beginnings[n - 1].incarnation))
        return;
    memcpy(repl->beginnings, fsm->beginnings, sizeof repl->beginnings);
    repl->n_beginnings = n;
}

size_t repl_beginnings(struct repl *repl, struct repl_beginning out[REPL_MAX_BEGINNINGS])
{
    size_t n;

    uv_mutex_lock(&repl->lock);
    n = repl->n_beginnings;
    memcpy(out, repl->beginnings, n * sizeof *out);
    uv_mutex_unlock(&repl->lock);
    return n;
}

/* --- backups --- */

/* One on its way: sealed off the loop, whose heartbeats may not wait for that. */
struct saving {
    uv_work_t work;
    struct repl *repl;
    struct recover_saving *begun;
    uint64_t key;
    struct repl_backup made;
};

static void publish(struct repl *repl, const struct repl_backup *b)
{
    uv_mutex_lock(&repl->lock);
    free(repl->backup.bytes);
    repl->backup = *b;
    repl->backed_up = true;
    uv_mutex_unlock(&repl->lock);
}

static void save_work(uv_work_t *work)
{
    struct saving *s = work->data;
    size_t n = 0;
    uint8_t *items = recover_backup_end(s->begun, &n);

    if (items != NULL) {
        s->made.len = BACKUP_HEADER + n;
        s->made.bytes = repl_alloc_zero(1, s->made.len);
        memcpy(s->made.bytes, magic, MAGIC_BYTES);
        put_be64(s->made.bytes + MAGIC_BYTES, s->key);
        memcpy(s->made.bytes + BACKUP_HEADER, items, n);
    }
    free(items);
    stack_clear();
    registers_clear();
}

static void save_after(uv_work_t *work, int status)
{
    struct saving *s = work->data;
    struct repl *repl = s->repl;

    (void)status;
    repl->jobs--;
    repl->saving = false;
    publish(repl, &s->made);
    free(s);
    if (repl->closing)
        repl_part_closed(repl);
}

void repl_make_backup(struct repl *repl)
{
    const struct fsm *fsm = replica_fsm(repl->core);
    struct repl_backup none = {.index = fsm->applied_index, .incarnation = fsm->incarnation};
    struct saving *s;

    if (repl->saving) /* that one serves both */
        return;
    if (!replica_may_back_up(repl->core)) {
        publish(repl, &none);
        return;
    }
    s = repl_alloc_zero(1, sizeof *s);
    s->repl = repl;
    s->made = none;
    s->key = seal_ring_current(repl->options.ring, SEAL_CONFIGURATION);
    s->begun = recover_backup_begin(fsm, repl->options.seal);
    s->work.data = s;
    repl->jobs++;
    repl->saving = true;
    HF_ASSERT(uv_queue_work(&repl->loop, &s->work, save_work, save_after) == 0);
}

bool repl_backup_take(struct repl *repl, struct repl_backup *out)
{
    bool made;

    uv_mutex_lock(&repl->lock);
    made = repl->backed_up;
    if (made) {
        *out = repl->backup;
        repl->backup = (struct repl_backup){.bytes = NULL};
        repl->backed_up = false;
    }
    uv_mutex_unlock(&repl->lock);
    return made;
}

/* The directory comes last: what cannot be read leaves none behind. */
static bool make_directory(struct work *w, const struct repl_options *o, const struct recovered *r,
                           struct repl_error *error)
{
    struct wal_options wal = {.directory = o->data_dir, .node = o->node, .fs = o->fs};
    struct wal_error reason = {.text = ""};

    w->opened = wal_init_directory(o->fs, o->data_dir, o->node, &reason) &&
                wal_core_open(&w->core, &wal, &reason);
    if (w->opened && !repl_keys_copy(&w->keys, o->data_dir, error))
        return false;
    if (w->opened && wal_core_replace(&w->core, &r->meta, span_of(r->bytes, r->len), &reason))
        return true;
    (void)snprintf(error->text, sizeof error->text, "%s", reason.text);
    return false;
}

bool repl_rolled_back(const char *data_dir, uint32_t node, struct repl_error *error)
{
    struct wal_error reason = {.text = ""};

    if (wal_rolled_back(NULL, data_dir, node, &reason))
        return true;
    (void)snprintf(error->text, sizeof error->text, "%s", reason.text);
    return false;
}

/* Trusted before there is anything in it: a crash leaves a directory that is refused, or all of it. */
static bool found_alone(struct work *w, const struct repl_options *o, struct repl_error *error)
{
    struct wal_error reason = {.text = ""};
    struct recovered r;
    const char *why = "";
    bool ok;

    if (!recover_found(&w->options, &r, &why))
        return refuse(error, o, why);
    ok = wal_core_distrust(&w->core, REPL_TRUSTED, &reason) &&
         wal_core_replace(&w->core, &r.meta, span_of(r.bytes, r.len), &reason);
    free(r.bytes);
    return ok || refuse(error, o, reason.text);
}

bool repl_found_alone(const struct repl_options *o, struct repl_error *error)
{
    struct work w;
    bool ok;

    if (!open_all(&w, o, error))
        return false;
    ok = found_alone(&w, o, error);
    close_all(&w);
    return ok;
}

bool repl_restore(const struct repl_options *o, const char *key_dir, struct span backup,
                  struct repl_recovery *out, struct repl_error *error)
{
    struct repl_options beside = *o;
    const char *why = "";
    struct recovered r;
    struct work w = {.opened = false};
    bool ok;

    beside.data_dir = key_dir;
    if (backup.len < BACKUP_HEADER || memcmp(backup.data, magic, MAGIC_BYTES) != 0)
        return refuse(error, o, "that file is no backup of `holdfast snapshot save`");
    ok = open_keys(&w, &beside, error);
    if (ok &&
        seal_ring_current(w.keys.ring, SEAL_CONFIGURATION) != get_be64(backup.data + MAGIC_BYTES))
        ok = refuse(error, &beside, "configuration.key is another cluster's than the backup");
    if (ok && !recover_restore(span_of(backup.data + BACKUP_HEADER, backup.len - BACKUP_HEADER),
                               &w.options, &r, &why))
        ok = refuse(error, o, why);
    else if (ok) {
        ok = make_directory(&w, o, &r, error);
        report_of(&r.losses, r.incarnation, out);
        free(r.bytes);
    }
    close_all(&w);
    return ok;
}
