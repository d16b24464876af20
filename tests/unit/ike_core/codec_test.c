/* The canonical encoding: decode of encode is the same SA, and only canonical bytes decode. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"

static uint8_t bytes[IKE_SA_ENCODED_MAX];

/* Encodes, decodes, compares (local_part apart), encodes again. Returns the size. */
static size_t round_trip(const struct ike_sa *sa)
{
    static uint8_t again[IKE_SA_ENCODED_MAX];
    static struct ike_sa back, want;
    size_t len, len2;

    cr_assert(ike_sa_encode(sa, bytes, sizeof bytes, &len));
    memset(&back, 0x5a, sizeof back);
    cr_assert(ike_sa_decode(span_of(bytes, len), &back));
    want = *sa;
    memset(&want.local_part, 0, sizeof want.local_part);
    cr_assert_eq(memcmp(&want, &back, sizeof want), 0);
    cr_assert(ike_sa_encode(&back, again, sizeof again, &len2));
    cr_assert(len == len2 && memcmp(bytes, again, len) == 0);
    return len;
}

Test(codec, every_stage_of_a_handshake)
{
    struct lab *l = lab_new();
    size_t size;

    lab_begin(l);
    round_trip(&l->c);
    free(l);
    l = lab_new();
    lab_auth_sent(l);
    round_trip(&l->c);
    round_trip(&l->g);
    cr_assert_eq(lab_to_gateway(l, message_span(&l->c.pending.request)), IKE_STEPPED);
    size = round_trip(&l->out.after);
    cr_assert_leq(size, 2048, "an established SA is %zu bytes", size);
    cr_assert_geq(size, 512);
    free(l);
    l = lab_new();
    secret_set(&l->gateway_psks[1].psk, "wrong", 5);
    lab_auth_sent(l);
    cr_assert_eq(lab_to_gateway(l, message_span(&l->c.pending.request)), IKE_STEPPED);
    round_trip(&l->out.after);
    free(l);
}

/* xorshift64*: the same states in every run. */
static uint64_t state;

static uint64_t next(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1d;
}

static uint64_t below(uint64_t n)
{
    return next() % n;
}

static void fill(void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = (uint8_t)next();
}

static void any_secret(struct secret *s)
{
    s->len = (uint8_t)below(SECRET_MAX_BYTES + 1);
    fill(s->bytes, s->len);
}

static void any_message(struct ike_message *m)
{
    m->len = (uint16_t)(below(3) == 0 ? 0 : below(sizeof m->bytes + 1));
    fill(m->bytes, m->len);
}

static void any_address(struct ip_addr *a)
{
    static const uint8_t families[] = {ADDR_NONE, ADDR_V4, ADDR_V6};

    a->family = families[below(3)];
    fill(a->bytes, addr_len(a));
}

static void any_keys(struct ike_keys *k)
{
    any_secret(&k->sk_d);
    any_secret(&k->sk_a_in);
    any_secret(&k->sk_a_out);
    any_secret(&k->sk_e_in);
    any_secret(&k->sk_e_out);
    any_secret(&k->sk_p_in);
    any_secret(&k->sk_p_out);
}

static void any_selectors(struct ike_ts *ts, uint8_t *n)
{
    *n = (uint8_t)below(IKE_MAX_TS + 1);
    for (size_t i = 0; i < *n; i++) {
        ts[i].protocol = (uint8_t)next();
        ts[i].port_low = (uint16_t)next();
        ts[i].port_high = (uint16_t)next();
        any_address(&ts[i].low);
        any_address(&ts[i].high);
    }
}

