/* What records say of IKE SAs, and what clients say of theirs: I6 (message IDs), I7 (successors), I8 (what
 * is gone), I9 (SPIs, addresses); it also knows which messages and keys are committed. */
#include <inttypes.h>
#include <stdlib.h>

#include "proto/records.pb-c.h"
#include "replication/record.h"
#include "sim/sim_watch_internal.h"

static uint64_t name_of(uint32_t owner_of, uint64_t id)
{
    return sim_watch_mix(id, owner_of);
}

struct sim_watch_sa *sim_watch_sa_of(struct sim_watch *w, uint32_t owner_of, uint64_t id)
{
    const struct sim_watch_entry *e = sim_watch_find(&w->sas, name_of(owner_of, id));

    return e == NULL ? NULL : w->sa[e->a];
}

static struct sim_watch_sa *sa_make(struct sim_watch *w, uint32_t owner_of, uint64_t id)
{
    bool made;
    struct sim_watch_entry *e = sim_watch_at(w, &w->sas, name_of(owner_of, id), &made);

    HF_ASSERT(e != NULL); /* far fewer SAs than the map has room for */
    if (!made)
        return w->sa[e->a];
    if (w->n_sa == w->sa_capacity) {
        w->sa_capacity = w->sa_capacity == 0 ? 64 : 2 * w->sa_capacity;
        w->sa = realloc(w->sa, w->sa_capacity * sizeof(struct sim_watch_sa *));
        HF_ASSERT(w->sa != NULL);
    }
    e->a = w->n_sa;
    w->sa[w->n_sa] = calloc(1, sizeof *w->sa[0]);
    HF_ASSERT(w->sa[w->n_sa] != NULL);
    w->sa[w->n_sa]->id = id;
    w->sa[w->n_sa]->owner_of = owner_of;
    return w->sa[w->n_sa++];
}

/* --- one state after another --- */

static bool same_bytes(const struct ike_message *a, const struct ike_message *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static bool synchronized(const struct ike_sa *before, const struct ike_sa *after)
{
    return before->sync_floor != after->sync_floor; /* RFC 6311 sets both IDs */
}

/* The window is 1: what is asked has the next ID, and what was asked before has been answered. */
static bool asks_in_turn(struct sim_watch *w, const struct sim_watch_sa *sa,
                         const struct ike_sa *before, const struct ike_sa *after)
{
    const struct sim_watch_sa *other = sim_watch_other_end(w, sa, before->remote_spi);

    if (after->state == IKE_SA_ENDED || before->state == IKE_SA_HALF_OPEN)
        return true;
    if (after->pending.exchange == IKE_EX_NONE ||
        after->pending.message_id != before->next_request_id)
        return false;
    return before->pending.exchange == IKE_EX_NONE || other == NULL || other->state == NULL ||
           other->state->expected_request_id > before->pending.message_id;
}

static void judge_ids(struct sim_watch *w, const struct sim_watch_sa *sa,
                      const struct ike_sa *before, const struct ike_sa *after)
{
    uint32_t asked = after->next_request_id - before->next_request_id;
    uint32_t answered = after->expected_request_id - before->expected_request_id;

    if (synchronized(before, after))
        return;
    SIM_WATCH_JUDGE_IF(
        w, SIM_WATCH_ids_rise, asked != 0 || answered != 0,
        answered <= 1 && (asked == 0 || (asked == 1 && asks_in_turn(w, sa, before, after))),
        "SA %016" PRIx64 ": our next message ID goes from %u to %u, the peer's from %u "
        "to %u",
        after->local_spi, (unsigned)before->next_request_id, (unsigned)after->next_request_id,
        (unsigned)before->expected_request_id, (unsigned)after->expected_request_id);
    SIM_WATCH_JUDGE(w, SIM_WATCH_iv_once, after->iv_next >= before->iv_next,
                    "SA %016" PRIx64 ": the IVs' number goes from %" PRIu64 " back to %" PRIu64,
                    after->local_spi, before->iv_next, after->iv_next);
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_same_message,
                       answered == 0 && before->last_response.len > 0 &&
                           before->state != IKE_SA_HALF_OPEN,
                       same_bytes(&before->last_response, &after->last_response),
                       "SA %016" PRIx64 ": the kept answer %u changes", after->local_spi,
                       (unsigned)after->expected_request_id);
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_same_message,
                       before->pending.exchange != IKE_EX_NONE &&
                           after->pending.exchange != IKE_EX_NONE &&
                           before->pending.message_id == after->pending.message_id &&
                           before->state != IKE_SA_HALF_OPEN,
                       same_bytes(&before->pending.request, &after->pending.request),
                       "SA %016" PRIx64 ": the outstanding request %u changes", after->local_spi,
                       (unsigned)after->pending.message_id);
}

