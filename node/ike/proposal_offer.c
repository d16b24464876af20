/* What we offer: the policy's rows as few proposals. A proposal with several transforms of a kind
 * offers all their combinations (RFC 7296 3.3), so rows go into one as long as every combination is
 * a row too. Their order is kept: in the proposals, and of the transforms of a kind.
 *
 *   aes256gcm16 - prfsha256 - x25519   ┐
 *   aes256gcm16 - prfsha256 - ecp384   ├─> one proposal: 2 ciphers, 1 PRF, 2 groups
 *   aes128gcm16 - prfsha256 - x25519   │
 *   aes128gcm16 - prfsha256 - ecp384   ┘
 */
#include "ike/proposal.h"

enum kind { ENCR, PRF, INTEG, KE, KINDS };
enum { MAX_VALUES = 16 };

struct rows {
    struct ike_proposal_row row[2 * IKE_MAX_PROPOSALS]; /* for ESP each may stand with two groups */
    size_t n;
};

/* A proposal under construction. */
struct bundle {
    uint32_t values[KINDS][MAX_VALUES];
    size_t n[KINDS];
    bool esn;
};

static uint32_t value(const struct ike_proposal_row *row, enum kind kind)
{
    switch (kind) {
    case ENCR:
        return (uint32_t)row->encr_id << 16 | row->encr_bits;
    case PRF:
        return row->prf_id;
    case INTEG:
        return row->integ_id;
    case KE:
    case KINDS:
    default:
        return row->ke_id;
    }
}

static bool has_value(const struct bundle *b, enum kind kind, uint32_t v)
{
    for (size_t i = 0; i < b->n[kind]; i++)
        if (b->values[kind][i] == v)
            return true;
    return false;
}

static bool holds(const struct bundle *b, const struct ike_proposal_row *row)
{
    for (enum kind k = ENCR; k < KINDS; k++)
        if (!has_value(b, k, value(row, k)))
            return false;
    return b->esn == row->esn;
}

/* False: another kind of proposal, or full. */
static bool add(struct bundle *b, const struct ike_proposal_row *row)
{
    for (enum kind k = ENCR; k < KINDS; k++) {
        uint32_t v = value(row, k);

        if (has_value(b, k, v))
            continue;
        if (b->n[k] == MAX_VALUES)
            return false;
        b->values[k][b->n[k]++] = v;
    }
    return b->esn == row->esn;
}

/* Is every combination a row? The rows are distinct, so counting them tells. */
static bool all_are_rows(const struct bundle *b, const struct rows *rows)
{
    size_t combinations = 1, found = 0;

    for (enum kind k = ENCR; k < KINDS; k++)
        combinations *= b->n[k];
    for (size_t i = 0; i < rows->n; i++)
        found += holds(b, &rows->row[i]);
    return found == combinations;
}

static void add_distinct(struct rows *rows, const struct ike_proposal_row *row)
{
    for (size_t i = 0; i < rows->n; i++) {
        bool same = rows->row[i].esn == row->esn;

        for (enum kind k = ENCR; k < KINDS; k++)
            same = same && value(&rows->row[i], k) == value(row, k);
        if (same)
            return;
    }
    rows->row[rows->n++] = *row;
}

/* Beyond the bounds of an SA payload (wire/sa.h) the least preferred proposals are left out. */
static void put(struct wire_sa *out, const struct bundle *b, uint8_t protocol, struct span spi)
{
    size_t transforms = b->n[ENCR] + b->n[PRF] + b->n[INTEG] + b->n[KE] + 2;

    if (out->n_proposals == WIRE_MAX_PROPOSALS ||
        out->n_transforms + transforms > WIRE_MAX_TRANSFORMS)
        return;
    wire_sa_add_proposal(out, (uint8_t)(out->n_proposals + 1), protocol, spi);
    for (size_t i = 0; i < b->n[ENCR]; i++)
        wire_sa_add_transform(out, WIRE_TR_ENCR, (uint16_t)(b->values[ENCR][i] >> 16),
                              (uint16_t)b->values[ENCR][i]);
    for (size_t i = 0; i < b->n[PRF]; i++)
        if (b->values[PRF][i] != 0)
            wire_sa_add_transform(out, WIRE_TR_PRF, (uint16_t)b->values[PRF][i], 0);
    for (size_t i = 0; i < b->n[INTEG]; i++)
        if (b->values[INTEG][i] != 0)
            wire_sa_add_transform(out, WIRE_TR_INTEG, (uint16_t)b->values[INTEG][i], 0);
    for (size_t i = 0; i < b->n[KE]; i++)
        if (b->values[KE][i] != 0)
            wire_sa_add_transform(out, WIRE_TR_KE, (uint16_t)b->values[KE][i], 0);
    if (protocol != WIRE_PROTO_ESP)
        return;
    if (b->esn) /* both, the preferred one first (3.3.2) */
        wire_sa_add_transform(out, WIRE_TR_ESN, 1, 0);
    wire_sa_add_transform(out, WIRE_TR_ESN, 0, 0);
}

static void offer(const struct rows *rows, uint8_t protocol, struct span spi, struct wire_sa *out)
{
    struct bundle b = {0};

    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < rows->n; i++) {
        struct bundle grown = b;

        if (b.n[ENCR] > 0 && add(&grown, &rows->row[i]) && all_are_rows(&grown, rows)) {
            b = grown;
            continue;
        }
        if (b.n[ENCR] > 0)
            put(out, &b, protocol, spi);
        b = (struct bundle){.esn = rows->row[i].esn};
        (void)add(&b, &rows->row[i]);
    }
    if (b.n[ENCR] > 0)
        put(out, &b, protocol, spi);
}

void ike_proposal_offer_ike(const struct ike_policy *policy, struct span spi_local,
                            struct wire_sa *out)
{
    struct rows rows = {.n = 0};

    for (size_t r = 0; r < policy->n_ike; r++)
        if (ike_proposal_ike_usable(policy, &policy->ike[r]))
            add_distinct(&rows, &policy->ike[r]);
    offer(&rows, WIRE_PROTO_IKE, spi_local, out);
}

/* Rows with this group instead of their own (own false), or those that name another one. */
static void add_esp_rows(const struct ike_policy *policy, uint16_t ke_id, bool own,
                         struct rows *rows)
{
    for (size_t r = 0; r < policy->n_esp; r++) {
        struct ike_proposal_row row = policy->esp[r];

        if (own && (row.ke_id == 0 || row.ke_id == ke_id))
            continue;
        row.prf_id = 0;
        row.ke_id = own ? row.ke_id : ke_id;
        if (ike_proposal_esp_usable(policy, &row))
            add_distinct(rows, &row);
    }
}

void ike_proposal_offer_esp(const struct ike_policy *policy, struct span spi_local, uint16_t ke_id,
                            struct wire_sa *out)
{
    struct rows rows = {.n = 0};

    add_esp_rows(policy, ke_id, false, &rows);
    if (ke_id != 0) /* what the peer may ask for instead, by INVALID_KE_PAYLOAD */
        add_esp_rows(policy, ke_id, true, &rows);
    offer(&rows, WIRE_PROTO_ESP, spi_local, out);
}
