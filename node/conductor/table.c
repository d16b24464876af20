#include "conductor/internal.h"
#include "conductor/many.h"

#include <stdlib.h>

struct conductor_sa *sa_find(struct conductor *c, uint64_t id)
{
    struct conductor_sa *sa = NULL;

    HASH_FIND(hh, c->sas, &id, sizeof id, sa);
    return sa;
}

static struct half_open_key half_open_key(uint64_t remote_spi, const struct endpoint *remote)
{
    struct half_open_key key;

    memset(&key, 0, sizeof key); /* padding is part of the key */
    key.remote_spi = remote_spi;
    key.ip = remote->ip;
    key.port = remote->port;
    return key;
}

struct conductor_sa *sa_find_half_open(struct conductor *c, uint64_t remote_spi,
                                       const struct endpoint *remote)
{
    struct half_open_key key = half_open_key(remote_spi, remote);
    struct conductor_sa *sa = NULL;

    HASH_FIND(hh_key, c->half_open, &key, sizeof key, sa);
    return sa;
}

struct conductor_sa *sa_add(struct conductor *c, uint64_t id, uint32_t shard)
{
    struct conductor_sa *sa = calloc(1, sizeof *sa);

    HF_ASSERT(sa != NULL && sa_find(c, id) == NULL);
    sa->id = id;
    sa->shard = shard;
    sa->queue_tail = &sa->queue;
    sa->wake.at_ms = UINT64_MAX;
    HASH_ADD(hh, c->sas, id, sizeof sa->id, sa);
    c->n_sas++;
    return sa;
}

/* Few, and often none: a small table again. */
#undef HASH_INITIAL_NUM_BUCKETS
#undef HASH_INITIAL_NUM_BUCKETS_LOG2
#define HASH_INITIAL_NUM_BUCKETS 32U
#define HASH_INITIAL_NUM_BUCKETS_LOG2 5U

void sa_add_half_open(struct conductor *c, struct conductor_sa *sa, uint64_t remote_spi,
                      const struct endpoint *remote)
{
    HF_ASSERT(!sa->half_open && sa->version == 0);
    sa->half_open = true;
    sa->key = half_open_key(remote_spi, remote);
    HASH_ADD(hh_key, c->half_open, key, sizeof sa->key, sa);
    c->n_half_open++;
    half_open_count(c, &sa->key.ip);
}

void sa_make_replicated(struct conductor *c, struct conductor_sa *sa)
{
    if (!sa->half_open)
        return;
    HASH_DELETE(hh_key, c->half_open, sa);
    sa->half_open = false;
    c->n_half_open--;
    half_open_uncount(c, &sa->key.ip);
}

static void drop_queue(struct conductor_sa *sa)
{
    while (sa->queue != NULL) {
        struct conductor_work *w = sa->queue;

        sa->queue = w->next;
        work_free(w);
    }
    sa->queue_tail = &sa->queue;
    sa->n_queued = 0;
}

static void wipe_free(uint8_t *bytes, size_t len)
{
    if (bytes != NULL)
        secret_wipe_bytes(bytes, len);
    free(bytes);
}

void sa_remove(struct conductor *c, struct conductor_sa *sa)
{
    assigned_sa_gone(c, sa);
    children_remove_all(c, sa);
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        if (addr_is_set(&sa->address[slot]))
            pool_release(c, &sa->address[slot], sa->id);
    sa_make_replicated(c, sa);
    identity_forget(c, sa);
    drop_queue(sa);
    heap_remove(&c->heap, &sa->wake);
    HASH_DELETE(hh, c->sas, sa);
    c->n_sas--;
    /* A key exchange under way finds no SA by its id and is dropped when it is done. */
    wipe_free(sa->state, sa->state_len);
    free(sa);
}

void sa_unreadable(struct conductor *c, struct conductor_sa *sa)
{
    wipe_free(sa->state, sa->state_len);
    sa->state = NULL;
    sa->state_len = 0;
    sa->pending = false;
    sa->ended = true;
    sa->up = false;
    drop_queue(sa);
    sa_again(c, sa, 0);
}

/* Which codec a version of records brought: who knows the records of that version reads it. */
static uint8_t codec_of(uint32_t speaks)
{
    HF_STATIC_ASSERT(IKE_CODEC_NEWEST == 2);
    return speaks >= RECORD_SPEAKS_CODEC_2 ? 2 : 1;
}

struct span sa_encode(struct conductor *c, int which, const struct ike_sa *sa)
{
    size_t len;