static const struct ike_child *child_at(const struct ike_sa *sa, uint32_t spi_in)
{
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE && sa->children[i].spi_in == spi_in)
            return &sa->children[i];
    return NULL;
}

static bool same_selectors(const struct ike_child *a, const struct ike_child *b)
{
    return a->n_local_ts == b->n_local_ts && a->n_remote_ts == b->n_remote_ts &&
           memcmp(a->local_ts, b->local_ts, a->n_local_ts * sizeof *a->local_ts) == 0 &&
           memcmp(a->remote_ts, b->remote_ts, a->n_remote_ts * sizeof *a->remote_ts) == 0;
}

/* One successor: of an IKE SA for ever, of a CHILD SA in each state; and one that sends per pair of
 * selectors. */
static void judge_successors(struct sim_watch *w, const struct ike_sa *before,
                             const struct ike_sa *after)
{
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_one_successor, before != NULL && before->successor_spi != 0,
                       before->successor_spi == after->successor_spi,
                       "SA %016" PRIx64 ": its successor was %016" PRIx64 " and is %016" PRIx64,
                       after->local_spi, before->successor_spi, after->successor_spi);
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *c = &after->children[i];

        if (c->state == IKE_CHILD_NONE)
            continue;
        SIM_WATCH_JUDGE_IF(
            w, SIM_WATCH_one_successor, c->state == IKE_CHILD_REKEYED,
            c->successor_spi_in != c->spi_in && child_at(after, c->successor_spi_in) != NULL,
            "SA %016" PRIx64 ": CHILD SA %08x is rekeyed, its successor %08x is not there",
            after->local_spi, (unsigned)c->spi_in, (unsigned)c->successor_spi_in);
        for (size_t k = i + 1; k < IKE_MAX_CHILDREN; k++)
            SIM_WATCH_JUDGE_IF(w, SIM_WATCH_one_successor,
                               after->children[k].state != IKE_CHILD_NONE &&
                                   same_selectors(c, &after->children[k]),
                               !after->children[k].outbound || !c->outbound,
                               "SA %016" PRIx64 ": CHILD SAs %08x and %08x both send",
                               after->local_spi, (unsigned)c->spi_in,
                               (unsigned)after->children[k].spi_in);
    }
}

/* --- what is committed --- */

static void know_message(struct sim_watch *w, const struct ike_message *m, uint64_t index)
{
    struct sim_watch_entry *e;
    bool made;

    if (m->len == 0)
        return;
    e = sim_watch_at(w, &w->messages, span_fnv1a64(span_of(m->bytes, m->len)), &made);
    if (e != NULL && made)
        e->a = index;
}

static void know_key(struct sim_watch *w, const struct ike_child *child, bool inbound,
                     uint64_t index)
{
    struct sim_watch_esp *e =
        sim_watch_esp_of(w, sim_watch_key(inbound ? &child->key_in : &child->key_out));

    if (!e->committed) {
        e->committed = true;
        e->made_index = index;
    }
    e->spi_in = child->spi_in;
    e->inbound = inbound;
    e->esn = child->esn;
    e->hard_ms = child->hard_ms == 0 ? UINT64_MAX : child->hard_ms;
}

