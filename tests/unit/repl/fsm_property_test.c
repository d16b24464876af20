/* Properties over random histories: equal state means equal digest whatever the path; a snapshot is
 * the state; and the digest notices every kind of difference. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "replication/fsm_parts.h"
#include "replication/snapshot.h"
#include "sim/sim_random.h"
#include "unit/repl/make.h"

enum { SAS = 12, STEPS = 400 };

struct world {
    struct sim_random random;
    struct fsm fsm;
    struct maker m;
    uint64_t accepted[32]; /* by body */
};

static enum repl_verdict judge(struct fsm *fsm, const Holdfast__Record *r)
{
    struct repl_item_result items[8];
    struct fsm_outcome out;

    fsm_begin_entry(fsm, fsm->applied_index + 1, fsm->cluster_ms + 3);
    fsm_apply(fsm, r, 0, items, &out);
    return out.verdict;
}

static uint64_t version_of(const struct fsm *fsm, uint64_t id)
{
    const struct fsm_sa *sa = fsm_sa(fsm, id);

    return sa == NULL ? 1 : fsm_sa_version(fsm, sa);
}

static Holdfast__Record *random_record(struct world *w)
{
    struct sim_random *rnd = &w->random;
    uint64_t id = sim_between(rnd, 1, SAS);
    uint32_t spi = (uint32_t)sim_between(rnd, 300, 330);
    uint32_t address = (uint32_t)sim_between(rnd, 0, 8) + 0x0a000000;
    const struct fsm_claim *c = fsm_claim(&w->fsm, spi);
    const struct fsm_sa *sa = fsm_sa(&w->fsm, id);
    uint32_t gone = sa != NULL && sa->n_claims > 0 ? sa->claims[0]->spi_in : 0;
    char state[32];
    Holdfast__Record *r;

    (void)snprintf(state, sizeof state, "state %llu", (unsigned long long)sim_next(rnd) % 100);
    switch (sim_between(rnd, 0, 12)) {
    case 0:
    case 1:
        r = make_create(&w->m, id, state, spi, address == 0x0a000000 ? 0 : address, "peer");
        if (sim_chance(rnd, 300))
            make_address6(r->sa_create, (uint8_t)sim_between(rnd, 1, 4));
        for (uint64_t k = sim_between(rnd, 0, 4); k >= 3; k--) {
            uint64_t other = sim_between(rnd, 1, SAS);

            make_end(r, other, version_of(&w->fsm, other));
        }
        if (r->sa_create->n_ends == 0 && sim_chance(rnd, 300)) {
            uint64_t other = sim_between(rnd, 1, SAS);

            make_give(r, other, version_of(&w->fsm, other), "gave");
        }
        return r;
    case 2:
    case 3:
        r = make_step(&w->m, id, version_of(&w->fsm, id), state, spi, gone);
        r->sa_step->address_back = sim_chance(rnd, 200);
        return r;
    case 4:
        r = make_step(&w->m, id, version_of(&w->fsm, id), state, 0, 0);
        make_successor(r, sim_between(rnd, 1, SAS), "next", 0);
        return r;
    case 5:
        r = make_extend(&w->m, spi, c == NULL ? 1 : fsm_claim_now(&w->fsm, c).version,
                        c == NULL ? 1 : fsm_claim_now(&w->fsm, c).reservation_end + 64,
                        sim_between(rnd, 1, 1000));
        r->extend->items[0]->packets_in = sim_between(rnd, 0, 100);
        r->extend->items[0]->packets_out = sim_between(rnd, 0, 100);
        r->extend->items[0]->bytes_in = sim_between(rnd, 0, 100);
        r->extend->items[0]->bytes_out = sim_between(rnd, 0, 100);
        return r;
    case 6:
        return make_delete(&w->m, id, version_of(&w->fsm, id));
    case 7:
        return make_lease(&w->m, address + 16, "peer", sim_chance(rnd, 500));
    case 8:
        return make_assign(1, w->m.epoch_index, 1, 11);
    case 9:
        return make_move(&w->m, (uint32_t)sim_between(rnd, 0, 2));
    case 10:
        return make_drain(&w->m, 1 + (uint32_t)sim_between(rnd, 0, 1), sim_chance(rnd, 500));
    case 11:
        return make_windows(&w->m, fsm_shard(&w->fsm, 1)->assignments, "windows");
    default:
        return make_audit(&w->m, "something");
    }
}

