#include "io/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/guard_internal.h"

enum { MAX_SETTINGS = 16, SETTING_BYTES = 96 };

struct setting {
    char name[SETTING_BYTES]; /* below /proc/sys/net */
    char value;               /* one digit */
};

static void add_setting(struct setting *s, size_t *n, char value, const char *family,
                        const char *interface, const char *what)
{
    HF_ASSERT(*n < MAX_SETTINGS);
    (void)snprintf(s[*n].name, SETTING_BYTES, "%s/conf/%s/%s", family, interface, what);
    s[(*n)++].value = value;
}

/* What the kernel must be told besides the rules, `forwarding` last. `default` is what the TUN
 * begins with. */
static size_t settings_of(const struct guard_config *c, struct setting s[MAX_SETTINGS])
{
    bool v6 = false;
    size_t n = 0;

    add_setting(s, &n, '1', "ipv4", "all", "arp_ignore");
    add_setting(s, &n, '2', "ipv4", "all", "arp_announce");
    add_setting(s, &n, '0', "ipv4", "all", "send_redirects");
    add_setting(s, &n, '0', "ipv4", "default", "send_redirects");
    add_setting(s, &n, '0', "ipv4", c->outside, "send_redirects");
    add_setting(s, &n, '0', "ipv4", c->inside, "send_redirects");
    add_setting(s, &n, '1', "ipv4", c->inside, "forwarding");
    for (size_t i = 0; i < c->n_pools; i++)
        v6 = v6 || c->pools[i].ip.family == ADDR_V6;
    if (v6)
        add_setting(s, &n, '1', "ipv6", "all", "forwarding");
    return n;
}

