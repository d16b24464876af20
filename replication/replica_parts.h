/* Between the files of the replica's core (replica_*.c) only. */
#ifndef HF_REPL_REPLICA_PARTS_H
#define HF_REPL_REPLICA_PARTS_H

#include "replication/fsm.h"
#include "replication/outbox.h"
#include "replication/ownership.h"
#include "replication/raft_driver.h"
#include "replication/replica_core.h"
#include "replication/seal_message.h"
#include "replication/snapshot.h"
#include "replication/witness.h"

enum {
    BATCH_MAX_RECORDS = 1024, /* of one entry */
    BATCH_MAX_BYTES = 1 << 20,
    QUEUE_MAX_RECORDS = 65536, /* waiting at the leader, forwarded ones included */
    QUEUE_MAX_BYTES = 64 << 20,
    LEARNER_BEHIND = 64,        /* entries: who lacks no more has caught up */
    STAMP_EVERY_MS = 900,       /* at least one entry a second */
    RESUBMIT_MS = 1000,         /* sent so long ago and not judged: once more */
    ANNOUNCE_MS = 100,          /* between two tries of the BOOT record */
    REFUSED_WAIT_MS = 10,       /* after a leader refused a forward */
    COOKIE_SECRET_MS = 3600000, /* a new one so often (RFC 7296 2.6: change it frequently) */
    FORGET_MS = 60000,     /* longer than a key is in use nobody is without news of the cluster */
    LEAVE_HEARD_MS = 1000, /* so long a node that is removed is waited for to hear of it */
    LOST_WAIT_MS = 3000,   /* a node that can go on is waited for, when a majority cannot */
    ANSWER_MS = 500,     /* who can go on has so long to say so, where all others seem to be gone */
    WORD_MS = 300,       /* so long counts what another node said of that */
    SOUND_MS = 1000,     /* ... so long it is taken for one to give leadership to */
    AWAIT_MS = 10000,    /* ... and so long a snapshot of it is hoped for */
    UNLED_ELECTIONS = 4, /* so many election timeouts without a leader, and at least */
    UNLED_MS = 1000,     /* ... so long: an owner asks for no lease any more */
    ERASE_AGAIN_MS = 1000,  /* between two times of saying that a key is erased */
    SPARE_KEY_MS = 10000,   /* cluster time: a key that nothing names is nobody's by then */
    SWEEP_KEYS_MS = 1000,   /* so often such keys are looked for */
    ALL_HAVE_MS = 1000,     /* so long all are waited for to have it, not only a majority */
    MAKING_KEY_MS = 5000,   /* a leader's key that no majority has taken by then is given up */
    ASK_KEY_MS = 100,       /* between two times of asking for a key */
    TELL_WAIT_MS = 10,      /* for a node that has not stored yet what it waits for */
    TAKE_ITEMS = 256,       /* of an image, kept in one turn of the loop */
    TAKE_BYTES = 256 << 10, /* ... and of their states */
    TAKE_UNWRITTEN_BYTES = 2 << 20,
    TAKE_AGAIN_MS = 30000,              /* after one that found no room on the disk, */
    GIVE_AGAIN_MS = 3000,               /* where another node waits for it */
    RESTORE_BYTES = 4 * REPL_READ_UNIT, /* read and decoded at a time */
    TELL_SAS = 256,                     /* restored ones told in one turn of the loop */
    TELL_WAITING = 4096                 /* events that the conductor has not taken yet */
};

struct batch_record {
    uint8_t *bytes;
    size_t len;
    uint32_t awaited_by; /* node that is to hear of the commit at once; 0 = none */
};

/* Records on their way into an entry, at the leader: a ring that grows to QUEUE_MAX_RECORDS. */
struct batch {
    struct batch_record *records;
    size_t cap, head, n, bytes;
};

/* Nodes by id. */
struct replica_set {
    uint32_t nodes[REPL_MAX_NODES];
    size_t n;
};

/* What is to be applied next and cannot be opened (replica_locked.c). */
struct replica_locked {
    uint64_t want;  /* a key; 0 = nothing is */
    uint64_t index; /* an entry ... */
    uint8_t *entry; /* a copy; NULL: it is a snapshot, that one, */
    bool unused;    /* or nothing: what was sealed with it so far, if anything, is gone */
    size_t len;
    struct repl_snapshot_meta meta;
};

