/* What a person sees while several runs are trained: on a terminal a line for each that is at work, drawn anew below everything else; elsewhere now
 * and then a line of each. */
#ifndef MAPPO_CMD_SEEDS_SCREEN_H
#define MAPPO_CMD_SEEDS_SCREEN_H

#include "cmd/seeds.h"

struct seeds_screen;
struct seeds_screen *seeds_screen_create(struct seeds *seeds, bool silent /* no progress */);
void seeds_screen_destroy(struct seeds_screen *screen);
void seeds_screen_say(struct seeds_screen *screen, const char *format, ...) __attribute__((format(printf, 2, 3)));
void seeds_screen_result(struct seeds_screen *screen, const char *line); /* on standard output, as it is */
/* On standard error, "mappo: seed 3: …"; what an earlier run's "mappo: " said as well is not said again (the first
 * 1,000 are remembered); lines of others, as of an environment's traceback, all are. */
void seeds_screen_message(struct seeds_screen *screen, const char *label, const char *line);
/* at_work [places]; NULL = nobody. Looks at their metrics, now and then. */
void seeds_screen_draw(struct seeds_screen *screen, const struct seed *const *at_work, int places);

#endif
