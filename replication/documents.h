/* Documents: the objects of the replicated configuration. (kind, name) -> bytes, with the version of the last change: its place in
 * the log, so it never repeats. What the bytes mean is others' business; they may be secret.
 *
 *   record {kind, name, expected, bytes or none} x n ─ all as expected, and room ─> all changed, one version; else none
 *
 * A document is never changed in place: a change puts another one in its place. So whoever holds a
 * reference (a snapshot that is being taken, a view that readers have) sees it as it was.
 */
#ifndef HF_REPL_DOCUMENTS_H
#define HF_REPL_DOCUMENTS_H

#include <stdatomic.h>

#include "base/span.h"
#include "replication/digest.h"

enum {
    DOCUMENT_MAX_KIND = 32,         /* lower case letters, digits and '-', the first a letter */
    DOCUMENT_MAX_NAME = 256,        /* UTF-8 without control characters */
    DOCUMENT_MAX_BYTES = 64 << 10,  /* of each */
    DOCUMENTS_MAX = 16384,          /* in all */
    DOCUMENTS_MAX_BYTES = 16 << 20, /* in all, kinds and names counted */
    DOCUMENT_MAX_CHANGES = 256      /* of one record, which is bounded in bytes, too */
};

struct repl_document {
    _Atomic size_t references; /* dropped on any thread */
    uint64_t version;          /* place in the log of its last change */
    struct digest digest;      /* the state machine's own: nobody else reads it */
    const char *kind, *name;
    const uint8_t *bytes;
    size_t len;
    char text[]; /* kind, name, bytes */
};

bool document_kind_valid(const char *kind);
bool document_name_valid(const char *name);

/* A copy of all that is given, with one reference. */
struct repl_document *document_new(const char *kind, const char *name, uint64_t version,
                                   struct span bytes);
struct repl_document *document_share(struct repl_document *d);
/* Wiped and freed with the last reference. NULL: nothing. */
void document_drop(struct repl_document *d);

/* By kind, then name: < 0, 0, > 0. */
int document_compare(const struct repl_document *d, const char *kind, const char *name);
/* In a list sorted so: where (kind, name) is or would be. *found: it is there. */
size_t document_find(struct repl_document *const *list, size_t n, const char *kind,
                     const char *name, bool *found);
/* What it counts for against DOCUMENTS_MAX_BYTES. */
size_t document_size(const char *kind, const char *name, size_t len);

#endif
