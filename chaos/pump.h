/* One epoll loop under a script that reads from top to bottom: the script says what it waits for,
 * and while it waits the loop moves packets, reads logs and reaps children. Nothing sleeps: every
 * wait has a condition and a deadline. */
#ifndef HF_CHAOS_PUMP_H
#define HF_CHAOS_PUMP_H

#include <stdbool.h>
#include <stdint.h>

/* One descriptor that is watched. Owned by the caller, at a fixed address while it is in the loop.
 */
struct pump_watch {
    int fd;
    void (*ready)(void *arg, uint32_t events); /* EPOLL* bits; may remove any watch */
    void *arg;
};

struct pump {
    int epoll_fd;
    uint64_t removed; /* counts removals, so that a batch of events is not used after one of them */
};

/* Nanoseconds: _mono for deadlines, _wall for records (the kernel stamps packets with it). */
uint64_t pump_mono_ns(void);
uint64_t pump_wall_ns(void);

/* False with errno set. */
bool pump_init(struct pump *p);
bool pump_add(struct pump *p, struct pump_watch *w, uint32_t events);
bool pump_change(struct pump *p, struct pump_watch *w, uint32_t events);
void pump_remove(struct pump *p, struct pump_watch *w);

/* Waits at most timeout_ms for events and handles what there is. */
void pump_turn(struct pump *p, int timeout_ms);

/* Turns the loop until done(arg) or the deadline (pump_mono_ns()). Returns what done() said last.
 * done == NULL: until the deadline. done() is asked after each turn, at least every 20 ms, so it
 * may poll. */
bool pump_until(struct pump *p, bool (*done)(void *arg), void *arg, uint64_t deadline_ns);

void pump_deinit(struct pump *p);

#endif
