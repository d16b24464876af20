/* The audit as files: one line an entry (audit.h), appended as this node applies them, never changed. What the state keeps no more
 * is here; `holdfast audit verify` holds it against the replicated head.
 *
 *   <data directory>/audit.jsonl, mode 0600        a full one becomes audit.jsonl.1, that one .2, …; behind the last one
 *                    audit.jsonl.1 … .15           it is gone. One after the other, the oldest first, they are one chain
 *
 * A node that was away for longer than the state keeps entries lacks some: they are in other nodes' files, and a
 * verification names them. Blocking file I/O: never on a loop; one call at a time.
 */
#ifndef HF_REPL_MIRROR_H
#define HF_REPL_MIRROR_H

#include "replication/audit.h"

enum {
    MIRROR_PATH_BYTES = 600,
    MIRROR_WHY_BYTES = 256,
    MIRROR_FILE_BYTES = 16 << 20, /* full from then on; one writing may go beyond it */
    MIRROR_OLDER = 15             /* full files that stay */
};

/* All zero but for the path: what it holds is looked at with the first append. */
struct mirror {
    char path[MIRROR_PATH_BYTES];
    size_t file_bytes; /* MIRROR_FILE_BYTES, but for tests */
    int fd;
    bool open;
    struct audit_head at; /* of its last line */
};

struct mirror_outcome {
    bool ok;                           /* all are in the file, and stored */
    uint64_t missing_from, missing_to; /* entries that it lacks from now on; 0 = none */
    bool set_aside;             /* what was there was not this chain's: it has another name now, */
    char why[MIRROR_WHY_BYTES]; /* which stands here; or what failed */
};

void mirror_init(struct mirror *m, const char *data_dir);
void mirror_close(struct mirror *m);
/* Those of the kept entries (the oldest first, without a gap) that are not in it yet. Not ok: the next call tries again. */
void mirror_append(struct mirror *m, struct audit_entry *const *entries, size_t n,
                   struct mirror_outcome *out);

/* What is wrong with one line, or (line 0) with the end. */
typedef void mirror_found(void *self, enum audit_finding finding, uint64_t line,
                          const struct audit_verifier *v);
/* Reads all of the file. False: it cannot be read (errno). *out: as after the head. found: may be NULL. */
bool mirror_verify(const char *path, const struct audit_head *head, mirror_found *found, void *self,
                   struct audit_verifier *out, uint64_t *findings);

#endif
