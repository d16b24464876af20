/* /v1/reload */
#include "api/internal.h"

/* POST /v1/reload {} */
void api_post_reload(struct api_call *call, const struct api_backend *backend)
{
    if (api_body_empty(call))
        backend->reload(backend->self, api_call_request(call), &call->who);
}
