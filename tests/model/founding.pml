/* How a cluster of new directories begins (replication/raft_found.c), where disks are replaced at any moment: up to WIPES directories
 * are made anew under their old ids, before, in, and long after the beginning. Checks I10: no history is committed while a disk holds
 * another one that was; two of them would give one index, so one epoch, to two owners. Broken: MAJORITY STALE AMONG_NEW.
 *
 * A log is the history that it belongs to (0: entry 1 alone, the same on all) and the term of its last entry; each election is of a
 * term of its own (quorum.pml has those that are not). More is possible than in the code: an answer may arrive at any time after it
 * was given, in any order; and who has agreed may begin at once, for raft_found.c rests no safety on its second step.
 */
#ifndef WIPES
#define WIPES 3
#endif
#define N 3
#ifndef TERMS
#define TERMS 3
#endif
#define A(n) ((n + 1) % 3)
#define B(n) ((n + 2) % 3)

mtype = { NEW, AGREED, TRUSTED }; /* storage.h: REPL_DISTRUST_NEW, REPL_DISTRUST_AGREED, REPL_TRUSTED */

typedef node_t {
    mtype disk;
    byte log, last;     /* history; term of the last entry */
    byte term, leads;   /* leads: the term that it leads, or led; 0 = none */
    bit answered[N];    /* in flight to this start: that node held entry 1 alone, and had not begun */
    bit heard[N];       /* ... and arrived */
}

node_t node[N];
bit committed[TERMS + 1]; /* by the term that began the history */
byte terms, wipes;

#ifdef AMONG_NEW /* as it was: a new directory votes for, and follows, who has no more than it */
#define counts(n) (node[n].disk == TRUSTED || node[n].log == 0)
#else
#define counts(n) (node[n].disk == TRUSTED) /* raft_muted.c: raft_muted_ignores, raft_muted_waits, counts */
#endif
#ifdef MAJORITY
#define all_heard(n) (node[n].heard[A(n)] || node[n].heard[B(n)])
#else
#define all_heard(n) (node[n].heard[A(n)] && node[n].heard[B(n)]) /* raft_found.c: all */
#endif
#define holds_another(n, h) (committed[node[n].log] && node[n].log != 0 && node[n].log != h)

inline commits(h)
{
    committed[h] = 1;
    printf("history %d is committed\n", h);
    assert(!holds_another(0, h) && !holds_another(1, h) && !holds_another(2, h)) /* I10 */
}

/* FOUND, with the boot id of the start that it answers (raft_found.c: stands, say). */
inline answer(n, to)
{
    d_step { node[n].disk != TRUSTED && node[n].log == 0 && !node[to].answered[n] && node[to].disk == NEW ->
        node[to].answered[n] = 1;
        printf("node %d tells node %d that it holds entry 1 alone\n", n, to) }
}
inline hear(n, from) /* raft_found_hears */
{
    d_step { node[n].answered[from] && !node[n].heard[from] -> node[n].heard[from] = 1 }
}
inline agree(n) /* raft_found_poll */
{
    d_step { node[n].disk == NEW && node[n].log == 0 && all_heard(n) ->
        node[n].disk = AGREED;
        printf("node %d agrees\n", n) }
}
inline begin(n) /* raft_found_poll, raft_found_begun */
{
    d_step { node[n].disk == AGREED ->
        node[n].disk = TRUSTED;
        printf("node %d begins\n", n) }
}

/* Elected by one other, the leader appends a barrier of its term: the first of a history, where there is none. */
inline lead(n, v)
{
    d_step { counts(n) && counts(v) && node[n].last >= node[v].last && terms < TERMS ->
        terms++;
        node[n].term = terms;
        node[v].term = terms;
        node[n].leads = terms;
        node[v].leads = 0;
        node[n].last = terms;
        if :: node[n].log == 0 -> node[n].log = terms :: else fi;
#ifdef AMONG_NEW
        if :: node[n].disk == NEW -> node[n].disk = TRUSTED :: else fi;
#endif
        printf("node %d leads by the vote of node %d, in history %d\n", n, v, node[n].log) }
}
#define hears(n, l) (node[l].leads != 0 && node[l].leads >= node[n].term && node[n].last < node[l].last)
inline take(n, l)
{
    node[n].term = node[l].leads;
    node[n].leads = 0;
    node[n].log = node[l].log;
    node[n].last = node[l].last
}
inline store(n, l) /* a copy that counts: with the leader's own, a majority */
{
    d_step { counts(n) && counts(l) && hears(n, l) ->
        take(n, l);
#ifdef AMONG_NEW
        if :: node[n].disk == NEW -> node[n].disk = TRUSTED :: else fi;
#endif
        printf("node %d stores history %d\n", n, node[n].log);
        if :: !committed[node[n].log] -> commits(node[n].log) :: else fi }
}

/* A muted node is filled by a leader; trusted when a majority without it has the barrier that it has (raft_muted.c: has_barrier). */
inline fill(n, l)
{
    d_step { !counts(n) && counts(l) && hears(n, l) ->
        take(n, l);
        printf("node %d is filled with history %d\n", n, node[n].log) }
}
inline trust(n)
{
    d_step { node[n].disk != TRUSTED && node[n].last != 0 && counts(A(n)) && counts(B(n)) && node[A(n)].last == node[n].last &&
        node[B(n)].last == node[n].last ->
        node[n].disk = TRUSTED;
        printf("node %d is trusted\n", n) }
}

/* Another start: what was said to the one before is no answer to it. */
inline forget(n)
{
    node[n].heard[A(n)] = 0;
    node[n].heard[B(n)] = 0;
#ifndef STALE
    node[n].answered[A(n)] = 0;
    node[n].answered[B(n)] = 0
#endif
}
inline restart(n)
{
    d_step { node[n].disk != TRUSTED -> forget(n) }
}
inline make_anew(n) /* --init (wal_high_water.c: wal_high_water_create) */
{
    d_step { wipes < WIPES && (node[n].disk != NEW || node[n].log != 0) ->
        wipes++;
        node[n].disk = NEW;
        node[n].log = 0;
        node[n].last = 0;
        node[n].term = 0;
        node[n].leads = 0;
        forget(n);
        printf("node %d is made anew\n", n) }
}

proctype server(byte n)
{
    do
    :: answer(n, A(n))
    :: answer(n, B(n))
    :: hear(n, A(n))
    :: hear(n, B(n))
    :: agree(n)
    :: begin(n)
    :: lead(n, A(n))
    :: lead(n, B(n))
    :: store(n, A(n))
    :: store(n, B(n))
    :: fill(n, A(n))
    :: fill(n, B(n))
    :: trust(n)
    :: restart(n)
    :: make_anew(n)
    od
}

init
{
    atomic {
        node[0].disk = NEW; node[1].disk = NEW; node[2].disk = NEW;
        run server(0); run server(1); run server(2)
    }
}
