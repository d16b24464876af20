/* What becomes of IKE SAs and their CHILD SAs, told as records are applied, for who watches.
 *
 * What is told is a function of the state before the record, of the record, and of the entry's stamp: every node that
 * applies the record tells the same in the same order. Nothing is told of what a snapshot brings.
 */
#ifndef HF_CONDUCTOR_SESSIONS_H
#define HF_CONDUCTOR_SESSIONS_H

#include "ike/state.h"

struct conductor;

enum conductor_session_kind {
    CONDUCTOR_SESSION_UP,
    CONDUCTOR_SESSION_REKEYED, /* `successor` is up and has its CHILD SAs: nothing more is told of this one */
    CONDUCTOR_SESSION_ENDED, /* its CHILD SAs, too: nothing is told of them */
    CONDUCTOR_CHILD_UP,
    CONDUCTOR_CHILD_REKEYED, /* this one is up in the place of `replaces`, which ends later */
    CONDUCTOR_CHILD_ENDED
};

struct conductor_session {
    enum conductor_session_kind kind;
    uint64_t sa_id;
    uint32_t shard;
    const struct ike_sa
        *sa; /* as it is now, or was last; for the call alone; NULL: nobody can read it */
    uint64_t successor;
    /* ENDED: deleted-by-peer (in answer to a request of its), deleted-by-us, peer-dead, hard-lifetime,
     * initial-contact, removed, unreadable. Static. */
    const char *reason;
    uint32_t spi_in, replaces; /* of CHILD SAs; 0 = none */
};

/* It must not call the conductor. NULL: nobody wants to know. */
typedef void conductor_session_fn(void *self, const struct conductor_session *session);
void conductor_tell_sessions(struct conductor *c, conductor_session_fn *tell, void *self);

#endif
