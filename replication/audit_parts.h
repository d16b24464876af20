/* Between audit.c and audit_verify.c only. */
#ifndef HF_REPL_AUDIT_PARTS_H
#define HF_REPL_AUDIT_PARTS_H

#include "replication/audit.h"

/* Of what stands in a line before `,"hash":`. */
void audit_hash(struct span covered, uint8_t out[SHA256_BYTES]);

#endif
