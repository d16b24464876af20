/* PEM files under change: in their text, and in the DER under it. */
#ifndef HF_FUZZ_PEM_SPOIL_H
#define HF_FUZZ_PEM_SPOIL_H

#include <stddef.h>
#include <stdint.h>

enum { PEM_ROOM = 16384 };

struct pem_file {
    uint8_t bytes[PEM_ROOM];
    size_t n;
};

/* What to do with which of the `count` files is in `what`; `place` and `value` are taken as they fit. */
void pem_spoil(struct pem_file *files, size_t count, uint8_t what, size_t place, uint8_t value);

#endif
