/* A data directory that a random script wrote, then spoiled: opened, it is refused with a stated reason,
 * or what it holds is a whole prefix of what was written, under distrust where something durable is
 * missing. Then it goes on: an entry is appended, and is there at the next start.
 *
 *   first byte: which script (2 bits); 4: the spoiled files get right checksums (wal_reseal.h), which no
 *   damage does: then only the crash, and the going on, are judged
 *   then: op 1 | file 1 | place 3 | n 1 | value 1, and n bytes for ops that bring some
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "replication/crc32c.h"
#include "replication/wal_directory.h"
#include "replication/wal_segment.h"
#include "unit/wal/faultfs.h"
#include "unit/wal/model.h"
#include "wal_reseal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SCRIPTS = 4, FILES = 64, FILE_ROOM = 1 << 18, OPS = 32, HEAD = 7, NODE = 3 };
enum { BATCHES = 256 };

enum op { XOR, WRITE, CUT, ZERO, GROW, REMOVE, COPY, NAME, MAKE, CRAFT, OP_COUNT };

struct file {
    char name[WAL_NAME_BYTES];
    uint8_t *bytes;
    size_t n;
};

struct disk {
    struct file files[FILES];
    size_t n;
};

/* What an undamaged start finds; and what one finds whose log ends after any of its batches. */
struct found {
    uint64_t term, last, mark;
    uint32_t voted_for;
    struct repl_snapshot_meta snapshot;
    uint8_t *snapshot_bytes;
    size_t snapshot_len;
    uint32_t log, history[BATCHES];
    size_t n_history;
};

static struct disk disks[SCRIPTS];
static struct found found[SCRIPTS];

static void *copy_of(const void *bytes, size_t n)
{
    void *p = malloc(n + 1);

    HF_ASSERT(p != NULL);
    if (n > 0)
        memcpy(p, bytes, n);
    return p;
}

static struct wal_options options_of(struct faultfs *f)
{
    return (struct wal_options){
        .directory = "/data", .node = NODE, .fs = faultfs_fs(f), .segment_bytes = MODEL_SEGMENT};
}

/* --- the disks to begin with --- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

static void take_disk(struct faultfs *f, struct disk *d)
{
    uint8_t *bytes;
    size_t n;

    for (d->n = 0; faultfs_file(f, d->n, &bytes, &n) != NULL; d->n++) {
        struct file *to = &d->files[d->n];

        HF_ASSERT(d->n + 8 < FILES && n <= FILE_ROOM);
        (void)snprintf(to->name, sizeof to->name, "%s", faultfs_file(f, d->n, &bytes, &n));
        to->bytes = copy_of(bytes, n);
        to->n = n;
    }
    qsort(d->files, d->n, sizeof d->files[0], by_name);
}

static void drop_disk(struct disk *d)
{
    while (d->n > 0)
        free(d->files[--d->n].bytes);
}

static struct faultfs *put_disk(const struct disk *d)
{
    struct faultfs *f = faultfs_create();
    const struct wal_fs *fs = faultfs_fs(f);

    for (size_t i = 0; i < d->n; i++) {
        char path[WAL_PATH_BYTES];
        int fd;

        (void)snprintf(path, sizeof path, "/data/%s", d->files[i].name);
        fd = fs->open(fs->self, path, O_RDWR | O_CREAT, 0600);
        HF_ASSERT(fd >= 0);
        for (size_t at = 0; at < d->files[i].n;) {
            ssize_t n = fs->pwrite(fs->self, fd, d->files[i].bytes + at, d->files[i].n - at, at);

            HF_ASSERT(n > 0);
            at += (size_t)n;
        }
        (void)fs->close(fs->self, fd);
    }
    return f;
}

static uint32_t log_sum(const struct repl_loaded *l)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < l->n_entries; i++) {
        const struct repl_entry *e = &l->entries[i];
        uint64_t head[4] = {l->first_index + i, e->term, e->kind, e->data.len};

        sum = crc32c(crc32c(sum, head, sizeof head), e->data.data, e->data.len);
    }
    return sum;
}

/* Where batch n of a segment begins, by the lengths alone; behind the last one: where it would. */
static size_t start_of(const struct file *f, size_t n)
{
    size_t at = WAL_SEGMENT_HEADER;

    while (n-- > 0 && at + WAL_BATCH_HEADER <= f->n && memcmp(f->bytes + at, "HFBT", 4) == 0)
        at += WAL_BATCH_HEADER + get_be32(f->bytes + at + 4);
    return at;
}

