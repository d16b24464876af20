/* holdfastd: sockets, TUN, workers, replication and the admin interface around one conductor, on
 * one libuv loop (the control loop).
 *
 *   UDP 500 ─┐                                              ┌─> repl (own thread): log, ownership
 *   workers ─┼─> control loop: conductor ── records, events ┤
 *   timers ──┘        └── arp, netlink watch, admin API     └─> workers (own threads): ESP
 *
 * Order of opening (so that a dying process goes silent at once): sockets, then the TUN with the
 * service addresses and pool routes. The guard (io/guard.h) must stand before: the daemon verifies
 * it and refuses to serve without it.
 */
#ifndef HF_DAEMON_DAEMON_H
#define HF_DAEMON_DAEMON_H

#include "config/config.h"
#include "conductor/log.h"

/* The sessions' keys in the service manager's store. */
#define DAEMON_KEYS_NAME "holdfast-keys"

struct daemon_error {
    char text[1024];
};

/* Runs until SIGTERM or SIGINT, or until it is to begin anew (*again). False: could not start, *error
 * names what and the fix. */
bool daemon_run(const struct config *config, const struct log *log, bool *again,
                struct daemon_error *error);

/* holdfastd --guard: installs the permanent guard. */
bool daemon_install_guard(const struct config *config, struct daemon_error *error);

/* holdfastd --init: makes the data directory. */
bool daemon_init(const struct config *config, struct daemon_error *error);

/* What goes with --recover and --restore; texts may be NULL. */
struct daemon_words {
    const char *lost, *backup, *why;
    uint32_t highest_id; /* of any node there ever was; 0: not said */
    bool force;
};

/* holdfastd --recover: says what would be lost; does it only when `force` and `lost` names the members
 * that are dead. No daemon may run. */
bool daemon_recover(const struct config *config, const struct daemon_words *words,
                    struct daemon_error *error);

/* holdfastd --restore FILE: makes the data directory from a backup; configuration.key lies beside it. */
bool daemon_restore(const struct config *config, const struct daemon_words *words,
                    struct daemon_error *error);

#endif
