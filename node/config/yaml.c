#include "config/yaml.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/assert.h"

struct builder {
    struct fy_parser *parser;
    yaml_report_fn *report;
    void *arg;
    struct yaml_node *root, *open; /* open: the innermost map or list */
    struct yaml_node *key;         /* the key whose value comes next */
    unsigned depth, nodes, documents;
    bool failed;
};

static void fail(struct builder *b, unsigned line, unsigned column, const char *text)
{
    b->failed = true;
    b->report(b->arg, line, column, text);
}

void yaml_free(struct yaml_node *root)
{
    if (root == NULL) {
        return;
    }
    while (root->child != NULL) {
        struct yaml_node *next = root->child->next;

        yaml_free(root->child);
        root->child = next;
    }
    yaml_free(root->key);
    free(root->text);
    free(root);
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (map == NULL || map->kind != YAML_MAP) {
        return NULL;
    }
    for (const struct yaml_node *c = map->child; c != NULL; c = c->next) {
        if (strcmp(c->key->text, key) == 0) {
            return c;
        }
    }
    return NULL;
}

/* The text of a scalar, malloc'd. Piece by piece: fy_token_get_text() of libfyaml 0.7.12 leaks where a
 * quoted text holds more than a handful of escapes. */
static char *copy_text(struct fy_token *token, size_t *len)
{
    struct fy_token_iter *iter = token != NULL ? fy_token_iter_create(token) : NULL;
    const struct fy_iter_chunk *chunk = NULL;
    char *text = calloc(1, 1);

    *len = 0;
    HF_ASSERT(text != NULL && (token == NULL || iter != NULL));
    while (iter != NULL && (chunk = fy_token_iter_chunk_next(iter, chunk, NULL)) != NULL) {
        text = realloc(text, *len + chunk->len + 1);
        HF_ASSERT(text != NULL);
        memcpy(text + *len, chunk->str, chunk->len);
        *len += chunk->len;
        text[*len] = '\0';
    }
    fy_token_iter_destroy(iter);
    return text;
}

static struct yaml_node *node_create(struct fy_token *token, enum yaml_kind kind)
{
    const struct fy_mark *mark = token != NULL ? fy_token_start_mark(token) : NULL;
    struct yaml_node *n = calloc(1, sizeof *n);
    size_t len = 0;

    HF_ASSERT(n != NULL);
    n->kind = kind;
    n->line = mark != NULL ? (unsigned)mark->line + 1 : 1;
    n->column = mark != NULL ? (unsigned)mark->column + 1 : 1;
    if (kind == YAML_SCALAR) {
        n->text = copy_text(token, &len);
        n->binary = strlen(n->text) != len;
        n->plain = token == NULL || fy_token_scalar_style(token) == FYSS_PLAIN;
        if (token != NULL && n->column > 1 &&
            (fy_token_scalar_style(token) == FYSS_SINGLE_QUOTED ||
             fy_token_scalar_style(token) == FYSS_DOUBLE_QUOTED)) {
            n->column--; /* the mark stands behind the quote */
        }
    }
    return n;
}

/* Puts a value where the parser stands. Frees it when it has no place. */
static bool place(struct builder *b, struct yaml_node *n)
{
    if (++b->nodes > YAML_MAX_NODES) {
        fail(b, n->line, n->column, "too many values in one file");
    } else if (b->open == NULL && b->root != NULL) {
        fail(b, n->line, n->column, "a second value begins here: one file holds one map");
    } else if (b->open == NULL) {
        b->root = n;
        return true;
    } else {
        n->parent = b->open;
        n->key = b->key;
        b->key = NULL;
        if (b->open->last != NULL) {
            b->open->last->next = n;
        } else {
            b->open->child = n;
        }
        b->open->last = n;
        return true;
    }
    yaml_free(n);
    return false;
}

static void take_key(struct builder *b, struct fy_event *event)
{
    struct yaml_node *key = node_create(event->scalar.value, YAML_SCALAR);
    const struct yaml_node *first = yaml_get(b->open, key->text);
    char text[400];

    if (first != NULL) {
        (void)snprintf(text, sizeof text,
                       "the key '%.64s' stands here a second time (first at line %u)", key->text,
                       first->key->line);
        fail(b, key->line, key->column, text);
    }
    b->key = key;
}

static void take_collection(struct builder *b, struct fy_token *start, enum yaml_kind kind)
{
    struct yaml_node *n = node_create(start, kind);

    if (b->open != NULL && b->open->kind == YAML_MAP && b->key == NULL) {
        fail(b, n->line, n->column, "a key must be a plain word, not a map or a list");
        yaml_free(n);
    } else if (b->depth == YAML_MAX_DEPTH) {
        fail(b, n->line, n->column, "nested too deep");
        yaml_free(n);
    } else if (place(b, n)) {
        b->open = n;
        b->depth++;
    }
}

