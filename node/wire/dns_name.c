#include "wire/dns_name.h"

#include "wire/cursor.h"

static bool is_label_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool wire_dns_name_holds(struct span name)
{
    struct wire_reader r = wire_reader_of(name);
    size_t label = 0, dots = 0;

    while (wire_reader_left(&r) > 0) {
        uint8_t c = wire_read_u8(&r);

        if (c == '.') {
            if (label == 0 && name.len > 1)
                return false;
            dots = 1;
            label = 0;
        } else if (!is_label_char(c) || ++label > WIRE_DNS_LABEL_MAX_BYTES) {
            return false;
        }
    }
    return name.len > 0 && name.len <= WIRE_DNS_NAME_MAX_BYTES + (label == 0 ? dots : 0);
}
