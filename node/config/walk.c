/* Holds a YAML tree against the schema's tables and fills the struct; every mistake goes into the
 * report, none stops the walk. */
#include <stdlib.h>

#include "config/internal.h"

enum { MOST_KEYS = 24 };

static const struct schema_field *find_field(const struct schema_field *fields, const char *key)
{
    for (; fields->key != NULL; fields++) {
        if (strcmp(fields->key, key) == 0) {
            return fields;
        }
    }
    return NULL;
}

/* Where else in the schema a key of this name stands: "ike" for `dpd`. Writes the path of the
 * section. */
static bool find_elsewhere(const struct schema_field *fields, const char *key, const char *path,
                           char *found, size_t cap)
{
    char below[128];

    for (; fields->key != NULL; fields++) {
        if (strcmp(fields->key, key) == 0 && path[0] != '\0' && fields->gone == NULL) {
            (void)snprintf(found, cap, "%s", path);
            return true;
        }
        (void)snprintf(below, sizeof below, "%s%s%s", path, path[0] != '\0' ? "." : "",
                       fields->key);
        if (fields->fields != NULL && find_elsewhere(fields->fields, key, below, found, cap)) {
            return true;
        }
    }
    return false;
}

static void report_unknown(struct walk *walk, const struct schema_field *fields,
                           const struct yaml_node *key)
{
    const char *words[MOST_KEYS + 1];
    const char *meant;
    char section[128];
    size_t n = 0;

    for (const struct schema_field *f = fields; f->key != NULL && n < MOST_KEYS; f++) {
        if (f->gone == NULL) {
            words[n++] = f->key;
        }
    }
    words[n] = NULL;
    meant = nearest_word(key->text, words);
    if (meant != NULL) {
        report_at(walk, key, "unknown key '%.60s': did you mean '%s'?", key->text, meant);
    } else if (find_elsewhere(config_schema, key->text, "", section, sizeof section)) {
        report_at(walk, key, "unknown key '%.60s': it belongs under '%s'", key->text, section);
    } else {
        char known[256] = "";
        size_t used = 0;

        for (size_t i = 0; i < n && used < sizeof known - 32; i++) {
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i > 0 ? ", " : "",
                                     words[i]);
        }
        report_at(walk, key, "unknown key '%.60s' (known here: %s)", key->text, known);
    }
}

static const char *kind_name(const struct yaml_node *node)
{
    return node->kind == YAML_MAP ? "a map" : node->kind == YAML_LIST ? "a list" : "a single value";
}

static bool walk_value(struct walk *walk, const struct schema_field *field,
                       const struct yaml_node *node, void *at)
{
    char why[WHY_BYTES];

    if (node->kind != YAML_SCALAR) {
        report_at(walk, node, "'%s' must be %s, not %s", field->key, field->type->what,
                  kind_name(node));
    } else if (node->binary) {
        report_at(walk, node, "'%s' has a zero byte in it", field->key);
    } else if (node->plain && node->text[0] == '\0') {
        report_at(walk, node, "'%s' has no value: %s is expected", field->key, field->type->what);
    } else if (field->type->plain && !node->plain) {
        report_at(walk, node, "'%s' must be %s: leave the quotes out", field->key,
                  field->type->what);
    } else if (!field->type->parse(field, node->text, at, why)) {
        report_at(walk, node, "'%s': %s", field->key, why);
    } else {
        return true;
    }
    return false;
}

static void walk_list(struct walk *walk, const struct schema_field *field,
                      const struct yaml_node *node, void *into)
{
    char *base = (char *)into + field->offset, *items = base;
    size_t n = 0, count = 0;

    if (node->kind != YAML_LIST) {
        report_at(walk, node,
                  "'%s' must be a list, not %s: write [ ... ] or lines that begin with -",
                  field->key, kind_name(node));
        return;
    }
    for (const struct yaml_node *c = node->child; c != NULL; c = c->next) {
        count++;
    }
    if (count < field->least || count > field->most) {
        report_at(walk, node, "'%s' has %zu entries; %zu to %zu are allowed", field->key, count,
                  field->least, field->most);
        return;
    }
    HF_ASSERT(count > 0);
    if (field->heap) {
        items = calloc(count, field->item_bytes);
        HF_ASSERT(items != NULL);
        memcpy(base, &items, sizeof items);
    } else {
        memset(items, 0, field->most * field->item_bytes);
    }
    for (const struct yaml_node *c = node->child; c != NULL; c = c->next, n++) {
        if (field->shape == SCHEMA_VALUES) {
            (void)walk_value(walk, field, c, items + n * field->item_bytes);
        } else if (c->kind != YAML_MAP) {
            report_at(walk, c, "an entry of '%s' must be a map, not %s", field->key, kind_name(c));
        } else {
            if (field->prepare != NULL)
                field->prepare(walk, c, into, items + n * field->item_bytes);
            schema_walk(walk, field->fields, c, items + n * field->item_bytes);
        }
    }
    memcpy((char *)into + field->count_offset, &count, sizeof count);
}

