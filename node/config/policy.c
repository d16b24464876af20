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

struct rows {
    struct ike_proposal_row *row;
    uint16_t n;
};

static void add_row(struct rows *rows, const struct ike_proposal_row *row)
{
    HF_ASSERT(rows->n < IKE_MAX_PROPOSALS); /* proposal_check() saw to it */
    rows->row[rows->n++] = *row;
}

/* One row for each group; none named: one with group 0. */
static void add_groups(struct rows *rows, struct ike_proposal_row row,
                       const struct config_transforms *ke)
{
    for (size_t i = 0; i < ke->n; i++) {
        row.ke_id = ke->items[i].id;
        add_row(rows, &row);
    }
}

/* Calls for each cipher with its integrity and PRF, the first ones first. */
static void add_proposal(struct rows *rows, const struct config_proposal *p,
                         void (*add)(struct rows *, struct ike_proposal_row,
                                     const struct config_transforms *),
                         const struct config_transforms *ke)
{
    static const struct config_transforms none = {.n = 1}; /* transform 0 */
    const struct config_transforms *integ = p->integ.n > 0 ? &p->integ : &none,
                                   *prf = p->prf.n > 0 ? &p->prf : &none;

    for (size_t e = 0; e < p->encr.n; e++) {
        for (size_t i = 0; i < integ->n; i++) {
            for (size_t f = 0; f < prf->n; f++) {
                add(rows,
                    (struct ike_proposal_row){.encr_id = p->encr.items[e].id,
                                              .encr_bits = p->encr.items[e].key_bits,
                                              .integ_id = integ->items[i].id,
                                              .prf_id = prf->items[f].id,
                                              .esn = p->esn},
                    ke);
            }
        }
    }
}

/* Named groups first, then a row with none: for IKE_AUTH and rekeys without KE; with KE it means the
 * IKE SA's own group. */
static void add_groups_then_none(struct rows *rows, struct ike_proposal_row row,
                                 const struct config_transforms *ke)
{
    add_groups(rows, row, ke);
    add_row(rows, &row);
}

/* No group was named: the IKE SA's own first, then any that IKE may have. */
static void add_none_then_groups(struct rows *rows, struct ike_proposal_row row,
                                 const struct config_transforms *ke)
{
    add_row(rows, &row);
    add_groups(rows, row, ke);
}

/* All groups that the IKE proposals name. */
static struct config_transforms ike_groups(const struct config *config)
{
    struct config_transforms all = {0};

    for (size_t i = 0; i < config->n_ike_proposals; i++) {
        const struct config_transforms *ke = &config->ike_proposals[i].ke;

        for (size_t k = 0; k < ke->n; k++) {
            bool there = false;

            for (size_t m = 0; m < all.n; m++) {
                there = there || all.items[m].id == ke->items[k].id;
            }
            if (!there && all.n < CONFIG_MAX_OF_KIND) {
                all.items[all.n++] = ke->items[k];
            }
        }
    }
    return all;
}

static bool make_rows(const struct config *config, struct ike_policy *p, const char **missing)
{
    struct config_transforms groups = ike_groups(config);
    struct rows ike = {.row = p->ike}, esp = {.row = p->esp};

    for (size_t i = 0; i < config->n_ike_proposals; i++) {
        add_proposal(&ike, &config->ike_proposals[i], add_groups, &config->ike_proposals[i].ke);
    }
    for (size_t i = 0; i < config->n_esp_proposals; i++) {
        const struct config_proposal *e = &config->esp_proposals[i];

        if (e->ke.n > 0) {
            add_proposal(&esp, e, add_groups_then_none, &e->ke);
        } else {
            add_proposal(&esp, e, add_none_then_groups, &groups);
        }
    }
    p->n_ike = ike.n;
    p->n_esp = esp.n;
    for (uint16_t i = 0; i < ike.n; i++) {
        if (!row_spoken(p->suites, &ike.row[i], missing)) {
            return false;
        }
    }
    for (uint16_t i = 0; i < esp.n; i++) {
        if (!row_spoken(p->suites, &esp.row[i], missing)) {
            return false;
        }
    }
    return true;
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

    if (!make_rows(config, &p, missing)) {
        return false;
    }
    make_selectors(config, &p);
    p.local_id = config->identity;
    p.psks = config->secrets;
    p.n_psks = (uint32_t)config->n_psks;
    if (config->credentials != NULL) {
        struct ike_credentials *c = credentials_view(config->credentials);

        c->for_psk = config->psk_clients_get == CONFIG_PSK_GETS_CERTIFICATE;
        c->legacy_rsa_sha1 = config->legacy_rsa_sha1;
        p.credentials = c;
    }
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
    p.unanswered_ms = IKE_UNANSWERED_MS;
    p.dpd_ms = config->dpd_ms;
    p.keepalive_ms = config->keepalive_ms;
    p.half_open_ms = config->half_open_ms;
    p.linger_ms = config->linger_ms;
    p.force_encap = config->force_encapsulation;
    *policy = p;
    return true;
}
