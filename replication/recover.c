#include "replication/recover.h"

#include <stdlib.h>

#include "base/secret.h"
#include "replication/fsm_parts.h"
#include "replication/raft_frame.h"

enum { COUNTED_BITS = 10, DRAWN_BITS = 42 };

uint64_t recover_incarnation(uint64_t former, uint64_t random)
{
    uint64_t count = (former >> DRAWN_BITS) + 1;

    if (former == 0 || count >= 1u << COUNTED_BITS)
        return 0;
    return count << DRAWN_BITS | (random & ((1ull << DRAWN_BITS) - 1));
}

uint64_t recover_founding(uint64_t random)
{
    uint64_t least = RECOVER_FIRST_INCARNATION + 1;

    return least + random % ((1ull << DRAWN_BITS) - least);
}

bool recover_is_founding(uint64_t incarnation)
{
    return incarnation > RECOVER_FIRST_INCARNATION && incarnation >> DRAWN_BITS == 0;
}

static bool no(const char **why, const char *text)
{
    *why = text;
    return false;
}

/* Sessions' records are left out: their key may be gone, and they end anyway. There are none before
 * the log has named a key for them: what cannot be opened then is the configuration's. */
static bool is_session(const struct fsm *fsm, const struct recover_options *o, struct span sealed)
{
    uint64_t key = o->ring == NULL ? 0 : seal_key_of(sealed);

    return key != 0 && fsm->session_key != 0 &&
           key != seal_ring_current(o->ring, SEAL_CONFIGURATION);
}

static bool apply_record(struct fsm *fsm, const struct recover_options *o, struct span sealed,
                         size_t position)
{
    uint8_t *plain = repl_alloc_zero(1, sealed.len + 1);
    struct fsm_outcome outcome;
    struct repl_item_result *items = NULL;
    Holdfast__Record *record = NULL;
    size_t n = 0;
    bool ok = o->seal->open(o->seal->self, SEAL_RECORD, sealed, plain, &n);

    if (ok)
        record = record_unpack(span_of(plain, n));
    secret_wipe_bytes(plain, sealed.len + 1);
    free(plain);
    if (record == NULL)
        return ok; /* malformed: on every node alike nothing */
    if (record->body_case == HOLDFAST__RECORD__BODY_EXTEND && record->extend->n_items > 0)
        items = repl_alloc_zero(record->extend->n_items, sizeof *items);
    fsm_apply(fsm, record, position, items, &outcome);
    free(items);
    record_free(record);
    return true;
}

static bool apply_command(struct fsm *fsm, const struct recover_options *o, uint64_t index,
                          struct span data, const char **why)
{
    Holdfast__Entry *e = entry_unpack(raft_command_get(data));
    bool ok = true;

    if (e == NULL)
        return no(why, "the log holds an entry that this program cannot read");
    if (e->format > RECORD_SPEAKS) {
        entry_free(e);
        return no(why, "the log has entries of a newer version: run that version of holdfast");
    }
    fsm_begin_entry(fsm, index, e->cluster_ms);
    for (size_t i = 0; i < e->n_records && ok; i++) {
        struct span sealed = record_span(e->records[i]);

        if (is_session(fsm, o, sealed)) {
            struct seal_clear clear = seal_clear_of(sealed);

            fsm_skip(fsm, clear.node, clear.boot, clear.request);
        } else {
            ok = apply_record(fsm, o, sealed, i);
        }
    }
    entry_free(e);
    return ok || no(why, "a record of the configuration cannot be opened: is configuration.key "
                         "the one of this cluster?");
}

/* All that this disk has, also what it does not know to be committed: leaving such an entry out could
 * lose what a majority stored, taking one that was never committed is only a wish that came true. */
