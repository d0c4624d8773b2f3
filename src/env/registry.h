/* The environments there are: built in, or loaded from a plugin. */
#ifndef MAPPO_ENV_REGISTRY_H
#define MAPPO_ENV_REGISTRY_H

#include "base/check.h"
#include "env/mappo_env.h"

int registry_count(void);
const struct mappo_env *registry_at(int i);

/* By id, alias ("simple_spread_v3") or plugin path. EXIT_USAGE with the nearest name where there is none. */
int registry_find(const char *name, const struct mappo_env **env, struct error *err);

/* The environment's tuned preset (envs/<suite>/<env>.ini), compiled in; NULL where it has none. */
const char *registry_preset(const struct mappo_env *env);

#endif
