/* A stack of its own for a worker's turn, so that it can be stopped in the middle of a batch, with
 * packets in hand, and go on later as if nothing had been (SIGSTOP, a CPU that others have).
 *
 *   sim_hand_begin ──> turn(arg) ──> sim_hand_cut        who began it goes on: the turn is in hand
 *   sim_hand_go_on ──────────────────> ... its end       it was in hand, now it is over
 *
 * One thread: what runs is the world, or one turn.
 */
#ifndef HF_SIM_HAND_H
#define HF_SIM_HAND_H

#include "base/assert.h"

#include <stdbool.h>

struct sim_hand;

/* Ends the process when memory is short. */
struct sim_hand *sim_hand_create(void);
/* A turn that is in hand never ends: its stack is dropped. NULL: nothing. */
void sim_hand_destroy(struct sim_hand *h);
/* No turn may be in hand. Afterwards one is, or it has ended. `arg` must live as long. */
void sim_hand_begin(struct sim_hand *h, void (*turn)(void *arg), void *arg);
void sim_hand_go_on(struct sim_hand *h);
/* By the turn itself. */
void sim_hand_cut(struct sim_hand *h);
bool sim_hand_is_full(const struct sim_hand *h); /* a turn is in hand */

#endif
