/* The state of a cluster that begins anew with one of its members (recover.h). */
#include "replication/fsm_parts.h"

void fsm_end_sessions(struct fsm *fsm)
{
    while (fsm->all_sas != NULL)
        fsm_sa_remove(fsm, fsm->all_sas);
    while (fsm->all_leases != NULL)
        fsm_lease_remove(fsm, fsm->all_leases);
}

void fsm_forget_keys(struct fsm *fsm)
{
    fsm->session_key = fsm->former_key = 0;
    fsm->switch_index = fsm->key_ms = fsm->rotate_wish = 0;
}

uint32_t fsm_highest_id(const struct fsm *fsm)
{
    uint32_t highest = fsm->used_ids;

    for (size_t i = 0; i < fsm->n_members; i++)
        if (fsm->members[i]->node > highest)
            highest = fsm->members[i]->node;
    for (size_t i = 0; i < fsm->n_tokens; i++)
        if (fsm->tokens[i].node > highest)
            highest = fsm->tokens[i].node;
    return highest;
}

static void write_down(struct fsm *fsm, const struct repl_beginning *beginning)
{
    struct repl_beginning *b;

    if (fsm->n_beginnings == REPL_MAX_BEGINNINGS)
        memmove(&fsm->beginnings[0], &fsm->beginnings[1],
                --fsm->n_beginnings * sizeof fsm->beginnings[0]);
    b = &fsm->beginnings[fsm->n_beginnings++];
    *b = *beginning;
    b->word.highest_id = fsm->used_ids;
}

/* Sessions end before the incarnation changes: what is taken off the digest is what was added. */
void fsm_refound(struct fsm *fsm, const struct repl_beginning *beginning)
{
    uint32_t node = beginning->node, highest = fsm_highest_id(fsm);

    HF_ASSERT(beginning->incarnation > fsm->incarnation);
    fsm_end_sessions(fsm);
    fsm->incarnation = beginning->incarnation;
    fsm->used_ids = beginning->word.highest_id > highest ? beginning->word.highest_id : highest;
    write_down(fsm, beginning);
    fsm_forget_keys(fsm);
    memset(fsm->shards, 0, sizeof fsm->shards);
    fsm->n_shards = 0;
    memset(fsm->tokens, 0, sizeof fsm->tokens);
    fsm->n_tokens = 0;
    for (size_t i = 0; i < fsm->n_members; i++) {
        struct fsm_member *m = fsm->members[i];

        if (m->node != node) {
            m->left = true;
            m->boot = 0;
        } else {
            m->speaks = RECORD_SPEAKS; /* this program goes on with it, or a newer one */
        }
        m->drained = false; /* there is nobody else to own anything */
        m->removal = 0;
        m->floor = 1; /* of a boot that ended: its next start says BOOT */
        memset(m->judged, 0, sizeof m->judged);
    }
    fsm_documents_rekey(fsm);
    fsm_audit_beginning(fsm, beginning);
}

void fsm_forget(struct fsm *fsm)
{
    fsm_end_sessions(fsm);
    fsm_forget_keys(fsm);
}
