#include "lab/unsealed/memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PAGE_BYTES = 4096,
    PIECE_BYTES = 1 << 20,
    OVERLAP_BYTES = 4096 /* what lies across two pieces is seen, too */
};

static void visit_range(int mem, unsigned long long from, unsigned long long to,
                        void (*visit)(void *self, struct span bytes), void *self)
{
    uint8_t *piece = malloc(PIECE_BYTES);

    for (unsigned long long at = from; piece != NULL && at < to;) {
        size_t want = to - at < PIECE_BYTES ? (size_t)(to - at) : PIECE_BYTES;
        ssize_t n = pread(mem, piece, want, (off_t)at);

        if (n <= 0) { /* a page that is not to be read: what lies behind it is */
            at += PAGE_BYTES;
            continue;
        }
        visit(self, span_of(piece, (size_t)n));
        if (at + (unsigned long long)n >= to)
            break;
        at += (unsigned long long)(n > OVERLAP_BYTES ? n - OVERLAP_BYTES : n);
    }
    free(piece);
}

bool memory_each(long pid, const char *name, void (*visit)(void *self, struct span bytes),
                 void *self)
{
    char path[64], line[1024];
    FILE *maps;
    int mem;

    (void)snprintf(path, sizeof path, "/proc/%ld/maps", pid);
    maps = fopen(path, "r");
    (void)snprintf(path, sizeof path, "/proc/%ld/mem", pid);
    mem = open(path, O_RDONLY | O_CLOEXEC);
    while (maps != NULL && mem >= 0 && fgets(line, sizeof line, maps) != NULL) {
        unsigned long long from, to;
        char rights[8] = "";

        if (sscanf(line, "%llx-%llx %7s", &from, &to, rights) != 3 || rights[0] != 'r' ||
            strstr(line, "[v") != NULL || (name != NULL && strstr(line, name) == NULL))
            continue;
        visit_range(mem, from, to, visit, self);
    }
    if (maps != NULL)
        (void)fclose(maps);
    if (mem >= 0)
        (void)close(mem);
    return maps != NULL && mem >= 0;
}
