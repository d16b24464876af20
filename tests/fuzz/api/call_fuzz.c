/* One request of the admin interface as HTTP hands it over: a method, a path, a body. It is answered, by
 * its handler or by the backend, with something that is JSON text; what the backend is given keeps the
 * promises of backend.h.
 *
 *   method 1 | path: 1 (which route's, or 255: as long as the next byte says) | rest: the body
 *   a path's query follows a '?' in it
 *   {id} of a route's path is what follows in the first line of the rest
 */
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "base/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PATH_ROOM = 600 };

static unsigned asked;

/* Every second one waits, as most do in the daemon. */
static void answer(struct api_request *request)
{
    static struct api_problem no;

    HF_ASSERT(request != NULL);
    if (asked++ % 2 == 0) {
        api_request_answer(request, json_pack("{s:b}", "done", 1));
    } else {
        api_problem_set(&no, 409, "no", "not now");
        api_request_refuse(request, &no);
    }
}

static json_t *look(void *self, struct api_problem *problem)
{
    (void)self;
    if (asked++ % 2 == 0)
        return json_object();
    api_problem_set(problem, 503, "starting", "not yet");
    return NULL;
}

static json_t *table(void *self, const struct api_page *page, struct api_problem *problem)
{
    HF_ASSERT(page->limit <= API_MOST_PAGE);
    return look(self, problem);
}

static bool whether(void *self, struct api_problem *problem)
{
    json_t *answer = look(self, problem);

    json_decref(answer);
    return answer != NULL;
}

static uint64_t index_of(void *self)
{
    (void)self;
    return asked;
}

static void transfer(void *self, struct api_request *request, uint32_t node,
                     const struct api_asker *who)
{
    (void)self;
    HF_ASSERT(who != NULL);
    HF_ASSERT(node >= 1 && node <= 65535);
    answer(request);
}

static void rekey(void *self, struct api_request *request, const struct api_rekey *a,
                  const struct api_asker *who)
{
    (void)self;
    HF_ASSERT(who != NULL);
    HF_ASSERT(a->sa_id != 0 && (a->kind == API_REKEY_CHILD || a->kind == API_REKEY_IKE));
    HF_ASSERT(a->kind == API_REKEY_CHILD || (a->child_spi_in == 0 && a->pfs == API_PFS_POLICY));
    answer(request);
}

static void move(void *self, struct api_request *request, const struct api_move *a,
                 const struct api_asker *who)
{
    (void)self;
    HF_ASSERT(who != NULL);
    HF_ASSERT(a->shard >= 1 && a->shard <= 65535 && a->to <= 65535);
    answer(request);
}

static void drain(void *self, struct api_request *request, const struct api_drain *a,
                  const struct api_asker *who)
{
    (void)self;
    HF_ASSERT(who != NULL);
    HF_ASSERT(a->node >= 1 && a->node <= 65535);
    answer(request);
}

static void token(void *self, struct api_request *request, const struct api_token *a,
                  const struct api_asker *who)
{
    (void)self;
    HF_ASSERT(who != NULL);
    HF_ASSERT(a->node >= 1 && a->node <= 65535 && a->valid_s >= 1);
    HF_ASSERT(memchr(a->address, '\0', sizeof a->address) != NULL);
    answer(request);
}

static void join(void *self, struct api_request *request, const char *text,
                 const struct api_asker *who)
{
    (void)self;
    HF_ASSERT(who != NULL);
    HF_ASSERT(text != NULL);
    answer(request);
}

static void recover(void *self, struct api_request *request, const struct api_recover *a,
                    const struct api_asker *who)
{
    (void)self;
    HF_ASSERT(who != NULL);
    HF_ASSERT(a->lost != NULL && a->highest_id <= 65535);
    answer(request);
}

static void plain(void *self, struct api_request *request, const struct api_asker *who)
{
    (void)self;
    HF_ASSERT(who != NULL);
    answer(request);
}

static char *count_all(void *self, size_t *bytes)
{
    char *text = strdup("# EOF\n");

    (void)self;
    HF_ASSERT(text != NULL);
    *bytes = strlen(text);
    return text;
}

static void arm(void *self, struct api_request *request, const struct api_arm *a,
                const struct api_asker *who)
{
    (void)self;
    HF_ASSERT(who != NULL);
    HF_ASSERT(a->point[0] != '\0' && memchr(a->point, '\0', sizeof a->point) != NULL);
    answer(request);
}

static json_t *one_token(void *self, const char *id, uint64_t *version, struct api_problem *problem)
{
    HF_ASSERT(strlen(id) < API_MAX_PARAMETER);
    *version = asked;
    return look(self, problem);
}

static void add_token(void *self, struct api_request *request, const struct api_new_bearer *a,
                      const struct api_asker *who)
{
    size_t n = strlen(a->name);

    (void)self;
    HF_ASSERT(n >= 1 && n < API_BEARER_NAME_BYTES && memchr(a->name, '/', n) == NULL);
    HF_ASSERT(a->role > API_ROLE_NONE && a->role < API_ROLES);
    HF_ASSERT(a->valid_s >= 1 && a->valid_s <= API_BEARER_MOST_S && who != NULL);
    answer(request);
}

static void remove_token(void *self, struct api_request *request, const char *id, uint64_t version,
                         const struct api_asker *who)
{
    (void)self;
    (void)version;
    HF_ASSERT(id[0] != '\0' && who != NULL);
    answer(request);
}

static json_t *audit(void *self, const struct api_audit_query *q, struct api_problem *problem)
{
    HF_ASSERT(q->limit <= API_MOST_PAGE && strlen(q->principal) < API_NAME_BYTES &&
              strlen(q->operation) < API_OPERATION_BYTES);
    for (const char *c = q->principal; *c != '\0'; c++)
        HF_ASSERT((unsigned char)*c >= 0x20 && *c != 0x7f);
    return look(self, problem);
}

