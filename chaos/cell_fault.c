#include "cell.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

enum { REPLAY_NS = 1000000000, FRAME_MAX = 2048, ETH_HEAD = 14, UDP_CHECKSUM = 6, FLOW_AFTER = 20 };
enum { ARRIVE_MS = 500 };

/* Of a frame of another node that speaks as its service address: the shard that is to move, else 0. */
static unsigned moving_shard(const struct cell *c, const struct capture_frame *f)
{
    unsigned shard = lab_shard_of_vip(f->src);

    return f->port != CAPTURE_CLIENT_PORT && f->port != c->dead && c->moving >> shard & 1 ? shard
                                                                                          : 0;
}

static void note_if_moved(struct cell *c, const struct capture_frame *f)
{
    unsigned shard = moving_shard(c, f);

    if (!shard)
        return;
    c->moving &= ~(1u << shard);
    c->moves[shard]++;
    c->owners[shard] = f->port;
    if (c->n_tenures < CELL_MAX_TENURES)
        c->tenures[c->n_tenures++] =
            (struct oracle_tenure){.shard = shard, .node = f->port, .from_ns = f->ns};
    if (!c->acting_port)
        c->acting_port = f->port;
    if (f->ns > c->acting_ns)
        c->acting_ns = f->ns;
}

static void expect_move(struct cell *c, unsigned from)
{
    c->acting_port = 0;
    c->acting_ns = 0;
    c->dead = from;
    c->moving = 0;
    for (unsigned s = 1; s <= c->drill->shards; s++) {
        if (c->owners[s] == from)
            c->moving |= 1u << s;
    }
}

/* What the script needs to know at once is noted as the frames come in. */
void cell_frame_seen(void *arg, const struct capture_frame *f)
{
    struct cell *c = arg;

    if (!f->left)
        return;
    note_if_moved(c, f);
    if (f->kind != CAPTURE_IKE)
        return;
    if (c->watching && f->exchange == IKE_HDR_CREATE_CHILD && !(f->flags & IKE_HDR_FLAG_RESPONSE) &&
        (f->port == CAPTURE_CLIENT_PORT) == (c->spec->role == DRILL_CLIENT)) {
        if (!c->have_about) {
            c->have_about = true;
            c->about = oracle_message_of(f);
            c->about.from_client = false;
            c->about.response = c->spec->role == DRILL_CLIENT;
        }
        if (c->spec->role == DRILL_CLIENT && !c->have_request) {
            c->have_request = true;
            c->request_frame = (size_t)(f - c->sniff.capture.frames);
        }
    }
    if (c->have_about && oracle_is_message(f, &c->about))
        c->about_sent++;
}

/* The bridge's rules for the client's IKE. @th counts bits from the UDP header on: the non-ESP
 * marker (RFC 3948 2.2) at 64, the exchange type at 240, the message ID at 256 (RFC 7296 3.1). */
static int ike_rules(const struct cell *c, unsigned only_to, enum cell_ike ike, char *text,
                     size_t size)
{
    static const char to[] = "iifname outc udp dport 4500 @th,64,32 0";

    if (ike == CELL_IKE_FLOWS)
        return 0;
    if (ike == CELL_IKE_TIED)
        return snprintf(text, size, "  %s oifname != out%u drop\n", to, only_to);
    if (ike == CELL_IKE_ASKS_AGAIN)
        return snprintf(text, size, "  %s @th,240,8 != %u drop\n  %s @th,256,32 != %u drop\n", to,
                        IKE_HDR_CREATE_CHILD, to, c->about.message_id);
    /* The gateway began: the answer is held. One to a DPD is not: it would keep the window taken. */
    if (c->spec->role == DRILL_GATEWAY)
        return snprintf(text, size, "  %s @th,240,8 %u drop\n", to, IKE_HDR_CREATE_CHILD);
    return snprintf(text, size, "  %s drop\n", to);
}

