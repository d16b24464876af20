/* What the daemon does when its machine was rolled back: the kernel's word and the next start are the test's own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>

#include "daemon/anew.h"
#include "daemon/internal.h"

static struct daemon node;
static struct generation_listener told;
static int fails; /* errno of generation_open() */
static jmp_buf became;
static bool was_silenced;
static int handed;

int generation_open(struct io_error *error)
{
    io_error_set(error, fails, "no such socket");
    return fails != 0 ? -1 : 5;
}

bool generation_from_kernel(const struct msghdr *message)
{
    return message != NULL;
}

struct generation_watch *generation_watch_start(int fd, bool (*from_kernel)(const struct msghdr *),
                                                const struct generation_listener *listener,
                                                struct io_error *error)
{
    static char watch;

    (void)error;
    cr_assert(fd == 5 && from_kernel == generation_from_kernel);
    told = *listener;
    return (struct generation_watch *)(void *)&watch;
}

void generation_watch_stop(struct generation_watch *w)
{
    cr_assert_not_null(w);
}

void anew_rolled_back(int keys_fd)
{
    was_silenced = atomic_load(&node.rollback.silenced);
    handed = keys_fd;
    longjmp(became, 1);
}

static void begin(void)
{
    static const struct log quiet = {LOG_ERROR, 2};

    node.log = &quiet;
    rollback_watch(&node);
}

/* While execve() ends the other threads they go on: they find it said before it is called. */
Test(rollback, silences_the_process_before_it_begins_anew)
{
    begin();
    cr_assert_not(atomic_load(&node.rollback.silenced));
    atomic_store(&node.keys_fd, 9);
    if (setjmp(became) == 0)
        told.changed(told.self);
    cr_assert(was_silenced);
    cr_assert_eq(handed, 9);
}

Test(rollback, nobody_is_silenced_by_what_may_have_been_one)
{
    json_t *said;

    begin();
    told.missed(told.self);
    told.missed(told.self);
    told.ended(told.self, ENOTSOCK);
    cr_assert_not(atomic_load(&node.rollback.silenced));
    said = rollback_json(&node);
    cr_assert(json_is_false(json_object_get(said, "watched")));
    cr_assert_eq(json_integer_value(json_object_get(said, "missed")), 2);
    json_decref(said);
    rollback_stop(&node);
}

Test(rollback, a_node_that_hears_nothing_says_so)
{
    json_t *said;

    fails = EPERM;
    begin();
    said = rollback_json(&node);
    cr_assert(json_is_false(json_object_get(said, "watched")));
    cr_assert_str_eq(json_string_value(json_object_get(said, "why")), strerror(EPERM));
    json_decref(said);
    rollback_stop(&node);
}
