/* The admin interface's backend: status from replication and the conductor, commands to them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hex.h"
#include "daemon/admin_notes.h"
#include "daemon/internal.h"
#include "daemon/metrics.h"
#include "io/clock.h"
#include "replication/replica.h"

enum { TRANSFER_MS = 3000, WORDS_BYTES = 64 };

static json_t *hex64(uint64_t v)
{
    char text[17];

    (void)snprintf(text, sizeof text, "%016" PRIx64, v);
    return json_string(text);
}

static json_t *hex32(uint32_t v)
{
    char text[9];

    (void)snprintf(text, sizeof text, "%08" PRIx32, v);
    return json_string(text);
}

static json_t *number(uint64_t v)
{
    return json_integer((json_int_t)v);
}

static json_t *endpoint(const struct endpoint *e)
{
    char text[LOG_ENDPOINT_CHARS];

    return json_string(log_endpoint(e, text));
}

static json_t *address(const struct ip_addr *a)
{
    char text[LOG_ENDPOINT_CHARS];

    return a->family == ADDR_NONE ? json_null() : json_string(log_address(a, text));
}

static json_t *counters(struct daemon *d, const struct repl_status *st)
{
    const struct counters *c = conductor_counters(d->conductor);
    struct datapath_drops drops;
    json_t *out = json_object();
    char name[96];

    datapath_drops(d->datapath, &drops);
    for (int i = ESP_DROP_NONE + 1; i < ESP_DROP_COUNT; i++) {
        (void)snprintf(name, sizeof name, "esp_drop_in_%s", esp_drop_name((enum esp_drop)i));
        json_object_set_new(out, name, number(drops.in[i]));
        (void)snprintf(name, sizeof name, "esp_drop_out_%s", esp_drop_name((enum esp_drop)i));
        json_object_set_new(out, name, number(drops.out[i]));
    }

    for (int i = 0; i < COUNTER_COUNT; i++)
        json_object_set_new(out, counter_name((enum counter_id)i), number(c->value[i]));
    for (int i = IKE_REASON_NONE + 1; i < IKE_REASON_COUNT; i++) {
        (void)snprintf(name, sizeof name, "ike_reason_%s", ike_reason_name((enum ike_reason)i));
        json_object_set_new(out, name, number(c->reason[i]));
    }
    for (int i = 0; i < SUITE_VERDICTS; i++) {
        (void)snprintf(name, sizeof name, "certificate_%s",
                       suite_verdict_name((enum suite_verdict)i));
        json_object_set_new(out, name, number(c->verdict[i]));
    }
    for (int i = 0; i < WORKER_COUNTER_COUNT; i++) {
        (void)snprintf(name, sizeof name, "esp_%s", worker_counter_name((enum worker_counter)i));
        json_object_set_new(out, name,
                            number(worker_pool_counter(d->pool, (enum worker_counter)i)));
    }
    for (int i = 0; i < STRAY_COUNTERS; i++) {
        (void)snprintf(name, sizeof name, "stray_%s", stray_counter_name((enum stray_counter)i));
        json_object_set_new(out, name,
                            number(strays_counter(d->gateway.strays, (enum stray_counter)i)));
    }
    for (int i = 0; i < REPL_COUNTERS; i++) {
        (void)snprintf(name, sizeof name, "repl_%s", repl_counter_name((enum repl_counter)i));
        json_object_set_new(out, name, number(st->counters[i]));
    }
    return out;
}

static json_t *nodes(const struct repl_status *st)
{
    json_t *out = json_array();

    for (size_t i = 0; i < st->n_nodes; i++) {
        const struct repl_node_status *n = &st->nodes[i];

        json_array_append_new(
            out,
            json_pack("{s:o,s:o,s:b,s:b,s:b,s:b,s:b,s:o,s:o,s:s,s:s,s:s}", "id", number(n->node),
                      "address", endpoint(&n->address), "connected", n->connected, "leader",
                      n->leader, "healthy", n->healthy, "drained", n->drained, "reluctant",
                      n->reluctant, "boot", hex64(n->boot), "applied_index",
                      number(n->applied_index), "state", repl_agreement_name(n->agreement), "role",
                      repl_role_name(n->role), "distrust",
                      repl_distrust_is_new(n->distrust) ? "" : repl_distrust_name(n->distrust)));
    }
    return out;
}

static json_t *shards(struct daemon *d, const struct repl_status *st)
{
    json_t *out = json_array();
    uint64_t now = io_boottime_ns();

    for (size_t i = 0; i < st->n_shards; i++) {
        const struct repl_shard_status *s = &st->shards[i];
        const struct daemon_shard *here = daemon_shard_of(d, s->shard);
        const struct config_shard *config;
        bool held = s->lease_until_ns > now;
        json_t *epoch, *owner, *lease;

        if (here == NULL)
            continue;
        config = here->config;
        epoch = json_pack("{s:o,s:o}", "incarnation", number(s->epoch.incarnation), "index",
                          number(s->epoch.index));
        owner = s->owner_node == 0 ? json_null()
                                   : json_pack("{s:o,s:o}", "node", number(s->owner_node), "boot",
                                               hex64(s->owner_boot));
        lease = json_pack("{s:b,s:o}", "held", held, "remaining_ms",
                          number(held ? (s->lease_until_ns - now) / 1000000 : 0));
        json_array_append_new(
            out, json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:o,s:o,s:o}", "id",
                           number(s->shard), "outside", address(&config->outside[SLOT_V4]),
                           "outside6", address(&config->outside[SLOT_V6]), "inside",
                           address(&config->inside[SLOT_V4]), "inside6",
                           address(&config->inside[SLOT_V6]), "epoch", epoch, "owner", owner,
                           "assignments", number(s->assignments), "lease", lease, "acting",
                           gateway_may_act(&d->gateway, s->shard), "prefer", number(s->prefer),
                           "home", number(s->home), "moving_to", number(s->moving_to)));
    }
    return out;
}

static double ms_of(uint64_t ns)
{
    return (double)ns / 1e6;
}

/* The longest turn of each loop since this was last read: one as long as a lease loses it. */
static json_t *loops(struct daemon *d)
{
    struct loop_turns control = loop_watch_take(&d->turns), repl = repl_loop_turns(d->repl);

    return json_pack("{s:{s:f,s:f,s:f},s:{s:f,s:f,s:f}}", "control", "longest_ms",
                     ms_of(control.longest_ns), "longest_cpu_ms", ms_of(control.longest_cpu_ns),
                     "ever_ms", ms_of(control.ever_ns), "replication", "longest_ms",
                     ms_of(repl.longest_ns), "longest_cpu_ms", ms_of(repl.longest_cpu_ns),
                     "ever_ms", ms_of(repl.ever_ns));
}

