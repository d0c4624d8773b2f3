/* The commands: each file of this folder is one of them. A command returns the process's exit code and prints its own errors. */
#ifndef MAPPO_CMD_CMD_H
#define MAPPO_CMD_CMD_H

#include "comm/comm.h"
#include "config/config.h"

int cmd_train(const struct arguments *args, struct comm *comm);
int cmd_eval(const struct arguments *args, struct comm *comm);
int cmd_inspect(const struct arguments *args, struct comm *comm);
int cmd_envs(const struct arguments *args, struct comm *comm);
int cmd_bench(const struct arguments *args, struct comm *comm);
int cmd_doctor(const struct arguments *args, struct comm *comm);
int cmd_docs(const struct arguments *args, struct comm *comm); /* prints the generated pages: for `make docs` and lint */

#endif
