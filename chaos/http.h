/* One HTTP/1.1 request over a unix socket, the loop running meanwhile. For the nodes' admin seam.
 */
#ifndef HF_CHAOS_HTTP_H
#define HF_CHAOS_HTTP_H

#include <jansson.h>

#include "lab.h"

struct http_reply {
    int status;
    json_t *body; /* NULL: none, or not JSON; the caller's to json_decref() */
};

/* False: no connection, no complete answer within ms (never an error of the lab: nodes die here).
 * body may be NULL; borrowed. */
bool http_call(struct chaos_lab *lab, const char *socket_path, const char *method, const char *path,
               const json_t *body, unsigned ms, struct http_reply *reply);

#endif
