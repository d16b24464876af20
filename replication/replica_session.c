/* The key that sessions are sealed with: who makes it, and when it counts.
 *
 *   leader: draws one ─ GIVE ─> peers ─ HAVE ─> a majority has it ─> SessionKey record {id, replaces}
 *   every node, at apply: seals with it from now on; asks for it when it lacks it
 *
 * Two leaders may each draw one; the log takes the one whose record comes first, for the other names a
 * key to replace that is not there any more. The record says the id, never the key. No session is
 * sealed before, so nobody owns anything before: what cannot be sealed is not sent. One that takes
 * another's place waits a second for those who lack it yet: two that lose their power must not be all
 * that had it.
 */
#include "base/secret.h"
#include "replication/replica_parts.h"

static bool is_due(const struct replica *r)
{
    return r->fsm.session_key == 0 || r->blind != 0 || replica_rotation_due(r);
}

/* Drawn for another state, or taken by too few for too long. */
static bool is_stale(const struct replica *r, const struct replica_making *m)
{
    return m->id != 0 && (m->replaces != r->fsm.session_key || m->answers != r->fsm.rotate_wish ||
                          (!m->pushed && r->now_ns - m->since_ns >= MAKING_KEY_MS * 1000000ull));
}

static void draw(struct replica *r)
{
    uint8_t key[SEAL_KEY_BYTES];

    r->callbacks.entropy(r->callbacks.self, key, sizeof key);
    r->making = (struct replica_making){.id = replica_keys_add(r, key),
                                        .replaces = r->fsm.session_key,
                                        .answers = r->fsm.rotate_wish,
                                        .since_ns = r->now_ns};
    secret_wipe_bytes(key, sizeof key);
    if (r->making.id == 0)
        replica_fail(r, "no room for a sealing key");
    replica_set_add(&r->making.have, r->options.node);
}

static void push(struct replica *r)
{
    Holdfast__Record record = HOLDFAST__RECORD__INIT;
    Holdfast__SessionKey body = HOLDFAST__SESSION_KEY__INIT;

    body.id = r->making.id;
    body.replaces = r->making.replaces;
    body.answers = r->making.answers;
    body.lost = r->blind != 0;
    record.body_case = HOLDFAST__RECORD__BODY_SESSION_KEY;
    record.session_key = &body;
    r->making.pushed = replica_push_internal(r, &record);
}

void replica_session_lead(struct replica *r)
{
    struct replica_making *m = &r->making;
    size_t voters, have;

    if (r->options.ring == NULL)
        return;
    /* A leader that has left leads until another one can: what it drew itself it would still have. */
    if (!is_due(r) || is_stale(r, m) || replica_is_outside(r))
        *m = (struct replica_making){0};
    if (!is_due(r) || replica_is_outside(r))
        return;
    if (m->id == 0)
        draw(r);
    if (r->failed || m->pushed)
        return;
    if (m->sent_ns == 0 || r->now_ns - m->sent_ns >= ASK_KEY_MS * 1000000ull) {
        m->sent_ns = r->now_ns;
        replica_keys_give(r, m->id, &m->have);
    }
    /* Who could not go on may have been given what it needs: not while one is known that has it all. */
    if (r->blind != 0 && !replica_is_lost(r))
        return;
    have = replica_set_voters(r, &m->have, &voters);
    if (have == voters ||
        (have > voters / 2 && (m->replaces == 0 || r->blind != 0 ||
                               r->now_ns - m->since_ns >= ALL_HAVE_MS * 1000000ull)))
        push(r);
}

/* Leadership moved: the next leader draws its own, or finds this one in the log. */
void replica_session_moved(struct replica *r)
{
    r->making = (struct replica_making){0};
}

uint64_t replica_session_next_ns(const struct replica *r)
{
    return r->making.id != 0 && !r->making.pushed ? r->making.sent_ns + ASK_KEY_MS * 1000000ull
                                                  : UINT64_MAX;
}

/* What the state says is used, if it is here. */
void replica_session_use(struct replica *r)
{
    uint64_t id = r->fsm.session_key;

    if (r->options.ring == NULL || id == 0)
        return;
    if (!seal_ring_use(r->options.ring, SEAL_SESSION, id)) {
        seal_ring_use_none(r->options.ring, SEAL_SESSION);
        r->asked_ns = 0;
    }
    (void)replica_renew_outbox(r);
}

/* What is still kept of a former incarnation's keys opens nothing that counts: it goes. */
void replica_session_none_needed(struct replica *r)
{
    uint64_t ids[SEAL_RING_KEYS];
    size_t n;

    if (r->options.ring == NULL)
        return;
    n = seal_ring_list(r->options.ring, SEAL_SESSION, ids, SEAL_RING_KEYS);
    for (size_t i = 0; i < n; i++)
        seal_ring_erase(r->options.ring, ids[i]);
    if (n > 0)
        replica_keys_changed(r);
}

bool replica_session_ready(const struct replica *r)
{
    return r->options.ring == NULL || seal_ring_current(r->options.ring, SEAL_SESSION) != 0;
}

void replica_session_applied(struct replica *r, const struct Holdfast__SessionKey *body)
{
    bool lost = body->lost;
    uint64_t former = body->replaces;
    bool bound = r->blind == 0 && replica_waits_under(r, former);

    replica_log(r, REPL_LOG_INFO, "sessions are sealed with the key %016llx from now on%s",
                (unsigned long long)body->id,
                lost ? ", the former one is lost: all sessions ended" : "");
    if (former != 0)
        r->switched_index = r->fsm.applied_index;
    replica_session_use(r);
    if (!lost || r->options.ring == NULL)
        return;
    seal_ring_erase(r->options.ring, former);
    replica_keys_changed(r);
    /* Requests of ours that were sealed with it can never be judged. Who waits for none goes on: else who was
     * given it anew at each start, by one that has not come so far, would end here at each start (tests/sim 590). */
    if (bound)
        replica_fail(r,
                     "the cluster gave the sessions' key up, which this node had: starting anew");
    else
        r->reset_due = true;
}