static json_t *get_cluster(void *self, struct api_problem *problem)
{
    struct daemon *d = self;
    struct repl_status st;
    char digest[2 * REPL_DIGEST_BYTES + 1];

    (void)problem;
    repl_status(d->repl, &st);
    hex_put(st.digest, REPL_DIGEST_BYTES, digest);
    return json_pack(
        "{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:o,s:{s:o,s:o,s:o,s:o},s:s,s:o,s:o,s:o,s:o,s:o,s:o,"
        "s:o,s:o,s:o,s:o,s:o,s:o,s:s}",
        "node", number(st.node), "boot", hex64(st.boot), "leader",
        st.leader == 0 ? json_null() : number(st.leader), "term", number(st.term), "applied_index",
        number(st.applied_index), "commit_index", number(st.commit_index), "last_index",
        number(st.last_index), "cluster_ms", number(st.cluster_ms), "quorum", st.quorum,
        "certificate", certs_json(d), "timing", "election_ms", number(st.timing.election_ms),
        "heartbeat_ms", number(st.timing.heartbeat_ms), "lease_ms", number(st.timing.lease_ms),
        "lease_heartbeat_ms", number(st.timing.lease_heartbeat_ms), "digest", digest, "nodes",
        nodes(&st), "shards", shards(d, &st), "sas", number(conductor_count_sas(d->conductor)),
        "half_open", number(conductor_count_half_open(d->conductor)), "counters", counters(d, &st),
        "snapshot_index", number(st.snapshot_index), "incarnation", number(st.incarnation),
        "majority_s",
        d->majority_ms == 0 ? json_null() : number((io_boottime_ms() - d->majority_ms) / 1000),
        "loops", loops(d), "keys", admin_keys_json(&st), "beginnings", recover_json(d->repl),
        "rollback", rollback_json(d), "waits", st.waits);
}

