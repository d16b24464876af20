/* POST /v1/profiles {"kind": "swanctl", "identity": "alice@example.org", "server": "vpn.example.org"} */
#include "api/internal.h"

void api_post_profiles(struct api_call *call, const struct api_backend *backend)
{
    struct api_reader r = {0};
    struct api_profile args = {0};

    if (!api_body_object(call, &r.object)) {
        return;
    }
    args.kind = api_read_text(&r, "kind", true);
    args.identity = api_read_text(&r, "identity", true);
    args.server = api_read_text(&r, "server", false);
    if (!api_read_end(&r)) {
        api_call_problem(call, &r.problem);
    } else {
        backend->profile(backend->self, api_call_request(call), &args, &call->who);
    }
    json_decref(r.object);
}
