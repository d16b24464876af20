/* Whose numbers are whose: reservations, ceilings, first touch, versions, shrinks, restarts, owners that never hear of their
 * successors. Checks I1 (no outbound number twice) and I2 (no inbound number accepted twice). Broken: FIRST_TOUCH COMPARE_VALUES
 * COMMIT_BELOW NO_PASS GRANT_AGAIN. ONLY_OUT and ONLY_IN leave out the other direction's packets.
 *
 * Leases do not exist here: safety must not rest on them (architecture.md). Each epoch's owner goes on for ever, as one that is
 * paused and wakes at any time would at worst; that one node may own several epochs only takes away from this. The log is one
 * sequence (quorum.pml); a record that was submitted is judged once (request ids: outbox.pml), at any later time, or never.
 * In the code a claim has one Extend under way (node/conductor/submit.c: draft_extend); here two, and a shrink that is late holds up
 * nothing, so that the version alone has to tell them apart: that of the moment when the limit was lowered (with the version of the
 * moment of submission I2 breaks: an extension that is applied in between raises the limit again).
 *
 * Sizes: an assignment grants 1 outbound number (2^16) and 1 inbound one (8), an extension asks for 1 more.
 */
#ifndef EPOCHS
#define EPOCHS 3
#endif
#ifndef REQUESTS
#define REQUESTS 3
#endif
#ifndef CEILING
#define CEILING 1
#endif
#define LEN (EPOCHS + REQUESTS)
#define TOP 8 /* numbers 1..TOP - 1 */
#define OUTCOME 8 /* log entries: e = assignment of epoch e; OUTCOME + r = request r was judged */

/* The replicated claim and its shard, at the log's end: replication/grant.h (struct repl_claim), fsm.h (struct fsm_shard). */
byte res_end = 2, ceiling = CEILING, touched = 1, version, assignments = 1;

typedef request_t { /* one Extend item: proto/records.proto */
    byte epoch;              /* 0 = not submitted */
    byte version;            /* ... of the claim that it changes */
    byte end, ceiling;       /* 0 = left as it is */
    byte was_end, was_ceiling; /* the values at that version, for COMPARE_VALUES */
    bit judged, accepted;
    byte slot;               /* the version that it gave the claim */
};
typedef owner_t { /* node/esp/ceiling.h (struct esp_pacer), gate.h, reservation.h */
    bit acts;                /* its assignment is applied */
    byte pos;                /* log entries applied */
    byte next, end;          /* outbound numbers [next, end) */
    byte floor, gate;        /* inbound numbers (floor, gate] */
    byte ceiling, version;   /* the claim as this owner has seen it in the log */
    byte last;               /* highest accepted */
    byte hand;               /* inbound number that a worker has in hand, its ceiling looked at; 0 = none */
    byte lowered;            /* ESP_PACE_LOWERING to this; 0 = not */
    byte from, from_end, from_ceiling; /* the claim's version, and values, when that began */
};
typedef grant_t { byte first, end, floor, ceiling, version };

request_t req[REQUESTS];
owner_t own[EPOCHS + 1];
grant_t grant[EPOCHS + 1]; /* what each assignment gave: replication/grant.c (repl_claim_grant), as of its place in the log */
byte log[LEN];
byte tail, submitted;
byte used;                 /* outbound numbers, one bit each */
byte accepted_by[TOP];     /* inbound numbers: epoch of the owner that accepted it */

/* grant.c: repl_claim_touch. Broken: one assignment, however many there were. */
#ifdef FIRST_TOUCH
#define untouched (assignments > touched -> 1 : 0)
#else
#define untouched (assignments - touched)
#endif

#define claim_end (res_end + untouched)
#define claim_ceiling (ceiling + untouched)
#define claim_version (version + assignments - touched)

/* fsm.c (judge_fence), fsm_sa.c (extend_one) */
#define fence(r) (req[r].epoch == assignments)
#ifdef COMPARE_VALUES
#define matches(r) (req[r].was_end == claim_end && req[r].was_ceiling == claim_ceiling)
#else
#define matches(r) (req[r].version == claim_version)
#endif

