/* Traffic selectors (RFC 7296 2.9) and the configuration payload (3.15). */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "ike/config_payload.h"
#include "ike/ts.h"

#include "harness.h"

static struct ike_ts ports(struct ike_ts ts, uint8_t protocol, uint16_t low, uint16_t high)
{
    ts.protocol = protocol;
    ts.port_low = low;
    ts.port_high = high;
    return ts;
}

static bool same(const struct ike_ts *a, const struct ike_ts *b)
{
    return a->protocol == b->protocol && a->port_low == b->port_low &&
           a->port_high == b->port_high && addr_equal(&a->low, &b->low) &&
           addr_equal(&a->high, &b->high);
}

enum { A = 0x0a000000, B = 0x0b000000 };

Test(ts, narrowing)
{
    struct ike_ts v6 = ike_ts_any(ADDR_V6);
    const struct {
        struct ike_ts allowed, offer, want;
        bool found;
    } table[] = {
        {subnet(A, 24), subnet(0, 0), subnet(A, 24), true},
        {subnet(0, 0), subnet(A, 24), subnet(A, 24), true},
        {subnet(A, 24), subnet(A, 24), subnet(A, 24), true},
        {subnet(A, 24), subnet(A, 32), subnet(A, 32), true},
        {subnet(A, 24), subnet(B, 24), {0}, false},
        {subnet(A, 24), subnet(A + 256, 24), {0}, false},
        {subnet(A, 24), v6, {0}, false},
        {ports(subnet(A, 24), 6, 0, 65535), subnet(0, 0), ports(subnet(A, 24), 6, 0, 65535), true},
        {subnet(A, 24), ports(subnet(0, 0), 17, 53, 53), ports(subnet(A, 24), 17, 53, 53), true},
        {ports(subnet(A, 24), 6, 0, 65535), ports(subnet(0, 0), 17, 0, 65535), {0}, false},
        {ports(subnet(A, 24), 6, 80, 90), ports(subnet(A, 24), 6, 85, 100),
         ports(subnet(A, 24), 6, 85, 90), true},
        {ports(subnet(A, 24), 6, 80, 90), ports(subnet(A, 24), 6, 91, 100), {0}, false},
        {subnet(A, 24), ports(subnet(A, 24), 6, 65535, 0), {0}, false}, /* OPAQUE */
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wire_ts_list offer;
        struct ike_ts out[IKE_MAX_TS];
        uint8_t n = 99;

        ike_ts_to_wire(&table[i].offer, 1, &offer);
        cr_assert_eq(ike_ts_narrow(&table[i].allowed, 1, &offer, out, &n), table[i].found,
                     "row %zu", i);
        cr_assert_eq(n, table[i].found ? 1 : 99, "row %zu", i);
        if (table[i].found)
            cr_assert(same(&out[0], &table[i].want), "row %zu", i);
    }
}

Test(ts, narrowing_keeps_order_bound_and_nothing_twice)
{
    const struct ike_ts allowed[] = {subnet(A, 24), subnet(B, 24)};
    const struct ike_ts wanted[] = {ike_ts_host(&(struct ip_addr){ADDR_V4, {11, 0, 0, 9}}),
                                    subnet(0, 0)};
    struct ike_ts out[IKE_MAX_TS], many[8];
    struct wire_ts_list offer;
    uint8_t n;

    ike_ts_to_wire(wanted, 2, &offer);
    cr_assert(ike_ts_narrow(allowed, 2, &offer, out, &n));
    cr_assert(n == 2 && same(&out[0], &allowed[0]) && same(&out[1], &allowed[1]),
              "the single host lies in the second: it says nothing new");
    for (uint32_t i = 0; i < 8; i++)
        many[i] = subnet(A + 2 * i, 32);
    ike_ts_to_wire(many, 8, &offer);
    cr_assert(ike_ts_narrow(allowed, 2, &offer, out, &n));
    cr_assert_eq(n, IKE_MAX_TS);
    for (size_t i = 0; i < IKE_MAX_TS; i++)
        cr_assert(same(&out[i], &many[i]));
}

