/* How a step left an episode: what an environment writes into ep_end, and what is read there wherever ends matter. */
#ifndef MAPPO_BASE_EPISODE_END_H
#define MAPPO_BASE_EPISODE_END_H

enum mappo_episode_end {
    MAPPO_RUNNING = 0,
    MAPPO_TERMINATED = 1, /* nothing follows: the value of what comes after is 0 */
    MAPPO_TRUNCATED = 2   /* cut off, by a time limit or from outside: what would have followed has a value */
};

#endif
