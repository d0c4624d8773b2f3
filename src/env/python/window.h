/* The window that a batch shares with its workers: all arrays of a step, [E] rows each, and the words by which steps are asked for and
 * answered. Nothing but these words says who may write: an environment's rows belong to its worker while want and done differ. */
#ifndef MAPPO_ENV_PYTHON_WINDOW_H
#define MAPPO_ENV_PYTHON_WINDOW_H

#include <stdatomic.h>

#include "env/python/workers.h"
#include "env/slices.h"

enum window_ask { WINDOW_RESET = 1, WINDOW_STEP = 2 };

struct python_window {
    int32_t envs, agents[MAPPO_MAX_GROUPS];
    struct slices slices;
    size_t at[SLICES_MAX]; /* bytes from the beginning of the window; of those that are not in it 0 */
    size_t want_at, done_at, failed_at, words_at, bytes;
    char *memory;
    /* [E] what was asked of an environment, 4 * serial + enum window_ask; the same when it has been done; 1: it failed */
    atomic_uint *want, *done, *failed;
};

/* Where everything lies, for `envs` environments and `workers` of them. */
void window_plan(struct python_window *window, const struct mappo_env_spec *spec, int32_t envs, int workers);
/* After workers_window: addresses, also those of the workers' own words. */
void window_open(struct python_window *window, struct python_workers *workers);
/* Tells worker k where things are ("window", "array" …, "end"). */
int window_tell(const struct python_window *window, struct python_workers *workers, int k, struct mappo_env_error *error);

/* Asks something of environment e, after its actions are there. The worker's bell is to be rung afterwards. */
void window_ask(const struct python_window *window, int32_t e, enum window_ask what);
bool window_pending(const struct python_window *window, int32_t e);
bool window_ended(const struct python_window *window, int32_t e); /* its episode, with the last step */

/* Actions of environments [lo, hi) out of io. */
void window_take_actions(const struct python_window *window, int32_t lo, int32_t hi, const struct mappo_env_io *io);
/* What they saw and, after a step, what followed into the arrays of io that are wanted. */
void window_give(const struct python_window *window, int32_t lo, int32_t hi, const struct mappo_env_io *io, bool stepped);

/* An episode that its worker can't go on with: what was seen last becomes its final observation … */
void window_keep_last(const struct python_window *window, int32_t e);
/* … and with the reset that follows it has ended, truncated, without a reward. */
void window_cut(const struct python_window *window, int32_t e);

#endif