/* The key that a stuck node lacks, and what others say of it (replica_lost.c). */
struct replica_need {
    uint64_t key, index; /* the log asks for it at that place */
    struct replica_word {
        uint32_t node;
        uint64_t stuck_ns, sound_ns; /* said last that it cannot go on either; that it can */
    } words[REPL_MAX_NODES];
    size_t n_words;
    uint64_t awaits_ns; /* since when this node awaits a snapshot */
    uint64_t lost_ns;   /* since when a majority cannot go on; 0 = it is not so */
};

/* A session's key on its way into the log (replica_session.c). */
struct replica_making {
    uint64_t id, replaces; /* id 0 = none */
    uint64_t answers;      /* fsm.rotate_wish when it was drawn */
    uint64_t since_ns;
    struct replica_set have; /* who has it */
    uint64_t sent_ns;
    bool pushed;
};

/* A key of sessions in the ring, and since when nothing needs it (replica_rotate.c). */
struct replica_spare {
    uint64_t id, since_ms;
    bool named; /* by the state, once */
};

/* A node that this one knows: of the configuration, or about to join, or just left. In the order of
 * ids; this node is among them. */
struct replica_node {
    uint32_t node;
    struct endpoint address;
    uint8_t role; /* RAFT_DRIVER_VOTER, ..., RAFT_DRIVER_NO_MEMBER; as applied */
    bool link;
    uint64_t unlinked_ns;        /* when that changed, or it was listed */
    enum repl_distrust distrust; /* by its newest report, */
    uint64_t distrusted_ns;      /* ... which came then; 0 = there is none */
    bool reported;               /* if there was one */
    uint64_t disk_ok_ns;         /* newest report that says so, if none since denies it */
    uint64_t repair_above;       /* it awaits a snapshot above that; 0 = does not */
    bool lacks_erased; /* ... since it was away when a key was erased: nothing is wrong with it */
    uint64_t snapshot_index; /* of what is on its disk, by its newest report */
};

struct replica {
    struct replica_options options;
    struct repl_storage storage;
    struct repl_transport transport;
    struct replica_callbacks callbacks;
    struct repl_lease *leases;
    struct repl_health *health;
    struct replica_clock *clock;

    struct raft_driver *driver;
    struct raft_driver_status raft; /* as of the newest state callback */
    struct fsm fsm;
    struct ownership ownership;
    struct repl_configuration configuration; /* newest applied; no servers: none yet */
    struct replica_node nodes[REPL_MAX_NODES];
    size_t n_nodes;
    struct repl_node_address told[REPL_MAX_NODES]; /* to the callback `peers` */
    size_t n_told;
    bool founded;                   /* the log was not empty at the start */
    uint64_t change_ns;             /* leader: no change of members before; 0 = none began since */
    uint64_t leave_index, leave_ns; /* the newest LEAVE applied since the start, and when */
    uint64_t changes_told;          /* refusals of changes that the log of this program has */
    /* Whom members name and the log does not, while no leader is found that it names. */
    struct replica_set strays;
    bool halted; /* met an entry of a version that this program does not know */
    bool left_told;
    bool quorum_told; /* as the newest event said */
    struct outbox *outbox;
    struct batch batch;
    uint64_t now_ns;
    bool started, failed;
    bool opened; /* something of this state was sealed with the configuration's key that is here */
    const struct repl_loaded *waiting; /* what it begins with once its key has come; or NULL */
    struct replica_wait {
        enum { WAITS_NOT, WAITS_UNHEARD, WAITS_SILENT, WAITS_OLDER, WAITS_STUCK } why;
        uint32_t node;     /* for whom; not of WAITS_STUCK */
        uint64_t since_ns; /* ... or when it was said last */
        bool told;
    } wait;
    uint64_t needs_key; /* the configuration's, by what this start found on the disk; 0 = any */
    uint64_t asked_ns;  /* for a key */
    struct replica_locked locked;
    /* By the snapshot that waits for a key: who has left stands in front of the sessions. */
    uint32_t unread_left[FSM_MAX_MEMBERS];
    size_t n_unread_left;
    /* The last sealed word of what this start found on the disk on each: it joined, or left. */
    struct replica_sealed {
        uint32_t node;
        bool left;
    } sealed[FSM_MAX_MEMBERS];
    size_t n_sealed;
    uint64_t blind;       /* the key that is given up: sessions are left out since; 0 = none */
    bool forgotten;       /* this node has left, and has wiped what it had (replica_forget.c) */
    uint64_t keeps_above; /* ... its log is long: a snapshot above that is awaited; 0 = none is */
    bool sessionless;     /* ... so the state is nobody's, until all sessions end, or a snapshot */
    struct replica_need need;
    bool reset_due; /* the loss was applied: at the end of this entry all is one state again */
    struct replica_making making;
    struct replica_spare spares[SEAL_RING_KEYS];
    uint64_t swept_ms;                    /* cluster time when they were looked at */
    uint64_t erase_asked, erase_asked_ns; /* leader: KeyErased of that key was submitted */
    uint64_t
        switched_index; /* newest change of the key in use applied: a snapshot is due behind it */
    uint64_t awaits_above; /* diverged, since what follows is sealed with a key that is erased */