static json_t *audit_entry(void *self, uint64_t sequence, struct api_problem *problem)
{
    HF_ASSERT(sequence >= 1);
    return look(self, problem);
}

static void profile(void *self, struct api_request *request, const struct api_profile *a,
                    const struct api_asker *who)
{
    (void)self;
    HF_ASSERT(who != NULL);
    HF_ASSERT(a->kind != NULL && a->identity != NULL);
    answer(request);
}

static json_t *doctor(void *self, struct api_problem *problem)
{
    return look(self, problem);
}

static json_t *attempts(void *self, const struct api_attempts_query *q, struct api_problem *problem)
{
    HF_ASSERT(q->limit <= API_MOST_PAGE && strlen(q->peer) < API_PEER_BYTES &&
              strlen(q->identity) < API_NAME_BYTES);
    HF_ASSERT(strspn(q->peer, "0123456789abcdefABCDEF.:") == strlen(q->peer));
    for (const char *c = q->identity; *c != '\0'; c++)
        HF_ASSERT((unsigned char)*c >= 0x20 && *c != 0x7f);
    return look(self, problem);
}

static json_t *attempt(void *self, uint64_t id, struct api_problem *problem)
{
    HF_ASSERT(id != 0);
    return look(self, problem);
}

static void note(void *self, const struct api_asker *who, const char *operation, const char *path,
                 const char *name)
{
    (void)self;
    HF_ASSERT(who != NULL && operation != NULL && path != NULL && name != NULL);
}

static const struct api_backend backend = {.cluster = look,
                                           .metrics = count_all,
                                           .sas = table,
                                           .ready = whether,
                                           .leads = whether,
                                           .index = index_of,
                                           .transfer_leader = transfer,
                                           .rekey = rekey,
                                           .move_shard = move,
                                           .drain_node = drain,
                                           .make_token = token,
                                           .join = join,
                                           .remove_node = transfer,
                                           .recover = recover,
                                           .back_up = plain,
                                           .rotate_keys = plain,
                                           .arm = arm,
                                           .tokens = table,
                                           .token = one_token,
                                           .add_token = add_token,
                                           .remove_token = remove_token,
                                           .audit = audit,
                                           .audit_entry = audit_entry,
                                           .attempts = attempts,
                                           .attempt = attempt,
                                           .doctor = doctor,
                                           .profile = profile,
                                           .note_refusal = note,
                                           .reload = plain};

/* Up to n bytes of *in, as text. */
static void take_text(struct span *in, size_t n, char *out)
{
    n = n < in->len ? n : in->len;
    memcpy(out, in->data, n);
    out[n] = '\0';
    *in = span_of(in->data + n, in->len - n);
}

static void take_path(struct span *in, uint8_t which, char out[PATH_ROOM])
{
    char id[256] = "";
    const char *pattern, *braces, *end;
    size_t n_routes;
    uint8_t n;

    (void)api_routes(&n_routes);
    if (which == 255) {
        n = in->len == 0 ? 0 : in->data[0];
        *in = span_of(in->data + (in->len > 0), in->len - (in->len > 0));
        take_text(in, n, out);
        return;
    }
    pattern = api_routes(&n_routes)[which % n_routes].path;
    braces = strchr(pattern, '{');
    if (braces == NULL) {
        strcpy(out, pattern);
        return;
    }
    end = memchr(in->data, '\n', in->len < 200 ? in->len : 200);
    if (end != NULL) {
        take_text(in, (size_t)((const uint8_t *)end - in->data), id);
        *in = span_of(in->data + 1, in->len - 1);
    }
    (void)snprintf(out, PATH_ROOM, "%.*s%s%s", (int)(braces - pattern), pattern, id,
                   strchr(braces, '}') + 1);
}

/* name=value, one after the other, as the parser of HTTP hands them over. */
static void take_query(struct api_call *call, char *query)
{
    for (char *name, *rest = query; (name = strsep(&rest, "&")) != NULL;) {
        char *value = strchr(name, '=');

        if (value != NULL)
            *value++ = '\0';
        if (!api_query_take(&call->query, call->route, name, value, &call->early)) {
            HF_ASSERT(call->early.status == 400);
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"POST", "GET", "HEAD", "DELETE"};
    struct api_call *call;
    char path[PATH_ROOM], *query;
    const char *method, *tagged;
    struct span in;

    if (size < 2)
        return 0;
    asked = data[0] / 4;
    tagged = data[0] & 0x80 ? "*" : data[0] & 0x40 ? "\"0000000000000002\"" : "";
    method = methods[data[0] % 4];
    in = span_of(data + 2, size - 2);
    take_path(&in, data[1], path);
    call = api_call_create();
    HF_ASSERT(call != NULL);
    strcpy(call->if_match, tagged);
    query = strchr(path, '?');
    if (query != NULL)
        *query++ = '\0';
    call->route = api_route_find(call, method, path);
    if (call->route != NULL && query != NULL)
        take_query(call, query);
    call->body_bytes = in.len;
    call->body = malloc(in.len + 1); /* of its very length: it ends without a zero */
    HF_ASSERT(call->body != NULL);
    memcpy(call->body, in.data, in.len);
    if (call->early.status != 0)
        api_call_problem(call, &call->early);
    else
        call->route->handle(call, &backend);
    HF_ASSERT(call->status >= 200 && call->status <= 599 && call->request == NULL);
    HF_ASSERT(api_call_print(call) && call->text_bytes > 0);
    HF_ASSERT(call->query.page.limit <= API_MOST_PAGE);
    api_call_release(call);
    return 0;
}
