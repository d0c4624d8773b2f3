/* Who acts for a group of agents. Networks do, unless it is one of these: random, no-op, or the environment's scripted player. */
#ifndef MAPPO_NN_PLAYERS_H
#define MAPPO_NN_PLAYERS_H

#include "env/vecenv.h"
#include "nn/distribution.h"

/* In the order of eval.play's choices, then what only a group may have: what it learns and its past selves; networks of another run, which
 * stay as they are. */
enum player { PLAY_TRAINED, PLAY_RANDOM, PLAY_NOOP, PLAY_SCRIPTED, PLAY_SELF, PLAY_RUN };
extern const char *const player_name[PLAY_RUN]; /* "trained" … */
int player_named(const char *play);             /* of group.NAME.play: one of these names, or a run or file */

static inline bool player_has_networks(int player)
{
    return player == PLAY_TRAINED || player == PLAY_SELF || player == PLAY_RUN;
}
static inline bool player_learns(int player)
{
    return player == PLAY_TRAINED || player == PLAY_SELF;
}

/* Those of all groups. What they draw depends on seed, global environment, agent and step alone. */
struct players {
    const struct mappo_env_spec *spec;
    int player[MAPPO_MAX_GROUPS];                      /* those with networks are passed over */
    const struct distribution *dist[MAPPO_MAX_GROUPS]; /* the groups' heads, any standard deviation */
    uint64_t seed;
    uint32_t first_env; /* global index of environment 0 */
    bool squashed;      /* vecenv_squashes */
};

/* Actions of environments [lo, hi) into io's, uniform over what masks (NULL: all) and bounds allow; a real number without bounds is a
 * standard normal, and one whose tanh is stretched over bounds (policy.squash) such that the action is uniform. No-op: the first allowed choice, and the number nearest to 0. `step`: steps that every environment has taken. `env` is
 * asked for the script alone: EXIT_USAGE where it has none. */
int players_act(const struct players *players, struct vecenv *env, int lo, int hi, const struct mappo_env_io *io, uint64_t step,
                struct error *err);

#endif
