/* One bit flipped at every byte of every file: what was durable and is damaged is refused with file
 * and offset, and the offset lies in the damaged header, batch, slot, field or block, not behind
 * the damage. And the ways in which a directory is not what the daemon expects. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "faultfs.h"
#include "model.h"
#include "replication/wal_segment.h"
#include "replication/wal_snapshot.h"

static const struct wal_options *options_of(struct faultfs *f)
{
    static struct wal_options o;

    o = (struct wal_options){
        .directory = "/data", .node = 3, .fs = faultfs_fs(f), .segment_bytes = MODEL_SEGMENT};
    return &o;
}

/* A directory with a vote, a snapshot, at least four closed segments and an open one with several
 * batches. */
static struct faultfs *build(struct script *s)
{
    struct faultfs *f = faultfs_create();
    uint64_t rng = 1;
    struct wal_core core;
    struct wal_error error;

    cr_assert(wal_init_directory(faultfs_fs(f), "/data", 3, &error));
    for (uint64_t seed = 100;; seed++) {
        cr_assert(seed < 400, "no script makes such a directory");
        script_init(s, seed);
        faultfs_destroy(f);
        f = faultfs_create();
        cr_assert(wal_init_directory(faultfs_fs(f), "/data", 3, &error));
        faultfs_reboot(f, FAULTFS_KILL, &rng);
        cr_assert(wal_core_open(&core, options_of(f), &error), "%s", error.text);
        for (int i = 0; i < 60; i++)
            cr_assert(script_step(s, &core, &error), "%s", error.text);
        if (core.log.n_segments >= 5 && core.manifest.snapshot_index > 0 &&
            s->candidates[0].term > 0 && core.log.end > 1500 && core.log.end < MODEL_SEGMENT - 100)
            break;
        wal_core_close(&core);
    }
    wal_core_close(&core);
    return f;
}

/* The disk as it was, to begin each flip from. */
struct image {
    char name[WAL_NAME_BYTES];
    uint8_t bytes[200000];
    size_t n;
};

struct images {
    struct image at[48];
    size_t n;
};

static void take_images(struct faultfs *f, struct images *images)
{
    uint8_t *bytes;
    size_t n;

    for (images->n = 0; faultfs_file(f, images->n, &bytes, &n) != NULL; images->n++) {
        struct image *to = &images->at[images->n];

        cr_assert(images->n < 48 && n <= sizeof to->bytes);
        (void)snprintf(to->name, sizeof to->name, "%s", faultfs_file(f, images->n, &bytes, &n));
        memcpy(to->bytes, bytes, n);
        to->n = n;
    }
}

/* An open may repair: each flip begins with the same disk. */
static void put_back(struct faultfs *f, const struct images *images)
{
    uint8_t *bytes;
    size_t n;

    for (size_t i = 0; i < images->n; i++) {
        cr_assert(strcmp(faultfs_file(f, i, &bytes, &n), images->at[i].name) == 0);
        cr_assert(n == images->at[i].n);
        memcpy(bytes, images->at[i].bytes, n);
    }
}

struct flips {
    int refused_log, refused_other, cut, high_water;
};

/* Where the batch begins that holds `offset`; behind the last one each byte is for itself. Read
 * from the undamaged segment's lengths alone. */
static size_t batch_start(const struct image *file, size_t offset)
{
    size_t at = WAL_SEGMENT_HEADER;

    if (offset < at)
        return 0;
    while (at + WAL_BATCH_HEADER <= file->n && memcmp(file->bytes + at, "HFBT", 4) == 0) {
        size_t end = at + WAL_BATCH_HEADER + get_be32(file->bytes + at + 4);

        if (offset < end)
            return at;
        at = end;
    }
    return offset;
}

/* The lowest offset that a refusal may name for damage at `offset`: where the smallest part begins
 * that has a checksum or a meaning of its own. */
static size_t part_start(const struct image *file, size_t offset)
{
    const size_t block = WAL_SNAPSHOT_BLOCK + 4; /* data, checksum */

    if (strncmp(file->name, "log-", 4) == 0)
        return batch_start(file, offset);
    if (strncmp(file->name, "snapshot-", 9) == 0)
        return offset < WAL_SNAPSHOT_HEADER ? 0 : offset - (offset - WAL_SNAPSHOT_HEADER) % block;
    if (strcmp(file->name, "vote") == 0)
        return offset / WAL_SLOT_BYTES * WAL_SLOT_BYTES;
    return offset < 8 ? 0 : offset < 16 ? 8 : 16; /* magic; kind and length; payload and checksum */
}

