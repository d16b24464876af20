/* Bearer tokens: "hf_<id>_<secret>", 12 and 64 hexadecimal digits in small letters. The id finds the
 * token, the secret proves it; what is kept is the secret's SHA-256. */
#include <string.h>
#include <strings.h>

#include <gnutls/crypto.h>

#include "api/http.h"
#include "base/hex.h"

enum { ID = API_BEARER_ID_BYTES - 1, SECRET = 64, SECRET_BYTES = SECRET / 2 };

static bool is_hex(const char *text, size_t n)
{
    return strspn(text, "0123456789abcdef") >= n;
}

bool api_bearer_parse(const char *header, char id[API_BEARER_ID_BYTES],
                      uint8_t hash[API_BEARER_HASH_BYTES])
{
    const char *text, *secret;
    uint8_t bytes[SECRET_BYTES];
    bool good;

    if (strncasecmp(header, "Bearer ", 7) != 0 || strlen(header) != 7 + API_BEARER_TEXT_BYTES - 1) {
        return false;
    }
    text = header + 7;
    secret = text + 3 + ID + 1;
    if (strncmp(text, "hf_", 3) != 0 || !is_hex(text + 3, ID) || secret[-1] != '_' ||
        !is_hex(secret, SECRET)) {
        return false;
    }
    (void)hex_get(secret, sizeof bytes, bytes);
    memcpy(id, text + 3, ID);
    id[ID] = '\0';
    good = gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, sizeof bytes, hash) == 0;
    gnutls_memset(bytes, 0, sizeof bytes);
    return good;
}

bool api_bearer_good(const struct api_bearer *kept, const uint8_t hash[API_BEARER_HASH_BYTES],
                     int64_t now_s)
{
    return gnutls_memcmp(kept->hash, hash, API_BEARER_HASH_BYTES) == 0 && !kept->revoked &&
           now_s < kept->expires_s;
}

static void look_up(struct api_call *call, const struct api_backend *backend)
{
    call->found = backend->bearers == NULL ? API_BEARER_UNKNOWN
                                           : backend->bearers->find(backend->bearers_self,
                                                                    call->bearer_id, &call->bearer);
    api_call_answer(call, MHD_HTTP_OK, NULL);
}

const struct api_route api_lookup = {.method = "", .path = "", .handle = look_up};
