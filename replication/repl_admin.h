/* What servers of operators call, on any thread: changes of the replicated configuration with their entry in the audit, and
 * consistent reads of both.
 *
 *   repl_change_documents ──> log ──> applied here: view published ──> done(result), then the event
 *   repl_view_take ──> documents and audit as of one place in the log, for as long as it is held
 *
 * Read-your-writes: when done() is called, repl_view_take() gives a state that has the change.
 * Needs all members to know RECORD_SPEAKS_DOCUMENTS: else REPL_OLD_MEMBER, and nothing is submitted (repl_status.speaks: also while this
 * node has not yet heard what they know, at a start).
 */
#ifndef HF_REPL_ADMIN_H
#define HF_REPL_ADMIN_H

#include "replication/audit.h"
#include "replication/documents.h"
#include "replication/replica.h"

/* Who asks. Texts as audit_text_valid() has them, else REPL_INVALID; NULL is "". Never a secret:
 * before and after are redacted values. operation, target, before and after may be left out where the
 * record says them by itself: all but body audit. */
struct repl_admin {
    const char *role, *principal, *address, *request_id;
    const char *operation, *target, *before, *after;
    uint64_t wall_ms; /* CLOCK_REALTIME, ms */
};

enum repl_expect {
    REPL_EXPECT_ANY,
    REPL_EXPECT_ABSENT,
    REPL_EXPECT_VERSION /* it is there, and its last change is that one */
};

struct repl_document_change {
    const char *kind, *name;
    enum repl_expect expect;
    uint64_t version; /* with REPL_EXPECT_VERSION */
    bool remove;      /* one that is not there: REPL_REFUSED_UNKNOWN */
    struct span bytes;
};

/* How a request ended. */
enum repl_settled {
    REPL_SETTLED,   /* judged: see verdict */
    REPL_UNSETTLED, /* judged, but a snapshot hid the verdict: look for it in the view */
    REPL_STOPPED    /* this node stops: it may yet be judged */
};

struct repl_admin_result {
    enum repl_settled settled;
    enum repl_verdict verdict; /* REFUSED_VERSION: not as expected; _UNKNOWN: nothing to delete;
                                  _FULL: no room; the same on every node */
    uint64_t request;
    uint64_t index;        /* log index */
    uint64_t cluster_ms;   /* then */
    uint64_t version;      /* accepted documents: of all that were put */
    size_t item;           /* refused documents: the first change that did not fit, */
    uint64_t item_version; /* and the version that it has; 0 = absent */
    uint64_t audit;        /* sequence of its entry; 0 = it got none */
    uint32_t speaks;       /* what all members know, as of then */
};

/* Called once for each request that REPL_OK was said of, on the replication thread (or in repl_stop()), possibly before the
 * submitting call has returned: it may not block, nor call repl_*(). */
typedef void repl_admin_done(void *self, const struct repl_admin_result *result);

/* All changes or none, n <= DOCUMENT_MAX_CHANGES, no two of one (kind, name). Everything is borrowed for the call. On anything but
 * REPL_OK nothing was kept and done() is not called. *request, done: may be NULL. */
enum repl_result repl_change_documents(struct repl *repl, const struct repl_admin *admin,
                                       const struct repl_document_change *changes, size_t n,
                                       repl_admin_done *done, void *self,
                                       uint64_t *request) HF_MUST_USE;
/* Any other record of an operator (move, drain, rotate_keys, join_token, member JOIN and LEAVE): the
 * body and shard are the caller's, `admin` is put in for the call. */
enum repl_result repl_submit_admin(struct repl *repl, const struct repl_admin *admin,
                                   struct Holdfast__Record *record, repl_admin_done *done,
                                   void *self, uint64_t *request) HF_MUST_USE;
/* An entry alone: of what was refused before it came to the log, or is no record. `outcome` is a word
 * or a few. What is done must not be done before done(). */
enum repl_result repl_note_audit(struct repl *repl, const struct repl_admin *admin,
                                 const char *outcome, repl_admin_done *done, void *self,
                                 uint64_t *request) HF_MUST_USE;

/* --- reading --- */

/* Documents and kept audit entries as of `index`: nothing of them changes while it is held. What it
 * holds is not in other nodes' views at the same time, of course: compare indexes. */
struct repl_view {
    _Atomic size_t references;
    uint64_t incarnation;
    uint64_t index, cluster_ms;       /* of the newest change of either */
    struct repl_document **documents; /* sorted by kind, then name */
    size_t n_documents;
    size_t document_bytes;      /* against DOCUMENTS_MAX_BYTES */
    struct audit_entry **audit; /* the oldest kept first */
    size_t n_audit;
    struct audit_head head;
};

/* The newest one. A reference: repl_view_release(), soon. Never NULL. */
struct repl_view *repl_view_take(struct repl *repl);
void repl_view_release(struct repl_view *view);
/* NULL: there is none. */
const struct repl_document *repl_view_document(const struct repl_view *view, const char *kind,
                                               const char *name);
/* Where the first document behind (kind, name) stands; of a kind all: ("kind", "") to the end of it. */
size_t repl_view_behind(const struct repl_view *view, const char *kind, const char *name);
/* The entry of that sequence; NULL: not kept, or not there yet. */
const struct audit_entry *repl_view_audit(const struct repl_view *view, uint64_t sequence);
/* The newest kept entry of that request id ("" = none); NULL: there is none. */
const struct audit_entry *repl_view_audit_of(const struct repl_view *view, const char *request_id);

#endif
