/* TLS 1.3 by GnuTLS, and what a client's certificate says.
 *
 * libmicrohttpd opens the sessions, but each gets credentials of ours before its first byte, so that
 * they can be replaced while connections live, and the client's certificate is judged here. Asking
 * for one proves nothing: a request counts as authenticated only when GnuTLS's verification returns
 * 0 AND its status is 0 AND a certificate is there.
 */
#include <stdlib.h>
#include <string.h>

#include <gnutls/x509.h>

#include "api/http.h"

struct api_tls {
    gnutls_certificate_credentials_t credentials;
    bool asks, required;
    struct api_client *clients;
    size_t n_clients;
    unsigned refs;
};

struct api_tls *api_tls_hold(struct api_tls *tls)
{
    tls->refs++;
    return tls;
}

void api_tls_release(struct api_tls *tls)
{
    if (tls == NULL || --tls->refs > 0) {
        return;
    }
    gnutls_certificate_free_credentials(tls->credentials);
    free(tls->clients);
    free(tls);
}

bool api_tls_required(const struct api_tls *tls)
{
    return tls->required;
}

static gnutls_datum_t datum(struct span s)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)s.data, (unsigned)s.len};
}

/* NULL, or what went wrong, static. */
static const char *fill(struct api_tls *tls, const struct api_tls_files *files)
{
    gnutls_datum_t certificate = datum(files->certificate), key = datum(files->key),
                   ca = datum(files->client_ca), revoked = datum(files->revoked);
    int rc = gnutls_certificate_set_x509_key_mem2(tls->credentials, &certificate, &key,
                                                  GNUTLS_X509_FMT_PEM, NULL, 0);

    if (rc < 0) {
        return gnutls_strerror(rc);
    }
    if (ca.size > 0) {
        rc = gnutls_certificate_set_x509_trust_mem(tls->credentials, &ca, GNUTLS_X509_FMT_PEM);
        if (rc <= 0) {
            return rc == 0 ? "no CA is in client_ca" : gnutls_strerror(rc);
        }
        tls->asks = true;
    }
    if (revoked.size > 0) {
        rc = gnutls_certificate_set_x509_crl_mem(tls->credentials, &revoked, GNUTLS_X509_FMT_PEM);
        if (rc <= 0) {
            return rc == 0 ? "no list is in revoked" : gnutls_strerror(rc);
        }
    }
    tls->required = files->required;
    return files->required && !tls->asks ? "client certificates are required, but no CA is given"
                                         : NULL;
}

struct api_tls *api_tls_create(const struct api_tls_files *files, char *error, size_t error_bytes)
{
    struct api_tls *tls = calloc(1, sizeof *tls);
    const char *why;

    HF_ASSERT(tls != NULL);
    tls->refs = 1;
    HF_ASSERT(gnutls_certificate_allocate_credentials(&tls->credentials) == 0);
    why = fill(tls, files);
    if (why != NULL) {
        (void)snprintf(error, error_bytes, "api: certificates: %s", why);
        api_tls_release(tls);
        return NULL;
    }
    tls->n_clients = files->n_clients;
    if (files->n_clients > 0) {
        tls->clients = calloc(files->n_clients, sizeof *tls->clients);
        HF_ASSERT(tls->clients != NULL);
        memcpy(tls->clients, files->clients, files->n_clients * sizeof *tls->clients);
    }
    return tls;
}

void api_tls_arm(const struct api_tls *tls, gnutls_session_t session)
{
    (void)gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials);
    gnutls_certificate_server_set_request(session, !tls->asks      ? GNUTLS_CERT_IGNORE
                                                   : tls->required ? GNUTLS_CERT_REQUIRE
                                                                   : GNUTLS_CERT_REQUEST);
}

/* Does the certificate bear that name, of that kind? A name with a zero inside is none. */
static bool has_alternative(gnutls_x509_crt_t crt, unsigned kind, const char *name)
{
    char text[API_NAME_BYTES];
    unsigned type = 0;

    for (unsigned i = 0; i < 64; i++) {
        size_t n = sizeof text;
        int rc = gnutls_x509_crt_get_subject_alt_name2(crt, i, text, &n, &type, NULL);

        if (rc == GNUTLS_E_SHORT_MEMORY_BUFFER) {
            continue;
        }
        if (rc < 0) {
            return false;
        }
        if (type == kind && n == strlen(name) && memcmp(text, name, n) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_common_name(gnutls_x509_crt_t crt, const char *name)
{
    char text[API_NAME_BYTES];
    size_t n = sizeof text;

    return gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, text, &n) == 0 &&
           n == strlen(name) && memcmp(text, name, n) == 0;
}

static bool stands_for(gnutls_x509_crt_t crt, const char *name)
{
    if (strncmp(name, "cn:", 3) == 0) {
        return has_common_name(crt, name + 3);
    }
    if (strncmp(name, "dns:", 4) == 0) {
        return has_alternative(crt, GNUTLS_SAN_DNSNAME, name + 4);
    }
    if (strncmp(name, "email:", 6) == 0) {
        return has_alternative(crt, GNUTLS_SAN_RFC822NAME, name + 6);
    }
    return strncmp(name, "uri:", 4) == 0 && has_alternative(crt, GNUTLS_SAN_URI, name + 4);
}

enum api_cert api_tls_judge(const struct api_tls *tls, gnutls_session_t session,
                            struct api_principal *who)
{
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
    unsigned n = 0, status = ~0u;
    const gnutls_datum_t *shown;
    gnutls_x509_crt_t crt;
    enum api_cert verdict = API_CERT_STRANGER;

    memset(who, 0, sizeof *who);
    shown = tls->asks ? gnutls_certificate_get_peers(session, &n) : NULL;
    if (shown == NULL || n == 0) {
        return API_CERT_NONE;
    }
    if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) != 0 || status != 0 ||
        gnutls_x509_crt_init(&crt) != 0) {
        return API_CERT_BAD;
    }
    if (gnutls_x509_crt_import(crt, &shown[0], GNUTLS_X509_FMT_DER) != 0) {
        verdict = API_CERT_BAD;
    }
    for (size_t i = 0; verdict == API_CERT_STRANGER && i < tls->n_clients; i++) {
        if (stands_for(crt, tls->clients[i].name)) {
            memcpy(who->name, tls->clients[i].name, sizeof who->name);
            who->role = tls->clients[i].role;
            verdict = API_CERT_KNOWN;
        }
    }
    gnutls_x509_crt_deinit(crt);
    return verdict;
}
