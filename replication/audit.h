/* The audit: what operators did, one entry after the other, each with the hash of the one before.
 *
 *   entry n ─ one line of JSON ─ SHA-256 ─> hash n ─> is the "previous" of entry n + 1 ─> … ─> head (count, hash): replicated
 *
 * A line is {"sequence":…,…,"previous":"<hex>","hash":"<hex>"}; the hash covers every byte before `,"hash":`. So whoever has the
 * head finds any change to any line before it, with this file or with sha256sum. Canonical: one entry has one line.
 *
 * Entries hold no secret: that is upon who makes them. Pure but for its own heap.
 */
#ifndef HF_REPL_AUDIT_H
#define HF_REPL_AUDIT_H

#include <stdatomic.h>

#include "replication/sha256.h"

enum audit_text {
    AUDIT_ROLE,
    AUDIT_PRINCIPAL, /* "" = not known: an operator's request of a node that did not say whose it is */
    AUDIT_ADDRESS,
    AUDIT_REQUEST_ID,
    AUDIT_OPERATION, /* "shard.move", "documents.change", … */
    AUDIT_TARGET,
    AUDIT_BEFORE,
    AUDIT_AFTER,
    AUDIT_CHANGES, /* of documents: "kind/name version-before version-after" a line, 0 = absent */
    AUDIT_OUTCOME, /* a verdict's name, or what body audit says */
    AUDIT_TEXTS
};

enum {
    AUDIT_MAX_VALUE = 2048,     /* of before and after; the others are shorter: audit_max() */
    AUDIT_MAX_LINE = 16 << 10,  /* without its newline */
    AUDIT_KEEP = 1024,          /* newest entries in the state */
    AUDIT_KEEP_BYTES = 1 << 20, /* ... and of their texts */
    AUDIT_REFUSED_A_MINUTE =
        60, /* refused changes that get an entry; the others are counted in the next one */
    AUDIT_MINUTE_MS = 60000 /* of cluster time */
};

/* How long that text may be, in bytes. */
size_t audit_max(enum audit_text text);
/* UTF-8 (RFC 3629) without control characters but \n and \t, and not too long. NULL is "". */
bool audit_text_valid(enum audit_text text, const char *value);
const char *audit_text_name(enum audit_text text); /* as in a line */

struct audit_head {
    uint64_t count;             /* entries ever: the newest one's sequence */
    uint8_t hash[SHA256_BYTES]; /* of the newest; all zero = there was none */
};

/* Borrowed for the call of audit_entry_new(). */
struct audit_draft {
    uint64_t index;                 /* log index */
    uint64_t cluster_ms;            /* when, by cluster time */
    uint64_t wall_ms;               /* by the clock of the node that was asked; 0 = not known */
    uint32_t node;                  /* that submitted it */
    uint64_t unaudited;             /* refused changes before it that got no entry */
    const char *texts[AUDIT_TEXTS]; /* valid (asserted); NULL is "" */
};

struct audit_entry {
    _Atomic size_t references; /* dropped on any thread */
    uint64_t sequence;         /* from 1 */
    uint64_t index, cluster_ms, wall_ms, unaudited;
    uint32_t node;
    uint8_t previous[SHA256_BYTES], hash[SHA256_BYTES];
    size_t bytes; /* of its texts */
    const char *texts[AUDIT_TEXTS];
    char text[];
};

/* The next behind `head`, which moves on to it. One reference, the caller's. */
struct audit_entry *audit_entry_new(struct audit_head *head, const struct audit_draft *draft);
struct audit_entry *audit_entry_share(struct audit_entry *e);
void audit_entry_drop(struct audit_entry *e); /* NULL: nothing */

/* Its line, without a newline; how long. */
size_t audit_line(const struct audit_entry *e, char out[AUDIT_MAX_LINE]);

/* --- is a file of lines what was written? --- */

enum audit_finding {
    AUDIT_SOUND,
    AUDIT_MALFORMED, /* no line of an audit, or one that was cut off */
    AUDIT_ALTERED,   /* its bytes have another hash than it says */
    AUDIT_UNCHAINED, /* it says another hash of the one before than that has */
    AUDIT_MISSING,   /* entries between the one before and this one are not there */
    AUDIT_REPEATED,  /* its sequence was there, or was passed, already */
    AUDIT_NOT_HEAD,  /* the last one is not the head's: another hash */
    AUDIT_AHEAD      /* it goes on behind the head */
};
const char *audit_finding_name(enum audit_finding finding);

/* Lines one after the other, then the head. All zero at first. */
struct audit_verifier {
    uint64_t lines;
    struct audit_head at; /* the last line's */
    uint64_t chained;     /* first sequence of the run without a break that ends here; 0 = none */
    uint64_t missing_from, missing_to; /* of the newest AUDIT_MISSING */
};

/* Goes on behind any finding: what follows is judged by what that line says. */
enum audit_finding audit_verify_line(struct audit_verifier *v, struct span line);
/* At the end: does it lead to the head? Only what is chained to it (from v->chained on) is proven. */
enum audit_finding audit_verify_head(struct audit_verifier *v, const struct audit_head *head);

#endif
