/* /v1/sas */
#include <string.h>

#include "api/internal.h"

void api_get_sas(struct api_call *call, const struct api_backend *backend)
{
    struct api_problem problem = {0};
    json_t *body = backend->sas(backend->self, &call->query.page, &problem);

    api_call_give(call, body, &problem);
}

/* The members of {"kind": "child"|"ike", "child": "SPI_IN hex", "pfs": bool}. */
static bool read_rekey(struct api_reader *r, struct api_rekey *args)
{
    const char *kind = api_read_text(r, "kind", true), *child = api_read_text(r, "child", false);
    int pfs = api_read_bool(r, "pfs");
    uint64_t spi = 0;

    if (!api_read_end(r)) {
        return false;
    }
    args->pfs = pfs < 0 ? API_PFS_POLICY : pfs == 1 ? API_PFS_YES : API_PFS_NO;
    args->kind = strcmp(kind, "ike") == 0 ? API_REKEY_IKE : API_REKEY_CHILD;
    if (args->kind == API_REKEY_CHILD && strcmp(kind, "child") != 0) {
        api_read_refuse(r, "kind", "wrong-value", "'kind' must be \"child\" or \"ike\"");
    } else if (child != NULL && !api_parse_hex(child, 8, &spi)) {
        api_read_refuse(r, "child", "wrong-value",
                        "'child' must be the SPI as 8 hexadecimal digits");
    } else if (args->kind == API_REKEY_IKE && (child != NULL || pfs >= 0)) {
        api_read_refuse(
            r, child != NULL ? "child" : "pfs", "wrong-value",
            "'child' and 'pfs' belong to kind \"child\": an IKE rekey always has a key exchange");
    }
    args->child_spi_in = (uint32_t)spi;
    return r->problem.status == 0;
}

/* POST /v1/sas/{id}/rekey */
void api_post_rekey(struct api_call *call, const struct api_backend *backend)
{
    struct api_reader r = {0};
    struct api_rekey args = {0};

    if (!api_parse_hex(call->parameter, 16, &args.sa_id)) {
        api_problem_set(&r.problem, 404, "unknown-sa",
                        "'%.40s' is no SA: an id is 16 hexadecimal digits", call->parameter);
        api_call_problem(call, &r.problem);
        return;
    }
    if (!api_body_object(call, &r.object)) {
        return;
    }
    if (!read_rekey(&r, &args)) {
        api_call_problem(call, &r.problem);
    } else {
        backend->rekey(backend->self, api_call_request(call), &args);
    }
    json_decref(r.object);
}
