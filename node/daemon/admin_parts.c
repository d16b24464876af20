/* What the admin requests share that wait for the log: a refusal, and a look at the state. */
#include "daemon/internal.h"

void admin_refuse(struct api_request *request, unsigned status, const char *name,
                  const char *detail)
{
    struct api_problem p;

    api_problem_set(&p, status, name, "%s", detail);
    api_request_refuse(request, &p);
}

const struct repl_node_status *admin_node(const struct repl_status *st, uint32_t node)
{
    for (size_t i = 0; i < st->n_nodes; i++)
        if (st->nodes[i].node == node)
            return &st->nodes[i];
    return NULL;
}

size_t admin_owned(const struct repl_status *st, uint32_t node)
{
    size_t n = 0;

    for (size_t i = 0; i < st->n_shards; i++)
        n += st->shards[i].owner_node == node;
    return n;
}
