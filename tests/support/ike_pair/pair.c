#include "ike_pair/pair.h"

#include <stdio.h>
#include <stdlib.h>

#include "ike/entropy.h"
#include "wire/header.h"

/* ---- randomness and time that a seed decides ---- */

uint64_t pair_roll(struct pair *p)
{
    p->rng ^= p->rng << 13;
    p->rng ^= p->rng >> 7;
    p->rng ^= p->rng << 17;
    return p->rng;
}

static bool is_request(const struct ike_event *event)
{
    struct wire_header h;

    return event->kind == IKE_EV_DATAGRAM && wire_header_decode(event->datagram, &h) == WIRE_OK &&
           !wire_is_response(&h);
}

static void fill_entropy(struct pair *p, enum pair_who who, struct ike_event *event)
{
    const struct pair_side *s = &p->side[who];
    uint8_t *out = event->entropy;

    for (size_t i = 0; i < IKE_ENTROPY_BYTES; i += 8) {
        uint64_t v = pair_roll(p) * 0x2545f4914f6cdd1dull;

        memcpy(out + i, &v, 8);
    }
    if (s->force_nonce)
        out[IKE_ENTROPY_NONCE] = s->nonce_first;
    if (s->choose_nonces)
        out[IKE_ENTROPY_NONCE] = is_request(event) ? s->answer_first : s->ask_first;
}

/* ---- the SAs of a side ---- */

struct ike_sa *pair_free_sa(struct pair *p, enum pair_who who)
{
    for (size_t i = 0; i < PAIR_MAX_SAS; i++)
        if (p->side[who].sas[i].state == IKE_SA_NONE)
            return &p->side[who].sas[i];
    pair_violation(p, "more SAs than this harness holds");
}

struct ike_sa *pair_sa(struct pair *p, enum pair_who who, enum ike_sa_state state)
{
    for (size_t i = 0; i < PAIR_MAX_SAS; i++)
        if (p->side[who].sas[i].state == state)
            return &p->side[who].sas[i];
    return NULL;
}

size_t pair_count_sas(const struct pair *p, enum pair_who who, enum ike_sa_state state)
{
    size_t n = 0;

    for (size_t i = 0; i < PAIR_MAX_SAS; i++)
        n += p->side[who].sas[i].state == state;
    return n;
}

const struct ike_child *pair_child(struct pair *p, enum pair_who who, uint32_t spi_in)
{
    for (size_t i = 0; i < PAIR_MAX_SAS; i++)
        for (size_t j = 0; j < IKE_MAX_CHILDREN; j++) {
            const struct ike_child *c = &p->side[who].sas[i].children[j];

            if (p->side[who].sas[i].state != IKE_SA_NONE && c->state != IKE_CHILD_NONE &&
                c->spi_in == spi_in)
                return c;
        }
    return NULL;
}

const struct ike_child *pair_sender(struct pair *p, enum pair_who who)
{
    struct ike_sa *sa = pair_sa(p, who, IKE_SA_ESTABLISHED);

    for (size_t i = 0; sa != NULL && i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE && sa->children[i].outbound)
            return &sa->children[i];
    return NULL;
}

size_t pair_count_children(struct pair *p, enum pair_who who)
{
    size_t n = 0;

    for (size_t i = 0; i < PAIR_MAX_SAS; i++)
        for (size_t j = 0; j < IKE_MAX_CHILDREN; j++)
            n += p->side[who].sas[i].state != IKE_SA_NONE &&
                 p->side[who].sas[i].children[j].state != IKE_CHILD_NONE;
    return n;
}

/* ---- one step, as a cluster makes it ---- */

static void send_all(struct pair *p, enum pair_who who, const struct ike_transition *t)
{
    for (size_t i = 0; i < t->n_effects; i++) {
        const struct ike_effect *e = &t->effects[i];

        switch (e->kind) {
        case IKE_SEND_RESPONSE:
            pair_fly(p, who, e, &t->after.last_response);
            break;
        case IKE_SEND_REQUEST:
            pair_fly(p, who, e, &t->after.pending.request);
            break;
        case IKE_SEND_PLAIN:
            pair_fly(p, who, e, &t->plain);
            break;
        case IKE_SEND_KEEPALIVE:
            p->keepalives++;
            break;
        }
    }
}

