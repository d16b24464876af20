/* /v1/cluster/tokens, /v1/cluster/join, /v1/cluster/recover, /v1/cluster/backup,
 * /v1/nodes/{id}/remove */
#include <string.h>

#include "api/internal.h"

/* POST /v1/cluster/tokens {"node": 4, "address": "10.0.0.4:7400", "valid_s": 3600} */
void api_post_token(struct api_call *call, const struct api_backend *backend)
{
    struct api_reader r = {0};
    struct api_token args = {0};
    const char *address;

    if (!api_body_object(call, &r.object)) {
        return;
    }
    args.node = (uint32_t)api_read_integer(&r, "node", 1, 65535);
    args.valid_s = (uint32_t)api_read_integer(&r, "valid_s", 1, 7 * 86400);
    address = api_read_text(&r, "address", true);
    if (api_read_end(&r) && strlen(address) >= sizeof args.address) {
        api_read_refuse(&r, "address", "bad-address", "that is no address with a port");
    }
    if (r.problem.status != 0) {
        api_call_problem(call, &r.problem);
    } else {
        memcpy(args.address, address, strlen(address) + 1);
        backend->make_token(backend->self, api_call_request(call), &args, &call->who);
    }
    json_decref(r.object);
}

/* POST /v1/cluster/join {"token": "..."} */
void api_post_join(struct api_call *call, const struct api_backend *backend)
{
    struct api_reader r = {0};
    const char *token;

    if (!api_body_object(call, &r.object)) {
        return;
    }
    token = api_read_text(&r, "token", true);
    if (!api_read_end(&r)) {
        api_call_problem(call, &r.problem);
    } else {
        backend->join(backend->self, api_call_request(call), token, &call->who);
    }
    json_decref(r.object);
}

/* POST /v1/cluster/recover {"lost": "2,3", "who": "alice", "why": "fire", "highest_id": 5} */
void api_post_recover(struct api_call *call, const struct api_backend *backend)
{
    struct api_reader r = {0};
    struct api_recover args = {0};

    if (!api_body_object(call, &r.object)) {
        return;
    }
    args.lost = api_read_text(&r, "lost", true);
    args.who = api_read_text(&r, "who", false);
    args.why = api_read_text(&r, "why", false);
    if (json_object_get(r.object, "highest_id") != NULL) {
        args.highest_id = (uint32_t)api_read_integer(&r, "highest_id", 1, 65535);
    }
    if (!api_read_end(&r)) {
        api_call_problem(call, &r.problem);
    } else {
        backend->recover(backend->self, api_call_request(call), &args, &call->who);
    }
    json_decref(r.object);
}

/* POST /v1/cluster/backup {} */
void api_post_backup(struct api_call *call, const struct api_backend *backend)
{
    if (api_body_empty(call))
        backend->back_up(backend->self, api_call_request(call), &call->who);
}

/* POST /v1/nodes/{id}/remove {} */
void api_post_remove(struct api_call *call, const struct api_backend *backend)
{
    uint32_t node;

    if (api_id_of(call, "node", &node) && api_body_empty(call))
        backend->remove_node(backend->self, api_call_request(call), node, &call->who);
}
