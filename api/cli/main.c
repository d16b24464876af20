#include <errno.h>
#include <string.h>

#include "api/cli/cli.h"
#include "base/process.h"

/* As holdfastd does, before a key is made or read: pki and the founding may run as anybody, who may have no
 * right to lock memory and is told. */
static bool protect(const struct cli *cli)
{
    const char *what;

    if (!process_close(&what)) {
        (void)fprintf(cli->err, "holdfast: cannot protect its memory: %s: %s\n", what,
                      strerror(errno));
        return false;
    }
    if (!process_lock(&what))
        (void)fprintf(cli->err, "holdfast: keys may reach a swap device: %s\n", what);
    return true;
}

int main(int argc, char **argv)
{
    struct cli cli = {.socket = CLI_SOCKET, .out = stdout, .err = stderr};
    int status = CLI_DONE;

    if (!process_standard()) {
        return CLI_REFUSED; /* there may be nowhere to say it */
    }
    if (!cli_parse(&cli, argc, argv, &status)) {
        return status;
    }
    if (cli.command->secret && !protect(&cli)) {
        return CLI_REFUSED;
    }
    status = cli.command->run(&cli);
    if (fflush(stdout) != 0) {
        perror("holdfast: stdout");
        return CLI_REFUSED;
    }
    return status;
}
