/* What the log rests on: terms, votes, entries that a majority stored, and one disk that lies. Checks I10, and by it that the log is
 * one sequence: where two different entries are applied at one index, two owners get one epoch and the same numbers (I1), or a Delete
 * is undone (I8). Broken: LOST_SUFFIX LOST_VOTE TWO_LEADERS NEW_AS_FRESH UNCONFIRMED
 * FILLED_TO_COMMIT PEERS_ONLY SUSPECT_VOTES SUSPECT_COUNTS. MADE_ANEW: the disk that lies has lost everything.
 *
 * Raft as in libraft (replication/raft.md), driven by replication/raft_*.c: one message is one step, for a frame of an older term
 * is refused, and one of an older connection is dropped (raft_wraps.c, defect 11). A restart alone loses nothing that counts here
 * (it is a node that is slow, and steps down), so only those that lose data are modelled: LIES of them in all. The node is found out
 * (I10: high-water file, generation id, a marker of a restore) and under suspicion then: it neither votes, nor campaigns, nor
 * counts, until a leader whose term and commit index were confirmed since by a majority without it has filled its log:
 * replication/raft_muted.c. A program that refuses to start is the same, but that it never ends.
 *
 * Entries of term 1 are a Delete, those of other terms assignments.
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

mtype = { FOLLOWER, CANDIDATE, LEADER };

typedef node_t {
    mtype role;
    byte term, vote;        /* vote: node + 1; 0 = none. On the disk before it is sent: raft_send.c */
    byte log[ENTRIES];
    byte stored, commit;
    byte votes;             /* a candidate's, one bit each */
    byte match[N];          /* a leader's: entries that the node acknowledged */
    bit suspect;
};

node_t node[N];
byte decided[ENTRIES];      /* what was applied first at each index; 0 = nothing yet */
byte lies;

#ifdef SUSPECT_VOTES /* raft_muted.c: raft_muted_ignores, raft_muted_waits */
#define silent(n) false
#else
#define silent(n) node[n].suspect
#endif
#ifdef SUSPECT_COUNTS /* raft_muted.c: counts */
#define left_out(n) false
#else
#define left_out(n) node[n].suspect
#endif
#define last_term(n) (node[n].stored == 0 -> 0 : TERM(node[n].log[node[n].stored - 1]))
#define up_to_date(c, v) (last_term(c) > last_term(v) || (last_term(c) == last_term(v) && node[c].stored >= node[v].stored))
#define acked(l, i) ((node[l].match[0] > i) + (node[l].match[1] > i) + (node[l].match[2] > i))

inline applies(n, i) /* raft_deliver.c, replica_apply.c */
{
    printf("node %d applies the entry of term %d by node %d at %d\n", n, TERM(node[n].log[i]), node[n].log[i] % 4, i + 1);
    if
    :: decided[i] == 0 -> decided[i] = node[n].log[i]
    :: decided[i] != 0 && TERM(decided[i]) == 1 -> assert(decided[i] == node[n].log[i]) /* I8: the Delete that was applied is gone */
    :: else -> assert(decided[i] == node[n].log[i]) /* I1: two assignments of one epoch, with the same numbers */
    fi
}

inline adopt(n, m) /* the term of m */
{
    node[n].term = node[m].term;
    node[n].vote = 0;
    node[n].role = FOLLOWER;
    node[n].votes = 0;
    node[n].match[0] = 0; node[n].match[1] = 0; node[n].match[2] = 0
}

inline campaign(n)
{
    d_step { node[n].role != LEADER && node[n].term < TERMS && !silent(n) ->
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

inline propose(n)
{
    d_step { node[n].role == LEADER && node[n].stored < ENTRIES ->
        node[n].log[node[n].stored] = ENTRY(node[n].term, n);
        node[n].stored++;
        node[n].match[n] = node[n].stored;
        printf("node %d appends entry %d\n", n, node[n].stored) }
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
            if :: i + 1 < ENTRIES -> node[f].log[ENTRIES - 1] = 0 :: else fi;
            printf("node %d stores entry %d of node %d\n", f, i + 1, l)
        fi;
        if :: !left_out(f) && node[l].match[f] <= i -> node[l].match[f] = i + 1 :: else fi;
        if
        :: node[l].commit > i && node[f].commit == i -> node[f].commit = i + 1; applies(f, i)
        :: else
        fi }
}

#if ENTRIES == 2
#define counts(l, i) ((TERM(node[l].log[i]) == node[l].term && acked(l, i) >= 2) || \
    (i == 0 && node[l].stored > 1 && TERM(node[l].log[1]) == node[l].term && acked(l, 1) >= 2))
#else
#define counts(l, i) (TERM(node[l].log[i]) == node[l].term && acked(l, i) >= 2)
#endif

