#include "instant_log/instant_log.h"

void instant_log_init(struct instant_log *log,
                      void (*tell)(void *self, const struct repl_event *event, void *submitter,
                                   void *op),
                      void *self)
{
    *log = (struct instant_log){.self = self, .tell = tell, .speaks = RECORD_SPEAKS};
    fsm_init(&log->fsm, 1);
}

void instant_log_deinit(struct instant_log *log)
{
    fsm_deinit(&log->fsm);
}

static void fill_children(struct repl_event *ev, const struct fsm *fsm, const struct fsm_sa *sa,
                          struct repl_child_state *room)
{
    ev->children = room;
    for (size_t i = 0; i < sa->n_claims; i++)
        room[ev->n_children++] =
            (struct repl_child_state){sa->claims[i]->spi_in, sa->claims[i]->spi_out,
                                      sa->claims[i]->esn, fsm_claim_now(fsm, sa->claims[i])};
}

void instant_log_commit(struct instant_log *log, uint64_t now_ms, Holdfast__Record *r,
                        void *submitter, void *op)
{
    static struct repl_item_result items[RECORD_MAX_ITEMS];
    struct repl_child_state children[RECORD_MAX_CHILDREN];
    struct repl_event ev = {
        .kind = REPL_EV_APPLIED, .record = r, .shard = r->shard, .items = items};
    struct fsm_outcome out;

    fsm_begin_entry(&log->fsm, ++log->index, now_ms);
    fsm_apply(&log->fsm, r, 0, items, &out);
    ev.index = log->index;
    ev.cluster_ms = log->fsm.cluster_ms;
    ev.speaks = fsm_spoken(&log->fsm);
    ev.verdict = out.verdict;
    ev.sa_version = out.sa_version;
    ev.successor_version = out.successor_version;
    if (out.verdict == REPL_ACCEPTED && out.sa != NULL)
        fill_children(&ev, &log->fsm, out.sa, children);
    if (r->body_case == HOLDFAST__RECORD__BODY_EXTEND && out.verdict == REPL_ACCEPTED)
        ev.n_items = r->extend->n_items;
    log->tell(log->self, &ev, submitter, op);
    if (out.assigned != NULL) {
        struct repl_event assigned = {.kind = REPL_EV_ASSIGNED,
                                      .index = log->index,
                                      .cluster_ms = log->fsm.cluster_ms,
                                      .shard = out.assigned->shard,
                                      .epoch = out.assigned->epoch,
                                      .owner_node = out.assigned->owner_node,
                                      .owner_boot = out.assigned->owner_boot,
                                      .assignments = out.assigned->assignments,
                                      .shard_version =
                                          out.assigned->assignments + out.assigned->aborts,
                                      .handover = r->assign->handover};

        log->tell(log->self, &assigned, NULL, NULL);
    }
}

void instant_log_boot(struct instant_log *log, uint64_t now_ms, uint32_t node, uint64_t boot)
{
    Holdfast__Record r = HOLDFAST__RECORD__INIT;
    Holdfast__Member m = HOLDFAST__MEMBER__INIT;
    char address[] = "192.0.2.1:7400";

    m.node = r.node = node;
    m.boot = r.boot = boot;
    m.replaces_boot = fsm_member(&log->fsm, node) != NULL ? fsm_member(&log->fsm, node)->boot : 0;
    m.change = HOLDFAST__MEMBER__CHANGE__BOOT;
    m.address = address;
    m.speaks = log->speaks;
    r.body_case = HOLDFAST__RECORD__BODY_MEMBER;
    r.member = &m;
    instant_log_commit(log, now_ms, &r, NULL, NULL);
}

void instant_log_assign(struct instant_log *log, uint64_t now_ms, uint32_t shard, uint32_t node,
                        uint64_t boot)
{
    const struct fsm_shard *s = fsm_shard(&log->fsm, shard);
    Holdfast__Record r = HOLDFAST__RECORD__INIT;
    Holdfast__Assign a = HOLDFAST__ASSIGN__INIT;
    Holdfast__Epoch replaces = HOLDFAST__EPOCH__INIT;

    if (s != NULL) {
        replaces.incarnation = s->epoch.incarnation;
        replaces.index = s->epoch.index;
    }
    r.node = a.owner_node = node;
    r.boot = a.owner_boot = boot;
    r.shard = a.shard = shard;
    a.replaces = &replaces;
    r.body_case = HOLDFAST__RECORD__BODY_ASSIGN;
    r.assign = &a;
    instant_log_commit(log, now_ms, &r, NULL, NULL);
}
