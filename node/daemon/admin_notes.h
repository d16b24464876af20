/* What an operator orders that is no record of the log has its entry in the audit all the same, committed before anything follows
 * from it (I17): a reload, a rekey, the arming of a drill, a change of leader, a backup.
 *
 *   request ─> note, outcome "ordered" ─> log ─> done() (replication's thread) ─> tick: the deed, on the control loop
 *                 └─ no majority, or not in time ─> refused: it is not done, also when the entry comes yet
 *
 * What mends a node that reaches nobody, or saves what is left, cannot wait for a majority: of root on this machine it is done at
 * once, and its entry comes when the log takes it. Older members know no audit: beside them nothing has an entry.
 */
#ifndef HF_DAEMON_ADMIN_NOTES_H
#define HF_DAEMON_ADMIN_NOTES_H

#include <stdatomic.h>

#include "api/backend.h"
#include "replication/repl_admin.h"

enum {
    NOTES_AT_ONCE = 8,  /* of this node */
    NOTE_WAIT_MS = 5000 /* below the server's own limit for a POST */
};

struct daemon;

union admin_deed_args {
    uint32_t node;
    struct api_rekey rekey;
    struct api_arm arm;
};
/* Answers or refuses the request, now or later. */
typedef void admin_deed(struct daemon *d, struct api_request *request,
                        const union admin_deed_args *args);

/* Texts are borrowed for the call, and hold no secret. */
struct admin_order {
    const char *operation, *target, *before, *after;
    admin_deed *deed;
    union admin_deed_args args;
    bool mends; /* without a majority, too, for root */
};

struct admin_note {
    bool used;
    _Atomic bool done; /* then the result is there */
    struct repl_admin_result result;
    uint64_t until_ms;           /* boottime */
    struct api_request *request; /* NULL: it was refused */
    admin_deed *deed;
    union admin_deed_args args;
};

/* Takes the request over. */
void admin_note_first(struct daemon *d, struct api_request *request, const struct api_asker *who,
                      const struct admin_order *order);
/* SIGHUP: who sent it is not known, but that he was root, or the service manager. It waits for nothing. */
void admin_note_signal(struct daemon *d);
void admin_notes_tick(struct daemon *d);
/* Refuses what still waits; done() may come until repl_stop() returns. */
void admin_notes_stop(struct daemon *d);

#endif
