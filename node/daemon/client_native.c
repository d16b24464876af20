/* Clients that come with their systems, and have words of their own: Windows, Apple's. */
#include <inttypes.h>

#include "daemon/client_profile.h"

#define END                                                                                        \
    {                                                                                              \
        0, 0, NULL                                                                                 \
    }

static bool refuse(const char *who, const char *what, const char *needs, char why[CLIENT_WHY_BYTES])
{
    (void)snprintf(why, CLIENT_WHY_BYTES,
                   "%s can do none of the gateway's %s proposals: add one such as %s to "
                   "gateway.proposals",
                   who, what, needs);
    return false;
}

/* ---- Windows (Set-VpnConnectionIPsecConfiguration) ---- */

static const struct client_word windows_encr[] = {
    {20, 256, "GCMAES256"}, {20, 128, "GCMAES128"}, {12, 256, "AES256"}, {12, 128, "AES128"}, END};
static const struct client_word windows_hash[] = {{5, 0, "SHA256"}, {6, 0, "SHA384"}, END};
static const struct client_word windows_integ[] = {{12, 0, "SHA256"}, {13, 0, "SHA384"}, END};
static const struct client_word windows_esp_integ[] = {{12, 0, "SHA256128"}, END};
static const struct client_word windows_ke[] = {
    {19, 0, "ECP256"}, {20, 0, "ECP384"}, {14, 0, "Group14"}, END};

static bool is(const char *a, const char *b)
{
    return a != NULL && strcmp(a, b) == 0;
}

bool client_write_windows(const struct client_facts *f, FILE *out, char why[CLIENT_WHY_BYTES])
{
    const struct client_words words = {windows_encr, windows_hash, windows_integ, windows_ke},
                              esp_words = {windows_encr, NULL, windows_esp_integ, windows_ke};
    struct client_chosen ike, esp;
    char text[64];

    if (f->shared_key) {
        (void)snprintf(why, CLIENT_WHY_BYTES,
                       "Windows has no shared keys for IKEv2: give %s a certificate (`holdfast pki "
                       "client`)",
                       f->identity);
        return false;
    }
    if (!client_choose_ike(f, &words, &ike) || (ike.integ != NULL && !is(ike.integ, ike.prf)))
        return refuse("Windows", "IKE", "aes256gcm16-prfsha384-ecp384", why);
    if (!client_choose_esp(f, &esp_words, ike.ke, &esp))
        return refuse("Windows", "ESP", "aes256gcm16", why);
    (void)fprintf(
        out,
        "# %s at %s, for Windows 10 and later. Made by holdfast of the gateway's own policy.\n"
        "# Needed before: %s's certificate with its key in the machine's store, and the gateway's "
        "CA among its roots.\n"
        "# Run in PowerShell by an administrator.\n"
        "$ErrorActionPreference = 'Stop'\n"
        "$name = '%s'\n"
        "Add-VpnConnection -Name $name -ServerAddress '%s' -TunnelType IKEv2 -AuthenticationMethod "
        "MachineCertificate "
        "-EncryptionLevel Required -SplitTunneling -AllUserConnection -Force\n"
        "Set-VpnConnectionIPsecConfiguration -ConnectionName $name -AllUserConnection "
        "-EncryptionMethod %s -IntegrityCheckMethod %s -DHGroup %s "
        "-CipherTransformConstants %s -AuthenticationTransformConstants %s -PfsGroup %s -Force\n",
        f->gateway, f->server, f->identity, f->gateway, f->server, ike.encr, ike.prf, ike.ke,
        esp.encr, esp.integ != NULL ? esp.integ : esp.encr,
        esp.ke == NULL          ? "None"
        : is(esp.ke, "Group14") ? "PFS2048"
                                : esp.ke);
    for (size_t i = 0; i < f->config->n_networks; i++)
        (void)fprintf(out,
                      "Add-VpnConnectionRoute -ConnectionName $name -DestinationPrefix '%s' "
                      "-AllUserConnection\n",
                      client_network(&f->config->networks[i], text));
    return true;
}

/* ---- iOS, macOS (com.apple.vpn.managed) ---- */

static const struct client_word apple_encr[] = {
    {20, 256, "AES-256-GCM"}, {20, 128, "AES-128-GCM"},    {12, 256, "AES-256"},
    {12, 128, "AES-128"},     {28, 0, "ChaCha20Poly1305"}, END};
static const struct client_word apple_hash[] = {
    {5, 0, "SHA2-256"}, {6, 0, "SHA2-384"}, {7, 0, "SHA2-512"}, END};
static const struct client_word apple_integ[] = {
    {12, 0, "SHA2-256"}, {13, 0, "SHA2-384"}, {14, 0, "SHA2-512"}, END};
