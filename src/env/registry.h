/* The environments there are: built in, or loaded from a plugin; and the presets that belong to them. */
#ifndef MAPPO_ENV_REGISTRY_H
#define MAPPO_ENV_REGISTRY_H

#include <stdbool.h>

#include "base/check.h"
#include "env/mappo_env.h"

int registry_count(void);
const struct mappo_env *registry_at(int i);
bool registry_hidden(const struct mappo_env *env); /* test/…: not in the list that people see */

/* By id, alias ("simple_spread_v3") or plugin path (has a slash, ends in .so). EXIT_USAGE with the nearest name where there is none,
 * EXIT_ENVIRONMENT where a plugin can't be used. The descriptor stays valid as long as the process. */
int registry_find(const char *name, const struct mappo_env **env, struct error *err);

/* The environment's tuned preset (envs/<suite>/<env>.ini), compiled in; NULL where it has none. */
const char *registry_preset(const struct mappo_env *env);
/* The same by id or alias; NULL also for names that are not built in. Loads no plugin. For config_build. */
const char *registry_env_preset(const char *name);

/* preset=NAME: the text of envs/presets/<name>.ini; NULL where there is none. Names by number, NULL at the end. */
const char *registry_named_preset(const char *name);
const char *registry_named_preset_at(int i);

#endif
