#include "api/cli/where.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/cli.h"

static const char *const variables[CLI_PLACES] = {"HOLDFAST_SOCKET", "HOLDFAST_SERVER",
                                                  "HOLDFAST_CA",     "HOLDFAST_CERT",
                                                  "HOLDFAST_KEY",    "HOLDFAST_TOKEN_FILE"};
static const enum cli_common options[CLI_PLACES] = {CLI_SOCKET_PATH, CLI_SERVER, CLI_CA,
                                                    CLI_CERT,        CLI_KEY,    CLI_TOKEN_FILE};

/* What one source says. */
struct source {
    const char *at[CLI_PLACES];
    const char *profile;
};

static bool names_place(const struct source *s)
{
    return s->at[CLI_AT_SOCKET] != NULL || s->at[CLI_AT_SERVERS] != NULL || s->profile != NULL;
}

static bool fail(char why[CLI_WHY_BYTES], const char *text)
{
    (void)snprintf(why, CLI_WHY_BYTES, "%s", text);
    return false;
}

static bool is_host(const char *text, size_t n)
{
    return n > 0 && n < CLI_HOST_BYTES && text[0] != '-' &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._") >= n;
}

bool cli_server_parse(const char *text, size_t n, struct cli_server *out)
{
    const char *colon = memrchr(text, ':', n), *host = text;
    size_t digits = colon != NULL ? n - (size_t)(colon + 1 - text) : 0, len;
    struct cli_server s = {.host = ""};
    struct in6_addr v6;
    long port;

    if (digits < 1 || digits > 5 || strspn(colon + 1, "0123456789") < digits) {
        return false;
    }
    len = (size_t)(colon - text);
    memcpy(s.port, colon + 1, digits);
    port = strtol(s.port, NULL, 10);
    if (port < 1 || port > 65535) {
        return false;
    }
    if (len > 2 && host[0] == '[' && host[len - 1] == ']' && len - 2 < INET6_ADDRSTRLEN) {
        memcpy(s.host, host + 1, len - 2);
        if (inet_pton(AF_INET6, s.host, &v6) != 1) {
            return false;
        }
    } else if (is_host(host, len)) {
        memcpy(s.host, host, len);
    } else {
        return false;
    }
    *out = s;
    return true;
}

static bool parse_servers(struct cli_where *where, char why[CLI_WHY_BYTES])
{
    const char *p = where->at[CLI_AT_SERVERS];

    for (;; p++) {
        size_t n = strcspn(p, ",");

        if (where->n_servers == CLI_MOST_SERVERS) {
            return fail(why, "at most 8 servers may be named");
        }
        if (!cli_server_parse(p, n, &where->servers[where->n_servers])) {
            (void)snprintf(why, CLI_WHY_BYTES,
                           "'%.*s' is no server: HOST:PORT, or [IPv6]:PORT, several with commas",
                           (int)(n < 80 ? n : 80), p);
            return false;
        }
        where->n_servers++;
        p += n;
        if (*p == '\0') {
            return true;
        }
    }
}

/* Copies from the first source that has it. */
static bool take(struct cli_where *where, const struct source *const sources[], size_t n)
{
    for (size_t i = 0; i < CLI_PLACES; i++) {
        for (size_t k = 0; k < n && where->at[i] == NULL; k++) {
            if (sources[k]->at[i] != NULL) {
                where->at[i] = strdup(sources[k]->at[i]);
                if (where->at[i] == NULL) {
                    return false;
                }
            }
        }
    }
    return true;
}

static bool check(struct cli_where *where, char why[CLI_WHY_BYTES])
{
    char **at = where->at;

    if (at[CLI_AT_SOCKET] != NULL && at[CLI_AT_SERVERS] != NULL) {
        return fail(why, "a socket and a server are two places: name one of them");
    }
    if (at[CLI_AT_SERVERS] == NULL) {
        if (at[CLI_AT_CA] != NULL || at[CLI_AT_CERT] != NULL || at[CLI_AT_KEY] != NULL ||
            at[CLI_AT_TOKEN_FILE] != NULL) {
            return fail(why, "--ca, --cert, --key and --token-file say how a server is asked, and "
                             "none is named here: --server HOST:PORT");
        }
        return true;
    }
    if (at[CLI_AT_CA] == NULL) {
        return fail(why, "by which CA is the server's certificate? --ca FILE, HOLDFAST_CA, or `ca` "
                         "in the profile");
    }
    if ((at[CLI_AT_CERT] == NULL) != (at[CLI_AT_KEY] == NULL)) {
        return fail(why, "--cert and --key belong together");
    }
    return parse_servers(where, why);
}