static void any_child(struct ike_child *c)
{
    c->state = (enum ike_child_state)below(IKE_CHILD_DELETING + 1);
    if (c->state == IKE_CHILD_NONE)
        return;
    c->begun = (enum ike_begun)below(2);
    c->spi_in = (uint32_t)next();
    c->spi_out = (uint32_t)next();
    c->encr_id = (uint16_t)next();
    c->encr_bits = (uint16_t)next();
    c->integ_id = (uint16_t)next();
    c->esn = below(2);
    c->outbound = below(2);
    c->ke_id = (uint16_t)next();
    any_secret(&c->key_in);
    any_secret(&c->key_out);
    any_secret(&c->integ_in);
    any_secret(&c->integ_out);
    any_selectors(c->local_ts, &c->n_local_ts);
    any_selectors(c->remote_ts, &c->n_remote_ts);
    c->created_ms = next();
    c->soft_ms = next();
    c->hard_ms = next();
    c->soft_packets = next();
    c->hard_packets = next();
    c->soft_bytes = next();
    c->hard_bytes = next();
    c->rekey_count = (uint32_t)next();
    c->successor_spi_in = (uint32_t)next();
    c->soft_reached = below(2);
    c->unconfirmed = below(2);
    c->retry_ms = next();
}

static void any_pending(struct ike_pending *p)
{
    p->exchange = (enum ike_exchange)below(IKE_EX_INFORMATIONAL + 1);
    if (p->exchange == IKE_EX_NONE)
        return;
    p->message_id = (uint32_t)next();
    p->sent_ms = next();
    p->asked_ms = next();
    any_message(&p->request);
    p->child_spi_in = (uint32_t)next();
    p->new_spi_in = (uint32_t)next();
    p->new_ike_spi = next();
    fill(p->nonce, sizeof p->nonce);
    p->ke_id = (uint16_t)next();
    p->ke_retried = below(2);
    any_secret(&p->ke_private);
    p->collided = below(2);
    p->peer_lowest_nonce_len = (uint8_t)below(sizeof p->peer_lowest_nonce + 1);
    fill(p->peer_lowest_nonce, p->peer_lowest_nonce_len);
    p->peer_new_spi_in = (uint32_t)next();
    p->peer_new_ike_spi = next();
    p->n_early_deletes = (uint8_t)below(IKE_MAX_EARLY_DELETES + 1);
    for (size_t i = 0; i < p->n_early_deletes; i++)
        p->early_deletes[i] = (uint32_t)next();
}

static void any_candidate(struct ike_candidate *c)
{
    c->local_spi = below(2) ? 0 : next();
    if (c->local_spi == 0)
        return;
    c->remote_spi = next();
    c->role = (enum ike_role)below(2);
    c->settled = below(2);
    c->encr_id = (uint16_t)next();
    c->encr_bits = (uint16_t)next();
    c->integ_id = (uint16_t)next();
    c->prf_id = (uint16_t)next();
    c->ke_id = (uint16_t)next();
    any_keys(&c->keys);
}

static void any_handshake(struct ike_handshake *h)
{
    any_message(&h->init_request);
    any_message(&h->init_response);
    h->nonce_i_len = (uint16_t)below(sizeof h->nonce_i + 1);
    fill(h->nonce_i, h->nonce_i_len);
    h->nonce_r_len = (uint16_t)below(sizeof h->nonce_r + 1);
    fill(h->nonce_r, h->nonce_r_len);
    h->ke_id = (uint16_t)next();
    any_secret(&h->ke_private);
    h->cookie_len = (uint8_t)below(sizeof h->cookie + 1);
    fill(h->cookie, h->cookie_len);
    h->child_spi_in = (uint32_t)next();
    h->init_tries = (uint8_t)next();
}

static void any_children(struct ike_sa *sa)
{
    uint8_t unused = 0;

    for (size_t i = 0; i < IKE_MAX_CHILDREN; i++) {
        any_child(&sa->children[i]);
        if (sa->children[i].state == IKE_CHILD_NONE)
            unused++;
    }
    sa->n_owed_deletes = (uint8_t)below(unused + 1u);
    for (size_t i = 0; i < sa->n_owed_deletes; i++)
        sa->owed_deletes[i] = (uint32_t)next();
}

