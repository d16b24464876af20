/* Vendor ID payload, RFC 7296 3.12: bytes of the sender's choice. Tells clients apart in logs; nothing
 * is granted for it. */
#ifndef HF_WIRE_VENDOR_H
#define HF_WIRE_VENDOR_H

#include "wire/payload.h"

/* How many a message's decoder keeps; what comes behind is ignored, never refused (3.12). */
enum { WIRE_MAX_VENDOR_IDS = 16 };

void wire_put_vendor(struct wire_builder *b, struct span id);

#endif
