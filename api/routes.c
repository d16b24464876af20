/* Which method and path leads to which handler. One row a route; the first path that fits decides.
 */
#include <string.h>

#include "api/internal.h"

static const struct api_route routes[] = {
    {"GET", "/v1/cluster", api_get_cluster},
    {"POST", "/v1/cluster/leader", api_post_leader},
    {"POST", "/v1/cluster/tokens", api_post_token},
    {"POST", "/v1/cluster/join", api_post_join},
    {"POST", "/v1/cluster/recover", api_post_recover},
    {"POST", "/v1/cluster/backup", api_post_backup},
    {"POST", "/v1/cluster/keys", api_post_keys},
    {"GET", "/v1/sas", api_get_sas},
    {"POST", "/v1/sas/{id}/rekey", api_post_rekey},
    {"POST", "/v1/shards/{id}/handover", api_post_handover},
    {"POST", "/v1/nodes/{id}/drain", api_post_drain},
    {"POST", "/v1/nodes/{id}/remove", api_post_remove},
    {"POST", "/v1/drills/arm", api_post_arm},
    {"POST", "/v1/reload", api_post_reload},
};

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

const struct api_route *api_route_find(struct api_call *call, const char *method, const char *path)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;

    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (path_fits(routes[i].path, path, call->parameter)) {
            if (strcmp(routes[i].method, wanted) == 0) {
                return &routes[i];
            }
            call->allow = strcmp(routes[i].method, "GET") == 0 ? "GET, HEAD" : routes[i].method;
        }
    }
    if (call->allow != NULL) {
        api_problem_set(&call->early, 405, "method-not-allowed",
                        "%.20s is not allowed here, only %s", method, call->allow);
    } else {
        api_problem_set(&call->early, 404, "no-such-path", "there is nothing at %.120s", path);
    }
    return NULL;
}
