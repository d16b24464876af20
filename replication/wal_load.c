#include "replication/wal_load.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/crc32c.h"

struct image {
    uint64_t seq, size;
    uint8_t *bytes;
    struct wal_segment_header header;
    uint32_t chain;
    bool valid; /* the header is */
};

struct loader {
    struct wal_log *log;
    const struct wal_dir *dir;
    const struct wal_mark *mark;
    struct wal_loaded_log *out;
    struct image *images;
    size_t n, cap;
    uint64_t next_index;
    struct image spare; /* prepared, not begun; seq 0 = none */
    char *note;
    struct wal_error *error;
};

void wal_note(char note[WAL_NOTE_BYTES], const char *format, ...)
{
    size_t used = strlen(note);
    va_list args;

    if (used > 0 && used + 2 < WAL_NOTE_BYTES) {
        memcpy(note + used, "; ", 3);
        used += 2;
    }
    va_start(args, format);
    (void)vsnprintf(note + used, WAL_NOTE_BYTES - used, format, args);
    va_end(args);
}

void wal_loaded_log_deinit(struct wal_loaded_log *l)
{
    for (size_t i = 0; i < l->n_images; i++)
        free(l->images[i]);
    free(l->images);
    free(l->entries);
    *l = (struct wal_loaded_log){0};
}

static void *grow(void *p, size_t n)
{
    void *bigger = realloc(p, n);

    HF_ASSERT(bigger != NULL);
    return bigger;
}

/* The offset of the first byte in [from, size) that is not zero, or size. */
static uint64_t first_nonzero(const struct image *im, uint64_t from)
{
    while (from < im->size && im->bytes[from] == 0)
        from++;
    return from;
}

static bool refuse(struct loader *l, uint64_t seq, uint64_t offset, const char *why)
{
    char name[WAL_NAME_BYTES];

    wal_segment_name(seq, name);
    return wal_corrupt(l->dir, name, offset, why, l->error);
}

static bool remove_segment(struct loader *l, uint64_t seq)
{
    char name[WAL_NAME_BYTES];

    wal_segment_name(seq, name);
    return wal_file_unlink(l->dir, name, l->error);
}

static void collect(void *arg, const char *name)
{
    struct loader *l = arg;
    uint64_t seq;

    if (!wal_segment_parse_name(name, &seq))
        return;
    if (l->n == l->cap) {
        l->cap = l->cap == 0 ? 16 : 2 * l->cap;
        l->images = grow(l->images, l->cap * sizeof *l->images);
    }
    l->images[l->n++] = (struct image){.seq = seq};
}

