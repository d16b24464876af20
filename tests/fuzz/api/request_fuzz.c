/* What stands in an HTTP request's headers and is read before anybody is known: a bearer token. And who is
 * known is held to his role: for any role and any route, nothing but the matrix decides.
 *
 *   role 1 | route 1 | rest: the header Authorization, and Last-Event-ID
 */
#include <stdlib.h>
#include <string.h>

#include "api/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_role(uint8_t role, uint8_t which)
{
    size_t n;
    const struct api_route *routes = api_routes(&n), *r = &routes[which % n];
    bool may = api_role_may((enum api_role)role, r->role);

    HF_ASSERT(!may || r->role == API_ROLE_NONE || (role > API_ROLE_NONE && role < API_ROLES));
    HF_ASSERT(r->role != API_ROLE_DRILL || may == (role == API_ROLE_DRILL));
    HF_ASSERT(r->role != API_ROLE_ADMIN || may == (role == API_ROLE_ADMIN));
}

/* An id has one text, and every text is refused or is that one. */
static void check_event_id(const char *text)
{
    struct api_event_id id = {1, 2, 3};
    char back[API_EVENT_ID_BYTES];

    if (api_event_id_parse(text, &id))
        HF_ASSERT(strcmp(api_event_id_text(&id, back), text) == 0);
    else
        HF_ASSERT(id.incarnation == 1 && id.index == 2 && id.n == 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char id[API_BEARER_ID_BYTES];
    uint8_t hash[API_BEARER_HASH_BYTES];
    struct api_bearer kept = {.expires_s = 100};
    char *header;

    if (size < 2)
        return 0;
    check_role(data[0], data[1]);
    header = strndup((const char *)data + 2, size - 2);
    HF_ASSERT(header != NULL);
    check_event_id(header);
    if (api_bearer_parse(header, id, hash)) {
        HF_ASSERT(strlen(id) == API_BEARER_ID_BYTES - 1 &&
                  strlen(header) == 7 + API_BEARER_TEXT_BYTES - 1);
        memcpy(kept.hash, hash, sizeof hash);
        HF_ASSERT(api_bearer_good(&kept, hash, 99) && !api_bearer_good(&kept, hash, 100));
        kept.hash[data[0] % 32] ^= 1;
        HF_ASSERT(!api_bearer_good(&kept, hash, 99));
    }
    free(header);
    return 0;
}
