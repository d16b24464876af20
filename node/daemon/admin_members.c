/* Members come and go: a token is made on a member, used on the new node, which asks a member over the
 * nodes' own connection; a removal is admin_remove.c's. What is wished stands in the log (which is its
 * audit, too); the answer comes when the cluster is so.
 *
 *   new node: POST join {token} ──ADMIN frame {JOIN_BY, token, speaks, who}──> all ── a member: record JOIN ──> log
 *             role "learner" or "voter": answered     <── {REFUSED, why} ┘ no such token (join_ask.h)
 *             knows where one member is; ────ADMIN frame {WHO}────> any member
 *             connects with all of them       <──── {MEMBERS, their addresses}
 *
 * Members of before know JOIN alone, which says nothing of who asked: it is sent once nobody has heeded some of the other.
 */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/hex.h"
#include "crypto/tables.h"
#include "daemon/internal.h"
#include "daemon/leave_ask.h"
#include "io/clock.h"
#include "replication/record.h"

enum { FRAME_JOIN = 1, FRAME_REFUSED = 2, FRAME_WHO = 3, FRAME_MEMBERS = 4, FRAME_JOIN_BY = 5 };
enum {
    WAIT_MS = 9000,
    AGAIN_MS = 500,
    ASKS_BY = 4, /* then by turns */
    ADDRESS_BYTES = 4 + 1 + 16 + 2,
    JOIN_BYTES = 1 + DAEMON_TOKEN_BYTES + 4,
    ASKER_BYTES = sizeof(struct api_asker)
};

static void hash_of(const uint8_t token[DAEMON_TOKEN_BYTES], uint8_t hash[32])
{
    struct span part = span_of(token, DAEMON_TOKEN_BYTES);

    HF_ASSERT(suite_default.sha256->compute(&part, 1, hash));
}

bool admin_members_begin(struct daemon *d, struct api_request *request, struct member_wait wait)
{
    if (d->member.request != NULL) {
        admin_refuse(request, 409, "busy", "another change of members is under way: wait for it");
        return false;
    }
    wait.request = request;
    wait.until_ms = io_boottime_ms() + WAIT_MS;
    d->member = wait;
    return true;
}

/* --- tokens --- */

/* Members, and tokens for others than `node`. */
static size_t places_taken(const struct repl_status *st, uint32_t node)
{
    size_t n = 0;

    for (size_t i = 0; i < st->n_nodes; i++)
        n += repl_is_member(st->nodes[i].role);
    for (size_t i = 0; i < st->n_tokens; i++)
        n += st->tokens[i].node != node;
    return n;
}

static void make_token(void *self, struct api_request *request, const struct api_token *args,
                       const struct api_asker *who)
{
    struct daemon *d = self;
    struct member_wait w = {.what = MEMBER_TOKEN, .node = args->node, .by = admin_asker(who)};
    struct repl_admin by = admin_by(&w.by);
    const struct repl_node_status *n;
    struct repl_status st;
    uint8_t hash[32];

    repl_status(d->repl, &st);
    n = admin_node(&st, args->node);
    if (config_self(d->config)->address.ip.family == ADDR_NONE || d->tls == NULL) {
        admin_refuse(request, 409, "alone",
                     "this node's configuration has no `cluster` section, so nobody reaches it: "
                     "`holdfast cluster init NAME NODE ADDRESS --keep-data`, then restart it");
    } else if (st.speaks < RECORD_SPEAKS) {
        admin_refuse(request, 409, "old-members",
                     "a member runs an older version: upgrade it first");
    } else if (!repl_address_valid(args->address)) {
        admin_refuse(
            request, 422, "bad-address",
            "the address must be like 10.0.0.4:7400, or [fd00:0:0:0:0:0:0:4]:7400 in full");
    } else if (leave_is_gone(&st, args->node) || args->node <= recover_used_ids(d->repl)) {
        admin_refuse(request, 409, "id-used",
                     "a node of that id was there: ids are never used again, take another one");
    } else if (n != NULL && n->role != REPL_EXPECTED && n->role != REPL_OUTSIDE) {
        admin_refuse(request, 409, "id-used", "that node is a member already");
    } else if (places_taken(&st, args->node) >= REPL_MAX_MEMBERS) {
        admin_refuse(request, 409, "full",
                     "a cluster has five members at most, tokens that wait among them: remove a "
                     "node first, or let a token expire");
    } else if (join_ids_used_up(&st, args->node)) {
        admin_refuse(request, 409, "ids-used-up",
                     "this cluster has had 64 members, removed ones among them: ids are never used "
                     "again, so it takes no more; a new one is founded by `holdfast cluster init`");
    } else {
        HF_ASSERT(getrandom(w.token, sizeof w.token, 0) == (ssize_t)sizeof w.token);
        hash_of(w.token, hash);
        if (admin_members_begin(d, request, w) &&
            !conductor_wish_token(d->conductor, args->node, args->address, hash,
                                  args->valid_s * 1000ull, &by)) {
            d->member.request = NULL;
            admin_refuse(request, 503, "busy", "replication takes nothing now: try again");
        }
    }
    secret_wipe_bytes(&w, sizeof w);
}

