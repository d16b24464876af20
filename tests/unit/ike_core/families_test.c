/* Addresses, DNS servers and selectors of both families: RFC 7296 3.15, 2.9, RFC 8983. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness.h"
#include "ike/config_payload.h"
#include "ike/ts.h"

static const uint8_t pool6[16] = {0xfd, 0x00, 0x00, 0x99, [15] = 7};
static const uint8_t dns6[16] = {0xfd, 0x00, 0x00, 0x20, [15] = 0x53};
static const uint8_t net6[16] = {0xfd, 0x00, 0x00, 0x20};

/* Of networks, DNS servers and pools: IPv4, IPv6 or both. */
static struct lab *lab_of(bool v4, bool v6)
{
    struct lab *l = lab_new();
    struct ike_ts ts = {.port_high = 65535, .low = addr_v6(net6), .high = addr_v6(net6)};

    memset(ts.high.bytes + 8, 0xff, 8);
    l->no_pool4 = !v4;
    if (!v4) {
        l->pool = (struct ip_addr){0};
        l->gateway.n_local_ts = l->gateway.n_dns = 0;
    }
    if (v6) {
        l->pool6 = addr_v6(pool6);
        l->gateway.local_ts[l->gateway.n_local_ts++] = ts;
        l->gateway.dns[l->gateway.n_dns++] = addr_v6(dns6);
    }
    return l;
}

static void exchange(struct lab *l, bool asks4, bool asks6)
{
    l->client.request_address = asks4;
    l->client.request_address6 = asks6;
    lab_auth_sent(l);
    cr_assert_eq(lab_to_gateway(l, message_span(&l->c.pending.request)), IKE_STEPPED);
    l->g = l->out.after;
}

static bool told(struct lab *l, uint16_t type)
{
    return holds_notify(l, &l->client, &l->c, message_span(&l->g.last_response), type);
}

static void check_selectors(const struct ike_child *c, bool v4, bool v6, const struct ike_sa *sa)
{
    uint8_t n = (uint8_t)(v4 + v6);

    cr_assert_eq(c->n_local_ts, n);
    cr_assert_eq(c->n_remote_ts, n);
    for (uint8_t i = 0; i < n; i++) {
        const struct ip_addr *mine = &sa->virtual_ip[addr_slot(c->remote_ts[i].low.family)];

        cr_assert(addr_equal(&c->remote_ts[i].low, mine) &&
                  addr_equal(&c->remote_ts[i].high, mine));
    }
}

/* RFC 8983 5: what is asked for, what there is, what is given and what is said. */
Test(families, every_request_meets_every_gateway)
{
    unsigned cells = 0;

    for (unsigned has = 1; has < 4; has++)
        for (unsigned asks = 1; asks < 4; asks++, cells++) {
            bool has4 = has & 1, has6 = has & 2, v4 = asks & has & 1, v6 = asks & has & 2;
            struct lab *l = lab_of(has4, has6);

            exchange(l, asks & 1, asks & 2);
            cr_assert_eq(l->g.state, IKE_SA_ESTABLISHED);
            cr_assert_eq(addr_is_set(&l->g.virtual_ip[SLOT_V4]), v4, "has %u asks %u", has, asks);
            cr_assert_eq(addr_is_set(&l->g.virtual_ip[SLOT_V6]), v6, "has %u asks %u", has, asks);
            cr_assert_eq(told(l, WIRE_N_IP4_ALLOWED), has4);
            cr_assert_eq(told(l, WIRE_N_IP6_ALLOWED), has6);
            cr_assert_eq(told(l, WIRE_N_INTERNAL_ADDRESS_FAILURE), !v4 && !v6);
            cr_assert_eq(l->addresses_asked, v4 || v6, "none is taken in vain");
            cr_assert_eq(l->g.children[0].state != IKE_CHILD_NONE, v4 || v6);
            if (v4 || v6) {
                check_selectors(&l->g.children[0], v4, v6, &l->g);
                cr_assert_eq(lab_to_client(l, message_span(&l->g.last_response)), IKE_STEPPED);
                l->c = l->out.after;
                cr_assert_eq(l->c.state, IKE_SA_ESTABLISHED);
                cr_assert_eq(memcmp(l->c.virtual_ip, l->g.virtual_ip, sizeof l->c.virtual_ip), 0);
                cr_assert_eq(l->c.n_dns, v4 + v6,
                             "the servers of the families that were asked for");
                cr_assert_eq(l->c.children[0].n_local_ts, v4 + v6);
            }
            free(l);
        }
    printf("compared %u requests\n", cells);
}

/* One of two pools is exhausted: the other family alone, no failure. Both are: a failure, and the
 * IKE SA stands (RFC 7296 3.15.4). */
