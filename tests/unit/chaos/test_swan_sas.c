/* `swanctl --list-sas --raw` as strongSwan 5.9.8 writes it, read and compared with a gateway's
 * view. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chaos/spis.h"

static const char one_sa[] =
    "list-sa event {home {uniqueid=1 version=2 state=ESTABLISHED local-host=10.77.1.50 "
    "local-port=4500 local-id=client@holdfast.test remote-host=10.77.1.100 remote-port=4500 "
    "remote-id=gw.holdfast.test initiator=yes initiator-spi=f9713638dc9a16e3 "
    "responder-spi=eee7a58d5de18e21 nat-remote=yes nat-any=yes encr-alg=AES_GCM_16 "
    "encr-keysize=256 prf-alg=PRF_HMAC_SHA2_256 dh-group=CURVE_25519 established=3 "
    "rekey-time=13205 local-vips=[10.99.0.1 10.99.0.2] child-sas {net-1 {name=net uniqueid=1 "
    "reqid=1 state=DELETED mode=TUNNEL protocol=ESP encap=yes spi-in=97973052 spi-out=d4ce2010 "
    "bytes-in=25420 local-ts=[10.99.0.1/32] remote-ts=[10.77.2.0/24]} net-2 {name=net uniqueid=2 "
    "reqid=1 state=INSTALLED mode=TUNNEL protocol=ESP encap=yes spi-in=d67e5561 spi-out=85b4246e "
    "use-out=0 rekey-time=3458 local-ts=[10.99.0.1/32] remote-ts=[10.77.2.0/24]}}}}\n"
    "list-sa event {home {uniqueid=2 version=2 state=DELETING initiator-spi=01 responder-spi=02 "
    "child-sas {}}}\nlist-sas reply {}\n";

static struct swan_sas client;
static struct node_sas gateway;

static void setup(void)
{
    cr_assert(swan_sas_parse(one_sa, &client));
    gateway = (struct node_sas){.answered = true, .n_sas = 2};
    gateway.sas[0] = (struct node_sa){.id = "eee7a58d5de18e21",
                                      .remote_spi = "f9713638dc9a16e3",
                                      .state = "established",
                                      .n_children = 1};
    gateway.sas[0].children[0] =
        (struct node_child){.spi_in = 0x85b4246e, .spi_out = 0xd67e5561, .state = "installed"};
    gateway.sas[1] = (struct node_sa){.id = "09", .remote_spi = "08", .state = "ended"};
}

static void expect_why(const char *part)
{
    char why[160] = "";

    cr_assert_not(spis_client_agrees(&client, &gateway, 1, why, sizeof why));
    cr_assert(strstr(why, part), "'%s' lacks '%s'", why, part);
}

Test(swan_sas, what_swanctl_writes_is_read)
{
    setup();
    cr_assert_eq(client.n_sas, 2);
    cr_assert_str_eq(client.sas[0].state, "ESTABLISHED");
    cr_assert_eq(client.sas[0].spi_initiator, 0xf9713638dc9a16e3u);
    cr_assert_eq(client.sas[0].spi_responder, 0xeee7a58d5de18e21u);
    cr_assert_eq(client.sas[0].n_children, 2);
    cr_assert_str_eq(client.sas[0].children[0].state, "DELETED");
    cr_assert_eq(client.sas[0].children[1].spi_in, 0xd67e5561);
    cr_assert_eq(client.sas[0].children[1].spi_out, 0x85b4246e);
    cr_assert_str_eq(client.sas[1].state, "DELETING");
    cr_assert_not(client.sas[0].busy);
    cr_assert_eq(client.sas[1].n_children, 0);
    cr_assert(swan_sas_parse("list-sas reply {}\n", &client) && client.n_sas == 0);
}

Test(swan_sas, what_it_never_writes_is_refused)
{
    char *cut;
    unsigned n = 0;

    for (size_t len = 0; len < strlen(one_sa); len++) { /* each cut inside braces */
        cut = strndup(one_sa, len);
        (void)swan_sas_parse(cut, &client);
        free(cut);
        n++;
    }
    cr_assert_eq(n, sizeof one_sa - 1);
    cr_assert_not(swan_sas_parse("list-sa event {home {state=ESTABLISHED", &client));
    cr_assert_not(swan_sas_parse("list-sas reply {}}", &client));
    cr_assert_not(swan_sas_parse("connecting to 'unix:///x' failed: No such file", &client));
    cr_assert_not(swan_sas_parse("", &client));
}

