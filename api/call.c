/* The life of one operation: made by a request, answered by its handler or by the backend, kept
 * while anyone still wants its answer. */
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
    char type[80], docs[80];
    json_t *detail = json_string(p->detail), *out;

    (void)snprintf(type, sizeof type, "urn:holdfast:problem:%s", p->name);
    (void)snprintf(docs, sizeof docs, "/v1/problems/%s", p->name);
    if (detail == NULL) {
        detail = json_string(p->name);
    }
    out = json_pack("{s:s, s:s, s:i, s:O, s:s}", "type", type, "title", title_of(p->status),
                    "status", (int)p->status, "detail", detail, "docs", docs);
    if (p->pointer[0] != '\0') {
        json_t *pointer = json_string(p->pointer);

        if (pointer != NULL) {
            json_object_set_new(out, "errors",
                                json_pack("[{s:o, s:O}]", "pointer", pointer, "detail", detail));
        }
    }
    json_decref(detail);
    return out;
}

struct api_call *api_call_create(void)
{
    struct api_call *call = calloc(1, sizeof *call);

    if (call != NULL) {
        call->refs = 1;
    }
    return call;
}

void api_call_hold(struct api_call *call)
{
    call->refs++;
}

void api_call_detach(struct api_call *call)
{
    if (call->request != NULL) {
        call->request->call = NULL;
        call->request = NULL;
    }
}

void api_call_release(struct api_call *call)
{
    if (call == NULL || --call->refs > 0) {
        return;
    }
    HF_ASSERT(!call->away && call->waiters == NULL);
    api_call_detach(call);
    json_decref(call->answer);
    json_decref(call->json);
    free(call->body);
    free(call->text);
    free(call);
}

void api_call_answer(struct api_call *call, unsigned status, json_t *body)
{
    HF_ASSERT(call->status == 0);
    call->status = status;
    call->answer = body != NULL ? body : json_object();
    if (call->waits) {
        api_cross_return(call);
    }
}

void api_call_problem(struct api_call *call, const struct api_problem *problem)
{
    api_call_answer(call, problem->status, problem_json(problem));
}

void api_call_give(struct api_call *call, json_t *body, const struct api_problem *problem)
{
    if (body == NULL) {
        api_call_problem(call, problem);
    } else {
        api_call_answer(call, MHD_HTTP_OK, body);
    }
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

bool api_call_print(struct api_call *call)
{
    const char *ready = call->plain != NULL ? call->plain : call->ready_json;

    if (call->text != NULL) {
        return true;
    }
    call->text = ready != NULL ? strdup(ready)
                               : json_dumps(call->answer, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (call->text == NULL) {
        return false;
    }
    call->text_bytes = strlen(call->text);
    if (call->plain == NULL) {
        call->text[call->text_bytes++] = '\n'; /* in place of the zero: the length is given */
    }
    return true;
}

bool api_call_matches(struct api_call *call, const char *etag)
{
    struct api_problem p;

    if (call->if_match[0] == '\0') {
        api_problem_set(
            &p, 428, "precondition-required",
            "say with If-Match which version you change: its ETag is in the answer to a GET");
    } else if (strcmp(call->if_match, "*") == 0 ? etag[0] == '\0'
                                                : strcmp(call->if_match, etag) != 0) {
        api_problem_set(&p, 412, "precondition-failed",
                        "it has changed since: read it again, then decide again");
    } else {
        return true;
    }
    api_call_problem(call, &p);
    return false;
}
