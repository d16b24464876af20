/* The audit's file: appended, looked at anew after a crash, set aside when it is another's; any other byte in it is found. */
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

static uint64_t findings(struct audit_verifier *v)
{
    uint64_t n = 0;

    cr_assert(mirror_verify(m.path, &head, NULL, NULL, v, &n));
    return n;
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
