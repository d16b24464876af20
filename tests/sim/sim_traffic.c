/* Numbered packets through the tunnels, either way: each may arrive once. */
#include "sim/sim_world.h"

enum {
    IP_BYTES = 20,
    UDP_BYTES = 8,
    TO_AT = 16,
    MARK_AT = IP_BYTES + UDP_BYTES,
    PACKET_BYTES = MARK_AT + 40
};

/* It stands in each, so that plaintext outside would be seen. */
static const char mark[] = SIM_WATCH_PLAIN;

static void make(uint8_t *p, const struct ip_addr *from, const struct ip_addr *to, uint32_t client,
                 uint64_t number)
{
    memset(p, 0, PACKET_BYTES);
    p[0] = 0x45;
    put_be16(p + 2, PACKET_BYTES);
    p[8] = 64;
    p[9] = 17;
    memcpy(p + 12, from->bytes, 4);
    memcpy(p + TO_AT, to->bytes, 4);
    put_be16(p + IP_BYTES, 7777);
    put_be16(p + IP_BYTES + 2, 7777);
    put_be16(p + IP_BYTES + 4, PACKET_BYTES - IP_BYTES);
    memcpy(p + MARK_AT, mark, sizeof mark - 1);
    put_be32(p + PACKET_BYTES - 12, client);
    put_be64(p + PACKET_BYTES - 8, number);
}

void sim_traffic_from_client(struct sim_client *c)
{
    const struct ip_addr server = addr_v4(SIM_SERVER);
    uint8_t p[PACKET_BYTES];

    make(p, &c->inner, &server, c->index, c->up.next++);
    c->world->stats.counts[SIM_COUNT_packets_sent]++;
    sim_client_send_inner(c, span_of(p, sizeof p));
}

void sim_traffic_from_server(struct sim_client *c)
{
    const struct ip_addr server = addr_v4(SIM_SERVER);
    uint8_t p[PACKET_BYTES];

    make(p, &server, &c->inner, c->index, c->down.next++);
    c->world->stats.counts[SIM_COUNT_packets_sent]++;
    sim_outside_to_pool(c->world, c->shard, span_of(p, sizeof p));
}

/* The numbers of who it says it is from; NULL: it is none of ours. */
static struct sim_client *client_of(struct sim_world *w, struct span inner, uint64_t *number)
{
    uint32_t client;

    if (inner.len != PACKET_BYTES || memcmp(inner.data + MARK_AT, mark, sizeof mark - 1) != 0)
        return NULL;
    client = get_be32(inner.data + PACKET_BYTES - 12);
    *number = get_be64(inner.data + PACKET_BYTES - 8);
    return client < w->plan.n_clients ? &w->clients[client] : NULL;
}

void sim_traffic_at_server(struct sim_node *n, struct span inner)
{
    struct sim_world *w = n->world;
    uint64_t number = 0;
    struct sim_client *c = client_of(w, inner, &number);

    if (c == NULL) {
        sim_violation(w, "node %u delivers a packet that nobody sent", n->id);
        return;
    }
    if (!n->inside_up)
        return;
    if (!sim_numbers_arrive(&c->up, number))
        sim_violation(w, "I2: packet %llu of client %u arrives a second time",
                      (unsigned long long)number, c->index);
    w->stats.counts[SIM_COUNT_packets_delivered]++;
    c->last_up_ms = w->now_ms;
}

static bool is_its_own(const struct sim_client *c, const uint8_t address[4])
{
    bool own = memcmp(address, c->inner.bytes, 4) == 0;

    for (size_t i = 0; i < c->n_held && !own; i++)
        own = memcmp(address, c->held[i].bytes, 4) == 0;
    return own;
}

/* What is sent to an address goes to whoever has it: the server goes on sending to one whose client has
 * lost its tunnel, and meanwhile another may have been given it. */
void sim_traffic_at_client(struct sim_client *c, struct span inner)
{
    struct sim_world *w = c->world;
    uint64_t number = 0;
    struct sim_client *of = client_of(w, inner, &number);

    if (of == NULL || !is_its_own(c, inner.data + TO_AT)) {
        sim_violation(w, "client %u gets a packet that is not its own", c->index);
        return;
    }
    if (!sim_numbers_arrive(&of->down, number))
        sim_violation(w, "I2: packet %llu to client %u arrives a second time",
                      (unsigned long long)number, of->index);
    if (of != c)
        return;
    w->stats.counts[SIM_COUNT_packets_delivered]++;
    c->last_down_ms = w->now_ms;
}
