/* The audit's files: appended, bounded, looked at anew after a crash, set aside when it is another's; any other byte in it is found. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "replication/mirror.h"

enum { ENTRIES = 40 };

static char root[] = "/tmp/hf-mirror-XXXXXX";
static struct mirror m;
static struct audit_head head;
static struct audit_entry *entries[ENTRIES];

static void make(const char *principal)
{
    head = (struct audit_head){0};
    for (size_t i = 0; i < ENTRIES; i++) {
        struct audit_draft d = {.index = i + 2,
                                .texts = {[AUDIT_PRINCIPAL] = principal,
                                          [AUDIT_OPERATION] = "x",
                                          [AUDIT_OUTCOME] = "accepted"}};

        audit_entry_drop(entries[i]);
        entries[i] = audit_entry_new(&head, &d);
    }
}

static void begin(void)
{
    cr_assert_not_null(mkdtemp(root));
    mirror_init(&m, root);
    make("alice");
}

static void end(void)
{
    char command[128];

    mirror_close(&m);
    for (size_t i = 0; i < ENTRIES; i++)
        audit_entry_drop(entries[i]);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

TestSuite(repl_mirror, .init = begin, .fini = end);

static struct mirror_outcome append(size_t from, size_t to)
{
    struct mirror_outcome out;

    mirror_append(&m, &entries[from], to - from, &out);
    return out;
}

static uint64_t findings_of(const char *path, struct audit_verifier *v)
{
    uint64_t n = 0;

    cr_assert(mirror_verify(path, &head, NULL, NULL, v, &n));
    return n;
}

static uint64_t findings(struct audit_verifier *v)
{
    return findings_of(m.path, v);
}

/* Of all files, the oldest first. */
static uint64_t findings_of_all(struct audit_verifier *v)
{
    char command[256], all[64];

    (void)snprintf(all, sizeof all, "%s/all", root);
    (void)snprintf(command, sizeof command,
                   "cd '%s' && for i in $(seq %d -1 1); do test ! -e audit.jsonl.$i || "
                   "cat audit.jsonl.$i; done >all && cat audit.jsonl >>all",
                   root, MIRROR_OLDER);
    cr_assert_eq(system(command), 0);
    return findings_of(all, v);
}

/* The name of the i-th full one. */
static const char *full(unsigned i)
{
    static char name[MIRROR_PATH_BYTES + 16];

    (void)snprintf(name, sizeof name, "%s.%u", m.path, i);
    return name;
}

static bool is_there(unsigned i)
{
    return access(full(i), F_OK) == 0;
}

/* Files of two entries, from the first on. */
static void append_all(size_t to)
{
    m.file_bytes = 500;
    for (size_t i = 0; i < to; i++) {
        struct mirror_outcome out = append(0, i + 1);

        cr_assert(out.ok && !out.set_aside && out.missing_from == 0, "%s", out.why);
    }
}

static void restart(void)
{
    mirror_close(&m);
    mirror_init(&m, root);
    m.file_bytes = 500;
}

static long file_bytes(void)
{
    struct stat st;

    cr_assert_eq(stat(m.path, &st), 0);
    return st.st_size;
}

