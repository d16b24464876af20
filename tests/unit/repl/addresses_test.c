/* Where the others are, kept over a restart: written whole, read only when sound, put together with what
 * an operator's file says. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "replication/repl_addresses.h"

static char directory[32], path[64];

static struct repl_node_address at(uint32_t node, uint32_t ip)
{
    return (struct repl_node_address){node, {addr_v4(ip), 7400}};
}

static void make(void)
{
    (void)strcpy(directory, "/tmp/hf-peers-XXXXXX");
    cr_assert(mkdtemp(directory) != NULL);
    (void)snprintf(path, sizeof path, "%s/peers", directory);
}

static void drop(void)
{
    (void)unlink(path);
    cr_assert(rmdir(directory) == 0, "something else was left there");
}

TestSuite(repl_addresses, .init = make, .fini = drop);

Test(repl_addresses, what_is_kept_comes_back)
{
    struct repl_node_address two[2] = {
        at(4, 0x0a4d0304), {9, {{.family = ADDR_V6, .bytes = {0xfd, [15] = 9}}, 65535}}};
    struct repl_node_address back[REPL_MAX_NODES];
    size_t n = 7;

    cr_assert(repl_addresses_load(directory, back, &n), "no file yet is no damage");
    cr_assert_eq(n, 0);
    cr_assert(repl_addresses_store(directory, two, 2));
    cr_assert(repl_addresses_load(directory, back, &n));
    cr_assert_eq(n, 2);
    for (size_t i = 0; i < 2; i++)
        cr_assert(back[i].node == two[i].node && endpoint_equal(&back[i].address, &two[i].address));
    cr_assert(repl_addresses_store(directory, two, 0), "none is an answer, too");
    cr_assert(repl_addresses_load(directory, back, &n));
    cr_assert_eq(n, 0);
}

/* Any one bit, and any length: it is told, and gives nothing. */
Test(repl_addresses, a_damaged_file_gives_nothing)
{
    struct repl_node_address two[2] = {at(4, 0x0a4d0304), at(5, 0x0a4d0305)};
    struct repl_node_address back[REPL_MAX_NODES];
    uint8_t bytes[256];
    size_t n = 7, tried = 0;
    ssize_t len;
    int fd;

    cr_assert(repl_addresses_store(directory, two, 2));
    fd = open(path, O_RDWR);
    len = read(fd, bytes, sizeof bytes);
    cr_assert_gt(len, 0);
    for (ssize_t bit = 0; bit < 8 * len; bit++, tried++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_eq(pwrite(fd, bytes, (size_t)len, 0), len);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert(!repl_addresses_load(directory, back, &n), "bit %zd", bit);
        cr_assert_eq(n, 0);
    }
    cr_assert_eq(pwrite(fd, bytes, (size_t)len, 0), len);
    for (ssize_t cut = len - 1; cut >= 0; cut--, tried++) {
        cr_assert_eq(ftruncate(fd, cut), 0);
        cr_assert(!repl_addresses_load(directory, back, &n), "%zd bytes", cut);
    }
    (void)close(fd);
    (void)fprintf(stderr, "compared %zu damaged files\n", tried);
}

Test(repl_addresses, an_operators_address_stays_and_a_later_word_counts)
{
    struct repl_node_address nodes[REPL_MAX_NODES] = {at(1, 1), at(2, 2)}, more[3];
    struct repl_node_address first = at(1, 1), newer = at(3, 33);
    size_t n;

    more[0] = at(1, 100);
    more[1] = at(3, 3);
    n = repl_addresses_merge(nodes, 2, 2, more, 2);
    cr_assert_eq(n, 3);
    cr_assert(endpoint_equal(&nodes[0].address, &first.address), "the file's own");
    more[0] = at(3, 33);
    n = repl_addresses_merge(nodes, n, 2, more, 1);
    cr_assert_eq(n, 3);
    cr_assert(endpoint_equal(&nodes[2].address, &newer.address), "the newer word");
    for (uint32_t node = 4; node <= 20; node++) {
        more[0] = at(node, node);
        n = repl_addresses_merge(nodes, n, 2, more, 1);
    }
    cr_assert_eq(n, REPL_MAX_NODES);
    for (uint32_t i = 0; i < REPL_MAX_NODES; i++)
        cr_assert_eq(nodes[i].node, i < 2 ? i + 1 : 22 - i, "the newest word first: row %u", i);
    more[0] = at(15, 15);
    more[1] = at(21, 21);
    more[2] = at(2, 200);
    cr_assert_eq(repl_addresses_merge(nodes, n, 2, more, 3), n);
    cr_assert(nodes[1].node == 2 && nodes[2].node == 15 && nodes[3].node == 21 &&
                  nodes[4].node == 20 && nodes[n - 1].node == 8,
              "one that was there moves up, what was said longest ago makes room");
}
