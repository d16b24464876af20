/* An in-memory disk for the raft driver (replication/storage.h) under virtual time: operations
 * complete late and in order; a crash loses what was not completed, but for a random prefix of it
 * (as a real disk would).
 *
 *   driver --ops--> queue (unsynced) --due--> durable --sim_storage_pop--> completion
 *                      +-- crash: a prefix survives, the rest is gone
 */
#ifndef HF_SIM_STORAGE_H
#define HF_SIM_STORAGE_H

#include "replication/storage.h"
#include "sim/sim_random.h"

struct sim_storage;

/* Counts, since create. */
struct sim_storage_counters {
    uint64_t operations, completed, lost, crashes, torn;
};

/* *now_ms is the simulator's clock; it must outlive the storage. */
struct sim_storage *sim_storage_create(uint64_t seed, const uint64_t *now_ms);
void sim_storage_destroy(struct sim_storage *storage);

/* How long an operation takes; the default is 0 to 3 ms. */
void sim_storage_set_delay(struct sim_storage *storage, uint32_t min_ms, uint32_t max_ms);

/* Everything that waits is due now: the disk works again. */
void sim_storage_hasten(struct sim_storage *storage);

/* The next operation to complete (and all later) reports REPL_STORAGE_FAILED and changes nothing.
 */
void sim_storage_fail(struct sim_storage *storage);
bool sim_storage_fails(const struct sim_storage *storage); /* so it was told */

/* What failed works again: for the next start. */
void sim_storage_mend(struct sim_storage *storage);

/* From now on snapshots find no room (or some again); the log does. */
void sim_storage_full(struct sim_storage *storage, bool full);
/* From now on, until it is not full any more, no append fits either: it fails, and all behind it, as when the
 * disk does not write (sim_storage_fail()). */
void sim_storage_no_room(struct sim_storage *storage);
bool sim_storage_was_full(const struct sim_storage *storage); /* an append failed for that */

struct repl_storage sim_storage_interface(struct sim_storage *storage);

/* When the next completion is due; UINT64_MAX: none. */
uint64_t sim_storage_next(const struct sim_storage *storage);
/* How long the oldest operation waits; for how long none completed while some waited. 0: none
 * waits.
 */
uint64_t sim_storage_pending_ms(const struct sim_storage *storage);
uint64_t sim_storage_stuck_ms(const struct sim_storage *storage);
/* Makes the next operation that is due durable and says so; false: none is due. */
bool sim_storage_pop(struct sim_storage *storage, struct repl_storage_done *done);
/* Makes everything durable, reporting nothing (for a first start). */
void sim_storage_flush(struct sim_storage *storage);

/* Power loss. */
void sim_storage_crash(struct sim_storage *storage);

/* The disk lies: of the durable log the last n entries are gone (not what the snapshot holds), with
 * `vote` also the vote, and the term but for what the log says. `found`: what else stands on the disk speaks
 * against it, and nobody is told: the high-water mark stays where it was, and a vote that is all that went is
 * older than the log (where that is of the first term, it stays). Else it looks as if it had never been. Returns
 * how many entries went. */
size_t sim_storage_lose(struct sim_storage *storage, size_t n, bool vote, bool found);

/* Made anew, as --init does: nothing is left but, of a founder, the entry 1 of its first flush; and
 * the next load says so. */
void sim_storage_wipe(struct sim_storage *storage);

/* The vote's file is an older one: of that term, nobody voted for. */
void sim_storage_older_vote(struct sim_storage *storage, uint64_t term);

/* What the next load would say. */
enum repl_distrust sim_storage_distrust(const struct sim_storage *storage);

/* What is durable, as a start finds it: with what the product's own judgement of it (wal_loss.h) says. Valid until
 * the next call of any function. */
void sim_storage_load(struct sim_storage *storage, struct repl_loaded *loaded);
/* The same, of a disk that is in use. */
void sim_storage_look(const struct sim_storage *storage, struct repl_loaded *loaded);
/* The data of the durable snapshot; empty when there is none. */
struct span sim_storage_snapshot(const struct sim_storage *storage);
/* Is (index, term) durable here, in the log or behind the snapshot? */
bool sim_storage_has(const struct sim_storage *storage, uint64_t index, uint64_t term);

const struct sim_storage_counters *sim_storage_counters(const struct sim_storage *storage);

#endif
