/* What the names of problems mean: for the server's /v1/problems/NAME, and for the command line. */
#ifndef HF_API_PROBLEMS_H
#define HF_API_PROBLEMS_H

/* NULL: there is none of that name. */
const char *api_problem_meaning(const char *name);

#endif