static json_t *child_json(const struct ike_child *child, const struct conductor_child_view *v)
{
    struct esp_sa_view esp = {0};
    json_t *out;

    if (v->esp != NULL)
        datapath_view(v->esp, &esp);
    out = json_pack("{s:o,s:o,s:s,s:b,s:o,s:o,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "spi_in",
                    hex32(child->spi_in), "spi_out", hex32(child->spi_out), "state",
                    ike_child_state_name(child->state), "outbound", child->outbound, "encr",
                    number(child->encr_id), "encr_bits", number(child->encr_bits), "esn",
                    child->esn, "ke", number(child->ke_id), "packets_in", number(esp.in_packets),
                    "packets_out", number(esp.out_packets), "reservation_end",
                    number(v->claim.reservation_end), "next_out", number(esp.next_out), "ceiling",
                    number(v->claim.ceiling), "floor", number(esp.floor), "last_in",
                    number(esp.last_seq), "soft_ms", number(child->soft_ms));
    if (out != NULL)
        json_object_update_missing_new(
            out,
            json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "created_ms",
                      number(child->created_ms), "hard_ms", number(child->hard_ms), "bytes_in",
                      number(esp.in_bytes), "bytes_out", number(esp.out_bytes), "counted_in_bytes",
                      number(esp.counted_in_bytes), "counted_out_bytes",
                      number(esp.counted_out_bytes), "soft_bytes", number(child->soft_bytes),
                      "hard_bytes", number(child->hard_bytes), "soft_packets",
                      number(child->soft_packets), "hard_packets", number(child->hard_packets)));
    return out;
}

static json_t *pending_json(const struct ike_pending *p)
{
    if (p->exchange == IKE_EX_NONE)
        return json_null();
    return json_pack("{s:s,s:o,s:o,s:o}", "exchange", ike_exchange_name(p->exchange), "message_id",
                     number(p->message_id), "new_spi_in", hex32(p->new_spi_in), "new_ike_spi",
                     hex64(p->new_ike_spi));
}

static void sa_json(void *self, const struct conductor_sa_view *view)
{
    const struct ike_sa *sa = view->sa;
    char identity[LOG_TEXT_CHARS];
    json_t *children = json_array(), *out;

    for (int i = 0; i < IKE_MAX_CHILDREN; i++)
        if (sa->children[i].state != IKE_CHILD_NONE)
            json_array_append_new(children, child_json(&sa->children[i], &view->children[i]));
    out = json_pack(
        "{s:o,s:o,s:o,s:s,s:s,s:s,s:o,s:o,s:o,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "id",
        hex64(sa->local_spi), "remote_spi", hex64(sa->remote_spi), "peer", endpoint(&sa->remote),
        "identity", log_text(span_of(sa->remote_id.bytes, sa->remote_id.len), identity), "state",
        ike_sa_state_name(sa->state), "role", sa->role == IKE_INITIATOR ? "initiator" : "responder",
        "version", number(view->version), "virtual_ip", address(&sa->virtual_ip[SLOT_V4]),
        "virtual_ip6", address(&sa->virtual_ip[SLOT_V6]), "encap", sa->encap, "shard",
        number(sa->shard), "established_ms", number(sa->created_ms), "soft_ms", number(sa->soft_ms),
        "hard_ms", number(sa->hard_ms), "iv_next", number(sa->iv_next), "pending",
        pending_json(&sa->pending), "children", children);
    json_array_append_new(self, out);
}

/* The lowest ids above page->after, in order. */
struct picked {
    const struct api_page *page;
    uint64_t *ids;
    size_t n;
    bool more;
};

static void pick(void *self, const struct conductor_sa_view *view)
{
    struct picked *p = self;
    uint64_t id = view->sa->local_spi;
    size_t at = p->n;

    if (id <= p->page->after)
        return;
    if (p->n == p->page->limit) {
        p->more = true;
        if (id > p->ids[p->n - 1])
            return;
        at = --p->n;
    }
    for (; at > 0 && p->ids[at - 1] > id; at--)
        p->ids[at] = p->ids[at - 1];
    p->ids[at] = id;
    p->n++;
}