/* Refused, with the file's name and an offset in the damaged part. */
static void judge_refusal(const char *text, const struct image *file, size_t offset)
{
    char where[WAL_PATH_BYTES];
    const char *at;
    char *end = NULL;
    unsigned long long said;

    (void)snprintf(where, sizeof where, "/data/%s: offset ", file->name);
    at = strstr(text, where);
    cr_assert(at != NULL, "%s, a flip at %zu: %s", file->name, offset, text);
    said = strtoull(at + strlen(where), &end, 10);
    cr_assert(end != at + strlen(where) && *end == ':', "%s: %s", file->name, text);
    cr_assert(said <= offset && said >= part_start(file, offset),
              "%s: a flip at %zu is to be found in %zu to %zu: %s", file->name, offset,
              part_start(file, offset), offset, text);
}

/* Opens the damaged directory and says whether that is what should have come of it. */
static void judge(struct faultfs *f, const struct script *s, const struct image *file,
                  size_t offset, const char *open_segment, uint64_t open_end, struct flips *count)
{
    const char *name = file->name;
    struct wal_core core;
    struct wal_error error = {.text = ""};
    bool opened = wal_core_open(&core, options_of(f), &error);
    char why[256] = "";
    bool is_open = strcmp(name, open_segment) == 0;

    if (strcmp(name, "high-water") == 0) {
        cr_assert(opened && script_match(s, &core, why) == 0, "%s %s", error.text, why);
        count->high_water++;
    } else if (is_open && offset >= open_end) { /* unsynced rubbish behind the end: cut off */
        cr_assert(opened && script_match(s, &core, why) == 0, "offset %zu: %s %s", offset,
                  error.text, why);
        cr_assert(strstr(core.note, "cut off") != NULL);
        count->cut++;
    } else {
        cr_assert(!opened, "%s: a flip at %zu of %zu was not noticed", name, offset,
                  (size_t)open_end);
        judge_refusal(error.text, file, offset);
        *(strncmp(name, "log-", 4) == 0 ? &count->refused_log : &count->refused_other) += 1;
    }
    if (opened)
        wal_core_close(&core);
}

/* Which segment is open, and where it ends. */
static void measure(struct faultfs *f, char open_segment[WAL_NAME_BYTES], uint64_t *end)
{
    struct wal_core core;
    struct wal_error error;

    cr_assert(wal_core_open(&core, options_of(f), &error), "%s", error.text);
    cr_assert(core.note[0] == '\0', "%s", core.note);
    wal_segment_name(core.log.seq, open_segment);
    *end = core.log.end;
    wal_core_close(&core);
}

Test(wal_corrupt, one_bit_at_every_byte, .timeout = 600)
{
    struct script *s = malloc(sizeof *s);
    struct faultfs *f = build(s);
    struct flips count = {0};
    char open_segment[WAL_NAME_BYTES];
    uint64_t open_end = 0, rng = 99;
    static struct images images;

    measure(f, open_segment, &open_end);
    take_images(f, &images);
    for (size_t i = 0; i < images.n; i++) {
        const struct image *file = &images.at[i];
        size_t step = file->n <= 2 * MODEL_SEGMENT ? 1 : 97;

        if (strcmp(file->name, "lock") == 0)
            continue;
        for (size_t at = 0; at < file->n; at += step) {
            uint8_t *bytes;
            size_t n;

            put_back(f, &images);
            (void)faultfs_file(f, i, &bytes, &n);
            bytes[at] ^= (uint8_t)(1u << test_random(&rng) % 8);
            judge(f, s, file, at, open_segment, open_end, &count);
        }
    }
    printf("wal corrupt: %d flips in the log refused with file and offset, %d in snapshot, vote, "
           "manifest, identity; %d behind the open segment's end cut off, %d in the high-water "
           "file harmless\n",
           count.refused_log, count.refused_other, count.cut, count.high_water);
    cr_assert(count.refused_log > 10000 && count.refused_other > 200 && count.cut > 50);
    faultfs_destroy(f);
    free(s);
}

