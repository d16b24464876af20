/* A shard given on purpose: workers stop, exact windows are written down, one record holds them and the assignment; on with it here
 * only by the log's word. Checks I2. Broken: RESUME_OTHER NO_ABORT IN_HAND WINDOWS_LEFT
 * REFUSED_WITH_WINDOWS FLOOR_LOST.
 *
 * The log is one sequence; each record that was submitted is judged once, at any later time, or never. Each epoch's owner goes on until
 * it has applied the log that far, as one that is paused at worst. No lease, no time: "no answer" may be said at any moment, and
 * the leader may take the shard away by an ordinary assignment at any moment. One CHILD SA, whose window goes in the handover's own
 * record or ahead of it.
 *
 * Sizes: the first ceiling is 2; an assignment raises it by 1 (8).
 */
#ifndef EPOCHS
#define EPOCHS 3
#endif
#ifndef REQUESTS
#define REQUESTS 4
#endif
#define LEN (EPOCHS + REQUESTS)
#define CEILING 2
#define TOP (CEILING + EPOCHS)
#define OUTCOME 8 /* log entries: e = epoch e; OUTCOME + r = request r was judged */

mtype:kind = { ASSIGN, WINDOWS, ABORT }; /* proto/records.proto: Assign, HandoverWindows, HandoverAbort */
mtype:phase = { NONE, STILL, ASKED, ABORTING }; /* node/conductor/internal.h: HANDOVER_*; ASIDE begins nothing, but may still accept */

typedef request_t {
    mtype:kind kind;
    byte epoch, version;
    bit with;               /* it holds the window */
    byte mask, floor;       /* ... that is: numbers accepted (one bit each), above this floor */
    bit judged, accepted;
};
typedef owner_t {
    bit acts;
    byte pos, version;      /* log entries applied; struct conductor_shard: version */
    byte mask, floor, gate;
    byte hand;              /* a number that a worker has in hand; 0 = none */
    mtype:phase phase;
    byte op;                /* the handover record asked for, + 1; 0 = none: struct conductor_handover: op */
    bit ahead;              /* went_ahead */
};
typedef grant_t { byte mask, floor, ceiling; };

byte assignments = 1, aborts, ceiling = CEILING; /* fsm.h: struct fsm_shard; the claim's ceiling, first touch counted */
#define version_now (assignments + aborts)
byte kept_version, kept_mask, kept_floor; /* windows that every node keeps: handover.c: keep_windows */
request_t req[REQUESTS];
owner_t own[EPOCHS + 1];
grant_t grant[EPOCHS + 1];
byte log[LEN];
byte tail, submitted;
byte accepted_by[TOP];

/* fsm.c: apply_assign; assigned.c: begin; children.c: child_grant; datapath_grant.c: datapath_grant_exact */
byte a_mask, a_floor; /* its window: where it has none, all above the ceiling */
inline assigned()
{
    assignments++;
    grant[assignments].mask = a_mask;
    grant[assignments].floor = a_floor;
    a_mask = 0; a_floor = 0;
    ceiling++;
    grant[assignments].ceiling = ceiling;
    kept_version = 0; kept_mask = 0; kept_floor = 0; /* handover_over, handover_forget_windows */
    log[tail] = assignments;
    tail++;
    printf("epoch %d: accepts above %d up to %d, but not %d (bits)\n", assignments, grant[assignments].floor, ceiling,
           grant[assignments].mask)
}

/* Broken: what an owner before the giver may have accepted counts as new. */
#ifdef FLOOR_LOST
#define floor_of(f) 0
#else
#define floor_of(f) f
#endif

inline accept(r)
{
    req[r].accepted = 1;
    if
    :: req[r].kind == ABORT -> aborts++; kept_version = 0; kept_mask = 0; kept_floor = 0
    :: req[r].kind == WINDOWS -> kept_version = req[r].version; kept_mask = req[r].mask; kept_floor = req[r].floor
    :: else ->
        if
        :: req[r].with -> kept_version = req[r].version; kept_mask = req[r].mask; kept_floor = req[r].floor
        :: else
        fi;
        if
        :: kept_version == req[r].version -> a_mask = kept_mask; a_floor = floor_of(kept_floor)
        :: else -> a_floor = ceiling
        fi;
        assigned()
    fi
}

