#include "replication/recover_survey.h"

static bool is_member(enum repl_role role)
{
    return role == REPL_VOTER || role == REPL_LEARNER || role == REPL_JOINING ||
           role == REPL_LEAVING;
}

struct recover_survey recover_survey(const struct repl_status *st)
{
    struct recover_survey s = {.n_lost = 0};

    for (size_t i = 0; i < st->n_nodes; i++) {
        const struct repl_node_status *n = &st->nodes[i];
        bool reached = n->node == st->node || n->connected;

        if (!is_member(n->role))
            continue;
        s.voters += n->votes;
        s.able += n->votes && reached && n->distrust == REPL_TRUSTED;
        s.member |= n->node == st->node;
        if (n->node != st->node)
            s.lost[s.n_lost++] = n->node;
    }
    return s;
}
