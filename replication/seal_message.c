#include "replication/seal_message.h"

#include "base/bytes.h"

enum { MESSAGE_VERSION = 1 };

size_t seal_message_encode(const struct seal_message *m, uint8_t *out)
{
    out[0] = MESSAGE_VERSION;
    out[1] = (uint8_t)m->what;
    out[2] = (uint8_t)m->kind;
    put_be64(out + 3, m->id);
    if (m->what == SEAL_PAST) {
        put_be64(out + SEAL_MESSAGE_SHORT_BYTES, m->index);
        return SEAL_MESSAGE_PAST_BYTES;
    }
    if (m->what != SEAL_GIVE)
        return SEAL_MESSAGE_SHORT_BYTES;
    memcpy(out + SEAL_MESSAGE_SHORT_BYTES, m->key, SEAL_KEY_BYTES);
    return SEAL_MESSAGE_BYTES;
}

static size_t length_of(uint8_t what)
{
    return what == SEAL_GIVE   ? SEAL_MESSAGE_BYTES
           : what == SEAL_PAST ? SEAL_MESSAGE_PAST_BYTES
                               : SEAL_MESSAGE_SHORT_BYTES;
}

bool seal_message_decode(struct span bytes, struct seal_message *m)
{
    const uint8_t *p = bytes.data;

    if (bytes.len < SEAL_MESSAGE_SHORT_BYTES || p[0] != MESSAGE_VERSION || p[1] < SEAL_WANT ||
        p[1] > SEAL_LACK || p[2] < SEAL_CONFIGURATION || p[2] >= SEAL_KINDS)
        return false;
    if (bytes.len != length_of(p[1]) || (p[1] == SEAL_GIVE && get_be64(p + 3) == 0))
        return false;
    *m = (struct seal_message){
        .what = (enum seal_what)p[1], .kind = (enum seal_kind)p[2], .id = get_be64(p + 3)};
    if (p[1] == SEAL_PAST)
        m->index = get_be64(p + SEAL_MESSAGE_SHORT_BYTES);
    if (p[1] == SEAL_GIVE)
        memcpy(m->key, p + SEAL_MESSAGE_SHORT_BYTES, SEAL_KEY_BYTES);
    return true;
}
