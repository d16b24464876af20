/* Every mistake is found, at its line and column, and says what to write instead. Each row alters
 * the sample at one place and names the one complete message that must come of it. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "config/config.h"
#include "unit/config/sample.h"

struct row {
    const char *find, *put; /* find NULL: put is the whole file */
    const char *message;    /* behind "t.yaml:" */
};

static const struct row rows[] = {
    /* YAML itself */
    {"node: {", "node: [", "1:40: not YAML: mismatched flow mapping end"},
    {NULL, "- a\n- b\n",
     "1:1: a configuration is a map of keys: node, interfaces, shards, gateway, auth"},
    {"log: { level: debug }", "log: { level: debug }\n---\nx: 1",
     "35:1: a second document begins here: one file holds one document"},
    {"dpd: 10s", "dpd: &a 10s", "21:8: anchors are not supported: write the value out"},
    {"dpd: 10s", "dpd: !!str 10s", "21:8: tags are not supported: leave the tag out"},
    {"dpd: 10s", "dpd: 10s\n  dpd: 11s",
     "22:3: the key 'dpd' stands here a second time (first at line 21)"},
    {"dpd: 10s", "dpd: [[[[[[[[[[[[[1]]]]]]]]]]]]]", "21:18: nested too deep"},
    {"dpd: 10s", "dpd: 10s\n%YAML 1.1",
     "22:1: YAML directives are not supported: leave the line out"},
    {"dpd: 10s", "dpd: 10s\x01", "21:11: the character U+0001 is not allowed"},
    {"dpd: 10s", "dpd: \xc3\xa9\xe2\x80\xa8", "21:9: the character U+2028 is not allowed"},
    {"dpd: 10s", "dpd: \xff\xfe", "21:8: the byte 0xff is not UTF-8"},
    {"dpd: 10s", "dpd: \xc0\xaf", "21:8: the byte 0xc0 is not UTF-8"},
    /* keys */
    {"drills: enabled", "drils: enabled", "33:1: unknown key 'drils': did you mean 'drills'?"},
    {"  dpd: 10s", "  ddp: 10s", "21:3: unknown key 'ddp': did you mean 'dpd'?"},
    {"  pfs: {", "  dpd: 3s\n  pfs: {", "27:3: unknown key 'dpd': it belongs under 'ike'"},
    {"log: { level", "log: { colour", "34:8: unknown key 'colour' (known here: level)"},
    {"id: 1, data", "data",
     "1:1: the key 'id' is missing under 'node': a whole number, 1 to 65535"},
    {", data: /var/lib/holdfast", "",
     "1:1: the key 'data' is missing under 'node': an absolute path, such as /var/lib/holdfast"},
    {"outside: out0, ", "",
     "9:1: the key 'outside' is missing under 'interfaces': an interface's name, such as eth0"},
    {", inside: 10.77.2.100", "",
     "11:5: the key 'inside' is missing: an IP address, such as 192.0.2.10"},
    {", address: 10.77.2.2:7400", "",
     "6:7: the key 'address' is missing: an address and a port, such as 192.0.2.1:7400"},
    {"  identity: gw.holdfast.test\n", "",
     "12:1: the key 'identity' is missing under 'gateway': an identity, such as gw.example.org"},
    {"  networks: [10.77.2.0/24]\n", "",
     "12:1: the key 'networks' is missing under 'gateway': a list of 1 to 4, each a network, such "
     "as "
     "10.99.0.0/24"},
    {", secret_file: other.psk", "",
     "31:7: the key 'secret_file' is missing: a path, such as client.psk"},
    {"{ every: 3 }", "{ }",
     "27:3: the key 'every' is missing under 'pfs': a whole number, 1 to 1000"},
    {", pool: 10.99.0.0/24", "",
     "11:5: the key 'pool' is missing: a network, such as 10.99.0.0/24"},
    {"interfaces: { outside: out0, inside: in0, tun: hf7 }\n", "",
     "1:1: the key 'interfaces' is missing (a section; see the examples in deploy/config)"},
    /* shapes */
    {"{ outside: out0, inside: in0, tun: hf7 }", "out0",
     "9:13: 'interfaces' must be a map of keys, not a single value"},
    {"[10.77.2.0/24]", "10.77.2.0/24",
     "14:13: 'networks' must be a list, not a single value: write [ ... ] or lines that begin with "
     "-"},
    {"[10.77.2.0/24]", "[]", "14:13: 'networks' has 0 entries; 1 to 4 are allowed"},
    {"[10.77.2.10]", "[10.77.2.10, 10.77.2.11, 10.77.2.12]",
     "15:8: 'dns' has 3 entries; 1 to 2 are allowed"},
    {"data: /var/lib/holdfast", "data: [a]", "1:22: 'data' must be an absolute path, not a list"},
    {"    - { id: 2, address: 10.77.2.2:7400 }", "    - 2",
     "6:7: an entry of 'nodes' must be a map, not a single value"},
    {"dpd: 10s", "dpd:", "21:3: 'dpd' has no value: a duration such as 30s is expected"},
    {"{ every: 3 }", "[3]", "27:8: 'pfs' must be never, always or { every: N }, not a list"},
    {"{ every: 3 }", "every 3",
     "27:8: 'pfs': write { every: N } with a number, such as { every: 3 }"},
    {"{ every: 3 }", "allways",
     "27:8: 'pfs': 'allways' is not one of never, always (did you mean always?)"},
    {"{ every: 3 }", "{ every: 0 }", "27:17: 'every': 0 is out of range: 1 to 1000"},
    /* values */
    {"{ id: 1, data", "{ id: 0, data", "1:13: 'id': 0 is out of range: 1 to 65535"},
    {"{ id: 1, data", "{ id: 70000, data", "1:13: 'id': 70000 is out of range: 1 to 65535"},
    {"{ id: 1, data", "{ id: -1, data", "1:13: 'id': '-1' is not a whole number"},
    {"{ id: 1, data", "{ id: one, data", "1:13: 'id': 'one' is not a whole number"},
    {"{ id: 1, data", "{ id: 99999999999999999999, data",
     "1:13: 'id': '99999999999999999999' is not a whole number"},
    {"{ id: 1, data", "{ id: '1', data", "1:13: 'id' must be a whole number: leave the quotes out"},
    {"data: /var", "data: var",
     "1:22: 'data': 'var/lib/holdfast' must be an absolute path: begin it with /"},
    {"force_encapsulation: false", "force_encapsulation: yes",
     "17:24: 'force_encapsulation': 'yes' is neither true nor false: write true"},
    {"force_encapsulation: false", "force_encapsulation: maybe",
     "17:24: 'force_encapsulation': 'maybe' is neither true nor false"},
    {"dpd: 10s", "dpd: 10",
     "21:8: 'dpd': a duration needs a unit: 10s, or 10ms (known: ms, s, m, h, d)"},
    {"dpd: 10s", "dpd: 10 seconds",
     "21:8: 'dpd': '10 seconds' is not a duration: a whole number and a unit, such as 30s (known: "
     "ms, s, m, h, d)"},
    {"dpd: 10s", "dpd: 2h", "21:8: 'dpd': 2h is out of range: 0ms to 1h"},
    {"dpd: 10s", "dpd: 999999999999999999d",
     "21:8: 'dpd': '999999999999999999d' is not a duration: a whole number and a unit, such as 30s "
     "(known: ms, s, m, h, d)"},
    {"rekey_at: 60%", "rekey_at: 60", "19:35: 'rekey_at': a share needs its sign: 60%"},
    {"rekey_at: 60%", "rekey_at: 5%", "19:35: 'rekey_at': 5% is out of range: 60% to 75%"},
    {"rekey_at: 60%", "rekey_at: 0.6",
     "19:35: 'rekey_at': '0.6' is not a share: a whole number and %, such as 70%"},
    {"factor: 1.5", "factor: 0.5", "20:39: 'factor': 0.5 is out of range: 1.000 to 5.000"},
    {"factor: 1.5", "factor: 1.2345",
     "20:39: 'factor': '1.2345' is not a factor: a number with at most three decimals, such as "
     "1.8"},
    {"outside: out0", "outside: a-name-that-is-too-long",
     "9:24: 'outside': 'a-name-that-is-too-long' cannot be an interface's name: 1 to 15 letters, "
     "no blank, no / and no :"},
    {"level: debug", "level: debgu",
     "34:15: 'level': 'debgu' is not one of error, warn, info, debug (did you mean debug?)"},
    {"outside: 10.77.1.100", "outside: 10.77.1.300",
     "11:23: 'outside': '10.77.1.300' is not an IP address, such as 192.0.2.1"},
    {"outside: 10.77.1.100", "outside: 10.77.1.100/24",
     "11:23: 'outside': '10.77.1.100/24' is not an IP address: leave the /length out"},
    {"outside: 10.77.1.100", "outside: 'fe80::1'",
     "11:23: 'outside': fe80::1 cannot be the address of one machine"},
    {"outside: 10.77.1.100", "outside: '::ffff:10.77.1.100'",
     "11:23: 'outside': ::ffff:10.77.1.100 cannot be the address of one machine"},
    {"outside: 10.77.1.100", "outside: [10.77.1.100, 10.77.1.101]",
     "11:37: 'outside' has two of IPv4: one IPv4 and one IPv6 are allowed"},
    {"outside: 10.77.1.100", "outside: [2001:db8::1, 10.77.1.100, 2001:db8::2]",
     "11:50: 'outside' has two of IPv6: one IPv4 and one IPv6 are allowed"},
    {"outside: 10.77.1.100", "outside: []",
     "11:23: 'outside' has no entry: an IP address is expected"},
    {"outside: 10.77.1.100", "outside: { v6: 2001:db8::1 }",
     "11:23: 'outside' must be an IP address, not a map"},
    {"10.77.2.2:7400", "2001:db8::2:7400",
     "6:25: 'address': '2001:db8::2:7400': only an IPv6 address stands in brackets, such as "
     "[2001:db8::1]:7400, and it must"},
    {"outside: 10.77.1.100", "outside: 224.0.0.5",
     "11:23: 'outside': 224.0.0.5 cannot be the address of one machine"},
    {"10.77.2.2:7400", "10.77.2.2",
     "6:25: 'address': '10.77.2.2' is not an address and a port from 1 to 65535, such as "
     "192.0.2.1:7400"},
    {"10.77.2.2:7400", "10.77.2.2:0",
     "6:25: 'address': '10.77.2.2:0' is not an address and a port from 1 to 65535, such as "
     "192.0.2.1:7400"},
    {"pool: 10.99.0.0/24", "pool: 10.99.0.1/24",
     "11:63: 'pool': 10.99.0.1/24 has bits set beyond its length: write 10.99.0.0/24"},
    {"pool: 10.99.0.0/24", "pool: 10.99.0.0",
     "11:63: 'pool': '10.99.0.0' is not a network: address/length, such as 192.0.2.0/24"},
    {"pool: 10.99.0.0/24", "pool: 10.99.0.0/33",
     "11:63: 'pool': the length /33 is out of range: 0 to 32"},
    {"identity: gw.holdfast.test", "identity: '@gw'",
     "13:13: 'identity': '@gw' is not name@domain"},
    {"identity: gw.holdfast.test", "identity: a b",
     "13:13: 'identity': 'a b' has a blank or a character beyond ASCII in it: an identity is "
     "name@domain, a domain name or an IP address"},
    {"aes256gcm16-prfsha256-x25519", "aes256gmc16-prfsha256-x25519",
     "16:22: 'ike': 'aes256gmc16' is not known here (did you mean aes256gcm16?); known: "
     "aes256gcm16 aes128gcm16 chacha20poly1305 aes256 aes128 aes256ctr aes128ctr sha256 sha384 "
     "sha512 prfsha256 "
     "prfsha384 prfsha512 x25519 ecp256 ecp384 ecp521 modp2048 modp3072 modp4096 esn"},
    {"aes256gcm16-prfsha256-x25519", "aes256gcm16-prfsha256",
     "16:22: 'ike': 'aes256gcm16-prfsha256' needs a cipher, a PRF and a group, such as "
     "aes256gcm16-prfsha256-x25519 or aes256-sha256-modp2048"},
    {"[aes128gcm16,", "[aes128gcm16-prfsha256,",
     "16:59: 'esp': 'aes128gcm16-prfsha256' needs a cipher and no PRF, such as aes256gcm16, "
     "aes256-sha256 or aes256gcm16-x25519"},
    {"[aes128gcm16,", "[aes128gcm16-aes128gcm16,",
     "16:59: 'esp': 'aes128gcm16-aes128gcm16' names aes128gcm16 twice"},
    {"[aes128gcm16,", "[aes128gcm16-aes256-sha256,",
     "16:59: 'esp': 'aes128gcm16-aes256-sha256' mixes ciphers that need an integrity algorithm "
     "with "
     "some that have their own (gcm16, poly1305): write two proposals"},
    {"[aes128gcm16,", "[aes128gcm16-sha256,",
     "16:59: 'esp': aes128gcm16 needs no integrity algorithm: leave sha256 out (the PRF is "
     "prfsha256)"},
    {"[aes128gcm16,", "[aes128,",
     "16:59: 'esp': aes128 needs an integrity algorithm, such as sha256"},
    {"aes256gcm16-prfsha256-x25519", "aes256-sha256-modp1024",
     "16:22: modp1024 is not to be used any more (RFC 8247, RFC 8221): name modp2048 instead, or "
     "allow it under gateway: proposals: legacy: [modp1024]"},
    {"proposals: { ike:", "proposals: { legacy: [sha1], ike:",
     "16:25: sha1 is allowed here, but no proposal names it: add it to one, or leave it out"},
    {"proposals: { ike:", "proposals: { legacy: [md5], ike:",
     "16:25: 'legacy': 'md5' is not one of modp1024, sha1"},
    {"hard: 2000 }", "hard: 4294967295 }",
     "26:54: 'hard': 4294967295 is out of range: 0 to 4293918720"},
    /* what one key alone cannot tell */
    {"{ id: 3, address", "{ id: 2, address", "7:13: node 2 is listed twice (first at line 6)"},
    {"10.77.2.3:7400", "10.77.2.2:7401", "7:25: 10.77.2.2 is the address of node 2 as well"},
    {"node: { id: 1", "node: { id: 4",
     "1:13: node 4 is not in cluster.nodes: add { id: 4, address: ... } there"},
    {"    - { id: 3, address: 10.77.2.3:7400 }\n", "",
     "5:5: 2 nodes survive no more failures than 1: a cluster has 1, 3 or 5 nodes"},
    {"  tls: { ca: ca.pem, certificate: node-1.pem, key: node-1.key }\n", "",
     "4:5: more than one node need certificates, to know each other: give 'tls: { ca: ca.pem, "
     "certificate: node-1.pem, key: node-1.key }' under 'cluster' (`holdfast pki cluster-ca NAME` "
     "makes the CA, once; `holdfast pki node 1` this node's)"},
    {"tls: { ca: ca.pem, certificate: node-1.pem, key: node-1.key }", "insecure_lab: true",
     "3:3: unknown key 'insecure_lab': nodes know each other by certificates now: write 'tls: { "
     "ca: "
     "ca.pem, certificate: node-1.pem, key: node-1.key }' (`holdfast pki cluster-ca NAME` and "
     "`holdfast pki node ID` make them)"},
    {"key: node-1.key }", "}",
     "3:3: the key 'key' is missing under 'tls': a path, such as client.psk"},
    {"tls: { ca", "tsl: { ca", "3:3: unknown key 'tsl': did you mean 'tls'?"},
    {"key: node-1.key }", "kye: node-1.key, key: node-1.key }",
     "3:47: unknown key 'kye': did you mean 'key'?"},
    {"heartbeat: 50ms", "heartbeat: 150ms",
     "8:41: heartbeat (150ms) must be at most a third of election (300ms), or one lost packet "
     "starts an election"},
    {"lease_heartbeat: 40ms", "lease_heartbeat: 90ms",
     "8:78: lease_heartbeat (90ms) must be at most a third of lease (200ms), or one lost packet "
     "silences the owner"},
    {"inside: in0", "inside: out0",
     "9:38: inside and outside must be different interfaces, both are 'out0'"},
    {"tun: hf7", "tun: in0",
     "9:48: 'in0' is an interface of the machine: tun names one that the daemon makes"},
    {"inside: 10.77.2.100", "inside: 10.77.2.3",
     "11:44: 10.77.2.3 is the address of node 3: a service address is free to move"},
    {"inside: 10.77.2.100", "inside: 10.77.1.100",
     "11:44: 10.77.1.100 is used by shard 1 already (line 11)"},
    {"inside: 10.77.2.100", "inside: 10.99.0.9",
     "11:44: 10.99.0.9 lies in the pool 10.99.0.0/24 of shard 1"},
    {"networks: [10.77.2.0/24]", "networks: [fd00:2::/64]",
     "11:63: the pool 10.99.0.0/24 leads nowhere: there is no IPv4 network under "
     "'gateway.networks'"},
    {"inside: 10.77.2.100", "inside: fd00:2::100",
     "11:63: the pool 10.99.0.0/24 needs an IPv4 address under 'inside', to which routers send it"},
    {"inside: 10.77.2.100, pool: 10.99.0.0/24, prefer: 2 }\ngateway:\n  identity: "
     "gw.holdfast.test\n"
     "  networks: [10.77.2.0/24]",
     "inside: [10.77.2.100, 2001:db8::2], pool: [10.99.0.0/24, 2001:db8::/111] }\ngateway:\n"
     "  identity: gw.holdfast.test\n  networks: [10.77.2.0/24, 2001:db9::/64]",
     "11:58: 2001:db8::2 lies in the pool 2001:db8::/111 of shard 1"},
    {"inside: 10.77.2.100, pool: 10.99.0.0/24, prefer: 2 }\ngateway:\n  identity: "
     "gw.holdfast.test\n"
     "  networks: [10.77.2.0/24]",
     "inside: 2001:dba::2, pool: 2001:db8::/40 }\ngateway:\n"
     "  identity: gw.holdfast.test\n  networks: [2001:db9::/64]",
     "11:63: the pool 2001:db8::/40 must be between /48 and /126"},
    {"pool: 10.99.0.0/24", "pool: 10.99.0.0/31",
     "11:63: the pool 10.99.0.0/31 must be between /8 and /30"},
    {"[10.77.2.0/24]", "[10.99.0.0/16]",
     "11:63: the pool 10.99.0.0/24 overlaps the network 10.99.0.0/16 behind the gateway (line 14)"},
    {"[10.77.2.0/24]", "[10.77.2.0/24, 10.77.2.128/25]",
     "14:28: 10.77.2.128/25 overlaps 10.77.2.0/24"},
    {"prefer: 2", "prefer: 9", "11:85: there is no node 9 in this cluster"},
    {"prefer: 2 }",
     "prefer: 2 }\n  - { id: 2, outside: 10.77.1.101, inside: 10.77.2.101, pool: 10.98.0.0/24 }",
     NULL},
    {"prefer: 2 }",
     "prefer: 2 }\n  - { id: 1, outside: 10.77.1.101, inside: 10.77.2.101, pool: 10.98.0.0/24 }",
     "12:11: shard 1 is listed twice (first at line 11)"},
    {"prefer: 2 }",
     "prefer: 2 }\n  - { id: 2, outside: 10.77.1.100, inside: 10.77.2.101, pool: 10.98.0.0/24 }",
     "12:23: 10.77.1.100 is used by shard 1 already (line 11)"},
    {"prefer: 2 }",
     "prefer: 2 }\n  - { id: 2, outside: 10.77.1.101, inside: 10.77.1.100, pool: 10.98.0.0/24 }",
     "12:44: 10.77.1.100 is used by shard 1 already (line 11)"},
    {"prefer: 2 }",
     "prefer: 2 }\n  - { id: 2, outside: 10.77.1.101, inside: 10.77.2.101, pool: 10.99.0.0/25 }",
     "12:63: the pool 10.99.0.0/25 overlaps 10.99.0.0/24 of shard 1 (line 11)"},
    {"jitter: 3%", "jitter: 15%", NULL},
    {"jitter: 3%", "jitter: 16%", "19:73: 'jitter': 16% is out of range: 0% to 15%"},
    {"rekey_at: 60%, rekey_at_responder: 75%", "rekey_at: 70%, rekey_at_responder: 65%",
     "19:60: rekey_at_responder (65%) must not be below rekey_at (70%), or both ends begin "
     "together"},
    {"rekey_at: 60%", "rekey_at: 59%", "19:35: 'rekey_at': 59% is out of range: 60% to 75%"},
    {"rekey_at: 60%", "rekey_at: 76%", "19:35: 'rekey_at': 76% is out of range: 60% to 75%"},
    {"soft: 1000", "soft: 2000", "26:42: soft (2000) must be below hard (2000)"},
    {"identity: 10.0.0.7", "identity: client@holdfast.test",
     "31:19: 'client@holdfast.test' is listed twice (first at line 30)"},
    {"identity: 10.0.0.7", "identity: gw.holdfast.test",
     "31:19: 'gw.holdfast.test' is the gateway's own identity"},
};

