/* What a service manager is told (systemd: sd_notify(3)): that this serves, that its loops live, that it stops. Spoken by
 * hand: environment variables and one datagram. Without a manager nothing is said. No thread of its own: who watches must
 * fall silent when the control loop hangs, so that loop speaks, and only for loops that turned of late. */
#ifndef HF_DAEMON_NOTIFY_H
#define HF_DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Lines as in sd_notify(3), with a copy of `fd` (-1: none). False: there is no manager, or it does not take it. */
bool notify_send(const char *text, int fd);

struct notify {
    uint64_t watchdog_ns; /* silent for so long it is ended and started anew; 0: nobody watches */
    uint64_t next_ns;     /* then it is told again */
};

/* Reads WATCHDOG_USEC, which is for the process of WATCHDOG_PID. */
void notify_init(struct notify *n);

/* It serves; from now on it is watched. */
void notify_ready(const struct notify *n);
void notify_stopping(void);

/* From the control loop, often. `oldest_turn_ns`: when the slowest of the other loops last turned, `now_ns` on the same
 * clock. A quarter of the time apart; not while a loop has hung for half of it. True: it was told. */
bool notify_alive(struct notify *n, uint64_t now_ns, uint64_t oldest_turn_ns);

/* A start that the manager does not know of (execve() by a service that it watches): it gets `s` seconds until
 * notify_ready(), which puts the time back that the unit says. */
void notify_patience(unsigned s);

#endif
