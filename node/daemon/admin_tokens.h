/* Bearer tokens on the replicated documents, and the audit, as the REST API asks for them.
 *
 *   POST, DELETE ─> one change of documents, with who asked ─> log ─> applied ─> done() (replication's thread) ─> tick: answered,
 *     once the other members that are reached have applied it, too
 *   any request with a token ─> find: this node's newest view of the documents, and both clocks
 *   once a second, at the leader: those that have ended by cluster time are removed
 *
 * All but done() on the control loop.
 */
#ifndef HF_DAEMON_ADMIN_TOKENS_H
#define HF_DAEMON_ADMIN_TOKENS_H

#include <stdatomic.h>

#include "api/backend.h"
#include "daemon/token_doc.h"
#include "replication/repl_admin.h"

#define TOKEN_KIND "token"

enum {
    TOKENS_MOST = 256, /* in the cluster; each node may add as many as it has writes under way */
    TOKEN_WRITES = 8,  /* under way at a time, of this node */
    TOKENS_ENDED = 32, /* removed in one change */
    TOKENS_LOOK_MS = 1000,   /* between two looks for such */
    TOKENS_FOLLOW_MS = 1000, /* an answer waits so long for the other members to apply it */
    NOTES_A_MINUTE = 12      /* refusals of this node that get an entry: five nodes together 60 */
};

struct daemon;

/* One change on its way through the log. */
struct token_write {
    bool used;
    _Atomic bool done; /* then the result is there */
    struct repl_admin_result result;
    uint64_t follow_until_ms; /* boottime; 0 = it is not settled yet */
    enum { TOKEN_ADD, TOKEN_REMOVE, TOKEN_END } what;
    struct api_request *request; /* NULL: nobody waits */
    char id[API_BEARER_ID_BYTES];
    char text[API_BEARER_TEXT_BYTES]; /* TOKEN_ADD: what its holder gets */
    struct token_doc doc;
};

struct admin_tokens {
    struct token_write writes[TOKEN_WRITES];
    uint64_t look_ms;        /* boottime: the next look */
    uint64_t notes_since_ms; /* of this minute */
    unsigned notes, unnoted; /* in it; refusals that got no entry since the last that did */
};

void admin_tokens_fill(struct daemon *d);
void admin_tokens_tick(struct daemon *d);
/* Refuses what still waits; done() may come until repl_stop() returns. */
void admin_tokens_stop(struct daemon *d);

/* admin_audit.c */
void admin_audit_fill(struct api_backend *b);

#endif