static size_t batches_of(const struct file *f)
{
    size_t n = 0;

    while (start_of(f, n + 1) > start_of(f, n))
        n++;
    return n;
}

static void take_found(const struct wal_core *core, struct found *to)
{
    const struct repl_loaded *l = &core->loaded;

    *to = (struct found){.term = l->term,
                         .last = l->first_index + l->n_entries - 1,
                         .mark = l->high_water,
                         .voted_for = l->voted_for,
                         .snapshot = l->snapshot,
                         .snapshot_bytes = copy_of(l->snapshot_data.data, l->snapshot_data.len),
                         .snapshot_len = l->snapshot_data.len,
                         .log = log_sum(l)};
}

/* The log cut behind each of its batches, one after the other from the end. */
static void take_history(struct disk *d, struct found *to)
{
    struct wal_error error;
    struct wal_core core;

    for (size_t i = d->n; i-- > 0;) {
        struct file *f = &d->files[i];

        if (strncmp(f->name, "log-", 4) != 0)
            continue;
        for (size_t n = batches_of(f); n-- > 0;) {
            struct faultfs *fs;
            struct wal_options o;

            memset(f->bytes + start_of(f, n), 0, f->n - start_of(f, n));
            fs = put_disk(d);
            o = options_of(fs);
            HF_ASSERT(wal_core_open(&core, &o, &error) && to->n_history < BATCHES);
            to->history[to->n_history++] = log_sum(&core.loaded);
            wal_core_close(&core);
            faultfs_destroy(fs);
        }
        memset(f->bytes, 0, f->n);
    }
}

static bool is_rich(const struct wal_core *core, const struct script *s)
{
    return core->log.n_segments >= 3 && core->manifest.snapshot_index > 0 &&
           s->candidates[0].term > 0 && core->log.end > 1000 && core->log.end < MODEL_SEGMENT - 100;
}

static void make(struct disk *d, struct found *what, uint64_t *seed)
{
    struct script *s = malloc(sizeof *s);
    struct wal_core core;
    struct wal_error error;
    struct wal_options o;
    struct faultfs *f;
    bool good = false;

    HF_ASSERT(s != NULL);
    do {
        script_init(s, (*seed)++);
        f = faultfs_create();
        o = options_of(f);
        HF_ASSERT(wal_init_directory(faultfs_fs(f), "/data", NODE, &error));
        HF_ASSERT(wal_core_open(&core, &o, &error));
        HF_ASSERT(wal_core_distrust(&core, REPL_TRUSTED, &error));
        for (int i = 0; i < 40; i++)
            HF_ASSERT(script_step(s, &core, &error));
        good = is_rich(&core, s);
        wal_core_close(&core);
        if (!good)
            faultfs_destroy(f);
    } while (!good);
    HF_ASSERT(wal_core_open(&core, &o, &error) && core.note[0] == '\0');
    HF_ASSERT(core.loaded.distrust == REPL_TRUSTED);
    take_found(&core, what);
    HF_ASSERT(what->mark == what->last || what->last == what->snapshot.index);
    wal_core_close(&core);
    take_disk(f, d);
    take_history(d, what);
    drop_disk(d);
    take_disk(f, d);
    faultfs_destroy(f);
    free(s);
}

/* --- spoiling --- */

struct spoiler {
    struct disk disk; /* bytes with FILE_ROOM */
    bool mark_touched;
};

static void copy_disk(struct spoiler *s, const struct disk *from)
{
    s->disk.n = from->n;
    s->mark_touched = false;
    for (size_t i = 0; i < from->n; i++) {
        struct file *to = &s->disk.files[i];

        if (to->bytes == NULL)
            to->bytes = malloc(FILE_ROOM);
        HF_ASSERT(to->bytes != NULL);
        memcpy(to->name, from->files[i].name, sizeof to->name);
        memcpy(to->bytes, from->files[i].bytes, from->files[i].n);
        to->n = from->files[i].n;
    }
}

