/* A crash at every changing call of the log (write, sync, rename, unlink, create), then restart:
 * what was acknowledged is there, what was under way is there up to some record, and nothing else.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faultfs.h"
#include "model.h"

enum { SEEDS = 8, STEPS = 40 };

struct tally {
    uint64_t crashes, recovery_crashes, torn, entries, lies_found;
};

static const struct wal_options *options_of(struct faultfs *f)
{
    static struct wal_options o;

    o = (struct wal_options){
        .directory = "/data", .node = 3, .fs = faultfs_fs(f), .segment_bytes = MODEL_SEGMENT};
    return &o;
}

/* Opens after a crash, which may itself be hit by another one. */
static bool open_again(struct faultfs *f, struct wal_core *core, enum faultfs_loss loss,
                       uint64_t *rng, struct tally *t, struct wal_error *error)
{
    bool ok;

    faultfs_reboot(f, loss, rng);
    faultfs_crash_at(f, 1 + test_random(rng) % 6);
    ok = wal_core_open(core, options_of(f), error);
    if (!faultfs_crashed(f)) {
        faultfs_crash_at(f, 0);
        return ok;
    }
    t->recovery_crashes++;
    if (ok)
        wal_core_close(core);
    faultfs_reboot(f, loss, rng);
    return wal_core_open(core, options_of(f), error);
}

/* What was found after the crash stands: work goes on from it, and the next start finds that. */
static bool go_on(struct faultfs *f, struct script *s, struct wal_core *core, char why[256])
{
    struct wal_error error;
    bool ok = true;

    wal_core_load_done(core);
    for (int i = 0; ok && i < 6; i++)
        ok = script_step(s, core, &error);
    wal_core_close(core);
    if (!ok || !wal_core_open(core, options_of(f), &error)) {
        (void)snprintf(why, 256, "%.250s", error.text);
        return false;
    }
    ok = script_match(s, core, why) == 0;
    wal_core_close(core);
    return ok;
}

/* True: a crash happened at call n and all is well after it, or the script ended before call n
 * (*ended). */
static bool crash_once(uint64_t seed, enum faultfs_loss loss, uint64_t n, bool lies, bool *ended,
                       struct tally *t, char why[256])
{
    struct faultfs *f = faultfs_create();
    struct script *s = malloc(sizeof *s);
    uint64_t rng = seed * 1000003 + n * 10 + loss;
    struct wal_core core;
    struct wal_error error;
    bool ok;
    int found;

    cr_assert(s != NULL && wal_init_directory(faultfs_fs(f), "/data", 3, &error));
    script_init(s, seed);
    faultfs_reboot(f, FAULTFS_KILL, &rng);
    faultfs_lie(f, lies);
    faultfs_crash_at(f, n);
    ok = wal_core_open(&core, options_of(f), &error);
    cr_assert(ok || faultfs_crashed(f), "%s", error.text);
    wal_core_load_done(&core);
    for (int i = 0; ok && i < STEPS; i++)
        ok = script_step(s, &core, &error);
    *ended = !faultfs_crashed(f);
    cr_assert(ok == *ended, "a crash went unnoticed, or an error without one: %s", error.text);
    wal_core_close(&core);
    if (!*ended) {
        t->crashes++;
        ok = open_again(f, &core, loss, &rng, t, &error);
        if (!ok)
            (void)snprintf(why, 256, "%.250s", error.text);
        if (ok) {
            t->torn += core.note[0] != '\0';
            t->entries += core.loaded.n_entries;
            found = script_match(s, &core, why);
            ok = found >= 0;
            if (ok && loss == FAULTFS_KILL && found == 0 && !s->lowers &&
                core.loaded.high_water != s->candidates[0].last) {
                (void)snprintf(why, 256, "a mere kill lowered the high-water mark");
                ok = false;
            }
            if (ok)
                script_adopt(s, found);
            else
                wal_core_close(&core);
        }
        ok = ok && go_on(f, s, &core, why);
    }
    if (faultfs_open_files(f) != 0 && ok) {
        (void)snprintf(why, 256, "descriptors are left open");
        ok = false;
    }
    free(s);
    faultfs_destroy(f);
    return ok;
}

