/* What makes both ends meet: the design's collisions (ike.md) come by themselves, some of them once in a
 * thousand seeds. In half of the seeds they are brought about: both ends are told the same in one
 * instant, a path falls silent one way when a request has passed, clients like another group, are
 * patient or far away, CHILD SAs live for seconds. It draws from a stream of its own, so the other
 * half is as if this file were not there.
 */
#include "conductor/internal.h"
#include "sim/sim_world.h"

enum { PORTION = 1000, GROUPS = 3, SECOND_WITHIN_MS = 3000 };

static uint64_t between(struct sim_world *w, uint64_t low, uint64_t high)
{
    return sim_between(&w->meetings.random, low, high);
}

static bool chance(struct sim_world *w, unsigned permille)
{
    return sim_chance(&w->meetings.random, permille);
}

/* --- what the seed decides first --- */

void sim_meetings_draw(struct sim_world *w, bool quiet)
{
    static const uint32_t every[] = {700, 2000, 5000};
    struct sim_meetings *m = &w->meetings;

    *m = (struct sim_meetings){.random.state = sim_mix(w->seed ^ 0x6d656574696e67ULL)};
    m->next_ms = m->second_ms = UINT64_MAX;
    if (quiet || chance(w, 500))
        return;
    m->next_ms = w->plan.faults_from_ms;
    m->every_ms = every[between(w, 0, 2)];
    m->groups = chance(w, 600);
    m->short_life = chance(w, 350);
    m->impatient = chance(w, 400);
    if (chance(w, 600))
        m->overlap_ms = (uint32_t)(chance(w, 500) ? between(w, 250, 900) : between(w, 900, 2500));
}

/* The same suite with each group, the policy's order; for CHILD SAs the one without stays the last. */
static void take_groups(struct ike_policy *p)
{
    enum { ECP_256 = 19, ECP_384 = 20 };
    static const uint16_t more[GROUPS - 1] = {ECP_256, ECP_384};
    const struct ike_proposal_row plain = p->esp[1];

    for (int i = 1; i < GROUPS; i++) {
        p->ike[i] = p->ike[0];
        p->esp[i] = p->esp[0];
        p->ike[i].ke_id = p->esp[i].ke_id = more[i - 1];
    }
    p->esp[GROUPS] = plain;
    p->n_ike = GROUPS;
    p->n_esp = GROUPS + 1;
}

void sim_meetings_gateway(struct sim_world *w)
{
    const struct sim_meetings *m = &w->meetings;

    if (m->every_ms == 0)
        return;
    if (m->groups)
        take_groups(&w->policy);
    if (m->short_life)
        w->policy.child_life.hard_ms = between(w, 8000, 20000);
    if (m->impatient)
        w->policy.retransmit_tries = 2;
    w->policy.overlap_ms = m->overlap_ms;
}

/* Another order of a client's groups: another version of its program, say. */
static void shuffle(struct sim_client *c)
{
    for (uint64_t i = GROUPS - 1; i > 0; i--) {
        uint64_t k = between(c->world, 0, i);
        struct ike_proposal_row ike = c->policy.ike[i], esp = c->policy.esp[i];

        c->policy.ike[i] = c->policy.ike[k];
        c->policy.esp[i] = c->policy.esp[k];
        c->policy.ike[k] = ike;
        c->policy.esp[k] = esp;
    }
}

void sim_meetings_client(struct sim_client *c)
{
    struct sim_world *w = c->world;
    const struct sim_meetings *m = &w->meetings;

    c->late_after = -1;
    if (m->every_ms == 0)
        return;
    if (m->groups)
        shuffle(c);
    c->policy.retransmit_tries = 4;
    if (chance(w, 400)) { /* patient: 36 s in all */
        c->policy.retransmit_tries = 8;
        c->policy.retransmit_cap_ms = 5000;
    }
    if (chance(w, 250)) { /* far away */
        c->delay_ms = (uint32_t)between(w, 40, 300);
        c->jitter_ms = (uint32_t)between(w, 0, 30);
    }
}

/* --- meetings --- */

static uint32_t some_want(struct sim_world *w)
{
    static const uint32_t wants[] = {IKE_WANT_REKEY_CHILD_PFS,   IKE_WANT_REKEY_CHILD_PFS,
                                     IKE_WANT_REKEY_CHILD_NOPFS, IKE_WANT_REKEY_IKE,
                                     IKE_WANT_REKEY_IKE,         IKE_WANT_CHILD};

    return wants[between(w, 0, sizeof wants / sizeof wants[0] - 1)];
}

/* Nothing passes in one direction: from the first request on, or when the next ones are due. */
static void mute(struct sim_client *c)
{
    struct sim_world *w = c->world;

    c->muted = chance(w, 600) ? SIM_TO_CLIENT : SIM_TO_NODE;
    c->mute_from_ms = w->now_ms + between(w, 0, 6 * c->delay_ms + 20);
    c->mute_until_ms =
        c->mute_from_ms + (chance(w, 600) ? between(w, 300, 4000) : between(w, 4000, 30000));
    w->stats.faults[SIM_FAULT_path_one_way]++;
    sim_say(w, "fault: %s %u", sim_fault_name(SIM_FAULT_path_one_way), c->index);
}

/* One of the IKE messages that follow is late, in one direction: a request, an answer, the second try,
 * the Delete. Mostly it comes before it is sent again. */
