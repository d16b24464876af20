/* INITIAL_CONTACT (RFC 7296 2.4): a client that was restarted ends what it left behind, and nobody
 * else does. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "replication/record.h"
#include "world.h"

static const struct endpoint gateway = {{.family = ADDR_V4, .bytes = {10, 77, 1, 100}}, 500};

static uint64_t counted(struct world *w, enum counter_id id)
{
    return conductor_counters(w->nodes[w->owner].conductor)->value[id];
}

/* As a client that was restarted and forgot all. */
static void begin_as(struct world *w, const char *id)
{
    struct ike_identity *local = &w->client_policy.local_id;
    struct endpoint from = {addr_v4(0x0a4d0132), 500};

    memset(local, 0, sizeof *local);
    local->type = 2;
    local->len = (uint8_t)strlen(id);
    memcpy(local->bytes, id, local->len);
    world_restart_client(w);
    conductor_initiate(w->nodes[WORLD_CLIENT].conductor, WORLD_SHARD, &from, &gateway);
}

static void connect_as(struct world *w, const char *id)
{
    begin_as(w, id);
    world_run(w, 100);
}

struct contact {
    const char *id;
    size_t n; /* its established SAs that have an address */
};

static void count_contact(void *self, const struct conductor_sa_view *v)
{
    struct contact *k = self;

    k->n += v->sa->state == IKE_SA_ESTABLISHED && v->sa->virtual_ip[SLOT_V4].family == ADDR_V4 &&
            v->sa->remote_id.len == strlen(k->id) &&
            memcmp(v->sa->remote_id.bytes, k->id, strlen(k->id)) == 0;
}

static size_t sas_of(struct world *w, unsigned node, const char *id)
{
    struct contact k = {.id = id};

    conductor_each_sa(w->nodes[node].conductor, count_contact, &k);
    return k.n;
}

/* A gateway that knows two identities, and a client that was restarted whenever it connects. */
static struct world *restarting_client(uint32_t pool, struct ike_psk_entry psks[2])
{
    struct world *w = world_create_pool(NULL, pool);

    psks[0] = psks[1] = w->gateway_psk;
    memset(&psks[1].remote, 0, sizeof psks[1].remote);
    psks[1].remote = (struct ike_identity){.type = 2, .len = 5, .bytes = "other"};
    w->gateway_policy.psks = psks;
    w->gateway_policy.n_psks = 2;
    w->client_policy.initial_contact = true;
    return w;
}

/* RFC 7296 2.4: the SAs that a restarted client left behind do not use the pool up; another
 * identity's stay. Every node agrees, so it holds over a takeover. */
Test(contact, initial_contact_ends_the_other_sas_of_its_identity)
{
    struct ike_psk_entry psks[2];
    struct world *w = restarting_client(2, psks);
    unsigned rounds = 0;

    connect_as(w, "other");
    cr_assert_eq(sas_of(w, 0, "other"), 1);
    for (; rounds < 10; rounds++) {
        connect_as(w, "client");
        cr_assert_eq(world_established(w, WORLD_CLIENT), 1, "round %u", rounds);
        for (unsigned node = 0; node < 3; node++) {
            cr_assert_eq(sas_of(w, node, "client"), 1, "round %u: node %u has %zu", rounds, node,
                         sas_of(w, node, "client"));
            cr_assert_eq(sas_of(w, node, "other"), 1, "another identity's SA is gone");
        }
        cr_assert_eq(world_children(w, w->owner), 2);
        if (rounds % 3 == 2)
            world_assign(w, (w->owner + 1) % 3);
    }
    cr_assert_eq(counted(w, COUNTER_pool_exhausted), 0);
    cr_assert_eq(w->grants_overlap, 0);
    printf("compared %u reconnects\n", rounds);
    world_destroy(w);
}

/* The new SA's address is chosen before the old SA ends: it may be the very same. */
Test(contact, initial_contact_finds_an_address_in_a_pool_of_one)
{
    struct ike_psk_entry psks[2];
    struct world *w = restarting_client(1, psks);

    for (unsigned rounds = 0; rounds < 10; rounds++) {
        connect_as(w, "client");
        cr_assert_eq(world_established(w, WORLD_CLIENT), 1, "round %u", rounds);
        cr_assert_eq(world_children(w, WORLD_CLIENT), 1, "round %u", rounds);
        cr_assert_eq(sas_of(w, 0, "client"), 1, "round %u", rounds);
    }
    cr_assert_eq(counted(w, COUNTER_initial_contact_ended), 9);
    connect_as(w, "other");
    cr_assert_eq(sas_of(w, 0, "other"), 0, "it is not for others");
    cr_assert_eq(sas_of(w, 0, "client"), 1);
    cr_assert_eq(counted(w, COUNTER_pool_exhausted), 1, "%u",
                 (unsigned)counted(w, COUNTER_pool_exhausted));
    world_destroy(w);
}

Test(contact, initial_contact_counts_only_when_it_is_said_and_proven)
{
    struct ike_psk_entry psks[2];
    struct world *w = restarting_client(8, psks);

    connect_as(w, "client");
    cr_assert_eq(sas_of(w, 0, "client"), 1);
    secret_set(&w->client_psk.psk, "another one", 11);
    connect_as(w, "client");
    cr_assert_geq(conductor_counters(w->nodes[0].conductor)->reason[IKE_REASON_AUTH_FAILED], 1);
    cr_assert_eq(sas_of(w, 0, "client"), 1, "a stranger ended it");
    cr_assert_eq(world_children(w, 0), 1);
    secret_set(&w->client_psk.psk, "a shared secret", 15);
    w->client_policy.initial_contact = false;
    connect_as(w, "client");
    cr_assert_eq(sas_of(w, 0, "client"), 2, "not said");
    w->client_policy.initial_contact = true;
    connect_as(w, "client");
    cr_assert_eq(sas_of(w, 0, "client"), 1, "both end");
    cr_assert_eq(counted(w, COUNTER_initial_contact_ended), 2);
    world_destroy(w);
}