bool cell_hold(struct cell *c, bool esp, unsigned only_to, enum cell_ike ike)
{
    char text[1024];
    int at =
        snprintf(text, sizeof text,
                 "table bridge hold\nflush table bridge hold\ntable bridge hold {\n chain f {\n"
                 "  type filter hook forward priority 0; policy accept;\n");

    /* By port, not by address: what is for a dead node's address goes out of every port. */
    if (esp)
        at += snprintf(text + at, sizeof text - (size_t)at,
                       "  iifname outc oifname != out%u udp dport 4500 @th,64,32 != 0 drop\n",
                       only_to);
    at += ike_rules(c, only_to, ike, text + at, sizeof text - (size_t)at);
    (void)snprintf(text + at, sizeof text - (size_t)at, " }\n}\n");
    return lab_bridge_rules(&c->lab, text);
}

/* A captured frame once more, to another node. Its UDP checksum was left to the sender's "hardware"
 * and never computed: zero means none (RFC 768). */
static bool send_again(struct cell *c, const struct capture_frame *f, unsigned node)
{
    struct span kept = capture_bytes(&c->sniff.capture, f);
    uint8_t frame[FRAME_MAX];
    size_t udp;

    if (kept.len > sizeof frame || kept.len != f->wire_len || kept.len < ETH_HEAD + 28)
        return false;
    memcpy(frame, kept.data, kept.len);
    lab_node_mac(node, frame);
    udp = ETH_HEAD + (size_t)(frame[ETH_HEAD] & 0xf) * 4;
    if (udp + 8 > kept.len)
        return false;
    put_be16(frame + udp + UDP_CHECKSUM, 0);
    return sniff_inject(&c->sniff, node, span_of(frame, kept.len));
}

/* The client's ESP packets of the last second before the death. */
static void replay(struct cell *c, struct cell_takeover *t)
{
    const struct capture *cap = &c->sniff.capture;
    size_t n = cap->n_frames;

    t->replay_first = true;
    for (size_t i = 0; i < n; i++) {
        const struct capture_frame *f = &cap->frames[i];

        if (f->kind != CAPTURE_ESP)
            continue;
        if (f->port == t->to && !f->left && f->ns >= t->acting_ns)
            t->replay_first = false; /* a live one was faster */
        if (f->port == CAPTURE_CLIENT_PORT && f->left && f->ns + REPLAY_NS >= t->kill_ns &&
            f->ns <= t->kill_ns && send_again(c, f, t->to))
            t->replayed++;
    }
}

struct arrivals {
    struct cell *c;
    struct cell_takeover *t;
    struct node_view before;
};

static bool all_arrived(void *arg)
{
    struct arrivals *a = arg;
    struct node_view now;

    node_look(&a->c->nodes[a->t->to], &now);
    if (!now.answered)
        return false;
    a->t->tried = now.esp_in - a->before.esp_in;
    a->t->refused = now.refused_in - a->before.refused_in;
    return a->t->tried >= a->t->replayed;
}

/* The client's last second again. Its ESP is still held, so the new owner's counters tell what
 * became of the replay alone. (What the dead owner never got, the new one may take.) */
static void replay_counted(struct cell *c, struct cell_takeover *t)
{
    struct arrivals a = {.c = c, .t = t};

    if (!cell_is_reference(c))
        node_look(&c->nodes[t->to], &a.before);
    replay(c, t);
    if (a.before.answered)
        (void)lab_until(&c->lab, all_arrived, &a, ARRIVE_MS);
}

static bool somebody_acts(void *arg)
{
    const struct cell *c = arg;

    return c->acting_port && !c->moving;
}

static bool acts_or_complains(void *arg)
{
    struct cell *c = arg;

    return somebody_acts(c) || c->client.log.n_complaints;
}

bool cell_read_owner(struct cell *c)
{
    struct node_view v;

    if (cell_is_reference(c))
        return true;
    node_look(&c->nodes[c->acting_port], &v);
    if (v.answered && v.shards[0].owner == c->acting_port) {
        c->leader = v.leader;
        c->epoch = v.shards[0].epoch;
    }
    return v.answered;
}

static bool copy_sent(void *arg)
{
    return ((struct cell *)arg)->about_sent >= 2;
}

struct one_more {
    struct cell *c;
    unsigned before;
};