/* With whom the cluster began: the new node's file must say the same (its hash is the cluster's name). */
static json_t *founders_json(const struct config *config)
{
    json_t *list = json_array();
    size_t n = config->n_founders > 0 ? config->n_founders : config->n_nodes;

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(
            list, json_integer(config->n_founders > 0 ? config->founders[i] : config->nodes[i].id));
    return list;
}

/* Whom it may ask. */
static json_t *self_json(const struct config *config)
{
    char text[LOG_ENDPOINT_CHARS];

    return json_pack("{s:I,s:s}", "id", (json_int_t)config->node_id, "address",
                     log_endpoint(&config_self(config)->address, text));
}

static void answer_token(struct daemon *d)
{
    struct member_wait *w = &d->member;
    char text[2 * DAEMON_TOKEN_BYTES + 1];

    hex_put(w->token, DAEMON_TOKEN_BYTES, text);
    api_request_answer(w->request, json_pack("{s:I,s:s,s:o,s:o}", "node", (json_int_t)w->node,
                                             "token", text, "founders", founders_json(d->config),
                                             "member", self_json(d->config)));
    secret_wipe_bytes(text, sizeof text);
}

/* --- joining: the new node's side --- */

static bool read_token(const char *text, uint8_t out[DAEMON_TOKEN_BYTES])
{
    return strlen(text) == 2 * DAEMON_TOKEN_BYTES && hex_get(text, DAEMON_TOKEN_BYTES, out);
}

/* Its texts, each with its zero. At most ASKER_BYTES. */
static size_t put_asker(const struct api_asker *a, uint8_t *out)
{
    const char *texts[] = {a->role, a->principal, a->address, a->request_id};
    size_t at = 0;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t n = strlen(texts[i]) + 1;

        memcpy(out + at, texts[i], n);
        at += n;
    }
    return at;
}

static bool take_text(struct span *in, enum audit_text text, char *out, size_t cap)
{
    const uint8_t *end = in->len > 0 ? memchr(in->data, '\0', in->len) : NULL;
    size_t n = end == NULL ? 0 : (size_t)(end - in->data) + 1;

    if (end == NULL || n > cap || !audit_text_valid(text, (const char *)in->data))
        return false;
    memcpy(out, in->data, n);
    *in = span_of(in->data + n, in->len - n);
    return true;
}

/* All of it, as the log would take it. */
static bool take_asker(struct span in, struct api_asker *a)
{
    return take_text(&in, AUDIT_ROLE, a->role, sizeof a->role) &&
           take_text(&in, AUDIT_PRINCIPAL, a->principal, sizeof a->principal) &&
           take_text(&in, AUDIT_ADDRESS, a->address, sizeof a->address) &&
           take_text(&in, AUDIT_REQUEST_ID, a->request_id, sizeof a->request_id) && in.len == 0;
}

/* All of them: who is outside, too, says nothing. */
static void ask(struct daemon *d, const struct repl_status *st)
{
    struct member_wait *w = &d->member;
    bool by = w->asks < ASKS_BY || w->asks % 2 == 0;
    uint8_t frame[JOIN_BYTES + ASKER_BYTES] = {by ? FRAME_JOIN_BY : FRAME_JOIN};
    size_t n = JOIN_BYTES;

    w->asks++;
    memcpy(frame + 1, w->token, DAEMON_TOKEN_BYTES);
    put_be32(frame + 1 + DAEMON_TOKEN_BYTES, RECORD_SPEAKS);
    if (by)
        n += put_asker(&w->by, frame + n);
    for (size_t i = 0; i < st->n_nodes; i++)
        if (st->nodes[i].node != st->node && st->nodes[i].connected)
            (void)repl_send_frame(d->repl, st->nodes[i].node, REPL_CHANNEL_ADMIN,
                                  span_of(frame, n));
    w->again_ms = io_boottime_ms() + AGAIN_MS;
    secret_wipe_bytes(frame, sizeof frame);
}

