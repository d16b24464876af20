/* Lines of an audit's file, judged by their bytes alone: which are the chain, and which are not. */
#include <string.h>

#include "replication/audit_parts.h"

enum {
    HEX = 2 * SHA256_BYTES,
    TAIL = 9 + HEX + 2,      /* ,"hash":"…"} */
    PREVIOUS = 13 + HEX + 1, /* ,"previous":"…" */
    DIGITS_MAX = 19
};

const char *audit_finding_name(enum audit_finding finding)
{
    static const char *const names[] = {"sound",   "malformed", "altered",  "unchained",
                                        "missing", "repeated",  "not-head", "ahead"};

    return (size_t)finding < sizeof names / sizeof *names ? names[finding] : "?";
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hash(const char *hex, uint8_t out[SHA256_BYTES])
{
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* {"sequence":N, without leading zeroes: one number has one form. */
static bool read_sequence(const char *text, size_t len, uint64_t *out)
{
    static const char before[] = "{\"sequence\":";
    size_t at = sizeof before - 1;
    size_t first = at;

    if (len < at || memcmp(text, before, at) != 0)
        return false;
    for (*out = 0; at < len && text[at] >= '0' && text[at] <= '9' && at - first < DIGITS_MAX; at++)
        *out = *out * 10 + (uint64_t)(text[at] - '0');
    return at > first && text[first] != '0' && at < len && text[at] == ',';
}

struct parsed {
    uint64_t sequence;
    uint8_t previous[SHA256_BYTES], hash[SHA256_BYTES];
    struct span covered;
};

static bool parse(struct span line, struct parsed *p)
{
    static const char hash[] = ",\"hash\":\"", previous[] = ",\"previous\":\"";
    const char *text = (const char *)line.data;
    size_t at;

    if (line.len < TAIL + PREVIOUS || line.len > AUDIT_MAX_LINE ||
        memchr(text, '\n', line.len) != NULL)
        return false;
    at = line.len - TAIL;
    p->covered = span_of(line.data, at);
    if (memcmp(text + at, hash, sizeof hash - 1) != 0 ||
        !read_hash(text + at + sizeof hash - 1, p->hash) ||
        memcmp(text + line.len - 2, "\"}", 2) != 0)
        return false;
    at -= PREVIOUS;
    return memcmp(text + at, previous, sizeof previous - 1) == 0 &&
           read_hash(text + at + sizeof previous - 1, p->previous) &&
           text[at + PREVIOUS - 1] == '"' && read_sequence(text, line.len, &p->sequence);
}

enum audit_finding audit_verify_line(struct audit_verifier *v, struct span line)
{
    uint8_t hash[SHA256_BYTES];
    struct parsed p;
    enum audit_finding f = AUDIT_SOUND;

    v->lines++;
    if (!parse(line, &p)) {
        v->chained = 0;
        return AUDIT_MALFORMED;
    }
    audit_hash(p.covered, hash);
    if (memcmp(hash, p.hash, sizeof hash) != 0) {
        f = AUDIT_ALTERED;
    } else if (p.sequence <= v->at.count) {
        f = AUDIT_REPEATED;
    } else if (p.sequence > v->at.count + 1) {
        f = AUDIT_MISSING;
        v->missing_from = v->at.count + 1;
        v->missing_to = p.sequence - 1;
    } else if (memcmp(p.previous, v->at.hash, sizeof p.previous) != 0) {
        f = AUDIT_UNCHAINED;
    }
    if (f == AUDIT_ALTERED)
        v->chained = 0;
    else if (f != AUDIT_SOUND || v->chained == 0)
        v->chained = p.sequence;
    v->at.count = p.sequence;
    memcpy(v->at.hash, p.hash, sizeof v->at.hash);
    return f;
}

enum audit_finding audit_verify_head(struct audit_verifier *v, const struct audit_head *head)
{
    if (v->at.count > head->count)
        return AUDIT_AHEAD;
    if (v->at.count < head->count) {
        v->missing_from = v->at.count + 1;
        v->missing_to = head->count;
        return AUDIT_MISSING;
    }
    return memcmp(v->at.hash, head->hash, sizeof head->hash) == 0 ? AUDIT_SOUND : AUDIT_NOT_HEAD;
}