static void through_codec(struct pair *p, struct ike_sa *sa)
{
    static uint8_t bytes[IKE_SA_ENCODED_MAX], again[IKE_SA_ENCODED_MAX];
    struct ike_local local = sa->local_part;
    size_t len, len_again;

    if (!p->check_codec)
        return;
    if (!ike_sa_encode(sa, bytes, sizeof bytes, &len))
        pair_violation(p, "a state that does not encode");
    if (!ike_sa_decode(span_of(bytes, len), sa) ||
        !ike_sa_encode(sa, again, sizeof again, &len_again) || len != len_again ||
        memcmp(bytes, again, len) != 0)
        pair_violation(p, "a state that does not survive encode and decode");
    sa->local_part = local;
}

static bool same_replicated(struct pair *p, const struct ike_sa *a, const struct ike_sa *b)
{
    static uint8_t one[IKE_SA_ENCODED_MAX], two[IKE_SA_ENCODED_MAX];
    size_t n_one, n_two;

    if (!p->check_codec)
        return true;
    if (!ike_sa_encode(a, one, sizeof one, &n_one) || !ike_sa_encode(b, two, sizeof two, &n_two))
        pair_violation(p, "a state that does not encode");
    return n_one == n_two && memcmp(one, two, n_one) == 0;
}

static bool answered(enum ike_job_kind kind, const struct ike_event *ev)
{
    return kind == IKE_JOB_KE ? ev->ke.done : kind == IKE_JOB_SIGN ? ev->sign.done : ev->proof.done;
}

/* Steps until no work is asked for; the answer stays in *event, so that the step can be made again.
 */
static enum ike_outcome step(struct pair *p, enum pair_who who, const struct ike_sa *before,
                             struct ike_event *event, struct ike_transition *t)
{
    for (int i = 0; i < 6; i++) {
        enum ike_outcome o = ike_step(&p->side[who].policy, before, event, t);

        if (o == IKE_NEED_JOB) {
            if (answered(t->job.kind, event))
                pair_violation(p, "a job asked for twice in one step");
            ike_job_run(&t->job, event);
        } else if (o == IKE_NEED_ADDRESS) {
            event->address.done = true;
            event->address.ip[SLOT_V4] = addr_v4(0x0a630002);
        } else {
            return o;
        }
    }
    pair_violation(p, "a step that never ends");
}

static void note_said(struct pair *p, enum pair_who who, const struct ike_event *event,
                      enum ike_outcome o, const struct ike_sa *before,
                      const struct ike_transition *t)
{
    if (p->n_said == PAIR_MAX_STEPS) { /* long runs keep the newest half */
        memmove(p->said, p->said + PAIR_MAX_STEPS / 2, sizeof p->said / 2);
        p->n_said = PAIR_MAX_STEPS / 2;
    }
    p->said[p->n_said++] = (struct pair_said){.who = who,
                                              .event = event->kind,
                                              .outcome = o,
                                              .reason = t->reason,
                                              .exchange = t->exchange,
                                              .begun = t->begun,
                                              .peer_error = t->peer_error,
                                              .completes = t->completes,
                                              .peer_step = t->peer_step,
                                              .sa = before == NULL ? 0 : before->local_spi,
                                              .now_ms = p->now_ms};
}

static void check_step(struct pair *p, enum pair_who who, const struct ike_sa *before,
                       const struct ike_sa *copy, struct ike_event *event, enum ike_outcome o,
                       const struct ike_transition *t)
{
    static struct ike_transition again;

    if (before != NULL && memcmp(before, copy, sizeof *copy) != 0)
        pair_violation(p, "ike_step wrote to *before");
    if (o == IKE_IGNORED)
        return;
    if (ike_step(&p->side[who].policy, before, event, &again) != o ||
        !same_replicated(p, &t->after, &again.after) || t->n_effects != again.n_effects ||
        t->has_successor != again.has_successor ||
        (t->has_successor && !same_replicated(p, &t->successor, &again.successor)))
        pair_violation(p, "the same step gave another result");
    if (o == IKE_LOCAL && before != NULL && before->state != IKE_SA_HALF_OPEN &&
        !same_replicated(p, before, &t->after))
        pair_violation(p, "IKE_LOCAL changed something that is replicated");
}