/* A page is bounded work for the loop; the whole table is for root alone. */
static json_t *get_sas(void *self, const struct api_page *page, struct api_problem *problem)
{
    struct daemon *d = self;
    json_t *list = json_array(), *out = json_pack("{s:o}", "sas", list);
    struct picked p = {.page = page};

    (void)problem;
    if (page->limit == 0) {
        conductor_each_sa(d->conductor, sa_json, list);
        return out;
    }
    p.ids = calloc(page->limit, sizeof *p.ids);
    HF_ASSERT(p.ids != NULL);
    conductor_each_sa(d->conductor, pick, &p);
    for (size_t i = 0; i < p.n; i++)
        (void)conductor_view_sa(d->conductor, p.ids[i], sa_json, list);
    if (p.more)
        json_object_set_new(out, "next", hex64(p.ids[p.n - 1]));
    free(p.ids);
    return out;
}

/* --- writes: what is refused here does nothing; the rest is written down first (admin_notes.h) --- */

static void do_transfer(struct daemon *d, struct api_request *request,
                        const union admin_deed_args *args)
{
    if (d->transfer != NULL) {
        admin_refuse(request, 409, "busy", "another leader transfer is under way: wait for it");
        return;
    }
    switch (repl_transfer_leader(d->repl, args->node)) {
    case REPL_OK:
        d->transfer = request;
        d->transfer_to = args->node;
        d->transfer_until_ms = io_boottime_ms() + TRANSFER_MS;
        return;
    case REPL_NOT_LEADER:
        admin_refuse(request, 409, "not-leader",
                     "this node is not the leader: ask the leader to hand over");
        return;
    case REPL_INVALID:
        admin_refuse(request, 404, "unknown-node", "no such node in the cluster");
        return;
    default:
        admin_refuse(request, 503, "busy", "the transfer cannot begin now: try again");
    }
}

static void transfer_leader(void *self, struct api_request *request, uint32_t node,
                            const struct api_asker *who)
{
    struct daemon *d = self;
    char before[WORDS_BYTES], after[WORDS_BYTES];
    struct admin_order o = {.operation = "leader.transfer",
                            .target = "cluster/leader",
                            .before = before,
                            .after = after,
                            .deed = do_transfer,
                            .args = {.node = node}};
    struct repl_status st;

    repl_status(d->repl, &st);
    (void)snprintf(before, sizeof before, "node %u", (unsigned)st.leader);
    (void)snprintf(after, sizeof after, "node %u", (unsigned)node);
    if (st.leader == node)
        api_request_answer(request, json_pack("{s:o}", "leader", number(node)));
    else if (d->transfer != NULL)
        admin_refuse(request, 409, "busy", "another leader transfer is under way: wait for it");
    else if (st.leader != st.node)
        admin_refuse(request, 409, "not-leader",
                     "this node is not the leader: ask the leader to hand over");
    else if (admin_node(&st, node) == NULL)
        admin_refuse(request, 404, "unknown-node", "no such node in the cluster");
    else
        admin_note_first(d, request, who, &o);
}

void admin_leader_changed(struct daemon *d, uint32_t leader)
{
    struct api_request *request = d->transfer;

    if (request == NULL || leader == 0)
        return;
    d->transfer = NULL;
    if (leader == d->transfer_to)
        api_request_answer(request, json_pack("{s:o}", "leader", number(leader)));
    else
        admin_refuse(request, 409, "other-leader",
                     "another node became leader: read GET /v1/cluster");
}

void admin_tick(struct daemon *d)
{
    struct api_request *request = d->transfer;

    if (request == NULL || io_boottime_ms() < d->transfer_until_ms)
        return;
    d->transfer = NULL;
    admin_refuse(request, 504, "timeout", "leadership did not move in time: read GET /v1/cluster");
}

void admin_stop(struct daemon *d)
{
    if (d->transfer != NULL)
        admin_refuse(d->transfer, 503, "stopping", "this node is stopping: ask another one");
    d->transfer = NULL;
}

static void do_rekey(struct daemon *d, struct api_request *request,
                     const union admin_deed_args *args)
{
    static const uint32_t child_wants[] = {[API_PFS_POLICY] = IKE_WANT_REKEY_CHILD,
                                           [API_PFS_YES] = IKE_WANT_REKEY_CHILD_PFS,
                                           [API_PFS_NO] = IKE_WANT_REKEY_CHILD_NOPFS};
    const struct api_rekey *a = &args->rekey;
    uint32_t want = a->kind == API_REKEY_IKE ? IKE_WANT_REKEY_IKE : child_wants[a->pfs];
    const char *why = "";

    if (conductor_command(d->conductor, a->sa_id, want, a->child_spi_in, &why))
        api_request_answer(request,
                           json_pack("{s:o,s:s}", "id", hex64(a->sa_id), "status", "begun"));
    else
        admin_refuse(request, 409, "not-rekeyed", why);
}

