/* What a certificate may be used for: key usage (RFC 4945 5.1.3.2), extended key usage (5.1.3.12),
 * size of keys.
 *
 *   gateway   serverAuth or any must stand in it: stock clients demand it, and it keeps a client's
 *             certificate from posing as the gateway
 *   client    clientAuth, ipsecIKE (RFC 4945's successor, 1.3.6.1.5.5.7.3.17) or any, or no list at all
 */
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "crypto/certs.h"

static bool lists(const EXTENDED_KEY_USAGE *list, const char *oid)
{
    char text[64];

    for (int i = 0; i < sk_ASN1_OBJECT_num(list); i++) {
        int n = OBJ_obj2txt(text, sizeof text, sk_ASN1_OBJECT_value(list, i), 1);

        if (n > 0 && (size_t)n < sizeof text && strcmp(text, oid) == 0)
            return true;
    }
    return false;
}

/* `absent`: what it means that there is no list. A list that does not parse allows nothing. */
static bool extended(X509 *cert, bool gateway, bool absent)
{
    int critical = -1;
    EXTENDED_KEY_USAGE *list = X509_get_ext_d2i(cert, NID_ext_key_usage, &critical, NULL);
    bool fits;

    if (list == NULL)
        return critical == -1 && absent;
    fits = lists(list, "2.5.29.37.0") ||
           lists(list, gateway ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2") ||
           (!gateway && lists(list, "1.3.6.1.5.5.7.3.17"));
    EXTENDED_KEY_USAGE_free(list);
    return fits;
}

bool cert_usage_fits(X509 *cert, bool gateway)
{
    uint32_t usage = X509_get_key_usage(cert); /* all bits when it is absent */

    return (usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) != 0 &&
           extended(cert, gateway, !gateway);
}

bool cert_usage_issues(X509 *ca, bool gateway)
{
    return extended(ca, gateway, true);
}

bool cert_key_strong(const EVP_PKEY *key, int most_rsa_bits)
{
    enum suite_key_kind kind = crypto_key_kind(key);
    int bits = kind == SUITE_KEY_NONE ? 0 : EVP_PKEY_get_bits(key);

    return kind == SUITE_KEY_RSA ? bits >= CERT_RSA_MIN_BITS && bits <= most_rsa_bits
                                 : kind != SUITE_KEY_NONE;
}

bool cert_spki_hash(X509 *cert, uint8_t hash[CERT_HASH_BYTES])
{
    uint8_t *der = NULL;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    bool ok = n > 0 && EVP_Digest(der, (size_t)n, hash, NULL, EVP_sha1(), NULL) == 1;

    OPENSSL_free(der);
    return ok;
}
