/* The seam where records are sealed before libraft, the disk or the network see them, and opened
 * again at apply; items of snapshots likewise. The real one is seal_ring.h. seal_none hides nothing:
 * for tests of what lies around it, and no program of ours uses it.
 *
 * Two kinds of keys (architecture.md, Secrets): what a session is (SAs, their numbers, windows and
 * leases) ends with its key; the configuration outlives all of them.
 */
#ifndef HF_REPL_SEAL_H
#define HF_REPL_SEAL_H

#include "base/assert.h"
#include "base/span.h"

/* What a sealed thing is for: bound to it, so that neither passes for the other. */
enum seal_purpose { SEAL_RECORD = 1, SEAL_SNAPSHOT = 2 };

/* Under which key. */
enum seal_kind { SEAL_CONFIGURATION = 1, SEAL_SESSION = 2, SEAL_KINDS };

struct seal {
    const char *name;
    void *self;
    size_t overhead; /* bytes that seal adds at most */
    /* out has plain.len + overhead bytes. `request` stays readable without the key, and is covered.
     * False: no key; the record must not be submitted. */
    bool (*seal)(void *self, enum seal_purpose purpose, enum seal_kind kind, uint64_t request,
                 struct span plain, uint8_t *out, size_t *n);
    /* out has sealed.len bytes. False: not authentic, or a key that this node lacks. */
    bool (*open)(void *self, enum seal_purpose purpose, struct span sealed, uint8_t *out,
                 size_t *n);
    bool (*has)(void *self, uint64_t key); /* is that key here? NULL: it needs none */
};

/* Identity: what goes in comes out. */
extern const struct seal seal_none;

/* More than one node needs links that nobody else can speak on: keys travel on them, too. */
static inline bool seal_none_allowed(size_t n_nodes, bool insecure_lab)
{
    return n_nodes == 1 || insecure_lab;
}

#endif