static const struct client_word apple_ke[] = {
    {19, 0, "19"}, {20, 0, "20"}, {21, 0, "21"}, {31, 0, "31"},
    {14, 0, "14"}, {15, 0, "15"}, {16, 0, "16"}, END};

static uint64_t minutes(uint64_t s) /* 10 to 1440, as the payload takes them */
{
    uint64_t m = s / 60;

    return m < 10 ? 10 : m > 1440 ? 1440 : m;
}

static void put_parameters(FILE *out, const char *name, const struct client_chosen *chosen,
                           const char *hash, const char *group, uint64_t soft_s)
{
    (void)fprintf(out,
                  "        <key>%s</key>\n"
                  "        <dict>\n"
                  "          <key>EncryptionAlgorithm</key><string>%s</string>\n"
                  "          <key>IntegrityAlgorithm</key><string>%s</string>\n"
                  "          <key>DiffieHellmanGroup</key><integer>%s</integer>\n"
                  "          <key>LifeTimeInMinutes</key><integer>%" PRIu64 "</integer>\n"
                  "        </dict>\n",
                  name, chosen->encr, hash, group, minutes(soft_s));
}

static void put_payload_head(const struct client_facts *f, FILE *out, const char *type,
                             const char *part, const char *uuid, const char *indent)
{
    (void)fprintf(out,
                  "%s<key>PayloadType</key><string>%s</string>\n"
                  "%s<key>PayloadVersion</key><integer>1</integer>\n"
                  "%s<key>PayloadIdentifier</key><string>net.holdfast.%s.%s%s</string>\n"
                  "%s<key>PayloadUUID</key><string>%s</string>\n"
                  "%s<key>PayloadDisplayName</key><string>%s</string>\n",
                  indent, type, indent, indent, f->gateway, f->identity, part, indent, uuid, indent,
                  f->gateway);
}

static void put_vpn(const struct client_facts *f, FILE *out, const struct client_chosen *ike,
                    const struct client_chosen *esp)
{
    (void)fprintf(out,
                  "      <key>UserDefinedName</key><string>%s</string>\n"
                  "      <key>VPNType</key><string>IKEv2</string>\n"
                  "      <key>IKEv2</key>\n"
                  "      <dict>\n"
                  "        <key>RemoteAddress</key><string>%s</string>\n"
                  "        <key>RemoteIdentifier</key><string>%s</string>\n"
                  "        <key>LocalIdentifier</key><string>%s</string>\n"
                  "        <key>AuthenticationMethod</key><string>%s</string>\n"
                  "        <key>ExtendedAuthEnabled</key><integer>0</integer>\n"
                  "        <key>EnablePFS</key><integer>%d</integer>\n"
                  "        <key>DisableMOBIKE</key><integer>0</integer>\n",
                  f->gateway, f->server, f->gateway, f->identity,
                  f->shared_key ? "SharedSecret" : "Certificate", f->pfs ? 1 : 0);
    put_parameters(out, "IKESecurityAssociationParameters", ike, ike->prf, ike->ke, f->ike_soft_s);
    put_parameters(out, "ChildSecurityAssociationParameters", esp,
                   esp->integ != NULL ? esp->integ : ike->prf, esp->ke != NULL ? esp->ke : ike->ke,
                   f->child_soft_s);
    (void)fputs("      </dict>\n", out);
}

bool client_write_apple(const struct client_facts *f, FILE *out, char why[CLIENT_WHY_BYTES])
{
    const struct client_words words = {apple_encr, apple_hash, apple_integ, apple_ke};
    struct client_chosen ike, esp;
    char uuid[CLIENT_UUID_BYTES];

    if (!client_choose_ike(f, &words, &ike) || (ike.integ != NULL && !is(ike.integ, ike.prf)))
        return refuse("Apple's client", "IKE", "aes256gcm16-prfsha256-ecp256", why);
    if (!client_choose_esp(f, &words, ike.ke, &esp))
        return refuse("Apple's client", "ESP", "aes256gcm16", why);
    client_uuid(f, 1, uuid);
    (void)fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" "
                "\"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
                "<plist version=\"1.0\">\n"
                "<dict>\n"
                "  <key>PayloadContent</key>\n"
                "  <array>\n"
                "    <dict>\n",
                out);
    put_payload_head(f, out, "com.apple.vpn.managed", ".vpn", uuid, "      ");
    put_vpn(f, out, &ike, &esp);
    client_uuid(f, 0, uuid);
    (void)fputs("    </dict>\n"
                "  </array>\n",
                out);
    put_payload_head(f, out, "Configuration", "", uuid, "  ");
    (void)fputs("</dict>\n"
                "</plist>\n",
                out);
    return true;
}
