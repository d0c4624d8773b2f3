/* Films that a run leaves while it learns (render.interval): <folder>/films/step-<environment steps>.svg. */
#ifndef MAPPO_RUN_RUN_FILM_H
#define MAPPO_RUN_RUN_FILM_H

#include "run/evaluate.h"

/* Rank 0. Plays episode 0 with the networks as they are. Where that fails, or the file can't be written, there is a warning and no film: no
 * reason to end a run. */
void run_film(struct evaluator *evaluator, const struct config *config, const struct vecenv *env, const char *folder, int64_t env_steps);

#endif
