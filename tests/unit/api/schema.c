#include "unit/api/schema.h"

#include <regex.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "#/components/schemas/X": parts without ~ alone. */
static const json_t *at_pointer(const json_t *document, const char *pointer)
{
    char part[128];

    if (strncmp(pointer, "#/", 2) != 0) {
        return NULL;
    }
    for (pointer += 2; document != NULL; pointer++) {
        size_t n = strcspn(pointer, "/");

        if (n >= sizeof part) {
            return NULL;
        }
        memcpy(part, pointer, n);
        part[n] = '\0';
        document = json_object_get(document, part);
        pointer += n;
        if (*pointer == '\0') {
            break;
        }
    }
    return document;
}

const json_t *schema_follow(const json_t *document, const json_t *node)
{
    const json_t *ref;

    for (int i = 0; i < 8 && (ref = json_object_get(node, "$ref")) != NULL; i++) {
        node = at_pointer(document, json_string_value(ref));
    }
    return node;
}

static bool is_type(const char *type, const json_t *v)
{
    return (strcmp(type, "object") == 0 && json_is_object(v)) ||
           (strcmp(type, "array") == 0 && json_is_array(v)) ||
           (strcmp(type, "string") == 0 && json_is_string(v)) ||
           (strcmp(type, "integer") == 0 && json_is_integer(v)) ||
           (strcmp(type, "boolean") == 0 && json_is_boolean(v)) ||
           (strcmp(type, "null") == 0 && json_is_null(v));
}

static bool type_holds(const json_t *type, const json_t *v)
{
    size_t i;
    json_t *one;

    if (type == NULL || json_is_string(type)) {
        return type == NULL || is_type(json_string_value(type), v);
    }
    json_array_foreach(type, i, one)
    {
        if (is_type(json_string_value(one), v)) {
            return true;
        }
    }
    return false;
}

static bool pattern_holds(const json_t *pattern, const json_t *v)
{
    regex_t regex;
    bool holds;

    if (pattern == NULL || !json_is_string(v)) {
        return true;
    }
    if (regcomp(&regex, json_string_value(pattern), REG_EXTENDED | REG_NOSUB) != 0) {
        return false;
    }
    holds = regexec(&regex, json_string_value(v), 0, NULL, 0) == 0;
    regfree(&regex);
    return holds;
}

static bool members_hold(const json_t *document, const json_t *schema, const json_t *value,
                         char *why, size_t why_bytes)
{
    const json_t *properties = json_object_get(schema, "properties");
    const char *key;
    json_t *one;
    size_t i;

    json_array_foreach(json_object_get(schema, "required"), i, one)
    {
        if (json_object_get(value, json_string_value(one)) == NULL) {
            (void)snprintf(why, why_bytes, "'%s' is missing", json_string_value(one));
            return false;
        }
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, one)
    {
        const json_t *property = json_object_get(properties, key);

        if (property == NULL && json_is_false(json_object_get(schema, "additionalProperties"))) {
            (void)snprintf(why, why_bytes, "'%s' is not in the schema", key);
            return false;
        }
        if (property != NULL && !schema_holds(document, property, one, why, why_bytes)) {
            return false;
        }
    }
    return true;
}

bool schema_holds(const json_t *document, const json_t *schema, const json_t *value, char *why,
                  size_t why_bytes)
{
    const json_t *constant, *items;
    json_t *one;
    size_t i;

    schema = schema_follow(document, schema);
    constant = json_object_get(schema, "const");
    items = json_object_get(schema, "items");
    if (schema == NULL || !type_holds(json_object_get(schema, "type"), value) ||
        !pattern_holds(json_object_get(schema, "pattern"), value) ||
        (constant != NULL && json_equal(constant, value) == 0)) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

        (void)snprintf(why, why_bytes, "not of its schema: %.100s", text != NULL ? text : "?");
        free(text);
        return false;
    }
    if (json_is_array(value) && items != NULL) {
        json_array_foreach(value, i, one)
        {
            if (!schema_holds(document, items, one, why, why_bytes)) {
                return false;
            }
        }
    }
    return !json_is_object(value) || members_hold(document, schema, value, why, why_bytes);
}
