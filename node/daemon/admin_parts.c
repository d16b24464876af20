/* What the admin requests share that wait for the log: a refusal, a look at the state, and who asked. */
#include <time.h>

#include "daemon/internal.h"
#include "replication/text.h"

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

static void show(enum audit_text text, char *value)
{
    if (!audit_text_valid(text, value))
        text_clean(value);
}

struct api_asker admin_asker(const struct api_asker *who)
{
    struct api_asker out = *who;

    show(AUDIT_ROLE, out.role);
    show(AUDIT_PRINCIPAL, out.principal);
    show(AUDIT_ADDRESS, out.address);
    show(AUDIT_REQUEST_ID, out.request_id);
    return out;
}

struct repl_admin admin_by(const struct api_asker *asker)
{
    return (struct repl_admin){.role = asker->role,
                               .principal = asker->principal,
                               .address = asker->address,
                               .request_id = asker->request_id,
                               .wall_ms = (uint64_t)time(NULL) * 1000};
}
