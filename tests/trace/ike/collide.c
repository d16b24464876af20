/* What a trace says: messages by name, and what happens between them. */
#include "collide.h"

#include <criterion/criterion.h>

#include "ike/message.h"

enum { WAIT_MS = 250, WAITS = 200 };

/* ---- names of messages ---- */

/* Where the oldest copy of a message flies, or n_flying. */
static size_t find(const struct trace *t, enum pair_who from, enum what what, uint32_t n)
{
    const struct pair *p = t->p;
    uint32_t id = n + t->first_id[what == REQUEST ? from : collide_other(from)];
    size_t i = 0;

    for (; i < p->n_flying; i++) {
        const struct pair_flying *f = &p->flying[i];
        struct wire_header h;

        if (f->from == from && wire_header_decode(span_of(f->bytes, f->len), &h) == WIRE_OK &&
            h.spi_i == t->spi_i && h.spi_r == t->spi_r && h.message_id == id &&
            wire_is_response(&h) == (what == ANSWER))
            break;
    }
    return i;
}

/* In a run with a death what should fly may have been lost with the node: its copy is waited for. */
static size_t find_or_wait(struct trace *t, enum pair_who from, enum what what, uint32_t n)
{
    size_t i = find(t, from, what, n);

    for (int tries = 0; t->killed && tries < WAITS && i == t->p->n_flying; tries++) {
        size_t ask = what == ANSWER ? find(t, collide_other(from), REQUEST, n) : t->p->n_flying;

        if (ask < t->p->n_flying) /* the answer is lost: the request comes again and gets it */
            pair_deliver_index(t->p, ask);
        else
            pair_pass(t->p, WAIT_MS);
        i = find(t, from, what, n);
    }
    return i;
}

/* ---- what a trace says ---- */

void begins_with(struct trace *t, enum pair_who who, uint32_t want, uint32_t spi_in)
{
    struct pair *p = t->p;
    enum ike_outcome o = pair_command_child(p, who, want, spi_in);

    if (p->kill.now) /* the operator asks again */
        o = pair_command_child(p, who, want, spi_in);
    cr_assert(o == IKE_STEPPED || t->killed, "%s: %s", who == CLIENT ? "client" : "gateway",
              ike_reason_name(p->said[p->n_said - 1].reason));
}

void begins(struct trace *t, enum pair_who who, uint32_t want)
{
    bool on_child = (want & ~(uint32_t)(IKE_WANT_REKEY_IKE | IKE_WANT_DELETE_IKE | IKE_WANT_DPD |
                                        IKE_WANT_CHILD)) != 0;

    begins_with(t, who, want, on_child ? t->child_in[who] : 0);
}

void reaches(struct trace *t, enum pair_who who, enum ike_event_kind limit)
{
    (void)pair_esp(t->p, who, limit, t->child_in[who]);
    if (t->p->kill.now) /* the new owner's data path is beyond it as well */
        (void)pair_esp(t->p, who, limit, t->child_in[who]);
}

void arrives(struct trace *t, enum pair_who from, enum what what, uint32_t n)
{
    size_t i = find_or_wait(t, from, what, n);

    if (i == t->p->n_flying) {
        cr_assert(t->killed, "%s %u of the %s does not fly", what == ANSWER ? "answer" : "request",
                  n, from == CLIENT ? "client" : "gateway");
        return;
    }
    pair_deliver_index(t->p, i);
    /* The node died before the record was committed: as if it had never come. It comes again. */
    if (t->p->kill.now) {
        i = find_or_wait(t, from, what, n);
        if (i < t->p->n_flying)
            pair_deliver_index(t->p, i);
    }
}

void is_lost(struct trace *t, enum pair_who from, enum what what, uint32_t n)
{
    size_t i = find_or_wait(t, from, what, n);

    cr_assert(i < t->p->n_flying || t->killed);
    for (; i < t->p->n_flying; i = find(t, from, what, n))
        pair_lose_index(t->p, i);
}

