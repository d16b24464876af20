/* holdfast events: what GET /v1/events streams, read line by line (HTML, 9.2.6), over one connection after the other */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "api/cli/cli.h"
#include "api/cli/commands.h"

enum { OPTION_AFTER, OPTION_FOLLOW };
enum { ID_BYTES = 64, LINE_BYTES = 16 << 10, TYPE_BYTES = 64, PAUSE_MS = 1000, SILENCES = 3 };

struct watcher {
    struct cli *cli;
    char last[ID_BYTES]; /* from where to go on; empty: from now */
    bool heard;          /* something came since it was last set */
    bool unread;         /* nobody reads what is shown any more */
    char line[LINE_BYTES];
    size_t n;
    /* of the block that is being read */
    char id[ID_BYTES], type[TYPE_BYTES], data[LINE_BYTES];
};

/* --- showing --- */

static void show_value(FILE *out, const char *name, json_t *value)
{
    char *text = json_is_string(value) ? strdup(json_string_value(value))
                                       : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    if (text != NULL) {
        char *key = strdup(name);

        cli_clean(text);
        if (key != NULL) {
            cli_clean(key);
        }
        (void)fprintf(out, " %s=%s", key != NULL ? key : "?", text);
        free(key);
    }
    free(text);
}

/* "5.41.3  session.up  sa=... identity=..."; the cluster's time is for programs. */
static void show_line(struct watcher *w, json_t *data)
{
    const char *name;
    json_t *value;

    cli_clean(w->id);
    cli_clean(w->type);
    (void)fprintf(w->cli->out, "%-16s %-16s", w->id[0] != '\0' ? w->id : "-", w->type);
    json_object_foreach(data, name, value)
    {
        if (strcmp(name, "cluster_ms") != 0) {
            show_value(w->cli->out, name, value);
        }
    }
    (void)fputc('\n', w->cli->out);
}

static json_t *text_of(const char *bytes)
{
    json_t *text = json_string(bytes);

    return text != NULL ? text : json_null(); /* it is no UTF-8 */
}

static void show(struct watcher *w)
{
    json_t *data = json_loads(w->data, JSON_REJECT_DUPLICATES, NULL);

    if (!w->cli->json) {
        show_line(w, data);
    } else {
        (void)cli_print_json(w->cli, json_pack("{s:o,s:o,s:o}", "id",
                                               w->id[0] != '\0' ? text_of(w->id) : json_null(),
                                               "event", text_of(w->type), "data",
                                               data != NULL ? json_incref(data) : json_null()));
    }
    json_decref(data);
    w->unread = fflush(w->cli->out) != 0;
}

/* --- reading --- */

static void take_value(char *out, size_t cap, const char *value)
{
    size_t n = strlen(value);

    if (n < cap) {
        memcpy(out, value, n + 1);
    } else {
        out[0] = '\0';
    }
}

static void end_block(struct watcher *w)
{
    if (w->id[0] != '\0') {
        memcpy(w->last, w->id, sizeof w->last);
    }
    if (w->data[0] != '\0') {
        show(w);
    }
    w->id[0] = w->type[0] = w->data[0] = '\0';
}

static void end_line(struct watcher *w)
{
    char *colon = strchr(w->line, ':'), *value = colon != NULL ? colon + 1 : w->line + w->n;

    if (w->n == 0) {
        end_block(w);
        return;
    }
    if (colon != NULL) {
        *colon = '\0';
    }
    value += *value == ' ';
    if (strcmp(w->line, "id") == 0 && strspn(value, "0123456789.") == strlen(value)) {
        take_value(w->id, sizeof w->id, value); /* it goes into a path */
    } else if (strcmp(w->line, "event") == 0) {
        take_value(w->type, sizeof w->type, value);
    } else if (strcmp(w->line, "data") == 0) {
        take_value(w->data, sizeof w->data, value);
    }
}

static bool take(void *self, const char *bytes, size_t n)
{
    struct watcher *w = self;

    w->heard = w->heard || n > 0;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n') {
            w->line[w->n] = '\0';
            end_line(w);
            w->n = 0;
        } else if (w->n + 1 >= sizeof w->line || bytes[i] == '\0') {
            return false;
        } else {
            w->line[w->n++] = bytes[i];
        }
    }
    return !w->unread;
}

/* --- asking --- */