static void step(struct world *w)
{
    Holdfast__Record *r = random_record(w);

    if (judge(&w->fsm, r) == REPL_ACCEPTED)
        w->accepted[r->body_case]++;
    w->m.epoch_index = fsm_shard(&w->fsm, 1)->epoch.index;
    record_free(r);
}

static void begin(struct world *w, uint64_t seed)
{
    Holdfast__Record *boot = make_boot(1, 11, 0);
    Holdfast__Record *assign = make_assign(1, 0, 1, 11);

    *w = (struct world){.random = {.state = seed}};
    fsm_init(&w->fsm, 1);
    cr_assert_eq(judge(&w->fsm, boot), REPL_ACCEPTED);
    cr_assert_eq(judge(&w->fsm, assign), REPL_ACCEPTED);
    record_free(boot);
    record_free(assign);
    w->m = (struct maker){
        .node = 1, .boot = 11, .request = 1, .shard = 1, .epoch_index = w->fsm.applied_index};
}

/* Brings every claim and SA up to date without changing what they mean. */
static void touch_all(struct fsm *fsm)
{
    void *p;

    for (size_t at = 0; (p = map_next(&fsm->claims, &at)) != NULL;) {
        struct fsm_claim *c = p;

        repl_claim_touch(&c->claim, fsm_assignments(fsm, 1));
        fsm_claim_changed(fsm, c);
    }
    for (size_t at = 0; (p = map_next(&fsm->sas, &at)) != NULL;) {
        struct fsm_sa *sa = p;

        sa->version = fsm_sa_version(fsm, sa);
        sa->touched = fsm_assignments(fsm, 1);
        fsm_sa_changed(fsm, sa);
    }
}

/* The digest computed from nothing, as if every item were added now. */
static struct digest recomputed(const struct fsm *fsm)
{
    size_t n = 0;
    uint8_t *bytes = snapshot_encode(fsm, &seal_none, &n);
    struct fsm copy;
    struct digest d;

    cr_assert_not_null(bytes);
    cr_assert(snapshot_restore(span_of(bytes, n), &seal_none, 1, &copy));
    d = fsm_digest(&copy);
    fsm_deinit(&copy);
    free(bytes);
    return d;
}

Test(repl_fsm_property, the_digest_is_that_of_the_state_whatever_the_path)
{
    uint64_t accepted[32] = {0};

    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world w;

        begin(&w, seed);
        for (int i = 0; i < STEPS; i++) {
            step(&w);
            if (i % 40 != 0)
                continue;

            struct digest before = fsm_digest(&w.fsm);

            cr_assert(digest_equal(before, recomputed(&w.fsm)), "seed %lu step %d",
                      (unsigned long)seed, i);
            touch_all(&w.fsm);
            cr_assert(digest_equal(before, fsm_digest(&w.fsm)), "touching changed the digest");
        }
        for (int i = 0; i < 32; i++)
            accepted[i] += w.accepted[i];
        fsm_deinit(&w.fsm);
    }
    /* No kind of record was refused all the time: else nothing was tested. */
    for (int body = HOLDFAST__RECORD__BODY_SA_CREATE; body <= HOLDFAST__RECORD__BODY_POOL_LEASE;
         body++)
        cr_assert_gt(accepted[body], 50, "body %d: %lu accepted", body,
                     (unsigned long)accepted[body]);
}

/* Undoing everything leads back to the digest of before: nothing sticks. */
Test(repl_fsm_property, what_is_added_and_removed_leaves_no_trace)
{
    struct world w;
    struct digest sum;

    begin(&w, 7);
    sum = w.fsm.sum;
    cr_assert_eq(sum.a, 0);
    for (int i = 0; i < STEPS; i++)
        step(&w);
    for (uint64_t id = 1; id <= SAS; id++) {
        const struct fsm_sa *sa = fsm_sa(&w.fsm, id);
        Holdfast__Record *r;

        if (sa == NULL)
            continue;
        r = make_delete(&w.m, id, fsm_sa_version(&w.fsm, sa));
        cr_assert_eq(judge(&w.fsm, r), REPL_ACCEPTED);
        record_free(r);
    }
    for (uint32_t a = 0; a < 32; a++) {
        Holdfast__Record *r = make_lease(&w.m, 0x0a000000 + a, "peer", true);

        (void)judge(&w.fsm, r);
        record_free(r);
    }
    cr_assert_eq(w.fsm.sas.n_used + w.fsm.claims.n_used + w.fsm.leases.n_used, 0);
    cr_assert(digest_equal(sum, w.fsm.sum));
    fsm_deinit(&w.fsm);
}

