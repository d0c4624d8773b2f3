/* What is taken out of a run's checkpoints without training: by a run that continues, by evaluation, by a new run that starts from
 * another's networks. */
#ifndef MAPPO_RUN_SAVED_RUN_H
#define MAPPO_RUN_SAVED_RUN_H

#include "comm/comm.h"
#include "config/config.h"
#include "env/mappo_env.h"
#include "nn/policies.h"
#include "run/checkpoint_stream.h"

/* The newest checkpoint of a run's folder that is whole, by what the files say and not by their names; warns of each bad one before it, and
 * where its name says something else. *file is NULL where there is none at all; EXIT_CHECKPOINT where all are bad: never silently from
 * scratch. `path` receives the file's name; `damaged` (NULL is allowed) those of the bad ones, to be freed. Where `replay` is given (else
 * NULL), a checkpoint is also bad whose replay is missing or damaged; it receives the replay (run/replay_file.h), NULL where there is none:
 * also where that of a finished run is missing, which only who goes on with it needs. */
struct saved_run_names {
    struct checkpoint_name *name;
    int count;
};
int saved_run_newest(const char *folder, struct checkpoint **file, char *path, size_t size, struct checkpoint_stream **replay,
                     struct saved_run_names *damaged, struct error *err);

/* Whether a run had reached its end by its own settings when this was saved. */
bool saved_run_finished(const struct checkpoint *file, const char *path);

/* RUN (the newest, or the best so far) or FILE. EXIT_CHECKPOINT where there is none. */
int saved_run_open(const char *run_or_file, bool best, struct checkpoint **file, char *path, size_t size, struct error *err);
/* The same; a recording of episodes (run/recording.h) is refused. A file of kind "networks" (scripts/import.py) is taken: it says only what its
 * networks are, and what it has none of stays as it is. */
int saved_run_open_networks(const char *run_or_file, bool best, struct checkpoint **file, char *path, size_t size, struct error *err);
/* The name of the folder's best checkpoint as `newest` knows it; EXIT_CHECKPOINT where there is none. */
int saved_run_best(const char *folder, const struct checkpoint *newest, struct checkpoint_name *best, struct error *err);

/* The configuration that the checkpoint was made with. */
int saved_run_config(struct config *config, const struct checkpoint *file, const char *path, struct error *err);
/* Spells the options of the environment as this program does (config_build): older versions kept them as they were written. */
void saved_run_plain_options(struct config *config, const char *env_name);
/* Whether its environment is there, and who it is (config->env_id). EXIT_USAGE with what to give where a run's plugin was moved. */
int saved_run_find_env(struct config *config, const char *path, struct error *err);

/* What of the checkpoint's settings gives its networks another meaning under `now`: "env.rules=mpe2 (here on-policy), …"; empty where
 * nothing does. */
int saved_run_differences(const struct config *now, const struct checkpoint *file, const char *path, char *text, size_t size,
                          struct error *err);
/* One warning where the plugin is not the file that the checkpoint was made with. */
void saved_run_warn_plugin(const struct checkpoint *file, const char *path, const struct config *now, const struct mappo_env *env);

/* Networks only (/policy/…), of all groups but those of saved_run_load_actors. Collective; `file` is read on rank 0, where `differences`
 * says why they may not fit. */
int saved_run_load_networks(struct policies *policies, const struct config *config, const struct checkpoint *file, const char *path,
                            const char *differences, struct comm *comm, struct error *err);

/* Actors of groups that another run plays (group.NAME.play=RUN) where that is asked for now: what a checkpoint says of it is in the
 * checkpoint. Collective; files are read on rank 0. EXIT_USAGE where an actor is of another shape, with both. */
int saved_run_load_actors(struct policies *policies, const struct config *config, struct comm *comm, struct error *err);

#endif
