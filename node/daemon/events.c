#include "daemon/events.h"

#include <inttypes.h>
#include <stdio.h>

#include "conductor/log.h"
#include "ike/step.h"
#include "replication/record.h"

static json_t *number(uint64_t v)
{
    return json_integer((json_int_t)v);
}

static json_t *hex(uint64_t v, int digits)
{
    char text[17];

    (void)snprintf(text, sizeof text, "%0*" PRIx64, digits, v);
    return json_string(text);
}

void events_init(struct events *e, uint32_t node, uint64_t (*ask)(void *self), void *self)
{
    *e = (struct events){.feed = api_feed_create(0, 0), .node = node, .ask = ask, .self = self};
}

void events_deinit(struct events *e)
{
    api_feed_destroy(e->feed);
    e->feed = NULL;
}

static void put(struct events *e, enum api_role needed, const char *type, json_t *data)
{
    if (e->incarnation == 0) {
        json_decref(data);
        return;
    }
    if (data ==
        NULL) /* a text in it is no UTF-8, on all nodes: that it happened is told all the same */
        data = json_object();
    HF_ASSERT(json_object_set_new(data, "cluster_ms", number(e->cluster_ms)) == 0);
    api_feed_put(e->feed, needed, type, data);
}

/* --- where in the log --- */

/* The incarnation may become known between two records of one entry: then it begins with the next entry, or the
 * count of its events would be wrong. */
static void locate(struct events *e, const struct repl_event *ev)
{
    if (ev->index == 0 || ev->index == e->index)
        return;
    if (e->incarnation == 0)
        e->incarnation = e->ask(e->self);
    e->index = ev->index;
    e->cluster_ms = ev->cluster_ms;
    if (e->incarnation != 0)
        api_feed_at(e->feed, e->incarnation, e->index);
}

static void take_reset(struct events *e, const struct repl_event *ev)
{
    e->incarnation = e->ask(e->self);
    e->index = ev->index;
    e->cluster_ms = ev->cluster_ms;
    if (e->incarnation != 0)
        api_feed_reset(e->feed, e->incarnation, e->index);
}

/* --- records --- */

static void take_member(struct events *e, const Holdfast__Member *m)
{
    switch (m->change) {
    case HOLDFAST__MEMBER__CHANGE__JOIN:
        put(e, API_ROLE_VIEWER, "member.joined", json_pack("{s:o}", "node", number(m->node)));
        break;
    case HOLDFAST__MEMBER__CHANGE__LEAVE:
        put(e, API_ROLE_VIEWER, "member.left", json_pack("{s:o}", "node", number(m->node)));
        break;
    case HOLDFAST__MEMBER__CHANGE__BOOT:
        put(e, API_ROLE_VIEWER, "member.started",
            json_pack("{s:o,s:o}", "node", number(m->node), "boot", hex(m->boot, 16)));
        break;
    default:
        break;
    }
}

/* Version 1 sets the times, for good; later ones renew the secrets of cookies, which is nobody's business. */
static void take_timing(struct events *e, const Holdfast__ClusterConfig *c)
{
    if (c->version == 1)
        put(e, API_ROLE_VIEWER, "timing",
            json_pack("{s:o,s:o,s:o,s:o}", "election_ms", number(c->election_ms), "heartbeat_ms",
                      number(c->heartbeat_ms), "lease_ms", number(c->lease_ms),
                      "lease_heartbeat_ms", number(c->lease_heartbeat_ms)));
}

/* Tokens are for admins to see (GET /v1/tokens); who may see others is for whom they are for to say. */
static void take_documents(struct events *e, const struct repl_event *ev)
{
    const Holdfast__Documents *d = ev->record->documents;

    for (size_t i = 0; i < d->n_changes; i++) {
        const Holdfast__DocumentChange *c = d->changes[i];
        json_t *data = json_pack("{s:s,s:s}", "kind", c->kind, "name", c->name);

        if (!c->remove)
            (void)json_object_set_new(data, "version", hex(ev->document_version, 16));
        put(e, API_ROLE_ADMIN, c->remove ? "document.removed" : "document.changed", data);
    }
}

static void take_operators(struct events *e, const Holdfast__Record *r)
{
    switch (r->body_case) {
    case HOLDFAST__RECORD__BODY_MOVE:
        put(e, API_ROLE_VIEWER, "shard.home",
            json_pack("{s:o,s:o}", "shard", number(r->shard), "node", number(r->move->node)));
        break;
    case HOLDFAST__RECORD__BODY_DRAIN:
        put(e, API_ROLE_VIEWER, r->drain->drained ? "node.drained" : "node.undrained",
            json_pack("{s:o,s:b}", "node", number(r->drain->node), "removal",
                      r->drain->removal != 0));
        break;
    case HOLDFAST__RECORD__BODY_JOIN_TOKEN:
        put(e, API_ROLE_VIEWER, "member.expected",
            json_pack("{s:o,s:s}", "node", number(r->join_token->node), "address",
                      r->join_token->address));
        break;
    case HOLDFAST__RECORD__BODY_ROTATE_KEYS:
        put(e, API_ROLE_VIEWER, "key.wished", json_object());
        break;
    default:
        break;
    }
}

