/* Who gets in over TLS, and who does not: versions, certificates good and bad, tokens, other
 * certificates while connections live. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "unit/api/rest_rig.h"

static struct rest rest;
static char reply[RIG_REPLY_BYTES];

static void start(void)
{
    rest_init(&rest);
}

static void end(void)
{
    rig_deinit(&rest.rig);
}

TestSuite(api_rest, .init = start, .fini = end, .timeout = 60);

static void expect(const struct rest_who *who, const char *path, unsigned status, const char *part)
{
    unsigned got = rest_ask(&rest, who, "GET", path, "", "", reply);

    cr_assert_eq(got, status, "%s: %u, not %u: %s", path, got, status, reply);
    cr_assert_not_null(strstr(reply, part), "%s: no '%s' in %s", path, part, reply);
}

static void speak_old(struct rig *r)
{
    struct rest_who who = {.certificate = &rest.clients[API_ROLE_ADMIN]};

    (void)r;
    cr_assert_null(rest_connect(&rest, &who, TLS1_2_VERSION));
    expect(&who, "/v1/sas", 200, "{\"sas\":[]}");
}

Test(api_rest, nothing_older_than_tls_1_3)
{
    rest_run(&rest, speak_old);
}

/* A client's certificate by `issuer` (NULL: the CA that counts), changed by `change`. */
static struct pki_pair odd(const struct pki_pair *issuer, int64_t from_s, int64_t until_s,
                           unsigned use)
{
    struct pki_request r = certs_client_request("admin@example.org");

    r.from_s = (int64_t)time(NULL) + from_s;
    r.until_s = (int64_t)time(NULL) + until_s;
    r.use = use;
    return certs_make("p256", &r, issuer != NULL ? issuer : &rest.ca);
}

static struct pki_pair other_ca(const char *subject)
{
    struct pki_request r = certs_ca_request(subject);

    r.from_s = (int64_t)time(NULL) - CERTS_DAY;
    r.until_s = (int64_t)time(NULL) + CERTS_DAY;
    return certs_make("p256", &r, NULL);
}

static void show_bad(struct rig *r)
{
    struct pki_pair ca = other_ca("CN=others"), twin = other_ca("CN=operators");
    struct pki_pair bad[] = {
        odd(&ca, -60, 60, PKI_USE_CLIENT),             /* another CA's */
        odd(&twin, -60, 60, PKI_USE_CLIENT),           /* of one that only has the name */
        odd(NULL, -120, -60, PKI_USE_CLIENT),          /* expired */
        odd(NULL, 600, 1200, PKI_USE_CLIENT),          /* not yet */
        odd(NULL, -60, 60, PKI_USE_SERVER),            /* a server's */
        odd(&rest.clients[1], -60, 60, PKI_USE_CLIENT) /* by one that is no CA */
    };

    (void)r;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rest_who who = {.certificate = &bad[i]};

        expect(&who, "/v1/sas", 401, "bad-certificate");
        expect(&who, "/livez", 401, "bad-certificate");
        who.bearer = rest.bearer[API_ROLE_ADMIN]; /* does not make it good */
        expect(&who, "/v1/sas", 401, "bad-certificate");
    }
}

Test(api_rest, certificates_that_prove_nothing)
{
    rest_run(&rest, show_bad);
}

static void show_good(struct rig *r)
{
    struct rest_who admin = {.certificate = &rest.clients[API_ROLE_ADMIN]},
                    stranger = {.certificate = &rest.stranger}, nobody = {0};

    (void)r;
    expect(&admin, "/v1/cluster", 200, "X-Holdfast-Index: 41\r\n");
    expect(&stranger, "/v1/cluster", 403, "no-role");
    expect(&nobody, "/v1/cluster", 401, "WWW-Authenticate: Bearer");
    expect(&nobody, "/livez", 200, "\r\n\r\nok\n");
    expect(&nobody, "/readyz", 200, "\r\n\r\nok\n");
    expect(&nobody, "/v1/problems/no-role", 200, "\"meaning\":");
    expect(&nobody, "/v1/problems/no-such", 404, "unknown-problem");
}

Test(api_rest, a_name_with_a_role_gets_in)
{
    rest_run(&rest, show_good);
}

static void come_without(struct rig *r)
{
    struct rest_who nobody = {.bearer = rest.bearer[API_ROLE_ADMIN]},
                    admin = {.certificate = &rest.clients[API_ROLE_ADMIN]},
                    other = {.certificate = &rest.stranger, .bearer = rest.bearer[API_ROLE_VIEWER]};

    (void)r;
    cr_assert_eq(rest_ask(&rest, &nobody, "GET", "/livez", "", "", reply), 0, "%s", reply);
    cr_assert_eq(rest_ask(&rest, &nobody, "GET", "/v1/sas", "", "", reply), 0, "%s", reply);
    expect(&admin, "/livez", 200, "ok");
    expect(&other, "/v1/sas", 200, "sas");
}

Test(api_rest, where_certificates_are_required_nothing_is_answered_without)
{
    rest.files.required = true;
    rest_run(&rest, come_without);
}

