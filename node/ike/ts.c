#include "ike/ts.h"

enum { PORT_MAX = 65535 };

static int compare(const struct ip_addr *a, const struct ip_addr *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

/* States are compared byte by byte, so padding is zero everywhere. */
static struct ike_ts blank(void)
{
    struct ike_ts ts;

    memset(&ts, 0, sizeof ts);
    return ts;
}

static struct ike_ts from_wire(const struct wire_ts *w)
{
    struct ike_ts ts = blank();

    ts.protocol = w->protocol;
    ts.port_low = w->port_low;
    ts.port_high = w->port_high;
    ts.low = w->low;
    ts.high = w->high;
    return ts;
}

/* False: nothing in common. OPAQUE ports (low above high) meet nothing: we select by ports only
 * where they can be seen. */
static bool intersect(const struct ike_ts *a, const struct ike_ts *b, struct ike_ts *out)
{
    struct ike_ts ts = blank();

    if (a->protocol != 0 && b->protocol != 0 && a->protocol != b->protocol)
        return false;
    if (a->low.family != b->low.family || a->port_low > a->port_high || b->port_low > b->port_high)
        return false;
    ts.protocol = a->protocol != 0 ? a->protocol : b->protocol;
    ts.port_low = a->port_low > b->port_low ? a->port_low : b->port_low;
    ts.port_high = a->port_high < b->port_high ? a->port_high : b->port_high;
    ts.low = compare(&a->low, &b->low) > 0 ? a->low : b->low;
    ts.high = compare(&a->high, &b->high) < 0 ? a->high : b->high;
    if (ts.port_low > ts.port_high || compare(&ts.low, &ts.high) > 0)
        return false;
    *out = ts;
    return true;
}

static bool contains(const struct ike_ts *outer, const struct ike_ts *inner)
{
    return (outer->protocol == 0 || outer->protocol == inner->protocol) &&
           outer->low.family == inner->low.family && inner->port_low <= inner->port_high &&
           outer->port_low <= inner->port_low && inner->port_high <= outer->port_high &&
           compare(&outer->low, &inner->low) <= 0 && compare(&inner->high, &outer->high) <= 0;
}

/* Adds ts unless it says nothing new; drops what it covers. The list keeps its order and its bound.
 */
static void add(struct ike_ts list[IKE_MAX_TS], uint8_t *n, const struct ike_ts *ts)
{
    uint8_t kept = 0;

    for (uint8_t i = 0; i < *n; i++)
        if (contains(&list[i], ts))
            return;
    for (uint8_t i = 0; i < *n; i++)
        if (!contains(ts, &list[i]))
            list[kept++] = list[i];
    if (kept < IKE_MAX_TS)
        list[kept++] = *ts;
    *n = kept;
}

bool ike_ts_narrow(const struct ike_ts *allowed, size_t n_allowed, const struct wire_ts_list *offer,
                   struct ike_ts out[IKE_MAX_TS], uint8_t *n_out)
{
    struct ike_ts list[IKE_MAX_TS] = {0};
    uint8_t n = 0;

    for (size_t i = 0; i < n_allowed; i++)
        for (size_t j = 0; j < offer->n; j++) {
            const struct ike_ts wanted = from_wire(&offer->items[j]);
            struct ike_ts both;

            if (intersect(&allowed[i], &wanted, &both))
                add(list, &n, &both);
        }
    if (n == 0)
        return false;
    memcpy(out, list, n * sizeof list[0]);
    *n_out = n;
    return true;
}

bool ike_ts_rekey(const struct ike_ts *old, size_t n_old, const struct wire_ts_list *offer,
                  struct ike_ts out[IKE_MAX_TS], uint8_t *n_out)
{
    return ike_ts_narrow(old, n_old, offer, out, n_out);
}

bool ike_ts_accept(const struct ike_ts *offered, size_t n_offered,
                   const struct wire_ts_list *answer, struct ike_ts out[IKE_MAX_TS], uint8_t *n_out)
{
    struct ike_ts list[IKE_MAX_TS];

    if (answer->n == 0 || answer->n > IKE_MAX_TS || answer->skipped)
        return false;
    for (size_t i = 0; i < answer->n; i++) {
        bool inside = false;

        list[i] = from_wire(&answer->items[i]);
        for (size_t j = 0; j < n_offered; j++)
            inside = inside || contains(&offered[j], &list[i]);
        if (!inside)
            return false;
    }
    memcpy(out, list, answer->n * sizeof list[0]);
    *n_out = (uint8_t)answer->n;
    return true;
}

bool ike_ts_inside(const struct ike_ts *inner, size_t n_inner, const struct ike_ts *outer,
                   size_t n_outer)
{
    for (size_t i = 0; i < n_inner; i++) {
        bool inside = false;

        for (size_t j = 0; j < n_outer; j++)
            inside = inside || contains(&outer[j], &inner[i]);
        if (!inside)
            return false;
    }
    return n_inner > 0;
}

struct ike_ts ike_ts_any(uint8_t family)
{
    struct ike_ts ts = blank();

    ts.port_high = PORT_MAX;
    ts.low.family = family;
    ts.high.family = family;
    memset(ts.high.bytes, 0xff, addr_len(&ts.high));
    return ts;
}

struct ike_ts ike_ts_host(const struct ip_addr *ip)
{
    struct ike_ts ts = blank();

    ts.port_high = PORT_MAX;
    ts.low = *ip;
    ts.high = *ip;
    return ts;
}

/* The virtual addresses that there are; how many. */
static uint8_t hosts_of(const struct ike_sa *sa, struct ike_ts out[IKE_MAX_TS])
{
    uint8_t n = 0;

    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        if (addr_is_set(&sa->virtual_ip[slot]))
            out[n++] = ike_ts_host(&sa->virtual_ip[slot]);
    return n;
}

/* Of the families that a client has, or asks for as long as it has none. */
static void everything(const struct ike_policy *policy, const struct ike_sa *sa,
                       struct ike_ts out[IKE_MAX_TS], uint8_t *n_out)
{
    const bool asks[ADDR_SLOTS] = {policy->request_address, policy->request_address6};
    bool has = addr_is_set(&sa->virtual_ip[SLOT_V4]) || addr_is_set(&sa->virtual_ip[SLOT_V6]);

    *n_out = 0;
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        if (has ? addr_is_set(&sa->virtual_ip[slot]) : asks[slot])
            out[(*n_out)++] = ike_ts_any(addr_family_of(slot));
}

void ike_ts_allowed(const struct ike_policy *policy, const struct ike_sa *sa,
                    struct ike_ts local[IKE_MAX_TS], uint8_t *n_local,
                    struct ike_ts remote[IKE_MAX_TS], uint8_t *n_remote)
{
    uint8_t n_virtual = hosts_of(sa, remote);

    if (policy->request_address || policy->request_address6) {
        everything(policy, sa, remote, n_remote);
        *n_local = hosts_of(sa, local);
        if (*n_local == 0)
            everything(policy, sa, local, n_local);
        return;
    }
    HF_ASSERT(policy->n_local_ts <= IKE_MAX_TS);
    memcpy(local, policy->local_ts, policy->n_local_ts * sizeof local[0]);
    *n_local = policy->n_local_ts;
    *n_remote = n_virtual;
    if (n_virtual == 0)
        remote[(*n_remote)++] = ike_ts_host(&sa->remote.ip);
}

static uint8_t keep_families(struct ike_ts *ts, uint8_t n, const bool keep[ADDR_SLOTS])
{
    uint8_t kept = 0;

    for (uint8_t i = 0; i < n; i++)
        if (keep[addr_slot(ts[i].low.family)])
            ts[kept++] = ts[i];
    memset(&ts[kept], 0, (size_t)(n - kept) * sizeof ts[0]);
    return kept;
}

bool ike_ts_match_families(struct ike_ts local[IKE_MAX_TS], uint8_t *n_local,
                           struct ike_ts remote[IKE_MAX_TS], uint8_t *n_remote)
{
    bool at_local[ADDR_SLOTS] = {false}, at_remote[ADDR_SLOTS] = {false};

    for (uint8_t i = 0; i < *n_local; i++)
        at_local[addr_slot(local[i].low.family)] = true;
    for (uint8_t i = 0; i < *n_remote; i++)
        at_remote[addr_slot(remote[i].low.family)] = true;
    *n_local = keep_families(local, *n_local, at_remote);
    *n_remote = keep_families(remote, *n_remote, at_local);
    return *n_local > 0 && *n_remote > 0;
}

void ike_ts_to_wire(const struct ike_ts *ts, size_t n, struct wire_ts_list *out)
{
    HF_ASSERT(n <= WIRE_MAX_TS);
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < n; i++)
        out->items[i] = (struct wire_ts){.protocol = ts[i].protocol,
                                         .port_low = ts[i].port_low,
                                         .port_high = ts[i].port_high,
                                         .low = ts[i].low,
                                         .high = ts[i].high};
    out->n = n;
}
