/* The facts of GET /v1/doctor: of this node as it is, and what it counted in the last minutes. */
#include <time.h>

#include "daemon/doctor.h"
#include "daemon/internal.h"
#include "io/clock.h"
#include "replication/key_bound.h"
#include "replication/tls_identity.h"

/* What a packet of TUN_MTU bytes takes outside: ESP in UDP by AES-GCM (RFC 4303, RFC 4106, RFC 3948): UDP 8, ESP 8, IV 8, padding to
 * four bytes with its two of trailer, ICV 16; and the IP header. */
enum {
    ESP_BYTES = 8 + 8 + 8 + 4 + 16,
    MTU_NEEDED_V4 = TUN_MTU + ESP_BYTES + 20,
    MTU_NEEDED_V6 = TUN_MTU + ESP_BYTES + 40
};

static void gather_counts(struct daemon *d, const struct repl_status *st,
                          uint64_t n[DOCTOR_COUNTED])
{
    const struct counters *c = conductor_counters(d->conductor);
    struct datapath_drops drops;

    datapath_drops(d->datapath, &drops);
    n[DOCTOR_IKE_IN] = c->value[COUNTER_ike_in];
    n[DOCTOR_IKE_IN_NATT] = c->value[COUNTER_ike_in_natt];
    n[DOCTOR_REQUESTED] = 0;
    for (int i = 0; i < COUNTER_EXCHANGES; i++)
        n[DOCTOR_REQUESTED] += c->exchange[i][IKE_BY_US].started;
    n[DOCTOR_RETRANSMITTED] = c->value[COUNTER_retransmissions_out];
    n[DOCTOR_HALF_OPEN_EXPIRED] = c->value[COUNTER_half_open_expired];
    n[DOCTOR_POOL_EXHAUSTED] = c->value[COUNTER_pool_exhausted];
    n[DOCTOR_PEER_DEAD] = c->reason[IKE_REASON_PEER_DEAD];
    n[DOCTOR_LOGINS_REFUSED] = c->reason[IKE_REASON_AUTH_FAILED];
    n[DOCTOR_HARD_EXPIRED] = c->value[COUNTER_hard_expirations];
    n[DOCTOR_ESP_IN] = drops.packets_in;
    n[DOCTOR_ESP_REPLAYED] = drops.in[ESP_DROP_REPLAYED] + drops.in[ESP_DROP_OLD];
    n[DOCTOR_NUMBERS_LATE] = drops.in[ESP_DROP_CEILING] + drops.out[ESP_DROP_NO_NUMBERS];
    n[DOCTOR_UDP_ERRORS] = worker_pool_counter(d->pool, WORKER_UDP_ERRORS) +
                           worker_pool_counter(d->pool, WORKER_RAW_ERRORS);
    n[DOCTOR_TUN_ERRORS] = worker_pool_counter(d->pool, WORKER_TUN_ERRORS);
    n[DOCTOR_LEASES_LOST] = st->counters[REPL_COUNT_LEASES_LOST];
}

void doctor_tick(struct daemon *d)
{
    uint64_t now = io_boottime_ms(), count[DOCTOR_COUNTED];
    struct repl_status st;

    if (now < d->doctor.next_ms)
        return;
    repl_status(d->repl, &st);
    gather_counts(d, &st, count);
    doctor_keep(&d->doctor, now, count);
}

static void gather_machine(struct daemon *d, struct doctor_facts *f)
{
    const struct config *config = d->config;
    struct netlink_link link;
    struct io_error error;

    f->outside_up = d->outside_up;
    f->inside_up = d->inside_up;
    f->outside = config->outside_interface;
    f->inside = config->inside_interface;
    f->outside_mtu =
        netlink_link_get(d->netlink, config->outside_interface, &link, &error) ? link.mtu : 0;
    f->mtu_needed = MTU_NEEDED_V4;
    for (uint32_t i = 0; i < d->n_shards; i++)
        if (addr_is_set(&d->shards[i].config->outside[SLOT_V6]))
            f->mtu_needed = MTU_NEEDED_V6;
    f->disk_full = d->disk_full;
    f->data_dir = config->data_dir;
    f->disk_percent = config->disk_handover_percent;
    f->leaving = d->leaving;
    f->rollback_missed = atomic_load(&d->rollback.missed);
    f->rollback_deaf = atomic_load(&d->rollback.deaf) != 0;
}

static const char *severity(enum doctor_id id)
{
    return doctor_severity_name(doctor_severity_of(id));
}

static json_t *finding_json(const struct doctor_finding *found)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "id", doctor_name(found->id), "severity",
                     severity(found->id), "subject", found->subject, "evidence", found->evidence,
                     "meaning", doctor_meaning(found->id), "next", doctor_next(found->id));
}

static json_t *get_doctor(void *self, struct api_problem *problem)
{
    struct daemon *d = self;
    struct doctor_finding found[DOCTOR_MOST];
    struct doctor_facts facts = {0};
    struct repl_key_bound bound;
    struct repl_status st;
    uint64_t count[DOCTOR_COUNTED];
    char why[TLS_WHY_BYTES];
    json_t *list = json_array();
    size_t n;
    bool fatal;

    (void)problem;
    repl_status(d->repl, &st);
    repl_key_bound(&st, &bound);
    facts.status = &st;
    facts.keys_overdue = bound.overdue;
    for (size_t i = 0; i < st.n_shards; i++)
        facts.acting[i] = gateway_may_act(&d->gateway, st.shards[i].shard);
    gather_machine(d, &facts);
    if (d->tls != NULL && tls_identity_complaint(d->tls, (int64_t)time(NULL), &fatal, why) != NULL)
        facts.certificate = why;
    gather_counts(d, &st, count);
    doctor_since(&d->doctor, io_boottime_ms(), count, &facts);
    n = doctor_find(&facts, found);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, finding_json(&found[i]));
    return json_pack("{s:I,s:I,s:I,s:o}", "node", (json_int_t)st.node, "checked",
                     (json_int_t)DOCTOR_COUNT, "window_s", (json_int_t)(facts.window_ms / 1000),
                     "findings", list);
}

void doctor_fill(struct api_backend *b)
{
    b->doctor = get_doctor;
}
