/* Two hashes of what environments are, without seed, indices and sizes of batches. */
#ifndef MAPPO_ENV_IDENTITY_H
#define MAPPO_ENV_IDENTITY_H

#include <stdint.h>

#include "env/vecenv.h"

/* Of id and version, and of those options and wrappers that differ from their defaults: an option that is added later changes nothing, nor
 * does the place of a plugin. Belongs to runs and their snapshots. */
uint64_t identity_of(const struct mappo_env *env, const struct vecenv_config *config);

/* Of id, version, all options ("N=3 rules=mpe2 …"), spec and wrappers. What version 0.1 of the program wrote into checkpoints, where it is
 * still accepted. */
uint64_t identity_whole(const struct mappo_env *env, const char *options, const struct mappo_env_spec *spec,
                        const struct vecenv_config *config);

#endif
