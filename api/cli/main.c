#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/cli/cli.h"
#include "base/process.h"

/* As holdfastd does, before a key is made or read: pki, the founding and who asks over TLS may be
 * anybody, who may have no right to lock memory and is told. */
static bool protect(const struct cli *cli)
{
    const char *what;

    if (!process_close(&what)) {
        (void)fprintf(cli->err, "holdfast: cannot protect its memory: %s: %s\n", what,
                      strerror(errno));
        return false;
    }
    if (!process_lock(&what) && cli->command->secret)
        (void)fprintf(cli->err, "holdfast: keys may reach a swap device: %s\n", what);
    return true;
}

/* Again and again, until the one who reads is gone or an interrupt comes. A node that does not answer
 * is no end: what is watched may be just that. */
static int watch(struct cli *cli)
{
    bool redraw = !cli->json && isatty(STDOUT_FILENO);
    struct timespec next;
    int status = CLI_DONE;

    (void)setvbuf(stdout, NULL, _IOFBF, 1 << 16); /* a picture is written at once */
    (void)clock_gettime(CLOCK_MONOTONIC, &next);
    do {
        (void)fputs(redraw ? "\033[H\033[J" : "", stdout);
        status = cli->command->run(cli);
        if (!cli->json && !redraw) {
            (void)fputc('\n', stdout);
        }
        if (fflush(stdout) != 0) {
            return CLI_REFUSED;
        }
        next.tv_sec += (time_t)cli->watch_s;
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
            ;
    } while (status != CLI_USAGE);
    return status;
}

int main(int argc, char **argv)
{
    struct cli cli = {
        .out = stdout,
        .err = stderr,
        .limits = {
            .silence_ms = 15000, .total_ms = 120000, .connect_ms = 5000, .most_bytes = 64 << 20}};
    char why[CLI_WHY_BYTES];
    int status = CLI_DONE;

    if (!process_standard()) {
        return CLI_REFUSED; /* there may be nowhere to say it */
    }
    if (!cli_parse(&cli, argc, argv, &status)) {
        return status;
    }
    if (cli.command->asks != NULL && !cli_where_find(&cli.where, &cli, why)) {
        (void)fprintf(stderr, "holdfast: %s\n", why);
        return CLI_USAGE;
    }
    if ((cli.command->secret || cli.where.n_servers > 0) && !protect(&cli)) {
        return CLI_REFUSED;
    }
    status = cli.watch_s > 0 ? watch(&cli) : cli.command->run(&cli);
    cli_where_free(&cli.where);
    if (fflush(stdout) != 0) {
        perror("holdfast: stdout");
        return CLI_REFUSED;
    }
    return status;
}
