#include "sa_rig.h"

#include <criterion/criterion.h>

#include "crypto/tables.h"

struct esp_sa gateway, client;
uint8_t plain[2048], sealed[4096], opened[4096];

const struct pair_options usual = {.spi = 0x2001, .virtual_ip = 0x0a630005};

struct esp_turn at(uint64_t ms)
{
    return (struct esp_turn){.now_ns = ms * 1000000, .lease_epoch = PAIR_EPOCH};
}

void grant(struct esp_sa *sa, uint64_t epoch, uint64_t first, uint64_t end, uint64_t floor,
           uint64_t ceiling)
{
    struct esp_sa_grant g = {
        .epoch = epoch, .first = first, .end = end, .floor = floor, .ceiling = ceiling};

    esp_sa_grant(sa, &g);
}

void set_up(const struct pair_options *o)
{
    struct esp_sa_params g = pair_params(o, true), c = pair_params(o, false);

    cr_assert(esp_sa_init(&gateway, &g) && esp_sa_init(&client, &c));
    grant(&gateway, PAIR_EPOCH, 0, 1 << 20, 0, 1 << 20);
    grant(&client, PAIR_EPOCH, 0, 1 << 30, 0, UINT32_MAX);
    /* Marks far away: the events in these tests are the others'. */
    esp_sa_set_marks(&gateway, UINT64_MAX - 1, UINT64_MAX - 1);
    esp_sa_set_marks(&client, UINT64_MAX - 1, UINT64_MAX - 1);
}

void tear_down(void)
{
    esp_sa_deinit(&gateway);
    esp_sa_deinit(&client);
}

/* The client's packet with its next number. */
struct span from_client(const struct pair_options *o, uint32_t number)
{
    struct esp_turn t = at(1);
    struct span p = pair_up(plain, 100, o, number);
    struct esp_inner inner;
    struct esp_out_result r;

    cr_assert(esp_inner_decode(p, &inner));
    cr_assert_eq(esp_outbound(&client, &t, &inner, p, sealed, sizeof sealed, &r), ESP_DROP_NONE);
    return span_of(sealed, r.len);
}

enum esp_drop to_gateway(struct span packet, uint64_t ms, struct esp_in_result *r)
{
    struct esp_turn t = at(ms);
    enum esp_drop d = esp_inbound(&gateway, &t, packet, &pair_client, opened, sizeof opened, r);

    if (r->events != 0)
        esp_sa_raised_in(&gateway, r->events, t.now_ns);
    return d;
}

enum esp_drop gateway_sends(const struct pair_options *o, uint32_t number, struct esp_out_result *r)
{
    struct esp_turn t = at(1);
    struct span p = pair_down(plain, 200, o, number);
    struct esp_inner inner;
    enum esp_drop d;

    cr_assert(esp_inner_decode(p, &inner));
    d = esp_outbound(&gateway, &t, &inner, p, sealed, sizeof sealed, r);
    if (r->events != 0)
        esp_sa_raised_out(&gateway, r->events);
    return d;
}

uint64_t dropped(struct esp_sa *sa, enum esp_drop why)
{
    struct esp_sa_view v;

    esp_sa_read(sa, &v);
    return v.drops_in[why] + v.drops_out[why];
}
