/* strongSwan's swanctl.conf, and what takes its words: the Android app's JSON, the NetworkManager plugin's keyfile. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#include "daemon/client_profile.h"

static void put_networks(const struct client_facts *f, FILE *out, const char *between)
{
    char text[64];

    for (size_t i = 0; i < f->config->n_networks; i++)
        (void)fprintf(out, "%s%s", i == 0 ? "" : between,
                      client_network(&f->config->networks[i], text));
}

static void put_auth(const struct client_facts *f, FILE *out)
{
    const char *how = f->shared_key ? "psk" : "pubkey";

    (void)fprintf(out,
                  "    local {\n"
                  "      auth = %s\n"
                  "      id = %s\n",
                  how, f->identity);
    if (!f->shared_key)
        (void)fprintf(out, "      certs = %s.pem\n", f->identity);
    (void)fprintf(out,
                  "    }\n"
                  "    remote {\n"
                  "      auth = %s\n"
                  "      id = %s\n"
                  "    }\n",
                  how, f->gateway);
}

static void put_child(const struct client_facts *f, FILE *out)
{
    (void)fputs("    children {\n"
                "      net {\n"
                "        remote_ts = ",
                out);
    put_networks(f, out, ", ");
    (void)fputs("\n        esp_proposals = ", out);
    client_put_esp(f, out, ", ");
    (void)fprintf(out,
                  "\n"
                  "        rekey_time = %" PRIu64 "s\n"
                  "        life_time = %" PRIu64 "s\n"
                  "        dpd_action = restart\n"
                  "      }\n"
                  "    }\n",
                  f->child_soft_s, f->child_hard_s);
}

bool client_write_swanctl(const struct client_facts *f, FILE *out, char why[CLIENT_WHY_BYTES])
{
    const struct config *c = f->config;

    (void)why; /* it has words for all that the gateway has */
    (void)fprintf(
        out,
        "# %s at %s, for strongSwan: /etc/swanctl/conf.d/%s.conf. Made by holdfast of the "
        "gateway's own policy.\n"
        "# Needed beside it, as root and mode 0600: %s\n"
        "# Then: swanctl --load-all; swanctl --initiate --child net\n"
        "connections {\n"
        "  holdfast {\n"
        "    version = 2\n"
        "    remote_addrs = %s\n"
        "    vips = %s%s%s\n",
        f->gateway, f->server, f->gateway,
        f->shared_key
            ? "the shared key, in a section secrets { ike-1 { id = ... secret = ... } }"
            : "the certificate in x509/, its key in private/, the gateway's CA in x509ca/",
        f->server, f->v4 ? "0.0.0.0" : "", f->v4 && f->v6 ? ", " : "", f->v6 ? "::" : "");
    if (c->force_encapsulation)
        (void)fputs("    encap = yes\n", out);
    (void)fputs("    proposals = ", out);
    client_put_ike(f, out, ", ");
    (void)fprintf(out,
                  "\n"
                  "    rekey_time = %" PRIu64 "s\n"
                  "    over_time = %" PRIu64 "s\n",
                  f->ike_soft_s, f->ike_hard_s - f->ike_soft_s);
    if (c->dpd_ms != 0)
        (void)fprintf(out, "    dpd_delay = %" PRIu32 "s\n", (c->dpd_ms + 999) / 1000);
    put_auth(f, out);
    put_child(f, out);
    (void)fputs("  }\n}\n", out);
    return true;
}

/* ---- the Android app ---- */

static json_t *proposals(const struct client_facts *f,
                         void (*put)(const struct client_facts *f, FILE *out, const char *between))
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    json_t *value;

    HF_ASSERT(out != NULL);
    put(f, out, ",");
    (void)fclose(out);
    HF_ASSERT(text != NULL);
    value = json_string(text);
    free(text);
    return value;
}

bool client_write_android(const struct client_facts *f, FILE *out, char why[CLIENT_WHY_BYTES])
{
    json_t *profile, *subnets;
    char text[64], uuid[CLIENT_UUID_BYTES];

    if (f->shared_key) {
        (void)snprintf(why, CLIENT_WHY_BYTES,
                       "strongSwan's app has no shared keys: give %s a certificate (`holdfast pki "
                       "client`)",
                       f->identity);
        return false;
    }
    client_uuid(f, 0, uuid);
    subnets = json_array();
    for (size_t i = 0; i < f->config->n_networks; i++)
        json_array_append_new(subnets, json_string(client_network(&f->config->networks[i], text)));
    profile = json_pack("{s:s,s:s,s:s,s:{s:s,s:s},s:{s:s},s:o,s:o,s:{s:o}}", "uuid", uuid, "name",
                        f->gateway, "type", "ikev2-cert", "remote", "addr", f->server, "id",
                        f->gateway, "local", "id", f->identity, "ike-proposal",
                        proposals(f, client_put_ike), "esp-proposal", proposals(f, client_put_esp),
                        "split-tunneling", "subnets", subnets);
    HF_ASSERT(profile != NULL);
    (void)json_dumpf(profile, out, JSON_INDENT(2)); /* into memory */
    (void)fputc('\n', out);
    json_decref(profile);
    return true;
}

/* ---- NetworkManager ---- */

bool client_write_networkmanager(const struct client_facts *f, FILE *out,
                                 char why[CLIENT_WHY_BYTES])
{
    char uuid[CLIENT_UUID_BYTES];

    if (f->shared_key) {
        (void)snprintf(why, CLIENT_WHY_BYTES,
                       "NetworkManager's plugin takes shared keys of 20 characters and more only "
                       "when they are typed: make %s a certificate (`holdfast pki client`)",
                       f->identity);
        return false;
    }
    client_uuid(f, 0, uuid);
    (void)fprintf(out,
                  "# %s at %s, for NetworkManager's strongSwan plugin: "
                  "/etc/NetworkManager/system-connections/%s.nmconnection,\n"
                  "# mode 0600. Needed beside it: the gateway's CA, the client's certificate and "
                  "key at the paths below.\n"
                  "[connection]\n"
                  "id=%s\n"
                  "uuid=%s\n"
                  "type=vpn\n"
                  "autoconnect=false\n"
                  "\n"
                  "[vpn]\n"
                  "service-type=org.freedesktop.NetworkManager.strongswan\n"
                  "address=%s\n"
                  "method=key\n"
                  "certificate=/etc/holdfast/client/ca.pem\n"
                  "usercert=/etc/holdfast/client/%s.pem\n"
                  "userkey=/etc/holdfast/client/%s.key\n"
                  "local-identity=%s\n"
                  "remote-identity=%s\n"
                  "virtual=yes\n"
                  "encap=%s\n"
                  "proposal=yes\n"
                  "ike=",
                  f->gateway, f->server, f->gateway, f->gateway, uuid, f->server, f->identity,
                  f->identity, f->identity, f->gateway,
                  f->config->force_encapsulation ? "yes" : "no");
    client_put_ike(f, out, ";");
    (void)fputs("\nesp=", out);
    client_put_esp(f, out, ";");
    (void)fputs("\nremote-ts=", out);
    put_networks(f, out, ";");
    (void)fputs("\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n", out);
    return true;
}
