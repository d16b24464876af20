/* Puts right checksums over whatever stands in the files of a data directory, so that what lies behind
 * the checksums is judged too. Chains of a log's batches and segments are made anew; every other field
 * stays as it is. */
#ifndef HF_FUZZ_WAL_RESEAL_H
#define HF_FUZZ_WAL_RESEAL_H

#include "replication/wal_file.h"

/* What one pass over the files, in the order of their names, carries on. */
struct wal_reseal {
    struct wal_dir dir; /* its id is what the identity file says */
    uint32_t chain;     /* of the segment before; 0 = none */
};

/* The identity's first; then all in the order of their names. A file that is none of the directory's
 * stays as it is. */
void wal_reseal(struct wal_reseal *r, const char *name, uint8_t *bytes, size_t n);

#endif
