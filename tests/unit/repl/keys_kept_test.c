/* What outlives the daemon in the service manager's memfd has an end, whoever starts meanwhile. */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "replication/repl_keys.h"
#include "unit/repl/alone.h"

enum { PLACE_BYTES = 8 + SEAL_KEY_BYTES, UNTIL_AT = SEAL_RING_KEYS * PLACE_BYTES };
#define HOUR_NS 3600000000000ull

static char root[] = "/tmp/hf-kept-XXXXXX";
static char data[64];

static void make_root(void)
{
    cr_assert_not_null(mkdtemp(root));
    (void)snprintf(data, sizeof data, "%s/1", root);
}

static void remove_root(void)
{
    char command[128];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", root);
    cr_assert_eq(system(command), 0);
}

TestSuite(repl_keys_kept, .init = make_root, .fini = remove_root);

static void keep_fd(void *self, int fd)
{
    *(int *)self = dup(fd);
}

static struct repl_options options_with(int *kept)
{
    struct repl_options o = alone_options(data);

    o.key_age_ms = 3600000;
    o.kept_keys_fd = *kept > 0 ? *kept : 0;
    o.keep_keys_fd = keep_fd;
    o.keep_keys_self = kept;
    return o;
}

static uint64_t until(int fd)
{
    uint64_t ns = 0;

    cr_assert_eq(pread(fd, &ns, sizeof ns, UNTIL_AT), (ssize_t)sizeof ns);
    return ns;
}

static void set_until(int fd, uint64_t ns)
{
    cr_assert_eq(pwrite(fd, &ns, sizeof ns, UNTIL_AT), (ssize_t)sizeof ns);
}

/* Bytes of places that are not 0. */
static size_t kept_bytes(int fd)
{
    uint8_t places[UNTIL_AT];
    size_t n = 0;

    cr_assert_eq(pread(fd, places, sizeof places, 0), (ssize_t)sizeof places);
    for (size_t i = 0; i < sizeof places; i++)
        n += places[i] != 0;
    return n;
}

/* Runs until it owns its shard, by a key of sessions, and the memfd says until when that one may be kept. */
static void run_once(struct repl_options *o)
{
    struct repl_error error;
    struct repl *repl = repl_start(o, &error);
    bool held = false;

    cr_assert_not_null(repl, "%s", error.text);
    for (uint64_t end = repl_boottime_ns() + 60 * 1000000000ull;
         (!held || until(*(int *)o->keep_keys_self) < repl_boottime_ns()) &&
         repl_boottime_ns() < end;) {
        struct repl_event *e = repl_next_event(repl);
        struct pollfd p = {.fd = repl_event_fd(repl), .events = POLLIN};

        conductor_stamp(repl);
        if (e == NULL)
            (void)poll(&p, 1, 20);
        held = held || (e != NULL && e->kind == REPL_EV_LEASE && e->held);
        repl_event_free(e);
    }
    cr_assert(held, "no lease");
    repl_stop(repl);
}

/* Its end is an hour and a minute behind what was applied last, and a later start takes the key up. */
Test(repl_keys_kept, a_key_in_time_is_taken_up)
{
    int kept = 0;
    struct repl_options o = options_with(&kept);
    struct repl_error error;
    uint64_t before = repl_boottime_ns(), end;
    size_t n;

    cr_assert(repl_init(&o, &error), "%s", error.text);
    run_once(&o);
    end = until(kept);
    cr_assert(end >= before + HOUR_NS && end <= repl_boottime_ns() + HOUR_NS + HOUR_NS / 60);
    n = kept_bytes(kept);
    cr_assert_gt(n, SEAL_KEY_BYTES / 2);
    repl_kept_expire(kept, end - 1);
    cr_assert_eq(kept_bytes(kept), n, "too early");
    o = options_with(&kept);
    run_once(&o);
    cr_assert_geq(until(kept), end);
    (void)close(kept);
}

/* A program that fails before it opens anything has wiped it all the same. */
Test(repl_keys_kept, a_key_that_is_too_old_is_wiped_by_any_start)
{
    int kept = 0;
    struct repl_options o = options_with(&kept);
    struct repl_error error;

    cr_assert(repl_init(&o, &error), "%s", error.text);
    run_once(&o);
    cr_assert_gt(kept_bytes(kept), 0);
    repl_kept_expire(kept, until(kept));
    cr_assert_eq(kept_bytes(kept), 0);
    cr_assert_eq(until(kept), 0);
    o = options_with(&kept);
    run_once(&o); /* it draws another one */
    cr_assert_gt(kept_bytes(kept), 0);
    (void)close(kept);
}

/* Nor does a start that opens it take up what is too old. */
Test(repl_keys_kept, a_key_that_is_too_old_is_not_taken_up)
{
    int kept = 0;
    struct repl_options o = options_with(&kept);
    struct repl_keys keys;
    struct repl_error error;
    uint64_t id;

    cr_assert(repl_init(&o, &error), "%s", error.text);
    run_once(&o);
    o = options_with(&kept);
    cr_assert(repl_keys_open(&keys, &o, 5, &error), "%s", error.text);
    cr_assert_eq(seal_ring_list(keys.ring, SEAL_SESSION, &id, 1), 1);
    cr_assert_eq(repl_keys_kept_until(&keys), until(kept));
    repl_keys_close(&keys);
    set_until(kept, 1);
    cr_assert(repl_keys_open(&keys, &o, 5, &error), "%s", error.text);
    cr_assert_eq(seal_ring_list(keys.ring, SEAL_SESSION, &id, 1), 0);
    cr_assert_eq(repl_keys_kept_until(&keys), 0);
    repl_keys_close(&keys);
    cr_assert_eq(kept_bytes(kept), 0);
    (void)close(kept);
}

/* What a former program left has no end yet; what is no memfd of ours is left alone. */
Test(repl_keys_kept, what_says_no_end_is_left_alone)
{
    uint8_t places[UNTIL_AT];
    int fd = memfd_create("former", MFD_CLOEXEC);
    struct stat st;

    memset(places, 7, sizeof places);
    cr_assert_eq(write(fd, places, sizeof places), (ssize_t)sizeof places);
    repl_kept_expire(fd, UINT64_MAX);
    cr_assert_eq(kept_bytes(fd), sizeof places);
    cr_assert(fstat(fd, &st) == 0 && st.st_size == UNTIL_AT);
    set_until(fd, 0);
    repl_kept_expire(fd, UINT64_MAX);
    cr_assert_eq(kept_bytes(fd), sizeof places);
    (void)close(fd);
    repl_kept_expire(-1, UINT64_MAX);
}
