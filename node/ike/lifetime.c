#include "ike/lifetime.h"

#include "base/bytes.h"
#include "base/number.h"
#include "ike/connection.h"

enum { RETRY_MIN_MS = 5000, RETRY_SPREAD_MS = 10000 };
enum { ENCR_CHACHA20_POLY1305 = 28 };

/* Without ESN the sequence number is the limit; with it nobody gets there, and GCM's invocation
 * count is the sequence number. */
static const uint64_t packets_without_esn = (1ull << 32) - IKE_CHILD_PACKET_RESERVE;
static const uint64_t packets_with_esn = 1ull << 62;

/* A cipher of 128-bit blocks is told from random after q blocks with a probability of about
 * q^2 / 2^129 (CBC, CTR and GCM alike; NIST SP 800-38D, draft-irtf-cfrg-aead-limits 5.1). 2^42
 * blocks keep that below 2^-45. They are 2^46 bytes; the half of it, because trailer and padding
 * at most double a small packet. */
static const uint64_t bytes_of_block_cipher = 1ull << 45;

uint64_t ike_lifetime_cipher_bytes(uint16_t encr_id)
{
    /* ChaCha20 is no permutation: nothing but the count of packets limits it (RFC 8439 4). */
    return encr_id == ENCR_CHACHA20_POLY1305 ? UINT64_MAX : bytes_of_block_cipher;
}

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

/* How far the soft limit may move to earlier. In a crowd: by as much as the SAs that follow live
 * until their own rekey, so that these follow evenly, without a gap and without an overlap. */
static uint64_t spread_of(const struct ike_lifetime *life, uint64_t whole, bool crowded)
{
    uint64_t jitter = share(whole, life->jitter_percent);
    uint64_t theirs = share(whole, life->rekey_at_percent);

    return crowded ? theirs - number_smaller(jitter / 2, theirs) : jitter;
}

/* Where in `whole` the soft limit lies, jitter taken off. */
static uint64_t soft_share(const struct ike_lifetime *life, enum ike_begun begun, uint64_t whole,
                           const struct ike_start *start)
{
    uint32_t percent =
        begun == IKE_BY_US ? life->rekey_at_percent : life->rekey_at_responder_percent;
    uint64_t soft = share(whole, percent), spread = spread_of(life, whole, start->crowded);
    uint64_t jitter = spread == 0 ? 0 : get_be64(start->entropy) % (spread + 1);

    return jitter >= soft ? 1 : soft - jitter;
}

uint64_t ike_lifetime_soft_ms(const struct ike_lifetime *life, enum ike_begun begun,
                              const struct ike_start *start)
{
    if (life->hard_ms == 0)
        return UINT64_MAX;
    return add(start->now_ms, soft_share(life, begun, life->hard_ms, start));
}

uint64_t ike_lifetime_hard_ms(const struct ike_lifetime *life, uint64_t now_ms)
{
    return life->hard_ms == 0 ? UINT64_MAX : add(now_ms, life->hard_ms);
}

void ike_lifetime_start_sa(const struct ike_policy *policy, struct ike_sa *sa, enum ike_begun begun,
                           const struct ike_start *start)
{
    const struct ike_connection *c = ike_connection_of(policy, sa);
    const struct ike_lifetime *life = ike_connection_life(policy, sa);
    struct ike_start apart = *start;

    apart.crowded = start->crowded && (c == NULL ? policy->spread : c->child.spread);
    sa->created_ms = start->now_ms;
    sa->soft_ms = ike_lifetime_soft_ms(life, begun, &apart);
    sa->hard_ms = ike_lifetime_hard_ms(life, start->now_ms);
    sa->retry_ms = 0;
}

/* A configured soft limit by a count: where we began the SA it begins there, where the peer did later
 * by the same factor as by time (P6: a count runs at both ends alike, so two ends with one
 * configuration would begin at the same packet), but not past the middle between the limits. */
static uint64_t counted_soft(const struct ike_lifetime *life, enum ike_begun begun, uint64_t soft,
                             uint64_t hard, const struct ike_start *start)
{
    uint64_t later = life->rekey_at_percent == 0
                         ? 0
                         : soft / life->rekey_at_percent * life->rekey_at_responder_percent +
                               soft % life->rekey_at_percent * life->rekey_at_responder_percent /
                                   life->rekey_at_percent;
    uint64_t spread = share(soft, life->jitter_percent);

    if (begun == IKE_BY_PEER && later > soft)
        soft = number_smaller(later, soft + (hard - soft) / 2);
    return soft - (spread == 0 ? 0 : get_be64(start->entropy) % (spread + 1));
}

/* Limits by a count, of packets or of bytes: as configured, within what the algorithm bears. */
static void limits(const struct ike_lifetime *life, enum ike_begun begun, uint64_t most,
                   const struct ike_start *start, uint64_t *soft, uint64_t *hard)
{
    if (*hard == 0 || *hard > most)
        *hard = most;
    if (*soft == 0 || *soft >= *hard)
        *soft = soft_share(life, begun, *hard, start);
    else
        *soft = counted_soft(life, begun, *soft, *hard, start);
}

void ike_lifetime_start_child(const struct ike_child_terms *terms, struct ike_child *child,
                              const struct ike_start *start)
{
    const struct ike_lifetime *life = &terms->life;
    struct ike_start alone = *start, apart = *start;

    alone.crowded = false; /* a count says nothing of when */
    apart.crowded = start->crowded && terms->spread;
    child->created_ms = start->now_ms;
    child->soft_ms = ike_lifetime_soft_ms(life, child->begun, &apart);
    child->hard_ms = ike_lifetime_hard_ms(life, start->now_ms);
    child->soft_packets = life->soft_packets;
    child->hard_packets = life->hard_packets;
    limits(life, child->begun, child->esn ? packets_with_esn : packets_without_esn, &alone,
           &child->soft_packets, &child->hard_packets);
    child->soft_bytes = life->soft_bytes;
    child->hard_bytes = life->hard_bytes;
    limits(life, child->begun, ike_lifetime_cipher_bytes(child->encr_id), &alone,
           &child->soft_bytes, &child->hard_bytes);
    if (child->hard_bytes == UINT64_MAX)
        child->soft_bytes = child->hard_bytes = 0; /* none */
    child->retry_ms = 0;
    child->soft_reached = false;
}

uint64_t ike_lifetime_retry_ms(const uint8_t entropy[8])
{
    return RETRY_MIN_MS + get_be64(entropy) % RETRY_SPREAD_MS;
}
