/* The replicated state and the one way it changes: fsm_apply(record), compare-and-set, the same on
 * every node.
 *
 *   shard ──< SA (state bytes, version) ──< claim by spi_in (reservation end, ceiling, version)
 *     └─ epoch, owner (node, boot), assignments        SA ──  leases by address
 *   member ── boot id, requests judged of that boot
 *
 * Order of judgement: shape, who (member and boot), duplicate request, fence (epoch and owner),
 * then the body's own. A refused record changes nothing but the list of judged requests.
 *
 * Versions: an accepted change sets the version to its place in the log (index, position in the
 * entry); an assignment raises every version of its shard by 1, implicitly, as grant.h counts. So a
 * version never repeats, not even when an id is used again after its deletion.
 *
 * Pure but for its own heap: no clock, no randomness, no network. Out of memory ends the process.
 */
#ifndef HF_REPL_FSM_H
#define HF_REPL_FSM_H

#include "replication/audit.h"
#include "replication/digest.h"
#include "replication/documents.h"
#include "replication/map.h"
#include "replication/record.h"

enum {
    FSM_MAX_MEMBERS = REPL_MAX_IDS, /* ever */
    FSM_MAX_ADVANCE_MS = REPL_MAX_ADVANCE_MS,
    FSM_WINDOW = REPL_MAX_OUTSTANDING,
    FSM_MOVE_MS = 30000 /* how long a move waits for a node that cannot take the shard now */
};

struct fsm_claim {
    uint32_t spi_in, spi_out;
    bool esn;
    struct repl_claim claim;
    struct fsm_sa *sa;
    struct digest digest; /* its part of the sum */
};

struct fsm_sa {
    uint64_t id;
    uint32_t shard;
    uint64_t version, touched; /* as in struct repl_claim */
    uint8_t *state;            /* never changed in place, and counted: an image may hold it, too */
    size_t state_len;
    struct fsm_lease
        *leases[RECORD_MAX_ADDRESSES]; /* of an IPv4 address, of an IPv6 one; or NULL */
    struct fsm_claim *claims[RECORD_MAX_CHILDREN];
    size_t n_claims;
    struct digest digest;
    uint64_t image;             /* newest image that needs nothing of it any more (image.h) */
    struct fsm_sa *prev, *next; /* of all, oldest first */
};

struct fsm_lease {
    uint8_t address[16];
    uint8_t address_len; /* 4 or 16 */
    uint32_t shard;
    struct fsm_sa *sa; /* NULL: held for its identity */
    uint8_t *identity;
    size_t identity_len;
    struct digest digest;
    uint64_t image;
    struct fsm_lease *prev, *next;
};

struct fsm_shard {
    uint32_t shard;
    struct repl_epoch epoch;
    uint32_t owner_node;
    uint64_t owner_boot;
    uint64_t assignments, aborts;
    uint32_t home;      /* an operator's wish: the node that should own it; 0 = as configured */
    uint32_t moving_to; /* ... that should get it now; 0 = none. Ends with any assignment, */
    uint64_t moving_until_ms; /* or at that cluster time */
};

struct fsm_member {
    uint32_t node;
    uint64_t boot; /* 0 = not started yet */
    bool left;
    bool drained; /* owns nothing: by an operator, */
    uint64_t
        removal;     /* or by that removal, which alone may take it back by this number; 0 = none */
    uint32_t speaks; /* newest version of records that it knows; 0 = 1 */
    char address[RECORD_MAX_ADDRESS_TEXT + 1];
    uint64_t floor; /* requests of this boot below it were all judged */
    uint64_t
        judged[FSM_WINDOW / 64]; /* of floor .. floor + FSM_WINDOW - 1, at request % FSM_WINDOW */
};

/* Permits `node` to join, once, until that cluster time. */
struct fsm_token {
    uint32_t node;
    char address[RECORD_MAX_ADDRESS_TEXT + 1];
    uint8_t hash[RECORD_TOKEN_BYTES];
    uint64_t expires_ms;
};

