/* /v1/shards and /v1/nodes */
#include "api/internal.h"

bool api_id_of(struct api_call *call, const char *what, uint32_t *id)
{
    struct api_problem problem;
    json_int_t v = 0;

    for (const char *c = call->parameter; *c >= '0' && *c <= '9' && v <= 65535; c++) {
        v = v * 10 + (*c - '0');
        if (c[1] == '\0' && v >= 1 && v <= 65535 && call->parameter[0] != '0') {
            *id = (uint32_t)v;
            return true;
        }
    }
    api_problem_set(&problem, 404, "unknown-id", "'%.40s' is no %s: a number from 1 to 65535",
                    call->parameter, what);
    api_call_problem(call, &problem);
    return false;
}

/* POST /v1/shards/{id}/handover {"to": 2} */
void api_post_handover(struct api_call *call, const struct api_backend *backend)
{
    struct api_reader r = {0};
    struct api_move args = {0};

    if (!api_id_of(call, "shard", &args.shard) || !api_body_object(call, &r.object)) {
        return;
    }
    args.to = (uint32_t)api_read_integer(&r, "to", 1, 65535);
    if (!api_read_end(&r)) {
        api_call_problem(call, &r.problem);
    } else {
        backend->move_shard(backend->self, api_call_request(call), &args, &call->who);
    }
    json_decref(r.object);
}

/* POST /v1/nodes/{id}/drain {"drained": true|false} */
void api_post_drain(struct api_call *call, const struct api_backend *backend)
{
    struct api_reader r = {0};
    struct api_drain args = {0};
    int drained;

    if (!api_id_of(call, "node", &args.node) || !api_body_object(call, &r.object)) {
        return;
    }
    drained = api_read_bool(&r, "drained");
    if (api_read_end(&r) && drained < 0) {
        api_read_refuse(&r, "drained", "missing-member", "'drained' must be true or false");
    }
    args.drained = drained == 1;
    if (r.problem.status != 0) {
        api_call_problem(call, &r.problem);
    } else {
        backend->drain_node(backend->self, api_call_request(call), &args, &call->who);
    }
    json_decref(r.object);
}
