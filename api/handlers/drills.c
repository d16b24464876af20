/* /v1/drills */
#include <string.h>

#include "api/internal.h"

/* POST /v1/drills/arm {"point": "child-rekey-pfs:gateway:submitted", "mode": "process"|"machine"}
 */
void api_post_arm(struct api_call *call, const struct api_backend *backend)
{
    struct api_reader r = {0};
    struct api_arm args = {0};
    const char *point, *mode;

    if (!api_body_object(call, &r.object)) {
        return;
    }
    point = api_read_text(&r, "point", true);
    mode = api_read_text(&r, "mode", true);
    if (api_read_end(&r)) {
        size_t n = strlen(point);

        if (n == 0 || n >= sizeof args.point ||
            strspn(point, "abcdefghijklmnopqrstuvwxyz0123456789-:") != n) {
            api_read_refuse(
                &r, "point", "wrong-value",
                "'point' must be exchange:role:point, such as child-rekey:gateway:sent");
        } else if (strcmp(mode, "process") != 0 && strcmp(mode, "machine") != 0) {
            api_read_refuse(&r, "mode", "wrong-value", "'mode' must be \"process\" or \"machine\"");
        } else {
            memcpy(args.point, point, n + 1);
        }
        args.mode = strcmp(mode, "machine") == 0 ? API_ARM_MACHINE : API_ARM_PROCESS;
    }
    if (r.problem.status != 0) {
        api_call_problem(call, &r.problem);
    } else {
        backend->arm(backend->self, api_call_request(call), &args, &call->who);
    }
    json_decref(r.object);
}