inline judge(r)
{
    d_step {
        req[r].epoch != 0 && !req[r].judged ->
        req[r].judged = 1;
        if
        :: fence(r) && matches(r) && (req[r].end == 0 || req[r].end >= claim_end) ->
            res_end = (req[r].end != 0 -> req[r].end : claim_end);
            ceiling = (req[r].ceiling != 0 -> req[r].ceiling : claim_ceiling);
            touched = assignments;
            version = 8 * (tail + 1); /* the place in the log: RECORD_MAX_PER_ENTRY * index */
            req[r].accepted = 1;
            req[r].slot = version;
            printf("request %d accepted: end %d, ceiling %d\n", r, res_end, ceiling)
        :: else -> printf("request %d refused\n", r)
        fi;
        log[tail] = OUTCOME + r;
        tail++
    }
}

/* The log takes what was submitted, and assignments, in any order: replica_batch.c, replica_lead.c, fsm.c (apply_assign). */
proctype replicated_log()
{
    do
    :: judge(0)
    :: judge(1)
#if REQUESTS > 2
    :: judge(2)
#endif
#if REQUESTS > 3
    :: judge(3)
#endif
    :: d_step { assignments < EPOCHS ->
        assignments++;
        grant[assignments].end = claim_end;
        grant[assignments].first = claim_end - 1;
        grant[assignments].ceiling = claim_ceiling;
        grant[assignments].floor = claim_ceiling - 1;
        grant[assignments].version = claim_version;
        log[tail] = assignments;
        tail++;
        printf("epoch %d: numbers from %d to below %d, accepts above %d up to %d\n", assignments, grant[assignments].first,
               grant[assignments].end, grant[assignments].floor, grant[assignments].ceiling) }
    od
}

/* node/conductor/children.c (child_grant), node/daemon/datapath_grant.c (begin_grant) */
inline take_grant(e)
{
    own[e].acts = 1;
    own[e].next = grant[e].first;
    own[e].end = grant[e].end;
    own[e].floor = grant[e].floor;
    own[e].last = grant[e].floor;
    own[e].gate = grant[e].ceiling;
    own[e].ceiling = grant[e].ceiling;
    own[e].version = grant[e].version
}

/* node/conductor/submit.c (conductor_extend, draft_extend) */
inline note(e)
{
    own[e].from = own[e].version;
    own[e].from_end = own[e].end;
    own[e].from_ceiling = own[e].ceiling
}

inline submit(e, to_end, to_ceiling)
{
    req[submitted].epoch = e;
    req[submitted].version = own[e].from;
    req[submitted].was_end = own[e].from_end;
    req[submitted].was_ceiling = own[e].from_ceiling;
    own[e].from = 0;
    own[e].from_end = 0;
    own[e].from_ceiling = 0;
    req[submitted].end = to_end;
    req[submitted].ceiling = to_ceiling;
    printf("epoch %d submits request %d: end %d, ceiling %d\n", e, submitted, to_end, to_ceiling);
    submitted++
}

bit heard[REQUESTS]; /* the outcome was applied by who submitted it */
#define waits(r, e) (req[r].epoch == e && !heard[r])
#if REQUESTS == 2
#define under_way(e) (waits(0, e) + waits(1, e))
#elif REQUESTS == 3
#define under_way(e) (waits(0, e) + waits(1, e) + waits(2, e))
#else
#define under_way(e) (waits(0, e) + waits(1, e) + waits(2, e) + waits(3, e))
#endif

/* Broken: a packet that is in hand is not waited for; less is committed than the limit was lowered to. */
#ifdef NO_PASS
#define passed(e) true
#else
#define passed(e) (own[e].hand == 0)
#endif
#ifdef COMMIT_BELOW
#define less(e) own[e].lowered--
#else
#define less(e) skip
#endif

/* node/conductor/apply.c (settle_extend), node/daemon/datapath.c (applied, not_applied), node/esp/ceiling.c (esp_pace_done) */
inline settled(e, r)
{
    heard[r] = 1;
    if
    :: req[r].accepted ->
        own[e].version = req[r].slot;
        own[e].end = (req[r].end != 0 -> req[r].end : own[e].end);
        own[e].ceiling = (req[r].ceiling != 0 -> req[r].ceiling : own[e].ceiling);
        own[e].gate = (req[r].ceiling != 0 -> req[r].ceiling : own[e].gate)
    :: else
    fi
}

