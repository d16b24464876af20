/* Pieces that the completions of several shells are made of. */
#ifndef HF_API_CLI_COMPLETE_H
#define HF_API_CLI_COMPLETE_H

#include "api/cli/cli.h"

/* "file", "dir", "any", or in quotes "words " and the choices. */
void cli_complete_kind(FILE *out, enum cli_kind kind, const char *choices);
void cli_complete_words(FILE *out, const char *choices); /* "a|b" as "a b" */
void cli_completion_fish(FILE *out);

#endif
