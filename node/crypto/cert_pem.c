/* PEM texts: certificates, CRLs, private keys. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "crypto/certs.h"

/* Ends a loop over PEM blocks: was it the end of the text, and not a block that does not parse? */
static bool at_end(void)
{
    unsigned long e = ERR_peek_last_error();
    bool end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;

    ERR_clear_error();
    return end;
}

static BIO *text_of(struct span pem)
{
    return pem.len <= CERT_MAX_FILE ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
}

bool pem_certs(struct span pem, STACK_OF(X509) * into, char why[CERT_WHY_BYTES])
{
    BIO *in = text_of(pem);
    int n = 0;
    X509 *cert;

    ERR_clear_error();
    while (in != NULL && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
        HF_ASSERT(sk_X509_push(into, cert) > 0);
        n++;
    }
    BIO_free(in);
    if (at_end() && n > 0)
        return true;
    (void)snprintf(why, CERT_WHY_BYTES,
                   n > 0 ? "certificate %d does not parse"
                         : "holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)",
                   n + 1);
    return false;
}

bool pem_crls(struct span pem, STACK_OF(X509_CRL) * into, char why[CERT_WHY_BYTES])
{
    BIO *in = text_of(pem);
    int n = 0;
    X509_CRL *crl;

    ERR_clear_error();
    while (in != NULL && (crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL)) != NULL) {
        HF_ASSERT(sk_X509_CRL_push(into, crl) > 0);
        n++;
    }
    BIO_free(in);
    if (at_end() && n > 0)
        return true;
    (void)snprintf(why, CERT_WHY_BYTES,
                   "holds no revocation list in PEM form "
                   "(-----BEGIN X509 CRL-----)");
    return false;
}

/* Nobody is there to type a pass phrase. */
static int no_phrase(char *buf, int size, int rwflag, void *u)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    *(bool *)u = true;
    return -1;
}

EVP_PKEY *pem_key(struct span pem, char why[CERT_WHY_BYTES])
{
    BIO *in = text_of(pem);
    bool encrypted = false;
    EVP_PKEY *key = in != NULL ? PEM_read_bio_PrivateKey(in, NULL, no_phrase, &encrypted) : NULL;

    BIO_free(in);
    ERR_clear_error();
    if (key == NULL)
        (void)snprintf(why, CERT_WHY_BYTES,
                       encrypted
                           ? "is encrypted: write it without a pass phrase, its mode 0600 "
                             "protects it (openssl pkey -in it -out it.plain)"
                           : "holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)");
    return key;
}
