/* The engine's view of the configuration. */
#include "config/internal.h"

static bool row_spoken(const struct suite_table *suites, const struct ike_proposal_row *row,
                       const char **missing)
{
    if (suite_find_aead(suites, row->encr_id, row->encr_bits, row->integ_id) == NULL) {
        *missing = transform_word(1, row->encr_id, row->encr_bits);
    } else if (row->prf_id != 0 && suite_find_prf(suites, row->prf_id) == NULL) {
        *missing = transform_word(2, row->prf_id, 0);
    } else if (row->ke_id != 0 && suite_find_ke(suites, row->ke_id) == NULL) {
        *missing = transform_word(4, row->ke_id, 0);
    } else {
        return true;
    }
    return false;
}

static bool has_row(const struct ike_proposal_row *rows, uint16_t n,
                    const struct ike_proposal_row *row)
{
    for (uint16_t i = 0; i < n; i++) {
        if (rows[i].encr_id == row->encr_id && rows[i].encr_bits == row->encr_bits &&
            rows[i].ke_id == row->ke_id && rows[i].esn == row->esn) {
            return true;
        }
    }
    return false;
}

static void add_esp(struct ike_policy *p, struct ike_proposal_row row)
{
    if (!has_row(p->esp, p->n_esp, &row)) {
        HF_ASSERT(p->n_esp < IKE_MAX_PROPOSALS);
        p->esp[p->n_esp++] = row;
    }
}

/* Does any connection rekey with a key exchange? */
static bool with_groups(const struct config *config)
{
    bool with = config->child.pfs != IKE_PFS_NEVER;

    for (size_t i = 0; i < config->n_connections; i++) {
        const struct config_connection *c = &config->connections[i];

        with = with || c->child.pfs != IKE_PFS_NEVER;
        for (size_t k = 0; k < c->n_children; k++) {
            with = with || c->children[k].terms.pfs != IKE_PFS_NEVER;
        }
    }
    return with;
}

/* Each ESP proposal gives a row with a group, for rekeys with PFS, and one without, for IKE_AUTH
 * and rekeys without it. A proposal that names no group takes the first IKE proposal's. */
static void make_esp_rows(const struct config *config, struct ike_policy *p)
{
    bool with = with_groups(config);

    for (size_t i = 0; i < config->n_esp_proposals && with; i++) {
        struct ike_proposal_row row = config->esp_proposals[i];

        row.ke_id = row.ke_id != 0 ? row.ke_id : config->ike_proposals[0].ke_id;
        add_esp(p, row);
    }
    for (size_t i = 0; i < config->n_esp_proposals; i++) {
        struct ike_proposal_row row = config->esp_proposals[i];

        row.ke_id = 0;
        add_esp(p, row);
    }
}

static void make_selectors(const struct config *config, struct ike_policy *p)
{
    for (size_t i = 0; i < config->n_networks; i++) {
        p->local_ts[i] = (struct ike_ts){.port_high = 65535,
                                         .low = prefix_first(&config->networks[i]),
                                         .high = prefix_last(&config->networks[i])};
    }
    p->n_local_ts = (uint8_t)config->n_networks;
    for (size_t i = 0; i < config->n_dns; i++) {
        p->dns[i] = config->dns[i];
    }
    p->n_dns = (uint8_t)config->n_dns;
}

bool config_policy(const struct config *config, const struct suite_table *suites,
                   struct ike_policy *policy, const char **missing)
{
    struct ike_policy p = {.suites = suites};

    for (size_t i = 0; i < config->n_ike_proposals; i++) {
        p.ike[p.n_ike++] = config->ike_proposals[i];
    }
    make_esp_rows(config, &p);
    for (uint16_t i = 0; i < p.n_ike; i++) {
        if (!row_spoken(suites, &p.ike[i], missing)) {
            return false;
        }
    }
    for (uint16_t i = 0; i < p.n_esp; i++) {
        if (!row_spoken(suites, &p.esp[i], missing)) {
            return false;
        }
    }
    make_selectors(config, &p);
    p.local_id = config->identity;
    p.psks = config->secrets;
    p.n_psks = (uint32_t)config->n_psks;
    p.ike_life = config->ike_life;
    p.child_life = config->child.life;
    p.pfs = config->child.pfs;
    p.pfs_every = config->child.pfs_every;
    p.align = config->child.align;
    p.spread = config->child.spread;
    p.overlap_ms = config->child.overlap_ms;
    p.connections = config->engine_connections;
    p.n_connections = (uint32_t)config->n_connections;
    p.retransmit_first_ms = config->retransmit_first_ms;
    p.retransmit_factor_milli = config->retransmit_factor_milli;
    p.retransmit_tries = config->retransmit_tries;
    p.retransmit_cap_ms = config->retransmit_cap_ms;
    p.dpd_ms = config->dpd_ms;
    p.keepalive_ms = config->keepalive_ms;
    p.half_open_ms = config->half_open_ms;
    p.linger_ms = config->linger_ms;
    p.force_encap = config->force_encapsulation;
    *policy = p;
    return true;
}