static int by_seq(const void *a, const void *b)
{
    const struct image *x = a;
    const struct image *y = b;

    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Leaves in images[] the segments from first_seq on, without a gap. */
static bool find_segments(struct loader *l, uint64_t first_seq)
{
    size_t keep = 0;
    int r = l->dir->fs->list(l->dir->fs->self, l->dir->path, collect, l);

    if (r < 0)
        return wal_fail_sys(l->dir, ".", "cannot list", r, l->error);
    if (l->n > 1)
        qsort(l->images, l->n, sizeof *l->images, by_seq);
    for (size_t i = 0; i < l->n; i++) {
        if (l->images[i].seq >= first_seq)
            l->images[keep++] = l->images[i];
        else if (!remove_segment(l, l->images[i].seq))
            return false;
    }
    l->n = keep;
    for (size_t i = 0; i < l->n; i++)
        if (l->images[i].seq != first_seq + i)
            return refuse(l, first_seq + i, 0, "this segment of the log is missing");
    return true;
}

static bool read_segment(struct loader *l, struct image *im)
{
    char name[WAL_NAME_BYTES];
    int fd, r;
    bool ok;

    wal_segment_name(im->seq, name);
    fd = wal_file_open(l->dir, name, O_RDONLY, l->error);
    if (fd < 0)
        return false;
    r = l->dir->fs->size(l->dir->fs->self, fd, &im->size);
    ok = r == 0 || wal_fail_sys(l->dir, name, "cannot stat", r, l->error);
    if (ok) {
        im->bytes = grow(NULL, im->size + 1);
        ok = wal_file_read(l->dir, name, fd, im->bytes, im->size, 0, l->error);
    }
    wal_file_close(l->dir, fd);
    im->valid = ok && im->size >= WAL_SEGMENT_HEADER &&
                wal_segment_header_decode(l->dir->id, im->bytes, &im->header, &im->chain);
    return ok;
}

static bool batch_at(const struct loader *l, const struct image *im, uint64_t at,
                     struct wal_batch_header *h, uint32_t *chain)
{
    return at + WAL_BATCH_HEADER <= im->size &&
           wal_batch_header_decode(l->dir->id, im->bytes + at, h, chain) && h->seq == im->seq &&
           h->offset == at;
}

/* Whether what stands at `at` was durable: the high-water mark says so, or a later batch does.
 * A batch header beyond `at` proves that what stands at `at` was durable before it (wal_segment.h).
 * The first batch of a segment proves nothing of the segment's header, for both are written before
 * one fdatasync. */
static bool was_durable(const struct loader *l, const struct image *im, uint64_t at)
{
    struct wal_batch_header h;
    uint32_t chain;

    if (im->seq < l->mark->seq || (im->seq == l->mark->seq && at < l->mark->end))
        return true;
    for (uint64_t p = at + 8; p + WAL_BATCH_HEADER <= im->size; p += 8)
        if (p != WAL_SEGMENT_HEADER && batch_at(l, im, p, &h, &chain))
            return true;
    return false;
}

/* Of prepared but unused segments only the first is kept; one whose very first write was torn goes.
 */
static bool drop_unused(struct loader *l)
{
    while (l->n > 0) {
        struct image *last = &l->images[l->n - 1];
        bool empty = first_nonzero(last, 0) == last->size;

        if (last->seq <= l->mark->seq && (!empty || last->size < WAL_SEGMENT_HEADER))
            break;
        l->out->lost = l->out->lost || last->seq <= l->mark->seq;

        if (!empty && (last->valid || was_durable(l, last, 0)))
            return true;
        if (empty && l->spare.seq != 0 && !remove_segment(l, l->spare.seq))
            return false;
        free(last->bytes);
        l->n--;
        if (!empty) {
            wal_note(l->note,
                     "log-%016llx: its first write was torn by a crash before it was acknowledged, "
                     "cut off",
                     (unsigned long long)last->seq);
            return remove_segment(l, last->seq);
        }
        l->spare = (struct image){.seq = last->seq, .size = last->size};
    }
    return true;
}

/* The spare is all zeros; made durable, it is as good as a fresh one, and a start writes no
 * segment. */
static bool take_spare(struct loader *l)
{
    struct wal_log *log = l->log;
    char name[WAL_NAME_BYTES];
    int fd, r;

    if (l->spare.seq == 0)
        return true;
    if (l->spare.seq != wal_log_next_seq(log) || l->spare.size != log->segment_bytes)
        return remove_segment(l, l->spare.seq);
    wal_segment_name(l->spare.seq, name);
    fd = wal_file_open(l->dir, name, O_RDWR, l->error);
    if (fd < 0)
        return false;
    wal_log_offer(log, l->spare.seq, fd);
    r = l->dir->fs->fsync(l->dir->fs->self, fd);
    if (r < 0)
        return wal_fail_sys(l->dir, name, "fsync failed", r, l->error);
    return wal_dir_sync(l->dir, l->error);
}

static bool apply_record(struct loader *l, const struct wal_record *r, uint64_t *max_index)
{
    struct wal_loaded_log *out = l->out;

    if (r->kind == WAL_RECORD_TRUNCATE) {
        if (r->index >= l->next_index)
            return false;
        if (r->index < out->first_index)
            out->first_index = r->index;
        out->n = (size_t)(r->index - out->first_index);
        l->next_index = r->index;
        return true;
    }
    if (r->index != l->next_index)
        return false;
    if (out->n == out->cap) {
        out->cap = out->cap == 0 ? 256 : 2 * out->cap;
        out->entries = grow(out->entries, out->cap * sizeof *out->entries);
    }
    out->entries[out->n++] = (struct repl_entry){
        .term = r->term, .kind = (enum repl_entry_kind)r->kind, .data = r->data};
    if (r->index > *max_index)
        *max_index = r->index;
    l->next_index++;
    return true;
}

static bool apply_batch(struct loader *l, const struct image *im, const struct wal_batch_header *h,
                        uint64_t *max_index)
{
    struct span body = span_of(im->bytes + h->offset + WAL_BATCH_HEADER, h->body_bytes);

    for (uint32_t i = 0; i < h->records; i++) {
        struct wal_record r;

        if (!wal_record_decode(&body, &r) || !apply_record(l, &r, max_index))
            return refuse(l, im->seq, h->offset, "a record that does not fit what is before it");
    }
    return body.len == 0 || refuse(l, im->seq, h->offset, "bytes after the last record");
}

static bool batch_ok(const struct loader *l, const struct image *im, uint64_t at,
                     uint32_t prev_chain, struct wal_batch_header *h, uint32_t *chain)
{
    return batch_at(l, im, at, h, chain) && h->prev_chain == prev_chain &&
           h->body_bytes <= im->size - at - WAL_BATCH_HEADER &&
           crc32c(0, im->bytes + at + WAL_BATCH_HEADER, h->body_bytes) == h->body_crc;
}

/* The mark says that something was durable here, and there is not a bit of it. */
static bool nothing_follows(const struct loader *l, const struct image *im, uint64_t at)
{
    return (im->seq < l->mark->seq ? l->out->lost : im->seq == l->mark->seq && at < l->mark->end) &&
           first_nonzero(im, at) == im->size;
}

/* Zeros over what a crash left behind, so that a later batch is not followed by old bytes. */
static bool cut_tail(struct loader *l, const struct image *im, uint64_t at, int fd)
{
    uint64_t end = im->size;
    char name[WAL_NAME_BYTES];

    wal_segment_name(im->seq, name);
    while (end > at && im->bytes[end - 1] == 0)
        end--;
    wal_note(l->note,
             "%s: offset %llu: a write of up to %llu bytes was torn by a crash before it was "
             "acknowledged, cut off",
             name, (unsigned long long)at, (unsigned long long)(end - at));
    memset(im->bytes + at, 0, end - at);
    return wal_file_write(l->dir, name, fd, im->bytes + at, end - at, at, l->error) &&
           wal_file_fdatasync(l->dir, name, fd, l->error);
}

/* The last segment stays open: appends go on at its end. */
static bool open_last(struct loader *l, const struct image *im, uint64_t end, uint32_t chain)
{
    struct wal_log *log = l->log;
    char name[WAL_NAME_BYTES];

    wal_segment_name(im->seq, name);
    log->fd = wal_file_open(l->dir, name, O_RDWR, l->error);
    if (log->fd < 0)
        return false;
    log->seq = im->seq;
    log->size = im->size;
    log->end = end;
    log->chain = chain;
    return first_nonzero(im, end) == im->size || cut_tail(l, im, end, log->fd);
}

/* Applies one segment's batches. `next` is the segment after it, which says where this one ends;
 * NULL: it is the open one. */
static bool load_segment(struct loader *l, const struct image *im, const struct image *next)
{
    uint64_t at = WAL_SEGMENT_HEADER;
    uint64_t max_index = 0;
    uint32_t chain = im->chain;

    for (;;) {
        struct wal_batch_header h;
        uint32_t batch_chain;

        if (next != NULL && at == next->header.prev_end)
            break;
        if (!batch_ok(l, im, at, chain, &h, &batch_chain)) {
            bool gone = next == NULL && nothing_follows(l, im, at);

            l->out->lost = l->out->lost || gone;
            if (next != NULL || (was_durable(l, im, at) && !gone))
                return refuse(l, im->seq, at, "the checksum of the batch that begins here fails");
            break;
        }
        if (!apply_batch(l, im, &h, &max_index))
            return false;
        chain = batch_chain;
        at += WAL_BATCH_HEADER + h.body_bytes;
    }
    wal_log_add_segment(l->log, im->seq, im->header.first_index, max_index);
    if (next == NULL)
        return open_last(l, im, at, chain);
    if (chain != next->header.prev_chain)
        return refuse(l, im->seq, at, "the next segment does not continue this one");
    if (first_nonzero(im, at) != im->size)
        return refuse(l, im->seq, first_nonzero(im, at), "bytes after the end of a closed segment");
    return true;
}

static bool load_segments(struct loader *l)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct image *im = &l->images[i];

        if (!im->valid)
            return refuse(l, im->seq, 0, "the checksum of the segment's header fails");
        if (im->header.seq != im->seq)
            return refuse(l, im->seq, 8, "the header is of another segment");
        if (im->header.first_index != l->next_index)
            return refuse(l, im->seq, 16, "entries are missing before this segment");
        if (i + 1 < l->n && !l->images[i + 1].valid)
            return refuse(l, im->seq + 1, 0, "the checksum of the segment's header fails");
        if (!load_segment(l, im, i + 1 < l->n ? im + 1 : NULL))
            return false;
    }
    return true;
}

bool wal_load_log(struct wal_log *log, uint64_t first_seq, const struct wal_mark *mark,
                  struct wal_loaded_log *out, char note[WAL_NOTE_BYTES], struct wal_error *error)
{
    struct loader l = {.log = log,
                       .dir = log->dir,
                       .mark = mark,
                       .out = out,
                       .next_index = log->next_index,
                       .note = note,
                       .error = error};
    bool ok;

    *out = (struct wal_loaded_log){.first_index = log->next_index};
    ok = find_segments(&l, first_seq);
    for (size_t i = 0; ok && i < l.n; i++)
        ok = read_segment(&l, &l.images[i]);
    ok = ok && drop_unused(&l) && load_segments(&l);
    if (ok && log->seq < mark->seq && !out->lost)
        ok = refuse(&l, mark->seq, 0, "this segment of the log is missing");
    if (ok && l.n > 0)
        log->next_index = l.next_index;
    ok = ok && take_spare(&l);
    out->images = grow(NULL, (l.n + 1) * sizeof *out->images);
    for (size_t i = 0; i < l.n; i++)
        out->images[out->n_images++] = l.images[i].bytes;
    free(l.images);
    return ok;
}