static bool refused_extra(struct builder *b, struct fy_token *anchor, struct fy_token *tag)
{
    struct fy_token *token = anchor != NULL ? anchor : tag;
    const struct fy_mark *mark = token != NULL ? fy_token_start_mark(token) : NULL;
    unsigned line = mark != NULL ? (unsigned)mark->line + 1 : 1;
    unsigned column = mark != NULL ? (unsigned)mark->column + 1 : 1;

    if (anchor != NULL) {
        fail(b, line, column > 1 ? column - 1 : 1,
             "anchors are not supported: write the value out");
    } else if (tag != NULL) {
        fail(b, line, column, "tags are not supported: leave the tag out");
    }
    return token != NULL;
}

/* False: stop. After the first breach the structure is not trusted any more. */
static bool take(struct builder *b, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    unsigned line = mark != NULL ? (unsigned)mark->line + 1 : 1;
    unsigned column = mark != NULL ? (unsigned)mark->column + 1 : 1;

    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (++b->documents > 1) {
            fail(b, line, column, "a second document begins here: one file holds one document");
        }
        break;
    case FYET_ALIAS:
        fail(b, line, column, "aliases are not supported: write the value out");
        break;
    case FYET_SCALAR:
        if (refused_extra(b, event->scalar.anchor, event->scalar.tag)) {
            break;
        }
        if (b->open != NULL && b->open->kind == YAML_MAP && b->key == NULL) {
            take_key(b, event);
        } else {
            struct yaml_node *n = node_create(event->scalar.value, YAML_SCALAR);

            if (event->scalar.value == NULL && b->key != NULL) {
                n->line = b->key->line;
                n->column = b->key->column;
            }
            (void)place(b, n);
        }
        break;
    case FYET_MAPPING_START:
        if (!refused_extra(b, event->mapping_start.anchor, event->mapping_start.tag)) {
            take_collection(b, event->mapping_start.mapping_start, YAML_MAP);
        }
        break;
    case FYET_SEQUENCE_START:
        if (!refused_extra(b, event->sequence_start.anchor, event->sequence_start.tag)) {
            take_collection(b, event->sequence_start.sequence_start, YAML_LIST);
        }
        break;
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        HF_ASSERT(b->open != NULL && b->depth > 0);
        b->open = b->open->parent;
        b->depth--;
        break;
    default:
        break;
    }
    return !b->failed;
}

/* What the parser itself found. It reports one error, then gives up. */
static void report_syntax(struct builder *b, struct fy_diag *diag)
{
    struct fy_diag_error *error;
    void *at = NULL;
    char text[256];

    while ((error = fy_diag_errors_iterate(diag, &at)) != NULL) {
        if (error->type == FYET_ERROR && error->msg != NULL) {
            (void)snprintf(text, sizeof text, "not YAML: %.200s", error->msg);
            fail(b, error->line > 0 ? (unsigned)error->line : 1,
                 error->column > 0 ? (unsigned)error->column : 1, text);
            return;
        }
    }
    if (!b->failed) {
        fail(b, 1, 1, "not YAML");
    }
}

struct yaml_node *yaml_parse(struct span text, yaml_report_fn *report, void *arg)
{
    struct builder b = {.report = report, .arg = arg};
    struct fy_diag_cfg diag_config;
    struct fy_diag *diag;
    struct fy_event *event;
    bool going = true;

    if (!yaml_check_text(text, report, arg)) {
        return NULL;
    }
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    diag = fy_diag_create(&diag_config);
    HF_ASSERT(diag != NULL);
    fy_diag_set_collect_errors(diag, true);
    b.parser = fy_parser_create(
        &(struct fy_parse_cfg){.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag});
    HF_ASSERT(b.parser != NULL);
    if (fy_parser_set_string(b.parser, (const char *)text.data, text.len) != 0) {
        fail(&b, 1, 1, "not YAML");
        going = false;
    }
    while (going && (event = fy_parser_parse(b.parser)) != NULL) {
        going = event->type != FYET_STREAM_END && take(&b, event);
        fy_parser_event_free(b.parser, event);
    }
    if (going || fy_parser_get_stream_error(b.parser)) {
        report_syntax(&b, diag);
    }
    fy_parser_destroy(b.parser);
    fy_diag_destroy(diag);
    yaml_free(b.key);
    if (b.failed) {
        yaml_free(b.root);
        return NULL;
    }
    if (b.root == NULL) {
        b.root = node_create(NULL, YAML_MAP);
    }
    return b.root;
}
