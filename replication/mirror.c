#include "replication/mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "replication/write_all.h"

enum {
    TAIL_BYTES = AUDIT_MAX_LINE + 2,
    WRITE_BYTES = 64 << 10,
    ASIDE_MAX = 1000,
    NAME_BYTES = MIRROR_PATH_BYTES + 16
};

void mirror_init(struct mirror *m, const char *data_dir)
{
    *m = (struct mirror){.file_bytes = MIRROR_FILE_BYTES, .fd = -1};
    (void)snprintf(m->path, sizeof m->path, "%s/audit.jsonl", data_dir);
}

void mirror_close(struct mirror *m)
{
    if (m->open)
        (void)close(m->fd);
    m->open = false;
    m->fd = -1;
}

static bool fail(struct mirror_outcome *out, const char *what)
{
    (void)snprintf(out->why, sizeof out->why, "%s: %s", what, strerror(errno));
    return false;
}

/* The folder's own entry for the file is stored, too. */
static bool sync_folder(const char *path)
{
    char folder[MIRROR_PATH_BYTES];
    char *slash;
    bool ok;
    int fd;

    (void)snprintf(folder, sizeof folder, "%s", path);
    slash = strrchr(folder, '/');
    HF_ASSERT(slash != NULL);
    *slash = '\0';
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

static bool open_file(struct mirror *m, struct mirror_outcome *out)
{
    m->fd = open(m->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    m->open = m->fd >= 0;
    m->at = (struct audit_head){0};
    return (m->open && sync_folder(m->path)) || fail(out, "cannot be opened");
}

/* How a file ends. */
struct end {
    bool sound;           /* its last whole line is one of an audit, or there is none */
    struct audit_head at; /* that line's */
    off_t size;
    size_t torn; /* bytes behind its last newline */
};

static bool read_end(int fd, struct end *end)
{
    struct audit_verifier v = {0};
    char *tail = malloc(TAIL_BYTES);
    struct stat st;
    size_t n, from;
    bool ok;

    HF_ASSERT(tail != NULL);
    ok = fstat(fd, &st) == 0;
    *end = (struct end){.sound = true, .size = ok ? st.st_size : 0};
    n = end->size < TAIL_BYTES ? (size_t)end->size : TAIL_BYTES;
    ok = ok && pread(fd, tail, n, end->size - (off_t)n) == (ssize_t)n;
    for (from = n; ok && from > 0 && tail[from - 1] != '\n';)
        from--;
    if (ok && from < n && (from > 0 || end->size < TAIL_BYTES)) {
        end->torn = n - from;
        n = from;
    }
    if (ok && n > 0) {
        for (from = n - 1; from > 0 && tail[from - 1] != '\n';)
            from--;
        switch (audit_verify_line(&v, span_of((const uint8_t *)tail + from, n - 1 - from))) {
        case AUDIT_SOUND:
        case AUDIT_MISSING: /* those before it */
            end->at = v.at;
            break;
        case AUDIT_MALFORMED:
        case AUDIT_ALTERED:
        case AUDIT_UNCHAINED:
        case AUDIT_REPEATED:
        case AUDIT_NOT_HEAD:
        case AUDIT_AHEAD:
        default:
            end->sound = false;
        }
    }
    free(tail);
    return ok;
}

/* The i-th of the full ones, from 1 on; 0: the one that is written. */
static void name_of(const struct mirror *m, unsigned i, char name[NAME_BYTES])
{
    (void)snprintf(name, NAME_BYTES, i == 0 ? "%s" : "%s.%u", m->path, i);
}

/* Where the newest full one ends: a crash may come between its new name and the first line of the next one. */
static void go_on_behind_full(struct mirror *m)
{
    char name[NAME_BYTES];
    struct end end;
    int fd;

    name_of(m, 1, name);
    fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    if (read_end(fd, &end) && end.torn == 0)
        m->at = end.at;
    (void)close(fd);
}

/* Whatever a crash left behind the last newline goes: it is the beginning of an entry that is written again.
 * *sound: the last line is one of an audit. *begins: there is none in this file. */
static bool read_tail(struct mirror *m, bool *sound, bool *begins, struct mirror_outcome *out)
{
    struct end end;

    if (!read_end(m->fd, &end) ||
        (end.torn > 0 && ftruncate(m->fd, end.size - (off_t)end.torn) != 0))
        return fail(out, "its end cannot be read");
    *sound = end.sound;
    *begins = end.size == (off_t)end.torn;
    m->at = end.at;
    if (*begins)
        go_on_behind_full(m);
    return true;
}

/* Each full one moves on by a name, up to the first that is free: so one that a crash cut short goes on. */
static bool begin_next(struct mirror *m, struct mirror_outcome *out)
{
    struct audit_head at = m->at;
    char from[NAME_BYTES], to[NAME_BYTES];
    unsigned i = 0;

    do
        name_of(m, ++i, to);
    while (i < MIRROR_OLDER && access(to, F_OK) == 0);
    for (; i > 0; i--) {
        name_of(m, i - 1, from);
        name_of(m, i, to);
        if (rename(from, to) != 0)
            return fail(out, "is full, and cannot be renamed");
    }
    mirror_close(m);
    if (!open_file(m, out))
        return false;
    m->at = at;
    return true;
}

static bool is_full(const struct mirror *m)
{
    struct stat st;

    return fstat(m->fd, &st) == 0 && st.st_size >= (off_t)m->file_bytes;
}

/* Nothing is lost: it stays, under another name, for whoever looks into it. */
static bool set_aside(struct mirror *m, struct mirror_outcome *out)
{
    char name[NAME_BYTES];

    mirror_close(m);
    for (unsigned i = 1; i < ASIDE_MAX; i++) {
        (void)snprintf(name, sizeof name, "%s.aside-%u", m->path, i);
        if (link(m->path, name) == 0) {
            out->set_aside = true;
            (void)snprintf(out->why, sizeof out->why, "%.200s", name);
            return (unlink(m->path) == 0 || fail(out, "cannot be set aside")) && open_file(m, out);
        }
        if (errno != EEXIST)
            break;
    }
    return fail(out, "cannot be set aside");
}

/* Does the last line stand in the chain of these? What lies before them cannot be told from here, nor what comes behind: a node that
 * starts applies anew what is in its file already. */
static bool fits(const struct mirror *m, struct audit_entry *const *entries, size_t n)
{
    uint64_t first = entries[0]->sequence;

    if (m->at.count == 0 || m->at.count + 1 < first || m->at.count > entries[n - 1]->sequence)
        return true;
    if (m->at.count + 1 == first)
        return memcmp(m->at.hash, entries[0]->previous, sizeof m->at.hash) == 0;
    return m->at.count >= first &&
           memcmp(m->at.hash, entries[m->at.count - first]->hash, sizeof m->at.hash) == 0;
}

static bool write_entries(struct mirror *m, struct audit_entry *const *entries, size_t n,
                          struct mirror_outcome *out)
{
    char *buffer = malloc(WRITE_BYTES);
    struct audit_head at = m->at;
    size_t used = 0;
    bool ok = true;

    HF_ASSERT(buffer != NULL);
    for (size_t i = 0; i < n && ok; i++) {
        if (entries[i]->sequence <= m->at.count)
            continue;
        used += audit_line(entries[i], buffer + used);
        buffer[used++] = '\n';
        at.count = entries[i]->sequence;
        memcpy(at.hash, entries[i]->hash, sizeof at.hash);
        if (used + AUDIT_MAX_LINE + 1 > WRITE_BYTES) {
            ok = repl_write_all(m->fd, buffer, used);
            used = 0;
        }
    }
    ok = ok && repl_write_all(m->fd, buffer, used) && fdatasync(m->fd) == 0;
    free(buffer);
    if (ok)
        m->at = at;
    return ok || fail(out, "cannot be written");
}

static bool append(struct mirror *m, struct audit_entry *const *entries, size_t n,
                   struct mirror_outcome *out)
{
    bool sound = true, begins = false;

    if (!m->open && (!open_file(m, out) || !read_tail(m, &sound, &begins, out)))
        return false;
    if (begins && !fits(m, entries, n)) /* the full ones are another chain's */
        m->at = (struct audit_head){0};
    if ((!sound || !fits(m, entries, n)) && !set_aside(m, out))
        return false;
    if (is_full(m) && !begin_next(m, out))
        return false;
    if (entries[0]->sequence > m->at.count + 1) {
        out->missing_from = m->at.count + 1;
        out->missing_to = entries[0]->sequence - 1;
    }
    return write_entries(m, entries, n, out);
}

void mirror_append(struct mirror *m, struct audit_entry *const *entries, size_t n,
                   struct mirror_outcome *out)
{
    *out = (struct mirror_outcome){.ok = true};
    if (n == 0)
        return;
    out->ok = append(m, entries, n, out);
    if (!out->ok) /* how much of it was written is looked at again */
        mirror_close(m);
}

/* --- verification --- */

struct reading {
    struct audit_verifier *v;
    mirror_found *found;
    void *self;
    uint64_t findings;
};

static void note(struct reading *r, enum audit_finding f, uint64_t line)
{
    if (f == AUDIT_SOUND)
        return;
    r->findings++;
    if (r->found != NULL)
        r->found(r->self, f, line, r->v);
}

/* A line that is too long is cut: its hash tells. */
static bool read_lines(FILE *f, struct reading *r)
{
    char *line = malloc(AUDIT_MAX_LINE + 1);
    size_t n = 0;
    int c;

    HF_ASSERT(line != NULL);
    while ((c = getc(f)) != EOF) {
        if (c == '\n') {
            note(r, audit_verify_line(r->v, span_of((const uint8_t *)line, n)), r->v->lines);
            n = 0;
        } else if (n <= AUDIT_MAX_LINE) {
            line[n++] = (char)c;
        }
    }
    if (n > 0) { /* cut off */
        r->v->lines++;
        r->v->chained = 0;
        note(r, AUDIT_MALFORMED, r->v->lines);
    }
    free(line);
    return ferror(f) == 0;
}

bool mirror_verify(const char *path, const struct audit_head *head, mirror_found *found, void *self,
                   struct audit_verifier *out, uint64_t *findings)
{
    struct reading r = {.v = out, .found = found, .self = self};
    FILE *f = fopen(path, "re");
    bool ok;

    *out = (struct audit_verifier){0};
    if (f == NULL)
        return false;
    ok = read_lines(f, &r);
    (void)fclose(f);
    note(&r, audit_verify_head(out, head), 0);
    *findings = r.findings;
    return ok;
}
