/* One owner at a time: leases, promises, epochs, restarts, a paused owner that wakes, handovers. Checks I5 (and I13: nothing
 * starts without an applied assignment and a lease). Broken: ACT_ON_APPLY TWO_PROMISES SHORT_PROMISE NO_WAIT NO_BOOT_RECORD.
 *
 * The log is what quorum.pml shows that it is: one sequence, every node applies a prefix of it at its own pace. The leader may
 * assign at any moment, to anybody: reports of lapse tell it when, they prove nothing, so no guard here rests on them.
 *
 * Time. Only one thing is assumed of clocks that drift by up to 1 %: a lease that rests on a heartbeat is over before any promise
 * that acknowledged this heartbeat ends.
 *     sent <= received; lease = sent + L - 1 % by the owner's clock; promise = received + L + 1 % by the giver's
 * So each heartbeat has one instant at which a lease that rests on it is over; over[e] counts those that have come, at any time, in
 * order. A node may end its promise, or the silence after a start, only when the instants of all heartbeats that it
 * acknowledged have come. Nothing else limits time: a step may take for ever (SIGSTOP), messages may come late, twice, in any
 * order or never. Acknowledgements count from the moment when they are given: for the owner that is the earliest, so the longest lease.
 */
#ifndef EPOCHS
#define EPOCHS 3   /* assignments */
#endif
#ifndef BEATS
#define BEATS 2    /* heartbeats per epoch: the first, and a renewal */
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif
#define N 3

typedef epoch_t {
    byte node;           /* its owner (replication/fsm.h: struct fsm_shard) */
    bit former;          /* ... in a start that has ended since: no start is named twice (boot ids) */
    bit handover;        /* made by a handover: the former owner had stopped */
    bit still;           /* its owner has stopped for a handover (node/conductor/handover.c: HANDOVER_STILL and later) */
    byte sent, over;     /* heartbeats sent; those whose lease is over */
    byte gave[N];        /* newest heartbeat that each node acknowledged, in whatever start; 0 once its instant has come */
};
typedef node_t {
    byte ep;             /* newest epoch applied (struct ownership_shard: epoch) */
    bit taken;           /* its assignment came from the log, not from a snapshot (ownership_restored) */
    byte booted;         /* epochs that stand in the log before this start's BOOT record; UNBOOTED = it is not committed yet */
    bit waited;          /* a promise's length has passed since the start (ownership.c: silent) */
    byte highest;        /* epoch acknowledged or applied */
    byte promised;       /* 0 = no promise outstanding */
};
#define UNBOOTED 15

epoch_t epoch[EPOCHS + 1]; /* [0]: none */
node_t node[N];
byte newest, restarts, started;

#define mine(n) (node[n].ep > 0 && epoch[node[n].ep].node == n && !epoch[node[n].ep].former && node[n].taken)
#define lives(e, k) (epoch[e].gave[k] > 0)
#define leased(e) ((lives(e, 0) + lives(e, 1) + lives(e, 2)) >= 2)
/* ownership.c: ownership_held */
#ifdef ACT_ON_APPLY
#define held(n) (mine(n))
#else
#define held(n) (mine(n) && leased(node[n].ep))
#endif
#define acts(n) (held(n) && !epoch[node[n].ep].still)

/* I5: nobody else may act now, and nobody has acted in a newer epoch before. */
inline start(n)
{
    printf("node %d starts a batch in epoch %d\n", n, node[n].ep);
    assert(node[n].ep >= started); /* I5 */
    assert((n == 0 || !acts(0)) && (n == 1 || !acts(1)) && (n == 2 || !acts(2))); /* I5 */
    started = node[n].ep
}

/* The owner's side: replication/ownership.c (ownership_heartbeats, ownership_acked, ownership_held), replica_owner.c (beat,
 * replica_publish_leases), node/io/worker.c (lease_epoch, worker_batch_begin). */
proctype owner(byte n)
{
    do
    :: d_step { mine(n) && epoch[node[n].ep].sent < BEATS -> /* ownership_heartbeats */
        epoch[node[n].ep].sent++;
        printf("node %d sends heartbeat %d of epoch %d\n", n, epoch[node[n].ep].sent, node[n].ep) }
    :: d_step { acts(n) -> start(n) } /* worker_batch_begin: the lease is looked at, then the batch begins */
    :: d_step { acts(n) -> /* conductor_give, stand_still: it starts nothing more, for the log's word alone ends that (handover.pml) */
        epoch[node[n].ep].still = 1;
        printf("node %d stands still for a handover\n", n) }
    od
}

/* Who promises: replication/ownership.c (ownership_heard, silent, ownership_assigned), replica_owner.c (answer_heartbeats). */
inline hear(n, e, b)
{
    d_step {
        epoch[e].sent >= b &&
#ifndef NO_WAIT
        node[n].waited && /* silent(): started_ns */
#endif
#ifndef NO_BOOT_RECORD
        node[n].ep >= node[n].booted && /* silent(): confirmed, the own BOOT record is applied */
#endif
        e >= node[n].highest && /* repl_epoch_less(beat->epoch, s->highest) */
#ifndef TWO_PROMISES
        (node[n].promised == 0 || node[n].promised == e) && /* now_ns < s->promised_until_ns && ... */
#endif
        (epoch[e].gave[n] < b || node[n].promised != e) -> /* the same once more changes nothing */
        node[n].highest = e;
        node[n].promised = e;
        if :: epoch[e].gave[n] < b && epoch[e].over < b -> epoch[e].gave[n] = b :: else fi; /* one that came late ends no promise sooner */
        printf("node %d promises epoch %d (heartbeat %d)\n", n, e, b)
    }
}

