/* Lines of the audit: their form, their chain, and that any other byte is found. */
#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/assert.h"
#include "replication/audit.h"

enum { LINES = 12 };

struct file {
    struct audit_head head;
    char text[LINES][AUDIT_MAX_LINE];
    size_t len[LINES];
};

static void append(struct file *f, size_t i, const char *before)
{
    struct audit_draft d = {.index = 7 * i,
                            .cluster_ms = 1000 * i,
                            .node = 1,
                            .unaudited = i == 3,
                            .texts = {[AUDIT_PRINCIPAL] = "CN=\"alice\\\"",
                                      [AUDIT_OPERATION] = "documents.change",
                                      [AUDIT_BEFORE] = before,
                                      [AUDIT_OUTCOME] = "accepted"}};
    struct audit_entry *e = audit_entry_new(&f->head, &d);

    f->len[i] = audit_line(e, f->text[i]);
    audit_entry_drop(e);
}

static struct file *make(const char *before)
{
    struct file *f = calloc(1, sizeof *f);

    HF_ASSERT(f != NULL);
    for (size_t i = 0; i < LINES; i++)
        append(f, i, before);
    return f;
}

static enum audit_finding verify(const struct file *f, struct audit_verifier *v, size_t i)
{
    return audit_verify_line(v, span_of((const uint8_t *)f->text[i], f->len[i]));
}

Test(repl_audit, sha256_is_sha256)
{
    uint8_t in[300], own[SHA256_BYTES], theirs[SHA256_BYTES];

    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 41 + 7);
    for (size_t n = 0; n <= sizeof in; n++) {
        struct sha256 s;

        sha256_init(&s);
        sha256_take(&s, span_of(in, n / 3));
        sha256_take(&s, span_of(in + n / 3, n - n / 3));
        sha256_final(&s, own);
        HF_ASSERT(EVP_Digest(in, n, theirs, NULL, EVP_sha256(), NULL) == 1);
        cr_assert_arr_eq(own, theirs, sizeof own, "%zu bytes", n);
    }
}