Test(repl_mirror, appends_what_is_new)
{
    struct audit_verifier v;
    struct stat st;

    cr_assert(append(0, 5).ok);
    cr_assert(append(0, 20).ok, "the state keeps what is in the file, too");
    cr_assert(append(3, 20).ok);
    cr_assert_eq(findings(&v), 1, "the end is missing");
    cr_assert_eq(v.missing_from, 21);
    cr_assert(append(20, ENTRIES).ok);
    cr_assert_eq(findings(&v), 0);
    cr_assert_eq(v.lines, ENTRIES);
    cr_assert_eq(v.chained, 1);
    cr_assert_eq(stat(m.path, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
}

Test(repl_mirror, goes_on_after_a_restart)
{
    struct audit_entry *few[ENTRIES] = {NULL};
    struct mirror_outcome out;
    struct audit_verifier v;

    cr_assert(append(0, 10).ok);
    mirror_close(&m);
    mirror_init(&m, root);
    memcpy(few, entries, 7 * sizeof *few);
    mirror_append(&m, few, 7, &out);
    cr_assert(out.ok && !out.set_aside, "a node that starts applies anew what is in it");
    cr_assert(append(5, ENTRIES).ok);
    cr_assert_eq(findings(&v), 0);
}

/* A crash cuts the last write anywhere. */
Test(repl_mirror, a_torn_end_is_written_again)
{
    struct audit_verifier v;
    long whole;

    cr_assert(append(0, 10).ok);
    whole = file_bytes();
    cr_assert(append(0, 12).ok);
    for (long at = file_bytes() - 1; at > whole - 5; at--) {
        struct mirror_outcome out;

        mirror_close(&m);
        cr_assert_eq(truncate(m.path, at), 0);
        out = append(0, 12);
        cr_assert(out.ok && !out.set_aside && out.missing_from == 0, "at %ld: %s", at, out.why);
    }
    cr_assert(append(0, ENTRIES).ok);
    cr_assert_eq(findings(&v), 0);
}

Test(repl_mirror, what_the_state_keeps_no_more_is_named)
{
    struct mirror_outcome out;
    struct audit_verifier v;

    cr_assert(append(0, 10).ok);
    out = append(15, ENTRIES);
    cr_assert(out.ok);
    cr_assert_eq(out.missing_from, 11);
    cr_assert_eq(out.missing_to, 15);
    cr_assert_eq(append(15, ENTRIES).missing_from, 0, "once");
    cr_assert_eq(findings(&v), 1);
    cr_assert_eq(v.chained, 16);
}

Test(repl_mirror, another_chains_file_is_set_aside)
{
    struct mirror_outcome out;
    struct audit_verifier v;
    char aside[MIRROR_PATH_BYTES + 16];

    cr_assert(append(0, 10).ok);
    mirror_close(&m);
    make("mallory");
    out = append(0, ENTRIES);
    cr_assert(out.ok && out.set_aside);
    (void)snprintf(aside, sizeof aside, "%s.aside-1", m.path);
    cr_assert_str_eq(out.why, aside);
    cr_assert_eq(access(aside, R_OK), 0);
    cr_assert_eq(findings(&v), 0);
}

Test(repl_mirror, a_spoilt_last_line_is_set_aside)
{
    int fd;

    cr_assert(append(0, 10).ok);
    fd = open(m.path, O_WRONLY);
    cr_assert_eq(pwrite(fd, "Z", 1, file_bytes() - 80), 1);
    (void)close(fd);
    mirror_close(&m);
    cr_assert(append(0, 12).set_aside);
}

Test(repl_mirror, no_file_is_tried_again)
{
    struct mirror_outcome out;
    char gone[64];

    (void)snprintf(gone, sizeof gone, "%s/folder", root);
    mirror_init(&m, gone);
    out = append(0, 3);
    cr_assert_not(out.ok);
    cr_assert_not_null(strstr(out.why, "No such file"));
    cr_assert_eq(mkdir(gone, 0700), 0);
    cr_assert(append(0, 3).ok);
}

/* Each byte of the file, and each place where it may be cut or a byte may come in. */
Test(repl_mirror, tampering_with_any_byte_is_found)
{
    struct audit_verifier v;
    char *bytes;
    long n;
    int fd;

    cr_assert(append(0, ENTRIES).ok);
    n = file_bytes();
    bytes = malloc((size_t)n);
    HF_ASSERT(bytes != NULL);
    fd = open(m.path, O_RDWR);
    cr_assert_eq(pread(fd, bytes, (size_t)n, 0), n);
    for (long at = 0; at < n; at += 7) {
        char other = (char)(bytes[at] ^ 1);

        cr_assert_eq(pwrite(fd, &other, 1, at), 1);
        cr_assert_gt(findings(&v), 0, "byte %ld", at);
        cr_assert_eq(pwrite(fd, &bytes[at], 1, at), 1);
    }
    cr_assert_eq(findings(&v), 0);
    for (long at = n - 1; at >= 0; at -= 97) {
        cr_assert_eq(ftruncate(fd, at), 0);
        cr_assert_gt(findings(&v), 0, "cut at %ld", at);
    }
    (void)close(fd);
    free(bytes);
}

Test(repl_mirror, full_files_are_one_chain)
{
    struct audit_verifier v;
    struct stat st;

    append_all(20);
    cr_assert(is_there(9) && !is_there(10));
    cr_assert_eq(stat(full(1), &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    cr_assert(st.st_size >= 500 && st.st_size < 1000, "%ld bytes", (long)st.st_size);
    restart();
    cr_assert(append(0, ENTRIES).ok);
    cr_assert(is_there(10) && !is_there(11));
    cr_assert_eq(findings_of_all(&v), 0);
    cr_assert_eq(v.lines, ENTRIES);
    printf("compared %d entries in 11 files\n", (int)ENTRIES);
}

/* 40 entries are 20 files: the oldest are gone, and what stays says so. */
Test(repl_mirror, so_many_files_stay)
{
    struct audit_verifier v;

    append_all(ENTRIES);
    cr_assert(is_there(MIRROR_OLDER) && !is_there(MIRROR_OLDER + 1));
    cr_assert_eq(findings_of_all(&v), 1);
    cr_assert_eq(v.missing_from, 1);
    cr_assert_eq(v.missing_to, 8);
    cr_assert_eq(v.chained, 9);
    cr_assert_eq(v.lines, 32);
}

/* Its new name is there, the next file is not, or is empty. */
Test(repl_mirror, a_crash_between_two_files_loses_nothing)
{
    for (int empty = 0; empty < 2; empty++) {
        struct mirror_outcome out;
        struct audit_verifier v;

        append_all(10);
        for (unsigned i = 4; i > 0; i--) {
            char to[MIRROR_PATH_BYTES + 16];

            (void)snprintf(to, sizeof to, "%s", full(i + 1));
            cr_assert_eq(rename(full(i), to), 0);
        }
        cr_assert_eq(rename(m.path, full(1)), 0);
        if (empty)
            cr_assert_eq(close(open(m.path, O_CREAT | O_WRONLY, 0600)), 0);
        restart();
        out = append(0, 12);
        cr_assert(out.ok && !out.set_aside && out.missing_from == 0, "%s", out.why);
        cr_assert(append(0, ENTRIES).ok);
        cr_assert_eq(findings_of_all(&v), 0);
        cr_assert_eq(v.lines, ENTRIES);
        end();
        strcpy(root, "/tmp/hf-mirror-XXXXXX");
        memset(entries, 0, sizeof entries);
        begin();
    }
    printf("compared 2 crashes\n");
}

/* Of four full ones two have their new names: the others get theirs. */
Test(repl_mirror, a_crash_among_the_names_loses_nothing)
{
    struct audit_verifier v;
    char to[MIRROR_PATH_BYTES + 16];

    append_all(10);
    for (unsigned i = 4; i > 2; i--) {
        (void)snprintf(to, sizeof to, "%s", full(i + 1));
        cr_assert_eq(rename(full(i), to), 0);
    }
    restart();
    cr_assert(append(0, 12).ok);
    cr_assert(is_there(5) && !is_there(6), "one more went");
    cr_assert(append(0, ENTRIES).ok);
    cr_assert_eq(findings_of_all(&v), 0);
    cr_assert_eq(v.lines, ENTRIES);
}

Test(repl_mirror, full_files_of_another_chain_stay)
{
    struct mirror_outcome out;
    struct audit_verifier v;

    append_all(4);
    cr_assert_eq(rename(m.path, full(2)), 0);
    restart();
    make("mallory");
    out = append(0, ENTRIES);
    cr_assert(out.ok && !out.set_aside && out.missing_from == 0);
    cr_assert_eq(findings(&v), 0);
    cr_assert(is_there(1) && is_there(2));
}
