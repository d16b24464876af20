/* Between snapshot.c and snapshot_restore.c only. */
#ifndef HF_REPL_SNAPSHOT_PARTS_H
#define HF_REPL_SNAPSHOT_PARTS_H

#include "replication/snapshot.h"

enum { SNAPSHOT_FORMAT = 1, SNAPSHOT_LENGTH_BYTES = 4, SNAPSHOT_ITEM_MAX_BYTES = 1 << 20 };

/* Room for n bytes; valid until the next call. */
uint8_t *snapshot_scratch_of(struct snapshot_scratch *s, size_t n);
void snapshot_scratch_drop(struct snapshot_scratch *s);

#endif
