#include "swan_sas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*   list-sa event {home {key=value ... child-sas {net-1 {key=value ...} net-2 {...}}}}
 *   list-sas reply {}
 *             depth 1    2                      3     4                                        */
enum { DEPTH_SA = 2, DEPTH_CHILD = 4, WORD = 64 };

struct reader {
    const char *p;
    int depth;
    char word[WORD]; /* the last one: the name of the block that opens */
    bool replied;
    struct swan_sas *sas;
};

static size_t word_length(const char *p)
{
    return strcspn(p, " \t\r\n={}");
}

static void take_word(struct reader *r, size_t len)
{
    (void)snprintf(r->word, sizeof r->word, "%.*s", (int)len, r->p);
    r->p += len;
}

static bool open_block(struct reader *r)
{
    struct swan_sas *sas = r->sas;

    r->depth++;
    if (r->depth == 1 && strcmp(r->word, "reply") == 0)
        r->replied = true;
    if (r->depth == DEPTH_SA) {
        if (sas->n_sas == SWAN_MAX_SAS)
            return false;
        sas->n_sas++;
    } else if (r->depth == DEPTH_CHILD) {
        if (sas->sas[sas->n_sas - 1].n_children == SWAN_MAX_CHILDREN)
            return false;
        sas->sas[sas->n_sas - 1].n_children++;
    }
    return r->depth <= DEPTH_CHILD;
}

static void set(const struct reader *r, const char *value)
{
    struct swan_sa *sa = r->sas->n_sas ? &r->sas->sas[r->sas->n_sas - 1] : NULL;

    if (!sa)
        return;
    if (r->depth == DEPTH_SA && strcmp(r->word, "state") == 0) {
        (void)snprintf(sa->state, SWAN_STATE, "%.23s", value);
    } else if (r->depth == DEPTH_SA && strcmp(r->word, "initiator-spi") == 0) {
        sa->spi_initiator = strtoull(value, NULL, 16);
    } else if (r->depth == DEPTH_SA && strcmp(r->word, "responder-spi") == 0) {
        sa->spi_responder = strtoull(value, NULL, 16);
    } else if (r->depth == DEPTH_SA &&
               (strcmp(r->word, "tasks-active") == 0 || strcmp(r->word, "tasks-queued") == 0)) {
        sa->busy = sa->busy || value[0] == '[';
    } else if (r->depth == DEPTH_CHILD) {
        unsigned last = sa->n_children - 1;

        if (strcmp(r->word, "state") == 0)
            (void)snprintf(sa->children[last].state, SWAN_STATE, "%.23s", value);
        else if (strcmp(r->word, "spi-in") == 0)
            sa->children[last].spi_in = (uint32_t)strtoul(value, NULL, 16);
        else if (strcmp(r->word, "spi-out") == 0)
            sa->children[last].spi_out = (uint32_t)strtoul(value, NULL, 16);
    }
}

/* Behind "key=": one word, or a list in brackets, which may hold spaces. */
static void take_value(struct reader *r)
{
    char value[WORD] = "";
    size_t len;

    if (*r->p == '[') {
        len = strcspn(r->p, "]");
        len += r->p[len] == ']';
        if (len > 2) /* what is in it matters to nobody, only that something is */
            (void)snprintf(value, sizeof value, "[");
    } else {
        len = strcspn(r->p, " \t\r\n{}");
        (void)snprintf(value, sizeof value, "%.*s", (int)len, r->p);
    }
    r->p += len;
    set(r, value);
}

bool swan_sas_parse(const char *text, struct swan_sas *sas)
{
    struct reader r = {.p = text, .sas = sas};

    *sas = (struct swan_sas){0};
    while (*r.p) {
        size_t len = word_length(r.p);

        if (len) {
            take_word(&r, len);
            continue;
        }
        switch (*r.p++) {
        case '{':
            if (!open_block(&r))
                return false;
            break;
        case '}':
            if (--r.depth < 0)
                return false;
            break;
        case '=':
            take_value(&r);
            break;
        default: /* space */
            break;
        }
    }
    return r.replied && r.depth == 0;
}
