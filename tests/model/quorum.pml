/* What the log rests on: terms, votes, entries that a majority stored, and disks that lie. Checks I10: no two entries are ever applied
 * at one index (two owners would get one epoch and the same numbers, or a Delete be undone: deletes.pml). Broken: LOST_SUFFIX LOST_VOTE
 * TWO_LEADERS NEW_AS_FRESH PEERS_ONLY, and without the rules of raft_muted.c and raft_found.c: SUSPECT_VOTES SUSPECT_COUNTS UNCONFIRMED
 * FILLED_TO_COMMIT OLD_BARRIER AMONG_NEW. MADE_ANEW: disks are replaced, the directory made anew. FROM_NEW: it begins with new ones.
 *
 * Raft as in libraft (replication/raft.md), driven by replication/raft_*.c: one message is one step, for a frame of an older term
 * is refused, and one of an older connection is dropped (raft_wraps.c, defect 11); TRUST alone may come at any time after it was sent.
 * A restart alone loses nothing that counts here (it is a node that is slow, and steps down), so only those that lose data are
 * modelled: LIES of them in all. The node is found out (I10: high-water file, a marker of a restore) and muted then: it neither votes,
 * nor campaigns, nor counts, until it has stored a barrier that its leader appended when it heard of this start, and committed
 * without it: replication/raft_muted.c. A directory made anew is NEW, which is muted, too, and may found a cluster: founding.pml has
 * that alone, with late answers and more terms. A program that refuses to start is as one that is muted for ever.
 *
 * All nodes start alike, so the first candidate is node 0.
 */
#ifndef TERMS
#define TERMS 3
#endif
#ifndef ENTRIES
#define ENTRIES 2
#endif
#ifndef LIES
#define LIES 1
#endif
#define N 3
#define OTHER(a, b) (3 - (a) - (b))
#define ENTRY(term, leader) (4 * (term) + (leader))
#define TERM(entry) ((entry) / 4)

mtype:role = { FOLLOWER, CANDIDATE, LEADER };
mtype:disk = { TRUSTED, LOST, NEW, AGREED }; /* storage.h: enum repl_distrust */

typedef node_t {
    mtype:role role;
    mtype:disk disk;
    byte term, vote;        /* vote: node + 1; 0 = none. On the disk before it is sent: raft_send.c */
    byte log[ENTRIES];
    byte stored, commit;
    byte votes;             /* a candidate's, one bit each */
    byte match[N];          /* a leader's: entries that the node acknowledged */
    byte doubt[N];          /* a leader's: the start of which the node said that it is muted (boot id); 0 = it counts */
    byte barrier[N];        /* a leader's: where the barrier for that start stands; 0 = none */
    byte boot;              /* its starts that lost data, and 1 */
    byte told, told_at;     /* TRUST on its way to this start, or arrived: the barrier and its index */
    byte heard;             /* of whom it knows, since this start, that they hold entry 1 alone (FOUND), one bit each */
};

node_t node[N];
byte decided[ENTRIES];      /* what was applied first at each index; 0 = nothing yet */
byte lies;

#define suspect(n) (node[n].disk != TRUSTED)
#ifdef SUSPECT_VOTES /* raft_muted.c: raft_muted_ignores, raft_muted_waits */
#define silent(n) false
#else
#define silent(n) suspect(n)
#endif
#ifdef SUSPECT_COUNTS /* raft_muted.c: counts */
#define counted(l, n) true
#else
#define counted(l, n) (node[l].doubt[n] == 0)
#endif
#define last_term(n) (node[n].stored == 0 -> 0 : TERM(node[n].log[node[n].stored - 1]))
#define up_to_date(c, v) (last_term(c) > last_term(v) || (last_term(c) == last_term(v) && node[c].stored >= node[v].stored))
#define copy(l, n, i) (node[l].match[n] > i && counted(l, n))
#define acked(l, i) (copy(l, 0, i) + copy(l, 1, i) + copy(l, 2, i)) /* raft_muted.c: others_have */

inline applies(n, i) /* raft_deliver.c, replica_apply.c */
{
    printf("node %d applies the entry of term %d by node %d at %d\n", n, TERM(node[n].log[i]), node[n].log[i] % 4, i + 1);
    decided[i] = (decided[i] == 0 -> node[n].log[i] : decided[i]);
    assert(decided[i] == node[n].log[i]) /* I10: another entry was applied at this index */
}