/* `10.99.0.0/24`, or `[10.99.0.0/24, fd00:99::/112]`: at most one of each family. */
static void walk_families(struct walk *walk, const struct schema_field *field,
                          const struct yaml_node *node, void *into)
{
    union {
        struct ip_addr ip; /* what every item begins with */
        uint8_t bytes[64];
    } item;
    const struct yaml_node *first = node->kind == YAML_LIST ? node->child : node;
    char *items = (char *)into + field->offset;

    HF_ASSERT(field->item_bytes <= sizeof item);
    memset(items, 0, ADDR_SLOTS * field->item_bytes);
    if (first == NULL)
        report_at(walk, node, "'%s' has no entry: %s is expected", field->key, field->type->what);
    for (const struct yaml_node *c = first; c != NULL; c = node == c ? NULL : c->next) {
        char *at;

        if (!walk_value(walk, field, c, &item))
            continue;
        at = items + addr_slot(item.ip.family) * field->item_bytes;
        if (((struct ip_addr *)(void *)at)->family != ADDR_NONE)
            report_at(walk, c, "'%s' has two of %s: one IPv4 and one IPv6 are allowed", field->key,
                      item.ip.family == ADDR_V6 ? "IPv6" : "IPv4");
        else
            memcpy(at, &item, field->item_bytes);
    }
}

/* pfs: never | always | { every: N } */
static void walk_word_or_number(struct walk *walk, const struct schema_field *field,
                                const struct yaml_node *node, void *into)
{
    const char *third = field->choices[2];
    const char *const words[] = {field->choices[0], field->choices[1], NULL};
    const struct schema_field choice = {.key = field->key, .type = &value_choice, .choices = words};
    const struct schema_field number[] = {
        {.key = third,
         .required = true,
         .type = &value_number,
         .offset = field->count_offset,
         .bytes = 4,
         .min = field->min,
         .max = field->max},
        {0},
    };
    int chosen = 2;

    if (node->kind == YAML_MAP) {
        schema_walk(walk, number, node, into);
    } else if (node->kind == YAML_LIST) {
        report_at(walk, node, "'%s' must be %s, %s or { %s: N }, not a list", field->key, words[0],
                  words[1], third);
        return;
    } else if (strncmp(node->text, third, strlen(third)) == 0) {
        report_at(walk, node, "'%s': write { %s: N } with a number, such as { %s: 3 }", field->key,
                  third, third);
        return;
    } else if (!walk_value(walk, &choice, node, &chosen)) {
        return;
    }
    memcpy((char *)into + field->offset, &chosen, sizeof chosen);
}

static void walk_field(struct walk *walk, const struct schema_field *field,
                       const struct yaml_node *node, void *into)
{
    switch (field->shape) {
    case SCHEMA_VALUE:
        (void)walk_value(walk, field, node, (char *)into + field->offset);
        break;
    case SCHEMA_MAP:
        if (node->kind != YAML_MAP) {
            report_at(walk, node, "'%s' must be a map of keys, not %s", field->key,
                      kind_name(node));
        } else {
            schema_walk(walk, field->fields, node, (char *)into + field->offset);
        }
        break;
    case SCHEMA_VALUES:
    case SCHEMA_MAPS:
        walk_list(walk, field, node, into);
        break;
    case SCHEMA_FAMILIES:
        walk_families(walk, field, node, into);
        break;
    case SCHEMA_WORD_OR_NUMBER:
        walk_word_or_number(walk, field, node, into);
        break;
    }
}

static void report_missing(struct walk *walk, const struct schema_field *field,
                           const struct yaml_node *map)
{
    const struct yaml_node *key = map->key;
    char what[WHY_BYTES] = " (a section; see the examples in deploy/config)";

    if (field->type != NULL) {
        int n = snprintf(what, sizeof what, ": ");

        if (field->shape == SCHEMA_VALUES) {
            n += snprintf(what + n, sizeof what - (size_t)n, "a list of %zu to %zu, each ",
                          field->least, field->most);
        }
        n += snprintf(what + n, sizeof what - (size_t)n, "%s", field->type->what);
        if (field->type->such != NULL) {
            (void)snprintf(what + n, sizeof what - (size_t)n, ", such as %s", field->type->such);
        } else if (field->max > 0) {
            (void)snprintf(what + n, sizeof what - (size_t)n, ", %llu to %llu",
                           (unsigned long long)field->min, (unsigned long long)field->max);
        }
    }
    report_at(walk, key != NULL ? key : map, "the key '%s' is missing%s%s%s%s", field->key,
              key != NULL ? " under '" : "", key != NULL ? key->text : "", key != NULL ? "'" : "",
              what);
}

void schema_walk(struct walk *walk, const struct schema_field *fields, const struct yaml_node *map,
                 void *into)
{
    for (const struct yaml_node *c = map->child; c != NULL; c = c->next) {
        const struct schema_field *field = find_field(fields, c->key->text);

        if (field == NULL) {
            report_unknown(walk, fields, c->key);
        } else if (field->gone != NULL) {
            report_at(walk, c->key, "unknown key '%s': %s", c->key->text, field->gone);
        } else if (field->prepare == NULL) {
            walk_field(walk, field, c, into);
        }
    }
    /* What begins as its surroundings say is read when these are known, wherever it stands. */
    for (const struct yaml_node *c = map->child; c != NULL; c = c->next) {
        const struct schema_field *field = find_field(fields, c->key->text);

        if (field != NULL && field->prepare != NULL) {
            walk_field(walk, field, c, into);
        }
    }
    for (const struct schema_field *f = fields; f->key != NULL; f++) {
        if (f->required && yaml_get(map, f->key) == NULL) {
            report_missing(walk, f, map);
        }
    }
}
