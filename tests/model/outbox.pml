/* From a step to its message: a record is submitted, sent again after each change of leader, lost with a leader's tail, judged once;
 * what it explains leaves only when it was applied and accepted. Checks I3. Broken: BY_INDEX BEFORE_COMMIT VERDICT_IGNORED
 * JUDGED_NOT_SAVED INSTALLED_AS_ACCEPTED BOOT_IGNORED.
 *
 * One SA of one owner, which may start anew; another replica, which applies the same log, by its own state, sooner or later. Nothing
 * that leaves may be what the other one refuses, before or after. The log: what is committed, and behind it the tail of whoever
 * leads, which the next leader may lack from any place on. Others write as well: entry OTHER takes what a step needs, or gives it
 * back (an address of the pool, room), so that a copy may be refused where the next would be accepted. The shard may be given to
 * another node (MOVED): what comes behind that is refused, by its epoch. A record may be sent any number of times, its copies stand
 * at any places.
 */
#ifndef LEN
#define LEN 4
#endif
#define STEPS 2 /* in each of the owner's two lives */
#define RECORDS 4
#define OTHER 8
#define MOVED 9
#define BOOT 10

/* A record is known by (boot, request); a new life begins with request 1 again. */
#define BOOT_OF(r) (((r) - 1) / STEPS)
#define REQUEST_OF(r) (((r) - 1) % STEPS + 1)
#ifdef BOOT_IGNORED
#define PRESENT(r, now) true
#define SAME(r, s) (REQUEST_OF(r) == REQUEST_OF(s))
#else
#define PRESENT(r, now) (BOOT_OF(r) == (now))
#define SAME(r, s) ((r) == (s))
#endif

/* What a replica makes of the log: fsm.c */
typedef machine {
    byte applied;          /* entries */
    byte version;          /* of the SA */
    byte boot;             /* of the owner */
    bit moved, taken;
    byte judged;           /* requests of this boot, one bit each */
    byte seen, accepted    /* records, one bit each: only what is checked knows them */
}

byte log[LEN];             /* entries: a record, or OTHER, MOVED, BOOT */
byte committed, tail;      /* entries that are committed; that stand in the leader's log */
byte base[RECORDS + 1];    /* the version that each record changes */
byte left;                 /* records whose message left, one bit each */
machine mine, theirs;      /* of the owner, and of the other replica */
/* The owner: node/conductor (struct conductor_sa: inflight), replication/outbox.c */
byte step;                 /* the one that is submitted and not settled; 0 = none */
byte steps;                /* begun so far in this life: request ids, never used again (outbox_put) */
byte life;                 /* its boot */
byte sent;                 /* records, one bit each, of which copies may be under way */
byte told[RECORDS + 1];    /* index that the leader named for it at the last sending, for BY_INDEX */

/* replica_batch.c: replica_batch_push; raft_change.c: raft_driver_submit */
inline append(what)
{
    log[tail] = what;
    tail++
}

/* By the other replica, where it knows the record; and only what is committed counts. */
inline leave(r) /* submit.c, apply.c: perform, run_effects */
{
    printf("the message of step %d leaves\n", r);
    left = left | (1 << r);
    k = 0;
    do
    :: k < committed && log[k] != r -> k++
    :: else -> break
    od;
    assert(k < committed && (!((theirs.seen >> r) & 1) || ((theirs.accepted >> r) & 1))); /* I3 */
    k = 0
}

/* fsm.c: fsm_apply, judge_submitter, judge_request, judge_fence; fsm_sa.c. The same code on every replica. */
inline apply(m)
{
    e = log[m.applied];
    m.applied++;
    if
    :: e == MOVED -> m.moved = 1
    :: e == OTHER -> m.taken = !m.taken
    :: e == BOOT -> m.boot++; m.judged = 0
    :: e < OTHER && PRESENT(e, m.boot) && !((m.judged >> REQUEST_OF(e)) & 1) ->
        m.judged = m.judged | (1 << REQUEST_OF(e));
        if
        :: !m.moved && !m.taken && base[e] == m.version -> m.version++; m.accepted = m.accepted | (1 << e)
        :: else
        fi
    :: else
    fi;
    if
    :: e < OTHER -> m.seen = m.seen | (1 << e)
    :: else
    fi
}