    bool able;              /* leading, and everything up to an entry of the own term is applied */
    uint64_t entry_index;   /* of the newest entry submitted here */
    uint64_t awaited_index; /* newest entry that other nodes wait for; 0 = they were told */
    uint32_t awaited_nodes; /* which: bit i for nodes[i] */
    uint64_t entry_ns;      /* when */
    uint64_t anchor_ms, anchor_ns;   /* leader: cluster time and when it was that */
    uint64_t stamp_ms;               /* newest one given */
    uint64_t applied_ms, applied_ns; /* newest stamp applied, and when */
    uint64_t kept_until_ns;          /* options'; 0 = never, or a stamp was applied in this start */
    bool configuring;                /* a configuration record is on its way */
    uint64_t config_ns;              /* when the newest one was applied here */

    uint64_t announced_ns, announced_over; /* BOOT: sent when, replacing which boot */
    uint64_t hold_until_ns;                /* a leader refused: wait so long */
    uint64_t unled_ns;                     /* since when no leader can be reached; 0 = one can */
    uint64_t unfit_ns;                     /* since when a link or the disk fails; 0 = none does */
    bool lapses[OWNERSHIP_MAX_SHARDS];     /* which had lapsed at the last report */
    uint32_t no_place_told;                /* a shard: ownership_without_place() */
    struct witness witness;                /* whose state is the cluster's (I11) */
    uint64_t kept_index;                   /* newest multiple of WITNESS_EVERY applied */
    struct digest kept_digest;             /* ... the state then */
    uint64_t scrub_id; /* the SA that was looked at last; 0 = the first is next */
    bool diverged;     /* ours is not: nothing is applied, one is awaited */
    uint64_t tied_ns;  /* since when nobody can tell; 0 = it is not so */
    bool tie_told;
    bool tie_unfilled_told;   /* ... that a node needs a snapshot and gets none */
    uint64_t tie_log_bytes;   /* of the log when its growth was told last */
    bool snapshot_wanted;     /* ... which is to be made first */
    uint64_t stepped_down_ns; /* tried last */
    uint64_t others_well_ns;  /* since when a majority without this node can commit; 0 = cannot */
    bool hang_told;           /* the disk hangs, and the log says that this node waits */
    uint32_t stranger_node;   /* of another incarnation, greeted and not judged yet; 0 = none */
    uint64_t stranger_incarnation;
    uint64_t stranger_told_ns; /* of frames of one; 0 = never */
    bool unwritten; /* this start found a snapshot and no log behind it: all there is is applied */
    struct replica_taking *taking;       /* a snapshot that is being made, or NULL */
    struct replica_restoring *restoring; /* an installed one that is being decoded, or NULL */
    uint64_t not_before_index;           /* no snapshot before, since one failed */
    uint64_t no_room_ns;                 /* when one found no room on the disk; 0 = never */
    bool full_told;                      /* the log says that a snapshot found no room */
    bool telling;                        /* of a restored state; nothing is applied meanwhile */
    size_t tell_document;                /* next */
    const struct fsm_sa *tell_sa;
    const struct fsm_lease *tell_lease;
    uint64_t counters[REPL_COUNTERS];
#ifdef HOLDFAST_PLANT_unapplied_assignment
    uint64_t planted_epoch[REPL_MAX_SHARDS];
#endif
};

static inline void replica_count(struct replica *r, enum repl_counter c, uint64_t n)
{
    r->counters[c] += n;
}