/* The usual place of the file; "" where there is no home. */
static void profile_path(char path[CLI_PATH_BYTES])
{
    const char *config = secure_getenv("XDG_CONFIG_HOME"), *home = secure_getenv("HOME");
    bool given = config != NULL && config[0] == '/';
    int n = 0;

    path[0] = '\0';
    if (given || (home != NULL && home[0] == '/')) {
        n = snprintf(path, CLI_PATH_BYTES, "%s%s/holdfast/cli.yaml", given ? config : home,
                     given ? "" : "/.config");
    }
    if (n >= CLI_PATH_BYTES) {
        path[0] = '\0';
    }
}

/* The profile `name`, or the file's default where that is NULL, as a source. */
static bool read_profile(const char *name, char *read[CLI_PLACES], struct source *out,
                         char why[CLI_WHY_BYTES])
{
    char path[CLI_PATH_BYTES];
    bool found = false;

    profile_path(path);
    if (path[0] == '\0') {
        return name == NULL || fail(why, "there is no home folder, so no profile");
    }
    if (!cli_profile_read(path, name, read, &found, why)) {
        return false;
    }
    if (!found && name != NULL) {
        (void)snprintf(why, CLI_WHY_BYTES, "there is no profile '%.80s' in %.500s", name, path);
        return false;
    }
    for (size_t i = 0; i < CLI_PLACES; i++) {
        out->at[i] = read[i];
    }
    return true;
}

bool cli_where_find(struct cli_where *where, const struct cli *cli, char why[CLI_WHY_BYTES])
{
    struct source given = {.profile = cli->common[CLI_PROFILE]};
    struct source set = {.profile = secure_getenv("HOLDFAST_PROFILE")}, file = {{NULL}, NULL};
    const struct source *chain[3] = {&given};
    size_t n = 1;
    char *read[CLI_PLACES] = {NULL};
    bool ok = true;

    memset(where, 0, sizeof *where);
    for (size_t i = 0; i < CLI_PLACES; i++) {
        given.at[i] = cli->common[options[i]];
        set.at[i] = secure_getenv(variables[i]);
    }
    if (names_place(&given)) {
        if (given.profile != NULL && (given.at[CLI_AT_SOCKET] || given.at[CLI_AT_SERVERS])) {
            return fail(why, "--profile names a place, and so does --server or --socket");
        }
    } else {
        chain[n++] = &set;
    }
    if (set.profile != NULL && (set.at[CLI_AT_SOCKET] || set.at[CLI_AT_SERVERS]) && n == 2) {
        return fail(why, "HOLDFAST_PROFILE names a place, and so does HOLDFAST_SERVER or "
                         "HOLDFAST_SOCKET");
    }
    if (given.profile != NULL || !(names_place(chain[n - 1]) && chain[n - 1]->profile == NULL)) {
        ok = read_profile(given.profile != NULL ? given.profile : set.profile, read, &file, why);
        chain[n++] = &file;
    }
    ok = ok && (take(where, chain, n) || fail(why, "out of memory")) && check(where, why);
    for (size_t i = 0; i < CLI_PLACES; i++) {
        free(read[i]);
    }
    if (ok && where->at[CLI_AT_SERVERS] == NULL && where->at[CLI_AT_SOCKET] == NULL) {
        where->at[CLI_AT_SOCKET] = strdup(CLI_SOCKET);
        ok = where->at[CLI_AT_SOCKET] != NULL || fail(why, "out of memory");
    }
    return ok;
}

void cli_where_free(struct cli_where *where)
{
    for (size_t i = 0; i < CLI_PLACES; i++) {
        free(where->at[i]);
    }
    memset(where, 0, sizeof *where);
}
