/* TLS 1.3 by OpenSSL: the server must show a certificate by our CA for the name that was asked; ours is
 * shown where one is given. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/stream.h"
#include "base/secret.h"

enum { MOST_KEY = 64 << 10 };

static bool fail(struct cli_stream *s, const char *what, const char *why)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;

    (void)snprintf(s->error, s->error_bytes, "%s: %s%s%s%s", what, why, reason != NULL ? " (" : "",
                   reason != NULL ? reason : "", reason != NULL ? ")" : "");
    ERR_clear_error();
    return false;
}

/* A key under a password is refused, not asked about: a script would hang. */
static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static bool use_key(struct cli_stream *s, const char *path)
{
    char why[CLI_WHY_BYTES];
    size_t n = 0;
    char *text = cli_guarded_read(path, true, MOST_KEY, &n, why);
    BIO *bio = text != NULL ? BIO_new_mem_buf(text, (int)n) : NULL;
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    bool ok = key != NULL && SSL_CTX_use_PrivateKey(s->context, key) == 1 &&
              SSL_CTX_check_private_key(s->context) == 1;

    EVP_PKEY_free(key);
    BIO_free(bio);
    if (text != NULL) {
        secret_wipe_bytes(text, n);
        free(text);
    } else {
        (void)snprintf(s->error, s->error_bytes, "%s", why);
        return false;
    }
    return ok || fail(s, path, "that is no key without a password for the certificate");
}

static bool make_context(struct cli_stream *s)
{
    char *const *at = s->cli->where.at;

    s->context = SSL_CTX_new(TLS_client_method());
    if (s->context == NULL || SSL_CTX_set_min_proto_version(s->context, TLS1_3_VERSION) != 1) {
        return fail(s, s->name, "TLS 1.3 cannot be had");
    }
    SSL_CTX_set_verify(s->context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_file(s->context, at[CLI_AT_CA]) != 1) {
        return fail(s, at[CLI_AT_CA], "that is no file of CA certificates");
    }
    if (at[CLI_AT_CERT] == NULL) {
        return true;
    }
    if (SSL_CTX_use_certificate_chain_file(s->context, at[CLI_AT_CERT]) != 1) {
        return fail(s, at[CLI_AT_CERT], "that is no file of a certificate");
    }
    return use_key(s, at[CLI_AT_KEY]);
}

/* For a name the certificate's DNS names count, for an address its addresses. */
static bool expect_name(struct cli_stream *s, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(s->tls);

    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1) {
        return true;
    }
    ERR_clear_error();
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
           SSL_set_tlsext_host_name(s->tls, host) == 1;
}

static bool judge(struct cli_stream *s, const char *host)
{
    long verdict = SSL_get_verify_result(s->tls);

    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        (void)snprintf(s->error, s->error_bytes,
                       "%s: its certificate is not for '%s': ask it by a name that stands in the "
                       "certificate, or make another (`holdfast pki server --names`)",
                       s->name, host);
    } else if (verdict == X509_V_OK) {
        return fail(s, s->name, "no TLS 1.3 came about");
    } else {
        (void)snprintf(s->error, s->error_bytes,
                       "%s: its certificate is not taken: %s. It must be by a CA of %s", s->name,
                       X509_verify_cert_error_string(verdict), s->cli->where.at[CLI_AT_CA]);
    }
    ERR_clear_error();
    return false;
}

bool cli_secure_wait(struct cli_stream *s, int result, const char *doing)
{
    switch (SSL_get_error(s->tls, result)) {
    case SSL_ERROR_WANT_READ:
        return cli_stream_wait(s, POLLIN);
    case SSL_ERROR_WANT_WRITE:
        return cli_stream_wait(s, POLLOUT);
    default:
        return fail(s, s->name, doing);
    }
}

bool cli_secure_begin(struct cli_stream *s, const struct cli_server *server)
{
    int rc;

    if (!make_context(s)) {
        return false;
    }
    s->tls = SSL_new(s->context);
    if (s->tls == NULL || SSL_set_fd(s->tls, s->fd) != 1 || !expect_name(s, server->host)) {
        return fail(s, s->name, "TLS cannot be begun");
    }
    while ((rc = SSL_connect(s->tls)) != 1) {
        int what = SSL_get_error(s->tls, rc);

        if (what != SSL_ERROR_WANT_READ && what != SSL_ERROR_WANT_WRITE) {
            return judge(s, server->host);
        }
        if (!cli_stream_wait(s, what == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT)) {
            return false;
        }
    }
    return true;
}
