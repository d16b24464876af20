#include "unit/api/rest_rig.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <gnutls/crypto.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *const roles[API_ROLES] = {[API_ROLE_VIEWER] = "viewer",
                                             [API_ROLE_OPERATOR] = "operator",
                                             [API_ROLE_ADMIN] = "admin",
                                             [API_ROLE_DRILL] = "drill"};

struct span rest_cert_pem(X509 *cert)
{
    size_t n = 0;
    char *pem = pki_cert_pem(&cert, 1, &n);

    cr_assert_not_null(pem);
    return span_of(certs_keep(pem), n);
}

struct span rest_key_pem(const EVP_PKEY *key)
{
    size_t n = 0;
    char *pem = pki_key_pem(key, &n);

    cr_assert_not_null(pem);
    return span_of(certs_keep(pem), n);
}

static struct pki_pair make(struct pki_request r, const struct pki_pair *issuer)
{
    r.from_s = (int64_t)time(NULL) - CERTS_DAY;
    r.until_s = (int64_t)time(NULL) + CERTS_DAY;
    return certs_make("p256", &r, issuer);
}

struct pki_pair rest_client(struct rest *rest, const char *name, const struct pki_pair *issuer)
{
    return make(certs_client_request(name), issuer != NULL ? issuer : &rest->ca);
}

static enum api_bearer_found find(void *self, const char *id, struct api_bearer *token)
{
    struct rest *rest = self;

    if (rest->cut_off) {
        return API_BEARER_UNSURE;
    }
    for (size_t i = 0; i < rest->n_tokens; i++) {
        if (strcmp(rest->tokens[i].id, id) == 0) {
            *token = rest->tokens[i].token;
            return API_BEARER_FOUND;
        }
    }
    return API_BEARER_UNKNOWN;
}

static const struct api_bearer_store store = {.find = find};

void rest_keep(struct rest *rest, const char *id, uint8_t secret, const struct api_bearer *token,
               char out[7 + API_BEARER_TEXT_BYTES])
{
    uint8_t bytes[32];
    size_t at = rest->n_tokens++, n;

    cr_assert_lt(at, REST_TOKENS);
    memset(bytes, secret, sizeof bytes);
    strcpy(rest->tokens[at].id, id);
    rest->tokens[at].token = *token;
    cr_assert_eq(gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes, 32, rest->tokens[at].token.hash), 0);
    n = (size_t)sprintf(out, "Bearer hf_%s_", id);
    for (size_t i = 0; i < 32; i++) {
        n += (size_t)sprintf(out + n, "%02x", secret);
    }
}

void rest_init(struct rest *rest)
{
    char name[64], id[API_BEARER_ID_BYTES];

    (void)signal(SIGPIPE, SIG_IGN);
    memset(rest, 0, sizeof *rest);
    rig_init(&rest->rig);
    rest->ca = make(certs_ca_request("CN=operators"), NULL);
    rest->server = make(certs_server_request("node1.example.org"), NULL);
    rest->stranger = rest_client(rest, "nobody@example.org", NULL);
    for (int i = API_ROLE_VIEWER; i < API_ROLES; i++) {
        struct api_bearer token = {.role = (enum api_role)i, .expires_s = (int64_t)time(NULL) + 60};

        (void)snprintf(name, sizeof name, "%s@example.org", roles[i]);
        rest->clients[i] = rest_client(rest, name, NULL);
        (void)snprintf(rest->names[i].name, sizeof rest->names[i].name, "email:%s", name);
        rest->names[i].role = (enum api_role)i;
        (void)snprintf(token.name, sizeof token.name, "token:%s", roles[i]);
        (void)snprintf(id, sizeof id, "%012x", (unsigned)i);
        rest_keep(rest, id, (uint8_t)i, &token, rest->bearer[i]);
    }
    rest->files = (struct api_tls_files){.certificate = rest_cert_pem(rest->server.cert),
                                         .key = rest_key_pem(rest->server.key),
                                         .client_ca = rest_cert_pem(rest->ca.cert),
                                         .clients = rest->names + 1,
                                         .n_clients = API_ROLES - 1};
    rest->rig.options = (struct api_server_options){
        .listen = {.ip = addr_v4(INADDR_LOOPBACK)}, .tls = &rest->files, .connections = 64};
    rest->rig.backend.bearers = &store;
    rest->rig.backend.bearers_self = rest;
    rest->next_from = INADDR_LOOPBACK + 256;
}

void rest_run(struct rest *rest, void (*client)(struct rig *rig))
{
    rig_run(&rest->rig, client);
}

struct rest_connection {
    int fd;
    SSL_CTX *context;
    SSL *ssl;
};

