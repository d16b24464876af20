/* Which method and path leads to which handler, for whom. One row a route; the first path that fits
 * decides. */
#include <stdio.h>
#include <string.h>

#include "api/internal.h"

enum { SMALL = 4 << 10, LARGE = API_MAX_BODY };

static const struct api_route routes[] = {
    {"GET", "/livez", API_ROLE_NONE, 0, API_SHARED, api_get_livez},
    {"GET", "/readyz", API_ROLE_NONE, 0, API_SHARED, api_get_readyz},
    {"GET", "/metrics", API_ROLE_VIEWER, 0, API_SHARED, api_get_metrics},
    {"GET", "/v1/openapi.json", API_ROLE_NONE, 0, API_LOCAL, api_get_openapi},
    {"GET", "/v1/problems/{name}", API_ROLE_NONE, 0, API_LOCAL, api_get_problem},
    {"GET", "/v1/cluster", API_ROLE_VIEWER, 0, API_SHARED, api_get_cluster},
    {"POST", "/v1/cluster/leader", API_ROLE_OPERATOR, LARGE, 0, api_post_leader},
    {"POST", "/v1/cluster/tokens", API_ROLE_ADMIN, SMALL, 0, api_post_token},
    {"POST", "/v1/cluster/join", API_ROLE_ADMIN, SMALL, 0, api_post_join},
    {"POST", "/v1/cluster/recover", API_ROLE_ADMIN, SMALL, 0, api_post_recover},
    {"POST", "/v1/cluster/backup", API_ROLE_ADMIN, SMALL, API_REPEATABLE, api_post_backup},
    {"POST", "/v1/cluster/keys", API_ROLE_ADMIN, SMALL, 0, api_post_keys},
    {"GET", "/v1/sas", API_ROLE_VIEWER, 0, API_PAGED, api_get_sas},
    {"POST", "/v1/sas/{id}/rekey", API_ROLE_OPERATOR, SMALL, 0, api_post_rekey},
    {"POST", "/v1/shards/{id}/handover", API_ROLE_OPERATOR, SMALL, 0, api_post_handover},
    {"POST", "/v1/nodes/{id}/drain", API_ROLE_OPERATOR, SMALL, 0, api_post_drain},
    {"POST", "/v1/nodes/{id}/remove", API_ROLE_ADMIN, SMALL, 0, api_post_remove},
    {"GET", "/v1/tokens", API_ROLE_ADMIN, 0, API_PAGED, api_get_tokens},
    {"POST", "/v1/tokens", API_ROLE_ADMIN, SMALL, 0, api_post_tokens},
    {"GET", "/v1/tokens/{id}", API_ROLE_ADMIN, 0, 0, api_get_token},
    {"DELETE", "/v1/tokens/{id}", API_ROLE_ADMIN, 0, 0, api_delete_token},
    {"GET", "/v1/audit", API_ROLE_OPERATOR, 0, API_PAGED | API_AUDITED, api_get_audit},
    {"GET", "/v1/audit/{sequence}", API_ROLE_OPERATOR, 0, 0, api_get_audit_entry},
    {"GET", "/v1/doctor", API_ROLE_VIEWER, 0, 0, api_get_doctor},
    {"GET", "/v1/attempts", API_ROLE_VIEWER, 0, API_PAGED | API_OF_PEERS, api_get_attempts},
    {"GET", "/v1/attempts/{id}", API_ROLE_VIEWER, 0, 0, api_get_attempt},
    {"GET", "/v1/events", API_ROLE_VIEWER, 0, API_WATCHED, api_get_events},
    {"POST", "/v1/profiles", API_ROLE_VIEWER, SMALL, API_REPEATABLE, api_post_profiles},
    {"POST", "/v1/drills/arm", API_ROLE_DRILL, SMALL, 0, api_post_arm},
    {"POST", "/v1/reload", API_ROLE_ADMIN, SMALL, 0, api_post_reload},
};

static const char *const role_names[API_ROLES] = {[API_ROLE_NONE] = "",
                                                  [API_ROLE_VIEWER] = "viewer",
                                                  [API_ROLE_OPERATOR] = "operator",
                                                  [API_ROLE_ADMIN] = "admin",
                                                  [API_ROLE_DRILL] = "drill"};

const struct api_route *api_routes(size_t *n)
{
    *n = sizeof routes / sizeof routes[0];
    return routes;
}

const char *api_role_name(enum api_role role)
{
    return (unsigned)role < API_ROLES ? role_names[role] : "";
}

enum api_role api_role_of(const char *name)
{
    for (int i = API_ROLE_VIEWER; i < API_ROLES; i++) {
        if (strcmp(name, role_names[i]) == 0) {
            return (enum api_role)i;
        }
    }
    return API_ROLE_NONE;
}

bool api_role_may(enum api_role has, enum api_role needed)
{
    static const unsigned holds[API_ROLES] = {
        [API_ROLE_VIEWER] = 1u << API_ROLE_VIEWER,
        [API_ROLE_OPERATOR] = 1u << API_ROLE_VIEWER | 1u << API_ROLE_OPERATOR,
        [API_ROLE_ADMIN] = 1u << API_ROLE_VIEWER | 1u << API_ROLE_OPERATOR | 1u << API_ROLE_ADMIN,
        [API_ROLE_DRILL] = 1u << API_ROLE_VIEWER | 1u << API_ROLE_DRILL};

    if (needed == API_ROLE_NONE) {
        return true;
    }
    return (unsigned)has < API_ROLES && (unsigned)needed < API_ROLES &&
           (holds[has] & 1u << needed) != 0;
}

/* Compares part by part; {id} takes any part that is not empty and not too long. */
static bool path_fits(const char *pattern, const char *path, char parameter[API_MAX_PARAMETER])
{
    parameter[0] = '\0';
    while (*pattern != '\0') {
        if (*pattern == '{') {
            size_t n = strcspn(path, "/");

            if (n == 0 || n >= API_MAX_PARAMETER) {
                return false;
            }
            memcpy(parameter, path, n);
            parameter[n] = '\0';
            path += n;
            pattern = strchr(pattern, '}') + 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

/* A path may have several methods. */
static void allow(struct api_call *call, const char *method)
{
    size_t n = strlen(call->allow);
    int more = snprintf(call->allow + n, sizeof call->allow - n, "%s%s", n > 0 ? ", " : "", method);

    HF_ASSERT(more > 0 && (size_t)more < sizeof call->allow - n);
}

const struct api_route *api_route_find(struct api_call *call, const char *method, const char *path)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;

    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (path_fits(routes[i].path, path, call->parameter)) {
            if (strcmp(routes[i].method, wanted) == 0) {
                call->allow[0] = '\0';
                return &routes[i];
            }
            allow(call, strcmp(routes[i].method, "GET") == 0 ? "GET, HEAD" : routes[i].method);
        }
    }
    if (call->allow[0] != '\0') {
        api_problem_set(&call->early, 405, "method-not-allowed",
                        "%.20s is not allowed here, only %s", method, call->allow);
    } else {
        api_problem_set(&call->early, 404, "no-such-path", "there is nothing at %.120s", path);
    }
    return NULL;
}