/* Only entries of its own term by counting, those before with it. */
inline count(l, i)
{
    d_step { node[l].role == LEADER && node[l].stored > i && node[l].commit == i && counts(l, i) ->
        node[l].commit = i + 1;
        applies(l, i) }
}

/* The disk lies: what was acknowledged is gone after a start. */
inline forget(n)
{
    lies++;
    node[n].role = FOLLOWER;
    node[n].votes = 0;
    node[n].commit = 0;
    node[n].match[0] = 0; node[n].match[1] = 0; node[n].match[2] = 0
}
#if defined(LOST_SUFFIX) || defined(LOST_VOTE) || defined(TWO_LEADERS) || defined(PEERS_ONLY) || defined(NEW_AS_FRESH)
#define found_out 0
#else
#define found_out 1
#endif

inline lose_suffix(n)
{
    d_step { lies < LIES && node[n].stored > 0 && !node[n].suspect ->
        forget(n);
        node[n].stored--;
        node[n].log[node[n].stored] = 0;
        node[n].suspect = found_out;
        printf("node %d starts anew and has lost entry %d\n", n, node[n].stored + 1) }
}
inline lose_vote(n)
{
    d_step { lies < LIES && node[n].term > 0 && !node[n].suspect ->
        forget(n);
        node[n].term = 0;
        node[n].vote = 0;
        node[n].suspect = found_out;
        printf("node %d starts anew and has lost its term and vote\n", n) }
}
inline lose_vote_alone(n) /* the term is kept: the way to two leaders in one term */
{
    d_step { lies < LIES && node[n].vote > 0 && !node[n].suspect ->
        forget(n);
        node[n].vote = 0;
        node[n].suspect = found_out;
        printf("node %d starts anew and has lost its vote of term %d\n", n, node[n].term) }
}

/* The directory is gone, and one is made in its place under the same id (REPL_DISTRUST_NEW). */
inline lose_all(n)
{
    d_step { lies < LIES && (node[n].stored > 0 || node[n].vote > 0) && !node[n].suspect ->
        forget(n);
        node[n].term = 0;
        node[n].vote = 0;
        node[n].stored = 0;
        node[n].log[0] = 0; node[n].log[ENTRIES - 1] = 0;
        node[n].suspect = found_out;
        printf("node %d starts anew and has lost all\n", n) }
}

/* A peer that remembers more than the node has refuses it (raft_muted.c: doubt). Only who leads remembers, and only until it leads no more. */
inline refuse(n, l)
{
    d_step { node[l].role == LEADER && node[l].match[n] > node[n].stored && !node[n].suspect -> node[n].suspect = 1; node[l].match[n] = 0 }
}

/* I10: trusted again. A majority without it is both others: they are of one term now, one of them leads, has committed an entry of
 * that term, and all that is committed stands in the node's log; as does all that the leader counts as acknowledged by the node
 * from before. In the code the confirmation is a barrier (raft_muted.c: raft_muted_poll, has_barrier) that was appended since, so it
 * lies behind all of that. Broken: whoever leads, and whoever follows it; the commit index as it happens to be. */
#ifdef FILLED_TO_COMMIT
#define filled(n, l) true
#else
#define filled(n, l) (node[n].stored >= node[l].match[n])
#endif
#ifdef UNCONFIRMED
#define confirmed(n, l) true
#else
#define confirmed(n, l) (node[OTHER(n, l)].term == node[l].term && !node[OTHER(n, l)].suspect && node[l].commit > 0 && \
    TERM(node[l].log[node[l].commit - 1]) == node[l].term)
#endif
inline trust(n, l)
{
    d_step { node[n].suspect && node[l].role == LEADER && node[n].term == node[l].term && confirmed(n, l) && filled(n, l) &&
        node[n].stored >= node[l].commit && (node[l].commit == 0 || node[n].log[node[l].commit - 1] == node[l].log[node[l].commit - 1]) ->
        node[n].suspect = 0;
        node[n].vote = l + 1;
        printf("node %d is trusted again, by node %d in term %d\n", n, l, node[n].term) }
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
#ifdef PEERS_ONLY
    :: refuse(n, m)
#endif
    :: trust(n, m)
    od
}

proctype peer(byte n, m) { with(n, m) } /* what n does with messages of m */

proctype server(byte n)
{
    do
    :: campaign(n)
    :: lead(n)
    :: propose(n)
    :: count(n, 0)
#if ENTRIES > 1
    :: count(n, 1)
#endif
#ifdef MADE_ANEW
    :: lose_all(n)
#else
#if !defined(LOST_VOTE) && !defined(TWO_LEADERS)
    :: lose_suffix(n)
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

init
{
    atomic {
        node[0].role = FOLLOWER; node[1].role = FOLLOWER; node[2].role = FOLLOWER;
        run server(0); run server(1); run server(2);
        run peer(0, 1); run peer(0, 2); run peer(1, 0); run peer(1, 2); run peer(2, 0); run peer(2, 1)
    }
}
