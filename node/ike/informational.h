/* INFORMATIONAL, RFC 7296 1.4: Delete of CHILD SAs and of the IKE SA by either side, liveness
 * checks, notifies. */
#ifndef HF_IKE_INFORMATIONAL_H
#define HF_IKE_INFORMATIONAL_H

#include "ike/turn.h"

enum ike_outcome ike_informational_request(struct ike_turn *t);
enum ike_outcome ike_informational_response(struct ike_turn *t);

/* False: the request cannot be built. The window must be free. spi_in need not name a CHILD SA that
 * still stands: its peer may hold one that we never installed. One that stands becomes DELETING. */
bool ike_delete_child_begin(struct ike_turn *t, uint32_t spi_in) HF_MUST_USE;
/* One Delete for everything in owed_deletes, which is empty then. */
bool ike_delete_owed_begin(struct ike_turn *t) HF_MUST_USE;
/* The SA becomes DELETING. */
bool ike_delete_ike_begin(struct ike_turn *t) HF_MUST_USE;
/* An empty INFORMATIONAL. */
bool ike_dpd_begin(struct ike_turn *t) HF_MUST_USE;

#endif
