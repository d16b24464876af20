/* What the log says of itself when less is there than was durable (I10): the end of it gone in order
 * is a start under distrust, kept until it is lifted; anything else is damage. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "faultfs.h"
#include "model.h"

static const struct wal_options *options_of(struct faultfs *f)
{
    static struct wal_options o;

    o = (struct wal_options){
        .directory = "/data", .node = 3, .fs = faultfs_fs(f), .segment_bytes = MODEL_SEGMENT};
    return &o;
}

static struct faultfs *f;
static struct wal_core core;
static struct wal_error error;

static void reopen(const struct wal_options *o)
{
    wal_core_close(&core);
    cr_assert(wal_core_open(&core, o, &error), "%s", error.text);
}

static void append(uint64_t first, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct repl_entry e = {
            .term = 1, .kind = REPL_ENTRY_COMMAND, .data = span_of("datadata", 8)};

        wal_core_append(&core, first + i, &e);
        cr_assert(wal_core_flush(&core, &error), "%s", error.text);
    }
}

/* A directory with 6 entries, each a batch of its own. ends[i]: where the log ended with i. */
static void build(uint64_t ends[7])
{
    f = faultfs_create();
    cr_assert(wal_init_directory(faultfs_fs(f), "/data", 3, &error));
    cr_assert(wal_core_open(&core, options_of(f), &error), "%s", error.text);
    cr_assert(core.loaded.distrust == REPL_DISTRUST_NEW); /* until somebody says that it is not */
    cr_assert(wal_core_distrust(&core, REPL_TRUSTED, &error));
    for (unsigned i = 1; i <= 6; i++) {
        append(i, 1);
        ends[i] = core.log.end;
    }
}

static void finish(void)
{
    wal_core_close(&core);
    cr_assert_eq(faultfs_open_files(f), 0);
    faultfs_destroy(f);
}

static uint8_t *segment(size_t *n)
{
    uint8_t *bytes;

    for (size_t i = 0; faultfs_file(f, i, &bytes, n) != NULL; i++)
        if (strncmp(faultfs_file(f, i, &bytes, n), "log-", 4) == 0)
            return bytes;
    cr_assert_fail("no segment");
    return NULL;
}

static size_t entries(void)
{
    return core.loaded.n_entries;
}

Test(wal_distrust, a_log_that_ends_too_early_starts_under_distrust)
{
    unsigned compared = 0;

    for (unsigned kept = 0; kept <= 6; kept++, compared++) {
        uint64_t ends[7] = {0};
        uint8_t *bytes;
        size_t n, from;

        build(ends);
        wal_core_close(&core);
        bytes = segment(&n);
        from = kept == 0 ? 0 : (size_t)ends[kept];
        memset(bytes + from, 0, n - from);
        cr_assert(wal_core_open(&core, options_of(f), &error), "%u kept: %s", kept, error.text);
        cr_assert_eq(entries(), kept);
        cr_assert_eq(core.loaded.distrust, kept < 6 ? REPL_DISTRUST_SUFFIX : REPL_TRUSTED);
        cr_assert_eq(core.loaded.high_water, 6);
        cr_assert((strstr(core.note, "but what came to 6 was durable") != NULL) == (kept < 6), "%s",
                  core.note);
        /* filled again it is as long as ever, and still not trusted: over starts, until it is said */
        if (kept < 6) {
            wal_core_load_done(&core);
            append(kept + 1, 8);
            reopen(options_of(f));
            cr_assert(entries() == kept + 8 && core.loaded.distrust == REPL_DISTRUST_SUFFIX);
            wal_core_load_done(&core);
            cr_assert(wal_core_distrust(&core, REPL_TRUSTED, &error));
            reopen(options_of(f));
            cr_assert(entries() == kept + 8 && core.loaded.distrust == REPL_TRUSTED);
        }
        finish();
    }
    printf("compared %u ends\n", compared);
}

