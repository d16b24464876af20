/* Begins IKE SAs from many sources that answer cookies (RFC 7296 2.6), and goes on with none:
 * 250 a second, 64 under way at once, until stdin ends. */
#ifndef HF_TEST_HOSTILE_HALF_OPEN_H
#define HF_TEST_HOSTILE_HALF_OPEN_H

/* argv: FROM GATEWAY SOURCES; the addresses FROM, FROM + 1, ... are this machine's, 200 at most.
 * Prints {"begun", "cookies": asked for and given, "made": answered by an SA payload, "unanswered",
 * "refused"}. The exit status: 0 when one was made. */
int hostile_half_open(char **argv);

#endif
