/* A history of records as bytes: each is a two-byte length and a packed Record. Whatever they are,
 * the state stays sound: its incremental digest is the one that its own snapshot restores to. */
#include <stdlib.h>

#include "base/bytes.h"
#include "replication/snapshot.h"
#include "unit/repl/make.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(struct fsm *fsm, const Holdfast__Record *r)
{
    struct repl_item_result *items = NULL;
    struct fsm_outcome out;

    if (r->body_case == HOLDFAST__RECORD__BODY_EXTEND && r->extend->n_items > 0)
        items = repl_alloc_zero(r->extend->n_items, sizeof *items);
    fsm_begin_entry(fsm, fsm->applied_index + 1, fsm->cluster_ms + 7);
    fsm_apply(fsm, r, fsm->applied_index % RECORD_MAX_PER_ENTRY, items, &out);
    free(items);
}

static void begin(struct fsm *fsm)
{
    Holdfast__Record *boot = make_boot(1, 11, 0);
    Holdfast__Record *assign = make_assign(1, 0, 1, 11);

    fsm_init(fsm, 1);
    judge(fsm, boot);
    judge(fsm, assign);
    record_free(boot);
    record_free(assign);
}

static void check(const struct fsm *fsm)
{
    size_t n = 0;
    uint8_t *bytes = snapshot_encode(fsm, &seal_none, &n);
    struct fsm copy;

    HF_ASSERT(bytes != NULL);
    HF_ASSERT(snapshot_restore(span_of(bytes, n), &seal_none, 1, &copy));
    HF_ASSERT(digest_equal(fsm_digest(fsm), fsm_digest(&copy)));
    fsm_deinit(&copy);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fsm fsm;

    begin(&fsm);
    while (size >= 2) {
        size_t n = get_be16(data);
        Holdfast__Record *r;

        data += 2;
        size -= 2;
        n = n < size ? n : size;
        r = record_unpack(span_of(data, n));
        if (r != NULL) {
            judge(&fsm, r);
            record_free(r);
        }
        data += n;
        size -= n;
    }
    check(&fsm);
    fsm_deinit(&fsm);
    return 0;
}
