/* The replicated SAs of each authenticated identity, for INITIAL_CONTACT (RFC 7296 2.4): who proves
 * its identity and says that it has no other SA ends those that are known here, in the record that
 * makes its new one. Who says no such thing, and asks for an address that one of them has, is
 * authenticating anew before it deletes that one (2.8.3). An SA that never was established proves nothing and is not found here. */
#include "conductor/internal.h"
#include "conductor/many.h"

#include <stdlib.h>

static struct conductor_identity *find(struct conductor *c, const struct ike_identity *id)
{
    struct conductor_identity *i = NULL;

    HASH_FIND(hh, c->identities, id, sizeof *id, i);
    return i;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* Who a certificate lets in under a name may write it in either case where that means nothing (RFC
 * 4945 3.1.2, 3.1.3): in a host's name, and behind the @. It is one identity all the same. Unused
 * bytes are zero: they are part of the key. */
struct ike_identity identity_key(const struct ike_identity *id)
{
    enum { FQDN = 2, RFC822 = 3 }; /* RFC 7296 3.5 */
    struct ike_identity key;
    size_t from = id->type == FQDN ? 0 : id->len;

    memset(&key, 0, sizeof key);
    key.type = id->type;
    key.len = id->len;
    memcpy(key.bytes, id->bytes, id->len);
    while (id->type == RFC822 && from > 0 && id->bytes[from - 1] != '@')
        from--;
    for (size_t i = from; i < id->len; i++)
        key.bytes[i] = lower(key.bytes[i]);
    return key;
}

void identity_note(struct conductor *c, struct conductor_sa *sa, const struct ike_sa *decoded)
{
    struct ike_identity key = identity_key(&decoded->remote_id);
    struct conductor_identity *i;

    if (sa->identity != NULL || sa->half_open ||
        (decoded->state != IKE_SA_ESTABLISHED && decoded->state != IKE_SA_REKEYED &&
         decoded->state != IKE_SA_DELETING))
        return;
    i = find(c, &key);
    if (i == NULL) {
        i = calloc(1, sizeof *i);
        HF_ASSERT(i != NULL);
        i->id = key;
        HASH_ADD(hh, c->identities, id, sizeof i->id, i);
    }
    sa->identity = i;
    DL_APPEND2(i->sas, sa, identity_prev, identity_next);
}

void identity_forget(struct conductor *c, struct conductor_sa *sa)
{
    struct conductor_identity *i = sa->identity;

    if (i == NULL)
        return;
    sa->identity = NULL;
    DL_DELETE2(i->sas, sa, identity_prev, identity_next);
    if (i->sas != NULL)
        return;
    HASH_DELETE(hh, c->identities, i);
    /* uthash's deletion is beyond the analyzer. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    free(i);
}

size_t identity_ends(struct conductor *c, uint32_t shard, const struct ike_identity *id,
                     struct conductor_sa *ends[static RECORD_MAX_ENDS])
{
    struct ike_identity key = identity_key(id);
    const struct conductor_identity *i = find(c, &key);
    size_t n = 0;

    for (struct conductor_sa *sa = i != NULL ? i->sas : NULL; sa != NULL && n < RECORD_MAX_ENDS;
         sa = sa->identity_next)
        if (sa->shard == shard && !sa->ended) /* what has ended lingers, to answer (RFC 7296 2.1) */
            ends[n++] = sa;
    return n;
}

struct ip_addr identity_address(struct conductor *c, uint32_t shard, const struct ike_identity *id,
                                unsigned slot)
{
    struct conductor_sa *ends[RECORD_MAX_ENDS];
    size_t n = identity_ends(c, shard, id, ends);

    for (size_t i = 0; i < n; i++)
        if (pool_holds(c, &ends[i]->address[slot], ends[i]->id))
            return ends[i]->address[slot];
    return (struct ip_addr){0};
}

struct conductor_sa *identity_holder(struct conductor *c, uint32_t shard,
                                     const struct ike_identity *id, const struct ip_addr *peer,
                                     const struct ip_addr *address, struct ike_sa *out)
{
    struct ike_identity key = identity_key(id);
    const struct conductor_identity *i = find(c, &key);

    for (struct conductor_sa *sa = i != NULL ? i->sas : NULL; sa != NULL; sa = sa->identity_next)
        if (sa->shard == shard && !sa->ended && pool_holds(c, address, sa->id) &&
            sa_decode(c, sa, out) && addr_equal(&out->remote.ip, peer))
            return sa;
    return NULL;
}
