/* The life of one HTTP request: made at its headers, answered by its handler or by the backend,
 * gone when its answer is out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"

static const char *title_of(unsigned status)
{
    const char *title = MHD_get_reason_phrase_for(status);

    return title != NULL ? title : "Error";
}

/* `detail` may quote the peer: what is not UTF-8 in it would make no JSON string. */
static json_t *problem_json(const struct api_problem *p)
{
    char type[80];
    json_t *detail = json_string(p->detail);

    (void)snprintf(type, sizeof type, "urn:holdfast:problem:%s", p->name);
    if (detail == NULL) {
        detail = json_string(p->name);
    }
    return json_pack("{s:s, s:s, s:i, s:o}", "type", type, "title", title_of(p->status), "status",
                     (int)p->status, "detail", detail);
}

struct api_call *api_call_create(struct api_server *server, struct MHD_Connection *connection)
{
    struct api_call *call = calloc(1, sizeof *call);

    if (call != NULL) {
        call->server = server;
        call->connection = connection;
    }
    return call;
}

void api_call_detach(struct api_call *call)
{
    if (call->request != NULL) {
        call->request->call = NULL;
        call->request = NULL;
    }
}

void api_call_destroy(struct api_call *call)
{
    HF_ASSERT(!call->waiting);
    api_call_detach(call);
    json_decref(call->answer);
    free(call->body);
    free(call);
}

void api_call_answer(struct api_call *call, unsigned status, json_t *body)
{
    HF_ASSERT(call->status == 0);
    call->status = status;
    call->answer = body != NULL ? body : json_object();
    if (call->waiting) {
        api_server_wake(call->server, call);
    }
}

void api_call_problem(struct api_call *call, const struct api_problem *problem)
{
    api_call_answer(call, problem->status, problem_json(problem));
}

struct api_request *api_call_request(struct api_call *call)
{
    struct api_request *request = calloc(1, sizeof *request);

    HF_ASSERT(request != NULL && call->request == NULL);
    request->call = call;
    call->request = request;
    return request;
}

void api_request_answer(struct api_request *request, json_t *body)
{
    struct api_call *call = request->call;

    free(request);
    if (call == NULL) {
        json_decref(body);
        return;
    }
    call->request = NULL;
    api_call_answer(call, MHD_HTTP_OK, body);
}

void api_request_refuse(struct api_request *request, const struct api_problem *problem)
{
    struct api_call *call = request->call;

    free(request);
    if (call == NULL) {
        return;
    }
    call->request = NULL;
    api_call_problem(call, problem);
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    HF_ASSERT(MHD_add_response_header(response, name, value) == MHD_YES);
}

enum MHD_Result api_call_queue(struct api_call *call)
{
    struct MHD_Response *response;
    enum MHD_Result result;
    char *text = json_dumps(call->answer, JSON_COMPACT | JSON_REAL_PRECISION(15));
    size_t len = text != NULL ? strlen(text) : 0;

    if (text == NULL) {
        return MHD_NO;
    }
    text[len] = '\n'; /* in place of the terminating zero: the length is given */
    response = MHD_create_response_from_buffer(len + 1, text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(text);
        return MHD_NO;
    }
    add_header(response, "Content-Type",
               call->status >= 400 ? "application/problem+json" : "application/json");
    add_header(response, "Cache-Control", "no-store");
    if (call->allow != NULL) {
        add_header(response, "Allow", call->allow);
    }
    result = MHD_queue_response(call->connection, call->status, response);
    MHD_destroy_response(response);
    call->queued = true;
    return result;
}
