/* What must hold at both ends, and of everything that was ever sent. */
#include "ike_pair/pair.h"

#include <stdio.h>
#include <stdlib.h>

#include "wire/header.h"

void pair_violation(const struct pair *p, const char *what)
{
    fprintf(stderr, "pair: at %llu ms, step %zu: %s\n", (unsigned long long)p->now_ms, p->n_said,
            what);
    for (size_t i = p->n_said < 12 ? 0 : p->n_said - 12; i < p->n_said; i++) {
        const struct pair_said *s = &p->said[i];

        fprintf(stderr, "  %llu %s event %d outcome %d %s begun %s%s%s reason %s\n",
                (unsigned long long)s->now_ms, s->who == CLIENT ? "client" : "gateway", s->event,
                s->outcome, ike_exchange_name(s->exchange), s->begun == IKE_BY_US ? "us" : "peer",
                s->completes ? " completes" : "", s->peer_step ? " peer-step" : "",
                ike_reason_name(s->reason));
    }
    abort();
}

/* I4: (SPIs, sender, response flag, message ID) always carries the same bytes. I1b: an IV protects
 * one message of a key. */
void pair_note_sent(struct pair *p, enum pair_who from, const struct ike_message *m)
{
    struct pair_sent now = {.times = 1};
    struct span bytes = span_of(m->bytes, m->len);
    bool init, sync; /* RFC 6311's ID 0 is no one message's */

    if (m->len < WIRE_HEADER_BYTES)
        pair_violation(p, "a message shorter than its header");
    init = m->bytes[18] == WIRE_EX_IKE_SA_INIT;
    memcpy(now.key, m->bytes, 16);
    now.key[16] = (uint8_t)from;
    now.key[17] = m->bytes[19] & WIRE_FLAG_RESPONSE;
    memcpy(now.key + 18, m->bytes + 20, 4);
    if (!p->side[from].policy.suites->sha256->compute(&bytes, 1, now.digest))
        pair_violation(p, "no SHA-256");
    now.protected = !init && m->len >= WIRE_HEADER_BYTES + 12;
    if (now.protected)
        memcpy(now.iv, m->bytes + WIRE_HEADER_BYTES + 4, sizeof now.iv);
    if (init) /* unprotected, may be asked for anew with a cookie or another group */
        return;
    sync = m->bytes[18] == WIRE_EX_INFORMATIONAL && get_be32(m->bytes + 20) == 0;
    for (size_t i = 0; i < p->n_sent; i++) {
        struct pair_sent *s = &p->sent[i];
        bool same = memcmp(s->digest, now.digest, sizeof now.digest) == 0;

        if (memcmp(s->key, now.key, sizeof now.key) == 0 && (same || !sync)) {
            if (!same)
                pair_violation(p, "I4: one message ID with differing bytes");
            s->times++;
            return;
        }
        if (memcmp(s->key, now.key, 17) == 0 && memcmp(s->iv, now.iv, sizeof now.iv) == 0)
            pair_violation(p, "I1b: an IV used for two messages");
    }
    if (p->n_sent == PAIR_MAX_SENT) { /* runs of days keep the newest half */
        memmove(p->sent, p->sent + PAIR_MAX_SENT / 2, sizeof p->sent / 2);
        p->n_sent = PAIR_MAX_SENT / 2;
    }
    p->sent[p->n_sent++] = now;
}

static bool same_secret(const struct secret *a, const struct secret *b)
{
    return a->len == b->len && a->len > 0 && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* Integrity keys: none on either end with a combined mode. */
static bool same_integrity(const struct secret *a, const struct secret *b, uint16_t integ_id)
{
    return integ_id == 0 ? a->len == 0 && b->len == 0 : same_secret(a, b);
}

static bool same_selectors(const struct ike_ts *a, uint8_t n_a, const struct ike_ts *b, uint8_t n_b)
{
    if (n_a != n_b)
        return false;
    for (size_t i = 0; i < n_a; i++)
        if (a[i].protocol != b[i].protocol || a[i].port_low != b[i].port_low ||
            a[i].port_high != b[i].port_high || !addr_equal(&a[i].low, &b[i].low) ||
            !addr_equal(&a[i].high, &b[i].high))
            return false;
    return true;
}

static const char *child_disagreement(const struct ike_child *c, struct ike_sa *other)
{
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *o = &other->children[i];

        if (o->state == IKE_CHILD_NONE || o->spi_in != c->spi_out)
            continue;
        if (o->spi_out != c->spi_in)
            return "a CHILD SA's SPIs do not mirror";
        if (!same_secret(&c->key_in, &o->key_out) || !same_secret(&c->key_out, &o->key_in) ||
            !same_integrity(&c->integ_in, &o->integ_out, c->integ_id) ||
            !same_integrity(&c->integ_out, &o->integ_in, c->integ_id))
            return "a CHILD SA's keys do not mirror";
        if (!same_selectors(c->local_ts, c->n_local_ts, o->remote_ts, o->n_remote_ts) ||
            !same_selectors(c->remote_ts, c->n_remote_ts, o->local_ts, o->n_local_ts))
            return "a CHILD SA's selectors do not mirror";
        if (c->ke_id != o->ke_id || c->esn != o->esn || c->encr_id != o->encr_id ||
            c->encr_bits != o->encr_bits || c->integ_id != o->integ_id)
            return "a CHILD SA's algorithms differ";
        return NULL;
    }
    return "a CHILD SA that the other end does not have";
}

static const char *sa_disagreement(struct ike_sa *a, struct ike_sa *b)
{
    size_t senders = 0;

    if (a->local_spi != b->remote_spi || a->remote_spi != b->local_spi || a->role == b->role)
        return "the IKE SAs are not each other's";
    if (!same_secret(&a->keys.sk_e_in, &b->keys.sk_e_out) ||
        !same_secret(&a->keys.sk_e_out, &b->keys.sk_e_in) ||
        !same_integrity(&a->keys.sk_a_in, &b->keys.sk_a_out, a->integ_id) ||
        !same_integrity(&a->keys.sk_a_out, &b->keys.sk_a_in, a->integ_id) ||
        !same_secret(&a->keys.sk_d, &b->keys.sk_d))
        return "the IKE SAs' keys do not mirror";
    if (a->next_request_id != b->expected_request_id && a->pending.exchange == IKE_EX_NONE)
        return "the windows do not meet";
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *c = &a->children[i];
        const char *wrong = c->state == IKE_CHILD_NONE ? NULL : child_disagreement(c, b);

        if (wrong != NULL)
            return wrong;
        if (c->state != IKE_CHILD_NONE && c->outbound)
            senders++;
    }
    return senders > 1 ? "more than one CHILD SA sends for the same selectors" : NULL;
}

const char *pair_disagreement(struct pair *p)
{
    struct ike_sa *c = pair_sa(p, CLIENT, IKE_SA_ESTABLISHED);
    struct ike_sa *g = pair_sa(p, GATEWAY, IKE_SA_ESTABLISHED);
    const char *wrong;

    if (pair_count_sas(p, CLIENT, IKE_SA_ESTABLISHED) != 1 ||
        pair_count_sas(p, GATEWAY, IKE_SA_ESTABLISHED) != 1)
        return "not one established IKE SA at each end";
    wrong = sa_disagreement(c, g);
    return wrong != NULL ? wrong : sa_disagreement(g, c);
}
