/* The spec of an instance: sizes, soundness, and a hash of everything that a learner or a snapshot depends on. */
#ifndef MAPPO_ENV_SPEC_H
#define MAPPO_ENV_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "env/mappo_env.h"

/* EXIT_ENVIRONMENT where groups, heads, kinds or sizes are not what the interface allows. */
int spec_check(const struct mappo_env *env, const struct mappo_env_spec *spec, struct error *err);

/* What is wrong with a text that is shown to people and written to files, such as "has more than 1023 bytes"; NULL = nothing. */
const char *spec_line_fault(const char *text);

/* A checked spec, with what it may leave out: an environment that names no rules has "default" ones. */
void spec_copy(struct mappo_env_spec *to, const struct mappo_env_spec *from);

/* `hash` continued over groups, spaces, state and snapshot. */
uint64_t spec_hash(uint64_t hash, const struct mappo_env_spec *spec);

bool spec_acts_in_reals(const struct mappo_env_spec *spec); /* has some group a Box action? */

#endif
