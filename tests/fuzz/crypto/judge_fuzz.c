/* A peer's claim before it is believed: identity, certificates, signature, judged by the real thing
 * (cert_*.c, sign.c over OpenSSL) against one CA and some patterns. First byte: who is judged (bit 0:
 * gateway) and the row of the signature (the rest); then the identity's type, its length, itself; then
 * certificates, each behind two bytes of length, up to a length of 0; the signature is what is left.
 *
 * Only the CA's own client may come out as good, under one of its names. */
#include <ctype.h>

#include "crypto/cert.h"
#include "crypto/tables.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
static bool printable(const char text[SUITE_NAME_CHARS])
{
    size_t n = strnlen(text, SUITE_NAME_CHARS);

    for (size_t i = 0; i < n; i++)
        if (text[i] < ' ' || text[i] > '~')
            return false;
    return n < SUITE_NAME_CHARS;
}

/* What people are shown of it, whatever it is. */
static void described(struct span der)
{
    struct suite_certificate about;

    crypto_auth.describe(der, &about);
    HF_ASSERT(printable(about.subject) && printable(about.issuer));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made for this file; its key is gone. */
static const char ca_pem[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIIBjDCCATGgAwIBAgIULsgfgq/sWfZF0JkI3cT3i7FRg/cwCgYIKoZIzj0EAwIw\n"
                             "EjEQMA4GA1UEAwwHZnV6eiBDQTAgFw0yNjExMjcwMzA1MDFaGA8yMTI2MTEwMzAz\n"
                             "MDUwMVowEjEQMA4GA1UEAwwHZnV6eiBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEH\n"
                             "A0IABG5/aCvR03F6QUnaAaKpYlMTTPvryPavDnntpSkGKNqWV37lxoh8xZ1cP+9W\n"
                             "6IIMnVYooEmOvrmqenS50tXlqfqjYzBhMB0GA1UdDgQWBBQRvNrN3RjrPQX2EA46\n"
                             "/NVAYonaxzAfBgNVHSMEGDAWgBQRvNrN3RjrPQX2EA46/NVAYonaxzAPBgNVHRMB\n"
                             "Af8EBTADAQH/MA4GA1UdDwEB/wQEAwIBBjAKBggqhkjOPQQDAgNJADBGAiEAo6ea\n"
                             "4bbjwHRn8xXDMXAHDt5+KApWsqMsMvum7TV+LxgCIQCFxXJJUoGkBMKGUTZQE5mL\n"
                             "3YiYe6PVjWQqA9Vp5HH8+g==\n"
                             "-----END CERTIFICATE-----\n";

enum { NOW_S = 1800000000 };
static struct crypto_trust *trust;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const patterns[] = {"*@holdfast.test", "*.holdfast.test", "192.0.2.7",
                                           "C=DE, O=*, CN=*"};
    char why[CERT_WHY_BYTES];

    (void)argc;
    (void)argv;
    trust = crypto_trust_new();
    HF_ASSERT(crypto_trust_add_cas(trust, span_of(ca_pem, sizeof ca_pem - 1), why));
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        HF_ASSERT(crypto_trust_allow(trust, patterns[i], why));
    return 0;
}

/* Takes n bytes off the front. */
static struct span take(struct span *in, size_t n)
{
    const struct span front = span_of(in->data, n < in->len ? n : in->len);

    *in = span_of(in->data + front.len, in->len - front.len);
    return front;
}

static size_t take_number(struct span *in, size_t bytes)
{
    const struct span s = take(in, bytes);
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++)
        n = n << 8 | s.data[i];
    return n;
}

static bool folded_is(struct span id, const char *name)
{
    if (id.len != strlen(name))
        return false;
    for (size_t i = 0; i < id.len; i++)
        if (tolower(id.data[i]) != name[i])
            return false;
    return true;
}

static bool one_of_its_names(const struct suite_claim *c)
{
    switch (c->id_type) {
    case 1:
        return span_equal(c->id, span_of("\xc0\x00\x02\x07", 4));
    case 2:
        return folded_is(c->id, "host.holdfast.test");
    case 3:
        return folded_is(c->id, "alice@holdfast.test");
    default:
        return c->id_type == 9; /* a name may be written in several ways */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char message[] = "what is signed, always the same";
    struct span in = span_of(data, size);
    struct suite_claim claim = {.wall_s = NOW_S, .data = span_of(message, sizeof message - 1)};
    size_t first = take_number(&in, 1);
    enum suite_verdict verdict;
    char text[64];

    claim.gateway = (first & 1) != 0;
    claim.how = &crypto_auth.rows[(first >> 1) % crypto_auth.n_rows];
    claim.id_type = (uint8_t)take_number(&in, 1);
    claim.id = take(&in, take_number(&in, 1));
    while (claim.n_certs < SUITE_MAX_CERTS) {
        size_t n = take_number(&in, 2);

        if (n == 0)
            break;
        claim.certs[claim.n_certs++] = take(&in, n);
    }
    claim.signature = in;
    verdict = crypto_auth.verify(trust, &claim);
    HF_ASSERT(verdict < SUITE_VERDICTS && verdict == crypto_auth.verify(trust, &claim));
    if (verdict == SUITE_GOOD)
        HF_ASSERT(!claim.gateway && one_of_its_names(&claim));
    for (uint8_t i = 0; i < claim.n_certs; i++)
        described(claim.certs[i]);
    HF_ASSERT(strlen(cert_name_text(claim.id_type, claim.id, text, sizeof text)) < sizeof text);
    return 0;
}
