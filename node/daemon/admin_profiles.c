/* Profiles for clients, of the policy in force here. */
#include <stdlib.h>

#include "daemon/client_profile.h"
#include "daemon/internal.h"

static void refuse(struct api_request *request, enum client_refusal refusal, const char *why)
{
    if (refusal == CLIENT_UNKNOWN)
        admin_refuse(request, 404, "unknown-identity", why);
    else if (refusal == CLIENT_UNFIT)
        admin_refuse(request, 409, "client-unfit", why);
    else
        admin_refuse(request, 422, "wrong-value", why);
}

static void make(void *self, struct api_request *request, const struct api_profile *args,
                 const struct api_asker *who)
{
    struct daemon *d = self;
    const struct config *config = d->policy->config != NULL ? d->policy->config : d->config;
    enum client_kind kind = client_kind_of(args->kind);
    struct client_profile made = {0};
    char why[CLIENT_WHY_BYTES];
    enum client_refusal refusal;
    struct api_asker asker;

    if (kind == CLIENT_KINDS) {
        admin_refuse(request, 422, "wrong-value",
                     "'kind' must be swanctl, apple, windows, android or networkmanager");
        return;
    }
    refusal =
        client_profile(config, &d->policy->policy, kind, args->identity, args->server, &made, why);
    if (refusal != CLIENT_MADE) {
        refuse(request, refusal, why);
        return;
    }
    asker = admin_asker(who);
    log_line(d->log, LOG_INFO, "api", "profile %s for %s made for %s", args->kind, args->identity,
             asker.principal);
    api_request_answer(request,
                       json_pack("{s:s,s:s,s:s,s:s}", "kind", args->kind, "file", made.file,
                                 "media_type", made.media_type, "text", made.text));
    free(made.text);
}

void admin_profiles_fill(struct api_backend *b)
{
    b->profile = make;
}