static void any_sa(struct ike_sa *sa)
{
    memset(sa, 0, sizeof *sa);
    sa->local_spi = next();
    sa->remote_spi = next();
    sa->role = (enum ike_role)below(2);
    sa->state = (enum ike_sa_state)below(IKE_SA_ENDED + 1);
    sa->shard = (uint32_t)next();
    any_address(&sa->local.ip);
    any_address(&sa->remote.ip);
    sa->local.port = (uint16_t)next();
    sa->remote.port = (uint16_t)next();
    sa->nat_local = below(2);
    sa->nat_remote = below(2);
    sa->encap = below(2);
    sa->encr_id = (uint16_t)next();
    sa->encr_bits = (uint16_t)next();
    sa->integ_id = (uint16_t)next();
    sa->prf_id = (uint16_t)next();
    sa->ke_id = (uint16_t)next();
    any_keys(&sa->keys);
    sa->iv_next = next();
    sa->next_request_id = (uint32_t)next();
    sa->expected_request_id = (uint32_t)next();
    any_message(&sa->last_response);
    if (sa->last_response.len > 0)
        fill(sa->last_request_digest, sizeof sa->last_request_digest);
    any_pending(&sa->pending);
    any_candidate(&sa->candidate);
    sa->remote_id.type = (uint8_t)next();
    sa->remote_id.len = (uint8_t)below(IKE_MAX_ID_BYTES + 1);
    fill(sa->remote_id.bytes, sa->remote_id.len);
    sa->virtual_ip[SLOT_V4] = addr_v4(0x0a630005);
    sa->virtual_ip[SLOT_V6] = addr_v6((const uint8_t[16]){0xfd, 0, 0, 0x99, [15] = 5});
    sa->n_dns = (uint8_t)below(IKE_MAX_DNS + 1);
    for (size_t i = 0; i < sa->n_dns; i++)
        any_address(&sa->dns[i]);
    sa->peer_initial_contact = below(2);
    sa->connection = (uint32_t)next();
    sa->sync_agreed = below(2);
    sa->sync_floor = (uint32_t)next();
    sa->created_ms = next();
    sa->soft_ms = next();
    sa->hard_ms = next();
    sa->retry_ms = next();
    sa->refused_since_ms = next();
    sa->refused_last_ms = next();
    sa->linger_until_ms = next();
    sa->successor_spi = next();
    sa->wanted = (uint32_t)next();
    sa->wanted_child_spi_in = (uint32_t)next();
    any_children(sa);
    any_handshake(&sa->handshake);
    fill(&sa->local_part, sizeof sa->local_part);
}

Test(codec, decode_of_encode_is_the_same_for_2000_states)
{
    static struct ike_sa sa;

    state = 0x9e3779b97f4a7c15;
    for (unsigned i = 0; i < 2000; i++) {
        any_sa(&sa);
        round_trip(&sa);
    }
}

Test(codec, the_largest_state_fits)
{
    static struct ike_sa sa;
    size_t size = 0;

    state = 77;
    for (unsigned i = 0; i < 200; i++) {
        size_t len;

        any_sa(&sa);
        sa.last_response.len = sa.handshake.init_request.len = sa.handshake.init_response.len =
            IKE_MAX_MESSAGE_BYTES;
        sa.pending.exchange = IKE_EX_DPD;
        sa.pending.request.len = IKE_MAX_MESSAGE_BYTES;
        len = round_trip(&sa);
        size = len > size ? len : size;
    }
    cr_assert_lt(size, IKE_SA_ENCODED_MAX);
}

Test(codec, equal_states_but_for_the_local_part_give_equal_bytes)
{
    struct lab *l = lab_new();
    static uint8_t other[IKE_SA_ENCODED_MAX];
    size_t a, b;

    lab_established(l);
    cr_assert(ike_sa_encode(&l->g, bytes, sizeof bytes, &a));
    memset(&l->g.local_part, 0xff, sizeof l->g.local_part);
    cr_assert(ike_sa_encode(&l->g, other, sizeof other, &b));
    cr_assert(a == b && memcmp(bytes, other, a) == 0);
    l->g.iv_next++;
    cr_assert(ike_sa_encode(&l->g, other, sizeof other, &b));
    cr_assert(a == b && memcmp(bytes, other, a) != 0);
    free(l);
}

