#include "api/cli/cli.h"

int main(int argc, char **argv)
{
    struct cli cli = {.socket = CLI_SOCKET, .out = stdout, .err = stderr};
    int status = CLI_DONE;

    if (!cli_parse(&cli, argc, argv, &status)) {
        return status;
    }
    status = cli.command->run(&cli);
    if (fflush(stdout) != 0) {
        perror("holdfast: stdout");
        return CLI_REFUSED;
    }
    return status;
}