static bool sent_once_more(void *arg)
{
    const struct one_more *more = arg;

    return more->c->about_sent > more->before;
}

static bool sent_at_all(void *arg)
{
    return ((struct cell *)arg)->about_sent >= 1;
}

/* Nothing of the request was submitted, and the client asks again by itself: the new owner must
 * answer that. (Where the dead owner had answered too early, the judge says so.) */
static bool answers_client(struct cell *c)
{
    unsigned ms = c->drill->settle_ms;
    struct oracle_message request = c->about;
    uint64_t first;

    if (c->about_sent)
        return true;
    if (!lab_until(&c->lab, sent_at_all, c, ms)) {
        oracle_violation(&c->report,
                         "exchange: node %u did not answer the client's retransmission within %u "
                         "ms",
                         c->owner, ms);
        return false;
    }
    request.response = false;
    request.from_client = true;
    return oracle_sent_by(&c->sniff.capture, &request, CAPTURE_CLIENT_PORT,
                          c->takeovers[0].acting_ns, UINT64_MAX, &first) ||
           cell_inconclusive(c, "node %u answered before the client had asked again", c->owner);
}

/* The gateway's request, which a committed record says, is sent again; the client's answer is held,
 * so that the gateway's own retransmission is a second copy. */
static bool copy_of_request(struct cell *c)
{
    unsigned ms = c->drill->settle_ms;

    if (!c->have_about && c->spec->point >= DRILL_COMMITTED &&
        !lab_until(&c->lab, sent_at_all, c, CELL_RESUME_MS)) {
        oracle_violation(&c->report,
                         "exchange: node %u did not send the committed request within %u ms",
                         c->owner, CELL_RESUME_MS);
        return false;
    }
    if (!c->have_about)
        return true; /* nothing of it is there yet: it will be begun */
    return lab_until(&c->lab, copy_sent, c, ms) ||
           cell_inconclusive(c, "no second copy of the gateway's request within %u ms", ms);
}

/* Client began: its request once more, to the new owner, until the answer was seen twice. */
bool cell_provoke_copy(struct cell *c)
{
    unsigned ms = c->drill->settle_ms;

    if (c->spec->role == DRILL_GATEWAY)
        return copy_of_request(c);
    if (!c->have_request)
        return cell_inconclusive(c, "the client's request was not captured");
    if (c->spec->point == DRILL_STEPPED && !answers_client(c))
        return false;
    for (unsigned tries = 0; tries < 20 && c->about_sent < 2; tries++) {
        struct one_more more = {c, c->about_sent};

        if (!send_again(c, &c->sniff.capture.frames[c->request_frame], c->acting_port))
            return cell_inconclusive(c, "the client's request cannot be replayed");
        (void)lab_until(&c->lab, sent_once_more, &more, ms / 20);
    }
    return true; /* too few copies are found by the judge */
}

/* At `stepped` the client's own retransmission is let through: the answer to it is what is shown.
 */
static enum cell_ike hold_of(const struct cell *c, bool with_exchange)
{
    if (!with_exchange)
        return CELL_IKE_FLOWS;
    return c->spec->role == DRILL_CLIENT && c->spec->point == DRILL_STEPPED && c->have_about
               ? CELL_IKE_ASKS_AGAIN
               : CELL_IKE_HELD;
}

/* What the log holds: the new owner has applied everything before its own assignment, and the
 * client is held. At `stepped` no record of it was ever submitted. */
static void take_committed(struct cell *c)
{
    cell_take_spis(cell_owner(c), &c->committed);
    c->record_survived =
        c->spec->point != DRILL_STEPPED && c->before.known && c->committed.known &&
        spis_record_survived(&c->before, &c->committed, c->spec->role == DRILL_CLIENT);
    if (c->spec->point >= DRILL_COMMITTED && c->committed.known && !c->record_survived)
        oracle_violation(&c->report, "log: node %u died at %s, but node %u lacks the record",
                         c->owner_before, drill_point_name(c->spec->point), c->owner);
}

/* Did another node speak as one of the moving shards well before the fault? Then the owner had lost
 * it (this machine was too slow for its lease) and reached its point without knowing: no verdict. */