/* A restored state goes on exactly as the original: same verdicts, same digests. */
Test(repl_fsm_property, a_restored_state_goes_on_like_the_original)
{
    for (uint64_t seed = 100; seed < 130; seed++) {
        struct world w;
        struct fsm copy;
        size_t n = 0;
        uint8_t *bytes;

        begin(&w, seed);
        for (int i = 0; i < STEPS / 2; i++)
            step(&w);
        bytes = snapshot_encode(&w.fsm, &seal_none, &n);
        cr_assert(snapshot_restore(span_of(bytes, n), &seal_none, 1, &copy));
        free(bytes);
        for (int i = 0; i < STEPS / 2; i++) {
            Holdfast__Record *r = random_record(&w);
            enum repl_verdict original = judge(&w.fsm, r);

            cr_assert_eq(judge(&copy, r), original);
            cr_assert(digest_equal(fsm_digest(&w.fsm), fsm_digest(&copy)));
            w.m.epoch_index = fsm_shard(&w.fsm, 1)->epoch.index;
            record_free(r);
        }
        fsm_deinit(&copy);
        fsm_deinit(&w.fsm);
    }
}

/* Pieces of odd sizes into the decoder. */
static bool restore_in_pieces(struct sim_random *random, struct span bytes, struct fsm *fsm)
{
    struct snapshot_decoder d;
    bool ok = true;

    snapshot_decoder_init(&d, &seal_none, 1, fsm);
    while (ok && bytes.len > 0) {
        size_t n = (size_t)sim_between(random, 1, 40);

        n = n < bytes.len ? n : bytes.len;
        ok = snapshot_decode(&d, span_of(bytes.data, n));
        bytes = span_of(bytes.data + n, bytes.len - n);
    }
    return snapshot_decoder_end(&d) && ok;
}

/* An image is the state of the instant at which it began, whatever is changed while it is walked,
 * and in whatever pieces it is taken, encoded and restored. */
Test(repl_fsm_property, an_image_is_the_state_of_its_instant)
{
    uint64_t changes = 0, batches = 0;

    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct snapshot_piece piece = {0};
        struct snapshot_encoder e;
        struct image *image;
        struct digest then;
        struct world w;
        struct fsm copy;

        begin(&w, seed);
        for (uint64_t i = sim_between(&w.random, 0, 200); i > 0; i--)
            step(&w);
        image = image_begin(&w.fsm);
        then = fsm_digest(&w.fsm);
        cr_assert(snapshot_encode_head(&e, &w.fsm, &seal_none, &piece));
        for (bool all = false; !all;) {
            struct image_batch *batch;

            for (uint64_t i = sim_between(&w.random, 0, 6); i > 0; i--, changes++)
                step(&w);
            all = image_walk(image, (size_t)sim_between(&w.random, 0, 3), 100);
            if (!all && sim_chance(&w.random, 300))
                continue; /* taken later */
            batch = image_take(image);
            for (uint64_t i = sim_between(&w.random, 0, 3); i > 0; i--, changes++)
                step(&w); /* the batch is nobody's but the encoder's */
            batches += batch != NULL;
            cr_assert(batch == NULL || snapshot_encode_batch(&e, batch, &piece));
            image_batch_free(batch);
        }
        cr_assert_null(image_take(image), "kept after all was kept");
        image_end(image);
        cr_assert(snapshot_encode_end(&e, &piece));
        snapshot_encoder_deinit(&e);
        cr_assert(restore_in_pieces(&w.random, span_of(piece.bytes, piece.len), &copy),
                  "seed %lu: what came of it is not one state", (unsigned long)seed);
        cr_assert(digest_equal(then, fsm_digest(&copy)), "seed %lu", (unsigned long)seed);
        fsm_deinit(&copy);
        fsm_deinit(&w.fsm);
        free(piece.bytes);
    }
    printf("compared 400 images, %lu batches, %lu records judged meanwhile\n",
           (unsigned long)batches, (unsigned long)changes);
    cr_assert(changes > 5000 && batches > 1000);
}

