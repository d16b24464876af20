/* /v1/tokens: who may ask without a certificate */
#include <stdio.h>
#include <string.h>

#include "api/internal.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@-";

void api_get_tokens(struct api_call *call, const struct api_backend *backend)
{
    struct api_problem problem = {0};
    json_t *body = backend->tokens(backend->self, &call->query.page, &problem);

    api_call_give(call, body, &problem);
}

/* The members of {"name": "ci", "role": "viewer", "valid_s": 86400}. */
static bool read_token(struct api_reader *r, struct api_new_bearer *args)
{
    const char *name = api_read_text(r, "name", true), *role = api_read_text(r, "role", true);

    args->valid_s = (uint32_t)api_read_integer(r, "valid_s", 1, API_BEARER_MOST_S);
    if (!api_read_end(r)) {
        return false;
    }
    args->role = api_role_of(role);
    if (name[0] == '\0' || strlen(name) >= sizeof args->name ||
        strspn(name, letters) != strlen(name)) {
        api_read_refuse(r, "name", "wrong-value",
                        "'name' must have 1 to %zu letters, digits or . _ @ -",
                        sizeof args->name - 1);
    } else if (args->role == API_ROLE_NONE) {
        api_read_refuse(r, "role", "wrong-value",
                        "'role' must be viewer, operator, admin or drill: %.40s is none of them",
                        role);
    } else {
        memcpy(args->name, name, strlen(name) + 1);
    }
    return r->problem.status == 0;
}

void api_post_tokens(struct api_call *call, const struct api_backend *backend)
{
    struct api_reader r = {0};
    struct api_new_bearer args = {0};

    if (!api_body_object(call, &r.object)) {
        return;
    }
    if (!read_token(&r, &args)) {
        api_call_problem(call, &r.problem);
    } else {
        backend->add_token(backend->self, api_call_request(call), &args, &call->who);
    }
    json_decref(r.object);
}

/* The token of the path, with its version as a tag. NULL: the call was answered. */
static json_t *find(struct api_call *call, const struct api_backend *backend, uint64_t *version,
                    char tag[API_MAX_TAG])
{
    struct api_problem problem = {0};
    json_t *token = backend->token(backend->self, call->parameter, version, &problem);

    if (token == NULL) {
        api_call_problem(call, &problem);
    } else {
        (void)snprintf(tag, API_MAX_TAG, "\"%016llx\"", (unsigned long long)*version);
    }
    return token;
}

void api_get_token(struct api_call *call, const struct api_backend *backend)
{
    uint64_t version = 0;
    json_t *token = find(call, backend, &version, call->etag);

    if (token != NULL) {
        api_call_answer(call, MHD_HTTP_OK, token);
    }
}

void api_delete_token(struct api_call *call, const struct api_backend *backend)
{
    char tag[API_MAX_TAG];
    uint64_t version = 0;
    json_t *token = find(call, backend, &version, tag);

    if (token != NULL && api_call_matches(call, tag)) {
        backend->remove_token(backend->self, api_call_request(call), call->parameter, version,
                              &call->who);
    }
    json_decref(token);
}
