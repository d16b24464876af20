#include "daemon/token_doc.h"

#include "base/bytes.h"
#include "replication/text.h"

enum { CREATED_S_BITS = 40, CREATED_MS_BITS = 50 };

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@-";

static bool name_valid(const char *name)
{
    if (name[0] == '\0')
        return false;
    for (; *name != '\0'; name++)
        if (memchr(letters, *name, sizeof letters - 1) == NULL)
            return false;
    return true;
}

static bool valid(const struct token_doc *t)
{
    return t->role >= TOKEN_VIEWER && t->role <= TOKEN_DRILL && t->valid_s >= 1 &&
           t->valid_s <= TOKEN_MOST_VALID_S && t->created_s >> CREATED_S_BITS == 0 &&
           t->created_ms >> CREATED_MS_BITS == 0 && memchr(t->name, '\0', sizeof t->name) != NULL &&
           memchr(t->by, '\0', sizeof t->by) != NULL && name_valid(t->name) &&
           text_valid(t->by, sizeof t->by - 1, "");
}

static uint8_t *put_text(uint8_t *at, const char *text, size_t size)
{
    size_t n = strnlen(text, size);

    *at = (uint8_t)n;
    memcpy(at + 1, text, n);
    return at + 1 + n;
}

size_t token_doc_encode(const struct token_doc *t, uint8_t out[TOKEN_DOC_BYTES])
{
    uint8_t *at;

    if (!valid(t))
        return 0;
    out[0] = TOKEN_FORMAT;
    out[1] = (uint8_t)t->role;
    put_be64(out + 2, t->created_s);
    put_be64(out + 10, t->created_ms);
    put_be32(out + 18, t->valid_s);
    memcpy(out + 22, t->hash, sizeof t->hash);
    at = put_text(out + TOKEN_FIXED_BYTES, t->name, sizeof t->name);
    at = put_text(at, t->by, sizeof t->by);
    return (size_t)(at - out);
}

/* A length and so many bytes, none of them zero. */
static bool take_text(struct span *in, char *out, size_t cap)
{
    size_t n = in->len == 0 ? 0 : in->data[0];

    if (in->len == 0 || n >= cap || n > in->len - 1 || memchr(in->data + 1, '\0', n) != NULL)
        return false;
    memcpy(out, in->data + 1, n);
    out[n] = '\0';
    *in = span_of(in->data + 1 + n, in->len - 1 - n);
    return true;
}

bool token_doc_decode(struct span bytes, struct token_doc *out)
{
    struct token_doc t = {0};
    struct span rest;

    if (bytes.len < TOKEN_FIXED_BYTES || bytes.data[0] != TOKEN_FORMAT ||
        bytes.data[1] < TOKEN_VIEWER || bytes.data[1] > TOKEN_DRILL)
        return false;
    t.role = (enum token_role)bytes.data[1];
    t.created_s = get_be64(bytes.data + 2);
    t.created_ms = get_be64(bytes.data + 10);
    t.valid_s = get_be32(bytes.data + 18);
    memcpy(t.hash, bytes.data + 22, sizeof t.hash);
    rest = span_of(bytes.data + TOKEN_FIXED_BYTES, bytes.len - TOKEN_FIXED_BYTES);
    if (!take_text(&rest, t.name, sizeof t.name) || !take_text(&rest, t.by, sizeof t.by) ||
        rest.len > 0 || !valid(&t))
        return false;
    *out = t;
    return true;
}

bool token_doc_ended(const struct token_doc *t, uint64_t cluster_ms, uint64_t wall_s)
{
    return cluster_ms >= t->created_ms + t->valid_s * 1000ull ||
           wall_s >= t->created_s + t->valid_s;
}
