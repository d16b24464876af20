#include "conductor/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

__attribute__((format(printf, 4, 0))) static void log_v(const struct log *log, enum log_level level,
                                                        const char *area, const char *format,
                                                        va_list args, uint64_t suppressed)
{
    char line[1024];
    struct timeval tv;
    struct tm tm;
    size_t at;
    int n;

    (void)gettimeofday(&tv, NULL);
    (void)gmtime_r(&tv.tv_sec, &tm);
    at = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    n = snprintf(line + at, sizeof line - at, ".%03ldZ %s %s ", (long)(tv.tv_usec / 1000),
                 level_names[level], area);
    at += n > 0 ? (size_t)n : 0;
    n = vsnprintf(line + at, sizeof line - at, format, args);
    at += n > 0 ? (size_t)n : 0;
    if (at > sizeof line - 64)
        at = sizeof line - 64; /* cut: room for the rest */
    if (suppressed > 0) {
        n = snprintf(line + at, sizeof line - at, " suppressed=%llu",
                     (unsigned long long)suppressed);
        at += n > 0 ? (size_t)n : 0;
    }
    line[at++] = '\n';
    while (write(log->fd, line, at) < 0 && errno == EINTR)
        ;
}

void log_line(const struct log *log, enum log_level level, const char *area, const char *format,
              ...)
{
    va_list args;

    if (level > log->level)
        return;
    va_start(args, format);
    log_v(log, level, area, format, args, 0);
    va_end(args);
}

void log_limited(const struct log *log, struct log_limit *limit, uint64_t now_ms,
                 enum log_level level, const char *area, const char *format, ...)
{
    va_list args;

    if (level > log->level)
        return;
    if (limit->window_ms != 0 && now_ms - limit->window_ms < 1000) {
        limit->suppressed++;
        return;
    }
    va_start(args, format);
    log_v(log, level, area, format, args, limit->suppressed);
    va_end(args);
    limit->window_ms = now_ms;
    limit->suppressed = 0;
}

const char *log_address(const struct ip_addr *a, char out[LOG_ENDPOINT_CHARS])
{
    if (a->family == ADDR_NONE || inet_ntop(a->family == ADDR_V4 ? AF_INET : AF_INET6, a->bytes,
                                            out, LOG_ENDPOINT_CHARS) == NULL)
        (void)snprintf(out, LOG_ENDPOINT_CHARS, "-");
    return out;
}

const char *log_endpoint(const struct endpoint *e, char out[LOG_ENDPOINT_CHARS])
{
    char ip[LOG_ENDPOINT_CHARS];

    (void)log_address(&e->ip, ip);
    (void)snprintf(out, LOG_ENDPOINT_CHARS, e->ip.family == ADDR_V6 ? "[%.46s]:%u" : "%.46s:%u", ip,
                   (unsigned)e->port);
    return out;
}

const char *log_text(struct span bytes, char out[LOG_TEXT_CHARS])
{
    size_t at = 0;

    for (size_t i = 0; i < bytes.len && at + 5 < LOG_TEXT_CHARS; i++) {
        uint8_t c = bytes.data[i];

        if (c > 0x20 && c < 0x7f && c != '"' && c != '\\')
            out[at++] = (char)c;
        else
            at += (size_t)snprintf(out + at, LOG_TEXT_CHARS - at, "\\x%02x", c);
    }
    out[at] = '\0';
    return out;
}