proctype owner(byte e)
{
    byte r;
    do
    :: d_step { !own[e].acts && assignments >= e && own[e].pos < tail || e == 1 && !own[e].acts ->
        /* replica_apply.c: up to its own assignment, which it takes once */
        do
        :: own[e].pos < tail && e > 1 && log[own[e].pos] != e -> own[e].pos++
        :: else -> break
        od;
        if :: e > 1 -> own[e].pos++ :: else fi;
        take_grant(e) }
    :: d_step { own[e].acts && own[e].pos < tail -> /* the next log entry */
        r = log[own[e].pos];
        own[e].pos++;
        if
        :: r >= OUTCOME && req[r - OUTCOME].epoch == e -> r = r - OUTCOME; settled(e, r)
        :: else
        fi;
        r = 0 }
#ifndef ONLY_IN
    /* outbound: node/esp/reservation.c (esp_reservation_take) */
    :: d_step { own[e].acts && own[e].next < own[e].end ->
        printf("epoch %d sends number %d\n", e, own[e].next);
        assert(!((used >> own[e].next) & 1)); /* I1 */
        used = used | (1 << own[e].next);
        own[e].next++ }
#endif
#ifndef ONLY_OUT
    /* inbound: node/esp/inbound.c, gate.c (esp_gate_look, read_ceiling, esp_gate_mark); any number, as often as an attacker likes */
    :: atomic { own[e].acts && own[e].hand == 0 && own[e].gate > own[e].floor ->
        select(r : 1 .. TOP - 1);
        if
        :: r > own[e].floor && r <= own[e].gate && accepted_by[r] != e -> own[e].hand = r; printf("epoch %d has number %d in hand\n", e, r)
        :: else
        fi;
        r = 0 }
    :: d_step { own[e].hand != 0 ->
        printf("epoch %d accepts number %d\n", e, own[e].hand);
        assert(accepted_by[own[e].hand] == 0); /* I2 */
        accepted_by[own[e].hand] = e;
        if :: own[e].hand > own[e].last -> own[e].last = own[e].hand :: else fi;
        own[e].hand = 0 }
#endif
    /* node/esp/ceiling.c: ask */
#ifndef ONLY_IN
    :: d_step { own[e].acts && submitted < REQUESTS && under_way(e) < 2 && own[e].lowered == 0 && own[e].end < TOP - 1 ->
        note(e);
        submit(e, own[e].end + 1, 0) }
#endif
#ifndef ONLY_OUT
    :: d_step { own[e].acts && submitted < REQUESTS && under_way(e) < 2 && own[e].lowered == 0 && own[e].ceiling < TOP - 1 ->
        note(e);
        submit(e, 0, own[e].ceiling + 1) }
    /* ceiling.c: lower, datapath.c: step (ESP_PACE_LOWER): the local limit first */
    :: d_step { own[e].acts && submitted < REQUESTS && under_way(e) < 2 && own[e].lowered == 0 && own[e].gate > own[e].last && own[e].gate > 1 && own[e].gate > own[e].floor ->
        note(e);
        own[e].gate--;
        own[e].lowered = own[e].gate;
        printf("epoch %d lowers its limit to %d\n", e, own[e].gate) }
    /* ceiling.c: esp_pace_passed, when no worker has a packet in hand (worker_pool_passed): commit what is not below what was accepted */
    :: d_step { own[e].lowered != 0 && submitted < REQUESTS && passed(e) ->
        if :: own[e].last > own[e].lowered -> own[e].lowered = own[e].last :: else -> less(e) fi;
        submit(e, 0, own[e].lowered);
        own[e].lowered = 0 }
    /* ceiling.c: held_back: a shrink was refused, nothing is under way */
    :: d_step { own[e].acts && under_way(e) == 0 && own[e].lowered == 0 && own[e].gate < own[e].ceiling ->
        own[e].gate = own[e].ceiling }
#endif
#ifdef GRANT_AGAIN
    :: d_step { own[e].acts && own[e].next > grant[e].first -> take_grant(e) } /* broken: a new start takes its old grant again */
#endif
    od
}

init
{
    atomic {
        grant[1].first = 1; grant[1].end = 2; grant[1].floor = 0; grant[1].ceiling = CEILING; /* a fresh claim: submit.c (draft_claims) */
        run replicated_log();
        run owner(1);
        run owner(2);
#if EPOCHS > 2
        run owner(3)
#endif
    }
}