static void claim(struct sim_watch *w, const struct ike_sa *sa, uint32_t spi, const char *what)
{
    bool made;
    struct sim_watch_entry *e = sim_watch_at(w, &w->by_spi, spi, &made);

    if (e == NULL)
        return;
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_spi_unique, e->a != sa->local_spi, e->a == 0,
                       "%s %08x of SA %016" PRIx64 " is SA %016" PRIx64 "'s", what, (unsigned)spi,
                       sa->local_spi, e->a);
    e->a = sa->local_spi;
}

static uint64_t address_key(const struct ip_addr *ip)
{
    return sim_watch_mix(span_fnv1a64(span_of(ip->bytes, sizeof ip->bytes)), ip->family);
}

static void take_address(struct sim_watch *w, const struct ike_sa *sa, const struct ip_addr *ip)
{
    struct sim_watch_entry *e;
    bool made;

    if (!addr_is_set(ip) || (e = sim_watch_at(w, &w->addresses, address_key(ip), &made)) == NULL)
        return;
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_address_unique, e->a != sa->local_spi, e->a == 0,
                       "a virtual address of SA %016" PRIx64 " is SA %016" PRIx64 "'s",
                       sa->local_spi, e->a);
    e->a = sa->local_spi;
}

static void give_address(struct sim_watch *w, const struct ike_sa *sa, const struct ip_addr *ip)
{
    struct sim_watch_entry *e = sim_watch_find(&w->addresses, address_key(ip));

    if (addr_is_set(ip) && e != NULL && e->a == sa->local_spi)
        e->a = 0;
}

static void key_ends(struct sim_watch *w, const struct secret *key, uint64_t index)
{
    struct sim_watch_esp *e = sim_watch_esp_of(w, sim_watch_key(key));

    if (e->gone_index == 0)
        e->gone_index = index;
}

static void child_ends(struct sim_watch *w, const struct ike_sa *sa, uint32_t spi_in,
                       uint64_t index)
{
    const struct ike_child *child = child_at(sa, spi_in);
    struct sim_watch_entry *e = sim_watch_find(&w->by_spi, spi_in);

    if (e != NULL && e->a == sa->local_spi)
        e->a = 0;
    if (child == NULL)
        return;
    key_ends(w, &child->key_in, index);
    key_ends(w, &child->key_out, index);
}

static void take(struct sim_watch *w, struct sim_watch_sa *sa, const struct ike_sa *after)
{
    struct ike_sa *before = sa->state;

    if (before != NULL)
        judge_ids(w, sa, before, after);
    judge_successors(w, before, after);
    sim_watch_case_step(w, sa, before, after);
    if (before == NULL)
        sa->state = malloc(sizeof *sa->state);
    HF_ASSERT(sa->state != NULL);
    *sa->state = *after;
    sa->alive = after->state != IKE_SA_ENDED;
    sa->remote_spi = after->remote_spi;
}

static void drop(struct sim_watch_sa *sa)
{
    free(sa->state);
    sa->state = NULL;
    sa->alive = false;
}

/* --- the gateway's records --- */

static void sa_ends(struct sim_watch *w, uint64_t id, uint64_t index)
{
    struct sim_watch_sa *sa = sim_watch_sa_of(w, 0, id);

    if (sa == NULL || sa->state == NULL)
        return;
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->state->children[i].state != IKE_CHILD_NONE)
            child_ends(w, sa->state, sa->state->children[i].spi_in, index);
    for (size_t i = 0; i < ADDR_SLOTS; i++)
        give_address(w, sa->state, &sa->state->virtual_ip[i]);
    sim_watch_case_step(w, sa, sa->state, NULL);
    sa->gone_index = index;
    drop(sa);
}

