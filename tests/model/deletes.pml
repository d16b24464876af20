/* What becomes of a key whose SA's Delete was committed, where states are read back: from snapshots made while the log goes on, at a
 * restart, from another node's snapshot, from a backup, or where one node goes on alone. Checks I8: who may act has no such key. Broken:
 * FORGOTTEN OLD_IMAGE KEPT_AT_INSTALL NO_BOOT BACKED_UP KEPT_AT_RECOVERY.
 *
 * One key; the log is agreed (quorum.pml). Who may act has applied its own BOOT record of this start, which stands behind all that was
 * committed before (replica_owner.c; ownership.pml has leases and epochs). A Delete that is younger than a node's start binds it from
 * where the node has applied it: whoever may act is the one that asks for it, or has no lease any more.
 */
#ifndef LEN
#define LEN 4
#endif
#define N 2
#define OTHER(n) (1 - (n))

mtype = { FILL, CREATE, DELETE, BOOT };

typedef node_t {
    bit up, has;                    /* has: the key, in the state as applied (fsm_sa.c) */
    byte applied, boot;             /* boot: its BOOT record of this start */
    bit bound;                      /* the Delete binds it: committed before this start, or applied */
    byte snap; bit snap_has;        /* on its disk (replica_snapshot.c) */
    bit drafting; byte draft; bit draft_has;
}

node_t node[N];
mtype entry[LEN + 1];
byte committed, created, gone_at;
bit gone;                           /* the Delete is committed, at gone_at; or a new incarnation ended the SA (0) */
bit saved, saved_has;               /* a backup */
bit over;                           /* another incarnation has begun */

inline append(kind)
{
    committed++;
    entry[committed] = kind
}

inline create()
{
    d_step { committed < LEN && created == 0 && !over -> append(CREATE); created = committed; printf("the SA is made at %d\n", committed) }
}
inline delete()
{
    d_step { committed < LEN && created != 0 && !gone && !over -> append(DELETE); gone = 1; gone_at = committed;
        printf("its Delete is committed at %d\n", committed) }
}
inline fill()
{
    d_step { committed < LEN && !over -> append(FILL) }
}

inline announce(n) /* replica_announce */
{
    d_step { node[n].up && node[n].boot == 0 && committed < LEN -> append(BOOT); node[n].boot = committed;
        printf("node %d has its start at %d\n", n, committed) }
}
inline apply(n) /* replica_apply.c, fsm_sa.c */
{
    d_step { node[n].up && node[n].applied < committed ->
        node[n].applied++;
        if
        :: entry[node[n].applied] == CREATE -> node[n].has = 1
        :: entry[node[n].applied] == DELETE -> node[n].has = 0; node[n].bound = 1
        :: else
        fi }
}

#ifdef NO_BOOT
#define may_act(n) (node[n].up)
#else
#define may_act(n) (node[n].up && node[n].boot != 0 && node[n].applied >= node[n].boot)
#endif
inline use(n)
{
    d_step { may_act(n) && node[n].has && node[n].bound ->
        printf("node %d uses the key\n", n);
        assert(false) /* I8: its Delete was committed */ }
}

/* A snapshot is made in slices of what was at one instant (image.c), while the log goes on. */
inline begin_snapshot(n)
{
    d_step { node[n].up && !node[n].drafting && node[n].applied > node[n].snap ->
        node[n].drafting = 1;
        node[n].draft = node[n].applied;
#ifdef FORGOTTEN
        node[n].draft_has = created != 0 && created <= node[n].applied
#else
        node[n].draft_has = node[n].has
#endif
    }
}
inline end_snapshot(n)
{
    d_step { node[n].up && node[n].drafting ->
        node[n].drafting = 0;
#ifdef OLD_IMAGE
        node[n].snap = node[n].applied;
#else
        node[n].snap = node[n].draft;
#endif
        node[n].snap_has = node[n].draft_has;
        node[n].draft = 0;
        node[n].draft_has = 0;
        printf("node %d has a snapshot up to %d\n", n, node[n].snap) }
}

inline read_back(n) /* replica_restore.c: everything is forgotten first */
{
    node[n].applied = node[n].snap;
    node[n].has = node[n].snap_has;
    node[n].bound = node[n].bound || (gone && gone_at <= node[n].snap);
    node[n].drafting = 0;
    node[n].draft = 0;
    node[n].draft_has = 0
}
inline restart(n)
{
    d_step { node[n].up -> read_back(n); node[n].boot = 0; node[n].bound = gone; printf("node %d starts anew\n", n) }
}
inline install(n, m) /* raft_install.c */
{
    d_step { node[n].up && node[m].up && node[m].snap > node[n].applied ->
        node[n].snap = node[m].snap;
#ifdef KEPT_AT_INSTALL
        node[n].snap_has = node[m].snap_has || node[n].has;
#else
        node[n].snap_has = node[m].snap_has;
#endif
        read_back(n);
        printf("node %d takes node %d's snapshot\n", n, m) }
}

inline back_up(n) /* recover.c: recover_backup, without sessions */
{
    d_step { node[n].up && !saved && !over -> saved = 1;
#ifdef BACKED_UP
        saved_has = node[n].has
#else
        saved_has = 0
#endif
    }
}
/* One node goes on under a new incarnation, with a log of its own; all SAs end with that (recover.c: recover_make). */
inline begin_anew(n, keeps)
{
    over = 1;
    node[OTHER(n)].up = 0;
    created = 0;
    gone = 1;
    gone_at = 0;
    committed = 0;
    node[n].snap = 0;
    node[n].snap_has = keeps;
    read_back(n);
    node[n].boot = 0
}
inline restore(n)
{
    d_step { !over && saved && created != 0 -> begin_anew(n, saved_has); printf("node %d is restored from the backup\n", n) }
}
inline recover(n)
{
    d_step { !over && created != 0 ->
#ifdef KEPT_AT_RECOVERY
        begin_anew(n, node[n].has);
#else
        begin_anew(n, 0);
#endif
        printf("node %d is recovered\n", n) }
}

proctype server(byte n)
{
    do
    :: announce(n)
    :: apply(n)
    :: use(n)
    :: begin_snapshot(n)
    :: end_snapshot(n)
    :: restart(n)
    :: install(n, OTHER(n))
    :: back_up(n)
    :: restore(n)
    :: recover(n)
    od
}

proctype owner() { do :: create() :: delete() :: fill() od }

init
{
    atomic { node[0].up = 1; node[1].up = 1; run server(0); run server(1); run owner() }
}