/* Something stands where the log should go on: that is not a lost end. */
Test(wal_distrust, damage_is_still_refused)
{
    uint64_t ends[7] = {0};
    uint8_t *bytes;
    size_t n;

    build(ends);
    wal_core_close(&core);
    bytes = segment(&n);
    memset(bytes + ends[3], 0, ends[4] - ends[3]); /* a hole, with batches behind it */
    cr_assert_not(wal_core_open(&core, options_of(f), &error));
    cr_assert(strstr(error.text, "refused") != NULL, "%s", error.text);
    memset(bytes + ends[3], 0, n - ends[3]);
    bytes[ends[3] + 100] = 1; /* not quite nothing */
    cr_assert_not(wal_core_open(&core, options_of(f), &error));
    faultfs_destroy(f);
}

Test(wal_distrust, a_new_boot_of_the_machine_and_an_operators_word)
{
    struct wal_options o;
    uint64_t ends[7] = {0};

    build(ends);
    o = *options_of(f);
    o.machine = "first boot";
    reopen(&o);
    cr_assert_eq(core.loaded.distrust, REPL_TRUSTED);
    o.distrust_after_boot = true;
    reopen(&o); /* the same boot */
    cr_assert_eq(core.loaded.distrust, REPL_TRUSTED);
    o.machine = "second boot";
    reopen(&o);
    cr_assert_eq(core.loaded.distrust, REPL_DISTRUST_BOOT);
    o.distrust_after_boot = false;
    reopen(&o); /* said once, it stays */
    cr_assert_eq(core.loaded.distrust, REPL_DISTRUST_BOOT);
    wal_core_load_done(&core);
    cr_assert(wal_core_distrust(&core, REPL_TRUSTED, &error));
    o.machine = "third boot";
    reopen(&o); /* nobody asked, but it is remembered */
    cr_assert_eq(core.loaded.distrust, REPL_TRUSTED);
    o.distrust_after_boot = true;
    reopen(&o);
    cr_assert_eq(core.loaded.distrust, REPL_TRUSTED);
    o.distrust = true;
    reopen(&o);
    cr_assert_eq(core.loaded.distrust, REPL_DISTRUST_OPERATOR);
    finish();
}

static bool mark(void)
{
    return wal_rolled_back(faultfs_fs(f), "/data", 3, &error);
}

/* The mark alone, with nobody who has the directory open; and a start. */
static void reopen_marked(const struct wal_options *o)
{
    wal_core_close(&core);
    cr_assert(mark(), "%s", error.text);
    cr_assert(wal_core_open(&core, o, &error), "%s", error.text);
}

/* Said by one start of the daemon, which ends before it serves, or at once: the next one knows. */
Test(wal_distrust, a_machine_that_was_rolled_back)
{
    struct wal_options o;
    uint64_t ends[7] = {0};

    build(ends);
    o = *options_of(f);
    cr_assert_not(mark()); /* somebody has it open */
    reopen_marked(&o);
    cr_assert_eq(entries(), 6); /* ... and nothing else is changed */
    cr_assert_eq(core.loaded.distrust, REPL_DISTRUST_ROLLED_BACK);
    o.distrust = true;
    reopen(&o);
    cr_assert_eq(core.loaded.distrust, REPL_DISTRUST_ROLLED_BACK);
    wal_core_load_done(&core);
    cr_assert(wal_core_distrust(&core, REPL_TRUSTED, &error));
    o.distrust = false;
    reopen(&o);
    cr_assert_eq(core.loaded.distrust, REPL_TRUSTED);
    finish();
}

/* Whatever the disk does at whichever call: when it is said to be there it is, and else it can be tried again. */
Test(wal_distrust, the_mark_is_there_when_it_is_said)
{
    unsigned compared = 0, marked = 0;
    uint64_t rng = 4711;

    for (unsigned loss = 0; loss < FAULTFS_LOSSES; loss++) {
        bool crashed = true;

        for (uint64_t at = 1; crashed; at++, compared++) {
            uint64_t ends[7] = {0};
            bool said;

            build(ends);
            wal_core_close(&core);
            faultfs_crash_at(f, at);
            said = mark();
            crashed = faultfs_crashed(f);
            cr_assert(said || crashed, "%s", error.text);
            faultfs_crash_at(f, 0);
            faultfs_reboot(f, (enum faultfs_loss)loss, &rng);
            cr_assert(wal_core_open(&core, options_of(f), &error), "%s", error.text);
            cr_assert(core.loaded.distrust == REPL_DISTRUST_ROLLED_BACK ||
                          (!said && core.loaded.distrust == REPL_TRUSTED),
                      "call %llu: %d", (unsigned long long)at, (int)core.loaded.distrust);
            marked += core.loaded.distrust != REPL_TRUSTED;
            reopen_marked(options_of(f));
            cr_assert_eq(core.loaded.distrust, REPL_DISTRUST_ROLLED_BACK);
            finish();
        }
    }
    cr_assert(marked > FAULTFS_LOSSES && marked < compared, "%u of %u", marked, compared);
    printf("compared %u\n", compared);
}