/* A name that a directory has, by number. */
static void name_of(unsigned value, const struct disk *d, char out[WAL_NAME_BYTES])
{
    static const char *const plain[] = {"identity", "manifest", "vote", "high-water",
                                        "recover",  "lock",     "x",    "manifest.tmp"};
    uint64_t seq = 0;

    for (size_t i = 0; i < d->n; i++)
        (void)wal_segment_parse_name(d->files[i].name, &seq);
    if (value < 8)
        (void)snprintf(out, WAL_NAME_BYTES, "%s", plain[value]);
    else if (value < 128)
        wal_segment_name(seq + value % 16 - 8, out);
    else
        (void)snprintf(out, WAL_NAME_BYTES, "snapshot-%016x-%016x", value - 128u, value % 8);
}

static struct file *add(struct disk *d, const char *name)
{
    struct file *to = NULL;

    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->files[i].name, name) == 0)
            to = &d->files[i];
    if (to == NULL && d->n < FILES)
        to = &d->files[d->n++];
    if (to == NULL)
        return NULL;
    if (to->bytes == NULL)
        to->bytes = malloc(FILE_ROOM);
    HF_ASSERT(to->bytes != NULL);
    (void)snprintf(to->name, sizeof to->name, "%s", name);
    return to;
}

static void drop(struct disk *d, struct file *file)
{
    uint8_t *bytes = file->bytes;

    *file = d->files[--d->n];
    d->files[d->n].bytes = bytes;
}

/* A batch that fits behind the open segment's end, as far as its fields say; its checksums are
 * wal_reseal's. The bytes are its body. */
static void craft(struct file *f, size_t at, struct span body, unsigned records)
{
    if (f->n < WAL_SEGMENT_HEADER || at + WAL_BATCH_HEADER + body.len > f->n)
        return;
    memcpy(f->bytes + at, "HFBT", 4);
    put_be32(f->bytes + at + 4, (uint32_t)body.len);
    memcpy(f->bytes + at + 8, f->bytes + 8, 8);
    put_be64(f->bytes + at + 16, at);
    put_be32(f->bytes + at + 32, records);
    memcpy(f->bytes + at + WAL_BATCH_HEADER, body.data, body.len);
}

static void change(struct spoiler *s, enum op op, struct file *f, size_t at, size_t n,
                   unsigned value, struct span bytes)
{
    char name[WAL_NAME_BYTES];
    struct file *to;

    s->mark_touched = s->mark_touched || strcmp(f->name, "high-water") == 0;
    switch (op) {
    case XOR:
        for (size_t i = at; i < f->n && i <= at + n; i++)
            f->bytes[i] ^= (uint8_t)(value | 1);
        break;
    case WRITE:
        for (size_t i = 0; i < bytes.len && at + i < f->n; i++)
            f->bytes[at + i] = bytes.data[i];
        break;
    case CUT:
        f->n = at;
        break;
    case ZERO:
        for (size_t i = at; i < f->n && (n == 255 || i < at + 16 * n); i++)
            f->bytes[i] = 0;
        break;
    case GROW:
        if (f->n + 16 * n <= FILE_ROOM) {
            memset(f->bytes + f->n, (int)(value & 1) * (int)value, 16 * n);
            f->n += 16 * n;
        }
        break;
    case REMOVE:
        drop(&s->disk, f);
        break;
    case COPY:
        to = &s->disk.files[value % s->disk.n];
        s->mark_touched = s->mark_touched || strcmp(to->name, "high-water") == 0;
        for (size_t i = at; i < f->n && i < to->n && i < at + 8 * n; i++)
            to->bytes[i] = f->bytes[i];
        break;
    case NAME:
    case MAKE:
        name_of(value, &s->disk, name);
        s->mark_touched = s->mark_touched || strcmp(name, "high-water") == 0;
        to = add(&s->disk, name);
        if (to == NULL || to == f)
            break;
        to->n = op == NAME ? f->n : bytes.len;
        if (to->n > 0)
            memcpy(to->bytes, op == NAME ? f->bytes : bytes.data, to->n);
        break;
    case CRAFT:
        if (strncmp(f->name, "log-", 4) == 0)
            craft(f, at % 2 == 0 ? start_of(f, SIZE_MAX) : at, bytes, value);
        break;
    case OP_COUNT:
        break;
    }
}