/* Given up half way, nothing of it is left, and the next one is whole. */
Test(repl_fsm_property, an_image_that_was_given_up_leaves_no_trace)
{
    struct world w;

    begin(&w, 3);
    for (int i = 0; i < 100; i++)
        step(&w);
    for (int i = 0; i < 50; i++) {
        struct image *image = image_begin(&w.fsm);

        (void)image_walk(image, 2, SIZE_MAX);
        step(&w);
        image_end(image);
        cr_assert(digest_equal(fsm_digest(&w.fsm), recomputed(&w.fsm)));
    }
    fsm_deinit(&w.fsm);
}

Test(repl_fsm_property, a_spoilt_snapshot_is_refused)
{
    struct world w;
    struct fsm copy;
    size_t n = 0;
    uint8_t *bytes;

    begin(&w, 5);
    for (int i = 0; i < STEPS; i++)
        step(&w);
    bytes = snapshot_encode(&w.fsm, &seal_none, &n);
    cr_assert_not(snapshot_restore(span_of(bytes, n), &seal_none, 2, &copy), "another cluster");
    for (size_t cut = 0; cut < n; cut++)
        cr_assert_not(snapshot_restore(span_of(bytes, cut), &seal_none, 1, &copy), "cut at %zu",
                      cut);
    for (size_t at = 0; at < n; at++) {
        bytes[at] ^= 0x04;
        if (snapshot_restore(span_of(bytes, n), &seal_none, 1, &copy)) {
            /* An unused bit of the encoding at most: then it is the very same state. */
            cr_assert(digest_equal(fsm_digest(&copy), fsm_digest(&w.fsm)), "changed at %zu", at);
            fsm_deinit(&copy);
        }
        bytes[at] ^= 0x04;
    }
    free(bytes);
    fsm_deinit(&w.fsm);
}

Test(repl_fsm_property, the_digest_sees_every_field)
{
    struct world w;
    struct digest d;
    struct fsm_shard *s;
    void *p;
    size_t at = 0;

    begin(&w, 9);
    for (int i = 0; i < STEPS; i++)
        step(&w);
    d = fsm_digest(&w.fsm);
    s = &w.fsm.shards[0];
    s->aborts++;
    cr_assert_not(digest_equal(d, fsm_digest(&w.fsm)));
    s->aborts--;
    w.fsm.members[0]->judged[0] ^= 2;
    cr_assert_not(digest_equal(d, fsm_digest(&w.fsm)));
    w.fsm.members[0]->judged[0] ^= 2;
    w.fsm.cluster_ms++;
    cr_assert_not(digest_equal(d, fsm_digest(&w.fsm)));
    w.fsm.cluster_ms--;
    w.fsm.config.cookie_secret[5] ^= 1;
    cr_assert_not(digest_equal(d, fsm_digest(&w.fsm)));
    w.fsm.config.cookie_secret[5] ^= 1;
    cr_assert(digest_equal(d, fsm_digest(&w.fsm)));
    while ((p = map_next(&w.fsm.claims, &at)) != NULL) {
        struct fsm_claim *c = p;

        c->claim.ceiling++;
        fsm_claim_changed(&w.fsm, c);
        cr_assert_not(digest_equal(d, fsm_digest(&w.fsm)));
        c->claim.ceiling--;
        c->claim.packets_in++;
        fsm_claim_changed(&w.fsm, c);
        cr_assert_not(digest_equal(d, fsm_digest(&w.fsm)));
        c->claim.packets_in--;
        c->claim.packets_out++;
        fsm_claim_changed(&w.fsm, c);
        cr_assert_not(digest_equal(d, fsm_digest(&w.fsm)));
        c->claim.packets_out--;
        c->claim.bytes_in++;
        fsm_claim_changed(&w.fsm, c);
        cr_assert_not(digest_equal(d, fsm_digest(&w.fsm)));
        c->claim.bytes_in--;
        c->claim.bytes_out++;
        fsm_claim_changed(&w.fsm, c);
        cr_assert_not(digest_equal(d, fsm_digest(&w.fsm)));
        c->claim.bytes_out--;
        c->claim.told ^= 1;
        fsm_claim_changed(&w.fsm, c);
        cr_assert_not(digest_equal(d, fsm_digest(&w.fsm)));
        c->claim.told ^= 1;
        c->esn = !c->esn;
        fsm_claim_changed(&w.fsm, c);
        cr_assert_not(digest_equal(d, fsm_digest(&w.fsm)));
        c->esn = !c->esn;
        fsm_claim_changed(&w.fsm, c);
        cr_assert(digest_equal(d, fsm_digest(&w.fsm)));
    }
    fsm_deinit(&w.fsm);
}
