/* The file `peers`: with whom a node was to be connected when it ran last. */
#include "replication/repl_peers.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[] = "/tmp/hf-peers-XXXXXX";
static char path[64];

static void begin(void)
{
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/peers", dir);
}

static void end(void)
{
    (void)unlink(path);
    cr_assert_eq(rmdir(dir), 0, "something is left beside it");
}

TestSuite(repl_peers, .init = begin, .fini = end);

static void write_text(const char *text)
{
    FILE *out = fopen(path, "w");

    cr_assert_not_null(out);
    cr_assert_geq(fputs(text, out), 0);
    cr_assert_eq(fclose(out), 0);
}

Test(repl_peers, what_is_written_is_read)
{
    struct repl_node_address nodes[REPL_MAX_NODES] = {0}, back[REPL_MAX_NODES] = {0};
    struct ip_addr v6 = {.family = ADDR_V6, .bytes = {0xfd, [15] = 7}};

    cr_assert_eq(repl_peers_read(dir, back), 0, "there is none yet");
    for (uint32_t i = 0; i < REPL_MAX_NODES; i++)
        nodes[i] = (struct repl_node_address){
            .node = i + 1,
            .address = {i % 2 == 0 ? addr_v4(0x0a000001 + i) : v6, (uint16_t)(7400 + i)}};
    cr_assert(repl_peers_write(dir, nodes, REPL_MAX_NODES));
    cr_assert_eq(repl_peers_read(dir, back), REPL_MAX_NODES);
    for (uint32_t i = 0; i < REPL_MAX_NODES; i++) {
        cr_assert_eq(back[i].node, nodes[i].node);
        cr_assert(endpoint_equal(&back[i].address, &nodes[i].address));
    }
    nodes[0].address = (struct endpoint){0}; /* a lone node has none */
    cr_assert(repl_peers_write(dir, nodes, 2));
    cr_assert_eq(repl_peers_read(dir, back), 1);
    cr_assert_eq(back[0].node, 2);
}

Test(repl_peers, lines_that_say_nothing_are_left_out)
{
    struct repl_node_address back[REPL_MAX_NODES];

    write_text("3 10.0.0.3:7400\n\n0 10.0.0.4:7400\nx 10.0.0.5:7400\n5\n6 10.0.0.256:7400\n"
               "4294967296 10.0.0.7:7400\n-1 10.0.0.7:7400\n8 10.0.0.8:7400\n9 10.0.0.9:74");
    cr_assert_eq(repl_peers_read(dir, back), 2);
    cr_assert(back[0].node == 3 && back[1].node == 8);
}

Test(repl_peers, a_folder_that_is_not_there)
{
    struct repl_node_address back[REPL_MAX_NODES] = {{.node = 1}};

    cr_assert_not(repl_peers_write("/nowhere", back, 1));
    cr_assert_eq(repl_peers_read("/nowhere", back), 0);
}