void sim_watch_sessions_end(struct sim_watch *w, uint64_t place)
{
    for (size_t i = 0; i < w->n_sa; i++)
        if (w->sa[i]->owner_of == 0)
            sa_ends(w, w->sa[i]->id, place);
}

void sim_watch_sessions_lost(struct sim_watch *w, uint32_t node, uint64_t index)
{
    uint64_t place = sim_watch_place(w, node, index);

    w->unseen = false;
    if (sim_watch_is_former(w, node) || place <= w->lost_place)
        return;
    w->lost_place = place;
    w->unseen = place > w->highest;
    sim_watch_sessions_end(w, place);
    /* What nobody saw in front of it is told by nobody, nor hidden by the state that begins here. */
    if (place > w->highest)
        w->highest = place;
    if (w->gap.open && w->gap.to <= place)
        w->gap.open = false;
}

static void know_state(struct sim_watch *w, const struct ike_sa *state, uint64_t index)
{
    know_message(w, &state->last_response, index);
    if (state->pending.exchange != IKE_EX_NONE)
        know_message(w, &state->pending.request, index);
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        if (state->children[i].state != IKE_CHILD_NONE) {
            know_key(w, &state->children[i], true, index);
            know_key(w, &state->children[i], false, index);
        }
}

/* One SA's state out of a record. */
static void take_record(struct sim_watch *w, uint64_t id, struct span state, uint64_t index)
{
    struct sim_watch_sa *sa = sa_make(w, 0, id);
    const struct ike_sa *after = &w->decoded;

    if (!ike_sa_decode(state, &w->decoded)) {
        sim_watch_break(w, SIM_WATCH_room, "index %" PRIu64 ": a state does not decode", index);
        return;
    }
    if (sa->made_index == 0)
        sa->made_index = index;
    know_state(w, after, index);
    for (size_t i = 0; sa->state != NULL && i < ADDR_SLOTS; i++)
        if (!addr_equal(&sa->state->virtual_ip[i], &after->virtual_ip[i]))
            give_address(w, sa->state, &sa->state->virtual_ip[i]);
    take(w, sa, after);
    for (size_t i = 0; i < ADDR_SLOTS; i++)
        take_address(w, sa->state, &sa->state->virtual_ip[i]);
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->state->children[i].state != IKE_CHILD_NONE)
            claim(w, sa->state, sa->state->children[i].spi_in, "ESP SPI");
}

static void create(struct sim_watch *w, const Holdfast__SaCreate *c, uint64_t index)
{
    const struct sim_watch_sa *sa = sim_watch_sa_of(w, 0, c->sa_id);

    SIM_WATCH_JUDGE(w, SIM_WATCH_spi_unique, sa == NULL || sa->state == NULL,
                    "index %" PRIu64 ": SA %016" PRIx64 " is made, and it is there", index,
                    c->sa_id);
    for (size_t i = 0; i < c->n_ends; i++)
        sa_ends(w, c->ends[i]->sa_id, index);
    if (c->gives != NULL)
        take_record(w, c->gives->sa_id, record_span(c->gives->state), index);
    take_record(w, c->sa_id, record_span(c->state), index);
}

/* What the SA had and the record does not take away is with it still; and with a successor born it takes
 * none away. */
static void judge_kept(struct sim_watch *w, const Holdfast__SaStep *s, const uint32_t *had,
                       size_t n)
{
    const struct sim_watch_sa *sa = sim_watch_sa_of(w, 0, s->sa_id), *next = NULL;

    if (s->successor != NULL)
        next = sim_watch_sa_of(w, 0, s->successor->sa_id);
    for (size_t i = 0; i < n; i++) {
        bool kept = child_at(sa->state, had[i]) != NULL ||
                    (next != NULL && next->state != NULL && child_at(next->state, had[i]) != NULL);

        for (size_t k = 0; s->successor == NULL && k < s->n_gone_children; k++)
            kept |= s->gone_children[k] == had[i];
        SIM_WATCH_JUDGE(w, SIM_WATCH_none_vanishes, kept,
                        "SA %016" PRIx64 ": CHILD SA %08x is nowhere any more", s->sa_id,
                        (unsigned)had[i]);
    }
}

