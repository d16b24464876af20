/* What is kept of a token is in the log; its text leaves this node in one answer, and is wiped here. */
#include "daemon/admin_tokens.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "base/bytes.h"
#include "base/hex.h"
#include "base/secret.h"
#include "crypto/tables.h"
#include "daemon/internal.h"
#include "io/clock.h"
#include "replication/record.h"

enum { ID_BYTES = 6, SECRET_BYTES = 32, WORDS_BYTES = 256, TARGET_BYTES = 32 };

static const enum api_role api_roles[] = {[TOKEN_VIEWER] = API_ROLE_VIEWER,
                                          [TOKEN_OPERATOR] = API_ROLE_OPERATOR,
                                          [TOKEN_ADMIN] = API_ROLE_ADMIN,
                                          [TOKEN_DRILL] = API_ROLE_DRILL};
static const char *const role_words[] = {[TOKEN_VIEWER] = "viewer",
                                         [TOKEN_OPERATOR] = "operator",
                                         [TOKEN_ADMIN] = "admin",
                                         [TOKEN_DRILL] = "drill"};

static enum token_role kept_role(enum api_role role)
{
    for (int i = TOKEN_VIEWER; i <= TOKEN_DRILL; i++)
        if (api_roles[i] == role)
            return (enum token_role)i;
    HF_ASSERT(false); /* api/handlers/tokens.c takes no other */
}

static uint64_t wall_s(void)
{
    return (uint64_t)time(NULL);
}

static bool ended(struct daemon *d, const struct token_doc *t)
{
    return token_doc_ended(t, repl_cluster_ms(d->repl), wall_s());
}

/* --- reading --- */

static enum api_bearer_found find(void *self, const char *id, struct api_bearer *token)
{
    struct daemon *d = self;
    enum api_bearer_found found = API_BEARER_UNKNOWN;
    const struct repl_document *kept;
    struct repl_status st;
    struct repl_view *view;
    struct token_doc t;

    repl_status(d->repl, &st);
    if (!st.quorum)
        return API_BEARER_UNSURE;
    view = repl_view_take(d->repl);
    kept = repl_view_document(view, TOKEN_KIND, id);
    if (kept != NULL && token_doc_decode(span_of(kept->bytes, kept->len), &t) && !ended(d, &t)) {
        *token = (struct api_bearer){.role = api_roles[t.role],
                                     .expires_s = (int64_t)(t.created_s + t.valid_s)};
        HF_STATIC_ASSERT(sizeof token->hash == sizeof t.hash);
        memcpy(token->hash, t.hash, sizeof t.hash);
        (void)snprintf(token->name, sizeof token->name, "token:%s/%s", t.name, id);
        found = API_BEARER_FOUND;
    }
    repl_view_release(view);
    return found;
}

static const struct api_bearer_store store = {.find = find};

static json_t *token_json(struct daemon *d, const char *id, uint64_t version,
                          const struct token_doc *t)
{
    char tag[17];

    (void)snprintf(tag, sizeof tag, "%016llx", (unsigned long long)version);
    return json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:b}", "id", id, "version", tag, "name", t->name, "role",
        role_words[t->role], "made_by", t->by, "created_s", (json_int_t)t->created_s, "expires_s",
        (json_int_t)t->created_s + (json_int_t)t->valid_s, "expired", (int)ended(d, t));
}

/* The next token behind *at that can be read; NULL: there is none. */
static const struct repl_document *next_token(const struct repl_view *view, size_t *at,
                                              struct token_doc *t)
{
    for (; *at < view->n_documents && strcmp(view->documents[*at]->kind, TOKEN_KIND) == 0;) {
        const struct repl_document *kept = view->documents[(*at)++];

        if (token_doc_decode(span_of(kept->bytes, kept->len), t))
            return kept;
    }
    return NULL;
}

static json_t *get_tokens(void *self, const struct api_page *page, struct api_problem *problem)
{
    struct daemon *d = self;
    struct repl_view *view = repl_view_take(d->repl);
    json_t *list = json_array(), *out = json_pack("{s:o}", "tokens", list);
    char after[17] = "";
    const struct repl_document *kept;
    struct token_doc t;
    size_t at;

    (void)problem;
    if (page->after != 0)
        (void)snprintf(after, sizeof after, "%012llx", (unsigned long long)page->after);
    at = repl_view_behind(view, TOKEN_KIND, after);
    while ((kept = next_token(view, &at, &t)) != NULL) {
        if (page->limit != 0 && json_array_size(list) == page->limit) {
            const json_t *last = json_array_get(list, page->limit - 1);

            json_object_set_new(
                out, "next",
                json_sprintf("0000%s", json_string_value(json_object_get(last, "id"))));
            break;
        }
        json_array_append_new(list, token_json(d, kept->name, kept->version, &t));
    }
    repl_view_release(view);
    return out;
}