static void judge_untimely(struct cell *c, uint64_t at_ns)
{
    uint64_t since[LAB_MAX_SHARDS + 1] = {0};

    for (size_t i = 0; i < c->n_tenures; i++)
        since[c->tenures[i].shard] = c->tenures[i].from_ns;
    for (size_t k = 0; k < c->sniff.capture.n_frames; k++) {
        const struct capture_frame *f = &c->sniff.capture.frames[k];
        unsigned shard = f->left ? moving_shard(c, f) : 0;

        if (shard && f->ns > since[shard] + CELL_IN_FLIGHT_NS && f->ns < at_ns) {
            c->unasked++;
            (void)cell_inconclusive(c, "shard %u had left node %u before the fault", shard,
                                    c->dead);
            return;
        }
    }
}

struct cell_takeover *cell_begin_takeover(struct cell *c, unsigned from, uint64_t at_ns)
{
    unsigned i = c->n_takeovers < CELL_MAX_TAKEOVERS ? c->n_takeovers++ : CELL_MAX_TAKEOVERS - 1;
    struct cell_takeover *t = &c->takeovers[i];

    *t = (struct cell_takeover){.kill_ns = at_ns, .dead_ns = at_ns, .from = from};
    expect_move(c, from);
    t->shards = c->moving;
    judge_untimely(c, at_ns);
    for (size_t k = 0; k < c->sniff.capture.n_frames; k++) { /* what came before it was expected */
        const struct capture_frame *f = &c->sniff.capture.frames[k];

        if (f->left && f->ns >= at_ns)
            note_if_moved(c, f);
    }
    return t;
}

bool cell_await_acting(struct cell *c, struct cell_takeover *t, unsigned ms, const char *after)
{
    char text[LAB_ADDRESS_TEXT];

    if (!lab_until(&c->lab, cell_is_reference(c) ? acts_or_complains : somebody_acts, c, ms) ||
        !c->acting_port) {
        unsigned shard = 1;

        while (shard < c->drill->shards && !(c->moving >> shard & 1))
            shard++;
        oracle_violation(&c->report, "takeover: nobody acted for %s in %.0f ms after node %u %s",
                         lab_address(LAB_VIP + shard - 1, c->drill->outside_v6, text),
                         (double)(pump_wall_ns() - t->kill_ns) / 1e6, t->from, after);
        return false;
    }
    t->acting_ns = c->acting_ns;
    t->to = c->acting_port;
    c->owner = cell_is_reference(c) ? t->to : c->owners[1];
    return true;
}

bool cell_await_flow(struct cell *c, struct cell_takeover *t, unsigned ms)
{
    if (!cell_wait_flow(c, FLOW_AFTER, ms)) {
        oracle_violation(&c->report,
                         "traffic: it does not flow both ways within %u ms after node %u took over",
                         ms, t->to);
        return false;
    }
    t->flowing_ns = pump_wall_ns();
    return true;
}

bool cell_await_move(struct cell *c, struct cell_takeover *t, const char *after)
{
    if (!cell_await_acting(c, t, c->drill->takeover_ms, after) ||
        !cell_await_flow(c, t, c->drill->settle_ms))
        return false;
    (void)cell_read_owner(c);
    return true;
}

bool cell_await_takeover(struct cell *c, unsigned dead, bool with_exchange)
{
    const struct node_step *step = &c->nodes[dead].step;
    struct cell_takeover *t = cell_begin_takeover(c, dead, step->wall_ns);
    bool esp = c->drill->expect & DRILL_EXP_REPLAY;
    enum cell_ike ike = hold_of(c, with_exchange);

    if (step->dead_ns)
        t->dead_ns = step->dead_ns;
    c->killed |= 1u << dead;
    cell_phase(c, "node %u is dead", dead);
    if (with_exchange && !cell_hold(c, esp, dead, ike))
        return false;
    if (!cell_await_acting(c, t, c->drill->takeover_ms, "died"))
        return false;
    if (esp) {
        replay_counted(c, t);
        if (!cell_hold(c, false, 0, ike))
            return false;
    }
    cell_phase(c, "node %u took over", t->to);
    (void)cell_read_owner(c);
    if (with_exchange)
        take_committed(c);
    if (with_exchange && c->spec->role == DRILL_GATEWAY && c->spec->point < DRILL_COMMITTED)
        return true; /* the caller finds out whether there is an exchange to copy */
    return !with_exchange || (cell_provoke_copy(c) && cell_hold(c, false, 0, CELL_IKE_FLOWS));
}

