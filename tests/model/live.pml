/* A majority alive gets an emitting owner (L1). A cycle without progress is an execution in which, from some moment on, nobody emits.
 * Broken: NO_GIVE_UP FAILED_FIRST PROMISE_FOR_EVER.
 *
 * Node X may be ill in any way, for good: dead, or unhealthy, or any set of its four one-way links gone. The other two are well and
 * connected both ways; one of them may start anew, once. The leader may change CHANGES times, then one of the two leads (that Raft comes
 * to that is the driver's own affair: tests/unit/raft). Time goes in turns of one promise's length: within one, messages between
 * nodes that are connected arrive and are answered (that is what "timely" means), and what was not renewed within one is over.
 * Epochs are told apart only as the newest and older ones.
 */
#ifndef CHANGES
#define CHANGES 1
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif
#define N 3
#define GIVE_UP 3 /* ownership.h: OWNERSHIP_GIVE_UP_LEASES */

byte x, changes, restarts;
bit dead, ill;             /* X: does not run; runs, but is not healthy */
bit gone[6];               /* X's links: 2 * other + (0: from X, 1: to X) */
byte lead, owner;          /* owner of the newest epoch */
bit former;                /* ... in an earlier start of that node */
bit assigned;              /* there is an epoch */
byte without;              /* turns that the owner had no lease: ownership.c: gives_up */
bit given_up;
bit fresh;                 /* assigned in this turn: the lapse period starts again */
bit applied[N];            /* has applied the newest epoch */
bit heard[N];              /* in this turn, from its owner */
byte promised[N];          /* 0 = nothing, 1 = the newest epoch, 2 = an older one */
bit renewed[N];
bit silent[N];             /* after a start: ownership.c: silent */
byte acks, lapses, k;
bit emitted;

#define runs(n) (!((n) == x && dead))
#define link(a, b) (runs(a) && runs(b) && ((a) == (b) || !((a) == x && gone[2 * (b)]) && !((b) == x && gone[2 * (a) + 1])))
#define healthy(n) (runs(n) && !((n) == x && ill) && !silent[n])
/* ownership_heartbeats: the owner asks, while it may */
#define asks (assigned && healthy(owner) && applied[owner] && !former && !given_up)

inline hear(n) /* ownership_heard, ownership_acked */
{
    if
    :: asks && link(owner, n) ->
        if :: applied[n] -> heard[n] = 1 :: else fi;
        if
        :: !silent[n] && (promised[n] == 0 || promised[n] == 1) ->
            promised[n] = 1;
            renewed[n] = 1;
            if :: link(n, owner) -> acks++ :: else fi
        :: else
        fi
    :: else
    fi
}

inline lapse(n) /* ownership_lapsed, ownership_report_lapse: told to the leader */
{
    if
    :: applied[n] && !heard[n] && !fresh && promised[n] == 0 && link(n, lead) -> lapses++
    :: else
    fi
}

inline turn_ends(n) /* promises that were not renewed are over; who started anew has waited, and its BOOT record is applied */
{
    if
#ifndef PROMISE_FOR_EVER
    :: !renewed[n] -> promised[n] = 0
#endif
    :: else
    fi;
    renewed[n] = 0;
    heard[n] = 0;
    if :: silent[n] && link(n, lead) && link(lead, n) -> silent[n] = 0 :: else fi;
    if :: assigned && link(lead, n) -> applied[n] = 1 :: else fi
}

/* ownership_candidate, choose, better: the node that just failed last of all; otherwise anybody (the rest of the order is nothing
 * that progress may rest on) */
#define candidate(n) (healthy(n) && link(n, lead))
#ifdef FAILED_FIRST
#define chosen(n) (candidate(n) && ((n) == owner || !candidate(owner)))
#else
#define chosen(n) (candidate(n) && ((n) != owner || former || !(candidate(0) && owner != 0 || candidate(1) && owner != 1 || candidate(2) && owner != 2)))
#endif
inline assign(n)
{
    owner = n;
    assigned = 1;
    former = 0;
    given_up = 0;
    without = 0;
    fresh = 1;
    applied[0] = link(lead, 0); applied[1] = link(lead, 1); applied[2] = link(lead, 2);
    if :: promised[0] == 1 -> promised[0] = 2 :: else fi;
    if :: promised[1] == 1 -> promised[1] = 2 :: else fi;
    if :: promised[2] == 1 -> promised[2] = 2 :: else fi;
    printf("node %d is the owner\n", n)
}

proctype world()
{
    do
    :: atomic {
        acks = 0;
        hear(0); hear(1); hear(2);
        if
        :: acks >= 2 -> without = 0; emitted = 1; printf("node %d emits\n", owner)
        :: else -> /* gives_up: who gets no lease for so long stops asking */
            if
            :: asks && without < GIVE_UP -> without++
#ifndef NO_GIVE_UP
            :: asks && without == GIVE_UP -> given_up = 1; printf("node %d gives up\n", owner)
#endif
            :: else
            fi
        fi;
        lapses = 0;
        lapse(0); lapse(1); lapse(2);
        fresh = 0;
        k = 0;
        if /* ownership_decide, lapsed_by_majority: the leader itself among them */
        :: !assigned || (lapses >= 2 && applied[lead] && !heard[lead] && promised[lead] == 0) ->
            if
            :: chosen(0) -> assign(0)
            :: chosen(1) -> assign(1)
            :: chosen(2) -> assign(2)
            :: else
            fi
        :: else
        fi;
        acks = 0;
        lapses = 0;
        turn_ends(0); turn_ends(1); turn_ends(2) };
        if
        :: emitted ->
progress:   emitted = 0
        :: else
        fi
    od
}

/* Faults, any time before the last. */
proctype faults()
{
    do
    :: atomic { changes < CHANGES -> changes++; if :: lead != 0 && x != 0 -> lead = 0 :: lead != 1 && x != 1 -> lead = 1 :: lead != 2 && x != 2 -> lead = 2 fi }
    :: atomic { restarts < RESTARTS -> restarts++;
        if
        :: x != 0 -> k = 0
        :: x != 1 -> k = 1
        :: x != 2 -> k = 2
        fi;
        promised[k] = 0; renewed[k] = 0; heard[k] = 0; silent[k] = 1;
        if :: assigned && owner == k -> former = 1 :: else fi;
        k = 0 }
    :: atomic { !dead -> dead = 1; printf("node %d dies\n", x) }
    :: atomic { !ill -> ill = 1; printf("node %d is unhealthy\n", x) }
    :: break
    od
}

init
{
    atomic {
        if :: x = 0 :: x = 1 :: x = 2 fi;
        if :: x != 0 -> lead = 0 :: x != 1 -> lead = 1 :: x != 2 -> lead = 2 fi;
        if :: gone[0] = 1 :: skip fi; if :: gone[1] = 1 :: skip fi; if :: gone[2] = 1 :: skip fi;
        if :: gone[3] = 1 :: skip fi; if :: gone[4] = 1 :: skip fi; if :: gone[5] = 1 :: skip fi;
        gone[2 * x] = 0; gone[2 * x + 1] = 0;
        run world();
        run faults()
    }
}
