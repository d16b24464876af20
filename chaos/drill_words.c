#include "drill_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool read_refuse(struct reader *r, const struct yaml_node *at, const char *what, const char *detail)
{
    if (!r->failed)
        (void)snprintf(r->error, DRILL_ERROR, "%s:%u:%u: %s%s%s", r->file, at ? at->line : 1,
                       at ? at->column : 1, what, detail ? " " : "", detail ? detail : "");
    r->failed = true;
    return false;
}

static bool refuse_word(struct reader *r, const struct yaml_node *at, const char *what,
                        const char *const *words)
{
    char known[256] = "";

    for (size_t i = 0; words[i]; i++) {
        size_t len = strlen(known);

        (void)snprintf(known + len, sizeof known - len, "%s%s", i ? ", " : "", words[i]);
    }
    {
        char text[320];

        (void)snprintf(text, sizeof text, "%s (known: %s)", what, known);
        return read_refuse(r, at, text, NULL);
    }
}

bool read_is_map(struct reader *r, const struct yaml_node *node, const char *const *keys)
{
    if (node->kind != YAML_MAP)
        return read_refuse(r, node, "a map is expected", NULL);
    for (const struct yaml_node *c = node->child; c; c = c->next) {
        bool known = false;

        for (size_t i = 0; keys[i]; i++)
            known = known || strcmp(c->key->text, keys[i]) == 0;
        if (!known) {
            char what[128];

            (void)snprintf(what, sizeof what, "unknown key '%.60s'", c->key->text);
            return refuse_word(r, c->key, what, keys);
        }
    }
    return true;
}

bool read_word(struct reader *r, const struct yaml_node *node, const char *const *words,
               unsigned *index)
{
    if (node->kind != YAML_SCALAR)
        return read_refuse(r, node, "one word is expected", NULL);
    for (unsigned i = 0; words[i]; i++) {
        if (strcmp(words[i], node->text) == 0) {
            *index = i;
            return true;
        }
    }
    {
        char what[128];

        (void)snprintf(what, sizeof what, "unknown word '%.60s'", node->text);
        return refuse_word(r, node, what, words);
    }
}

bool read_words(struct reader *r, const struct yaml_node *node, const char *const *words,
                unsigned *bits)
{
    unsigned one = 0;

    *bits = 0;
    if (node->kind == YAML_MAP)
        return read_refuse(r, node, "a word or a list of words is expected", NULL);
    if (node->kind == YAML_SCALAR) {
        if (!read_word(r, node, words, &one))
            return false;
        *bits = 1u << one;
        return true;
    }
    for (const struct yaml_node *c = node->child; c; c = c->next) {
        if (!read_word(r, c, words, &one))
            return false;
        if (*bits & 1u << one)
            return read_refuse(r, c, "this word is there twice:", c->text);
        *bits |= 1u << one;
    }
    return true;
}

bool read_number(struct reader *r, const struct yaml_node *node, unsigned long low,
                 unsigned long high, uint64_t *to)
{
    char *end, text[96];
    unsigned long v;

    if (node->kind != YAML_SCALAR || node->text[0] < '0' || node->text[0] > '9')
        return read_refuse(r, node, "a number is expected", NULL);
    errno = 0;
    v = strtoul(node->text, &end, 10);
    if (*end != '\0' || errno || v < low || v > high) {
        (void)snprintf(text, sizeof text, "a number from %lu to %lu is expected", low, high);
        return read_refuse(r, node, text, NULL);
    }
    *to = v;
    return true;
}

bool read_unsigned(struct reader *r, const struct yaml_node *node, unsigned low, unsigned high,
                   unsigned *to)
{
    uint64_t v;

    if (!read_number(r, node, low, high, &v))
        return false;
    *to = (unsigned)v;
    return true;
}

bool read_ms(struct reader *r, const struct yaml_node *node, unsigned *to)
{
    char *end;
    unsigned long v;

    if (node->kind != YAML_SCALAR || node->text[0] < '0' || node->text[0] > '9')
        return read_refuse(r, node, "a time like 150ms or 2s is expected", NULL);
    v = strtoul(node->text, &end, 10);
    if (strcmp(end, "s") == 0 && v <= 3600)
        v *= 1000;
    else if (strcmp(end, "ms") != 0)
        return read_refuse(r, node, "a time like 150ms or 2s is expected", NULL);
    if (v < 1 || v > 3600000)
        return read_refuse(r, node, "a time from 1ms to 3600s is expected", NULL);
    *to = (unsigned)v;
    return true;
}

const struct yaml_node *read_value(struct reader *r, const struct yaml_node *map, const char *key,
                                   bool required)
{
    const struct yaml_node *v = yaml_get(map, key);

    if (!v && required)
        (void)read_refuse(r, map, "this key is missing:", key);
    return v;
}

bool read_percent(struct reader *r, const struct yaml_node *node, unsigned most, unsigned *to)
{
    char *end, text[64];
    unsigned long v;

    (void)snprintf(text, sizeof text, "a share from 0%% to %u%% is expected", most);
    if (node->kind != YAML_SCALAR || node->text[0] < '0' || node->text[0] > '9')
        return read_refuse(r, node, text, NULL);
    v = strtoul(node->text, &end, 10);
    if (strcmp(end, "%") != 0 || v > most)
        return read_refuse(r, node, text, NULL);
    *to = (unsigned)v;
    return true;
}
