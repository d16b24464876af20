/* Values that have names of their own: addresses, endpoints, networks, identities (RFC 7296 3.5).
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "config/internal.h"

static bool parse_ip(const char *text, struct ip_addr *ip)
{
    struct ip_addr a = {0};

    if (inet_pton(AF_INET, text, a.bytes) == 1) {
        a.family = ADDR_V4;
    } else if (inet_pton(AF_INET6, text, a.bytes) == 1) {
        a.family = ADDR_V6;
    } else {
        return false;
    }
    *ip = a;
    return true;
}

static bool is_usable(const struct ip_addr *ip)
{
    static const uint8_t zero[16], mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    if (memcmp(ip->bytes, zero, addr_len(ip)) == 0) {
        return false;
    }
    if (ip->family == ADDR_V4) {
        return ip->bytes[0] < 224;
    }
    /* Multicast, link-local (which needs an interface beside it), and a second name of IPv4. */
    return ip->bytes[0] != 0xff && !(ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80) &&
           memcmp(ip->bytes, mapped, sizeof mapped) != 0;
}

static bool take_ip(const char *text, struct ip_addr *ip, char why[WHY_BYTES])
{
    if (!parse_ip(text, ip)) {
        (void)snprintf(why, WHY_BYTES, "'%.60s' is not an IP address%s", text,
                       strchr(text, '/') != NULL ? ": leave the /length out"
                                                 : ", such as 192.0.2.1");
        return false;
    }
    if (!is_usable(ip)) {
        (void)snprintf(why, WHY_BYTES, "%.60s cannot be the address of one machine", text);
        return false;
    }
    return true;
}

static bool parse_address(const struct schema_field *field, const char *text, void *at,
                          char why[WHY_BYTES])
{
    struct ip_addr ip;

    (void)field;
    if (!take_ip(text, &ip, why)) {
        return false;
    }
    memcpy(at, &ip, sizeof ip);
    return true;
}

/* RFC 3986 3.2.2: IPv6 stands in brackets where a port follows. In place. */
static const char *unbracketed(char *text)
{
    size_t n = strlen(text);

    if (n < 2 || text[0] != '[' || text[n - 1] != ']') {
        return text;
    }
    text[n - 1] = '\0';
    return text + 1;
}

static bool parse_endpoint(const struct schema_field *field, const char *text, void *at,
                           char why[WHY_BYTES])
{
    const char *colon = strrchr(text, ':');
    struct endpoint e = {0};
    unsigned long port = 0;
    char ip[64];

    (void)field;
    if (colon == NULL || colon[1] == '\0' || strlen(colon + 1) > 5 ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        (size_t)(colon - text) >= sizeof ip || (port = strtoul(colon + 1, NULL, 10)) == 0 ||
        port > 65535) {
        (void)snprintf(
            why, WHY_BYTES,
            "'%.60s' is not an address and a port from 1 to 65535, such as 192.0.2.1:7400", text);
        return false;
    }
    memcpy(ip, text, (size_t)(colon - text));
    ip[colon - text] = '\0';
    if (!take_ip(unbracketed(ip), &e.ip, why)) {
        return false;
    }
    if ((e.ip.family == ADDR_V6) != (text[0] == '[')) {
        (void)snprintf(why, WHY_BYTES,
                       "'%.60s': only an IPv6 address stands in brackets, such as "
                       "[2001:db8::1]:7400, and it must",
                       text);
        return false;
    }
    e.port = (uint16_t)port;
    memcpy(at, &e, sizeof e);
    return true;
}

static bool parse_prefix(const struct schema_field *field, const char *text, void *at,
                         char why[WHY_BYTES])
{
    const char *slash = strchr(text, '/');
    struct ip_prefix p = {0};
    unsigned long bits = 0;
    char ip[64], right[72];
    struct ip_addr first;

    (void)field;
    if (slash == NULL || (size_t)(slash - text) >= sizeof ip || slash[1] == '\0' ||
        strlen(slash + 1) > 3 || strspn(slash + 1, "0123456789") != strlen(slash + 1)) {
        (void)snprintf(why, WHY_BYTES,
                       "'%.60s' is not a network: address/length, such as 192.0.2.0/24", text);
        return false;
    }
    memcpy(ip, text, (size_t)(slash - text));
    ip[slash - text] = '\0';
    bits = strtoul(slash + 1, NULL, 10);
    if (!parse_ip(ip, &p.ip)) {
        (void)snprintf(why, WHY_BYTES, "'%.60s' is not an IP address", ip);
        return false;
    }
    if (bits > 8 * addr_len(&p.ip)) {
        (void)snprintf(why, WHY_BYTES, "the length /%lu is out of range: 0 to %zu", bits,
                       8 * addr_len(&p.ip));
        return false;
    }
    p.bits = (uint8_t)bits;
    first = prefix_first(&p);
    if (!addr_equal(&first, &p.ip)) {
        p.ip = first;
        (void)snprintf(why, WHY_BYTES, "%.60s has bits set beyond its length: write %s", text,
                       prefix_text(&p, right));
        return false;
    }
    memcpy(at, &p, sizeof p);
    return true;
}

/* The type follows from the form: an address, name@domain, or a domain name. */
static bool parse_identity(const struct schema_field *field, const char *text, void *at,
                           char why[WHY_BYTES])
{
    struct ike_identity id = {0};
    const char *sign = strchr(text, '@');
    size_t len = strlen(text);
    struct ip_addr ip;

    (void)field;
    if (parse_ip(text, &ip)) {
        id.type = ip.family == ADDR_V4 ? 1 : 5;
        id.len = (uint8_t)addr_len(&ip);
        memcpy(id.bytes, ip.bytes, id.len);
        memcpy(at, &id, sizeof id);
        return true;
    }
    if (len == 0 || len > IKE_MAX_ID_BYTES) {
        (void)snprintf(why, WHY_BYTES, "an identity has 1 to %d bytes", IKE_MAX_ID_BYTES);
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] <= 0x20 || (unsigned char)text[i] >= 0x7f) {
            (void)snprintf(why, WHY_BYTES,
                           "'%.60s' has a blank or a character beyond ASCII in it: an identity is "
                           "name@domain, a domain name or an IP address",
                           text);
            return false;
        }
    }
    if (sign == text || (sign != NULL && (sign[1] == '\0' || strchr(sign + 1, '@') != NULL))) {
        (void)snprintf(why, WHY_BYTES, "'%.60s' is not name@domain", text);
        return false;
    }
    id.type = sign != NULL ? 3 : 2;
    id.len = (uint8_t)len;
    memcpy(id.bytes, text, len);
    memcpy(at, &id, sizeof id);
    return true;
}

const char *identity_text(const struct ike_identity *identity, char buf[IKE_MAX_ID_BYTES + 1])
{
    struct ip_addr ip = {0};

    if (identity->type == 1 || identity->type == 5) {
        ip.family = identity->type == 1 ? ADDR_V4 : ADDR_V6;
        memcpy(ip.bytes, identity->bytes, addr_len(&ip));
        return addr_text(&ip, buf);
    }
    (void)snprintf(buf, IKE_MAX_ID_BYTES + 1, "%.*s", (int)identity->len,
                   (const char *)identity->bytes);
    return buf;
}

const struct value_type value_address = {"an IP address", false, "192.0.2.10", parse_address};
const struct value_type value_endpoint = {"an address and a port", false, "192.0.2.1:7400",
                                          parse_endpoint};
const struct value_type value_prefix = {"a network", false, "10.99.0.0/24", parse_prefix};
const struct value_type value_identity = {"an identity", false, "gw.example.org", parse_identity};
