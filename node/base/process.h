/* What a program that reads keys does before it reads anything (I16). For the shell: it asks the kernel. */
#ifndef HF_BASE_PROCESS_H
#define HF_BASE_PROCESS_H

#include <stdbool.h>

/* Descriptors 0, 1 and 2 are open from here on, whoever started the program without them: else what it opens first, a
 * socket or a file of keys, would get their numbers, and each line of log would go into it. So no other descriptor
 * is ever one of them. False: errno says why. */
bool process_standard(void);

/* Undumpable, without a core file; and what a debugger of root's writes all the same has none of its memory
 * (core(5), coredump_filter). False: errno says why, *what which of them. */
bool process_close(const char **what);

/* All memory, now and later, stays off every swap device. False: likewise; it needs LimitMEMLOCK or
 * CAP_IPC_LOCK. */
bool process_lock(const char **what);

/* Root that writes below `dir` does it as the user to whom it belongs, for good: else that user's daemon could not read
 * what was made. Nothing when process_is_foreign() is not so. Memory may be locked all the same. False: as above. */
bool process_become_owner(const char *dir, const char **what);
/* This is root, and the folder is there and another user's. */
bool process_is_foreign(const char *dir);

#endif