Test(swan_sas, the_two_ends_agree_whoever_began)
{
    char why[160] = "";

    setup();
    cr_assert(spis_client_agrees(&client, &gateway, 1, why, sizeof why), "%s", why);
    (void)snprintf(gateway.sas[0].id, sizeof gateway.sas[0].id, "f9713638dc9a16e3");
    (void)snprintf(gateway.sas[0].remote_spi, sizeof gateway.sas[0].id, "eee7a58d5de18e21");
    cr_assert(spis_client_agrees(&client, &gateway, 1, why, sizeof why), "%s", why);
}

Test(swan_sas, each_disagreement_is_named)
{
    setup();
    client.sas[0].spi_initiator++;
    expect_why("the client's IKE SA f9713638dc9a16e4/eee7a58d5de18e21 is not at the gateway");
    setup();
    client.sas[0].children[1].spi_out++;
    expect_why("the client's CHILD SA 85b4246f/d67e5561 is not at the gateway");
    setup();
    (void)snprintf(gateway.sas[0].children[0].state, 24, "rekeyed");
    expect_why("1 CHILD SAs at the client, 0 at the gateway");
    setup();
    gateway.sas[0].children[1] = gateway.sas[0].children[0];
    gateway.sas[0].n_children = 2;
    expect_why("1 CHILD SAs at the client, 2 at the gateway");
    setup();
    (void)snprintf(client.sas[1].state, SWAN_STATE, "ESTABLISHED");
    expect_why("2 IKE SAs at the client, 1 at the gateway");
    setup();
    gateway.n_sas = 0;
    expect_why("1 IKE SAs at the client, 0 at the gateway");
    setup();
    cr_assert_not(client.sas[0].busy);
    client.sas[0].busy = true;
    expect_why("the client's exchanges do not end");
}

Test(swan_sas, a_task_under_way_is_seen)
{
    cr_assert(swan_sas_parse("list-sa event {home {state=ESTABLISHED tasks-queued=[CHILD_REKEY] "
                             "tasks-passive=[] child-sas {}}}\nlist-sas reply {}\n",
                             &client));
    cr_assert(client.sas[0].busy);
    cr_assert(swan_sas_parse("list-sa event {home {state=ESTABLISHED tasks-active=[] child-sas "
                             "{}}}\nlist-sas reply {}\n",
                             &client));
    cr_assert_not(client.sas[0].busy);
}

Test(swan_sas, several_clients_agree_each_with_its_own)
{
    char why[160] = "";

    setup();
    gateway.sas[1] = gateway.sas[0];
    (void)snprintf(gateway.sas[0].id, sizeof gateway.sas[0].id, "0a");
    (void)snprintf(gateway.sas[0].remote_spi, sizeof gateway.sas[0].remote_spi, "0b");
    client.sas[1] = client.sas[0];
    client.sas[1].spi_initiator = 0xb;
    client.sas[1].spi_responder = 0xa;
    cr_assert(spis_client_agrees(&client, &gateway, 2, why, sizeof why), "%s", why);
    expect_why("2 IKE SAs at the client, 2 at the gateway");
    client.sas[1].spi_responder = 0xc;
    cr_assert_not(spis_client_agrees(&client, &gateway, 2, why, sizeof why));
    cr_assert(strstr(why, "IKE SA 000000000000000b/000000000000000c is not at the gateway"));
}
