/* Identities: which ones a certificate proves (RFC 4945 3.1, 5.1.3.6), and whom a pattern means.
 *
 * Names are compared whole, with their lengths: a zero byte in a name ends nothing. No wildcard of
 * a certificate is honoured, and the common name is no host name. Domain names know no upper case;
 * the part before the @ does.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "crypto/certs.h"

enum { IPV4 = 1, FQDN = 2, RFC822 = 3, IPV6 = 5, DER_DN = 9 }; /* RFC 7296 3.5 */
enum { MOST_RDNS = 16 };

static bool same_folded(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (tolower(a.data[i]) != tolower(b.data[i]))
            return false;
    return true;
}

/* Where the domain begins: behind the last @. */
static size_t domain_at(struct span mail)
{
    size_t at = mail.len;

    while (at > 0 && mail.data[at - 1] != '@')
        at--;
    return at;
}

static bool same_mail(struct span a, struct span b)
{
    size_t at = domain_at(a);

    return a.len == b.len && at == domain_at(b) && at > 1 && memcmp(a.data, b.data, at) == 0 &&
           same_folded(span_of(a.data + at, a.len - at), span_of(b.data + at, b.len - at));
}

/* The type that a subjectAltName has as an identity, and its bytes. 0: none of ours. */
static uint8_t name_of(const GENERAL_NAME *name, struct span *bytes)
{
    const ASN1_STRING *s;

    switch (name->type) {
    case GEN_DNS:
        s = name->d.dNSName;
        break;
    case GEN_EMAIL:
        s = name->d.rfc822Name;
        break;
    case GEN_IPADD:
        s = name->d.iPAddress;
        break;
    default:
        return 0;
    }
    *bytes = span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
    if (name->type == GEN_IPADD)
        return bytes->len == 4 ? IPV4 : bytes->len == 16 ? IPV6 : 0;
    return name->type == GEN_DNS ? FQDN : RFC822;
}

static bool same_name(uint8_t type, struct span a, struct span b)
{
    return type == FQDN ? same_folded(a, b) : type == RFC822 ? same_mail(a, b) : span_equal(a, b);
}

/* NULL: not one name and nothing else. The caller frees. */
static X509_NAME *parse_dn(struct span id)
{
    const uint8_t *p = id.data;
    X509_NAME *name = d2i_X509_NAME(NULL, &p, (long)id.len);

    if (name != NULL && p != id.data + id.len) {
        X509_NAME_free(name);
        name = NULL;
    }
    return name;
}

static bool is_subject(X509 *cert, struct span id)
{
    X509_NAME *name = parse_dn(id);
    bool same = name != NULL && X509_NAME_entry_count(name) > 0 &&
                X509_NAME_cmp(name, X509_get_subject_name(cert)) == 0;

    X509_NAME_free(name);
    return same;
}

bool cert_has_name(X509 *cert, uint8_t type, struct span id)
{
    GENERAL_NAMES *names;
    struct span bytes;
    bool found = false;

    if (type == DER_DN)
        return is_subject(cert, id);
    names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++)
        found = id.len > 0 && name_of(sk_GENERAL_NAME_value(names, i), &bytes) == type &&
                type != 0 && same_name(type, bytes, id);
    GENERAL_NAMES_free(names);
    return found;
}

static void add(struct cert_name *names, size_t *n, uint8_t type, struct span bytes)
{
    if (*n == CERT_MAX_NAMES || bytes.len == 0 || bytes.len > CERT_MAX_NAME)
        return;
    names[*n].type = type;
    names[*n].len = (uint8_t)bytes.len;
    memcpy(names[*n].bytes, bytes.data, bytes.len);
    *n += 1;
}

size_t cert_names_of(X509 *cert, struct cert_name names[CERT_MAX_NAMES])
{
    GENERAL_NAMES *sans = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    const X509_NAME *subject = X509_get_subject_name(cert);
    struct span bytes;
    uint8_t *der = NULL;
    size_t n = 0;
    int len;

    for (int i = 0; i < sk_GENERAL_NAME_num(sans); i++) {
        uint8_t type = name_of(sk_GENERAL_NAME_value(sans, i), &bytes);

        if (type != 0)
            add(names, &n, type, bytes);
    }
    GENERAL_NAMES_free(sans);
    len = X509_NAME_entry_count(subject) > 0 ? i2d_X509_NAME(subject, &der) : 0;
    if (len > 0)
        add(names, &n, DER_DN, span_of(der, (size_t)len));
    OPENSSL_free(der);
    return n;
}

