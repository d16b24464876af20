/* Texts that come into the replicated state: bounded, and UTF-8 that can be shown. Pure. */
#ifndef HF_REPL_TEXT_H
#define HF_REPL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Well-formed UTF-8 (RFC 3629: no overlong form, no surrogate), at most `max` bytes, no control character (U+0000 to U+001F, U+007F)
 * but those in `but`. */
bool text_valid(const char *text, size_t max, const char *but);
/* A text under construction, always ended by a 0. A part that does not fit is left out whole, with all that follows. */
struct text_out {
    char *out;
    size_t cap, n;
    bool cut;
};
void text_put(struct text_out *o, const char *part);
void text_put_number(struct text_out *o, uint64_t value);

/* Whatever is not printable ASCII becomes '?'. */
void text_clean(char *text);

#endif
