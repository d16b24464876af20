/* What a strongSwan of the lab reads: pure text. */
#include "swan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The plug-ins are those that Debian's own configuration loads and that this lab needs;
 * kernel-libipsec because the build machine's kernel has no ESP. The retransmission times are
 * shorter than the defaults so that a cell takes seconds; threads: each swanctl --initiate that waits
 * holds one, so many clients need more than the default. */
static const char strongswan_conf[] =
    "charon-systemd {\n"
    "  load = random nonce openssl pem x509 pkcs1 pkcs8 pubkey revocation constraints kdf hmac "
    "sha1 sha2 curve25519 gcm aes "
    "aesni chapoly eap-identity eap-mschapv2 eap-tls md5 gmp kernel-libipsec kernel-netlink "
    "socket-default updown vici attr\n"
    "%s"
    "  retransmit_timeout = 0.5\n"
    "  retransmit_base = %s\n"
    "  retransmit_tries = %u\n"
    "  retransmit_jitter = 0\n"
    "  plugins {\n"
    "    vici {\n"
    "      socket = %s\n"
    "    }\n"
    "    kernel-libipsec {\n"
    "      allow_peer_ts = yes\n"
    "    }\n"
    "  }\n"
    "  filelog {\n"
    "    stderr {\n"
    "      default = 1\n"
    "      time_format = %%b %%e %%T\n"
    "      time_precision = ms\n"
    "      ike_name = yes\n"
    "      flush_line = yes\n"
    "    }\n"
    "  }\n"
    "}\n";

static const char gateway_conf[] = "connections {\n"
                                   "  gw {\n"
                                   "    version = 2\n"
                                   "    local_addrs = 10.77.1.100\n"
                                   "    encap = yes\n"
                                   "    pools = p\n"
                                   "    proposals = aes256gcm16-prfsha256-x25519\n"
                                   "    local {\n"
                                   "      auth = psk\n"
                                   "      id = gw.holdfast.test\n"
                                   "    }\n"
                                   "    remote {\n"
                                   "      auth = psk\n"
                                   "    }\n"
                                   "    children {\n"
                                   "      net {\n"
                                   "        local_ts = 10.77.2.0/24\n"
                                   "        esp_proposals = aes256gcm16-x25519,aes256gcm16\n"
                                   "      }\n"
                                   "    }\n"
                                   "  }\n"
                                   "}\n"
                                   "pools {\n"
                                   "  p {\n"
                                   "    addrs = 10.99.0.0/24\n"
                                   "  }\n"
                                   "}\n"
                                   "secrets {\n"
                                   "  ike-1 {\n"
                                   "    id = client@holdfast.test\n"
                                   "    secret = \"lab secret, not one of yours\"\n"
                                   "  }\n"
                                   "}\n";

void swan_write_daemon(FILE *f, const char *uri, bool patient, bool many)
{
    (void)fprintf(f, strongswan_conf, many ? "  threads = 48\n" : "", patient ? "1.2" : "1.5",
                  patient ? 12u : 4u, uri);
}

void swan_write_gateway(FILE *f)
{
    (void)fputs(gateway_conf, f);
}

const char *swan_connection(unsigned client, char text[SWAN_NAME])
{
    (void)snprintf(text, SWAN_NAME, client == 1 ? "home" : "home-%u", client);
    return text;
}

bool swan_client_of(const char *connection, unsigned *client)
{
    char *end;
    unsigned long n;

    *client = 1;
    if (strcmp(connection, "home") == 0)
        return true;
    if (strncmp(connection, "home-", 5) != 0 || connection[5] < '0' || connection[5] > '9')
        return false;
    n = strtoul(connection + 5, &end, 10);
    *client = (unsigned)n;
    return *end == '\0' && n >= 2 && n <= LAB_MAX_CLIENTS;
}

const char *swan_child_name(unsigned client, char text[SWAN_NAME])
{
    (void)snprintf(text, SWAN_NAME, client == 1 ? "net" : "net-%u", client);
    return text;
}

const char *swan_identity(unsigned client, char text[SWAN_NAME])
{
    (void)snprintf(text, SWAN_NAME,
                   client == 1 ? "client@holdfast.test" : "client-%u@holdfast.test", client);
    return text;
}

/* "v4", "v6" or "v4,v6". */
static void both(FILE *f, const char *key, const char *v4, const char *v6,
                 const struct swan_options *o)
{
    (void)fprintf(f, "        %s = %s%s%s\n", key, o->inside_v4 ? v4 : "",
                  o->inside_v4 && o->inside_v6 ? "," : "", o->inside_v6 ? v6 : "");
}

static void write_connection(FILE *f, unsigned client, const struct swan_options *o)
{
    char name[SWAN_NAME], identity[SWAN_NAME], child[SWAN_NAME], here[LAB_ADDRESS_TEXT],
        there[LAB_ADDRESS_TEXT];
    unsigned shard = swan_shard(client, o->shards);

    (void)fprintf(f,
                  "  %s {\n"
                  "    version = 2\n"
                  "    local_addrs = %s\n"
                  "    remote_addrs = %s\n"
                  "    encap = yes\n"
                  "    dpd_delay = %us\n"
                  "%s"
                  "    proposals = aes256gcm16-prfsha256-x25519\n",
                  swan_connection(client, name), lab_address(LAB_CLIENT, o->outside_v6, here),
                  lab_address(LAB_VIP + shard - 1, o->outside_v6, there), o->dpd_s,
                  o->returns ? "    keyingtries = 0\n" : "");
    both(f, "vips", "0.0.0.0", "::", o);
    (void)fprintf(f,
                  "    local {\n"
                  "      auth = psk\n"
                  "      id = %s\n"
                  "    }\n"
                  "    remote {\n"
                  "      auth = psk\n"
                  "      id = gw.holdfast.test\n"
                  "    }\n"
                  "    children {\n"
                  "      %s {\n",
                  swan_identity(client, identity), swan_child_name(client, child));
    both(f, "remote_ts", "10.77.2.0/24", "fd77::a4d:200/120", o);
    (void)fprintf(f, "        esp_proposals = %s\n%s      }\n      pfs%s {\n",
                  o->pfs ? "aes256gcm16-x25519,aes256gcm16" : "aes256gcm16",
                  o->returns ? "        dpd_action = restart\n" : "",
                  swan_child_name(client, child) + 3);
    both(f, "remote_ts", "10.77.2.192/28", "fd77::a4d:2c0/124", o);
    (void)fprintf(f, "        esp_proposals = aes256gcm16-x25519,aes256gcm16\n"
                     "      }\n    }\n  }\n");
}

void swan_write_clients(FILE *f, const struct swan_options *o)
{
    (void)fputs("connections {\n", f);
    for (unsigned i = 1; i <= o->clients; i++)
        write_connection(f, i, o);
    (void)fputs("}\n"
                "secrets {\n"
                "  ike-1 {\n"
                "    id = gw.holdfast.test\n"
                "    secret = \"lab secret, not one of yours\"\n"
                "  }\n"
                "}\n",
                f);
}
