#include "spis.h"

#include <stdio.h>
#include <string.h>

bool spis_have(const struct cell_spis *spis, const char *text)
{
    for (unsigned i = 0; i < spis->n; i++) {
        if (strcmp(text, spis->text[i]) == 0)
            return true;
    }
    return false;
}

bool spis_record_survived(const struct cell_spis *before, const struct cell_spis *committed,
                          bool client_began)
{
    if (!client_began)
        return committed->pending_spi_in || committed->pending_ike_spi[0];
    for (unsigned i = 0; i < committed->n; i++) {
        if (!spis_have(before, committed->text[i]))
            return true;
    }
    return false;
}

static bool of_committed_record(const struct cell_spis *committed, const char *spi)
{
    char allocated[CELL_SPI_TEXT];

    if (spis_have(committed, spi))
        return true;
    (void)snprintf(allocated, sizeof allocated, "esp:%08x/", committed->pending_spi_in);
    if (committed->pending_spi_in && strncmp(spi, allocated, strlen(allocated)) == 0)
        return true;
    (void)snprintf(allocated, sizeof allocated, "ike:%s", committed->pending_ike_spi);
    return committed->pending_ike_spi[0] && strcmp(spi, allocated) == 0;
}

/* The rekeyed kind was replaced, the other one was left alone. */
static void judge_replaced(const struct spis_case *c, struct oracle_report *r)
{
    const char *kind = c->ike ? "ike:" : "esp:";

    for (unsigned i = 0; i < c->before->n; i++) {
        const char *spi = c->before->text[i];
        bool rekeyed = strncmp(spi, kind, strlen(kind)) == 0, lives = spis_have(c->after, spi);

        if (rekeyed == lives)
            oracle_violation(r, "same-spis: %s was %s", spi,
                             rekeyed ? "rekeyed and lives on" : "not rekeyed and is gone");
    }
}

void spis_judge(const struct spis_case *c, struct oracle_report *r)
{
    char want[CELL_SPI_TEXT] = "none";

    for (unsigned i = 0; i < c->after->n; i++) {
        if (c->decided && !of_committed_record(c->committed, c->after->text[i]))
            oracle_violation(
                r, "same-spis: %s lives after the exchange but is not of the committed record",
                c->after->text[i]);
    }
    judge_replaced(c, r);
    if (c->newest)
        (void)snprintf(want, sizeof want, "esp:%08x/%08x", c->newest->spi_out, c->newest->spi_in);
    if (!spis_have(c->after, want))
        oracle_violation(r,
                         "same-spis: the client's newest CHILD SA is %s, which node %u does not "
                         "have",
                         want, c->node);
}
