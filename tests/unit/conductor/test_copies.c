/* Copies of half-open SAs: what a peer sends is taken only as it would be of one that answered an
 * IKE_SA_INIT, and nothing more. Found by fuzz/conductor: a copy with a request of its own ended the
 * owner's process, or stayed for ever. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "conductor/internal.h"
#include "ike/step.h"
#include "world.h"

static struct ike_sa answered;

/* The owner has answered a client, which has not heard it. */
static struct world *begin(void)
{
    struct world *w = world_create(NULL);
    const struct conductor_sa *sa = world_answered(w);

    cr_assert_eq(conductor_count_half_open(w->nodes[0].conductor), 1);
    cr_assert(ike_sa_decode(span_of(sa->state, sa->state_len), &answered));
    return w;
}

static size_t take(struct world *w, unsigned node, const struct ike_sa *sa)
{
    static uint8_t bytes[IKE_SA_ENCODED_MAX];
    struct repl_event frame = {
        .kind = REPL_EV_FRAME, .channel = REPL_CHANNEL_HALF_OPEN, .bytes = bytes};

    cr_assert(ike_sa_encode(sa, bytes, sizeof bytes, &frame.bytes_len));
    conductor_handle_replication(w->nodes[node].conductor, &frame);
    return conductor_count_half_open(w->nodes[node].conductor);
}

static void as_initiator(struct ike_sa *sa)
{
    sa->role = IKE_INITIATOR;
}

static void with_request(struct ike_sa *sa)
{
    sa->pending.exchange = IKE_EX_INIT;
}

static void with_another_request(struct ike_sa *sa)
{
    sa->pending.exchange = IKE_EX_AUTH;
    sa->pending.request.len = 60;
}

static void with_child(struct ike_sa *sa)
{
    sa->children[3].state = IKE_CHILD_INSTALLED;
    sa->children[3].spi_in = 77777;
}

static void owing_a_delete(struct ike_sa *sa)
{
    sa->n_owed_deletes = 1;
    sa->owed_deletes[0] = 77777;
}

static void with_candidate(struct ike_sa *sa)
{
    sa->candidate.local_spi = 9;
}

static void with_address(struct ike_sa *sa)
{
    sa->virtual_ip[SLOT_V4] = addr_v4(0x0a630009);
}

static void of_unknown_cipher(struct ike_sa *sa)
{
    sa->encr_id = 999;
}

static void of_unknown_prf(struct ike_sa *sa)
{
    sa->prf_id = 999;
}

static void without_keys(struct ike_sa *sa)
{
    sa->keys = (struct ike_keys){0};
}

static void of_another_ciphers_keys(struct ike_sa *sa)
{
    sa->encr_bits = sa->encr_bits == 256 ? 128 : 256;
}

static void of_no_shard(struct ike_sa *sa)
{
    sa->shard = 77;
}

static void of_nobody(struct ike_sa *sa)
{
    sa->remote.ip = (struct ip_addr){0};
}

static void without_answer(struct ike_sa *sa)
{
    sa->handshake.init_response.len = 0;
}

static void of_far_ahead(struct ike_sa *sa)
{
    sa->created_ms = 1ull << 62;
}

Test(copies, what_no_answered_handshake_has_is_not_taken)
{
    static void (*const edits[])(struct ike_sa *) = {
        as_initiator,   with_request,      with_another_request,
        with_child,     owing_a_delete,    with_address,
        with_candidate, of_unknown_cipher, of_unknown_prf,
        of_no_shard,    of_nobody,         without_answer,
        of_far_ahead,   without_keys,      of_another_ciphers_keys};
    struct world *w = begin();
    static struct ike_sa sa;
    size_t compared = 0;

    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++, compared++) {
        sa = answered;
        edits[i](&sa);
        cr_expect_eq(take(w, 1, &sa), 0, "edit %zu was taken", i);
    }
    cr_assert_eq(conductor_counters(w->nodes[1].conductor)->value[COUNTER_half_open_refused],
                 compared);
    cr_assert_eq(take(w, 1, &answered), 1, "as it is, it is");
    printf("compared %zu copies\n", compared);
    world_destroy(w);
}

/* Each of the seven has the length that the algorithms give it, or who takes the shard over ends where it uses it. */
Test(copies, a_key_of_another_length_is_not_taken)
{
    struct world *w = begin();
    static struct ike_sa sa;
    struct secret *const keys[] = {&sa.keys.sk_d,    &sa.keys.sk_a_in,  &sa.keys.sk_a_out,
                                   &sa.keys.sk_e_in, &sa.keys.sk_e_out, &sa.keys.sk_p_in,
                                   &sa.keys.sk_p_out};
    size_t compared = 0;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        for (int by = -1; by <= 1; by += 2) {
            sa = answered;
            if (keys[i]->len == 0 && by < 0)
                continue; /* the cipher's own integrity: there is none */
            keys[i]->len = (uint8_t)(keys[i]->len + by);
            cr_expect_eq(take(w, 1, &sa), 0, "key %zu, %+d byte, was taken", i, by);
            compared++;
        }
    cr_assert_geq(compared, 12);
    cr_assert_eq(take(w, 1, &answered), 1, "as it is, it is");
    printf("compared %zu keys\n", compared);
    world_destroy(w);
}

/* The effects of a request that is not there ended the process of the owner. */
Test(copies, an_owner_outlives_a_copy_with_an_empty_request)
{
    struct world *w = begin();
    static struct ike_sa sa;

    sa = answered;
    sa.local_spi++;
    sa.remote_spi++;
    with_request(&sa);
    (void)take(w, 0, &sa);
    world_run(w, 300000);
    cr_assert_eq(conductor_count_half_open(w->nodes[0].conductor), 0);
    world_destroy(w);
}
