/* The daemon becomes itself anew: execve() of the same program with the same words. All its threads end with that call,
 * and nothing of its memory stays: no key, and no random number that a copy of this machine draws as well.
 *
 *   cluster recover    loop, after everything was stopped ─> anew_recovered()
 *   machine rolled back    the watch's thread, at once ─> anew_rolled_back() ─> --rolled-back FD ─> daemon_distrust() before
 *                          anything is opened: so the mark is on the disk whatever fails afterwards
 */
#ifndef HF_DAEMON_ANEW_H
#define HF_DAEMON_ANEW_H

/* What main() was given; borrowed for the life of the process. Allocates what the others need. */
void anew_remember(char **argv);

/* What was recovered is trusted: --distrust and --rolled-back were words of the data before. Returns only when it
 * failed. */
void anew_recovered(void);

/* From any thread, whatever the others do; calls nothing but fcntl() and execv(), and _exit() when that fails. `keys_fd`:
 * the memfd of the sessions' keys, which the new start takes over; -1 = none. */
_Noreturn void anew_rolled_back(int keys_fd);

#endif
