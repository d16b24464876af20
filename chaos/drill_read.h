/* Between drill_*.c: the strict reader of a drill's YAML. The first mistake is kept, with its
 * place; every take_* then returns false. */
#ifndef HF_CHAOS_DRILL_READ_H
#define HF_CHAOS_DRILL_READ_H

#include "config/yaml.h"
#include "drill.h"

struct reader {
    const char *file;
    char *error; /* DRILL_ERROR bytes */
    bool failed;
};

bool read_refuse(struct reader *r, const struct yaml_node *at, const char *what,
                 const char *detail);
/* A map whose keys are all among `keys` (ended by NULL). */
bool read_is_map(struct reader *r, const struct yaml_node *node, const char *const *keys);
bool read_word(struct reader *r, const struct yaml_node *node, const char *const *words,
               unsigned *index);
/* One word or a list of words, as bits. */
bool read_words(struct reader *r, const struct yaml_node *node, const char *const *words,
                unsigned *bits);
bool read_number(struct reader *r, const struct yaml_node *node, unsigned long low,
                 unsigned long high, uint64_t *to);
bool read_unsigned(struct reader *r, const struct yaml_node *node, unsigned low, unsigned high,
                   unsigned *to);
/* "150ms" or "2s", to milliseconds. */
bool read_ms(struct reader *r, const struct yaml_node *node, unsigned *to);
/* "30%", at most `most`. */
bool read_percent(struct reader *r, const struct yaml_node *node, unsigned most, unsigned *to);
/* The value of a key, or NULL; `required` makes its absence an error. */
const struct yaml_node *read_value(struct reader *r, const struct yaml_node *map, const char *key,
                                   bool required);

/* drill_fault.c; topology and traffic are read already. */
void read_fault(struct reader *r, const struct yaml_node *map, struct drill *d);
void read_relay(struct reader *r, const struct yaml_node *node, struct drill *d);

#endif
