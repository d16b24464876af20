#include "vectors/vectors.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn static void broken(const char *name, unsigned line)
{
    (void)fprintf(stderr, "%s:%u: not a vector\n", name, line);
    abort();
}

static unsigned digit(char c, const char *name, unsigned line)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a' + 10);
    broken(name, line);
}

static void add_field(struct vector_case *c, char *text, const char *name, unsigned line)
{
    char *equals = strstr(text, " =");
    struct vector_field *f = &c->fields[c->n];
    const char *hex;

    if (equals == NULL || c->n == VECTOR_FIELDS || (size_t)(equals - text) >= sizeof f->name)
        broken(name, line);
    memset(f, 0, sizeof *f);
    memcpy(f->name, text, (size_t)(equals - text));
    for (hex = equals + 2; *hex == ' '; hex++)
        ;
    for (; hex[0] != '\0'; hex += 2) {
        if (f->len == VECTOR_BYTES || hex[1] == '\0')
            broken(name, line);
        f->bytes[f->len++] = (uint8_t)(digit(hex[0], name, line) << 4 | digit(hex[1], name, line));
    }
    c->n++;
}

size_t vectors_read(const char *name, struct vector_case *cases, size_t cap)
{
    char path[512], text[2048];
    size_t n = 0;
    unsigned line = 0;
    bool open = false;
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/tests/vectors/%s", HOLDFAST_SOURCE_DIR, name);
    f = fopen(path, "r");
    if (f == NULL)
        broken(name, 0);
    while (fgets(text, sizeof text, f) != NULL) {
        size_t len = strlen(text);

        line++;
        while (len > 0 && isspace((unsigned char)text[len - 1]))
            text[--len] = '\0';
        if (text[0] == '#')
            continue;
        if (len == 0) {
            open = false;
            continue;
        }
        if (!open) {
            if (n == cap)
                broken(name, line);
            cases[n++].n = 0;
            open = true;
        }
        add_field(&cases[n - 1], text, name, line);
    }
    (void)fclose(f);
    return n;
}

struct span vector_get(const struct vector_case *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->fields[i].name, name) == 0)
            return span_of(c->fields[i].bytes, c->fields[i].len);
    return span_of(NULL, 0);
}
