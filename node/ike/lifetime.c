#include "ike/lifetime.h"

#include "base/bytes.h"

enum { RETRY_MIN_MS = 5000, RETRY_SPREAD_MS = 10000 };

/* Without ESN the sequence number is the limit; with it nobody gets there, and GCM's invocation
 * count is the sequence number. */
static const uint64_t packets_without_esn = (1ull << 32) - IKE_CHILD_PACKET_RESERVE;
static const uint64_t packets_with_esn = 1ull << 62;

/* value * percent / 100 without overflow; percent above 100 counts as 100. */
static uint64_t share(uint64_t value, uint32_t percent)
{
    if (percent >= 100)
        return value;
    return value / 100 * percent + value % 100 * percent / 100;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Where in `whole` the soft limit lies, jitter taken off. */
static uint64_t soft_share(const struct ike_lifetime *life, enum ike_begun begun, uint64_t whole,
                           const uint8_t entropy[8])
{
    uint32_t percent =
        begun == IKE_BY_US ? life->rekey_at_percent : life->rekey_at_responder_percent;
    uint64_t soft = share(whole, percent), spread = share(whole, life->jitter_percent);
    uint64_t jitter = spread == 0 ? 0 : get_be64(entropy) % (spread + 1);

    return jitter >= soft ? 1 : soft - jitter;
}

uint64_t ike_lifetime_soft_ms(const struct ike_lifetime *life, enum ike_begun begun,
                              uint64_t now_ms, const uint8_t entropy[8])
{
    if (life->hard_ms == 0)
        return UINT64_MAX;
    return add(now_ms, soft_share(life, begun, life->hard_ms, entropy));
}

uint64_t ike_lifetime_hard_ms(const struct ike_lifetime *life, uint64_t now_ms)
{
    return life->hard_ms == 0 ? UINT64_MAX : add(now_ms, life->hard_ms);
}

void ike_lifetime_start_sa(const struct ike_policy *policy, struct ike_sa *sa, enum ike_begun begun,
                           uint64_t now_ms, const uint8_t entropy[8])
{
    sa->created_ms = now_ms;
    sa->soft_ms = ike_lifetime_soft_ms(&policy->ike_life, begun, now_ms, entropy);
    sa->hard_ms = ike_lifetime_hard_ms(&policy->ike_life, now_ms);
    sa->retry_ms = 0;
}

void ike_lifetime_start_child(const struct ike_policy *policy, struct ike_child *child,
                              uint64_t now_ms, const uint8_t entropy[8])
{
    const struct ike_lifetime *life = &policy->child_life;
    uint64_t most = child->esn ? packets_with_esn : packets_without_esn;

    child->created_ms = now_ms;
    child->soft_ms = ike_lifetime_soft_ms(life, child->begun, now_ms, entropy);
    child->hard_ms = ike_lifetime_hard_ms(life, now_ms);
    child->hard_packets =
        life->hard_packets == 0 || life->hard_packets > most ? most : life->hard_packets;
    child->soft_packets = life->soft_packets == 0 || life->soft_packets > child->hard_packets
                              ? soft_share(life, child->begun, child->hard_packets, entropy)
                              : life->soft_packets;
    child->retry_ms = 0;
    child->soft_reached = false;
}

uint64_t ike_lifetime_retry_ms(const uint8_t entropy[8])
{
    return RETRY_MIN_MS + get_be64(entropy) % RETRY_SPREAD_MS;
}
