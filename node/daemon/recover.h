/* holdfastd --recover, and POST /v1/cluster/recover: a majority is lost for good, and this node alone
 * goes on (replication/recover.h). The operator types which nodes are dead; that is the confirmation.
 */
#ifndef HF_DAEMON_RECOVER_H
#define HF_DAEMON_RECOVER_H

#include <stddef.h>
#include <stdint.h>

enum { RECOVER_TYPED_BYTES = 64 };

/* "2,3", in the order of ids; "none" for nobody. */
void recover_list(const uint32_t *nodes, size_t n, char out[RECOVER_TYPED_BYTES]);

#endif
