/* /v1/cluster/keys */
#include "api/internal.h"

/* POST /v1/cluster/keys {} */
void api_post_keys(struct api_call *call, const struct api_backend *backend)
{
    if (api_body_empty(call))
        backend->rotate_keys(backend->self, api_call_request(call), &call->who);
}
