/* The REST API over TLS on a port of the loopback, over the rig's backend; clients with certificates
 * and tokens, each from an address of its own unless it says which. Certificates are made anew. */
#ifndef HF_TESTS_API_REST_RIG_H
#define HF_TESTS_API_REST_RIG_H

#include <openssl/ssl.h>

#include "certs/certs.h"
#include "unit/api/rig.h"

/* Names that have a role by certificate: email:ROLE@example.org. */
enum { REST_TOKENS = 8, REST_HEADERS = 1024 };

/* Who asks. */
struct rest_who {
    const struct pki_pair *certificate; /* NULL: none */
    const char *bearer;                 /* NULL: none */
    uint32_t from;                      /* 127.x.x.x, host order; 0: one that nobody had */
};

struct rest {
    struct rig rig; /* first */
    struct pki_pair ca, server, clients[API_ROLES], stranger;
    struct api_tls_files files;
    struct api_client names[API_ROLES];
    char bearer[API_ROLES][7 + API_BEARER_TEXT_BYTES]; /* of each role */
    struct {
        char id[API_BEARER_ID_BYTES];
        struct api_bearer token;
    } tokens[REST_TOKENS];
    size_t n_tokens;
    _Atomic bool cut_off; /* then no token counts */
    uint32_t next_from;
};

void rest_init(struct rest *rest);
void rest_run(struct rest *rest, void (*client)(struct rig *rig));

/* Keeps a token with that secret's hash; `out` is what a client shows. */
void rest_keep(struct rest *rest, const char *id, uint8_t secret, const struct api_bearer *token,
               char out[7 + API_BEARER_TEXT_BYTES]);
struct pki_pair rest_client(struct rest *rest, const char *name, const struct pki_pair *issuer);
/* As the server is given them; lives as long as the process. */
struct span rest_cert_pem(X509 *cert);
struct span rest_key_pem(const EVP_PKEY *key);

/* One connection. NULL: it did not come about. */
struct rest_connection;
struct rest_connection *rest_connect(struct rest *rest, const struct rest_who *who, int version);
/* One request and its answer; false: the connection ended without one. `headers` end with \r\n each. */
bool rest_request(struct rest_connection *c, const char *method, const char *path,
                  const char *headers, const char *body, char *reply);
/* More bytes behind those of an answer; false: there are none any more. */
bool rest_more(struct rest_connection *c, char *reply);
X509 *rest_server_certificate(struct rest_connection *c); /* the caller's */
int rest_fd(struct rest_connection *c);
void rest_disconnect(struct rest_connection *c);

/* All of that once. Returns the status; 0: no answer. */
unsigned rest_ask(struct rest *rest, const struct rest_who *who, const char *method,
                  const char *path, const char *headers, const char *body, char *reply);
unsigned rest_status(const char *reply);

#endif
