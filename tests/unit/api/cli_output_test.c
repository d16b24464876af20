/* What is printed: YAML that reads back as the JSON it was, tables that fit and steer no terminal. */
#include <criterion/criterion.h>
#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/cli.h"

static const char *yaml_of(const json_t *v)
{
    static char *text;
    size_t n;
    FILE *out;

    free(text);
    text = NULL;
    out = open_memstream(&text, &n);
    cr_assert_not_null(out);
    cli_yaml(out, v);
    cr_assert_eq(fclose(out), 0);
    return text;
}

Test(cli_output, yaml_is_in_blocks)
{
    json_t *v = json_pack("{s:i, s:s, s:b, s:n, s:[], s:{}, s:[i,i], s:[{s:i,s:[s]},{s:i}]}", "n",
                          7, "name", "gw-1.example.org", "up", 1, "none", "empty", "no", "list", 1,
                          2, "nodes", "id", 1, "to", "a b", "id", 2);

    cr_expect_str_eq(yaml_of(v),
                     "\"n\": 7\n"
                     "name: gw-1.example.org\n"
                     "up: true\n"
                     "none: null\n"
                     "empty: []\n"
                     "\"no\": {}\n"
                     "list:\n"
                     "  - 1\n"
                     "  - 2\n"
                     "nodes:\n"
                     "  - id: 1\n"
                     "    to:\n"
                     "      - \"a b\"\n"
                     "  - id: 2\n",
                     "%s", yaml_of(v));
    json_decref(v);
}

/* The JSON of what libfyaml reads; strings are told from others by the reader's own rules. */
static json_t *read_back(struct fy_node *node)
{
    struct fy_node_pair *pair;
    struct fy_node *item;
    void *at = NULL;
    json_t *out;

    if (fy_node_get_type(node) == FYNT_MAPPING) {
        out = json_object();
        while ((pair = fy_node_mapping_iterate(node, &at)) != NULL) {
            const char *key = fy_node_get_scalar0(fy_node_pair_key(pair));

            cr_assert_eq(json_object_set_new(out, key, read_back(fy_node_pair_value(pair))), 0);
        }
    } else if (fy_node_get_type(node) == FYNT_SEQUENCE) {
        out = json_array();
        while ((item = fy_node_sequence_iterate(node, &at)) != NULL) {
            cr_assert_eq(json_array_append_new(out, read_back(item)), 0);
        }
    } else {
        size_t n = 0;
        const char *text = fy_node_get_scalar(node, &n);
        json_error_t e;

        out =
            fy_node_get_style(node) == FYNS_PLAIN ? json_loadb(text, n, JSON_DECODE_ANY, &e) : NULL;
        out = out != NULL ? out : json_stringn(text, n);
    }
    return out;
}

Test(cli_output, yaml_reads_back_as_it_was)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "yes",
                                        "No",
                                        "null",
                                        "~",
                                        "1",
                                        "-1.5",
                                        "0x10",
                                        "1e3",
                                        "a: b",
                                        "a #b",
                                        "- a",
                                        "{a}",
                                        "a\nb",
                                        "a\\b\"c'",
                                        "\033[31m",
                                        "t\tab",
                                        "grün €",
                                        "\U0001F600",
                                        "x\xc2\x85y",
                                        "x\xc2\x9b"
                                        "y",
                                        "x\u2028y",
                                        "\uFEFFx",
                                        "2026-11-28",
                                        "client@holdfast.test",
                                        "@a",
                                        "!x",
                                        "&x",
                                        "*x",
                                        "%x",
                                        "|",
                                        ">",
                                        "?",
                                        ":"};
    json_t *v =
        json_pack("{s:[], s:{s:[[i,[i]],{}]}, s:f}", "texts", "deep", "er", 1, 2, "real", 1.25);
    struct fy_document *doc;
    json_t *back;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *s = json_string(texts[i]);

        cr_assert_not_null(s);
        cr_assert_eq(json_object_set(v, texts[i], s), 0);
        cr_assert_eq(json_array_append_new(json_object_get(v, "texts"), s), 0);
    }
    doc = fy_document_build_from_string(NULL, yaml_of(v), FY_NT);
    cr_assert_not_null(doc, "%s", yaml_of(v));
    back = read_back(fy_document_root(doc));
    cr_expect(json_equal(v, back), "%s\n%s", yaml_of(v), json_dumps(back, 0));
    fy_document_destroy(doc);
    json_decref(back);
    json_decref(v);
}

static const char *table_of(size_t most)
{
    static char *text;
    struct cli_table t = {0};
    size_t n;
    FILE *out;

    free(text);
    text = NULL;
    out = open_memstream(&text, &n);
    cr_assert_not_null(out);
    cli_table_row(&t, 3, "NAME", "STATE", "LIFE");
    cli_table_row(&t, 3, "größe", "up", "long enough");
    cli_table_row(&t, 3, "x",
                  "\033[2J\xc2\x9b"
                  "2J",
                  "");
    cli_table_print_in(&t, out, most);
    cr_assert_eq(fclose(out), 0);
    return text;
}

Test(cli_output, a_table_is_aligned_and_cut_and_harmless)
{
    cr_expect_str_eq(table_of(0),
                     "NAME   STATE     LIFE\n"
                     "größe  up        long enough\n"
                     "x      ?[2J??2J  \n",
                     "%s", table_of(0));
    cr_expect_str_eq(table_of(21),
                     "NAME   STATE     LIFE\n"
                     "größe  up        lon…\n"
                     "x      ?[2J??2J  \n",
                     "%s", table_of(21));
    cr_expect_str_eq(table_of(4),
                     "NAME\n"
                     "grö…\n"
                     "x   \n",
                     "%s", table_of(4));
}