inline forget_peers(n)
{
    node[n].role = FOLLOWER;
    node[n].votes = 0;
    node[n].match[0] = 0; node[n].match[1] = 0; node[n].match[2] = 0;
    node[n].doubt[0] = 0; node[n].doubt[1] = 0; node[n].doubt[2] = 0;
    node[n].barrier[0] = 0; node[n].barrier[1] = 0; node[n].barrier[2] = 0
}

inline adopt(n, m) /* the term of m */
{
    node[n].term = node[m].term;
    node[n].vote = 0;
    forget_peers(n)
}

#define nobody_began (node[0].term == 0 && node[1].term == 0 && node[2].term == 0 && lies == 0)
inline campaign(n)
{
    d_step { node[n].role != LEADER && node[n].term < TERMS && !silent(n) && (n == 0 || !nobody_began) ->
        node[n].term++;
        node[n].vote = n + 1;
        node[n].votes = 1 << n;
        node[n].role = CANDIDATE;
        printf("node %d is a candidate of term %d\n", n, node[n].term) }
}

inline grant(v, c) /* RequestVote, and its answer */
{
    d_step { node[c].role == CANDIDATE && node[c].term >= node[v].term && !silent(v) && up_to_date(c, v) &&
        (node[c].term > node[v].term || node[v].vote == 0) ->
        if :: node[c].term > node[v].term -> adopt(v, c) :: else fi;
        node[v].vote = c + 1;
        node[v].role = FOLLOWER;
        node[c].votes = node[c].votes | (1 << v);
        printf("node %d votes for node %d in term %d\n", v, c, node[c].term) }
}

inline hear_term(n, m) /* any message that tells a higher term */
{
    d_step { node[m].term > node[n].term -> adopt(n, m) }
}

inline lead(n)
{
    d_step { node[n].role == CANDIDATE && (node[n].votes & (node[n].votes - 1)) != 0 ->
        node[n].role = LEADER;
        node[n].votes = 0;
        node[n].match[n] = node[n].stored;
        printf("node %d leads in term %d\n", n, node[n].term) }
}

inline append_entry(p)
{
    node[p].log[node[p].stored] = ENTRY(node[p].term, p);
    node[p].stored++;
    node[p].match[n] = node[p].stored
}
inline propose(n)
{
    d_step { node[n].role == LEADER && node[n].stored < ENTRIES ->
        append_entry(n);
        printf("node %d appends entry %d\n", n, node[n].stored) }
}

/* The answer of a node says whether it is muted (raft_muted.c: raft_weigh_result). */
inline doubts(d, p)
{
    node[d].doubt[p] = node[p].boot;
#ifndef OLD_BARRIER
    node[d].barrier[p] = 0;
#endif
    node[d].match[p] = 0 /* forget_match */
}
inline weigh(d, p)
{
    if
    :: suspect(p) && node[d].doubt[p] != node[p].boot -> doubts(d, p)
    :: !suspect(p) -> node[d].doubt[p] = 0; node[d].barrier[p] = 0
    :: else
    fi
}
inline hear_result(l, f) /* of a heartbeat */
{
    d_step { node[l].role == LEADER && suspect(f) && node[l].term == node[f].term && node[l].doubt[f] != node[f].boot ->
        doubts(l, f);
        printf("node %d hears that node %d is muted\n", l, f) }
}

inline cut(p, from)
{
    node[p].log[0] = (from < 1 -> 0 : node[p].log[0]);
#if ENTRIES > 1
    node[p].log[1] = (from < 2 -> 0 : node[p].log[1]);
#endif
#if ENTRIES > 2
    node[p].log[2] = (from < 3 -> 0 : node[p].log[2]);
#endif
}

/* AppendEntries of entry i and its answer. Who contradicts what was committed fails (raft_disk.c: truncate_from), so never does. */
inline append(f, l, i)
{
    d_step { node[l].role == LEADER && node[f].term <= node[l].term && i < node[l].stored && node[f].stored >= i &&
        !(node[f].role == LEADER && node[f].term == node[l].term) &&
        (i == 0 || node[f].log[i - 1] == node[l].log[i - 1]) &&
        !(i < node[f].commit && node[f].log[i] != node[l].log[i]) ->
        if
        :: node[f].term < node[l].term -> adopt(f, l)
        :: else -> node[f].role = FOLLOWER; node[f].votes = 0
        fi;
        if
        :: node[f].stored > i && node[f].log[i] == node[l].log[i] -> skip
        :: else ->
            node[f].log[i] = node[l].log[i];
            node[f].stored = i + 1;
            cut(f, i + 1);
            printf("node %d stores entry %d of node %d\n", f, i + 1, l)
        fi;
        weigh(l, f);
        if :: node[l].match[f] <= i -> node[l].match[f] = i + 1 :: else fi;
        if
        :: node[l].commit > i && node[f].commit == i -> node[f].commit = i + 1; applies(f, i)
        :: else
        fi }
}