Test(codec, truncated_extended_unknown_version)
{
    struct lab *l = lab_new();
    static struct ike_sa sa, zero;
    size_t len;

    lab_established(l);
    cr_assert(ike_sa_encode(&l->g, bytes, sizeof bytes, &len));
    for (size_t n = 0; n < len; n++) {
        memset(&sa, 1, sizeof sa);
        cr_assert_not(ike_sa_decode(span_of(bytes, n), &sa), "cut at %zu", n);
        cr_assert_eq(memcmp(&sa, &zero, sizeof sa), 0, "all zero after a failure");
    }
    bytes[len] = 0;
    cr_assert_not(ike_sa_decode(span_of(bytes, len + 1), &sa));
    for (unsigned version = 0; version < 256; version++) {
        bytes[0] = (uint8_t)version;
        cr_assert_eq(ike_sa_decode(span_of(bytes, len), &sa), /* nothing in it differs by version */
                     version >= IKE_CODEC_OLDEST && version <= IKE_CODEC_NEWEST, "%u", version);
    }
    free(l);
}

/* What a member of the former version writes, and reads. */
Test(codec, former_versions)
{
    static uint8_t again[IKE_SA_ENCODED_MAX];
    static struct ike_sa sa, back;
    unsigned lost = 0;
    size_t len, len2, newest;

    state = 17;
    for (unsigned i = 0; i < 2000; i++) {
        any_sa(&sa);
        memset(&sa.local_part, 0, sizeof sa.local_part);
        cr_assert(ike_sa_encode(&sa, again, sizeof again, &newest));
        cr_assert(ike_sa_encode_as(&sa, 1, bytes, sizeof bytes, &len));
        cr_assert(bytes[0] == 1 && len == newest - (sa.pending.exchange != IKE_EX_NONE ? 8 : 0));
        cr_assert(ike_sa_decode(span_of(bytes, len), &back));
        cr_assert(ike_sa_encode_as(&back, 1, again, sizeof again, &len2));
        cr_assert(len == len2 && memcmp(bytes, again, len) == 0);
        if (sa.pending.exchange != IKE_EX_NONE) {
            cr_assert_eq(back.pending.asked_ms, sa.pending.sent_ms);
            sa.pending.asked_ms = sa.pending.sent_ms;
            lost++;
        }
        cr_assert_eq(memcmp(&sa, &back, sizeof sa), 0, "all else is the same");
        round_trip(&back);
    }
    cr_assert_gt(lost, 100);
    printf("compared 2000 states, %u with a request\n", lost);
}

Test(codec, does_not_write_beyond_its_room)
{
    struct lab *l = lab_new();
    size_t len, n;

    lab_established(l);
    cr_assert(ike_sa_encode(&l->g, bytes, sizeof bytes, &len));
    for (size_t cap = 0; cap < len; cap++) {
        uint8_t *room = malloc(cap + 1);

        room[cap] = 0x5a;
        cr_assert_not(ike_sa_encode(&l->g, room, cap, &n));
        cr_assert_eq(room[cap], 0x5a);
        free(room);
    }
    free(l);
}

/* CHILD SAs and Deletes that are owed share the slots. */
Test(codec, more_owed_deletes_than_free_slots)
{
    static struct ike_sa sa;
    size_t len, at;

    for (size_t i = 0; i + 1 < IKE_MAX_CHILDREN; i++)
        sa.children[i].state = IKE_CHILD_INSTALLED;
    sa.n_owed_deletes = 1;
    sa.owed_deletes[0] = 0x11223344;
    cr_assert(ike_sa_encode(&sa, bytes, sizeof bytes, &len));
    cr_assert(ike_sa_decode(span_of(bytes, len), &sa));
    for (at = 0; get_be32(bytes + at) != 0x11223344; at++)
        cr_assert_lt(at, len);
    bytes[at - 1] = 2;
    memmove(bytes + at + 4, bytes + at, len - at);
    cr_assert_not(ike_sa_decode(span_of(bytes, len + 4), &sa));
}

