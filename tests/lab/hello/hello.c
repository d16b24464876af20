/* A hello of the nodes' links, to stdout, as the product's own encoder writes it (replication/tcp_frame.h), of
 * whomever it is told to be: what a stranger sends that knows all but the key of the node's certificate.
 *
 *   holdfast-hello FROM TO CLUSTER INCARNATION      numbers as strtoull() reads them
 *
 * Its boot id is 7. Exit status 1: wrong arguments, or stdout takes nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "replication/tcp_frame.h"

enum { BOOT = 7 };

static bool number_of(const char *text, uint64_t most, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 0);
    return errno == 0 && end != text && *end == '\0' && *out <= most;
}

int main(int argc, char **argv)
{
    uint8_t bytes[TCP_HELLO_BYTES];
    uint64_t from, to, cluster, incarnation;
    struct tcp_hello hello;
    size_t n;

    if (argc != 5 || !number_of(argv[1], UINT32_MAX, &from) ||
        !number_of(argv[2], UINT32_MAX, &to) || !number_of(argv[3], UINT64_MAX, &cluster) ||
        !number_of(argv[4], UINT64_MAX, &incarnation)) {
        (void)fprintf(stderr, "usage: holdfast-hello FROM TO CLUSTER INCARNATION\n");
        return EXIT_FAILURE;
    }
    hello = (struct tcp_hello){.version = TCP_VERSION,
                               .from = (uint32_t)from,
                               .to = (uint32_t)to,
                               .cluster = cluster,
                               .boot = BOOT,
                               .incarnation = incarnation};
    n = tcp_hello_encode(&hello, bytes);
    return fwrite(bytes, n, 1, stdout) == 1 && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
