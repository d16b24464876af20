/* What was said stays nowhere in OpenSSL's memory: all of it is counted here. */
#include <criterion/criterion.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ends.h"

enum { SAID_BYTES = 32 };

/* In front of each piece that OpenSSL holds. */
struct piece {
    struct piece *next, *prev;
    size_t n;
    _Alignas(16) uint8_t bytes[];
};

static struct piece all = {.next = &all, .prev = &all};
static const uint8_t *sought; /* NULL: nothing yet */
static size_t freed_with_it;

static struct piece *piece_of(void *p)
{
    return (struct piece *)(void *)((uint8_t *)p - offsetof(struct piece, bytes));
}

static bool holds_it(const struct piece *p)
{
    return sought != NULL && memmem(p->bytes, p->n, sought, SAID_BYTES) != NULL;
}

static void *count_malloc(size_t n, const char *file, int line)
{
    struct piece *p = malloc(sizeof *p + n);

    (void)file;
    (void)line;
    if (p == NULL)
        return NULL;
    *p = (struct piece){.next = all.next, .prev = &all, .n = n};
    p->next->prev = p->prev->next = p;
    return p->bytes;
}

static void count_free(void *old, const char *file, int line)
{
    struct piece *p;

    (void)file;
    (void)line;
    if (old == NULL)
        return;
    p = piece_of(old);
    freed_with_it += holds_it(p);
    p->next->prev = p->prev;
    p->prev->next = p->next;
    free(p);
}

static void *count_realloc(void *old, size_t n, const char *file, int line)
{
    void *p = n == 0 ? NULL : count_malloc(n, file, line);

    if (old != NULL && p != NULL)
        memcpy(p, old, piece_of(old)->n < n ? piece_of(old)->n : n);
    if (p != NULL || n == 0)
        count_free(old, file, line);
    return p;
}

/* Before OpenSSL holds anything. */
__attribute__((constructor)) static void count_from_the_start(void)
{
    if (CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) != 1)
        abort();
}

static size_t pieces_with_it(size_t *looked)
{
    size_t found = 0;

    *looked = 0;
    for (const struct piece *p = all.next; p != &all; p = p->next) {
        found += holds_it(p);
        (*looked)++;
    }
    return found;
}

Test(tls_memory, what_was_said_is_overwritten)
{
    static const size_t sizes[] = {SAID_BYTES, 1000, 16384, 100000};
    static uint8_t text[100000], said[SAID_BYTES];
    static struct cluster_pki pki;
    struct end a, b;
    size_t looked = 0, compared = 0;
    void *control;

    cluster_pki_init(&pki, "lab");
    end_init(&a, cluster_pki_identity(&pki, 1));
    end_init(&b, cluster_pki_identity(&pki, 2));
    end_open(&a, true, 2);
    end_open(&b, false, 0);
    (void)ends_pump(&a, &b, 0);
    for (size_t i = 0; i < SAID_BYTES; i++)
        said[i] = (uint8_t)(0xa1 ^ i * 73);
    sought = said;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memcpy(text + sizes[i] - SAID_BYTES, said, SAID_BYTES);
        b.plain.len = 0;
        cr_assert(end_send(&a, text, sizes[i]));
        (void)ends_pump(&a, &b, 0);
        cr_assert(b.plain.len == sizes[i] && memcmp(b.plain.data, text, sizes[i]) == 0);
        cr_assert_eq(pieces_with_it(&looked), 0, "OpenSSL holds what was said: %zu", sizes[i]);
        cr_assert_eq(freed_with_it, 0, "OpenSSL let go of what was said: %zu", sizes[i]);
        compared += looked;
    }
    control = OPENSSL_malloc(100);
    memcpy((uint8_t *)control + 7, said, SAID_BYTES);
    cr_assert(pieces_with_it(&looked) == 1 && freed_with_it == 0);
    OPENSSL_free(control);
    cr_assert(pieces_with_it(&looked) == 0 && freed_with_it == 1);
    printf("compared %zu pieces\n", compared);
    sought = NULL;
    end_deinit(&a);
    end_deinit(&b);
    cluster_pki_deinit(&pki);
}