/* The form is for ever: files of years ago are to be verified. */
Test(repl_audit, a_line_is_this)
{
    struct audit_head head = {0};
    struct audit_draft d = {.index = 5,
                            .cluster_ms = 1234,
                            .wall_ms = 1700000000000,
                            .node = 2,
                            .texts = {[AUDIT_ROLE] = "admin",
                                      [AUDIT_PRINCIPAL] = "CN=\xc3\xa9\"\\",
                                      [AUDIT_CHANGES] = "a\tb\nc"}};
    struct audit_entry *e = audit_entry_new(&head, &d);
    static const char covered[] =
        "{\"sequence\":1,\"index\":5,\"cluster_ms\":1234,\"wall_ms\":1700000000000,\"node\":2,"
        "\"role\":\"admin\",\"principal\":\"CN=\xc3\xa9\\\"\\\\\",\"address\":\"\","
        "\"request_id\":\"\",\"operation\":\"\",\"target\":\"\",\"before\":\"\",\"after\":\"\","
        "\"changes\":\"a\\tb\\nc\",\"outcome\":\"\",\"unaudited\":0,\"previous\":\"0000000000000000"
        "000000000000000000000000000000000000000000000000\"";
    uint8_t hash[SHA256_BYTES];
    char line[AUDIT_MAX_LINE], hex[2 * SHA256_BYTES + 1];
    size_t n = audit_line(e, line);

    HF_ASSERT(EVP_Digest(covered, sizeof covered - 1, hash, NULL, EVP_sha256(), NULL) == 1);
    for (size_t i = 0; i < sizeof hash; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    cr_assert_eq(n, sizeof covered - 1 + 9 + 64 + 2);
    cr_assert_arr_eq(line, covered, sizeof covered - 1);
    cr_assert_arr_eq(line + sizeof covered - 1, ",\"hash\":\"", 9);
    cr_assert_arr_eq(line + sizeof covered - 1 + 9, hex, 64);
    cr_assert_arr_eq(line + n - 2, "\"}", 2);
    cr_assert_arr_eq(head.hash, hash, sizeof hash);
    audit_entry_drop(e);
}

Test(repl_audit, what_was_written_is_sound)
{
    struct audit_verifier v = {0};
    struct file *f = make("x");

    for (size_t i = 0; i < LINES; i++)
        cr_assert_eq(verify(f, &v, i), AUDIT_SOUND);
    cr_assert_eq(audit_verify_head(&v, &f->head), AUDIT_SOUND);
    cr_assert_eq(v.chained, 1);
    cr_assert_eq(v.lines, LINES);
    free(f);
}

/* Each bit of each byte of each line. */
Test(repl_audit, any_other_byte_is_found)
{
    struct file *f = make("x");
    size_t tried = 0;

    for (size_t line = 0; line < LINES; line++)
        for (size_t at = 0; at < f->len[line]; at++)
            for (unsigned bit = 0; bit < 8; bit++, tried++) {
                struct audit_verifier v = {.at.count = line};
                bool found = false;

                if (line > 0) {
                    v = (struct audit_verifier){0};
                    (void)verify(f, &v, line - 1);
                }
                f->text[line][at] = (char)(f->text[line][at] ^ 1 << bit);
                found = verify(f, &v, line) != AUDIT_SOUND;
                f->text[line][at] = (char)(f->text[line][at] ^ 1 << bit);
                cr_assert(found, "line %zu, byte %zu, bit %u", line, at, bit);
            }
    cr_assert_gt(tried, 10000);
    free(f);
}

/* Somebody rewrites a line and all behind it, as the program itself would: the head does not fit. */
Test(repl_audit, a_rewritten_end_is_not_the_heads)
{
    struct file *f = make("x"), *forged = make("y");
    struct audit_verifier v = {0};

    for (size_t i = 0; i < LINES; i++)
        cr_assert_eq(verify(forged, &v, i), AUDIT_SOUND);
    cr_assert_eq(audit_verify_head(&v, &f->head), AUDIT_NOT_HEAD);
    v = (struct audit_verifier){0};
    for (size_t i = 0; i < LINES; i++)
        cr_assert_eq(verify(i < 6 ? forged : f, &v, i), i == 6 ? AUDIT_UNCHAINED : AUDIT_SOUND);
    cr_assert_eq(audit_verify_head(&v, &f->head), AUDIT_SOUND);
    cr_assert_eq(v.chained, 7, "what is before it is not proven");
    free(f);
    free(forged);
}

Test(repl_audit, lines_that_lack_are_named)
{
    struct audit_verifier v = {0};
    struct file *f = make("x");
    struct audit_head longer;

    cr_assert_eq(verify(f, &v, 2), AUDIT_MISSING, "the beginning");
    cr_assert_eq(v.missing_from, 1);
    cr_assert_eq(v.missing_to, 2);
    cr_assert_eq(verify(f, &v, 3), AUDIT_SOUND);
    cr_assert_eq(verify(f, &v, 7), AUDIT_MISSING);
    cr_assert_eq(v.missing_from, 5);
    cr_assert_eq(v.missing_to, 7);
    cr_assert_eq(v.chained, 8);
    cr_assert_eq(verify(f, &v, 7), AUDIT_REPEATED);
    cr_assert_eq(verify(f, &v, 4), AUDIT_REPEATED);
    v = (struct audit_verifier){0};
    for (size_t i = 0; i < LINES - 1; i++)
        (void)verify(f, &v, i);
    cr_assert_eq(audit_verify_head(&v, &f->head), AUDIT_MISSING, "the end");
    cr_assert_eq(v.missing_from, LINES);
    longer = f->head;
    longer.count = LINES - 2;
    cr_assert_eq(audit_verify_head(&v, &longer), AUDIT_AHEAD);
    f->len[LINES - 1] -= 1;
    cr_assert_eq(verify(f, &v, LINES - 1), AUDIT_MALFORMED, "cut off");
    free(f);
}

Test(repl_audit, the_longest_line_fits)
{
    static char value[AUDIT_TEXTS][AUDIT_MAX_VALUE + 2];
    struct audit_head head = {.count = UINT64_MAX / 2};
    struct audit_draft d = {.index = UINT64_MAX,
                            .cluster_ms = UINT64_MAX,
                            .wall_ms = UINT64_MAX,
                            .node = UINT32_MAX,
                            .unaudited = UINT64_MAX};
    char line[AUDIT_MAX_LINE];
    struct audit_entry *e;

    for (size_t i = 0; i < AUDIT_TEXTS; i++) {
        memset(value[i], '"', audit_max((enum audit_text)i) + 1);
        cr_assert_not(audit_text_valid((enum audit_text)i, value[i]), "%zu", i);
        value[i][audit_max((enum audit_text)i)] = '\0';
        cr_assert(audit_text_valid((enum audit_text)i, value[i]));
        d.texts[i] = value[i];
    }
    e = audit_entry_new(&head, &d);
    cr_assert_lt(audit_line(e, line), AUDIT_MAX_LINE);
    audit_entry_drop(e);
}
