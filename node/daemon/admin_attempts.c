/* Failed attempts for the REST API: what this node keeps of them, and what they mean (conductor/attempts.h, explain.h). */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "conductor/explain.h"
#include "daemon/internal.h"
#include "wire/notify.h"

enum { ID_CHARS = 17 };

static const char *id_text(uint64_t id, char out[ID_CHARS])
{
    (void)snprintf(out, ID_CHARS, "%016" PRIx64, id);
    return out;
}

static json_t *attempt_json(const struct attempt *a)
{
    char id[ID_CHARS], sa[ID_CHARS], peer[LOG_ENDPOINT_CHARS], local[LOG_ENDPOINT_CHARS];
    char identity[LOG_TEXT_CHARS];
    json_t *out = json_pack(
        "{s:s,s:I,s:I,s:I,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:b,s:s,s:s,s:I}", "id",
        id_text(a->id, id), "first_wall_ms", (json_int_t)a->first_wall_s * 1000, "last_wall_ms",
        (json_int_t)a->last_wall_s * 1000, "times", (json_int_t)a->times, "peer",
        log_endpoint(&a->remote, peer), "identity", explain_identity(&a->identity, identity),
        "identity_type", explain_identity_type(&a->identity), "exchange",
        ike_exchange_name(a->exchange), "begun_by", a->begun == IKE_BY_US ? "gateway" : "client",
        "cause", attempt_cause(a), "said",
        a->peer_error != 0 ? wire_notify_name(a->peer_error) : "", "certificate",
        a->judged ? suite_verdict_name(a->verdict) : "", "asked_again", (int)attempt_asks_again(a),
        "proven", (int)a->proven, "sa", id_text(a->sa_id, sa), "local",
        log_endpoint(&a->local, local), "shard", (json_int_t)a->shard);

    HF_ASSERT(out != NULL); /* all texts are ASCII */
    return out;
}

/* The address of the query; family 0: of all. */
static struct ip_addr peer_of(const char *text)
{
    struct ip_addr ip = {.family = ADDR_NONE};

    if (inet_pton(AF_INET, text, ip.bytes) == 1)
        ip.family = ADDR_V4;
    else if (inet_pton(AF_INET6, text, ip.bytes) == 1)
        ip.family = ADDR_V6;
    return ip;
}

static bool wanted(const struct attempt *a, const struct ip_addr *peer, const char *identity)
{
    char text[LOG_TEXT_CHARS];

    return (!addr_is_set(peer) || addr_equal(peer, &a->remote.ip)) &&
           (identity[0] == '\0' || strcmp(identity, explain_identity(&a->identity, text)) == 0);
}

static json_t *get_attempts(void *self, const struct api_attempts_query *q,
                            struct api_problem *problem)
{
    struct daemon *d = self;
    struct attempts *all = conductor_attempts(d->conductor);
    struct ip_addr peer = peer_of(q->peer);
    uint64_t now_ms = repl_cluster_ms(d->repl), below = q->below != 0 ? q->below : UINT64_MAX;
    json_t *list = json_array(), *out;
    const struct attempt *a;
    char last[ID_CHARS] = "";

    (void)problem;
    out = json_pack("{s:I,s:I,s:o}", "node", (json_int_t)d->config->node_id, "unkept",
                    (json_int_t)attempts_unkept(all), "attempts", list);
    for (; (a = attempts_below(all, below, now_ms)) != NULL; below = a->id) {
        if (!wanted(a, &peer, q->identity))
            continue;
        if (q->limit != 0 && json_array_size(list) == q->limit) {
            json_object_set_new(out, "next", json_string(last));
            break;
        }
        json_array_append_new(list, attempt_json(a));
        (void)id_text(a->id, last);
    }
    return out;
}

/* ---- one of them, explained ---- */

/* Pieces of one `what` come together, so each belongs to the last row or begins one. */
static void put(void *self, const char *what, enum explain_side side, const char *text)
{
    json_t *rows = self, *row = json_array_get(rows, json_array_size(rows) - 1);

    if (row == NULL || strcmp(json_string_value(json_object_get(row, "what")), what) != 0) {
        row = json_pack("{s:s,s:[],s:[],s:b}", "what", what, "offered", "allowed", "differs", 0);
        json_array_append_new(rows, row);
    }
    if (side == EXPLAIN_DIFFERS)
        json_object_set_new(row, "differs", json_true());
    else
        json_array_append_new(json_object_get(row, side == EXPLAIN_OFFERED ? "offered" : "allowed"),
                              json_string(text));
}

static json_t *get_attempt(void *self, uint64_t id, struct api_problem *problem)
{
    struct daemon *d = self;
    const struct attempt *a =
        attempts_find(conductor_attempts(d->conductor), id, repl_cluster_ms(d->repl));
    uint32_t node = attempts_node_of(id);
    const struct explanation *e;
    json_t *evidence;

    if (a == NULL) {
        if (node != d->config->node_id)
            api_problem_set(problem, 404, "unknown-attempt",
                            "attempt %016" PRIx64 " is node %u's, this is node %u: ask that one",
                            id, (unsigned)node, (unsigned)d->config->node_id);
        else
            api_problem_set(problem, 404, "unknown-attempt",
                            "attempt %016" PRIx64 " is not kept here any more, or of another start "
                            "of this node",
                            id);
        return NULL;
    }
    evidence = json_array();
    explain_evidence(a, put, evidence);
    e = explain_attempt(a);
    return json_pack("{s:o,s:{s:s,s:s,s:o}}", "attempt", attempt_json(a), "explain", "meaning",
                     e->meaning, "fix", e->fix, "evidence", evidence);
}

void admin_attempts_fill(struct api_backend *b)
{
    b->attempts = get_attempts;
    b->attempt = get_attempt;
}
