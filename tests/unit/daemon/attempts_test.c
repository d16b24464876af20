/* What GET /v1/attempts tells of the conductor's failed attempts: pages, filters, and one explained. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "conductor/attempts.h"
#include "daemon/internal.h"
#include "wire/notify.h"

enum { NODE = 2, BOOT = 7, NOW_MS = 5000000 };

static struct attempts *all;
static struct config config = {.node_id = NODE};
static struct daemon d = {.config = &config};
static struct api_backend backend;
static struct api_problem problem;

struct attempts *__wrap_conductor_attempts(struct conductor *c);
struct attempts *__wrap_conductor_attempts(struct conductor *c)
{
    (void)c;
    return all;
}

static uint64_t now_ms = NOW_MS;
uint64_t __wrap_repl_cluster_ms(struct repl *repl);
uint64_t __wrap_repl_cluster_ms(struct repl *repl)
{
    (void)repl;
    return now_ms;
}

static void setup(void)
{
    all = attempts_create(NODE, BOOT);
    admin_attempts_fill(&backend);
    memset(&problem, 0, sizeof problem);
}

static void teardown(void)
{
    attempts_destroy(all);
}

TestSuite(admin_attempts, .init = setup, .fini = teardown);

static struct attempt failed(uint32_t host, const char *identity)
{
    struct attempt a = {.last_ms = now_ms,
                        .last_wall_s = 1795921200,
                        .sa_id = 0xabc,
                        .shard = 4,
                        .local = {addr_v4(0xc000020a), 500},
                        .remote = {addr_v4(host), 4500},
                        .exchange = IKE_EX_AUTH,
                        .reason = IKE_REASON_AUTH_FAILED,
                        .proven = true,
                        .identity = {.type = 2, .len = (uint8_t)strlen(identity)}};

    memcpy(a.identity.bytes, identity, strlen(identity));
    return a;
}

static json_t *list(uint64_t below, uint32_t limit, const char *peer, const char *identity)
{
    struct api_attempts_query q = {
        .below = below, .limit = limit, .peer = peer, .identity = identity};
    json_t *body = backend.attempts(&d, &q, &problem);

    cr_assert_not_null(body);
    cr_assert_eq(json_integer_value(json_object_get(body, "node")), NODE);
    return body;
}

static size_t rows(const json_t *body)
{
    return json_array_size(json_object_get(body, "attempts"));
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    cr_assert_not_null(value, "%s", name);
    return value;
}

Test(admin_attempts, nothing_failed)
{
    json_t *body = list(0, 0, "", "");

    cr_assert_eq(rows(body), 0);
    cr_assert_null(json_object_get(body, "next"));
    json_decref(body);
}

/* Page by page comes what comes at once, the newest first. */
Test(admin_attempts, pages)
{
    char cursor[17] = "";
    unsigned seen = 0;
    json_t *body;

    for (uint32_t i = 0; i < 25; i++) {
        struct attempt a = failed(0x0a000000 + i, "x");

        cr_assert_neq(attempts_note(all, &a), 0);
    }
    for (unsigned pages = 1;; pages++) {
        uint64_t below = cursor[0] != '\0' ? strtoull(cursor, NULL, 16) : 0;
        json_t *next, *one;
        size_t i;

        body = list(below, 10, "", "");
        json_array_foreach(json_object_get(body, "attempts"), i, one)
        {
            char peer[32];

            (void)snprintf(peer, sizeof peer, "10.0.0.%u:4500", 24 - seen);
            cr_assert_str_eq(text(one, "peer"), peer);
            seen++;
        }
        next = json_object_get(body, "next");
        if (next == NULL) {
            cr_assert_eq(pages, 3);
            break;
        }
        (void)snprintf(cursor, sizeof cursor, "%s", json_string_value(next));
        json_decref(body);
    }
    cr_assert_eq(seen, 25);
    json_decref(body);
    body = list(0, 0, "", "");
    cr_assert_eq(rows(body), 25);
    json_decref(body);
    body = list(0, 25, "", "");
    cr_assert_null(json_object_get(body, "next"), "that was all");
    json_decref(body);
    printf("compared %u\n", seen);
}

static void expect(const char *peer, const char *identity, size_t n)
{
    json_t *body = list(0, 0, peer, identity);

    cr_assert_eq(rows(body), n, "%s %s: %zu", peer, identity, rows(body));
    json_decref(body);
}

Test(admin_attempts, filters)
{
    struct attempt a = failed(0xc0000207, "alice"), b = failed(0xc0000207, "b\033b"),
                   c = failed(0xc0000208, "alice");

    (void)attempts_note(all, &a);
    (void)attempts_note(all, &b);
    (void)attempts_note(all, &c);
    c.remote.ip = addr_v6((const uint8_t[16]){0x20, 0x01, 0x0d, 0xb8, [15] = 7});
    (void)attempts_note(all, &c);
    expect("", "", 4);
    expect("192.0.2.7", "", 2);
    expect("192.0.2.9", "", 0);
    expect("2001:db8::7", "", 1);
    expect("2001:0DB8:0::0007", "", 1);
    expect("", "alice", 3);
    expect("", "b\\x1bb", 1); /* as it is shown */
    expect("192.0.2.7", "alice", 1);
}

