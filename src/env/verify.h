/* What an environment wrote, verified while it is still in the cache of the thread that let it write: NaN and infinity, masks that
 * leave nothing to do, rewards that are not what the spec says, episodes that never end. Training would go on with such environments, and
 * nobody would notice. Faults name the first environment of the range that has one, the agent, and what is wrong; the caller adds which
 * step it was. */
#ifndef MAPPO_ENV_VERIFY_H
#define MAPPO_ENV_VERIFY_H

#include <stdbool.h>

#include "base/check.h"
#include "env/slices.h"

struct verifier {
    const struct mappo_env_spec *spec; /* wrappers applied */
    const struct slice_strides *strides;
};

/* Environments [lo, hi) after reset, observe or (`stepped`) step: everything but ep_end. 0, EXIT_NUMERICAL or EXIT_ENVIRONMENT, and then
 * *error says what. */
int verify_range(const struct verifier *verifier, const struct mappo_env_io *io, int32_t lo, int32_t hi, bool stepped,
                 struct mappo_env_error *error);

/* What environment e wrote to ep_end after `steps` steps of its episode: 0 or EXIT_ENVIRONMENT. */
int verify_end(const struct verifier *verifier, int32_t e, int end, int64_t steps, struct mappo_env_error *error);
enum verify_ends { VERIFY_ENDLESS, VERIFY_NO_END }; /* it should have said that the episode is over; its value has no meaning */

/* The words for faults, which those who look at a device's arrays use as well. An array of group `group` (NULL: the environment's own) of
 * environments of `width` numbers: number `at` of an environment is `x`. */
void verify_say_number(char *text, size_t size, const struct mappo_group *group, const char *what, size_t width, size_t at, double x);
/* Number `at` of an environment's mask [A][L] (`width` in all) is the first of what agent at / L could choose, and may not. */
void verify_say_mask(char *text, size_t size, const struct mappo_group *group, size_t width, size_t at);
void verify_say_end(char *text, size_t size, const struct mappo_env_spec *spec, int kind /* enum verify_ends */);
void verify_say_reward(char *text, size_t size, const struct mappo_group *group, size_t agent);

#endif
