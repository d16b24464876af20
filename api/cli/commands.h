/* The rows of the table, one a command; each is defined beside the function that it runs. */
#ifndef HF_API_CLI_COMMANDS_H
#define HF_API_CLI_COMMANDS_H

struct cli_command;

extern const struct cli_command cli_row_cluster_status;
extern const struct cli_command cli_row_cluster_init;
extern const struct cli_command cli_row_cluster_token;
extern const struct cli_command cli_row_cluster_join;
extern const struct cli_command cli_row_cluster_remove;
extern const struct cli_command cli_row_cluster_replace;
extern const struct cli_command cli_row_cluster_transfer;
extern const struct cli_command cli_row_cluster_rotate_keys;
extern const struct cli_command cli_row_cluster_recover;
extern const struct cli_command cli_row_node_drain;
extern const struct cli_command cli_row_node_undrain;
extern const struct cli_command cli_row_shard_list;
extern const struct cli_command cli_row_shard_move;
extern const struct cli_command cli_row_sa_list;
extern const struct cli_command cli_row_sa_rekey;
extern const struct cli_command cli_row_snapshot_save;
extern const struct cli_command cli_row_token_add;
extern const struct cli_command cli_row_token_list;
extern const struct cli_command cli_row_token_remove;
extern const struct cli_command cli_row_audit_list;
extern const struct cli_command cli_row_audit_verify;
extern const struct cli_command cli_row_attempt_list;
extern const struct cli_command cli_row_explain;
extern const struct cli_command cli_row_doctor;
extern const struct cli_command cli_row_profile;
extern const struct cli_command cli_row_events;
extern const struct cli_command cli_row_reload;
extern const struct cli_command cli_row_pki_ca;
extern const struct cli_command cli_row_pki_server;
extern const struct cli_command cli_row_pki_client;
extern const struct cli_command cli_row_pki_cluster_ca;
extern const struct cli_command cli_row_pki_node;
extern const struct cli_command cli_row_pki_revoke;
extern const struct cli_command cli_row_drill_run;
extern const struct cli_command cli_row_drill_validate;
extern const struct cli_command cli_row_drill_plan;
extern const struct cli_command cli_row_drill_list;
extern const struct cli_command cli_row_drill_arm;
extern const struct cli_command cli_row_completion;
extern const struct cli_command cli_row_man;
extern const struct cli_command cli_row_help;

#endif