static void see_none(void *self, const struct conductor_sa_view *view)
{
    (void)self;
    (void)view;
}

static void rekey(void *self, struct api_request *request, const struct api_rekey *args,
                  const struct api_asker *who)
{
    static const char *const pfs[] = {
        [API_PFS_POLICY] = "", [API_PFS_YES] = ", PFS", [API_PFS_NO] = ", no PFS"};
    struct daemon *d = self;
    char target[WORDS_BYTES], after[WORDS_BYTES] = "IKE SA";
    struct admin_order o = {.operation = "sa.rekey",
                            .target = target,
                            .after = after,
                            .deed = do_rekey,
                            .args = {.rekey = *args}};

    if (!conductor_view_sa(d->conductor, args->sa_id, see_none, NULL)) {
        do_rekey(d, request, &o.args); /* which says that there is none */
        return;
    }
    (void)snprintf(target, sizeof target, "sas/%016" PRIx64, args->sa_id);
    if (args->kind == API_REKEY_CHILD && args->child_spi_in == 0)
        (void)snprintf(after, sizeof after, "CHILD SA%s", pfs[args->pfs]);
    else if (args->kind == API_REKEY_CHILD)
        (void)snprintf(after, sizeof after, "CHILD SA %08" PRIx32 "%s", args->child_spi_in,
                       pfs[args->pfs]);
    admin_note_first(d, request, who, &o);
}

static void do_arm(struct daemon *d, struct api_request *request, const union admin_deed_args *args)
{
    const char *why = "";

    if (!steppoint_arm(conductor_steppoint(d->conductor), args->arm.point,
                       args->arm.mode == API_ARM_MACHINE ? "machine" : "process", &why)) {
        admin_refuse(request, conductor_steppoint(d->conductor)->enabled ? 400 : 403, "not-armed",
                     why);
        return;
    }
    log_line(d->log, LOG_WARN, "drill", "step point %s armed", args->arm.point);
    api_request_answer(request, json_pack("{s:s}", "armed", args->arm.point));
}

static void arm(void *self, struct api_request *request, const struct api_arm *args,
                const struct api_asker *who)
{
    struct daemon *d = self;
    char target[WORDS_BYTES + API_POINT_BYTES];
    struct admin_order o = {.operation = "drill.arm",
                            .target = target,
                            .after = args->mode == API_ARM_MACHINE ? "machine" : "process",
                            .deed = do_arm,
                            .args = {.arm = *args}};

    (void)snprintf(target, sizeof target, "nodes/%u/%s", (unsigned)d->config->node_id, args->point);
    if (!conductor_steppoint(d->conductor)->enabled)
        do_arm(d, request, &o.args); /* which refuses it */
    else
        admin_note_first(d, request, who, &o);
}

static void do_reload(struct daemon *d, struct api_request *request,
                      const union admin_deed_args *args)
{
    (void)args;
    reload_begin(d, request);
}

static void reload(void *self, struct api_request *request, const struct api_asker *who)
{
    struct daemon *d = self;
    char target[WORDS_BYTES];
    struct admin_order o = {
        .operation = "node.reload", .target = target, .deed = do_reload, .mends = true};

    (void)snprintf(target, sizeof target, "nodes/%u", (unsigned)d->config->node_id);
    if (d->reloading)
        admin_refuse(request, 409, "busy", "a reload is under way: ask again");
    else
        admin_note_first(d, request, who, &o);
}

void admin_fill(struct daemon *d)
{
    d->started_ms = io_boottime_ms();
    d->backend = (struct api_backend){.self = d,
                                      .cluster = get_cluster,
                                      .metrics = metrics_get,
                                      .sas = get_sas,
                                      .ready = rest_ready,
                                      .leads = rest_leads,
                                      .index = rest_index,
                                      .events = d->events.feed,
                                      .transfer_leader = transfer_leader,
                                      .rekey = rekey,
                                      .arm = arm,
                                      .reload = reload};
    admin_moves_fill(&d->backend);
    admin_attempts_fill(&d->backend);
    doctor_fill(&d->backend);
    admin_profiles_fill(&d->backend);
    admin_keys_fill(&d->backend);
    admin_members_fill(&d->backend);
    admin_tokens_fill(d);
    recover_fill(&d->backend);
}