static void gone(uint64_t id, const char *why)
{
    cr_assert_null(backend.attempt(&d, id, &problem));
    cr_assert_eq(problem.status, 404);
    cr_assert_str_eq(problem.name, "unknown-attempt");
    cr_assert_not_null(strstr(problem.detail, why), "%s", problem.detail);
}

Test(admin_attempts, one_that_is_not_there)
{
    struct attempt a = failed(1, "x");
    uint64_t id = attempts_note(all, &a);

    gone(id + 1, "not kept here any more");
    gone(id ^ 1ull << 32, "another start");
    gone((id & (UINT64_MAX >> 16)) | (5ull << 48), "node 5's, this is node 2");
    now_ms += ATTEMPTS_AGE_MS + 1;
    gone(id, "not kept here any more");
    now_ms = NOW_MS;
}

static const json_t *evidence(const json_t *body, size_t i)
{
    return json_array_get(json_object_get(json_object_get(body, "explain"), "evidence"), i);
}

static const char *piece(const json_t *row, const char *side, size_t i)
{
    const char *value = json_string_value(json_array_get(json_object_get(row, side), i));

    return value != NULL ? value : "";
}

Test(admin_attempts, one_explained)
{
    struct attempt a = failed(0xc0000207, "al\"ice");
    json_t *body;
    const json_t *it, *e;
    char id[17];

    a.judged = true;
    a.verdict = SUITE_UNTRUSTED;
    a.evidence.about = IKE_EVIDENCE_CREDENTIALS;
    a.evidence.credentials.check = IKE_CHECK_CERTIFICATE;
    a.evidence.credentials.method = 14;
    (void)snprintf(id, sizeof id, "%016llx", (unsigned long long)attempts_note(all, &a));
    body = backend.attempt(&d, strtoull(id, NULL, 16), &problem);
    it = json_object_get(body, "attempt");
    e = json_object_get(body, "explain");
    cr_assert_str_eq(text(it, "id"), id);
    cr_assert_eq(strncmp(id, "00020007", 8), 0, "node and start: %s", id);
    cr_assert_str_eq(text(it, "peer"), "192.0.2.7:4500");
    cr_assert_str_eq(text(it, "local"), "192.0.2.10:500");
    cr_assert_str_eq(text(it, "identity"), "al\\x22ice");
    cr_assert_str_eq(text(it, "identity_type"), "fqdn");
    cr_assert_str_eq(text(it, "exchange"), "ike-auth");
    cr_assert_str_eq(text(it, "begun_by"), "client");
    cr_assert_str_eq(text(it, "cause"), "authentication-failed");
    cr_assert_str_eq(text(it, "certificate"), "untrusted");
    cr_assert_str_eq(text(it, "said"), "");
    cr_assert_str_eq(text(it, "sa"), "0000000000000abc");
    cr_assert_eq(json_integer_value(json_object_get(it, "first_wall_ms")), 1795921200000);
    cr_assert_eq(json_integer_value(json_object_get(it, "shard")), 4);
    cr_assert(json_is_true(json_object_get(it, "proven")) &&
              json_is_false(json_object_get(it, "asked_again")));
    cr_assert_not_null(strstr(text(e, "meaning"), "no chain leads"));
    cr_assert_not_null(strstr(text(e, "fix"), "auth: clients: ca"));
    cr_assert_str_eq(text(evidence(body, 0), "what"), "proof");
    cr_assert_str_eq(piece(evidence(body, 0), "offered", 0), "signature (RFC 7427)");
    cr_assert_str_eq(piece(evidence(body, 1), "offered", 0), "untrusted");
    json_decref(body);
}

Test(admin_attempts, what_was_offered_stands_beside_what_is_allowed)
{
    struct attempt a = failed(0xc0000207, "x");
    json_t *body;
    const json_t *row;

    a.reason = IKE_REASON_INVALID_KE;
    a.peer_error = WIRE_N_NO_PROPOSAL_CHOSEN;
    ike_evidence_group(&a.evidence, 2, 31);
    body = backend.attempt(&d, attempts_note(all, &a), &problem);
    row = evidence(body, 0);
    cr_assert_str_eq(text(row, "what"), "group");
    cr_assert_str_eq(piece(row, "offered", 0), "modp1024");
    cr_assert_str_eq(piece(row, "allowed", 0), "x25519");
    cr_assert(json_is_true(json_object_get(row, "differs")));
    cr_assert_null(evidence(body, 1));
    cr_assert_str_eq(text(json_object_get(body, "attempt"), "said"),
                     wire_notify_name(WIRE_N_NO_PROPOSAL_CHOSEN));
    cr_assert(json_is_true(json_object_get(json_object_get(body, "attempt"), "asked_again")));
    json_decref(body);
}
