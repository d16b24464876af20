/* What `holdfast pki` does; its rows are in pki_rows.c. */
#ifndef HF_API_CLI_CMD_PKI_H
#define HF_API_CLI_CMD_PKI_H

#include "api/cli/cli.h"

int cli_pki_ca(struct cli *cli);
int cli_pki_server(struct cli *cli);
int cli_pki_client(struct cli *cli);
int cli_pki_cluster_ca(struct cli *cli);
int cli_pki_node(struct cli *cli);
int cli_pki_revoke(struct cli *cli);

#endif
