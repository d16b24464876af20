/* What stands behind '?' in a path: known names, each once, with values that mean something. */
#include <string.h>

#include "api/internal.h"

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
    return refuse(p, name, "is not known here");
}
