/* /v1/cluster/keys */
#include "api/internal.h"

/* POST /v1/cluster/keys {} */
void api_post_keys(struct api_call *call, const struct api_backend *backend)
{
    struct api_reader r = {0};

    if (!api_body_object(call, &r.object)) {
        return;
    }
    if (!api_read_end(&r)) {
        api_call_problem(call, &r.problem);
    } else {
        backend->rotate_keys(backend->self, api_call_request(call));
    }
    json_decref(r.object);
}