static bool is_id(const char *id)
{
    return strlen(id) == API_BEARER_ID_BYTES - 1 &&
           strspn(id, "0123456789abcdef") == API_BEARER_ID_BYTES - 1;
}

/* Its version; 0: there is none of that id. */
static uint64_t look_up(struct daemon *d, const char *id, struct token_doc *t)
{
    struct repl_view *view = repl_view_take(d->repl);
    const struct repl_document *kept = is_id(id) ? repl_view_document(view, TOKEN_KIND, id) : NULL;
    uint64_t version =
        kept != NULL && token_doc_decode(span_of(kept->bytes, kept->len), t) ? kept->version : 0;

    repl_view_release(view);
    return version;
}

static json_t *get_token(void *self, const char *id, uint64_t *version, struct api_problem *problem)
{
    struct daemon *d = self;
    struct token_doc t;

    *version = look_up(d, id, &t);
    if (*version != 0)
        return token_json(d, id, *version, &t);
    api_problem_set(problem, 404, "unknown-token", "there is no token '%.40s': see GET /v1/tokens",
                    id);
    return NULL;
}

/* --- writing --- */

static void on_done(void *self, const struct repl_admin_result *result)
{
    struct token_write *w = self;

    w->result = *result;
    atomic_store_explicit(&w->done, true, memory_order_release);
}

static void drop(struct token_write *w)
{
    secret_wipe_bytes(w, sizeof *w);
}

/* A free place for a change that may be made now. NULL: the request, if there is one, was refused. */
static struct token_write *begin(struct daemon *d, struct api_request *request)
{
    struct repl_status st;

    repl_status(d->repl, &st);
    if (!st.quorum || st.leader == 0) {
        if (request != NULL)
            admin_refuse(request, 503, "no-quorum",
                         "no majority of the members is reached: nothing can be written");
        return NULL;
    }
    for (size_t i = 0; i < TOKEN_WRITES; i++) {
        struct token_write *w = &d->tokens.writes[i];

        if (!w->used) {
            w->used = true;
            w->request = request;
            return w;
        }
    }
    if (request != NULL)
        admin_refuse(request, 503, "busy", "too much is under way: try again");
    return NULL;
}

static void refuse_submit(struct token_write *w, enum repl_result result)
{
    if (w->request == NULL)
        return;
    if (result == REPL_OLD_MEMBER)
        admin_refuse(
            w->request, 409, "old-member",
            "a member runs a program that does not know tokens: upgrade all of them first");
    else
        admin_refuse(w->request, 503, "busy", "replication takes nothing now: try again");
}

static void submit(struct daemon *d, struct token_write *w, const struct repl_admin *admin,
                   const struct repl_document_change *changes, size_t n)
{
    enum repl_result result = repl_change_documents(d->repl, admin, changes, n, on_done, w, NULL);

    if (result == REPL_OK)
        return;
    refuse_submit(w, result);
    drop(w);
}

static struct repl_admin admin_of(const struct api_asker *who, const char *operation,
                                  const char *target)
{
    return (struct repl_admin){.role = who->role,
                               .principal = who->principal,
                               .address = who->address,
                               .request_id = who->request_id,
                               .operation = operation,
                               .target = target,
                               .wall_ms = wall_s() * 1000};
}

/* "name ci, role viewer, valid for s 3600": nothing of the secret. */
static void describe(const struct token_doc *t, char out[WORDS_BYTES])
{
    (void)snprintf(out, WORDS_BYTES, "name %s, role %s, valid for s %u from %llu", t->name,
                   role_words[t->role], t->valid_s, (unsigned long long)t->created_s);
}

static void target_of(const char *id, char out[TARGET_BYTES])
{
    (void)snprintf(out, TARGET_BYTES, "tokens/%s", id);
}

/* Id, secret and its hash. */
static void draw(struct token_write *w)
{
    uint8_t id[ID_BYTES] = {0}, secret[SECRET_BYTES];
    struct span part = span_of(secret, sizeof secret);
    char name[2 * ID_BYTES + 1], digits[2 * SECRET_BYTES + 1];

    while (get_be32(id) == 0) /* 0 is the beginning of the table */
        HF_ASSERT(getrandom(id, sizeof id, 0) == (ssize_t)sizeof id);
    HF_ASSERT(getrandom(secret, sizeof secret, 0) == (ssize_t)sizeof secret);
    hex_put(id, sizeof id, name);
    hex_put(secret, sizeof secret, digits);
    memcpy(w->id, name, sizeof w->id);
    (void)snprintf(w->text, sizeof w->text, "hf_%s_%s", name, digits);
    HF_ASSERT(suite_default.sha256->compute(&part, 1, w->doc.hash));
    secret_wipe_bytes(secret, sizeof secret);
    secret_wipe_bytes(digits, sizeof digits);
}

