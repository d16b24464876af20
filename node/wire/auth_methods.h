/* The data of SUPPORTED_AUTH_METHODS, RFC 9593 3: which ways to authenticate its sender takes.
 *
 *   [length = 2][method]      [length = 3][method][CA]      [length > 3][method][CA][AlgorithmIdentifier]
 */
#ifndef HF_WIRE_AUTH_METHODS_H
#define HF_WIRE_AUTH_METHODS_H

#include "wire/notify.h"

enum { WIRE_MAX_AUTH_METHODS = 32 };

struct wire_auth_announcement {
    uint8_t method;        /* as in AUTH; any value */
    uint8_t cert_link;     /* which CA of the CERTREQ it goes with, from 1; 0 = any */
    struct span algorithm; /* DER, as in RFC 7427; empty = any */
};

struct wire_auth_methods {
    struct wire_auth_announcement items[WIRE_MAX_AUTH_METHODS];
    size_t n;
};

/* Refuses an announcement shorter than 2 bytes. The AlgorithmIdentifier is the reader's to judge. */
enum wire_result wire_auth_methods_decode(struct span data,
                                          struct wire_auth_methods *out) HF_MUST_USE;
/* Appends the whole Notify payload; each announcement in the shortest of the three forms. */
void wire_put_auth_methods(struct wire_builder *b, const struct wire_auth_methods *methods);

#endif
