/* /metrics: OpenMetrics text, made by the backend. */
#include "api/internal.h"
#include "api/openmetrics.h"

void api_get_metrics(struct api_call *call, const struct api_backend *backend)
{
    call->text = backend->metrics(backend->self, &call->text_bytes);
    call->media = OPENMETRICS_TYPE;
    api_call_answer(call, MHD_HTTP_OK, NULL);
}