static void take_accepted(struct events *e, const struct repl_event *ev)
{
    const Holdfast__Record *r = ev->record;

    switch (r->body_case) {
    case HOLDFAST__RECORD__BODY_MEMBER:
        take_member(e, r->member);
        break;
    case HOLDFAST__RECORD__BODY_CONFIG:
        take_timing(e, r->config);
        break;
    case HOLDFAST__RECORD__BODY_DOCUMENTS:
        take_documents(e, ev);
        break;
    case HOLDFAST__RECORD__BODY_SESSION_KEY:
        put(e, API_ROLE_VIEWER, "key.changed",
            json_pack("{s:o,s:b}", "key", hex(r->session_key->id, 16), "lost",
                      r->session_key->lost));
        break;
    case HOLDFAST__RECORD__BODY_KEY_ERASED:
        put(e, API_ROLE_VIEWER, "key.erased",
            json_pack("{s:o}", "key", hex(r->key_erased->id, 16)));
        break;
    default:
        take_operators(e, r);
        break;
    }
}

static void take_record(struct events *e, const struct repl_event *ev)
{
    if (ev->record != NULL && ev->verdict == REPL_ACCEPTED)
        take_accepted(e, ev);
    if (ev->audit != 0)
        put(e, API_ROLE_OPERATOR, "audit", json_pack("{s:o}", "sequence", number(ev->audit)));
}

static void take_assignment(struct events *e, const struct repl_event *ev)
{
    put(e, API_ROLE_VIEWER, "shard.owner",
        json_pack("{s:o,s:o,s:o,s:{s:o,s:o},s:b}", "shard", number(ev->shard), "node",
                  number(ev->owner_node), "boot", hex(ev->owner_boot, 16), "epoch", "incarnation",
                  number(ev->epoch.incarnation), "index", number(ev->epoch.index), "handover",
                  ev->handover));
}

/* --- this node's own --- */

static void take_leader(struct events *e, uint32_t leader)
{
    api_feed_put_own(e->feed, API_ROLE_VIEWER, "leader",
                     json_pack("{s:o,s:o}", "node", number(e->node), "leader",
                               leader == 0 ? json_null() : number(leader)));
}

static void take_quorum(struct events *e, bool held)
{
    api_feed_put_own(e->feed, API_ROLE_VIEWER, "quorum",
                     json_pack("{s:o,s:b}", "node", number(e->node), "held", held));
}

void events_take(struct events *e, const struct repl_event *ev)
{
    if (ev->kind == REPL_EV_RESET)
        take_reset(e, ev);
    locate(e, ev);
    switch (ev->kind) {
    case REPL_EV_APPLIED:
        take_record(e, ev);
        break;
    case REPL_EV_ASSIGNED:
        take_assignment(e, ev);
        break;
    case REPL_EV_LEADER:
        take_leader(e, ev->node);
        break;
    case REPL_EV_QUORUM:
        take_quorum(e, ev->held);
        break;
    default: /* frames, leases and wishes of this node's; the parts of a snapshot */
        break;
    }
}

/* --- SAs --- */

static json_t *address(const struct ip_addr *a)
{
    char text[LOG_ENDPOINT_CHARS];

    return addr_is_set(a) ? json_string(log_address(a, text)) : json_null();
}

static void add_peer(json_t *data, const struct ike_sa *sa)
{
    char text[LOG_TEXT_CHARS], peer[LOG_ENDPOINT_CHARS];

    HF_ASSERT(json_object_set_new(
                  data, "identity",
                  json_string(log_text(span_of(sa->remote_id.bytes, sa->remote_id.len), text))) ==
              0);
    HF_ASSERT(json_object_set_new(data, "peer", json_string(log_endpoint(&sa->remote, peer))) == 0);
}

void events_session(void *events, const struct conductor_session *s)
{
    static const char *const types[] = {[CONDUCTOR_SESSION_UP] = "session.up",
                                        [CONDUCTOR_SESSION_REKEYED] = "session.rekeyed",
                                        [CONDUCTOR_SESSION_ENDED] = "session.ended",
                                        [CONDUCTOR_CHILD_UP] = "child.up",
                                        [CONDUCTOR_CHILD_REKEYED] = "child.rekeyed",
                                        [CONDUCTOR_CHILD_ENDED] = "child.ended"};
    json_t *data = json_pack("{s:o,s:o}", "sa", hex(s->sa_id, 16), "shard", number(s->shard));

    HF_ASSERT(data != NULL);
    if (s->kind <= CONDUCTOR_SESSION_ENDED && s->sa != NULL)
        add_peer(data, s->sa);
    if (s->kind == CONDUCTOR_SESSION_UP && s->sa != NULL) {
        (void)json_object_set_new(data, "virtual_ip", address(&s->sa->virtual_ip[SLOT_V4]));
        (void)json_object_set_new(data, "virtual_ip6", address(&s->sa->virtual_ip[SLOT_V6]));
    }
    if (s->successor != 0)
        (void)json_object_set_new(data, "successor", hex(s->successor, 16));
    if (s->reason != NULL)
        (void)json_object_set_new(data, "reason", json_string(s->reason));
    if (s->spi_in != 0)
        (void)json_object_set_new(data, "spi_in", hex(s->spi_in, 8));
    if (s->replaces != 0)
        (void)json_object_set_new(data, "replaces", hex(s->replaces, 8));
    put(events, API_ROLE_VIEWER, types[s->kind], data);
}
