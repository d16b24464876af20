/* Shared by the files of node/config only: the schema's language, the walker's context, the report.
 */
#ifndef HF_CONFIG_INTERNAL_H
#define HF_CONFIG_INTERNAL_H

#include <sys/stat.h>

#include "config/config.h"
#include "config/yaml.h"

enum { WHY_BYTES = 400 };

struct walk {
    const char *name; /* the file, for messages */
    const struct yaml_node *root;
    struct config_report *report;
    struct config *config;
    bool read_secrets;
};

struct schema_field;

/* A kind of value: `parse` writes *at only on success; on failure `why` says what is wrong and what
 * would be right. */
struct value_type {
    const char *what; /* "a duration with a unit (ms, s, m, h, d)" */
    bool plain;       /* must stand without quotes */
    const char *such; /* a value, for the message that the key is missing; NULL: its range is */
    bool (*parse)(const struct schema_field *field, const char *text, void *at,
                  char why[WHY_BYTES]);
};

enum schema_shape {
    SCHEMA_VALUE,    /* a scalar of `type` */
    SCHEMA_MAP,      /* a mapping of `fields`, into the same struct */
    SCHEMA_VALUES,   /* a list of scalars of `type` */
    SCHEMA_MAPS,     /* a list of mappings of `fields` */
    SCHEMA_FAMILIES, /* a scalar of `type`, or a list of one IPv4 and one IPv6, into [ADDR_SLOTS];
                        each item begins with its struct ip_addr */
    SCHEMA_WORD_OR_NUMBER /* one of two words, or { third: N }: never | always | { every: N } */
};

/* One key. The end of a table is a field without a key. */
struct schema_field {
    const char *key;
    const char *gone; /* no key any more: what stands in its place; all else is empty */
    enum schema_shape shape;
    bool required;
    const struct value_type *type;
    const struct schema_field *fields;
    size_t offset;       /* of the value, the array, or (heap) the pointer to the array */
    size_t count_offset; /* lists: of the size_t that counts */
    size_t item_bytes;   /* lists */
    size_t most;         /* lists: items */
    size_t least;        /* lists: items */
    bool heap;           /* lists: the array is allocated */
    /* SCHEMA_MAPS: fills an entry before it is read, from what stands around it (`into`); such
     * lists are read after everything else of their section. */
    void (*prepare)(struct walk *walk, const struct yaml_node *entry, const void *into, void *item);
    uint64_t min, max;          /* numbers and durations */
    size_t bytes;               /* numbers: size of the integer; texts: size of the array */
    const char *const *choices; /* choices: ended by NULL; the value is the index, an int. Of
                                   WORD_OR_NUMBER the third is the one with a number, which goes to
                                   count_offset (4 bytes, min to max) */
};

extern const struct schema_field config_schema[];

extern const struct value_type value_number, value_bool, value_duration, value_percent,
    value_factor, value_path, value_absolute, value_interface, value_choice, value_address,
    value_text, value_endpoint, value_prefix, value_identity, value_ike_proposal,
    value_esp_proposal, value_name, value_pattern, value_bytes, value_client;

extern const char *const profile_words[]; /* by enum config_profile */

/* connections.c: the terms that a profile names; both are written whole. */
void profile_apply(enum config_profile profile, struct ike_lifetime *ike_life,
                   struct ike_child_terms *child);
/* The file's own profile, before anything else is read; connections are prepared by theirs. */
void profile_of_file(struct walk *walk);
void connection_prepare(struct walk *walk, const struct yaml_node *entry, const void *into,
                        void *item);
void override_prepare(struct walk *walk, const struct yaml_node *entry, const void *into,
                      void *item);
/* Checks every section of terms, and makes config->engine_connections of good ones. */
void connections_check(struct walk *walk);

/* Adds "name:line:column: message". node NULL: the file as a whole. */
void report_at(struct walk *walk, const struct yaml_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void report_line(struct walk *walk, unsigned line, unsigned column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void report_sort(struct config_report *report);

/* Holds the document against the schema and fills walk->config; every mistake goes into the report.
 */
void schema_walk(struct walk *walk, const struct schema_field *fields, const struct yaml_node *map,
                 void *into);

/* The value of that family at /shards/`i`/`key`: the scalar, or the entry of the list. */
const struct yaml_node *family_at(struct walk *walk, size_t i, const char *key, uint8_t family);

/* The node at a path like "/shards/1/pool", or the nearest one above it that exists. */
const struct yaml_node *node_at(struct walk *walk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Limits of one lifetime against each other; `path` leads to the map that has `lifetime`. */
void check_lifetime(struct walk *walk, const char *path, const struct ike_lifetime *life);

/* What one key alone cannot tell: duplicates, overlaps, limits that contradict each other. */
void config_check(struct walk *walk);

/* Reads the files that auth.psk names. */
void config_read_secrets(struct walk *walk);
/* Reads the files of auth.certificates and auth.clients, and holds them against each other. */
void config_read_certificates(struct walk *walk);

/* Reads the files that `cluster` names. */
void config_read_node_certificates(struct walk *walk);
/* Checks `api`, and reads the files that it names. */
void config_read_api(struct walk *walk);
/* The whole file, or NULL with a mistake reported. The caller wipes and frees. */
char *config_read_pem(struct walk *walk, const struct yaml_node *node, const char *key,
                      const char *path, bool secret, size_t *len);
/* Nothing wrong with the file, but with the time. */
void config_note(struct walk *walk, const struct yaml_node *node, const char *path,
                 const char *what, bool out_of_date);

/* A relative name is relative to the folder of the YAML file. False: too long, reported. */
bool config_join_path(struct walk *walk, const struct yaml_node *node, const char *key,
                      char path[CONFIG_MAX_PATH]);
/* NULL, or who else could change the file (or, of a secret one, read it). */
const char *config_check_access(const struct stat *st, bool secret, char why[WHY_BYTES]);

/* The nearest word of `words` (ended by NULL), or NULL when none is near. */
const char *nearest_word(const char *word, const char *const *words);

/* Names of transforms as the configuration spells them. */
struct transform_name {
    const char *word;
    uint8_t type; /* RFC 7296 3.3.2: 1 ENCR, 2 PRF, 3 INTEG, 4 KE */
    uint16_t id, key_bits;
    const char *legacy; /* the word that allows it (gateway/proposals/legacy), or NULL: allowed */
};
extern const struct transform_name transform_names[]; /* ended by word == NULL */

extern const char *const config_legacy_words[]; /* ended by NULL */

/* NULL when it has none. */
const struct transform_name *transform_of(uint8_t type, uint16_t id, uint16_t key_bits);

/* A proposal of our own writing. */
void proposal_default(struct config_proposal *p, bool esp, const char *text);
/* Rows that it gives: at least 1. */
size_t proposal_combinations(const struct config_proposal *p);
/* " aes256gcm16-prfsha384-x25519" */
void proposal_print(const struct config_proposal *p, FILE *out);
/* Legacy algorithms only where they are allowed, and not too many combinations. */
void proposal_check(struct walk *walk);

/* Text of an address or identity, for messages. Returns `buf`. */
const char *addr_text(const struct ip_addr *ip, char buf[64]);
const char *prefix_text(const struct ip_prefix *prefix, char buf[72]);
const char *identity_text(const struct ike_identity *identity, char buf[IKE_MAX_ID_BYTES + 1]);

#endif
