/* /livez, /readyz: for supervisors, load balancers and routing daemons. Plain text, 200 or 503. */
#include "api/internal.h"

/* The control loop turns: this runs on it. */
void api_get_livez(struct api_call *call, const struct api_backend *backend)
{
    (void)backend;
    call->plain = "ok\n";
    api_call_answer(call, MHD_HTTP_OK, NULL);
}

/* This node can serve clients. */
void api_get_readyz(struct api_call *call, const struct api_backend *backend)
{
    struct api_problem problem = {0};

    if (backend->ready(backend->self, &problem)) {
        call->plain = "ok\n";
        api_call_answer(call, MHD_HTTP_OK, NULL);
    } else {
        api_call_problem(call, &problem);
    }
}