struct fsm_config {
    uint64_t version; /* 0 = none yet */
    uint32_t election_ms, heartbeat_ms, lease_ms, lease_heartbeat_ms;
    uint8_t cookie_secret[32], cookie_secret_previous[32];
    bool has_previous;
    uint32_t cookie_secret_id;
};

/* The replicated configuration, sorted by kind, then name. */
struct fsm_documents {
    struct repl_document **list;
    size_t n, cap;
    size_t bytes;        /* as document_size() counts */
    struct digest sum;   /* of all */
    struct digest names; /* of all, by kind, name and version: for who may not guess the bytes */
};

/* What operators did: the head, and the newest entries (a ring). */
struct fsm_audit {
    struct audit_head head;
    struct audit_entry *entries[AUDIT_KEEP];
    size_t first, n, bytes;
    uint64_t refused_since_ms; /* refused ones with an entry since then, within AUDIT_MINUTE_MS: */
    uint32_t refused;
    uint64_t unaudited; /* since the newest entry: refused ones that got none */
};

struct fsm {
    uint64_t incarnation;
    uint64_t applied_index;
    uint64_t cluster_ms;
    struct fsm_config config;
    uint64_t session_key;  /* id of the key that sessions are sealed with; 0 = none yet */
    uint64_t former_key;   /* the one before it, not erased yet; 0 = none */
    uint64_t switch_index; /* ... replaced at that index */
    uint64_t key_ms;       /* cluster time when session_key came; 0 = at the beginning */
    uint64_t rotate_wish;  /* where another key was wished for, unanswered; 0 = nobody does */
    struct fsm_shard shards[REPL_MAX_SHARDS];
    size_t n_shards;
    struct fsm_member *members[FSM_MAX_MEMBERS];
    size_t n_members;
    struct fsm_token tokens[REPL_MAX_MEMBERS];
    size_t n_tokens;
    struct repl_beginning beginnings[REPL_MAX_BEGINNINGS]; /* oldest first */
    size_t n_beginnings;
    struct fsm_documents documents;
    struct fsm_audit audit;
    uint32_t used_ids; /* no node id up to it is given again; 0 = none was lost sight of */
    struct map sas, claims, leases;
    struct fsm_sa *all_sas, *last_sa; /* lists of the same, in an order that no map disturbs */
    struct fsm_lease *all_leases, *last_lease;
    struct digest sum;   /* of SAs, claims and leases */
    struct image *image; /* being taken (image.h), or NULL */
    uint64_t images;     /* begun so far */
};

/* What a judgement came to, beyond the verdict. Pointers into the state, valid until the next
 * change. */
struct fsm_outcome {
    enum repl_verdict verdict;
    const struct fsm_sa *sa; /* accepted sa_create, sa_step: the SA that has the children now */
    uint64_t sa_version, successor_version;
    const struct fsm_shard *assigned; /* accepted assign */
    struct repl_epoch replaced;       /* its former epoch */
    bool configured;                  /* accepted config */
    bool rekeyed;                     /* accepted session_key */
    bool erased;                      /* accepted key_erased */
    size_t item; /* refused documents: the first change that does not fit, and what is there */
    uint64_t document_version; /* ... in its place: 0 = nothing. Accepted: of all that were put */
    uint64_t audit;            /* sequence of its entry; 0 = none */
};

void fsm_init(struct fsm *fsm, uint64_t incarnation);
void fsm_deinit(struct fsm *fsm);

/* Before the records of entry `index` (> applied_index, asserted). stamp_ms 0: an entry without one
 * (barrier, configuration). Cluster time never goes back and advances at most 5 s. */
void fsm_begin_entry(struct fsm *fsm, uint64_t index, uint64_t stamp_ms);

