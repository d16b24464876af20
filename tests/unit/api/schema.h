/* JSON against the part of JSON Schema that openapi.yaml uses. */
#ifndef HF_TESTS_API_SCHEMA_H
#define HF_TESTS_API_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Follows {"$ref": "#/a/b"} in `document`, any number of times. Borrowed; NULL: it leads nowhere. */
const json_t *schema_follow(const json_t *document, const json_t *node);
/* False: `why` says where and what. */
bool schema_holds(const json_t *document, const json_t *schema, const json_t *value, char *why,
                  size_t why_bytes);

#endif