#define own(l, i) (node[l].stored > i && TERM(node[l].log[i]) == node[l].term && acked(l, i) >= 2)
#if ENTRIES == 3
#define counts(l, i) (own(l, i) || (i < 1 && own(l, 1)) || (i < 2 && own(l, 2)))
#elif ENTRIES == 2
#define counts(l, i) (own(l, i) || (i < 1 && own(l, 1)))
#else
#define counts(l, i) own(l, i)
#endif

/* Only entries of its own term by counting, those before with it. */
inline count(l, i)
{
    d_step { node[l].role == LEADER && node[l].stored > i && node[l].commit == i && counts(l, i) ->
        node[l].commit = i + 1;
        applies(l, i) }
}

/* The disk lies: what was acknowledged is gone after a start. */
#if defined(LOST_SUFFIX) || defined(LOST_VOTE) || defined(TWO_LEADERS) || defined(PEERS_ONLY) || defined(NEW_AS_FRESH)
#define found_out(as) TRUSTED
#else
#define found_out(as) as
#endif
inline forget(n, as)
{
    lies++;
    forget_peers(n);
    node[n].commit = 0;
    node[n].boot++;
    node[n].told = 0;
    node[n].told_at = 0;
    node[n].heard = 0;
    node[n].disk = found_out(as)
}
#define lie(n) (lies < LIES && (!suspect(n) || LIES > 1))

inline lose_suffix(n, keep)
{
    d_step { lie(n) && node[n].disk != NEW && node[n].stored > keep ->
        forget(n, LOST);
        node[n].stored = keep;
        cut(n, keep);
        printf("node %d starts anew and has lost what is behind entry %d\n", n, keep) }
}
inline lose_vote(n)
{
    d_step { lie(n) && node[n].disk != NEW && node[n].term > 0 ->
        forget(n, LOST);
        node[n].term = 0;
        node[n].vote = 0;
        printf("node %d starts anew and has lost its term and vote\n", n) }
}
inline lose_vote_alone(n) /* the term is kept: the way to two leaders in one term */
{
    d_step { lie(n) && node[n].disk != NEW && node[n].vote > 0 ->
        forget(n, LOST);
        node[n].vote = 0;
        printf("node %d starts anew and has lost its vote of term %d\n", n, node[n].term) }
}

/* The directory is gone, and one is made in its place under the same id (wal_high_water.c: wal_high_water_create). */
inline lose_all(n)
{
    d_step { lie(n) && (node[n].stored > 0 || node[n].vote > 0) ->
        forget(n, NEW);
        node[n].term = 0;
        node[n].vote = 0;
        node[n].stored = 0;
        cut(n, 0);
        if
        :: node[0].stored == 0 && node[1].stored == 0 && node[2].stored == 0 -> decided[0] = 0; decided[ENTRIES - 1] = 0; decided[ENTRIES / 2] = 0
        :: else /* who has a history, or nobody: then it is gone, and another one may begin */
        fi;
        printf("node %d is made anew\n", n) }
}

/* A history begins only where each says, to this start of each, that it holds entry 1 alone (raft_found.c: stands, all). */
#define founds(n) ((node[n].disk == NEW || node[n].disk == AGREED) && node[n].stored == 0)
#ifdef AMONG_NEW
#define all_heard(n) (node[n].heard != 0)
#else
#define all_heard(n) (node[n].heard == 7 - (1 << n))
#endif
inline found(n, m)
{
    d_step { node[n].disk == NEW && node[n].stored == 0 && founds(m) && !(node[n].heard & (1 << m)) ->
        node[n].heard = node[n].heard | (1 << m);
        printf("node %d hears that node %d holds entry 1 alone\n", n, m) }
}
inline agree(n)
{
    d_step { node[n].disk == NEW && node[n].stored == 0 && all_heard(n) -> node[n].disk = AGREED; node[n].heard = 0 }
}
inline begin(n) /* no safety rests on its waiting for others */
{
    d_step { node[n].disk == AGREED -> node[n].disk = TRUSTED; printf("node %d begins\n", n) }
}

/* A peer that remembers more than the node has refuses it (raft_muted.c: doubt). Only who leads remembers, and only until it leads no more. */
inline refuse(n, l)
{
    d_step { node[l].role == LEADER && node[l].match[n] > node[n].stored && !suspect(n) ->
        node[n].boot++;
        node[n].disk = LOST;
        node[l].match[n] = 0 }
}

