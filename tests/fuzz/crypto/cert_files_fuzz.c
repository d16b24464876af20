/* The files of the gateway's certificate for clients, and of those whom it trusts: chain, key, CAs,
 * revocation lists, patterns. Made true first, with names and uses from the input, then spoiled in their
 * text or in DER (fuzz/tls/pem_spoil.h). Each is taken, or refused with a sentence.
 *
 *   first byte: 1 for a client, 2 a CA itself, 4 the CA goes along, 8 signed by itself, 16 revoked;
 *   names: n 1, n bytes, twice; a pattern likewise; then edits: file and kind 1 | place 2 | value 1
 */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "certs/certs.h"
#include "crypto/cert.h"
#include "fuzz/tls/pem_spoil.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHAIN, KEY, CAS, CRLS, FILES, NAME_ROOM = 256 };

static struct pki_pair ca;
static EVP_PKEY *own_key;

static void put(struct pem_file *f, char *text, size_t n)
{
    HF_ASSERT(text != NULL && n <= PEM_ROOM);
    memcpy(f->bytes, text, n);
    f->n = n;
    OPENSSL_free(text);
}

static const char *take_name(const uint8_t **data, size_t *size, char out[NAME_ROOM])
{
    size_t n = *size == 0 ? 0 : (*data)[0];

    *data += *size > 0;
    *size -= *size > 0;
    n = n < *size ? n : *size;
    memcpy(out, *data, n);
    out[n] = '\0';
    *data += n;
    *size -= n;
    return out;
}

static bool true_files(uint8_t how, const char *one, const char *two, struct pem_file files[FILES])
{
    struct pki_request r = (how & 1) != 0 ? certs_client_request("client@holdfast.test")
                                          : certs_server_request("gw.holdfast.test");
    char why[PKI_WHY_BYTES], *text;
    X509 *chain[2] = {NULL, ca.cert};
    X509_CRL *crl;
    size_t n;

    if (one[0] != '\0')
        r.names[0] = one;
    if (two[0] != '\0')
        r.names[r.n_names++] = two;
    r.ca = (how & 2) != 0;
    r.path_length = -1;
    chain[0] = pki_certify(&r, own_key, (how & 8) != 0 ? NULL : &ca, why);
    if (chain[0] == NULL) {
        HF_ASSERT(why[0] != '\0');
        return false;
    }
    text = pki_cert_pem(chain, (how & 4) != 0 ? 2 : 1, &n);
    put(&files[CHAIN], text, n);
    text = pki_key_pem(own_key, &n);
    put(&files[KEY], text, n);
    text = pki_cert_pem(&ca.cert, 1, &n);
    put(&files[CAS], text, n);
    crl = pki_revoke(&ca, chain, (how & 24) == 16, /* it lists only what it signed */
                     CERTS_NOW - 60, CERTS_NOW + 60, why);
    HF_ASSERT(crl != NULL);
    text = pki_crl_pem(crl, &n);
    put(&files[CRLS], text, n);
    X509_CRL_free(crl);
    X509_free(chain[0]);
    return true;
}

static void judge_own(const struct crypto_own *own, const struct crypto_trust *trust)
{
    struct span chain[CERT_MAX_CHAIN];
    uint8_t hashes[CERT_MAX_CHAIN + 1][CERT_HASH_BYTES];
    const struct cert_name *names;
    char why[CERT_WHY_BYTES];
    size_t n = crypto_own_chain(own, chain);
    bool fatal;

    HF_ASSERT(n >= 1 && n <= CERT_MAX_CHAIN && chain[0].len > 0);
    n = crypto_own_names(own, &names);
    HF_ASSERT(n <= CERT_MAX_NAMES);
    HF_ASSERT(crypto_own_cas(own, trust, hashes) <= CERT_MAX_CHAIN + 1);
    (void)crypto_own_complaint(own, CERTS_NOW, &fatal, why);
    (void)crypto_own_expires(own);
    HF_ASSERT(crypto_own_key(own) != NULL);
    (void)crypto_own_kind(own);
}

static struct span exact(const struct pem_file *f)
{
    uint8_t *bytes = malloc(f->n + 1);

    HF_ASSERT(bytes != NULL);
    memcpy(bytes, f->bytes, f->n);
    return span_of(bytes, f->n);
}

static void judge(const struct pem_file files[FILES], const char *pattern)
{
    struct crypto_trust *trust = crypto_trust_new();
    struct span parts[FILES];
    char why[CERT_WHY_BYTES] = "";
    struct crypto_own *own;

    for (int i = 0; i < FILES; i++)
        parts[i] = exact(&files[i]);
    HF_ASSERT(crypto_trust_allow(trust, pattern, why) || why[0] != '\0');
    why[0] = '\0';
    if (crypto_trust_add_cas(trust, parts[CAS], why))
        HF_ASSERT(crypto_trust_add_crls(trust, parts[CRLS], why) || why[0] != '\0');
    else
        HF_ASSERT(why[0] != '\0');
    why[0] = '\0';
    own = crypto_own_load(parts[CHAIN], parts[KEY], why);
    HF_ASSERT(own != NULL || why[0] != '\0');
    if (own != NULL)
        judge_own(own, trust);
    crypto_own_free(own);
    crypto_trust_free(trust);
    for (int i = 0; i < FILES; i++)
        free((void *)(uintptr_t)parts[i].data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pem_file files[FILES];
    char one[NAME_ROOM], two[NAME_ROOM], pattern[NAME_ROOM];
    uint8_t how;

    if (own_key == NULL) {
        struct pki_request r = certs_ca_request("CN=fuzz");

        ca = certs_make("p256", &r, NULL);
        own_key = pki_key_new("p256");
        HF_ASSERT(own_key != NULL);
    }
    if (size < 1)
        return 0;
    how = *data++;
    size--;
    (void)take_name(&data, &size, one);
    (void)take_name(&data, &size, two);
    (void)take_name(&data, &size, pattern);
    if (!true_files(how, one, two, files))
        return 0;
    for (; size >= 4; data += 4, size -= 4)
        pem_spoil(files, FILES, data[0], (size_t)data[1] << 8 | data[2], data[3]);
    judge(files, pattern);
    return 0;
}
