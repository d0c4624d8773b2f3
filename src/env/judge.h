/* What an environment wrote, judged while it is still in the cache of the thread that let it write: numbers that are none, masks that leave
 * nothing to do, rewards that are not what the spec says, episodes that never end. Such environments would train without a word.
 * Faults name the first environment of the range that has one, the agent, and what is wrong; the caller adds which step it was. */
#ifndef MAPPO_ENV_JUDGE_H
#define MAPPO_ENV_JUDGE_H

#include <stdbool.h>

#include "base/check.h"
#include "env/slices.h"

struct judge {
    const struct mappo_env_spec *spec; /* wrappers applied */
    const struct lane_strides *strides;
};

/* Environments [lo, hi) after reset, observe or (`stepped`) step: everything but ep_end. 0, EXIT_NUMERICAL or EXIT_ENVIRONMENT, and then
 * *error says what. */
int judge_range(const struct judge *judge, const struct mappo_env_io *io, int32_t lo, int32_t hi, bool stepped,
                struct mappo_env_error *error);

/* What environment e wrote to ep_end after `steps` steps of its episode: 0 or EXIT_ENVIRONMENT. */
int judge_end(const struct judge *judge, int32_t e, int end, int64_t steps, struct mappo_env_error *error);
enum judge_ends { JUDGE_ENDLESS, JUDGE_NO_END }; /* it should have said that the episode is over; it said what means nothing */

/* The words for faults, which those who look at a device's arrays use as well. An array of group `group` (NULL: the environment's own) of
 * environments of `width` numbers: number `at` of an environment is `x`. */
void judge_say_number(char *text, size_t size, const struct mappo_group *group, const char *what, size_t width, size_t at, double x);
/* Number `at` of an environment's mask [A][L] (`width` in all) is the first of what agent at / L could choose, and may not. */
void judge_say_mask(char *text, size_t size, const struct mappo_group *group, size_t width, size_t at);
void judge_say_end(char *text, size_t size, const struct mappo_env_spec *spec, int kind /* enum judge_ends */);
void judge_say_reward(char *text, size_t size, const struct mappo_group *group, size_t agent);

#endif
