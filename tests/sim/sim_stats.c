#include "sim/sim_stats.h"

#include <inttypes.h>

#include "ike/step.h"

HF_STATIC_ASSERT((int)SIM_EXCHANGES == (int)IKE_EX_INFORMATIONAL + 1);

static const char *const fault_names[] = {
#define X(id, name) name,
    SIM_FAULT_LIST(X)
#undef X
};

static const char *const count_names[] = {
#define X(id) #id,
    SIM_COUNT_LIST(X)
#undef X
};

const char *sim_fault_name(enum sim_fault fault)
{
    return fault_names[fault];
}

const char *sim_count_name(enum sim_count count)
{
    return count_names[count];
}

void sim_stats_add(struct sim_stats *to, const struct sim_stats *from)
{
    for (size_t i = 0; i < SIM_FAULTS; i++)
        to->faults[i] += from->faults[i];
    for (size_t i = 0; i < SIM_COUNTS; i++)
        to->counts[i] += from->counts[i];
    for (size_t i = 0; i < SIM_WATCH_CASES; i++)
        to->cases[i] += from->cases[i];
    for (size_t i = 0; i < SIM_WATCH_RULES; i++)
        to->judged[i] += from->judged[i];
    for (size_t i = 0; i < SIM_EXCHANGES; i++) {
        to->exchanges[0][i] += from->exchanges[0][i];
        to->exchanges[1][i] += from->exchanges[1][i];
        for (size_t k = 0; k < SIM_EXCHANGES; k++)
            to->collisions[i][k] += from->collisions[i][k];
    }
}

static void print_exchanges(const uint64_t *n, const char *who, FILE *out)
{
    const char *comma = "";

    (void)fprintf(out, "\"%s\":{", who);
    for (int i = IKE_EX_INIT; i < SIM_EXCHANGES; i++, comma = ",")
        (void)fprintf(out, "%s\"%s\":%" PRIu64, comma, ike_exchange_name((enum ike_exchange)i),
                      n[i]);
    (void)fprintf(out, "}");
}

void sim_stats_print(const struct sim_stats *s, FILE *out)
{
    const char *comma = "";

    for (int i = 0; i < SIM_COUNTS; i++)
        (void)fprintf(out, "\"%s\":%" PRIu64 ",", count_names[i], s->counts[i]);
    (void)fprintf(out, "\"simulated_hours\":%.3f,\"faults\":{",
                  (double)s->counts[SIM_COUNT_simulated_ms] / 3600000.0);
    for (int i = 0; i < SIM_FAULTS; i++, comma = ",")
        (void)fprintf(out, "%s\"%s\":%" PRIu64, comma, fault_names[i], s->faults[i]);
    (void)fprintf(out, "},\"exchanges\":{");
    print_exchanges(s->exchanges[0], "client", out);
    (void)fprintf(out, ",");
    print_exchanges(s->exchanges[1], "gateway", out);
    (void)fprintf(out, "},\"collisions\":{");
    comma = "";
    for (int c = IKE_EX_INIT; c < SIM_EXCHANGES; c++)
        for (int g = IKE_EX_INIT; g < SIM_EXCHANGES; g++) {
            if (s->collisions[c][g] == 0)
                continue;
            (void)fprintf(out, "%s\"%s|%s\":%" PRIu64, comma,
                          ike_exchange_name((enum ike_exchange)c),
                          ike_exchange_name((enum ike_exchange)g), s->collisions[c][g]);
            comma = ",";
        }
    (void)fprintf(out, "},\"cases\":{");
    for (int i = 0; i < SIM_WATCH_CASES; i++)
        (void)fprintf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "",
                      sim_watch_case_name((enum sim_watch_case)i), s->cases[i]);
    (void)fprintf(out, "},\"judged\":{");
    for (int i = 0; i < SIM_WATCH_RULES; i++)
        (void)fprintf(out, "%s\"%s\":%" PRIu64, i > 0 ? "," : "",
                      sim_watch_rule_name((enum sim_watch_rule)i), s->judged[i]);
    (void)fprintf(out, "}");
}