static void hold_one(struct sim_client *c)
{
    struct sim_world *w = c->world;

    c->late_kind = chance(w, 500) ? SIM_TO_CLIENT : SIM_TO_NODE;
    c->late_after = chance(w, 500) ? 2 : (int)between(w, 0, 4);
    c->late_ms = chance(w, 650) ? between(w, 1, 4 * c->delay_ms + 25) : between(w, 50, 1000);
}

/* The client likes best a group that the IKE SA has not: a rekey with the SA's gets INVALID_KE_PAYLOAD. */
static void like_another(struct sim_client *c)
{
    shuffle(c);
    if (c->policy.ike[0].ke_id == c->ike_group) {
        struct ike_proposal_row first = c->policy.ike[0];

        c->policy.ike[0] = c->policy.ike[1];
        c->policy.ike[1] = first;
    }
}

/* Both ends are told the same, or one that all is over. */
static void together(struct sim_client *c)
{
    struct sim_world *w = c->world;
    uint64_t what = between(w, 0, PORTION - 1);
    uint32_t want = what < 400   ? IKE_WANT_REKEY_IKE
                    : what < 700 ? IKE_WANT_REKEY_CHILD_PFS
                    : what < 830 ? IKE_WANT_REKEY_CHILD_NOPFS
                    : what < 910 ? IKE_WANT_DELETE_CHILD
                                 : IKE_WANT_DELETE_IKE;
    bool ends = want == IKE_WANT_DELETE_IKE, by_client = chance(w, 500), both_wrong = false;
    uint32_t other = ends && chance(w, 500)
                         ? chance(w, 500) ? IKE_WANT_DELETE_CHILD : IKE_WANT_REKEY_CHILD_PFS
                         : want;

    if (w->meetings.groups && want == IKE_WANT_REKEY_IKE) {
        like_another(c);
        /* Both find the other's group wrong only where the SA's is neither's first. */
        if (c->ike_group == w->policy.ike[0].ke_id && chance(w, 500)) {
            sim_gateway_want(c, want, 0);
            return;
        }
        both_wrong = c->ike_group != w->policy.ike[0].ke_id && chance(w, 800);
    }
    (void)sim_client_want(c, by_client ? want : other);
    sim_gateway_want(c, by_client ? other : want, c->peer_child_spi);
    if (both_wrong) { /* a second try is late, just while the other end deletes the old SA */
        hold_one(c);
        c->late_after = 2;
        c->late_ms = between(w, c->delay_ms + 4, 3 * c->delay_ms + 15);
    } else if (!ends && chance(w, 300))
        mute(c);
    else
        hold_one(c);
}

/* Both have something under way when the path fails. */
static void lose(struct sim_client *c)
{
    struct sim_world *w = c->world;
    uint64_t who = between(w, 0, 2);

    if (who != 1)
        (void)sim_client_want(c, some_want(w));
    if (who != 0)
        sim_gateway_want(c, some_want(w), c->peer_child_spi);
    mute(c);
    w->meetings.second_ms = w->now_ms + between(w, 1, SECOND_WITHIN_MS);
    w->meetings.second_client = c->index;
}

/* The gateway's newest CHILD SA of that client, which the client may not know yet. */
struct newest {
    const struct sim_client *client;
    uint32_t spi_in;
};

static void look_at(void *self, const struct conductor_sa_view *view)
{
    struct newest *n = self;
    uint64_t at_ms = 0;

    if (view->sa->local_spi != n->client->peer_spi)
        return;
    for (int i = 0; i < IKE_MAX_CHILDREN; i++) {
        const struct ike_child *k = &view->sa->children[i];

        if (k->state != IKE_CHILD_INSTALLED || k->created_ms < at_ms)
            continue;
        at_ms = k->created_ms;
        n->spi_in = k->spi_in;
    }
}

static void second(struct sim_client *c)
{
    struct sim_world *w = c->world;
    struct newest n = {.client = c};

    for (uint32_t i = 0; i < w->n_nodes; i++)
        if (w->nodes[i].up && sim_node_acting(&w->nodes[i], c->shard))
            conductor_each_sa(w->nodes[i].conductor, look_at, &n);
    if (n.spi_in != 0)
        sim_gateway_want(c, chance(w, 700) ? IKE_WANT_DELETE_CHILD : IKE_WANT_REKEY_CHILD_PFS,
                         n.spi_in);
}

void sim_meetings_run(struct sim_world *w)
{
    struct sim_meetings *m = &w->meetings;

    if (m->second_ms <= w->now_ms) {
        m->second_ms = UINT64_MAX;
        second(&w->clients[m->second_client]);
    }
    if (m->next_ms > w->now_ms)
        return;
    m->next_ms = w->now_ms + between(w, m->every_ms / 4, m->every_ms * 7 / 4);
    struct sim_client *c = &w->clients[between(w, 0, w->plan.n_clients - 1)];

    if (chance(w, 30))
        sim_outside_flood(w, &m->random, between(w, 1, 80));
    if (!c->running || !c->established)
        return;
    if (m->groups && chance(w, 500))
        shuffle(c);
    if (chance(w, 650))
        together(c);
    else
        lose(c);
}

uint64_t sim_meetings_due(const struct sim_world *w)
{
    const struct sim_meetings *m = &w->meetings;

    return m->next_ms < m->second_ms ? m->next_ms : m->second_ms;
}

void sim_meetings_heal(struct sim_world *w)
{
    w->meetings.next_ms = w->meetings.second_ms = UINT64_MAX;
    for (uint32_t i = 0; i < w->plan.n_clients; i++) {
        w->clients[i].mute_until_ms = 0;
        w->clients[i].late_after = -1;
    }
}