static char *alter(const struct row *row)
{
    char *at, *text;

    if (row->find == NULL) {
        return strdup(row->put);
    }
    at = strstr(SAMPLE, row->find);
    cr_assert_not_null(at, "the sample has no '%s'", row->find);
    cr_assert(asprintf(&text, "%.*s%s%s", (int)(at - SAMPLE), SAMPLE, row->put,
                       at + strlen(row->find)) > 0);
    return text;
}

Test(config_mistakes, the_sample_itself_has_none)
{
    struct config_report report;
    struct config *c = config_parse("t.yaml", span_of(SAMPLE, strlen(SAMPLE)), false, &report);

    cr_assert_not_null(c, "%s", report.n_mistakes > 0 ? report.mistakes[0].text : "");
    config_free(c);
    config_report_deinit(&report);
}

static void try_row(const struct row *row)
{
    struct config_report report;
    char *text = alter(row), expected[512];
    struct config *c = config_parse("t.yaml", span_of(text, strlen(text)), false, &report);
    const char *first = report.n_mistakes > 0 ? report.mistakes[0].text : "none";

    if (row->message == NULL) {
        cr_expect_not_null(c, "%s", first);
        cr_expect_eq(report.n_mistakes, 0);
    } else {
        (void)snprintf(expected, sizeof expected, "t.yaml:%s", row->message);
        cr_expect_null(c);
        cr_expect_eq(report.n_mistakes, 1, "%zu mistakes, first: %s", report.n_mistakes, first);
        cr_expect_str_eq(first, expected, "\n  said: %s\n  want: %s", first, expected);
    }
    config_free(c);
    config_report_deinit(&report);
    free(text);
}

