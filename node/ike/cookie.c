#include "ike/cookie.h"

static bool make(const struct ike_policy *policy, const struct ike_event *event,
                 struct span nonce_i, uint64_t spi_i, uint8_t id, const uint8_t *secret,
                 uint8_t out[IKE_COOKIE_BYTES])
{
    const struct suite_hash *hash = policy->suites->sha256;
    uint8_t spi[8] = {0};
    const struct span parts[] = {
        nonce_i, span_of(event->remote.ip.bytes, addr_len(&event->remote.ip)),
        span_of(spi, sizeof spi), span_of(secret, IKE_COOKIE_SECRET_BYTES)};

    HF_ASSERT(hash->out_bytes == IKE_COOKIE_BYTES - 1);
    put_be64(spi, spi_i);
    out[0] = id;
    return hash->compute(parts, sizeof parts / sizeof parts[0], out + 1);
}

bool ike_cookie_make(const struct ike_policy *policy, const struct ike_event *event,
                     struct span nonce_i, uint64_t spi_i, uint8_t out[IKE_COOKIE_BYTES])
{
    return event->cookie_secret != NULL &&
           make(policy, event, nonce_i, spi_i, event->cookie_secret_id, event->cookie_secret, out);
}

bool ike_cookie_holds(const struct ike_policy *policy, const struct ike_event *event,
                      struct span nonce_i, uint64_t spi_i, struct span cookie)
{
    uint8_t right[IKE_COOKIE_BYTES];
    const uint8_t *secret;

    if (cookie.len != IKE_COOKIE_BYTES)
        return false;
    if (cookie.data[0] == event->cookie_secret_id)
        secret = event->cookie_secret;
    else if (cookie.data[0] == (uint8_t)(event->cookie_secret_id - 1))
        secret = event->cookie_secret_previous;
    else
        return false;
    return secret != NULL && make(policy, event, nonce_i, spi_i, cookie.data[0], secret, right) &&
           secret_equal_bytes(right, cookie.data, sizeof right);
}