/* HOLDFAST_TRACE=1: every step on stderr, to read a failing seed. */
static void trace(const struct pair *p, enum pair_who who, const struct ike_sa *after)
{
    const struct pair_said *s = &p->said[p->n_said - 1];

    if (getenv("HOLDFAST_TRACE") == NULL || s->exchange == IKE_EX_DPD)
        return;
    fprintf(stderr, "%llu %s sa %04x ev %d out %d %s/%s%s%s %s -> %s pending %s wanted %x:%x",
            (unsigned long long)p->now_ms, who == CLIENT ? "client " : "gateway",
            (unsigned)(s->sa & 0xffff), s->event, s->outcome, ike_exchange_name(s->exchange),
            s->begun == IKE_BY_US ? "us" : "peer", s->completes ? " done" : "",
            s->peer_step ? " peer" : "", ike_reason_name(s->reason),
            after == NULL ? "-" : ike_sa_state_name(after->state),
            after == NULL ? "-" : ike_exchange_name(after->pending.exchange),
            after == NULL ? 0 : after->wanted, after == NULL ? 0 : after->wanted_child_spi_in);
    for (size_t i = 0; after != NULL && i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *c = &after->children[i];

        if (c->state != IKE_CHILD_NONE)
            fprintf(stderr, " [%x>%x %s%s next %x]", c->spi_in, c->spi_out,
                    ike_child_state_name(c->state), c->outbound ? " out" : "", c->successor_spi_in);
    }
    fputc('\n', stderr);
}

/* Does the node die at the step in hand? Counts the steps. */
static bool dies(struct pair *p, const struct ike_event *event, enum ike_outcome o)
{
    struct pair_kill *kill = &p->kill;

    if (o != IKE_STEPPED || event->kind == IKE_EV_TAKEOVER)
        return false;
    if (p->n_steps++ != kill->at || !kill->planned || kill->done)
        return false;
    kill->done = true;
    return true;
}

static const uint8_t cookie_secret[32] = "a cookie secret of thirty-two b";

static enum ike_outcome one_event(struct pair *p, enum pair_who who, struct ike_sa *sa,
                                  struct ike_event *event)
{
    static struct ike_transition t;
    static struct ike_sa copy;
    enum ike_outcome o;
    bool last;

    if (sa != NULL) {
        through_codec(p, sa);
        memcpy(&copy, sa, sizeof copy);
    }
    if (event->kind != IKE_EV_TAKEOVER)
        p->kill.now = false;
    event->now_ms = p->now_ms;
    event->wall_s = p->wall_s;
    event->cookie_required = p->cookies && who == GATEWAY && sa == NULL;
    event->cookie_secret = cookie_secret;
    fill_entropy(p, who, event);
    event->has_pool[SLOT_V4] = true;
    o = step(p, who, sa, event, &t);
    note_said(p, who, event, o, sa, &t);
    check_step(p, who, sa, &copy, event, o, &t);
    trace(p, who, o == IKE_IGNORED ? sa : &t.after);
    if (o == IKE_IGNORED)
        return o;
    last = dies(p, event, o);
    if (last && p->kill.point == PAIR_STEPPED) {
        p->kill.now = true;
        pair_takeover(p, who);
        return IKE_IGNORED;
    }
    through_codec(p, &t.after); /* what is sent comes out of the committed state */
    if (t.has_successor)
        through_codec(p, &t.successor);
    if (!last || p->kill.point == PAIR_SENT)
        send_all(p, who, &t);
    if (t.has_successor)
        *pair_free_sa(p, who) = t.successor;
    if (sa == NULL && t.after.state != IKE_SA_NONE)
        sa = pair_free_sa(p, who);
    if (sa != NULL)
        *sa = t.after;
    if (last)
        pair_takeover(p, who);
    return o;
}

enum ike_outcome pair_event(struct pair *p, enum pair_who who, struct ike_sa *sa,
                            struct ike_event *event)
{
    enum ike_outcome o = one_event(p, who, sa, event);

    if (p->takeover_always && o == IKE_STEPPED)
        pair_takeover(p, who);
    if (p->always != NULL) {
        const char *wrong = p->always(p);

        if (wrong != NULL)
            pair_violation(p, wrong);
    }
    return o;
}