    c->scratch_used = true;
    HF_ASSERT(ike_sa_encode_as(sa, codec_of(c->speaks), c->encoded[which], sizeof c->encoded[which],
                               &len));
    return span_of(c->encoded[which], len);
}

bool sa_decode(struct conductor *c, const struct conductor_sa *sa, struct ike_sa *out)
{
    if (sa->state == NULL) /* said once, in sa_unreadable() */
        return false;
    c->scratch_used = true;
    if (!ike_sa_decode(span_of(sa->state, sa->state_len), out)) {
        count(&c->counters, COUNTER_decode_failed);
        log_line(c->log, LOG_ERROR, "conductor", "sa=%016llx state of %zu bytes does not decode",
                 (unsigned long long)sa->id, sa->state_len);
        return false;
    }
    out->local_part = sa->local_part;
    return true;
}

struct conductor_shard *shard_find(struct conductor *c, uint32_t id)
{
    for (uint32_t i = 0; i < c->options.n_shards; i++)
        if (c->shards[i].id == id)
            return &c->shards[i];
    return NULL;
}

uint64_t sa_version(struct conductor *c, const struct conductor_sa *sa)
{
    const struct conductor_shard *shard = shard_find(c, sa->shard);

    return sa->version + (shard != NULL ? shard->assignments - sa->touched : 0);
}

void sa_set_version(struct conductor *c, struct conductor_sa *sa, uint64_t version)
{
    const struct conductor_shard *shard = shard_find(c, sa->shard);

    sa->version = version;
    sa->touched = shard != NULL ? shard->assignments : 0;
}

void sa_set_wake(struct conductor *c, struct conductor_sa *sa, uint64_t at_ms)
{
    const struct conductor_shard *shard = shard_find(c, sa->shard);

    if (sa->half_open || (shard != NULL && shard->mine)) {
        heap_set(&c->heap, &sa->wake, at_ms);
    } else {
        heap_remove(&c->heap, &sa->wake);
        sa->wake.at_ms = at_ms;
    }
}

void sa_rearm(struct conductor *c, struct conductor_sa *sa, const struct ike_sa *decoded)
{
    sa_set_wake(c, sa, sa->ended ? decoded->linger_until_ms : ike_next_wake_ms(c->policy, decoded));
    if (news_wait(sa))
        news_wake(c, sa);
}

void sa_again(struct conductor *c, struct conductor_sa *sa, uint64_t in_ms)
{
    sa_set_wake(c, sa, c->ops.now_ms(c->ops.self) + in_ms);
}

static void take_address(struct conductor *c, struct conductor_sa *sa, unsigned slot,
                         const struct ip_addr *ip)
{
    struct ip_addr *mine = &sa->address[slot];

    if (!addr_equal(mine, ip)) {
        /* An IKE rekey hands the address to the successor, which holds it under its own id already.
         */
        if (addr_is_set(mine))
            pool_release(c, mine, sa->id);
        *mine = *ip;
    }
    if (addr_is_set(mine) && !sa->half_open)
        pool_hold(c, mine, sa->id);
}

void sa_set_state(struct conductor *c, struct conductor_sa *sa, struct span encoded,
                  const struct ike_sa *decoded)
{
    uint8_t *copy = malloc(encoded.len);

    HF_ASSERT(copy != NULL);
    memcpy(copy, encoded.data, encoded.len);
    wipe_free(sa->state, sa->state_len);
    sa->state = copy;
    sa->state_len = encoded.len;
    sa->pending = decoded->pending.exchange != IKE_EX_NONE;
    sa->ended = decoded->state == IKE_SA_ENDED;
    sessions_note(sa, decoded);
    for (unsigned slot = 0; slot < ADDR_SLOTS; slot++)
        take_address(c, sa, slot, &decoded->virtual_ip[slot]);
    identity_note(c, sa, decoded);
    sa_rearm(c, sa, decoded);
}

bool sa_reset_some(struct conductor *c, size_t n)
{
    struct conductor_sa *sa, *next_sa;

    for (uint32_t i = 0; i < c->options.n_shards; i++) {
        uint32_t id = c->shards[i].id;

        c->shards[i] = (struct conductor_shard){.id = id};
        handover_over(c, &c->shards[i]);
    }
    HASH_ITER(hh, c->sas, sa, next_sa)
    {
        if (sa->half_open)
            continue;
        if (n-- == 0)
            return false;
        sa_remove(c, sa);
    }
    return true;
}