Test(wal_crash, at_every_call_nothing_acknowledged_is_lost, .timeout = 600)
{
    struct tally t = {0};
    char why[256] = "";

    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        for (int loss = 0; loss < FAULTFS_LOSSES; loss++) {
            bool ended = false;

            for (uint64_t n = 1; !ended; n++)
                cr_assert(crash_once(seed, (enum faultfs_loss)loss, n, false, &ended, &t, why),
                          "seed %d loss %d crash at call %d: %s", (int)seed, loss, (int)n, why);
        }
    printf("wal crash: %d scripts x %d kinds of loss, %llu crashes, %llu of them again during "
           "recovery, "
           "%llu torn tails cut, %llu entries compared, 0 lost\n",
           SEEDS, FAULTFS_LOSSES, (unsigned long long)t.crashes,
           (unsigned long long)t.recovery_crashes, (unsigned long long)t.torn,
           (unsigned long long)t.entries);
    cr_assert(t.crashes > 2000 && t.torn > 20 && t.recovery_crashes > 200);
}

/* The checks themselves: a disk that lies about its syncs must be found out by them. */
Test(wal_crash, a_disk_that_lies_is_found_out, .timeout = 300)
{
    struct tally t = {0};
    bool ended = false;
    int found = 0, tried = 0;
    char why[256] = "";

    for (uint64_t n = 1; !ended; n++, tried++)
        found += !crash_once(5, FAULTFS_NOTHING, n, true, &ended, &t, why);
    printf("wal crash: a disk without syncs: %d of %d crashes found out\n", found, tried);
    cr_assert(found > tried / 2);
}

/* --init: a crash at any call leaves a directory that is either refused and can be made anew, or
 * complete. */
Test(wal_crash, init_at_every_call)
{
    int crashes = 0;

    for (int loss = 0; loss < FAULTFS_LOSSES; loss++)
        for (uint64_t n = 1;; n++) {
            struct faultfs *f = faultfs_create();
            uint64_t rng = n + (uint64_t)loss * 100;
            struct wal_error error;
            struct wal_core core;
            bool done;

            faultfs_crash_at(f, n);
            done = wal_init_directory(faultfs_fs(f), "/data", 3, &error);
            if (!done) {
                cr_assert(faultfs_crashed(f), "%s", error.text);
                faultfs_reboot(f, (enum faultfs_loss)loss, &rng);
                crashes++;
                if (!wal_core_open(&core, options_of(f), &error)) {
                    cr_assert(strstr(error.text, "--init") != NULL, "%s", error.text);
                    cr_assert(wal_init_directory(faultfs_fs(f), "/data", 3, &error), "%s",
                              error.text);
                    cr_assert(wal_core_open(&core, options_of(f), &error), "%s", error.text);
                }
                wal_core_close(&core);
            }
            cr_assert(faultfs_open_files(f) == 0);
            faultfs_destroy(f);
            if (done)
                break;
        }
    printf("wal crash: --init crashed at %d places\n", crashes);
    cr_assert(crashes >= 30);
}

/* A failed write or sync is told, whatever the call: never a success. */
Test(wal_crash, every_failed_call_is_told, .timeout = 300)
{
    struct faultfs *f;
    uint64_t n = 1, calls = 0;
    bool ended = false;

    for (; !ended; n++) {
        struct script *s = malloc(sizeof *s);
        uint64_t rng = n;
        struct wal_core core;
        struct wal_error error = {.text = ""};
        bool ok;

        f = faultfs_create();
        cr_assert(s != NULL && wal_init_directory(faultfs_fs(f), "/data", 3, &error));
        script_init(s, 11);
        faultfs_reboot(f, FAULTFS_KILL, &rng);
        cr_assert(wal_core_open(&core, options_of(f), &error), "%s", error.text);
        faultfs_fail_at(f, n, n % 2 ? 5 /* EIO */ : 28 /* ENOSPC */);
        calls = faultfs_calls(f);
        ok = true;
        for (int i = 0; ok && i < STEPS; i++)
            ok = script_step(s, &core, &error);
        ended = faultfs_calls(f) - calls < n;
        cr_assert(ok == ended, "call %d failed and nobody was told", (int)n);
        cr_assert(ok || (strncmp(error.text, "/data", 5) == 0 &&
                         strstr(error.text, n % 2 ? "Input/output" : "No space") != NULL),
                  "%s", error.text);
        wal_core_close(&core);
        cr_assert(faultfs_open_files(f) == 0, "call %d: a descriptor is left open", (int)n);
        free(s);
        faultfs_destroy(f);
    }
    printf("wal crash: %d calls failed one by one, each told with its file\n", (int)n - 2);
}