static void step(struct sim_watch *w, const Holdfast__SaStep *s, uint64_t index)
{
    uint32_t had[IKE_MAX_CHILDREN];
    size_t n_had = 0;
    const struct sim_watch_sa *sa = sim_watch_sa_of(w, 0, s->sa_id);
    struct sim_watch_entry *e;

    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_not_restored, sa == NULL || sa->state == NULL, false,
                       "index %" PRIu64 ": SA %016" PRIx64 " is stepped, it is gone", index,
                       s->sa_id);
    if (sa == NULL || sa->state == NULL)
        return;
    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->state->children[i].state != IKE_CHILD_NONE)
            had[n_had++] = sa->state->children[i].spi_in;
    for (size_t i = 0; i < s->n_gone_children; i++)
        child_ends(w, sa->state, s->gone_children[i], index);
    /* What moves to the successor leaves this one first. */
    for (size_t i = 0; s->successor != NULL && i < IKE_MAX_CHILDREN; i++) {
        e = sim_watch_find(&w->by_spi, sa->state->children[i].spi_in);
        if (sa->state->children[i].state != IKE_CHILD_NONE && e != NULL && e->a == s->sa_id)
            e->a = 0;
    }
    take_record(w, s->sa_id, record_span(s->state), index);
    if (s->successor != NULL)
        create(w, s->successor, index);
    judge_kept(w, s, had, n_had);
}

static void claims(struct sim_watch *w, uint32_t spi_in, uint64_t end, uint64_t ceiling)
{
    const struct sim_watch_entry *e = sim_watch_find(&w->by_spi, spi_in);
    const struct sim_watch_sa *sa = e == NULL ? NULL : sim_watch_sa_of(w, 0, e->a);
    const struct ike_child *child =
        sa == NULL || sa->state == NULL ? NULL : child_at(sa->state, spi_in);
    struct sim_watch_esp *esp;

    if (child == NULL)
        return;
    esp = sim_watch_esp_of(w, sim_watch_key(&child->key_out));
    if (end > esp->committed_end)
        esp->committed_end = end;
    esp = sim_watch_esp_of(w, sim_watch_key(&child->key_in));
    if (ceiling > esp->committed_ceiling)
        esp->committed_ceiling = ceiling;
}

/* The one that submitted it accepted nothing above: it had lowered its own limit before. */
static void judge_shrink(struct sim_watch *w, uint32_t spi_in, uint64_t ceiling)
{
    const struct sim_watch_entry *e = sim_watch_find(&w->by_spi, spi_in);
    const struct sim_watch_sa *sa = e == NULL ? NULL : sim_watch_sa_of(w, 0, e->a);
    const struct ike_child *child =
        sa == NULL || sa->state == NULL ? NULL : child_at(sa->state, spi_in);
    const struct sim_watch_esp *esp;
    uint64_t top = 0;

    if (child == NULL)
        return;
    esp = sim_watch_esp_of(w, sim_watch_key(&child->key_in));
    if (esp->n_grants > 0)
        top = esp->grants[esp->n_grants - 1].top;
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_shrink, top > 0 && ceiling < esp->committed_ceiling,
                       top <= ceiling,
                       "spi %08x: the ceiling %" PRIu64 " is committed, %" PRIu64 " was delivered",
                       (unsigned)spi_in, ceiling, top);
}

