/* The nftables half of the guard. Internal to guard.c and guard_nft.c. */
#ifndef HF_IO_GUARD_INTERNAL_H
#define HF_IO_GUARD_INTERNAL_H

#include "io/guard.h"

enum { GUARD_TEXT_BYTES = 24 << 10 };

/* A text that is filled by appending; overflow is asserted (the configuration's limits keep it far
 * below). */
struct guard_text {
    char bytes[GUARD_TEXT_BYTES];
    size_t len;
};

void guard_say(struct guard_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The whole table as `nft -f` takes it. */
void guard_ruleset(const struct guard_config *config, struct guard_text *out);

/* Runs `nft` in this network namespace with `input` on its stdin; *output gets its stdout, and on
 * failure the error its stderr. */
HF_MUST_USE bool guard_nft(const char *input, struct guard_text *output, struct io_error *error);

/* What `nft` lists of our table here ("" when there is none), and what it would list if
 * guard_ruleset() stood here: equal texts mean equal rules, whatever the version of nft. The second
 * stands for a moment in a dormant table beside (the kernel hooks none of its chains): that needs no
 * more than CAP_NET_ADMIN. One caller at a time in a network namespace. */
HF_MUST_USE bool guard_listing(struct guard_text *out, struct io_error *error);
HF_MUST_USE bool guard_expected_listing(const struct guard_config *config, struct guard_text *out,
                                        struct io_error *error);

#endif
