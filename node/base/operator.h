/* Who runs this program, for what is written down of an operator's word. */
#ifndef HF_BASE_OPERATOR_H
#define HF_BASE_OPERATOR_H

#include <stddef.h>

/* The user's name, with sudo whose name it was before; "uid N" without one. Cut to n - 1 bytes. */
void operator_name(char *out, size_t n);

#endif
