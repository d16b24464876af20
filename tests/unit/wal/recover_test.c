/* All that a node has is replaced by a snapshot under a new incarnation: a crash at any call leaves the
 * old or the new, never a mixture, and the order to do it stands until it is done.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faultfs.h"
#include "model.h"
#include "replication/wal_recover.h"

enum { STEPS = 12, BYTES = 200000, SEEDS = 3, INCARNATION = 77 };

struct tally {
    int crashes, old, new;
};

static const struct wal_options *options_of(struct faultfs *f)
{
    static struct wal_options o;

    o = (struct wal_options){
        .directory = "/data", .node = 3, .fs = faultfs_fs(f), .segment_bytes = MODEL_SEGMENT};
    return &o;
}

static uint8_t *content(void)
{
    static uint8_t bytes[BYTES];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 251);
    return bytes;
}

static struct repl_snapshot_meta meta_for(const struct wal_core *core)
{
    uint64_t index = core->log.next_index;

    return (struct repl_snapshot_meta){
        .index = index,
        .term = core->loaded.term + 1,
        .configuration = {.index = index, .servers = {{.node = 3, .role = 1}}, .n_servers = 1}};
}

/* Opens, and what is there is the one or the other. True: the new. */
static bool is_new(struct faultfs *f, struct script *s, const struct repl_snapshot_meta *meta)
{
    struct wal_core core;
    struct wal_error error;
    struct repl_loaded *l = &core.loaded;
    char why[256] = "";
    bool new;

    cr_assert(wal_core_open(&core, options_of(f), &error), "%s", error.text);
    new = l->snapshot.index == meta->index && l->snapshot.term == meta->term;
    if (new) {
        cr_assert(l->n_entries == 0 && l->term >= meta->term && l->voted_for == 0 &&
                  l->snapshot.configuration.n_servers == 1 && l->snapshot_data.len == BYTES &&
                  memcmp(l->snapshot_data.data, content(), BYTES) == 0);
    } else { /* but for the term, which harms nobody */
        cr_assert(l->term == s->candidates[0].term || l->term == meta->term);
        if (l->term == meta->term)
            cr_assert_eq(l->voted_for, 0);
        s->candidates[0].term = l->term;
        s->candidates[0].voted_for = l->voted_for;
        cr_assert_eq(script_match(s, &core, why), 0, "%s", why);
    }
    wal_core_close(&core);
    return new;
}

static const struct repl_word given = {
    .wall_s = 1764000000, .highest_id = 7, .who = "somebody", .why = "two machines burnt"};

/* False: call n was never reached. */
static bool cut_at(uint64_t seed, enum faultfs_loss loss, uint64_t n, struct tally *t)
{
    struct faultfs *f = faultfs_create();
    struct script *s = malloc(sizeof *s);
    uint64_t rng = seed * 7919 + n * 10 + loss, ordered = 0;
    struct repl_snapshot_meta meta;
    struct repl_word word;
    struct wal_core core;
    struct wal_error error;
    bool ok, cut;

    cr_assert(s != NULL && wal_init_directory(faultfs_fs(f), "/data", 3, &error));
    script_init(s, seed);
    cr_assert(wal_core_open(&core, options_of(f), &error), "%s", error.text);
    wal_core_load_done(&core);
    for (int i = 0; i < STEPS; i++)
        cr_assert(script_step(s, &core, &error), "%s", error.text);
    cr_assert(wal_order_store(&core.dir, INCARNATION, &given, &error), "%s", error.text);
    wal_core_close(&core);
    cr_assert(wal_order_exists(faultfs_fs(f), "/data"));
    cr_assert(wal_core_open(&core, options_of(f), &error), "%s", error.text);
    meta = meta_for(&core);
    faultfs_crash_at(f, n);
    ok = wal_core_replace(&core, &meta, span_of(content(), BYTES), &error);
    cut = faultfs_crashed(f);
    cr_assert(ok == !cut, "%s", error.text);
    wal_core_close(&core);
    if (cut) {
        t->crashes++;
        faultfs_reboot(f, loss, &rng);
    }
    faultfs_crash_at(f, 0);
    ok = is_new(f, s, &meta);
    cr_assert(ok || cut, "done, and not there");
    t->new += cut &&ok;
    t->old += cut && !ok;
    /* What was cut is done again, with what the next start finds. */
    cr_assert(wal_core_open(&core, options_of(f), &error), "%s", error.text);
    cr_assert(wal_order_load(&core.dir, &ordered, &word, &error) && ordered == INCARNATION &&
              memcmp(&word, &given, sizeof word) == 0);
    if (!ok) {
        meta = meta_for(&core);
        cr_assert(wal_core_replace(&core, &meta, span_of(content(), BYTES), &error), "%s",
                  error.text);
    }
    cr_assert(wal_order_drop(&core.dir, &error), "%s", error.text);
    wal_core_close(&core);
    cr_assert(is_new(f, s, &meta) && !wal_order_exists(faultfs_fs(f), "/data"));
    cr_assert_eq(faultfs_open_files(f), 0);
    free(s);
    faultfs_destroy(f);
    return cut;
}