static void join(void *self, struct api_request *request, const char *token,
                 const struct api_asker *who)
{
    struct daemon *d = self;
    struct member_wait w = {
        .what = MEMBER_JOIN, .node = d->config->node_id, .by = admin_asker(who)};
    const struct repl_node_status *n;
    struct repl_status st;

    repl_status(d->repl, &st);
    n = admin_node(&st, st.node);
    if (n == NULL || n->role != REPL_OUTSIDE)
        admin_refuse(
            request, 409, "not-outside",
            n != NULL && n->role == REPL_LEFT
                ? "this node was removed: it joins again only under a new id, with an empty data "
                  "directory"
                : "this node is a member of the cluster");
    else if (!read_token(token, w.token))
        admin_refuse(request, 422, "bad-token", "that is no token of `holdfast cluster token`");
    else if (admin_members_begin(d, request, w))
        ask(d, &st);
    secret_wipe_bytes(&w, sizeof w);
}

/* --- where the members are: the leader may be one that this node's file does not name --- */

static void say_members(struct daemon *d, uint32_t to)
{
    uint8_t frame[1 + REPL_MAX_NODES * ADDRESS_BYTES] = {FRAME_MEMBERS};
    struct repl_status st;
    size_t at = 1;

    repl_status(d->repl, &st);
    for (size_t i = 0; i < st.n_nodes; i++) {
        const struct repl_node_status *n = &st.nodes[i];

        if (!repl_is_member(n->role) || n->node == to || n->address.ip.family == ADDR_NONE)
            continue;
        put_be32(frame + at, n->node);
        frame[at + 4] = n->address.ip.family;
        memcpy(frame + at + 5, n->address.ip.bytes, 16);
        put_be16(frame + at + 21, n->address.port);
        at += ADDRESS_BYTES;
    }
    if (at > 1)
        (void)repl_send_frame(d->repl, to, REPL_CHANNEL_ADMIN, span_of(frame, at));
}

/* Also who only has a token may say so: whose word counts, the log decides (replica_introduce()). Who answers at
 * these addresses must show a certificate. */
static void heard_members(struct daemon *d, uint32_t from, struct span in)
{
    struct repl_node_address nodes[REPL_MAX_NODES];
    size_t n = (in.len - 1) / ADDRESS_BYTES;

    if (in.len != 1 + n * ADDRESS_BYTES || n > REPL_MAX_NODES)
        return;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *at = in.data + 1 + i * ADDRESS_BYTES;
        struct endpoint e = {.ip = {.family = at[4]}, .port = get_be16(at + 21)};

        if (get_be32(at) == 0 || (at[4] != ADDR_V4 && at[4] != ADDR_V6) || e.port == 0)
            return;
        memcpy(e.ip.bytes, at + 5, 16);
        nodes[i] = (struct repl_node_address){get_be32(at), e};
    }
    if (n > 0)
        repl_introduce(d->repl, from, nodes, n);
}

/* As long as it finds no leader: one that joins, or comes back when those of its file are gone, or was cut
 * off when the one that leads now joined. */
static void ask_who(struct daemon *d)
{
    static const uint8_t frame[1] = {FRAME_WHO};
    struct repl_status st;

    if (io_boottime_ms() < d->who_again_ms)
        return;
    d->who_again_ms = io_boottime_ms() + AGAIN_MS;
    repl_status(d->repl, &st);
    for (size_t i = 0; st.leader == 0 && i < st.n_nodes; i++)
        if (st.nodes[i].node != st.node && st.nodes[i].connected)
            (void)repl_send_frame(d->repl, st.nodes[i].node, REPL_CHANNEL_ADMIN,
                                  span_of(frame, sizeof frame));
}

/* --- joining: a member's side. Who asked is what the new node says: with the token it may become a member, and say it
 * anywhere. --- */

static void say_no(struct daemon *d, uint32_t to, const char *why, const uint8_t hash[32])
{
    uint8_t frame[1 + JOIN_WHY_BYTES] = {FRAME_REFUSED};
    size_t n = join_refusal(why, hash, frame + 1);

    (void)repl_send_frame(d->repl, to, REPL_CHANNEL_ADMIN, span_of(frame, 1 + n));
}

