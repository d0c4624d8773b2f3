/* Settings that are compiled in: every envs/<folder>/<name>.ini. Those of an environment or variant have its id, "mpe/simple_spread";
 * that of a suite is called "mpe/suite", and what preset=NAME reads "presets/NAME". */
#ifndef MAPPO_ENV_PRESETS_H
#define MAPPO_ENV_PRESETS_H

const char *preset_of(const char *name);         /* the file, terminated; NULL where there is none */
const char *preset_at(int i, const char **text); /* all of them by number; NULL behind the last */

#endif