void pair_takeover(struct pair *p, enum pair_who who)
{
    for (size_t i = 0; i < PAIR_MAX_SAS; i++) {
        struct ike_sa *sa = &p->side[who].sas[i];
        struct ike_event ev = {.kind = IKE_EV_TAKEOVER};

        if (sa->state == IKE_SA_NONE || sa->state == IKE_SA_HALF_OPEN)
            continue;
        memset(&sa->local_part, 0, sizeof sa->local_part);
        (void)one_event(p, who, sa, &ev);
    }
}

enum ike_outcome pair_command_child(struct pair *p, enum pair_who who, uint32_t want,
                                    uint32_t spi_in)
{
    struct ike_event ev = {.kind = IKE_EV_COMMAND, .want = want, .child_spi_in = spi_in};

    return pair_event(p, who, pair_sa(p, who, IKE_SA_ESTABLISHED), &ev);
}

enum ike_outcome pair_command(struct pair *p, enum pair_who who, uint32_t want)
{
    return pair_command_child(p, who, want, 0);
}

enum ike_outcome pair_esp(struct pair *p, enum pair_who who, enum ike_event_kind kind,
                          uint32_t spi_in)
{
    struct ike_event ev = {.kind = kind, .child_spi_in = spi_in};

    return pair_event(p, who, pair_sa(p, who, IKE_SA_ESTABLISHED), &ev);
}

/* ---- the loop ---- */

static uint64_t next_wake(struct pair *p, enum pair_who *who, struct ike_sa **sa)
{
    uint64_t at = UINT64_MAX;

    for (int w = CLIENT; w <= GATEWAY; w++)
        for (size_t i = 0; i < PAIR_MAX_SAS; i++) {
            struct ike_sa *s = &p->side[w].sas[i];
            uint64_t wake =
                s->state == IKE_SA_NONE ? UINT64_MAX : ike_next_wake_ms(&p->side[w].policy, s);

            if (wake < at) {
                at = wake;
                *who = (enum pair_who)w;
                *sa = s;
            }
        }
    return at;
}

/* Everything up to and at `until`; with only_flying, arrivals and what timers want at the moment of
 * the last one. */
static void loop(struct pair *p, uint64_t until, bool only_flying)
{
    size_t index = 0, spins = 0;
    enum pair_who who = CLIENT;
    struct ike_sa *sa = NULL;

    for (;;) {
        uint64_t arrival = pair_next_arrival(p, &index), wake = next_wake(p, &who, &sa);
        uint64_t at = arrival < wake ? arrival : wake;

        if (at > until || (only_flying && arrival == UINT64_MAX && wake > p->now_ms))
            break;
        if (at > p->now_ms) {
            p->now_ms = at;
            spins = 0;
        } else if (++spins > 200) {
            pair_violation(p, "the loop spins: a wake that does nothing");
        }
        if (arrival <= wake) {
            pair_deliver_index(p, index);
        } else {
            struct ike_event ev = {.kind = IKE_EV_TIMER};

            if (pair_event(p, who, sa, &ev) == IKE_IGNORED && !p->kill.now)
                pair_violation(p, "ike_next_wake_ms named a time at which nothing is due");
        }
    }
}

void pair_run(struct pair *p)
{
    loop(p, UINT64_MAX - 1, true);
}

void pair_pass(struct pair *p, uint64_t ms)
{
    uint64_t until = p->now_ms + ms;

    loop(p, until, false);
    p->now_ms = until;
}

/* ---- what was said ---- */

const struct pair_said *pair_find_said(const struct pair *p, enum pair_who who,
                                       enum ike_exchange exchange, enum ike_begun begun,
                                       bool peer_step)
{
    for (size_t i = p->n_said; i-- > 0;) {
        const struct pair_said *s = &p->said[i];

        if (s->who == who && s->exchange == exchange && s->begun == begun &&
            s->peer_step == peer_step && s->outcome == IKE_STEPPED)
            return s;
    }
    return NULL;
}

size_t pair_count_reason(const struct pair *p, enum pair_who who, enum ike_reason reason)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_said; i++)
        n += p->said[i].who == who && p->said[i].reason == reason;
    return n;
}