Test(wal_recover, a_crash_at_any_call_leaves_the_old_or_the_new, .timeout = 300)
{
    struct tally t = {0};

    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        for (int loss = 0; loss < FAULTFS_LOSSES; loss++)
            for (uint64_t n = 1; cut_at(seed, (enum faultfs_loss)loss, n, &t); n++)
                ;
    (void)printf("compared %d crashes: %d left the old, %d the new\n", t.crashes, t.old, t.new);
    cr_assert(t.old > 50 && t.new > 10);
}

/* An order is of the directory that it was given in. */
Test(wal_recover, an_order_of_another_directory_is_refused)
{
    struct faultfs *f = faultfs_create(), *other = faultfs_create();
    struct wal_core core;
    struct wal_error error;
    struct repl_word word;
    struct wal_dir d;
    uint64_t ordered;

    cr_assert(wal_init_directory(faultfs_fs(f), "/data", 3, &error) &&
              wal_init_directory(faultfs_fs(other), "/data", 3, &error));
    cr_assert(wal_core_open(&core, options_of(other), &error));
    d = core.dir;
    d.fs = faultfs_fs(f);
    cr_assert(wal_order_store(&d, INCARNATION, &given, &error));
    wal_core_close(&core);
    cr_assert(wal_core_open(&core, options_of(f), &error));
    cr_assert_not(wal_order_load(&core.dir, &ordered, &word, &error));
    cr_assert_not_null(strstr(error.text, "/data/recover"), "%s", error.text);
    wal_core_close(&core);
    faultfs_destroy(f);
    faultfs_destroy(other);
}

/* What a program wrote that knew of no word, and ended before it was followed. */
Test(wal_recover, an_order_without_a_word)
{
    static const uint8_t incarnation[8] = {0, 0, 4, 0, 0, 0, 0, 9};
    struct faultfs *f = faultfs_create();
    struct wal_core core;
    struct wal_error error;
    struct repl_word word = given;
    uint64_t ordered;

    cr_assert(wal_init_directory(faultfs_fs(f), "/data", 3, &error));
    cr_assert(wal_core_open(&core, options_of(f), &error));
    cr_assert(wal_small_replace(&core.dir, "recover", WAL_FILE_ORDER, incarnation,
                                sizeof incarnation, &error));
    cr_assert(wal_order_load(&core.dir, &ordered, &word, &error), "%s", error.text);
    cr_assert(ordered == (4ull << 40 | 9) && word.who[0] == 0 && word.why[0] == 0 &&
              word.wall_s == 0 && word.highest_id == 0);
    wal_core_close(&core);
    faultfs_destroy(f);
}
