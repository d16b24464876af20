/* From cells to one verdict, and to the exit status. Pure. */
#ifndef HF_CHAOS_VERDICT_H
#define HF_CHAOS_VERDICT_H

#include <jansson.h>

/* Also the exit status. */
enum verdict { VERDICT_PASS, VERDICT_FAIL, VERDICT_INCONCLUSIVE, VERDICT_ABORTED };

/* The worst of the cells (fail before aborted before inconclusive); at least aborted when there are
 * fewer than were planned, or none at all. */
enum verdict verdict_of_cells(const json_t *cells, size_t planned);

const char *verdict_word(enum verdict v);

#endif
