/* The state machine of an IKE SA as a table: event kind × state of the SA -> handler. Internal to
 * ike/. */
#ifndef HF_IKE_TRANSITIONS_H
#define HF_IKE_TRANSITIONS_H

#include "ike/turn.h"

typedef enum ike_outcome ike_handler(struct ike_turn *t);

/* Never NULL; an event of an unknown kind or an SA in an unknown state gets the handler that
 * ignores. */
ike_handler *ike_transition_for(enum ike_event_kind kind, enum ike_sa_state state);

#endif