/* Judges and applies one record at `position` (< RECORD_MAX_PER_ENTRY) of the entry begun last.
 * items: room for record->extend->n_items results of an extend; written when it passed the fence;
 * may be NULL for any other body. */
void fsm_apply(struct fsm *fsm, const Holdfast__Record *record, size_t position,
               struct repl_item_result *items, struct fsm_outcome *outcome);

/* A record of a session whose key is lost: its request counts as judged, so that all else that the
 * same node submitted is judged as on a node that had the key. The caller drops what it would have
 * changed: SAs, claims and leases, all of them, when the loss is applied. */
void fsm_skip(struct fsm *fsm, uint32_t node, uint64_t boot, uint64_t request);

/* Does the state name that key: is it in use, or may somebody still need it to get here? */
static inline bool fsm_names_key(const struct fsm *fsm, uint64_t id)
{
    return id != 0 && (id == fsm->session_key || id == fsm->former_key);
}

/* Was it judged (whatever the verdict)? False also for a boot that is not the member's present one.
 */
bool fsm_judged(const struct fsm *fsm, uint32_t node, uint64_t boot, uint64_t request);

/* A node of the log's first configuration, right behind it. */
void fsm_found(struct fsm *fsm, uint32_t node);
/* The state under a new incarnation (above the former): `beginning->node`, a member, stays, all others have
 * left; sessions, owners and tokens are gone; and how it began is in it, with the highest id that
 * is known (word.highest_id, or higher). Only programs that know RECORD_SPEAKS_BEGINNINGS can go
 * on with it. Before the next entry. */
void fsm_refound(struct fsm *fsm, const struct repl_beginning *beginning);
/* The highest node id that a member or token of the state has or had. */
uint32_t fsm_highest_id(const struct fsm *fsm);
/* Sessions and the names of their keys are gone; owners, members and all else stay. The state is not that
 * of any place of the log then. */
void fsm_forget(struct fsm *fsm);
/* NULL: there is none. */
const struct repl_document *fsm_document(const struct fsm *fsm, const char *kind, const char *name);
/* Of those kept, the oldest first; i < fsm->audit.n. */
const struct audit_entry *fsm_audit_kept(const struct fsm *fsm, size_t i);
/* Members that have not left; the version of records that all of them know. */
size_t fsm_present(const struct fsm *fsm);
uint32_t fsm_spoken(const struct fsm *fsm);

/* Over everything (I11). Equal states have equal digests, whatever path led to them. */
struct digest fsm_digest(const struct fsm *fsm);
/* The same without the log position, cluster time, the account of judged requests and the audit: it
 * stays while only time passes, and is what it was when everything that came has gone again. Every viewer
 * may read it, and knows the hash's key: so documents are in it by kind, name and version, not by their
 * bytes, in which a password could be guessed. */
struct digest fsm_content_digest(const struct fsm *fsm);

/* Are the SA, its claims and its leases still what their part of the digest says? What falls over in
 * memory changes no digest by itself, for that is kept, not counted anew. */
bool fsm_sa_sound(const struct fsm *fsm, const struct fsm_sa *sa);

const struct fsm_shard *fsm_shard(const struct fsm *fsm, uint32_t shard);      /* or NULL */
const struct fsm_member *fsm_member(const struct fsm *fsm, uint32_t node);     /* or NULL */
const struct fsm_sa *fsm_sa(const struct fsm *fsm, uint64_t id);               /* or NULL */
const struct fsm_claim *fsm_claim(const struct fsm *fsm, uint32_t spi_in);     /* or NULL */
const struct fsm_lease *fsm_lease(const struct fsm *fsm, struct span address); /* or NULL */

/* Versions and claims as of now, the implicit grants counted. */
uint64_t fsm_sa_version(const struct fsm *fsm, const struct fsm_sa *sa);
struct repl_claim fsm_claim_now(const struct fsm *fsm, const struct fsm_claim *claim);

#endif
