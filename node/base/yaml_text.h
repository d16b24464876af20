/* What may stand in a YAML file that a person writes for us: UTF-8 text (RFC 3629) of printable
 * characters, tabs and line ends, and no YAML directive. libfyaml 0.7.12 loops for ever over some
 * directives, so every reader asks this first. */
#ifndef HF_BASE_YAML_TEXT_H
#define HF_BASE_YAML_TEXT_H

#include <stdbool.h>

#include "base/span.h"

/* line and column from 1; `text` lasts for the call. */
typedef void yaml_report_fn(void *arg, unsigned line, unsigned column, const char *text);

/* False after one call of `report`: not text that a file may consist of. */
bool yaml_check_text(struct span text, yaml_report_fn *report, void *arg);

#endif