static void show_tokens(struct rig *r)
{
    static const char *const bad[] = {
        "",
        "Basic eDp5",
        "Bearer",
        "Bearer hf_",
        "bearer x",
        "Bearer hf_000000000003_0303030303030303030303030303030303030303030303030303030303030304",
        "Bearer hf_000000000003_03030303030303030303030303030303030303030303030303030303030303",
        "Bearer hf_000000000009_0303030303030303030303030303030303030303030303030303030303030303",
        "Bearer HF_000000000003_0303030303030303030303030303030303030303030303030303030303030303"};
    char late[100], revoked[100], roleless[100];
    struct api_bearer t = {.role = API_ROLE_ADMIN, .expires_s = (int64_t)time(NULL) - 1};
    struct rest_who who = {.bearer = rest.bearer[API_ROLE_ADMIN]};

    (void)r;
    expect(&who, "/v1/sas", 200, "sas");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        who.bearer = bad[i];
        expect(&who, "/v1/sas", 401, "unauthorized");
        who.certificate = &rest.clients[API_ROLE_ADMIN]; /* a bad token is not passed over */
        expect(&who, "/v1/sas", 401, "unauthorized");
        who.certificate = NULL;
    }
    rest_keep(&rest, "00000000aaaa", 7, &t, late);
    t.expires_s += 600;
    t.revoked = true;
    rest_keep(&rest, "00000000bbbb", 7, &t, revoked);
    t.revoked = false;
    t.role = API_ROLE_NONE;
    rest_keep(&rest, "00000000cccc", 7, &t, roleless);
    who.bearer = late;
    expect(&who, "/v1/sas", 401, "unauthorized");
    who.bearer = revoked;
    expect(&who, "/v1/sas", 401, "unauthorized");
    who.bearer = roleless;
    expect(&who, "/v1/sas", 403, "no-role");
}

Test(api_rest, tokens_good_and_bad)
{
    rest_run(&rest, show_tokens);
}

static void show_in_vain(struct rig *r)
{
    struct rest_who who = {.bearer = rest.bearer[API_ROLE_ADMIN]};

    (void)r;
    expect(&who, "/v1/sas", 401, "unauthorized");
}

Test(api_rest, without_a_store_no_token_is_good)
{
    rest.rig.backend.bearers = NULL;
    rest_run(&rest, show_in_vain);
}

static void ask_on(struct rest_connection *c, unsigned status)
{
    cr_assert(rest_request(c, "GET", "/v1/sas", "", "", reply), "the connection was cut");
    cr_assert_eq(rest_status(reply), status, "%s", reply);
}

/* Another certificate of the server and a list of what is revoked, under two living connections. */
static void replace(struct rig *r)
{
    struct rest_who viewer = {.certificate = &rest.clients[API_ROLE_VIEWER]},
                    admin = {.certificate = &rest.clients[API_ROLE_ADMIN]};
    struct rest_connection *stays = rest_connect(&rest, &viewer, 0),
                           *goes = rest_connect(&rest, &admin, 0), *fresh;
    X509_CRL *crl;
    struct pki_pair next;
    struct pki_request request = certs_server_request("node1.example.org");
    char why[PKI_WHY_BYTES], error[256] = "";
    struct api_tls_files files = rest.files, broken = rest.files;
    size_t n = 0;
    X509 *shown;

    request.from_s = (int64_t)time(NULL) - 60;
    request.until_s = (int64_t)time(NULL) + 600;
    next = certs_make("p256", &request, NULL);
    crl = pki_revoke(&rest.ca, &rest.clients[API_ROLE_ADMIN].cert, 1, (int64_t)time(NULL) - 60,
                     (int64_t)time(NULL) + 600, why);
    cr_assert_not_null(crl, "%s", why);
    files.revoked.data = (const uint8_t *)pki_crl_pem(crl, &n);
    files.revoked.len = n;
    files.certificate = rest_cert_pem(next.cert);
    files.key = rest_key_pem(next.key);
    ask_on(stays, 200);
    ask_on(goes, 200);
    broken.key = rest_key_pem(next.key); /* not that certificate's */
    cr_assert_not(api_server_set_tls(r->server, &broken, error, sizeof error));
    cr_assert_not_null(strstr(error, "certificates"), "%s", error);
    ask_on(goes, 200);
    cr_assert(api_server_set_tls(r->server, &files, error, sizeof error), "%s", error);
    do { /* until the thread has taken them */
        fresh = rest_connect(&rest, &viewer, 0);
        cr_assert_not_null(fresh);
        shown = rest_server_certificate(fresh);
        ask_on(fresh, 200);
        rest_disconnect(fresh);
        n = (size_t)X509_cmp(shown, next.cert);
        X509_free(shown);
    } while (n != 0);
    ask_on(stays, 200);
    ask_on(goes, 401);
    rest_disconnect(stays);
    rest_disconnect(goes);
    OPENSSL_free((void *)(uintptr_t)files.revoked.data);
    X509_CRL_free(crl);
}

Test(api_rest, other_certificates_cut_no_connection_and_count_at_once)
{
    rest_run(&rest, replace);
}

/* Connections of one address that say nothing: only so many, and each is let go; another address
 * gets in all the while. */
static void crowd(struct rig *r)
{
    struct rest_who same = {.from = INADDR_LOOPBACK + 5}, nobody = {0};
    struct rest_connection *c[4], *more;

    (void)r;
    for (size_t i = 0; i < 4; i++) {
        c[i] = rest_connect(&rest, &same, 0);
        cr_assert_not_null(c[i]);
    }
    more = rest_connect(&rest, &same, 0);
    cr_assert_null(more, "a fifth was let in");
    expect(&nobody, "/livez", 200, "ok");
    for (size_t i = 0; i < 4; i++) {
        char byte;

        while (recv(rest_fd(c[i]), &byte, 1, 0) > 0) { /* tickets, an alert, then the end */
        }
        cr_assert_neq(errno, EAGAIN, "it was not let go");
        rest_disconnect(c[i]);
    }
}

Test(api_rest, an_address_has_its_share_of_connections)
{
    rest.rig.options.per_address = 4;
    rest.rig.options.idle_s = 1;
    rest_run(&rest, crowd);
}
