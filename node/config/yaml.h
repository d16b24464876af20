/* YAML text as a small tree with the line and column of every node: libfyaml parses, nothing else
 * of it is used.
 *
 * Stricter than YAML: one document, no anchors, aliases or tags, scalar keys, no key twice, at most
 * YAML_MAX_DEPTH deep. Each breach is reported with its place; the tree then is NULL, since what it
 * means is no longer clear.
 */
#ifndef HF_CONFIG_YAML_H
#define HF_CONFIG_YAML_H

#include "base/yaml_text.h"

enum { YAML_MAX_DEPTH = 12, YAML_MAX_NODES = 1 << 20 };

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };

struct yaml_node {
    enum yaml_kind kind;
    unsigned line, column;                 /* from 1 */
    bool plain;                            /* scalar without quotes */
    bool binary;                           /* scalar that holds a zero byte: `text` ends there */
    char *text;                            /* scalar: zero-terminated; NULL for maps and lists */
    struct yaml_node *key;                 /* of a map's child: the scalar before the colon */
    struct yaml_node *child, *last, *next; /* in the order of the file */
    struct yaml_node *parent;
};

/* NULL after at least one call of `report`. An empty text is an empty map. */
struct yaml_node *yaml_parse(struct span text, yaml_report_fn *report, void *arg);
void yaml_free(struct yaml_node *root);

/* NULL when the map has no such key. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

#endif
