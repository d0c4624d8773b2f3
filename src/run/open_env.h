/* The environments that a configuration asks for: name, options and wrappers come from it, who they are from the caller. */
#ifndef MAPPO_RUN_OPEN_ENV_H
#define MAPPO_RUN_OPEN_ENV_H

#include "comm/comm.h"
#include "config/config.h"
#include "env/registry.h"
#include "env/vecenv.h"

struct open_env_config {
    struct comm_part envs; /* by global index */
    uint64_t seed;
    int stream; /* PHILOX_ENVIRONMENT or PHILOX_EVALUATION */
    int threads;
    int64_t horizon; /* steps between two reports or calls of vecenv_take_episodes */
    int32_t report;  /* episodes that a report lists at most; 0 = all */
    bool plain;      /* rewards as the environment gives them: nobody learns from them */
};

/* The variant that its environment is with its options (registry_variant_of); NULL = none. */
const struct env_variant *open_env_variant(const struct config *config);

/* For people: the variant that it is where all else is as its own presets or the defaults have it; "" = none. overcooked/kitchen's preset sets an
 * option for all its layouts, and a run of one is still that layout's. */
const char *open_env_called(const char *env_name, const struct env_option *option, int count);
const char *open_env_called_of(const struct config *config);

/* What is played, in a line: "mpe/simple_spread, N=5", "lbf/8x8-2p-3f (lbf/foraging, players=2)", and where a variant was asked for that
 * other options were given to, what it would have. */
void open_env_title(const struct config *config, const struct vecenv *env, char *text, size_t size);

/* Whether a run whose options of `env` were `text`, all of them, is of the options that are in force now (options_still). */
bool open_env_still(const struct config *config, const struct mappo_env *env, const char *text);

/* Errors: those of vecenv_open. */
int open_env(struct vecenv **env, const struct config *config, const struct open_env_config *batch, struct error *err);

/* One environment, to look at its spec. */
int open_env_alone(struct vecenv **env, const struct config *config, struct error *err);

#endif
