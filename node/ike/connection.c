#include "ike/connection.h"

#include "ike/timer.h"
#include "ike/ts.h"

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool same_bytes(const uint8_t *a, const uint8_t *b, size_t n, bool exact)
{
    for (size_t i = 0; i < n; i++)
        if (exact ? a[i] != b[i] : lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool ike_pattern_matches(const struct ike_pattern *p, const struct ike_identity *id)
{
    enum { FQDN = 2, RFC822 = 3 };
    bool exact = p->type != FQDN && p->type != RFC822;

    if (p->type == 0)
        return true;
    if (p->type != id->type || id->len < p->len || (!p->suffix && id->len != p->len) ||
        (p->suffix && id->len == p->len))
        return false;
    return same_bytes(id->bytes + id->len - p->len, p->bytes, p->len, exact);
}

void ike_connection_choose(const struct ike_policy *policy, struct ike_sa *sa)
{
    sa->connection = 0;
    for (uint32_t i = 0; i < policy->n_connections; i++)
        for (uint8_t k = 0; k < policy->connections[i].n_peers; k++)
            if (ike_pattern_matches(&policy->connections[i].peers[k], &sa->remote_id)) {
                sa->connection = policy->connections[i].id;
                return;
            }
}

const struct ike_connection *ike_connection_of(const struct ike_policy *policy,
                                               const struct ike_sa *sa)
{
    for (uint32_t i = 0; sa->connection != 0 && i < policy->n_connections; i++)
        if (policy->connections[i].id == sa->connection)
            return &policy->connections[i];
    return NULL;
}

const struct ike_lifetime *ike_connection_life(const struct ike_policy *policy,
                                               const struct ike_sa *sa)
{
    const struct ike_connection *c = ike_connection_of(policy, sa);

    return c == NULL ? &policy->ike_life : &c->ike_life;
}

struct ike_child_terms ike_connection_terms(const struct ike_policy *policy,
                                            const struct ike_sa *sa, const struct ike_ts *local_ts,
                                            uint8_t n_local_ts)
{
    const struct ike_connection *c = ike_connection_of(policy, sa);

    if (c == NULL)
        return (struct ike_child_terms){.life = policy->child_life,
                                        .pfs = policy->pfs,
                                        .pfs_every = policy->pfs_every,
                                        .align = policy->align,
                                        .spread = policy->spread,
                                        .overlap_ms = policy->overlap_ms};
    for (uint8_t i = 0; i < c->n_overrides; i++)
        if (ike_ts_inside(local_ts, n_local_ts, c->overrides[i].local_ts,
                          c->overrides[i].n_local_ts))
            return c->overrides[i].terms;
    return c->child;
}

uint64_t ike_connection_overlap_ms(const struct ike_policy *policy,
                                   const struct ike_child_terms *terms)
{
    return terms->overlap_ms != 0 ? terms->overlap_ms : ike_retransmit_total_ms(policy);
}