/* A disk that refuses a write, and a log that nobody can read: neither makes the mark less than it is. */
Test(wal_distrust, the_mark_needs_two_sectors_and_no_more)
{
    uint64_t ends[7] = {0}, calls;
    uint8_t *bytes;
    size_t n;

    build(ends);
    wal_core_close(&core);
    calls = faultfs_calls(f);
    cr_assert(mark(), "%s", error.text);
    calls = faultfs_calls(f) - calls;
    for (uint64_t i = 1; i <= calls; i++) {
        faultfs_fail_at(f, i, ENOSPC);
        cr_assert_not(mark());
        cr_assert_not_null(strstr(error.text, "/data/"), "%s", error.text);
        cr_assert(mark(), "%s", error.text);
    }
    cr_assert(calls >= 4, "%llu", (unsigned long long)calls);
    bytes = segment(&n);
    memset(bytes, 0x55, n);
    cr_assert(mark(), "%s", error.text);
    cr_assert_not(wal_core_open(&core, options_of(f), &error));
    cr_assert_eq(faultfs_open_files(f), 0);
    faultfs_destroy(f);
    printf("compared %llu\n", (unsigned long long)calls + 1);
}

/* A directory just made, with entry 1, and what it is opened with. */
static struct wal_options made_new(bool distrust_after_boot)
{
    struct wal_options o;

    f = faultfs_create();
    cr_assert(wal_init_directory(faultfs_fs(f), "/data", 3, &error));
    o = *options_of(f);
    o.machine = "a boot";
    o.distrust_after_boot = distrust_after_boot;
    cr_assert(wal_core_open(&core, &o, &error), "%s", error.text);
    append(1, 1);
    return o;
}

/* Just made it says that, over starts. */
Test(wal_distrust, a_new_directory_says_so)
{
    struct wal_options o = made_new(true);

    reopen(&o);
    cr_assert_eq(core.loaded.distrust, REPL_DISTRUST_NEW);
    finish();
}

/* What founders agreed on is believed like an acknowledgement: not of a disk that may have lost the sequel. */
Test(wal_distrust, an_agreement_is_not_believed_of_a_disk_under_distrust)
{
    struct wal_options o = made_new(false);

    for (unsigned i = 0; i < 3; i++) {
        wal_core_load_done(&core);
        cr_assert(wal_core_distrust(&core, REPL_DISTRUST_AGREED, &error));
        reopen(&o);
        cr_assert_eq(core.loaded.distrust, REPL_DISTRUST_AGREED);
        o.distrust = i == 0;
        o.distrust_after_boot = i == 1;
        o.machine = i == 1 ? "another boot" : o.machine;
        if (i == 2)
            reopen_marked(&o);
        else
            reopen(&o);
        cr_assert_eq(core.loaded.distrust, REPL_DISTRUST_NEW);
        o.distrust = false;
        reopen(&o); /* for good */
        cr_assert_eq(core.loaded.distrust, REPL_DISTRUST_NEW);
    }
    finish();
}

/* A founder that has begun, and whose disk kept the mark that it counts and lost what it had written since. */
Test(wal_distrust, who_has_begun_is_not_taken_for_new)
{
    struct wal_options o = made_new(false);

    wal_core_load_done(&core);
    cr_assert(wal_core_distrust(&core, REPL_TRUSTED, &error));
    o.distrust_after_boot = true;
    reopen(&o);
    cr_assert_eq(core.loaded.distrust, REPL_TRUSTED);
    o.machine = "another boot";
    reopen(&o);
    cr_assert_eq(core.loaded.distrust, REPL_DISTRUST_BOOT);
    finish();
}
