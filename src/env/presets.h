/* Settings that are compiled in: one per environment (envs/<suite>/<env>.ini), and named ones (envs/presets/<name>.ini, preset=NAME). */
#ifndef MAPPO_ENV_PRESETS_H
#define MAPPO_ENV_PRESETS_H

struct preset {
    const char *name; /* id of an environment, or the preset's name */
    const char *text; /* the ini file, terminated */
};
extern const struct preset env_presets[], named_presets[]; /* each ends with name NULL */

#endif
