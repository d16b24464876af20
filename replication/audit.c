/* Entries of the audit, and their lines. */
#include "replication/audit.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "replication/audit_parts.h"
#include "replication/text.h"

static const struct {
    const char *name;
    size_t max;
} texts[AUDIT_TEXTS] = {
    [AUDIT_ROLE] = {"role", 32},
    [AUDIT_PRINCIPAL] = {"principal", 256},
    [AUDIT_ADDRESS] = {"address", 64},
    [AUDIT_REQUEST_ID] = {"request_id", 128},
    [AUDIT_OPERATION] = {"operation", 64},
    [AUDIT_TARGET] = {"target", 320},
    [AUDIT_BEFORE] = {"before", AUDIT_MAX_VALUE},
    [AUDIT_AFTER] = {"after", AUDIT_MAX_VALUE},
    [AUDIT_CHANGES] = {"changes", 1024},
    [AUDIT_OUTCOME] = {"outcome", 32},
};

size_t audit_max(enum audit_text text)
{
    return texts[text].max;
}

const char *audit_text_name(enum audit_text text)
{
    return texts[text].name;
}

bool audit_text_valid(enum audit_text text, const char *value)
{
    return value == NULL || text_valid(value, texts[text].max, "\n\t");
}

/* --- a line --- */

static void put_number(struct text_out *l, const char *name, uint64_t value)
{
    text_put(l, l->n == 0 ? "{\"" : ",\"");
    text_put(l, name);
    text_put(l, "\":");
    text_put_number(l, value);
}

/* RFC 8259 7: what is valid needs no other escapes. */
static void put_text(struct text_out *l, const char *name, const char *value)
{
    text_put(l, ",\"");
    text_put(l, name);
    text_put(l, "\":\"");
    for (; *value != '\0'; value++) {
        char one[2] = {*value, '\0'};

        text_put(l, *value == '"'    ? "\\\""
                    : *value == '\\' ? "\\\\"
                    : *value == '\n' ? "\\n"
                    : *value == '\t' ? "\\t"
                                     : one);
    }
    text_put(l, "\"");
}

static void put_hash(struct text_out *l, const char *name, const uint8_t hash[SHA256_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * SHA256_BYTES + 1];

    for (size_t i = 0; i < SHA256_BYTES; i++) {
        hex[2 * i] = digits[hash[i] >> 4];
        hex[2 * i + 1] = digits[hash[i] & 15];
    }
    hex[2 * SHA256_BYTES] = '\0';
    put_text(l, name, hex);
}

/* All that the hash covers. */
static void put_covered(struct text_out *l, const struct audit_entry *e)
{
    put_number(l, "sequence", e->sequence);
    put_number(l, "index", e->index);
    put_number(l, "cluster_ms", e->cluster_ms);
    put_number(l, "wall_ms", e->wall_ms);
    put_number(l, "node", e->node);
    for (size_t i = 0; i < AUDIT_TEXTS; i++)
        put_text(l, texts[i].name, e->texts[i]);
    put_number(l, "unaudited", e->unaudited);
    put_hash(l, "previous", e->previous);
}

size_t audit_line(const struct audit_entry *e, char out[AUDIT_MAX_LINE])
{
    struct text_out l = {.out = out, .cap = AUDIT_MAX_LINE};

    put_covered(&l, e);
    put_hash(&l, "hash", e->hash);
    text_put(&l, "}");
    HF_ASSERT(!l.cut);
    return l.n;
}

void audit_hash(struct span covered, uint8_t out[SHA256_BYTES])
{
    struct sha256 s;

    sha256_init(&s);
    sha256_take(&s, covered);
    sha256_final(&s, out);
}

/* --- entries --- */

struct audit_entry *audit_entry_new(struct audit_head *head, const struct audit_draft *draft)
{
    char covered[AUDIT_MAX_LINE];
    struct text_out l = {.out = covered, .cap = sizeof covered};
    struct audit_entry *e;
    size_t bytes = 0;

    for (size_t i = 0; i < AUDIT_TEXTS; i++) {
        HF_ASSERT(audit_text_valid((enum audit_text)i, draft->texts[i]));
        bytes += draft->texts[i] == NULL ? 1 : strlen(draft->texts[i]) + 1;
    }
    e = calloc(1, sizeof *e + bytes);
    HF_ASSERT(e != NULL);
    atomic_init(&e->references, 1);
    e->sequence = head->count + 1;
    e->index = draft->index;
    e->cluster_ms = draft->cluster_ms;
    e->wall_ms = draft->wall_ms;
    e->unaudited = draft->unaudited;
    e->node = draft->node;
    e->bytes = bytes;
    memcpy(e->previous, head->hash, sizeof e->previous);
    bytes = 0;
    for (size_t i = 0; i < AUDIT_TEXTS; i++) {
        const char *value = draft->texts[i] == NULL ? "" : draft->texts[i];
        size_t n = strlen(value) + 1;

        memcpy(e->text + bytes, value, n);
        e->texts[i] = e->text + bytes;
        bytes += n;
    }
    put_covered(&l, e);
    audit_hash(span_of(covered, l.n), e->hash);
    head->count = e->sequence;
    memcpy(head->hash, e->hash, sizeof head->hash);
    return e;
}

struct audit_entry *audit_entry_share(struct audit_entry *e)
{
    (void)atomic_fetch_add_explicit(&e->references, 1, memory_order_relaxed);
    return e;
}

void audit_entry_drop(struct audit_entry *e)
{
    if (e != NULL && atomic_fetch_sub_explicit(&e->references, 1, memory_order_acq_rel) == 1)
        free(e);
}