static int reach(struct rest *rest, const struct rest_who *who)
{
    struct sockaddr_in from = {.sin_family = AF_INET},
                       to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_port = htons(api_server_port(rest->rig.server));
    from.sin_addr.s_addr = htonl(who->from != 0 ? who->from : rest->next_from++);
    cr_assert(fd >= 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

struct rest_connection *rest_connect(struct rest *rest, const struct rest_who *who, int version)
{
    struct rest_connection *c = calloc(1, sizeof *c);

    cr_assert_not_null(c);
    c->fd = reach(rest, who);
    c->context = SSL_CTX_new(TLS_client_method());
    cr_assert_not_null(c->context);
    if (version != 0) {
        cr_assert_eq(SSL_CTX_set_max_proto_version(c->context, version), 1);
    }
    if (who->certificate != NULL) {
        cr_assert_eq(SSL_CTX_use_certificate(c->context, who->certificate->cert), 1);
        cr_assert_eq(SSL_CTX_use_PrivateKey(c->context, who->certificate->key), 1);
    }
    c->ssl = SSL_new(c->context);
    cr_assert(c->ssl != NULL && SSL_set_fd(c->ssl, c->fd) == 1);
    if (SSL_connect(c->ssl) == 1) {
        return c;
    }
    rest_disconnect(c);
    return NULL;
}

void rest_disconnect(struct rest_connection *c)
{
    if (c == NULL) {
        return;
    }
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    (void)close(c->fd);
    free(c);
}

X509 *rest_server_certificate(struct rest_connection *c)
{
    return SSL_get1_peer_certificate(c->ssl);
}

int rest_fd(struct rest_connection *c)
{
    return c->fd;
}

/* All of an answer that says its length, or whose request was HEAD or is answered with 304; of a stream of events
 * what it begins with. */
static bool complete(const char *reply, size_t n, bool no_body)
{
    const char *end = strstr(reply, "\r\n\r\n"), *length = strstr(reply, "Content-Length: ");

    if (end == NULL) {
        return false;
    }
    if (strstr(reply, "\r\nContent-Type: text/event-stream\r\n") != NULL) {
        return no_body || strstr(end, "\n\n") != NULL;
    }
    return no_body || rest_status(reply) == 304 ||
           (length != NULL && length < end &&
            (size_t)(end + 4 - reply) + strtoul(length + 16, NULL, 10) <= n);
}

bool rest_more(struct rest_connection *c, char *reply)
{
    size_t got = strlen(reply), more = 0;
    bool good = SSL_read_ex(c->ssl, reply + got, RIG_REPLY_BYTES - 1 - got, &more) == 1;

    reply[got + more] = '\0';
    return good;
}

bool rest_request(struct rest_connection *c, const char *method, const char *path,
                  const char *headers, const char *body, char *reply)
{
    char request[8192];
    int n =
        snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\n%s", method, path, headers);
    size_t sent = 0;

    if (strcasestr(headers, "Content-Length:") == NULL) {
        n += snprintf(request + n, sizeof request - (size_t)n, "Content-Length: %zu\r\n",
                      strlen(body));
    }
    n += snprintf(request + n, sizeof request - (size_t)n, "\r\n%s", body);
    cr_assert_lt((size_t)n, sizeof request);
    reply[0] = '\0';
    if (SSL_write_ex(c->ssl, request, (size_t)n, &sent) != 1) {
        return false;
    }
    while (!complete(reply, strlen(reply), strcmp(method, "HEAD") == 0)) {
        if (!rest_more(c, reply)) {
            return false;
        }
    }
    return true;
}

unsigned rest_status(const char *reply)
{
    return strncmp(reply, "HTTP/1.1 ", 9) == 0 ? (unsigned)strtoul(reply + 9, NULL, 10) : 0;
}

unsigned rest_ask(struct rest *rest, const struct rest_who *who, const char *method,
                  const char *path, const char *headers, const char *body, char *reply)
{
    struct rest_connection *c = rest_connect(rest, who, 0);
    char all[REST_HEADERS];

    reply[0] = '\0';
    if (c == NULL) {
        return 0;
    }
    (void)snprintf(all, sizeof all, "%s%s%s%s", headers,
                   strcasestr(headers, "Content-Type:") != NULL || body[0] == '\0'
                       ? ""
                       : "Content-Type: application/json\r\n",
                   who->bearer != NULL ? "Authorization: " : "",
                   who->bearer != NULL ? who->bearer : "");
    if (who->bearer != NULL) {
        strcat(all, "\r\n");
    }
    (void)rest_request(c, method, path, all, body, reply);
    rest_disconnect(c);
    return rest_status(reply);
}
