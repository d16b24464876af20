#include "arguments.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

void initiator_fail(const char *text)
{
    (void)fprintf(stderr, "holdfast-initiator: %s\n", text);
    exit(1);
}

static struct ip_addr parse_ip(const char *text)
{
    struct ip_addr a = {.family = strchr(text, ':') != NULL ? ADDR_V6 : ADDR_V4};

    if (inet_pton(a.family == ADDR_V6 ? AF_INET6 : AF_INET, text, a.bytes) != 1)
        initiator_fail("not an IP address");
    return a;
}

static void parse_identity(struct ike_identity *id, const char *text)
{
    if (text[0] == '\0' || strlen(text) > IKE_MAX_ID_BYTES)
        initiator_fail("an identity is empty or too long");
    *id = test_policy_identity(strchr(text, '@') != NULL ? 3 : 2, text);
}

static void read_psk(struct secret *psk, const char *path)
{
    char text[SECRET_MAX_BYTES + 2];
    FILE *f = fopen(path, "r");

    if (f == NULL || fgets(text, sizeof text, f) == NULL)
        initiator_fail("cannot read the PSK file");
    (void)fclose(f);
    text[strcspn(text, "\r\n")] = '\0';
    secret_set(psk, text, strlen(text));
}

static void parse_network(struct initiator_arguments *in, char *text)
{
    char *slash = strchr(text, '/');

    if (slash == NULL)
        initiator_fail("--network is ADDRESS/BITS");
    if (in->n_networks == sizeof in->networks / sizeof in->networks[0])
        initiator_fail("too many networks");
    *slash = '\0';
    in->networks[in->n_networks++] = (struct netlink_prefix){
        .ip = parse_ip(text), .length = (uint8_t)strtoul(slash + 1, NULL, 10)};
}

/* A client that is in a hurry; any network behind the gateway. */
static void defaults(struct initiator_arguments *in, bool esn)
{
    struct ike_policy *p = &in->policy;

    test_policy_init(p);
    p->psks = &in->psk;
    p->n_psks = 1;
    p->esp[0].esn = p->esp[1].esn = esn;
    p->local_ts[0] = (struct ike_ts){0, 0, 65535, addr_v4(0), addr_v4(UINT32_MAX)};
    p->pfs = IKE_PFS_NEVER;
    p->retransmit_first_ms = 500;
    p->retransmit_factor_milli = 1500;
    p->retransmit_tries = 6;
    p->linger_ms = 2000;
    p->request_address = true;
}

/* An ESP cipher in the configuration's words. */
static void parse_esp(struct ike_policy *policy, const char *text)
{
    static const struct {
        const char *word;
        uint16_t encr, bits, integ;
    } ciphers[] = {{"aes256gcm16", 20, 256, 0},    {"aes128gcm16", 20, 128, 0},
                   {"chacha20poly1305", 28, 0, 0}, {"aes256-sha256", 12, 256, 12},
                   {"aes128-sha256", 12, 128, 12}, {"aes256-sha384", 12, 256, 13},
                   {"aes128-sha384", 12, 128, 13}, {"aes256-sha512", 12, 256, 14},
                   {"aes128-sha512", 12, 128, 14}};

    for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++)
        for (size_t r = 0; strcmp(ciphers[i].word, text) == 0 && r < policy->n_esp; r++) {
            policy->esp[r].encr_id = ciphers[i].encr;
            policy->esp[r].encr_bits = ciphers[i].bits;
            policy->esp[r].integ_id = ciphers[i].integ;
            if (r + 1 == policy->n_esp)
                return;
        }
    initiator_fail("--esp: no such cipher");
}

/* SOFT:HARD, of CHILD SAs. */
static void parse_bytes(struct ike_lifetime *life, const char *text)
{
    char *rest;

    life->soft_bytes = strtoull(text, &rest, 10);
    if (*rest != ':' || (life->hard_bytes = strtoull(rest + 1, NULL, 10)) <= life->soft_bytes)
        initiator_fail("--bytes is SOFT:HARD");
}

static uint16_t key_bits(const char *text)
{
    return strcmp(text, "128") == 0 ? 128 : 256;
}

void initiator_arguments(int argc, char **argv, struct initiator_arguments *in)
{
    static const struct option options[] = {{"local", required_argument, NULL, 'l'},
                                            {"remote", required_argument, NULL, 'r'},
                                            {"id", required_argument, NULL, 'i'},
                                            {"gateway-id", required_argument, NULL, 'g'},
                                            {"psk", required_argument, NULL, 'p'},
                                            {"tun", required_argument, NULL, 't'},
                                            {"network", required_argument, NULL, 'n'},
                                            {"esn", no_argument, NULL, 'e'},
                                            {"ike-bits", required_argument, NULL, 'b'},
                                            {"esp-bits", required_argument, NULL, 's'},
                                            {"no-force", no_argument, NULL, 'f'},
                                            {"keepalive-ms", required_argument, NULL, 'k'},
                                            {"address", required_argument, NULL, 'a'},
                                            {"esp", required_argument, NULL, 'c'},
                                            {"bytes", required_argument, NULL, 'y'},
                                            {"dpd-ms", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    bool esn = false;
    int c;

    *in = (struct initiator_arguments){.tun = "hfi0"};
    in->local.port = in->remote.port = 500;
    for (int i = 1; i < argc; i++)
        esn = esn || strcmp(argv[i], "--esn") == 0;
    defaults(in, esn);
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'l':
            in->local.ip = parse_ip(optarg);
            break;
        case 'r':
            in->remote.ip = parse_ip(optarg);
            break;
        case 'i':
            parse_identity(&in->policy.local_id, optarg);
            break;
        case 'g':
            parse_identity(&in->psk.remote, optarg);
            break;
        case 'p':
            read_psk(&in->psk.psk, optarg);
            break;
        case 't':
            in->tun = optarg;
            break;
        case 'n':
            parse_network(in, optarg);
            break;
        case 'e':
            break;
        case 'b': /* to offer what a gateway does not take */
            in->policy.ike[0].encr_bits = key_bits(optarg);
            break;
        case 's':
            in->policy.esp[0].encr_bits = in->policy.esp[1].encr_bits = key_bits(optarg);
            break;
        case 'c':
            parse_esp(&in->policy, optarg);
            break;
        case 'k':
            in->policy.keepalive_ms = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'd': /* 0 = it never asks whether the gateway lives */
            in->policy.dpd_ms = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'a': /* 4, 6 or both */
            in->policy.request_address = strcmp(optarg, "6") != 0;
            in->policy.request_address6 = strcmp(optarg, "4") != 0;
            break;
        case 'y':
            parse_bytes(&in->policy.child_life, optarg);
            break;
        case 'f':
            in->policy.force_encap = false;
            break;
        default:
            initiator_fail("unknown option");
        }
    }
    if (in->local.ip.family == ADDR_NONE || in->remote.ip.family == ADDR_NONE ||
        in->psk.psk.len == 0 || in->policy.local_id.len == 0 || in->psk.remote.len == 0 ||
        in->n_networks == 0)
        initiator_fail("--local, --remote, --id, --gateway-id, --psk and --network are needed");
}
