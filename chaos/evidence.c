#include "cell.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* pcap with nanoseconds (magic 0xa1b23c4d), Ethernet. */
struct pcap_head {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t zone, accuracy, snaplen, link;
};

struct pcap_packet {
    uint32_t seconds, nanoseconds, kept, length;
};

static FILE *open_in(const char *dir, const char *name)
{
    char path[1024];

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return fopen(path, "we");
}

/* IKE whole (it is encrypted), of everything else the headers only. */
static void save_pcap(const struct cell *c, const char *dir, unsigned port)
{
    const struct pcap_head head = {0xa1b23c4d, 2, 4, 0, 0, 65535, 1};
    char name[32];
    FILE *f;

    if (port == CAPTURE_CLIENT_PORT)
        (void)snprintf(name, sizeof name, "client.pcap");
    else
        (void)snprintf(name, sizeof name, "node%u.pcap", port);
    f = open_in(dir, name);
    if (!f)
        return;
    (void)fwrite(&head, sizeof head, 1, f);
    for (size_t i = 0; i < c->sniff.capture.n_frames; i++) {
        const struct capture_frame *p = &c->sniff.capture.frames[i];
        struct span bytes = capture_bytes(&c->sniff.capture, p);
        struct pcap_packet packet = {(uint32_t)(p->ns / 1000000000u),
                                     (uint32_t)(p->ns % 1000000000u), (uint32_t)bytes.len,
                                     p->wire_len};

        if (p->port != port)
            continue;
        if (p->kind != CAPTURE_IKE && bytes.len > CAPTURE_HEADER_BYTES)
            packet.kept = CAPTURE_HEADER_BYTES;
        (void)fwrite(&packet, sizeof packet, 1, f);
        (void)fwrite(bytes.data, packet.kept, 1, f);
    }
    (void)fclose(f);
}

static void save_log(const char *dir, const char *name, const struct chaos_proc *p)
{
    FILE *f = p->log ? open_in(dir, name) : NULL;

    if (!f)
        return;
    (void)fwrite(p->log, 1, p->log_len, f);
    (void)fclose(f);
}

/* A file of the lab's own, up to the line that begins its secrets. */
static void save_config(const char *dir, const char *name, const char *from_dir,
                        const char *from_name)
{
    char path[256], line[1024];
    FILE *in, *out;

    (void)snprintf(path, sizeof path, "%s/%s", from_dir, from_name);
    in = fopen(path, "re");
    out = in ? open_in(dir, name) : NULL;
    while (in && out && fgets(line, sizeof line, in) && strncmp(line, "secrets", 7) != 0)
        (void)fputs(line, out);
    if (out)
        (void)fclose(out);
    if (in)
        (void)fclose(in);
}

/* Counters, digest and SAs of a living node as it shows them now. */
static void save_admin(struct node *n, const char *dir, const char *path, const char *what)
{
    struct http_reply reply;
    char name[48];
    FILE *f;

    if (!node_alive(n) || !http_call(n->lab, n->socket, "GET", path, NULL, 500, &reply))
        return;
    (void)snprintf(name, sizeof name, "node%u-%s.json", n->id, what);
    f = reply.body ? open_in(dir, name) : NULL;
    if (f) {
        (void)json_dumpf(reply.body, f, JSON_INDENT(1));
        (void)fclose(f);
    }
    json_decref(reply.body);
}

void cell_save_evidence(struct cell *c, const json_t *verdict)
{
    const char *dir = c->options->evidence_dir;
    char name[32];
    FILE *f;

    if (!dir || (mkdir(dir, 0755) != 0 && errno != EEXIST))
        return;
    for (unsigned port = 0; port <= c->lab.nodes; port++)
        save_pcap(c, dir, port);
    save_log(dir, "client.log", &c->client.proc);
    save_log(dir, "gateway.log", &c->reference.proc);
    for (unsigned n = 1; n <= c->lab.nodes; n++) {
        (void)snprintf(name, sizeof name, "node%u.log", n);
        save_log(dir, name, &c->nodes[n].proc);
        (void)snprintf(name, sizeof name, "node%u-before-restart.log", n);
        save_log(dir, name, &c->nodes[n].earlier);
        if (c->nodes[n].older) {
            (void)snprintf(name, sizeof name, "node%u-older.log", n);
            f = open_in(dir, name);
            if (f) {
                (void)fputs(c->nodes[n].older, f);
                (void)fclose(f);
            }
        }
    }
    save_config(dir, "client-strongswan.conf", c->client.dir, "strongswan.conf");
    save_config(dir, "client-swanctl.conf", c->client.dir, "swanctl.conf");
    for (unsigned n = 1; !cell_is_reference(c) && n <= c->lab.nodes; n++) {
        (void)snprintf(name, sizeof name, "node%u.yaml", n);
        save_config(dir, name, c->nodes[n].dir, "node.yaml");
        save_admin(&c->nodes[n], dir, "/v1/cluster", "cluster");
        save_admin(&c->nodes[n], dir, "/v1/sas", "sas");
    }
    f = open_in(dir, "verdict.json");
    if (f) {
        (void)json_dumpf(verdict, f, JSON_INDENT(2));
        (void)fputc('\n', f);
        (void)fclose(f);
    }
}
