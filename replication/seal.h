/* The seam where records are sealed before libraft, the disk or the network see them, and opened
 * again at apply. The real one (AES-256-GCM, a subkey per node and boot)
 * comes with key distribution; until then there is seal_none, and it does not pretend: it hides
 * nothing.
 */
#ifndef HF_REPL_SEAL_H
#define HF_REPL_SEAL_H

#include "base/assert.h"
#include "base/span.h"

/* What a sealed thing is for: bound to it as associated data. */
enum seal_purpose { SEAL_RECORD = 1, SEAL_SNAPSHOT = 2 };

struct seal {
    const char *name;
    void *self;
    size_t overhead; /* bytes that seal adds at most */
    /* out has plain.len + overhead bytes. False: no key; the record must not be submitted. */
    bool (*seal)(void *self, enum seal_purpose purpose, struct span plain, uint8_t *out, size_t *n);
    /* out has sealed.len bytes. False: not authentic, or a key that this node lacks. */
    bool (*open)(void *self, enum seal_purpose purpose, struct span sealed, uint8_t *out,
                 size_t *n);
};

/* Identity: what goes in comes out. */
extern const struct seal seal_none;

#endif