Test(ts, rekey_with_a_superset_keeps_the_old_selectors)
{
    const struct ike_ts old = subnet(A, 24), all = subnet(0, 0), other = subnet(B, 24);
    struct wire_ts_list offer;
    struct ike_ts out[IKE_MAX_TS];
    uint8_t n;

    ike_ts_to_wire(&all, 1, &offer); /* Windows */
    cr_assert(ike_ts_rekey(&old, 1, &offer, out, &n));
    cr_assert(n == 1 && same(&out[0], &old));
    ike_ts_to_wire(&other, 1, &offer);
    cr_assert_not(ike_ts_rekey(&old, 1, &offer, out, &n));
}

Test(ts, an_answer_must_lie_inside_the_offer)
{
    const struct ike_ts offered[] = {subnet(A, 24), ports(subnet(B, 24), 6, 80, 80)};
    const struct {
        struct ike_ts answer;
        bool right;
    } table[] = {
        {subnet(A, 24), true},
        {subnet(A, 28), true},
        {ports(subnet(A, 24), 17, 1, 2), true},
        {subnet(A, 23), false},
        {subnet(0, 0), false},
        {subnet(B, 24), false}, /* any protocol is wider than TCP port 80 */
        {ports(subnet(B, 32), 6, 80, 80), true},
        {ports(subnet(B, 32), 6, 80, 81), false},
        {ports(subnet(A, 24), 6, 65535, 0), false},
    };
    struct wire_ts_list answer;
    struct ike_ts out[IKE_MAX_TS];
    uint8_t n;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        ike_ts_to_wire(&table[i].answer, 1, &answer);
        cr_assert_eq(ike_ts_accept(offered, 2, &answer, out, &n), table[i].right, "row %zu", i);
    }
    answer.n = 0;
    cr_assert_not(ike_ts_accept(offered, 2, &answer, out, &n), "no selector at all");
    ike_ts_to_wire(&offered[0], 1, &answer);
    answer.skipped = true;
    cr_assert_not(ike_ts_accept(offered, 2, &answer, out, &n), "one that we cannot read");
    for (answer.n = 0; answer.n <= IKE_MAX_TS; answer.n++)
        answer.items[answer.n] = answer.items[0];
    answer.skipped = false;
    cr_assert_not(ike_ts_accept(offered, 2, &answer, out, &n), "more than we hold");
}

Test(ts, what_each_end_allows)
{
    struct lab *l = lab_new();
    struct ike_ts local[IKE_MAX_TS], remote[IKE_MAX_TS], any = ike_ts_any(ADDR_V4), host;
    uint8_t n_local, n_remote;
    struct ike_sa sa = {.remote = l->client_at};

    ike_ts_allowed(&l->client, &sa, local, &n_local, remote, &n_remote);
    cr_assert(n_local == 1 && n_remote == 1 && same(&local[0], &any) && same(&remote[0], &any));
    ike_ts_allowed(&l->gateway, &sa, local, &n_local, remote, &n_remote);
    host = ike_ts_host(&l->client_at.ip);
    cr_assert(same(&local[0], &l->gateway.local_ts[0]) && same(&remote[0], &host));
    sa.virtual_ip[SLOT_V4] = l->pool;
    host = ike_ts_host(&l->pool);
    ike_ts_allowed(&l->gateway, &sa, local, &n_local, remote, &n_remote);
    cr_assert(same(&remote[0], &host));
    sa.role = IKE_RESPONDER; /* an IKE rekey may turn the role; who is behind what stays */
    ike_ts_allowed(&l->client, &sa, local, &n_local, remote, &n_remote);
    cr_assert(same(&local[0], &host) && same(&remote[0], &any));
    free(l);
}

static struct wire_cp read_back(struct wire_builder *b)
{
    static struct wire_body body;
    struct span bytes;

    cr_assert(wire_builder_finish(b, &bytes));
    cr_assert_eq(wire_body_decode(b->first, bytes, &body), WIRE_OK);
    cr_assert(body.has_cp);
    return body.cp;
}