static void spoil(struct spoiler *s, const uint8_t *data, size_t size)
{
    for (int i = 0; i < OPS && size >= HEAD && s->disk.n > 0; i++) {
        enum op op = (enum op)(data[0] % OP_COUNT);
        struct file *f = &s->disk.files[data[1] % s->disk.n];
        size_t at = (size_t)data[2] << 16 | (size_t)data[3] << 8 | data[4];
        size_t n = data[5];
        unsigned value = data[6];
        struct span bytes = {NULL, 0};

        data += HEAD;
        size -= HEAD;
        if (op == WRITE || op == MAKE || op == CRAFT) {
            bytes = span_of(data, n < size ? n : size);
            data += bytes.len;
            size -= bytes.len;
        }
        change(s, op, f, at % (f->n + 1), n, value, bytes);
    }
}

static void reseal(struct disk *d)
{
    struct wal_reseal r = {.chain = 0};

    qsort(d->files, d->n, sizeof d->files[0], by_name);
    for (size_t i = 0; i < d->n; i++) /* "high-water" comes first in that order */
        if (strcmp(d->files[i].name, "identity") == 0)
            wal_reseal(&r, d->files[i].name, d->files[i].bytes, d->files[i].n);
    for (size_t i = 0; i < d->n; i++)
        wal_reseal(&r, d->files[i].name, d->files[i].bytes, d->files[i].n);
}

/* --- judging --- */

static bool is_prefix(uint32_t log, const struct found *was)
{
    bool found_it = log == was->log;

    for (size_t i = 0; i < was->n_history; i++)
        found_it = found_it || log == was->history[i];
    return found_it;
}

/* Two faults at once, in the log's end and in the mark that tells of it, are found by the peers. */
static void judge(const struct repl_loaded *l, const struct found *was, bool mark_touched)
{
    HF_ASSERT(l->term == was->term && l->voted_for == was->voted_for);
    HF_ASSERT(l->snapshot.index == was->snapshot.index && l->snapshot.term == was->snapshot.term);
    HF_ASSERT(span_equal(l->snapshot_data, span_of(was->snapshot_bytes, was->snapshot_len)));
    HF_ASSERT(is_prefix(log_sum(l), was));
    HF_ASSERT(mark_touched || log_sum(l) == was->log || l->distrust != REPL_TRUSTED);
}

/* One entry more, and it is there at the next start, behind all that was there. */
static void go_on(struct faultfs *f, struct wal_core *core)
{
    static const uint8_t word[] = "one more";
    struct repl_entry one = {
        .term = 77, .kind = REPL_ENTRY_COMMAND, .data = span_of(word, sizeof word)};
    uint64_t index = core->log.next_index, first = core->loaded.first_index;
    size_t had = core->loaded.n_entries;
    enum repl_distrust distrust = core->loaded.distrust;
    struct wal_options o = options_of(f);
    struct wal_error error = {.text = ""};
    const struct repl_entry *last;
    bool ok;

    if (index >= UINT64_MAX - 1) {
        wal_core_close(core);
        return;
    }
    wal_core_append(core, index, &one);
    ok = wal_core_flush(core, &error);
    wal_core_close(core);
    if (!ok)
        return;
    if (!wal_core_open(core, &o, &error))
        hf_panic(__FILE__, __LINE__, error.text);
    HF_ASSERT(core->loaded.first_index == first && core->loaded.n_entries == had + 1);
    last = &core->loaded.entries[had];
    HF_ASSERT(last->term == 77 && span_equal(last->data, one.data));
    HF_ASSERT(core->loaded.distrust == distrust);
    wal_core_close(core);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct spoiler s;
    struct wal_error error = {.text = ""};
    struct wal_options o;
    struct wal_core core;
    struct faultfs *f;
    bool sealed;
    int which;

    for (uint64_t i = 0, seed = 1; i < SCRIPTS && disks[i].n == 0; i++)
        make(&disks[i], &found[i], &seed);
    if (size == 0)
        return 0;
    which = data[0] % SCRIPTS;
    sealed = (data[0] & 4) != 0;
    copy_disk(&s, &disks[which]);
    spoil(&s, data + 1, size - 1);
    if (sealed)
        reseal(&s.disk);
    f = put_disk(&s.disk);
    o = options_of(f);
    if (wal_core_open(&core, &o, &error)) {
        if (!sealed)
            judge(&core.loaded, &found[which], s.mark_touched);
        go_on(f, &core);
    } else {
        HF_ASSERT(error.text[0] != '\0');
    }
    HF_ASSERT(faultfs_open_files(f) == 0);
    faultfs_destroy(f);
    return 0;
}
