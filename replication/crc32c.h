/* CRC-32C (Castagnoli), as used by the log's files and the transport's frames. Finds damage, not
 * malice. */
#ifndef HF_REPL_CRC32C_H
#define HF_REPL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of `n` bytes continued from `crc` (0 to begin): crc32c(crc32c(0, a), b) is that of a
 * followed by b. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t n);

#endif