Test(cp, request_and_reply)
{
    struct lab *l = lab_new();
    uint8_t room[128], room2[128];
    struct wire_builder b = wire_builder_chain(room, sizeof room);
    struct ike_cp_request request;
    struct ike_cp_reply reply;
    const struct ip_addr pool[ADDR_SLOTS] = {l->pool};
    struct wire_cp cp;

    ike_cp_put_request(&b, &l->client);
    cp = read_back(&b);
    cr_assert(ike_cp_read_request(&cp, &request));
    cr_assert(request.wants[SLOT_V4] && request.wants_dns[SLOT_V4] &&
              request.wish[SLOT_V4].family == ADDR_NONE);
    cr_assert_not(ike_cp_read_reply(&cp, &reply), "a request is no reply");
    b = wire_builder_chain(room2, sizeof room2);
    ike_cp_put_reply(&b, &l->gateway, &request, pool);
    cp = read_back(&b);
    cr_assert(ike_cp_read_reply(&cp, &reply));
    cr_assert(addr_equal(&reply.ip[SLOT_V4], &l->pool) && reply.n_dns == 1 &&
              addr_equal(&reply.dns[0], &l->gateway.dns[0]));
    cr_assert_not(ike_cp_read_request(&cp, &request));
    request.wants_dns[SLOT_V4] = false;
    b = wire_builder_chain(room2, sizeof room2);
    ike_cp_put_reply(&b, &l->gateway, &request, pool);
    cp = read_back(&b);
    cr_assert_eq(cp.n, 1, "what was not asked for is not told");
    free(l);
}

Test(cp, lengths_and_others)
{
    static const uint8_t bytes[17] = {10, 0, 0, 1};
    struct ike_cp_request request;
    struct ike_cp_reply reply;
    struct wire_cp cp = {.type = WIRE_CFG_REQUEST, .n = 1};

    for (size_t len = 0; len <= 17; len++) {
        cp.attrs[0] = (struct wire_cp_attr){WIRE_CP_IP4_ADDRESS, span_of(bytes, len)};
        cr_assert_eq(ike_cp_read_request(&cp, &request), len == 0 || len == 4, "address of %zu",
                     len);
        cp.attrs[0].type = WIRE_CP_IP4_DNS;
        cr_assert_eq(ike_cp_read_request(&cp, &request), len == 0 || len == 4, "DNS of %zu", len);
        cp.attrs[0].type = WIRE_CP_IP6_ADDRESS; /* RFC 7296 3.15.1: 17, some leave the prefix out */
        cr_assert_eq(ike_cp_read_request(&cp, &request), len == 0 || len >= 16, "IPv6 of %zu", len);
        cp.attrs[0].type = WIRE_CP_IP6_DNS;
        cr_assert_eq(ike_cp_read_request(&cp, &request), len == 0 || len == 16, "DNS6 of %zu", len);
        cp.attrs[0].type = WIRE_CP_IP4_NETMASK; /* not ours to judge */
        cr_assert(ike_cp_read_request(&cp, &request));
        cr_assert_not(request.wants[SLOT_V4] || request.wants[SLOT_V6]);
    }
    cp.attrs[0] = (struct wire_cp_attr){WIRE_CP_IP4_ADDRESS, span_of(bytes, 4)};
    cr_assert(ike_cp_read_request(&cp, &request));
    cr_assert_eq(request.wish[SLOT_V4].bytes[0], 10);
    cp.type = WIRE_CFG_REPLY;
    cp.n = 4;
    for (size_t i = 1; i < 4; i++)
        cp.attrs[i] = (struct wire_cp_attr){WIRE_CP_IP4_DNS, span_of(bytes, 4)};
    cr_assert(ike_cp_read_reply(&cp, &reply));
    cr_assert_eq(reply.n_dns, IKE_MAX_DNS, "the rest is dropped");
    cp.type = WIRE_CFG_SET;
    cr_assert_not(ike_cp_read_reply(&cp, &reply));
    cr_assert_not(ike_cp_read_request(&cp, &request));
}
