/* An answer becomes HTTP: status, headers, bytes. */
#include <stdio.h>
#include <string.h>

#include "api/http.h"

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    HF_ASSERT(MHD_add_response_header(response, name, value) == MHD_YES);
}

static void add_number(struct MHD_Response *response, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    add_header(response, name, text);
}

static const char *content_type(const struct api_call *call)
{
    return call->status >= 400 && call->plain == NULL ? "application/problem+json"
           : call->plain != NULL                      ? "text/plain; charset=utf-8"
           : call->media != NULL                      ? call->media
                                                      : "application/json";
}

static void add_headers(const struct api_exchange *ex, struct MHD_Response *response)
{
    const struct api_call *call = ex->call;

    if (!ex->not_modified) {
        add_header(response, "Content-Type", content_type(call));
    }
    add_header(response, "Cache-Control", call->etag[0] != '\0' ? "no-cache" : "no-store");
    add_header(response, "X-Content-Type-Options", "nosniff");
    add_header(response, "X-Request-Id", ex->id);
    if (call->etag[0] != '\0') {
        add_header(response, "ETag", call->etag);
    }
    if (call->carried) {
        add_number(response, "X-Holdfast-Index", call->index);
    }
    if (call->allow[0] != '\0') {
        add_header(response, "Allow", call->allow);
    }
    if (call->status == MHD_HTTP_UNAUTHORIZED) {
        add_header(response, "WWW-Authenticate", "Bearer realm=\"holdfast\"");
    }
    if (ex->retry_after_s != 0) {
        add_number(response, "Retry-After", ex->retry_after_s);
    }
    if (ex->replayed) {
        add_header(response, "Idempotency-Replayed", "true");
    }
}

static struct MHD_Response *make_response(struct api_exchange *ex)
{
    struct api_call *call = ex->call;

    if (call->watches && strcmp(ex->method, "HEAD") != 0) {
        return api_watch_response(ex);
    }
    if (!api_call_print(call)) {
        return NULL;
    }
    return ex->not_modified ? MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT)
                            : MHD_create_response_from_buffer(call->text_bytes, call->text,
                                                              MHD_RESPMEM_MUST_COPY);
}

enum MHD_Result api_exchange_respond(struct api_exchange *ex)
{
    struct MHD_Response *response;
    struct api_call *call;
    enum MHD_Result result;

    if (ex->call->watches && !api_watch_allow(ex)) {
        return MHD_NO;
    }
    call = ex->call;
    response = make_response(ex);
    if (response == NULL) {
        return MHD_NO;
    }
    add_headers(ex, response);
    result = MHD_queue_response(ex->connection,
                                ex->not_modified ? MHD_HTTP_NOT_MODIFIED : call->status, response);
    MHD_destroy_response(response);
    ex->queued = true;
    return result;
}
