#include "swan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/assert.h"
#include "base/bytes.h"

static FILE *begin_file(struct swan *s, const char *name)
{
    char path[160];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", s->dir, name);
    f = fopen(path, "we");
    if (!f)
        (void)lab_fail(s->lab, "%s: %s", path, strerror(errno));
    return f;
}

static bool end_file(struct swan *s, const char *name, FILE *f)
{
    bool ok = !ferror(f);

    ok = fclose(f) == 0 && ok;
    return ok || lab_fail(s->lab, "%s/%s: %s", s->dir, name, strerror(errno));
}

static bool write_files(struct swan *s, const struct swan_options *o)
{
    static const char daemon[] = "strongswan.conf", connections[] = "swanctl.conf";
    FILE *f = begin_file(s, daemon);

    if (!f)
        return false;
    swan_write_daemon(f, s->uri, o->patient, o->clients > 8);
    if (!end_file(s, daemon, f) || !(f = begin_file(s, connections)))
        return false;
    if (o->gateway)
        swan_write_gateway(f);
    else
        swan_write_clients(f, o);
    return end_file(s, connections, f);
}

static void took_line(void *arg, const char *line)
{
    struct swan *s = arg;
    char connection[SWAN_NAME], address[64];
    struct in6_addr v6;
    struct in_addr v4;
    unsigned client;

    swan_log_line(&s->log, line);
    if (!swan_log_address(line, connection, sizeof connection, address, sizeof address) ||
        !swan_client_of(connection, &client) || client > LAB_MAX_CLIENTS)
        return;
    if (inet_pton(AF_INET, address, &v4) == 1)
        s->inner[client - 1][0] = ntohl(v4.s_addr);
    else if (inet_pton(AF_INET6, address, &v6) == 1)
        s->inner[client - 1][1] = get_be32(v6.s6_addr + 12);
}

bool swan_start(struct swan *s, struct chaos_lab *lab, enum lab_place place, const char *name,
                const struct swan_options *options)
{
    static const char *const argv[] = {"charon-systemd", NULL};
    const char *env[] = {s->env, NULL};

    *s = (struct swan){.lab = lab, .place = place, .log.collides = options->collides};
    (void)snprintf(s->proc.name, sizeof s->proc.name, "%s", name);
    s->proc.line = took_line;
    s->proc.arg = s;
    (void)snprintf(s->dir, sizeof s->dir, "%s/%s", lab->dir, name);
    (void)snprintf(s->uri, sizeof s->uri, "unix://%s/charon.vici", s->dir);
    (void)snprintf(s->env, sizeof s->env, "STRONGSWAN_CONF=%s/strongswan.conf", s->dir);
    if (mkdir(s->dir, 0700) != 0)
        return lab_fail(lab, "%s: %s", s->dir, strerror(errno));
    if (!write_files(s, options))
        return false;
    return proc_start(
        lab, &s->proc,
        &(struct chaos_spawn){.place = place, .argv = argv, .env = env, .step_fd = -1});
}

static bool is_ready(void *arg)
{
    const struct swan *s = arg;

    return s->log.ready || s->proc.ended;
}

bool swan_load(struct swan *s)
{
    char file[160];

    if (!lab_until(s->lab, is_ready, s, 5000) || s->proc.ended)
        return lab_fail(s->lab, "%s: charon-systemd did not start: %.300s", s->proc.name,
                        s->proc.log ? s->proc.log : "");
    (void)snprintf(file, sizeof file, "%s/swanctl.conf", s->dir);
    return swan_ctl(s, 20000, "--load-all", "--file", file, NULL);
}

/* argv of swanctl with these words, ended by NULL; SWAN_WORDS of them at most. */
enum { SWAN_WORDS = 6, SWAN_ARGV = SWAN_WORDS + 4 };

static void make_argv(const struct swan *s, const char *argv[SWAN_ARGV], const char *first,
                      va_list more)
{
    size_t n = 0;

    argv[n++] = "swanctl";
    for (const char *word = first; word; word = va_arg(more, const char *)) {
        HF_ASSERT(n <= SWAN_WORDS);
        argv[n++] = word;
    }
    argv[n++] = "--uri";
    argv[n++] = s->uri;
    argv[n] = NULL;
}

bool swan_ctl(struct swan *s, unsigned ms, const char *first, ...)
{
    const char *argv[SWAN_ARGV];
    va_list more;

    va_start(more, first);
    make_argv(s, argv, first, more);
    va_end(more);
    return proc_run(s->lab, &(struct chaos_spawn){.place = s->place, .argv = argv, .step_fd = -1},
                    ms, false, NULL);
}

bool swan_initiate(struct swan *s, unsigned from, unsigned to, unsigned ms)
{
    while (from <= to) {
        const char *argv[SWAN_TOGETHER][10];
        char names[SWAN_TOGETHER][SWAN_NAME], children[SWAN_TOGETHER][SWAN_NAME];
        struct chaos_spawn what[SWAN_TOGETHER];
        size_t n = 0;

        for (; n < SWAN_TOGETHER && from <= to; n++, from++) {
            const char *words[] = {"swanctl", "--initiate",
                                   "--child", swan_child_name(from, children[n]),
                                   "--ike",   swan_connection(from, names[n]),
                                   "--uri",   s->uri,
                                   NULL};

            memcpy(argv[n], words, sizeof words);
            what[n] = (struct chaos_spawn){.place = s->place, .argv = argv[n], .step_fd = -1};
        }
        if (!proc_run_together(s->lab, what, n, ms))
            return false;
    }
    return true;
}

bool swan_list(struct swan *s, unsigned ms, struct swan_sas *sas)
{
    const char *argv[] = {"swanctl", "--list-sas", "--raw", "--uri", s->uri, NULL};
    char *text;
    bool ok =
        proc_run(s->lab, &(struct chaos_spawn){.place = s->place, .argv = argv, .step_fd = -1}, ms,
                 false, &text);

    if (ok && !(text && swan_sas_parse(text, sas)))
        ok = lab_fail(s->lab, "swanctl --list-sas: not understood: %.300s", text ? text : "");
    free(text);
    return ok;
}
