/* Why an offer is refused, in words that tell the operator what to change: a stock client that
 * offers nothing but what RFC 8247 says must not be used any more (Windows: modp1024) is not
 * misconfigured at our end. */
#include "ike/proposal.h"

enum { MAX_WEAK = 12 };

/* RFC 8247 2.1-2.4, RFC 8221 5, 6: MUST NOT and SHOULD NOT, 3DES with them; ended by 0. */
static const uint16_t weak_encr[MAX_WEAK] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11};
static const uint16_t weak_prf[MAX_WEAK] = {1, 2, 3};
static const uint16_t weak_integ[MAX_WEAK] = {1, 2, 3, 4, 6, 7};
static const uint16_t weak_ke[MAX_WEAK] = {1, 2, 5, 22};

static bool offers(const struct wire_sa *sa, const struct wire_proposal *p, uint8_t type,
                   uint16_t id, uint16_t bits)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct wire_transform *t = &sa->transforms[p->first + i];

        if (t->type == type && t->id == id && t->key_bits == bits)
            return true;
    }
    return false;
}

static bool offers_any(const struct wire_sa *sa, const struct wire_proposal *p, uint8_t type,
                       const uint16_t ids[MAX_WEAK])
{
    for (size_t i = 0; i < p->n; i++) {
        const struct wire_transform *t = &sa->transforms[p->first + i];

        for (size_t k = 0; k < MAX_WEAK && ids[k] != 0; k++)
            if (t->type == type && t->id == ids[k])
                return true;
    }
    return false;
}

struct verdict {
    bool encr, prf, integ, ke; /* something that we speak is there */
};

static struct verdict judge(const struct ike_proposal_row *rows, size_t n, const struct wire_sa *sa,
                            const struct wire_proposal *p)
{
    struct verdict v = {.integ = true};

    for (size_t i = 0; i < p->n; i++)
        v.integ = v.integ && sa->transforms[p->first + i].type != WIRE_TR_INTEG;
    for (size_t r = 0; r < n; r++) {
        v.encr = v.encr || offers(sa, p, WIRE_TR_ENCR, rows[r].encr_id, rows[r].encr_bits);
        v.prf = v.prf || offers(sa, p, WIRE_TR_PRF, rows[r].prf_id, 0);
        v.integ = v.integ || offers(sa, p, WIRE_TR_INTEG, rows[r].integ_id, 0);
        v.ke = v.ke || offers(sa, p, WIRE_TR_KE, rows[r].ke_id, 0);
    }
    return v;
}

enum ike_reason ike_proposal_refusal(const struct ike_policy *policy, uint8_t protocol,
                                     const struct wire_sa *offer)
{
    bool ike = protocol == WIRE_PROTO_IKE;
    enum ike_reason reason = IKE_REASON_NO_PROPOSAL;

    for (size_t i = 0; i < offer->n_proposals; i++) {
        const struct wire_proposal *p = &offer->proposals[i];
        struct verdict v =
            judge(ike ? policy->ike : policy->esp, ike ? policy->n_ike : policy->n_esp, offer, p);
        bool algorithms = v.encr && v.integ && (v.prf || !ike), group = v.ke || !ike;

        if (p->protocol != protocol || (algorithms && group) ||
            !(group || offers_any(offer, p, WIRE_TR_KE, weak_ke)) ||
            !(v.encr || offers_any(offer, p, WIRE_TR_ENCR, weak_encr)) ||
            !(v.integ || offers_any(offer, p, WIRE_TR_INTEG, weak_integ)) ||
            !(v.prf || !ike || offers_any(offer, p, WIRE_TR_PRF, weak_prf)))
            continue;
        if (algorithms) /* the group alone is in the way */
            return IKE_REASON_WEAK_GROUP;
        reason = IKE_REASON_WEAK_ALGORITHM;
    }
    return reason;
}