static bool apply_log(struct fsm *fsm, const struct recover_options *o,
                      const struct repl_loaded *loaded, const char **why)
{
    for (size_t i = 0; i < loaded->n_entries; i++) {
        uint64_t index = loaded->first_index + i;
        const struct repl_entry *e = &loaded->entries[i];

        if (index <= fsm->applied_index)
            continue;
        if (!raft_entry_valid(e->kind, e->data))
            return no(why, "the log holds an entry that this program cannot read");
        if (e->kind == REPL_ENTRY_COMMAND) {
            if (!apply_command(fsm, o, index, e->data, why))
                return false;
            continue;
        }
        for (size_t k = 0; index == 1 && k < o->n_founders; k++)
            fsm_found(fsm, o->founders[k]);
        fsm_begin_entry(fsm, index, 0);
    }
    return true;
}

static bool decode(struct fsm *fsm, struct span bytes, const struct recover_options *o,
                   const char **why)
{
    struct snapshot_decoder d;
    bool ok;

    snapshot_decoder_init(&d, o->seal, 0, fsm);
    d.sessionless = true;
    ok = snapshot_decode(&d, bytes);
    return (snapshot_decoder_end(&d) && ok) ||
           no(why, "the snapshot cannot be read: is configuration.key the one of this cluster?");
}

/* *fsm is initialised when this returns true. */
static bool state_of(struct fsm *fsm, const struct repl_loaded *loaded,
                     const struct recover_options *o, const char **why)
{
    bool ok = true;

    if (loaded->snapshot.index == 0)
        fsm_init(fsm, RECOVER_FIRST_INCARNATION);
    else if (!decode(fsm, loaded->snapshot_data, o, why))
        return false;
    ok = apply_log(fsm, o, loaded, why);
    if (!ok)
        fsm_deinit(fsm);
    return ok;
}

static bool find_losses(const struct fsm *fsm, const struct recover_options *o,
                        struct recover_losses *out, const char **why)
{
    const struct fsm_member *self = fsm_member(fsm, o->node);

    *out = (struct recover_losses){.former = fsm->incarnation,
                                   .index = fsm->applied_index,
                                   .cluster_ms = fsm->cluster_ms,
                                   .highest_id = fsm_highest_id(fsm)};
    if (self == NULL)
        return no(why, "this node was never a member of the cluster: there is nothing to recover");
    if (self->left)
        return no(why, "this node has left the cluster, for ever: recover on a member");
    for (size_t i = 0; i < fsm->n_members && out->n_nodes < REPL_MAX_NODES; i++)
        if (fsm->members[i] != self && !fsm->members[i]->left)
            out->nodes[out->n_nodes++] = fsm->members[i]->node;
    return true;
}

static void refound(struct fsm *fsm, enum repl_how how, const struct recover_options *o,
                    const struct recovered *r)
{
    struct repl_beginning b = {.how = how,
                               .former = r->losses.former,
                               .incarnation = r->incarnation,
                               .node = o->node,
                               .index = r->losses.index,
                               .cluster_ms = r->losses.cluster_ms,
                               .n_given_up = r->losses.n_nodes,
                               .word = o->word};

    memcpy(b.given_up, r->losses.nodes, sizeof b.given_up);
    fsm_refound(fsm, &b);
}

/* Behind all that this node has, so never the first entry: that is the founders', and is compared with
 * the node's file. */
static bool make(struct fsm *fsm, enum repl_how how, uint64_t term, const struct recover_options *o,
                 struct recovered *out, const char **why)
{
    struct recovered r = {.term = term};

    if (!find_losses(fsm, o, &r.losses, why))
        return false;
    r.incarnation = recover_incarnation(fsm->incarnation, o->random);
    if (r.incarnation == 0)
        return no(why, "this cluster was recovered too often");
    refound(fsm, how, o, &r);
    fsm_begin_entry(fsm, fsm->applied_index + 1, 0);
    r.meta =
        (struct repl_snapshot_meta){.index = fsm->applied_index,
                                    .term = term,
                                    .configuration = {.index = fsm->applied_index,
                                                      .servers = {{.node = o->node, .role = 1}},
                                                      .n_servers = 1}};
    r.bytes = snapshot_encode(fsm, o->seal, &r.len);
    if (r.bytes == NULL)
        return no(why, "the configuration's sealing key is not here");
    *out = r;
    return true;
}

enum {
    FOUNDED_INDEX = 2
}; /* that of entry 1, and one behind it: nothing else begins with a snapshot */

