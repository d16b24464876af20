/* /v1/attempts: what IKE attempts failed here, and why */
#include "api/internal.h"

void api_get_attempts(struct api_call *call, const struct api_backend *backend)
{
    const struct api_query *q = &call->query;
    struct api_attempts_query query = {
        .below = q->page.after, .limit = q->page.limit, .peer = q->peer, .identity = q->identity};
    struct api_problem problem = {0};
    json_t *body = backend->attempts(backend->self, &query, &problem);

    api_call_give(call, body, &problem);
}

void api_get_attempt(struct api_call *call, const struct api_backend *backend)
{
    struct api_problem problem = {0};
    uint64_t id = 0;
    json_t *body = NULL;

    if (!api_parse_hex(call->parameter, 16, &id)) {
        api_problem_set(&problem, 404, "unknown-attempt",
                        "'%.40s' is no attempt: an id is 16 hexadecimal digits", call->parameter);
    } else {
        body = backend->attempt(backend->self, id, &problem);
    }
    api_call_give(call, body, &problem);
}