void wants_group(struct trace *t, enum pair_who who, uint32_t n, uint16_t group)
{
    size_t i = find_or_wait(t, collide_other(who), REQUEST, n);
    struct ike_policy *policy = &t->p->side[who].policy;
    struct ike_sa *sa = pair_sa(t->p, who, IKE_SA_ESTABLISHED);
    struct pair_flying request;
    struct wire_header header;
    uint8_t bytes[2];

    policy->esp[0].ke_id = group; /* and likes it from now on */
    policy->esp[1].ke_id = group == GROUP_A ? GROUP_B : GROUP_A;
    if (i == t->p->n_flying || sa == NULL) {
        cr_assert(t->killed);
        return;
    }
    request = t->p->flying[i];
    put_be16(bytes, group);
    cr_assert_eq(wire_header_decode(span_of(request.bytes, request.len), &header), WIRE_OK);
    for (; i < t->p->n_flying; i = find(t, collide_other(who), REQUEST, n))
        pair_lose_index(t->p, i);
    if (header.message_id != sa->expected_request_id)
        return; /* answered already */
    cr_assert(ike_answer_notify(policy, sa, span_of(request.bytes, request.len), &header,
                                WIRE_N_INVALID_KE_PAYLOAD, span_of(bytes, 2)));
    pair_fly_answer(t->p, who, sa);
}

void saw(struct trace *t, enum pair_who who, enum ike_reason reason)
{
    const struct pair *p = t->p;

    if (t->killed) {
        cr_assert_geq(pair_count_reason(p, who, reason), 1);
        return;
    }
    for (size_t i = p->n_said; i-- > 0;)
        if (p->said[i].who == who && p->said[i].event == IKE_EV_DATAGRAM) {
            cr_assert_eq(p->said[i].reason, reason, "%s", ike_reason_name(p->said[i].reason));
            return;
        }
    cr_assert_fail("nothing came yet");
}

void collide_count_from_here(struct trace *t)
{
    for (int w = CLIENT; w <= GATEWAY; w++) {
        const struct ike_sa *sa = pair_sa(t->p, (enum pair_who)w, IKE_SA_ESTABLISHED);

        t->first_id[w] = sa->next_request_id;
        t->spi_i = ike_spi_i(sa);
        t->spi_r = ike_spi_r(sa);
    }
}

void settles(struct trace *t)
{
    t->p->held[CLIENT] = t->p->held[GATEWAY] = false;
    pair_run(t->p);
    t->p->held[CLIENT] = t->p->held[GATEWAY] = true;
    t->p->n_sent = t->p->n_said = t->p->n_steps = 0;
    collide_count_from_here(t);
}

void confirm(struct trace *t, enum pair_who who)
{
    struct ike_sa *sa = pair_sa(t->p, who, IKE_SA_ESTABLISHED);

    for (size_t i = 0; sa != NULL && i < IKE_MAX_CHILDREN; i++)
        sa->children[i].unconfirmed = false;
}

void loses(struct trace *t, enum pair_who who)
{
    struct ike_sa *sa = pair_sa(t->p, who, IKE_SA_ESTABLISHED);

    memset(&sa->children[0], 0, sizeof sa->children[0]);
}

void waits(struct trace *t, uint64_t ms)
{
    pair_pass(t->p, ms);
}

uint32_t newest_child(struct trace *t, enum pair_who who)
{
    const struct ike_sa *sa = pair_sa(t->p, who, IKE_SA_ESTABLISHED);
    const struct ike_child *best = NULL;

    if (sa == NULL)
        return 0;
    if (sa->pending.new_spi_in != 0)
        return sa->pending.new_spi_in;
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *c = &sa->children[i];

        if (c->state != IKE_CHILD_NONE && c->spi_in != t->child_in[who] &&
            (best == NULL || c->created_ms >= best->created_ms))
            best = c;
    }
    return best == NULL ? 0 : best->spi_in;
}
