/* From a step to its message: a record is submitted, sent again after each change of leader, lost with a leader's tail, judged once;
 * what it explains leaves only when it was applied and accepted. Checks I3. Broken: BY_INDEX BEFORE_COMMIT VERDICT_IGNORED.
 *
 * One SA of one owner. The log: what is committed, and behind it the tail of whoever leads, which the next leader may lack from any
 * place on. Others write as well (entry OTHER), and the shard may be given to another node (MOVED): what comes behind that is
 * refused, by its epoch. A record may be sent any number of times, its copies stand at any places.
 */
#ifndef STEPS
#define STEPS 2
#endif
#ifndef LEN
#define LEN 4
#endif
#define OTHER 8
#define MOVED 9

byte log[LEN];             /* entries: 1..STEPS = the record of that step */
byte committed, tail;      /* entries that are committed; that stand in the leader's log */
/* The owner: node/conductor (struct conductor_sa: inflight), replication/outbox.c, and its state machine */
byte step;                 /* the one that is submitted and not settled; 0 = none */
byte steps;                /* begun so far: request ids, never used again (outbox_put) */
byte version, applied;     /* of the SA, as applied here; log entries applied */
byte base[STEPS + 1];      /* the version that each record changes */
bit moved;                 /* as applied here */
byte judged;               /* requests, one bit each: fsm.c: judge_request */
byte told[STEPS + 1];      /* index that the leader named for it at the last sending, for BY_INDEX */
byte accepted;             /* records, as the log has it, one bit each */

/* replica_batch.c: replica_batch_push; raft_change.c: raft_driver_submit */
inline append(what)
{
    log[tail] = what;
    tail++
}

inline leave(r) /* submit.c, apply.c: perform, run_effects */
{
    printf("the message of step %d leaves\n", r);
    assert((accepted >> r) & 1) /* I3 */
}

proctype leaders()
{
    do
    :: d_step { tail < LEN -> append(OTHER) }
    :: d_step { tail < LEN -> append(MOVED) }
    :: d_step { committed < tail -> committed++; printf("committed: entry %d\n", committed) }
    :: d_step { tail > committed -> /* the next leader lacks the last one; raft_disk.c: truncate_from */
        tail--;
        log[tail] = 0;
        printf("the next leader lacks entry %d\n", tail + 1) }
    od
}

proctype owner()
{
    byte e;
    do
    :: d_step { step == 0 && steps < STEPS && !moved -> /* run.c, submit.c: submit_step; one uncommitted step per SA */
        steps++;
        step = steps;
        base[step] = version;
        printf("step %d is submitted\n", step);
#ifdef BEFORE_COMMIT
        leave(step);
#endif
    }
    :: d_step { step != 0 && tail < LEN -> /* replica_core.c, outbox.c: outbox_unsent, outbox_unsend_*: sent, and sent again */
        append(step);
        told[step] = tail;
        printf("the leader takes step %d at %d\n", step, tail) }
    :: d_step { applied < committed -> /* replica_apply.c: apply_record; fsm.c: fsm_apply */
        e = log[applied];
        applied++;
        printf("entry %d is applied: %d\n", applied, e);
        if
        :: e == MOVED -> moved = 1
        :: e <= STEPS && !((judged >> e) & 1) ->
            judged = judged | (1 << e);
            if
            :: !moved && base[e] == version -> version++; accepted = accepted | (1 << e)
            :: else
            fi
        :: else
        fi;
#ifdef BY_INDEX
        /* broken: whatever stands at the index that the leader named was ours */
        if
        :: step != 0 && told[step] == applied && (e != MOVED) -> leave(step); step = 0
        :: else
        fi;
#else
        /* replica_apply.c: emit_applied (outbox_settle), apply.c: settle */
        if
        :: e == step && e != 0 ->
            if
#ifdef VERDICT_IGNORED
            :: true -> leave(step)
#else
            :: (accepted >> e) & 1 -> leave(step)
#endif
            :: else -> printf("step %d was refused, and is forgotten\n", step)
            fi;
            step = 0
        :: else
        fi;
#endif
        e = 0 }
    od
}

init { atomic { run leaders(); run owner() } }
