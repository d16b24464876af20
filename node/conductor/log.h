/* The daemon's log: one line each on stderr, "TIME LEVEL AREA TEXT". Never key material, never
 * unbounded peer input (identities are escaped and cut). Lines that a peer can provoke go through
 * log_limited(): one a second per reason, with the count of the suppressed ones, so that bad input
 * cannot fill a disk. The wall clock is read for the time stamp only.
 */
#ifndef HF_CONDUCTOR_LOG_H
#define HF_CONDUCTOR_LOG_H

#include <stdint.h>

#include "base/addr.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log {
    enum log_level level;
    int fd;
};

/* State of one rate limit: zero at the start. */
struct log_limit {
    uint64_t window_ms;
    uint64_t suppressed;
};

void log_line(const struct log *log, enum log_level level, const char *area, const char *format,
              ...) __attribute__((format(printf, 4, 5)));

/* now_ms: any monotonic clock. Prints at most once per second and limit. */
void log_limited(const struct log *log, struct log_limit *limit, uint64_t now_ms,
                 enum log_level level, const char *area, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

enum { LOG_ENDPOINT_CHARS = 64, LOG_TEXT_CHARS = 128 };

/* "192.0.2.1:4500", "[2001:db8::1]:500"; returns out. */
const char *log_endpoint(const struct endpoint *e, char out[LOG_ENDPOINT_CHARS]);
const char *log_address(const struct ip_addr *a, char out[LOG_ENDPOINT_CHARS]);
/* Printable form of peer-supplied bytes, cut to fit; returns out. */
const char *log_text(struct span bytes, char out[LOG_TEXT_CHARS]);

#endif
