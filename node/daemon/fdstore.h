/* The service manager's file descriptor store (systemd: sd_notify(3) FDSTORE, sd_listen_fds(3)): what is
 * put there comes back at the next start of the daemon, and ends with the machine's power. Spoken by
 * hand: two environment variables and one datagram. */
#ifndef HF_DAEMON_FDSTORE_H
#define HF_DAEMON_FDSTORE_H

#include <stdbool.h>

/* No descriptor of ours is 0, which a program has from its start (process_standard() in base/process.h): so 0 = none, here and
 * wherever the daemon keeps or hands on one. */

/* The descriptor that came with that name. All that came are closed on exec from then on, so it is called
 * before any program is run. Once: for the start. */
int fdstore_take(const char *name);
/* A copy of it goes to the store. False: there is no store, or it does not take it. */
bool fdstore_put(const char *name, int fd);

/* For a program that this process is about to become (execve), or that it has just become: that takes `fd` by that name,
 * as from the store. `fd` moves: its former number is closed, and what was FIRST_FD replaced. */
void fdstore_hand_on(const char *name, int fd);

#endif
