#include "replication/repl_peers.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replication/repl_thread.h"
#include "replication/replica_parts.h"

enum { PATH_BYTES = 600, LINE_BYTES = 96 };

static FILE *open_in(const char *dir, const char *name, const char *mode)
{
    char path[PATH_BYTES];

    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
        return NULL;
    return fopen(path, mode);
}

static bool parse(char *line, struct repl_node_address *out)
{
    char *end = NULL;
    unsigned long node = strtoul(line, &end, 10);

    if (end == line || *end != ' ' || node == 0 || node > UINT32_MAX || strchr(line, '\n') == NULL)
        return false;
    *strchr(line, '\n') = '\0';
    out->node = (uint32_t)node;
    return replica_address_parse(end + 1, &out->address);
}

size_t repl_peers_read(const char *dir, struct repl_node_address nodes[REPL_MAX_NODES])
{
    FILE *in = open_in(dir, "peers", "re");
    char line[LINE_BYTES];
    size_t n = 0;

    while (in != NULL && n < REPL_MAX_NODES && fgets(line, sizeof line, in) != NULL)
        n += parse(line, &nodes[n]);
    if (in != NULL)
        (void)fclose(in);
    return n;
}

/* Beside its place first, then renamed: never half a list. */
bool repl_peers_write(const char *dir, const struct repl_node_address *nodes, size_t n)
{
    int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    FILE *out = open_in(dir, "peers.tmp", "we");
    char address[LINE_BYTES];
    bool ok = at >= 0 && out != NULL;

    for (size_t i = 0; i < n && ok; i++) {
        replica_address_text(&nodes[i].address, address, sizeof address);
        ok = address[0] == '\0' || fprintf(out, "%" PRIu32 " %s\n", nodes[i].node, address) > 0;
    }
    ok = ok && fflush(out) == 0 && fsync(fileno(out)) == 0;
    if (out != NULL)
        ok = fclose(out) == 0 && ok;
    ok = ok && renameat(at, "peers.tmp", at, "peers") == 0 && fsync(at) == 0;
    if (at >= 0)
        (void)close(at);
    return ok;
}

/* --- for a replica's thread --- */

/* A list of peers on its way to the disk. */
struct kept_peers {
    uv_work_t work;
    struct repl *repl;
    struct repl_node_address nodes[REPL_MAX_NODES];
    size_t n;
    bool ok;
};

static void keep_work(uv_work_t *work)
{
    struct kept_peers *k = work->data;

    k->ok = repl_peers_write(k->repl->data_dir, k->nodes, k->n);
}

static void keep_after(uv_work_t *work, int status)
{
    struct kept_peers *k = work->data;
    struct repl *repl = k->repl;
    bool again = repl->keep_again;

    (void)status;
    if (!k->ok && repl->log != NULL)
        repl->log(repl->log_self, REPL_LOG_WARN,
                  "the list of the other nodes cannot be kept on the disk");
    free(k);
    repl->jobs--;
    repl->keeping = repl->keep_again = false;
    if (repl->closing)
        repl_closed_part(repl);
    else if (again)
        repl_keep_peers(repl);
}

void repl_keep_peers(struct repl *repl)
{
    struct kept_peers *k;

    repl->keep_again = repl->keeping;
    if (repl->keeping)
        return;
    k = repl_alloc_zero(1, sizeof *k);
    k->repl = repl;
    memcpy(k->nodes, repl->peers, sizeof k->nodes);
    k->n = repl->n_peers;
    k->work.data = k;
    repl->keeping = true;
    repl->jobs++;
    HF_ASSERT(uv_queue_work(&repl->loop, &k->work, keep_work, keep_after) == 0);
}

void repl_know_peers(struct repl *repl, const struct repl_options *options)
{
    struct repl_node_address kept[REPL_MAX_NODES];

    repl->data_dir = strdup(options->data_dir);
    HF_ASSERT(repl->data_dir != NULL);
    replica_options_know(&repl->options, kept, repl_peers_read(options->data_dir, kept));
}
