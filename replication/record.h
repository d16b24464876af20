/* Records as bytes: packed, unpacked, and judged for shape. What is malformed here is refused on
 * every node alike, before any state is looked at. Knows no state, no time, no network.
 */
#ifndef HF_REPL_RECORD_H
#define HF_REPL_RECORD_H

#include "base/assert.h"
#include "base/span.h"
#include "proto/records.pb-c.h"
#include "replication/replica.h"
#include "replication/seal.h"

enum {
    RECORD_MAX_STATE_BYTES = 64 << 10,
    RECORD_MAX_ENDS = 64,     /* SAs that end with a new one */
    RECORD_MAX_CHILDREN = 16, /* CHILD SAs per IKE SA, and new or gone ones per record */
    RECORD_MAX_ADDRESSES = 2, /* per IKE SA: one IPv4, one IPv6 */
    RECORD_MAX_IDENTITY_BYTES = 512,
    RECORD_MAX_ITEMS = 8192,              /* of one Extend */
    RECORD_MAX_WINDOWS_BYTES = 768 << 10, /* of one record of a handover */
    RECORD_MAX_TEXT_BYTES = 4096,         /* of each audit field */
    RECORD_MAX_ADDRESS_TEXT = 64,
    RECORD_MIN_SPI = 256,        /* RFC 4303 2.1: 0..255 are reserved */
    RECORD_MAX_PER_ENTRY = 4096, /* fits the position's 12 bits of a version */
    RECORD_MAX_ENTRY_BYTES = 2 << 20,
    RECORD_MAX_LEASE_MS = 60000,
    RECORD_TOKEN_BYTES = 32, /* SHA-256 */
    RECORD_MAX_TOKEN_MS = 7 * 86400000,
    RECORD_SPEAKS = 6, /* the newest version of records that this program knows */
    RECORD_SPEAKS_ROTATION = 3,
    RECORD_SPEAKS_CODEC_2 = 4,    /* an SA's state may begin with 2 */
    RECORD_SPEAKS_BEGINNINGS = 4, /* how the cluster began anew is in the state */
    RECORD_SPEAKS_UNTIL = 5,      /* a LEAVE and a Drain may say until when they count */
    RECORD_SPEAKS_DOCUMENTS = 5,  /* documents and the audit are in the state */
    RECORD_SPEAKS_REMOVAL = 6 /* a Drain may say of which removal it is, and so does the state */
};

/* The version that first had records like this one: 1, or 2 for membership (join_token, JOIN,
 * LEAVE), or 3 for another key of sessions while there is one (session_key, rotate_keys,
 * key_erased), or 4 for an SA's state in its second encoding, or 5 for documents, for what says who
 * wished for it (`admin`), and for a LEAVE or a Drain that says until when it counts, or 6 for a Drain that
 * says of which removal it is. It is written only when every member knows it (fsm_spoken()). */
uint32_t record_format(const Holdfast__Record *record);

/* Well-formed: one known body, sizes and counts within the bounds above, ids not zero where zero
 * means "none". */
bool record_valid(const Holdfast__Record *record) HF_MUST_USE;

/* Does its body carry the fence (epoch, owner, boot)? sa_*, extend, pool_lease, handover
 * and what belongs to one. */
bool record_fenced(const Holdfast__Record *record);

/* Is it made by replication itself (request 0, compare-and-set by its own contents)? barrier,
 * assign without handover, a member's BOOT, config, session_key,
 * key_erased. */
bool record_internal(const Holdfast__Record *record);

/* Is it an operator's, so that it has an entry in the audit? move, drain, rotate_keys, join_token, a
 * member's JOIN and LEAVE, documents; audit that says who (`admin`). */
bool record_is_admin(const Holdfast__Record *record);

/* Who wishes for it, as its record says it: the texts are borrowed. `outcome`: of body audit alone, else "". */
struct repl_admin;
Holdfast__Admin record_admin(const struct repl_admin *admin, const char *outcome);

/* Under which key it is sealed: what ends with its session (SAs, their numbers, windows, leases), or
 * what outlives all of them. */
enum seal_kind record_seal_kind(const Holdfast__Record *record);

/* malloc'd packed bytes, *n long; NULL when larger than REPL_MAX_RECORD_BYTES. */
uint8_t *record_pack(const Holdfast__Record *record, size_t *n) HF_MUST_USE;
/* NULL: not a Record. The caller frees with record_free(). Not yet record_valid(). */
Holdfast__Record *record_unpack(struct span bytes) HF_MUST_USE;
void record_free(Holdfast__Record *record);

/* One Raft entry of sealed records (borrowed for the call); malloc'd. `format`: what the cluster
 * speaks. */
uint8_t *entry_pack(uint32_t format, uint64_t cluster_ms, const struct span *records,
                    size_t n_records, size_t *n) HF_MUST_USE;
/* NULL: malformed. Its format may be above RECORD_SPEAKS: nothing else of it may be looked at then.
 */
Holdfast__Entry *entry_unpack(struct span bytes) HF_MUST_USE;
void entry_free(Holdfast__Entry *entry);

/* Before what protobuf unpacked is freed: a field that may hold a key. */
void record_wipe(ProtobufCBinaryData *field);

static inline struct span record_span(ProtobufCBinaryData d)
{
    return span_of(d.data, d.len);
}

static inline struct repl_epoch record_epoch(const Holdfast__Epoch *e)
{
    return e == NULL ? (struct repl_epoch){0, 0}
                     : (struct repl_epoch){.incarnation = e->incarnation, .index = e->index};
}

static inline bool repl_epoch_equal(struct repl_epoch x, struct repl_epoch y)
{
    return x.incarnation == y.incarnation && x.index == y.index;
}

static inline bool repl_epoch_less(struct repl_epoch x, struct repl_epoch y)
{
    return x.incarnation != y.incarnation ? x.incarnation < y.incarnation : x.index < y.index;
}

#endif
