/* The link: what flies, what the other side makes of it when it arrives. */
#include "ike_pair/pair.h"

#include "wire/header.h"

static bool chance(struct pair *p, uint32_t percent)
{
    return percent > 0 && pair_roll(p) % 100 < percent;
}

void pair_fly(struct pair *p, enum pair_who from, const struct ike_effect *e,
              const struct ike_message *m)
{
    struct pair_flying *f;
    struct endpoint src = e->from, dst = e->to;
    uint32_t copies = chance(p, p->duplicate_percent) ? 2 : 1;

    pair_note_sent(p, from, m);
    if (chance(p, p->loss_percent) || !pair_nat_translate(p, from, &src, &dst))
        return;
    for (uint32_t i = 0; i < copies; i++) {
        if (p->n_flying == PAIR_MAX_FLYING)
            pair_violation(p, "more in flight than this harness holds");
        f = &p->flying[p->n_flying++];
        f->from = from;
        f->src = src;
        f->dst = dst;
        f->natt = e->natt;
        f->len = m->len;
        memcpy(f->bytes, m->bytes, m->len);
        f->arrives_ms = p->now_ms + p->latency_ms;
        if (p->jitter_ms > 0)
            f->arrives_ms += pair_roll(p) % p->jitter_ms;
    }
}

/* The SA that a datagram belongs to, as the node looks it up. */
static struct ike_sa *lookup(struct pair *p, enum pair_who who, const struct wire_header *h)
{
    for (size_t i = 0; i < PAIR_MAX_SAS; i++) {
        struct ike_sa *sa = &p->side[who].sas[i];
        uint64_t ours = (h->flags & WIRE_FLAG_INITIATOR) != 0 ? h->spi_r : h->spi_i;

        if (sa->state == IKE_SA_NONE)
            continue;
        if (sa->local_spi == ours || (h->spi_r == 0 && sa->state == IKE_SA_HALF_OPEN &&
                                      sa->role == IKE_RESPONDER && sa->remote_spi == h->spi_i))
            return sa;
    }
    return NULL;
}

static enum ike_outcome arrive(struct pair *p, const struct pair_flying *f)
{
    enum pair_who to = f->from == CLIENT ? GATEWAY : CLIENT;
    struct ike_event ev = {.kind = IKE_EV_DATAGRAM,
                           .local = f->dst,
                           .remote = f->src,
                           .natt = f->natt,
                           .datagram = span_of(f->bytes, f->len)};
    struct wire_header h;
    struct ike_sa *sa = NULL;

    if (wire_header_decode(ev.datagram, &h) == WIRE_OK) {
        sa = lookup(p, to, &h);
        if (sa == NULL && (h.exchange != WIRE_EX_IKE_SA_INIT || wire_is_response(&h))) {
            p->no_sa++;
            return IKE_IGNORED;
        }
    }
    return pair_event(p, to, sa, &ev);
}

static size_t oldest(const struct pair *p, enum pair_who from)
{
    for (size_t i = 0; i < p->n_flying; i++)
        if (p->flying[i].from == from)
            return i;
    return p->n_flying;
}

static struct pair_flying take(struct pair *p, size_t i)
{
    struct pair_flying f = p->flying[i];

    memmove(&p->flying[i], &p->flying[i + 1], (p->n_flying - i - 1) * sizeof f);
    p->n_flying--;
    return f;
}

bool pair_deliver(struct pair *p, enum pair_who from)
{
    size_t i = oldest(p, from);
    struct pair_flying f;

    if (i == p->n_flying)
        return false;
    f = take(p, i);
    (void)arrive(p, &f);
    return true;
}

bool pair_lose(struct pair *p, enum pair_who from)
{
    size_t i = oldest(p, from);

    if (i == p->n_flying)
        return false;
    (void)take(p, i);
    return true;
}

void pair_deliver_index(struct pair *p, size_t index)
{
    struct pair_flying f = take(p, index);

    (void)arrive(p, &f);
}

void pair_lose_index(struct pair *p, size_t index)
{
    (void)take(p, index);
}

void pair_fly_answer(struct pair *p, enum pair_who who, const struct ike_sa *sa)
{
    const struct ike_effect e = {
        .kind = IKE_SEND_RESPONSE, .from = sa->local, .to = sa->remote, .natt = true};

    pair_fly(p, who, &e, &sa->last_response);
}

void pair_duplicate(struct pair *p, enum pair_who from)
{
    size_t i = oldest(p, from);

    if (i == p->n_flying || p->n_flying == PAIR_MAX_FLYING)
        pair_violation(p, "nothing to duplicate");
    p->flying[p->n_flying] = p->flying[i];
    p->n_flying++;
}

size_t pair_flying_from(const struct pair *p, enum pair_who from)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_flying; i++)
        n += p->flying[i].from == from;
    return n;
}

enum ike_outcome pair_inject(struct pair *p, enum pair_who to, struct span bytes)
{
    struct pair_flying f = {.from = to == CLIENT ? GATEWAY : CLIENT,
                            .natt = true,
                            .src = p->side[to == CLIENT ? GATEWAY : CLIENT].at,
                            .dst = p->side[to].at,
                            .len = bytes.len};

    if (bytes.len > sizeof f.bytes)
        pair_violation(p, "more bytes than the harness injects");
    memcpy(f.bytes, bytes.data, bytes.len);
    return arrive(p, &f);
}

uint64_t pair_next_arrival(const struct pair *p, size_t *index)
{
    uint64_t at = UINT64_MAX;

    for (size_t i = 0; i < p->n_flying; i++)
        if (!p->held[p->flying[i].from] && p->flying[i].arrives_ms < at) {
            at = p->flying[i].arrives_ms;
            *index = i;
        }
    return at;
}