inline apply_assignment(n)
{
    node[n].ep++;
    node[n].taken = 1;
    if :: node[n].ep > node[n].highest -> node[n].highest = node[n].ep :: else fi;
    if /* ownership_assigned: a handover releases the promise to the epoch that it replaces, no older one */
    :: epoch[node[n].ep].handover && node[n].promised == node[n].ep - 1 -> node[n].promised = 0
    :: else
    fi;
    printf("node %d applies epoch %d\n", n, node[n].ep)
}

inline restore(n) /* ownership_restored: never makes an owner, releases nothing */
{
    node[n].ep = newest;
    node[n].taken = 0;
    if :: newest > node[n].highest -> node[n].highest = newest :: else fi;
    printf("node %d restores a snapshot, epoch %d\n", n, newest)
}

#define came(n, e) (epoch[e].gave[n] == 0)
#ifdef SHORT_PROMISE
#define ends(n) true
#else
#define ends(n) came(n, node[n].promised)
#endif
#if EPOCHS == 2
#define all_came(n) (came(n, 1) && came(n, 2))
#else
#define all_came(n) (came(n, 1) && came(n, 2) && came(n, 3))
#endif

proctype giver(byte n)
{
    do
    :: hear(n, 1, 1)
    :: hear(n, 2, 1)
#if BEATS > 1
    :: hear(n, 1, 2)
    :: hear(n, 2, 2)
#endif
#if EPOCHS > 2
    :: hear(n, 3, 1)
#if BEATS > 1
    :: hear(n, 3, 2)
#endif
#endif
    :: d_step { node[n].promised != 0 && ends(n) -> /* promised_until_ns has come */
        printf("node %d: promise to epoch %d ends\n", n, node[n].promised); node[n].promised = 0 }
#if RESTARTS > 0
    :: d_step { !node[n].waited && all_came(n) -> node[n].waited = 1 }
#endif
    :: d_step { node[n].ep < newest -> /* replica_apply.c: replica_on_apply, take_assignment */
        apply_assignment(n) }
    od
}

/* The leader, and what gets committed: replica_lead.c (push_assignment, replica_announce), fsm.c (apply_assign, apply_boot):
 * compare-and-set of the epoch, the owner's boot the newest known. */
inline assign(k, by_handover)
{
    newest++;
    epoch[newest].node = k;
    epoch[newest].handover = by_handover;
    printf("committed: epoch %d, owner node %d, handover %d\n", newest, k, by_handover)
}

proctype leader()
{
    do /* epoch 1 is node 0's; epoch 2 node 0's or 1's: 1 and 2 differ by their names until then */
    :: d_step { newest < EPOCHS -> assign(0, 0) }
    :: d_step { newest < EPOCHS -> assign(1, 0) }
    :: d_step { newest < EPOCHS && epoch[newest].still && epoch[newest].node != 1 -> assign(1, 1) }
#if EPOCHS > 2
    :: d_step { newest < EPOCHS && newest > 1 -> assign(2, 0) }
    :: d_step { newest < EPOCHS && epoch[newest].still && epoch[newest].node != 0 -> assign(0, 1) }
    :: d_step { newest < EPOCHS && epoch[newest].still && epoch[newest].node != 2 && newest > 1 -> assign(2, 1) }
#endif
    od
}

/* Clocks: a lease's end comes at any time (see above). */
inline pass(e)
{
    d_step { epoch[e].over < epoch[e].sent ->
        epoch[e].over++;
        if :: epoch[e].gave[0] <= epoch[e].over -> epoch[e].gave[0] = 0 :: else fi;
        if :: epoch[e].gave[1] <= epoch[e].over -> epoch[e].gave[1] = 0 :: else fi;
        if :: epoch[e].gave[2] <= epoch[e].over -> epoch[e].gave[2] = 0 :: else fi;
        printf("a lease by heartbeat %d of epoch %d would be over\n", epoch[e].over, e) }
}

proctype clock()
{
    do
    :: pass(1)
    :: pass(2)
#if EPOCHS > 2
    :: pass(3)
#endif
    od
}

#if RESTARTS > 0
/* kill -9 and a new start, from its log or from a snapshot (ownership_init, ownership_restored, replica_announce). */
proctype fault(byte n)
{
    do
    :: d_step { restarts < RESTARTS ->
        restarts++;
        node[n].ep = 0; node[n].taken = 0; node[n].highest = 0; node[n].promised = 0; node[n].waited = 0;
        node[n].booted = UNBOOTED;
        if :: epoch[1].node == n -> epoch[1].former = 1 :: else fi;
        if :: newest > 1 && epoch[2].node == n -> epoch[2].former = 1 :: else fi;
#if EPOCHS > 2
        if :: newest > 2 && epoch[3].node == n -> epoch[3].former = 1 :: else fi;
#endif
        printf("node %d starts anew\n", n) }
    :: d_step { node[n].booted == UNBOOTED -> node[n].booted = newest; printf("committed: BOOT of node %d\n", n) }
    :: d_step { node[n].booted > node[n].ep && node[n].ep + 1 < newest ->
        restore(n) }
    od
}
#endif

/* Epoch 1 is node 0's, and everybody has applied it: no other beginning differs but by names. */
init
{
    atomic {
        newest = 1;
        node[0].ep = 1; node[1].ep = 1; node[2].ep = 1;
        node[0].highest = 1; node[1].highest = 1; node[2].highest = 1;
        node[0].taken = 1; node[1].taken = 1; node[2].taken = 1;
        node[0].waited = 1; node[1].waited = 1; node[2].waited = 1;
        run owner(0); run owner(1); run owner(2);
        run giver(0); run giver(1); run giver(2);
#if RESTARTS > 0
        run fault(0); run fault(1); run fault(2);
#endif
        run leader(); run clock()
    }
}
