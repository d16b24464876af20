/* /v1/doctor */
#include "api/internal.h"

void api_get_doctor(struct api_call *call, const struct api_backend *backend)
{
    struct api_problem problem = {0};
    json_t *body = backend->doctor(backend->self, &problem);

    api_call_give(call, body, &problem);
}