/* One connection to one server, for as long as it lasts. */
static enum cli_streamed watch_one(struct watcher *w, size_t server, bool follow, unsigned *status,
                                   json_t **body, char *error, size_t error_bytes)
{
    struct cli once = *w->cli;
    char path[128];

    once.limits.silence_ms *= SILENCES; /* a node breaks the silence each 15 s */
    if (follow) {
        once.limits.total_ms = UINT32_MAX;
    }
    w->n = 0;
    w->heard = false;
    w->id[0] = w->type[0] = w->data[0] = '\0';
    (void)snprintf(path, sizeof path, "/v1/events%s%s%s", w->last[0] != '\0' ? "?after=" : "",
                   w->last,
                   follow               ? ""
                   : w->last[0] != '\0' ? "&follow=false"
                                        : "?follow=false");
    return cli_http_stream(&once, server, path, take, w, status, body, error, error_bytes);
}

/* What a node cannot do now another one may, or the same one later. */
static bool for_now(unsigned status)
{
    return status == 503 || status == 504 || status == 429;
}

static int watch(struct watcher *w, bool follow)
{
    size_t n = w->cli->where.n_servers > 0 ? w->cli->where.n_servers : 1;
    bool watched = false, any = true;
    char error[CLI_WHY_BYTES] = "";

    while (any) {
        any = false;
        for (size_t i = 0; i < n; i++) {
            unsigned status = 0;
            json_t *body = NULL;
            enum cli_streamed how = watch_one(w, i, follow, &status, &body, error, sizeof error);

            any = any || w->heard;
            if (w->unread) {
                return CLI_REFUSED;
            }
            if (how == CLI_STREAM_REFUSED && !(watched && follow && for_now(status))) {
                return cli_refused(w->cli, status, body);
            }
            json_decref(body);
            if (how == CLI_STREAM_ENDED && !follow) {
                return CLI_DONE;
            }
            watched = watched || w->heard;
            (void)fprintf(w->cli->err, "holdfast: %s; going on behind %s\n",
                          how == CLI_STREAM_ENDED     ? "the stream ended"
                          : how == CLI_STREAM_REFUSED ? "the node cannot serve it now"
                                                      : error,
                          w->last[0] != '\0' ? w->last : "what comes next");
        }
        any = any && follow;
        if (any) {
            (void)poll(NULL, 0, PAUSE_MS);
        }
    }
    (void)cli_refuse(w->cli, "no-node", error[0] != '\0' ? error : "no node streams events now");
    return CLI_NO_NODE;
}

static int cli_events(struct cli *cli)
{
    const char *after = cli->options[OPTION_AFTER];
    bool follow = cli->options[OPTION_FOLLOW] != NULL;
    struct watcher *w;
    int status;

    after = after != NULL ? after : follow ? "" : "oldest";
    if (strlen(after) >= ID_BYTES ||
        (strcmp(after, "oldest") != 0 && strspn(after, "0123456789.") != strlen(after))) {
        (void)fprintf(cli->err, "holdfast: --after takes an id such as 5.4711.1, or oldest\n");
        return CLI_USAGE;
    }
    w = calloc(1, sizeof *w);
    if (w == NULL) {
        return cli_refuse(cli, "no-memory", "out of memory");
    }
    w->cli = cli;
    memcpy(w->last, after, strlen(after) + 1);
    cli->line = true;
    status = watch(w, follow);
    free(w);
    return status;
}

const struct cli_command cli_row_events = {
    .group = "events",
    .verb = "",
    .arguments = "",
    .help = "what happened in the cluster, and with --follow what happens",
    .text = "A line an event: its id, what it is, and what of. Ids are places in the log, the same "
            "on every "
            "node, so --follow goes on at the next server where one breaks off, without a gap and "
            "without telling anything twice.\n\nA node keeps the newest 4,096. Where what "
            "came next is not kept any more, an event 'gap' says so: read the state again.",
    .role = "viewer",
    .asks = "GET /v1/events",
    .examples = "holdfast events\nholdfast events --follow\nholdfast events --after 5.4711.1 "
                "--follow -o json",
    .options = {{"--after", "ID", "those behind this one, or oldest (all that are kept)", CLI_TEXT,
                 NULL},
                {"--follow", NULL,
                 "go on until an interrupt comes, from now unless --after is given", CLI_TEXT,
                 NULL}},
    .run = cli_events};