void sim_watch_apply(struct sim_watch *w, const struct repl_event *event)
{
    const Holdfast__Record *r = event->record;

    w->event_ms = event->cluster_ms;
    if (event->index < w->lost_place && r->shard != 0)
        return; /* told late, by one that had the key: it ended with all others */
    switch (r->body_case) {
    case HOLDFAST__RECORD__BODY_SA_CREATE:
        create(w, r->sa_create, event->index);
        break;
    case HOLDFAST__RECORD__BODY_SA_STEP:
        step(w, r->sa_step, event->index);
        break;
    case HOLDFAST__RECORD__BODY_SA_DELETE:
        sa_ends(w, r->sa_delete->sa_id, event->index);
        break;
    default:
        break;
    }
    for (size_t i = 0; i < event->n_children; i++)
        claims(w, event->children[i].spi_in, event->children[i].claim.reservation_end,
               event->children[i].claim.ceiling);
    for (size_t i = 0; i < event->n_items; i++)
        if (event->items[i].verdict == REPL_ACCEPTED) {
            judge_shrink(w, event->items[i].spi_in, event->items[i].claim.ceiling);
            claims(w, event->items[i].spi_in, event->items[i].claim.reservation_end,
                   event->items[i].claim.ceiling);
        }
}

void sim_watch_restored(struct sim_watch *w, uint32_t node, uint64_t index, struct span state)
{
    const struct sim_watch_sa *sa;

    if (!ike_sa_decode(state, &w->decoded)) {
        sim_watch_break(w, SIM_WATCH_room, "node %u: a restored state does not decode",
                        (unsigned)node);
        return;
    }
    sa = sim_watch_sa_of(w, 0, w->decoded.local_spi);
    SIM_WATCH_JUDGE_IF(w, SIM_WATCH_not_restored, sa != NULL && sa->gone_index != 0,
                       sa->gone_index > index,
                       "node %u has SA %016" PRIx64 " out of a snapshot of %" PRIu64
                       ", it went with index %" PRIu64,
                       (unsigned)node, w->decoded.local_spi, index, sa->gone_index);
    /* A snapshot may come before the watch saw the records: who made it has a conductor that is
     * behind its replica. */
    know_state(w, &w->decoded, index);
}

/* --- clients --- */

void sim_watch_client_sa(struct sim_watch *w, uint32_t client, uint64_t local_spi,
                         const struct ike_sa *after)
{
    struct sim_watch_sa *sa = sa_make(w, client + 1, local_spi);

    if (after != NULL && after->state != IKE_SA_NONE) {
        take(w, sa, after);
        return;
    }
    if (sa->state != NULL)
        sim_watch_case_step(w, sa, sa->state, NULL);
    drop(sa);
}

void sim_watch_client_restarted(struct sim_watch *w, uint32_t client)
{
    for (size_t i = 0; i < w->n_sa; i++)
        if (w->sa[i]->owner_of == client + 1)
            drop(w->sa[i]);
}

static void client_state(struct sim_watch *w, uint32_t client, uint64_t id, struct span state)
{
    if (ike_sa_decode(state, &w->decoded))
        sim_watch_client_sa(w, client, id, &w->decoded);
}

void sim_watch_client_event(struct sim_watch *w, uint32_t client, const struct repl_event *event)
{
    const Holdfast__Record *r = event->record;

    if (event->kind != REPL_EV_APPLIED || event->verdict != REPL_ACCEPTED)
        return;
    w->event_ms = event->cluster_ms;
    if (r->body_case == HOLDFAST__RECORD__BODY_SA_CREATE) {
        client_state(w, client, r->sa_create->sa_id, record_span(r->sa_create->state));
    } else if (r->body_case == HOLDFAST__RECORD__BODY_SA_STEP) {
        client_state(w, client, r->sa_step->sa_id, record_span(r->sa_step->state));
        if (r->sa_step->successor != NULL)
            client_state(w, client, r->sa_step->successor->sa_id,
                         record_span(r->sa_step->successor->state));
    } else if (r->body_case == HOLDFAST__RECORD__BODY_SA_DELETE) {
        sim_watch_client_sa(w, client, r->sa_delete->sa_id, NULL);
    }
}
