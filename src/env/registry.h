/* The environments there are: built in (envs/envs.def), or loaded from a plugin; their variants, kernels and presets. */
#ifndef MAPPO_ENV_REGISTRY_H
#define MAPPO_ENV_REGISTRY_H

#include <stdbool.h>

#include "base/check.h"
#include "env/mappo_env.h"
#include "env/vecenv.h"

int registry_count(void);
const struct mappo_env *registry_at(int i); /* NULL behind the last */
bool registry_has_kernels(int i);           /* for a device, whether this program was built with them or not */
bool registry_hidden(const char *id);       /* test/…: not in the list that people see; of environments and variants */

/* By id, alias ("simple_spread_v3"), plugin path (has a slash, ends in .so) or, of Python, py:SOURCE (python/names.h); of a variant its base. EXIT_USAGE with the nearest name
 * where there is none, EXIT_ENVIRONMENT where a plugin can't be used. The descriptor stays valid as long as the process. */
int registry_find(const char *name, const struct mappo_env **env, struct error *err);

/* By which it is found from any folder, where that may be another than its id (of a file of Python); not of plugins. */
const char *registry_name(const struct mappo_env *env);

/* A name for an environment with some of its options set. What a user sets besides comes later and wins. */
struct env_variant {
    const char *name, *base;  /* "lbf/8x8-2p-3f", "lbf/foraging" */
    const char *const *alias; /* upstream's names, NULL-terminated; may be NULL */
    const struct env_option *option;
    int options;
};
const struct env_variant *registry_variant_at(int i);         /* NULL behind the last */
const struct env_variant *registry_variant(const char *name); /* by name or alias; NULL where it is none */
/* The variant that `env` is with these options: all that the variant sets and nothing else differs from the defaults. NULL = none. */
const struct env_variant *registry_variant_of(const struct mappo_env *env, const struct env_option *given, int count);

/* The tuned preset of an environment or variant, by its id (envs/<id>.ini), and that of all environments of its suite (suite.ini beside it);
 * NULL where there is none. */
const char *registry_preset(const char *id);
const char *registry_suite_preset(const char *id);

/* Mean returns of whole episodes that were measured of an environment (envs/returns.def): of an agent of `group`, undiscounted. */
struct env_return {
    const char *env, *setting; /* "mpe/simple_spread", "rules=on-policy"; "smax/battle", "smax/3m"; "": as it is by default */
    const char *group;         /* "": there is one */
    double random, random_error, scripted, scripted_error; /* and their standard errors; NaN: it has no scripted player */
    double trained;                                        /* over seeds, most probable actions; NaN: by nobody */
    double env_steps;                                      /* of a seed */
    const char *row;                                       /* of the learning table (scripts/learning.ini); NULL: by nobody */
};
const struct env_return *registry_return_at(int i); /* NULL behind the last; those of an environment stand together, defaults first */

/* preset=NAME: the text of envs/presets/<name>.ini; NULL where there is none. Names by number, NULL at the end. */
const char *registry_named_preset(const char *name);
const char *registry_named_preset_at(int i);

#endif
