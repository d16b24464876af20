/* The daemon becomes itself anew: execve() of the same program, told what this start was told. All its threads end with
 * that call, and nothing of its memory stays: no key, and no random number that a copy of this machine draws as well.
 *
 *   cluster recover        loop, after everything was stopped ─> anew_recovered()
 *   machine rolled back    the watch's thread, at once ─> anew_rolled_back() ─> --rolled-back FD:NODE:DIRECTORY ─>
 *                          main(), before it reads its configuration: anew_begin() ─> the mark is on the disk
 *
 * A program that is told so does nothing else before the mark is there, and takes no signal: whatever it fails at
 * afterwards, and whoever starts it next, the disk says it. Where the mark cannot be written it tries again without end.
 * What is left: who kills it meanwhile (SIGKILL, the power) has a directory that says nothing, so it says what to do; and
 * an execve() that fails (no memory, no file in the whole system) ends the process without the mark: to write it from
 * there its threads would have to live on, or the directory to be opened beside the one who has it open.
 */
#ifndef HF_DAEMON_ANEW_H
#define HF_DAEMON_ANEW_H

#include <stdbool.h>
#include <stdint.h>

/* What main() was given, after it was understood; all borrowed for the life of the process. Allocates what the others
 * need. `distrust`: an operator's --distrust, which holds after a rollback, too. */
void anew_remember(char *program, char *config, bool distrust, const char *data_dir, uint32_t node);

/* What was recovered is trusted: --distrust and --rolled-back were words of the data before. Returns only when it
 * failed. */
void anew_recovered(void);

/* From any thread, whatever the others do; calls nothing but fcntl(), pthread_sigmask() and execv(), and _exit() when
 * that fails. `keys_fd`: the memfd of the sessions' keys, which the new start takes over; 0 = none. */
_Noreturn void anew_rolled_back(int keys_fd);

/* In the new start: `value` is that of --rolled-back. Returns with the mark on the disk and the keys taken over
 * (fdstore_take() has them); false: that is no value of anew_rolled_back()'s, and nothing was done. */
bool anew_begin(const char *value);

#endif