static void asked(struct daemon *d, uint32_t from, struct span in)
{
    struct api_asker asker;
    struct repl_admin by;
    struct repl_status st;
    uint8_t hash[32];
    bool said = in.data[0] == FRAME_JOIN_BY;

    if (in.len < JOIN_BYTES || (!said && in.len != JOIN_BYTES) ||
        (said && !take_asker(span_of(in.data + JOIN_BYTES, in.len - JOIN_BYTES), &asker)))
        return;
    if (said)
        by = admin_by(&asker);
    repl_status(d->repl, &st);
    hash_of(in.data + 1, hash);
    switch (join_answer(&st, from, hash)) {
    case JOIN_REFUSED:
        log_line(d->log, LOG_WARN, "node", "node %u asked to join without a valid token", from);
        say_no(d, from,
               "no such token for this node: it was used, it has expired, or it is another node's; "
               "make a new one on a member: holdfast cluster token",
               hash);
        return;
    case JOIN_TAKEN:
        log_line(d->log, LOG_INFO, "node", "node %u joins by its token", from);
        (void)conductor_wish_join(d->conductor, from, hash,
                                  get_be32(in.data + 1 + DAEMON_TOKEN_BYTES), said ? &by : NULL);
        return;
    case JOIN_SILENCE:
    default:
        return;
    }
}

static void heard_refusal(struct daemon *d, uint32_t from, struct span said)
{
    struct member_wait *w = &d->member;
    struct repl_status st;
    uint8_t hash[32];

    if (w->request == NULL || w->what != MEMBER_JOIN)
        return;
    repl_status(d->repl, &st);
    hash_of(w->token, hash);
    if (!join_refused(&w->refusals, &st, from, said, hash))
        return;
    admin_refuse(w->request, 403, "bad-token", w->refusals.why);
    secret_wipe_bytes(w, sizeof *w);
}

void admin_members_frame(struct daemon *d, uint32_t from, struct span in)
{
    if (in.len > 0 && (in.data[0] == FRAME_JOIN || in.data[0] == FRAME_JOIN_BY))
        asked(d, from, in);
    if (in.len == 1 && in.data[0] == FRAME_WHO)
        say_members(d, from);
    if (in.len > 1 && in.data[0] == FRAME_MEMBERS)
        heard_members(d, from, in);
    if (in.len > 1 && in.data[0] == FRAME_REFUSED)
        heard_refusal(d, from, span_of(in.data + 1, in.len - 1));
}

/* --- what waits --- */

static bool done(struct daemon *d, const struct repl_status *st)
{
    struct member_wait *w = &d->member;
    const struct repl_node_status *self = admin_node(st, st->node);
    const struct repl_token_status *t;
    uint8_t hash[32];

    switch (w->what) {
    case MEMBER_TOKEN:
        t = join_token_of(st, w->node);
        hash_of(w->token, hash);
        if (t == NULL || memcmp(t->hash, hash, sizeof hash) != 0)
            return false;
        answer_token(d);
        return true;
    case MEMBER_JOIN:
        if (self == NULL || !repl_is_member(self->role)) {
            if (io_boottime_ms() >= w->again_ms)
                ask(d, st);
            return false;
        }
        api_request_answer(w->request, json_pack("{s:I,s:s}", "node", (json_int_t)w->node, "role",
                                                 repl_role_name(self->role)));
        return true;
    case MEMBER_REMOVE:
        return admin_remove_step(d, st);
    default:
        return true;
    }
}

void admin_members_tick(struct daemon *d)
{
    static const char *const late[] = {
        [MEMBER_TOKEN] = "not taken by the log in time: is there a majority? Ask again",
        [MEMBER_JOIN] =
            ("no member has let it in: is one of cluster.nodes reachable, and did it make "
             "this token for this node's id and address? One that heard it may do so "
             "yet: see GET /v1/cluster, and ask again")};
    struct repl_status st;

    ask_who(d);
    if (d->member.request == NULL)
        return;
    repl_status(d->repl, &st);
    if (!done(d, &st)) {
        if (d->member.what == MEMBER_REMOVE || io_boottime_ms() < d->member.until_ms)
            return;
        if (d->member.refusals.n > 0) /* by some; the others know no better, it seems */
            admin_refuse(d->member.request, 403, "bad-token", d->member.refusals.why);
        else
            admin_refuse(d->member.request, 504, "timeout", late[d->member.what]);
    }
    secret_wipe_bytes(&d->member, sizeof d->member);
}

void admin_members_stop(struct daemon *d)
{
    if (d->member.request != NULL && d->member.what == MEMBER_REMOVE)
        admin_remove_stop(&d->member);
    else if (d->member.request != NULL)
        admin_refuse(d->member.request, 503, "stopping", "this node is stopping: ask another one");
    secret_wipe_bytes(&d->member, sizeof d->member);
}

void admin_members_fill(struct api_backend *b)
{
    b->make_token = make_token;
    b->join = join;
    b->remove_node = admin_remove_node;
}
