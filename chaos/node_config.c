/* A node's configuration: pure text. */
#include "node.h"

#include <stdio.h>

#include "swan.h"

static void write_cluster(FILE *f, const struct node *n, const struct node_timing *t)
{
    char text[LAB_ADDRESS_TEXT];

    if (n->lab->nodes == 1)
        return;
    (void)fprintf(f,
                  "cluster:\n  tls: { ca: %s/pki/ca.pem, certificate: %s/pki/node-%u.pem, key: "
                  "%s/pki/node-%u.key }\n  rebalance: manual\n  nodes:\n",
                  n->lab->dir, n->lab->dir, n->id, n->lab->dir, n->id);
    for (unsigned i = 1; i <= n->lab->nodes; i++)
        (void)fprintf(f, "    - { id: %u, address: %s:7400 }\n", i,
                      lab_address(LAB_RAFT_NET + i, false, text));
    (void)fprintf(
        f, "  timing: { election: %ums, heartbeat: %ums, lease: %ums, lease_heartbeat: %ums }\n",
        t->election_ms, t->heartbeat_ms, t->lease_ms, t->lease_heartbeat_ms);
}

/* "key: a", or where both families are wanted "key: [a, its twin]". */
static void write_both(FILE *f, const char *key, uint32_t address, bool v4, bool v6,
                       unsigned prefix_bits)
{
    char text[LAB_ADDRESS_TEXT], bits[2][16] = {"", ""};

    if (prefix_bits) {
        (void)snprintf(bits[0], sizeof bits[0], "/%u", prefix_bits);
        (void)snprintf(bits[1], sizeof bits[1], "/%u", prefix_bits + 96);
    }
    (void)fprintf(f, "%s: %s", key, v4 && v6 ? "[" : "");
    if (v4)
        (void)fprintf(f, "%s%s%s", lab_address(address, false, text), bits[0], v6 ? ", " : "");
    if (v6)
        (void)fprintf(f, "\"%s%s\"%s", lab_address(address, true, text), bits[1], v4 ? "]" : "");
}

static void write_shards(FILE *f, const struct node *n, const struct node_options *o)
{
    (void)fprintf(f, "shards:\n");
    for (unsigned s = 0; s < n->lab->shards; s++) {
        (void)fprintf(f, "  - { id: %u, ", s + 1);
        write_both(f, "outside", LAB_VIP + s, !o->outside_v6, o->outside_v6, 0);
        (void)fprintf(f, ", ");
        write_both(f, "inside", LAB_INSIDE_VIP + s, o->inside_v4, o->inside_v6, 0);
        (void)fprintf(f, ", ");
        write_both(f, "pool", LAB_POOL + s * LAB_POOL_SIZE, o->inside_v4, o->inside_v6, 22);
        (void)fprintf(f, ", prefer: %u }\n", s % n->lab->nodes + 1);
    }
}

static void write_gateway(FILE *f, const struct node_options *o)
{
    (void)fprintf(f, "gateway:\n  identity: gw.holdfast.test\n  networks: [");
    (void)fprintf(f, "%s%s%s]\n  dns: [", o->inside_v4 ? "10.77.2.0/24" : "",
                  o->inside_v4 && o->inside_v6 ? ", " : "",
                  o->inside_v6 ? "\"fd77::a4d:200/120\"" : "");
    (void)fprintf(f, "%s%s%s]\n", o->inside_v4 ? "10.77.2.10" : "",
                  o->inside_v4 && o->inside_v6 ? ", " : "",
                  o->inside_v6 ? "\"fd77::a4d:20a\"" : "");
    (void)fprintf(f, "  proposals: { ike: [aes256gcm16-prfsha256-x25519, "
                     "aes128gcm16-prfsha256-x25519], esp: [aes256gcm16, aes128gcm16] }\n"
                     "  force_encapsulation: true\n");
}

static void write_lifetimes(FILE *f, const struct node_options *o)
{
    static const char lasting[] = "hard: 4h, rekey_at: 70%, rekey_at_responder: 80%, jitter: 5%";
    /* A clock that is an hour off is beyond the end of each. */
    static const char within_a_jump[] =
        "hard: 50m, rekey_at: 70%, rekey_at_responder: 80%, jitter: 5%";
    static const char soon[] = "hard: 10s, rekey_at: 60%, rekey_at_responder: 60%, jitter: 0%";
    const char *ordinary = o->shifts ? within_a_jump : lasting;

    (void)fprintf(f,
                  "ike:   { lifetime: { %s }, retransmit: { first: 500ms, factor: %s, tries: %u }, "
                  "dpd: %s, keepalive: 20s, half_open: 30s }\n"
                  "child: { lifetime: { %s, packets: { soft: 0, hard: 0 } }, pfs: %s }\n",
                  o->ike_soon ? soon : ordinary, o->patient ? "1.2" : "1.8", o->patient ? 12u : 5u,
                  o->clients > NODE_FEW_CLIENTS ? "30s" : "500ms", o->child_soon ? soon : ordinary,
                  o->pfs ? "always" : "{ every: 1000 }");
}

void node_write_config(FILE *f, const struct node *n, const struct node_options *o)
{
    char identity[SWAN_NAME];

    (void)fprintf(f, "node: { id: %u, data: %s/disk/data }\n", n->id, n->dir);
    write_cluster(f, n, &o->timing);
    (void)fprintf(f, "interfaces: { outside: out0, inside: in0, tun: hf0 }\n");
    write_shards(f, n, o);
    write_gateway(f, o);
    write_lifetimes(f, o);
    (void)fprintf(f, "auth:\n  psk:\n");
    for (unsigned i = 1; i <= o->clients; i++)
        (void)fprintf(f, "    - { identity: %s, secret_file: client.psk }\n",
                      swan_identity(i, identity));
    (void)fprintf(f, "admin: { socket: %s }\ndrills: enabled\nlog: { level: info }\n", n->socket);
}
