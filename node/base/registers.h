/* What memcpy() and the ciphers leave in a thread's vector registers while it waits: pieces of keys,
 * which a debugger of root's reads though it gets none of the memory. */
#ifndef HF_BASE_REGISTERS_H
#define HF_BASE_REGISTERS_H

/* As the last thing before a wait, and at the end of work on a pool's thread: every vector register of
 * this thread is zero. Does nothing but on x86-64. */
void registers_clear(void);

/* At the end of work on a pool's thread, before registers_clear(): what its calls left below the caller's
 * stack frame, 64 KiB of it, is zero. Else a piece of a key lies there until the next work comes. */
void stack_clear(void);

#endif