static size_t count_tokens(struct daemon *d)
{
    struct repl_view *view = repl_view_take(d->repl);
    size_t at = repl_view_behind(view, TOKEN_KIND, ""), n = 0;

    while (at + n < view->n_documents && strcmp(view->documents[at + n]->kind, TOKEN_KIND) == 0)
        n++;
    repl_view_release(view);
    return n;
}

static void add_token(void *self, struct api_request *request, const struct api_new_bearer *args,
                      const struct api_asker *who)
{
    struct daemon *d = self;
    uint8_t bytes[TOKEN_DOC_BYTES];
    char after[WORDS_BYTES], target[TARGET_BYTES];
    struct repl_document_change change = {.kind = TOKEN_KIND, .expect = REPL_EXPECT_ABSENT};
    struct token_write *w;
    struct repl_admin admin;

    if (count_tokens(d) >= TOKENS_MOST) {
        admin_refuse(request, 409, "too-many-tokens",
                     "there are as many tokens as there may be: remove some that nobody needs");
        return;
    }
    w = begin(d, request);
    if (w == NULL)
        return;
    w->what = TOKEN_ADD;
    w->doc = (struct token_doc){.role = kept_role(args->role),
                                .created_s = wall_s(),
                                .created_ms = repl_cluster_ms(d->repl),
                                .valid_s = args->valid_s};
    (void)snprintf(w->doc.name, sizeof w->doc.name, "%s", args->name);
    (void)snprintf(w->doc.by, sizeof w->doc.by, "%s", who->principal);
    draw(w);
    change.name = w->id;
    change.bytes = span_of(bytes, token_doc_encode(&w->doc, bytes));
    HF_ASSERT(change.bytes.len > 0);
    describe(&w->doc, after);
    target_of(w->id, target);
    admin = admin_of(who, "token.add", target);
    admin.before = "none";
    admin.after = after;
    submit(d, w, &admin, &change, 1);
}

static void remove_token(void *self, struct api_request *request, const char *id, uint64_t version,
                         const struct api_asker *who)
{
    struct daemon *d = self;
    struct repl_document_change change = {.kind = TOKEN_KIND,
                                          .name = id,
                                          .expect = REPL_EXPECT_VERSION,
                                          .version = version,
                                          .remove = true};
    char before[WORDS_BYTES], target[TARGET_BYTES];
    struct token_write *w = begin(d, request);
    struct repl_admin admin;

    if (w == NULL)
        return;
    w->what = TOKEN_REMOVE;
    (void)snprintf(w->id, sizeof w->id, "%s", id);
    target_of(id, target);
    admin = admin_of(who, "token.remove", target);
    before[0] = '\0';
    if (look_up(d, id, &w->doc) != 0)
        describe(&w->doc, before);
    admin.before = before;
    admin.after = "none";
    submit(d, w, &admin, &change, 1);
}

/* --- what became of it --- */

/* The version that it has now; 0: it is not there. */
static uint64_t present(struct daemon *d, const struct token_write *w)
{
    struct token_doc t;

    return look_up(d, w->id, &t);
}

static bool accepted(struct daemon *d, const struct token_write *w)
{
    if (w->result.settled == REPL_SETTLED)
        return w->result.verdict == REPL_ACCEPTED;
    return w->result.settled == REPL_UNSETTLED && (present(d, w) != 0) == (w->what == TOKEN_ADD);
}

static void answer(struct daemon *d, const struct token_write *w)
{
    json_t *body;

    if (w->what == TOKEN_REMOVE) {
        body = json_pack("{s:s,s:b}", "id", w->id, "removed", 1);
    } else {
        body = token_json(d, w->id,
                          w->result.settled == REPL_SETTLED ? w->result.version : present(d, w),
                          &w->doc);
        json_object_set_new(body, "token", json_string(w->text));
    }
    api_request_answer(w->request, body);
}

static void refuse_stopping(struct api_request *request)
{
    admin_refuse(request, 503, "stopping",
                 "this node is stopping, and it may yet be done: look, then ask another one");
}