Test(config_mistakes, each_is_named_where_it_stands)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        try_row(&rows[i]);
    }
}

Test(config_mistakes, all_of_them_at_once_in_the_order_of_the_file)
{
    static const char text[] = "nod: { id: 1 }\n"
                               "interfaces: { outside: out0 }\n"
                               "shards: []\n"
                               "ike: { dpd: 5 }\n"
                               "auth: { psk: none }\n";
    struct config_report report;
    struct config *c = config_parse("dir/t.yaml", span_of(text, strlen(text)), false, &report);
    char printed[2048] = "";
    FILE *out = fmemopen(printed, sizeof printed, "w");

    cr_assert_null(c);
    config_report_print(&report, out);
    (void)fclose(out);
    cr_assert_str_eq(
        printed,
        "dir/t.yaml:1:1: unknown key 'nod': did you mean 'node'?\n"
        "dir/t.yaml:1:1: the key 'node' is missing (a section; see the examples in deploy/config)\n"
        "dir/t.yaml:1:1: the key 'gateway' is missing (a section; see the examples in "
        "deploy/config)\n"
        "dir/t.yaml:2:1: the key 'inside' is missing under 'interfaces': an interface's name, such "
        "as "
        "eth0\n"
        "dir/t.yaml:3:9: 'shards' has 0 entries; 1 to 64 are allowed\n"
        "dir/t.yaml:4:13: 'dpd': a duration needs a unit: 5s, or 5ms (known: ms, s, m, h, d)\n"
        "dir/t.yaml:5:14: 'psk' must be a list, not a single value: write [ ... ] or lines that "
        "begin with -\n"
        "7 mistakes\n");
    config_report_deinit(&report);
}

Test(config_mistakes, more_than_can_be_kept_are_counted)
{
    struct config_report report;
    char text[4096] = "", *p = text;
    struct config *c;

    for (int i = 0; i < 150; i++) {
        p += sprintf(p, "k%03dzzzzzzzz: 1\n", i);
    }
    c = config_parse("t.yaml", span_of(text, strlen(text)), false, &report);
    cr_assert_null(c);
    cr_assert_eq(report.n_mistakes, CONFIG_MAX_REPORTED);
    cr_assert_eq(report.n_more, 150 + 5 - CONFIG_MAX_REPORTED);
    config_report_deinit(&report);
}

Test(config_mistakes, what_the_file_says_cannot_steer_the_terminal)
{
    static const char text[] = "\"\\e[31mred\": 1\n";
    struct config_report report;
    struct config *c = config_parse("t.yaml", span_of(text, strlen(text)), false, &report);

    cr_assert_null(c);
    for (size_t i = 0; i < report.n_mistakes; i++) {
        cr_assert_null(strchr(report.mistakes[i].text, 27));
    }
    config_report_deinit(&report);
}
