/* Any text at all is either a configuration whose values keep their promises, or at least one
 * mistake with a place inside the text. */
#include <stdlib.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libfyaml 0.7.12 itself loses 2 KiB when a quoted scalar breaks off: once per refused file, in a
 * process that then ends. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

static void check_config(const struct config *c)
{
    HF_ASSERT(c->n_nodes >= 1 && c->n_nodes <= CONFIG_MAX_NODES);
    HF_ASSERT(c->n_shards >= 1 && c->n_psks >= 1 && c->n_networks >= 1);
    HF_ASSERT(c->n_ike_proposals >= 1 && c->n_esp_proposals >= 1);
    HF_ASSERT(config_self(c)->id == c->node_id && c->node_id != 0);
    HF_ASSERT(c->data_dir[0] == '/' && c->admin_socket[0] == '/');
    for (size_t i = 0; i < c->n_shards; i++) {
        bool outside = false, inside = false, pool = false;

        for (unsigned slot = 0; slot < ADDR_SLOTS; slot++) {
            const struct config_shard *s = &c->shards[i];
            struct ip_addr first = prefix_first(&s->pool[slot]), last;

            outside = outside || addr_is_set(&s->outside[slot]);
            inside = inside || addr_is_set(&s->inside[slot]);
            pool = pool || addr_is_set(&s->pool[slot].ip);
            HF_ASSERT(addr_equal(&first, &s->pool[slot].ip));
            HF_ASSERT(!prefix_contains(&s->pool[slot], &s->outside[slot]));
            HF_ASSERT(first.family == ADDR_NONE || addr_slot(first.family) == slot);
            pool_range(&s->pool[slot], &first, &last);
            HF_ASSERT(memcmp(first.bytes, last.bytes, sizeof first.bytes) <= 0);
        }
        HF_ASSERT(outside && inside && pool);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_report report;
    unsigned lines = 1;
    struct config *c;

    for (size_t i = 0; i < size; i++) {
        lines += data[i] == '\n' || data[i] == '\r';
    }
    c = config_parse("fuzz.yaml", span_of(data, size), false, &report);
    HF_ASSERT((c != NULL) == (report.n_mistakes == 0));
    for (size_t i = 0; i < report.n_mistakes; i++) {
        HF_ASSERT(report.mistakes[i].text != NULL && strlen(report.mistakes[i].text) < 2048);
        HF_ASSERT(report.mistakes[i].line <= lines + 1);
    }
    if (c != NULL) {
        check_config(c);
    }
    config_free(c);
    config_report_deinit(&report);
    return 0;
}
