#include "ike/proposal.h"

enum { INTEG_NONE = 0, KE_NONE = 0, ESN_NO = 0, ESN_YES = 1, FIRST_ESP_SPI = 256 };

bool ike_proposal_esp_usable(const struct ike_policy *policy, const struct ike_proposal_row *row)
{
    return suite_find_aead(policy->suites, row->encr_id, row->encr_bits, row->integ_id) != NULL;
}

bool ike_proposal_ike_usable(const struct ike_policy *policy, const struct ike_proposal_row *row)
{
    return ike_proposal_esp_usable(policy, row) &&
           suite_find_prf(policy->suites, row->prf_id) != NULL &&
           suite_find_ke(policy->suites, row->ke_id) != NULL;
}

static bool has_type(const struct wire_sa *sa, const struct wire_proposal *p, uint8_t type)
{
    for (size_t i = 0; i < p->n; i++)
        if (sa->transforms[p->first + i].type == type)
            return true;
    return false;
}

/* A transform with an attribute that is not understood is not there (RFC 7296 3.3.6). */
static bool has(const struct wire_sa *sa, const struct wire_proposal *p, uint8_t type, uint16_t id,
                uint16_t key_bits)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct wire_transform *t = &sa->transforms[p->first + i];

        if (t->type == type && t->id == id && t->key_bits == key_bits && !t->unknown_attribute)
            return true;
    }
    return false;
}

/* What makes a proposal of this kind acceptable whatever the row: protocol, SPI, only types that
 * the protocol knows (3.3.6). */
static bool well_formed(const struct wire_sa *sa, const struct wire_proposal *p, uint8_t protocol,
                        size_t spi_bytes)
{
    if (p->protocol != protocol || p->spi.len != spi_bytes)
        return false;
    for (size_t i = 0; i < p->n; i++) {
        uint8_t type = sa->transforms[p->first + i].type;
        bool right = protocol == WIRE_PROTO_IKE ? type != WIRE_TR_ESN : type != WIRE_TR_PRF;

        if (type < WIRE_TR_ENCR || type > WIRE_TR_ESN || !right)
            return false;
    }
    return true;
}

/* A combined mode comes without integrity, or with NONE (RFC 7296 3.3.3, RFC 5282 8); any other
 * cipher with the row's. */
static bool cipher_matches(const struct wire_sa *sa, const struct wire_proposal *p,
                           const struct ike_proposal_row *row)
{
    if (!has(sa, p, WIRE_TR_ENCR, row->encr_id, row->encr_bits))
        return false;
    return has(sa, p, WIRE_TR_INTEG, row->integ_id, 0) ||
           (row->integ_id == INTEG_NONE && !has_type(sa, p, WIRE_TR_INTEG));
}

static bool ike_matches(const struct wire_sa *sa, const struct wire_proposal *p,
                        const struct ike_proposal_row *row)
{
    return cipher_matches(sa, p, row) && has(sa, p, WIRE_TR_PRF, row->prf_id, 0) &&
           has(sa, p, WIRE_TR_KE, row->ke_id, 0);
}

static struct ike_choice choice_of(const struct wire_sa *sa, const struct wire_proposal *p,
                                   const struct ike_proposal_row *row)
{
    return (struct ike_choice){.number = p->number,
                               .spi = p->spi,
                               .row = *row,
                               .integ_none =
                                   row->integ_id == INTEG_NONE && has_type(sa, p, WIRE_TR_INTEG)};
}

bool ike_proposal_choose_ike(const struct ike_policy *policy, const struct wire_sa *offer,
                             size_t spi_bytes, struct ike_choice *out)
{
    for (size_t r = 0; r < policy->n_ike; r++) {
        if (!ike_proposal_ike_usable(policy, &policy->ike[r]))
            continue;
        for (size_t i = 0; i < offer->n_proposals; i++) {
            const struct wire_proposal *p = &offer->proposals[i];

            if (well_formed(offer, p, WIRE_PROTO_IKE, spi_bytes) &&
                ike_matches(offer, p, &policy->ike[r])) {
                *out = choice_of(offer, p, &policy->ike[r]);
                return true;
            }
        }
    }
    return false;
}

/* group 0: the proposal must do without a key exchange. */
static bool esp_matches(const struct wire_sa *sa, const struct wire_proposal *p,
                        const struct ike_proposal_row *row, uint16_t group, bool *esn)
{
    bool no_ke = !has_type(sa, p, WIRE_TR_KE) || has(sa, p, WIRE_TR_KE, KE_NONE, 0);

    if (!well_formed(sa, p, WIRE_PROTO_ESP, 4) || get_be32(p->spi.data) < FIRST_ESP_SPI)
        return false;
    if (!cipher_matches(sa, p, row))
        return false;
    if (group != 0 ? !has(sa, p, WIRE_TR_KE, group, 0) : !no_ke)
        return false;
    *esn = row->esn && has(sa, p, WIRE_TR_ESN, ESN_YES, 0);
    return *esn || has(sa, p, WIRE_TR_ESN, ESN_NO, 0);
}

