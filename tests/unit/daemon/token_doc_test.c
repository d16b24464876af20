/* A token's bytes in the log: one encoding of each, and nothing else is one. */
#include <criterion/criterion.h>

#include <string.h>

#include "daemon/token_doc.h"

static struct token_doc sample(void)
{
    struct token_doc t = {
        .role = TOKEN_OPERATOR, .created_s = 1795921200, .created_ms = 7200000, .valid_s = 3600};

    memset(t.hash, 0xa5, sizeof t.hash);
    strcpy(t.name, "ci.1");
    strcpy(t.by, "email:alice@example.org");
    return t;
}

static bool same(const struct token_doc *a, const struct token_doc *b)
{
    return a->role == b->role && a->created_s == b->created_s && a->created_ms == b->created_ms &&
           a->valid_s == b->valid_s && memcmp(a->hash, b->hash, sizeof a->hash) == 0 &&
           strcmp(a->name, b->name) == 0 && strcmp(a->by, b->by) == 0;
}

Test(token_doc, there_and_back)
{
    struct token_doc t = sample(), back;
    uint8_t bytes[TOKEN_DOC_BYTES];
    size_t n = token_doc_encode(&t, bytes);

    cr_assert_eq(n, TOKEN_FIXED_BYTES + 1 + 4 + 1 + 23);
    cr_assert(bytes[0] == 1 && bytes[1] == 2);
    cr_assert(token_doc_decode(span_of(bytes, n), &back) && same(&t, &back));
    memset(t.name, 'n', TOKEN_NAME_BYTES - 1);
    memset(t.by, 'b', TOKEN_BY_BYTES - 1);
    t.valid_s = TOKEN_MOST_VALID_S;
    t.role = TOKEN_DRILL;
    n = token_doc_encode(&t, bytes);
    cr_assert_eq(n, TOKEN_DOC_BYTES);
    cr_assert(token_doc_decode(span_of(bytes, n), &back) && same(&t, &back));
}

/* Cut off anywhere, or with more behind it. */
Test(token_doc, every_length_but_its_own_is_refused)
{
    struct token_doc t = sample(), back = {.valid_s = 77};
    uint8_t bytes[TOKEN_DOC_BYTES + 1] = {0};
    size_t n = token_doc_encode(&t, bytes);

    for (size_t i = 0; i < n; i++)
        cr_assert_not(token_doc_decode(span_of(bytes, i), &back), "%zu of %zu", i, n);
    cr_assert_not(token_doc_decode(span_of(bytes, n + 1), &back));
    cr_assert_eq(back.valid_s, 77, "written without success");
}

static void refused(size_t at, uint8_t value)
{
    struct token_doc t = sample(), back;
    uint8_t bytes[TOKEN_DOC_BYTES];
    size_t n = token_doc_encode(&t, bytes);

    bytes[at] = value;
    cr_assert_not(token_doc_decode(span_of(bytes, n), &back), "byte %zu as %u", at, value);
}

Test(token_doc, every_member_is_in_its_bounds)
{
    refused(0, 0); /* format */
    refused(0, 2);
    refused(1, 0); /* role */
    refused(1, 5);
    refused(4, 1);                 /* created, wall: 2^40 */
    refused(11, 4);                /* created, cluster time: 2^50 */
    refused(18, 2);                /* valid for more than a year */
    refused(TOKEN_FIXED_BYTES, 0); /* the length of the name */
    refused(TOKEN_FIXED_BYTES, 3);
    refused(TOKEN_FIXED_BYTES, 49);
    refused(TOKEN_FIXED_BYTES + 1, ' '); /* the name */
    refused(TOKEN_FIXED_BYTES + 1, '\0');
    refused(TOKEN_FIXED_BYTES + 1, '/');
    refused(TOKEN_FIXED_BYTES + 6, '\n'); /* who made it */
    refused(TOKEN_FIXED_BYTES + 6, 0xff);
    refused(TOKEN_FIXED_BYTES + 6, 0);
}

static void unencoded(const struct token_doc *t)
{
    uint8_t bytes[TOKEN_DOC_BYTES];

    cr_assert_eq(token_doc_encode(t, bytes), 0);
}

Test(token_doc, what_may_not_be_kept_is_not_encoded)
{
    struct token_doc t = sample();

    t.valid_s = 0;
    unencoded(&t);
    t = sample();
    t.valid_s = TOKEN_MOST_VALID_S + 1;
    unencoded(&t);
    t = sample();
    t.name[0] = '\0';
    unencoded(&t);
    t = sample();
    memset(t.name, 'n', sizeof t.name); /* no end */
    unencoded(&t);
    t = sample();
    t.created_ms = 1ull << 50;
    unencoded(&t);
}

Test(token_doc, it_ends_by_either_clock)
{
    struct token_doc t = sample();
    const uint64_t ms = t.created_ms + 3600000, s = t.created_s + 3600;

    cr_assert_not(token_doc_ended(&t, ms - 1, s - 1));
    cr_assert(token_doc_ended(&t, ms, s - 1));
    cr_assert(token_doc_ended(&t, ms - 1, s));
    cr_assert_not(token_doc_ended(&t, t.created_ms, 0), "a clock that was set back ends nothing");
    cr_assert(token_doc_ended(&t, ms, 0), "nor keeps it");
}