/* The configuration is that of entry 1, as the node's file says, so that a start compares the two. */
bool recover_found(const struct recover_options *o, struct recovered *out, const char **why)
{
    struct recovered r = {.incarnation = recover_founding(o->random), .term = 1};
    struct fsm fsm;

    fsm_init(&fsm, r.incarnation);
    fsm_found(&fsm, o->node);
    fsm_begin_entry(&fsm, FOUNDED_INDEX, 0);
    r.meta = (struct repl_snapshot_meta){
        .index = FOUNDED_INDEX,
        .term = r.term,
        .configuration = {.index = 1, .servers = {{.node = o->node, .role = 1}}, .n_servers = 1}};
    r.bytes = snapshot_encode(&fsm, o->seal, &r.len);
    fsm_deinit(&fsm);
    if (r.bytes == NULL)
        return no(why, "the configuration's sealing key is not here");
    *out = r;
    return true;
}

bool recover_look(const struct repl_loaded *loaded, const struct recover_options *o,
                  struct recover_losses *out, const char **why)
{
    struct fsm fsm;
    bool ok;

    if (!state_of(&fsm, loaded, o, why))
        return false;
    ok = find_losses(&fsm, o, out, why);
    fsm_deinit(&fsm);
    return ok;
}

bool recover_make(const struct repl_loaded *loaded, const struct recover_options *o,
                  struct recovered *out, const char **why)
{
    struct fsm fsm;
    bool ok;

    if (!state_of(&fsm, loaded, o, why))
        return false;
    ok = make(&fsm, REPL_RECOVERED, loaded->term + 1, o, out, why);
    fsm_deinit(&fsm);
    return ok;
}

struct recover_saving {
    struct snapshot_encoder encoder;
    struct snapshot_piece piece;
    struct image_batch *batch; /* documents and entries: of what else there is the head has all */
    bool ok;
};

/* What sessions add to the state is left out of the copy, its digest included. The heap stays the
 * original's: the copy is never given up. */
struct recover_saving *recover_backup_begin(const struct fsm *fsm, const struct seal *seal)
{
    struct recover_saving *s = repl_alloc_zero(1, sizeof *s);
    struct fsm copy = *fsm;
    struct image *image;

    copy.image = NULL;
    fsm_forget_keys(&copy);
    copy.sum = (struct digest){0, 0};
    copy.sas = copy.claims = copy.leases = (struct map){0};
    copy.all_sas = copy.last_sa = NULL;
    copy.all_leases = copy.last_lease = NULL;
    image = image_begin(&copy);
    s->ok = snapshot_encode_head(&s->encoder, &copy, seal, &s->piece);
    while (!image_walk(image, SIZE_MAX, SIZE_MAX)) {
        HF_ASSERT(s->batch == NULL);
        s->batch = image_take(image);
    }
    image_end(image);
    secret_wipe_bytes(&copy, sizeof copy); /* the secrets of cookies are in it */
    return s;
}

uint8_t *recover_backup_end(struct recover_saving *s, size_t *n)
{
    uint8_t *bytes;

    if (s->batch != NULL)
        s->ok = s->ok && snapshot_encode_batch(&s->encoder, s->batch, &s->piece);
    s->ok = s->ok && snapshot_encode_end(&s->encoder, &s->piece);
    image_batch_free(s->batch);
    snapshot_encoder_deinit(&s->encoder);
    if (!s->ok)
        free(s->piece.bytes);
    bytes = s->ok ? s->piece.bytes : NULL;
    *n = s->piece.len;
    free(s);
    return bytes;
}

uint8_t *recover_backup(const struct fsm *fsm, const struct seal *seal, size_t *n)
{
    return recover_backup_end(recover_backup_begin(fsm, seal), n);
}

bool recover_restore(struct span backup, const struct recover_options *o, struct recovered *out,
                     const char **why)
{
    struct fsm fsm;
    bool ok;

    if (!decode(&fsm, backup, o, why))
        return false;
    ok = make(&fsm, REPL_RESTORED, 1, o, out, why);
    fsm_deinit(&fsm);
    return ok;
}