static bool choose_esp(const struct ike_policy *policy, const struct wire_sa *offer, bool with_ke,
                       uint16_t default_ke, struct ike_choice *out)
{
    for (size_t r = 0; r < policy->n_esp; r++) {
        struct ike_proposal_row row = policy->esp[r];

        row.ke_id = !with_ke ? 0 : row.ke_id != 0 ? row.ke_id : default_ke;
        if (!ike_proposal_esp_usable(policy, &row) ||
            (with_ke && suite_find_ke(policy->suites, row.ke_id) == NULL))
            continue;
        for (size_t i = 0; i < offer->n_proposals; i++) {
            const struct wire_proposal *p = &offer->proposals[i];
            bool esn;

            if (esp_matches(offer, p, &row, row.ke_id, &esn)) {
                row.esn = esn;
                *out = choice_of(offer, p, &row);
                out->ke_none = !with_ke && has_type(offer, p, WIRE_TR_KE);
                return true;
            }
        }
    }
    return false;
}

bool ike_proposal_choose_esp(const struct ike_policy *policy, const struct wire_sa *offer,
                             enum ike_child_ke ke, uint16_t default_ke, struct ike_choice *out)
{
    if (ke != IKE_CHILD_KE_NONE && choose_esp(policy, offer, true, default_ke, out))
        return true;
    return ke != IKE_CHILD_KE_REQUIRED && choose_esp(policy, offer, false, default_ke, out);
}

uint16_t ike_proposal_first_ke(const struct ike_policy *policy)
{
    for (size_t r = 0; r < policy->n_ike; r++)
        if (ike_proposal_ike_usable(policy, &policy->ike[r]))
            return policy->ike[r].ke_id;
    return 0;
}

uint16_t ike_proposal_child_ke(const struct ike_policy *policy, uint16_t default_ke)
{
    for (size_t r = 0; r < policy->n_esp; r++) {
        const struct ike_proposal_row *row = &policy->esp[r];
        uint16_t group = row->ke_id != 0 ? row->ke_id : default_ke;

        if (ike_proposal_esp_usable(policy, row) && suite_find_ke(policy->suites, group) != NULL)
            return group;
    }
    return 0;
}

bool ike_proposal_ike_ke_allowed(const struct ike_policy *policy, uint16_t ke_id)
{
    for (size_t r = 0; r < policy->n_ike; r++)
        if (policy->ike[r].ke_id == ke_id && ike_proposal_ike_usable(policy, &policy->ike[r]))
            return true;
    return false;
}

bool ike_proposal_child_ke_allowed(const struct ike_policy *policy, uint16_t default_ke,
                                   uint16_t ke_id)
{
    if (suite_find_ke(policy->suites, ke_id) == NULL)
        return false;
    for (size_t r = 0; r < policy->n_esp; r++) {
        uint16_t group = policy->esp[r].ke_id != 0 ? policy->esp[r].ke_id : default_ke;

        if (group == ke_id && ike_proposal_esp_usable(policy, &policy->esp[r]))
            return true;
    }
    return false;
}

/* An answer: one proposal, and no transform type twice (RFC 7296 2.7). */
static bool is_single(const struct wire_sa *answer)
{
    const struct wire_proposal *p = &answer->proposals[0];

    if (answer->n_proposals != 1)
        return false;
    for (size_t i = 0; i < p->n; i++)
        for (size_t j = 0; j < i; j++)
            if (answer->transforms[i].type == answer->transforms[j].type)
                return false;
    return true;
}

bool ike_proposal_accept_ike(const struct ike_policy *policy, const struct wire_sa *answer,
                             size_t spi_bytes, uint16_t ke_id, struct ike_choice *out)
{
    struct ike_choice choice;

    if (!is_single(answer) || !ike_proposal_choose_ike(policy, answer, spi_bytes, &choice) ||
        choice.row.ke_id != ke_id)
        return false;
    *out = choice;
    return true;
}

bool ike_proposal_accept_esp(const struct ike_policy *policy, const struct wire_sa *answer,
                             uint16_t ke_id, struct ike_choice *out)
{
    struct ike_choice choice;
    enum ike_child_ke ke = ke_id != 0 ? IKE_CHILD_KE_REQUIRED : IKE_CHILD_KE_NONE;

    if (!is_single(answer) || !ike_proposal_choose_esp(policy, answer, ke, ke_id, &choice) ||
        choice.row.ke_id != ke_id)
        return false;
    *out = choice;
    return true;
}

void ike_proposal_answer(uint8_t protocol, const struct ike_choice *choice, struct span spi_local,
                         struct wire_sa *out)
{
    const struct ike_proposal_row *row = &choice->row;

    memset(out, 0, sizeof *out);
    wire_sa_add_proposal(out, choice->number, protocol, spi_local);
    wire_sa_add_transform(out, WIRE_TR_ENCR, row->encr_id, row->encr_bits);
    if (protocol == WIRE_PROTO_IKE)
        wire_sa_add_transform(out, WIRE_TR_PRF, row->prf_id, 0);
    if (row->integ_id != INTEG_NONE || choice->integ_none)
        wire_sa_add_transform(out, WIRE_TR_INTEG, row->integ_id, 0);
    if (row->ke_id != 0 || choice->ke_none)
        wire_sa_add_transform(out, WIRE_TR_KE, row->ke_id, 0);
    if (protocol == WIRE_PROTO_ESP)
        wire_sa_add_transform(out, WIRE_TR_ESN, row->esn ? ESN_YES : ESN_NO, 0);
}

uint32_t ike_spi32(struct span spi)
{
    HF_ASSERT(spi.len == 4);
    return get_be32(spi.data);
}

uint64_t ike_spi64(struct span spi)
{
    HF_ASSERT(spi.len == 8);
    return get_be64(spi.data);
}
