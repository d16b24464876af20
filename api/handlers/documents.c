/* /v1/openapi.json and /v1/problems/{name}: what this interface is. */
#include <string.h>

#include "api/internal.h"
#include "api/openapi.h"

/* The document as it was built in; its ETag is of its bytes. */
void api_get_openapi(struct api_call *call, const struct api_backend *backend)
{
    (void)backend;
    call->ready_json = api_openapi_json;
    (void)snprintf(
        call->etag, sizeof call->etag, "\"%016llx\"",
        (unsigned long long)span_fnv1a64(span_of(api_openapi_json, strlen(api_openapi_json))));
    api_call_answer(call, MHD_HTTP_OK, NULL);
}

void api_get_problem(struct api_call *call, const struct api_backend *backend)
{
    const char *meaning = api_problem_meaning(call->parameter);
    struct api_problem p;

    (void)backend;
    if (meaning == NULL) {
        api_problem_set(&p, 404, "unknown-problem", "there is no problem of the name '%.40s'",
                        call->parameter);
        api_call_problem(call, &p);
        return;
    }
    api_call_answer(call, MHD_HTTP_OK,
                    json_pack("{s:s, s:s}", "name", call->parameter, "meaning", meaning));
}
