/* The program `holdfast`, run against the server of a rig. */
#ifndef HF_TESTS_API_CLI_RUN_H
#define HF_TESTS_API_CLI_RUN_H

#include "unit/api/rig.h"

/* Whose socket the program is given from now on; the rig outlives that. */
void cli_run_at(const struct rig *rig);
/* Runs it, words as a shell takes them; returns its exit status. */
int run_cli(const char *words);
/* What it said at its last run: stdout and stderr together. */
const char *cli_said(void);
/* It ends with that status, and says all of the text, or the part among others. */
void expect(const char *words, int status, const char *text);
void expect_part(const char *words, int status, const char *part);

#endif
