/* Wrappers that act on the host, around the instance of a batch: what the environment is given of the learner's actions, and what the
 * learner sees of its results. Time limit, bounds of actions and episode statistics, which a device knows as well, are `wrappers.h` and
 * `account.h`. From the environment out, whatever was asked for of
 *
 *     environment -> action repeat -> time limit -> statistics -> reward (clip, scale, team)
 *                 -> observation (hide, clip, stack; behind them last action, agent id, time left)
 *     actions: bounds (rescale, clip) -> discretise -> sticky -> noise
 *
 * Statistics count the environment's own steps and rewards. What wrappers remember lies per environment in one block of bytes, which
 * travels in snapshots; what they draw is keyed by (seed, stream, global environment, agent, step). Nothing here is made, and nothing
 * copied, where none of them was asked for.
 *
 * `given` is the io of the learner, `inner` that of the environment; both begin at environment 0 of the batch. Functions on ranges may run
 * at the same time for disjoint ones. */
#ifndef MAPPO_ENV_WRAP_H
#define MAPPO_ENV_WRAP_H

#include "env/vecenv.h"
#include "env/wrappers.h"

struct wrap;

/* spec: of environment `id`, with time limit and bounds of actions applied; becomes the learner's. *wrap stays NULL where nothing is to be
 * done. EXIT_USAGE where a wrapper does not fit the environment. What was made is closed by wrap_close also after an error. */
int wrap_open(struct wrap **wrap, const struct vecenv_config *config, const char *id, struct mappo_env_spec *spec, struct error *err);
void wrap_close(struct wrap *wrap); /* NULL is allowed */

/* `hash` plus what is asked for that is not the default: for identities. 0 more where nothing is. */
uint64_t wrap_hash(const struct vecenv_config *config);

/* "environment -> action repeat 4 -> …", in one line; "" where nothing acts. spec: the environment's. */
enum { WRAP_TEXT = 768 };
void wrap_text(const struct vecenv_config *config, const struct mappo_env_spec *spec, char *text, size_t size);

/* Arrays of the wrappers' own in place of those of `inner`, a copy of the learner's. */
void wrap_io(const struct wrap *wrap, struct mappo_env_io *inner);

/* Before a step: the learner's actions into those that wrap_io pointed to. */
void wrap_act(const struct wrap *wrap, int32_t lo, int32_t hi, const struct mappo_env_io *given);

/* A step of the learner is `wrap_repeat` of the environment's at most. Between wrap_begin_repeat and wrap_step, after each step of
 * environment e: adds up its rewards, and says whether the same actions may be taken once more. An episode that ended, an agent that
 * appeared and a mask that forbids what is done end it earlier. */
int32_t wrap_repeat(const struct wrap *wrap);
void wrap_begin_repeat(const struct wrap *wrap, int32_t e);
bool wrap_repeats(const struct wrap *wrap, int32_t e, const struct mappo_env_io *inner);

/* What the learner gets: after a step (lane [E]: the running episodes, last [E]: those that just ended), a reset, and of the present state. */
void wrap_step(const struct wrap *wrap, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner,
               const struct wrapper_lane *lane, const struct episode *last);
void wrap_reset(const struct wrap *wrap, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner);
void wrap_show(const struct wrap *wrap, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner,
               const struct wrapper_lane *lane);

/* A scripted player plays in the environment's actions: arrays for them in place of the learner's, and afterwards the learner's nearest. */
void wrap_script_arrays(const struct wrap *wrap, int32_t *act_int[], float *act_real[]);
void wrap_script(const struct wrap *wrap, int32_t lo, int32_t hi, const struct mappo_env_io *given); /* where its actions are not NULL */

/* The block of environment e. wrap_restore: false where it is damaged, and then nothing has changed. */
size_t wrap_bytes(const struct wrap *wrap);
void wrap_snapshot(const struct wrap *wrap, int32_t e, void *bytes);
bool wrap_sound(const struct wrap *wrap, const void *bytes);
void wrap_restore(const struct wrap *wrap, int32_t e, const void *bytes);

#endif
