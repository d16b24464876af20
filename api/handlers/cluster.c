/* /v1/cluster */
#include "api/internal.h"

void api_get_cluster(struct api_call *call, const struct api_backend *backend)
{
    struct api_problem problem = {0};
    json_t *body = backend->cluster(backend->self, &problem);

    api_call_give(call, body, &problem);
}

/* POST /v1/cluster/leader {"node": 2} */
void api_post_leader(struct api_call *call, const struct api_backend *backend)
{
    struct api_reader r = {0};
    json_int_t node;

    if (!api_body_object(call, &r.object)) {
        return;
    }
    node = api_read_integer(&r, "node", 1, 65535);
    if (!api_read_end(&r)) {
        api_call_problem(call, &r.problem);
    } else {
        backend->transfer_leader(backend->self, api_call_request(call), (uint32_t)node);
    }
    json_decref(r.object);
}
