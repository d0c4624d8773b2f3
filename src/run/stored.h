/* What is taken out of a run's checkpoints without training: by a run that continues, by evaluation, by a new run that starts from
 * another's networks. */
#ifndef MAPPO_RUN_STORED_H
#define MAPPO_RUN_STORED_H

#include "algo/algorithm.h"
#include "comm/comm.h"
#include "config/config.h"
#include "run/checkpoint.h"

/* The newest checkpoint of a run's folder that is whole; warns of each bad one before it. *file is NULL where there is none at all;
 * EXIT_CHECKPOINT where all are bad: never silently from scratch. `path` receives the file's name. */
int stored_newest(const char *folder, struct checkpoint **file, char *path, size_t size, struct error *err);

/* RUN (the newest, or best.h5) or FILE. EXIT_CHECKPOINT where there is none. */
int stored_open(const char *run_or_file, bool best, struct checkpoint **file, char *path, size_t size, struct error *err);

/* The configuration that the checkpoint was made with. */
int stored_config(struct config *config, const struct checkpoint *file, const char *path, struct error *err);

/* Networks only (/policy/…). Collective; `file` is read on rank 0. */
int stored_load_networks(struct algorithm *algorithm, const struct checkpoint *file, struct comm *comm, struct error *err);

#endif