static void copy_request(struct world *w, struct world_packet *p)
{
    while (w->n_packets == 0)
        cr_assert(world_commit(w));
    *p = w->packets[w->head];
}

/* RFC 7296 2.1: an SA that its peer has deleted is answered for while it lingers, whatever its
 * identity says elsewhere. */
Test(contact, initial_contact_leaves_what_has_ended_to_answer)
{
    struct ike_psk_entry psks[2];
    struct world *w = restarting_client(2, psks);
    struct world_packet request;
    unsigned copies;

    connect_as(w, "client");
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_DELETE_IKE));
    copy_request(w, &request);
    w->drop_to_client = 1;
    world_run(w, 100); /* less than a retransmission: the answer is lost */
    cr_assert_eq(w->drop_to_client, 0);
    cr_assert_eq(sas_of(w, 0, "client"), 0);
    connect_as(w, "client");
    cr_assert_eq(sas_of(w, 0, "client"), 1);
    cr_assert_eq(counted(w, COUNTER_initial_contact_ended), 0, "what has ended was ended again");
    copies = w->copies;
    conductor_handle_datagram(w->nodes[0].conductor, WORLD_SHARD, &request.to, &request.from,
                              request.natt, span_of(request.bytes, request.len));
    cr_assert_eq(w->copies, copies + 1, "silence");
    cr_assert_eq(w->copies_differ, 0, "other bytes");
    world_destroy(w);
}

/* A record ends so many SAs: an address of one more is not the new one's to take over, or the log
 * would refuse it whenever the client asks. What is left ends with its next contact. */
Test(contact, initial_contact_of_an_identity_with_more_sas_than_a_record_ends)
{
    struct ike_psk_entry psks[2];
    struct world *w = restarting_client(1, psks);
    unsigned n = 0;

    w->client_policy.initial_contact = w->client_policy.request_address = false;
    for (; n < RECORD_MAX_ENDS; n++)
        connect_as(w, "client");
    w->client_policy.request_address = true;
    connect_as(w, "client");
    cr_assert_eq(sas_of(w, 0, "client"), 1);
    cr_assert_eq(world_established(w, 0), RECORD_MAX_ENDS + 1);
    w->client_policy.initial_contact = true;
    for (unsigned i = 0; i < 2; i++)
        connect_as(w, "client");
    cr_assert_eq(counted(w, COUNTER_auth_refused), 0, "the log refused it");
    cr_assert_eq(sas_of(w, 0, "client"), 1);
    cr_assert_eq(world_established(w, 0), 1, "%zu are left", world_established(w, 0));
    cr_assert_eq(world_children(w, WORLD_CLIENT), 1);
    printf("compared %u SAs of one identity\n", n + 1);
    world_destroy(w);
}

/* The client's next message of that exchange, the gateway's answers being given to it; taken off
 * the wire. */
static struct world_packet hold_back(struct world *w, uint8_t exchange)
{
    for (;;) {
        struct world_packet p;

        while (w->n_packets == 0)
            cr_assert(world_commit(w));
        p = w->packets[w->head];
        w->head = (w->head + 1) % WORLD_PACKETS;
        w->n_packets--;
        if (!p.to_client && p.bytes[18] == exchange)
            return p;
        conductor_handle_datagram(
            w->nodes[p.to_client ? (unsigned)WORLD_CLIENT : w->owner].conductor, WORLD_SHARD, &p.to,
            &p.from, p.natt, span_of(p.bytes, p.len));
    }
}

static void arrive(struct world *w, const struct world_packet *p)
{
    conductor_handle_datagram(w->nodes[w->owner].conductor, WORLD_SHARD, &p->to, &p->from, p->natt,
                              span_of(p->bytes, p->len));
}

/* An address that was to be taken over is free before that is judged, and picked for somebody else:
 * the refusal gives back nothing, as it picked nothing. */
Test(contact, an_address_not_taken_over_stays_with_who_picked_it)
{
    struct ike_psk_entry psks[2];
    struct world *w = restarting_client(2, psks);
    struct world_packet gone, again, other;

    connect_as(w, "client");
    cr_assert(world_want(w, WORLD_CLIENT, IKE_WANT_DELETE_IKE));
    gone = hold_back(w, 37);
    begin_as(w, "client");
    again = hold_back(w, 35);
    begin_as(w, "other");
    other = hold_back(w, 35);
    arrive(w, &gone);
    arrive(w, &again); /* takes over what `gone` is about to give back */
    cr_assert(world_commit(w));
    arrive(w, &other); /* picks it */
    world_run(w, 100);
    cr_assert_eq(sas_of(w, 0, "client"), 1);
    cr_assert_eq(sas_of(w, 0, "other"), 1);
    cr_assert_eq(counted(w, COUNTER_auth_refused), 1, "the log refused %lu",
                 (unsigned long)counted(w, COUNTER_auth_refused));
    cr_assert_eq(counted(w, COUNTER_pool_exhausted), 0);
    world_destroy(w);
}