/* fsm.c: judge_fence, then apply_assign, apply_abort, judge_windows: all three compare the shard's version */
inline judge(r)
{
    d_step { r < submitted && !req[r].judged && tail < LEN - 1 ->
        req[r].judged = 1;
        log[tail] = OUTCOME + r;
        tail++;
        if
        :: req[r].epoch == assignments && req[r].version == version_now && (req[r].kind != ASSIGN || assignments < EPOCHS) ->
            printf("request %d of epoch %d accepted\n", r, req[r].epoch);
            accept(r)
        :: else -> printf("request %d of epoch %d refused\n", r, req[r].epoch)
        fi }
}
inline turn_down(r) /* REPL_REFUSED_UNKNOWN, the target has started anew: no version is raised */
{
    d_step { r < submitted && !req[r].judged && req[r].kind == ASSIGN && tail < LEN - 1 ->
        req[r].judged = 1;
        log[tail] = OUTCOME + r;
        tail++;
        printf("request %d of epoch %d refused, its target is gone\n", r, req[r].epoch) }
}

proctype replicated_log()
{
    do
    :: judge(0)
    :: turn_down(0)
    :: judge(1)
    :: turn_down(1)
    :: judge(2)
    :: turn_down(2)
#if REQUESTS > 3
    :: judge(3)
    :: turn_down(3)
#endif
#if REQUESTS > 4
    :: judge(4)
    :: turn_down(4)
#endif
    :: d_step { assignments < EPOCHS && tail < LEN -> a_floor = ceiling; assigned() } /* a takeover: ownership_decide */
    od
}

inline holds_window(e)
{
    req[submitted].with = 1;
    req[submitted].mask = own[e].mask;
    req[submitted].floor = own[e].floor
}
inline submit(e, what)
{
    req[submitted].kind = what;
    req[submitted].epoch = e;
    req[submitted].version = own[e].version;
    printf("epoch %d submits request %d: %e, version %d, window %d (bits)\n", e, submitted, what, own[e].version, own[e].mask);
    submitted++
}

/* handover.c: resume, forget */
inline resume(e)
{
    own[e].phase = NONE;
    own[e].op = 0;
    own[e].ahead = 0;
    printf("epoch %d goes on with it\n", e)
}

/* Broken: any handover's refusal counts. */
#ifdef RESUME_OTHER
#define ours(e, r) true
#else
#define ours(e, r) (own[e].op == r + 1)
#endif
/* Broken, and so it was in the code until 2026-11-27: a refusal ends it, whatever went ahead. */
#ifdef REFUSED_WITH_WINDOWS
#define goes_on(e, r) true
#else
#define goes_on(e, r) (!own[e].ahead || own[e].version != req[r].version)
#endif

/* handover.c: handover_settled, handover_applied; r: a request of this owner, judged */
inline settled(e, r)
{
    if
    :: req[r].kind == ABORT && req[r].accepted ->
        own[e].version++;
        if :: own[e].phase == ABORTING -> resume(e) :: else fi
    :: req[r].kind == ASSIGN && !req[r].accepted && own[e].phase != NONE && ours(e, r) ->
        if
        :: goes_on(e, r) -> resume(e)
        :: else -> /* handover.c: go_on; the windows that went ahead have to lose their version first */
            own[e].op = 0;
            if :: own[e].phase != ABORTING -> own[e].phase = ASKED :: else fi
        fi
    :: else
    fi
}
/* Broken: packets in hand are not waited for (datapath_move.c: at_rest, datapath_passed). */
#ifdef IN_HAND
#define passed(e) true
#else
#define passed(e) (own[e].hand == 0)
#endif