static void refuse(const struct token_write *w)
{
    if (w->result.settled == REPL_STOPPED)
        refuse_stopping(w->request);
    else if (w->result.settled == REPL_SETTLED && w->result.verdict == REPL_REFUSED_VERSION &&
             w->result.item_version != 0)
        admin_refuse(w->request, 412, "precondition-failed",
                     "it has changed since: read it again, then decide again");
    else if (w->what == TOKEN_REMOVE)
        admin_refuse(w->request, 404, "unknown-token", "it was removed already");
    else
        admin_refuse(w->request, 503, "busy", "the cluster has no room for it now: try again");
}

/* Every member that can be asked has applied it: told of a removal, nobody finds a node that takes the token yet. Who is cut off
 * takes none; who hangs keeps the answer back for so long and no longer. */
static bool followed(struct daemon *d, struct token_write *w)
{
    struct repl_status st;

    if (w->request == NULL || w->result.settled != REPL_SETTLED ||
        w->result.verdict != REPL_ACCEPTED)
        return true;
    if (w->follow_until_ms == 0)
        w->follow_until_ms = io_boottime_ms() + TOKENS_FOLLOW_MS;
    repl_status(d->repl, &st);
    for (size_t i = 0; i < st.n_nodes; i++) {
        const struct repl_node_status *n = &st.nodes[i];

        if (repl_is_member(n->role) && n->connected && n->node != st.node &&
            n->applied_index < w->result.index)
            return io_boottime_ms() >= w->follow_until_ms;
    }
    return true;
}

static void settle(struct daemon *d, struct token_write *w)
{
    if (w->request == NULL)
        return;
    if (accepted(d, w))
        answer(d, w);
    else
        refuse(w);
}

/* By cluster time alone, which all nodes share; the leader alone, since one is enough. */
static void remove_ended(struct daemon *d)
{
    static const struct repl_admin self = {
        .principal = "holdfast", .operation = "token.expire", .after = "none"};
    struct repl_document_change changes[TOKENS_ENDED];
    struct repl_admin admin = self;
    struct repl_view *view;
    const struct repl_document *kept;
    char target[TARGET_BYTES], before[WORDS_BYTES];
    struct token_write *w;
    struct repl_status st;
    struct token_doc t;
    size_t n = 0, at;

    repl_status(d->repl, &st);
    if (st.leader != st.node || st.speaks < RECORD_SPEAKS_DOCUMENTS)
        return;
    view = repl_view_take(d->repl);
    at = repl_view_behind(view, TOKEN_KIND, "");
    while (n < TOKENS_ENDED && (kept = next_token(view, &at, &t)) != NULL) {
        if (!token_doc_ended(&t, repl_cluster_ms(d->repl), 0))
            continue;
        if (n == 0)
            target_of(kept->name, target);
        changes[n++] = (struct repl_document_change){.kind = TOKEN_KIND,
                                                     .name = kept->name,
                                                     .expect = REPL_EXPECT_VERSION,
                                                     .version = kept->version,
                                                     .remove = true};
    }
    w = n > 0 ? begin(d, NULL) : NULL;
    if (w != NULL) {
        w->what = TOKEN_END;
        (void)snprintf(before, sizeof before, "tokens that have ended %zu", n);
        admin.target = target;
        admin.before = before;
        admin.wall_ms = wall_s() * 1000;
        submit(d, w, &admin, changes, n);
    }
    repl_view_release(view);
}

void admin_tokens_tick(struct daemon *d)
{
    struct admin_tokens *all = &d->tokens;
    bool ending = false;

    for (size_t i = 0; i < TOKEN_WRITES; i++) {
        struct token_write *w = &all->writes[i];

        if (w->used && atomic_load_explicit(&w->done, memory_order_acquire) && followed(d, w)) {
            settle(d, w);
            drop(w);
        }
        ending = ending || (w->used && w->what == TOKEN_END);
    }
    if (io_boottime_ms() < all->look_ms || ending)
        return;
    all->look_ms = io_boottime_ms() + TOKENS_LOOK_MS;
    remove_ended(d);
}

void admin_tokens_stop(struct daemon *d)
{
    for (size_t i = 0; i < TOKEN_WRITES; i++) {
        struct token_write *w = &d->tokens.writes[i];

        if (w->used && w->request != NULL)
            refuse_stopping(w->request);
        w->request = NULL;
    }
}

void admin_tokens_fill(struct daemon *d)
{
    struct api_backend *b = &d->backend;

    b->tokens = get_tokens;
    b->token = get_token;
    b->add_token = add_token;
    b->remove_token = remove_token;
    b->bearers = &store;
    b->bearers_self = d;
    admin_audit_fill(b);
}