/* Each segment, the snapshot and each small file taken away in turn. */
Test(wal_corrupt, a_missing_file_is_refused)
{
    struct script *s = malloc(sizeof *s);
    int refused = 0;

    for (size_t i = 0;; i++) {
        struct faultfs *f = build(s);
        char name[WAL_NAME_BYTES], path[WAL_PATH_BYTES];
        struct wal_core core;
        struct wal_error error;
        uint8_t *bytes;
        size_t n;
        bool opened;

        if (faultfs_file(f, i, &bytes, &n) == NULL) {
            faultfs_destroy(f);
            break;
        }
        (void)snprintf(name, sizeof name, "%s", faultfs_file(f, i, &bytes, &n));
        (void)snprintf(path, sizeof path, "/data/%s", name);
        cr_assert(faultfs_fs(f)->unlink(f, path) == 0);
        opened = wal_core_open(&core, options_of(f), &error);
        if (strcmp(name, "lock") == 0)
            cr_assert(opened);
        else
            cr_assert(!opened, "%s is missing and nobody noticed", name);
        refused += !opened;
        if (opened)
            wal_core_close(&core);
        faultfs_destroy(f);
    }
    printf("wal corrupt: %d missing files refused\n", refused);
    cr_assert(refused >= 8);
    free(s);
}

/* A segment of another directory, put in place of one's own. */
Test(wal_corrupt, a_segment_of_another_directory_is_refused)
{
    struct script *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    struct faultfs *f = build(a), *g = build(b);
    struct wal_core core;
    struct wal_error error;
    uint8_t *to, *from;
    size_t n, m;
    bool swapped = false;

    for (size_t i = 0; faultfs_file(f, i, &to, &n) != NULL; i++)
        for (size_t k = 0; !swapped && faultfs_file(g, k, &from, &m) != NULL; k++)
            if (strncmp(faultfs_file(f, i, &to, &n), "log-", 4) == 0 && n == m &&
                strcmp(faultfs_file(f, i, &to, &n), faultfs_file(g, k, &from, &m)) == 0) {
                memcpy(to, from, n);
                swapped = true;
            }
    cr_assert(swapped);
    cr_assert(!wal_core_open(&core, options_of(f), &error));
    cr_assert(strstr(error.text, "/data/log-") != NULL && strstr(error.text, "offset 0") != NULL,
              "%s", error.text);
    faultfs_destroy(f);
    faultfs_destroy(g);
    free(a);
    free(b);
}

Test(wal_corrupt, directories_that_are_refused)
{
    struct faultfs *f = faultfs_create();
    struct wal_options o = *options_of(f);
    struct wal_core core, second;
    struct wal_error error;
    int fd;

    cr_assert(!wal_core_open(&core, &o, &error));
    cr_assert(strstr(error.text, "is empty") && strstr(error.text, "--init"), "%s", error.text);
    fd = faultfs_fs(f)->open(f, "/data/readme.txt", 0102, 0600);
    faultfs_fs(f)->close(f, fd);
    cr_assert(!wal_core_open(&core, &o, &error));
    cr_assert(strstr(error.text, "has no identity file"), "%s", error.text);
    cr_assert(!wal_init_directory(faultfs_fs(f), "/data", 3, &error));
    cr_assert(strstr(error.text, "not empty"), "%s", error.text);
    faultfs_destroy(f);

    f = faultfs_create();
    o = *options_of(f);
    cr_assert(!wal_init_directory(faultfs_fs(f), "/data", 0, &error));
    cr_assert(wal_init_directory(faultfs_fs(f), "/data", 3, &error));
    cr_assert(!wal_init_directory(faultfs_fs(f), "/data", 3, &error));
    cr_assert(strstr(error.text, "already a data directory"), "%s", error.text);
    o.node = 2;
    cr_assert(!wal_core_open(&core, &o, &error));
    cr_assert(strstr(error.text, "belongs to node 3, the configuration says node 2"), "%s",
              error.text);
    o.node = 3;
    cr_assert(wal_core_open(&core, &o, &error));
    cr_assert(!wal_core_open(&second, &o, &error));
    cr_assert(strstr(error.text, "another holdfastd uses this data directory"), "%s", error.text);
    cr_assert(!wal_init_directory(faultfs_fs(f), "/data", 3, &error));
    wal_core_close(&core);
    cr_assert(wal_core_open(&core, &o, &error), "%s", error.text);
    wal_core_close(&core);
    cr_assert(faultfs_open_files(f) == 0);
    faultfs_destroy(f);
}