/* The armed point was reached, or the node died, or the time is over. */
static bool died(void *arg)
{
    struct cell *c = arg;

    return c->nodes[c->owner_before].step.reached && c->nodes[c->owner_before].proc.ended;
}

static bool check_step(struct cell *c)
{
    const struct node_step *s = &c->nodes[c->owner_before].step;
    char point[64];

    drill_point_text(c->spec, point, sizeof point);
    c->step = *s;
    if (strcmp(s->point, point) != 0)
        return cell_inconclusive(c, "the node stopped at '%s', armed was '%s'", s->point, point);
    if (!s->owner)
        return cell_inconclusive(c, "the node that stopped was not the owner");
    if (!drill_leader_fits(c->spec->leader, s->leader))
        return cell_inconclusive(c, "the node that stopped was %sthe leader",
                                 s->leader ? "" : "not ");
    c->reached = true;
    return true;
}

static bool arm_and_trigger(struct cell *c)
{
    unsigned reach_ms = c->drill->reach_ms + (cell_by_lifetime(c) ? NODE_SOON_MS : 0);
    char point[64];
    int status;

    drill_point_text(c->spec, point, sizeof point);
    status = node_arm(cell_owner(c), point, c->spec->mode == DRILL_MACHINE);
    if (status < 200 || status > 299)
        return cell_inconclusive(c, "node %u does not arm %s: status %d", c->owner, point, status);
    cell_phase(c, "armed %s", point);
    c->watching = true;
    c->trigger_ns = pump_wall_ns();
    if (!cell_trigger(c, c->owner))
        return false;
    if (!lab_until(&c->lab, died, c, reach_ms))
        return cell_inconclusive(c, "%s was not reached within %u ms", point, reach_ms);
    return check_step(c);
}

static bool kill_at_rest(struct cell *c)
{
    struct node_view v;

    if (cell_is_reference(c)) {
        c->nodes[1].step.wall_ns = pump_wall_ns();
        if (c->spec->mode == DRILL_MACHINE && !lab_links(&c->lab, 1, false))
            return false;
        proc_deinit(&c->lab, &c->reference.proc);
        c->reached = true;
        return true;
    }
    node_look(cell_owner(c), &v);
    if (!v.shards[0].acting || !drill_leader_fits(c->spec->leader, v.leader == c->owner))
        return cell_inconclusive(c, "node %u is to die: it is %sacting, the leader is node %u",
                                 c->owner, v.shards[0].acting ? "" : "not ", v.leader);
    c->leader_before = v.leader;
    c->reached = node_kill(cell_owner(c), c->spec->mode == DRILL_MACHINE);
    return c->reached;
}

bool cell_tie(struct cell *c, bool with_exchange)
{
    bool esp = c->drill->expect & DRILL_EXP_REPLAY;

    return (!esp && !with_exchange) ||
           cell_hold(c, esp, c->owner, with_exchange ? CELL_IKE_TIED : CELL_IKE_FLOWS);
}

bool cell_inject(struct cell *c)
{
    bool at_step = c->spec->exchange != DRILL_AT_REST;
    bool with_exchange = at_step && c->drill->expect & DRILL_EXP_EXCHANGE;

    c->owner_before = c->owner;
    c->leader_before = c->leader;
    if (!cell_is_reference(c))
        cell_take_spis(cell_owner(c), &c->before);
    if (!cell_tie(c, with_exchange) || !(at_step ? arm_and_trigger(c) : kill_at_rest(c)))
        return false;
    if (!cell_await_takeover(c, c->owner_before, with_exchange))
        return false;
    return cell_await_flow(c, &c->takeovers[0], c->drill->settle_ms);
}