const char *cert_name_text(uint8_t type, struct span data, char *buf, size_t cap)
{
    X509_NAME *name = type == DER_DN ? parse_dn(data) : NULL;
    BIO *out = BIO_new(BIO_s_mem());
    char *text = NULL;
    long n = 0;

    if (name != NULL &&
        X509_NAME_print_ex(out, name, 0, XN_FLAG_ONELINE & ~(unsigned long)XN_FLAG_SPC_EQ) >= 0)
        n = BIO_get_mem_data(out, &text);
    if (type == IPV4 && data.len == 4)
        (void)inet_ntop(AF_INET, data.data, buf, (socklen_t)cap);
    else if (type == IPV6 && data.len == 16)
        (void)inet_ntop(AF_INET6, data.data, buf, (socklen_t)cap);
    else
        (void)snprintf(buf, cap, "%.*s", n > 0 ? (int)n : (int)data.len,
                       n > 0 ? text : (const char *)data.data);
    for (char *p = buf; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    BIO_free(out);
    X509_NAME_free(name);
    return buf;
}

/* ---- patterns ---- */

struct cert_pattern {
    bool everyone, tail; /* tail: *text, anything but nothing before it */
    uint8_t type;
    size_t len;
    uint8_t text[CERT_MAX_NAME];
    size_t n_rdns;
    struct {
        int nid;
        bool any;
        char value[CERT_MAX_NAME + 1];
    } rdns[MOST_RDNS];
};

static bool refuse(char why[CERT_WHY_BYTES], const char *text, const char *what)
{
    (void)snprintf(why, CERT_WHY_BYTES, "'%.80s' %s", text, what);
    return false;
}

/* The next "CN=value" of a subject, up to a comma that no backslash stands before. */
static bool parse_rdn(struct cert_pattern *p, const char *whole, const char **at,
                      char why[CERT_WHY_BYTES])
{
    const char *s = *at + strspn(*at, " "), *equals = strchr(s, '=');
    char type[32], *value = p->rdns[p->n_rdns].value;
    size_t n = 0;

    if (equals == NULL || equals == s || (size_t)(equals - s) >= sizeof type)
        return refuse(why, whole, "is no subject: write C=DE, O=Example, CN=*");
    memcpy(type, s, (size_t)(equals - s));
    type[equals - s] = '\0';
    p->rdns[p->n_rdns].nid = OBJ_txt2nid(type);
    if (p->rdns[p->n_rdns].nid == NID_undef)
        return refuse(why, type,
                      "is no attribute of a subject: C, ST, L, O, OU, CN, emailAddress, ...");
    for (s = equals + 1 + strspn(equals + 1, " "); *s != '\0' && *s != ','; s++) {
        if (*s == '\\' && s[1] != '\0')
            s++;
        if (n == CERT_MAX_NAME)
            return refuse(why, whole, "is too long");
        value[n++] = *s;
    }
    while (n > 0 && value[n - 1] == ' ')
        n--;
    value[n] = '\0';
    p->rdns[p->n_rdns].any = strcmp(value, "*") == 0;
    if (n == 0 || (!p->rdns[p->n_rdns].any && strchr(value, '*') != NULL))
        return refuse(why, whole, "has a value that is neither whole nor just *");
    p->n_rdns++;
    *at = *s == ',' ? s + 1 : s;
    return true;
}

static bool parse_subject(struct cert_pattern *p, const char *text, char why[CERT_WHY_BYTES])
{
    const char *at = text;

    p->type = DER_DN;
    while (*at != '\0') {
        if (p->n_rdns == MOST_RDNS)
            return refuse(why, text, "has too many attributes");
        if (!parse_rdn(p, text, &at, why))
            return false;
    }
    return true;
}

static bool parse_name(struct cert_pattern *p, const char *text, char why[CERT_WHY_BYTES])
{
    const char *sign = strchr(text, '@');
    size_t n = strlen(text);

    if (inet_pton(AF_INET, text, p->text) == 1) {
        p->type = IPV4;
        p->len = 4;
        return true;
    }
    if (inet_pton(AF_INET6, text, p->text) == 1) {
        p->type = IPV6;
        p->len = 16;
        return true;
    }
    p->type = sign != NULL ? RFC822 : FQDN;
    p->tail = text[0] == '*' && (text[1] == '@' || text[1] == '.');
    text += p->tail ? 1 : 0;
    n -= p->tail ? 1 : 0;
    if (n == 0 || n > CERT_MAX_NAME || strchr(text, '*') != NULL || n < (p->tail ? 2u : 1u))
        return refuse(why, text,
                      "is no pattern: *, *@example.org, *.example.org, a whole name, an "
                      "address, or a subject with =");
    if (p->type == RFC822 && (!p->tail && (text[0] == '@' || strrchr(text, '@')[1] == '\0')))
        return refuse(why, text, "is not name@domain");
    memcpy(p->text, text, n);
    p->len = n;
    return true;
}

struct cert_pattern *cert_pattern_new(const char *text, char why[CERT_WHY_BYTES])
{
    struct cert_pattern *p = calloc(1, sizeof *p);
    bool ok;

    HF_ASSERT(p != NULL);
    p->everyone = strcmp(text, "*") == 0;
    ok = p->everyone ||
         (strchr(text, '=') != NULL ? parse_subject(p, text, why) : parse_name(p, text, why));
    if (ok)
        return p;
    free(p);
    return NULL;
}

void cert_pattern_free(struct cert_pattern *p)
{
    free(p);
}

static bool matches_subject(const struct cert_pattern *p, struct span id)
{
    X509_NAME *name = parse_dn(id);
    bool same = name != NULL && X509_NAME_entry_count(name) == (int)p->n_rdns;

    for (int i = 0; same && i < (int)p->n_rdns; i++) {
        const X509_NAME_ENTRY *e = X509_NAME_get_entry(name, i);
        uint8_t *utf8 = NULL;
        int n;

        same = OBJ_obj2nid(X509_NAME_ENTRY_get_object(e)) == p->rdns[i].nid;
        n = same ? ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(e)) : -1;
        same = n >= 0 &&
               (p->rdns[i].any || same_folded(span_of(utf8, (size_t)n),
                                              span_of(p->rdns[i].value, strlen(p->rdns[i].value))));
        OPENSSL_free(utf8);
    }
    X509_NAME_free(name);
    return same;
}

bool cert_pattern_matches(const struct cert_pattern *p, uint8_t type, struct span id)
{
    struct span tail = span_of(p->text, p->len);

    if (p->everyone)
        return true;
    if (p->type != type)
        return false;
    if (type == DER_DN)
        return matches_subject(p, id);
    if (!p->tail)
        return same_name(type, id, tail);
    return id.len > p->len && same_folded(span_of(id.data + (id.len - p->len), p->len), tail) &&
           (type != RFC822 || domain_at(id) == id.len - p->len + 1);
}
