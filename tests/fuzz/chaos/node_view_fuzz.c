/* What a node's admin interface answers to the drill runner: any JSON at all. It is counted within the
 * bounds of what is kept. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "chaos/node.h"
#include "chaos/swan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *answer;
static size_t answer_bytes;

/* In place of the socket and the process. */
bool http_call(struct chaos_lab *lab, const char *socket_path, const char *method, const char *path,
               const json_t *body, unsigned ms, struct http_reply *reply)
{
    (void)lab;
    (void)socket_path;
    (void)method;
    (void)path;
    (void)body;
    (void)ms;
    reply->status = 200;
    reply->body = json_loadb((const char *)answer, answer_bytes, 0, NULL);
    return true;
}

bool node_alive(const struct node *n)
{
    (void)n;
    return true;
}

const char *swan_identity(unsigned client, char identity[SWAN_NAME])
{
    (void)client;
    return strcpy(identity, "client@holdfast.test");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct node node = {.id = 1};
    static struct node_view view;
    static struct node_sas sas;
    const struct node_sa *mine;
    char told[200];

    answer = data;
    answer_bytes = size;
    node_look(&node, &view);
    for (size_t i = 0; i < LAB_MAX_SHARDS; i++)
        HF_ASSERT(view.answered || view.shards[i].owner == 0);
    node_tell_drops(&view, 1, told, sizeof told);
    HF_ASSERT(*told && memchr(told, '\0', sizeof told) != NULL);
    node_look_sas(&node, &sas);
    HF_ASSERT(sas.n_sas <= NODE_MAX_SAS);
    for (size_t i = 0; i < sas.n_sas; i++)
        HF_ASSERT(sas.sas[i].n_children <= NODE_MAX_CHILDREN &&
                  memchr(sas.sas[i].identity, '\0', sizeof sas.sas[i].identity) != NULL);
    mine = node_find_client(&sas);
    HF_ASSERT(mine == NULL || (mine >= sas.sas && mine < sas.sas + sas.n_sas));
    return 0;
}
