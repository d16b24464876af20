/* Network namespaces for tests: nameless, held by child processes that die with the test, so that
 * nothing is left behind. */
#ifndef TESTS_IO_NS_H
#define TESTS_IO_NS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The test fails (it is not skipped) without root. */
void ns_need_root(void);
/* This process gets a fresh namespace, its loopback up. */
void ns_own(void);
/* A process that only holds a fresh namespace, its loopback up. */
pid_t ns_create(void);
/* A child of this process in `holder`'s namespace (0: this one's): like fork(), it returns in both.
 */
pid_t ns_fork(pid_t holder);
/* Runs a program ("ip link set lo up") in the namespace; the test fails when it does. */
void ns_run(pid_t holder, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, with its stdout; false when the program failed. */
bool ns_output(pid_t holder, char *out, size_t size, const char *command);

void write_file(const char *path, const char *text);
/* Its first byte, as of a setting in /proc/sys. */
char read_setting(const char *path);

#endif