static bool read_setting(const struct setting *s, char *value)
{
    char path[SETTING_BYTES + 32];
    int fd;
    bool ok;

    (void)snprintf(path, sizeof path, "/proc/sys/net/%s", s->name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    ok = fd >= 0 && read(fd, value, 1) == 1;
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

static bool write_setting(const struct setting *s, struct io_error *error)
{
    char path[SETTING_BYTES + 32], now = '?';
    int fd, code = 0;

    if (read_setting(s, &now) && now == s->value)
        return true;
    (void)snprintf(path, sizeof path, "/proc/sys/net/%s", s->name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, &s->value, 1) != 1)
        code = errno;
    if (fd >= 0)
        (void)close(fd);
    return code == 0 ||
           io_fail(error, code, "cannot set %s to %c: %s%s", path, s->value, strerror(code),
                   code == ENOENT  ? " (is the interface there?)"
                   : code == EROFS ? " (/proc/sys is read-only here: set it from outside)"
                                   : " (run as root, or grant CAP_NET_ADMIN)");
}

/* One transaction: whatever stood before is replaced, and there is no moment without rules. */
static bool load_rules(const struct guard_config *config, struct io_error *error)
{
    struct guard_text *rules = calloc(2, sizeof *rules);
    bool ok;

    HF_ASSERT(rules != NULL);
    guard_ruleset(config, &rules[1]);
    guard_say(&rules[0], "table inet holdfast_guard {\n}\ndelete table inet holdfast_guard\n%s",
              rules[1].bytes);
    ok = guard_nft(rules[0].bytes, &rules[1], error);
    free(rules);
    return ok;
}

/* Its number among the pools; n_pools when it is none of them. */
static size_t pool_of(const struct guard_config *c, const struct netlink_prefix *dst)
{
    size_t i = 0;

    while (i < c->n_pools &&
           (c->pools[i].length != dst->length || !addr_equal(&c->pools[i].ip, &dst->ip)))
        i++;
    return i;
}

struct removal {
    struct netlink *netlink;
    const struct guard_config *keep; /* its pools' routes stay; NULL: none does */
    struct io_error *error;
    bool ok;
};

static void remove_route(void *self, const struct netlink_prefix *dst)
{
    struct removal *r = self;

    if (r->ok && (r->keep == NULL || pool_of(r->keep, dst) == r->keep->n_pools))
        r->ok = netlink_blackhole_del(r->netlink, dst, r->error);
}

/* Routes of pools that are configured no more: a longer one would swallow part of a pool of today.
 */
static bool remove_routes(struct netlink *n, const struct guard_config *keep,
                          struct io_error *error)
{
    struct removal r = {.netlink = n, .keep = keep, .error = error, .ok = true};

    return netlink_blackhole_each(n, ADDR_V4, remove_route, &r, error) && r.ok &&
           netlink_blackhole_each(n, ADDR_V6, remove_route, &r, error) && r.ok;
}

/* In the order of danger: what holds plaintext back stands before the kernel is told to forward, so
 * that an installation that fails half-way leaves no router behind (I13). */
bool guard_install(const struct guard_config *config, struct io_error *error)
{
    struct setting settings[MAX_SETTINGS];
    size_t n = settings_of(config, settings);
    struct netlink *netlink = netlink_open(error);
    struct netlink_link link;
    bool ok = netlink != NULL && netlink_link_get(netlink, config->outside, &link, error) &&
              netlink_link_get(netlink, config->inside, &link, error) && load_rules(config, error);

    for (size_t i = 0; ok && i < config->n_pools; i++)
        ok = netlink_blackhole_add(netlink, &config->pools[i], error);
    ok = ok && remove_routes(netlink, config, error);
    for (size_t i = 0; ok && i < n; i++)
        ok = write_setting(&settings[i], error);
    if (netlink != NULL)
        netlink_close(netlink);
    return ok;
}

/* Findings gather in one text as far as there is room. */
struct findings {
    char text[360];
    size_t len, n;
};

static void find(struct findings *f, const char *what, const char *detail, size_t detail_len)
{
    int n = snprintf(f->text + f->len, sizeof f->text - f->len, "%s%s%.*s", f->n > 0 ? "; " : "",
                     what, (int)detail_len, detail);

    f->n++;
    if (n > 0 && (size_t)n < sizeof f->text - f->len)
        f->len += (size_t)n;
    else
        f->text[f->len] = '\0'; /* no room: counted only */
}

static size_t count_line(const char *text, const char *line, size_t len)
{
    size_t found = 0;

    for (const char *at = text; *at != '\0';) {
        size_t n = strcspn(at, "\n");

        found += n == len && memcmp(at, line, len) == 0;
        at += n + (at[n] == '\n');
    }
    return found;
}

/* Lines that stand more often in a than in b; each named once for each time it is met. */
static void compare(struct findings *f, const char *a, const char *b, const char *what)
{
    for (const char *at = a; *at != '\0';) {
        size_t n = strcspn(at, "\n");

        if (count_line(a, at, n) > count_line(b, at, n)) {
            size_t skip = strspn(at, " \t");

            find(f, what, at + skip, n - skip);
        }
        at += n + (at[n] == '\n');
    }
}

static bool verify_rules(const struct guard_config *config, struct findings *f,
                         struct io_error *error)
{
    struct guard_text *text = calloc(2, sizeof *text);
    size_t before = f->n;
    bool ok;

    HF_ASSERT(text != NULL);
    ok = guard_listing(&text[0], error) && guard_expected_listing(config, &text[1], error);
    if (ok && text[0].len == 0) {
        find(f, "the nftables table inet holdfast_guard", "", 0);
    } else if (ok && strcmp(text[0].bytes, text[1].bytes) != 0) {
        compare(f, text[1].bytes, text[0].bytes, "rule missing: ");
        compare(f, text[0].bytes, text[1].bytes, "rule too many: ");
        if (f->n == before)
            find(f, "the guard's rules stand in another order", "", 0);
    }
    free(text);
    return ok;
}

struct routes {
    const struct guard_config *config;
    struct findings *findings;
    bool present[GUARD_MAX_POOLS];
};

static void see_route(void *self, const struct netlink_prefix *dst)
{
    struct routes *r = self;
    size_t i = pool_of(r->config, dst);
    char text[64];

    if (i < r->config->n_pools) {
        r->present[i] = true;
        return;
    }
    (void)netlink_prefix_text(dst, text);
    find(r->findings, "blackhole route too many: ", text, strlen(text));
}

static bool verify_routes(const struct guard_config *config, struct findings *f,
                          struct io_error *error)
{
    struct routes r = {.config = config, .findings = f};
    struct netlink *netlink = netlink_open(error);
    bool ok = netlink != NULL && netlink_blackhole_each(netlink, ADDR_V4, see_route, &r, error) &&
              netlink_blackhole_each(netlink, ADDR_V6, see_route, &r, error);

    for (size_t i = 0; ok && i < config->n_pools; i++) {
        char number[32];

        (void)snprintf(number, sizeof number, "%zu", i + 1);
        if (!r.present[i])
            find(f, "blackhole route of pool number ", number, strlen(number));
    }
    if (netlink != NULL)
        netlink_close(netlink);
    return ok;
}

bool guard_verify(const struct guard_config *config, struct io_error *error)
{
    struct setting settings[MAX_SETTINGS];
    size_t n = settings_of(config, settings);
    struct findings f = {.len = 0};

    if (!verify_rules(config, &f, error) || !verify_routes(config, &f, error))
        return false;
    for (size_t i = 0; i < n; i++) {
        char value = '?';

        if (!read_setting(&settings[i], &value) || value != settings[i].value)
            find(&f, "sysctl net/", settings[i].name, strlen(settings[i].name));
    }
    if (f.n == 0)
        return true;
    return io_fail(error, 0,
                   "the guard is not in force (%zu findings): %s: set it by `holdfastd --guard`, "
                   "before the daemon",
                   f.n, f.text);
}

bool guard_remove(struct io_error *error)
{
    struct guard_text *out = calloc(1, sizeof *out);
    struct netlink *netlink = netlink_open(error);
    bool ok = netlink != NULL;

    HF_ASSERT(out != NULL);
    ok = ok &&
         guard_nft("table inet holdfast_guard {\n}\ndelete table inet holdfast_guard\n", out,
                   error) &&
         remove_routes(netlink, NULL, error);
    if (netlink != NULL)
        netlink_close(netlink);
    free(out);
    return ok;
}
