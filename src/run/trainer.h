/* The training run: everything between a configuration and an exit code. */
#ifndef MAPPO_RUN_TRAINER_H
#define MAPPO_RUN_TRAINER_H

#include "comm/comm.h"
#include "config/config.h"

/* Trains, continuing the run's folder where it has a checkpoint; with args->dry_run only says what it would do. Collective; returns an exit
 * code and has said why. */
int trainer_run(struct config *config, const struct arguments *args, struct comm *comm);

#endif