Test(codec, a_length_beyond_its_array)
{
    static uint8_t longer[IKE_SA_ENCODED_MAX];
    static struct ike_sa sa;
    size_t at = 0, len, len2;

    sa.last_response.len = 0x1000; /* the whole array; then one byte more */
    cr_assert(ike_sa_encode(&sa, bytes, sizeof bytes, &len));
    sa.last_response.len = 0x0fff;
    cr_assert(ike_sa_encode(&sa, longer, sizeof longer, &len2));
    while (bytes[at] == longer[at])
        at++;
    memcpy(longer, bytes, at + 2);
    put_be16(longer + at, IKE_MAX_MESSAGE_BYTES + 1);
    memset(longer + at + 2, 0, 1);
    memcpy(longer + at + 3, bytes + at + 2, len - at - 2);
    cr_assert(ike_sa_decode(span_of(bytes, len), &sa));
    cr_assert_not(ike_sa_decode(span_of(longer, len + 1), &sa));
}

/* The fuzzer's seeds are written by hand from the format, and never change: a second reading of each
 * version. Who changes the layout of a version breaks every rolling upgrade, and this. */
static void seed(const char *name, unsigned i, uint8_t version)
{
    static uint8_t in[IKE_SA_ENCODED_MAX];
    static struct ike_sa sa;
    char path[512];
    size_t len, len2;
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/tests/fuzz/corpus/ike_codec/%s%s", HOLDFAST_SOURCE_DIR,
                   name, version == 1 ? "-1" : "");
    f = fopen(path, "rb");
    cr_assert_not_null(f);
    len = fread(in, 1, sizeof in, f);
    (void)fclose(f);
    cr_assert(ike_sa_decode(span_of(in, len), &sa), "%s", path);
    cr_assert(ike_sa_encode_as(&sa, version, bytes, sizeof bytes, &len2));
    cr_assert(len2 == len && memcmp(bytes, in, len) == 0, "%s", path);
    cr_assert(sa.state == IKE_SA_ESTABLISHED && sa.children[1].spi_in == (i == 0 ? 0 : 0x1000));
    cr_assert_eq(sa.owed_deletes[0], i == 0 ? 0 : 0x2000);
    cr_assert_eq(sa.pending.n_early_deletes, i == 2 ? 2 : 0);
    cr_assert_eq(sa.pending.sent_ms, i == 2 ? 5000 : 0);
    cr_assert_eq(sa.pending.asked_ms, i != 2 ? 0 : version == 1 ? 5000 : 3000);
    cr_assert_eq(sa.pending.early_deletes[1], i == 2 ? 0x4001 : 0);
}

Test(codec, seeds_of_the_fuzzer_decode)
{
    static const char *const names[] = {"rest", "child", "pending"};

    for (uint8_t version = IKE_CODEC_OLDEST; version <= IKE_CODEC_NEWEST; version++)
        for (unsigned i = 0; i < 3; i++)
            seed(names[i], i, version);
}

Test(codec, only_canonical_bytes_decode)
{
    struct lab *l = lab_new();
    static uint8_t again[IKE_SA_ENCODED_MAX];
    static struct ike_sa sa;
    unsigned refused = 0, taken = 0;
    size_t len, len2;

    lab_established(l);
    cr_assert(ike_sa_encode(&l->g, bytes, sizeof bytes, &len));
    for (size_t bit = 0; bit < 8 * len; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        if (ike_sa_decode(span_of(bytes, len), &sa)) {
            cr_assert(ike_sa_encode(&sa, again, sizeof again, &len2));
            cr_assert(len == len2 && memcmp(bytes, again, len) == 0, "bit %zu", bit);
            taken++;
        } else {
            refused++;
        }
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    cr_assert(refused > 100 && taken > 1000, "%u refused, %u taken", refused, taken);
    free(l);
}
