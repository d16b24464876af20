/* Tokens and the audit on the real replicated state, of a node alone with real files: the daemon's own files, with clocks of the
 * test's and an admin server that keeps what it is told. */
#include <criterion/criterion.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "crypto/tables.h"
#include "daemon/internal.h"
#include "io/clock.h"
#include "replication/record.h"
#include "unit/repl/alone.h"

enum { WAIT_MS = 60000 };

static char root[] = "/tmp/hf-tokens-XXXXXX";
static char directory[64];
static struct daemon d;

/* --- clocks --- */

static uint64_t ahead_ms; /* cluster time is ahead of the real one */
static time_t wall = 1795921200;
static uint64_t boot_ms = 1000;

uint64_t __real_repl_cluster_ms(struct repl *repl);
uint64_t __wrap_repl_cluster_ms(struct repl *repl);
uint64_t __wrap_repl_cluster_ms(struct repl *repl)
{
    return __real_repl_cluster_ms(repl) + ahead_ms;
}

time_t __wrap_time(time_t *out);
time_t __wrap_time(time_t *out)
{
    if (out != NULL)
        *out = wall;
    return wall;
}

uint64_t io_boottime_ms(void)
{
    return boot_ms;
}

/* A majority, when the test says that there is none; and another member, as it reports itself. */
static bool cut_off;
static struct repl_node_status other;
void __real_repl_status(struct repl *repl, struct repl_status *out);
void __wrap_repl_status(struct repl *repl, struct repl_status *out);
void __wrap_repl_status(struct repl *repl, struct repl_status *out)
{
    __real_repl_status(repl, out);
    if (cut_off)
        out->quorum = false;
    if (other.node != 0)
        out->nodes[out->n_nodes++] = other;
}

/* --- the admin server --- */

struct api_request {
    json_t *body;
    struct api_problem problem;
    bool there;
};

void api_request_answer(struct api_request *request, json_t *body)
{
    cr_assert_not(request->there);
    request->there = true;
    request->body = body;
}

void api_request_refuse(struct api_request *request, const struct api_problem *problem)
{
    cr_assert_not(request->there);
    request->there = true;
    request->problem = *problem;
}

/* --- the node --- */

static void turn(void)
{
    struct pollfd p = {.fd = repl_event_fd(d.repl), .events = POLLIN};
    struct repl_event *e;

    (void)poll(&p, 1, 5);
    while ((e = repl_next_event(d.repl)) != NULL)
        repl_event_free(e);
    admin_tokens_tick(&d);
}

static void start(void)
{
    struct repl_options o = alone_options(directory);
    uint64_t end = repl_boottime_ns() + WAIT_MS * 1000000ull;
    struct repl_status st;
    struct repl_error error;

    if (access(directory, F_OK) != 0)
        cr_assert(repl_init(&o, &error), "%s", error.text);
    d.repl = repl_start(&o, &error);
    cr_assert_not_null(d.repl, "%s", error.text);
    do {
        turn();
        repl_status(d.repl, &st);
        cr_assert_lt(repl_boottime_ns(), end);
    } while (st.speaks < RECORD_SPEAKS_DOCUMENTS || st.leader == 0 || !st.quorum);
}

static void begin(void)
{
    cr_assert(crypto_ready());
    cr_assert_not_null(mkdtemp(root));
    (void)snprintf(directory, sizeof directory, "%s/1", root);
    admin_tokens_fill(&d);
    start();
}

