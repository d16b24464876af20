/* What stands behind '?' in a path: known names, each once, with values that mean something. */
#include <arpa/inet.h>
#include <string.h>

#include "api/internal.h"
#include "base/hex.h"

static bool refuse(struct api_problem *p, const char *name, const char *why)
{
    api_problem_set(p, 400, "bad-query", "'%.40s' in the path's query %s", name, why);
    return false;
}

static bool take_limit(struct api_query *q, const char *value, struct api_problem *p)
{
    uint32_t n = 0;
    size_t digits = strspn(value, "0123456789");

    if (digits >= 1 && digits <= 3 && value[digits] == '\0') {
        for (size_t i = 0; i < digits; i++) {
            n = n * 10 + (uint32_t)(value[i] - '0');
        }
    }
    if (n < 1 || n > API_MOST_PAGE) {
        return refuse(p, "limit", "must be a whole number from 1 to 200");
    }
    q->page.limit = n;
    q->has_limit = true;
    return true;
}

/* Of a digit of either size (RFC 3986 2.1). */
static int nibble(char c)
{
    return hex_value((char)(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c));
}

/* A text with its %-escapes (RFC 3986) undone; no control characters, and all of it or nothing. */
static bool take_text(char *out, size_t cap, const char *value)
{
    size_t n = 0;

    for (const char *c = value; *c != '\0'; n++) {
        int high = *c == '%' ? nibble(c[1]) : 0, low = *c == '%' && high >= 0 ? nibble(c[2]) : 0;
        unsigned char byte = (unsigned char)(*c == '%' ? 16 * high + low : *c);

        if (high < 0 || low < 0 || byte < 0x20 || byte == 0x7f || n + 1 >= cap) {
            out[0] = '\0';
            return false;
        }
        out[n] = (char)byte;
        c += *c == '%' ? 3 : 1;
    }
    out[n] = '\0';
    return n > 0;
}

/* Which entries of the audit. */
static bool take_filter(struct api_query *q, const char *name, const char *value,
                        struct api_problem *p)
{
    bool principal = strcmp(name, "principal") == 0;
    char *out = principal ? q->principal : q->operation;
    size_t cap = principal ? sizeof q->principal : sizeof q->operation;

    if (strcmp(name, "order") == 0) {
        q->oldest_first = strcmp(value, "oldest") == 0;
        if (q->has_order || (!q->oldest_first && strcmp(value, "newest") != 0)) {
            return refuse(p, name, "must be newest or oldest, once");
        }
        q->has_order = true;
        return true;
    }
    return (out[0] == '\0' && take_text(out, cap, value)) ||
           refuse(p, name, "must be a text of the audit, once");
}

/* Which attempts. */
static bool take_peer(struct api_query *q, const char *name, const char *value,
                      struct api_problem *p)
{
    uint8_t ip[16];

    if (strcmp(name, "identity") == 0) {
        return (q->identity[0] == '\0' && take_text(q->identity, sizeof q->identity, value)) ||
               refuse(p, name, "must be an identity as it is shown, once");
    }
    return (q->peer[0] == '\0' && take_text(q->peer, sizeof q->peer, value) &&
            (inet_pton(AF_INET, q->peer, ip) == 1 || inet_pton(AF_INET6, q->peer, ip) == 1)) ||
           refuse(p, name, "must be an IP address without a port, once");
}

bool api_query_last_event(struct api_query *q, const char *value, struct api_problem *p)
{
    if (!api_event_id_parse(value, &q->after)) {
        api_problem_set(p, 400, "bad-event-id",
                        "'%.60s' is no id of an event: INCARNATION.INDEX.N, as GET /v1/events "
                        "gives them",
                        value);
        return false;
    }
    q->has_after = true;
    q->oldest = false;
    return true;
}

/* Where a watcher begins, and whether it goes on. */
static bool take_watch(struct api_query *q, const char *name, const char *value,
                       struct api_problem *p)
{
    if (strcmp(name, "follow") == 0) {
        q->ends = strcmp(value, "false") == 0;
        if (q->has_follow || (!q->ends && strcmp(value, "true") != 0)) {
            return refuse(p, name, "must be true or false, once");
        }
        q->has_follow = true;
        return true;
    }
    if (q->has_after) {
        return refuse(p, name, "is given twice");
    }
    q->has_after = q->oldest = strcmp(value, "oldest") == 0;
    return q->oldest || api_query_last_event(q, value, p);
}

bool api_query_take(struct api_query *q, const struct api_route *route, const char *name,
                    const char *value, struct api_problem *p)
{
    bool get = strcmp(route->method, "GET") == 0 && route->role != API_ROLE_NONE;

    q->given = true;
    if (value == NULL) {
        return refuse(p, name, "has no value");
    }
    if (get && strcmp(name, "consistency") == 0) {
        if (q->has_consistency) {
            return refuse(p, name, "is given twice");
        }
        q->has_consistency = true;
        q->leader = strcmp(value, "leader") == 0;
        return q->leader || strcmp(value, "stale") == 0 ||
               refuse(p, name, "must be leader or stale");
    }
    if ((route->flags & API_PAGED) != 0 && strcmp(name, "limit") == 0) {
        return q->has_limit ? refuse(p, name, "is given twice") : take_limit(q, value, p);
    }
    if ((route->flags & API_PAGED) != 0 && strcmp(name, "cursor") == 0) {
        if (q->has_cursor || !api_parse_hex(value, 16, &q->page.after)) {
            return refuse(p, name, "must be what 'next' said, once");
        }
        q->has_cursor = true;
        return true;
    }
    if ((route->flags & API_AUDITED) != 0 &&
        (strcmp(name, "order") == 0 || strcmp(name, "principal") == 0 ||
         strcmp(name, "operation") == 0)) {
        return take_filter(q, name, value, p);
    }
    if ((route->flags & API_OF_PEERS) != 0 &&
        (strcmp(name, "peer") == 0 || strcmp(name, "identity") == 0)) {
        return take_peer(q, name, value, p);
    }
    if ((route->flags & API_WATCHED) != 0 &&
        (strcmp(name, "after") == 0 || strcmp(name, "follow") == 0)) {
        return take_watch(q, name, value, p);
    }
    return refuse(p, name, "is not known here");
}
