#include "swan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The plug-ins are those that Debian's own configuration loads and that this lab needs;
 * kernel-libipsec because the build machine's kernel has no ESP. The retransmission times are
 * shorter than the defaults so that a cell takes seconds. */
static const char strongswan_conf[] =
    "charon-systemd {\n"
    "  load = random nonce openssl pem x509 pkcs1 pkcs8 pubkey revocation constraints kdf hmac "
    "sha1 sha2 curve25519 gcm aes "
    "aesni chapoly eap-identity eap-mschapv2 eap-tls md5 gmp kernel-libipsec kernel-netlink "
    "socket-default updown vici attr\n"
    "  retransmit_timeout = 0.5\n"
    "  retransmit_base = 1.5\n"
    "  retransmit_tries = 4\n"
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

static const char client_conf[] = "connections {\n"
                                  "  home {\n"
                                  "    version = 2\n"
                                  "    local_addrs = 10.77.1.50\n"
                                  "    remote_addrs = 10.77.1.100\n"
                                  "    vips = 0.0.0.0\n"
                                  "    encap = yes\n"
                                  "    dpd_delay = %us\n"
                                  "    proposals = aes256gcm16-prfsha256-x25519\n"
                                  "    local {\n"
                                  "      auth = psk\n"
                                  "      id = client@holdfast.test\n"
                                  "    }\n"
                                  "    remote {\n"
                                  "      auth = psk\n"
                                  "      id = gw.holdfast.test\n"
                                  "    }\n"
                                  "    children {\n"
                                  "      net {\n"
                                  "        remote_ts = 10.77.2.0/24\n"
                                  "        esp_proposals = %s\n"
                                  "      }\n"
                                  "      pfs {\n"
                                  "        remote_ts = 10.77.2.192/28\n"
                                  "        esp_proposals = aes256gcm16-x25519,aes256gcm16\n"
                                  "      }\n"
                                  "    }\n"
                                  "  }\n"
                                  "}\n"
                                  "secrets {\n"
                                  "  ike-1 {\n"
                                  "    id = gw.holdfast.test\n"
                                  "    secret = \"lab secret, not one of yours\"\n"
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

static bool save(struct swan *s, const char *name, const char *text)
{
    char path[160];
    FILE *f;
    bool ok;

    (void)snprintf(path, sizeof path, "%s/%s", s->dir, name);
    f = fopen(path, "we");
    if (!f)
        return lab_fail(s->lab, "%s: %s", path, strerror(errno));
    ok = fputs(text, f) >= 0;
    ok = fclose(f) == 0 && ok;
    return ok || lab_fail(s->lab, "%s: %s", path, strerror(errno));
}

static void took_line(void *arg, const char *line)
{
    struct swan *s = arg;

    swan_log_line(&s->log, line);
}

bool swan_start(struct swan *s, struct chaos_lab *lab, enum lab_place place, const char *name,
                const struct swan_options *options)
{
    static const char *const argv[] = {"charon-systemd", NULL};
    const char *env[] = {s->env, NULL};
    char text[4096];

    *s = (struct swan){.lab = lab, .place = place};
    (void)snprintf(s->proc.name, sizeof s->proc.name, "%s", name);
    s->proc.line = took_line;
    s->proc.arg = s;
    (void)snprintf(s->dir, sizeof s->dir, "%s/%s", lab->dir, name);
    (void)snprintf(s->uri, sizeof s->uri, "unix://%s/charon.vici", s->dir);
    (void)snprintf(s->env, sizeof s->env, "STRONGSWAN_CONF=%s/strongswan.conf", s->dir);
    if (mkdir(s->dir, 0700) != 0)
        return lab_fail(lab, "%s: %s", s->dir, strerror(errno));
    (void)snprintf(text, sizeof text, strongswan_conf, s->uri);
    if (!save(s, "strongswan.conf", text))
        return false;
    if (options->gateway)
        (void)snprintf(text, sizeof text, "%s", gateway_conf);
    else
        (void)snprintf(text, sizeof text, client_conf, options->dpd_s,
                       options->pfs ? "aes256gcm16-x25519,aes256gcm16" : "aes256gcm16");
    if (!save(s, "swanctl.conf", text))
        return false;
    return proc_start(
        lab, &s->proc,
        &(struct chaos_spawn){.place = place, .argv = argv, .env = env, .step_fd = -1});
}

static bool is_ready(void *arg)
{
    const struct swan *s = arg;

    return s->log.ready || s->proc.ended;
}

bool swan_load(struct swan *s)
{
    char file[160];

    if (!lab_until(s->lab, is_ready, s, 5000) || s->proc.ended)
        return lab_fail(s->lab, "%s: charon-systemd did not start: %.300s", s->proc.name,
                        s->proc.log ? s->proc.log : "");
    (void)snprintf(file, sizeof file, "%s/swanctl.conf", s->dir);
    return swan_ctl(s, 5000, "--load-all", "--file", file);
}

bool swan_ctl(struct swan *s, unsigned ms, const char *a, const char *b, const char *c)
{
    const char *argv[8] = {"swanctl", a};
    size_t n = 2;

    if (b)
        argv[n++] = b;
    if (b && c)
        argv[n++] = c;
    argv[n++] = "--uri";
    argv[n++] = s->uri;
    argv[n] = NULL;
    return proc_run(s->lab, &(struct chaos_spawn){.place = s->place, .argv = argv, .step_fd = -1},
                    ms, false, NULL);
}

bool swan_list(struct swan *s, unsigned ms, struct swan_sas *sas)
{
    const char *argv[] = {"swanctl", "--list-sas", "--raw", "--uri", s->uri, NULL};
    char *text;
    bool ok =
        proc_run(s->lab, &(struct chaos_spawn){.place = s->place, .argv = argv, .step_fd = -1}, ms,
                 false, &text);

    if (ok && !(text && swan_sas_parse(text, sas)))
        ok = lab_fail(s->lab, "swanctl --list-sas: not understood: %.300s", text ? text : "");
    free(text);
    return ok;
}