inline begin_anew(m)
{
    m.applied = 0; m.version = 0; m.boot = 0; m.moved = 0; m.taken = 0; m.judged = 0; m.seen = 0; m.accepted = 0
}

/* replica_core.c, outbox.c: outbox_unsent, outbox_unsend_*: sent, and sent again; a copy may come when its sender has another life */
inline arrives(r)
{
    (sent >> r) & 1 && tail < LEN ->
    append(r);
    told[r] = tail;
    printf("the leader takes step %d at %d\n", r, tail)
}

proctype leaders()
{
    do
    :: d_step { arrives(1) }
    :: d_step { arrives(2) }
    :: d_step { arrives(3) }
    :: d_step { arrives(4) }
    :: d_step { tail < LEN -> append(OTHER) }
    :: d_step { tail < LEN -> append(MOVED) }
    :: d_step { committed < tail -> committed++; printf("committed: entry %d\n", committed) }
    :: d_step { tail > committed -> /* the next leader lacks the last one; raft_disk.c: truncate_from */
        tail--;
        log[tail] = 0;
        printf("the next leader lacks entry %d\n", tail + 1) }
    od
}

/* It lags, and catches up: what left must not be refused by it later either. */
proctype other()
{
    byte e;
    do
    :: d_step { theirs.applied < committed ->
        apply(theirs);
        printf("the other one applies entry %d: %d\n", theirs.applied, e);
        if
        :: e < OTHER -> assert(((theirs.accepted >> e) & 1) || !((left >> e) & 1)) /* I3 */
        :: else
        fi;
        e = 0 }
    od
}

proctype owner()
{
    byte e, k;
    bit accepts;
    do
    :: d_step { step == 0 && steps < STEPS && !mine.moved && /* run.c, submit.c: submit_step; one uncommitted step per SA */
        mine.boot == life -> /* able: its own BOOT record is applied */
        steps++;
        step = life * STEPS + steps;
        base[step] = mine.version;
        sent = sent | (1 << step);
        printf("step %d is submitted\n", step);
#ifdef BEFORE_COMMIT
        leave(step);
#endif
    }
    :: d_step { mine.applied < committed -> /* replica_apply.c: apply_record */
        accepts = 0;
        k = mine.accepted;
        apply(mine);
        accepts = k != mine.accepted; /* fsm_outcome: the verdict of this copy */
        k = 0;
        printf("entry %d is applied: %d\n", mine.applied, e);
#ifdef BY_INDEX
        /* broken: whatever stands at the index that the leader named was ours */
        if
        :: step != 0 && told[step] == mine.applied && (e != MOVED) -> leave(step); step = 0
        :: else
        fi;
#else
        /* replica_apply.c: emit_applied (outbox_settle), apply.c: settle */
        if
        :: step != 0 && e < OTHER && SAME(e, step) ->
            if
#ifdef VERDICT_IGNORED
            :: true -> leave(step)
#else
            :: accepts -> leave(step)
#endif
            :: else -> printf("step %d was refused, and is forgotten\n", step)
            fi;
            step = 0
        :: else
        fi;
#endif
        e = 0; accepts = 0 }
    :: d_step { theirs.applied > mine.applied -> /* replica_restore.c: a snapshot instead of the entries */
        mine.applied = theirs.applied; mine.version = theirs.version; mine.boot = theirs.boot;
        mine.moved = theirs.moved; mine.taken = theirs.taken; mine.seen = theirs.seen; mine.accepted = theirs.accepted;
#ifdef JUDGED_NOT_SAVED
        mine.judged = 0;
#else
        mine.judged = theirs.judged;
#endif
        printf("a snapshot of entry %d is installed\n", mine.applied);
        if
        :: step != 0 && mine.boot == life && ((mine.judged >> REQUEST_OF(step)) & 1) -> /* restore: judged, and nobody knows how */
#ifdef INSTALLED_AS_ACCEPTED
            leave(step);
#endif
            step = 0
        :: else
        fi }
    :: d_step { life == 0 && tail < LEN -> /* its outbox is gone; it reads its log again, and says that it is here */
        life++;
        steps = 0;
        step = 0;
        begin_anew(mine);
        append(BOOT);
        printf("the owner starts anew\n") }
    od
}

init { atomic { run leaders(); run other(); run owner() } }