static void end(void)
{
    char command[128];

    admin_tokens_stop(&d);
    repl_stop(d.repl);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

TestSuite(tokens, .init = begin, .fini = end, .timeout = 120);

static const struct api_asker alice = {.role = "admin",
                                       .principal = "email:alice@example.org",
                                       .address = "192.0.2.7",
                                       .request_id = "r-1"};

static void wait_for(const struct api_request *r)
{
    uint64_t until = repl_boottime_ns() + WAIT_MS * 1000000ull;

    while (!r->there) {
        turn();
        cr_assert_lt(repl_boottime_ns(), until, "no answer");
    }
}

/* A token that is made. The caller's. */
static json_t *make(const char *name, enum api_role role, uint32_t valid_s)
{
    struct api_request r = {0};
    struct api_new_bearer args = {.role = role, .valid_s = valid_s};

    (void)snprintf(args.name, sizeof args.name, "%s", name);
    d.backend.add_token(&d, &r, &args, &alice);
    wait_for(&r);
    cr_assert_not_null(r.body, "%s", r.problem.detail);
    return r.body;
}

static const char *text(const json_t *object, const char *name)
{
    const char *t = json_string_value(json_object_get(object, name));

    cr_assert_not_null(t, "%s", name);
    return t;
}

static enum api_bearer_found find(const char *id, struct api_bearer *token)
{
    return d.backend.bearers->find(d.backend.bearers_self, id, token);
}

static unsigned removed(const char *id, uint64_t version)
{
    struct api_request r = {0};

    d.backend.remove_token(&d, &r, id, version, &alice);
    wait_for(&r);
    if (r.body == NULL)
        return r.problem.status;
    json_decref(r.body);
    return 200;
}

static uint64_t version_of(const char *id)
{
    struct api_problem p;
    uint64_t version = 0;
    json_t *token = d.backend.token(&d, id, &version, &p);

    json_decref(token);
    return token != NULL ? version : 0;
}

static json_t *newest(void)
{
    static const struct api_audit_query q = {.limit = 1, .principal = "", .operation = ""};
    struct api_problem p;
    json_t *all = d.backend.audit(&d, &q, &p), *e;

    cr_assert_eq(json_array_size(json_object_get(all, "entries")), 1);
    e = json_incref(json_array_get(json_object_get(all, "entries"), 0));
    json_decref(all);
    return e;
}

static size_t how_many(void)
{
    static const struct api_page all = {0};
    struct api_problem p;
    json_t *list = d.backend.tokens(&d, &all, &p);
    size_t n = json_array_size(json_object_get(list, "tokens"));

    json_decref(list);
    return n;
}

Test(tokens, what_is_answered_opens_what_is_kept)
{
    json_t *made = make("ci", API_ROLE_OPERATOR, 3600), *entry = newest(), *list;
    const char *id = text(made, "id"), *shown = text(made, "token");
    static const struct api_page all = {0};
    struct api_bearer kept;
    struct api_problem p;
    uint8_t secret[32], hash[32];
    struct span part = span_of(secret, sizeof secret);
    char *printed;

    cr_assert_eq(find(id, &kept), API_BEARER_FOUND);
    cr_assert(kept.role == API_ROLE_OPERATOR && !kept.revoked);
    cr_assert_eq(kept.expires_s, wall + 3600);
    cr_assert(strncmp(kept.name, "token:ci/", 9) == 0 && strcmp(kept.name + 9, id) == 0);
    cr_assert(strlen(shown) == 80 && strncmp(shown + 3, id, 12) == 0);
    for (size_t i = 0; i < 32; i++) {
        unsigned byte;

        cr_assert_eq(sscanf(shown + 16 + 2 * i, "%2x", &byte), 1);
        secret[i] = (uint8_t)byte;
    }
    cr_assert(suite_default.sha256->compute(&part, 1, hash));
    cr_assert_eq(memcmp(hash, kept.hash, 32), 0);
    /* The entry says who and what; neither it nor the list has the secret, or its hash. */
    cr_assert_str_eq(text(entry, "principal"), "email:alice@example.org");
    cr_assert_str_eq(text(entry, "role"), "admin");
    cr_assert_str_eq(text(entry, "address"), "192.0.2.7");
    cr_assert_str_eq(text(entry, "request_id"), "r-1");
    cr_assert_str_eq(text(entry, "operation"), "token.add");
    cr_assert_str_eq(text(entry, "outcome"), "accepted");
    cr_assert(strncmp(text(entry, "target"), "tokens/", 7) == 0 &&
              strcmp(text(entry, "target") + 7, id) == 0);
    cr_assert_not_null(strstr(text(entry, "after"), "name ci, role operator"));
    list = d.backend.tokens(&d, &all, &p);
    json_array_append(json_object_get(list, "tokens"), entry);
    printed = json_dumps(list, JSON_COMPACT);
    cr_assert_null(strstr(printed, shown + 16));
    cr_assert_null(strstr(printed, "\"token\""));
    for (size_t i = 0; i < 32; i++)
        (void)sprintf((char *)(uintptr_t)shown + 16 + 2 * i, "%02x", hash[i]);
    cr_assert_null(strstr(printed, shown + 16));
    for (size_t i = 0; i < TOKEN_WRITES; i++) /* nor is it left here */
        cr_assert(!d.tokens.writes[i].used && d.tokens.writes[i].text[0] == '\0');
    free(printed);
    json_decref(list);
    json_decref(entry);
    json_decref(made);
}

Test(tokens, removed_once_and_at_once)
{
    json_t *made = make("ci", API_ROLE_ADMIN, 3600), *entry;
    char id[13];
    struct api_bearer kept;
    uint64_t version;

    (void)snprintf(id, sizeof id, "%s", text(made, "id"));
    version = version_of(id);
    cr_assert_neq(version, 0);
    cr_assert_eq(strtoull(text(made, "version"), NULL, 16), version);
    cr_assert_eq(removed(id, version + 1), 412);
    cr_assert_eq(find(id, &kept), API_BEARER_FOUND);
    cr_assert_eq(removed(id, version), 200);
    cr_assert_eq(find(id, &kept), API_BEARER_UNKNOWN);
    entry = newest();
    cr_assert_str_eq(text(entry, "operation"), "token.remove");
    cr_assert_not_null(strstr(text(entry, "before"), "name ci, role admin"));
    cr_assert_eq(version_of(id), 0);
    cr_assert_eq(removed(id, version), 404);
    json_decref(entry);
    json_decref(made);
}

static void until_none_is_left(void)
{
    uint64_t until = repl_boottime_ns() + WAIT_MS * 1000000ull;

    while (how_many() > 0) {
        boot_ms += 100;
        turn();
        cr_assert_lt(repl_boottime_ns(), until, "%zu are left", how_many());
    }
}

Test(tokens, they_end_by_either_clock_and_are_removed_by_cluster_time)
{
    json_t *a = make("a", API_ROLE_VIEWER, 60), *b = make("b", API_ROLE_VIEWER, 60), *entry;
    struct api_bearer kept;

    cr_assert_eq(find(text(a, "id"), &kept), API_BEARER_FOUND);
    wall += 60;
    cr_assert_eq(find(text(a, "id"), &kept), API_BEARER_UNKNOWN);
    boot_ms += 5000;
    turn();
    cr_assert_eq(how_many(), 2, "a wall clock removed it");
    wall -= 3600; /* set back: it does not live again once cluster time is over */
    cr_assert_eq(find(text(a, "id"), &kept), API_BEARER_FOUND);
    ahead_ms = 60000;
    cr_assert_eq(find(text(a, "id"), &kept), API_BEARER_UNKNOWN);
    cr_assert_eq(find(text(b, "id"), &kept), API_BEARER_UNKNOWN);
    until_none_is_left();
    entry = newest();
    cr_assert_str_eq(text(entry, "operation"), "token.expire");
    cr_assert_str_eq(text(entry, "principal"), "holdfast");
    cr_assert_str_eq(text(entry, "before"), "tokens that have ended 2");
    json_decref(entry);
    json_decref(a);
    json_decref(b);
}

Test(tokens, a_node_that_is_cut_off_neither_takes_nor_makes_any)
{
    json_t *made = make("ci", API_ROLE_ADMIN, 3600);
    struct api_new_bearer args = {.name = "x", .role = API_ROLE_ADMIN, .valid_s = 60};
    struct api_request add = {0}, away = {0};
    struct api_bearer kept;

    cut_off = true;
    cr_assert_eq(find(text(made, "id"), &kept), API_BEARER_UNSURE);
    cr_assert_eq(find("000000000000", &kept), API_BEARER_UNSURE);
    d.backend.add_token(&d, &add, &args, &alice);
    cr_assert(add.there && add.problem.status == 503);
    d.backend.remove_token(&d, &away, text(made, "id"), version_of(text(made, "id")), &alice);
    cr_assert(away.there && away.problem.status == 503);
    cut_off = false;
    cr_assert_eq(find(text(made, "id"), &kept), API_BEARER_FOUND);
    json_decref(made);
}

/* Until it is applied here, and a while longer. */
static void settle_here(size_t tokens)
{
    uint64_t until = repl_boottime_ns() + WAIT_MS * 1000000ull;

    while (how_many() != tokens) {
        turn();
        cr_assert_lt(repl_boottime_ns(), until);
    }
    for (int i = 0; i < 20; i++)
        turn();
}

/* Who is told that a token is gone may rely on it at any node that can be asked. */
Test(tokens, answered_when_the_others_have_applied_it)
{
    json_t *made = make("ci", API_ROLE_ADMIN, 3600);
    struct api_request away = {0}, late = {0};
    struct api_new_bearer args = {.name = "x", .role = API_ROLE_ADMIN, .valid_s = 60};

    other = (struct repl_node_status){
        .node = 2, .role = REPL_VOTER, .connected = true, .heard = true, .applied_index = 1};
    d.backend.remove_token(&d, &away, text(made, "id"), version_of(text(made, "id")), &alice);
    settle_here(0);
    cr_assert_not(away.there, "the other one takes it yet");
    other.applied_index = UINT64_MAX;
    wait_for(&away);
    cr_assert_not_null(away.body);
    json_decref(away.body);
    /* One that hangs does not keep the answer back for ever; one that is cut off takes no token. */
    other.applied_index = 1;
    d.backend.add_token(&d, &late, &args, &alice);
    settle_here(1);
    cr_assert_not(late.there);
    boot_ms += 999;
    turn();
    cr_assert_not(late.there);
    boot_ms += 1;
    wait_for(&late);
    cr_assert_not_null(late.body);
    json_decref(late.body);
    other.connected = false;
    json_decref(make("y", API_ROLE_ADMIN, 60));
    json_decref(made);
}

Test(tokens, they_outlive_a_start_anew)
{
    json_t *made = make("ci", API_ROLE_DRILL, 3600);
    struct api_bearer kept;

    admin_tokens_stop(&d);
    repl_stop(d.repl);
    start();
    cr_assert_eq(find(text(made, "id"), &kept), API_BEARER_FOUND);
    cr_assert_eq(kept.role, API_ROLE_DRILL);
    json_decref(made);
}

static void put_raw(const char *name, struct span bytes)
{
    struct repl_admin admin = {.principal = "test"};
    struct repl_document_change c = {.kind = TOKEN_KIND, .name = name, .bytes = bytes};
    uint64_t until = repl_boottime_ns() + WAIT_MS * 1000000ull;
    struct repl_view *v;
    bool there;

    cr_assert_eq(repl_change_documents(d.repl, &admin, &c, 1, NULL, NULL, NULL), REPL_OK);
    do {
        turn();
        v = repl_view_take(d.repl);
        there = repl_view_document(v, TOKEN_KIND, name) != NULL;
        repl_view_release(v);
        cr_assert_lt(repl_boottime_ns(), until);
    } while (!there);
}

Test(tokens, what_is_no_token_lets_nobody_in)
{
    struct api_bearer kept;

    put_raw("0123456789ab", span_of("\1\3garbage", 9));
    cr_assert_eq(find("0123456789ab", &kept), API_BEARER_UNKNOWN);
    cr_assert_eq(version_of("0123456789ab"), 0);
    cr_assert_eq(version_of("../../secret"), 0);
    cr_assert_eq(how_many(), 0);
}

static json_t *page_of(uint64_t after, uint32_t limit)
{
    const struct api_page page = {.after = after, .limit = limit};
    struct api_problem p;

    return d.backend.tokens(&d, &page, &p);
}

Test(tokens, as_many_as_there_may_be_a_page_at_a_time)
{
    uint8_t bytes[TOKEN_DOC_BYTES];
    struct token_doc t = {
        .role = TOKEN_VIEWER, .created_s = 1795921200, .created_ms = 1, .valid_s = 31536000};
    struct repl_document_change c[TOKENS_MOST];
    static char names[TOKENS_MOST][13];
    struct repl_admin admin = {.principal = "test"};
    struct api_request r = {0};
    struct api_new_bearer args = {.name = "x", .role = API_ROLE_ADMIN, .valid_s = 60};
    uint64_t until = repl_boottime_ns() + WAIT_MS * 1000000ull, after = 0;
    size_t seen = 0;

    strcpy(t.name, "many");
    for (size_t i = 0; i < TOKENS_MOST; i++) {
        (void)snprintf(names[i], sizeof names[i], "%012zx", 1 + i * 3);
        c[i] = (struct repl_document_change){.kind = TOKEN_KIND,
                                             .name = names[i],
                                             .bytes = span_of(bytes, token_doc_encode(&t, bytes))};
    }
    cr_assert_eq(repl_change_documents(d.repl, &admin, c, TOKENS_MOST, NULL, NULL, NULL), REPL_OK);
    while (how_many() < TOKENS_MOST) {
        turn();
        cr_assert_lt(repl_boottime_ns(), until);
    }
    d.backend.add_token(&d, &r, &args, &alice);
    cr_assert(r.there && r.problem.status == 409);
    cr_assert_str_eq(r.problem.name, "too-many-tokens");
    do {
        json_t *page = page_of(after, 100), *list = json_object_get(page, "tokens");
        const char *next = json_string_value(json_object_get(page, "next"));

        for (size_t i = 0; i < json_array_size(list); i++)
            cr_assert_str_eq(text(json_array_get(list, i), "id"), names[seen + i]);
        seen += json_array_size(list);
        cr_assert(next == NULL || strlen(next) == 16);
        after = next != NULL ? strtoull(next, NULL, 16) : 0;
        json_decref(page);
    } while (after != 0);
    cr_assert_eq(seen, TOKENS_MOST);
}

/* --- the audit --- */

static json_t *entries(uint64_t after, uint32_t limit, bool oldest, const char *principal,
                       const char *operation)
{
    const struct api_audit_query q = {.after = after,
                                      .limit = limit,
                                      .oldest_first = oldest,
                                      .principal = principal,
                                      .operation = operation};
    struct api_problem p;

    return d.backend.audit(&d, &q, &p);
}

static json_int_t sequence_at(const json_t *page, size_t i)
{
    return json_integer_value(
        json_object_get(json_array_get(json_object_get(page, "entries"), i), "sequence"));
}

Test(tokens, the_audit_page_by_page_in_both_orders)
{
    json_t *page, *one;
    struct api_problem p;
    const char *next;

    for (int i = 0; i < 5; i++)
        json_decref(make("ci", API_ROLE_VIEWER, 60));
    page = entries(0, 2, false, "", "");
    cr_assert(sequence_at(page, 0) == 5 && sequence_at(page, 1) == 4);
    cr_assert_eq(json_integer_value(json_object_get(json_object_get(page, "head"), "sequence")), 5);
    cr_assert_str_eq(text(json_object_get(page, "head"), "hash"),
                     text(json_array_get(json_object_get(page, "entries"), 0), "hash"));
    next = text(page, "next");
    cr_assert_str_eq(next, "0000000000000004");
    json_decref(page);
    page = entries(4, 3, false, "", "");
    cr_assert(sequence_at(page, 0) == 3 && sequence_at(page, 2) == 1);
    cr_assert_null(json_object_get(page, "next"), "there is no more");
    json_decref(page);
    page = entries(2, 2, true, "email:alice@example.org", "token.add");
    cr_assert(sequence_at(page, 0) == 3 && sequence_at(page, 1) == 4);
    json_decref(page);
    page = entries(0, 0, true, "", "token.remove");
    cr_assert_eq(json_array_size(json_object_get(page, "entries")), 0);
    json_decref(page);
    page = entries(0, 0, true, "nobody", "");
    cr_assert_eq(json_array_size(json_object_get(page, "entries")), 0);
    json_decref(page);
    one = d.backend.audit_entry(&d, 3, &p);
    cr_assert_eq(json_integer_value(json_object_get(one, "sequence")), 3);
    json_decref(one);
    cr_assert_null(d.backend.audit_entry(&d, 6, &p));
    cr_assert_eq(p.status, 404);
}

/* What is refused costs its maker nothing: so many a minute, and how many more. */
Test(tokens, refusals_are_noted_but_not_without_end)
{
    static const struct api_asker viewer = {.role = "viewer", .principal = "token:v/1"};
    uint64_t until = repl_boottime_ns() + WAIT_MS * 1000000ull;
    json_t *page, *e;
    size_t n;

    for (int i = 0; i < NOTES_A_MINUTE + 7; i++)
        d.backend.note_refusal(&d, &viewer, "POST /v1/reload", "/v1/re\377load", "forbidden");
    boot_ms += 60000;
    d.backend.note_refusal(&d, &viewer, "POST /v1/reload", "/v1/reload", "forbidden");
    do {
        turn();
        page = entries(0, 0, false, "token:v/1", "POST /v1/reload");
        n = json_array_size(json_object_get(page, "entries"));
        e = json_incref(json_array_get(json_object_get(page, "entries"), n > 0 ? n - 1 : 0));
        if (n < NOTES_A_MINUTE + 1)
            json_decref(e);
        else
            cr_assert_str_eq(text(json_array_get(json_object_get(page, "entries"), 0), "after"),
                             "without an entry before it 7");
        json_decref(page);
        cr_assert_lt(repl_boottime_ns(), until, "%zu entries", n);
    } while (n < NOTES_A_MINUTE + 1);
    cr_assert_eq(n, NOTES_A_MINUTE + 1);
    cr_assert_str_eq(text(e, "target"), "/v1/re?load");
    cr_assert_str_eq(text(e, "outcome"), "forbidden");
    json_decref(e);
}