Test(families, one_exhausted_pool_leaves_the_other)
{
    struct lab *l = lab_of(true, true);

    l->pool = (struct ip_addr){0};
    exchange(l, true, true);
    cr_assert(!addr_is_set(&l->g.virtual_ip[SLOT_V4]) && addr_is_set(&l->g.virtual_ip[SLOT_V6]));
    check_selectors(&l->g.children[0], false, true, &l->g);
    cr_assert(told(l, WIRE_N_IP4_ALLOWED) && told(l, WIRE_N_IP6_ALLOWED));
    free(l);

    l = lab_of(true, false);
    l->pool = (struct ip_addr){0};
    exchange(l, true, false);
    cr_assert_eq(l->out.reason, IKE_REASON_POOL_EXHAUSTED);
    cr_assert(told(l, WIRE_N_INTERNAL_ADDRESS_FAILURE) && told(l, WIRE_N_IP4_ALLOWED));
    cr_assert_eq(l->g.state, IKE_SA_ESTABLISHED);
    free(l);
}

/* RFC 7296 3.15.1: 17 bytes, the last the prefix length. */
Test(families, an_ipv6_address_has_its_prefix_length)
{
    struct ike_policy policy = {.dns = {addr_v6(dns6)}, .n_dns = 1, .request_address6 = true};
    const struct ip_addr ip[ADDR_SLOTS] = {{0}, addr_v6(pool6)};
    static struct wire_body body;
    struct ike_cp_request request;
    struct wire_builder b;
    uint8_t room[128];
    struct span bytes;

    b = wire_builder_chain(room, sizeof room);
    ike_cp_put_request(&b, &policy);
    cr_assert(wire_builder_finish(&b, &bytes));
    cr_assert_eq(wire_body_decode(b.first, bytes, &body), WIRE_OK);
    cr_assert_eq(body.cp.n, 2);
    cr_assert(ike_cp_read_request(&body.cp, &request));
    cr_assert(request.wants[SLOT_V6] && request.wants_dns[SLOT_V6] && !request.wants[SLOT_V4]);
    b = wire_builder_chain(room, sizeof room);
    ike_cp_put_reply(&b, &policy, &request, ip);
    cr_assert(wire_builder_finish(&b, &bytes));
    cr_assert_eq(wire_body_decode(b.first, bytes, &body), WIRE_OK);
    cr_assert_eq(body.cp.n, 2);
    cr_assert(body.cp.attrs[0].type == WIRE_CP_IP6_ADDRESS && body.cp.attrs[0].value.len == 17);
    cr_assert_eq(body.cp.attrs[0].value.data[16], 128);
    cr_assert_eq(memcmp(body.cp.attrs[0].value.data, pool6, 16), 0);
    cr_assert(body.cp.attrs[1].type == WIRE_CP_IP6_DNS && body.cp.attrs[1].value.len == 16);
}

/* RFC 7296 3.15.1 asks for 17 bytes; clients that leave the prefix length out are served all the same. */
Test(families, a_request_without_a_prefix_length_is_read)
{
    static struct wire_body body;
    struct ike_cp_request request;
    const struct wire_cp_attr wish = {.type = WIRE_CP_IP6_ADDRESS,
                                      .value = span_of(pool6, sizeof pool6)};
    struct wire_cp cp = {.type = WIRE_CFG_REQUEST, .attrs = {wish}, .n = 1};
    struct wire_cp_prefix prefix;
    struct wire_builder b;
    uint8_t room[64];
    struct span bytes;

    b = wire_builder_chain(room, sizeof room);
    wire_put_cp(&b, &cp);
    cr_assert(wire_builder_finish(&b, &bytes));
    cr_assert_eq(wire_body_decode(b.first, bytes, &body), WIRE_OK);
    cr_assert(ike_cp_read_request(&body.cp, &request));
    cr_assert(request.wants[SLOT_V6]);
    cr_assert_eq(memcmp(request.wish[SLOT_V6].bytes, pool6, sizeof pool6), 0);
    cr_assert(wire_cp_read_prefix(&body.cp.attrs[0], &prefix));
    cr_assert_eq(prefix.bits, 128);
}

/* What stands at one end only is in neither list; order and bound stay. */
Test(families, selectors_of_one_end_alone_are_left_out)
{
    struct ike_ts v4 = ike_ts_any(ADDR_V4), v6 = ike_ts_any(ADDR_V6);
    struct ike_ts local[IKE_MAX_TS] = {v6, v4, v6}, remote[IKE_MAX_TS] = {v4};
    uint8_t n_local = 3, n_remote = 1;

    cr_assert(ike_ts_match_families(local, &n_local, remote, &n_remote));
    cr_assert(n_local == 1 && n_remote == 1 && local[0].low.family == ADDR_V4);
    cr_assert_eq(local[1].port_high, 0, "what is not in use is zero");
    local[0] = v6;
    cr_assert_not(ike_ts_match_families(local, &n_local, remote, &n_remote));
    cr_assert(n_local == 0 && n_remote == 0);
}
