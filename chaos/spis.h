/* What a node holds, and what a rekey that was interrupted must have made of it. Pure: the views
 * may be synthetic.
 *
 *   before     at the owner, when the fault was armed
 *   committed  at the new owner, when it had applied all that the log holds and the client was held
 *   after      at the new owner, when the exchange had ended
 */
#ifndef HF_CHAOS_SPIS_H
#define HF_CHAOS_SPIS_H

#include "node.h"
#include "oracle.h"
#include "swan_log.h"
#include "swan_sas.h"

enum { CELL_MAX_SPIS = 24, CELL_SPI_TEXT = 24 };

/* "ike:<id>" and "esp:<in>/<out>" of everything alive, as the gateway sees them. */
struct cell_spis {
    bool known;
    unsigned n;
    char text[CELL_MAX_SPIS][CELL_SPI_TEXT];
    uint32_t pending_spi_in;  /* allocated for the gateway's outstanding request; 0 = none */
    char pending_ike_spi[20]; /* "" = none */
};

/* Is the text one of them? */
bool spis_have(const struct cell_spis *spis, const char *text);

/* Did the interrupted step's record survive? Client began: the answer's record has installed what
 * it made. Gateway began: the request's record says which SPI was allocated for it. */
bool spis_record_survived(const struct cell_spis *before, const struct cell_spis *committed,
                          bool client_began);

struct spis_case {
    const struct cell_spis *before, *committed, *after;
    bool ike;     /* the IKE SA was rekeyed, else the CHILD SA */
    bool decided; /* the log holds the exchange's record: what it says must come true, to the SPI */
    const struct swan_child *newest; /* the client's newest CHILD SA; NULL: it has none */
    unsigned node;                   /* the new owner, for the text */
    uint64_t recoveries; /* replay recoveries since `before`: each may have rekeyed a CHILD SA, of
                            the record or untouched by the exchange, once more */
};

/* What was rekeyed is gone, what was not is still there; from the committed record on, what lives
 * is exactly what it said; and what the client says it has. */
void spis_judge(const struct spis_case *c, struct oracle_report *r);
/* Of it only: the rekeyed kind was replaced, the other one was left alone. */
void spis_judge_replaced(const struct spis_case *c, struct oracle_report *r);

/* All nodes have died and begun again. Kept: each SA of before is there, but for a CHILD SA that its replay recovery rekeyed
 * (`recoveries` of them). Else none of them is. */
void spis_judge_all_die(const struct cell_spis *before, const struct cell_spis *now, bool kept,
                        uint64_t recoveries, struct oracle_report *r);

/* Do both ends hold the same: of each client one established IKE SA and its installed CHILD SAs?
 * False: *why says what they do not agree on. */
bool spis_client_agrees(const struct swan_sas *client, const struct node_sas *gateway,
                        unsigned clients, char *why, size_t size);

#endif
