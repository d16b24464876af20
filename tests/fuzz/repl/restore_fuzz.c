/* Snapshots and backups whose footer is right whatever the items before it say: so what a digest would
 * keep away is restored, too. What is restored encodes and restores to itself, goes on with records, is
 * saved without its sessions, and a cluster begins anew from it or is refused with a reason.
 *
 *   first byte: 1 in pieces of 7 bytes; 2 by a node that gave its sessions' key up; 4 a record is applied
 *   then items, each with a length of 4 bytes, as in a snapshot; the footer's place is where it ends
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "proto/snapshot.pb-c.h"
#include "replication/recover.h"
#include "replication/snapshot_parts.h"
#include "unit/repl/make.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIECE = 7, NODE = 1 };

static bool is_footer(struct span item)
{
    Holdfast__SnapshotItem *m = holdfast__snapshot_item__unpack(NULL, item.len, item.data);
    bool footer = m != NULL && m->item_case == HOLDFAST__SNAPSHOT_ITEM__ITEM_FOOTER;

    if (m != NULL)
        holdfast__snapshot_item__free_unpacked(m, NULL);
    return footer;
}

/* The bytes in front of the footer, or of what is no whole item. */
static size_t items_end(struct span in)
{
    size_t at = 0;

    while (in.len - at >= SNAPSHOT_LENGTH_BYTES) {
        size_t n = get_be32(in.data + at);

        if (n > in.len - at - SNAPSHOT_LENGTH_BYTES ||
            is_footer(span_of(in.data + at + SNAPSHOT_LENGTH_BYTES, n)))
            break;
        at += SNAPSHOT_LENGTH_BYTES + n;
    }
    return at;
}

/* Length and item; how many bytes. */
static size_t footer_of(uint64_t items, struct digest digest, uint8_t out[64])
{
    Holdfast__SnapshotItem item = HOLDFAST__SNAPSHOT_ITEM__INIT;
    Holdfast__SnapshotFooter footer = HOLDFAST__SNAPSHOT_FOOTER__INIT;
    uint8_t sum[REPL_DIGEST_BYTES];
    size_t n;

    put_be64(sum, digest.a);
    put_be64(sum + 8, digest.b);
    footer.items = items;
    footer.digest.data = sum;
    footer.digest.len = sizeof sum;
    item.item_case = HOLDFAST__SNAPSHOT_ITEM__ITEM_FOOTER;
    item.footer = &footer;
    n = holdfast__snapshot_item__pack(&item, out + SNAPSHOT_LENGTH_BYTES);
    put_be32(out, (uint32_t)n);
    return SNAPSHOT_LENGTH_BYTES + n;
}

/* malloc'd: the same items with a footer that fits them. NULL: an item is refused. *whole: the entries of
 * the audit lead to the head that it names; where they are cut off no footer makes that good. */
static uint8_t *closed(struct span items, size_t *len, bool *whole)
{
    struct snapshot_decoder d;
    uint8_t *all = malloc(items.len + 64);
    struct fsm fsm;
    bool ok;

    HF_ASSERT(all != NULL);
    snapshot_decoder_init(&d, &seal_none, 0, &fsm);
    ok = snapshot_decode(&d, items) && d.items > 0;
    if (ok) {
        memcpy(all, items.data, items.len);
        *len = items.len + footer_of(d.items, fsm_digest(&fsm), all + items.len);
        *whole = fsm.audit.head.count == d.audit.count &&
                 memcmp(fsm.audit.head.hash, d.audit.hash, sizeof d.audit.hash) == 0;
    }
    HF_ASSERT(!snapshot_decoder_end(&d)); /* without its end it is none */
    if (ok)
        return all;
    free(all);
    return NULL;
}

static bool restore(struct span bytes, size_t piece, bool sessionless, struct fsm *fsm)
{
    struct snapshot_decoder d;
    bool ok = true;

    snapshot_decoder_init(&d, &seal_none, 0, fsm);
    d.sessionless = sessionless;
    for (size_t at = 0; ok && at < bytes.len; at += piece) {
        size_t n = bytes.len - at < piece ? bytes.len - at : piece;

        ok = snapshot_decode(&d, span_of(bytes.data + at, n));
    }
    return snapshot_decoder_end(&d) && ok;
}

static void goes_on(struct fsm *fsm)
{
    Holdfast__Record *boot = make_boot(NODE, 99, 0);
    struct fsm_outcome out;

    if (fsm->applied_index < UINT64_MAX) {
        fsm_begin_entry(fsm, fsm->applied_index + 1, fsm->cluster_ms);
        fsm_apply(fsm, boot, 0, NULL, &out);
    }
    record_free(boot);
}

static void is_itself(const struct fsm *fsm)
{
    size_t n = 0;
    uint8_t *bytes = snapshot_encode(fsm, &seal_none, &n);
    struct fsm again;

    HF_ASSERT(bytes != NULL && restore(span_of(bytes, n), n, false, &again));
    HF_ASSERT(digest_equal(fsm_digest(fsm), fsm_digest(&again)));
    fsm_deinit(&again);
    free(bytes);
}

/* From a backup of it, and from the snapshot itself. */
static void begins_anew(struct span bytes, const struct fsm *fsm)
{
    struct recover_options o = {.node = NODE, .seal = &seal_none, .random = 5};
    struct repl_loaded loaded = {
        .term = 3, .snapshot = {.index = fsm->applied_index, .term = 3}, .snapshot_data = bytes};
    size_t n = 0;
    uint8_t *backup = recover_backup(fsm, &seal_none, &n);
    struct recovered r;
    const char *why = "";

    HF_ASSERT(backup != NULL);
    if (recover_restore(span_of(backup, n), &o, &r, &why)) {
        HF_ASSERT(r.incarnation > fsm->incarnation);
        free(r.bytes);
    } else {
        HF_ASSERT(why[0] != '\0');
    }
    free(backup);
    why = "";
    if (fsm->applied_index > 0 && recover_make(&loaded, &o, &r, &why)) {
        struct fsm again;

        HF_ASSERT(restore(span_of(r.bytes, r.len), r.len, false, &again));
        HF_ASSERT(again.all_sas == NULL && again.session_key == 0 &&
                  again.applied_index > fsm->applied_index);
        fsm_deinit(&again);
        free(r.bytes);
    } else {
        HF_ASSERT(fsm->applied_index == 0 || why[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span items;
    uint8_t *bytes;
    size_t n = 0;
    bool whole = false;
    struct fsm fsm;

    if (size < 1)
        return 0;
    items = span_of(data + 1, items_end(span_of(data + 1, size - 1)));
    bytes = closed(items, &n, &whole);
    if (bytes == NULL)
        return 0;
    HF_ASSERT(whole ==
              restore(span_of(bytes, n), (data[0] & 1) != 0 ? PIECE : n, (data[0] & 2) != 0, &fsm));
    if (!whole) {
        free(bytes);
        return 0;
    }
    begins_anew(span_of(bytes, n), &fsm);
    if ((data[0] & 4) != 0)
        goes_on(&fsm);
    is_itself(&fsm);
    fsm_deinit(&fsm);
    free(bytes);
    return 0;
}