void replica_log(struct replica *r, enum repl_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void replica_fail(struct replica *r, const char *why);
void replica_emit(struct replica *r, struct repl_event event); /* copies to the heap */
void replica_pump(struct replica *r);  /* everything that follows from a change */
void replica_begin(struct replica *r); /* with what it waited with */

/* The driver's state once more: something that kept this node from deciding is over. */
void replica_state_again(struct replica *r);

/* replica_keys.c */
void replica_set_add(struct replica_set *set, uint32_t node);
/* How many voters are in it, or have left; *all: voters in all. */
size_t replica_set_voters(const struct replica *r, const struct replica_set *set, size_t *all);
bool replica_set_all(const struct replica *r, const struct replica_set *set); /* learners too */
/* At the start: true = it cannot begin yet, or not at all (failed). */
bool replica_keys_wait(struct replica *r, const struct repl_loaded *loaded);
void replica_keys_ask(struct replica *r);
void replica_keys_tick(struct replica *r);
uint64_t replica_keys_next_ns(const struct replica *r);
void replica_on_keys(struct replica *r, uint32_t from, struct span bytes);
/* To all but these. */
void replica_keys_give(struct replica *r, uint64_t id, const struct replica_set *except);
/* Its id; 0 = no room. */
uint64_t replica_keys_add(struct replica *r, const uint8_t key[SEAL_KEY_BYTES]);
void replica_keys_changed(struct replica *r);

/* replica_locked.c */
bool replica_sees(const struct replica *r); /* neither locked nor blind */
void replica_lock_entry(struct replica *r, uint64_t want, uint64_t index, struct span entry);
void replica_lock_snapshot(struct replica *r, uint64_t want, const struct repl_snapshot_meta *meta);
void replica_unlock(struct replica *r, uint64_t id); /* that key came */
/* The file need not name them while they are all that it lists. */
void replica_founders(struct replica_options *o);
/* The state names a key that is not here, and nothing asked for it: a node that has caught up does. */
void replica_lock_unused(struct replica *r);
void replica_locked_poll(struct replica *r);
void replica_locked_drop(struct replica *r);

/* replica_admit.c: of whom it is known that they are members */
bool replica_newest_names(const struct replica *r, uint32_t node);
bool replica_may_have_key(const struct replica *r, uint32_t node);
/* Is what it says of keys heard? A member by all that is here, what nobody sealed included. */
bool replica_may_speak_of_keys(const struct replica *r, uint32_t node);
/* At the start, with the configuration's key: who joined and who left by what is not applied yet. */
void replica_note_sealed(struct replica *r, const struct repl_loaded *loaded);
/* ... and who is a member by a snapshot that cannot be read to its end. */
void replica_note_unread_member(struct replica *r, uint32_t node);
bool replica_may_give_key(const struct replica *r, uint32_t node); /* the configuration's */
/* The newest one on this node, committed or not; no servers: it has heard of none. */
struct repl_configuration replica_newest_configuration(const struct replica *r);
/* The newest configuration of what was loaded; false: malformed, as the driver will say. */
bool replica_loaded_configuration(const struct repl_loaded *loaded, struct repl_configuration *out);

/* replica_forget.c: keys end here, since nobody will say so */
void replica_forget_left(struct replica *r); /* this node has left */
/* ... by a snapshot that it cannot open: true = so it is */
bool replica_forget_unread(struct replica *r);
void replica_forget_log(struct replica *r);     /* ... and its log has become long */
void replica_forget_restore(struct replica *r); /* a snapshot took its place, that stays unread */
void replica_forget_old(struct replica *r);     /* nothing is applied any more, for long */

struct seal_message;
/* replica_lost.c: are the sessions lost to the cluster? */
/* Does this node lack a key without which it cannot go on? */
bool replica_is_stuck(const struct replica *r);
void replica_need_key(struct replica *r, uint64_t key); /* it is stuck from now on */
/* A stuck node's question came: GONE, LACK or 0, no answer. `gives`: it is one that would be given the key. */
enum seal_what replica_answer_past(const struct replica *r, const struct seal_message *in,
                                   bool gives);
void replica_need_heard(struct replica *r, uint32_t from, const struct seal_message *in);
void replica_need_poll(struct replica *r);
/* They are, as far as is known now: a majority cannot go on, and nobody is known who can. */
bool replica_is_lost(const struct replica *r);
bool replica_was_sound(const struct replica *r, uint32_t node); /* a moment ago, by its own word */

/* replica_session.c */
void replica_session_lead(struct replica *r);
void replica_session_moved(struct replica *r);
uint64_t replica_session_next_ns(const struct replica *r);
void replica_session_use(struct replica *r);
void replica_session_none_needed(
    struct replica *r); /* nothing was sealed in this incarnation yet */
bool replica_session_ready(const struct replica *r); /* sessions can be sealed here */
void replica_session_applied(struct replica *r, const struct Holdfast__SessionKey *body);

/* replica_rotate.c */
bool replica_rotation_due(const struct replica *r);
void replica_rotate_lead(struct replica *r);
void replica_snapshot_heard(struct replica *r, uint32_t from, uint64_t snapshot_index);
/* Does a request wait in the outbox that is sealed with this key? */
bool replica_waits_under(const struct replica *r, uint64_t id);
/* What waits in the outbox is sealed with the key in use. False: there is none here. */
bool replica_renew_outbox(struct replica *r);
/* What is about to go there, in place. */
void replica_renew(struct replica *r, uint64_t request, uint8_t *bytes, size_t n);
void replica_key_erased(struct replica *r, uint64_t id);
void replica_keys_sweep(struct replica *r);
uint64_t replica_wanted_at(const struct replica *r); /* how far the log asks for the lacking key */
void replica_await_state(struct replica *r); /* what is lacking to it is erased everywhere */

/* replica_apply.c */
void replica_on_apply(void *self, uint64_t index, const struct repl_entry *entry);
void replica_apply_entry(struct replica *r, uint64_t index, struct span data);
void replica_take_config(struct replica *r);
void replica_take_boot(struct replica *r, uint32_t node, uint64_t boot);
/* calloc'd, sa->n_claims long; NULL for none. */
struct repl_child_state *replica_children_of(const struct fsm *fsm, const struct fsm_sa *sa);

/* replica_snapshot.c */
void replica_maybe_snapshot(struct replica *r); /* begins one, or goes on with it */
void replica_on_snapshot_taken(void *self, uint64_t index, enum raft_driver_result result);
void replica_drop_snapshot(struct replica *r); /* the one that is being made */

struct Holdfast__NodeReport;
/* replica_witness.c */
void replica_witness_applied(struct replica *r);
void replica_witness_heard(struct replica *r, uint32_t from, const struct Holdfast__NodeReport *in);
void replica_witness_act(struct replica *r); /* as pump's last: what follows from the verdicts */
void replica_witness_restored(struct replica *r);
void replica_mistrust(
    struct replica *r);                /* applies and owns nothing until a snapshot is installed */
void replica_scrub(struct replica *r); /* with each beat: a few SAs */
/* May this node's state be acted on, as far as is known? */
bool replica_state_trusted(const struct replica *r);
enum repl_agreement replica_agreement(const struct replica *r, uint32_t node);

/* replica_restore.c */
void replica_on_restore(void *self, const struct repl_snapshot_meta *meta, struct span data);
void replica_restore(struct replica *r, const struct repl_snapshot_meta *meta); /* from the disk */
void replica_reset(struct replica *r); /* the state is another: to ownership and the conductor */
void replica_restore_read(struct replica *r, const struct repl_storage_done *done);
void replica_restore_deinit(struct replica *r);
void replica_tell(struct replica *r); /* goes on with it */

/* replica_job.c: work off the loop (replica_core.h) */
enum replica_job_kind { REPLICA_JOB_ENCODE, REPLICA_JOB_DECODE, REPLICA_JOB_FREE };

struct replica_job {
    enum replica_job_kind kind;
    struct replica_taking *taking;
    struct image_batch *batch;
    struct snapshot_piece piece;
    struct replica_restoring *restoring;
    uint8_t *bytes;
    size_t len;
    struct fsm *garbage;
    bool ok;
};

struct replica_taking {
    uint64_t index;
    struct image *image; /* NULL: all of it is kept, or it is lost */
    struct snapshot_encoder encoder;
    bool busy; /* with a job */
    bool walked, ended, lost;
};

struct replica_restoring {
    struct repl_snapshot_meta meta;
    struct fsm *fsm;
    struct snapshot_decoder decoder;
    uint64_t at, total;
};

struct replica_job *replica_job_new(enum replica_job_kind kind);
void replica_job_start(struct replica *r, struct replica_job *job); /* takes it */
void replica_taken_batch(struct replica *r, struct replica_job *job);
bool replica_taking_back(struct replica_taking *t);
void replica_restored_piece(struct replica *r, struct replica_job *job);

/* replica_batch.c */
void replica_batch_clear(struct replica *r);
bool replica_batch_push(struct replica *r, struct span sealed, bool front, uint32_t awaited_by);
/* Is there a leader to send to, this node or a connected one, that did not just refuse? */
bool replica_may_send(const struct replica *r);
/* One sealed record to the leader: false = not now. */
bool replica_pass_on(struct replica *r, struct span sealed);
void replica_send_outbox(struct replica *r);
void replica_flush(struct replica *r);
void replica_on_forward(struct replica *r, uint32_t from, struct span bytes);
bool replica_forward_wish(struct replica *r, uint32_t transfer_to);

/* Another node waits for what was submitted or applied as `index`. */
void replica_await(struct replica *r, uint64_t index, uint32_t node);

/* replica_lead.c: what replication itself submits, and cluster time */
bool replica_push_internal(struct replica *r, struct Holdfast__Record *record);
void replica_announce(struct replica *r);
void replica_lead(struct replica *r);
void replica_clock_led(struct replica *r);
void replica_clock_applied(struct replica *r, uint64_t stamp_ms);
uint64_t replica_stamp(struct replica *r);
uint64_t replica_cluster_ms(const struct replica *r);

/* replica_members.c */
void replica_list(struct replica *r); /* what it is made of has changed */
struct replica_node *replica_node(struct replica *r, uint32_t node); /* or NULL */
void replica_on_configuration(void *self, const struct repl_configuration *configuration);
void replica_left(struct replica *r);         /* a node's LEAVE was applied */
void replica_lead_members(struct replica *r); /* the leader makes the configuration the members' */
void replica_step_aside(struct replica *r);   /* leadership to who can take it best */
void replica_on_changed(void *self, enum raft_driver_result result);
/* By the state, or as far as a snapshot that waits for a key could be read. */
bool replica_has_left(const struct replica *r, uint32_t node);
/* Is this node no member: removed, or waiting to join? */
bool replica_is_outside(const struct replica *r);
/* May it be spoken with beyond ADMIN? Not with who only has a token yet. */
bool replica_is_member(const struct replica *r, uint32_t node);
/* Raft alone hears one of whom a member says that it is one, too, while there is no leader of the log's. */
bool replica_is_told_of(const struct replica *r, uint32_t node);
bool replica_is_founder(const struct replica *r, uint32_t node);
void replica_leader_named(struct replica *r); /* another one than before, or none */
/* "" for none. IPv4 a.b.c.d:port, IPv6 [x:x:x:x:x:x:x:x]:port, as the log has them. */
void replica_address_text(const struct endpoint *at, char *out, size_t cap);
bool replica_address_parse(const char *text, struct endpoint *out);

/* replica_distrust.c */
/* Says what speaks against what was loaded, and what follows. False: it does not begin (failed). */
bool replica_judge_loaded(struct replica *r, const struct repl_loaded *loaded);
/* Another incarnation of the cluster lives: may end this node. */
void replica_judge_stranger(struct replica *r);
/* A frame of Raft's named another history: refused; told now and then. */
void replica_on_stranger(void *self, uint32_t node, uint64_t incarnation);
bool replica_is_muted(const struct replica *r);
void replica_tell_muted(struct replica *r, enum repl_distrust now); /* before r->raft says so */
void replica_on_doubted(void *self, uint32_t node, uint64_t acknowledged, uint64_t has);

/* replica_status.c: an event where a majority is reached, or not any more */
void replica_tell_quorum(struct replica *r);

/* replica_waits.c: there is no leader. Why, now and then to the log, and as a sentence; "" = not known */
void replica_tell_waits(struct replica *r);
void replica_waits(const struct replica *r, char text[REPL_WAITS_BYTES]);

/* replica_disk.c */
void replica_judge_disk(struct replica *r); /* with each tick: a leader's that gives out */
/* By its newest report, which is not old. */
bool replica_disk_works(const struct replica *r, const struct replica_node *n);

/* replica_owner.c */
bool replica_healthy(const struct replica *r);
void replica_own(struct replica *r);
/* Of a node that cannot read what it has: that its disk is under distrust, if it is. When the power of
 * all failed that is all that anybody can know. */
void replica_own_unseeing(struct replica *r);
void replica_publish_leases(struct replica *r);
void replica_on_ownership(struct replica *r, uint32_t from, struct span bytes);

#endif