/* I10, the leader: a barrier for that start of the muted node, in this term (raft_muted.c: raft_muted_poll); TRUST, when it is committed
 * by others (answer_muted). Broken: TRUST before that; the commit index as it is, where an entry of this term was committed. */
inline raise_barrier(l, f)
{
    d_step { node[l].role == LEADER && node[l].doubt[f] != 0 && node[l].barrier[f] == 0 && node[l].stored < ENTRIES ->
        append_entry(l);
        node[l].barrier[f] = node[l].stored;
        printf("node %d appends entry %d, a barrier for node %d\n", l, node[l].stored, f) }
}
#if defined(FILLED_TO_COMMIT)
#define shown(l, n) node[l].commit
#define vouched(l, n) (node[l].commit > 0 && TERM(node[l].log[node[l].commit - 1]) == node[l].term)
#elif defined(UNCONFIRMED)
#define shown(l, n) node[l].barrier[n]
#define vouched(l, n) (node[l].barrier[n] > 0)
#else
#define shown(l, n) node[l].barrier[n]
#define vouched(l, n) (node[l].barrier[n] > 0 && node[l].commit >= node[l].barrier[n])
#endif
inline tell_trust(l, f)
{
    d_step { node[l].role == LEADER && node[l].doubt[f] == node[f].boot && suspect(f) && vouched(l, f) &&
        (node[f].told != node[l].log[shown(l, f) - 1] || node[f].told_at != shown(l, f)) ->
        node[f].told = node[l].log[shown(l, f) - 1];
        node[f].told_at = shown(l, f);
        printf("node %d tells node %d to have entry %d\n", l, f, node[f].told_at) }
}
/* The node itself, at any time after, in the term of that barrier (raft_muted_hears, has_barrier, trusted). */
inline trust(n)
{
    d_step { suspect(n) && node[n].told != 0 && TERM(node[n].told) == node[n].term && node[n].role == FOLLOWER &&
        node[n].stored >= node[n].told_at && node[n].log[node[n].told_at - 1] == node[n].told ->
        if :: node[n].vote == 0 -> node[n].vote = node[n].told % 4 + 1 :: else fi;
        printf("node %d is trusted again, by node %d in term %d\n", n, node[n].told % 4, node[n].term);
        node[n].disk = TRUSTED;
        node[n].told = 0;
        node[n].told_at = 0 }
}

inline with(n, m)
{
    do
    :: grant(n, m)
    :: hear_term(n, m)
    :: append(n, m, 0)
#if ENTRIES > 1
    :: append(n, m, 1)
#endif
#if ENTRIES > 2
    :: append(n, m, 2)
#endif
#ifdef PEERS_ONLY
    :: refuse(n, m)
#endif
    :: hear_result(n, m)
    :: raise_barrier(n, m)
    :: tell_trust(n, m)
#if defined(MADE_ANEW) || defined(FROM_NEW)
    :: found(n, m)
#endif
    od
}

proctype peer(byte n, m) { with(n, m) } /* what n does with messages of m */

proctype server(byte n)
{
    do
    :: campaign(n)
    :: lead(n)
    :: propose(n)
    :: trust(n)
    :: count(n, 0)
#if ENTRIES > 1
    :: count(n, 1)
#endif
#if ENTRIES > 2
    :: count(n, 2)
#endif
#if defined(MADE_ANEW) || defined(FROM_NEW)
    :: lose_all(n)
    :: agree(n)
    :: begin(n)
#else
#if !defined(LOST_VOTE) && !defined(TWO_LEADERS)
    :: lose_suffix(n, 0)
#if ENTRIES > 1
    :: lose_suffix(n, 1)
#endif
#if ENTRIES > 2
    :: lose_suffix(n, 2)
#endif
#endif
#if !defined(LOST_SUFFIX) && !defined(PEERS_ONLY) && !defined(TWO_LEADERS)
    :: lose_vote(n)
#endif
#if !defined(LOST_SUFFIX) && !defined(PEERS_ONLY)
    :: lose_vote_alone(n)
#endif
#endif
    od
}

#ifdef FROM_NEW
#define AT_FIRST NEW
#else
#define AT_FIRST TRUSTED
#endif
inline start(n)
{
    node[n].role = FOLLOWER;
    node[n].disk = AT_FIRST;
    node[n].boot = 1;
    run server(n)
}
init
{
    atomic {
        start(0); start(1); start(2);
        run peer(0, 1); run peer(0, 2); run peer(1, 0); run peer(1, 2); run peer(2, 0); run peer(2, 1)
    }
}