proctype owner(byte e)
{
    byte r;
    do
    :: d_step { !own[e].acts && assignments >= e ->
        do
        :: own[e].pos < tail && e > 1 && log[own[e].pos] != e -> own[e].pos++
        :: else -> break
        od;
        if :: e > 1 -> own[e].pos++ :: else fi;
        own[e].acts = 1;
        own[e].phase = NONE;
        own[e].mask = grant[e].mask;
        own[e].floor = grant[e].floor;
        own[e].gate = grant[e].ceiling;
        own[e].version = e; /* no abort of its own yet ... */
        r = 0;
        do /* ... but those before it count */
        :: r < own[e].pos -> if :: log[r] >= OUTCOME && req[log[r] - OUTCOME].kind == ABORT && req[log[r] - OUTCOME].accepted -> own[e].version++ :: else fi; r++
        :: else -> break
        od;
        r = 0 }
    :: d_step { own[e].acts && own[e].pos < tail && log[own[e].pos] >= OUTCOME ->
        r = log[own[e].pos] - OUTCOME;
        own[e].pos++;
        if :: req[r].epoch == e -> settled(e, r) :: else fi;
        r = 0 }
    /* workers: node/io/worker_in.c, node/esp/gate.c */
    :: d_step { own[e].acts && own[e].phase == NONE && own[e].hand == 0 && 1 > own[e].floor && !(own[e].mask & 2) && 1 <= own[e].gate -> own[e].hand = 1 }
    :: d_step { own[e].acts && own[e].phase == NONE && own[e].hand == 0 && 2 > own[e].floor && !(own[e].mask & 4) && 2 <= own[e].gate -> own[e].hand = 2 }
    :: d_step { own[e].acts && own[e].phase == NONE && own[e].hand == 0 && 3 > own[e].floor && !(own[e].mask & 8) && 3 <= own[e].gate -> own[e].hand = 3 }
#if EPOCHS > 2
    :: d_step { own[e].acts && own[e].phase == NONE && own[e].hand == 0 && 4 > own[e].floor && !(own[e].mask & 16) && 4 <= own[e].gate -> own[e].hand = 4 }
#endif
    :: d_step { own[e].hand != 0 ->
        printf("epoch %d accepts number %d\n", e, own[e].hand);
        assert(accepted_by[own[e].hand] == 0); /* I2 */
        accepted_by[own[e].hand] = e;
        own[e].mask = own[e].mask | (1 << own[e].hand);
        own[e].hand = 0 }
    /* the giver: conductor_give, stand_still */
    :: d_step { own[e].acts && own[e].phase == NONE && e < EPOCHS && submitted < REQUESTS ->
        own[e].phase = STILL;
        printf("epoch %d stands still\n", e) }
    /* write_down, submit_windows: some windows go ahead */
    :: d_step { own[e].phase == STILL && passed(e) && !own[e].ahead && submitted < REQUESTS ->
        holds_window(e);
        submit(e, WINDOWS);
        own[e].ahead = 1 }
    /* write_down, ask */
    :: d_step { own[e].phase == STILL && passed(e) && submitted < REQUESTS ->
        if :: !own[e].ahead -> holds_window(e) :: else fi;
        submit(e, ASSIGN);
        own[e].phase = ASKED;
        own[e].op = submitted }
    /* call_off */
    :: d_step { own[e].phase == STILL ->
        if
#ifndef WINDOWS_LEFT
        :: own[e].ahead -> own[e].phase = ASKED; own[e].op = 0
#endif
        :: else -> resume(e)
        fi }
    /* take_back */
#ifdef NO_ABORT
    :: d_step { own[e].phase == ASKED -> resume(e) } /* broken: without a record */
#else
    :: d_step { own[e].phase == ASKED && submitted < REQUESTS ->
        submit(e, ABORT);
        own[e].phase = ABORTING }
#endif
    od
}

init
{
    atomic {
        grant[1].ceiling = CEILING;
        run replicated_log();
        run owner(1);
        run owner(2);
#if EPOCHS > 2
        run owner(3)
#endif
    }
}
